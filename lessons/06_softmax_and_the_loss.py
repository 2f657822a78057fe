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
# # 06  Softmax and the loss
#
# Paper section 3.5, about 60 minutes, needs lessons 00, 01 and 02, holds exercise E08. It can be read before lesson 03.
#
# Afterwards you can write the loss of a classifier and its gradient so that no input is too large for them, and you can read the
# gradient: what the net said minus what is true.

# %%
import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import adds, fast, say, show

# %% [markdown]
# ## 1. The paper's sentence
#
# > "Our network maximizes the multinomial logistic regression objective, which is equivalent to maximizing the average across training
# > cases of the log-probability of the correct label under the prediction distribution."
#
# (Section 3.5.) This is a long sentence for a short idea: the net shall give the right class a high probability. "Multinomial logistic
# regression" is an older name of what this lesson derives. "Training cases" are images, and the "prediction distribution" is the list of
# the probabilities that the net gives to the classes.
#
# The last layer of AlexNet gives 1,000 numbers for an image, one for each class. They are called **logits**; lesson 01 called them scores.
# They may be positive or negative, and their sum may be any number. A **softmax** makes 1,000 probabilities of them: positive numbers that
# sum to 1. The **label** is the number of the right class. The log-probability of the label is 0 if the net gives the right class the
# probability 1, and very negative if it gives it nearly 0.
#
# We prefer to go downhill. So we change the sign: the **loss** is minus this average, and training makes it small. Its usual name is
# **cross-entropy**. "log" is always the natural logarithm, whose base is 2.718...

# %% [markdown]
# ## 2. Predict
#
# Run the cells, and replace each guess by your own before you read on.

# %% tags=["predict"]
predict("06-a", 0.5)

# %% tags=["predict"]
predict("06-b", 0.8)

# %% tags=["predict"]
predict("06-c", 0.2)

# %% tags=["predict"]
predict("06-d", 1)

# %% [markdown]
# ## 3. The equation
#
# There are N images and C classes. (In this lesson C is the number of classes, which was K in lesson 01.) The logits are z, with the shape
# (N, C). For one image we write $z_j$ for the logit of class j, and $z_\text{label}$ for that of its label. Then
#
# $$\begin{array}{rll}
# p_j &= \frac{\exp(z_j)}{\sum_i \exp(z_i)} & \quad (C) \text{ for each image} \\
# \text{loss} &= \text{the mean over the images of } -\log p_\text{label} & \quad \text{one number}
# \end{array}$$
#
# exp turns every logit into a positive number, and a larger logit into a larger number. The division makes the sum 1. Let us do it for
# three classes, with the logits 2, 0.5 and -3. The first class is right.

# %%
z = np.array([2.0, 0.5, -3.0])
e = np.exp(z)
p = e / e.sum()
say("p of the label: 0.813", value=p[0], within=0.0005)
say("the loss: 0.2069", value=-np.log(p[0]), within=0.0001)
reveal("06-b")

fig, axes = plt.subplots(1, 3, figsize=(7, 2.6), layout="constrained")
for ax, values, title in zip(axes, (z, e, p), ("logits z", "exp(z)", "p: divided by the sum"), strict=True):
    ax.bar(range(3), values, color=["#0072B2", "#E69F00", "#6E6E6E"])
    for j in range(3):
        ax.text(j, max(values[j], 0), f"{values[j]:.3g}", ha="center", va="bottom", fontsize=10)
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set(xticks=range(3), xlabel="class", ylim=(min(0, values.min() * 1.1), values.max() + 0.15 * np.ptp(values)))
    ax.set_title(title, fontsize=11)
axes[0].set_ylabel("value")
show(fig, alt="Three bar charts of three classes. The logits are 2, 0.5 and -3. Their exponentials are 7.39, 1.65 and 0.0498. Divided by "
     "their sum they are the probabilities 0.813, 0.181 and 0.00548.")  # fmt: skip

