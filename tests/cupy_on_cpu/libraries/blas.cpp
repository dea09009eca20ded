// libhipblas: the products and what CuPy does by BLAS beside them, for float32, float64 and, in
// products, float16. Matrices are column-major, as BLAS has it.
#include <algorithm>
#include <vector>

#include "standin.h"

using standin::Counter;
using standin::submit;
using half = _Float16;

enum { OK = 0, NOT_SUPPORTED = 7 };  // hipblasStatus_t
enum { NOT_TRANSPOSED = 111 };       // hipblasOperation_t
enum { ON_HOST = 0, ON_DEVICE = 1 };  // hipblasPointerMode_t
enum { FLOAT32 = 0, FLOAT64 = 1, FLOAT16 = 2 };  // hipDataType

struct Handle {
  void* stream;
  int pointers;  // where alpha, beta and the results of dot are
};

static int work(Handle* handle, standin::Operation operation) {
  // CuPy for CUDA lets no call of BLAS into a graph (14.2); CuPy for ROCm would.
  if (standin::is_capturing(handle->stream)) return NOT_SUPPORTED;
  return submit(handle->stream, Counter::products, std::move(operation)) ? 14 : OK;
}

// A number that the caller may change or free as soon as the call is back.
template <class T> struct Number {
  const T* address;
  T value;
  bool on_device;
  Number(Handle* handle, const void* given)
      : address(static_cast<const T*>(given)),
        value(handle->pointers == ON_HOST ? *address : T(0)),
        on_device(handle->pointers == ON_DEVICE) {}
  T get() const { return on_device ? *address : value; }
};

template <class T> struct Matrix {
  T* start;
  int leading;
  bool transposed;
  T& operator()(int i, int j) const {
    return transposed ? start[j + size_t(i) * leading] : start[i + size_t(j) * leading];
  }
};

// c = alpha a b + beta c, for the m x n matrix c, summed in the type A.
// Four columns at a time, so that each column of a is read once for them; c is not read when
// beta is 0, since it may be full of NaN.
template <class T, class A>
static void multiply(int m, int n, int k, A alpha, Matrix<const T> a, Matrix<const T> b, A beta,
                     Matrix<T> c) {
  const int COLUMNS = 4, ROWS = 256;
  std::vector<A> panel(size_t(std::min(ROWS, m)) * k), sums(ROWS * COLUMNS), factors(COLUMNS);
  for (int top = 0; top < m; top += ROWS) {
    const int rows = std::min(ROWS, m - top);
    for (int l = 0; l < k; l++) {
      for (int i = 0; i < rows; i++) panel[size_t(l) * rows + i] = A(a(top + i, l));
    }
    for (int left = 0; left < n; left += COLUMNS) {
      const int columns = std::min(COLUMNS, n - left);
      std::fill(sums.begin(), sums.end(), A(0));
      for (int l = 0; l < k; l++) {
        for (int j = 0; j < COLUMNS; j++) factors[j] = j < columns ? A(b(l, left + j)) : A(0);
        const A* __restrict__ column = &panel[size_t(l) * rows];
        const A f0 = factors[0], f1 = factors[1], f2 = factors[2], f3 = factors[3];
        A* __restrict__ s = sums.data();
        for (int i = 0; i < rows; i++) {
          s[i] += column[i] * f0;
          s[i + ROWS] += column[i] * f1;
          s[i + 2 * ROWS] += column[i] * f2;
          s[i + 3 * ROWS] += column[i] * f3;
        }
      }
      for (int j = 0; j < columns; j++) {
        for (int i = 0; i < rows; i++) {
          T& out = c(top + i, left + j);
          const A sum = alpha * sums[j * ROWS + i];
          out = T(beta == A(0) ? sum : sum + beta * A(out));
        }
      }
    }
  }
}

struct Shape {
  int ta, tb, m, n, k;
};

