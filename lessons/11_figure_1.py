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
# # 11  Figure 1 and a fair comparison
#
# Paper section 3.1, about 75 minutes, needs lessons 01, 02, 05, 06 and 07, holds no exercise.
#
# Afterwards you can compare two nets fairly: you choose a learning rate for each, you say which error you measured, and you know how much
# of a difference comes from the seed, and how much from inputs and first weights.

# %%
import json
import math

import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import fast, say, show
from tinyalex.tutor.syllabus import FOLDER

# %% [markdown]
# ## 1. The paper's sentence
#
# > "A four-layer convolutional neural network with ReLUs (solid line) reaches a 25% training error rate on CIFAR-10 six times faster than
# > an equivalent network with tanh neurons (dashed line). The learning rates for each network were chosen independently to make training
# > as fast as possible."
#
# (The caption of Figure 1.) CIFAR-10 is a set of 50,000 small photographs in ten classes. The **training error** is the share of the
# training images for which the net names a wrong class. The figure shows it against epochs. An epoch is one pass over all training images.
# So "six times faster" means: the net with ReLU needs a sixth of the epochs. The text of the section says the same more carefully: "several
# times faster".
#
# The caption goes on: "The magnitude of the effect demonstrated here varies with network architecture". The paper does not say which rates
# it tried, how it scaled the inputs, or how the first weights were drawn. So whoever wants to repeat the figure must choose all of these.
# We did it, and our logs lie in the repository. In this lesson you read them, and you find out what the factor of six depends on.

# %% [markdown]
# ## 2. Predict
#
# Run the cells, and replace each guess by your own before you read on. The inputs of 2012 are pixels from 0 to 255 minus the mean image.
# Inputs of unit variance have the mean 0 and the variance 1 (lesson 05). The sums are what a layer computes before its activation function.

# %% tags=["predict"]
predict("11-a", 6)

# %% tags=["predict"]
predict("11-b", 6)

# %% tags=["predict"]
predict("11-c", 74)

# %% tags=["predict"]
predict("11-d", 10)

# %% [markdown]
# ## 3. The equation
#
# Let $w_e$ be the weights of a net after epoch e, and N the number of training images. The square bracket is 1 where the net is wrong, and
# 0 where it is right. The **error after the epoch** tests all images with the same weights:
#
# $$E_e = \frac{1}{N} \sum_n [\,\text{the net with } w_e \text{ names a wrong class for image } n\,]$$
#
# This needs a second forward pass over all images. Many programs save this time. They count the wrong answers *while* they train, when each
# batch has gone forward anyway. This is the **running mean**. It tests each image with the weights of its own step. We write $w_{t(n)}$ for
# the weights just before the step t(n) in which image n had its turn:
#
# $$R_e = \frac{1}{N} \sum_n [\,\text{the net with } w_{t(n)} \text{ names a wrong class for image } n\,]$$
#
# How many **epochs to the goal** does a run need? Let e be the first epoch with $E_e \le 0.25$. Between two epochs we draw a straight line,
# and see where it meets 0.25. (The error before the first epoch is $E_0 = 0.9$: of ten classes, a guess is wrong nine times in ten.)
#
# $$T = e - 1 + \frac{E_{e-1} - 0.25}{E_{e-1} - E_e}$$
#
# T depends on the activation function, and on the learning rate lr. The caption says that each net has its own best rate. So the **factor**
# of the figure is a quotient of two smallest numbers:
#
# $$\text{factor} = \frac{\min_{\text{lr}}\, T(\text{tanh}, \text{lr})}{\min_{\text{lr}}\, T(\text{ReLU}, \text{lr})}$$

# %% [markdown]
# ## 4. The derivation
#
# Why should tanh be slow at all? We look at one layer and one image. x holds the D inputs, z the M sums, and h the M outputs of the
# activation function f. For a convolution x is one window, and D is the number of pixels in it times the channels:
#
# $$z = W x + b \qquad h = f(z) \qquad\qquad (M) = (M, D)\,(D) + (M)$$
#
# ### 4.1 How large are the sums before training?
#
# Let q be the mean of the squares of the inputs. If the inputs have the mean 0, then q is their variance. The first weights are random,
# with the mean 0 and the standard deviation $\sigma_w$. A sum adds D products. As in lesson 05, the variance of a product is the product of
# the variances, and variances add:
#
# $$\text{variance of } z = D\, \sigma_w^2\, q$$
#
# So large inputs need small first weights, if the sums shall not be too large. An example: the inputs of AlexNet, pixels minus the mean
# image, have a standard deviation of about 74 (lesson 05). The small nets of the same authors for CIFAR-10 have windows of 5 × 5 pixels of
# 3 colors in conv1, and they began with $\sigma_w = 0.0001$ there. With both numbers:

# %%
D, std_w, std_x = 75, 1e-4, 74
say("the sums begin with a standard deviation of 0.064", value=D**0.5 * std_w * std_x, within=0.0005)

# %% [markdown]
# There the slope of tanh is nearly 1. So at the start nothing is wrong. The trouble comes with the first steps.
#
# ### 4.2 How far does a sum move in one step?
#
# Let g be the gradient of the loss with respect to z. One image gives the gradient of the weights (lesson 02), and a step with the rate lr
# changes the weights by:
#
# $$\text{dW} = g\, x^T \qquad \Delta W = -\text{lr}\; g\, x^T \qquad\qquad (M, D) = (M, 1)\,(1, D)$$
#
# Now the same image comes again. By how much have its sums moved?
#
# $$\begin{array}{rll}
# \Delta z &= \Delta W\, x & \quad (M) = (M, D)\,(D) \\
# &= -\text{lr}\; g\, (x^T x) & \quad x^T x \text{ is one number, the sum of the D squares} \\
# &= -\text{lr}\; g\, D\, q & \quad \text{because q is the mean of the squares}
# \end{array}$$
#
# **The sums move in proportion to the square of the inputs.** The first weights do not stand in the last line. So for the same g, small
# first weights do not make the steps smaller. (The bias moves too, by -lr g. With it, the sums move by -lr g (D q + 1). Where the inputs
# are pixels, nobody notices the 1.)

# %%
say("With pixels instead of unit variance the same g moves a sum 5,476 times as far", value=74**2 / 1**2, within=0)
reveal("11-c")

# %% [markdown]
# The next layer reads h. With tanh no element of h is above 1, so there q is at most 1, whatever the images were. But all layers have the
# same learning rate. So with inputs of 2012 there are two possibilities. If the rate suits the first layer, the other layers hardly move.
# If it suits the other layers, the sums of the first layer jump thousands of times too far.
#
# ### 4.3 What happens to tanh when its sums are large
#
# The slope of tanh is $1 - \tanh^2 z$ (lesson 01). How small is it for a large z? We write it as a product, and use
# $\tanh z = 1 - 2 / (e^{2z} + 1)$:
#
# $$\begin{array}{rll}
# 1 - \tanh^2 z &= (1 - \tanh z)\,(1 + \tanh z) & \\
# 1 - \tanh z &= 2 / (e^{2z} + 1) \approx 2\, e^{-2z} & \quad \text{for large } z \\
# 1 + \tanh z &\approx 2 & \quad \text{for large } z \\
# 1 - \tanh^2 z &\approx 4\, e^{-2z} &
# \end{array}$$
#
# At z = 3 this is 0.01 already. We call a unit with a slope below 0.01 **saturated**: its output is nearly 1 or -1, and hardly any gradient
# comes back through it.


