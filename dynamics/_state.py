"""The time-varying side of physics: states, actions, what nobody observes, and what came of them.

Everything has a leading batch of B worlds. A state holds all that the next step depends on, so that a state that was
saved, restored and stepped equals never having stopped. Files are npz archives of the tensors, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from dynamics._world import World

__all__ = ["Action", "Latents", "Rollout", "State"]


@dataclass(frozen=True, eq=False)
class State:
    """B worlds at one moment."""

    T_world_body: Tensor
    """Poses of the body frames: xyz [m] + wxyz, shape (B, nb, 7)."""
    twist: Tensor
    """Velocity of the centre of mass [m/s] and angular velocity [rad/s], world axes, shape (B, nb, 6)."""
    joint_q: Tensor
    """Joint positions [rad or m], shape (B, nj)."""
    joint_qd: Tensor
    """Joint velocities [rad/s or m/s], shape (B, nj)."""
    x: Tensor
    """Particle positions [m], shape (B, np, 3)."""
    v: Tensor
    """Particle velocities [m/s], shape (B, np, 3)."""
    still: Tensor
    """Steps for which each body has been at rest; it sleeps after enough of them, int32, shape (B, nb)."""
    contact_point: Tensor | None = None
    """Which point of the source each remembered contact is, -1 for none, int32, shape (B, M); None remembers none."""
    contact_impulse: Tensor | None = None
    """What these contacts gave in the step before, the solver's first guess [N s], world axes, shape (B, M, 3)."""
    joint_impulse: Tensor | None = None
    """What friction, drive and limits of each joint gave [N s or N m s], shape (B, nj)."""

    @staticmethod
    def at_rest(world: World, T_world_body: Tensor) -> State:
        """Bodies at poses (B, nb, 7) or (nb, 7), nothing moves, particles in their rest shapes.

        Joints stand where the poses put them; `dynamics.place_joints` finds poses for joint positions.
        """
        import torch

        from dynamics._joint_geometry import joint_positions
        from dynamics.poses import transform_points

        poses = T_world_body if T_world_body.ndim == 3 else T_world_body[None]
        batch, bodies = poses.shape[:2]
        if bodies != len(world.bodies) or poses.shape[2] != 7:
            raise ValueError(f"Poses must have shape (B, {len(world.bodies)}, 7), found {tuple(poses.shape)}.")
        parts = [
            transform_points(poses[:, i, None], torch.as_tensor(body.particles.points).to(poses))
            for i, body in enumerate(world.bodies)
            if body.particles is not None
        ]
        x = torch.cat(parts, dim=1) if parts else poses.new_zeros(batch, 0, 3)
        joints = joint_positions(world, poses)[0] if world.joints else poses.new_zeros(batch, 0)
        still = torch.zeros(batch, bodies, dtype=torch.int32, device=poses.device)
        twist = poses.new_zeros(batch, bodies, 6)
        return State(poses.clone(), twist, joints, torch.zeros_like(joints), x, torch.zeros_like(x), still)

    def __len__(self) -> int:
        return int(self.T_world_body.shape[0])

    def __getitem__(self, index: Tensor | slice | int) -> State:
        """Some of the worlds; an integer keeps the batch dimension."""
        index = slice(index, index + 1) if isinstance(index, int) else index
        return self._each(lambda part: part[index])

    def repeated(self, times: int) -> State:
        """Every world `times` times in a row."""
        return self._each(lambda part: part.repeat_interleave(times, dim=0))

    def _each(self, change: Callable[[Tensor], Tensor]) -> State:
        parts: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        changed: dict[str, Any] = {name: None if part is None else change(part) for name, part in parts.items()}
        return State(**changed)

    def save(self, path: Path | str) -> None:
        """Write an npz archive.

        Raises:
            OutputError: It cannot be written.
        """
        from dynamics._state_file import save_tensors

        save_tensors(self, path)

    @staticmethod
    def load(path: Path | str) -> State:
        """Read what `save` wrote.

        Raises:
            FileFormatError: It is no such archive.
        """
        from dynamics._state_file import load_tensors

        return load_tensors(State, path)


@dataclass(frozen=True, eq=False)
class Action:
    """What is done to B worlds over T steps; None leaves a part alone."""

    wrench: Tensor | None = None
    """External force at the centre of mass [N] and torque [N m], world axes, shape (B, T, nb, 6)."""
    kinematic_target: Tensor | None = None
    """Poses that kinematic bodies reach at the end of each step, shape (B, T, nb, 7); others are ignored."""
    joint_target: Tensor | None = None
    """Positions that the joints' drives aim at [rad or m], shape (B, T, nj)."""
    force_limit: Tensor | None = None
    """The most that each drive gives [N m or N], shape (B, T, nj); None takes the joints' own."""
    joint_velocity_target: Tensor | None = None
    """Velocities that they aim at [rad/s or m/s], shape (B, T, nj); None is 0. Without any target drives are off."""


