"""That the benchmarks' frame works, on tiny inputs and without another library; no time is judged here."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import child, contestants, report
from benchmarks.__main__ import main
from benchmarks.agreement import DisagreementError, worst_error
from benchmarks.contestants import KEEP_MEMORY, SGEMM, TINYALEX, Child, Contestant, ContestantError
from benchmarks.measure import Pair, Result, Settings, expected_s, measure, timings, turn
from benchmarks.table import WORKLOADS, choose
from benchmarks.workload import Job, Setting
from tinyalex.errors import ShapeError
from tinyalex.training.files import TEMPORARY

QUICK = Settings(repeats=2, threads=1, quick=True)
ONE = Setting(threads=1)


def answer(workload):
    return workload.sides["tinyalex"](workload.inputs(True), ONE).answer()


@pytest.fixture(params=WORKLOADS.values(), ids=list(WORKLOADS))
def workload(request):
    return request.param


def test_tinyalex_side_runs_and_its_answer_stays_with_the_worker_count(workload):
    job = workload.sides["tinyalex"](workload.inputs(True), ONE)
    assert child.run(job, 2) > 0
    two = workload.sides["tinyalex"](workload.inputs(True), Setting(threads=2)).answer()
    assert worst_error(workload, answer(workload), two, "two workers") <= 1e-5


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda out: {}, "must hold what liar's does, out, got nothing"),
        (lambda out: {"out": out[:1]}, r"must be float32 \(2, .* got float32 \(1, "),
        (lambda out: {"out": out.astype(np.float64)}, "must be float32 .* got float64"),
        (lambda out: {"out": np.full_like(out, np.nan)}, "must be finite in out, got others"),
    ],
    ids=["missing", "shape", "dtype", "nan"],
)
def test_an_answer_of_another_kind_is_refused(change, message):
    workload = WORKLOADS["conv-forward"]
    right = answer(workload)
    with pytest.raises(DisagreementError, match=message):
        worst_error(workload, change(right["out"]), right, "liar")


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
    step = WORKLOADS["figure1-epoch"]
    conv1, conv2, conv3, fc10 = 32 * 75 * 1024, 32 * 800 * 256, 64 * 800 * 64, 10 * 1024
    assert step.flops(step.inputs(True)) == 2 * 4 * (2 * conv1 + 3 * (conv2 + conv3 + fc10))


def test_work_before_is_not_timed_and_results_die_between_calls():
    events = []

    class Thing:
        def __del__(self):
            events.append("gone")

    job = Job(lambda: (events.append("work"), Thing()), dict, lambda: events.append("before"))
    child.run(job, 2)
    assert events == ["before", "work", "gone"] * 2


def test_serve_prepares_answers_and_runs(tmp_path):
    inputs, answers = tmp_path / "inputs", tmp_path / "answers"
    inputs.mkdir()
    answers.mkdir()
    child.save(WORKLOADS["lrn-27"].inputs(True), inputs)
    how = {"layout": "nchw", "threads": 1, "quick": True, "workload": "lrn-27", "inputs": str(inputs)}
    messages = [
        {"do": "prepare", "side": "sgemm", **how},
        {"do": "run", "calls": 1},
        {"do": "prepare", "side": "tinyalex", **how},
        {"do": "answer", "folder": str(answers)},
        {"do": "about"},
    ]
    out = io.StringIO()
    child.serve(map(json.dumps, messages), out)
    prepared, ran, again, answered, about = map(json.loads, out.getvalue().splitlines())
    assert prepared == again == answered == {} and ran["s"] > 0
    assert about["numpy"] == np.__version__ and any(pool["user_api"] == "blas" for pool in about["thread_pools"])
    there = child.load(answers)
    assert worst_error(WORKLOADS["lrn-27"], there, answer(WORKLOADS["lrn-27"]), "itself") == 0 and set(there) == {"out", "dx"}


def test_peak_rss_is_read_from_the_system(tmp_path):
    status = tmp_path / "status"
    status.write_text("VmPeak:\t 900 kB\nVmHWM:\t  300 kB\n")
    assert child.peak_rss(str(status)) == 300 * 1024
    assert child.peak_rss(str(tmp_path / "absent")) is None


def test_turn_times_one_after_the_other():
    asked = []

    class Recorder:
        def __init__(self, name):
            self.name = name

        def ask(self, **message):
            asked.append((self.name, message["calls"]))
            return {"s": float(len(asked))}

    pair, ticks = Pair("rival"), []
    turn(pair, {name: Recorder(name) for name in ("sgemm", "tinyalex", "rival")}, 5, lambda: ticks.append(1))
    assert asked == [("sgemm", 1), ("tinyalex", 5), ("rival", 5)] and len(ticks) == 3
    assert (pair.sgemm_s, pair.tinyalex_s, pair.rival_s) == ([1.0], [2.0], [3.0])


def finished(pairs, **settings):
    who = {pair.rival for pair in pairs if pair.rival} | {"sgemm", "tinyalex"}
    about = {name: {"peak_rss": 2 * 10**9, "thread_pools": [], "numpy": "2", "torch_config": "long"} for name in who}
    return Result(
        "figure1-epoch", "t", 1e-3, 1, 100.0, 10, 391, {"x": (1, 2)}, 1000.0, pairs, {"slow": 0.0, "quick": 0.0}, about, **settings
    )


PAIRS = [
    Pair("slow", [10.0, 10.0, 10.0], [2.0, 2.0, 2.0], [8.0, 8.0, 8.0]),
    Pair("quick", [10.0, 10.0, 10.0], [2.0, 4.0, 2.0], [2.0, 8.0, 6.0]),
]


def test_ratio_is_taken_pair_by_pair_against_the_fastest():
    result = finished(PAIRS)
    assert result.fastest().rival == "quick"
    assert result.fastest().ratio() == (2.0, 1.5)  # of 1, 2 and 3
    assert result.tinyalex_s() == 2.0
    assert result.sgemm_rate() == 100.0 and result.share() == 0.5  # 100 / 2 of 1000 / 10
    assert finished([Pair(None, [10.0], [1.0])]).fastest() is None


def test_table_marks_the_fastest_and_document_keeps_every_time():
    result = finished(PAIRS)
    text = report.table([result])
    assert "| figure1-epoch | tinyalex | 2000.0 | 5 |  |  | 0.50 | 2.00 GB |" in text
    assert "|  | quick (fastest) | 6000.0 | 2 | 2.00 | 1.50 |  | 2.00 GB |" in text and "slow (fastest)" not in text
    content = json.loads(json.dumps(report.document([result], [Contestant("slow", "torch")], QUICK, False)))
    (entry,) = content["results"]
    assert content["complete"] is False and content["torch_config"] == "long"
    assert entry["pairs"][1]["rival_s"] == [2.0, 8.0, 6.0]
    assert entry["summary"]["tinyalex_epoch_s"] == 391 * 2.0 and entry["summary"]["ratio"] == 2.0


def test_measure_with_real_processes_times_a_rival_whose_answer_agrees():
    twin, seen = Contestant("twin", "tinyalex", environment=KEEP_MEMORY), []
    result = measure(WORKLOADS["pool-27"], [twin], QUICK, lambda: seen.append(1))
    assert len(seen) == timings([twin], QUICK) == 6 and result.errors == {"twin": 0.0}
    (pair,) = result.pairs
    assert [len(times) for times in (pair.sgemm_s, pair.tinyalex_s, pair.rival_s)] == [2, 2, 2]
    assert set(result.about) == {"sgemm", "tinyalex", "twin"}


def test_measure_refuses_before_it_times():
    workload, seen = replace(WORKLOADS["pool-27"], tolerance=-1.0), []  # nothing can agree
    with pytest.raises(DisagreementError, match="pool-27: the answer of tinyalex must be within -1 of twin's in dx"):
        measure(workload, [Contestant("twin", "tinyalex")], QUICK, lambda: seen.append(1))
    assert seen == []


def test_a_process_that_ends_is_named_with_its_last_words():
    with (
        Child(TINYALEX, threads=1) as alive,
        pytest.raises(ContestantError, match="tinyalex: the process .* exit code 1, .* prepare comes first"),
    ):
        alive.ask(do="run", calls=1)
    assert alive._process.poll() is not None


def test_children_get_their_own_allocator_and_thread_settings(monkeypatch):
    started = []
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    monkeypatch.setattr(contestants.subprocess, "Popen", lambda *args, env, **kwargs: started.append(env))
    for who in (SGEMM, Contestant("kept", "torch", environment=KEEP_MEMORY)):
        Child(who, threads=3)._errors.close()
    plain, kept = started
    assert plain["OPENBLAS_NUM_THREADS"] == plain["OMP_NUM_THREADS"] == "3"
    assert not any(name.startswith("MALLOC_") for name in plain)
    assert {name: value for name, value in kept.items() if name.startswith("MALLOC_")} == KEEP_MEMORY


def test_choose_takes_names_and_groups():
    assert [workload.name for workload in choose(["pool-27", "lrn"])] == ["lrn-55", "lrn-27", "pool-27"]
    assert choose(None) == list(WORKLOADS.values())
    with pytest.raises(ShapeError, match="--only must be one of conv, .*, got 'alexnot'"):
        choose(["alexnot"])


def test_expected_time_grows_with_rivals():
    rivals, settings = [Contestant("one", "torch")], Settings()
    assert (
        expected_s(choose(None), rivals * 4, settings) > expected_s(choose(None), rivals, settings) > expected_s(choose(None), [], settings)
    )


def test_command_says_its_time_prints_a_table_and_writes_json(tmp_path, capsys):
    path = tmp_path / "results.json"
    assert main(["--quick", "--only", "lrn-27", "--repeats", "1", "--threads", "1", "--json", str(path)]) == 0
    out, err = capsys.readouterr()
    assert "1 workloads, about" in err and "| lrn-27 | tinyalex |" in out and f"wrote {path}" in out and "next: " in out
    content = json.loads(path.read_text())
    assert content["complete"] is True and content["settings"]["repeats"] == 1 and content["blas"]["num_threads"] == 1
    assert len(content["results"][0]["pairs"][0]["tinyalex_s"]) == 1
    assert not list(tmp_path.glob(f"*{TEMPORARY}"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--only", "alexnot"], "--only must be one of"),
        (["--repeats", "0"], "--repeats must be an integer of at least 1, got 0"),
        (["--threads", "0"], "--threads must be an integer of at least 1, got 0"),
        (["--quick", "--json", "no/such/folder/x.json"], "must be writable"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(argv, message, capsys):
    assert main(argv) == 2
    assert message in capsys.readouterr().err


def test_a_library_that_is_absent_is_named(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["--vs", "torch", "--quick"]) == 2
    assert "torch must be installed for --vs torch, got none; use pip install" in capsys.readouterr().err


def test_interrupt_exits_130(monkeypatch, capsys, tmp_path):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.__main__.measure", interrupted)
    path = tmp_path / "results.json"
    assert main(["--quick", "--json", str(path)]) == 130
    assert f"interrupted; finished workloads are in {path}" in capsys.readouterr().err
    assert json.loads(path.read_text())["complete"] is False
