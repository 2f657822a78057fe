"""The command `tinyalex`: the table of its sub-commands, and how errors of all of them are reported.

Exit codes: 0 done, 1 a check failed or memory or disk ran out, 2 bad input, 130 interrupted, 143 terminated,
141 the reader of the output went away.
"""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from tinyalex import __version__
from tinyalex.errors import Interrupted, TinyalexError, did_you_mean

COMMANDS = {  # name: (module, HELP of that module); only the chosen module is imported, so that `--help` is quick
    "gradcheck": ("tinyalex.commands.gradcheck", "prove every gradient: backward against numerical differences"),
    "net": ("tinyalex.commands.net", "count a network before it runs: parameters, operations, memory, bytes between two cards"),
    "compare": (
        "tinyalex.commands.compare",
        "networks side by side: parameters, multiply-adds, memory, time on this machine; as a chart; five questions about them",
    ),
    "train": ("tinyalex.commands.train", "train a network by a recipe on CIFAR-10, ImageNet or your own pictures; a stopped run goes on"),
    "evaluate": ("tinyalex.commands.evaluate", "the errors of a trained net, or of several averaged, beside the paper's tables"),
    "predict": ("tinyalex.commands.predict", "what a net says of your pictures: the five most probable classes of each, as a picture"),
    "convert": (
        "tinyalex.commands.convert",
        "a net from one format of files to another: Caffe, ONNX, PyTorch, safetensors, cuda-convnet and this program's own",
    ),
    "filters": (
        "tinyalex.commands.filters",
        "the filters of a convolution as a picture, as Figure 3 of the paper; of two towers, how differently they treat color",
    ),
    "features": ("tinyalex.commands.features", "what each layer of a net makes of your picture, as maps"),
    "neighbors": (
        "tinyalex.commands.neighbors",
        "the training images nearest to a test image, by the last hidden layer and by pixels, as Figure 4; binary codes",
    ),
    "explore": ("tinyalex.commands.explore", "a net on your pictures, unit by unit, forward and backward: one page that opens anywhere"),
    "doctor": ("tinyalex.commands.doctor", "say what this machine has, what is missing, and how to mend it"),
    "figure1": ("tinyalex.commands.figure1", "Figure 1 of the paper: how many epochs ReLU and tanh need to 25 % training error"),
    "claims": (
        "tinyalex.commands.claims",
        "what the paper, and those after it, say of their nets, re-run on CIFAR-10: each part taken away, with seeds and intervals",
    ),
    "data": ("tinyalex.commands.data", "download CIFAR-10, prepare photographs for training, and look at a data set"),
    "check": ("tinyalex.commands.check", "check your functions of the lessons' exercises: which mistake it is, and where to look"),
    "lessons": ("tinyalex.commands.lessons", "list the lessons, and open one: a notebook, or a page of the book"),
    "capstone": (
        "tinyalex.commands.capstone",
        "your functions of the exercises as one small AlexNet, trained beside the engine's: where the two part, and a page",
    ),
    "grade": ("tinyalex.commands.grade", "grade one student's file or a folder of them: marks, findings, a report on the class"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, by default the program's own, and return its exit code."""
    _allow_every_character()
    warnings.filterwarnings("ignore", "tqdm:disabling monitor support")  # where no thread starts; bars need none
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()  # here the error of a closed pipe can be caught; when Python ends it cannot
        return code
    except SystemExit as stop:  # from argparse: 0 after --help and --version, 2 after a wrong option
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # throw away what is still buffered
        return 141
    except Interrupted as stop:  # without "error:", because nobody made a mistake
        return _complain(str(stop), stop.exit_code)
    except TinyalexError as error:
        return _complain(f"error: {error}", error.exit_code)
    except MemoryError:
        return _complain("error: memory must suffice for the work, got none left; use a smaller batch or fewer images", 1)
    except OSError as error:
        return _complain(f"error: {_sentence(error)}", 1 if error.errno in FULL else 2)


FULL = (errno.ENOSPC, errno.EDQUOT)


def _sentence(error: OSError) -> str:
    """The message for an error of the file system. An OSError without a file name is a bug; it is raised again."""
    if error.errno in FULL:
        where = "" if error.filename is None else f" of {error.filename}"
        return f"disk{where} must have room for what is written, got none left; make room, or write to another disk"
    if error.filename is None:
        raise error
    return f"file {error.filename} must be readable, or writable where it is written, got {error.strerror}"


def _allow_every_character() -> None:
    """Write characters that the terminal's encoding lacks as `\\u5b66`, so that no run of hours ends in an encoding error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _Parser(argparse.ArgumentParser):
    """An argument parser that answers a mistyped option or action with the name that was probably meant."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does; only the message about an unknown option is better."""
        known, unknown = self.parse_known_args(args, namespace)
        if unknown:
            near = did_you_mean(unknown[0].partition("=")[0], _options(self)) if unknown[0].startswith("--") else None
            self.error(f"unrecognized arguments: {' '.join(unknown)}" + (f"; {near}" if near else ""))
        return known

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            if near := did_you_mean(value, action.choices or ()):
                error.message += f"; {near}"
            raise


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """All options of a parser and of its actions."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _options(inner)


def _complain(text: str, code: int) -> int:
    print(f"tinyalex: {text}", file=sys.stderr)
    return code


def _run(argv: list[str]) -> int:
    top = _top_parser()
    if not argv:
        top.print_help(sys.stderr)
        return 2
    if argv[0].startswith("-"):
        top.parse_args(argv)  # --help and --version end here
        top.error("the command must come first")
    if argv[0] not in COMMANDS:
        near = did_you_mean(argv[0], COMMANDS)
        top.error(f"the command must be one of {', '.join(COMMANDS)}, got {argv[0]!r}" + (f"; {near}" if near else ""))
    command: Any = import_module(COMMANDS[argv[0]][0])
    parser = _Parser(
        f"tinyalex {argv[0]}",
        description=command.HELP,
        epilog=f"example:\n  {command.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    return command.run(parser.parse_args(argv[1:]))


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        "tinyalex",
        usage="tinyalex COMMAND ...  |  tinyalex COMMAND --help",
        description="AlexNet in NumPy, every derivative by hand.\n\ncommands:\n"
        + "\n".join(f"  {name:<{width}}  {line}" for name, (_, line) in COMMANDS.items()),
        epilog="start with: tinyalex gradcheck",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tinyalex {__version__}")
    return parser
