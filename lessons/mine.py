"""Your file: thirteen exercises, one after the other. Write a function in place of its `raise`, then try it.

"The paper" is A. Krizhevsky, I. Sutskever and G. E. Hinton, ImageNet Classification with Deep Convolutional Neural Networks, 2012; its
sections are named as in "paper 3.3". The text between the triple quotes of a function is its page: it says what is given and what is
asked. Every function returns new arrays and leaves its arguments as they are, unless its own page says otherwise.
Images are x (N, C, H, W): N images of C channels, H lines and W columns.

    in a terminal                          in a notebook or in Python, after `from tinyalex import tutor`
    tinyalex check --file mine.py          tutor.check("E06", max_pool)        try what you have written
    tinyalex check E06 --hint 1            tutor.hint("E06")                   a hint; there are three, each says more
                                           tutor.replay("E06-overlap")         the call of a message, made again: see below
                                           tutor.solution("E06")               the answer
    tinyalex capstone mine.py                                                  in the end: your functions as one AlexNet

Of each exercise, only the first function that is not right yet is told, and of that function only the first thing to look at. Most
messages come from one call. `again = tutor.replay("E06-overlap")` makes this call again with the function that you checked last, and
keeps it: again.arguments, again.yours and again.right. In a Python in which nothing was checked yet, pass the function as well:
`tutor.replay("E06-overlap", max_pool)`. The message shows what to write.

When E02, E06 and E07 are right, three exercises turned round wait: you write a wrong backward pass that a weak check lets through, then
a check that finds it out. tutor.weak("B1") shows the weak check, tutor.fool("B1", my_wrong) tries your function on it, and
tutor.mend("B1", my_check) tries your check. B1 is about max_pool_backward, B2 about tanh_backward, B3 about lrn_backward.

When E02 to E10 and E12 are right, `tinyalex capstone mine.py` builds a small AlexNet of them, trains it beside the engine's, and says
whether the two stay equal to 1e-10. It writes a page with your code, your curve and your filters.
"""

import numpy as np


# E01  a slope without calculus, lesson 00, about 15 minutes


def numerical_gradient(f, x, h):
    """The gradient of f at x, measured by centered differences: every derivative of the paper can be tested with it.

    dx[i] = (f(x + h e_i) - f(x - h e_i)) / (2 h),   where e_i is 1 at the element i and 0 elsewhere

    Parameters
    ----------
    f: a function that takes an array of the shape of x and returns one number. It leaves its argument as it is.
    x: an array of any shape, of floats or of integers, which may lie in memory in any order.
    h: the step, above 0. Use this h even where it is large: what is asked for is the result of the equation above with this h. Where h is
        large, that is not the exact derivative.

    Returns
    -------
    dx: a new array of floats (float64) of the shape of x, also where x holds integers. You may move the elements of x itself while
        you measure, but in the end x must hold exactly the bits that it held before.
    """
    raise NotImplementedError


# E02  the slopes of ReLU and tanh, lesson 01, about 15 minutes


def relu_backward(dout, x):
    """The gradient of the loss with respect to x, from that with respect to out = max(x, 0) (paper 3.1).

    dx = dout where x > 0, and 0 where x < 0, element by element

    Parameters
    ----------
    dout: floats of any shape: the gradient of the loss with respect to the output.
    x: floats of the same shape: the input of the forward pass, of both signs.

    Returns
    -------
    dx: a new array of floats of that shape. dout and x are left as they are. At x = 0 there is no slope; 0, dout
        and any number between them are accepted there.
    """
    raise NotImplementedError


def tanh_backward(dout, out):
    """The gradient of the loss with respect to x, from that with respect to out = tanh(x) (paper 3.1).

    dx = dout (1 - out^2), element by element: the slope of tanh at x is 1 - tanh(x)^2, and tanh(x) is what the forward pass kept

    Parameters
    ----------
    dout: floats of any shape: the gradient of the loss with respect to the output.
    out: floats of the same shape, from -1 to 1: the OUTPUT of the forward pass, and not its input.

    Returns
    -------
    dx: a new array of floats of that shape. dout and out are left as they are. Where out is 1 or -1 exactly, dx is 0.
    """
    raise NotImplementedError


# E03  backward through a layer and a chain, lesson 02, about 30 minutes


