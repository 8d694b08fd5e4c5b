"""COLMAP models (binary or text) -> `Capture`.

pycolmap reads the model. Each registered image whose file is present becomes a view; its camera model turns into a
pinhole `K` and OpenCV distortion, radial or fisheye. Masks lie in a folder ``masks`` beside that of the photos. Sparse
points keep their colours; short and inaccurate tracks are dropped when plenty remain. COLMAP's world axes and pixel
convention (top left corner of the image at 0, 0) are kept.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._capture import Capture, PointCloud, View
from scene3d.capture._checks import at_image_size, pinhole, require_enough, rigid
from scene3d.capture._colmap_check import check_binary_model
from scene3d.capture._images import image_size
from scene3d.capture._masks import with_masks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d.capture._capture import MaskMode, Projection

__all__ = ["find_model", "model_view", "read_colmap", "sparse_points"]

MODEL_FOLDERS = ("sparse/0", "sparse", ".", "colmap/sparse/0", "colmap/sparse")
PARTS = ("cameras", "images", "points3D")
FISHEYES = ("SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "OPENCV_FISHEYE")
"""Equidistant cameras of COLMAP: OpenCV's fisheye with one, two and four coefficients."""
SHORTEST_TRACK = 3
LARGEST_ERROR = 2.0
"""Mean reprojection error of a point [px]."""
PLENTY = 1000
"""The two limits above apply when they leave more points than this."""


def find_model(folder: Path) -> Path | None:
    """The folder of the COLMAP model in or below a capture folder, None when there is none."""
    for name in MODEL_FOLDERS:
        model = folder / name
        if any(all((model / f"{part}{suffix}").is_file() for part in PARTS) for suffix in (".bin", ".txt")):
            return model
    return None


def read_colmap(folder: Path, *, mask_mode: MaskMode = "ignore") -> Capture:
    """Read a COLMAP folder: images/ and sparse/0, sparse, or the model itself.

    Args:
        folder: The folder.
        mask_mode: What black pixels of masks mean.

    Raises:
        CaptureError: No model, a damaged one, an unknown camera model, or too few photos that are present.
    """
    model = find_model(folder)
    if model is None:
        raise CaptureError(
            f"{folder} holds no COLMAP model: cameras, images and points3D as .bin or .txt, e.g. in sparse/0."
        )
    reconstruction = _load(model)
    images = sorted((image for image in reconstruction.images.values() if image.has_pose), key=lambda image: image.name)
    names = [image.name for image in images]
    repeated = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    if repeated:
        raise CaptureError(f"{model} lists {min(repeated)} more than once. Keep one pose for each image.")
    photos = _image_folder(folder, model, names)
    views, notes = [], []
    for image in images:
        path = photos / PurePosixPath(image.name)
        if path.is_file():
            views.append(model_view(image, reconstruction.cameras[image.camera_id], path, model))
    if len(views) < len(images):
        notes.append(f"{len(images) - len(views)} of {len(images)} images of the model are absent and were left out.")
    if photos.name != "images":
        notes.append(f"Photos are read from {photos}.")
    require_enough(views, folder)
    # Masks lie beside the folder of photos, or in it when the photos lie in the capture itself.
    beside = photos != folder
    names_below = [f"{photos.name}/{view.name}" if beside else view.name for view in views]
    masked = with_masks(views, photos.parent if beside else folder, mask_mode, notes, names=names_below)
    return Capture(folder, masked, sparse_points(reconstruction), source="colmap", notes=tuple(notes))


