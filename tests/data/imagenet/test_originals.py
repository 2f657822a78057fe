"""What SRC may be, and the list of its pictures."""

import os

import numpy as np
import pytest

from tests.contract import refuses
from tests.data.imagenet.making import WNIDS, class_folders, devkit_files, picture, publisher, tar_of
from tinyalex.data.imagenet.listing import Reader, list_pictures
from tinyalex.data.imagenet.originals import find_originals
from tinyalex.errors import DataError


def listed(source, folder, share=0.1, **places):
    """The listing, and (name, label) of each part in its order."""
    folder.mkdir(parents=True, exist_ok=True)
    listing = list_pictures(find_originals(source, **places), folder, who=str(source), share=share)
    reader = Reader(folder)
    return listing, {part: [record[:2] for record in reader.records_of(part, range(count))] for part, count in listing.counts.items()}


def contents(listing, folder, part):
    """Name and bytes of each picture, read where the list says."""
    reader, found = Reader(folder), {}
    for name, _, file, offset, size in reader.records_of(part, range(listing.counts[part])):
        path = listing.files[file]
        data = (path / name).read_bytes() if offset < 0 else path.read_bytes()[offset : offset + size]
        assert len(data) == size
        found[name] = data
    return found


@pytest.mark.parametrize("year", [2010, 2012])
def test_publishers_downloads(tmp_path, year):
    answers = publisher(tmp_path / "src", year)
    listing, parts = listed(tmp_path / "src", tmp_path / "list")
    assert listing.classes == tuple(sorted(WNIDS)) and listing.counts == {"train": 12, "val": 6} and listing.aside == []
    assert dict(parts["train"]) == {f"{wnid}/{wnid}_{k}.JPEG": label for label, wnid in enumerate(sorted(WNIDS)) for k in range(4)}
    expected = {f"ILSVRC{year}_val_{k + 1:08d}.JPEG": sorted(WNIDS).index(wnid) for k, wnid in enumerate(answers)}
    assert dict(parts["val"]) == expected  # the tar holds them in another order than their numbers
    found = contents(listing, tmp_path / "list", "train")
    for number, wnid in enumerate(WNIDS):
        assert found[f"{wnid}/{wnid}_2.JPEG"] == picture(seed=100 * number + 2)
    assert contents(listing, tmp_path / "list", "val")[f"ILSVRC{year}_val_00000003.JPEG"] == picture(seed=902)


def test_words_come_from_the_devkit_and_from_a_text(tmp_path):
    publisher(tmp_path / "src")
    assert find_originals(tmp_path / "src").words["n00000010"] == "words of n00000010, in English"
    for name, text in (("words.txt", "n1\tfirst, one\nn2\tsecond\n"), ("LOC_synset_mapping.txt", "n1 first, one\nn2 second\n")):
        folder = class_folders(tmp_path / name / "train", ("n1", "n2")).parent
        (folder / name).write_text(text)
        assert find_originals(folder).words == {"n1": "first, one", "n2": "second"}


