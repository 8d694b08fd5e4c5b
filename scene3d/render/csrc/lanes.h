// SIMD lanes through the compilers' vector extensions: one source, lowered to AVX-512, AVX2, SSE or NEON by flags.
// Comparisons give integer lanes of 0 or -1, which `mask ? a : b` blends.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace scene3d {
namespace SCENE3D_ISA {

#if defined(__AVX512F__)
constexpr int W = 16;
#elif defined(__AVX__)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif

typedef float vf __attribute__((vector_size(W * 4)));
typedef int32_t vi __attribute__((vector_size(W * 4)));

static inline vf splat(float x) { return x - vf{}; }
static inline vf load(const float* p) {
  vf v;
  std::memcpy(&v, p, sizeof(vf));
  return v;
}
static inline void store(float* p, vf v) { std::memcpy(p, &v, sizeof(vf)); }
static inline vf vmax(vf a, vf b) { return a > b ? a : b; }
static inline vf vmin(vf a, vf b) { return a < b ? a : b; }
static inline vf clamp(vf x, vf low, vf high) { return vmin(vmax(x, low), high); }
static inline vf vsqrt(vf x) {
#if defined(__AVX512F__)
  return (vf)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX__)
  return (vf)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE2__)
  return (vf)_mm_sqrt_ps((__m128)x);
#endif
  vf y;
  for (int i = 0; i < W; ++i) y[i] = std::sqrt(x[i]);
  return y;
}
static inline float sum(vf v) {
  // A fixed tree, so that the order of additions is part of the source.
  float a[W];
  store(a, v);
  for (int step = W / 2; step > 0; step /= 2)
    for (int i = 0; i < step; ++i) a[i] += a[i + step];
  return a[0];
}

// 2^y for |y| <= 126 (clamped), relative error 2e-7: round to nearest by the magic-number trick, then a polynomial on
// [-1/2, 1/2] and an addition to the exponent bits.
static inline vf exp2_lanes(vf y) {
  const float magic = 12582912.0f;  // 1.5 * 2^23
  y = clamp(y, splat(-126.0f), splat(126.0f));
  const vf rounded = y + magic;
  const vf f = y - (rounded - magic);
  vf p = 1.5403530e-4f * f + 1.3333558e-3f;
  p = p * f + 9.6181291e-3f;
  p = p * f + 5.5504109e-2f;
  p = p * f + 2.4022651e-1f;
  p = p * f + 6.9314718e-1f;
  p = p * f + 1.0f;
  const vi n = (vi)rounded << 23;  // The low bits of `rounded` hold the integer; the shift drops the rest.
  return (vf)((vi)p + n);
}
static inline vf exp_lanes(vf x) { return exp2_lanes(x * 1.44269504f); }

}  // namespace SCENE3D_ISA
}  // namespace scene3d
