"""`scene3d edit`: changes the objects of a scene, one step after the other, and saves once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from tyro.conf import Positional, UseAppendAction, arg

from scene3d._errors import UsageError
from scene3d.cli import _flags as flags
from scene3d.cli._edit_steps import STEPS, uses_lengths
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scene3d import Scene

__all__ = ["Edit", "verb"]

MARK = "\x1f"
"""Between the place of a change in the call and its value; no name holds control characters."""


@dataclass(frozen=True)
class Edit:
    """Move, remove, duplicate, rename, weigh, merge or split the objects of a scene.

    Several changes are made in the order in which they are written, and saved together or not at all. The scene before
    stays in its history: --undo brings it back. Lengths are metres and angles degrees in the scene's world.
    """

    section: ClassVar[str] = "Objects"

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """Scene folder."""
    remove: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME", help_behavior_hint="")] = ()
    """Take an object out; what was filled in below it comes to light."""
    duplicate: Annotated[
        UseAppendAction[tuple[str, ...]], arg(metavar="NAME[,NEW][@X,Y[,Z[,YAW]]]", help_behavior_hint="")
    ] = ()
    """Put a copy of an object beside it where the support is free, or at a place."""
    move: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(metavar="NAME,DX,DY,DZ[,YAW]|NAME@X,Y[,Z[,YAW]]", help_behavior_hint=""),
    ] = ()
    """Move by a distance, or (@) to a place, standing on its support without Z; YAW turns from how it stands now."""
    rename: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="OLD,NEW", help_behavior_hint="")] = ()
    """Give an object another name."""
    material: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=MATERIAL", help_behavior_hint="")] = ()
    """Say what an object is made of, as in configs/materials.yaml; its mass follows unless it was given."""
    mass: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=KG", help_behavior_hint="")] = ()
    """Say what an object weighs."""
    kind: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=rigid|deformable", help_behavior_hint="")] = ()
    """Make an object rigid, or deformable with particles that its splats ride on."""
    merge: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="A,B[,NEW]", help_behavior_hint="")] = ()
    """Make two objects one."""
    split: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME", help_behavior_hint="")] = ()
    """Make the separate pieces of an object objects of their own."""
    undo: Annotated[bool, arg(help_behavior_hint="")] = False
    """Bring back the scene as it was before the last change; again for the one before that."""
    redo: Annotated[bool, arg(help_behavior_hint="")] = False
    """Make again what --undo took back."""
    assume_scale: Annotated[bool, arg(help_behavior_hint="")] = False
    """Take a unit of a scene without scale for a metre."""
    json: flags.Json = False
    quiet: flags.Quiet = False

    @staticmethod
    def arrange(args: Sequence[str]) -> list[str]:
        """Arguments whose values of changes begin with a number: parsers forget the order between different flags."""
        found: list[str] = []
        for word in args:
            flag, equals, value = word.partition("=")
            before = found[-1] if found else ""
            if equals and flag[:2] == "--" and flag[2:] in STEPS:
                word = f"{flag}={len(found)}{MARK}{value}"
            elif before[:2] == "--" and before[2:] in STEPS and word[:1] != "-":
                word = f"{len(found)}{MARK}{word}"
            found.append(word)
        return found

    def run(self) -> int:
        """Make the changes, save, say what changed."""
        terminal = Terminal(self.json, self.quiet)
        steps = self._steps()
        if self.undo or self.redo:
            return self._restore(terminal, steps)
        if not steps:
            raise UsageError("Nothing to change was given. For example: scene3d edit SCENE --remove mug")
        from scene3d.files import load_scene, save_scene
        from scene3d.report import object_rows, renew_objects_report

        scene = load_scene(self.scene)
        self._check_scale(scene, steps, terminal)
        done: list[tuple[str, str]] = []
        for flag, value in steps:
            scene, said = STEPS[flag](scene, value)
            done.append((flag, said))
        save_scene(scene, self.scene, overwrite=True)
        renew_objects_report(self.scene / "report", scene, title=self.scene.resolve().name)
        edits = [
            {"edit": flag, "value": value, "done": said} for (flag, value), (_, said) in zip(steps, done, strict=True)
        ]
        document = {"path": str(self.scene), "edits": edits, "objects": object_rows(scene)}
        terminal.result(document, str(self.scene), [*done, ("next", f"scene3d edit {self.scene} --undo takes it back")])
        return 0

    def _steps(self) -> list[tuple[str, str]]:
        """Flags and values in the order in which they were written; a caller in Python has that of the help."""
        found: list[tuple[int, str, str]] = []
        for flag in STEPS:
            for text in getattr(self, flag):
                place, mark, value = text.rpartition(MARK)
                found.append((int(place) if mark else 0, flag, value))
        return [(flag, value) for _, flag, value in sorted(found, key=lambda step: step[0])]

    def _restore(self, terminal: Terminal, steps: Sequence[tuple[str, str]]) -> int:
        flag = "undo" if self.undo else "redo"
        other = "redo" if self.undo and self.redo else next((step for step, _ in steps), None)
        if other is not None:
            raise UsageError(f"--{flag} goes alone, but --{other} was given too. Run them one after the other.")
        from scene3d.files import restore_next, restore_previous
        from scene3d.report import object_rows, renew_objects_report

        scene = restore_previous(self.scene) if self.undo else restore_next(self.scene)
        renew_objects_report(self.scene / "report", scene, title=self.scene.resolve().name)
        names = ", ".join(thing.name for thing in scene.objects) or "none"
        said = "the scene is as it was before the last change" if self.undo else "what was undone is done again"
        document = {
            "path": str(self.scene),
            "edits": [{"edit": flag, "done": said}],
            "objects": object_rows(scene),
        }
        terminal.result(document, str(self.scene), [(flag, said), ("objects", names)])
        return 0

    def _check_scale(self, scene: Scene, steps: Sequence[tuple[str, str]], terminal: Terminal) -> None:
        lengths = next((flag for flag, value in steps if uses_lengths(flag, value)), None)
        if scene.metric or lengths is None:
            return
        if not self.assume_scale:
            raise UsageError(
                f"{self.scene} has no metric scale, but --{lengths} takes metres. Set it with `scene3d scale`, or pass "
                "--assume-scale to take a unit of the scene for a metre."
            )
        terminal.note("The scene has no metric scale: one of its units was taken for a metre.")


verb = Edit
