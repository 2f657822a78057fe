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
# # 02  Backward through a chain
#
# Paper section 3.5, about 90 minutes, needs lessons 00 and 01, holds exercise E03.
#
# Afterwards you can derive the backward pass of any chain of steps, also where a value is used more than once, and you can find the step
# that is wrong.

# %%
import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import adds, fast, say, show

# %% [markdown]
# ## 1. The paper's sentence
#
# > "the net contains eight layers with weights; the first five are convolutional and the remaining three are fully-connected."
#
# (Section 3.5.) Each layer reads what the layer before it has computed: the net is a **chain**. **Fully connected** means that each neuron
# of the layer reads all numbers of the layer before, as in lesson 01. We take these layers first. The **convolutional** ones are the
# subject of lesson 03. It will turn them into layers like these.
#
# In lesson 01 we found the gradients of two layers, one line after the other. For eight layers we want a rule. The rule has two parts.
# Along a chain slopes multiply: this is lesson 00. And **where a value is used more than once, its gradients add**. The second part is
# what people get wrong, in courses and in libraries, and it returns in lessons 03, 04, 05 and 10.
#
# Today libraries compute gradients by themselves. Why write them by hand? Andrej Karpathy was asked this by the students of a course, and
# answered in 2016 with an essay that has the answer in its title: "Yes you should understand backprop". What you have derived yourself
# you can also mend.

# %% [markdown]
# ## 2. Predict
#
# Run the cells, and replace each guess by your own before you read on.

# %% tags=["predict"]
predict("02-a", 3)

# %% tags=["predict"]
predict("02-b", 1)

# %% tags=["predict"]
predict("02-c", 7)

# %% [markdown]
# ## 3. The equation
#
# A chain of steps is a function of a function of a function:
#
# $$\text{out} = f_3(f_2(f_1(x)))$$
#
# Our steps are of three kinds. The first is the **linear** step of lesson 01, in which x has the shape (N, C), weight the shape (K, C),
# bias (K,) and out (N, K):
#
# $$\text{out} = x\;\text{weight}^T + \text{bias} \qquad\qquad (N, C)\,(C, K) = (N, K)$$
#
# The second kind is a function of each element, such as relu. The third is a sum of two arrays of the same shape. Here is the chain that
# we will go back through. A, B and out are matrices. The weights have the shapes w1 (M, C), w2 (K, M) and w3 (K, C). M is the number of
# hidden neurons.
#
# $$\begin{array}{rll}
# A &= x\;\text{w1}^T & \quad (N, C)\,(C, M) = (N, M) \\
# B &= \text{relu}(A) & \quad (N, M) \\
# \text{out} &= B\;\text{w2}^T + x\;\text{w3}^T & \quad (N, M)\,(M, K) + (N, C)\,(C, K) = (N, K)
# \end{array}$$
#
# x goes two ways: a long way through w1, relu and w2, and a short way through w3. **x is used twice.** To keep the lines short the chain
# has no biases. In code the matrices A and B have small letters.


# %%
def chain(x, w1, w2, w3):
    a = x @ w1.T  # A
    b = np.maximum(a, 0)  # B
    return b @ w2.T + x @ w3.T


