"""Contestants and their processes."""

import pytest

from benchmarks import contestants
from benchmarks.contestants import KEEP_MEMORY, RIVALS, SGEMM, TINYALEX, Child, Contestant, ContestantError, last_words, taking_part
from benchmarks.table import WORKLOADS


def test_a_process_that_ends_is_named_with_its_last_words():
    with (
        Child(TINYALEX, threads=1) as alive,
        pytest.raises(ContestantError, match="tinyalex: the process .* exit code 1, .* prepare comes first") as caught,
    ):
        alive.ask(do="run", calls=1)
    assert alive._process.poll() is not None and caught.value.reason == "AssertionError: prepare comes first"


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        (
            "Traceback:\n  File\ntorch.InductorError: no compiler in (None, 'g++')\n\nSet X=1: advice\n",
            "torch.InductorError: no comp",
        ),
        ("Traceback (most recent call last):\n  File x\nKeyboardInterrupt\n", "KeyboardInterrupt"),
        ("Segmentation fault (core dumped)\n", "Segmentation fault (core dumped)"),
        ("", ""),
    ],
)
def test_last_words_are_the_error_and_not_the_advice_after_it(errors, words):
    assert last_words(errors).startswith(words) and bool(last_words(errors)) == bool(words)


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


def test_rivals_take_part_where_they_have_a_side_and_their_settings_matter():
    everybody = [who for rivals in RIVALS.values() for who in rivals]
    assert len({who.name for who in everybody}) == len(everybody)

    def sides(name):
        return {who.side for who in taking_part(WORKLOADS[name], everybody)}

    assert sides("alexnet-infer-16") == {"torch", "onnxruntime"}
    assert sides("towers-two-128") == {"one core", "two towers"}
    assert [who.name for who in taking_part(WORKLOADS["update-61m"], everybody)] == ["torch", "torch, memory kept"]
    assert len(taking_part(WORKLOADS["alexnet-step-128"], everybody)) == 6
    assert all(who.optional == who.compiled for who in everybody)