def linear_backward(dout, x, weight):
    """The three gradients of a fully connected layer (paper 3.5: fc6, fc7 and fc8).

    Forward, with each image of x laid flat as a row of C numbers: out[n, k] = sum over c of x[n, c] weight[k, c] + bias[k].
    Backward: dx[n, c] = sum over k of dout[n, k] weight[k, c];   dweight[k, c] = sum over n of dout[n, k] x[n, c];
    dbias[k] = sum over n of dout[n, k].

    Parameters
    ----------
    dout: (N, K), the gradient of the loss with respect to out. It is already divided by N: do not divide again.
    x: (N, C), or maps such as (N, channels, H, W) with C = channels * H * W, laid flat as `x.reshape(N, C)` does it.
    weight: (K, C).

    Returns
    -------
    dx: of the shape of x, maps included. dweight: (K, C). dbias: (K,). Three new arrays, in this order; dout, x and weight are left
        as they are. Each call begins anew: nothing of an earlier call is added.
    """
    raise NotImplementedError


def chain_backward(dout, x, w1, w2, w3):
    """The four gradients of a small chain in which x is used twice.

    Forward, with capital letters for matrices: A = x w1^T,   B = relu(A) = max(A, 0),   out = B w2^T + x w3^T.
    x goes a long way, through w1, relu and w2, and a short way, through w3; out is the sum of both. A and B are not given:
    compute them again. Where a value is used in several places, its gradient is the sum of what comes back from each of them.

    Parameters
    ----------
    dout: (N, K), the gradient of the loss with respect to out. The mean over the N images is already in it.
    x: (N, C). w1: (M, C). w2: (K, M). w3: (K, C). No element of A is 0.

    Returns
    -------
    dx: (N, C). dw1: (M, C). dw2: (K, M). dw3: (K, C). Four new arrays, in this order; the arguments are left as they are. Each call
        begins anew: nothing of an earlier call is added.
    """
    raise NotImplementedError


# E04  convolution, forward, lesson 03, about 30 minutes


def conv_forward(x, weight, bias, stride, padding, groups):
    """Every filter, laid on every window of every image (paper 3.5; groups: 3.2).

    out[n, k, y, z] = bias[k] + sum over c, i, j of weight[k, c, i, j] sheet[n, first + c, stride y + i, stride z + j]

    `first` is the number of the first channel that filter k sees: 0 where there is one group.
    The sheet is x with `padding` lines of zeros above and below and as many columns of zeros on the left and on the right. The kernel
    is not turned round. With one group, c runs over all channels. With G groups, the K filters and the C channels are cut into G equal
    parts, in order: a filter of part g sees only the channels of part g, so that first = g C / G for g = 0 ... G - 1.

    Parameters
    ----------
    x: (N, C, H, W), the images.
    weight: (K, C / G, KH, KW), the filters; KH and KW may differ.
    bias: (K,), one number for each filter.
    stride: how far the next window is, in lines and in columns, an integer of at least 1.
    padding: lines and columns of zeros on each side, an integer of at least 0.
    groups: G, an integer of at least 1 that divides C and K.

    Returns
    -------
    out: (N, K, OH, OW), a new array, OH = (H + 2 padding - KH) // stride + 1 and OW likewise from W and KW: only windows that lie
        wholly on the sheet. x, weight and bias are left as they are.
    """
    raise NotImplementedError


# E05  convolution, backward, lesson 03, about 35 minutes


