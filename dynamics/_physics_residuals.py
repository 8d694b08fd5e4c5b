# pyright: basic, reportIncompatibleMethodOverride=false
"""How far a step is from mechanics: a `Transition` in, seven dimensionless numbers per world out, with gradients.

Terms of a loss while a network is trained, metrics of its rollouts afterwards. Warp kernels give the values per contact
and body, and their adjoints the gradients, both in double precision; sums over a world are torch's. The formulas and
their sources are in `dynamics._residual_terms`, whose plain torch functions are the kernels' twins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any

from dynamics import _residual_terms as terms
from dynamics._residual_terms import ResidualUnits, residual_units
from dynamics.poses import xyzw_from_wxyz

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._transition import Transition

__all__ = ["PhysicsResiduals", "physics_residuals"]


@dataclass(frozen=True, eq=False)
class PhysicsResiduals:
    """Seven numbers of each of B worlds, shape (B,), each zero where mechanics is obeyed.

    Lengths are in gyration radii l of the bodies, speeds in sqrt(g l), impulses in m sqrt(g l). A value of 1e-4 of a
    square means a miss of a hundredth of these units.
    """

    newton_euler: Tensor
    """Mean square over bodies of the speed that no impulse explains."""
    complementarity: Tensor
    """Mean square over contacts of the Fischer-Burmeister function of normal impulse and gap."""
    cone: Tensor
    """Mean square over contacts by which friction leaves Coulomb's cone, or surfaces pull."""
    dissipation: Tensor
    """Mean over contacts of the energy that friction should have taken and did not, in m g l."""
    penetration: Tensor
    """Mean square over contacts of overlaps after the step."""
    energy: Tensor
    """Energy that came from nowhere, over the sum of the bodies' m g l."""
    kinematics: Tensor
    """Mean square over bodies of the motion that no velocity explains."""

    def named(self) -> dict[str, Tensor]:
        """The numbers by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def total(self, weights: Mapping[str, float] | None = None) -> Tensor:
        """Weighted sum of the terms, shape (B,); weights not given are 1, or 0 if others are given."""
        parts = self.named()
        weights = dict.fromkeys(parts, 1.0) if weights is None else weights
        total = 0 * self.newton_euler
        for name, weight in weights.items():
            total = total + weight * parts[name]
        return total


def physics_residuals(transition: Transition, *, warp: bool = True) -> PhysicsResiduals:
    """The residuals of a step, differentiable once with respect to every floating-point tensor of the transition.

    Args:
        transition: What happened in B worlds, in single or double precision.
        warp: By the Warp kernels, in double precision whatever comes in; otherwise by torch, in the precision given.

    Worlds without contacts have zeros for the four terms of contacts. Units are held while differentiating.
    """
    import torch

    units = residual_units(transition)
    values = _by_kernels(transition, units) if warp else _by_torch(transition, units)
    contacts, judged = transition.contacts, units.mass > 0

    def per_contact(name: str) -> Tensor:
        kept = torch.where(contacts.used, values[name], torch.zeros_like(values[name]))
        return kept.sum(1) / contacts.count.clamp_min(1)

    def per_body(name: str) -> Tensor:
        return values[name].sum(1) / judged.sum(1).clamp_min(1)

    gained = values["energy"].sum(1)
    for work in (_work_of_wrench(transition), transition.work):
        if work is not None:
            gained = gained - work.to(gained)
    unit = torch.where(judged, units.body_energy, torch.zeros_like(units.body_energy)).sum(1)
    return PhysicsResiduals(
        newton_euler=per_body("newton_euler"),
        complementarity=per_contact("complementarity"),
        cone=per_contact("cone"),
        dissipation=per_contact("dissipation"),
        penetration=per_contact("penetration"),
        energy=gained.clamp_min(0.0) / torch.where(unit > 0, unit, torch.ones_like(unit)),
        kinematics=per_body("kinematics"),
    )


def _by_torch(transition: Transition, units: ResidualUnits) -> dict[str, Tensor]:
    gap = terms.carried_gap(transition)
    return {
        "newton_euler": terms.newton_euler(transition, units),
        "complementarity": terms.complementarity(transition, gap, units),
        "cone": terms.cone(transition, units),
        "dissipation": terms.dissipation(transition, units),
        "penetration": terms.penetration(transition, gap, units),
        "energy": terms.energy(transition, units),
        "kinematics": terms.kinematics(transition, units),
    }


def _by_kernels(transition: Transition, units: ResidualUnits) -> dict[str, Tensor]:
    import torch

    t, contacts, inertia = transition, transition.contacts, transition.inertia
    shape, bodies = contacts.gap.shape, units.mass.shape
    slop = torch.full(shape, t.slop, dtype=torch.float64, device=t.impulse.device)
    poses = _parts(t.T_world_body) + _parts(t.T_world_body_after)
    linear, angular = t.twist[..., :3], t.twist[..., 3:]
    linear_after, angular_after = t.twist_after[..., :3], t.twist_after[..., 3:]
    change, torque = _asked(t)
    sides = (contacts.count, contacts.body_a, contacts.body_b)
    gap = _term("carried_gap", shape, sides, contacts.point, contacts.normal, contacts.gap, *poses)
    push = _term("pushed", bodies, sides, t.impulse)
    twist = torque + _term("twisted", bodies, sides, contacts.point, t.impulse, inertia.com)
    count = (contacts.count,)
    pressed = (contacts.normal, t.impulse)
    velocities = (linear, angular, linear_after, angular_after)
    heavy = (inertia.com, units.mass, inertia.inertia)
    return {
        "newton_euler": _term(
            "newton_euler",
            bodies,
            (),
            *(units.mass, inertia.inertia, inertia.inverse_inertia, poses[1], poses[3], change),
            *(angular, angular_after, push, twist, units.body_energy),
        ),
        "complementarity": _term(
            "complementarity", shape, count, *pressed, gap, slop, units.impulse, units.speed * t.dt
        ),
        "cone": _term("cone", shape, count, *pressed, t.friction, units.impulse),
        "dissipation": _term(
            "dissipation",
            shape,
            sides,
            *(contacts.point, *pressed, t.friction, inertia.com, linear_after, angular_after),
            units.impulse * units.speed,
        ),
        "penetration": _term("penetration", shape, count, gap, slop, units.length),
        "energy": _term("energy", bodies, (t.gravity,), *heavy, *poses, *velocities),
        "kinematics": _term("kinematics", bodies, (t.dt,), *heavy, *poses, *velocities, units.body_square),
    }


def _asked(transition: Transition) -> tuple[Tensor, Tensor]:
    """Changes of velocity that forces do not explain, and what torques add to angular momentum, both (B, nb, 3)."""
    import torch

    t = transition
    change = (t.twist_after - t.twist)[..., :3].double()
    change = change - t.dt * change.new_tensor(t.gravity)
    if t.wrench is None:
        return change, torch.zeros_like(change)
    wrench = t.wrench.double()
    return change - t.dt * wrench[..., :3] * t.inertia.inverse_mass.double()[..., None], t.dt * wrench[..., 3:]


def _work_of_wrench(transition: Transition) -> Tensor | None:
    """Work of external wrenches [J], with the mean of the velocities at both ends, shape (B,)."""
    if transition.wrench is None:
        return None
    judged = (transition.inertia.inverse_mass > 0)[..., None]
    velocity = 0.5 * (transition.twist + transition.twist_after)
    return (transition.wrench.to(velocity) * velocity * judged).sum((1, 2)) * transition.dt


def _parts(poses: Tensor) -> tuple[Tensor, Tensor]:
    return poses[..., :3], xyzw_from_wxyz(poses[..., 3:])


def _term(name: str, dim: tuple[int, ...], plain: tuple[Any, ...], *values: Tensor) -> Tensor:
    """A kernel over contacts (B, C) or bodies (B, nb), whichever `dim` is; `plain` has no gradients."""
    return _function().apply(name, tuple(dim), plain, *values)


@cache
def _function() -> Any:
    import torch
    import warp as wp

    from dynamics import _residual_kernels as kernels

    def from_torch(kernel: Any, place: int, value: Tensor) -> Any:
        """As the array that a kernel has at that place of its arguments."""
        return wp.from_torch(value, dtype=kernel.adj.args[place].type.dtype, requires_grad=False)

    def shape_of(kernel: Any) -> tuple[int, ...]:
        """Of one element of what a kernel writes."""
        return tuple(getattr(kernel.adj.args[-1].type.dtype, "_shape_", ()))

    def inputs_of(kernel: Any, plain: tuple[Any, ...], doubles: list[Tensor]) -> tuple[list[Any], list[Any]]:
        return [as_plain(p) for p in plain], [from_torch(kernel, len(plain) + k, d) for k, d in enumerate(doubles)]

    def as_plain(part: Any) -> Any:
        if isinstance(part, torch.Tensor):
            return wp.from_torch(part.int().contiguous(), requires_grad=False)
        return wp.vec3d(*part) if isinstance(part, tuple) else part

    class Term(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, name: str, dim: tuple[int, ...], plain: tuple[Any, ...], *values: Tensor) -> Tensor:
            kernel = getattr(kernels, name)
            doubles = [value.detach().double().contiguous() for value in values]
            out = torch.zeros(dim + shape_of(kernel), dtype=torch.float64, device=values[0].device)
            given, arrays = inputs_of(kernel, plain, doubles)
            results = [from_torch(kernel, -1, out)]
            wp.launch(kernel, dim=dim, inputs=[*given, *arrays], outputs=results, device=str(out.device))
            ctx.name, ctx.plain, ctx.dtypes, ctx.dim = name, plain, [value.dtype for value in values], dim
            ctx.save_for_backward(*doubles)
            return out

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Any:
            kernel, doubles = getattr(kernels, ctx.name), list(ctx.saved_tensors)
            doubled = grad.double().contiguous()
            grads = [torch.zeros_like(value) for value in doubles]
            given, arrays = inputs_of(kernel, ctx.plain, doubles)
            _, adjoints = inputs_of(kernel, ctx.plain, grads)
            wp.launch(
                kernel,
                dim=ctx.dim,
                inputs=[*given, *arrays],
                outputs=[from_torch(kernel, -1, torch.zeros_like(doubled))],
                adj_inputs=[*([None] * len(given)), *adjoints],
                adj_outputs=[from_torch(kernel, -1, doubled)],
                adjoint=True,
                device=str(grad.device),
            )
            return None, None, None, *(g.to(dtype) for g, dtype in zip(grads, ctx.dtypes, strict=True))

    return Term
