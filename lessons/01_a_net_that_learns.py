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
# # 01  A neuron, and a net that learns
#
# Paper section 3.1, about 75 minutes, needs lesson 00, holds exercise E02.
#
# Afterwards you can write a small net that learns, with all its slopes derived and proved, and you can say why a saturated neuron stops
# learning.

# %%
import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import fast, say, show

# %% [markdown]
# ## 1. The paper's sentence
#
# > "In terms of training time with gradient descent, these saturating nonlinearities are much slower than the
# > non-saturating nonlinearity f(x) = max(0, x)."
#
# (Section 3.1.) "These" are tanh(x) and $(1 + e^{-x})^{-1}$, which is called the **sigmoid**. The function max(0, x) is called **ReLU**,
# for rectified linear unit. A nonlinearity is a function that is not a straight line.
#
# A **neuron** adds up what comes in, each number times a weight of its own, and applies one of these functions to the sum. **Gradient
# descent** means: change every weight a little against its slope, so that the loss falls. (Against its slope: the weight becomes smaller if
# the slope is positive, and larger if it is negative.) A function **saturates** if it becomes flat far from 0 on both sides; ReLU is flat
# on the left only. A neuron is **saturated** if its sum lies where f is flat. In this lesson we derive the slopes of the three functions,
# build a net from neurons, and let it learn.

# %% [markdown]
# ## 2. Predict
#
# Run the cells, and replace each guess by your own before you read on. You need three things for the questions.
#
# - The **standard deviation** says how far numbers spread round their mean: most of them are not further from it than two standard
#   deviations. Random numbers from a **normal distribution** lie on both sides of their mean in the same way, most of them near it and few
#   far from it. `rng.standard_normal` in the code makes such numbers with mean 0 and standard deviation 1.
# - A **class** is a kind of image, such as "disk" or "star". The net gives each class a probability. The **loss** of an image is
#   $-\log p$, where p is the probability of the class that is right and log is the natural logarithm.
# - In a chain of 8 sigmoids each one reads the output of the one before it. By lesson 00 the slope of the chain is the product of 8 slopes.

# %% tags=["predict"]
predict("01-a", 10)

# %% tags=["predict"]
predict("01-b", 0)

# %% tags=["predict"]
predict("01-c", 8)

# %% [markdown]
# ## 3. The equation
#
# | name | shape | what it is |
# |---|---|---|
# | x | (N, C) | N images, each written as one row of C numbers |
# | weight | (K, C) | K neurons; each has a weight for each of the C numbers |
# | bias | (K,) | one number for each neuron, added to its sum |
# | a | (N, K) | the sum of each neuron, for each image |
# | out | (N, K) | f(a), for each element of a |
#
# Small letters are places: image n, input c, neuron k. All start at 0. A **layer** of K neurons computes
#
# $$\begin{array}{rll}
# \text{a}[n,k] &= \text{bias}[k] + \sum_{c} \text{x}[n,c]\;\text{weight}[k,c] & \quad (N, K) \\
# \text{out}[n,k] &= f(\text{a}[n,k]) & \quad (N, K)
# \end{array}$$
#
# The first line is a product of matrices. In such a product the sum runs over the second letter of the left factor and the first letter of
# the right one. In weight, c is the second letter, so we turn the rows of weight into columns. This is called the transpose, and it is
# written with a T: $a = x\;\text{weight}^T + \text{bias}$. In NumPy: `x @ weight.T + bias`.
#
# The function f is one of the three, and it is applied to each element. Without f two layers would be no better than one: each output of
# the second layer would again be a sum of the inputs, each times a fixed number. One layer can compute this, too.


# %%
def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


place = np.linspace(-5, 5, 401)
curves = {"sigmoid": sigmoid(place), "tanh": np.tanh(place), "ReLU": relu(place)}

# %% [markdown]
# ### From sums to a loss
#
# The net must choose among K classes. Its last layer has K neurons without f. Their sums are called **scores**, here with the letter z;
# the engine calls them logits. The larger the score of class k, the more the net believes in class k. **Softmax** turns the K scores of an
# image into probabilities: numbers above 0 whose sum is 1. The sum in the formula goes over all classes i.
#
# $$p_k = \frac{e^{z_k}}{\sum_i e^{z_i}}$$
#
# Let label be the number of the class that is right. The loss of the image is $-\log p_{\text{label}}$, with the natural logarithm. If the
# net is sure and right, $p_{\text{label}}$ is nearly 1 and the loss is nearly 0. If $p_{\text{label}}$ is small, the loss is large. The
# loss L of a batch is the mean over its N images. In the code, `scores` has the shape (N, K) and `labels` the shape (N,).
#
# Before a net has learned anything its weights are small, and so its scores are all nearly 0. Then each p is about 1/K.

# %%
say("with ten classes the loss then is 2.303", value=-np.log(1 / 10), within=0.0005)
reveal("01-b")


# %%
def softmax(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))  # the same p, and no overflow: see lesson 06
    return e / e.sum(axis=1, keepdims=True)


def loss(scores, labels):
    return -np.log(softmax(scores)[np.arange(len(labels)), labels]).mean()  # in the row of each image, the column of its label


