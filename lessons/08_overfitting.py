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
# # 08  Overfitting
#
# Paper section 4, about 80 minutes, needs lessons 00, 01, 02, 06 and 07, holds exercise E10. It can be read before lesson 03.
#
# Afterwards you can write dropout and its backward pass, say which average of nets it stands for, and make many training images out of
# one: by cutting out pieces, by reflections and by color noise.

# %%
import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.data import synthetic_dataset
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import fast, say, show

# %% [markdown]
# ## 1. The paper's sentence
#
# > "Our neural network architecture has 60 million parameters. Although the 1000 classes of ILSVRC make each training example impose 10
# > bits of constraint on the mapping from image to label, this turns out to be insufficient to learn so many parameters without
# > considerable overfitting."
#
# (Section 4.) ILSVRC is the contest for which AlexNet was made. The "mapping from image to label" is what the net has to learn. A label is
# one of 1,000 classes. To write it down takes 10 bits, because $2^{10}$ is 1,024. The training set has 1.2 million images. Their labels are
# 12 million bits, and there are 60 million parameters. So a net may learn by heart: it remembers the label of each training image, and
# knows nothing of other images. This is **overfitting**: few errors on the training images, many on the **test images**, which the net has
# not seen. The **gap** is the share of errors on the test images minus the share of errors on the training images.
#
# The paper does two things against it. Section 4.1 makes many images out of one. Section 4.2 trains with **dropout**: in each step some
# outputs of a layer, chosen at random, are set to 0. We do both in this lesson, on a net so small that we can also train it without them.

# %% [markdown]
# ## 2. Predict
#
# Run the cells, and replace each guess by your own before you read on. The words of the questions:
#
# - A **unit** is a neuron of a layer. A **mask** says for each unit of a layer whether its output is kept or set to 0. Each mask makes
#   another net.
# - The **halved net** drops nothing. It multiplies all outputs of the layer by 0.5.
# - The **geometric mean** of n numbers is the n-th root of their product. Here the numbers are the probabilities that n nets give to a
#   class. The geometric means of all classes are divided by their sum, so that they sum to 1.
# - **Color noise** adds a random color to all pixels of an image. The colors in photographs are described by numbers called
#   **eigenvalues**; part 4.5 explains them. A pixel goes from 0 to 255 **gray levels**. ImageNet is the collection of photographs from
#   which the contest takes its images.

# %% tags=["predict"]
predict("08-a", 4)

# %% tags=["predict"]
predict("08-b", 1000)

# %% tags=["predict"]
predict("08-c", 5)

# %% tags=["predict"]
predict("08-d", 10)

# %% [markdown]
# ## 3. The equation
#
# **Dropout.** Take the outputs x of a layer with C units, one row for each of N images. While training, each number is set to 0 with the
# probability p. Whether it is kept is written in a mask m of the same shape: 1 for kept, 0 for dropped. The mask is drawn anew
# for each image and each step.
#
# $$\begin{array}{rll}
# \text{training:} & \text{out} = m\,x & \quad (N, C), \text{ element by element} \\
# \text{test:} & \text{out} = (1 - p)\,x & \quad (N, C)
# \end{array}$$
#
# In the paper p is 0.5, so at test time all outputs are halved. The paper uses dropout in the first two fully connected layers, which are
# called fc6 and fc7. In a fully connected layer each unit has a weight for every number that comes in, as in lesson 01.
#
# **Pieces.** (Many books call them crops.) Out of an image of 256 by 256 pixels a piece of 224 by 224 is cut, at a random place. With
# probability 0.5 it is also mirrored, left to right. The label stays: a mirrored cat is a cat.
#
# **Color noise.** To all pixels of an image one color is added, drawn at random. Which colors are likely depends on the colors in the
# training images. 4.5 says how.
#
# **Ten views.** At test time the net sees ten pieces of an image: the four corners, the center, and the mirror images of these five. Its
# ten answers, which are probabilities, are averaged.

