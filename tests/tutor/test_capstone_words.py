"""What the capstone says is true of the net that it has run: no reason is given that does not hold there."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
import pytest
from PIL import Image

from tests.tutor.test_capstone import mistake_of
from tinyalex.tutor.capstone import beside, net, pictures
from tinyalex.tutor.capstone.calls import FUNCTIONS, ROUNDING
from tinyalex.tutor.capstone.engine import ENGINE
from tinyalex.tutor.capstone.student_code import used_by
from tinyalex.tutor.capstone.verdict import Verdict
from tinyalex.tutor.checking import examine
from tinyalex.tutor.submission import read


def said(functions, steps=1, forwards=None, uses=None):
    """The verdict on some functions, the engine's in the place of the others, and its paragraphs in English."""
    found, findings = beside.run(functions, steps=steps) | {"filled": []}, {}
    for one in found["wrong"]:
        name = one["function"]
        exercise, function = FUNCTIONS[name]
        finding = examine(exercise, function, functions[name], forward=(forwards or {}).get(name))
        findings |= {} if finding is None else {name: finding}
    verdict = Verdict("mine.py", found, findings, 10, uses=uses or {})
    for language in ("en", "zh"):
        assert "{" not in "".join(verdict.lines(language))
    return verdict, list(verdict.lines("en"))


# Shared memory


def twice(a, b):
    y = np.concatenate([a, b], axis=1)
    return y, y


def test_results_that_share_memory_are_seen_in_the_net_and_part_nowhere():
    verdict, lines = said({"exchange": twice})
    assert [one["kind"] for one in verdict.found["wrong"]] == ["outputs_share_memory"] and not verdict.agree and not verdict.right
    shared = "Its ya and its yb share their memory: a change of one changes the other."
    assert lines[0] == f"Not right, first seen in step 1 of 20, link3, forward: your exchange. {shared}"
    assert lines[-1] == "No number of the net differs." and not any("They part" in line for line in lines)
    assert verdict.exercise == "E12" and verdict.state("exchange") == "wrong"


def test_result_that_is_its_argument_is_seen_and_wrong_numbers_come_before_shared_memory():
    def dropout(x, p, rng, train):
        mask = rng.random(x.shape) >= p if train else np.ones(x.shape, bool)
        return (x * mask / (1 - p) if train else x), mask

    verdict, lines = said({"dropout": dropout})
    (wrong,) = verdict.found["wrong"]
    assert (wrong["kind"], wrong["step"]) == ("alias", 20) and "Its out shares its memory with the argument `x`" in lines[0]
    assert lines[0].startswith("Not right, first seen in the test after the last step, drop6 of tower a, forward: your dropout.")
    verdict, _ = said({"exchange": lambda a, b: twice(a[::-1], b)})
    assert [one["kind"] for one in verdict.found["wrong"]] == ["differs"]


# How small a difference is


def with_constant(logits, labels):
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    right = ENGINE["softmax_cross_entropy"](logits, labels)
    return -np.log(probs[np.arange(len(labels)), labels] + 1e-12).mean(), right[1]


def test_constant_in_a_logarithm_is_more_than_the_order_of_sums():
    verdict, lines = said({"softmax_cross_entropy": with_constant})
    assert verdict.agree and 10 * ROUNDING < verdict.found["rounding"]["softmax_cross_entropy"] < 1e-11
    assert "For the same arguments softmax_cross_entropy is off by up to " in lines[0] and "Probably a small constant is added" in lines[0]
    assert "order in which numbers" not in lines[0]


