"""`scene3d simulate`: pushes and drops objects of a scene, and says what becomes of them, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from tyro.conf import Positional, UseAppendAction, arg

from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from scene3d._outcomes import Outcome, Spread
    from scene3d._simulate import Simulation

__all__ = ["Simulate", "verb"]


@dataclass(frozen=True)
class Simulate:
    """Push or drop objects of a scene and see what becomes of them, in one future or in many.

    Objects begin as the photos show them, at rest. Mass and friction, which photos do not show, are drawn anew for each
    future: from SCENE/latents.npz if `identify` wrote one, else from the spread of the materials. Forces are newtons
    and lengths metres in the scene's world. The rollout is kept in SCENE/rollouts.
    """

    section: ClassVar[str] = "Objects"

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """Scene folder, in metres, with objects."""
    push: Annotated[
        UseAppendAction[tuple[str, ...]], arg(metavar="NAME,FX,FY,FZ[,SECONDS]", help_behavior_hint="(repeatable)")
    ] = ()
    """Push an object at its centre of mass with a force, for 0.1 s unless said."""
    drop: Annotated[
        UseAppendAction[tuple[str, ...]], arg(metavar="NAME,HEIGHT", help_behavior_hint="(repeatable)")
    ] = ()
    """Let an object fall from above where it stands."""
    samples: Annotated[int, arg(metavar="N")] = 1
    """Number of futures; the first has what is most likely."""
    seconds: Annotated[float, arg(metavar="S")] = 3.0
    """How long to look ahead."""
    weights: Annotated[
        Path | None, arg(metavar="FILE", help_behavior_hint="(default: those that come with scene3d)")
    ] = None
    """Contact network."""
    no_network: Annotated[bool, arg(help="Physics alone.", help_behavior_hint="")] = False
    assume_scale: Annotated[
        bool, arg(help="Take a unit of a scene without scale for a metre.", help_behavior_hint="")
    ] = False
    seed: flags.Seed = 0
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Simulate, save, say what becomes of each object."""
        from scene3d._simulate import parse_drop, parse_push, save_simulation, simulate
        from scene3d.files import load_scene

        terminal = Terminal(self.json, self.quiet)
        pushes, drops = [parse_push(text) for text in self.push], [parse_drop(text) for text in self.drop]
        scene = load_scene(self.scene)
        found = self.scene / "latents.npz"
        simulation = simulate(
            scene,
            pushes=pushes,
            drops=drops,
            samples=self.samples,
            seconds=self.seconds,
            posterior=found if found.is_file() else None,
            weights=self.weights,
            network=not self.no_network,
            assume_scale=self.assume_scale,
            seed=self.seed,
        )
        deeds = [f"push {text}" for text in self.push] + [f"drop {text}" for text in self.drop]
        folder = save_simulation(simulation, self.scene, deeds=deeds)
        if simulation.flagged:
            terminal.note(simulation.guard)
        document = {"scene": str(self.scene), "rollout": str(folder), "deeds": deeds, **simulation.document()}
        terminal.result(document, self.scene.resolve().name, _lines(simulation, folder))
        return 0


verb = Simulate


def _lines(simulation: Simulation, folder: Path) -> list[tuple[str, str]]:
    futures = int(simulation.rollout.T_world_body.shape[0])
    lines = [(outcome.name, _said(outcome, futures)) for outcome in simulation.outcomes]
    if simulation.in_support is not None:
        lines.append(
            ("network", f"spoke in {100 * simulation.in_support:.0f} % of the contacts, physics alone elsewhere")
        )
    lines.append(("guard", simulation.guard.removeprefix("Guard: ")))
    lines.append(("drawn", simulation.drawn_from))
    lines.append(("rollout", str(folder)))
    return lines


def _said(outcome: Outcome, futures: int) -> str:
    share = outcome.shares[outcome.likeliest]
    sure = f" in {100 * share:.0f} % of {futures} futures" if futures > 1 else ""
    text = outcome.likeliest + sure
    if outcome.likeliest != "stays":
        text += f", {_spread(outcome.moved, 100, 'cm', futures)} away"
        text += f", turned {_spread(outcome.turned, 1, 'deg', futures)}"
        if outcome.settled.median == outcome.settled.median:
            text += f", at rest after {_spread(outcome.settled, 1, 's', futures)}"
    others = [f"{name} {100 * value:.0f} %" for name, value in outcome.shares.items() if 0 < value < share]
    return text + (f" (else {', '.join(others)})" if others else "")


def _spread(value: Spread, scale: float, unit: str, futures: int) -> str:
    median, low, high = (_short(scale * part) for part in (value.median, value.low, value.high))
    return f"{median} {unit}" if futures == 1 else f"{median} {unit} ({low} to {high})"


def _short(value: float) -> str:
    """Two digits, without powers of ten: 0.0028, 1.5, 230."""
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"
