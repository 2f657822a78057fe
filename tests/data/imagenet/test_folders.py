"""A folder of pictures in place."""

import pickle

import numpy as np
import pytest

from tests.contract import refuses
from tests.data.imagenet.making import class_folders, picture, tar_of
from tinyalex.data.color import color_axes
from tinyalex.data.imagenet import folders, open_folder, open_shards, prepare
from tinyalex.data.imagenet.pictures import square
from tinyalex.errors import DataError


@pytest.fixture
def source(tmp_path):
    """Three classes of 8 pictures."""
    return class_folders(tmp_path / "mine", each=8)


def test_sources(source, own_cache):
    sources = open_folder(source)
    assert sources.name == "mine" and sources.classes == ("ant", "bee", "cat") and sources.note == "pictures in place, crop to 256"
    assert (len(sources.train), len(sources.val)) == (22, 2) and sources.train.labels.dtype == np.int64
    for part in (sources.train, sources.val):
        images = part.read(range(len(part)))
        assert images.shape == (len(part), 3, 256, 256) and images.dtype == np.uint8
        for path, label, image in zip(part.paths, part.labels, images, strict=True):
            assert path.parent.name == sources.classes[label]
            assert np.array_equal(image, np.asarray(square(path.read_bytes()).image).transpose(2, 0, 1))
    stack = sources.train.read(range(22))
    np.testing.assert_allclose(sources.mean_image(), stack.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(sources.color()[0], color_axes(stack)[0], rtol=1e-7)
    assert not [path for path in source.rglob("*") if path.is_file() and path.suffix != ".JPEG"]  # nothing is written there


def test_same_pictures_labels_and_order_as_the_prepared_set(source, tmp_path):
    prepare(source, tmp_path / "dest", processes=1)
    one, other = open_folder(source), open_shards(tmp_path / "dest")
    for part in ("train", "val"):
        mine, shards = getattr(one, part), getattr(other, part)
        assert np.array_equal(mine.labels, shards.labels)
        assert np.abs(mine.read([0, 1]).astype(int) - shards.read([0, 1])).mean() < 2  # the shards' pictures were encoded once more
    assert np.array_equal(one.mean_image(), other.mean_image())


def test_indices_and_pickle(source):
    train = open_folder(source).train
    everything = train.read(range(22))
    for indices in ([5, 0, 5], slice(3, 9), np.array([], int)):
        assert np.array_equal(train.read(indices), everything[indices])
    again = pickle.loads(pickle.dumps(train))
    assert again.fingerprint() == train.fingerprint() and np.array_equal(again.read([3]), everything[[3]])


def test_train_and_val_folders(tmp_path):
    class_folders(tmp_path / "mine" / "train")
    class_folders(tmp_path / "mine" / "val", each=2, start=40)
    sources = open_folder(tmp_path / "mine")
    assert (len(sources.train), len(sources.val)) == (12, 6)


def test_share_and_warp_are_settings_of_their_own(source):
    plain, half, warped = open_folder(source), open_folder(source, share=0.5), open_folder(source, warp=True)
    assert (len(half.train), len(half.val)) == (12, 12) and "warp to 256" in warped.note
    assert len({one.train.fingerprint() for one in (plain, half, warped)}) == 3
    path = warped.train.paths[0]
    assert np.array_equal(warped.train.read([0])[0], np.asarray(square(path.read_bytes(), warp=True).image).transpose(2, 0, 1))


def test_files_that_are_no_pictures_are_left_out_by_name(source):
    (source / "ant" / "notes.txt").write_text("x")
    (source / "ant" / "cut.jpg").write_bytes(picture(300, 300)[:3000])
    (source / "ant" / ".DS_Store").write_bytes(b"x")
    sources = open_folder(source)
    names = {path.name for part in (sources.train, sources.val) for path in part.paths}
    assert len(names) == 24 and "notes.txt" not in names
    assert sources.note.startswith("pictures in place, crop to 256, 2 files left out: ")
    assert all(text in sources.note for text in ("ant/notes.txt (not a picture)", "ant/cut.jpg (truncated)"))
    assert sources.aside == ", 1 file left out: ant/.DS_Store (hidden file)"


def test_what_the_system_lays_beside_the_pictures_does_not_make_another_set(source):
    before = open_folder(source)
    (source / "ant" / "Thumbs.db").write_bytes(b"x")
    (source / "bars.png").write_bytes(b"x")
    after = open_folder(source)
    assert after.note == before.note and after.train.fingerprint() == before.train.fingerprint()
    assert before.aside == "" and "bars.png (outside of a class folder)" in after.aside


def test_second_opening_decodes_nothing_and_a_change_is_noticed(source, monkeypatch):
    first = open_folder(source)
    monkeypatch.setattr(folders, "convert", None)
    second = open_folder(source)
    assert second.train.fingerprint() == first.train.fingerprint() and np.array_equal(second.mean_image(), first.mean_image())
    monkeypatch.undo()
    (source / "ant" / "new.JPEG").write_bytes(picture(seed=77))
    third = open_folder(source)
    assert len(third.train) + len(third.val) == 25 and third.train.fingerprint() != first.train.fingerprint()


def test_damaged_or_unwritable_cache_is_not_used(source, own_cache, monkeypatch):
    first = open_folder(source)
    (kept,) = own_cache.rglob("*.npz")
    for damaged in (b"", kept.read_bytes()[:500]):
        kept.write_bytes(damaged)
        assert np.array_equal(open_folder(source).mean_image(), first.mean_image())
    (own_cache / "file").write_text("x")
    monkeypatch.setenv("XDG_CACHE_HOME", str(own_cache / "file"))
    assert np.array_equal(open_folder(source).mean_image(), first.mean_image())


def test_progress(source):
    calls = []
    open_folder(source, progress=lambda *args: calls.append(args))
    assert calls[-1] == (24, 24)


def test_picture_that_is_gone_or_damaged_in_the_middle_is_named(source):
    train = open_folder(source).train
    train.paths[3].write_bytes(b"broken")
    with refuses(DataError, f"{train.paths[3].name}: the file must be a picture, as it was before, got not a picture begins with b'"):
        train.read([3])
    train.paths[4].unlink()
    with refuses(DataError, f"{train.paths[4].name}: the file must be there, as it was before, got No such file or directory; put it back"):
        train.read([4])
    train.read([0, 1, 2])


def test_bad_folders_are_refused(source, tmp_path):
    with refuses(DataError, "nowhere: the folder must be one with a folder for each class, got nothing of that kind"):
        open_folder(tmp_path / "nowhere")
    class_folders(tmp_path / "few", each=1)
    with refuses(DataError, "few: pictures must be at least 10 for a validation part of 0.1 of them, got 3"):
        open_folder(tmp_path / "few")
    tars = tmp_path / "tars"
    tars.mkdir()
    for name in ("ant", "bee"):
        (tars / f"{name}.tar").write_bytes(tar_of([(f"{k}.JPEG", picture()) for k in range(6)]))
    with refuses(DataError, "ant.tar: pictures must be plain files, got ant/"):
        open_folder(tars)
    for name in ("bee", "cat"):
        for path in (source / name).iterdir():
            path.write_bytes(b"broken")
    with refuses(DataError, "mine: train must hold pictures of 2 classes at least, got 8 pictures, 14 files left out: cat/"):
        open_folder(source)
