"""The comparison of a net with the program whose file it is."""

from pathlib import Path

import numpy as np
import pytest

from tests.contract import rng
from tinyalex.formats import parity
from tinyalex.formats.imported import Imported
from tinyalex.formats.parity import random_images, softmax, with_runtime
from tinyalex.models.later.rows import build_net, linear, row

NET = Imported("small", "small.onnx", (row("flatten", "f"), linear("fc", 4)), (3, 2, 2), ends="probabilities")


@pytest.mark.parametrize("end", [lambda p: p, np.log], ids=["Softmax", "LogSoftmax"])
def test_probabilities_and_their_logarithms_agree_with_a_net_that_has_neither(end, monkeypatch):
    made = build_net(NET.rows, NET.in_shape, NET.name)
    made["fc"].params["weight"][...] = rng(1).standard_normal((4, 12))
    there = end(softmax(made.forward(random_images(NET))))
    monkeypatch.setattr(parity, "_onnxruntime", lambda file, x, output: there)
    assert with_runtime([Path("small.onnx")], ["onnx"], NET, made).agrees
    there = there[:, ::-1]
    assert not with_runtime([Path("small.onnx")], ["onnx"], NET, made).agrees
