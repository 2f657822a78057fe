"""The command line."""

import json
import re

import pytest

from benchmarks.__main__ import choose_comparable, main, rivals_of
from benchmarks.document import Document, read, write
from benchmarks.table import WORKLOADS, choose
from tests.benchmarks.fakes import curve, finished
from tinyalex.errors import ShapeError
from tinyalex.files.atomic import TEMPORARY

TINY = ["--quick", "--repeats", "1", "--threads", "1"]


def test_choose_takes_names_and_groups():
    assert [workload.name for workload in choose(["pool-27", "lrn"])] == ["lrn-55", "lrn-27", "pool-27"]
    assert choose(None) == list(WORKLOADS.values())
    with pytest.raises(ShapeError, match="--only must be one of alexnet, .*, got 'alexnot'"):
        choose(["alexnot"])


def test_with_rivals_only_workloads_that_one_of_them_does_are_left():
    assert [workload.name for workload in choose_comparable(None, rivals_of(["self", "self"]))] == ["towers-two-128"]
    assert choose_comparable(["lrn"], []) == choose(["lrn"])
    with pytest.raises(ShapeError, match="--vs must name a library that does the work of --only lrn, such as torch"):
        choose_comparable(["lrn"], rivals_of(["self"]))


def test_command_says_its_time_prints_a_table_and_adds_to_the_file(tmp_path, capsys):
    path = tmp_path / "results.json"
    write(path, Document({name: finished(workload=name) for name in ("lrn-27", "lrn-55")}))
    assert main([*TINY, "--only", "lrn-27", "--json", str(path)]) == 0
    out, err = capsys.readouterr()
    assert "1 workloads, about" in err and "| lrn-27 | tinyalex |" in out and "lrn-55" not in out
    assert f"wrote {path}" in out and f"next: python -m benchmarks --charts {path}" in out
    results = read(path).results
    assert results["lrn-55"] == finished(workload="lrn-55", run=results["lrn-55"].run)
    new = results["lrn-27"]
    assert new.run["settings"]["repeats"] == 1 and new.run["blas"]["num_threads"] == 1 and len(new.pairs[0].tinyalex_s) == 1
    assert not list(tmp_path.glob(f"*{TEMPORARY}"))


def test_scaling_prints_a_line_a_curve_and_adds_to_the_file(tmp_path, capsys):
    path = tmp_path / "results.json"
    assert main([*TINY, "--scaling", "--only", "width-alexnet", "--json", str(path)]) == 0
    out, err = capsys.readouterr()
    assert "1 curves, about" in err and "alexnet, batch 2 by width, 0.0625: " in out
    (measured,) = read(path).scaling.values()
    assert measured.name == "width-alexnet" and "numpy" in measured.run["versions"] and measured.run["blas"] is not None


def test_charts_are_drawn_from_the_file_without_measuring(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("benchmarks.charts.DPI", 30)
    path = tmp_path / "results.json"
    write(path, Document({"figure1-epoch": finished()}, {"batch-figure1": curve()}))
    assert main(["--charts", str(path), "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "| figure1-epoch | tinyalex |" in out and "2000.00 ms a step" in out
    assert f"wrote {tmp_path / 'speed.png'}" in out and f"wrote {tmp_path / 'scaling.png'}" in out and "next: " in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--only", "alexnot"], "--only must be one of"),
        (["--scaling", "--only", "alexnot"], "--only must be one of batch-figure1, .* with --scaling, got 'alexnot'"),
        (["--repeats", "0"], "--repeats must be an integer of at least 1, got 0"),
        (["--threads", "0"], "--threads must be an integer of at least 1, got 0"),
        (["--quick", "--json", "no/such/folder/x.json"], "must be writable"),
        (["--charts", "no/such/file.json"], "must be one of benchmark results, got none"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(argv, message, capsys):
    assert main(argv) == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_quick_run_does_not_touch_a_file_of_real_times(tmp_path, capsys):
    path = tmp_path / "results.json"
    result = finished()
    result.run["settings"]["quick"] = False
    write(path, Document({"figure1-epoch": result}))
    before = path.read_bytes()
    assert main([*TINY, "--only", "lrn-27", "--json", str(path)]) == 2
    assert "name another file" in capsys.readouterr().err and path.read_bytes() == before


def test_three_ways_of_running_exclude_each_other(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--scaling", "--vs", "torch"])
    assert "not allowed with" in capsys.readouterr().err


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    out = capsys.readouterr().out
    assert "python -m benchmarks --charts results.json" in out and "alexnet-step-128" in out and "how many minutes" in out


@pytest.mark.parametrize(("library", "needed"), [("torch", "torch"), ("onnxruntime", "onnx and onnxruntime")])
def test_a_library_that_is_absent_is_named(library, needed, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["--vs", library, "--quick"]) == 2
    assert f"{needed} must be installed for --vs {library}, got none; use pip install" in capsys.readouterr().err


def test_interrupt_exits_130_and_leaves_a_file_that_can_be_added_to(monkeypatch, capsys, tmp_path):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.__main__.measure", interrupted)
    path = tmp_path / "results.json"
    assert main(["--quick", "--json", str(path)]) == 130
    assert f"interrupted; what was finished is in {path}" in capsys.readouterr().err
    assert json.loads(path.read_text())["results"] == []
