// What crosses the border between the bindings (module.cpp) and the kernels (kernels.cpp, compiled once per
// instruction set): plain pointers, sizes, and the state that a forward pass keeps for its backward pass.
#pragma once
#include <cstdint>
#include <vector>

namespace scene3d {

constexpr float kAlphaMin = 1.0f / 255.0f;  // Contributions below are skipped, as in gsplat.
constexpr float kAlphaMax = 0.999f;
constexpr float kTransmittanceMin = 1e-4f;  // A pixel stops before the splat that would take it below this.
constexpr int kTile = 32;                   // Pixels per side of a tile.
constexpr int kChunk = 1024;                // Splats per unit of parallel work; fixed, so results never depend on threads.

// Splats before activation, row-major, N rows each.
struct Splats {
  int n;
  const float *means, *quats, *scales, *opacities, *sh0, *shN;
  const int32_t* component;  // Body of each splat; null when there is only one.
  int shN_count;             // Rows of shN per splat: 0, 3, 8 or 15.
  int sh_degree;             // Degree to evaluate, at most the stored one.
};

struct View {
  int width, height;
  float fx, fy, cx, cy;
  float eps2d, near_plane;
  int bodies;
  const float* R;  // (bodies, 3, 3) rotation body -> camera.
  const float* t;  // (bodies, 3) translation body -> camera.
};

// One visible splat on the screen: exactly a cache line. With conic (A, B, C) and E = 2 ln(255 opacity) the splat
// covers A dx^2 + 2 B dx dy + C dy^2 <= E, that is |dx + k1 dy| <= sqrt(k0 - k2 dy^2).
struct alignas(64) Record {
  float mx, my, A, B, C, opacity;
  float r, g, b, z;
  float k0, k1, k2, dy_right, ry;
  int32_t id;
};

struct TileEntry {
  uint32_t record;  // Index into State::records.
  uint32_t row;     // Row of the gradient buffer that belongs to this (splat, tile) pair alone.
};

// Everything that the forward pass leaves for the backward pass.
struct State {
  int tiles_x = 0, tiles_y = 0;
  std::vector<Record> records;          // Indexed chunk * kChunk + k; only the first chunk_count[chunk] are set.
  std::vector<int32_t> chunk_count;     // Visible splats per chunk.
  std::vector<uint32_t> order;          // Record indices by increasing depth.
  std::vector<uint32_t> first_row, rows;  // Gradient rows of each record.
  std::vector<int32_t> tile_begin;      // (tiles + 1)
  std::vector<int32_t> tile_stop;       // Entries past this one touch no pixel that is still open.
  std::vector<TileEntry> entries;
  double seconds[4] = {0, 0, 0, 0};     // Project, sort and bin, raster, backward.
  int visible() const { return static_cast<int>(order.size()); }
};

struct Images {
  float* rgb;       // (H, W, 3) sum of w c.
  float* alpha;     // (H, W) sum of w.
  float* depth;     // (H, W) sum of w z; may be null.
  float* features;  // (H, W, F) sum of w f; may be null.
};

struct ImageGradients {
  const float *rgb, *alpha, *depth, *features;  // All but rgb may be null.
  const float* score;  // (H, W) map to collect per splat as sum of w * score; may be null. Not a gradient.
};

// Row of each output: the splat id, or (compact) its rank among the visible splats by id.
struct SplatGradients {
  float *means, *quats, *scales, *opacities, *sh0, *shN, *features;  // features may be null.
  float* screen;  // (rows,) norm of the gradient of the projected mean [1/px]; may be null.
  float* score;   // (rows,) may be null.
  int32_t* ids;   // (visible,) may be null.
  double* body_R;  // (bodies, 3, 3); may be null, then body_t is null as well.
  double* body_t;  // (bodies, 3)
  bool compact;
};

struct LabelMap {
  const int32_t* labels;  // (H, W); values outside [0, count) are unknown.
  const float* weights;   // (H, W) what a pixel counts; may be null, then 1.
  int count;
};

struct LossInput {
  int width, height;
  const float* rgb;      // (H, W, 3)
  const float* target;   // (H, W, 3)
  const uint8_t* valid;  // (H, W); may be null.
  const float* exposure;  // (3, 4) affine colour map applied to rgb before the comparison; null for identity.
  float ssim_weight;
};

struct LossOutput {
  float* grad_rgb;        // (H, W, 3)
  float* error;           // (H, W) mean absolute error; may be null.
  double grad_exposure[12];
  double loss, l1, ssim, mse;  // Means over valid pixels; mse is of the clamped colours.
};

struct GeometryLossInput {
  int width, height;
  const float* alpha;         // (H, W)
  const float* depth;         // (H, W) sum of w z; null without sensor depth.
  const float* sensor_depth;  // (H, W) camera z, 0 where unknown; may be null.
  const uint8_t* valid;       // (H, W) pixels whose colour counts; may be null.
  const uint8_t* outside;     // (H, W) pixels that must be transparent; may be null, then alpha is free.
  float depth_weight, alpha_weight, noise;
};

struct GeometryLossOutput {
  float* grad_alpha;  // (H, W)
  float* grad_depth;  // (H, W) may be null.
  double loss, depth, alpha;  // The whole, and its two parts before their weights.
};

struct AdamGroup {
  int width;  // Floats per row.
  float *param, *first, *second;
  const float* grad;  // (count, width), compact.
  float lr;
};

struct KernelTable {
  const char* name;
  void (*forward)(const Splats&, const View&, const float* features, int feature_count, State&, const Images&);
  void (*backward)(const Splats&, const View&, const float* features, int feature_count, State&, const Images&,
                   const ImageGradients&, const SplatGradients&);
  void (*label_weights)(const Splats&, const View&, const LabelMap&, float* votes);  // Adds to (n, count).
  void (*loss)(const LossInput&, LossOutput&);
  void (*geometry_loss)(const GeometryLossInput&, GeometryLossOutput&);
  void (*adam)(const int32_t* ids, int count, int32_t* steps, const AdamGroup* groups, int group_count, float beta1,
               float beta2, float eps);
  void (*penalize)(const int32_t* ids, int count, const float* logits, const float* log_scales, float opacity_weight,
                   float scale_weight, float* grad_logits, float* grad_scales);
  void (*collect)(const int32_t* ids, int count, const float* screen, const float* score, float screen_factor,
                  float* seen, float* pull, float* covered);
  double (*peak)(int iterations);  // Multiply-adds per second of one thread, register to register.
};

namespace avx512 { extern const KernelTable table; }
namespace avx2 { extern const KernelTable table; }
namespace baseline { extern const KernelTable table; }

}  // namespace scene3d
