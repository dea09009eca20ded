// bfloat16 as CuPy's headers expect it of CUDA: the upper half of a float32.
#pragma once
#include <cstring>

struct __nv_bfloat16 {
  unsigned short d = 0;
  __nv_bfloat16() = default;
  __nv_bfloat16(float x) {
    unsigned bits;
    std::memcpy(&bits, &x, sizeof bits);
    bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    unsigned rounded = bits + 0x7fffu + ((bits >> 16) & 1);  // to nearest, ties to even
    d = is_nan ? 0x7fff : static_cast<unsigned short>(rounded >> 16);
  }
  operator float() const {
    unsigned bits = static_cast<unsigned>(d) << 16;
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
  }
};

inline unsigned short __bfloat16_as_ushort(const __nv_bfloat16& x) { return x.d; }
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) {
  __nv_bfloat16 x;
  x.d = bits;
  return x;
}
