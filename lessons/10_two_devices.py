# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 10  Two devices
#
# Paper section 3.2, about 80 minutes, needs lessons 02, 03, 06, 07 and 09, holds exercise E12.
#
# Afterwards you can cut a net in two, so that each half runs on a device of its own, and you can say what crosses between the devices
# on the way forward, what comes back, and why the cut net is still the same net.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import adds, fast, say, show

# %% [markdown]
# ## 1. The paper's sentence
#
# > "The parallelization scheme that we employ essentially puts half of the kernels (or neurons) on each GPU, with one additional trick: the
# > GPUs communicate only in certain layers."
#
# (Section 3.2.) A GPU is the processor of a graphics card. A "parallelization scheme" is a plan: it says how several GPUs share the work
# and do their parts at the same time. The paper's cards had 3 GB of memory each, and the paper says that the net was too big for one of
# them. So each layer but the last is cut in two. Half of its filters lie on card a, the other half on card b. The half of the net on one
# card is called a **tower**.
#
# conv1 to conv5 are the convolutions of AlexNet, and fc6 to fc8 its fully connected layers (lesson 09). "Certain layers" are these: conv3,
# fc6, fc7 and fc8 read the channels of *both* towers. conv2, conv4 and conv5 read only the channels that lie on their own card. Directly
# in front of a layer that reads both, the cards must send each other what they have. Such a place is a **link**. ("In front of" means: on
# the side of the image. "Behind" means: on the side of the loss.)
#
# On two cards, conv2, conv4 and conv5 compute what a layer with two groups (lesson 03) computes on one card. So the cut net computes the
# same as the net of lesson 09, which has groups and runs on one card. What is new here is the link. What goes over it, and what must come
# back? (We say "card". The engine says "device", because the two halves of its net may also run on two parts of one processor.)

# %% [markdown]
# ## 2. Predict
#
# Run the cells, and replace each guess by your own before you read on. What the cards send are float32 numbers, which have 4 bytes each.
# The image has 1 byte for each color of a pixel. The norm of a gradient is the root of the sum of all squares (lesson 04).

# %% tags=["predict"]
predict("10-a", 10)

# %% tags=["predict"]
predict("10-b", 2)

# %% tags=["predict"]
predict("10-c", 10)

# %% [markdown]
# ## 3. The equation
#
# Let $x_a$ be the channels that card a has made, (N, CA, H, W), and $x_b$ those of card b, (N, CB, H, W). Behind a fully
# connected layer they have only two axes, (N, CA) and (N, CB). The link gives each card the channels of both, those of a first:
#
# $$y_a = y_b = [x_a, x_b] \qquad\qquad (N, \text{CA} + \text{CB}, H, W)$$
#
# The brackets mean: one after the other, along the axis of the channels. $y_a$ and $y_b$ hold the same numbers, but they are two arrays in
# two memories: the next layer of card a reads $y_a$, that of card b reads $y_b$. Card b had to send $x_b$ to card a, and card a had to send
# $x_a$ to card b. The function is called **exchange**.
#
# Going back, card a has $\text{dy}_a$ and card b has $\text{dy}_b$, the gradients of the loss with respect to $y_a$ and $y_b$. Each has the
# shape of y. We want $\text{dx}_a$ on card a and $\text{dx}_b$ on card b.

# %% [markdown]
# ## 4. The derivation
#
# ### 4.1 A layer without a link
#
# In conv2, conv4 and conv5 a filter on card a reads only channels of card a. Lesson 03 wrote this as a matrix with two blocks
# (part 4.7). Its two groups, 0 and 1, are now the two towers, a and b. As there, col holds the windows as columns, Q is the number of
# windows, and R is the number of rows of col:
#
# $$\begin{bmatrix} \text{out}_a \\ \text{out}_b \end{bmatrix} =
# \begin{bmatrix} \text{weight}_a & 0 \\ 0 & \text{weight}_b \end{bmatrix}
# \begin{bmatrix} \text{col}_a \\ \text{col}_b \end{bmatrix}
# \qquad\qquad (K, Q) = (K, R)\,(R, Q)$$
#
# The zeros are the reason why nothing crosses. $\text{out}_a$ needs no number of card b. On the way back, the transpose of this matrix
# multiplies $\text{dout}_a$ and $\text{dout}_b$. It has its zeros at the same places, so $\text{dx}_a$ needs no number of card b either.
#
# ### 4.2 The link
#
# Each number of $x_a$ now exists twice: in $y_a$ and in $y_b$. conv3 on card a reads the first copy, conv3 on card b reads the second. So a
# small change of $x_a$ changes the loss in two ways. The chain rule with several variables adds over all uses, as in lessons 02 to 05.
# Each use is a copy, so its slope is 1. "a's channels" are the first CA channels of y, which came from card a, and "b's channels" are the
# other CB channels:
#
# $$\begin{array}{rll}
# \text{dx}_a &= \text{dy}_a[\text{a's channels}] + \text{dy}_b[\text{a's channels}] & \quad (N, \text{CA}, H, W) \\
# \text{dx}_b &= \text{dy}_a[\text{b's channels}] + \text{dy}_b[\text{b's channels}] & \quad (N, \text{CB}, H, W)
# \end{array}$$
#
# These are the lines of the docstring of `Exchange` in `tinyalex/towers/crossing.py`. Where do the terms lie? In the first line, the first
# term is on card a already. The second term is on card b, and it must be sent to card a. In the second line it is the other way
# round. **What was sent forward comes back as a gradient, and it is added.** It is the picture of lessons 02 to 05 for the last time.

