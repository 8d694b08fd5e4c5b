# pyright: basic
"""What identification may change of a world, each a number without bounds whose prior is the normal distribution.

A `Parameter` maps u ~ N(0, 1) to a physical value: through the logarithm where values are positive, the logit where
they lie between 0 and 1. Priors are those of the materials where they have one. `Candidates` turn rows of values into
what a rollout takes: latents, worlds where a body's inertia, a joint or gravity changes, and factors of recorded
lengths and of first spins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import UsageError

if TYPE_CHECKING:
    from dynamics._body import Body
    from dynamics._state import Latents
    from dynamics._world import Joint, World

__all__ = ["QUANTITIES", "Parameter", "changed_latents", "changed_world", "factor", "find_parameters"]

OF_BODY = ("friction", "restitution", "mass", "com", "inertia")
OF_JOINT = ("joint_damping", "joint_friction")
OF_WORLD = ("length", "gravity", "spin")
QUANTITIES = (*OF_BODY, *OF_JOINT, *OF_WORLD)
"""What can be asked for; ``NAME.quantity`` asks for that of one body or joint."""
AXES = ("com_x", "com_y", "com_z")
NARROW = 0.05
"""Least spread of a prior: what is asked for is not known exactly."""
Array = NDArray[np.float64]
Scale = Literal["log", "logit", "linear"]


@dataclass(frozen=True)
class Parameter:
    """One unknown number and its prior."""

    of: str
    """Body or joint; empty for the world."""
    quantity: str
    """One of `QUANTITIES`, or ``com_x``, ``com_y``, ``com_z``."""
    scale: Scale
    """What the prior is normal in."""
    mean: float
    """Of the prior, on that scale."""
    std: float
    """Of the prior, on that scale."""

    @property
    def name(self) -> str:
        """``can.friction``, ``gravity``."""
        return f"{self.of}.{self.quantity}" if self.of else self.quantity

    def value(self, u: Array) -> Array:
        """Physical values of standardised ones."""
        x = self.mean + self.std * np.asarray(u, dtype=np.float64)
        if self.scale == "log":
            return np.exp(x)
        return 1 / (1 + np.exp(-x)) if self.scale == "logit" else x


def find_parameters(world: World, wanted: Sequence[str] | None = None) -> tuple[Parameter, ...]:
    """The parameters of that name, with their priors.

    Args:
        world: Its moving bodies and its joints.
        wanted: Quantities, for every moving body or joint, or ``NAME.quantity`` for one. None takes friction,
            restitution, inertia, length and spin, and damping and friction of joints.

    Raises:
        UsageError: There is no such quantity, body or joint, or nothing is left to find.
    """
    if wanted is None:
        wanted = ("friction", "restitution", "inertia", "length", "spin", *(OF_JOINT if world.joints else ()))
    bodies = [body for body in world.bodies if body.motion == "dynamic"]
    found: dict[str, Parameter] = {}
    for entry in wanted:
        of, _, quantity = entry.rpartition(".")
        if quantity not in QUANTITIES:
            raise UsageError(f"{entry!r} cannot be identified; choose from {', '.join(QUANTITIES)}.")
        fresh: list[Parameter] = []
        if quantity in OF_BODY:
            fresh = [p for body in bodies if of in ("", body.name) for p in _of_body(body, quantity)]
        elif quantity in OF_JOINT:
            fresh = [_of_joint(world, joint, quantity) for joint in world.joints if of in ("", joint.name)]
        elif not of:
            fresh = [_of_world(world, quantity)]
        if of and not fresh:
            names = [thing.name for thing in (bodies if quantity in OF_BODY else world.joints)]
            raise UsageError(f"{entry!r} names nothing that moves; the world has {', '.join(names) or 'none'}.")
        found |= {parameter.name: parameter for parameter in fresh}
    if not found:
        raise UsageError("There is nothing to identify: name parameters of moving bodies or joints.")
    return tuple(found.values())


def changed_latents(world: World, parameters: Sequence[Parameter], values: Array, base: Latents) -> Latents:
    """Latents of G worlds, `base` with the values (G, P) of those parameters that latents hold."""
    import torch

    parts = {name: getattr(base, name).clone() for name in ("mass_scale", "com_offset", "friction", "restitution")}
    homes = {"mass": "mass_scale", "friction": "friction", "restitution": "restitution"}
    index = {body.name: i for i, body in enumerate(world.bodies)}
    for parameter, column in zip(parameters, np.asarray(values).T, strict=True):
        value = torch.as_tensor(np.ascontiguousarray(column), dtype=torch.float32)
        if parameter.of not in index:
            continue
        body = index[parameter.of]
        if parameter.quantity in homes:
            parts[homes[parameter.quantity]][:, body] = value
        elif parameter.quantity in AXES:
            parts["com_offset"][:, body, AXES.index(parameter.quantity)] = value
    return replace(base, **parts)


def changed_world(world: World, parameters: Sequence[Parameter], values: Array) -> World:
    """The world with the values (P,) of inertia, joints and gravity; itself when there are none of these."""
    bodies, joints, gravity = list(world.bodies), list(world.joints), np.array(world.gravity)
    changed = False
    for parameter, value in zip(parameters, np.asarray(values, dtype=np.float64).tolist(), strict=True):
        if parameter.quantity == "inertia":
            # `_with` keeps the distance grid and the points, which do not change.
            bodies = [b._with(inertia=b.inertia * value) if b.name == parameter.of else b for b in bodies]
        elif parameter.quantity in OF_JOINT:
            part = parameter.quantity.removeprefix("joint_")
            joints = [replace(j, **{part: value}) if j.name == parameter.of else j for j in joints]
        elif parameter.quantity == "gravity":
            gravity = gravity * (value / np.linalg.norm(gravity))
        else:
            continue
        changed = True
    if not changed:
        return world
    return replace(world, bodies=tuple(bodies), joints=tuple(joints), gravity=tuple(gravity.tolist()))


def factor(parameters: Sequence[Parameter], values: Array, quantity: str) -> Array:
    """Values (G,) of a quantity of the world such as ``length``; ones when it is not among the parameters."""
    for k, parameter in enumerate(parameters):
        if parameter.quantity == quantity:
            return np.asarray(values)[:, k]
    return np.ones(len(values))


def _of_body(body: Body, quantity: str) -> list[Parameter]:
    material = body.material
    if quantity == "friction":
        spread = max(material.friction_log_std, NARROW)
        return [Parameter(body.name, quantity, "log", float(np.log(max(material.friction, 1e-3))), spread)]
    if quantity == "restitution":
        share = float(np.clip(material.restitution, 0.02, 0.98))
        # The spread of the logit that gives the spread of the share, to first order.
        spread = max(material.restitution_std, NARROW) / (share * (1 - share))
        return [Parameter(body.name, quantity, "logit", float(np.log(share / (1 - share))), min(spread, 2.0))]
    if quantity == "mass":
        return [Parameter(body.name, quantity, "log", 0.0, max(body.mass_log_std, NARROW))]
    if quantity == "inertia":
        return [Parameter(body.name, quantity, "log", 0.0, 0.2)]
    reach = 0.05 * _size(body)
    return [Parameter(body.name, axis, "linear", 0.0, reach) for axis in AXES]


def _of_joint(world: World, joint: Joint, quantity: str) -> Parameter:
    """Priors about what the joint says, else about what stops its child in a second or so."""
    child = world.bodies[joint.child]
    unit = float(np.trace(child.inertia)) / 3 if joint.kind == "hinge" else child.mass
    said = joint.damping if quantity == "joint_damping" else joint.friction
    guess = said if said > 0 else 0.5 * unit * (1.0 if quantity == "joint_damping" else 2.0)
    return Parameter(joint.name, quantity, "log", float(np.log(guess)), 0.7 if said > 0 else 1.5)


def _of_world(world: World, quantity: str) -> Parameter:
    if quantity == "gravity":
        return Parameter("", quantity, "linear", float(np.linalg.norm(world.gravity)), 0.15)
    return Parameter("", quantity, "linear", 1.0, 0.02 if quantity == "length" else 0.05)


def _size(body: Body) -> float:
    low, high = body.mesh.bounds
    return float(np.prod(high - low) ** (1 / 3))
