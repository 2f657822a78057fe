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
# # 04  Overlapping pooling
#
# Paper section 3.4, about 70 minutes, needs lessons 00, 02 and 03, holds exercise E06.
#
# Afterwards you can write max pooling and its backward pass for windows that overlap, and you can say what a wrong one loses.

# %%
from collections import Counter
from fractions import Fraction
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import adds, fast, say, show

# %% [markdown]
# ## 1. The paper's sentence
#
# > "If we set s < z, we obtain overlapping pooling. This is what we use throughout our network, with s = 2 and z = 3."
#
# (Section 3.4.) Here s is the stride and z is the side of a window. **Max pooling** takes the largest number of each window and forgets the
# others. The windows of a stride of 2 and a side of 3 share a line or a column with their neighbors. Traditionally, says the paper, windows
# do not overlap: they lie side by side, as with s = 2 and z = 2.
#
# **61 of 83.** We took 140 public solutions of an assignment of one well-known course. In 83 of them the backward passes of convolution
# and of pooling are both right at the sizes that the course checks: pooling with s = 2 and z = 2, convolution with padding 1. Then we
# asked the same functions for what AlexNet needs: pooling with s = 2 and z = 3, convolution with padding 0. **61 of the 83 did not give
# the right gradient.** The convolution is wrong in 43 of them, and the pooling in 35. In 17 both are wrong, so these are counted twice:
# 43 + 35 - 17 = 61. (Lesson 03 finds 46 wrong convolutions, because it counts 88 solutions: these 83 and 5 more, of which 3 are wrong.)
# For pooling the whole difference is one word of the title: *overlapping*. Would your function give the right gradient?

# %% [markdown]
# ## 2. Predict
#
# Run the cells, and replace each guess by your own before you read on. A pixel **wins** a window if it is the largest number in this
# window. **Noise** means here that every pixel is a random number of its own. The **norm** of a gradient is the root of the sum of the
# squares of its elements.

# %% tags=["predict"]
predict("04-a", 25)

# %% tags=["predict"]
predict("04-b", 10)

# %% tags=["predict"]
predict("04-c", 10)

# %% [markdown]
# ## 3. The equation
#
# x has the shape (N, C, H, W), as in lesson 03. A window has KH lines and KW columns; here both are the same number, `kernel`.
# As in lesson 03, (y, z) is the number of a window, and (i, j) is a cell in it. (This z is not the paper's z.) With the stride s:
#
# $$\text{out}[n,c,y,z] = \max_{i,j}\; x[n,c,s\,y+i,s\,z+j] \qquad\qquad (N, C, \text{OH}, \text{OW})$$
#
# There are no weights. Each channel is pooled by itself, so C stays as it is. The number of windows is the same as in lesson 03,
# without padding:
#
# $$\text{OH} = \left\lfloor \frac{H - \text{kernel}}{s} \right\rfloor + 1 \qquad\qquad \text{OW likewise from W.}$$
#
# Let us pool a map of 5 lines and 7 columns.

# %%
x = np.array([[3, 1, 4, 1, 2, 2, 6],
              [5, 2, 7, 3, 2, 5, 1],
              [1, 3, 9, 2, 5, 8, 3],
              [4, 6, 1, 11, 2, 4, 2],
              [2, 7, 5, 3, 1, 2, 7]], float)[None, None]  # fmt: skip


def draw(ax, values, title, low=0.0, high=16.0, cmap="Blues"):
    ax.imshow(values, cmap=cmap, vmin=low, vmax=high)
    for (line, column), value in np.ndenumerate(values):
        if value:
            ax.text(column, line, f"{value:.3g}", ha="center", va="center", fontsize=9)
    ax.set(xlabel="column", ylabel="line", xticks=range(values.shape[1]), yticks=range(values.shape[0]))
    ax.set_title(title, fontsize=11)


fig, axes = plt.subplots(2, 3, figsize=(7, 4), layout="constrained", sharex=True, sharey=True)
wins = np.zeros((5, 7))
for (y, z), ax in np.ndenumerate(axes):
    window = x[0, 0, 2 * y : 2 * y + 3, 2 * z : 2 * z + 3]
    i, j = np.argwhere(window == window.max())[0]
    wins[2 * y + i, 2 * z + j] += 1
    seen = np.zeros((5, 7))
    seen[2 * y : 2 * y + 3, 2 * z : 2 * z + 3] = window
    draw(ax, seen, f"window ({y}, {z}): the {window.max():.0f} wins")
    ax.plot(2 * z + j, 2 * y + i, "o", markersize=19, markerfacecolor="none", markeredgecolor="#C04A00", markeredgewidth=2)
    ax.set(xlabel="", ylabel="")