# %% tags=["hide-input"]
def film_strip():
    """The chain as a drawing: forward in blue, what each step keeps, and backward in dashed orange."""
    fig, ax = plt.subplots(figsize=(7, 3.7), layout="constrained")
    ax.set(xlim=(-0.7, 12.6), ylim=(-1.7, 2.15))
    ax.set_axis_off()
    boxes = {"x": (0, 0.3), "A": (3.4, 1.3), "B": (6.3, 1.3), "long": (8.9, 1.3), "short": (6.2, -0.8), "out": (12.1, 0.3)}
    texts = {"x": "x", "A": "A = x w1$^T$", "B": "B = relu(A)", "long": "B w2$^T$", "short": "x w3$^T$", "out": "out"}
    keeps = {"A": "keeps x", "B": "keeps A", "long": "keeps B", "short": "keeps x"}
    half = {"x": 0.25, "A": 0.85, "B": 0.95, "long": 0.6, "short": 0.6, "out": 0.4}
    box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": "#0072B2", "linewidth": 1.5}
    for name, (left, up) in boxes.items():
        ax.text(left, up, texts[name], ha="center", va="center", fontsize=11, bbox=box)
        if name in keeps:
            ax.text(left, up + 0.3, keeps[name], ha="center", va="bottom", fontsize=9)
    for left, color in ((1.3, "#C04A00"), (10.8, "#0072B2")):
        circle = {"boxstyle": "circle,pad=0.1", "facecolor": "white", "edgecolor": color}
        ax.text(left, 0.3, "+", ha="center", va="center", fontsize=12, color=color, bbox=circle)

    def both(start, end, label, right=0.0, up=-0.3):
        for shift, color, dash, ends in ((0.09, "#0072B2", "-", (end, start)), (-0.09, "#C04A00", (0, (4, 2)), (start, end))):
            arrow = {"arrowstyle": "-|>", "color": color, "linestyle": dash, "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", (ends[0][0], ends[0][1] + shift), (ends[1][0], ends[1][1] + shift), arrowprops=arrow)
        middle = (start[0] + end[0]) / 2 + right, (start[1] + end[1]) / 2 + up
        ax.text(*middle, label, ha="center", va="center", fontsize=10, color="#C04A00")

    def before(name):
        return boxes[name][0] - half[name] - 0.1, boxes[name][1]

    def after(name):
        return boxes[name][0] + half[name] + 0.1, boxes[name][1]

    both(after("x"), (1.0, 0.3), "dx")
    both((1.5, 0.55), before("A"), "dA w1", -0.7, 0.25)
    both((1.5, 0.1), before("short"), "dout w3", -0.4)
    both(after("A"), before("B"), "dA")
    both(after("B"), before("long"), "dB")
    both(after("long"), (10.6, 0.6), "dout", 0.75, 0.2)
    both(after("short"), (10.6, 0.1), "dout", 0.4)
    both((11.1, 0.3), before("out"), "dout")
    for left, color, dash, word in ((0, "#0072B2", "-", "forward"), (3, "#C04A00", (0, (4, 2)), "backward")):
        ax.plot([left, left + 0.9], [-1.5, -1.5], color=color, linestyle=dash)
        ax.text(left + 1.1, -1.5, word, va="center", fontsize=9)
    return fig


fig = film_strip()
show(fig, alt="The chain as boxes, with solid blue arrows forward and dashed orange arrows backward. Forward, x splits: the upper way "
     "goes through the boxes A = x w1^T, B = relu(A) and B w2^T, the lower way through one box, x w3^T. A blue plus sign adds both to "
     "out. The four boxes keep x, A, B and x. Backward, dout goes to both ways unchanged. On the upper way it becomes dB, dA and dA w1, "
     "on the lower way dout w3, and an orange plus sign near x adds these two to dx.")  # fmt: skip

# %% [markdown]
# Read the picture from left to right, and then back again. It is the plan of the lesson. Blue arrows are the forward pass. Each step
# **keeps** what its backward step will need. Orange arrows are the backward pass. The gradient of an output arrives at each step, and the
# step hands on the gradient of its input. The orange plus sign works backward only: forward, x is copied there, and backward, two gradients
# are added. The blue plus sign works forward only: forward, two arrays are added there, and backward, dout is copied. The rest of the
# lesson says why the labels of the orange arrows are right.

# %% [markdown]
# ## 4. The derivation
#
# ### 4.1 Forward keeps, backward takes
#
# Begin with numbers, and with a chain of two steps: u = 3x + 1, then L = u². At x = 2 this gives u = 7 and L = 49. Backward we go from
# the end to the beginning, and use dx = du g'(x) of lesson 00 for each step:
#
# | step | its slope | gradient of its input |
# |---|---|---|
# | L = u² | 2u = 14 | du = 1 · 14 = 14 |
# | u = 3x + 1 | 3 | dx = du · 3 = 42 |
#
# We begin with 1, because L moves by 1 when L moves by 1. The slope 2u needs u, a number of the *forward* pass. So the forward pass must
# keep it. The second slope, 3, needs nothing that was computed.
#
# Why from the end? Each step needs the gradient of its output, and this is what the step *after* it computes.
#
# ### 4.2 A value that is used more than once
#
# Now y = x · x + 3x, at x = 2. Here x is used three times: on the left of the product, on its right, and in 3x. Give each use a name of
# its own:
#
# $$y = x_1 \cdot x_2 + 3\,x_3 \qquad\qquad \text{with } x_1 = x_2 = x_3 = x$$
#
# Here y is the last value, so it stands for L. To move x by a small $\Delta x$ means to move all three by $\Delta x$. Lesson 00, 4.3 says
# that the effects of small changes add. With $\text{dx}_1$ for the slope of y in $x_1$ alone, and so on:
#
# $$\begin{array}{rll}
# \Delta y &\approx \text{dx}_1\;\Delta x + \text{dx}_2\;\Delta x + \text{dx}_3\;\Delta x & \quad \text{small changes add} \\
# \text{dx} &= \text{dx}_1 + \text{dx}_2 + \text{dx}_3 & \quad \text{divided by } \Delta x
# \end{array}$$
#
# In a product each factor is multiplied by the other one, so the other one is its slope: $\text{dx}_1 = x_2 = 2$ and
# $\text{dx}_2 = x_1 = 2$. And $\text{dx}_3 = 3$. The sum is 7. School agrees: the slope of x² + 3x is 2x + 3 = 7.

