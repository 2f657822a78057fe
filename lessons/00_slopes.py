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
# # 00  Slopes
#
# Paper section 5, about 60 minutes, needs no other lesson, holds exercise E01.
#
# Afterwards you can measure the derivative of any program, you can say how exact the result is, and you can choose the step.

# %%
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import fast, say, show

# fast(a, b) is a, or b in a quick test of the lesson. say prints a sentence: its number may differ from value by at most within.

# %% [markdown]
# ## 1. The paper's sentence
# AlexNet is a **net**: a program that reads an image and says what is on it. The program holds many numbers that can be changed, the
# **weights**. To learn means to change them. "The paper" is always the one of AlexNet: Krizhevsky, Sutskever and Hinton, *ImageNet
# Classification with Deep Convolutional Neural Networks*, 2012. Its section 5 gives a rule by which each weight w is changed, and names
# the one thing in this rule that is hard to get:
#
# > "the average over the *i*th batch $D_i$ of the derivative of the objective with respect to *w*, evaluated at $w_i$"
#
# A batch is a group of images, and $D_i$ is batch number i. Each image of the batch gives a derivative of its own, and their average is
# taken. $w_i$ is the value of the weight after i changes. "Evaluated at $w_i$" means: computed for this value. The **objective** is a
# number that says how well the net does. We use the **loss** L, a number that says how badly it does: the same with the opposite sign. The
# **derivative** of L with respect to w is a slope: how fast L grows when w grows. If it is positive, w should become smaller, and if it is
# negative, w should become larger.
#
# AlexNet has 60 million weights, so this sentence asks for 60 million slopes. Lessons 01 to 10 derive formulas for them. A formula can be
# wrong. So this first lesson builds a tool that finds a slope without any formula: it **measures** the slope. All later lessons prove
# their formulas with this tool.

# %% [markdown]
# ## 2. Predict
#
# Write down what you expect before you read on. Run each of the three cells below: it prints a question. The number in the cell is a guess.
# Put your own number in its place, and run the cell again. Later, `reveal` prints the answer beside your guess. Nobody marks it. A wrong
# guess costs nothing, and you will remember the answer better. Two answers are powers of ten. Of such an answer you only write the power:
# 0.001 is 10 to the power of -3.
#
# The questions use three words. To measure the slope of f at x, we take a small number h, the **step**. The **centered difference** is
# (f(x + h) - f(x - h)) / 2h. It is close to the slope, but not equal to it. The distance between the two is the **error**.

# %% tags=["predict"]
predict("00-a", 3)

# %% tags=["predict"]
predict("00-b", -5)

# %% tags=["predict"]
predict("00-c", -15)

# %% [markdown]
# ## 3. The equation
#
# Let f be a function of one number x. Its slope at x is written f'(x). At school it is found in this way: take a step h, look how much f
# changes, divide by the step, and let h become smaller and smaller.
#
# $$f'(x) = \lim_{h \to 0} \frac{f(x + h) - f(x)}{h}$$
#
# A computer cannot let h go to 0. It takes one small h. Then there are two ways:
#
# | name | formula |
# |---|---|
# | the **one-sided** difference | (f(x + h) - f(x)) / h |
# | the **centered** difference | (f(x + h) - f(x - h)) / 2h |
#
# The centered one takes a step to each side. The two places lie 2h apart, so it divides by 2h. Both are slopes of a **chord**: a straight
# line through two points of the curve. The picture shows both for f(x) = x³ at x = 1. The true slope is f'(x) = 3x² = 3. It is the slope
# of the **tangent**, the straight line that touches the curve at x = 1. The step, h = 0.5, is large, so that we see something.


# %%
def one_sided(f, x, h):
    return (f(x + h) - f(x)) / h