fig.supxlabel("column")
fig.supylabel("line")
show(fig, alt="The six windows of 3 by 3 pixels in a map of 5 by 7, two below each other and three side by side, with a ring round the "
     "largest number of each. The 9 on line 2, column 2 wins three windows, the 8 on line 2, column 5 wins two, the 11 on line "
     "3, column 3 wins one.")  # fmt: skip

# %% [markdown]
# Six windows, but only three winners: 9 wins three times, 8 twice, 11 once. With s = 2 and z = 2 no pixel can win twice, because each
# pixel lies in one window. This is the whole difficulty of the lesson.

# %% [markdown]
# ## 4. The derivation
#
# We are given dout, the gradient of the loss L with respect to out. We want dx, the gradient with respect to x.
#
# ### 4.1 One window
#
# Look at one window. Its cells hold numbers a, b, ..., and m = max(a, b, ...). Let one cell be larger than all others; it is the
# **winner**.
#
# - Move the winner by a small amount. It is still the largest, so m moves by the same amount. The slope is 1.
# - Move another cell by a small amount. It is still not the largest, so m does not move. The slope is 0.
#
# "Small" means: smaller than the distance between the winner and the second. So the gradient of a window goes to its winner, all of it,
# and nothing goes anywhere else. The sign $\partial$ is a round d. With it a slope is written as a fraction: how fast the upper variable
# grows when only the lower one moves.
#
# $$\frac{\partial\,\text{out}[n,c,y,z]}{\partial\,x[n,c,h,w]} =
# \begin{cases} 1 & \text{if pixel } (h, w) \text{ wins window } (y, z) \\ 0 & \text{otherwise} \end{cases}$$
#
# ### 4.2 All windows
#
# A pixel may win in several windows. It is then used several times, and the chain rule with several variables adds over all uses, as in
# lessons 02 and 03:
#
# $$\text{dx}[n,c,h,w] = \sum_{(y,z)\,\text{won by}\,(h,w)} \text{dout}[n,c,y,z] \qquad\qquad (N, C, H, W)$$
#
# In words, as the engine's docstring has them: *the gradient of a window goes to the cell that won. A pixel that wins in several windows
# gets the sum of their gradients.*
#
# Here is the pixel with the 9, with a dout that we make up.

# %%
dout = np.array([[0.5, 0.25, -1.0], [0.75, 2.0, 0.5]])[None, None]
fig = adds("x[2, 2]", [(f"wins window ({y}, {z})", dout[0, 0, y, z]) for y, z in ((0, 0), (0, 1), (1, 0))])
show(fig, alt="The pixel x[2, 2] wins the windows (0, 0), (0, 1) and (1, 0). The gradients 0.5, 0.25 and 0.75 come back from them, and a "
     "plus sign adds them to 1.5.")  # fmt: skip

# %% [markdown]
# ### 4.3 The same with a matrix
#
# Take one channel of one image, and lay x and out flat, as two vectors. As long as the winners stay the same, pooling only copies:
# out = M x, where row number q of M has a single 1, at the winner of window q. So M is a matrix like S in lesson 03, but it keeps one
# cell of each window. Its backward step is its transpose:
#
# $$\text{dx} = M^T\;\text{dout} \qquad\qquad (H W) = (H W, \text{OH OW})\,(\text{OH OW})$$
#
# A column of M may hold several ones, and then $M^T$ adds. One more fact is visible here. Each row of M holds one 1, so each element of
# dout reaches dx exactly once. Therefore **the sum of dx is the sum of dout**. This is a test that costs one line.
#
# ### 4.4 Ties
#
# Two cells of a window may be equal and both the largest. Then max has a kink there, as the absolute value has at 0 (lesson 00), and
# there is no slope. We choose a rule: one of them counts as the winner. The engine takes the leftmost one, and of several leftmost ones
# the topmost. To share the gradient among the equal cells is allowed too. To give *each* of them the whole gradient is wrong: then the
# sum of dx is not the sum of dout.
#
# Ties are not rare. ReLU makes all negative numbers 0, so whole windows may be 0.

