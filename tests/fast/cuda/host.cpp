// Runs kernels on the host: reads launches from stdin, and writes the memory of the arrays back to stdout.
//
// A launch is, as 64-bit integers: the length of the name; grid; block; seed; the number of buffers; of each its bytes; the number of
// arguments; of each (bytes of a scalar, 0), or (0, the number of its buffer). Then the name, the buffers, the scalars.
// Blocks run in an order that depends on the seed, and so do the warps of a block between two barriers and the threads of a warp.
#include "shim.h"
#include <cstdio>
#include <cstdlib>
#include <ucontext.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
static void __asan_unpoison_memory_region(const volatile void*, std::size_t) {}
static void __sanitizer_start_switch_fiber(void**, const void*, std::size_t) {}
static void __sanitizer_finish_switch_fiber(void*, const void**, std::size_t*) {}
#endif

dim3 threadIdx, blockIdx, blockDim, gridDim;
std::uint64_t lane_values[1024];
extern char __start_shared_memory[] __attribute__((weak)), __stop_shared_memory[] __attribute__((weak));

static const int MOST = 1024, STACK = 1 << 17;
enum State { READY, AT_BLOCK, AT_WARP, DONE };
static ucontext_t scheduler, fiber[MOST];
static char* stack[MOST];
static State state[MOST];
static int line_of[MOST], current;
static const void* scheduler_stack;
static std::size_t scheduler_size;
static const Kernel* kernel;
static void** arguments;

static Kernel kernels[64];
static int known;
void add(Kernel added) { kernels[known++] = added; }
int thread_number() { return current; }

[[noreturn]] static void fail(const char* text, int a = 0, int b = 0)
{
    std::fprintf(stderr, "%s: block (%u, %u, %u): ", kernel ? kernel->name : "host", blockIdx.x, blockIdx.y, blockIdx.z);
    std::fprintf(stderr, text, a, b);
    std::fprintf(stderr, "\n");
    std::fflush(stderr);
    std::_Exit(3);
}

static void leave()
{
    void* fake = nullptr;
    int thread = current;
    __sanitizer_start_switch_fiber(&fake, scheduler_stack, scheduler_size);
    swapcontext(&fiber[thread], &scheduler);
    __sanitizer_finish_switch_fiber(fake, &scheduler_stack, &scheduler_size);
}

static void wait(State reason, int line)
{
    state[current] = reason;
    line_of[current] = line;
    leave();
}
void wait_for_block(int line) { wait(AT_BLOCK, line); }
void wait_for_warp(int line) { wait(AT_WARP, line); }

static void run_fiber()
{
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_size);
    for (;;) {  // one round a block, so that a fiber is made once a launch
        kernel->call(arguments);
        state[current] = DONE;
        leave();
    }
}

static void enter(int thread)
{
    void* fake = nullptr;
    current = thread;
    threadIdx = {thread % blockDim.x, thread / blockDim.x % blockDim.y, thread / (blockDim.x * blockDim.y)};
    __sanitizer_start_switch_fiber(&fake, stack[thread], STACK);
    swapcontext(&scheduler, &fiber[thread]);
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
}

