"""`scene3d reconstruct`: a capture becomes a scene folder with a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from tyro.conf import Positional, arg

from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from scene3d import Capture, Scene

__all__ = ["Reconstruct", "verb"]

Format = Literal["transforms", "colmap", "rgbd", "polycam", "record3d", "photos", "video"]


@dataclass(frozen=True)
class Reconstruct:
    """Turn photos, a video or a scan into a scene of objects, with a report.

    Photos without poses get them from structure from motion. What stands on a table becomes bodies (see segment).
    Every 8th photo is held out of fitting to measure the result, if there are 16 or more. Ctrl-C ends the fit early and
    still saves the scene; --resume goes on from there.
    """

    section: ClassVar[str] = "Make a scene"

    capture: Annotated[Positional[Path], arg(metavar="CAPTURE")]
    """Folder of photos, a video, an RGB-D folder, a Polycam or Record3D export, a COLMAP folder, or a transforms.json
    (nerfstudio, instant-ngp)."""
    out: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: outputs/NAME of the capture)")] = (
        None
    )
    """Scene folder to write."""
    format: Annotated[
        Format | None,
        arg(metavar="KIND", help_behavior_hint="(default: found out from the files)"),
    ] = None
    """What the capture is: transforms, colmap, rgbd, polycam, record3d, photos or video."""
    masks: Annotated[
        Literal["ignore", "alpha"] | None,
        arg(metavar="ignore|alpha", help_behavior_hint="(default: alpha where they leave out more than half)"),
    ] = None
    """What black pixels of masks mean: ignore leaves them out of fitting, alpha makes the scene transparent there."""
    up: Annotated[str, arg(metavar="AXIS")] = "auto"
    """What points up in the capture's own world: auto, keep, x, -x, y, -y, z, -z or X,Y,Z."""
    marker_size: Annotated[float | None, arg(metavar="M", help_behavior_hint="")] = None
    """Side of the black square of printed ArUco or AprilTag markers in the photos [m]; gives the scene its scale."""
    known_distance: Annotated[str | None, arg(metavar="IMAGE,U1,V1,U2,V2=M", help_behavior_hint="")] = None
    """Two pixels of one photo whose points are M metres apart; gives the scene its scale."""
    size: Annotated[str | None, arg(metavar="NAME=M", help_behavior_hint="")] = None
    """Longest side of an object that the capture has masks of [m]; gives the scene its scale."""
    preset: Annotated[Literal["fast", "default", "high"], arg(metavar="fast|default|high")] = "default"
    """How long to fit, at which size, with how many splats."""
    config: flags.Config = None
    """Settings of the fit, instead of a preset."""
    seconds: Annotated[float | None, arg(metavar="S", help_behavior_hint="(default: the preset's number of steps)")] = (
        None
    )
    """Time budget for fitting [s]."""
    device: flags.Device = "cpu"
    seed: flags.Seed = 0
    no_segment: Annotated[bool, arg(help="Leave the scene in one piece.", help_behavior_hint="")] = False
    overwrite: flags.Overwrite = False
    resume: flags.Resume = False
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Reconstruct, then say where everything is."""
        from scene3d._reconstruct import reconstruct
        from scene3d.cli import INTERRUPTED
        from scene3d.cli._progress import fit_progress

        terminal = Terminal(self.json, self.quiet)
        out = self.out or Path("outputs") / capture_name(self.capture)
        said: list[str] = []
        with fit_progress(terminal) as progress:
            scene = reconstruct(
                self.capture,
                out,
                format=self.format,
                masks=self.masks,
                up=self.up,
                marker_size=self.marker_size,
                known_distance=self.known_distance,
                size=self.size,
                preset=self.preset,
                config=self.config,
                seconds=self.seconds,
                device=self.device,
                seed=self.seed,
                overwrite=self.overwrite,
                resume=self.resume,
                segment=not self.no_segment,
                progress=progress,
                on_capture=lambda capture: said.extend(_introduce(capture, terminal)),
            )
        for note in (*scene.source.get("notes", ()), *scene.source.get("segment", {}).get("notes", ())):
            if note not in said:
                terminal.note(note)
        terminal.result(_document(scene, out), out.resolve().name, _closing_lines(scene, out))
        if scene.objects and not self.json:
            from scene3d.report import print_object_table

            print_object_table(terminal, scene)
        return INTERRUPTED if _interrupted(scene) else 0


verb = Reconstruct


def capture_name(capture: Path) -> str:
    """What to call the scene of a capture: its folder, or the video or archive without its ending."""
    path = capture.resolve()
    if path.suffix.lower() == ".json":
        return path.parent.name or "scene"
    return (path.stem if path.is_file() else path.name) or "scene"


def _introduce(capture: Capture, terminal: Terminal) -> tuple[str, ...]:
    """Say what was found before the bar starts; returns the notes that were printed."""
    train, held_out = capture.split()
    points = f"{len(capture.points.points):,} points" if capture.points is not None else "no points"
    lengths = "metric" if capture.metric else "no metric scale"
    terminal.note(f"{capture.source}: {len(train)} photos to fit, {len(held_out)} held out, {points}, {lengths}.")
    masked = [view for view in capture.views if view.mask is not None]
    if masked:
        terminal.note(f"{len(masked)} photos have masks, mode {masked[0].mask_mode}.")
    for note in capture.notes:
        terminal.note(note)
    return capture.notes


def _interrupted(scene: Scene) -> bool:
    """Whether Ctrl-C ended the fit or the search for objects."""
    source = scene.source
    return bool(source.get("interrupted") or source.get("segment", {}).get("interrupted"))


def _document(scene: Scene, out: Path) -> dict[str, Any]:
    from scene3d.report import object_rows

    return {
        "scene": str(out),
        "report": str(out / "report" / "index.html"),
        "preview": str(out / "report" / "preview.png"),
        "interrupted": _interrupted(scene),
        "metric": scene.metric,
        "scale_source": scene.scale_source,
        "set_scale_with": None if scene.metric else scale_command(scene, out),
        "metrics": dict(scene.metrics),
        "notes": [*scene.source.get("notes", ()), *scene.source.get("segment", {}).get("notes", ())],
        "objects": object_rows(scene),
        "sheet": str(out / "report" / "objects.png") if scene.objects else None,
    }


def _closing_lines(scene: Scene, out: Path) -> list[tuple[str, str]]:
    m, held_out = scene.metrics, sum(view.held_out for view in scene.views)
    if m["psnr"] is not None:
        quality = f"{m['psnr']:.2f} dB PSNR on {held_out} held-out photos, SSIM {m['ssim']:.3f}"
    else:
        quality = f"{m['train_psnr']:.2f} dB PSNR on fitted photos; none was held out"
    lines = [
        ("quality", quality),
        ("splats", f"{m['splats']:,} in {m['seconds']:.0f} s"),
        ("scene", str(out)),
        ("report", str(out / "report" / "index.html")),
        ("preview", str(out / "report" / "preview.png")),
        *([("objects", str(out / "report" / "objects.png"))] if scene.objects else []),
        ("next", f"scene3d render {quoted(out)} --cameras turntable"),
    ]
    if not scene.metric:
        lines.insert(
            2, ("scale", "unknown: lengths are not metres. Two pixels of a photo or a printed marker tell it:")
        )
        lines.insert(3, ("", scale_command(scene, out)))
        lines.insert(4, ("", f"scene3d scale {quoted(out)} --marker-size METRES"))
    else:
        lines.insert(2, ("scale", f"metres, from {scene.scale_source or 'the capture'}"))
    if scene.source.get("interrupted"):
        lines.insert(1, ("stopped", "early, by Ctrl-C; the same command with --resume goes on"))
    return lines


def scale_command(scene: Scene, out: Path) -> str:
    """The command that gives a finished scene its scale, with one of its own photos."""
    name = quoted(Path(scene.views[0].name)) if scene.views else "IMAGE"
    return f"scene3d scale {quoted(out)} --known-distance {name},U1,V1,U2,V2=METRES"


def quoted(path: Path) -> str:
    """A path as one would type it in a shell."""
    import shlex

    return shlex.quote(str(path))