# %% [markdown]
# ## 4. The derivation
#
# ### 4.1 Why (1 - p) at test time
#
# Take one unit with the output x. While training it gives x with probability 1 - p, and 0 with probability p. Its average over all masks is
#
# $$(1 - p)\,x + p \cdot 0 = (1 - p)\,x$$
#
# The next layer has learned from such outputs. At test time nothing is dropped. Without the factor 1 - p, the next layer would get x, and x
# is 1 / (1 - p) times as large as this average. With the factor it gets the average.
#
# We may also divide while training, so that nothing is left to do at test time:
#
# $$\begin{array}{rll}
# \text{training:} & \text{out} = m\,x\,/\,(1 - p) & \quad \text{its average is } x \\
# \text{test:} & \text{out} = x
# \end{array}$$
#
# This is called **inverted** dropout. Most libraries use it. The two forms give different numbers, but in each form the average while
# training is what test time gives. It is wrong to mix the two forms.
#
# ### 4.2 Back through the mask
#
# The mask is drawn, and then it is a constant. Each output is its input times m, and no input enters any other output. So the slope is m:
#
# $$\text{dx} = m\,\text{dout} \qquad\qquad (N, C)$$
#
# In the inverted form the slope is m / (1 - p), so dx is m dout / (1 - p). The engine's docstring puts the division into m, so
# that both forms have one formula (scale="train" is the inverted form): *out = m x, where m is the mask, divided by 1 - p for
# scale="train"; so dx = m dout.* In both forms, the backward pass uses the mask of the forward pass. A unit that was dropped has no part in
# the loss, so it gets no gradient.
#
# ### 4.3 An average of very many nets
#
# A layer with C units has $2^C$ masks, because each unit is in or out. Each mask is a net of its own, and all these nets share their
# weights. The paper calls the halved net "a reasonable approximation to taking the geometric mean of the predictive distributions produced
# by the exponentially-many dropout networks". A "predictive distribution" is the list of the probabilities that a net gives to the classes.
# Let us see how good this approximation is.
#
# The logarithm of a product is the sum of the logarithms. The logarithm of an n-th root is the logarithm divided by n. So the logarithm of
# a geometric mean is the ordinary mean of the logarithms. Let $h_i$ be the output of unit i of a hidden layer. The next layer is the last
# one: it has weight and bias, and softmax follows. For a mask m the logits and the logarithms of the probabilities are
#
# $$z_j(m) = \text{bias}_j + \sum_i \text{weight}_{ji}\;m_i\,h_i \qquad\qquad \log p_j(m) = z_j(m) - \log \sum_k \exp(z_k(m))$$
#
# (The second is lesson 06. $p_j$ is the probability of class j; p alone is still that of dropout.) Now take the mean over all masks, with
# p = 0.5, so that all masks are equally likely. The mean of $\log \sum_k \exp(z_k(m))$ is called A:
#
# $$\begin{array}{rll}
# \text{mean of } \log p_j(m) &= \text{mean of } z_j(m) - \text{mean of } \log \sum_k \exp(z_k(m)) & \quad \text{mean of a difference} \\
# &= \text{mean of } z_j(m) - A & \quad A \text{ is the same for every class } j \\
# &= \text{bias}_j + \sum_i \text{weight}_{ji}\;\frac{1}{2}\,h_i - A & \quad \text{each } m_i \text{ is 1 in half of the masks}
# \end{array}$$
#
# Without A the last line is the logit $z_j$ of the halved net. On the left stands the logarithm of the geometric mean of $p_j$. So this
# geometric mean is $\exp(\text{this logit} - A)$. The geometric means of all classes need not sum to 1. We divide them by their sum. An
# exp, divided by the sum of the exps of all classes, is softmax. So we get the softmax of the last line. A does not matter: by lesson 06,
# part 4.5, a number that is added to all logits changes nothing. So
#
# $$\text{geometric mean, divided by its sum} = \text{softmax of the logits of the halved net}$$
#
# **This is exact.** One net with halved outputs says what $2^C$ nets say together. The proof used only that the logits are
# *linear* in m: sums of the $m_i$ times constants. This is so if a mask is followed by weights and softmax alone. If a second hidden layer
# comes after the mask, there is a ReLU in between, and the mean of a ReLU is not the ReLU of the mean. AlexNet has two layers with dropout,
# so there the halved net is an approximation, as the paper says.
#
# How many digits has $2^C$ for a layer like fc6, with C = 4,096? We take logarithms to base 10. The numbers from 10 to 99 have two digits,
# and their logarithms are at least 1 and below 2. The numbers from 100 to 999 have three digits, and their logarithms are at least 2 and
# below 3. So we round the logarithm down and add 1. The logarithm of 2 is 0.30103. That of $2^{4096}$ is 4,096 times as large: 1,233.02. So
# this number has 1,234 digits.
#
# ### 4.4 How many pieces
#
# A piece of 224 pixels can begin at pixel 0, 1, ..., 32 of 256. These are 256 - 224 + 1 = 33 places, in each direction. With
# reflections there are 33 · 33 · 2 = 2,178 pieces of an image. The paper says "by a factor of 2048", which is 32 · 32 · 2.

# %%
say("pieces of an image: 2,178", value=33 * 33 * 2, within=0)
reveal("08-b")
say("in decimal digits the number of masks of a layer like fc6 has 1,234", value=len(str(2**4096)), within=0)
reveal("08-a")

# %% [markdown]
# ### 4.5 Which colors are likely
#
# Write the color of a pixel as three numbers, red, green and blue, minus their means over all pixels. The **covariance matrix** S of the
# colors has the shape (3, 3). S[a, b] is the mean, over all pixels, of color number a times color number b. So on the diagonal stand the
# three variances. (The variance is the square of the standard deviation.) In photographs the other elements are large too, because more
# light makes red, green and blue larger together.
#
# S[a, b] is S[b, a]: S is symmetric. Linear algebra says that such a matrix can be written as follows. We use this without a proof.
#
# $$S = Q\;\text{diag}(\lambda_1, \lambda_2, \lambda_3)\;Q^T \qquad\qquad (3, 3)$$
#
# Here diag makes a matrix with these numbers on its diagonal and zeros elsewhere. A color has three numbers, so it is a point in space.
# Each **column** of Q is a direction in this space, an **eigenvector**. It has length 1 and is at right angles to the two others.
# $\lambda_i$ (read lambda) is its **eigenvalue**: the variance of the colors along this direction. Why? Let q be column i, and c the color
# of a pixel, as a column. How far c goes along q is the number $q^T c$. Its variance is the mean of $(q^T c)(c^T q)$. The mean of $c\,c^T$
# is S, so the variance is $q^T S\,q$. Put the equation above in the place of S. $Q^T q$ is 1 at place i and 0 elsewhere, because q has
# length 1 and is at right angles to the other columns. What is left is $\lambda_i$. So the standard deviation of the colors along q is
# $\sqrt{\lambda_i}$. To find Q and the eigenvalues is called principal component analysis, PCA.
#
# Now draw three independent numbers $\alpha_i$ (read alpha) with mean 0 and standard deviation 0.1, and add this color to all pixels of an
# image:
#
# $$\text{shift} = Q\,(\sqrt{\lambda_1}\,\alpha_1,\; \sqrt{\lambda_2}\,\alpha_2,\; \sqrt{\lambda_3}\,\alpha_3)^T \qquad\qquad (3,)$$
#
# What is the covariance matrix of the shifts? Call the bracket b, as a column. The covariance matrix of b is the mean of $b\,b^T$. The
# numbers of b are independent, with mean 0, so the mean of a product of two different ones is 0. What is left is the diagonal. There stand
# the variances, $(0.1 \sqrt{\lambda_i})^2 = 0.01\,\lambda_i$. The shift is Q b, and Q is a constant:
#
# $$\begin{array}{rll}
# \text{mean of } (Q\,b)(Q\,b)^T &= Q\;(\text{mean of } b\,b^T)\;Q^T & \quad (Q\,b)^T = b^T Q^T \text{, and Q is a constant} \\
# &= Q\;\text{diag}(0.01\,\lambda_1, 0.01\,\lambda_2, 0.01\,\lambda_3)\;Q^T & \quad \text{the covariance of } b \\
# &= 0.01\;S & \quad (3, 3)
# \end{array}$$
#
# Each standard deviation of the shifts is a tenth of that of the colors, along the same directions: large where the colors differ much, and
# small where they differ little. This is the idea: the light changes, the object stays.
#
# **The trap.** The paper writes $\alpha_i\,\lambda_i$, with $\lambda_i$ the eigenvalue. Look at the units. Pixels count gray levels. A
# variance counts *squared* gray levels, and must not be added to a pixel. The authors' program multiplies by the standard deviation. The
# three standard deviations that the authors published for the images of ImageNet are 121.8, 37.1 and 19.7. $\alpha$ has the standard
# deviation 0.1. So with the root, the shift along the first direction has the standard deviation 0.1 · 121.8. With the eigenvalue it would
# have 0.1 · 121.8², because the eigenvalue is the square:

# %%
say("with the root: 12.2 gray levels", value=0.1 * 121.78, within=0.05)
say("with the eigenvalue: 1,483 gray levels", value=0.1 * 121.78**2, within=0.5)
reveal("08-d")

# %% [markdown]
# Pixels go from 0 to 255. After the second shift nearly every image is black, or white, or of one pure color. Part 8 shows it.

# %% [markdown]
# ## 5. Twenty lines of your own
#
# Write `dropout(x, p, rng, train)`, which returns out and the mask, and `dropout_backward(dout, mask, p)`, which returns dx. Write the
# inverted form. p is the probability that a number is *dropped*. The mask holds True or 1 where a number is kept, and False or 0 where it
# is dropped; it is not divided by 1 - p. If train is False, out is a copy of x, and the mask holds True everywhere. Take all random numbers
# from `rng`, a NumPy generator. This is exercise **E10**, about 20 minutes. Then, in a cell of your own, write `from tinyalex import tutor`
# and ask `tutor.check("E10", dropout, dropout_backward)`. Do this before you open the next cell.


# %% tags=["solution", "exercise:E10"]
def dropout(x, p, rng, train):
    if not train:
        return x.copy(), np.ones(x.shape, bool)
    mask = rng.random(x.shape) >= p  # one draw for each number of each image
    return x * mask / (1 - p), mask


def dropout_backward(dout, mask, p):
    return dout * mask / (1 - p)


# %% [markdown]
# Here are pieces and color noise. They are no exercise. Say for each line of `axes_of` and `color_noise` which formula of 4.5 it is. Q of
# part 4.5 is called `directions`, and the roots of the eigenvalues are called `deviations`. NumPy's function `eigh` finds the eigenvalues
# of a symmetric matrix, and Q.


# %%
def crop_and_flip(images, size, tops, lefts, mirrored):
    """One piece of each image: it begins at line tops[n] and column lefts[n], and is mirrored where mirrored[n] is True."""
    out = np.stack([image[:, y : y + size, x : x + size] for image, y, x in zip(images, tops, lefts, strict=True)])
    out[mirrored] = out[mirrored, :, :, ::-1]
    return out


def axes_of(images):
    """The roots of the eigenvalues of 4.5, the largest first, and Q, its columns in the same order."""
    colors = images.transpose(1, 0, 2, 3).reshape(images.shape[1], -1)  # (C, all pixels)
    eigenvalues, directions = np.linalg.eigh(np.cov(colors, bias=True))  # the smallest first; bias=True: a plain mean over the pixels
    return np.sqrt(eigenvalues[::-1]), directions[:, ::-1]


def color_noise(images, deviations, directions, alpha):
    """The images, each with one color added. alpha (N, 3): three numbers for each image."""
    shift = (alpha * deviations) @ directions.T  # (N, 3): row n is Q times the bracket of image n
    return images + shift[:, :, None, None]


# %% [markdown]
# ## 6. Prove it
#
# **The backward pass**, with the measured slope of lesson 00. To measure one slope we call dropout twice. Both calls must draw the same
# mask, so each call gets a new generator with the same seed. p is not 0.5, because there p and 1 - p are the same number, and a mistake may
# hide.

# %%
rng = np.random.default_rng(8)
x, dout, p = rng.standard_normal((4, 7)), rng.standard_normal((4, 7)), 0.3


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


out, mask = dropout(x, p, np.random.default_rng(1), True)
measured = numerical_gradient(lambda x: (dout * dropout(x, p, np.random.default_rng(1), True)[0]).sum(), x, 1e-5)
assert np.abs(dropout_backward(dout, mask, p) - measured).max() < 1e-9
print(f"{(mask == 0).sum()} of {mask.size} numbers dropped; the backward pass agrees with the measured slopes")

# %% [markdown]
# **The average.** Many draws of a mask, with x = 1 everywhere. The mean of out must be what test time gives, 1.

