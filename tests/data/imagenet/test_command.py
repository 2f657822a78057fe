"""`tinyalex data imagenet`."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tqdm

import tinyalex
from tests.data.imagenet.making import class_folders, digest_of, picture, publisher
from tinyalex import cli
from tinyalex.commands import data
from tinyalex.data.imagenet import preparation


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Shards of five pictures, and an own working folder."""
    monkeypatch.setattr(preparation, "MOST_IN_SHARD", 5)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def source(tmp_path):
    """Three classes of 8 pictures."""
    return class_folders(tmp_path / "src", each=8)


def run(*argv):
    return cli.main(["data", "imagenet", *map(str, argv), "--processes", "1"])


def test_help_shows_an_example(capsys):
    assert cli.main(["data", "imagenet", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"example: {data.IMAGENET_EXAMPLE}" in text and "the 10,184 classes" in text


def test_what_is_printed(source, capsys):
    for name in ("ant", "bee", "cat"):
        (source / name / "grey.jpg").write_bytes(picture(mode="L"))
    (source / "ant" / "empty.jpg").write_bytes(b"")
    assert run("src", "dest", "--split", "half") == 0
    out, err = capsys.readouterr()
    assert err.startswith("lists the pictures of src, then makes shards in dest; 3 ms of a processor a picture, or more\n")
    assert re.search("^28 pictures to make into 6 shards, 3..,... B; about [0-9]+ s$", err, re.MULTILINE)
    assert out.splitlines() == [
        "14 pictures in train",
        "13 pictures in val",
        "converted: 3 greyscale",
        "left out: 1 empty file",
        "dest/report.txt names them; next: tinyalex train --net alexnet --recipe paper --data dest",
    ]


def test_json(source, capsys):
    assert run("src", "dest", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["folder"] == "dest" and document["shards made"] == 6
    assert document["index"] == json.loads(Path("dest/index.json").read_bytes())
    assert document["report"] == json.loads(Path("dest/report.json").read_bytes())


def test_options_reach_the_preparation(tmp_path, capsys):
    publisher(tmp_path / "src")
    for name in ("val", "devkit_t12"):
        path = next((tmp_path / "src").glob(f"*{name}.tar"))
        path.rename(tmp_path / path.name)
    assert run("src", "dest", "--val", "ILSVRC2012_img_val.tar", "--devkit", "ILSVRC2012_devkit_t12.tar", "--warp") == 0
    index = json.loads(Path("dest/index.json").read_bytes())
    assert index["resize"] == "warp" and index["parts"]["val"]["images"] == 6
    for text, images in (("half", 6), ("0.25", 3)):
        assert run("src", text, "--split", text) == 0
        assert json.loads(Path(text, "index.json").read_bytes())["parts"]["val"]["images"] == images


def test_check(source, capsys):
    run("src", "dest")
    capsys.readouterr()
    assert cli.main(["data", "imagenet", "dest", "--check"]) == 0
    out, err = capsys.readouterr()
    assert out == "10 of 10 files are as they were made\n" and err.startswith("reads ")
    before = digest_of(Path("dest"))
    data_ = bytearray(Path("dest/train-00001.tar").read_bytes())
    data_[5000] ^= 1
    Path("dest/train-00001.tar").write_bytes(data_)
    assert cli.main(["data", "imagenet", "dest", "--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "dest/train-00001.tar: altered", "9 of 10 files are as they were made",
        "remove these files and run `tinyalex data imagenet SRC dest` again, which makes them again",
    ]  # fmt: skip
    assert cli.main(["data", "imagenet", "dest", "--check", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"folder": "dest", "files": 10, "wrong": {"train-00001.tar": "altered"}}
    Path("dest/train-00001.tar").unlink()
    assert run("src", "dest") == 0 and digest_of(Path("dest")) == before
    Path("dest/color.json").write_text("{}")
    capsys.readouterr()
    assert cli.main(["data", "imagenet", "dest", "--check"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out == ["dest/color.json: altered", "9 of 10 files are as they were made", "prepare the set again in a new folder"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nowhere", "dest"], "nowhere: SRC must be a folder or a tar that is there"),
        (["src"], "data imagenet: DEST must be the folder for the set, got none; name it behind SRC"),
        (["src", "src/ant"], "src/ant: DEST must lie outside of SRC"),
        (["src", "dest", "--split", "third"], "prepare: split must be half, or a share above 0 and below 1, got 'third'"),
        (["src", "dest", "--split", "nan"], "prepare: split must be half, or a share above 0 and below 1, got nan"),
        (["src", "dest", "--devkit", "nowhere"], "nowhere: --devkit must be a folder or a tar that is there"),
        (["src", "--check"], "src: the folder must hold index.json of `tinyalex data imagenet`, got none"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(source, capsys, argv, message):
    assert run(*argv) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_bar_counts_only_what_is_made_now(source, capsys, monkeypatch):
    monkeypatch.setattr(preparation, "finish", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run("src", "dest") == 130
    monkeypatch.undo()
    os.chdir(source.parent)
    monkeypatch.setattr(preparation, "MOST_IN_SHARD", 5)
    Path("dest/train-00002.tar").unlink()
    bars = []

    class Bar(tqdm.tqdm):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings | {"disable": False})
            bars.append(self)

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    assert run("src", "dest") == 0
    assert [(bar.initial, bar.n, bar.total) for bar in bars] == [(19, 24, 24)]


def test_interrupted_run_says_how_to_go_on(source, capsys, monkeypatch):
    monkeypatch.setattr(preparation, "finish", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    assert cli.main(["data", "imagenet", "src", "my set", "--warp", "--split", "half", "--processes", "1"]) == 130
    err = capsys.readouterr().err.splitlines()[-1]
    command = "tinyalex data imagenet src 'my set' --split half --processes 1 --warp"
    assert err == f"tinyalex: data imagenet: stopped; the shards that are finished are kept; go on with: {command}"


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("number", "code", "wait"), [(signal.SIGINT, 130, 0), (signal.SIGINT, 130, 2), (signal.SIGTERM, 143, 2)])
def test_ctrl_c_and_sigterm_stop_all_processes_with_one_line(tmp_path, number, code, wait):
    """At once, when the other processes begin, and when they work."""
    source = class_folders(tmp_path / "src", each=30)
    big = picture(3000, 2500)
    for k in range(100):
        (source / "ant" / f"more{k}.jpg").write_bytes(big)
    environment = os.environ | {"PYTHONPATH": str(Path(tinyalex.__file__).parents[1])}
    argv = [sys.executable, "-m", "tinyalex", "data", "imagenet", str(source), str(tmp_path / "dest"), "--processes", "2"]
    process = subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    while process.poll() is None and not (tmp_path / "dest" / "unfinished" / "plan.json").exists():
        time.sleep(0.01)
    time.sleep(wait)
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)  # Ctrl-C reaches all processes of a terminal
    _, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert "Traceback" not in err and err.splitlines()[-1].startswith("tinyalex: data imagenet: stopped; ")
