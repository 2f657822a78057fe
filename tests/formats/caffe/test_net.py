import numpy as np
import pytest

from tests.contract import refuses
from tests.formats.caffe.samples import NEW, OLD, built, net_text, written
from tinyalex.errors import DataError
from tinyalex.formats.caffe import read_prototxt
from tinyalex.init import Constant, Gaussian, Uniform
from tinyalex.models.later.rows import flat


def read(folder, text, **options):
    return read_prototxt(written(folder, text), **options)


def rows_of(folder, *layers, **options):
    return [(row.kind, row.name, dict(row.settings)) for row in read(folder, net_text(*layers), **options).rows]


@pytest.mark.parametrize("text", [NEW, OLD])
def test_both_forms_of_layers_give_the_same_rows(tmp_path, text):
    net = read(tmp_path, text, phase="TRAIN")
    assert [(row.kind, row.name) for row in net.rows] == [
        ("conv", "conv1"), ("relu", "relu1"), ("norm", "norm1"), ("pool", "pool1"), ("conv", "conv2"), ("flatten", "fc.flatten"),
        ("linear", "fc"), ("dropout", "drop"),
    ]  # fmt: skip
    conv1, _, norm1, pool1, conv2, _, fc, drop = net.rows
    assert conv1.settings == {
        "out_channels": 4, "kernel_size": 3, "stride": 2, "padding": 0, "groups": 1,
        "weight_init": Gaussian(0.01), "bias_init": Constant(0.1),
    }  # fmt: skip
    assert norm1.settings == {"n": 3, "k": 2.0, "alpha": 0.5, "beta": 0.75, "alpha_over_n": True}
    assert pool1.settings == {"kernel_size": 3, "stride": 2, "padding": 0, "ceil_mode": True}
    assert conv2["groups"] == 2 and conv2["padding"] == 1
    assert fc["weight_init"] == Uniform(np.sqrt(3 / 24)) and drop.settings == {"p": 0.25, "scale": "train"}
    assert net.in_shape == (3, 11, 11) and net.ends == "logits" and net.multipliers == {"conv1.bias": (2.0, 0.0)}
    assert (net.data["batch_size"], net.data["crop_size"], net.data["mirror"]) == (64, 11, True)
    assert built(net, {}).shapes[-1] == (5,)


