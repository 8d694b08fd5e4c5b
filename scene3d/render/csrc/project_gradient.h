// Stage 5: screen-space gradients back to the stored parameters, W splats at a time: moments to conic, conic to
// covariance, covariance and mean to the splat, its body's pose and through it to the camera. The forward projection
// is recomputed, which is cheaper than storing it. Pose gradients are summed per chunk, then over chunks in order.
#pragma once
#include <algorithm>
#include <vector>

#include "project.h"
#include "raster_gradient.h"

namespace scene3d {
namespace SCENE3D_ISA {

struct ScreenGradient {
  vf mx, my, A, B, C, opacity, z;
};

// dL/dV, dL/dp of the EWA projection from the gradients of the screen-space conic and mean.
static inline void covariance_gradient(const Projection& o, const View& view, const ScreenGradient& g, vf* dV, vf* dp) {
  // conic = cov^-1, so dcov = -conic dconic conic with the off-diagonal counted once in dB.
  const vf inv_det = 1.0f / o.det;
  const vf A = o.cov_c * inv_det, B = -o.cov_b * inv_det, C = o.cov_a * inv_det;
  const vf h00 = -(A * A * g.A + A * B * g.B + B * B * g.C);
  const vf h01 = -(A * B * g.A + 0.5f * (A * C + B * B) * g.B + B * C * g.C);
  const vf h11 = -(B * B * g.A + B * C * g.B + C * C * g.C);
  vf d00 = splat(0), d02 = splat(0), d11 = splat(0), d12 = splat(0);
  for (int k = 0; k < 3; ++k) {
    const vf da = 2.0f * (h00 * o.a[k] + h01 * o.b[k]), db = 2.0f * (h01 * o.a[k] + h11 * o.b[k]);
    dV[k] = o.j00 * da;
    dV[3 + k] = o.j11 * db;
    dV[6 + k] = o.j02 * da + o.j12 * db;
    d00 += da * o.V[k];
    d02 += da * o.V[6 + k];
    d11 += db * o.V[3 + k];
    d12 += db * o.V[6 + k];
  }
  const vf zero = splat(0.0f);
  vf diz = view.fx * (d00 - o.ux * d02) + view.fy * (d11 - o.uy * d12);
  const vf du = o.free_x ? -view.fx * o.iz * d02 : zero, dv = o.free_y ? -view.fy * o.iz * d12 : zero;
  dp[0] = o.iz * (du + view.fx * g.mx);
  dp[1] = o.iz * (dv + view.fy * g.my);
  diz += o.p[0] * (du + view.fx * g.mx) + o.p[1] * (dv + view.fy * g.my);
  dp[2] = g.z - o.iz * o.iz * diz;
}

// dL/dq of the normalised quaternion's matrix, through the normalisation.
static inline void quaternion_gradient(const Projection& o, const vf* D, vf* dq) {
  const vf w = o.q[0], x = o.q[1], y = o.q[2], z = o.q[3];
  dq[0] = 2.0f * (x * (D[7] - D[5]) + y * (D[2] - D[6]) + z * (D[3] - D[1]));
  dq[1] = 2.0f * (-2.0f * x * (D[4] + D[8]) + y * (D[1] + D[3]) + z * (D[2] + D[6]) + w * (D[7] - D[5]));
  dq[2] = 2.0f * (x * (D[1] + D[3]) - 2.0f * y * (D[0] + D[8]) + z * (D[5] + D[7]) + w * (D[2] - D[6]));
  dq[3] = 2.0f * (x * (D[2] + D[6]) + y * (D[5] + D[7]) - 2.0f * z * (D[0] + D[4]) + w * (D[3] - D[1]));
  const vf along = dq[0] * w + dq[1] * x + dq[2] * y + dq[3] * z;
  for (int k = 0; k < 4; ++k) dq[k] = (dq[k] - o.q[k] * along) * o.q_inv_norm;
}

// Colour of one splat: fills the SH gradients, returns the gradient of the unnormalised view direction (body frame).
static inline void color_gradient(const Splats& in, const View& view, int id, const float* drgb, float* dsh0,
                                  float* dshN, float* ddir) {
  for (int c = 0; c < 3; ++c) dsh0[c] = kC0 * drgb[c];
  for (int j = 0; j < 3; ++j) ddir[j] = 0.0f;
  if (in.sh_degree == 0) return;
  float d[3], Y[15], dY[15][3], g[3] = {0, 0, 0};
  const float inverse = view_direction(in, view, id, d);
  sh_basis(in.sh_degree, d[0], d[1], d[2], Y);
  sh_basis_gradient(in.sh_degree, d[0], d[1], d[2], dY);
  const float* sh = in.shN + 3 * static_cast<size_t>(in.shN_count) * id;
  const int count = (in.sh_degree + 1) * (in.sh_degree + 1) - 1;
  for (int k = 0; k < count; ++k) {
    const float along = sh[3 * k] * drgb[0] + sh[3 * k + 1] * drgb[1] + sh[3 * k + 2] * drgb[2];
    for (int c = 0; c < 3; ++c) dshN[3 * k + c] = Y[k] * drgb[c];
    for (int j = 0; j < 3; ++j) g[j] += along * dY[k][j];
  }
  const float radial = g[0] * d[0] + g[1] * d[1] + g[2] * d[2];
  for (int j = 0; j < 3; ++j) ddir[j] = inverse * (g[j] - d[j] * radial);
}

struct ChunkGradient {
  const Splats& in;
  const View& view;
  const State& state;
  const float* rows;
  int feature_count;
  const SplatGradients& out;
  double* body_R;  // This chunk's sums, or null.
  double* body_t;

