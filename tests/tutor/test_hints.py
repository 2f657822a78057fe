"""Hints fit what was found, in both languages, and the second one is not the answer yet."""

import pytest

from tinyalex.tutor import session
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import LANGUAGES, catalogue
from tinyalex.tutor.topics import TOPICS, topic_of

OVERFLOW = "What is exp(1000) in NumPy"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    for name in ("_checked", "_failed", "_findings", "_hinted"):
        monkeypatch.setattr(session, name, {})
    monkeypatch.delenv("TINYALEX_LANG", raising=False)


def test_every_topic_is_of_findings_that_exist_and_has_hints_in_all_languages():
    topics = {f"{place}.{topic}": findings.split() for place, found in TOPICS.items() for topic, findings in found.items()}
    for language in LANGUAGES:
        words = catalogue(language)
        hinted = {key.removeprefix("hints_for.").rpartition(".")[0] for key in words if key.startswith("hints_for.")}
        assert hinted == set(topics)
        for topic, findings in topics.items():
            place = topic.partition(".")[0]
            for finding in findings:
                assert finding in words if finding.startswith("contract.") else f"{place}.{finding}" in words, (topic, finding)
            first = words[f"hints_for.{topic}.one"]
            assert "\n" not in first and any(mark in first for mark in ("?", "？", "print", "Print", "打印")), first
    for found in TOPICS.values():  # one finding, one topic
        names = [finding for findings in found.values() for finding in findings.split()]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("exercise", "finding", "topic"),
    [
        ("E08", "E08.no_shift", "E08.overflow"),
        ("E08", "contract.not_a_finite_number", "E08.overflow"),
        ("E09", "contract.not_a_finite_number", "contract.not_finite"),
        ("E06", "contract.out_of_bounds", "E06.place"),
        ("E01", "E01.cut_off", "E01.types"),
        ("E05", "symptom.elsewhere", None),
        ("E05", "", None),
        ("E05", "E05.shape", None),
    ],
)
def test_topic_of_a_finding(exercise, finding, topic):
    assert topic_of(exercise, finding) == topic


def test_hints_are_about_the_last_finding_and_begin_anew_with_another(capsys):
    exercise = EXERCISES["E08"]
    mistakes = {mistake.key: mistake.compute for mistake in exercise.functions[0].mistakes}

    def check(key):
        def softmax_cross_entropy(logits, labels):
            return mistakes[key](logits, labels)

        session.check("E08", softmax_cross_entropy)
        capsys.readouterr()

    def hint():
        session.hint("E08")
        return capsys.readouterr().out

    assert "Two classes have the logits 2 and 0" in hint()
    check("no shift")
    assert hint().startswith(f"softmax_cross_entropy, 1 of 3: {OVERFLOW}") and "the largest logit" in hint()
    third = hint()
    assert third.startswith("softmax_cross_entropy, 3 of 3: Subtract the maximum") and "no more hints" in hint()
    check("loss summed")
    assert hint().startswith("softmax_cross_entropy, 1 of 3: There are two images")
    check("diagonal alone")  # of no topic: the hints of the function, of which one was given
    assert hint().startswith("softmax_cross_entropy, 2 of 3: With m = ")


@pytest.mark.parametrize("language", LANGUAGES)
def test_second_hint_of_a_derivation_leaves_something_to_derive(language):
    words = catalogue(language)
    chain, lrn = (words[f"{key}.two"] for key in ("E03.hints.chain_backward", "E07.hints.lrn_backward"))
    assert not any(answer in chain for answer in ("dw1 =", "dA w1", "dA^T", "dout w2", "dout^T"))
    assert "dx[i] =" not in lrn and "dout" not in lrn
