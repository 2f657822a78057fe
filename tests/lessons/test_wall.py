"""The wall of wrong curves: each run is trained afresh, and its curve shows what the answer says, and none of the other answers."""

import dataclasses
import re
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from lessons.__main__ import main
from lessons.extra import LessonError
from lessons.wall import bugs, page, picture, record, run
from lessons.wall.bugs import BUGS, RIGHT, letter
from tinyalex.data import Standardize
from tinyalex.geometry import windows_of
from tinyalex.layers import MaxPool2d
from tinyalex.layers.pool import max_pool, max_pool_backward

RUNS = record.runs()
STORED = record.read()


@cache
def afresh(name):
    return run.trained(RUNS[name])


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.key)
def test_curve_shows_what_its_answer_says_and_no_other_answer(bug):
    curve = afresh(bug.key)
    assert [other.key for other in BUGS if other.holds(curve, afresh("right"))] == [bug.key]


def test_right_curve_shows_no_answer():
    right = afresh("right")
    assert [bug.key for bug in BUGS if bug.holds(right, right)] == []
    assert right.loss[0] == pytest.approx(run.GUESS, abs=0.05) and run.smooth(right)[-1] < 1.2 and not right.says


@pytest.mark.parametrize("name", ["right", "rate", "sum", "zero", "mask"])
def test_stored_curve_is_that_of_now(name):
    """Later steps differ from machine to machine, because sums are rounded in another order."""
    np.testing.assert_allclose(STORED[name].loss[:8], afresh(name).loss[:8], rtol=0.02)


def test_stored_curves_pass_the_check_of_the_command():
    record.check(STORED)
    assert all(np.isfinite(curve.loss).all() for curve in STORED.values())


@pytest.mark.parametrize(("change", "message"), [
    ({"rate": "right"}, "the curve of 'rate' must show what the answer of 'rate' says"),
    ({"right": "momentum"}, "the curve of 'right' must not show what the answer of 'momentum' says"),
    ({"labels": "dead"}, "the curve of 'labels' must not show what the answer of 'dead' says"),
    ({"dead-twin": "right"}, "the twin of 'dead' must show what its answer says"),
])  # fmt: skip
def test_curve_that_shows_something_else_is_refused(change, message):
    with pytest.raises(LessonError, match=re.escape(message)):
        record.check(STORED | {name: STORED[other] for name, other in change.items()})


def test_twins_cannot_be_told_apart():
    twins = [bug for bug in BUGS if bug.twin is not None]
    assert [bug.key for bug in twins] == ["dead", "momentum", "pool"]
    for bug in twins[:2]:
        near = run.apart(STORED[bug.key], STORED[f"{bug.key}-twin"])
        assert near < 0.05 * run.apart(STORED[bug.key], STORED["right"])
    pool, right = STORED["pool"], STORED["right"]
    assert run.apart(pool, right) < run.apart(right, STORED["pool-twin"])
    assert all(run.apart(pool, right) < run.apart(STORED[bug.key], right) / 3 for bug in BUGS if bug.key not in ("pool", "test", "mask"))


def test_each_bug_is_one_edit_of_the_right_run():
    for bug in BUGS:
        assert 1 <= len(page.edit(bug)) <= 2 and dataclasses.replace(bug.run) != RIGHT, bug.key
        assert len({bug.key, *bug.like}) == 3 and {*bug.like} <= {other.key for other in BUGS}, bug.key
    for text in ("name", "shows", "why", "sure", "heard", "key"):
        assert len({getattr(bug, text) for bug in BUGS}) == 12, text
    assert [letter(bug) for bug in BUGS] == list("ABCDEFGHIJKL")


def test_planted_functions_are_wrong_as_their_names_say():
    windows = windows_of("pool", (5, 5), (3, 3), (2, 2), (0, 0, 0, 0), False)
    x = np.zeros((1, 1, 5, 5))
    x[0, 0, 2, 2] = 1  # wins in all four windows
    _, winner = max_pool(x, windows)
    dout = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert max_pool_backward(dout, winner, windows)[0, 0, 2, 2] == 10
    assert bugs.overwrites(dout, winner, windows)[0, 0, 2, 2] in (1, 2, 3, 4)
    pool = bugs.OverwritingPool(3, stride=2, algorithm="plain", dtype=np.float64)
    pool.forward(x, train=True)
    assert pool.backward(dout)[0, 0, 2, 2] < 10 and MaxPool2d.plain[1] is max_pool_backward
    images, labels = run.data()[0]
    assert not np.array_equal(bugs.shuffled((images, labels))[1], labels)
    assert len(np.unique(bugs.one_batch((images, labels))[0], axis=0)) == run.BATCH < len(np.unique(images, axis=0))
    assert set(bugs.next_label((images, labels))[1] - labels) == {1, -9}
    assert all(before <= after for before, after in pairwise(labels[bugs.by_label(labels)]))