  // Sums the rows of one splat in tile order.
  void reduce(uint32_t index, float* total) const {
    const int width = kRow + feature_count;
    const float* row = rows + static_cast<size_t>(state.first_row[index]) * width;
    std::fill(total, total + width, 0.0f);
    for (uint32_t k = 0; k < state.rows[index]; ++k, row += width)
      for (int j = 0; j < width; ++j) total[j] += row[j];
  }

  // Gradients of the visible splats [first, first + count) of the chunk's record range; `rank` is their output rank.
  void run(uint32_t first, int count, int rank) const {
    std::vector<float> total(static_cast<size_t>(W) * (kRow + feature_count));
    const int width = kRow + feature_count;
    for (int base = 0; base < count; base += W) {
      const int lanes = std::min(W, count - base);
      int32_t ids[W];
      ScreenGradient g;
      for (int i = 0; i < W; ++i) {
        const uint32_t index = first + base + std::min(i, lanes - 1);
        const Record& r = state.records[index];
        ids[i] = r.id;
        float* t = total.data() + static_cast<size_t>(i) * width;
        reduce(index, t);
        g.mx[i] = r.A * t[0] + r.B * t[1];
        g.my[i] = r.B * t[0] + r.C * t[1];
        g.A[i] = -0.5f * t[2];
        g.B[i] = -t[3];
        g.C[i] = -0.5f * t[4];
        g.opacity[i] = t[5];
        g.z[i] = t[9];
        const float color[3] = {r.r, r.g, r.b};
        for (int c = 0; c < 3; ++c) t[6 + c] = std::signbit(color[c]) ? 0.0f : t[6 + c];
      }
      write(ids, lanes, rank + base, total.data(), g);
    }
  }