# %%
def tanh_slope(z):
    return 1 - np.tanh(z) ** 2


say("where z is three the slope is 0.0099", value=tanh_slope(3), within=0.0001)
print("4 exp(-2z) at z = 3:", round(4 * math.exp(-6), 4))

# %% [markdown]
# Suppose that the sums of a layer have a normal distribution with mean 0 and standard deviation s. How many units are saturated? And what
# is the mean of the squared slope? (4.4 needs this mean.) The density is the share of the sums in a short interval, divided by its length.
# For a large s the density near 0 is almost a constant, $1 / (s \sqrt{2 \pi})$. And the squared slope is almost 0 except near 0. So the
# mean is this density times the area below the squared slope. For the area put $u = \tanh z$, so that $du = (1 - u^2)\, dz$:
#
# $$\int_{-\infty}^{\infty} (1 - \tanh^2 z)^2\, dz = \int_{-1}^{1} (1 - u^2)\, du = \frac{4}{3}
# \qquad\qquad \text{mean of } (1 - \tanh^2 z)^2 \approx \frac{4/3}{s\sqrt{2 \pi}} = \frac{0.53}{s}$$
#
# For ReLU the slope is 1 where z is positive and 0 elsewhere. Half of the sums are positive. So the mean of the squared slope is 1/2, for
# **every** s.

# %%
normal = np.random.default_rng(11).standard_normal(200_000)
stds = np.logspace(-1, 2, 25)
mean_squares = {
    "ReLU": [((s * normal > 0) ** 2).mean() for s in stds],
    "tanh": [(tanh_slope(s * normal) ** 2).mean() for s in stds],
}
slopes = tanh_slope(10 * normal)
say("With sums of a standard deviation of ten, 76 % of the units of tanh are saturated", value=(slopes < 0.01).mean(), within=0.01)
reveal("11-d")
say("the mean of the squared slope is 0.053", value=(slopes**2).mean(), within=0.002)

# %%
fig, ax = plt.subplots(figsize=(5.5, 3.3), layout="constrained")
ax.plot(stds, mean_squares["ReLU"], "-", color="#0072B2", linewidth=2, label="ReLU")
ax.plot(stds, mean_squares["tanh"], "--", color="#C04A00", linewidth=2, label="tanh")
ax.plot(stds[stds > 2], 0.53 / stds[stds > 2], ":", color="black", label="0.53 / s")
ax.set(xscale="log", yscale="log", xlabel="s, the standard deviation of the sums", ylabel="mean of the squared slope", ylim=(0.003, 1.5))
ax.legend(fontsize=9)
show(fig, alt="The mean of the squared slope against the standard deviation s of the sums, from 0.1 to 100, both axes logarithmic. ReLU is "
     "a flat line at 0.5. tanh, dashed, begins near 1, crosses ReLU a little below s = 1, and then falls on a straight line to "
     "0.05 at 10 and 0.005 at 100. Above 2 the dotted line 0.53 / s lies on it.")  # fmt: skip

# %% [markdown]
# As long as the sums are small, tanh lets *more* through than ReLU. Above about 1 it is the other way round.
#
# ### 4.4 The product of the slopes
#
# In a net with several layers the gradient comes back through all of them. With $z_1$, $z_2$, $z_3$ for the sums of three layers of M
# units, g for their gradients, and a dot in a circle for "element by element":
#
# $$g_1 = f'(z_1) \odot W_2^T \left( f'(z_2) \odot W_3^T\, g_3 \right) \qquad\qquad
# (M) = (M) \odot (M, M) \left( (M) \odot (M, M)\,(M) \right)$$
#
# Each layer multiplies by a matrix and by its slopes. ($g_3$ holds the slopes of the third layer, $f'(z_3)$, already.) If the slopes have
# nothing to do with the rest, then each layer multiplies the variance of the gradient by $M \sigma_w^2$, from the matrix, and by the **mean
# of the squared slope**. Suppose that the sums of three layers all have the standard deviation 10. Then the slopes alone multiply the
# variance by:

# %%
of_tanh, of_relu = (tanh_slope(10 * normal) ** 2).mean() ** 3, 0.5**3
say("tanh: 0.00015", value=of_tanh, within=0.00002)
say("ReLU: 0.125", value=of_relu, within=0)

# %% [markdown]
# ### 4.5 Why ReLU does not mind
#
# Multiply all sums of a layer by a number c above 0. ReLU has
#
# $$\text{relu}(c\,z) = c\; \text{relu}(z), \qquad \text{and its slope at } c\,z \text{ is its slope at } z .$$
#
# So if all sums of the first layer become 1,000 times larger, the outputs become larger too, but no slope changes, and nothing that the
# layer told about the image is lost. For tanh, $\tanh(c\,z)$ goes to 1 or -1: the layer tells only the sign, and its slopes are almost 0.
# The layer can leave this state only slowly, because the gradient that changes its weights is multiplied by these slopes.
#
# ReLU is not safe from everything. If a large step makes a sum negative for *all* images, its slope is 0 for all of them, and no gradient
# reaches the unit. It is **dead**. If all units of a layer are dead, the net says the same for every image, and the error stays at 0.9.

# %% [markdown]
# ## 5. Twenty lines of your own
#
# So far each lesson wrote a piece of the training loop. Now we need the whole loop, and it must measure both errors. First what it trains:
# a net of four layers. The paper's net has convolutions. Ours has four fully connected layers of 64, 64, 64 and 10 units, so that one run
# takes about a second. You have written all of it in lessons 01, 02 and 06. The weights are in a dict, as in the engine.


# %%
WIDTHS = (192, 64, 64, 64, 10)  # inputs, three hidden layers, classes


class Net:
    def __init__(self, activation, gains, seed):
        """gains: for each layer the standard deviation of its weights, times the root of the number of its inputs."""
        rng = np.random.default_rng(seed)
        self.relu, self.params, self.grads = activation == "ReLU", {}, {}
        for layer, gain in enumerate(gains, 1):
            c, m = WIDTHS[layer - 1], WIDTHS[layer]
            self.params[f"w{layer}"] = gain / c**0.5 * rng.standard_normal((m, c))
            self.params[f"b{layer}"] = np.zeros(m)

    def forward(self, x, train=True):  # train: the engine's nets want it, ours do not need it
        self.h = [x]
        for layer in (1, 2, 3):
            z = self.h[-1] @ self.params[f"w{layer}"].T + self.params[f"b{layer}"]
            self.h.append(np.maximum(z, 0) if self.relu else np.tanh(z))
        return self.h[3] @ self.params["w4"].T + self.params["b4"]

    def backward(self, dout):
        for layer in (4, 3, 2, 1):
            h = self.h[layer - 1]
            self.grads[f"w{layer}"], self.grads[f"b{layer}"] = dout.T @ h, dout.sum(axis=0)
            if layer > 1:
                dout = (dout @ self.params[f"w{layer}"]) * ((h > 0) if self.relu else 1 - h**2)


