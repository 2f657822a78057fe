"""check, hint, solution, replay, predict: what a student calls, and what is said where the call itself is off."""

import types

import numpy as np
import pytest

from tests.contract import refuses
from tests.tutor.styles.e06 import loops, loops_back
from tinyalex import tutor
from tinyalex.errors import DataError, ShapeError
from tinyalex.tutor import answers, later_answers, predictions, questions, session
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.exercises.e06_backward import overwrites_the_winner
from tinyalex.tutor.syllabus import FOLDER, lessons_in


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    for name in ("_checked", "_failed", "_findings", "_hinted"):
        monkeypatch.setattr(session, name, {})
    monkeypatch.setattr(session, "_right", set())
    monkeypatch.setattr(predictions, "_guesses", {})
    monkeypatch.delenv("TINYALEX_LANG", raising=False)


def named(function, name):
    function = types.FunctionType(function.__code__, function.__globals__, name)
    return function


def test_right_functions_are_told_what_comes_next(capsys):
    report = tutor.check("e06", named(loops, "max_pool"), named(loops_back, "max_pool_backward"))
    assert report and repr(report) == "<E06: right>" and report.checked == ("max_pool", "max_pool_backward")
    assert capsys.readouterr().out.startswith("E06 max_pool, max_pool_backward: right in all 28 calls. Next: E07")


def test_what_comes_next_was_not_right_before(capsys):
    """Each half by itself: after the second one comes the next exercise, and a half that is spoilt comes again."""

    def said(function, name):
        tutor.check("E06", named(function, name))
        return capsys.readouterr().out.partition("Next: ")[2].split()[0]

    assert said(loops, "max_pool") == "max_pool_backward"
    assert said(loops_back, "max_pool_backward") == "E07" and said(loops, "max_pool") == "E07"
    said(overwrites_the_winner, "max_pool_backward")
    assert said(loops, "max_pool") == "max_pool_backward"
    both = types.ModuleType("mine")
    both.max_pool, both.max_pool_backward = loops, overwrites_the_winner
    session._right.clear()
    tutor.check("E06", both)  # the first one is right, the second one is not
    capsys.readouterr()
    assert said(loops_back, "max_pool_backward") == "E07"


def test_exercises_that_were_right_are_passed_over(capsys):
    session._right.update(function.name for function in EXERCISES["E07"].functions)
    tutor.check("E06", named(loops, "max_pool"), named(loops_back, "max_pool_backward"))
    assert "Next: E08" in capsys.readouterr().out
    session._right.update(function.name for exercise in EXERCISES.values() for function in exercise.functions)
    tutor.check("E06", named(loops, "max_pool"))
    assert "Next" not in capsys.readouterr().out


def test_first_finding_is_the_only_one(capsys):
    module = types.ModuleType("mine")
    module.max_pool, module.max_pool_backward = (lambda x, kernel, stride: x), overwrites_the_winner
    report = tutor.check("E06", module)
    assert not report and report.finding.key == "contract.shape" and report.waiting == ("max_pool_backward",)
    assert capsys.readouterr().out.splitlines()[-1] == "max_pool_backward is not looked at yet: this comes first."


def test_hints_go_on_and_are_about_what_failed(capsys):
    tutor.check("E06", named(overwrites_the_winner, "max_pool_backward"))
    capsys.readouterr()
    for start in ("max_pool_backward, 1 of 3: ", "max_pool_backward, 2 of 3: ", "max_pool_backward, 3 of 3: ", "There are no more hints"):
        tutor.hint("E06")
        assert capsys.readouterr().out.startswith(start)
    tutor.hint("E06", "max_pool")
    assert capsys.readouterr().out.startswith("max_pool, 1 of 3")


def test_replay_is_the_call_of_the_message():
    report = tutor.check("E06", named(overwrites_the_winner, "max_pool_backward"))
    again = tutor.replay(f"E06-{report.finding.probe}")
    assert again.arguments["kernel"] == 3 and not np.array_equal(again.yours, again.right)
    assert "yours: float64 array of shape (2, 3, 7, 9)" in repr(again)
    with refuses(ShapeError, "replay: name must be E06-overlap, "):
        tutor.replay("E06-nowhere")