def test_phases_and_stages(tmp_path):
    assert read(tmp_path, NEW).data["mean_value"] == (104.0, 117.0, 123.0) and read(tmp_path, NEW).data["batch_size"] == 32
    assert read(tmp_path, NEW).notes == ("left out: accuracy",)
    layers = [
        "ReLU a data a | include { phase: TRAIN }",
        "ReLU b data a | exclude { phase: TRAIN }",
        "Sigmoid c a | include { stage: 'deep' not_stage: 'wide' }",
        "Sigmoid d a | include { min_level: 2 max_level: 3 } include { min_level: 9 }",
    ]
    for options, names in [
        ({}, ["b"]),
        ({"phase": "TRAIN"}, ["a"]),
        ({"stages": ("deep",)}, ["b", "c"]),
        ({"stages": ("deep", "wide")}, ["b"]),
        ({"level": 2}, ["b", "d"]),
        ({"level": 9}, ["b", "d"]),
        ({"level": 8}, ["b"]),
    ]:
        assert [name for _, name, _ in rows_of(tmp_path, *layers, **options)] == names
    with refuses(DataError, "line 4: its rules of 'a' must be include or exclude, got both"):
        rows_of(tmp_path, "ReLU a data | include { phase: TRAIN } exclude { phase: TEST }")
    with refuses(DataError, "the net must have a layer in the phase TEST, got none"):
        rows_of(tmp_path, "ReLU a data | include { phase: TRAIN }")


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("input: 'x' input_dim: 1 input_dim: 2 input_dim: 5 input_dim: 6", (2, 5, 6)),
        ("input: 'x' input_shape { dim: 1 dim: 2 dim: 5 dim: 6 }", (2, 5, 6)),
        ("layer { name: 'd' type: 'Input' top: 'x' input_param { shape { dim: 1 dim: 2 dim: 5 dim: 6 } } }", (2, 5, 6)),
        ("layer { name: 'd' type: 'MemoryData' top: 'x' top: 'l' memory_data_param { batch_size: 1 channels: 2 height: 5 width: 6 } }",
         (2, 5, 6)),
        ("layer { name: 'd' type: 'DummyData' top: 'x' dummy_data_param { shape { dim: 1 dim: 2 dim: 5 dim: 6 } } }", (2, 5, 6)),
        ("layer { name: 'd' type: 'DummyData' top: 'x' dummy_data_param { num: 1 channels: 2 height: 5 width: 6 } }", (2, 5, 6)),
        ("layer { name: 'd' type: 'Data' top: 'x' top: 'l' transform_param { crop_size: 5 } }", (3, 5, 5)),
        ("layer { name: 'd' type: 'Data' top: 'x' top: 'l' transform_param { crop_size: 5 force_gray: true } }", (1, 5, 5)),
        ("layer { name: 'd' type: 'ImageData' top: 'x' top: 'l' image_data_param { is_color: false crop_size: 5 } }", (1, 5, 5)),
        ("layers { name: 'd' type: WINDOW_DATA top: 'x' top: 'l' window_data_param { crop_size: 5 } }", (3, 5, 5)),
    ],
)  # fmt: skip
def test_where_the_shape_of_an_image_stands(tmp_path, text, shape):
    text += " layers { type: RELU" if "layers" in text else " layer { type: 'ReLU'"
    text += " name: 'r' bottom: 'x' top: 'y' }"
    assert read(tmp_path, text).in_shape == shape and read(tmp_path, text, in_shape=(9, 9, 9)).in_shape == (9, 9, 9)


def test_inputs_that_are_refused(tmp_path):
    relu = " layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'y' }"
    said = "line 1: the input 'x' must have a shape (C, H, W), got none in the file; give in_shape=(3, 32, 32)"
    with refuses(DataError, said):
        read(tmp_path, "layer { name: 'd' type: 'Data' top: 'x' top: 'l' }" + relu)
    with refuses(DataError, "the shape of the input 'x' must be three sizes from 1 to 16,777,216, got (0, 5, 6)"):
        read(tmp_path, "input: 'x' input_dim: 1 input_dim: 0 input_dim: 5 input_dim: 6" + relu)
    with refuses(DataError, "in_shape must be (C, H, W), got (3, 32)"):
        read(tmp_path, NEW, in_shape=(3, 32))
    with refuses(DataError, "the inputs that layers read must be one, the images, got 'x', 'z'"):
        read(tmp_path, "input: 'x' input: 'z'" + relu + " layer { name: 's' type: 'ReLU' bottom: 'z' top: 'w' }")


def test_a_shape_for_a_net_that_leaves_it_open(tmp_path):
    data, relu = "layer { name: 'd' type: 'Data' top: 'x' top: 'l' %s }", " layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'y' }"
    assert read(tmp_path, data % "" + relu, open_shape=(3, 6, 7)).in_shape == (3, 6, 7)
    assert read(tmp_path, data % "transform_param { crop_size: 5 }" + relu, open_shape=(3, 6, 7)).in_shape == (3, 5, 5)


def test_a_top_of_the_other_phase_alone_is_named(tmp_path):
    data = "layer { name: 'd' type: 'Data' top: 'x' top: 'l' include { phase: %s } transform_param { crop_size: 5 } }"
    relu = " layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'y' }"
    for here, there in (("TEST", "TRAIN"), ("TRAIN", "TEST")):
        with refuses(DataError, f"line 1: the bottom of 'r' must be a top in phase {here}, got x; it is a top only in phase {there}"):
            read(tmp_path, data % there + relu, phase=here)
        with refuses(DataError, "the bottom of 'r' must be a top of a layer in front of it, got x"):  # there is one, but later
            read(tmp_path, data % there + relu + data % here, phase=here)


