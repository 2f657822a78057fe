"""The scripts of examples/, on so few pictures that each takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"
TESTED = {"memorize.py", "results_page.py", "small_imagenet.py"}  # results_page.py in a file of its own


def run(script, *words):
    line = [sys.executable, "-W", "error", str(EXAMPLES / script), *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, cwd=EXAMPLES.parent, timeout=600)


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.glob("*.py")} == TESTED


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("ant", "bee", "cat"):
        for k in range(4):
            (tmp_path / "pictures" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (70, 60, 3), np.uint8)).save(tmp_path / "pictures" / name / f"{k}.png")
    return tmp_path / "pictures"


@pytest.mark.slow
def test_memorize_trains_both_nets_and_goes_on(pictures, tmp_path):
    words = [pictures, "--images", 3, "--width", 0.03125, "--out", tmp_path / "out"]
    for epochs in (1, 2):
        done = run("memorize.py", *words, "--epochs", epochs)
        assert done.returncode == 0, done.stderr
        document = json.loads((tmp_path / "out" / "result.json").read_text())
        assert set(document["runs"]) == {"fan-in", "paper"} and document["images"] == 3
        for curve in document["runs"].values():
            assert curve["steps"] == [8 * k for k in range(1, epochs + 1)] and all(0 <= error <= 1 for error in curve["error"])
            assert len(curve["loss"]) == epochs and len(curve["examination_of_the_first_weights"]) > 10
    with Image.open(tmp_path / "out" / "memorize.png") as picture:
        assert picture.size[0] > 1000


def test_memorize_says_which_folder_is_too_small(pictures, tmp_path):
    done = run("memorize.py", pictures, "--images", 64, "--out", tmp_path / "out")
    assert done.returncode == 2 and not (tmp_path / "out").exists()
    assert done.stderr.strip() == "memorize: DATA must have images of 64 classes, got 3; use --images 3"


@pytest.mark.slow
def test_table_1_in_small_goes_through_all_commands_and_leaves_out_what_is_done(tmp_path):
    words = ["--out", tmp_path, "--images", 12, "--epochs", 1, "--nets", 2, "--classes", 4, "--width", 0.03125]
    first = run("small_imagenet.py", *words)
    assert first.returncode == 0, first.stderr
    document = json.loads((tmp_path / "result.json").read_text())
    assert [*document["rows"]][:3] == ["one net, one view", "one net, ten views", "2 nets, ten views"] and len(document["rows"]) == 5
    assert "Table 1" in (tmp_path / "table1.txt").read_text()
    second = run("small_imagenet.py", *words)
    assert second.returncode == 0 and second.stderr.count("tinyalex train") == 0 and second.stderr.count("tinyalex data") == 0
