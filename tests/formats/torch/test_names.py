"""The tables of names: each gives every array of its net one name, there and back without a change of a bit."""

import hashlib
import re
import time

import numpy as np
import pytest

from tests.contract import refuses, rng, values
from tests.formats.torch.torch_files import archive, state
from tinyalex.errors import CheckpointError, ShapeError
from tinyalex.files.safetensors_format import read_safetensors
from tinyalex.formats.imported import Imported
from tinyalex.formats.torch.match import OWN, arrange, described, named, nets, shapes_of
from tinyalex.formats.torch.state import read_pth, read_safetensors_state, write_safetensors_state
from tinyalex.formats.torch.write import write_pth
from tinyalex.models.later.rows import build_net, flat
from tinyalex.models.registry import MODELS
from tinyalex.models.weights import copy_state

TABLES = {f"{each.name}-{each.table.library}": each for each in nets() if each.table is not OWN}
EXAMPLES = {  # names in files that people have, and the engine's
    "alexnet-torchvision-torchvision": {"features.3.weight": "conv2.weight", "classifier.6.bias": "fc8.bias"},
    "vgg16-torchvision": {"features.28.weight": "conv5_3.weight", "classifier.3.bias": "fc7.bias"},
    "vgg16-bn-torchvision": {"features.41.running_var": "conv5_3.bn.running_var"},
    "vgg16-timm": {"pre_logits.fc1.weight": "fc6.weight", "head.fc.bias": "fc8.bias"},
    "squeezenet1.0-torchvision": {"features.12.expand3x3.weight": "fire9.3x3.weight", "classifier.1.bias": "conv10.bias"},
    "squeezenet1.1-torchvision": {"features.12.expand3x3.weight": "fire9.3x3.weight", "features.3.squeeze.bias": "fire2.squeeze.bias"},
    "googlenet-torchvision-torchvision": {"conv3.bn.weight": "conv2.bn.weight", "inception4b.branch3.1.conv.weight": "4b.5x5.weight"},
    "googlenet-torchvision-heads-torchvision": {"aux2.conv.bn.bias": "aux2.conv.bn.bias", "aux1.fc2.weight": "aux1.fc2.weight"},
    "inception-v3-torchvision": {"Mixed_7c.branch3x3dbl_3b.conv.weight": "7c.3x3b.3x1.weight", "Conv2d_4a_3x3.bn.bias": "conv5.bn.bias"},
    "inception-v3-heads-torchvision": {"AuxLogits.conv1.conv.weight": "aux.conv2.weight"},
    "resnet50-torchvision": {"layer3.5.bn3.bias": "stage3.6.conv3.bn.bias", "layer1.0.downsample.1.bias": "stage1.1.project.bn.bias"},
    "densenet121-torchvision": {"features.denseblock3.denselayer24.norm2.weight": "block3.24.bn2.weight", "classifier.bias": "fc.bias"},
    "resnet20-akamaster": {"layer3.2.bn2.weight": "stage3.3.conv2.bn.weight", "linear.weight": "fc.weight"},
    "resnet20-b-akamaster": {"layer2.0.shortcut.1.weight": "stage2.1.project.bn.weight"},
    "se-resnet50-timm": {"layer4.2.se.fc2.bias": "stage4.3.excite.bias"},
    "se-resnet50-v1-timm": {"layer0.bn1.weight": "conv1.bn.weight", "layer4.2.se_module.fc2.bias": "stage4.3.excite.bias"},
    "preresnet50-timm": {"stages.3.blocks.2.norm3.bias": "stage4.3.bn3.bias", "norm.weight": "bn5.weight"},
}
REAL = {  # the beginning of the SHA-256 of the lines "name shape" of the real modules, torchvision 0.28.0 and timm 1.0.31, sorted
    "alexnet-torchvision-torchvision": "935c1ea73a7869ee",
    "vgg11-torchvision": "b11acd4f90d9643f",
    "vgg11-bn-torchvision": "eb52f2d89ad478d4",
    "vgg13-torchvision": "79ca8fd7a1480aa7",
    "vgg13-bn-torchvision": "e71996a6a29bacd7",
    "vgg16-torchvision": "ba63c2556d912509",
    "vgg16-bn-torchvision": "d8308b804a50efac",
    "vgg19-torchvision": "393fac8b08b63fbe",
    "vgg19-bn-torchvision": "8f342fea647d72df",
    "squeezenet1.0-torchvision": "142983e4c19c76ad",
    "squeezenet1.1-torchvision": "3fbd2a746421cada",
    "resnet18-torchvision": "2bb53b15765c4651",
    "resnet34-torchvision": "b945021fb00b779b",
    "resnet50-torchvision": "cf11dad974eadeaa",
    "resnet101-torchvision": "d916ed2068e1af5d",
    "resnet152-torchvision": "2fe195791c8ffb5f",
    "wide-resnet50-2-torchvision": "5b22ca8fa50e0423",
    "densenet121-torchvision": "222a58d1fd8d2818",
    "densenet169-torchvision": "a9eb5c1c253d9342",
    "googlenet-torchvision-torchvision": "b2fadd85b321b7a9",
    "inception-v3-torchvision": "5beceaea5a4204b9",
    "googlenet-torchvision-heads-torchvision": "732f27ed6f1a18ed",
    "inception-v3-heads-torchvision": "b57ada785681682b",
    "vgg11-timm": "9d751f373c3ee1f4",
    "vgg11-bn-timm": "7742e998dca092c7",
    "vgg13-timm": "cf2c1b775d2cabbf",
    "vgg13-bn-timm": "a46987326f7a5f04",
    "vgg16-timm": "64c32d2c3487778c",
    "vgg16-bn-timm": "0f2224040ddfa5a1",
    "vgg19-timm": "10e2a6afcc19ac22",
    "vgg19-bn-timm": "b8862624d5684959",
    "se-resnet50-timm": "c443b87a0500ffa3",
    "se-resnet50-v1-timm": "051c18a529f2843e",
    "preresnet18-timm": "1257e23959a979a8",
    "preresnet34-timm": "af4e11174fc02c81",
    "preresnet50-timm": "006195ff3e60c01e",
    "preresnet101-timm": "f5213786ed3d1616",
    "preresnet152-timm": "b788b49f5c477d0b",
}
FIRST = [label for label in TABLES if not re.match(r"resnet\d+-v1|plain", label)]  # the others have the names of these, and are asked for
SMALL = ("resnet20", "resnet20-b", "squeezenet1.1", "googlenet-torchvision")