def test_where_a_net_ends(tmp_path):
    two = ["ReLU a data", "Sigmoid b data"]
    with refuses(DataError, "the outputs of the net must be one, got 'a', 'b'; choose one with output="):
        rows_of(tmp_path, *two)
    assert rows_of(tmp_path, *two, output="b") == [("sigmoid", "b", {})]
    with refuses(DataError, "output must be a top of a layer, got 'c'"):
        rows_of(tmp_path, *two, output="c")
    net = read(tmp_path, net_text("InnerProduct fc data | inner_product_param { num_output: 3 }", "Softmax prob fc"))
    assert net.ends == "probabilities" and net.rows[-1].name == "fc"
    with refuses(DataError, "line 5: the softmax of 'a' must be the last layer, over the channels, got another place or axis"):
        rows_of(tmp_path, "ReLU r data", "Softmax a r", "ReLU b a")
    with refuses(DataError, "the numbers of bottoms and tops of 'a' must be 1 and 1, got 0 and 1"):
        read(tmp_path, net_text("ReLU r data") + "layer { name: 'a' type: 'Softmax' top: 'a' }")


HEADS = [
    "ReLU r1 data", "InnerProduct h1 r1 | inner_product_param { num_output: 3 }",
    "ReLU r2 r1", "Sigmoid s2 r2", "InnerProduct h2 s2 | inner_product_param { num_output: 3 }",
    "ReLU r3 r2", "InnerProduct out r3 | inner_product_param { num_output: 3 }",
    "SoftmaxWithLoss l1 h1,label | loss_weight: 0.2", "SoftmaxWithLoss l2 h2,label | loss_weight: 0.4", "SoftmaxWithLoss l3 out,label",
]  # fmt: skip


def test_auxiliary_heads(tmp_path):
    text = net_text(*HEADS) + "input: 'label' input_shape { dim: 1 }"
    net = read(tmp_path, text)
    assert [row.name for row in flat(net.rows)] == ["r1", "r2", "r3", "out.flatten", "out"] and net.heads == ()
    net = read(tmp_path, text, heads=True)
    made = built(net, {})
    outputs = made.forward(np.ones((2, 3, 8, 8), np.float32), train=True)
    assert [out.shape for out in outputs] == [(2, 3)] * 3 and net.heads == (0.4, 0.2)  # the innermost head first
    with refuses(DataError, "loss_weight of 'l1' must be a finite number of at least 0, got nan"):
        read(tmp_path, text.replace("0.2", "nan"))
    names = [row.name for row in flat(net.rows) if row.kind == "linear"]
    assert names == ["out", "h2", "h1"]


