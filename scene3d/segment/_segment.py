"""From splats to things: the library side of `scene3d segment`.

The scene is flattened, so that segmenting again starts from what photos show and never from what was made up; only
splats that lay hidden under objects are gone by then, and outlines that were cut are not cut again. Labels come from
instance masks where there are any, from shape alone where there are none, and from clicks, which add things and name
them. Each label becomes a body in its own frame; deformables get particles that their splats ride on; the hole under
each object is filled. What a person said of an object before (name, material, mass, kind) is kept when the object is
found again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import BodyError, OutputError, SegmentError
from scene3d.segment._request import SegmentRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from scene3d._gaussians import Gaussians
    from scene3d._scene import Scene
    from scene3d._scene_object import SceneObject
    from scene3d.segment._patch_background import Patched

__all__ = ["segment", "segment_folder"]

IDENTITY = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


def segment_folder(
    folder: Path | str,
    request: SegmentRequest | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Scene:
    """Segment a scene folder: its next version has objects, its report has a sheet of them.

    Args:
        folder: Scene folder; its previous version stays in ``.history``.
        request: What is wanted; None takes everything from the capture.
        overwrite: Also when the scene has objects already.
        progress: As for `segment`.

    Raises:
        OutputError: The scene has objects and `overwrite` is False, or cannot be written.
        FileFormatError: Not a scene folder, or a damaged one.
        SegmentError, UsageError, CaptureError: As `segment`.
    """
    from scene3d.files import load_scene, save_scene
    from scene3d.report import write_objects_report

    (request or SegmentRequest()).check()
    folder = Path(folder)
    scene = load_scene(folder)
    if scene.objects and not overwrite:
        names = ", ".join(thing.name for thing in scene.objects)
        raise OutputError(
            f"{folder} has objects already ({names}); pass --overwrite to find them anew. "
            "What you said of them (names, materials, masses, kinds) is kept where they are found again."
        )
    scene = segment(scene, request, progress=progress)
    save_scene(scene, folder, overwrite=True)
    write_objects_report(folder / "report", scene, title=folder.resolve().name)
    return scene


def segment(
    scene: Scene, request: SegmentRequest | None = None, *, progress: Callable[[str, float], None] | None = None
) -> Scene:
    """Split a scene into a background and posed bodies.

    Args:
        scene: Any scene with cameras; objects that it has already are found anew.
        request: What is wanted; None takes everything from the capture.
        progress: Called with what is being done and the share that is done, 0 to 1.

    Returns:
        The scene with `objects`, `supports` and `filled`; ``source["segment"]`` says how they came to be.

    Raises:
        SegmentError: Nothing can be told apart, or something that was asked for is not there.
        UsageError: The request is wrong.
        CaptureError: Masks cannot be read.
    """
    from scene3d._flatten import flatten
    from scene3d.segment._choose_labels import choose_labels
    from scene3d.segment._inner_floor import with_inner_floors
    from scene3d.segment._make_objects import make_objects
    from scene3d.segment._patch_background import patched_background

    request = request or SegmentRequest()
    request.check()
    tell = progress or (lambda _what, _share: None)
    if not scene.views:
        raise SegmentError("The scene remembers no cameras, so nothing can be looked at. Reconstruct it from photos.")
    flat = flatten(scene)
    flat = replace(flat, splats=flat.splats.to("cpu").detach())
    tell("telling splats apart", 0.05)
    chosen = choose_labels(flat, request, _components(scene))
    tell("shaping bodies", 0.35)
    made = make_objects(replace(flat, splats=chosen.splats), chosen.labels, request, before=scene.objects)
    notes = [*chosen.labels.notes, *made.notes, *_without_joints(scene)]
    tell("filling holes", 0.8)
    around = (len(made.objects), flat.cameras, chosen.labels.supports)
    splats, of_splat = with_inner_floors(chosen.splats, made.of_splat, *around)
    patched = patched_background(splats, of_splat, *around)
    tell("binding splats", 0.95)
    result = _assembled(replace(flat, supports=chosen.labels.supports), made.objects, splats, of_splat, patched)
    result, notes = _deformed(result, notes)
    told = {"method": chosen.method, "notes": notes, "seed": request.seed}
    return replace(result, source={**scene.source, "segment": told})


def _without_joints(scene: Scene) -> list[str]:
    """What to say of the joints that the scene had: which of the new objects they would join, nobody knows."""
    count = len(scene.joints)
    return [f"{count} joint{'' if count == 1 else 's'} left out: the objects were found anew."] if count else []


def _components(scene: Scene) -> Tensor | None:
    """Component of each splat of the flattened scene, int64, shape (N,); None for a scene without objects."""
    if not scene.objects:
        return None
    component = scene.splats.component_index.cpu().long().clone()
    # Made-up splats, the last ones of the background, are none of the flattened scene's.
    made_up = (component == 0).nonzero()[:, 0].flip(0)[: scene.filled]
    component[made_up] = -1
    return component[component >= 0]


def _assembled(
    scene: Scene, objects: tuple[SceneObject, ...], splats: Gaussians, of_splat: Tensor, patched: Patched
) -> Scene:
    """The scene with its splats in the frames of their bodies: background, fill, then object after object."""
    import torch

    from scene3d._flatten import into_bodies
    from scene3d._gaussians import Gaussians

    poses = torch.tensor([IDENTITY, *(thing.T_world_body for thing in objects)], dtype=torch.float64)
    parts = [patched.splats, patched.fill]
    for index in range(len(objects)):
        mine = splats[of_splat == index + 1]
        component = torch.full((len(mine),), index + 1, dtype=torch.int32)
        parts.append(into_bodies(mine, component, poses))
    return replace(
        scene,
        splats=Gaussians.cat(parts),
        objects=objects,
        filled=len(patched.fill),
    )


def _deformed(scene: Scene, notes: list[str]) -> tuple[Scene, list[str]]:
    """Particles and bindings for what is deformable; what cannot be filled with particles stays rigid, and says so."""
    from scene3d._kind import make_deformable, make_rigid

    for index, thing in enumerate(scene.objects):
        if thing.kind == "deformable":
            try:
                scene = make_deformable(scene, index)
            except BodyError as error:
                scene = make_rigid(scene, index)
                notes.append(f"{thing.name} stays rigid: {error}")
    return scene, notes