# %% [markdown]
# ## 4. The derivation
#
# ### 4.1 The slopes of the three functions
#
# **ReLU.** On the right of 0 it is x, with slope 1. On the left it is 0, with slope 0. At 0 it has a kink (lesson 00, 4.5). In the words
# of the engine's docstring: *f'(x) = 1 for x > 0 and 0 for x < 0; at the kink x = 0 it is taken as 0.*
#
# **Sigmoid.** Let u = 1 + $e^{-x}$. Then f = 1/u. The slope of 1/u with respect to u is $-1/u^2$, and the slope of u with respect to x is
# $-e^{-x}$. Along a chain slopes multiply:
#
# $$\begin{array}{rll}
# f'(x) &= \frac{e^{-x}}{(1 + e^{-x})^2} & \quad \text{the two signs cancel} \\
# &= \frac{1}{1 + e^{-x}} \cdot \frac{e^{-x}}{1 + e^{-x}} & \quad \text{the second factor is } 1 - f(x) \\
# f'(x) &= f(x)\,(1 - f(x)) &
# \end{array}$$
#
# The second factor is 1 - f(x), because $1 - \frac{1}{1 + e^{-x}} = \frac{e^{-x}}{1 + e^{-x}}$. How large can f (1 - f) become? It is
# equal to $\frac{1}{4} - (f - \frac{1}{2})^2$: multiply out to see it. So the slope is **at most 1/4**, where f = 1/2, at x = 0.
#
# **tanh.** Let $m = e^x - e^{-x}$ and $s = e^x + e^{-x}$. Then tanh(x) = m/s: this is what tanh means. The slope of m is s, and the slope
# of s is m. The quotient rule of school says that m/s has the slope $(m' s - m s') / s^2$. So
#
# $$\begin{array}{rll}
# f'(x) &= \frac{s \cdot s - m \cdot m}{s^2} & \quad \text{quotient rule} \\
# &= 1 - \tanh(x)^2 & \quad \text{because } m / s = \tanh(x)
# \end{array}$$
#
# The engine's tanh has two settings, f(x) = a tanh(b x). (Only here a and b are settings. Everywhere else a is the sum of a neuron.) By the
# chain rule $f'(x) = a b\,(1 - \tanh(b x)^2)$. Put f(x)/a for tanh(b x), and this is $a b - (b / a)\,f(x)^2$. With a = b = 1 it is our
# line.
#
# All three slopes can be computed from out = f(x), without x. For ReLU, x > 0 is the same as out > 0. So for the way back through f it is
# enough to keep out.

# %%
fig, axes = plt.subplots(2, 3, figsize=(7, 4), layout="constrained", sharex=True, sharey="row")
slopes = {"sigmoid": sigmoid(place) * (1 - sigmoid(place)), "tanh": 1 - np.tanh(place) ** 2, "ReLU": np.where(place > 0, 1.0, 0.0)}
for (above, below), name in zip(axes.T, curves, strict=True):
    above.plot(place, curves[name], color="#0072B2")
    above.set(title=name, ylim=(-1.2, 3))
    below.plot(place, slopes[name], color="#C04A00")
    below.set(xlabel="x", ylim=(-0.05, 1.1))
axes[0, 0].set_ylabel("f(x)")
axes[1, 0].set_ylabel("slope f'(x)")
show(fig, alt="Three functions from x = -5 to 5 above, their slopes below. The sigmoid rises from 0 to 1, its slope is a low hill of "
     "height 0.25 at x = 0. tanh rises from -1 to 1, its slope is a narrow hill of height 1. Both are nearly flat at the two "
     "ends, and their slopes are nearly 0 there. ReLU is 0 on the left and x on the right, where it leaves the drawing at 3. "
     "Its slope jumps from 0 to 1.")  # fmt: skip

