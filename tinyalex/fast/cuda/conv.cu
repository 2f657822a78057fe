// The convolution without columns in memory; see tinyalex/layers/conv.py. With r = (c, i, j), q = (n, y, z) and R = C/G KH KW it is a
// product in each group:
//
//     out[k, q] = bias[k] + sum over r of weight[k, r] col[r, q],    col[r, q] = sheet[n, c, sh y + i, sw z + j].
//
// A block computes a tile of 64 filters k and 64 windows q. It goes through r in steps of 16: its threads bring 64 x 16 weights and 16 x 64
// elements of col into shared memory, where col is read off the images (it exists nowhere else); they wait for each other; then each
// thread multiplies for its own 4 x 4 outputs, which it holds in registers. So each element that came from memory is used 64 times.

#define TILE 64
#define STEP 16
#define SIDE 16  // the block has SIDE x SIDE threads
#define OWN 4    // a thread has OWN x OWN outputs, SIDE apart

extern "C" __global__ void __launch_bounds__(SIDE* SIDE)
    conv_forward(const real* x, const real* weight, const real* bias, real* out, int N, int C, int H, int W, int K, int KH, int KW, int sh,
                 int sw, int top, int left, int OH, int OW, int G, int relu)
{
    __shared__ real weights[STEP][TILE + 2];  // + 2: a warp writes 16 r of two filters, which then lie in 32 banks
    __shared__ real columns[STEP][TILE];
    int P = OH * OW, R = C / G * KH * KW, filters = K / G, group = blockIdx.z;
    int first_q = blockIdx.x * TILE, first_k = blockIdx.y * TILE;
    int thread = threadIdx.x, down = thread / SIDE, across = thread % SIDE;

    // The one window whose elements of col this thread brings, in every fourth row r of the step.
    int q = first_q + thread % TILE;
    int n = q / P, y = q / OW % OH, z = q % OW;
    const real* image = x + (n * C + group * (C / G)) * H * W;

    real sum[OWN][OWN] = {};
    for (int first_r = 0; first_r < R; first_r += STEP) {
        for (int part = 0; part < TILE; part += SIDE) {  // neighboring threads bring neighboring weights of a filter
            int k = first_k + part + down, r = first_r + across;
            weights[across][part + down] = k < filters && r < R ? weight[(group * filters + k) * R + r] : 0;
        }
        for (int row = thread / TILE; row < STEP; row += SIDE * SIDE / TILE) {
            int r = first_r + row, c = r / (KH * KW), i = r / KW % KH, j = r % KW;
            int h = sh * y + i - top, w = sw * z + j - left;
            bool inside = q < N * P && r < R && h >= 0 && h < H && w >= 0 && w < W;
            columns[row][thread % TILE] = inside ? image[(c * H + h) * W + w] : 0;
        }
        __syncthreads();  // the tiles are complete
        for (int r = 0; r < STEP; ++r)
#pragma unroll
            for (int a = 0; a < OWN; ++a)
#pragma unroll
                for (int b = 0; b < OWN; ++b) sum[a][b] += weights[r][down + SIDE * a] * columns[r][across + SIDE * b];
        __syncthreads();  // the tiles were used, and may be overwritten
    }
#pragma unroll
    for (int a = 0; a < OWN; ++a)
#pragma unroll
        for (int b = 0; b < OWN; ++b) {
            int k = first_k + down + SIDE * a, of_q = first_q + across + SIDE * b;
            if (k >= filters || of_q >= N * P) continue;
            k += group * filters;
            real value = sum[a][b] + bias[k];
            out[(of_q / P * K + k) * P + of_q % P] = relu && value < 0 ? 0 : value;
        }
}
