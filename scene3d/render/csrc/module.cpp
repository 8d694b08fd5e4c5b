// Python bindings: checks shapes, unwraps arrays to pointers, picks the kernels of the best instruction set that this
// processor runs (SCENE3D_ISA=avx512|avx2|baseline in the environment overrides), and releases the GIL while they work.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "kernels.h"
#include "pool.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace scene3d {
namespace {

template <typename T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Floats = Array<const float>;
using OptionalFloats = std::optional<Floats>;
using Out = Array<float>;
using OptionalOut = std::optional<Out>;

std::vector<const KernelTable*> supported_tables() {
  std::vector<const KernelTable*> tables;
#if defined(__x86_64__) || defined(_M_X64)
  __builtin_cpu_init();
#ifdef SCENE3D_HAVE_AVX512
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
    tables.push_back(&avx512::table);
#endif
#ifdef SCENE3D_HAVE_AVX2
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
    tables.push_back(&avx2::table);
#endif
#endif
  tables.push_back(&baseline::table);
  return tables;
}

const KernelTable*& current() {
  static const KernelTable* table = [] {
    const auto tables = supported_tables();
    const char* wanted = std::getenv("SCENE3D_ISA");
    for (const KernelTable* t : tables)
      if (wanted != nullptr && std::string(wanted) == t->name) return t;
    return tables.front();
  }();
  return table;
}

void set_isa(const std::string& name) {
  for (const KernelTable* t : supported_tables())
    if (name == t->name) {
      current() = t;
      return;
    }
  throw nb::value_error(("This processor or build has no kernels for '" + name + "'.").c_str());
}

template <typename A>
void expect(const A& array, const char* name, std::vector<size_t> shape) {
  bool same = array.ndim() == shape.size();
  for (size_t i = 0; same && i < shape.size(); ++i) same = array.shape(i) == shape[i];
  if (same) return;
  std::string message = std::string(name) + " must have shape (";
  for (size_t s : shape) message += std::to_string(s) + ", ";
  message += "), found (";
  for (size_t i = 0; i < array.ndim(); ++i) message += std::to_string(array.shape(i)) + ", ";
  throw nb::value_error((message + ").").c_str());
}

template <typename A>
auto pointer(const std::optional<A>& array) -> decltype(array->data()) {
  return array.has_value() ? array->data() : nullptr;
}

// The arrays of one call; keeps the numpy or torch memory alive and gives out plain structs.
struct Call {
  Floats means, quats, scales, opacities, sh0, shN, R, t;
  std::optional<Array<const int32_t>> component;
  OptionalFloats features;
  int width, height, sh_degree, feature_count;
  std::tuple<float, float, float, float> intrinsics;
  float eps2d, near_plane;

  Splats splats() const {
    const size_t n = means.shape(0), rest = shN.ndim() == 3 ? shN.shape(1) : 0;
    expect(means, "means", {n, 3});
    expect(quats, "quats", {n, 4});
    expect(scales, "scales", {n, 3});
    expect(opacities, "opacities", {n});
    expect(sh0, "sh0", {n, 1, 3});
    expect(shN, "shN", {n, rest, 3});
    if (n > 0x7fffffff) throw nb::value_error("More than 2^31 - 1 splats.");
    if (sh_degree < 0 || sh_degree > 3 || static_cast<size_t>((sh_degree + 1) * (sh_degree + 1) - 1) > rest)
      throw nb::value_error("sh_degree must be 0 to 3 and not above the stored degree.");
    if (component.has_value()) {
      expect(*component, "component_index", {n});
      const int bodies = static_cast<int>(R.shape(0));
      for (size_t i = 0; bodies > 1 && i < n; ++i)
        if (component->data()[i] < 0 || component->data()[i] >= bodies)
          throw nb::value_error("component_index has entries outside the given body poses.");
    }
    return {static_cast<int>(n), means.data(), quats.data(), scales.data(), opacities.data(), sh0.data(), shN.data(),
            pointer(component), static_cast<int>(rest), sh_degree};
  }

