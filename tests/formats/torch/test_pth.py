"""PyTorch's files: what is read of both forms, and that everything else is refused and nothing is run."""

import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.contract import refuses, values
from tests.formats.torch.torch_files import ORDERED, Raw, Storage, Tensor, archive, dumps, legacy, state, tensor
from tinyalex.errors import CheckpointError, ShapeError
from tinyalex.files import pickle_machine
from tinyalex.formats.torch.state import arrays_of_pth, read_pth

FORMS = {"archive": archive, "legacy": legacy}
both_forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
HERE = Path("weights.pth")


def read(data):
    return arrays_of_pth(HERE, data)[0]


def refused(data, text):
    with refuses(CheckpointError, text) as caught:
        read(data)
    return caught


@both_forms
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i8", "i4", "i2", "i1", "u1", "b1"])
def test_every_type_comes_back(form, dtype):
    array = (10 * values((3, 4, 5))).astype(dtype)
    found = read(form(state(a=array, b=array[0])))
    assert found["a"].dtype == array.dtype and np.array_equal(found["a"], array) and np.array_equal(found["b"], array[0])
    assert not found["a"].flags.writeable


@both_forms
def test_bfloat16_becomes_float32(form):
    upper = np.array([0x3F80, 0xC000, 0x0000, 0x7F80], np.uint16)
    found = read(form({"w": Tensor(Storage("0", upper, "BFloat16Storage"), 0, (2, 2), (2, 1))}))["w"]
    assert found.dtype == np.float32 and found.tolist() == [[1.0, -2.0], [0.0, np.inf]]


@both_forms
def test_views_share_their_storage(form):
    elements = values((60,), dtype=np.float32)
    storage = Storage("7", elements)
    turned, part, one = Tensor(storage, 0, (5, 4, 3), (1, 5, 20)), Tensor(storage, 6, (2, 3), (10, 2)), Tensor(storage, 59, (), ())
    found = read(form({"t": turned, "part": part, "one": one}))
    assert np.array_equal(found["t"], elements.reshape(3, 4, 5).T)
    assert found["part"].tolist() == [[elements[6 + 10 * i + 2 * j] for j in range(3)] for i in range(2)]
    assert found["one"].shape == () and found["one"] == elements[59] and np.shares_memory(found["t"], found["part"])


@both_forms
def test_empty_arrays_and_arrays_of_one_element(form):
    found = read(form(state(none=np.zeros((0, 3), np.float32), one=np.ones((1, 1), np.float32))))
    assert found["none"].shape == (0, 3) and found["one"].tolist() == [[1.0]]


def test_views_of_the_older_form():
    storage = Storage("whole", values((20,), dtype=np.float32), view=("view", 4, 10))
    found = read(legacy({"w": Tensor(storage, 2, (3,), (2,))}))["w"]
    assert np.array_equal(found, storage.elements[[6, 8, 10]])


def test_an_archive_of_a_machine_with_the_other_byte_order_and_of_none():
    array = values((3, 4), dtype=np.float32)
    assert np.array_equal(read(archive(state(w=array), order=b"big"))["w"], array)
    assert np.array_equal(read(archive(state(w=array), order=None))["w"], array)


def test_an_archive_that_somebody_compressed():
    array = np.repeat(values((3, 4), dtype=np.float32), 50, axis=0)
    assert np.array_equal(read(archive(state(w=array), method=zipfile.ZIP_DEFLATED))["w"], array)


@both_forms
@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "net", "anything"])
def test_a_state_dict_inside_a_checkpoint(form, key):
    array = values((2, 3), dtype=np.float32)
    whole = {"epoch": 3, "best": 91.5, "arch": "resnet", "none": None, "flags": [True, (1, 2)], key: state(w=array)}
    assert np.array_equal(read(form(whole))["w"], array)


