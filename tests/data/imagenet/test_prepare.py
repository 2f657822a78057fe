"""Preparing a set: its files, its report, kills, and what is refused."""

import errno
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinyalex
from tests.contract import refuses
from tests.data.imagenet.making import class_folders, digest_of, picture, pixels, publisher, saved, tar_of
from tests.data.imagenet.test_pictures import bomb
from tinyalex.data.color import color_axes
from tinyalex.data.imagenet import open_shards, packing, preparation as preparing
from tinyalex.data.imagenet.pictures import square
from tinyalex.data.imagenet.preparation import prepare
from tinyalex.errors import DataError, DiskFull, ShapeError
from tinyalex.files import atomic


def prepared(source, dest, **settings):
    """Small shards, in this process."""
    return prepare(source, dest, **{"processes": 1, "images_a_shard": 5} | settings)


@pytest.fixture
def source(tmp_path):
    """Three classes of 8 pictures."""
    return class_folders(tmp_path / "src", each=8)


def test_files_of_a_set(source, tmp_path):
    made = prepared(source, tmp_path / "dest")
    names = {path.name for path in (tmp_path / "dest").iterdir()}
    shards = {f"train-{k:05d}.tar" for k in range(5)} | {"val-00000.tar"}
    assert names == shards | {"index.json", "train.npy", "val.npy", "mean.npy", "color.json", "report.json", "report.txt"}
    index = json.loads((tmp_path / "dest" / "index.json").read_bytes())
    assert index == made.index and made.made == 6
    assert (index["format"], index["version"], index["name"], index["side"], index["resize"]) == ("tinyalex shards", 1, "src", 256, "crop")
    assert index["classes"] == [["ant", "ant"], ["bee", "bee"], ["cat", "cat"]] and len(index["fingerprint"]) == 16
    assert [shard["images"] for shard in index["parts"]["train"]["shards"]] == [5, 5, 5, 5, 2] and index["parts"]["val"]["images"] == 2


def test_shard_is_a_tar_in_the_webdataset_layout(source, tmp_path):
    prepared(source, tmp_path / "dest")
    with tarfile.open(tmp_path / "dest" / "train-00001.tar") as tar:
        members = tar.getmembers()
        assert [one.name for one in members[:4]] == ["00000005.jpg", "00000005.cls", "00000005.json", "00000006.jpg"] and len(members) == 15
        assert {(one.mtime, one.uid, one.gid, one.uname, one.gname, one.mode) for one in members} == {(0, 0, 0, "", "", 0o644)}
        jpeg, label, about = (tar.extractfile(one).read() for one in members[:3])
    about = json.loads(about)
    assert about == {"name": about["name"], "class": ["ant", "bee", "cat"][int(label)], "width": 44, "height": 33}
    made = square((source / about["name"]).read_bytes()).image
    assert jpeg == saved(made, "JPEG", quality=95)


def test_every_picture_is_in_one_part_and_found_by_the_table(source, tmp_path):
    prepared(source, tmp_path / "dest")
    sources, names = open_shards(tmp_path / "dest"), set()
    for part, one in (("train", sources.train), ("val", sources.val)):
        table = np.load(tmp_path / "dest" / f"{part}.npy")
        for k, row in enumerate(table):
            path = tmp_path / "dest" / f"{part}-{row['shard']:05d}.tar"
            with tarfile.open(path) as tar:
                member = next(other for other in tar if other.offset_data == row["offset"])
                assert member.size == row["size"]
                name = json.loads(tar.extractfile(member.name.replace(".jpg", ".json")).read())["name"]
                with Image.open(tar.extractfile(member)) as image:
                    assert np.array_equal(one.read([k])[0], np.asarray(image).transpose(2, 0, 1))
            assert name.split("/")[0] == sources.classes[row["label"]]
            names.add(name)
    assert names == {path.relative_to(source).as_posix() for path in source.rglob("*.JPEG")}