# %%
fig = adds("x_a", [("read by conv3 on card a", "dy_a[a]"), ("sent, then read by conv3 on card b", "dy_b[a]")], size=(6.5, 2.5))
show(fig, alt="The channels x_a, at the left, are copied by blue arrows to two uses. One copy is read by conv3 on card a and sends back "
     "dy_a[a]. The other is sent to card b, read by conv3 there, and sends back dy_b[a]. An orange plus sign adds the two: "
     "dx_a = dy_a[a] + dy_b[a].")  # fmt: skip

# %% [markdown]
# (In the picture [a] is short for [a's channels].)
#
# The same with matrices. Let x be both halves, $x_a$ above and $x_b$ below. Then $y_a$ is x, and $y_b$ is x again. I is the matrix that
# changes nothing, with ones on its diagonal. Backward is the transpose, as in lesson 03:
#
# $$\begin{bmatrix} y_a \\ y_b \end{bmatrix} = \begin{bmatrix} I \\ I \end{bmatrix} x
# \qquad\qquad \text{dx} = \begin{bmatrix} I & I \end{bmatrix} \begin{bmatrix} \text{dy}_a \\ \text{dy}_b \end{bmatrix}
# = \text{dy}_a + \text{dy}_b$$
#
# In x, $x_a$ stands above, so $\text{dx}_a$ is the upper part of this sum, and card a needs it. Card b needs the lower part, $\text{dx}_b$.
# These are the two equations above.
#
# ### 4.3 The two ends
#
# **Split.** At the beginning both cards get the whole image: $y_a = y_b = x$. So $\text{dx} = \text{dy}_a + \text{dy}_b$, if anybody wants
# the gradient of the image.
#
# **Gather.** fc8 is the one layer that is not cut: it lies on card a, whole. So it needs y = [$x_a$, $x_b$] on card a only. There is one
# copy of each number, so nothing adds: $\text{dx}_a$ and $\text{dx}_b$ are the two parts of dy, and $\text{dx}_b$ is sent back to card b.
#
# ### 4.4 Bytes
#
# A card is sent only what it does not have yet. In the function exchange, what arrives forward at card a is $x_b$, and what arrives at
# card b is $x_a$. Backward, what arrives at card a is the part of $\text{dy}_b$ that belongs to a's channels, and it has as many numbers as
# $x_a$. Let B be the bytes of one number, 4 for float32:
#
# $$\begin{array}{rll}
# \text{to a, forward} &= N\,\text{CB}\,H\,W\,B & \quad \text{card a gets } x_b \\
# \text{to b, forward} &= N\,\text{CA}\,H\,W\,B & \quad \text{card b gets } x_a \\
# \text{to a, backward} &= N\,\text{CA}\,H\,W\,B & \quad \text{card a gets its part of } \text{dy}_b \\
# \text{to b, backward} &= N\,\text{CB}\,H\,W\,B & \quad \text{card b gets its part of } \text{dy}_a
# \end{array}$$
#
# **No weight ever crosses**, and no gradient of a weight. Each weight lies on one card. All numbers that its gradient needs are there: what
# the layer read, and the gradient of what it gave. So each card also makes its step of gradient descent (lesson 07) alone.

# %% [markdown]
# ## 5. Twenty lines of your own
#
# Write three functions. In their names a stands for our $x_a$, da for $\text{dx}_a$, ya for $y_a$, and so on.
#
# - `exchange(a, b)` returns ya and yb, two new arrays.
# - `exchange_backward(dya, dyb, channels)` returns da and db, two new arrays. `channels` is CA.
# - `exchange_bytes(a_shape, b_shape, itemsize, backward)` returns two integers: the bytes that arrive at card a, and those that arrive at
#   card b. `itemsize` is our B. `backward` is False for the way forward and True for the way back.
#
# This is exercise **E12**, about 25 minutes. Then, in a cell of your own, write `from tinyalex import tutor` and ask
# `tutor.check("E12", exchange, exchange_backward, exchange_bytes)`. Do this before you open the next cell.


# %% tags=["solution", "exercise:E12"]
def exchange(a, b):
    return np.concatenate([a, b], axis=1), np.concatenate([a, b], axis=1)  # two arrays, in two memories


def exchange_backward(dya, dyb, channels):
    da = dya[:, :channels] + dyb[:, :channels]  # the second term comes from card b
    db = dya[:, channels:] + dyb[:, channels:]  # the first term comes from card a
    return da, db


def exchange_bytes(a_shape, b_shape, itemsize, backward):
    a, b = math.prod(a_shape) * itemsize, math.prod(b_shape) * itemsize
    return (a, b) if backward else (b, a)


# %% [markdown]
# ## 6. Prove it
#
# First the link alone, with towers that have different numbers of channels. The loss multiplies both results by random numbers, dy_a and
# dy_b, and adds everything. So dy_a and dy_b are its gradients with respect to y_a and y_b (lesson 01, part 6). `numerical_gradient` moves
# the elements of x_a itself, and `loss_of_link` reads x_a, so it ignores its argument. The loss is linear in x_a, so the large step 0.25 is
# exact (lesson 00).


# %% tags=["seeded"]
def numerical_gradient(f, x, h):
    dx = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        old = x[at]
        x[at] = old + h
        above = f(x)
        x[at] = old - h
        dx[at] = (above - f(x)) / (2 * h)
        x[at] = old
    return dx


rng = np.random.default_rng(10)
x_a, x_b = rng.standard_normal((2, 3, 4, 6)), rng.standard_normal((2, 5, 4, 6))  # CA = 3, CB = 5
dy_a, dy_b = rng.standard_normal((2, 2, 8, 4, 6))


def loss_of_link(_):
    y_a, y_b = exchange(x_a, x_b)
    return (dy_a * y_a).sum() + (dy_b * y_b).sum()


