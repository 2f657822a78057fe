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
# # 03  Convolution
#
# Paper sections 3.5 and 3.2, about 110 minutes, needs lessons 00, 01 and 02, holds exercises E04 and E05.
#
# Afterwards you can write the forward pass and the backward pass of a convolution, with any kernel, stride and padding and with
# groups, and you can prove that both are right.

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
# > "The first convolutional layer filters the 224×224×3 input image with 96 kernels of size 11×11×3 with a stride of 4 pixels"
#
# (Section 3.5.) Of the next layer the same section says that it filters its input "with 256 kernels of size 5 × 5 × 48".
#
# A **kernel**, also called a filter, is a small box of weights. It is laid on a small part of the image. This part is called a **window**.
# Each weight is multiplied by the pixel below it, and all products are added. The result is one number. Then the kernel moves on by the
# **stride** and gives the next number. All numbers of one kernel together are a **map**: a small image that says how well each place
# fits the kernel. 96 kernels give 96 maps. The maps of one layer are the **channels** of the next, as red, green and blue are the 3
# channels of an image. A kernel is as deep as what it reads: 11×11×3 means 11 lines, 11 columns, 3 channels.
#
# Two questions are left to this lesson. How does a gradient go back through such a layer? And why does a kernel of the second layer
# have 48 channels, where the first layer makes 96 maps?

# %% [markdown]
# ## 2. Predict
#
# Run the cells, and replace each guess by your own before you read on. A wrong guess costs nothing, and you will remember the answer
# better.
#
# Some words of the questions: **conv1** and **conv2** are the first and the second convolutional layer of AlexNet. `im2col` copies the
# pixels of every window into a table, one column for each window. `col2im` goes from such a table back to an image, as the backward pass
# needs it.

# %% tags=["predict"]
predict("03-a", 2)

# %% tags=["predict"]
predict("03-b", 56)

# %% tags=["predict"]
predict("03-c", 1)

# %% [markdown]
# ## 3. The equation
#
# | name | shape | what it is |
# |---|---|---|
# | x | (N, C, H, W) | N images of C channels, H lines and W columns |
# | weight | (K, C, KH, KW) | K filters; each has C channels, KH lines and KW columns |
# | bias | (K,) | one number for each filter, added to its whole map |
# | sheet | (N, C, SH, SW) | x with lines and columns of zeros around it, the **padding**; SH lines and SW columns in all |
# | out | (N, K, OH, OW) | K maps for each image, of OH lines and OW columns |
#
# We say line and column in an image, and row and column in a matrix. Capital letters are sizes, and small letters are places: n is the
# number of an image, c the number of a channel, and k the number of a filter. The windows of an image form lines and columns too: window
# (y, z) is number y from the top and number z from the left. A place inside a window is a **cell**; cell (i, j) stands in line i and
# column j of the window. All of them start at 0. The stride is an exception, a size with small letters: the next window lies sh lines
# below, or sw columns to the right. (So SH is the height of the sheet, and sh is a stride.)
#
# So cell (i, j) of window (y, z) lies on line sh y + i and column sw z + j of the sheet. The paper's sentence is this equation:
#
# $$\text{out}[n,k,y,z] = \text{bias}[k] + \sum_{c,i,j} \text{weight}[k,c,i,j]\;\text{sheet}[n,c,\text{sh}\,y+i,\text{sw}\,z+j]$$
#
# The sum goes over all channels c and all cells i, j. The first weight of the kernel meets the first pixel of the window, the last weight
# meets the last pixel. (In mathematics a convolution takes the pixels in the opposite order. Layers of nets do not.)
#
# How many windows are there? Each window gives one number of a map. So OH windows lie below each other, and OW windows side by side. The
# first one starts on line 0, and the last one starts on line (OH - 1) sh. It has KH lines and must end on the sheet, so (OH - 1) sh + KH
# is at most SH. Subtract KH and divide by sh: OH - 1 is at most (SH - KH) / sh, and OH is the largest whole number for which this holds.
# With padding p on each side, SH = H + 2p. So
#
# $$\text{OH} = \left\lfloor \frac{H + 2p - \text{KH}}{\text{sh}} \right\rfloor + 1 \qquad\qquad \text{OW likewise from W and KW.}$$
#
# The brackets mean: rounded down. So some last lines of the image may be in no window at all.
#
# Here are all windows of a kernel of 3 lines and 4 columns with stride 2, on one channel of 6 lines and 8 columns. The number in each
# pixel tells where it stands, because it is 8 times the line plus the column: pixel 18 stands on line 2, column 2.

# %%
numbered = np.arange(48.0).reshape(1, 1, 6, 8)  # N = 1 image, C = 1 channel, H = 6 lines, W = 8 columns

fig, axes = plt.subplots(2, 3, figsize=(7, 3.8), layout="constrained", sharex=True, sharey=True)
for (y, z), ax in np.ndenumerate(axes):
    seen = np.zeros((6, 8), bool)
    seen[2 * y : 2 * y + 3, 2 * z : 2 * z + 4] = True
    ax.imshow(seen, cmap="Blues", vmin=0, vmax=2.5)
    for line, column in np.argwhere(seen):
        ax.text(column, line, f"{numbered[0, 0, line, column]:.0f}", ha="center", va="center", fontsize=9)
    ax.set(title=f"window y = {y}, z = {z}", xticks=range(8), yticks=range(6))
fig.supxlabel("column")
fig.supylabel("line")
show(fig, alt="Six drawings of one sheet of 6 lines and 8 columns. In each a blue window of 3 lines and 4 columns holds the numbers of "
     "its pixels. The windows start at lines 0 and 2, and at columns 0, 2 and 4. Windows side by side share two columns. Upper "
     "and lower windows share line 2: the pixels 18 and 19 stand in four windows. The last line lies in no window.")  # fmt: skip

