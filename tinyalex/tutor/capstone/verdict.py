"""What is said of both nets: where they part, what the tutor finds in the function that is wrong, and why the rest follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tinyalex.tutor.capstone.calls import FUNCTIONS, LOSS, REPLACED, ROUNDING, SHARED, TEST, TOLERANCE
from tinyalex.tutor.capstone.net import BACKWARD, FORWARD, STEPS
from tinyalex.tutor.finding import Finding, catalogue, filled
from tinyalex.tutor.result import plain, repeated, text_of_finding

FORMAT = 1
OF_MASKS = ("share", "again", "one_mask")
WITHOUT_NUMBERS = (*SHARED, *OF_MASKS, "changed")  # nothing is compared there, so nothing parts


@dataclass(frozen=True)
class Verdict:
    """What came of both nets.

    Parameters
    ----------
    file: what messages call the student's file. found: what `beside.run` returns, with "filled": the functions that the engine stands
        in for. findings: the tutor's, by function; a function in which the tutor finds nothing has none.
    limit: seconds of a call.
    refused: what the tutor finds in functions that are right in the net.
    uses: by function, the functions of the file that it calls, also those that they call.
    option: how the command `check` is told the file.
    """

    file: str
    found: Mapping[str, Any]
    findings: Mapping[str, Finding]
    limit: float
    refused: Mapping[str, Finding] = field(default_factory=dict)
    uses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    option: str = ""

    @property
    def agree(self) -> bool:
        """Whether no number differs by more than the tolerance, and no function is wrong."""
        return not self.found["wrong"] and self.found["first"] is None

    @property
    def right(self) -> bool:
        """Whether both nets agree, and the tutor finds nothing in the functions either."""
        return self.agree and not self.refused

    @property
    def exercise(self) -> str:
        """The exercise to look at: of the first function that is wrong, refused or not written; empty where there is none."""
        wrong = [one["function"] for one in self.found["wrong"]]
        first = [*(name for name in wrong if not self._forward_of(name)), *wrong, *self.refused, *self.found["filled"]]
        return FUNCTIONS[first[0]][0].key if first else ""

    def state(self, function: str) -> str:
        """What the page says of a function: "stands_in", "follows", "also", "wrong", "refused" or "right"."""
        wrong = [one["function"] for one in self.found["wrong"]]
        if function in wrong:
            return "follows" if self._forward_of(function) else "also" if self._relation(function) else "wrong"
        return "stands_in" if function in self.found["filled"] else "refused" if function in self.refused else "right"

    def lines(self, language: str, command: str = "") -> Iterator[str]:
        """The paragraphs of the message. command: in a terminal "tinyalex": there the next command stands at the end, once."""
        words, found = catalogue(language), self.found
        if len(found["filled"]) == len(FUNCTIONS):
            yield filled(words, "capstone.nothing", {"file": self.file})
            return
        if self.agree:
            calls, largest = f"{sum(found['calls'].values()):,}", number(found["largest"])
            agree = filled(words, "capstone.agree", {"steps": STEPS, "calls": calls, "largest": largest, "aim": number(TOLERANCE)})
            yield agree + _gap(words) + self._what_is_left(words)
        for wrong in found["wrong"]:
            yield self._headline(words, wrong)
            yield self._finding(words, wrong["function"], self.findings.get(wrong["function"]), language, command)
            if found["first"] is not None and all(wrong[key] == found["first"][key] for key in ("function", "step", "at")):
                yield filled(words, f"capstone.why_{self._way(wrong)}", {"place": place(words, wrong)})
        yield from self._what_follows(words)
        if self.refused:
            yield filled(words, "capstone.refused", {"names": ", ".join(self.refused)})
            for name, finding in self.refused.items():
                yield self._finding(words, name, finding, language, command)
        elif self.agree:
            yield words["capstone.checked"]
        if found["filled"]:
            yield filled(words, "capstone.filled", {"names": ", ".join(found["filled"])})

    def _what_is_left(self, words: Mapping[str, str]) -> str:
        """Where the last digits come from: the order of sums, or the functions that differ by more than that."""
        more = {name: part for name, part in self.found["rounding"].items() if part > ROUNDING}
        if not more:
            return words["capstone.only_order"]
        return filled(words, "capstone.constant", {"names": ", ".join(more), "difference": number(max(more.values()))})

    def _what_follows(self, words: Mapping[str, str]) -> Iterator[str]:
        """How much of the net differs, and why, where nothing else does."""
        found, wrong = self.found, self.found["wrong"]
        largest = number(found["largest"])
        if wrong and found["first"] is None:
            yield from dict.fromkeys(words[f"capstone.alone{_of_alone(one)}"] for one in wrong)
        elif wrong:
            key = "capstone.spread" + ("_too" if len(wrong) > 1 else "_one" if found["apart"] == 1 else "")
            yield filled(words, key, {"places": found["places"], "apart": found["apart"], "largest": largest})
        elif found["first"] is not None:
            first = found["first"]
            numbers = {"largest": largest, "step": first["step"] + 1, "steps": STEPS, "place": place(words, first)}
            yield filled(words, "capstone.rounding", numbers | {"direction": words[f"capstone.{first['direction']}"]})

    def _headline(self, words: Mapping[str, str], wrong: Mapping[str, Any]) -> str:
        """Where a function was first seen to be wrong, and how."""
        name, number_of_it = wrong["function"], self.found["wrong"].index(wrong)
        forward, relation = self._forward_of(name), self._relation(name)
        key = "parts" if number_of_it == 0 else "too"
        key = "seen" if wrong["kind"] in WITHOUT_NUMBERS else "follows" if forward else "also" if relation else key
        known = {"step": wrong["step"] + 1, "steps": STEPS, "place": place(words, wrong), "function": name, "forward": forward}
        known |= {"direction": words[f"capstone.{wrong['direction']}"]}
        known |= {"when": filled(words, "capstone.in_test" if wrong["step"] == TEST else "capstone.in_step", known)}
        numbers = {**wrong["numbers"], "output": wrong["output"], "difference": number(wrong["difference"]), "limit": f"{self.limit:g}"}
        if wrong["kind"] == "returned" and numbers["got"] != "None":
            numbers["got"] = filled(words, "capstone.number_of_values", numbers)
        kind = "bytes" if wrong["kind"] == "differs" and "yours" in numbers else wrong["kind"]
        said = [filled(words, f"capstone.{key}", known), filled(words, f"capstone.{kind}", numbers)]
        if relation and not forward:
            said.append(filled(words, f"capstone.{relation[0]}", {"function": name, **relation[1]}))
        return _gap(words).join(said)

    def _forward_of(self, function: str) -> str:
        """The student's forward pass that is wrong too, and whose derivative the function is; empty where it is none of such."""
        finding = self.findings.get(function)
        forward = str(finding.numbers["forward"]) if finding is not None and finding.key == "symptom.own_forward" else ""
        return forward if any(one["function"] == forward for one in self.found["wrong"]) else ""

    def _relation(self, function: str) -> tuple[str, dict[str, str]] | None:
        """What the function has in common with one that is named before it: it calls that one, or both call the same function."""
        names = [one["function"] for one in self.found["wrong"]]
        own = (function, *self.uses.get(function, ()))
        for other in names[: names.index(function)]:
            theirs = (other, *self.uses.get(other, ()))
            if other in own:
                return "calls_it", {"other": other}
            if function in theirs:
                return "called_by", {"other": other}
            if common := [one for one in theirs if one in own]:
                return "one_helper", {"other": other, "helper": common[0]}
        return None

    def _finding(self, words: Mapping[str, str], name: str, finding: Finding | None, language: str, command: str) -> str:
        exercise = FUNCTIONS[name][0].key
        if finding is None:
            return filled(words, "capstone.silent", {"exercise": exercise, "function": name})
        check = f"tinyalex check {exercise} --hint 1{self.option}"
        said = text_of_finding(finding, language, check).splitlines()
        if command and finding.layer != "file":  # the hint comes at the end, once
            said = said[:-1]
        elif finding.probe:
            said.append(repeated(words, self.file, finding))
        return "\n".join([words["capstone.tutor"], *(f"    {line}" for line in said)])

    def _way(self, wrong: Mapping[str, Any]) -> str:
        """In which way others are reached."""
        if wrong["step"] == TEST:
            return "test"
        if wrong["function"] != LOSS or wrong["direction"] != FORWARD:
            return str(wrong["direction"])
        gradient = next(row["differences"] for row in self.found["rows"] if (row["layer"], row["direction"]) == (wrong["layer"], BACKWARD))
        return "loss_too" if (gradient[wrong["step"]] or 0.0) > TOLERANCE else "loss"

    def document(self) -> dict[str, Any]:
        """The verdict as JSON has it: numbers that are not finite are null."""
        whole = {"format": FORMAT, "file": self.file, "agree": self.agree, "right": self.right, "steps": STEPS, "tolerance": TOLERANCE}
        whole |= {**self.found, "findings": _findings(self.findings), "refused": _findings(self.refused)}
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


def _gap(words: Mapping[str, str]) -> str:
    """What stands between two sentences."""
    return "" if words["separator"].startswith("；") else " "


def _of_alone(wrong: Mapping[str, Any]) -> str:
    """Why no other number differs, as the end of a key."""
    if wrong["kind"] in REPLACED:
        return "_replaced"
    return "_masks" if wrong["kind"] in OF_MASKS else "_bytes" if wrong["function"] == "exchange_bytes" else ""


def _findings(findings: Mapping[str, Finding]) -> dict[str, Any]:
    return {name: {"key": one.key, "message": text_of_finding(one, "en"), "numbers": plain(one.numbers)} for name, one in findings.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, (list, tuple)) else value