def loss_gradient(logits, labels):
    """Lesson 06: what the net said minus what is true, divided by the number of images."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    return p / len(labels)


# %% [markdown]
# Write `train(net, x, labels, lr, epochs, order, batch=64, goal=0.25)`. It returns two lists, `running` and `after`, with one error for
# each epoch. It trains with momentum 0.9 and without weight decay (lesson 07). `order(epoch)` gives the order of the images in an epoch, an
# array of indices. For `order` the first epoch has the number 0. The last batch of an epoch may be smaller. The loop ends after `epochs`
# epochs. It ends earlier if the error after an epoch is at most `goal`. All that it needs of a net: `forward(x, train=...)`,
# `backward(dlogits)`, and the dicts `params` and `grads`. The arrays of `params` must be changed in place, so that the net uses the new
# weights.
#
# Write also `epochs_to(errors, goal=0.25)`, the T of part 3, or None if the goal is not reached. Do this before you open the next cell.
# That cell defines two functions with the same names. So run it first and your own cell after it: then parts 6 and 7 check your functions.


# %% tags=["solution"]
def train(net, x, labels, lr, epochs, order, batch=64, goal=0.25):
    velocity = {name: np.zeros_like(weight) for name, weight in net.params.items()}
    running, after = [], []
    for epoch in range(epochs):
        images, wrong = order(epoch), 0
        for start in range(0, len(x), batch):
            chosen = images[start : start + batch]
            logits = net.forward(x[chosen], train=True)
            wrong += (logits.argmax(axis=1) != labels[chosen]).sum()  # with the weights before this step
            net.backward(loss_gradient(logits, labels[chosen]))
            for name, weight in net.params.items():
                velocity[name] = 0.9 * velocity[name] - lr * net.grads[name]
                weight += velocity[name]
        running.append(wrong / len(x))
        after.append((net.forward(x, train=False).argmax(axis=1) != labels).mean())  # all with the same weights
        if after[-1] <= goal:
            break
    return running, after


def epochs_to(errors, goal=0.25):
    before = 0.9
    for epoch, error in enumerate(errors):
        if error <= goal:
            return epoch + (before - goal) / (before - error)
        before = error
    return None


# %% [markdown]
# ## 6. Prove it
#
# The training set is **synthetic**: images of ten classes, drawn by a program (lesson 01). Each image becomes 8 × 8 pixels, so that x has
# 192 numbers. `PIXELS` are the inputs of 2012, with the mean image subtracted. `UNIT` are the same images with unit variance.

# %%
from tinyalex.data import synthetic_dataset

data = synthetic_dataset(fast(1000, 200), 10)
labels = data.train_labels
raw = data.train_images.reshape(-1, 3, 8, 4, 8, 4).mean(axis=(3, 5)).reshape(len(labels), -1)
PIXELS, UNIT = raw - raw.mean(axis=0), (raw - raw.mean()) / raw.std()
print(f"standard deviations: {PIXELS.std():.1f} and {UNIT.std():.1f}")

# One gain for each layer. "2012": the standard deviations in the authors' small nets (three convolutions and a layer fc10), times the root
# of the number of inputs there. "fan-in": the fan-in is the number of inputs of a unit, our D. A gain of 1 means the standard deviation
# 1 / root of D. The last layer is the same as in "2012".
GAINS = {"2012": (1e-4 * 75**0.5, 0.01 * 800**0.5, 0.01 * 800**0.5, 0.01 * 1024**0.5), "fan-in": (1, 1, 1, 0.01 * 1024**0.5)}


def shuffled(seed):
    """A function of the epoch: the order of the images. Another seed gives other orders."""
    return lambda epoch: np.random.default_rng((seed, epoch)).permutation(len(labels))


# %% [markdown]
# **The gradients.** The net is right for both activation functions if measured slopes agree (lesson 00). We check a few of the weights:

# %%
few = np.arange(7)


def loss_of(net):
    logits = net.forward(UNIT[few])
    top = logits.max(axis=1)
    return (top + np.log(np.exp(logits - top[:, None]).sum(axis=1)) - logits[few, labels[few]]).mean()


for activation in ("ReLU", "tanh"):
    net = Net(activation, GAINS["fan-in"], seed=3)
    net.backward(loss_gradient(net.forward(UNIT[few]), labels[few]))
    for name, weight in net.params.items():
        for at in list(np.ndindex(*weight.shape))[:: weight.size // 5]:
            old, slopes = weight[at], []
            for moved in (old + 1e-5, old - 1e-5):
                weight[at] = moved
                slopes.append(loss_of(net))
            weight[at] = old
            assert abs((slopes[0] - slopes[1]) / 2e-5 - net.grads[name][at]) < 1e-8
    print(f"{activation}: the gradients agree with the measured slopes")

# %% [markdown]
# **One step moves a sum by -lr g D q** (4.2). We make one step for one image, without momentum, and look at the sums of the first layer
# before and after. The 1 beside $x^T x$ comes from the bias:

# %%
for name, inputs in (("pixels", PIXELS), ("unit variance", UNIT)):
    net, x, lr = Net("tanh", GAINS["2012"], seed=3), inputs[:1], 1e-6
    net.backward(loss_gradient(net.forward(x), labels[:1]))
    w, b, g = net.params["w1"], net.params["b1"], net.grads["b1"]  # for one image the gradient of b is g
    before = x @ w.T + b
    after_step = x @ (w - lr * net.grads["w1"]).T + (b - lr * g)
    assert np.abs((after_step - before) + lr * g * ((x @ x.T).item() + 1)).max() < 1e-12
    print(f"{name}: D q is {(x @ x.T).item():9,.0f} for this image, and the sums have moved by -lr g (D q + 1)")

# %% [markdown]
# **The two errors.** With the rate 0 no weight ever changes. Then both errors test the same net on the same images, so they must be equal,
# to the last bit. With another rate they are not:

# %%
still = train(Net("ReLU", GAINS["fan-in"], 0), UNIT, labels, 0.0, 2, shuffled(0))
assert still[0] == still[1]
moving = train(Net("ReLU", GAINS["fan-in"], 0), UNIT, labels, 0.03, fast(8, 3), shuffled(0))
assert moving[0] != moving[1]
print("rate 0:     running", np.round(still[0], 3), "  after", np.round(still[1], 3))
print("rate 0.03:  running", np.round(moving[0], 3), "\n            after  ", np.round(moving[1], 3))
assert epochs_to([0.5, 0.3, 0.2]) == 2.5 and epochs_to([0.5, 0.3]) is None

# %% [markdown]
# A real run shows the same difference. `examples/results/figure1` in the repository holds our repetition of Figure 1. A log has one line of
# JSON for each epoch. The next cell reads the log of the net with ReLU and the inputs of 2012.

# %%
RESULTS = FOLDER.parent / "examples" / "results" / "figure1"
if not (RESULTS / "result.json").is_file():
    raise FileNotFoundError("examples/results/figure1/result.json must be there, got no such file; clone the whole repository")
result = json.loads((RESULTS / "result.json").read_text("utf-8"))
SETUPS, GOAL = result["setups"], result["plans"][0]["target"]


def log_of(setup, activation):
    """The lines of the first seed's log, at the chosen rate: one dict for each epoch."""
    found = SETUPS[setup]["activations"][activation]
    name = f"{setup}-{activation}-lr{found['lr']:g}-seed{found['seeds'][0]}"
    lines = (RESULTS / "runs" / name / "log.jsonl").read_text("utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["kind"] == "epoch"]


log = log_of("2012", "relu")
print("epoch    running    after the epoch")
for line in log:
    print(f"{line['epoch']:5}    {line['running_error']:7.3f}    {line['train_error']:7.3f}")
assert all(line["running_error"] != line["train_error"] for line in log)
assert all(line["running_error"] > line["train_error"] for line in log[:3])
running, after = (epochs_to([line[kind] for line in log], GOAL) for kind in ("running_error", "train_error"))
if running is not None:
    say(f"By the running mean the same run needs {running - after:.1f} epochs more", value=running - after, within=0.05)

# %% [markdown]
# While a net improves, the running mean is the larger one: it counts the mistakes of the weights at the beginning of the epoch, which are
# worse. Both are honest numbers, if one says which one it is.

# %% [markdown]
# ## 7. The same as the engine
#
# Does your loop do what the engine's does? We give both the same net: the engine's own net of Figure 1, with convolutions, in float64. The
# engine's loop is `Trainer` in `tinyalex/training/trainer.py`. It draws the order of the images by `Batches.order` in
# `tinyalex/data/batches.py`, and your loop gets this function as `order`. In the engine gradients add until somebody sets them to 0. The
# class below does this for your loop.

# %%
from tinyalex.data.batches import Batches, SubtractMean
from tinyalex.experiments.figure1 import runs as engine_runs
from tinyalex.models.cifar import figure1_net
from tinyalex.optim import SGD
from tinyalex.schedule import Schedule
from tinyalex.training import Trainer


class Engine:
    """A net of the engine as `train` wants it."""

    def __init__(self, net):
        self.net, self.params, self.grads = net, net.params, net.grads

    def forward(self, x, train):
        return self.net.forward(x, train=train)

    def backward(self, dout):
        self.net.zero_grad()
        self.net.backward(dout)


images, classes = data.train_images[:80], labels[:80]
prepare = SubtractMean.fit(images)
prepared = prepare(images, None).astype(np.float64)
for activation in ("relu", "tanh"):
    mine, theirs = (figure1_net(activation, "2012", seed=4, dtype=np.float64) for _ in range(2))
    order = Batches(images, classes, 32, prepare=prepare, seed=7).order
    running, after = train(Engine(mine), prepared, classes, 0.001, 2, order, batch=32, goal=0.0)
    sgd = SGD(theirs, lr=0.001, momentum=0.9, weight_decay=0)
    trainer = Trainer(theirs, sgd, Schedule(0.001), train=(images, classes), prepare=prepare, batch_size=32, seed=7,
                      progress=False, hints=False)  # fmt: skip
    epochs = trainer.run(2)
    assert running == [one.running_error for one in epochs] and after == [one.train_error for one in epochs]
    parted = max(np.abs(mine.params[name] - theirs.params[name]).max() for name in mine.params)
    assert parted < 1e-12
    print(f"{activation}: both errors are equal, and after {sgd.steps} steps all parameters are equal to 1e-12")

for setup in SETUPS.values():
    for found in setup["activations"].values():
        for errors, needed in zip(found["train_error"], found["epochs_to_target"]["train_error"], strict=True):
            assert epochs_to(errors, GOAL) == engine_runs.epochs_to(errors, GOAL) == needed
print("your epochs_to gives what result.json holds, for every run with a chosen rate")

# %% [markdown]
# ## 8. Experiment
#
# ### Figure 1, twice
#
# These are the runs with the chosen rates (below you see how they were chosen, and whether this was fair), in two setups that differ in the
# scale of inputs and first weights. "2012" has pixels minus the mean image, and the first weights of the authors' small nets. "fan-in" has
# inputs of unit variance, and in each convolution weights with the standard deviation $1 / \sqrt{D}$. The net, the images and the loop are
# the same. Each cell reads its numbers from the files in the repository. In the picture the two panels have different epoch axes.

# %%
print(f"{result['train_images']:,} training images of {result['dataset']['name']} ({result['dataset']['note']})")
NAMES = {"relu": "ReLU", "tanh": "tanh"}
fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.3), layout="constrained", sharey=True)
described = []
for ax, (setup, found) in zip(axes, SETUPS.items(), strict=True):
    for activation, style, color in (("relu", "-", "#0072B2"), ("tanh", "--", "#C04A00")):
        one, name = found["activations"][activation], NAMES[activation]
        for at, errors in enumerate(one["train_error"]):
            ax.plot([0.9, *errors], style, color=color, linewidth=1 if at else 2, label=None if at else name)
        described.append(f"In {setup} {name} has {one['train_error'][0][0]:.2f} after the first epoch and ends at "
                         f"{one['train_error'][0][-1]:.2f} after {one['epochs_run'][0]} epochs.")  # fmt: skip
    ax.axhline(GOAL, color="black", linestyle=":")
    ax.set(title=f"setup {setup}", xlabel="epoch", ylim=(0, 0.95), xlim=(0, None))
    ax.legend(fontsize=9)
