"""The measurements on a card: stages, their clock, what is written when one is too slow or fails, and all of them against the stub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu import ending, figure1, oracles, parity, shares, suite
from benchmarks.gpu.__main__ import RESULTS, main, parser, prepared
from benchmarks.gpu.header import STUB, header
from benchmarks.gpu.measure import copy_rate, difference, seconds_of, sgemm_rate
from benchmarks.gpu.nets import net_on
from benchmarks.gpu.plan import STAGES, Context, Finding, Stage, choose, deadlines
from benchmarks.gpu.report import failures, markdown, unfinished
from benchmarks.gpu.run import Job
from benchmarks.gpu.stub import Interpreted, constants
from tests.contract import refuses
from tests.devices import cupy_stub
from tinyalex import sim
from tinyalex.analysis.predict import Kernel
from tinyalex.devices import get_device
from tinyalex.errors import ShapeError
from tinyalex.fast.cuda import loader

NVRTC = pytest.mark.skipif(sim.why_no_nvrtc() is not None, reason=f"kernels in the interpreter: {sim.why_no_nvrtc()}")
ROOT = Path(__file__).resolve().parents[2]
HANGS = """
import ctypes
listen()
library, lock = ctypes.CDLL(None), ctypes.create_string_buffer(64)
library.pthread_mutex_lock(lock), library.pthread_mutex_lock(lock)  # never comes back, as a call of a driver whose kernel hangs
"""
PRINTS = """
import json, sys, time
from benchmarks.gpu.ending import listen
def say(ok): print(json.dumps({'name': 'a', 'said': 'b', 'ok': ok, 'numbers': {}}), flush=True)
"""


def context(seconds=60.0, **settings):
    import time

    return Context(("cpu",), True, False, time.monotonic() + seconds, **settings)


def test_stages_are_in_the_order_of_value_and_share_all_of_the_time():
    assert [stage.name for stage in STAGES] == ["suite", "parity", "oracles", "rival", "shares", "figure1"]
    assert deadlines(STAGES, 600)[-1] == pytest.approx(600) and deadlines(STAGES, 600)[0] == pytest.approx(150)
    assert deadlines(choose(["figure1", "suite"]), 47) == pytest.approx([25, 47])  # in their own order, by their own shares
    with refuses(ShapeError, "gpu: --only must be of suite, parity, oracles, rival, shares, figure1, got 'speed'"):
        choose(["speed"])


def job(tmp_path, monkeypatch, codes, seconds):
    """A job whose stages are these pieces of Python."""
    stages = [Stage(str(i), f"stage {i}", 1 / len(codes)) for i in range(len(codes))]
    monkeypatch.setattr("benchmarks.gpu.run.command_of", lambda stage, *_: [sys.executable, "-c", PRINTS + codes[int(stage.name)]])
    return Job(stages, ("cuda:0",), True, True, seconds, tmp_path / "found.json", lambda line: None)


def test_a_stage_that_hangs_or_fails_costs_itself_alone(tmp_path, monkeypatch):
    codes = ["listen(); say(True); time.sleep(60)", "say(None); sys.exit('no kernel image')", "say(False)", "pass"]
    document = job(tmp_path, monkeypatch, codes, 8).run(header(stub=True))
    states = [stage["state"] for stage in document["stages"]]
    assert states == ["out of time", "failed with exit code 1: no kernel image", "finished", "finished"]
    assert [len(stage["findings"]) for stage in document["stages"]] == [1, 1, 1, 0] and document["seconds"] < 8
    assert failures(document) == ["2: a", "1"]
    assert json.loads((tmp_path / "found.json").read_text()) == document
    assert unfinished(document) == "Not finished: 0 (out of time); 1 (failed with exit code 1)"
    assert (tmp_path / "found.md").read_text().endswith("\n\nNot finished: 0 (out of time); 1 (failed with exit code 1).\n")


def end_of(work, monkeypatch, capsys):
    """The exit code of a run of this job, and the last line."""
    monkeypatch.setattr("benchmarks.gpu.__main__.prepared", lambda args: (work, header(stub=True)))
    return main(["--stub"]), capsys.readouterr().err.splitlines()[-1]


def test_a_run_whose_time_is_over_has_no_failed_check_and_says_so_last(tmp_path, monkeypatch, capsys):
    work = job(tmp_path, monkeypatch, ["say(True)", "listen(); say(True); time.sleep(60)"], 6)
    assert end_of(work, monkeypatch, capsys) == (0, "gpu: not finished: 1 (out of time)")
    assert "| **1** | stage 1 | out of time, " in work.path.with_suffix(".md").read_text()


def test_a_stage_that_hangs_is_a_failed_check(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ending, "PATIENCE", 1.0)
    work = job(tmp_path, monkeypatch, ["say(True)\n" + HANGS, "say(True)"], 8)
    assert end_of(work, monkeypatch, capsys) == (1, "gpu: not finished: 0 (hung)")
    assert "| **0** | stage 0 | hung, and did not end when asked to, " in work.path.with_suffix(".md").read_text()
    document = json.loads(work.path.read_text())
    assert failures(document) == ["0"] and document["stages"][1]["state"] == "finished" and document["seconds"] < 8


def test_a_finished_run_has_nothing_more_to_say(tmp_path, monkeypatch, capsys):
    code, last = end_of(job(tmp_path, monkeypatch, ["say(True)"], 20), monkeypatch, capsys)
    assert code == 0 and last.startswith("wrote ")


def test_tests_and_figure1_that_hang_are_failed_checks(tmp_path, monkeypatch):
    monkeypatch.setattr(ending, "PATIENCE", 0.5)
    body = HANGS.replace("\n", "\n    ")
    (tmp_path / "test_h.py").write_text(f"from benchmarks.gpu.ending import listen\ndef test_h():{body}")
    found = suite.tests("h", [str(tmp_path / "test_h.py")], {}, context(suite.SPARE + 2))
    assert found.ok is False and found.said.startswith("hung, and killed after ") and found.numbers["ended"]
    done = figure1.within([sys.executable, "-c", "from benchmarks.gpu.ending import listen" + HANGS], 1.0)
    assert done == (None, "") and figure1.told("", None, 30) == Finding(
        "figure1", "no result after 30 s; hung, and was killed", False, {"ended": True}
    )


def test_an_interrupted_run_says_in_its_table_where(tmp_path, monkeypatch):
    work = job(tmp_path, monkeypatch, ["say(True); time.sleep(60)"], 60)

    def interrupt(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace(work, tell=interrupt).run(header(stub=True))
    assert "| **0** | stage 0 | interrupted | |" in work.path.with_suffix(".md").read_text()


def test_what_is_there_is_written_after_every_finding(tmp_path, monkeypatch):
    seen = []
    work = job(tmp_path, monkeypatch, ["say(True); say(True)"], 20)
    written = Job.write
    monkeypatch.setattr(Job, "write", lambda self, document: (written(self, document), seen.append(self.path.read_text())))
    work.run(header(stub=True))
    assert [len(json.loads(text)["stages"][0]["findings"]) for text in seen] == [1, 2, 2, 2]


def test_table_says_what_it_is_and_what_failed(tmp_path, monkeypatch):
    document = header(stub=True) | {"quick": True, "stages": []}
    document["stages"].append({"name": "parity", "title": "a step", "state": "finished", "seconds": 3.2, "findings": []})
    for finding in ({"name": "x|y", "said": "1\n2", "ok": False}, {"name": "z", "said": "3", "ok": True}):
        document["stages"][0]["findings"].append(finding)
    text = markdown(document)
    for words in (
        f"**{STUB}",
        "it is no result",
        "`--quick`",
        "| **parity** | a step | finished, 3 s | |",
        "| | x\\|y | 1 2 | **failed** |",
    ):
        assert words in text
    assert "| | z | 3 | passed |" in text
    real = document | {"stub": False, "card": "H200", "cards": [{}], "driver": "13.0", "runtime": "12.9", "nvrtc": "12.9"}
    assert "# H200" in markdown(real) and STUB not in markdown(real)
    assert "1 card, driver for CUDA 13.0, runtime 12.9, NVRTC 12.9, " in markdown(real)


def test_where_there_are_cards_they_are_named_and_two_are_used(tmp_path, monkeypatch):
    cupy_stub.install()
    try:
        monkeypatch.setattr("benchmarks.gpu.__main__.why_no_cuda", lambda: None)
        monkeypatch.chdir(tmp_path)
        job, facts = prepared(parser().parse_args(["--out", str(tmp_path / "new"), "--only", "parity"]))
    finally:
        cupy_stub.remove()
    assert job.devices == ("cuda:0", "cuda:1") and [stage.name for stage in job.stages] == ["parity"] and job.seconds == 600
    assert facts["card"] == facts["cards"][0]["name"] and facts["driver"] and not facts["stub"] and "tinyalex" in facts["versions"]
    assert job.path.parent == (tmp_path / "new").resolve() and job.path.name.startswith(facts["date"][:10])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "gpu: a CUDA card must be there, got none; "),
        (["--seconds", "1"], "gpu: --seconds must be 5 to 86400, got 1.0"),
        (["--stub", "--out", str(RESULTS)], "gpu: --out must be outside of benchmarks/ with --stub, which gives no result, got "),
        (["--only", "step"], "error: gpu: --only must be of suite, "),
        (["--stub", "--out", __file__], f"gpu: --out must be a folder that can be made, got {__file__}; File exists"),
    ],
)
def test_bad_input_is_one_sentence(options, words, capsys, monkeypatch):
    monkeypatch.setattr("benchmarks.gpu.__main__.why_no_cuda", lambda: "cupy is not installed; pip install 'tinyalex[cuda12]'")
    assert main(options) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1


def test_no_result_of_a_stub_lies_in_the_repository():
    for path in (ROOT / "benchmarks" / "gpu").rglob("*.json"):
        document = json.loads(path.read_text())
        assert not document["stub"] and not document["quick"], path


def test_differences_are_relative_and_notice_nan_and_shapes():
    assert difference([1.0, 2.0], [1.0, 2.5]) == pytest.approx(0.2) and difference([0.0], [0.0]) == 0
    assert difference([np.nan], [1.0]) == np.inf and difference([1.0], [1.0, 2.0]) == np.inf


def test_times_wait_and_stop_with_the_budget():
    calls = []
    times = seconds_of(lambda: calls.append("work"), lambda: calls.append("wait"), 0.0, lambda: calls.append("before"))
    assert len(times) == 3 and calls == 2 * ["before", "work"] + ["wait"] + 3 * ["before", "wait", "work", "wait"]


def test_rates_of_the_card_itself():
    device = get_device("cpu")
    assert 1e7 < sgemm_rate(device, 64, 0.01) < 1e14 and 1e6 < copy_rate(device, 1 << 16, 0.01) < 1e13
    assert shares.shortest([Kernel(100, 1), Kernel(0, 30)], (10.0, 3.0)) == 20


def test_parity_passes_on_the_cpu_and_notices_a_wrong_gradient(monkeypatch):
    found, *_ = parity.run(context())
    assert found.ok and found.name == "AlexNet, float64, batch 2"
    step = parity.step(net_on("cpu", True), 2)
    wrong = step | {"gradient of conv3.weight": step["gradient of conv3.weight"] * 1.05}
    planted = parity.compared("planted", wrong, step, 2e-2)
    assert planted.ok is False and "in gradient of conv3.weight" in planted.said


def test_oracles_pass_on_the_cpu_and_notice_a_wrong_layer(monkeypatch):
    *layers, kernels = oracles.run(context())
    assert len(layers) == 23 and all(layer.ok for layer in layers)
    assert (kernels.ok, kernels.said) == (None, "none run on cpu (NVRTC is missing); the array functions computed everything")
    right = oracles.both_ways

    def wrong(layer, in_shape, n):
        found = right(layer, in_shape, n)
        return found | {"dx": found["dx"] * 1.001} if layer.name == "pool2" and layer.dtype == np.float32 else found

    monkeypatch.setattr(oracles, "both_ways", wrong)
    assert [layer.name for layer in oracles.run(context()) if layer.ok is False] == ["pool2"]


@NVRTC
def test_oracles_and_shares_run_the_kernels_themselves(monkeypatch):
    """On a simulated card, whose interpreter runs what NVRTC compiled."""
    monkeypatch.setenv("TINYALEX_KERNELS", "1")
    on_sim = replace(context(), devices=("sim:5",))
    *layers, kernels = oracles.run(on_sim)
    assert kernels.ok and kernels.said == "every one that was asked for compiled" and all(layer.ok for layer in layers), layers
    assert get_device("sim:5").counts().launches > 23
    monkeypatch.setattr("benchmarks.gpu.measure.LEAST", 1)
    rows = {found.name: found for found in shares.run(on_sim) if found.name.startswith("rows of ")}
    assert set(rows["rows of conv1, forward"].numbers["seconds"]) == {"tiles", "columns"} and len(rows) == 5


@NVRTC
def test_oracles_notice_a_wrong_kernel(monkeypatch):
    monkeypatch.setenv("TINYALEX_KERNELS", "1")
    right = loader.source
    monkeypatch.setattr(loader, "source", lambda file: right(file).replace("+ bias[k]", "- bias[k]"))
    failed = [each.name for each in oracles.run(replace(context(), devices=("sim:6",))) if each.ok is False]
    assert failed == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]


@NVRTC
def test_kernels_run_on_the_stand_in_in_the_order_of_its_streams():
    """A launch waits for what its stream has not seen, or the stand-in fails, as it does for a function of NumPy."""
    code = 'extern "C" __global__ void add(const float* x, float* out) { out[threadIdx.x] += x[threadIdx.x]; }'
    assert constants(code, "add") == [True, False]
    cupy = cupy_stub.install()
    try:
        add = Interpreted(code).get_function("add")
        x, out = cupy.full((3,), 2, np.float32), cupy.full((3,), 1, np.float32)
        add((1,), (3,), (x, out))
        assert cupy.asnumpy(out).tolist() == [3, 3, 3]
        x = cupy.full((3,), 2, np.float32)
        other = cupy.cuda.Stream(non_blocking=True)
        with other, pytest.raises(AssertionError, match="race: add does not wait until its operand is written"):
            add((1,), (3,), (x, cupy.zeros((3,), np.float32)))
    finally:
        cupy_stub.remove()


def test_a_kernel_that_does_not_compile_is_a_failed_check():
    device = types.SimpleNamespace(name="cuda:0", kind="cuda", raw_module=object, kernels=None)
    assert oracles.kernels(device).ok
    device.kernels.failed["lrn.cu", "float32"] = "lrn.cu(3): error: expected a ;"
    found = oracles.kernels(device)
    assert found.ok is False and found.said == "lrn.cu float32 does not compile: lrn.cu(3): error: expected a ;"


def test_every_layer_gets_its_share():
    card, *layers, whole = shares.run(context(3))
    assert "TFLOP/s in a product" in card.said and len(layers) == 22  # all but the one that is a view
    assert whole.numbers["seconds"]["forward"] == pytest.approx(sum(layer.numbers["seconds"]["forward"] for layer in layers))
    assert all(layer.numbers["seconds"]["forward"] > 0 and layer.numbers["least"]["backward"] > 0 for layer in layers)


@pytest.mark.parametrize(("name", "title"), [("NVIDIA H200", "H200 SXM"), (b"NVIDIA GeForce RTX 3090", "GeForce RTX 3090"), ("T4", None)])
def test_a_card_of_the_table_is_measured_beside_its_prediction(name, title, monkeypatch):
    runtime = types.SimpleNamespace(getDeviceProperties=lambda number: {"name": name})
    device = types.SimpleNamespace(
        kind="cuda", settings=lambda: {"number": 0}, xp=types.SimpleNamespace(cuda=types.SimpleNamespace(runtime=runtime))
    )
    named = shares.card_name(device)
    monkeypatch.setattr(shares, "card_name", lambda device: named)
    said = shares.whole(net_on("cpu", True), 2, {"forward": 1.0, "backward": 2.0}, context()).said
    assert said.startswith("forward 1e+03 ms, backward 2e+03 ms") and (f"predicted for a {title}: forward " in said) == (title is not None)


@pytest.mark.parametrize(
    ("code", "text", "ok", "said"),
    [
        (0, "....\n72 passed, 3 skipped in 4.00s", True, "72 passed, 3 skipped in 9 s"),
        (1, "FAILED tests/a.py::b - no\n1 failed, 2 passed in 4.00s", False, "1 failed, 2 passed in 9 s; FAILED tests/a.py::b - no"),
        (5, "2 deselected in 1.00s", None, "no test was found (2 deselected)"),
        (None, "....s.. [ 10%]\n...", None, "ended when the time was over, after 9 s: 9 passed, 0 failed"),
        (None, "..F. [ 10%]", False, "ended when the time was over, after 9 s: 3 passed, 1 failed"),
    ],
)
def test_what_pytest_printed_is_judged(code, text, ok, said):
    found = suite.judged("tests", code, text, 9.0)
    assert (found.ok, found.said) == (ok, said)


def test_tests_run_with_their_devices_and_end_with_the_time(tmp_path):
    (tmp_path / "test_a.py").write_text(f"import os\ndef test_a(): assert os.environ['{suite.VARIABLE}'] == 'cuda:0,cuda:0'\n")
    (tmp_path / "test_b.py").write_text("import time\ndef test_b(): time.sleep(60)\n")
    passed = suite.tests("a", [str(tmp_path / "test_a.py")], {suite.VARIABLE: "cuda:0,cuda:0"}, context())
    assert passed.ok and passed.said.startswith("1 passed in ")
    ended = suite.tests("b", [str(tmp_path / "test_b.py")], {}, context(suite.SPARE + 3))
    assert ended.ok is None and "ended when the time was over" in ended.said


def test_places_for_two_towers():
    assert list(Context(("cuda:0",), False, False, 0).pairs()) == [("cuda:0", "cuda:0")]
    assert list(Context(("cuda:0", "cuda:1"), False, False, 0).pairs()) == [("cuda:0", "cuda:0"), ("cuda:0", "cuda:1")]


def test_figure1_without_a_result_says_so():
    assert figure1.within([sys.executable, "-c", "import time; time.sleep(60)"], 0.2) == (False, "")
    assert figure1.within([sys.executable, "-c", "print(7)"], 20) == (True, "7\n")
    late = Finding("figure1", "no result after 30 s; ended when its time was over", None, {"ended": True})
    assert figure1.told("", False, 30) == late
    assert unfinished({"stages": [{"name": "figure1", "state": "finished", "findings": [vars(late)]}]}) == "Not finished: figure1 (figure1)"
    assert figure1.told("", True, 30).ok is False


@pytest.mark.slow
def test_the_one_command_runs_from_end_to_end_against_the_stub(tmp_path):
    """`.ci/gpu` itself, so that its first run on a card is not its first run."""
    command = [str(ROOT / ".ci" / "gpu"), "--stub", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, env=os.environ | {"PYTHON": sys.executable, "GPU_SECONDS": "240"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.json")
    document = json.loads(path.read_text())
    assert document["card"] == STUB and document["stub"] and path.name.endswith("stub-no-card-quick.json")
    assert [stage["state"] for stage in document["stages"]] == ["finished"] * 6
    assert all(each["ok"] is not False for stage in document["stages"] for each in stage["findings"])
    found = {stage["name"]: [each["name"] for each in stage["findings"]] for stage in document["stages"]}
    assert "two towers on cuda:0 and cuda:1, float64" in found["parity"] and "conv5" in found["oracles"] and "fc8" in found["shares"]
    kernels = document["stages"][2]["findings"][-1]
    assert (kernels["name"], kernels["ok"]) == ("kernels", True if sim.why_no_nvrtc() is None else None)
    assert "training step at batch 4" in found["rival"] and found["figure1"] == ["figure1"]
    assert f"**{STUB}" in path.with_suffix(".md").read_text() and "wrote " in done.stderr