# %% [markdown]
# ## 4. The derivation
#
# We want dz, the gradient of the loss with respect to the logits. Take one image first. The mean over N images comes at the end.
#
# ### 4.1 The loss without a fraction
#
# The logarithm of a fraction is a difference of two logarithms, and log undoes exp:
#
# $$\begin{array}{rll}
# -\log p_\text{label} &= -\log \frac{\exp(z_\text{label})}{\sum_i \exp(z_i)} & \quad \text{the equation} \\
# &= \log \sum_i \exp(z_i) - \log \exp(z_\text{label}) & \quad \text{logarithm of a fraction, and the minus} \\
# &= \log \sum_i \exp(z_i) - z_\text{label} & \quad \text{log undoes exp}
# \end{array}$$
#
# Two things can be read here. The loss can never be negative, because the sum holds $\exp(z_\text{label})$ and positive numbers besides. So
# its logarithm is not below $z_\text{label}$. And if all C logits are equal, the loss is $\log C$, whatever the label is: the sum is C
# times $\exp(z_\text{label})$.
#
# ### 4.2 The slope of the first part
#
# How does $\log \sum_i \exp(z_i)$ change with one logit $z_j$? Only one term of the sum holds $z_j$. The slope of exp is exp itself. The
# slope of log is 1 over what stands inside. The chain rule multiplies. We write $\frac{\partial}{\partial z_j}$ for the slope with respect
# to $z_j$ while all other logits stay as they are. (Lesson 01 wrote d/d$z_j$.)
#
# $$\frac{\partial}{\partial z_j} \log \sum_i \exp(z_i) = \frac{1}{\sum_i \exp(z_i)}\; \exp(z_j) = p_j$$
#
# This is the softmax again. We did not put it there; it came by itself.
#
# ### 4.3 The slope of the second part
#
# $-z_\text{label}$ has the slope -1 with respect to the logit of the label, and 0 with respect to all others. We write $[j = \text{label}]$
# for the number that is 1 if j is the label and 0 otherwise. For all j together this is a row of zeros with a single 1. Such a row is
# called **one-hot**.
#
# The two parts are added, so their slopes are added:
#
# $$\frac{\partial}{\partial z_j} \left( \log \sum_i \exp(z_i) - z_\text{label} \right) = p_j - [j = \text{label}]$$
#
# **What the net said, minus what is true.** The logit of the label is used twice, and lesson 02 says that its gradients add.

# %%
dz = p - np.array([1.0, 0, 0])
fig = adds("z[0]", [("in the sum", p[0]), ("as the label, with a minus", -1.0)])
show(fig, alt="The logit z[0] is used twice: in the sum, which sends back 0.813, and as the logit of the label, which sends back -1. A "
     "plus sign adds them to -0.187.")  # fmt: skip
say("the slope of the first logit: -0.187", value=dz[0], within=0.0005)
reveal("06-c")

