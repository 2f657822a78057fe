"""Every workload on tiny inputs: that tinyalex's side runs, that a wrong answer is seen, that operations are counted right."""

import numpy as np
import pytest

from benchmarks import child, later, layers, steps, weighted
from benchmarks.agreement import DisagreementError, worst_error
from benchmarks.table import WORKLOADS
from benchmarks.workload import Setting
from tinyalex.analysis import count, totals
from tinyalex.models import alexnet
from tinyalex.models.alexnet import PAPER
from tinyalex.models.later.rows import build_net, flat
from tinyalex.models.rows import weight_shapes

ONE = Setting(threads=1)


def answer(workload, side="tinyalex", setting=ONE):
    return workload.sides[side](workload.inputs(True), setting).answer()


@pytest.fixture(params=WORKLOADS.values(), ids=list(WORKLOADS))
def workload(request):
    return request.param


def test_tinyalex_side_runs_and_its_answer_stays_with_the_worker_count(workload):
    job = workload.sides["tinyalex"](workload.inputs(True), ONE)
    assert child.run(job, 2) > 0
    assert worst_error(workload, answer(workload), answer(workload, setting=Setting(threads=2)), "two workers") <= 1e-5


def test_inputs_come_from_a_seed(workload):
    first, second = workload.inputs(True), workload.inputs(True)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert all(array.dtype == np.float32 for name, array in first.items() if name != "labels")


def test_a_wrong_answer_is_refused(workload):
    right = answer(workload)
    for name, array in right.items():
        wrong = array.copy()
        wrong.flat[np.abs(wrong).argmax()] *= 1 + 2 * workload.tolerance
        with pytest.raises(DisagreementError, match=f"{workload.name}: the answer of tinyalex must be within .* of liar's in {name}, "):
            worst_error(workload, {**right, name: wrong}, right, "liar")


def test_names_are_of_a_group_and_titles_say_what_is_done():
    assert len({workload.title for workload in WORKLOADS.values()}) == len(WORKLOADS)
    assert WORKLOADS["layer-conv2-forward"].title == "AlexNet's conv2 96x27x27 -> 256, 5x5, padding 2, 2 groups, N=32, forward"
    assert {name.partition("-")[0] for name in WORKLOADS} == {
        "alexnet", "vgg16", "resnet50", "resnet18", "update", "towers", "conv", "layer", "lrn", "pool", "figure1",
    }  # fmt: skip


def test_conv_answers_are_those_of_the_definition():
    inputs = WORKLOADS["conv-backward"].inputs(True)
    x, weight, dout = (inputs[name].astype(np.float64) for name in ("x", "weight", "dout"))
    sheet = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    windows = np.lib.stride_tricks.sliding_window_view(sheet, (5, 5), (2, 3))  # (N, C, OH, OW, KH, KW)
    out = np.einsum("nchwij,kcij->nkhw", windows, weight) + inputs["bias"][:, None, None]
    backward = answer(WORKLOADS["conv-backward"])
    np.testing.assert_allclose(answer(WORKLOADS["conv-forward"])["out"], out, atol=1e-5)
    np.testing.assert_allclose(backward["dweight"], np.einsum("nchwij,nkhw->kcij", windows, dout), atol=1e-4)
    np.testing.assert_allclose(backward["dbias"], dout.sum(axis=(0, 2, 3)), atol=1e-4)
    assert (np.sum(backward["dx"] * x) - np.sum(dout * (out - inputs["bias"][:, None, None]))) == pytest.approx(0, abs=1e-3)  # linear in x


def test_flops_are_those_of_direct_convolution():
    forward = WORKLOADS["conv-forward"]
    shapes = {"dout": np.empty((8, 256, 27, 27), np.bool_), "weight": np.empty((256, 96, 5, 5), np.bool_)}
    assert forward.flops(shapes) == 2 * 8 * 256 * 27 * 27 * 96 * 25
    assert WORKLOADS["conv-backward"].flops(shapes) == 2 * forward.flops(shapes)
    assert WORKLOADS["layer-conv1-backward"].flops(shapes) == forward.flops(shapes)  # nobody asks for its input's gradient
    step = WORKLOADS["figure1-epoch"]
    conv1, conv2, conv3, fc10 = 32 * 75 * 1024, 32 * 800 * 256, 64 * 800 * 64, 10 * 1024
    assert step.flops(step.inputs(True)) == 2 * 4 * (2 * conv1 + 3 * (conv2 + conv3 + fc10))


