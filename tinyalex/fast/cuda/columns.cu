// im2col and its transpose; see tinyalex/layers/columns.py. Here the columns of all images lie side by side, so that one product multiplies
// them all: col is (C, KH, KW, N, OH, OW).

// im2col: col[c, i, j, n, y, z] = sheet[n, c, sh y + i, sw z + j].
// A thread has one window (y, z) of one image n in one channel c, and copies what its cells see. The threads of a warp have neighboring z,
// so at each cell they write neighboring elements.
extern "C" __global__ void im2col(const real* x, real* col, int N, int C, int H, int W, int KH, int KW, int sh, int sw, int top, int left,
                                  int OH, int OW)
{
    int index = own_index();
    if (index >= C * N * OH * OW) return;
    int z = index % OW, y = index / OW % OH, n = index / (OW * OH) % N, c = index / (OW * OH * N);
    const real* image = x + (n * C + c) * H * W;
    for (int i = 0; i < KH; ++i)
        for (int j = 0; j < KW; ++j) {
            int h = sh * y + i - top, w = sw * z + j - left;
            bool inside = h >= 0 && h < H && w >= 0 && w < W;
            col[((((c * KH + i) * KW + j) * N + n) * OH + y) * OW + z] = inside ? image[h * W + w] : 0;
        }
}

// col2im: dx[n, c, h, w] = the sum of dcol[c, i, j, n, y, z] over all windows (y, z) that see the pixel, in their cells (i, j).
// A thread has one pixel and gathers its sum. If it had one window and scattered, threads would add to the same pixel at the same time.
extern "C" __global__ void col2im(const real* dcol, real* dx, int N, int C, int H, int W, int KH, int KW, int sh, int sw, int top, int left,
                                  int OH, int OW)
{
    int index = own_index();
    if (index >= N * C * H * W) return;
    int w = index % W, h = index / W % H, c = index / (W * H) % C, n = index / (W * H * C);
    real sum = 0;
    for (int z = last_window(w + left, sw, OW); z >= first_window(w + left, KW, sw); --z)  // so j grows: the order of the plain function
        for (int y = last_window(h + top, sh, OH); y >= first_window(h + top, KH, sh); --y) {
            int i = h + top - sh * y, j = w + left - sw * z;
            sum += dcol[((((c * KH + i) * KW + j) * N + n) * OH + y) * OW + z];
        }
    dx[index] = sum;
}
