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
# # 07  SGD as section 5 writes it
#
# Paper section 5, about 75 minutes, needs lessons 00, 01, 02 and 06, holds exercise E09. It can be read before lesson 03.
#
# Afterwards you can write the paper's step of gradient descent, say what momentum and weight decay do to it, and say how two other forms
# with the same name differ from it.

# %%
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.data import synthetic_dataset
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import fast, say, show

# %% [markdown]
# ## 1. The paper's sentence
#
# > "We trained our models using stochastic gradient descent with a batch size of 128 examples, momentum of 0.9, and weight decay of
# > 0.0005."
#
# (Section 5.) A gradient says how the loss changes if a weight moves. Lessons 01 and 02 moved each weight by minus a rate times its
# gradient. The paper moves its weights by a rule with more terms, which is the subject of this lesson. One such move of all weights is a
# **step**. A step uses the gradient of one **batch**: some images, drawn at random, here 128. "Stochastic" means that chance has a part in
# it. **SGD** is short for stochastic gradient descent.
#
# Soon after this sentence the paper writes the step as two lines. We take them apart in this lesson. Names such as BVLC/caffe#327 stand
# for threads on GitHub: the project, and the number of the thread.

# %% [markdown]
# ## 2. Predict
#
# Run the cells, and replace each guess by your own before you read on. The words of the questions: the **learning rate** is the small
# factor that lesson 01 called rate. The **velocity** is the move that a weight makes in a step. With a **momentum** of 0.9 this move is 0.9
# times the last move, minus the learning rate times the gradient. **PyTorch** is a well-known library, whose step has another form than the
# paper's. It keeps a number u for each weight: in each step u becomes 0.9 times u, plus the gradient. The move is minus the learning rate
# times this new u.

# %% tags=["predict"]
predict("07-a", 2)

# %% tags=["predict"]
predict("07-b", 1)

# %% tags=["predict"]
predict("07-c", 90)

# %% [markdown]
# ## 3. The equation
#
# | letter | in the code | in the paper | what it is |
# |---|---|---|---|
# | w | weight | w | a parameter: all weights of a layer, or all its biases |
# | g | grad | $\langle \dots \rangle_{D_i}$ | the gradient of the loss of the batch with respect to w: dweight, or dbias |
# | v | velocity | v | the last move of w; it starts as zeros |
# | $\eta$ | lr | $\epsilon$ | the **learning rate**, 0.01 at first |
# | $\mu$ | momentum | 0.9 | how much of the last move is kept |
# | $\delta$ | weight_decay | 0.0005 | how strongly each weight is drawn to 0 |
#
# w, g and v have the same shape. (The Greek letters are read eta, mu and delta, and the paper's is read epsilon. The paper's angle brackets
# mean the average, over the batch $D_i$, of the derivative that stands between them.) The paper's two lines are
#
# $$\begin{array}{rll}
# v_{t+1} &= \mu\,v_t - \delta\,\eta\,w_t - \eta\,g_t & \quad \text{the shape of } w \\
# w_{t+1} &= w_t + v_{t+1} & \quad \text{the shape of } w
# \end{array}$$
#
# t counts the steps. Everything is done element by element: each weight has its own velocity and knows nothing of the others. g is taken
# at $w_t$, the weights *before* the step. It is the gradient of the **mean** loss of the batch.

# %% [markdown]
# ## 4. The derivation
#
# ### 4.1 Why minus the gradient
#
# Take the simplest step first: no momentum, no decay, so v = $-\eta\,g$. Lesson 00 says what the slope is good for: if w moves by a
# small v, the loss L changes by about the sum of slope times move over all weights. This sum is the dot product of g and v.
# In geometry a dot product is the two lengths times the cosine of the angle between them. The length |g| is the root of the sum of the
# squares of all elements of g.
#
# $$L(w + v) - L(w) \approx \sum_i g_i\,v_i = |g|\;|v|\;\cos(\text{angle})$$
#
# Take all moves v of the same length. The loss falls most where the cosine is -1. Then v points exactly against g. With v = $-\eta\,g$ the
# loss changes by about $-\eta\,|g|^2$. This is never positive. But it is true for **small** steps only, and 4.4 shows what a large one
# does.
#
# ### 4.2 Why a batch
#
# The loss that we mean is the mean over all 1.2 million images from which AlexNet learns. Its gradient costs 1.2 million forward and
# backward passes, and then w moves once. The gradient of a batch of B images is a mean too, over B of them. If the images are drawn at
# random, this gradient is right on average, but each batch gives another one. We call their standard deviation the **scatter**. How large
# is it? For independent numbers the variances add (the variance is the square of the standard deviation). So the sum of B numbers has
# B times the variance of one number, and $\sqrt{B}$ times its standard deviation. The mean is this sum divided by B. So its scatter is
# $\sqrt{B} / B = 1 / \sqrt{B}$ of that of one image. With 4 times as many images, the scatter is halved. Part 8 measures this.
#
# Because g is a mean and not a sum, its size does not depend on B. The division by B is already in the gradient of the loss (lesson 06).
# It must not be done here again.
#
# ### 4.3 What momentum does
#
# Leave the decay out for now. On the right of the first line stands the old velocity. We replace it by what the line of the step before
# says, and we do so again for each step. $v_0$ is 0.
#
# $$\begin{array}{rll}
# v_1 &= -\eta\,g_0 & \quad \text{the line, with } v_0 = 0 \\
# v_2 &= \mu\,v_1 - \eta\,g_1 = -\eta\,(g_1 + \mu\,g_0) & \quad \text{with the } v_1 \text{ above} \\
# v_3 &= \mu\,v_2 - \eta\,g_2 = -\eta\,(g_2 + \mu\,g_1 + \mu^2\,g_0) & \quad \text{with the } v_2 \text{ above} \\
# v_t &= -\eta\,\sum_{k=0}^{t-1} \mu^k\,g_{t-1-k} & \quad \text{each step multiplies the old ones by } \mu
# \end{array}$$
#
# So the velocity is a sum over all old gradients. A gradient that is k steps old has the factor $\mu^k$: with $\mu$ = 0.9 this is 0.35
# after ten steps and 0.005 after fifty. Two cases show what such a sum is good for.
#
# **The gradient stays the same**, g in each step. After many steps the sum is $g\,(1 + \mu + \mu^2 + \dots)$. Call the bracket S.
# Multiply S by $\mu$: the 1 becomes $\mu$, $\mu$ becomes $\mu^2$, and so on. These are the terms of S without the 1 at the beginning. So
# $\mu S = S - 1$, and with $\mu$ = 0.9
#
# $$S = \frac{1}{1 - \mu} = 10 \qquad\qquad v = -10\,\eta\,g$$
#
# **The gradient changes its sign at each step**: g, -g, g and so on. If the newest one is g, the sum is g times
# S = $1 - \mu + \mu^2 - \dots$ Multiply by $-\mu$, and again only the 1 is missing: $-\mu S = S - 1$. So
#
# $$S = \frac{1}{1 + \mu} = 0.526$$
#
# If a gradient keeps its direction, momentum makes the moves ten times as large. If it goes to and fro, momentum halves the moves.

