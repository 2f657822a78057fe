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
# # 13  Fast
#
# Paper section 1, about 100 minutes, needs lessons 00, 03 and 09.
#
# Afterwards you can say what makes a convolution fast: one large product, blocks that stay in the cache, and fewer multiplications. You can
# derive Winograd's algorithm by hand, say whether a layer waits for arithmetic or for memory, and find your way in the engine's `fast/`.

# %%
import json
import math
from fractions import Fraction
from functools import cache
from pathlib import Path
from time import process_time

import matplotlib.pyplot as plt
import numpy as np
from threadpoolctl import threadpool_limits

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import fast, say, show

one_core = threadpool_limits(1)  # matrix products use one core, so that all times here are comparable

# %% [markdown]
# ## 1. The paper's sentence
#
# > "We wrote a highly-optimized GPU implementation of 2D convolution and all the other operations inherent in training convolutional neural
# > networks, which we make available publicly."
#
# (Section 1.) "Optimized" means here: it computes the same numbers in less time. The training took five to six days. With a program that
# is a thousand times slower it would have taken more than ten years, and there would be no paper.
#
# Lesson 03 wrote a convolution twice: as an equation with sums, and as im2col with one matrix product. This lesson goes on from there, in
# four steps, and measures each of them:
#
# 1. **Loops.** The equation, one multiplication at a time.
# 2. **im2col** and one product.
# 3. **Blocks.** The same, for a few images at a time, so that the columns stay in the fast part of the memory.
# 4. **Winograd's algorithm.** The same numbers with fewer multiplications. It is not in the paper. It is older than the paper, but came to
#    convolutional nets only in 2015 (Lavin and Gray, arXiv:1509.09308).
#
# The engine has the last three, and it chooses by itself.

# %% [markdown]
# ## 2. Predict
#
# Run the cells, and replace each guess by your own before you read on. Some words of the questions:
#
# - The **order of magnitude** of a number is the power of ten that is nearest. For 900, 1,000 and 2,000 it is 3.
# - A **tile** is a small square of outputs that are computed together.
# - **float32** numbers have 4 bytes each and about 7 digits.
# - A layer **waits for memory** if the processor could compute faster than the numbers arrive.

# %% tags=["predict"]
predict("13-a", 1)

# %% tags=["predict"]
predict("13-b", 9)

# %% tags=["predict"]
predict("13-c", 0)

# %% tags=["predict"]
predict("13-d", -7)

# %% [markdown]
# ## 3. The equation
#
# This is the convolution of lesson 03 for one image, with stride 1. The sheet is the image with its padding:
#
# $$\text{out}[k,y,z] = \sum_{c,i,j} \text{weight}[k,c,i,j]\;\text{sheet}[c,y+i,z+j] \qquad (K, \text{OH}, \text{OW})$$
#
# We leave the bias out, because it costs nearly nothing. Each term needs one multiplication and one addition. We call them two
# **operations**. In all there are
#
# $$\text{ops} = 2 \; K \; C \; \text{KH} \; \text{KW} \; \text{OH} \; \text{OW} \qquad\qquad \text{for one image.}$$
#
# A processor has two speeds, and they are very different things:
#
# | name | what it is | unit |
# |---|---|---|
# | P | how many operations it can do at most | operations a second |
# | S | how many bytes can come from the memory or go there at most | bytes a second |
#
# Let ops be the number of operations of some work, and bytes the number of bytes that it must move between memory and processor. However
# clever the program is, the work takes at least as long as the slower of the two:
#
# $$\text{time} \;\ge\; \max\left( \frac{\text{ops}}{P},\; \frac{\text{bytes}}{S} \right)$$
#
# So the speed, ops / time, is at most ops divided by ops / P, which is P. And it is at most ops divided by bytes / S. That is S I, where I
# stands for ops / bytes, the **operations for each byte**:
#
# $$\frac{\text{ops}}{\text{time}} \;\le\; \min\left( P,\; S\,I \right) \qquad\qquad I = \frac{\text{ops}}{\text{bytes}}$$
#
# We can measure the left side. Draw the right side over I: it rises as a slope, S I, and then stays at a ceiling, P. It
# looks like a roof, so it is called the **roofline**. If I is small, memory is the limit. If I is large, arithmetic is. In part 8
# each layer of AlexNet becomes a dot in this picture.
#
# So there are three ways to be faster: come closer to P, move fewer bytes, and do fewer operations. Step 2 does the first, step 3 the
# second, and step 4 the third.

# %% [markdown]
# ## 4. The derivation
#
# ### 4.1 One product in place of loops
#
# In a Python loop the multiplication itself is the smallest part of the work. Python looks up the names, makes the indices, finds the type
# of each number, and makes a new object for the result. A matrix product does this once for the whole matrix.
#
# There is a second reason, and it would hold in a fast language too. Let the product be (K, R) times (R, Q), as in lesson 03. It does
# 2 K R Q operations on only K R + R Q + K Q numbers. So each number can be fetched once and used many times. A library for matrix products
# (its name is **BLAS**) keeps small squares of all three matrices near the processor while it uses them.
#
# Note what im2col does *not* do. The number of multiplications is the same as before, and there are more bytes, because a pixel is copied
# once for each window that sees it.
#
# ### 4.2 Blocks
#
# The **processor cache**, or cache, is a small memory inside the processor, of some megabytes. It holds what was used last, and it is much
# faster than the main memory. In part 8 im2col writes the columns of 64 images, 52 megabytes. Later columns take the place of the
# first ones in the cache. So when the product begins to read the first columns, they are no longer there. Every column goes to the main
# memory and comes back.
#
# The remedy is a **block** of few images. Make its columns and multiply. Then write the columns of the next block *into the same array*. So
# the columns never leave the cache. The copies and the products are the same as before, in another order.
#
# ### 4.3 Fewer multiplications: two polynomials
#
# Now to the number of operations. We begin with another task, and come back to convolution in 4.4. Multiply two polynomials in p:
#
# $$\begin{array}{rll}
# a(p) &= a_0 + a_1 p & \quad \text{2 coefficients} \\
# w(p) &= w_0 + w_1 p + w_2 p^2 & \quad \text{3 coefficients} \\
# s(p) = a(p)\,w(p) &= s_0 + s_1 p + s_2 p^2 + s_3 p^3 & \quad \text{4 coefficients}
# \end{array}$$
#
# If we multiply out, each a is multiplied by each w. These are six multiplications:
#
# $$s_0 = a_0 w_0 \qquad s_1 = a_0 w_1 + a_1 w_0 \qquad s_2 = a_0 w_2 + a_1 w_1 \qquad s_3 = a_1 w_2$$
#
# There is a way with four. A polynomial with 4 coefficients is known if we know its value at 4 points, as a line is known from 2 points.
# And the *value* of s at a point is one multiplication: s(p) = a(p) w(p). We take the points 0, 1 and -1, because their powers are easy.
# The fourth "point" is infinity: for a very large p only the highest power counts, so the "value" there is the last coefficient.
#
# $$\begin{array}{rll}
# s(0) &= a_0 \cdot w_0 & = s_0 \\
# s(1) &= (a_0 + a_1) \cdot (w_0 + w_1 + w_2) & = s_0 + s_1 + s_2 + s_3 \\
# s(-1) &= (a_0 - a_1) \cdot (w_0 - w_1 + w_2) & = s_0 - s_1 + s_2 - s_3 \\
# s(\infty) &= a_1 \cdot w_2 & = s_3
# \end{array}$$
#
# These are four multiplications, the four dots. The right column gives the coefficients back. Half the difference of the second and the
# third line is $s_1 + s_3$. Half their sum is $s_0 + s_2$. (We do not count the halves, because 4.4 moves them into the weights.) So
#
# $$\begin{array}{rl}
# s_0 &= s(0) \\
# s_1 &= \frac{1}{2} s(1) - \frac{1}{2} s(-1) - s(\infty) \\
# s_2 &= \frac{1}{2} s(1) + \frac{1}{2} s(-1) - s(0) \\
# s_3 &= s(\infty)
# \end{array}$$
#
# To find a polynomial from its values is called **interpolation**. (You can skip this: in the language of the Chinese
# remainder theorem, s(1) is what remains of s when it is divided by p - 1, and s is known from its remainders.)
#
# An example: a = (2, 3) and w = (1, 4, 5).