dx_a, dx_b = exchange_backward(dy_a, dy_b, 3)
assert np.abs(dx_a - numerical_gradient(loss_of_link, x_a, 0.25)).max() < 1e-10
assert np.abs(dx_b - numerical_gradient(loss_of_link, x_b, 0.25)).max() < 1e-10
print("the link: dx_a and dx_b agree with the measured slopes")

# %% [markdown]
# Then a whole small net on two cards. conv1 reads the image on both cards. conv2 reads the half of its own card. Then comes the link, conv3
# reads both halves, and a fully connected layer, fc, lies whole on card a. It gives five numbers, one for each class. Behind each
# convolution there is a ReLU; z1, z2 and z3 are what conv1, conv2 and conv3 give before the ReLU. The weights of card a and those of card b
# are two dicts. A card reads an array of the other card in front of conv3 and in front of fc, and nowhere else.
#
# The convolution is that of lesson 03, here without padding, with stride 1 and without biases. `sliding_window_view` is NumPy's im2col,
# with its axes in another order, and it copies nothing. `np.einsum` writes a sum in letters: "nchwij,kcij->nkhw" multiplies two arrays and
# sums over the letters that are missing on the right of the arrow, here c, i and j. (h and w are the y and z of lesson 03.) In the code t
# is the number of the tower: 0 for card a and 1 for card b.


# %%
def conv(x, weight):
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))  # (N, C, OH, OW, KH, KW)
    return np.einsum("nchwij,kcij->nkhw", windows, weight, optimize=True)


def conv_backward(dout, x, weight):
    (kh, kw), (oh, ow), dx = weight.shape[2:], dout.shape[2:], np.zeros_like(x)
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(2, 3))
    for i, j in np.ndindex(kh, kw):
        dx[:, :, i : i + oh, j : j + ow] += np.einsum("nkhw,kc->nchw", dout, weight[:, :, i, j], optimize=True)
    return dx, np.einsum("nkhw,nchwij->kcij", dout, windows, optimize=True)


def relu(x):
    return np.maximum(x, 0)


def new_cards(seed):
    """The weights of card a and of card b."""
    rng = np.random.default_rng(seed)
    shapes = {"conv1": (4, 3, 3, 2), "conv2": (6, 4, 2, 3), "conv3": (5, 12, 3, 4)}  # conv3 reads the 6 + 6 channels of both cards
    cards = [{name: rng.standard_normal(s) * (2 / math.prod(s[1:])) ** 0.5 for name, s in shapes.items()} for _ in range(2)]
    cards[0]["fc"] = rng.standard_normal((5, 240)) * (1 / 240) ** 0.5  # 5 + 5 channels of 4 x 6 pixels
    return cards


def two_forward(x, cards):
    """The five numbers of each image, and what the backward pass needs."""
    kept = []
    for card in cards:  # real cards do this at the same time
        z1 = conv(x, card["conv1"])
        kept.append([z1, conv(relu(z1), card["conv2"])])
    y = exchange(relu(kept[0][1]), relu(kept[1][1]))  # the link in front of conv3
    for t, card in enumerate(cards):
        kept[t] += [y[t], conv(y[t], card["conv3"])]
    gathered = np.concatenate([relu(k[3]).reshape(len(x), -1) for k in kept], axis=1)  # the link in front of fc, on card a
    return gathered @ cards[0]["fc"].T, (kept, gathered)


def two_backward(dout, x, cards, state, exchange_backward):
    """The gradients of the weights of both cards, and that of the image. The last argument may be a wrong function: part 8 needs this."""
    kept, gathered = state
    grads, dy, dx = [{"fc": dout.T @ gathered}, {}], [None, None], [None, None]
    dhalves = np.split(dout @ cards[0]["fc"], 2, axis=1)  # the second half is sent back to card b
    for t, card in enumerate(cards):
        _, _, y, z3 = kept[t]
        dy[t], grads[t]["conv3"] = conv_backward(dhalves[t].reshape(z3.shape) * (z3 > 0), y, card["conv3"])
    dx2 = exchange_backward(*dy, 6)
    for t, card in enumerate(cards):
        z1, z2, _, _ = kept[t]
        dx1, grads[t]["conv2"] = conv_backward(dx2[t] * (z2 > 0), relu(z1), card["conv2"])
        dx[t], grads[t]["conv1"] = conv_backward(dx1 * (z1 > 0), x, card["conv1"])
    return grads, dx[0] + dx[1]


images = rng.standard_normal((2, 3, 9, 12))
cards, dout = new_cards(1), rng.standard_normal((2, 5))
grads, dimages = two_backward(dout, images, cards, two_forward(images, cards)[1], exchange_backward)


def loss_of_net(_):
    return (dout * two_forward(images, cards)[0]).sum()


layers = [(t, name) for t in (0, 1) for name in cards[t]]
for t, name in layers if fast(True, False) else layers[:1] + layers[-1:]:  # a quick test of this page checks two
    measured = numerical_gradient(loss_of_net, cards[t][name], 1e-5)
    assert np.abs(grads[t][name] - measured).max() < 1e-7
    print(f"{name} on card {'ab'[t]}: agrees with the measured slopes")

# %% [markdown]
# Last, the claim of part 1: the net on two cards **is** the net with groups on one card. We put the filters of both cards
# one after the other and run the whole as one net, without any link. conv2 has two groups.