# %%
many = dropout(np.ones((1, 200_000)), p, rng, True)[0]
say("mean of many draws: 1.00", value=many.mean(), within=0.01)
say("share of zeros: 30 %", value=(many == 0).mean(), within=0.01)

# %% [markdown]
# **All masks.** A hidden layer of 10 units has 1,024 masks. We take a random net with 5 classes and compute its answer with each of the
# masks. Then we compare the geometric mean of the answers with the halved net. The **arithmetic mean** is the ordinary one: the sum divided
# by n.

# %%
h = np.abs(rng.standard_normal(10)) * 2
weight, bias = rng.standard_normal((5, 10)), rng.standard_normal(5)
masks = (np.arange(1024)[:, None] >> np.arange(10)) & 1  # (1024, 10): the binary digits of 0 to 1023


def log_softmax(z):
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


answers = log_softmax((masks * h) @ weight.T + bias)  # (1024, 5): log p of each net
halved = np.exp(log_softmax(0.5 * h @ weight.T + bias))
geometric = np.exp(answers.mean(axis=0))
geometric /= geometric.sum()
arithmetic = np.exp(answers).mean(axis=0)
for name, values in (("geometric mean", geometric), ("halved net", halved), ("arithmetic mean", arithmetic)):
    print(f"{name:16}", *(f"{value:.4f}" for value in values))
assert np.abs(geometric - halved).max() < 1e-12
reveal("08-c")

fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for k, (name, values, color) in enumerate((("geometric mean of 1,024 nets", geometric, "#0072B2"), ("the halved net", halved, "#E69F00"),
                                           ("arithmetic mean", arithmetic, "#6E6E6E"))):  # fmt: skip
    ax.bar(np.arange(5) + 0.27 * (k - 1), values, 0.25, color=color, label=name)
ax.set(xlabel="class", ylabel="probability", xticks=range(5))
ax.legend(fontsize=9)
show(fig, alt="Bars of five probabilities. The geometric mean of 1,024 nets and the halved net have the same bars: 0.93 for class 3 and "
     "0.06 for class 4, and nearly 0 for the others. The arithmetic mean has 0.56 and 0.29, and 0.1 for class 1.")  # fmt: skip

# %% [markdown]
# With two hidden layers and a mask in each, the halved net is no longer exactly the geometric mean. Layers of 6 and 7 units have 64 and 128
# masks. Together this makes 64 · 128 = 8,192 nets. In the code `below` holds the outputs of the first layer, and `middle` the weights of
# the second. `first` and `second` are the masks of the two layers.

# %%
below, middle = np.abs(rng.standard_normal(6)) * 2, rng.standard_normal((7, 6))
first, second = (np.arange(64)[:, None] >> np.arange(6)) & 1, (np.arange(128)[:, None] >> np.arange(7)) & 1
hidden = np.maximum((first * below) @ middle.T, 0)  # (64, 7)
answers2 = log_softmax((hidden[:, None] * second) @ weight[:, :7].T + bias)  # (64, 128, 5)
geometric2 = np.exp(answers2.mean(axis=(0, 1)))
geometric2 /= geometric2.sum()
halved2 = np.exp(log_softmax(0.5 * np.maximum(0.5 * middle @ below, 0) @ weight[:, :7].T + bias))
print("geometric mean", np.round(geometric2, 3), "  halved net", np.round(halved2, 3))
say("two hidden layers: they differ by up to 0.06", value=np.abs(geometric2 - halved2).max(), within=0.01)

# %% [markdown]
# **The colors.** The covariance matrix of many shifts must be 0.01 S. We take the colors of 500 synthetic images, drawn by a program
# (lesson 01).

# %%
data = synthetic_dataset(500, 1000)
deviations, directions = axes_of(data.train_images)
S = np.cov(data.train_images.transpose(1, 0, 2, 3).reshape(3, -1), bias=True)
assert np.abs(directions * deviations**2 @ directions.T - S).max() < 1e-9 * S.max()  # S = Q diag(l) Q^T
shifts = color_noise(np.zeros((100_000, 3, 1, 1)), deviations, directions, 0.1 * rng.standard_normal((100_000, 3)))[:, :, 0, 0]
print(f"{data.note}; deviations along the axes:", np.round(deviations, 1))
print("covariance of the shifts, over 0.01 S:\n", np.round(np.cov(shifts.T) / (0.01 * S), 2))

# %% [markdown]
# ## 7. The same as the engine
#
# Dropout is the class `Dropout` in `tinyalex/layers/dropout.py`. With `scale="test"`, the default, it is the paper's form; with
# `scale="train"` it is ours. It has no rng: its masks depend on a seed, the layer's name and the step. So we ask it for the mask that it is
# going to use.

# %%
import tinyalex as ta

x, dout = rng.standard_normal((4, 7)), rng.standard_normal((4, 7))
for p in (0.5, 0.3):
    inverted, paper = (ta.Dropout(p, scale=scale, seed=3, dtype=np.float64) for scale in ("train", "test"))
    mask = inverted.mask(x.shape)
    assert np.abs(inverted.forward(x, train=True) - x * mask / (1 - p)).max() < 1e-12
    assert np.abs(inverted.backward(dout) - dropout_backward(dout, mask, p)).max() < 1e-12
    assert np.abs(inverted.forward(x) - dropout(x, p, rng, False)[0]).max() < 1e-12
    assert np.abs(paper.forward(x) - (1 - p) * x).max() < 1e-12
    print(f"p = {p}: forward and backward equal, to 1e-12; the engine's mask dropped {(~mask).sum()} of {mask.size}")