axes[0].set_ylabel("training error after the epoch")
show(fig, alt="Training error against epochs in two panels, one for each setup; ReLU is solid, tanh is dashed, and a dotted line marks the "
     "goal of 25 %. All curves fall steeply at first and then more and more slowly. " + " ".join(described))  # fmt: skip


# %%
def factor_of(setup, kind="train_error"):
    return SETUPS[setup]["factor"]["tanh"][kind]


def tell(setup, kind, words):
    found = factor_of(setup, kind)
    more = "more than " if found["at_least"] else ""
    say(f"{words}: tanh needs {more}{found['value']:.1f} times as many epochs", value=found["value"], within=0.05)


tell("2012", "train_error", "inputs and weights of the old kind")
reveal("11-a")
tell("fan-in", "train_error", "unit variance")
reveal("11-b")

# %% [markdown]
# So the effect is there, but six is not a constant of nature. Images, net and loop are the same in both panels. With inputs and first
# weights of 2012 the factor is large. With inputs of unit variance, and weights that fit them, it is small. So the factor is not a
# property of the two activation functions alone. It belongs to an activation function **together with** inputs and first weights.
#
# ### The same runs, another error
#
# The paper does not say which of the two errors its figure shows. With the running mean:

# %%
for setup, words in (("2012", "inputs and weights of the old kind"), ("fan-in", "unit variance")):
    tell(setup, "running_error", f"running mean, {words}")