# %%
v = 0.0
for _ in range(200):
    v = 0.9 * v - 1  # in units of the learning rate, with a gradient of 1
say("a steady gradient: the velocity grows to -10", value=v, within=1e-6)
reveal("07-a")

v = 0.0
for t in range(200):
    v = 0.9 * v - (-1) ** t
say("to and fro: it stays at 0.526", value=abs(v), within=0.001)

say("the last ten gradients make 65 % of the sum", value=sum(0.9**k for k in range(10)) / 10, within=0.005)
reveal("07-c")

# %% [markdown]
# ### 4.4 How large may the learning rate be?
#
# Near its lowest point a loss looks like a valley. In one direction it is flat, in another one it is steep. At the lowest point all slopes
# are 0, so the first terms of Taylor's formula (lesson 00) that matter are the squares. We take the simplest valley, with two weights. In
# this part they are called x and y, and x is no image:
#
# $$L(x, y) = \frac{1}{2} \left( a\,x^2 + b\,y^2 \right) \qquad\qquad \text{gradient } (a\,x,\; b\,y)$$
#
# a and b are two positive numbers. They say how steep the valley is: let b be the larger one, so y is the steep direction.
#
# **Without momentum** a step gives $x - \eta\,a\,x = (1 - \eta a)\,x$. So each step multiplies x by $1 - \eta a$, and y by $1 - \eta b$. A
# weight goes to 0 if its factor is between -1 and 1. For y this means that **$\eta b$ is below 2**. So the steep direction sets the limit.
# The flat direction has the same learning rate: if b is 100 times a, then $\eta a$ is below 0.02, and x shrinks by less than 2 % in a step.
#
# **With momentum** we write both lines of the step as one. The last move was $v_t = x_t - x_{t-1}$, so
#
# $$x_{t+1} = x_t + \mu\,(x_t - x_{t-1}) - \eta\,a\,x_t$$
#
# Without momentum each step multiplied x by the same number. So we ask whether there is such a number r here too: we try $x_t = r^t$.
#
# $$\begin{array}{rll}
# r^{t+1} &= r^t + \mu\,(r^t - r^{t-1}) - \eta\,a\,r^t & \quad r^t \text{ put in for } x_t \\
# r^2 &= r + \mu\,(r - 1) - \eta\,a\,r & \quad \text{divided by } r^{t-1} \\
# 0 &= r^2 - (1 + \mu - \eta a)\,r + \mu & \quad \text{all terms on one side}
# \end{array}$$
#
# This quadratic equation has two roots, $r_1$ and $r_2$. So there are two such powers. Each term of the equation is an x times a number. So
# if two paths obey the equation, their sum obeys it too, and so does a path times a constant. Therefore the path is a sum of the two
# powers, each times a constant, and the two constants make it begin at the right place with the right velocity. Multiply out
# $(r - r_1)(r - r_2)$, and compare with the equation. The last number is $r_1 r_2$, so **the product of the roots is $\mu$**. The number
# before r is $-(r_1 + r_2)$, so the sum of the roots is $1 + \mu - \eta a$.
#
# When the number under the square root of the formula for $r$ is negative, the roots are not real. They are a complex number and its mirror
# image, and both have the same size. (The size of a complex number is its distance from 0. If you have not met complex numbers, believe the
# sizes that are printed below.) The product of the two sizes is $\mu$, so **each has the size $\sqrt{\mu}$ = 0.949**, whatever $a$ is. Then
# x swings from one side to the other, and its swings shrink by 5 % in a step. So the flat direction is no longer slow.
#
# For which $\eta a$ is this so? The number under the square root is negative if $(1 + \mu - \eta a)^2$ is below $4 \mu$. With $\mu$ = 0.9
# this means: $\eta a$ is between 0.0026 and 3.797.
#
# The limit moves, too. If $\eta b$ is above 3.797, both roots are real and negative. For y, their sum is $1 + \mu - \eta b$. It is
# negative, and its size grows with $\eta b$. Their product is still 0.9. So one of them grows in size and the other one shrinks. The limit
# is where the growing one reaches -1. Put r = -1 in:
#
# $$1 + (1 + \mu - \eta b) + \mu = 0 \qquad\text{so}\qquad \eta b = 2\,(1 + \mu)$$
#
# With $\mu$ = 0.9 this is 3.8, where it was 2 without momentum. So the learning rate may be nearly twice as large.

