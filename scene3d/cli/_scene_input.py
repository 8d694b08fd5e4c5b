"""SCENE as verbs take it: a scene folder, or a splat file on its own.

A `.ply` becomes a scene without cameras, so that verbs need to know one type only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import FileFormatError

if TYPE_CHECKING:
    from scene3d import Scene

__all__ = ["open_scene"]


def open_scene(path: Path) -> Scene:
    """Read a scene folder or a .ply file.

    Raises:
        FileFormatError: There is nothing at ``path``, or it is neither of the two.
    """
    if not path.exists():
        raise FileFormatError(f"{path} does not exist; a scene folder or a .ply file is wanted. Check the path.")
    if path.is_dir():
        from scene3d.files import load_scene

        return load_scene(path)
    if path.suffix.lower() != ".ply":
        raise FileFormatError(f"{path} is neither a scene folder nor a .ply file. Give one of these.")
    from scene3d import Scene
    from scene3d.files import load_ply

    return Scene(splats=load_ply(path))
