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
# # 09  AlexNet whole
#
# Paper section 3.5 and Figure 2, about 75 minutes, needs lessons 03 to 08, holds exercise E11.
#
# Afterwards you can compute, on paper and before anything runs, how large the output of each layer is, how many parameters the layer has,
# how many multiplications it costs and which part of the image it sees. And you can check such numbers where others print them.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import fast, say, show

# %% [markdown]
# ## 1. The paper's sentence
#
# > "the net contains eight layers with weights; the first five are convolutional and the remaining three are fully-connected."
#
# (Section 3.5.) The abstract gives the size: the net has "60 million parameters and 650,000 neurons".
#
# You know every part of this net by now: convolution (lesson 03), pooling (04), response normalization (05), softmax (06) and dropout
# (08). This lesson puts them one behind the other and counts. Nothing is trained. A count is worth an hour, because it answers what people
# ask first. Which layers hold the parameters? Which layers take the time? Which take the memory? These three questions have three different
# answers. And what part of the image does a number of a layer see? You will also find that some of the paper's own numbers are wrong.

# %% [markdown]
# ## 2. Predict
#
# Run the cells, and replace each guess by your own before you read on. The **parameters** are all weights and biases. A number **depends**
# on a pixel if it can change when the pixel changes.

# %% tags=["predict"]
predict("09-a", 50)

# %% tags=["predict"]
predict("09-b", 50)

# %% tags=["predict"]
predict("09-c", 50)

# %% [markdown]
# ## 3. The equation
#
# A net is a list of layers. We write each layer as a dict, and `ALEXNET` below gives each layer a name. All kernels of AlexNet are square,
# and all its strides are the same down and to the right, so a dict holds one number for each. `groups` is the G of lesson 03: with G = 2 a
# filter reads half of the channels. "lrn" means local response normalization, the layer of lesson 05. A layer of type "linear" is a fully
# connected one, and its neurons are called units. The paper does not say the padding. We took the padding that gives the sizes of its
# Figure 2.


# %%
def conv(filters, kernel, stride=1, padding=0, groups=1):
    return {"type": "conv", "filters": filters, "kernel": kernel, "stride": stride, "padding": padding, "groups": groups}


def linear(units):
    return {"type": "linear", "units": units}


RELU, LRN, DROPOUT = {"type": "relu"}, {"type": "lrn"}, {"type": "dropout"}
POOL = {"type": "pool", "kernel": 3, "stride": 2}

ALEXNET = {
    "conv1": conv(96, 11, stride=4), "relu1": RELU,
    "norm1": LRN, "pool1": POOL,
    "conv2": conv(256, 5, padding=2, groups=2), "relu2": RELU,
    "norm2": LRN, "pool2": POOL,
    "conv3": conv(384, 3, padding=1), "relu3": RELU,
    "conv4": conv(384, 3, padding=1, groups=2), "relu4": RELU,
    "conv5": conv(256, 3, padding=1, groups=2), "relu5": RELU,
    "pool5": POOL,
    "fc6": linear(4096), "relu6": RELU, "drop6": DROPOUT,
    "fc7": linear(4096), "relu7": RELU, "drop7": DROPOUT,
    "fc8": linear(1000),
}  # fmt: skip
IMAGE = (3, 224, 224)  # (C, H, W)

# %% [markdown]
# This is the whole net. "fc" means fully connected: each unit has a weight for every number that comes in.
#
# For each layer we compute four things: how large its output is, how many parameters it has, how many multiplications it does, and how many
# neurons it has. C, H and W belong to what comes in, for one image. A convolution has K filters of KH lines and KW columns, the stride sh
# (down) and sw (to the right), the padding p on each side and G groups. What goes out has K channels of OH lines and OW columns:
#
# $$\begin{array}{rll}
# \text{OH} &= 1 + \left\lceil \frac{H + 2p - \text{KH}}{\text{sh}} \right\rceil & \quad \text{OW likewise from } W, \text{KW and sw} \\
# \text{parameters} &= K\,\frac{C}{G}\,\text{KH}\,\text{KW} + K & \quad \text{weights and biases} \\
# \text{MACs} &= K\,\frac{C}{G}\,\text{KH}\,\text{KW}\;\text{OH}\,\text{OW} & \quad \text{multiplications, each with an addition} \\
# \text{neurons} &= K\,\text{OH}\,\text{OW} & \quad \text{numbers that go out}
# \end{array}$$
#
# The brackets of the first line have their corners at the top. They mean: rounded **up**. Lesson 03 had brackets with their corners at the
# bottom, which mean: rounded down. Part 4.1 says why we round up here.
#
# A pooling layer follows the first line, too. It gives as many channels as come in, so its K is C. It has no parameters, no MACs and no
# neurons, because only layers with weights are counted in the other three lines.

# %% [markdown]
# ## 4. The derivation
#
# ### 4.1 How many windows
#
# Number the windows along one side from 0. Take the image with its padding: lesson 03 calls it the **sheet**. It has H + 2p lines. Window
# number y begins at line sh y of the sheet, and line sh y + KH is the first one behind the window.
#
# There are two sensible rules for the last window. Lesson 03 had the first one: the last window must **lie on** the sheet. The program
# that the authors ran in 2012 has the second one: the last window must **reach the end** of the sheet, and where it hangs over the
# edge, it reads zeros. So OH is the *smallest* number for which the last window, number OH - 1, reaches the end:
#
# $$\begin{array}{rll}
# \text{sh}\,(\text{OH} - 1) + \text{KH} &\ge H + 2p & \quad \text{it reaches the end} \\
# \text{OH} - 1 &\ge \frac{H + 2p - \text{KH}}{\text{sh}} & \quad \text{sh is positive, so we may divide by it} \\
# \text{OH} &= 1 + \left\lceil \frac{H + 2p - \text{KH}}{\text{sh}} \right\rceil & \quad \text{the smallest integer that does it}
# \end{array}$$
#
# If the fraction is an integer, both rules give the same. In AlexNet the fraction is an integer in every layer but the first. In the first
# layer it is (224 - 11) / 4 = 53.25. Rounded up it is 54, and with the 1 this gives 55 windows, the paper's number. Rounded down it is 53,
# and this gives 54 windows.

