# pyright: basic
"""Models that predict a toss from its first frame: nothing moves, free flight, physics, physics with the network.

A toss is one rigid body over a table. Its surface is a few points, corners first, each the centre of a small sphere:
real corners are round. `TossConstants` are what identification finds: friction, restitution, and how far sizes, inertia
and gravity are from what the drawing says (recorded lengths are a percent or two off). `rollout_tosses` runs a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dynamics._contacts import Contacts
from dynamics._inertia import Inertia
from dynamics._learned_step import LearnedStep, Surface, learned_step, with_gravity
from dynamics.poses import rotation_from_wxyz

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._contact_network import ContactNetwork
    from dynamics._contact_support import ContactSupport
    from dynamics._learned_step import Moved
    from dynamics._tosses import Toss
    from dynamics._triangle_mesh import TriangleMesh

__all__ = [
    "TEXTBOOK",
    "TossBody",
    "TossConstants",
    "TossModel",
    "ballistic",
    "central_futures",
    "first_states",
    "predicted",
    "rollout_tosses",
    "static",
    "step_of",
    "toss_body",
    "toss_contacts",
    "toss_step",
]

NOISE_VELOCITY = 0.01
"""Noise of recorded first velocities, measured against fits to the flight that follows [m/s]."""
NOISE_SPIN = 0.15
"""The same of angular velocities [rad/s]."""
MARGIN = 0.001
"""Smaller gaps are contacts [m]."""
MOST = 8
"""The most contacts of a step."""
LAYERS = (0.125, 0.4)
"""Thickness of the narrow and the wide layer of `before_features`, in gyration radii."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TossBody:
    """What is known of the thrown body."""

    points: Array
    """Surface points in the body frame, corners first [m], shape (P, 3)."""
    inward: Array
    """How each point moves per metre of its sphere's radius, so that the spheres stay inside, shape (P, 3)."""
    mass: float
    """[kg]"""
    com: Array
    """Centre of mass in the body frame [m], shape (3,)."""
    inertia: Array
    """About the centre of mass [kg m^2], shape (3, 3)."""
    width: float
    """What percentages refer to [m]."""


@dataclass(frozen=True, eq=False)
class TossConstants:
    """Physical constants of a set of tosses: scalars, or one value for each of B worlds, shape (B, 1)."""

    friction: Tensor
    """Coulomb coefficient."""
    restitution: Tensor
    """0 to 1."""
    size: Tensor
    """Recorded over drawn lengths."""
    inertia: Tensor
    """Moment of inertia over the drawn one."""
    gravity: Tensor
    """In recorded lengths [m/s^2]."""
    recovery: Tensor
    """Share of an overlap that is undone in a step."""
    corner_radius: Tensor
    """Of edges and corners [m]."""
    spin: Tensor
    """Angular velocity of the first frame over the recorded one: a filter of the recording flattens it."""

    @staticmethod
    def of(**values: float) -> TossConstants:
        """From numbers."""
        import torch

        return TossConstants(**{name: torch.tensor(value) for name, value in values.items()})

    def numbers(self) -> dict[str, float]:
        """As numbers by name; of scalars only."""
        return {field.name: float(getattr(self, field.name)) for field in fields(self)}

    def of_worlds(self, index: Tensor) -> TossConstants:
        """One row for each world of `index` (B,), which says whose row it takes; scalars are for all alike."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return TossConstants(**{name: v[index] if v.ndim else v for name, v in values.items()})


TEXTBOOK = {
    "friction": 0.18,
    "restitution": 0.125,
    "size": 1.0,
    "inertia": 1.0,
    "gravity": 9.81,
    "recovery": 0.2,
    "corner_radius": 0.0,
    "spin": 1.0,
}
"""The cube's constants as measured by hand: tilted plane, drop, scales, drawing."""


@dataclass(frozen=True, eq=False)
class TossModel:
    """Physics, with or without a network."""

    constants: TossConstants
    network: ContactNetwork | None = None
    support: ContactSupport | None = None
    sweeps: int = 10
    warp: bool = True


