// Sparse Adam [Kingma 2015]: only the rows that a view saw move, and each row counts its own steps, so that the bias
// correction of a splat born late is right.
#pragma once
#include <algorithm>
#include <cmath>

#include "kernels.h"
#include "pool.h"

namespace scene3d {
namespace SCENE3D_ISA {

static inline void adam_row(const AdamGroup& group, size_t from, size_t to, float lr, float beta1, float beta2,
                            float second_scale, float eps) {
  const int n = group.width;
  float* __restrict p = group.param + to * n;
  float* __restrict m = group.first + to * n;
  float* __restrict v = group.second + to * n;
  const float* __restrict g = group.grad + from * n;
  for (int k = 0; k < n; ++k) {
    m[k] += (1.0f - beta1) * (g[k] - m[k]);
    v[k] += (1.0f - beta2) * (g[k] * g[k] - v[k]);
    p[k] -= lr * m[k] / (std::sqrt(v[k] * second_scale) + eps);
  }
}

static void adam(const int32_t* ids, int count, int32_t* steps, const AdamGroup* groups, int group_count, float beta1,
                 float beta2, float eps) {
  const int chunks = (count + kChunk - 1) / kChunk;
  parallel_for(chunks, [&](int chunk, int) {
    const int end = std::min(count, (chunk + 1) * kChunk);
    for (int i = chunk * kChunk; i < end; ++i) {
      const int id = ids[i];
      const int step = ++steps[id];
      const float first = step < 200 ? 1.0f / (1.0f - std::pow(beta1, static_cast<float>(step))) : 1.0f;
      const float second = step < 20000 ? 1.0f / (1.0f - std::pow(beta2, static_cast<float>(step))) : 1.0f;
      for (int k = 0; k < group_count; ++k)
        if (groups[k].lr != 0.0f) adam_row(groups[k], i, id, groups[k].lr * first, beta1, beta2, second, eps);
    }
  });
}

}  // namespace SCENE3D_ISA
}  // namespace scene3d
