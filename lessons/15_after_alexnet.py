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
# # 15  After AlexNet
#
# Paper section 7, about 75 minutes, needs lessons 00, 02, 03, 05, 06, 07 and 09, holds exercise E13.
#
# Afterwards you can derive the backward pass of batch normalization and of a residual block, and you can say why deeper nets stopped
# learning and what a sum changed.

# %%
import json
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import adds, fast, say, show
from tinyalex.tutor.syllabus import FOLDER

# %% [markdown]
# ## 1. The paper's sentence
#
# > "It is notable that our network's performance degrades if a single convolutional layer is removed. For example, removing any of the
# > middle layers results in a loss of about 2% for the top-1 performance of the network. So the depth really is important for achieving our
# > results."
#
# (Section 7.) If depth is important, then more depth should be better. In 2014 the nets of the ImageNet contest had 19 and 22 layers with
# weights, where AlexNet has 8. Then more layers stopped helping: a plain chain of 34 or 56 layers was *worse* than a shorter one. It did
# not overfit. Its **training** error was larger than that of the shorter net. This is called the **degradation problem**.
#
# It should not be possible. Take a shallow net that is good, and put layers behind it that change nothing. This deep net is as good as the
# shallow one. So good weights exist, but gradient descent does not find them.
#
# Two ideas of 2015 carried nets from 22 layers to 152:
#
# - **Batch normalization** (Ioffe and Szegedy): give each channel of a batch the mean 0 and the variance 1, after every layer.
# - The **residual block** (He, Zhang, Ren and Sun): let a few layers compute f(x), and give f(x) + x to the next ones. If nothing needs
#   to be changed, f only has to become 0.
#
# The second backward pass is one line. The first is the longest derivation of these lessons. Both end in a sentence that you know: a
# gradient adds where a value is used more than once.

# %% [markdown]
# ## 2. Predict
#
# Run the cells, and replace each guess by your own before you read on. A **block** is a group of layers, f is what it computes, and "the
# slope of f" is the number by which a small change of its input is multiplied.

# %% tags=["predict"]
predict("15-a", 50)

# %% tags=["predict"]
predict("15-b", 0.1)

# %% tags=["predict"]
predict("15-c", 1)

# %% tags=["predict"]
predict("15-d", 600)

# %% [markdown]
# ## 3. The equations
#
# **The residual block.** x is an array, f any chain of layers whose output has the shape of x:
#
# $$y = f(x) + x$$
#
# The way through f is called the **branch**, and the way past it the **shortcut**. Here the shortcut has no weights. Part 7 shows one
# that has.
#
# **Batch normalization.** The input x and the output out have the shape (N, C, H, W). Each channel is treated by itself, so take one
# channel. It has m = N H W values in the batch: all places of all images. The letter i runs over them.
#
# $$\begin{array}{rll}
# \text{mean} &= (1/m) \sum_i x_i & \quad \text{one number} \\
# d_i &= x_i - \text{mean} & \quad m \text{ numbers} \\
# \text{var} &= (1/m) \sum_i d_i^2 & \quad \text{one number} \\
# s &= (\text{var} + \text{eps})^{-1/2} & \quad \text{one number} \\
# y_i &= d_i\, s & \quad m \text{ numbers} \\
# \text{out}_i &= \text{weight}\; y_i + \text{bias} & \quad m \text{ numbers}
# \end{array}$$
#
# | name | what it is |
# |---|---|
# | mean, var | the mean and the variance of the channel, over all places of all images of the batch |
# | eps | a small number, such as 0.00001, so that a channel of equal values does not divide by 0 |
# | s | 1 over the root of var + eps. (In lesson 05 s was what we divided by. Here we multiply by it.) |
# | y | the normalized channel, with mean 0 and variance 1. (In a residual block y is the output.) |
# | weight, bias | two learned numbers for each channel, 1 and 0 at the start |
#
# A fully connected layer has C units in place of channels, and no lines and columns. Then H = W = 1, and m is N.
#
# Normalization would take something away: no channel could have another mean than 0. weight and bias give it back, if the net needs it.
#
# **When the net is used**, the output of an image must not depend on the other images of the batch. So while training, the layer keeps a
# running mean and a running variance, which follow those of the batches. Afterwards it normalizes with these two. They are constants
# then.

# %% [markdown]
# ## 4. The derivation
#
# ### 4.1 Many layers are a product of slopes
#
# Lesson 01 multiplied the slopes along 8 sigmoids. The same holds for any layers. If each of L layers multiplies a gradient by the number
# r, the first layer gets $r^L$ times what the last one gets:

# %%
for r in (0.8, 1.0, 1.2):
    print(f"slope {r}:  after 2 layers {r**2:5.2f}   after 20 layers {r**20:6.3f}")
reveal("15-a")

# %% [markdown]
# Two layers forgive a wrong r. Twenty do not: the gradient vanishes, or it explodes. First weights of the right size (lesson 01) bring r
# near 1, but they hold only at the start.
#
# ### 4.2 A sum
#
# In y = f(x) + x, x is used twice: by f, and by the sum itself. dy is the gradient that arrives at y. A sum sends dy to both of its terms,
# unchanged. The shortcut hands it on to x. f gets it too, and sends back what its own backward pass makes of it. Call this df. So
#
# $$\text{dx} = \text{dy} + \text{df}$$
#
# This is the line of the engine's docstring, in `tinyalex/layers/branches.py`. It is the picture of lessons 02, 03, 04, 05 and 10 again:

# %%
fig = adds("x", [("taken past f, by the shortcut", "dy"), ("read by the layers of f", "df")], size=(6, 2.5))
show(fig, alt="x, at the left, is copied by blue arrows to two uses. One copy is taken past f by the shortcut and sends back dy. The other "
     "is read by the layers of f and sends back df. An orange plus sign adds the two: dx = dy + df.")  # fmt: skip

# %% [markdown]
# ### 4.3 Twenty sums
#
# Let each f have the slope q. Then a block has the slope 1 + q, and L blocks have $(1 + q)^L$. Multiply this out for two blocks:
#
# $$(1 + q)(1 + q) = 1 + q + q + q^2$$
#
# There is a term for each way through the net: past both blocks, through the first, through the second, through both. With L blocks these
# are $2^L$ ways. One term is always the 1: past all of them. However small q is, this term does not become smaller. In a chain without
# shortcuts only the last term, $q^L$, is there.

