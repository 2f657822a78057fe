"""The results of a run as one table in Markdown."""

from __future__ import annotations

from typing import Any

from benchmarks.gpu.header import STUB

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
    return "\n".join(lines) + "\n"


def failures(document: dict[str, Any]) -> list[str]:
    """What failed: checks, and stages whose process did."""
    failed = [f"{stage['name']}: {each['name']}" for stage in document["stages"] for each in stage["findings"] if each["ok"] is False]
    return failed + [stage["name"] for stage in document["stages"] if stage["state"].startswith("failed")]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _cards(document: dict[str, Any]) -> str:
    if document["stub"]:
        return ""
    n, driver, runtime, nvrtc = len(document["cards"]), document["driver"], document["runtime"], document["nvrtc"]
    return f"{n} card{'s' * (n > 1)}, driver for CUDA {driver}, runtime {runtime}, NVRTC {nvrtc}, "
