"""What `csrc/module.cpp` binds: the CPU kernels, as type checkers and editors see them.

Arrays are numpy arrays or torch tensors in CPU memory, float32 and C-contiguous unless a docstring says otherwise.
Inputs of another kind are converted; arrays that are written to must be of exactly that kind, because a conversion
would take the result with it. N is the number of splats, nb of bodies, F of feature channels, V of visible splats; an
image is (H, W) or (H, W, channels). Shapes are checked, and a wrong one is a ValueError. The GIL is released meanwhile.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias, TypedDict

from numpy.typing import NDArray
from torch import Tensor  # noqa: TID253 - a stub is never executed.

_Array: TypeAlias = Tensor | NDArray[Any]

class Call:
    """The splats and the view of one call; keeps their memory alive."""

    def __init__(
        self,
        means: _Array,
        quats: _Array,
        scales: _Array,
        opacities: _Array,
        sh0: _Array,
        shN: _Array,
        R: _Array,
        t: _Array,
        component: _Array | None,
        features: _Array | None,
        width: int,
        height: int,
        intrinsics: tuple[float, float, float, float],
        sh_degree: int,
        eps2d: float,
        near_plane: float,
    ) -> None:
        """Check shapes and hold the arrays.

        Args:
            means: Centres in the body frame [m], shape (N, 3).
            quats: Orientations wxyz, not necessarily normalised, shape (N, 4).
            scales: Log standard deviations [log m], shape (N, 3).
            opacities: Logit opacities, shape (N,).
            sh0: Degree-0 coefficients, shape (N, 1, 3).
            shN: Higher coefficients, shape (N, 0 | 3 | 8 | 15, 3).
            R: Rotations from body to camera, shape (nb, 3, 3).
            t: Translations from body to camera [m], shape (nb, 3).
            component: Body of each splat, int32, shape (N,); None when all ride on body 0.
            features: Values to blend beside the colours, shape (N, F), or None.
            width: Image width [px].
            height: Image height [px].
            intrinsics: fx, fy, cx, cy [px].
            sh_degree: Degree to evaluate, 0 to 3, at most the stored one.
            eps2d: Variance added to projected splats [px^2].
            near_plane: Splats nearer than this are not drawn [m].
        """

class State:
    """What `forward` leaves for `backward`; may be used again and again, which saves its allocations."""

    def __init__(self) -> None:
        """An empty state."""

    @property
    def visible(self) -> int:
        """Number V of splats in the view of the last `forward`."""

    @property
    def intersections(self) -> int:
        """Number of (splat, tile) pairs of the last `forward`."""

    @property
    def seconds(self) -> tuple[float, float, float, float]:
        """Time of the last call in projection, sorting and binning, raster, and raster gradient [s]."""

class _Loss(TypedDict):
    loss: float
    """(1 - w) L1 + w (1 - SSIM) over valid pixels."""
    l1: float
    ssim: float
    mse: float
    """Mean squared error of the clamped colours."""
    grad_exposure: list[float]
    """Gradient of the colour map, 12 numbers, rows of (3, 4)."""

class _GeometryLoss(TypedDict):
    loss: float
    """Both parts with their weights."""
    depth: float
    """Huber of the relative depth error, summed over pixels, per valid pixel."""
    alpha: float
    """Absolute error of alpha, summed over pixels, per valid pixel."""

def forward(
    call: Call, state: State, rgb: _Array, alpha: _Array, depth: _Array | None, features: _Array | None
) -> None:
    """Render into the images given.

    Args:
        call: Splats and view.
        state: Filled for `backward`.
        rgb: Written: sum of w colour, shape (H, W, 3).
        alpha: Written: sum of w, shape (H, W).
        depth: Written: sum of w z [m], shape (H, W); None leaves it out.
        features: Written: sum of w feature, shape (H, W, F); given exactly when the call has features.
    """

def backward(
    call: Call,
    state: State,
    rgb: _Array,
    alpha: _Array,
    depth: _Array | None,
    features: _Array | None,
    g_rgb: _Array,
    g_alpha: _Array | None,
    g_depth: _Array | None,
    g_features: _Array | None,
    score_map: _Array | None,
    means: _Array,
    quats: _Array,
    scales: _Array,
    opacities: _Array,
    sh0: _Array,
    shN: _Array,
    d_features: _Array | None,
    screen: _Array | None,
    score: _Array | None,
    ids: _Array | None,
    body_R: _Array | None,
    body_t: _Array | None,
    compact: bool,
) -> None:
    """Gradients of splats, features and body transforms from gradients of the images.

    Rows of the outputs are splats, or with ``compact`` only the V visible ones, ordered by id. There may be more rows
    than are written.

    Args:
        call: The call of the forward pass.
        state: What the forward pass left.
        rgb: Image of the forward pass, shape (H, W, 3).
        alpha: Image of the forward pass, shape (H, W).
        depth: Image of the forward pass, shape (H, W); needed with ``g_depth``.
        features: Image of the forward pass, shape (H, W, F), or None.
        g_rgb: Gradient of rgb, shape (H, W, 3).
        g_alpha: Gradient of alpha, shape (H, W), or None.
        g_depth: Gradient of the weighted depth, shape (H, W), or None.
        g_features: Gradient of the feature images, shape (H, W, F), or None.
        score_map: Map whose weighted sum ``score`` collects, shape (H, W); None, or without ``g_features``.
        means: Written, shape (rows, 3).
        quats: Written, shape (rows, 4).
        scales: Written, shape (rows, 3).
        opacities: Written, shape (rows,).
        sh0: Written, shape (rows, 1, 3).
        shN: Written, shape (rows, 0 | 3 | 8 | 15, 3).
        d_features: Written, shape (rows, F), or None.
        screen: Written: norm of the gradient of the projected centre [1/px], shape (rows,), or None.
        score: Written: sum of w ``score_map`` per splat, shape (rows,), or None.
        ids: Written: ids of the visible splats, increasing, int32, shape (V,), or None.
        body_R: Written: gradient of the rotations, float64, shape (nb, 3, 3); None, then ``body_t`` as well.
        body_t: Written: gradient of the translations, float64, shape (nb, 3).
        compact: Whether rows are visible splats rather than all.
    """

def label_weights(call: Call, labels: _Array, weights: _Array | None, votes: _Array) -> None:
    """Add up, for each splat and label, alpha T over the pixels of that label.

    Args:
        call: Splats and view; colours are not looked at.
        labels: Label of each pixel, int32, shape (H, W); values that are not 0 to L - 1 count for nothing.
        weights: What each pixel counts, shape (H, W); None for 1.
        votes: Added to, shape (N, L).
    """

def loss(
    rgb: _Array,
    target: _Array,
    valid: _Array | None,
    exposure: _Array | None,
    ssim_weight: float,
    grad_rgb: _Array,
    error: _Array | None,
) -> _Loss:
    """Compare an image with a photo and differentiate.

    Args:
        rgb: Rendered colours, shape (H, W, 3).
        target: Colours of the photo, shape (H, W, 3).
        valid: Pixels that count, uint8, shape (H, W); None when all do.
        exposure: Affine colour map applied to ``rgb`` first, shape (3, 4); None for the identity.
        ssim_weight: Weight w of 1 - SSIM; L1 has the rest.
        grad_rgb: Written: gradient of the loss, shape (H, W, 3).
        error: Written: mean absolute error of each pixel, shape (H, W), or None.
    """

def geometry_loss(
    alpha: _Array,
    depth: _Array | None,
    sensor_depth: _Array | None,
    valid: _Array | None,
    outside: _Array | None,
    depth_weight: float,
    alpha_weight: float,
    noise: float,
    grad_alpha: _Array,
    grad_depth: _Array | None,
) -> _GeometryLoss:
    """Compare rendered depth and alpha with sensor depth and an object's mask, and differentiate.

    ``depth``, ``sensor_depth`` and ``grad_depth`` are given together or not at all.

    Args:
        alpha: Rendered alpha, shape (H, W).
        depth: Rendered sum of w z [m], shape (H, W); None without sensor depth.
        sensor_depth: Depth along the camera's z axis [m], 0 where unknown, shape (H, W), or None.
        valid: Pixels whose colour counts, uint8, shape (H, W); None when all do. Their number divides the sums.
        outside: Pixels that must be transparent, uint8, shape (H, W); other valid ones must then be opaque. None leaves
            alpha free.
        depth_weight: Weight of the Huber of the relative depth error.
        alpha_weight: Weight of the absolute error of alpha.
        noise: Relative depth error below which the Huber is quadratic, positive.
        grad_alpha: Written: gradient of the loss, shape (H, W).
        grad_depth: Written: gradient of the loss with respect to ``depth``, shape (H, W), or None.
    """

def adam(
    ids: _Array,
    steps: _Array,
    groups: Sequence[tuple[_Array, _Array, _Array, _Array, float]],
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-15,
) -> None:
    """One Adam step on some rows, in place.

    Args:
        ids: Rows that move, int32, shape (V,).
        steps: Steps that each row has made, int32, shape (N,); counted up.
        groups: Parameter, first moment and second moment, shape (N, ...) each, compact gradient, at least V rows of the
            same width, and learning rate. A rate of zero leaves the group as it is.
        beta1: Decay of the first moment.
        beta2: Decay of the second moment.
        eps: Added to the root of the second moment.
    """

def penalize(
    ids: _Array,
    opacities: _Array,
    scales: _Array,
    opacity_weight: float,
    scale_weight: float,
    grad_opacities: _Array,
    grad_scales: _Array,
) -> None:
    """Add the gradients of opacity_weight sum(opacity) + scale_weight sum(scale) over the splats given.

    Args:
        ids: Splats, int32, shape (V,).
        opacities: Logit opacities, shape (N,).
        scales: Log standard deviations [log m], shape (N, 3).
        opacity_weight: Weight of the opacities.
        scale_weight: Weight of the standard deviations [1/m].
        grad_opacities: Added to, one row per id, at least V.
        grad_scales: Added to, shape (at least V, 3).
    """

def collect(
    ids: _Array,
    screen: _Array,
    score: _Array,
    screen_factor: float,
    seen: _Array,
    pull: _Array,
    covered: _Array,
) -> None:
    """Add what one view saw to the statistics of density control.

    Args:
        ids: Splats, int32, shape (V,).
        screen: As from `backward`, at least V rows.
        score: As from `backward`, at least V rows.
        screen_factor: Factor of ``screen`` [px].
        seen: One is added for each id, shape (N,).
        pull: ``screen_factor`` times ``screen`` is added, shape (N,).
        covered: ``score`` is added, shape (N,).
    """

def isa() -> str:
    """Name of the instruction set whose kernels run: avx512, avx2 or baseline."""

def set_isa(name: str) -> None:
    """Choose the kernels of another instruction set; a ValueError when this machine or build has none."""

def supported_isas() -> list[str]:
    """Names of the instruction sets that this machine runs, best first."""

def threads() -> int:
    """Number of threads of the pool."""

def set_threads(count: int) -> None:
    """Choose the number of threads; 0 restores the number of processors this process may use."""

def peak(iterations: int = 20000000) -> float:
    """Multiply-adds per second of one thread, register to register."""