@pytest.mark.parametrize("value", ["data", "r"])
def test_a_head_without_layers_is_refused(tmp_path, value):
    layers = ["ReLU r data", "InnerProduct out r | inner_product_param { num_output: 3 }",
              f"SoftmaxWithLoss l1 {value},label | loss_weight: 0.2", "SoftmaxWithLoss l2 out,label"]  # fmt: skip
    text = net_text(*layers) + "input: 'label' input_shape { dim: 1 }"
    assert len(read(tmp_path, text).rows) == 3
    with refuses(DataError, "the loss of an auxiliary head must read a layer that the rest of the net does not read"):
        read(tmp_path, text, heads=True)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (["ReLU a nothing"], "line 4: the bottom of 'a' must be a top of a layer in front of it, got nothing"),
        (["ReLU a dato"], "got dato; did you mean data?"),
        (["ReLU a data", "ReLU b data a"], "line 5: the top of 'b' must be a new name, or a bottom of the same layer, got a"),
        (["Slice a data x,x"], "the tops of 'a' must be different"),
        (["PReLU a data"], "line 4: the type of 'a' must be one that the engine has, Convolution, InnerProduct"),
        (["Eltwise a data"], "the inputs of 'a' must be at least 2 of one shape, got (3, 8, 8)"),
        (["ReLU a data,data"], "the numbers of bottoms and tops of 'a' must be 1 and 1, got 2 and 1"),
        (["SoftmaxWithLoss a data"], "the bottoms of 'a' must be 2, the outputs and the labels, got 1"),
        (["Convolution a data | convolution_param { num_output: 2 kernel_size: 3 dilation: 2 }"], "dilation of 'a' must be 1, got 2"),
        (["Convolution a data | convolution_param { num_output: 2 }"], "kernel_size of 'a' must be one or two whole numbers from 1 to"),
        (["Convolution a data | convolution_param { kernel_size: 2 }"],
         "num_output of 'a' must be a whole number from 1 to 16,777,216, got none"),
        (["Convolution a data | convolution_param { num_output: 2 kernel_size: 3 group: 2 }"],
         "group of 'a' must be a divisor of 3 channels and 2 filters, got 2"),
        (["Convolution a data | convolution_param { num_output: 2 kernel_size: 30 }"], "input height with padding must be at least 30"),
        (["Convolution a data | convolution_param { num_output: 99999999 kernel_size: 3 }"], "num_output of 'a' must be a whole number"),
        (["Pooling a data | pooling_param { pool: STOCHASTIC kernel_size: 3 }"],
         "pool of 'a' must be MAX or AVE with one output, got STOCHASTIC"),
        (["Pooling a data | pooling_param { kernel_size: 1 stride: 3 }"],
         "stride of 'a' must be so small that no window of 1 lies outside"),
        (["LRN a data | lrn_param { local_size: 4 }"], "local_size of 'a' must be odd, got 4"),
        (["LRN a data | lrn_param { k: 0 }"], "line 4: layer 'a': a: k must be a finite number above 0, got 0.0"),
        (["BatchNorm a data | batch_norm_param { eps: nan }"], "line 4: layer 'a': a: eps must be a finite number above 0, got nan"),
        (["BatchNorm a data | batch_norm_param { moving_average_fraction: 2 }"], "a: momentum must be a number from 0 to 1, got 2"),
        (["Power a data | power_param { scale: inf }"], "a: factor must be a finite number other than 0, got inf"),
        (["ReLU a data | relu_param { negative_slope: 0.1 }"], "negative_slope of 'a' must be 0, got 0.1"),
        (["Power a data | power_param { power: 2 }"], "power of 'a' must be 1, got 2"),
        (["Power a data | power_param { shift: 2 }"], "shift of 'a' must be 0, got 2"),
        (["Power a data | power_param { scale: 0 }"], "scale of 'a' must be a number other than 0"),
        (["AbsVal a data"], "the layer in front of 'a' must be a TanH that nothing else reads"),
        (["ReLU r data", "Eltwise a r,data | eltwise_param { operation: MAX }"], "operation of 'a' must be SUM, got MAX"),
        (["ReLU r data", "Eltwise a r,data | eltwise_param { coeff: 1 coeff: 0 }"],
         "coeff of 'a' must be one number other than 0 for each input"),
        (["ReLU r data", "Concat a r,data | concat_param { axis: 2 }"], "axis of 'a' must be 1, got 2"),
        (["Pooling r data | pooling_param { kernel_size: 2 }", "Concat a r,data"], "the inputs of 'a' must be of one height and width"),
        (["Dropout a data | dropout_param { dropout_ratio: 1 }"], "dropout_ratio of 'a' must be at least 0 and below 1, got 1"),
        (["Slice a data x,y,z", "ReLU b x"], "the input of 'b' must be a whole value, got a slice; slices are read only where"),
        (["Slice a data x,y"], "slice_point of 'a' must be 2 equal parts of 3 channels"),
        (["Flatten f data", "LRN a f"], "the input of 'a' must be images (C, H, W), got a vector of 192"),
        (["Flatten f data", "BatchNorm a f"], "the input of 'a' must be images (C, H, W)"),
        (["Reshape a data | reshape_param { shape { dim: 0 dim: 3 dim: 64 } }"], "shape of 'a' must be 0 and -1"),
        (["InnerProduct a data | inner_product_param { num_output: 2 axis: 2 }"], "axis of 'a' must be 1, got 2"),
        (["Scale a data | scale_param { axis: 2 }"], "axis of 'a' must be 1, got 2"),
        (["ReLU r data", "Scale a data,r | scale_param { axis: 0 }"], "the gate of 'a' must be one number for each of 3 channels"),
        (["ReLU a data | param { name: 'w' }", "ReLU b a | param { name: 'w' }"], "the name of a param of 'b' must be its own"),
    ],
)  # fmt: skip
def test_what_the_engine_cannot_do(tmp_path, layers, said):
    with refuses(DataError, said):
        rows_of(tmp_path, *layers)


