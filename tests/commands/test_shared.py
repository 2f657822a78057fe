"""What the commands share."""

import builtins
from argparse import Namespace
from pathlib import Path

import pytest

from tinyalex import cli
from tinyalex.commands.shared import command_of, tell, tell_expected

DEFAULTS = {"net": "small", "augment": True, "momentum": 0.9}
SET = {"net": "small", "rates": None, "augment": True, "momentum": 0.9, "quick": False, "growth": None, "json": True, "out": "there"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ""),
        ({"net": "large", "momentum": 0.0}, " --net large --momentum 0.0"),
        ({"augment": False, "quick": True}, " --no-augment --quick"),
        ({"growth": 0, "rates": ["relu=0.1", "tanh=0.2"]}, " --rates relu=0.1 tanh=0.2 --growth 0"),
    ],
)
def test_command_has_the_options_that_differ_from_their_defaults(given, words):
    args = Namespace(**SET | given)
    assert command_of("train", args, DEFAULTS, Path("a b")) == f"tinyalex train{words} --out 'a b'"
    assert command_of("train", args, DEFAULTS, None) == f"tinyalex train{words}"


def test_changed_values_come_last_and_none_leaves_an_option_out():
    args = Namespace(**SET | {"net": "large", "growth": 3})
    assert command_of("train", args, DEFAULTS, None, net=None, growth=4) == "tinyalex train --growth 4"


def test_expected_time_stands_behind_the_work(capsys):
    tell_expected("tests the engine", 400)
    tell_expected("looks")
    assert capsys.readouterr().err == "tests the engine; about 7 min\nlooks\n"


def test_line_is_written_where_tqdm_is_missing(monkeypatch, capsys):
    load = builtins.__import__

    def without_tqdm(name, *args, **settings):
        if name == "tqdm":
            raise ImportError(name)
        return load(name, *args, **settings)

    monkeypatch.setattr(builtins, "__import__", without_tqdm)
    tell("a line")
    assert capsys.readouterr().err == "a line\n"


@pytest.mark.parametrize("option", ["--png", "--svg"])
def test_tilde_of_a_picture_is_the_home_folder(option, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.main(["net", "figure1", option, "~/net"]) == 0
    assert (tmp_path / "net").is_file() and f"wrote {tmp_path / 'net'}\n" in capsys.readouterr().out
