// libamdhip64, second part: memory. A device buffer is host memory between two red zones, and
// it is full of NaN until somebody writes to it.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "standin.h"

namespace standin {

// Read as float16, float32 or float64 it is NaN; as an index it is far out of every range.
static const uint32_t POISON = 0x7ff7fff7;
static const size_t RED_ZONE = 512;               // also the alignment that CuPy expects
static const size_t MEMORY = size_t(8) << 30;     // of each device

static std::map<uintptr_t, Allocation> allocations;  // by their start
static std::map<uintptr_t, size_t> pinned;
static size_t used[8];  // by device
static std::mutex mutex;

void poison(void* start, size_t size) {
  unsigned char* bytes = static_cast<unsigned char*>(start);
  size_t i = 0;
  for (; i + sizeof POISON <= size; i += sizeof POISON) memcpy(bytes + i, &POISON, sizeof POISON);
  memset(bytes + i, 0xff, size - i);
}

// Of at most two red zones. All of them are looked at after each operation, so this is quick.
static bool is_poison(const unsigned char* bytes, size_t size) {
  static const auto right = [] {
    std::array<unsigned char, 2 * RED_ZONE> zones;
    poison(zones.data(), zones.size());
    return zones;
  }();
  return !memcmp(bytes, right.data(), size);
}

static size_t padded(size_t size) { return (size + RED_ZONE - 1) / RED_ZONE * RED_ZONE; }

// Behind the last byte the rest of the last unit is red as well.
static bool is_intact(uintptr_t start, size_t size) {
  const unsigned char* first = reinterpret_cast<unsigned char*>(start);
  size_t ragged = (sizeof POISON - size % sizeof POISON) % sizeof POISON;
  for (size_t i = 0; i < ragged; i++) {
    if (first[size + i] != 0xff) return false;
  }
  size_t behind = size + ragged;
  return is_poison(first - RED_ZONE, RED_ZONE) &&
         is_poison(first + behind, padded(size) + RED_ZONE - behind);
}

Error check_red_zones() {
  std::lock_guard<std::mutex> guard(mutex);
  for (auto& [start, allocation] : allocations) {
    if (!is_intact(start, allocation.size)) {
      return failure(LAUNCH_FAILURE, "a write outside of a device buffer of %zu bytes",
                     allocation.size);
    }
  }
  return SUCCESS;
}

bool find_allocation(const void* address, Allocation* found) {
  std::lock_guard<std::mutex> guard(mutex);
  uintptr_t a = reinterpret_cast<uintptr_t>(address);
  auto next = allocations.upper_bound(a);
  if (next == allocations.begin()) return false;
  --next;
  if (a >= next->first + next->second.size) return false;
  *found = {next->first + next->second.size - a, next->second.device};
  return true;
}

bool is_device_memory(const void* start, size_t size) {
  Allocation rest;
  return find_allocation(start, &rest) && size <= rest.size;
}

bool is_pinned(const void* address) {
  std::lock_guard<std::mutex> guard(mutex);
  uintptr_t a = reinterpret_cast<uintptr_t>(address);
  auto next = pinned.upper_bound(a);
  if (next == pinned.begin()) return false;
  --next;
  return a < next->first + next->second;
}

}  // namespace standin

using namespace standin;

// For plugin.py: memory that CuPy's pool hands out again is as undefined as new memory is.
STANDIN_EXPORT int standin_poison(void* start, size_t size, void* stream) {
  return submit(stream, Counter::none, [=] {
    poison(start, size);
    return SUCCESS;
  });
}

// --- allocation --------------------------------------------------------------------------------

STANDIN_EXPORT int hipMalloc(void** out, size_t size) {
  *out = nullptr;
  if (!size) return SUCCESS;
  std::lock_guard<std::mutex> guard(mutex);
  size_t& mine = used[current_device()];
  if (size > MEMORY - mine) {
    return result(failure(OUT_OF_MEMORY, "%zu bytes were asked for, %zu are free", size,
                          MEMORY - mine));
  }
  size_t whole = RED_ZONE + padded(size) + RED_ZONE;
  char* zone = static_cast<char*>(aligned_alloc(RED_ZONE, whole));
  if (!zone) return result(failure(OUT_OF_MEMORY, "the host has no %zu bytes", whole));
  char* start = zone + RED_ZONE;
  poison(zone, RED_ZONE);
  poison(start, size);
  size_t ragged = (sizeof POISON - size % sizeof POISON) % sizeof POISON;
  memset(start + size, 0xff, ragged);
  poison(start + size + ragged, zone + whole - (start + size + ragged));
  allocations[reinterpret_cast<uintptr_t>(start)] = {size, current_device()};
  mine += size;
  count(Counter::allocations);
  *out = start;
  return SUCCESS;
}

STANDIN_EXPORT int hipMallocManaged(void** out, size_t size, unsigned) {
  return hipMalloc(out, size);
}