  void write(const int32_t* ids, int lanes, int rank, const float* total, const ScreenGradient& g) const {
    Projection o;
    project_means(in, view, ids, o);
    project_covariances(in, view, ids, o);
    vf dV[9], dp[3];
    covariance_gradient(o, view, g, dV, dp);
    vf dM[9], drot[9], dlog[3], dq[4], dm[3];
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 3; ++k) dM[3 * j + k] = o.R[j] * dV[k] + o.R[3 + j] * dV[3 + k] + o.R[6 + j] * dV[6 + k];
    for (int k = 0; k < 3; ++k) {
      dlog[k] = (dM[k] * o.rot[k] + dM[3 + k] * o.rot[3 + k] + dM[6 + k] * o.rot[6 + k]) * o.s[k];
      for (int j = 0; j < 3; ++j) drot[3 * j + k] = dM[3 * j + k] * o.s[k];
    }
    quaternion_gradient(o, drot, dq);
    for (int j = 0; j < 3; ++j) dm[j] = o.R[j] * dp[0] + o.R[3 + j] * dp[1] + o.R[6 + j] * dp[2];
    const vf dlogit = g.opacity * o.opacity * (1.0f - o.opacity);
    const int width = kRow + feature_count;
    for (int i = 0; i < lanes; ++i) {
      const size_t to = out.compact ? rank + i : ids[i];
      const float* t = total + static_cast<size_t>(i) * width;
      float ddir[3];
      float* shN = out.shN + 3 * static_cast<size_t>(in.shN_count) * to;
      color_gradient(in, view, ids[i], t + 6, out.sh0 + 3 * to, shN, ddir);
      const int used = 3 * ((in.sh_degree + 1) * (in.sh_degree + 1) - 1);
      for (int k = used; k < 3 * in.shN_count; ++k) shN[k] = 0.0f;
      for (int j = 0; j < 3; ++j) {
        out.means[3 * to + j] = dm[j][i] + ddir[j];
        out.scales[3 * to + j] = dlog[j][i];
      }
      for (int k = 0; k < 4; ++k) out.quats[4 * to + k] = dq[k][i];
      out.opacities[to] = dlogit[i];
      if (out.screen != nullptr) out.screen[to] = std::sqrt(g.mx[i] * g.mx[i] + g.my[i] * g.my[i]);
      if (out.score != nullptr) out.score[to] = t[10];
      if (out.features != nullptr) std::copy(t + kRow, t + width, out.features + to * feature_count);
      if (out.ids != nullptr) out.ids[rank + i] = ids[i];
      if (body_R != nullptr) add_pose(o, ids[i], i, dV, dp, ddir);
    }
  }

  void add_pose(const Projection& o, int id, int i, const vf* dV, const vf* dp, const float* ddir) const {
    const int body = view.bodies > 1 && in.component != nullptr ? in.component[id] : 0;
    double *dR = body_R + 9 * body, *dt = body_t + 3 * body;
    for (int a = 0; a < 3; ++a) {
      for (int b = 0; b < 3; ++b) {
        double v = dp[a][i] * o.m[b][i];
        for (int k = 0; k < 3; ++k) v += dV[3 * a + k][i] * o.rot[3 * b + k][i] * o.s[k][i];
        // The view direction is m + R^T t.
        dR[3 * a + b] += v + o.t[a][i] * ddir[b];
      }
      dt[a] += dp[a][i] + o.R[3 * a][i] * ddir[0] + o.R[3 * a + 1][i] * ddir[1] + o.R[3 * a + 2][i] * ddir[2];
    }
  }
};

static void project_gradient(const Splats& in, const View& view, const State& state, const float* rows,
                             int feature_count, const SplatGradients& out) {
  const int chunks = static_cast<int>(state.chunk_count.size());
  std::vector<int> rank(chunks + 1, 0);
  for (int c = 0; c < chunks; ++c) rank[c + 1] = rank[c] + state.chunk_count[c];
  const size_t pose = 12 * static_cast<size_t>(view.bodies);
  std::vector<double> sums(out.body_R != nullptr ? pose * chunks : 0, 0.0);
  parallel_for(chunks, [&](int c, int) {
    double* R = out.body_R != nullptr ? sums.data() + pose * c : nullptr;
    const ChunkGradient chunk{in, view, state, rows, feature_count, out, R, R != nullptr ? R + 9 * view.bodies : nullptr};
    chunk.run(static_cast<uint32_t>(c) * kChunk, state.chunk_count[c], rank[c]);
  });
  if (out.body_R == nullptr) return;
  std::fill(out.body_R, out.body_R + 9 * view.bodies, 0.0);
  std::fill(out.body_t, out.body_t + 3 * view.bodies, 0.0);
  for (int c = 0; c < chunks; ++c) {
    for (int k = 0; k < 9 * view.bodies; ++k) out.body_R[k] += sums[pose * c + k];
    for (int k = 0; k < 3 * view.bodies; ++k) out.body_t[k] += sums[pose * c + 9 * view.bodies + k];
  }
}

}  // namespace SCENE3D_ISA
}  // namespace scene3d
