"""Any splat file <-> splats: the format is found, its reader or writer called, and what gets lost is said.

Reading goes by the first bytes of a file, since names lie, and by the name where a format has no such bytes; writing
goes by the suffix. Every reader returns splats in the values and axes of a 3DGS PLY.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import FileFormatError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scene3d._gaussians import Gaussians

__all__ = ["READ", "WRITTEN", "SplatFile", "holds_splats", "load_splats", "save_splats", "writes_splats"]

Up = tuple[float, float, float]

HABIT: Up = (0.0, -1.0, 0.0)
"""Up in files of the 3DGS world, whose frames come from cameras with y down."""

WRITTEN = {".ply": "ply", ".spz": "spz", ".splat": "splat", ".glb": "glb"}
"""Formats that are written, by suffix."""
READ = "3DGS .ply, compressed .ply, .spz, .splat, .sog, .glb (KHR_gaussian_splatting), splatfacto .ckpt"
NOT_READ = {
    ".ksplat": "export it as .ply or .splat from the viewer that made it",
    ".gltf": "export it as .glb, with the numbers in the same file",
}
META = "meta.json"


@dataclass(frozen=True)
class SplatFile:
    """Splats that were read, and what their file told about them."""

    splats: Gaussians
    """In the values of a 3DGS PLY and in the file's axes; those of SPZ are turned to y down, z forward."""
    format: str
    """``ply``, ``compressed ply``, ``spz``, ``splat``, ``sog``, ``glb`` or ``splatfacto``."""
    notes: tuple[str, ...] = ()
    """Sentences about what was left out or changed while reading."""
    up: tuple[float, float, float] | None = None
    """Direction that points up, unit length, when the file or the habit of its format says so."""


def holds_splats(path: Path) -> bool:
    """True for what `load_splats` would try to read: by suffix or, for folders, by what is in them."""
    if path.is_dir():
        from scene3d.files._splatfacto import find_checkpoint

        return (path / META).is_file() or find_checkpoint(path) is not None
    return path.suffix.lower() in (*WRITTEN, ".sog", ".ckpt") or path.name == META


def writes_splats(path: Path) -> bool:
    """True when `save_splats` knows the suffix."""
    return path.suffix.lower() in WRITTEN and not path.name.lower().endswith(".compressed.ply")


def load_splats(path: Path | str) -> SplatFile:
    """Read splats of any format.

    Args:
        path: A file, the folder of a SOG, or the folder of a nerfstudio run.

    Raises:
        FileFormatError: Nothing there, a format that is not read, or a damaged file.
    """
    path = Path(path)
    kind = _format(path)
    if kind == "ply":
        return _load_ply(path)
    if kind == "spz":
        from scene3d.files._spz import load_spz

        splats, notes = load_spz(path)
        return SplatFile(splats, kind, notes, HABIT)
    if kind == "splat":
        from scene3d.files._splat import load_splat

        return SplatFile(load_splat(path), kind)
    if kind == "sog":
        from scene3d.files._sog import load_sog

        return SplatFile(load_sog(path), kind, up=HABIT)
    if kind == "glb":
        from scene3d.files._gltf import load_glb

        splats, up = load_glb(path)
        return SplatFile(splats, kind, up=up)
    from scene3d.files._splatfacto import load_splatfacto

    splats, up, notes = load_splatfacto(path)
    return SplatFile(splats, kind, notes, up)


def save_splats(
    splats: Gaussians, path: Path | str, *, comments: Sequence[str] = (), up: tuple[float, float, float] | None = None
) -> tuple[str, ...]:
    """Write splats in the format of the suffix: .ply, .spz, .splat or .glb.

    Args:
        splats: What to write.
        path: Target; replaced when it exists, its folder is made when it does not.
        comments: Lines for the header of a PLY; other formats have no place for them.
        up: Direction that points up. A PLY notes it and a .glb is turned by it; None leaves it out of a PLY and takes
            the habit of 3DGS files, -Y, for a .glb.

    Returns:
        Sentences about what the format could not hold; empty when nothing was lost.

    Raises:
        UsageError: The suffix is not one of a format that is written.
        OutputError: Splats hold NaN, or the file cannot be written.
    """
    path = Path(path)
    if not writes_splats(path):
        raise UsageError(
            f"{path} has no suffix of a format that is written; these are {', '.join(WRITTEN)} (compressed PLY is not)."
        )
    kind = WRITTEN[path.suffix.lower()]
    if kind == "ply":
        from scene3d.files._ply import save_ply

        axis = [] if up is None else ["up axis {:g} {:g} {:g}, right-handed".format(*up)]
        save_ply(splats, path, comments=[*axis, *comments])
        return ()
    bodies = int(splats.component_index.max()) if len(splats) else 0
    lost = [f"Which of {bodies + 1} bodies each splat rides on was lost."] if bodies else []
    if kind == "glb":
        from scene3d.files._gltf import save_glb

        save_glb(splats, path, up=up or HABIT)
        if up is None:
            lost.append("Up is not known; -Y was taken, as 3DGS files have it.")
        return tuple(lost)
    if kind == "spz":
        from scene3d.files._spz import save_spz as save
    else:
        from scene3d.files._splat import save_splat as save
    return (*save(splats, path), *lost)


def _load_ply(path: Path) -> SplatFile:
    from scene3d.files._ply import load_ply
    from scene3d.files._ply_table import read_header

    table = read_header(path)
    if "packed_position" in table.names:
        return SplatFile(load_ply(path), "compressed ply", up=HABIT)
    return SplatFile(load_ply(path), "ply", up=_up_of(table.comments))


def _up_of(comments: Sequence[str]) -> Up | None:
    """The up axis that a comment of ours states."""
    number = r"([-+]?\d*\.?\d+(?:e[-+]?\d+)?)"
    for comment in comments:
        match = re.match(rf"up axis {number} {number} {number}\b", comment)
        if match:
            x, y, z = (float(text) for text in match.groups())
            length = (x * x + y * y + z * z) ** 0.5
            if 1e-6 < length < 1e6:
                return (x / length, y / length, z / length)
    return None


def _format(path: Path) -> str:
    if path.is_dir():
        if (path / META).is_file():
            return "sog"
        if holds_splats(path):
            return "splatfacto"
        raise FileFormatError(f"{path} is a folder without splats. Read are {READ}, and the folder of a SOG or a run.")
    try:
        with open(path, "rb") as file:
            head = file.read(4)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}).") from error
    suffix = path.suffix.lower()
    for start, kind in ((b"ply", "ply"), (b"NGSP", "spz"), (b"\x1f\x8b", "spz"), (b"glTF", "glb")):
        # A .splat has no magic, so its first position could look like one.
        if head.startswith(start) and suffix != ".splat":
            return kind
    by_name = {".ply": "ply", ".spz": "spz", ".splat": "splat", ".sog": "sog", ".glb": "glb", ".ckpt": "splatfacto"}
    if path.name == META:
        return "sog"
    if suffix in by_name:
        return by_name[suffix]
    hint = f"; {NOT_READ[suffix]}" if suffix in NOT_READ else ""
    raise FileFormatError(f"{path} is no splat file that is read{hint}. Read are {READ}.")