def test_replay_takes_a_function_that_was_not_checked():
    again = tutor.replay("E06-overlap", named(overwrites_the_winner, "max_pool_backward"), seed=1)
    assert again.arguments["kernel"] == 3 and not np.array_equal(again.yours, again.right)
    assert np.array_equal(tutor.replay("E06-overlap", named(loops, "max_pool")).yours, tutor.replay("E06-overlap").right)
    with refuses(ShapeError, "replay: a function of E06 must be called max_pool or max_pool_backward, got loops"):
        tutor.replay("E06-overlap", loops)


def test_replay_needs_a_call():
    with refuses(ShapeError, "replay: E06 must have been checked before, got no call so far"):
        tutor.replay("E06-overlap")


def test_solution_can_be_read_and_is_right(capsys):
    tutor.solution("E06")
    space = {"np": np}
    exec(capsys.readouterr().out, space)
    assert tutor.check("E06", space["max_pool"], space["max_pool_backward"])


def test_what_is_no_exercise_or_no_function_of_it():
    with refuses(ShapeError, "tutor: exercise must be E"):
        tutor.check("E99", loops)
    with refuses(ShapeError, "check: a function of E06 must be called max_pool or max_pool_backward, got loops"):
        tutor.check("E06", loops)
    with refuses(ShapeError, "check: a function of E06 must be called max_pool or max_pool_backward, got loops_back"):
        tutor.check("E06", named(loops, "max_pool"), loops_back)
    with refuses(ShapeError, "check: a function of E06 must be one that I can call, got 5.0; pass the function itself"):
        tutor.check("E06", 5.0)
    with refuses(ShapeError, "check: at least one of max_pool, max_pool_backward must be given, got none"):
        tutor.check("E06")
    with refuses(ShapeError, "tutor: language must be en or zh, got 'fr'"):
        tutor.check("E06", named(loops, "max_pool"), language="fr")


def test_finding_of_grade_can_be_repeated_at_home(capsys):
    report = tutor.check("E06", named(overwrites_the_winner, "max_pool_backward"), seed=1, sizes=2)
    assert 'tutor.replay("E06-overlap", max_pool_backward, seed=1, sizes=2)' in capsys.readouterr().out
    again = tutor.replay("E06-overlap", seed=1, sizes=2)
    assert again.arguments["x"].shape != tutor.replay("E06-overlap").arguments["x"].shape
    assert report.finding.numbers["right"] in {f"{value:.6g}" for value in again.right.ravel()}
    with refuses(ShapeError, "check: sizes must be at most 3, got 4"):
        tutor.check("E06", named(loops, "max_pool"), sizes=4)


def test_predictions_are_computed_and_need_a_guess(capsys):
    with refuses(ShapeError, "reveal: 02-a must be predicted first, got no guess"):
        tutor.reveal("02-a")
    tutor.predict("02-a", 3)
    answer = tutor.reveal("02-a")
    assert abs(answer - 6) < 1e-6 and answer._ipython_display_() is None  # a notebook does not show it again
    assert "You expected 3; it is 6." in capsys.readouterr().out
    assert {name[:2] for name in questions.PREDICTIONS} == {lesson.number for lesson in lessons_in(FOLDER)}
    assert questions.PREDICTIONS.keys() == answers.ANSWERS.keys()


@pytest.mark.parametrize(
    ("name", "guess", "says"),
    [("01-c", 12_345.6, "You expected 12,346; it is 65,536."), ("06-d", 1, "You expected 1; it is 10,000."),
     ("08-a", 1e300, "You expected 1e+300; it is 1,234."), ("06-b", 0.813, "You expected 0.813; it is 0.2069."),
     ("02-b", 1, "You expected 1; it is 2."), ("09-a", 50, "You expected 50 %; it is 96.17 %."),
     ("00-c", -15, "You expected 10**-15; it is 10**-5.")],
)  # fmt: skip
def test_reveal_writes_numbers_as_the_lessons_do(name, guess, says, capsys):
    tutor.predict(name, guess)
    tutor.reveal(name)
    assert says in capsys.readouterr().out.splitlines()