def bug_of(key):
    return next(bug for bug in BUGS if bug.key == key)


def first_outputs(key):
    """What each layer makes of the first batch, before the first step."""
    net, (images, _), found = bug_of(key).run.net(), run.data()[0], {}
    x = Standardize.fit(images)(images[: run.BATCH])
    for layer in net.layers:
        x = found[layer.name] = layer.forward(x)
    return found


def test_units_that_the_answers_call_dead_or_alive_before_the_first_step():
    assert 0 < (first_outputs("dead")["relu1"] > 0).mean() < 0.01 and not first_outputs("dead")["relu2"].any()
    assert all(0.4 < (first_outputs("rate")[name] > 0).mean() < 0.6 for name in ("relu1", "relu2", "relu3"))
    fc3 = first_outputs("bias")["fc3"]
    assert (fc3 > 0).all() and 0.0003 < fc3.std(axis=0).mean() / fc3.mean() < 0.0007


def test_second_of_two_equal_gradients_moves_the_weights_as_the_answers_say():
    for key, factor in (("momentum", 1), ("right", 1.9), ("momentum-twin", 1.9), ("zero", 2.9)):
        wanted = RUNS[key]
        net = wanted.net()
        sgd, weight, steps = wanted.sgd(net, lr=wanted.lr, momentum=wanted.momentum, weight_decay=0), net.params["fc4.weight"], []
        for _ in range(2):
            before = weight.copy()
            net.grads["fc4.weight"][...] = 1
            sgd.step()
            steps.append(weight - before)
        np.testing.assert_allclose(steps[1], factor * steps[0], rtol=1e-3)


@pytest.mark.parametrize(("key", "least", "most"), [
    ("dead", 2.29, 2.31), ("bias", 2.29, 2.32), ("zero", 2.4, 2.7), ("order", 2.2, 2.3), ("mask", 1.5, 2.25),
])  # fmt: skip
def test_a_tenth_of_the_rate_mends_none_of_these(key, least, most):
    wrong = bug_of(key).run
    lower = run.trained(dataclasses.replace(wrong, lr=wrong.lr / 10))
    assert len(lower.loss) == run.STEPS and least < run.smooth(lower)[-1] < most


def test_page_is_that_of_the_record_and_names_no_bug_outside_of_the_answers():
    text = page.PAGE.read_text("utf-8")
    assert text == page.markdown(STORED)
    outside = re.sub(r"<details>.*?</details>", "", text.split("## The wall")[1], flags=re.DOTALL)
    assert not [bug.name for bug in BUGS if bug.name.lower() in outside.lower()]
    assert text.count("<details>") == text.count("</details>") == 12 and "synthetic" in text
    for alt, file in re.findall(r"!\[(.*?)\]\((.*?)\)", text):
        assert len(alt) > 60 and (page.PAGE.parent / file).is_file(), file
    names = {file.name for file in picture.FOLDER.iterdir()}
    assert names == set(re.findall(r"pictures/([\w-]+\.png)", text))


def test_pictures_are_small_and_fit_a_phone():
    sizes = {path.name: path.stat().st_size for path in picture.FOLDER.iterdir()}
    assert sum(sizes.values()) < 2**20
    for name in sizes.keys() - {"wall.png"}:
        with Image.open(picture.FOLDER / name) as image:
            assert image.width <= 500


def test_command_trains_checks_and_writes(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(record, "trained", lambda wanted: STORED[next(name for name, one in RUNS.items() if one is wanted)])
    written = {}
    monkeypatch.setattr(record, "RECORD", tmp_path / "curves.json")
    monkeypatch.setattr(page, "PAGE", tmp_path / "CURVES.md")
    monkeypatch.setattr(picture, "write", written.update)
    assert main(["wall"]) == 0
    assert capsys.readouterr().out == "12 curves, each told from the others; see CURVES.md\n"
    assert (tmp_path / "CURVES.md").read_text("utf-8") == page.markdown(STORED) and set(written) == set(RUNS)
    monkeypatch.setattr(record, "trained", lambda wanted: STORED["right"])
    assert main(["wall"]) == 1
    assert "the curve of 'rate' must show what the answer of 'rate' says" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"right": {}}', '{"right": 1}'])
def test_record_that_is_missing_or_damaged_is_refused(tmp_path, content):
    path = tmp_path / "curves.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(LessonError, match="python -m lessons wall"):
        record.read(path)


def test_pictures_are_drawn(tmp_path):
    few = {"right": STORED["right"], "mask": STORED["mask"]}
    for fig in (picture.one(few["mask"], few["right"]), picture.one(few["right"], few["right"], few["mask"], "a twin")):
        fig.savefig(tmp_path / "one.png")
        fig.clear()
    assert "stops at step" in picture.described(few["mask"]) and "stops" not in picture.described(few["right"])
