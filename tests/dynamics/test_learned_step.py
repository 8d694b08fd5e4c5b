"""A step with the network inside: what it must keep, however loud the network is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamics._contact_network import ContactNetwork, make_network
from dynamics._contacts import Contacts
from dynamics._inertia import Inertia
from dynamics._integrate import quaternion_of_turn
from dynamics._learned_step import LearnedStep, Surface, learned_step, with_gravity
from dynamics.poses import multiply, rotation_from_wxyz

DT = 0.005


def loud(seed: int, size: float = 1.0) -> ContactNetwork:
    g = torch.Generator().manual_seed(seed)
    return ContactNetwork(
        {
            name: (w + size * torch.randn(w.shape, generator=g) * (".decode2." in name)).double()
            for name, w in make_network(seed).weights.items()
        }
    )


def pair(seed: int, fixed: bool = False, batch: int = 4):
    """Two bodies that press on one another in three contacts; the second may be fixed."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    up = torch.nn.functional.normalize(torch.tensor([0.0, 0, 1]) + 0.3 * normal(batch, 1, 3), dim=-1).expand(-1, 3, -1)
    poses = torch.zeros(batch, 2, 7, dtype=torch.float64)
    poses[:, :, 3:] = torch.nn.functional.normalize(normal(batch, 2, 4), dim=-1)
    poses[:, 0, 2] = 0.05
    poses[:, 1, 2] = -0.05
    mass = torch.tensor([0.4, 0.7], dtype=torch.float64)
    local = torch.diag_embed(torch.tensor([[8e-4, 7e-4, 6e-4], [2e-3, 1.5e-3, 1e-3]], dtype=torch.float64))
    R = rotation_from_wxyz(poses[..., 3:])
    tensor = R @ local @ R.transpose(-1, -2)
    inverse = torch.linalg.inv(tensor)
    moves = torch.tensor([1.0, 0.0 if fixed else 1.0], dtype=torch.float64)
    gate = moves[:, None, None]
    inertia = Inertia(poses[..., :3].clone(), (moves / mass).expand(batch, 2), inverse * gate, tensor * gate)
    count = torch.full((batch,), 3, dtype=torch.int32)
    zeros = torch.zeros(batch, 3, dtype=torch.int32)
    contacts = Contacts(count, zeros, zeros + 1, 0.04 * normal(batch, 3, 3), up, -1e-4 * normal(batch, 3).abs())
    twist = normal(batch, 2, 6) * moves[:, None]
    twist[:, 0, :3] -= 1.5 * up[:, 0]
    mu = torch.full((batch, 3), 0.3, dtype=torch.float64)
    return poses, twist, inertia, contacts, Surface(mu, mu, 0.01 * normal(batch, 3, 2, 3))


def step(network: ContactNetwork | None, **changes: object) -> LearnedStep:
    return replace(LearnedStep(DT, network=network, warp=False, sweeps=30), **changes)


def momentum(twist: torch.Tensor, inertia: Inertia) -> tuple[torch.Tensor, torch.Tensor]:
    linear = twist[..., :3] / inertia.inverse_mass[..., None]
    angular = (inertia.inertia @ twist[..., 3:, None])[..., 0] + torch.linalg.cross(inertia.com, linear)
    return linear.sum(1), angular.sum(1)


def energy(twist: torch.Tensor, inertia: Inertia) -> torch.Tensor:
    moves = inertia.inverse_mass > 0
    linear = torch.where(moves, (twist[..., :3] ** 2).sum(-1) / inertia.inverse_mass.clamp_min(1e-9), 0.0)
    return 0.5 * (linear + (twist[..., 3:, None] * (inertia.inertia @ twist[..., 3:, None])).sum((-1, -2))).sum(1)


@given(st.integers(0, 500))
@settings(max_examples=10)
def test_momentum_of_a_pair_is_kept(seed: int) -> None:
    poses, twist, inertia, contacts, surface = pair(seed)
    moved = learned_step(step(loud(seed)), poses, twist, inertia, contacts, surface)
    for before, after in zip(momentum(twist, inertia), momentum(moved.twist, inertia), strict=True):
        assert torch.allclose(before, after, rtol=0, atol=1e-12)


@given(st.integers(0, 500), st.booleans())
@settings(max_examples=15)
def test_the_network_never_adds_energy(seed: int, fixed: bool) -> None:
    poses, twist, inertia, contacts, surface = pair(seed, fixed)
    # Recovery of overlaps is the solver's; here nothing overlaps.
    contacts = replace(contacts, gap=contacts.gap.abs())
    plain = learned_step(step(None), poses, twist, inertia, contacts, surface)
    moved = learned_step(step(loud(seed, 3.0)), poses, twist, inertia, contacts, surface)
    before = energy(twist, inertia)
    assert (energy(moved.twist, inertia) <= before * (1 + 1e-9)).all()
    assert (moved.twist - plain.twist).abs().max() > 1e-3


def test_zero_weights_are_plain_physics() -> None:
    case = pair(0)
    silent = ContactNetwork({name: w.double() for name, w in make_network(0).weights.items()})
    plain, found = learned_step(step(None), *case), learned_step(step(silent), *case)
    assert torch.allclose(plain.twist, found.twist, atol=1e-12)
    assert torch.allclose(plain.T_world_body, found.T_world_body, atol=1e-12)


