# pyright: basic
"""URDF -> bodies and joints, or a whole world with a table.

Every link becomes a body whose frame is the link's; links on fixed joints become one body with the link that they are
fixed to. A single box or sphere about the link's origin stays an exact shape, everything else becomes a mesh. A link
called ``world`` that has no shape is the world itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import BodyError, FileFormatError
from dynamics._material import UNKNOWN, find_material
from dynamics._triangle_mesh import TriangleMesh
from dynamics._urdf_file import UrdfFile, UrdfInertial, UrdfJoint, UrdfLink, UrdfShape, read_urdf
from dynamics._world import Joint, World

if TYPE_CHECKING:
    from dynamics._body import Body, Motion
    from dynamics._material import Material

__all__ = ["UrdfModel", "load_urdf", "world_from_urdf"]

LARGEST_MESH = 1 << 28
MESHES = ("obj", "stl", "ply")
SIDES = 32
"""Of a cylinder's mesh."""
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class UrdfModel:
    """What a URDF file describes."""

    name: str
    """Of the robot."""
    bodies: tuple[Body, ...]
    """One for each link or group of links that are fixed to each other, the root first, named after its first link."""
    joints: tuple[Joint, ...]
    """Between them, in the order of the file."""


@dataclass(frozen=True, eq=False)
class _Part:
    """A link as a part of a body."""

    link: UrdfLink
    T_body_link: Matrix


def load_urdf(
    path: Path | str,
    *,
    material: Material | None = None,
    base: Motion = "dynamic",
    stiffness: float = 0.0,
    drive_damping: float = 0.0,
) -> UrdfModel:
    """Bodies and joints of a URDF file.

    Links with <inertial> have its mass, the others that of their shapes and the material. Limits, damping, friction and
    effort (as the drives' limit of force) are the file's; visual shapes count where a link has no collision shapes.

    Args:
        path: The file; meshes (obj, stl, ply) lie in its folder or below.
        material: Decides friction, restitution, and the density of links without <inertial>; None takes the preset for
            what nobody named.
        base: How the root moves.
        stiffness: Proportional gain of all drives, which a URDF does not have [N m/rad or N/m].
        drive_damping: Derivative gain of all drives [N m s/rad or N s/m].

    Raises:
        FileFormatError: The file or a mesh is damaged, lies elsewhere, or is of a kind that is not read.
        BodyError: A mesh is open, a mass makes no sense, or joints close a loop.
    """
    urdf = read_urdf(path)
    chosen = find_material(UNKNOWN) if material is None else material
    order, incoming = _tree(urdf)
    links = {link.name: link for link in urdf.links}
    groups: list[list[_Part]] = []
    home: dict[str, tuple[int, Matrix]] = {}
    joints: list[Joint] = []
    for name in order:
        joint = incoming.get(name)
        if joint is None and name == "world" and not links[name].shapes and links[name].inertial is None:
            home[name] = (-1, np.eye(4))
            continue
        if joint is not None and joint.kind == "fixed" and home[joint.parent][0] >= 0:
            group, T = home[joint.parent]
            home[name] = (group, T @ joint.T_parent_joint)
            groups[group].append(_Part(links[name], home[name][1]))
            continue
        home[name] = (len(groups), np.eye(4))
        groups.append([_Part(links[name], np.eye(4))])
        if joint is not None:
            joints.append(_joint(joint, home[joint.parent], len(groups) - 1, stiffness, drive_damping))
    bodies = [_body(urdf, parts, chosen) for parts in groups]
    if groups and home[order[0]][0] == 0:
        bodies[0] = bodies[0].with_motion(base)
    place = {joint.name: k for k, joint in enumerate(urdf.joints)}
    return UrdfModel(urdf.name, tuple(bodies), tuple(sorted(joints, key=lambda joint: place[joint.name])))