# %% [markdown]
# Here you see what **saturating** means: where x is above 4 or below -4, sigmoid and tanh hardly change. ReLU's slope on the right is 1
# everywhere.
#
# ### 4.2 Back through f
#
# Let dout be the gradient of L with respect to out = f(x). Each element of x moves the same element of out, and no other. So the chain
# rule of lesson 00, dx = du g'(x), holds for each element:
#
# $$\text{dx} = \text{dout} \cdot f'(x) \qquad\qquad \text{element by element}$$
#
# In a layer, f reads the sums a. There the same line is da = dout · f'(a).
#
# ### 4.3 Back through the sums, to the weights
#
# Let da be the gradient of L with respect to a. Look at weight[k, c]. It is used in a[n, k], for every image n, and there it is
# multiplied by x[n, c]. So if it moves by a small $\Delta$, then a[n, k] moves by x[n, c] $\Delta$, for every n. Small changes add
# (lesson 00, 4.3): L moves by the sum of da[n, k] x[n, c] $\Delta$ over all n. Divide by $\Delta$:
#
# $$\begin{array}{rll}
# \text{dweight}[k,c] &= \sum_{n} \text{da}[n,k]\;\text{x}[n,c] & \quad (K, C) \\
# \text{dbias}[k] &= \sum_{n} \text{da}[n,k] & \quad (K,)
# \end{array}$$
#
# The bias is not multiplied by anything: if it moves by $\Delta$, then a[n, k] moves by $\Delta$. So 1 stands in the place of x[n, c]. As a
# matrix product the first line is $\text{dweight} = \text{da}^T\;x$: the sum runs over n, the second letter of $\text{da}^T$ and the first
# letter of x.
#
# ### 4.4 The loss
#
# For one image: the logarithm of a quotient is a difference of logarithms, and $\log(e^z) = z$. So
#
# $$-\log p_{\text{label}} = \log \sum_i e^{z_i} - z_{\text{label}}$$
#
# Move the score $z_j$. The slope of log u is 1/u. So in the first term the chain rule gives 1 over the sum, times $e^{z_j}$. This is $p_j$.
# The second term has slope 1 if j is the label, and 0 otherwise; we write [j = label] for this. With d/d$z_j$ for the slope with respect
# to $z_j$, as in the docstring of `tinyalex/loss.py`:
#
# $$\frac{d}{d z_j} \left( \log \sum_i e^{z_i} - z_{\text{label}} \right) = p_j - [j = \text{label}]
# \qquad\qquad \text{the mean divides this by } N$$
#
# In words: what the net said, minus what is true. For all images and scores together we write dz; in the code it is called `dscores`.
# Lesson 06 looks at it more closely.
#
# ### 4.5 A layer before the last one
#
# Now a net of two layers. The first has M neurons with ReLU, the weights w1 (M, C) and the bias b1 (M,). These neurons are called
# **hidden**, because nobody says what their outputs should be. The second layer has K neurons, the weights w2 (K, M) and the bias b2 (K,).
# It reads the outputs of the hidden neurons, an array of the shape (N, M), which we call hidden:
#
# $$\text{z}[n,k] = \text{b2}[k] + \sum_{m} \text{hidden}[n,m]\;\text{w2}[k,m] \qquad\qquad (N, K)$$
#
# Where is hidden[n, m] used? In z[n, k] for **every** k, and there it is multiplied by w2[k, m]. Again small changes add, this time over k:
#
# $$\text{dhidden}[n,m] = \sum_{k} \text{dz}[n,k]\;\text{w2}[k,m] \qquad\qquad (N, M)$$
#
# As a matrix product this is dhidden = dz w2: (N, K) (K, M) = (N, M). Lesson 02 takes its time for this rule. Then 4.2 brings us from
# hidden to the sums of the first layer, and 4.3 brings us to its weights.
#
# ### 4.6 The step
#
# All gradients are known. Change each weight against its slope, with a small factor, the **rate**:
#
# $$\text{weight} \leftarrow \text{weight} - \text{rate} \cdot \text{dweight}$$
#
# Why does the loss fall? Small changes add:
# $\Delta L \approx \sum \text{dweight}\;\Delta\text{weight} = -\,\text{rate} \sum \text{dweight}^2$. A sum of squares is never negative.
# If the rate is small enough, the loss falls. How small that is must be tried.

# %% [markdown]
# ## 5. Twenty lines of your own
#
# Write `relu_backward(dout, x)` and `tanh_backward(dout, out)`. The first takes the *input* of the forward pass, the second its *output*.
# Both return dx, a new array of the shape of dout, and leave their arguments as they are. This is exercise **E02**, about 15 minutes. Ask
# `tutor.check("E02", relu_backward, tanh_backward)` in a cell of your own, with `from tinyalex import tutor` in its first line, before you
# open the next cell.


# %% tags=["solution", "exercise:E02"]
def relu_backward(dout, x):
    return np.where(x > 0, dout, 0.0)


def tanh_backward(dout, out):
    return dout * (1 - out**2)


# %% [markdown]
# With this the whole net is twenty lines. Compare each line with its place in part 4. The first net has one layer, the second one has a
# hidden layer, too. `one_layer` and `two_layers` return the scores. The functions with `gradients` in their names return one gradient for
# each parameter, in the order of the parameters. (The **parameters** of a net are its weights and its biases.)


# %%
def dscores_of(scores, labels):  # 4.4
    dscores = softmax(scores)
    dscores[np.arange(len(labels)), labels] -= 1  # [j = label]
    return dscores / len(labels)


def one_layer(x, weight, bias):
    return x @ weight.T + bias


def one_layer_gradients(x, labels, weight, bias):
    dscores = dscores_of(one_layer(x, weight, bias), labels)
    return dscores.T @ x, dscores.sum(axis=0)  # 4.3


def two_layers(x, w1, b1, w2, b2):
    return relu(x @ w1.T + b1) @ w2.T + b2


def two_layers_gradients(x, labels, w1, b1, w2, b2):
    a = x @ w1.T + b1
    hidden = relu(a)
    dscores = dscores_of(hidden @ w2.T + b2, labels)
    dhidden = dscores @ w2  # 4.5
    da = relu_backward(dhidden, a)  # 4.2
    return da.T @ x, da.sum(axis=0), dscores.T @ hidden, dscores.sum(axis=0)