def arrays_of(net, seed=3):
    draw = np.random.default_rng(seed)
    return {name: draw.random(shape, np.float32) for name, shape in shapes_of(net).items()}


def imported(net, arrays=None):
    return Imported(net.name, "test", net.rows, net.size, arrays_of(net) if arrays is None else arrays)


@pytest.mark.parametrize("label", TABLES)
def test_every_array_has_one_name(label):
    net = TABLES[label]
    assert len(set(net.keys.values())) == len(net.keys) and set(net.keys.values()) == set(shapes_of(net))


@pytest.mark.parametrize("label", EXAMPLES)
def test_names_that_files_have(label):
    assert EXAMPLES[label].items() <= TABLES[label].keys.items()


@pytest.mark.parametrize("label", REAL)
def test_names_and_shapes_are_those_of_the_real_modules(label):
    net = TABLES[label]
    arrays = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes_of(net).items()}
    there = named("test", imported(net, arrays), net.table.library)[1]
    lines = "\n".join(sorted(f"{key} {array.shape}" for key, array in there.items()))
    assert hashlib.sha256(lines.encode()).hexdigest().startswith(REAL[label])


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_there_and_back_is_equal_to_the_bit(name, suffix, tmp_path):
    write, read = (write_pth, read_pth) if suffix == "pth" else (write_safetensors_state, read_safetensors_state)
    for net in nets(name):
        first = imported(net)
        write(tmp_path / "file", first, net.table.library)
        found = read(tmp_path / "file")
        assert found.name == name and found.rows == first.rows and found.in_shape == first.in_shape
        assert found.arrays.keys() == first.arrays.keys()
        assert all(np.array_equal(found.arrays[key], array) for key, array in first.arrays.items())
        assert {array.dtype for array in found.arrays.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("label", TABLES)
def test_a_file_of_another_program_is_recognized_by_its_names(label):
    net = TABLES[label]
    arrays = {name: np.broadcast_to(np.float32(i), shape) for i, (name, shape) in enumerate(shapes_of(net).items())}
    library, there = named("test", imported(net, arrays), net.table.library)
    counts = {key.replace("running_var", "num_batches_tracked"): np.int64(7) for key in there if key.endswith("running_var")}
    found = arrange("file", {f"module.{key}": array for key, array in (there | counts).items()}, None if label in FIRST else net.name)
    assert library == net.table.library and found.name == net.name and found.rows == net.rows
    assert found.arrays.keys() == arrays.keys()
    assert all(found.arrays[key].shape == array.shape and (found.arrays[key] == array.flat[0]).all() for key, array in arrays.items())
    said = " ".join(found.notes)
    assert f"the names are those of {library} for {net.name}" in said and "'module.' in front of all names was removed" in said
    assert (f"{len(counts)} counts of batches" in said) == bool(counts)


def test_a_net_with_other_classes_is_recognized():
    (net, _) = nets("resnet18")
    arrays = arrays_of(net) | {"fc.weight": values((7, 512)), "fc.bias": values((7,))}
    found = arrange("file", named("test", imported(net, arrays), "torchvision")[1])
    assert list(flat(found.rows))[-1]["out_features"] == 7
    made = build_net(found.rows, found.in_shape, "net")
    copy_state(made, found.arrays)
    assert made.shapes[-1] == (7,)


def test_convolutions_in_the_place_of_fully_connected_layers():
    (net, _) = nets("se-resnet50")
    there = named("test", imported(net), "timm")[1]
    assert there["layer1.0.se.fc1.weight"].shape == (16, 256, 1, 1)
    assert arrange("file", there).arrays["stage1.1.reduce.weight"].shape == (16, 256)


def test_shortcuts_of_cifar_nets_have_their_zeros_around():
    net, own = nets("resnet20")
    zeros = [row["zeros"] for row in flat(net.rows) if row.kind == "shortcut"]
    assert zeros == ["around"] * 2
    behind = imported(own)
    with refuses(ShapeError, "names for this resnet20 must be those of tinyalex, got 'akamaster'"):
        named("test", behind, "akamaster")
    assert named("test", behind)[0] == "tinyalex"


def test_the_legacy_nets_of_timm_pool_as_caffe_does():
    net, own = nets("se-resnet50-v1")
    rows = {row.name: row.settings for row in net.rows}
    assert (rows["pool1"]["padding"], rows["pool1"]["ceil_mode"]) == (0, True) and net.table.edit(net.rows) == net.rows
    with refuses(ShapeError, "must be those of tinyalex, got 'timm'"):
        named("test", imported(own, {name: np.float32(0) for name in shapes_of(own)}), "timm")


def test_names_of_old_densenets():
    (net, _) = nets("densenet121")
    there = named("test", imported(net), "torchvision")[1]
    old = {key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.") if "denselayer" in key else key: there[key] for key in there}
    assert old.keys() != there.keys() and arrange("file", old).name == "densenet121"
    with refuses(CheckpointError, "each array must be there once, got names of old and new releases of torchvision for the same ones"):
        arrange("file", old | there)


def test_many_counts_of_batches_cost_no_time():
    began = time.process_time()
    with refuses(CheckpointError, "the arrays must be those of a network of the registry"):
        arrange("file", {f"bn{i}.num_batches_tracked": np.float32(0) for i in range(10_000)} | {"w": np.float32(0)})
    assert time.process_time() - began < 5


def test_arrays_that_fit_several_nets_need_a_name(tmp_path):
    net = next(nets("alexnet"))
    arrays = {name: np.broadcast_to(np.float32(1), shape) for name, shape in shapes_of(net).items()}
    with refuses(CheckpointError, "must be those of one network, got alexnet, alexnet-authors, alexnet-caffe, alexnet-caffenet, which are"):
        arrange("file", arrays)
    assert arrange("file", arrays, "alexnet-caffe").rows[0]["ceil_mode"] is False


def test_arrays_of_no_net_are_refused_with_the_nearest():
    (net, _) = nets("resnet18")
    there = named("test", imported(net), "torchvision")[1]
    less = {key: array for key, array in there.items() if key != "fc.bias"}
    with refuses(CheckpointError, "got no fc.bias; the nearest is resnet18 with torchvision's names"):
        arrange("file", less)
    with refuses(CheckpointError, "of resnet18, got 'extra' that it does not have; the nearest is resnet18"):
        arrange("file", there | {"extra": np.zeros(3)}, "resnet18")
    with refuses(CheckpointError, "got bn1.weight of shape (65,), which is (64,) there; the nearest is resnet18"):
        arrange("file", there | {"bn1.weight": np.zeros(65)}, "resnet18")
    with refuses(CheckpointError, "got 1 arrays such as 'w'; `tinyalex net --list`"):
        arrange("file", {"w": np.zeros(3)})
    with refuses(CheckpointError, "got 0 arrays such as None"):
        arrange("file", {})
    with refuses(CheckpointError, "must be those of resnet34"):
        arrange("file", there, "resnet34")


def test_arrays_of_strange_shapes_are_refused():
    (net, _) = nets("resnet18")
    there = named("test", imported(net), "torchvision")[1]
    for odd in (np.zeros(()), np.zeros((0, 512)), np.broadcast_to(np.float32(0), (2**30, 512))):
        with refuses(CheckpointError, "the arrays must be those of"):
            arrange("file", there | {"fc.weight": odd})


def test_what_a_file_says_about_its_net_is_checked(tmp_path):
    (net, _) = nets("resnet20")
    path = tmp_path / "net.pth"
    write_pth(path, imported(net))
    data = path.read_bytes()
    for old, new, text in [
        (b'"in_shape": [3, 32, 32]', b'"in_shape": [3,99999,1]', "a size of in_shape must be at most 2,048, got 99999"),
        (b'"in_shape": [3, 32, 32]', b'"in_shape": [4, 32, 32]', "conv1.weight must have shape (16, 4, 3, 3), got (16, 3, 3, 3)"),
        (b'"kind": "shortcut"', b'"kind": "shortcuX"', "kind must be one of"),
        (b'"names": "akamaster"', b'"names": "akamastex"', "must be in the file, got none of that name"),
        (b'"net"', b'"nut"', "KeyError 'net'"),
    ]:
        assert data.count(old) > 0 and len(old) == len(new)
        path.write_bytes(data.replace(old, new))
        with refuses(CheckpointError, text):
            read_pth(path)
    assert MODELS and read_pth(path, "resnet20").name == "resnet20"


def test_bfloat16_in_safetensors(tmp_path):
    header = b'{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"n":{"dtype":"U16","shape":[1],"data_offsets":[4,6]}}'
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header + b"\x80\x3f\x00\xc0\x05\x00")
    found = read_safetensors(tmp_path / "a", bfloat16=True)
    assert found["w"].tolist() == [1.0, -2.0] and found["w"].dtype == np.float32 and found["n"].dtype == np.uint16
    with refuses(CheckpointError, "the dtype of 'w' must be one of"):
        read_safetensors(tmp_path / "a")


def test_types_that_pytorch_lacks_are_refused_in_writing(tmp_path):
    (net, _) = nets("resnet20")
    with refuses(CheckpointError, "conv1.weight must be of a type that PyTorch has, got uint64; convert it to float32"):
        write_pth(tmp_path / "a.pth", imported(net, arrays_of(net) | {"conv1.weight": np.zeros((16, 3, 3, 3), np.uint64)}))
    assert not (tmp_path / "a.pth").exists()


def test_a_small_file_by_name(tmp_path):
    (tmp_path / "a.pth").write_bytes(archive(state(w=np.zeros(3, np.float32))))
    with refuses(CheckpointError, "a.pth: the arrays must be those of a network of the registry, got 1 arrays such as 'w'"):
        read_pth(tmp_path / "a.pth")


def test_mutated_texts_about_a_net_are_read_or_refused(fuzz_count):
    net = next(nets("resnet20-b"))
    arrays = named("test", imported(net))[1]
    text, draw, done = described(imported(net), "akamaster"), rng(8), 0
    tokens = re.findall(r'"[^"]*"|-?[\d.]+|[\[\]{}:,]|\w+', text)
    others = ["-1", "0", "1e999", "9" * 20, "null", "true", '"x"', "[]", "{}", '"branches"', "[" * 12, "1099511627776", '"\x1b"']
    for _ in range(fuzz_count // 5):
        mine = list(tokens)
        for _ in range(draw.integers(1, 4)):
            at = int(draw.integers(len(mine)))
            alike = [token for token in tokens if token[0].isdigit() == mine[at][0].isdigit() and (token[0] == '"') == (mine[at][0] == '"')]
            mine[at] = str(draw.choice(alike if draw.integers(4) else others))
        try:
            arrange("file", arrays, text=" ".join(mine))
            done += 1
        except CheckpointError as error:
            assert len(str(error)) < 1000
    assert 0 < done < fuzz_count // 5