# %%
for rate_times_a in (0.001, 0.01, 1.0, 3.7, 3.9):
    roots = np.roots([1, -(1.9 - rate_times_a), 0.9])
    kind = "real" if np.isreal(roots).all() else "not real"
    print(f"learning rate times a = {rate_times_a}: the larger root has the size {abs(roots).max():.3f}, the roots are {kind}")

# %% [markdown]
# ### 4.5 What weight decay does
#
# To decay means to become smaller by itself. Where does the term $-\delta\,\eta\,w$ come from? Add to the loss half of $\delta$ times the
# sum of all squared weights. Then large weights make the loss larger. The gradient of $\frac{\delta}{2} w^2$ is $\delta w$. So g becomes
# $g + \delta w$, and the step without decay becomes
#
# $$\mu\,v - \eta\,(g + \delta\,w) = \mu\,v - \delta\,\eta\,w - \eta\,g$$
#
# This is the paper's first line. The decay **is** a gradient: it goes through the velocity like any other gradient. It has the factor
# $\eta$, too. When the learning rate falls, the decay falls with it.
#
# How fast does a weight shrink that no image needs? For such a weight g is 0, and only $\delta w$ is left. This gradient hardly changes
# from step to step, so by 4.3 momentum makes the moves ten times as large: w loses about $10\,\delta\,\eta\,w$ in each step. With $\delta$
# = 0.0005 and $\eta$ = 0.01 this is 0.00005 w. Half of the weight is left when $(1 - 0.00005)^t = 0.5$. Take logarithms: t = log 0.5 / log
# 0.99995, which is about 13,860 steps.

# %% [markdown]
# ### 4.6 Two other forms
#
# Caffe and PyTorch are libraries for neural nets. They write the step in other ways. Caffe keeps the velocity with the opposite sign,
# h = -v:
#
# $$h_{t+1} = \mu\,h_t + \eta\,(g_t + \delta\,w_t) \qquad\qquad w_{t+1} = w_t - h_{t+1}$$
#
# Put h = -v in, and both are the paper's lines. **They are the same, always.** PyTorch collects gradients without the learning rate, in an
# array u that it calls a buffer:
#
# $$u_{t+1} = \mu\,u_t + g_t + \delta\,w_t \qquad\qquad w_{t+1} = w_t - \eta\,u_{t+1}$$
#
# Is this the same? As long as $\eta$ is one number, yes: multiply the first line by $-\eta$, and $-\eta u$ obeys the paper's line. But
# look at 4.3 again with a learning rate that changes; $\eta_t$ is the rate of step t. In the paper each old gradient keeps **the rate of
# its own step**:
#
# $$v_t = -\sum_{k=0}^{t-1} \mu^k\,\eta_{t-1-k}\,(g_{t-1-k} + \delta\,w_{t-1-k})$$
#
# In PyTorch's form the **present** rate multiplies all of them. When the rate is divided by 10 and the gradient is steady, PyTorch's next
# move is at once a tenth of the last one. The paper's velocity still holds the old rate. With $\mu$ = 0.9 a third of it is left after ten
# steps, because $0.9^{10}$ is 0.35. To make PyTorch's form do the same as the paper's, multiply u by the old rate over the new rate
# whenever the rate changes.
#
# ### 4.7 The engine's line
#
# With names for the letters, our two lines are those of the engine's docstring in `tinyalex/optim.py`. There dL/dw is the gradient g:
#
#     v <- momentum * v - weight_decay * lr * w - lr * dL/dw,  w <- w + v.

# %% [markdown]
# ## 5. Twenty lines of your own
#
# Write `sgd_step(weight, grad, velocity, lr, momentum, weight_decay)`. The first three are arrays of one shape, the others are numbers. It
# returns the new weight as a new array, and leaves weight and grad as they are. It **changes velocity in place**: after the call the array
# that was given holds the new velocity, because the next step needs it. This is exercise **E09**, about 15 minutes. Then, in a cell of your
# own, write `from tinyalex import tutor` and ask `tutor.check("E09", sgd_step)`. Do this before you open the next cell.


# %% tags=["solution", "exercise:E09"]
def sgd_step(weight, grad, velocity, lr, momentum, weight_decay):
    velocity *= momentum  # in place: `velocity = momentum * velocity` would make a new array, and the caller would not see it
    velocity -= weight_decay * lr * weight
    velocity -= lr * grad
    return weight + velocity


# %% [markdown]
# And here are the two other forms of 4.6, for comparison.


# %%
def caffe_step(weight, grad, history, lr, momentum, weight_decay):
    history *= momentum
    history += lr * (grad + weight_decay * weight)
    return weight - history


