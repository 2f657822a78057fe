"""`tinyalex gradcheck`."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from tinyalex import cli
from tinyalex.commands import gradcheck
from tinyalex.gradcheck import check_layer, compare, kink_free, table
from tinyalex.layers import ReLU


class Wrong(ReLU):
    """Passes every gradient."""

    def backward(self, dout):
        super().backward(dout)
        return dout


def plant(monkeypatch, function):
    """The first row of the table is `function`."""
    case = dataclasses.replace(table.CASES[0], function=function)
    monkeypatch.setattr(table, "CASES", (case, *table.CASES[1:]))


def wrong(device, classes):
    return check_layer(Wrong(device=device, dtype=np.float64), kink_free((2, 3), np.random.default_rng(0)))


def zeros(device, classes):
    return [compare("x", np.zeros(2), np.zeros(2))]


def test_table_and_last_line(capsys):
    assert cli.main(["gradcheck", "--layer", "Linear", "MaxPool2d"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    count = sum(case.layer in ("Linear", "MaxPool2d") for case in table.CASES)
    assert re.fullmatch(rf"{count} cases on cpu; about \d+ s\n", err)
    assert re.match(r"layer +case +worst tensor +error +where$", lines[0])
    assert len(lines) == count + 2 and any(line.startswith("Linear  ") for line in lines)
    assert re.match(rf"{count} cases, worst error \d\.\de-\d\d, all at or below 1e-06$", lines[-1])


def test_broken_layer_exits_1_and_says_where(monkeypatch, capsys):
    plant(monkeypatch, wrong)
    assert cli.main(["gradcheck", "--layer", "ReLU"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert re.search(r"FAILED: backward says -?\d\S+, differences say 0$", lines[1])
    assert re.match(r"2 cases, worst error \d\.\de-01, 1 of them above 1e-06$", lines[-1])


def test_gradients_of_zeros_exit_1(monkeypatch, capsys):
    plant(monkeypatch, zeros)
    assert cli.main(["gradcheck", "--layer", "ReLU"]) == 1
    assert "FAILED: both gradients are zero throughout, which proves nothing" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--device", "sim:0"], ["--workers", "3"], ["--device", "cpu:1"]], ids=" ".join)
def test_devices(options, capsys):
    assert cli.main(["gradcheck", "--layer", "Flatten", *options]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 cases, worst error")


def test_json_is_one_document(capsys):
    assert cli.main(["gradcheck", "--layer", "Linear", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is True and document["tolerance"] == 1e-6 and document["device"] == "cpu" and document["wall_s"] > 0
    assert [case["case"] for case in document["cases"]][0] == "plain, wide to narrow"
    assert set(document["cases"][0]["checks"][0]) == {"what", "error", "where", "analytic", "numerical", "passed"}


def test_json_has_null_for_an_infinite_error(monkeypatch, capsys):
    plant(monkeypatch, zeros)
    assert cli.main(["gradcheck", "--layer", "ReLU", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is False and document["cases"][0]["checks"][0]["error"] is None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--layer", "conv2d"], "got 'conv2d'; did you mean Conv2d?"),
        (["--layer", "Convolution"], "gradcheck: --layer must be one of ReLU, Tanh, "),
        (["--device", "gpu"], "gradcheck: device must be 'cpu'"),
        (["--device", "sim:0", "--workers", "2"], "gradcheck: --device must be cpu where --workers is given, got 'sim:0'"),
        (["--workers", "0"], "cpu: workers must be an integer of at least 1, got 0"),
    ],
    ids=" ".join,
)
def test_bad_option_exits_2(options, text, capsys):
    assert cli.main(["gradcheck", *options]) == 2
    assert text in capsys.readouterr().err


def test_workers_cut_every_batch_into_blocks_of_one_image():
    device, seen = gradcheck._device("cpu", 3), []
    assert device.workers == 3
    device.map_blocks(lambda rows, scratch: seen.append((rows.start, rows.stop)), 4, nbytes=8)
    assert sorted(seen) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    device.close()


def test_case_that_fails_twice_counts_once(monkeypatch, capsys):
    def failing(device, classes):
        return [compare(what, np.ones(2), np.full(2, 3.0)) for what in ("x", "weight")]

    cases = [case for case in table.CASES if case.layer == "ReLU"]
    broken = [dataclasses.replace(case, function=failing) for case in cases]
    monkeypatch.setattr(table, "CASES", (broken[0], cases[1]))
    assert cli.main(["gradcheck"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith("1 of them above 1e-06")
    monkeypatch.setattr(table, "CASES", tuple(broken))
    assert cli.main(["gradcheck"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"{len(broken)} of them above 1e-06")