# %% [markdown]
# ## 4. The derivation
#
# Let L be the loss. We are given dout, the gradient of L with respect to out. It has the shape of out. We want three gradients, and
# each has the shape of its variable: dx, dweight and dbias.
#
# The way is this: the equation becomes two steps, a copy and a matrix product. Each step is easy to go back through. Lesson 02 says
# that we then go back through the steps in the opposite order.
#
# ### 4.1 The first step: a copy
#
# We write down what every window sees. One window becomes one column of a matrix. The function that does so is called **im2col**,
# "image to columns":
#
# $$\text{col}[n,c,i,j,y,z] = \text{sheet}[n,c,\text{sh}\,y+i,\text{sw}\,z+j] \qquad (N, C, \text{KH}, \text{KW}, \text{OH}, \text{OW})$$
#
# It computes nothing. It copies. In the code one stride serves both directions: sh and sw are both `stride`. col keeps an axis for each of
# the six letters, and `reshape` makes a matrix of it. The matrix of the image above has 12 rows, one for each cell, and 6 columns, one for
# each window.


# %% tags=["given"]
def pad(x, padding):
    n, c, h, w = x.shape
    sheet = np.zeros((n, c, h + 2 * padding, w + 2 * padding), x.dtype)
    sheet[:, :, padding : padding + h, padding : padding + w] = x
    return sheet


def im2col(sheet, kh, kw, stride):
    n, c, lines, columns = sheet.shape
    oh, ow = (lines - kh) // stride + 1, (columns - kw) // stride + 1  # // rounds down
    col = np.zeros((n, c, kh, kw, oh, ow), sheet.dtype)
    for y in range(oh):
        for z in range(ow):
            top, left = stride * y, stride * z
            col[:, :, :, :, y, z] = sheet[:, :, top : top + kh, left : left + kw]
    return col


col = im2col(numbered, 3, 4, 2)
print("col has the shape", col.shape)
print(col.reshape(12, 6).astype(int))

# %% [markdown]
# Compare it with the pictures. The first column holds the 12 pixels of window (0, 0), line after line. Pixel 18 stands in four columns,
# because four windows see it.
#
# ### 4.2 The second step: a matrix product
#
# For one image, let r stand for the three letters (c, i, j) together, and q for the two letters (y, z) together:
# r = (c KH + i) KW + j and q = y OW + z. There are R = C KH KW rows r, and Q = OH OW columns q. `reshape` counts in exactly this way and
# moves no number. Now weight is a matrix with one row for each filter, col is a matrix with one column for each window, and the sum over
# c, i, j is a sum over r:
#
# $$\begin{array}{rll}
# \text{out}[k,q] &= \text{bias}[k] + \sum_{r} \text{weight}[k,r]\;\text{col}[r,q] & \quad (K, Q) \\
# \text{out} &= \text{weight}\;\text{col} + \text{bias} & \quad (K, R)\,(R, Q)
# \end{array}$$
#
# The second line says the same with matrices, because this sum is how a product of two matrices is defined. bias is added in every column.
#
# ### 4.3 Back through the product
#
# Lesson 02 did this for a fully connected layer. We do it again, slowly. The chain rule with several variables says: to find the
# gradient of a variable, look at every place where it is used, multiply the gradient that arrives there by the slope there, and
# **add** over all places.
#
# Where is weight[k, r] used? In out[k, q], for this k and for every q. The slope there is what stands beside it: col[r, q].
#
# $$\begin{array}{rll}
# \text{dweight}[k,r] &= \sum_{q} \text{dout}[k,q]\;\text{col}[r,q] & \quad \text{all places where it is used} \\
# \text{dweight} &= \text{dout}\;\text{col}^T & \quad (K, Q)\,(Q, R) = (K, R)
# \end{array}$$
#
# The T stands for the transpose: rows become columns. It is needed because the sum runs over q, the second letter of col. In a matrix
# product the sum runs over the second letter of the left factor and the first letter of the right one.
#
# Where is col[r, q] used? In out[k, q], for this q and for every k: every filter looks at every window. The slope there is
# weight[k, r]. Now the sum runs over k, the first letter of weight, so weight is the factor that is transposed.
#
# $$\begin{array}{rll}
# \text{dcol}[r,q] &= \sum_{k} \text{weight}[k,r]\;\text{dout}[k,q] & \quad \text{all places where it is used} \\
# \text{dcol} &= \text{weight}^T\;\text{dout} & \quad (R, K)\,(K, Q) = (R, Q)
# \end{array}$$
#
# ### 4.4 The batch and the bias
#
# So far there was one image. With N images, each image has its own out, col and dout, but all images use the same weight. So
# dweight is the sum over the images:
#
# $$\text{dweight} = \sum_{n} \text{dout}_n\;\text{col}_n^T \qquad\qquad (K, R)$$
#
# bias[k] is added in every window of every image, each time with slope 1. So its gradient is the sum of what arrives there:
#
# $$\text{dbias}[k] = \sum_{n,y,z} \text{dout}[n,k,y,z] \qquad\qquad (K,)$$
#
# We do not divide by N. Where the loss is a mean over the images, dout already holds this division.
#
# ### 4.5 Back through the copy
#
# Now we have dcol, and we want dsheet. The copy used pixel 18 four times. Each use has slope 1, as a copy changes by as much as its
# original. So the gradient of pixel 18 is the **sum** of four elements of dcol. Here is the picture of lesson 02
# again. (Our example has no padding, so sheet is x, and pixel 18 is x[2, 2].) The gradients in the picture are made up.

# %%
fig = adds("x[2, 2]", [("window (0, 0), cell (2, 2)", 0.5), ("window (0, 1), cell (2, 0)", 0.25),
                       ("window (1, 0), cell (0, 2)", -1.0), ("window (1, 1), cell (0, 0)", 2.0)])  # fmt: skip