def test_mean_image_and_axes_are_those_of_the_training_part(source, tmp_path):
    prepared(source, tmp_path / "dest")
    sources = open_shards(tmp_path / "dest")
    names = []
    for path in sorted((tmp_path / "dest").glob("train-*.tar")):
        with tarfile.open(path) as tar:
            names += [json.loads(tar.extractfile(one).read())["name"] for one in tar if one.name.endswith("json")]
    stack = np.stack([np.asarray(square((source / name).read_bytes()).image).transpose(2, 0, 1) for name in names])
    np.testing.assert_allclose(sources.mean_image(), stack.mean(axis=0), rtol=1e-6)
    for found, expected in zip(sources.color(), color_axes(stack), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)
    read = sources.train.read(np.arange(len(sources.train)))
    assert np.abs(sources.mean_image() - read.mean(axis=0)).mean() < 0.5  # the pixels before the JPEG encoding are counted


def test_publishers_files(tmp_path):
    answers = publisher(tmp_path / "src", each=6)
    made = prepared(tmp_path / "src", tmp_path / "dest")
    sources = open_shards(tmp_path / "dest")
    assert [name for name, _ in made.index["classes"]] == ["n00000010", "n00000020", "n00000030"]
    assert sources.classes[0] == "words of n00000010, in English"
    assert np.bincount(sources.train.labels).tolist() == [6, 6, 6] and len(sources.val) == 6
    for k in range(6):
        with tarfile.open(tmp_path / "dest" / f"val-{k // 5:05d}.tar") as tar:
            about = json.loads(tar.extractfile(f"{k:08d}.json").read())
        wnid = answers[int(about["name"][-13:-5]) - 1]
        assert about["class"] == wnid == made.index["classes"][sources.val.labels[k]][0]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # Python 3.12 and later
def test_processes_and_their_start_change_no_byte(source, tmp_path):
    prepared(source, tmp_path / "one")
    for method in ("spawn", "fork") if os.name == "posix" else ("spawn",):
        prepared(source, tmp_path / method, processes=2, method=method)
        assert digest_of(tmp_path / method) == digest_of(tmp_path / "one")


def test_options_make_other_sets(source, tmp_path):
    warped = prepared(source, tmp_path / "warp", warp=True)
    half = prepared(source, tmp_path / "half", split="half")
    plain = prepared(source, tmp_path / "plain")
    assert warped.index["resize"] == "warp" and len({one.index["fingerprint"] for one in (warped, half, plain)}) == 3
    assert {part: half.index["parts"][part]["images"] for part in ("train", "val")} == {"train": 12, "val": 12}
    labels = [np.bincount(one.labels).tolist() for one in (open_shards(tmp_path / "half").train, open_shards(tmp_path / "half").val)]
    assert labels == [[4, 4, 4], [4, 4, 4]]
    with tarfile.open(tmp_path / "warp" / "train-00000.tar") as tar:
        name = json.loads(tar.extractfile("00000000.json").read())["name"]
        assert tar.extractfile("00000000.jpg").read() == saved(square((source / name).read_bytes(), warp=True).image, "JPEG", quality=95)


def test_shards_of_a_small_set_are_many_and_of_a_large_one_not_too_large():
    assert [preparing._size(count) for count in (1, 900, 6400, 64_000, 1_281_167)] == [50, 50, 100, 1000, 1000]