def conv_backward(dout, x, weight, stride, padding):
    """The gradients of the loss with respect to x, weight and bias, from that with respect to the output of `conv_forward`.

    With out[n, k, y, z] = bias[k] + sum over c, i, j of weight[k, c, i, j] sheet[n, c, stride y + i, stride z + j] (paper 3.5; one
    group) each gradient sums dout[n, k, y, z] over all the places where its number is used, times what it is multiplied with there.
    The sheet is x with `padding` lines and columns of zeros on each side; the gradients of these zeros are dropped. Nothing is divided
    by the number of images: the loss has done so. Your function must also work with padding 0 and with a stride above 1, and where the
    last lines or columns of the sheet lie in no window: there dx is 0.

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
    raise NotImplementedError


def conv_backward_groups(dout, x, weight, stride, padding, groups):
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
    raise NotImplementedError


# E06  overlapping max pooling, lesson 04, about 25 minutes


def max_pool(x, kernel, stride):
    """The largest pixel of each window (paper 3.4, "overlapping" pooling).

    out[n, c, y, z] = max over i, j of x[n, c, stride y + i, stride z + j],   i, j = 0 ... kernel - 1

    Parameters
    ----------
    x: (N, C, H, W), floats of both signs.
    kernel, stride: integers of at least 1; windows overlap where the stride is smaller than the kernel.

    Returns
    -------
    out: (N, C, OH, OW), a new array, OH = (H - kernel) // stride + 1: only windows that lie wholly on the image. x is left as it is.
    """
    raise NotImplementedError


def max_pool_backward(dout, x, kernel, stride):
    """The gradient of the loss with respect to x, from that with respect to the output of `max_pool`.

    Which pixel won each window is not given: look again. Where several pixels of a window are equal, as whole windows of zeros are
    after ReLU, one of them gets the gradient of the window, or all share it; the sum of dx is the sum of dout.

    Parameters
    ----------
    dout: (N, C, OH, OW), the gradient of the loss with respect to the output.
    x: (N, C, H, W), the input of the forward pass.
    kernel, stride: as in `max_pool`.

    Returns
    -------
    dx: (N, C, H, W), a new array. dout and x are left as they are.
    """
    raise NotImplementedError


# E07  local response normalization, lesson 05, about 35 minutes


def lrn(a, n, k, alpha, beta):
    """Each activity divided by a power of the summed squares of its neighbors, the channels around it (paper 3.3).

    s[i] = k + alpha * sum of a[j]^2 over j = max(0, i - n // 2) ... min(C - 1, i + (n - 1) // 2),      b[i] = a[i] / s[i]^beta

    i and j number the channels; image, line and column are the same in all terms. For n = 5 these are the channel, two below and two
    above; for an even n there is one more below than above. At the first and the last channels fewer terms exist: those that do are
    summed, and n may be larger than C. Some libraries divide alpha by n. The paper does not, and neither should you.

    Parameters
    ----------
    a: (N, C, H, W), floats of both signs.
    n: channels in a window, an integer of at least 1.
    k: above 0; alpha: at least 0; beta: a number. The paper takes n = 5, k = 2, alpha = 1e-4, beta = 0.75.

    Returns
    -------
    b: (N, C, H, W), a new array. a is left as it is.
    """
    raise NotImplementedError


def lrn_backward(dout, a, n, k, alpha, beta):
    """The gradient of the loss with respect to a, from that with respect to the output of `lrn` (paper 3.3).

    a[i] enters the output b[i] twice, above and below the line of the fraction, and it enters the output b[j] of every other channel j
    whose window holds i. dx[i] is the sum over all these outputs of dout[j] times the derivative of b[j] with respect to a[i].

    Parameters
    ----------
    dout: (N, C, H, W), the gradient of the loss with respect to the output b.
    a: (N, C, H, W), the input of the forward pass.
    n, k, alpha, beta: as in `lrn`; for an even n take care: the channels in the window of i,
        and the channels whose windows hold i, are two different sets.

    Returns
    -------
    dx: (N, C, H, W), a new array. dout and a are left as they are.
    """
    raise NotImplementedError


# E08  softmax and cross-entropy, lesson 06, about 20 minutes


def softmax_cross_entropy(logits, labels):
    """The loss of a batch, and its gradient with respect to the logits (paper 3.5: a softmax over the classes).

    p[n, c] = exp(logits[n, c]) / sum over k of exp(logits[n, k]),     loss = -(1 / N) sum over n of ln p[n, labels[n]]

    ln is the natural logarithm. Logits may be as large as 1000 or -1000, and the logits of two images may lie far from each other,
    those of one near 0 and of the other near -1000; both outputs are finite numbers there too. Subtracting one number from all
    logits of an image leaves its p as it is.

    Parameters
    ----------
    logits: (N, C), floats, the outputs of the last layer for N images and C classes.
    labels: (N,), integers from 0 to C - 1, the right class of each image.

    Returns
    -------
    loss: one number, the mean over the N images.
    dlogits: (N, C), a new array, the derivative of that mean with respect to each logit. logits and labels are left as they are.
    """
    raise NotImplementedError


# E09  a step of gradient descent, lesson 07, about 15 minutes


def sgd_step(weight, grad, velocity, lr, momentum, weight_decay):
    """One step of gradient descent with momentum and weight decay (paper, section 5).

    v <- momentum v - weight_decay lr w - lr g;   w <- w + v,   element by element

    On the right of the first arrow stand the old velocity and the old weight, on the right of the second the new velocity. In the
    paper momentum is 0.9, weight_decay 0.0005 and lr 0.01 at first.

    Parameters
    ----------
    weight: w, floats of any shape with at least one axis. It is left as it is.
    grad: g, of the same shape: the derivative of the mean loss of the batch with respect to the weight. It is left as it is.
    velocity: v, of the same shape. It is CHANGED IN PLACE: after the call the array that was given holds the new velocity.
    lr: the learning rate, above 0. momentum: from 0 to below 1. weight_decay: at least 0. Three floats.

    Returns
    -------
    weight: the new weight alone, in a new array, which is not the memory of an argument.
    """
    raise NotImplementedError


# E10  dropout, lesson 08, about 20 minutes


def dropout(x, p, rng, train):
    """Silence every number with probability p while training, so that no unit can rely on particular others (paper 4.2).

    train=True: out = m x / (1 - p), m = 0 with probability p and 1 otherwise, drawn anew for each number.     train=False: out = x

    This form is called inverted. The paper's own does not divide while training, and multiplies by 1 - p at test time; in both the
    average of out over many draws is what the function gives at test time. Write the inverted one, in which test time needs no p.

    Parameters
    ----------
    x: floats of any shape whose first axis is N: (N, C), (N, C, H, W).
    p: the probability of each number to be DROPPED, 0 <= p < 1.
    rng: a numpy.random.Generator. Take all random numbers from it, in whatever way you like: rng.random, rng.uniform, rng.binomial.
    train: True while training, False at test time.

    Returns
    -------
    out: of the shape of x, a new array, with train=False too. x is left as it is.
    mask: of the shape of x, a new array: 1 or True where a number was kept, 0 or False where it was dropped. It is m itself, not
        divided by 1 - p. With train=False it is 1 or True everywhere, as nothing is dropped. Numbers and booleans are both accepted.
    """
    raise NotImplementedError


def dropout_backward(dout, mask, p):
    """The gradient of the loss with respect to x, from that with respect to the output of `dropout` with train=True (paper 4.2).

    The numbers that were silent in the forward pass must be the same here: the mask says which, and nothing is drawn again.

    Parameters
    ----------
    dout: (N, C) or (N, C, H, W), the gradient of the loss with respect to out.
    mask: of the same shape, True where the forward pass kept a number, False where it dropped one. Here it is always a boolean array,
        whichever of the two kinds your `dropout` returns.
    p: as in `dropout`, the probability of each number to be dropped, 0 <= p < 1.

    Returns
    -------
    dx: of the same shape, a new array. dout and mask are left as they are.
    """
    raise NotImplementedError


# E11  AlexNet on paper: shapes, parameters, multiply-adds, lesson 09, about 25 minutes


def plan(layers, in_shape):
    """The shape that each layer of a network gives, its parameters and its multiplications, before it is built (paper 3.5, Figure 2).

    windows along a side of `size` pixels = ceil((size + 2 padding - kernel) / stride) + 1

    The equation holds for conv and for pool; a pool has padding 0. It rounds up, as the program of 2012 did: a last window may hang over
    the edge, and so the paper's 224 pixels give 55. E04 and E06 take only windows that lie wholly on the sheet, and round down.

    Parameters
    ----------
    layers: dicts, in order, each with exactly the entries shown here:
        {"type": "conv", "filters": K, "kernel": k, "stride": s, "padding": p, "groups": G}: the kernel is k x k. The channels are
            split into G groups, and so are the filters; a filter reads the C / G channels of its own group. One bias a filter.
        {"type": "pool", "kernel": k, "stride": s}: each channel alone.
        {"type": "linear", "units": K}: every unit reads all C H W numbers. One bias a unit.
        {"type": "relu"}, {"type": "lrn"}, {"type": "dropout"}: they change no shape.
    in_shape: (C, H, W) of one image.

    Returns
    -------
    shapes: for each layer the (C, H, W) of what it gives for one image; (K, 1, 1) for a linear layer with K units.
    parameters: for each layer the number of its weights and biases; 0 where it has none.
    macs: for each layer how often a weight is multiplied with a number, for one image. Windows at an edge count in full, a bias is
        an addition and does not count. 0 where a layer has no weights.

    All three are lists (or arrays) with one entry a layer; all numbers are whole: integers, or floats such as 96.0. `layers` is
    left as it is. In AlexNet the parameters sum to 60,965,224 and the macs to 724,406,816.
    """
    raise NotImplementedError


# E12  two towers, and what they exchange, lesson 10, about 25 minutes


def exchange(a, b):
    """What each of two towers reads after they have exchanged their channels (paper 3.2, in front of conv3, fc6 and fc7).

    ya[n] = yb[n] = the channels of a[n], then the channels of b[n]

    Tower a lies on one device and tower b on another. The next layer of each reads the channels of both, in the same order on both
    devices: a's first. In this exercise both devices are the memory of one computer. ya and yb must be two arrays all the same, which
    share no memory, as the arrays of two devices do not.

    Parameters
    ----------
    a: (N, CA, H, W), what tower a has; or (N, CA) behind a fully connected layer.
    b: (N, CB, H, W) or (N, CB), what tower b has. CA and CB may differ.

    Returns
    -------
    ya: (N, CA + CB, H, W) or (N, CA + CB), what tower a reads, a new array.
    yb: the same numbers in another new array, what tower b reads. a and b are left as they are.
    """
    raise NotImplementedError


def exchange_backward(dya, dyb, channels):
    """The gradients with respect to a and b, from those with respect to the two outputs of `exchange` (paper 3.2).

    The loss depends on ya, and on yb; both were made of a and b.

    Parameters
    ----------
    dya: (N, CA + CB, H, W) or (N, CA + CB), the gradient of the loss with respect to ya; tower a has it.
    dyb: of the same shape, the gradient of the loss with respect to yb; tower b has it.
    channels: CA, how many channels tower a has.

    Returns
    -------
    da: (N, CA, H, W) or (N, CA), a new array.
    db: (N, CB, H, W) or (N, CB), a new array. dya and dyb are left as they are.
    """
    raise NotImplementedError


def exchange_bytes(a_shape, b_shape, itemsize, backward):
    """How many bytes cross between the devices in one call of `exchange`, or of `exchange_backward` (paper 3.2).

    Only what a device does not have yet is sent to it, once, and all of it arrives uncompressed. In backward the gradient of a tower's
    channels is the sum of two terms, one from each device (see `exchange_backward`). The term that lies on the other device is sent
    over, and nothing else.

    Parameters
    ----------
    a_shape, b_shape: the shapes of a and b, such as (N, CA, H, W).
    itemsize: bytes of one number: 4 for float32.
    backward: False for the bytes of `exchange`, True for those of `exchange_backward`.

    Returns
    -------
    to_a: an integer, the bytes that arrive at the device of tower a.
    to_b: an integer, the bytes that arrive at the device of tower b.
    """
    raise NotImplementedError


# E13  batch normalization, backward, lesson 15, about 30 minutes


def batch_norm_backward(dout, x, mean, s, weight):
    """The gradients of batch normalization while training, with respect to its input, its scale and its shift.

    The forward pass made, for each channel c of its own, over the m = N H W values of this channel in the batch:

    mean[c] = the mean of the m values of x
    var[c] = the mean of the m values of (x - mean[c])^2,   s[c] = (var[c] + eps)^(-1/2)
    y[n, c, h, w] = (x[n, c, h, w] - mean[c]) s[c],   out[n, c, h, w] = weight[c] y[n, c, h, w] + bias[c]

    eps is a number above 0, which is not given here: s holds it already. mean and s were computed from x, so they change with x.

    Parameters
    ----------
    dout: (N, C, H, W), the gradient of the loss with respect to out.
    x: (N, C, H, W), the input of the forward pass.
    mean, s: (C,), as the forward pass has computed them.
    weight: (C,), the scale.

    Returns
    -------
    dx: (N, C, H, W), a new array.
    dweight: (C,), dbias: (C,), two new arrays. dout, x, mean, s and weight are left as they are.
    """
    raise NotImplementedError
