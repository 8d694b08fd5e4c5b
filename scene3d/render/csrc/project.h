// Stage 1: splats to the screen, W splats at a time. Reads the stored arrays, applies the activations, and writes one
// Record per visible splat. EWA splatting [Zwicker 2001] with the conventions of gsplat: covariance blurred by eps2d,
// the Jacobian's tangent clamped to 1.3 times the half field of view, opacity-aware extent.
#pragma once
#include <algorithm>

#include "kernels.h"
#include "lanes.h"
#include "pool.h"
#include "spherical_harmonics.h"

namespace scene3d {
namespace SCENE3D_ISA {

// Everything about W splats that the forward projection computes and its gradient needs again.
struct Projection {
  vf R[9], t[3];        // Body to camera.
  vf m[3], p[3], iz;    // Mean in the body and in the camera frame, 1 / depth.
  vf q[4], q_inv_norm;  // Unit quaternion.
  vf rot[9], s[3];      // Its matrix and the activated scales.
  vf V[9];              // R * rot * diag(s): columns are the ellipsoid's half axes in the camera frame.
  vf ux, uy;            // Clamped tangents x/z, y/z.
  vi free_x, free_y;    // Lanes whose tangent is not clamped.
  vf j00, j02, j11, j12;
  vf a[3], b[3];        // Rows of J V.
  vf cov_a, cov_b, cov_c, det;
  vf opacity;
};

static inline void gather(const float* base, const int32_t* ids, int width, int column, vf& out) {
  for (int i = 0; i < W; ++i) out[i] = base[static_cast<size_t>(ids[i]) * width + column];
}

static inline void load_body(const View& view, const int32_t* component, const int32_t* ids, Projection& o) {
  for (int k = 0; k < 9; ++k) {
    if (view.bodies == 1 || component == nullptr) o.R[k] = splat(view.R[k]);
    else for (int i = 0; i < W; ++i) o.R[k][i] = view.R[9 * component[ids[i]] + k];
  }
  for (int k = 0; k < 3; ++k) {
    if (view.bodies == 1 || component == nullptr) o.t[k] = splat(view.t[k]);
    else for (int i = 0; i < W; ++i) o.t[k][i] = view.t[3 * component[ids[i]] + k];
  }
}

static inline void project_means(const Splats& in, const View& view, const int32_t* ids, Projection& o) {
  load_body(view, in.component, ids, o);
  for (int k = 0; k < 3; ++k) gather(in.means, ids, 3, k, o.m[k]);
  for (int k = 0; k < 3; ++k)
    o.p[k] = o.R[3 * k] * o.m[0] + o.R[3 * k + 1] * o.m[1] + o.R[3 * k + 2] * o.m[2] + o.t[k];
  const vf z = o.p[2] > splat(1e-12f) ? o.p[2] : splat(1e-12f);  // Lanes behind the camera are dropped by the caller.
  o.iz = 1.0f / z;
}

static inline void project_covariances(const Splats& in, const View& view, const int32_t* ids, Projection& o) {
  vf q[4];
  for (int k = 0; k < 4; ++k) gather(in.quats, ids, 4, k, q[k]);
  const vf norm2 = q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3];
  o.q_inv_norm = 1.0f / vsqrt(vmax(norm2, splat(1e-30f)));
  for (int k = 0; k < 4; ++k) o.q[k] = q[k] * o.q_inv_norm;
  const vf w = o.q[0], x = o.q[1], y = o.q[2], z = o.q[3];
  o.rot[0] = 1.0f - 2.0f * (y * y + z * z);
  o.rot[1] = 2.0f * (x * y - w * z);
  o.rot[2] = 2.0f * (x * z + w * y);
  o.rot[3] = 2.0f * (x * y + w * z);
  o.rot[4] = 1.0f - 2.0f * (x * x + z * z);
  o.rot[5] = 2.0f * (y * z - w * x);
  o.rot[6] = 2.0f * (x * z - w * y);
  o.rot[7] = 2.0f * (y * z + w * x);
  o.rot[8] = 1.0f - 2.0f * (x * x + y * y);
  for (int k = 0; k < 3; ++k) {
    vf log_scale;
    gather(in.scales, ids, 3, k, log_scale);
    o.s[k] = exp_lanes(log_scale) + (log_scale - log_scale);  // exp_lanes clamps; a NaN or infinity must stay one.
  }
  for (int i = 0; i < 3; ++i)
    for (int k = 0; k < 3; ++k)
      o.V[3 * i + k] = (o.R[3 * i] * o.rot[k] + o.R[3 * i + 1] * o.rot[3 + k] + o.R[3 * i + 2] * o.rot[6 + k]) * o.s[k];

