"""Kernels for GPUs in CUDA C++, each of which equals a plain function of `tinyalex.layers`, and the rows that launch them."""