# %% [markdown]
# ## 6. Prove it
#
# `numerical_gradient` of lesson 00 wants a function with one number as its result. ReLU has many outputs. So we take L = the sum of out
# times dout, with random numbers in dout. The gradient of this L with respect to out is dout: each element of out is multiplied by its
# element of dout. The engine calls such factors the **cotangent**. Why is dout not full of ones? A backward pass that forgets to multiply
# by dout is right for ones, and for nothing else.
#
# ReLU has a kink at 0, so no element of x may be nearer to 0 than the step.


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


def error(a, n):
    size = max(np.abs(a).max(), np.abs(n).max())
    return np.abs(a - n).max() / size if size > 0 else np.inf


rng = np.random.default_rng(1)
x = rng.uniform(0.1, 2, (3, 5)) * rng.choice([-1, 1], (3, 5))  # at least 0.1 away from the kink
dout = rng.standard_normal(x.shape)
assert error(relu_backward(dout, x), numerical_gradient(lambda x: (dout * relu(x)).sum(), x, 1e-5)) < 1e-8
assert error(tanh_backward(dout, np.tanh(x)), numerical_gradient(lambda x: (dout * np.tanh(x)).sum(), x, 1e-5)) < 1e-8
s = sigmoid(x)
assert error(dout * s * (1 - s), numerical_gradient(lambda x: (dout * sigmoid(x)).sum(), x, 1e-5)) < 1e-8
print("ReLU, tanh and sigmoid: derived and measured slopes agree to eight digits")

# %% [markdown]
# Then we check every parameter of the two nets, with N = 5 images of C = 7 numbers, M = 6 hidden neurons and K = 4 classes. No two sizes
# are equal, because equal sizes hide mistakes: with M = C you could mix up w1 and its transpose. `numerical_gradient` moves the elements
# of the parameter `value` itself, and `params` holds the same array. So the function of the check need not look at its argument, `_`.

# %%
N, C, M, K = 5, 7, 6, 4
x, labels = rng.standard_normal((N, C)), rng.integers(0, K, N)
one = {"weight": rng.standard_normal((K, C)), "bias": rng.standard_normal(K)}
two = {"w1": rng.standard_normal((M, C)), "b1": rng.standard_normal(M), "w2": rng.standard_normal((K, M)), "b2": rng.standard_normal(K)}
nets = (one_layer, one_layer_gradients, one), (two_layers, two_layers_gradients, two)
for net, gradients, params in nets:
    for (name, value), derived in zip(params.items(), gradients(x, labels, *params.values()), strict=True):
        measured = numerical_gradient(lambda _, net=net, params=params: loss(net(x, *params.values()), labels), value, 1e-5)
        assert error(derived, measured) < 1e-7
        print(f"{net.__name__}: d{name} {derived.shape} agrees with the measured slopes")

# %% [markdown]
# A check must be able to fail. Here the slope of ReLU is forgotten on the way back:

# %%
wrong = (dscores_of(two_layers(x, *two.values()), labels) @ two["w2"]).T @ x
measured = numerical_gradient(lambda _: loss(two_layers(x, *two.values()), labels), two["w1"], 1e-5)
assert error(wrong, measured) > 1e-6
print(f"dw1 without the slope of ReLU: error {error(wrong, measured):.1g}")

# %% [markdown]
# ## 7. The same as the engine
#
# The engine's classes are `ReLU`, `Tanh` and `Sigmoid` in `tinyalex/layers/activation.py` and `SoftmaxCrossEntropy` in `tinyalex/loss.py`.
# `forward(..., train=True)` returns the output and keeps what `backward` needs; `backward(dout)` returns dx. The loss comes last, so its
# `backward()` takes nothing: nothing arrives there. The engine computes in float32 if we do not ask for float64.

# %%
from tinyalex.layers.activation import ReLU, Sigmoid, Tanh
from tinyalex.loss import SoftmaxCrossEntropy

values, dout = rng.standard_normal((3, 5)), rng.standard_normal((3, 5))
s, t = sigmoid(values), np.tanh(values)
ours = ((ReLU, relu(values), relu_backward(dout, values)), (Tanh, t, tanh_backward(dout, t)), (Sigmoid, s, dout * s * (1 - s)))
for layer_class, out, dx in ours:
    layer = layer_class(dtype=np.float64)
    assert np.abs(out - layer.forward(values, train=True)).max() < 1e-12
    assert np.abs(dx - layer.backward(dout)).max() < 1e-12
    print(f"{layer_class.__name__}: forward and backward equal, to 1e-12")

scores, theirs = two_layers(x, *two.values()), SoftmaxCrossEntropy(dtype=np.float64)
assert abs(loss(scores, labels) - theirs.forward(scores, labels, train=True)) < 1e-12
assert np.abs(dscores_of(scores, labels) - theirs.backward()).max() < 1e-12
print("SoftmaxCrossEntropy: loss and gradient equal, to 1e-12")

