"""The results of a run as one table in Markdown."""

from __future__ import annotations

from typing import Any

from benchmarks.gpu.header import STUB

LATE, HUNG = "out of time", "hung"  # how the states of such stages begin
MARKS = {True: "passed", False: "**failed**", None: ""}


def markdown(document: dict[str, Any]) -> str:
    """Date, card and versions, then a table with a line for each finding."""
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    lines = [f"# {document['card']}", ""]
    if document["stub"]:
        lines += [f"**{STUB}: NumPy computed this. It shows that the stages run; its times mean nothing, and it is no result.**", ""]
    lines += [f"{document['date']}, {_cards(document)}{versions}. Machine: {document['machine']['cpu']}.", ""]
    if document["quick"]:
        lines += ["Tiny inputs (`--quick`): the times mean nothing.", ""]
    lines += ["| stage | what | result | check |", "|---|---|---|---|"]
    for stage in document["stages"]:
        took = f", {stage['seconds']:.0f} s" if "seconds" in stage else ""
        lines.append(f"| **{stage['name']}** | {_cell(stage['title'])} | {_cell(stage['state'])}{took} | |")
        lines += [f"| | {_cell(each['name'])} | {_cell(each['said'])} | {MARKS[each['ok']]} |" for each in stage["findings"]]
    return "\n".join([*lines, *(["", f"{rest}."] if (rest := unfinished(document)) else [])]) + "\n"


def failures(document: dict[str, Any]) -> list[str]:
    """What failed: checks, and stages whose process did or hung. That the time was over is no failure, see `unfinished`."""
    failed = [f"{stage['name']}: {each['name']}" for stage in document["stages"] for each in stage["findings"] if each["ok"] is False]
    return failed + [stage["name"] for stage in document["stages"] if stage["state"].startswith(("failed", HUNG))]


def unfinished(document: dict[str, Any]) -> str:
    """What did not finish, in words: stages, and findings whose own process was ended. "" if everything did."""
    names = []
    for stage in document["stages"]:
        ended = [each["name"] for each in stage["findings"] if each.get("numbers", {}).get("ended")]
        if stage["state"] != "finished":
            names.append(f"{stage['name']} ({stage['state'].partition(',')[0].partition(':')[0]})")
        elif ended:
            names.append(f"{stage['name']} ({', '.join(ended)})")
    return f"Not finished: {'; '.join(names)}" if names else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _cards(document: dict[str, Any]) -> str:
    if document["stub"]:
        return ""
    n, driver, runtime, nvrtc = len(document["cards"]), document["driver"], document["runtime"], document["nvrtc"]
    return f"{n} card{'s' * (n > 1)}, driver for CUDA {driver}, runtime {runtime}, NVRTC {nvrtc}, "