# %%
def one_forward_backward(x, whole, dout):
    """The outputs, and the gradients of the weights, of the net on one device. dout may be a function of the outputs: part 8 needs this."""
    z1 = conv(x, whole["conv1"])
    groups = [(relu(z1)[:, :4], whole["conv2"][:6]), (relu(z1)[:, 4:], whole["conv2"][6:])]
    z2 = np.concatenate([conv(*group) for group in groups], axis=1)
    z3 = conv(relu(z2), whole["conv3"])
    flat = relu(z3).reshape(len(x), -1)
    out = flat @ whole["fc"].T
    d = dout(out) if callable(dout) else dout
    grads = {"fc": d.T @ flat}
    dx2, grads["conv3"] = conv_backward((d @ whole["fc"]).reshape(z3.shape) * (z3 > 0), relu(z2), whole["conv3"])
    dz2 = np.split(dx2 * (z2 > 0), 2, axis=1)
    back = [conv_backward(d, *group) for d, group in zip(dz2, groups, strict=True)]
    grads["conv2"] = np.concatenate([dweight for _, dweight in back])
    dx1 = np.concatenate([dx for dx, _ in back], axis=1)
    grads["conv1"] = conv_backward(dx1 * (z1 > 0), x, whole["conv1"])[1]
    return out, grads


def together(two):
    """The arrays of both cards as those of one device."""
    return {name: np.concatenate([card[name] for card in two if name in card]) for name in two[0]}


out, whole_grads = one_forward_backward(images, together(cards), dout)
assert np.abs(out - two_forward(images, cards)[0]).max() < 1e-12
for name, grad in together(grads).items():
    assert np.abs(grad - whole_grads[name]).max() < 1e-12
print("two cards and one card with groups: the same outputs and the same gradients, to 1e-12")

# %% [markdown]
# Look at the version for one card. On its way back from conv3 to conv2 there is no plus sign. One product,
# $\text{dcol} = \text{weight}^T\;\text{dout}$ of lesson 03, sums over all filters of conv3. On two cards each card has only half of the
# filters, so each has only half of the terms of this sum. The plus sign of the link puts the halves together.

# %% [markdown]
# ## 7. The same as the engine
#
# In the engine the link is `Exchange` in `tinyalex/towers/crossing.py`; `Split` and `Gather` are the two ends. Each device counts the bytes
# that it receives. Here both devices, cpu:0 and cpu:1, are parts of this computer. (A `DryDevice` counts too, but it computes nothing.)

# %%
from tinyalex.analysis.card import plan_cards
from tinyalex.analysis.count import count
from tinyalex.devices.dry import DryDevice
from tinyalex.models import alexnet
from tinyalex.towers import Exchange

link = Exchange(("cpu:0", "cpu:1"), dtype=np.float64, name="lesson 10")
for device in link.devices:
    device.received.clear()
for ours, engine in zip(exchange(x_a, x_b), link.forward((x_a, x_b), train=True), strict=True):
    assert np.array_equal(ours, engine)
to_a, to_b = (device.received.nbytes for device in link.devices)
assert (to_a, to_b) == exchange_bytes(x_a.shape, x_b.shape, 8, backward=False)

for ours, engine in zip(exchange_backward(dy_a, dy_b, 3), link.backward((dy_a, dy_b)), strict=True):
    assert np.abs(ours - engine).max() < 1e-12
back = tuple(device.received.nbytes - before for device, before in zip(link.devices, (to_a, to_b), strict=True))
assert back == exchange_bytes(x_a.shape, x_b.shape, 8, backward=True)
print("forward equal, backward equal to 1e-12; bytes to a and to b:", (to_a, to_b), "forward,", back, "backward")

# %% [markdown]
# And the engine's own AlexNet, made small, once on one device and once on two:

# %%
settings = {"width": 1 / 16, "num_classes": 10, "input_size": 67, "dropout": False, "dtype": np.float64}
one, two = alexnet(**settings), alexnet(towers=2, **settings)
pictures, d = 100 * rng.standard_normal((2, 3, 67, 67)), rng.standard_normal((2, 10))
assert np.abs(one.forward(pictures, train=True) - two.forward(pictures, train=True)).max() < 1e-12
one.backward(d)
two.backward(d)
for name in ("conv1", "conv2", "conv3", "fc7"):
    halves = np.concatenate([two.grads[f"{name}{side}.weight"] for side in "ab"])
    assert np.abs(halves - one.grads[f"{name}.weight"]).max() < 1e-12
print("the engine's AlexNet on one device and on two: the same to 1e-12")
sent_by_engine = {row.name: row.forward_bytes for row in count(alexnet(towers=2, devices=[DryDevice("a"), DryDevice("b")])) if row.copies}
print(sent_by_engine)

# %% [markdown]
# The engine also knows which arrays the authors' program of 2012 kept on a card. (The source of that program is public.) Part 8 needs the
# bytes of all these arrays, for the whole net on one card with a batch of 128. `kept_2012` is their sum.

# %%
kept_2012 = sum(plan_cards(lambda place: alexnet(devices=place), 1, 3 * 2**30, 128).kept_2012.values())  # 1 card of 3 GiB

# %% [markdown]
# ## 8. Experiment
#
# ### What crosses in AlexNet
#
# Here are the shapes of what one card has in front of each layer, for one image (lesson 09). In front of fc8 only card b sends.

# %%
HALVES = {"conv2": (48, 27, 27), "conv3": (128, 13, 13), "conv4": (192, 13, 13), "conv5": (192, 13, 13),
          "fc6": (128, 6, 6), "fc7": (2048,), "fc8": (2048,)}  # fmt: skip
IMAGE = 3 * 224 * 224  # numbers


def sent_forward(name, batch=1):
    """The bytes that arrive at card a and at card b if the layer reads both halves."""
    half = (batch, *HALVES[name])
    to_a, to_b = exchange_bytes(half, half, 4, backward=False)
    return (to_a, 0) if name == "fc8" else (to_a, to_b)