# %% [markdown]
# ## 8. Experiment
#
# ### A net that learns
#
# The images are **synthetic**: drawn by a program, with shapes of ten classes in random colors and places, with bars and noise over them.
# They come from the engine's `synthetic_dataset`. No photograph is among them. The array of N images has the shape (N, 3, 32, 32): three
# colors, 32 rows and 32 columns of pixels, with numbers from 0 to 255. To save time we make the images smaller, 16 by 16 pixels, and bring
# the numbers from 0...255 to -1...1. Then each image is a row of 3 · 16 · 16 = 768 numbers.

# %%
from tinyalex.data.synthetic import CLASSES, synthetic_dataset

data = synthetic_dataset(fast(4000, 500), fast(1000, 200))


def rows_of(images):
    small = images.reshape(len(images), 3, 16, 2, 16, 2).mean(axis=(3, 5))  # each pixel is the mean of 2 by 2 pixels
    return small.reshape(len(images), -1) / 127.5 - 1


x, labels = rows_of(data.train_images), data.train_labels
x_test, labels_test = rows_of(data.test_images), data.test_labels
print("x", x.shape, "  test", x_test.shape)

fig, axes = plt.subplots(2, 5, figsize=(6, 2.9), layout="constrained")
for k, ax in enumerate(axes.flat):
    first = np.flatnonzero(labels == k)[0]
    ax.imshow((x[first].reshape(3, 16, 16).transpose(1, 2, 0) + 1) / 2)
    ax.set_title(CLASSES[k], fontsize=10)
    ax.set_axis_off()
show(fig, alt="Ten small synthetic images of 16 by 16 pixels, one for each class: disk, ring, square, triangle, cross, stripes, checks, "
     "crescent, star and corner, in random colors on colored ground with noise. A straight bar of another color crosses six of "
     "them, such as the ring and the triangle. The star and the stripes are hard to see.")  # fmt: skip

# %% [markdown]
# The net learns from the **training images**. The **test images** are others, which it has never seen. One **epoch** goes through all
# training images once, in random order, in batches of 50. Both nets learn by the same ten lines. The weights begin as small random numbers:
# if all hidden neurons began alike, they would all get the same gradient and stay alike. The weights of a hidden neuron get the standard
# deviation $\sqrt{2/C}$. The reason stands below, where we ask how far a slope reaches.


# %%
def right(net, params, x, labels):
    return float((net(x, *params).argmax(axis=1) == labels).mean())


def learn(net, gradients, params, rate, epochs, seed):
    order, losses = np.random.default_rng(seed), [loss(net(x, *params), labels)]
    for _ in range(epochs):
        shuffled = order.permutation(len(x))
        for start in range(0, len(x), 50):
            batch = shuffled[start : start + 50]
            for param, slope in zip(params, gradients(x[batch], labels[batch], *params), strict=True):
                param -= rate * slope  # 4.6
        losses.append(loss(net(x, *params), labels))
    return losses


C, M, K = x.shape[1], 100, 10
one = [0.01 * rng.standard_normal((K, C)), np.zeros(K)]
two = [(2 / C) ** 0.5 * rng.standard_normal((M, C)), np.zeros(M), 0.01 * rng.standard_normal((K, M)), np.zeros(K)]
epochs = fast(20, 6)
one_losses = learn(one_layer, one_layer_gradients, one, 0.05, epochs, seed=2)
two_losses = learn(two_layers, two_layers_gradients, two, 0.05, epochs, seed=2)
say("before the first step the loss is about 2.30", value=two_losses[0], within=0.05)

fig, ax = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
ax.axhline(np.log(10), color="black", linestyle=":", label="ln 10: knows nothing")
ax.plot(one_losses, color="#E69F00", marker="s", markersize=4, label="one layer")
ax.plot(two_losses, color="#0072B2", marker="o", markersize=4, label="100 hidden neurons")
ax.set(xlabel="epoch", ylabel="loss on the training images", ylim=(0, 2.6), xticks=range(0, epochs + 1, 5))
ax.legend(fontsize=9)
show(fig, alt="Training loss over 20 epochs on synthetic images. Both nets begin at 2.3, on the dotted line of ln 10. One layer falls "
     "slowly, on a nearly straight line, to about 2.1. The net with 100 hidden neurons falls to 1.5 at epoch 5, to 1.0 at "
     "epoch 8 and to about 0.4 in the end.")  # fmt: skip

# %%
for name, net, params in (("one layer", one_layer, one), ("100 hidden neurons", two_layers, two)):
    shares = right(net, params, x, labels), right(net, params, x_test, labels_test)
    print(f"{name}: {shares[0]:.0%} of the training images right, {shares[1]:.0%} of the test images")

# %%
say("one layer: about 14 % of the test images are right", value=right(one_layer, one, x_test, labels_test), within=0.03, full_only=True)
say("with hidden neurons: about 82 %", value=right(two_layers, two, x_test, labels_test), within=0.05, full_only=True)

# %% [markdown]
# Guessing gives 10 %. One layer is hardly better on the test images. (On the training images it is better. Each of its neurons has 768
# weights, and with so many it can learn a part of these images by heart, with their noise. This does not help with other images.) Why is
# one layer so bad? Each of its neurons holds a picture of its class, and measures how well the image fits. But in these images color and
# position do not show the class, and half of the shapes are darker than the ground and half are lighter. The mean over many such images is
# gray. Here are the pictures that the ten neurons have learned. Gray is a weight of 0:

# %%
fig, axes = plt.subplots(2, 5, figsize=(6, 2.9), layout="constrained")
for k, ax in enumerate(axes.flat):
    picture = one[0][k].reshape(3, 16, 16).transpose(1, 2, 0)
    ax.imshow(0.5 + picture / (2 * np.abs(one[0]).max()))
    ax.set_title(CLASSES[k], fontsize=10)
    ax.set_axis_off()
show(fig, alt="The weights of the ten neurons of the net with one layer, drawn as color images of 16 by 16 pixels, with the names of the "
     "classes. All ten look like colored noise on gray; no disk, ring or star can be seen in them.")  # fmt: skip

# %% [markdown]
# No shape can be seen in them: they are mostly noise. With hidden neurons the net has a way out. The output of a hidden neuron can be large
# where there is an edge, and the second layer can put many such answers together. Nobody told the hidden neurons what to look for. The
# steps against the slopes found it.
#
# ### How far does a slope reach?
#
# Now a deep net: 8 layers of 100 neurons. Send 200 random images forward, send a random gradient back, and look how large it is after each
# layer. The size of a gradient is the root of the sum of its squares (`np.linalg.norm`), here divided by the size at the beginning. The
# weights are the same for all three functions, only f differs. Going back through a layer is 4.2 and then 4.5.

# %%
depth, width = 8, 100
weights = [(2 / width) ** 0.5 * rng.standard_normal((width, width)) for _ in range(depth)]
images, arriving = rng.standard_normal((200, width)), rng.standard_normal((200, width))
functions = {
    "ReLU": (relu, relu_backward),
    "tanh": (np.tanh, lambda d, a: tanh_backward(d, np.tanh(a))),
    "sigmoid": (sigmoid, lambda d, a: d * sigmoid(a) * (1 - sigmoid(a))),
}
norms, mean_slopes = {}, {}
for name, (f, f_backward) in functions.items():
    sums, out = [], images
    for weight in weights:
        sums.append(out @ weight.T)
        out = f(sums[-1])
    d, sizes = arriving, [np.linalg.norm(arriving)]
    for weight, a in zip(reversed(weights), reversed(sums), strict=True):
        d = f_backward(d, a) @ weight
        sizes.append(np.linalg.norm(d))
    norms[name] = np.array(sizes) / sizes[0]
    mean_slopes[name] = [f_backward(np.ones_like(a), a).mean() for a in sums]

fig, ax = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
for (name, sizes), color, mark in zip(norms.items(), ("#0072B2", "#E69F00", "#555555"), ("o", "s", "^"), strict=True):
    ax.semilogy(range(depth, -1, -1), sizes, color=color, marker=mark, markersize=5, label=name)
ax.set(xlabel="layer, counted from the image", ylabel="size of the gradient")
ax.invert_xaxis()
ax.legend(fontsize=9)
show(fig, alt="Size of the gradient on its way back through 8 layers, from layer 8 at the left to the image, 0, at the right, on an axis "
     "in powers of ten. It begins at 1. With ReLU and with tanh it stays between 0.9 and 1.3. With the sigmoid it falls on a "
     "straight line, to a tenth in two layers and to 0.00008 at the image.")  # fmt: skip
for name, sizes in norms.items():
    low, high = min(mean_slopes[name]), max(mean_slopes[name])
    print(f"{name}: at the image the gradient is {sizes[-1]:.2g} times as large; mean slope of a layer {low:.2f} to {high:.2f}")
reveal("01-c")

# %% [markdown]
# Read the picture from left to right: the gradient begins at layer 8 and goes back to the image, at 0. Each sigmoid multiplies the gradient
# by at most 1/4. For eight of them this makes at most 1/65,536, about 0.000015. The weights make the gradient larger again, but not by
# enough. The first layers then learn very slowly. Half of the ReLUs let nothing through, and the other half lets everything through. So
# ReLU halves the squares of the gradient on average. And the weights? Each gradient that goes back is a sum of 100 products, $g\,w$: a
# gradient times a weight. Square this sum. The weights have random signs, so the mixed terms cancel on average, and the 100 squares
# $g^2 w^2$ are left. The mean of the weights is 0, so the average of $w^2$ is the square of their standard deviation. With $\sqrt{1/100}$
# it would be 1/100, and the squares that go back would be on average as large as those that arrive. Ours is $\sqrt{2/100}$, and its 2
# doubles what ReLU has halved. (Forward the same holds for the sums. There the products are added over the inputs of a layer. This is why C
# stands in $\sqrt{2/C}$ above.) The slopes of tanh are between 0.5 and 0.7 on average, because most sums lie between -2 and 2 here, where
# tanh is not flat. With tanh too the factor 2 makes up for nearly all that is lost. The next experiment shows the weakness of tanh.

# %%
reveal("01-a")

# %% [markdown]
# ### Saturated
#
# What if a layer with tanh reads the numbers 0...255 as they are, and nobody brings them to -1...1 before? The sums are then about 80 in
# size. tanh(80) is so near to 1 that 1 - tanh² is rounded to 0. The next cell prints **medians**. The median of some numbers is the number
# in the middle: half of them are smaller.