def toss_body(
    mesh: TriangleMesh, mass: float, inertia: Array | None = None, *, points: Array | None = None
) -> TossBody:
    """The body of a convex mesh [m] with its frame's origin as the recording has it.

    Args:
        mesh: Closed collider.
        mass: [kg]
        inertia: About the centre of mass [kg m^2], shape (3, 3); None takes that of the uniform solid.
        points: Surface points, shape (P, 3); None takes the corners.
    """
    from dynamics._mass_properties import mass_properties

    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    solid = mass_properties(mesh, 1.0)
    tensor = solid.inertia * (mass / solid.mass) if inertia is None else np.asarray(inertia, dtype=np.float64)
    corners = np.unique(vertices.round(9), axis=0) if points is None else np.asarray(points, dtype=np.float64)
    extents = np.ptp(vertices, axis=0)
    width = float(np.prod(extents) ** (1 / 3))
    com = np.where(np.abs(solid.com) < 1e-9 * width, 0.0, solid.com)  # Rounding is no offset.
    return TossBody(corners, _inward(vertices, np.asarray(mesh.faces), corners), mass, com, tensor, width)


def _inward(vertices: Array, faces: NDArray[np.integer], points: Array) -> Array:
    """The step c that leaves every face through a point by 1: n . c = -1 for all their normals, least squares."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    steps = []
    for point in points:
        touching = np.unique(normals[np.abs(((point - a) * normals).sum(1)) < 1e-6].round(6), axis=0)
        steps.append(np.linalg.lstsq(touching, -np.ones(len(touching)), rcond=None)[0])
    return np.stack(steps)


def first_states(tosses: Sequence[Toss], constants: TossConstants) -> tuple[Tensor, Tensor]:
    """Poses (B, 7) and velocities (B, 6) of the first frames, float32, as rollouts start from them.

    Recorded velocities are those of half a step ago, and those of the turn are multiplied by `constants.spin`.
    """
    import torch

    pose = torch.tensor(np.stack([toss.T_world_body[0] for toss in tosses]), dtype=torch.float32)
    twist = torch.tensor(np.stack([toss.twist[0] for toss in tosses]), dtype=torch.float32)
    down = torch.tensor([0.0, 0.0, -0.5 * tosses[0].dt])
    linear = twist[:, :3] + constants.gravity * down
    return pose, torch.cat([linear, twist[:, 3:] * constants.spin], dim=-1)


def rollout_tosses(
    model: TossModel, body: TossBody, pose: Tensor, twist: Tensor, frames: int, dt: float
) -> tuple[Tensor, Tensor]:
    """Predicted poses (B, frames, 7), the first included, and the share of contacts in the network's support, (B,).

    Args:
        model: Constants and network.
        body: What is thrown.
        pose: Of the body frame at the first frame, shape (B, 7).
        twist: Velocity of the frame's origin and angular velocity at that instant, shape (B, 6).
        frames: How many, the first included.
        dt: Time between them [s].
    """
    import torch

    poses = [pose]
    inside, seen = torch.zeros(len(pose)), torch.zeros(len(pose))
    step = step_of(model, dt)
    with torch.no_grad():
        for _ in range(frames - 1):
            pose, twist, moved = toss_step(step, model.constants, body, pose, twist)
            poses.append(pose)
            if moved is not None:
                pressed = moved.impulses.norm(dim=-1) > 0
                inside, seen = inside + (moved.gate * pressed).sum(1), seen + pressed.sum(1)
    return torch.stack(poses, dim=1), torch.where(seen > 0, inside / seen.clamp_min(1), torch.ones_like(seen))


def central_futures(poses: Tensor) -> Tensor:
    """The mean of F futures of each toss, (B, F, T, 7) -> (B, T, 7): of positions, and of rotations.

    The mean rotation maximises the sum of squared inner products of quaternions [Markley et al. 2007].
    """
    import torch

    wxyz = poses[..., 3:]
    moments = (wxyz[..., :, None] * wxyz[..., None, :]).sum(1)
    return torch.cat([poses[..., :3].mean(1), torch.linalg.eigh(moments)[1][..., -1]], dim=-1)


def predicted(
    model: TossModel, body: TossBody, tosses: Sequence[Toss], *, futures: int = 1, seed: int = 0
) -> list[Array]:
    """Poses of each toss, (T, 7), from its first frame.

    Args:
        model: Constants and network.
        body: What was thrown.
        tosses: What to predict; they share one time step. Only first frames and lengths are looked at.
        futures: 1 rolls out the first states as recorded; more takes the mean of so many rollouts, from states with
            the noise that recordings were measured to have. A mean may hover or sink in by a little.
        seed: Of the noise.
    """
    import torch

    pose, twist = first_states(tosses, model.constants)
    if futures > 1:
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(len(tosses), futures, 6, generator=generator)
        noise = noise * torch.tensor([NOISE_VELOCITY] * 3 + [NOISE_SPIN] * 3)
        noise[:, 0] = 0.0
        pose = pose.repeat_interleave(futures, dim=0)
        twist = twist.repeat_interleave(futures, dim=0) + noise.flatten(0, 1)
    frames = max(len(toss) for toss in tosses)
    poses = rollout_tosses(model, body, pose, twist, frames, tosses[0].dt)[0]
    if futures > 1:
        poses = central_futures(poses.unflatten(0, (len(tosses), futures)))
    return [poses[i, : len(toss)].double().numpy() for i, toss in enumerate(tosses)]


def step_of(model: TossModel, dt: float) -> LearnedStep:
    """The model as a step of length dt [s]."""
    return LearnedStep(
        dt,
        gravity=model.constants.gravity,
        network=model.network,
        support=model.support,
        sweeps=model.sweeps,
        warp=model.warp,
    )


def toss_step(
    step: LearnedStep, constants: TossConstants, body: TossBody, pose: Tensor, twist: Tensor
) -> tuple[Tensor, Tensor, Moved | None]:
    """One step of B tosses: pose (B, 7) and twist (B, 6) of the frame's origin, and what the contacts did.

    The third is None when nothing touches.
    """
    import torch

    inertia, contacts, patch, free = toss_contacts(step, constants, body, pose, twist)
    table = torch.zeros_like(pose)
    table[:, 3] = 1.0
    poses = torch.stack([pose, table], dim=1)
    shape = contacts.gap.shape
    surface = Surface(constants.friction.expand(shape), constants.restitution.expand(shape), patch, constants.recovery)
    moved = learned_step(step, poses, free, inertia, contacts, surface)
    after = moved.twist[:, 0]
    pose = moved.T_world_body[:, 0]
    if body.com.any():
        arm = _arm(body, constants, rotation_from_wxyz(pose[:, 3:]))
        after = torch.cat([after[:, :3] - torch.linalg.cross(after[:, 3:], arm), after[:, 3:]], dim=-1)
    return pose, after, moved if shape[1] else None


def toss_contacts(
    step: LearnedStep, constants: TossConstants, body: TossBody, pose: Tensor, twist: Tensor
) -> tuple[Inertia, Contacts, Tensor, Tensor]:
    """What a step starts from: inertia, contacts, their patches, and velocities with gravity (B, 2, 6).

    Body 0 is what was thrown, body 1 the table.
    """
    import torch

    R = rotation_from_wxyz(pose[:, 3:])
    arm = _arm(body, constants, R)[:, None]
    inertia = _inertia(body, constants, pose, R, arm)
    central = torch.cat([twist[:, :3] + torch.linalg.cross(twist[:, 3:], arm[:, 0]), twist[:, 3:]], dim=-1)
    free = with_gravity(step, torch.stack([central, torch.zeros_like(central)], dim=1), inertia)
    contacts, patch = _contacts(body, constants, pose, R, free[:, 0], inertia, step.dt)
    return inertia, contacts, patch, free


def _over(value: Tensor, dims: int) -> Tensor:
    """A constant, made to broadcast over so many axes behind that of the worlds."""
    return value.reshape(-1, *(1,) * dims) if value.ndim else value


def _arm(body: TossBody, constants: TossConstants, R: Tensor) -> Tensor:
    """From the frame's origin to the centre of mass, world axes [m], (B, 3)."""
    return (R * (R.new_tensor(body.com) * constants.size)[..., None, :]).sum(-1)


