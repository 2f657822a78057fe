"""Files with changed bytes, pieces and numbers: each is read, or refused in one sentence, with little memory.

Each kind has 500 of them, and 10,000 where slow tests run.
"""

import re
import tracemalloc

import numpy as np
import pytest

from tests.contract import SENTENCE, rng
from tests.formats.caffe.samples import NEW, OLD, net_text, parsed, random_arrays, statistics, write_model, written
from tests.formats.caffe.test_net import HEADS
from tests.formats.changes import changed_bytes
from tinyalex.errors import TinyalexError
from tinyalex.formats.caffe import read_prototxt
from tinyalex.formats.caffe.blobs import mean_of
from tinyalex.formats.caffe.maker import Maker
from tinyalex.formats.caffe.message import Message
from tinyalex.formats.caffe.net import Wanted, net_of
from tinyalex.formats.caffe.read import filled, whole
from tinyalex.formats.caffe.solver import solver_of
from tinyalex.formats.caffe.wire import Reader, write_wire
from tinyalex.models.later.rows import build_net

MOST = 64 * 2**20  # bytes that reading a file of some kilobytes may take
GATE = [
    "Convolution c data | convolution_param { num_output: 4 kernel_size: 3 pad: 1 }",
    "BatchNorm b c c",
    "Scale s c c | scale_param { bias_term: true }",
    "Pooling p c | pooling_param { pool: AVE global_pooling: true }",
    "InnerProduct i p | inner_product_param { num_output: 4 }",
    "Sigmoid g i i",
    "Axpy x i,c,c",
    "Slice l x y,z",
    "LRN m y",
    "LRN n z",
    "Concat k m,n",
    "Power d k",
    "Eltwise e d,k | eltwise_param { coeff: 1 coeff: 2 }",
]
TEXTS = [NEW, OLD, net_text(*GATE), net_text(*HEADS) + "input: 'label' input_shape { dim: 1 }"]
SOLVERS = [
    "net: 'a' base_lr: 0.01 lr_policy: 'step' gamma: 0.1 stepsize: 100000 max_iter: 450000 momentum: 0.9 weight_decay: 0.0005",
    "net: 'a' base_lr: 0.01 lr_policy: 'multistep' gamma: 0.1 stepvalue: [10, 200, 3000] max_iter: 4500 iter_size: 2 type: 'SGD'",
]
NUMBERS = ["0", "-1", "1e999", "nan", "99999999999999999999", "16777216", "4294967296", "2147483647", "0.5", "1"]


def changed_text(text, draw):
    """A text with one to three changes."""
    for _ in range(draw.integers(1, 4)):
        kind = draw.integers(7)
        at, length = draw.integers(len(text) + 1), int(draw.integers(1, 60))
        if kind == 0:
            text = text[:at] + chr(int(draw.integers(1, 127))) + text[at + 1 :]
        elif kind == 1:
            text = text[:at] + text[at + length :]
        elif kind == 2:
            text = text[:at] + text[at : at + length] * int(draw.integers(2, 5)) + text[at + length :]
        elif kind == 3:
            text = text[:at]
        else:
            words = list(re.finditer(r"-?\b\d[\d.e]*\b" if kind < 6 else r'"[^"]*"|\b[a-zA-Z_]+\b', text))
            if words:
                word = words[draw.integers(len(words))]
                other = NUMBERS[draw.integers(len(NUMBERS))] if kind < 6 else words[draw.integers(len(words))].group()
                text = text[: word.start()] + other + text[word.end() :]
    return text


def assert_bounded(seeds, change, read, count):
    """Read changed files: what is raised is one of our sentences, and memory stays small. Some are read, and some are refused."""
    draw, whole = rng(7), 0
    for number in range(count):
        data = change(seeds[number % len(seeds)], draw)
        watched = number % 20 == 0  # tracemalloc makes everything several times as slow
        if watched:
            tracemalloc.start()
        try:
            read(data)
            whole += 1
        except TinyalexError as error:
            assert SENTENCE.match(str(error.args[0])), error
        finally:
            if watched:
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                assert peak < MOST
    assert 0 < whole < count


@pytest.mark.parametrize("options", [{}, {"phase": "TRAIN", "heads": True, "in_shape": (3, 8, 8)}])
def test_mutated_prototxt(fuzz_count, options):
    assert_bounded(TEXTS, changed_text, lambda text: net_of(parsed(text), "file", Wanted(**options)), fuzz_count)


def test_mutated_solver(fuzz_count):
    def read(text):
        solver = solver_of(parsed(text, "Solver"), "file")
        schedule = solver.schedule(1000, 10)
        for _ in range(3):
            schedule.end_epoch()
        solver.recipe_fields(1000, 10)

    assert_bounded(SOLVERS, changed_text, read, fuzz_count)


def blobs(*arrays):
    """Messages of blobs."""
    layer = Message("Layer")
    Maker({}).blobs(layer, *arrays)
    return layer.all("blobs")


def models(folder):
    """A net, its graph, and bytes of its caffemodels: arrays in both forms, and with the layers."""
    plain, graph = net_of(parsed(net_text(*GATE)), "file", Wanted())
    arrays = random_arrays(build_net(plain.rows, plain.in_shape, "net"))
    model = {name: [arrays[f"{name}.weight"], arrays[f"{name}.bias"]] for name in ("c", "i")}
    model["s"] = [arrays["b.weight"], arrays["b.bias"]]
    ones = np.ones(4, np.float32)
    old = write_model(folder / "old", model | {"b": [ones, ones, ones[:1]]}, True)
    model["b"] = statistics(arrays["b.running_mean"], arrays["b.running_var"], 37.123)
    new = write_model(folder / "new", model)
    message = parsed(net_text(*GATE))
    for layer in message.all("layer"):
        for blob in blobs(*model.get(layer.one("name"), [])):
            layer.add("blobs", blob)
    return plain, graph, [new.read_bytes(), old.read_bytes(), b"".join(write_wire(message))]


@pytest.mark.parametrize("alone", [False, True])
def test_mutated_caffemodel(tmp_path, fuzz_count, alone):
    net, graph, seeds = models(tmp_path)

    def read(data):
        message = Reader(data, "file").message("Net", 0, len(data))
        return whole(message, "file", Wanted(), False) if alone else filled(net, graph, message, "file", True)

    assert_bounded(seeds, changed_bytes, read, fuzz_count)


def test_mutated_mean(fuzz_count):
    (blob,) = blobs(rng(0).standard_normal((3, 8, 8)).astype(np.float32))
    data = b"".join(write_wire(blob))
    assert_bounded([data], changed_bytes, lambda data: mean_of(Reader(data, "file").message("Blob", 0, len(data)), "file"), fuzz_count)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("layer { accuracy_param " + "{ a " * 100_000, "the depth of messages must be at most"),
        ("input: 'data' " * 110_000, "the number of values must be at most 100,000, got more"),
        ("layer { bottom: 'a' top: 'a' } " * 30_000, "the bottom of '' must be a top of a layer in front of it"),
    ],
)
def test_texts_without_end(tmp_path, text, said):
    with pytest.raises(TinyalexError, match=re.escape(said)):
        read_prototxt(written(tmp_path, text))


def test_a_long_chain(tmp_path):
    net = read_prototxt(written(tmp_path, net_text(*(f"ReLU r{i} data data" for i in range(5_000)))))
    assert len(net.rows) == 5_000
