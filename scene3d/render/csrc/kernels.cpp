// The kernels of one instruction set. The build compiles this file once per set with SCENE3D_ISA naming it; module.cpp
// picks the best table that the processor runs. One image passes through project -> sort and bin -> raster, and back
// through raster gradient -> project gradient, with the State in between.
#include "kernels.h"

#include <chrono>

#include "adam.h"
#include "bin.h"
#include "geometry_loss.h"
#include "loss.h"
#include "project_gradient.h"
#include "votes.h"

#define SCENE3D_STRING2(x) #x
#define SCENE3D_STRING(x) SCENE3D_STRING2(x)

namespace scene3d {
namespace SCENE3D_ISA {

static double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static void forward(const Splats& in, const View& view, const float* features, int feature_count, State& state,
                    const Images& out) {
  const double t0 = now();
  project(in, view, state);
  const double t1 = now();
  sort_by_depth(state);
  bin(view, state);
  const double t2 = now();
  raster(view, state, features, feature_count, out);
  state.seconds[0] = t1 - t0;
  state.seconds[1] = t2 - t1;
  state.seconds[2] = now() - t2;
}

static void backward(const Splats& in, const View& view, const float* features, int feature_count, State& state,
                     const Images& image, const ImageGradients& grad, const SplatGradients& out) {
  const double t0 = now();
  thread_local std::vector<float> rows;  // Kept between calls: its pages are as large as an image.
  raster_gradient(view, state, features, feature_count, image, grad, rows);
  state.seconds[3] = now() - t0;
  project_gradient(in, view, state, rows.data(), feature_count, out);
}

static void label_weights(const Splats& in, const View& view, const LabelMap& map, float* votes) {
  State state;
  project(in, view, state);
  sort_by_depth(state);
  bin(view, state);
  add_label_weights(view, state, map, votes);
}

// Twelve independent chains of multiply-adds: the throughput that bounds every kernel here.
static double peak(int iterations) {
  vf chain[12];
  for (int k = 0; k < 12; ++k) chain[k] = splat(0.1f * k);
  const vf a = splat(0.999999f), b = splat(1e-7f);
  const double start = now();
  for (int i = 0; i < iterations; ++i)
    for (int k = 0; k < 12; ++k) chain[k] = chain[k] * a + b;
  const double seconds = now() - start;
  volatile float sink = 0;
  for (int k = 0; k < 12; ++k) sink = sink + sum(chain[k]);
  return 12.0 * W * iterations / seconds;
}

const KernelTable table = {SCENE3D_STRING(SCENE3D_ISA), forward, backward, label_weights, loss,
                           geometry_loss, adam, penalize, collect, peak};

}  // namespace SCENE3D_ISA
}  // namespace scene3d
