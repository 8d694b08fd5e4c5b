"""`scene3d convert`: splats from one file format to another, or a capture into another program's folder.

A is read by what it is (splat file, scene folder, capture), B is written by its suffix, or as a scene folder when it
has none. Formats differ in what they hold, so the verb's real work is to say what B does not hold any more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from tyro.conf import Positional, arg

from scene3d._errors import FileFormatError, OutputError, UsageError
from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene3d import Capture, Scene
    from scene3d.files import SplatFile

__all__ = ["Convert", "verb"]

MIB = 1024 * 1024
UP_LENGTHS = (1e-6, 1e6)


@dataclass(frozen=True)
class Convert:
    """Change the format of splats, and say what got lost.

    Read: 3DGS .ply, compressed .ply, .spz, .splat, .sog, .glb (KHR_gaussian_splatting), splatfacto .ckpt or the folder
    of its run, scene folders. Written: .ply (exact), .spz, .splat, .glb, and a scene folder for a name without suffix.
    A folder of objects (NAME/splat.ply beside a mesh) becomes a scene of bodies. With --to, A is a capture and becomes
    a dataset of nerfstudio or COLMAP.
    """

    section: ClassVar[str] = "Exchange"

    source: Annotated[Positional[Path], arg(metavar="A")]
    """What to read."""
    target: Annotated[Positional[Path], arg(metavar="B")]
    """What to write; its suffix chooses the format."""
    to: Annotated[
        Literal["nerfstudio", "colmap"] | None, arg(metavar="nerfstudio|colmap", help_behavior_hint="(default: splats)")
    ] = None
    """Write the capture A (photos, poses, masks, points) as a dataset of this program into the folder B."""
    collider: Annotated[Path | None, arg(metavar="FILE.glb", help_behavior_hint="")] = None
    """Mesh of the world that the splats A show (Marble exports both): B stands upright and gets it as a static body."""
    unit: Annotated[float | None, arg(metavar="METRES", help_behavior_hint="(default: not known)")] = None
    """With --collider: length of one unit of A, which Marble calls metric_scale_factor."""
    up: Annotated[
        tuple[float, float, float] | None, arg(metavar="X Y Z", help_behavior_hint="(default: as A says)")
    ] = None
    """Direction of A that points up, when A does not say it or is wrong. Splats are not turned in A's frame."""
    overwrite: flags.Overwrite = False
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Convert, then say what was written and what was lost."""
        terminal = Terminal(self.json, self.quiet)
        self._check()
        document = self._capture(terminal) if self.to else self._splats()
        lines = [("read", f"{self.source} ({document['from']})"), ("written", f"{self.target} ({document['to']})")]
        if "splats" in document:
            sizes = " -> ".join(f"{document[name] / MIB:.1f} MiB" for name in ("bytes_read", "bytes_written"))
            lines.insert(0, ("splats", f"{document['splats']:,}, SH degree {document['sh_degree']}"))
            lines.append(("size", sizes))
        lines += [("note", note) for note in document["notes"]]
        lines += [("lost", lost) for lost in document["lost"]]
        if not document["lost"]:
            lines.append(("lost", "nothing"))
        terminal.result(document, self.source.name, lines)
        return 0

    def _check(self) -> None:
        """Find wrong usage before anything is read."""
        from scene3d.files._splat_files import WRITTEN, writes_splats

        if not self.source.exists():
            raise FileFormatError(f"{self.source} does not exist. Check the path.")
        if self.up is not None:
            low, high = UP_LENGTHS
            if not low < sum(x * x for x in self.up) ** 0.5 < high:
                raise UsageError("--up takes a direction, for example --up 0 0 1; its length must not be zero.")
        if self.collider is None and self.unit is not None:
            raise UsageError("--unit belongs to --collider. Set the scale of a scene with 'scene3d scale' instead.")
        if self.unit is not None and not (math.isfinite(self.unit) and self.unit > 0):
            raise UsageError(f"Found --unit {self.unit:g}; it takes a number above zero, in metres.")
        if self.collider is not None and (self.to is not None or self.up is not None):
            raise UsageError("--collider reads a world whose up is known. Leave out --to and --up.")
        if self.to is not None:
            return
        if self.target.suffix and not writes_splats(self.target):
            raise UsageError(
                f"{self.target} has a suffix that is not written. Written are {', '.join(WRITTEN)} (not compressed), "
                "and a scene folder for a name without suffix."
            )
        if self.target.suffix and self.target.exists() and not self.overwrite:
            raise OutputError(f"{self.target} exists. Use --overwrite to replace it, or choose another name.")
        if self.target.resolve() == self.source.resolve():
            raise UsageError("A and B are the same. Give B another name.")

    def _splats(self) -> dict[str, Any]:
        from scene3d._scene import Scene
        from scene3d.files import save_scene, save_splats

        found, scene, lost = _read(self.source, self.collider, self.unit)
        up = self.up or found.up
        if self.target.suffix:
            units = () if scene is None else (f"units {'m' if scene.metric else 'unknown'}",)
            lost += save_splats(found.splats, self.target, comments=(*units, "made by scene3d"), up=up)
            kind, count = self.target.suffix[1:].lower(), len(found.splats)
        else:
            made = scene or Scene(found.splats, source={"converted_from": str(self.source)})
            save_scene(made if up is None else replace(made, up=_unit(up)), self.target, overwrite=self.overwrite)
            lost, kind, count = [], "scene folder", len(made.splats)
        return {
            "source": str(self.source),
            "target": str(self.target),
            "from": found.format,
            "to": kind,
            "splats": count,
            "sh_degree": found.splats.sh_degree,
            "up": None if up is None else list(_unit(up)),
            "bytes_read": _bytes(self.source),
            "bytes_written": _bytes(self.target),
            "notes": list(found.notes),
            "lost": lost,
        }

    def _capture(self, terminal: Terminal) -> dict[str, Any]:
        from tempfile import TemporaryDirectory

        from scene3d import interop
        from scene3d.capture import read_capture

        export = interop.export_nerfstudio if self.to == "nerfstudio" else interop.export_colmap
        with TemporaryDirectory(prefix="scene3d-") as work:
            capture = read_capture(self.source, work=work, progress=_stages(terminal))
            export(capture, self.target, overwrite=self.overwrite)
        return {
            "source": str(self.source),
            "target": str(self.target),
            "from": "capture",
            "to": self.to,
            "photos": len(capture.views),
            "notes": list(capture.notes),
            "lost": _lost_of_capture(capture) if self.to == "colmap" else [],
        }


verb = Convert


def _read(path: Path, collider: Path | None, unit: float | None) -> tuple[SplatFile, Scene | None, list[str]]:
    """Splats in the world, the scene if they came from one, and what of it no splat file holds."""
    from scene3d._flatten import flatten
    from scene3d.files import SplatFile, load_scene, load_splats
    from scene3d.files._splat_files import holds_splats
    from scene3d.interop import holds_polaris, read_marble, read_polaris

    if collider is not None:
        scene, kind = read_marble(path, collider, unit=unit), "splats and collider"
    elif path.is_dir() and (path / "scene.yaml").is_file():
        scene, kind = load_scene(path), "scene folder"
    elif path.is_dir() and holds_polaris(path):
        scene, kind = read_polaris(path), "folder of objects"
    elif path.is_dir() and not holds_splats(path):
        raise FileFormatError(
            f"{path} is a folder without splats. For a folder of photos add --to nerfstudio or --to colmap, or make "
            "splats of it with 'scene3d reconstruct'."
        )
    else:
        return load_splats(path), None, []
    notes = tuple(scene.source.get("notes", ())) if kind != "scene folder" else ()
    return SplatFile(flatten(scene).splats, kind, notes, scene.up), scene, _lost_of_scene(scene)


def _lost_of_scene(scene: Scene) -> list[str]:
    """What no splat file has a place for."""
    lost = []
    if scene.objects:
        names = ", ".join(thing.name for thing in scene.objects)
        lost.append(f"{len(scene.objects)} objects became part of one picture; their bodies were left behind: {names}.")
    if scene.filled:
        lost.append(f"{scene.filled} splats that were made up to fill the holes under objects were left out.")
    if scene.views:
        lost.append(f"{len(scene.views)} cameras of the capture were left behind.")
    if scene.metric:
        lost.append("That lengths are metres is not in the file; they still are.")
    if scene.metrics or scene.source:
        lost.append("The record of where the scene came from and how good it is was left behind.")
    return lost


def _unit(up: tuple[float, float, float]) -> tuple[float, float, float]:
    length = sum(x * x for x in up) ** 0.5
    return (up[0] / length, up[1] / length, up[2] / length)


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _stages(terminal: Terminal) -> Callable[[str, float], None]:
    """A callback that names each stage of solving poses once."""
    seen = set[str]()

    def update(stage: str, _share: float) -> None:
        if stage not in seen:
            seen.add(stage)
            terminal.note(f"{stage} ...")

    return update


def _lost_of_capture(capture: Capture) -> list[str]:
    """What a COLMAP folder has no place for."""
    lost = []
    depths = sum(view.depth is not None for view in capture.views)
    if depths:
        lost.append(f"{depths} depth maps were left behind.")
    if capture.metric:
        lost.append("That lengths are metres is not in the folder; they still are.")
    if capture.up is not None:
        lost.append("Which way is up is not in the folder; axes are as they were.")
    return lost
