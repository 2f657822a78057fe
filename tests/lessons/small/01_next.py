# %% [markdown]
# # 01  The next small lesson
#
# Paper section 3.5, about 7 minutes, needs lesson 00, exercises E04 and E05.
#
# Afterwards you can see that one lesson repeats a function of another.

# %% [markdown]
# ## 1. The function of lesson 00 again
#
# It takes the larger one of two numbers:
#
# $$\text{positive}(x) = \max(0, x)$$

# %%
import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.tutor.lesson import show


def positive(x):
    kept = np.where(x > 0, x, np.zeros_like(x))
    return kept


# %%
fig, ax = plt.subplots(figsize=(4, 3), layout="constrained")
ax.bar(range(3), positive(np.array([-1.0, 2.0, 3.0])))
ax.set(xlabel="place", ylabel="output")
show(fig, alt="Three bars of heights 0, 2 and 3: the negative number became 0.")
