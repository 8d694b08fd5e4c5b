"""`scene3d evaluate-dynamics`: judges predicted motion on recorded tosses."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tyro.conf import Positional, arg

from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dynamics._evaluate import Evaluation
    from dynamics._tosses import Toss

__all__ = ["EvaluateDynamics", "verb"]

MODELS = "NAME ..."


@dataclass(frozen=True)
class EvaluateDynamics:
    """Judge predicted motion on recorded tosses.

    Each model sees the first frame of a toss and predicts the rest of it. Prints how far from the recording it is: in
    position (percent of the body's width) and rotation, over all frames and at the end, how often it ends on the right
    face, and how deep it sinks into the table. Every toss is scored by a network and by constants that have not seen
    it; scores of tosses that all networks have seen are marked with a star.
    """

    section: ClassVar[str] = "Dynamics"

    data: Annotated[Positional[Path], arg(metavar="DATA")]
    """Recorded tosses: an .npz with x, columns, offsets and dt."""
    urdf: Annotated[Path | None, arg(metavar="FILE.urdf", help_behavior_hint="(default: the 10 cm cube)")] = None
    """What was thrown, with one link or with links on hinges."""
    fit_on: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: fit out of fold)")] = None
    """Fit physical constants to the first N tosses and score the others."""
    weights: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: those shipped)")] = None
    """Folder of trained networks, as train-dynamics writes it."""
    models: Annotated[tuple[str, ...], arg(metavar=MODELS, help_behavior_hint="(default: all)")] = ()
    """Which to judge: static, ballistic, physics_textbook, physics_identified, physics_persistent, physics_network,
    network_without_physics, mujoco."""
    out: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="")] = None
    """Write a report there: evaluation.json, tosses.png with the best, median and worst toss drawn, index.html."""
    seed: flags.Seed = 0
    overwrite: flags.Overwrite = False
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Load, judge, print the table, write the report."""
        import json

        from dynamics._evaluate_choice import Request
        from dynamics._evaluate_document import evaluation_document
        from dynamics._tosses import load_tosses
        from scene3d.report._toss_table import print_toss_table
        from scene3d.report._toss_write import check_folder, write_toss_report

        terminal = Terminal(self.json, self.quiet)
        if self.out is not None:
            check_folder(self.out, overwrite=self.overwrite)
        tosses = load_tosses(self.data)
        request = Request(self.fit_on, self.models, self.weights, seed=self.seed)
        with _bar(terminal) as progress:
            evaluation = _evaluated(tosses, self.urdf, request, progress)
        document = {"data": str(self.data), **evaluation_document(evaluation, seed=self.seed)}
        title = f"{self.data.parent.name}/{self.data.name}: {document['tosses']} tosses"
        if self.out is not None:
            document["report"] = str(write_toss_report(self.out, evaluation, document, title))
        if self.json:
            print(json.dumps({k: v for k, v in document.items() if k != "per_toss"}, indent=2, allow_nan=False))
        elif not self.quiet:
            print_toss_table(document, title)
        return 0


verb = EvaluateDynamics


def _evaluated(
    tosses: Sequence[Toss], urdf: Path | None, request: Any, progress: Callable[[str, float], None]
) -> Evaluation:
    from dynamics._evaluate import evaluate_tosses
    from dynamics._evaluate_body import cube_body, load_thrown
    from dynamics._world import World

    body = cube_body() if urdf is None else load_thrown(urdf, tosses[0].dt)
    if isinstance(body, World):
        from dynamics._evaluate_jointed import evaluate_jointed

        return evaluate_jointed(tosses, body, request, progress=progress)
    return evaluate_tosses(tosses, body, request, progress=progress)


@contextmanager
def _bar(terminal: Terminal) -> Iterator[Callable[[str, float], None]]:
    """A bar on a terminal's stderr; a log gets a line for each thing that is fitted."""
    if not terminal.aside.is_terminal:
        said: set[str] = set()

        def note(text: str, _share: float) -> None:
            if text.startswith("fitting") and text not in said:
                said.add(text)
                terminal.note(f"{text} ...")

        yield note
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("  {task.description:<44}"), BarColumn(bar_width=None), TimeElapsedColumn())
    with Progress(*columns, console=terminal.aside, transient=True, expand=True) as bar:
        task = bar.add_task("reading", total=1.0)
        yield lambda text, share: bar.update(task, description=text, completed=share)
