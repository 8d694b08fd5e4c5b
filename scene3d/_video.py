"""Frames -> MP4, with whichever encoder the installed FFmpeg libraries have.

Frames are passed in one at a time; the file appears under its name when the last one is in, never half written.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scene3d._errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["open_video"]

ENCODERS = {
    "libx264": {"crf": "18", "preset": "medium"},
    "libopenh264": {},
    "h264_videotoolbox": {},
    "mpeg4": {},
}
"""Encoders in order of preference, with their options; those without a quality option get a bit rate."""

BITS_PER_PIXEL = 0.25


@contextmanager
def open_video(path: Path, width: int, height: int, fps: float) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """A function that appends one frame (height, width, 3), sRGB uint8, to an MP4.

    Odd sides lose their last pixel row or column: players want even ones.

    Args:
        path: File to write; replaced when it exists. Its folder must exist.
        width: Width of the frames [px].
        height: Height of the frames [px].
        fps: Frames per second.

    Raises:
        OutputError: The file cannot be written, or no encoder is installed.
    """
    import av

    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    even = (max(2, width - width % 2), max(2, height - height % 2))
    try:
        with av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container:
            stream = _add_stream(container, even, fps)

            def append(frame: NDArray[np.uint8]) -> None:
                cropped = frame[: even[1], : even[0]].copy()
                container.mux(stream.encode(av.VideoFrame.from_ndarray(cropped, format="rgb24")))

            yield append
            container.mux(stream.encode())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror or error}). Choose another --out.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _add_stream(container: Any, size: tuple[int, int], fps: float) -> Any:
    from fractions import Fraction

    import av

    for name, options in ENCODERS.items():
        if name not in av.codecs_available:
            continue
        stream = container.add_stream(name, rate=Fraction(fps).limit_denominator(1000), options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        if not options:
            stream.bit_rate = int(BITS_PER_PIXEL * size[0] * size[1] * fps)
        return stream
    raise OutputError(f"No MP4 encoder is installed: PyAV has none of {', '.join(ENCODERS)}. Use --format png.")
