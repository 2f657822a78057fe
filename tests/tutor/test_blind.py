"""Mistakes and right answers by people who had not read the tutor's code (tests/tutor/blind/): what the tutor says about each."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tinyalex.tutor.checking import sizes_of_grade
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import LANGUAGES
from tinyalex.tutor.runner import try_exercise

FOLDER = Path(__file__).parent / "blind"
EXPECTED = tomllib.loads((FOLDER / "expected.toml").read_text("utf-8"))
SEEN = [key for key in EXERCISES if key != "E13"]  # its sets are in blind/batch_norm.py, see test_batch_norm_as_students_write.py


@pytest.mark.parametrize("name", EXPECTED)
def test_unseen_mistake_is_told(name):
    path = FOLDER / f"{name}.py"
    for seed, sizes in ((0, 0), (1, sizes_of_grade(1))):
        result = try_exercise(EXERCISES[name[:3].upper()], path, path.name, seed, sizes, True)
        found = {finding.function: finding for finding in result.findings}
        finding = found[EXPECTED[name]["function"]]
        assert finding.key == EXPECTED[name]["now"], finding.text()
        assert all(finding.text(language).count("\n") < 6 for language in LANGUAGES)


@pytest.mark.parametrize("key", SEEN)
def test_unseen_right_answer_passes(key):
    for path in (FOLDER / f"right_{key.lower()}.py", FOLDER / f"right_{key.lower()}_b.py"):
        for seed in range(4):
            result = try_exercise(EXERCISES[key], path, path.name, seed, seed, True)
            assert result.status == "right", [finding.text() for finding in result.findings]


def test_set_is_whole():
    assert {key for name in EXPECTED for key in [name[:3].upper()]} == set(SEEN) and len(EXPECTED) == 60
    assert {entry["first"] for entry in EXPECTED.values()} <= {"named", "symptom", "weak symptom", "misleading", "missed"}