links = ("conv3", "fc6", "fc7", "fc8")
for name in links:
    print(f"in front of {name}: {sum(sent_forward(name)):7,} bytes, {sent_forward(name)[0]:,} to a and {sent_forward(name)[1]:,} to b")
    assert sum(sent_forward(name)) == sent_by_engine[f"{name}_link"]
all_four = sum(sum(sent_forward(name)) for name in links)
say("in all 234,496 bytes for one image, forward", value=all_four, within=0)
reveal("10-a")

# %%
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
columns = ("image", "conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
for at, name in enumerate(columns):
    for y, color in ((2, "#0072B2"), (0, "#C04A00")):
        if name == "fc8" and y == 0:
            continue
        box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": "black" if name == "image" else color, "linewidth": 1.5}
        ax.text(at, y, name, ha="center", va="center", fontsize=9, bbox=box)
        if name != "image":
            ax.annotate("", (at - 0.38, y), (at - 0.62, y), arrowprops={"arrowstyle": "-|>", "color": "black", "shrinkA": 0, "shrinkB": 0})
    if name in links:
        for start, end in ((0, 2), (2, 0)) if name != "fc8" else ((0, 2),):
            ends = (at - 0.3, end + 0.3 * np.sign(start - end)), (at - 0.7, start + 0.3 * np.sign(end - start))
            color = "#C04A00" if start == 0 else "#0072B2"
            ax.annotate("", *ends, arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0})
        ax.text(at - 0.5, -0.75, f"{sum(sent_forward(name)):,}", ha="center", va="center", fontsize=9)
ax.text(-0.4, 2.6, "card a", color="#0072B2", fontsize=11)
ax.text(-0.4, 0.45, "card b", color="#C04A00", fontsize=11)
ax.text(0.6, -0.75, "bytes for one image:", ha="center", va="center", fontsize=9)
ax.set(xlim=(-0.6, 8.6), ylim=(-1.1, 2.9))
ax.set_axis_off()
show(fig, alt="Two rows of layers, card a above and card b below, from the image to fc8, which only card a has. Arrows cross between the "
     "rows at four places: both ways in front of conv3, with 173,056 bytes, of fc6, 36,864, and of fc7, 16,384; from b to a alone in "
     "front of fc8, 8,192. None cross in front of conv2, conv4 and conv5.")  # fmt: skip

# %% [markdown]
# Backward, the same number of bytes comes back (4.4). So one step of training with a batch of 128 images sends 60 million bytes, both
# cards together. Each card sends half of them: what one card sends forward, the other one sends backward.

# %%
say("forward and backward for a batch as in the paper: 60,030,976 bytes", value=2 * 128 * all_four, within=0)
macs = 724_406_816  # for one image, forward (lesson 09)
say("Forward, there are about 3,089 multiplications for one byte that crosses", value=macs / all_four, within=0.5)

# %% [markdown]
# ### What if there were a link in front of every layer?
#
# The paper says that the authors could choose how much the cards communicate, until this was "an acceptable fraction of the amount of
# computation". How many bytes did they save? (conv1 reads the image, and both cards have it, so nothing has to cross in front of conv1.)

# %%
each = {name: sum(sent_forward(name)) for name in HALVES}
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for at, (name, nbytes) in enumerate(each.items()):
    used = name in links
    ax.bar(at, nbytes / 1000, color="#0072B2" if used else "white", edgecolor="#0072B2", hatch="" if used else "//")
    ax.text(at, nbytes / 1000 + 6, f"{nbytes / 1000:.0f}", ha="center", fontsize=9)
ax.bar(0, 0, color="#0072B2", edgecolor="#0072B2", label="a link of the paper")
ax.bar(0, 0, color="white", edgecolor="#0072B2", hatch="//", label="left out")
ax.set(xticks=range(len(each)), ylabel="thousand bytes for one image", xlabel="in front of", ylim=(0, 320))
ax.set_xticklabels(list(each))
ax.legend()
show(fig, alt="Bars: what a link in front of each layer sends for one image, in thousand bytes. Hatched are those that the paper leaves "
     "out: conv2 280, conv4 and conv5 260 each. Filled are its links: conv3 173, fc6 37, fc7 16, fc8 8.")  # fmt: skip
say("4.41 times as many bytes with a link in front of every layer", value=sum(each.values()) / all_four, within=0.005)
reveal("10-b")

# %% [markdown]
# The paper's four links together send fewer bytes than a link in front of conv2 alone would. And since conv3 reads both towers, everything
# behind it depends on both.
#
# ### Or should each card have the whole net?
#
# There is another way to use two cards. Each card holds the *whole* net and computes half of the *images*. Then no activity crosses (an
# activity is one number that a layer gives, lesson 09). But both cards must make the same step. So each must get the other's gradients:
# one number for each parameter. This is called **data parallelism**. What the paper does is called **model parallelism**. We compare what
# *one* card sends in a step, forward and backward. In the paper's way this is 234,496 bytes for each image, half of what both cards send.

# %%
parameters = 60_965_224  # lesson 09
with_data = 4 * parameters
# Forward, card a sends to b. Backward, a sends to b as many bytes as b sent to a.
with_model = sum(to_b + to_a for to_a, to_b in map(sent_forward, links))
batches = np.arange(0, 1601, 32)
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.plot(batches, batches * with_model / 1e6, color="#0072B2", label="half of the net on each card (the paper)")
ax.axhline(with_data / 1e6, color="#C04A00", linestyle="--", label="half of the images on each card")
ax.plot([128], [128 * with_model / 1e6], "o", color="#0072B2")
ax.annotate("the paper: 128 images", (128, 128 * with_model / 1e6), (230, 12), fontsize=9)
ax.set(xlabel="images in a batch", ylabel="million bytes that one card sends", ylim=(0, 400), xlim=(0, 1600))
ax.legend(fontsize=9, loc="upper left")
show(fig, alt="Million bytes that one card sends in a step, against the images in a batch, up to 1600. With half of the net on each card "
     "a straight line rises from 0 through a dot at the paper's 128 images, 30, to 375 at 1600. With half of the images on "
     "each card a dashed line stays at 244. They cross at 1040.")  # fmt: skip
