"""`scene3d identify`: what a log of motion tells of the objects of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tyro.conf import Positional, arg

from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from dynamics._posterior import Posterior

__all__ = ["Identify", "verb"]


@dataclass(frozen=True)
class Identify:
    """Find friction, restitution and mass of objects from a log of how they moved.

    LOG is an npz of `time` (T,) in seconds, `names` (k,) of objects of the scene, and `poses` (T, k, 7), xyz in metres
    and wxyz, of their frames as scene.yaml has them; `driven` lists those of them that a hand or a robot moved. It
    begins at rest or in free motion. A saved rollout of all objects works too. What the log does not tell keeps the
    spread that the material has. The result, SCENE/latents.npz, is a distribution that simulations draw from; the
    scene itself stays as it is.
    """

    section: ClassVar[str] = "Objects"

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """Scene folder, in metres, with objects."""
    log: Annotated[Positional[Path], arg(metavar="LOG")]
    """What was observed."""
    object: Annotated[tuple[str, ...], arg(metavar="NAME ...", help_behavior_hint="(default: all that moved)")] = ()
    """Objects to find the values of."""
    parameters: Annotated[tuple[str, ...], arg(metavar="WHAT ...")] = ("friction", "restitution", "mass")
    """Of friction, restitution, mass, com, inertia."""
    out: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: SCENE/latents.npz)")] = None
    """Where the distribution goes."""
    draws: Annotated[int, arg(metavar="N")] = 0
    """Also list N draws from it in the JSON document."""
    seed: flags.Seed = 0
    overwrite: flags.Overwrite = False
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Read, identify, save, say what changed."""
        from scene3d._errors import OutputError, UsageError
        from scene3d._identify_scene import identify_scene, load_log
        from scene3d.files import load_scene

        target = self.scene / "latents.npz" if self.out is None else self.out
        if self.draws < 0:
            raise UsageError(f"--draws takes 0 or more, found {self.draws}.")
        scene = load_scene(self.scene)
        log = load_log(self.log, scene)
        if target.exists() and not self.overwrite:
            raise OutputError(f"{target} exists; pass --overwrite, or choose another --out.")
        posterior, _ = identify_scene(scene, log, only=self.object, parameters=self.parameters, seed=self.seed)
        posterior.save(target)
        document = _document(posterior, target, self.draws, self.seed)
        Terminal(self.json, self.quiet).result(document, str(target), _lines(document))
        return 0


verb = Identify


def _document(posterior: Posterior, target: Path, draws: int, seed: int) -> dict[str, Any]:
    from dynamics._posterior import Posterior

    before = Posterior.prior(posterior.parameters)
    stages = {"prior": before, "posterior": posterior}
    told = posterior.told
    rows = [
        {"name": name}
        | {
            stage: dict(zip(("median", "low", "high"), (each.median[name], *each.interval()[name]), strict=True))
            for stage, each in stages.items()
        }
        | {"told": told[name], "unchanged": name in posterior.untold}
        for name in posterior.names
    ]
    document = {"path": str(target), "recordings": posterior.recordings, "interval": 0.9, "parameters": rows}
    if draws:
        values = posterior.draw(draws, seed)
        document["draws"] = [dict(zip(posterior.names, row, strict=True)) for row in values.tolist()]
    return document


def _lines(document: dict[str, Any]) -> list[tuple[str, str]]:
    """A table of medians and 90 % intervals."""
    lines = [("", f"{'prior':<26}{'posterior':<26}")]
    for row in document["parameters"]:
        stages = (row["prior"], row["posterior"])
        cells = [f"{stage['median']:.3g} ({stage['low']:.3g} .. {stage['high']:.3g})" for stage in stages]
        note = "not told by the log" if row["unchanged"] else ""
        lines.append((row["name"], f"{cells[0]:<26}{cells[1]:<26}{note}".rstrip()))
    return [*lines, ("intervals", "90 %; mass and inertia are factors of the body's own, lengths in metres")]