# %%
fig = adds("x", [("x * x, left", 2.0), ("x * x, right", 2.0), ("3 * x", 3.0)])
show(fig, alt="The value x at the left is copied by blue arrows to three uses: the left side of x * x, its right side, and 3 * x. Dashed "
     "orange arrows send back 2, 2 and 3. They meet in an orange plus sign, which adds them: dx = 2 + 2 + 3 = 7.")  # fmt: skip

# %% [markdown]
# This picture returns in four more lessons. It says: **a gradient adds where a value is used more than once.** Forward, the value is
# copied. Backward, its gradients are summed. It does not matter what is done with the copies. Nothing in the derivation asked whether the
# three uses are products or sums.
#
# In a program the sum is written `+=`. The gradient begins at 0, and each use adds its part.

# %%
reveal("02-a")

# %%
x, y_slopes = 2.0, (2.0, 2.0, 3.0)
overwritten = added = 0.0
for slope in y_slopes:
    overwritten = slope  # this is what = does
    added += slope
print("with =:", overwritten, "  with +=:", added)
reveal("02-c")

# %% [markdown]
# Three small steps return in every net. We now know how each of them goes backward:
#
# | step | forward | backward |
# |---|---|---|
# | copy | u = x and v = x | dx = du + dv |
# | sum | z = u + v | du = dz and dv = dz |
# | product | z = u v | du = dz v and dv = dz u |
#
# A copy goes back as a sum. In a sum u and v have the slope 1, so a sum goes back as a copy. In a product each factor gets the other one as
# its slope.
#
# ### 4.3 The linear step, element by element
#
# We are given dout, the gradient of L with respect to out, of the shape (N, K). We want dx, dweight and dbias. One element of out is
#
# $$\text{out}[n,k] = \text{bias}[k] + \sum_{c} \text{x}[n,c]\;\text{weight}[k,c]$$
#
# For each variable ask: **where is it used, and what is its slope there?** Then multiply by the gradient that arrives there, and add over
# all places.
#
# - x[n, c] is used in out[n, k] for this n and **every k**: each neuron reads it. The slope is weight[k, c].
# - weight[k, c] is used in out[n, k] for this k and **every n**: it is multiplied by a number of each image. The slope is x[n, c].
# - bias[k] is used in out[n, k] for this k and **every n**. The slope is 1.
#
# $$\begin{array}{rll}
# \text{dx}[n,c] &= \sum_{k} \text{dout}[n,k]\;\text{weight}[k,c] & \quad (N, C) \\
# \text{dweight}[k,c] &= \sum_{n} \text{dout}[n,k]\;\text{x}[n,c] & \quad (K, C) \\
# \text{dbias}[k] &= \sum_{n} \text{dout}[n,k] & \quad (K,)
# \end{array}$$
#
# These are the three lines of the docstring in `tinyalex/layers/linear.py`, which writes dx_nc = sum over k of dout_nk w_kc, dw_kc = sum
# over n of dout_nk x_nc and db_k = sum over n of dout_nk. (There w is the weight and db the gradient of the bias.)
#
# Each sum is there because a value is used more than once. And we do not divide by N. Where L is a mean over the images, the division is
# in dout already, as it was in lesson 01, 4.4.
#
# ### 4.4 The same with matrices
#
# In a product of matrices the sum runs over the second letter of the left factor and the first letter of the right one. In dx the sum
# runs over k: the second letter of dout, the first letter of weight. So no transpose is needed. In dweight the sum runs over n. This is
# the first letter of dout, so dout is transposed, and then the product begins with k, as dweight does.
#
# $$\begin{array}{rll}
# \text{dx} &= \text{dout}\;\text{weight} & \quad (N, K)\,(K, C) = (N, C) \\
# \text{dweight} &= \text{dout}^T\;x & \quad (K, N)\,(N, C) = (K, C)
# \end{array}$$
#
# With W for weight, the docstring writes dx = dout W and dW = dout^T x. If no two of N, C and K are equal, no other product of two of these
# matrices has the right shape. This helps the memory. It proves nothing.
#
# There is one rule for every product of matrices: **the gradient of a factor is the gradient of the product times the transpose of the
# other factor**. In x $\text{weight}^T$ the other factor of x is $\text{weight}^T$, and its transpose is weight. It stands on the right, as
# $\text{weight}^T$ does: dx = dout weight. The other factor of $\text{weight}^T$ is x. It stands on the left, and so does its transpose:
# $x^T\;\text{dout}$ is the gradient of $\text{weight}^T$. Transpose it, which turns the order of the factors round, and you have
# $\text{dweight} = \text{dout}^T\;x$.
#
# Now let v = S u with a fixed matrix S. Here S stands on the left of u, so its transpose stands on the left, too:
# $\text{du} = S^T\;\text{dv}$. (By the question of 4.3: u[k, j] is used in v[i, j] for every i, and its slope there is S[i, k].) Lesson 03
# will need this line.
#
# ### 4.5 The whole chain
#
# Now go back through the picture of part 3, from the end to the beginning. dout arrives at the sum, and the sum copies it to both ways.
#
# $$\begin{array}{rll}
# \text{dw2} &= \text{dout}^T\;B & \quad (K, N)\,(N, M) = (K, M) \\
# \text{dB} &= \text{dout}\;\text{w2} & \quad (N, K)\,(K, M) = (N, M) \\
# \text{dA} &= \text{dB} \cdot [A > 0] & \quad (N, M) \text{, element by element} \\
# \text{dw1} &= \text{dA}^T\;x & \quad (M, N)\,(N, C) = (M, C) \\
# \text{dw3} &= \text{dout}^T\;x & \quad (K, N)\,(N, C) = (K, C) \\
# \text{dx} &= \text{dA}\;\text{w1} + \text{dout}\;\text{w3} & \quad (N, C) \text{: used twice, so two gradients add}
# \end{array}$$
#
# [A > 0] is 1 where A > 0 and 0 elsewhere: the slope of relu. A step may begin its backward pass only when the gradients from *all* uses of
# its output have arrived and are added. Here dx is complete only after both ways have come back to x.
#
# ### 4.6 What does it cost?
#
# Count multiplications. Forward a linear step multiplies N K C times: out has N K elements, and each is a sum of C products. Backward there
# are two products of matrices, and in the same way each of them needs N K C multiplications. So the backward pass costs twice the forward
# pass, however many weights there are. To *measure* all slopes costs two forward passes **for each weight**.