# %% [markdown]
# ("More than" stands where a run ended before it reached the goal. Then only a lower bound is known.)
#
# ### How is a rate chosen?
#
# "As fast as possible" needs a rule. We look at two:
#
# - **after three epochs:** train each rate for three epochs, and take the one with the lowest error;
# - **epochs to the goal:** train each rate until it reaches 25 %, or until it can no longer win, and take the one with the fewest epochs.
#
# The first rule is much cheaper, and it is what the first version of this project did. The second is what the caption says. It needs longer
# runs: a rate that was stopped after three epochs might still have won. The second cell below says how many such rates we have. A **sweep**
# trains one net with several rates. Here are the rates of our sweeps. "Stopped" means: the run ended before it reached 25 %.


# %%
def sweep_of(setup, activation):
    return [one for one in SETUPS[setup]["activations"][activation]["sweep"] if len(one["train_error"]) >= 3]


def by_three_epochs(setup, activation):
    return min(sweep_of(setup, activation), key=lambda one: one["train_error"][2])


def by_epochs_to_goal(setup, activation):
    return min(sweep_of(setup, activation), key=lambda one: one["epochs_to_target"] or math.inf)


early = []
for setup in SETUPS:
    for activation in ("relu", "tanh"):
        first, best = by_three_epochs(setup, activation), by_epochs_to_goal(setup, activation)
        print(f"setup {setup}, {activation}")
        for one in sweep_of(setup, activation):
            needed = one["epochs_to_target"]
            text = f"needs {needed:5.1f} epochs" if needed else f"stopped after {one['epochs_run']}"
            marks = "  <- best after three" * (one is first) + "  <- fewest epochs" * (one is best)
            print(f"  rate {one['lr']:<6g} error after three epochs {one['train_error'][2]:.3f}, {text}{marks}")
            if not needed and one["epochs_run"] < (best["epochs_to_target"] or result["plans"][0]["max_epochs"]):
                early.append(one)


# %%
def told(one):
    needed = one["epochs_to_target"]
    return f"{needed:.1f}" if needed else f"more than {one['epochs_run']}"


for setup in SETUPS:
    for rule, words in ((by_three_epochs, "chosen after three epochs"), (by_epochs_to_goal, "chosen by epochs to the goal")):
        relu, tanh = (rule(setup, activation) for activation in NAMES)
        print(f"setup {setup}, {words}: ReLU {told(relu)} epochs, tanh {told(tanh)}", end="")
        if relu["epochs_to_target"]:
            least = "more than " if not tanh["epochs_to_target"] else ""
            factor = (tanh["epochs_to_target"] or tanh["epochs_run"]) / relu["epochs_to_target"]
            print(f", factor {least}{factor:.1f}", end="")
        print()
if early:
    print(f"{len(early)} runs were stopped so early that nobody knows whether their rates are better.")
    print("So the second rule could not be followed, and this is not a fair choice yet.")
else:
    print("Every run that was stopped had lost: it had trained as long as the best one needed. So the second rule was kept.")

# %% [markdown]
# When can the two rules disagree? A high rate makes large steps. At first large steps are good. Later the weights jump to and fro around
# the place where they should go, and the error zigzags. A lower rate can be behind after three epochs, and ahead in the end. Only runs that
# are long enough show it. These are the rates of tanh in the setup 2012, as far as they were trained:

# %%
found = sweep_of("2012", "tanh")
fig, ax = plt.subplots(figsize=(6.5, 3.5), layout="constrained")
colors = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(found)))
for one, color, mark in zip(found, colors, "osv^Dx*+P" * 2, strict=False):
    ax.plot(range(1, len(one["train_error"]) + 1), one["train_error"], color=color, marker=mark, markersize=3, linewidth=1.2,
            label=f"rate {one['lr']:g}")  # fmt: skip
ax.axhline(GOAL, color="black", linestyle=":")
ax.set(xlabel="epoch", ylabel="training error after the epoch", ylim=(0.2, None))
ax.legend(fontsize=9)


def rises(errors):
    """In how many epochs the error became larger, and the largest of these rises."""
    steps = np.diff(errors)
    return int((steps > 0).sum()), float(max(steps.max(), 0))


longest = max(found, key=lambda one: (len(one["train_error"]), one["lr"]))
count, largest = rises(longest["train_error"])
show(fig, alt="Training error of tanh in the setup 2012 against epochs, one curve for each rate of the sweep, and a dotted line at 25 %. "
     + " ".join(f"Rate {one['lr']:g} goes from {one['train_error'][0]:.2f} to {one['train_error'][-1]:.2f} in {len(one['train_error'])} "
                f"epochs." for one in found) + f" The curve of rate {longest['lr']:g} is not smooth: it rises in {count} of its "
     f"epochs, by up to {largest:.3f}.")  # fmt: skip
for one in found:
    if one["epochs_to_target"]:
        last = max(epoch for epoch, error in enumerate([0.9, *one["train_error"]]) if error > GOAL)
        print(f"Rate {one['lr']:g} reaches 25 % for the first time after {one['epochs_to_target']:.1f} epochs.", end=" ")
        again = last > one["epochs_to_target"]
        print(f"But after epoch {last} it is above 25 % once more." if again else "In the epochs that were trained it stays below.")

# %% [markdown]
# On a curve that zigzags, the first epoch below 25 % is also a matter of luck. "After how many epochs" has then no sharp answer, and the
# factor has none either. A fair report says so, or it repeats the run with other seeds.
#
# ### The race with your own loop
#
# Now we do the whole experiment ourselves, with your loop, our small net and 1,000 synthetic images. There are no convolutions, and these
# are no photographs. So the numbers are other ones than those above. What counts is what *changes* when we change one thing.
#
# A sweep trains each rate until it reaches the goal, or until it has trained as long as the best one. No run gets more than 40 epochs. If
# no rate reaches the goal, the one with the lowest last error counts as the best. An open triangle in the picture is a run that ended
# before the goal: a large one for ReLU, a small one for tanh.

# %%
EPOCHS = fast(40, 5)
RATES = {"pixels": (3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1), "unit": (3e-3, 0.01, 0.03, 0.1, 0.3, 1.0)}
INPUTS = {"pixels": PIXELS, "unit": UNIT}


def race(activation, inputs, weights, lr, epochs=EPOCHS, seed=0):
    """The errors after the epochs. A rate that is far too high overflows; then the net is wrong for nine of ten images, and that is all."""
    with np.errstate(all="ignore"):
        return train(Net(activation, GAINS[weights], seed), INPUTS[inputs], labels, lr, epochs, shuffled(seed))[1]


def sweep(activation, inputs, weights):
    """For each rate its errors. A rate that has trained as long as the best one needed can no longer win."""
    found, limit = {}, EPOCHS
    for lr in RATES[inputs]:
        found[lr] = race(activation, inputs, weights, lr, limit)
        if needed := epochs_to(found[lr]):
            limit = min(limit, math.ceil(needed))
    return found


def best_of(found):
    """The rate that needs the fewest epochs and these epochs; the rate with the lowest last error and None if none reaches the goal."""
    needed = {lr: epochs_to(errors) for lr, errors in found.items()}
    lr = min(found, key=lambda lr: (needed[lr] or math.inf, found[lr][-1]))
    return lr, needed[lr]


