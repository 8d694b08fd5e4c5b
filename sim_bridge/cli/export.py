"""`scene3d export`: hands a scene to simulators, as a USD stage, a MuJoCo model or URDF files."""

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

__all__ = ["Export", "verb"]

STAGES = (".usd", ".usda", ".usdc", ".usdz")
MODELS = (".xml", ".urdf")


@dataclass(frozen=True)
class Export:
    """Write a scene for simulators: splats, colliders, masses, frictions, cameras.

    The ending of OUT says what: .usd, .usda, .usdc and .usdz are USD stages, for Isaac Sim, Newton and whatever reads
    USD; .xml is a MuJoCo model and .urdf a folder of links, both with their meshes beside them and without splats.
    Where each body begins is also written to initial_conditions.json beside a stage.
    """

    section: ClassVar[str] = "Simulators"

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """Scene folder, in metres."""
    out: Annotated[Positional[Path], arg(metavar="OUT")]
    """File to write."""
    rollout: Annotated[str | None, arg(metavar="ID", help_behavior_hint="")] = None
    """Add what happened in SCENE/rollouts/ID as time samples; bodies then follow the recording (.usd*)."""
    future: Annotated[int, arg(metavar="N")] = 0
    """Which of the rollout's futures."""
    half: Annotated[bool, arg(help="Splats in half precision, half the size (.usd*).", help_behavior_hint="")] = False
    spheres: Annotated[
        bool, arg(help="Spheres as colliders in place of convex parts (.usd*).", help_behavior_hint="")
    ] = False
    assume_scale: Annotated[
        bool, arg(help="Take a unit of a scene without scale for a metre.", help_behavior_hint="")
    ] = False
    overwrite: flags.Overwrite = False
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Read, write, say what was written."""
        from scene3d.files import load_scene

        terminal = Terminal(self.json, self.quiet)
        self._check()
        scene = load_scene(self.scene)
        exported = self._stage(scene) if self.out.suffix in STAGES else self._model(scene)
        document = _document(exported)
        if self.json:
            for note in document["notes"]:
                terminal.note(note)
        # Models are proven with their scene, by the engine that reads them; a stage is proven by itself.
        proven = self.out if self.out.suffix in STAGES else self.scene
        terminal.result(document, str(self.out), [*_lines(document), ("next", f"scene3d verify {proven}")])
        return 0

    def _check(self) -> None:
        suffix = self.out.suffix
        if suffix not in STAGES + MODELS:
            found = f"ends in {suffix!r}" if suffix else "has no ending"
            raise UsageError(f"{self.out} {found}; it can be {', '.join(STAGES + MODELS)}.")
        only = {"--rollout": self.rollout is not None, "--half": self.half, "--spheres": self.spheres}
        given = [flag for flag, used in only.items() if used]
        if suffix in MODELS and given:
            verb = "needs" if len(given) == 1 else "need"
            raise UsageError(f"{' and '.join(given)} {verb} a stage: OUT then ends in {', '.join(STAGES)}.")
        if self.future and self.rollout is None:
            raise UsageError("--future says which future of a rollout; say which rollout with --rollout ID.")

    def _stage(self, scene: Scene) -> Any:
        from sim_bridge.usd import export_usd

        rollout = None
        if self.rollout is not None:
            from scene3d._rollout_folder import load_rollout

            rollout = load_rollout(scene, self.scene, self.rollout).rollout
        return export_usd(
            scene,
            self.out,
            rollout=rollout,
            future=self.future,
            half=self.half,
            spheres=self.spheres,
            assume_scale=self.assume_scale,
            overwrite=self.overwrite,
        )

    def _model(self, scene: Scene) -> Any:
        if self.out.suffix == ".xml":
            from sim_bridge.mjcf._export import export_mjcf as export
        else:
            from sim_bridge.urdf._export import export_urdf as export
        return export(scene, self.out, assume_scale=self.assume_scale, overwrite=self.overwrite)


verb = Export


def _document(exported: Any) -> dict[str, Any]:
    return {
        "path": str(exported.path),
        "files": [str(path) for path in exported.files],
        "bytes": sum(path.stat().st_size for path in exported.files),
        "bodies": list(exported.bodies),
        "splats": int(getattr(exported, "splats", 0)),
        "notes": list(exported.notes),
    }


def _lines(document: dict[str, Any]) -> list[tuple[str, str]]:
    beside = len(document["files"]) - 1
    lines = [
        ("size", f"{document['bytes'] / 1e6:.1f} MB" + (f", with {beside} more files" if beside > 1 else "")),
        ("bodies", ", ".join(document["bodies"]) or "none"),
    ]
    if document["splats"]:
        lines.append(("splats", f"{document['splats']:,}".replace(",", " ")))
    return lines + [("note", note) for note in document["notes"]]