static std::uint64_t random_state;
static unsigned below(unsigned n)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (random_state >> 33) % n;
}
static void shuffle(unsigned* order, unsigned n)
{
    for (unsigned i = 0; i < n; ++i) order[i] = i;
    for (unsigned i = n; i > 1; --i) {
        unsigned j = below(i), kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}

__attribute__((no_sanitize("address"))) static void forget_shared_memory()
{
    for (volatile char* at = __start_shared_memory; at < __stop_shared_memory; ++at) *at = (char)0xff;
}

// Let the threads first .. last - 1 go on if each of them waits for this reason at the same line, or has ended.
static bool release(int first, int last, State reason)
{
    int line = 0;
    for (int t = first; t < last; ++t) {
        if (state[t] == DONE) continue;
        if (state[t] != reason) return false;
        if (line && line_of[t] != line) fail("threads wait at two barriers, lines %d and %d", line, line_of[t]);
        line = line_of[t];
    }
    for (int t = first; t < last; ++t)
        if (state[t] != DONE) state[t] = READY;
    return line != 0;
}

// The threads of one warp go on, in a random order, until all of them wait for the block or have ended.
static void run_warp(int first, int last)
{
    unsigned order[32];
    do {
        shuffle(order, last - first);
        for (int i = 0; i < last - first; ++i)
            if (state[first + order[i]] == READY) enter(first + order[i]);
    } while (release(first, last, AT_WARP));
}

// The warps go on in a random order, each as far as it can: a warp that a missing barrier does not hold then overtakes the others.
static void run_block(int threads)
{
    unsigned order[MOST / 32];
    int warps = (threads + 31) / 32;
    forget_shared_memory();
    for (int t = 0; t < threads; ++t) state[t] = READY;
    do {
        shuffle(order, warps);
        for (int i = 0; i < warps; ++i) run_warp(32 * order[i], min(32 * (int)order[i] + 32, threads));
    } while (release(0, threads, AT_BLOCK));
    for (int t = 0; t < threads; ++t)
        if (state[t] != DONE) fail("thread %d waits at a barrier or shuffle, line %d, that others never reach", t, line_of[t]);
}

static void launch(std::uint64_t seed)
{
    int threads = blockDim.x * blockDim.y * blockDim.z;
    unsigned blocks = gridDim.x * gridDim.y * gridDim.z;
    if (threads < 1 || threads > MOST) fail("a block must have 1 to 1024 threads, got %d", threads);
    for (int t = 0; t < threads; ++t) {
        if (!stack[t]) stack[t] = (char*)std::malloc(STACK);
        __asan_unpoison_memory_region(stack[t], STACK);  // of the frames that ended with the launch before
        getcontext(&fiber[t]);
        fiber[t].uc_stack.ss_sp = stack[t];
        fiber[t].uc_stack.ss_size = STACK;
        makecontext(&fiber[t], run_fiber, 0);
    }
    random_state = seed;
    unsigned* order = (unsigned*)std::malloc(blocks * sizeof(unsigned));
    shuffle(order, blocks);
    for (unsigned i = 0; i < blocks; ++i) {
        blockIdx = {order[i] % gridDim.x, order[i] / gridDim.x % gridDim.y, order[i] / (gridDim.x * gridDim.y)};
        run_block(threads);
    }
    std::free(order);
}

static void get(void* to, std::size_t bytes)
{
    if (bytes && std::fread(to, bytes, 1, stdin) != 1) std::_Exit(0);  // the tests have ended
}
static std::int64_t number()
{
    std::int64_t value;
    get(&value, sizeof value);
    return value;
}

int main()
{
    for (;;) {
        kernel = nullptr;
        char name[100] = "";
        std::int64_t length = number();
        unsigned* sizes[] = {&gridDim.x, &gridDim.y, &gridDim.z, &blockDim.x, &blockDim.y, &blockDim.z};
        for (unsigned* size : sizes) *size = number();
        std::uint64_t seed = number();
        int buffers = number();
        std::int64_t* bytes = (std::int64_t*)std::malloc((buffers + 1) * sizeof(std::int64_t));
        char** memory = (char**)std::malloc((buffers + 1) * sizeof(char*));
        for (int b = 0; b < buffers; ++b) bytes[b] = number();
        int count = number();
        std::int64_t* kinds = (std::int64_t*)std::malloc((2 * count + 1) * sizeof(std::int64_t));
        for (int i = 0; i < 2 * count; ++i) kinds[i] = number();
        get(name, length);
        for (int b = 0; b < buffers; ++b) {  // memory of exactly these bytes: the next one is out of bounds
            memory[b] = (char*)std::malloc(bytes[b]);
            get(memory[b], bytes[b]);
        }
        for (int i = 0; i < known; ++i)
            if (!std::strcmp(kernels[i].name, name)) kernel = &kernels[i];
        if (!kernel) fail("there is no kernel of this name");
        if (kernel->count != count) fail("the kernel takes %d arguments, got %d", kernel->count, count);
        arguments = (void**)std::malloc((count + 1) * sizeof(void*));
        std::uint64_t* scalars = (std::uint64_t*)std::calloc(count + 1, 8);
        for (int i = 0; i < count; ++i) {
            if (kernel->sizes[i] != kinds[2 * i]) fail("argument %d has another size than the kernel's, %d bytes", i, kernel->sizes[i]);
            get(&scalars[i], kinds[2 * i]);
            arguments[i] = kinds[2 * i] ? (void*)&scalars[i] : (void*)&memory[kinds[2 * i + 1]];
        }
        launch(seed);
        for (int b = 0; b < buffers; ++b) {
            if (bytes[b]) std::fwrite(memory[b], bytes[b], 1, stdout);
            std::free(memory[b]);
        }
        std::fflush(stdout);
        std::free(bytes), std::free(memory), std::free(kinds), std::free(arguments), std::free(scalars);
    }
}
