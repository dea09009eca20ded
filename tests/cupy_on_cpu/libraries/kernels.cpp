// libamdhip64, fourth part: modules of kernels, and the grid of threads that runs one.
//
// The threads of a block run one after the other. In a kernel with barriers each thread has a
// stack of its own and stops where it waits, so that barriers, shared memory and shuffles mean
// what they mean on a GPU; that this can go wrong, too, is the point.
#include <dlfcn.h>
#include <setjmp.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "include/kernel.h"
#include "standin.h"

static const unsigned WARP = 32, MAX_THREADS = 1024;
static const size_t STACK = 64 << 10, MAX_SHARED = 48 << 10;

uint3 standin_threadIdx, standin_blockIdx, standin_blockDim, standin_gridDim;

namespace standin {

// --- threads that can wait ---------------------------------------------------------------------

enum State { RUNNING, AT_BLOCK, AT_WARP, FINISHED };

struct Thread {
  State state = RUNNING;
  int line = 0;  // of the barrier
  uint3 index;
  bool has_started = false;
  jmp_buf place;  // where it goes on
  std::unique_ptr<char[]> stack;
  ucontext_t start;
};

static std::vector<Thread> threads(MAX_THREADS);
static unsigned current;            // the running thread's number in the block
static jmp_buf scheduler;
static const StandinKernel* kernel;  // that runs
static void** arguments;
static bool has_stacks;
static char slots[MAX_THREADS][STANDIN_SLOT];
static std::vector<char> dynamic_shared;

// A context switch by ucontext alone costs two system calls, so it only starts a thread.
static void leave(Thread& thread) {
  if (!_setjmp(thread.place)) _longjmp(scheduler, 1);
}

static void body() {
  for (;;) {  // the next block finds its threads ready to go on
    kernel->thread(arguments);
    threads[current].state = FINISHED;
    leave(threads[current]);
  }
}

static void enter(Thread& thread) {
  standin_threadIdx = thread.index;
  if (_setjmp(scheduler)) return;
  if (thread.has_started) _longjmp(thread.place, 1);
  thread.has_started = true;
  if (!thread.stack) thread.stack.reset(new char[STACK]);
  getcontext(&thread.start);
  thread.start.uc_stack.ss_sp = thread.stack.get();
  thread.start.uc_stack.ss_size = STACK;
  makecontext(&thread.start, body, 0);
  setcontext(&thread.start);
}

static bool barrier_without_stack;

static void wait(State state, int line) {
  if (!has_stacks) {
    barrier_without_stack = true;
    return;
  }
  threads[current].state = state;
  threads[current].line = line;
  leave(threads[current]);
}

// Lets the threads of a range go on if all that live have come to one barrier.
struct Waiting {
  unsigned live = 0, waiting = 0;
  bool same_line = true;
};
static Waiting look(State state, unsigned from, unsigned to) {
  Waiting found;
  int line = 0;
  for (unsigned i = from; i < to; i++) {
    if (threads[i].state == FINISHED) continue;
    found.live++;
    if (threads[i].state != state) continue;
    if (found.waiting++ && threads[i].line != line) found.same_line = false;
    line = threads[i].line;
  }
  return found;
}
static void release(unsigned from, unsigned to) {
  for (unsigned i = from; i < to; i++) {
    if (threads[i].state != FINISHED) threads[i].state = RUNNING;
  }
}

static Error stuck(const char* what) {
  for (Thread& thread : threads) thread.has_started = false;  // they wait for ever
  const uint3& b = standin_blockIdx;
  return failure(LAUNCH_FAILURE, "%s, in block (%u, %u, %u)", what, b.x, b.y, b.z);
}

static Error run_waiting_block(unsigned n) {
  for (unsigned i = 0; i < n; i++) threads[i].state = RUNNING;
  for (;;) {
    for (unsigned k = 0; k < n; k++) {
      current = checks().reversed ? n - 1 - k : k;
      if (threads[current].state == RUNNING) enter(threads[current]);
    }
    bool goes_on = false;
    for (unsigned from = 0; from < n; from += WARP) {
      unsigned to = from + WARP < n ? from + WARP : n;
      Waiting warp = look(AT_WARP, from, to);
      if (!warp.waiting || warp.waiting < warp.live) continue;
      if (!warp.same_line) return stuck("threads of a warp wait at different barriers");
      release(from, to);
      goes_on = true;
    }
    Waiting block = look(AT_BLOCK, 0, n);
    if (!block.live) return SUCCESS;
    if (block.waiting == block.live) {
      if (!block.same_line) return stuck("threads wait at different __syncthreads()");
      release(0, n);
      goes_on = true;
    }
    if (!goes_on) return stuck("some threads wait for the block, others for their warp");
  }
}

static Error run_plain_block(unsigned n) {
  for (unsigned k = 0; k < n; k++) {
    standin_threadIdx = threads[checks().reversed ? n - 1 - k : k].index;
    kernel->thread(arguments);
  }
  return SUCCESS;
}

static Error run_grid(const StandinKernel* which, void** values, uint3 grid, uint3 block,
                      size_t shared) {
  kernel = which;
  arguments = values;
  standin_gridDim = grid;
  standin_blockDim = block;
  has_stacks = kernel->has_barriers;
  barrier_without_stack = false;
  dynamic_shared.resize(shared);
  unsigned n = block.x * block.y * block.z;
  for (unsigned i = 0; i < n; i++) {
    threads[i].index = {i % block.x, i / block.x % block.y, i / block.x / block.y};
  }
  const size_t blocks = size_t(grid.x) * grid.y * grid.z;
  for (size_t k = 0; k < blocks; k++) {
    size_t i = checks().reversed ? blocks - 1 - k : k;
    standin_blockIdx = {unsigned(i % grid.x), unsigned(i / grid.x % grid.y),
                        unsigned(i / grid.x / grid.y)};
    poison(dynamic_shared.data(), shared);
    poison(kernel->shared_start, kernel->shared_stop - kernel->shared_start);
    Error error = has_stacks ? run_waiting_block(n) : run_plain_block(n);
    if (error) return error;
  }
  return barrier_without_stack ? stuck("a barrier that was not seen in the kernel's text")
                               : SUCCESS;
}

// --- modules -----------------------------------------------------------------------------------

struct Function {
  const StandinKernel* kernel;
  std::string name;
  int device;
};
struct Module {
  void* library;
  int device;
};

static std::mutex log_mutex;
static bool is_logging = false;
static std::string log;  // names of launched kernels, one a line

}  // namespace standin