  View view() const {
    const size_t bodies = R.shape(0);
    expect(R, "R", {bodies, 3, 3});
    expect(t, "t", {bodies, 3});
    if (bodies == 0) throw nb::value_error("At least one body pose is needed.");
    if (width < 1 || height < 1 || width > 65536 || height > 65536)
      throw nb::value_error("Image sides must be within 1 to 65536 pixels.");
    return {width, height, std::get<0>(intrinsics), std::get<1>(intrinsics), std::get<2>(intrinsics),
            std::get<3>(intrinsics), eps2d, near_plane, static_cast<int>(bodies), R.data(), t.data()};
  }
};

Call make_call(Floats means, Floats quats, Floats scales, Floats opacities, Floats sh0, Floats shN, Floats R, Floats t,
               std::optional<Array<const int32_t>> component, OptionalFloats features, int width, int height,
               std::tuple<float, float, float, float> intrinsics, int sh_degree, float eps2d, float near_plane) {
  const int count = features.has_value() ? static_cast<int>(features->shape(1)) : 0;
  if (features.has_value()) expect(*features, "features", {means.shape(0), static_cast<size_t>(count)});
  Call call{means, quats, scales, opacities, sh0, shN, R, t, component, features, width, height, sh_degree, count,
            intrinsics, eps2d, near_plane};
  call.splats();
  call.view();
  return call;
}

Images images(const Call& call, const Out& rgb, const Out& alpha, const OptionalOut& depth, const OptionalOut& features) {
  const size_t h = call.height, w = call.width;
  expect(rgb, "rgb", {h, w, 3});
  expect(alpha, "alpha", {h, w});
  if (depth.has_value()) expect(*depth, "depth", {h, w});
  if (call.features.has_value() != features.has_value())
    throw nb::value_error("Feature images go with feature channels.");
  if (features.has_value()) expect(*features, "features", {h, w, static_cast<size_t>(call.feature_count)});
  return {rgb.data(), alpha.data(), pointer(depth), pointer(features)};
}

void forward(const Call& call, State& state, Out rgb, Out alpha, OptionalOut depth, OptionalOut features) {
  const Images out = images(call, rgb, alpha, depth, features);
  const Splats splats = call.splats();
  const View view = call.view();
  nb::gil_scoped_release unlocked;
  current()->forward(splats, view, pointer(call.features), call.feature_count, state, out);
}

// Gradient arrays arrive as a dict-like set of keywords, so that callers allocate only what they want.
void backward(const Call& call, State& state, Out rgb, Out alpha, OptionalOut depth, OptionalOut features,
              Floats g_rgb, OptionalFloats g_alpha, OptionalFloats g_depth, OptionalFloats g_features,
              OptionalFloats score_map, Out means, Out quats, Out scales, Out opacities, Out sh0, Out shN,
              OptionalOut d_features, OptionalOut screen, OptionalOut score, std::optional<Array<int32_t>> ids,
              std::optional<Array<double>> body_R, std::optional<Array<double>> body_t, bool compact) {
  const Images image = images(call, rgb, alpha, depth, features);
  const size_t h = call.height, w = call.width;
  expect(g_rgb, "g_rgb", {h, w, 3});
  if (g_alpha.has_value()) expect(*g_alpha, "g_alpha", {h, w});
  if (g_depth.has_value()) expect(*g_depth, "g_depth", {h, w});
  if (g_features.has_value()) expect(*g_features, "g_features", {h, w, static_cast<size_t>(call.feature_count)});
  if (score_map.has_value()) expect(*score_map, "score_map", {h, w});
  if (g_depth.has_value() && !depth.has_value()) throw nb::value_error("g_depth needs the depth image.");
  if (score_map.has_value() && g_features.has_value())
    throw nb::value_error("A score map and feature gradients cannot be collected in one call.");
  const Splats splats = call.splats();
  const View view = call.view();
  const size_t rows = compact ? static_cast<size_t>(state.visible()) : static_cast<size_t>(splats.n);
  const size_t rest = splats.shN_count, bodies = view.bodies;
  for (const auto& [array, name, width] : {std::tuple<const Out*, const char*, size_t>{&means, "means", 3},
                                           {&quats, "quats", 4}, {&scales, "scales", 3}}) {
    if (array->shape(0) < rows || array->ndim() != 2 || array->shape(1) != width)
      throw nb::value_error((std::string("The gradient of ") + name + " has too few rows.").c_str());
  }
  if (opacities.shape(0) < rows || sh0.shape(0) < rows || shN.shape(0) < rows || shN.ndim() != 3 || shN.shape(1) != rest)
    throw nb::value_error("A gradient array has too few rows.");
  if (screen.has_value() && screen->shape(0) < rows) throw nb::value_error("`screen` has too few rows.");
  if (score.has_value() && score->shape(0) < rows) throw nb::value_error("`score` has too few rows.");
  if (ids.has_value() && ids->shape(0) < static_cast<size_t>(state.visible()))
    throw nb::value_error("`ids` has too few rows.");
  if (d_features.has_value()) expect(*d_features, "d_features", {rows, static_cast<size_t>(call.feature_count)});
  if (body_R.has_value() != body_t.has_value()) throw nb::value_error("body_R and body_t go together.");
  if (body_R.has_value()) {
    expect(*body_R, "body_R", {bodies, 3, 3});
    expect(*body_t, "body_t", {bodies, 3});
  }
  const ImageGradients grad{g_rgb.data(), pointer(g_alpha), pointer(g_depth), pointer(g_features), pointer(score_map)};
  const SplatGradients out{means.data(), quats.data(), scales.data(), opacities.data(), sh0.data(), shN.data(),
                           pointer(d_features), pointer(screen), pointer(score), pointer(ids), pointer(body_R),
                           pointer(body_t), compact};
  // Without gradients of the features their images only cost time.
  const int feature_count = g_features.has_value() ? call.feature_count : 0;
  nb::gil_scoped_release unlocked;
  current()->backward(splats, view, pointer(call.features), feature_count, state, image, grad, out);
}

void label_weights(const Call& call, Array<const int32_t> labels, OptionalFloats weights, Out votes) {
  const size_t h = call.height, w = call.width;
  expect(labels, "labels", {h, w});
  if (weights.has_value()) expect(*weights, "weights", {h, w});
  const size_t count = votes.ndim() == 2 ? votes.shape(1) : 0;
  if (count > 0x7fffffff) throw nb::value_error("More than 2^31 - 1 labels.");
  expect(votes, "votes", {call.means.shape(0), count});
  const Splats splats = call.splats();
  const View view = call.view();
  const LabelMap map{labels.data(), pointer(weights), static_cast<int>(count)};
  nb::gil_scoped_release unlocked;
  current()->label_weights(splats, view, map, votes.data());
}

nb::dict loss(Floats rgb, Floats target, std::optional<Array<const uint8_t>> valid, OptionalFloats exposure,
              float ssim_weight, Out grad_rgb, OptionalOut error) {
  const size_t h = rgb.shape(0), w = rgb.shape(1);
  expect(rgb, "rgb", {h, w, 3});
  expect(target, "target", {h, w, 3});
  expect(grad_rgb, "grad_rgb", {h, w, 3});
  if (valid.has_value()) expect(*valid, "valid", {h, w});
  if (error.has_value()) expect(*error, "error", {h, w});
  if (exposure.has_value()) expect(*exposure, "exposure", {3, 4});
  const LossInput in{static_cast<int>(w), static_cast<int>(h), rgb.data(), target.data(), pointer(valid),
                     pointer(exposure), ssim_weight};
  LossOutput out{};
  out.grad_rgb = grad_rgb.data();
  out.error = pointer(error);
  {
    nb::gil_scoped_release unlocked;
    current()->loss(in, out);
  }
  nb::dict result;
  result["loss"] = out.loss;
  result["l1"] = out.l1;
  result["ssim"] = out.ssim;
  result["mse"] = out.mse;
  nb::list exposure_gradient;
  for (double g : out.grad_exposure) exposure_gradient.append(g);
  result["grad_exposure"] = exposure_gradient;
  return result;
}

nb::dict geometry_loss(Floats alpha, OptionalFloats depth, OptionalFloats sensor_depth,
                       std::optional<Array<const uint8_t>> valid, std::optional<Array<const uint8_t>> outside,
                       float depth_weight, float alpha_weight, float noise, Out grad_alpha, OptionalOut grad_depth) {
  if (alpha.ndim() != 2) throw nb::value_error("alpha must have shape (H, W).");
  const size_t h = alpha.shape(0), w = alpha.shape(1);
  expect(grad_alpha, "grad_alpha", {h, w});
  if (depth.has_value() != sensor_depth.has_value() || depth.has_value() != grad_depth.has_value())
    throw nb::value_error("depth, sensor_depth and grad_depth go together.");
  if (depth.has_value()) {
    expect(*depth, "depth", {h, w});
    expect(*sensor_depth, "sensor_depth", {h, w});
    expect(*grad_depth, "grad_depth", {h, w});
  }
  if (valid.has_value()) expect(*valid, "valid", {h, w});
  if (outside.has_value()) expect(*outside, "outside", {h, w});
  if (!(noise > 0)) throw nb::value_error("noise must be positive.");
  const GeometryLossInput in{static_cast<int>(w), static_cast<int>(h), alpha.data(), pointer(depth),
                             pointer(sensor_depth), pointer(valid), pointer(outside), depth_weight, alpha_weight, noise};
  GeometryLossOutput out{};
  out.grad_alpha = grad_alpha.data();
  out.grad_depth = pointer(grad_depth);
  {
    nb::gil_scoped_release unlocked;
    current()->geometry_loss(in, out);
  }
  nb::dict result;
  result["loss"] = out.loss;
  result["depth"] = out.depth;
  result["alpha"] = out.alpha;
  return result;
}

using Ids = Array<const int32_t>;

void check_ids(const Ids& ids, size_t n) {
  for (size_t i = 0; i < ids.shape(0); ++i)
    if (ids.data()[i] < 0 || static_cast<size_t>(ids.data()[i]) >= n) throw nb::value_error("ids outside the splats.");
}

void penalize(Ids ids, Floats opacities, Floats scales, float opacity_weight, float scale_weight, Out grad_opacities,
              Out grad_scales) {
  const size_t count = ids.shape(0), n = opacities.shape(0);
  check_ids(ids, n);
  expect(scales, "scales", {n, 3});
  if (grad_opacities.shape(0) < count || grad_scales.size() < 3 * count)
    throw nb::value_error("A gradient array has too few rows.");
  nb::gil_scoped_release unlocked;
  current()->penalize(ids.data(), static_cast<int>(count), opacities.data(), scales.data(), opacity_weight, scale_weight,
                      grad_opacities.data(), grad_scales.data());
}

void collect(Ids ids, Floats screen, Floats score, float screen_factor, Out seen, Out pull, Out covered) {
  const size_t count = ids.shape(0), n = seen.shape(0);
  check_ids(ids, n);
  if (screen.shape(0) < count || score.shape(0) < count || pull.shape(0) != n || covered.shape(0) != n)
    throw nb::value_error("Statistics disagree in size.");
  nb::gil_scoped_release unlocked;
  current()->collect(ids.data(), static_cast<int>(count), screen.data(), score.data(), screen_factor, seen.data(),
                     pull.data(), covered.data());
}

using Group = std::tuple<Out, Out, Out, Floats, float>;  // param, first moment, second moment, compact gradient, lr.

void adam(Ids ids, Array<int32_t> steps, std::vector<Group> groups, float beta1, float beta2,
          float eps) {
  std::vector<AdamGroup> plain;
  const size_t count = ids.shape(0), n = steps.shape(0);
  check_ids(ids, n);
  for (const auto& [param, first, second, grad, lr] : groups) {
    if (param.shape(0) != n || first.size() != param.size() || second.size() != param.size() || grad.shape(0) < count)
      throw nb::value_error("Parameters, moments and gradients of a group disagree in size.");
    const size_t width = n > 0 ? param.size() / n : 0;
    if (grad.size() != grad.shape(0) * width) throw nb::value_error("A gradient has another row width than its parameter.");
    plain.push_back({static_cast<int>(width), param.data(), first.data(), second.data(), grad.data(), lr});
  }
  nb::gil_scoped_release unlocked;
  current()->adam(ids.data(), static_cast<int>(count), steps.data(), plain.data(), static_cast<int>(plain.size()), beta1,
                  beta2, eps);
}

}  // namespace
}  // namespace scene3d

