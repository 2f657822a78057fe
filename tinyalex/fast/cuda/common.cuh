// The beginning of every .cu file of this folder; the loader puts it there.
//
// `real` is float or double: the loader compiles a file once for each. A thread finds its own element by the number of its block and its
// own number in the block, and returns where there is none: the last block reaches past the end unless the size is a multiple of it.
// An index is an int, so the rows give a kernel at most 2^30 elements at once.

#ifndef real
#define real float
#endif

#define MINUS_INFINITY ((real)__int_as_float(0xff800000))

__device__ inline int own_index() { return blockIdx.x * blockDim.x + threadIdx.x; }

// The windows along one axis that see position p of the sheet. Window y sees the positions from stride * y to stride * y + kernel - 1.
__device__ inline int first_window(int p, int kernel, int stride) { return p < kernel ? 0 : (p - kernel) / stride + 1; }
__device__ inline int last_window(int p, int stride, int windows) { return min(p / stride, windows - 1); }