using namespace standin;

void standin_wait_block(int line) { wait(AT_BLOCK, line); }
void standin_wait_warp(int line) { wait(AT_WARP, line); }
unsigned standin_lane() { return current % WARP; }
void* standin_slot(unsigned lane) { return slots[current / WARP * WARP + lane]; }
void* standin_dynamic_shared() { return dynamic_shared.data(); }

// For counters.py: from start to stop, the names of the launched kernels are kept.
STANDIN_EXPORT void standin_log_start() {
  std::lock_guard<std::mutex> guard(log_mutex);
  log.clear();
  is_logging = true;
}

STANDIN_EXPORT const char* standin_log_stop() {
  std::lock_guard<std::mutex> guard(log_mutex);
  is_logging = false;
  return log.c_str();
}

STANDIN_EXPORT int hipModuleLoadData(void** module, const void* image) {
  // The image is a shared library, as hiprtcGetCode gave it. dlopen() wants a file, and one of a
  // new name each time, else it returns the library that it knows under that name.
  const size_t MAGIC = 8;
  uint64_t size;
  const char* bytes = static_cast<const char*>(image);
  if (memcmp(bytes, "onCPU 01", MAGIC)) {
    return result(failure(INVALID_IMAGE, "the module was not compiled by this libhiprtc"));
  }
  memcpy(&size, bytes + MAGIC, sizeof size);
  std::string path = (std::filesystem::temp_directory_path() / "kernel-XXXXXX").string();
  int file = mkstemp(path.data());
  if (file < 0) return result(failure(INVALID_IMAGE, "%s can't be made", path.c_str()));
  const char* library = bytes + MAGIC + sizeof size;
  bool is_written = write(file, library, size) == ssize_t(size);
  close(file);
  void* loaded = is_written ? dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  unlink(path.c_str());
  if (!loaded) return result(failure(INVALID_IMAGE, "%s", dlerror()));
  *module = new Module{loaded, current_device()};
  return SUCCESS;
}