# %%
raw = (x[:100] + 1) * 127.5
random_weight = rng.standard_normal((M, C)) / C**0.5
a = raw @ random_weight.T
say("99 % of the slopes of tanh are then below a thousandth", value=(1 - np.tanh(a) ** 2 < 1e-3).mean(), within=0.02)
small = 1 - np.tanh(x[:100] @ random_weight.T) ** 2
print(f"median size of a sum {np.median(np.abs(a)):.0f}, median slope {np.median(1 - np.tanh(a) ** 2):.1g}")
print(f"with inputs from -1 to 1 the median slope is {np.median(small):.1g}")

# %% [markdown]
# ### Is the paper's sentence true here?
#
# We compare three nets of 100 hidden neurons that differ in f alone: the same first weights, the same batches, the same rate of 0.2. We
# count how many epochs each net needs until its loss is below 1. This bound is the dotted line in the picture.


# %%
def net_with(f, f_backward):
    def net(x, w1, b1, w2, b2):
        return f(x @ w1.T + b1) @ w2.T + b2

    def gradients(x, labels, w1, b1, w2, b2):
        a = x @ w1.T + b1
        hidden = f(a)
        dscores = dscores_of(hidden @ w2.T + b2, labels)
        da = f_backward(dscores @ w2, a)
        return da.T @ x, da.sum(axis=0), dscores.T @ hidden, dscores.sum(axis=0)

    return net, gradients


def run(name, rate):
    return learn(*net_with(*functions[name]), [param.copy() for param in first], rate, epochs, seed=3)


def first_below_1(losses):
    return next((epoch for epoch, value in enumerate(losses) if value < 1), None)


first = [(2 / C) ** 0.5 * rng.standard_normal((M, C)), np.zeros(M), 0.01 * rng.standard_normal((K, M)), np.zeros(K)]
race = {name: run(name, 0.2) for name in functions}

fig, ax = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
for (name, losses), color, mark in zip(race.items(), ("#0072B2", "#E69F00", "#555555"), ("o", "s", "^"), strict=True):
    ax.plot(losses, color=color, marker=mark, markersize=4, label=name)
ax.axhline(1, color="black", linestyle=":")
ax.set(xlabel="epoch", ylabel="loss on the training images", ylim=(0, 2.6), xticks=range(0, epochs + 1, 5))
ax.legend(fontsize=9)
show(fig, alt="Training loss of three nets over 20 epochs on synthetic images. ReLU falls from 2.3 below 1, a dotted line, in 3 epochs "
     "and to 0.05 in the end, with small bumps. tanh stays above 2 for 8 epochs, falls below 1 at epoch 14 and ends at 0.4. "
     "The sigmoid stays between 2.2 and 2.4.")  # fmt: skip
below = {name: first_below_1(losses) for name, losses in race.items()}
print("first epoch with a loss below 1:", below)
say("ReLU: 3 epochs", value=below["ReLU"] or 0, within=1, full_only=True)
say("tanh: 14 epochs", value=below["tanh"] or 0, within=2, full_only=True)
say("ReLU: a loss of 0.05 in the end", value=race["ReLU"][-1], within=0.1, full_only=True)
say("tanh: 0.4", value=race["tanh"][-1], within=0.2, full_only=True)
say("sigmoid: 2.25", value=race["sigmoid"][-1], within=0.1, full_only=True)

# %% [markdown]
# With this rate ReLU needs 3 epochs and tanh 14, and the sigmoid has hardly begun after 20. But its slopes are small, so its steps are
# small too. Is one rate for all three fair? We tried 0.2, 0.5, 1, 2 and 4, and took for each net the rate with the smallest loss after 20
# epochs:

# %%
own = {name: first_below_1(run(name, rate)) for name, rate in {"ReLU": 0.5, "tanh": 0.5, "sigmoid": 4}.items()}
print("each with a rate of its own, first epoch with a loss below 1:", own)
say("ReLU: 2 epochs", value=own["ReLU"] or 0, within=1, full_only=True)
say("tanh: 10 epochs", value=own["tanh"] or 0, within=2, full_only=True)
say("sigmoid: 2 epochs", value=own["sigmoid"] or 0, within=1, full_only=True)

# %% [markdown]
# So the paper's sentence is true here for tanh, which needs about 5 times as many epochs as ReLU in both races. For the sigmoid it depends
# on the rate: in a net with one hidden layer, a larger rate makes up for small slopes. In the deep net above one rate cannot do this for
# all layers, because there the gradient at the image is 13,000 times smaller than at layer 8. Our three nets are small, and the images are
# synthetic. How large a factor is depends on the inputs and on the first weights too, so do not take it for a law. The README of this
# project repeats the paper's own comparison: the factor depends on inputs and first weights. Lesson 11 reads those runs.

