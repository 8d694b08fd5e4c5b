// Photometric loss and its gradient: (1 - w) L1 + w (1 - SSIM), SSIM with the usual 11-tap Gaussian window of deviation
// 1.5, zero padded [Wang 2004]. Three passes over rows, each parallel: blur along x, blur along y with the SSIM terms
// and the x-blur of their derivatives, then the y-blur of those. Per-row partial sums keep the result independent of
// the number of threads.
#pragma once
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels.h"
#include "lanes.h"
#include "pool.h"

namespace scene3d {
namespace SCENE3D_ISA {

constexpr int kTaps = 11, kHalo = 5;
constexpr float kSsimC1 = 0.01f * 0.01f, kSsimC2 = 0.03f * 0.03f;

struct Window {
  float w[kTaps];
  Window() {
    float total = 0;
    for (int i = 0; i < kTaps; ++i) total += w[i] = std::exp(-(i - kHalo) * (i - kHalo) / 4.5f);
    for (float& x : w) x /= total;
  }
};

// Planar images with zero margins, so that no blur needs a border case. Rows are indexed from -kHalo.
class Planes {
 public:
  Planes(int count, int width, int height)
      : stride_((width + 2 * kHalo + 2 * W - 1) / W * W), rows_(height + 2 * kHalo),
        data_(static_cast<size_t>(count) * stride_ * rows_ + W, 0.0f) {}
  float* row(int plane, int y) {
    return data_.data() + (static_cast<size_t>(plane) * rows_ + y + kHalo) * stride_ + kHalo;
  }
  int stride() const { return stride_; }