# %%
fig, (whole, edge) = plt.subplots(2, 1, figsize=(7, 3.2), layout="constrained")
for ax, first in ((whole, 0), (edge, 52)):
    ax.axvspan(0, 224, color="#DDDDDD")
    for y in range(first, 55):
        ax.plot([4 * y, 4 * y + 11], [y % 3] * 2, color="#C04A00" if 4 * y + 11 > 224 else "#0072B2", linewidth=3, solid_capstyle="butt")
    ax.set(yticks=[], ylim=(-0.7, 2.7), xlabel="pixel")
whole.set_title("55 windows of 11 pixels, 4 apart, on a line of 224 pixels (gray), in three rows", fontsize=11)
edge.set_title("the last three of them: the last one hangs over the edge", fontsize=11)
edge.set(xlim=(206, 229), xticks=[208, 212, 216, 219, 223, 227])
show(fig, alt="Two drawings of one line of 224 pixels, a gray field. Above, 55 windows are short bars of 11 pixels, drawn in turn in three "
     "rows. Only the last bar, in orange, leaves the gray field. Below, the last three bars are larger: blue ones from 208 to 219 and "
     "from 212 to 223, and the orange one from 216 to 227, three pixels over the edge at 224.")  # fmt: skip

# %% [markdown]
# Neighbor windows overlap. So that you can see each of them, they are drawn in three rows: the first one in the lowest row, the next in the
# middle row, the next in the upper row, and so on. The rows mean nothing else. A window from 216 to 227 holds the pixels 216 to 226.
#
# Three zeros at the end of each line and of each column do the same as rounding up: (227 - 11) / 4 is 54, an integer. This is where the
# often seen 227 comes from.
#
# ### 4.2 Parameters
#
# A filter has a weight for each channel that it reads and for each cell of its window. It reads C/G channels (lesson 03, part 4.7). So it
# has (C/G) KH KW weights, and one bias. K filters have K times as many:
#
# $$\text{parameters} = K\,\frac{C}{G}\,\text{KH}\,\text{KW} + K$$
#
# A unit of a **fully connected** layer has a weight for each of the C H W numbers that come in, and one bias. So this layer is a
# convolution with a kernel as large as the map: KH = H, KW = W, G = 1, and with a single window: OH = OW = 1. We need no new equation.
#
# Pooling, ReLU, response normalization and dropout have no parameters.
#
# ### 4.3 Multiplications
#
# A **MAC** is a "multiply and accumulate": one weight times one number, added to a sum. How often is one weight of a convolution used
# for one image? Once in each window, so OH OW times. All windows share the weights. Therefore
#
# $$\text{MACs} = \text{weights} \times \text{OH}\,\text{OW}$$
#
# This equation explains the whole net. **A convolution uses a weight OH OW times. A fully connected layer uses it once.** Few weights can
# mean much work, and many weights can mean little.
#
# The bias adds, but it does not multiply, so it does not count. A multiplication with a zero of the padding does count, because the
# program does it, too.
#
# ### 4.4 Neurons and connections
#
# Each number that a layer with weights gives is called a **neuron**. For a convolution these are the numbers of its maps, and for a fully
# connected layer its units. A **connection** is counted for each number that a neuron multiplies, and one more for its bias. For a square
# map this is often written with other letters. We need them in part 9 only. There $F_0$ is the side of the map that goes out, $K$ is the
# side of the kernel (and not the number of filters), $K_c$ is the number of channels that a filter reads, and $F_c$ is the number of
# filters. A neuron has $K^2 K_c + 1$ connections, and there are $F_0^2 F_c$ neurons, so
#
# $$\text{connections} = F_0^2\,(K^2 K_c + 1)\,F_c$$
#
# If you multiply this out, you get two terms. The first is our MACs, and the second is the neurons: connections = MACs + neurons.
#
# ### 4.5 What one number sees
#
# The **field** of a number is the part of the image on which it depends. We follow one line of the image; columns are alike. So we number
# what a layer gives along this line: number 0, number 1 and so on. For each layer three values describe the fields: the field of number 0
# begins at pixel `start`, each field has `size` pixels, and the field of the next number begins `jump` pixels later. So the field of number
# i goes from start + i jump to start + i jump + size - 1. The start may be negative. Then the field begins in front of the image, where
# there are no pixels.
#
# For the image itself, start = 0, size = 1 and jump = 1: a pixel sees itself.
#
# Now let a new layer read this one. Its windows have k numbers, its stride is s and its padding is p. Number 0 of the new layer reads k
# numbers of the old layer: number -p to number -p + k - 1. (A number below 0 stands in the padding.)
#
# - The new field begins where the field of the old number -p begins, at start - p jump.
# - It ends where the field of the old number -p + k - 1 ends. From the first to the last of these k numbers there are k - 1 steps of one
#   jump each.
# - The window of the new number 1 begins s old numbers further, so its field begins s jump pixels further.
#
# $$\begin{array}{rll}
# \text{size} &\text{ becomes } \text{size} + (k - 1)\;\text{jump} \\
# \text{start} &\text{ becomes } \text{start} - p\;\text{jump} \\
# \text{jump} &\text{ becomes } s\;\text{jump}
# \end{array}$$
#
# All three right sides use the old values. These are the equations of the docstring in `tinyalex/analysis/receptive.py`. For example, conv1
# has k = 11, s = 4 and p = 0, so from 0, 1, 1 (start, size, jump) we come to 0, 11, 4. Then pool1 has k = 3 and s = 2. Its size is
# 11 + 2 · 4 = 19 and its jump is 2 · 4 = 8.
#
# ReLU, dropout and response normalization look at one place only (normalization in several channels), so they change nothing.
# A fully connected layer sees everything.


