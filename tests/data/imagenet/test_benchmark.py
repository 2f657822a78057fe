"""The benchmark of preparations runs; its times are not tested."""

import numpy as np
import pytest
from PIL import Image

from benchmarks import prepare
from tests.data.imagenet.making import class_folders
from tinyalex.data.imagenet.pictures import encode, square


def test_bare_work_is_the_same_as_that_of_the_preparation(tmp_path):
    prepare.draw(tmp_path, 1)
    (path,) = tmp_path.rglob("*.jpg")
    assert prepare.bare(path) == len(encode(square(path.read_bytes()).image))


@pytest.mark.parametrize("argv", [["--pictures", "20"], ["--source", "mine"]])
def test_command_prints_both_ratios(tmp_path, capsys, monkeypatch, argv):
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "mine", each=6)
    assert prepare.main([*argv, "--processes", "1", "--repeats", "1"]) == 0
    out = capsys.readouterr().out
    assert ("drawn pictures of 500 x 375, 1 processes: bare " in out) == ("--pictures" in argv)
    assert "ratio " in out and "on the clock" in out


def test_drawn_pictures_have_the_usual_size_and_files_of_photographs(tmp_path):
    prepare.draw(tmp_path, 20)
    sizes = [path.stat().st_size for path in tmp_path.rglob("*.jpg")]
    with Image.open(next(tmp_path.rglob("*.jpg"))) as image:
        assert image.size == (500, 375)
    assert len(sizes) == 20 and 30_000 < np.mean(sizes) < 160_000


def test_bad_input_exits_2(capsys):
    assert prepare.main(["--processes", "0"]) == 2
    assert "--processes must be an integer of at least 1, got 0" in capsys.readouterr().err
