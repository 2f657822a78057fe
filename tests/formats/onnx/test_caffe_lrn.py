"""Response normalization with k other than 1, as a prototxt has it, beside two other programs with the same numbers.

OpenCV ignores this k, and Caffe itself is not to be installed any more. ONNX Runtime calls k "bias", PyTorch calls it k; both divide alpha
by the number of channels in the window, as Caffe does.
"""

import numpy as np
import pytest

from tests.contract import values
from tests.formats.caffe.samples import built, net_text, write_model, written
from tests.formats.onnx.graphs import model_of, node
from tinyalex.formats.caffe import read_prototxt

NUMBERS = dict(local_size=5, alpha=0.5, beta=0.75)
X = 3 * values((2, 3, 9, 8), 0, np.float32)
WEIGHT, BIAS = values((12, 3, 3, 3), 1, np.float32), values((12,), 2, np.float32)


def ours(folder, k):
    """The output of a net of Caffe: a convolution and its normalization."""
    settings = " ".join(f"{key}: {value}" for key, value in NUMBERS.items())
    conv = "Convolution conv1 data | convolution_param { num_output: 12 kernel_size: 3 }"
    text = net_text(conv, f"LRN norm1 conv1 | lrn_param {{ {settings} k: {k} }}", size=(3, 9, 8))
    net = read_prototxt(written(folder, text), write_model(folder / "net.caffemodel", {"conv1": [WEIGHT, BIAS]}))
    return built(net).forward(X)


def of_onnxruntime(k):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: install the extra 'test'")
    lrn = node("LRN", "c", "y", size=NUMBERS["local_size"], alpha=NUMBERS["alpha"], beta=NUMBERS["beta"], bias=float(k))
    model = model_of([node("Conv", "x w b", "c"), lrn], X.shape[1:], inits={"w": WEIGHT, "b": BIAS})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": X})[0]


def of_torch(k):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: install the extra 'bench' to compare")
    conv = torch.nn.functional.conv2d(*map(torch.from_numpy, (X, WEIGHT, BIAS)))
    return torch.nn.functional.local_response_norm(conv, NUMBERS["local_size"], NUMBERS["alpha"], NUMBERS["beta"], float(k)).numpy()


@pytest.mark.parametrize("k", [1, 2, 0.5])
@pytest.mark.parametrize("other", [of_onnxruntime, of_torch], ids=["onnxruntime", "torch"])
def test_k_of_a_prototxt_is_the_bias_and_the_k_of_others(k, other, tmp_path):
    theirs = other(k)
    here = ours(tmp_path, k)
    assert np.abs(here - theirs).max() <= 1e-5 * np.abs(theirs).max()
    assert np.abs(ours(tmp_path, k + 1) - theirs).max() > 1e-2 * np.abs(theirs).max()  # so a k that is not read would be seen