# %% [markdown]
# ### 4.4 The mean
#
# The loss of a batch is the mean over N images. Each image stands in it with the factor 1/N, and the logits of one image do not enter the
# losses of others. So
#
# $$\text{dz}[n,j] = \left( p[n,j] - [j = \text{label}_n] \right) / N \qquad\qquad (N, C)$$
#
# This is the line of the engine's docstring in `tinyalex/loss.py`: *d/dz_j of (log sum_i exp(z_i) - z_label) is p_j - [j = label]; the mean
# divides this by N.*
#
# ### 4.5 The sum is zero
#
# The probabilities of an image sum to 1, and its one-hot row sums to 1. So **each row of dz sums to 0**. What the label gains, the
# other classes lose. This is a test that costs one line.
#
# There is a reason. Add the same number t to all logits of an image. Then every exp is multiplied by $\exp(t)$, above and below the line
# of the fraction, and it cancels. Neither p nor the loss changes. So the slope of the loss with respect to t is 0. But t is used in every
# logit, each time with slope 1. So by the chain rule this slope is also the sum of all slopes with respect to the logits, which is the
# sum of the row.
#
# ### 4.6 The same by the long way
#
# Many people first differentiate the softmax, and then the logarithm. This must give the same. The logit $z_j$ is used in *every*
# probability $p_i$, because it stands in the sum. Let S be this sum, the sum of all $\exp(z_i)$. Then $p_i = \exp(z_i) / S$. The slope of
# $\exp(z_i)$ with respect to $z_j$ is $[i = j] \exp(z_i)$, and the slope of S is $\exp(z_j)$. The quotient rule says: the slope of the
# upper part times the lower part, minus the upper part times the slope of the lower part, divided by the square of the lower part.
#
# $$\begin{array}{rll}
# \frac{\partial p_i}{\partial z_j} &= \frac{[i = j] \exp(z_i)\, S - \exp(z_i) \exp(z_j)}{S^2} & \quad \text{quotient rule} \\
# &= \frac{\exp(z_i)}{S} \left( [i = j] - \frac{\exp(z_j)}{S} \right) & \quad \text{one factor taken out} \\
# &= p_i \left( [i = j] - p_j \right) & \quad (C, C)
# \end{array}$$
#
# The table of all these slopes is called the **Jacobian** of the softmax. It has one row for each i and one column for each j. On the
# diagonal, where i is j, this is the well-known $p_j (1 - p_j)$. Beside the diagonal it is $-p_i\,p_j$, and not 0. The loss depends on
# one of the probabilities, with the slope $-1 / p_\text{label}$. The chain rule multiplies the two, with i = label:
#
# $$-\frac{1}{p_\text{label}}\; p_\text{label} \left( [\text{label} = j] - p_j \right) = p_j - [j = \text{label}]$$
#
# The fraction cancels on paper. In a computer it may not: if $p_\text{label}$ is 0, it is 0 divided by 0. The short way has no division
# by a probability.

# %%
jacobian = np.diag(p) - np.outer(p, p)  # (C, C), row i, column j
slope_of_log = np.array([-1 / p[0], 0, 0])
print("the Jacobian, the table of the slopes of the softmax:\n", np.round(jacobian, 4))
print("the short way:", np.round(dz, 4), "  the long way:", np.round(slope_of_log @ jacobian, 4))

# %% [markdown]
# ### 4.7 Numbers that are too large
#
# A float64 holds numbers up to about $10^{308}$, so exp of 710 is infinite already. Infinity over infinity is NaN, "not a number". But 4.5
# shows a way: we may subtract the same number from all logits of an image. We take **the largest logit of that image**, $m$:
#
# $$-\log p_\text{label} = \log \sum_i \exp(z_i - m) - (z_\text{label} - m)$$
#
# Now the largest exponent is 0. No exp is above 1, so nothing overflows. The sum holds $\exp(0) = 1$, so it is at least 1, and its
# logarithm is a number of at least 0. Small exponentials may become 0. This does no harm **in a sum that is at least 1**. It would do harm
# if we took the logarithm of such a 0, and this is why we do not compute $\log p$ from p.

# %% [markdown]
# ## 5. Twenty lines of your own
#
# Write `softmax_cross_entropy(logits, labels)`. It returns two things: the loss, one number, and dlogits, which is our dz. logits have
# the shape (N, C), and labels are N integers. This is exercise **E08**, about 20 minutes. Then, in a cell of your own, write
# `from tinyalex import tutor` and ask `tutor.check("E08", softmax_cross_entropy)`. Do this before you open the next cell.


# %% tags=["solution", "exercise:E08"]
def softmax_cross_entropy(logits, labels):
    n = len(logits)
    rows = np.arange(n)
    z = logits - logits.max(axis=1, keepdims=True)  # (N, C): the largest of each image is now 0
    e = np.exp(z)
    total = e.sum(axis=1, keepdims=True)  # (N, 1), at least 1
    loss = (np.log(total[:, 0]) - z[rows, labels]).mean()
    dlogits = e / total  # p
    dlogits[rows, labels] -= 1  # minus one-hot: one place in each row
    return loss, dlogits / n


