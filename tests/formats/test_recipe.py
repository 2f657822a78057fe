"""What the files of a net say about its training."""

import pytest

from tests.contract import refuses
from tests.formats.caffe.samples import NEW, written
from tests.formats.cfg.cfg_files import cifar_params, three_stages
from tinyalex.errors import CheckpointError, DataError
from tinyalex.formats.recipe import MEAN_IMAGE, read_training

SOLVER = "net: 'net.prototxt' base_lr: 0.1 momentum: 0.9 weight_decay: 0.01 max_iter: 100 lr_policy: 'fixed' "


def training(path, images=1280, batch_size=10, side=None):
    return read_training(path, images, (3, 16, 16), batch_size, side)


def test_a_prototxt_is_read_as_it_is_trained(tmp_path):
    found = training(written(tmp_path, NEW))
    assert found.net.in_shape == (3, 11, 11) and found.fields["net.prototxt"] == {"batch_size": 64, "augment": True}
    assert found.fields["usual"] == {}, "its data layer says what is subtracted"
    assert found.multipliers == {"conv1.bias": (2, 0)} and found.solver is None


def test_batches_of_a_step_are_added_up(tmp_path):
    written(tmp_path, NEW)
    found = training(written(tmp_path, SOLVER + "iter_size: 2 clip_gradients: 5", "solver.prototxt"))
    assert found.fields["net.prototxt"]["batch_size"] == 64 and found.fields["solver.prototxt"]["batch_size"] == 128
    assert found.fields["solver.prototxt"]["epochs"] == 10 and found.steps == 10
    assert "gradients are not clipped, where Caffe limits their length to 5" in found.notes


def test_a_mean_image_in_a_file_is_not_read(tmp_path):
    notes = training(written(tmp_path, NEW.replace("mean_value: 104 }", "mean_file: 'm.binaryproto' }"))).notes
    assert "m.binaryproto is not read; the mean image of the training images is subtracted in its place" in notes
    assert "m is not read" in training(written(tmp_path, NEW.replace("mean_value: 104 }", "mean_file: 'm' scale: 0.1 }"))).notes


def test_crops_that_are_not_mirrored_are_said(tmp_path):
    notes = training(written(tmp_path, NEW.replace("mirror: true", ""))).notes
    assert any(note.startswith("half of the crops are mirrored, which net.prototxt does not ask for") for note in notes)
    whole = training(written(tmp_path, NEW.replace("mirror: true", "").replace("crop_size: 11", "")))
    assert whole.fields["net.prototxt"]["augment"] is False and whole.net.in_shape == (3, 16, 16)
    assert training(tmp_path / "net.prototxt", side=14).net.in_shape == (3, 14, 14)


def test_files_of_cuda_convnet(tmp_path):
    (tmp_path / "layers.cfg").write_text(three_stages())
    rates = cifar_params(("conv1", "conv2", "conv3", "fc10"), (0, 0, 0, 0))
    (tmp_path / "params.cfg").write_text(rates)
    (tmp_path / "falls.cfg").write_text(rates.replace("epsW=0.001", "epsW=dexp[base=0.02;tgtFactor=250;numSteps=4]"))
    both = training(f"{tmp_path}/layers.cfg,{tmp_path}/params.cfg")
    assert list(both.fields) == ["params.cfg", "usual"] and both.fields["usual"] == MEAN_IMAGE
    falls = training(f"{tmp_path}/layers.cfg,{tmp_path}/falls.cfg", side=24)
    assert falls.fields["falls.cfg"]["schedule"] == "dexp" and falls.net.in_shape == (3, 24, 24)
    assert "the rates fall in four steps to a 250th, whatever their dexp says" in falls.notes


def test_what_cannot_be_trained_by(tmp_path):
    for names, got in ((("a.cfg", "a.cfg", "a.cfg"), "cfg and cfg and cfg"), (("n.prototxt", "w.caffemodel"), "prototxt and caffemodel")):
        for name in names:
            (tmp_path / name).write_bytes({"a": b"[x]\n", "n": NEW.encode(), "w": b"\0\0\0\0"}[name[0]])
        with refuses(CheckpointError, f"got {got}; a file of weights is given with --from"):
            training(",".join(str(tmp_path / name) for name in names))
    written(tmp_path, NEW)
    with pytest.raises(DataError, match="must be SGD"):
        training(written(tmp_path, SOLVER + "type: 'Adam'", "solver.prototxt"))
