"""Pushing and dropping what stands on the demo scene's table: what becomes of it, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics import World
from scene3d import Scene, load_scene
from scene3d._errors import UsageError
from scene3d._outcomes import CLASSES, outcomes
from scene3d._scene_world import scene_state, scene_world
from scene3d._simulate import Drop, Push, parse_drop, parse_push, save_simulation, simulate
from scene3d.cli.simulate import _short


@pytest.fixture(scope="module")
def table(tabletop_scene: Path) -> Scene:
    return load_scene(tabletop_scene)


def test_the_world_of_a_scene(table: Scene) -> None:
    world = scene_world(table)
    assert [body.name for body in world.bodies] == ["mug", "can", "box", "toy", "rope", "table", "floor"]
    assert [body.motion for body in world.bodies] == ["dynamic"] * 3 + ["static"] * 4
    state = scene_state(table, world, worlds=2)
    assert state.T_world_body.shape == (2, 7, 7)
    poses = np.array([thing.T_world_body for thing in table.objects], dtype=np.float32)
    assert np.array_equal(state.T_world_body[0, :5].numpy(), poses)
    # The slab's top is the support, and objects stand over it.
    slab, place = world.bodies[5], state.T_world_body[0, 5, :3].numpy()
    assert place[2] + slab.mesh.vertices[:, 2].max() == pytest.approx(table.supports[0].offset, abs=1e-5)
    assert (state.T_world_body[0, 6, 2] < -0.5).all()


def test_nothing_moves_unless_it_is_pushed(table: Scene) -> None:
    still = simulate(table, seconds=1.0, network=False)
    assert torch.equal(still.rollout.T_world_body[:, -1], still.rollout.T_world_body[:, 0])
    assert all(outcome.shares["stays"] == 1.0 for outcome in still.outcomes)
    assert still.flagged == ()


def test_a_push_moves_what_is_pushed_along_the_arrow(table: Scene) -> None:
    can = table.index("can")
    pushed = simulate(table, pushes=[Push("can", (0.0, 3.0, 0.0), 0.1)], seconds=2.0, samples=3, network=False)
    way = pushed.rollout.T_world_body[:, -1, can, :3] - pushed.rollout.T_world_body[:, 0, can, :3]
    assert (way[:, 1] > 0.02).all()
    assert (way[:, 1] > way[:, 0].abs()).all()  # It tips over, and what is round rolls aside.
    by_name = {outcome.name: outcome for outcome in pushed.outcomes}
    assert by_name["can"].shares["stays"] == 0.0
    assert by_name["mug"].shares["stays"] == 1.0
    assert sum(by_name["can"].shares.values()) == pytest.approx(1.0)
    again = simulate(table, pushes=[Push("can", (0.0, 3.0, 0.0), 0.1)], seconds=2.0, samples=3, network=False)
    assert torch.equal(again.rollout.T_world_body, pushed.rollout.T_world_body)


def test_what_is_dropped_lands_and_the_network_takes_part(table: Scene, tmp_path: Path) -> None:
    dropped = simulate(table, drops=[Drop("mug", 0.05)], seconds=1.5, samples=2)
    mug = table.index("mug")
    start, end = dropped.rollout.T_world_body[:, 0, mug, 2], dropped.rollout.T_world_body[:, -1, mug, 2]
    assert (start - end).numpy() == pytest.approx(0.05, abs=0.02)
    assert dropped.in_support is not None
    assert 0.0 <= dropped.in_support <= 1.0
    folder = save_simulation(dropped, tmp_path, deeds=["drop mug,0.05"])
    assert sorted(path.name for path in folder.iterdir()) == ["rollout.json", "states.npz"]
    assert save_simulation(dropped, tmp_path).name == "002"


def test_what_goes_over_the_edge_falls_off(table: Scene) -> None:
    world = scene_world(table)
    rollout = simulate(table, pushes=[Push("box", (60.0, 0.0, 0.0), 0.2)], seconds=3.0, network=False).rollout
    box = next(outcome for outcome in outcomes(table, world, rollout) if outcome.name == "box")
    assert box.likeliest in ("falls off", "still moving")
    assert set(box.shares) == set(CLASSES)


@pytest.mark.parametrize("text", ["can", "can,1,2", "can,1,2,nan", "can,1,2,3,-1", ",1,2,3"])
def test_pushes_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"--push"):
        parse_push(text)


def test_figures_are_short() -> None:
    assert [_short(value) for value in (0.0028, 1.53, 24.2, 233.7)] == ["0.0028", "1.5", "24", "234"]


def test_names_with_commas() -> None:
    assert parse_push("can, red,1,0,0") == Push("can, red", (1.0, 0.0, 0.0))
    assert parse_drop("mug,0.1") == Drop("mug", 0.1)
    with pytest.raises(UsageError, match=r"NAME,HEIGHT"):
        parse_drop("mug,-1")


def test_what_cannot_be_simulated(table: Scene) -> None:
    with pytest.raises(UsageError, match=r"deformable"):
        simulate(table, pushes=[Push("rope", (1.0, 0.0, 0.0))], network=False)
    with pytest.raises(UsageError, match=r"no object 'cup'"):
        simulate(table, pushes=[Push("cup", (1.0, 0.0, 0.0))], network=False)
    with pytest.raises(UsageError, match=r"no metric scale"):
        simulate(replace(table, metric=False), network=False)
    with pytest.raises(UsageError, match=r"futures"):
        simulate(table, samples=0)
    assert isinstance(scene_world(replace(table, metric=False), assume_scale=True), World)
