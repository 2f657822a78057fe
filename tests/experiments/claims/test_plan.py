"""The variants are what they say, and the runs come in the order of their value."""

import numpy as np
import pytest

from tests.contract import refuses
from tinyalex.devices import CpuDevice
from tinyalex.errors import ShapeError
from tinyalex.experiments.claims.alexnet import CLAIMS, FAMILIES, VARIANTS
from tinyalex.experiments.claims.nets import BASE
from tinyalex.experiments.claims.plan import chosen_claims, queue_of
from tinyalex.experiments.claims.values import KINDS
from tinyalex.layers import AvgPool2d, Conv2d, Dropout, LocallyConnected2d, LocalResponseNorm, MaxPool2d


@pytest.fixture(scope="module")
def nets():
    device = CpuDevice(workers=1)
    return {name: variant.build(0, 10, device) for name, variant in VARIANTS.items()}


def leaves(net, kind):
    return [leaf for leaf in net.leaves() if isinstance(leaf, kind)]


def described(net):
    return {leaf.name: (type(leaf).__name__, leaf.settings()) for leaf in net.leaves()}


def size(net):
    return sum(array.size for array in net.params.values())


SIZES = {
    "base": 206_986, "separate-pools": 206_986, "mean-pools": 206_986, "no-dropout": 206_986, "no-color": 206_986, "no-crops": 206_986,
    "half-maps": 180_058, "no-conv4": 188_490, "no-decay": 206_986, "pair-norm": 1_116_490, "pair-plain": 1_116_490,
    "split": 363_018, "whole": 499_210,
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters(nets, name):
    assert size(nets[name]) == SIZES[name]


@pytest.mark.parametrize("name", ["no-color", "no-crops", "no-decay"])
def test_variants_of_the_training_have_the_base_net(nets, name):
    assert described(nets[name]) == described(nets["base"])
    assert all(np.array_equal(array, nets["base"].params[key]) for key, array in nets[name].params.items())


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("separate-pools", {"pool1", "pool2", "pool5"}),
        ("mean-pools", {"pool1", "pool2", "pool5"}),
        ("no-dropout", {"drop6"}),
        ("no-conv4", {"conv4", "relu4"}),
        ("half-maps", {"conv1", "norm1", "conv2", "norm2", "conv3", "conv4", "conv5"}),
    ],
)
def test_each_variant_differs_from_the_base_in_one_thing(nets, name, changed):
    base, mine = described(nets["base"]), described(nets[name])
    assert {key for key in base.keys() | mine.keys() if base.get(key) != mine.get(key)} == changed


def test_variants_are_what_they_say(nets):
    assert [pool.kernel_size for pool in leaves(nets["base"], MaxPool2d)] == [(3, 3)] * 3
    assert [pool.kernel_size for pool in leaves(nets["separate-pools"], MaxPool2d)] == [(2, 2)] * 3
    assert [pool.stride for pool in leaves(nets["separate-pools"], MaxPool2d)] == [(2, 2)] * 3
    assert nets["separate-pools"].shapes == nets["base"].shapes == nets["mean-pools"].shapes
    assert len(leaves(nets["mean-pools"], AvgPool2d)) == 3 and not leaves(nets["mean-pools"], MaxPool2d)
    assert len(leaves(nets["base"], Dropout)) == 1 and not leaves(nets["no-dropout"], Dropout)
    assert [leaf.groups for leaf in leaves(nets["base"], Conv2d)] == [1, 2, 1, 2, 2]
    half = leaves(nets["half-maps"], Conv2d)
    assert [leaf.out_channels for leaf in half] == [8, 16, 32, 32, 32] and {leaf.groups for leaf in half} == {1}
    for kind in (Conv2d, LocalResponseNorm):
        assert {leaf.groups for leaf in leaves(nets["whole"], kind)} == {1}
    assert [leaf.groups for leaf in leaves(nets["split"], Conv2d)] == [1, 2, 1, 2, 2]
    settings = {name: (variant.crops, variant.color, variant.weight_decay) for name, variant in VARIANTS.items()}
    usual = (True, True, 5e-4)
    different = {"no-color": (True, False, 5e-4), "no-crops": (False, True, 5e-4), "no-decay": (True, True, 0.0)}
    assert {name: settings[name] for name in settings if VARIANTS[name].family == "claims" and settings[name] != usual} == different


