"""Which devices run kernels, and what happens where a file does not compile."""

import re
import warnings
from importlib.resources import files

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, values
from tests.fast.cuda import ways
from tinyalex.devices.dry import DryDevice
from tinyalex.devices.sim import SimDevice, current_device
from tinyalex.fast import table
from tinyalex.fast.cuda import loader

FILES = ["columns.cu", "pool.cu", "lrn.cu", "bias.cu", "loss.cu", "dropout.cu", "sgd.cu", "conv.cu"]


class Nvrtc:
    """A stand-in for `cupy.RawModule`, whose compiler refuses texts with the word `broken`; kernels are recorded, not run."""

    def __init__(self, code, options=()):
        self.code, self.options = code, options

    def get_function(self, name):
        if short_of_memory:
            raise short_of_memory.pop()
        if "broken" in self.code or any(option in refused for option in self.options):
            raise RuntimeError('In file included from lrn.cu\nlrn.cu(7): error: identifier "broken" is undefined\n\n1 error detected')
        return lambda grid, block, args: started.append((name, grid, block, args, current_device()))


started, short_of_memory, refused = [], [], set()


class Card(SimDevice):
    """A simulated GPU that says it is a real one."""

    kind = "cuda"
    raw_module = Nvrtc


class Simulated(SimDevice):
    """A simulated GPU with a compiler."""

    raw_module = Nvrtc


class Bare(SimDevice):
    """A GPU without a compiler."""

    kind = "cuda"
    raw_module = None


@pytest.fixture
def break_lrn(monkeypatch):
    own = loader.source
    monkeypatch.setattr(loader, "source", lambda file: own(file) + "broken" * (file == "lrn.cu"))


@pytest.fixture
def refuse():
    """A function: from now on nothing compiles that has this option."""
    yield refused.add
    refused.clear()


def layer(device):
    return ta.LocalResponseNorm(name="norm1", device=device)


def test_cards_run_kernels_and_simulated_ones_only_when_asked(monkeypatch):
    card, sim = Card(), Simulated()
    for setting, of_card, of_sim in ((None, True, False), ("auto", True, False), ("0", False, False), ("1", True, True)):
        monkeypatch.delenv("TINYALEX_KERNELS", raising=False)
        if setting is not None:
            monkeypatch.setenv("TINYALEX_KERNELS", setting)
        assert (loader.kernels_of(card) is not None, loader.kernels_of(sim) is not None) == (of_card, of_sim)
        assert loader.kernels_of(ta.get_device("cpu")) is None and loader.kernels_of(DryDevice("sim:0", "sim")) is None
    assert loader.kernels_of(card) is loader.kernels_of(card)


def test_other_settings_are_refused(monkeypatch):
    monkeypatch.setenv("TINYALEX_KERNELS", "yes")
    with refuses(ta.ShapeError, "kernels: TINYALEX_KERNELS must be 0, auto or 1, got 'yes'"):
        loader.kernels_of(Card())


def test_without_a_compiler_the_array_functions_compute_unless_kernels_were_demanded(monkeypatch):
    device = Bare(3)
    assert loader.kernels_of(device) is None
    monkeypatch.setenv("TINYALEX_KERNELS", "1")
    with refuses(ta.DeviceError, "sim:3: TINYALEX_KERNELS=1 must have a compiler of kernels, got none; pip install 'tinyalex[kernels]'"):
        layer(device).forward(device.asarray(values((1, 2, 3, 3), 1, np.float32)))


def test_the_table_gives_rows_of_kernels_to_cards_and_plain_ones_to_a_kind():
    conv = ta.Conv2d(3, 4, 3, rng=np.random.default_rng(0), device=Card())
    wide = ta.Conv2d(3, 65, 3, rng=np.random.default_rng(0), device=Card())
    assert conv.row(conv.asked((3, 9, 9)), 8).name == "tiles" and wide.row(wide.asked((3, 9, 9)), 8).name == "columns"
    assert table.choose(conv.asked((3, 9, 9)), 8, "cuda").name == "plain"
    plain = ta.Conv2d(3, 4, 3, rng=np.random.default_rng(0), device=Card(), algorithm="plain")
    assert plain.row(plain.asked((3, 9, 9)), 8).name == "plain"
    pool, linear = ta.MaxPool2d(3, device=Card()), ta.Linear(3, 4, rng=np.random.default_rng(0), device=Card())
    assert pool.row(pool.asked((3, 9, 9)), 8).name == "gather" and linear.row(linear.asked((3,)), 8).name == "in place"
    mean = ta.AvgPool2d(3, device=Card())
    assert mean.row(mean.asked((3, 9, 9)), 8).name == "gather"


