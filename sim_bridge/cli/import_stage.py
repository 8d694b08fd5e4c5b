"""`scene3d import`: a USD stage becomes a scene folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tyro.conf import Positional, arg

from scene3d._errors import UsageError
from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from scene3d import Scene

__all__ = ["ImportStage", "verb"]


@dataclass(frozen=True)
class ImportStage:
    """Make a scene of a USD stage: splats, bodies, colliders, masses, joints, cameras.

    Reads stages of `scene3d export` and of other programs, e.g. usd-convert-gsplat and 3dgrut. Units become metres and
    up becomes Z; every conversion, every guess and everything that was left out is said.
    """

    section: ClassVar[str] = "Simulators"

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """.usd, .usda, .usdc or .usdz. Files that it names outside of its folder are not followed."""
    out: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(required)")] = None
    """Scene folder to write."""
    overwrite: flags.Overwrite = False
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Read, save, say what was found."""
        from scene3d.files import prepare_scene_folder, save_scene
        from sim_bridge.usd import import_usd

        if self.out is None:
            raise UsageError(f"Where to? Give a folder: scene3d import {self.file} --out outputs/{self.file.stem}")
        imported = import_usd(self.file)
        prepare_scene_folder(self.out, overwrite=self.overwrite)
        save_scene(imported.scene, self.out, overwrite=self.overwrite)
        document = _document(imported.scene, imported.notes, self.file, self.out)
        Terminal(self.json, self.quiet).result(document, str(self.file), _lines(document))
        return 0


verb = ImportStage


def _document(scene: Scene, notes: tuple[str, ...], file: Path, out: Path) -> dict[str, Any]:
    """What is printed with ``--json``."""
    from scene3d._scene_joints import joint_rows
    from scene3d.report import object_rows

    return {
        "path": str(out),
        "file": str(file),
        "splats": len(scene.splats),
        "sh_degree": scene.splats.sh_degree,
        "metric": scene.metric,
        "objects": object_rows(scene),
        "supports": len(scene.supports),
        "joints": joint_rows(scene),
        "cameras": len(scene.views),
        "notes": list(notes),
    }


def _lines(d: dict[str, Any]) -> list[tuple[str, str]]:
    """The same in words."""
    from scene3d._scene_joints import joint_lines
    from scene3d.report import object_lines

    rows = [("splats", f"{d['splats']:,}, SH degree {d['sh_degree']}")]
    table = object_lines(d["objects"]) if d["objects"] else ["none"]
    rows += list(zip(["objects"] + [""] * (len(table) - 1), table, strict=True))
    joints = joint_lines(d["joints"])
    rows += list(zip(["joints"] + [""] * (len(joints) - 1), joints, strict=False))
    rows.append(("supports", str(d["supports"])))
    rows.append(("cameras", str(d["cameras"])))
    rows.append(("scale", "metric" if d["metric"] else "not known: set it with scene3d scale"))
    rows += [("note", note) for note in d["notes"]]
    rows.append(("saved", d["path"]))
    return rows
