"""The X-ray shows which inputs an output sees and which outputs an input feeds."""

import numpy as np
from PIL import Image

import tinyalex as ta
from tests.contract import refuses, rng
from tinyalex.tutor.xray import trace, xray


def test_window_of_a_convolution_and_the_overlap_of_pooling():
    x = np.random.default_rng(0).standard_normal((1, 2, 9, 7))
    conv = ta.Conv2d(2, 3, 3, padding=1, rng=rng(), dtype=np.float64, weight_init=ta.Gaussian(1.0))
    found = trace(conv, x, output=(1, 4, 2), input=(0, 0, 6))
    assert np.array_equal(np.argwhere(found.sees.any(0)).min(0), (3, 1)) and found.sees.any(0).sum() == 9
    assert np.allclose(found.sees[:, 3:6, 1:4], conv.weight[1])
    assert np.argwhere(found.feeds.any(0)).tolist() == [[0, 5], [0, 6], [1, 5], [1, 6]]
    x[0, 0, 4, 4] = 9
    pool = trace(ta.MaxPool2d(3, stride=2, dtype=np.float64), x, input=(0, 4, 4))
    assert np.argwhere(pool.feeds[0]).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_picture_says_in_words_what_it_shows(tmp_path, capsys):
    found = xray(ta.ReLU(dtype=np.float64), np.tanh, path=tmp_path / "x.png")
    text = Image.open(tmp_path / "x.png").text["Description"]
    assert text == "; ".join(one.alt() for one in found) and "tanh: output (1, 4, 4) sees 1 of 162 inputs" in text
    assert capsys.readouterr().out.splitlines()[-1] == f"wrote {tmp_path / 'x.png'}"


def test_what_has_no_xray_is_refused():
    with refuses(ta.ShapeError, "xray: x must be a batch of one input of floats, (1, ...), got float64 array of shape (2, 3)"):
        trace(np.tanh, np.ones((2, 3)))
    with refuses(ta.ShapeError, "xray: the number of elements of x must be"):
        trace(np.tanh, np.ones((1, 5000)))
    with refuses(ta.ShapeError, "xray: at least one function must be given, got none"):
        xray()