STANDIN_EXPORT int hipFree(void* start) {
  if (!start) return SUCCESS;
  if (Error error = drain()) return result(error);
  std::lock_guard<std::mutex> guard(mutex);
  auto found = allocations.find(reinterpret_cast<uintptr_t>(start));
  if (found == allocations.end()) {
    return result(failure(INVALID_VALUE, "hipFree of what hipMalloc did not give"));
  }
  size_t size = found->second.size;
  if (!is_intact(found->first, size)) {
    // CuPy frees in destructors, where an error would be swallowed.
    fprintf(stderr, "CuPy on the CPU: a write outside of a device buffer of %zu bytes\n", size);
    abort();
  }
  used[found->second.device] -= size;
  allocations.erase(found);
  poison(start, size);  // whoever still reads it gets NaN
  free(static_cast<char*>(start) - RED_ZONE);
  return SUCCESS;
}

STANDIN_EXPORT int hipHostMalloc(void** out, size_t size, unsigned) {
  *out = malloc(size ? size : 1);
  if (!*out) return result(OUT_OF_MEMORY);
  poison(*out, size);
  std::lock_guard<std::mutex> guard(mutex);
  pinned[reinterpret_cast<uintptr_t>(*out)] = size;
  return SUCCESS;
}

STANDIN_EXPORT int hipHostFree(void* start) {
  if (Error error = drain()) return result(error);
  std::lock_guard<std::mutex> guard(mutex);
  pinned.erase(reinterpret_cast<uintptr_t>(start));
  free(start);
  return SUCCESS;
}

STANDIN_EXPORT int hipMemGetInfo(size_t* free, size_t* total) {
  std::lock_guard<std::mutex> guard(mutex);
  *total = MEMORY;
  *free = MEMORY - used[current_device()];
  return SUCCESS;
}

// hipPointerAttribute_t
struct PointerAttributes {
  int type, device;
  const void *device_pointer, *host_pointer;
  int is_managed;
  unsigned flags;
};

STANDIN_EXPORT int hipPointerGetAttributes(PointerAttributes* out, const void* address) {
  enum { UNREGISTERED = 0, HOST = 1, DEVICE = 2 };  // hipMemoryType
  *out = {};
  Allocation found;
  if (find_allocation(address, &found)) {
    out->type = DEVICE;
    out->device = found.device;
    out->device_pointer = address;
  } else {
    out->type = is_pinned(address) ? HOST : UNREGISTERED;
    out->host_pointer = address;
  }
  return SUCCESS;
}

// --- copies and fills --------------------------------------------------------------------------

enum Kind { HOST_TO_HOST = 0, HOST_TO_DEVICE = 1, DEVICE_TO_HOST = 2, DEVICE_TO_DEVICE = 3 };
static const int BY_ADDRESS = 4;  // hipMemcpyDefault

// Says which kind of copy this is; a side that is said to be on the device must be there whole.
static Error inspect(const void* to, const void* from, size_t size, int said, int* kind) {
  Allocation unused;
  bool to_device = said == BY_ADDRESS ? find_allocation(to, &unused) : said & 1;
  bool from_device = said == BY_ADDRESS ? find_allocation(from, &unused) : said >> 1;
  *kind = to_device | from_device << 1;
  if (to_device && !is_device_memory(to, size)) {
    return failure(INVALID_VALUE, "a copy of %zu bytes to where no such buffer is", size);
  }
  if (from_device && !is_device_memory(from, size)) {
    return failure(INVALID_VALUE, "a copy of %zu bytes from where no such buffer is", size);
  }
  return SUCCESS;
}

static const Counter COUNTER_OF[] = {Counter::none, Counter::h2d, Counter::d2h, Counter::d2d};

STANDIN_EXPORT int hipMemcpyAsync(void* to, const void* from, size_t size, int said,
                                  void* stream) {
  int kind;
  if (!size) return SUCCESS;
  if (Error error = inspect(to, from, size, said, &kind)) return result(error);
  Operation copy = [=] {
    memmove(to, from, size);
    return SUCCESS;
  };
  // Memory of the host that is not pinned is read or written before the call returns.
  bool pageable = kind == HOST_TO_HOST || (kind == HOST_TO_DEVICE && !is_pinned(from)) ||
                  (kind == DEVICE_TO_HOST && !is_pinned(to));
  if (pageable && is_capturing(stream)) {
    return result(failure(CAPTURE_UNSUPPORTED, "a copy of host memory that is not pinned"));
  }
  Error error = submit(stream, COUNTER_OF[kind], copy);
  if (!error && pageable) error = drain();
  return result(error);
}

STANDIN_EXPORT int hipMemcpy(void* to, const void* from, size_t size, int said) {
  int kind;
  if (!size) return SUCCESS;
  if (Error error = inspect(to, from, size, said, &kind)) return result(error);
  Error error = submit(nullptr, COUNTER_OF[kind], [=] {
    memmove(to, from, size);
    return SUCCESS;
  });
  return result(error ? error : drain());
}

STANDIN_EXPORT int hipMemsetAsync(void* start, int value, size_t size, void* stream) {
  if (!size) return SUCCESS;
  if (!is_device_memory(start, size)) {
    return result(failure(INVALID_VALUE, "a fill of %zu bytes where no such buffer is", size));
  }
  return result(submit(stream, Counter::fills, [=] {
    memset(start, value, size);
    return SUCCESS;
  }));
}

STANDIN_EXPORT int hipMemset(void* start, int value, size_t size) {
  return hipMemsetAsync(start, value, size, nullptr);
}
