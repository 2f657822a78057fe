"""What runs in a process of its own: a student's file is loaded, and its functions are trained beside the engine's."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinyalex.tutor.capstone.beside import run
from tinyalex.tutor.capstone.calls import FUNCTIONS
from tinyalex.tutor.guard import time_limit_of_calls
from tinyalex.tutor.runner import answer, begin, names_of_all, say
from tinyalex.tutor.source import SubmissionError
from tinyalex.tutor.submission import Submission, is_stub, load, read


def main(job: Mapping[str, Any]) -> None:
    """Do what `job` says, answer, and end the process.

    The answer is what `beside.run` returns; or {"missing": names} where functions are not written and `job["fill"]` is not set; or
    {"problem": key, "numbers": ...} where the file cannot be used.
    """
    results = begin(job)
    with time_limit_of_calls(job["call_s"]):
        try:
            loaded = load(read(Path(job["path"]), names_of_all(), job["name"]), list(FUNCTIONS))
            missing = unwritten(loaded.submission)
            functions = {name: loaded.function(name) for name in FUNCTIONS if name not in missing}
        except SubmissionError as error:
            answer(results, job, {"problem": error.key, "numbers": {key: str(value) for key, value in error.numbers.items()}})
        missing += [name for name, function in functions.items() if not callable(function)]
        if missing and not job["fill"]:
            answer(results, job, {"missing": missing})
        functions = {name: function for name, function in functions.items() if name not in missing}
        found = run(functions, job["fill"], lambda step: say(results, job, step))
    missing += found.pop("unwritten")
    answer(results, job, {"missing": missing} if missing and not job["fill"] else found | {"filled": missing})


def unwritten(submission: Submission) -> list[str]:
    """The functions of the capstone that a file does not define, or whose body does nothing."""
    found = {name: one.node for one in submission.statements for name in one.names}
    if "*" in found:
        return [name for name in FUNCTIONS if name in found and _is_empty(found[name])]
    return [name for name in FUNCTIONS if name not in found or _is_empty(found[name])]


def _is_empty(node: ast.stmt) -> bool:
    """Whether a statement is a function that only raises NotImplementedError, or of which only `pass` or `...` is written."""
    if not isinstance(node, ast.FunctionDef):
        return False
    values = [one.value if isinstance(one, ast.Expr) else one for one in node.body]
    return is_stub(node) or all(isinstance(one, (ast.Pass, ast.Constant)) for one in values)