def centered(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


def cube(x):
    return x**3


print("one-sided:", one_sided(cube, 1, 0.5), "  centered:", centered(cube, 1, 0.5), "  true: 3")

# %%
fig, axes = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained", sharey=True)
place, near = np.linspace(0.25, 1.75, 61), np.array([0.3, 1.7])
for ax, low, high, name in zip(axes, (1.0, 0.5), (1.5, 1.5), ("one-sided", "centered"), strict=True):
    chord = (cube(high) - cube(low)) / (high - low)
    ax.plot(place, cube(place), color="black", label="f(x) = x³")
    ax.plot(near, 1 + 3 * (near - 1), color="#0072B2", linestyle=":", linewidth=2, label="tangent, slope 3")
    ax.plot(near, cube(low) + chord * (near - low), color="#C04A00", linestyle="--", label=f"chord, slope {chord:g}")
    ax.plot([low, high], [cube(low), cube(high)], "o", color="#C04A00")
    ax.set(title=f"{name}, h = 0.5", xlabel="x", ylim=(-1.6, 5.4))
    ax.legend(loc="upper left", fontsize=9)
axes[0].set_ylabel("f(x)")
show(fig, alt="Two drawings of the black curve x³ with its dotted blue tangent at x = 1, which has slope 3. Left, one-sided: the dashed "
     "chord through the points at x = 1 and 1.5 is much steeper, its slope is 4.75. Right, centered: the dashed chord through "
     "the points at x = 0.5 and 1.5 lies above the tangent and is nearly parallel to it, its slope is 3.25.")  # fmt: skip

# %% [markdown]
# ### Many numbers
#
# A loss depends on many numbers. Put them into an array x. The slope for one element is found by moving this element alone, while all
# others stay as they are. With $e_i$ for the array that is 1 at the element i and 0 elsewhere, x + h $e_i$ is x with the element i moved
# by h. So the equation of this lesson is
#
# $$\text{dx}[i] = \frac{f(x + h\,e_i) - f(x - h\,e_i)}{2 h} \qquad\qquad \text{for each element } i$$
#
# The array of all these slopes is called the **gradient** of f with respect to x. We write it **dx**. It has the shape of x: one slope
# for each element.
#
# Such names are used in all lessons and in the whole engine. Let L be the loss. Then a d in front of a name means: *the gradient of L with
# respect to this*. In this lesson f stands for L. Three arrays come in nearly every lesson: x is what goes into a part of the net, weight
# holds the weights of this part, and out is what comes out of it. So dx is the gradient of L with respect to x, dweight the one with
# respect to weight, and dout the one with respect to out. In school books dx often is a small change of x. Here it never is. For a change
# we write $\Delta x$.

# %% [markdown]
# ## 4. The derivation
#
# ### 4.1 How wrong is a chord?
#
# For x³ we can compute it exactly. We only have to multiply out the brackets.
#
# $$\begin{array}{rll}
# (x + h)^3 &= x^3 + 3 x^2 h + 3 x h^2 + h^3 & \quad \text{multiplied out} \\
# (x - h)^3 &= x^3 - 3 x^2 h + 3 x h^2 - h^3 & \quad \text{the same with } -h \text{ for } h \\
# (x + h)^3 - (x - h)^3 &= 6 x^2 h + 2 h^3 & \quad x^3 \text{ and } 3 x h^2 \text{ cancel}
# \end{array}$$
#
# Divide the last line by 2h: the centered difference is 3x² + h². The slope is 3x², so **the error is h²**. For the one-sided difference,
# take x³ from the first line and divide by h: this gives 3x² + 3xh + h². Its error is 3xh + h². With x = 1 and h = 0.1 the errors are
# 0.01 and 0.31.
#
# For every smooth function the error of the centered difference is about a number times h², and that of the one-sided one about a number
# times h. (Smooth means: the curve has no jumps and no corners, and the same holds for its slopes.) **Taylor's formula** says that near x,
# f is almost a polynomial in h:
#
# $$f(x + h) = f(x) + h\,f'(x) + \frac{h^2}{2} f''(x) + \frac{h^3}{6} f'''(x) + \ldots$$
#
# f'' is the slope of f', and f''' is the slope of f''. The dots stand for terms with $h^4$, $h^5$ and so on. For a small h they are much
# smaller than the others. Where do the 2 and the 6 come from? Take the derivative of both sides with respect to h, three times, and set
# h = 0 each time. The left side gives f'(x), f''(x) and f'''(x). On the right, the second derivative of $h^2$ is 2, and the third
# derivative of $h^3$ is 3 · 2 = 6. The 2 and the 6 in the formula cancel these numbers. So both sides have the same value and the same
# three derivatives at h = 0. This is the reason for the numbers, and not a full proof.
#
# Put -h for h. The terms with $h$ and $h^3$ change their sign. Subtract, and all terms without a change of sign cancel:
#
# $$\begin{array}{rll}
# f(x + h) - f(x - h) &= 2 h f'(x) + h^3 f'''(x) / 3 + \ldots & \quad f(x) \text{ and } f''(x) \text{ cancel} \\
# (f(x + h) - f(x - h)) / 2h &= f'(x) + h^2 f'''(x) / 6 + \ldots & \quad \text{divided by } 2h
# \end{array}$$
#
# These are the two formulas in the docstring of `tinyalex/gradcheck/difference.py`. For x³ we have f''' = 6, and this gives h² again. In
# the one-sided difference f'' does not cancel. The error of this difference is h f''(x) / 2, and smaller terms.
#
# Compare h with h². With h = 0.001 the first is a thousandth, the second a millionth. This is why we always take the centered difference.

# %%
reveal("00-a")

# %% [markdown]
# ### 4.2 Why not the smallest h?
#
# The formula says: make h as small as you can. But a computer rounds. A float64 holds about 16 digits. The distance from 1 to the next
# larger float64 is called eps:

# %%
eps = np.finfo(np.float64).eps
say("eps is 2.2e-16", value=eps, within=0.05e-16)
print("1 + eps / 4 == 1:", 1 + eps / 4 == 1)

# %% [markdown]
# What is much smaller than eps is lost when it is added to 1. For another number the distance to the next float64 is larger or smaller, in
# proportion to the number: near a value f it is about eps |f|. A computer can only store numbers at these distances. So every value of f is
# wrong by up to about eps |f|. When h is tiny, f(x + h) and f(x - h) agree in nearly all their digits. Subtract them, and these digits
# cancel. What is left is mostly the rounding error of two values, up to about 2 eps |f|. Then we divide by 2h, a tiny number, and this
# makes the error large. The error from rounding is about
#
# $$\text{eps}\;|f| / h$$
#
# When h becomes smaller, the error of the formula falls and the error from rounding grows. We look for the h with the smallest sum of the
# two. Often f and f''' are neither very large nor very small. So we leave out the factors f''' / 6 and |f|, because we only want to know
# about how large h is. At the smallest value the slope of the sum is 0:
#
# $$\begin{array}{rll}
# E(h) &= h^2 + \text{eps} / h & \quad \text{error of the formula, and from rounding} \\
# E'(h) &= 2 h - \text{eps} / h^2 = 0 & \quad \text{at the smallest sum} \\
# h^3 &= \text{eps} / 2 & \quad \text{times } h^2 \text{, then divided by } 2
# \end{array}$$
#
# Leave out the 2 as well: the best h is near $\text{eps}^{1/3}$, the third root of eps. There each of the two errors is about
# $\text{eps}^{2/3}$.

# %%
say("the third root of eps is 6.1e-6", value=eps ** (1 / 3), within=0.05e-6)
say("and with this step an error of about 3.7e-11 is left", value=eps ** (2 / 3), within=0.05e-11)

# %% [markdown]
# About ten digits of a slope can be measured, and hardly more. Two slopes that agree in ten digits are not equal by chance.
#
# ### 4.3 Small changes add
#
# Let L depend on two numbers, u and v. Move u by a small $\Delta u$ and v by a small $\Delta v$. How does L change? Go one step after the
# other: first v, then u. In the middle we add and subtract the same value, which is allowed:
#
# $$\begin{array}{rll}
# \Delta L &= L(u + \Delta u, v + \Delta v) - L(u, v) & \\
# &= L(u + \Delta u, v + \Delta v) - L(u, v + \Delta v) & \quad \text{only } u \text{ moves} \\
# &\quad + L(u, v + \Delta v) - L(u, v) & \quad \text{only } v \text{ moves} \\
# &\approx \text{du}\;\Delta u + \text{dv}\;\Delta v & \quad \text{slope times step, two times}
# \end{array}$$
#
# du is the slope in u, and dv is the slope in v. (In the second line the slope in u is taken at a place where v has moved. It differs
# from du by something small, and this is multiplied by the small step: we may forget it.) For an array x with many elements the same
# holds, one step for each element:
#
# $$\Delta L \approx \sum_i \text{dx}[i]\;\Delta x[i]$$
#
# In words: **the effects of small changes add.** All of lesson 02 comes from this one line.
#
# ### 4.4 One after the other: the chain rule
#
# A program computes in steps. Let u = g(x), and let L be computed from u. Then x moves u, and u moves L:
#
# $$\begin{array}{rll}
# \Delta u &\approx g'(x)\;\Delta x & \quad \text{slope times step} \\
# \Delta L &\approx \text{du}\;\Delta u & \quad \text{slope times step} \\
# \Delta L &\approx \text{du}\;g'(x)\;\Delta x & \quad \text{the first line put into the second}
# \end{array}$$
#
# So the slope of L in x is
#
# $$\text{dx} = \text{du}\;g'(x)$$
#
# This is the **chain rule**, as we will always write it. du *arrives* from the step after, g'(x) belongs to the step itself, and dx is
# *handed on* to the step before. **Slopes multiply along a chain.**
#
# An example: L = sin(x²). The steps are u = x² and L = sin(u). Here du = cos(u) and g'(x) = 2x, so dx = cos(x²) · 2x.
#
# ### 4.5 Kinks
#
# The absolute value |x| has slope -1 on the left of 0 and slope 1 on the right. At 0 it has a **kink**, and no slope. The centered
# difference gives a number all the same: (|h| - |-h|) / 2h = 0. And it is wrong not only at the kink itself. Wherever x is nearer to the
# kink than h, x + h and x - h lie on different sides of the kink. So a check must stay away from kinks by more than h.

# %% [markdown]
# ## 5. Twenty lines of your own
#
# Write `numerical_gradient(f, x, h)` now. f takes an array of the shape of x and returns one number. `numerical_gradient` returns dx, an
# array of floats of the shape of x. This is exercise **E01**, about 15 minutes. `np.ndindex(*x.shape)` gives the index of every element,
# for any number of axes. Two things are easy to forget: the moved element must be put back before the next one moves, and x may hold
# integers. Then, in a cell of your own, write `from tinyalex import tutor` and ask `tutor.check("E01", numerical_gradient)`. If something
# is wrong, the tutor says what it saw. Do this before you open the next cell.


# %% tags=["solution", "exercise:E01"]
def numerical_gradient(f, x, h):
    x = x.astype(float)  # a copy, so the caller's x never moves; and floats, where the caller's x holds integers
    dx = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        old = x[at]
        x[at] = old + h
        above = f(x)
        x[at] = old - h
        dx[at] = (above - f(x)) / (2 * h)
        x[at] = old  # and not x[at] + h: that would be rounded
    return dx


# %% [markdown]
# All later lessons repeat these lines. (There x always holds floats, so they leave out the first line.)
#
# How do we compare a measured gradient n with a gradient a that comes from a formula? One number should say how far they are apart. If
# both gradients become 1000 times as large, this number should stay the same. The engine takes
#
# $$\text{error} = \frac{\max |a - n|}{\max(\max |a|, \max |n|)}$$
#
# Here max |a - n|, max |a| and max |n| go over all elements, and the maximum outside of the brackets takes the larger one of two numbers.
# So the largest difference is compared with the largest slope. If all slopes are zero, there is nothing to compare, and the error is
# infinite: such a check proves nothing.


# %%
def error(a, n):
    size = max(np.abs(a).max(), np.abs(n).max())
    return np.abs(a - n).max() / size if size > 0 else np.inf


# %% [markdown]
# ## 6. Prove it
#
# A tool that is to prove others must be proved first. We need a function whose slopes we know. Take x with 3 rows and 4 columns, and
#
# $$f(x) = \left(\sum_i x[i]\right)^2 + \sum_i x[i]^3 \qquad\qquad \text{dx}[i] = 2 \sum_j x[j] + 3\,x[i]^2$$
#
# All sums go over the 12 elements of x. For dx we used the chain rule: let u be the sum of x. It moves by as much as x[i] does, so its
# slope is 1, and the slope of u² is 2u. By 4.1 we even know the error of the measurement, h² f''' / 6. Look at f as a function of one
# element. A square has f''' = 0, so it has no error. A cube has f''' = 6, and all further derivatives are 0. So its error is h² exactly.

# %% tags=["seeded"]
rng = np.random.default_rng(0)
x = rng.integers(-8, 9, (3, 4)) / 4  # quarters, which a float holds without rounding


def f(x):
    return x.sum() ** 2 + (x**3).sum()


dx = 2 * x.sum() + 3 * x**2
assert np.abs(numerical_gradient(f, x, 0.25) - (dx + 0.25**2)).max() < 1e-12
print("h = 0.25: each measured slope is dx + h², to 1e-12")
assert error(dx, numerical_gradient(f, x, 1e-5)) < 1e-9
print("h = 1e-5: measured and derived slopes agree to nine digits")

# %% [markdown]
# And the other half of a proof: would the check notice a mistake? We plant four of them. The engine accepts an error of at most 1e-6, so
# each planted mistake must give more.

# %%
measured = numerical_gradient(f, x, 1e-5)
planted = {"2 forgotten": x.sum() + 3 * x**2, "sum forgotten": 2 * x + 3 * x**2, "sign": -dx, "one element, 1 % too large": dx.copy()}
planted["one element, 1 % too large"][np.unravel_index(np.abs(dx).argmax(), dx.shape)] *= 1.01
for name, wrong in planted.items():
    assert error(wrong, measured) > 1e-6
    print(f"{name}: error {error(wrong, measured):.1g}")

# %% [markdown]
# Last, the chain of 4.4. We check it at one hundred places in one call. Our f is the sum of sin(x²) over all places. Each place stands in
# one term of this sum only, so the measured slope for a place is the slope of its own term:

# %%
places = np.linspace(-2, 2, 100)
measured = numerical_gradient(lambda x: np.sin(x**2).sum(), places, 1e-5)
assert error(np.cos(places**2) * 2 * places, measured) < 1e-9
print("sin(x²): dx = cos(x²) · 2x agrees with the measured slopes")

# %% [markdown]
# ## 7. The same as the engine
#
# The engine's functions are `numerical_gradient` and `compare` in `tinyalex/gradcheck/difference.py`. The first can also measure a few
# chosen elements only, which saves time with large arrays, and it accepts a function f with many outputs: then it measures their sum.
# `compare` takes a name, the derived gradient and the measured one. Its result has our error as `.error`.

# %%
from tinyalex.gradcheck import difference

for h in (0.25, 1e-3, 1e-5):
    ours, theirs = numerical_gradient(f, x, h), difference.numerical_gradient(f, x, h)
    assert np.abs(ours - theirs).max() < 1e-12
    assert abs(error(dx, ours) - difference.compare("x", dx, theirs).error) < 1e-12
print("gradient and error: equal to the engine's, to 1e-12")
print("zeros that agree:", error(np.zeros(3), np.zeros(3)), "and", difference.compare("x", np.zeros(3), np.zeros(3)).error)

# %% [markdown]
# Two words for all that follows. The **forward pass** is the code that computes out from x. The **backward pass** is the code that computes
# dx from dout by a formula. Every backward pass in the engine is checked in this way, and an error of at most 1e-6 passes. If you write
# `tinyalex gradcheck` in a terminal, all these checks run.

# %% [markdown]
# ## 8. Experiment
#
# ### Error against step
#
# We measure the slope of sin at x = 1 with steps from 0.1 down to 1e-15. The true slope is cos(1). float32 is the type in which nets are
# trained: it holds about 7 digits, and its eps is 1.2e-7.

# %%
steps = 10.0 ** np.arange(-1, -15.1, -fast(0.25, 0.5))
true = np.cos(1.0)
errors = {
    "centered": np.array([abs(centered(np.sin, 1.0, h) - true) for h in steps]),
    "one-sided": np.array([abs(one_sided(np.sin, 1.0, h) - true) for h in steps]),
    "centered, float32": np.array([abs(float(centered(np.sin, np.float32(1), np.float32(h))) - true) for h in steps]),
}

fig, ax = plt.subplots(figsize=(6.5, 4.4), layout="constrained")
for (name, values), color, mark in zip(errors.items(), ("#0072B2", "#E69F00", "#555555"), ("o", "s", "^"), strict=True):
    ax.loglog(steps, np.maximum(values, 1e-13), color=color, marker=mark, markersize=4, linewidth=1, label=name)
rough, fine = np.array([1e-1, 6e-6]), np.array([6e-6, 1e-15])
ax.loglog(rough, true * rough**2 / 6, color="black", linestyle=":", label="h² |f'''| / 6")
ax.loglog(fine, eps * np.sin(1.0) / fine, color="black", linestyle="--", label="eps |f| / h")
ax.set(xlabel="step h", ylabel="error of the measured slope", ylim=(5e-14, 5))
ax.legend(fontsize=9, loc="lower left")
show(fig, alt="Error of the measured slope of sin at 1 against the step h, both axes in powers of ten. The centered difference forms a V: "
     "the error falls from 1e-3 at h = 0.1 along a dotted line to below 1e-12 near h = 5e-6, and then rises in jumps, below a "
     "dashed line, to 0.02 near h = 1e-15. The one-sided one falls from 0.05 to about 3e-9 near h = 1e-8, and from there it "
     "rises together with the centered one. float32 is best between h = 5e-4 and 1e-2, with errors from 1e-6 to 2e-5, and "
     "stays at 0.54 below h = 3e-8.")  # fmt: skip

# %% [markdown]
# Read the picture from right to left, because h becomes smaller to the left. The two black lines are the two errors of part 4, without any
# measurement: the dotted one is the error of the formula, and the dashed one is about the largest error that rounding makes. The centered
# difference has the form of a V. On its right side the error of the formula is the larger one. There a step 10 times smaller gives an error
# 100 times smaller. On its left side the error of rounding is the larger one, and a step 10 times smaller gives an error about 10 times
# *larger*. Rounding errors look random, so the left side is rough: at some steps they cancel by chance. float32 comes to its best error at
# a much larger step. And where h is so small that 1 + h and 1 - h are both 1 in float32, the measured slope is 0, whatever the true slope
# is. The error then is the slope itself, cos(1) = 0.54.

# %%
say("a step of one hundred-thousandth: an error of about 1e-11", value=abs(centered(np.sin, 1.0, 1e-5) - true), within=1e-11)
reveal("00-b")

# %%
worse = abs(centered(np.sin, 1.0, 1e-13) - true)
print(f"h = 1e-13: an error of {worse:.0e}, {worse / abs(centered(np.sin, 1.0, 1e-5) - true):.0e} times the error with h = 1e-5")
reveal("00-c")

# %% [markdown]
# ### The same without rounding
#
# Is the left side of the V really made by rounding? Python's `Fraction` computes with exact fractions. So we can look.

# %%
for exponent in (1, 5, 15, 40):
    h = Fraction(1, 10**exponent)
    assert centered(cube, Fraction(1), h) == 3 + h**2
print("x³ with fractions: the centered difference is 3 + h² exactly, even with h = 1e-40")

# %% [markdown]
# There is no V any more: the error of the formula is left, and nothing else. And one case is better still. For a square, f'' is the last
# derivative that is not zero, and f'' cancels. So the centered difference of a square, or of a straight line, is exact **for every step**,
# also for h = 1 or h = 1000:

# %%
for h in (Fraction(1, 7), Fraction(1), Fraction(1000)):
    assert centered(lambda x: 5 * x**2 - 3 * x + 2, Fraction(2, 3), h) == 10 * Fraction(2, 3) - 3
print("5x² - 3x + 2: the measured slope is the slope, with == and any step")

# %% [markdown]
# Remember this. Several parts of AlexNet are straight lines in each of their inputs, and later lessons check them with h = 1.
#
# ### Near a kink
#
# Which slope does the centered difference with h = 0.25 find for |x|, near its kink?

# %%
place = np.linspace(-1, 1, 201)
fig, ax = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
ax.plot(place, np.sign(place), color="black", linestyle=":", linewidth=2, label="slope of |x|")
ax.plot(place, centered(np.abs, place, 0.25), color="#C04A00", label="measured with h = 0.25")
ax.set(xlabel="x", ylabel="slope")
ax.legend(fontsize=9)
show(fig, alt="Two lines for x from -1 to 1. The dotted one, the slope of |x|, is -1 on the left and jumps at 0 to 1. The solid one, the "
     "slope that was measured with h = 0.25, is the same up to x = -0.25 and from 0.25 on. Between them it is a ramp from -1 "
     "to 1, which crosses 0 at the kink.")  # fmt: skip
say("a tenth to the right of the kink the measured slope is 0.4", value=centered(abs, 0.1, 0.25), within=1e-12)

# %% [markdown]
# ## 9. What people get wrong
#
# Each bold line is a mistake or a wrong belief. The text after it says why.
#
# **"A smaller h is better."** Part 8 shows the V. With h = 1e-17 the measured slope has nothing to do with sin any more:

# %%
print("slope of sin at 1 with h = 1e-17:", centered(np.sin, 1.0, 1e-17), "  because 1 + 1e-17 == 1:", 1 + 1e-17 == 1)

# %% [markdown]
# **An array of integers is fine.** Several questions on the web ask why the gradient of the sum of x² at [3, 4] is not [6, 8]. An array of
# integers can hold nothing but integers: 3.0001 becomes 3 in it, and 2.9999 becomes 2. So the first slope is (3² - 2²) / 2h, with
# h = 0.0001:

# %%
whole, strange = np.array([3, 4]), []
for i in range(2):
    above, below = whole.copy(), whole.copy()
    above[i], below[i] = whole[i] + 1e-4, whole[i] - 1e-4
    strange.append(int(round(((above**2).sum() - (below**2).sum()) / 2e-4)))
print("with integers:", strange, "  with floats:", numerical_gradient(lambda x: (x**2).sum(), whole, 1e-4).round(6))

# %% [markdown]
# **A one-sided difference is enough.** A well-known book and SciPy's `check_grad` use it. At its best step the one-sided difference has
# an error near 1e-8, and the centered one near 1e-11.
#
# **x stays moved.** If the moved element is not put back, all later slopes are measured at another place. The instructions of one course
# say at this line that it is "very important".

# %%
moved, slopes = np.array([1.0, 2.0, 3.0]), []
for i in range(3):
    moved[i] += 0.5
    above = np.prod(moved)
    moved[i] -= 1.0
    slopes.append(float(above - np.prod(moved)))  # 2h is 1, and the element is not put back
print("left moved:", slopes, "  put back:", numerical_gradient(np.prod, np.array([1.0, 2.0, 3.0]), 0.5))

# %% [markdown]
# **The relative error of each element.** Many checks compute |a - n| / (|a| + |n|) for each element. Where the true slope is 0, the
# measured one is about 1e-11, and then this quotient is 1: a false alarm. Where both are 0, it is 0 / 0. Our `error` divides by the largest
# slope.

# %%
a, n = np.array([2.0, 0.0]), np.array([2.0, 3e-12])
print("element by element:", np.abs(a - n) / (np.abs(a) + np.abs(n)), f"  our error: {error(a, n):.0e}")

# %% [markdown]
# **Zeros that agree are a pass.** If the output of a net does not change when its weights move, the measured gradient is 0. Then a backward
# pass that returns zeros whatever happens agrees with it. This is why `error` is infinite there.
#
# **A gradient check proves the forward pass.** It compares a formula with the forward pass *as it is*. If you write cos where you need
# sin, and derive the slope of cos, both agree:

# %%
measured = numerical_gradient(lambda x: np.cos(x).sum(), places, 1e-5)
print(f"cos for sin in both passes: error {error(-np.sin(places), measured):.0e}, and the forward pass is wrong all the same")

# %% [markdown]
# **A kink has a slope.** At a kink there is no right answer, and no check can ask for one. Move x away from it.
#
# More of them, with the numbers by which the tutor knows them, stand in `lessons/MISCONCEPTIONS.md`.
#
# ### Summary
#
# The slope of any program can be measured: move one number by h to both sides, look how much the result changes, and divide by 2h. The
# error is h² f''' / 6 from the formula and eps |f| / h from rounding, so the best step is near 1e-5. Where the function is a straight
# line or a square, every step is exact. Small changes add, and along a chain slopes multiply: dx = du g'(x).
#
# ### Read on
#
# - The engine: `numerical_gradient` and `compare` in `tinyalex/gradcheck/difference.py`, and `kink_free`, which makes an x that is not
#   near a kink. You know what the docstring of this file says, except for five words: a tensor is an array, and lesson 01 explains
#   layer, ReLU, tanh and cotangent.
# - Exercise: `tutor.check("E01", numerical_gradient)`, 15 minutes.
# - Next: lesson 01, a neuron and a net that learns. There the slopes are used for the first time.
#
# Two questions to write about, a few sentences each:
#
# 1. AlexNet has 60 million weights. How many times would `numerical_gradient` run the net to find all slopes once? Why is it the right
#    tool for a proof, and the wrong one for learning?
# 2. Somebody checks a formula with h = 1e-5 in float32, sees an error of 0.02, and says that the formula is wrong. What do you answer?
