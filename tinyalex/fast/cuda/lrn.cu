// Local response normalization; see tinyalex/layers/lrn.py for the derivation and the names.
//
// The loader sets BEFORE and AFTER: the window of channel i reaches from i - BEFORE to i + AFTER. A thread has one pixel in one group of
// one image, and goes through the C channels of the group. It holds the window in an array whose length is known to the compiler, so the
// array lies in registers, and every activity is read from memory once. The threads of a warp have neighboring pixels.

#ifndef BEFORE
#define BEFORE 2
#define AFTER 2
#endif

// s^beta. For the paper's beta 0.75 two square roots: s^(1/2) s^(1/4).
__device__ inline real power(real s, real beta)
{
    if (beta != (real)0.75) return pow(s, beta);
    real root = sqrt(s);
    return root * sqrt(root);
}

// Forget the oldest element, and take in a new one at the end.
template <int LENGTH>
__device__ inline void push(real (&window)[LENGTH], real value)
{
#pragma unroll
    for (int place = 0; place < LENGTH - 1; ++place) window[place] = window[place + 1];
    window[LENGTH - 1] = value;
}

// s_i = k + alpha * (the sum of a_j^2 for j from i - BEFORE to i + AFTER),    b_i = a_i s_i^-beta.
extern "C" __global__ void lrn_forward(const real* a, real* scale, real* b, int groups, int C, int pixels, real k, real alpha, real beta)
{
    int index = own_index();
    if (index >= groups * pixels) return;
    int first = index / pixels * C * pixels + index % pixels;  // of the group's channel 0
    real window[BEFORE + 1 + AFTER] = {0};  // channels outside of the group count as 0
    for (int newest = 0; newest < C + AFTER; ++newest) {
        push(window, newest < C ? a[first + newest * pixels] : (real)0);
        int i = newest - AFTER;  // the channel whose window is complete
        if (i < 0) continue;
        real sum = 0;
#pragma unroll
        for (int place = 0; place < BEFORE + 1 + AFTER; ++place) sum += window[place] * window[place];
        real s = k + alpha * sum;
        scale[first + i * pixels] = s;
        b[first + i * pixels] = window[BEFORE] / power(s, beta);
    }
}

// dx_i = dout_i s_i^-beta - 2 alpha beta a_i * (the sum of dout_j b_j / s_j for j from i - AFTER to i + BEFORE).
// dx may be scale: this thread alone uses these elements, and it has read s_j of the whole window before it writes dx_i.
extern "C" __global__ void lrn_backward(const real* a, const real* scale, const real* dout, real* dx, int groups, int C, int pixels,
                                        real alpha, real beta)
{
    int index = own_index();
    if (index >= groups * pixels) return;
    int first = index / pixels * C * pixels + index % pixels;
    real ratio[AFTER + 1 + BEFORE] = {0};  // dout_j b_j / s_j of the mirrored window
    real direct[BEFORE + 1] = {0};         // dout_j s_j^-beta from the channel i to the newest
    for (int newest = 0; newest < C + BEFORE; ++newest) {
        if (newest < C) {
            int at = first + newest * pixels;
            real s = scale[at], of_newest = dout[at] / power(s, beta);
            push(direct, of_newest);
            push(ratio, of_newest * a[at] / s);
        } else {
            push(direct, 0);
            push(ratio, 0);
        }
        int i = newest - BEFORE;
        if (i < 0) continue;
        real sum = 0;
#pragma unroll
        for (int place = 0; place < AFTER + 1 + BEFORE; ++place) sum += ratio[place];
        dx[first + i * pixels] = direct[0] - 2 * alpha * beta * a[first + i * pixels] * sum;
    }
}