sweeps = {(activation, inputs, weights): sweep(activation, inputs, weights)
          for inputs in INPUTS for weights in GAINS for activation in ("ReLU", "tanh")}  # fmt: skip
best = {which: best_of(found) for which, found in sweeps.items()}

# %%
fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.3), layout="constrained", sharey=True)
for ax, (inputs, weights) in zip(axes, (("pixels", "2012"), ("unit", "fan-in")), strict=True):
    for activation, style, color in (("ReLU", "o-", "#0072B2"), ("tanh", "s--", "#C04A00")):
        found = sweeps[activation, inputs, weights]
        reached = {lr: needed for lr, errors in found.items() if (needed := epochs_to(errors))}
        ax.plot(list(reached), list(reached.values()), style, color=color, label=activation)
        missed = [lr for lr in found if lr not in reached]
        size = 9 if activation == "ReLU" else 5  # where both lie at one place both are seen
        ax.plot(missed, [len(found[lr]) for lr in missed], "^", color=color, markerfacecolor="none", markersize=size)
    ax.set(title=f"inputs: {inputs}, weights: {weights}", xscale="log", xlabel="learning rate", ylim=(0, 44))
    ax.legend(fontsize=9)
axes[0].set_ylabel("epochs to 25 %")
show(fig, alt="Epochs to 25 % against the learning rate, in two panels for our small net. An open triangle, large for ReLU and small for "
     "tanh, is a run that ended without reaching 25 %. Left, pixels with the weights of 2012: ReLU, dots, needs 27 epochs at 0.001, 12 "
     "at 0.003 and 11 at 0.01; all six marks of tanh are open triangles at 40. Right, unit variance with fan-in weights: ReLU needs 18 "
     "and 10 epochs at 0.01 and 0.03, tanh, squares, 36, 17 and 14 at 0.01, 0.03 and 0.1. At higher rates there are only open "
     "triangles.")  # fmt: skip
print("best rates and their epochs:")
for which, (lr, needed) in best.items():
    print(f"  {which[0]:4}  inputs {which[1]:6}  weights {which[2]:6}  rate {lr:<6g}", f"{needed:.1f}" if needed else f"not in {EPOCHS}")
net = Net("ReLU", GAINS["2012"], seed=0)
train(net, PIXELS, labels, 0.1, fast(10, 2), shuffled(0))
answers = net.forward(PIXELS).argmax(axis=1)
dead = (net.h[3].max(axis=0) == 0).mean()  # units that are 0 for every image
say("ReLU with pixels at the highest rate: 100 % of the units of the third layer are dead", value=dead, within=0.02, full_only=True)
say("the net gives 1 answer to all images", value=len(set(answers.tolist())), within=0, full_only=True)

# %% [markdown]
# Each net has its own best rate. With pixels, tanh reaches the goal in 40 epochs at none of the rates. A rate can be too high for ReLU as
# well: with pixels, the highest one has killed a whole layer (4.5).
#
# What if we chose the rate after three epochs?


# %%
def after_three(found):
    return min(found, key=lambda lr: found[lr][:3][-1])


for inputs, weights in (("pixels", "2012"), ("unit", "fan-in")):
    for activation in ("ReLU", "tanh"):
        found = sweeps[activation, inputs, weights]
        early, (lr, needed) = after_three(found), best[activation, inputs, weights]
        whole = race(activation, inputs, weights, early) if early != lr else found[lr]
        text = f"{epochs_to(whole):.1f} epochs" if epochs_to(whole) else f"not in {EPOCHS} epochs: error {whole[-1]:.2f}"
        print(f"{activation}, {inputs}: after three epochs the best rate is {early:g}; with it {text}; with {lr:g}:",
              f"{needed:.1f} epochs" if needed else f"not in {EPOCHS}")  # fmt: skip

early = after_three(sweeps["ReLU", "unit", "fan-in"])
say("for ReLU with unit variance the first rule chooses the rate 0.1", value=early, within=0, full_only=True)
say("and the second rule chooses 0.03", value=best["ReLU", "unit", "fan-in"][0], within=0, full_only=True)
early = after_three(sweeps["tanh", "pixels", "2012"])
say("for tanh with pixels the first rule chooses 0.003", value=early, within=0, full_only=True)
say("and the lowest error in the end belongs to 0.001", value=best["tanh", "pixels", "2012"][0], within=0, full_only=True)

# %% [markdown]
# The cheap rule takes a rate that is too high for ReLU with unit variance, and one that is too high for tanh with pixels. With unit
# variance ReLU then needs more epochs than necessary, so the factor comes out too small. A table of results does not show this. The sweep
# shows it.
#
# ### Change one thing at a time
#
# The two setups of Figure 1 differ in two things: the inputs and the first weights. To find out which of them matters, we need the two
# mixed setups as well. Each of the eight bars has the best rate of its own sweep.

# %%
fig, ax = plt.subplots(figsize=(6.5, 3.5), layout="constrained")
kinds = [(inputs, weights) for inputs in INPUTS for weights in GAINS]
for activation, shift, color in (("ReLU", -0.2, "#0072B2"), ("tanh", 0.2, "#C04A00")):
    for at, kind in enumerate(kinds):
        needed = best[activation, *kind][1]
        ax.bar(at + shift, needed or EPOCHS, 0.36, color=color if needed else "white", edgecolor=color, hatch="" if needed else "//",
               label=activation if at == 3 else None)  # fmt: skip
        ax.text(at + shift, (needed or EPOCHS) + 0.7, f"{needed:.0f}" if needed else f"> {EPOCHS}", ha="center", fontsize=9)
ax.set(xticks=range(4), ylabel="epochs to 25 %", ylim=(0, 46))
ax.set_xticklabels([f"{inputs},\nweights {weights}" for inputs, weights in kinds])
ax.legend(fontsize=9, loc="upper right")
show(fig, alt="Bars of the epochs to 25 % with the best rate, ReLU beside tanh, in four setups. Pixels with the weights of 2012: 11 and "
     "more than 40. Pixels with fan-in weights: 12 and more than 40. Unit variance with the weights of 2012: 31 and 29. "
     "Unit variance with fan-in weights: 10 and 14. The two bars of more than 40 are hatched.")  # fmt: skip


def quotient(inputs, weights):
    """The factor; a tanh that does not reach the goal counts with all epochs that it had."""
    return (best["tanh", inputs, weights][1] or EPOCHS) / (best["ReLU", inputs, weights][1] or EPOCHS)


say("pixels, weights of the old kind: more than 3.7 times", value=quotient("pixels", "2012"), within=0.4, full_only=True)
say("pixels, weights by fan-in: more than 3.4 times", value=quotient("pixels", "fan-in"), within=0.4, full_only=True)
say("unit variance, weights of the old kind: 0.92 times", value=quotient("unit", "2012"), within=0.07, full_only=True)
say("unit variance, weights by fan-in: 1.4 times", value=quotient("unit", "fan-in"), within=0.2, full_only=True)
last = [errors[-1] for errors in (sweeps["tanh", "pixels", "fan-in"][0.1], race("tanh", "pixels", "fan-in", 0.3))]
print(f"tanh, pixels, weights by fan-in: last error {last[0]:.3f} at rate 0.1, {last[1]:.3f} at rate 0.3")

