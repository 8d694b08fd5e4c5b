// What sensor depth and an object's mask say about the splats, as a loss on the images of alpha and weighted depth.
// Depth: Huber of the relative error e = D / d - 1 of the expected depth D = depth / alpha, where the sensor knows d and
// the image is opaque enough for D to mean something. Relative, so that it has no unit and a near surface counts like a
// far one; quadratic below `noise`, so that the sensor's own noise pulls gently. Alpha: |alpha - 1| inside the object,
// alpha outside. Both are sums over pixels divided by the number of pixels that colour counts, so that one pixel of
// geometry weighs against one of colour however few there are. Rows have their own partial sums: same bits for any
// number of threads.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels.h"
#include "pool.h"

namespace scene3d {
namespace SCENE3D_ISA {

constexpr float kOpaqueEnough = 0.5f;  // Smallest alpha at which expected depth is compared.
constexpr double kFewestPixels = 0.01;  // Divisor at least, as a share of the image.

struct GeometryRow {
  double depth = 0, alpha = 0;
};

static GeometryRow geometry_row(const GeometryLossInput& in, int y, float depth_scale, float alpha_scale,
                                GeometryLossOutput& out) {
  GeometryRow sums;
  for (int x = 0; x < in.width; ++x) {
    const size_t i = static_cast<size_t>(y) * in.width + x;
    const float a = in.alpha[i];
    float g_alpha = 0.0f, g_depth = 0.0f;
    const float d = in.sensor_depth == nullptr ? 0.0f : in.sensor_depth[i];
    if (d > 0.0f && a >= kOpaqueEnough) {
      const float ratio = in.depth[i] / (a * d), e = ratio - 1.0f, size = std::abs(e);
      sums.depth += size < in.noise ? 0.5f * e * e / in.noise : size - 0.5f * in.noise;
      const float slope = depth_scale * (size < in.noise ? e / in.noise : e > 0 ? 1.0f : -1.0f);
      g_depth = slope / (a * d);
      g_alpha = -slope * ratio / a;
    }
    if (in.outside != nullptr) {
      const bool outside = in.outside[i] != 0, inside = !outside && (in.valid == nullptr || in.valid[i] != 0);
      if (outside) {
        sums.alpha += a;
        g_alpha += alpha_scale;
      } else if (inside) {
        sums.alpha += 1.0f - a;
        g_alpha -= alpha_scale;
      }
    }
    out.grad_alpha[i] = g_alpha;
    if (out.grad_depth != nullptr) out.grad_depth[i] = g_depth;
  }
  return sums;
}

static void geometry_loss(const GeometryLossInput& in, GeometryLossOutput& out) {
  const size_t pixels = static_cast<size_t>(in.width) * in.height;
  size_t valid = pixels;
  if (in.valid != nullptr) {
    valid = 0;
    for (size_t i = 0; i < pixels; ++i) valid += in.valid[i] != 0;
  }
  const double count = std::max(static_cast<double>(valid), kFewestPixels * static_cast<double>(pixels));
  const float depth_scale = static_cast<float>(in.depth_weight / count);
  const float alpha_scale = static_cast<float>(in.alpha_weight / count);
  std::vector<GeometryRow> rows(in.height);
  parallel_for(in.height, [&](int y, int) { rows[y] = geometry_row(in, y, depth_scale, alpha_scale, out); });
  out.depth = out.alpha = 0.0;
  for (const GeometryRow& row : rows) {
    out.depth += row.depth / count;
    out.alpha += row.alpha / count;
  }
  out.loss = in.depth_weight * out.depth + in.alpha_weight * out.alpha;
}

}  // namespace SCENE3D_ISA
}  // namespace scene3d