def test_arguments_are_numbers_of_the_kernels_types():
    started.clear()
    card = Card()
    kernels = loader.kernels_of(card)
    x = card.zeros((3,), np.float64)
    kernels.launch("sgd.cu", "sgd_step", 257, x, 3, 0.5, True, np.uint64(7))
    ((name, grid, block, args, current),) = started
    assert (name, grid, block) == ("sgd_step", (2,), (256,)) and args[0] is x
    assert current is card  # the GPU that is current when the kernel starts
    assert [type(a) for a in args[1:]] == [np.int32, np.float64, np.int32, np.uint64]


def test_a_file_is_compiled_once_for_each_dtype_and_set_of_macros():
    kernels = loader.kernels_of(Card())
    one, two = (kernels.function("lrn.cu", name, np.float32, BEFORE=1, AFTER=0) for name in ("lrn_forward", "lrn_backward"))
    assert one is kernels.function("lrn.cu", "lrn_forward", "float32", AFTER=0, BEFORE=1) and one is not two
    assert [*kernels._modules] == [("lrn.cu", "float32", ("AFTER", 0), ("BEFORE", 1))]
    assert next(iter(kernels._modules.values())).options == ("-Dreal=float", "-DAFTER=0", "-DBEFORE=1")
    kernels.function("lrn.cu", "lrn_forward", np.float64)
    assert len(kernels._modules) == 2