show(fig, alt="The pixel x[2, 2] is copied into four windows: into cell (2, 2) of window (0, 0), (2, 0) of (0, 1), (0, 2) of (1, 0) and "
     "(0, 0) of (1, 1). Dashed arrows send back 0.5, 0.25, -1 and 2. A plus sign adds them: dx[2, 2] = 1.75.")  # fmt: skip

# %% [markdown]
# The same can be said with a matrix. Take one image with one channel. Lay the sheet flat, as one long vector, and col as another one.
# Then sheet has SH times SW elements, and col has R times Q. Every element of col is a sum over all pixels, in which one pixel has the
# factor 1 and all others have the factor 0. These factors are one row of a matrix S. S has such a row for each element of col:
#
# $$\text{col} = S\;\text{sheet} \qquad\qquad (R Q) = (R Q, \text{SH SW})\,(\text{SH SW})$$
#
# (R Q) is the shape of a vector: R times Q is one number. We need not think to find S. Set pixel m to 1 and all others to 0. Then only
# the factors in column m count, so what comes out is column m of S.

# %%
units = np.eye(48).reshape(48, 1, 6, 8)  # 48 images; in image m only pixel m is 1
S = im2col(units, 3, 4, 2).reshape(48, -1).T  # (R Q, SH SW) = (72, 48)
print("S", S.shape, "and col laid flat are right:", np.array_equal(S @ numbered.ravel(), col.ravel()))
print("ones in each row of S:", np.unique(S.sum(axis=1)).astype(int), "  ones in each column:", np.unique(S.sum(axis=0)).astype(int))

fig, (left, right) = plt.subplots(1, 2, figsize=(7, 4.2), layout="constrained", width_ratios=[1, 1.35])
left.imshow(S, cmap="Blues", vmax=1.2, aspect="auto", interpolation="nearest")
left.set(title="S: a one for each copy", xlabel="pixel of the sheet", ylabel="element of col")
often = S.sum(axis=0).reshape(6, 8)
right.imshow(often, cmap="Blues", vmax=7)
for (line, column), value in np.ndenumerate(often):
    right.text(column, line, f"{value:.0f}", ha="center", va="center", fontsize=10)
right.set(title="how often each pixel is copied", xlabel="column", ylabel="line")
show(fig, alt="Left: the matrix S, 72 rows by 48 columns, with a single dark cell in each row. The cells form short runs of three, which "
     "go down and to the right in two bands. Right: the sheet of 6 lines and 8 columns with the number of copies of each "
     "pixel: 1 or 2 in most places, 4 on line 2 in columns 2 to 5, and 0 on the last line.")  # fmt: skip

# %% [markdown]
# Every row of S holds a single 1, because every element of col is a copy of one pixel. A column of S holds as many ones as there are
# copies of that pixel: 0, 1, 2 or 4.
#
# For a linear step v = S u we know the backward step from 4.3: v is a product, so $\text{du} = S^T\,\text{dv}$. Therefore
#
# $$\text{dsheet} = S^T\;\text{dcol} \qquad\qquad (\text{SH SW}, R Q)\,(R Q)$$
#
# Row m of the transpose holds a 1 for every copy of pixel m. So row m times dcol is the sum over the copies of pixel m: exactly what
# the arrows said. The function that computes this sum without writing down S is called **col2im**, "columns to image". It is the
# **transpose** of im2col. Where im2col copies *from* a pixel *to* an element of col, col2im adds *from* that element *to* that pixel:
#
# $$\begin{array}{rll}
# \text{im2col:} & \text{col}[n,c,i,j,y,z] = \text{sheet}[n,c,\text{sh}\,y+i,\text{sw}\,z+j] \\
# \text{col2im:} & \text{dsheet}[n,c,\text{sh}\,y+i,\text{sw}\,z+j] \;\text{+=}\; \text{dcol}[n,c,i,j,y,z] & \quad \text{all } i, j, y, z
# \end{array}$$
#
# The two lines have the same indices. Left and right are exchanged, and = has become +=. dsheet starts as zeros. A pixel in no window keeps
# its 0, and this is right: nothing depends on it.
#
# col2im is *not* the inverse of im2col. The inverse would give the image back. The transpose gives back each pixel multiplied by the
# number of its copies. With an image of ones we see these numbers:

# %%
ones = np.ones((1, 1, 6, 8))
print((S.T @ im2col(ones, 3, 4, 2).ravel()).reshape(6, 8).astype(int))
reveal("03-c")

