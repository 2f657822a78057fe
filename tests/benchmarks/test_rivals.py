"""The other libraries' sides, on tiny inputs: each must give tinyalex's answer."""

import importlib.util
import time

import numpy as np
import pytest

from benchmarks import child
from benchmarks.agreement import DisagreementError, worst_error
from benchmarks.alexnet import folded
from benchmarks.contestants import RIVALS
from benchmarks.gpu import rival
from benchmarks.gpu.plan import Context
from benchmarks.measure import measure
from benchmarks.table import WORKLOADS
from benchmarks.torch_side import compiled, from_torch, to_torch
from benchmarks.workload import Setting
from tests.benchmarks.fakes import QUICK

torch = pytest.importorskip("torch", reason="PyTorch is not installed: install the extra 'bench' to compare")
HAS_ONNX = all(map(importlib.util.find_spec, ("onnx", "onnxruntime")))
needs_onnx = pytest.mark.skipif(not HAS_ONNX, reason="onnx and onnxruntime are not installed: install the extra 'bench' to compare")
INFERENCE = ["alexnet-infer-1", "alexnet-infer-16", "vgg16-infer-16", "resnet50-infer-16"]


def error_of(name, side, setting=None):
    """The worst difference of a side's answer to tinyalex's, each from inputs of its own."""
    workload = WORKLOADS[name]
    ours = workload.sides["tinyalex"](workload.inputs(True), Setting(threads=1)).answer()
    theirs = workload.sides[side](workload.inputs(True), setting or Setting(threads=1)).answer()
    return worst_error(workload, ours, theirs, side)


@pytest.mark.parametrize("layout", ["nchw", "channels_last"])
@pytest.mark.parametrize("name", [name for name, workload in WORKLOADS.items() if "torch" in workload.sides])
def test_torch_gives_the_answer_of_tinyalex(name, layout):
    assert error_of(name, "torch", Setting(1, layout)) <= WORKLOADS[name].tolerance / 5


@pytest.mark.parametrize("name", [name for name, workload in WORKLOADS.items() if "torch" in workload.sides])
def test_torch_side_can_be_timed(name):
    workload = WORKLOADS[name]
    assert child.run(workload.sides["torch"](workload.inputs(True), Setting(threads=1)), 2) > 0


def test_a_net_with_another_normalization_is_found_out(monkeypatch):
    right = torch.nn.LocalResponseNorm
    monkeypatch.setattr(torch.nn, "LocalResponseNorm", lambda n, alpha, beta, k: right(n, alpha / n, beta, k))
    with pytest.raises(DisagreementError, match=".*the answer of tinyalex must be within 0.02 of torch's"):
        error_of("alexnet-step-32", "torch")


@needs_onnx
@pytest.mark.parametrize("name", INFERENCE)
def test_onnxruntime_gives_the_answer_of_tinyalex(name):
    assert error_of(name, "onnxruntime") <= 1e-5


@needs_onnx
def test_onnxruntime_works_on_the_threads_it_is_given():
    from benchmarks.alexnet_onnx import alexnet_onnx
    from benchmarks.onnx_side import session

    inputs = WORKLOADS["alexnet-infer-1"].inputs(True)
    runtime = session(alexnet_onnx(inputs, inputs["x"].shape), 2)
    options = runtime.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)


def test_folded_weights_carry_the_factor_of_dropout_at_test_time():
    inputs = {name: np.ones(1, np.float32) for name in ("fc6.weight", "fc7.weight", "fc8.weight")}
    assert {name: float(value[0]) for name, value in folded(inputs).items()} == {"fc6.weight": 1, "fc7.weight": 0.5, "fc8.weight": 0.5}


def test_layout_is_of_images_and_filters_alone():
    image, row = np.zeros((2, 3, 4, 5), np.float32), np.zeros(3, np.float32)
    assert to_torch(image, "channels_last").stride() == (60, 1, 15, 3) and to_torch(image, "nchw").stride() == (60, 20, 5, 1)
    assert to_torch(row, "channels_last").stride() == (1,)
    assert from_torch(to_torch(image, "channels_last")).strides == image.strides


def test_only_a_compiled_contestants_work_is_translated(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: ("translated", function, dynamic))
    assert compiled(abs, Setting()) is abs
    assert compiled(abs, Setting(compiled=True)) == ("translated", abs, False)


@pytest.mark.slow
def test_torch_compile_works_or_is_said_not_to():
    who = next(who for who in RIVALS["torch"] if who.compiled)
    result = measure(WORKLOADS["pool-27"], [who], QUICK, lambda n: None)
    assert set(result.absent) | set(result.errors) == {who.name}
    assert (result.fastest() is None) == bool(result.absent) and all(result.absent.values())


def test_stage_beside_torch_gives_times_and_notices_another_answer(monkeypatch):
    """The stage for a card, with PyTorch on the CPU in the place of PyTorch on a card."""
    monkeypatch.setattr(rival, "PLACE", "cpu")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    context = Context(("cpu",), True, False, time.monotonic() + 60)
    for batch, train in ((4, True), (2, False)):
        found = rival.beside(context, torch, batch, train, 0.01)
        assert found.ok is None and "times as fast as PyTorch in float32" in found.said
        assert {"tinyalex", "PyTorch float32", "PyTorch by default"} <= set(found.numbers["times"])
    monkeypatch.setattr(rival, "folded", lambda weights: weights)  # the factor of dropout at test time is forgotten
    assert rival.beside(context, torch, 2, False, 0.01).ok is False
    assert rival.torch_on_card(context)[1].endswith("finds no CUDA card") or torch.cuda.is_available()
