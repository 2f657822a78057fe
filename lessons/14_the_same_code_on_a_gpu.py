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
# # 14  The same code on a GPU
#
# Paper section 1, about 75 minutes, needs lessons 01, 03, 04, 06, 07, 09 and 10, and holds no graded function.
#
# Afterwards you can write array code that runs on a CPU and on a GPU, say what a copy and a wait cost there, and read a kernel of the
# engine line by line and write one of your own.

# %%
from contextlib import contextmanager
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np

# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel.
from tinyalex.tutor import predict, reveal
from tinyalex.tutor.lesson import say, show

# %% [markdown]
# ## 1. The paper's sentence
#
# > "We wrote a highly-optimized GPU implementation of 2D convolution and all the other operations inherent in training convolutional neural
# > networks, which we make available publicly"
#
# (Section 1.) A **GPU** is the processor of a graphics card. The rest of the computer, with its CPU and its memory, is called the **host**.
# The card has a memory of its own, and its processor computes only with numbers in this memory. So there are two kinds of work:
#
# - A **transfer** copies an array from the host to the card, or back.
# - A **kernel** is a small function that the card runs. It reads arrays of the card and writes arrays of the card. (This is a new meaning.
#   In lesson 03 a kernel was a filter.) To **launch** a kernel means: to start it.
#
# The host does not wait for a kernel. It launches one kernel after the other, and the card works through them. The host waits only if it
# asks for a number. Such a place is called a **synchronization**.
#
# The authors wrote a program for the GPU. Do we need a second program? Nearly everything in lessons 01 to 10 was a function of arrays: add,
# multiply, take a maximum. The library CuPy has these functions for arrays of a card, with NumPy's names. So a function may get its module
# as an argument. We call the argument `xp`. It is NumPy on the host and CuPy on a card, and the function stays the same. Only four things
# are forbidden:
#
# 1. **No array of the host in a computation with arrays of the card.** Nothing is copied by itself: a transfer must be written.
# 2. **No function and no keyword that CuPy does not have.** NumPy has more of both.
# 3. **No look at a number of the card** inside of a step: no `if`, no `float`, no `print`. Each makes the host wait.
# 4. **No float64** where float32 is meant. `np.sqrt(2)` is a float64 of NumPy, and an array of float32 times it is float64. (Python's own
#    numbers, such as 0.1, are allowed: they take the type of the array.)
#
# **No real card has run anything in this lesson.** `sim:0` is a **simulated card**: NumPy computes, and everything is refused that CuPy
# refuses. It counts launches, transfers and synchronizations. It cannot measure time. Where this lesson speaks of seconds, they are
# computed from the published figures of a card. The README of the repository says what has run on a real card.

# %% [markdown]
# ## 2. Predict
#
# Run the cells, and replace each guess by your own before you read on. Two words of the third question: a **warp** is a group of 32 threads
# that do the same instruction together. A **sector** is 32 bytes of the card's memory, beginning at a multiple of 32. The card always moves
# whole sectors.

# %% tags=["predict"]
predict("14-a", 1)

# %% tags=["predict"]
predict("14-b", 1)

# %% tags=["predict"]
predict("14-c", 1)

# %% [markdown]
# ## 3. The equation
#
# ### Which element is mine?
#
# A kernel is run by many **threads**. All of them run the same lines, but each has a number of its own, and so it can take an element of
# its own. Threads come in **blocks** of equal size. CUDA C++, the language of kernels, has these names:
#
# | name | what it is |
# |---|---|
# | blockDim.x | how many threads a block has, T |
# | gridDim.x | how many blocks there are, B |
# | blockIdx.x | the number of the block, from 0 to B - 1 |
# | threadIdx.x | the number of the thread in its block, from 0 to T - 1 |
#
# For an array of S elements, in the order in which they lie in memory:
#
# $$\begin{array}{rll}
# \text{index} &= \text{blockIdx.x} \cdot T + \text{threadIdx.x} & \quad \text{from 0 to } B\,T - 1 \\
# B &= \lceil S / T \rceil & \quad \text{so that } B\,T \ge S
# \end{array}$$
#
# $\lceil\;\rceil$ means: rounded up. B T is mostly larger than S. Threads with an index of S or more have no element, and the kernel must
# say that they do nothing. This line is called the **bound check**.
#
# ### How long?
#
# Let $\alpha$ be the least time of a kernel. A copy needs $\alpha$ too, before it carries anything. Let $\beta$ be the bytes that go from
# the host to the card in a second, $\gamma$ the bytes that go between the card's processor and its memory in a second, and $\omega$ the
# operations that the card does in a second. (These letters have nothing to do with those of lesson 05.)
#
# $$\begin{array}{rl}
# t_{\text{copy}} &= \alpha + \text{bytes} / \beta \\
# t_{\text{kernel}} &= \max(\alpha,\; \text{bytes read and written} / \gamma,\; \text{operations} / \omega)
# \end{array}$$
#
# A card reads, computes and writes at the same time. So a kernel needs the longest of its times and not their sum.

# %% [markdown]
# ## 4. The derivation
#
# ### 4.1 From a loop to threads
#
# ReLU of an array with S elements is a loop. Here are the loop, and the same loop cut into blocks:


# %%
def relu_loop(x, out):
    for index in range(len(x)):
        out[index] = max(x[index], 0)


def launch(body, blocks, threads, *arguments):
    """Run the body of a kernel for each thread, one after the other. A card runs many of them at the same time, in no certain order."""
    for block in range(blocks):
        for thread in range(threads):
            body(block * threads + thread, *arguments)


def relu_body(index, x, out):
    if index >= len(x):  # the bound check
        return
    out[index] = max(x[index], 0)


x = np.random.default_rng(14).standard_normal(10)
one, two = np.empty(10), np.empty(10)
relu_loop(x, one)
launch(relu_body, 3, 4, x, two)  # 3 blocks of 4 threads for 10 elements
print("the loop and the threads give the same:", np.array_equal(one, two))

# %%
fig, ax = plt.subplots(figsize=(7, 1.9), layout="constrained")
for index in range(12):
    busy = index < 10
    ax.add_patch(plt.Rectangle((index + 0.06, 0), 0.88, 0.9, facecolor="#CFE3F2" if busy else "white", edgecolor="#0072B2",
                               linestyle="-" if busy else "--"))  # fmt: skip
    ax.text(index + 0.5, 0.45, f"{index % 4}", ha="center", va="center", fontsize=12)
    ax.text(index + 0.5, -0.3, f"{index}" if busy else "none", ha="center", va="center", fontsize=10, color="black" if busy else "#C04A00")
for block in range(3):
    ax.text(4 * block + 2, 1.2, f"block {block}", ha="center", fontsize=11)
    ax.axvline(4 * block, color="black", linewidth=1, ymin=0.1)
