"""ResNet-20 and ResNet-56 as somebody else trained and published them, in PyTorch's form of before 1.6, on real test images.

The images are a JPEG-recompressed copy of CIFAR-10's, on which the nets are ten points worse than the 91.78 % and 93.62 % of their files.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from tinyalex.data.batches import Standardize
from tinyalex.data.find import load_dataset
from tinyalex.formats.torch.state import read_pth
from tinyalex.formats.torch.write import write_pth
from tinyalex.models.later.rows import build_net
from tinyalex.models.weights import copy_state

DATA = Path(os.environ.get("TINYALEX_DATA") or "nowhere")
NETS = DATA / "nets" / "resnet-cifar"
FILES = {"resnet20": "resnet20-12fca82f.th", "resnet56": "resnet56-4bfd9763.th"}
pytestmark = pytest.mark.skipif(not NETS.is_dir(), reason="TINYALEX_DATA has no folder nets/resnet-cifar: no real ResNets to read")
PIXELS = Standardize((0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255))  # of the author's program


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_read_and_goes_round(name, tmp_path):
    found = read_pth(NETS / FILES[name])
    assert found.name == name and found.in_shape == (3, 32, 32)
    learned = sum(array.size for key, array in found.arrays.items() if "running" not in key)
    assert learned == {"resnet20": 269_722, "resnet56": 853_018}[name]
    write_pth(tmp_path / "again.pth", found)
    again = read_pth(tmp_path / "again.pth")
    assert again.rows == found.rows and all(np.array_equal(again.arrays[key], array) for key, array in found.arrays.items())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count", "right"), [("resnet20", 10_000, 8103), ("resnet56", 2_000, 1669)])
def test_it_recognizes_test_images(name, count, right):
    found = read_pth(NETS / FILES[name])
    net = build_net(found.rows, found.in_shape, name)
    copy_state(net, found.arrays)
    data, correct = load_dataset(str(DATA)), 0
    for begin in range(0, count, 250):
        images, labels = (part[begin : begin + 250] for part in (data.test_images, data.test_labels))
        correct += int((net.forward(PIXELS(images)).argmax(axis=1) == labels).sum())
    assert correct == right
