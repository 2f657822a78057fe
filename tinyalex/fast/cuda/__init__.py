"""Kernels for GPUs in CUDA C++, each of which equals a plain function of `tinyalex.layers`, and the rows that start them.

The .cu files, in the order in which they read well: `sgd.cu` (a thread for each element), `bias.cu`, `pool.cu` and `columns.cu` (a thread
gathers), `lrn.cu` (a window in registers), `dropout.cu` (random bits by counting), `loss.cu` (threads that exchange values), `conv.cu`
(a product in tiles of shared memory). No GPU has run them yet. They are compared with the plain functions in two other ways: as C++ of
the host under sanitizers, and as PTX on a simulated GPU; see `tests/fast/cuda/`.
"""