# %% [markdown]
# Pieces are `CropAndFlip` in `tinyalex/data/prepare.py`, and color noise is `color_axes` and `ColorNoise` in `tinyalex/data/color.py`. They
# draw their random numbers from a generator. For ours we draw the same numbers from a generator with the same seed. The engine also wants a
# function that makes floats of the images, here `as_floats`. Pixels of color noise are float32, so "equal" means there: to 1e-4 gray
# levels.


# %%
def as_floats(images, rng=None):
    return images.astype(np.float32)


some = data.train_images[:20]
theirs = ta.data.CropAndFlip(as_floats, 24)(some, np.random.default_rng(5))
draw = np.random.default_rng(5)
tops, lefts, mirrored = draw.integers(9, size=20), draw.integers(9, size=20), draw.random(20) < 0.5  # 9 places: 32 - 24 + 1
assert np.array_equal(theirs, crop_and_flip(some, 24, tops, lefts, mirrored))

their_deviations, their_directions = ta.data.color_axes(data.train_images)
assert np.abs(their_deviations - deviations).max() < 1e-9
assert np.abs(np.abs((their_directions * directions).sum(axis=0)) - 1).max() < 1e-9  # the same directions; an axis may point either way
theirs = ta.data.ColorNoise(as_floats, deviations, directions)(some, np.random.default_rng(6))
ours = color_noise(some, deviations, directions, 0.1 * np.random.default_rng(6).standard_normal((20, 3)))
assert np.abs(theirs - ours).max() < 1e-4
print("pieces, axes and color noise are equal to the engine's")

# %% [markdown]
# ## 8. Experiment
#
# ### What the net sees
#
# We take 500 synthetic training images, and 1,000 test images from which the net never learns. They are made smaller, 16 by 16 pixels, so
# that training takes seconds. Pieces have 14 by 14 pixels, so there are 3 · 3 · 2 = 18 of an image. Here are all pieces of one image. The
# two numbers above a piece are the line and the column at which it begins.


# %%
def smaller(images):
    return images.reshape(*images.shape[:2], 16, 2, 16, 2).mean(axis=(3, 5)).astype(np.float32)


train_images, train_labels = smaller(data.train_images), data.train_labels
test_images, test_labels = smaller(data.test_images), data.test_labels

fig, axes = plt.subplots(3, 6, figsize=(7, 3.8), layout="constrained")
for (y, column), ax in np.ndenumerate(axes):
    piece = crop_and_flip(train_images[8:9], 14, [y], [column % 3], np.array([column > 2]))[0]
    ax.imshow(piece.transpose(1, 2, 0) / 255)
    ax.set_title(f"{y}, {column % 3}" + (" mirrored" if column > 2 else ""), fontsize=9)
    ax.set_axis_off()
show(fig, alt="Eighteen pieces of 14 by 14 pixels of one synthetic image, a dark disk on a gray and green ground. From row to row the "
     "disk is a pixel higher, and in the left three columns a pixel further to the left each time. The right half shows the same pieces "
     "mirrored.")  # fmt: skip

# %% [markdown]
# And here is color noise, in three rows. In the first row the noise is right: the root of the eigenvalue times $\alpha$. The three numbers
# $\alpha$ stand above each picture. In the second row they are multiplied by the eigenvalue itself. In the third row each pixel has got
# random numbers of its own, and not one draw for the whole image. Pixels below 0 are drawn as 0, and pixels above 255 as 255.

# %%
alpha = 0.1 * np.array([[0, 0, 0], [2, 0, 0], [-2, 0, 0], [0, 2, 0], [0, 0, 2]])
noisy = [color_noise(train_images[8:9].repeat(5, axis=0), scale, directions, alpha) for scale in (deviations, deviations**2)]
every = 0.1 * rng.standard_normal((5, 3, 16, 16))  # a draw for every pixel of every image
every = every.transpose(0, 2, 3, 1) * deviations @ directions.T  # Q times the bracket of each pixel; the color is now the last axis
noisy.append(train_images[8] + every.transpose(0, 3, 1, 2))
fig, axes = plt.subplots(3, 5, figsize=(6, 3.9), layout="constrained")
for line, images, name in zip(axes, noisy, ("root", "eigenvalue", "every pixel"), strict=True):
    for ax, image, a in zip(line, images, alpha, strict=True):
        ax.imshow(image.clip(0, 255).transpose(1, 2, 0) / 255)
        ax.set(xticks=[], yticks=[])
        if name != "every pixel":
            ax.set_title("(" + ", ".join(f"{value:.1g}" for value in a) + ")", fontsize=9)
    line[0].set_ylabel(name, fontsize=10)
show(fig, alt="Three rows of five pictures of the disk. In the first row, with the root, the disk and its ground together become a "
     "little darker, lighter, greener or bluer. In the second, with the eigenvalue, the first picture is unchanged, and the others are "
     "black, white, bright green and bright blue. In the third, with a draw for every pixel, all five have the same light, and are a "
     "little more grainy.")  # fmt: skip

# %% [markdown]
# In the first two rows the first picture has no noise, so compare the others with it. 0.2 is two standard deviations of $\alpha$, and in
# the first row the change is still small. With (0.2, 0, 0) the image becomes darker, and with (-0.2, 0, 0) lighter. It could be the other
# way round, because an eigenvector may point either way. In the second row hardly anything is left of the disk.
#
# ### The gap
#
# The net has one hidden layer of 256 ReLUs. It is trained with the step of lesson 07, without weight decay, in batches of 50. The learning
# rate is 0.01, and 0.001 in the last quarter of the epochs. We train it in six ways: plain, with pieces, with pieces and reflections (some
# are mirrored), with color noise, with dropout in the hidden layer (p = 0.5), and with everything. Where no pieces are drawn, the net
# always sees the piece in the center. Plain means: this piece, and nothing else. Each way is tried with three seeds. In all six ways both
# errors are measured in the same manner: on the piece in the center, without a mask and without color noise.


