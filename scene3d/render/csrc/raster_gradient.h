// Stage 4: the gradient of the blending. Each tile is walked front to back once more with the same arithmetic, so that
// transmittances repeat bit for bit; what is still to come behind a splat is the remaining inner product of image and
// gradient. Every (splat, tile) pair owns one row of the buffer: no atomics, and the sum over a splat's rows has a fixed
// order. With power = -q / 2, alpha = opacity e^power and s = dL/dpower a row holds the moments
//   sum s dx, sum s dy, sum s dx^2, sum s dx dy, sum s dy^2, dL/dopacity, dL/dr, dL/dg, dL/db, dL/dz, score, features...
#pragma once
#include <algorithm>
#include <vector>

#include "raster.h"

namespace scene3d {
namespace SCENE3D_ISA {

constexpr int kRow = 11;  // Floats per row before the features.

struct GradientPlanes {
  alignas(64) float r[kTilePixels], g[kTilePixels], b[kTilePixels], alpha[kTilePixels];
  alignas(64) float depth[kTilePixels], score[kTilePixels];
  alignas(64) float T[kTilePixels], rest[kTilePixels];
  std::vector<float> features;
};

// Reads the gradients of a tile into block order; `rest` starts as <gradient, image>, the whole of what is to come.
template <bool kDepth, bool kScore, bool kFeatures>
static void load_planes(const View& view, const Tile& tile, const Images& image, const ImageGradients& grad,
                        int feature_count, GradientPlanes& p) {
  for (float* plane : {p.r, p.g, p.b, p.alpha, p.rest}) std::fill(plane, plane + kTilePixels, 0.0f);
  if (kDepth) std::fill(p.depth, p.depth + kTilePixels, 0.0f);
  if (kScore) std::fill(p.score, p.score + kTilePixels, 0.0f);
  if (kFeatures) p.features.assign(static_cast<size_t>(feature_count) * kTilePixels, 0.0f);
  std::fill(p.T, p.T + kTilePixels, -1.0f);
  for (int y = 0; y < tile.height; ++y) {
    const size_t row = static_cast<size_t>(tile.y0 + y) * view.width + tile.x0;
    for (int x = 0; x < tile.width; ++x) {
      const int at = Tile::slot(x, y);
      const size_t i = row + x;
      p.T[at] = 1.0f;
      p.r[at] = grad.rgb[3 * i];
      p.g[at] = grad.rgb[3 * i + 1];
      p.b[at] = grad.rgb[3 * i + 2];
      float rest = p.r[at] * image.rgb[3 * i] + p.g[at] * image.rgb[3 * i + 1] + p.b[at] * image.rgb[3 * i + 2];
      if (grad.alpha != nullptr) {
        p.alpha[at] = grad.alpha[i];
        rest += grad.alpha[i] * image.alpha[i];
      }
      if (kDepth) {
        p.depth[at] = grad.depth[i];
        rest += grad.depth[i] * image.depth[i];
      }
      if (kScore) p.score[at] = grad.score[i];
      if (kFeatures)
        for (int k = 0; k < feature_count; ++k) {
          const float g = grad.features[i * feature_count + k];
          p.features[static_cast<size_t>(k) * kTilePixels + at] = g;
          rest += g * image.features[i * feature_count + k];
        }
      p.rest[at] = rest;
    }
  }
}

template <bool kDepth, bool kScore, bool kFeatures>
static void raster_tile_gradient(const View& view, const State& state, int index, const float* features,
                                 int feature_count, GradientPlanes& p, float* rows) {
  const Tile tile(view, state, index);
  const vf lx = lane_x(), ly = lane_y(), zero = splat(0.0f);
  const int width = kRow + feature_count;
  std::vector<vf> dfeature(kFeatures ? feature_count : 0);
  Spans spans;
  const int end = state.tile_stop[index];
  for (int entry = state.tile_begin[index]; entry < end; ++entry) {
    const Record& r = state.records[state.entries[entry].record];
    if (entry + 2 < end) __builtin_prefetch(&state.records[state.entries[entry + 2].record]);
    find_spans(r, tile, spans);
    const Footprint f(r);
    const vf dx0 = lx + (tile.x0 + 0.5f - r.mx), dy0 = ly + (tile.y0 + 0.5f - r.my);
    const float* feature = kFeatures ? features + static_cast<size_t>(r.id) * feature_count : nullptr;
    vf sx = zero, sy = zero, sxx = zero, sxy = zero, syy = zero, so = zero, sr = zero, sg = zero, sb = zero, sz = zero,
       ss = zero;
    for (vf& v : dfeature) v = zero;
    for (int band = spans.first_band; band <= spans.last_band; ++band) {
      const vf dy = dy0 + static_cast<float>(band * kBand);
      const vf row_b = f.b * dy, row_c = f.c * dy * dy;
      for (int block = spans.begin[band]; block < spans.end[band]; ++block) {
        const int at = (band * kBlocksX + block) * W;
        const vf dx = dx0 + static_cast<float>(block * 4);
        const vf power = vmin(dx * (f.a * dx + row_b) + row_c, zero);
        const vf weight = exp2_lanes(power);
        const vf raw = f.opacity * weight;
        const vf alpha = vmin(raw, splat(kAlphaMax));
        const vf t = load(p.T + at);
        const vi hit = (alpha >= kAlphaMin) & (t > 0.0f);
        const vf next = t - alpha * t;
        const vi stop = hit & (next <= kTransmittanceMin);
        const vi take = hit & (next > kTransmittanceMin);
        const vf w = take ? alpha * t : zero;
        store(p.T + at, take ? next : (stop ? -t : t));
        const vf gr = load(p.r + at), gg = load(p.g + at), gb = load(p.b + at);
        vf inner = gr * r.r + gg * r.g + gb * r.b + load(p.alpha + at);
        if (kDepth) inner += load(p.depth + at) * r.z;
        if (kFeatures)
          for (int k = 0; k < feature_count; ++k) {
            const vf g = load(p.features.data() + static_cast<size_t>(k) * kTilePixels + at);
            inner += g * feature[k];
            dfeature[k] += w * g;
          }
        const vf rest = load(p.rest + at) - w * inner;
        store(p.rest + at, rest);
        sr += w * gr;
        sg += w * gg;
        sb += w * gb;
        if (kDepth) sz += w * load(p.depth + at);
        if (kScore) ss += w * load(p.score + at);
        const vf dalpha = t * inner - rest / (1.0f - alpha);
        const vf o = take & (raw <= kAlphaMax) ? dalpha * weight : zero;  // No gradient through the clamp.
        so += o;
        const vf s = o * f.opacity;
        const vf s_dx = s * dx, s_dy = s * dy;
        sx += s_dx;
        sy += s_dy;
        sxx += s_dx * dx;
        sxy += s_dx * dy;
        syy += s_dy * dy;
      }
    }
    float* row = rows + static_cast<size_t>(state.entries[entry].row) * width;
    row[0] = sum(sx);
    row[1] = sum(sy);
    row[2] = sum(sxx);
    row[3] = sum(sxy);
    row[4] = sum(syy);
    row[5] = sum(so);
    row[6] = sum(sr);
    row[7] = sum(sg);
    row[8] = sum(sb);
    row[9] = kDepth ? sum(sz) : 0.0f;
    row[10] = kScore ? sum(ss) : 0.0f;
    for (int k = 0; k < feature_count; ++k) row[kRow + k] = kFeatures ? sum(dfeature[k]) : 0.0f;
  }
  for (int entry = end; entry < state.tile_begin[index + 1]; ++entry) {
    float* row = rows + static_cast<size_t>(state.entries[entry].row) * width;
    std::fill(row, row + width, 0.0f);
  }
}

static void raster_gradient(const View& view, const State& state, const float* features, int feature_count,
                            const Images& image, const ImageGradients& grad, std::vector<float>& rows) {
  const size_t needed = state.entries.size() * (kRow + feature_count);
  if (rows.size() < needed) rows.resize(needed);
  std::vector<GradientPlanes> planes(thread_count());
  const auto run = [&](auto depth, auto score, auto with_features) {
    parallel_for(state.tiles_x * state.tiles_y, [&](int index, int worker) {
      GradientPlanes& p = planes[worker];
      load_planes<depth.value, score.value, with_features.value>(view, Tile(view, state, index), image, grad,
                                                                 feature_count, p);
      raster_tile_gradient<depth.value, score.value, with_features.value>(view, state, index, features, feature_count,
                                                                          p, rows.data());
    });
  };
  const std::true_type yes;
  const std::false_type no;
  if (grad.features != nullptr) grad.depth != nullptr ? run(yes, no, yes) : run(no, no, yes);
  else if (grad.score != nullptr) grad.depth != nullptr ? run(yes, yes, no) : run(no, yes, no);
  else grad.depth != nullptr ? run(yes, no, no) : run(no, no, no);
}

}  // namespace SCENE3D_ISA
}  // namespace scene3d