# %%
N, C, K = 128, 9216, 4096  # the first fully connected layer of AlexNet: 4096 neurons read 9216 numbers; N is the paper's batch
forward, backward = N * K * C, N * K * C + K * N * C
print(f"forward {forward:,}, backward {backward:,} multiplications")
reveal("02-b")
say("measuring would take 75,497,472 forward passes of this layer", value=2 * K * C, within=0)

# %% [markdown]
# ## 5. Twenty lines of your own
#
# Write `linear_backward(dout, x, weight)`, which returns dx, dweight and dbias. x has the shape (N, C). It may also be an array of N images
# that are not written as rows yet, of the shape (N, channels, H, W) with H lines and W columns. Then the forward pass has made rows of them
# with `x.reshape(N, C)`, where C = channels · H · W. dx always has the shape of x. Then write `chain_backward(dout, x, w1, w2, w3)`, which
# returns dx, dw1, dw2 and dw3. A and B are not given: compute them again. This is exercise **E03**, about 30 minutes. Ask
# `tutor.check("E03", linear_backward, chain_backward)` in a cell of your own, with `from tinyalex import tutor` in its first line, before
# you open the next cell.


# %% tags=["solution", "exercise:E03"]
def linear_backward(dout, x, weight):
    rows = x.reshape(len(x), -1)  # (N, C)
    dx = dout @ weight  # (N, K) (K, C)
    dweight = dout.T @ rows  # (K, N) (N, C)
    return dx.reshape(x.shape), dweight, dout.sum(axis=0)


def chain_backward(dout, x, w1, w2, w3):
    a = x @ w1.T
    b = np.maximum(a, 0)
    dw2 = dout.T @ b
    db = dout @ w2  # dB, and not the gradient of a bias
    da = db * (a > 0)
    dw1 = da.T @ x
    dw3 = dout.T @ x
    dx = da @ w1 + dout @ w3  # two uses, two gradients
    return dx, dw1, dw2, dw3


