"""Rollouts of any world with the contact network inside: what stays, however loud the network is."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from dynamics import Action, Joint, Latents, State, World, find_material
from dynamics._contact_network import ContactNetwork, make_network, stacked
from dynamics._contact_support import ContactSupport
from dynamics._errors import UsageError
from dynamics._inertia import inertia_at
from dynamics._integrate import quaternion_of_turn
from dynamics._joint_geometry import joint_frames, joint_gaps
from dynamics._learned_rollout import ContactModel, rollout_learned
from dynamics._learned_rollout_step import learned_step_torch
from dynamics._primitive import body_from_box, body_from_plane, body_from_sphere
from dynamics._rollout import rollout
from dynamics._step import step_torch
from dynamics.poses import multiply, rotation_from_wxyz

SILENT = ContactModel(make_network(0))


def loud(seed: int, size: float = 1.0, support: ContactSupport | None = None) -> ContactModel:
    g = torch.Generator().manual_seed(seed)
    weights = make_network(seed).weights
    return ContactModel(
        ContactNetwork(
            {name: w + size * torch.randn(w.shape, generator=g) * (".decode2." in name) for name, w in weights.items()}
        ),
        support,
    )


def double(model: ContactModel) -> ContactModel:
    assert model.network is not None
    return ContactModel(ContactNetwork({name: w.double() for name, w in model.network.weights.items()}))


def as_double(state: State) -> State:
    floats = {name: getattr(state, name) for name in state.__dataclass_fields__}
    return replace(
        state,
        **{name: x.double() for name, x in floats.items() if torch.is_tensor(x) and x.is_floating_point()},
    )


def support(radius: float) -> ContactSupport:
    """Around contacts that have no features at all."""
    zeros = torch.zeros(32)
    return ContactSupport(zeros[None], zeros, zeros + 1, torch.tensor(radius), torch.tensor(0.0))


@cache
def heap(dt: float = 1 / 148) -> World:
    """A cube, a brick and a ball over a table."""
    wood = replace(find_material("wood"), friction=0.3, restitution=0.2)
    bodies = [
        body_from_plane("table", wood),
        body_from_box("cube", (0.1, 0.1, 0.1), wood),
        body_from_box("brick", (0.12, 0.08, 0.05), wood),
        body_from_sphere("ball", 0.04, wood),
    ]
    return World(tuple(bodies), dt=dt, gravity=(0.0, 0.0, -9.81))


def thrown(batch: int, seed: int = 0) -> State:
    g = torch.Generator().manual_seed(seed)
    poses = torch.zeros(batch, 4, 7)
    poses[..., 3] = 1
    poses[:, 1:, 2] = torch.tensor([0.1, 0.25, 0.36])
    poses[:, 1:, :2] = 0.02 * torch.randn(batch, 3, 2, generator=g)
    poses[:, 1:, 3:] = torch.nn.functional.normalize(torch.randn(batch, 3, 4, generator=g), dim=-1)
    twist = torch.randn(batch, 4, 6, generator=g) * torch.tensor([1.0, 1, 1, 4, 4, 4])
    twist[:, 0] = 0
    return replace(State.at_rest(heap(), poses), twist=twist)


@cache
def table() -> World:
    """The cube alone over the table."""
    return replace(heap(), bodies=heap().bodies[:2])


def landing(batch: int, seed: int = 0) -> State:
    """Cubes that are about to strike the table with a corner, in double precision."""
    g = torch.Generator().manual_seed(seed)
    poses = torch.zeros(batch, 2, 7, dtype=torch.float64)
    poses[..., 3] = 1
    poses[:, 1, 3:] = torch.nn.functional.normalize(torch.randn(batch, 4, generator=g, dtype=torch.float64), dim=-1)
    poses[:, 1, 2] = 0.05 * rotation_from_wxyz(poses[:, 1, 3:])[:, 2].abs().sum(-1) + 0.002
    twist = torch.randn(batch, 2, 6, generator=g, dtype=torch.float64) * torch.tensor([0.6, 0.6, 0.1, 3, 3, 3])
    twist[:, 1, 2] -= 1.0
    twist[:, 0] = 0
    return replace(State.at_rest(table(), poses), twist=twist)


def energies(world: World, poses: torch.Tensor, twist: torch.Tensor) -> torch.Tensor:
    """Mechanical energy of B worlds at T times (B, T) [J]."""
    shape = poses.shape[:2]
    poses, twist = poses.double().flatten(0, 1), twist.double().flatten(0, 1)
    inertia = inertia_at(world, Latents.median(world, len(poses)), poses)
    mass = torch.tensor([body.mass * (body.motion == "dynamic") for body in world.bodies], dtype=torch.float64)
    spin = (twist[..., 3:] * (inertia.inertia @ twist[..., 3:, None])[..., 0]).sum(-1)
    height = -(inertia.com @ torch.tensor(world.gravity, dtype=torch.float64))
    return (0.5 * (mass * (twist[..., :3] ** 2).sum(-1) + spin) + mass * height).sum(-1).reshape(shape)


def momenta(world: World, state: State) -> tuple[torch.Tensor, torch.Tensor]:
    poses, twist = state.T_world_body.double(), state.twist.double()
    inertia = inertia_at(world, Latents.median(world, len(poses)), poses)
    mass = torch.tensor([body.mass for body in world.bodies], dtype=torch.float64)
    linear = mass[:, None] * twist[..., :3]
    spin = (inertia.inertia @ twist[..., 3:, None])[..., 0]
    return linear.sum(1), (spin + torch.linalg.cross(inertia.com, linear)).sum(1)


def test_zero_weights_have_the_bits_of_physics() -> None:
    plain = rollout(heap(), thrown(20), 100)
    silent = rollout_learned(heap(), thrown(20), 100, model=SILENT)
    for name in ("T_world_body", "twist", "still", "overlap", "contact_point", "contact_impulse"):
        assert torch.equal(getattr(silent, name), getattr(plain, name)), name
    assert rollout_learned(heap(), thrown(2), 5, model=ContactModel(None)).in_support is None


def test_a_closed_gate_leaves_physics_alone() -> None:
    plain = rollout(heap(), thrown(6), 50)
    closed = rollout_learned(heap(), thrown(6), 50, model=loud(1, support=support(1e-6)))
    assert torch.equal(closed.T_world_body, plain.T_world_body)
    assert closed.in_support is not None and (closed.in_support == 0).all()
    opened = rollout_learned(heap(), thrown(6), 50, model=loud(1, support=support(1e6)))
    assert opened.in_support is not None and (opened.in_support > 0.999).all()
    assert (opened.T_world_body - plain.T_world_body).abs().max() > 0.01


def test_the_bits_do_not_depend_on_threads_or_batch_or_stops() -> None:
    state, model = thrown(33), loud(2, 0.5)
    one = rollout_learned(heap(), state, 40, model=model, threads=1)
    three = rollout_learned(heap(), state, 40, model=model, threads=3)
    assert torch.equal(one.T_world_body, three.T_world_body)
    assert torch.equal(rollout_learned(heap(), state[11], 40, model=model).T_world_body[0], one.T_world_body[11])
    half = rollout_learned(heap(), state, 21, model=model, every=21).final
    assert torch.equal(rollout_learned(heap(), half, 19, model=model).final.twist, one.final.twist)


def test_the_twin_does_the_same() -> None:
    model, state = loud(3, 0.3), thrown(12)
    network, spoken = double(model), 0
    for _ in range(3):
        state = rollout_learned(heap(), state, 9, model=model).final
        after = rollout_learned(heap(), state, 1, model=model).final
        exact = learned_step_torch(heap(), as_double(state), model=network).state
        apart = (exact.twist - after.twist.double()).abs().amax((1, 2))
        assert (apart < 1e-3).float().mean() > 0.8, "a contact may appear or not for a rounding error"
        assert apart.median() < 2e-5
        assert (exact.T_world_body - after.T_world_body).abs().max() < 2e-5
        plain = rollout(heap(), state, 1).final
        spoken += int(((after.twist - plain.twist).abs().amax((1, 2)) > 0.01).sum())
    assert spoken > 10, "the network has to have had something to do"


def test_the_twin_with_zero_weights_is_physics() -> None:
    state = rollout(heap(), thrown(8), 25).final
    plain = step_torch(heap(), as_double(state))
    silent = learned_step_torch(heap(), as_double(state), model=double(SILENT)).state
    assert torch.allclose(silent.twist, plain.twist, atol=1e-13)
    assert torch.allclose(silent.T_world_body, plain.T_world_body, atol=1e-13)


def test_momentum_is_kept_in_every_step() -> None:
    """Two bodies meet where nothing pulls: equal and opposite impulses, whatever the network says."""
    world = replace(heap(), gravity=(0.0, 0.0, 0.0))
    state = thrown(12)
    poses, twist = state.T_world_body.clone(), state.twist.clone()
    poses[:, 1:, 2] += torch.tensor([2.0, 1.97, 5.0])
    twist[:, 1, 2], twist[:, 2, 2] = -1.0, 1.0
    poses[:, 1, 2] += 0.05
    state = replace(state, T_world_body=poses, twist=twist)
    plain = rollout(world, state, 16).final
    for _ in range(16):
        after = rollout_learned(world, state, 1, model=loud(4)).final
        scale = [momenta(world, replace(state, twist=state.twist.abs()))[k].norm(dim=-1, keepdim=True) for k in (0, 1)]
        for before, kept, size in zip(momenta(world, state), momenta(world, after), scale, strict=True):
            assert ((kept - before).abs() / size).max() < 1e-6
        state = after
    changed = (state.twist - plain.twist).abs().amax((1, 2))
    assert (changed > 0.1).float().mean() > 0.5


@pytest.mark.parametrize("size", [0.3, 3.0])
def test_energy_never_grows(size: float) -> None:
    path = rollout_learned(heap(), thrown(12, 5), 100, model=loud(5, size))
    energy = energies(heap(), path.T_world_body, path.twist)
    assert ((energy[:, 1:] - energy[:, :-1]) / energy[:, :1]).max() < 1e-3
    assert (energy / energy[:, :1]).max() < 1 + 1e-3


def test_a_turned_world_turns_the_answer() -> None:
    model, state = double(loud(6)), as_double(rollout(heap(), thrown(3), 20).final)
    q = quaternion_of_turn(torch.tensor([0.0, 0.0, 1.1], dtype=torch.float64))
    R = rotation_from_wxyz(q)
    pose = state.T_world_body
    turned = torch.cat([pose[..., :3] @ R.T, multiply(q.expand_as(pose[..., 3:]), pose[..., 3:])], dim=-1)
    twist = torch.cat([state.twist[..., :3] @ R.T, state.twist[..., 3:] @ R.T], dim=-1)
    forgetful: dict[str, Any] = {"contact_point": None, "contact_impulse": None}
    here = learned_step_torch(heap(), replace(state, **forgetful), model=model).state
    there = learned_step_torch(heap(), replace(state, T_world_body=turned, twist=twist, **forgetful), model=model).state
    assert torch.allclose(there.twist[..., :3], here.twist[..., :3] @ R.T, atol=1e-7)
    assert torch.allclose(there.twist[..., 3:], here.twist[..., 3:] @ R.T, atol=1e-6)


def test_a_mirrored_world_mirrors_the_answer() -> None:
    """Everything in it is its own mirror image. Where there is one contact, sweeps have no order that could matter."""
    model, state = double(loud(7, 0.5)), landing(24)
    side = torch.tensor([1.0, -1, 1], dtype=torch.float64)
    wxyz = torch.tensor([1.0, -1, 1, -1], dtype=torch.float64)
    pose = state.T_world_body
    mirrored = replace(
        state,
        T_world_body=torch.cat([pose[..., :3] * side, pose[..., 3:] * wxyz], dim=-1),
        twist=torch.cat([state.twist[..., :3] * side, -state.twist[..., 3:] * side], dim=-1),
    )
    here, there = (learned_step_torch(table(), s, model=model) for s in (state, mirrored))
    single = (here.gate.sum(1) == 1) & (here.pressing.sum(1) == 1)
    assert single.sum() >= 8
    turned = torch.cat([here.state.twist[..., :3] * side, -here.state.twist[..., 3:] * side], dim=-1)
    assert torch.allclose(there.state.twist[single], turned[single], atol=1e-9)
    silent = step_torch(table(), state)
    assert ((here.state.twist - silent.twist)[single].abs().amax((1, 2)) > 1e-3).all()


def test_an_ensemble_is_its_mean_and_shuts_up_where_it_disagrees() -> None:
    members = [loud(seed, 0.5).network for seed in (1, 2, 3)]
    ensemble = stacked([member for member in members if member is not None])
    zeros = torch.zeros(32)
    calm = ContactSupport(zeros[None], zeros, zeros + 1, torch.tensor(1e6), torch.tensor(0.2))
    model, state = ContactModel(ensemble, calm), rollout(heap(), thrown(8), 25).final
    quick = rollout_learned(heap(), state, 1, model=model)
    wide = ContactNetwork({name: w.double() for name, w in ensemble.weights.items()})
    kept = ContactSupport(*(getattr(calm, name).double() for name in calm.__dataclass_fields__))
    exact = learned_step_torch(heap(), as_double(state), model=ContactModel(wide, kept))
    apart = (exact.state.twist - quick.final.twist.double()).abs().amax((1, 2))
    assert apart.median() < 2e-5
    pressing = exact.pressing.sum(1)
    share = torch.where(pressing > 0, (exact.gate * exact.pressing).sum(1) / pressing.clamp_min(1), 1.0)
    assert quick.in_support is not None
    assert (quick.in_support.double() - share).abs().median() < 1e-4
    assert 0.05 < exact.gate[exact.pressing].mean() < 0.95


def test_gradients_are_those_of_finite_differences() -> None:
    model, state = double(loud(8, 0.2)), landing(4)
    assert model.network is not None
    weights = {name: w.requires_grad_() for name, w in model.network.weights.items()}

    def value(w: dict[str, torch.Tensor]) -> torch.Tensor:
        return (learned_step_torch(table(), state, model=ContactModel(ContactNetwork(w))).state.twist ** 2).sum()

    names = ["before.decode1.weight", "after.encode1.weight"]
    gradients = torch.autograd.grad(value(weights), [weights[name] for name in names])
    for name, gradient in zip(names, gradients, strict=True):
        way = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
        ahead, behind = (value(weights | {name: weights[name] + s * 1e-6 * way}).detach() for s in (1, -1))
        assert float((gradient * way).sum()) == pytest.approx(float((ahead - behind) / 2e-6), rel=1e-4, abs=1e-7)


def test_a_world_is_refused_as_rollout_refuses_it() -> None:
    state = thrown(2)
    with pytest.raises(UsageError, match="wrench"):
        rollout_learned(heap(), state, 5, Action(wrench=torch.zeros(2, 5, 3, 6)), model=SILENT)
    with pytest.raises(UsageError, match="multiple"):
        rollout_learned(heap(), state, 5, model=SILENT, every=2)


@cache
def hinged() -> World:
    """Two blocks on a hinge over the table."""
    wood = heap().bodies[1].material
    blocks = [body_from_box(name, (0.1, 0.05, 0.05), wood) for name in ("left", "right")]
    hinge = Joint("elbow", "hinge", 1, 2, (0.05, 0, 0, 1, 0, 0, 0), (-0.05, 0, 0, 1, 0, 0, 0), (0, 1.0, 0))
    return World((heap().bodies[0], *blocks), (hinge,), gravity=(0.0, 0.0, -9.81), dt=1 / 148)


def test_joints_hold_when_the_network_speaks() -> None:
    poses = torch.zeros(4, 3, 7)
    poses[..., 3] = 1
    poses[:, 1:, 2] = 0.06
    poses[:, 2, 0] = 0.1
    twist = torch.zeros(4, 3, 6)
    twist[:, 1:, 0], twist[:, 1:, 2] = 0.7, -1.0
    twist[:, 1:, 1] = torch.linspace(-1, 1, 4)[:, None]
    state = replace(State.at_rest(hinged(), poses), twist=twist)
    plain, silent = rollout(hinged(), state, 40), rollout_learned(hinged(), state, 40, model=SILENT)
    for name in ("T_world_body", "twist", "joint_q", "joint_qd", "joint_impulse"):
        assert torch.equal(getattr(silent, name), getattr(plain, name)), name
    model = loud(9, 0.3)
    path = rollout_learned(hinged(), state, 40, model=model)
    gaps = joint_gaps(hinged(), joint_frames(hinged(), path.T_world_body.flatten(0, 1).double()))
    assert gaps.abs().max() < 1e-4
    assert (path.T_world_body - plain.T_world_body).abs().max() > 1e-3
    energy = energies(hinged(), path.T_world_body, path.twist)
    assert ((energy[:, 1:] - energy[:, :-1]) / energy[:, :1]).max() < 1e-3
    early = path.at(4)
    after = rollout_learned(hinged(), early, 1, model=model).final
    exact = learned_step_torch(hinged(), as_double(early), model=double(model)).state
    assert (exact.twist - after.twist.double()).abs().amax((1, 2)).median() < 1e-4


@pytest.mark.gpu
def test_a_gpu_agrees_with_the_cpu() -> None:
    model, state = loud(3, 0.3), rollout(heap(), thrown(64), 25).final
    there = replace(
        state, **{n: getattr(state, n).cuda() for n in state.__dataclass_fields__ if getattr(state, n) is not None}
    )
    here = rollout_learned(heap(), state, 1, model=model)
    found = rollout_learned(heap(), there, 1, model=model)
    apart = (found.twist.cpu() - here.twist).abs().amax((1, 2, 3))
    assert apart.median() < 1e-4
