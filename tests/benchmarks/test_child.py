"""What a contestant's process does with its messages."""

import io
import json

import numpy as np
import pytest

from benchmarks import child
from benchmarks.agreement import worst_error
from benchmarks.table import WORKLOADS
from benchmarks.workload import Job, Setting


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
    lrn = WORKLOADS["lrn-27"]
    child.save(lrn.inputs(True), inputs)
    how = {"setting": {"threads": 1}, "quick": True, "workload": "lrn-27", "inputs": str(inputs)}
    messages = [
        {"do": "prepare", "side": "sgemm", **how},
        {"do": "run", "calls": 1},
        {"do": "prepare", "side": "copy", **how},
        {"do": "forget peak"},
        {"do": "prepare", "side": "tinyalex", **how},
        {"do": "answer", "folder": str(answers)},
        {"do": "about"},
    ]
    out = io.StringIO()
    child.serve(map(json.dumps, messages), out)
    prepared, ran, copies, forgot, again, answered, about = map(json.loads, out.getvalue().splitlines())
    assert prepared == copies == forgot == again == answered == {} and ran["s"] > 0
    assert about["numpy"] == np.__version__ and any(pool["user_api"] == "blas" for pool in about["thread_pools"])
    there = child.load(answers)
    ours = lrn.sides["tinyalex"](lrn.inputs(True), Setting(threads=1)).answer()
    assert worst_error(lrn, there, ours, "itself") == 0 and set(there) == {"out", "dx"}


def test_work_before_prepare_is_refused():
    with pytest.raises(AssertionError, match="prepare comes first"):
        child.serve(['{"do": "run", "calls": 1}'], io.StringIO())


def test_settings_of_a_build_name_no_folder():
    text = "- AVX512, CXX_COMPILER=/opt/a-1/usr/bin/c++, RATIO 3/4, -O2"
    assert child.without_folders(text) == "- AVX512, CXX_COMPILER=c++, RATIO 3/4, -O2"