# %% [markdown]
# If `rows` holds 0, 1, 2, ..., N - 1, then `z[rows, labels]` takes one number from each row: row 0 at the label of image 0, row 1 at the
# label of image 1, and so on. `z[:, labels]` would take whole columns.

# %% [markdown]
# ## 6. Prove it
#
# We use the measured slope of lesson 00. N and C are not equal, the labels are not in order, and one class occurs twice.

# %% tags=["seeded"]
rng = np.random.default_rng(6)
N, C = 4, 7
logits = 3 * rng.standard_normal((N, C))
labels = np.array([5, 0, 5, 2])


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


loss, dlogits = softmax_cross_entropy(logits, labels)
measured = numerical_gradient(lambda z: softmax_cross_entropy(z, labels)[0], logits, 1e-5)
assert np.abs(dlogits - measured).max() < 1e-9
assert np.abs(dlogits.sum(axis=1)).max() < 1e-15
print("dlogits agrees with the measured slopes, and each row sums to 0")

# %% [markdown]
# A gradient check proves that the gradient belongs to the loss. It does not prove that the loss is right. So we compare the loss with the
# equation of part 3, written with loops, and with 4.7 left out.

# %%
by_equation = 0.0
for n in range(N):
    total = sum(np.exp(logits[n, i]) for i in range(C))
    by_equation += -np.log(np.exp(logits[n, labels[n]]) / total) / N
assert abs(loss - by_equation) < 1e-12
print(f"the loss is {loss:.3f}, by the equation {by_equation:.3f}")
for far in (1e3, -1e3, 1e4):
    assert abs(softmax_cross_entropy(logits + far, labels)[0] - loss) < 1e-10
print("the same logits moved by 1,000, -1,000 and 10,000 have the same loss")

# %% [markdown]
# ## 7. The same as the engine
#
# The engine's loss is the class `SoftmaxCrossEntropy` in `tinyalex/loss.py`. Its `forward` returns the loss and keeps p and the labels.
# Its `backward` calls `softmax_loss_backward`, which ends with the line `(probs - one_hot) / len(probs)`.

# %%
from tinyalex.loss import SoftmaxCrossEntropy

engine = SoftmaxCrossEntropy(dtype=np.float64)
for scale in (0.01, 1, 100, 1e4):
    ours, dours = softmax_cross_entropy(scale * logits, labels)
    theirs = engine.forward(scale * logits, labels, train=True)
    dtheirs = engine.backward()
    assert abs(ours - theirs) <= 1e-12 * max(1, abs(ours)) and np.abs(dours - dtheirs).max() < 1e-12
    print(f"logits times {scale:g}: loss and gradient equal to the engine's, to 1e-12")

# %% [markdown]
# ## 8. Experiment
#
# ### What does the gradient say?
#
# The same three logits, with each of the three labels in turn. We draw p minus one-hot. A step of gradient descent goes against the
# gradient: it raises a logit with a bar below zero, and lowers a logit with a bar above zero.

# %%
fig, axes = plt.subplots(1, 3, figsize=(7, 2.8), layout="constrained", sharey=True)
losses = []
for label, ax in enumerate(axes):
    loss3, d = softmax_cross_entropy(z[None], np.array([label]))
    losses.append(loss3)
    ax.bar(range(3), d[0], color=np.where(d[0] < 0, "#C04A00", "#0072B2"))
    for j, value in enumerate(d[0]):
        ax.text(j, value + np.sign(value) * 0.03, f"{value:.3f}", ha="center", va="bottom" if value > 0 else "top", fontsize=9)
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set(xticks=range(3), xlabel="class", ylim=(-1.25, 1.1))
    ax.set_title(f"label {label}: loss {loss3:.2f}", fontsize=11)