say("with the paper's way one card sends 30 million bytes in a step", value=128 * with_model / 1e6, within=0.5)
say("with data parallelism it would send 244 million bytes", value=with_data / 1e6, within=0.5)
say("these are 8.1 times as many", value=with_data / (128 * with_model), within=0.05)
say("the lines meet at a batch of 1,040 images", value=with_data / with_model, within=0.5)

# %% [markdown]
# The bytes of data parallelism do not depend on the batch, because the number of parameters does not. The numbers of lesson 09 show a
# third way. The convolutions have few parameters and many activities; the fully connected layers have many parameters and few activities.
# So the images can be divided for the convolutions, and the net for the fully connected layers. The first author of AlexNet did this in
# 2014.
#
# ### A card that is full
#
# We make a card that counts bytes and refuses an array for which it has no room. A MiB has $2^{20}$ bytes, and a GiB has $2^{30}$. The
# authors' 3 GB become 3 GiB here. Each number has 4 bytes. A net keeps 3 numbers for each parameter (itself, its gradient and its
# velocity), and 2 numbers for each activity of each image (itself and its gradient), as in lesson 09. On two cards, each card has half of
# the parameters and of the activities, and both have the image. In addition each card has the arrays that exchange gives to it.


# %%
class Card:
    def __init__(self, name, memory):
        self.name, self.memory, self.used = name, memory, 0

    def take(self, what, nbytes):
        free = self.memory - self.used
        if nbytes > free:
            raise MemoryError(f"{self.name}: {what} need {nbytes / 2**20:,.0f} MiB, and {free / 2**20:,.0f} MiB are free")
        self.used += nbytes


ACTIVITIES, FC8 = 1_258_760, 4_097_000  # of one image (5.38 MiB in lesson 09, which adds the image itself); parameters of fc8
JOINED = 256 * 13 * 13 + 9216 + 4096  # what exchange gives to each card in front of conv3, fc6 and fc7


def load(cards, batch):
    """Put the net with a batch of images on one card or on two; True if there is room."""
    try:
        for card in cards:
            own, activities = parameters, ACTIVITIES
            if len(cards) == 2:
                own, activities = (parameters - FC8) // 2, (ACTIVITIES - 1000) // 2 + JOINED
            if card.name == "card a":  # it has fc8, and what is gathered in front of it
                own, activities = own + FC8, activities + 1000 + 4096
            card.take("parameters, gradients and velocities", 4 * 3 * own)
            card.take(f"activities of {batch} images and their gradients", 4 * 2 * batch * (IMAGE + activities))
    except MemoryError as error:
        print(error)
        return False
    print(", ".join(f"{card.name} holds {card.used / 2**30:.2f} GiB" for card in cards))
    return True


for batch in (128, 256):
    print(f"batch {batch}, one card:")
    fits = load([Card("the card", 3 * 2**30)], batch)
    print(f"batch {batch}, two cards:")
    assert load([Card("card a", 3 * 2**30), Card("card b", 3 * 2**30)], batch) and fits == (batch == 128)

# %% [markdown]
# Two cards have room for a batch of 256, and one card has not. But each of the two needs more than half of the bytes that one card would
# need: both hold the image, and both hold what was exchanged.
#
# By our count the paper's batch of 128 has room on one card, too. Then why did the authors need two? Our count keeps very little. The
# program of 2012 kept more: a copy of the next batch, partial sums, dropout masks. Part 7 has computed the sum of all its arrays:

# %%
say("on one card the old program would have held 2.72 GiB", value=kept_2012 / 2**30, within=0.005)

# %% [markdown]
# The software of the card and the picture on the screen need memory, too. So one card would have been nearly full, and we do not know
# whether the program would have run.
#
# ### What a wrong link does
#
# How much is lost if nobody sends the gradient back? Each card then keeps its own term only. We take random dy_a and dy_b as in part 6,
# with more images. And we write two other mistakes: the mean of the two terms, and a sum that is added twice.


# %%
def not_sent_back(dya, dyb, channels):
    return dya[:, :channels], dyb[:, channels:]


def mean(dya, dyb, channels):
    return tuple(half / 2 for half in exchange_backward(dya, dyb, channels))


def added_twice(dya, dyb, channels):
    return tuple(half * 2 for half in exchange_backward(dya, dyb, channels))


def missing(right, wrong):
    """The norm of what is wrong, over the norm of the right arrays."""
    error = sum(((one - other) ** 2).sum() for one, other in zip(right, wrong, strict=True))
    return (error / sum((one**2).sum() for one in right)) ** 0.5


dy = rng.standard_normal((2, fast(200, 100), 8, 4, 6))
say("71 % of the gradient's norm is lost", value=missing(exchange_backward(*dy, 3), not_sent_back(*dy, 3)), within=0.01)
reveal("10-c")

# %% [markdown]
# Here the two terms are independent random numbers of the same variance, and variances add (lesson 07). So the right gradient has twice the
# variance of one term. What is lost is one term. A norm grows with the root of the variance, so the norm of what is lost is the root of
# 1/2, or 0.71, of the right one.
#
# What does such a mistake do in a net that learns? We train the small net of part 6 on a **synthetic** set: five classes, each a random
# pattern of 9 × 12 pixels with noise on it. We train five nets, which begin with the same weights: one on one card with groups, one on two
# cards, and one with each of the three mistakes.

