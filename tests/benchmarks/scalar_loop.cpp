// The yardstick of render.py: the blending of splats as GPU code does it, transcribed to plain scalar C++ for one
// thread. Tiles of 16x16 pixels hold the splats whose bounding rectangle touches them, in depth order; every pixel tests
// every splat of its tile; the gradient walks the same list back to front [Kerbl 2023]. Thresholds are those of scene3d.
// Nothing here is clever, and nothing is slowed down. At the end: how much work scene3d's own kernels had to do.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace {

constexpr int kTile = 16;
constexpr float kAlphaMin = 1.0f / 255.0f, kAlphaMax = 0.999f, kTransmittanceMin = 1e-4f;

// Splats on the screen, sorted by depth, and a gradient array of the same shapes.
struct Screen {
  const float *means, *conics, *opacities, *colors;  // (n, 2), (n, 3), (n,), (n, 3)
};
struct ScreenGradient {
  float *means, *conics, *opacities, *colors;
};

// Opacity of a splat at a pixel centre; `weight` is the Gaussian alone, `dx`, `dy` the distance from the centre.
inline float alpha_at(const Screen& s, int i, float px, float py, float& dx, float& dy, float& weight) {
  dx = px - s.means[2 * i];
  dy = py - s.means[2 * i + 1];
  const float* c = s.conics + 3 * i;
  const float power = -0.5f * (c[0] * dx * dx + c[2] * dy * dy) - c[1] * dx * dy;
  weight = std::exp(std::min(power, 0.0f));
  return std::min(s.opacities[i] * weight, kAlphaMax);
}

// [first, last) of the tiles that [centre - radius, centre + radius] touches along one axis.
inline void tile_range(float centre, float radius, int tile, int tiles, int& first, int& last) {
  first = std::min(tiles, std::max(0, static_cast<int>(std::floor((centre - radius) / tile))));
  last = std::min(tiles, std::max(0, static_cast<int>(std::floor((centre + radius) / tile)) + 1));
}

template <bool kCount>
void forward(int width, int height, const Screen& s, const int32_t* tile_begin, const int32_t* entries, float* rgb,
             float* alpha, int32_t* last, int64_t* counts, int32_t* closed_by) {
  const int tiles_x = (width + kTile - 1) / kTile;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const int tile = y / kTile * tiles_x + x / kTile, pixel = y * width + x;
      float T = 1.0f, r = 0.0f, g = 0.0f, b = 0.0f, dx, dy, weight;
      int stop = tile_begin[tile];
      for (int at = tile_begin[tile]; at < tile_begin[tile + 1]; ++at) {
        const int i = entries[at];
        const float a = alpha_at(s, i, x + 0.5f, y + 0.5f, dx, dy, weight);
        if (kCount) ++counts[0];
        if (a < kAlphaMin) continue;
        const float next = T * (1.0f - a);
        if (next <= kTransmittanceMin) {
          if (kCount) closed_by[pixel] = i;
          break;
        }
        const float w = a * T;
        r += w * s.colors[3 * i];
        g += w * s.colors[3 * i + 1];
        b += w * s.colors[3 * i + 2];
        T = next;
        stop = at + 1;
        if (kCount) ++counts[1];
      }
      rgb[3 * pixel] = r;
      rgb[3 * pixel + 1] = g;
      rgb[3 * pixel + 2] = b;
      alpha[pixel] = 1.0f - T;
      last[pixel] = stop;
    }
}

}  // namespace

