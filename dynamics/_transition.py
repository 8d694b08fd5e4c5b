# pyright: basic
"""What a step of a world claims to have done, as physics residuals want it: states before and after -> `Transition`.

Steps remember what their contacts gave, so a transition of a rollout needs no more than the two states; whoever makes
steps in another way fills in a `Transition` of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynamics._errors import UsageError
from dynamics._find_contacts import find_contacts
from dynamics._free_motion import free_motion
from dynamics._state import Latents
from dynamics._step import StepSettings

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._contacts import Contacts
    from dynamics._inertia import Inertia
    from dynamics._state import Action, State
    from dynamics._world import World

__all__ = ["Transition", "transition_between"]


@dataclass(frozen=True, eq=False)
class Transition:
    """A step of B worlds with nb bodies and C contacts, as something claims that it went."""

    T_world_body: Tensor
    """Poses before, xyz [m] + wxyz, shape (B, nb, 7)."""
    twist: Tensor
    """Velocities before: centres of mass [m/s], angular [rad/s], world axes, shape (B, nb, 6)."""
    T_world_body_after: Tensor
    """Poses after, shape (B, nb, 7)."""
    twist_after: Tensor
    """Velocities after, shape (B, nb, 6)."""
    inertia: Inertia
    """At the poses before; bodies with infinite mass (fixed, driven, asleep) are not judged."""
    contacts: Contacts
    """Of the step, at the poses before; points are where impulses act."""
    impulse: Tensor
    """Of each contact on body a, world axes [N s], shape (B, C, 3)."""
    friction: Tensor
    """Coulomb coefficient of each contact, shape (B, C)."""
    dt: float
    """Length of the step [s]."""
    gravity: tuple[float, float, float] = (0.0, 0.0, -9.81)
    """[m/s^2]"""
    slop: float = 0.0005
    """Overlap that counts as touching: what the solver leaves alone [m]."""
    wrench: Tensor | None = None
    """External force [N] and torque [N m] on each body, world axes, shape (B, nb, 6)."""
    work: Tensor | None = None
    """Energy that anything else put into each world, such as driven bodies [J], shape (B,)."""


def transition_between(
    world: World,
    before: State,
    after: State,
    action: Action | None = None,
    latents: Latents | None = None,
    settings: StepSettings | None = None,
    *,
    index: int = 0,
) -> Transition:
    """The step from one state to the next, with the impulses that the latter remembers.

    Args:
        world: Bodies, gravity, length of the step.
        before: B worlds.
        after: The same a step later, from `step` or `step_torch`.
        action: What was done; None for nothing. Driven bodies do work that the transition does not know of.
        latents: What photos do not show; None takes the materials' medians.
        settings: How the step was computed.
        index: Which step of the action.

    Raises:
        UsageError: The state after does not remember its contacts, as the inner states of a rollout do not; or the
            world has joints, whose impulses no state remembers.
    """
    import torch

    if world.joints:
        raise UsageError("Physics residuals of worlds with joints need what the joints gave, which states do not hold.")
    if after.contact_impulse is None:
        raise UsageError("The state after the step does not remember its contacts; take it from `step`.")
    settings = StepSettings() if settings is None else settings
    latents = Latents.median(world, len(before)) if latents is None else latents
    near = settings.contact
    motion = free_motion(world, before, action, latents, index, near.margin, settings.sleep_after)
    contacts = find_contacts(
        world,
        before.T_world_body,
        motion.inertia.com,
        motion.free,
        world.dt,
        margin=near.margin,
        per_direction=near.per_direction,
        awake=motion.awake,
    )
    assert contacts.place is not None
    place = contacts.place.long()[..., None].expand(-1, -1, 3)
    impulse = after.contact_impulse.to(contacts.point).gather(1, place) * contacts.used[..., None]
    mu = latents.friction.to(contacts.gap)
    friction = (mu.gather(1, contacts.body_a.long()) * mu.gather(1, contacts.body_b.long())).sqrt()
    wrench = None if action is None or action.wrench is None else action.wrench[:, index].to(before.T_world_body)
    return Transition(
        T_world_body=before.T_world_body,
        twist=torch.where(motion.awake[..., None], before.twist, motion.twist),
        T_world_body_after=after.T_world_body,
        twist_after=after.twist,
        inertia=motion.inertia,
        contacts=contacts,
        impulse=impulse,
        friction=friction,
        dt=world.dt,
        gravity=world.gravity,
        slop=near.slop,
        wrench=wrench,
    )
