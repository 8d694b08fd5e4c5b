"""The fused step against what mechanics says: parabolas, sliding, rolling, momentum, energy, stacks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dynamics import Latents, State, World
from dynamics._inertia import inertia_at
from dynamics._primitive import body_from_box, body_from_sphere
from dynamics._rollout import rollout
from dynamics._state import Rollout
from dynamics._step import StepSettings, step_torch
from dynamics.poses import rotation_from_wxyz

G = 9.81
BRICK = (0.2, 0.1, 0.04)


def momentum(world: World, poses: torch.Tensor, twist: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Linear and angular momentum about the origin of each world, in double precision."""
    poses, twist = poses.double(), twist.double()
    inertia = inertia_at(world, Latents.median(world, len(poses)), poses)
    mass = torch.tensor([body.mass for body in world.bodies], dtype=torch.float64)
    linear = mass[:, None] * twist[..., :3]
    spin = (inertia.inertia @ twist[..., 3:, None])[..., 0]
    return linear.sum(1), (spin + torch.linalg.cross(inertia.com, linear)).sum(1)


def energies(world: World, path: Rollout) -> np.ndarray:
    """Mechanical energy of one world at each time [J]."""
    poses, twist = path.T_world_body[0].double(), path.twist[0].double()
    inertia = inertia_at(world, Latents.median(world, len(poses)), poses)
    mass = torch.tensor([body.mass * (body.motion == "dynamic") for body in world.bodies], dtype=torch.float64)
    kinetic = 0.5 * mass * (twist[..., :3] ** 2).sum(-1)
    spin = 0.5 * (twist[..., 3:] * (inertia.inertia @ twist[..., 3:, None])[..., 0]).sum(-1)
    height = -(inertia.com @ torch.tensor(world.gravity, dtype=torch.float64)) * mass
    return (kinetic + spin + height).sum(-1).numpy()


def off_centre(material, com=(0.01, -0.02, 0.005)):
    return replace(body_from_box("brick", BRICK, material()), com=np.array(com))


def thrown(world: World, state_of, dtype: torch.dtype) -> tuple[State, torch.Tensor]:
    """A spinning brick in the air, and where its centre of mass is after a second."""
    velocity = [1.0, -0.5, 2.0]
    state = state_of(world, [(0, 0, 9.0)], [[*velocity, 5.0, 3.0, -8.0]], [[1.0, 0.3, -0.2, 0.5]], dtype)
    start = inertia_at(world, Latents.median(world, 1), state.T_world_body.double()).com[0, 1]
    end = start + torch.tensor(velocity, dtype=torch.float64)
    end[2] -= G / 2
    return state, end


def centre(world: World, poses: torch.Tensor) -> torch.Tensor:
    return inertia_at(world, Latents.median(world, 1), poses.double()).com[0, 1]


def test_free_flight_is_a_parabola_in_single_precision(material, on_table, state_of) -> None:
    world = on_table(off_centre(material))
    state, end = thrown(world, state_of, torch.float32)
    final = rollout(world, state, 240, every=240).final
    assert (centre(world, final.T_world_body) - end).norm() < 1e-4


def test_free_flight_is_a_parabola_in_double_precision(material, on_table, state_of) -> None:
    world = on_table(off_centre(material), dt=1 / 60)
    state, end = thrown(world, state_of, torch.float64)
    for _ in range(60):
        state = step_torch(world, state)
    assert (centre(world, state.T_world_body) - end).norm() < 1e-9
    assert state.twist[0, 1, 2] == pytest.approx(2.0 - G, abs=1e-9)


