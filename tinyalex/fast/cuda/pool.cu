// Pooling, whose windows may overlap; see tinyalex/layers/pool.py. A plane is one channel of one image.

// out = the largest cell of a window; winner = i + KH j of that cell.
// A thread has one window. Of equal cells the leftmost wins, and of several leftmost cells the topmost, because j is the outer loop and
// only a larger cell replaces the winner. A padded cell is skipped. NaN beats every number.
extern "C" __global__ void max_pool(const real* x, real* out, int* winner, int planes, int H, int W, int KH, int KW, int sh, int sw,
                                    int top, int left, int OH, int OW)
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
extern "C" __global__ void max_pool_backward(const real* dout, const int* winner, real* dx, int planes, int H, int W, int KH, int KW,
                                             int sh, int sw, int top, int left, int OH, int OW)
{
    int index = own_index();
    if (index >= planes * H * W) return;
    int w = index % W, h = index / W % H, plane = index / (W * H);
    real sum = 0;
    for (int z = last_window(w + left, sw, OW); z >= first_window(w + left, KW, sw); --z)  // so j grows: the order of the plain function
        for (int y = last_window(h + top, sh, OH); y >= first_window(h + top, KH, sh); --y) {
            int i = h + top - sh * y, j = w + left - sw * z, window = (plane * OH + y) * OW + z;
            if (winner[window] == i + KH * j) sum += dout[window];
        }
    dx[index] = sum;
}

// How many cells of the window that begins at (h, w) count: those on the image, and of the padding those that the last four arguments name.
__device__ inline int cells_that_count(int h, int w, int H, int W, int KH, int KW, int above, int below, int before, int behind)
{
    return (min(h + KH, H + below) - max(h, -above)) * (min(w + KW, W + behind) - max(w, -before));
}

// out = (the sum of the cells of a window that lie on the image) / (the number of cells that count).
extern "C" __global__ void avg_pool(const real* x, real* out, int planes, int H, int W, int KH, int KW, int sh, int sw, int top, int left,
                                    int OH, int OW, int above, int below, int before, int behind)
{
    int index = own_index();
    if (index >= planes * OH * OW) return;
    int z = index % OW, y = index / OW % OH, first_h = sh * y - top, first_w = sw * z - left;
    const real* image = x + index / (OW * OH) * H * W;
    real sum = 0;
    for (int w = max(first_w, 0); w < min(first_w + KW, W); ++w)
        for (int h = max(first_h, 0); h < min(first_h + KH, H); ++h) sum += image[h * W + w];
    out[index] = sum / cells_that_count(first_h, first_w, H, W, KH, KW, above, below, before, behind);
}

// dx[h, w] = the sum of dout[y, z] / (the number of cells that count) over the windows that see the pixel.
extern "C" __global__ void avg_pool_backward(const real* dout, real* dx, int planes, int H, int W, int KH, int KW, int sh, int sw, int top,
                                             int left, int OH, int OW, int above, int below, int before, int behind)
{
    int index = own_index();
    if (index >= planes * H * W) return;
    int w = index % W, h = index / W % H, plane = index / (W * H);
    real sum = 0;
    for (int z = last_window(w + left, sw, OW); z >= first_window(w + left, KW, sw); --z)
        for (int y = last_window(h + top, sh, OH); y >= first_window(h + top, KH, sh); --y)
            sum += dout[(plane * OH + y) * OW + z]
                   / cells_that_count(sh * y - top, sw * z - left, H, W, KH, KW, above, below, before, behind);
    dx[index] = sum;
}