def pytorch_step(weight, grad, buffer, lr, momentum, weight_decay):
    buffer *= momentum
    buffer += grad + weight_decay * weight
    return weight - lr * buffer


# %% [markdown]
# ## 6. Prove it
#
# **The slope along the step.** 4.1 says: a step with a small learning rate changes the loss by $-|g|^2$ times this rate. So $-|g|^2$ is the
# slope of the loss with respect to the learning rate, at the rate 0. We measure it with the centered difference of lesson 00. For this we
# need a loss whose gradient we know. We take
#
# $$L(w) = \frac{1}{2} \sum_{i,j} w_i\,A_{ij}\,w_j \qquad\qquad g = A\,w$$
#
# where w and g have the shape (7,), and A is a table of the shape (7, 7) with $A_{ij} = A_{ji}$. Each $w_i$ stands in the sum twice, on the
# left and on the right. The two uses give the same slope, and this cancels the half.

# %%
rng = np.random.default_rng(7)
A = rng.standard_normal((7, 7))
A = A @ A.T  # now A[i, j] is A[j, i]; and L is half of a sum of squares, so it is never negative


def loss(w):
    return 0.5 * w @ A @ w


def measured_slope(f, at, h):
    return (f(at + h) - f(at - h)) / (2 * h)


w = rng.standard_normal(7)
g = A @ w
for i in range(7):  # first we prove that g is the gradient: the slope along each w[i]
    one = np.eye(7)[i]  # 1 at i, else 0
    assert abs((loss(w + 1e-5 * one) - loss(w - 1e-5 * one)) / 2e-5 - g[i]) < 1e-6
slope = measured_slope(lambda lr: loss(sgd_step(w, g, np.zeros(7), lr, 0.9, 0.0)), 0, 1e-5)
assert abs(slope + g @ g) < 1e-5
print(f"the slope of the loss along the first step is {slope:.4f}, and -|g|^2 is {-g @ g:.4f}")

# %% [markdown]
# **The sum over old gradients.** With rates that change and with decay, the velocity must be the sum of 4.6.

# %%
rates = [0.02, 0.02, 0.002, 0.01, 0.002]
w, v, old = rng.standard_normal(7), np.zeros(7), []
for lr in rates:
    g = A @ w
    old.append(lr * (g + 0.0005 * w))
    w = sgd_step(w, g, v, lr, 0.9, 0.0005)
assert np.abs(v + sum(0.9**k * old[-1 - k] for k in range(len(old)))).max() < 1e-12
print("five steps with three rates: the velocity is the sum of 4.6, to 1e-12")

# %% [markdown]
# **Exactly, without rounding.** `Fraction` computes with exact fractions (lesson 00). After t steps with the same gradient g and no decay,
# the S of 4.3 has t terms: $1 + \mu + \dots + \mu^{t-1}$. If we multiply it by $\mu$, the 1 is missing and $\mu^t$ is new:
# $\mu S = S - 1 + \mu^t$. So S = $(1 - \mu^t) / (1 - \mu)$, and $v_t$ must be $-\eta\,g\,S$.

# %%
eta, mu = Fraction(1, 100), Fraction(9, 10)
w, g, v = np.array([Fraction(3), Fraction(-1, 7)]), np.array([Fraction(2, 3), Fraction(5)]), np.array([Fraction(0)] * 2)
for t in range(1, 31):
    w = sgd_step(w, g, v, eta, mu, Fraction(0))
    assert all(v == -eta * g * (1 - mu**t) / (1 - mu))
print("30 steps with fractions: equal, with == and without a tolerance")

# %% [markdown]
# ## 7. The same as the engine
#
# The engine's class is `SGD` in `tinyalex/optim.py`. Its method `step` updates all parameters of a net, and then sets the gradients to
# zero. Momentum 0.9 and weight decay 0.0005 are its defaults. We take a net with a single layer of 3 units (a **unit** is a neuron) and 5
# inputs, give it the same gradients as our own step, and change the learning rate on the way.

# %%
import tinyalex as ta

net = ta.Sequential([ta.Linear(5, 3, rng=np.random.default_rng(0), dtype=np.float64)])
layer, sgd = net.layers[0], ta.SGD(net, lr=0.01)
ours = {key: array.copy() for key, array in layer.params.items()}
velocities = {key: np.zeros_like(array) for key, array in ours.items()}
for t in range(40):
    sgd.lr = 0.01 if t < 20 else 0.001
    for key in ours:
        grad = rng.standard_normal(ours[key].shape)
        layer.grads[key][...] = grad
        ours[key] = sgd_step(ours[key], grad, velocities[key], sgd.lr, 0.9, 0.0005)
    sgd.step()
    assert all(np.abs(ours[key] - layer.params[key]).max() < 1e-12 for key in ours)
print("40 steps, weight and bias, rate 0.01 and then 0.001: equal to the engine's, to 1e-12")

# %% [markdown]
# In this comparison the biases decay as well, as the paper's equation says. The authors' program did otherwise: its biases had twice the
# learning rate and no decay. In the engine this is `SGD(net, multipliers={"*.bias": (2, 0)})`.

# %% [markdown]
# ## 8. Experiment
#
# ### A valley
#
# We take the valley of 4.4 with a = 1 and b = 100. Without momentum the limit for the learning rate is 2/100 = 0.02. We go 60 steps with a
# rate a little below it, 30 steps with a rate a little above it, and 60 steps with the first rate and momentum. The gray ovals in the
# picture are contour lines: on each of them the loss is the same everywhere. Afterwards we print which share of the distance to the lowest
# point is left at the end of a path.


