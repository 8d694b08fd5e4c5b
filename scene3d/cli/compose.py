"""`scene3d compose`: puts objects of other scenes into a scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from tyro.conf import Positional, UseAppendAction, arg

from scene3d._errors import UsageError
from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from scene3d import Scene
    from scene3d._compose import Addition

__all__ = ["Compose", "verb"]


@dataclass(frozen=True)
class Compose:
    """Put objects of other scenes into a scene.

    Objects bring their splats, their bodies and their materials; they stand on the largest support, where it is free,
    or where they are told to. Lengths are metres and angles degrees in the world of SCENE.
    """

    section: ClassVar[str] = "Objects"

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """Scene folder that objects are put into."""
    add: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(metavar="OTHER[:NAME[,NEW]][@X,Y[,Z[,YAW]]]", help_behavior_hint=""),
    ] = ()
    """Another scene folder, all its objects or the one of that name; may be given several times."""
    out: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: SCENE itself)")] = None
    """Scene folder to write."""
    assume_scale: Annotated[bool, arg(help_behavior_hint="")] = False
    """Take the units of all scenes for the same where their scale is not known."""
    overwrite: flags.Overwrite = False
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Gather the objects, save, say where they are."""
        from scene3d._compose import add_objects
        from scene3d.cli._edit_steps import position_in_words
        from scene3d.files import load_scene, prepare_scene_folder, save_scene
        from scene3d.report import object_rows

        terminal = Terminal(self.json, self.quiet)
        if not self.add:
            raise UsageError("Nothing to add was given. For example: scene3d compose SCENE --add outputs/desk:mug")
        in_place = self.out is None or self.out.resolve() == self.scene.resolve()
        scene = load_scene(self.scene)
        target = self.scene if self.out is None else self.out
        if not in_place:
            prepare_scene_folder(target, overwrite=self.overwrite)
        lines, opened = [], dict[Path, "Scene"]()
        for text in self.add:
            path, addition = _parsed(text, opened)
            if self.assume_scale and not (scene.metric and addition.scene.metric):
                terminal.note(f"A unit of {path} was taken for one of {self.scene}: not both scenes know metres.")
            scene, names = add_objects(scene, addition, assume_scale=self.assume_scale)
            lines += [("added", f"{name} from {path} at {position_in_words(scene, name)}") for name in names]
        save_scene(scene, target, overwrite=in_place or self.overwrite)
        document = {"path": str(target), "added": [words for _, words in lines], "objects": object_rows(scene)}
        if in_place:
            lines.append(("next", f"scene3d edit {target} --undo takes it back"))
        terminal.result(document, str(target), lines)
        return 0


verb = Compose


def _parsed(text: str, opened: dict[Path, Scene]) -> tuple[Path, Addition]:
    """``OTHER[:NAME[,NEW]][@X,Y[,Z[,YAW]]]``."""
    from scene3d._compose import Addition
    from scene3d.cli._edit_steps import place_and_rest
    from scene3d.files import load_scene

    folder, rest = _folder_and_rest(text)
    names, place = place_and_rest(rest, "--add")
    name, _, new = (part.strip() for part in names.removeprefix(":").partition(","))
    if not folder or (names and not name):
        raise UsageError(
            f"Found --add {text}; write OTHER or OTHER:NAME or OTHER:NAME,NEW, as in outputs/desk:mug,cup."
        )
    path = Path(folder)
    if path not in opened:
        opened[path] = load_scene(path)
    return path, Addition(opened[path], name or None, new or None, place)


def _folder_and_rest(text: str) -> tuple[str, str]:
    """The folder, which may hold : and @ itself, and the text from the first : or @ after it on."""
    ends = [index for index, sign in enumerate(text) if sign in ":@"]
    cuts = [*reversed(ends), len(text)] if not Path(text).exists() else [len(text)]
    # The longest part that is there; where none is, a message about the shortest makes most sense.
    end = next((cut for cut in cuts if text[:cut] and Path(text[:cut]).exists()), ends[0] if ends else len(text))
    return text[:end], text[end:]