# %% [markdown]
# ## 6. Prove it
#
# As in lesson 01: L is the sum of out times dout, with random dout. No two sizes are equal. First the linear layer, on 7 images of 2
# channels, 3 lines and 4 columns, which we call `maps`. It is a straight line in each of its variables, so the step may be 1, and the
# measured slope is exact, except for rounding (lesson 00, part 8).


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


rng = np.random.default_rng(2)
maps, weight, bias, dout = (rng.standard_normal(shape) for shape in ((7, 2, 3, 4), (5, 24), (5,), (7, 5)))


def loss_of_linear(_):
    return (dout * (maps.reshape(7, 24) @ weight.T + bias)).sum()


for name, value, derived in zip(("x", "weight", "bias"), (maps, weight, bias), linear_backward(dout, maps, weight), strict=True):
    assert error(derived, numerical_gradient(loss_of_linear, value, 1.0)) < 1e-12
    print(f"linear: d{name} {derived.shape} agrees with the measured slopes")

# %% [markdown]
# Then the chain. relu has a kink at 0, so we look first how near to it the elements of A are.

# %%
x, w1, w2, w3, dout = (rng.standard_normal(shape) for shape in ((7, 5), (6, 5), (4, 6), (4, 5), (7, 4)))
largest_move = 1e-5 * max(np.abs(x).max(), np.abs(w1).max())
print(f"the smallest |A| is {np.abs(x @ w1.T).min():.3f}, and a step moves A by at most {largest_move:.0e}")
chain_params = {"x": x, "w1": w1, "w2": w2, "w3": w3}
for (name, value), derived in zip(chain_params.items(), chain_backward(dout, *chain_params.values()), strict=True):
    measured = numerical_gradient(lambda _: (dout * chain(x, w1, w2, w3)).sum(), value, 1e-5)
    assert error(derived, measured) < 1e-8
    print(f"chain: d{name} {derived.shape} agrees with the measured slopes")

# %% [markdown]
# A check must be able to fail. We plant five bugs and look at the error of dx or of dw1.

# %%
a = x @ w1.T
db = dout @ w2
da = db * (a > 0)
slopes = {"x": numerical_gradient(lambda _: (dout * chain(x, w1, w2, w3)).sum(), x, 1e-5)}
slopes["w1"] = numerical_gradient(lambda _: (dout * chain(x, w1, w2, w3)).sum(), w1, 1e-5)
planted = [
    ("the short way overwrites the long one", "x", dout @ w3),
    ("the mean of the two ways", "x", (da @ w1 + dout @ w3) / 2),
    ("relu's slope forgotten", "x", db @ w1 + dout @ w3),
    ("relu's slope taken at db", "w1", (db * (db > 0)).T @ x),
    ("divided by N again", "w1", da.T @ x / len(x)),
]
for name, of, wrong in planted:
    assert error(wrong, slopes[of]) > 1e-6
    print(f"{name}: error of d{of} {error(wrong, slopes[of]):.1g}")

# %% [markdown]
# ## 7. The same as the engine
#
# The engine's function is `linear_backward` in `tinyalex/layers/linear.py`. It takes its arguments in another order and returns the same
# three gradients. It also has groups, which lesson 03 explains. A chain is a `Sequential` in `tinyalex/layers/sequential.py`. The core
# of its backward pass is a loop over the layers, the last one first, with the line `dx = layer.backward(dx)`. Our long way is a
# `Sequential`, and our short way is a single `Linear` layer. Both read the same x.

# %%
from tinyalex.layers.activation import ReLU
from tinyalex.layers.linear import Linear, linear_backward as engine_linear_backward
from tinyalex.layers.sequential import Sequential

d = rng.standard_normal((7, 5))
for ours, theirs in zip(linear_backward(d, maps, weight), engine_linear_backward(maps.reshape(7, 24), weight, d), strict=True):
    assert np.abs(ours.reshape(theirs.shape) - theirs).max() < 1e-12
print("linear_backward: dx, dweight and dbias equal to the engine's, to 1e-12")


def engine_linear(weight, name):
    layer = Linear(weight.shape[1], weight.shape[0], name=name, dtype=np.float64)
    layer.build()  # makes the arrays of the parameters; the biases are zeros
    layer.params["weight"][:] = weight
    return layer