# %%
a0, a1, w0, w1, w2 = 2, 3, 1, 4, 5
print("six multiplications: ", [a0 * w0, a0 * w1 + a1 * w0, a0 * w2 + a1 * w1, a1 * w2])
at_0, at_1, at_minus_1, at_infinity = a0 * w0, (a0 + a1) * (w0 + w1 + w2), (a0 - a1) * (w0 - w1 + w2), a1 * w2
print("the four values:     ", [at_0, at_1, at_minus_1, at_infinity])
print("four multiplications:", [at_0, (at_1 - at_minus_1) // 2 - at_infinity, (at_1 + at_minus_1) // 2 - at_0, at_infinity])

# %% [markdown]
# ### 4.4 From the polynomials to a filter
#
# Our filter w has three weights and goes over a line of pixels. Two neighboring outputs, $y_0$ and $y_1$, see four pixels:
#
# $$\begin{array}{rl}
# y_0 &= w_0 x_0 + w_1 x_1 + w_2 x_2 \\
# y_1 &= w_0 x_1 + w_1 x_2 + w_2 x_3
# \end{array} \qquad \text{or} \qquad y_t = \sum_k w_k\, x_{t+k}$$
#
# These are six multiplications, and we want four. A trick makes polynomials of this. Let $a_0$ and $a_1$ be any two numbers. Multiply the
# first line by $a_0$ and the second by $a_1$, and add:
#
# $$a_0 y_0 + a_1 y_1 = \sum_{t,k} a_t\, w_k\, x_{t+k}$$
#
# Which terms have the pixel $x_2$? Those with t + k = 2. Their sum is $(a_0 w_2 + a_1 w_1)\,x_2$, and the bracket is the coefficient $s_2$
# of 4.3. In the same way each pixel is multiplied by the coefficient with its number:
#
# $$a_0 y_0 + a_1 y_1 = s_0 x_0 + s_1 x_1 + s_2 x_2 + s_3 x_3$$
#
# Now put in the last four lines of 4.3, those for $s_0$ to $s_3$, and sort by the four values:
#
# $$\begin{array}{rl}
# a_0 y_0 + a_1 y_1 &= s(0)\,(x_0 - x_2) + s(1)\,\frac{x_1 + x_2}{2} + s(-1)\,\frac{x_2 - x_1}{2} + s(\infty)\,(x_3 - x_1)
# \end{array}$$
#
# Each of the four values is a value of a times a value of w, by 4.3. We leave the value of a where it is. We multiply the value of w, and
# the halves, with the bracket of pixels. That makes four products, $m_0$ to $m_3$, each beside its value of a:
#
# $$\begin{array}{rll}
# m_0 &= w_0 \cdot (x_0 - x_2) & \quad \text{beside } a_0 \\
# m_1 &= \frac{w_0 + w_1 + w_2}{2} \cdot (x_1 + x_2) & \quad \text{beside } a_0 + a_1 \\
# m_2 &= \frac{w_0 - w_1 + w_2}{2} \cdot (x_2 - x_1) & \quad \text{beside } a_0 - a_1 \\
# m_3 &= w_2 \cdot (x_3 - x_1) & \quad \text{beside } a_1
# \end{array}$$
#
# The equation holds for *any* a. With a = (1, 0) the left side is $y_0$, and with a = (0, 1) it is $y_1$:
#
# $$y_0 = m_0 + m_1 + m_2 \qquad\qquad y_1 = m_1 - m_2 + m_3$$
#
# These are **four multiplications for two outputs**. The sums with w, and their halves, are made once for the whole image. The sums with x
# and those of the outputs are extra work, and part 8 measures what they cost. This is called F(2, 3): two outputs, three weights. All of
# it fits into three small matrices:
#
# $$y = A^T \left( (G\,w) \cdot (B^T x) \right)
# \qquad\qquad (2) = (2, 4)\,\left( (4, 3)\,(3) \cdot (4, 4)\,(4) \right)$$
#
# The dot multiplies number by number. Each of the four rows of G, $B^T$ and A belongs to a point: 0, 1, -1 and infinity. A computes the
# four values of a polynomial with 2 coefficients. G computes those of a polynomial with 3 coefficients, and has the halves in it.
# The equation for y stands in the docstring of `tinyalex/fast/winograd.py`.

# %%
half = Fraction(1, 2)
EXACT = {
    "B_T": [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]],  # (4, 4)
    "G": [[1, 0, 0], [half, half, half], [half, -half, half], [0, 0, 1]],  # (4, 3)
    "A": [[1, 0], [1, 1], [1, -1], [0, 1]],  # (4, 2)
}


@cache
def matrices(dtype):
    """B^T, G and A as arrays of a dtype; for object they hold fractions, and nothing is rounded."""
    return [np.array([[Fraction(number) for number in row] for row in rows], object).astype(dtype) for rows in EXACT.values()]


print("point       row of B^T             row of G         row of A")
for point, *rows in zip(("0", "1", "-1", "infinity"), *EXACT.values(), strict=True):
    print(f"{point:8}", "    ".join(" ".join(f"{number!s:>4}" for number in row) for row in rows))

# %% [markdown]
# ### 4.5 Two axes
#
# In an image a kernel of 3 × 3 goes over lines and columns, and an output is a sum over the lines i and the columns j of the kernel:
#
# $$y_{t,z} = \sum_i \left( \sum_j w_{i,j}\; x_{t+i,\,z+j} \right)$$
#
# The bracket is a filter along one line of the image, with line i of the kernel as its three weights. So 4.4 turns it into 4 products, one
# at each point. Take one of the points, and call its product $g_i\,v_{t+i}$: $g_i$ comes from line i of the kernel, and $v_{t+i}$ from line
# t + i of the image. A is linear, so it can wait until the sum over i is taken. This sum, $\sum_i g_i\,v_{t+i}$, is again a filter with
# three weights, now along the height. So 4.4 turns it into 4 products as well, which makes 4 × 4 products in all. In matrices: $B^T$ from
# the left transforms the columns, and B from the right transforms the lines.
#
# $$\begin{array}{rll}
# U &= G\,w\,G^T & \quad (4, 4) = (4, 3)\,(3, 3)\,(3, 4) \\
# V &= B^T x\,B & \quad (4, 4) = (4, 4)\,(4, 4)\,(4, 4) \\
# Y &= A^T (U \cdot V)\,A & \quad (2, 2) = (2, 4)\,(4, 4)\,(4, 2)
# \end{array}$$
#
# x is a square of 4 × 4 pixels, and Y a tile of 2 × 2 outputs. The dot has 16 multiplications for 4 outputs: **4 for each output in place
# of 9**. In general a tile of m × m outputs with a kernel of r × r needs n × n points, n = m + r - 1. That is $(n/m)^2$ multiplications for
# an output, in place of $r^2$.
#
# The tiles lie side by side and fill the output. The squares of pixels overlap: each begins m pixels after the last one, and is n pixels
# wide. Here are three of them:

# %%
fig, axes = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
for ax, (lines, wide, title) in zip(axes, ((4, 8, "sheet"), (2, 6, "out")), strict=True):
    ax.set(xlim=(0, wide), ylim=(lines, 0), xticks=range(wide + 1), yticks=range(lines + 1), title=title, aspect="equal")
    ax.grid(color="0.85")
for tile, (color, style) in enumerate((("#0072B2", "-"), ("#C04A00", "--"), ("#007A5A", "-"))):
    for ax, side in zip(axes, (4, 2), strict=True):
        inset = 0.08 + (0.1 * tile if side == 4 else 0)  # so that the squares, which overlap, do not hide each other's edges
        corner, height = (2 * tile + 0.08, inset), side - 2 * inset
        ax.add_patch(plt.Rectangle(corner, side - 0.16, height, fill=False, edgecolor=color, linestyle=style, linewidth=2.4))
        ax.text(2 * tile + 0.5, 0.9, tile, color=color, ha="center", va="center", fontsize=13, fontweight="bold")
show(fig, alt="Left, the sheet of 4 lines and 8 columns: three outlined squares of 4 x 4 pixels, blue 0, dashed orange 1 and green 2. They "
     "begin at columns 0, 2 and 4, so each shares two columns with the next. Right, out, of 2 lines and 6 columns: the three tiles "
     "of 2 x 2 outputs lie side by side and share nothing.")  # fmt: skip

# %% [markdown]
# ### 4.6 Channels
#
# With several channels there is a sum over c. It may be taken before A is applied, because A is linear. So A is used once for each
# filter k, and not once for each pair of k and c. Let M be this sum of the dots, and T the number of tiles. Take one of the 16 points,
# (p, q), with p along the height and q along the width. All numbers of U there, one for each k and c, are a matrix $U_{pq}$, and those
# of V, one for each c and tile, are $V_{pq}$. Then the sum over c is a matrix product:
#
# $$M_{pq} = U_{pq} \; V_{pq} \qquad\qquad (K, T) = (K, C)\,(C, T)$$
#
# So Winograd's algorithm is three steps: transform the pixels, do **16 matrix products**, transform back. It gives BLAS what BLAS
# does best.
#
# ### 4.7 Backward
#
# Y is linear in x if w is constant, and linear in w if x is constant. So backward is the transpose, as in lesson 03. There a product with a
# constant matrix, out = weight col, gave $\text{dcol} = \text{weight}^T\,\text{dout}$. With constant matrices on both sides, $Y = A^T M A$,
# both are transposed. Let dY be the gradient of the loss with respect to Y, and dM, dU and dV those with respect to M, U and V. In the dot
# $M = U \cdot V$ each number of V is multiplied by its number of U, so each number of dV is that of dM, times the same
# number of U:
#
# $$\begin{array}{rlll}
# Y &= A^T M A & \quad \text{dM} = A\,\text{dY}\,A^T & \quad (4, 4) = (4, 2)\,(2, 2)\,(2, 4) \\
# M &= U \cdot V & \quad \text{dV} = U \cdot \text{dM}, \quad \text{dU} = V \cdot \text{dM} & \quad (4, 4) \\
# V &= B^T x\,B & \quad \text{dx} = B\,\text{dV}\,B^T & \quad (4, 4) \\
# U &= G\,w\,G^T & \quad \text{dw} = G^T \text{dU}\,G & \quad (3, 3) = (3, 4)\,(4, 4)\,(4, 3)
# \end{array}$$
#
# No new matrix is needed. A pixel is used by all filters, and may lie in several squares. A weight is used in all tiles. So dx is **added**
# over the filters and where squares overlap, and dw is added over the tiles. It is the rule of lesson 02: a gradient adds where a value is
# used twice.

# %% [markdown]
# ## 5. Twenty lines of your own
#
# Write four functions. In each of them, first call `matrices(x.dtype)`, or `matrices(sheet.dtype)` in the last one. It returns $B^T$, G and
# A, in this order, in this dtype. So your functions work with float32, float64 and fractions.
#
# - `winograd_1d(x, w)`: x (4,) and w (3,). It returns y (2,), with 4.4.
# - `winograd_tile(x, w)`: x (4, 4) and w (3, 3). It returns Y (2, 2), with 4.5.
# - `winograd_tile_backward(dy, x, w)`: dy (2, 2). It returns dx (4, 4) and dw (3, 3), with 4.7.
# - `winograd(sheet, weight)`: sheet (C, SH, SW) with even SH and SW, weight (K, C, 3, 3). It returns out (K, SH - 2, SW - 2), with 4.6.
#
# `*` multiplies number by number, and `@` is the matrix product. With more than two axes `@` multiplies the matrices in the last two axes,
# for each index of the others. There is no exercise of the tutor here. Allow 25 minutes, and write the functions before you open the next
# cell. That cell defines functions with the same names. So run it first and your own cell after it: then part 6 proves yours.


# %% tags=["solution"]
def winograd_1d(x, w):
    b_t, g, a = matrices(x.dtype)
    return a.T @ ((g @ w) * (b_t @ x))


def winograd_tile(x, w):
    b_t, g, a = matrices(x.dtype)
    return a.T @ ((g @ w @ g.T) * (b_t @ x @ b_t.T)) @ a


def winograd_tile_backward(dy, x, w):
    b_t, g, a = matrices(x.dtype)
    dm = a @ dy @ a.T
    return b_t.T @ ((g @ w @ g.T) * dm) @ b_t, g.T @ ((b_t @ x @ b_t.T) * dm) @ g


def winograd(sheet, weight):
    b_t, g, a = matrices(sheet.dtype)
    th, tw = sheet.shape[1] // 2 - 1, sheet.shape[2] // 2 - 1  # tiles along the height and the width
    squares = np.stack([sheet[:, 2 * y : 2 * y + 4, 2 * z : 2 * z + 4] for y in range(th) for z in range(tw)], axis=1)  # (C, T, 4, 4)
    u = (g @ weight @ g.T).transpose(2, 3, 0, 1)  # (4, 4, K, C)
    v = (b_t @ squares @ b_t.T).transpose(2, 3, 0, 1)  # (4, 4, C, T)
    m = (u @ v).transpose(2, 3, 0, 1)  # 16 products, then (K, T, 4, 4)
    tiles = (a.T @ m @ a).reshape(-1, th, tw, 2, 2)  # (K, TH, TW, 2, 2)
    return tiles.transpose(0, 1, 3, 2, 4).reshape(-1, 2 * th, 2 * tw)


# %% [markdown]
# ## 6. Prove it
#
# First with fractions, where `==` is allowed. In one dimension there is even a proof for *all* x and w at once. Both sides of 4.4 are sums
# of terms $w_k x_j$ in each output t. So it is enough to compare the factors of all terms: there must be a 1 where j = t + k, and a 0
# elsewhere.

# %%
b_t, g, a = matrices(object)
factors = np.einsum("pt,pk,pj->tkj", a, g, b_t)  # the factor of w[k] x[j] in y[t], summed over the points p
t, k, j = np.indices((2, 3, 4))
print("y0 has the factors of w0 x0, w0 x1, ..., w2 x3:", *factors[0].ravel())
print("a 1 where j = t + k, and 0 elsewhere:", bool((factors == (j == t + k)).all()))

rng = np.random.default_rng(13)


def exact(*shape):
    """Random fractions such as -3/4."""
    return np.array([Fraction(int(number), 4) for number in rng.integers(-9, 10, math.prod(shape))], object).reshape(shape)


def equation(sheet, weight):
    """Part 3, with one loop for each of the letters k, y and z."""
    k, _, kh, kw = weight.shape
    oh, ow = sheet.shape[1] - kh + 1, sheet.shape[2] - kw + 1
    out = np.empty((k, oh, ow), sheet.dtype)
    for at in np.ndindex(k, oh, ow):
        out[at] = (weight[at[0]] * sheet[:, at[1] : at[1] + kh, at[2] : at[2] + kw]).sum()
    return out


x, w, tile, kernel = exact(4), exact(3), exact(4, 4), exact(3, 3)
right = [(w * x[:3]).sum(), (w * x[1:]).sum()]
assert list(winograd_1d(x, w)) == right
print("winograd_1d:  ", *winograd_1d(x, w), "  exactly equal")
assert (winograd_tile(tile, kernel) == equation(tile[None], kernel[None, None])[0]).all()
print("winograd_tile:", *winograd_tile(tile, kernel).ravel(), "  exactly equal")

# %% [markdown]
# Now a whole convolution with channels. No two sizes are alike.

# %%
C, K, SH, SW = 7, 5, 8, 12
sheet, weight = exact(C, SH, SW), exact(K, C, 3, 3)
assert (winograd(sheet, weight) == equation(sheet, weight)).all()
print(f"{K} filters on {C} channels of {SH} x {SW} fractions: all {winograd(sheet, weight).size} outputs exactly equal")
sheet, weight = rng.standard_normal((C, SH, SW)), rng.standard_normal((K, C, 3, 3))
assert np.abs(winograd(sheet, weight) - equation(sheet, weight)).max() < 1e-12
print("with float64: equal to 1e-12")

# %% [markdown]
# And the way back, by the measured slope of lesson 00. Y is linear in x and in w. So the slope is exact with any h, also with h = 1, and
# fractions round nothing. `==` is allowed again.


# %%
def numerical_gradient(f, x, h):
    """Lesson 00: the centered difference for each number of x."""
    grad = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        kept = x[at]
        x[at] = kept + h
        above = f(x)
        x[at] = kept - h
        below = f(x)
        x[at] = kept
        grad[at] = (above - below) / (2 * h)
    return grad


dy = exact(2, 2)
dx, dw = winograd_tile_backward(dy, tile, kernel)
assert (dx == numerical_gradient(lambda x: (dy * winograd_tile(x, kernel)).sum(), tile, 1)).all()
assert (dw == numerical_gradient(lambda w: (dy * winograd_tile(tile, w)).sum(), kernel, 1)).all()
print("dx and dw are exactly equal to the measured slopes")

# %% [markdown]
# ## 7. The same as the engine
#
# The engine makes its matrices for any m and r, with `cook_toom` in `tinyalex/fast/tiles.py`. (Toom and Cook multiplied long integers in
# this way in the 1960s. The name for filters is Winograd's.) The engine puts infinity first. And in the row of the point 0 both $B^T$ and G
# have the other sign, which changes nothing in their product. So we do the same to our matrices before we compare:

# %%
from tinyalex.fast.tiles import cook_toom

theirs = cook_toom(2, 3)
ours = [matrix[[3, 0, 1, 2]] for matrix in matrices(float)]  # infinity, 0, 1, -1
for matrix in ours[:2]:
    matrix[1] *= -1  # the row of the point 0, in B^T and in G
print("the same three matrices:", all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True)))

