// libhiprand: random numbers of the right kind, but not cuRAND's.
#include <random>

#include "standin.h"

using standin::Counter;
using standin::submit;

enum { OK = 0, LENGTH_NOT_MULTIPLE = 105, LAUNCH_FAILURE = 201 };  // hiprandStatus_t

struct Generator {
  std::mt19937_64 engine;
  unsigned long long seed = 0;
  void* stream = nullptr;
};

template <class T, class Draw> static int fill(Generator* g, T* out, size_t n, Draw draw) {
  bool failed = submit(g->stream, Counter::launches, [=]() mutable {
    for (size_t i = 0; i < n; i++) out[i] = T(draw(g->engine));
    return standin::SUCCESS;
  });
  return failed ? LAUNCH_FAILURE : OK;
}

STANDIN_EXPORT int hiprandCreateGenerator(Generator** g, int) {
  *g = new Generator;
  return OK;
}
STANDIN_EXPORT int hiprandDestroyGenerator(Generator* g) {
  standin::drain();
  delete g;
  return OK;
}
STANDIN_EXPORT int hiprandSetStream(Generator* g, void* stream) {
  g->stream = stream;
  return OK;
}
STANDIN_EXPORT int hiprandGetVersion(int* version) {
  *version = 201000;
  return OK;
}
STANDIN_EXPORT int hiprandSetPseudoRandomGeneratorSeed(Generator* g, unsigned long long seed) {
  standin::drain();
  g->seed = seed;
  g->engine.seed(seed);
  return OK;
}
STANDIN_EXPORT int hiprandSetGeneratorOffset(Generator* g, unsigned long long offset) {
  standin::drain();
  g->engine.seed(g->seed);
  g->engine.discard(offset);
  return OK;
}
STANDIN_EXPORT int hiprandGenerate(Generator* g, unsigned* out, size_t n) {
  return fill(g, out, n, [](std::mt19937_64& engine) { return unsigned(engine()); });
}
STANDIN_EXPORT int hiprandGeneratePoisson(Generator* g, unsigned* out, size_t n, double mean) {
  return fill(g, out, n, std::poisson_distribution<unsigned>(mean));
}

#define STANDIN_RANDOM(SUFFIX, T)                                                             \
  STANDIN_EXPORT int hiprandGenerateUniform##SUFFIX(Generator* g, T* out, size_t n) {         \
    /* from 0, excluded, to 1, included */                                                    \
    return fill(g, out, n, [](std::mt19937_64& engine) {                                      \
      return T(1) - std::generate_canonical<T, 53>(engine);                                   \
    });                                                                                       \
  }                                                                                           \
  STANDIN_EXPORT int hiprandGenerateNormal##SUFFIX(Generator* g, T* out, size_t n, T mean,    \
                                                   T deviation) {                             \
    if (n % 2) return LENGTH_NOT_MULTIPLE;                                                    \
    return fill(g, out, n, std::normal_distribution<T>(mean, deviation));                     \
  }                                                                                           \
  STANDIN_EXPORT int hiprandGenerateLogNormal##SUFFIX(Generator* g, T* out, size_t n, T mean, \
                                                      T deviation) {                          \
    return fill(g, out, n, std::lognormal_distribution<T>(mean, deviation));                  \
  }
STANDIN_RANDOM(, float)
STANDIN_RANDOM(Double, double)
