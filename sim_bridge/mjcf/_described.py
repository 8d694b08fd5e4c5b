"""What MJCF and URDF say of a scene: names that fit, numbers as text, colours, and what had to be left out.

Both formats describe what a USD stage does (`make_twin`: Z up, nothing inside what it stands on): bodies, each with the
meshes of its collider and one to look at. `described` gathers that once, so that the writers only differ in their
words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from scene3d._errors import BodyError, UsageError
from sim_bridge.mjcf._asset_files import publish

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import ArrayLike

    from dynamics import Body, TriangleMesh
    from scene3d import Scene
    from sim_bridge.usd._twin import Twin

__all__ = ["DescribedBody", "Exported", "check_name", "described", "mesh_files", "numbers", "write_model", "xml_text"]

RESERVED = "world"
"""Both formats keep this name for what stands still."""
SH0 = 0.28209479177387814
GREY = (0.6, 0.6, 0.6)


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    path: Path
    """The file that names all others."""
    files: tuple[Path, ...]
    """All files, `path` first."""
    bodies: tuple[str, ...]
    """Names of the objects in it, in the scene's order."""
    splats: int = 0
    """How many splats it holds; MJCF and URDF hold none."""
    notes: tuple[str, ...] = ()
    """What the format could not say, for people."""


@dataclass(frozen=True, eq=False)
class DescribedBody:
    """A body as both formats need it."""

    body: Body
    name: str
    """Unique, and no word that the formats keep for themselves."""
    file_name: str
    """Unique, of a-z, 0-9 and underscores."""
    pose: tuple[float, ...]
    """In the world: xyz [m] + wxyz."""
    color: tuple[float, float, float]
    """sRGB, 0 to 1."""

    @property
    def meshes(self) -> tuple[TriangleMesh, ...]:
        """Convex parts; the mesh itself when it has none; nothing for boxes, spheres and planes."""
        if self.body.primitive is not None:
            return ()
        return tuple(part for part in self.body.parts if len(part.faces)) or (self.body.mesh,)

    @property
    def visual_file(self) -> str:
        """Mesh to look at."""
        return f"{self.file_name}/{self.file_name}_visual.obj"

    def part_file(self, number: int) -> str:
        """Mesh of a convex part. Its last name is unique in a scene: MuJoCo calls meshes of a URDF by that alone."""
        return f"{self.file_name}/{self.file_name}_part_{number:03d}.obj"


def described(scene: Scene, *, assume_scale: bool = False) -> tuple[Twin, list[DescribedBody], list[str]]:
    """A scene as a simulator is to have it, its bodies with names that fit, and first notes.

    Args:
        scene: With objects.
        assume_scale: Take a unit of a scene without metric scale for a metre.

    Raises:
        UsageError: The scene has no objects or no metric scale, an object no collider or no mass.
        BodyError: An object has an inertia that no body has.
    """
    from dynamics._mass_properties import check_inertia
    from scene3d._object_name import folder_name
    from sim_bridge.usd._twin import make_twin

    if not scene.objects:
        raise UsageError("The scene has no objects, so there is nothing to export. Find them: `scene3d segment SCENE`.")
    twin = make_twin(scene, assume_scale=assume_scale)
    names: list[str] = []
    files: list[str] = []
    bodies = []
    for index, (body, pose) in enumerate(zip(twin.bodies, twin.poses, strict=True)):
        names.append(_free_name(body.name, names))
        files.append(folder_name(body.name, files))
        color = GREY
        if index < len(scene.objects):
            thing = scene.objects[index]
            # A stage's parts are cut to what PhysX takes; nothing here has its limits.
            body = replace(body, parts=thing.body.parts)
            if thing.kind == "rigid" and thing.body.motion == "kinematic":  # A world frees what nothing drives.
                body = body.with_motion("kinematic")
            color = _mean_color(scene, index + 1)
            try:
                check_inertia(body.inertia)
            except BodyError as error:
                raise BodyError(f"{body.name!r}: {error}") from error
        bodies.append(DescribedBody(body, names[-1], files[-1], tuple(pose.tolist()), color))
    return twin, bodies, [*twin.notes, *_notes(scene, bodies)]


def check_name(path: Path, suffix: str, what: str) -> None:
    """See that a model's name says what it is.

    Raises:
        UsageError: It ends otherwise.
    """
    if path.suffix.lower() != suffix:
        raise UsageError(f"{what} ends in {suffix}, found {path.name!r}. Call it {path.stem}{suffix}.")


def mesh_files(bodies: Iterable[DescribedBody]) -> dict[str, bytes]:
    """OBJ files by `visual_file` and `part_file` of all bodies that are meshes."""
    from scene3d.files._obj import encode_obj

    files = {}
    for thing in bodies:
        if thing.meshes:
            files[thing.visual_file] = encode_obj(thing.body.mesh)
        for number, mesh in enumerate(thing.meshes):
            files[thing.part_file(number)] = encode_obj(mesh)
    return files


def write_model(
    path: Path,
    root: ElementTree.Element,
    folder: Path,
    files: Mapping[str, bytes],
    *,
    objects: Iterable[DescribedBody],
    notes: Iterable[str],
    overwrite: bool,
) -> Exported:
    """Write a description and the folder that it names, whole or not at all.

    Args:
        path: Of the description.
        root: What is in it.
        folder: In the same folder as `path`.
        files: Contents by name within `folder`.
        objects: Of the scene.
        notes: For people.
        overwrite: Replace an earlier export.

    Raises:
        OutputError: Something is there already, or cannot be written.
    """
    written = publish(path, xml_text(root), folder, files, overwrite=overwrite)
    return Exported(path, written, tuple(thing.name for thing in objects), notes=tuple(notes))


def xml_text(root: ElementTree.Element) -> bytes:
    """A tree as a file."""
    ElementTree.indent(root)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="utf-8") + b"\n"


def numbers(values: ArrayLike) -> str:
    """Numbers as XML has them: apart by spaces, 12 digits."""
    return " ".join(f"{value + 0.0:.12g}" for value in np.asarray(values, dtype=np.float64).ravel().tolist())


def _free_name(name: str, taken: list[str]) -> str:
    plain = "".join(letter if letter.isprintable() and letter != "/" else "_" for letter in name) or "object"
    number, free = 1, plain
    while free in taken or free == RESERVED:
        number, free = number + 1, f"{plain}_{number + 1}"
    return free


def _mean_color(scene: Scene, component: int) -> tuple[float, float, float]:
    """Mean colour of a body's splats, each as much as it hides."""
    splats = scene.splats
    index = splats.component_index
    chosen = None if index is None else index == component
    if chosen is None or not bool(chosen.any()):
        return GREY
    weights = splats.opacities[chosen].detach().sigmoid().double()
    colors = (0.5 + SH0 * splats.sh0[chosen][:, 0].detach().double()).clamp(0, 1)
    red, green, blue = ((weights[:, None] * colors).sum(dim=0) / weights.sum().clamp_min(1e-9)).tolist()
    return red, green, blue


def _notes(scene: Scene, bodies: list[DescribedBody]) -> list[str]:
    notes = []
    soft = [thing.name for thing in scene.objects if thing.kind == "deformable"]
    if soft:
        notes.append(f"{', '.join(soft)}: deformable, here static colliders in the rest shape.")
    renamed = [f"{thing.body.name!r} is {thing.name!r}" for thing in bodies if thing.body.name != thing.name]
    if renamed:
        notes.append(f"Names that the format keeps for itself were changed: {', '.join(renamed)}.")
    return notes
