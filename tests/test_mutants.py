"""The checks are checked: every planted bug must be caught, and the shipped code must not.

A survivor means that the check is broken, not the code.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.mutants import ORACLES, Mutant, mutate, one_image_blocks
from tinyalex.devices import get_device
from tinyalex.gradcases import CASES, CLASSES
from tinyalex.gradcheck import TOLERANCE
from tinyalex.optim import SGD

# fmt: off
BY_GRADIENTS = [
    Mutant("gradient zero", "SoftmaxCrossEntropy", "loss",
           "return (probs - one_hot) / len(probs)",
           "return probs - probs"),
    Mutant("gradient of the sum, not of the mean", "SoftmaxCrossEntropy", "loss",
           "return (probs - one_hot) / len(probs)",
           "return probs - one_hot"),
    Mutant("no cross term", "LocalResponseNorm", "layers.lrn",
           "xp.subtract(direct, cross, out=dx)",
           "dx[...] = direct"),
    Mutant("cross term with a_j a_j for a_i a_j", "LocalResponseNorm", "layers.lrn",
           "cross = window_sum(ratio, self.after, self.before, self.groups, scratch(a.shape, a.dtype))",
           "cross = window_sum(ratio * a, self.after, self.before, self.groups, scratch(a.shape, a.dtype)) / a"),
    Mutant("backward's window not mirrored", "LocalResponseNorm", "layers.lrn",
           "cross = window_sum(ratio, self.after, self.before, self.groups, scratch(a.shape, a.dtype))",
           "cross = window_sum(ratio, self.before, self.after, self.groups, scratch(a.shape, a.dtype))"),
    Mutant("backward's window on one side only", "LocalResponseNorm", "layers.lrn",
           "cross = window_sum(ratio, self.after, self.before, self.groups, scratch(a.shape, a.dtype))",
           "cross = window_sum(ratio, self.after, 0, self.groups, scratch(a.shape, a.dtype))"),
    Mutant("backward's window runs over the group's edge", "LocalResponseNorm", "layers.lrn",
           "cross = window_sum(ratio, self.after, self.before, self.groups, scratch(a.shape, a.dtype))",
           "cross = window_sum(ratio, self.after, self.before, 1, scratch(a.shape, a.dtype))"),
    Mutant("alpha in backward not over n", "LocalResponseNorm", "layers.lrn",
           "cross *= 2 * self.alpha_each * self.beta",
           "cross *= 2 * self.alpha * self.beta"),
    Mutant("no cross term", "SpatialResponseNorm", "layers.spatial",
           "dx -= cross",
           "pass"),
    Mutant("std gets no gradient of the mean", "LocalContrastNorm", "layers.contrast",
           "dstd += dd.mean(axis=(1, 2), keepdims=True)",
           "pass"),
    Mutant("nothing through the subtracted mean", "LocalContrastNorm", "layers.contrast",
           "dx -= local_mean(dx, down, along, scratch)[:, None]",
           "pass"),
    Mutant("backward without the mask", "Dropout", "layers.dropout",
           "return self._multiply(dout, mask, self.train_factor)",
           "return self._multiply(dout, None, self.train_factor)"),
    Mutant("backward scaled as at test time", "Dropout", "layers.dropout",
           "return self._multiply(dout, mask, self.train_factor)",
           "return self._multiply(dout, mask, self.test_factor)"),
    Mutant("backward without the padding", "MaxPool2d", "layers.pool",
           "self.keep(out.shape, x.shape, windows, rows, columns)",
           "self.keep(out.shape, x.shape, Windows(windows.size, windows.kernel, windows.stride, (0, 0), windows.out), rows, columns)"),
    Mutant("the cell before the winner", "MaxPool2d", "layers.pool",
           "won *= i",
           "won *= i - 1"),
    Mutant("the row before the winner", "MaxPool2d", "layers.pool",
           "xp.equal(rows, i, out=part)",
           "xp.equal(rows, i + 1, out=part)"),
    Mutant("rows written, not added, where windows overlap", "MaxPool2d", "layers.pool",
           "dx[:, :, at, :w] += part[:, :, to, left : left + w]",
           "dx[:, :, at, :w] = part[:, :, to, left : left + w]"),
    Mutant("rows that no window sees keep what was there", "MaxPool2d", "layers.pool",
           "dx[:, :, row].fill(0)",
           "dx[:, :, row].fill(1)"),
    Mutant("the last of equals wins", "MaxPool2d", "layers.pool",
           "won *= i",
           "won = xp.greater_equal(here, b).view(np.uint8) * i"),
    Mutant("backward's columns and rows exchanged", "AvgPool2d", "layers.pool",
           "d.reshape(ow, b, c, oh)[...] = dout[images].transpose(3, 0, 1, 2)",
           "d.reshape(b, c, oh, ow)[...] = dout[images]"),
    Mutant("weight gradient written, not added", "Conv2d", "layers.conv",
           'self.add_grad("weight", dweight)',
           'self.grads["weight"][...] = dweight.reshape(self.grads["weight"].shape)'),
    Mutant("bias gradient written, not added", "Conv2d", "layers.conv",
           'self.add_grad("bias", dbias)',
           'self.grads["bias"][...] = dbias.reshape(-1)'),
    Mutant("bias gradient misses the places", "Conv2d", "layers.conv",
           "return dweight_t, d.sum(axis=2)",
           "return dweight_t, d[:, :, : len(x)].sum(axis=2)"),
    Mutant("weights not turned", "Conv2d", "layers.conv",
           "turned = weight.reshape(groups, k // groups, c, kh, kw)[..., ::-1, ::-1].swapaxes(1, 2)",
           "turned = weight.reshape(groups, k // groups, c, kh, kw).swapaxes(1, 2)"),
    Mutant("weights turned, channels not exchanged within groups", "Conv2d", "layers.conv",
           "turned = weight.reshape(groups, k // groups, c, kh, kw)[..., ::-1, ::-1].swapaxes(1, 2)",
           "turned = weight.reshape(groups, c, k // groups, kh, kw)[..., ::-1, ::-1]"),
    Mutant("winograd: bias gradient from the point 0", "Conv2d", "layers.winograd",
           "dbias = dm[ONE - part.start, ONE].reshape(-1, k).sum(axis=0)",
           "dbias = dm[ONE - part.start, 0].reshape(-1, k).sum(axis=0)"),
    Mutant("winograd: weight gradient from tiles in reverse", "Conv2d", "layers.winograd",
           "x_columns = _along_width(x, wide_b, wide.inputs(), scratch)",
           "x_columns = _along_width(x, wide_b, wide.inputs()[::-1], scratch)"),
    Mutant("winograd: weight gradient of the other group's inputs", "Conv2d", "layers.winograd",
           "xp.matmul(_by_group(dm, b, groups).swapaxes(3, 4), _by_group(v, b, groups), out=du[part])",
           "xp.matmul(_by_group(dm, b, groups).swapaxes(3, 4), _by_group(v, b, groups)[:, :, ::-1], out=du[part])"),
    Mutant("winograd: gradients of a tile's rows for its columns", "Conv2d", "layers.winograd",
           "xp.matmul(du.reshape(mosaic.places, -1).T, values, out=dweight)",
           "xp.matmul(du.swapaxes(0, 1).reshape(mosaic.places, -1).T, values, out=dweight)"),
    Mutant("winograd: tiles of outputs overlap", "Conv2d", "layers.winograd",
           "return [_piece(tile * self.m, self.m, self.out) for tile in range(self.count)]",
           "return [_piece(max(tile * self.m - 1, 0), self.m, self.out) for tile in range(self.count)]"),
    Mutant("col2im misses a shift", "Conv2d", "layers.windows",
           "rows[:, :, i : i + sh * (oh - 1) + 1 : sh] += col[:, i]",
           "rows[:, :, i : i + sh * (oh - 1) + 1 : sh] += col[:, i] * (i > 0)"),
    Mutant("col2im writes where windows overlap", "Conv2d", "layers.windows",
           "sheet[:, :, j : j + sw * (ow - 1) + 1 : sw] += rows[:, j]",
           "sheet[:, :, j : j + sw * (ow - 1) + 1 : sw] = rows[:, j]"),
    Mutant("weight gradient written, not added", "Linear", "layers.linear",
           "dweight[features] += xp.matmul(dout[:, features].T, x, out=part)",
           "dweight[features] = xp.matmul(dout[:, features].T, x, out=part)"),
    Mutant("bias gradient written, not added", "Linear", "layers.linear",
           "dbias[features] += dout[:, features].sum(axis=0)",
           "dbias[features] = dout[:, features].sum(axis=0)"),
    Mutant("bias gradient misses the images", "Linear", "layers.linear",
           "dbias[features] += dout[:, features].sum(axis=0)",
           "dbias[features] += dout[0, features]"),
    Mutant("bias gradient misses the images", "LocallyConnected2d", "layers.local",
           'self.grads["bias"] += dout.sum(axis=0).transpose(1, 2, 0)',
           'self.grads["bias"] += dout[0].transpose(1, 2, 0)'),
    Mutant("derivative's sign", "Tanh", "layers.activation",
           "dx *= -self.b / self.a",
           "dx *= self.b / self.a"),
    Mutant("derivative without the sign of x", "AbsTanh", "layers.activation",
           "dx *= scratch.xp.sign(inner, out=inner)",
           "pass"),
    Mutant("derivative without 1 - out", "Sigmoid", "layers.activation",
           "scratch.xp.subtract(1, out, out=dx)",
           "dx.fill(1)"),
    Mutant("passes all gradients", "ReLU", "layers.activation",
           "scratch.xp.greater(out, 0, out=dx)",
           "dx.fill(1)"),
    Mutant("weight gradient written, not added", "LocallyConnected2d", "layers.local",
           "dweight[rows] += local_backward_weight(part, dout[:, :, rows], windows, scratch).reshape(dweight[rows].shape)",
           "dweight[rows] = local_backward_weight(part, dout[:, :, rows], windows, scratch).reshape(dweight[rows].shape)"),
    Mutant("weight gradient of the other groups' inputs", "GroupedLinear", "layers.grouped",
           'self.add_grad("weight", xp.matmul(d.swapaxes(1, 2), self._groups_first(x)))',
           'self.add_grad("weight", xp.matmul(d.swapaxes(1, 2), self._groups_first(x)[::-1]))'),
    Mutant("bias gradient misses the images", "GroupedLinear", "layers.grouped",
           'self.add_grad("bias", dout.sum(axis=0))',
           'self.add_grad("bias", dout[0])'),
    Mutant("a tower's own part in place of what the other sends back", "Exchange", "layers.towers",
           "own, other = douts[tower][:, parts[tower]], douts[1 - tower][:, parts[tower]]",
           "own = other = douts[tower][:, parts[tower]]"),
    Mutant("columns for rows", "Flatten", "layers.linear",
           "return dout.reshape(shape)",
           "return dout.reshape(*shape[:2], shape[3], shape[2]).swapaxes(2, 3)"),
]
IN_BLOCKS = [  # right for a batch that is one block
    Mutant("weight gradient of the first images in every block", "Conv2d", "layers.conv",
           "return conv_backward_weight(x[images], dout[images], windows, groups, scratch)",
           "return conv_backward_weight(x[: images.stop - images.start], dout[images], windows, groups, scratch)"),
    Mutant("x of the first images in every block", "LocalResponseNorm", "layers.lrn",
           "self.input_gradient(x[images], scales[images], dout[images], scales[images], scratch)",
           "self.input_gradient(x[: images.stop - images.start], scales[images], dout[images], scales[images], scratch)"),
    Mutant("sum of a share's blocks dropped", "Conv2d", "devices.base",
           "sum_ += term",
           "pass"),
    Mutant("sum of the shares dropped", "Conv2d", "devices.cpu",
           "sum_ += term",
           "pass"),
]
BY_ORACLES = [  # forward and backward agree in these, so no gradient check can see them
    Mutant("window of n - 2", "LocalResponseNorm", "layers.lrn",
           "self.before, self.after = self.n // 2, (self.n - 1) // 2",
           "self.before, self.after = max(0, self.n - 2) // 2, max(0, self.n - 3) // 2"),
    Mutant("even window looks up", "LocalResponseNorm", "layers.lrn",
           "self.before, self.after = self.n // 2, (self.n - 1) // 2",
           "self.before, self.after = (self.n - 1) // 2, self.n // 2"),
    Mutant("alpha over n", "LocalResponseNorm", "layers.lrn",
           "return self.alpha / self.n if self.alpha_over_n else self.alpha",
           "return self.alpha / self.n"),
    Mutant("k of 1", "LocalResponseNorm", "layers.lrn",
           "k: float = 2.0,",
           "k: float = 1.0,"),
    Mutant("alpha over n, not over n^2", "SpatialResponseNorm", "layers.spatial",
           "return self.alpha / self.n**2 if self.alpha_over_area else self.alpha",
           "return self.alpha / self.n if self.alpha_over_area else self.alpha"),
    Mutant("floor for ceil", "MaxPool2d", "layers.windows",
           'count = 1 + (-(-extra // s) if ceil_mode and padding != "same" else extra // s)',
           "count = 1 + extra // s"),
    Mutant("ceil for floor", "Conv2d", "layers.windows",
           'count = 1 + (-(-extra // s) if ceil_mode and padding != "same" else extra // s)',
           "count = 1 + -(-extra // s)"),
    Mutant("the whole window's mean at the edge", "AvgPool2d", "layers.pool",
           "both.append(self.device.asarray((means / means.sum(axis=1, keepdims=True)).astype(self.dtype)))",
           "both.append(self.device.asarray((means / windows.kernel[axis]).astype(self.dtype)))"),
]
BY_BOTH = [
    Mutant("padding with zeros", "MaxPool2d", "layers.pool",
           "edge.fill(-np.inf)",
           "edge.fill(0)"),
    Mutant("forward without its bias", "Conv2d", "layers.conv",
           "images_first(wide.reshape(k, *windows.out, len(x)), 0 if bias is None else bias[:, None, None], out, xp)",
           "images_first(wide.reshape(k, *windows.out, len(x)), 0, out, xp)"),
    Mutant("winograd: forward without its bias", "Conv2d", "layers.winograd",
           "m[ONE - part.start, ONE].reshape(-1, k)[...] += bias",
           "pass"),
    Mutant("winograd: a point's weight polynomial without its denominator", "Conv2d", "layers.winograd",
           "g[i] = point ** np.arange(r) / np.prod(point - others)",
           "g[i] = point ** np.arange(r)"),
    Mutant("a power of 2 for one of e", "Sigmoid", "layers.activation",
           "xp.exp(xp.negative(xp.abs(x, out=e), out=e), out=e)",
           "xp.exp2(xp.negative(xp.abs(x, out=e), out=e), out=e)"),
    Mutant("beta left out of forward", "SpatialResponseNorm", "layers.spatial",
           "return scratch.xp.divide(x, power(scale, beta, scratch), out=out)",
           "return scratch.xp.divide(x, scale, out=out)"),
]
OF_THE_OPTIMIZER = [  # there is no gradient here, only the oracle
    Mutant("velocity scaled with the rate, as in torch", "SGD", "optim",
           "change *= lr",
           "change *= lr; v[piece] *= lr / 0.1  # of the oracle's two steps the first has rate 0.1"),
    Mutant("no weight decay", "SGD", "optim",
           "xp.multiply(w[piece], decay, out=change)",
           "change.fill(0)"),
    Mutant("weight decay not scaled by the rate", "SGD", "optim",
           "change += grad[piece]",
           "change /= lr; change += grad[piece]"),
]
# fmt: on


def gradient_error(layer, classes, device="cpu"):
    """The worst error over the layer's rows of the table, until one fails."""
    error, device = 0.0, get_device(device)
    for case in CASES:
        if case.layer == layer:
            error = max(error, *(check.error for check in case.run(device, classes)))
            if error > TOLERANCE:
                break
    return error


