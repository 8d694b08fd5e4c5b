"""Image files -> upright sRGB pixels.

Pillow decodes, with pi-heif for the HEIC files of iPhones, which come out upright; for all others the EXIF orientation
is read here and applied by `turned` to whatever belongs to the photo: pixels, mask and depth. Nothing is believed of a
header: sizes are bounded before pixels are decoded, and what a decoder raises about damage becomes a `CaptureError`.
`decode_upright` gives small pictures for matching and measuring; `View.load` takes the full ones.
"""

from __future__ import annotations

import struct
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._heif import prepare_heif

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["decode_upright", "image_size", "opened", "orientation", "quiet", "rgb_and_alpha", "turned", "turned_size"]

DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    EOFError,
    RuntimeError,
    struct.error,
)
"""What decoders raise about damaged files, each whatever its parser trips over."""
ANIMATIONS = ("GIF", "PNG", "WEBP", "AVIF")
"""Formats whose further images are frames of an animation, not previews or depth as in MPO, HEIF and TIFF."""
UPRIGHT = 1
"""EXIF orientation of a photo that is stored as it is to be seen."""
_reading_header = threading.RLock()


def image_size(path: Path) -> tuple[int, int]:
    """Width and height [px] as stored in the file's header, before any EXIF rotation.

    Raises:
        CaptureError: The file is absent or no image.
    """
    with opened(path) as image:
        return image.size


def decode_upright(path: Path, longest_side: int | None = None) -> NDArray[np.uint8]:
    """Upright sRGB pixels of a photo, shape (H, W, 3).

    Args:
        path: Image file.
        longest_side: Reduce to at most this many pixels on the longest side; None keeps the size. JPEG is then decoded
            at an eighth, a quarter or half of its size where that suffices, which is several times quicker.

    Raises:
        CaptureError: The file is absent or cannot be decoded.
    """
    with opened(path) as image:
        size = image.size if longest_side is None else _fitted(image.size, longest_side)
        if size != image.size:
            image.draft("RGB", size)
        pixels = rgb_and_alpha(image)[0]
        turn = orientation(image)
    if pixels.shape[1::-1] != size:
        import cv2

        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(turned(pixels, turn))  # type: ignore[arg-type]


def _fitted(size: tuple[int, int], longest_side: int) -> tuple[int, int]:
    """The size that `Camera.fitted` gives; never larger."""
    scale = min(1.0, longest_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


@contextmanager
def opened(path: Path, what: str = "photo") -> Iterator[Image]:
    """An image file with its header read; damage found there, or while decoding in the body, is a `CaptureError`."""
    from PIL import Image

    try:
        with _open(path) as image:
            yield image
    except Image.DecompressionBombError as error:
        millions = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise CaptureError(f"{path} says it has more than {millions} million pixels. Reduce the {what}.") from error
    except DAMAGE as error:
        raise _unreadable(path, what, error) from error


def _open(path: Path) -> Image:
    from PIL import Image

    prepare_heif(path)
    with quiet():
        image = Image.open(path)
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format in ANIMATIONS:
        image.close()
        raise CaptureError(f"{path} is an animation of {frames} pictures. Give single photos, or the video itself.")
    return image


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Pillow from warning of large photos and sloppy EXIF, which no user can act on.

    Filters of warnings belong to the whole process, hence the lock; only headers are read under it.
    """
    from PIL import Image

    with _reading_header, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _unreadable(path: Path, what: str, error: BaseException) -> CaptureError:
    from PIL import UnidentifiedImageError

    if isinstance(error, FileNotFoundError):
        return CaptureError(f"{path} does not exist.")
    if isinstance(error, UnidentifiedImageError):
        reason = "it is damaged, or no kind of image that is read"
    else:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return CaptureError(f"{path} cannot be decoded ({reason}). Copy the {what} again, or remove it from the capture.")


def orientation(image: Image) -> int:
    """EXIF orientation 1 to 8 of an opened image; 1 when it says nothing usable.

    pi-heif turns pixels by the container's own rotation and clears the EXIF entry, so HEIC counts as upright here.
    """
    from PIL.ExifTags import Base

    try:
        with quiet():
            value = image.getexif().get(Base.Orientation, UPRIGHT)
    except DAMAGE:  # The pixels may be good all the same.
        return UPRIGHT
    return value if isinstance(value, int) and 1 <= value <= 8 else UPRIGHT


def turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Pixels (H, W, ...) as the EXIF orientation says they are to be seen; a view of the same memory."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels


def turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height after `turned`."""
    return (size[1], size[0]) if orientation >= 5 else size


def rgb_and_alpha(image: Image) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Decoded pixels (H, W, 3) and alpha (H, W), which is None where the image has none."""
    if image.mode.startswith("I") or image.mode == "F":
        return np.repeat(_eight_bits(image)[..., None], 3, axis=2), None
    has_alpha = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    announced = image.size
    pixels = np.asarray(image.convert("RGBA" if has_alpha else "RGB"))
    if pixels.shape[1::-1] != announced:
        raise ValueError("its header announces another size than its pixels have")
    return pixels[..., :3], pixels[..., 3] if has_alpha else None


def _eight_bits(image: Image) -> NDArray[np.uint8]:
    """Grey values of more than 8 bits as 8 bits; Pillow itself would clip them at 255."""
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise ValueError("its pixels are no 8-bit or 16-bit colours")
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
