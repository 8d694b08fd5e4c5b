"""Two objects become one: the smaller one's splats and collider are expressed in the frame of the larger.

Colliders that lie apart or merely touch stay as they are, side by side in one mesh; those that run into each other are
sampled as signed distances on a common grid, whose smaller one is the union's, and meshed again. Masses add up, centre
of mass and inertia are those of the two bodies fastened to each other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import UsageError
from scene3d._scene_joints import rebased, renumbered, without_loops
from scene3d.edit._apart import put_together, taken_apart
from scene3d.edit._attributes import new_name
from scene3d.edit._frames import relative, splats_moved
from scene3d.edit._union import union

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dynamics import Body, TriangleMesh
    from scene3d._scene import Scene
    from scene3d._scene_object import SceneObject

__all__ = ["merge"]


def merge(scene: Scene, first: str, second: str, new: str | None = None) -> Scene:
    """The scene with two objects made one.

    Joints of both hold the result, but for those between the two, and of those that would close a loop all but the
    first.

    Args:
        scene: Any scene.
        first: An object.
        second: Another one of the same kind.
        new: Name of the result; None takes the first one's.

    Raises:
        UsageError: There is no such object, both are the same or of different kinds, or the new name is taken.
        BodyError: The union of the colliders encloses no volume.
    """
    from scene3d._gaussians import Gaussians

    chosen = [scene.index(first), scene.index(second)]
    if chosen[0] == chosen[1]:
        raise UsageError(f"{first!r} cannot be merged with itself. Name two objects.")
    kinds = [scene.objects[index].kind for index in chosen]
    if kinds[0] != kinds[1]:
        raise UsageError(
            f"{first!r} is {kinds[0]} and {second!r} is {kinds[1]}; only objects of one kind are merged. "
            f"Change one before, for example by --kind {second}={kinds[0]}."
        )
    rest = replace(scene, objects=tuple(t for index, t in enumerate(scene.objects) if index not in chosen))
    name = new_name(rest, first if new is None else new)
    large, small = sorted(chosen, key=lambda index: -scene.objects[index].body.volume)
    background, things = taken_apart(scene)
    R, t = relative(scene.objects[large].T_world_body, scene.objects[small].T_world_body)
    merged = _merged(scene.objects[large], scene.objects[small], name, R, t)
    splats = Gaussians.cat([things[large][1], splats_moved(things[small][1], R, t)])
    kept = [(merged, splats) if index == chosen[0] else thing for index, thing in enumerate(things)]
    del kept[chosen[1]]
    joints = rebased(scene.joints, small, R, t)
    places = {old: old - (old > chosen[1]) for old in range(len(things))}
    places[chosen[1]] = places[chosen[0]]
    result = put_together(scene, background, kept, without_loops(renumbered(joints, places)))
    if kinds[0] == "rigid":
        return result
    from scene3d._kind import make_deformable

    return make_deformable(result, result.index(name))


def _merged(a: SceneObject, b: SceneObject, name: str, R: NDArray, t: NDArray) -> SceneObject:
    """Both as one rigid object in the frame of ``a``; ``R``, ``t`` map the frame of ``b`` to it."""
    mesh, unseen = union((a.body.mesh, _unseen(a)), (b.body.mesh.moved(R, t), _unseen(b)))
    return replace(
        a,
        body=_fastened(a.body, b.body, mesh, R, t).renamed(name),
        kind="rigid",
        binding=None,
        unseen=unseen,
        confidence=min(a.confidence, b.confidence),
        guessed=tuple(sorted(set(a.guessed) | set(b.guessed))),
    )


def _fastened(a: Body, b: Body, mesh: TriangleMesh, R: NDArray, t: NDArray) -> Body:
    """The body of both, of the larger one's material."""
    from dynamics import body_from_mesh, mass_properties

    # What is inside both was counted twice; known masses are what a scale showed, so they stay.
    shared = mass_properties(mesh, 1.0).volume / (a.volume + b.volume)
    masses = [body.mass * (shared if body.mass_log_std else 1.0) for body in (a, b)]
    mass = sum(masses)
    centres = [a.com, R @ b.com + t]
    com = (masses[0] * centres[0] + masses[1] * centres[1]) / mass
    inertia = np.zeros((3, 3))
    tensors = [a.inertia, R @ b.inertia @ R.T]
    for body, m, centre, tensor in zip((a, b), masses, centres, tensors, strict=True):
        d = centre - com
        inertia += tensor * (m / body.mass) + m * (float(d @ d) * np.eye(3) - np.outer(d, d))
    spread = float(np.hypot(masses[0] * a.mass_log_std, masses[1] * b.mass_log_std)) / mass
    parts = (*_convex(a), *(part.moved(R, t) for part in _convex(b))) if a.parts or b.parts else ()
    return body_from_mesh(
        a.name,
        mesh,
        a.material,
        mass=mass,
        mass_log_std=spread,
        com=com,
        inertia=inertia,
        parts=parts,
        motion=a.motion,
    )


def _convex(body: Body) -> tuple[TriangleMesh, ...]:
    """Convex parts, made where there are none."""
    if body.parts:
        return body.parts
    from dynamics._convex_parts import convex_parts

    return convex_parts(body.mesh)


def _unseen(thing: SceneObject) -> NDArray[np.bool_]:
    faces = len(thing.body.mesh.faces)
    return thing.unseen if len(thing.unseen) == faces else np.zeros(faces, dtype=bool)