def _inertia(body: TossBody, constants: TossConstants, pose: Tensor, R: Tensor, arm: Tensor) -> Inertia:
    import torch

    local = pose.new_tensor(body.inertia) * _over(constants.inertia, 2)
    tensor = R @ local @ R.transpose(-1, -2)
    inverse = R @ torch.linalg.inv(local) @ R.transpose(-1, -2)
    zero = torch.zeros_like(tensor)
    mass = pose.new_tensor([1 / body.mass, 0.0]).expand(len(pose), 2)
    com = torch.cat([pose[:, None, :3] + arm, torch.zeros_like(pose[:, None, :3])], dim=1)
    return Inertia(com, mass, torch.stack([inverse, zero], dim=1), torch.stack([tensor, zero], dim=1))


def _contacts(
    body: TossBody, constants: TossConstants, pose: Tensor, R: Tensor, twist: Tensor, inertia: Inertia, dt: float
) -> tuple[Contacts, Tensor]:
    """Spheres at the points against the table, lowest first, and where the low part of the surface lies."""
    import torch

    radius = _over(constants.corner_radius, 2)
    points = pose.new_tensor(body.points) * _over(constants.size, 2) + pose.new_tensor(body.inward) * radius
    centres = pose[:, None, :3] + points @ R.transpose(-1, -2)
    up = pose.new_tensor([0.0, 0.0, 1.0])
    lowest = centres - radius * up
    gap = lowest[..., 2]
    velocity = twist[:, None, 2] + _cross_z(twist[:, None, 3:], lowest - inertia.com[:, :1])
    near = (gap + velocity * dt < 0) | (gap < MARGIN)
    count = near.sum(1).clamp_max(MOST)
    most = int(count.max()) if len(count) else 0
    order = torch.where(near, gap, torch.full_like(gap, float("inf"))).argsort(dim=1, stable=True)[:, :most]
    point = lowest.gather(1, order[..., None].expand(-1, -1, 3))
    zeros = torch.zeros(order.shape, dtype=torch.int32)
    normal = up.expand(*order.shape, 3)
    contacts = Contacts(count.int(), zeros, zeros + 1, point, normal, gap.gather(1, order))
    size = (body.inertia.trace() / 3 / body.mass) ** 0.5
    layers = [torch.softmax(-gap / (share * size), dim=1)[:, None] @ lowest for share in LAYERS]
    return contacts, torch.stack([layer - point for layer in layers], dim=2)