# %%
def path(lr, momentum, steps, start=(-8.0, 0.5), steepness=(1.0, 100.0)):
    w, v, places = np.array(start), np.zeros(2), [np.array(start)]
    for _ in range(steps):
        w = sgd_step(w, np.array(steepness) * w, v, lr, momentum, 0.0)
        places.append(w)
    return np.array(places)


paths = {"rate 0.018": path(0.018, 0.0, 60), "rate 0.0205": path(0.0205, 0.0, 30), "rate 0.018, momentum 0.9": path(0.018, 0.9, 60)}
x, y = np.meshgrid(np.linspace(-9, 6, 150), np.linspace(-2.5, 2.5, 101))
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ax.contour(x, y, 0.5 * (x**2 + 100 * y**2), levels=[2, 10, 32, 120], colors="#BBBBBB", linewidths=1)
styles = (("#E69F00", "s"), ("#6E6E6E", "^"), ("#0072B2", "o"))
for (name, places), (color, marker) in zip(paths.items(), styles, strict=True):
    ax.plot(*places.T, marker=marker, markersize=3.5, linewidth=1, color=color, label=name)
ax.plot(0, 0, "*", color="black", markersize=12, label="the lowest point")
ax.set(xlabel="x, the flat direction", ylabel="y, the steep direction", xlim=(-9, 6), ylim=(-2.5, 2.5))
ax.legend(loc="lower right", fontsize=9)
show(fig, alt="Three paths over the ellipses of a valley that is flat in x and steep in y. A star marks its lowest point, at 0. All start "
     "at x = -8, y = 0.5. With rate 0.018 the path jumps from side to side, each time less, and then creeps along y = 0 to x = "
     "-2.7. With rate 0.0205 it jumps farther each time, up to y = 2, and is at x = -4.3. With momentum it winds past the star "
     "to x = 2.2, turns, and ends in a cluster of points beside it.")  # fmt: skip
left = {name: np.linalg.norm(places[-1]) / np.linalg.norm(places[0]) for name, places in paths.items()}  # norm: the length
say("first path: 34 % of the distance is left", value=left["rate 0.018"], within=0.005)
say("path with momentum: 2 % is left", value=left["rate 0.018, momentum 0.9"], within=0.005)

# %% [markdown]
# This is what 4.4 says. With the rate 0.018 each step multiplies y by 1 - 1.8 = -0.8: the path jumps from side to side, and y goes to 0.
# Each step multiplies x by 1 - 0.018 = 0.982, and $0.982^{60}$ is 0.34. With the rate 0.0205 y is multiplied by -1.05, and so it grows.
# With momentum both x and y swing, and their swings shrink by 5 % in a step. $0.949^{60}$ is 0.04. How much is left also depends on where
# in their swings x and y are at step 60.
#
# Could another learning rate help the path without momentum? We try a hundred of them.

# %%
best = min(np.linalg.norm(path(lr, 0.0, 60)[-1]) for lr in np.linspace(0.001, 0.03, 100)) / np.linalg.norm([-8.0, 0.5])
say("with the best of a hundred rates without momentum 30 % is left", value=best, within=0.01)

# %% [markdown]
# ### What happens when the learning rate falls
#
# Section 5 says that the authors divided the rate by 10 when the validation error stopped improving. (This is the error on images that
# are not used for learning.) They did this three times. We do it once, at step 90, with a gradient that stays 1.


# %%
def moves(step, steps=130, cut=90):
    w, state, sizes = np.zeros(1), np.zeros(1), []
    for t in range(steps):
        new = step(w, np.ones(1), state, 0.01 if t < cut else 0.001, 0.9, 0.0)
        sizes.append(abs(new - w)[0])
        w = new
    return np.array(sizes)


fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for step, name, color, style in ((sgd_step, "the paper's", "#0072B2", "-"), (caffe_step, "Caffe's", "#E69F00", ":"),
                                 (pytorch_step, "PyTorch's", "#C04A00", "--")):  # fmt: skip
    ax.plot(100 * moves(step), style, color=color, linewidth=3 if style == ":" else 2, label=name)
ax.axvline(90, color="black", linewidth=0.8)
ax.text(91, 9.5, "rate divided by 10", fontsize=10, va="top")
ax.set(xlabel="step", ylabel="size of the move, in units of 0.01", ylim=(0, 10.5))
ax.legend(loc="center right")
show(fig, alt="The size of the moves over 130 steps with a gradient that stays 1, in units of the rate 0.01. All three forms rise "
     "together from 1 to 10 within 50 steps. At step 90 the rate is divided by 10. PyTorch's form falls at once from 10 to 1. "
     "The paper's and Caffe's, one line on the other, fall on a curve: to 4 after ten steps, and to 1.1 after forty.")  # fmt: skip
assert np.abs(moves(sgd_step) - moves(caffe_step)).max() < 1e-12 and np.abs(moves(sgd_step)[:90] - moves(pytorch_step)[:90]).max() < 1e-12
ratio = moves(sgd_step)[90:100].sum() / moves(pytorch_step)[90:100].sum()
say("in the ten steps after the cut the paper's form goes 6.28 times as far", value=ratio, within=0.01)
reveal("07-b")