# %% [markdown]
# Now the layer. A `Conv2d` takes the name of an algorithm:

# %%
import tinyalex as ta

for h, w in ((10, 14), (11, 16)):
    layer = ta.Conv2d(3, 5, 3, algorithm="winograd", rng=np.random.default_rng(0), dtype=np.float64)
    image = rng.standard_normal((1, 3, h, w))
    out = layer.forward(image)[0]
    mine = winograd(np.pad(image[0], ((0, 0), (0, h % 2), (0, w % 2))), layer.params["weight"])[:, : h - 2, : w - 2]
    assert np.abs(mine - out).max() < 1e-12
    print(f"{h} x {w} pixels: our tiles of 2 x 2 give what the engine's larger tiles give, to 1e-12")

image = rng.standard_normal((1, 3, 10, 14))
dout = rng.standard_normal(layer.forward(image, train=True).shape)
layer.zero_grad()
theirs, weight = layer.backward(dout), layer.params["weight"]
dx, dweight = np.zeros_like(image), np.zeros_like(weight)
for k, c, y, z in np.ndindex(5, 3, 4, 6):  # filters, channels, tiles along the height and along the width
    square = image[0, c, 2 * y : 2 * y + 4, 2 * z : 2 * z + 4]
    of_square, of_kernel = winograd_tile_backward(dout[0, k, 2 * y : 2 * y + 2, 2 * z : 2 * z + 2], square, weight[k, c])
    dx[0, c, 2 * y : 2 * y + 4, 2 * z : 2 * z + 4] += of_square
    dweight[k, c] += of_kernel
