// libamdhip64, first part: the devices, versions and errors, the counters and the switches.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

#include "standin.h"

namespace standin {

static long counts[int(Counter::none)];
void count(Counter counter) {
  if (counter != Counter::none) __atomic_add_fetch(&counts[int(counter)], 1, __ATOMIC_RELAXED);
}

static Checks read_checks() {
  Checks found;
  const char* text = getenv("CUPY_ON_CPU_CHECKS");
  std::istringstream words(text ? text : "");
  for (std::string word; words >> word;) {
    if (word == "red-zones") found.red_zones = true;
    else if (word == "reversed") found.reversed = true;
    else if (word == "deferred") found.deferred = true;
    else {
      fprintf(stderr, "CUPY_ON_CPU_CHECKS: \"%s\" is none of red-zones, reversed, deferred\n",
              word.c_str());
      abort();
    }
  }
  return found;
}

const Checks& checks() {
  static const Checks found = read_checks();
  return found;
}

static thread_local Error last_error = SUCCESS;
static thread_local char message[1024];
static thread_local Error meant = SUCCESS;  // the error that the message is about

int result(Error error) {
  if (error) last_error = error;
  return error;
}

Error failure(Error error, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  meant = error;
  return error;
}

// Two devices, so that a test may ask for the second one and for arrays of both.
static const int DEVICES = 2;
static thread_local int device = 0;
int current_device() { return device; }
int device_count() { return DEVICES; }

std::recursive_mutex& device_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

static const char* name_of(int error) {
  switch (error) {
    case SUCCESS: return "hipSuccess";
    case INVALID_VALUE: return "hipErrorInvalidValue";
    case OUT_OF_MEMORY: return "hipErrorOutOfMemory";
    case INVALID_DEVICE: return "hipErrorInvalidDevice";
    case INVALID_IMAGE: return "hipErrorInvalidImage";
    case FILE_NOT_FOUND: return "hipErrorFileNotFound";
    case INVALID_HANDLE: return "hipErrorInvalidHandle";
    case NOT_FOUND: return "hipErrorNotFound";
    case NOT_READY: return "hipErrorNotReady";
    case LAUNCH_FAILURE: return "hipErrorLaunchFailure";
    case NOT_SUPPORTED: return "hipErrorNotSupported";
    case CAPTURE_UNSUPPORTED: return "hipErrorStreamCaptureUnsupported";
  }
  return "hipErrorUnknown";
}

}  // namespace standin

using namespace standin;

// --- for counters.py ---------------------------------------------------------------------------

STANDIN_EXPORT const char* standin_counter_names() {
#define STANDIN_NAME(name) #name " "
  return STANDIN_COUNTERS(STANDIN_NAME);
#undef STANDIN_NAME
}

STANDIN_EXPORT void standin_read_counters(long* values) {
  memcpy(values, counts, sizeof counts);
}

// --- devices -----------------------------------------------------------------------------------

STANDIN_EXPORT int hipGetDeviceCount(int* n) {
  *n = DEVICES;
  return SUCCESS;
}

STANDIN_EXPORT int hipGetDevice(int* d) {
  *d = device;
  return SUCCESS;
}

STANDIN_EXPORT int hipSetDevice(int d) {
  if (d < 0 || d >= DEVICES) {
    return result(failure(INVALID_DEVICE, "there is no device %d, only 0 to %d", d, DEVICES - 1));
  }
  device = d;
  return SUCCESS;
}

STANDIN_EXPORT int hipDriverGetVersion(int* version) {
  *version = 70051831;
  return SUCCESS;
}

STANDIN_EXPORT int hipRuntimeGetVersion(int* version) {
  *version = 70051831;
  return SUCCESS;
}

static const int MAX_THREADS = 1024, SHARED_MEMORY = 48 << 10;

STANDIN_EXPORT int hipDeviceGetAttribute(int* value, int attribute, int) {
  switch (attribute) {  // numbers of hipDeviceAttribute_t
    case 23: *value = 9; break;  // compute capability, major: as on a recent NVIDIA GPU
    case 61: *value = 0; break;  // and minor
    case 56: *value = MAX_THREADS; break;
    case 63: *value = 4; break;  // multiprocessors
    case 74: *value = SHARED_MEMORY; break;
    case 87: *value = 32; break;  // warp size
    default: return result(failure(INVALID_VALUE, "device attribute %d is not known", attribute));
  }
  return SUCCESS;
}

// hipDeviceProp_tR0600 up to the last field that is set here; the rest stays zero.
struct Properties {
  char name[256];
  char uuid[16];
  char luid[8];
  unsigned luid_mask;
  size_t total_memory, shared_memory;
  int registers, warp_size;
  size_t pitch;
  int max_threads, max_block[3], max_grid[3], clock;
  size_t constant_memory;
  int major, minor;
  size_t texture_alignment, texture_pitch_alignment;
  int overlap, multiprocessors;
};
static const size_t PROPERTIES_SIZE = 1472;  // of HIP's own struct

STANDIN_EXPORT int hipMemGetInfo(size_t* free, size_t* total);

STANDIN_EXPORT int hipGetDevicePropertiesR0600(void* out, int d) {
  if (d < 0 || d >= DEVICES) return result(INVALID_DEVICE);
  Properties p = {};
  strcpy(p.name, "CPU in the place of a GPU");
  size_t free;
  hipMemGetInfo(&free, &p.total_memory);
  p.shared_memory = SHARED_MEMORY;
  p.registers = p.constant_memory = 64 << 10;
  p.warp_size = 32;
  p.max_threads = p.max_block[0] = p.max_block[1] = MAX_THREADS;
  p.max_block[2] = 64;
  p.max_grid[0] = 0x7fffffff;
  p.max_grid[1] = p.max_grid[2] = 65535;
  p.major = 9;
  p.multiprocessors = 4;
  memset(out, 0, PROPERTIES_SIZE);
  memcpy(out, &p, sizeof p);
  return SUCCESS;
}

STANDIN_EXPORT int hipDeviceGetPCIBusId(char* text, int size, int d) {
  snprintf(text, size, "0000:%02x:00.0", d);
  return SUCCESS;
}

STANDIN_EXPORT int hipDeviceCanAccessPeer(int* can, int, int) {
  *can = 0;  // an array of the other device is an error, not a slow success
  return SUCCESS;
}

// --- errors ------------------------------------------------------------------------------------

STANDIN_EXPORT int hipPeekAtLastError() { return last_error; }

STANDIN_EXPORT int hipGetLastError() {
  Error error = last_error;
  last_error = SUCCESS;
  return error;
}

STANDIN_EXPORT const char* hipGetErrorName(int error) { return name_of(error); }

STANDIN_EXPORT const char* hipGetErrorString(int error) {
  static thread_local std::string text;
  text = name_of(error);
  if (error && error == meant) text += std::string(": ") + message;
  meant = SUCCESS;
  return text.c_str();
}
