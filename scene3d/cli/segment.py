"""`scene3d segment`: a scene becomes a background and named bodies."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from tyro.conf import Positional, UseAppendAction, arg

from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scene3d import Scene

__all__ = ["Segment", "print_objects", "segmenting", "verb"]

Texts = UseAppendAction[tuple[str, ...]]


@dataclass(frozen=True)
class Segment:
    """Tell the objects of a scene apart: posed bodies with colliders, masses and how sure one is.

    Instance masks that came with the capture are used; without any, what stands on a table is found by its shape alone.
    --point adds things that are too flat to be found, and names them.
    """

    section: ClassVar[str] = "Objects"

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """Scene folder."""
    masks: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: those of the capture)")] = None
    """Instance masks: FOLDER/OBJECT/IMAGE.png, white is the object, or id maps FOLDER/IMAGE.png."""
    no_masks: Annotated[
        bool, arg(help="Leave masks alone, also where the capture has them.", help_behavior_hint="")
    ] = False
    point: Annotated[Texts, arg(metavar="IMAGE,U,V[,NAME]", help_behavior_hint="(repeatable)")] = ()
    """A pixel of a photo, at full size, that shows an object; several of one NAME show the same."""
    sam2: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="")] = None
    """SAM 2 checkpoint (config.json and model.safetensors) that draws the outlines."""
    min_height: Annotated[
        float | None, arg(metavar="M", help_behavior_hint="(default: 8 mm or 3 sigma of the table)")
    ] = None
    """Things that stand out less are no objects [m]."""
    material: Annotated[Texts, arg(metavar="NAME=MATERIAL", help_behavior_hint="(repeatable)")] = ()
    """What an object is made of, e.g. mug=stoneware; presets are in configs/materials.yaml."""
    mass: Annotated[Texts, arg(metavar="NAME=KG", help_behavior_hint="(repeatable)")] = ()
    """What an object weighs."""
    kind: Annotated[Texts, arg(metavar="NAME=rigid|deformable", help_behavior_hint="(repeatable)")] = ()
    """Whether an object keeps its shape."""
    overwrite: Annotated[
        bool, arg(help="Also when the scene has objects already; what you said of them is kept.", help_behavior_hint="")
    ] = False
    device: Annotated[Literal["cpu", "cuda"], arg(metavar="cpu|cuda")] = "cpu"
    """Where SAM 2 runs."""
    seed: flags.Seed = 0
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Segment, save through the scene's commit point, print the table."""
        from scene3d.segment import SegmentRequest, parse_assignments, segment_folder

        terminal = Terminal(self.json, self.quiet)
        request = SegmentRequest(
            masks=self.masks,
            use_masks=not self.no_masks,
            points=self.point,
            sam2=self.sam2,
            min_height=self.min_height,
            materials=parse_assignments(self.material, "--material", "mug=stoneware"),
            masses=_masses(parse_assignments(self.mass, "--mass", "mug=0.35")),
            kinds=parse_assignments(self.kind, "--kind", "toy=deformable"),  # type: ignore[arg-type]
            device=self.device,
            seed=self.seed,
        )
        with segmenting(terminal) as progress:
            scene = segment_folder(self.scene, request, overwrite=self.overwrite, progress=progress)
        print_objects(terminal, scene, self.scene)
        return 0


verb = Segment


@contextmanager
def segmenting(terminal: Terminal) -> Iterator[Callable[[str, float], None]]:
    """A bar on a terminal's stderr that names what is being done."""
    if not terminal.aside.is_terminal:
        yield lambda _what, _share: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("  {task.description}"), BarColumn(bar_width=None), TimeElapsedColumn())
    with Progress(*columns, console=terminal.aside, transient=True, expand=True) as progress:
        task = progress.add_task("segmenting", total=1.0)
        yield lambda what, share: progress.update(task, description=what, completed=share)


def print_objects(terminal: Terminal, scene: Scene, path: Path) -> None:
    """The table of objects, what to know of them, and where the overlay sheet is."""
    from scene3d.report import object_rows, print_object_table

    told: dict[str, Any] = scene.source.get("segment", {})
    for note in told.get("notes", ()):
        terminal.note(note)
    if terminal.json:
        document = {
            "scene": str(path),
            "method": told.get("method"),
            "notes": list(told.get("notes", ())),
            "sheet": str(path / "report" / "objects.png"),
            "objects": object_rows(scene),
        }
        terminal.result(document, str(path), [])
        return
    print_object_table(terminal, scene)


def _masses(texts: dict[str, str]) -> dict[str, float]:
    from scene3d._errors import UsageError

    found = {}
    for name, text in texts.items():
        try:
            found[name] = float(text)
        except ValueError:
            raise UsageError(f"Found --mass {name}={text}; it is written NAME=KG, for example mug=0.35.") from None
    return found
