# pyright: basic
"""A `World` as a MuJoCo model: the same bodies, masses, shapes, joints and friction, in MuJoCo's soft contacts.

Planes, boxes and spheres become the geoms of those names; a mesh becomes its convex parts, or its hull when it has
none. Every pair that may touch is written out, since MuJoCo takes the greater friction of two geoms where we take the
geometric mean. Restitution becomes the damping of the contact spring that rebounds as fast. Bodies are named
``INDEX:NAME``, so that `mujoco_rollout` finds its way back.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from dynamics._errors import DeviceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from dynamics._body import Body
    from dynamics._triangle_mesh import TriangleMesh
    from dynamics._world import Joint, World

__all__ = ["contact_parameters", "load_mujoco", "mujoco_model"]

TIME_CONSTANT = 0.02
"""MuJoCo's own default of how fast overlap is undone [s]."""


def load_mujoco(part: str = "mujoco") -> Any:
    """The package, or a module of it.

    Raises:
        DeviceError: It is not installed; the message has the line that installs it.
    """
    try:
        return import_module(part)
    except ImportError as error:
        raise DeviceError(
            "Comparing with MuJoCo needs mujoco; install it with: pip install 'scene3d[baselines]'."
        ) from error


def mujoco_model(
    world: World,
    *,
    dt: float | None = None,
    poses: ArrayLike | None = None,
    hulls: Mapping[str, Sequence[TriangleMesh]] | None = None,
    solref: tuple[float, float] | None = None,
    time_constant: float = TIME_CONSTANT,
    friction: ArrayLike | None = None,
    impratio: float = 1.0,
) -> Any:
    """A `mujoco.MjModel` of a world.

    Args:
        world: Bodies, joints, gravity.
        dt: Length of MuJoCo's step [s]; None takes the world's.
        poses: Of bodies that stay where they are, xyz [m] + wxyz, shape (nb, 7); rows of others are ignored. None
            puts them at the origin.
        hulls: Convex parts to use instead of a body's own, by the name of the body.
        solref: MuJoCo's contact reference for all pairs; None derives it from restitution and the time constant.
        time_constant: See `contact_parameters` [s].
        friction: Coulomb coefficient of each body, shape (nb,); None takes the materials'.
        impratio: How much stiffer friction is than the normal force; more slips less.

    Returns:
        A compiled model with elliptic friction cones, no contacts but those of `World.pairs`, and free joints under
        all dynamic bodies that no joint holds.

    Raises:
        DeviceError: MuJoCo is not installed.
        UsageError: The world has what this model does not: kinematic bodies, loops of joints, drives; or an argument
            has the wrong shape.
    """
    mujoco = load_mujoco()
    _check(world)
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = world.dt if dt is None else dt
    spec.option.gravity = world.gravity
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = impratio
    placed = _shaped(np.tile([0.0, 0, 0, 1, 0, 0, 0], (len(world.bodies), 1)), poses, "Poses")
    mu = _shaped(np.array([body.material.friction for body in world.bodies]), friction, "Friction")
    geoms = _add_bodies(mujoco, spec, world, placed, hulls or {})
    for a, b in world.pairs:
        rebound = max(world.bodies[i].material.restitution for i in (a, b))
        slide = float(np.sqrt(mu[a] * mu[b]))
        for first in geoms[a]:
            for second in geoms[b]:
                pair = spec.add_pair(geomname1=first, geomname2=second, condim=3)
                pair.friction = [slide, slide, 0.0, 0.0, 0.0]
                pair.solref = contact_parameters(rebound, time_constant) if solref is None else solref
    return spec.compile()


def contact_parameters(restitution: float, time_constant: float = TIME_CONSTANT) -> tuple[float, float]:
    """MuJoCo's ``solref`` in its direct form, minus stiffness [1/s^2] and minus damping [1/s].

    The spring has the stiffness 1 / T^2 and the damping ratio z at which a mass that hits it leaves with the wanted
    share of its speed: ln e = -pi z / sqrt(1 - z^2). Without restitution it is critically damped.

    Args:
        restitution: Speed after over speed before, 0 to 1.
        time_constant: T [s]; at least two steps for a stable contact.
    """
    ratio = 1.0
    if restitution > 0:
        log = -np.log(min(restitution, 1.0))
        ratio = float(log / np.hypot(np.pi, log))
    return -1.0 / time_constant**2, -2.0 * ratio / time_constant


