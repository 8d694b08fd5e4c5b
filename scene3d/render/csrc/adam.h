// Sparse Adam [Kingma 2015]: only the rows that a view saw move, and each row counts its own steps, so that the bias
// correction of a splat born late is right. Beside it, the two other loops over visible splats that a fit needs.
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

// Adds the gradients of the two penalties to the compact gradients: weight * mean(sigmoid(logit)) and
// weight * mean(exp(log scale)), both already divided by their counts.
static void penalize(const int32_t* ids, int count, const float* logits, const float* log_scales, float opacity_weight,
                     float scale_weight, float* grad_logits, float* grad_scales) {
  const int chunks = (count + kChunk - 1) / kChunk;
  parallel_for(chunks, [&](int chunk, int) {
    const int end = std::min(count, (chunk + 1) * kChunk);
    for (int i = chunk * kChunk; i < end; ++i) {
      const size_t id = ids[i];
      const float opacity = 1.0f / (1.0f + std::exp(-logits[id]));
      grad_logits[i] += opacity_weight * opacity * (1.0f - opacity);
      for (int k = 0; k < 3; ++k) grad_scales[3 * i + k] += scale_weight * std::exp(log_scales[3 * id + k]);
    }
  });
}

// Adds what one view saw to the statistics of density control.
static void collect(const int32_t* ids, int count, const float* screen, const float* score, float screen_factor,
                    float* seen, float* pull, float* covered) {
  for (int i = 0; i < count; ++i) {
    const size_t id = ids[i];
    seen[id] += 1.0f;
    pull[id] += screen[i] * screen_factor;
    covered[id] += score[i];
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
