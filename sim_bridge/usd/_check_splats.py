"""The asset rules of particle fields: everything authored, lengths that agree, values in range, a box that holds it.

They are those that Omniverse publishes for Gaussian splats (rule VG.035) and two of ours: the extent must reach three
standard deviations, or visible splats are culled, and the splats' own transform must not squeeze them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import FileFormatError
from sim_bridge.usd._check_finding import Finding
from sim_bridge.usd._read_frames import similarity_of
from sim_bridge.usd._read_splats import RawSplats, read_raw
from sim_bridge.usd._read_values import authored
from sim_bridge.usd._splat_prims import SplatArrays

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sim_bridge.usd._read_values import StageReader

__all__ = ["check_splats"]

ARRAYS = ("positions", "orientations", "scales", "opacities", "radiance:sphericalHarmonicsCoefficients")
UNIT, UNIT_HALF = 1e-3, 1e-2
"""How far from 1 the length of a quaternion may be, in single and in half precision."""
EXTENT_SLACK = 1e-3
"""Share of its size by which an extent may fall short."""
AGAIN = "Export the splats again."


def check_splats(reader: StageReader, prim: Any) -> Iterator[Finding]:
    """The rules for one ParticleField3DGaussianSplat.

    Args:
        reader: Of the stage.
        prim: The prim.
    """
    path = str(prim.GetPath())

    def error(rule: str, message: str, hint: str = AGAIN) -> Finding:
        return Finding("error", rule, path, message, hint)

    missing = [name for name in ARRAYS if not (authored(prim, name) or authored(prim, name + "h"))]
    if missing:
        yield error("splat-missing", f"Not authored: {', '.join(missing)}.", "Author all arrays; readers fill in grey.")
    for name in ARRAYS:
        if authored(prim, name) and authored(prim, name + "h"):
            message = f"{name} is authored in single and in half precision; readers take the first."
            yield Finding("warning", "splat-twice", path, message, f"Remove {name}h.")
    if missing == list(ARRAYS) or "positions" in missing:
        return
    try:
        raw = read_raw(reader, prim)
    except FileFormatError as reason:
        yield error("splat-lengths", str(reason))
        return
    yield from _lengths(prim, raw, error)
    yield from _ranges(prim, raw, error)
    yield from _extent(reader, prim, raw)
    if not authored(prim, "colorSpace:name"):
        message = "No colour space is given, so readers may take the colours for linear."
        hint = 'Apply ColorSpaceAPI with colorSpace:name "srgb_rec709_display".'
        yield Finding("warning", "splat-colour-space", path, message, hint)
    try:
        similarity_of(reader.matrix(prim), path)
    except FileFormatError as reason:
        yield error("splat-scale", str(reason), "Make the scales above the splats uniform.")


def _lengths(prim: Any, raw: RawSplats, error: Any) -> Iterator[Finding]:
    n = len(raw.positions)
    for name, array in (
        ("scales", raw.scales),
        ("orientations", raw.orientations_xyzw),
        ("opacities", raw.opacities),
    ):
        if array is not None and len(array) != n:
            what = "too few are ignored" if len(array) < n else "the rest is cut off"
            yield error("splat-lengths", f"{name} has {len(array)} elements for {n} positions; {what} by readers.")
    if not authored(prim, "radiance:sphericalHarmonicsDegree"):
        yield error(
            "splat-degree",
            "The degree of the spherical harmonics is not authored, so readers take 3.",
            "Author radiance:sphericalHarmonicsDegree.",
        )
    elif raw.harmonics is not None:
        wanted = n * (raw.degree + 1) ** 2 if raw.degree >= 0 else -1
        if len(raw.harmonics) != wanted:
            said = f"{len(raw.harmonics)} coefficients for {n} splats of degree {raw.degree}, which need {wanted}"
            yield error("splat-degree", f"Found {said}.", "Author (degree + 1)^2 coefficients for each splat.")
        elif raw.degree > 3:
            message = f"Colours of degree {raw.degree}: renderers draw degrees up to 3."
            yield error("splat-degree", message, "Leave the higher degrees out.")


def _ranges(prim: Any, raw: RawSplats, error: Any) -> Iterator[Finding]:
    half = not authored(prim, "orientations")
    named = {"positions": raw.positions, "scales": raw.scales, "opacities": raw.opacities, ARRAYS[4]: raw.harmonics}
    for name, array in named.items():
        if array is not None and not np.isfinite(array).all():
            count = int((~np.isfinite(array)).sum())
            yield error("splat-range", f"{name} holds {count} values that are not finite.", "Leave such splats out.")
    if raw.scales is not None and (raw.scales <= 0).any():
        count = int((raw.scales <= 0).any(axis=1).sum())
        message = f"{count} splats have scales that are not above zero; scales are linear here, not logarithms."
        yield error("splat-range", message, "Author exp(scale) of a 3DGS file.")
    if raw.opacities is not None and ((raw.opacities < 0) | (raw.opacities > 1)).any():
        low, high = float(raw.opacities.min()), float(raw.opacities.max())
        message = f"Opacities reach from {low:.3g} to {high:.3g}; they are shares from 0 to 1 here, not logits."
        yield error("splat-range", message, "Author sigmoid(opacity) of a 3DGS file.")
    if raw.orientations_xyzw is not None and len(raw.orientations_xyzw):
        off = np.abs(np.linalg.norm(raw.orientations_xyzw.astype(np.float64), axis=1) - 1)
        worst = float(off.max()) if np.isfinite(off).all() else float("inf")
        if not worst <= (UNIT_HALF if half else UNIT):
            message = f"Quaternions are not of unit length; the worst is off by {worst:.3g}."
            yield error("splat-quaternions", message, "Divide each by its length.")


def _extent(reader: StageReader, prim: Any, raw: RawSplats) -> Iterator[Finding]:
    path = str(prim.GetPath())
    extent = reader.array(prim, "extent", 3, 2)
    hint = "Author the box of all centres, each widened by 3 standard deviations along its axes."
    if extent is None or len(extent) != 2:
        message = "No extent is authored; USD computes none for splats, so they are culled or framed wrongly."
        yield Finding("warning", "splat-extent", path, message, hint)
        return
    needed = _needed(raw)
    if needed is None:
        return
    short = np.maximum(extent[0] - needed[0], needed[1] - extent[1]).max()
    if short > EXTENT_SLACK * float(np.ptp(needed, axis=0).max()):
        message = f"The extent ends {short:.3g} units short of 3 standard deviations: splats at its edge get culled."
        yield Finding("warning", "splat-extent", path, message, hint)


def _needed(raw: RawSplats) -> NDArray[np.float64] | None:
    """The box of 3 standard deviations (2, 3); None when the arrays do not fit each other."""
    n = len(raw.positions)
    if raw.scales is None or raw.orientations_xyzw is None or n == 0:
        return None
    if len(raw.scales) < n or len(raw.orientations_xyzw) < n:
        return None
    arrays = (raw.positions, raw.orientations_xyzw[:n], raw.scales[:n])
    sound = np.logical_and.reduce([np.isfinite(array).all(axis=1) for array in arrays])
    lengths = np.linalg.norm(arrays[1], axis=1)
    sound &= lengths > 0
    if not sound.any():
        return None
    positions, quats, scales = (array[sound].astype(np.float64) for array in arrays)
    nothing = np.zeros(len(positions), dtype=np.float32)
    boxed: Any = SplatArrays(positions, quats / lengths[sound, None], scales, nothing, nothing[:, None, None])  # type: ignore[arg-type]
    return boxed.extent().astype(np.float64)
