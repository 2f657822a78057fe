"""The command `tinyalex`: a table of sub-commands, and what all of them share when something goes wrong.

Exit codes: 0 done, 1 a check failed or room ran out, 2 bad input, 130 interrupted, 143
terminated, 141 the reader of the output went away.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from tinyalex import __version__
from tinyalex.errors import Interrupted, TinyalexError

COMMANDS = {  # name: (module, its HELP); only the chosen module is imported, so `--help` is quick
    "gradcheck": ("tinyalex.commands.gradcheck", "prove every gradient: backward against numerical differences"),
    "net": ("tinyalex.commands.net", "count a network before it runs: parameters, operations, memory, what two cards exchange"),
    "train": ("tinyalex.commands.train", "train a network on CIFAR-10: resumable, with curve, result and weights"),
    "doctor": ("tinyalex.commands.doctor", "tell what this machine offers, what is missing and how to mend it"),
    "figure1": ("tinyalex.commands.figure1", "Figure 1 of the paper: how many epochs ReLU and tanh need to 25 % training error"),
    "data": ("tinyalex.commands.data", "fetch and look at the data sets"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, by default the program's own, and return its exit code."""
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()  # here, not when Python ends, where a closed pipe can't be caught
        return code
    except SystemExit as stop:  # from argparse: 0 after --help and --version, 2 after a wrong option
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered goes nowhere
        return 141
    except Interrupted as stop:  # nobody's mistake
        return _complain(str(stop), stop.exit_code)
    except TinyalexError as error:
        return _complain(f"error: {error}", error.exit_code)
    except MemoryError:
        return _complain("error: memory must suffice for the work, got none left; use a smaller batch or fewer images", 1)
    except OSError as error:
        return _complain(f"error: {_sentence(error)}", 1 if error.errno in FULL else 2)


FULL = (errno.ENOSPC, errno.EDQUOT)


def _sentence(error: OSError) -> str:
    """What an error of the file system says to the user; one that no file caused is a bug, and raised again."""
    if error.errno in FULL:
        where = "" if error.filename is None else f" of {error.filename}"
        return f"disk{where} must have room for what is written, got none left; make room, or write to another disk"
    if error.filename is None:
        raise error
    return f"file {error.filename} must be readable, or writable where it is written, got {error.strerror}"


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
        near = difflib.get_close_matches(argv[0], COMMANDS, 1)
        top.error(f"the command must be one of {', '.join(COMMANDS)}, got {argv[0]!r}" + (f"; did you mean {near[0]}?" if near else ""))
    command: Any = import_module(COMMANDS[argv[0]][0])
    parser = argparse.ArgumentParser(
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
