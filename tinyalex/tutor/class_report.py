"""What the marks of a class look like: text, one row a submission, Gradescope's file, and a chart of what went wrong how often."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tinyalex.files.atomic import write_bytes, write_json, write_picture
from tinyalex.tutor.finding import Finding, catalogue
from tinyalex.tutor.grading import Graded
from tinyalex.tutor.result import POINTS, text_of_finding

MOST_BARS = 20
FORMULA = ("=", "+", "-", "@")  # how a cell begins that a spreadsheet would compute


def label_of(finding: Finding) -> str:
    """A finding in a few words: "E06 max_pool_backward: overwrites the winner"."""
    what = finding.key.partition(".")[2].replace("_", " ")
    if finding.layer == "file":
        return f"file: {what}" if finding.key.startswith("submission.") else f"{finding.exercise}: {what}"
    if "argument" in finding.numbers:
        what += f" {finding.numbers['argument']}"
    return f"{finding.exercise} {finding.function}: {what}"


def how_often(graded: Collection[Graded]) -> list[tuple[str, int]]:
    """Each finding and the number of submissions that have it, the commonest first."""
    counts = Counter(label for one in graded for label in _labels(one))
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _labels(one: Graded) -> set[str]:
    if one.problem:
        return {"the file cannot be used"}
    return {label_of(finding) for result in one.results for finding in result.findings}


def title_of(exercise: str, language: str) -> str:
    """An exercise as a report names it: "E06 overlapping max pooling"."""
    return f"{exercise} {catalogue(language)[f'titles.{exercise}']}"


def class_text(graded: Collection[Graded], language: str = "en") -> str:
    """The report on a class: points, a line an exercise, a line a finding, the files that cannot be used."""
    words = {key.partition(".")[2]: text for key, text in catalogue(language).items() if key.startswith("grade.")}
    first, count = next(iter(graded)), len(graded)
    points = f"{sum(one.points for one in graded) / count:.1f}"
    lines = [words["class"].format(count=count, points=points, most=first.most), ""]
    lines.append(_row(words["column_exercise"], *(words[f"column_{state}"] for state in ("right", "finding", "not_finished"))))
    for at, result in enumerate(first.results):
        states = ["todo" if one.problem else one.results[at].status for one in graded]
        right, found = states.count("right"), states.count("finding")
        lines.append(_row(title_of(result.exercise, language), right, found, count - right - found))
    if findings := how_often(graded):
        named = {"the file cannot be used": words["cannot_be_used"]}
        lines += ["", f"{_wide(words['column_name'], 64)} {_wide(words['column_submissions'], -12)}"]
        lines += [f"{_wide(named.get(label, label), 64)} {number:>5} ({100 * number / count:3.0f} %)" for label, number in findings]
    if problems := [one.problem for one in graded if one.problem]:
        lines += ["", words["problems"].format(count=len(problems)), *(f"  {problem}" for problem in problems)]
    return "\n".join([*lines, "", words["no_sandbox"]])


def _row(title: str, right: object, found: object, left: object) -> str:
    return f"{_wide(title, 40)} {_wide(right, -7)} {_wide(found, -9)} {_wide(left, -14)}"


def _wide(text: object, columns: int) -> str:
    """A text cut and filled up to so many columns of a terminal, on the right or, with a minus, on the left; Chinese takes two each."""
    shown, left = "", abs(columns)
    for letter in str(text):
        takes = 1 + (unicodedata.east_asian_width(letter) in "WF")
        if takes > left:
            break
        shown, left = shown + letter, left - takes
    return shown + " " * left if columns > 0 else " " * left + shown


def one_text(one: Graded, language: str) -> str:
    """The report on one submission: points, and every finding."""
    words = catalogue(language)
    blocks = [words["grade.one"].format(name=one.name, points=f"{one.points:g}", most=one.most)]
    for result in one.results:
        named = {"title": title_of(result.exercise, language), "points": f"{result.points:g}", "most": POINTS}
        findings = (text_of_finding(finding, language) for finding in result.findings)
        blocks.append("\n\n".join([words["grade.exercise"].format(**named), *findings]))
    return "\n\n".join([*blocks, words["grade.no_sandbox"]])


def write_csv(path: Path, graded: Collection[Graded]) -> None:
    """A table with one row a submission, as spreadsheets read it."""
    text = io.StringIO()
    table = csv.writer(text)
    exercises = [result.exercise for result in next(iter(graded)).results]
    table.writerow(["submission", "points", "max", "right", *exercises, "problem", *(f"{key} finding" for key in exercises)])
    for one in graded:
        right = sum(result.status == "right" for result in one.results)
        labels = ["; ".join(map(label_of, result.findings)) for result in one.results]
        name = f"'{one.name}" if one.name.startswith(FORMULA) else one.name
        table.writerow([name, f"{one.points:g}", one.most, right, *(f"{r.points:g}" for r in one.results), one.problem, *labels])
    write_bytes(path, text.getvalue().encode("utf-8-sig"))


def write_gradescope(path: Path, one: Graded, language: str) -> None:
    """The file results.json of Gradescope's autograder, for one submission."""
    tests = [
        {
            "number": result.exercise,
            "name": title_of(result.exercise, language),
            "score": result.points,
            "max_score": POINTS,
            "status": "passed" if result.status == "right" else "failed",
            "output": "\n\n".join(text_of_finding(finding, language) for finding in result.findings) or result.text(language),
            "output_format": "text",
            "visibility": "visible",
        }
        for result in one.results
    ]
    document: dict[str, Any] = {
        "score": one.points,
        "output": one.problem,
        "output_format": "text",
        "stdout_visibility": "hidden",
        "execution_time": round(sum(result.seconds for result in one.results), 3),
        "tests": tests,
    }
    write_json(path, document)


def draw(path: Path, graded: Collection[Graded]) -> None:
    """The chart of what went wrong how often, as a PNG whose description says the same in words."""
    from matplotlib import rc_context

    bars, count = how_often(graded)[:MOST_BARS], len(graded)
    words = f"How many of {count} submissions have a finding. " + ". ".join(f"{label}: {number}" for label, number in bars)
    with rc_context({"font.size": 12}):
        figure = figure_of(bars, count)
        write_picture(path, lambda file: figure.savefig(file, format="png", dpi=150, metadata={"Description": words}))


def figure_of(bars: list[tuple[str, int]], count: int) -> Any:
    """The Matplotlib figure that `draw` writes; made without pyplot, so it needs no screen."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 1.6 + 0.42 * max(len(bars), 2)), layout="constrained")
    panel: Any = figure.add_subplot()
    panel.set_title(f"What the tutor found in {count} submission{'s' * (count != 1)}")
    if not bars:
        panel.text(0.5, 0.5, "nothing: no submission has a finding", ha="center", va="center")
        panel.set_axis_off()
        return figure
    places = range(len(bars))
    panel.barh(places, [number for _, number in bars], color="#0072B2", height=0.7)
    panel.set_yticks(places, [label for label, _ in bars])
    panel.invert_yaxis()
    for place, (_, number) in zip(places, bars, strict=True):
        panel.annotate(f"{number}", (number, place), xytext=(4, 0), textcoords="offset points", va="center")
    panel.set_xlim(0, 1.08 * bars[0][1])
    panel.set_xlabel("submissions")
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(axis="y", length=0)
    return figure
