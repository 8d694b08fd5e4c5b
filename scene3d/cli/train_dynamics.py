"""`scene3d train-dynamics`: trains contact networks on recorded tosses."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tyro.conf import Positional, arg

from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dynamics._toss_body import TossBody
    from dynamics._tosses import Toss
    from dynamics._train_recipe import Recipe

__all__ = ["TrainDynamics", "verb"]

SECONDS_BETWEEN_LINES = 30.0
"""How often a log that is no terminal gets a line."""


@dataclass(frozen=True)
class TrainDynamics:
    """Teach a contact network from recorded tosses.

    First friction, restitution and other constants are fitted to the recordings, then small networks that correct what
    happens at contacts. The tosses are split into folds: for each, an ensemble is trained that has not seen it, so that
    evaluate-dynamics can judge every toss by networks that are new to it. One more ensemble sees all tosses; it is the
    one to use. Ctrl-C keeps what was learned; --resume goes on from there, to the same weights bit by bit.
    """

    section: ClassVar[str] = "Dynamics"

    data: Annotated[Positional[Path], arg(metavar="DATA")]
    """Recorded tosses: an .npz with x, columns, offsets and dt."""
    urdf: Annotated[Path | None, arg(metavar="FILE.urdf", help_behavior_hint="(default: the 10 cm cube)")] = None
    """What was thrown, one link."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("outputs/contact")
    """Where weights go: fold-0.safetensors and so on, all.safetensors."""
    folds: Annotated[int, arg(metavar="N")] = 5
    """How many parts the tosses are split into; 0 trains on all of them only."""
    members: Annotated[int, arg(metavar="N")] = 4
    """Networks of an ensemble."""
    iterations: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: as shipped)")] = None
    """Steps of training with networks; fewer are quicker and worse."""
    resume: flags.Resume = False
    seed: flags.Seed = 0
    overwrite: flags.Overwrite = False
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Load, train, score what was held out."""
        from dynamics._tosses import load_tosses
        from dynamics._train_folds import train_folds

        terminal = Terminal(self.json, self.quiet)
        recipe = self._recipe()
        tosses = load_tosses(self.data)
        body = self._body(tosses[0].dt)
        self._check_out()
        begun = time.monotonic()
        options: dict[str, Any] = {"parts": self.folds, "members": self.members, "seed": self.seed, "recipe": recipe}
        done = [0, 0]
        try:
            with _bar(terminal, done) as progress:
                train_folds(tosses, body, self.out, resume=self.resume, progress=progress, **options)
        except KeyboardInterrupt:
            terminal.note(f"Stopped after {done[0]} of {done[1]} iterations. The same command with --resume goes on.")
            return 130
        document = _document(self, tosses, body, time.monotonic() - begun)
        terminal.result(document, str(self.out), _lines(document))
        return 0

    def _body(self, dt: float) -> TossBody:
        from dynamics._evaluate_body import cube_body, load_thrown
        from dynamics._toss_body import TossBody
        from scene3d._errors import UsageError

        body = cube_body() if self.urdf is None else load_thrown(self.urdf, dt)
        if not isinstance(body, TossBody):
            raise UsageError(f"{self.urdf} has joints; contact networks are trained on bodies of one link.")
        return body

    def _recipe(self) -> Recipe:
        from dynamics._train_recipe import Recipe
        from scene3d._errors import UsageError

        if self.iterations is None:
            return Recipe()
        if self.iterations < 1:
            raise UsageError(f"--iterations must be 1 or more, not {self.iterations}.")
        usual = Recipe()
        alone = min(usual.identify, -(-self.iterations * usual.identify // usual.iterations))
        return replace(usual, iterations=self.iterations, identify=alone)

    def _check_out(self) -> None:
        from scene3d._errors import UsageError

        if self.resume and self.overwrite:
            raise UsageError("--resume goes on with what is there, --overwrite trains anew: give one of them.")
        if self.out.exists() and not self.out.is_dir():
            raise UsageError(f"{self.out} is a file; --out takes a folder.")
        if not (self.resume or self.overwrite) and any(self.out.glob("*.safetensors")):
            raise UsageError(f"{self.out} holds weights already. Give --resume to go on or --overwrite to train anew.")


verb = TrainDynamics


@contextmanager
def _bar(terminal: Terminal, done: list[int]) -> Iterator[Callable[[int, int, float], None]]:
    """A bar on a terminal's stderr, with rate and time left; a log gets a line now and then."""
    console = terminal.aside
    if not console.is_terminal:
        yield _log(terminal, done)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("  training"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[words]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task("training", total=None, words="", start=False)
        clock = _Clock()

        def update(at: int, total: int, loss: float) -> None:
            if not done[1]:
                bar.start_task(task)
            done[:] = [at, total]
            bar.update(task, completed=at, total=total, words=f"{clock.rate(at):.2f} it/s  loss {loss:.3f}")

        yield update


def _log(terminal: Terminal, done: list[int]) -> Callable[[int, int, float], None]:
    clock = _Clock()
    last = -SECONDS_BETWEEN_LINES

    def update(at: int, total: int, loss: float) -> None:
        nonlocal last
        done[:] = [at, total]
        rate = clock.rate(at)
        if clock.seconds - last >= SECONDS_BETWEEN_LINES:
            last = clock.seconds
            left = f"{(total - at) / rate / 60:.0f} min left" if rate > 0 else "timing"
            terminal.note(f"training: {at} of {total}, loss {loss:.3f}, {rate:.2f} it/s, {left}")

    return update


class _Clock:
    """Iterations per second since the first that was told of."""

    def __init__(self) -> None:
        self._start: tuple[int, float] | None = None
        self.seconds = 0.0

    def rate(self, at: int) -> float:
        if self._start is None:
            self._start = (at, time.monotonic())
        self.seconds = time.monotonic() - self._start[1]
        return (at - self._start[0]) / self.seconds if self.seconds > 0 else 0.0


def _document(given: TrainDynamics, tosses: Sequence[Toss], body: TossBody, seconds: float) -> dict[str, Any]:
    from dynamics._contact_weights import load_weights

    whole = load_weights(given.out / "all.safetensors").model
    document: dict[str, Any] = {
        "out": str(given.out),
        "tosses": len(tosses),
        "folds": given.folds,
        "members": given.members,
        "parameters": whole.network.size if whole.network is not None else 0,
        "constants": whole.constants.numbers(),
        "seconds": seconds,
    }
    if given.folds:
        from dynamics._train_scores import held_out_scores

        document["held_out"] = held_out_scores(tosses, body, given.out, given.folds)
    return document


def _lines(d: dict[str, Any]) -> list[tuple[str, str]]:
    ensembles = f"{d['folds']} folds and all, " if d["folds"] else "all tosses, "
    lines = [
        ("networks", f"{ensembles}{d['members']} x {d['parameters']} parameters each, from {d['tosses']} tosses"),
        ("time", f"{d['seconds'] / 60:.0f} min"),
    ]
    for name, score in d.get("held_out", {}).items():
        errors = f"{score['position_percent']:.2f} % of width, {score['rotation_deg']:.1f} deg"
        lines.append((name, f"{errors} (median {score['rotation_deg_median']:.1f}) on tosses that were held out"))
    return [*lines, ("next", f"scene3d evaluate-dynamics DATA --weights {d['out']}")]
