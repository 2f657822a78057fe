"""E05: convolution, backward (paper 3.5), and with groups (paper 3.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Exercise, Function, Mistake, Probe
from tinyalex.tutor.exercises.e04 import COUNTED, correlate, padded, sizes, whole

Gradients = tuple[Array, Array, Array]


def conv_backward(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """The gradients of the loss with respect to x, weight and bias, from that with respect to the output of `conv_forward`.

    With out[n, k, y, z] = bias[k] + sum over c, i, j of weight[k, c, i, j] sheet[n, c, stride y + i, stride z + j] (paper 3.5; one
    group) each gradient sums dout[n, k, y, z] over all the places where its number is used, times what it is multiplied with there.
    The sheet is x with `padding` lines and columns of zeros on each side; the gradients of these zeros are dropped. Nothing is divided
    by the number of images: the loss has done so. It must also work with padding 0, with a stride above 1, and where the last lines
    or columns are reached by no window; their gradient is 0.

    Parameters
    ----------
    dout: (N, K, OH, OW), the gradient of the loss with respect to the output, OH = (H + 2 padding - KH) // stride + 1, OW likewise
        from W and KW.
    x: (N, C, H, W), the input of the forward pass, without padding.
    weight: (K, C, KH, KW), the filters; KH and KW may differ.
    stride, padding: integers, as in `conv_forward`, at least 1 and at least 0.

    Returns
    -------
    dx: (N, C, H, W), dweight: (K, C, KH, KW) and dbias: (K,), new arrays, in this order. dout, x and weight are left as they are.
    """
    dweight = np.zeros_like(weight)
    for y, z, window in _windows(dout, padded(x, padding), weight, stride):
        dweight += np.einsum("nk,ncij->kcij", dout[:, :, y, z], window)
    return _cut(_sheet(dout, x, weight, stride, padding), x, padding), dweight, dout.sum((0, 2, 3))


def conv_backward_groups(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int) -> Gradients:
    """The same with groups, as in AlexNet's conv2, conv4 and conv5 (paper 3.2). You may call your `conv_backward`.

    The K filters and the C channels are cut into G equal parts, in order; a filter of part g sees only the channels of part g, and
    so dx of these channels comes from the filters of part g alone. With one group it is `conv_backward`.

    Parameters
    ----------
    dout: (N, K, OH, OW), the gradient of the loss with respect to the output.
    x: (N, C, H, W), the input of the forward pass, without padding.
    weight: (K, C / G, KH, KW), the filters.
    stride, padding: integers, as in `conv_forward`, at least 1 and at least 0.
    groups: G, an integer of at least 1 that divides C and K.

    Returns
    -------
    dx: (N, C, H, W), dweight: (K, C / G, KH, KW) and dbias: (K,), new arrays, in this order. dout, x and weight are left as they are.
    """
    parts = _parts(dout, x, weight, stride, padding, groups)
    return np.concatenate([dx for dx, _, _ in parts], 1), np.concatenate([dw for _, dw, _ in parts]), dout.sum((0, 2, 3))


def _windows(dout: Array, sheet: Array, weight: Array, stride: int) -> Iterator[tuple[int, int, Array]]:
    """Every window of the sheet, as a view (N, C, KH, KW), with its line and column in dout."""
    kh, kw = weight.shape[2:]
    for y, z in np.ndindex(dout.shape[2:]):
        yield y, z, sheet[:, :, y * stride : y * stride + kh, z * stride : z * stride + kw]


def _sheet(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """The gradient with respect to the sheet: x with its padding."""
    dsheet = np.zeros_like(padded(x, padding))
    for y, z, window in _windows(dout, dsheet, weight, stride):
        window += np.einsum("nk,kcij->ncij", dout[:, :, y, z], weight)
    return dsheet


def _cut(dsheet: Array, x: Array, padding: int) -> Array:
    return dsheet[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]].copy()


def _parts(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int) -> list[Gradients]:
    """What `conv_backward` gives for each group."""
    cut = zip(np.split(dout, groups, 1), np.split(x, groups, 1), np.split(weight, groups), strict=True)
    return [conv_backward(d, seen, filters, stride, padding) for d, seen, filters in cut]


def with_dx(dx: Array, dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """This dx, and the right dweight and dbias."""
    return dx, *conv_backward(dout, x, weight, stride, padding)[1:]


def with_dweight(dweight: Array, dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """This dweight, and the right dx and dbias."""
    return conv_backward(dout, x, weight, stride, padding)[0], dweight, dout.sum((0, 2, 3))


def with_dbias(dbias: Array, dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """This dbias, and the right dx and dweight."""
    return *conv_backward(dout, x, weight, stride, padding)[:2], dbias


def cut_from_the_end(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    dsheet = _sheet(dout, x, weight, stride, padding)
    return with_dx(dsheet[:, :, padding:-padding, padding:-padding], dout, x, weight, stride, padding)


def cut_from_the_end_into_dx(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    dx, dsheet = np.zeros_like(x), _sheet(dout, x, weight, stride, padding)
    dx[...] = dsheet[:, :, padding:-padding, padding:-padding]  # raises ValueError with padding 0
    return with_dx(dx, dout, x, weight, stride, padding)


def cut_by_one(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dx(_sheet(dout, x, weight, stride, padding)[:, :, 1:-1, 1:-1], dout, x, weight, stride, padding)


def cut_by_one_into_dx(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    dx = np.zeros_like(x)
    dx[...] = _sheet(dout, x, weight, stride, padding)[:, :, 1:-1, 1:-1]  # raises ValueError but with padding 1
    return with_dx(dx, dout, x, weight, stride, padding)


def border_left_on(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dx(_sheet(dout, x, weight, stride, padding), dout, x, weight, stride, padding)


def corner_of_the_sheet(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dx(_cut(_sheet(dout, x, weight, stride, padding), x, 0), dout, x, weight, stride, padding)


def cut_by_the_height(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    end = padding + x.shape[2]
    return with_dx(_sheet(dout, x, weight, stride, padding)[:, :, padding:end, padding:end], dout, x, weight, stride, padding)


def rest_missing(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """A sheet as large as the windows reach, its border cut on both sides."""
    (oh, ow), (kh, kw) = dout.shape[2:], weight.shape[2:]
    dsheet = _sheet(dout, x, weight, stride, padding)[:, :, : (oh - 1) * stride + kh, : (ow - 1) * stride + kw]
    end = dsheet.shape[2] - padding, dsheet.shape[3] - padding
    return with_dx(dsheet[:, :, padding : end[0], padding : end[1]], dout, x, weight, stride, padding)


def rest_cut_off(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """A sheet as large as the windows reach, its border cut at the beginning and as far as x goes."""
    (oh, ow), (kh, kw) = dout.shape[2:], weight.shape[2:]
    dsheet = _sheet(dout, x, weight, stride, padding)[:, :, : (oh - 1) * stride + kh, : (ow - 1) * stride + kw]
    return with_dx(_cut(dsheet, x, padding), dout, x, weight, stride, padding)


def windows_overwrite(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    dsheet = np.zeros_like(padded(x, padding))
    for y, z, window in _windows(dout, dsheet, weight, stride):
        window[...] = np.einsum("nk,kcij->ncij", dout[:, :, y, z], weight)
    return with_dx(_cut(dsheet, x, padding), dout, x, weight, stride, padding)


def windows_of_the_last_filter(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """`=` in a loop over filters and windows."""
    dx = windows_overwrite(dout[:, -1:], x, weight[-1:], stride, padding)[0]
    return with_dx(dx, dout, x, weight, stride, padding)


def cells_overwrite(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """`=` in col2im: a loop over the cells of a window, for all windows at once."""
    dsheet, (oh, ow) = np.zeros_like(padded(x, padding)), dout.shape[2:]
    for i, j in np.ndindex(weight.shape[2:]):
        at = np.s_[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride]
        part = np.einsum("nkyz,kc->ncyz", dout, weight[:, :, i, j])
        dsheet[at] = part[:, :, : dsheet[at].shape[2], : dsheet[at].shape[3]]
    return with_dx(_cut(dsheet, x, padding), dout, x, weight, stride, padding)


def dx_of_the_last_filter(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dx(conv_backward(dout[:, -1:], x, weight[-1:], stride, padding)[0], dout, x, weight, stride, padding)


def dx_of_the_last_window(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    last = np.zeros_like(dout)
    last[:, :, -1, -1] = dout[:, :, -1, -1]
    return with_dx(conv_backward(last, x, weight, stride, padding)[0], dout, x, weight, stride, padding)


def dx_with_steps_of_one(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    dsheet = np.zeros_like(padded(x, padding))
    for y, z, window in _windows(dout, dsheet, weight, 1):
        window += np.einsum("nk,kcij->ncij", dout[:, :, y, z], weight)
    return with_dx(_cut(dsheet, x, padding), dout, x, weight, stride, padding)


def dout_not_spread_apart(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """The full correlation of dout with the kernels turned round, without zeros between the elements of dout."""
    (n, _, oh, ow), (_, c, kh, kw) = dout.shape, weight.shape
    small = np.zeros((n, c, oh + kh - 1 - 2 * padding, ow + kw - 1 - 2 * padding))
    return with_dx(conv_backward(dout, small, weight, 1, padding)[0], dout, x, weight, stride, padding)


def dx_with_the_kernel_turned(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dx(conv_backward(dout, x, weight[:, :, ::-1, ::-1], stride, padding)[0], dout, x, weight, stride, padding)


def dx_of_the_first_channel(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    first = np.repeat(weight[:, :1], weight.shape[1], 1)
    return with_dx(conv_backward(dout, x, first, stride, padding)[0], dout, x, weight, stride, padding)


def as_many_columns_as_lines(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """Loops over OH lines and OH columns: IndexError where OH is larger than OW."""
    part = dout.copy()
    part[:, :, :, dout.shape[2] :] = 0
    dout[:, :, :, dout.shape[2] - 1]  # raises
    return conv_backward(part, x, weight, stride, padding)


def as_many_lines_as_columns(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """Loops over OW lines and OW columns: IndexError where OW is larger than OH."""
    part = dout.copy()
    part[:, :, dout.shape[3] :] = 0
    dout[:, :, dout.shape[3] - 1]  # raises
    return conv_backward(part, x, weight, stride, padding)


def windows_kh_by_kh(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """A square window and a kernel that is not square."""
    kh = weight.shape[2]
    np.zeros((kh, kh)) * weight[0, 0]  # raises ValueError where the kernel is not square
    return conv_backward(dout, x, weight, stride, padding)


def dweight_of_the_last_window(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """`=` in a loop over windows."""
    last = np.zeros_like(dout)
    last[:, :, -1, -1] = dout[:, :, -1, -1]
    return with_dweight(conv_backward(last, x, weight, stride, padding)[1], dout, x, weight, stride, padding)


def dweight_of_the_last_window_and_image(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """`=` in a loop over images and windows."""
    last = np.zeros_like(dout)
    last[-1, :, -1, -1] = dout[-1, :, -1, -1]
    return with_dweight(conv_backward(last, x, weight, stride, padding)[1], dout, x, weight, stride, padding)


def dweight_of_the_last_image(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dweight(conv_backward(dout[-1:], x[-1:], weight, stride, padding)[1], dout, x, weight, stride, padding)


def dweight_with_steps_of_one(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    dweight = np.zeros_like(weight)
    for y, z, window in _windows(dout, padded(x, padding), weight, 1):
        dweight += np.einsum("nk,ncij->kcij", dout[:, :, y, z], window)
    return with_dweight(dweight, dout, x, weight, stride, padding)


def dweight_turned(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    dweight = conv_backward(dout, x, weight, stride, padding)[1]
    return with_dweight(dweight[:, :, ::-1, ::-1], dout, x, weight, stride, padding)


def dweight_channels_first(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dweight(conv_backward(dout, x, weight, stride, padding)[1].swapaxes(0, 1), dout, x, weight, stride, padding)


def dweight_lines_and_columns_exchanged(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dweight(conv_backward(dout, x, weight, stride, padding)[1].swapaxes(2, 3), dout, x, weight, stride, padding)


def dweight_reshaped(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """(C KH KW, K), the product of columns and dout, given the shape of the filters."""
    dweight = conv_backward(dout, x, weight, stride, padding)[1]
    return with_dweight(dweight.reshape(len(weight), -1).T.reshape(weight.shape), dout, x, weight, stride, padding)


def dweight_of_the_first_channel(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    first = np.repeat(x[:, :1], x.shape[1], 1)
    return with_dweight(conv_backward(dout, first, weight, stride, padding)[1], dout, x, weight, stride, padding)


def without_padding(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """Windows of x and not of the sheet, for dx too."""
    dx, dweight, dbias = dweight_without_padding(dout, x, weight, stride, padding)
    dx = np.zeros_like(x)
    for y, z, window in _windows(dout, dx, weight, stride):
        window += np.einsum("nk,kcij->ncij", dout[:, :, y, z], weight)
    return dx, dweight, dbias


def dweight_without_padding(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """Windows of x and not of the sheet: they are cut at the edge, which raises ValueError."""
    dweight = np.zeros_like(weight)
    for y, z, window in _windows(dout, x, weight, stride):
        dweight += np.einsum("nk,ncij->kcij", dout[:, :, y, z], window)
    return with_dweight(dweight, dout, x, weight, stride, padding)


def dweight_mean_over_windows(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    dweight = conv_backward(dout, x, weight, stride, padding)[1]
    return with_dweight(dweight / dout[0, 0].size, dout, x, weight, stride, padding)


def dweight_with_the_rest(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """The sheet correlated with dout spread apart: one line too many for each line that no window reaches."""
    (n, k, oh, ow), sheet = dout.shape, padded(x, padding)
    apart = np.zeros((n, k, (oh - 1) * stride + 1, (ow - 1) * stride + 1))
    apart[:, :, ::stride, ::stride] = dout
    dweight = _of_two(sheet, apart, 1)
    return with_dweight(dweight, dout, x, weight, stride, padding)


def dweight_by_steps_of_the_stride(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """The sheet correlated with dout in steps of the stride, as the forward pass does."""
    return with_dweight(_of_two(padded(x, padding), dout, stride), dout, x, weight, stride, padding)


def _of_two(sheet: Array, dout: Array, stride: int) -> Array:
    """Images correlated with gradients, (K, C, ...)."""
    images, filters = sheet.swapaxes(0, 1), dout.swapaxes(0, 1)
    return correlate(images, filters, np.zeros(len(filters)), (stride, stride), sizes(images, filters, stride, 0)).swapaxes(0, 1)


def dbias_of_the_last_image(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dbias(dout[-1].sum((1, 2)), dout, x, weight, stride, padding)


def dbias_of_the_last_window(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dbias(dout[-1, :, -1, -1].copy(), dout, x, weight, stride, padding)


def dbias_one_number(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dbias(np.full(len(weight), dout.sum()), dout, x, weight, stride, padding)


def dbias_over_all_axes(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dbias(dout.sum(), dout, x, weight, stride, padding)


def dbias_mean(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dbias(dout.mean((0, 2, 3)), dout, x, weight, stride, padding)


def dbias_mean_over_windows(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dbias(dout.sum(0).mean((1, 2)), dout, x, weight, stride, padding)


def dbias_for_each_image(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dbias(dout.sum((2, 3)), dout, x, weight, stride, padding)


def dbias_for_each_window(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dbias(dout.sum(0), dout, x, weight, stride, padding)


def dbias_over_the_filters(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return with_dbias(dout.sum((1, 2, 3)), dout, x, weight, stride, padding)


def first_image_alone(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    first = np.zeros_like(dout)
    first[0] = dout[0]
    return conv_backward(first, x, weight, stride, padding)


def dout_reshaped_filters_first(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """dout.reshape(K, -1) in place of the filters moved to the front."""
    n, k, oh, ow = dout.shape
    return conv_backward(dout.reshape(k, n, oh, ow).swapaxes(0, 1), x, weight, stride, padding)


def dout_reshaped_filters_last(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """dout.reshape(-1, K) in place of the filters moved to the end."""
    n, k, oh, ow = dout.shape
    return conv_backward(dout.reshape(n, oh, ow, k).transpose(0, 3, 1, 2), x, weight, stride, padding)


def nothing_written(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    return np.zeros_like(x), np.zeros_like(weight), np.zeros(len(weight))


def first_group_alone(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int) -> Gradients:
    return _one_group(dout, x, weight, stride, padding, groups, 0)


def last_group_alone(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int) -> Gradients:
    return _one_group(dout, x, weight, stride, padding, groups, groups - 1)


def _one_group(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int, kept: int) -> Gradients:
    """The gradients of one group, zeros for the others."""
    only = np.zeros_like(dout)
    part = slice(kept * len(weight) // groups, (kept + 1) * len(weight) // groups)
    only[:, part] = dout[:, part]
    return conv_backward_groups(only, x, weight, stride, padding, groups)


def channels_of_the_first_group(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int) -> Gradients:
    """Every group reads and writes the first C / G channels."""
    first = x[:, : weight.shape[1]]
    dx, (_, dweight, dbias) = np.zeros_like(x), conv_backward(dout, first, weight, stride, padding)
    dx[:, : weight.shape[1]] = conv_backward(dout, first, weight, stride, padding)[0]
    return dx, dweight, dbias


def dx_of_the_groups_added(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int) -> Gradients:
    """dx of the shape (N, C / G, H, W)."""
    dx, dweight, dbias = conv_backward_groups(dout, x, weight, stride, padding, groups)
    return np.stack(np.split(dx, groups, 1)).sum(0), dweight, dbias


def groups_not_used(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int) -> Gradients:
    return conv_backward(dout, x, weight + 0 * x[:1, :, :1, :1], stride, padding)  # raises ValueError where there are several groups


def filters_dealt_out(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int) -> Gradients:
    """Filter k belongs to group k % G."""
    order = np.argsort(np.arange(len(weight)) % groups, kind="stable")
    back = np.argsort(order)
    dx, dweight, dbias = conv_backward_groups(dout[:, order], x, weight[order], stride, padding, groups)
    return dx, dweight[back], dbias[back]


def channels_dealt_out(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int) -> Gradients:
    """Group g reads the channels g, g + G, g + 2 G ..."""
    order = np.argsort(np.arange(x.shape[1]) % groups, kind="stable")
    dx, dweight, dbias = conv_backward_groups(dout, x[:, order], weight, stride, padding, groups)
    return dx[:, np.argsort(order)], dweight, dbias


def dweight_side_by_side(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int) -> Gradients:
    dx, dweight, dbias = conv_backward_groups(dout, x, weight, stride, padding, groups)
    return dx, np.concatenate(np.split(dweight, groups), 1), dbias


def over_the_groups(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int) -> Gradients:
    dx, dweight, dbias = conv_backward_groups(dout, x, weight, stride, padding, groups)
    return dx / groups, dweight / groups, dbias / groups


def groups_cut_from_the_end(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int) -> Gradients:
    dx, dweight, dbias = conv_backward_groups(dout, x, weight, stride, padding, groups)
    return (dx if padding else dx[:, :, :0, :0]), dweight, dbias


def probes(rng: np.random.Generator) -> list[Probe]:
    """Calls of `conv_backward`, in whole numbers, so that one gradient can be computed by hand."""
    return [
        _probe(rng, "usual", "a square kernel, stride 1 and padding 1", (4, 2, 5, 7), (6, 2, 3, 3), 1, 1),
        _probe(rng, "conv1", "padding 0 and stride 2, as in AlexNet's conv1", (2, 5, 11, 9), (6, 5, 3, 3), 2, 0),
        _probe(rng, "oblong", "a kernel of 2 lines and 3 columns and stride 2", (2, 4, 7, 9), (6, 4, 2, 3), 2, 1),
        _probe(rng, "tall", "a kernel of 4 lines and 3 columns, stride 3 and padding 2", (2, 5, 12, 6), (7, 5, 4, 3), 3, 2),
        _probe(rng, "rest", "a last line and column that no window reaches", (2, 6, 8, 11), (4, 6, 3, 2), 2, 0),
        _probe(rng, "one image", "one image, padding 0 and stride 1", (1, 2, 6, 5), (4, 2, 2, 3), 1, 0),
    ]


def group_probes(rng: np.random.Generator) -> list[Probe]:
    """Calls of `conv_backward_groups`."""
    return [
        _probe(rng, "one group", "one group", (2, 4, 7, 9), (6, 4, 2, 3), 2, 1, 1),
        _probe(rng, "two groups", "2 groups", (3, 8, 7, 9), (6, 4, 3, 2), 2, 1, 2),
        _probe(rng, "padding 0", "3 groups and padding 0", (2, 12, 8, 6), (6, 4, 3, 2), 2, 0, 3),
    ]


def _probe(
    rng: np.random.Generator, key: str, says: str, x: tuple[int, ...], weight: tuple[int, ...], stride: int, padding: int, groups: int = 0
) -> Probe:
    images, filters = whole(rng, x), whole(rng, weight)
    dout = whole(rng, (x[0], weight[0], *sizes(images, filters, stride, padding)))
    given = {"dout": dout, "x": images, "weight": filters, "stride": stride, "padding": padding}
    return Probe(key, says, given | ({"groups": groups} if groups else {}))


E05 = Exercise("E05", "convolution, backward", "03", 35, (
    Function("conv_backward", conv_backward, ("dx", "dweight", "dbias"), probes, (
        Mistake("cut from the end", cut_from_the_end, COUNTED, (42, 88)),
        Mistake("cut from the end into dx", cut_from_the_end_into_dx, COUNTED, (42, 88)),
        Mistake("cut by one", cut_by_one, COUNTED, (4, 88)),
        Mistake("cut by one into dx", cut_by_one_into_dx, COUNTED, (4, 88)),
        Mistake("nothing written", nothing_written, COUNTED),
        Mistake("windows overwrite", windows_overwrite, "oreilly-japan/deep-learning-from-scratch#27"),
        Mistake("windows of the last filter", windows_of_the_last_filter, "oreilly-japan/deep-learning-from-scratch#27"),
        Mistake("cells overwrite", cells_overwrite, "oreilly-japan/deep-learning-from-scratch#27"),
        Mistake("dx of the last filter", dx_of_the_last_filter, "inferred"),
        Mistake("dx of the last window", dx_of_the_last_window, "inferred"),
        Mistake("rest missing", rest_missing, "microsoft/onnxscript#1707"),
        Mistake("rest cut off", rest_cut_off, "microsoft/onnxscript#1707"),
        Mistake("without padding/both", without_padding, "inferred"),
        Mistake("without padding/dweight", dweight_without_padding, "inferred"),
        Mistake("first image alone", first_image_alone, "a convolutional net from scratch, issue 1"),
        Mistake("dout reshaped/filters first", dout_reshaped_filters_first, "inferred"),
        Mistake("dout reshaped/filters last", dout_reshaped_filters_last, "inferred"),
        Mistake("border left on", border_left_on, "inferred"),
        Mistake("corner of the sheet", corner_of_the_sheet, "inferred"),
        Mistake("cut by the height", cut_by_the_height, "inferred"),
        Mistake("dx with steps of one", dx_with_steps_of_one, "inferred"),
        Mistake("dout not spread apart", dout_not_spread_apart, "inferred"),
        Mistake("dx with the kernel turned", dx_with_the_kernel_turned, "inferred",
                given=lambda weight, **_: {"weight": weight[:, :, ::-1, ::-1]}),
        Mistake("dx of the first channel", dx_of_the_first_channel, "NervanaSystems/neon#111",
                given=lambda weight, **_: {"weight": np.repeat(weight[:, :1], weight.shape[1], 1)}),
        Mistake("as many columns as lines", as_many_columns_as_lines, "inferred"),
        Mistake("as many lines as columns", as_many_lines_as_columns, "inferred"),
        Mistake("windows KH by KH", windows_kh_by_kh, "inferred"),
        Mistake("dweight of the last window", dweight_of_the_last_window, "inferred"),
        Mistake("dweight of the last window and image", dweight_of_the_last_window_and_image, "inferred"),
        Mistake("dweight of the last image", dweight_of_the_last_image, "inferred",
                given=lambda dout, x, **_: {"dout": dout[-1:], "x": x[-1:]}),
        Mistake("dweight with steps of one", dweight_with_steps_of_one, "inferred"),
        Mistake("dweight turned", dweight_turned, "a course's own code, end-to-end-machine-learning.teachable.com"),
        Mistake("dweight channels first", dweight_channels_first, "nntrainer/nntrainer#705"),
        Mistake("dweight lines and columns exchanged", dweight_lines_and_columns_exchanged, "nntrainer/nntrainer#705"),
        Mistake("dweight reshaped", dweight_reshaped, "nntrainer/nntrainer#705"),
        Mistake("dweight of the first channel", dweight_of_the_first_channel, "NervanaSystems/neon#111",
                given=lambda x, **_: {"x": np.repeat(x[:, :1], x.shape[1], 1)}),
        Mistake("dweight mean over windows", dweight_mean_over_windows, "LBANN/lbann#1022"),
        Mistake("dweight with the rest", dweight_with_the_rest, "microsoft/onnxscript#1707"),
        Mistake("dweight by steps of the stride", dweight_by_steps_of_the_stride, "inferred"),
        Mistake("dbias of the last image", dbias_of_the_last_image, "inferred"),
        Mistake("dbias of the last window", dbias_of_the_last_window, "inferred"),
        Mistake("dbias one number", dbias_one_number, "rasbt/stat453-deep-learning-ss21#5"),
        Mistake("dbias over all axes", dbias_over_all_axes, "rasbt/stat453-deep-learning-ss21#5"),
        Mistake("dbias mean", dbias_mean, "kvfrans/notes#5"),
        Mistake("dbias mean over windows", dbias_mean_over_windows, "kvfrans/notes#5"),
        Mistake("dbias for each image", dbias_for_each_image, "inferred"),
        Mistake("dbias for each window", dbias_for_each_window, "inferred"),
        Mistake("dbias over the filters", dbias_over_the_filters, "inferred"),
    ), linear=("dout",)),
    Function("conv_backward_groups", conv_backward_groups, ("dx", "dweight", "dbias"), group_probes, (
        Mistake("first group alone", first_group_alone, "inferred"),
        Mistake("last group alone", last_group_alone, "inferred"),
        Mistake("channels of the first group", channels_of_the_first_group, "inferred"),
        Mistake("dx of the groups added", dx_of_the_groups_added, "inferred"),
        Mistake("groups not used", groups_not_used, "apache/mxnet#3348"),
        Mistake("filters dealt out", filters_dealt_out, "inferred"),
        Mistake("channels dealt out", channels_dealt_out, "inferred"),
        Mistake("dweight side by side", dweight_side_by_side, "inferred"),
        Mistake("over the groups", over_the_groups, "inferred"),
        Mistake("groups cut from the end", groups_cut_from_the_end, "inferred"),
    ), linear=("dout",)),
))  # fmt: skip