ax.axvline(12, color="black", linewidth=1, ymin=0.1)
ax.text(-0.2, 0.45, "thread", ha="right", va="center", fontsize=10)
ax.text(-0.2, -0.3, "element", ha="right", va="center", fontsize=10)
ax.set(xlim=(-1.6, 12.1), ylim=(-0.6, 1.5))
ax.set_axis_off()
show(fig, alt="Twelve boxes in three blocks of four. In each block the threads are numbered 0 to 3. Below stand the elements: 0 to 9 under "
     "the first ten boxes. The last two boxes, threads 2 and 3 of block 2, are dashed, and they have no element.")  # fmt: skip

# %% [markdown]
# The order of the threads must not matter, because nobody knows it. It does not matter here: thread i reads x[i] alone and writes out[i]
# alone. **Many threads may read one element. But if one of them writes it, no other thread may use it.** A kernel that breaks this rule has
# a **race condition**, in short a race: what comes out depends on which thread was faster.
#
# ### 4.2 Where a gradient adds, threads race
#
# Lesson 03 found the gradient of a bias. It is used at each pixel of each image, so its gradient adds over all of them. Let dout be (N, K,
# P): N images, K filters, P pixels.
#
# $$\text{dbias}_k = \sum_n \sum_p \text{dout}_{nkp} \qquad\qquad (K)$$
#
# We could give a thread to each element of dout, and let it do `dbias[k] += dout[n, k, p]`. This is a **scatter**: many threads write into
# one element. `+=` is a read, an addition and a write. Two threads read the old sum, both add their own term, both write, and one of the
# terms is lost. The other way is a **gather**: a thread for each element of the *result*, which reads all its terms and adds them alone.
#
# $$\text{scatter: } N\,K\,P \text{ threads, which race} \qquad\qquad \text{gather: } K \text{ threads, which do not}$$
#
# In lessons 02 to 05 a program with `=` in the place of `+=` loses terms. Here even `+=` loses terms. The engine's kernels gather: see
# `max_pool_backward` in `tinyalex/fast/cuda/pool.cu`, where a thread has one pixel and asks the windows that see it.
#
# ### 4.3 A copy beside a kernel
#
# Take an array of S numbers of 4 bytes that lies on the host, and ReLU. The kernel reads 4 S bytes and writes 4 S. It does S operations,
# and for a card this is nothing. Let the array be large, so that $\alpha$ does not count:
#
# $$\frac{t_{\text{copy}}}{t_{\text{kernel}}} = \frac{4S / \beta}{8S / \gamma} = \frac{\gamma}{2\,\beta}$$
#
# S cancels. Only the card counts. The paper's card is a GeForce GTX 580. Its $\gamma$ is 192.4 GB in a second, which is published. Its
# $\beta$ is 8 GB in a second: its connection to the host, PCI Express 2, has 16 lanes, and each carries 0.5 GB in a second. In
# practice neither peak is reached. We suppose that both are missed by the same factor. Then the factor cancels.
#
# And the loss, one number of 4 bytes? Here bytes / $\beta$ is nothing, and $\alpha$ is all. In addition the host waits until the card has
# computed the loss.
#
# ### 4.4 A warp and its sectors
#
# The 32 threads of a warp do one instruction together. Let the instruction be a read of one float32 for each thread, 128 bytes in all. If
# the elements are neighbors, and the first one begins a sector, they fill four sectors. If they lie 32 bytes or more apart, each lies in
# a sector of its own:
#
# $$\begin{array}{rll}
# \text{neighbors:} & 32 \cdot 4 / 32 = 4 \text{ sectors} & \quad 128 \text{ bytes move} \\
# \text{far apart:} & 32 \text{ sectors} & \quad 1024 \text{ bytes move}
# \end{array}$$
#
# An access of the first kind is called **coalesced**. A kernel that only reads and writes takes as long as its bytes take. So an order of
# the indices can cost a factor, and no result shows it.
#
# ### 4.5 Shared memory, and a barrier
#
# A convolution is a product of matrices (lesson 03): out = a b, (M, Q) = (M, R) (R, Q). A thread for each element of out reads R numbers of
# a and R of b. So all threads read 2 M Q R numbers, and each number of a is read Q times.
#
# The threads of a block have a small fast memory together, the **shared memory**. Let a block have 16 x 16 threads, one for each element
# of a square of out. The sum of an element has R terms, and the block adds 16 of them in each step. In a step the threads
#
# 1. bring two **tiles** into shared memory, 16 x 16 numbers of a and as many of b; each thread brings one number of each tile,
# 2. wait for each other,
# 3. multiply and add: each thread reads 16 numbers of each tile, and other threads have brought most of them,
# 4. wait for each other again, because the next step overwrites the tiles.
#
# To wait for each other is a **barrier**, `__syncthreads()` in CUDA C++. Without the first barrier a thread may read what nobody has
# written yet. Without the second one a fast thread overwrites what a slow one still needs. A step reads 2 · 16² numbers. If M, Q and R are
# multiples of 16, there are R / 16 steps, and M Q / 16² blocks:
#
# $$2 \cdot 16^2 \cdot \frac{R}{16} \cdot \frac{M\,Q}{16^2} = \frac{2\,M\,Q\,R}{16} \quad \text{numbers are read}$$
#
# This is a 16th of 2 M Q R. The arithmetic is the same as before. Only bytes are saved.

# %% [markdown]
# ## 5. Twenty lines of your own
#
# Here is a kernel in CUDA C++. It does what `relu_body` does. The first line gives the text a name, and numbers the lines below it from 1,
# for messages. The words in front of the kernel's name say that the host may launch it. Copy them.

# %% tags=["given"]
EXAMPLE = """#line 1 "example.cu"
extern "C" __global__ void relu(const real* x, real* out, int size)
{
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= size) return;
    out[index] = x[index] > 0 ? x[index] : 0;
}"""

# %% [markdown]
# What you need of the language:
#
# - Each variable has a type: `int` for integers, `real` for the numbers of the arrays. The call decides whether `real` is float or double.
#   Give each variable a value at once, as in `real sum = 0;`. Without one it holds anything, and no check of part 6 sees this.
# - `const real* x` is an array of which the kernel only reads, and `real* out` one that it writes. An array has one axis here: element
#   (n, k, p) of an array (N, K, P) is `dout[(n * K + k) * P + p]`.
# - `c ? a : b` gives `a` where `c` is true, and `b` elsewhere. Statements end with `;`. Braces `{ }` hold a block of lines.
# - `for (int n = 0; n < N; ++n)` is Python's `for n in range(N)`. `/` of two integers drops the fraction, and `%` is the rest.
#
# Write a function `my_kernels()`, which returns a text with two kernels:
#
# - `relu_backward(out, dout, dx, size)`: a thread for each element; dx is dout where out > 0, and 0 elsewhere.
# - `bias_backward(dout, dbias, N, K, P)`: a thread for each *filter*, which gathers its sum.
#
# This takes about 10 minutes. Write it in a cell of your own, before you open the next cell. To check it, run your cell again after the
# next one, and then the cells of part 6: they compile the kernels and compare them with NumPy.


