// CUDA's words for a C++ compiler of the host, so that the bytes of a .cu file run without a card, under sanitizers.
//
// Every thread of a block is a fiber with a stack of its own; a barrier or a shuffle switches to the next one. `host.cpp` is the rest.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

struct dim3 {
    unsigned x, y, z;
};
extern dim3 threadIdx, blockIdx, blockDim, gridDim;

#define __global__
#define __device__ static
#define __launch_bounds__(...)
// All shared arrays lie in one section, which is filled with NaN before each block: nothing is left from the block before.
#define __shared__ static __attribute__((section("shared_memory")))

void wait_for_block(int line);
void wait_for_warp(int line);
extern std::uint64_t lane_values[1024];
int thread_number();

#define __syncthreads() wait_for_block(__LINE__)
#define __shfl_xor_sync(lanes, value, step) exchange(lanes, value, thread_number() ^ (step), __LINE__)
template <class T>
static T exchange(unsigned lanes, T value, int other, int line)
{
    std::memcpy(&lane_values[thread_number()], &value, sizeof value);
    wait_for_warp(line);  // all lanes have written
    std::memcpy(&value, &lane_values[other], sizeof value);
    wait_for_warp(line);  // all lanes have read
    return value;
}

static inline std::uint64_t __umul64hi(std::uint64_t a, std::uint64_t b) { return (unsigned __int128)a * b >> 64; }
static inline float __int_as_float(unsigned bits)
{
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
using std::exp, std::isnan, std::log, std::pow, std::sqrt;
template <class T>
static T min(T a, T b) { return a < b ? a : b; }
template <class T>
static T max(T a, T b) { return a < b ? b : a; }

// A kernel in the table of `host.cpp`: how to call it, and the bytes of each argument, 0 for a pointer.
struct Kernel {
    const char* name;
    void (*call)(void** arguments);
    int count;
    const int* sizes;
};
void add(Kernel);

template <class T> constexpr int size_of = sizeof(T);
template <class T> constexpr int size_of<T*> = 0;
template <class> struct Caller;
template <class... P>
struct Caller<void (*)(P...)> {
    static constexpr int count = sizeof...(P);
    static constexpr int sizes[] = {size_of<P>...};
    template <void (*kernel)(P...)>
    static void call(void** arguments) { each<kernel>(arguments, (std::index_sequence_for<P...>*)nullptr); }
    template <void (*kernel)(P...), std::size_t... I>
    static void each(void** arguments, std::index_sequence<I...>*) { kernel(*(P*)arguments[I]...); }
};
#define KERNEL(name)                                                                                                             \
    static const struct Add_##name {                                                                                             \
        using Its = Caller<decltype(&::name)>;                                                                                   \
        Add_##name() { add({#name, Its::call<&::name>, Its::count, Its::sizes}); }                                              \
    } add_##name;
