"""The fused rollout: batches, threads, actions, sleep, overlaps, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from dynamics import Action, Body, Latents, State, TriangleMesh, World, body_from_mesh
from dynamics._errors import UsageError
from dynamics._primitive import body_from_box, body_from_sphere
from dynamics._rollout import rollout, step
from dynamics._step import StepSettings


def batch_of(world: World, state: State, count: int) -> State:
    """Worlds with different spins."""
    state = state.repeated(count)
    twist = state.twist.clone()
    twist[:, 1:, 3:] += torch.linspace(-5, 5, count)[:, None, None]
    return replace(state, twist=twist)


@pytest.fixture(scope="module")
def tossed(material, on_table, state_of) -> tuple[World, State]:
    world = on_table(body_from_box("cube", (0.1, 0.1, 0.1), material(0.2, 0.1)), dt=1 / 148)
    state = state_of(world, [(0, 0, 0.2)], [[1.0, 0.3, 0, 3, 5, 2]], [[1.0, 0.4, 0.2, 0.1]])
    return world, batch_of(world, state, 37)


def test_the_bits_do_not_depend_on_threads_or_batch(tossed: tuple[World, State]) -> None:
    world, state = tossed
    one = rollout(world, state, 80, threads=1)
    three = rollout(world, state, 80, threads=3)
    assert torch.equal(one.T_world_body, three.T_world_body)
    assert torch.equal(one.twist, three.twist)
    assert torch.equal(rollout(world, state[11], 80).T_world_body[0], one.T_world_body[11])


def test_states_are_kept_every_so_often(tossed: tuple[World, State]) -> None:
    world, state = tossed
    every, each = rollout(world, state, 60, every=20), rollout(world, state, 60)
    assert torch.equal(every.T_world_body, each.T_world_body[:, ::20])
    assert (len(every), every.dt) == (4, world.dt * 20)
    assert every.overlap[:, 1:].max() == each.overlap.max()


def test_stopping_between_steps_changes_nothing(tossed: tuple[World, State]) -> None:
    world, state = tossed
    whole = rollout(world, state, 90)
    halves = rollout(world, rollout(world, state, 41).final, 49)
    assert torch.equal(whole.final.T_world_body, halves.final.T_world_body)
    stepped = state
    for _ in range(5):
        stepped = step(world, stepped)
    assert torch.equal(stepped.twist, whole.twist[:, 5])


def test_the_given_state_is_left_as_it_was(tossed: tuple[World, State]) -> None:
    world, state = tossed
    copy = state.T_world_body.clone()
    rollout(world, state, 10)
    assert torch.equal(state.T_world_body, copy)


def test_wrenches_push_and_turn(material, on_table, state_of) -> None:
    body = body_from_box("cube", (0.1, 0.1, 0.1), material(), mass=2.0)
    world = on_table(body, gravity=0.0)
    wrench = torch.zeros(1, 240, 2, 6)
    wrench[:, :, 1] = torch.tensor([4.0, 0, 0, 0, 0, 0.01])
    final = rollout(world, state_of(world, [(0, 0, 1)]), 240, Action(wrench=wrench)).final
    assert final.twist[0, 1, 0].item() == pytest.approx(2.0, rel=1e-4)
    assert final.T_world_body[0, 1, 0].item() == pytest.approx(1.0, rel=1e-4)
    assert final.twist[0, 1, 5].item() == pytest.approx(0.01 / body.inertia[2, 2], rel=1e-4)


def test_a_kinematic_tray_carries_a_box(material, on_table, state_of) -> None:
    tray = body_from_box("tray", (0.3, 0.3, 0.02), material(0.8), motion="kinematic")
    world = on_table(tray, body_from_box("box", (0.05, 0.05, 0.05), material(0.8)))
    state = state_of(world, [(0, 0, 0.5), (0, 0, 0.535)])
    steps = 240
    targets = state.T_world_body[:, None].repeat(1, steps, 1, 1)
    time = torch.arange(1, steps + 1) / steps
    targets[0, :, 1, 0] = 0.5 * time**2 * 0.6
    targets[0, :, 1, 2] = 0.5 + 0.1 * time
    final = rollout(world, state, steps, Action(kinematic_target=targets)).final
    assert torch.allclose(final.T_world_body[0, 1, :3], targets[0, -1, 1, :3])
    moved = final.T_world_body[0, 2, :3] - torch.tensor([0, 0, 0.535])
    assert torch.allclose(moved, torch.tensor([0.3, 0.0, 0.1]), atol=2e-3)


def test_bodies_sleep_until_something_wakes_them(material, on_table, state_of) -> None:
    world = on_table(body_from_box("box", (0.1, 0.1, 0.1), material()), body_from_sphere("ball", 0.03, material()))
    state = state_of(world, [(0, 0, 0.05), (1.0, 0, 0.03)])
    asleep = rollout(world, state, 120).final
    assert (asleep.still[0, 1:] >= StepSettings().sleep_after).all()
    twist = asleep.twist.clone()
    twist[0, 2, 0] = -3.0
    rolling = replace(asleep, twist=twist, still=asleep.still * torch.tensor([1, 1, 0], dtype=torch.int32))
    hit = rollout(world, rolling, 120)
    assert hit.still[0, 10, 1] >= StepSettings().sleep_after, "nothing is near yet"
    assert hit.T_world_body[0, -1, 1, 0] < -0.001


def test_a_force_wakes_a_sleeping_body(material, on_table, state_of) -> None:
    world = on_table(body_from_box("box", (0.1, 0.1, 0.1), material(0.2), mass=1.0), friction=0.2)
    asleep = rollout(world, state_of(world, [(0, 0, 0.05)]), 120).final
    wrench = torch.zeros(1, 60, 2, 6)
    wrench[:, :, 1, 0] = 4.0
    assert rollout(world, asleep, 60, Action(wrench=wrench)).final.T_world_body[0, 1, 0] > 0.04


def test_bodies_that_start_in_each_other_come_apart_gently(material, on_table, state_of) -> None:
    boxes = [body_from_box(name, (0.1, 0.1, 0.1), material()) for name in ("a", "b")]
    world = on_table(*boxes)
    path = rollout(world, state_of(world, [(0, 0, 0.03), (0.01, 0, 0.12)]), 240)
    assert path.overlap[0, 1].item() == pytest.approx(0.02, abs=1e-4), "the overlap is reported"
    assert path.overlap[0, -1] < 0.001
    assert path.twist.abs().max() < 1.0
    assert path.T_world_body[0, -1, 1, 2].item() == pytest.approx(0.05, abs=0.002)


def test_a_long_step_does_not_explode(material, on_table, state_of) -> None:
    world = on_table(body_from_box("box", (0.1, 0.1, 0.1), material()), dt=0.1)
    path = rollout(world, state_of(world, [(0, 0, 0.5)], [[0.5, 0, 0, 1, 2, 3]]), 50)
    assert path.T_world_body.isfinite().all()
    assert path.T_world_body[0, -1, 1, 2].item() == pytest.approx(0.05, abs=0.002)


def test_dominoes_all_fall(material, on_table, state_of) -> None:
    count = 6
    tiles = [body_from_box(f"tile{i}", (0.008, 0.024, 0.048), material(0.4)) for i in range(count)]
    world = on_table(*tiles, friction=0.4)
    state = state_of(world, [(0.02 * i, 0, 0.024) for i in range(count)])
    twist = state.twist.clone()
    twist[0, 1] = torch.tensor([0.144, 0, 0, 0, 6.0, 0])
    final = rollout(world, replace(state, twist=twist), 480).final
    up = 1 - 2 * (final.T_world_body[0, 1:, 4] ** 2 + final.T_world_body[0, 1:, 5] ** 2)
    assert up.max() < 0.75


def test_a_mug_of_mesh_stands_and_holds_a_ball(material, on_table, state_of) -> None:
    profile = [(0, 0), (0.04, 0), (0.04, 0.08), (0.034, 0.08), (0.034, 0.008), (0, 0.008)]
    mug = trimesh.creation.revolve(np.array(profile), sections=24)
    body = body_from_mesh("mug", TriangleMesh(mug.vertices, mug.faces), material(0.4))
    world = on_table(body, body_from_sphere("ball", 0.015, material(0.4)), friction=0.4)
    final = rollout(world, state_of(world, [(0, 0, 0), (0.003, 0, 0.12)]), 360).final
    ball = final.T_world_body[0, 2, :3]
    assert ball[:2].norm() < 0.0195
    assert ball[2].item() == pytest.approx(0.008 + 0.015, abs=0.001)
    assert final.T_world_body[0, 1, :3].numpy() == pytest.approx([0, 0, 0], abs=0.001)


def test_latents_change_mass_and_friction(material, on_table, state_of) -> None:
    body: Body = body_from_box("box", (0.1, 0.1, 0.02), material(0.3))
    world = on_table(body)
    state = state_of(world, [(0, 0, 0.01)], [[1.0, 0, 0, 0, 0, 0]]).repeated(2)
    latents = Latents.median(world, 2)
    friction = latents.friction.clone()
    friction[1] *= 2
    far = rollout(world, state, 240, latents=replace(latents, friction=friction)).final.T_world_body[:, 1, 0]
    assert (far[0] / far[1]).item() == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (Action(wrench=torch.zeros(1, 5, 2, 6)), "10 steps need"),
        (Action(wrench=torch.zeros(1, 10, 3, 6)), r"this world and batch take \(1, 10, 2, 6\)"),
        (Action(wrench=torch.full((1, 10, 2, 6), float("nan"))), "not finite"),
        (Action(kinematic_target=torch.zeros(1, 10, 2, 7)), "quaternion of length 0"),
        (Action(joint_target=torch.zeros(1, 10, 1)), "joint targets"),
    ],
)
def test_actions_that_do_not_fit(material, on_table, state_of, action: Action, message: str) -> None:
    world = on_table(body_from_box("box", (0.1, 0.1, 0.1), material()))
    with pytest.raises(UsageError, match=message):
        rollout(world, state_of(world, [(0, 0, 1)]), 10, action)


def test_states_that_do_not_fit(material, on_table, state_of) -> None:
    world = on_table(body_from_box("box", (0.1, 0.1, 0.1), material()))
    state = state_of(world, [(0, 0, 1)])
    for wrong in (state.twist[:, :1], torch.full_like(state.twist, np.nan)):
        with pytest.raises(UsageError, match="twists"):
            rollout(world, replace(state, twist=wrong), 1)
    with pytest.raises(UsageError, match="length 2"):
        rollout(world, replace(state, T_world_body=state.T_world_body * 2), 1)
    with pytest.raises(UsageError, match="multiple"):
        rollout(world, state, 10, every=3)
