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
# # 05  Response normalization
#
# Paper section 3.3, about 90 minutes, needs lessons 00, 02, 03 and 04, holds exercise E07.
#
# Afterwards you can write local response normalization and its backward pass, and you can say how large the inputs must be before it does
# something, and why a test with smaller numbers proves nothing.

# %%
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import adds, fast, say, show

# %% [markdown]
# ## 1. The paper's sentence
#
# > "This sort of response normalization implements a form of lateral inhibition inspired by the type found in real neurons, creating
# > competition for big activities amongst neuron outputs computed using different kernels."
#
# (Section 3.3.) An **activity** is one number that comes out of ReLU: one channel at one pixel. **Lateral inhibition** means that a strong
# nerve cell weakens the cells beside it. Here the cells beside it are not the pixels around. They are the same pixel in **neighboring
# channels**. The kernels of a layer have numbers, and in AlexNet the neighbors of channel 7 are the channels 5, 6, 8 and 9. The paper says
# that this order of the kernels is arbitrary, and that it is fixed before training begins.
#
# Each activity is divided by a number that grows with its own square and the squares of its neighbors. In AlexNet this stands after the
# ReLU of conv1 and of conv2. There are no weights. There are four constants, and the paper took k = 2, n = 5, $\alpha = 10^{-4}$ and
# $\beta = 0.75$.

# %% [markdown]
# ## 2. Predict
#
# Run the cells, and replace each guess by your own before you read on. Some words of the questions:
#
# - The **standard deviation** says how far numbers spread round their mean: most of them are not further from it than two standard
#   deviations. Its square is the **variance**.
# - The **median** is the number in the middle: half of the numbers are smaller.
# - The gradient of this layer will have two parts. One of them, the **cross term**, comes from the neighbors.

# %% tags=["predict"]
predict("05-a", 8)

# %% tags=["predict"]
predict("05-b", 1)

# %% tags=["predict"]
predict("05-c", 0.1)

# %% tags=["predict"]
predict("05-d", 5)

# %% [markdown]
# ## 3. The equation
#
# The input is a, with the shape (N, C, H, W) as in lesson 03. The output b has the same shape. Everything happens at one pixel of one
# image, so we write $a_i$ for the activity of channel i there, and leave out the image, the line and the column. The letter j is a
# channel too. Some letters had other meanings before. Here n and k are constants of the paper, not an image and a filter. a is what comes
# *out* of ReLU, where in lesson 01 it was the sum before f. s is no stride, and b is no bias.
#
# $$b_i = \frac{a_i}{\left( k + \alpha \sum_{j \text{ in the window of } i} a_j^2 \right)^{\beta}}$$
#
# | name | what it is |
# |---|---|
# | n | how many channels a window has |
# | k, alpha, beta | the three other constants; alpha is the paper's $\alpha$, beta its $\beta$ |
# | $s_i$ | the **scale** of channel i: the bracket below the line of the fraction |
# | before, after | how many channels the window of i reaches down and up: n // 2 and (n - 1) // 2 |
#
# With a name for the bracket the same equation has two lines:
#
# $$\begin{array}{rl}
# s_i &= k + \alpha \sum_{j \text{ in the window of } i} a_j^2 \\
# b_i &= a_i\, s_i^{-\beta}
# \end{array}$$
#
# A negative power is a division: $s_i^{-\beta} = 1 / s_i^{\beta}$.
#
# The **window** of channel i holds the channels j with i - before $\le$ j $\le$ i + after. At the first and at the last channel some of
# them do not exist. Then the sum has fewer terms. It is not filled up. For n = 5 the window reaches two channels down and two up. For an
# even n we follow the engine: one channel more down than up.
#
# In AlexNet one half of the channels lies on one device and the other half on another (section 3.2 of the paper), and the program of 2012
# normalizes each half by itself. So a window ends at the cut between the halves too, as if the channels stopped there. The halves are the
# groups of lesson 03.
#
# We write all windows in one matrix M. (In lesson 04 M held the winners. Here it holds whole windows.) Its element $M_{ij}$ is 1 where the
# window of channel i holds channel j, and 0 elsewhere. In the pictures the ones are blue, and a dot marks the channel itself, where j = i.


