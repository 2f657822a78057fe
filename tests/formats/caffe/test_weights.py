import re
import tracemalloc

import numpy as np
import pytest

from tests.contract import refuses, rng, values
from tests.formats.caffe.samples import NEW, OLD, built, net_text, parsed, random_arrays, statistics, write_model, written
from tinyalex import cli
from tinyalex.errors import CheckpointError, DataError
from tinyalex.formats.caffe import read_caffemodel, read_mean, read_prototxt
from tinyalex.formats.caffe.message import Message
from tinyalex.formats.caffe.wire import write_wire

CONV = "| convolution_param { num_output: 2 kernel_size: 3 }"


def blobs():
    """The arrays of the net of the samples."""
    shapes = {"conv1": [(4, 3, 3, 3), (4,)], "conv2": [(6, 2, 3, 3), (6,)], "fc": [(5, 24), (5,)]}
    return {name: [values(shape, i, np.float32) for i, shape in enumerate(of)] for name, of in shapes.items()}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("text", [NEW, OLD])
def test_weights_of_both_forms(tmp_path, text, old):
    net = read_prototxt(written(tmp_path, text), write_model(tmp_path / "m", blobs(), old), phase="TRAIN")
    for name, (weight, bias) in blobs().items():
        np.testing.assert_array_equal(net.arrays[f"{name}.weight"], weight)
        np.testing.assert_array_equal(net.arrays[f"{name}.bias"], bias)
    assert not any(array.flags.owndata for array in net.arrays.values())  # they are seen in the bytes of the file
    assert len(net.arrays) == 6 and net.notes == () and np.isfinite(built(net).forward(values((2, 3, 11, 11), 0, np.float32))).all()


def test_rgb_turns_the_first_convolution(tmp_path):
    files = written(tmp_path, NEW), write_model(tmp_path / "m", blobs())
    net, turned = read_prototxt(*files), read_prototxt(*files, rgb=True)
    x = values((2, 3, 11, 11), 0, np.float32)
    np.testing.assert_allclose(built(turned).forward(x[:, ::-1].copy()), built(net).forward(x), rtol=1e-4, atol=1e-4)
    assert "turned from BGR to RGB" in turned.notes[-1]
    np.testing.assert_array_equal(turned.arrays["conv2.weight"], net.arrays["conv2.weight"])


@pytest.mark.parametrize(
    "layers",
    [
        ["InnerProduct fc data | inner_product_param { num_output: 3 }"],
        ["BatchNorm bn data", "Scale s bn bn | scale_param { bias_term: true }", f"Convolution c bn {CONV}"],
        [f"Convolution a data {CONV}", f"Convolution b data {CONV}", "Concat c a,b"],
    ],
)  # fmt: skip
def test_rgb_turns_what_reads_the_images(tmp_path, layers):
    plain = read_prototxt(written(tmp_path, net_text(*layers)))
    arrays = random_arrays(built(plain, {}))
    model = {}
    for name in dict.fromkeys(name.rpartition(".")[0] for name in arrays):
        if name == "bn":
            model["bn"] = statistics(arrays["bn.running_mean"], arrays["bn.running_var"], 37.123)
            model["s"] = [arrays["bn.weight"], arrays["bn.bias"]]
        else:
            model[name] = [arrays[f"{name}.weight"], arrays[f"{name}.bias"]]
    files = written(tmp_path, net_text(*layers)), write_model(tmp_path / "m", model)
    net, turned = read_prototxt(*files), read_prototxt(*files, rgb=True)
    x = values((2, 3, 8, 8), 0, np.float32)
    np.testing.assert_allclose(built(turned).forward(x[:, ::-1].copy()), built(net).forward(x), rtol=1e-4, atol=1e-4)


