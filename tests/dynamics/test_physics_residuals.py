"""Physics residuals: kernels against torch in values and gradients, zero where mechanics is obeyed, above it if not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dynamics import State
from dynamics._contacts import Contacts
from dynamics._errors import UsageError
from dynamics._inertia import Inertia
from dynamics._integrate import midway_turn, quaternion_of_turn, turned_by
from dynamics._physics_residuals import PhysicsResiduals, physics_residuals
from dynamics._primitive import body_from_box
from dynamics._rollout import step
from dynamics._step import StepSettings
from dynamics._tosses import first_twist, load_tosses
from dynamics._transition import Transition, transition_between
from dynamics.poses import multiply, rotation_from_wxyz

WORLDS, BODIES, CONTACTS = 2, 3, 4
DT = 1 / 120
TERMS = tuple(PhysicsResiduals.__dataclass_fields__)


@pytest.fixture(autouse=True)
def _one_thread():
    """Tensors here are tiny; threads only get in each other's way."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def unit(*shape: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(*shape, dtype=torch.float64), dim=-1)


def anything() -> Transition:
    """Nonsense, in which every term is at work: two bodies that move and one that does not."""
    torch.manual_seed(3)
    wide: Any = {"dtype": torch.float64}
    root = torch.randn(WORLDS, BODIES, 3, 3, **wide) * 0.3
    inertia = (root @ root.transpose(-1, -2) + torch.eye(3, **wide)) * 1e-3
    moves = torch.tensor([1.0, 1.0, 0.0], **wide).expand(WORLDS, -1)
    com = torch.randn(WORLDS, BODIES, 3, **wide) * 0.1
    poses = torch.cat([com + 0.02 * torch.randn(WORLDS, BODIES, 3, **wide), unit(WORLDS, BODIES, 4)], dim=-1)
    turn = quaternion_of_turn(0.1 * torch.randn(WORLDS, BODIES, 3, **wide))
    moved = poses[..., :3] + 0.01 * torch.randn(WORLDS, BODIES, 3, **wide)
    normal = unit(WORLDS, CONTACTS, 3)
    impulse = 0.2 * normal + 0.1 * torch.randn(WORLDS, CONTACTS, 3, **wide)
    return Transition(
        T_world_body=poses,
        twist=torch.randn(WORLDS, BODIES, 6, **wide),
        T_world_body_after=torch.cat([moved, multiply(turn, poses[..., 3:])], dim=-1),
        twist_after=torch.randn(WORLDS, BODIES, 6, **wide),
        inertia=Inertia(
            com, moves / 0.4, torch.linalg.inv(inertia) * moves[..., None, None], inertia * moves[..., None, None]
        ),
        contacts=Contacts(
            count=torch.tensor([CONTACTS, 2], dtype=torch.int32),
            body_a=torch.tensor([[0, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.int32),
            body_b=torch.tensor([[1, 2, 2, 2], [0, 2, 1, 1]], dtype=torch.int32),
            point=torch.randn(WORLDS, CONTACTS, 3, **wide) * 0.1,
            normal=normal,
            gap=0.004 * torch.randn(WORLDS, CONTACTS, **wide),
        ),
        impulse=impulse,
        friction=torch.full((WORLDS, CONTACTS), 0.3, **wide),
        dt=DT,
        wrench=0.3 * torch.randn(WORLDS, BODIES, 6, **wide),
    )


LEAVES = ("T_world_body", "twist", "T_world_body_after", "twist_after", "impulse", "friction", "wrench")
INNER = ("point", "normal", "gap")


def with_leaves(base: Transition) -> tuple[Transition, dict[str, torch.Tensor]]:
    leaves = {name: getattr(base, name).clone().requires_grad_() for name in LEAVES}
    inner = {name: getattr(base.contacts, name).clone().requires_grad_() for name in INNER}
    return replace(base, contacts=replace(base.contacts, **inner), **leaves), leaves | inner


def first_world(base: Transition) -> dict[str, Any]:
    names = Inertia.__dataclass_fields__
    contacts = {name: getattr(base.contacts, name)[:1] for name in ("count", "body_a", "body_b", *INNER)}
    return {"inertia": Inertia(*(getattr(base.inertia, name)[:1] for name in names)), "contacts": Contacts(**contacts)}


def test_kernels_and_torch_agree_in_values_and_gradients() -> None:
    found = []
    for warp in (True, False):
        given, leaves = with_leaves(anything())
        residuals = physics_residuals(given, warp=warp)
        for value in residuals.named().values():
            assert value.shape == (WORLDS,)
        weights = {name: 1.0 + k for k, name in enumerate(TERMS)}
        total = (residuals.total(weights) * torch.tensor([1.0, -0.7])).sum()
        gradients = torch.autograd.grad(total, list(leaves.values()))
        found.append((residuals.named(), dict(zip(leaves, gradients, strict=True))))
    for name in TERMS:
        assert torch.allclose(found[0][0][name], found[1][0][name], rtol=1e-9), name
        assert (found[0][0][name] > 0).any(), f"{name} is not at work"
    for name, expected in found[1][1].items():
        assert torch.allclose(found[0][1][name], expected, rtol=1e-7, atol=1e-9 * float(expected.abs().max())), name


def test_gradients_of_kernels_are_those_of_finite_differences() -> None:
    base = anything()
    base = replace(base, **{name: getattr(base, name)[:1] for name in LEAVES}, **first_world(base))

    def values(pose: torch.Tensor, twist: torch.Tensor, impulse: torch.Tensor, mu: torch.Tensor) -> torch.Tensor:
        given = replace(base, T_world_body_after=pose, twist_after=twist, impulse=impulse, friction=mu)
        return torch.cat(list(physics_residuals(given).named().values()))

    parts = (base.T_world_body_after, base.twist_after, base.impulse, base.friction)
    inputs = tuple(part.clone().requires_grad_() for part in parts)
    assert torch.autograd.gradcheck(values, inputs, eps=1e-7, atol=2e-5, rtol=1e-4)


def test_single_precision_in_single_precision_gradients_out() -> None:
    base = anything()
    twist = base.twist_after.float().requires_grad_()
    physics_residuals(replace(base, twist_after=twist)).newton_euler.sum().backward()
    assert twist.grad is not None and twist.grad.dtype == torch.float32 and twist.grad.any()


def flown(gravity: float = 9.81, spin: float = 8.0) -> Transition:
    """A brick that tumbles freely for a step: parabola, angular momentum kept."""
    base = anything()
    kept = slice(0, 1)
    inertia = Inertia(*(getattr(base.inertia, name)[:, kept] for name in Inertia.__dataclass_fields__))
    pose, twist = base.T_world_body[:, kept], base.twist[:, kept].clone()
    twist[..., 3:] *= spin
    R = rotation_from_wxyz(pose[..., 3:])
    local = R.transpose(-1, -2) @ inertia.inertia @ R
    inverse = torch.linalg.inv(local)
    rate = midway_turn(pose[..., 3:], twist[..., 3:], local, inverse, DT)
    wxyz = multiply(quaternion_of_turn(rate * DT), pose[..., 3:])
    down = torch.tensor([0.0, 0.0, -gravity], dtype=torch.float64)
    com = inertia.com + DT * twist[..., :3] + 0.5 * DT * DT * down
    arm = R.transpose(-1, -2) @ (inertia.com - pose[..., :3])[..., None]
    xyz = com - (rotation_from_wxyz(wxyz) @ arm)[..., 0]
    turn = turned_by(pose[..., 3:], wxyz, twist[..., 3:], local, inverse)
    ints = torch.zeros(WORLDS, 0, dtype=torch.int32)
    points = torch.zeros(WORLDS, 0, 3, dtype=torch.float64)
    none = Contacts(torch.zeros(WORLDS, dtype=torch.int32), ints, ints, points, points, points[..., 0])
    return Transition(
        T_world_body=pose,
        twist=twist,
        T_world_body_after=torch.cat([xyz, wxyz], dim=-1),
        twist_after=torch.cat([twist[..., :3] + DT * down, turn], dim=-1),
        inertia=inertia,
        contacts=none,
        impulse=torch.zeros(WORLDS, 0, 3, dtype=torch.float64),
        friction=torch.zeros(WORLDS, 0, dtype=torch.float64),
        dt=DT,
        gravity=(0.0, 0.0, -gravity),
    )


@pytest.mark.parametrize("warp", [True, False])
def test_free_flight_has_no_residuals(warp: bool) -> None:
    residuals = physics_residuals(flown(), warp=warp).named()
    for name in TERMS:
        # The turn is second order in dt: its length is the mean rate's, not exactly that of the velocities' segment.
        assert float(residuals[name].max()) < (1e-4 if name == "kinematics" else 1e-9), name
    wrong = replace(flown(), gravity=(0.0, 0.0, 0.0))
    assert float(physics_residuals(wrong, warp=warp).newton_euler.min()) > 1e-3


def test_each_fault_is_seen_by_its_term() -> None:
    clean = flown()
    push = torch.zeros_like(clean.twist_after)
    push[..., 0] = 1.0
    faster = replace(clean, twist_after=clean.twist_after + push * clean.twist_after[..., :1].sign())
    assert float(physics_residuals(faster).newton_euler.min()) > 0.1
    assert float(physics_residuals(faster).energy.min()) > 1e-3
    away = torch.zeros_like(clean.T_world_body_after)
    away[..., 1] = 0.01
    jumped = replace(clean, T_world_body_after=clean.T_world_body_after + away)
    assert float(physics_residuals(jumped).kinematics.min()) > 0.01
    helped = physics_residuals(replace(faster, work=torch.full((WORLDS,), 50.0, dtype=torch.float64)))
    assert float(helped.energy.max()) == 0.0


def sliding(impulse: list[float], velocity: list[float], gap: float = 0.0) -> PhysicsResiduals:
    """One body of 1 kg on a fixed plane, one contact below its centre."""
    wide: Any = {"dtype": torch.float64}
    pose = torch.tensor([[[0, 0, 0.1, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0]]], **wide)
    twist = torch.zeros(1, 2, 6, **wide)
    twist[0, 0, :3] = torch.tensor(velocity, **wide)
    eye = torch.eye(3, **wide)[None, None] * torch.tensor([1.0, 0.0], **wide)[None, :, None, None]
    contacts = Contacts(
        torch.ones(1, dtype=torch.int32),
        torch.zeros(1, 1, dtype=torch.int32),
        torch.ones(1, 1, dtype=torch.int32),
        torch.zeros(1, 1, 3, **wide),
        torch.tensor([[[0.0, 0.0, 1.0]]], **wide),
        torch.full((1, 1), gap, **wide),
    )
    inertia = Inertia(pose[..., :3], torch.tensor([[1.0, 0.0]], **wide), eye / 0.01, eye * 0.01)
    push = torch.tensor([[impulse]], **wide)
    return physics_residuals(
        Transition(pose, twist, pose, twist, inertia, contacts, push, torch.full((1, 1), 0.5, **wide), DT)
    )


def test_friction_opposes_slip_within_the_cone() -> None:
    slipping = [0.3, 0.0, 0.0]
    right = sliding([-0.05, 0.0, 0.1], slipping)
    assert float(right.cone) < 1e-20 and float(right.dissipation) < 1e-12
    assert float(sliding([-0.02, 0.0, 0.1], slipping).dissipation) > 1e-3, "too little friction for a slip"
    assert float(sliding([0.05, 0.0, 0.1], slipping).dissipation) > float(right.dissipation) + 1e-2, "it pushes on"
    assert float(sliding([0.02, 0.01, 0.1], [0.0, 0.0, 0.0]).dissipation) < 1e-12, "nothing slips"
    assert float(sliding([-0.09, 0.0, 0.1], slipping).cone) > 1e-3
    assert float(sliding([0.0, 0.0, -0.1], slipping).cone) > 1e-3, "surfaces do not pull"


def test_surfaces_press_or_part() -> None:
    still = [0.0, 0.0, 0.0]
    assert float(sliding([0.0, 0.0, 0.1], still).complementarity) < 1e-20
    assert float(sliding([0.0, 0.0, 0.0], still, gap=0.01).complementarity) < 1e-20
    assert float(sliding([0.0, 0.0, 0.1], still, gap=0.01).complementarity) > 1e-3, "pressed across a gap"
    assert float(sliding([0.0, 0.0, 0.1], still, gap=-0.0004).complementarity) < 1e-20, "an overlap within the slop"
    deep = sliding([0.0, 0.0, 0.1], still, gap=-0.02)
    assert float(deep.complementarity) > 1e-2
    assert float(deep.penetration) == pytest.approx((0.0195 / 0.1) ** 2)


def test_steps_from_real_tosses_obey_mechanics(needs: Callable[[str], Path], material, on_table) -> None:
    """Plain physics from recorded first frames, through flight, impacts and sliding."""
    tosses = load_tosses(needs("cube_toss/tosses.npz"))[::40]
    world = on_table(body_from_box("cube", (0.1048, 0.1048, 0.1048), material()), dt=tosses[0].dt, friction=0.18)
    poses, twist = torch.zeros(len(tosses), 2, 7), torch.zeros(len(tosses), 2, 6)
    poses[:, 0, 3] = 1.0
    poses[:, 1] = torch.tensor(np.stack([toss.T_world_body[0] for toss in tosses]))
    twist[:, 1] = torch.tensor(np.stack([first_twist(toss, 9.81) for toss in tosses]))
    state = replace(State.at_rest(world, poses), twist=twist)
    settings = StepSettings(sweeps=40)
    rows: dict[str, list[torch.Tensor]] = {name: [] for name in TERMS}
    for _ in range(40):
        after = step(world, state, settings=settings)
        given = transition_between(world, state, after, settings=settings)
        for name, value in physics_residuals(given).named().items():
            rows[name].append(value)
        state = after
    worst = {name: float(torch.stack(values).max()) for name, values in rows.items()}
    bounds = {"newton_euler": 1e-10, "cone": 1e-12, "dissipation": 1e-5, "penetration": 1e-6, "energy": 1e-5}
    # A cube that falls onto its edge lifts a corner that pressed, and not all that it moves is in its velocities.
    for name, bound in (bounds | {"complementarity": 0.05, "kinematics": 0.01}).items():
        assert worst[name] < bound, name
    spoiled = replace(given, impulse=0.5 * given.impulse)
    assert float(physics_residuals(spoiled).newton_euler.max()) > 1e-6, "half of what carries the cubes"
    with pytest.raises(UsageError, match="does not remember"):
        transition_between(world, state, replace(state, contact_impulse=None))
