// Softmax and cross-entropy together; see tinyalex/loss.py.

#define ALL_LANES 0xffffffffu

__device__ inline real joined(real a, real b, bool largest) { return !largest ? a + b : b > a ? b : a; }

// The largest of the values of a block's threads, or their sum; every thread gets it. First the 32 lanes of a warp exchange theirs: after
// steps of 16, 8, 4, 2 and 1 each has the result of its warp. Then the warps exchange theirs through shared memory.
__device__ inline real of_block(real value, bool largest)
{
    __shared__ real of_warp[32];
    for (int step = 16; step > 0; step /= 2) value = joined(value, __shfl_xor_sync(ALL_LANES, value, step), largest);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
    __syncthreads();  // all warps have written
    value = of_warp[0];
    for (int warp = 1; warp < blockDim.x / 32; ++warp) value = joined(value, of_warp[warp], largest);
    __syncthreads();  // all warps have read, so the next call may write
    return value;
}

// probs_j = exp(z_j - max z) / total, where total = the sum of exp(z_i - max z);    loss = log(total) - (z_label - max z).
// A block has one image; its threads go through the classes side by side. The number of threads is a multiple of 32.
extern "C" __global__ void softmax_loss(const real* logits, const int* labels, real* loss, real* probs, int classes)
{
    const real* z = logits + blockIdx.x * classes;
    real* p = probs + blockIdx.x * classes;
    real largest = MINUS_INFINITY, total = 0;
    for (int j = threadIdx.x; j < classes; j += blockDim.x) largest = z[j] > largest ? z[j] : largest;
    largest = of_block(largest, true);
    for (int j = threadIdx.x; j < classes; j += blockDim.x) {
        p[j] = exp(z[j] - largest);
        total += p[j];
    }
    total = of_block(total, false);
    for (int j = threadIdx.x; j < classes; j += blockDim.x) p[j] /= total;
    if (threadIdx.x == 0) loss[blockIdx.x] = log(total) - (z[labels[blockIdx.x]] - largest);
}

// dlogits_j = (probs_j - [j = label]) / N.
extern "C" __global__ void softmax_loss_backward(const real* probs, const int* labels, real* dlogits, int N, int classes)
{
    int index = own_index();
    if (index >= N * classes) return;
    dlogits[index] = (probs[index] - (real)(index % classes == labels[index / classes])) / N;
}