# %% [markdown]
# ## 5. Twenty lines of your own
#
# This loop goes over all windows. You may use it.


# %% tags=["given"]
def each_window(x, kernel, stride):
    """For each window: y, z, its top line, its left column, and its pixels (N, C, kernel, kernel)."""
    for y in range((x.shape[2] - kernel) // stride + 1):
        for z in range((x.shape[3] - kernel) // stride + 1):
            top, left = stride * y, stride * z
            yield y, z, top, left, x[:, :, top : top + kernel, left : left + kernel]


# %% [markdown]
# Write `max_pool(x, kernel, stride)`, which returns out, and `max_pool_backward(dout, x, kernel, stride)`, which returns dx. This is
# exercise **E06**, about 25 minutes. Any rule for ties that gives one cell the gradient, or shares it, is accepted. Then, in a cell of
# your own, write `from tinyalex import tutor` and ask `tutor.check("E06", max_pool, max_pool_backward)`. Do this before you open the next
# cell.


# %% tags=["solution", "exercise:E06"]
def max_pool(x, kernel, stride):
    n, c, h, w = x.shape
    out = np.zeros((n, c, (h - kernel) // stride + 1, (w - kernel) // stride + 1), x.dtype)
    for y, z, _, _, window in each_window(x, kernel, stride):
        out[:, :, y, z] = window.max(axis=(2, 3))
    return out


def max_pool_backward(dout, x, kernel, stride):
    dx = np.zeros_like(x)
    n, c = np.ogrid[: x.shape[0], : x.shape[1]]  # (N, 1) and (1, C): every image and every channel has a winner of its own
    for y, z, top, left, window in each_window(x, kernel, stride):
        columns_first = window.swapaxes(2, 3).reshape(*x.shape[:2], -1)  # cell (i, j) is element j * kernel + i of the last axis
        j, i = np.divmod(columns_first.argmax(axis=2), kernel)  # argmax takes the first of equal cells: leftmost, then topmost
        dx[n, c, top + i, left + j] += dout[:, :, y, z]
    return dx


# %% [markdown]
# ## 6. Prove it
#
# We use the measured slope of lesson 00, and we take care of two things. First, the winners must not change while we measure, so no two
# numbers of x may be closer than the step. So x holds the numbers 0, 1, 2, ... in random order, and the step is 0.25: then L moves along
# a straight line, and the measured slope is exact. Second, no two of N, C, H and W are alike, and with a kernel of 3 and a stride of 2
# the last column is in no window.

# %%
rng = np.random.default_rng(4)
N, C, H, W = 2, 3, 9, 12
several = rng.permutation(N * C * H * W).reshape(N, C, H, W).astype(float)


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


def prove(kernel, stride):
    d = rng.standard_normal(max_pool(several, kernel, stride).shape)
    dx = max_pool_backward(d, several, kernel, stride)
    measured = numerical_gradient(lambda x: (d * max_pool(x, kernel, stride)).sum(), several, 0.25)
    assert np.abs(dx - measured).max() < 1e-10
    assert abs(dx.sum() - d.sum()) < 1e-10
    print(f"kernel {kernel}, stride {stride}: dx agrees with the measured slopes, and the sum of dx is the sum of dout")


for kernel, stride in [(3, 2), (4, 3), (2, 2), (2, 3)][: fast(4, 2)]:  # fast(4, 2) is 4; a quick test of this page takes 2
    prove(kernel, stride)

# %% [markdown]
# What does the measured slope say at a tie? In a window of zeros, moving one cell up by h moves the maximum up by h. Moving it down moves
# nothing. The centered difference gives the mean of the two slopes 1 and 0.

# %%
zeros = np.zeros((1, 1, 3, 3))
measured = numerical_gradient(lambda x: max_pool(x, 3, 2).sum(), zeros, 0.25)
say("measured slope of each of the nine equal cells: 0.5", value=measured[0, 0, 1, 1], within=0)
say("their sum: 4.5, although the gradient of the window is one", value=measured.sum(), within=0)

# %% [markdown]
# No rule for ties agrees with these numbers. A kink has no slope, so a gradient check must stay away from it.

# %% [markdown]
# ## 7. The same as the engine
#
# The engine's functions are `max_pool` and `max_pool_backward` in `tinyalex/layers/pool.py`. There the forward pass also returns which
# cell won each window, so that the backward pass need not look again. The loop of the forward pass goes over the cells of a window: for
# each cell (i, j), it takes the pixels at this cell in all windows at once, and compares them with the largest ones so far. As in lesson
# 03, `windows_of` puts the sizes and the stride into one object.

# %%
from tinyalex import geometry
from tinyalex.layers import pool

with_ties = np.maximum(rng.integers(-4, 3, (N, C, H, W)), 0).astype(float)  # many equal numbers, as after ReLU
for kernel, stride in [(3, 2), (4, 3), (2, 2), (2, 3)]:
    windows = geometry.windows_of("lesson 04", (H, W), kernel, stride)
    for images in (several, with_ties, rng.standard_normal((N, C, H, W))):
        out, winner = pool.max_pool(images, windows)
        d = rng.standard_normal(out.shape)
        assert np.array_equal(out, max_pool(images, kernel, stride))
        dx, theirs = max_pool_backward(d, images, kernel, stride), pool.max_pool_backward(d, winner, windows)
        equal = np.abs(dx - theirs).max() < 1e-12
        if images is with_ties:
            rule = "ties included" if equal else "with another rule for ties"  # see 4.4: then the sums must be equal
            assert abs((dx - theirs).sum()) < 1e-10
        else:
            assert equal
    print(f"kernel {kernel}, stride {stride}: forward equal, backward equal to 1e-12, {rule}")

# %% [markdown]
# ## 8. Experiment
#
# ### How many pixels can win twice?
#
# AlexNet's first pooling layer has maps of 55 by 55 pixels. Count in how many windows each pixel lies.

# %%
seen = np.zeros((1, 1, 55, 55))
for _, _, _, _, window in each_window(seen, 3, 2):
    window += 1  # a view of the map: the map itself is changed
for times, number in zip(*np.unique(seen, return_counts=True), strict=True):
    print(f"{number:,} pixels lie in {times:.0f} {'window' if times == 1 else 'windows'}")
say("72 % of the pixels lie in more than one window", value=(seen > 1).mean(), within=0.005)
reveal("04-a")

# %% [markdown]
# ### How many pixels do win twice?
#
# A pixel that lies in several windows need not win in any of them. We pool 55 by 55 pixels of noise, and a smooth map, in which every
# pixel is the mean of 3 by 3 pixels of noise. In the map of a photograph, too, neighbors are alike.

# %%
maps = fast(40, 12)
noise = rng.standard_normal((maps, 1, 55, 55))
wide = rng.standard_normal((maps, 1, 57, 57))
smooth = sum(wide[:, :, i : i + 55, j : j + 55] for i in range(3) for j in range(3)) / 9


def count_wins(x):
    """How many windows each pixel wins: the backward pass adds a one for each win."""
    return max_pool_backward(np.ones((*x.shape[:2], 27, 27)), x, 3, 2)


def won_twice(x):
    wins = count_wins(x)
    return (wins > 1).sum() / (wins > 0).sum()


say("noise: 39 % of the winners win more than one window", value=won_twice(noise), within=fast(0.015, 0.03))
say("smooth map: 30 %", value=won_twice(smooth), within=fast(0.015, 0.03))
reveal("04-b")

# %% [markdown]
# Why fewer in the smooth map? There the numbers often rise from one side of a window to the other. Then the winner stands on the high
# side, at the border. The neighboring window holds this pixel too, but on its low side. So the pixel wins only one of the two.
#
# The first number, 39 %, can be found without any noise. (You may skip this, and the code below it.) Take n random numbers, all drawn in
# the same way. Each of them is the largest with probability 1/n. A pixel wins *all* windows of a set T if it is the largest of all pixels
# in these windows together. The probability of this is 1 / (how many pixels lie in T). To get the probability of at least one win, add it
# over all single windows of the pixel, subtract it over all pairs, add it over all triples, subtract it for all four: this is the rule of
# inclusion and exclusion. For two wins or more the same rule has other factors: add it over all pairs, subtract it twice over all triples,
# and add it three times for all four. Then a pixel is counted once, whether it wins 2, 3 or 4 windows. If it wins 2, there is one pair. If
# it wins 3, there are 3 pairs and 1 triple, and 3 - 2 = 1. If it wins 4, there are 6 pairs, 4 triples and 1 four, and 6 - 8 + 3 = 1.
# Fractions compute both exactly.


# %%
def exact(side):
    """The winners of a side x side map of noise and the winners of two or more windows: how many there are on average."""
    starts = range(0, side - 2, 2)
    kinds = Counter(tuple(start - at for start in starts if start <= at < start + 3) for at in range(side))
    winners = twice = Fraction(0)
    for rows, lines in kinds.items():  # where the windows of a pixel begin, above it and to its left; how many lines have this
        for left, columns in kinds.items():
            own = [{(y + i, z + j) for i in range(3) for j in range(3)} for y in rows for z in left]  # the windows of a pixel
            for m in range(1, len(own) + 1):
                for chosen in combinations(own, m):
                    probability = Fraction(lines * columns, len(set.union(*chosen)))
                    winners += (-1) ** (m + 1) * probability
                    twice += (-1) ** m * (m - 1) * probability
    return winners, twice


winners, twice = exact(55)
say("a map has 470.4 winners on average", value=float(winners), within=0.1)
say("39.1 % of them win more than one window", value=float(twice / winners), within=0.0005)

# %% [markdown]
# So far we have asked only whether a winner wins more than one window. This picture shows how many windows the winners win.

# %%
parts = {}
fig, ax = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
for offset, color, values, label in ((-0.2, "#0072B2", noise, "noise"), (0.2, "#E69F00", smooth, "smooth map")):
    wins = count_wins(values)
    shares = [100 * (wins == times).sum() / (wins > 0).sum() for times in (1, 2, 3, 4)]
    bars = ax.bar(np.arange(1, 5) + offset, shares, 0.38, color=color, label=label)
    ax.bar_label(bars, [f"{share:.0f}" for share in shares], fontsize=9)
    parts[label] = ", ".join(f"{share:.0f} % win {times}" for times, share in enumerate(shares, 1))
ax.set(xlabel="windows won", ylabel="% of the winners", xticks=(1, 2, 3, 4), ylim=(0, 80))
ax.legend()
show(fig, alt=f"Two bars for each number of windows won, in percent of the winners. Noise: {parts['noise']}. "
     f"Smooth map: {parts['smooth map']}. In both most winners win one window.")  # fmt: skip

# %% [markdown]
# More winners win 4 windows than 3. The reason is that no pixel lies in exactly 3 windows: it lies in 1, in 2 or in 4. To win 3, a pixel
# must lie in 4 windows and lose in one of them.
#
# ### What does `=` lose?
#
# Two mistakes are common. The first writes `dx[winner] = d` where it should write `+=`. A pixel that wins again loses what it had. The
# second writes the whole window: the gradient at the winner and zeros elsewhere. It also erases the winners of neighbors.
#
# We try both on the map of part 3, with the dout of 4.2. There the 9 should get 0.5 + 0.25 + 0.75 = 1.5, the 8 should get
# -1 + 0.5 = -0.5, and the 11 should get 2.


# %%
def overwrites_the_winner(dout, x, kernel, stride):
    dx = np.zeros_like(x)
    n, c = np.ogrid[: x.shape[0], : x.shape[1]]
    for y, z, top, left, window in each_window(x, kernel, stride):
        j, i = np.divmod(window.swapaxes(2, 3).reshape(*x.shape[:2], -1).argmax(axis=2), kernel)
        dx[n, c, top + i, left + j] = dout[:, :, y, z]
    return dx


def overwrites_the_window(dout, x, kernel, stride):
    dx = np.zeros_like(x)
    for y, z, top, left, window in each_window(x, kernel, stride):
        is_winner = window == window.max(axis=(2, 3), keepdims=True)
        dx[:, :, top : top + kernel, left : left + kernel] = is_winner * dout[:, :, y, z, None, None]
    return dx


three = (max_pool_backward, overwrites_the_winner, overwrites_the_window)
fig, axes = plt.subplots(1, 3, figsize=(7, 2.5), layout="constrained")
for ax, function, title in zip(axes, three, ("+=", "= at the winner", "= in the window"), strict=True):
    draw(ax, function(dout, x, 3, 2)[0, 0], title, -4, 4, "PuOr_r")
show(fig, alt="dx of the map of part 3, three times. With += it is 1.5 at line 2, column 2, 2 at line 3, column 3 and -0.5 at line 2, "
     "column 5. With = at the winner it is 0.75, 2 and 0.5. With = in the window the first is erased: 2 and 0.5 are left.")  # fmt: skip

# %% [markdown]
# With `=` at the winner each pixel keeps the gradient of its last window. With `=` in the window the 9 gets nothing: the window (1, 1)
# comes after the three windows that the 9 wins, and writes a zero over it. The 11 and the 8 win the last window that holds them, so they
# keep the gradient of this one window.
#
# How much is lost in large maps?


# %%
def lost(function, x, kernel):
    """The norm of what is missing, over the norm of the right gradient."""
    d = np.random.default_rng(40).standard_normal((*x.shape[:2], 27, 27))
    right = max_pool_backward(d, x, kernel, 2)
    return np.linalg.norm(right - function(d, x, kernel, 2)) / np.linalg.norm(right)


say("noise, = at the winner: 60 % of the gradient's norm is lost", value=lost(overwrites_the_winner, noise, 3), within=0.03)
say("smooth map, = at the winner: 53 %", value=lost(overwrites_the_winner, smooth, 3), within=0.03)
say("noise, = in the window: 74 %", value=lost(overwrites_the_window, noise, 3), within=0.03)
say("smooth map, = in the window: 77 %", value=lost(overwrites_the_window, smooth, 3), within=0.03)
reveal("04-c")

# %% [markdown]
# Where does the 60 % come from? The gradients in dout are random numbers with mean 0. The mean of their squares is then called their
# **variance**, and here it is 1. The numbers are drawn independently: none of them depends on another. Then variances add. A pixel that
# wins m windows should get a sum of m gradients, with variance m. `=` keeps one, so m - 1 are lost. Summed over all winners, m gives the
# number of windows, and m - 1 gives the number of windows minus the number of winners. The square of a norm is a sum of squares, and the
# mean of each square is its variance. So, on average,
#
# $$\frac{\text{lost}^2}{\text{norm}^2} = \frac{\text{windows} - \text{winners}}{\text{windows}}$$
#
# A map of 55 by 55 pixels has 27 · 27 = 729 windows and, as above, 470.4 winners on average. So the fraction is 258.6 / 729 = 0.355. This
# is a ratio of squares, and its root is what we look for.

# %%
say("by this formula 59.6 % are lost in noise", value=float(1 - winners / 27**2) ** 0.5, within=0.0005)
say("with windows side by side nothing is lost: 0 %", value=lost(overwrites_the_winner, noise, kernel=2), within=0)

# %% [markdown]
# ### What is the overlap good for?
#
# The paper found that overlap lowers the top-1 error by 0.4 % and the top-5 error by 0.3 %, against s = 2 and z = 2. (The top-1 error is
# the share of images for which the right class is not the net's first choice. The top-5 error is the share of images for which it is not
# among the net's first five choices.) We cannot train AlexNet here, but we can look at a possible reason. Move a map by one column, and
# pool it again. How much does the pooled map resemble the pooled map from before? We take the correlation of the two: 1 if they are the
# same, about 0 if they have nothing to do with each other. We do this with windows of 3, with windows of 2, and with windows of one
# pixel. The last ones only take every second pixel of every second line.


# %%
def resemblance(x, kernel):
    before = max_pool(x[:, :, :, 1:], kernel, 2)
    after = max_pool(x[:, :, :, :-1], kernel, 2)
    return np.corrcoef(before.ravel(), after.ravel())[0, 1]


table = np.array([[resemblance(values, kernel) for kernel in (1, 2, 3)] for values in (noise, smooth)])
table_text = [", ".join(f"{value:.2f}" for value in line) for line in table]
fig, ax = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
for offset, color, line, label in ((-0.2, "#0072B2", table[0], "noise"), (0.2, "#E69F00", table[1], "smooth map")):
    ax.bar(np.arange(3) + offset, line, 0.38, color=color, label=label)
    for place, value in enumerate(line):  # a bar near 0 is hardly seen, so its number stands above the line of 0
        ax.text(place + offset, max(value, 0) + 0.01, f"{value:.2f}", ha="center", fontsize=9)
ax.set(xticks=range(3), xlabel="pooling", ylabel="correlation", ylim=(0, 1))
ax.set_xticklabels(["every second pixel", "s = 2, z = 2", "s = 2, z = 3"])
ax.legend(loc="upper left")
show(fig, alt="Bars: the correlation of a pooled map with the pooled map after a move by one column, for every second pixel, windows of 2 "
     f"and windows of 3. Noise: {table_text[0]}. Smooth map: {table_text[1]}.")  # fmt: skip
say("0.61 in noise with windows of three", value=table[0, 2], within=fast(0.02, 0.05))
say("0.42 with windows of two", value=table[0, 1], within=fast(0.02, 0.05))

# %% [markdown]
# If the image moves, a pooled map changes less than a map of every second pixel, and where windows overlap it changes less still. This
# agrees with the paper, but it proves nothing about errors on photographs.

# %% [markdown]
# ## 9. What people get wrong
#
# The counts come from 140 public solutions of one course, not a random sample. The pooling of 89 of them, the 83 of part 1 and 6 more, is
# right at the course's own check, s = 2 and z = 2. At s = 2 and z = 3 **48 are still right**. The other 41:
#
# - **`=` at the winner: 18.** A winner that wins again loses what it had.
# - **`=` in the whole window: 16.** Each window also erases its neighbors' winners.
# - **Seven others**: a window as large as the stride, a size computed as H / kernel, and the like.
#
# They looked right, because with windows side by side `=` and `+=` are the same:

# %%
d = rng.standard_normal(max_pool(several, 2, 2).shape)
for function in three[1:]:
    print(function.__name__, "is right at s = 2, z = 2:", np.array_equal(function(d, several, 2, 2), max_pool_backward(d, several, 2, 2)))

# %% [markdown]
# **Every tied cell gets the whole gradient: 42 of 89.** `is_winner` in part 8 does so. 43 give it to the first cell, 3 share it,
# 1 does something else. How much too much is it?

# %%
relu = np.maximum(smooth, 0)
share = (max_pool(relu, 3, 2) == 0).mean()
say("8 % of the windows of a smooth map are all zero after ReLU", value=share, within=0.02)
window = np.zeros((1, 1, 3, 3))
sent = overwrites_the_window(np.ones((1, 1, 1, 1)), window, 3, 2).sum()
say("a window of zeros with gradient one then sends back 9", value=sent, within=0)

# %% [markdown]
# **"Ties do not happen."** The 8 % of windows above that are all zero are ties of nine cells.
#
# **`dx[index] += d` adds for every index.** In NumPy it does not, if an index stands in the list twice. `np.add.at` does. Our
# `max_pool_backward` may use `+=`, because it takes one window at a time, and in one window each image and channel has one winner.

# %%
index, once, each = np.array([1, 1, 1]), np.zeros(3), np.zeros(3)
once[index] += 1
np.add.at(each, index, 1)
print("+= gives", once, "  np.add.at gives", each)

# %% [markdown]
# **The gradient is spread over the window.** That is average pooling, where every cell has a share in the output. With max pooling the
# other cells did not matter, and they get nothing.
#
# **Padding is 0.** A window at the border of a negative map would then give 0, a number that is not in the map. For a maximum the padding
# is minus infinity, which never wins.

# %%
negative = -several[:1, :1, :3, :3] - 1
for fill in (0, -np.inf):
    print("padding", fill, "gives", max_pool(np.pad(negative, ((0, 0), (0, 0), (1, 0), (1, 0)), constant_values=fill), 3, 2).ravel())

# %% [markdown]
# **"Pooling prevents overfitting"** (an article on AlexNet). The paper says much less: nets with overlapping pooling are "slightly
# more difficult to overfit". What AlexNet does against overfitting is in lesson 08.
#
# **"AlexNet was the first net with max pooling"** (another article). The paper itself names older nets with pooling, whose
# windows do not overlap.
#
# More of them stand in `lessons/MISCONCEPTIONS.md`.
#
# ### Summary
#
# Max pooling keeps the largest number of each window. Its gradient goes to the cell that won, and to no other. Where windows overlap, one
# pixel can win several of them, and it gets the sum of their gradients. In noise 39 % of the winners do. A backward pass that
# overwrites loses 60 % of the gradient's norm there, and no test with s = 2 and z = 2 can see it.
#
# ### Read on
#
# - The engine: `max_pool` and `max_pool_backward` in `tinyalex/layers/pool.py`. There the average of a window is derived, too.
# - Exercise: `tutor.check("E06", max_pool, max_pool_backward)`, 25 minutes.
# - Next: lesson 05, response normalization, where a number enters the outputs of its neighbors.
#
# Two questions to write about, a few sentences each:
#
# 1. You may write one test for somebody else's pooling, with one choice of kernel, stride, H, W and numbers. What do you choose, and which
#    mistakes of part 9 does it see?
# 2. Most pixels of a map get the gradient 0. Is something lost there? What would average pooling tell these pixels?
