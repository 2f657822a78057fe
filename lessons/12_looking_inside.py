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
# # 12  Looking inside
#
# Paper section 6.1, about 80 minutes, needs lessons 03, 04, 06, 07 and 10. It has no exercise of the tutor.
#
# Afterwards you can look into a net in four ways: by its filters, by the images that it finds similar, by the gradient with respect to an
# image, and by an occlusion map. Of each way you can say what it measures, and what it does not show.

# %%
import itertools

import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.data import synthetic_dataset
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import adds, fast, say, show

# %% [markdown]
# ## 1. The paper's sentence
#
# Section 6.1 looks at what the net has learned, in two ways. The first is Figure 3, a picture of the filters of conv1:
#
# > "The kernels on GPU 1 are largely color-agnostic, while the kernels on on GPU 2 are largely color-specific. This kind of specialization
# > occurs during every run and is independent of any particular random weight initialization (modulo a renumbering of the GPUs)."
#
# ("On on" stands in the paper.) **Color-agnostic** means that a filter does not care about color: it sees only light and dark.
# **Specialization** means that each of the two cards has found its own kind of filters. The words in brackets say that card 1 need not be
# the one without color. It may also be card 2.
#
# The second way is Figure 4. For some test images it shows the training images that the net finds most similar:
#
# > "If two images produce feature activation vectors with a small Euclidean separation, we can say that the higher levels of the neural
# > network consider them to be similar. [...] Notice that at the pixel level, the retrieved training images are generally not close in L2
# > to the query images in the first column."
#
# The **feature activation vector** of an image is what comes out of the last hidden layer, in AlexNet 4,096 numbers. We call it the
# **code** of the image. **Euclidean** distance, or L2, is the root of the sum of the squared differences.
#
# We add two more ways that are not in the paper. The **image gradient** says how a score changes if a pixel changes a little. The
# **occlusion map** says how far a score falls if a part of the image is covered.

# %% [markdown]
# ## 2. Predict
#
# Run the cells, and replace each guess by your own before you read on. The words of the questions:
#
# - The **synthetic** images show one of ten shapes, such as a disk or a star, in random colors, on a random ground. They are drawn by a
#   program. They have 32 by 32 pixels.
# - Labels are **shuffled** if they are dealt out again at random, like cards. Then the label of an image says nothing about it.
# - The **neighbors** of an image are those of 3,000 training images that have the smallest distance from it.

# %% tags=["predict"]
predict("12-a", 30)

# %% tags=["predict"]
predict("12-b", 4)

# %% tags=["predict"]
predict("12-c", 10)

# %% tags=["predict"]
predict("12-d", 0.1)

# %% [markdown]
# A fifth prediction waits in part 5: there you see the filters of three nets, and say which of them has learned.
#
# ## 3. The equation
#
# We look into a small net with one convolution. You have written each of its layers. Its input is an image x: from each of its numbers,
# from 0 to 255, we subtract 128, and divide by 64. So 0 is a middle gray.
#
# | layer | shape of its output | what it is |
# |---|---|---|
# | x | (N, 3, 32, 32) | images |
# | conv1 | (N, 24, 12, 12) | 24 filters of 9 × 9 pixels in 3 colors, stride 2 |
# | pooling | (N, 24, 6, 6) | the largest of 2 × 2 numbers |
# | ReLU | (N, 864) | 864 = 24 · 6 · 6 |
# | fc2, ReLU | (N, 64) | the last hidden layer: the **code** c of the image |
# | fc3 | (N, 10) | the **scores** z, one for each class (the logits of lesson 06) |
#
# These are the five things that we look at. The letter f stands for the net: f(x) is the score of one class k.
#
# $$\begin{array}{rll}
# \text{filter of channel } m: & w_m & \quad (3, 9, 9) \\
# \text{distance of two codes:} & d(x, y) = \sqrt{\textstyle\sum_j (c_j(x) - c_j(y))^2} & \quad \text{a number} \\
# \text{distance of two images:} & \sqrt{\textstyle\sum_i (x_i - y_i)^2} & \quad \text{a number} \\
# \text{image gradient:} & g_i = \frac{\partial f}{\partial x_i} & \quad (3, 32, 32) \\
# \text{occlusion map at the patch } P: & D_P = f(x) - f(x \text{ with } P \text{ covered}) & \quad \text{a number for each } P
# \end{array}$$
#
# The index i counts the 3 · 32 · 32 numbers of an image, and j the 64 of a code.
#
# To **cover** a patch, or to *occlude* it, means to write one number, the fill, into all its pixels. We use squares of 8 by 8 pixels and
# the fill 0, which is gray. A positive $D_P$ says: without this patch, the score of the class is lower.
#
# Here is the net: lessons 03, 04, 06 and 07, put together. Only the pooling is written anew. Its windows of 2 × 2 do not overlap, so
# `reshape` cuts the maps into them, and each lies in the last axis of `cells`. `take_along_axis` reads the winner of each window, and
# `put_along_axis` writes to its place. `backward` also returns da, the gradient of what conv1 gives. You will need it.


# %%
def windows(x):
    """The table of lesson 03: each column holds the pixels of one window. (N, 243, 144): 243 = 3 · 9 · 9, 144 = 12 · 12."""
    seen = np.lib.stride_tricks.sliding_window_view(x, (9, 9), axis=(2, 3))[:, :, ::2, ::2]
    return seen.transpose(0, 1, 4, 5, 2, 3).reshape(len(x), 243, 144)


def forward(p, x):
    """The scores (N, 10), and what `backward` needs; the last of it is the code (N, 64). p: a dict of weights and biases."""
    col = windows(x)
    a = p["w1"].reshape(24, 243) @ col + p["b1"][:, None]
    cells = a.reshape(-1, 24, 6, 2, 6, 2).transpose(0, 1, 2, 4, 3, 5).reshape(-1, 24, 6, 6, 4)
    winner = cells.argmax(axis=-1)[..., None]
    r = np.maximum(np.take_along_axis(cells, winner, axis=-1), 0).reshape(-1, 864)
    code = np.maximum(r @ p["w2"].T + p["b2"], 0)
    return code @ p["w3"].T + p["b3"], (col, winner, r, code)


