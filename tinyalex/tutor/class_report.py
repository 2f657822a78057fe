"""What the marks of a class look like: text, one row a submission, Gradescope's file, and a chart of what went wrong how often."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tinyalex.files.atomic import write_bytes, write_json, write_picture
from tinyalex.tutor.finding import Finding, catalogue, fields, fill
from tinyalex.tutor.grading import Graded
from tinyalex.tutor.result import POINTS, text_of_finding

MOST_BARS = 20
CANNOT = "the file cannot be used"
CLAUSE = re.compile(r"[：。；\n]+")
FONTS = (  # with Chinese characters, those that come with Windows, macOS, Linux and Android
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans GB", "Heiti SC",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Arial Unicode MS",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@")  # how a cell begins that a spreadsheet would compute


def label_of(finding: Finding) -> str:
    """A finding in a few words: "E06 max_pool_backward: overwrites the winner"."""
    what = finding.key.partition(".")[2].replace("_", " ")
    if finding.layer == "file":
        return f"file: {what}" if finding.key.startswith("submission.") else f"{finding.exercise}: {what}"
    if "argument" in finding.numbers:
        what += f" {finding.numbers['argument']}"
    return f"{finding.exercise} {finding.function}: {what}"


def described(finding: Finding, language: str) -> str:
    """A finding in a few words of a language: in English its name, in Chinese the first clause of what the tutor says of it."""
    if language == "en":
        return label_of(finding)
    words = catalogue(language)
    own = f"{finding.exercise}.{finding.key}"
    sentence = words[own if own in words else finding.key].removeprefix(words["grade.in_a_call"]).removeprefix(words["grade.with_p"])
    clauses = [one for one in CLAUSE.split(sentence) if one and not {"yours", "right"} <= fields(one)]  # what differs, not by how much
    clause = "，".join(clauses[: 2 if fields(clauses[0]) & {"share", "factor", "wanted"} else 1])
    known = {"output", "argument", "function", "file", "exercise"}
    numbers = {"function": finding.function, "exercise": finding.exercise, **finding.numbers}
    values = {name: numbers[name] if name in known and name in numbers else "…" for name in fields(clause)}
    said = fill(words, clause, values).removeprefix(words["grade.yours"]).strip()
    return f"{' '.join(filter(None, (finding.exercise, finding.function)))}：{said}"


def how_often(graded: Collection[Graded]) -> list[tuple[str, int]]:
    """Each finding and the number of submissions that have it, the commonest first."""
    counts = Counter(label for one in graded for label in _labels(one))
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def in_words(graded: Collection[Graded], language: str) -> dict[str, str]:
    """By the name of a finding, the words of a language for it."""
    found = {label_of(finding): described(finding, language) for one in graded for result in one.results for finding in result.findings}
    return {**found, CANNOT: catalogue(language)["grade.cannot_be_used"]}


def _labels(one: Graded) -> set[str]:
    if one.problem:
        return {CANNOT}
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
        named, wide = in_words(graded, language), 64 if language == "en" else 80
        lines += ["", f"{_wide(words['column_name'], wide)} {_wide(words['column_submissions'], -12)}"]
        for label, number in findings:
            line = f"{_wide(named[label], wide)} {number:>5} ({100 * number / count:3.0f} %)"
            lines.append(line if language == "en" or label == CANNOT else f"{line}  {label.partition(': ')[2]}")
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


def write_csv(path: Path, graded: Collection[Graded], language: str = "en") -> None:
    """A table with one row a submission, as spreadsheets read it."""
    text, words = io.StringIO(), catalogue(language)
    table = csv.writer(text)
    exercises = [result.exercise for result in next(iter(graded)).results]
    first, last = ([words[f"grade.csv_{key}"] for key in keys] for keys in (("submission", "points", "max", "right"), ("problem",)))
    table.writerow([*first, *exercises, *last, *(f"{key} {words['grade.column_finding']}" for key in exercises)])
    for one in graded:
        right = sum(result.status == "right" for result in one.results)
        labels = [words["separator"].join(described(finding, language) for finding in result.findings) for result in one.results]
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


def draw(path: Path, graded: Collection[Graded], language: str = "en") -> bool:
    """The chart of what went wrong how often, as a PNG whose description says the same in words.

    Returns False where the computer has no font with Chinese characters: then a chart in Chinese would show boxes, and it is in English.
    """
    from matplotlib import rc_context

    font = font_for(language)
    if language != "en" and font is None:
        draw(path, graded)
        return False
    words, named, count = catalogue(language), in_words(graded, language), len(graded)
    bars = [(named[label], number) for label, number in how_often(graded)[:MOST_BARS]]
    said = f"{words['grade.chart_description'].format(count=count)}" + "".join(f" {label}: {number}." for label, number in bars)
    families = [font, "DejaVu Sans"] if font else ["DejaVu Sans"]
    with rc_context({"font.size": 12, "font.sans-serif": families}):
        figure = figure_of(bars, count, language)
        write_picture(path, lambda file: figure.savefig(file, format="png", dpi=150, metadata={"Description": said}))
    return True


def font_for(language: str) -> str | None:
    """A font of this computer that has the characters of a language; None for English, which every font has, and where there is none."""
    from matplotlib.font_manager import fontManager

    here = {entry.name for entry in fontManager.ttflist}
    return next((name for name in FONTS if name in here), None) if language != "en" else None


def figure_of(bars: list[tuple[str, int]], count: int, language: str = "en") -> Any:
    """The Matplotlib figure that `draw` writes; made without pyplot, so it needs no screen."""
    from matplotlib.figure import Figure

    words = catalogue(language)
    figure = Figure(figsize=(10, 1.6 + 0.42 * max(len(bars), 2)), layout="constrained")
    panel: Any = figure.add_subplot()
    panel.set_title(words["grade.chart_title_one" if count == 1 else "grade.chart_title"].format(count=count))
    if not bars:
        panel.text(0.5, 0.5, words["grade.chart_nothing"], ha="center", va="center")
        panel.set_axis_off()
        return figure
    places = range(len(bars))
    panel.barh(places, [number for _, number in bars], color="#0072B2", height=0.7)
    panel.set_yticks(places, [label for label, _ in bars])
    panel.invert_yaxis()
    for place, (_, number) in zip(places, bars, strict=True):
        panel.annotate(f"{number}", (number, place), xytext=(4, 0), textcoords="offset points", va="center")
    panel.set_xlim(0, 1.08 * bars[0][1])
    panel.set_xlabel(words["grade.column_submissions"])
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(axis="y", length=0)
    return figure
