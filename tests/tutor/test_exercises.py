"""Every exercise: right answers of many styles pass, every planted mistake is named by its own name, and its message reads well."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import replace

import numpy as np
import pytest

from tinyalex.tutor.checking import examine, sizes_of_grade
from tinyalex.tutor.exercise import SIZE_SETS, Mistake, as_outputs, slug
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.exercises.e04_forward import CALLS
from tinyalex.tutor.finding import LANGUAGES, catalogue, fields

FUNCTIONS = [(exercise, function) for exercise in EXERCISES.values() for function in exercise.functions]
MISTAKES = [(exercise, function, mistake) for exercise, function in FUNCTIONS for mistake in function.mistakes]
NAMES = {"output", "probe", "at", "yours", "right", "function", "exercise"}


def name(value):
    return getattr(value, "key", None) or getattr(value, "name", None)


def styles(exercise, function):
    """Right answers in other styles than the tutor's, from tests/tutor/styles/."""
    return importlib.import_module(f"tests.tutor.styles.{exercise.key.lower()}").STYLES[function.name]


@pytest.mark.parametrize(("exercise", "function"), FUNCTIONS, ids=name)
def test_right_answers_in_four_styles_pass(exercise, function):
    found = styles(exercise, function)
    assert len(found) >= 4
    for student in (function.right, *found):
        for seed, sizes in zip((0, 5, 2, 3), range(SIZE_SETS), strict=True):
            finding = examine(exercise, function, student, seed, sizes)
            assert finding is None, f"{student.__name__}, seed {seed}, sizes {sizes}: {finding.text()}"


@pytest.mark.parametrize(("exercise", "function", "mistake"), MISTAKES, ids=name)
def test_planted_mistake_is_named(exercise, function, mistake):
    for seed, sizes in zip((0, 7, 2, 3), range(SIZE_SETS), strict=True):
        finding = examine(exercise, function, mistake.compute, seed, sizes)
        assert finding is not None and finding.key == f"{exercise.key}.{slug(mistake.key)}", finding and finding.text()
        assert finding.layer == "mistake" and finding.seen == mistake.seen
        assert finding.text().count("\n") < 6


@pytest.mark.parametrize(("exercise", "function"), FUNCTIONS, ids=name)
def test_exercise_is_whole(exercise, function):
    assert len(function.mistakes) >= 4 and sum(len(f.mistakes) for f in exercise.functions) >= 8
    parameters = list(inspect.signature(function.right).parameters)
    for probe in function.probes(np.random.default_rng(0), 0):
        assert list(probe.arguments) == parameters
        described = catalogue("zh")[f"{exercise.key}.probes.{slug(probe.key)}"]
        assert described.format(**probe.call) and probe.described
    assert function.right.__doc__ and function.right.__name__ == function.name
    assert len({mistake.key for mistake in function.mistakes}) == len(function.mistakes)
    for language in LANGUAGES:
        words = catalogue(language)
        assert all(words[f"{exercise.key}.hints.{function.name}.{level}"] for level in ("one", "two", "three"))
        for mistake in function.mistakes:
            sentence = words[f"{exercise.key}.{slug(mistake.key)}"]
            assert len(sentence.splitlines()) <= 4 and "!" not in sentence


def sizes_of(arguments):
    """The shapes and integers of a call."""
    shapes = (value.shape if isinstance(value, np.ndarray) else value for value in arguments)
    return tuple(value for value in shapes if isinstance(value, (int, tuple)))


ALIKE = {"paper", "paper back", "alexnet", "one weight", "one element"}  # calls of one size only


@pytest.mark.parametrize(("exercise", "function"), FUNCTIONS, ids=name)
def test_calls_have_other_sizes_in_every_set(exercise, function):
    sets = [function.probes(np.random.default_rng(5), sizes) for sizes in range(SIZE_SETS)]
    for calls in zip(*sets, strict=True):
        assert len({probe.key for probe in calls}) == len({probe.says for probe in calls}) == 1
        if calls[0].key not in ALIKE:
            assert len({sizes_of(probe.arguments.values()) for probe in calls}) == SIZE_SETS, calls[0].key


@pytest.mark.parametrize(("exercise", "function"), FUNCTIONS, ids=name)
@pytest.mark.parametrize("sizes", range(SIZE_SETS))
def test_no_two_sizes_of_a_call_are_equal_and_none_is_one(exercise, function, sizes):
    probes = function.probes(np.random.default_rng(5), sizes)
    for probe in probes:
        says_so = any(word in probe.says for word in ("one image", "single"))
        for key, value in probe.arguments.items():
            if isinstance(value, np.ndarray) and not says_so:
                shape = value.shape[:3] if key == "weight" and probe.key in ("usual", "conv1") else value.shape  # a square kernel there
                shape = shape[-2:] if key.startswith("d") else shape  # the others come of the arguments
                assert len(set(shape)) == len(shape) and 1 not in shape, (probe.key, key, value.shape)
        assert probe.arguments.get("p") != 0.5
    strides = [(probe.arguments["stride"], probe.arguments.get("kernel", 0)) for probe in probes if "stride" in probe.arguments]
    assert not strides or sum(stride not in (1, kernel) for stride, kernel in strides) >= 2


