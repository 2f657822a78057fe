// Max pooling, whose windows may overlap; see tinyalex/layers/pool.py. A plane is one channel of one image.

// out = the largest cell of a window; winner = i + KH j of that cell.
// A thread has one window. Of equal cells the leftmost wins, and of several leftmost cells the topmost, because j is the outer loop and
// only a larger cell replaces the winner. A padded cell is skipped. NaN beats every number.
extern "C" __global__ void max_pool(const real* x, real* out, int* winner, int planes, int H, int W, int KH, int KW, int sh, int sw, int top,
                                    int left, int OH, int OW)
{
    int index = own_index();
    if (index >= planes * OH * OW) return;
    int z = index % OW, y = index / OW % OH;
    const real* image = x + index / (OW * OH) * H * W;
    real largest = MINUS_INFINITY;
    int cell = 0;
    for (int j = 0; j < KW; ++j)
        for (int i = 0; i < KH; ++i) {
            int h = sh * y + i - top, w = sw * z + j - left;
            if (h < 0 || h >= H || w < 0 || w >= W) continue;
            real value = image[h * W + w];
            if (value > largest || (isnan(value) && !isnan(largest))) {
                largest = value;
                cell = i + KH * j;
            }
        }
    out[index] = largest;
    winner[index] = cell;
}

// dx[h, w] = the sum of dout[y, z] over the windows in which the pixel won.
// A thread has one pixel, and asks the windows that see it, of which 3x3 windows with stride 2 have at most four. Each sum is added by one
// thread in one order, so two runs give the same bits. A scatter with atomicAdd would not.
extern "C" __global__ void max_pool_backward(const real* dout, const int* winner, real* dx, int planes, int H, int W, int KH, int KW, int sh,
                                             int sw, int top, int left, int OH, int OW)
{
    int index = own_index();
    if (index >= planes * H * W) return;
    int w = index % W, h = index / W % H, plane = index / (W * H);
    real sum = 0;
    for (int z = last_window(w + left, sw, OW); z >= first_window(w + left, KW, sw); --z)  // so that j grows: the order of the plain function
        for (int y = last_window(h + top, sh, OH); y >= first_window(h + top, KH, sh); --y) {
            int i = h + top - sh * y, j = w + left - sw * z, window = (plane * OH + y) * OW + z;
            if (winner[window] == i + KH * j) sum += dout[window];
        }
    dx[index] = sum;
}