def backward(p, dout, kept):
    """The gradients of all parameters, and da (N, 24, 144). dout: (N, 10), the gradient of the scores."""
    col, winner, r, code = kept
    dcode = dout @ p["w3"] * (code > 0)
    dr = dcode @ p["w2"] * (r > 0)
    dcells = np.zeros((len(r), 24, 6, 6, 4), r.dtype)
    np.put_along_axis(dcells, winner, dr.reshape(winner.shape), axis=-1)
    da = dcells.reshape(-1, 24, 6, 6, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(-1, 24, 144)
    dw1 = (da @ col.transpose(0, 2, 1)).sum(axis=0).reshape(p["w1"].shape)
    grads = {"w1": dw1, "b1": da.sum(axis=(0, 2)), "w2": dcode.T @ r, "b2": dcode.sum(axis=0)}
    return grads | {"w3": dout.T @ code, "b3": dout.sum(axis=0)}, da


def new_net(seed):
    rng = np.random.default_rng(seed)
    shapes = {"w1": ((24, 3, 9, 9), 0.01), "w2": ((64, 864), 0.05), "w3": ((10, 64), 0.1)}
    net = {name: std * rng.standard_normal(shape) for name, (shape, std) in shapes.items()}
    return net | {f"b{k}": np.zeros(n) for k, n in ((1, 24), (2, 64), (3, 10))}


def train(p, x, labels, epochs):
    """The net after SGD as in lesson 07: batches of 50, rate 0.02, momentum 0.9, weight decay 0.005; at last the rate is 0.002."""
    rng, p, velocity = np.random.default_rng(0), dict(p), dict.fromkeys(p, 0)
    for epoch in range(epochs):
        rate = 0.02 if epoch < 0.75 * epochs else 0.002
        for batch in np.split(rng.permutation(len(x)), len(x) // 50):
            z, kept = forward(p, x[batch])
            q = np.exp(z - z.max(axis=1, keepdims=True))
            q /= q.sum(axis=1, keepdims=True)
            q[np.arange(50), labels[batch]] -= 1  # lesson 06: what the net said minus what is true
            grads, _ = backward(p, q / 50, kept)
            for name in p:
                decay = 0.005 if name.startswith("w") else 0
                velocity[name] = 0.9 * velocity[name] - rate * (grads[name] + decay * p[name])
                p[name] = p[name] + velocity[name]
    return p


# %% [markdown]
# We make three nets in float64, which begin with the same random weights. One is not trained. One is trained on the synthetic
# images with their labels, and one on the same images with shuffled labels.

# %%
data = synthetic_dataset(3000, 600, seed=1)
x_train, x_test = ((images - 128.0) / 64 for images in (data.train_images, data.test_images))
y_train, y_test = data.train_labels, data.test_labels
shuffled = np.random.default_rng(5).permutation(y_train)
EPOCHS, COUNT = fast(12, 2), fast(3000, 1000)
nets = {"untrained": new_net(0)}
nets["trained"] = train(nets["untrained"], x_train[:COUNT], y_train[:COUNT], EPOCHS)
nets["shuffled"] = train(nets["untrained"], x_train[:COUNT], shuffled[:COUNT], EPOCHS)
net = nets["trained"]
print("labels that are still right after the shuffling:", f"{(shuffled == y_train).mean():.0%}")

# %% [markdown]
# ## 4. The derivation
#
# ### 4.1 The gradient with respect to the image
#
# In training we ask how the loss changes with the weights. We never asked how it changes with the pixels, because pixels are not learned.
# But the backward pass has all that is needed. Three things are new:
#
# - **What goes in.** We do not begin with the loss. We want the slope of one score, $z_k$. So dout, the gradient of the scores, is 1 for
#   class k and 0 for the others.
# - **Where it ends.** Training stops at conv1: it computes dweight and dbias from da, and no dx. We go one step further.
# - **Each image is alone.** The score of one image depends on no pixel of another image. So one call gives the gradients of N images, and
#   we add nothing over images.
#
# The last step is `conv_backward` of lesson 03. The table of windows is multiplied by the filters on the way forward, so on the way back we
# multiply by their transpose. A pixel was copied into several windows, so what comes back from them **adds**. The windows reach over
# 2 · 11 + 9 = 31 of 32 lines and columns. The pixels of the last line and of the last column are in no window: their g is 0.
#
# $$\begin{array}{rll}
# \text{dout} &= 1 \text{ for class } k, 0 \text{ elsewhere} & \quad (N, 10) \\
# \text{da} &= \text{what backward gives for conv1's output} & \quad (N, 24, 144) \\
# \text{dcol} &= W^T\, \text{da} & \quad (N, 243, 144) = (243, 24)\,(N, 24, 144) \\
# g = \text{dx} &= \text{col2im}(\text{dcol}) & \quad (N, 3, 32, 32)
# \end{array}$$

# %%
fig = adds("x[pixel]", [("window 1 of conv1", "dcol1"), ("window 2 of conv1", "dcol2"), ("window 3 of conv1", "dcol3")])
show(fig, alt="The value x[pixel] is copied into three windows of conv1, which send back dcol1, dcol2 and dcol3. A plus sign adds them: "
     "dx[pixel] = dcol1 + dcol2 + dcol3.")  # fmt: skip

# %% [markdown]
# ### 4.2 What occlusion measures, and why it is not the gradient
#
# The gradient g says how the score changes if a pixel changes **a little**. Occlusion changes 192 numbers, 8 · 8 pixels in 3 colors,
# **by a lot**. How are the two related? We cover the patch slowly. Let t go from 0 to 1, and move each number of the patch along a
# straight line to the fill v:
#
# $$x_i(t) = x_i + t\,(v - x_i) \quad \text{for } i \text{ in } P, \qquad x_i(t) = x_i \text{ elsewhere.}$$
#
# At t = 0 this is the image, and at t = 1 the patch is covered. By the chain rule the score changes with t as
#
# $$\frac{d f}{d t} = \sum_{i \text{ in } P} \frac{\partial f}{\partial x_i}\, \frac{d x_i}{d t}
# = \sum_{i \text{ in } P} g_i(t)\,(v - x_i) \quad \text{one term for each number that moves,}$$
#
# where g(t) is the gradient at x(t). The drop is minus the sum of all these small changes, from t = 0 to 1. That is an integral:
#
# $$\begin{array}{rll}
# D_P &= f(x(0)) - f(x(1)) \\
# &= \int_0^1 \sum_{i \text{ in } P} g_i(t)\,(x_i - v)\, dt & \quad \text{the sign turns } v - x_i \text{ round} \\
# &\approx \sum_{i \text{ in } P} g_i(0)\,(x_i - v) & \quad \text{only if g stays as it is on the way}
# \end{array}$$
#
# The last line is the **first-order guess** of the drop: what the gradient at the image says about the patch. It shows two differences
# between a map of g and an occlusion map:
#
# 1. A map of g does not multiply by $x_i - v$. If a pixel is gray already, nothing changes when it is covered, however large its slope is.
# 2. The map shows g at t = 0, where nothing is covered. On the way to t = 1 ReLUs switch and other cells win the pooling, so g changes.
#
# ### 4.3 Three small examples by hand
#
# Let a score depend on two patches, $x_1 = x_2 = 1$, and let us cover them with 0.
#
# | score | value | gradient | $D_1$ | $D_2$ | both covered |
# |---|---|---|---|---|---|
# | $x_1 + x_2$ | 2 | (1, 1) | 1 | 1 | 2 |
# | relu($x_1 + x_2 - 1$): **and** | 1 | (1, 1) | 1 | 1 | 1 |
# | 1 - relu($1 - x_1 - x_2$): **or** | 1 | (0, 0) | 0 | 0 | 1 |
#
# In the first line all agree. In the second line each patch seems to carry the whole score: the score needs both, so each of the two drops
# is 1. **The drops need not sum to the score.** In the third line one patch is enough. Both the gradient and the drops say that nothing
# matters. And yet, without both patches the score is gone. **A zero does not mean "not used".**


# %%
def relu(s):
    return max(s, 0.0)


scores_of = {"sum": lambda a, b: a + b, "and": lambda a, b: relu(a + b - 1), "or": lambda a, b: 1 - relu(1 - a - b)}
for name, score in scores_of.items():
    drops = [score(1, 1) - covered_score for covered_score in (score(0, 1), score(1, 0), score(0, 0))]
    slopes = [(score(1.001, 1) - score(0.999, 1)) / 0.002, (score(1, 1.001) - score(1, 0.999)) / 0.002]
    print(f"{name:4} slopes {slopes[0]:.3g}, {slopes[1]:.3g}   drops {drops[0]:g}, {drops[1]:g}   both covered {drops[2]:g}")

# %% [markdown]
# ### 4.4 What moving an image does to a distance
#
# We move an image by two pixels. What does the squared distance in pixels say? Let x be an image, less the mean of all numbers of
# all images, and let y be the same image moved. Multiply out, pixel by pixel:
#
# $$\sum_i (x_i - y_i)^2 = \sum_i x_i^2 + \sum_i y_i^2 - 2 \sum_i x_i\, y_i$$
#
# The first two sums are about equal, and we call each of them S. The last sum is S times a number $\rho$ (rho), the **correlation** of a
# pixel with the one two steps beside it. It is 1 if they are always equal, and 0 if they have nothing to do with each other. So
#
# $$\sum_i (x_i - y_i)^2 = 2 S\,(1 - \rho)$$
#
# For two images that have nothing to do with each other $\rho$ is 0, and the squared distance is 2 S. The moved image is at
# $\sqrt{1 - \rho}$ of this distance. Part 6 measures $\rho$ = 0.82, which gives 0.42. It depends on how **smooth** the image is,
# and on nothing that we see in it. Noise has $\rho$ = 0: its copy, moved by one pixel, is as far from it as other noise is.
#
# ### 4.5 How gray is a filter?
#
# At each cell a filter of conv1 has three weights, for red, green and blue: a vector. Let m be their mean. The vector has two parts:
# (m, m, m), which is gray, and a rest. The three numbers of the rest sum to 0, so the two parts are at right angles, and Pythagoras
# holds: the squares of the weights sum to $3 m^2$ plus the squares of the rest. The **gray share** of a filter is the gray part of the sum
# of squares over all its cells:
#
# $$\text{gray share} = \frac{\sum_{\text{cells}} 3\, m^2}{\sum_{\text{cells}} (r^2 + g^2 + b^2)} \quad \text{from 0 to 1}$$
#
# At 1 the three colors have equal weights: the filter sees light and dark only. At 0 it sees differences of colors only. What do random
# weights give? The mean of three independent numbers of variance 1 has the variance 1/3, so $3 m^2$ is 1 on average, and the sum below
# the line is 3: the gray share is 1/3.

# %% [markdown]
# ## 5. Twenty lines of your own
#
# Write six short functions. The tutor does not check them. Parts 6 and 7 do.
#
# - `sheet(filters, columns=12)`: a picture (H, W, 3) of filters (M, 3, h, w) with `columns` of them in a line and one white pixel between
#   them. Divide each filter by its largest magnitude, so that it lies between -1 and 1. Turn -1 to 1 into colors from 0 to 1, so that the
#   weight 0 is a middle gray.
# - `gray_shares(filters)`: the gray share of each filter, (M,), by 4.5.
# - `distances(a, b)`: all distances of the vectors a (A, F) from the vectors b (B, F), a table (A, B).
#
# Begin with these three.


# %% tags=["solution"]
def sheet(filters, columns=12):
    m, _, h, w = filters.shape
    lines = -(-m // columns)  # rounded up
    picture = np.ones((lines * (h + 1) - 1, columns * (w + 1) - 1, 3))
    for at, one in enumerate(filters):
        y, x = at // columns * (h + 1), at % columns * (w + 1)
        picture[y : y + h, x : x + w] = (0.5 + 0.5 * one / np.abs(one).max()).transpose(1, 2, 0)
    return picture


def gray_shares(filters):
    gray = 3 * filters.mean(axis=1) ** 2  # (M, h, w)
    return gray.sum(axis=(1, 2)) / (filters**2).sum(axis=(1, 2, 3))


def distances(a, b):
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T  # the sums of 4.4, for all pairs
    return np.sqrt(np.maximum(squares, 0))  # rounding may make a zero negative


# %% [markdown]
# **The quiz.** Your function draws the filters of the three nets, in an order that we do not tell. One net is untrained. One was trained
# on the labels, and answers most test images right. One was trained on shuffled labels. Which sheet belongs to the net that answers right?

# %%
order = np.random.default_rng(3).permutation(["untrained", "trained", "shuffled"])
fig, axes = plt.subplots(3, 1, figsize=(6.4, 4.6), layout="constrained")
for number, (ax, name) in enumerate(zip(axes, order, strict=True), 1):
    ax.imshow(sheet(nets[name]["w1"]), interpolation="nearest")
    ax.set_title(f"sheet {number}", fontsize=11, loc="left")
    ax.set_axis_off()
show(fig, alt="Three sheets of 24 small squares of 9 by 9 colored pixels. Sheet 1 has soft patches in strong colors: green, red, violet, "
     "yellow, some with an edge. Sheet 2 has broad dark and light stripes and edges, upright, lying and slanted, nearly without "
     "color. Sheet 3 is colored noise: each pixel differs from its neighbors.")  # fmt: skip

# %% tags=["predict"]
chosen = 1  # the sheet that you choose: 1, 2 or 3
print(f"You choose sheet {chosen}. Part 8 opens the names.")

# %% [markdown]
# Now the three functions that look at one image:
#
# - `image_gradient(p, x, classes)`: g for images x (N, 3, 32, 32) and one class for each, by 4.1. The result has the shape of x.
# - `covered(x, fill=0.0, size=8, step=2)`: copies of one image (3, 32, 32). In each copy one square is covered. The squares begin at 0,
#   `step`, 2 `step`, and so on, in both directions, line by line. With size 8 and step 2 there are 13 · 13 = 169 copies.
# - `occlusion_map(p, x, k, fill=0.0, size=8, step=2)`: the drops $D_P$ of class k as a map, here (13, 13).


# %% tags=["solution"]
def image_gradient(p, x, classes):
    scores, kept = forward(p, x)
    dout = np.zeros_like(scores)
    dout[np.arange(len(x)), classes] = 1
    _, da = backward(p, dout, kept)
    dcol = (p["w1"].reshape(24, 243).T @ da).reshape(-1, 3, 9, 9, 12, 12)
    dx = np.zeros_like(x)
    for i, j in np.ndindex(9, 9):  # cell (i, j) of all windows
        dx[:, :, i : i + 23 : 2, j : j + 23 : 2] += dcol[:, :, i, j]
    return dx


def covered(x, fill=0.0, size=8, step=2):
    starts = list(itertools.product(range(0, 33 - size, step), repeat=2))
    copies = np.repeat(x[None], len(starts), axis=0)
    for copy, (top, left) in zip(copies, starts, strict=True):
        copy[:, top : top + size, left : left + size] = fill
    return copies


def occlusion_map(p, x, k, fill=0.0, size=8, step=2):
    drops = forward(p, x[None])[0][0, k] - forward(p, covered(x, fill, size, step))[0][:, k]
    return drops.reshape(-1, (32 - size) // step + 1)


# %% [markdown]
# ## 6. Prove it
#
# **The gradient.** First the measured slope of lesson 00, at twenty pixels of four test images. The step is small, 1e-6,
# because a larger one may switch a ReLU.

# %%
four, classes = x_test[:4], y_test[:4]
g = image_gradient(net, four, classes)
rng = np.random.default_rng(12)
worst = 0.0
for n, c, i, j in zip(rng.integers(4, size=20), rng.integers(3, size=20), *rng.integers(32, size=(2, 20)), strict=True):
    up, down = four[n : n + 1].copy(), four[n : n + 1].copy()
    up[0, c, i, j] += 1e-6
    down[0, c, i, j] -= 1e-6
    slope = (forward(net, up)[0] - forward(net, down)[0])[0, classes[n]] / 2e-6
    worst = max(worst, abs(slope - g[n, c, i, j]))
assert worst < 1e-6 < np.abs(g).max()
print("20 measured slopes agree with the gradient")

# %% [markdown]
# **The last line of 4.2.** We cover one patch only a little, by t = 1e-5. The drop, divided by t, must be the first-order guess.
# **The integral.** We cover it in 400 small steps, and add what the gradient says in the middle of each step. The sum must be the drop
# $D_P$. (The gradient jumps where a ReLU switches, so the sum of the steps is not exact. We allow 0.01.)


# %%
def first_order(g, x, fill=0.0, size=8, step=2):
    """For each square the sum of g_i (x_i - fill): a map like that of occlusion_map. g, x: (3, 32, 32)."""
    product = (g * (x - fill)).sum(axis=0)
    seen = np.lib.stride_tricks.sliding_window_view(product, (size, size))[::step, ::step]
    return seen.sum(axis=(2, 3))


one, k = four[0], classes[:1]
full = covered(one)[84]  # the square in the middle: line 6, column 6 of the map
guess = first_order(g[0], one)[6, 6]
little = (forward(net, one[None])[0] - forward(net, (one + 1e-5 * (full - one))[None])[0])[0, k[0]] / 1e-5
assert abs(little - guess) < 1e-6
t = (np.arange(fast(400, 50)) + 0.5) / fast(400, 50)
path = one + t[:, None, None, None] * (full - one)
integral = (image_gradient(net, path, np.repeat(k, len(t))) * (one - full)).sum() / len(t)
drop = occlusion_map(net, one, k[0])[6, 6]
assert abs(integral - drop) < fast(0.01, 0.1)
print("covered by 0.001 %: drop / t =", f"{little:.4f}", "  first-order guess", f"{guess:.4f}")
print("covered whole:      drop     =", f"{drop:.4f}", "  integral of the gradient", f"{integral:.4f}")

# %% [markdown]
# So both formulas are right, and the two lines have different numbers. The first line is what the gradient at the image says, and the
# second is what occlusion says.
#
# **The gray share.** We compute it for filters with random weights, and for two filters whose share is known. **Rho.** It says how far 4.4
# expects an image to be from its moved copy. Part 8 measures this distance itself.

# %%
noise = rng.standard_normal((2000, 3, 9, 9))
say("random filters have a gray share of 0.333 on average", value=gray_shares(noise).mean(), within=0.002)
known = np.stack([np.repeat(noise[:1, 0], 3, axis=0), np.stack([noise[0, 0], -noise[0, 0], 0 * noise[0, 0]])])
assert np.abs(gray_shares(known) - [1, 0]).max() < 1e-12


def moved(x, by=2):
    """Images moved to the right; the left column of pixels is repeated where nothing comes in."""
    return np.pad(x, ((0, 0), (0, 0), (0, 0), (by, 0)), mode="edge")[:, :, :, : x.shape[3]]


middle = x_test[:200] - x_test.mean()
rho = (middle * moved(middle)).sum() / (middle**2).sum()
say("rho of the synthetic images is 0.82", value=rho, within=0.005)
say("so the moved image should be at 0.42 of the distance of two images", value=(1 - rho) ** 0.5, within=0.005)
long = noise.reshape(2000, 1, 1, 243)  # 2,000 images of one line of noise: rho is 0
ratio = np.diag(distances(long[:, 0, 0], moved(long)[:, 0, 0])).mean() / distances(long[:99, 0, 0], long[99:, 0, 0]).mean()
say("noise and its moved copy are 1.00 times as far apart as two noises", value=ratio, within=0.01)

# %% [markdown]
# ## 7. The same as the engine
#
# We build the engine's net of the same layers, with the same weights in float64. The engine's own nets give their conv1
# `input_gradient=False`, so training computes no dx. Here conv1 has the default, True, and `backward` of the net returns dx. The engine has
# no occlusion map. The rest is in `tinyalex/analysis/`: `gray_shares` and `specialization` in `specialization.py`, `squared_distances` and
# `Nearest` in `nearest.py`, `mosaic` in `panels.py`.

# %%
from tinyalex.analysis import nearest as engine_nearest, panels, specialization as engine_special
from tinyalex.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential

exact = {"dtype": np.float64}
engine = Sequential([
    Conv2d(3, 24, 9, stride=2, name="conv1", **exact), MaxPool2d(2, stride=2, **exact), ReLU(**exact), Flatten(**exact),
    Linear(864, 64, name="fc2", **exact), ReLU(**exact), Linear(64, 10, name="fc3", **exact),
])  # fmt: skip
for name, layer in (("1", "conv1"), ("2", "fc2"), ("3", "fc3")):
    engine.params[f"{layer}.weight"][...] = net[f"w{name}"]
    engine.params[f"{layer}.bias"][...] = net[f"b{name}"]
theirs = engine.forward(four, train=True)
assert np.abs(theirs - forward(net, four)[0]).max() < 1e-12
dx = engine.backward(np.eye(10)[classes])
assert np.abs(dx - g).max() < 1e-12
print("scores and image gradient are equal to the engine's, to 1e-12")

# %%
filters = net["w1"]
assert np.abs(gray_shares(filters) - engine_special.gray_shares(filters)).max() < 1e-12
scaled = filters / np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
assert np.abs(sheet(filters) - panels.mosaic(0.5 + 0.5 * scaled.transpose(0, 2, 3, 1), 12)).max() < 1e-12
a, b = rng.standard_normal((5, 7)), rng.standard_normal((40, 7))
assert np.abs(distances(a, b) - np.sqrt(engine_nearest.squared_distances(a, b))).max() < 1e-12
found = engine_nearest.Nearest(a, 6)
found.add(b[:25])
found.add(b[25:])
assert (found.places == np.argsort(distances(a, b), axis=1, kind="stable")[:, :6]).all()
print("gray shares, sheet, distances and the six nearest are equal to the engine's")

# %% [markdown]
# ## 8. Experiment
#
# ### The quiz, opened

# %%
for number, name in enumerate(order, 1):
    print(f"sheet {number}: {name}")
print(f"You chose sheet {chosen}: {order[chosen - 1]}")
right = {name: (forward(p, x_test)[0].argmax(axis=1) == y_test).mean() for name, p in nets.items()}
say("untrained: 11 % of the test images are right", value=right["untrained"], within=0.01)
say("trained: 94 %", value=right["trained"], within=0.015, full_only=True)
say("shuffled: 10 %, no better than a guess", value=right["shuffled"], within=0.025, full_only=True)
of_its_own = np.mean([(forward(nets["shuffled"], some)[0].argmax(axis=1) == dealt_labels).mean()
                      for some, dealt_labels in zip(np.split(x_train, 15), np.split(shuffled, 15), strict=True)])  # fmt: skip
say("shuffled, on its training images and their shuffled labels: 24 %", value=of_its_own, within=0.05, full_only=True)
reveal("12-a")


# %% [markdown]
# Sheet 3 is easy: it is noise, so this net has not been trained. The other two look trained, and both are. Sheet 1 is the more colorful
# one, and a picture like it could stand in a paper. Its net knows nothing about the classes. Shuffled labels can only be learned by
# heart, image by image, and the net has hardly begun: of its training images it answers 24 % with their shuffled label. A guess gives
# 10 %. The filters have still taken on the smoothness and the colors of the images. **Structure in the filters shows that gradients
# have passed through them. It does not show that the net answers right.** Only a test shows this.
#
# Sheet 2 has hardly any color. In these images color says nothing about the class, because it is drawn at random. But an edge between light
# and dark belongs to a shape. So the net has found that it should look at brightness. Nobody has told it so. The gray share says it with a
# number. Random weights have one third. The images themselves have a share too, and the shuffled net comes near it:

# %%
shares = {name: gray_shares(p["w1"]).mean() for name, p in nets.items()}
say("untrained: mean gray share 0.34", value=shares["untrained"], within=0.01)
say("trained: 0.86", value=shares["trained"], within=0.05, full_only=True)
say("shuffled: 0.53", value=shares["shuffled"], within=0.06, full_only=True)
say("the training images: 0.55", value=gray_shares(x_train).mean(), within=0.01)

# %% [markdown]
# ### Gradient and occlusion
#
# We take four test images that the trained net answers right, and draw four things of each: the image; the sum over the colors of |g|,
# where white is large; the first-order guess; and the occlusion map. The last two have a cell for each square, drawn at the middle of the
# square. Red means that the score falls if this square is covered, and blue that it rises. Each map has its own scale.

# %%
answers = forward(net, x_test)[0].argmax(axis=1)
good = np.flatnonzero(answers == y_test)[: fast(100, 20)]
x_good, y_good = x_test[good], y_test[good]
slopes = image_gradient(net, x_good, y_good)
guesses = np.stack([first_order(g, x) for g, x in zip(slopes, x_good, strict=True)])
maps = np.stack([occlusion_map(net, x, k) for x, k in zip(x_good, y_good, strict=True)])
fig, axes = plt.subplots(4, 4, figsize=(5.6, 5.9), layout="constrained")
for at, line in enumerate(axes):
    line[0].imshow(data.test_images[good[at]].transpose(1, 2, 0))
    line[1].imshow(np.abs(slopes[at]).sum(axis=0), cmap="gray")
    for ax, m in zip(line[2:], (guesses[at], maps[at]), strict=True):
        ax.imshow(m, cmap="RdBu_r", vmin=-np.abs(m).max(), vmax=np.abs(m).max(), extent=(2.5, 28.5, 28.5, 2.5))
        ax.set(xlim=(-0.5, 31.5), ylim=(31.5, -0.5))
    for ax in line:
        ax.set_axis_off()
for ax, title in zip(axes[0], ("image", "|gradient|", "first-order guess", "occlusion"), strict=True):
    ax.set_title(title, fontsize=10)
show(fig, alt="Four rows of pictures: a light cross, three white stripes, a dark green corner and a pale board of checks, each with three "
     "maps. The gradient is a mottled pattern of white spots in and round the shape. The first-order guess has broad red spots on the "
     "arms of the cross, and a white hole in its middle. The occlusion map of the cross is red all over the cross, in its middle too. "
     "In the other rows the two colored maps look much alike.")  # fmt: skip

# %% [markdown]
# Look at the middle of the cross. Its image is the one of part 6, and its middle square is the one that we covered slowly there.

# %%
say("The gradient expects a drop of 0.01", value=guesses[0][6, 6], within=0.05, full_only=True)
say("the drop is 4.9", value=maps[0][6, 6], within=0.2, full_only=True)
before, after = forward(net, np.stack([x_good[0], covered(x_good[0])[84]]))[0]
k = y_good[0]
print(f"the score of the class: {before[k]:.1f} before, {after[k]:.1f} after; the next score after: {np.sort(after)[-2]:.1f}")

# %% [markdown]
# The gradient expects hardly any change if the middle is covered. But the score falls by a quarter: on the way the gradient has changed,
# as 4.2 says. (The score is still the largest. A drop does not mean that the answer changes.) How alike are the maps over 100 images? We
# take the correlation of two maps (1: they rise and fall together; 0: they have nothing in common), and its median over the images.


# %%
def alike(first, second):
    return np.median([np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(first, second, strict=True)])


size = np.stack([first_order(np.abs(g), np.ones_like(g)) for g in slopes])  # the sum of |g| over each square
say("occlusion and the first-order guess: correlation 0.91", value=alike(maps, guesses), within=0.05, full_only=True)
say("occlusion and the size of the gradient: 0.59", value=alike(maps, size), within=0.03, full_only=True)

# %% [markdown]
# So the gradient often points to the right places, **if** it is multiplied by what is covered. Its bare size does it less well. A test that
# needs no eye: cover the square which a map calls the most important one. How often is the answer wrong afterwards?


# %%
def wrong_after(places):
    """The share of wrong answers if square number places[n] of image n is covered."""
    picked = np.stack([covered(x)[at] for x, at in zip(x_good, places, strict=True)])
    return (forward(net, picked)[0].argmax(axis=1) != y_good).mean()


def top(maps):
    return maps.reshape(len(maps), -1).argmax(axis=1)


by_chance = np.mean([wrong_after(np.random.default_rng(seed).integers(169, size=len(good))) for seed in range(5)])
say("by occlusion: 44 % are wrong", value=wrong_after(top(maps)), within=0.03, full_only=True)
say("by the first-order guess: 30 %", value=wrong_after(top(guesses)), within=0.03, full_only=True)
say("by the size of the gradient: 15 %", value=wrong_after(top(size)), within=0.03, full_only=True)
say("a square by chance: 7 %", value=by_chance, within=0.04, full_only=True)

# %% [markdown]
# It is no wonder that occlusion is best here: it has tried all squares. It takes 170 forward passes, and the gradient takes one forward and
# one backward pass.
#
# **The fill counts.** Gray is not "nothing". Now we cover with black (-2) and with white (2) instead:

# %%
fills = {fill: np.stack([occlusion_map(net, x, k, fill) for x, k in zip(x_good, y_good, strict=True)]) for fill in (-2.0, 2.0)}
say("black and gray: correlation 0.06", value=alike(maps, fills[-2.0]), within=0.15, full_only=True)
say("white and gray: -0.20", value=alike(maps, fills[2.0]), within=0.15, full_only=True)
same_square = np.mean([(top(maps) == top(other)).mean() for other in fills.values()])
say("the most important square is the same in 4 %", value=same_square, within=0.04, full_only=True)

# %% [markdown]
# A black square has stronger edges than a gray one, and this net looks for edges. So the map may show what the *square* does, more than
# what was below it. **An occlusion map without its fill and the size of its squares says little.** Back to the gradient and
# the drop, now in the one unit of prediction 12-d:

# %%
reveal("12-d")

# %% [markdown]
# ### Neighbors
#
# For 200 test images we search the six nearest of 3,000 training images: by pixels, and by the codes of the three nets. How many of the
# six have the class of the test image? In the picture these have a blue frame. No net was trained on the test images.

# %%
gallery, queries = x_train.reshape(3000, -1), x_test[:200].reshape(200, -1)


def code_of(p, x):
    return np.concatenate([forward(p, some)[1][3] for some in np.split(x, len(x) // 200)])  # the tables of 3,000 images would be large


def six(far):
    return np.argsort(far, axis=1, kind="stable")[:, :6]


far = {"pixels": distances(queries, gallery)}
far |= {name: distances(code_of(p, x_test[:200]), code_of(p, x_train)) for name, p in nets.items()}
of_six = {name: 6 * (y_train[six(d)] == y_test[:200, None]).mean() for name, d in far.items()}
print("of six, on average:", {name: round(float(n), 2) for name, n in of_six.items()}, " by chance: 0.6")
reveal("12-b")
say("by the codes of the trained net: 5.6 of six", value=of_six["trained"], within=0.15, full_only=True)
say("by the codes of the untrained net: 1.6", value=of_six["untrained"], within=0.1)
say("by those of the net with shuffled labels: 1.7", value=of_six["shuffled"], within=0.3, full_only=True)

# %%
chosen_queries = [0, 1, 2]
frames = np.ones((3, 13, 36, 36, 3))
for line, at in zip(frames, chosen_queries, strict=True):
    found = np.concatenate([six(far["trained"])[at], six(far["pixels"])[at]])
    tiles = [data.test_images[at], *data.train_images[found]]
    for k, (frame, tile) in enumerate(zip(line, tiles, strict=True)):
        if k and y_train[found[k - 1]] == y_test[at]:
            frame[...] = (0, 0.447, 0.698)  # a blue frame: the class of the query
        frame[2:34, 2:34] = tile.transpose(1, 2, 0) / 255
picture = frames.transpose(0, 2, 1, 3, 4).reshape(3 * 36, 13 * 36, 3)
picture = np.insert(picture, [36] * 8 + [7 * 36] * 8, 1.0, axis=1)  # white between the groups
fig, ax = plt.subplots(figsize=(6.6, 1.9), layout="constrained")
ax.imshow(picture, interpolation="nearest")
ax.set_axis_off()
for x, words in ((0, "image"), (46, "nearest by code"), (270, "nearest by pixels")):
    ax.text(x, -4, words, fontsize=9)
show(fig, alt="Three rows: a cross, stripes and a corner, each with six nearest images by code and six by pixels. By code all eighteen "
     "have a blue frame: the same shape in other colors. By pixels the colors are alike and the shapes differ: disks, a star and a "
     "crescent beside the cross. Two of six have a frame for the cross, one for the stripes, and five for the dark corner.")  # fmt: skip
between = np.argsort(np.argsort(far["pixels"], axis=1), axis=1)
rank = np.median(np.take_along_axis(between, six(far["trained"]), axis=1)) + 1
say("The median neighbor by code has rank 550 of three thousand by pixels", value=rank, within=20, full_only=True)

# %% [markdown]
# This is the paper's sentence, measured: the retrieved images are not close in pixels. They have other colors and another ground, and the
# same shape. The numbers say two more things. The codes of the *untrained* net are no better than the pixels: they are sums of
# pixels with random weights, and then ReLUs. And the net with shuffled labels has trained as long as the other one, and its codes are no
# better either. **It is not the 64 numbers that make the codes good. It is the labels.**
#
# Six neighbors of the right class are also what one may expect of a net that is right 94 times out of 100. The class is read from the code,
# by one more layer. So the count is no second proof that the net "understands".
#
# ### The same distance, four ways
#
# We move the test images by two pixels. Then we change each image in three other ways, and make each change so large that its distance in
# pixels is **exactly the same**: all pixels lighter by one amount; noise; and a part of an image of another class mixed in.
#
# The table says how far each changed image is from its original, in pixels and in code, and how often the net's answer stays the same. The
# unit is the median distance of two images of different classes.

# %%
images = x_test[:200]
step = np.sqrt(((moved(images) - images) ** 2).sum(axis=(1, 2, 3)))
rng = np.random.default_rng(3)
others = x_train[[rng.choice(np.flatnonzero(y_train != label)) for label in y_test[:200]]]


def as_far(change):
    """The images plus a change, which is scaled so that the distance in pixels is that of the moved images."""
    return images + change * (step / np.sqrt((change**2).sum(axis=(1, 2, 3))))[:, None, None, None]


ways = {
    "moved": moved(images),
    "lighter": as_far(np.ones_like(images)),
    "noise": as_far(rng.standard_normal(images.shape)),
    "mixed": as_far(others - images),
}
other_class = y_test[:200, None] != y_train
unit = {name: np.median(far[name][other_class]) for name in ("pixels", "trained")}  # the median distance of two classes


def moved_by(before, after, name):
    return np.median(np.sqrt(((after - before) ** 2).reshape(200, -1).sum(axis=1))) / unit[name]


print("          in pixels  in code  same answer")
in_pixels, in_code = {}, {}
for name, x in ways.items():
    in_pixels[name] = moved_by(images, x, "pixels")
    in_code[name] = moved_by(code_of(net, images), code_of(net, x), "trained")
    same_answer = (forward(net, x)[0].argmax(axis=1) == answers[:200]).mean()
    print(f"{name:10}{in_pixels[name]:9.2f}{in_code[name]:9.2f}{same_answer:12.0%}")
reveal("12-c")

# %%
fig, axes = plt.subplots(1, 5, figsize=(6.4, 1.6), layout="constrained")
for ax, (name, x) in zip(axes, {"image": images, **ways}.items(), strict=True):
    ax.imshow(np.clip(x[3] / 4 + 0.5, 0, 1).transpose(1, 2, 0))
    ax.set_title(name, fontsize=10)
    ax.set_axis_off()
show(fig, alt="Five small pictures. The image: a pale board of checks on green, with a violet bar and a thin blue line. Moved: the "
     "same, two pixels to the right. Lighter: the same, paler. Noise: colored grains over everything, the bars are just seen. Mixed: a "
     "pink cross lies over the pale bars, and the green has become brown.")  # fmt: skip
say("moved by two pixels: 0.42 in pixels", value=in_pixels["moved"], within=0.005)
say("moved: 0.31 in code", value=in_code["moved"], within=0.06, full_only=True)
say("lighter: 0.08 in code", value=in_code["lighter"], within=0.04, full_only=True)
say("noise: 0.10 in code", value=in_code["noise"], within=0.05, full_only=True)
say("mixed: 0.48 in code", value=in_code["mixed"], within=0.03, full_only=True)

# %% [markdown]
# In pixels all four changes are equally large: the distance in pixels cannot tell them apart. In code they differ. A lighter image and a
# noisy one hardly move. The mixed image goes nearly half of the way to another class. The moved image lies between: one convolution and one
# pooling make the code only partly blind to where the shape is.
#
# One more number says why neighbors by pixels fail. Compare images of the same class with images of different classes:

# %%
for name in ("pixels", "trained"):
    print(f"{name:8} same class / different classes: {np.median(far[name][~other_class]) / unit[name]:.2f}")
one_class = np.median(far["pixels"][~other_class]) / unit["pixels"]
say("In pixels, images of one class are at 0.98 of the distance of two classes", value=one_class, within=0.01)

# %% [markdown]
# ### The two towers
#
# The paper says that the two cards specialize in every run, and gives no number. We have one: the difference between the mean gray shares
# of the two towers. The repository holds a small AlexNet with two towers, trained on CIFAR-10 (a JPEG-recompressed copy), with seed 0. Its
# conv1 has 16 filters of 5 by 5 pixels on each tower.
#
# The filters of one tower differ among themselves. So two halves always differ a little. How large a difference does chance make? We deal
# the 32 filters out to two halves at random, 10,000 times, and look at the difference each time. These differences are the
# **null distribution**. The share of deals that differ at least as much as the towers is called **p**. (The towers themselves count as one
# more deal, so p is never 0.)

# %%
from tinyalex.models import cifar_alexnet
from tinyalex.models.weights import load_weights
from tinyalex.tutor.syllabus import FOLDER

RUN = FOLDER.parent / "examples" / "results" / "cifar-alexnet" / "two-towers" / "weights.safetensors"
if not RUN.is_file():
    raise FileNotFoundError("examples/results/cifar-alexnet must be there, got no weights; clone the whole repository")
towers = cifar_alexnet(seed=0, dtype=np.float64)
first_weights = towers.params["conv1.weight"].copy()
load_weights(RUN, towers)
two_towers = towers.params["conv1.weight"].copy()


def dealt(filters, deals=10_000):
    """The difference of the towers, the differences of random halves, and p."""
    shares = gray_shares(filters)
    half = len(shares) // 2
    mixed = np.random.default_rng(0).permuted(np.tile(shares, (deals, 1)), axis=1)
    chance = np.abs(mixed[:, :half].mean(axis=1) - mixed[:, half:].mean(axis=1))
    difference = shares[:half].mean() - shares[half:].mean()
    return difference, chance, (1 + (chance >= abs(difference) * (1 - 1e-12)).sum()) / (1 + deals)


difference, chance, p = dealt(two_towers)
theirs = engine_special.specialization(two_towers)
assert abs(theirs.p - p) < 1e-12 and abs(theirs.difference - abs(difference)) < 1e-12
assert abs(np.quantile(chance, 0.95) - theirs.null) < 1e-12
shares = gray_shares(two_towers)
say("tower a: mean gray share 0.40", value=shares[:16].mean(), within=0.005)
say("tower b: 0.57", value=shares[16:].mean(), within=0.005)
say("the towers differ by 0.17", value=abs(difference), within=0.005)
say("Only one random deal in twenty differs by more than 0.155", value=np.quantile(chance, 0.95), within=0.001)
say("p is 0.034", value=p, within=0.001)

# %%
fig, (left, middle, last) = plt.subplots(1, 3, figsize=(6.8, 2.3), layout="constrained", gridspec_kw={"width_ratios": [1, 1, 1.5]})
for ax, own, name in ((left, two_towers[:16], "tower a"), (middle, two_towers[16:], "tower b")):
    ax.imshow(sheet(own, 4), interpolation="nearest")
    ax.set_title(f"{name}: {gray_shares(own).mean():.2f}", fontsize=10)
    ax.set_axis_off()
last.hist(chance, bins=40, color="#BBBBBB")
last.axvline(abs(difference), color="#C04A00")
last.text(abs(difference) + 0.004, 560, "towers", color="#C04A00", fontsize=9)
last.set(xlabel="difference of two halves", yticks=[])
show(fig, alt="Left, 16 filters of tower a, with the number 0.40: many are green, blue or red. Middle, 16 of tower b, with 0.57: more of "
     "them are dark and light stripes, but some are colored. Right, a gray histogram of the difference of random halves. It falls from 0 "
     "to nearly nothing at 0.2. A line marks the towers at 0.17, in its thin tail.")  # fmt: skip

# %% [markdown]
# p is below 0.05, so by the usual rule the towers differ more than chance explains. Before you believe it, look at the **first** weights of
# the same net. They are random numbers, and no tower has learned anything:

# %%
before, _, p_before = dealt(first_weights)
print(f"first weights: tower a minus tower b {before:+.3f}   after training {difference:+.3f}")
say("p of the first weights is 0.032", value=p_before, within=0.003)
null_rng = np.random.default_rng(1)
p_values = [dealt(null_rng.standard_normal((32, 3, 5, 5)), 500)[2] for _ in range(fast(1000, 100))]
say("among nets of random filters, 4 % have a p of at most one twentieth", value=np.mean(np.array(p_values) <= 0.05),
    within=0.015, full_only=True)  # fmt: skip

# %% [markdown]
# About one net of random filters in twenty has such a p, and seed 0 happens to be one. There tower a is the *grayer* one, and after
# training tower b is. So this one run shows a difference that is rather large for chance, and no more. Two more reasons for care:
#
# - The deals assume that the filters are independent of each other. But the 16 filters of a tower have learned together. So p is only a
#   rough guide here.
# - The paper's conv1 has 48 filters of 11 by 11 on each card, and saw 1.2 million photographs. Whoever finds nothing in our small net has
#   not shown that the paper is wrong.
#
# The paper says "every run". Whoever tests these words needs several runs, and the same runs without the cut. `tinyalex claims` makes three
# of each. `examples/results/claims` says how many of them are finished, and with what result.

# %% [markdown]
# ## 9. What people get wrong
#
# We have not counted how often people get these wrong. Most come from looking at filters and maps without asking what was measured.
#
# **"Card 1 sees no color and card 2 does: it is a law."** Nothing in the equations tells the towers apart, so chance decides which
# of them turns gray. The paper's words in brackets say the same. Part 8 has one run, with p = 0.034, and random first weights with 0.032.
#
# **"The neighbors are the images that look alike."** That depends on the distance. By pixels 1.8 of six neighbors have the class, by the
# code 5.6, and half of the neighbors by the code have a rank beyond 500 by pixels.
#
# **"A filter with large weights is an important one."** (Our sheets hide how large they are: each filter is divided by its largest
# magnitude.) ReLU passes a positive factor on: relu(10 a) is 10 relu(a), and pooling does so too. So we may multiply a filter and its bias
# by 10, and divide the weights that read its channel by 10. The filter has ten times the weights, and the scores are the same:

# %%
louder = {name: value.copy() for name, value in net.items()}
louder["w1"][5] *= 10
louder["b1"][5] *= 10
louder["w2"].reshape(64, 24, 36)[:, 5] /= 10
assert np.abs(forward(louder, four)[0] - forward(net, four)[0]).max() < 1e-12
print("filter 5 has ten times the weights, and all scores are equal to 1e-12")

# %% [markdown]
# To know what a filter is worth, take it away. In our net the filters with the largest weights are indeed those that cost most. But this
# comes from the training: the change above makes weights larger, and no filter more costly.

# %%
largest, cost = np.abs(net["w1"]).max(axis=(1, 2, 3)), []
for m in range(24):
    less = net | {"w1": net["w1"].copy(), "b1": net["b1"].copy()}
    less["w1"][m], less["b1"][m] = 0, 0
    cost.append(right["trained"] - (forward(less, x_test)[0].argmax(axis=1) == y_test).mean())
say("correlation of largest weight and cost: 0.81", value=np.corrcoef(largest, cost)[0, 1], within=0.25, full_only=True)
print(f"the most costly filter: {max(cost):.1%} of the test images; the median one: {np.median(cost):.1%}")

# %% [markdown]
# **"The occlusion map is a gradient map."** It is an integral of the gradient, times what was covered. In the middle of the cross the
# gradient expects a drop of 0.01, and the drop is 4.9. Neither map is the wrong one: they answer two questions.
#
# **"Where the map is 0, the net does not look."** In 4.3 the score of the third line needs one of two patches, and both drops are 0. And a
# gray square on a gray place covers nothing.
#
# **"Filters of deeper layers can be drawn like those of conv1."** A filter of conv1 has three channels, and the eye has three colors. A
# filter that reads conv1 has one channel for each filter of conv1, 24 here. Three of them as red, green and blue mean nothing: the
# order of the channels is arbitrary. Let us number the filters of conv1 in the opposite order:

# %%
turned = {name: value.copy() for name, value in net.items()}
turned["w1"], turned["b1"] = net["w1"][::-1], net["b1"][::-1]
turned["w2"] = net["w2"].reshape(64, 24, 36)[:, ::-1].reshape(64, 864)
assert np.abs(forward(turned, four)[0] - forward(net, four)[0]).max() < 1e-12
first_three = [weights["w2"].reshape(64, 24, 6, 6)[0, :3] for weights in (net, turned)]  # what would be red, green and blue
print("the same scores, to 1e-12; the correlation of the two pictures:", f"{np.corrcoef(*[one.ravel() for one in first_three])[0, 1]:.2f}")

# %% [markdown]
# For deeper layers, look at images that excite a filter most: `tinyalex filters --layer conv2 --images 500`.
#
# **"These filters have structure, so the net works."** Sheet 1 of the quiz has structure, and its net answers 10 % right. And the other way
# round, noise in a filter does not prove that it has learned nothing. In the net with two towers a filter still resembles its first
# weights:

# %%
kept_noise = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(first_weights, two_towers, strict=True)]
say("median correlation of a filter with its first weights: 0.75", value=np.median(kept_noise), within=0.02)

# %% [markdown]
# **"Figure 3 shows two layers that read the image."** The paper's text says "the network's two data-connected layers". In its net only
# conv1 reads the image, one half on each card. The program of 2012 has earlier nets, in which a second layer did read a small, blurred
# copy of the image. The words may come from there.
#
# ### Summary
#
# Filters are found by training, and they show what the training needed: here light and dark, because color was drawn at random. Structure
# in them proves that a net was trained, and not that it is right. The gradient with respect to an image is one more step of the backward
# pass. An occlusion map adds up this gradient, times what is covered, on the way to the covered patch. It depends on the fill. In pixels
# images of one class are as far from each other as images of different classes. In the code of a net that has learned the labels the
# neighbors have the same class. A difference of two towers must be compared with the differences that chance makes.
#
# ### Read on
#
# - The engine: `tinyalex/analysis/specialization.py`, `nearest.py` and `inside.py`, and `passes_of` in `tinyalex/explore/passes.py`. The
#   commands: `tinyalex filters`, `tinyalex features`, `tinyalex neighbors`, and `tinyalex explore`, which draws a page for a picture of
#   yours. Each works with `figure1`, a net for photographs that comes with the package.
# - Next: lesson 13, on what makes a net fast.
#
# Two questions to write about, a few sentences each:
#
# 1. Somebody shows you twenty sharp filters, four occlusion maps and five rows of neighbors, and says that their net works. Which three
#    numbers do you ask for, and why does none of the pictures give them?
# 2. You train the net with two towers with ten seeds, and find p below 0.05 in three of them, with tower a grayer in two. What do you
#    report? What would you train in addition?