assert np.abs(dx - theirs).max() < 1e-12 and np.abs(dweight - layer.grads["weight"]).max() < 1e-12
print("backward: our dx and dweight, added over the tiles, are the engine's, to 1e-12")

# %% [markdown]
# ### Open `fast/table.py` and know your way
#
# The folder `tinyalex/layers/` says what the paper says, with **plain functions** that you have derived. The folder `tinyalex/fast/` says
# the same functions again, faster. `tinyalex/fast/table.py` is the one place where the two meet. Each way to compute is a **row** of its
# table: a name, a forward and a backward function, and `pays`, which says for which shapes it was measured to be faster. Here is the
# table, printed from the engine itself:

# %%
from tinyalex.fast import table
from tinyalex.fast.request import Convolution
from tinyalex.geometry import windows_of
from tinyalex.layers.conv import conv2d, conv2d_backward

PLAIN = {"convolution": "conv2d", "max pooling": "max_pool", "average pooling": "avg_pool", "product": "linear"}
print(f"{'operation':16}{'row':11}{'its file':36}equals")
for operation, rows in table.CPU.items():
    for row in rows:
        print(f"{operation:16}{row.name:11}{row.forward.__module__.replace('.', '/') + '.py':36}{PLAIN[operation]}")

# %% [markdown]
# Read a row like this: `winograd` of the operation convolution stands in `tinyalex/fast/winograd.py` and must give what `conv2d` in
# `tinyalex/layers/conv.py` gives. The test that ties them together is one for all rows: `test_row_is_its_plain_function` in
# `tests/fast/test_table.py`. It goes through the table, so a new row is tested at once. We do the same for the convolutions, in a few
# lines:

# %%
images, bias, device = rng.standard_normal((2, 4, 9, 13)), rng.standard_normal(6), ta.CpuDevice(workers=1)
for size, padding in ((3, 1), (1, 0)):  # kernels of 3x3, and those of 1x1, which have a row of their own
    weight, windows = rng.standard_normal((6, 4, size, size)), windows_of("lesson 13", (9, 13), (size, size), 1, padding)
    asked = Convolution((conv2d, conv2d_backward), weight, bias, windows, input_gradient=False)
    plain = conv2d(images, weight, bias, windows)
    for row in table.CPU["convolution"]:
        if row.fits(asked):
            out, _ = row.forward(asked, images, device, None)  # None: no ReLU follows
            assert np.abs(out - plain).max() < 1e-12
            print(f"{size}x{size}: {row.name:9} is conv2d, to 1e-12")

# %% [markdown]
# In a net nobody names a row. `choose` in `tinyalex/fast/table.py` takes the first row that pays for the shape and the number of images.
# Here is its choice for AlexNet:


