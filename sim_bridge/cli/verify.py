"""`scene3d verify`: proves a scene, or a stage, in the physics engines that are installed."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from tyro.conf import Positional, UseAppendAction, arg

from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.table import Table

    from sim_bridge.engines._judge import Figure, Row
    from sim_bridge.engines._verify import EngineProof, Proof

__all__ = ["Verify", "verb"]

LIMITS = (
    "mass within 1e-4, inertia 1e-3, centre 0.1 mm, friction 0.001, bounce 1e-4, fall 1 mm (Newton, MuJoCo: gravity x "
    "step x time), rest and depth 1 mm, end asleep or 30 mm/s"
)


@dataclass(frozen=True)
class Verify:
    """Prove a scene in PhysX, Newton and MuJoCo: every engine installed, each in a process of its own.

    The scene is exported to a temporary folder and loaded by each engine. Compared are mass, inertia, centre of mass,
    friction and restitution as the engine holds them, a free fall with the closed form, and two seconds on what the
    objects stand on: height at rest against geometry, depth of overlap, sleep. Deformables are proven by Newton VBD.
    Anything beyond its tolerance exits with 1. The engines live in environments of their own, which `make engines`
    makes.
    """

    section: ClassVar[str] = "Simulators"

    path: Annotated[Positional[Path], arg(metavar="SCENE|FILE")]
    """Scene folder, or a USD stage in metres with Z up."""
    engine: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(metavar="NAME", help_behavior_hint="(repeatable; default: those installed)"),
    ] = ()
    """One of physx, newton-xpbd, newton-mujoco, newton-vbd, mujoco, own."""
    seconds: Annotated[float, arg(metavar="S")] = 2.0
    """How long objects stand."""
    assume_scale: Annotated[
        bool, arg(help="Take a unit of a scene without scale for a metre.", help_behavior_hint="")
    ] = False
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Run the engines, print the table, say whether all is within tolerance."""
        from sim_bridge.engines._verify import verify

        terminal = Terminal(self.json, self.quiet)
        with _interruptible(), _status(terminal) as progress:
            proof = verify(
                self.path,
                engines=self.engine or None,
                seconds=self.seconds,
                assume_scale=self.assume_scale,
                progress=progress,
            )
        if self.json:
            terminal.result(proof.document(), "", ())
        elif not self.quiet:
            _print(proof)
        return 0 if proof.ok else 1


verb = Verify


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lets those who end the command from outside end it as Ctrl-C does: engines and temporary folders go with it."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), interrupt) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


@contextmanager
def _status(terminal: Terminal) -> Iterator[Callable[[str], None]]:
    """A line on a terminal's stderr that names the engine at work."""
    if not terminal.aside.is_terminal:
        yield lambda _: None
        return
    with terminal.aside.status("exporting") as status:
        yield lambda title: status.update(f"{title} is at work")


def _print(proof: Proof) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(f"\n  [bold]{proof.source.resolve().name}[/bold]\n")
    if any(each.rows for each in proof.engines):
        console.print(_table(proof))
        console.print(f"  {LIMITS}\n", style="dim", markup=False, soft_wrap=True)
    for each in proof.engines:
        for row in each.rows:
            if row.failures:
                console.print(f"  {each.title}, {row.body}: {_beyond(row)}", markup=False, soft_wrap=True)
        if each.said:
            console.print(f"  {each.title}: {each.said}", style="dim", markup=False, soft_wrap=True)
    for note in proof.notes:
        console.print(f"  {note}", style="dim", markup=False, soft_wrap=True)
    console.print(f"\n  {_verdict(proof)}\n", markup=False, soft_wrap=True)


def _table(proof: Proof) -> Table:
    """A line for each object, under a line for each engine."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    for head in ("  ", "mass", "inertia", "centre", "friction", "bounce", "fall", "rest", "depth", "end"):
        table.add_column(head, justify="left" if head == "  " else "right", no_wrap=True)
    for each in proof.engines:
        table.add_row(f"  [bold]{each.title}[/bold]", *([each.status] if not each.rows else []))
        for row in each.rows:
            table.add_row(f"    {row.body}", *_cells(row))
    return table


def _cells(row: Row) -> list[str]:
    relative = [_cell(figure, ".0e") for figure in (row.mass, row.inertia)]
    places = [_cell(row.com_mm, ".3f"), _cell(row.friction, ".3f"), _cell(row.restitution, ".0e")]
    lengths = [_cell(row.fall_mm, ".2f"), _cell(row.rest_mm, "+.2f"), _cell(row.depth_mm, ".2f")]
    end = "asleep" if row.asleep else _cell(row.speed_mm_s, ".1f")
    return [*relative, *places, *lengths, end if row.same_support else "[red]fell off[/red]"]


def _beyond(row: Row) -> str:
    """What is beyond its tolerance, in words."""
    said = []
    for name in row.failures:
        figure = getattr(row, name, None)
        said.append(name if figure is None else f"{name} {figure.value:.3g} > {figure.limit:.3g}")
    return ", ".join(said)


def _cell(figure: Figure, form: str) -> str:
    if figure.value is None:
        return "-"
    text = format(figure.value if form.startswith("+") else abs(figure.value), form)
    return text if figure.ok else f"[red]{text}![/red]"


def _verdict(proof: Proof) -> str:
    by_status: dict[str, list[EngineProof]] = {}
    for each in proof.engines:
        by_status.setdefault(each.status, []).append(each)
    words = {"proven": "proven in", "beyond": "beyond tolerance in", "failed": "failed in", "absent": "not installed:"}
    parts = [
        f"{said} {', '.join(each.title for each in by_status[status])}"
        for status, said in words.items()
        if status in by_status
    ]
    return "; ".join(parts)