def _check(world: World) -> None:
    moved = next((body.name for body in world.bodies if body.motion == "kinematic"), None)
    if moved is not None:
        raise UsageError(f"{moved!r} is kinematic; the comparison with MuJoCo takes static and dynamic bodies only.")
    held = [joint.child for joint in world.joints]
    twice = next((joint.name for joint in world.joints if held.count(joint.child) > 1), None)
    if twice is not None:
        raise UsageError(f"Joint {twice!r} closes a loop; the comparison with MuJoCo takes trees of joints only.")
    driven = next((joint.name for joint in world.joints if joint.stiffness or joint.drive_damping), None)
    if driven is not None:
        raise UsageError(f"Joint {driven!r} has a drive; the comparison with MuJoCo takes passive joints only.")


def _shaped(default: NDArray[np.float64], given: ArrayLike | None, what: str) -> NDArray[np.float64]:
    values = default if given is None else np.asarray(given, dtype=np.float64)
    if values.shape != default.shape:
        raise UsageError(f"{what} of these bodies have shape {default.shape}, found {values.shape}.")
    return values


def _add_bodies(
    mujoco: Any,
    spec: Any,
    world: World,
    poses: NDArray[np.float64],
    hulls: Mapping[str, Sequence[TriangleMesh]],
) -> list[list[str]]:
    """Put all bodies into the specification, parents first; the names of each one's geoms."""
    joints = {joint.child: (column, joint) for column, joint in enumerate(world.joints)}
    made: dict[int, Any] = {-1: spec.worldbody}
    geoms: list[list[str]] = [[] for _ in world.bodies]
    while len(made) <= len(world.bodies):
        ready = [
            i for i in range(len(world.bodies)) if i not in made and (i not in joints or joints[i][1].parent in made)
        ]
        if not ready:
            raise UsageError("Joints form a ring; the comparison with MuJoCo takes trees of joints only.")
        for i in ready:
            body = world.bodies[i]
            made[i] = _add_body(mujoco, made, body, i, joints.get(i), poses[i])
            geoms[i] = _add_geoms(mujoco, spec, made[i], body, i, hulls.get(body.name, body.parts))
    return geoms


def _add_body(
    mujoco: Any,
    made: Mapping[int, Any],
    body: Body,
    index: int,
    held: tuple[int, Joint] | None,
    pose: NDArray[np.float64],
) -> Any:
    import torch

    from dynamics.poses import compose, invert, rotation_from_wxyz

    column, joint = held or (-1, None)
    if joint is None:
        at = pose if body.motion == "static" else np.array([0.0, 0, 0, 1, 0, 0, 0])
    else:
        frames = [torch.tensor(T, dtype=torch.float64) for T in (joint.T_parent_joint, joint.T_child_joint)]
        at = compose(frames[0], invert(frames[1])).numpy()
    part = made[-1 if joint is None else joint.parent].add_body(name=f"{index}:{body.name}", pos=at[:3], quat=at[3:])
    tensor = body.inertia
    part.explicitinertial = True
    part.mass, part.ipos = body.mass, body.com
    part.fullinertia = [tensor[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]
    if joint is None:
        if body.motion == "dynamic":
            part.add_freejoint()
        return part
    if joint.kind == "fixed":
        return part
    axis = rotation_from_wxyz(frames[1][3:]).numpy() @ np.array(joint.axis)
    kind = mujoco.mjtJoint.mjJNT_HINGE if joint.kind == "hinge" else mujoco.mjtJoint.mjJNT_SLIDE
    part.add_joint(
        name=f"{column}:{joint.name}",
        type=kind,
        pos=joint.T_child_joint[:3],
        axis=axis,
        damping=np.array([joint.damping, 0, 0]),
        frictionloss=joint.friction,
        limited=bool(np.isfinite(joint.low) or np.isfinite(joint.high)),
        range=np.clip([joint.low, joint.high], -1e6, 1e6),
    )
    return part


def _add_geoms(mujoco: Any, spec: Any, part: Any, body: Body, index: int, parts: Sequence[TriangleMesh]) -> list[str]:
    """The names of the geoms of a body; none of them touches anything but in the pairs that are written out."""
    kinds = {
        "plane": mujoco.mjtGeom.mjGEOM_PLANE,
        "box": mujoco.mjtGeom.mjGEOM_BOX,
        "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    }
    silent = {"contype": 0, "conaffinity": 0, "mass": 0.0}
    if body.primitive is not None:
        plane = body.primitive.kind == "plane"
        size = (0.0, 0.0, 1.0) if plane else body.primitive.size
        part.add_geom(name=f"{index}.0", type=kinds[body.primitive.kind], size=size, **silent)
        return [f"{index}.0"]
    names = []
    for number, mesh in enumerate(parts or (body.mesh,)):
        name = f"{index}.{number}"
        shape = spec.add_mesh(name=name, uservert=mesh.vertices.ravel(), userface=mesh.faces.ravel())
        shape.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX
        part.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, **silent)
        names.append(name)
    return names