def oracle_error(layer, classes):
    """The largest difference from tests/reference.py, as a part of the largest value; infinite where it is not a number."""
    error = 0.0
    for found, expected in ORACLES[layer](classes):
        off = np.abs(found - expected).max() / np.abs(expected).max() if found.shape == expected.shape else np.inf
        error = max(error, off if np.isfinite(off) else np.inf)  # max(0.0, nan) is 0.0
    return error


@pytest.mark.parametrize("mutant", BY_GRADIENTS + BY_BOTH, ids=str)
def test_gradient_check_catches(mutant, monkeypatch):
    assert gradient_error(mutant.layer, mutate(mutant, monkeypatch)) > TOLERANCE


@pytest.mark.parametrize("mutant", IN_BLOCKS, ids=str)
def test_gradient_check_in_one_image_blocks_catches(mutant, monkeypatch):
    classes = mutate(mutant, monkeypatch)
    assert gradient_error(mutant.layer, classes) <= TOLERANCE  # one block does not show it
    device = one_image_blocks(classes)
    assert gradient_error(mutant.layer, classes, device) > TOLERANCE
    device.close()


@pytest.mark.parametrize("mutant", BY_ORACLES + BY_BOTH + OF_THE_OPTIMIZER, ids=str)
def test_oracle_catches(mutant, monkeypatch):
    assert oracle_error(mutant.layer, mutate(mutant, monkeypatch)) > 1e-6


