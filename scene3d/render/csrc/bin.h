// Stage 2: depth order and tile lists. A radix sort of the depths, then every splat is entered into exactly the tiles
// whose pixel centres its ellipse reaches, found from its span over each row of tiles. Work is cut into fixed chunks of
// the sorted list, so each tile's list is in depth order whatever the number of threads.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels.h"
#include "pool.h"

namespace scene3d {
namespace SCENE3D_ISA {

constexpr float kSlack = 1e-2f;  // [px] Rounding of the span must not lose a pixel; the alpha test decides exactly.

static void sort_by_depth(State& state) {
  std::vector<uint32_t> keys;
  std::vector<uint32_t>& order = state.order;
  order.clear();
  for (size_t chunk = 0; chunk < state.chunk_count.size(); ++chunk)
    for (int k = 0; k < state.chunk_count[chunk]; ++k) order.push_back(static_cast<uint32_t>(chunk * kChunk + k));
  const size_t n = order.size();
  keys.resize(n);
  for (size_t i = 0; i < n; ++i) std::memcpy(&keys[i], &state.records[order[i]].z, 4);  // Positive: bits sort as values.
  std::vector<uint32_t> keys2(n), order2(n);
  for (int shift = 0; shift < 32; shift += 11) {
    uint32_t begin[2048] = {0};
    for (size_t i = 0; i < n; ++i) ++begin[(keys[i] >> shift) & 2047u];
    uint32_t total = 0;
    for (uint32_t& b : begin) {
      const uint32_t count = b;
      b = total;
      total += count;
    }
    for (size_t i = 0; i < n; ++i) {
      const uint32_t to = begin[(keys[i] >> shift) & 2047u]++;
      keys2[to] = keys[i];
      order2[to] = order[i];
    }
    keys.swap(keys2);
    order.swap(order2);
  }
}

// Calls visit(tile) for each tile that the splat touches, in increasing order.
template <typename Visit>
static inline void for_each_tile(const Record& r, const View& view, int tiles_x, Visit&& visit) {
  const int row0 = std::max(0, static_cast<int>(std::ceil(std::max(r.my - r.ry - kSlack - 0.5f, -1.0f))));
  const int row1 = static_cast<int>(std::min(r.my + r.ry + kSlack - 0.5f, view.height - 0.5f));
  if (r.my + r.ry + kSlack < 0.5f) return;
  for (int ty = row0 / kTile; ty <= row1 / kTile; ++ty) {
    const float low = std::max(ty * kTile, row0) + 0.5f - r.my, high = std::min(ty * kTile + kTile - 1, row1) + 0.5f - r.my;
    if (low > high) continue;
    const float dr = std::min(std::max(r.dy_right, low), high), dl = std::min(std::max(-r.dy_right, low), high);
    const float sr = std::sqrt(std::max(r.k0 - r.k2 * dr * dr, 0.0f)), sl = std::sqrt(std::max(r.k0 - r.k2 * dl * dl, 0.0f));
    const float right = r.mx - r.k1 * dr + sr + kSlack - 0.5f, left = r.mx - r.k1 * dl - sl - kSlack - 0.5f;
    if (right < 0.0f || left > view.width - 1.0f) continue;
    const int x0 = std::max(0, static_cast<int>(std::ceil(std::max(left, 0.0f))));
    const int x1 = static_cast<int>(std::min(right, view.width - 1.0f));
    if (x0 > x1) continue;
    for (int tx = x0 / kTile; tx <= x1 / kTile; ++tx) visit(ty * tiles_x + tx);
  }
}

static void bin(const View& view, State& state) {
  state.tiles_x = (view.width + kTile - 1) / kTile;
  state.tiles_y = (view.height + kTile - 1) / kTile;
  const int tiles = state.tiles_x * state.tiles_y;
  const int n = state.visible();
  const int chunk_size = std::max(2048, (n + 63) / 64);
  const int chunks = (n + chunk_size - 1) / chunk_size;
  state.first_row.resize(state.records.size());
  state.rows.resize(state.records.size());
  std::vector<int32_t> counts(static_cast<size_t>(chunks) * tiles, 0);
  std::vector<uint32_t> chunk_rows(chunks + 1, 0);
  const auto each = [&](int chunk, auto&& body) {
    const int end = std::min(n, (chunk + 1) * chunk_size);
    for (int i = chunk * chunk_size; i < end; ++i) body(state.order[i]);
  };
  parallel_for(chunks, [&](int chunk, int) {
    int32_t* count = counts.data() + static_cast<size_t>(chunk) * tiles;
    uint32_t total = 0;
    each(chunk, [&](uint32_t index) {
      uint32_t touched = 0;
      for_each_tile(state.records[index], view, state.tiles_x, [&](int tile) {
        ++count[tile];
        ++touched;
      });
      state.rows[index] = touched;
      total += touched;
    });
    chunk_rows[chunk + 1] = total;
  });
  for (int chunk = 0; chunk < chunks; ++chunk) chunk_rows[chunk + 1] += chunk_rows[chunk];
  state.tile_begin.resize(tiles + 1);
  int32_t total = 0;
  for (int tile = 0; tile < tiles; ++tile) {
    state.tile_begin[tile] = total;
    for (int chunk = 0; chunk < chunks; ++chunk) {
      int32_t& slot = counts[static_cast<size_t>(chunk) * tiles + tile];
      const int32_t count = slot;
      slot = total;
      total += count;
    }
  }
  state.tile_begin[tiles] = total;
  state.entries.resize(total);
  parallel_for(chunks, [&](int chunk, int) {
    int32_t* next = counts.data() + static_cast<size_t>(chunk) * tiles;
    uint32_t row = chunk_rows[chunk];
    each(chunk, [&](uint32_t index) {
      state.first_row[index] = row;
      for_each_tile(state.records[index], view, state.tiles_x,
                    [&](int tile) { state.entries[next[tile]++] = {index, row++}; });
    });
  });
}

}  // namespace SCENE3D_ISA
}  // namespace scene3d