  const float margin_x = 0.3f * 0.5f * view.width / view.fx, margin_y = 0.3f * 0.5f * view.height / view.fy;
  const vf tx = o.p[0] * o.iz, ty = o.p[1] * o.iz;
  o.ux = clamp(tx, splat(-view.cx / view.fx - margin_x), splat((view.width - view.cx) / view.fx + margin_x));
  o.uy = clamp(ty, splat(-view.cy / view.fy - margin_y), splat((view.height - view.cy) / view.fy + margin_y));
  o.free_x = o.ux == tx;
  o.free_y = o.uy == ty;
  o.j00 = view.fx * o.iz;
  o.j11 = view.fy * o.iz;
  o.j02 = -o.j00 * o.ux;
  o.j12 = -o.j11 * o.uy;
  for (int k = 0; k < 3; ++k) {
    o.a[k] = o.j00 * o.V[k] + o.j02 * o.V[6 + k];
    o.b[k] = o.j11 * o.V[3 + k] + o.j12 * o.V[6 + k];
  }
  o.cov_a = o.a[0] * o.a[0] + o.a[1] * o.a[1] + o.a[2] * o.a[2] + view.eps2d;
  o.cov_b = o.a[0] * o.b[0] + o.a[1] * o.b[1] + o.a[2] * o.b[2];
  o.cov_c = o.b[0] * o.b[0] + o.b[1] * o.b[1] + o.b[2] * o.b[2] + view.eps2d;
  // The product form of the determinant loses half of the digits of a needle; the blur bounds it from below.
  o.det = vmax(o.cov_a * o.cov_c - o.cov_b * o.cov_b, splat(view.eps2d * view.eps2d * 0.5f + 1e-20f));
  vf logit;
  gather(in.opacities, ids, 1, 0, logit);
  o.opacity = 1.0f / (1.0f + exp_lanes(-logit)) + (logit - logit);
}

// Projects splats [begin, end) and writes the visible ones to `out`; returns their number.
static int project_chunk(const Splats& in, const View& view, int begin, int end, Record* out) {
  int count = 0;
  const float width = static_cast<float>(view.width), height = static_cast<float>(view.height);
  for (int base = begin; base < end; base += W) {
    int32_t ids[W];
    for (int i = 0; i < W; ++i) ids[i] = std::min(base + i, end - 1);
    Projection o;
    project_means(in, view, ids, o);
    bool any = false;
    for (int i = 0; i < W; ++i) any |= o.p[2][i] > view.near_plane;
    if (!any) continue;
    project_covariances(in, view, ids, o);
    const vf mx = view.fx * (o.p[0] * o.iz) + view.cx, my = view.fy * (o.p[1] * o.iz) + view.cy;
    const vf inv_det = 1.0f / o.det;
    alignas(64) float extent[W];
    for (int i = 0; i < W; ++i) {
      // A NaN fails the comparison and the splat is dropped.
      extent[i] = o.opacity[i] > kAlphaMin ? 2.0f * std::log(o.opacity[i] * 255.0f) : 0.0f;
    }
    const vf E = load(extent);
    const vf rx = vsqrt(E * o.cov_a), ry = vsqrt(E * o.cov_c);
    const vf inv_c = 1.0f / o.cov_c;
    const vf k0 = E * o.det * inv_c, k1 = -o.cov_b * inv_c, k2 = o.det * inv_c * inv_c;
    const vf dy_right = o.cov_b * vsqrt(E / o.cov_a);
    for (int i = 0; i < W && base + i < end; ++i) {
      const bool seen = o.p[2][i] > view.near_plane && E[i] > 0.0f && mx[i] + rx[i] > 0.0f && mx[i] - rx[i] < width &&
                        my[i] + ry[i] > 0.0f && my[i] - ry[i] < height;
      if (!seen) continue;
      Record& r = out[count++];
      r.mx = mx[i];
      r.my = my[i];
      r.A = o.cov_c[i] * inv_det[i];
      r.B = -o.cov_b[i] * inv_det[i];
      r.C = o.cov_a[i] * inv_det[i];
      r.opacity = o.opacity[i];
      r.z = o.p[2][i];
      r.k0 = k0[i];
      r.k1 = k1[i];
      r.k2 = k2[i];
      r.dy_right = dy_right[i];
      r.ry = ry[i];
      r.id = base + i;
      float rgb[3];
      evaluate_color(in, view, r.id, rgb);
      r.r = rgb[0];
      r.g = rgb[1];
      r.b = rgb[2];
    }
  }
  return count;
}

static void project(const Splats& in, const View& view, State& state) {
  const int chunks = (in.n + kChunk - 1) / kChunk;
  state.records.resize(static_cast<size_t>(chunks) * kChunk);
  state.chunk_count.assign(chunks, 0);
  parallel_for(chunks, [&](int chunk, int) {
    const int begin = chunk * kChunk, end = std::min(in.n, begin + kChunk);
    state.chunk_count[chunk] = project_chunk(in, view, begin, end, state.records.data() + begin);
  });
}

}  // namespace SCENE3D_ISA
}  // namespace scene3d