NB_MODULE(_kernels, m) {
  using namespace scene3d;
  nb::set_leak_warnings(false);  // Autograd graphs alive at exit are not leaks.
  m.doc() = "CPU kernels of the splat renderer; see scene3d.render for the interface to use.";
  nb::class_<Call>(m, "Call").def("__init__", [](Call* self, Floats means, Floats quats, Floats scales, Floats opacities,
      Floats sh0, Floats shN, Floats R, Floats t, std::optional<Array<const int32_t>> component, OptionalFloats features,
      int width, int height, std::tuple<float, float, float, float> intrinsics, int sh_degree, float eps2d,
      float near_plane) {
    new (self) Call(make_call(means, quats, scales, opacities, sh0, shN, R, t, component, features, width, height,
                              intrinsics, sh_degree, eps2d, near_plane));
  }, "means"_a, "quats"_a, "scales"_a, "opacities"_a, "sh0"_a, "shN"_a, "R"_a, "t"_a, "component"_a.none(),
     "features"_a.none(), "width"_a, "height"_a, "intrinsics"_a, "sh_degree"_a, "eps2d"_a, "near_plane"_a);
  nb::class_<State>(m, "State")
      .def(nb::init<>())
      .def_prop_ro("visible", &State::visible)
      .def_prop_ro("intersections", [](const State& s) { return s.entries.size(); })
      .def_prop_ro("seconds", [](const State& s) {
        return std::make_tuple(s.seconds[0], s.seconds[1], s.seconds[2], s.seconds[3]);
      });
  // Arrays that are written must be the caller's own memory, never a converted copy.
  m.def("forward", &forward, "call"_a, "state"_a, "rgb"_a.noconvert(), "alpha"_a.noconvert(), "depth"_a.noconvert().none(), "features"_a.noconvert().none());
  m.def("backward", &backward, "call"_a, "state"_a, "rgb"_a.noconvert(), "alpha"_a.noconvert(), "depth"_a.noconvert().none(), "features"_a.noconvert().none(), "g_rgb"_a,
        "g_alpha"_a.none(), "g_depth"_a.none(), "g_features"_a.none(), "score_map"_a.none(), "means"_a.noconvert(), "quats"_a.noconvert(),
        "scales"_a.noconvert(), "opacities"_a.noconvert(), "sh0"_a.noconvert(), "shN"_a.noconvert(), "d_features"_a.noconvert().none(), "screen"_a.noconvert().none(), "score"_a.noconvert().none(),
        "ids"_a.noconvert().none(), "body_R"_a.noconvert().none(), "body_t"_a.noconvert().none(), "compact"_a);
  m.def("label_weights", &label_weights, "call"_a, "labels"_a, "weights"_a.none(),
        "votes"_a.noconvert());
  m.def("loss", &loss, "rgb"_a.noconvert(), "target"_a, "valid"_a.none(), "exposure"_a.none(), "ssim_weight"_a, "grad_rgb"_a.noconvert(),
        "error"_a.noconvert().none());
  m.def("geometry_loss", &geometry_loss, "alpha"_a, "depth"_a.none(), "sensor_depth"_a.none(), "valid"_a.none(),
        "outside"_a.none(), "depth_weight"_a, "alpha_weight"_a, "noise"_a, "grad_alpha"_a.noconvert(),
        "grad_depth"_a.noconvert().none());
  m.def("adam", &adam, "ids"_a, "steps"_a.noconvert(), "groups"_a, "beta1"_a = 0.9f, "beta2"_a = 0.999f, "eps"_a = 1e-15f);
  m.def("penalize", &penalize, "ids"_a, "opacities"_a.noconvert(), "scales"_a.noconvert(), "opacity_weight"_a, "scale_weight"_a,
        "grad_opacities"_a.noconvert(), "grad_scales"_a.noconvert());
  m.def("collect", &collect, "ids"_a, "screen"_a, "score"_a, "screen_factor"_a, "seen"_a.noconvert(), "pull"_a.noconvert(), "covered"_a.noconvert());
  m.def("isa", [] { return std::string(current()->name); });
  m.def("set_isa", &set_isa, "name"_a);
  m.def("supported_isas", [] {
    std::vector<std::string> names;
    for (const KernelTable* t : supported_tables()) names.emplace_back(t->name);
    return names;
  });
  m.def("threads", &thread_count);
  m.def("set_threads", &set_thread_count, "count"_a);
  m.def("peak", [](int iterations) { return current()->peak(iterations); }, "iterations"_a = 20000000);
}