# %% [markdown]
# In our small net the **inputs** decide. With pixels tanh does not reach the goal, with either kind of first weights. With unit variance it
# does, and the factors are 0.92 and 1.4. This is what 4.2 says: the square of the inputs stands in the step, and the first weights do not.
# The small first weights make *both* nets slow at the start, because each layer then passes on small numbers.
#
# For tanh with pixels and fan-in weights the best of our rates is the highest one. So perhaps a higher rate is better. The last line tries
# 0.3: it does not reach the goal either, and its last error is larger.
#
# Do not carry these numbers over to the paper's net. Ours has no convolutions, and its images are synthetic. The logs of the repository
# hold only the first and the last of the four setups, so they cannot say which of the two things matters more there.
#
# ### Are the units really saturated?
#
# 4.2 says: with large inputs there is no good rate for all layers. Either the sums of the first layer jump too far, or the other layers
# hardly move. To see this we train tanh for eight epochs with each rate. Then we count the units with a slope below 0.01 in the three
# hidden layers, over all images.


# %%
def after_eight(inputs, weights, lr):
    """For each hidden layer the slopes of all units for all images, and the sums of the first layer."""
    net = Net("tanh", GAINS[weights], seed=0)
    train(net, INPUTS[inputs], labels, lr, fast(8, 2), shuffled(0), goal=0.0)
    net.forward(INPUTS[inputs])
    return [1 - h**2 for h in net.h[1:]], INPUTS[inputs] @ net.params["w1"].T + net.params["b1"]


counted = {(inputs, weights): np.array([[(slopes < 0.01).mean() for slopes in after_eight(inputs, weights, lr)[0]] for lr in RATES[inputs]])
           for inputs, weights in (("pixels", "2012"), ("unit", "fan-in"))}  # fmt: skip
fig, axes = plt.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained", sharey=True)
for ax, ((inputs, weights), shares) in zip(axes, counted.items(), strict=True):
    for layer, (mark, color) in enumerate((("o-", "#C04A00"), ("s--", "#0072B2"), ("^:", "black"))):
        ax.plot(RATES[inputs], 100 * shares[:, layer], mark, color=color, markersize=5, label=f"layer {layer + 1}")
    ax.set(title=f"inputs: {inputs}, weights: {weights}", xscale="log", xlabel="learning rate", ylim=(-4, 104))
axes[0].set_ylabel("saturated units of tanh in %")
axes[0].legend(fontsize=9, loc="center right", bbox_to_anchor=(1, 0.3))
show(fig, alt="Saturated units of tanh after eight epochs, in percent, against the learning rate. Left, pixels with the weights of 2012: "
     "layer 1, dots, rises from 1 at 0.0003 over 10 at 0.001, 42 at 0.003 and 80 at 0.01 to 99 at 0.1; layers 2 and 3 stay at 0. "
     "Right, unit variance with fan-in weights: all three layers stay near 0 up to 0.03; at 0.1 layer 1 is at 23, at 0.3 the layers are "
     "at 65, 33 and 31, and at 1 all three are above 95.")  # fmt: skip

slopes, sums = after_eight("pixels", "2012", 0.01)
print(f"pixels, rate 0.01: the sums of layer 1 have s = {sums.std():.1f}; the mean of the squared slope is {(slopes[0] ** 2).mean():.3f},",
      f"and 0.53 / s is {0.53 / sums.std():.3f}")  # fmt: skip
say("80 % of its units are saturated", value=(slopes[0] < 0.01).mean(), within=0.08, full_only=True)
net = Net("ReLU", GAINS["2012"], seed=0)
train(net, PIXELS, labels, 0.01, fast(8, 2), shuffled(0), goal=0.0)
net.forward(PIXELS)
sums = PIXELS @ net.params["w1"].T + net.params["b1"]
print(f"the same with ReLU: the sums of layer 1 have s = {sums.std():.1f}")
say("and 50 % of them are positive", value=(net.h[1] > 0).mean(), within=0.03)
times = best["tanh", "unit", "fan-in"][0] / best["tanh", "pixels", "2012"][0]
say("with unit variance the best rate of tanh is 100 times as high", value=times, within=1, full_only=True)
start = PIXELS @ Net("tanh", GAINS["fan-in"], seed=0).params["w1"].T
say("pixels, fan-in weights: at the start 95 % of the first layer are saturated", value=(tanh_slope(start) < 0.01).mean(), within=0.03)

# %% [markdown]
# On the left only the first layer reads pixels, and only the first layer saturates. A low rate keeps its slopes, but this rate is far too
# low for the other layers: with unit variance the best rate is a hundred times as high. The sums of ReLU become large too, but half of its
# slopes stay 1. On the right that best rate is 0.1. It saturates a part of layer 1, but most units of all layers keep their slope.
#
# The last line shows what small first weights are good for. With pixels and larger first weights, nearly all units of layer 1 are saturated
# before anything is learned (4.1).
#
# ### And the seed?
#
# The seed draws the first weights and the order of the images. Nothing else differs. Before you run the cell, write down a guess for ReLU
# with pixels: ten nets differ in the seed alone. How many percent more epochs does the slowest need than the fastest?

# %%
SEEDS = range(fast(10, 3))
spread = {}
for activation, inputs, weights, lr in (("ReLU", "pixels", "2012", 0.01), ("ReLU", "unit", "fan-in", 0.03), ("ReLU", "unit", "fan-in", 0.1),
                                        ("tanh", "unit", "fan-in", 0.1)):  # fmt: skip
    needed = [epochs_to(race(activation, inputs, weights, lr, fast(40, 5), seed)) for seed in SEEDS]
    spread[activation, inputs, lr] = [one for one in needed if one]
    arrived = f"{min(spread[activation, inputs, lr]):.1f} to {max(spread[activation, inputs, lr]):.1f} epochs" if any(needed) else "-"
    print(f"{activation}, {inputs:6}, rate {lr:<4g}: {sum(map(bool, needed)):2} of {len(SEEDS)} reach the goal; {arrived}")

# %%
fig, ax = plt.subplots(figsize=(6, 2.9), layout="constrained")
for at, (which, color) in enumerate(zip(spread, ("#0072B2", "#0072B2", "#0072B2", "#C04A00"), strict=True)):
    ax.plot(spread[which], [at] * len(spread[which]), "o", color=color, alpha=0.6)
ax.set(yticks=range(4), xlabel="epochs to 25 %", xlim=(0, 20), ylim=(3.5, -0.5))
ax.set_yticklabels([f"{activation}, {inputs}, rate {lr:g}" for activation, inputs, lr in spread])
show(fig, alt="Four rows of ten dots, one dot for each seed, on an axis of the epochs to 25 %. ReLU with pixels at rate 0.01: 8 to 12.5. "
     "ReLU with unit variance at rate 0.03: close together, 8.4 to 10.2; at rate 0.1: 10 to 12.5, and one dot at 14.5. tanh with unit "
     "variance at rate 0.1: 12.3 to 14.9.")  # fmt: skip
