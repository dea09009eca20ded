// float16 as CuPy's headers expect it of CUDA.
#pragma once
#include <cstring>

struct __half_raw {
  unsigned short x;
};

struct __half {
  unsigned short d;
  __half() = default;
  __half(const __half_raw& raw) : d(raw.x) {}
  __half(float x) { store(x); }
  explicit __half(double x) { store(x); }
  explicit __half(bool x) { store(x); }
  explicit __half(int x) { store(x); }
  explicit __half(unsigned x) { store(x); }
  explicit __half(long long x) { store(x); }
  explicit __half(unsigned long long x) { store(x); }
  operator float() const {
    _Float16 x;
    std::memcpy(&x, &d, sizeof d);
    return x;
  }
  operator __half_raw() const { return {d}; }

 private:
  template <class T> void store(T value) {
    _Float16 x = static_cast<_Float16>(value);
    std::memcpy(&d, &x, sizeof d);
  }
};
typedef __half half;

inline unsigned short __half_as_ushort(const __half& x) { return x.d; }
inline __half __ushort_as_half(unsigned short bits) { return __half(__half_raw{bits}); }
