"""Labels -> objects of a scene: bodies with colliders, and what is known or guessed of each.

An object that cannot become a body (too few splats, nothing closed) stays background, with a note that says why. What a
person said of an object earlier is kept when the new one lies where the old one did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import BodyError, SegmentError, UsageError
from scene3d._scene_object import SceneObject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from dynamics import Body, Material
    from scene3d._scene import Scene
    from scene3d._scene_object import ObjectKind
    from scene3d.segment._labels import Labels
    from scene3d.segment._request import SegmentRequest
    from scene3d.segment._to_body import Collider

__all__ = ["Made", "make_objects"]

SAME = 0.4
"""Two boxes are of the same object when their common volume is this share of both together."""
BACK = 0.05
"""An object's back was guessed when this share of its surface, the underside left out, was in no photo."""
CURVED = 1.1
"""A rope is a thing shaped like one that is not straight: its length over the distance of its ends."""


@dataclass(frozen=True, eq=False)
class Made:
    """Objects, and the labels that are left."""

    objects: tuple[SceneObject, ...]
    """Those that became bodies."""
    of_splat: Tensor
    """Component of each splat: 0 the background, i + 1 object i, int64, shape (N,)."""
    notes: tuple[str, ...]
    """What became of the others."""


def make_objects(scene: Scene, labels: Labels, request: SegmentRequest, *, before: Sequence[SceneObject] = ()) -> Made:
    """Give every labelled set of splats a body.

    Args:
        scene: All splats in the world's frame.
        labels: Of these splats.
        request: Materials, masses and kinds that are known.
        before: Objects of the scene as it was.

    Raises:
        UsageError: The request names an object that there is not.
        SegmentError: Not one of them can become a body.
    """
    import torch

    from scene3d.segment._to_body import find_colliders

    names = _names_kept(scene, labels, before)
    _require_named(request, names)
    colliders = find_colliders(scene.splats, labels.of_splat, names, scene.cameras, labels.supports, scene.up)
    objects: list[SceneObject] = []
    notes: list[str] = []
    component = torch.zeros(len(names) + 1, dtype=torch.int64)
    left = list(before)
    for index, (name, collider) in enumerate(zip(names, colliders, strict=True)):
        try:
            if isinstance(collider, SegmentError):
                raise collider
            old = _found_again(left, collider.mesh.bounds)
            objects.append(_object(name, collider, request, old, labels.confidence[index]))
        except (SegmentError, BodyError) as error:
            said = str(error) if name in str(error) else f"{name}: {error}"
            notes.append(f"{said} It stays part of the background.")
            continue
        left = [thing for thing in left if thing is not old]
        component[index + 1] = len(objects)
    if not objects:
        why = " ".join((*labels.notes, *notes))
        raise SegmentError(f"No object of the scene can become a body. {why}".rstrip())
    return Made(tuple(objects), component[labels.of_splat.clamp_min(0)], tuple(notes))


def _object(
    name: str, collider: Collider, request: SegmentRequest, old: SceneObject | None, confidence: float
) -> SceneObject:
    from scene3d.segment._to_body import body_of

    material, guessed = _material(name, request, old)
    mass = request.masses.get(name)
    if mass is None and old is not None and old.body.mass_log_std == 0:  # Weighed, whatever it is made of.
        mass = old.body.mass
    if mass is not None:
        guessed = [word for word in guessed if word != "mass"]
    body, pose = body_of(collider, name, material, mass=mass)
    kind, sure = _kind(name, body, request, old)
    unseen = _unseen_share(collider)
    guessed += [] if sure else ["kind"]
    guessed += ["underside"] if collider.support is not None else []
    guessed += ["back"] if unseen > BACK else []
    return SceneObject(
        body=body,
        T_world_body=pose,
        kind=kind,
        unseen=collider.unseen,
        confidence=round(float(confidence), 4),
        guessed=tuple(guessed),
    )