template <class T, class A>
static int batch(Handle* handle, Shape s, const void* alpha, const void* a, int lda, long long sa,
                 const void* b, int ldb, long long sb, const void* beta, void* c, int ldc,
                 long long sc, int count) {
  Number<A> first(handle, alpha), second(handle, beta);
  return work(handle, [=] {
    for (int i = 0; i < count; i++) {
      multiply<T, A>(s.m, s.n, s.k, first.get(),
                     {static_cast<const T*>(a) + i * sa, lda, s.ta != NOT_TRANSPOSED},
                     {static_cast<const T*>(b) + i * sb, ldb, s.tb != NOT_TRANSPOSED},
                     second.get(), {static_cast<T*>(c) + i * sc, ldc, false});
    }
    return standin::SUCCESS;
  });
}

// --- handles -----------------------------------------------------------------------------------

STANDIN_EXPORT int hipblasCreate(Handle** handle) {
  *handle = new Handle{};
  return OK;
}
STANDIN_EXPORT int hipblasDestroy(Handle* handle) {
  delete handle;
  return OK;
}
STANDIN_EXPORT int hipblasSetStream(Handle* handle, void* stream) {
  handle->stream = stream;
  return OK;
}
STANDIN_EXPORT int hipblasGetStream(Handle* handle, void** stream) {
  *stream = handle->stream;
  return OK;
}
STANDIN_EXPORT int hipblasSetPointerMode(Handle* handle, int mode) {
  handle->pointers = mode;
  return OK;
}
STANDIN_EXPORT int hipblasGetPointerMode(Handle* handle, int* mode) {
  *mode = handle->pointers;
  return OK;
}

// --- float32 and float64 by name ---------------------------------------------------------------

