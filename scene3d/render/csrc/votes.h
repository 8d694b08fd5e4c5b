// Which labels a splat shows: the sum over pixels of alpha T, apart for each label of the pixels. Tiles are walked as
// when they are drawn, with the same arithmetic, but only the transmittance is kept. A tile has few labels, so they are
// numbered anew within it, and every (splat, tile) pair leaves one number for each of these. They are added up in the
// order of tiles, whatever the number of threads; tiles go in batches, so that what waits to be added stays small.
#pragma once
#include <algorithm>
#include <vector>

#include "raster.h"

namespace scene3d {
namespace SCENE3D_ISA {

constexpr size_t kMostWaiting = size_t{1} << 24;  // Floats of a batch, unless one tile alone has more.

// The labels of one tile, and what its entries show of each.
struct TileVotes {
  std::vector<int32_t> labels;  // Distinct labels, increasing.
  std::vector<float> sums;      // (entries, labels)
};

static std::vector<int32_t> labels_in(const Tile& tile, const View& view, const LabelMap& map) {
  std::vector<int32_t> found;
  for (int y = 0; y < tile.height; ++y) {
    const int32_t* row = map.labels + static_cast<size_t>(tile.y0 + y) * view.width + tile.x0;
    for (int x = 0; x < tile.width; ++x)
      if (row[x] >= 0 && row[x] < map.count && (found.empty() || row[x] != found.back())) found.push_back(row[x]);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

struct VotePlanes {
  alignas(64) float T[kTilePixels], weight[kTilePixels];
  alignas(64) int32_t label[kTilePixels];  // Number within the tile, -1 where unknown.
};

static void load_labels(const View& view, const Tile& tile, const LabelMap& map, const std::vector<int32_t>& labels,
                        VotePlanes& p) {
  std::fill(p.T, p.T + kTilePixels, -1.0f);
  std::fill(p.weight, p.weight + kTilePixels, 0.0f);
  std::fill(p.label, p.label + kTilePixels, -1);
  for (int y = 0; y < tile.height; ++y) {
    const size_t row = static_cast<size_t>(tile.y0 + y) * view.width + tile.x0;
    for (int x = 0; x < tile.width; ++x) {
      const int at = Tile::slot(x, y);
      const auto found = std::lower_bound(labels.begin(), labels.end(), map.labels[row + x]);
      p.T[at] = 1.0f;
      p.weight[at] = map.weights != nullptr ? map.weights[row + x] : 1.0f;
      if (found != labels.end() && *found == map.labels[row + x]) p.label[at] = static_cast<int32_t>(found - labels.begin());
    }
  }
}

static void vote_tile(const View& view, const State& state, int index, const LabelMap& map, TileVotes& out) {
  const Tile tile(view, state, index);
  VotePlanes p;
  load_labels(view, tile, map, out.labels, p);
  const int begin = state.tile_begin[index], end = state.tile_begin[index + 1];
  const size_t count = out.labels.size();
  out.sums.assign(count * (end - begin), 0.0f);
  const vf lx = lane_x(), ly = lane_y(), zero = splat(0.0f);
  std::vector<vf> sums(count);
  Spans spans;
  for (int entry = begin; entry < end; ++entry) {
    if (((entry - begin) & 31) == 31) {
      bool any = false;
      for (int i = 0; i < kTilePixels; ++i) any |= p.T[i] > 0.0f;
      if (!any) break;
    }
    const Record& r = state.records[state.entries[entry].record];
    if (entry + 2 < end) __builtin_prefetch(&state.records[state.entries[entry + 2].record]);
    find_spans(r, tile, spans);
    const Footprint f(r);
    const vf dx0 = lx + (tile.x0 + 0.5f - r.mx), dy0 = ly + (tile.y0 + 0.5f - r.my);
    for (vf& v : sums) v = zero;
    for (int band = spans.first_band; band <= spans.last_band; ++band) {
      const vf dy = dy0 + static_cast<float>(band * kBand);
      const vf row_b = f.b * dy, row_c = f.c * dy * dy;
      for (int block = spans.begin[band]; block < spans.end[band]; ++block) {
        const int at = (band * kBlocksX + block) * W;
        const vf dx = dx0 + static_cast<float>(block * 4);
        const vf power = vmin(dx * (f.a * dx + row_b) + row_c, zero);
        const vf alpha = vmin(f.opacity * exp2_lanes(power), splat(kAlphaMax));
        const vf t = load(p.T + at);
        const vi hit = (alpha >= kAlphaMin) & (t > 0.0f);
        const vf next = t - alpha * t;
        const vi stop = hit & (next <= kTransmittanceMin);
        const vi take = hit & (next > kTransmittanceMin);
        const vf w = take ? alpha * t * load(p.weight + at) : zero;
        store(p.T + at, take ? next : (stop ? -t : t));
        vi label;
        std::memcpy(&label, p.label + at, sizeof(vi));
        for (size_t k = 0; k < count; ++k) sums[k] += label == static_cast<int32_t>(k) ? w : zero;
      }
    }
    float* row = out.sums.data() + count * (entry - begin);
    for (size_t k = 0; k < count; ++k) row[k] = sum(sums[k]);
  }
}

static void add_votes(const State& state, int index, const TileVotes& tile, const LabelMap& map, float* votes) {
  const float* row = tile.sums.data();
  for (int entry = state.tile_begin[index]; entry < state.tile_begin[index + 1]; ++entry) {
    float* to = votes + static_cast<size_t>(state.records[state.entries[entry].record].id) * map.count;
    for (const int32_t label : tile.labels) to[label] += *row++;
  }
}

static void add_label_weights(const View& view, const State& state, const LabelMap& map, float* votes) {
  const int tiles = state.tiles_x * state.tiles_y;
  std::vector<TileVotes> found(tiles);
  parallel_for(tiles, [&](int index, int) { found[index].labels = labels_in(Tile(view, state, index), view, map); });
  for (int first = 0, last = 0; first < tiles; first = last) {
    size_t waiting = 0;
    do {
      waiting += found[last].labels.size() * (state.tile_begin[last + 1] - state.tile_begin[last]);
      ++last;
    } while (last < tiles && waiting < kMostWaiting);
    parallel_for(last - first, [&](int i, int) {
      if (!found[first + i].labels.empty()) vote_tile(view, state, first + i, map, found[first + i]);
    });
    for (int index = first; index < last; ++index) {
      add_votes(state, index, found[index], map, votes);
      found[index] = TileVotes();
    }
  }
}

}  // namespace SCENE3D_ISA
}  // namespace scene3d