@pytest.mark.parametrize(("exercise", "function"), FUNCTIONS, ids=name)
def test_sizes_of_check_by_heart_do_not_pass_grade(exercise, function):
    known = set()

    def learns(*arguments):
        known.add(sizes_of(arguments))
        return function.right(*arguments)

    def knows(*arguments):
        right = function.right(*arguments)
        return right if sizes_of(arguments) in known else tuple(0 * np.asarray(output) for output in as_outputs(right))

    assert examine(exercise, function, learns) is None and examine(exercise, function, knows, seed=3) is None
    for seed in (1, 2, 3):
        finding = examine(exercise, function, knows, seed, sizes_of_grade(seed))
        assert finding is not None and finding.sizes == sizes_of_grade(seed)
        assert not finding.probe or f"sizes={sizes_of_grade(seed)}" in finding.text()


def test_grade_never_has_the_sizes_of_check():
    assert {sizes_of_grade(seed) for seed in range(99)} == set(range(1, SIZE_SETS))


def test_languages_say_the_same_things_about_the_same_names():
    english, chinese = ({key: text for key, text in catalogue(name).items() if ".probes." not in key} for name in LANGUAGES)
    assert set(english) == set(chinese)
    assert [key for key in english if fields(english[key]) != fields(chinese[key])] == []


def test_a_known_mistake_is_named_where_it_raises_in_some_calls():
    exercise = EXERCISES["E06"]
    right = exercise.function("max_pool").right

    def mistake(x, kernel, stride):
        if x.shape[2] == 8:
            raise ValueError("these shapes do not fit")
        return 7 * right(x, kernel, stride)

    function = replace(exercise.function("max_pool"), mistakes=(Mistake("mean", mistake, "made for this test"),))
    assert examine(exercise, function, lambda x, kernel, stride: mistake(x, kernel, stride)).key == "E06.mean"
    assert examine(exercise, function, lambda x, kernel, stride: mistake(x, kernel, stride) + 1).key == "contract.does_not_fit"


def test_an_array_that_does_not_fit_is_told_with_its_line():
    exercise = EXERCISES["E06"]
    finding = examine(exercise, exercise.function("max_pool"), lambda x, kernel, stride: np.zeros(3) + np.zeros(4))
    assert finding.key == "contract.does_not_fit" and "line" in finding.text()


def test_a_float_as_a_size_is_told():
    exercise = EXERCISES["E06"]
    for student in (lambda x, kernel, stride: np.zeros(x.shape[2] / stride), lambda x, kernel, stride: x[:, : kernel / 1]):
        assert examine(exercise, exercise.function("max_pool"), student).key == "contract.float_size"


def test_two_mistakes_at_once_are_told_one_after_the_other():
    lrn = EXERCISES["E07"].function("lrn")
    finding = examine(EXERCISES["E07"], lrn, lambda a, n, k, alpha, beta: lrn.right(a, n, k, alpha / n, 1.0))
    assert finding.key == "E07.alpha_over_n" and "more than one mistake" in finding.text()
    conv = EXERCISES["E04"].function("conv_forward")

    def turned_without_bias(x, weight, bias, stride, padding, groups):
        return conv.right(x, weight[:, :, ::-1, ::-1], 0 * bias, stride, padding, groups)

    assert examine(EXERCISES["E04"], conv, turned_without_bias).key == "E04.no_bias"
    back = EXERCISES["E05"].function("conv_backward")
    overwrites = next(mistake.compute for mistake in back.mistakes if mistake.key == "windows overwrite")

    def overwrites_and_cuts(dout, x, weight, stride, padding):
        dx, dweight, dbias = overwrites(dout, x, weight, stride, padding)
        return dx if padding else dx[:, :, :0, :0], dweight, dbias

    assert examine(EXERCISES["E05"], back, overwrites_and_cuts).key == "E05.cut_from_the_end"


def test_a_number_of_windows_that_is_rounded_up_is_not_that_of_the_other_side():
    """Else the one mistake is taken for the other: then lines "come from the width"."""
    for key, (_, sets) in CALLS.items():
        for x, weight, stride, padding in sets:
            room = [[x[side] + 2 * padding - k for k in weight[2:]] for side in (2, 3)]  # of each side, beside KH and beside KW
            up, fits = (lambda left, stride=stride: -(-left // stride)), (lambda left, stride=stride: left // stride)
            for side, other in ((0, 1), (1, 0)):
                rounded, crossed = up(room[side][side]), fits(room[other][side])
                assert rounded != crossed or rounded == fits(room[side][side]) or key == "tall", (key, x, weight)