#define STANDIN_BLAS(P, T)                                                                        \
  STANDIN_EXPORT int hipblas##P##gemm(Handle* h, int ta, int tb, int m, int n, int k,             \
                                      const T* alpha, const T* a, int lda, const T* b, int ldb,   \
                                      const T* beta, T* c, int ldc) {                             \
    return batch<T, T>(h, {ta, tb, m, n, k}, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0, 1);    \
  }                                                                                               \
  STANDIN_EXPORT int hipblas##P##gemmStridedBatched(                                              \
      Handle* h, int ta, int tb, int m, int n, int k, const T* alpha, const T* a, int lda,        \
      long long sa, const T* b, int ldb, long long sb, const T* beta, T* c, int ldc,              \
      long long sc, int count) {                                                                  \
    return batch<T, T>(h, {ta, tb, m, n, k}, alpha, a, lda, sa, b, ldb, sb, beta, c, ldc, sc,     \
                       count);                                                                    \
  }                                                                                               \
  STANDIN_EXPORT int hipblas##P##gemmBatched(                                                     \
      Handle* h, int ta, int tb, int m, int n, int k, const T* alpha, const T* const* a, int lda, \
      const T* const* b, int ldb, const T* beta, T* const* c, int ldc, int count) {               \
    Number<T> first(h, alpha), second(h, beta);                                                   \
    return work(h, [=] {                                                                          \
      for (int i = 0; i < count; i++) {                                                           \
        multiply<T, T>(m, n, k, first.get(), {a[i], lda, ta != NOT_TRANSPOSED},                   \
                       {b[i], ldb, tb != NOT_TRANSPOSED}, second.get(), {c[i], ldc, false});      \
      }                                                                                           \
      return standin::SUCCESS;                                                                    \
    });                                                                                           \
  }                                                                                               \
  STANDIN_EXPORT int hipblas##P##gemv(Handle* h, int ta, int m, int n, const T* alpha,            \
                                      const T* a, int lda, const T* x, int stepx, const T* beta,  \
                                      T* y, int stepy) {                                          \
    bool t = ta != NOT_TRANSPOSED; /* x and y as matrices of one row, read transposed */          \
    return batch<T, T>(h, {ta, 112, t ? n : m, 1, t ? m : n}, alpha, a, lda, 0, x, stepx, 0,      \
                       beta, y, stepy, 0, 1);                                                     \
  }                                                                                               \
  STANDIN_EXPORT int hipblas##P##geam(Handle* h, int ta, int tb, int m, int n, const T* alpha,    \
                                      const T* a, int lda, const T* beta, const T* b, int ldb,    \
                                      T* c, int ldc) {                                            \
    Number<T> first(h, alpha), second(h, beta);                                                   \
    return work(h, [=] {                                                                          \
      Matrix<const T> A{a, lda, ta != NOT_TRANSPOSED}, B{b, ldb, tb != NOT_TRANSPOSED};           \
      T p = first.get(), q = second.get();                                                        \
      for (int j = 0; j < n; j++) {                                                               \
        for (int i = 0; i < m; i++) {                                                             \
          c[i + size_t(j) * ldc] = (p ? p * A(i, j) : T(0)) + (q ? q * B(i, j) : T(0));           \
        }                                                                                         \
      }                                                                                           \
      return standin::SUCCESS;                                                                    \
    });                                                                                           \
  }                                                                                               \
  STANDIN_EXPORT int hipblas##P##dot(Handle* h, int n, const T* x, int stepx, const T* y,         \
                                     int stepy, T* out) {                                         \
    int status = work(h, [=] {                                                                    \
      T sum = 0;                                                                                  \
      for (int i = 0; i < n; i++) sum += x[size_t(i) * stepx] * y[size_t(i) * stepy];             \
      *out = sum;                                                                                 \
      return standin::SUCCESS;                                                                    \
    });                                                                                           \
    if (h->pointers == ON_HOST) standin::drain();                                                 \
    return status;                                                                                \
  }                                                                                               \
  STANDIN_EXPORT int hipblas##P##ger(Handle* h, int m, int n, const T* alpha, const T* x,         \
                                     int stepx, const T* y, int stepy, T* a, int lda) {           \
    Number<T> factor(h, alpha);                                                                   \
    return work(h, [=] {                                                                          \
      for (int j = 0; j < n; j++) {                                                               \
        for (int i = 0; i < m; i++) {                                                             \
          a[i + size_t(j) * lda] += factor.get() * x[size_t(i) * stepx] * y[size_t(j) * stepy];   \
        }                                                                                         \
      }                                                                                           \
      return standin::SUCCESS;                                                                    \
    });                                                                                           \
  }
STANDIN_BLAS(S, float)
STANDIN_BLAS(D, double)

// --- products by data type ---------------------------------------------------------------------

STANDIN_EXPORT int hipblasGemmStridedBatchedEx(Handle* h, int ta, int tb, int m, int n, int k,
                                               const void* alpha, const void* a, int type_a,
                                               int lda, long long sa, const void* b, int type_b,
                                               int ldb, long long sb, const void* beta, void* c,
                                               int type_c, int ldc, long long sc, int count, int,
                                               int) {
  if (type_a != type_b || type_b != type_c) return NOT_SUPPORTED;
  auto run = type_a == FLOAT32   ? batch<float, float>
             : type_a == FLOAT64 ? batch<double, double>
             : type_a == FLOAT16 ? batch<half, float>
                                 : nullptr;
  if (!run) return NOT_SUPPORTED;
  return run(h, {ta, tb, m, n, k}, alpha, a, lda, sa, b, ldb, sb, beta, c, ldc, sc, count);
}

STANDIN_EXPORT int hipblasGemmEx(Handle* h, int ta, int tb, int m, int n, int k,
                                 const void* alpha, const void* a, int type_a, int lda,
                                 const void* b, int type_b, int ldb, const void* beta, void* c,
                                 int type_c, int ldc, int compute, int algorithm) {
  return hipblasGemmStridedBatchedEx(h, ta, tb, m, n, k, alpha, a, type_a, lda, 0, b, type_b, ldb,
                                     0, beta, c, type_c, ldc, 0, 1, compute, algorithm);
}
