"""A capture -> a nerfstudio dataset, so that splatfacto and others run on exactly our input.

    transforms.json   poses (OpenGL axes), intrinsics, distortion, our split; images/ masks/ depths/ points.ply

Intrinsics stand once at the top when all photos share them, else in every frame, because readers want all or none.
Keys of ours, which nerfstudio passes over: ``metric``, ``up``, ``scale_source``, ``T_world_source``, ``mask_mode``.
nerfstudio recentres and scales poses unless it is told not to: ``ns-train splatfacto --data FOLDER nerfstudio-data
--center-method none --auto-scale-poses False`` keeps our world (its orientation is kept in any case).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import CaptureError
from scene3d.files._atomic import write_atomic
from scene3d.interop._export_depth import depth_file, write_depths
from scene3d.interop._export_folder import new_export
from scene3d.interop._export_photos import plan_pictures, write_pictures
from scene3d.interop._nerfstudio import to_transforms_entry

if TYPE_CHECKING:
    from scene3d.capture._capture import Capture, PointCloud
    from scene3d.interop._arrays import Calibration
    from scene3d.interop._export_photos import Picture

__all__ = ["export_nerfstudio"]

POINTS = "points.ply"
COEFFICIENTS = 5
"""nerfstudio knows k1, k2, p1, p2, k3 of OpenCV's model."""


def export_nerfstudio(
    capture: Capture,
    folder: Path | str,
    *,
    overwrite: bool = False,
    undistort: bool = False,
    hold_out: bool | None = None,
) -> Path:
    """Write a capture as a nerfstudio dataset, whole or not at all; returns the folder.

    JPEG and PNG photos are copied byte for byte; HEIC, turned and transparent ones are written upright, and those whose
    distortion nerfstudio does not know are undistorted. Masks of mode ``alpha`` become the photo's alpha channel, which
    splatfacto treats as we do; masks of mode ``ignore`` become mask files. Sparse points go along when the capture has
    them.

    Args:
        capture: What to write.
        folder: New, empty, or an earlier export.
        overwrite: Replace the export that is there.
        undistort: Undistort all photos onto pinhole cameras.
        hold_out: As in `Capture.split`: None holds out every 8th photo from 16 photos on. When none is held out,
            ``val_filenames`` repeats the training photos, since nerfstudio cannot do without.

    Raises:
        OutputError: The folder holds an export and `overwrite` is False, holds other files, or the disk is full.
        CaptureError: A photo, a mask or a depth file is absent or cannot be read.
    """
    if not capture.views:
        raise CaptureError(f"{capture.root} has no photos to export.")
    # The camera model is one for the whole file, so a fisheye among other cameras is undistorted.
    all_fisheye = all(view.projection == "fisheye" for view in capture.views)

    def keeps(calibration: Calibration) -> bool:
        if calibration.projection == "fisheye":
            return all_fisheye and not undistort
        distorted = any(calibration.distortion)
        return not distorted or not (undistort or any(calibration.distortion[COEFFICIENTS:]))

    with new_export(folder, overwrite=overwrite) as new:
        pictures = plan_pictures(capture.views, keeps=keeps, cutouts=True)
        masked = write_pictures(pictures, new)
        depth_unit = write_depths(pictures, new, metric=capture.metric)
        document = _document(capture, pictures, bool(masked), depth_unit, hold_out)
        if capture.points is not None and len(capture.points.points):
            write_atomic(new / POINTS, _ply(capture.points))
            document["ply_file_path"] = POINTS
        write_atomic(new / "transforms.json", [json.dumps(document, indent=1).encode()])
    return Path(folder)


def _document(
    capture: Capture, pictures: list[Picture], masked: bool, depth_unit: float | None, hold_out: bool | None
) -> dict[str, Any]:
    entries = [to_transforms_entry(picture.calibration) for picture in pictures]
    poses = [entry.pop("transform_matrix") for entry in entries]
    model = entries[0]["camera_model"]
    for entry in entries:
        del entry["camera_model"]
    shared = entries[0] if all(entry == entries[0] for entry in entries) else None
    names = sorted({name for entry in entries for name in entry})
    frames = []
    for picture, entry, pose in zip(pictures, entries, poses, strict=True):
        frame: dict[str, Any] = {"file_path": picture.file, "transform_matrix": pose}
        if masked:
            frame["mask_path"] = picture.mask
        if depth_unit is not None:
            frame["depth_file_path"] = depth_file(picture)
        frames.append(frame if shared is not None else {name: entry.get(name, 0.0) for name in names} | frame)
    document: dict[str, Any] = {"camera_model": model, **(shared or {}), **_world(capture)}
    document |= {"orientation_override": "none", **_splits(capture, pictures, hold_out)}
    if depth_unit is not None:
        document["depth_unit_scale_factor"] = depth_unit
    return document | {"frames": frames}


def _world(capture: Capture) -> dict[str, Any]:
    """What is known of scale and gravity."""
    world: dict[str, Any] = {"metric": capture.metric}
    if capture.up is not None:
        world["up"] = [float(value) for value in capture.up]
    if capture.scale_source:
        world["scale_source"] = capture.scale_source
    if capture.T_world_source is not None:
        world["T_world_source"] = [[float(value) for value in row] for row in capture.T_world_source]
    if any(view.mask_mode == "alpha" for view in capture.views):
        world["mask_mode"] = "alpha"
    return world


def _splits(capture: Capture, pictures: list[Picture], hold_out: bool | None) -> dict[str, list[str]]:
    train, test = capture.split(hold_out)
    files = {picture.view.name: picture.file for picture in pictures}
    trained, tested = [files[view.name] for view in train], [files[view.name] for view in test]
    return {"train_filenames": trained, "val_filenames": tested or trained, "test_filenames": tested}


def _ply(cloud: PointCloud) -> list[bytes]:
    """Points and colours as a binary PLY."""
    row = np.dtype([("points", "<f4", (3,)), ("colors", "u1", (3,))])
    rows = np.empty(len(cloud.points), dtype=row)
    rows["points"], rows["colors"] = cloud.points, cloud.colors
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    lines += [f"property float {name}" for name in "xyz"]
    lines += [f"property uchar {name}" for name in ("red", "green", "blue")]
    return ["\n".join([*lines, "end_header\n"]).encode(), rows.tobytes()]