long_way = Sequential([engine_linear(w1, "w1"), ReLU(dtype=np.float64), engine_linear(w2, "w2")])
short_way = engine_linear(w3, "w3")
out = long_way.forward(x, train=True) + short_way.forward(x, train=True)
theirs = {"x": long_way.backward(dout) + short_way.backward(dout)}  # used twice: we add
theirs |= {"w1": long_way.grads["w1.weight"], "w2": long_way.grads["w2.weight"], "w3": short_way.grads["weight"]}
assert np.abs(out - chain(x, w1, w2, w3)).max() < 1e-12
for (name, of_engine), ours in zip(theirs.items(), chain_backward(dout, x, w1, w2, w3), strict=True):
    assert np.abs(ours - of_engine).max() < 1e-12
    print(f"chain: d{name} equal to the engine's, to 1e-12")

# %% [markdown]
# ## 8. Experiment
#
# ### Find the step that is wrong
#
# In a long chain a check of dx says only *that* something is wrong. To find out *where*, check the gradient of every value in the middle,
# one line at a time. Here is a net of three layers with relu, tanh and the loss of lesson 01. Its values have the names x, a1, h1, a2, h2,
# scores, e, p and L, in this order. Here e is $e^z$ for each score z, and p are the probabilities. v1, v2 and v3 are the weights.
# `forward(start, value)` takes the name of one of the nine values and an array for it, and computes all that come after it. `rest(start)`
# is the function that gives L for such an array: this is what `numerical_gradient` needs. On the way back, 4.4 of lesson 01 goes from L to
# dscores in one step, so e and p need no gradients of their own.

# %%
N, C, M1, M2, K = 6, 8, 7, 5, 4
x, v1, v2, v3 = (rng.standard_normal(shape) for shape in ((N, C), (M1, C), (M2, M1), (K, M2)))
labels = rng.integers(0, K, N)


def forward(start, value):
    """All values of the net from `start` on, where `start` has the value `value`: a dict from names to arrays."""
    steps = {
        "a1": lambda got: got["x"] @ v1.T, "h1": lambda got: np.maximum(got["a1"], 0),
        "a2": lambda got: got["h1"] @ v2.T, "h2": lambda got: np.tanh(got["a2"]),
        "scores": lambda got: got["h2"] @ v3.T,
        "e": lambda got: np.exp(got["scores"]), "p": lambda got: got["e"] / got["e"].sum(axis=1, keepdims=True),
        "L": lambda got: -np.log(got["p"][np.arange(N), labels]).mean(),
    }  # fmt: skip
    names, values = ["x", *steps], {start: value}
    for name in names[names.index(start) + 1 :]:
        values[name] = steps[name](values)
    return values


def rest(start):
    return lambda value: forward(start, value)["L"]


kept = forward("x", x)
d = {"scores": kept["p"].copy()}
d["scores"][np.arange(N), labels] -= 1
d["scores"] /= N
d["h2"] = d["scores"] @ v3
d["a2"] = d["h2"] * (1 - kept["h2"] ** 2)
d["h1"] = d["a2"] @ v2
d["a1"] = d["h1"] * (kept["a1"] > 0)
d["x"] = d["a1"] @ v1
for name, derived in d.items():
    print(f"d{name:7s} {str(derived.shape):8s} error {error(derived, numerical_gradient(rest(name), kept[name], 1e-5)):.0e}")

# %% [markdown]
# All errors are tiny. Now suppose that somebody took tanh twice, as in lesson 01. We go back from the loss, and the first large error
# marks the wrong line:

# %%
d["a2"] = d["h2"] * (1 - np.tanh(kept["h2"]) ** 2)  # the bug
d["h1"] = d["a2"] @ v2
d["a1"] = d["h1"] * (kept["a1"] > 0)
d["x"] = d["a1"] @ v1
errors = {name: error(derived, numerical_gradient(rest(name), kept[name], 1e-5)) for name, derived in d.items()}
first = next(name for name, size in errors.items() if size > 1e-6)
assert first == "a2"
print({name: float(f"{size:.0e}") for name, size in errors.items()})
print(f"the first large error is that of d{first}: look at the line that computes it")

# %% [markdown]
# ### A wrong gradient often learns
#
# What happens if the gradient of one use overwrites that of the other? Take points in the plane, drawn at random on three arms of a spiral.
# This is a synthetic task with three classes. The net computes h = relu(x w1^T + b1). Then h is **used twice**: y = h + relu(h w2^T). The
# scores are y w3^T. One net learns with the right dh, the sum of two gradients. A second one, which begins with the same weights,
# overwrites: only the way through w2 is left.