def test_a_tumbling_brick_keeps_angular_momentum_and_energy(material, on_table, state_of) -> None:
    """About the middle axis, where every error shows."""
    world = on_table(body_from_box("brick", BRICK, material()), gravity=0.0)
    state = state_of(world, [(0, 0, 1.0)], [[0, 0, 0, 0.1, 12.0, 0.1]])
    path = rollout(world, state, 480)
    _, spins = momentum(world, path.T_world_body[0], path.twist[0])
    assert spins.diff(dim=0).norm(dim=-1).max() < 1e-6 * spins[0].norm()
    assert np.abs(energies(world, path) / energies(world, path)[0] - 1).max() < 1e-4
    assert rotation_from_wxyz(path.T_world_body[0, :, 1, 3:])[:, 1, 1].min() < -0.5, "it never turned over"


@pytest.mark.parametrize("friction", [0.1, 0.5])
@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_sliding_distance(material, on_table, state_of, friction: float, speed: float) -> None:
    world = on_table(body_from_box("brick", (0.2, 0.2, 0.04), material(friction)), friction=friction)
    state = state_of(world, [(0, 0, 0.02)], [[speed, 0, 0, 0, 0, 0]])
    final = rollout(world, state, 600, every=600).final
    assert final.T_world_body[0, 1, 0].item() == pytest.approx(speed**2 / (2 * friction * G), rel=0.02)
    assert final.twist[0, 1].abs().max() < 1e-5


@pytest.mark.parametrize("friction", [0.1, 0.3])
def test_a_ball_slips_then_rolls(material, on_table, state_of, friction: float) -> None:
    radius, speed = 0.03, 1.0
    world = on_table(body_from_sphere("ball", radius, material(friction)), friction=friction, dt=1 / 1000)
    path = rollout(world, state_of(world, [(0, 0, radius)], [[speed, 0, 0, 0, 0, 0]]), 500)
    slip = (path.twist[0, :, 1, 0] - path.twist[0, :, 1, 4] * radius).numpy()
    rolls = np.flatnonzero(slip < 1e-3)[0] * world.dt
    assert rolls == pytest.approx(2 * speed / (7 * friction * G), rel=0.03)
    assert path.twist[0, -1, 1, 0].item() == pytest.approx(5 / 7 * speed, rel=1e-3)


@pytest.mark.parametrize("friction", [0.3, 0.6])
@pytest.mark.parametrize(("share", "holds"), [(0.9, True), (0.98, True), (1.02, False), (1.2, False)])
def test_a_brick_holds_on_a_slope_below_the_angle_of_friction_and_slides_above(
    material, state_of, on_table, friction: float, share: float, holds: bool
) -> None:
    angle = np.arctan(share * friction)
    world = on_table(body_from_box("brick", (0.1, 0.1, 0.03), material(friction)), friction=friction)
    world = replace(world, gravity=(G * np.sin(angle), 0.0, -G * np.cos(angle)))
    final = rollout(world, state_of(world, [(0, 0, 0.015)]), 240, every=240).final
    expected = 0.0 if holds else 0.5 * G * (np.sin(angle) - friction * np.cos(angle))
    assert final.T_world_body[0, 1, 0].item() == pytest.approx(expected, abs=2e-4 if holds else 1e-3)


@pytest.mark.parametrize("restitution", [0.5, 1.0])
def test_a_ball_comes_back_to_its_height(material, on_table, state_of, restitution: float) -> None:
    world = on_table(body_from_sphere("ball", 0.03, material(0.3, restitution)))
    path = rollout(world, state_of(world, [(0, 0, 0.53)]), 240)
    height = path.T_world_body[0, :, 1, 2].numpy() - 0.03
    landed = int(np.argmax(height < 1e-4))
    assert height[landed:].max() == pytest.approx(0.5 * restitution**2, rel=1e-3)


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_colliding_bodies_keep_momentum_in_every_step(material, on_table, state_of, precision: torch.dtype) -> None:
    bricks = [body_from_box(name, BRICK, material(0.6, 0.4)) for name in ("a", "b")]
    world = on_table(*bricks, gravity=0.0)
    twists = [[1.0, 0.2, 0, 3.0, 1.0, 9.0], [-1.0, 0, 0.1, -2.0, 4.0, 1.0]]
    state = state_of(world, [(-0.15, 0, 1), (0.15, 0.02, 1)], twists, None, precision)
    scale = sum(abs(value) for twist in twists for value in twist[:3]) * bricks[0].mass
    touched = False
    for _ in range(40):
        before = momentum(world, state.T_world_body, state.twist)
        after_state = step_torch(world, state) if precision == torch.float64 else rollout(world, state, 1).final
        after = momentum(world, after_state.T_world_body, after_state.twist)
        for old, new in zip(before, after, strict=True):
            assert (new - old).abs().max() < 1e-6 * scale
        touched |= bool((after_state.twist - state.twist).abs().max() > 0.1)
        state = after_state
    assert touched