# %%
SIDE, HIDDEN, EPOCHS = 14, 256, fast(100, 40)
mean = train_images.mean(axis=(0, 2, 3), keepdims=True)


def prepared(images):
    """Rows of numbers of about 1: the mean color is subtracted, and 50 gray levels become 1."""
    return ((images - mean) / 50).reshape(len(images), -1).astype(np.float32)


def center(images):
    return images[:, :, 1 : 1 + SIDE, 1 : 1 + SIDE]


def log_answers(params, pieces):
    """The logarithms of the probabilities, without dropout: (N, 10)."""
    w1, b1, w2, b2 = params
    return log_softmax(np.maximum(prepared(pieces) @ w1.T + b1, 0) @ w2.T + b2)


def error(answers, labels):
    """The share of images for which the class with the largest answer is not the label."""
    return (answers.argmax(axis=1) != labels).mean()


def train(pieces=False, mirror=False, color=False, p=0.0, seed=0):
    """The parameters, and the errors on training and test images after each epoch."""
    rng = np.random.default_rng(seed)
    # Weights of variance 2 / n, with n inputs, make the mean square of a sum twice that of the inputs, and a ReLU about halves it again.
    # 0.3 makes the first logits small, so that all classes are about equally likely at first.
    params = [np.sqrt(2 / (3 * SIDE**2)) * rng.standard_normal((HIDDEN, 3 * SIDE**2)), np.zeros(HIDDEN),
              0.3 * np.sqrt(2 / HIDDEN) * rng.standard_normal((10, HIDDEN)), np.zeros(10)]  # fmt: skip
    params = [q.astype(np.float32) for q in params]
    velocities, errors = [np.zeros_like(q) for q in params], []
    for epoch in range(EPOCHS):
        lr = 0.01 if epoch < EPOCHS * 3 // 4 else 0.001
        for chosen in rng.permutation(500).reshape(10, 50):
            images = train_images[chosen]
            if color:
                images = color_noise(images, deviations, directions, 0.1 * rng.standard_normal((50, 3)))
            tops, lefts = rng.integers(3, size=(2, 50)) if pieces else np.ones((2, 50), int)
            x = prepared(crop_and_flip(images, SIDE, tops, lefts, (rng.random(50) < 0.5) & mirror))
            w1, b1, w2, b2 = params
            h = np.maximum(x @ w1.T + b1, 0)
            out, mask = dropout(h, np.float32(p), rng, True)  # p = 0 drops nothing
            d = (np.exp(log_softmax(out @ w2.T + b2)) - np.eye(10, dtype=np.float32)[train_labels[chosen]]) / 50
            dh = dropout_backward(d @ w2, mask, np.float32(p)) * (h > 0)
            for q, g, v in zip(params, (dh.T @ x, dh.sum(axis=0), d.T @ out, d.sum(axis=0)), velocities, strict=True):  # lesson 07
                v *= 0.9
                v -= lr * g
                q += v
        errors.append([error(log_answers(params, center(i)), y) for i, y in ((train_images, train_labels), (test_images, test_labels))])
    return params, np.array(errors)


seeds = range(fast(3, 1))
ways = {"plain": {}, "pieces": {"pieces": True}, "pieces, mirrored": {"pieces": True, "mirror": True}, "color noise": {"color": True},
        "dropout": {"p": 0.5}, "everything": {"pieces": True, "mirror": True, "color": True, "p": 0.5}}  # fmt: skip
nets = {name: [train(**ways[name], seed=seed) for seed in seeds] for name in list(ways)[:3]}

# %%
nets |= {name: [train(**ways[name], seed=seed) for seed in seeds] for name in list(ways)[3:]}
last = {name: np.array([errors[-1] for _, errors in runs]) for name, runs in nets.items()}  # (seeds, 2)
for name, values in last.items():
    on_training, on_test = values.mean(axis=0)
    print(f"{name:17} training {on_training:5.1%}   test {on_test:5.1%}   gap {on_test - on_training:5.1%}")

# %%
fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for k, values in enumerate(last.values()):
    for offset, color, which in ((-0.2, "#E69F00", 0), (0.2, "#0072B2", 1)):
        bar = ax.bar(k + offset, 100 * values[:, which].mean(), 0.38, color=color, label=("training", "test")[which] if k == 0 else None)
        ax.bar_label(bar, [f"{100 * values[:, which].mean():.0f}"], fontsize=9, padding=6)
        ax.plot(np.full(len(values), k + offset), 100 * values[:, which], ".", color="black", markersize=4)
ax.set(xticks=range(6), ylabel="error, %", ylim=(0, 55), xlabel="trained with")
ax.set_xticklabels([name.replace(", ", ",\n") for name in last], fontsize=9)
ax.legend(fontsize=9)
show(fig, alt="Bars of training and test error for six ways of training, with three dots on each, one for each seed. The training errors "
     "are 0 %, but 3 % with everything. The test errors are 44 % plain, 37 % with pieces, 30 % with pieces and reflections, 43 "
     "% with color noise, 38 % with dropout, 27 % with everything. The dots of one bar lie within about 3 points of each "
     "other.")  # fmt: skip

# %% [markdown]
# (A black dot in the picture is one seed, a bar is the mean of the three.) Plain, the net knows all 500 labels by heart, and is wrong on
# 44 % of the test images. Pieces, reflections and dropout each make the test error smaller, and together they make it smallest. With
# everything the training error is 3 % in the end. This is a good sign: it has become harder to learn the 500 images by heart.
#
# Color noise changes hardly anything **here**. The synthetic objects have random colors already, so a color says nothing about the class.
# On photographs, says the paper, it "reduces the top-1 error rate by over 1%". The top-1 error is the error that we measure: the class with
# the largest probability is not the label.

