"""Splats as prims: `Gaussians` in a body's frame -> ParticleField3DGaussianSplat, arrays moved without a loop.

The schema stores values after their activation: linear deviations, opacities in [0, 1], spherical harmonics in the
order of 3DGS, orientations as xyzw in arrays [usdVol of OpenUSD 26.05]. What readers decide by the bounding box gets
one of ours: the schema computes none, and bare centres would let visible splats be culled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scene3d import Gaussians

__all__ = ["SPLATS", "SplatArrays", "bytes_of", "splat_arrays", "write_moving", "write_splats"]

SPLATS = "ParticleField3DGaussianSplat"
"""Type of the prims."""
SIGMAS = 3.0
"""How many deviations of a splat count as visible."""
COLOR_SPACE = "srgb_rec709_display"
"""Splats are fitted to photos as they are displayed."""
SLICE = 1 << 18


@dataclass(frozen=True, eq=False)
class SplatArrays:
    """N splats as the schema stores them."""

    positions: NDArray[np.float32]
    """[m], shape (N, 3)."""
    orientations: NDArray[np.float32]
    """Unit xyzw, shape (N, 4)."""
    scales: NDArray[np.float32]
    """Standard deviations [m], shape (N, 3)."""
    opacities: NDArray[np.float32]
    """0 to 1, shape (N,)."""
    harmonics: NDArray[np.float32]
    """RGB of (degree + 1)^2 coefficients, shape (N, K, 3)."""

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def degree(self) -> int:
        """Of the spherical harmonics."""
        return round(self.harmonics.shape[1] ** 0.5) - 1

    def part(self, rows: slice) -> SplatArrays:
        """Some of them."""
        return SplatArrays(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def extent(self) -> NDArray[np.float32]:
        """Box around the ellipsoids of 3 standard deviations [m], shape (2, 3)."""
        low, high = np.full(3, np.inf), np.full(3, -np.inf)
        for start in range(0, len(self), SLICE):
            rows = slice(start, start + SLICE)
            reach = SIGMAS * _half_sizes(self.orientations[rows], self.scales[rows])
            centres = np.ascontiguousarray(self.positions[rows].T)
            low = np.minimum(low, (centres - reach).min(axis=1))
            high = np.maximum(high, (centres + reach).max(axis=1))
        return np.stack([low, high]).astype(np.float32) if len(self) else np.zeros((2, 3), dtype=np.float32)


def splat_arrays(splats: Gaussians) -> tuple[SplatArrays, NDArray[np.bool_]]:
    """What the schema stores of splats, and which of them: those with a number that is not finite are left out."""
    import torch

    quats = torch.nn.functional.normalize(splats.quats.float(), dim=1)
    quats = torch.where((quats.abs().sum(dim=1) < 0.5)[:, None], quats.new_tensor([1.0, 0, 0, 0]), quats)
    arrays = SplatArrays(
        positions=_array(splats.means),
        orientations=_array(quats[:, [1, 2, 3, 0]]),
        scales=_array(splats.scales.exp()),
        opacities=_array(splats.opacities.sigmoid()),
        harmonics=_array(torch.cat([splats.sh0, splats.shN], dim=1)),
    )
    sound = np.ones(len(arrays), dtype=bool)
    for name in arrays.__dataclass_fields__:
        values = getattr(arrays, name)
        if not np.isfinite(values).all():
            sound &= np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if sound.all():
        return arrays, sound
    kept = SplatArrays(*(getattr(arrays, name)[sound] for name in arrays.__dataclass_fields__))
    return kept, sound


def write_splats(stage: Any, path: str, arrays: SplatArrays, *, half: bool = False) -> Any:
    """Define the prim and author all of its attributes.

    Args:
        stage: `Usd.Stage`.
        path: Of the prim.
        arrays: What it holds.
        half: Orientations, sizes, opacities and colours in half precision; centres stay whole, because a half is only
            good to half a millimetre at a metre.

    Returns:
        The `Usd.Prim`.
    """
    from pxr import Usd, Vt

    prim = stage.DefinePrim(path, SPLATS)
    write_moving(prim, arrays, half=half)
    bits = np.float16 if half else np.float32
    _named(prim, "scales", half).Set(
        (Vt.Vec3hArray if half else Vt.Vec3fArray).FromNumpy(arrays.scales.astype(bits, copy=False))
    )
    opacities = (Vt.HalfArray if half else Vt.FloatArray).FromNumpy(arrays.opacities.astype(bits, copy=False))
    _named(prim, "opacities", half).Set(opacities)
    prim.GetAttribute("radiance:sphericalHarmonicsDegree").Set(arrays.degree)
    prim.GetAttribute("projectionModeHint").Set("perspective")
    # Splats are fitted by a renderer that sorts them so.
    prim.GetAttribute("sortingModeHint").Set("zDepth")
    Usd.ColorSpaceAPI.Apply(prim).CreateColorSpaceNameAttr(COLOR_SPACE)
    return prim


def write_moving(prim: Any, arrays: SplatArrays, *, half: bool = False, time: float | None = None) -> None:
    """Author what changes when splats of a deformable move: centres, orientations, colours, the box.

    Args:
        prim: As from `write_splats`.
        arrays: What it holds.
        half: As in `write_splats`.
        time: Time code; None is the value without time.
    """
    from pxr import Usd, Vt

    at = Usd.TimeCode.Default() if time is None else Usd.TimeCode(time)
    bits = np.float16 if half else np.float32
    prim.GetAttribute("positions").Set(Vt.Vec3fArray.FromNumpy(arrays.positions), at)
    turned = (Vt.QuathArray if half else Vt.QuatfArray).FromNumpy(arrays.orientations.astype(bits, copy=False))
    _named(prim, "orientations", half).Set(turned, at)
    harmonics = arrays.harmonics.reshape(-1, 3).astype(bits, copy=False)
    colours = _named(prim, "radiance:sphericalHarmonicsCoefficients", half)
    colours.Set((Vt.Vec3hArray if half else Vt.Vec3fArray).FromNumpy(harmonics), at)
    colours.SetMetadata("elementSize", arrays.harmonics.shape[1])
    colours.SetMetadata("interpolation", "vertex")
    prim.GetAttribute("extent").Set(Vt.Vec3fArray.FromNumpy(arrays.extent()), at)


def bytes_of(arrays: Sequence[SplatArrays] | SplatArrays, *, half: bool = False) -> int:
    """Size of the arrays in a file [bytes], which stores numbers of this kind as they are."""
    if not isinstance(arrays, SplatArrays):
        return sum(bytes_of(each, half=half) for each in arrays)
    per_splat = 12 + (4 + 3 + 1 + 3 * arrays.harmonics.shape[1]) * (2 if half else 4)
    return len(arrays) * per_splat


def _named(prim: Any, name: str, half: bool) -> Any:
    """The attribute of that name; a float would win over a half, so only one of the two is authored."""
    return prim.GetAttribute(name + "h" if half else name)


def _half_sizes(xyzw: NDArray[np.float32], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half sides of the boxes around ellipsoids of one standard deviation [m], shape (3, N): |row of R S|."""
    # Numbers of one kind side by side: three times as fast as columns of a table.
    x, y, z, w = np.ascontiguousarray(xyzw.T)
    sx, sy, sz = np.square(np.ascontiguousarray(scales.T))
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.sqrt(np.stack([a * a * sx + b * b * sy + c * c * sz for a, b, c in rows]))


def _array(values: Any) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.detach().float().cpu().numpy())
