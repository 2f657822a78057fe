"""Three sets of mistakes in batch norm (tests/tutor/blind/batch_norm.py)."""

import re
from collections import Counter

import pytest

from tests.tutor.blind.batch_norm import SET
from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercises import EXERCISES

E13 = EXERCISES["E13"]
FUNCTION = E13.function("batch_norm_backward")


def spoken_of(finding):
    """The outputs that the sentence of a finding says something wrong of."""
    sentence = finding.text().splitlines()[1].partition("channels, ")[2].partition(": ")[0]
    return {"dx"} if "your dx" in sentence else {name for name in FUNCTION.returns if re.search(rf"\b{name}\b", sentence)}


@pytest.mark.parametrize("entry", SET, ids=lambda entry: entry.function.__name__)
def test_unseen_mistake_is_told(entry):
    for seed, sizes in ((0, 0), (3, 2)):
        finding = examine(E13, FUNCTION, entry.function, seed, sizes)
        assert finding is not None and finding.key == entry.now, finding and finding.text()
        assert not spoken_of(finding) & set(finding.others), finding.text()
        assert all(finding.text(language).count("\n") < 6 for language in ("en", "zh"))


@pytest.mark.parametrize(
    "mistake",
    [one for one in FUNCTION.mistakes if one.shows or one.words.get("kinds") == "dweight and dbias"],
    ids=lambda mistake: mistake.key,
)
def test_of_outputs_that_are_right_nothing_wrong_is_said(mistake):
    for right in ((0,), (1,), (2,), (0, 1), (0, 2)):

        def student(*arguments, right=right):
            mistaken = mistake.compute(*arguments)
            return tuple(good if at in right else mistaken[at] for at, good in enumerate(FUNCTION.right(*arguments)))

        finding = examine(E13, FUNCTION, student)
        assert finding is None or not spoken_of(finding) & set(finding.others), (right, finding.text())


def test_counts_of_the_readme():
    counts = {which: Counter(entry.first for entry in SET if entry.which == which) for which in ("first", "second", "third")}
    assert counts["first"] == {"named": 30, "half right": 3, "symptom": 1, "weak symptom": 5, "misleading": 1}
    assert counts["second"] == {"named": 9, "weak symptom": 7}
    assert counts["third"] == {"named": 3, "half right": 1, "weak symptom": 8}
