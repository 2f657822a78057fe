"""Deep Compression's SqueezeNet: a small file of our own, and the real one, which names photographs."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.contract import refuses, rng
from tests.formats.caffe.samples import built, net_text, parsed, written
from tinyalex.errors import CheckpointError
from tinyalex.formats.caffe.net import Wanted, net_of
from tinyalex.formats.deep_compression import arrays_in, read_deep_compression

DATA = Path(os.environ.get("TINYALEX_DATA") or "nowhere")
NETS = DATA / "nets" / "squeezenet"
real = pytest.mark.skipif(not NETS.is_dir(), reason="TINYALEX_DATA has no folder nets/squeezenet: no real SqueezeNet to read")
TEXT = net_text(
    "Convolution a data | convolution_param { num_output: 4 kernel_size: 3 }",
    "ReLU r a",
    "InnerProduct b r | inner_product_param { num_output: 5 }",
)
SHAPES = {"a": (4, 3, 3, 3), "b": (5, 144)}


def packed(weights, biases):
    """A file of these weights, most of which are 0; each layer has at most 255 other values."""
    counts, bodies = [], []
    for weight, bias in zip(weights, biases, strict=True):
        flat = weight.ravel()
        book = np.zeros(256, np.float32)
        others = np.unique(flat[flat != 0])
        book[1 : 1 + len(others)] = others
        codes, runs, zeros = [], [], 0
        for value in flat:
            if value == 0 and zeros < 15:
                zeros += 1
                continue
            codes.append(0 if value == 0 else 1 + int(np.searchsorted(others, value)))
            runs.append(zeros)
            zeros = 0
        counts.append(len(codes))
        halves = [*runs, 0][: len(runs) + len(runs) % 2]
        pairs = [low | high << 4 for low, high in zip(halves[::2], halves[1::2], strict=True)]
        bodies.append(book.tobytes() + bias.astype("<f4").tobytes() + bytes(codes) + bytes(pairs))
    return np.array(counts, "<u4").tobytes() + b"".join(bodies)


def sample(seed=0, dense=0.2):
    draw = rng(seed)
    weights = [np.where(draw.random(shape) < dense, draw.integers(1, 200, shape), 0).astype(np.float32) / 64 for shape in SHAPES.values()]
    return weights, [draw.standard_normal(shape[0]).astype(np.float32) for shape in SHAPES.values()]


@pytest.mark.parametrize("dense", [1.0, 0.3, 0.01])
def test_what_was_packed(tmp_path, dense):
    weights, biases = sample(dense=dense)
    (tmp_path / "w.net").write_bytes(packed(weights, biases))
    net = read_deep_compression(tmp_path / "w.net", written(tmp_path, TEXT))
    for name, weight, bias in zip(SHAPES, weights, biases, strict=True):
        np.testing.assert_array_equal(net.arrays[f"{name}.weight"], weight)
        np.testing.assert_array_equal(net.arrays[f"{name}.bias"], bias)
    assert built(net).shapes[-1] == (5,) and "at most 256 different ones a layer" in net.notes[-1]
    turned = read_deep_compression(tmp_path / "w.net", tmp_path / "net.prototxt", rgb=True)
    np.testing.assert_array_equal(turned.arrays["a.weight"], weights[0][:, ::-1])


def test_files_that_are_not_of_the_net(tmp_path):
    whole, text = packed(*sample()), written(tmp_path, TEXT)
    for data in (whole[:-1], whole + b"\0", b"", whole[:7], b"\xff" * len(whole)):
        (tmp_path / "w.net").write_bytes(data)
        with refuses(CheckpointError, f"as its first 2 numbers say, got {len(data):,}; it is truncated, or not of this net"):
            read_deep_compression(tmp_path / "w.net", text)
    counts = np.frombuffer(whole[:8], "<u4")
    start = 8 + 1024 + 16 + int(counts[0])
    (tmp_path / "w.net").write_bytes(whole[:start] + b"\xff" * 10 + whole[start + 10 :])
    with refuses(CheckpointError, "the weights of 'a' must be 108, got"):
        read_deep_compression(tmp_path / "w.net", text)
    (tmp_path / "w.net").write_bytes(whole[:12] + np.float32([np.nan] * 255).tobytes() + whole[1032:])
    with refuses(CheckpointError, "the weights of 'a' must be finite, got a NaN or an infinity"):
        read_deep_compression(tmp_path / "w.net", text)
    with refuses(CheckpointError, "a layer with weights must be a convolution or fully connected with biases, got 'n'"):
        read_deep_compression(tmp_path / "w.net", written(tmp_path, net_text("BatchNorm n data")))
    with refuses(CheckpointError, "the file must be readable"):
        read_deep_compression(tmp_path / "none", text)


def test_mutated_files(fuzz_count):
    """Every byte counts in this form: what is read of a changed file is finite and of the right shape, or it is refused."""
    whole, draw = packed(*sample()), rng(1)
    _, graph = net_of(parsed(TEXT), "file", Wanted())
    for _ in range(fuzz_count):
        data = bytearray(whole)
        for at in draw.integers(0, len(data), draw.integers(1, 4)):
            data[at] = draw.integers(256)
        cut = draw.integers(len(data)) if draw.random() < 0.2 else None
        try:
            arrays = arrays_in(bytes(data[:cut]), graph.slots, "file")
        except CheckpointError:
            continue
        assert all(np.isfinite(array).all() for array in arrays.values())


@real
def test_the_real_file_is_what_others_decoded():
    net = read_deep_compression(NETS / "compressed_SqueezeNet.net", NETS / "SqueezeNet_deploy.prototxt")
    with np.load(NETS / "squeezenet10.npz") as decoded:
        assert len(decoded.files) == len(net.arrays) == 52
        for name in decoded.files:
            layer, _, key = name.rpartition(".")
            np.testing.assert_array_equal(net.arrays[f"{layer}.{'weight' if key == 'w' else 'bias'}"], decoded[name])
    assert sum(array.size for array in net.arrays.values()) == 1_248_424


def photograph(path, squashed):
    """The middle 227x227 of a picture whose shorter side is 256, or which is 256x256, less the mean color; (3, 227, 227)."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    scale = 256 / min(picture.size)
    size = (256, 256) if squashed else tuple(round(side * scale) for side in picture.size)
    picture = picture.resize(size, Image.Resampling.BILINEAR)
    left, top = ((side - 227) // 2 for side in size)
    pixels = np.asarray(picture.crop((left, top, left + 227, top + 227)), np.float32)
    return pixels.transpose(2, 0, 1) - np.float32([123, 117, 104])[:, None, None]


@real
@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "imagenet-sample").is_dir(), reason="TINYALEX_DATA has no photographs")
@pytest.mark.parametrize(("squashed", "first", "five"), [(False, 599, 827), (True, 631, 852)])
def test_it_names_photographs(squashed, first, five):
    """1,000 photographs, one a class. They are training images, so this is no validation error."""
    net = built(read_deep_compression(NETS / "compressed_SqueezeNet.net", NETS / "SqueezeNet_deploy.prototxt", rgb=True))
    paths = sorted((DATA / "imagenet-sample" / "train").glob("*/*.JPEG"))
    assert len(paths) == 1000
    right = np.zeros(2, int)
    for begin in range(0, 1000, 50):
        outputs = net.forward(np.stack([photograph(path, squashed) for path in paths[begin : begin + 50]]))
        best, labels = np.argsort(-outputs, axis=1), np.arange(begin, begin + 50)[:, None]
        right += [(best[:, :1] == labels).sum(), (best[:, :5] == labels).sum()]
    assert tuple(right) == (first, five)


def test_a_net_of_weights_that_no_memory_holds(tmp_path):
    huge = written(tmp_path, net_text("Convolution a data | convolution_param { num_output: 1 kernel_size: 16777216 pad: 16777215 }"))
    (tmp_path / "w.net").write_bytes(bytes(4 + 1024 + 4))
    with refuses(CheckpointError, "the weights of 'a' must be at most 2,147,483,648, as in Caffe, got 844,424,930,131,968"):
        read_deep_compression(tmp_path / "w.net", huge)