def test_names(tmp_path):
    text = net_text("ReLU r data").replace('"r"', '"a"').replace('name: "a"', "")
    assert [row.name for row in read(tmp_path, text).rows] == ["layer"]
    assert [name for _, name, _ in rows_of(tmp_path, "ReLU r data a", "ReLU r a a")] == ["r", "r.2"]
    with refuses(DataError, "the name of '\\x1b[2J' must be made of characters that can be printed, got '\\x1b[2J'"):
        read(tmp_path, net_text("ReLU r data").replace('name: "r"', 'name: "\x1b[2J"'))
    assert read(tmp_path, net_text("ReLU r data").replace('"small"', '"\x1b[2J"')).name == "?[2J"
    with refuses(DataError, "stages must be a tuple of names, got 'deep'"):
        rows_of(tmp_path, "ReLU r data", stages="deep")


def test_the_line_of_a_setting(tmp_path):
    text = net_text("ReLU a data")
    text += "layer {\n name: 'c'\n type: 'Convolution'\n bottom: 'a'\n top: 'c'\n convolution_param {\n num_output: 2\n dilation: 2\n } }"
    with refuses(DataError, "net.prototxt: line 12: dilation of 'c' must be 1, got 2"):
        read(tmp_path, text)


def test_a_layer_of_before_2014_is_refused(tmp_path):
    with refuses(DataError, "line 1: a layer must be in the form of 2014 or later, got the older one"):
        read(tmp_path, "layers { layer { name: 'a' type: 'relu' } bottom: 'data' top: 'a' }")


@pytest.mark.parametrize(
    ("layers", "rows"),
    [
        (["Power a data | power_param { scale: 0.5 }"], [("scale", "a", {"factor": 0.5})]),
        (["ReLU r data", "Power a r", "Split b a x,y", "Sigmoid c x", "Sigmoid d y", "Concat e c,d"], None),
        (["Dropout a data", "Power b a a | power_param { scale: 0.5 }"], [("dropout", "a", {"p": 0.5, "scale": "test"})]),
        (["TanH a data", "AbsVal b a a"], [("abstanh", "a", {})]),
        (["Power p data | power_param { scale: 0.5 }", "TanH a p", "Power q a | power_param { scale: 2 }"],
         [("tanh", "a", {"b": 0.5, "a": 2.0})]),
        (["Slice s data x,y,z", "LRN n x", "LRN m y", "LRN o z", "Concat c n,m,o"],
         [("norm", "c", {"n": 5, "k": 1.0, "alpha": 1.0, "beta": 0.75, "alpha_over_n": True, "groups": 3})]),
        (["LRN a data | lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 k: 7 }"],
         [("rnorm", "a", {"n": 3, "k": 1.0, "alpha": 1.0, "beta": 0.75, "alpha_over_area": True})]),
        (["Pooling a data | pooling_param { pool: AVE global_pooling: true }", "Flatten f a"], [("global_pool", "a", {})]),
        (["Pooling a data | pooling_param { global_pooling: true }"],
         [("pool", "a", {"kernel_size": 8, "stride": 1, "padding": 0, "ceil_mode": True})]),
        (["Pooling a data | pooling_param { pool: AVE kernel_h: 3 kernel_w: 2 stride: 2 pad_h: 1 pad_w: 0 }"],
         [("mean_pool", "a", {"kernel_size": (3, 2), "stride": 2, "padding": (1, 1, 0, 0), "ceil_mode": True, "count_padding": True})]),
        (["Pooling a data | pooling_param { kernel_size: 3 round_mode: FLOOR }"],
         [("pool", "a", {"kernel_size": 3, "stride": 1, "padding": 0, "ceil_mode": False})]),
        (["Scale a data | scale_param { bias_term: true }"], [("bn", "a", {"eps": 1e-30, "statistics": "running"})]),
        (["BatchNorm a data | batch_norm_param { eps: 0.001 moving_average_fraction: 0.9 use_global_stats: true }"],
         [("bn", "a", {"convention": "caffe", "momentum": 0.9, "eps": 0.001, "statistics": "running"})]),
        (["BatchNorm a data", "Scale b a a", "ReLU c a"],
         [("bn", "a", {"convention": "caffe", "momentum": 0.999, "eps": 1e-5}), ("relu", "c", {})]),
    ],
)  # fmt: skip
def test_rows(tmp_path, layers, rows):
    found = rows_of(tmp_path, *layers)
    if rows is None:
        assert [(kind, name) for kind, name, _ in found] == [("relu", "r"), ("branches", "e")]
    else:
        assert found == rows