# %% tags=["solution"]
def my_kernels():
    """The text of two kernels in CUDA C++, relu_backward and bias_backward."""
    return """#line 1 "mine.cu"
extern "C" __global__ void relu_backward(const real* out, const real* dout, real* dx, int size)
{
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= size) return;
    dx[index] = out[index] > 0 ? dout[index] : 0;
}

extern "C" __global__ void bias_backward(const real* dout, real* dbias, int N, int K, int P)
{
    int k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= K) return;
    real sum = 0;
    for (int n = 0; n < N; ++n)
        for (int p = 0; p < P; ++p)
            sum += dout[(n * K + k) * P + p];
    dbias[k] = sum;
}"""


# %% [markdown]
# ## 6. Prove it
#
# NVIDIA's compiler NVRTC makes instructions of the text. It needs no card. `tinyalex.sim` runs the instructions in NumPy, on the arrays of
# `sim:0`. NVRTC is an extra package, for Linux and Windows: `pip install "tinyalex[kernels]"`. Where it is missing, the cells below say so
# in one sentence. The notebook in the repository shows what they print. `start` gives a kernel as many blocks as its elements need.
# (`-(-a // b)` is a / b rounded up.)

# %%
from tinyalex import sim

card = sim.SimDevice(0)  # sim:0


@contextmanager
def needs_compiler():
    """A block that runs kernels. Where the compiler is missing, one sentence is printed, and the rest of the block is left out."""
    try:
        yield
    except sim.KernelError:
        if sim.available():
            raise
        print('left out: the compiler of kernels is not installed; pip install "tinyalex[kernels]"')


def kernel(code, name, real="float"):
    return sim.RawModule(code=code, options=(f"-Dreal={real}",)).get_function(name)