def test_flops_of_alexnet_are_those_that_the_analysis_counts():
    net = alexnet(input_size=67, width=1 / 16, num_classes=10)
    macs, conv1 = totals(count(net)).macs, 15 * 15 * net.params["conv1.weight"].size
    infer, step = WORKLOADS["alexnet-infer-16"], WORKLOADS["alexnet-step-128"]
    assert infer.flops(infer.inputs(True)) == 2 * 2 * macs
    assert step.flops(step.inputs(True)) == 2 * 4 * (3 * macs - conv1)
    assert infer.images(infer.inputs(True)) == 2 and step.images(step.inputs(True)) == 4


@pytest.mark.parametrize(("name", "first"), [("vgg16", 86_704_128), ("resnet50", 118_013_952), ("resnet18", 118_013_952)])
def test_flops_of_later_nets_are_of_the_published_multiplications(name, first):
    net, macs = later.Net(name, name, 3), later.LATER[name].macs
    x = np.empty((3, 3, 224, 224), np.bool_)
    assert net.infer_flops({"x": x}) == 2 * 3 * macs
    assert net.step_flops({"x": x[None]}) == 2 * 3 * (3 * macs - first)  # nobody asks for the gradient of the images


def test_folded_weights_do_the_work_of_batch_normalization():
    net = later.Net("resnet18", "ResNet-18", 2)
    inputs = net.infer_inputs(True)
    rows, weights = later.folded(net.rows(inputs), inputs)
    assert not any(row.kind == "bn" for row in flat(rows)) and sum(row.kind == "conv" for row in flat(rows)) == 20
    plain = build_net(net.rows(inputs), (3, 64, 64), "net")
    steps.fill(plain.params, inputs)
    steps.fill(plain.buffers, inputs)  # not frozen, so it folds nothing itself
    given = {name: weights[name] for name in weights if name.endswith((".weight", ".bias"))}
    short = build_net(_with_biases(rows), (3, 64, 64), "net")
    steps.fill(short.params, given)
    np.testing.assert_allclose(short.forward(inputs["x"]), plain.forward(inputs["x"]), rtol=1e-4, atol=1e-4)


def _with_biases(rows):
    """The rows, in which every convolution has biases."""
    for row in rows:
        if row.kind == "branches":
            row = row.having(paths=tuple(tuple(_with_biases(path)) for path in row["paths"]))
        yield row.having(bias=True) if row.kind == "conv" else row


@pytest.mark.parametrize(
    ("theirs", "ours"), [("conv1.weight", "conv1.weight"), ("stage1__1.first.stage1__1__conv1__bn.bias", "stage1.1.conv1.bn.bias")]
)
def test_parameters_of_nested_modules_have_the_names_of_ours(theirs, ours):
    assert steps.own_name(theirs) == ours


def test_traffic_counts_each_array_once():
    fc = weighted.Product(3, 5, 7)
    x, weight, bias, dout = 4 * 3 * 5, 4 * 7 * 5, 4 * 7, 4 * 3 * 7
    forward, backward = weighted.both("fc", "fc", fc, 1, 1)
    assert forward.traffic(fc.inputs(False)) == x + weight + bias + dout
    assert backward.traffic(fc.inputs(False)) == 2 * x + 2 * weight + bias + dout
    assert layers.traffic({"x": np.empty(2, np.float32), "dout": np.empty(1, np.float32)}) == 24


def test_layers_have_the_shapes_of_alexnet(monkeypatch):
    monkeypatch.setattr(weighted, "_inputs", lambda x, weight, dout: {"weight": weight})
    shapes = {
        name: WORKLOADS[f"layer-{name}-forward"].inputs(False)["weight"] for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6")
    }
    assert shapes.items() <= weight_shapes(PAPER, (3, 224, 224)).items()


def test_towers_compute_what_one_tower_does_and_so_does_one_core():
    towers = WORKLOADS["towers-two-128"]
    ours = answer(towers, setting=Setting(threads=2))
    for side in ("one core", "two towers"):
        assert worst_error(towers, ours, answer(towers, side, Setting(threads=2)), side) <= 1e-3


def test_the_answer_of_a_step_is_without_dropout_and_the_timed_step_has_it():
    step = WORKLOADS["alexnet-step-128"]
    job = step.sides["tinyalex"](step.inputs(True), ONE)
    losses = [job.work() for _ in range(2)]
    assert np.isfinite(losses).all()
    again = step.sides["tinyalex"](step.inputs(True), ONE)
    again.answer()
    assert again.work() != losses[1]