# %% [markdown]
# ### 4.6 Back through the padding
#
# `pad` copies x into the middle of the sheet, each pixel once. So dx is the middle of dsheet. What stands on the border of
# dsheet belongs to zeros that nobody can change, and it is dropped. With h and w for the line and the column of a pixel of x:
#
# $$\text{dx}[n,c,h,w] = \text{dsheet}[n,c,p+h,p+w] \qquad\qquad (N, C, H, W)$$
#
# The engine's col2im does this cut at its end. So there the two steps back, 4.5 and 4.6, are one: dx = col2im(dcol).
#
# ### 4.7 What groups change
#
# The first layer of AlexNet makes 96 maps, and a kernel of the second layer has 48 channels. The paper says why in section 3.2: the
# net was spread over two graphics cards, and in some layers a card reads only the maps that it has made itself. Today we say that these
# layers have G = 2 **groups**.
#
# The C channels are cut into G equal parts, in order. So are the K filters. A filter of part g sees the channels of part g alone, so
# weight has the shape (K, C/G, KH, KW). With C = 6, K = 8 and G = 2, filters 0 to 3 see channels 0 to 2, and filters 4 to 7 see
# channels 3 to 5.
#
# In the matrices it looks like this. Let $\text{weight}_0$ be the first K/G rows of weight, and let $\text{col}_0$ be the rows of col that
# come from the first C/G channels. $\text{weight}_1$ and $\text{col}_1$ are the rest.
#
# $$\begin{bmatrix} \text{out}_0 \\ \text{out}_1 \end{bmatrix} =
# \begin{bmatrix} \text{weight}_0 & 0 \\ 0 & \text{weight}_1 \end{bmatrix}
# \begin{bmatrix} \text{col}_0 \\ \text{col}_1 \end{bmatrix}
# \qquad\qquad (K, Q) = (K, R)\,(R, Q)$$
#
# **Forward**, row g of this product says $\text{out}_g = \text{weight}_g\;\text{col}_g$, and the bias is added as before. Each group is a
# convolution of its own, with C/G channels and K/G filters.
#
# **Backward**, we ask again where each number is used. $\text{weight}_g$ and $\text{col}_g$ are used in $\text{out}_g$ and nowhere else. So
# **nothing is added over the groups**, and the equations of 4.3 hold in each group, with the matrices of this group:
#
# $$\begin{array}{rll}
# \text{dweight}_g &= \sum_{n} \text{dout}_{n,g}\;\text{col}_{n,g}^T & \quad (K/G, R/G) \\
# \text{dcol}_g &= \text{weight}_g^T\;\text{dout}_g & \quad (R/G, Q)
# \end{array}$$
#
# $\text{dout}_g$ is the part of dout that belongs to the K/G filters of group g. The parts $\text{dcol}_g$ stand below each other in
# dcol, as the parts of col do. col2im handles each channel by itself, so it does not see the groups. bias knows nothing of channels: dbias
# stays as it is. The zeros in the big matrix are no parameters. Nobody stores them, so nobody needs their gradients.
#
# For C = 6, K = 8 and G = 2 this means:
#
# | | group 0 | group 1 |
# |---|---|---|
# | reads these channels of x, writes these channels of dx | 0, 1, 2 | 3, 4, 5 |
# | reads these filters of weight, and these maps of dout | 0, 1, 2, 3 | 4, 5, 6, 7 |
# | writes these filters of dweight, and these elements of dbias | 0, 1, 2, 3 | 4, 5, 6, 7 |
#
# We build the big matrix once, to have something to test with:


