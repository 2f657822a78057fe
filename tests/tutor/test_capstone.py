"""Your AlexNet beside the engine's: the net is the engine's own, and every wrong function is told by its name."""

from __future__ import annotations

import importlib.util
import json
import math

import numpy as np
import pytest

import tinyalex as ta
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.towers import Exchange, Gather
from tinyalex.tutor.capstone import beside, net
from tinyalex.tutor.capstone.calls import FUNCTIONS, ROUNDING, TOLERANCE, StudentCalls, difference
from tinyalex.tutor.capstone.engine import ENGINE, LINES, lines_of
from tinyalex.tutor.capstone.verdict import Verdict
from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercise import slug
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.guard import time_limit_of_calls
from tinyalex.tutor.session import SOLUTIONS


def solutions():
    """The functions of lessons/solutions by name."""
    found = {}
    for path in sorted(SOLUTIONS.glob("e*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= {name: getattr(module, name) for name in ENGINE if hasattr(module, name)}
    return found


def verdict_of(found, **functions):
    """The verdict with what the tutor finds, without processes."""
    findings = {}
    for one in found["wrong"]:
        exercise, function = FUNCTIONS[one["function"]]
        finding = examine(exercise, function, functions[one["function"]])
        findings |= {} if finding is None else {one["function"]: finding}
    return Verdict("mine.py", found | {"filled": []}, findings, 10)


# The net


def engine_layers(w):
    """The same net of the engine's layers, without dropout: what each part is made of, and all parts that hold weights."""
    same, parts = {"dtype": np.float64, "rng": np.random.default_rng(0)}, {}
    for t in net.TOWERS:
        k2, k3, units = (net.SHAPES[layer][t][0] for layer in ("conv2", "conv3", "fc6"))
        parts[f"conv1{t}"] = ta.Conv2d(3, 6, 5, stride=2, input_gradient=False, name=f"conv1{t}", **same)
        parts[f"conv2{t}"] = ta.Conv2d(6, k2, 3, padding=1, groups=2, name=f"conv2{t}", **same)
        parts[f"conv3{t}"] = ta.Conv2d(14, k3, (3, 2), padding=1, name=f"conv3{t}", **same)
        parts[f"fc6{t}"] = ta.Linear(81, units, name=f"fc6{t}", **same)
    for layer, (out, into) in net.CHAIN.items():
        parts[layer] = ta.Linear(into, out, name=layer, **same)
    for name, layer in parts.items():
        layer.params["weight"][...], layer.params["bias"][...] = w[f"{name}.weight"], w.get(f"{name}.bias", 0)
    return parts


@pytest.fixture
def no_dropout(monkeypatch):
    monkeypatch.setattr(net, "DROPPED", 0.0)


def test_net_is_the_one_of_the_engines_layers(no_dropout):
    """Two steps of the capstone's net against `Conv2d`, `Exchange`, `Gather`, `SGD` and the other layers."""
    w, calls = net.weights(), StudentCalls({})
    velocity = {name: np.zeros_like(one) for name, one in w.items()}
    parts = engine_layers(w)
    same = {"dtype": np.float64}
    links = [Exchange(("cpu:0", "cpu:1"), name=f"link{k}", **same) for k in (3, 6)]
    gather, loss = Gather(("cpu:0", "cpu:1"), **same), SoftmaxCrossEntropy(**same)
    between = {t: {kind: make(**same) for kind, make in (("relu1", ta.ReLU), ("norm1", ta.LocalResponseNorm), ("relu2", ta.ReLU),
               ("relu3", ta.ReLU), ("flat", ta.Flatten), ("tanh", ta.Tanh))} | {"pool1": ta.MaxPool2d(3, stride=2, **same)}
               for t in net.TOWERS}  # fmt: skip
    stages = [["conv1", "relu1", "norm1", "pool1", "conv2", "relu2"], ["conv3", "relu3"], ["flat", "fc6", "tanh"]]
    relu7 = ta.ReLU(**same)
    lifts = {name: np.zeros_like(one) for name, one in w.items()}

    def layer(name, t):
        return between[t].get(name) or parts[f"{name}{t}"]

    def through(t, x, stage):
        for name in stage:
            x = layer(name, t).forward(x, train=True)
        return x

    def back(t, dout, stage):
        for name in reversed(stage):
            dout = layer(name, t).backward(dout)
        return dout

    for step in range(2):
        x, labels = net.batch(step)
        logits, kept = net.forward(calls, w, x, True, step)
        value, dlogits = calls.call(net.Place("loss", "", net.FORWARD), "softmax_cross_entropy", logits, labels)
        net.update(calls, w, velocity, net.backward(calls, w, dlogits, kept))

        halves = (x, x)
        for stage, link in zip(stages, [*links, None], strict=True):
            halves = tuple(through(t, half, stage) for t, half in zip(net.TOWERS, halves, strict=True))
            halves = halves if link is None else link.forward(halves, train=True)
        both = gather.forward(halves, train=True)
        hidden = relu7.forward(parts["fc7"].forward(both, train=True), train=True)
        engine_logits = parts["fc8"].forward(hidden, train=True) + parts["short"].forward(both, train=True)
        assert np.abs(engine_logits - logits).max() < 1e-13
        assert float(loss.forward(engine_logits, labels, train=True)) == pytest.approx(float(value), abs=1e-14)
        dout = loss.backward()
        dboth = parts["fc7"].backward(relu7.backward(parts["fc8"].backward(dout))) + parts["short"].backward(dout)
        halves = gather.backward(dboth)
        for stage, link in zip(reversed(stages), [*reversed(links), None], strict=True):
            halves = tuple(back(t, half, stage) for t, half in zip(net.TOWERS, halves, strict=True))
            halves = halves if link is None else link.backward(halves)
        for name, part in parts.items():
            for key in part.params:
                full = f"{name}.{key}"
                if full in w:
                    lifts[full] = net.MOMENTUM * lifts[full] - net.LR * (part.grads[key] + net.DECAY * part.params[key])
                    part.params[key] += lifts[full]
                    assert np.abs(part.params[key] - w[full]).max() < 1e-13, full
                part.grads[key][...] = 0


def test_gradients_are_the_slopes_of_the_loss():
    """Centered differences of some weights of every layer, with dropout."""
    w = net.weights()
    x, labels = net.batch(0)

    def loss_of(weights):
        calls = StudentCalls({})
        logits, kept = net.forward(calls, weights, x, True, 0)
        value, dlogits = calls.call(net.Place("loss", "", net.FORWARD), "softmax_cross_entropy", logits, labels)
        return float(value), (calls, dlogits, kept)

    _, (calls, dlogits, kept) = loss_of(w)
    grads = net.backward(calls, w, dlogits, kept)
    assert set(grads) == set(w)
    for name, grad in grads.items():
        at = tuple(size // 2 for size in grad.shape)
        ends = []
        for h in (1e-5, -1e-5):
            moved = {key: one.copy() for key, one in w.items()}
            moved[name][at] += h
            ends.append(loss_of(moved)[0])
        assert grad[at] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-8), name


def test_every_function_of_e02_to_e10_and_e12_is_the_engines_somewhere():
    others = ("E01", "E11", "E13")  # they measure, plan, and normalize a batch, which no layer of the paper's net does
    wanted = [function.name for key, exercise in EXERCISES.items() if key not in others for function in exercise.functions]
    assert list(FUNCTIONS) == wanted and set(ENGINE) == set(LINES) == set(wanted)
    assert all(text.strip() for name in wanted for _, text in lines_of(name))


def test_all_solutions_agree():
    told = []
    found = beside.run(solutions(), told=told.append)
    assert found["wrong"] == [] and found["first"] is None and found["apart"] == 0
    assert 0 < found["largest"] < 1e-13 < TOLERANCE
    losses = found["losses"]
    assert np.abs(np.subtract(losses["yours"], losses["engine"])).max() < 1e-13 and losses["yours"][-1] < 0.6 * losses["yours"][0]
    assert set(found["calls"]) == set(ENGINE) and min(found["calls"].values()) >= net.STEPS
    assert told == list(range(net.STEPS + 1)) and len(losses["yours"]) == net.STEPS + 1
    verdict = verdict_of(found)
    assert verdict.agree and verdict.exercise == ""
    said, more = verdict.lines("en")
    assert said.startswith("Your AlexNet and the engine's agree: in 20 steps and 1,277 calls of your functions, no number differs")
    assert said.endswith("What is left comes from the order in which numbers are added.") and "finds nothing wrong either" in more
    assert set(found["rounding"]) == set(ENGINE) and max(found["rounding"].values()) < ROUNDING / 5


# Wrong functions

PLANTED = [
    ("relu_backward", "lets all through"), ("tanh_backward", "no square"),
    ("linear_backward", 0), ("linear_backward", 1), ("chain_backward", 0), ("chain_backward", 1),
    ("conv_forward", 0), ("conv_forward", 1), ("conv_backward", 0), ("conv_backward", 1),
    ("conv_backward_groups", 0), ("max_pool", 1), ("max_pool_backward", 0), ("max_pool_backward", 1),
    ("lrn", 0), ("lrn_backward", 0), ("lrn_backward", 1), ("softmax_cross_entropy", "loss summed"),
    ("softmax_cross_entropy", "gradient of the sum"),
    ("sgd_step", 0), ("sgd_step", 1), ("dropout", "not scaled"), ("dropout", "again at test time"), ("dropout_backward", 0),
    ("exchange", "b first"), ("exchange_backward", "not sent back"), ("exchange_bytes", "elements"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "mistake"), PLANTED)
def test_planted_mistake_is_told_as_its_function_and_its_finding(name, mistake):
    exercise, function = FUNCTIONS[name]
    planted = function.mistakes[mistake] if isinstance(mistake, int) else next(one for one in function.mistakes if one.key == mistake)
    found = beside.run({name: planted.compute}, steps=2)
    assert [one["function"] for one in found["wrong"]] == [name]
    verdict = verdict_of(found, **{name: planted.compute})
    assert not verdict.agree and verdict.exercise == exercise.key
    assert verdict.findings[name].key == f"{exercise.key}.{slug(planted.key)}"
    for language in ("en", "zh"):
        text = "\n".join(verdict.lines(language, "tinyalex"))
        assert name in text and verdict.findings[name].text(language).splitlines()[1][:20] in text and "{" not in text, text


def test_where_a_loss_is_right_and_its_gradient_is_not_the_rest_follows_backward():
    wrong = {"softmax_cross_entropy": mistake_of("softmax_cross_entropy", "gradient of the sum")}
    found = beside.run(wrong, steps=2)
    said = list(verdict_of(found, **wrong).lines("en"))
    assert said[0].startswith("They part in step 1 of 20, loss, backward: your softmax_cross_entropy. For the same arguments, its dlogits")
    assert said[2].startswith("Why the rest differs: the forward pass of this step agrees.")
    assert said[3].startswith("Of the 35 rows of the page's table (a layer and a direction, both towers together), 35 differ in the end")
    assert len(found["rows"]) == 35


def mistake_of(name, key):
    return next(one.compute for one in FUNCTIONS[name][1].mistakes if one.key == key)


def test_two_wrong_functions_are_both_told_the_first_one_first():
    wrong = {"lrn_backward": mistake_of("lrn_backward", FUNCTIONS["lrn_backward"][1].mistakes[0].key),
             "sgd_step": mistake_of("sgd_step", FUNCTIONS["sgd_step"][1].mistakes[0].key)}  # fmt: skip
    found = beside.run(wrong, steps=2)
    assert [one["function"] for one in found["wrong"]] == ["lrn_backward", "sgd_step"]
    assert (found["first"]["layer"], found["first"]["direction"], found["first"]["step"]) == ("norm1", "backward", 0)
    text = "\n".join(verdict_of(found, **wrong).lines("en"))
    assert "E07 lrn_backward:" in text and "E09 sgd_step:" in text and text.count("Why the rest differs") == 1
    assert "Wrong by itself too, first seen in step 1 of 20, fc7-8, update: your sgd_step." in text


# Functions that cannot be used


def endless(dout, x):
    while True:
        pass


def fails(dout, x):
    return dout[x > 0, 5, 5, 5, 5, 5]


def changes(dout, x):
    dout *= x > 0
    return dout.copy()


def prints(dout, x):
    print("here", dout)
    return dout * (x > 0)


KINDS = {
    endless: "One call did not come to an end within 0.3 seconds, and was stopped at line ",
    fails: "It stopped at line ",
    changes: "It changes its argument `dout`, which the net still needs.",
    (lambda dout, x: None): "It returned None where dx should come.",
    (lambda dout, x: (dout, x)): "It returned 2 values where dx should come.",
    (lambda dout, x: dout[:1]): "Its dx has the shape (1, ",
    (lambda dout, x: "text"): "Its dx is of the type str, and no array of numbers.",
    (lambda dout, x: dout / 0): "Its dx holds NaN or infinite numbers.",
    (lambda dout, x: (dout * (x > 0)).astype(np.float32)): "For the same arguments, its dx differs from the engine's by up to ",
}


@pytest.mark.parametrize(("function", "says"), KINDS.items(), ids=range(len(KINDS)))
def test_function_that_cannot_be_used_is_told_and_replaced(function, says):
    with time_limit_of_calls(0.3):
        found = beside.run({"relu_backward": function}, steps=2)
    (wrong,) = found["wrong"]
    assert (wrong["function"], wrong["step"], wrong["layer"], wrong["tower"], wrong["direction"]) == (
        "relu_backward", 0, "relu3", "a", "backward")  # fmt: skip
    verdict = Verdict("mine.py", found | {"filled": []}, {}, 0.3)
    said = list(verdict.lines("en"))
    parts = "Not right, first seen" if function is changes else "They part"
    assert said[0].startswith(f"{parts} in step 1 of 20, relu3 of tower a, backward: your relu_backward. {says}"), said[0]
    if wrong["kind"] != "differs":
        assert found["apart"] == 0
        replaced = "No other number of the net differs, but only because the engine's function took the place of yours."
        assert said[-1] == ("No number of the net differs." if function is changes else replaced)
    json.dumps(verdict.document(), allow_nan=False)


def test_function_that_prints_or_is_not_written_after_all_or_gives_other_numbers_that_are_right():
    found = beside.run({"relu_backward": prints, "tanh_backward": lambda dout, out: list((1 - out**2) * dout)}, steps=2)
    assert found["wrong"] == [] and found["unwritten"] == []

    def later(dout, x):
        print("not yet")
        raise NotImplementedError("later")

    found = beside.run({"relu_backward": later}, fill=False)
    assert found["unwritten"] == ["relu_backward"] and len(found["losses"]["yours"]) == 1


def shares(dout, x, kernel, stride):
    """Of pixels that are equal, each gets its part."""
    dx = np.zeros_like(x)
    for y, z in np.ndindex(*dout.shape[2:]):
        at = np.s_[:, :, y * stride : y * stride + kernel, z * stride : z * stride + kernel]
        wins = x[at] == x[at].max(axis=(2, 3), keepdims=True)
        dx[at] += wins * (dout[:, :, y, z] / wins.sum(axis=(2, 3)))[:, :, None, None]
    return dx


def test_ties_of_pooling_may_go_where_they_like_but_not_be_lost():
    x = np.maximum(np.random.default_rng(0).standard_normal((2, 3, 7, 5)), 0)
    x[0, :, :4] = 0  # whole windows of zeros
    place, dout = net.Place("pool1", "a", net.BACKWARD), np.random.default_rng(1).standard_normal((2, 3, 3, 2))
    for function, wrong in ((shares, []), (lambda *given: shares(*given) * (x != 0), ["max_pool_backward"])):
        calls = StudentCalls({"max_pool_backward": function})
        calls.call(place, "max_pool_backward", dout, x, 3, 2, only=x != 0)
        assert list(calls.wrong) == wrong


@pytest.mark.parametrize("keeps", [0.3, 0.5, 1.0])
def test_dropout_that_keeps_another_share_is_found_out(keeps):
    def dropout(x, p, rng, train):
        mask = rng.random(x.shape) < keeps if train else np.ones(x.shape, bool)
        return x * mask / (1 - p if train else 1), mask

    (wrong,) = beside.run({"dropout": dropout})["wrong"]
    assert wrong["kind"] == "share" and wrong["function"] == "dropout"


@pytest.mark.parametrize(("key", "kind"), [("fixed seed", "again"), ("one mask for the batch", "one_mask"), ("normal noise", "share")])
def test_dropout_that_does_not_draw_anew_is_found_out(key, kind):
    wrong = {"dropout": mistake_of("dropout", key)}
    found = beside.run(wrong)
    assert [(one["function"], one["kind"]) for one in found["wrong"]] == [("dropout", kind)] and found["first"] is None
    said = list(verdict_of(found, **wrong).lines("en"))
    assert "E10 dropout" in said[1]
    assert said[-1] == "No number of the net differs, but only because the engine's net takes your masks."


def test_mask_of_other_numbers_is_told():
    (wrong,) = beside.run({"dropout": lambda x, p, rng, train: (x.copy(), 2 * np.ones(x.shape))}, steps=1)["wrong"]
    assert wrong["kind"] == "mask"


def test_difference_counts_what_both_lack_as_equal():
    nan, inf = math.nan, math.inf
    assert difference([nan, inf, 1], [nan, inf, 1]) == (0.0, False)
    assert difference([nan, 1], [2, 1]) == (inf, True) and difference([1.0], [1.0, 2.0])[1]
    assert difference(1e6 + 1e-5, 1e6)[1] is False and difference(1 + 2e-10, 1.0)[1] is True
    assert difference([1.0, 5.0], [1.0, 2.0], np.array([True, False])) == (0.0, False)


def test_nothing_written_says_so():
    found = beside.run({}, steps=1) | {"filled": list(ENGINE)}
    assert list(Verdict("mine.py", found, {}, 10).lines("en")) == [
        "No function of mine.py is written yet, so both nets are the engine's. The page shows what will be called."
    ]


def test_rounding_that_grew_is_told_as_such():
    found = beside.run({}, steps=1) | {"filled": [], "largest": 3e-10}
    found["first"] = {"layer": "loss", "tower": "", "direction": "forward", "step": 4, "at": 9, "function": "", "difference": 3e-10}
    (said,) = Verdict("mine.py", found, {}, 10).lines("en")
    assert said.startswith("They part by 3e-10, in step 5 of 20, loss, forward, although each function agrees")


def test_bytes_that_were_counted_wrong_change_nothing_else():
    wrong = {"exchange_bytes": mistake_of("exchange_bytes", "elements")}
    found = beside.run(wrong, steps=1)
    assert found["first"] is None and found["apart"] == 0 and found["largest"] == 0
    said = list(verdict_of(found, **wrong).lines("en"))
    counted = "Its to_a is 252 bytes, where the engine counts 2016."
    assert said[0] == f"They part in step 1 of 20, link3, forward: your exchange_bytes. {counted}"
    assert said[-1] == "No number of the net differs, but only because no layer reads the bytes."


def test_why_is_said_of_the_function_from_which_the_rest_follows():
    wrong = {"softmax_cross_entropy": lambda logits, labels: None, "tanh_backward": mistake_of("tanh_backward", "no square")}
    found = beside.run(wrong, steps=1)
    said = list(verdict_of(found, **wrong).lines("en"))
    assert [one["function"] for one in found["wrong"]] == list(wrong) and said[0].startswith("They part in step 1 of 20, loss, forward")
    why = "Why the rest differs: the forward pass of this step agrees. The gradient goes on to the layers in front of tanh6"
    assert said[4].startswith(why)


def test_rounding_of_large_products_is_no_mistake():
    """Where a net has gone astray, sums of large products nearly cancel, and another order of adding gives other digits."""
    a, b = np.random.default_rng(0).standard_normal((2, 7, 200)) * 1e6
    dout, weight = np.concatenate([a, a], axis=1), np.concatenate([b, -b], axis=1).T

    def backward(dout, x, weight):
        return dout[:, ::-1] @ weight[::-1], dout.T @ x, dout.sum(axis=0)

    calls = StudentCalls({"linear_backward": backward})
    calls.call(net.Place("fc6", "a", net.BACKWARD), "linear_backward", dout, np.ones((7, 7)), weight)
    right, *_ = ENGINE["linear_backward"](dout, np.ones((7, 7)), weight)
    assert calls.wrong == {} and difference(calls.notes[0].outputs[0], right)[1]
    calls = StudentCalls({"linear_backward": lambda *given: tuple(one * (1 + 1e-3) for one in backward(*given))})
    calls.call(net.Place("fc6", "a", net.BACKWARD), "linear_backward", dout, np.ones((7, 7)), weight)
    assert list(calls.wrong) == ["linear_backward"]
