"""What an exercise is: its functions, the right answer of each, the calls it is tried with, and the mistakes people make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arguments = Mapping[str, Any]
Judge = Callable[[Callable[..., Any], np.random.Generator, int], "tuple[str, Mapping[str, Any]] | None"]
SIZE_SETS = 4  # every call exists in so many sizes: `check` has the first, `grade` one of the others, by its seed


@dataclass(frozen=True)
class Probe:
    """One call that a student's function is tried with.

    key: a short name, such as "overlap", by which `replay` finds the call again.
    says: what is special, as the message ends the sentence "with ...": "kernel {kernel} and {x[1]} channels". In braces stand
        arguments: a number, or the shape of an array.
    arguments: by parameter, in the order of the signature.
    random: whether the answer depends on random numbers: then its kind is looked at, and the numbers are left to the judge.
    """

    key: str
    says: str
    arguments: Arguments
    random: bool = False

    @property
    def call(self) -> dict[str, Any]:
        """The arguments as `says` names them: numbers, and the shapes of arrays."""
        shown = {key: value.shape if isinstance(value, np.ndarray) else value for key, value in self.arguments.items()}
        return {key: value for key, value in shown.items() if isinstance(value, (int, float, tuple))}

    @property
    def described(self) -> str:
        """The call in English."""
        return self.says.format(**self.call)


@dataclass(frozen=True)
class Mistake:
    """A known mistake, as a function that makes it.

    Parameters
    ----------
    key: names the message in the catalogue, such as "overwrites". What follows a slash tells ways to one mistake apart: they share
        their message, as "small number in the log/1e-8" and "small number in the log/1e-12" do.
    compute: takes the exercise's arguments and returns what somebody with this mistake returns.
    source: where it was seen: a public thread or page, or "counted" where many public solutions were run.
    seen: how many of how many public solutions have it, such as (18, 89); None where nobody counted.
    within: how closely a student's numbers must agree with it, relative to the largest; more only where its own rounding is coarse.
    given: for a mistake that comes down to other arguments, such as a bias of zeros: takes the arguments by name and returns those
        that it changes. It is then also recognized together with any other mistake.
    words: what its message names beside the numbers of the call, such as {"kinds": "pool"}.
    shows: the output that its message is about, where it changes others as well: of these alone it is not recognized. Empty where the
        message holds for each of them.
    """

    key: str
    compute: Callable[..., Any]
    source: str
    seen: tuple[int, int] | None = None
    within: float = 1e-9
    given: Callable[..., Arguments] | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    shows: str = ""


@dataclass(frozen=True)
class Forward:
    """The forward pass that a backward pass belongs to, so that a student's own two can be held beside each other.

    Parameters
    ----------
    exercise, function: whose it is.
    of: for each gradient that the backward pass returns, the parameter of the forward pass that it belongs to.
    arguments: takes the arguments of the backward pass by name and returns those of the forward pass.
    douts: parameters of the backward pass that hold the gradients of the forward pass's outputs, in order; none where its first
        output is the loss.
    kept: parameters of the backward pass that come out of the forward pass, and the numbers of these outputs.
    """

    exercise: str
    function: str
    of: Mapping[str, str]
    arguments: Callable[..., Arguments]
    douts: tuple[str, ...] = ("dout",)
    kept: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Function:
    """One function of an exercise.

    Parameters
    ----------
    name: what the student calls it.
    right: the right answer, slow and plain. Its parameters are the function's.
    returns: the names of what it returns, in order: ("dx", "dweight", "dbias"), or ("out",).
    probes: (generator, which of the size sets) -> the calls, under the same keys in all sets. No two sizes in them are equal and none
        is 1, but in calls that say so.
    mistakes: the likeliest first.
    changes: parameters that the function is asked to change in place, such as a velocity; they are looked at after its outputs.
    linear: parameters in which it is linear, such as ("dout",): for the symptoms.
    judge: what no comparison with one right answer can decide, such as ties or random numbers: (function, generator, which of the
        size sets) -> the key of a mistake and its numbers, or None. It is asked when all probes agree.
    forward: the forward pass that it is the derivative of, where the student writes that too.
    seen: how many of how many public solutions break the contract in a way, such as {"input changed dout": (34, 135)}.
    """

    name: str
    right: Callable[..., Any]
    returns: tuple[str, ...]
    probes: Callable[[np.random.Generator, int], list[Probe]] = lambda rng, sizes: []
    mistakes: tuple[Mistake, ...] = ()
    changes: tuple[str, ...] = ()
    linear: tuple[str, ...] = ()
    judge: Judge | None = None
    forward: Forward | None = None
    seen: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Exercise:
    """An exercise of the lessons.

    key: "E01" to "E13". title: what it is about. lesson: the number of its lesson, such as "04". minutes: about how long it takes.
    """

    key: str
    title: str
    lesson: str
    minutes: int
    functions: tuple[Function, ...] = field(default_factory=tuple)

    def function(self, name: str) -> Function | None:
        """The function of that name, None where there is none."""
        return next((function for function in self.functions if function.name == name), None)


def slug(key: str) -> str:
    """A key as the catalogue spells it: "overwrites the winner" is `overwrites_the_winner`; what follows a slash is left out."""
    return key.partition("/")[0].replace(" ", "_")


def as_outputs(value: Any) -> tuple[Any, ...]:
    """What a function returned, as a tuple of its outputs."""
    return value if isinstance(value, tuple) else (value,)


def after_call(function: Function, value: Any, arguments: Arguments) -> tuple[Any, ...]:
    """What a call left behind: its outputs, then the arguments that the function is asked to change."""
    return *as_outputs(value), *(arguments[key] for key in function.changes)
