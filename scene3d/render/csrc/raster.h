// Stage 3: alpha blending, parallel over tiles. A tile keeps its pixels in blocks of W (4 wide, W / 4 tall), so that one
// block is one register. A splat visits, in each band of W / 4 rows, exactly the blocks that its ellipse reaches; the
// spans of all bands are computed at once. A pixel that has stopped carries its transmittance with a minus sign.
#pragma once
#include <algorithm>
#include <vector>

#include "kernels.h"
#include "lanes.h"
#include "pool.h"

namespace scene3d {
namespace SCENE3D_ISA {

constexpr int kBand = W / 4;                   // Rows of a block.
constexpr int kBlocksX = kTile / 4;            // Blocks per band.
constexpr int kBands = kTile / kBand;          // Bands per tile.
constexpr int kTilePixels = kTile * kTile;
constexpr float kLog2e = 1.44269504f;

struct Tile {
  int x0, y0, width, height;  // Origin and the part inside the image [px].
  Tile(const View& view, const State& state, int index)
      : x0(index % state.tiles_x * kTile), y0(index / state.tiles_x * kTile),
        width(std::min(kTile, view.width - x0)), height(std::min(kTile, view.height - y0)) {}
  // Position of pixel (x, y) of the tile in block order.
  static int slot(int x, int y) { return (y / kBand * kBlocksX + x / 4) * W + (y % kBand) * 4 + x % 4; }
};

// Pixel offsets of the lanes of a block.
static inline vf lane_x() {
  vf v;
  for (int i = 0; i < W; ++i) v[i] = static_cast<float>(i % 4);
  return v;
}
static inline vf lane_y() {
  vf v;
  for (int i = 0; i < W; ++i) v[i] = static_cast<float>(i / 4);
  return v;
}

struct Spans {
  int first_band, last_band;
  alignas(64) int32_t begin[kBands + W], end[kBands + W];  // Blocks [begin, end) of each band.
};

// Blocks of the tile that the splat reaches.
static inline void find_spans(const Record& r, const Tile& tile, Spans& out) {
  const float slack = 1e-2f;
  const float mx = r.mx - tile.x0 - 0.5f, my = r.my - tile.y0 - 0.5f;  // Pixel centres are now integers.
  const float top = std::max(my - r.ry - slack, 0.0f), bottom = std::min(my + r.ry + slack, tile.height - 1.0f);
  out.first_band = static_cast<int>(top) / kBand;
  out.last_band = bottom < 0.0f ? -1 : static_cast<int>(bottom) / kBand;
  vf index;
  for (int i = 0; i < W; ++i) index[i] = static_cast<float>(i);
  const vf zero = splat(0.0f), last_x = splat(tile.width - 1.0f);
  for (int band = out.first_band; band <= out.last_band; band += W) {
    const vf row = (index + static_cast<float>(band)) * static_cast<float>(kBand);
    const vf low = vmax(row, splat(top)) - my, high = vmin(row + (kBand - 1.0f), splat(bottom)) - my;
    const vf dr = vmin(vmax(splat(r.dy_right), low), high), dl = vmin(vmax(splat(-r.dy_right), low), high);
    const vf right = mx - r.k1 * dr + vsqrt(vmax(r.k0 - r.k2 * dr * dr, zero)) + slack;
    const vf left = mx - r.k1 * dl - vsqrt(vmax(r.k0 - r.k2 * dl * dl, zero)) - slack;
    const vi end = __builtin_convertvector(vmin(right, last_x) + 1.0f, vi);  // Truncation: right in [-1, 0) gives 0.
    const vi begin = __builtin_convertvector(vmax(left, zero), vi);
    const vi stop = (end + 3) >> 2;
    const vi first = begin >> 2;
    std::memcpy(out.begin + band, &first, sizeof(vi));
    std::memcpy(out.end + band, &stop, sizeof(vi));
  }
}

// exp(-q / 2) as 2^(dx (a dx + b) + c), with the row-dependent parts hoisted.
struct Footprint {
  float a, b, c, opacity;
  explicit Footprint(const Record& r)
      : a(-0.5f * kLog2e * r.A), b(-kLog2e * r.B), c(-0.5f * kLog2e * r.C), opacity(r.opacity) {}
};

template <bool kDepth, bool kFeatures>
static int raster_tile(const View& view, const State& state, int index, const float* features, int feature_count,
                       float* feature_planes, const Images& out) {
  const Tile tile(view, state, index);
  alignas(64) float T[kTilePixels], R[kTilePixels], G[kTilePixels], B[kTilePixels], D[kDepth ? kTilePixels : W];
  const vf lx = lane_x(), ly = lane_y();
  for (int i = 0; i < kTilePixels; ++i) R[i] = G[i] = B[i] = 0.0f;
  if (kDepth) std::fill(D, D + kTilePixels, 0.0f);
  if (kFeatures) std::fill(feature_planes, feature_planes + static_cast<size_t>(feature_count) * kTilePixels, 0.0f);
  std::fill(T, T + kTilePixels, -1.0f);  // Pixels outside the image never start.
  for (int y = 0; y < tile.height; ++y)
    for (int x = 0; x < tile.width; ++x) T[Tile::slot(x, y)] = 1.0f;

  const int begin = state.tile_begin[index], end = state.tile_begin[index + 1];
  int entry = begin;
  Spans spans;
  for (; entry < end; ++entry) {
    if (((entry - begin) & 31) == 31) {
      vf open = load(T);
      for (int i = W; i < kTilePixels; i += W) open = vmax(open, load(T + i));
      bool any = false;
      for (int i = 0; i < W; ++i) any |= open[i] > 0.0f;
      if (!any) break;
    }
    const Record& r = state.records[state.entries[entry].record];
    if (entry + 2 < end) __builtin_prefetch(&state.records[state.entries[entry + 2].record]);
    find_spans(r, tile, spans);
    const Footprint f(r);
    const vf dx0 = lx + (tile.x0 + 0.5f - r.mx), dy0 = ly + (tile.y0 + 0.5f - r.my);
    const float* feature = kFeatures ? features + static_cast<size_t>(r.id) * feature_count : nullptr;
    for (int band = spans.first_band; band <= spans.last_band; ++band) {
      const vf dy = dy0 + static_cast<float>(band * kBand);
      const vf row_b = f.b * dy, row_c = f.c * dy * dy;
      for (int block = spans.begin[band]; block < spans.end[band]; ++block) {
        const int at = (band * kBlocksX + block) * W;
        const vf dx = dx0 + static_cast<float>(block * 4);
        const vf power = vmin(dx * (f.a * dx + row_b) + row_c, splat(0.0f));
        const vf alpha = vmin(f.opacity * exp2_lanes(power), splat(kAlphaMax));
        const vf t = load(T + at);
        const vi hit = (alpha >= kAlphaMin) & (t > 0.0f);
        const vf next = t - alpha * t;
        const vi stop = hit & (next <= kTransmittanceMin);
        const vi take = hit & (next > kTransmittanceMin);
        const vf w = take ? alpha * t : splat(0.0f);
        store(T + at, take ? next : (stop ? -t : t));
        store(R + at, load(R + at) + w * r.r);
        store(G + at, load(G + at) + w * r.g);
        store(B + at, load(B + at) + w * r.b);
        if (kDepth) store(D + at, load(D + at) + w * r.z);
        if (kFeatures)
          for (int k = 0; k < feature_count; ++k) {
            float* plane = feature_planes + static_cast<size_t>(k) * kTilePixels + at;
            store(plane, load(plane) + w * feature[k]);
          }
      }
    }
  }
  for (int y = 0; y < tile.height; ++y) {
    const size_t row = static_cast<size_t>(tile.y0 + y) * view.width + tile.x0;
    for (int x = 0; x < tile.width; ++x) {
      const int at = Tile::slot(x, y);
      out.rgb[3 * (row + x)] = R[at];
      out.rgb[3 * (row + x) + 1] = G[at];
      out.rgb[3 * (row + x) + 2] = B[at];
      out.alpha[row + x] = 1.0f - std::abs(T[at]);
      if (kDepth) out.depth[row + x] = D[at];
      if (kFeatures)
        for (int k = 0; k < feature_count; ++k)
          out.features[(row + x) * feature_count + k] = feature_planes[static_cast<size_t>(k) * kTilePixels + at];
    }
  }
  return entry;
}

static void raster(const View& view, State& state, const float* features, int feature_count, const Images& out) {
  const int tiles = state.tiles_x * state.tiles_y;
  state.tile_stop.resize(tiles);
  std::vector<std::vector<float>> planes(out.features != nullptr ? thread_count() : 0);
  for (auto& p : planes) p.resize(static_cast<size_t>(feature_count) * kTilePixels);
  const auto run = [&](auto depth, auto with_features) {
    parallel_for(tiles, [&](int tile, int worker) {
      state.tile_stop[tile] = raster_tile<depth.value, with_features.value>(
          view, state, tile, features, feature_count, with_features.value ? planes[worker].data() : nullptr, out);
    });
  };
  const std::true_type yes;
  const std::false_type no;
  if (out.features != nullptr) out.depth != nullptr ? run(yes, yes) : run(no, yes);
  else out.depth != nullptr ? run(yes, no) : run(no, no);
}

}  // namespace SCENE3D_ISA
}  // namespace scene3d
