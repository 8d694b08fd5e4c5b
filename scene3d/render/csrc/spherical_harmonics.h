// View-dependent colour: real spherical harmonics to degree 3 with the field's signs and order, evaluated in the body
// frame, so that colour turns with its body. colour = max(0, 0.5 + sum_k Y_k(d) sh_k), d from the camera to the mean.
#pragma once
#include <cmath>

#include "kernels.h"

namespace scene3d {
namespace SCENE3D_ISA {

constexpr float kC0 = 0.28209479177387814f, kC1 = 0.4886025119029199f;
constexpr float kC2[5] = {1.0925484305920792f, -1.0925484305920792f, 0.31539156525252005f, -1.0925484305920792f,
                          0.5462742152960396f};
constexpr float kC3[7] = {-0.5900435899266435f, 2.890611442640554f,  -0.4570457994644658f, 0.3731763325901154f,
                          -0.4570457994644658f, 1.445305721320277f,  -0.5900435899266435f};

// Basis functions 1..15 (degree 0 is the constant kC0) of a unit direction.
static inline void sh_basis(int degree, float x, float y, float z, float* Y) {
  if (degree < 1) return;
  Y[0] = -kC1 * y;
  Y[1] = kC1 * z;
  Y[2] = -kC1 * x;
  if (degree < 2) return;
  const float xx = x * x, yy = y * y, zz = z * z;
  Y[3] = kC2[0] * x * y;
  Y[4] = kC2[1] * y * z;
  Y[5] = kC2[2] * (2.0f * zz - xx - yy);
  Y[6] = kC2[3] * x * z;
  Y[7] = kC2[4] * (xx - yy);
  if (degree < 3) return;
  Y[8] = kC3[0] * y * (3.0f * xx - yy);
  Y[9] = kC3[1] * x * y * z;
  Y[10] = kC3[2] * y * (4.0f * zz - xx - yy);
  Y[11] = kC3[3] * z * (2.0f * zz - 3.0f * xx - 3.0f * yy);
  Y[12] = kC3[4] * x * (4.0f * zz - xx - yy);
  Y[13] = kC3[5] * z * (xx - yy);
  Y[14] = kC3[6] * x * (xx - 3.0f * yy);
}

// Derivatives of the basis with respect to (x, y, z), each as if the three were independent.
static inline void sh_basis_gradient(int degree, float x, float y, float z, float (*dY)[3]) {
  const auto set = [&](int k, float dx, float dy, float dz) {
    dY[k][0] = dx;
    dY[k][1] = dy;
    dY[k][2] = dz;
  };
  if (degree < 1) return;
  set(0, 0, -kC1, 0);
  set(1, 0, 0, kC1);
  set(2, -kC1, 0, 0);
  if (degree < 2) return;
  set(3, kC2[0] * y, kC2[0] * x, 0);
  set(4, 0, kC2[1] * z, kC2[1] * y);
  set(5, -2 * kC2[2] * x, -2 * kC2[2] * y, 4 * kC2[2] * z);
  set(6, kC2[3] * z, 0, kC2[3] * x);
  set(7, 2 * kC2[4] * x, -2 * kC2[4] * y, 0);
  if (degree < 3) return;
  const float xx = x * x, yy = y * y, zz = z * z;
  set(8, kC3[0] * 6 * x * y, kC3[0] * (3 * xx - 3 * yy), 0);
  set(9, kC3[1] * y * z, kC3[1] * x * z, kC3[1] * x * y);
  set(10, -2 * kC3[2] * x * y, kC3[2] * (4 * zz - xx - 3 * yy), 8 * kC3[2] * y * z);
  set(11, -6 * kC3[3] * x * z, -6 * kC3[3] * y * z, kC3[3] * (6 * zz - 3 * xx - 3 * yy));
  set(12, kC3[4] * (4 * zz - 3 * xx - yy), -2 * kC3[4] * x * y, 8 * kC3[4] * x * z);
  set(13, 2 * kC3[5] * x * z, -2 * kC3[5] * y * z, kC3[5] * (xx - yy));
  set(14, kC3[6] * (3 * xx - 3 * yy), -6 * kC3[6] * x * y, 0);
}

// Unit direction from the camera centre to the mean, in the body frame; returns 1 / distance.
static inline float view_direction(const Splats& in, const View& view, int id, float* d) {
  const int body = in.component != nullptr && view.bodies > 1 ? in.component[id] : 0;
  const float *R = view.R + 9 * body, *t = view.t + 3 * body;
  float n2 = 0;
  for (int j = 0; j < 3; ++j) {
    d[j] = in.means[3 * static_cast<size_t>(id) + j] + R[j] * t[0] + R[3 + j] * t[1] + R[6 + j] * t[2];
    n2 += d[j] * d[j];
  }
  const float inverse = 1.0f / std::sqrt(n2 > 1e-24f ? n2 : 1e-24f);
  for (int j = 0; j < 3; ++j) d[j] *= inverse;
  return inverse;
}

static inline void evaluate_color(const Splats& in, const View& view, int id, float* rgb) {
  const float* dc = in.sh0 + 3 * static_cast<size_t>(id);
  for (int c = 0; c < 3; ++c) rgb[c] = 0.5f + kC0 * dc[c];
  if (in.sh_degree > 0) {
    float d[3], Y[15];
    view_direction(in, view, id, d);
    sh_basis(in.sh_degree, d[0], d[1], d[2], Y);
    const float* sh = in.shN + 3 * static_cast<size_t>(in.shN_count) * id;
    const int count = (in.sh_degree + 1) * (in.sh_degree + 1) - 1;
    for (int k = 0; k < count; ++k)
      for (int c = 0; c < 3; ++c) rgb[c] += Y[k] * sh[3 * k + c];
  }
  // A negative zero marks a clamped channel: it draws as zero and tells the gradient, which an exact zero passes.
  for (int c = 0; c < 3; ++c) rgb[c] = rgb[c] >= 0.0f ? rgb[c] : -0.0f;
}

}  // namespace SCENE3D_ISA
}  // namespace scene3d
