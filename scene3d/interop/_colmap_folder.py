"""A capture -> a COLMAP folder: images/, masks/ and sparse/0 as pycolmap writes it.

Photos that share intrinsics and distortion share a camera. Images are numbered in the order of their names, and points
have colours but no tracks, which readers for splats do not need. COLMAP has no place for metric scale, gravity, depth
or our split; readers that sort by name and hold out every 8th photo arrive at the same split.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import CaptureError
from scene3d.interop._export_folder import new_export
from scene3d.interop._export_photos import plan_pictures, write_pictures
from scene3d.interop._pycolmap import to_pycolmap

if TYPE_CHECKING:
    from scene3d.capture._capture import Capture, PointCloud
    from scene3d.interop._arrays import Calibration
    from scene3d.interop._export_photos import Picture

__all__ = ["export_colmap"]

MODEL = "sparse/0"
COEFFICIENTS = 8
"""COLMAP knows k1, k2, p1, p2, k3, k4, k5, k6 of OpenCV's model."""


def export_colmap(capture: Capture, folder: Path | str, *, overwrite: bool = False, undistort: bool = False) -> Path:
    """Write a capture as a COLMAP folder, whole or not at all; returns the folder.

    JPEG and PNG photos are copied byte for byte; HEIC, turned and transparent ones are written upright. Masks are
    written in either mode, black where nothing is to be matched or fitted.

    Args:
        capture: What to write.
        folder: New, empty, or an earlier export.
        overwrite: Replace the export that is there.
        undistort: Undistort all photos onto pinhole cameras, which some 3DGS programs insist on; borders that the
            photo did not see are masked.

    Raises:
        OutputError: The folder holds an export and `overwrite` is False, holds other files, or the disk is full.
        CaptureError: A photo or a mask is absent or cannot be read.
    """
    if not capture.views:
        raise CaptureError(f"{capture.root} has no photos to export.")

    def keeps(calibration: Calibration) -> bool:
        distorted = any(calibration.distortion) or calibration.projection == "fisheye"
        return not distorted or not (undistort or any(calibration.distortion[COEFFICIENTS:]))

    with new_export(folder, overwrite=overwrite) as new:
        pictures = plan_pictures(capture.views, keeps=keeps, cutouts=False)
        write_pictures(pictures, new)
        _write_model(pictures, capture.points, new / MODEL)
    return Path(folder)


def _write_model(pictures: list[Picture], points: PointCloud | None, model: Path) -> None:
    import pycolmap

    reconstruction = pycolmap.Reconstruction()
    numbers: dict[tuple[object, ...], int] = {}
    for i, picture in enumerate(pictures, start=1):
        camera, cam_from_world = to_pycolmap(picture.calibration, camera_id=len(numbers) + 1)
        key = (camera.model_name, camera.width, camera.height, *(float(value) for value in camera.params))
        if key not in numbers:
            numbers[key] = camera.camera_id
            reconstruction.add_camera_with_trivial_rig(camera)
        image = pycolmap.Image(name=picture.name, camera_id=numbers[key], image_id=i)
        reconstruction.add_image_with_trivial_frame(image, cam_from_world)
    if points is not None:
        for xyz, color in zip(points.points.astype("float64"), points.colors, strict=True):
            reconstruction.add_point3D(xyz, pycolmap.Track(), color)
    model.mkdir(parents=True)
    level, pycolmap.logging.minloglevel = pycolmap.logging.minloglevel, 3
    try:
        reconstruction.write_binary(str(model))
    finally:
        pycolmap.logging.minloglevel = level
