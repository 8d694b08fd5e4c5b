"""A path -> the reader that understands it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import CaptureError
from scene3d.capture._checks import FEWEST_VIEWS
from scene3d.capture._colmap import find_model, read_colmap
from scene3d.capture._transforms_json import read_transforms_json

if TYPE_CHECKING:
    from scene3d.capture._capture import Capture

__all__ = ["read_capture"]

PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif")
ACCEPTED = (
    "Accepted are a folder with a transforms.json (nerfstudio, instant-ngp), a transforms.json itself, "
    "and a COLMAP folder (images/ and sparse/0)."
)


def read_capture(path: Path | str) -> Capture:
    """Read posed photos, whatever wrote them.

    Args:
        path: A folder with a transforms.json, the file itself, or a COLMAP folder.

    Raises:
        CaptureError: Nothing that can be read, with what was found and what is accepted.
    """
    path = Path(path)
    if not path.exists():
        raise CaptureError(f"{path} does not exist. {ACCEPTED}")
    if path.is_file():
        if path.suffix.lower() != ".json":
            raise CaptureError(f"{path} is a file of a kind that is not read. {ACCEPTED}")
        return read_transforms_json(path)
    if (path / "transforms.json").is_file():
        return read_transforms_json(path / "transforms.json")
    if find_model(path) is not None:
        return read_colmap(path)
    raise CaptureError(_nothing_found(path))


def _nothing_found(folder: Path) -> str:
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if not entries:
        return f"{folder} is empty. {ACCEPTED}"
    images = folder / "images"
    inside = [*entries, *(images.iterdir() if images.is_dir() else ())]
    photos = sum(entry.suffix.lower() in PHOTOS and entry.is_file() for entry in inside)
    if not photos:
        return f"{folder} holds no photos with poses. {ACCEPTED}"
    if photos < FEWEST_VIEWS:
        count = "one photo" if photos == 1 else f"{photos} photos"
        return f"{folder} holds only {count}, but at least {FEWEST_VIEWS} with poses are needed. {ACCEPTED}"
    return (
        f"{folder} holds {photos} photos but no camera poses, which are needed for now. {ACCEPTED} "
        "COLMAP or nerfstudio's ns-process-data makes them from photos."
    )
