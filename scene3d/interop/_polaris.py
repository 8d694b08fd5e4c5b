"""A folder of objects as PolaRiS keeps them -> scene.

    NAME/splat.ply              splats of the object, in its own frame (metres, Z up)
    NAME/mesh.obj               its mesh in the same frame (.obj, .glb, .stl or .ply)
    initial_conditions.json     optional: {"poses": [{NAME: [x, y, z, qw, qx, qy, qz], ...}, ...]}

The folders may lie in ``objects`` or ``assets``. Objects whose name contains ``static`` never move, as there. What is
missing is said in the scene's notes: a mesh that leaks is replaced by its hull, one that is absent by the hull of the
splats. Mass and friction are not in such folders and are guessed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np

from scene3d._errors import FileFormatError, Scene3dError
from scene3d.interop._mesh_file import MESHES, load_mesh

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dynamics import TriangleMesh
    from scene3d._gaussians import Gaussians
    from scene3d._scene import Scene
    from scene3d._scene_object import SceneObject

__all__ = ["holds_polaris", "read_polaris"]

SPLATS, POSES = "splat.ply", "initial_conditions.json"
LARGEST_POSES = 16 * 1024 * 1024
"""Bytes."""
STILL = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
SOLID = 0.5
"""Opacity from which a splat belongs to the hull."""
Pose = tuple[float, float, float, float, float, float, float]


class _Conditions(msgspec.Struct):
    """initial_conditions.json; more fields are of no concern here."""

    poses: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=100_000)] = []


def holds_polaris(folder: Path) -> bool:
    """True for a folder with objects that `read_polaris` reads."""
    return bool(_folders(folder))


def read_polaris(folder: Path, *, condition: int = 0) -> Scene:
    """Read a folder of objects.

    Args:
        folder: With one folder per object, or the folder of one object.
        condition: Which of the poses of ``initial_conditions.json`` the objects have; at the origin without that file.

    Returns:
        A metric scene, Z up, without background and cameras; ``source["notes"]`` says what was made up.

    Raises:
        FileFormatError: No objects there, or a file is damaged.
        UsageError: A folder's name cannot be the name of an object.
    """
    import torch

    from scene3d._gaussians import Gaussians
    from scene3d._object_name import checked_names
    from scene3d._scene import Scene
    from scene3d.files import load_splats

    found = _folders(folder)
    if not found:
        raise FileFormatError(
            f"{folder} holds no objects: there is no NAME/{SPLATS} in it. Give the folder above them."
        )
    names = checked_names([path.resolve().name for path in found])
    poses, notes = _poses(folder, condition)
    things: list[SceneObject] = []
    splats = [Gaussians.from_points(torch.zeros(0, 3), torch.zeros(0, 3), sigma=1.0)]
    for index, (path, name) in enumerate(zip(found, names, strict=True)):
        own = load_splats(path / SPLATS).splats
        splats.append(_riding(own, index + 1))
        things.append(_object(path, name, own, poses.get(name, STILL), notes))
    source = {"imported_from": str(folder), "reader": "objects beside meshes", "notes": notes}
    return Scene(Gaussians.cat(splats), metric=True, source=source, scale_source="import", objects=tuple(things))


def _folders(folder: Path) -> list[Path]:
    if (folder / SPLATS).is_file():
        return [folder]
    for place in (folder / "objects", folder / "assets", folder):
        found = sorted(path for path in place.iterdir() if (path / SPLATS).is_file()) if place.is_dir() else []
        if found:
            return found
    return []


def _riding(splats: Gaussians, component: int) -> Gaussians:
    from dataclasses import replace

    import torch

    return replace(splats, component_index=torch.full_like(splats.component_index, component))


def _object(path: Path, name: str, splats: Gaussians, pose: Pose, notes: list[str]) -> SceneObject:
    from dynamics import body_from_mesh, find_material
    from scene3d._scene_object import SceneObject

    material = find_material("unknown")
    motion = "static" if "static" in name.lower() else "dynamic"
    guessed = ["mass", "friction"]
    mesh = _mesh(path)
    if mesh is None:
        notes.append(f"{name} has no mesh that is read ({', '.join(MESHES)}); the hull of its splats was taken.")
        guessed += ["underside", "back"]
        mesh = _hull(splats.means[splats.opacities.sigmoid() > SOLID].double().numpy(), name)
    try:
        body = body_from_mesh(name, mesh, material, motion=motion)
    except Scene3dError as error:
        notes.append(f"The mesh of {name} was replaced by its convex hull: {error}")
        body = body_from_mesh(name, _hull(mesh.vertices, name), material, motion=motion)
    return SceneObject(body, pose, guessed=tuple(guessed))


def _mesh(path: Path) -> TriangleMesh | None:
    """The mesh beside the splats: of the best format, ``collider`` and ``mesh`` before other names."""
    preferred = {"collider": 0, "mesh": 1}
    files = [file for file in path.iterdir() if file.suffix.lower() in MESHES and file.stem != "splat"]
    files.sort(key=lambda file: (preferred.get(file.stem, 2), MESHES.index(file.suffix.lower()), file.name))
    return load_mesh(files[0]) if files else None


def _hull(points: np.ndarray, name: str) -> TriangleMesh:
    import trimesh
    from scipy.spatial import QhullError

    from dynamics import TriangleMesh

    try:
        hull = trimesh.convex.convex_hull(points)
    except (QhullError, ValueError) as error:
        raise FileFormatError(
            f"{name} has neither a mesh that encloses a volume nor splats that do. Put a closed mesh beside them."
        ) from error
    return TriangleMesh(np.asarray(hull.vertices), np.asarray(hull.faces, dtype=np.int32))


def _poses(folder: Path, condition: int) -> tuple[dict[str, Pose], list[str]]:
    """Poses by name, and notes."""
    path = folder / POSES
    if not path.is_file():
        return {}, [f"There is no {POSES}, so every object is at the origin of the world."]
    try:
        if path.stat().st_size > LARGEST_POSES:
            raise FileFormatError(f"{path} is larger than {LARGEST_POSES // 2**20} MiB, which no list of poses is.")
        conditions = msgspec.json.decode(path.read_bytes(), type=_Conditions).poses
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}).") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise FileFormatError(f"{path} is no list of poses ({error}).") from error
    if not 0 <= condition < len(conditions):
        raise FileFormatError(f"{path} has {len(conditions)} sets of poses, so there is no number {condition}.")
    return {name: _pose(value, name, path) for name, value in conditions[condition].items()}, []


def _pose(value: Sequence[Any], name: str, path: Path) -> Pose:
    numbers = [float(x) for x in value if isinstance(x, (int, float))] if isinstance(value, list) else []
    length = math.sqrt(sum(x * x for x in numbers[3:]))
    if len(numbers) != 7 or len(value) != 7 or not all(map(math.isfinite, numbers)) or abs(length - 1) > 1e-2:
        raise FileFormatError(f"{path} gives {name!r} a pose that is none; it takes x y z and a unit quaternion wxyz.")
    x, y, z, qw, qx, qy, qz = *numbers[:3], *(number / length for number in numbers[3:])
    return (x, y, z, qw, qx, qy, qz)