# %%
def conv(c, k, size, kernel, stride=1, padding=0, groups=1):
    return {"c": c, "k": k, "size": size, "kernel": kernel, "stride": stride, "padding": padding, "groups": groups}


CONVS = {
    "conv1": conv(3, 96, 227, 11, stride=4),
    "conv2": conv(96, 256, 27, 5, padding=2, groups=2),
    "conv3": conv(256, 384, 13, 3, padding=1),
    "conv4": conv(384, 384, 13, 3, padding=1, groups=2),
    "conv5": conv(384, 256, 13, 3, padding=1, groups=2),
}


def layer_of(name, algorithm="auto", n=1):
    """The engine's layer with weights, n images for it, and the shape of one image."""
    one = CONVS[name]
    settings = {"stride": one["stride"], "padding": one["padding"], "groups": one["groups"], "algorithm": algorithm}
    layer = ta.Conv2d(one["c"], one["k"], one["kernel"], **settings, rng=np.random.default_rng(0), device=device)
    shape = (one["c"], one["size"], one["size"])
    return layer, rng.standard_normal((n, *shape), dtype=np.float32), shape


print("images", *(f"{name:>9}" for name in CONVS))
for n in (1, 2, 8, 128):
    chosen = []
    for name in CONVS:
        layer, _, shape = layer_of(name)
        chosen.append(table.choose(layer.asked(shape), n, device).name)
    print(f"{n:6}", *(f"{name:>9}" for name in chosen))

# %% [markdown]
# Winograd's algorithm takes other kernels than 3 × 3, too: conv2 uses matrices for r = 5. conv1 has a stride of 4. `phases.py` makes of it
# a convolution with stride 1, a kernel of 3 × 3, and 16 times as many channels. The row `few` is im2col for fewer than four images.
#
# The files of the convolution, in the order in which you can read them:
#
# | file in `tinyalex/fast/` | what stands there | where you met it |
# |---|---|---|
# | `request.py` | what a layer asks for, and what a row is | here |
# | `plain.py` | `conv2d` itself, for blocks of images | lesson 03 |
# | `columns.py` | im2col and col2im in blocks; the row `few` | 4.1, 4.2 |
# | `strips.py` | blocks smaller than an image: some lines of it | 4.2 |
# | `lines.py` | a first layer: some lines of all images at a time | 4.2 |
# | `tiles.py` | the matrices $B^T$, G and A for any m and r | 4.3, 4.4 |
# | `transforms.py`, `mosaic.py` | an image is cut into tiles; how many at a time | 4.5 |
# | `winograd.py` | the products, and backward | 4.6, 4.7 |
# | `phases.py` | a stride of 4 becomes a stride of 1 | here |
# | `machine.py` | the measured bounds by which `pays` decides | part 8 |
#
# With the table open, find three things before you read the next cell, which holds the answers:
#
# 1. In which order are the rows of the convolution asked? Which row serves a request that no row before it has taken?
# 2. With two images conv3 does not take the row winograd, with eight it does. Which constant of `machine.py` decides this? Begin at
#    `pays` in `winograd.py`.
# 3. In float32 the test allows the row winograd a larger difference than the others. How large are the two bounds?

# %% tags=["solution"]
from tinyalex.fast import machine
from tinyalex.fast.mosaic import mosaic_of

print("1.", " -> ".join(row.name for row in table.CPU["convolution"]))
print("   im2col serves what is left, as it has no condition; plain comes after it, and runs only if somebody names it")
nine = mosaic_of(windows_of("conv3", (13, 13), (3, 3), 1, 1)).tiles
print(f"2. LEAST_TILES = {machine.LEAST_TILES}: two images have {2 * nine} tiles, eight have {8 * nine}")
tests = (Path(ta.__file__).parents[1] / "tests" / "fast" / "test_table.py").read_text("utf-8")
assert '1e-4 if row.name == "winograd" else 1e-5' in tests
print("3. 1e-4 of the largest output for winograd, 1e-5 for the others")

# %% [markdown]
# ## 8. Experiment
#
# We measure. Times differ from computer to computer and from hour to hour, so we print only **ratios** of times. `process_time` counts
# only the time in which our program has the processor. The shortest of several runs counts, because a run is never faster than the work
# allows, but often slower.


# %%
def seconds(function):
    """The time of one call: the shortest of several runs of at least a fiftieth of a second."""
    function()  # the first call also fetches memory
    shortest = math.inf
    for _ in range(fast(5, 2)):
        calls, start = 0, process_time()
        while (spent := process_time() - start) < 0.02:
            function()
            calls += 1
        shortest = min(shortest, spent / calls)
    return shortest


# %% [markdown]
# ### From loops to Winograd
#
# We take a layer with 64 channels, 64 kernels of 3 × 3 and 12 × 12 outputs, and one image, in float32. In the first version every
# multiplication is a step of Python. In the second version NumPy multiplies a whole window and adds up the products. (This is `equation`
# of part 6.) We run these two for a few outputs only, and multiply the time. The last bar is the engine's Winograd. It gets many images,
# and its time is divided by their number.

# %%
sheet = rng.standard_normal((64, 14, 14), dtype=np.float32)
weight = rng.standard_normal((64, 64, 3, 3), dtype=np.float32)


def one_output(k, y, z):
    total = np.float32(0)
    for c in range(64):
        for i in range(3):
            for j in range(3):
                total += weight[k, c, i, j] * sheet[c, y + i, z + j]
    return total


def columns(sheet, weight):
    (c, sh, sw), (k, _, kh, kw) = sheet.shape, weight.shape
    col = np.empty((c, kh, kw, sh - kh + 1, sw - kw + 1), sheet.dtype)
    for i in range(kh):
        for j in range(kw):
            col[:, i, j] = sheet[:, i : i + sh - kh + 1, j : j + sw - kw + 1]
    return (weight.reshape(k, -1) @ col.reshape(c * kh * kw, -1)).reshape(k, *col.shape[3:])


right = equation(sheet.astype(float), weight.astype(float))
for other in (columns, winograd):
    assert np.abs(other(sheet, weight) - right).max() < 1e-4 * np.abs(right).max()
assert abs(one_output(3, 4, 5) - right[3, 4, 5]) < 1e-4 * np.abs(right).max()

outputs = 64 * 12 * 12
many = rng.standard_normal((fast(32, 16), 64, 14, 14), dtype=np.float32)
engine = ta.Conv2d(64, 64, 3, algorithm="winograd", rng=np.random.default_rng(0), device=device)
times = {
    "loops": seconds(lambda: one_output(3, 4, 5)) * outputs,
    "a window at a time": seconds(lambda: equation(sheet, weight[:2])) * 32,
    "im2col and a product": seconds(lambda: columns(sheet, weight)),
    "our Winograd": seconds(lambda: winograd(sheet, weight)),
    "the engine's Winograd": seconds(lambda: engine.forward(many)) / len(many),
}
faster = {name: float(format(times["loops"] / spent, ".1g")) for name, spent in times.items()}  # rounded to one digit
fig, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
ax.barh(list(faster), [number - 0.5 for number in faster.values()], left=0.5, color=["0.6", "0.6", "#0072B2", "#C04A00", "#C04A00"])
for place, number in enumerate(faster.values()):
    ax.text(1.2 * number, place, f"{number:,.0f}", va="center")
ax.set(xscale="log", xlim=(0.5, 3e5), xlabel="times as fast as loops")
ax.invert_yaxis()
show(fig, alt="Five bars on a log scale, times as fast as loops: " + ", ".join(f"{name} {n:,.0f}" for name, n in faster.items()) + ".")
reveal("13-a")

