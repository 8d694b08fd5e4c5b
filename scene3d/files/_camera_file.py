"""cameras.json: views of a scene <-> bytes.

Plain data, one camera a line; numbers are written in the shortest form that reads back to the same bits. Relative paths
of photos start from one folder that scene.yaml names, the scene folder unless it says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from scene3d._camera import Camera
from scene3d._errors import FileFormatError
from scene3d._scene import SceneView
from scene3d.files._photo_record import PhotoRecord, photo_record, photo_view

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

__all__ = ["decode_cameras", "encode_cameras"]

Side = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
Row3 = tuple[float, float, float]
Row4 = tuple[float, float, float, float]


class _CameraRecord(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One entry of cameras.json: pinhole, OpenCV axes, pixel centres at +0.5."""

    name: str
    width: Side
    height: Side
    K: tuple[Row3, Row3, Row3]
    T_world_cam: tuple[Row4, Row4, Row4, Row4]
    held_out: bool = False
    photo: PhotoRecord | None = None


def encode_cameras(views: Sequence[SceneView], photos: Path) -> bytes:
    """The text of cameras.json; photos inside the folder `photos` are named relative to it."""
    lines = [msgspec.json.encode(_camera_record(view, photos)) for view in views]
    return b"[\n" + b",\n".join(lines) + b"\n]\n" if lines else b"[]\n"


def decode_cameras(path: Path, photos: Path | None = None) -> tuple[SceneView, ...]:
    """Read a cameras.json; matrices are float32 when that holds every number exactly, else float64.

    Args:
        path: The file.
        photos: Folder that relative paths of photos start from; None for the file's own.

    Raises:
        FileFormatError: Damaged, or with fields that are missing or not known.
    """
    try:
        records = msgspec.json.decode(path.read_bytes(), type=list[_CameraRecord])
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}).") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise FileFormatError(f"{path} is not a list of cameras ({error}).") from error
    return tuple(_scene_view(record, path, photos or path.parent) for record in records)


def _camera_record(view: SceneView, photos: Path) -> dict[str, Any]:
    record = {
        "name": view.name,
        "width": view.camera.width,
        "height": view.camera.height,
        "K": view.camera.K.detach().tolist(),
        "T_world_cam": view.camera.T_world_cam.detach().tolist(),
        "held_out": view.held_out,
    }
    return record if view.photo is None else {**record, "photo": photo_record(view.photo, photos)}


def _scene_view(record: _CameraRecord, path: Path, photos: Path) -> SceneView:
    def camera(width: int, height: int, K: Any) -> Camera:
        return Camera(width, height, *_tensors(K, record.T_world_cam))

    photo = None if record.photo is None else photo_view(record.photo, record.name, camera, path, photos)
    return SceneView(record.name, camera(record.width, record.height, record.K), record.held_out, photo)


def _tensors(*matrices: Any) -> tuple[Tensor, ...]:
    import torch

    exact = [torch.tensor(matrix, dtype=torch.float64) for matrix in matrices]
    single = [matrix.float() for matrix in exact]
    same = all(torch.equal(a, b.double()) for a, b in zip(exact, single, strict=True))
    return tuple(single if same else exact)