# %%
q = 0.1
print(f"20 blocks without shortcuts: {q**20:.0e}    with shortcuts: {(1 + q) ** 20:.2f}")
reveal("15-b")

# %% [markdown]
# With the sums a gradient may also grow, as the 6.73 shows. So the slopes of the branches should be small. Batch normalization at the
# beginning of each branch helps with that: part 8 measures it.
#
# ### 4.4 Batch normalization: where is a value used?
#
# Take one channel. We are given $\text{dout}_i$ for all m values. First the two learned numbers. weight and bias are used at every one of
# the m places, so their gradients add:
#
# $$\begin{array}{rll}
# \text{dbias} &= \sum_i \text{dout}_i & \quad \text{one number for the channel} \\
# \text{dweight} &= \sum_i \text{dout}_i\, y_i & \quad \text{one number for the channel}
# \end{array}$$
#
# Then let $\text{dy}_i = \text{weight}\;\text{dout}_i$, the gradient at $y_i$. A value $x_j$ enters y in three ways:
#
# 1. in $d_j$ itself;
# 2. in the mean, which every $d_i$ contains;
# 3. in the variance, which every $y_i$ contains, by way of s.
#
# ### 4.5 The slope of a difference
#
# $d_i = x_i - \text{mean}$. The first term depends on $x_j$ if i is j. The mean always does, with the slope 1/m. As in lesson 05, $[i = j]$
# is 1 if i is j, and 0 otherwise.
#
# $$\frac{\partial d_i}{\partial x_j} = [i = j] - \frac{1}{m} \qquad\qquad (m, m)$$
#
# ### 4.6 The slope of the variance
#
# The variance is a mean of squares, so the chain rule brings a 2:
#
# $$\begin{array}{rll}
# \frac{\partial\, \text{var}}{\partial x_j} &= (2/m) \sum_i d_i\, ([i = j] - 1/m) & \quad \text{with 4.5} \\
# &= (2/m)\, d_j - (2/m^2) \sum_i d_i & \quad \text{the bracket leaves one term} \\
# &= (2/m)\, d_j & \quad (m)
# \end{array}$$
#
# The last sum is 0, because the $d_i$ are distances from their mean. So the way "from $x_j$ into the mean, and from there into the
# variance" sends nothing back.
#
# ### 4.7 The slope of s
#
# s is a power of var + eps. Its exponent -1/2 comes down, and the new exponent is -3/2. Since $s = (\text{var} + \text{eps})^{-1/2}$, this
# power is $s^3$:
#
# $$\begin{array}{rll}
# \frac{\partial s}{\partial x_j} &= -(1/2)\,(\text{var} + \text{eps})^{-3/2}\, (2/m)\, d_j & \quad \text{power rule, chain rule} \\
# &= -(1/2)\, s^3\, (2/m)\, d_j & \quad \text{one name for the power} \\
# &= -(s^2/m)\, y_j & \quad \text{because } d_j\, s = y_j
# \end{array}$$
#
# ### 4.8 The slope of an output
#
# $y_i = d_i\, s$ is a product, so the product rule gives two terms. $x_j$ is in both factors:
#
# $$\begin{array}{rll}
# \frac{\partial y_i}{\partial x_j} &= s\, \frac{\partial d_i}{\partial x_j} + d_i\, \frac{\partial s}{\partial x_j}
# & \quad (m, m) \\
# &= s\, ([i = j] - 1/m) - d_i\, (s^2/m)\, y_j & \quad \text{with 4.5 and 4.7} \\
# &= s\, ([i = j] - 1/m - y_i\, y_j / m) & \quad \text{because } d_i\, s = y_i
# \end{array}$$
#
# The bracket has three terms, one for each way.
#
# ### 4.9 All ways together
#
# Each $y_i$ sends back $\text{dy}_i$ times this slope, and we add over i. (dy is weight times dout, and the weight is the same for all i.)
#
# $$\text{dx}_j = s\,\text{weight} \sum_i \text{dout}_i\, ([i = j] - 1/m - y_i\, y_j / m)$$
#
# Take the three terms one by one. The first leaves $\text{dout}_j$. The second is the sum of dout over m. In the third, $y_j$ does not
# depend on i, and may stand before the sum:
#
# $$\text{dx}_j = s\,\text{weight}\, (\text{dout}_j - (1/m) \sum_i \text{dout}_i - y_j\, (1/m) \sum_i \text{dout}_i\, y_i)$$
#
# The two sums are known from 4.4:
#
# $$\text{dx}_j = s\,\text{weight}\, (\text{dout}_j - \text{dbias}/m - y_j\, \text{dweight}/m)$$
#
# This is the line of the engine's docstring, in `tinyalex/layers/batch_norm.py`. With running statistics, mean and s are constants. Only
# the first way is there: $\text{dx}_j = s\,\text{weight}\;\text{dout}_j$.
#
# For all channels at once, mean, s, weight, dbias and dweight have the shape (C,), and y, dout and dx have (N, C, H, W).
#
# ### 4.10 A small example by hand
#
# One channel has the four values x = (0, 2, 4, 6). Their mean is 3, and d = (-3, -1, 1, 3). The variance is (9 + 1 + 1 + 9) / 4 = 5. We
# take eps = 4, which is far too large, but then no root is left: s is $9^{-1/2}$ = 1/3. Let weight be 2, and let the loss be the first
# output, dout = (1, 0, 0, 0).

# %%
x, dout, weight, m = [0, 2, 4, 6], [1, 0, 0, 0], 2, 4
d = [value - 3 for value in x]
s = Fraction(1, 3)
y = [value * s for value in d]
dbias, dweight = sum(dout), sum(one * other for one, other in zip(dout, y, strict=True))
ways = [(s * weight * dout[j], -s * weight * dbias / m, -s * weight * y[j] * dweight / m) for j in range(m)]
by_hand = [sum(three) for three in ways]
print("y  =", *y, "\ndbias =", dbias, " dweight =", dweight, "\ndx =", *by_hand, "   their sum:", sum(by_hand))

# %% [markdown]
# Only the first output has a gradient, and yet three of the four inputs get one: they move the mean and the variance, and so they move the
# first output. (The fourth gets 0 because its two ways cancel here.) These are the three ways of the first value:

# %%
fig = adds("x[0]", [("in d[0] itself", float(ways[0][0])), ("in the mean", float(ways[0][1])), ("in the variance", float(ways[0][2]))])
show(fig, alt="The value x[0] is used three times: in d[0] itself, which sends back 0.667, in the mean, which sends back -0.167, and in "
     "the variance, which sends back -0.167. A plus sign adds them to 0.333.")  # fmt: skip
say("the sum is 0.333", value=float(by_hand[0]), within=0.001)

# %% [markdown]
# ### 4.11 What the formula says
#
# The formula takes two things from dout. The first is its mean, dbias/m. The second is a multiple of y: y times dweight/m, where dweight/m
# is the mean of the products $\text{dout}_i\, y_i$. What remains has two properties:
#
# - **The gradients of a channel add to 0:** $\sum_j \text{dx}_j = 0$. If all its values grow by 1, the mean grows by 1, and no output
#   changes. The sum is the slope for this change, so it is 0. In the example the four numbers of dx have the sum 0.
# - **Their products with y add to 0, if eps is 0:** $\sum_j \text{dx}_j\, y_j = 0$. If all distances d double, s is halved, and again no
#   output changes. In this change each $x_j$ moves by $d_j$, a multiple of $y_j$. But s is halved exactly only where eps is 0. With a
#   small eps the sum is small. Our example has eps = 4, which is large:

# %%
say("with this eps the products add to -0.296", value=float(sum(a * b for a, b in zip(by_hand, y, strict=True))), within=0.001)

# %% [markdown]
# If dout is the same everywhere, it is its own mean. Then dweight is 0 as well, and nothing is left.

# %%
reveal("15-c")

# %% [markdown]
# ## 5. Twenty lines of your own
#
# Write `batch_norm_backward(dout, x, mean, s, weight)`, which returns dx, dweight and dbias. dout and x have the shape (N, C, H, W), and
# mean, s and weight have the shape (C,), as the forward pass has computed them. eps is not given: s holds it already.
#
# This is exercise **E13**, about 30 minutes. Then, in a cell of your own, write `from tinyalex import tutor` and ask
# `tutor.check("E13", batch_norm_backward)`. Do this before you open the next cell.


