"""What a student calls: `check`, `hint`, `solution`, `replay`. One finding at a time, and never the answer unasked."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tinyalex.errors import ShapeError, require_choice, require_int, show
from tinyalex.tutor.arrays import LAYOUTS, framed, laid_out
from tinyalex.tutor.checking import calls_of, derived, examine
from tinyalex.tutor.exercise import SIZE_SETS, Exercise, Function
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import Finding, catalogue, language_of, passed
from tinyalex.tutor.topics import topic_of

LEVELS = ("one", "two", "three")
SOLUTIONS = Path(__file__).parents[2] / "lessons" / "solutions"

_checked: dict[str, Callable[..., Any]] = {}  # by function, what was checked last: `replay` calls it again
_failed: dict[str, str] = {}  # by exercise, the function that the last finding was about: `hint` is about that one
_findings: dict[str, str] = {}  # by function, the key of its last finding: hints fit it
_right: set[str] = set()  # the functions that were right when they were checked last: they do not come next
_hinted: dict[tuple[str, str | None], int] = {}  # by function and topic, how many hints were given


@dataclass(frozen=True)
class Report:
    """What `check` came to. It is true where all functions are right.

    exercise: "E06". finding: what the student should look at first, None where there is nothing. text: the message.
    checked: the functions that were right, in order. waiting: those that were not looked at yet.
    """

    exercise: str
    finding: Finding | None
    text: str
    checked: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.finding is None

    def __repr__(self) -> str:
        return f"<{self.exercise}: {'right' if self else 'not yet'}>"


def check(exercise: str, *functions: Any, seed: int = 0, sizes: int = 0, language: str | None = None) -> Report:
    """Try functions of an exercise, print what the first finding is, and return it.

    Parameters
    ----------
    exercise: "E01" to "E13".
    functions: your functions, or a module that holds them. A function of another name is taken where the exercise has one only.
        Where a backward pass is not right, it is also held beside your forward pass: the one that is given here, or that was checked
        last. So `check("E05", conv_backward, conv_forward)` says whether the first is the derivative of the second.
    seed, sizes: of the calls, as `tinyalex grade` names them; sizes from 0 to 3.
    language: "en" or "zh"; None for the variable TINYALEX_LANG, else English.

    Raises
    ------
    ShapeError: an exercise that is not there, or no function of it.

    Example
    -------
    >>> def max_pool(x, kernel, stride):
    ...     return np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride].max((-2, -1))
    >>> check("E06", max_pool)
    E06 max_pool: right in all 14 calls. Next: max_pool_backward
    <E06: right>
    """
    chosen = exercise_of(exercise)
    report = check_all(chosen, dict(_named(chosen, functions)), seed, _sizes("check", sizes), language_of(language))
    print(report.text)
    return report


def check_all(exercise: Exercise, functions: Mapping[str, Any], seed: int, sizes: int, language: str) -> Report:
    """Try functions by name, in the exercise's order, up to the first finding."""
    order = [function for function in exercise.functions if function.name in functions]
    for at, function in enumerate(order):
        _checked[function.name] = functions[function.name]
        _findings.pop(function.name, None)
        _right.discard(function.name)
        if finding := examine(exercise, function, functions[function.name], seed, sizes, _forward_of(function, functions)):
            _failed[exercise.key] = function.name
            _findings[function.name] = finding.key
            names = tuple(later.name for later in order[at + 1 :])
            waiting = [_waits(later, finding, functions, language) for later in order[at + 1 :]]
            text = "\n".join([finding.text(language), *waiting])
            return Report(exercise.key, finding, text, tuple(done.name for done in order[:at]), names)
        _right.add(function.name)
    _failed.pop(exercise.key, None)
    calls = sum(map(calls_of, order))
    text = passed(language, exercise.key, [function.name for function in order], calls, _following(exercise))
    return Report(exercise.key, None, text, tuple(function.name for function in order))


def _forward_of(function: Function, functions: Mapping[str, Any]) -> Any:
    """The student's forward pass that a backward pass belongs to: given with it, or else checked last; None where there is none."""
    if function.forward is None or function.forward.function == function.name:
        return None
    return functions.get(function.forward.function, _checked.get(function.forward.function))


def _waits(function: Function, finding: Finding, functions: Mapping[str, Any], language: str) -> str:
    """What is said of a function that is not looked at yet, as another one has a finding."""
    words, link = catalogue(language), function.forward
    of_forward = link is not None and link.function == finding.function != function.name and finding.layer != "contract"
    forward = _forward_of(function, functions) if of_forward else None
    if forward is not None and derived(function, functions[function.name], forward, finding.seed, finding.sizes):
        assert link is not None
        return words["follows"].format(function=function.name, forward=link.function)
    return words["waiting"].format(function=function.name)


def hint(exercise: str, function: str | None = None, language: str | None = None) -> None:
    """Print the next hint: the question to ask, the equation with its indices, the shape of the loop. Each call goes one further.

    The hints fit the last finding of the function, where it is of a kind that has hints of its own.
    function: which of the exercise's functions; None for the one that the last finding was about, else the first.
    """
    chosen, words = exercise_of(exercise), catalogue(language_of(language))
    name = _function_of(chosen, function).name
    finding = _findings.get(name, "")
    asked = name, topic_of(chosen.key, finding)
    level = _hinted.get(asked, 0)
    if level == len(LEVELS):
        print(words["no_more_hints"].format(function=name, exercise=chosen.key))
        return
    _hinted[asked] = level + 1
    print(hint_of(chosen.key, name, level + 1, language, finding))


