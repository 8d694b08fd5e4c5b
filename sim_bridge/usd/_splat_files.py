"""Splats on their way to files: in the stage's own layer, or, in a large package, in layers of their own.

A member of a .usdz ends below 4 GiB, and so does the package, because its directory counts bytes in 32 bits. A
cloud that is larger than a part becomes several prims side by side: `splat`, `splat_001`, ..., each in a layer of its
own that the stage refers to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import OutputError
from sim_bridge.usd._deformable_prims import write_binding
from sim_bridge.usd._prims import set_pose
from sim_bridge.usd._splat_prims import SPLATS, bytes_of, write_moving, write_splats
from sim_bridge.usd._target import pack, save_layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scene3d._scene_object import Binding
    from sim_bridge.usd._splat_prims import SplatArrays

__all__ = ["PART_BYTES", "Cloud", "write_package", "write_single"]

PART_BYTES = 1 << 30
"""Splats of a larger package go to files of their own below this size."""
PACKAGE_BYTES = (1 << 32) - (1 << 26)
"""The most that a package holds, with room for all that is not splats."""


@dataclass(frozen=True, eq=False)
class Cloud:
    """The splats of one component on their way to a prim."""

    path: str
    """Of the prim."""
    arrays: SplatArrays
    """What it holds."""
    pose: NDArray[np.float64] | None = None
    """Of the prim in its parent, xyz [m] + wxyz; None for the identity."""
    binding: Binding | None = None
    """How they ride on particles, rows as in `arrays`; None for a rigid body's."""
    samples: Sequence[tuple[float, SplatArrays]] = ()
    """Time codes and what the prim holds then."""

    def pieces(self, most: int, *, half: bool) -> Iterator[Cloud]:
        """The cloud in pieces of at most so many bytes."""
        rows = max(1, most * len(self.arrays) // max(1, bytes_of(self.arrays, half=half)))
        for number, start in enumerate(range(0, len(self.arrays), rows)):
            part = slice(start, start + rows)
            yield Cloud(
                path=self.path + (f"_{number:03d}" if number else ""),
                arrays=self.arrays.part(part),
                pose=self.pose,
                binding=_rows(self.binding, part),
                samples=[(time, arrays.part(part)) for time, arrays in self.samples],
            )

    def write(self, stage: Any, path: str, *, half: bool) -> None:
        """Define the prim on a stage."""
        prim = write_splats(stage, path, self.arrays, half=half)
        if self.pose is not None:
            set_pose(prim, self.pose)
        if self.binding is not None:
            write_binding(prim, self.binding)
        for time, arrays in self.samples:
            write_moving(prim, arrays, half=half, time=time)


def write_single(stage: Any, clouds: Sequence[Cloud], path: Path, *, half: bool) -> None:
    """Write one layer that holds everything."""
    for cloud in clouds:
        cloud.write(stage, cloud.path, half=half)
    save_layer(stage.GetRootLayer(), path)


def write_package(stage: Any, clouds: Sequence[Cloud], path: Path, *, half: bool, part_bytes: int) -> None:
    """Write a package: the stage first, and in files of their own the splats of a large one.

    Raises:
        OutputError: It would be larger than a package can be.
    """
    total = sum(_bytes(cloud, half=half) for cloud in clouds)
    if total > PACKAGE_BYTES:
        raise OutputError(
            f"The package would hold {total / (1 << 30):.1f} GiB of splats, and a .usdz ends at 4 GiB. Write a .usdc, "
            "which has no such end" + ("." if half else ", or halve it with --half.")
        )
    inner = path.with_name("scene.usdc")
    if total <= part_bytes:
        write_single(stage, clouds, inner, half=half)
    else:
        _write_parts(stage, clouds, inner, half=half, part_bytes=part_bytes)
    pack(inner, path)


def _write_parts(stage: Any, clouds: Sequence[Cloud], inner: Path, *, half: bool, part_bytes: int) -> None:
    from pxr import Sdf, Usd

    references: list[tuple[str, str]] = []
    (inner.parent / "splats").mkdir()
    for cloud in clouds:
        for piece in cloud.pieces(part_bytes, half=half):
            name = f"splats/{len(references):03d}_{piece.path.split('/')[2]}.usdc"
            part = Usd.Stage.CreateInMemory()
            # Layers that count time differently would be stretched.
            part.SetTimeCodesPerSecond(stage.GetTimeCodesPerSecond())
            part.SetDefaultPrim(part.DefinePrim("/splat"))
            piece.write(part, "/splat", half=half)
            save_layer(part.GetRootLayer(), inner.parent / name)
            references.append((piece.path, f"./{name}"))
    save_layer(stage.GetRootLayer(), inner)
    # On the file, not on the stage in memory: from there the parts could not be found.
    layer = Sdf.Layer.FindOrOpen(str(inner))
    for prim, name in references:
        spec = Sdf.CreatePrimInLayer(layer, prim)
        spec.specifier = Sdf.SpecifierDef
        spec.typeName = SPLATS
        spec.referenceList.Prepend(Sdf.Reference(name))
    if not layer.Save():
        raise OSError(None, "USD could not write it", str(inner))


def _bytes(cloud: Cloud, *, half: bool) -> int:
    return bytes_of(cloud.arrays, half=half) * (1 + len(cloud.samples))


def _rows(binding: Binding | None, part: slice) -> Binding | None:
    from scene3d._scene_object import Binding

    return None if binding is None else Binding(binding.indices[part], binding.weights[part])