# %% tags=["given"]
def fields(layers):
    """The (start, size, jump) of each layer along one side of the image, before the first fully connected layer."""
    start, size, jump, found = 0, 1, 1, {}
    for name, layer in layers.items():
        if layer["type"] == "linear":
            break
        if "kernel" in layer:
            k, s, p = layer["kernel"], layer["stride"], layer.get("padding", 0)
            start, size, jump = start - p * jump, size + (k - 1) * jump, s * jump
        found[name] = (start, size, jump)
    return found


# %% [markdown]
# ## 5. Twenty lines of your own
#
# Write `plan(layers, in_shape)`. `layers` is a list of the dicts of part 3, without the names. A pooling layer has no entry "padding": its
# padding is 0. `in_shape` is (C, H, W). `plan` returns three lists with one entry for each layer: the shape (C, H, W) of what the layer
# gives, its parameters and its MACs. A fully connected layer with K units gives the shape (K, 1, 1). Layers without weights have 0
# parameters and 0 MACs. This is exercise **E11**, about 25 minutes. In a cell of your own, write `from tinyalex import tutor` and ask
# `tutor.check("E11", plan)` before you open the next cell. (Python rounds up with `math.ceil`.)


# %% tags=["solution", "exercise:E11"]
def plan(layers, in_shape):
    c, h, w = in_shape
    shapes, parameters, macs = [], [], []
    for layer in layers:
        weights = biases = 0
        if layer["type"] == "linear":
            weights, biases = layer["units"] * c * h * w, layer["units"]
            c, h, w = layer["units"], 1, 1
        elif layer["type"] in ("conv", "pool"):
            kernel, stride, padding = layer["kernel"], layer["stride"], layer.get("padding", 0)
            if layer["type"] == "conv":
                weights, biases = layer["filters"] * (c // layer["groups"]) * kernel**2, layer["filters"]
                c = layer["filters"]
            h, w = (1 + math.ceil((side + 2 * padding - kernel) / stride) for side in (h, w))
        shapes.append((c, h, w))
        parameters.append(weights + biases)
        macs.append(weights * h * w)
    return shapes, parameters, macs


# %% [markdown]
# ## 6. Prove it
#
# A count can be proved by counting. So we build a small net and run it. Each output is computed alone: the weights times the numbers of one
# window. We note how many numbers the weights and biases hold (`held`), and how many multiplications were done (`done`). There are groups,
# height and width differ, and windows hang over the edges. `begins` finds where the windows begin without the equation of 4.1: it adds
# windows until one reaches the end.


# %% tags=["seeded"]
def build_and_run(layers, in_shape, rng):
    """The shapes, the parameters and the multiplications, found by building the net and running it on one image."""
    x, shapes, parameters, macs = rng.standard_normal(in_shape), [], [], []
    for layer in layers:
        held = done = 0
        if layer["type"] == "linear":
            weight, bias = rng.standard_normal((layer["units"], x.size)), np.zeros(layer["units"])
            held, done = weight.size + bias.size, sum(row.size for row in weight)
            x = (weight @ x.ravel() + bias)[:, None, None]
        elif layer["type"] == "conv":
            part, k, p = len(x) // layer["groups"], layer["kernel"], layer["padding"]
            weight, bias = rng.standard_normal((layer["filters"], part, k, k)), np.zeros(layer["filters"])
            held = weight.size + bias.size
            sheet = np.pad(x, ((0, 0), (p, p + k), (p, p + k)))  # k more zeros, for a window that hangs over the edge
            tops, lefts = begins(x.shape[1] + 2 * p, layer), begins(x.shape[2] + 2 * p, layer)
            x = np.zeros((layer["filters"], len(tops), len(lefts)))
            for f in range(layer["filters"]):
                first = f * layer["groups"] // layer["filters"] * part  # the first channel that this filter reads
                for y, top in enumerate(tops):
                    for z, left in enumerate(lefts):
                        products = weight[f] * sheet[first : first + part, top : top + k, left : left + k]
                        x[f, y, z], done = products.sum() + bias[f], done + products.size
        elif layer["type"] == "pool":
            tops, lefts = begins(x.shape[1], layer), begins(x.shape[2], layer)
            k = layer["kernel"]
            x = np.stack([[x[:, top : top + k, left : left + k].max(axis=(1, 2)) for left in lefts] for top in tops]).transpose(2, 0, 1)
        shapes.append(x.shape)
        parameters.append(held)
        macs.append(done)
    return shapes, parameters, macs


def begins(length, layer):
    """Where the windows begin: the first at 0, then one after the other, until one reaches the end."""
    found = [0]
    while found[-1] + layer["kernel"] < length:
        found.append(found[-1] + layer["stride"])
    return found


small = [conv(8, 4, stride=3, padding=1, groups=2), RELU, POOL, conv(12, 3, stride=2, padding=2, groups=4), linear(5), linear(7)]
ran = build_and_run(small, (6, 20, 31), np.random.default_rng(9))
assert ran == plan(small, (6, 20, 31))
print("layer, shape, parameters, multiplications")
for layer, *numbers in zip(small, *ran, strict=True):
    print(f"{layer['type']:7}", *numbers)

# %% [markdown]
# The fields are proved with the measured slope of lesson 00. A number depends on a pixel if its slope with respect to the pixel is not 0.
# We take one line of 224 pixels and one channel. In a convolution with k numbers in a window, all weights are 1/k, so it gives the mean of
# its window. They are positive. So when a pixel grows, nothing can become smaller, and no two effects cancel. In pooling, too, we take the
# mean of the window in place of its largest number: *which* pixel wins depends on the image, but each of them could win. Such a net is
# linear, so a large step h is exact (lesson 00).


# %% tags=["seeded"]
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


def line_net(x, layers):
    """What the layers give for one line of pixels, where each window gives the mean of its numbers."""
    for layer in layers:
        if "kernel" in layer:
            p = layer.get("padding", 0)
            k, starts = layer["kernel"], begins(len(x) + 2 * p, layer)
            sheet = np.pad(x, (p, p + k))
            x = np.array([sheet[start : start + k].sum() for start in starts]) / k
    return x


def pixels_with_a_slope(name, i):
    """The pixels of a line of 224 on which number i of the layer depends."""
    layers = list(ALEXNET.values())[: 1 + list(ALEXNET).index(name)]
    slopes = numerical_gradient(lambda x: line_net(x, layers)[i], np.random.default_rng(9).random(224), 0.25)
    return np.flatnonzero(np.abs(slopes) > 1e-12)


for name in ("pool1", "conv2", "conv5", "pool5")[-fast(4, 2) :]:
    start, size, jump = fields(ALEXNET)[name]
    for i in (0, 2, 5):
        seen = pixels_with_a_slope(name, i)
        assert seen[0] == max(0, start + i * jump) and seen[-1] == min(223, start + i * jump + size - 1)
        print(f"{name}, number {i}: depends on pixels {seen[0]} to {seen[-1]}, as the equation says")

# %% [markdown]
# Number 2 of pool5 sees 195 pixels, the whole size of a field. The field of number 0 goes from -64 to 130. 64 of its 195 pixels lie in
# front of the image, so it sees 131.

# %% [markdown]
# ## 7. The same as the engine
#
# In the engine the net is the list `PAPER` in `tinyalex/models/alexnet.py`: one row for each layer, like our dict. `count` in
# `tinyalex/analysis/count.py` counts it, and `receptive_fields` in `tinyalex/analysis/receptive.py` gives the fields. A `DryDevice` is a
# device that only notes the sizes of arrays. So nobody has to make the 61 million random weights.

# %%
from tinyalex.analysis.count import count
from tinyalex.analysis.receptive import receptive_fields
from tinyalex.devices.dry import DryDevice
from tinyalex.models import alexnet

net = alexnet(devices=DryDevice())
engine, seen = {row.name: row for row in count(net)}, receptive_fields(net)
shapes, parameters, macs = (dict(zip(ALEXNET, column, strict=True)) for column in plan(list(ALEXNET.values()), IMAGE))
for name in ALEXNET:
    row = engine[name]
    assert shapes[name] in (row.out_shape, (*row.out_shape, 1, 1))  # our (4096, 1, 1) is the engine's (4096,)
    assert (row.parameters, row.macs) == (parameters[name], macs[name])
for name, field in fields(ALEXNET).items():
    assert field == (seen[name].start[0], seen[name].size[0], seen[name].jump[0])
print("all", len(ALEXNET), "layers have the engine's shapes, parameters, MACs and fields")

# %% [markdown]
# In a terminal, `tinyalex net alexnet` prints these counts as a table. There the field of fc6 is 355: the size of 4.5 with a kernel of 6,
# places outside of the image included.

# %% [markdown]
# ## 8. Experiment
#
# ### The whole net in one table
#
# Of the layers without weights only pooling is shown, because the others change no shape. The last column, "field", is the size of 4.5.

# %%
print("layer   gives           parameters     %        MACs     %  field")
for name, (c, h, w) in shapes.items():
    if parameters[name] or "pool" in name:
        p, m = parameters[name], macs[name]
        field = fields(ALEXNET).get(name, (0, 224, 1))[1]
        shares = (100 * p / sum(parameters.values()), 100 * m / sum(macs.values()))
        print(f"{name:6} {c:5} x {h:2} x {w:2} {p:12,} {shares[0]:5.1f} {m:13,} {shares[1]:5.1f} {field:5}")

say("60,965,224 parameters", value=sum(parameters.values()), within=0)
say("724,406,816 MACs for one image", value=sum(macs.values()), within=0)
weighted = [name for name in ALEXNET if parameters[name]]
say("659,272 neurons", value=sum(math.prod(shapes[name]) for name in weighted), within=0)
say("of which 650,080 are in the convolutions", value=sum(math.prod(shapes[name]) for name in weighted[:5]), within=0)

# %% [markdown]
# So the abstract's "60 million" is rounded down, and its "650,000" fits the neurons of the convolutions alone. The field of a fully
# connected layer is written as 224, the whole image.
#
# ### Three questions, three answers
#
# Where are the parameters, where is the work, and where is the memory for activities? An activity is a number that a layer gives.
# Layers that can overwrite their input (ReLU and dropout) need no memory of their own. Normalization and pooling are counted with
# their convolution.

# %%
memory = dict.fromkeys(weighted, 0)
for name, layer in ALEXNET.items():
    at = next(w for w in weighted if w[-1] == name[-1])  # norm1 and pool1 are counted with conv1
    memory[at] += 0 if layer["type"] in ("relu", "dropout") else math.prod(shapes[name])
columns = [np.array([part[name] for name in weighted]) for part in (parameters, macs, memory)]
colors = ["#08306B", "#2171B5", "#4292C6", "#6BAED6", "#C6DBEF", "#C04A00", "#E69F00", "#FDD9A0"]

fig, ax = plt.subplots(figsize=(6.5, 5), layout="constrained")
for x, numbers in enumerate(columns):
    shares, bottom = 100 * numbers / numbers.sum(), 100.0
    for name, share, color in zip(weighted, shares, colors, strict=True):
        bottom -= share
        ax.bar(x, share, 0.75, bottom, color=color, edgecolor="white", linewidth=0.5)
        if share > 3:
            ink = "white" if color in ("#08306B", "#2171B5", "#C04A00") else "black"
            ax.text(x, bottom + share / 2, f"{name}  {share:.0f} %", ha="center", va="center", color=ink, fontsize=9)
ax.text(0, 101, "conv1 to conv5  4 %", ha="center", va="bottom", fontsize=9)
ax.set(xticks=range(3), ylabel="% of all", ylim=(0, 106))
ax.set_xticklabels(["parameters", "MACs", "activities"], fontsize=11)
show(fig, alt="Three bars of the same height, each divided among the eight layers: convolutions in blue, fully connected ones in orange. "
     "Parameters are nearly all orange: fc6 62 %, fc7 28 %, fc8 7 %, all convolutions together 4 %. MACs are nearly all blue: "
     "conv1 15 %, conv2 31 %, conv3 21 %, conv4 15 %, conv5 10 %, and fc6 5 %. Activities are all blue: conv1 52 %, conv2 33 %, and "
     "conv3 to conv5 4 or 5 % each.")  # fmt: skip
share = 100 * np.array([part[5:].sum() / part.sum() for part in columns])
say("The three fully connected layers hold 96.2 % of the parameters", value=share[0] / 100, within=0.0005)
reveal("09-a")
say("The five convolutions do 91.9 % of the work", value=1 - share[1] / 100, within=0.0005)
reveal("09-b")
say("and with their normalization and pooling they give 99.3 % of the activities", value=1 - share[2] / 100, within=0.0005)

# %% [markdown]
# So if you want a *smaller* file of parameters, change fc6. If you want a *faster* net, change conv2. If the *memory for activities* is
# full, look at conv1. For parameters and work, the cause is part 4.3: a weight of conv2 is used 27 × 27 = 729 times for each image, a
# weight of fc6 once. For the memory, the cause is the size of the maps: conv1 has the largest ones.

# %%
reuse = {name: macs[name] // (parameters[name] - ALEXNET[name].get("filters", ALEXNET[name].get("units"))) for name in weighted}
print("how often a weight is used for one image:", reuse)
say("conv2 uses each weight 729 times", value=reuse["conv2"], within=0)

# %% [markdown]
# ### What one number sees
#
# We draw the field of a number in the middle of each map on the image of 224 pixels. The map of pool5 has 6 by 6 numbers, so it has no
# number in the middle. We take the one in line 2 and column 2, counted from 0. Its field is the largest square. It begins at the top left
# corner of the image.

# %%
fig, ax = plt.subplots(figsize=(5, 5), layout="constrained")
ax.add_patch(plt.Rectangle((0, 0), 224, 224, facecolor="#EEEEEE"))
for name, (start, size, jump) in fields(ALEXNET).items():
    if ALEXNET[name]["type"] in ("conv", "pool"):
        first = start + (shapes[name][1] - 1) // 2 * jump
        color = "#0072B2" if "conv" in name else "#C04A00"
        ax.add_patch(plt.Rectangle((first, first), size, size, fill=False, edgecolor=color, linewidth=1.5))
        left, top = (first + 3, first + 3) if "conv" in name else (first, first + size + 2)
        if name == "conv1":
            ax.plot((119, 197), (113, 113), color=color, linewidth=0.8)
            left, top = 198, 110
        ax.text(left, top, f"{name}: {size}", color=color, fontsize=9, va="top")
ax.set(xlim=(-2, 236), ylim=(230, -2), xlabel="column", ylabel="line", aspect="equal")
show(fig, alt="The 224 by 224 image in gray, with eight squares in one another, blue for conv and orange for pool. Their sides are 11 "
     "pixels for conv1, then 19, 51, 67, 99, 131 and 163 for pool1, conv2, pool2, conv3, conv4 and conv5, all around the "
     "middle. The largest, pool5 with 195, begins at the top left corner and leaves only a band at the right and below free. "
     "Its right and lower sides cover those of conv5.")  # fmt: skip
reveal("09-c")

# %% [markdown]
# One number of conv1 sees 11 by 11 pixels, too few for the wheel of a car. One number of conv3 sees 99 by 99. No layer has a kernel larger
# than 11: the fields grow because the jump grows, and the jump grows because strides multiply. pool5 has the jump 4 × 2 × 2 × 2 = 32.
#
# ### Memory for training
#
# While training, we must store three numbers for each parameter: itself, its gradient and its velocity (lesson 07). For each activity
# we must store two: itself and its gradient. A float32 number has 4 bytes. We count the image as activities, too. So N images need
#
# $$\text{bytes} = 4\,(3 \times \text{parameters} + 2 N \times \text{activities})$$

# %%
activities = sum(memory.values()) + math.prod(IMAGE)
mib = 4 / 2**20  # one float32 number in MiB: a MiB has 2**20 = 1024 * 1024 bytes, and a GiB has 1024 MiB
say("parameters, gradients and velocities: 698 MiB", value=mib * 3 * sum(parameters.values()), within=0.5)
say("activities of one image, and the image itself: 5.38 MiB", value=mib * activities, within=0.005)
say("activities of a batch as in the paper: 688 MiB", value=mib * 128 * activities, within=0.5)
gib = mib * (3 * sum(parameters.values()) + 2 * 128 * activities) / 1024
say("in all, with the gradients of the activities: 2.03 GiB", value=gib, within=0.005)

# %% [markdown]
# Each of the authors' two graphics cards had 3 GB. Our count is what a plain program keeps; a real one needs space to work in, too. Lesson
# 10 goes on from here.
#
# ### Minus a middle layer
#
# The paper says in its last section that the net gets worse "if a single convolutional layer is removed". If any one of the middle layers
# is left out, it says, the top-1 error (lesson 08) is about 2 percentage points higher. How much smaller does the net get?


# %%
def totals(layers):
    """The sums of parameters and MACs for 224 x 224 images."""
    _, parameters, macs = plan(list(layers.values()), IMAGE)
    return np.array([sum(parameters), sum(macs)])


def without(*names):
    return {name: layer for name, layer in ALEXNET.items() if name not in names}


whole = totals(ALEXNET)
for gone in ("conv4", "conv5"):
    change = 100 * (totals(without(gone, "relu" + gone[-1])) / whole - 1)
    print(f"without {gone}: parameters {change[0]:+.1f} %, MACs {change[1]:+.1f} %")
say("without conv4 the net has 1.1 % fewer parameters", value=1 - totals(without("conv4"))[0] / whole[0], within=0.0005)
fc6 = plan(list(without("conv5").values()), IMAGE)[1][-7]  # the seventh layer from the end
say("without conv5, fc6 has 18,874,368 more weights", value=fc6 - parameters["fc6"], within=0)

# %% [markdown]
# Without conv5 the net even *grows*. conv4 gives 384 channels, conv5 makes 256 of them, and fc6 has a weight for every number that comes
# in. Without conv5 fc6 reads 384 · 36 = 13,824 numbers and not 256 · 36 = 9,216. So conv5, with 0.7 % of the parameters, saves 18.9 million
# weights in fc6. And conv4, with about one hundredth of the parameters, is worth about 2 percentage points of the top-1 error. The paper
# concludes that depth matters.

# %% [markdown]
# ### Optional: the same network as Caffe wrote it
#
# About 15 minutes. No later lesson needs this part, and lesson 05 explains the normalization that it uses.
#
# Caffe is a library for neural nets of the years after AlexNet. It describes a net in a text file whose name ends with `.prototxt`. Many
# nets of these years were published as such a **prototxt**, AlexNet among them. It is our list of layers in another notation.
#
# Caffe rounds down where a convolution counts its windows, and it rounds up where pooling does. So Caffe's file of AlexNet asks for images
# of 227 pixels (part 4.1). Replace the guess by your own, as in part 2.

# %% tags=["predict"]
predict("09-d", 50)

# %% [markdown]
# Below are the image and the first block of the net in Caffe's notation. We wrote this file ourselves, with the settings of Caffe's net.
# `tinyalex/formats/caffe/read.py: read_prototxt` makes rows of it. We print each row below our own dict for this layer.

# %%
import tempfile
import textwrap
from dataclasses import replace
from pathlib import Path

from tinyalex.formats.caffe import read_prototxt, write_caffemodel, write_prototxt
from tinyalex.formats.imported import Imported
from tinyalex.models.later.rows import build_net
from tinyalex.models.rows import change, norm
from tinyalex.models.weights import copy_state, state_on_host

BLOCK = """
layer { name: "data"  type: "Input"  top: "data"  input_param { shape { dim: 1 dim: 3 dim: 227 dim: 227 } } }
layer { name: "conv1"  type: "Convolution"  bottom: "data"  top: "conv1"
        param { lr_mult: 1 decay_mult: 1 }
        param { lr_mult: 2 decay_mult: 0 }
        convolution_param { num_output: 96 kernel_size: 11 stride: 4
                            weight_filler { type: "gaussian" std: 0.01 }
                            bias_filler { type: "constant" value: 0 } } }
layer { name: "relu1"  type: "ReLU"  bottom: "conv1"  top: "conv1" }
layer { name: "norm1"  type: "LRN"  bottom: "conv1"  top: "norm1"  lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 } }
layer { name: "pool1"  type: "Pooling"  bottom: "norm1"  top: "pool1"  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
"""


def read(text):
    """The net that the text of a prototxt describes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "net.prototxt")
        file.write_text(text, "utf-8")
        return read_prototxt(file)


block = read(BLOCK)
for row in block.rows:
    print(f"{row.name}  our dict:", *(f"{key}={value}" for key, value in ALEXNET[row.name].items()))
    print(f"       its row:  type={row.kind}", *(f"{key}={value}" for key, value in row.settings.items() if not key.endswith("_init")))
print("first weights and biases of conv1:", block.rows[0]["weight_init"], block.rows[0]["bias_init"])
print("factors of learning rate and weight decay:", block.multipliers)

# %% [markdown]
# Field by field:
#
# - `bottom` names the array that a layer reads, and `top` names the array that it gives. These names join the layers to a net.
# - In relu1 bottom and top have the same name. So relu1 works **in place**: it overwrites its input, and needs no memory of its own.
#   norm1 stands after it and reads "conv1", too. So norm1 reads what relu1 wrote.
# - `num_output` is our K. Our C stands nowhere, because Caffe takes it from the bottom. `group` is our G, and it is 1 where it is left out.
# - The first `param` belongs to the weights, and the second one to the biases. `lr_mult` is a factor of the learning rate, and `decay_mult`
#   is a factor of the weight decay (lesson 07). Here biases learn twice as fast as weights, and no weight decay pulls them to 0. The rate
#   and the decay themselves stand in a second file, the solver.
# - A **filler** is the rule for the first numbers of an array: "gaussian" draws them at random, "constant" repeats one number.
# - `local_size` is the n of lesson 05. Caffe divides alpha by n, and k is 1 where it is left out. The paper has k = 2 and does not divide.
#   The engine has a switch for the division: `alpha_over_n`.
# - Nothing in the file says how sizes are rounded: you must know it. In the rows, pool1 has `ceil_mode=True`, and conv1 does not have it.
#
# The dicts of part 3 hold all that a file needs for the counts, so a few lines write the whole net. Then we count at both sizes.


# %%
TYPES = {"conv": "Convolution", "linear": "InnerProduct", "pool": "Pooling", "lrn": "LRN", "relu": "ReLU", "dropout": "Dropout"}


def prototxt(layers, in_shape):
    """The text of a prototxt for a dict of layers as in part 3, with Caffe's numbers for normalization."""
    sides = " ".join(f"dim: {side}" for side in (1, *in_shape))
    lines = [f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {sides} }} }} }}']
    bottom = "data"
    for name, layer in layers.items():
        kind, top, own = layer["type"], name, ""
        if kind == "conv":
            own = "convolution_param {{ num_output: {filters} kernel_size: {kernel} stride: {stride} pad: {padding} group: {groups} }}"
        elif kind == "linear":
            own = "inner_product_param {{ num_output: {units} }}"
        elif kind == "pool":
            own = "pooling_param {{ pool: MAX kernel_size: {kernel} stride: {stride} }}"
        elif kind == "lrn":
            own = "lrn_param {{ local_size: 5 alpha: 0.0001 beta: 0.75 }}"
        else:
            top = bottom  # ReLU and dropout work in place
        lines.append(f'layer {{ name: "{name}" type: "{TYPES[kind]}" bottom: "{bottom}" top: "{top}" {own.format(**layer)} }}')
        bottom = top
    return "\n".join(lines)


