"""A video file -> what its header says, and its decoded frames one after the other.

FFmpeg's libraries open any container and decode any codec that they know. Damage inside a stream costs the frames that
it hits; how much was lost is counted in `Damage`. Headers are judged before a frame is decoded, so that a file that
lies about its size allocates nothing.
"""

from __future__ import annotations

import math
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scene3d._errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Damage", "Placement", "VideoInfo", "count_packets", "decoded", "placement", "probe"]

MOST_PIXELS = 80_000_000
"""An 8K frame has 33 million."""
LONGEST = 1800.0
"""Half an hour [s]; a place is filmed in one to three minutes."""
FOCAL_KEY = "com.apple.quicktime.camera.focal_length.35mm_equivalent"
FILM_WIDTH = 36.0
"""Width of 35 mm film, which equivalent focal lengths refer to [mm]."""
FOCAL_RANGE = (0.2, 30.0)
"""Possible focal lengths in longest sides of the picture."""
FORMATS = "Accepted are .mp4, .mov, .m4v, .avi, .mkv and .webm files."


@dataclass(frozen=True)
class Placement:
    """How stored pixels are turned to be seen: transposed first, then flipped."""

    transposed: bool = False
    """Rows become columns."""
    flip_x: bool = False
    """Left and right change places."""
    flip_y: bool = False
    """Top and bottom change places."""

    @property
    def degrees(self) -> int:
        """Clockwise rotation 0, 90, 180 or 270, disregarding a mirror."""
        if self.transposed:
            return 90 if self.flip_x else 270
        return 180 if self.flip_y else 0


@dataclass(frozen=True)
class VideoInfo:
    """A video as its header and its first frame describe it."""

    path: Path
    """The file."""
    width: int
    """Upright width with square pixels [px]."""
    height: int
    """Upright height with square pixels [px]."""
    placement: Placement
    """How stored frames are turned to be upright."""
    seconds: float
    """Duration; 0 when the header does not know it."""
    rate: float
    """Mean frames per second; 0 when unknown."""
    codec: str
    """FFmpeg's name of the codec, e.g. ``hevc``."""
    transfer: str
    """Tone curve: ``sdr``, ``hlg`` or ``pq``."""
    bits: int
    """Bits per colour channel."""
    focal: float | None = None
    """Focal length [px of the upright frame], where a phone wrote it; None otherwise."""

    @property
    def frames(self) -> int:
        """Estimated number of frames."""
        return round(self.seconds * self.rate)


@dataclass
class Damage:
    """What could not be decoded."""

    packets: int = 0
    """Pieces of the file that the decoder refused."""
    ended: bool = False
    """Reading stopped at an error, not at the end."""


def probe(path: Path) -> VideoInfo:
    """Read the header and decode one frame.

    Raises:
        CaptureError: No video, a damaged one, or one of an impossible size.
    """
    with _opened(path) as (container, stream):
        seconds = _seconds(container, stream)
        if seconds > LONGEST:
            raise CaptureError(
                f"{path} is {seconds / 60:.0f} minutes long, but videos are read up to {LONGEST / 60:.0f} minutes. "
                "Cut out the part that shows the place; one to three minutes are plenty."
            )
        first = next(_decoded(container, stream, Damage()), None)
        if first is None:
            raise CaptureError(f"{path} holds no frame that can be decoded. Copy the video again.")
        place = placement(first)
        width, height = _square_size(first, stream)
        if place.transposed:
            width, height = height, width
        return VideoInfo(
            path=path,
            width=width,
            height=height,
            placement=place,
            seconds=seconds,
            rate=float(stream.average_rate or 0),
            codec=str(stream.codec_context.name),
            transfer={18: "hlg", 16: "pq"}.get(int(getattr(first, "color_trc", 2) or 2), "sdr"),
            bits=max((part.bits for part in first.format.components), default=8),
            focal=_focal({**container.metadata, **stream.metadata}, max(width, height)),
        )


def count_packets(path: Path) -> tuple[int, int]:
    """How many frames a video holds, and how many of them are key frames, without decoding any."""
    from av.error import FFmpegError

    frames = keys = 0
    with _opened(path) as (container, stream):
        try:
            for packet in container.demux(stream):
                frames += packet.size > 0
                keys += packet.size > 0 and packet.is_keyframe
        except (FFmpegError, OSError):  # Damaged from here on; what came before counts.
            pass
    return frames, keys