def test_rgb_is_refused_where_the_first_layer_reads_groups(tmp_path):
    text = net_text("Convolution a data | convolution_param { num_output: 3 kernel_size: 1 group: 3 }")
    model = write_model(tmp_path / "m", {"a": [np.ones((3, 1, 1, 1), np.float32), np.zeros(3, np.float32)]})
    with refuses(DataError, "a must read all channels to turn BGR into RGB, got 3 groups"):
        read_prototxt(written(tmp_path, text), model, rgb=True)
    gray = net_text("Convolution a data | convolution_param { num_output: 3 kernel_size: 1 }", size=(1, 8, 8))
    assert read_prototxt(written(tmp_path, gray), model, rgb=True).arrays["a.weight"].shape == (3, 1, 1, 1)


def test_batch_normalization(tmp_path):
    text = net_text("BatchNorm bn data", "Scale s bn | scale_param { bias_term: true }")
    mean, var = np.float32([1, 2, 3]), np.float32([4, 5, 6])
    model = {"bn": [mean * 4, var * 4, np.float32([4])], "s": [np.float32([2, 3, 4]), np.float32([5, 6, 7])]}
    arrays = read_prototxt(written(tmp_path, text), write_model(tmp_path / "m", model)).arrays
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "bn.running_mean": [1, 2, 3], "bn.running_var": [4, 5, 6], "bn.batches": [4, 4, 4], "bn.weight": [2, 3, 4], "bn.bias": [5, 6, 7],
    }  # fmt: skip
    x = values((2, 3, 8, 8), 0, np.float32)
    mean, var, weight, bias = (np.float64(each)[:, None, None] for each in (mean, var, [2, 3, 4], [5, 6, 7]))
    expected = (x - mean) / np.sqrt(var + 1e-5) * weight + bias
    net = read_prototxt(written(tmp_path, text), write_model(tmp_path / "m", model))
    np.testing.assert_allclose(built(net).forward(x), expected, rtol=1e-5, atol=1e-5)
    untrained = {"bn": [np.zeros(3, np.float32), np.zeros(3, np.float32), np.zeros(1, np.float32)]}
    text = net_text("BatchNorm bn data")
    arrays = read_prototxt(written(tmp_path, text), write_model(tmp_path / "m", untrained)).arrays
    assert [arrays[f"bn.{key}"].tolist() for key in ("running_var", "batches", "weight", "bias")] == [[1] * 3, [0] * 3, [1] * 3, [0] * 3]


def test_numbers_that_are_too_large(tmp_path):
    conv = "Convolution c bn | convolution_param { num_output: 1 kernel_size: 1 bias_term: false }"
    text, zero = written(tmp_path, net_text("BatchNorm bn data", conv)), np.zeros((1, 3, 1, 1), np.float32)
    good = {"bn": [np.ones(3, np.float32)] * 2 + [np.float32([1])], "c": [np.ones((1, 3, 1, 1), np.float32)]}
    for factor in (1e-38, np.nan, np.inf):
        model = good | {"bn": [np.float32([100] * 3)] * 2 + [np.float32([factor])]}
        with refuses(CheckpointError, "a statistic of 'bn' must be finite in float32, got a larger number or a NaN"):
            read_prototxt(text, write_model(tmp_path / "m", model))
    double = np.full((1, 3, 1, 1), 1e300)
    with refuses(CheckpointError, "the weight of 'c' must be finite in float32, got a larger number"):
        read_prototxt(text, write_model(tmp_path / "m", good | {"c": [(zero, double)]}))
    double = np.full((1, 3, 1, 1), 0.1)
    weight = read_prototxt(text, write_model(tmp_path / "m", good | {"c": [(zero, double)]})).arrays["c.weight"]
    assert weight.dtype == np.float32 and weight.tolist() == double.astype(np.float32).tolist()