axes[0].set_ylabel("p - one-hot")
show(fig, alt="Three bar charts of p minus one-hot for the probabilities 0.813, 0.181 and 0.005. With label 0 the bars are -0.187, 0.181 "
     "and 0.005 and the loss is 0.21. With label 1 they are 0.813, -0.819 and 0.005, loss 1.71. With label 2 they are 0.813, 0.181 and "
     "-0.995, loss 5.21. In each chart the bars sum to 0.")  # fmt: skip

# %% [markdown]
# A step lowers the logits of the other classes in proportion to their probabilities. A class that had nearly no probability hardly moves.
# No bar is longer than 1. For an image on which the net is very wrong, the slope of the label's logit is nearly -1, but never beyond it.
#
# ### One wrong label
#
# The loss with label 2 is larger than that with label 0 by exactly 5. The logits explain it: 2 - (-3) = 5. The first part of the loss,
# log of the sum, does not know the label. So changing a label changes the loss by the difference of two logits, and nothing else.
#
# In a batch of N images all this is divided by N. Let z_old be the logit of the old label, and z_new the logit of the new one. Then the
# loss grows by (z_old - z_new) / N. In the gradient the -1 moves from one class to another, so two elements change, by 1/N and by -1/N.

# %%
say("a wrong label costs 5 here", value=losses[2] - losses[0], within=1e-12)

wrong = labels.copy()
wrong[1] = 3  # the label of image 1 was 0
loss_wrong, dwrong = softmax_cross_entropy(logits, wrong)
print(f"in a batch of {N}: the loss grows by {loss_wrong - loss:.4f}, (z_old - z_new) / N is {(logits[1, 0] - logits[1, 3]) / N:.4f}")
moved = np.argwhere(np.abs(dwrong - dlogits) > 1e-12)
changes = {(int(n), int(j)): round(float(dwrong[n, j] - dlogits[n, j]), 12) for n, j in moved}
print("the only elements of the gradient that change, and by how much:", changes)

# %% [markdown]
# ### The first loss of a net
#
# Before training, the logits are near 0 and all alike. Then the loss is log C.

# %%
say("a thousand classes: 6.908", value=softmax_cross_entropy(np.zeros((1, 1000)), np.array([7]))[0], within=0.0005)
reveal("06-a")

# %% [markdown]
# What if the first logits are not small? We take **noise** for them: each logit is a random number of its own, with mean 0 and standard
# deviation 1. There are 1,000 classes. We multiply the noise by a number. (The **standard deviation** says how far numbers spread round
# their mean: most of them are not further from it than two standard deviations. Its square is the **variance**.)

# %%
noise = rng.standard_normal((fast(1000, 200), 1000))
random_labels = rng.integers(0, 1000, len(noise))
stds = np.linspace(0, 10, 21)
found = np.array([softmax_cross_entropy(std * noise, random_labels)[0] for std in stds])
fig, ax = plt.subplots(figsize=(5.5, 3.3), layout="constrained")
ax.plot(stds, found, "o-", color="#0072B2", label="measured")
ax.plot(stds[:9], np.log(1000) + stds[:9] ** 2 / 2, "--", color="#C04A00", label="log 1000 + (standard deviation)$^2$ / 2")
ax.axhline(np.log(1000), color="black", linewidth=0.8)
ax.text(10, 7.2, "log 1000 = 6.908", fontsize=10, ha="right")
ax.set(xlabel="standard deviation of the logits", ylabel="loss", ylim=(0, 36))
ax.legend(fontsize=9, loc="upper left")
show(fig, alt="The loss of 1,000 classes for random logits of standard deviation 0 to 10. It starts at 6.908, a black line, is about 7.4 "
     "at 1, 14 at 4 and 32 at 10, and is nearly straight at the end. Up to about 3 it follows a dashed parabola, log 1000 plus "
     "half of the variance, which is at 15 for 4.")  # fmt: skip