def parameters_in(text):
    net = read(text)
    return sum(row.parameters for row in count(build_net(net.rows, net.in_shape, "from a file", DryDevice())))


own_size, papers_size = (prototxt(ALEXNET, (3, side, side)) for side in (227, 224))
print(textwrap.fill(next(line for line in papers_size.splitlines() if '"conv2"' in line), 84))
reveal("09-d")
say("with the file's own size 60,965,224 parameters", value=parameters_in(own_size), within=0)
say("with the paper's size 60,965,224", value=parameters_in(papers_size), within=0)
down = papers_size.replace("pool: MAX", "pool: MAX round_mode: FLOOR")
say("if pooling rounds down, too: 49,430,888", value=parameters_in(down), within=0)

# %% [markdown]
# In a convolution the number of weights does not depend on the size of the image. So only fc6 can change, because it has a weight for each
# number of pool5. With 224 pixels conv1 gives 54 lines in place of 55. pool1 rounds up and makes 27 of both, so behind it all sizes are the
# same. If pooling rounds down, pool5 becomes 5 × 5 in place of 6 × 6. A right count does not prove that each layer is right.
#
# **There and back.** A prototxt holds no weights. They stand in a second file, a `.caffemodel`, under the names of the layers. We make
# AlexNet a sixteenth as wide, with random weights, write both files, and read them again.

