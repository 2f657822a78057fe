# %% [markdown]
# # 00  A small lesson
#
# Paper section 3.1, about 5 minutes, needs no earlier lesson, exercise E02.
#
# Afterwards you can build and test a lesson without waiting for a real one.

# %%
import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import adds, fast, say, show

# %% [markdown]
# ## 1. The paper's sentence
#
# > The standard way to model a neuron's output $f$ as a function of its input $x$ is with $f(x) = \tanh(x)$
#
# The slope of a tanh of two settings is $f'(x) = a b\,(1 - \tanh(b x)^2) = a b - (b / a)\,f(x)^2$, in one line.
#
# A **ReLU** keeps what is positive. See `tinyalex/layers/activation.py: ReLU` and the function `tinyalex/layers/columns.py: im2col`.
#
# $$
# \frac{\partial L}{\partial x_i} = \begin{cases} \frac{\partial L}{\partial y_i} & x_i > 0 \\ 0 & x_i \le 0 \end{cases}
# \qquad \text{with a very long line behind it: } \sum_{n=1}^{N} \sum_{c=1}^{C} \sum_{i=1}^{H} \sum_{j=1}^{W} w_{n c i j}\, x_{n c i j}
# $$

# %% tags=["predict"]
predict("01-a", 30)

# %% [markdown]
# ## 2. Twenty lines of your own
#
# Write `positive` yourself before you open the solution. The chain rule gives backpropagation its order.

# %% tags=["solution"]
def positive(x):
    """Keep what is larger than 0."""
    kept = np.where(x > 0, x, np.zeros_like(x))
    return kept


# %%
x = np.random.default_rng(0).standard_normal(fast(1000, 500))
share = (positive(x) == 0).mean()
say("50 % of the numbers are zero afterwards", value=share, within=0.06)
print(round(float(share), 1))

# %%
reveal("01-a")

# %% [markdown]
# ## 3. A picture
#
# | shape | size |
# |---|--:|
# | input | 3 |
# | output | 2 |

# %% tags=["slide"]
fig, ax = plt.subplots(figsize=(4, 3), layout="constrained")
ax.plot([-2, 0, 2], positive(np.array([-2.0, 0, 2])), label="ReLU")
ax.set(xlabel="input", ylabel="output")
show(fig, alt="The output is 0 for inputs from -2 to 0, and rises to 2 at the input 2.")

# %%
show(adds("x", [("3 * x", 3.0), ("x * 2", 2.0)]), alt="Two uses of x send back 3 and 2, and the gradient of x is 5.")
