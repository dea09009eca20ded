// Compiled once by build.py: the language and CuPy's own headers, which most kernels begin with.
#pragma once
#include "cuda_on_cpu.h"

#include <cupy/complex.cuh>
#include <cupy/carray.cuh>
#include <cupy/atomics.cuh>
#include <cupy/math_constants.h>
#include <cupy/hip_workaround.cuh>