def world_from_urdf(
    path: Path | str,
    *,
    table: bool = True,
    dt: float = 1.0 / 240.0,
    gravity: tuple[float, float, float] = (0.0, 0.0, -9.81),
    material: Material | None = None,
    base: Motion = "dynamic",
    stiffness: float = 0.0,
    drive_damping: float = 0.0,
) -> World:
    """A world with what a URDF file describes and, as its first body, a table: the half-space z <= 0.

    Args:
        path: As for `load_urdf`, like what follows but for
        table: Whether there is a table, called ``table``, of the same material.
        dt: Length of a step [s].
        gravity: [m/s^2].
        material: As for `load_urdf`.
        base: How the root moves.
        stiffness: Of drives.
        drive_damping: Of drives.

    Raises:
        FileFormatError: As `load_urdf`.
        BodyError: As `load_urdf`, or the step is too long.
    """
    from dynamics._primitive import body_from_plane

    model = load_urdf(path, material=material, base=base, stiffness=stiffness, drive_damping=drive_damping)
    bodies, joints = model.bodies, model.joints
    if table:
        bodies = (body_from_plane("table", find_material(UNKNOWN) if material is None else material), *bodies)
        joints = tuple(
            replace(joint, parent=joint.parent + 1 if joint.parent >= 0 else -1, child=joint.child + 1)
            for joint in joints
        )
    return World(bodies, joints, gravity, dt)


def _tree(urdf: UrdfFile) -> tuple[list[str], dict[str, UrdfJoint]]:
    """Links from the root on, parents before children, and the joint by which each hangs."""
    names = [link.name for link in urdf.links]
    incoming: dict[str, UrdfJoint] = {}
    for joint in urdf.joints:
        missing = next((name for name in (joint.parent, joint.child) if name not in names), None)
        if missing is not None:
            raise FileFormatError(f"{urdf.path}: joint {joint.name!r} names link {missing!r}, which is not there.")
        if joint.child in incoming:
            raise BodyError(
                f"{urdf.path}: joint {joint.name!r} closes a loop at {joint.child!r}; links must form a tree."
            )
        incoming[joint.child] = joint
    roots = [name for name in names if name not in incoming]
    if len(roots) != 1:
        found = "joints close a loop" if not roots else f"found {len(roots)} roots ({', '.join(roots)})"
        raise BodyError(f"{urdf.path}: links must form one tree; {found}.")
    order = roots
    for name in order:
        order.extend(joint.child for joint in urdf.joints if joint.parent == name)
    if len(order) < len(names):
        lost = next(name for name in names if name not in order)
        raise BodyError(f"{urdf.path}: link {lost!r} hangs on nothing; its joints close a loop.")
    return order, incoming


def _joint(joint: UrdfJoint, parent: tuple[int, Matrix], child: int, stiffness: float, drive_damping: float) -> Joint:
    import torch

    from dynamics.poses import pose_from_matrix

    x, y, z, qw, qx, qy, qz = pose_from_matrix(torch.from_numpy(parent[1] @ joint.T_parent_joint)).tolist()
    return Joint(
        name=joint.name,
        kind={"revolute": "hinge", "continuous": "hinge", "prismatic": "slide", "fixed": "fixed"}[joint.kind],  # pyright: ignore[reportArgumentType]
        parent=parent[0],
        child=child,
        T_parent_joint=(x, y, z, qw, qx, qy, qz),
        axis=joint.axis,
        low=joint.low,
        high=joint.high,
        damping=joint.damping,
        friction=joint.friction,
        stiffness=stiffness,
        drive_damping=drive_damping,
        force_limit=joint.effort,
    )


def _body(urdf: UrdfFile, parts: list[_Part], material: Material) -> Body:
    """One body of the links that are fixed to each other."""
    from dynamics._body import body_from_mesh
    from dynamics._mass_properties import mass_properties
    from dynamics._primitive import body_from_box, body_from_sphere

    name = parts[0].link.name
    shapes = [(part, shape) for part in parts for shape in part.link.shapes]
    if not shapes:
        raise BodyError(f"{urdf.path}: link {name!r} has no shape; give it a collision or visual one, or fix it.")
    meshes = [_moved(_mesh(urdf, shape), part.T_body_link @ shape.T_link_shape) for part, shape in shapes]
    inertials: list[UrdfInertial] = []
    for part in parts:
        own = [mesh for mesh, (owner, _) in zip(meshes, shapes, strict=True) if owner is part]
        if part.link.inertial is not None:
            inertials.append(_turned(part.link.inertial, part.T_body_link))
        for mesh in own if part.link.inertial is None else ():
            solid = mass_properties(mesh, material.density)
            inertials.append(UrdfInertial(solid.mass, solid.com, solid.inertia))
    total = _together(inertials)
    shape, T = shapes[0][1], shapes[0][0].T_body_link @ shapes[0][1].T_link_shape
    exact = len(shapes) == 1 and shape.kind in ("box", "sphere") and np.allclose(T, np.eye(4), atol=1e-12)
    if exact and shape.kind == "box":
        x, y, z = shape.size
        body = body_from_box(name, (x, y, z), material, mass=total.mass)
    elif exact:
        body = body_from_sphere(name, shape.size[0], material, mass=total.mass)
    else:
        body = body_from_mesh(name, _joined(meshes), material, mass=total.mass, com=total.com, inertia=total.inertia)
    spread = 0.0 if any(part.link.inertial for part in parts) else material.density_log_std
    return replace(body, com=total.com, inertia=_checked(urdf, name, total.inertia), mass_log_std=spread)