# %% [markdown]
# im2col is thousands of times as fast as loops, and it saves not one multiplication. (On your computer the number is another one, but it
# will hardly be below a thousand.)
#
# Our own Winograd has fewer than half of the multiplications, and it is *slower* than im2col. Which part takes the time? We measure the 16
# products alone, with random numbers:

# %%
u, v = (rng.standard_normal((4, 4, 64, size), dtype=np.float32) for size in (64, 36))
share = seconds(lambda: u @ v) / times["our Winograd"]
print(f"the 16 products take about {share:.1g} of the time of our Winograd")

# %% [markdown]
# All the rest goes into the transforms. They are many products of 4 × 4 numbers, which are far too small for BLAS, and all numbers are
# written again and again: as squares, as V, as M and as tiles. The engine uses larger tiles, transforms whole lines of many images in one
# product, and works in blocks. So its Winograd is faster than our im2col, and with many images faster than the engine's im2col (part 9).
# How many multiplications are saved?

# %%
say("a tile of ours needs 4 multiplications for each output", value=(g @ kernel @ g.T).size / winograd_tile(tile, kernel).size, within=0)
say("the definition needs 9", value=kernel.size, within=0)
reveal("13-b")

# %% [markdown]
# ### Blocks
#
# Here is a layer as in the small net of the paper's Figure 1: 64 images, 32 channels of 16 × 16 pixels, 32 kernels of 5 × 5. We make the
# columns of some images at a time, in one array that each block uses again, and multiply. With 64 images in a block there is one block.

# %%
IMAGES = fast(64, 16)
sheets = rng.standard_normal((IMAGES, 32, 20, 20), dtype=np.float32)
flat = rng.standard_normal((32, 32 * 25), dtype=np.float32)
store, out = np.empty((IMAGES, 32, 5, 5, 16, 16), np.float32), np.empty((IMAGES, 32, 256), np.float32)


def in_blocks(size):
    for first in range(0, IMAGES, size):
        block = sheets[first : first + size]
        col = store[:size]  # the same memory for each block
        for i in range(5):
            for j in range(5):
                col[:, :, i, j] = block[:, :, i : i + 16, j : j + 16]
        np.matmul(flat, col.reshape(size, 800, 256), out=out[first : first + size])


sizes = [2**power for power in range(IMAGES.bit_length())]
spent = np.array([seconds(lambda size=size: in_blocks(size)) for size in sizes])
slower = spent / spent.min()
megabytes = np.array(sizes) * store[0].nbytes / 1e6
for size, mb, ratio in zip(sizes, megabytes, slower, strict=True):
    print(f"blocks of {size:2}: {mb:4.1f} MB of columns, {ratio:.1f} times the shortest time")

# %%
fig, ax = plt.subplots(figsize=(5.6, 3), layout="constrained")
ax.plot(megabytes, slower, "o-", color="#0072B2")
ax.set(xscale="log", xlabel="megabytes of columns in a block", ylabel="time, over the shortest", ylim=(0, max(1.6, 1.1 * slower.max())))
ax.set_xticks(megabytes[::2], [f"{mb:.2g}" for mb in megabytes[::2]])
ax.minorticks_off()
show(fig, alt=f"A curve of the time over the megabytes of columns in a block, from {megabytes[0]:.1f} to {megabytes[-1]:.0f} MB. It lies "
     f"near 1 for small blocks, and rises to {slower[-1]:.1f} for all images at once.")  # fmt: skip

# %% [markdown]
# The copies and the products are the same for all blocks. What changes is how many other columns are written between writing a column
# and reading it. The smallest block need not be the fastest, because each call of NumPy takes some time too.
#
# ### The bytes of a layer
#
# How many bytes does a convolution of AlexNet move, with columns and with Winograd's tiles? We count them for one image in float32. *Tiles*
# are all numbers of V and M, and *U* are the weights after their transform (4.5, 4.6). The engine's tiles are larger than ours. Here they
# have up to 5 × 5 outputs for a kernel of 3. The last two numbers of a line are MACs: plain, by the definition, and in the products of the
# tiles. A MAC is a multiplication with its addition (lesson 09).

# %%
from tinyalex.fast.mosaic import mosaic_of

print("                      MB of float32                  millions of MACs")
print("       image weights columns  tiles      U output    plain  in tiles")
moved, fewer_by = {}, {}
for name, one in CONVS.items():
    layer, _, shape = layer_of(name)
    place = windows_of(name, shape[1:], (one["kernel"],) * 2, one["stride"], one["padding"])
    mosaic = mosaic_of(place)
    deep = one["c"] * one["stride"] ** 2  # the channels that the tiles have; a stride of 4 makes 16 times as many
    moved[name] = {
        "image": 4 * math.prod(shape),
        "weights": 4 * layer.params["weight"].size,
        "columns": place.column_bytes(one["c"], 4),
        "tiles": 4 * mosaic.products * (deep + one["k"]),
        "U": 4 * mosaic.points * deep * one["k"] // one["groups"],
        "output": 4 * math.prod(layer.output_shape(shape)),
    }
    macs, fewer = layer.facts(shape).macs, mosaic.products * deep * one["k"] // one["groups"]
    fewer_by[name] = macs / fewer
    image, weights, cols, *others = (number / 1e6 for number in moved[name].values())
    print(f"{name} {image:6.2f} {weights:7.2f} {cols:7.2f}", *(f"{mb:6.2f}" for mb in others), f"{macs / 1e6:8.1f} {fewer / 1e6:9.1f}")
say("the columns of conv2 are 25 times its image", value=moved["conv2"]["columns"] / moved["conv2"]["image"], within=0.01)
conv3 = moved["conv3"]
assert conv3["U"] > sum(conv3.values()) - conv3["U"]
assert min(fewer_by.values()) > 3.8 and all(one["tiles"] < one["columns"] for one in moved.values())

# %% [markdown]
# With the engine's tiles all five layers need about a quarter of the MACs, or less, and the tiles have fewer bytes than the columns. But
# look at U: in conv3 it has more bytes than all the rest together. It is made once for all images of a batch. So in conv3, conv4 and conv5
# Winograd's algorithm needs several images, or it does not pay. Part 9 measures this.
#
# ### What small rounding errors become
#
# Larger tiles need more points. The engine's points after 0, 1 and -1 are 2, -2, -1/2 and 1/2. Their powers are large and small numbers. So
# the matrices make large numbers, which are added later and mostly cancel. With fractions that does no harm. In float32 every number
# is rounded to about 7 digits, and the error of a large number stays when the number itself has cancelled. We measure the
# largest difference from float64, and divide it by the largest output. The first dots, m = 1, are im2col without Winograd.

# %%
DEEP = 64
errors, products = [], []
for m in range(2, 7):
    exact_matrices = cook_toom(m, 3)
    squares, kernels = rng.standard_normal((DEEP, fast(400, 100), m + 2, m + 2)), rng.standard_normal((8, DEEP, 3, 3))
    squares, kernels = squares.astype(np.float32), kernels.astype(np.float32)
    found = {}
    for dtype in (np.float32, np.float64):
        b_t, g, a = (matrix.astype(dtype) for matrix in exact_matrices)
        u = (g @ kernels.astype(dtype) @ g.T).transpose(2, 3, 0, 1)
        v = (b_t @ squares.astype(dtype) @ b_t.T).transpose(2, 3, 0, 1)
        found[dtype] = a.T @ (u @ v).transpose(2, 3, 0, 1) @ a
    size = np.abs(found[np.float64]).max()
    errors.append(np.abs(found[np.float32] - found[np.float64]).max() / size)
    products.append(((m + 2) / m) ** 2)
