// How a compiled kernel and libamdhip64 see each other.
#pragma once
#include <cstddef>

struct uint3 {
  unsigned x, y, z;
};

// What a kernel's library exports for each kernel, under the name standin_kernel_<name>.
struct StandinKernel {
  void (*thread)(void** arguments);  // one thread of the kernel
  const size_t* sizes;               // of its arguments, in bytes
  size_t arguments;
  bool has_barriers;
  char *shared_start, *shared_stop;  // its __shared__ variables
};

// What libamdhip64 gives to the running thread.
extern "C" {
extern uint3 standin_threadIdx, standin_blockIdx, standin_blockDim, standin_gridDim;

// Wait until all threads of the block, or of the warp, have come to the barrier in this line.
void standin_wait_block(int line);
void standin_wait_warp(int line);

// Memory of each thread that its warp can read, for shuffles; and the thread's lane in the warp.
static const size_t STANDIN_SLOT = 16;
void* standin_slot(unsigned lane);
unsigned standin_lane();

void* standin_dynamic_shared();  // what `extern __shared__` names
}