def test_free_flight_is_untouched_and_exact() -> None:
    poses, twist, inertia, contacts, surface = pair(1)
    none = replace(contacts, count=torch.zeros_like(contacts.count))
    network = step(loud(1))
    xyz, v = poses[..., :3].clone(), twist[..., :3].clone()
    pose, moving = poses, twist
    for _ in range(20):
        inertia = replace(inertia, com=pose[..., :3])
        moved = learned_step(network, pose, with_gravity(network, moving, inertia), inertia, none, surface)
        pose, moving = moved.T_world_body, moved.twist
    t = 20 * DT
    down = torch.tensor([0.0, 0.0, -9.81], dtype=torch.float64)
    assert torch.allclose(pose[..., :3], xyz + v * t + 0.5 * down * t * t, atol=1e-12)
    assert not moved.impulses.any()


@given(st.integers(0, 200), st.floats(-3.0, 3.0))
@settings(max_examples=10)
def test_a_turned_world_turns_the_answer(seed: int, yaw: float) -> None:
    poses, twist, inertia, contacts, surface = pair(seed)
    q = quaternion_of_turn(torch.tensor([0.0, 0.0, yaw], dtype=torch.float64))
    R = rotation_from_wxyz(q)
    pose = torch.cat([poses[..., :3] @ R.T, multiply(q.expand_as(poses[..., 3:]), poses[..., 3:])], dim=-1)
    turn = torch.cat([twist[..., :3] @ R.T, twist[..., 3:] @ R.T], dim=-1)
    there = Inertia(
        inertia.com @ R.T, inertia.inverse_mass, R @ inertia.inverse_inertia @ R.T, R @ inertia.inertia @ R.T
    )
    touching = replace(contacts, point=contacts.point @ R.T, normal=contacts.normal @ R.T)
    network = step(loud(seed))
    here = learned_step(network, poses, twist, inertia, contacts, surface)
    found = learned_step(network, pose, turn, there, touching, replace(surface, patch=surface.patch @ R.T))
    assert torch.allclose(found.twist[..., :3], here.twist[..., :3] @ R.T, atol=1e-8)
    assert torch.allclose(found.twist[..., 3:], here.twist[..., 3:] @ R.T, atol=1e-8)


def test_impacts_happen_where_surfaces_meet() -> None:
    """A body that is to fall through 1/4 of its way in the step falls so far before it stops."""
    poses, twist, inertia, contacts, surface = pair(3, fixed=True, batch=1)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    twist = torch.zeros_like(twist)
    twist[:, 0, 2] = -1.0
    one = replace(
        contacts,
        count=torch.ones(1, dtype=torch.int32),
        normal=up.expand(1, 3, 3),
        point=torch.zeros_like(contacts.point),
        gap=torch.full_like(contacts.gap, 0.25 * DT),
    )
    dull = replace(surface, restitution=torch.full_like(surface.restitution, 0.2))
    found = learned_step(step(None), poses, twist, inertia, one, dull)
    assert found.twist[0, 0, 2] == pytest.approx(0.2)
    assert found.T_world_body[0, 0, 2] - poses[0, 0, 2] == pytest.approx(-0.25 * DT + 0.2 * 0.75 * DT)


def test_gradients_are_those_of_finite_differences() -> None:
    poses, twist, inertia, contacts, surface = pair(4)
    weights = {name: w.requires_grad_() for name, w in loud(4, 0.2).weights.items()}

    def value(w: dict[str, torch.Tensor]) -> torch.Tensor:
        moved = learned_step(step(ContactNetwork(w), sweeps=8), poses, twist, inertia, contacts, surface)
        return (moved.twist**2).sum() + moved.T_world_body.sum()

    names = ["before.decode1.weight", "after.decode2.bias", "after.encode1.weight"]
    gradients = torch.autograd.grad(value(weights), [weights[name] for name in names])
    g = torch.Generator().manual_seed(9)
    for name, gradient in zip(names, gradients, strict=True):
        way = torch.randn(gradient.shape, generator=g, dtype=torch.float64)
        ahead, behind = (value(weights | {name: weights[name] + s * 1e-6 * way}).detach() for s in (1, -1))
        assert float((gradient * way).sum()) == pytest.approx(float((ahead - behind) / 2e-6), rel=1e-4, abs=1e-7)


def test_warp_and_torch_agree() -> None:
    poses, twist, inertia, contacts, surface = pair(5)
    network = loud(5)

    def cast(value: Any) -> Any:
        given = {name: getattr(value, name) for name in value.__dataclass_fields__}
        floats = {name: x.float() for name, x in given.items() if torch.is_tensor(x) and x.is_floating_point()}
        return replace(value, **floats)

    small = ContactNetwork({name: w.float() for name, w in network.weights.items()})
    exact = learned_step(step(network, sweeps=10), poses, twist, inertia, contacts, surface)
    quick = learned_step(
        step(small, warp=True, sweeps=10), poses.float(), twist.float(), cast(inertia), cast(contacts), cast(surface)
    )
    assert torch.allclose(quick.twist.double(), exact.twist, atol=2e-4)
