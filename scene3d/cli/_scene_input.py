"""SCENE as verbs take it: a scene folder, or a splat file on its own.

Splats of any format that is read become a scene without cameras, so that verbs need to know one type only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import FileFormatError

if TYPE_CHECKING:
    from scene3d import Scene

__all__ = ["open_scene"]


def open_scene(path: Path) -> Scene:
    """Read a scene folder or a splat file.

    Raises:
        FileFormatError: There is nothing at ``path``, or it is neither of the two.
    """
    from scene3d.files._splat_files import READ, holds_splats

    if not path.exists():
        raise FileFormatError(f"{path} does not exist; a scene folder or a splat file is wanted. Check the path.")
    if path.is_dir() and ((path / "scene.yaml").is_file() or not holds_splats(path)):
        from scene3d.files import load_scene

        return load_scene(path)
    if not holds_splats(path):
        raise FileFormatError(f"{path} is neither a scene folder nor a splat file. Give one of these: {READ}.")
    from scene3d import Scene
    from scene3d.files import load_splats

    found = load_splats(path)
    return Scene(splats=found.splats) if found.up is None else Scene(splats=found.splats, up=found.up)