# %% [markdown]
# Neither form is wrong. But a recipe (the learning rates, and when they change) that was found with one of them may not do the same with
# the other.
#
# ### How much does a batch scatter?
#
# We take a net with one layer and softmax (lesson 06), and synthetic images of ten classes, drawn by a program (lesson 01). The net has not
# learned anything yet: its weights are zeros, so each p is 0.1. We draw many batches, take the gradient of each, and measure the scatter of
# 4.2. The images are made smaller, 16 by 16 pixels: each of the new pixels is the mean of 2 by 2 old ones.

# %%
data = synthetic_dataset(2000, 100)
images = data.train_images.reshape(2000, 3, 16, 2, 16, 2).mean(axis=(3, 5)).reshape(2000, -1)  # (N, 768)
pixels = (images - images.mean(axis=0)).astype(np.float32)  # the mean image is subtracted, section 2 of the paper
labels = data.train_labels
print(f"{data.note}: {len(pixels)} images of {pixels.shape[1]} numbers, standard deviation {pixels.std():.0f}")


def scatter(batch, draws):
    """The standard deviation of the gradient over many batches, on average over its elements."""
    gradients = []
    for _ in range(draws):
        chosen = rng.integers(2000, size=batch)
        d = (np.full((batch, 10), 0.1) - np.eye(10)[labels[chosen]]) / batch  # p minus one-hot, and p is 0.1
        gradients.append(d.T @ pixels[chosen])
    return np.std(gradients, axis=0).mean()


# fast(200, 60) is 200; only a quick test of the lesson takes 60
scatters = {batch: scatter(batch, fast(200, 60)) for batch in (8, 32, 128)}
print({batch: round(float(value), 2) for batch, value in scatters.items()})
say("four times the images make the scatter 0.5 times as large", value=scatters[32] / scatters[8], within=0.04)
say("four times once more: 0.5", value=scatters[128] / scatters[32], within=0.04)

# %% [markdown]
# A batch that is 16 times as large costs 16 times as much work, and the scatter of its gradient is a quarter, and not a sixteenth. For the
# same work one can make 16 steps with the small batch. While w changes little, the mean of their gradients scatters as little as the
# gradient of the large batch, and together they move w 16 times as far. So many steps with small batches bring more than one step with all
# images.
#
# ### What do the first biases do?
#
# Section 5 says that some biases start at 1: "This initialization accelerates the early stages of learning by providing the ReLUs with
# positive inputs." (Initialization means: how the parameters are set before the first step.) The authors of Caffe built the same net, and
# reported that biases of 1 gave a training loss that stays flat. They took 0.1 (BVLC/caffe#327). Who is right? We train a small net with
# three hidden layers of 100 ReLUs, in two settings:
#
# - "As in 2012": pixels of 0 to 255 minus their mean, first weights with a standard deviation of 0.01, learning rate 0.01.
# - "Other scale": pixels divided so that their standard deviation is 1, first weights with a standard deviation of 0.03, learning
#   rate 0.15.
#
# In both, the momentum is 0.9, there is no decay, and the biases of the hidden layers start at 0, at 0.1 or at 1. Each net learns three
# times, each time from other first weights and with other batches. The picture shows the first time, and the numbers below it are means
# over the three.


# %%
def train(x, std, lr, bias, steps, seed):
    """The loss of each batch, and the share of positive outputs in the last hidden layer. std: of the first weights."""
    rng = np.random.default_rng(seed)
    sizes = (768, 100, 100, 100, 10)
    params = []
    for below, above in zip(sizes, sizes[1:], strict=False):
        params += [(std * rng.standard_normal((above, below))).astype(np.float32), np.full(above, bias if above > 10 else 0.0, np.float32)]
    velocities = [np.zeros_like(p) for p in params]
    losses, positive = [], []
    for _ in range(steps):
        chosen = rng.integers(2000, size=100)
        h = [x[chosen]]
        for k in range(4):  # forward, lesson 01
            z = h[k] @ params[2 * k].T + params[2 * k + 1]
            h.append(np.maximum(z, 0) if k < 3 else z)
        z = h[4] - h[4].max(axis=1, keepdims=True)
        total = np.exp(z).sum(axis=1, keepdims=True)
        losses.append((np.log(total[:, 0]) - z[np.arange(100), labels[chosen]]).mean())
        positive.append((h[3] > 0).mean())
        d = (np.exp(z) / total - np.eye(10, dtype=np.float32)[labels[chosen]]) / 100  # lesson 06
        grads = [None] * 8
        for k in (3, 2, 1, 0):  # backward, lesson 02
            grads[2 * k], grads[2 * k + 1] = d.T @ h[k], d.sum(axis=0)
            d = (d @ params[2 * k]) * (h[k] > 0)  # the last d, at k = 0, is not used
        params = [sgd_step(p, g, v, lr, 0.9, 0.0) for p, g, v in zip(params, grads, velocities, strict=True)]
    return np.array(losses), np.array(positive)


def smooth(losses):
    return np.convolve(losses, np.full(10, 0.1), "valid")  # means of ten batches


seeds = range(fast(3, 1))
settings = {"as in 2012": (pixels, 0.01, 0.01, 150), "other scale": (pixels / pixels.std(), 0.03, 0.15, 150)}
runs = {(name, bias): [train(x, std, lr, bias, steps, seed) for seed in seeds]
        for name, (x, std, lr, steps) in settings.items() for bias in (0.0, 0.1, 1.0)}  # fmt: skip