# %%
def spiral(n, seed):
    random = np.random.default_rng(seed)
    labels, radius = random.integers(0, 3, n), random.uniform(0.1, 1, n)
    angle = 4 * radius + 2 * np.pi * labels / 3 + 0.15 * random.standard_normal(n)
    return 2 * np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), labels


def start(seed, m=32):
    random = np.random.default_rng(seed)
    return [
        random.standard_normal((m, 2)),
        np.zeros(m),
        random.standard_normal((m, m)) * (2 / m) ** 0.5,
        random.standard_normal((3, m)) * 0.1,
    ]


def loss_and_slopes(points, labels, params, overwrite):
    w1, b1, w2, w3 = params
    n = len(points)
    a1 = points @ w1.T + b1
    h = np.maximum(a1, 0)
    a2 = h @ w2.T
    y = h + np.maximum(a2, 0)  # h is used twice
    p = np.exp(y @ w3.T)
    p /= p.sum(axis=1, keepdims=True)
    dscores = (p - np.eye(3)[labels]) / n  # row j of np.eye is 1 at j and 0 elsewhere
    dy = dscores @ w3
    da2 = dy * (a2 > 0)
    dh = da2 @ w2 if overwrite else dy + da2 @ w2
    da1 = dh * (a1 > 0)
    return -np.log(p[np.arange(n), labels]).mean(), (da1.T @ points, da1.sum(axis=0), da2.T @ h, dscores.T @ y)


points, classes = spiral(600, seed=3)
curves = {}
for name, overwrite in (("+=", False), ("=", True)):
    params, curves[name] = start(4), []
    for _ in range(fast(400, 150)):
        value, slopes_of_step = loss_and_slopes(points, classes, params, overwrite)
        curves[name].append(value)
        for param, slope in zip(params, slopes_of_step, strict=True):
            param -= 0.2 * slope

fig, (left, axis) = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained", width_ratios=[1, 1.4])
for k, (color, mark) in enumerate((("#0072B2", "o"), ("#E69F00", "s"), ("#555555", "^"))):
    left.scatter(*points[classes == k].T, s=6, color=color, marker=mark)
left.set(title="synthetic points, 3 classes", xlabel="x[n, 0]", ylabel="x[n, 1]")
for (name, losses), style, color in zip(curves.items(), ("-", "--"), ("#0072B2", "#C04A00"), strict=True):
    axis.plot(losses, style, color=color, label=f"dh with {name}")
axis.set(title="both learn", xlabel="step", ylabel="loss", ylim=(0, 1.3))
axis.legend(fontsize=9)
show(fig, alt="Left: synthetic points on the three arms of a spiral, one class on each arm, between -2 and 2 in both directions. Right: "
     "two curves of the loss. Both fall steeply from above 1.2 to 0.7 in the first few steps, and then slowly to below 0.02 at "
     "step 400. Between steps 50 and 200 the dashed curve with = lies above the solid one with +=: near step 100 it is about "
     "0.35 and the other 0.22.")  # fmt: skip
for name, losses in curves.items():
    print(f"with {name}: loss {losses[-1]:.2f} after {len(losses)} steps")

# %% [markdown]
# Both learn. Somebody who sees the second curve alone would not suspect a bug, because a step against the wrong gradient still makes the
# loss smaller. In a deep net, on a hard task, fewer answers may be right because of it, and nobody knows why. A numerical check sees it at
# once. The next cell makes one, for dw1. It also prints the cosine of the angle between the gradient and the measured one: 1 is the same
# direction, and 0 is a right angle. If w1 moves by -rate times a wrong gradient, then by lesson 00, 4.3 L changes by about -rate times the
# sum of the products of the wrong and the right slopes. This sum has the sign of the cosine. So as long as the cosine is above 0, a small
# step makes the loss smaller.

# %%
some, some_classes, params = points[:20], classes[:20], start(5)
measured = numerical_gradient(lambda _: loss_and_slopes(some, some_classes, params, False)[0], params[0], 1e-5)
for name, overwrite in (("+=", False), ("=", True)):
    derived = loss_and_slopes(some, some_classes, params, overwrite)[1][0]
    cosine = (derived * measured).sum() / np.linalg.norm(derived) / np.linalg.norm(measured)
    print(f"dw1 with {name}: error {error(derived, measured):.0e}, cosine of the angle to the right direction {cosine:.2f}")
    assert (error(derived, measured) < 1e-7) == (name == "+=")

