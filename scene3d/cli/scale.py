"""`scene3d scale`: sets the metric scale of a finished scene."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tyro.conf import Positional, arg

from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scene3d import Scene
    from scene3d.capture._scale_estimate import ScaleEstimate

__all__ = ["Scale", "verb"]


@dataclass(frozen=True)
class Scale:
    """Give a finished scene its size in metres.

    Exactly one of --size, --known-distance, --marker-size and --factor says how long things are. Nothing is fitted
    again; the scene before stays in its history.
    """

    section: ClassVar[str] = "Make a scene"

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """Scene folder."""
    size: Annotated[str | None, arg(metavar="NAME=METRES", help_behavior_hint="")] = None
    """Longest side of an object, e.g. mug=0.10."""
    known_distance: Annotated[str | None, arg(metavar="IMAGE,U1,V1,U2,V2=METRES", help_behavior_hint="")] = None
    """Distance of two pixels of a photo at full size; IMAGE,U,V,IMAGE,U,V=METRES takes them from two photos."""
    marker_size: Annotated[float | None, arg(metavar="METRES", help_behavior_hint="")] = None
    """Side of the black square of printed ArUco or AprilTag markers."""
    marker_id: Annotated[tuple[int, ...] | None, arg(metavar="N ...", help_behavior_hint="(default: all found)")] = None
    """Numbers of the markers of that size."""
    marker_dictionary: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="(default: find out)")] = None
    """Their dictionary, e.g. 4X4_50 or APRILTAG_36h11."""
    factor: Annotated[float | None, arg(metavar="F", help_behavior_hint="")] = None
    """Metres per unit of the scene."""
    overwrite: Annotated[bool, arg(help="Also when the scene is metric already.", help_behavior_hint="")] = False
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Find the scale, save the scene in metres, say what changed."""
        from scene3d._scale import ScaleRequest, set_scale

        terminal = Terminal(self.json, self.quiet)
        request = ScaleRequest(
            size=self.size,
            known_distance=self.known_distance,
            marker_size=self.marker_size,
            factor=self.factor,
            marker_ids=self.marker_id,
            marker_dictionary=self.marker_dictionary,
        )
        request.check()
        with _bar(terminal) as progress:
            scene, estimate = set_scale(self.scene, request, overwrite=self.overwrite, progress=progress)
        if scene.source.get("interrupted"):
            terminal.note("The fit was interrupted: reconstruct --resume would go on without this scale.")
        document = _document(scene, estimate, self.scene)
        terminal.result(document, str(self.scene), _lines(document))
        return 0


verb = Scale


@contextmanager
def _bar(terminal: Terminal) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal's stderr that appears when photos are searched for markers."""
    if not terminal.aside.is_terminal:
        yield lambda _share: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("  looking for markers"), BarColumn(bar_width=None), TimeRemainingColumn())
    with Progress(*columns, console=terminal.aside, transient=True, expand=True) as progress:
        task = progress.add_task("photos", total=1.0, visible=False)
        yield lambda share: progress.update(task, completed=share, visible=True)


def _document(scene: Scene, estimate: ScaleEstimate, path: Path) -> dict[str, Any]:
    from scene3d.cli.info import describe

    described = describe(scene, path)
    names = ("path", "metric", "scale_source", "T_world_source", "bounds")
    return {
        **{name: described[name] for name in names},
        "factor": estimate.scale,
        "relative_error": estimate.relative_error,
        "detail": estimate.detail,
    }


def _lines(d: dict[str, Any]) -> list[tuple[str, str]]:
    """The same in words."""
    from scene3d.cli.info import extent_in_words

    sure = f", sure to {100 * d['relative_error']:.2g} %" if d["relative_error"] else ""
    lines = [
        ("factor", f"{d['factor']:.6g} metres per unit{sure}"),
        ("from", d["scale_source"] + (f": {d['detail']}" if d["scale_source"] != "factor" else "")),
    ]
    if d["bounds"] is not None:
        lines.append(("extent", extent_in_words(d)))
    return lines