# %% tags=["solution", "exercise:E13"]
def batch_norm_backward(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight = (dout * y).sum(axis=(0, 2, 3))
    dbias = dout.sum(axis=(0, 2, 3))
    center, along = dbias[:, None, None] / m, y * dweight[:, None, None] / m  # through the mean, through the variance
    return (s * weight)[:, None, None] * (dout - center - along), dweight, dbias


# %% [markdown]
# `[:, None, None]` makes (C, 1, 1) of (C,), and NumPy repeats it for all images, lines and columns.

# %% [markdown]
# ## 6. Prove it
#
# First the example of 4.10, with `Fraction` objects in the arrays. If your function keeps them as they are, nothing is rounded, and `==` is
# allowed. If it makes floats of them, it agrees to 1e-12.

# %%
exact_x, exact_dout = (np.array([Fraction(value) for value in values], object).reshape(4, 1, 1, 1) for values in (x, dout))
of_channel = (np.array([value], object) for value in (Fraction(3), s, Fraction(weight)))
dx = batch_norm_backward(exact_dout, exact_x, *of_channel)[0].ravel()
print("batch_norm_backward gives", *dx, "  exactly equal to the numbers by hand:", list(dx) == by_hand)
assert max(abs(float(one - other)) for one, other in zip(dx, by_hand, strict=True)) < 1e-12

# %% [markdown]
# Then the measured slope of lesson 00. No two of N, C, H and W are alike, and weight is not 1: part 9 shows why. The slopes are those of a
# loss that computes mean and s **again** in each call, because they change when x changes.

# %%
rng = np.random.default_rng(15)
N, C, H, W = 3, 4, 2, 5
EPS = 0.1
x = rng.standard_normal((N, C, H, W)) + np.arange(C)[:, None, None]
dout, weight, bias = rng.standard_normal((N, C, H, W)), rng.uniform(0.5, 2, C), rng.standard_normal(C)


def statistics(x, eps=EPS):
    return x.mean(axis=(0, 2, 3)), (x.var(axis=(0, 2, 3)) + eps) ** -0.5


def batch_norm(x, weight, bias):
    mean, s = statistics(x)
    return weight[:, None, None] * (x - mean[:, None, None]) * s[:, None, None] + bias[:, None, None]


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


def difference(one, other):
    """The norm of the difference of two gradients, over the norm of the second: the relative difference."""
    return np.linalg.norm(one - other) / np.linalg.norm(other)


def loss(_):
    return (dout * batch_norm(x, weight, bias)).sum()


right = batch_norm_backward(dout, x, *statistics(x), weight)
measured = [numerical_gradient(loss, array, 1e-5) for array in (x, weight, bias)]
for name, one, other in zip(("dx", "dweight", "dbias"), right, measured, strict=True):
    assert difference(one, other) < 1e-8
    print(f"{name} agrees with the measured slopes")
print("the sum of dx over each channel is below 1e-12:", bool(np.abs(right[0].sum(axis=(0, 2, 3))).max() < 1e-12))

# %% [markdown]
# ## 7. The same as the engine
#
# The engine's functions are `batch_norm_sums` and `batch_norm_backward` in `tinyalex/layers/batch_norm.py`. They are two, because the
# engine goes through the batch in blocks, and needs the sums of the whole batch before it can compute dx of the first block. The
# layer is `BatchNorm2d`.

# %%
from tinyalex.init import FanIn
from tinyalex.layers import BatchNorm2d, Branches, Conv2d, Product, ReLU, Sum

bn = BatchNorm2d(C, eps=EPS, dtype=np.float64)
bn.params["weight"][...], bn.params["bias"][...] = weight, bias
out = bn.forward(x, train=True)
dx = bn.backward(dout)
assert np.abs(out - batch_norm(x, weight, bias)).max() < 1e-12
for one, other in zip(right, (dx, bn.grads["weight"], bn.grads["bias"]), strict=True):
    assert np.abs(one - other).max() < 1e-12
print("batch normalization: out, dx, dweight and dbias equal to the engine's, to 1e-12")

# %% [markdown]
# A residual block is a `Branches` with two paths, and a `Sum`. The second path is an empty list: x as it is. We ask the block for dx, and
# then the same three layers alone for df.

# %%
conv = Conv2d(C, C, 3, padding=1, weight_init=FanIn(2**0.5), rng=np.random.default_rng(1), dtype=np.float64)
f = [BatchNorm2d(C, dtype=np.float64), ReLU(dtype=np.float64), conv]
block = Branches([f, []], Sum(dtype=np.float64))
dy = rng.standard_normal(x.shape)
y = block.forward(x, train=True)
dx = block.backward(dy)

h = x
for layer in f:
    h = layer.forward(h, train=True)
df = dy
for layer in reversed(f):
    df = layer.backward(df)
assert np.abs(y - (h + x)).max() < 1e-12 and np.abs(dx - (dy + df)).max() < 1e-12
print("residual block: y = f(x) + x and dx = dy + df, to 1e-12")

# %% [markdown]
# ### A whole block of ResNet-18
#
# The block above has one convolution. A block of ResNet-18 has two, with a batch normalization behind each, a ReLU between them, and a ReLU
# behind the sum:
#
# $$\text{out} = \text{relu}(f(x) + p(x))$$
#
# In most blocks p(x) is x. But some blocks halve the lines and columns, and double the channels. There f(x) and x have different shapes,
# and cannot be added. So p is a **projection**: a convolution of 1 x 1 with the stride of the block, and a batch normalization. It is a
# path like f. It has weights, and it sends back a gradient of its own, dp. The gradient goes through the block in five steps:
#
# | step | result | where |
# |---|---|---|
# | 1. the ReLU behind the sum | dy = dout where out > 0, and 0 elsewhere | `tinyalex/layers/activation.py: relu_backward` |
# | 2. the sum | dy for each path | `tinyalex/layers/merge.py: Sum` |
# | 3. path f, from its last layer to its first: normalization, convolution, ReLU, normalization, convolution | df | their `backward` |
# | 4. the shortcut: x itself, or the projection: normalization, convolution | dy, or dp | their `backward` |
# | 5. x, which both paths read | dx = df + dy, or dx = df + dp | `tinyalex/layers/branches.py: Branches` |
#
# We ask a block with a projection for dx, and then make the five steps with its layers alone.

# %%
from tinyalex.layers import Sequential


def conv_and_norm(inputs, filters, kernel, stride, seed):
    first = np.random.default_rng(seed)
    conv = Conv2d(inputs, filters, kernel, stride=stride, padding=kernel // 2, bias=False, rng=first, dtype=np.float64)
    return [conv, BatchNorm2d(filters, dtype=np.float64)]


def there(path, x):
    for layer in path:
        x = layer.forward(x, train=True)
    return x


def back(path, dout):
    for layer in reversed(path):
        dout = layer.backward(dout)
    return dout


f = [*conv_and_norm(C, 2 * C, 3, 2, seed=2), ReLU(dtype=np.float64), *conv_and_norm(2 * C, 2 * C, 3, 1, seed=3)]
projection = conv_and_norm(C, 2 * C, 1, 2, seed=4)
whole = Sequential([Branches([f, projection], Sum(dtype=np.float64)), ReLU(dtype=np.float64)])
of_block = whole.forward(x, train=True)
arrives = rng.standard_normal(of_block.shape)
dx = whole.backward(arrives)

total = there(f, x) + there(projection, x)
at_sum = arrives * (total > 0)  # step 1
from_f, from_p = back(f, at_sum), back(projection, at_sum)  # steps 2 to 4
assert np.abs(of_block - np.maximum(total, 0)).max() < 1e-12 and np.abs(dx - (from_f + from_p)).max() < 1e-12  # step 5
print("x", x.shape, "becomes", of_block.shape, "  dx = df + dp, to 1e-12")

# %% [markdown]
# So in these nets the way past all blocks is not quite free: the ReLU behind a sum sets a part of the gradient to 0, and a projection is a
# layer. ResNet-18 has eight blocks, three of them with a projection. The nets of 2016 have no ReLU behind the sum, and neither have those
# of part 8.

# %% [markdown]
# ## 8. Experiment
#
# ### Deeper, and worse in training
#
# Now a small example of the degradation itself. The images are **synthetic**: 1,000 images of ten classes, averaged down to 8 x 8 pixels.
# The nets have fully connected layers of 24 units. Two such layers make a block:
#
# batch normalization, ReLU, weights, batch normalization, ReLU, weights.
#
# (This order is that of He et al. in 2016. In their nets of 2015 the ReLU stands behind the sum.) A **plain** net gives f(x) to the next
# block, a **residual** net gives f(x) + x. All else is the same: layers, first weights, images, their order, the rate.
#
# `norm` is batch normalization for arrays (N, C), where H = W = 1. In `forward` and `backward`, k counts the layers with weights between
# the first and the last. An even k is the first layer of a block, so the block begins there. An odd k is the second, and behind it stands
# the sum. dh is the gradient at the place that is reached, and dy is the one that has arrived at the last sum.

# %%
from tinyalex.data.synthetic import synthetic_dataset

IMAGES, WIDTH = fast(1000, 200), 24
data = synthetic_dataset(IMAGES, 10, seed=1)
pixels = data.train_images.reshape(IMAGES, 3, 8, 4, 8, 4).mean(axis=(3, 5)).reshape(IMAGES, -1)
images, labels = (pixels - pixels.mean(axis=0)) / pixels.std(), data.train_labels


def new_net(blocks, seed):
    """The weights of a net with 2 * blocks + 2 layers: one that reads the pixels, two a block, and one for the classes."""
    rng = np.random.default_rng(seed)
    shapes = {"in": (WIDTH, images.shape[1])} | {f"w{k}": (WIDTH, WIDTH) for k in range(2 * blocks)}
    net = {name: rng.standard_normal(shape) * (2 / shape[1]) ** 0.5 for name, shape in shapes.items()}
    net |= {f"g{k}": np.ones(WIDTH) for k in range(2 * blocks + 1)} | {f"b{k}": np.zeros(WIDTH) for k in range(2 * blocks + 1)}
    return net | {"fc": rng.standard_normal((10, WIDTH)) * WIDTH**-0.5}


def norm(x, weight, bias):
    s = (x.var(axis=0) + 1e-5) ** -0.5
    y = (x - x.mean(axis=0)) * s
    return weight * y + bias, (y, s * weight)


def norm_backward(dout, kept):
    y, factor = kept
    return factor * (dout - dout.mean(axis=0) - y * (dout * y).mean(axis=0)), (dout * y).sum(axis=0), dout.sum(axis=0)


def forward(x, net, blocks, residual):
    h, kept = x @ net["in"].T, []
    start = h
    for k in range(2 * blocks + 1):  # the last round has no weights: it stands in front of fc
        if k % 2 == 0:
            start = h
        z, of_norm = norm(h, net[f"g{k}"], net[f"b{k}"])
        kept.append((of_norm, z))
        h = np.maximum(z, 0)
        if k < 2 * blocks:
            h = h @ net[f"w{k}"].T
            h = h + start if residual and k % 2 else h
    return h @ net["fc"].T, (kept, h)


def backward(dlogits, x, net, blocks, residual, state):
    """The gradients of all weights, and the norm of the gradient in front of each block, the first block first."""
    kept, h = state
    grads, norms, dh = {"fc": dlogits.T @ h}, [], dlogits @ net["fc"]
    dy = dh
    for k in range(2 * blocks, -1, -1):
        of_norm, z = kept[k]
        if k < 2 * blocks:
            if k % 2:
                dy = dh  # the gradient that arrives at the sum
            grads[f"w{k}"], dh = dh.T @ np.maximum(z, 0), dh @ net[f"w{k}"]
        dh, grads[f"g{k}"], grads[f"b{k}"] = norm_backward(dh * (z > 0), of_norm)
        if k % 2 == 0:
            dh = dh + dy if residual and k < 2 * blocks else dh  # dx = dy + df
            norms.insert(0, np.linalg.norm(dh))
    return grads | {"in": dh.T @ x}, norms


for residual in (False, True):  # a quick proof, along one random direction
    net, direction = new_net(2, 0), new_net(2, 1)
    logits, state = forward(images[:20], net, 2, residual)
    grads, _ = backward(logits, images[:20], net, 2, residual, state)  # logits as dlogits: the loss is half the sum of their squares
    values = []
    for h in (1e-6, -1e-6):
        moved = {name: net[name] + h * direction[name] for name in net}
        values.append((forward(images[:20], moved, 2, residual)[0] ** 2).sum() / 2)
    slope = sum((grads[name] * direction[name]).sum() for name in net)
    assert abs((values[0] - values[1]) / 2e-6 - slope) < 1e-5 * abs(slope)

# %% [markdown]
# The loss is that of lesson 06 and the step that of lesson 07, with the rate 0.05, momentum 0.9 and no weight decay. After each epoch we
# count the wrong answers on all **training** images. (The net normalizes with the statistics of all of them then.)


# %%
def loss_gradient(logits, labels):
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    return p / len(labels)


def train(blocks, residual, seed, epochs, rate=0.05):
    """The training error after each epoch."""
    net, order, errors = new_net(blocks, seed), np.random.default_rng(seed), []
    velocity = {name: np.zeros_like(array) for name, array in net.items()}
    for _ in range(epochs):
        for batch in np.split(order.permutation(IMAGES), IMAGES // 100):
            logits, state = forward(images[batch], net, blocks, residual)
            grads, _ = backward(loss_gradient(logits, labels[batch]), images[batch], net, blocks, residual, state)
            for name, grad in grads.items():
                velocity[name] = 0.9 * velocity[name] - rate * grad
                net[name] = net[name] + velocity[name]
        errors.append(np.mean(forward(images, net, blocks, residual)[0].argmax(axis=1) != labels))
    return errors


EPOCHS, SEEDS = fast(30, 1), fast(3, 1)
NETS = {"plain, 6 layers": (2, False), "plain, 22 layers": (10, False), "residual, 22 layers": (10, True)}
errors = {name: np.array([train(*kind, seed, EPOCHS) for seed in range(SEEDS)]) for name, kind in NETS.items()}
last = {name: found[:, -1].mean() for name, found in errors.items()}
for name, found in errors.items():
    print(f"{name:20} training error of each seed:", *(f"{100 * one:.1f} %" for one in found[:, -1]))

# %%
fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
styles = {"plain, 6 layers": ("#0072B2", "-"), "plain, 22 layers": ("#C04A00", "--"), "residual, 22 layers": ("#009E73", "-.")}
for name, (color, style) in styles.items():
    for seed, found in enumerate(errors[name]):
        ax.plot(range(1, EPOCHS + 1), 100 * found, style, color=color, linewidth=1.6, label=name if seed == 0 else None)
ax.set(xlabel="epoch", ylabel="training error, %", ylim=(0, 100))
ax.legend(fontsize=9, loc="center right", bbox_to_anchor=(1, 0.62))
show(fig, alt="The training error in percent over 30 epochs, three runs of each net. The plain nets with 22 layers, dashed, begin at 90 "
     "and stay above 78 all the time. The plain nets with 6 layers fall steadily from 85 to between 5 and 11. The residual nets with 22 "
     "layers fall in the same way, end below them, and meet at 4.")  # fmt: skip
say("the shallow plain nets end at 8 %", value=last["plain, 6 layers"], within=0.01, full_only=True)
say("the deep plain nets end at 82 %", value=last["plain, 22 layers"], within=0.01, full_only=True)
say("the deep residual nets end at 4 %", value=last["residual, 22 layers"], within=0.01, full_only=True)

# %% [markdown]
# **The deep plain net does not even learn its training images**, and the same layers with sums learn them better than the shallow net.
# Chance is an error of 90 %. Nothing here is overfitting: no test image was looked at.
#
# Is the rate just too large for the deep net? With the rate 0.02, the first of the deep plain nets is no better:

# %%
slower = train(10, False, 0, EPOCHS, rate=0.02)[-1]
say("it ends at 81 %", value=slower, within=0.02, full_only=True)

# %% [markdown]
# These are small nets, one set of images and two rates. In 30 epochs the error of the deep plain net falls by some points: it learns, but
# very slowly. He et al. saw the same order with 20 and 56 layers on CIFAR-10, and with 18 and 34 layers on ImageNet.
#
# ### The same with convolutions
#
# `tinyalex claims --of later` repeats their comparison with their nets of 20 and 56 layers on a part of CIFAR-10, with three seeds, and
# tries other claims of these papers too. It takes hours, so the repository keeps the results in `examples/results/later`. The next cell
# reads those that are finished. The rule of the verdicts: the interval over the seeds must exclude that there is no effect.

# %%
from tinyalex.experiments.claims.page import measured as in_words, verdict

LATER = FOLDER.parent / "examples" / "results" / "later" / "result.json"
CLAIMS = ("degradation", "degradation-test", "deeper", "deeper-test", "shortcuts")
if LATER.is_file():
    result = json.loads(LATER.read_text("utf-8"))
    print(f"{result['dataset']['name']} ({result['dataset']['note']}), {result['runs_done']} of {result['runs_planned']} runs finished")
    for name in CLAIMS:
        claim = result["claims"][name]
        print(f"{claim['title']}: {in_words(claim) or '-'}: {verdict(claim)}")
else:
    print("examples/results/later is not there yet; `tinyalex claims --of later --quick` shows the way on synthetic images")

# %% [markdown]
# A point is one percent of the images, and a positive number agrees with the paper. In the folder stands the picture `degradation.png`:
# compare it with figure 6 of the paper. There the nets were trained for 64,000 steps, here for 1,250.
#
# ### The slopes of these nets
#
# What do the layers do to a gradient, before anything is learned? We go back through nets of 42 layers, which is 20 blocks. We look at the
# norm of the gradient in front of each block, and divide it by the norm behind the last block. Ten nets of each kind, and their geometric
# mean.

# %%
RANDOM = fast(10, 3)


def growth(residual, blocks=20):
    """How many times as large the gradient is in front of each block as behind the last one. The first block comes first."""
    found = []
    for seed in range(RANDOM):
        net = new_net(blocks, seed)
        logits, state = forward(images[:100], net, blocks, residual)
        _, norms = backward(loss_gradient(logits, labels[:100]), images[:100], net, blocks, residual, state)
        found.append(np.log(np.array(norms) / norms[-1]))
    return np.exp(np.mean(found, axis=0))


grown = {"plain": growth(False), "residual": growth(True)}
one_layer = grown["plain"][0] ** (1 / 40)
for name, found in grown.items():
    print(f"{name:9} after 2 layers {found[-2]:6.2f}   after 20 layers {found[-11]:7.1f}   after 40 layers {found[0]:8.0f}")

# %%
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.plot(range(1, 22), grown["plain"], "s--", color="#C04A00", markersize=4, label="plain")
ax.plot(range(1, 22), grown["residual"], "o-", color="#009E73", markersize=4, label="residual")
ax.set(yscale="log", xlabel="in front of block (21: behind the last)", ylabel="norm of the gradient", xticks=range(1, 22, 4))
ax.legend(fontsize=9)
show(fig, alt="The norm of the gradient in front of blocks 1 to 21, on a logarithmic axis; it is 1 behind the last block, at the right. "
     "The plain nets rise on a nearly straight line to the left, over 75 in the middle to 3,000 at block 1. The residual nets rise "
     "slowly, to 2 in the middle and 10 at block 1.")  # fmt: skip

# %% [markdown]
# In the plain net the gradient does not vanish. It **explodes**. Where does this come from? Let a normalized z have a normal distribution
# with mean 0 and variance 1. ReLU leaves numbers of the mean $1/\sqrt{2\pi}$, whose mean square is 1/2. So their variance is
#
# $$\frac{1}{2} - \frac{1}{2\pi} = \frac{\pi - 1}{2\pi}$$
#
# Each weight has the variance 2/24, and there are 24 of them, so the next sums have twice this variance, $(\pi - 1)/\pi$. (The mean of
# the inputs moves a sum by the same number for all images, and that is no variance of the batch.) By 4.9 the next normalization multiplies
# the gradient by s, as weight is 1 here:

# %%
s_plain = ((np.pi - 1) / np.pi) ** -0.5
say("s is 1.211", value=s_plain, within=0.001)
say("twenty factors of this size are 46", value=s_plain**20, within=0.5)
say("and our nets have 1.22 in each layer", value=one_layer, within=0.03, full_only=True)

# %% [markdown]
# On average the other layers keep the size of a gradient: ReLU removes half of its square, and the weights double it again.
# What is left is s, in each layer. (The formula of 4.9 also takes the mean and a multiple of y
# from the gradient. But with 100 images a channel has 100 numbers, and this fixes only two sums of them, so little is lost. Our nets are
# narrow, so the measured factor is not exactly this one.)
#
# In the residual net each sum adds variance to h. The more blocks lie in front of a normalization, the larger is the variance of what it
# reads, and the smaller is its s. So the branches have small slopes (the q of part 4.3), and beside them there is the 1 of the shortcut.

# %%
state = forward(images[:100], new_net(20, 0), 20, True)[1]
factors_s = [kept[0][1].mean() for kept in state[0]]  # weight is 1, so s * weight is s
say("in the first branch s is 0.74", value=factors_s[0], within=0.01, full_only=True)
say("behind the last block it is 0.27", value=factors_s[-1], within=0.01, full_only=True)
say("so at the first block the gradient is only 10 times as large", value=grown["residual"][0], within=1, full_only=True)

# %% [markdown]
# One rate can fit the first layers and the last ones then.
#
# Is this the whole reason? We do not know. He et al. wrote that in their plain nets the gradients did not vanish either, and left the
# reason open.
#
# ### Parameters and multiplications, from AlexNet on
#
# The engine holds the nets after AlexNet as **rows**: a row names a layer and its settings. Read `tinyalex/models/later/vgg.py` and
# `tinyalex/models/later/googlenet.py`: each net is a screen of text. `count` counts a net without running it, on a device that keeps
# only shapes. (Parameters are weights, biases, and the two numbers a channel of batch normalization. Images are 224 x 224 pixels; the three
# Inception nets read 299 x 299.)

# %%
from tinyalex.analysis.count import count, totals
from tinyalex.devices.dry import DryDevice
from tinyalex.models.later import build_later
from tinyalex.models.registry import build

NAMES = {"ZFNet": "zfnet", "VGG-16": "vgg16", "VGG-19": "vgg19", "GoogLeNet": "googlenet", "Inception-v3": "inception-v3",
         "Inception-v4": "inception-v4", "Inception-ResNet-v2": "inception-resnet-v2", "ResNet-18": "resnet18", "ResNet-34": "resnet34",
         "ResNet-50": "resnet50", "ResNet-101": "resnet101", "ResNet-152": "resnet152", "Wide ResNet-50-2": "wide-resnet50-2",
         "SE-ResNet-50": "se-resnet50", "DenseNet-121": "densenet121", "SqueezeNet 1.1": "squeezenet1.1"}  # fmt: skip
nets = {"AlexNet": build("alexnet", devices=DryDevice())}
nets |= {shown: build_later(name, devices=DryDevice()) for shown, name in NAMES.items()}
counted = {name: totals(count(net)) for name, net in nets.items()}
print(f"{'':20}{'parameters':>12}{'multiply-adds':>17}")
for name, one in counted.items():
    print(f"{name:20}{one.parameters:12,}{one.macs:17,}")
reveal("15-d")

# %%
PLACES = {"AlexNet": (0, -15, "center"), "ZFNet": (0, 8, "center"), "VGG-16": (8, -4, "left"), "VGG-19": (8, -2, "left"),
          "GoogLeNet": (0, -15, "center"), "ResNet-18": (8, -6, "left"), "ResNet-34": (-2, -15, "center"), "ResNet-50": (-6, 6, "right"),
          "ResNet-101": (-8, -3, "right"), "ResNet-152": (-2, -16, "left"), "Wide ResNet-50-2": (8, -2, "left"),
          "SE-ResNet-50": (8, -6, "left"), "Inception-v3": (-6, 6, "right"), "Inception-v4": (-8, -2, "right"),
          "Inception-ResNet-v2": (-2, 8, "right"), "DenseNet-121": (0, 8, "center"), "SqueezeNet 1.1": (8, -3, "left")}  # fmt: skip
fig, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
for name, (right_by, up, side) in PLACES.items():
    full = name in ("AlexNet", "ZFNet", "VGG-16", "VGG-19")
    color, at = "#C04A00" if full else "#0072B2", (counted[name].parameters / 1e6, counted[name].macs / 1e9)
    ax.plot(*at, "s" if full else "o", color=color)
    ax.annotate(name, at, (right_by, up), textcoords="offset points", ha=side, fontsize=9, color=color)
ax.set(xscale="log", yscale="log", xlim=(0.9, 320), ylim=(0.25, 40))
ax.set(xlabel="parameters, millions", ylabel="multiply-adds an image, billions")
ax.set_xticks([1, 2, 5, 10, 20, 50, 100, 200], ["1", "2", "5", "10", "20", "50", "100", "200"])
ax.set_yticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
ax.minorticks_off()
show(fig, alt="Seventeen nets by millions of parameters and billions of multiply-adds, both axes logarithmic. The nets without large fully "
     "connected layers are blue dots on a broad rising band: SqueezeNet 1.1 at 1.2 and 0.35, GoogLeNet at 7 and 1.6, ResNet-50 at "
     "26 and 4.1, Inception-v4 at 43 and 12, ResNet-152 at 60 and 11.5. Four squares have such layers: AlexNet at 61 and 0.7 and "
     "ZFNet at 62 and 1.2 lie far below the band, VGG-16 and VGG-19, near 140 and 15 to 20, to the right of its upper end.")  # fmt: skip

# %% [markdown]
# The four squares have three fully connected layers, and most of their parameters are there (lesson 09). VGG keeps these layers and makes
# the convolutions deep. The later nets take the mean of each map in their place, and end with one small layer at most. So ResNet-50 has
# less than half of AlexNet's parameters, and more than five times its multiplications.

# %%
factor = counted["ResNet-50"].macs / counted["AlexNet"].macs
say("the residual net with fifty layers multiplies 5.6 times as often as AlexNet", value=factor, within=0.05)

# %% [markdown]
# ### Two slips of a lecture
#
# A widely read lecture goes from AlexNet to these nets in an hour, with many numbers. One slide compares the first layers of GoogLeNet, up
# to maps of 28 x 28, with those of VGG-16. For GoogLeNet it says 418 million operations. The article from which we know the lecture asks
# where this number comes from. We count:

# %%
stem = count(nets["GoogLeNet"])[:10]  # up to the pooling that leaves 28 x 28
multiplied = {r.name: r.macs for r in stem if r.macs}
compared = sum(r.comparisons for r in stem)
for name, macs in multiplied.items():
    print(f"{name:14}{macs / 1e6:7.1f} million multiply-adds")
say("together 477.7 million", value=sum(multiplied.values()) / 1e6, within=0.05)
say("with the comparisons of both poolings 481 million", value=(sum(multiplied.values()) + compared) / 1e6, within=0.5)

# %% [markdown]
# The last two digits of 481 have changed places: 418. For VGG-16 the same slide has 7,485 million. This leaves out a whole convolution, the
# third one of stage 3:

# %%
to_28 = [r for r in count(nets["VGG-16"]) if r.name < "conv4"]  # up to conv3_3, by the alphabet
say("VGG's first three stages: 9,335 million", value=sum(r.macs for r in to_28) / 1e6, within=0.5)
left_out = sum(r.macs for r in to_28 if r.name != "conv3_3") / 1e6
say("without the third convolution of stage three: 7,485 million", value=left_out, within=0.6)

# %% [markdown]
# The other slip is about **squeeze-and-excitation** (Hu et al. 2017), which is in SE-ResNet-50. A small branch looks at the means of all
# channels, and gives one number between 0 and 1 for each channel: a **gate**. The lecture says that it is *added* to the channel. It is
# *multiplied*. The difference is what a gate is for: a gate of 0 closes the channel.

# %%
channel, gate = np.array([[[[3.0, 1.0]]]]), np.array([[0.0]])
multiplied = Product(dtype=np.float64).forward((channel, gate))
print("a gate of 0, multiplied:", multiplied.ravel(), "  added:", (channel + gate[:, :, None, None]).ravel())

# %% [markdown]
# The gradients differ too. In y = x · gate each factor gets dy times the other one. One gate is used at all places of its channel, so its
# gradient is the sum of dy · x over them. A sum would send back dy alone.

# %% [markdown]
# ## 9. What people get wrong
#
# We did not count solutions for this layer. So each mistake has the place where it was seen: a name with a number, such as
# mlpack/mlpack#1327, is a thread on GitHub. For the numbers we take the arrays of part 6, and say how much of dx is wrong, as its relative
# difference.


# %%
def wrong_by(dx):
    return difference(dx, right[0])


mean, s = statistics(x)
m, (dx, dweight, dbias) = N * H * W, right
y, factor = (x - mean[:, None, None]) * s[:, None, None], (s * weight)[:, None, None]

# %% [markdown]
# **mean and s are taken for constants** (mlpack/mlpack#1327). That is the backward pass of a net in use, with running statistics. While
# training, two of the three ways are missing:

# %%
say("then 21 % of dx is wrong", value=wrong_by(factor * dout), within=0.005)
say("without the way through the mean 17 %", value=wrong_by(factor * (dout - y * dweight[:, None, None] / m)), within=0.005)
say("without the way through the variance 11 %", value=wrong_by(factor * (dout - dbias[:, None, None] / m)), within=0.005)

# %% [markdown]
# **weight is missing in dx** (denizyuret/Knet.jl#288). The library's tests had passed: in a new layer weight is 1, and they tested a new
# layer. Test a layer with other numbers than those it begins with.

# %%
say("here 45 % of dx is wrong", value=wrong_by(dx / weight[:, None, None]), within=0.005)
fresh = batch_norm_backward(dout, x, mean, s, np.ones(C))[0]
print("in a new layer it is right:", bool(difference(dx / weight[:, None, None], fresh) < 1e-12))

# %% [markdown]
# **Divided by N** (asked in pjreddie/darknet#1634). The papers write m for the number of values, and with fully connected layers that is N.
# Behind a convolution it is N H W. Whoever divides by N takes away H W times as much as is right, 10 times here:

# %%
both = dbias[:, None, None] + y * dweight[:, None, None]
say("the relative difference is 1.88", value=wrong_by(factor * (dout - both / N)), within=0.05)

# %% [markdown]
# **"A fourth way is missing"** (BVLC/caffe#3878, BVLC/caffe#4110, pjreddie/darknet#29). x enters the mean, and the mean enters the
# variance. People find this way in the paper, do not find it in the programs, and report an error. It is there, and it is 0: see 4.6.

# %%
print("the sum of all d of a channel is below 1e-12:", bool(np.abs((x - mean[:, None, None]).sum(axis=(0, 2, 3))).max() < 1e-12))

# %% [markdown]
# **"dweight should be a mean"** (asked in a repository of course solutions, wjbKimberly/cs231n_spring_2017_assignment#7). weight is used at
# m places, and the gradient adds. The division by N is in dout already, if the loss is a mean (lesson 02).
#
# **eps outside of the root** (Tencent/ncnn#311, where a reviewer noticed it). For usual variances it makes no difference. For a channel
# that is nearly constant it does:

# %%
print(f"var = 0, eps = 0.00001:  inside of the root s = {1e-5**-0.5:.0f},  outside of it s = {1 / (0 + 1e-5):.0f}")

# %% [markdown]
# **m or m - 1?** (pytorch/pytorch#60528.) Both. The batch is normalized with the plain mean of the squares, 1/m. The *running* variance of
# most libraries is multiplied by m / (m - 1), because it estimates the variance of all images. Our derivation has 1/m.
#
# **"Each image is normalized by itself."** The mean of a channel is one number for the whole batch. If one image changes, the outputs of
# all others change too. When the net is used this must not happen, and so the running statistics take over. (Group normalization is
# computed within each image, and needs no running statistics: `tinyalex/layers/group_norm.py`.)

# %%
moved = x.copy()
moved[0] += rng.standard_normal(moved[0].shape)
print("the outputs of image 1 change when image 0 changes:", bool(np.abs(batch_norm(moved, weight, bias) - out)[1].max() > 0.01))

# %% [markdown]
# **"Residual nets are better because they do not overfit."** It was the *training* error that was too large. **"They cure vanishing
# gradients."** In our plain nets with batch normalization the gradients grow.
#
# **The gradient of the shortcut is forgotten.** Then dx is df alone. It is the mistake of lessons 02, 03, 04 and 10 once more: a use of x
# sends back its gradient, and it is not added.

# %%
say("without dy, 78 % of dx is wrong in the block of part seven", value=np.linalg.norm(dy) / np.linalg.norm(dy + df), within=0.005)

# %% [markdown]
# **"A bottleneck keeps the receptive field"** (the lecture). A basic block has two convolutions of 3 x 3, and sees 5 x 5. A bottleneck has
# 1 x 1, 3 x 3 and 1 x 1, and sees 3 x 3. It is cheaper, so there can be more of them.
#
# More of them, with the numbers by which the tutor knows them, stand in `lessons/MISCONCEPTIONS.md`.
#
# ### Summary
#
# Many layers multiply their slopes, and 20 layers do not forgive a slope that is not 1. A residual block adds its input to its output, so
# dx = dy + df: one way past all blocks has the slope 1. Batch normalization gives each channel the mean 0 and the variance 1. A value
# enters its own difference, the mean and the variance, and the three gradients **add**. With both, 22 layers learn better than 6. Without
# the sum they do not learn even the training images.
#
# ### Read on
#
# - The engine: `batch_norm_backward` in `tinyalex/layers/batch_norm.py`, `Branches` in `tinyalex/layers/branches.py`, `Sum` and `Product`
#   in `tinyalex/layers/merge.py`, and the residual nets as rows in `tinyalex/models/later/resnet.py`. You have derived each of the backward
#   passes.
# - Exercise: `tutor.check("E13", batch_norm_backward)`, 30 minutes.
# - Next: lesson 16, which looks for the places where the authors' program differs from their paper.
#
# Two questions to write about, a few sentences each:
#
# 1. Somebody normalizes behind the sum: y = norm(f(x) + x). What is dx now, and is there still a way through all blocks whose slope is 1?
#    What would you expect with 20 such blocks?
# 2. A net with batch normalization is trained with batches of two images, and its test error is bad although its training error is good.
#    Which numbers of the layer do you look at first, and what could replace the layer?
