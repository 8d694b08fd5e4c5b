"""A capture -> will it work, before hours are spent on it.

Every kind of capture becomes a list of photos (`_check_photos`), of which a few hundred at most are looked at: size and
lens, blur, light, overlap, printed markers. From that come a verdict with its reasons, where metric scale will come
from, and the minutes that reconstruction takes. Poses are not solved, so the verdict is an estimate.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from scene3d.capture._blur import BLURRED_FROM
from scene3d.capture._check_photos import (
    CheckPhoto,
    from_photo_set,
    from_views,
    look_at,
    markers_in,
    spread,
    video_samples,
)
from scene3d.capture._check_verdict import judge
from scene3d.capture._detect import ARCHIVES, find_source, has_poses, read_posed
from scene3d.capture._overlap import TOLERANCE, find_overlap
from scene3d.capture._pairs import ALIKE, EXHAUSTIVE_UP_TO, SEQUENCE_OVERLAP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scene3d.capture._overlap import Overlap
    from scene3d.capture._video_file import VideoInfo

__all__ = ["CheckReport", "PhotoGroup", "check_capture"]

MOST_PHOTOS = 200
"""Photos that are looked at; of more, this many evenly spread ones."""
MOST_SAMPLES = 24
"""Frames of a video that are looked at, and photos that markers are searched in."""
DARKER = 1.0
"""Difference of light between photos of the same surface that counts as a jump [stops]."""
VIDEO_FRAMES = 150
"""Frames that a video gives at most."""
# Seconds, measured on a machine of two cores: solving 50 photos with all pairs matched takes 66 s, fitting with the
# default preset four minutes, and choosing the frames of a video of 60 s in 1080p 20 s.
SECONDS_PER_PHOTO = 0.6
SECONDS_PER_PAIR = 0.028
SECONDS_PER_MEGAPIXEL = 0.03
SECONDS_PER_VIDEO_MEGAPIXEL = 0.0055
SECONDS_OF_FIT = 240.0


@dataclass(frozen=True)
class PhotoGroup:
    """Photos of one size and lens."""

    width: int
    """Upright width [px]."""
    height: int
    """Upright height [px]."""
    lens: str
    """What the header says about camera, lens and zoom; empty for nothing."""
    focal_known: bool
    """Whether the focal length is known before solving."""
    count: int
    """Number of photos."""


@dataclass(frozen=True)
class CheckReport:
    """What a quick look at a capture says."""

    path: Path
    """Folder or file."""
    kind: str
    """What it is, as `find_source` names it."""
    verdict: Literal["usable", "doubtful", "unusable"]
    """``doubtful`` can be reconstructed, but parts may be missing or blurred."""
    problems: tuple[str, ...]
    """Why it is not simply usable, each with what to do; the worst first."""
    photos: int
    """Photos in the capture; of a video, frames."""
    looked_at: int
    """Photos that were decoded for this report."""
    sizes: tuple[PhotoGroup, ...]
    """Photos by size and lens, most first."""
    blur: tuple[tuple[str, float], ...]
    """Photos looked at and how blurred they are, 0 to 1, worst first."""
    blurred: int
    """How many of them count as blurred."""
    flat: tuple[str, ...]
    """Photos of one colour."""
    unreadable: tuple[str, ...]
    """Photos that cannot be decoded."""
    groups: tuple[tuple[str, ...], ...]
    """Photos that hang together over common surfaces, largest group first."""
    alone: tuple[str, ...]
    """Photos that share nothing with any other."""
    common: int
    """Median number of agreeing features between photos that overlap, of 500 at 480 pixels; 0 when none do."""
    light_range: float
    """Range of the mean light of the middle 90 % of the photos [stops]."""
    light_jumps: int
    """Pairs of photos of the same surface that differ by more than a stop."""
    posed: bool
    """Whether the capture has camera poses."""
    scale: Literal["capture", "depth", "markers", "none"]
    """Where metric scale will come from."""
    markers: dict[str, int]
    """Printed markers and the number of photos that they were seen in."""
    minutes: float
    """Minutes that `scene3d reconstruct` takes on two cores, roughly."""
    notes: tuple[str, ...] = ()
    """What the reader said: files left out, defaults assumed."""
    video: VideoInfo | None = None
    """Header of a video."""

    @property
    def usable(self) -> bool:
        """False when reconstruction would fail."""
        return self.verdict != "unusable"


@dataclass(frozen=True)
class _Source:
    """What there is to look at."""

    kind: str
    photos: list[CheckPhoto]
    total: int
    ordered: bool
    metric: bool = False
    depth: bool = False
    notes: tuple[str, ...] = ()
    video: VideoInfo | None = None


def check_capture(
    path: Path | str, *, format: str | None = None, progress: Callable[[float], None] | None = None
) -> CheckReport:
    """Look at a capture without solving anything.

    Args:
        path: What `read_capture` takes: a folder, a video, a transforms.json, an archive.
        format: Kind of capture; None finds out.
        progress: Called with the share of the work done, 0 to 1.

    Raises:
        CaptureError: No capture, or one that its reader refuses.
        UsageError: There is no such format.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(prefix="scene3d-") as scratch:
        source = _open(path, format, Path(scratch))
        return _report(path, source, progress or (lambda _: None))


