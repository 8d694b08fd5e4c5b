"""Contact geometry of bodies, kept between runs: meshes in, distance grids and contact points filled in.

They follow from the mesh alone and take seconds to compute, a millisecond to read. A file is named by a hash of the
mesh, of the settings, and of the code that computes: a changed mesh or a newer version finds nothing and computes anew.
The folder is a convenience and may vanish at any time: what cannot be read is computed, what cannot be written is not.
Files are npz archives of plain arrays, bit for bit what was computed.
"""

from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dynamics._body import Body
    from dynamics._distance_grid import DistanceGrid

__all__ = ["contact_cache", "with_contact_geometry"]

CODE = ("_distance_grid.py", "_surface_points.py", "_sharp_edges.py", "_mass_properties.py")
"""What the result depends on besides the mesh."""
LARGEST_GRID, MOST_POINTS = 1 << 22, 1 << 16
"""Values of a grid and contact points that are believed."""
ROOM = 1 << 28
"""Bytes that the folder may take; what was used longest ago goes first."""
Arrays = dict[str, NDArray[Any]]


def contact_cache() -> Path:
    """The user's folder for contact geometry: below ``XDG_CACHE_HOME`` where that is set."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    default = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return (Path(home) if Path(home).is_absolute() else default) / "scene3d" / "contact"


def with_contact_geometry(
    bodies: Iterable[Body], folder: Path | None = None, on_progress: Callable[[float], None] | None = None
) -> None:
    """Make sure that bodies know their distance grids and contact points; copies by `Body.with_motion` keep them.

    Args:
        bodies: Those that are primitives are left alone.
        folder: Where results of earlier runs are; None computes without looking.
        on_progress: Called with the share of the bodies that is done.

    Raises:
        BodyError: A mesh is open, inside out or flat.
    """
    wanted = list(bodies)
    for done, body in enumerate(wanted):
        if body.primitive is None and not {"distance", "contact_points"} <= body.__dict__.keys():
            _fill(body, folder)
        if on_progress is not None:
            on_progress((done + 1) / len(wanted))
    if folder is not None:
        _make_room(folder)


def _fill(body: Body, folder: Path | None) -> None:
    path = None if folder is None else folder / f"{_key(body)}.npz"
    known = None if path is None else _read(path)
    if known is not None:
        # As `cached_property` keeps what it computed.
        body.__dict__.update(known)
        return
    grid, points = body.distance, body.contact_points
    if path is not None:
        _write(path, grid, points)


def _key(body: Body) -> str:
    from dynamics._body import CONTACT_POINTS

    found = hashlib.sha256(_code())
    for array in (body.mesh.vertices, body.mesh.faces):
        found.update(f"{array.dtype} {array.shape} {CONTACT_POINTS}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:32]


@cache
def _code() -> bytes:
    """Hash of what computes."""
    here = Path(__file__).parent
    found = hashlib.sha256()
    for package in ("open3d", "open3d-cpu", "numpy"):
        with suppress(PackageNotFoundError):
            found.update(f"{package} {version(package)}".encode())
    for name in CODE:
        found.update((here / name).read_bytes())
    return found.digest()


def _read(path: Path) -> dict[str, object] | None:
    """A grid and points; None when there are none, or none that make sense."""
    from dynamics._distance_grid import DistanceGrid

    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > 4 * LARGEST_GRID + 12 * MOST_POINTS + 4096:
                return None
        with np.load(path, allow_pickle=False) as archive:
            arrays: Arrays = {name: archive[name] for name in ("origin", "spacing", "values", "points")}
        os.utime(path)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError):
        return None
    if not _sound(arrays):
        return None
    grid = DistanceGrid(arrays["origin"], float(arrays["spacing"]), arrays["values"])
    return {"distance": grid, "contact_points": arrays["points"]}


def _sound(arrays: Arrays) -> bool:
    """Whether these can be what `_write` wrote."""
    origin, spacing, values, points = (arrays[name] for name in ("origin", "spacing", "values", "points"))
    types = (origin.dtype, spacing.dtype, values.dtype, points.dtype)
    if types != (np.float64, np.float64, np.float32, np.float32):
        return False
    shaped = origin.shape == (3,) and spacing.shape == () and values.ndim == 3 and min(values.shape) >= 2
    shaped = shaped and points.ndim == 2 and points.shape[1] == 3
    return shaped and float(spacing) > 0 and all(bool(np.isfinite(part).all()) for part in arrays.values())


def _write(path: Path, grid: DistanceGrid, points: NDArray[np.float32]) -> None:
    """Whole or not at all; where that fails, nothing is kept."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                origin=grid.origin,
                spacing=np.float64(grid.spacing),
                values=grid.values,
                points=points,
            )
        os.replace(part, path)
    except OSError:
        with suppress(OSError):
            part.unlink()


def _make_room(folder: Path) -> None:
    with suppress(OSError):
        files = sorted(((path.stat().st_mtime, path) for path in folder.glob("*.npz")), reverse=True)
        taken = 0
        for _, path in files:
            taken += path.stat().st_size
            if taken > ROOM:
                path.unlink()