parts = np.lib.stride_tricks.sliding_window_view(squares, (3, 3), axis=(2, 3)).transpose(1, 2, 3, 0, 4, 5).reshape(-1, DEEP * 9)
plain32, plain64 = parts @ kernels.reshape(8, -1).T, parts.astype(float) @ kernels.astype(float).reshape(8, -1).T
direct = np.abs(plain32 - plain64).max() / np.abs(plain64).max()

fig, axes = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
axes[0].plot(range(1, 7), [9, *products], "s-", color="#0072B2")
axes[0].set(xlabel="outputs m along a side of a tile", ylabel="multiplications for an output", ylim=(0, 10))
axes[1].semilogy(range(1, 7), [direct, *errors], "o-", color="#C04A00")
axes[1].set(xlabel="outputs m along a side of a tile", ylabel="largest error in float32", ylim=(1e-8, 1e-3))
axes[1].axhline(1e-4, color="black", linewidth=1, linestyle="--")
axes[1].text(1, 1.4e-4, "the engine's bound", fontsize=9)
show(fig, alt="Two curves over m, the outputs along a side of a tile, from 1, which is no tile, to 6. Left: multiplications for an "
     "output fall from 9 to 4 at m = 2 and below 2 at m = 5 and 6. Right, on a log scale: the largest error in float32 rises from a "
     "few times 1e-7 to about 1e-5, and stays below the engine's bound, a dashed line at 1e-4.")  # fmt: skip
print("m = 1 to 6:", *(f"{error:.0e}" for error in [direct, *errors]))
assert errors[0] < 3 * direct and 5 * direct < errors[-1] < 1e-4

# %%
reveal("13-d")

# %% [markdown]
# With m = 2 the error is no larger than without Winograd: all numbers in the matrices are 0, ±1 or ±1/2. From m = 3 on, digits are
# lost. At the same time the left curve becomes flat: each step saves less than the last. So very large tiles do not pay. The
# engine stops at 8 points, that is m = 6 for a kernel of 3. `benchmarks/README.md` reports that seven choices of a ninth point were
# tried. With each of them the error was above the bound.
#
# ### The roof
#
# First the two speeds of this computer, P from a large matrix product in float32 (its name in BLAS is **sgemm**), and S from copying a
# large array. We need only P / S, the operations for each byte at which the slope meets the ceiling.

# %%
square = rng.standard_normal((1024, 1024), dtype=np.float32)
source, copy = np.ones(16_000_000, np.float32), np.zeros(16_000_000, np.float32)
P = 2 * 1024**3 / seconds(lambda: square @ square)
S = 2 * source.nbytes / seconds(lambda: np.copyto(copy, source))  # each byte is read and written
edge = P / S
print(f"in the time of moving one byte, this processor's core can do about {edge:.1g} operations")

# %% [markdown]
# Then each layer of AlexNet, forward, with one image and with more images. The operations are the engine's own counts, two for each MAC, by
# the definition. The bytes are the least that must be moved: images, weights and outputs, each once.

# %%
LINEAR = {"fc6": (9216, 4096), "fc7": (4096, 4096), "fc8": (4096, 1000)}
MANY = fast(16, 4)
dots = []
for name in [*CONVS, *LINEAR]:
    for n in (1, MANY):
        if name in CONVS:
            layer, images, shape = layer_of(name, n=n)
        else:
            shape = LINEAR[name][:1]
            layer = ta.Linear(*LINEAR[name], rng=np.random.default_rng(0), device=device)
            images = rng.standard_normal((n, *shape), dtype=np.float32)
        operations = 2 * n * layer.facts(shape).macs
        nbytes = 4 * (n * math.prod(shape) + layer.params["weight"].size + n * math.prod(layer.output_shape(shape)))
        share = operations / seconds(lambda layer=layer, images=images: layer.forward(images)) / P
        dots.append((name, n, operations / nbytes, share))
del layer, images

SIDES = {1: {"conv2": (-11, 5), "conv4": (-13, -3), "conv5": (-3, -15)}, MANY: {"conv1": (-4, 7), "conv4": (2, -15), "conv5": (-7, -15)}}
fig, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
reach = np.array([0.2, edge, 1000])
ax.loglog(reach, np.minimum(1, reach / edge), color="0.4", linewidth=2)
for n, color, mark, label in ((1, "#0072B2", "o", "1 image"), (MANY, "#C04A00", "s", f"{MANY} images")):
    mine = [(name, intensity, share) for name, count, intensity, share in dots if count == n]
    ax.plot([one[1] for one in mine], [one[2] for one in mine], mark, color=color, markersize=7, markeredgecolor="white", label=label)
    for name, intensity, share in mine:
        if name not in ("fc6", "fc8"):
            text = "6, 7, 8" if name == "fc7" else name[-1]
            ax.annotate(text, (intensity, share), SIDES[n].get(name, (8, -3)), textcoords="offset points", color=color, fontsize=10)
ax.text(1.1, 1.5 / edge, "memory", rotation=45, fontsize=10, color="0.3")
ax.text(10, 1.08, "sgemm", fontsize=10, color="0.3")
ax.legend(loc="lower right")
ax.set(xlabel="operations for each byte", ylabel="speed, over sgemm", xlim=(0.2, 1000), ylim=(0.03, 6))
ax.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
ax.set_yticks([0.1, 1], ["0.1", "1"])
lone = {name: (intensity, share) for name, n, intensity, share in dots if n == 1}
more = {name: (intensity, share) for name, n, intensity, share in dots if n > 1}
spans = [f"{min(by[name][1] for name in CONVS):.2g} to {max(by[name][1] for name in CONVS):.2g}" for by in (lone, more)]
show(fig, alt="A gray roof: a slope up from the left, called memory, then a ceiling at 1, called sgemm. The dots have the numbers of "
     "AlexNet's eight layers. With one image the layers 6 to 8 lie together at the left, at half an operation for each byte, near the "
     f"slope, at {lone['fc6'][1]:.1g} of sgemm's speed. With {MANY} images they lie at {more['fc6'][0]:.0f} operations for "
     f"each byte, under the ceiling. The layers 1 to 5 lie at the right, with one image at {spans[0]}, with {MANY} images at {spans[1]} "
     "of sgemm's speed.")  # fmt: skip

# %%
for name, n, intensity, share in dots:
    print(f"{name:5} {n:2} image{'s' if n > 1 else ' '} {intensity:6.1f} operations for each byte, {share:.1f} of sgemm's speed")
say("for one image fc6 has 0.5 operations for each byte", value=lone["fc6"][0], within=0.01)
print("layers that wait for memory with one image:", *(name for name, (intensity, _) in lone.items() if intensity < edge))
reveal("13-c")

# %% [markdown]
# Read the picture in three steps.
#
# 1. **With one image, fc6, fc7 and fc8 wait for memory.** Each weight has 4 bytes and is used for 2 operations, once. Fewer
#    multiplications cannot help here. More images help: the same weights then serve all of them, and the dots move to the right and
#    up. This is one reason why nets are trained in batches.
# 2. **A convolution uses each weight in every window.** So it has far more operations for each byte, and its limit is the ceiling. Here
#    fewer multiplications help.
# 3. **Why are there dots above the ceiling?** The ceiling holds for operations that are really done. We counted operations *by the
#    definition*, and Winograd's algorithm does fewer.
#
# A dot can lie far below the roof, because the roof is only a bound. With 16 images fc6 multiplies its weights by a matrix of only 16
# columns, and such a product does not reach the speed of a large one. With one image fc8 may even lie above the slope. We call each layer
# many times, and in a large cache its 16 megabytes of weights stay until the next call, so they do not come from the memory.
#
# ReLU is not in the picture. It does one operation on each number, so it waits for memory. The engine applies ReLU in the same block that
# has just computed its numbers, while they are in the cache (`tinyalex/fast/fuse.py`).

