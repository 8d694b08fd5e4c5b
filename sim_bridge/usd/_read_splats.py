"""ParticleField3DGaussianSplat prims -> `Gaussians`: activated values back to those that 3DGS stores.

The schema holds linear deviations, opacities in [0, 1] and orientations as xyzw arrays, in float or in half precision
(float wins). It says that arrays that are too long are cut and those that are too short ignored; here both are said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import FileFormatError
from sim_bridge.usd._read_values import authored

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d import Gaussians
    from scene3d.capture._similarity import Similarity
    from sim_bridge.usd._read_values import StageReader

__all__ = ["SPLAT_TYPE", "RawSplats", "read_raw", "read_splats"]

SPLAT_TYPE = "ParticleField3DGaussianSplat"
MOST_SPLATS = 50_000_000
MOST_DEGREE = 3
LEAST_OPACITY, MOST_OPACITY = 1e-10, 1 - 2.0**-25
"""Opacities 0 and 1 have no logit; these are as good as they, and the second rounds to 1 when it is written again."""
LEAST_SCALE = 1e-12
"""A deviation of 0 has no logarithm [units of the stage]."""
POSITIONS, SCALES, ORIENTATIONS, OPACITIES = "positions", "scales", "orientations", "opacities"
HARMONICS, DEGREE = "radiance:sphericalHarmonicsCoefficients", "radiance:sphericalHarmonicsDegree"


@dataclass(frozen=True, eq=False)
class RawSplats:
    """N splats as a prim holds them, in its own coordinates; None for what nobody authored."""

    positions: NDArray[np.float32]
    """Shape (N, 3)."""
    scales: NDArray[np.float32] | None
    """Linear standard deviations, shape (M, 3), M not necessarily N."""
    orientations_xyzw: NDArray[np.float32] | None
    """Shape (M, 4)."""
    opacities: NDArray[np.float32] | None
    """Shape (M,)."""
    harmonics: NDArray[np.float32] | None
    """Coefficients, those of one splat after those of another, shape (M, 3)."""
    degree: int
    """Of the spherical harmonics, as said or, where nothing is said, as the coefficients tell."""


def read_raw(reader: StageReader, prim: Any) -> RawSplats:
    """The arrays of a splat prim, at the moment that the reader chooses.

    Raises:
        FileFormatError: It has no positions or more than 50 million, or arrays of another kind.
    """
    positions = _either(reader, prim, POSITIONS, 3, MOST_SPLATS)
    if positions is None:
        raise FileFormatError(f"{reader.path}: the splats {prim.GetPath()} have no positions. Export them again.")
    coefficients = MOST_SPLATS * 16
    harmonics = _either(reader, prim, HARMONICS, 3, coefficients)
    degree = int(reader.value(prim, DEGREE))
    if not authored(prim, DEGREE) and harmonics is not None and len(positions):
        per_splat = len(harmonics) // len(positions)
        degree = int(np.sqrt(per_splat)) - 1 if per_splat in (1, 4, 9, 16, 25) else degree
    return RawSplats(
        positions,
        _either(reader, prim, SCALES, 3, MOST_SPLATS),
        _either(reader, prim, ORIENTATIONS, 4, MOST_SPLATS),
        _either(reader, prim, OPACITIES, 1, MOST_SPLATS),
        harmonics,
        degree,
    )


def read_splats(reader: StageReader, prim: Any, move: Similarity | None, component: int) -> Gaussians:
    """The splats of a prim, in the frame that they are wanted in.

    Args:
        reader: Of the stage; gets notes about what could not be kept.
        prim: A ParticleField3DGaussianSplat.
        move: From the prim's coordinates to the wanted frame; None leaves them to the bit.
        component: Body that they ride on, 0 for the background.

    Raises:
        FileFormatError: Its arrays cannot be read.
    """
    from dataclasses import replace

    import torch

    from scene3d import Gaussians
    from scene3d.capture._similarity import transform_splats

    raw, where = read_raw(reader, prim), prim.GetPath()
    n = len(raw.positions)
    scales = _whole(reader, raw.scales, n, f"scales of {where}")
    quats = _whole(reader, raw.orientations_xyzw, n, f"orientations of {where}")
    opacities = _whole(reader, raw.opacities, n, f"opacities of {where}")
    scales = np.ones((n, 3), dtype=np.float32) if scales is None else scales
    quats = np.tile(np.array([0.0, 0.0, 0.0, 1.0], dtype=np.float32), (n, 1)) if quats is None else quats
    opacities = np.ones(n, dtype=np.float32) if opacities is None else opacities
    colours = _colours(reader, prim, raw)
    sound = _sound(raw.positions, scales, quats, opacities, colours)
    if not sound.all():
        reader.note(
            f"{int((~sound).sum())} of {n} splats of {where} hold numbers that make no sense and were left out."
        )
    o = np.clip(opacities[sound].astype(np.float64), LEAST_OPACITY, MOST_OPACITY)
    found = Gaussians.create(
        means=_tensor(raw.positions[sound]),
        quats=_tensor(quats[sound][:, [3, 0, 1, 2]]),
        scales=_tensor(np.log(np.maximum(scales[sound].astype(np.float64), LEAST_SCALE))),
        opacities=_tensor(np.log(o) - np.log1p(-o)),
        sh0=_tensor(colours[sound, :1]),
        shN=_tensor(colours[sound, 1:]),
    )
    _note_colour_space(reader, prim)
    if move is not None:
        found = transform_splats(found, move)
    return replace(found, component_index=torch.full((len(found),), component, dtype=torch.int32))


def _either(reader: StageReader, prim: Any, name: str, columns: int, most: int) -> NDArray[np.float32] | None:
    """The float array, or the half one when there is no float one."""
    found = reader.array(prim, name, columns, most, np.float32)
    return reader.array(prim, name + "h", columns, most, np.float32) if found is None else found


def _whole(reader: StageReader, found: NDArray[np.float32] | None, n: int, what: str) -> NDArray[np.float32] | None:
    """The first n rows; None, and a note, when there are fewer."""
    if found is None or len(found) < n:
        reader.note(
            f"The {what} are {'missing' if found is None else f'only {len(found)} of {n}'}; taken as the schema "
            "says: round splats of one unit, whole opacity."
            if n
            else f"The {what} are empty."
        )
        return None
    if len(found) > n:
        reader.note(f"The {what} are {len(found)}, more than the {n} positions; the rest was left out.")
    return found[:n]


def _colours(reader: StageReader, prim: Any, raw: RawSplats) -> NDArray[np.float32]:
    """Coefficients (N, K, 3) of degree 0 to 3."""
    from scene3d._gaussians import SH_C0

    n, where = len(raw.positions), prim.GetPath()
    if raw.harmonics is not None and 0 <= raw.degree <= 16:
        per_splat = (raw.degree + 1) ** 2
        if len(raw.harmonics) >= n * per_splat:
            if raw.degree > MOST_DEGREE:
                reader.note(f"The colours of {where} are of degree {raw.degree}; degrees above 3 were left out.")
            if len(raw.harmonics) > n * per_splat:
                reader.note(f"{where} has more colour coefficients than {n} splats need; the rest was left out.")
            kept = min(per_splat, (MOST_DEGREE + 1) ** 2)
            return raw.harmonics[: n * per_splat].reshape(n, per_splat, 3)[:, :kept]
    display = reader.array(prim, "primvars:displayColor", 3, MOST_SPLATS)
    if display is not None and len(display) == n:
        reader.note(f"{where} has no colour coefficients that fit its splats; its display colours were taken.")
        return ((display - 0.5) / SH_C0)[:, None].astype(np.float32)
    reader.note(f"{where} has no colour coefficients that fit its splats; they are grey, as the schema says.")
    return np.zeros((n, 1, 3), dtype=np.float32)


def _sound(positions: Any, scales: Any, quats: Any, opacities: Any, colours: Any) -> NDArray[np.bool_]:
    sound = np.isfinite(positions).all(axis=1) & np.isfinite(scales).all(axis=1) & (scales >= 0).all(axis=1)
    sound &= np.isfinite(quats).all(axis=1) & (np.abs(quats).max(axis=1, initial=0) > 0)
    return sound & np.isfinite(opacities) & np.isfinite(colours).all(axis=(1, 2))


def _note_colour_space(reader: StageReader, prim: Any) -> None:
    space = str(reader.value(prim, "colorSpace:name") or "")
    if space and "lin" in space:
        reader.note(f"The colours of {prim.GetPath()} are declared {space}; they were kept as if they were sRGB.")


def _tensor(values: NDArray[Any]) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