def _checked(urdf: UrdfFile, name: str, inertia: Matrix) -> Matrix:
    from dynamics._mass_properties import check_inertia

    try:
        return check_inertia(inertia)
    except BodyError as error:
        raise BodyError(f"{urdf.path}, link {name!r}: {error}") from error


def _turned(inertial: UrdfInertial, T: Matrix) -> UrdfInertial:
    R = T[:3, :3]
    return UrdfInertial(inertial.mass, R @ inertial.com + T[:3, 3], R @ inertial.inertia @ R.T)


def _together(parts: list[UrdfInertial]) -> UrdfInertial:
    """Several masses as one."""
    mass = sum(part.mass for part in parts)
    com = np.sum([part.mass * part.com for part in parts], axis=0) / mass
    inertia = np.zeros((3, 3))
    for part in parts:
        arm = part.com - com
        inertia += part.inertia + part.mass * (arm @ arm * np.eye(3) - np.outer(arm, arm))
    return UrdfInertial(mass, com, inertia)


def _moved(mesh: TriangleMesh, T: Matrix) -> TriangleMesh:
    return mesh.moved(T[:3, :3], T[:3, 3])


def _joined(meshes: list[TriangleMesh]) -> TriangleMesh:
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts[:-1], strict=True)]
    return TriangleMesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces))


def _mesh(urdf: UrdfFile, shape: UrdfShape) -> TriangleMesh:
    """A shape's mesh in its own frame."""
    trimesh: Any = import_module("trimesh")

    if shape.kind == "mesh":
        return _mesh_file(urdf, shape)
    if shape.kind == "box":
        made = trimesh.creation.box(shape.size)
    elif shape.kind == "sphere":
        made = trimesh.creation.icosphere(subdivisions=3, radius=shape.size[0])
    else:
        made = trimesh.creation.cylinder(*shape.size, sections=SIDES)
    return TriangleMesh(np.asarray(made.vertices), np.asarray(made.faces))


def _mesh_file(urdf: UrdfFile, shape: UrdfShape) -> TriangleMesh:
    trimesh: Any = import_module("trimesh")

    folder = urdf.path.resolve().parent
    # package://NAME/PATH is taken as PATH in the folder, as the file is shipped without its package.
    name = shape.file.removeprefix("file://")
    if shape.file.startswith("package://"):
        name = shape.file.removeprefix("package://").partition("/")[2]
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise FileFormatError(f"{urdf.path} names the mesh {shape.file!r}, which is not in the folder of the file.")
    kind = path.suffix.lower().lstrip(".")
    if kind not in MESHES:
        raise FileFormatError(f"{urdf.path} names the mesh {shape.file!r}; meshes are {', '.join(MESHES)}.")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_MESH + 1)
        if len(data) > LARGEST_MESH:
            raise FileFormatError(f"{path} is larger than {LARGEST_MESH >> 20} MiB. Simplify it first.")
        # From memory, so that no file that the mesh names (materials, textures) is opened.
        options = {"skip_materials": True} if kind == "obj" else {}
        loaded = trimesh.load(BytesIO(data), file_type=kind, force="mesh", **options)
        mesh = TriangleMesh(np.asarray(loaded.vertices) * np.array(shape.size), np.asarray(loaded.faces))
    except FileFormatError:
        raise
    except Exception as error:  # parsers of meshes raise whatever they like
        raise FileFormatError(f"{path} is no mesh that can be read ({error}).") from error
    if np.prod(shape.size) < 0:
        mesh = TriangleMesh(mesh.vertices, mesh.faces[:, ::-1])
    return mesh