def test_running_statistics_come_back_to_the_bit():
    mean, var = rng(1).standard_normal(1000).astype(np.float32), rng(2).uniform(0.1, 3, 1000).astype(np.float32)
    for factor in (1, 37.123, 999.98, 1024):
        (mean32, mean64), _, (number, _) = statistics(mean, var, factor)
        read = mean64 if mean64 is not None else mean32
        np.testing.assert_array_equal((read / number[0]).astype(np.float32), mean)
        assert (mean64 is None) == (factor in (1, 1024))


def test_a_scale_alone_and_a_turned_product(tmp_path):
    text = net_text("Scale s data", "InnerProduct f s | inner_product_param { num_output: 2 transpose: true bias_term: false }")
    weight = values((192, 2), 0, np.float32)
    net = read_prototxt(written(tmp_path, text), write_model(tmp_path / "m", {"s": [np.float32([1, 2, 3])], "f": [weight]}))
    x = values((2, 3, 8, 8), 0, np.float32)
    expected = (x * np.float32([1, 2, 3])[:, None, None]).reshape(2, -1) @ weight
    np.testing.assert_allclose(built(net).forward(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"conv1": [np.zeros((4, 3, 5, 3), np.float32), np.zeros(4, np.float32)]},
         "the weight of 'conv1' must have the shape (4, 3, 3, 3), got (4, 3, 5, 3)"),
        ({"conv1": [np.zeros((4, 3, 3, 3), np.float32), np.zeros(5, np.float32)]},
         "the bias of 'conv1' must have the shape (4,), got (5,)"),
        ({"conv1": [np.zeros((4, 3, 3, 3), np.float32)]},
         "the blobs of 'conv1' must be 2, got 1; the net and the weights are not of one model"),
    ],
)  # fmt: skip
def test_weights_of_another_net(tmp_path, change, said):
    with refuses(CheckpointError, said):
        read_prototxt(written(tmp_path, NEW), write_model(tmp_path / "m", blobs() | change))


def test_layers_that_only_one_of_the_files_has(tmp_path):
    model = {("other" if name == "fc" else name): arrays for name, arrays in blobs().items()}
    net = read_prototxt(written(tmp_path, NEW), write_model(tmp_path / "m", model))
    assert "has no weights for fc, so initial values stay" in net.notes[1]
    assert "has weights of other, which the net does not have" in net.notes[2]
    strange = read_prototxt(written(tmp_path, NEW), write_model(tmp_path / "m", blobs() | {"\x1b[2J": [np.zeros(1, np.float32)]}))
    assert "has weights of ?[2J, which" in strange.notes[-1]  # the name could change a terminal
    with refuses(CheckpointError, "a layer with weights must be one of the net, such as 'conv1', got 'other'"):
        read_prototxt(written(tmp_path, NEW), write_model(tmp_path / "m", {"other": [np.zeros(1, np.float32)]}))
    with refuses(CheckpointError, "a layer with weights must be one of the net, such as 'conv1', got none"):
        read_prototxt(written(tmp_path, NEW), write_model(tmp_path / "m", {"other": []}))


def test_a_caffemodel_alone(tmp_path):
    message = parsed(net_text("Convolution a data | convolution_param { num_output: 2 kernel_size: 3 bias_term: false }", "ReLU b a"))
    (layer, _) = message.all("layer")
    weight = values((2, 3, 3, 3), 0, np.float32)
    for each in parsed_blobs({"a": [weight]}):
        layer.add("blobs", each)
    (tmp_path / "whole").write_bytes(b"".join(write_wire(message)))
    net = read_caffemodel(tmp_path / "whole")
    assert [row.kind for row in net.rows] == ["conv", "relu"] and net.in_shape == (3, 8, 8)
    np.testing.assert_array_equal(net.arrays["a.weight"], weight)
    net = read_caffemodel(write_model(tmp_path / "arrays", {"a": [weight]}))
    assert net.rows == () and net.in_shape is None and list(net.arrays) == ["a.0"]
    assert net.notes[0] == f"{tmp_path / 'arrays'}: no layer says what it reads and gives"
    with refuses(DataError, "layer 1: the tops of 'a' must be at least 1, got none"):
        read_caffemodel(write_model(tmp_path / "arrays", {"a": [weight]}), in_shape=(3, 8, 8))


