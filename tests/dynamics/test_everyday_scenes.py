"""What one tries first with a physics engine: pushing, piling, dropping, thin things, bodies in each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dynamics import Action, World
from dynamics._primitive import body_from_box, body_from_sphere
from dynamics._rollout import rollout
from dynamics.baselines._can_over_mug import can_over_mug, drops


@pytest.fixture(scope="module")
def crockery() -> World:
    """A world with a table, a mug and a can."""
    return can_over_mug(0.005, drops(1))[0]


@pytest.mark.parametrize("count", [1, 2])
def test_a_pusher_pushes_boxes_at_its_speed(material, on_table, state_of, count: int) -> None:
    pusher = body_from_box("pusher", (0.02, 0.2, 0.05), material(), motion="kinematic")
    world = on_table(pusher, *(body_from_box(f"box{i}", (0.06, 0.06, 0.06), material()) for i in range(count)))
    state = state_of(world, [(-0.05, 0, 0.03), *((0.03 + 0.07 * i, 0, 0.03) for i in range(count))])
    steps = 480
    targets = state.T_world_body[:, None].repeat(1, steps, 1, 1)
    targets[0, :, 1, 0] += 0.1 * torch.arange(1, steps + 1) / 240
    path = rollout(world, state, steps, Action(kinematic_target=targets))
    assert path.twist[0, -100:, 2:, 0].numpy() == pytest.approx(0.1, rel=1e-3)
    places = path.T_world_body[0, -1, 1:, 0].numpy()
    assert np.diff(places) == pytest.approx([0.04, *[0.06] * (count - 1)], abs=1e-4)
    assert path.T_world_body[0, -1, 2:, 1].abs().max() < 1e-4


@pytest.mark.parametrize("start", [(1, 0.2, 0.1, 0), (1, 0.7, 0, 0), (0.2, 1, 0.3, 0.1)])
def test_a_dropped_mug_comes_to_rest_without_jitter(crockery: World, state_of, start: tuple[float, ...]) -> None:
    world = World(crockery.bodies[:2])
    path = rollout(world, state_of(world, [(0, 0, 0.12)], None, [list(map(float, start))]), 480)
    last = path.T_world_body[0, -60:, 1]
    assert (last - last[0]).abs().max() < 1e-6
    assert path.still[0, -1, 1] >= 60
    assert path.overlap.max() < 0.002


def test_a_pile_of_mixed_bodies_comes_to_rest(crockery: World, material, on_table, state_of) -> None:
    chance = np.random.default_rng(0)
    mug, can = crockery.bodies[1:]
    bodies = [body_from_box(f"box{i}", tuple(chance.uniform(0.03, 0.09, 3)), material(0.4)) for i in range(6)]
    bodies += [mug, mug.renamed("mug2"), can.renamed("can1"), can.renamed("can2")]
    bodies = [bodies[i] for i in chance.permutation(10)]
    world = on_table(*bodies, friction=0.4)
    places = [(*chance.uniform(-0.03, 0.03, 2), 0.08 + 0.13 * i) for i in range(10)]
    state = state_of(world, places, None, chance.normal(size=(10, 4)).tolist())
    path = rollout(world, state, 960, every=40)
    assert path.twist.isfinite().all()
    # A can that lies rolls on; nothing else moves.
    rests = [i + 1 for i, body in enumerate(bodies) if not body.name.startswith("can")]
    assert path.twist[0, -1, rests].abs().max() < 0.02
    assert (path.still[0, -1, rests] >= 60).sum() >= 6
    assert (path.T_world_body[0, -1, 1:, 2] > -0.001).all()
    assert path.overlap[0, -1] < 0.002


@pytest.mark.parametrize("turn", [(1, 0, 0, 0), (1, 0.15, 0.1, 0), (1, 1, 0.05, 0)])
def test_a_thin_plate_does_not_fall_through_the_table(material, on_table, state_of, turn: tuple[float, ...]) -> None:
    world = on_table(body_from_box("plate", (0.15, 0.1, 0.002), material()))
    state = state_of(world, [(0, 0, 0.3)], [[0, 0, -5.0, 0, 0, 0]], [list(map(float, turn))])
    path = rollout(world, state, 480)
    assert path.overlap.max() < 0.001
    assert path.T_world_body[0, :, 1, 2].min() > 0.0005


def test_a_fast_ball_does_not_pass_a_thin_shelf(material, on_table, state_of) -> None:
    shelf = body_from_box("shelf", (0.4, 0.4, 0.002), material(), motion="static")
    world = on_table(shelf, body_from_sphere("ball", 0.01, material()))
    state = state_of(world, [(0, 0, 0.2), (0, 0, 0.5)], [[0] * 6, [0, 0, -5.0, 0, 0, 0]])
    assert rollout(world, state, 240).final.T_world_body[0, 2, 2].item() == pytest.approx(0.211, abs=5e-4)


def test_overlaps_at_the_start_are_undone_gently(crockery: World, material, on_table, state_of) -> None:
    boxes = [body_from_box(name, (0.06, 0.06, 0.06), material()) for name in "ab"]
    for world, places in (
        (on_table(*boxes), [(0, 0, 0.03), (0.01, 0.005, 0.07)]),
        (crockery, [(0, 0, -0.004), (0.003, 0, 0.062)]),
    ):
        path = rollout(world, state_of(world, places), 480)
        assert path.overlap[0, 1] > 0.003
        assert path.overlap[0, -1] < 0.001
        assert path.twist[..., :3].abs().max() < 1.0, "it flew apart"
        assert path.twist[0, -1].abs().max() < 0.01