extern "C" {

// Lists the splats of every tile: call with `entries` null to fill `tile_begin`, then again to fill the entries.
void scalar_bin(int n, const float* means, const float* radii, int width, int height, int32_t* tile_begin,
                int32_t* entries) {
  const int tiles_x = (width + kTile - 1) / kTile, tiles_y = (height + kTile - 1) / kTile, tiles = tiles_x * tiles_y;
  std::vector<int32_t> next(tiles + 1, 0);
  if (entries != nullptr) next.assign(tile_begin, tile_begin + tiles + 1);
  for (int i = 0; i < n; ++i) {
    int x0, x1, y0, y1;
    tile_range(means[2 * i], radii[2 * i], kTile, tiles_x, x0, x1);
    tile_range(means[2 * i + 1], radii[2 * i + 1], kTile, tiles_y, y0, y1);
    for (int y = y0; y < y1; ++y)
      for (int x = x0; x < x1; ++x) {
        const int slot = next[y * tiles_x + x]++;
        if (entries != nullptr) entries[slot] = i;
      }
  }
  if (entries != nullptr) return;
  tile_begin[0] = 0;
  for (int tile = 0; tile < tiles; ++tile) tile_begin[tile + 1] = tile_begin[tile] + next[tile];
}

// Colour (H, W, 3), alpha (H, W), and per pixel the end of the part of its list that contributes. `counts`, if not
// null, receives the number of (pixel, splat) pairs that were tested and of those that contributed, and `closed_by` the
// splat that found a pixel opaque; it is left alone where none did.
void scalar_forward(int width, int height, const float* means, const float* conics, const float* opacities,
                    const float* colors, const int32_t* tile_begin, const int32_t* entries, float* rgb, float* alpha,
                    int32_t* last, int64_t* counts, int32_t* closed_by) {
  const Screen s{means, conics, opacities, colors};
  if (counts != nullptr) forward<true>(width, height, s, tile_begin, entries, rgb, alpha, last, counts, closed_by);
  else forward<false>(width, height, s, tile_begin, entries, rgb, alpha, last, nullptr, nullptr);
}

// Gradients with respect to the screen arrays; the arrays must be zero on entry.
void scalar_backward(int width, int height, const float* means, const float* conics, const float* opacities,
                     const float* colors, const int32_t* tile_begin, const int32_t* entries, const float* alpha,
                     const int32_t* last, const float* g_rgb, const float* g_alpha, float* d_means, float* d_conics,
                     float* d_opacities, float* d_colors) {
  const Screen s{means, conics, opacities, colors};
  const int tiles_x = (width + kTile - 1) / kTile;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const int tile = y / kTile * tiles_x + x / kTile, pixel = y * width + x;
      const float *g = g_rgb + 3 * pixel, T_final = 1.0f - alpha[pixel];
      float T = T_final, behind[3] = {0.0f, 0.0f, 0.0f}, dx, dy, weight;
      for (int at = last[pixel] - 1; at >= tile_begin[tile]; --at) {
        const int i = entries[at];
        const float a = alpha_at(s, i, x + 0.5f, y + 0.5f, dx, dy, weight);
        if (a < kAlphaMin) continue;
        const float rest = 1.0f / (1.0f - a);
        T *= rest;
        const float w = a * T;
        float d_alpha = g_alpha[pixel] * T_final * rest;
        for (int k = 0; k < 3; ++k) {
          const float color = s.colors[3 * i + k];
          d_colors[3 * i + k] += w * g[k];
          d_alpha += g[k] * (color * T - behind[k] * rest);
          behind[k] += w * color;
        }
        if (s.opacities[i] * weight > kAlphaMax) continue;  // No gradient through the clamp.
        d_opacities[i] += d_alpha * weight;
        const float d_power = d_alpha * s.opacities[i] * weight;
        const float* c = s.conics + 3 * i;
        d_means[2 * i] += d_power * (c[0] * dx + c[1] * dy);
        d_means[2 * i + 1] += d_power * (c[1] * dx + c[2] * dy);
        d_conics[3 * i] += -0.5f * d_power * dx * dx;
        d_conics[3 * i + 1] += -d_power * dx * dy;
        d_conics[3 * i + 2] += -0.5f * d_power * dy * dy;
      }
    }
}

// How many (pixel, splat) pairs scene3d's kernels with `lanes`-wide registers work on: whole blocks of 4 x lanes / 4
// pixels that a splat's row spans reach (raster.h), in tiles of 32x32 of which some pixel is still open. Splats are
// numbered in depth order; `closed_by` is that of scalar_forward, n where no splat closed the pixel.
int64_t count_lanes(int n, const float* means, const float* covariances, const float* extents, int width, int height,
                    int lanes, const int32_t* closed_by) {
  constexpr int kBig = 32;
  const int tiles_x = (width + kBig - 1) / kBig, tiles_y = (height + kBig - 1) / kBig, band = lanes / 4;
  std::vector<int32_t> open_until(static_cast<size_t>(tiles_x) * tiles_y, 0);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      int32_t& until = open_until[y / kBig * tiles_x + x / kBig];
      until = std::max(until, closed_by[y * width + x]);
    }
  int64_t pairs = 0;
  for (int i = 0; i < n; ++i) {
    const float a = covariances[3 * i], b = covariances[3 * i + 1], c = covariances[3 * i + 2], E = extents[i];
    const float rx = std::sqrt(E * a), ry = std::sqrt(E * c), det = a * c - b * b;
    const float k0 = E * det / c, k1 = -b / c, k2 = det / (c * c), dy_right = b * std::sqrt(E / a);
    const float mx = means[2 * i] - 0.5f, my = means[2 * i + 1] - 0.5f;
    int x0, x1, y0, y1;
    tile_range(means[2 * i], rx, kBig, tiles_x, x0, x1);
    tile_range(means[2 * i + 1], ry, kBig, tiles_y, y0, y1);
    for (int ty = y0; ty < y1; ++ty)
      for (int tx = x0; tx < x1; ++tx) {
        if (i > open_until[ty * tiles_x + tx]) continue;
        const float left_edge = tx * kBig, right_edge = std::min(tx * kBig + kBig, width) - 1.0f;
        const float top = std::max(my - ry, static_cast<float>(ty * kBig));
        const float bottom = std::min(my + ry, std::min(ty * kBig + kBig, height) - 1.0f);
        for (int row = static_cast<int>(top) / band * band; row <= bottom; row += band) {
          const float low = std::max(top, static_cast<float>(row)) - my;
          const float high = std::min(bottom, row + band - 1.0f) - my;
          const float dr = std::min(std::max(dy_right, low), high), dl = std::min(std::max(-dy_right, low), high);
          const float right = std::min(mx - k1 * dr + std::sqrt(std::max(k0 - k2 * dr * dr, 0.0f)), right_edge);
          const float left = std::max(mx - k1 * dl - std::sqrt(std::max(k0 - k2 * dl * dl, 0.0f)), left_edge);
          if (left <= right) pairs += (static_cast<int>(right) / 4 - static_cast<int>(left) / 4 + 1) * lanes;
        }
      }
  }
  return pairs;
}

}  // extern "C"