 private:
  int stride_, rows_;
  std::vector<float> data_;
};

static inline void blur_row(const float* in, int width, const Window& window, float* out) {
  for (int x = 0; x < width; x += W) {
    vf v = splat(0.0f);
    for (int k = 0; k < kTaps; ++k) v += window.w[k] * load(in + x + k - kHalo);
    // Tail lanes land in the right margin; callers clear it before it is read as a margin.
    store(out + x, v);
  }
}

static inline vf blur_column(const float* center, int stride, const Window& window) {
  vf v = splat(0.0f);
  for (int k = 0; k < kTaps; ++k) v += window.w[k] * load(center + static_cast<ptrdiff_t>(k - kHalo) * stride);
  return v;
}

static inline void apply_exposure(const float* e, const float* in, float* out) {
  for (int c = 0; c < 3; ++c)
    out[c] = e == nullptr ? in[c] : e[4 * c] * in[0] + e[4 * c + 1] * in[1] + e[4 * c + 2] * in[2] + e[4 * c + 3];
}

struct LossBuffers {
  Planes x, y;          // Colours after exposure, target: 3 planes each.
  Planes blurred;       // x-blur of x, y, xx, yy, xy: 5 planes per channel.
  Planes derivative;    // x-blur of dS/dmean_x, dS/dxx, dS/dxy: 3 planes per channel.
  int width, height;
  LossBuffers(int width, int height)
      : x(3, width, height), y(3, width, height), blurred(15, width, height), derivative(9, width, height),
        width(width), height(height) {}
};

// Buffers are kept between calls: 30 planes of zeros a call would cost as much as the loss. Margins stay zero because
// nothing but the tails of rows, which nobody reads, is ever written outside the image.
static LossBuffers& buffers_of_size(int width, int height) {
  thread_local std::unique_ptr<LossBuffers> kept;
  if (kept == nullptr || kept->width != width || kept->height != height)
    kept = std::make_unique<LossBuffers>(width, height);
  return *kept;
}

static void blur_inputs(const LossInput& in, const Window& window, int y, LossBuffers& b) {
  for (int x = 0; x < in.width; ++x) {
    const size_t i = (static_cast<size_t>(y) * in.width + x) * 3;
    float rgb[3];
    apply_exposure(in.exposure, in.rgb + i, rgb);
    for (int c = 0; c < 3; ++c) {
      b.x.row(c, y)[x] = rgb[c];
      b.y.row(c, y)[x] = in.target[i + c];
    }
  }
  if (in.ssim_weight == 0.0f) return;
  std::vector<float> product(b.x.stride() + W, 0.0f);
  float* p = product.data() + kHalo;
  for (int c = 0; c < 3; ++c) {
    const float *u = b.x.row(c, y), *v = b.y.row(c, y);
    blur_row(u, in.width, window, b.blurred.row(5 * c, y));
    blur_row(v, in.width, window, b.blurred.row(5 * c + 1, y));
    for (int x = 0; x < in.width; ++x) p[x] = u[x] * u[x];
    blur_row(p, in.width, window, b.blurred.row(5 * c + 2, y));
    for (int x = 0; x < in.width; ++x) p[x] = v[x] * v[x];
    blur_row(p, in.width, window, b.blurred.row(5 * c + 3, y));
    for (int x = 0; x < in.width; ++x) p[x] = u[x] * v[x];
    blur_row(p, in.width, window, b.blurred.row(5 * c + 4, y));
  }
}

// SSIM of one row; returns its sum over valid pixels and leaves the x-blurred derivatives.
static double ssim_row(const LossInput& in, const Window& window, int y, float scale, LossBuffers& b) {
  double total = 0;
  const int stride = b.blurred.stride();
  std::vector<float> scratch(3 * (static_cast<size_t>(stride) + W), 0.0f), value(stride + W, 0.0f);
  float* d[3];
  for (int k = 0; k < 3; ++k) d[k] = scratch.data() + k * (static_cast<size_t>(stride) + W) + kHalo;
  const uint8_t* valid = in.valid == nullptr ? nullptr : in.valid + static_cast<size_t>(y) * in.width;
  for (int c = 0; c < 3; ++c) {
    for (int x = 0; x < in.width; x += W) {
      const vf mx = blur_column(b.blurred.row(5 * c, y) + x, stride, window);
      const vf my = blur_column(b.blurred.row(5 * c + 1, y) + x, stride, window);
      const vf xx = blur_column(b.blurred.row(5 * c + 2, y) + x, stride, window);
      const vf yy = blur_column(b.blurred.row(5 * c + 3, y) + x, stride, window);
      const vf xy = blur_column(b.blurred.row(5 * c + 4, y) + x, stride, window);
      const vf a1 = 2.0f * mx * my + kSsimC1, a2 = 2.0f * (xy - mx * my) + kSsimC2;
      const vf b1 = mx * mx + my * my + kSsimC1, b2 = (xx - mx * mx) + (yy - my * my) + kSsimC2;
      const vf inverse = 1.0f / (b1 * b2);
      const vf s = a1 * a2 * inverse;
      store(value.data() + x, s);
      store(d[0] + x, scale * (2.0f * my * (a2 - a1) * inverse - 2.0f * mx * s * (1.0f / b1 - 1.0f / b2)));
      store(d[1] + x, -scale * s / b2);
      store(d[2] + x, scale * 2.0f * a1 * inverse);
    }
    for (int x = 0; x < in.width; ++x) {
      if (valid == nullptr || valid[x]) total += value[x];
      else d[0][x] = d[1][x] = d[2][x] = 0.0f;
    }
    for (int k = 0; k < 3; ++k) {
      std::fill(d[k] + in.width, d[k] + in.width + kHalo + W, 0.0f);
      blur_row(d[k], in.width, window, b.derivative.row(3 * c + k, y));
    }
  }
  return total;
}

// Gradient of one row; returns {L1 sum, squared error sum} and adds to the exposure gradient.
struct RowSums {
  double l1 = 0, mse = 0, exposure[12] = {0};
};

static RowSums gradient_row(const LossInput& in, const Window& window, int y, float l1_scale, LossBuffers& b,
                            LossOutput& out) {
  RowSums sums;
  const int stride = b.derivative.stride();
  std::vector<float> grad(3 * (static_cast<size_t>(in.width) + W), 0.0f);
  const size_t plane = in.width + W;
  if (in.ssim_weight != 0.0f)
    for (int c = 0; c < 3; ++c)
      for (int x = 0; x < in.width; x += W) {
        const vf dm = blur_column(b.derivative.row(3 * c, y) + x, stride, window);
        const vf dxx = blur_column(b.derivative.row(3 * c + 1, y) + x, stride, window);
        const vf dxy = blur_column(b.derivative.row(3 * c + 2, y) + x, stride, window);
        store(grad.data() + c * plane + x, dm + 2.0f * load(b.x.row(c, y) + x) * dxx + load(b.y.row(c, y) + x) * dxy);
      }
  for (int x = 0; x < in.width; ++x) {
    const size_t i = static_cast<size_t>(y) * in.width + x;
    const bool valid = in.valid == nullptr || in.valid[i];
    float g[3], error = 0;
    for (int c = 0; c < 3; ++c) {
      const float u = b.x.row(c, y)[x], v = b.y.row(c, y)[x], difference = u - v;
      g[c] = grad[c * plane + x];
      if (!valid) continue;
      error += std::abs(difference);
      g[c] += difference > 0 ? l1_scale : difference < 0 ? -l1_scale : 0.0f;
      const float shown = std::min(std::max(u, 0.0f), 1.0f) - v;
      sums.mse += static_cast<double>(shown) * shown;
    }
    sums.l1 += error;
    if (out.error != nullptr) out.error[i] = error / 3.0f;
    const float* e = in.exposure;
    for (int c = 0; c < 3; ++c) {
      out.grad_rgb[3 * i + c] = e == nullptr ? g[c] : e[c] * g[0] + e[4 + c] * g[1] + e[8 + c] * g[2];
      if (e == nullptr) continue;
      for (int k = 0; k < 3; ++k) sums.exposure[4 * c + k] += static_cast<double>(g[c]) * in.rgb[3 * i + k];
      sums.exposure[4 * c + 3] += g[c];
    }
  }
  return sums;
}

static void loss(const LossInput& in, LossOutput& out) {
  static const Window window;
  LossBuffers& buffers = buffers_of_size(in.width, in.height);
  size_t valid = static_cast<size_t>(in.width) * in.height;
  if (in.valid != nullptr) {
    valid = 0;
    for (size_t i = 0; i < static_cast<size_t>(in.width) * in.height; ++i) valid += in.valid[i] != 0;
  }
  const double count = 3.0 * std::max<size_t>(valid, 1);
  const float l1_scale = static_cast<float>((1.0 - in.ssim_weight) / count);
  const float ssim_scale = static_cast<float>(-in.ssim_weight / count);
  std::vector<double> ssim_rows(in.height, 0.0);
  std::vector<RowSums> rows(in.height);
  parallel_for(in.height, [&](int y, int) { blur_inputs(in, window, y, buffers); });
  if (in.ssim_weight != 0.0f)
    parallel_for(in.height, [&](int y, int) { ssim_rows[y] = ssim_row(in, window, y, ssim_scale, buffers); });
  parallel_for(in.height, [&](int y, int) { rows[y] = gradient_row(in, window, y, l1_scale, buffers, out); });
  double l1 = 0, mse = 0, ssim = 0;
  std::fill(out.grad_exposure, out.grad_exposure + 12, 0.0);
  for (int y = 0; y < in.height; ++y) {
    l1 += rows[y].l1;
    mse += rows[y].mse;
    ssim += ssim_rows[y];
    for (int k = 0; k < 12; ++k) out.grad_exposure[k] += rows[y].exposure[k];
  }
  out.l1 = l1 / count;
  out.mse = mse / count;
  out.ssim = ssim / count;
  out.loss = (1.0 - in.ssim_weight) * out.l1 + in.ssim_weight * (1.0 - out.ssim);
}

}  // namespace SCENE3D_ISA
}  // namespace scene3d