def test_a_scale_is_not_taken_where_others_read_the_normalized_value(tmp_path):
    found = rows_of(tmp_path, "BatchNorm a data", "Scale b a", "Eltwise c a,b")
    assert [kind for kind, _, _ in found] == ["bn", "branches"]


def test_a_gate(tmp_path):
    gate = [
        "Pooling p data | pooling_param { pool: AVE global_pooling: true }",
        "Convolution c p | convolution_param { num_output: 3 kernel_size: 1 }",
        "Sigmoid s c",
    ]
    (row,) = read(tmp_path, net_text(*gate, "Scale a data,s | scale_param { axis: 0 }")).rows
    assert row["merge"] == "product" and [each.kind for each in row["paths"][1]] == ["global_pool", "linear", "sigmoid"]
    rows = read(tmp_path, net_text("ReLU r data", *gate, "Axpy a s,data,r")).rows
    assert {row.kind for row in flat(rows)} == {"relu", "global_pool", "linear", "sigmoid"}


def test_fillers_that_the_engine_does_not_have_are_said(tmp_path):
    text = "Convolution a data | convolution_param {{ num_output: 2 kernel_size: 3 weight_filler {{ {} }} }}"
    unknown = {"type: 'bilinear'": "the filler 'bilinear'", "type: 'uniform'": "not around 0", "type: 'gaussian' mean: 1": "not around 0"}
    for filler, words in unknown.items():
        net = read(tmp_path, net_text(text.format(filler)))
        assert len(net.notes) == 1 and words in net.notes[0] and "weight_init" not in net.rows[0].settings
    known = {
        "type: 'uniform' min: -2 max: 2": Uniform(2.0),
        "type: 'msra' variance_norm: FAN_OUT": Gaussian(np.sqrt(2 / 18)),
        "type: 'xavier' variance_norm: AVERAGE": Uniform(np.sqrt(3 / 22.5)),
    }
    for filler, init in known.items():
        assert read(tmp_path, net_text(text.format(filler))).rows[0]["weight_init"] == init


def test_layers_without_biases_do_not_learn_them(tmp_path):
    layers = ["Convolution a data | convolution_param { num_output: 2 kernel_size: 3 bias_term: false }",
              "InnerProduct b a | inner_product_param { num_output: 2 bias_term: false }"]  # fmt: skip
    net = read(tmp_path, net_text(*layers))
    assert net.rows[0]["bias"] is False and net.multipliers == {"b.bias": (0.0, 0.0)}
    assert read(tmp_path, net_text("BatchNorm a data")).multipliers == {"a.weight": (0.0, 0.0), "a.bias": (0.0, 0.0)}
    net = read(tmp_path, net_text("BatchNorm a data", "Scale b a | param { lr_mult: 3 }"))
    assert net.multipliers == {"a.weight": (3.0, 1.0), "a.bias": (0.0, 0.0)}