# %%
errors_of = {name: float(values[:, 1].mean()) for name, values in last.items()}
say("test error, plain: 44 %", value=errors_of["plain"], within=0.03, full_only=True)
say("pieces and reflections: 30 %", value=errors_of["pieces, mirrored"], within=0.03, full_only=True)
say("dropout: 38 %", value=errors_of["dropout"], within=0.03, full_only=True)
say("everything: 27 %", value=errors_of["everything"], within=0.03, full_only=True)

fig, axes = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained", sharey=True)
for ax, name in zip(axes, ("plain", "everything"), strict=True):
    curves = nets[name][0][1]
    ax.plot(100 * curves[:, 1], color="#0072B2", linewidth=2, label="test")
    ax.plot(100 * curves[:, 0], "--", color="#E69F00", linewidth=2, label="training")
    ax.fill_between(np.arange(EPOCHS), 100 * curves[:, 0], 100 * curves[:, 1], color="#DDDDDD", label="gap")
    ax.set(xlabel="epoch", ylabel="error, %" if name == "plain" else "", ylim=(0, 90))
    ax.set_title(name, fontsize=11)
axes[0].legend(fontsize=9)
show(fig, alt="Training and test error over 100 epochs. Plain: the training error falls to 0 % within 12 epochs, and the test error stays "
     "near 45 % from epoch 30 on. With everything: both fall slowly and unevenly until epoch 80, to about 4 % and 27 %. The "
     "gray gap between the curves is about 45 points wide on the left and 23 on the right.")  # fmt: skip

# %% [markdown]
# (The picture shows the first of the three seeds.) Plain, hardly anything changes after 40 epochs: the training images are learned, and the
# gap stays. With everything both errors still fall after 70 epochs. At epoch 75 the learning rate becomes ten times smaller. The weights
# then move less from step to step, so the curves scatter less.
#
# The paper says that dropout "roughly doubles the number of iterations required to converge". How many epochs does our net need until the
# error on the training images is below 5 %? (In the paper an iteration is one step, and to converge means: to come to an end of learning.)

# %%
needed = {name: np.mean([np.argmax(errors[:, 0] < 0.05) + 1 for _, errors in nets[name]]) for name in ("plain", "dropout")}
print({name: round(float(value)) for name, value in needed.items()})
say("dropout needs 1.3 times as many epochs", value=needed["dropout"] / needed["plain"], within=0.2)

# %% [markdown]
# So this small net needs more epochs as well, but not twice as many.
#
# ### One net of the many, and all of them
#
# We take the net that was trained with dropout. With a random mask it is one of $2^{256}$ nets. Without a mask it is the geometric mean of
# all of them (4.3). Which is better? In the code h is multiplied by 2: this is the 1 / (1 - p) of the inverted form.

# %%
one, together = [], []
for (w1, b1, w2, b2), _ in nets["dropout"]:
    h = np.maximum(prepared(center(test_images)) @ w1.T + b1, 0)
    one += [error(2 * h * (rng.random(HIDDEN) < 0.5) @ w2.T + b2, test_labels) for _ in range(20)]
    together.append(error(h @ w2.T + b2, test_labels))
say("one net alone is wrong on 49 % of the test images", value=np.mean(one), within=0.03, full_only=True)
say("all of them together are wrong on 38 %", value=np.mean(together), within=0.03, full_only=True)

# %% [markdown]
# ### Ten views
#
# Section 4.1 averages the answers for ten pieces of a test image. In the paper this makes the top-1 error smaller: 37.5 % instead of
# 39.0 %.


# %%
def ten_views(params, images):
    answers = []
    for y, x in ((0, 0), (0, 2), (2, 0), (2, 2), (1, 1)):
        for mirrored in (False, True):
            n = len(images)
            pieces = crop_and_flip(images, SIDE, [y] * n, [x] * n, np.full(n, mirrored))
            answers.append(np.exp(log_answers(params, pieces)))
    return np.mean(answers, axis=0)  # the probabilities are averaged, not the logits


for name in ("plain", "pieces, mirrored"):
    center_error = np.mean([error(log_answers(params, center(test_images)), test_labels) for params, _ in nets[name]])
    ten_error = np.mean([error(ten_views(params, test_images), test_labels) for params, _ in nets[name]])
    print(f"{name}: center {center_error:.1%}, ten views {ten_error:.1%}")
say("ten views of the last net: 29 %", value=ten_error, within=0.03, full_only=True)

# %% [markdown]
# The error of the net that was trained on pieces and reflections falls by about one percentage point, a little less than in the paper. The
# plain net gains nothing. While training it has seen only centers of images, and no mirrored ones.

# %% [markdown]
# ## 9. What people get wrong
#
# The counts come from 140 public solutions of the assignment of one well-known course, not a random sample. 118 of them have written
# dropout. We called them with p = 0.25. In 99 of them the average while training is what test time gives. The other 19:
#
# - **Not scaled at all: 7.** The next layer then sees other sums at test time than while training.
# - **Normal noise instead of uniform noise: 5.** The probability of `rng.normal() < p` is not p.
# - **Scaled by the other probability: 4.** They divide by p where 1 - p belongs. At p = 0.5 nobody can see it.
# - **Scaled again at test time: 3.** They divide by 1 - p while training *and* multiply by it at test time.
#
# At p = 0.5, the value of the paper, 5 of the 19 are right, among them the 4 with the other probability. So a test with this value does
# not see them. And among the 99 are two who draw **one mask for the whole batch**; the mask of one of these two **never drops** anything.