def test_parameters_sizes_and_ordered_dicts_with_attributes():
    array = values((2, 3), dtype=np.float32)
    parameter = Raw(b"ctorch._utils\n_rebuild_parameter\n(" + dumps(tensor(array))[2:-1] + b"\x88" + ORDERED + b"tR")
    size = Raw(b"ctorch\nSize\n](K\x02K\x03e\x85R")
    found = archive({"w": parameter, "size": size}, storages={"0": array.tobytes()}, more=[("weights/data/0", array.tobytes())])
    assert np.array_equal(read(found)["w"], array)
    attributes = Raw(dumps(state(w=array))[2:-1] + b"}" + dumps("_metadata")[2:-1] + dumps({"": {"version": 1}})[2:-1] + b"sb")
    arrays, meta = arrays_of_pth(HERE, archive(attributes, more=[("weights/data/0", array.tobytes())]))
    assert list(arrays) == ["w"] and meta == {"_metadata": {"": {"version": 1}}}


# ---- what is refused


class Calls:
    """Pickles to a call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [os.system, eval, exec, getattr, pickle.loads], ids=str)
def test_no_function_is_called(function, tmp_path):
    witness = tmp_path / "ran"
    body = pickle.dumps({"w": Calls(function, f"open({str(witness)!r}, 'w')")}, 2)
    heads = legacy({})[: -len(dumps({}) + dumps([]))]
    for data in (archive(None, body=body), heads + body + dumps([])):
        refused(data, "pickled globals must be those of a state dict, got ")
    assert not witness.exists()


@both_forms
@pytest.mark.parametrize("name", [
    b"torchvision.models.alexnet\nAlexNet", b"__main__\nNet", b"torch.nn.modules.conv\nConv2d", b"torch\nload",
    b"torch.storage\n_load_from_bytes", b"torch._utils\n_rebuild_device_tensor_from_numpy",
])  # fmt: skip
def test_a_model_that_was_pickled_whole_is_refused_with_the_remedy(form, name):
    whole = Raw(b"c" + name + b"\n)R")
    expected = f"got {name.decode().replace(chr(10), '.')}; save the state dict and not the model, torch.save(model.state_dict(), "
    refused(form(whole), expected)


def test_a_module_in_the_older_form_and_a_program_of_torchscript_are_refused():
    refused(legacy(Raw(b"(" + dumps("module")[2:-1] + b"NNNtQ")), "got a model that was pickled as a whole; save the state dict")
    program = archive(state(), more=[("weights/constants.pkl", b""), ("weights/code/a.py", b"")])
    refused(program, "got a program of TorchScript; save the state dict")


@both_forms
@pytest.mark.parametrize(
    ("offset", "shape", "strides", "text"),
    [
        (0, (5, 3), (3, 1), "must stay within the 12 elements of its storage, got 15"),
        (1, (12,), (1,), "must stay within the 12 elements"),
        (0, (2**40,), (0,), "must stay within the 12 elements of its storage, got a tensor of 1,099,511,627,776"),
        (0, (2**61, 2**61), (2**61, 1), "must stay within the 12 elements"),
        (0, (2, 2), (-1, 1), "must be whole numbers, at most 16 axes"),
        (-1, (2, 2), (2, 1), "must be whole numbers"),
        (0, (2, 2), (2,), "must be whole numbers"),
        (0, (1,) * 17, (1,) * 17, "at most 16 axes"),
        (0, (True, 2), (2, 1), "must be whole numbers"),
        (0, 3, (1,), "must be whole numbers"),
        (2**62, (1,), (1,), "must be whole numbers"),
    ],
)
def test_tensors_that_leave_their_storage_are_refused(form, offset, shape, strides, text):
    refused(form({"w": Tensor(Storage("0", np.zeros(12, np.float32)), offset, shape, strides)}), text)


@both_forms
def test_storages_that_say_another_length_are_refused(form):
    zeros = np.zeros(12, np.float32)
    for numel in (11, 13, 2**40):
        refused(form({"w": Tensor(Storage("0", zeros, numel=numel), 0, (2,), (1,))}), f"must have {4 * numel:,} bytes, got 48")
    wide = {"w": Tensor(Storage("0", zeros, type="DoubleStorage", numel=12), 0, (2,), (1,))}
    refused(form(wide), "must have 96 bytes, got 48" if form is archive else "must lie within")
    refused(form({"w": Tensor(Storage("0", zeros, type="ComplexFloatStorage"), 0, (2,), (1,))}), "got torch.ComplexFloatStorage")
    two = {"w": Tensor(Storage("0", zeros), 0, (2,), (1,)), "v": Tensor(Storage("0", zeros, type="HalfStorage"), 0, (2,), (1,))}
    refused(form(two), "a storage must have elements of one size, got two")


def test_storages_of_the_older_form():
    value = state(w=np.zeros(3, np.float32))
    refused(legacy(value, keys=["0", "0"]), "must be a list of texts, each once")
    refused(legacy(value, keys=["1"]), "must be one that the object names, got '1'")
    refused(legacy(value, keys=[]), "the file must end with its last storage")
    refused(legacy(value, tail=b"x"), "the file must end with its last storage")
    refused(legacy(value, version=1000), "version of the file must be 1001, got 1000")
    refused(legacy(value, magic=5), "must be one of torch.save, got a pickle without its magic number")
    view = Tensor(Storage("0", np.zeros(3, np.float32), view=("v", 2, 2)), 0, (1,), (1,))
    refused(legacy({"w": view}), "a view of a storage must stay within it")
    heads, data = legacy(value)[:-20], struct.pack("<q", 2**62)
    refused(heads + data, "must lie within the")


@pytest.mark.parametrize("key", ["../../etc/passwd", "/etc/passwd", "0/../0", "", "a" * 65, "\\0", "0\x00"])
def test_keys_that_are_paths_are_refused(key):
    zeros = np.zeros(3, np.float32)
    data = archive({"w": Tensor(Storage("0", zeros), 0, (3,), (1,))})
    moved = dumps({"w": Tensor(Storage(key, zeros), 0, (3,), (1,))})
    assert read(data)
    names = {"weights/data/0", f"weights/data/{key}".replace("\0", "")}
    found = archive(None, body=moved, more=[(name, zeros.tobytes()) for name in sorted(names)])
    refused(found, "each storage must be a file of the archive, got none called")


def test_archives_that_are_not_right():
    value = state(w=np.zeros(3, np.float32))
    refused(archive(value, order=b"middle"), "byteorder must be little or big")
    refused(archive(value, more=[("other/data.pkl", b"")]), "must hold one data.pkl, got 2 of them")
    refused(archive(value).replace(b"data.pkl", b"data.pkX"), "must hold one data.pkl, got 0 of them")
    refused(archive(value).replace(b"weights/data/0", b"weights/data/1"), "got none called '0'")
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = archive(value, more=[("weights/data/0", b"\0" * 12)])
    refused(twice, "must hold each name once")
    refused(archive(value, method=zipfile.ZIP_BZIP2), "must be stored or deflated, got method 12")
    tar = bytearray(600)
    tar[257:262] = b"ustar"
    refused(bytes(tar), "must be of PyTorch 0.1.10 or newer")
    refused(b"", "must be a pickle of protocol")
    for count in (1, 3, 4, 30, 100):
        refused(archive(value)[:count], "must")


def test_a_zip_bomb_is_refused_before_it_unpacks():
    zeros = np.zeros(2**24, np.float32)
    data = archive({"w": Tensor(Storage("0", zeros), 0, (2,), (1,))}, method=zipfile.ZIP_DEFLATED)
    assert len(data) < 2**18
    tracemalloc.start()
    try:
        refused(data, "compressed files must together have at most 20 times the archive's bytes, got 'weights/data/0' of 67,108,864")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    lies = bytearray(data)
    at = lies.rindex(b"PK\x01\x02", 0, lies.rindex(b"weights/data/0"))
    lies[at + 24 : at + 28] = struct.pack("<I", 48)  # the unpacked size in the directory
    tracemalloc.start()
    try:
        refused(bytes(lies), "must have 48 bytes, got more")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_entries_outside_of_the_file_are_refused():
    data = bytearray(archive(state(w=np.zeros(3, np.float32))))
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"weights/data/0"))
    data[at + 20 : at + 28] = struct.pack("<II", 2**30, 2**30)
    refused(bytes(data), "must lie within the file of")


def test_steps_are_limited(monkeypatch):
    monkeypatch.setattr(pickle_machine, "MOST_STEPS", 100)
    refused(archive({str(i): i for i in range(100)}), "number of instructions must be at most 100, got more")


@both_forms
def test_every_truncation_is_refused(form):
    whole = form(state(w=values((2, 2), dtype=np.float32), b=np.ones(2, np.float32)))
    for length in range(0, len(whole) - 22 if form is archive else len(whole)):  # behind the directory an archive has a comment's length
        refused(whole[:length], "must")


@both_forms
def test_objects_that_hold_no_arrays_are_refused(form):
    refused(form([1, 2]), "must hold a dict of arrays, got a list")
    refused(form({"a": 1, "b": {"c": 2}}), "must hold a dict of arrays, got one of 'a', 'b'; save the state dict")
    refused(form({}), "must hold a dict of arrays, got one of nothing")
    refused(form({3: tensor(np.zeros(3, np.float32))}), "names of arrays must be texts, got 3")
    cycle = Raw(b"}q\x05X\x01\x00\x00\x00ah\x05s")
    refused(form(cycle), "must hold a dict of arrays, got one of 'a'")


def test_files_that_are_none(tmp_path):
    with refuses(CheckpointError, "the file must be readable, got No such file"):
        read_pth(tmp_path / "none.pth")
    with refuses(CheckpointError, "the file must be a plain one, got a folder"):
        read_pth(tmp_path)
    with refuses(ShapeError, "NAME must be one of the networks"):
        (tmp_path / "a.pth").write_bytes(archive(state(w=np.zeros(3, np.float32))))
        read_pth(tmp_path / "a.pth", "resnet21")


@both_forms
def test_a_storage_of_bfloat16_is_widened_once(form):
    storage = Storage("0", np.full(10_000, 0x3F80, np.uint16), "BFloat16Storage")
    data = form({f"w{i}": Tensor(storage, 0, (10_000,), (1,)) for i in range(500)})
    tracemalloc.start()
    try:
        found = read(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000 and np.shares_memory(found["w0"], found["w499"]) and (found["w7"] == 1).all()  # 500 copies would be 20 MB


@both_forms
def test_an_axis_of_one_may_have_any_stride(form):
    found = read(form({"w": Tensor(Storage("0", np.ones(3, np.float64)), 0, (1, 3), (2**62 - 1, 1))}))
    assert found["w"].tolist() == [[1, 1, 1]]


@pytest.mark.parametrize("function", [b"ctorch\nSize\n", b"ccollections\nOrderedDict\n"])
def test_a_list_cannot_be_copied_again_and_again(function, monkeypatch):
    monkeypatch.setattr(pickle_machine, "MOST_STEPS", 100_000)
    item = b"K\x01" if b"Size" in function else b"X\x01\x00\x00\x00aN\x86"
    code = b"(](" + item * 1000 + b"eq\x00" + (function + b"h\x00\x85R") * 1000 + b"t"
    refused(archive({"w": Raw(code)}), "the elements of lists that are copied must be at most 100,000, got more")


@pytest.mark.parametrize(
    "data",
    [
        archive({"w": Raw(b"cos\nsystem\n")}, folder="a\x1b[2J"),
        legacy({"w": tensor(np.ones(3, np.float32), "\x1b[2J")})[:-4],
        legacy({"w": Tensor(Storage("\x1b[2J", np.ones(3, np.float32), numel=4), 0, (3,), (1,))}),
    ],
)
def test_names_in_a_file_do_not_change_a_terminal(data):
    with pytest.raises(CheckpointError, match=r"\\x1b\[2J") as error:
        read(data)
    assert str(error.value).isprintable()


def test_lists_of_lists_have_a_short_text():
    """A list of 50 times a list of 50 times a list would have a text without end, and lists in 5,000 lists more levels than Python has."""
    data, version = legacy({"w": tensor(np.ones(3, np.float32))}), dumps(1001)
    inner = b"".join(b"q" + bytes([i]) + b"](" + b"h" + bytes([i]) + (b"h" + bytes([i])) * 49 + b"e" for i in range(30))
    for lists, got in ((b"(]" + inner + b"t", "a tuple of 31 elements"), (b"]" * 5000 + b"a" * 4999, "a list of 1 element")):
        refused(data.replace(version, b"\x80\x02" + lists + b".", 1), f"the version of the file must be 1001, got {got}")
