"""A network that does not exist, named on the command line, and a depth that does not exist, given in Python."""

import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex.cli import main
from tinyalex.models import build
from tinyalex.models.later import build_later, near_later
from tinyalex.models.later.cifar_resnet import cifar_resnet
from tinyalex.models.later.densenet import densenet
from tinyalex.models.later.resnet import preactivation, resnet
from tinyalex.models.later.vgg import vgg
from tinyalex.models.registry import MODELS

RESNETS = "resnet has the depths 18, 34, 50, 101 and 152, and for CIFAR-10 20, 32, 44, 56 and 110"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("resnet51", RESNETS),
        ("resnet21", RESNETS),
        ("ResNet-21", RESNETS),
        ("resnet5", RESNETS),
        ("resnet51-v1", "resnet...-v1 has the depths 50, 101 and 152"),
        ("resnet18-v1", "resnet...-v1 has the depths 50, 101 and 152"),
        ("resnet21-b", "resnet...-b has the depths for CIFAR-10 20, 32, 44, 56 and 110"),
        ("preresnet20", "preresnet has the depths 18, 34, 50, 101 and 152"),
        ("plain22", "plain has the depths for CIFAR-10 20, 32, 44, 56 and 110"),
        ("vgg17", "vgg has the depths 11, 13, 16 and 19"),
        ("vgg17-bn", "vgg...-bn has the depths 11, 13, 16 and 19"),
        ("densenet120", "densenet has the depths 121 and 169"),
        ("wide-resnet51-2", "wide-resnet...-2 has the depth 50"),
        ("wide-resnet50-3", "did you mean wide-resnet50-2?"),
        ("se-resnet101", "se-resnet has the depth 50"),
        ("resnet-50", "did you mean resnet50?"),
        ("inception-v5", "did you mean inception-v4?"),
        ("squeezenet1.2", "did you mean squeezenet1.1?"),
        ("alexnet2", "did you mean alexnet?"),
        ("xyz", None),
        ("vgg" + "1" * 5000, None),  # more digits than Python turns into an integer
        (7, None),
    ],
)
def test_unknown_depth_is_told_the_known_ones(name, remedy):
    found = near_later(name, MODELS)
    assert found == remedy or (remedy or "").startswith("did you mean inception") and found.startswith("did you mean inception-v")
    for use in (build, build_later):
        with refuses(ta.ShapeError, "net: NAME must be one of"):
            use(name)


def test_command_says_it_in_one_sentence(capsys):
    assert main(["net", "resnet51"]) == 2
    assert capsys.readouterr().err.endswith(f"that `tinyalex net --list` prints, got 'resnet51'; {RESNETS}\n")
    assert main(["compare", "densenet120"]) == 2
    said = "got 'densenet120'; densenet has the depths 121 and 169, `tinyalex net --list` prints all names\n"
    assert capsys.readouterr().err.endswith(said)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: resnet(51), "resnet: depth must be 18, 34, 50, 101 or 152, got 51"),
        (lambda: resnet(34, option="C"), "resnet: option must be A or B, got 'C'"),
        (lambda: preactivation(20), "preresnet: depth must be 18, 34, 50, 101 or 152, got 20"),
        (lambda: vgg(17), "vgg: depth must be 11, 13, 16 or 19, got 17"),
        (lambda: densenet(120), "densenet: depth must be 121 or 169, got 120"),
        (lambda: cifar_resnet(21), "resnet: depth must be 6 n + 2 for CIFAR-10, that is two layers in each of n blocks of three stages"),
        (lambda: cifar_resnet(2), "resnet: depth must be an integer of at least 8, got 2"),
        (lambda: cifar_resnet(20, option=None), "resnet: option must be A or B, got None"),
    ],
)
def test_depth_or_option_that_a_family_does_not_have_is_refused(make, text):
    with refuses(ta.ShapeError, text):
        make()
