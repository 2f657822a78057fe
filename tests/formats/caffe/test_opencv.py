"""OpenCV 4 as another reader of Caffe's files, where it is installed: outputs within 1e-4 of the largest one.

OpenCV ignores the k of LRN, so the nets here have k = 1. It does not know round_mode, Axpy, and BatchNorm's float64 copies, which it skips.
"""

from dataclasses import replace

import numpy as np
import pytest

from tests.contract import values
from tests.formats.caffe.samples import built, net_text, random_arrays, write_model, written
from tests.formats.caffe.test_write import later, variant
from tinyalex.formats.caffe import read_prototxt, write_caffemodel, write_prototxt
from tinyalex.models.later.rows import build_net

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed: install the extra 'bench' to compare")
pytestmark = pytest.mark.skipif(
    not hasattr(getattr(cv2, "dnn", None), "readNetFromCaffe"), reason="this OpenCV has no reader of Caffe's files: it is 5 or newer"
)


def theirs(prototxt, caffemodel, x):
    net = cv2.dnn.readNetFromCaffe(str(prototxt), str(caffemodel))
    net.setInput(x)
    return net.forward()


def assert_agrees(net, prototxt, caffemodel, scale=50):
    x = scale * values((2, *net.in_shape), 1, np.float32)
    ours, others = built(net).forward(x), theirs(prototxt, caffemodel, x)
    others = others.reshape(ours.shape)
    assert np.abs(ours - others).max() <= 1e-4 * np.abs(others).max() and ours.std() > 0


def resnet_of_caffe():
    """A ResNet-50 as its authors' files have it: pooling without padding, rounded up, and the stride in the first 1x1."""
    net = later("resnet50-v1")
    rows = tuple(row.having(padding=0) if row.kind == "pool" else row for row in net.rows)
    rows = tuple(replace(row, settings={**row.settings, "ceil_mode": True}) if row.kind == "pool" else row for row in rows)
    return replace(net, rows=rows)


NETS = {
    "bvlc_alexnet": lambda: variant("caffe"),
    "CaffeNet": lambda: variant("caffenet"),
    "GoogLeNet": lambda: later("googlenet"),
    "ResNet-50": resnet_of_caffe,
    "SqueezeNet": lambda: later("squeezenet1.0"),
    "VGG-16": lambda: later("vgg16"),
    "ResNet-20": lambda: later("resnet20"),
    "Inception-v3": lambda: later("inception-v3"),
    "Ciresan's column": lambda: later("ciresan-column"),
}


@pytest.mark.parametrize("name", NETS)
def test_nets_that_we_write(tmp_path, name):
    net = NETS[name]()
    net = replace(net, arrays=random_arrays(build_net(net.rows, net.in_shape, net.name)))
    write_prototxt(tmp_path / "p", net)
    write_caffemodel(tmp_path / "m", net)
    assert_agrees(net, tmp_path / "p", tmp_path / "m")


CONV = "Convolution {} | convolution_param {{ num_output: {} kernel_size: {} {} }}"


@pytest.mark.parametrize(
    "layers",
    [
        [CONV.format("a data", 6, 3, "pad: 1 stride: 2 group: 2"), "ReLU r a a"],
        [CONV.format("a data", 4, "3 kernel_size: 2", "pad_h: 2 pad_w: 0 stride_h: 1 stride_w: 2 bias_term: false")],
        ["Pooling a data | pooling_param { kernel_size: 3 stride: 2 }"],
        ["Pooling a data | pooling_param { kernel_size: 3 stride: 2 pad: 1 }"],
        ["Pooling a data | pooling_param { kernel_size: 2 stride: 2 pad: 1 }"],
        ["Pooling a data | pooling_param { pool: AVE kernel_size: 3 stride: 2 }"],
        ["Pooling a data | pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }"],
        ["Pooling a data | pooling_param { pool: AVE kernel_size: 3 stride: 3 pad: 2 }"],
        ["Pooling a data | pooling_param { pool: AVE global_pooling: true }", "InnerProduct b a | inner_product_param { num_output: 3 }"],
        ["LRN a data | lrn_param { local_size: 3 alpha: 0.5 }"],
        ["LRN a data | lrn_param { local_size: 3 alpha: 0.5 norm_region: WITHIN_CHANNEL }"],
        ["Slice s data x,y", "LRN n x | lrn_param { alpha: 0.1 }", "LRN m y | lrn_param { alpha: 0.1 }", "Concat a n,m"],
        ["InnerProduct a data | inner_product_param { num_output: 5 }", "Dropout d a a", "Softmax s a"],
        ["InnerProduct a data | inner_product_param { num_output: 5 bias_term: false }", "TanH t a", "AbsVal b t"],
        ["BatchNorm a data", "Scale s a a | scale_param { bias_term: true }", "Sigmoid b a"],
        ["BatchNorm a data | batch_norm_param { eps: 0.01 }"],
        ["Scale a data | scale_param { bias_term: true }"],
        ["ReLU r data", "Sigmoid s data", "Eltwise a r,s | eltwise_param { coeff: 2 coeff: -0.5 }"],
        ["ReLU r data", CONV.format("a r", 4, 3, ""), CONV.format("b r", 2, 3, ""), "Concat c a,b", "Flatten f c"],
        ["Power a data | power_param { scale: 0.3 }"],
        ["Reshape a data | reshape_param { shape { dim: 0 dim: -1 } }", "InnerProduct b a | inner_product_param { num_output: 3 }"],
    ],
)  # fmt: skip
def test_layers(tmp_path, layers):
    text = written(tmp_path, net_text(*layers, size=(4, 9, 7)))
    plain = read_prototxt(text)
    arrays = random_arrays(build_net(plain.rows, plain.in_shape, "net"))
    model = {}
    for text_of_layer in layers:
        kind, name = text_of_layer.split()[:2]
        if kind == "BatchNorm":
            model[name] = [*(arrays[f"{name}.{key}"] * np.float32(4) for key in ("running_mean", "running_var")), np.float32([4])]
        elif kind in ("Convolution", "InnerProduct", "Scale"):
            row = name if f"{name}.weight" in arrays else layers[0].split()[1]  # a scale behind a normalization
            biases = [arrays[f"{row}.bias"]] if "bias_term: false" not in text_of_layer else []
            model[name] = [arrays[f"{row}.weight"], *biases]
    caffemodel = write_model(tmp_path / "m", model, types={layer.split()[1]: layer.split()[0] for layer in layers})
    net = read_prototxt(text, caffemodel) if model else plain
    if net.ends == "probabilities":
        x = values((2, *net.in_shape), 1, np.float32)
        logits = built(net).forward(x)
        ours = np.exp(logits - logits.max(axis=1, keepdims=True))
        np.testing.assert_allclose(theirs(text, caffemodel, x), ours / ours.sum(axis=1, keepdims=True), atol=1e-5)
    else:
        assert_agrees(net, text, caffemodel, scale=1)


def test_weights_of_the_old_form(tmp_path):
    text = written(tmp_path, net_text(CONV.format("a data", 6, 3, ""), "InnerProduct b a | inner_product_param { num_output: 3 }"))
    net = read_prototxt(text)
    arrays = random_arrays(build_net(net.rows, net.in_shape, "net"))
    model = {name: [arrays[f"{name}.weight"], arrays[f"{name}.bias"]] for name in ("a", "b")}
    caffemodel = write_model(tmp_path / "m", model, old=True, types={"a": "CONVOLUTION", "b": "INNER_PRODUCT"})
    assert_agrees(read_prototxt(text, caffemodel), text, caffemodel)