def _cross_z(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def static(toss: Toss) -> Array:
    """Nothing moves: poses (T, 7)."""
    return np.repeat(toss.T_world_body[:1], len(toss), axis=0)


def ballistic(toss: Toss, body: TossBody, gravity: float = 9.81) -> Array:
    """Free flight through the table, lifted until no point is below it: poses (T, 7)."""
    import torch

    time = torch.arange(len(toss), dtype=torch.float64) * toss.dt
    constants = replace(TossConstants.of(**TEXTBOOK), gravity=torch.tensor(gravity))
    pose, twist = first_states([toss], constants)
    p, v, w = pose[0, :3].double(), twist[0, :3].double(), twist[0, 3:].double()
    xyz = p + v * time[:, None]
    xyz[:, 2] -= 0.5 * gravity * time**2
    from dynamics._integrate import quaternion_of_turn
    from dynamics.poses import multiply

    wxyz = multiply(quaternion_of_turn(w * time[:, None]), pose[0, 3:].double().expand(len(time), 4))
    reach = (torch.tensor(body.points) @ rotation_from_wxyz(wxyz).transpose(-1, -2))[..., 2].amin(1)
    xyz[:, 2] = torch.maximum(xyz[:, 2], -reach)
    return torch.cat([xyz, wxyz], dim=-1).numpy()