# %%
data = np.random.default_rng(100)
labels = data.permutation(np.arange(100) % 5)
patterns = 0.25 * data.standard_normal((5, 3, 9, 12))
x_train = patterns[labels] + data.standard_normal((100, 3, 9, 12))


def loss_and_gradient(logits):
    """Lesson 06."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    n = np.arange(len(labels))
    dlogits = np.exp(logp)
    dlogits[n, labels] -= 1
    return -logp[n, labels].mean(), dlogits / len(labels)


def descend(weights, grads, velocity):
    """Lesson 07, without weight decay."""
    for name, grad in grads.items():
        velocity[name] = 0.9 * velocity.get(name, 0) - 0.02 * grad
        weights[name] = weights[name] + velocity[name]


STEPS = fast(26, 8)


def train_two(exchange_backward):
    cards, velocities, losses = new_cards(2), ({}, {}), []
    for _ in range(STEPS):
        logits, state = two_forward(x_train, cards)
        loss, dlogits = loss_and_gradient(logits)
        losses.append(loss)
        for card, grads, velocity in zip(
            cards, two_backward(dlogits, x_train, cards, state, exchange_backward)[0], velocities, strict=True
        ):
            descend(card, grads, velocity)  # each card makes its step alone
    return np.array(losses)


def train_one():
    whole, velocity, losses = together(new_cards(2)), {}, []
    for _ in range(STEPS):
        logits, grads = one_forward_backward(x_train, whole, lambda logits: loss_and_gradient(logits)[1])
        losses.append(loss_and_gradient(logits)[0])
        descend(whole, grads, velocity)
    return np.array(losses)


curves = {"one card, two groups": train_one()}
for name, back in (("two cards", exchange_backward), ("not sent back", not_sent_back), ("mean", mean), ("added twice", added_twice)):
    curves[name] = train_two(back)
parted = np.abs(curves["one card, two groups"] - curves["two cards"]).max()
assert parted < 1e-10
print(f"after {STEPS} steps the losses of one card and of two differ by less than 1e-10")

# %%
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
styles = {"one card, two groups": ("black", "-", 5), "two cards": ("#E69F00", "-", 2), "not sent back": ("#C04A00", "--", 1.8),
          "mean": ("#0072B2", "o", 1), "added twice": ("#009E73", "-.", 1.8)}  # fmt: skip
for name, losses in curves.items():
    color, style, width = styles[name]
    ax.plot(losses, style, color=color, linewidth=width, markersize=4, label=name)
ax.set(xlabel="step", ylabel="loss on the synthetic set", ylim=(0, 2.1))
ax.legend(fontsize=9)
show(fig, alt="Five curves of the loss over 26 steps. All begin at 1.7, and up to step 8 they can hardly be told apart. One card, black "
     "and broad, and two cards, orange, lie on each other and end at 0.08. Not sent back, dashed, and mean, round dots, run "
     "together a little above them and end at 0.13. Added twice runs below them and ends at 0.035.")  # fmt: skip
last = {name: float(losses[-1]) for name, losses in curves.items()}
say("one card and two cards end at a loss of 0.08", value=last["two cards"], within=0.01, full_only=True)
say("not sent back ends at 0.13", value=last["not sent back"], within=0.01, full_only=True)
say("mean ends at 0.13", value=last["mean"], within=0.01, full_only=True)
say("added twice ends at 0.035", value=last["added twice"], within=0.01, full_only=True)

# %% [markdown]
# **The curve does not show the mistake.** Every wrong net learns. The one that adds twice even learns faster here, because the layers in
# front of the link make steps of double size. The other two learn more slowly, and alike: the mean is half of the sum, and if the two terms
# are about equally large, a step with one of them lowers the loss about as much as a step with half of the sum. If you looked only at
# curves, you would keep the mistake that learns faster. A measured slope (part 6) finds all three mistakes. And if you compare layer by
# layer, you see where the mistake is.

# %%
state = two_forward(images, cards)[1]
right = two_backward(dout, images, cards, state, exchange_backward)[0]
print("how much of the gradient's norm is wrong, in %")
print("                 conv1  conv2  conv3     fc")
wrong_by = {}
for back in (not_sent_back, mean, added_twice):
    wrong = two_backward(dout, images, cards, state, back)[0]
    names = ("conv1", "conv2", "conv3", "fc")
    wrong_by[back] = [missing([g[n] for g in right if n in g], [g[n] for g in wrong if n in g]) for n in names]
    print(f"{back.__name__:15}", *(f"{100 * share:6.0f}" for share in wrong_by[back]))
say("With the mean, conv1 and conv2 get 50 % of their gradient", value=wrong_by[mean][0], within=1e-9)
say("and conv3, behind the link, has an error of 0 %", value=wrong_by[not_sent_back][2], within=1e-12)

# %% [markdown]
# Behind the link all gradients are right, in front of it all are wrong. So the mistake is *in* the link.
#
# The first two numbers of the first line need not be the 71 % of the experiment. There the two terms hold many independent numbers. Here
# the gradients are few numbers, and they come from only two images. By chance one of the terms may be larger, or the two may point a
# little against each other and partly cancel. With other images these two numbers are other ones, mostly between 60 % and 90 %.
#
# In AlexNet it would be worse. conv1 lies in front of three links at which gradients add (conv3, fc6 and fc7), so the mean would halve
# its gradient three times.

# %% [markdown]
# ## 9. What people get wrong
#
# We have no counts for these. The first two come from public threads about programs that divide a net among many devices, the others from
# articles on AlexNet, or from the program of 2012 and the files with its settings. A name with a number, such as
# pytorch/torchtitan#2416, is a thread on GitHub.
#
# **What was sent is not sent back** (pytorch/torchtitan#2416, huggingface/nanotron#46 and #172). Part 8 has the 71 %, and a curve that
# looks right.
#
# **The gradient is added twice** (ByteDance-Seed/VeOmni#1120). Once is right:

# %%
measured = numerical_gradient(loss_of_link, x_a, 0.25)
say("the measured slope finds a factor of 2", value=added_twice(dy_a, dy_b, 3)[0].sum() / measured.sum(), within=1e-9)

# %% [markdown]
# **The gradients are averaged.** A mean belongs to data parallelism, where each card has other *images*, and the loss is a mean over all
# images. Here both cards have the same images. Two uses of one number add. In the table of part 8 the mean has lost 50 %.
#
# **Card b puts its own channels first.** The settings of 2012 do so in front of fc7: each card names its own half first. This is another
# order, and no mistake, if the weights have the same order and the backward pass cuts at the same place. It is a mistake if the forward
# pass of card b has one order and the backward pass has the other. If both towers have the same number of channels, all shapes fit, and the
# numbers are wrong:

# %%
wide = rng.standard_normal((2, 3, 6, 4, 5))  # two gradients; towers of 3 channels each
right_order = exchange_backward(*wide, 3)
mixed = wide[0][:, :3] + wide[1][:, 3:], wide[0][:, 3:] + wide[1][:, :3]
print("the same shapes:", right_order[0].shape == mixed[0].shape, "  the same numbers:", np.allclose(right_order[0], mixed[0]))

# %% [markdown]
# **"To run the net on one card, the groups of conv2, conv4 and conv5 are enough."** Response normalization reads neighboring channels
# (lesson 05), and channels 47 and 48 of conv1, counted from 0, lie on different cards. To read over the cut, the cards would have to
# communicate. In the paper's program each card normalizes its own channels. A well-known copy of AlexNet on one card reads over the cut.
# How many of the 96 channels does this change?


# %%
def sums_of_squares(a):
    """For each channel the sum over itself, two below and two above."""
    return np.stack([(a[max(0, i - 2) : i + 3] ** 2).sum(axis=0) for i in range(len(a))])


a = rng.standard_normal((96, 7, 5))
with_cut = np.concatenate([sums_of_squares(a[:48]), sums_of_squares(a[48:])])
changed = np.flatnonzero(np.abs(with_cut - sums_of_squares(a)).max(axis=(1, 2)) > 1e-12)
print("channels that change:", changed)
say("they are 4 of the channels", value=len(changed), within=0)

# %% [markdown]
# **"1.2 million images make the net too big"** (an article on AlexNet). The paper says that so many images are *enough to train* a net
# that is too big for one card. The size of a net does not depend on the number of images: no image was counted for the 60,965,224
# parameters.
#
# **"Two GPU servers"** (another article). They were two cards in one computer. Each can read the other's memory directly.
#
# **"Two cards lower the error by 1.7 %."** The paper compares with a net on *one* card that has half as many kernels. (Footnote 2 of
# the paper: the last convolution and the fully connected layers are not halved.) So the two nets differ in work:

# %%
maps = ((48, 3, 11, 55), (128, 48, 5, 27), (192, 128, 3, 13), (192, 192, 3, 13), (256, 192, 3, 13))  # filters, channels, kernel, side
half_parameters = sum(k * c * kernel**2 + k for k, c, kernel, _ in maps) + 37_752_832 + 16_781_312 + 4_097_000
half_macs = sum(k * c * kernel**2 * side**2 for k, c, kernel, side in maps) + 9216 * 4096 + 4096 * 4096 + 4096 * 1000
say("the net on one card has 59,798,312 parameters, nearly as many", value=half_parameters, within=0)
say("but it does 54 % of the multiplications", value=half_macs / macs, within=0.005)

# %% [markdown]
# **"Two cards are there for speed."** The paper's reason is memory. Of time it says that the net on two cards takes "slightly less time to
# train" than the smaller net on one.
#
# **fc6 "sees some of the maps"** (the article with the servers). Each unit sees all 9,216 numbers. For this there is a link in front of
# it.
#
# More of them stand in `lessons/MISCONCEPTIONS.md`.
#
# ### Summary
#
# A net is cut in two by cutting each layer but the last in two. A layer with two groups needs nothing from the other card, forward or
# backward. In front of a layer that reads all channels there is a link: each card sends what it has, and what was sent comes back as a
# gradient that is **added**. No weight crosses. The cut net and the net with groups on one device are the same net, to 1e-12. AlexNet's
# four links send 234,496 bytes for an image. With a link in front of every layer but conv1 it would be 4.41 times as many.
#
# ### Read on
#
# - The engine: `Split`, `Exchange` and `Gather` in `tinyalex/towers/crossing.py`, `Pair` in `tinyalex/towers/pair.py`, which runs both
#   towers at the same time, and `build_rows` in `tinyalex/models/build.py`, which finds the links. `tinyalex net alexnet --towers 2` prints
#   the bytes that both devices send together.
# - Exercise: `tutor.check("E12", exchange, exchange_backward, exchange_bytes)`, 25 minutes.
# - You have derived every backward pass of AlexNet. `tinyalex capstone mine.py` trains a small AlexNet of your own functions beside the
#   engine's. Then read the engine from `tinyalex/models/alexnet.py` on, as if you had written it.
# - Next: lesson 11, Figure 1 and a fair comparison.
#
# Two questions to write about, a few sentences each:
#
# 1. "A gradient adds where a value is used twice." Name the place where this happens in lessons 02, 03, 04, 05 and 10. In which of them
#    would a wrong program crash, and in which would it go on and learn a little less well?
# 2. With four cards, each with a quarter of each layer: what does each card send in front of conv3, and how many bytes is this for all
#    cards together? What would you change in the net?