def _open(path: Path, format: str | None, scratch: Path) -> _Source:
    if path.suffix.lower() in ARCHIVES and path.is_file():
        from scene3d.capture._zip_folder import unpack

        path = unpack(path, scratch)
    kind = find_source(path, format)
    if has_poses(kind):
        return _posed(path, kind)
    if kind == "video":
        return _video(path, scratch)
    from scene3d.capture._photo_folder import list_photos

    found = list_photos(path)
    photos = from_photo_set(found)
    depth = any(file.depth is not None for file in found.files)
    return _Source(kind, photos, len(photos), found.ordered, depth=depth, notes=found.notes)


def _posed(path: Path, kind: str) -> _Source:
    from scene3d.capture._photo_order import in_order

    capture = read_posed(path, kind)  # type: ignore[arg-type]
    names = [view.name for view in capture.views]
    return _Source(
        kind,
        from_views(capture.views),
        len(names),
        in_order(names, [""] * len(names)),
        metric=capture.metric,
        depth=any(view.depth is not None for view in capture.views),
        notes=capture.notes,
    )


def _video(path: Path, scratch: Path) -> _Source:
    from scene3d.capture._video_file import count_packets, probe

    info = probe(path)
    return _Source("video", video_samples(info, scratch, MOST_SAMPLES), count_packets(path)[0], True, video=info)


def _report(path: Path, source: _Source, progress: Callable[[float], None]) -> CheckReport:
    photos = [source.photos[k] for k in spread(len(source.photos), MOST_PHOTOS)]
    looks = look_at(photos, progress=lambda share: progress(0.35 * share))
    seen = [(photo, look) for photo, look in zip(photos, looks, strict=True) if look is not None]
    good = [(photo, look) for photo, look in seen if not look.flat]
    overlap = find_overlap(
        [look.grey for _, look in good],
        ordered=source.ordered,
        progress=lambda share: progress(0.35 + 0.45 * share),
    )
    names = [photo.name for photo, _ in good]
    sought = [good[k][0] for k in spread(len(good), MOST_SAMPLES)] if good else []
    markers = {} if source.metric else markers_in(sought)
    progress(1.0)
    light = [look.light for _, look in good]
    report = CheckReport(
        path=path,
        kind=source.kind,
        verdict="usable",
        problems=(),
        photos=source.total,
        looked_at=len(photos),
        sizes=_sizes(source.photos),
        blur=tuple(sorted(((photo.name, look.blur) for photo, look in good), key=lambda item: (-item[1], item[0]))),
        blurred=sum(look.blur >= BLURRED_FROM for _, look in good),
        flat=tuple(photo.name for photo, look in seen if look.flat),
        unreadable=tuple(photo.name for photo, look in zip(photos, looks, strict=True) if look is None),
        groups=tuple(tuple(names[k] for k in group) for group in overlap.groups),
        alone=tuple(names[k] for k in overlap.alone),
        common=int(np.median([inliers for *_, inliers in overlap.links])) if overlap.links else 0,
        light_range=float(np.subtract(*np.quantile(light, [0.95, 0.05]))) if light else 0.0,
        light_jumps=sum(abs(light[a] - light[b]) > DARKER for a, b, _ in overlap.links),
        posed=has_poses(source.kind),  # type: ignore[arg-type]
        scale="capture" if source.metric else "depth" if source.depth else "markers" if _sure(markers) else "none",
        markers=markers,
        minutes=_minutes(source),
        notes=source.notes,
        video=source.video,
    )
    verdict, problems = judge(report, stands_still=source.video is not None and _stands_still(overlap))
    return replace(report, verdict=verdict, problems=tuple(problems))


def _sizes(photos: Sequence[CheckPhoto]) -> tuple[PhotoGroup, ...]:
    def key(photo: CheckPhoto) -> tuple[int, int, str, bool]:
        return photo.view.camera.width, photo.view.camera.height, photo.lens, photo.focal

    counts = Counter(key(photo) for photo in photos)
    return tuple(PhotoGroup(*group, count) for group, count in counts.most_common())


def _sure(markers: dict[str, int]) -> bool:
    """One photo alone cannot give a marker's size in space."""
    return max(markers.values(), default=0) >= 2


def _stands_still(overlap: Overlap) -> bool:
    """Everything that samples of a video have in common stays in its place, whatever else moves."""
    return bool(overlap.links) and overlap.largest_motion < TOLERANCE


def _minutes(source: _Source) -> float:
    """Roughly, from what was measured; matching grows with the pairs, the rest with the photos."""
    count = min(source.total, VIDEO_FRAMES) if source.video is not None else source.total
    seconds = SECONDS_OF_FIT
    if not source.photos:
        return seconds / 60
    camera = source.photos[0].view.camera
    read = SECONDS_PER_MEGAPIXEL if source.video is None else SECONDS_PER_VIDEO_MEGAPIXEL
    seconds += read * source.total * camera.width * camera.height / 1e6
    if not has_poses(source.kind):  # type: ignore[arg-type]
        exhaustive = count <= (EXHAUSTIVE_UP_TO // 2 if source.ordered else EXHAUSTIVE_UP_TO)
        some = SEQUENCE_OVERLAP + 7 if source.ordered else ALIKE
        pairs = count * (count - 1) / 2 if exhaustive else count * some
        seconds += SECONDS_PER_PHOTO * count + SECONDS_PER_PAIR * pairs
    return seconds / 60