# %%
fig, axes = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained", sharey=True)
for ax, name in zip(axes, settings, strict=True):
    for bias, color, style in ((0.0, "#6E6E6E", ":"), (0.1, "#E69F00", "--"), (1.0, "#0072B2", "-")):
        for losses, _ in runs[name, bias][:1]:
            ax.plot(smooth(losses), style, color=color, linewidth=2, label=f"biases {bias:g}")
    ax.set(xlabel="step", ylabel="loss, mean of 10 batches" if name == "as in 2012" else "")
    ax.set_title(name, fontsize=11)
axes[0].legend(fontsize=9, loc="lower left")
show(fig, alt="Training loss of a net with three hidden layers, with first biases of 0, 0.1 and 1, over 140 steps. Left, as in 2012: all "
     "begin at 2.3. The net with biases 1 comes down first, to 1.5 at step 75, the net with 0.1 next, the net with 0 last. Two "
     "of them rise once more before they go on down. They end at 0.9 for biases 1, 1.2 for 0.1 and 1.1 for 0. Right, other "
     "scale: the nets with biases 0 and 0.1 come down in waves to 1.3 and 1.2. The net with biases 1 begins at 2.4 and stays "
     "at 2.3 from step 6 to the end.")  # fmt: skip


def first_below(losses, bound=2.2):
    return int(np.argmax(smooth(losses) < bound))


def steps_needed(bias):
    return np.mean([first_below(losses) for losses, _ in runs["as in 2012", bias]])


print("as in 2012: how many steps until the loss is below 2.2?")
say("biases of zero: 80", value=steps_needed(0.0), within=8)
say("biases of a tenth: 66", value=steps_needed(0.1), within=8)
say("biases of one: 53", value=steps_needed(1.0), within=8)
first = {bias: np.mean([positive[0] for _, positive in runs["as in 2012", bias]]) for bias in (0.0, 1.0)}
say("before the first step 50 % of the last hidden layer is positive with biases of zero", value=first[0.0], within=0.05)
say("and 100 % with biases of one", value=first[1.0], within=0.01)

print("other scale: the mean loss of the last 20 steps, and the share of positive outputs in the last hidden layer at step 40")
ends = {bias: np.mean([losses[-20:].mean() for losses, _ in runs["other scale", bias]]) for bias in (0.0, 0.1, 1.0)}
alive = {bias: np.mean([positive[40] for _, positive in runs["other scale", bias]]) for bias in (0.0, 0.1, 1.0)}
print({bias: (round(float(ends[bias]), 2), f"{alive[bias]:.0%}") for bias in ends})
say("biases of one: the loss stays at 2.305", value=ends[1.0], within=0.01)
say("and 0 % of the last hidden layer is positive", value=alive[1.0], within=0.02)

# %% [markdown]
# **Both can be right.** With the scale and the learning rate of 2012 the paper's sentence is true here: the larger the first biases, the
# sooner the loss falls. With biases of 0 about half of the ReLUs of the last hidden layer give 0 at first. With biases of 1 every output of
# the last hidden layer is positive, so each ReLU lets its gradient through.
#
# At the other scale the net with biases of 1 learns nothing. The share of positive outputs shows the reason. With biases of 1 the outputs
# of the last hidden layer are about 1 for every image. They hardly tell the images apart, and times random weights they only make the loss
# larger (2.4 in the picture). So batch after batch asks for smaller outputs of this layer. These moves add up (4.3), and the rate is 15
# times as large: in about twelve steps the outputs fall from 1 to 0 for nearly all images, and they stay there. A unit that is 0 for all
# images has the slope 0, so it gets no gradient that could bring it back. Such a unit is called **dead**. Then no weight of the net gets a
# gradient, and only the last biases still learn. They can say how often each class occurs. The ten classes occur equally often, so the loss
# is log 10 = 2.303. The loss of a batch scatters around it.
#
# Biases, the scale of the inputs, the standard deviation of the first weights and the learning rate belong together. If you change one of
# them, look at the others again. This is a small net and a synthetic set. It shows what *can* happen, and it does not prove
# that the same happened in Caffe's net.
#
# ### How long does a useless weight live?
#
# We let one weight shrink, without any gradient, with the numbers of the paper. 4.5 said: 13,860 steps. (At first the velocity is 0, so it
# takes a little longer.)

# %%
w, v, t = np.ones(1), np.zeros(1), 0
while w[0] > 0.5:
    w, t = sgd_step(w, np.zeros(1), v, 0.01, 0.9, 0.0005), t + 1
say("half of a weight is left after 13,870 steps", value=t, within=20)
epochs = t / (1_200_000 / 128)  # an epoch is once through all images
say("that is 1.48 epochs, with the images and the batches of the paper", value=epochs, within=0.01)

# %% [markdown]
# The paper goes about 90 times through its images, so this decay is not small. At the last learning rate, 0.00001, the same weight would
# need a thousand times as many steps: hardly anything decays any more.

# %% [markdown]
# ## 9. What people get wrong
#
# Each bold line is a mistake or a wrong belief. The text after it says why. The counts come from 140 public solutions of the assignment of
# one well-known course, not a random sample. 127 of them have written SGD with momentum, and 113 of these are right.
#
# **The weight is changed in place: 14 of 127.** `w += v` also changes the array that the caller holds. Sometimes this is wanted, as in the
# engine. Here it is not, and whoever compares the weight before with the weight after then compares an array with itself.

# %%
w = np.ones(3)
before = w
w += 0.5
print("before the step", before, " after the step", w, " the same array:", before is w)

