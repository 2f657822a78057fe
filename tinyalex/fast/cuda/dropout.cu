// Dropout; see tinyalex/layers/dropout.py. The masks are made on the card, and are bit for bit those of the host.

typedef unsigned long long uint64;

// Philox 4x64 with 10 rounds (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, SC 2011): it encrypts the counter,
// four words, with the key, two words. Here the counter is (low, 0, 0, high).
__device__ inline void philox(uint64 low, uint64 high, uint64 key0, uint64 key1, uint64 (&word)[4])
{
    uint64 c0 = low, c1 = 0, c2 = 0, c3 = high;
    for (int round = 0; round < 10; ++round) {
        uint64 high0 = __umul64hi(0xD2E7470EE14C6C93ull, c0), low0 = 0xD2E7470EE14C6C93ull * c0;
        uint64 high1 = __umul64hi(0xCA5A826395121157ull, c2), low1 = 0xCA5A826395121157ull * c2;
        c0 = high1 ^ c1 ^ key0;
        c1 = low1;
        c2 = high0 ^ c3 ^ key1;
        c3 = low0;
        key0 += 0x9E3779B97F4A7C15ull;
        key1 += 0xBB67AE8584CAA73Bull;
    }
    word[0] = c0, word[1] = c1, word[2] = c2, word[3] = c3;
}

// mask[u] = (the 32 bits of unit u are at least `least`, which is p 2^32).
// One call of Philox gives bits for 8 units, so a thread has 8 units of the whole layer, which is (N, features, rest). NumPy counts before
// it encrypts, so the first counter is 1; the step stands in the highest word. Of these units the mask has the features from `from` to
// `to` - 1.
extern "C" __global__ void kept_units(unsigned char* mask, uint64 key0, uint64 key1, uint64 step, uint64 least, int N, int features,
                                      int rest, int from, int to)
{
    int index = own_index();
    if (index > (N * features * rest - 1) / 8) return;
    uint64 word[4];
    philox(index + 1ull, step, key0, key1, word);
#pragma unroll
    for (int place = 0; place < 8; ++place) {
        int unit = 8 * index + place;
        if (unit >= N * features * rest) return;
        uint64 bits = place % 2 ? word[place / 2] >> 32 : word[place / 2] & 0xffffffffull;
        int f = unit / rest % features, n = unit / rest / features;
        if (f >= from && f < to) mask[(n * (to - from) + f - from) * rest + unit % rest] = bits >= least;
    }
}

// out = mask * factor * x. A product, because 0 times NaN is NaN: the plain function shows it too.
extern "C" __global__ void dropout(const real* x, const unsigned char* mask, real* out, real factor, int size)
{
    int index = own_index();
    if (index < size) out[index] = x[index] * factor * (real)mask[index];
}