def trained(path, text):
    """A caffemodel as Caffe writes it while training: the layers of the net, with their rules and their arrays."""
    message = parsed(text)
    for layer in message.all("layer"):
        for each in parsed_blobs({"x": blobs().get(layer.one("name"), [])}):
            layer.add("blobs", each)
    path.write_bytes(b"".join(write_wire(message)))
    return path


ONE_READER = re.sub(r'layer \{ name: "data" type: "Data" top: "data" top: "label" include \{ phase: TEST \}.*\n.*\n', "", NEW)


def test_a_caffemodel_alone_is_the_net_that_was_trained(tmp_path):
    """Its images come in phase TRAIN, though it is read to be used."""
    net = read_caffemodel(trained(tmp_path / "m", ONE_READER))
    whole = read_prototxt(written(tmp_path, NEW), tmp_path / "m", phase="TRAIN")
    assert net.rows == whole.rows and net.in_shape == (3, 11, 11) and net.data["mean_value"] == (104,)
    assert net.arrays.keys() == whole.arrays.keys()
    assert read_caffemodel(trained(tmp_path / "both", NEW)).data["mean_value"] == (104, 117, 123)  # a file that has both phases


@pytest.mark.parametrize("command", [["net"], ["predict"], ["convert"]], ids=" ".join)
@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("crop_size: 11", ""), "got arrays alone (layer 1: the input 'data' must have a shape (C, H, W), got none in the file); give its"),
        (('"ReLU"', '"Funny"'), "m.caffemodel: layer 3: the type of 'relu1' must be one that the engine has, "),
        (("kernel_size: 3 stride: 2", "kernel_size: 30"), "m.caffemodel: layer 2: "),
    ],
    ids=["size", "type", "kernel"],
)
def test_commands_say_why_a_caffemodel_alone_is_not_enough(change, text, command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained(tmp_path / "m.caffemodel", ONE_READER.replace(*change))
    assert cli.main([*command, "m.caffemodel", *({"predict": ["."], "convert": ["x.onnx"]}.get(command[0], []))]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert text in said, said


def parsed_blobs(layers):
    from tests.formats.caffe.samples import Maker

    layer = Message("Layer")
    for arrays in layers.values():
        Maker({}).blobs(layer, *arrays)
    return layer.all("blobs")


def test_the_mean_image(tmp_path):
    mean = values((3, 4, 5), 0, np.float32)
    for shape in ((3, 4, 5), (1, 3, 4, 5)):
        (blob,) = parsed_blobs({"a": [mean.reshape(shape)]})
        (tmp_path / "mean").write_bytes(b"".join(write_wire(blob)))
        np.testing.assert_array_equal(read_mean(tmp_path / "mean"), mean)
        np.testing.assert_array_equal(read_mean(tmp_path / "mean", rgb=True), mean[::-1])
    for other in (mean[0], np.float32([[[np.nan]]])):
        (blob,) = parsed_blobs({"a": [other]})
        (tmp_path / "mean").write_bytes(b"".join(write_wire(blob)))
        with refuses(CheckpointError, "the mean must be one image (C, H, W) of finite numbers, got the shape"):
            read_mean(tmp_path / "mean")


def test_a_large_file_takes_its_own_size(tmp_path):
    model = {name: [values(array.shape, 0, np.float32) for array in arrays] for name, arrays in blobs().items()}
    model["other"] = [np.ones(4_000_000, np.float32)]
    file = write_model(tmp_path / "m", model)
    text = written(tmp_path, NEW)
    tracemalloc.start()
    try:
        net = read_prototxt(text, file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(net.arrays) == 6 and peak < 1.05 * file.stat().st_size + 2**20