say("with logits of standard deviation one the loss is 7.4", value=found[2], within=fast(0.15, 0.3))
say("with ten it is 32", value=found[-1], within=fast(1.5, 3.0))

# %% [markdown]
# A net that knows nothing and guesses evenly has a loss of log C. A net that knows nothing and is *sure* has a larger one. So the first
# loss is a test of the first weights: with 1,000 classes it should be near 6.9, and with 10 classes near 2.303, as in lesson 01. If it is
# far above, the logits are too large, and the net must first learn to make them smaller.
#
# (You may skip this.) Where does the dashed parabola come from? With many classes the mean of $\exp(z_i)$ is near its expected value,
# which for normal noise is $\exp(\text{variance} / 2)$. So the sum is C times this, and its logarithm is $\log C + \text{variance} / 2$.
# By 4.1 we subtract the logit of the label. Its mean is 0. For large noise one logit dominates the sum, and this is no longer so.
#
# ### Too large for exp
#
# Take two classes with the logits t and 0. The second class is right. The larger t is, the more wrong the net is. By 4.1 the right loss is
# $\log(\exp(t) + \exp(0)) - 0 = \log(\exp(t) + 1)$, which is almost t when t is large. Four programs compute it.


# %%
def as_in_the_equation(z, label):
    e = np.exp(z)
    return -np.log(e[label] / e.sum())


def log_of_p(z, label):
    e = np.exp(z - z.max())
    return -np.log(e[label] / e.sum())


def plus_a_small_number(z, label):
    e = np.exp(z - z.max())
    return -np.log(e[label] / e.sum() + 1e-8)


def as_in_this_lesson(z, label):
    return softmax_cross_entropy(z[None], np.array([label]))[0]


four = (as_in_the_equation, log_of_p, plus_a_small_number, as_in_this_lesson)
print(f"{'t':>22}", *(f"{t:>9,}" for t in (10, 30, 700, 720, 800, 10_000)))
with np.errstate(all="ignore"):  # overflow and log(0) on purpose
    for function in four:
        print(f"{function.__name__:>22}", *(f"{function(np.array([t, 0.0]), 1):>9.6g}" for t in (10, 30, 700, 720, 800, 10_000)))
    e = np.exp([720.0, 0.0])
    print("the equation at t = 720 has the probabilities", e / e.sum())
say("the loss at t of ten thousand: 10,000", value=as_in_this_lesson(np.array([1e4, 0]), 1), within=0)
reveal("06-d")

# %%
ts = np.unique(np.round(np.logspace(0, 4, 81)))
with np.errstate(all="ignore"):
    curves = {function: np.array([function(np.array([t, 0.0]), 1) for t in ts]) for function in four}
fig, ax = plt.subplots(figsize=(5.8, 3.6), layout="constrained")
ax.plot(ts, curves[as_in_this_lesson], color="#0072B2", linewidth=9, alpha=0.35, label="this lesson")
for function, color, style, width, name in (
    (log_of_p, "#C04A00", "-", 3.5, "log of p: infinite from 746"),
    (as_in_the_equation, "black", "--", 1.2, "the equation: infinite from 710"),
    (plus_a_small_number, "#E69F00", "-.", 1.8, "log of p + 1e-8: at most 18.4"),
):
    shown = np.isfinite(curves[function])
    ax.plot(ts[shown], curves[function][shown], style, color=color, linewidth=width, label=name)
ax.set(xscale="log", yscale="log", xlabel="t, the logit of the wrong class", ylabel="loss")
ax.legend(fontsize=9)
show(fig, alt="The loss against the logit t of a wrong class, both axes logarithmic. The lesson's loss, a broad light line, rises all the "
     "way to 10,000. The equation and the log of p lie on it and end soon after t = 700. The log of p + 1e-8 leaves it at "
     "about 18 and stays at 18.4.")  # fmt: skip

