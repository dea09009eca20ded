// The language of CUDA kernels for g++: qualifiers, indices, barriers, shuffles, atomics and
// the functions that C++ lacks. It is all that stands before a kernel's text.
#pragma once
#include <algorithm>
#include <cassert>
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>
#include <utility>

#include "kernel.h"

// What CuPy's headers ask for, to take the branches that they take for a recent NVIDIA GPU.
#define __CUDACC_VER_MAJOR__ 13
#define __CUDACC_VER_MINOR__ 0
#define __CUDA_ARCH__ 900

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __constant__
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__
// One thread runs at a time, so one copy per library will do. The section lets libamdhip64 find
// the variables and fill them with NaN before each block: nobody else initialises them on a GPU.
#define __shared__ static __attribute__((section("standin_shared")))
extern char __start_standin_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_standin_shared[] __attribute__((weak, visibility("hidden")));

#define threadIdx standin_threadIdx
#define blockIdx standin_blockIdx
#define blockDim standin_blockDim
#define gridDim standin_gridDim
static const int warpSize = 32;

// --- vectors -----------------------------------------------------------------------------------

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

#define STANDIN_VECTORS(T, name)                                            \
  struct alignas(2 * sizeof(T)) name##2 { T x, y; };                        \
  struct name##3 { T x, y, z; };                                            \
  struct alignas(sizeof(T) > 4 ? 16 : 4 * sizeof(T)) name##4 { T x, y, z, w; }; \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; }                \
  inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }        \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
STANDIN_VECTORS(float, float)
STANDIN_VECTORS(double, double)
STANDIN_VECTORS(int, int)
#undef STANDIN_VECTORS

// --- barriers and shuffles ---------------------------------------------------------------------
// The line tells one barrier from another: threads that wait at different ones are an error.

#define STANDIN_LINE int line = __builtin_LINE()

