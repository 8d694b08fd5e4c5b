"""One object becomes several: the pieces that its collider falls into, or else those that its splats fall into.

Pieces of the collider are sets of triangles that share no vertex; each splat goes with the nearest. A collider in one
piece may still carry splats that stand apart, for closing a surface keeps only its largest part: those are clusters of
splats, and a cluster that has no collider of its own gets the hull of its splats.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import SegmentError
from scene3d._scene_joints import rebased, renumbered
from scene3d.edit._apart import put_together, taken_apart
from scene3d.edit._attributes import free_name
from scene3d.edit._frames import relative
from scene3d.edit._pieces import Piece, collider_pieces, splat_pieces
from scene3d.edit._union import closest_faces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dynamics import Body, Joint, TriangleMesh
    from scene3d._gaussians import Gaussians
    from scene3d._scene import Scene
    from scene3d._scene_object import SceneObject
    from scene3d.edit._apart import Thing
    from scene3d.edit._place import Pose

__all__ = ["split"]


def split(scene: Scene, name: str) -> Scene:
    """The scene with an object's separate pieces as objects of their own.

    The largest piece keeps the name, the others are numbered, as mug-2. All keep the material, and share a known mass
    by their volumes. Every piece gets a frame of its own, with the axes of the old one. A joint
    goes with the piece that is nearest to it.

    Raises:
        UsageError: There is no such object.
        SegmentError: It is in one piece.
    """
    index = scene.index(name)
    thing = scene.objects[index]
    background, things = taken_apart(scene)
    splats = things[index][1]
    pieces = collider_pieces(thing, splats) or splat_pieces(thing, splats)
    if len(pieces) < 2:
        raise SegmentError(
            f"{name!r} is in one piece, so there is nothing to split. Where it holds several things, segment the "
            "scene again with a click on each: scene3d segment SCENE --point IMAGE,U,V,NAME"
        )
    found: list[Thing] = []
    named = replace(scene, objects=scene.objects)
    for piece in pieces:
        label = name if not found else free_name(named, name)
        found.append(_as_thing(thing, splats, piece, label))
        named = replace(named, objects=(*named.objects, found[-1][0]))
    joints = _joints_of_pieces(scene, index, [piece.mesh for piece in pieces], [piece for piece, _ in found])
    result = put_together(scene, background, [*things[:index], *found, *things[index + 1 :]], joints)
    if thing.kind == "deformable":
        from scene3d._kind import make_deformable

        for label in [piece.name for piece, _ in found]:
            result = make_deformable(result, result.index(label))
    return result


def _joints_of_pieces(
    scene: Scene, index: int, meshes: Sequence[TriangleMesh], pieces: Sequence[SceneObject]
) -> tuple[Joint, ...]:
    """The scene's joints once object ``index`` is these pieces, whose meshes are in the frame of the whole."""
    found = []
    for joint in scene.joints:
        places = {old: old + (len(pieces) - 1) * (old > index) for old in range(len(scene.objects))}
        if index in (joint.parent, joint.child):
            frame = joint.T_parent_joint if joint.parent == index else joint.T_child_joint
            point = np.array([frame[:3]])
            nearest = int(np.argmin([closest_faces(mesh, point)[0][0] for mesh in meshes]))
            there = relative(pieces[nearest].T_world_body, scene.objects[index].T_world_body)
            (joint,) = rebased([joint], index, *there)
            places[index] = index + nearest
        found += renumbered([joint], places)
    return tuple(found)


def _as_thing(thing: SceneObject, splats: Gaussians, piece: Piece, name: str) -> tuple[SceneObject, Gaussians]:
    body = _body_of(thing.body, piece, name)
    # The new origin lies under the piece's centre of mass, as high as the old one: a shift along the old axes.
    shift = np.array([body.com[0], body.com[1], 0.0])
    body = _shifted(body, -shift)
    pose = _moved_along(thing.T_world_body, shift)
    part = splats[piece.splats]
    part = replace(part, means=(part.means.double() - part.means.new_tensor(shift).double()).to(part.means.dtype))
    guessed = tuple(sorted({*thing.guessed, "back"})) if piece.made_up else thing.guessed
    record = replace(
        thing, body=body, T_world_body=pose, kind="rigid", binding=None, unseen=piece.unseen, guessed=guessed
    )
    return record, part


def _body_of(whole: Body, piece: Piece, name: str) -> Body:
    from dynamics import body_from_mesh, mass_properties

    volume = mass_properties(piece.mesh, 1.0).volume
    # A hull that was made up now adds volume that the whole's mass never had.
    density = whole.mass / whole.volume if not piece.made_up or whole.mass_log_std == 0 else whole.material.density
    return body_from_mesh(
        name,
        piece.mesh,
        whole.material,
        mass=density * volume,
        mass_log_std=whole.mass_log_std,
        parts=piece.parts,
        motion=whole.motion,
    )


def _shifted(body: Body, by: np.ndarray) -> Body:
    eye = np.eye(3)
    return replace(
        body,
        mesh=body.mesh.moved(eye, by),
        com=body.com + by,
        parts=tuple(part.moved(eye, by) for part in body.parts),
    )


def _moved_along(pose: Pose, shift: np.ndarray) -> Pose:
    from scene3d.edit._place import rotation_of

    x, y, z = (float(a) for a in rotation_of(pose) @ shift + np.asarray(pose[:3]))
    return (x, y, z, *pose[3:])