def _material(name: str, request: SegmentRequest, old: SceneObject | None) -> tuple[Material, list[str]]:
    """What it is made of, and what of that was guessed."""
    from dynamics import find_material
    from dynamics._material import UNKNOWN

    if name in request.materials:
        material = find_material(request.materials[name])
    elif old is not None and "friction" not in old.guessed:
        material = old.body.material
    else:
        material = find_material(UNKNOWN)
    return material, ["mass", "friction"] if material.name == UNKNOWN else []


def _kind(name: str, body: Body, request: SegmentRequest, old: SceneObject | None) -> tuple[ObjectKind, bool]:
    """Rigid or deformable, and whether somebody said so."""
    if name in request.kinds:
        return request.kinds[name], True
    if old is not None and "kind" not in old.guessed:
        return old.kind, True
    return ("deformable" if _is_rope(body) else "rigid"), False


def _is_rope(body: Body) -> bool:
    """Whether a shape is that of a rope that lies in bends: nothing stiff is commonly shaped so."""
    from dynamics._particle_kind import particle_kind
    from dynamics._rope_particles import rope_particles

    try:
        if particle_kind(body.mesh) != "rope":
            return False
        points = rope_particles(body.mesh, body.mass).points
    except BodyError:
        return False
    length = float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
    return length > CURVED * float(np.linalg.norm(points[-1] - points[0]))


def _unseen_share(collider: Collider) -> float:
    """Share of the surface that no photo shows, the underside left out."""
    corners = collider.mesh.vertices[collider.mesh.faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1)
    down = cross @ collider.up < -0.7 * area
    counted = ~down if collider.support is not None else np.ones(len(area), dtype=bool)
    return float((area * (collider.unseen & counted)).sum() / max(float((area * counted).sum()), 1e-30))


def _names_kept(scene: Scene, labels: Labels, before: Sequence[SceneObject]) -> tuple[str, ...]:
    """The labels' names, but for numbered ones where an object that somebody named was."""
    from scene3d._object_name import checked_names

    points = scene.splats.means.detach().double().cpu().numpy()
    of_splat = labels.of_splat.cpu().numpy()
    names = list(labels.names)
    left = [thing for thing in before if not _is_number(thing.name) and thing.name not in names]
    for index in range(len(names)):
        own = points[of_splat == index + 1]
        if not _is_number(names[index]) or len(own) == 0:
            continue
        old = _found_again(left, np.quantile(own, [0.02, 0.98], axis=0))
        if old is not None:
            names[index] = old.name
            left.remove(old)
    return checked_names(names)


def _is_number(name: str) -> bool:
    return name.startswith("object-") and name[7:].isdecimal()


def _found_again(before: Sequence[SceneObject], box: NDArray[np.float64]) -> SceneObject | None:
    """The earlier object whose box (2, 3) is most like this one, if any is like it."""
    best = max(before, key=lambda thing: _overlap(_box(thing), box), default=None)
    return best if best is not None and _overlap(_box(best), box) > SAME else None


def _box(thing: SceneObject) -> NDArray[np.float64]:
    """Lowest and highest corner in the world, shape (2, 3)."""
    import torch

    from dynamics.poses import rotation_from_wxyz

    pose = torch.tensor(thing.T_world_body, dtype=torch.float64)
    corners = thing.body.mesh.vertices @ rotation_from_wxyz(pose[3:]).numpy().T + pose[:3].numpy()
    return np.stack([corners.min(axis=0), corners.max(axis=0)])


def _overlap(a: NDArray, b: NDArray) -> float:
    """Common volume of two boxes over that of both together."""
    common = np.prod(np.clip(np.minimum(a[1], b[1]) - np.maximum(a[0], b[0]), 0, None))
    both = np.prod(a[1] - a[0]) + np.prod(b[1] - b[0]) - common
    return float(common / both) if both > 0 else 0.0


def _require_named(request: SegmentRequest, names: Sequence[str]) -> None:
    """Every name that the request says something of must be an object's."""
    flags = {"--material": request.materials, "--mass": request.masses, "--kind": request.kinds}
    for flag, said in flags.items():
        wrong = next((name for name in said if name not in names), None)
        if wrong is not None:
            found = f"These were found: {', '.join(names)}." if names else "No object was found."
            raise UsageError(f"{flag} names {wrong!r}, which is no object of the scene. {found}")