def test_parts_that_are_named_one_by_one(tmp_path):
    publisher(tmp_path / "src")
    names = [tmp_path / "src" / name for name in ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar")]
    whole, _ = listed(tmp_path / "src", tmp_path / "a")
    apart, _ = listed(names[0], tmp_path / "b", val=names[1], devkit=names[2])
    assert apart.digest == whole.digest and apart.counts == whole.counts


def test_tar_of_tars_class_tars_and_unpacked_folders_give_the_same_list(tmp_path):
    """Order, split and labels are functions of the names."""
    publisher(tmp_path / "src", devkit=False, validation=0)
    tar = tmp_path / "src" / "ILSVRC2012_img_train.tar"
    folders, tars = tmp_path / "folders", tmp_path / "tars"
    tars.mkdir()
    for number, wnid in enumerate(WNIDS):
        (folders / wnid).mkdir(parents=True)
        files = [(f"{wnid}_{k}.JPEG", picture(seed=100 * number + k)) for k in range(4)]
        for name, data in files:
            (folders / wnid / name).write_bytes(data)
        (tars / f"{wnid}.tar").write_bytes(tar_of(files))
    flat = tmp_path / "flat.tar"
    flat.write_bytes(
        tar_of([(f"./train/{path.relative_to(folders).as_posix()}", path.read_bytes()) for path in sorted(folders.rglob("*.JPEG"))])
    )
    lists = [listed(source, tmp_path / f"list{k}", share=0.25)[1] for k, source in enumerate((tar, folders, tars, flat))]
    assert all(parts == lists[0] for parts in lists) and len(lists[0]["val"]) == 3


def test_folders_train_and_val(tmp_path):
    class_folders(tmp_path / "src" / "train")
    class_folders(tmp_path / "src" / "val", each=1, start=50)
    (tmp_path / "src" / "words.txt").write_text("ant\tan ant\n")
    listing, parts = listed(tmp_path / "src", tmp_path / "list")
    assert listing.counts == {"train": 12, "val": 3} and sorted(parts["val"]) == [
        ("ant/ant_0.JPEG", 0),
        ("bee/bee_0.JPEG", 1),
        ("cat/cat_0.JPEG", 2),
    ]


def test_tar_with_train_and_val(tmp_path):
    names = ["words.txt", "train/ant/a.JPEG", "train/bee/b.JPEG", "val/ant/c.JPEG", "val/bee/d.JPEG"]
    (tmp_path / "src.tar").write_bytes(tar_of([(name, name.encode()) for name in names]))
    listing, parts = listed(tmp_path / "src.tar", tmp_path / "list")
    assert {part: sorted(rows) for part, rows in parts.items()} == {
        "train": [("ant/a.JPEG", 0), ("bee/b.JPEG", 1)],
        "val": [("ant/c.JPEG", 0), ("bee/d.JPEG", 1)],
    }
    assert listing.aside == [("words.txt", "outside of a class folder")]


def test_flat_validation_folder(tmp_path):
    class_folders(tmp_path / "src" / "train", WNIDS)
    (tmp_path / "src" / "val").mkdir()
    for k in range(3):
        (tmp_path / "src" / "val" / f"ILSVRC2012_val_{k + 1:08d}.JPEG").write_bytes(picture(seed=k))
    for name, data in devkit_files(2012, [3, 1, 2]):
        (tmp_path / "kit" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "kit" / name).write_bytes(data)
    _, parts = listed(tmp_path / "src", tmp_path / "list", devkit=tmp_path / "kit")
    expected = [sorted(WNIDS).index(WNIDS[number - 1]) for number in (3, 1, 2)]
    assert [label for _, label in sorted(parts["val"])] == expected


def test_layout_of_kaggle(tmp_path):
    class_folders(tmp_path / "src" / "train", WNIDS)
    (tmp_path / "src" / "val").mkdir()
    lines = ["ImageId,PredictionString"]
    for k in range(3):
        (tmp_path / "src" / "val" / f"ILSVRC2012_val_{k + 1:08d}.JPEG").write_bytes(picture(seed=k))
        lines.append(f"ILSVRC2012_val_{k + 1:08d},{WNIDS[k]} 1 2 3 4")
    (tmp_path / "src" / "LOC_val_solution.csv").write_text("\n".join(lines))
    _, parts = listed(tmp_path / "src", tmp_path / "list")
    assert [label for _, label in sorted(parts["val"])] == [sorted(WNIDS).index(wnid) for wnid in WNIDS]


def test_folders_in_a_class_folder_and_links(tmp_path):
    class_folders(tmp_path / "src")
    (tmp_path / "src" / "ant" / "more").mkdir()
    (tmp_path / "src" / "ant" / "more" / "x.JPEG").write_bytes(picture())
    class_folders(tmp_path / "elsewhere", ("dog",))
    os.symlink(tmp_path / "elsewhere" / "dog", tmp_path / "src" / "dog")
    os.symlink(tmp_path / "src" / "bee", tmp_path / "src" / "bee" / "again")  # leads back
    listing, parts = listed(tmp_path / "src", tmp_path / "list", share=0.2)
    names = dict(parts["train"] + parts["val"])
    assert listing.classes == ("ant", "bee", "cat", "dog") and names["ant/more/x.JPEG"] == 0 and names["dog/dog_1.JPEG"] == 3
    assert sum(label == 1 for label in names.values()) == 4


def test_hidden_files_and_loose_files_are_named(tmp_path):
    class_folders(tmp_path / "src")
    (tmp_path / "src" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "src" / "ant" / "._ant_0.JPEG").write_bytes(b"x")
    (tmp_path / "src" / "ant" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "src" / "loose.JPEG").write_bytes(picture())
    listing, _ = listed(tmp_path / "src", tmp_path / "list")
    assert listing.classes == ("ant", "bee", "cat")
    assert listing.aside == [
        (".ipynb_checkpoints", "hidden folder"), ("ant/._ant_0.JPEG", "hidden file"), ("ant/Thumbs.db", "hidden file"),
        ("loose.JPEG", "outside of a class folder"),
    ]  # fmt: skip


@pytest.mark.parametrize(("share", "held"), [(0.1, 6), (0.25, 15), (0.5, 30), (1 / 3, 19)])
def test_share_holds_in_each_class_and_in_the_whole(tmp_path, share, held):
    class_folders(tmp_path / "src", each=20)
    _, parts = listed(tmp_path / "src", tmp_path / "list", share=share)
    labels = np.bincount([label for _, label in parts["val"]], minlength=3)
    assert labels.sum() == held and (np.abs(labels - 20 * share) <= 1).all()
    assert not {name for name, _ in parts["val"]} & {name for name, _ in parts["train"]} and len(parts["train"]) == 60 - held


def test_half_of_each_class_and_the_same_half_always(tmp_path):
    class_folders(tmp_path / "src", each=7)
    _, parts = listed(tmp_path / "src", tmp_path / "list", share=0.5)
    counts = [np.bincount([label for _, label in parts[part]], minlength=3).tolist() for part in ("train", "val")]
    assert sorted(counts[0] + counts[1]) == [3, 3, 3, 4, 4, 4]
    assert listed(tmp_path / "src", tmp_path / "again", share=0.5)[1] == parts


def test_order_is_mixed(tmp_path):
    class_folders(tmp_path / "src", each=20)
    _, parts = listed(tmp_path / "src", tmp_path / "list")
    labels = [label for _, label in parts["train"]]
    assert labels != sorted(labels) and len(set(labels[:10])) == 3


def broken(tmp_path, kind):
    """A SRC with one fault."""
    src = tmp_path / "src"
    if kind == "missing":
        return src
    if kind == "empty":
        src.mkdir()
    elif kind == "loose":
        src.mkdir()
        (src / "a.JPEG").write_bytes(picture())
    elif kind == "one class":
        class_folders(src, ("ant",))
    elif kind == "empty class":
        class_folders(src)
        (src / "dog").mkdir()
    elif kind == "val has more":
        class_folders(src / "train")
        class_folders(src / "val", ("ant", "bee", "cat", "dog"))
    elif kind == "val has fewer":
        class_folders(src / "train")
        class_folders(src / "val", ("ant",))
    elif kind == "no train":
        class_folders(src / "val")
    elif kind == "few":
        class_folders(src, each=1)
    elif kind == "two downloads":
        publisher(src)
        (src / "x_img_train.tar").write_bytes(b"")
    elif kind == "no devkit":
        publisher(src, devkit=False)
    elif kind == "flat SRC":
        publisher(src)
        return src / "ILSVRC2012_img_val.tar"
    return src


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("missing", "src: SRC must be a folder or a tar that is there, got nothing of that name"),
        ("empty", "src: SRC must hold pictures in class folders or in tars, got none"),
        ("loose", "got 1 other file, such as a.JPEG; put each class into a folder of its own"),
        ("one class", "src: classes must be at least 2, got only 'ant'"),
        ("empty class", "dog: a class folder must hold pictures, got none; fill it or remove it"),
        ("val has more", "src: classes of train must be those of val, got none for 'dog'; add it to both parts"),
        ("val has fewer", "src: classes of val must be those of train, got none for 'bee' and 1 more; add them to both parts"),
        ("no train", "src: a folder with val must also hold train, got none"),
        ("few", "src: pictures must be at least 10 for a validation part of 0.1 of them, got 3; take more pictures, or put"),
        ("two downloads", "src: downloads of one kind must be one, got ILSVRC2012_img_train.tar and x_img_train.tar"),
        ("no devkit", "--devkit must hold the right answers of ILSVRC2012_val_00000006.JPEG and the others, got none"),
        ("flat SRC", "SRC must hold classes, got ILSVRC2012_val_00000006.JPEG, which has only a number; name this part with --val"),
    ],
)
def test_bad_sources_are_refused(tmp_path, kind, text):
    with refuses(DataError, text):
        listed(broken(tmp_path, kind), tmp_path / "list")


def test_number_that_the_devkit_does_not_answer_is_refused(tmp_path):
    publisher(tmp_path / "src")
    kit = tmp_path / "src" / "ILSVRC2012_devkit_t12.tar"
    kit.write_bytes(tar_of(devkit_files(2012, [1, 2, 3])))
    with refuses(DataError, "numbers of pictures must be 1 to 3, as the devkit says, got ILSVRC2012_val_00000006.JPEG"):
        listed(tmp_path / "src", tmp_path / "list")
    kit.write_bytes(tar_of(devkit_files(2012, [1, 2, 3, 1, 2, 3, 1])))
    with refuses(DataError, "img_val.tar: pictures must be 7, one for each answer of the devkit, got 6; finish its download"):
        listed(tmp_path / "src", tmp_path / "list")
    for option in ("val", "devkit"):
        with refuses(DataError, f"nowhere: --{option} must be a folder or a tar that is there"):
            listed(tmp_path / "src", tmp_path / "list", **{option: tmp_path / "nowhere"})