# %%
def without_groups(weight, groups):
    """The weight (K, C, KH, KW) of a convolution with one group that computes the same: zeros where a filter sees nothing."""
    k, part, kh, kw = weight.shape  # part = C / G
    whole = np.zeros((k, groups * part, kh, kw), weight.dtype)
    for g in range(groups):
        filters = slice(g * k // groups, (g + 1) * k // groups)
        channels = slice(g * part, (g + 1) * part)
        whole[filters, channels] = weight[filters]
    return whole


print((without_groups(np.ones((8, 3, 4, 3)), 2)[:, :, 0, 0]).astype(int), " a row for each filter, a column for each channel")

# %% [markdown]
# ### 4.8 All of it
#
# These are the lines of the engine's docstring in `tinyalex/layers/conv.py`. With groups they hold in each group.
#
# $$\begin{array}{rll}
# \text{out} &= \text{weight}\;\text{col} + \text{bias} & \quad (N, K, \text{OH}, \text{OW}) \\
# \text{dweight} &= \text{sum over } n \text{ of } \text{dout}\;\text{col}^T & \quad (K, C/G, \text{KH}, \text{KW}) \\
# \text{dbias} &= \text{sum over } n, y, z \text{ of } \text{dout} & \quad (K,) \\
# \text{dcol} &= \text{weight}^T\;\text{dout} & \quad (N, C, \text{KH}, \text{KW}, \text{OH}, \text{OW}) \\
# \text{dx} &= \text{col2im}(\text{dcol}) & \quad (N, C, H, W)
# \end{array}$$

# %% [markdown]
# ## 5. Twenty lines of your own
#
# Write `conv_forward(x, weight, bias, stride, padding, groups)` now. It returns out. This is exercise **E04**, about 30 minutes. You may
# use loops or `im2col`. Then, in a cell of your own, write `from tinyalex import tutor` and ask `tutor.check("E04", conv_forward)`. Do
# this before you open the next cell.


# %% tags=["solution", "exercise:E04"]
def conv_forward(x, weight, bias, stride, padding, groups):
    n, k, kh, kw = len(x), len(weight), *weight.shape[2:]
    col = im2col(pad(x, padding), kh, kw, stride)  # (N, C, KH, KW, OH, OW)
    oh, ow = col.shape[4:]
    col = col.reshape(n, groups, -1, oh * ow)  # (N, G, R / G, Q): the channels are cut into G parts, in order
    w = weight.reshape(groups, k // groups, -1)  # (G, K / G, R / G): so are the filters
    out = (w @ col).reshape(n, k, oh, ow)  # one product for each image and group
    return out + bias[:, None, None]


# %% [markdown]
# If arrays have more than two axes, `@` multiplies the matrices in the last two. It goes through the axes before them, such as N and G,
# by itself. A factor without the axis N, such as the weights, is the same for every image.
#
# Then write `col2im(dcol, shape, stride)`. dcol has the six axes (N, C, KH, KW, OH, OW), as the result of `im2col` has them, and `shape` is
# the shape of the sheet. The function returns dsheet. With it write `conv_backward(dout, x, weight, stride, padding)` for one group. It
# returns dx, dweight and dbias, in this order. This is the first half of exercise **E05**, about 20 minutes. Then, in a cell of your own,
# write `from tinyalex import tutor` and ask `tutor.check("E05", conv_backward)`. Do this before you open the next cell.


# %% tags=["solution", "exercise:E05"]
def col2im(dcol, shape, stride):
    dsheet = np.zeros(shape, dcol.dtype)
    kh, kw, oh, ow = dcol.shape[2:]
    for y in range(oh):
        for z in range(ow):
            top, left = stride * y, stride * z
            dsheet[:, :, top : top + kh, left : left + kw] += dcol[:, :, :, :, y, z]
    return dsheet


def conv_backward(dout, x, weight, stride, padding):
    n, c, h, w = x.shape
    k, _, kh, kw = weight.shape
    sheet = pad(x, padding)
    col = im2col(sheet, kh, kw, stride).reshape(n, c * kh * kw, -1)  # (N, R, Q)
    d = dout.reshape(n, k, -1)  # (N, K, Q)
    dweight = (d @ col.swapaxes(1, 2)).sum(axis=0).reshape(weight.shape)  # swapaxes: the transpose, for each image
    dcol = (weight.reshape(k, -1).T @ d).reshape(n, c, kh, kw, *dout.shape[2:])
    dsheet = col2im(dcol, sheet.shape, stride)
    dx = dsheet[:, :, padding : padding + h, padding : padding + w]
    return dx, dweight, dout.sum(axis=(0, 2, 3))


# %% [markdown]
# The second half of E05 is `conv_backward_groups(dout, x, weight, stride, padding, groups)`, about 15 minutes. It returns dx, dweight and
# dbias too. It stands nowhere in this lesson. Section 4.7 says all that you need: which filters, which channels and which part of dout
# belong to group g, and what is added over the groups. In a cell of your own, with `from tinyalex import tutor` in its first line,
# `tutor.check("E05", conv_backward, conv_backward_groups)` says whether both are right.

# %% [markdown]
# ## 6. Prove it
#
# First the forward pass, against the equation of part 3 with one loop for every letter. No two sizes are alike, the stride is neither
# 1 nor a side of the kernel, and at the bottom a line of the sheet is left over. In an example with equal sizes many mistakes do
# not show.

# %% tags=["seeded"]
rng = np.random.default_rng(3)
N, C, K, H, W, KH, KW = 2, 6, 8, 11, 14, 4, 3
x = rng.standard_normal((N, C, H, W))
weight = rng.standard_normal((K, C, KH, KW))
bias = rng.standard_normal(K)


def equation(x, weight, bias, stride, padding):
    sheet = pad(x, padding)
    out = np.zeros((N, K, (H + 2 * padding - KH) // stride + 1, (W + 2 * padding - KW) // stride + 1))
    for n, k, y, z in np.ndindex(*out.shape):
        out[n, k, y, z] = bias[k]
        for c, i, j in np.ndindex(C, KH, KW):
            out[n, k, y, z] += weight[k, c, i, j] * sheet[n, c, stride * y + i, stride * z + j]
    return out


out = conv_forward(x, weight, bias, 2, 1, groups=1)
print("x", x.shape, "  weight", weight.shape, "  out", out.shape)
assert np.abs(out - equation(x, weight, bias, 2, 1)).max() < 1e-12
print("forward: equal to the equation, to 1e-12")

# %% [markdown]
# Then the backward pass, with the measured slope of lesson 00. As the loss we take L = the sum of out times dout, with random dout.
# Its gradient with respect to out is dout. (With ones for dout, many mistakes do not show.)


# %%
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


def prove(stride, padding):
    dout = rng.standard_normal(conv_forward(x, weight, bias, stride, padding, 1).shape)

    def loss(x, weight, bias):
        return (dout * conv_forward(x, weight, bias, stride, padding, 1)).sum()

    dx, dweight, dbias = conv_backward(dout, x, weight, stride, padding)
    assert np.abs(dx - numerical_gradient(lambda x: loss(x, weight, bias), x, 1.0)).max() < 1e-11
    assert np.abs(dweight - numerical_gradient(lambda weight: loss(x, weight, bias), weight, 1.0)).max() < 1e-11
    assert np.abs(dbias - numerical_gradient(lambda bias: loss(x, weight, bias), bias, 1.0)).max() < 1e-11
    print(f"stride {stride}, padding {padding}, out {dout.shape[2:]}: dx, dweight and dbias agree with the measured slopes")


for stride, padding in [(2, 1), (2, 0), (5, 3)][: fast(3, 2)]:  # fast(3, 2) is 3; a quick test of this page takes 2
    prove(stride, padding)

# %% [markdown]
# Did you see the step h = 1? Lesson 00 used about 1e-5. A convolution is linear in x, in weight and in bias: where one of them moves, L
# moves along a straight line. A difference over a straight line is exact for every step, and a large step loses the fewest digits to
# rounding.
#
# For a pair of linear steps there is one more test, and it needs no slopes. If col2im is the transpose of im2col, then for all u and v
#
# $$\langle \text{im2col}(u), v \rangle = \langle u, \text{col2im}(v) \rangle$$
#
# where these pointed brackets mean: multiply element by element, and add. Why is this so? Lay u and v flat. Both sides are then the same
# sum, of v[a] S[a, m] u[m] over all elements a of col and all pixels m. The left side adds over m first, the right side adds over a
# first.

# %%
sheet = pad(x, 1)
v = rng.standard_normal(im2col(sheet, KH, KW, 2).shape)
one_way, other_way = (im2col(sheet, KH, KW, 2) * v).sum(), (sheet * col2im(v, sheet.shape, 2)).sum()
assert abs(one_way - other_way) < 1e-10
print(f"one number both ways: {one_way:.6f} and {other_way:.6f}")

# %% [markdown]
# And the groups: two groups compute what one group computes with the big matrix of 4.7.

# %%
weight2 = rng.standard_normal((K, C // 2, KH, KW))
whole = without_groups(weight2, 2)
out2 = conv_forward(x, weight2, bias, 2, 1, groups=2)
assert np.abs(out2 - conv_forward(x, whole, bias, 2, 1, groups=1)).max() < 1e-12
print("weight for two groups", weight2.shape, " and as one weight with zeros", whole.shape, ": the same out")

# %% [markdown]
# ## 7. The same as the engine
#
# The engine's functions are `conv2d` and `conv2d_backward` in `tinyalex/layers/conv.py`. They use `im2col` and `col2im` of
# `tinyalex/layers/columns.py`. There a loop goes over the cells (i, j) of a window, where ours goes over the windows (y, z). The sums are
# the same. But a window of conv2 has 5 · 5 = 25 cells, and there are 27 · 27 = 729 windows, so the engine's loop has fewer turns.
#
# `windows_of` puts the sizes of image and kernel, the stride and the padding into one object. Its first argument is a name for messages.

# %%
from tinyalex.geometry import windows_of
from tinyalex.layers.conv import conv2d, conv2d_backward

for stride, padding in [(2, 1), (2, 0), (5, 3)]:
    windows = windows_of("lesson 03", (H, W), (KH, KW), stride, padding)
    for groups, w in ((1, weight), (2, weight2)):
        ours, theirs = conv_forward(x, w, bias, stride, padding, groups), conv2d(x, w, bias, windows, groups)
        assert np.abs(ours - theirs).max() < 1e-12
    dout = rng.standard_normal(ours.shape)
    for ours, theirs in zip(conv_backward(dout, x, weight, stride, padding), conv2d_backward(x, weight, dout, windows), strict=True):
        assert np.abs(ours - theirs).max() < 1e-12
    print(f"stride {stride}, padding {padding}: forward and backward equal to conv2d and conv2d_backward, to 1e-12")

# %% [markdown]
# What should your `conv_backward_groups` give? The big weight with zeros of section 4.7 computes the same out with one group. So
# `conv_backward` and the big weight give an answer to compare with. Its dx is right as it is. Its dweight holds the right numbers in the
# two blocks. Outside of the blocks it holds the slopes with respect to the zeros. The zeros are no parameters, so we throw these slopes
# away.

# %%
windows = windows_of("lesson 03", (H, W), (KH, KW), 2, 1)
dout = rng.standard_normal(out2.shape)
dx, dwhole, dbias = conv_backward(dout, x, whole, 2, 1)
dweight2 = np.concatenate([dwhole[:4, :3], dwhole[4:, 3:]])  # filters 0 to 3 with channels 0 to 2, filters 4 to 7 with channels 3 to 5
for ours, theirs in zip((dx, dweight2, dbias), conv2d_backward(x, weight2, dout, windows, groups=2), strict=True):
    assert ours.shape == theirs.shape and np.abs(ours - theirs).max() < 1e-12
print("groups = 2: dx", dx.shape, " dweight", dweight2.shape, " dbias", dbias.shape, "are equal to the engine's, to 1e-12")
print("outside of the blocks dwhole is not zero:", bool(np.abs(dwhole[:4, 3:]).min() > 0))

# %% [markdown]
# ## 8. Experiment
#
# ### How many numbers, how many windows?
#
# conv1 has kernels of 11 by 11 and stride 4, and the image has 224 lines. The division (224 - 11) / 4 gives 53.25. Rounded down and
# plus 1 this is 54, but Figure 2 of the paper shows 55 by 55 windows. The program of 2012 rounds **up**: there is one more window. It
# hangs over the edge by 3 pixels, and zeros are read there.

# %%
outside = 1 + math.ceil((224 - 11) / 4)
print("rounded down:", 1 + (224 - 11) // 4, "  rounded up:", outside, "  pixels over the edge:", (outside - 1) * 4 + 11 - 224)
reveal("03-b")

# %%
one = np.zeros((1, 3, 227, 227), np.float32)  # 224 and 3 lines and columns of zeros, at the bottom and at the right
col = im2col(one, 11, 11, 4)
# say compares the number in a sentence with `value`, then prints the sentence
say(f"col of one image has {col.size:,} elements", value=3 * 11 * 11 * 55 * 55, within=0)
say("this is 7.3 times as many as the image has", value=col.size / (3 * 224 * 224), within=0.05)
reveal("03-a")

# %% [markdown]
# So im2col takes memory to save time, because a computer does one large product much faster than many small ones. How many
# multiplications are in it? Each of 96 filters lays 11 · 11 · 3 = 363 weights on each of 55 · 55 = 3,025 windows.

# %%
say("conv1 multiplies 105,415,200 times for one image", value=96 * col.shape[1] * 11 * 11 * 55 * 55, within=0)

# %% [markdown]
# ### Which way is the kernel written?
#
# Set one pixel to 1 and all others to 0, and look at out. Then set one element of dout to 1, and look at dx. The kernel has the weights 1
# to 12, so that we see which weight went where.

# %%
counting = np.arange(1.0, 13).reshape(1, 1, 4, 3)


def impulse(stride):
    pixel = np.zeros((1, 1, 9, 11))
    pixel[0, 0, 5, 6] = 1
    forward = conv_forward(pixel, counting, np.zeros(1), stride, 0, 1)
    dout = np.zeros_like(forward)
    dout[0, 0, 2, 3] = 1
    return forward[0, 0], conv_backward(dout, pixel, counting, stride, 0)[0][0, 0]


fig, axes = plt.subplots(2, 2, figsize=(7, 5.2), layout="constrained")
for line, stride in zip(axes, (1, 2), strict=True):
    out_panel, dx_panel = line
    for ax, values in zip(line, impulse(stride), strict=True):
        ax.imshow(values, cmap="Oranges", vmin=0, vmax=20)
        for i, j in np.argwhere(values):
            ax.text(j, i, f"{values[i, j]:.0f}", ha="center", va="center", fontsize=9)
        ax.set(xticks=range(0, values.shape[1], 2), yticks=range(0, values.shape[0], 2))
    out_panel.set(xlabel="z", ylabel="y")
    out_panel.set_title(f"stride {stride}: out, if x[5, 6] = 1", fontsize=10)
    dx_panel.set(xlabel="column", ylabel="line")
    dx_panel.set_title(f"stride {stride}: dx, if dout[2, 3] = 1", fontsize=10)
show(fig, alt="Four panels. Upper left, stride 1: one pixel writes the weights into out turned round, from 12 at y = 2, z = 4 down to 1 "
     "at y = 5, z = 6. Upper right: one element of dout writes them into dx upright, from 1 at line 2, column 3 to 12 at line "
     "5, column 5. Lower left, stride 2: the pixel reaches only four outputs, with the weights 12, 10, 6 and 4. Lower right: "
     "the element of dout still writes all 12 weights upright.")  # fmt: skip

# %% [markdown]
# Right: one element of dout sends a gradient to every pixel of its window, to each with its weight. So the kernel stands upright in dx.
#
# Left, with stride 1: one pixel is in several windows. The first of them (the smallest y and z) sees the pixel in its last cell, so its
# output is the last weight, 12. The last of them begins at the pixel, so its output is the first weight, 1. So the kernel appears turned
# round in out. With stride 2 a pixel is in fewer windows, here in four of them. Each window is as large as before, so dx still shows all 12
# weights.
#
# For a layer of stride 1, many books compute dx with a forward pass: the image is dout (with zeros around it). The upper left picture
# shows what a forward pass makes of an image with a single 1: the kernel turned round. In dx the kernel must stand upright, so these
# books turn it before they lay it on dout. We never turn anything: im2col and col2im keep the places right by themselves.
#
# ### What does a filter find?
#
# The next cell draws a picture and three filters. In AlexNet nobody draws the filters: they are learned.

# %%
line, column = np.mgrid[0:48, 0:64]
picture = np.stack([np.full((48, 64), 0.25), np.full((48, 64), 0.3), 0.35 + 0.4 * (1 - line / 47)])  # dark, bluer at the top
disk, bar = (line - 20) ** 2 + (column - 18) ** 2 < 130, (column > 40) & (column < 52) & (line > 10)
picture[:, disk] = np.array([[0.95], [0.45], [0.1]])  # orange
picture[:, bar] = np.array([[0.85], [0.85], [0.9]])  # light gray

filters = np.zeros((3, 3, 3, 5))  # K, C, KH, KW
filters[0, :, :, :2], filters[0, :, :, 3:] = -1 / 18, 1 / 18  # light at the right, dark at the left
filters[1, :, 0], filters[1, :, 2] = -1 / 15, 1 / 15  # light below, dark above
filters[2, 0], filters[2, 2] = 1 / 15, -1 / 15  # red without blue
maps = conv_forward(picture[None], filters, np.zeros(3), 2, 1, 1)
print("picture", picture.shape, "  maps", maps.shape)

fig, axes = plt.subplots(2, 2, figsize=(6, 4.8), layout="constrained")
axes[0, 0].imshow(picture.transpose(1, 2, 0))
axes[0, 0].set(title="the picture", xlabel="column", ylabel="line")
for ax, one_map, title in zip(axes.flat[1:], maps[0], ("lighter to the right", "lighter below", "red minus blue"), strict=True):
    drawn = ax.imshow(one_map, cmap="PuOr_r", vmin=-0.9, vmax=0.9)
    ax.set(title=title, xlabel="z", ylabel="y")
    fig.colorbar(drawn, ax=ax, shrink=0.8)
show(fig, alt="A picture of 48 by 64 pixels: an orange disk and a light gray bar on a blue ground, which is darker below. Beside and "
     "below it three maps of 24 by 31 numbers, orange for positive and violet for negative. The first is positive at the left "
     "edges of disk and bar and negative at their right edges. The second is positive at the upper edge of the bar. The third "
     "is 0.85 inside the disk, near 0 in the bar and below 0 on the blue ground. The edges of the disk are faint in the first "
     "two maps. The first has a pale positive stripe along the left border, the second a strong one along the top.")  # fmt: skip
say("0.85 is what the third filter finds inside the disk", value=maps[0, 2, 10, 8], within=0.005)

# %% [markdown]
# The third filter takes the mean of red minus the mean of blue in its window: inside the disk 0.95 - 0.1 = 0.85. Each map has one number
# for each place. The three colors went into one sum. A map has no color; the colors of such drawings are only a scale. Look at the border,
# too: the zeros of the padding are black, so the first two filters find an edge there that the picture does not have. They find it only at
# the top and at the left: with stride 2 and these sizes the last windows end before the padding at the bottom and at the right.
#
# ### Who sees whom, with groups?
#
# We add 1 to all pixels of one channel, for one channel after the other, and look which maps change.

# %%
fig, axes = plt.subplots(1, 2, figsize=(6, 3.6), layout="constrained")
for ax, groups, w in zip(axes, (1, 2), (weight, weight2), strict=True):
    answers = np.zeros((K, C))
    for c in range(C):
        moved = x.copy()
        moved[:, c] += 1
        change = conv_forward(moved, w, bias, 2, 1, groups) - conv_forward(x, w, bias, 2, 1, groups)
        answers[:, c] = np.abs(change).max(axis=(0, 2, 3)) > 1e-9
    ax.imshow(answers, cmap="Blues", vmin=0, vmax=1.4)
    ax.hlines(np.arange(K) - 0.5, -0.5, C - 0.5, color="white", linewidth=1)  # lines between the cells, so that they can be counted
    ax.vlines(np.arange(C) - 0.5, -0.5, K - 0.5, color="white", linewidth=1)
    ax.set(title=f"groups = {groups}", xlabel="channel c", ylabel="filter k", xticks=range(C), yticks=range(K))
    say(f"{'one group' if groups == 1 else 'two groups'}: {K * C // groups} pairs of filter and channel", value=answers.sum(), within=0)
show(fig, alt="Two tables of 8 filters by 6 channels. With one group all 48 cells are filled. With two groups only two blocks are filled, "
     "filters 0 to 3 with channels 0 to 2 and filters 4 to 7 with channels 3 to 5: 24 cells.")  # fmt: skip

# %% [markdown]
# ## 9. What people get wrong
#
# The counts come from 140 public solutions of the assignment of one well-known course, not a random sample. 88 of them have a convolution
# backward that passes the course's own check, where the kernel is 3 by 3 and stride and padding are 1. A name with a number, such as
# apache/mxnet#3348, is a thread on GitHub: the project, and the number of the thread.
#
# **The border is cut as `padding:-padding`: 42 of these 88.** It works until the padding is 0, as it is in conv1, whose zeros (part 8) lie
# only at the bottom and at the right. With padding 0 the cut means `0:0`, and nothing is left. Another 4 cut by 1, whatever the padding is.
# **So 88 - 42 - 4 = 42 are still right at padding 0.** Write `padding : padding + h`.

# %%
dsheet, padding = np.ones((1, 1, 11, 14)), 0
print("padding:-padding leaves", dsheet[:, :, padding:-padding, padding:-padding].shape, "of", dsheet.shape)

# %% [markdown]
# **`=` for `+=` in col2im.** A reader of a well-known book asked why `+=` fails in his test and `=` passes
# (oreilly-japan/deep-learning-from-scratch#27). The test demanded that col2im undoes im2col. It does not; it is the transpose. How much
# of the gradient is lost where a window overwrites what an earlier one left? We measure with the **norm**, the root of the sum of all
# squares: the norm of what is missing, divided by the norm of the right gradient.


# %%
def overwriting(dcol, shape, stride):
    dsheet = np.zeros(shape)
    kh, kw, oh, ow = dcol.shape[2:]
    for y, z in np.ndindex(oh, ow):
        dsheet[:, :, stride * y : stride * y + kh, stride * z : stride * z + kw] = dcol[:, :, :, :, y, z]
    return dsheet


right, wrong = col2im(v, sheet.shape, 2), overwriting(v, sheet.shape, 2)
say("78 % of the gradient's norm is lost", value=np.linalg.norm(right - wrong) / np.linalg.norm(right), within=0.05)

# %% [markdown]
# **The kernel must be turned round.** In mathematics a convolution turns it. The paper's layer does not, and neither do
# PyTorch and TensorFlow. If you turn it in both passes, you learn the same net with turned weights. If you turn it in
# one pass alone, your gradient is wrong.

# %%
turned = conv_forward(x, weight[:, :, ::-1, ::-1], bias, 2, 1, 1)
print("a turned kernel gives other numbers:", bool(np.abs(turned - out).max() > 1))

# %% [markdown]
# **H in the place of W (6 of 88 in the forward pass), KH in the place of KW (7 of 88).** Square images hide the first, and square
# kernels hide the second.

# %%
print("OH, OW:", out.shape[2:], "  OW from the height would be", (H + 2 - KW) // 2 + 1)

# %% [markdown]
# **"The feature maps are colored"** (an article on AlexNet). A filter adds its three channels. out has K maps, and K has nothing to
# do with colors.
#
# **A kernel of conv2 "looks at maps 1, 2 and 7"** (the same article). It looks at all 48 maps of its half. And a table that gives its
# kernels 96 channels in place of 48 (a common slip; apache/mxnet#3348) gives conv2 twice its weights.

# %%
say("conv2 has 307,456 parameters with two groups", value=256 * 48 * 5 * 5 + 256, within=0)
say("and 614,656 with one", value=256 * 96 * 5 * 5 + 256, within=0)

# %% [markdown]
# **A bias for every pixel.** There is one for each filter; conv1 has 96 of them. Its maps have 290,400 pixels together.
#
# **Local means shared.** These are two ideas. Local means: each number of out sees one small window. Shared means: all windows have the
# same kernel. A convolution is both, and because its weights are shared, dweight is a sum over windows. A layer in which each window has
# weights of its own is local too, but it shares nothing.

# %%
say("conv1 has 34,944 parameters", value=96 * (3 * 11 * 11 + 1), within=0)
say("with weights of its own in every window it would have 105,705,600", value=96 * 55 * 55 * (3 * 11 * 11 + 1), within=0)

# %% [markdown]
# **"224 is resized to 227"** (the same article on AlexNet). Nobody resizes anything. The last window reads 3 pixels of zeros, see part 8.
#
# **float32 in, float64 out.** In another count, of 91 students' convolutions, 89 did that, because `np.zeros` gives float64 unless it is
# told otherwise. Memory and time double. `pad` and `im2col` above pass `x.dtype` on:

# %%
single = conv_forward(x.astype(np.float32), weight.astype(np.float32), bias.astype(np.float32), 2, 1, 1)
print("float32 in,", single.dtype, "out")

# %% [markdown]
# **A mean where a sum belongs** (kvfrans/notes#5, LBANN/lbann#1022). The gradients of weight and bias are sums over images and
# windows. If the loss is a mean, the division by N is already in dout, and it must not be done twice.
#
# More of them, with the numbers by which the tutor knows them, stand in `lessons/MISCONCEPTIONS.md`.
#
# ### Summary
#
# A convolution is a copy, im2col, and a matrix product. Going back, the product gives dweight = dout col^T and
# dcol = weight^T dout. The copy gives its transpose, col2im, which **adds**, because a pixel is used in several windows. With groups
# each group is a convolution of its own, and nothing is added over the groups. The bias is used in every window, so its gradient
# is the sum of dout over images and windows.
#
# ### Read on
#
# - The engine: `conv2d` and `conv2d_backward` in `tinyalex/layers/conv.py`, `im2col` and `col2im` in `tinyalex/layers/columns.py`. You have
#   derived every line of them.
# - Exercises: `tutor.check("E04", conv_forward)`, 30 minutes; `tutor.check("E05", conv_backward, conv_backward_groups)`, 35 minutes.
# - Next: lesson 04, overlapping pooling, where one pixel can win in several windows.
#
# Two questions to write about, a few sentences each:
#
# 1. With stride 4 and a kernel of 3, some pixels are in no window. What is their gradient, and why is that right? What would
#    a net with such a layer never learn?
# 2. Why does a test with N = 1, C = 1, a square image and stride 1 prove so little? Name two mistakes that it cannot see.
