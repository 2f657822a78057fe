"""The command line's frame: which module runs, and what becomes of errors."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest

import tinyalex
from tinyalex import cli


@pytest.fixture
def command(monkeypatch):
    """A command `probe` that does what it is told; returns the function that tells it."""
    module = SimpleNamespace(HELP="probes", EXAMPLE="tinyalex probe", run=lambda args: 0)
    module.add_arguments = lambda parser: parser.add_argument("--n", type=int)
    monkeypatch.setitem(sys.modules, "probe_command", module)
    monkeypatch.setitem(cli.COMMANDS, "probe", ("probe_command", "probes"))

    def does(run):
        module.run = run

    return does


def raises(error):
    def run(args):
        raise error

    return run


def test_options_reach_the_command_and_its_code_comes_back(command):
    command(lambda args: args.n)
    assert cli.main(["probe", "--n", "1"]) == 1
    assert cli.main(["probe", "--n", "0"]) == 0


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (tinyalex.ShapeError("conv1: groups must be 1, got 2"), 2, "tinyalex: error: conv1: groups must be 1, got 2\n"),
        (tinyalex.DivergedError("loss must be finite, got nan"), 1, "tinyalex: error: loss must be finite, got nan\n"),
        (tinyalex.OutOfMemory("sim:0: no room"), 1, "tinyalex: error: sim:0: no room\n"),
        (tinyalex.Interrupted("the run was stopped; go on with: a", 143), 143, "tinyalex: the run was stopped; go on with: a\n"),
        (KeyboardInterrupt(), 130, "tinyalex: interrupted\n"),
        (MemoryError(), 1, "tinyalex: error: memory must suffice for the work, got none left; use a smaller batch or fewer images\n"),
        (OSError(errno.ENOSPC, "No space left on device"), 1,
         "tinyalex: error: disk must have room for what is written, got none left; make room, or write to another disk\n"),
        (OSError(errno.ENOSPC, "No space left on device", "a.npz"), 1,
         "tinyalex: error: disk of a.npz must have room for what is written, got none left; make room, or write to another disk\n"),
        (PermissionError(errno.EACCES, "Permission denied", "a.npz"), 2,
         "tinyalex: error: file a.npz must be readable, or writable where it is written, got Permission denied\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_error_becomes_one_sentence_and_a_code(command, capsys, error, code, text):
    command(raises(error))
    assert cli.main(["probe"]) == code
    assert capsys.readouterr() == ("", text)


@pytest.mark.parametrize("error", [KeyError("a bug"), OSError("a bug")], ids=repr)
def test_bug_is_not_hidden(command, error):
    command(raises(error))
    with pytest.raises(type(error), match="a bug"):
        cli.main(["probe"])


def test_wrong_option_exits_2(command, capsys):
    assert cli.main(["probe", "--m", "1"]) == 2
    assert "unrecognized arguments: --m 1" in capsys.readouterr().err


def test_unknown_command_exits_2_and_names_a_near_one(capsys):
    assert cli.main(["gradchek"]) == 2
    assert re.search(r"the command must be one of gradcheck, .*, got 'gradchek'; did you mean gradcheck\?", capsys.readouterr().err)


def test_option_before_the_command_exits_2(capsys):
    assert cli.main(["--json", "gradcheck"]) == 2
    assert "unrecognized arguments" in capsys.readouterr().err


def test_no_command_prints_where_to_start_and_exits_2(capsys):
    assert cli.main([]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "start with: tinyalex gradcheck" in err


def test_help_lists_every_command_with_its_line(capsys):
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, (_, line) in cli.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(line)}$", text, re.MULTILINE)


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"tinyalex {tinyalex.__version__}\n"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_command_says_what_the_table_says_and_shows_its_example(name, capsys):
    module = import_module(cli.COMMANDS[name][0])
    assert module.HELP == cli.COMMANDS[name][1]
    assert cli.main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert module.EXAMPLE in text and module.EXAMPLE.startswith(f"tinyalex {name}")


def test_only_the_chosen_command_is_imported():
    script = "import sys; from tinyalex.cli import main; main(['--help']); print([m for m in sys.modules if 'commands' in m])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("start with: tinyalex gradcheck\n[]\n")


def test_runs_as_a_module():
    result = subprocess.run([sys.executable, "-m", "tinyalex", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"tinyalex {tinyalex.__version__}\n"


def test_reader_that_goes_away_is_no_error():
    script = (
        "import sys, types; from tinyalex import cli\n"
        "module = types.SimpleNamespace(HELP='', EXAMPLE='', add_arguments=lambda parser: None)\n"
        "module.run = lambda args: print('x' * 1_000_000) or 0\n"
        "sys.modules['probe'] = module; cli.COMMANDS['probe'] = ('probe', '')\n"
        "sys.exit(cli.main(['probe']))"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["train", "--epoch", "3"], "unrecognized arguments: --epoch 3; did you mean --epochs?"),
        (["train", "--batchsize=3"], "unrecognized arguments: --batchsize=3; did you mean --batch-size?"),
        (["data", "show", "--dta", "x"], "unrecognized arguments: --dta x; did you mean --data?"),
        (["data", "cifar-10"], "did you mean cifar10?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistyped_option_or_action_is_told_what_it_looks_like(argv, text, capsys):
    assert cli.main(argv) == 2
    assert text in capsys.readouterr().err


def test_option_that_looks_like_none_gets_no_guess(capsys):
    assert cli.main(["train", "--zzz", "3"]) == 2
    assert "did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_folder_named_in_other_characters_than_the_terminals_ends_no_run(encoding, tmp_path):
    folder = tmp_path / "学习"
    command = "train --data synthetic --train-images 8 --test-images 4 --batch-size 8 --epochs 1 --devices cpu:0 --out".split()
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    result = subprocess.run([sys.executable, "-m", "tinyalex", *command, str(folder)], capture_output=True, env=environment, check=False)
    assert result.returncode == 0 and b"Traceback" not in result.stderr, result.stderr
    assert rb"\u5b66\u4e60" in result.stdout and rb"writes to" in result.stderr and (folder / "result.json").is_file()


def test_exit_with_a_text_is_bad_input(command):
    command(raises(SystemExit("no")))
    assert cli.main(["probe"]) == 2
