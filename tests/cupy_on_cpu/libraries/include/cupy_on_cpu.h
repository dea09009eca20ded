// Compiled once by build.py: the language and CuPy's own headers, which most kernels begin with.
#pragma once
#include "cuda_on_cpu.h"

#include <cupy/complex.cuh>
// Some functions here are not inline: each kernel would have compiled them anew.
#undef __device__
#define __device__ inline
#include <cupy/carray.cuh>
#include <cupy/atomics.cuh>
#undef __device__
#define __device__
#include <cupy/math_constants.h>
#include <cupy/hip_workaround.cuh>