# %% [markdown]
# ## 9. What people get wrong
#
# A name with a number, such as BVLC/caffe#852, is a thread on GitHub.
#
# **"Fewer multiplications are faster"** (bjin/mpv-prescalers#27: somebody hoped that F(2, 3) would make a program 2.25 times as fast, and
# the program became slower). The transforms take time, too, and the products must save more than this time. Our own Winograd in
# part 8 shows it. Here is conv3 in the engine, with Winograd and with columns:

# %%
gains = {}
for n in (1, fast(16, 8)):
    spent = {}
    for algorithm in ("im2col", "winograd"):
        layer, images, _ = layer_of("conv3", algorithm, n)
        spent[algorithm] = seconds(lambda layer=layer, images=images: layer.forward(images))
    gains[n] = spent["im2col"] / spent["winograd"]
    print(f"conv3, {n:2} image{'s' if n > 1 else ' '}: Winograd is {gains[n]:.2g} times as fast as columns")
say("in both lines Winograd's products have 4.2 times fewer multiplications", value=fewer_by["conv3"], within=0.05)

# %%
from tinyalex.fast.winograd import transform_weight

layer, images, shape = layer_of("conv3", "winograd")
mosaic = mosaic_of(windows_of("conv3", shape[1:], (3, 3), 1, 1))
weights_alone = seconds(lambda: transform_weight(layer.params["weight"], 1, mosaic, device))
share = weights_alone / seconds(lambda: layer.forward(images))
print(f"with one image, transforming the weights takes {share:.1g} of the time")
say("conv3 has 98,304 kernels of three by three", value=layer.params["weight"].size / 9, within=0)
say("and 9 tiles", value=mosaic.tiles, within=0)

# %% [markdown]
# All these kernels are transformed for nine tiles. With more images the same transformed weights serve more tiles. So the engine asks
# for at least `LEAST_TILES` tiles, or 16 images. Both bounds were measured (`tinyalex/fast/machine.py`).
#
# **"im2col needs no memory of its own"** (BVLC/caffe#852: 12 GB, where the arrays of the net need about 2 GB). It copies each pixel once
# for each window that sees it. For a batch of 128 images the columns of one layer are large:

# %%
say("the columns of conv2 would have 896 MB", value=128 * moved["conv2"]["columns"] / 1e6, within=0.5)

# %% [markdown]
# So the engine makes them in blocks. It does not keep them for the backward pass, but makes them again.
#
# **float64 comes in unseen.** Of 91 convolutions that students wrote, 89 gave float64 where float32 went in (lesson 03). Many NumPy
# functions make float64 if nothing else is said, and one such array in a sum is enough. Which of these lines keep float32? Guess before
# you look at the output.

# %%
single = np.ones(3, np.float32)
for text, value in {
    "single * 0.5": single * 0.5,
    "single * np.float64(0.5)": single * np.float64(0.5),
    "single + np.zeros(3)": single + np.zeros(3),
    "single / np.arange(1, 4)": single / np.arange(1, 4),
    "single.mean()": single.mean(),
    "np.sqrt(2) * single": np.sqrt(2) * single,
}.items():
    print(f"{text:26}{value.dtype}")
double = square.astype(float)
ratio = seconds(lambda: double @ double) / seconds(lambda: square @ square)
print(f"a product in float64 takes {ratio:.1g} times as long, and each number has 8 bytes in place of 4")

# %% [markdown]
# A plain Python number such as 0.5 does not change the dtype. An array of whole numbers does, such as `np.arange(1, 4)`, and since NumPy 2
# also a number of NumPy's type float64, such as `np.sqrt(2)`. The remedy is to name the dtype, as in `np.zeros(shape, x.dtype)`, and to
# test the dtype of what comes out.
#
# **"Two threads are twice as fast"** (OpenMathLib/OpenBLAS#611: 16 threads were a little slower than 8). Cores share the path to the memory
# and a part of the cache. So work that waits for memory gains little. And some parts of the work cannot be shared out. The results of the
# engine's benchmark are in `benchmarks/results.json`. This is a training step of AlexNet with 128 images:

# %%
document = json.loads((Path(ta.__file__).parents[1] / "benchmarks" / "results.json").read_text("utf-8"))
(towers,) = (one for one in document["results"] if one["workload"] == "towers-two-128")
(pair,) = (one for one in towers["pairs"] if one["rival"] == "tinyalex on one core")
on_two = np.median(np.array(pair["rival_s"]) / np.array(pair["tinyalex_s"]))
say("two cores were 1.8 times as fast as one", value=on_two, within=0.03)

# %% [markdown]
# This is a good case, because most of the work is in large products. In the net of Figure 1 the gain was 1.5 to 1.6 times
# (`benchmarks/README.md`).
#
# **"A faster algorithm gives the same bits"** (uxlfoundation/oneDNN#748: Winograd and direct convolution differ, and it was marked "not
# a bug"; pytorch/pytorch#134908: the output depends on the size of the batch). Rounding depends on the order of the sums, and each
# algorithm has its own order:

# %%
one, other = columns(sheet, weight), winograd(sheet, weight)
print("0.1 + 0.2 + 0.3 == 0.3 + 0.2 + 0.1:", 0.1 + 0.2 + 0.3 == 0.3 + 0.2 + 0.1)
same = float((one == other).mean())
print(f"outputs with the same bits from im2col and from Winograd: about {same:.0%}")
print("largest difference, over the largest output:", f"{np.abs(one - other).max() / np.abs(one).max():.0e}")
assert same < 0.5

# %% [markdown]
# The mathematics is the same, as the fractions of part 6 have shown, and only the rounding differs. So a test needs a tolerance, and a
# reason for it. In float64 1e-12 is enough, because rounding is smaller than that, and a wrong formula makes a larger error. In float32 the
# engine allows Winograd 1e-4 of the largest output.
#
# More mistakes stand in `lessons/MISCONCEPTIONS.md`.
#
# ### Summary
#
# Three things make a convolution fast. One large product is thousands of times as fast as loops, and saves no multiplication. Blocks keep
# the columns in the cache. Winograd's algorithm multiplies values at points, which takes 4 multiplications for an output in place of 9, and
# its backward pass is its transpose. Operations *and* bytes count, so the engine chooses by bounds that were measured. A layer with few
# operations for each byte waits for memory, and saved multiplications do not help it.
#
# ### Read on
#
# - The engine: `tinyalex/fast/table.py` first, then `cook_toom` in `tinyalex/fast/tiles.py` and `winograd_forward` and `winograd_backward`
#   in `tinyalex/fast/winograd.py`. You have derived what they compute. `tinyalex net alexnet --batch 128 --algorithms` prints the row that
#   each layer takes.
# - `benchmarks/README.md` has what each step gained, what was tried and was not faster, and the same roof with two cores.
# - Next: lesson 14, the same code on a GPU.
#
# Two questions to write about, a few sentences each:
#
# 1. Somebody reports: "With one image my AlexNet spends half as long in fc6 as in all convolutions together, and fc6 has only 5 % of the
#    multiplications." Explain it with the roofline. What would you change, and what would not help?
# 2. F(4, 3) has six points. Which polynomials are multiplied, how many multiplications does an output need in two dimensions, and why
#    does nobody use F(12, 3)?