@contextmanager
def decoded(path: Path, damage: Damage, *, key_frames_only: bool = False) -> Iterator[Iterator[Any]]:
    """All frames of a video that can be decoded, as PyAV has them, in the order in which they are shown.

    Args:
        path: Video file.
        damage: Counts what could not be decoded.
        key_frames_only: Pass over all frames that need others to be decoded, about 29 of 30, which is quick.
    """
    with _opened(path) as (container, stream):
        if key_frames_only:
            stream.codec_context.skip_frame = "NONKEY"
        yield _decoded(container, stream, damage)


def _decoded(container: Any, stream: Any, damage: Damage) -> Iterator[Any]:
    from av.error import EOFError as EndOfStream
    from av.error import FFmpegError

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (FFmpegError, OSError):
            damage.ended = True
            packet = None
        try:
            # None flushes out what the decoder still holds.
            yield from stream.codec_context.decode(packet)
        except EndOfStream:
            pass
        except (FFmpegError, OSError, ValueError):
            damage.packets += 1
        if packet is None:
            return


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Container and video stream of a file."""
    import av
    from av.error import FFmpegError

    if not path.is_file():
        raise CaptureError(f"{path} does not exist." if not path.exists() else f"{path} is no video file. {FORMATS}")
    try:
        container = av.open(str(path))
    except (FFmpegError, OSError, ValueError) as error:
        raise CaptureError(
            f"{path} cannot be opened as a video: it is damaged, cut short, or no video "
            f"({getattr(error, 'strerror', None) or error}). Copy it again. {FORMATS}"
        ) from error
    with container:
        stream = _video_stream(container, path)
        width, height = stream.codec_context.width, stream.codec_context.height
        if min(width, height) < 1 or width * height > MOST_PIXELS:
            raise CaptureError(f"{path} says that its frames are {width}x{height} pixels, which is not read.")
        stream.thread_type = "AUTO"
        yield container, stream


def _video_stream(container: Any, path: Path) -> Any:
    """The largest moving picture; cover pictures of music files are none."""
    moving = [stream for stream in container.streams.video if not _is_cover(stream)]
    if not moving:
        raise CaptureError(f"{path} holds no video stream, only {_kinds(container)}. {FORMATS}")
    return max(moving, key=lambda stream: (stream.codec_context.width or 0) * (stream.codec_context.height or 0))


def _is_cover(stream: Any) -> bool:
    with suppress(AttributeError, TypeError):
        return "attached_pic" in str(stream.disposition).lower()
    return False


def _kinds(container: Any) -> str:
    return " and ".join(sorted({stream.type for stream in container.streams if stream.type != "video"})) or "nothing"


def _seconds(container: Any, stream: Any) -> float:
    if stream.duration and stream.time_base:
        return max(0.0, float(stream.duration * stream.time_base))
    return max(0.0, container.duration / 1e6) if container.duration else 0.0


def _square_size(frame: Any, stream: Any) -> tuple[int, int]:
    """Stored width and height [px] of a frame after its pixels are made square."""
    ratio = float(stream.sample_aspect_ratio or 1)
    return (max(1, round(frame.width * ratio)) if 0.2 < ratio < 5 else frame.width), frame.height


def placement(frame: Any) -> Placement:
    """How a frame is turned, from the display matrix [ISO 14496-12] that phones write."""
    import struct

    from av.sidedata.sidedata import Type

    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None or len(bytes(data)) < 20:
        return Placement()
    a, b, _, c, d = struct.unpack("=5i", bytes(data)[:20])
    # Shown x = a x + c y, shown y = b x + d y; in 1/65536.
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Placement(False, a < 0, d < 0)
    return Placement(True, c < 0, b < 0)


def _focal(metadata: dict[str, str], longest_side: int) -> float | None:
    try:
        focal = float(metadata.get(FOCAL_KEY, "nan")) * longest_side / FILM_WIDTH
    except ValueError:
        return None
    possible = math.isfinite(focal) and FOCAL_RANGE[0] * longest_side <= focal <= FOCAL_RANGE[1] * longest_side
    return focal if possible else None