def hint_of(exercise: str, function: str, level: int, language: str | None = None, finding: str = "") -> str:
    """The hint of a function at a level from 1 to 3, in a sentence that names both.

    finding: the key of what is to be mended: the hint fits it, where that has hints of its own.
    """
    words, step = catalogue(language_of(language)), LEVELS[level - 1]
    topic = topic_of(exercise, finding)
    said = words.get(f"hints_for.{topic}.{step}") or words[f"{exercise}.hints.{function}.{step}"]
    return words["hint"].format(function=function, level=level, levels=len(LEVELS), hint=said)


def solution(exercise: str) -> None:
    """Print the answer, as a good student would write it."""
    chosen = exercise_of(exercise)
    path = SOLUTIONS / f"{chosen.key.lower()}.py"
    if path.is_file():
        print(path.read_text("utf-8"))
    else:  # an installed package has no lessons beside it
        print("\n".join(inspect.getsource(function.right) for function in chosen.functions))


@dataclass(frozen=True)
class Replay:
    """A call made again: its arguments, what you returned, what is right. `repr` shows shapes alone."""

    arguments: Mapping[str, Any]
    yours: Any
    right: Any

    def __repr__(self) -> str:
        given = ", ".join(f"{key}: {show(value)}" for key, value in self.arguments.items())
        return f"Replay({given}; yours: {show(self.yours)}, right: {show(self.right)})"


def replay(
    name: str, function: Callable[..., Any] | None = None, *, seed: int = 0, sizes: int = 0, layout: str = ""
) -> Replay:  # fmt: skip
    """Make the call of a finding again, unprotected: an error shows its whole traceback.

    Parameters
    ----------
    name: of the call, such as "E06-overlap". function: yours, under its name; None for the one that `check` had last.
    seed, sizes, layout: as the message prints them. As in `check`, the arrays are slices of larger ones that are full of NaN; layout
        names another way in which they may lie in memory.
    """
    way = LAYOUTS[require_choice("replay", "layout", layout, tuple(LAYOUTS))] if layout else framed
    key, _, wanted = name.partition("-")
    chosen = exercise_of(key)
    if function is not None:
        given = dict(_named(chosen, (function,), "replay"))
        _checked.update(given)
    asked = _function_of(chosen, None if function is None else next(iter(given)))
    if asked.name not in _checked:
        raise ShapeError(f"replay: {key} must have been checked before, got no call so far", f'call check("{key}", your_function)')
    probes = {probe.key: probe for probe in asked.probes(np.random.default_rng([seed, 0]), _sizes("replay", sizes))}
    if wanted not in probes:
        require_choice("replay", "name", name, tuple(f"{key}-{probe}" for probe in probes))
    arguments = dict(probes[wanted].arguments)
    yours = _call(_checked[asked.name], laid_out(arguments, way))
    return Replay(arguments, yours, _call(asked.right, copy.deepcopy(arguments)))


def exercise_of(key: Any) -> Exercise:
    """The exercise called "E06" or "e06"."""
    name = key.upper() if isinstance(key, str) else key
    return EXERCISES[require_choice("tutor", "exercise", name, tuple(EXERCISES))]


def _sizes(who: str, sizes: Any) -> int:
    return require_int(who, "sizes", sizes, least=0, most=SIZE_SETS - 1)


def _call(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    return function(*arguments.values())


def _function_of(exercise: Exercise, name: str | None) -> Function:
    name = name or _failed.get(exercise.key) or exercise.functions[0].name
    names = tuple(function.name for function in exercise.functions)
    found = exercise.function(require_choice("tutor", f"function of {exercise.key}", name, names))
    assert found is not None
    return found


def _named(exercise: Exercise, given: tuple[Any, ...], who: str = "check") -> Iterator[tuple[str, Any]]:
    """By name of the exercise's functions, what was given for it."""
    names = [function.name for function in exercise.functions]
    forwards = {function.forward.function for function in exercise.functions if function.forward is not None}
    found = False
    for value in given:
        if isinstance(value, ModuleType):
            for name in (*names, *(forwards - set(names))):
                if hasattr(value, name):
                    found = found or name in names
                    yield name, getattr(value, name)
            continue
        if not callable(value):
            remedy = "pass the function itself, without parentheses behind its name"
            raise ShapeError(f"{who}: a function of {exercise.key} must be one that I can call, got {show(value)}", remedy)
        name = getattr(value, "__name__", "")
        if name in forwards and name not in names:
            yield name, value
        elif name in names or len(names) == 1:
            found = True
            yield name if name in names else names[0], value
        else:
            rule = f"{who}: a function of {exercise.key} must be called {' or '.join(names)}"
            raise ShapeError(f"{rule}, got {name or show(value)}", "rename yours, so that it is clear which one it is")
    if not found:
        raise ShapeError(f"check: at least one of {', '.join(names)} must be given, got none", f'call check("{exercise.key}", {names[0]})')


def _following(exercise: Exercise) -> str:
    """What comes next: another function of the exercise, else the next exercise; empty behind the last. What was right is passed over."""

    def left(one: Exercise) -> list[str]:
        return [function.name for function in one.functions if function.name not in _right]

    if here := left(exercise):
        return here[0]
    keys = list(EXERCISES)
    return next((key for key in keys[keys.index(exercise.key) + 1 :] if left(EXERCISES[key])), "")