def test_hidden_layer_holds_most_of_the_parameters():
    fc6 = next(row for row in BASE if row.name == "fc6")
    assert (288 + 1) * fc6.width / SIZES["base"] > 0.7


def test_pair_differs_in_normalization_alone_and_starts_with_the_same_weights(nets):
    norm, plain = nets["pair-norm"], nets["pair-plain"]
    found = leaves(norm, LocalResponseNorm)
    assert [(leaf.n, leaf.k, leaf.alpha, leaf.beta, leaf.alpha_over_n) for leaf in found] == [(5, 1.0, 0.001, 0.75, True)] * 2
    assert [leaf.name for leaf in norm.leaves()][:4] == ["conv1", "relu1", "norm1", "pool1"]
    assert [leaf.name for leaf in norm.leaves() if leaf not in found] == [leaf.name for leaf in plain.leaves()]
    assert [leaf.out_channels for leaf in leaves(plain, LocallyConnected2d)] == [32, 32]
    assert all(np.array_equal(array, plain.params[key]) for key, array in norm.params.items())
    assert plain.shapes[-3:] == [(32, 6, 6), (1152,), (10,)] or list(plain.shapes)[-2:] == [(1152,), (10,)]
    assert not plain.params["fc10.bias"].any() and plain.params["conv1.weight"].std() == pytest.approx(1e-4, rel=0.05)


def test_split_and_control_start_with_the_same_filters(nets):
    assert np.array_equal(nets["split"].params["conv1.weight"], nets["whole"].params["conv1.weight"])


def test_stages_of_the_pair_have_the_authors_proportions():
    from dataclasses import replace

    whole = replace(FAMILIES["pair"], epochs=160).stages(50_000)
    assert [(stage.images, stage.epochs, stage.after) for stage in whole] == [(40_000, 100, ()), (50_000, 60, (40, 50))]
    assert sum(stage.epochs for stage in FAMILIES["pair"].stages(50_000)) == FAMILIES["pair"].epochs
    least = replace(FAMILIES["pair"], epochs=4).stages(10)
    assert [(stage.images, stage.epochs, stage.after) for stage in least] == [(8, 1, ()), (10, 3, (1, 2))]


@pytest.mark.parametrize("epochs", [1, 2, 3, 20])
def test_rate_ends_low_with_any_number_of_epochs(epochs):
    from dataclasses import replace

    (stage,) = replace(FAMILIES["claims"], epochs=epochs).stages(100)
    assert stage.epochs == epochs and 1 <= stage.after[0] <= stage.after[-1] <= epochs
    assert epochs != 20 or stage.after == (14, 18)


def test_every_claim_names_two_variants_of_one_family_and_a_kind():
    for claim in CLAIMS.values():
        assert VARIANTS[claim.better].family == VARIANTS[claim.worse].family and claim.kind in KINDS
    assert {name for claim in CLAIMS.values() for name in (claim.better, claim.worse)} == set(VARIANTS)


def test_queue_has_all_claims_with_seed_0_first_then_the_pair_then_the_towers():
    queue = [(variant.name, seed) for variant, seed in queue_of(tuple(CLAIMS.values()), 3)]
    claims = [name for name, variant in VARIANTS.items() if variant.family == "claims"]
    assert queue[: 3 * len(claims)] == [(name, seed) for seed in range(3) for name in claims]
    pair, towers = ["pair-norm", "pair-plain"], ["split", "whole"]
    rest = [(name, seed) for seed in (0, 1) for name in pair] + [(name, seed) for seed in range(3) for name in towers]
    assert queue[3 * len(claims) :] == rest + [(name, 2) for name in pair]
    assert len(set(queue)) == len(queue)


def test_queue_of_some_claims_has_their_runs_only():
    assert [(variant.name, seed) for variant, seed in queue_of(chosen_claims(["views"]), 2)] == [("base", 0), ("base", 1)]
    names = [variant.name for variant, _ in queue_of(chosen_claims(["dropout", "iterations"]), 1)]
    assert names == ["base", "no-dropout"]


def test_unknown_claim_is_refused_with_the_name_that_was_meant():
    with refuses(ShapeError, "claims: NAME must be one of pooling,"):
        chosen_claims(["dropuot"])
    with pytest.raises(ShapeError, match="did you mean dropout"):
        chosen_claims(["dropuot"])