# %% [markdown]
# ## 9. What people get wrong
#
# Each bold line is a mistake or a wrong belief. The text after it says why. As in lesson 01, names such as karpathy/micrograd#72 stand for
# threads on GitHub.
#
# **`+=` belongs to sums only.** A reader asked about a well-known small library: for an addition `+=` makes sense, but for a
# multiplication? (karpathy/micrograd#72.) The answer is 4.2: it is the *copy* that adds, whatever is done with the copies. In x · x both
# uses are products. With `=` only one of the two slopes is left:

# %%
print("y = x * x at x = 3. With +=:", 3.0 + 3.0, "  with =:", 3.0)

# %% [markdown]
# **`=` in place of `+=`, which nobody sees, because the forward pass is right.** This mistake was in a teaching video
# (karpathy/nn-zero-to-hero#52). It passed all tests of a course (callummcdougall/ARENA_2.0#18). A gradient that was not added was also
# found in a trainer of large language models (pytorch/torchtitan#2416). A numerical check finds it, if the net that is checked uses a value
# twice.
#
# **The bias gradient is one number** (rasbt/stat453-deep-learning-ss21#5): `dout.sum()` without an axis. Then every bias gets the same
# gradient.

# %%
d = np.arange(6.0).reshape(3, 2)
print("dout.sum():", d.sum(), "  dout.sum(axis=0):", d.sum(axis=0))

# %% [markdown]
# **The bias gradient is a mean** (kvfrans/notes#5), and **the gradients are divided by N again** in the step (a textbook,
# d2l-ai/d2l-en#1000). If the loss is a mean, dout is already divided. To divide again makes the step N times too small. Nothing looks
# broken: the net learns slowly.
#
# **dweight is transposed** (apache/systemds#541). With K = C the shape is right all the same:

# %%
square, inputs = rng.standard_normal((7, 5)), rng.standard_normal((7, 5))
right, transposed = square.T @ inputs, inputs.T @ square
print("K = C = 5: shapes", right.shape, transposed.shape, f"  error {error(right, transposed):.1g}")

# %% [markdown]
# **Backward may come after the update.** The update is the step that changes the weights. If w2 has changed already, dB = dout w2 is the
# gradient of another net:

# %%
x, w1, w2, w3 = chain_params.values()
changed = w2 - 0.1 * chain_backward(dout, *chain_params.values())[2]
print(f"dw1 with the changed w2: error {error(chain_backward(dout, x, w1, changed, w3)[1], slopes['w1']):.1g}")

# %% [markdown]
# **To call backward twice is harmless** (karpathy/micrograd#53 and #102). In the engine, as in most libraries, the gradients of the
# parameters are *added* to what is there, because a layer may be used twice. So after each step of learning they must be set to 0. In the
# engine `sgd.step()` does so (lesson 07). Here are two passes without it:

# %%
layer = engine_linear(w3, "w3")
norms = []
for _ in range(2):
    layer.forward(x, train=True)
    layer.backward(dout)
    norms.append(float(np.linalg.norm(layer.grads["weight"])))
say("after two passes the gradient is 2 times as large", value=norms[1] / norms[0], within=1e-9)

# %% [markdown]
# And backward without a forward pass before it has nothing to take. The engine refuses it:

# %%
from tinyalex.errors import CallOrderError

try:
    layer.backward(dout)
except CallOrderError as refused:
    print(str(refused).split(";")[0])

# %% [markdown]
# More of them, with the numbers by which the tutor knows them, stand in `lessons/MISCONCEPTIONS.md`.
#
# ### Summary
#
# Forward, each step keeps what its backward step needs. Backward, each step takes the gradient of its output and hands on the gradient of
# its input, the last step first. Where a value is used more than once its gradients add, because the effects of small changes add. For a
# linear layer this gives dx = dout W, dW = dout^T x and db, the sum of dout over the images. The backward pass costs twice the forward
# pass.
#
# ### Read on
#
# - The engine: `linear_backward` in `tinyalex/layers/linear.py`, and `Sequential.backward` in `tinyalex/layers/sequential.py`.
# - Exercise: `tutor.check("E03", linear_backward, chain_backward)`, 30 minutes.
# - Next: lesson 03, convolution: a copy, and then the product of this lesson. Or lesson 06, softmax and the loss.
#
# Two questions to write about, a few sentences each:
#
# 1. A net keeps A for relu's backward pass. Could it keep B instead? Could the next layer and relu share what they keep? If tanh or |x|
#    stood in the place of relu, would B be enough?
# 2. Why does the right gradient of a copy not depend on what is done with the copies? Answer without a formula.