# %% [markdown]
# The curves of the equation and of log of p lie on that of this lesson, and they end near 700, where the loss becomes infinite. The small
# number hides the infinity. But now the loss does not grow with t any more: it is never above -log(1e-8) = 18.4. What has no slope cannot
# be learned. We measure the slope of this loss with respect to the logit of the label, at t = 30. It should be -1.

# %%
at30 = np.array([30.0, 0.0])
slopes = [numerical_gradient(lambda z, f=f: f(z, 1), at30, 0.01)[1] for f in (plus_a_small_number, as_in_this_lesson)]
say("with a small number the slope is -0.0000094", value=slopes[0], within=1e-7)
say("as in this lesson it is -1.0", value=slopes[1], within=1e-6)

# %% [markdown]
# Where does the tiny slope come from? The slope of -log(p + 1e-8) with respect to p is -1 / (p + 1e-8), and p is far smaller than 1e-8: at
# t = 30 it is 9.4e-14. By 4.6 the slope of p is p (1 - p), which is nearly p. The product is -9.4e-14 / 1e-8 = -0.0000094. Without the
# small number p cancels, and -1 is left.
#
# The image on which the net is most wrong is the one that it would no longer learn from.
#
# ### Why not the squared error?
#
# One could also take the squared distance of p from the one-hot row. Its gradient goes through the softmax and gets the factors of 4.6,
# $p_i$ and $[i = j] - p_j$. Their product is near 0 where a probability is near 0 or 1. Again the second class is right, and the logits
# are t and 0. We take the slope with respect to the logit of the label, change its sign, and call this the **pull**. It says how strongly a
# step of gradient descent raises this logit.


# %%
def squared(z):
    e = np.exp(z - z.max())
    return ((e / e.sum() - np.array([0.0, 1.0])) ** 2).sum()


for t in (0.0, 2.0, 5.0, 10.0):
    both = np.array([t, 0.0])
    slopes = (-softmax_cross_entropy(both[None], np.array([1]))[1][0, 1], -numerical_gradient(squared, both, 1e-4)[1])
    print(f"t = {t:4.1f}   pull on the label's logit: cross-entropy {slopes[0]:.4f}, squared error {slopes[1]:.4f}")

# %% [markdown]
# The more wrong the net is, the harder cross-entropy pulls, up to 1. The squared error pulls less and less.

# %% [markdown]
# ## 9. What people get wrong
#
# The counts come from public solutions of the assignment of one well-known course, not a random sample. 138 of them have a loss that is
# right for small logits. For logits of 1,000, **96 are still right**. The other 42:
#
# - **log of p, 37.** p becomes 0, and the loss infinite. 26 of the 37 do it with the same line of code, so they may have it from one place.
# - **Five others**: both the loss and the gradient are wrong, in four of them by overflow: nothing was subtracted.
#
# In the table of part 8 these are the rows `log_of_p` and `as_in_the_equation`.
#
# **"A small number in the logarithm repairs it"** (1 of 138, and a blog). It does not: the slope above is -0.0000094, and it should be -1.
#
# **"The derivative is p (1 - p)"** (newbe.dev). That is the diagonal of the table in 4.6 alone. Whoever uses only the diagonal
# gets the right number at the label and zeros elsewhere. The row does not sum to 0:

# %%
diagonal = slope_of_log * np.diag(jacobian)
print("the diagonal alone:", np.round(diagonal, 3), " right:", np.round(dz, 3))
say("the sum of the diagonal's row is -0.187", value=diagonal.sum(), within=0.0005)

# %% [markdown]
# **The largest number of the whole matrix is subtracted.** It stops the overflow. But take one image with logits near 0 and one with
# logits near -1,000: for the second image all exp become 0, and 0 / 0 is NaN.

# %%
far_apart = np.array([[1.0, 0, 2], [-1000, -1001, -999]])
with np.errstate(all="ignore"):
    e = np.exp(far_apart - far_apart.max())
    print("maximum of the matrix:", (e / e.sum(axis=1, keepdims=True))[1])
