#define TILE 16

extern "C" __global__ void product(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float as[TILE][TILE], bs[TILE][TILE];
    int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
    float sum = 0.f;
    for (int t = 0; t < k; t += TILE) {
        as[threadIdx.y][threadIdx.x] = y < m && t + threadIdx.x < k ? a[y * k + t + threadIdx.x] : 0.f;
        bs[threadIdx.y][threadIdx.x] = x < n && t + threadIdx.y < k ? b[(t + threadIdx.y) * n + x] : 0.f;
        __syncthreads();
        for (int i = 0; i < TILE; ++i) sum += as[threadIdx.y][i] * bs[i][threadIdx.x];
        __syncthreads();
    }
    if (y < m && x < n) c[y * n + x] = sum;
}

extern "C" __global__ void row_sums(const float* x, float* sums, int n) {
    float sum = 0.f;
    for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x[blockIdx.x * n + i];
    for (int d = 16; d; d >>= 1) sum += __shfl_down_sync(0xffffffffu, sum, d);
    if ((threadIdx.x & 31) == 0) atomicAdd(sums + blockIdx.x, sum);
}

extern "C" __global__ void tree_sums(const int* x, int* sums) {
    extern __shared__ int part[];
    part[threadIdx.x] = x[blockIdx.x * blockDim.x + threadIdx.x];
    for (int d = blockDim.x / 2; d; d /= 2) {
        __syncthreads();
        if (threadIdx.x < d) part[threadIdx.x] += part[threadIdx.x + d];
    }
    if (threadIdx.x == 0) sums[blockIdx.x] = part[0];
}

extern "C" __global__ void warp_scan(const int* x, int* y) {
    int value = x[blockIdx.x * blockDim.x + threadIdx.x], lane = threadIdx.x & 31;
    for (int d = 1; d < 32; d *= 2) {
        int other = __shfl_up_sync(0xffffffffu, value, d);
        if (lane >= d) value += other;
    }
    y[blockIdx.x * blockDim.x + threadIdx.x] = value;
}

extern "C" __global__ void transposed(const double* x, double* y, int h, int w) {
    __shared__ double tile[TILE][TILE + 1];
    int column = blockIdx.x * TILE + threadIdx.x, row = blockIdx.y * TILE + threadIdx.y;
    if (row < h && column < w) tile[threadIdx.y][threadIdx.x] = x[row * w + column];
    __syncthreads();
    column = blockIdx.y * TILE + threadIdx.x;
    row = blockIdx.x * TILE + threadIdx.y;
    if (row < w && column < h) y[row * h + column] = tile[threadIdx.x][threadIdx.y];
}

extern "C" __global__ void histogram(const unsigned char* x, unsigned int* counts, unsigned int* order, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) order[i] = atomicAdd(counts + x[i], 1u);
}

extern "C" __global__ void extremes(const int* x, int* results, float* largest, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    atomicMin(results, x[i]);
    atomicMax(results + 1, x[i]);
    atomicOr(results + 2, x[i]);
    atomicAnd(results + 3, x[i]);
    atomicXor(results + 4, x[i]);
    unsigned int* bits = reinterpret_cast<unsigned int*>(largest);  // a maximum of floats by compare and swap
    unsigned int old = *reinterpret_cast<volatile unsigned int*>(bits), assumed;
    do {
        assumed = old;
        old = atomicCAS(bits, assumed, __float_as_uint(fmaxf((float)x[i], __uint_as_float(assumed))));
    } while (assumed != old);
}

extern "C" __global__ void functions32(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float v = x[i];
    y[i] = expf(v);
    y[n + i] = logf(v);
    y[2 * n + i] = powf(v, -0.75f);
    y[3 * n + i] = tanhf(v);
    y[4 * n + i] = sinf(v);
    y[5 * n + i] = sqrtf(v);
    y[6 * n + i] = v / 3.3f;
    y[7 * n + i] = rsqrtf(v);
    y[8 * n + i] = roundf(v);
    y[9 * n + i] = log1pf(v);
}

extern "C" __global__ void functions64(const double* x, double* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    double v = x[i];
    y[i] = exp(v);
    y[n + i] = log(v);
    y[2 * n + i] = pow(v, -0.75);
    y[3 * n + i] = tanh(v);
    y[4 * n + i] = sin(v);
    y[5 * n + i] = sqrt(v);
    y[6 * n + i] = v / 3.3;
    y[7 * n + i] = rsqrt(v);
    y[8 * n + i] = round(v);
    y[9 * n + i] = log1p(v);
}

struct Line { float slope, offset; int power; };
__constant__ float scale[4] = {1.f, 10.f, 100.f, 1000.f};
__device__ int calls;
__device__ __noinline__ float repeated(float x, int n) { float p = 1.f; for (int i = 0; i < n; ++i) p *= x; return p; }

extern "C" __global__ void language(const float4* x, float4* y, Line line, long long first, bool negative, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float4 v = x[i];
    int order[4] = {3, 2, 1, 0};
    float parts[4] = {v.x, v.y, v.z, v.w}, mixed[4];
    for (int k = 0; k < 4; ++k) mixed[k] = parts[order[(k + i) & 3]];
    float all = repeated(line.slope * v.x + line.offset, line.power) * scale[i & 3];
    switch (i % 5) {
        case 0: all += 1; break;
        case 1: all *= 2; break;
        case 2: all = -all; break;
        case 3: all = (float)((first + i) / 7 % 11); break;
        default: if (negative) all = repeated(all, 2);
    }
    atomicAdd(&calls, 1);
    y[i] = make_float4(mixed[0], mixed[1], mixed[2], all);
}

extern "C" __global__ void votes(const int* x, unsigned int* y) {
    int i = threadIdx.x;
    unsigned int ballot = __ballot_sync(0xffffffffu, x[i] > 0);
    int any = __any_sync(0xffffffffu, x[i] == 7), all = __all_sync(0xffffffffu, x[i] < 100), count = __syncthreads_count(x[i] > 0);
    y[i] = ballot;
    y[i + blockDim.x] = any | all << 1 | count << 2;
    y[i + 2 * blockDim.x] = __match_any_sync(0xffffffffu, x[i]);
#if __CUDA_ARCH__ >= 800
    y[i + 3 * blockDim.x] = __reduce_add_sync(0xffffffffu, (unsigned int)x[i]);
#endif
}

extern "C" __global__ void split_warp(const int* x, int* y) {
    int i = threadIdx.x, value = x[i];
    if (i % 32 < 16) value = __shfl_xor_sync(0x0000ffffu, value, 1) + 1000;
    else value = __shfl_sync(0xffff0000u, value, 16, 16);
    y[i] = value;
}
