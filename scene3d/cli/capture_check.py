"""`scene3d capture-check`: says in seconds whether a capture will work."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tyro.conf import Positional, arg

from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from scene3d.capture._check import CheckReport, PhotoGroup

__all__ = ["CaptureCheck", "verb"]

WORST = 5
"""Blurred photos that are named."""
VERDICTS = {"usable": "usable", "doubtful": "usable, but see below", "unusable": "not usable"}
EXPLAINED = {
    "capture": "from the capture, which is metric",
    "depth": "from the depth maps",
    "none": "none: after reconstruct, set it with `scene3d scale`, or put a printed marker into the photos",
}


@dataclass(frozen=True)
class CaptureCheck:
    """Say in seconds whether a capture will work.

    Blur, overlap, exposure, where metric scale will come from, minutes to expect. Poses are not solved, so it is an
    estimate. The exit code is 0 for usable and 1 for not usable.
    """

    section: ClassVar[str] = "Make a scene"

    capture: Annotated[Positional[Path], arg(metavar="CAPTURE")]
    """Folder of photos, a video, or anything else that reconstruct takes."""
    format: Annotated[str | None, arg(metavar="KIND", help_behavior_hint="(default: found out from the files)")] = None
    """What the capture is: transforms, colmap, rgbd, polycam, record3d, photos or video."""
    json: flags.Json = False

    def run(self) -> int:
        """Look and print."""
        from scene3d.capture._check import check_capture

        start = time.perf_counter()
        report = check_capture(self.capture, format=self.format)
        seconds = time.perf_counter() - start
        Terminal(self.json).result(document(report, seconds), str(self.capture), lines(report, seconds))
        return 0 if report.usable else 1


verb = CaptureCheck


def document(report: CheckReport, seconds: float) -> dict[str, Any]:
    """What is printed with ``--json``."""
    out = asdict(report)
    out |= {"path": str(report.path), "usable": report.usable, "seconds": round(seconds, 2)}
    out["blur"] = {name: round(value, 3) for name, value in report.blur}
    for name in ("minutes", "light_range"):
        out[name] = round(out[name], 2)
    if out["video"] is not None:
        out["video"]["path"] = str(out["video"]["path"])
        out["video"]["frames"] = report.photos
    return out


def lines(report: CheckReport, seconds: float) -> list[tuple[str, str]]:
    """The same in words."""
    out = [("verdict", VERDICTS[report.verdict])]
    out += [("problem", problem) for problem in report.problems]
    out += _video(report) if report.video is not None else _photos(report)
    out.append(("poses", "known" if report.posed else "to be solved from the photos"))
    out += _blur(report)
    out += _overlap(report)
    out.append(("light", f"{report.light_range:.1f} stops between dark and bright photos, {report.light_jumps} jumps"))
    out.append(("scale", _scale(report)))
    out += [("note", note) for note in report.notes]
    out.append(("to expect", f"about {_minutes(report.minutes)} on 2 cores (a rough guess from measured times)"))
    out.append(("checked", f"{report.looked_at} {'photos' if report.video is None else 'frames'} in {seconds:.1f} s"))
    if report.usable:
        from scene3d.cli.reconstruct import quoted

        marked = " --marker-size METRES" if report.scale == "markers" else ""
        out.append(("next", f"scene3d reconstruct {quoted(report.path)}{marked}"))
    return out


def _photos(report: CheckReport) -> list[tuple[str, str]]:
    rows = [("photos", f"{report.photos}, read as {report.kind}")]
    rows += [("size", _size(group)) for group in report.sizes[:WORST]]
    if len(report.sizes) > WORST:
        rows.append(("size", f"and {len(report.sizes) - WORST} other sizes or lenses"))
    return rows


def _size(group: PhotoGroup) -> str:
    lens = " ".join(part for part in group.lens.split("|")[:3] if part)
    focal = "" if group.focal_known else ", focal length unknown"
    return f"{group.count} of {group.width}x{group.height}{', ' + lens if lens else ''}{focal}"


def _video(report: CheckReport) -> list[tuple[str, str]]:
    video = report.video
    assert video is not None
    turned = f", turned by {video.placement.degrees} degrees" if video.placement.degrees else ""
    tone = "" if video.transfer == "sdr" else f", HDR ({video.transfer.upper()})"
    rate = f" at {video.rate:.4g}/s" if video.rate else ""
    return [
        ("video", f"{video.seconds:.1f} s, {report.photos} frames{rate}, {video.codec} with {video.bits} bits{tone}"),
        ("size", f"{video.width}x{video.height}{turned}{'' if video.focal else ', focal length unknown'}"),
        ("frames", f"the sharpest that show something new are taken, at most 150; {report.looked_at} were looked at"),
    ]


def _blur(report: CheckReport) -> list[tuple[str, str]]:
    if not report.blur:
        return []
    middle = sorted(value for _, value in report.blur)[len(report.blur) // 2]
    what = "frames" if report.video is not None else "photos"
    rows = [("blur", f"{report.blurred} of {len(report.blur)} {what} are blurred; median {middle:.2f} of 1")]
    if report.blurred:
        named = ", ".join(f"{name} ({value:.2f})" for name, value in report.blur[: min(WORST, report.blurred)])
        rows.append(("worst", named))
    return rows


def _overlap(report: CheckReport) -> list[tuple[str, str]]:
    if not report.groups:
        return [("overlap", "no two photos show the same surface")]
    sizes = " + ".join(str(len(group)) for group in report.groups)
    groups = "all hang together" if len(report.groups) == 1 and not report.alone else f"groups of {sizes}"
    alone = f", {len(report.alone)} alone" if report.alone else ""
    return [("overlap", f"{groups}{alone}; neighbours share {report.common} of 500 features")]


def _scale(report: CheckReport) -> str:
    if not report.markers or report.scale in ("capture", "depth"):
        return EXPLAINED[report.scale]
    seen = ", ".join(f"{name} in {count}" for name, count in list(report.markers.items())[:3])
    if report.scale == "markers":
        return f"from printed markers ({seen} photos): pass --marker-size with the side of the black square in metres"
    return f"{EXPLAINED['none']}. A marker was seen once only ({seen} photo), which is too little"


def _minutes(minutes: float) -> str:
    return f"{minutes:.0f} minutes" if minutes >= 1.5 else "a minute"