# %%
def window_matrix(c, n):
    """M (C, C): M[i, j] is 1 where the window of channel i holds channel j."""
    i, j = np.indices((c, c))
    return ((i - n // 2 <= j) & (j <= i + (n - 1) // 2)).astype(float)


two_groups = np.zeros((12, 12))
two_groups[:6, :6] = two_groups[6:, 6:] = window_matrix(6, 5)
three = {"n = 5": window_matrix(12, 5), "n = 4": window_matrix(12, 4), "n = 5, two groups": two_groups}
fig, axes = plt.subplots(1, 3, figsize=(7, 2.9), layout="constrained", sharey=True)
for ax, (title, M) in zip(axes, three.items(), strict=True):
    ax.imshow(M, cmap="Blues", vmax=1.3)
    ax.plot(range(12), range(12), "o", markersize=4, color="#C04A00")
    ax.set(xlabel="channel j", xticks=range(0, 12, 2), yticks=range(0, 12, 2))
    ax.set_title(title, fontsize=11)
axes[0].set_ylabel("window of channel i")
for line in (axes[2].axvline, axes[2].axhline):
    line(5.5, color="black", linewidth=1.5)
show(fig, alt="Three tables of 12 channels, one row for the window of each, with a dot at its own channel. The filled cells form a band "
     "along the diagonal. With n = 5 a row has 5 filled cells round the dot, and only 3 at the first and the last channel. "
     "With n = 4 a row has two cells left of the dot and one right of it. With two groups a black wall stands between channels "
     "5 and 6, and no window passes it.")  # fmt: skip
print("channels in the windows of i = 0, 1, 2, ..., 11 with n = 5:", three["n = 5"].sum(axis=1).astype(int))

# %% [markdown]
# ## 4. The derivation
#
# We are given $\text{dout}_j$, the gradient of the loss L with respect to $b_j$, for all channels j. We want $\text{dx}_i$, the gradient
# with respect to the input $a_i$. (The engine calls the gradient of every layer's input dx; its input is x.)
#
# ### 4.1 Where is an activity used?
#
# Look for $a_i$ in the equation. It stands in two kinds of places:
#
# - **above the line** of the fraction, in $b_i = a_i\,s_i^{-\beta}$, once;
# - **below the line**, in the scale $s_j$ of every channel j whose window holds i. The channel i itself is one of them.
#
# So $a_i$ reaches $b_i$ in two ways, and it also reaches the outputs of its neighbors. With n = 5 these are five outputs and six ways.
# Lesson 02 says what to do: find what each way sends back, and add.
#
# ### 4.2 The slope of a scale
#
# In $s_j$ only the term $a_i^2$ depends on $a_i$. Its slope is $2 a_i$, and alpha stands before it. With the round d of lesson 04 we write
# the slope of $s_j$ with respect to $a_i$ as a fraction:
#
# $$\frac{\partial s_j}{\partial a_i} = 2\,\alpha\,a_i \quad \text{if the window of } j \text{ holds } i, \text{ and 0 if it does not.}$$
#
# ### 4.3 The slope of an output
#
# $b_j = a_j\,s_j^{-\beta}$ is a product of two factors. The product rule says: the slope is (slope of the first) times the second, plus
# the first times (slope of the second).
#
# - The first factor is $a_j$. Its slope is 1 if j is i, and 0 otherwise. We write $[i = j]$ for this 1 or 0.
# - The second factor is $s_j^{-\beta}$. The power rule brings the exponent down and leaves one power less, $-\beta\,s_j^{-\beta-1}$. The
#   chain rule multiplies this by the slope of $s_j$.
#
# For a channel j whose window holds i:
#
# $$\begin{array}{rll}
# \frac{\partial b_j}{\partial a_i} &= [i = j]\, s_j^{-\beta} - \beta\, a_j\, s_j^{-\beta-1}\, \frac{\partial s_j}{\partial a_i}
# & \quad \text{product rule, chain rule} \\
# &= [i = j]\, s_j^{-\beta} - 2\,\alpha\,\beta\, a_i\, a_j\, s_j^{-\beta-1} & \quad \text{with the slope of 4.2} \\
# &= [i = j]\, s_j^{-\beta} - 2\,\alpha\,\beta\, a_i\, b_j / s_j & \quad \text{because } a_j\, s_j^{-\beta} = b_j
# \end{array}$$
#
# For every other j it is 0.
#
# ### 4.4 All ways together
#
# Now each output j sends back $\text{dout}_j$ times this slope, and we add over j:
#
# $$\begin{array}{rl}
# \text{dx}_i &= \sum_j \text{dout}_j\, [i = j]\, s_j^{-\beta} \\
# &\quad - \sum_{j \text{ whose window contains } i} \text{dout}_j\; 2\,\alpha\,\beta\, a_i\, b_j / s_j
# \end{array}$$
#
# In the first sum the bracket $[i = j]$ leaves only the term with j = i. In the second sum $2\,\alpha\,\beta\,a_i$ is the same in all
# terms, so it may stand before the sum:
#
# $$\text{dx}_i = \text{dout}_i s_i^{-\beta} - 2\,\alpha\,\beta\, a_i \sum_{j \text{ whose window contains } i} \text{dout}_j\, b_j / s_j$$
#
# This is the line of the engine's docstring, in `tinyalex/layers/lrn.py`. The first part is the **direct term**: as if $s_i$ were a
# constant. The second part is the **cross term**: it comes from all scales that $a_i$ entered.
#
# ### 4.5 A small example by hand
#
# Take beta = 1, so that no roots are needed, and n = 3, k = 2, alpha = 1. The activities are a = (1, 2, 0), and dout = (0, 1, 0): the loss
# is the second output. All of it can be done with fractions.

# %%
a, dout = [1, 2, 0], [0, 1, 0]
s = [2 + 1 + 4, 2 + 1 + 4 + 0, 2 + 4 + 0]
b = [Fraction(a[j], s[j]) for j in range(3)]
back = [dout[j] * b[j] / s[j] for j in range(3)]  # what output j sends to every channel of its window
cross = [back[0] + back[1], back[0] + back[1] + back[2], back[1] + back[2]]  # channel i adds over the windows that hold it
by_hand = [Fraction(dout[i], s[i]) - 2 * a[i] * cross[i] for i in range(3)]  # 4.4 with alpha = beta = 1
print("s  =", *s, "\nb  =", *b, "\ndx =", *by_hand)

# %% [markdown]
# The first channel has $\text{dout}_0 = 0$, so it gets no direct term. But it enters the scale of the second channel, and from there it
# gets -4/49. If $a_0$ grows, the second output becomes smaller: this is the inhibition. The third channel has $a_2 = 0$. A square has the
# slope 0 there, so it gets nothing.
#
# For the second activity dx is negative: if $a_1$ grows, its own scale grows so fast that $b_1$ becomes smaller. With the paper's small
# alpha this does not happen so soon.
#
# Here are the ways of the second activity. It enters all three scales, but only the second output has a gradient.
# (The picture calls our dx da, because the variable is a.)

# %%
fig = adds("a[1]", [("above the line, in b[1]", 1 / 7), ("in the scale s[0]", 0.0), ("in the scale s[1]", -8 / 49),
                    ("in the scale s[2]", 0.0)])  # fmt: skip
show(fig, alt="The activity a[1] is used four times: in b[1], which sends back 0.143, in s[1], which sends back -0.163, and in s[0] and "
     "s[2], which send back 0 here. A plus sign adds them to -0.0204.")  # fmt: skip
say("the sum is -0.0204: minus one divided by forty-nine", value=float(by_hand[1]), within=0.0001)

# %% [markdown]
# ### 4.6 Which windows hold channel i?
#
# The window of j holds i if j - before $\le$ i $\le$ j + after. Solve both for j: i - after $\le$ j $\le$ i + before. So before and after
# have changed places. The channels *whose window holds i* form the **mirrored window**. For an odd n before and after are equal, and the
# mirrored window is the window. For an even n it is not.
#
# With the matrix M of part 3 this needs no thought. The forward sum goes along row i of M. The backward sum goes along column i of M, and
# that is a row of the transpose. The transpose came in the same way from im2col in lesson 03, and from pooling in lesson 04.
#
# $$\begin{array}{rll}
# s &= k + \alpha\, M a^2 & \quad (C) = (C, C)\,(C) \\
# b &= a\, s^{-\beta} & \quad (C) \\
# \text{dx} &= \text{dout}\, s^{-\beta} - 2\,\alpha\,\beta\, a\, \left( M^T (\text{dout}\, b / s) \right) & \quad (C)
# \end{array}$$
#
# Here $a^2$, $s^{-\beta}$ and the products of two vectors go element by element. Only M and $M^T$ mix channels.
#
# Code needs no matrix. Two loops over channels do the same. To go forward, channel i **reads** the numbers in its window and adds
# them. To go back, channel j **adds** its number, $\text{dout}_j\,b_j / s_j$, to every channel in its window.

# %% [markdown]
# ## 5. Twenty lines of your own
#
# Write `lrn(a, n, k, alpha, beta)`, which returns b, and `lrn_backward(dout, a, n, k, alpha, beta)`, which returns dx, with loops over
# the channels or with `window_matrix`. a has the shape (N, C, H, W). There are no groups here. This is exercise **E07**, about 35
# minutes. Then, in a cell of your own, write `from tinyalex import tutor` and ask `tutor.check("E07", lrn, lrn_backward)`. Do this before
# you open the next cell.


# %% tags=["solution", "exercise:E07"]
def window_of(i, n):
    """The window of channel i as a slice. A slice may end after the last channel, but it must not begin before 0."""
    return slice(max(0, i - n // 2), i + (n - 1) // 2 + 1)


def scales(a, n, k, alpha):
    s = np.full(a.shape, k, a.dtype)
    for i in range(a.shape[1]):
        s[:, i] += alpha * (a[:, window_of(i, n)] ** 2).sum(axis=1)  # channel i reads its window
    return s


def lrn(a, n, k, alpha, beta):
    return a / scales(a, n, k, alpha) ** beta


def lrn_backward(dout, a, n, k, alpha, beta):
    s = scales(a, n, k, alpha)
    powered = s**beta
    back = dout * a / powered / s  # dout b / s
    cross = np.zeros_like(a)
    for j in range(a.shape[1]):
        cross[:, window_of(j, n)] += back[:, j : j + 1]  # output j adds to its window
    return dout / powered - 2 * alpha * beta * a * cross


# %% [markdown]
# With loops, `lrn_backward` need not ask which windows hold channel i. Each output j adds to the channels that it has read, and `+=` does
# the rest. So an even n needs no care either.

# %% [markdown]
# ## 6. Prove it
#
# First the example of 4.5, with `Fraction` objects in the arrays. If your function keeps them as they are, nothing is rounded, and `==`
# is allowed. If it makes floats of them, it agrees to 1e-12.

# %%
exact_a, exact_dout = (np.array([Fraction(value) for value in values], object).reshape(1, 3, 1, 1) for values in (a, dout))
dx = lrn_backward(exact_dout, exact_a, 3, 2, 1, 1).ravel()
print("lrn_backward gives", *dx, "  exactly equal to the numbers by hand:", list(dx) == by_hand)
assert max(abs(float(one - other)) for one, other in zip(dx, by_hand, strict=True)) < 1e-12

# %% [markdown]
# Then the measured slope of lesson 00. No two of N, C, H, W and n are alike. We use alpha = 0.1 and not the paper's 0.0001, because our
# numbers are near 1. Part 8 shows what the paper's alpha would do to this test.

# %%
rng = np.random.default_rng(5)
N, C, H, W = 2, 7, 3, 6
a = rng.standard_normal((N, C, H, W))


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


def measure(a, n, k, alpha, beta):
    """A random dout, and the measured slopes of the loss, the sum of dout times b."""
    dout = rng.standard_normal(a.shape)
    return dout, numerical_gradient(lambda a: (dout * lrn(a, n, k, alpha, beta)).sum(), a, 1e-5)


for n in (5, 4, 1, 20)[: fast(4, 2)]:  # fast(4, 2) is 4; a quick test of this page takes 2
    dout, measured = measure(a, n, 2, 0.1, 0.75)
    assert difference(lrn_backward(dout, a, n, 2, 0.1, 0.75), measured) < 1e-8
    print(f"n = {n}: dx agrees with the measured slopes")

# %% [markdown]
# n = 20 is more than there are channels. Then every window holds all of them.

# %% [markdown]
# ## 7. The same as the engine
#
# The engine's functions are `lrn_scale`, `lrn` and `lrn_backward` in `tinyalex/layers/lrn.py`; the layer is `LocalResponseNorm`. It gets
# its sums from `window_sum`, which moves the whole array by 1, 2, ... channels and adds the moved arrays. Going back, `window_sum` is
# called with before and after exchanged. That is the mirrored window of 4.6. The engine's argument `window` holds before, after and the
# number of groups. The last argument of each function is an array for the result.

# %%
from tinyalex.layers import lrn as engine

a8 = 30 * rng.standard_normal((N, 8, H, W))  # 8 channels, so that two groups have 4 each
dout8 = rng.standard_normal(a8.shape)
for n in (5, 4, 3, 1):
    for groups in (1, 2):
        window = (n // 2, (n - 1) // 2, groups)
        s = engine.lrn_scale(a8, 2, 1e-3, window, np.empty_like(a8))
        b, dx = engine.lrn(a8, s, 0.75, np.empty_like(a8)), np.empty_like(a8)
        engine.lrn_backward(a8, s, dout8, 1e-3, 0.75, window, dx)
        parts = [slice(0, 4), slice(4, 8)] if groups == 2 else [slice(0, 8)]
        for part in parts:  # each group by itself
            assert np.abs(b[:, part] - lrn(a8[:, part], n, 2, 1e-3, 0.75)).max() < 1e-12
            assert np.abs(dx[:, part] - lrn_backward(dout8[:, part], a8[:, part], n, 2, 1e-3, 0.75)).max() < 1e-12
    print(f"n = {n}: forward and backward equal to the engine's, to 1e-12, with one group and with two")

# %% [markdown]
# ## 8. Experiment
#
# ### One activity alone
#
# Let one activity be 10, and let all its neighbors be 0. Then $s = 2 + 0.0001 \cdot 100 = 2.01$.

# %%
alone = lrn(np.array([10.0]).reshape(1, 1, 1, 1), 5, 2, 1e-4, 0.75).item()
say("what is left is 5.924", value=alone, within=0.001)
reveal("05-a")

# %% [markdown]
# So the square of the activity hardly matters here. Does normalization ever do more than divide by $2^{0.75}$?
#
# ### It depends on how large the activities are
#
# We take noise in 96 channels, multiply it by a number, and look at the factor b / a. (ReLU would leave no negative numbers. The squares do
# not see the sign, so we keep the negative numbers.) Each activity has a factor of its own. The line of the picture is their median, and 9
# of 10 factors lie in the blue band. The picture marks two places: inputs of **unit variance**, whose variance is 1, and the activities of
# conv1 in AlexNet. After the picture we compute where conv1 lies.

# %%
noise = rng.standard_normal((fast(4, 2), 96, 13, 17))
gradient = rng.standard_normal(noise.shape)
PAPER = (5, 2, 1e-4, 0.75)  # n, k, alpha, beta


def factors(std):
    return lrn(std * noise, *PAPER) / (std * noise)


for std in (1, 100):
    found = factors(std)
    print(f"standard deviation {std:3}: b / a from {found.min():.3f} to {found.max():.3f}")
say("standard deviation one: the median is 0.595", value=np.median(factors(1)), within=0.001)
reveal("05-b")
say("standard deviation one hundred: the median is 0.25", value=np.median(factors(100)), within=0.01)
reveal("05-c")

# %%
stds = np.logspace(-1, 3, 17)
low, middle, high = np.array([np.quantile(factors(std), (0.05, 0.5, 0.95)) for std in stds]).T
fig, ax = plt.subplots(figsize=(5.5, 3.3), layout="constrained")
ax.fill_between(stds, low, high, color="#0072B2", alpha=0.25, label="9 of 10 activities")
ax.plot(stds, middle, color="#0072B2", linewidth=2, label="median")
ax.axvline(1, color="#C04A00", linestyle="--")
ax.text(0.9, 0.05, "inputs of\nunit variance", color="#C04A00", fontsize=10, ha="right")
ax.axvspan(14, 269, color="#E69F00", alpha=0.2)
ax.text(61, 0.64, "conv1", fontsize=10, ha="center")
ax.set(xscale="log", ylim=(0, 0.7), xlabel="standard deviation of the activities", ylabel="b / a")
ax.legend(loc="lower left", fontsize=9, bbox_to_anchor=(0.27, 0.2))
show(fig, alt="The factor b / a against the standard deviation of the activities, from 0.1 to 1000. Up to 3 it is a flat line at 0.595. "
     "At 100 the median is 0.25, and 9 of 10 lie between 0.14 and 0.43. At 1000 it is about 0.01. A dashed line marks inputs of unit "
     "variance, at 1, and a band from 14 to 269 marks conv1.")  # fmt: skip

# %% [markdown]
# **With inputs of unit variance this layer only multiplies by 0.595.** Nothing is normalized, and there is no competition.
# The layer is there, and the code is right, but smaller weights in the next layer would do the same.
#
# AlexNet reads pixels from 0 to 255, from which the mean image, the mean of all training images, is subtracted. Their standard deviation is
# about 74. A filter of conv1 multiplies 363 of them by weights, which have a standard deviation of 0.01 at the start, and adds. How large
# is the sum? If pixels and weights have nothing to do with each other, and both have the mean 0, the variance of a product is the product
# of the two variances, and the variances of the 363 products add. So the standard deviation of the sum is 74 times 0.01 times the root of
# 363. If the filter fits its window as well as possible, each weight is a fixed number times its pixel. Pixels have the standard deviation
# 74 and weights 0.01, so this number is 0.01 / 74. A product is then 0.01 / 74 times the square of a pixel. The mean of these squares is
# the variance, 74², so the mean of the products is 74 times 0.01. All of them are positive, and the sum is 363 times 74 times 0.01. No
# other weights of this size give a larger sum.

# %%
say("conv1 without any fit: standard deviation 14", value=74 * 0.01 * 363**0.5, within=0.2)
say("conv1 with a perfect fit: 269", value=74 * 0.01 * 363, within=0.5)

# %% [markdown]
# The first weights are random and fit nothing: 14. Learned filters fit their windows better, but not perfectly. So with weights of this
# size the standard deviation lies between the two. This is the band in the picture, and there the squares matter. Whoever divides the
# pixels by 255 must also multiply alpha by 255².
#
# ### Competition
#
# Now we look at one pixel with 24 channels, in two groups of 12. The activities are as large as those of conv1, and one of them is strong.

# %%
pixel = np.abs(40 * np.random.default_rng(7).standard_normal(24)).reshape(1, 24, 1, 1) + 10
pixel[0, 10] = 300.0
after = np.concatenate([lrn(pixel[:, :12], *PAPER), lrn(pixel[:, 12:], *PAPER)], axis=1)
ratio = (after / pixel).ravel()
fig, (above, below) = plt.subplots(2, 1, figsize=(6, 4.4), layout="constrained", sharex=True)
above.bar(range(24), pixel.ravel(), color="#0072B2")
above.set(ylabel="activity a")
below.bar(range(24), ratio, color="#E69F00")
below.set(ylabel="b / a", xlabel="channel", xticks=range(0, 24, 2), ylim=(0, 0.7))
for ax in (above, below):
    ax.axvline(11.5, color="black", linewidth=2)
above.text(11.8, 220, "the cut between the devices", fontsize=10)
show(fig, alt="Bars of 24 channels. Above, their activities: most lie between 10 and 90, channel 10 is at 300. Below, the part b / a that "
     "is left of each: 0.33 to 0.57 for most, but only 0.16 for channels 8 to 11. A black line between channels 11 and 12 is "
     "the cut between the devices. Channel 12, beyond it, keeps 0.54.")  # fmt: skip
print("b / a of the channels 7 to 13:", np.round(ratio[7:14], 2))

# %% [markdown]
# The strong channel pushes down itself and the neighbors within two channels. Its square alone makes their scale 2 + 0.0001 · 300² = 11,
# and $11^{-0.75}$ is 0.166. With the other squares of their windows it is 0.16. The channels further away do not notice it. Channel 12 is
# its neighbor by number, but it lies on the other device.
#
# ### A gradient check that proves nothing
#
# Somebody forgets the cross term and returns `dout * s**-beta`. Does a gradient check notice? It depends on how large the numbers of the
# *test* are.


# %%
def without_cross_term(dout, a, n, k, alpha, beta):
    s = k + alpha * np.einsum("ij,njhw->nihw", window_matrix(a.shape[1], n), a**2)  # M times a^2 at each pixel, a sum over j
    return dout * s**-beta


def wrong_by(std, alpha=1e-4):
    right = lrn_backward(gradient, std * noise, 5, 2, alpha, 0.75)
    return difference(without_cross_term(gradient, std * noise, 5, 2, alpha, 0.75), right)


say("at standard deviation one the gradient is wrong by 0.020 %", value=wrong_by(1), within=1e-5)
reveal("05-d")
say("at a hundred it is wrong by 44 %", value=wrong_by(100), within=0.02)
say("with alpha ten thousand times as large it is wrong by 44 % at one too", value=wrong_by(1, alpha=1), within=0.02)

# %%
fig, ax = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
ax.plot(stds, [wrong_by(std) for std in stds], "o-", color="#0072B2")
ax.axhline(1e-3, color="#C04A00", linestyle="--")
ax.text(1000, 4e-4, "allowed by a loose check", color="#C04A00", fontsize=10, ha="right")
ax.set(xscale="log", yscale="log", xlabel="standard deviation of the activities", ylabel="relative difference")
show(fig, alt="The relative difference of a gradient without the cross term, against the standard deviation of the activities, both on "
     "logarithmic axes. It rises on a straight line from 2e-6 at 0.1 over 2e-4 at 1, then bends to 0.4 at 100 and 0.7 at 1000. "
     "A dashed line at 0.001 is what a loose check allows: up to about 2 the mistake lies below it.")  # fmt: skip

# %% [markdown]
# Before the picture, 44 % stands twice: once for a standard deviation of 100 with alpha = 0.0001, and once for one of 1 with alpha = 1.
# Only alpha times the square counts, and this product is the same in both.
#
# A check that allows a relative difference of 0.001 passes the wrong gradient at standard deviation 1. The check of part 6 does not,
# because its alpha is large. **Test a layer with numbers for which the term that you test is large.**

# %%
dout, measured = measure(a, 5, 2, 0.1, 0.75)
print("part 6 would have found:", f"{difference(without_cross_term(dout, a, 5, 2, 0.1, 0.75), measured):.2f}")
assert difference(without_cross_term(dout, a, 5, 2, 0.1, 0.75), measured) > 0.1

# %% [markdown]
# ## 9. What people get wrong
#
# The course whose solutions we counted does not have this layer. So there are no counts here. Each mistake has the place where it was
# seen: articles on AlexNet, translations of the paper, and threads about libraries. (A name with a number, such as onnx/onnx#7805, is a
# thread on GitHub.) We take the paper's constants, and five channels with activities as large as in conv1.

# %%
five = np.array([20.0, 60, 100, 40, 80])
here = lrn(five.reshape(1, 5, 1, 1), *PAPER).ravel()
print("a =", five, "\nb =", np.round(here, 1))

# %% [markdown]
# **"Each value is divided by the sum of five maps"** (an article on AlexNet). Squares, alpha, k and the power are missing. The window of
# the channel in the middle holds all five. This channel has 100:

# %%
say("it would become 0.33", value=five[2] / five.sum(), within=0.005)
say("it is 34.1", value=here[2], within=0.05)

# %% [markdown]
# **$a_i$ for $a_j$ in the sum** (a widely read Chinese translation of the paper; SnailTyan/deep-learning-papers-translation#7,
# corrected in 2019). Then each channel looks at itself alone, once for each channel of its window. No channel inhibits another. The first
# channel shows it best: it is weak, with 20, and has a strong one in its window. Its window holds three channels, so it adds its own square
# three times:

# %%
say("it would become 11.4", value=five[0] / (2 + 1e-4 * 3 * five[0] ** 2) ** 0.75, within=0.05)
say("it is 8.0", value=here[0], within=0.05)

# %% [markdown]
# **The neighborhood is in the image.** Some libraries have such a layer too, over a square of pixels in one channel. The paper's sum
# runs over channels, "at the same spatial position". If all channels of one pixel change, only this pixel of b may change:

# %%
moved = a.copy()
moved[0, :, 1, 2] += 1  # all channels of one pixel
change = np.abs(lrn(moved, 5, 2, 0.1, 0.75) - lrn(a, 5, 2, 0.1, 0.75)).max(axis=1) > 0
print("pixels that change (image, line, column):", [tuple(map(int, at)) for at in np.argwhere(change)])

# %% [markdown]
# **The loop runs over the images** (onnx/onnx#7805). A reference program filled the scale for as many channels as there were *images*. Its
# test had 5 images with 5 channels each, and passed. With one image only channel 0 was right. For all others the sum stayed empty, and
# with the paper's constants the layer multiplied by 0.595. No two sizes in a test should be equal.

# %%
one = five.reshape(1, 5, 1, 1)
s = np.full(one.shape, 2.0)
for c in range(one.shape[0]):  # should be one.shape[1]
    s[:, c] += 1e-4 * (one[:, max(0, c - 2) : c + 3] ** 2).sum(axis=1)
print("that program:", np.round((one / s**0.75).ravel(), 1), "  right:", np.round(here, 1))

# %% [markdown]
# **alpha / n, and k = 1.** Many libraries divide alpha by n, and start the bracket with 1 (BVLC/caffe#1453,
# heuritech/convnets-keras#6, apache/mxnet#6781). The paper's formula does not. But the authors' own program of 2012 does divide by n, so
# the net that gave the paper's results had alpha = 0.00002. The engine has a switch for it, `alpha_over_n`.

# %%
for name, n, k, alpha in (("paper", 5, 2, 1e-4), ("alpha / n", 5, 2, 2e-5), ("alpha / n and k = 1", 5, 1, 2e-5)):
    print(f"{name:20}", np.round(lrn(five.reshape(1, 5, 1, 1), n, k, alpha, 0.75).ravel(), 1))

# %% [markdown]
# **Before or after ReLU?** The paper says after. The program of 2012 normalized the first layer *before* ReLU, so that there large negative
# numbers inhibited their neighbors too. Because of the squares the formula allows both. An example of a library had it before ReLU too,
# and was changed to the paper's order (chainer/chainer#1650).
#
# **"It standardizes: mean 0, variance 1"** (an article). The mean is not subtracted, and all activities keep their signs. The paper
# itself says that "brightness normalization" would be a better name, "since we do not subtract the mean activity".

# %%
say("the mean of the five outputs is 21.7", value=here.mean(), within=0.05)

# %% [markdown]
# **At the edge the first channel is counted again**, so that each sum has five terms (somebody believed so in FluxML/Flux.jl#720). The
# paper's limits are max(0, i - n/2) and min(N - 1, i + n/2), where N is the number of channels: the sum has fewer terms.

# %%
repeated = 2 + 1e-4 * (five[[0, 0, 0, 1, 2]] ** 2).sum()
say("counted again, the first channel would become 7.85", value=five[0] / repeated**0.75, within=0.005)
say("it is 7.99", value=here[0], within=0.005)

# %% [markdown]
# **The window crosses the cut.** In a program for one device it is easy to forget the groups. Then channels 46 and 47 of conv1 inhibit 48
# and 49, which lived on the other card.

# %%
whole = lrn(pixel, *PAPER).ravel() / pixel.ravel()
print(f"what is left of channel 12 in the example of part 8: {ratio[12]:.2f}, and without the cut {whole[12]:.2f}")

# %% [markdown]
# **beta is missing in the slope** (xingdi-eric-yuan/conv-net-version-3#5), or a factor 2, or the whole cross term. See part 8 for why
# a check may not find it. With beta left out, and with alpha = 0.1 as in part 6:

# %%
dout, measured = measure(a, 5, 2, 0.1, 0.75)
direct = without_cross_term(dout, a, 5, 2, 0.1, 0.75)
beta_missing = direct + (lrn_backward(dout, a, 5, 2, 0.1, 0.75) - direct) / 0.75
print(f"relative difference without beta: {difference(beta_missing, measured):.3f}")

# %% [markdown]
# **"Contrast normalization brings each channel to the mean 0 over all images"** (an article on AlexNet). The paper names contrast
# normalization as something similar, of other authors. There a mean is subtracted, and the rest is divided by a standard deviation. Both
# are taken in the neighborhood of each pixel, so it is local too. Response normalization subtracts nothing. Here is a line of eight
# pixels of one channel, dark on the left and light on the right. After local contrast normalization both halves reach from -1.4 to 1.4.
# Only the two pixels in the middle, -0.7 and 0.7, still tell which half is the light one. After response normalization all pixels tell
# it. The row "over all pixels" shows the article's way, with one mean and one standard deviation for all eight pixels: it keeps the step
# from dark to light, and the pattern is lost when we round.

# %%
line = np.array([10.0, 14, 10, 14, 110, 114, 110, 114])
near = [line[max(0, at - 1) : at + 2] for at in range(len(line))]  # each pixel with its neighbors on the line
print("contrast, local:  ", np.round([(pixel - part.mean()) / part.std() for pixel, part in zip(line, near, strict=True)], 1))
print("over all pixels:  ", np.round((line - line.mean()) / line.std(), 1))
print("response:         ", np.round(lrn(line.reshape(1, 1, 1, 8), *PAPER).ravel(), 1))

# %% [markdown]
# **"It is always good to have."** The paper reports that it lowers the top-1 error by 1.4 % and the top-5 error by 1.2 %, and the test
# error of a small net on CIFAR-10 from 13 % to 11 %. That holds for these two nets. AlexNet's activities are large. If the inputs have unit
# variance and alpha stays 0.0001, the layer is a constant factor, as part 8 shows. Later nets often bring the activities of each channel to
# mean 0 and variance 1 (batch normalization). After such a layer this one has nothing to do.
#
# More of them, with the numbers by which the tutor knows them, stand in `lessons/MISCONCEPTIONS.md`.
#
# ### Summary
#
# Response normalization divides an activity by a power of a scale, and the scale is k plus alpha times the sum of the squares of the
# channels in its window. An activity enters its own output and the scales of its neighbors, so its gradient has a direct term and a cross
# term that **adds** over all windows that hold it. With inputs of unit variance the layer multiplies by 0.595 and does nothing else. With
# activities as large as AlexNet's it makes channels compete. The same holds for a test: with small numbers it cannot see the cross term.
#
# ### Read on
#
# - The engine: `lrn_scale`, `lrn`, `lrn_backward` and `window_sum` in `tinyalex/layers/lrn.py`. You have derived each of them.
# - Exercise: `tutor.check("E07", lrn, lrn_backward)`, 35 minutes.
# - Next: lesson 06, softmax and the loss, where all classes share one sum.
#
# Two questions to write about, a few sentences each:
#
# 1. The order of the kernels is arbitrary, and yet it decides who inhibits whom. Why can the net still make use of it? Suppose that you
#    exchange two kernels after training. In the next layer you also exchange the weights that read their maps. What would change?
# 2. You may choose the standard deviation of a, the constants and the sizes for one gradient check of somebody else's layer. What do you
#    choose, and which mistakes of part 9 does your choice find?
