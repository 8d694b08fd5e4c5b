"""What was seen of a capture -> a verdict, and for each problem a sentence that says what to do.

Unusable is what reconstruction would refuse; doubtful is what it would do badly. Captures with poses are judged more
leniently: their overlap need not be found, because their poses are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from scene3d.capture._checks import FEWEST_VIEWS
from scene3d.capture._placement import LEAST_SHARE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scene3d.capture._check import CheckReport

__all__ = ["judge"]

TWO_PLACES = 0.2
"""Share of the photos from which a second group is another place, not some strays."""
FEW_PHOTOS = 12
MANY_BLURRED = 0.2
WEAK = 25
"""Median of agreeing features below which photos overlap little."""
LIGHT_RANGE = 3.0
"""Range of the mean light [stops] that hints at changing exposure."""
MANY_JUMPS = 0.1
"""Jumps of light per photo."""
STEPS = "Move in small steps so that neighbouring photos share most of their view."

Verdict = Literal["usable", "doubtful", "unusable"]


def judge(report: CheckReport, *, stands_still: bool = False) -> tuple[Verdict, list[str]]:
    """Verdict and problems, the worst first."""
    fatal = _fatal(report, stands_still)
    doubts = _doubts(report) + ([] if fatal else _overlap(report))
    verdict: Verdict = "unusable" if fatal else "doubtful" if doubts else "usable"
    return verdict, fatal + doubts


def _fatal(report: CheckReport, stands_still: bool) -> list[str]:
    seen = len(report.blur)
    if report.video is not None and report.photos <= 1:
        return ["The video has only one frame. Film for about a minute while walking slowly round the place."]
    if report.flat and seen < FEWEST_VIEWS:
        return [
            f"{len(report.flat)} of {report.looked_at} photos show one colour and nothing else: {some(report.flat)}. "
            "Check that the lens was not covered."
        ]
    if seen < FEWEST_VIEWS:
        return [f"Only {seen} photos can be decoded, but at least {FEWEST_VIEWS} are needed. Copy the photos again."]
    if stands_still:
        return ["The camera stands still in the video. Film for about a minute while walking slowly round the place."]
    if report.posed:
        return []
    first, second = (*report.groups, (), ())[:2]
    # Samples of a video lie seconds apart, so nothing follows from a gap between them.
    if len(second) >= max(FEWEST_VIEWS, TWO_PLACES * seen) and report.video is None:
        return [
            f"The photos show two places: {len(first)} photos ({some(first)}) and {len(second)} photos "
            f"({some(second)}) have nothing in common. Put them into folders of their own, or add photos that show "
            "both."
        ]
    if len(first) < max(FEWEST_VIEWS, LEAST_SHARE * seen) and report.video is None:
        return [f"Hardly any of the photos overlap: at most {len(first)} of {seen} hang together. {STEPS}"]
    return []


def _doubts(report: CheckReport) -> list[str]:
    seen = len(report.blur)
    what = "sampled frames" if report.video is not None else "photos"
    doubts = []
    if report.photos < FEW_PHOTOS:
        doubts.append(f"There are only {report.photos} photos. Take 30 or more, all around and from two heights.")
    if report.blurred > MANY_BLURRED * seen:
        doubts.append(
            f"{report.blurred} of {seen} {what} are blurred; the scene will be blurred where no sharp one looks. "
            "Hold still, use more light, or take the worst ones out."
        )
    if report.flat and seen >= FEWEST_VIEWS:
        doubts.append(f"{len(report.flat)} photos show one colour and nothing else: {some(report.flat)}. Remove them.")
    if report.unreadable:
        doubts.append(f"{len(report.unreadable)} photos cannot be decoded: {some(report.unreadable)}. Copy them again.")
    if report.light_range > LIGHT_RANGE or report.light_jumps > MANY_JUMPS * seen:
        doubts.append(
            f"Brightness jumps: {report.light_jumps} pairs of photos of the same surface differ by more than a stop. "
            "Lock the exposure when you can."
        )
    if len({(group.lens, group.width, group.height) for group in report.sizes}) > 3 and not report.posed:
        doubts.append(
            f"The photos come from {len(report.sizes)} cameras, sizes or settings of zoom. Poses are surer with one."
        )
    return doubts


def _overlap(report: CheckReport) -> list[str]:
    if report.posed:
        return []
    what = "sampled frames" if report.video is not None else "photos"
    doubts = []
    if len(report.groups) > 1:
        sizes = " + ".join(str(len(group)) for group in report.groups)
        doubts.append(f"The {what} fall into {len(report.groups)} groups ({sizes}) without overlap; only one is kept.")
    if report.alone:
        doubts.append(
            f"{len(report.alone)} {what} overlap with no other and may be left out: {some(report.alone)}. {STEPS}"
        )
    if 0 < report.common < WEAK and report.video is None:
        doubts.append(f"The photos overlap little or show little texture. {STEPS}")
    return doubts


def some(names: Sequence[str], most: int = 3) -> str:
    """The first names and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
