// What the stand-in libraries share: errors, counters, switches, and the one door through which
// all work on the "device" passes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

namespace standin {

// HIP's numbers, as many as are returned here.
enum Error {
  SUCCESS = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  INVALID_DEVICE = 101,
  INVALID_IMAGE = 200,
  FILE_NOT_FOUND = 301,
  INVALID_HANDLE = 400,
  NOT_FOUND = 500,
  NOT_READY = 600,
  LAUNCH_FAILURE = 719,
  NOT_SUPPORTED = 801,
  CAPTURE_UNSUPPORTED = 900,
};

// What is counted, named as counters.py shows it.
#define STANDIN_COUNTERS(counter)                                             \
  counter(launches)    /* kernels compiled from source */                     \
  counter(products)    /* calls of the BLAS library, each a kernel on a GPU */ \
  counter(h2d)         /* copies from the host to the device */               \
  counter(d2h)         /* copies from the device to the host */               \
  counter(d2d)         /* copies within the device */                         \
  counter(fills)       /* memset */                                           \
  counter(syncs)       /* waits of the host for a stream, an event, a device */ \
  counter(allocations) /* of device memory, those that CuPy's pool answers excepted */ \
  counter(graphs)      /* launches of a captured graph */

enum class Counter {
#define STANDIN_ENUM(name) name,
  STANDIN_COUNTERS(STANDIN_ENUM)
#undef STANDIN_ENUM
  none,  // the last: how many there are
};

void count(Counter counter);

// The words of the environment variable CUPY_ON_CPU_CHECKS.
struct Checks {
  bool red_zones = false;  // look for writes next to a buffer after each operation
  bool reversed = false;   // run blocks and threads from the last to the first
  bool deferred = false;   // do nothing before the host waits: as late as a GPU may
};
const Checks& checks();

// The result of a call: remembers the last error of the thread, as hipGetLastError wants it.
int result(Error error);
// The same with a sentence on what was wrong; hipGetErrorString shows it.
Error failure(Error error, const char* format, ...) __attribute__((format(printf, 2, 3)));

// All work on the device passes here. The operation runs at once; or it is recorded, while its
// stream is being captured into a graph; or, with the check "deferred", it waits for drain().
using Operation = std::function<Error()>;
Error submit(void* stream, Counter counter, Operation operation);
// Runs what waits. An error of an earlier operation comes out here, as it would on a GPU.
Error drain();
bool is_capturing(void* stream);

int current_device();
int device_count();

// Device memory: where it starts, how long it is, whose it is.
struct Allocation {
  size_t size;
  int device;
};
// Whether the bytes lie inside of one allocation on any device.
bool is_device_memory(const void* start, size_t size);
// Finds the allocation around an address, and false if there is none.
bool find_allocation(const void* address, Allocation* found);
bool is_pinned(const void* address);
Error check_red_zones();
// Not a number, read as float16, float32 or float64, and an absurd index, read as an integer.
void poison(void* start, size_t size);

// Device code is not run by two host threads at a time, so that atomics may be plain arithmetic.
std::recursive_mutex& device_mutex();

}  // namespace standin

// The stand-ins' exported functions: HIP's names are C names.
#define STANDIN_EXPORT extern "C" __attribute__((visibility("default")))
