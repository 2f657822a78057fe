"""What is said of both nets: where they part, what the tutor finds in the function that is wrong, and why the rest follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tinyalex.tutor.capstone.beside import FUNCTIONS, TEST, TOLERANCE
from tinyalex.tutor.capstone.net import STEPS
from tinyalex.tutor.finding import Finding, catalogue, filled
from tinyalex.tutor.result import plain, text_of_finding

FORMAT = 1


@dataclass(frozen=True)
class Verdict:
    """What came of both nets.

    Parameters
    ----------
    file: what messages call the student's file. found: what `beside.run` returns, with "filled": the functions that the engine stands
        in for. findings: the tutor's, by function; a function in which the tutor finds nothing has none.
    limit: seconds of a call.
    """

    file: str
    found: Mapping[str, Any]
    findings: Mapping[str, Finding]
    limit: float

    @property
    def agree(self) -> bool:
        """Whether no number differs by more than the tolerance, and no function is wrong."""
        return not self.found["wrong"] and self.found["first"] is None

    @property
    def exercise(self) -> str:
        """The exercise to look at: of the first function that is wrong, or that is not written; empty where there is none."""
        if self.found["wrong"]:
            return str(self.found["wrong"][0]["exercise"])
        return FUNCTIONS[self.found["filled"][0]][0].key if self.found["filled"] else ""

    def lines(self, language: str, command: str = "") -> Iterator[str]:
        """The paragraphs of the message. command: what gives a hint, in a terminal; see `Finding.text`."""
        words, found = catalogue(language), self.found
        largest = number(found["largest"])
        if len(found["filled"]) == len(FUNCTIONS):
            yield filled(words, "capstone.nothing", {"file": self.file})
            return
        if self.agree:
            calls = f"{sum(found['calls'].values()):,}"
            yield filled(words, "capstone.agree", {"steps": STEPS, "calls": calls, "largest": largest, "aim": number(TOLERANCE)})
        for at, wrong in enumerate(found["wrong"]):
            yield self._headline(words, wrong, at > 0)
            yield self._finding(words, wrong, language, command)
            if found["first"] is not None and all(wrong[key] == found["first"][key] for key in ("function", "step", "at")):
                yield filled(words, f"capstone.why_{_way(wrong)}", {"place": place(words, wrong)})
        if found["wrong"] and found["first"] is None:
            yield words["capstone.alone"]
        elif found["wrong"]:
            numbers = {"places": found["places"], "apart": found["apart"], "largest": largest}
            yield filled(words, "capstone.spread_too" if len(found["wrong"]) > 1 else "capstone.spread", numbers)
        elif found["first"] is not None:
            first = found["first"]
            numbers = {"largest": largest, "step": first["step"] + 1, "steps": STEPS, "place": place(words, first)}
            yield filled(words, "capstone.rounding", numbers | {"direction": words[f"capstone.{first['direction']}"]})
        if found["filled"]:
            yield filled(words, "capstone.filled", {"names": ", ".join(found["filled"])})

    def _headline(self, words: Mapping[str, str], wrong: Mapping[str, Any], too: bool) -> str:
        """Where a function was first seen to be wrong, and how."""
        key = "capstone.parts" + "_too" * too + "_in_test" * (wrong["step"] == TEST)
        known = {"step": wrong["step"] + 1, "steps": STEPS, "place": place(words, wrong), "function": wrong["function"]}
        known |= {"direction": words[f"capstone.{wrong['direction']}"]}
        numbers = {**wrong["numbers"], "output": wrong["output"], "difference": number(wrong["difference"]), "limit": f"{self.limit:g}"}
        if wrong["kind"] == "returned" and numbers["got"] != "None":
            numbers["got"] = filled(words, "capstone.number_of_values", numbers)
        gap = "" if words["separator"].startswith("；") else " "
        return filled(words, key, known) + gap + filled(words, f"capstone.{wrong['kind']}", numbers)

    def _finding(self, words: Mapping[str, str], wrong: Mapping[str, Any], language: str, command: str) -> str:
        finding = self.findings.get(wrong["function"])
        if finding is None:
            return filled(words, "capstone.silent", wrong)
        said = text_of_finding(finding, language, command).splitlines()
        if command and finding.layer != "file":  # the hint comes at the end, once
            said = said[:-1]
        return "\n".join([words["capstone.tutor"], *(f"    {line}" for line in said)])

    def document(self) -> dict[str, Any]:
        """The verdict as JSON has it: numbers that are not finite are null."""
        findings = {name: {"key": one.key, "message": text_of_finding(one, "en"), "numbers": plain(one.numbers)}
                    for name, one in self.findings.items()}  # fmt: skip
        whole = {"format": FORMAT, "file": self.file, "agree": self.agree, "steps": STEPS, "tolerance": TOLERANCE}
        whole |= {**self.found, "findings": findings}
        document: dict[str, Any] = _finite(whole)
        return document


def number(value: float) -> str:
    """A difference in two digits, such as 2.2e-15; 0 where there is none."""
    return f"{value:.2g}" if value == 0 or 0.001 <= value < 100 else f"{value:.1e}".replace(".0e", "e")


def place(words: Mapping[str, str], where: Mapping[str, Any]) -> str:
    """A layer and its tower, where it has one."""
    if not where["tower"]:
        return str(where["layer"])
    return filled(words, "capstone.of_tower", where)


def _way(wrong: Mapping[str, Any]) -> str:
    """In which way others are reached: the gradient that comes with a loss goes backward, although it is computed forward."""
    return "backward" if wrong["output"] == "dlogits" else str(wrong["direction"])


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, (list, tuple)) else value