# %%
narrow = {name: layer | {key: layer[key] // 16 for key in ("filters", "units") if key in layer} for name, layer in ALEXNET.items()}
there = read(prototxt(narrow, (3, 99, 99)))
net = build_net(there.rows, there.in_shape, "narrow", seed=9)
there = replace(there, arrays=state_on_host(net))
with tempfile.TemporaryDirectory() as folder:
    files = Path(folder, "narrow.prototxt"), Path(folder, "narrow.caffemodel")
    write_prototxt(files[0], there)
    write_caffemodel(files[1], there)
    back = read_prototxt(*files)
again = build_net(back.rows, back.in_shape, "again", seed=10)
copy_state(again, back.arrays)
picture = np.random.default_rng(9).standard_normal((1, 3, 99, 99)).astype(np.float32)
assert back.arrays.keys() == there.arrays.keys() and len(back.arrays) == 16
assert all(np.array_equal(back.arrays[name], array) for name, array in there.arrays.items())
assert np.array_equal(again.forward(picture), net.forward(picture))
print("16 arrays and", again.forward(picture).size, "outputs are the same to the bit")

# %% [markdown]
# **A trap.** The paper says alpha = 0.0001, and Caffe's file says `alpha: 0.0001`. They are not the same, because Caffe divides by n = 5.
# Take five channels that are all 100. For the channel in the middle the sum of the squares is 50,000. We compute this channel in three
# ways: as Caffe means the file, with its alpha not divided, and by the paper's formula. Each is 100 divided by the power 0.75 of a
# bracket. The brackets are 1 + 0.00002 · 50,000 = 2, then 1 + 0.0001 · 50,000 = 6, and 2 + 0.0001 · 50,000 = 7.

# %%
hundred = np.full((1, 5, 1, 1), 100.0)
(caffes,) = (row for row in block.rows if row.kind == "norm")
(literal,) = change([caffes], norm1={"alpha_over_n": False})
made = [build_net([row], (5, 1, 1), "one", dtype=np.float64).forward(hundred)[0, 2, 0, 0] for row in (caffes, literal, norm("norm1"))]
say("as Caffe means it: 59.5", value=made[0], within=0.05)
say("with alpha taken literally: 26.1", value=made[1], within=0.05)
say("by the paper's formula: 23.2", value=made[2], within=0.05)
with tempfile.TemporaryDirectory() as folder:
    write_prototxt(Path(folder, "norm.prototxt"), Imported("norm", "lesson 09", (norm("norm1"),), (5, 1, 1)))
    text = Path(folder, "norm.prototxt").read_text("utf-8")
print("the paper's formula in Caffe's notation: lrn_param", *text.partition("lrn_param")[2].split()[:-1])

# %% [markdown]
# If you take alpha literally, you get less than half of the right number, and no shape and no count shows it. The other way round, the
# engine multiplies alpha by 5 when it writes the paper's formula for Caffe. So the file has 0.0005, and it has k, too.
#
# **Where to go next.** `tinyalex net FILE.prototxt` prints the table of such a file, as in part 7. `tinyalex convert` writes a net in
# another form, for example `tinyalex convert NET.prototxt,NET.caffemodel NET.onnx` (ONNX needs the package `onnx`). Netron, a free program,
# draws files of both forms. With the weights of others one more trap waits: Caffe's nets read the colors of a pixel in the order blue,
# green, red. With `rgb=True`, `read_prototxt` turns the weights of the first layer around, and the net reads red, green, blue.

# %% [markdown]
# ## 9. What people get wrong
#
# Each bold line is a mistake or a wrong belief. The text after it says why. We have no counts for these. Each comes from a public thread,
# from an article on AlexNet, or from the paper itself.
#
# **"Each convolution has no more than 1 % of the parameters"** (the paper's introduction). Two have more.

# %%
for name in ("conv3", "conv4"):
    print(f"{name}: {100 * parameters[name] / whole[0]:.2f} %")
say("conv3 has 1.45 %", value=parameters["conv3"] / whole[0], within=0.0001)

# %% [markdown]
# **"conv1 has 253,440 neurons"** (the paper's Figure 2, and those who copied it; somebody asks about it at stats.stackexchange.com,
# 132897). Its maps are 55 × 55, and there are 96 of them. 253,440 is what you get if 48, the number of maps on one card, slips into the
# place of one 55. The abstract's 650,000 fits the right number: with it the convolutions have 650,080 neurons.

# %%
say("conv1 has 290,400 neurons", value=math.prod(shapes["conv1"]), within=0)
say("the slip: 253,440", value=55 * 48 * 96, within=0)
say("with it the net would have 622,312 neurons", value=659_272 - 290_400 + 253_440, within=0)

# %% [markdown]
# **"conv1 gives 54 by 54"** (the same question, and several articles). If conv1 rounds down, 224 pixels give 54. If pool1 rounds down, too,
# it gives 26. Others conclude: "224 must be 227". One article says that the image is resized to 227. The authors did not resize: in their
# program the last window reads zeros.
#
# **"A filter of conv2 reads 96 channels"** (NVIDIA/DIGITS#1301, apache/mxnet#3348). It reads 48. Whoever forgets the groups gets another
# net:

# %%
one_group = {name: layer | {"groups": 1} if layer["type"] == "conv" else layer for name, layer in ALEXNET.items()}
say("62,378,344 parameters", value=totals(one_group)[0], within=0)
say("and 1,135,256,096 MACs", value=totals(one_group)[1], within=0)

# %% [markdown]
# **pool5 is missing** (a summary of the paper). Then fc6 would read 13 × 13 maps in place of 6 × 6:

# %%
say("fc6 alone would have 177,213,440 parameters", value=plan(list(without("pool5").values()), IMAGE)[1][-7], within=0)

# %% [markdown]
# **A MAC is one operation.** Some count a multiplication and an addition as two operations (FLOP, floating-point operation), some count
# them as one. 0.72 billion MACs are 1.45 billion FLOP. Ask which one is meant before you compare.
#
# **fc6 "sees some of the maps"** (an article on the library Caffe). It sees all 9,216 numbers. On two cards, too: lesson 10.
#
# **The "Gaussian filter" of fc8 "produces 1000 floats"** (the same article). "gaussian" is the name of the rule from which the *first*
# weights are drawn. The 1000 numbers are fc8's outputs.
#
# **"connections = F0^2 = (K^2 Kc + 1) F0 c"** (the summary in which pool5 is missing). An equals sign stands in the place of a product, and
# F0 c in the place of $F_c$. The right equation stands in part 4.4. For conv1:

# %%
say("conv1 has 105,705,600 connections", value=55**2 * (11**2 * 3 + 1) * 96, within=0)
say("all layers have 725,066,088", value=whole[1] + 659_272, within=0)

# %% [markdown]
# **"The AlexNet of a library is the AlexNet of the paper."** The best-known one is a later net of the same author, with 64 filters in
# conv1, no groups and no normalization. A lecture's table has the same conv1, with padding 2 at 227 pixels; its map is 56 wide.

# %%
edits = {"conv1": conv(64, 11, 4, 2), "conv2": conv(192, 5, padding=2), "conv4": conv(256, 3, padding=1)}
later = one_group | edits
later_shapes, later_parameters, _ = plan(list(later.values()), (3, 223, 223))  # 223: rounded up, it gives what 224 gives rounded down
say("this net has 61,100,840 parameters", value=sum(later_parameters), within=0)
say("the lecture's conv1 does 72,855,552 MACs", value=plan([edits["conv1"]], (3, 227, 227))[2][0], within=0)

# %% [markdown]
# **"Pooling comes before normalization"** (the article on the library Caffe, against its own file). In the paper conv1 and conv2 are
# followed by ReLU, normalization and pooling, in this order. A later copy of the net exchanged the last two, and says so.

# %%
names = list(ALEXNET)
print("in the paper's order:", ", ".join(names[: names.index("conv2")]))

# %% [markdown]
# **"57.1 % and 80.2 % are the paper's results"** (the same article). They are the *right* answers (top-1 and top-5) of a copy of the net,
# on the images of 2012 and with one piece of each image. The paper counts errors, on the images of 2010 and with ten pieces: 37.5 % and
# 17.0 %.
#
# **"All weights start with a standard deviation of 0.01"** (the paper itself). In the authors' program conv3, conv4 and conv5 start
# with 0.03.
#
# **"The channels double by copying"** (a lecture, about a later net). They double because the next layer has twice as many filters. A copy
# would need no weights:

# %%
say("a layer that doubles sixty-four channels: 73,856 parameters", value=plan([conv(128, 3, padding=1)], (64, 56, 56))[1][0], within=0)

# %% [markdown]
# **A side exercise: find the slip.** The same lecture counts the first layers of GoogLeNet, a net of 2014: a convolution of 64 filters,
# 7 × 7, that reads the 3 channels of the image and gives 112 × 112; pooling, 3 × 3, to 56 × 56; then 64 filters of 1 × 1, and 192 filters
# of 3 × 3 that read the maps of these 64; pooling, 3 × 3, to 28 × 28. It says 418 million MACs. An article on the lecture says that its
# author did not see how this number is computed. Count the convolutions with part 4.3. Then add 9 comparisons for each number that a
# pooling layer gives:

# %%
stem = [64 * 3 * 7**2 * 112**2, 64 * 64 * 56**2, 192 * 64 * 3**2 * 56**2]
print("millions of MACs:", [round(m / 1e6, 1) for m in stem])
say("in all 477.7 million", value=sum(stem) / 1e6, within=0.05)
pools = 9 * (64 * 56**2 + 192 * 28**2)
say("with the comparisons of its two pooling layers 481 million", value=(sum(stem) + pools) / 1e6, within=0.5)

# %% [markdown]
# So 418 is most likely a 481 in which two digits changed places.
#
# More of them stand in `lessons/MISCONCEPTIONS.md`.
#
# ### Summary
#
# A convolution uses each weight once in every window, a fully connected layer uses it once. Therefore the three fully connected layers of
# AlexNet hold 96 % of its 61 million parameters, and the five convolutions do 92 % of its 724 million multiplications. Most of the memory
# for activities belongs to the first two layers. Strides multiply, so a number of the last pooling layer sees up to 195 of the 224
# pixels of a line. All of this follows from a list of layers and the equations of parts 3 and 4.5.
#
# ### Read on
#
# - The engine: `PAPER` in `tinyalex/models/alexnet.py`, `walk` in `tinyalex/models/rows.py`, `count` in `tinyalex/analysis/count.py`,
#   `receptive_fields` in `tinyalex/analysis/receptive.py`. `tinyalex train --net alexnet --data FOLDER` trains the net on a folder of
#   your own pictures, one folder for each class.
# - Exercise: `tutor.check("E11", plan)`, 25 minutes.
# - Next: lesson 10, two devices, where the net is cut in two and a gradient comes back from the other side.
#
# Two questions to write about, a few sentences each:
#
# 1. Somebody doubles height and width of the images, to 448 × 448, and leaves the list of layers as it is. Which layers get more
#    parameters, and which get more MACs? By which factor, about? Where would you change the list?
# 2. The paper uses dropout in fc6 and fc7 alone. Look at the three bars. Why there, and not in the convolutions?
