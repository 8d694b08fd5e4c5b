"""Joints against mechanics: pendulums, momentum, anchors, limits, friction, drives, a gripper; and the torch twin."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from dynamics import Action, Joint, Latents, State, TriangleMesh, World, body_from_mesh, find_material
from dynamics._inertia import inertia_at
from dynamics._joint_geometry import joint_frames, joint_gaps, joint_positions
from dynamics._joint_rows import joint_rows
from dynamics._primitive import body_from_box
from dynamics._rollout import rollout
from dynamics._solve import solve_rows
from dynamics._state import Rollout
from dynamics._step import StepSettings, step_torch

G, LENGTH = 9.81, 0.5
WOOD = find_material("wood")
AWAKE = StepSettings(sleep_after=1 << 30)


def chain(links: int, dt: float, **changes: float) -> World:
    """Rods that hang on each other from a point 1 m up, on hinges along y."""
    rods = tuple(body_from_box(f"rod{i}", (0.04, 0.03, LENGTH), WOOD, mass=0.4) for i in range(links))
    top, end = (0.0, 0.0, LENGTH / 2, 1.0, 0, 0, 0), (0.0, 0.0, -LENGTH / 2, 1.0, 0, 0, 0)
    joints = [Joint("top", "hinge", -1, 0, (0, 0, 1.0, 1, 0, 0, 0), top, (0, 1.0, 0), **changes)]
    joints += [Joint(f"j{i}", "hinge", i - 1, i, end, top, (0, 1.0, 0), **changes) for i in range(1, links)]
    return World(rods, tuple(joints), dt=dt)


def raised(world: World, angle: float, dtype: torch.dtype = torch.float32) -> State:
    """All rods in a line, at that angle from the vertical."""
    poses = torch.zeros(1, len(world.bodies), 7, dtype=dtype)
    along = torch.arange(len(world.bodies), dtype=dtype) * LENGTH + LENGTH / 2
    poses[0, :, 0], poses[0, :, 2] = -math.sin(angle) * along, 1 - math.cos(angle) * along
    poses[0, :, 3], poses[0, :, 5] = math.cos(angle / 2), math.sin(angle / 2)
    return State.at_rest(world, poses)


def energies(world: World, path: Rollout) -> np.ndarray:
    poses, twist = path.T_world_body[0].double(), path.twist[0].double()
    inertia = inertia_at(world, Latents.median(world, len(poses)), poses)
    mass = torch.tensor([body.mass for body in world.bodies], dtype=torch.float64)
    spin = (twist[..., 3:] * (inertia.inertia @ twist[..., 3:, None])[..., 0]).sum(-1)
    kinetic = 0.5 * (mass * (twist[..., :3] ** 2).sum(-1) + spin)
    return (kinetic + G * mass * inertia.com[..., 2]).sum(-1).numpy()


def gaps(world: World, path: Rollout) -> float:
    return joint_gaps(world, joint_frames(world, path.T_world_body)).abs().max().item()


def momentum(world: World, state: State) -> torch.Tensor:
    """Linear momentum of each body and angular about the common centre of mass, shape (nb, 6).

    About the origin a float32 position alone, rounded by 1e-8 m at half a metre per second, would show.
    """
    poses, twist = state.T_world_body.double(), state.twist.double()
    inertia = inertia_at(world, Latents.median(world, 1), poses)
    mass = torch.tensor([body.mass for body in world.bodies], dtype=torch.float64)[:, None]
    linear = mass * twist[..., :3]
    arm = inertia.com - (mass * inertia.com).sum(1, keepdim=True) / mass.sum()
    spin = (inertia.inertia @ twist[..., 3:, None])[..., 0] + torch.linalg.cross(arm, linear)
    return torch.cat([linear, spin], dim=-1)[0]


def test_a_pendulum_has_its_period() -> None:
    world, angle = chain(1, 1 / 240), 0.1
    q = rollout(world, raised(world, angle), 720).joint_q[0, :, 0].numpy()
    down = np.flatnonzero(np.diff(np.sign(q)) != 0)
    times = (down + q[down] / (q[down] - q[down + 1])) / 240
    rod = world.bodies[0]
    about_hinge = rod.inertia[1, 1] + rod.mass * (LENGTH / 2) ** 2
    exact = 2 * math.pi * math.sqrt(about_hinge / (rod.mass * G * LENGTH / 2)) * (1 + angle**2 / 16)
    assert len(times) >= 4
    assert 2 * np.diff(times).mean() == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize(("links", "angle", "rate"), [(1, 2.0, 240), (2, 2.0, 480), (3, 1.0, 480)])
def test_chains_keep_energy_and_hold_together(links: int, angle: float, rate: int) -> None:
    """Two rods let go from above the horizontal are chaotic; energy is told from their lowest."""
    world = chain(links, 1 / rate)
    path = rollout(world, raised(world, angle), 2 * rate)
    energy = energies(world, path)
    heights = (np.arange(links) + 0.5) * LENGTH
    lowest = G * (world.bodies[0].mass * (1 - heights)).sum()
    assert np.abs(energy - energy[0]).max() < 1e-3 * (energy[0] - lowest)
    assert gaps(world, path) < 1e-6
    assert path.twist[0, :, :, [1, 3, 5]].abs().max() < 1e-3, "it left its plane"


def elbow(**changes: float) -> World:
    """Two blocks on a hinge, without gravity."""
    blocks = tuple(body_from_box(name, (0.05, 0.1, 0.1), WOOD, mass=0.4) for name in ("one", "two"))
    left, right = (0.025, 0.0, -0.05, 1.0, 0, 0, 0), (-0.025, 0.0, -0.05, 1.0, 0, 0, 0)
    hinge = Joint("elbow", "hinge", 0, 1, left, right, (0, 1.0, 0), **changes)
    return World(blocks, (hinge,), gravity=(0, 0, 0), dt=1 / 240)


def spinning(world: World, dtype: torch.dtype = torch.float32) -> State:
    poses = torch.zeros(1, 2, 7, dtype=dtype)
    poses[..., 3], poses[0, 1, 0] = 1, 0.05
    turn = torch.tensor([3.0, -2.0, 5.0], dtype=dtype)
    twist = torch.zeros(1, 2, 6, dtype=dtype)
    twist[0, :, 3:] = turn
    twist[0, :, :3] = torch.tensor([0.4, -0.2, 0.3]) + torch.linalg.cross(turn.expand(2, 3), poses[0, :, :3])
    # The hinge turns too: about its own axis, through the origin of its frame.
    twist[0, 1, 4] += 6.0
    twist[0, 1, :3] += torch.linalg.cross(torch.tensor([0, 6.0, 0], dtype=dtype), poses.new_tensor([0.025, 0, 0.05]))
    return replace(State.at_rest(world, poses), twist=twist)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("changes", [{}, {"friction": 0.02, "damping": 0.001, "high": 1.5, "low": -1.5}])
def test_a_free_body_of_two_keeps_momentum(dtype: torch.dtype, changes: dict[str, float]) -> None:
    world = elbow(**changes)
    state = spinning(world, dtype)
    linear, spin = momentum(world, state)[:, :3].norm(dim=-1).sum(), momentum(world, state)[:, 3:].norm(dim=-1).sum()
    for _ in range(60 if dtype == torch.float32 else 12):
        after = rollout(world, state, 1).final if dtype == torch.float32 else step_torch(world, state)
        change = (momentum(world, after) - momentum(world, state)).sum(0).abs()
        assert change[:3].max() < 1e-6 * linear
        assert change[3:].max() < 1e-6 * spin
        state = after
    assert abs(state.joint_q.item()) > 0.2


def test_positions_follow_from_poses_and_may_turn_more_than_once() -> None:
    world = elbow()
    path = rollout(world, spinning(world), 480)
    places, speeds = joint_positions(world, path.T_world_body, path.twist)
    turns = (path.joint_q - places) / (2 * math.pi)
    assert (turns - turns.round()).abs().max() < 1e-5 and turns.max() >= 0.9
    assert (path.joint_qd - speeds).abs().max() < 1e-4
    slope = path.joint_q.diff(dim=1)[0, :, 0] * 240
    assert (slope - path.joint_qd[0, 1:, 0]).abs().max() < 0.2


def test_limits_hold_and_friction_stops() -> None:
    world = elbow(low=-0.5, high=0.7)
    path = rollout(world, spinning(world), 480)
    assert path.joint_q.max() < 0.7 + 1e-4 and path.joint_q.min() > -0.5 - 1e-4
    assert path.joint_q.max() > 0.69
    world = elbow(friction=0.02)
    path = rollout(world, spinning(world), 240)
    assert path.joint_qd[0, -1].abs().item() < 1e-4


def test_viscous_damping_slows_as_it_should() -> None:
    block = body_from_box("block", (0.1, 0.1, 0.1), WOOD, mass=0.5)
    world = World((block,), (Joint("rail", "slide", -1, 0, axis=(1.0, 0, 0), damping=1.0),), dt=1 / 240)
    state = State.at_rest(world, torch.tensor([[[0.0, 0, 0, 1, 0, 0, 0]]]))
    state = replace(state, twist=state.twist + torch.tensor([1.0, 0, 0, 0, 0, 0]))
    path = rollout(world, state, 120)
    assert path.joint_qd[0, -1].item() == pytest.approx(math.exp(-1.0), rel=0.01)
    assert path.joint_q[0, -1].item() == pytest.approx(0.5 * (1 - math.exp(-1.0)), rel=0.01)


def lifter(force: float) -> tuple[World, State]:
    block = body_from_box("block", (0.1, 0.1, 0.1), WOOD, mass=1.0)
    drive = Joint("lift", "slide", -1, 0, stiffness=2000.0, drive_damping=60.0, force_limit=force)
    world = World((block,), (drive,), dt=1 / 240)
    return world, State.at_rest(world, torch.tensor([[[0.0, 0, 0, 1, 0, 0, 0]]]))


def test_a_drive_gets_there_with_force_and_stalls_without() -> None:
    world, state = lifter(20.0)
    path = rollout(world, state, 480, Action(joint_target=torch.full((1, 480, 1), 0.2)))
    assert path.joint_q[0, -1].item() == pytest.approx(0.2 - G / 2000, abs=1e-4)
    assert path.joint_impulse is not None
    assert path.joint_impulse.item() * 240 == pytest.approx(G, rel=1e-3)
    world, state = lifter(5.0)
    path = rollout(world, state, 48, Action(joint_target=torch.full((1, 48, 1), 0.2)))
    assert path.joint_q[0, -1].item() == pytest.approx(-0.5 * (G - 5) * 0.2**2, rel=1e-3)
    stronger = Action(joint_target=torch.full((1, 48, 1), 0.2), force_limit=torch.full((1, 48, 1), 12.0))
    assert rollout(world, state, 48, stronger).joint_qd[0, -1].item() > 0.3
    assert rollout(world, state, 48).joint_qd[0, -1].item() == pytest.approx(-G * 0.2, rel=1e-4), "no target, no drive"


def test_a_drive_keeps_a_velocity() -> None:
    world, state = lifter(100.0)
    world = replace(world, gravity=(0.0, 0.0, 0.0))
    path = rollout(world, state, 240, Action(joint_velocity_target=torch.full((1, 240, 1), 0.1)))
    assert path.joint_qd[0, -1].item() == pytest.approx(0.1, rel=1e-3)


def gripper(on_table) -> tuple[World, State]:
    grip = replace(WOOD, friction=0.6, restitution=0.0)
    base = body_from_box("base", (0.16, 0.04, 0.02), grip, motion="kinematic")
    jaws = [body_from_box(name, (0.01, 0.03, 0.06), grip, mass=0.1) for name in ("left", "right")]
    round_can = trimesh.creation.cylinder(0.033, 0.1, sections=32)
    can = body_from_mesh("can", TriangleMesh(round_can.vertices, round_can.faces), grip, mass=0.35)
    world = on_table(base, *jaws, can, friction=0.6)
    gains: dict[str, Any] = {
        "low": -0.01,
        "high": 0.06,
        "stiffness": 5000.0,
        "drive_damping": 50.0,
        "force_limit": 20.0,
    }
    joints = tuple(
        Joint(name, "slide", 1, child, (-0.06 * way, 0, -0.08, 1, 0, 0, 0), axis=(way, 0, 0), **gains)
        for name, child, way in (("left", 2, 1.0), ("right", 3, -1.0))
    )
    poses = torch.zeros(1, 5, 7)
    poses[..., 3] = 1
    poses[0, 1:, :3] = torch.tensor([[0, 0, 0.13], [-0.06, 0, 0.05], [0.06, 0, 0.05], [0, 0, 0.05]])
    world = replace(world, joints=joints)
    return world, State.at_rest(world, poses)


@pytest.mark.parametrize("lift", [0.0, 0.3])
def test_a_gripper_holds_a_can(on_table, lift: float) -> None:
    """Jaws close for a second, are lifted for two (or the table is taken away), and hold for five."""
    world, state = gripper(on_table)
    steps = 8 * 240 if lift else 6 * 240
    targets = state.T_world_body[:, None].repeat(1, steps, 1, 1)
    time = torch.arange(1, steps + 1) / 240
    share = ((time - 1) / 2).clamp(0, 1)
    targets[0, :, 1, 2] += lift * (3 * share**2 - 2 * share**3)
    action = Action(kinematic_target=targets, joint_target=torch.full((1, steps, 2), 0.05))
    if not lift:
        # The table goes down after a second.
        world = replace(world, bodies=(replace(world.bodies[0], motion="kinematic"), *world.bodies[1:]))
        targets[0, :, 0, 2] -= 0.2 * share.clamp_max(0.5)
    path = rollout(world, state, steps, action, settings=AWAKE)
    poses = path.T_world_body[0, 240:]
    slip = poses[:, 4, :3] - 0.5 * (poses[:, 2, :3] + poses[:, 3, :3])
    assert (slip - slip[0])[:, 1:].norm(dim=-1).max() < 0.001
    assert (slip - slip[0])[:, 0].abs().max() < 0.001
    assert poses[-1, 4, 2].item() == pytest.approx(0.05 + lift, abs=0.002)
    assert path.overlap[0, -1] < 0.001
    assert path.joint_impulse is not None
    assert path.joint_impulse[0].tolist() == pytest.approx([20 / 240] * 2, rel=1e-4)


def test_a_joint_that_starts_apart_closes_gently() -> None:
    world = elbow()
    state = spinning(world)
    poses = state.T_world_body.clone()
    poses[0, 1, 0] += 0.01
    path = rollout(world, replace(state, T_world_body=poses, twist=torch.zeros_like(state.twist)), 60)
    assert gaps(world, path) == pytest.approx(0.01, rel=1e-3)
    assert joint_gaps(world, joint_frames(world, path.T_world_body[:, -1])).abs().max() < 1e-5
    assert path.twist.abs().max() < 1e-4


def test_joined_bodies_sleep_and_wake_together(on_table, state_of) -> None:
    world = on_table(*elbow().bodies)
    hinge = replace(elbow().joints[0], parent=1, child=2)
    world = replace(world, joints=(hinge,))
    state = state_of(world, [(0, 0, 0.05), (0.05, 0, 0.05)])
    asleep = rollout(world, state, 120).final
    assert (asleep.still[0, 1:] >= StepSettings().sleep_after).all()
    wrench = torch.zeros(1, 60, 3, 6)
    wrench[:, :, 1, 1] = 8.0
    moved = rollout(world, asleep, 60, Action(wrench=wrench)).final
    assert (moved.T_world_body[0, 1:, 1] > 0.05).all()


def agree(world: World, state: State, steps: int, action: Action | None = None) -> Rollout:
    settings = StepSettings(sweeps=5)
    path = rollout(world, state, steps, action, settings=settings)
    for k in range(steps):
        state = step_torch(world, state, action, settings=settings, index=k)
        assert (state.T_world_body - path.T_world_body[:, k + 1]).abs().max() < 1e-5
        assert (state.twist - path.twist[:, k + 1]).abs().max() < 5e-3
        assert (state.joint_q - path.joint_q[:, k + 1]).abs().max() < 1e-4
        assert (state.joint_qd - path.joint_qd[:, k + 1]).abs().max() < 5e-3
    return path


def test_the_twin_agrees_on_chains_with_friction_limits_and_drives() -> None:
    world = chain(2, 1 / 240, friction=0.05, damping=0.01, low=-0.6, high=2.5, stiffness=30.0, drive_damping=1.0)
    target = torch.full((1, 25, 2), 1.0)
    agree(world, raised(world, 1.5), 16, Action(joint_target=target, force_limit=torch.full((1, 25, 2), 2.0)))
    agree(elbow(), spinning(elbow()).repeated(2), 12)


def test_the_twin_agrees_with_contacts(on_table, state_of) -> None:
    world = replace(on_table(*elbow().bodies, friction=0.4), joints=(replace(elbow().joints[0], parent=1, child=2),))
    state = state_of(world, [(0, 0, 0.06), (0.05, 0, 0.06)], [[0.3, 0.1, -1.5, 0, 2.0, 0]] * 2)
    path = agree(world, state, 12)
    assert path.twist[0, :, 1:, 2].diff(dim=0).max() > 0.3, "nothing was hit"
    fixed = replace(world, joints=(replace(world.joints[0], kind="fixed"),))
    agree(fixed, state, 6)


def test_rows_for_a_single_solve_hold_a_pendulum() -> None:
    """Eight rows a joint, by the plain solver: the hinge stays closed, its friction holds it up."""
    world = chain(1, 1 / 240, friction=10.0)
    state = raised(world, 1.0, torch.float64)
    inertia = inertia_at(world, Latents.median(world, 1), state.T_world_body)
    free = state.twist + torch.tensor([0, 0, -G / 240, 0, 0, 0], dtype=torch.float64)
    rows = joint_rows(world, state.T_world_body, inertia, free)
    assert rows.J.shape == (1, 8, 12)
    after, _ = solve_rows(rows, free, 2)
    assert after.abs().max() < 1e-9
    loose = chain(1, 1 / 240)
    after, _ = solve_rows(joint_rows(loose, state.T_world_body, inertia, free), free, 2)
    rod = world.bodies[0]
    expected = rod.mass * G * LENGTH / 2 * math.sin(1.0) / (rod.inertia[1, 1] + rod.mass * (LENGTH / 2) ** 2)
    assert after[0, 0, 4].item() == pytest.approx(-expected / 240, rel=1e-3)


def test_gradients_go_through_joints() -> None:
    world = chain(2, 1 / 240, friction=0.01)
    state = raised(world, 1.0, torch.float64)

    def end(turn: torch.Tensor) -> torch.Tensor:
        after = replace(
            state,
            twist=torch.zeros_like(state.twist).index_put((torch.tensor(0), torch.tensor(1), torch.tensor(4)), turn),
        )
        for _ in range(3):
            after = step_torch(world, after, settings=StepSettings(sweeps=3))
        return after.joint_q[0, 1] + after.T_world_body[0, 1, 0]

    start = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    (exact,) = torch.autograd.grad(end(start), start)
    sides = [end(torch.tensor(2.0 + sign * 1e-6, dtype=torch.float64)).item() for sign in (1, -1)]
    assert (sides[0] - sides[1]) / 2e-6 == pytest.approx(exact.item(), rel=1e-4)


def test_a_state_restored_goes_on_as_if_never_stopped(tmp_path) -> None:
    world = chain(2, 1 / 240, friction=0.05)
    whole = rollout(world, raised(world, 1.5), 40)
    rollout(world, raised(world, 1.5), 15).final.save(tmp_path / "state.npz")
    rest = rollout(world, State.load(tmp_path / "state.npz"), 25)
    assert torch.equal(rest.T_world_body[:, -1], whole.T_world_body[:, -1])
    assert torch.equal(rest.joint_q[:, -1], whole.joint_q[:, -1])