def odd_files():
    """Name, contents, and what the report says: (what, kinds)."""
    exif = Image.Exif()
    exif[0x0112] = 6
    jpeg = picture(300, 300)
    return {
        "grey.jpg": (picture(mode="L"), "converted", {"greyscale"}),
        "cmyk.jpg": (picture(mode="CMYK"), "converted", {"CMYK"}),
        "deep.png": (saved(Image.fromarray(np.full((40, 40), 40_000, np.uint16))), "converted", {"16-bit", "greyscale"}),
        "palette.png": (saved(Image.fromarray(pixels()).quantize(8), transparency=1), "converted", {"palette with transparency"}),
        "alpha.png": (saved(Image.fromarray(pixels()).convert("RGBA")), "converted", {"with transparency"}),
        "turned.jpg": (saved(Image.fromarray(pixels()), "JPEG", exif=exif), "converted", {"turned by EXIF"}),
        "one.png": (saved(Image.new("RGB", (1, 1))), "converted", {"tiny"}),
        "cut.jpg": (jpeg[: len(jpeg) // 2], "left out", {"truncated"}),
        "empty.jpg": (b"", "left out", {"empty file"}),
        "text.jpg": (b"no picture", "left out", {"not a picture"}),
        "bomb.png": (bomb(20_000), "left out", {"too large"}),
        ".hidden.jpg": (jpeg, "left out", {"hidden file"}),
    }


@pytest.mark.parametrize("form", ["folder", "tar"])
def test_each_odd_file_is_converted_or_left_out_by_name(source, tmp_path, form):
    odd = odd_files()
    for name, (contents, *_) in odd.items():
        (source / "ant" / name).write_bytes(contents)
    if form == "tar":
        tars = []
        for folder in sorted(source.iterdir()):
            tars.append((f"{folder.name}.tar", tar_of((path.name, path.read_bytes()) for path in sorted(folder.iterdir()))))
        source = tmp_path / "train.tar"
        source.write_bytes(tar_of(tars))
    made = prepared(source, tmp_path / "dest")
    report = json.loads((tmp_path / "dest" / "report.json").read_bytes())
    assert report == made.report
    for name, (_, what, kinds) in odd.items():
        named = {kind for kind, names in report[what].items() if any(f"ant/{name}" == other.split(" (")[0] for other in names)}
        assert named == kinds, name
    assert sum(report["images"].values()) == 24 + sum(what == "converted" for _, what, _ in odd.values())
    assert report["counts"]["left out"] == {"empty file": 1, "hidden file": 1, "not a picture": 1, "too large": 1, "truncated": 1}
    text = (tmp_path / "dest" / "report.txt").read_text()
    assert all(f"  ant/{name}" in text for name in odd) and "bomb.png (more pixels than Pillow opens)" in text


def test_classes_without_a_picture_are_noted(source, tmp_path):
    for path in (source / "bee").iterdir():
        path.write_bytes(b"broken")
    made = prepared(source, tmp_path / "dest")
    assert "1 class without a picture in train: bee" in made.report["notes"]
    for path in (source / "cat").iterdir():
        path.write_bytes(b"broken")
    with refuses(DataError, "other: train must hold pictures of 2 classes at least, got 1; report.txt says which pictures were left out"):
        prepared(source, tmp_path / "other")
    assert "left out: 16 not a picture" in (tmp_path / "other" / "report.txt").read_text()


KILLED = """
import sys
from tinyalex.data.imagenet.preparation import prepare
if __name__ == "__main__":
    prepare(sys.argv[1], sys.argv[2], processes=int(sys.argv[3]), images_a_shard=5, method=sys.argv[4])
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize(("processes", "method"), [(1, "spawn"), pytest.param(2, "spawn", marks=pytest.mark.slow)])
def test_kills_leave_no_other_bytes_and_no_finished_shard_is_made_again(source, tmp_path, processes, method):
    """Each run is killed as soon as it finished one more shard, and the last one ends by itself."""
    for k in range(5):
        (source / "ant" / f"more{k}.jpg").write_bytes(picture(1600, 1200, seed=k))
    prepared(source, tmp_path / "undisturbed")
    script = tmp_path / "run.py"
    script.write_text(KILLED)
    dest, seen = tmp_path / "dest", {}
    environment = os.environ | {"PYTHONPATH": str(Path(tinyalex.__file__).parents[1])}
    for _ in range(3):
        run = subprocess.Popen([sys.executable, script, tmp_path / "src", dest, str(processes), method], env=environment)
        while run.poll() is None and len(list(dest.glob("*.tar"))) <= len(seen):
            time.sleep(0.002)
        run.send_signal(signal.SIGKILL)
        run.wait()
        now = {path.name: path.stat().st_mtime_ns for path in dest.glob("*.tar")}
        assert now.items() >= seen.items()
        seen = now
    assert 1 <= len(seen)
    made = prepared(tmp_path / "src", dest)
    assert {name: (dest / name).stat().st_mtime_ns for name in seen} == seen
    assert made.made <= 6 + 1 - len(seen)
    assert digest_of(dest) == digest_of(tmp_path / "undisturbed")


@pytest.mark.parametrize("at", range(12))
def test_stop_at_any_write_goes_on(source, tmp_path, monkeypatch, at):
    """The write number `at` and all after it fail, as if the process had been killed there."""
    prepared(source, tmp_path / "undisturbed", split="half", images_a_shard=12)
    replace, count = os.replace, 0

    def fail(*args):
        nonlocal count
        count += 1
        if count > at:
            raise KeyboardInterrupt
        replace(*args)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        prepared(source, tmp_path / "dest", split="half", images_a_shard=12)
    monkeypatch.undo()
    assert not (tmp_path / "dest" / "index.json").exists()
    (tmp_path / "dest" / f".train-00000.tar.1.2.3{atomic.TEMPORARY}").write_bytes(b"what a kill leaves")
    prepared(source, tmp_path / "dest", split="half", images_a_shard=12)
    assert digest_of(tmp_path / "dest") == digest_of(tmp_path / "undisturbed")


def test_stop_behind_the_last_write(source, tmp_path, monkeypatch):
    prepared(source, tmp_path / "undisturbed")
    monkeypatch.setattr(preparing.shutil, "rmtree", lambda folder: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        prepared(source, tmp_path / "dest")
    monkeypatch.undo()
    assert prepared(source, tmp_path / "dest").made == 0 and digest_of(tmp_path / "dest") == digest_of(tmp_path / "undisturbed")


def test_finished_set_is_left_alone_and_lost_shards_are_made_again(source, tmp_path):
    prepared(source, tmp_path / "dest")
    before = digest_of(tmp_path / "dest")
    calls = []
    again = prepared(source, tmp_path / "dest", progress=lambda *args: calls.append(args))
    assert again.made == 0 and again.report == json.loads((tmp_path / "dest" / "report.json").read_bytes()) and calls == []
    (tmp_path / "dest" / "train-00002.tar").unlink()
    with open(tmp_path / "dest" / "val-00000.tar", "ab") as file:
        file.write(b"more")
    assert prepared(source, tmp_path / "dest").made == 2 and digest_of(tmp_path / "dest") == before


def test_shard_that_comes_out_otherwise_is_refused(source, tmp_path, monkeypatch):
    prepared(source, tmp_path / "dest")
    (tmp_path / "dest" / "train-00002.tar").unlink()
    monkeypatch.setattr(packing, "encode", lambda image: saved(image, "JPEG", quality=94))
    with refuses(DataError, "train-00002.tar: a shard that is made again must have the bytes of the first one, got others"):
        prepared(source, tmp_path / "dest")


def test_notes_that_a_power_failure_damaged_are_made_again(source, tmp_path, monkeypatch):
    prepared(source, tmp_path / "undisturbed")
    monkeypatch.setattr(preparing, "finish", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        prepared(source, tmp_path / "dest")
    monkeypatch.undo()
    notes = sorted((tmp_path / "dest" / "unfinished").glob("*.npz"))
    notes[0].write_bytes(b"")
    notes[1].write_bytes(notes[1].read_bytes()[:100])
    os.truncate(tmp_path / "dest" / "train-00003.tar", 1000)
    assert prepared(source, tmp_path / "dest").made == 3
    assert digest_of(tmp_path / "dest") == digest_of(tmp_path / "undisturbed")


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"warp": True}, "DEST must hold shards made with the same options, got resize crop instead of warp"),
        ({"split": 0.5}, "got split None instead of 0.5; choose another DEST"),
        ({"images_a_shard": 6}, "got images a shard {'train': 5, 'val': 5} instead of {'train': 6, 'val': 6}"),
        ({"picture": True}, "DEST must hold shards of the same pictures, got those of another set; choose another DEST"),
    ],
)
def test_another_set_or_other_options_are_refused(source, tmp_path, monkeypatch, finished, change, text):
    if not finished:
        monkeypatch.setattr(preparing, "finish", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepared(source, tmp_path / "dest")
        monkeypatch.undo()
    else:
        prepared(source, tmp_path / "dest")
    if "picture" in change:
        (source / "ant" / "new.jpg").write_bytes(picture())
    lists = ("records", "names", "labels", "order")  # of the pictures of SRC, which are written anew by each call

    def kept():
        return {name: digest for name, digest in digest_of(tmp_path / "dest").items() if not name.endswith(lists)}

    before = kept()
    with refuses(DataError, text):
        prepared(source, tmp_path / "dest", **{key: value for key, value in change.items() if key != "picture"})
    assert kept() == before and (tmp_path / "dest" / "unfinished").exists() != finished


def test_source_that_is_refused_leaves_no_dest(tmp_path):
    class_folders(tmp_path / "src", ("ant",))
    with refuses(DataError, "src: classes must be at least 2, got only 'ant'"):
        prepared(tmp_path / "src", tmp_path / "dest")
    assert not (tmp_path / "dest").exists()


def test_place_of_dest(source, tmp_path):
    for dest in (source, source / "inside", source / "ant" / ".." / "x"):
        with refuses(DataError, "DEST must lie outside of SRC, got a folder in "):
            prepared(source, dest)
    (tmp_path / "file").write_text("x")
    with refuses(DataError, "file: DEST must be a folder, got a file"):
        prepared(source, tmp_path / "file")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with refuses(DataError, "mine: DEST must be a new folder or a prepared set, got 1 other files such as thesis.txt"):
        prepared(source, tmp_path / "mine")
    assert sorted(path.name for path in source.iterdir()) == ["ant", "bee", "cat"]


def test_settings_outside_their_range(source, tmp_path):
    for settings, text in (
        ({"split": "third"}, "split must be half, or a share above 0 and below 1, got 'third'"),
        ({"split": 1.0}, "split must be half, or a share above 0 and below 1, got 1.0"),
        ({"processes": 0}, "processes must be an integer of at least 1, got 0"),
        ({"images_a_shard": 0}, "images_a_shard must be an integer of at least 1, got 0"),
        ({"method": "thread"}, "method must be spawn, fork or forkserver, got 'thread'"),
        ({"warp": 1}, "warp must be True or False, got 1"),
    ):
        with refuses(ShapeError, f"prepare: {text}"):
            prepared(source, tmp_path / "dest", **settings)
    class_folders(tmp_path / "two" / "train")
    class_folders(tmp_path / "two" / "val")
    with refuses(DataError, "prepare: split must be None where there is a validation part, got 'half' and "):
        prepared(tmp_path / "two", tmp_path / "dest", split="half")
    assert not (tmp_path / "dest").exists()


def test_second_run_at_the_same_time_is_refused(source, tmp_path, monkeypatch):
    monkeypatch.setattr(preparing, "WAIT_S", 0.2)
    with atomic.alone_in(tmp_path / "dest"), refuses(DataError, "dest: runs that prepare it must be one, got a second; wait for the first"):
        prepared(source, tmp_path / "dest")


def test_full_disk_ends_with_1_and_the_run_goes_on_afterwards(source, tmp_path, monkeypatch):
    prepared(source, tmp_path / "undisturbed")
    write, count = atomic.os.fsync, 0

    def full(handle):
        nonlocal count
        count += 1
        if count > 9:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(handle)

    monkeypatch.setattr(atomic.os, "fsync", full)
    with refuses(DiskFull, "the disk must have ") as caught:
        prepared(source, tmp_path / "dest")
    assert DiskFull.exit_code == 1 and caught is None
    monkeypatch.undo()
    assert not list((tmp_path / "dest").rglob("*.tinyalex-tmp")) and list((tmp_path / "dest").glob("*.tar"))
    prepared(source, tmp_path / "dest")
    assert digest_of(tmp_path / "dest") == digest_of(tmp_path / "undisturbed")


def test_disk_that_is_too_small_is_noticed_before_the_work(source, tmp_path, monkeypatch):
    monkeypatch.setattr(preparing, "free_bytes", lambda folder: 1000)
    with refuses(DiskFull, "dest: the disk must have about "):
        prepared(source, tmp_path / "dest")
    assert not list((tmp_path / "dest").glob("*.tar"))


def test_source_that_changes_meanwhile_is_refused(source, tmp_path):
    def shorten(done, total):
        if done == 1:
            for path in source.rglob("*.JPEG"):
                path.write_bytes(path.read_bytes()[:-1])

    with refuses(DataError, "SRC must stay as it is while shards are made, got "):
        prepared(source, tmp_path / "dest", progress=shorten)

    def remove(done, total):
        if done == 1:
            for path in source.rglob("*.JPEG"):
                path.unlink()

    with refuses(DataError, "SRC must stay as it is while shards are made, got No such file or directory"):
        prepared(source, tmp_path / "other", progress=remove)


@pytest.mark.parametrize("processes", [1, 2])
def test_progress_counts_to_the_number_of_pictures(source, tmp_path, processes):
    calls, expected = [], []
    prepared(source, tmp_path / "dest", processes=processes, progress=lambda *args: calls.append(args), expect=expected.append)
    assert calls[0] == (0, 24) and calls[-1] == (24, 24) and [done for done, _ in calls] == sorted(done for done, _ in calls)
    (told,) = expected
    assert (told.pictures, told.shards) == (24, 6) and told.seconds > 0 and told.bytes > 24 * 3072
