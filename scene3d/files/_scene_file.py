"""scene.yaml and cameras.json: bytes <-> the records that a scene folder is made of.

Both are plain data. YAML is parsed by the safe loader without aliases (which could expand without bound) into a struct
that forbids unknown fields; numbers of cameras are written in the shortest form that reads back to the same bits.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from scene3d._camera import Camera
from scene3d._errors import FileFormatError
from scene3d._scene import SceneView
from scene3d.files._photo_record import PhotoRecord, photo_record, photo_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["VERSION", "SceneFile", "decode_cameras", "decode_scene", "encode_cameras", "encode_scene"]

VERSION = 2
"""Version of the scene folder that this package writes; it reads this one and all earlier ones. Version 1 had neither
the photos of cameras nor `scale_source` and `T_world_source`."""
LARGEST_YAML = 16 * 1024 * 1024
"""Bytes."""

Side = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
Row3 = tuple[float, float, float]
Row4 = tuple[float, float, float, float]


class SceneFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What scene.yaml says."""

    version: int
    """Version of the layout."""
    units: Literal["m", "unknown"]
    """Unit of length."""
    metric: bool
    """True when lengths are metres."""
    up: Row3
    """World direction that points up."""
    background: str
    """Splat file, relative to the folder."""
    cameras: str
    """Camera file, relative to the folder."""
    source: dict[str, Any] = {}
    """Where the scene came from."""
    metrics: dict[str, Any] = {}
    """How good it is."""
    scale_source: str = ""
    """Where metric scale came from."""
    T_world_source: tuple[Row4, Row4, Row4, Row4] | None = None
    """Similarity from the world of the capture's files to this one."""


class _CameraRecord(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One entry of cameras.json: pinhole, OpenCV axes, pixel centres at +0.5."""

    name: str
    width: Side
    height: Side
    K: tuple[Row3, Row3, Row3]
    T_world_cam: tuple[Row4, Row4, Row4, Row4]
    held_out: bool = False
    photo: PhotoRecord | None = None


def encode_scene(record: SceneFile) -> bytes:
    """The text of scene.yaml."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Repeats equal lists and mappings instead of writing aliases, which are not read."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    data = msgspec.to_builtins(record, enc_hook=_plain)
    return yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, encoding="utf-8")


def decode_scene(path: Path) -> SceneFile:
    """Read and check a scene.yaml.

    Raises:
        FileFormatError: Damaged, of a newer version, or with fields that are not known.
    """
    import yaml

    try:
        with open(path, "rb") as file:
            text = file.read(LARGEST_YAML + 1)
        if len(text) > LARGEST_YAML:
            raise FileFormatError(f"{path} is larger than {LARGEST_YAML // 2**20} MiB, which no scene.yaml is.")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise FileFormatError(f"{path} uses YAML aliases (*name), which are not read. Write the values out.")
        data = yaml.safe_load(text)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise FileFormatError(f"{path} is not valid YAML ({reason}). Restore one from .history.") from error
    version = data.get("version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise FileFormatError(f"{path} has version {version}, but this scene3d reads up to {VERSION}. Upgrade scene3d.")
    try:
        return msgspec.convert(data, SceneFile)
    except msgspec.ValidationError as error:
        raise FileFormatError(f"{path} is not a scene of scene3d ({error}). Restore one from .history.") from error


def encode_cameras(views: Sequence[SceneView], folder: Path) -> bytes:
    """The text of cameras.json in the scene folder `folder`, one camera a line."""
    lines = [msgspec.json.encode(_camera_record(view, folder)) for view in views]
    return b"[\n" + b",\n".join(lines) + b"\n]\n" if lines else b"[]\n"


def decode_cameras(path: Path) -> tuple[SceneView, ...]:
    """Read a cameras.json; matrices are float32 when that holds every number exactly, else float64.

    Raises:
        FileFormatError: Damaged, or with fields that are missing or not known.
    """
    try:
        records = msgspec.json.decode(path.read_bytes(), type=list[_CameraRecord])
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}).") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise FileFormatError(f"{path} is not a list of cameras ({error}).") from error
    return tuple(_scene_view(record, path) for record in records)


def _camera_record(view: SceneView, folder: Path) -> dict[str, Any]:
    record = {
        "name": view.name,
        "width": view.camera.width,
        "height": view.camera.height,
        "K": view.camera.K.detach().tolist(),
        "T_world_cam": view.camera.T_world_cam.detach().tolist(),
        "held_out": view.held_out,
    }
    return record if view.photo is None else {**record, "photo": photo_record(view.photo, folder)}


def _scene_view(record: _CameraRecord, path: Path) -> SceneView:
    def camera(width: int, height: int, K: Any) -> Camera:
        return Camera(width, height, *_tensors(K, record.T_world_cam))

    photo = None if record.photo is None else photo_view(record.photo, record.name, camera, path)
    return SceneView(record.name, camera(record.width, record.height, record.K), record.held_out, photo)


def _tensors(*matrices: Any) -> tuple[Tensor, ...]:
    import torch

    exact = [torch.tensor(matrix, dtype=torch.float64) for matrix in matrices]
    single = [matrix.float() for matrix in exact]
    same = all(torch.equal(a, b.double()) for a, b in zip(exact, single, strict=True))
    return tuple(single if same else exact)


def _plain(value: Any) -> Any:
    """Paths, and numbers of numpy and torch, as plain data."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise NotImplementedError(f"A scene cannot store values of type {type(value).__name__}.")