def test_answer_that_is_read_from_a_result_needs_the_file(monkeypatch, tmp_path):
    tutor.predict("11-a", 6)
    monkeypatch.setattr(later_answers, "FOLDER", tmp_path / "lessons")
    name = "examples/results/figure1/result.json"
    with refuses(DataError, f"reveal: {name} must hold the factor of setup 2012, got FileNotFoundError in reading it; clone the whole"):
        tutor.reveal("11-a")
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text('{"setups": {"2012": {"factor": {"tanh": {"train_error": {"value": null}}}}}}')
    with refuses(DataError, "must hold the factor of setup 2012, got TypeError in reading it"):
        tutor.reveal("11-a")


@pytest.mark.parametrize("name", questions.PREDICTIONS)
def test_each_question_ends_as_one_and_says_what_form_its_answer_has(name, capsys):
    one = questions.PREDICTIONS[name]
    assert one.question.endswith("?")
    assert max(map(len, one.question.splitlines())) <= 116  # a line of a notebook's output is not broken
    assert one.means.endswith(".") and one.form.startswith(("a number", "a whole number", "a factor", "a power", "the number"))
    tutor.predict(name, 1)
    expected = {questions.PERCENT: "1 %", questions.POWER: "10**1"}.get(one.form, "1")
    assert f"The answer is {one.form}.\nYou expect {expected}." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "about", "within"),
    [("00-a", 3.01, 1e-9), ("00-b", -11, 0.5), ("00-c", -5.5, 0.5), ("01-a", 50, 1), ("01-b", 2.3026, 1e-4), ("01-c", 65_536, 1e-6),
     ("02-b", 2, 0), ("02-c", 3, 0),
     ("03-a", 7.294, 0.001), ("04-a", 100 * (1 - (29 / 55) ** 2), 1e-9), ("05-a", 5.924, 0.001), ("06-a", 6.908, 0.001),
     ("05-b", 0.5945, 0.0005), ("05-c", 0.252, 0.005), ("05-d", 0.0198, 0.0005),  # see lesson 05
     ("06-b", 0.2069, 0.0001), ("06-c", -0.1869, 0.0001), ("06-d", 10_000, 0),
     ("03-b", 55, 0), ("03-c", 4, 0), ("04-b", 39.10, 1), ("04-c", 59.56, 1),  # see lesson 04: 39.10 and 59.56 are exact
     ("07-a", 10, 1e-6), ("07-b", 6.276, 0.001), ("07-c", 65.13, 0.01), ("08-a", 1234, 0), ("08-b", 2178, 0), ("08-c", 0, 0),
     ("08-d", 1483.0, 0.1), ("09-a", 96.17, 0.01), ("10-a", 1.558, 0.001),
     ("09-b", 91.91, 0.01), ("09-c", 195, 0), ("09-d", 60.965224, 1e-9), ("10-b", 4.408, 0.001), ("10-c", 100 / 2**0.5, 0.5),
     ("14-a", 2, 0), ("14-b", 12.025, 0.001), ("14-c", 8, 0),
     ("15-a", 1.153, 0.001), ("15-b", 6.727, 0.001), ("15-c", 0, 0), ("15-d", 100 * 25_557_032 / 60_965_224, 1e-9),
     ("16-a", 55.36, 0.01), ("16-b", 2, 0.01), ("16-c", 9.310, 0.001), ("16-d", 27, 1e-9), ("16-e", 91.36, 0.01), ("16-f", 2000, 1e-6),
     ("13-a", 4, 1), ("13-b", 4, 0), ("13-c", 3, 0), ("13-d", -5, 0),  # 13-a is measured
     ("11-c", 74**2, 1e-6), ("11-d", 76.5, 0.2), ("11-a", 8, 6), ("11-b", 2, 1)],  # the last two are read from our runs
)  # fmt: skip
def test_each_prediction_comes_to_what_its_lesson_says(name, about, within):
    assert abs(answers.ANSWERS[name]() - about) <= within