STANDIN_EXPORT int hipModuleLoad(void** module, const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return result(failure(FILE_NOT_FOUND, "%s can't be read", path));
  std::string image((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return hipModuleLoadData(module, image.data());
}

// CuPy unloads modules at its exit only.
STANDIN_EXPORT int hipModuleUnload(void*) { return SUCCESS; }

STANDIN_EXPORT int hipModuleGetFunction(void** function, void* handle, const char* name) {
  Module* module = static_cast<Module*>(handle);
  void* found = dlsym(module->library, (std::string("standin_kernel_") + name).c_str());
  if (!found) return result(failure(NOT_FOUND, "the module has no kernel %s", name));
  *function = new Function{static_cast<StandinKernel*>(found), name, module->device};
  return SUCCESS;
}

STANDIN_EXPORT int hipModuleGetGlobal(void** address, size_t* size, void* handle,
                                      const char* name) {
  *address = dlsym(static_cast<Module*>(handle)->library, name);
  if (!*address) return result(failure(NOT_FOUND, "the module has no variable %s", name));
  if (size) *size = 0;
  return SUCCESS;
}

STANDIN_EXPORT int hipFuncGetAttribute(int* value, int attribute, const void*) {
  *value = attribute == 0 ? int(MAX_THREADS) : 0;  // 0: how many threads a block may have
  return SUCCESS;
}

STANDIN_EXPORT int hipModuleLaunchKernel(void* handle, unsigned gx, unsigned gy, unsigned gz,
                                         unsigned bx, unsigned by, unsigned bz, unsigned shared,
                                         void* stream, void** values, void**) {
  Function* function = static_cast<Function*>(handle);
  const char* name = function->name.c_str();
  if (function->device != current_device()) {
    return result(failure(INVALID_HANDLE, "%s was loaded on device %d, and is launched on %d",
                          name, function->device, current_device()));
  }
  if (!bx || !by || !bz || bz > 64 || size_t(bx) * by * bz > MAX_THREADS) {
    return result(failure(INVALID_VALUE, "%s: a block of %u x %u x %u threads", name, bx, by, bz));
  }
  if (!gx || !gy || !gz || gx > 0x7fffffff || gy > 65535 || gz > 65535) {
    return result(failure(INVALID_VALUE, "%s: a grid of %u x %u x %u blocks", name, gx, gy, gz));
  }
  if (shared > MAX_SHARED) {
    return result(failure(INVALID_VALUE, "%s: %u bytes of shared memory", name, shared));
  }

  // The caller's arguments may be gone when the kernel runs.
  const StandinKernel* which = function->kernel;
  struct alignas(16) Unit {
    char bytes[16];
  };
  auto copies = std::make_shared<std::vector<std::vector<Unit>>>();
  for (size_t i = 0; i < which->arguments; i++) {
    copies->emplace_back((which->sizes[i] + sizeof(Unit) - 1) / sizeof(Unit));
    memcpy(copies->back().data(), values[i], which->sizes[i]);
  }
  {
    std::lock_guard<std::mutex> guard(log_mutex);
    if (is_logging) log += function->name + "\n";
  }
  return result(submit(stream, Counter::launches, [=] {
    std::vector<void*> pointers;
    for (auto& copy : *copies) pointers.push_back(copy.data());
    Error error = run_grid(which, pointers.data(), {gx, gy, gz}, {bx, by, bz}, shared);
    return error;
  }));
}

// --- kernels that the wheel brings as machine code of a GPU (sort, fft, the Generator API) ------

STANDIN_EXPORT void** __hipRegisterFatBinary(const void*) {
  static void* handle;
  return &handle;
}
STANDIN_EXPORT void __hipUnregisterFatBinary(void**) {}
STANDIN_EXPORT void __hipRegisterFunction(void**, const void*, char*, const char*, unsigned,
                                          void*, void*, void*, void*, int*) {}
STANDIN_EXPORT int __hipPushCallConfiguration(uint3, uint3, size_t, void*) { return SUCCESS; }
STANDIN_EXPORT int __hipPopCallConfiguration(uint3*, uint3*, size_t*, void**) { return SUCCESS; }

STANDIN_EXPORT int hipLaunchKernel(const void*, uint3, uint3, void**, size_t, void* stream) {
  // Some callers do not look at what this returns, so that a later operation must fail.
  Error error = failure(NOT_SUPPORTED,
                        "a kernel that the wheel has as machine code only; not with a CPU");
  submit(stream, Counter::none, [=] { return error; });
  return result(error);
}