@pytest.mark.parametrize("mutant", BY_ORACLES, ids=str)
def test_gradient_check_cannot_see_what_is_wrong_in_both_directions(mutant, monkeypatch):
    assert gradient_error(mutant.layer, mutate(mutant, monkeypatch)) <= TOLERANCE


@pytest.mark.parametrize("layer", sorted({mutant.layer for mutant in BY_GRADIENTS + BY_BOTH + BY_ORACLES}))
def test_gradient_check_passes_the_shipped_layer(layer):
    assert gradient_error(layer, CLASSES) <= TOLERANCE


@pytest.mark.parametrize("layer", ORACLES)
def test_oracle_agrees_with_the_shipped_layer(layer):
    assert oracle_error(layer, {**CLASSES, "SGD": SGD}) <= 1e-12


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_forward_that_is_not_finite_is_no_agreement(value):
    class OneOff(CLASSES["ReLU"]):
        def forward(self, x, *, train=False):
            out = super().forward(x, train=train).copy()
            out[1, 2] = value
            return out

    assert oracle_error("ReLU", {"ReLU": OneOff}) == np.inf


def test_remade_but_unchanged_layer_passes(monkeypatch):
    same = Mutant("none", "Conv2d", "layers.windows", "rows.fill(0)", "rows.fill(0)")
    assert gradient_error("Conv2d", mutate(same, monkeypatch)) <= TOLERANCE


def test_mutant_of_a_line_that_is_gone_fails(monkeypatch):
    gone = Mutant("none", "ReLU", "layers.activation", "this line was never there", "pass")
    with pytest.raises(pytest.fail.Exception, match="the line is gone: activation.py holds 0 lines"):
        mutate(gone, monkeypatch)