def test_a_file_that_does_not_compile_is_named_once_and_the_array_functions_go_on(break_lrn):
    card = Card(2)
    x = values((1, 2, 3, 3), 1, np.float32)
    expected = layer("cpu").forward(x)
    text = re.escape(
        'sim:2: lrn.cu must compile, got lrn.cu(7): error: identifier "broken" is undefined; the array functions compute in its place'
    )
    with pytest.warns(RuntimeWarning, match=f"^{text}$") as said:
        out = layer(card).forward(card.asarray(x))
    assert len(said) == 1 and np.allclose(card.to_numpy(out), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(card).forward(card.asarray(x))
        double = ta.LocalResponseNorm(device=card, dtype=np.float64)
        double.forward(card.asarray(x.astype(np.float64)))  # the other dtype fails too, and is not named again
        assert loader.kernels_of(card).ready("pool.cu", np.float32)


def there_and_back(layer, x):
    """The output, the gradient, and what was said on the way."""
    device = layer.device
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        out = device.to_numpy(layer.forward(device.asarray(x), train=True)).copy()
        dx = device.to_numpy(layer.backward(device.asarray(np.ones_like(x))))
    return out, dx, [str(each.message) for each in said]


def test_a_window_that_alone_does_not_compile_is_computed_by_the_array_functions(refuse):
    refuse("-DAFTER=3")
    card, x = Card(2), values((1, 9, 2, 3), 1, np.float32)
    started.clear()
    out, dx, said = there_and_back(ta.LocalResponseNorm(7, alpha=1.0, device=card), x)
    expected = there_and_back(ta.LocalResponseNorm(7, alpha=1.0), x)
    assert np.allclose(out, expected[0]) and np.allclose(dx, expected[1]) and not started
    assert len(said) == 1 and said[0].endswith("; the array functions compute in its place")
    there_and_back(ta.LocalResponseNorm(5, device=card), x)
    assert [name for name, *_ in started] == ["lrn_forward", "lrn_backward"]  # another window runs its kernels
    assert {key[0] for key in loader.kernels_of(card)._modules} == {"lrn.cu"} and len(loader.kernels_of(card)._modules) == 1


def test_a_mask_whose_kernel_alone_does_not_compile_is_made_by_the_array_functions(refuse):
    """The file is compiled for float32 to make masks, also those of a layer of float64."""
    refuse("-Dreal=float")
    x = values((4, 9), 1)
    card = Card(2)
    expected, layer = (ta.Dropout(seed=3, device=place, dtype=np.float64) for place in ("cpu", card))
    with pytest.warns(RuntimeWarning, match=r"dropout\.cu must compile.*; the array functions compute in its place") as said:
        mask = layer.mask(x.shape)
    assert np.array_equal(card.to_numpy(mask), expected.mask(x.shape)) and len(said) == 1


@pytest.mark.parametrize("file", [file for file in FILES if file != "sgd.cu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_file_alone_may_fail_and_a_net_goes_on(file, dtype, monkeypatch):
    """No kernel of this file starts, forward or backward, and nothing raises."""
    own = loader.source
    monkeypatch.setattr(loader, "source", lambda name: own(name) + "broken" * (name == file))
    card, started[:] = Card(2), []
    make = {"device": card, "dtype": dtype}
    rng = np.random.default_rng(0)
    rows = [
        ta.Conv2d(3, 4, 3, rng=rng, **make), ta.ReLU(**make), ta.LocalResponseNorm(4, **make), ta.MaxPool2d(2, **make),
        ta.Conv2d(4, 65, 1, rng=rng, **make), ta.Tanh(**make), ta.AvgPool2d(2, **make), ta.Flatten(**make), ta.Dropout(**make),
        ta.Linear(65, 5, rng=rng, **make),
    ]  # fmt: skip
    net, loss = ta.Sequential(rows), ta.SoftmaxCrossEntropy(**make)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        logits = net.forward(card.asarray(values((2, 3, 6, 6), 1, dtype)), train=True)
        loss.forward(logits, np.array([1, 2]), train=True)
        net.backward(loss.backward())
    assert not {name for name, *_ in started} & set(loader.kernels_in(file))
    assert [text for text in map(str, (each.message for each in said)) if f" {file} must compile" in text] and started


def test_with_kernels_demanded_a_file_that_does_not_compile_raises(break_lrn, monkeypatch):
    monkeypatch.setenv("TINYALEX_KERNELS", "1")
    card = Card(2)
    text = 'sim:2: lrn.cu must compile, got lrn.cu(7): error: identifier "broken" is undefined; set TINYALEX_KERNELS=0, so that the array'
    for _ in range(2):
        with refuses(ta.DeviceError, text):
            layer(card).forward(card.asarray(values((1, 2, 3, 3), 1, np.float32)))


def test_a_card_without_memory_is_not_a_file_that_does_not_compile():
    card = Card()
    short_of_memory.append(MemoryError("no room for the module"))
    with pytest.raises(MemoryError, match="no room"):
        loader.kernels_of(card).ready("pool.cu", np.float32)
    assert loader.kernels_of(card).ready("pool.cu", np.float32) and not loader.kernels_of(card).failed


@pytest.mark.parametrize(
    ("message", "first"), [("a\nx.cu(3): error: b\nc error", "x.cu(3): error: b"), ("\n  no log \n", "no log"), ("", "OSError")]
)
def test_first_error(message, first):
    assert loader.first_error(OSError(message)) == first


def test_every_file_of_kernels_is_named_in_the_table_and_its_kernels_are_found():
    folder = files("tinyalex.fast.cuda")
    assert sorted(FILES) == sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".cu"))
    rows = [row for rows in table.KERNELS.values() for row in rows]
    named = {file for row in rows for file in row.file.split()} | {file for file, _, _ in table.FUNCTIONS.values()}
    assert named == set(FILES)
    assert {file: loader.kernels_in(file) for file in ("conv.cu", "columns.cu")} == {
        "conv.cu": ["conv_forward"], "columns.cu": ["im2col", "col2im"],
    }  # fmt: skip
    for file in FILES:
        assert loader.source(file).count("__global__ void") == len(loader.kernels_in(file))


@pytest.mark.skipif(ways.REASONS["ptx"] is not None, reason=f"kernels as ptx: {ways.REASONS['ptx']}")
def test_an_error_that_nvrtc_finds_is_told_with_its_file_and_line(monkeypatch):
    monkeypatch.setenv("TINYALEX_KERNELS", "1")
    monkeypatch.setattr(loader, "source", lambda file: f'#line 1 "{file}"\nextern "C" __global__ void f() {{ missing(); }}')
    device = ways.device("ptx")
    monkeypatch.setattr(device, "kernels", None)
    text = 'sim:9: sgd.cu must compile, got an error in line 1: identifier "missing" is undefined; set TINYALEX_KERNELS=0'
    with refuses(ta.DeviceError, text):
        loader.kernels_of(device).function("sgd.cu", "f", np.float32)


@pytest.mark.parametrize(("groups", "row"), [(65535, "tiles"), (65536, "columns")])
def test_more_groups_than_a_grid_has_layers_are_for_another_row(groups, row):
    card = Card()
    conv = ta.Conv2d(groups, groups, 1, groups=groups, rng=np.random.default_rng(0), device=card)
    assert conv.row(conv.asked((groups, 1, 1)), 1).name == row