@pytest.mark.parametrize("restitution", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("friction", [0.0, 0.4, 1.0])
def test_energy_never_grows(material, on_table, state_of, restitution: float, friction: float) -> None:
    chance = np.random.default_rng(0)
    for _ in range(4):
        size = chance.uniform(0.04, 0.15, 3)
        body = body_from_box("brick", tuple(size), material(friction, restitution))
        world = on_table(body, friction=friction, restitution=restitution)
        twist = list(chance.normal(size=6) * [1, 1, 1, 8, 8, 8])
        path = rollout(world, state_of(world, [(0, 0, 0.3)], [twist], [list(chance.normal(size=4))]), 480)
        energy = energies(world, path)
        growth = np.maximum.accumulate(energy[::-1])[::-1] - energy
        assert growth.max() < 1e-3 * energy[0]
        assert path.overlap.max() < 0.001


def test_tumbling_cubes_and_stacks_make_no_energy_in_many_worlds(material, on_table, state_of) -> None:
    """A stack of two that a third cube is thrown at, 64 times."""
    cubes = [body_from_box(f"cube{i}", (0.06, 0.06, 0.06), material(0.3, 0.3)) for i in range(3)]
    world = on_table(*cubes, restitution=0.3)
    state = state_of(world, [(0, 0, 0.03), (0, 0, 0.09), (-0.3, 0, 0.15)]).repeated(64)
    chance = torch.Generator().manual_seed(0)
    twist, poses = state.twist.clone(), state.T_world_body.clone()
    twist[:, 3] = torch.randn(64, 6, generator=chance) * torch.tensor([0.2, 0.2, 0.2, 8, 8, 8])
    twist[:, 3, 0] += 1.5
    poses[:, 3, 3:] = torch.nn.functional.normalize(torch.randn(64, 4, generator=chance), dim=-1)
    path = rollout(world, replace(state, T_world_body=poses, twist=twist), 480)
    energy = np.stack([energies(world, _one(path, i)) for i in range(64)])
    growth = np.maximum.accumulate(energy[:, ::-1], axis=1)[:, ::-1] - energy
    assert (growth.max(axis=1) / energy[:, 0]).max() < 1e-3
    hit = (path.T_world_body[:, -1, 1:3, :2]).norm(dim=-1).amax(dim=1) > 0.01
    assert hit.sum() > 32, "most throws miss"


def _one(path: Rollout, world: int) -> Rollout:
    return replace(path, T_world_body=path.T_world_body[world, None], twist=path.twist[world, None])


@pytest.mark.parametrize("sleep_after", [60, 1 << 30])
def test_five_boxes_stay_stacked_for_ten_seconds(material, on_table, state_of, sleep_after: int) -> None:
    boxes = [body_from_box(f"box{i}", (0.06, 0.06, 0.06), material(0.4)) for i in range(5)]
    world = on_table(*boxes, friction=0.4)
    state = state_of(world, [(0, 0, 0.03 + 0.06 * i) for i in range(5)])
    path = rollout(world, state, 2400, every=40, settings=StepSettings(sleep_after=sleep_after))
    drift = (path.T_world_body[0, :, :, :3] - state.T_world_body[0, :, :3]).norm(dim=-1)
    assert drift.max() < 0.001
    assert path.twist[0, -1].abs().max() < 1e-4
