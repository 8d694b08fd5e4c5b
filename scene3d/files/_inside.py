"""Names of files in a folder that was handed to us: they must stay in that folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from scene3d._errors import FileFormatError

__all__ = ["inside"]


def inside(folder: Path, name: str, where: Path) -> Path:
    """The file `name` of a scene folder; refuses names and links that lead out of it.

    Args:
        folder: The scene folder.
        name: Path relative to it, with forward slashes.
        where: The file that says so, for the message.

    Raises:
        FileFormatError: The file would lie outside of the folder.
    """
    relative = PurePosixPath(name)
    escapes = not name or "\\" in name or "\0" in name or relative.is_absolute() or ".." in relative.parts
    if escapes or not (folder / relative).resolve().is_relative_to(folder.resolve()):
        raise FileFormatError(f"{where} names the file {name!r}, but files must be inside the scene folder.")
    return folder / relative