e = np.exp(far_apart - far_apart.max(axis=1, keepdims=True))
print("maximum of each image:", np.round((e / e.sum(axis=1, keepdims=True))[1], 3))

# %% [markdown]
# **`keepdims` is forgotten** (a blog of 2016). `logits.max(axis=1)` has the shape (N,), and NumPy lays it along the *classes*. If N and C
# differ, there is an error. If they are equal, there is none. That is why part 6 has N = 4 and C = 7.

# %%
square = rng.standard_normal((5, 5))
e = np.exp(square - square.max(axis=1))  # no keepdims: each class is moved by another number
p_wrong = e / e.sum(axis=1)
print("sums of the rows, which should be 1:", np.round(p_wrong.sum(axis=1), 2))
print("another common slip, e.sum(axis=0): the columns sum to 1:", np.round((e / e.sum(axis=0)).sum(axis=0), 2))

# %% [markdown]
# **Not divided by N, or divided twice** (question 13489896 at stackoverflow.com; thread 1000 of d2l-ai/d2l-en at GitHub). If the loss is
# a mean, dlogits holds 1/N, and no other place of the program may divide again. The gradient of the *sum* is N times as large, and so is
# each step:

# %%
alone = softmax_cross_entropy(logits[:1], labels[:1])[1]  # image 0 as a batch of one
say("in a batch of four an image has 0.25 of the gradient that it has alone", value=dlogits[0, 0] / alone[0, 0], within=1e-12)

# %% [markdown]
# **"Softmax before the choice of the class changes the answer."** exp is increasing, and all p of an image are divided by the same number.
# So the largest logit has the largest p. To name the class, a net needs no softmax.

# %%
many = rng.standard_normal((1000, 10))
e = np.exp(many - many.max(axis=1, keepdims=True))
print("the same class with and without softmax:", np.array_equal(many.argmax(axis=1), (e / e.sum(axis=1, keepdims=True)).argmax(axis=1)))

# %% [markdown]
# **Logarithm to base 10.** `np.log` is the natural logarithm. With base 10 the loss is divided by 2.303, and the gradient no longer belongs
# to it. (An article on AlexNet gives our example of part 3 as 0.2107, with the natural logarithm. It rounded p to 0.81 first.)

# %%
say("base ten would give 0.0899", value=-np.log10(p[0]), within=0.0001)
say("p rounded first gives 0.2107", value=-np.log(0.81), within=0.0001)

# %% [markdown]
# **"The gradient with respect to p is what goes back."** $-1/p_\text{label}$ is the slope with respect to a probability. What the last
# layer needs is the slope with respect to its logits. This slope lies between -1 and 1. The slope with respect to p has no bound.
#
# More of them, with the numbers by which the tutor knows them, stand in `lessons/MISCONCEPTIONS.md`.
#
# ### Summary
#
# The loss is the logarithm of a sum of exponentials, minus the logit of the label. Its gradient is p minus one-hot, over N: what the net
# said minus what is true. Each row of it sums to 0. The largest logit of each image is subtracted first, and log p is never computed from
# p. Then logits of 10,000 are as good as logits of 1. A net that knows nothing has the loss log C.
#
# ### Read on
#
# - The engine: `SoftmaxCrossEntropy` in `tinyalex/loss.py`. You have derived each line of its `forward` and `backward`.
# - Exercise: `tutor.check("E08", softmax_cross_entropy)`, 20 minutes.
# - Next: lesson 07, the step of section 5, which takes this gradient downhill.
#
# Two questions to write about, a few sentences each:
#
# 1. The loss cannot be negative. Can it reach 0? What would the logits have to be, and what does this mean for a net that is trained for
#    a very long time without anything that holds its weights down?
# 2. The engine computes softmax and cross-entropy in one function, though they are two formulas. Name two things that would go wrong, or be
#    slower, if each had a function of its own with its own backward pass.
