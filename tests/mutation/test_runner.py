"""The runner on a tiny package: what is noticed, what survives, what is left when it is stopped."""

import json
import os
from pathlib import Path

import pytest

from tests.mutation import __main__ as command, runner, server
from tests.mutation.runner import Result, all_changes, files_of, near_tests, read_results, run, units_of

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="each change runs in a forked process")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A package of one module with three changes, of which its test notices two."""
    monkeypatch.setattr(runner, "LOADED", ())
    (tmp_path / "tinyalex").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "tinyalex" / "loss.py").write_text("def add(a, b):\n    c = a + b\n    c.real\n    print(c)\n")
    (tmp_path / "tests" / "test_loss.py").write_text(
        "from tinyalex.loss import add\n\ndef test_add(capsys):\n    add(1, 2)\n    assert capsys.readouterr().out == '3\\n'\n"
    )
    return tmp_path


def test_noticed_and_survived_are_told_apart(root, tmp_path):
    out = tmp_path / "out.jsonl"
    before = {path: path.read_bytes() for path in root.rglob("*.py")}
    results = list(run(root, all_changes(root, ["tinyalex/loss.py"]), out))
    assert sorted((result.line, result.outcome) for result in results) == [(2, "noticed"), (3, "survived"), (4, "noticed")]
    assert {path: path.read_bytes() for path in root.rglob("*.py")} == before  # the change was made in a copy
    assert list(read_results(out).values()) == results


def test_a_stopped_run_goes_on_where_it_was(root, tmp_path):
    out, chosen = tmp_path / "out.jsonl", all_changes(root, ["tinyalex/loss.py"])
    stopped = run(root, chosen, out)
    first = next(stopped)
    stopped.close()
    with out.open("a") as lines:
        lines.write('{"file": "tinyalex/loss.py", "sh')  # cut off
        lines.write("\n")
    results = list(run(root, chosen, out))
    assert results[0] == first and len(results) == 3 and len(read_results(out)) == 3
    (root / "tests" / "test_loss.py").write_text("def test_nothing():\n    assert False\n")
    assert set(run(root, chosen, out)) == set(results)  # nothing runs any more
    with pytest.raises(RuntimeError, match="must pass without any change"):  # what survived does
        list(run(root, chosen, out, again=True))


def test_results_of_other_contents_do_not_count(root, tmp_path):
    out = tmp_path / "out.jsonl"
    list(run(root, all_changes(root, ["tinyalex/loss.py"])[:1], out))
    (root / "tinyalex" / "loss.py").write_text("def add(a, b):\n    c = b + a\n    print(c)\n")
    list(run(root, all_changes(root, ["tinyalex/loss.py"])[:1], out))
    assert len(read_results(out)) == 2


def test_tests_without_end_are_stopped(root, monkeypatch):
    (root / "tests" / "test_loss.py").write_text("def test_endless():\n    while True:\n        pass\n")
    monkeypatch.setattr(server, "LEAST_CPU", 0.2)
    answer = server.run_child({"tree": str(root), "files": ["tests/test_loss.py"], "seconds": {"tests/test_loss.py::test_endless": 0.01}})
    assert answer["outcome"] == "time" and answer["tests"] == ["tests/test_loss.py::test_endless"]


def test_file_without_tests_is_refused(root):
    (root / "tests" / "test_loss.py").unlink()
    with pytest.raises(RuntimeError, match="mutation: tinyalex/loss.py must have tests near it, got none"):
        next(run(root, all_changes(root, ["tinyalex/loss.py"]), None))


@pytest.mark.parametrize(
    "file, tests",
    [
        ("tinyalex/schedule.py", ["tests/test_schedule.py"]),
        ("tinyalex/devices/dry.py", ["tests/devices/test_dry.py", "tests/devices"]),
        ("tinyalex/devices/cuda.py", ["tests/devices/test_cuda.py", "tests/devices/test_cuda_towers.py", "tests/devices"]),
        ("tinyalex/devices/__init__.py", ["tests/devices"]),
        ("tinyalex/layers/scale.py", ["tests/layers", "tests/test_contract.py"]),
    ],
)
def test_near_tests_a_file_come_first(file, tests):
    assert near_tests(ROOT, file) == tests


def test_files_in_a_folder_that_runs_whole_do_not_run_once_more():
    assert units_of(["tests/a/test_b.py", "tests/a", "tests/test_c.py", "tests/a"]) == ["tests/a", "tests/test_c.py"]


def test_areas_are_files_and_folders_of_the_package():
    files = files_of(ROOT)
    assert {"tinyalex/optim.py", "tinyalex/devices/arena.py"} <= set(files) and len(set(files)) == len(files)
    assert not any(file.startswith(("tinyalex/layers/", "tinyalex/fast/")) for file in files)
    with pytest.raises(ValueError, match="got 'nothing'"):
        files_of(ROOT, ["nothing"])


def test_command_prints_survivors_and_exits_1_until_they_have_a_verdict(root, tmp_path, monkeypatch, capsys):
    arguments = ["--only", "loss", "--out", str(tmp_path / "out.jsonl")]
    monkeypatch.setattr(command, "VERDICTS", tmp_path / "verdicts.json")
    command.VERDICTS.write_text("[]")
    assert command.main(arguments, root) == 1
    key = "c.real | dropped: c.real -> pass | 0"
    said = capsys.readouterr().out
    assert said == f"tinyalex/loss.py:3: {key}\n3 changes, 3 effective, 2 noticed: 66.7 %; 1 survived without a verdict\n"
    verdict = {"file": "tinyalex/loss.py", "key": key, "verdict": "equivalent", "reason": "reading an attribute changes nothing"}
    command.VERDICTS.write_text(json.dumps([verdict]))
    assert command.main(arguments, root) == 0
    assert capsys.readouterr().out == "3 changes, 2 effective, 2 noticed: 100.0 %; 0 survived without a verdict\n"
    assert command.main([*arguments, "--sample", "1", "--seed", "2"], root) == 0
    assert capsys.readouterr().out.startswith("1 changes")


def test_time_counts_as_noticed_and_accepted_ones_stay_effective(capsys):
    results = [Result("f", "", key, 1, outcome, 0.1) for key, outcome in (("a", "time"), ("b", "survived"))]
    assert command.report(results, [{"file": "f", "key": "b", "verdict": "accepted", "reason": "a word in a message"}]) == 0
    assert capsys.readouterr().out == "2 changes, 2 effective, 1 noticed: 50.0 %; 0 survived without a verdict\n"


def test_every_verdict_has_a_reason_and_is_of_a_change_that_there_is():
    verdicts = json.loads(command.VERDICTS.read_text("utf-8"))
    there = {(file, change.key) for file, change in all_changes(ROOT, {verdict["file"] for verdict in verdicts})}
    for verdict in verdicts:
        assert verdict.keys() == {"file", "key", "verdict", "reason"} and len(verdict["reason"]) > 10
        assert verdict["verdict"] in ("equivalent", "accepted") and (verdict["file"], verdict["key"]) in there, verdict["key"]
