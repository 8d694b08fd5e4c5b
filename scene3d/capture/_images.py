"""Pixels of one view: decode -> upright -> undistort -> reduce.

Pillow decodes the file. OpenCV resamples it onto the pinhole camera of the same `K` and size; a pixel is valid when its
source lies inside the photo. Area averaging then reduces pixels and mask to the size that was asked for, and the camera
is scaled with them. OpenCV counts pixel centres from 0, we count them from 0.5, so the principal point is shifted
by half a pixel for its calls.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._capture import Photo

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

    from scene3d._camera import Camera
    from scene3d.capture._capture import View

__all__ = ["image_size", "load_photo"]

LARGEST_SIDE = 32766
"""OpenCV's remap addresses pixels with 16-bit integers [px]."""
OPAQUE = 128
"""Pixels with less alpha than this were cut out of the photo and are not valid."""
FULLY_VALID = 1.0 - 1e-4
"""Share of valid source pixels from which a reduced pixel is valid; leaves room for rounding."""


def load_photo(view: View, longest_side: int | None = None) -> Photo:
    """Decode, undistort and reduce the photo of a view; see `View.load`."""
    rgb, valid = _decode(view)
    if view.distortion:
        rgb, valid = _undistort(rgb, valid, view.camera, view.distortion)
    camera = view.camera if longest_side is None else view.camera.fitted(longest_side)
    if (camera.width, camera.height) != (view.camera.width, view.camera.height):
        rgb, valid = _reduce(rgb, valid, camera)
    return Photo(np.ascontiguousarray(rgb), np.ascontiguousarray(valid), camera)


def image_size(path: Path) -> tuple[int, int]:
    """Width and height [px] as stored in the file's header, before any EXIF rotation."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def _decode(view: View) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Pixels (H, W, 3) and opaque mask (H, W) at exactly the camera's size."""
    from PIL import Image

    wanted = (view.camera.width, view.camera.height)
    if max(wanted) > LARGEST_SIDE:
        raise CaptureError(
            f"{view.path} is {wanted[0]}x{wanted[1]} pixels, but photos are read up to {LARGEST_SIDE} pixels a side. "
            "Reduce the photos."
        )
    try:
        with Image.open(view.path) as image:
            # The size is compared before decoding, so that a lying header allocates nothing.
            upright = _upright(image, wanted)
            has_alpha = upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info
            pixels = np.asarray(upright.convert("RGBA" if has_alpha else "RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(view.path, error) from error
    valid = pixels[..., 3] >= OPAQUE if has_alpha else np.ones(pixels.shape[:2], dtype=bool)
    return pixels[..., :3], valid


def _upright(image: Image, wanted: tuple[int, int]) -> Image:
    """The image as stored when its size is the wanted one, else rotated as EXIF says when that is.

    Pose solvers differ in whether they honour the EXIF orientation; the size says which of the two this one did.
    """
    from PIL import ImageOps
    from PIL.ExifTags import Base

    if image.size == wanted:
        return image
    # EXIF orientations 5 to 8 swap width and height.
    sideways = image.getexif().get(Base.Orientation, 1) >= 5
    if sideways and image.size[::-1] == wanted:
        return ImageOps.exif_transpose(image)
    raise CaptureError(
        f"{image.filename} is {image.size[0]}x{image.size[1]} pixels, but its camera is {wanted[0]}x{wanted[1]}. "  # type: ignore[attr-defined]
        "Use the photos that the poses were solved with."
    )


def _unreadable(path: Path, error: BaseException) -> CaptureError:
    if isinstance(error, FileNotFoundError):
        return CaptureError(f"{path} does not exist.")
    return CaptureError(f"{path} cannot be decoded ({error}). Copy the photo again, or remove it from the capture.")


def _undistort(
    rgb: NDArray[np.uint8], valid: NDArray[np.bool_], camera: Camera, distortion: tuple[float, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Resample onto the pinhole camera of the same K and size; the mask leaves out what the photo did not see."""
    import cv2

    K = tuple(float(value) for value in camera.K.flatten().tolist())
    map_x, map_y, seen = _undistortion_maps(camera.width, camera.height, K, distortion)
    # Replicated borders keep the outermost half pixel, whose source is inside the photo, free of black.
    flat = cv2.remap(np.ascontiguousarray(rgb), map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if not valid.all():
        source = cv2.remap(valid.astype(np.float32), map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        seen = seen & (source > FULLY_VALID)
    return flat, seen  # type: ignore[return-value]


@lru_cache(maxsize=2)
def _undistortion_maps(
    width: int, height: int, K: tuple[float, ...], distortion: tuple[float, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Source positions (H, W) in OpenCV's pixel units and where they lie inside the photo (H, W).

    Cached because the photos of a capture usually share one camera.
    """
    import cv2

    K_cv = np.array(K, dtype=np.float64).reshape(3, 3)
    K_cv[:2, 2] -= 0.5
    coefficients = np.array(distortion, dtype=np.float64)
    map_x, map_y = cv2.initUndistortRectifyMap(K_cv, coefficients, np.eye(3), K_cv, (width, height), cv2.CV_32FC1)
    left_x, top_y = map_x + 0.5, map_y + 0.5
    inside = (left_x >= 0) & (left_x <= width) & (top_y >= 0) & (top_y <= height)
    x = (np.arange(width) - K_cv[0, 2]) / K_cv[0, 0]
    y = (np.arange(height) - K_cv[1, 2]) / K_cv[1, 1]
    radius = np.hypot(x[None, :], y[:, None])
    inside &= radius < _fold_radius(coefficients, float(radius.max()))
    return map_x, map_y, inside  # type: ignore[return-value]


def _fold_radius(coefficients: NDArray[np.float64], largest: float) -> float:
    """Pinhole radius from which the radial polynomial turns back and shows the photo a second time."""
    k = np.zeros(8)
    k[: len(coefficients)] = coefficients
    radius = np.linspace(0.0, 1.001 * largest, 2048)
    r2 = radius * radius
    outer = 1 + r2 * (k[0] + r2 * (k[1] + r2 * k[4]))
    distorted = radius * outer / (1 + r2 * (k[5] + r2 * (k[6] + r2 * k[7])))
    falling = np.flatnonzero(np.diff(distorted) <= 0)
    return float(radius[falling[0]]) if len(falling) else float("inf")


def _reduce(
    rgb: NDArray[np.uint8], valid: NDArray[np.bool_], camera: Camera
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Average over the area of each target pixel; valid where all of that area is."""
    import cv2

    size = (camera.width, camera.height)
    small = cv2.resize(np.ascontiguousarray(rgb), size, interpolation=cv2.INTER_AREA)
    if valid.all():
        return small, np.ones(small.shape[:2], dtype=bool)  # type: ignore[return-value]
    share = cv2.resize(valid.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return small, share > FULLY_VALID  # type: ignore[return-value]