def test_another_order_of_sums_is_no_constant():
    def conv_forward(x, weight, bias, stride, padding, groups):
        x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
        k, c, h, w = weight.shape
        seen = np.lib.stride_tricks.sliding_window_view(x, (h, w), (2, 3))[:, :, ::stride, ::stride]
        out = np.zeros((len(x), k, *seen.shape[2:4]))
        for g, at, j, i in np.ndindex(groups, c, w, h):
            some = slice(g * k // groups, (g + 1) * k // groups)
            out[:, some] += weight[some, at, i, j, None, None] * seen[:, g * c + at, None, :, :, i, j]
        return (out + bias[:, None, None],)[0]

    verdict, lines = said({"conv_forward": conv_forward})
    assert 0 < verdict.found["rounding"]["conv_forward"] < ROUNDING / 3
    assert lines[0].endswith("What is left comes from the order in which numbers are added.")


# Why the rest differs


def test_dropout_that_is_wrong_at_test_time_alone_changes_no_gradient():
    wrong = {"dropout": lambda x, p, rng, train: (x * (1 - p), np.ones(x.shape)) if not train else ENGINE["dropout"](x, p, rng, train)}
    verdict, lines = said(wrong)
    assert lines[0].startswith("They part in the test after the last step, drop6 of tower a, forward: your dropout.")
    (why,) = [line for line in lines if line.startswith("Why")]
    assert "Training is over by then: no gradient and no weight differs." in why and "every gradient" not in why
    assert verdict.found["apart"] == 3


def test_loss_that_is_wrong_alone_changes_nothing_and_one_with_its_gradient_does():
    summed = mistake_of("softmax_cross_entropy", "loss summed")
    verdict, lines = said({"softmax_cross_entropy": summed})
    assert lines[0].startswith("They part in step 1 of 20, loss, forward: your softmax_cross_entropy. For the same arguments, its loss")
    assert "Nothing else follows from the loss: the backward pass begins with dlogits, and that is right." in lines
    assert lines[-1].startswith("Of the 35 rows of the page's table") and "this one alone differs" in lines[-1]
    assert verdict.found["apart"] == 1

    def both(logits, labels):
        loss, dlogits = ENGINE["softmax_cross_entropy"](logits, labels)
        return 2 * loss, 2 * dlogits

    _, lines = said({"softmax_cross_entropy": both})
    assert any(line.startswith("Why the rest differs: its dlogits is not right either.") for line in lines)


def not_scaled(x, p, rng, train):
    mask = rng.random(x.shape) >= p if train else np.ones(x.shape, bool)
    return x * mask, mask


def test_derivative_of_an_own_wrong_forward_pass_is_not_called_wrong_by_itself():
    wrong = {"dropout": not_scaled, "dropout_backward": lambda dout, mask, p: dout * mask}
    verdict, lines = said(wrong, forwards={"dropout_backward": not_scaled})
    text = "\n".join(lines)
    assert "Wrong by itself" not in text and "The derivation holds." in text
    assert "Different too, first seen in step 1 of 20, drop6 of tower a, backward: your dropout_backward. It is the derivative" in text
    assert verdict.state("dropout") == "wrong" and verdict.state("dropout_backward") == "follows"


def test_two_functions_that_call_one_helper_are_not_called_wrong_by_themselves():
    wrong = {name: mistake_of(name, FUNCTIONS[name][1].mistakes[0].key) for name in ("lrn", "lrn_backward")}
    for uses, says in (
        ({"lrn": ("sums",), "lrn_backward": ("other", "sums")}, "lrn_backward and lrn both call your `sums`: one mistake"),
        ({"lrn_backward": ("sums", "lrn")}, "lrn_backward calls your lrn: the mistake there"),
        ({"lrn": ("lrn_backward",)}, "Your lrn calls lrn_backward: the mistake in lrn_backward"),
    ):
        verdict, lines = said(wrong, uses=uses)
        assert any(line.startswith("Not right either, first seen in step 1 of 20, norm1 of tower a, backward") for line in lines)
        assert says in "\n".join(lines) and verdict.state("lrn_backward") == "also"
    verdict, lines = said(wrong, uses={"lrn": ("one",), "lrn_backward": ("other",)})
    assert any(line.startswith("Wrong by itself too, first seen in step 1") for line in lines) and verdict.state("lrn_backward") == "wrong"


def test_functions_that_are_called_are_found_through_others(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def sums(a):\n    return inner(a)\n\ndef inner(a):\n    return a\n\ndef alone():\n    pass\n\n"
        "def lrn(a, n, k, alpha, beta):\n    return sums(a)\n\ndef lrn_backward(dout, a, n, k, alpha, beta):\n    return lrn(a)\n"
    )
    submission = read(tmp_path / "mine.py", ["lrn"])
    assert used_by(submission, "lrn") == ("sums", "inner")
    assert used_by(submission, "lrn_backward") == ("lrn", "sums", "inner") and used_by(submission, "lrn_backward", ["lrn"]) == ()


# The curve


def test_masks_and_batches_that_take_turns_are_what_makes_the_curve_go_up_and_down(monkeypatch):
    def bends():
        return np.abs(np.diff(beside.run({})["losses"]["engine"][: net.STEPS], 2)).mean()

    both = bends()
    monkeypatch.setattr(net, "DROPPED", 0.0)
    batches_alone = bends()
    monkeypatch.setattr(net, "BATCHES", 1)
    assert both > 1.3 * batches_alone > 5 * bends()


# The pictures


def pixel(address):
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).getpixel((0, 0))[:3]


@pytest.mark.parametrize(("weight", "shade"), [(2.0, 255), (-1.0, 64), (1e9, 255), (-math.inf, 128), (math.nan, 128)])
def test_filters_have_the_scale_that_is_asked_for(weight, shade):
    assert pixel(pictures.filters(np.full((1, 3, 5, 5), weight), 2.0)) == (shade,) * 3