# %% [markdown]
# **The velocity is not stored.** `velocity = momentum * velocity - ...` makes a new array and gives it the name inside the function. The
# caller keeps the old array. The first step is right, and every later step begins without memory. A test with two steps would see it.

# %%
kept = np.zeros(1)


def forgets(velocity):
    velocity = 0.9 * velocity - 1.0
    return velocity


print("inside the function:", forgets(kept), "  what the caller has:", kept)

# %% [markdown]
# **The learning rate on the whole velocity** (pytorch/pytorch#1099, #44917). This is PyTorch's form. It is the same as long as the rate
# does not change. When the rate changes it is not: see the factor of 6.28 in part 8.
#
# **$(1 - \mu)\,g$ in place of g** (HIPS/autograd#289, and some courses). Then the velocity is a mean of gradients and not a sum. With $\mu$
# = 0.9 each move is a tenth of the paper's, as if the learning rate were 0.001 and not 0.01.

# %%
w, v, mean = 0.0, 0.0, 0.0
for _ in range(200):
    v, mean = 0.9 * v - 0.01 * 1.0, 0.9 * mean - 0.01 * (1 - 0.9) * 1.0
say("the paper's move is 10 times the other one", value=v / mean, within=1e-9)

# %% [markdown]
# **"The learning rate was reduced threefold"** (a translation of the paper). This would mean: divided by 3. It was reduced three times, and
# each time it was divided by 10.

# %%
say("the last rate is 0.00001", value=0.01 / 10**3, within=1e-12)

# %% [markdown]
# **"The rate is adapted dynamically during training"** (an article on AlexNet, about Figure 1). Of the nets in Figure 1 the paper says that
# the rate of each was chosen independently of the others. Nothing adapts by itself. Section 5 says: "We used an equal learning rate for all
# layers, which we adjusted manually throughout training." (In the program of 2012 the biases had twice the rate of the weights.)
#
# **"All programs mean the same by weight decay."** Four forms are in use, and they are not the same:
#
# 1. in the gradient, and so in the velocity: the paper;
# 2. not in the velocity: the step also takes $\delta\,\eta\,w$ from the weight, with w as it was before the step;
# 3. the same, with w as it is after the step (pytorch/pytorch#13801);
# 4. in the velocity, but without the learning rate (jettify/pytorch-optimizer#433).
#
# Here is one weight after 50 steps with each of the four, without any gradient. In the first form the weight shrinks faster than in the
# second, because momentum makes the steady pull of the decay up to ten times as large (4.3). (The second and the third form differ only if
# there is a gradient.)

# %%
lr, weight_decay = 0.01, 0.05  # a strong decay, so that it shows
first = second = third = fourth = 1.0
v1 = v4 = 0.0
for _ in range(50):
    v1 = 0.9 * v1 - weight_decay * lr * first
    v4 = 0.9 * v4 - weight_decay * fourth
    first, fourth = first + v1, fourth + v4
    second = second - weight_decay * lr * second
    third = third * (1 - weight_decay * lr)
print(f"in the velocity: {first:.3f}   beside it: {second:.3f}   after the step: {third:.3f}   without the learning rate: {fourth:.3f}")

# %% [markdown]
# **The first weights have "variance 1"** (another article). The paper says a *standard deviation* of 0.01. Its variance is 0.0001. What
# would a deviation of 1 do in the net of part 8?

# %%
h = pixels[:200]
for width, below in ((100, 768), (100, 100), (100, 100)):
    h = np.maximum(h @ rng.standard_normal((width, below)).T, 0)
print(f"after three layers the outputs are about {h.mean():.0e}; softmax cannot do anything with such numbers")

# %% [markdown]
# **The decay is divided by the batch size**, or the gradient is divided again. g is a mean already (4.2). The decay has nothing to do with
# images. With a batch of 128 it would be 0.0005 / 128:

# %%
say("the decay would be 0.0000039", value=0.0005 / 128, within=1e-8)

# %% [markdown]
# More of them, with the numbers by which the tutor knows them, stand in `lessons/MISCONCEPTIONS.md`.
#
# ### Summary
#
# The velocity is a sum of old gradients, each with the learning rate of its own step and with 0.9 to the power of its age. So a gradient
# that stays the same makes moves ten times as large, and one that goes to and fro makes moves half as large. In a valley momentum helps the
# flat direction, which is slow without it. Weight decay is the gradient of half the sum of squares, and it goes through the velocity.
# PyTorch's form differs as soon as the learning rate changes. Which first biases and weights are good depends on the scale of the inputs
# and on the learning rate.
#
# ### Read on
#
# - The engine: `SGD` in `tinyalex/optim.py`, and `Plateau` in `tinyalex/schedule.py`, which divides the rate as section 5 says.
#   `tinyalex train --recipe paper --show` prints all settings of section 5 with their places in the paper, and `--recipe authors` those
#   of the authors' own code, which differ in several places.
# - Exercise: `tutor.check("E09", sgd_step)`, 15 minutes.
# - Next: lesson 08, overfitting.
#
# Two questions to write about, a few sentences each:
#
# 1. You are given a recipe for PyTorch whose rate is divided by 10 at epoch 30. You run it with this engine. What will be different, for
#    how long, and how would you make it equal?
# 2. Somebody trains with batches of 256, where the paper has 128. What happens to the scatter of g, and to the number of steps in an
#    epoch? Would you change the rate?
