"""objects/<name>/: an object of a scene <-> the files that it consists of.

    splat.ply         its splats, in the body's frame
    collider.obj      watertight mesh; faces that no photo saw are in the group ``unseen``
    parts/0.obj ...   convex parts
    particles.npz     of a deformable
    body.yaml         mass properties and material

Name, pose and what was guessed are in scene.yaml, whose entry names these files; after an edit some of them may be in
the folder of the name that the object had before.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import FileFormatError, OutputError
from scene3d._scene_object import SceneObject
from scene3d.files._body_file import decode_body, encode_body
from scene3d.files._inside import inside
from scene3d.files._obj import encode_obj, load_obj
from scene3d.files._particles_file import decode_particles, encode_particles
from scene3d.files._scene_file import ObjectRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scene3d._gaussians import Gaussians
    from scene3d.files._numbered_files import FileStore, SplatFormat

__all__ = ["load_object", "save_object"]


def save_object(
    thing: SceneObject,
    splats: Gaussians,
    store: FileStore,
    folder: str,
    splat_format: SplatFormat | None,
    comments: Sequence[str],
) -> ObjectRecord:
    """Write what the present scene does not have yet.

    Args:
        thing: The object.
        splats: Its splats, in the body's frame.
        store: Writes the files.
        folder: Folder for new files, below ``objects``.
        splat_format: See `save_scene`.
        comments: Lines for the header of a PLY.

    Returns:
        The object's entry in scene.yaml.

    Raises:
        OutputError: The disk is full, or a deformable lacks its particles or its binding.
    """
    at, body = f"objects/{folder}", thing.body
    particles = None
    if body.particles is not None and thing.binding is not None:
        if len(thing.binding.indices) != len(splats):
            raise OutputError(
                f"{thing.name!r} has {len(splats)} splats, of which {len(thing.binding.indices)} are bound to "
                "particles. Bind all of them before it is saved."
            )
        particles = store.put(f"{at}/particles", ".npz", encode_particles(body.particles, thing.binding))
    elif thing.kind == "deformable":
        raise OutputError(f"{thing.name!r} is deformable but has no particles with bound splats, so it is not saved.")
    return ObjectRecord(
        name=thing.name,
        kind=thing.kind,
        T_world_body=tuple(float(value) for value in thing.T_world_body),  # type: ignore[arg-type]
        confidence=float(thing.confidence),
        guessed=list(thing.guessed),
        splat=store.put_splats(f"{at}/splat", splats, splat_format, comments),
        collider=store.put(f"{at}/collider", ".obj", encode_obj(body.mesh, thing.unseen)),
        parts=[store.put(f"{at}/parts/{i}", ".obj", encode_obj(part)) for i, part in enumerate(body.parts)],
        particles=particles,
        body=store.put(f"{at}/body", ".yaml", encode_body(body)),
    )


def load_object(record: ObjectRecord, folder: Path, where: Path) -> tuple[SceneObject, Gaussians]:
    """Read an object and its splats, which come in the body's frame with component 0.

    Args:
        record: Its entry in scene.yaml.
        folder: The scene folder.
        where: The scene.yaml, for messages.

    Raises:
        FileFormatError: One of its files is missing or damaged, or its pose is none.
    """
    from dynamics import Body
    from scene3d._gaussians import Gaussians
    from scene3d.files._splat_files import load_splats

    found = load_splats(inside(folder, record.splat, where)).splats
    splats = Gaussians.create(found.means, found.quats, found.scales, found.opacities, found.sh0, found.shN)
    mesh, unseen = load_obj(inside(folder, record.collider, where))
    values = decode_body(inside(folder, record.body, where))
    particles = binding = None
    if record.particles is not None:
        particles, binding = decode_particles(inside(folder, record.particles, where), len(splats))
    elif record.kind == "deformable":
        raise FileFormatError(f"{where} has a deformable {record.name!r} without particles. Restore one from .history.")
    body = Body(
        name=record.name,
        mesh=mesh,
        material=values.material.material(),
        mass=values.mass,
        com=np.array(values.com),
        inertia=np.array(values.inertia),
        parts=tuple(load_obj(inside(folder, name, where))[0] for name in record.parts),
        motion=values.motion,
        mass_log_std=values.mass_log_std,
        particles=particles,
    )
    _check_pose(record, where)
    thing = SceneObject(
        body=body,
        T_world_body=record.T_world_body,
        kind=record.kind,
        binding=binding,
        unseen=unseen,
        confidence=record.confidence,
        guessed=tuple(record.guessed),
    )
    return thing, splats


def _check_pose(record: ObjectRecord, where: Path) -> None:
    length = math.sqrt(sum(value * value for value in record.T_world_body[3:]))
    if not (all(math.isfinite(value) for value in record.T_world_body) and abs(length - 1) < 1e-3):
        raise FileFormatError(
            f"{where} gives {record.name!r} a pose that is none: it takes xyz and a unit quaternion wxyz, all finite."
        )