inline void __syncthreads(STANDIN_LINE) { standin_wait_block(line); }
inline void __syncwarp(unsigned long long = 0, STANDIN_LINE) { standin_wait_warp(line); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

namespace standin_kernel {
template <class T> T from_lane(T value, unsigned lane, int line) {
  static_assert(sizeof(T) <= STANDIN_SLOT, "a shuffle of a type of more than 16 bytes");
  std::memcpy(standin_slot(standin_lane()), &value, sizeof value);
  standin_wait_warp(line);
  T found;
  std::memcpy(&found, standin_slot(lane), sizeof found);
  standin_wait_warp(-line);  // all have read, before somebody writes again
  return found;
}
}  // namespace standin_kernel

template <class T>
T __shfl_sync(unsigned long long, T value, int from, int width = 32, STANDIN_LINE) {
  unsigned me = standin_lane(), segment = me / width * width;
  return standin_kernel::from_lane(value, segment + unsigned(from) % width, line);
}
template <class T>
T __shfl_up_sync(unsigned long long, T value, unsigned delta, int width = 32, STANDIN_LINE) {
  unsigned me = standin_lane();
  return standin_kernel::from_lane(value, me % width < delta ? me : me - delta, line);
}
template <class T>
T __shfl_down_sync(unsigned long long, T value, unsigned delta, int width = 32, STANDIN_LINE) {
  unsigned me = standin_lane();
  return standin_kernel::from_lane(value, me % width + delta >= unsigned(width) ? me : me + delta,
                                   line);
}
template <class T>
T __shfl_xor_sync(unsigned long long, T value, int mask, int width = 32, STANDIN_LINE) {
  unsigned me = standin_lane(), other = me ^ unsigned(mask);
  return standin_kernel::from_lane(value, other / width > me / width ? me : other, line);
}

// --- atomics: no two threads run at a time -----------------------------------------------------

#define STANDIN_ATOMIC(name, expression)          \
  template <class T, class U> T name(T* p, U u) { \
    T old = *p, value = T(u);                     \
    *p = T(expression);                           \
    return old;                                   \
  }
STANDIN_ATOMIC(atomicAdd, old + value)
STANDIN_ATOMIC(atomicSub, old - value)
STANDIN_ATOMIC(atomicMax, old < value ? value : old)
STANDIN_ATOMIC(atomicMin, value < old ? value : old)
STANDIN_ATOMIC(atomicAnd, old & value)
STANDIN_ATOMIC(atomicOr, old | value)
STANDIN_ATOMIC(atomicXor, old ^ value)
STANDIN_ATOMIC(atomicExch, value)
#undef STANDIN_ATOMIC
template <class T, class U, class V> T atomicCAS(T* p, U expected, V value) {
  T old = *p;
  if (old == T(expected)) *p = T(value);
  return old;
}

// --- functions ---------------------------------------------------------------------------------
// CUDA overloads the functions of C for float and double in the global namespace.

using std::abs, std::acos, std::acosh, std::asin, std::asinh, std::atan, std::atan2, std::atanh;
using std::ceil, std::copysign, std::cos, std::cosh, std::erf, std::exp, std::expm1, std::fabs;
using std::floor, std::fma, std::fmod, std::hypot, std::isfinite, std::isinf, std::isnan, std::log;
using std::log10, std::log1p, std::log2, std::max, std::min, std::pow, std::rint, std::round;
using std::signbit, std::sin, std::sinh, std::sqrt, std::tan, std::tanh, std::trunc;

template <class A, class B>
using standin_mixed = std::enable_if_t<!std::is_same<A, B>::value && std::is_arithmetic<A>::value &&
                                       std::is_arithmetic<B>::value>;
template <class A, class B, class = standin_mixed<A, B>> auto max(A a, B b) -> decltype(a + b) {
  return a < b ? b : a;
}
template <class A, class B, class = standin_mixed<A, B>> auto min(A a, B b) -> decltype(a + b) {
  return b < a ? b : a;
}

// The fast functions, with the host's accuracy. glibc has some of the names for itself.
#define STANDIN_FAST(name, expression)                                   \
  inline float standin##name(float x) { return expression; }
STANDIN_FAST(__expf, std::exp(x))
STANDIN_FAST(__exp10f, std::pow(10.f, x))
STANDIN_FAST(__logf, std::log(x))
STANDIN_FAST(__log2f, std::log2(x))
STANDIN_FAST(__log10f, std::log10(x))
STANDIN_FAST(__sinf, std::sin(x))
STANDIN_FAST(__cosf, std::cos(x))
STANDIN_FAST(__tanf, std::tan(x))
#undef STANDIN_FAST
#define __expf standin__expf
#define __exp10f standin__exp10f
#define __logf standin__logf
#define __log2f standin__log2f
#define __log10f standin__log10f
#define __sinf standin__sinf
#define __cosf standin__cosf
#define __tanf standin__tanf
#define __powf powf

inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.f / a; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline float __frsqrt_rn(float a) { return 1.f / std::sqrt(a); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __saturatef(float x) { return x < 0 ? 0.f : x > 1 ? 1.f : x; }
inline float rsqrtf(float x) { return 1.f / std::sqrt(x); }
inline float rsqrt(float x) { return 1.f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
template <class T> T __ldg(const T* p) { return *p; }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }

namespace standin_kernel {
template <class To, class From> To bits(From x) {
  static_assert(sizeof(To) == sizeof(From));
  To y;
  std::memcpy(&y, &x, sizeof y);
  return y;
}
}  // namespace standin_kernel
inline float __int_as_float(int x) { return standin_kernel::bits<float>(x); }
inline int __float_as_int(float x) { return standin_kernel::bits<int>(x); }
inline float __uint_as_float(unsigned x) { return standin_kernel::bits<float>(x); }
inline unsigned __float_as_uint(float x) { return standin_kernel::bits<unsigned>(x); }
inline double __longlong_as_double(long long x) { return standin_kernel::bits<double>(x); }
inline long long __double_as_longlong(double x) { return standin_kernel::bits<long long>(x); }
inline int __double2hiint(double x) { return int(__double_as_longlong(x) >> 32); }
inline int __double2loint(double x) { return int(__double_as_longlong(x)); }
inline double __hiloint2double(int high, int low) {
  return __longlong_as_double((long long)((unsigned long long)(unsigned)high << 32 | unsigned(low)));
}

// --- the way in --------------------------------------------------------------------------------

namespace {  // of this library alone: another one may have a kernel of the same name
// Makes of a kernel a function that finds its arguments through pointers.
template <auto kernel> struct StandinEntry;
template <class... A, void (*kernel)(A...)> struct StandinEntry<kernel> {
  template <size_t... i> static void call(void** a, std::index_sequence<i...>) {
    kernel(*static_cast<std::remove_cv_t<std::remove_reference_t<A>>*>(a[i])...);
  }
  static void thread(void** a) { call(a, std::index_sequence_for<A...>()); }
  static constexpr size_t sizes[] = {sizeof(A)..., 0};
  static constexpr size_t arguments = sizeof...(A);
};
}  // namespace

#define STANDIN_KERNEL(name, kernel, has_barriers)                                       \
  extern "C" __attribute__((visibility("default"))) const StandinKernel standin_kernel_##name = { \
      StandinEntry<kernel>::thread, StandinEntry<kernel>::sizes, StandinEntry<kernel>::arguments, \
      has_barriers, __start_standin_shared, __stop_standin_shared};