# %%
p, many = 0.25, rng.random((4, 100_000))
normal = rng.standard_normal(100_000)
wrong = {"not scaled": (many[0] >= p).mean(), "normal noise": (normal >= p).mean() / (1 - p),
         "the other probability": (many[1] >= p).mean() / p, "scaled again": (many[2] >= p).mean() / (1 - p) / (1 - p)}  # fmt: skip
print("p = 0.25, x = 1: training over test, where 1 is right:", {name: round(float(value), 2) for name, value in wrong.items()})

# %% [markdown]
# **Another mask in the backward pass.** Then some units that were dropped get a gradient, and some that were kept get none. The gradient
# check of part 6 sees it. How many of the gradients go to a unit that was dropped?

# %%
forward, backward = many[0] >= p, many[1] >= p
say("25 % of the gradients go to a dropped unit", value=(backward & ~forward).sum() / backward.sum(), within=0.01)

# %% [markdown]
# **"A layer of n units has 2n dropout nets"** (an article on AlexNet). It has $2^n$. The article has lost the small raised n.

# %%
say("ten units: 1,024 nets", value=len(masks), within=0)

# %% [markdown]
# **"Test time gives the mean of the nets' answers."** It gives the geometric mean, not the ordinary one, and exactly so with one hidden
# layer only. In part 6 the two means were far apart. Class 3 had the largest probability.

# %%
say("the arithmetic mean is smaller by 0.37 for this class", value=geometric[3] - arithmetic[3], within=0.01)

# %% [markdown]
# **The eigenvalue for its root.** See 4.5. The paper's text itself says eigenvalue, and the authors' program has the standard deviation. In
# some libraries pixels go from 0 to 1, and their eigenvalues belong to such pixels: 0.2175 is the largest. Its root is 0.466, and the
# program's 121.8 divided by 255 is 0.478: nearly the same. But these libraries multiply by 0.2175 and not by its root, so their noise is
# less than half of the program's.

# %%
say("the libraries' noise is 0.46 of the program's", value=0.2175 * 255 / 121.78, within=0.005)

# %% [markdown]
# **A color for every pixel.** Then each pixel changes in its own way, and the light of the whole image stays the same. The paper says that
# each $\alpha$ is drawn once for all pixels of an image. Here is how the mean of red over all pixels changes, for the last four pictures of
# the rows in part 8:

# %%
per_pixel = noisy[2][1:] - train_images[8]
print("a draw for every pixel:", np.round(per_pixel[:, 0].mean(axis=(1, 2)), 1))
print("one draw for the image:", np.round((noisy[0][1:] - train_images[8])[:, 0].mean(axis=(1, 2)), 1))

# %% [markdown]
# **Rows for columns** (a library had it: albumentations-team/albumentations#925). The eigenvectors are the columns of Q, as NumPy gives
# them. With the transpose the noise has the right size, and wrong colors. These are the axes that the authors published for ImageNet, the
# largest deviation first. An axis may point either way, so we may turn the sign of a whole column or row: we print what is easier to read.

# %%
imagenet = np.array([[-0.5635, -0.7126, 0.4180], [-0.5762, -0.0235, -0.8170], [-0.5920, 0.7012, 0.3973]])
print("first column:", np.round(-imagenet[:, 0], 2), "  red, green and blue together: more light or less")
print("first row:   ", np.round(-imagenet[0], 2), "  red and green against blue")

# %% [markdown]
# **"The training set is made larger once, before training"**, such as doubled by mirrored copies. The paper stores no copies: each time
# that an image is used, a new piece, a new reflection and a new color are drawn. In part 8 an image has 18 pieces. How many of them does
# the net see in 100 epochs?

# %%
pieces_seen = {(y, column, mirrored) for y, column, mirrored in rng.integers((3, 3, 2), size=(100, 3)).tolist()}
say("drawn anew in each epoch: 18 pieces", value=len(pieces_seen), within=1)

# %% [markdown]
# **"2048 pieces."** The paper's own mistake: from 0 to 32 there are 33 places. The program of 2012 draws from 33.
#
# **The training error is measured with a mask.** While training, a mask is drawn for every image, so this is the error of other, weaker
# nets: in part 8 one net alone was wrong on 49 % of the test images, and all together on 38 %. Measure the training error without a mask,
# as we did, before you compare it with the test error.
#
# More of them stand in `lessons/MISCONCEPTIONS.md`.
#
# ### Summary
#
# A large net can learn its training images by heart. Pieces, reflections and color noise make new images that keep their label. Dropout
# sets outputs to 0 with probability p, and its gradient goes through the same mask. With one hidden layer, the halved net is exactly the
# geometric mean of all nets with a mask. Color noise goes along the eigenvectors of the colors, with the roots of the eigenvalues.
#
# ### Read on
#
# - The engine: `Dropout` in `tinyalex/layers/dropout.py`, `CropAndFlip` in `tinyalex/data/prepare.py`, `ColorNoise` in
#   `tinyalex/data/color.py`; `Crops` in `tinyalex/data/augment.py`, which does all of section 4.1 to photographs of 256 by 256 pixels, and
#   its ten views.
# - Exercise: `tutor.check("E10", dropout, dropout_backward)`, 20 minutes.
# - Next: lesson 09, AlexNet whole. It needs lessons 03 to 05 too.
#
# Two questions to write about, a few sentences each:
#
# 1. A net has to read digits. Which of the four ways (pieces, reflections, color noise, dropout) would you use, and which one would do
#    harm?
# 2. A test of dropout compares out with a stored array, for one seed. Why do right programs fail this test? Write down three numbers that
#    the test could check instead.