# %% [markdown]
# ## 9. What people get wrong
#
# Each bold line is a mistake or a wrong belief. The text after it says why. The counts come from 140 public solutions of one well-known
# course, not a random sample; 135 of them have a ReLU whose dx is right. Names such as iamtrask/Grokking-Deep-Learning#13 stand for threads
# on GitHub: the project, and the number of the thread.
#
# **dout is overwritten: 34 of 135.** `dout[x <= 0] = 0` gives the right dx, but it changes an array of the caller. Somebody may still need
# it: a sum, for example, hands the same dout to both of its inputs (lesson 02), and the second one now finds a wrong gradient. 6 others do
# the same to x in the forward pass.


# %%
def careless(dout, x):
    dout[x <= 0] = 0
    return dout


dout, values = np.ones(4), np.array([-1.0, 2.0, -3.0, 4.0])
print("dx:", careless(dout, values), "  dout afterwards:", dout)

# %% [markdown]
# **`out >= 0` in place of `x > 0`.** The output of ReLU is never negative, so this lets every gradient through. A reader of a book asked
# about it. The net of this reader was right in 12 % of the cases (iamtrask/Grokking-Deep-Learning#13).

# %%
print("x > 0:", values > 0, "  out >= 0:", relu(values) >= 0)

# %% [markdown]
# **f'(out) in place of f'(x).** In $1 - \tanh(x)^2$ the output, tanh(x), is already there. If you put `out` in the place of x, you take
# tanh twice:

# %%
print(f"slope of tanh at 1: {1 - np.tanh(1.0) ** 2:.2f}   with tanh(tanh(1)): {1 - np.tanh(np.tanh(1.0)) ** 2:.2f}")

# %% [markdown]
# **The sigmoid is (1 + e^-x) - 1** (printed so in an article on AlexNet). The -1 should be an exponent. The printed formula is equal to
# $e^{-x}$:

# %%
print(f"at x = 0: {sigmoid(0.0):.1f} is right, and the printed formula gives {(1 + np.exp(-0.0)) - 1:.1f}")

# %% [markdown]
# **"ReLU keeps values in {0, 1} or {0, 255}"** (another article). It has no upper bound. In our net with 100 hidden neurons, part 8:

# %%
largest = relu(x @ two[0].T + two[1]).max()
assert largest > 1
print(f"largest output of a hidden neuron: {largest:.1f}")

# %% [markdown]
# **"ReLU prevents overfitting"** (an article). The paper says that nets with ReLU learn the training set faster. Overfitting means that a
# net is better on the images that it has learned than on others. Our net with ReLU and 100 hidden neurons overfits, too:

# %%
on_training, on_test = right(two_layers, two, x, labels), right(two_layers, two, x_test, labels_test)
assert on_training > on_test
print(f"right: {on_training:.1%} of the training images and {on_test:.1%} of the test images")

# %% [markdown]
# **"AlexNet compares ReLU with the sigmoid"** (an article). Figure 1 of the paper compares it with tanh. The sigmoid is only named.
#
# **The slope at 0 matters.** Is it 0, 1 or 1/2? In a net that learns, sums are hardly ever exactly 0:

# %%
say("sums of the hidden neurons that are exactly zero: 0", value=(x @ two[0].T + two[1] == 0).sum(), within=0)

# %% [markdown]
# Where all inputs of a neuron are 0, and its bias too, the sum is exactly 0. Then there is no right answer, and a rule is needed. The
# engine takes 0.
#
# **"ReLU needs only 6 trainings to reach 25 %"** (a translation of the paper, about Figure 1). The paper says six *times* faster: a net
# with ReLU reaches a training error of 25 % in a sixth of the time of the same net with tanh. The 6 is a quotient of two counts. Our race
# of part 8 gives a quotient, too. It is another one, because the net and the images are others:

# %%
counts = [below[name] or epochs for name in ("tanh", "ReLU")]
print(f"epochs until the loss is below 1: tanh {counts[0]}, ReLU {counts[1]}; quotient {counts[0] / counts[1]:.1f}")

# %% [markdown]
# More of them, with the numbers by which the tutor knows them, stand in `lessons/MISCONCEPTIONS.md`.
#
# ### Summary
#
# A neuron is a sum with weights and a function f. Backward, f multiplies by its slope: dx = dout f'(x). A weight is used for every image,
# so its gradient is a sum over the images. The loss begins at ln K before anything is learned. One layer compares images with pictures,
# and fails on these images. Hidden neurons make the difference. The slope of the sigmoid is at most 1/4, so in a deep net hardly anything
# arrives at the first layers. Where the inputs are large, tanh is flat too. The slope of ReLU is 1 wherever it is not 0.
#
# ### Read on
#
# - The engine: `ReLU`, `Tanh` and `Sigmoid` in `tinyalex/layers/activation.py`; `SoftmaxCrossEntropy` in `tinyalex/loss.py`.
# - Exercise: `tutor.check("E02", relu_backward, tanh_backward)`, 15 minutes.
# - Next: lesson 02, backward through a chain. There the two lines of 4.3 and 4.5 become a rule for every net.
#
# Two questions to write about, a few sentences each:
#
# 1. All weights and biases of our two layers begin at 0. What is the gradient of each of them in the first step? Which of them ever change?
# 2. A friend's net has a loss of 9.2 before its first step, on ten classes. What do you suspect, and what would you look at first?