def start(found, size, *arguments, threads=256):
    """Launch a kernel with a thread for each of `size` elements. A Python int becomes an int of 4 bytes, as C has it."""
    found((-(-size // threads),), (threads,), [np.int32(a) if isinstance(a, int) else a for a in arguments])


rng = np.random.default_rng(14)
CODE = my_kernels()
with needs_compiler():
    relu_backward = kernel(CODE, "relu_backward")
    for size in (1, 255, 256, 257, 1000):  # no block full, one full, one element more
        out, dout = np.maximum(rng.standard_normal(size, np.float32), 0), rng.standard_normal(size, np.float32)
        dx = card.empty((size,), np.float32)
        start(relu_backward, size, card.asarray(out), card.asarray(dout), dx, size)
        assert np.array_equal(card.to_numpy(dx), np.where(out > 0, dout, 0)), "relu_backward gives other numbers than NumPy"
        print(f"relu_backward: elements {size}, blocks {-(-size // 256)}, equal to NumPy's")

# %% [markdown]
# `card.empty` gives an array of NaN. So an element that no thread writes would be seen. Next we check `bias_backward`, and then both
# kernels against measured slopes (lesson 00), in double precision. The loss multiplies ReLU(x + bias) by random numbers and adds. No two
# of N, K and P are alike.

# %% tags=["seeded"]
rng = np.random.default_rng(15)
N, K, P = 3, 5, 7
x, bias, dout = rng.standard_normal((N, K, P)), rng.standard_normal(K), rng.standard_normal((N, K, P))


def loss(bias):
    return (dout * np.maximum(x + bias[:, None], 0)).sum()


measured = np.array([(loss(bias + 1e-6 * unit) - loss(bias - 1e-6 * unit)) / 2e-6 for unit in np.eye(K)])
with needs_compiler():
    out = card.asarray(np.maximum(x + bias[:, None], 0))
    dx, dbias = card.empty((N, K, P), np.float64), card.empty((K,), np.float64)
    start(kernel(CODE, "relu_backward", "double"), N * K * P, out, card.asarray(dout), dx, N * K * P)
    start(kernel(CODE, "bias_backward", "double"), K, dx, dbias, N, K, P)
    assert np.abs(card.to_numpy(dbias) - card.to_numpy(dx).sum(axis=(0, 2))).max() < 1e-12, "bias_backward gives other sums than NumPy"
    assert np.abs(card.to_numpy(dbias) - measured).max() < 1e-7, "the gradient is not the measured slope"
    print("both kernels agree with NumPy to 1e-12, and with the measured slopes")

# %% [markdown]
# Last comes the product in tiles of 4.5, beside the plain one. A thread and a block have up to three numbers, x, y and z, for three
# directions. Here we use x and y. `#define TILE 16` means: read 16 wherever TILE stands. `__shared__` puts an array into shared memory,
# here with two axes. `&&` is and, `||` is or. Where a tile reaches past the end of a matrix, the threads bring zeros. So we multiply
# matrices whose sizes are multiples of 16, and others.

# %%
PRODUCT = """#line 1 "product.cu"
#define TILE 16
extern "C" __global__ void plain(const real* a, const real* b, real* out, int M, int R, int Q)
{
    int m = blockIdx.y * TILE + threadIdx.y, q = blockIdx.x * TILE + threadIdx.x;
    if (m >= M || q >= Q) return;
    real sum = 0;
    for (int r = 0; r < R; ++r) sum += a[m * R + r] * b[r * Q + q];
    out[m * Q + q] = sum;
}

extern "C" __global__ void tiles(const real* a, const real* b, real* out, int M, int R, int Q)
{
    __shared__ real of_a[TILE][TILE], of_b[TILE][TILE];
    int down = threadIdx.y, across = threadIdx.x;
    int m = blockIdx.y * TILE + down, q = blockIdx.x * TILE + across;
    real sum = 0;
    for (int first = 0; first < R; first += TILE) {
        of_a[down][across] = m < M && first + across < R ? a[m * R + first + across] : 0;
        of_b[down][across] = q < Q && first + down < R ? b[(first + down) * Q + q] : 0;
        __syncthreads();  // the tiles are complete
        for (int r = 0; r < TILE; ++r) sum += of_a[down][r] * of_b[r][across];
        __syncthreads();  // the tiles were used, and may be overwritten
    }
    if (m < M && q < Q) out[m * Q + q] = sum;
}"""


def multiply(found, a, b):
    """Run a kernel of PRODUCT. Returns the product as a NumPy array."""
    (m, r), q = a.shape, b.shape[1]
    out = card.empty((m, q), a.dtype)
    sizes = (np.int32(m), np.int32(r), np.int32(q))
    found((-(-q // 16), -(-m // 16)), (16, 16), (card.asarray(a), card.asarray(b), out, *sizes))
    return card.to_numpy(out)


with needs_compiler():
    for M, R, Q in ((48, 80, 64), (20, 41, 27)):
        a, b = rng.standard_normal((M, R)), rng.standard_normal((R, Q))
        for name in ("plain", "tiles"):
            assert np.abs(multiply(kernel(PRODUCT, name, "double"), a, b) - a @ b).max() < 1e-12
            print(f"{name}, ({M}, {R}) ({R}, {Q}): equal to NumPy's product to 1e-12")

# %% [markdown]
# ## 7. The same as the engine
#
# ### One kernel, line by line
#
# The engine's kernels stand in `tinyalex/fast/cuda/`. This one runs behind a convolution. It adds the bias, and it takes ReLU.
# (`own_index()` is blockIdx.x * blockDim.x + threadIdx.x.)

# %%
from tinyalex.fast.cuda import loader

text = loader.source("bias.cu")  # what the compiler gets: a few definitions, then the file
first = text.index('extern "C" __global__ void add_bias')
print(text[first : text.index("}", first) + 1])

# %% [markdown]
# | line | what it does |
# |---|---|
# | `extern "C" __global__ void` | a kernel: the host launches it, under this name |
# | `const real* product` | an array of the card that is only read; `real` is float or double |
# | `int index = own_index();` | my element, as in part 3 |
# | `if (index >= N * K * P) return;` | the bound check: the last block may reach past the end |
# | `int p = ..., k = ..., n = ...;` | from the index back to three axes; neighboring threads have neighboring pixels p |
# | `real value = product[...] + bias[k];` | two reads, one addition; `of_image` and `of_filter`: how far apart images and filters lie |
# | `out[index] = relu && value < 0 ? 0 : value;` | one write. `relu` says whether ReLU follows |
#
# Why are bias and ReLU *one* kernel? Each kernel reads its array once and writes it once. So two kernels move four arrays, and one moves
# two.
#
# ### The rows of the engine's table
#
# `tinyalex/fast/table.py` is the list of the engine's algorithms. `function(plain, device, dtype)` looks in it for the kernel that does the
# same as the function `plain`. On a simulated card the engine runs kernels only with TINYALEX_KERNELS=1. We compare our kernel, the
# engine's kernel and the engine's plain function. And we compare the engine's convolution in tiles, in `conv.cu`, with its convolution on
# the CPU. `sim.profile()` tells which kernels have run.

# %%
import os

from tinyalex.fast.table import FUNCTIONS, function
from tinyalex.layers import Conv2d
from tinyalex.layers.activation import relu_backward as plain_relu_backward

os.environ["TINYALEX_KERNELS"] = "1" if sim.available() else "0"
out, dout = np.maximum(rng.standard_normal((3, 5, 7), np.float32), 0), rng.standard_normal((3, 5, 7), np.float32)
results = {}
for name, chosen in (("plain", plain_relu_backward), ("row", function(plain_relu_backward, card, np.float32))):
    dx = card.empty(out.shape, np.float32)
    chosen(card.asarray(out), card.asarray(dout), dx)
    results[name] = card.to_numpy(dx)
assert np.array_equal(results["plain"], results["row"])
print("relu_backward of", FUNCTIONS["relu_backward"][0], "is equal to the plain function")
with needs_compiler():
    dx = card.empty(out.shape, np.float32)
    start(kernel(CODE, "relu_backward"), out.size, card.asarray(out), card.asarray(dout), dx, out.size)
    assert np.array_equal(card.to_numpy(dx), results["row"])
    print("and our kernel is equal to both")

images = rng.standard_normal((2, 3, 9, 11))
outs = []
with sim.profile() as counts:
    for device in ("cpu", card):
        layer = Conv2d(3, 5, (3, 4), stride=2, padding=1, device=device, dtype=np.float64, rng=np.random.default_rng(1))
        outs.append(layer.device.to_numpy(layer.forward(layer.device.asarray(images))))
assert np.abs(outs[0] - outs[1]).max() < 1e-12
print("the engine's convolution on the CPU and on sim:0 is equal to 1e-12; kernels:", {one.kernel for one in counts.traffic} or None)
del os.environ["TINYALEX_KERNELS"]

# %% [markdown]
# ### The same code, two devices
#
# Now the claim of part 1. Here is a whole step of training, from lessons 01, 06 and 07: two fully connected layers with ReLU, softmax, the
# gradient, a step down. It gets `xp` and arrays of any kind. It obeys the four prohibitions: the loss stays an array of the card.


# %%
def step(x, target, weights, xp):
    """One step of gradient descent. x (N, D), target (N, 10) with a 1 at the right class. Changes the weights; returns the loss."""
    w1, w2 = weights
    hidden = xp.maximum(x @ w1, 0)
    logits = hidden @ w2
    e = xp.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    dlogits = (p - target) / len(x)
    dhidden = (dlogits @ w2.T) * (hidden > 0)
    w2 -= 0.1 * (hidden.T @ dlogits)
    w1 -= 0.1 * (x.T @ dhidden)
    return -(xp.log(p) * target).sum() / len(x)


labels = rng.integers(0, 10, 64)
data = rng.standard_normal((64, 192), np.float32)  # a synthetic set
target = np.eye(10, dtype=np.float32)[labels]
first_weights = [0.1 * rng.standard_normal(shape, np.float32) for shape in ((192, 50), (50, 10))]

here = [w.copy() for w in first_weights]
there = [card.asarray(w) for w in first_weights]
for _ in range(5):
    loss_here = step(data, target, here, np)
    loss_there = step(card.asarray(data), card.asarray(target), there, card.xp)
assert all(np.array_equal(one, card.to_numpy(two)) for one, two in zip(here, there, strict=True))
print(f"after 5 steps the weights are equal to the last bit; the loss is {loss_here:.3f} and {float(loss_there):.3f}")

# %% [markdown]
# They are equal to the last bit because the simulated card computes with NumPy. A real card adds in another order, so its last bits would
# differ. The engine's layers are written in the same way. They get `xp` from their device. So a whole net runs on both:

# %%
import tinyalex as ta

net_images = rng.standard_normal((2, 3, 32, 32))
outs = []
for device in ("cpu", card):
    net = ta.models.figure1_net(device=device, dtype=np.float64, seed=3)
    outs.append(net.device.to_numpy(net.forward(net.device.asarray(net_images))))
assert np.abs(outs[0] - outs[1]).max() < 1e-12
print("the net of Figure 1 on the CPU and on sim:0 agree to 1e-12")

# %% [markdown]
# ## 8. Experiment
#
# ### Five lines
#
# Each of these five lines works if x is an array of NumPy and xp is numpy. Now x is an array of `sim:0`, and `mean` lies on the host. For
# each line that fails we print the message. For each line that runs we print the type of the result, and how often the host has waited.

# %%
LINES = ("x - mean", "x.sum(where=x > 0)", "xp.maximum(x, 0)", "x * np.sqrt(2)", "float(x.mean())")
x, mean, xp = card.asarray(rng.standard_normal((4, 3), np.float32)), np.zeros(3, np.float32), card.xp
failed = 0


def tell(message):
    """Print a long message in lines of 100 characters."""
    print(fill(message, 100, subsequent_indent="    "))


for line in LINES:
    before = card.counts()
    try:
        result = eval(line)
        waits = (card.counts() - before).synchronizations
        tell(f"{line} runs: {getattr(result, 'dtype', type(result).__name__)}, waits of the host: {waits}")
    except (TypeError, AttributeError) as error:
        failed += 1
        tell(f"{line} raises {type(error).__name__}: {error}")
say("2 of the five lines fail", value=failed, within=0)
reveal("14-a")

# %% [markdown]
# The first line breaks prohibition 1. The remedy is `mean = card.asarray(mean)`, once, before the loop. The second breaks prohibition 2:
# `xp.where(x > 0, x, 0).sum()` does the same. The third is what we want. **The last two are worse than the first two, because they run.**
# The fourth makes float64, and what is computed from its result becomes float64 too. The fifth makes the host wait. On a real card both
# cost time, and no message says why. So the simulated card can refuse them too, in a block with limits:

# %%
for line in LINES[2:]:
    try:
        with card.limits(synchronizations=0, float64=False):
            eval(line)
        tell(f"{line} runs")
    except ta.TinyalexError as error:
        tell(f"{line} raises {type(error).__name__}: {error}")

# %% [markdown]
# The step of part 7 passes both limits:

# %%
batch = card.asarray(data), card.asarray(target)
with card.limits(synchronizations=0, float64=False) as block:
    step(*batch, there, card.xp)
print(block.counts)
say("one step launches 24 kernels", value=block.counts.launches, within=0)
say("and copies 0 bytes", value=block.counts.bytes_to_device + block.counts.bytes_to_host, within=0)

# %% [markdown]
# ### What crosses
#
# How many bytes does the step need to copy? We count three ways of doing five steps. In all of them the images and labels of a step are
# copied to the card. In the first way nothing comes back but the sum of the five losses, at the end. In the second way each loss is read.
# The third way reads each loss too, and carelessly copies the weights to the host and back to the card in every step.


# %%
def five_steps(read_each, carry_weights):
    """Five steps on the card; what crossed in them."""
    weights, losses = [card.asarray(w) for w in first_weights], []
    before = card.counts()
    for _ in range(5):
        if carry_weights:
            weights = [card.asarray(card.to_numpy(w)) for w in weights]
        loss = step(card.asarray(data), card.asarray(target), weights, card.xp)
        losses.append(float(loss) if read_each else loss)
    sum(losses) if read_each else float(sum(losses))
    return card.counts() - before


ways = {"read once": (False, False), "read each loss": (True, False), "carry the weights": (True, True)}
print("                   to the card       back   waits")
crossed = {}
for name, way in ways.items():
    crossed[name] = counts = five_steps(*way)
    print(f"{name:18} {counts.bytes_to_device:12,} {counts.bytes_to_host:10,} {counts.synchronizations:7}")
say("the images and labels of five steps are 258,560 bytes", value=5 * (data.nbytes + target.nbytes), within=0)
say("read once: the host waits 1 time", value=crossed["read once"].synchronizations, within=0)
say("read each loss: it waits 5 times", value=crossed["read each loss"].synchronizations, within=0)
say("these five losses are 20 bytes", value=crossed["read each loss"].bytes_to_host, within=0)

# %% [markdown]
# ### What a copy costs beside a kernel
#
# The package has the published figures of some cards. The command `tinyalex net alexnet --predict gtx580` computes the time of each layer
# from them, with the equation of part 3. No program reaches the peaks. So the command multiplies all peaks by one factor, 0.364, which
# comes from a published time of another card. This is arithmetic, and **nothing here was measured**.

# %%
from tinyalex.analysis.predict import EFFICIENCY, LAUNCH, predict as predict_step
from tinyalex.analysis.predict_cards import CARDS
from tinyalex.devices.dry import DryDevice
from tinyalex.models import alexnet

paper = CARDS["gtx580"]
say("on the paper's card, copying an array takes 12.0 times as long as ReLU of it", value=paper.traffic / (2 * paper.bus), within=0.05)
reveal("14-b")
lost = LAUNCH * EFFICIENCY * paper.bus / 4  # numbers of 4 bytes
say("in the time that a copy needs before it carries anything, it could carry 3,640 numbers", value=lost, within=1)

# %% [markdown]
# (For $\alpha$ the package has 5 microseconds, which others report for a launch. We take the same for a copy, and that is a guess.) So the
# copy of one loss takes half as long as the copy of 3,640 numbers.
#
# Now AlexNet with a batch of 128. The net does not run here: a `DryDevice` has shapes and no numbers. We compare the time of a training
# step with the times of two kinds of copies:
#
# - The images go to the card, once for a step. Each of their numbers has 4 bytes.
# - Each activity goes to the host and back. A careless program does this if one function of each layer was left in NumPy. We count the way
#   forward alone, with 1,258,760 activities for each image (lesson 10).

# %%
net = alexnet(devices=DryDevice("cuda:0", stands_for="cuda"))
ACTIVITIES = 1_258_760
times = {}
for name in ("gtx580", "gtx1080ti", "rtx3090", "h200"):
    one = CARDS[name]
    found = predict_step(net, one, 128)
    there_and_back = 2 * 4 * 128 * ACTIVITIES / (EFFICIENCY * one.bus)
    times[one.title] = found.step, found.upload, there_and_back
    print(f"{one.title:20} a step {1000 * found.step:5.0f} ms, images {1000 * found.upload:3.0f} ms, "
          f"activities there and back {1000 * there_and_back:4.0f} ms")  # fmt: skip

# %%
fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
labels_of = ("one step on the card", "images to the card", "activities there and back")
for at, (color, hatch) in enumerate((("#0072B2", ""), ("#E69F00", ""), ("white", "//"))):
    shares = [seconds[at] / seconds[0] for seconds in times.values()]
    places = np.arange(len(times)) + 0.27 * (at - 1)
    ax.bar(places, shares, 0.25, color=color, edgecolor="#C04A00" if hatch else color, hatch=hatch, label=labels_of[at])
    for place, share in zip(places, shares, strict=True):
        ax.text(place, share + 0.04, f"{share:.2f}", ha="center", fontsize=8)
ax.set(xticks=range(len(times)), ylim=(0, 2.6), ylabel="time, as a part of the step")
ax.set_xticklabels([title.replace("GeForce ", "") for title in times], fontsize=9)
ax.legend(fontsize=9, loc="upper left")
show(fig, alt="Bars for four cards, as parts of the time of a step, which is 1. The images are 0.03 of it on the GTX 580 and 0.13 on "
     "the H200. Bringing all activities to the host and back is 0.44 of a step on the GTX 580, 1.39 on the GTX 1080 Ti, 1.91 on the RTX "
     "3090 and 2.23 on the H200.")  # fmt: skip
shares = [[seconds[at] / seconds[0] for seconds in times.values()] for at in (1, 2)]
say("on the paper's card the images take 0.026 of a step", value=shares[0][0], within=0.0005)
say("on the newest of these cards they take 0.13", value=shares[0][-1], within=0.005)
say("and the activities there and back take 2.2 steps", value=shares[1][-1], within=0.05)

# %% [markdown]
# **From the oldest card to the newest a step became 40 times as fast, and the way to the card only 8 times.** The images can be copied
# while the card computes the step before. Then their copy costs no time. The paper says the same of its changed images (section 4.1): they
# are made on the CPU "while the GPU is training on the previous batch of images", so they are "in effect, computationally free". Activities
# cannot be copied in this way, because the next layer waits for them. So the card needs *all* functions of a step, also the small ones.
#
# The factor 0.364 was found for kernels, and we use it for copies too. If copies come nearer to their peak, the true orange and hatched
# bars are shorter than ours. If kernels come nearer to the peaks of newer cards, the steps there are shorter. Then the true orange and
# hatched bars of these cards are longer than ours.

# %%
oldest, newest = CARDS["gtx580"], CARDS["h200"]
say("the step became 40 times as fast", value=times[oldest.title][0] / times[newest.title][0], within=0.5)
say("and the bus 8 times", value=newest.bus / oldest.bus, within=0.2)

# %% [markdown]
# ### Why one wait a step is not free
#
# The host has work too: it reads the next batch and crops its images. Suppose that this takes 2 units of time, and the step on the card 3.
# (These two numbers are invented.) If the host does not wait, it prepares the next batch while the card computes. If the host reads the
# loss of each step, it waits until the card has finished. Then the card waits until the host has prepared the next batch.


# %%
def timeline(steps, prepare, compute, read_each):
    """When host and card work: two lists of (begin, end)."""
    host, gpu, free = [], [], 0
    for _ in range(steps):
        host.append((free, free + prepare))
        begin = max(host[-1][1], gpu[-1][1] if gpu else 0)
        gpu.append((begin, begin + compute))
        free = gpu[-1][1] if read_each else host[-1][1]
    return host, gpu


fig, axes = plt.subplots(2, 1, figsize=(6.5, 2.9), layout="constrained", sharex=True)
ends = []
for ax, read_each in zip(axes, (False, True), strict=True):
    for y, spans in enumerate(timeline(4, 2, 3, read_each)):
        widths = [(begin, end - begin) for begin, end in spans]
        ax.broken_barh(widths, (0.6 - y, 0.75), facecolor=("#E69F00", "#0072B2")[y], edgecolor="white", linewidth=2)
        for number, (begin, end) in enumerate(spans):
            ax.text((begin + end) / 2, 0.97 - y, f"{number}", ha="center", va="center", fontsize=10, color="white" if y else "black")
    ends.append(spans[-1][1])
    ax.set(yticks=(0.97, -0.03), ylim=(-0.6, 1.5), xlim=(0, 20.5), xticks=range(0, 21, 2))
    ax.set_yticklabels(("host", "card"))
    ax.set_title("each loss is read" if read_each else "no loss is read", fontsize=10, loc="left")
axes[1].set_xlabel("time")
show(fig, alt="Two timelines of four steps, 0 to 3, with a row for the host and a row for the card. Above, no loss is read: the host's "
     "four bars of length 2 follow each other without a gap, the card's four bars of length 3 follow from 2 to 14. Below, each loss "
     "is read: a bar of the host and a bar of the card take turns, each waits for the other, and the last one ends at 20.")  # fmt: skip
say("without reading, four steps end at 14", value=ends[0], within=0)
say("with reading, they end at 20", value=ends[1], within=0)

# %% [markdown]
# If no loss is ever read, the host can run far ahead: it fills the card's memory with batches, and nobody sees that the loss became NaN. So
# the engine does neither. It keeps the losses on the card, and reads ten of them at once: `READ_EVERY` in `tinyalex/training/trainer.py`.
#
# ### Lane by lane
#
# The compiler has made instructions of `add_bias`, in a language called **PTX**. A **register** holds one number of one thread. How does
# the simulated card run the instructions? It runs all threads of many blocks at once. A register is an *array* there, with one place for
# each thread. Such a place is called a **lane**. So an instruction is one line of NumPy. We run 3 blocks of 4 threads on 9 elements, with 3
# filters of 3 pixels. After each of the first instructions we print the register that it has written. (`watch` puts the printing in. You
# need not read it.)


# %%
def watch(found, most):
    """Let the kernel print its first instructions and the registers that they write, one column for each lane."""
    shown = 0
    for block in found.kernel.blocks:
        for at, (run, dead) in enumerate(block.steps):
            instruction, writes = found.kernel.instructions[block.first + at], block.uses[at].writes

            def told(group, run=run, instruction=instruction, writes=writes):
                nonlocal shown
                run(group)
                if shown < most and writes and instruction.parts[:2] != ("ld", "param") and instruction.parts[0] != "cvta":
                    shown += 1
                    values = group.full(group.registers[min(writes)])
                    cells = "".join(f"{value:6.2f}" if values.dtype.kind == "f" else f"{int(value):6}" for value in values)
                    print(f"{instruction.text.partition(' ')[0]:14} line {instruction.source[1]:2} {cells}")

            block.steps[at] = (told, dead)


with needs_compiler():
    add_bias = kernel(text, "add_bias")
    watch(add_bias, 10)
    product, out = card.asarray(np.arange(9, dtype=np.float32) - 4), card.empty((9,), np.float32)
    start(add_bias, 9, product, card.asarray(np.array([0, 10, -10], np.float32)), out, 1, 3, 3, 9, 3, 1, threads=4)
    print("out =", card.to_numpy(out))
    assert np.array_equal(card.to_numpy(out), [0, 0, 0, 9, 10, 11, 0, 0, 0])

# %% [markdown]
# Each row is one instruction: its name, the line of the source, and its register. (Line 13 is the line of `own_index` in `common.cuh`.
# Another version of the compiler may make other instructions.) The first three rows are the number of the block, the number of threads in a
# block, and the number of the thread. `mad` multiplies and adds: its row is the index, 0 to 11. `mul` computes N K, then N K P = 9. `setp`
# is the bound check: 1 means true, and the last three lanes are 1. These three threads have ended, and the rows below have 9 lanes. `div`
# and `rem` find the number of the filter, index / P % K. The last `mul` is P K, by which the index is divided for n.
#
# ### What the simulated card notices
#
# On a real card a missing bound check mostly shows nothing, and sometimes a wrong number in another array. A missing barrier shows a wrong
# number now and then. The simulated card logs who wrote and read each element. We damage three kernels, one line each: the example of part
# 5, the product in tiles, and the engine's own `conv.cu`. And we run the scatter of 4.2.

# %%
SCATTER = """#line 1 "scatter.cu"
extern "C" __global__ void bias_scatter(const real* dout, real* dbias, int N, int K, int P)
{
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= N * K * P) return;
    dbias[index / P % K] += dout[index];
}"""
conv = loader.source("conv.cu")


def attempt(name, work):
    try:
        work()
    except sim.KernelError as error:
        if not sim.available():
            raise
        tell(f"{name}: {error}")
    else:
        raise AssertionError(f"{name} was not noticed")


def floats(*shape):
    return card.asarray(rng.standard_normal(shape, np.float32))


def without_barrier(code, which):
    """The text without its first or its second barrier; which is 0 or 1."""
    parts = code.split("__syncthreads();")
    return parts[0] + ("" if which == 0 else "__syncthreads();") + parts[1] + ("" if which == 1 else "__syncthreads();") + parts[2]


def damaged_conv():
    sizes = (1, 2, 9, 9, 4, 3, 3, 1, 1, 0, 0, 7, 7, 1, 0)  # N, C, H, W, K, KH, KW, two strides, two paddings, OH, OW, groups, relu
    arrays = floats(1, 2, 9, 9), floats(4, 2, 3, 3), floats(4), card.empty((1, 4, 7, 7), np.float32)
    kernel(without_barrier(conv, 1), "conv_forward")((1, 1, 1), (256,), (*arrays, *map(np.int32, sizes)))


a32, b32 = rng.standard_normal((20, 40), np.float32), rng.standard_normal((40, 24), np.float32)
with needs_compiler():
    unbounded = EXAMPLE.replace("if (index >= size) return;", "")
    attempt("no bound check", lambda: start(kernel(unbounded, "relu"), 1000, floats(1000), floats(1000), 1000))
    attempt("no first barrier", lambda: multiply(kernel(without_barrier(PRODUCT, 0), "tiles"), a32, b32))
    attempt("no second barrier", lambda: multiply(kernel(without_barrier(PRODUCT, 1), "tiles"), a32, b32))
    attempt("conv.cu without its second barrier", damaged_conv)
    attempt("scatter", lambda: start(kernel(SCATTER, "bias_scatter"), 105, floats(3, 5, 7), floats(5), 3, 5, 7))

# %% [markdown]
# Each message names the kernel, the file, the line, the array or the shared memory, and the threads by their x, y and z. Thread (232, 0, 0)
# of block (3, 0, 0) is the first one without an element: 3 · 256 + 232 is 1000. In the second message, line 21 of the product reads what
# line 19 has written, and the barrier of line 20 is missing between them. (The question at the end of the last message does not help: a
# barrier would not order these additions.) What would the scatter give? We switch the log off, so that the kernel runs to its end:

# %%
dout = rng.standard_normal((3, 5, 7), np.float32)
with needs_compiler():
    dbias = card.zeros((5,))
    with sim.races(False):
        start(kernel(SCATTER, "bias_scatter"), 105, card.asarray(dout), dbias, 3, 5, 7)
    print("right:  ", np.round(dout.sum(axis=(0, 2)), 2), "\nscatter:", np.round(card.to_numpy(dbias), 2))
    assert np.array_equal(card.to_numpy(dbias), dout[-1, :, -1])

# %% [markdown]
# Of the 21 terms of each filter, one is left. On a real card more of them may be left, and not the same ones each time.
#
# ### Which order of the indices?
#
# The kernel `add` adds a bias to an array of (K, P) numbers. Each thread does one element, and there are two ways to find k and p from its
# index. Both are right, and both give the same bits. In the first, neighboring threads have neighboring p. In the second they have
# neighboring k, and their numbers lie P places apart. K is 96 and P is 27 · 27, as in conv1 behind its pooling.

# %%
ADD = """#line 1 "add.cu"
extern "C" __global__ void add(const real* x, const real* bias, real* out, int K, int P)
{
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= K * P) return;
    int k = index / P, p = index % P;
    out[k * P + p] = x[k * P + p] + bias[k];
}"""
ORDERS = {"neighbors in p": ADD, "neighbors in k": ADD.replace("k = index / P, p = index % P", "p = index / K, k = index % K")}
K, P = 96, 27 * 27


def sectors_of(indices):
    """Which sectors of 32 bytes hold these elements of 4 bytes; the array begins at a sector."""
    return np.unique(np.asarray(indices) * 4 // 32)


lanes = np.arange(32)
of_warp = {"neighbors in p": lanes, "neighbors in k": lanes * P}  # the elements that the first warp reads
moved = {name: len(sectors_of(indices)) for name, indices in of_warp.items()}
for name, count in moved.items():
    print(f"{name}: a warp reads 128 bytes, and {count} sectors of 32 bytes move")
say("8 times as many bytes move", value=moved["neighbors in k"] / moved["neighbors in p"], within=0)
reveal("14-c")
with needs_compiler():
    x, bias, outs = floats(K, P), floats(K), []
    for name, code in ORDERS.items():
        outs.append(card.empty((K, P), np.float32))
        with sim.profile() as counts:
            start(kernel(code, "add"), K * P, x, bias, outs[-1], K, P)
        print(f"\n{name}\n" + "\n".join(str(counts).splitlines()[:4]))
        stores = next(one for one in counts.traffic if one.text.startswith("st."))
        assert stores.sectors == moved[name] * stores.requests
    assert np.array_equal(*map(card.to_numpy, outs))
    print("\nboth orders give the same bits")

# %%
fig, axes = plt.subplots(2, 1, figsize=(7, 2.9), layout="constrained")
for ax, (name, step_of) in zip(axes, (("neighbors in p: 4 sectors", 1), ("neighbors in k: a sector for each thread", 9)), strict=True):
    cells = 48
    for cell in range(cells):
        thread = cell // step_of if cell % step_of == 0 and cell // step_of < 32 else None
        fetched = any(other // 8 == cell // 8 for other in range(0, min(32 * step_of, cells), step_of))
        face = "#0072B2" if thread is not None else "#CFE3F2" if fetched else "white"
        ax.add_patch(plt.Rectangle((cell, 0), 1, 1, facecolor=face, edgecolor="#999999", linewidth=0.5))
        if thread is not None:
            ax.text(cell + 0.5, 0.45, f"{thread}", ha="center", va="center", fontsize=7, color="white")
    for sector in range(0, cells + 1, 8):
        ax.plot((sector, sector), (-0.15, 1.15), color="black", linewidth=1.3)
    ax.set(xlim=(-0.3, cells + 0.3), ylim=(-0.3, 1.3))
    ax.set_axis_off()
    ax.set_title(name, fontsize=10, loc="left")
show(fig, alt="Two rows of memory, 48 numbers each, cut by black lines into six sectors of eight. Above, threads 0 to 31 lie side by side "
     "and fill four sectors, and two sectors stay white. Below, threads lie nine numbers apart: each of the six sectors holds one dark "
     "cell, for the threads 0 to 5, and seven pale ones that are moved and not used.")  # fmt: skip

# %% [markdown]
# In the picture P is 9, because 729 would not fit. Black lines bound the sectors. A dark cell is read by the thread whose number it holds.
# A pale cell moves too, because its sector holds a dark one. In the tables, `sectors` is how many have moved. (You need no other column
# here.) `st` is the write, and its factor is 8. `ld` is the reads of x and of bias together, and its factor is 7.2. The part of x is as
# large as `st`. What remains is bias, (78,732 - 69,984) / (10,944 - 8,748), about 4: in the first order a warp reads one number of bias, in
# the second 32 neighbors. The rule is: **neighboring threads should use neighboring numbers.** For this reason `im2col` in the engine's
# `columns.cu` gives neighboring threads neighboring windows.
#
# And the tiles of 4.5? For both products of part 6 we count the bytes that the threads ask for, and the sectors that move. These are two
# things: if some threads of a warp ask for the same number, its sector moves once.

# %%
a32, b32 = rng.standard_normal((48, 80), np.float32), rng.standard_normal((80, 64), np.float32)
with needs_compiler():
    asked, fetched = {}, {}
    for name in ("plain", "tiles"):
        with sim.profile() as counts:
            multiply(kernel(PRODUCT, name), a32, b32)
        reads = [one for one in counts.traffic if one.space == "global" and one.text.startswith("ld")]
        asked[name], fetched[name] = sum(one.nbytes for one in reads), sum(one.sectors for one in reads)
        print(f"{name}: the threads ask the card's memory for {asked[name]:,} bytes, {fetched[name]:,} sectors move")
    say("the plain product asks for 16 times as many bytes", value=asked["plain"] / asked["tiles"], within=0)
    say("and 8 times as many sectors move", value=fetched["plain"] / fetched["tiles"], within=0)
    assert asked["plain"] == 2 * 48 * 64 * 80 * 4  # 2 M Q R numbers of 4 bytes

# %% [markdown]
# ## 9. What people get wrong
#
# One of these mistakes has a count. It comes from 91 public solutions of a course, which we ran. The others have none: they are what one
# hears of GPUs, and mistakes for which the simulated card was built.
#
# **"GPU code is other code."** Nearly all of it is array code with `xp`, and the engine's layers are written once. Beside them it has eight
# small files with kernels. Tests compare each kernel with a plain function.

# %%
from importlib.resources import files

cuda = [path for path in files("tinyalex.fast.cuda").iterdir() if path.name.endswith((".cu", ".cuh"))]
lines_of = {path.name: len(path.read_text("utf-8").splitlines()) for path in cuda}
say("the engine has 8 files of kernels", value=len(lines_of) - 1, within=0)
print("their lines:", lines_of["common.cuh"], "of common definitions, and", sum(lines_of.values()) - lines_of["common.cuh"], "of kernels")

# %% [markdown]
# **"The kernel is what costs."** Often it is the copy, or the wait. In the time in which an array is copied to the paper's card, the card
# could take ReLU of it 12 times (part 8).
#
# **float64 creeps in.** Of 91 solutions of a convolution, 89 return float64 if x is float32 (lesson 03). One cause is `np.zeros(shape)`,
# which is float64 unless you say another type. A NumPy number such as `np.sqrt(2)` is another cause. A kernel that only moves bytes then
# takes twice as long.

# %%
found = {"zeros(3)": card.xp.zeros(3), "x * 2**0.5": floats(3) * 2**0.5, "x * np.sqrt(2)": floats(3) * np.sqrt(2)}
print(*(f"{line}: {array.dtype}" for line, array in found.items()), sep="\n")
say("float64 needs 2 times as many bytes", value=card.xp.zeros(3).nbytes / floats(3).nbytes, within=0)

# %% [markdown]
# **"A barrier makes all threads wait."** It makes the threads of *one block* wait. Blocks run in any order, and one may begin when another
# has ended. So a block cannot wait for another one. Here each thread writes one number. Behind the barrier it reads a number of another
# thread. With two blocks, this is a thread of the other block:

# %%
ACROSS = """#line 1 "across.cu"
extern "C" __global__ void mirror(real* x, real* y, int size)
{
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index < size) x[index] = index;
    __syncthreads();
    if (index < size) y[index] = x[size - 1 - index];
}"""
with needs_compiler():
    mirror = kernel(ACROSS, "mirror")
    start(mirror, 64, floats(64), floats(64), 64, threads=64)
    print("one block of 64 threads: no fault")
    attempt("two blocks of 32", lambda: start(mirror, 64, floats(64), floats(64), 64, threads=32))

# %% [markdown]
# The remedy is two kernels, one launched after the other. The second begins when all blocks of the first have ended. (An atomic operation
# is a read, an addition and a write that no other thread can interrupt. The engine's kernels have none.)
#
# **"More threads are faster."** This is true until the card is busy. But ReLU moves the same bytes whatever the size of a block, and its
# time comes from the bytes. With large blocks more threads have no element. And a block has at most 1,024 threads.

# %%
size = 10_304
with needs_compiler():
    for threads in (32, 256, 1024):
        with sim.profile() as counts:
            start(kernel(EXAMPLE, "relu"), size, floats(size), floats(size), size, threads=threads)
        sectors = sum(one.sectors for one in counts.traffic)
        idle = -(-size // threads) * threads - size
        print(f"blocks of {threads:4}: {sectors:,} sectors, {idle:3} threads without an element")
        assert sectors == 2 * size * 4 // 32
    try:
        start(kernel(EXAMPLE, "relu"), size, floats(size), floats(size), size, threads=2048)
    except ta.TinyalexError as error:
        tell(str(error))

# %% [markdown]
# **"Printing the loss costs nothing."** It is one number, but the host waits for everything that was launched before it (part 8).
#
# **"An index that is too large raises an error."** In a kernel such an index reads or writes whatever lies there. With an array of
# indices, CuPy takes each index modulo the length, without a word. The simulated card refuses both.

# %%
try:
    floats(4)[card.asarray(np.array([4]))]
except IndexError as error:
    tell(str(error))

# %% [markdown]
# **"The simulated card passed, so the kernel is fast."** It counts what a card would move. It knows nothing of time. Nor does it prove that
# a real card agrees: no real card has run this.
#
# ### Summary
#
# A card has a memory of its own. Array code with `xp` runs on host and card, if it obeys four prohibitions: no array of the host, no name
# that CuPy lacks, no look at a number, no float64. A copy takes many times as long as a kernel that reads the same bytes. Who reads a
# number of the card waits for the card. A kernel is the body of a loop, with a bound check. Threads have no order: where a gradient adds, a
# thread gathers. A barrier orders the threads of one block. Neighboring threads should use neighboring numbers. Nothing here was measured
# on a real card.
#
# ### Read on
#
# - The engine: `tinyalex/fast/cuda/`, first `bias.cu`, then `pool.cu` and `conv.cu`; `KERNELS` and `FUNCTIONS` in
#   `tinyalex/fast/table.py`; the simulated card in `tinyalex/devices/sim.py`, and what runs its kernels in `tinyalex/sim/`.
# - `docs/SIM.md` shows how to test kernels of your own without a card, `docs/SIM_ARRAYS.md` code for CuPy.
# - If you have a card: README, "On a GPU".
#
# Two questions to write about, a few sentences each:
#
# 1. Somebody trains AlexNet on a card. In every step the program prints the loss, and the largest weight of each of the 8 layers. It is
#    slow. Which of the four prohibitions is broken, and how often in a step? What do you change so that all numbers are still seen?
# 2. Take the backward pass of max pooling with overlapping windows (lesson 04). Describe it as a scatter and as a gather: how many threads
#    are there, what does each read, and what does each write? Where does the scatter race?