relu, high, tanh = (spread[which] or [1.0] for which in (("ReLU", "unit", 0.03), ("ReLU", "unit", 0.1), ("tanh", "unit", 0.1)))
pixels = spread["ReLU", "pixels", 0.01] or [1.0]
slower = max(pixels) / min(pixels) - 1
say("ReLU with pixels: the slowest needs 58 % more epochs than the fastest", value=slower, within=0.15, full_only=True)
say("unit variance, the slowest tanh against the fastest ReLU: 1.8 times", value=max(tanh) / min(relu), within=0.15, full_only=True)
say("the fastest tanh against the slowest ReLU: 1.2 times", value=min(tanh) / max(relu), within=0.12, full_only=True)
say("the medians: 1.4 times", value=np.median(tanh) / np.median(relu), within=0.1, full_only=True)
say("the medians, with the rate that was best for ReLU after three epochs: 1.2 times", value=np.median(tanh) / np.median(high), within=0.12,
    full_only=True)  # fmt: skip

# %% [markdown]
# With unit variance, one pair of runs could have given any factor from 1.2 to 1.8. Ten seeds tell more. Every tanh is slower than every
# ReLU at its best rate. So here we are sure which of the two is faster. How much faster is less sure. The last two lines differ only in the
# rate of ReLU. More seeds do not make this difference smaller.
#
# How many seeds do the runs of the repository have? With a single one, nobody knows what another seed would give.

# %%
for setup, found in SETUPS.items():
    for activation, one in found["activations"].items():
        needed = [round(epochs, 1) for epochs in one["epochs_to_target"]["train_error"] if epochs]
        print(f"setup {setup}, {activation} at rate {one['lr']:g}: seeds {one['seeds']}, epochs to 25 %: {needed}")

# %% [markdown]
# ## 9. What people get wrong
#
# We did not count how many people make these mistakes. The first comes from a translation of the paper, and the second from an article on
# AlexNet. The others are mistakes of those who compare nets. The first version of this project made one itself: it chose the rates after
# three epochs.
#
# **"ReLU needs only 6 trainings to reach 25 %"** (a Chinese translation of the paper). The paper says six *times* as fast: the 6 is a
# quotient of two numbers of epochs, and an epoch has many steps. In our runs with inputs of the old kind (if a number of epochs is near 6,
# this is chance):

# %%
for activation, name in NAMES.items():
    errors = SETUPS["2012"]["activations"][activation]["train_error"][0]
    if needed := epochs_to(errors, GOAL):
        say(f"{name} needs {needed:.1f} epochs", value=needed, within=0.05)
steps = math.ceil(result["train_images"] / result["batch_size"])
print(f"one epoch has {steps} steps, each with at most {result['batch_size']} images")

# %% [markdown]
# **"In Figure 1 the learning rate was adapted during training"** (the article). The caption says that the rate of each *net* was chosen by
# itself, "independently". It says nothing of a change during a run. In our runs the rate stays the same.
#
# **"Everything else must be equal, so both get the same rate."** It sounds fair, and it is not. The same rate is good for one net and bad
# for the other. With our small net, unit variance and one rate for both, the factor depends on which rate it is:

# %%
for lr in (0.01, 0.03, 0.1):
    relu, tanh = (epochs_to(race(activation, "unit", "fan-in", lr)) for activation in ("ReLU", "tanh"))
    if relu and tanh:
        print(f"rate {lr:g} for both: ReLU {relu:.1f} epochs, tanh {tanh:.1f} epochs, factor {tanh / relu:.1f}")
    else:
        print(f"rate {lr:g} for both: not both of them reach the goal in {EPOCHS} epochs")

# %% [markdown]
# These things must be equal: the net, the images, the goal, the number of rates that were tried, and the rule that chooses one of them.
#
# **"One seed proves it."** Part 8 has the spread. One seed for each net gives one number out of a cloud.
#
# **"The running mean is the training error."** Part 6 has a log in which they differ in every epoch. Compare two nets by the same error.
# Whoever takes the running mean of one net and the error after the epoch of the other gets a wrong factor:

# %%
for setup, found in SETUPS.items():
    relu, tanh = found["activations"]["relu"]["epochs_to_target"], found["activations"]["tanh"]["epochs_to_target"]
    if relu["running_error"][0] and tanh["train_error"][0]:
        mixed = tanh["train_error"][0] / relu["running_error"][0]
        fair = tanh["train_error"][0] / relu["train_error"][0]
        print(f"setup {setup}: {fair:.1f} by the error after the epoch; {mixed:.1f} with the running mean for ReLU alone")

# %% [markdown]
# **"The best rate is the highest one that we tried."** Then a better one may lie beyond it, and nobody has looked. The best rate must lie
# *between* two others. Is this so in the runs of the repository?

# %%
for setup, found in SETUPS.items():
    for activation, one in found["activations"].items():
        where = f"the {one['edge']} rate that was tried" if one["edge"] else "between two others"
        print(f"setup {setup}, {activation}: {one['lr']:g} is {where}" + "; so a better one may exist" * bool(one["edge"]))

# %% [markdown]
# **"ReLU is faster because max(0, x) is quicker to compute."** Figure 1 counts epochs, not seconds. A computer may need longer for tanh,
# but this does not enter the figure.
#
# **"So nets with tanh learn slowly"**, as a law. The caption itself says that the size of the effect varies with the net. It also varies
# with the inputs, and in one of the four setups of part 8 tanh was about as fast as ReLU.
#
# More of them stand in `lessons/MISCONCEPTIONS.md`.
#
# ### Summary
#
# Figure 1 compares how many epochs two nets need to the same training error, each at its own best rate. A step moves a sum in proportion to
# the **square** of the inputs. Large sums take the slope of tanh away. They do not change the slope of ReLU. So with pixels as inputs tanh
# has no rate that is good for all its layers, and the factor is large. With inputs of unit variance it is small. A fair comparison chooses
# the rate of each net by the goal itself, with no best rate at an edge. It says which error it measures, and it repeats the run with
# several seeds.
#
# ### Read on
#
# - The engine: `Sweep` in `tinyalex/experiments/figure1/sweep.py`, whose docstring has the rule; `Trainer` in
#   `tinyalex/training/trainer.py`; `SETUPS` in `tinyalex/models/cifar.py`.
# - `tinyalex figure1 --quick` trains the net with convolutions on synthetic images, in under a minute on two cores. The README of
#   `examples/results/figure1` tells how our long runs were made.
# - Next: lesson 12, looking inside, asks what such a net has learned.
#
# Two questions to write about, a few sentences each:
#
# 1. A friend trains two nets with the same rate, once each, because "everything else must be equal". What is equal then, and what is not?
#    Describe a comparison of the two nets that you would believe.
# 2. Suppose that you multiply all inputs by 10 and divide the weights of the first layer by 10 before training. What is the same before the
#    first step? What is different after it, for tanh and for ReLU?