@dataclass(frozen=True, eq=False)
class Latents:
    """What photos do not show, for B worlds."""

    mass_scale: Tensor
    """Mass and inertia over the body's own, shape (B, nb)."""
    com_offset: Tensor
    """Centre of mass less the body's own, in the body frame [m], shape (B, nb, 3)."""
    friction: Tensor
    """Coulomb coefficient of each body; a pair has the geometric mean, shape (B, nb)."""
    restitution: Tensor
    """Of each body, 0 to 1; a pair has the greater, shape (B, nb)."""
    stiffness_scale: Tensor
    """Young's modulus over the material's own, shape (B, nb)."""

    @staticmethod
    def median(world: World, batch: int = 1) -> Latents:
        """The medians of the materials' priors."""
        import torch

        bodies = len(world.bodies)
        ones = torch.ones(batch, bodies)
        friction = torch.tensor([body.material.friction for body in world.bodies])
        restitution = torch.tensor([body.material.restitution for body in world.bodies])
        return Latents(
            ones,
            torch.zeros(batch, bodies, 3),
            friction.repeat(batch, 1),
            restitution.repeat(batch, 1),
            ones.clone(),
        )

    @staticmethod
    def sample(world: World, batch: int, *, seed: int) -> Latents:
        """Draws from the materials' priors: log-normal mass, friction and stiffness, restitution cut to [0, 1].

        The first world has the medians, so that a batch of one is what is most likely.
        """
        import torch

        generator = torch.Generator().manual_seed(seed)

        def normal(spread: list[float]) -> Tensor:
            draw = torch.randn(batch, len(spread), generator=generator)
            draw[:1] = 0.0
            return draw * torch.tensor(spread)

        median = Latents.median(world, batch)
        materials = [body.material for body in world.bodies]
        return Latents(
            normal([body.mass_log_std for body in world.bodies]).exp(),
            median.com_offset,
            median.friction * normal([material.friction_log_std for material in materials]).exp(),
            (median.restitution + normal([material.restitution_std for material in materials])).clamp(0, 1),
            normal([material.youngs_modulus_log_std for material in materials]).exp(),
        )


@dataclass(frozen=True, eq=False)
class Rollout:
    """B worlds at T times, the first of them the start, and what made them."""

    T_world_body: Tensor
    """Shape (B, T, nb, 7); this and what follows as in `State`, with an axis of time."""
    twist: Tensor
    """Shape (B, T, nb, 6)."""
    joint_q: Tensor
    """Shape (B, T, nj)."""
    joint_qd: Tensor
    """Shape (B, T, nj)."""
    x: Tensor
    """Shape (B, T, np, 3)."""
    v: Tensor
    """Shape (B, T, np, 3)."""
    still: Tensor
    """Shape (B, T, nb)."""
    overlap: Tensor
    """Deepest overlap of bodies that any step since the time before began with [m], 0 for none, shape (B, T)."""
    dt: float
    """Between two times [s]."""
    contact_point: Tensor | None = None
    """As in `State`, at the last time only, shape (B, M)."""
    contact_impulse: Tensor | None = None
    """Shape (B, M, 3)."""
    action: Action | None = None
    """What was done, with a time axis of steps."""
    latents: Latents | None = None
    """What photos do not show."""
    joint_impulse: Tensor | None = None
    """As in `State`, at the last time only, shape (B, nj)."""
    in_support: Tensor | None = None
    """Share of the pressing contacts in which the contact network spoke within its support, (B,); None without one."""

    def __len__(self) -> int:
        return int(self.T_world_body.shape[1])

    def at(self, index: int) -> State:
        """The state at one of the times; all but the last have forgotten what their contacts gave."""
        timed = ("T_world_body", "twist", "joint_q", "joint_qd", "x", "v", "still")
        state = State(*(getattr(self, name)[:, index].clone() for name in timed))
        if index not in (-1, len(self) - 1):
            return state
        return replace(
            state,
            contact_point=self.contact_point,
            contact_impulse=self.contact_impulse,
            joint_impulse=self.joint_impulse,
        )

    @property
    def final(self) -> State:
        """The state at the last time."""
        return self.at(-1)

    def save(self, path: Path | str) -> None:
        """Write an npz archive.

        Raises:
            OutputError: It cannot be written.
        """
        from dynamics._state_file import save_tensors

        save_tensors(self, path)

    @staticmethod
    def load(path: Path | str) -> Rollout:
        """Read what `save` wrote.

        Raises:
            FileFormatError: It is no such archive.
        """
        from dynamics._state_file import load_tensors

        return load_tensors(Rollout, path)