def _load(model: Path) -> Any:
    import pycolmap

    check_binary_model(model)
    level, pycolmap.logging.minloglevel = pycolmap.logging.minloglevel, 3
    try:
        return pycolmap.Reconstruction(str(model))
    except (ValueError, RuntimeError, IndexError, KeyError, MemoryError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise CaptureError(f"The COLMAP model {model} cannot be read ({reason}). Export it again.") from error
    finally:
        pycolmap.logging.minloglevel = level


def _image_folder(folder: Path, model: Path, names: list[str]) -> Path:
    """The folder that holds the most of the named images."""
    roots = [root for root in (folder, model.parent, model.parent.parent) if root.is_dir()]
    candidates = [root / "images" for root in roots]
    candidates += [reduced for root in roots for reduced in sorted(root.glob("images_*"))]
    candidates += roots
    counts = [sum((candidate / PurePosixPath(name)).is_file() for name in names) for candidate in candidates]
    if not any(counts):
        raise CaptureError(
            f"None of the {len(names)} images of {model} was found in {folder / 'images'}, images_* or {folder}. "
            "Put the photos into a folder 'images' beside the model."
        )
    return candidates[int(np.argmax(counts))]


def model_view(image: Any, camera: Any, path: Path, model: Path) -> View:
    """The view of a registered image of a pycolmap reconstruction."""
    where = f"{model}, image {image.name}"
    K, distortion, projection = _intrinsics(camera, where)
    T_cam_world = np.eye(4)
    T_cam_world[:3] = image.cam_from_world().matrix()
    if not np.isfinite(T_cam_world).all():
        raise CaptureError(
            f"{where}: the pose holds NaN or infinite numbers. Solve the poses again, or drop the image."
        )
    T_world_cam = rigid(np.linalg.inv(T_cam_world), where)
    pinhole_camera = pinhole(int(camera.width), int(camera.height), K, T_world_cam, where)
    return View(image.name, path, at_image_size(pinhole_camera, image_size(path)), distortion, projection)


def _intrinsics(camera: Any, where: str) -> tuple[tuple[float, float, float, float], tuple[float, ...], Projection]:
    """fx, fy, cx, cy [px], OpenCV coefficients and their model of a COLMAP camera."""
    fisheye = camera.model_name in FISHEYES
    p = [float(value) for value in camera.params]
    match camera.model_name:
        case "SIMPLE_PINHOLE":
            K, distortion = (p[0], p[0], p[1], p[2]), ()
        case "PINHOLE":
            K, distortion = (p[0], p[1], p[2], p[3]), ()
        case "SIMPLE_RADIAL":
            K, distortion = (p[0], p[0], p[1], p[2]), (p[3], 0.0, 0.0, 0.0)
        case "RADIAL":
            K, distortion = (p[0], p[0], p[1], p[2]), (p[3], p[4], 0.0, 0.0)
        case "OPENCV":
            K, distortion = (p[0], p[1], p[2], p[3]), (p[4], p[5], p[6], p[7])
        case "FULL_OPENCV":
            K, distortion = (p[0], p[1], p[2], p[3]), tuple(p[4:12])
        case "SIMPLE_RADIAL_FISHEYE":
            K, distortion = (p[0], p[0], p[1], p[2]), (p[3], 0.0, 0.0, 0.0)
        case "RADIAL_FISHEYE":
            K, distortion = (p[0], p[0], p[1], p[2]), (p[3], p[4], 0.0, 0.0)
        case "OPENCV_FISHEYE":
            K, distortion = (p[0], p[1], p[2], p[3]), tuple(p[4:8])
        case name:
            raise CaptureError(
                f"{where}: cameras of kind {name} are not read yet, only SIMPLE_PINHOLE, PINHOLE, SIMPLE_RADIAL, "
                f"RADIAL, OPENCV, FULL_OPENCV, {', '.join(FISHEYES)}. "
                "Undistort the photos with COLMAP's image_undistorter first."
            )
    if not np.isfinite(distortion).all():
        raise CaptureError(f"{where}: the distortion holds NaN or infinite numbers. Calibrate again.")
    # A fisheye without coefficients still bends: it is equidistant.
    return K, distortion if fisheye or any(distortion) else (), "fisheye" if fisheye else "opencv"


def sparse_points(reconstruction: Any) -> PointCloud | None:
    """Points of a pycolmap reconstruction; the sure ones when there are plenty."""
    points = [point for _, point in sorted(reconstruction.points3D.items())]
    xyz = np.array([point.xyz for point in points], dtype=np.float32).reshape(-1, 3)
    colors = np.array([point.color for point in points], dtype=np.uint8).reshape(-1, 3)
    finite = np.isfinite(xyz).all(axis=1)
    good = finite & _accurate(points)
    kept = good if good.sum() > PLENTY else finite
    return PointCloud(xyz[kept], colors[kept]) if kept.any() else None


def _accurate(points: list[Any]) -> NDArray[np.bool_]:
    lengths = np.array([point.track.length() for point in points], dtype=np.int64)
    errors = np.array([point.error if point.has_error() else 0.0 for point in points], dtype=np.float64)
    return (lengths >= SHORTEST_TRACK) & (errors <= LARGEST_ERROR)
