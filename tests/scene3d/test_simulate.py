"""Pushing and dropping what stands on the demo scene's table: what becomes of it, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dynamics import Latents, Rollout, World
from scene3d import Scene, _roll_futures, load_scene
from scene3d._errors import UsageError
from scene3d._outcomes import CLASSES, Outcome, Spread, outcomes
from scene3d._rollout_folder import save_simulation
from scene3d._scene_world import scene_state, scene_world
from scene3d._simulate import Drop, Move, Push, prepare_contacts, simulate
from scene3d.cli._simulate_lines import _said, _short, warning


@pytest.fixture(scope="module")
def table(tabletop_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    scene = load_scene(tabletop_scene)
    prepare_contacts(scene, tmp_path_factory.getbasetemp() / "contact")  # For all tests of a run.
    return scene


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
    by_name = {outcome.name: outcome for outcome in dropped.outcomes}
    assert by_name["mug"].shares["falls off"] == by_name["mug"].shares["stays"] == 0.0
    assert by_name["mug"].moved.median < 0.04  # From where it stood, not from the air.
    assert by_name["box"].shares["stays"] == 1.0
    # Nor has it fallen off when it goes on from a moment in the air.
    falling = simulate(table, state=dropped.rollout.at(2)[0], seconds=0.5, network=False)
    assert falling.outcomes[mug].shares["falls off"] == 0.0
    folder = save_simulation(dropped, tmp_path, deeds=["drop mug,0.05"])
    assert sorted(path.name for path in folder.iterdir()) == ["rollout.yaml", "states.npz"]
    assert save_simulation(dropped, tmp_path).name == "002"


def test_what_goes_over_the_edge_falls_off(table: Scene) -> None:
    world = scene_world(table)
    rollout = simulate(table, pushes=[Push("box", (60.0, 0.0, 0.0), 0.2)], seconds=3.0, network=False).rollout
    box = next(outcome for outcome in outcomes(table, world, rollout) if outcome.name == "box")
    assert box.likeliest in ("falls off", "still moving")
    assert set(box.shares) == set(CLASSES)


def test_figures_are_short() -> None:
    assert [_short(value) for value in (0.0028, 1.53, 24.2, 233.7)] == ["0.0028", "1.5", "24", "234"]


def test_an_outcome_in_words() -> None:
    shares = dict.fromkeys(CLASSES, 0.0) | {"stays": 0.25, "moves": 0.25, "tips over": 0.5}
    outcome = Outcome("mug", shares, Spread(0.05, 0.0, 0.1), Spread(2.0, 2.0, 2.0), Spread(np.nan, np.nan, np.nan))
    said = "tips over in 50 % of 4 futures, 5 cm (0 to 10) away, turned 2 deg"
    assert _said(outcome, 4) == f"{said} (else stays 25 %, moves 25 %)"
    even = replace(outcome, shares=shares | {"stays": 0.5, "tips over": 0.25})
    assert _said(even, 4) == "stays in 50 % of 4 futures (else moves 25 %, tips over 25 %)"
    tied = replace(outcome, shares=shares | {"moves": 0.5, "stays": 0.0})
    assert _said(tied, 2).endswith("(else tips over 50 %)")


def test_a_push_may_come_later(table: Scene) -> None:
    can = table.index("can")
    later = simulate(table, pushes=[Push("can", (0.0, 3.0, 0.0), 0.1, 0.5)], seconds=1.0, network=False)
    assert later.flagged == ()
    poses = later.rollout.T_world_body[0, :, can]
    assert torch.equal(poses[30], poses[0])
    assert poses[40, 1] - poses[0, 1] > 0.01


def test_what_is_moved_follows_its_path_and_shoves_what_is_in_its_way(table: Scene) -> None:
    box, can = table.index("box"), table.index("can")
    there = np.array(table.objects[can].T_world_body[:3]) - np.array([0.05, 0.0, 0.0])
    shoved = simulate(table, moves=[Move("box", (1.0,), (tuple(there.tolist()),))], seconds=1.5, network=False)
    poses = shoved.rollout.T_world_body[0]
    assert poses[-1, box, :3].numpy() == pytest.approx(there, abs=1e-5)
    assert (poses[-1, can, :3] - poses[0, can, :3]).norm() > 0.03
    assert shoved.world.bodies[box].motion == "kinematic"
    assert shoved.flagged == ()


def test_futures_hear_the_members_one_after_the_other(table: Scene) -> None:
    alike = simulate(
        table, drops=[Drop("mug", 0.03)], seconds=0.3, samples=6, alter=lambda world, drawn: Latents.median(world, 6)
    )
    ends = alike.rollout.T_world_body[:, -1, table.index("mug")]
    assert alike.network == "mean of 4 members, then one member for each future"
    assert torch.equal(ends[1], ends[5])  # The first member again.
    assert len({tuple(end) for end in ends.tolist()}) == 5
    alone = simulate(table, drops=[Drop("mug", 0.03)], seconds=0.3)
    assert torch.equal(alone.rollout.T_world_body[0], alike.rollout.T_world_body[0])


def test_groups_of_futures_change_nothing(table: Scene) -> None:
    told: list[tuple[float, str]] = []
    pushes = [Push("can", (0.0, 3.0, 0.0))]
    whole = simulate(table, pushes=pushes, seconds=0.2, samples=20)
    parts = simulate(table, pushes=pushes, seconds=0.2, samples=20, tell=lambda *said: told.append(said))
    assert told == [(0.0, "0 of 20 futures"), (0.8, "16 of 20 futures"), (1.0, "20 of 20 futures")]
    for name in ("T_world_body", "twist", "still", "in_support", "contact_impulse"):
        assert torch.equal(getattr(whole.rollout, name), getattr(parts.rollout, name)), name
    assert parts.rollout.latents is not None
    assert len(parts.rollout.latents.friction) == 20

    def stop(share: float, _: str) -> None:
        if share > 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        simulate(table, pushes=pushes, seconds=0.2, samples=20, tell=stop)


def test_a_group_tells_how_far_it_is_and_can_be_ended(table: Scene) -> None:
    shares: list[float] = []

    def tell(share: float, words: str) -> None:
        assert words == "2 futures"
        shares.append(share)
        if share >= 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        simulate(table, pushes=[Push("can", (0.0, 3.0, 0.0))], seconds=1.0, samples=2, tell=tell)
    assert shares == [0.0, 0.25, 0.5]


def test_what_all_futures_share_can_be_changed(table: Scene) -> None:
    can = table.index("can")

    def heavier(_: World, drawn: Latents) -> Latents:
        scale = drawn.mass_scale.clone()
        scale[:, can] = 20.0
        return replace(drawn, mass_scale=scale)

    heavy = simulate(table, pushes=[Push("can", (3.0, 0.0, 0.0))], seconds=1.0, samples=3, alter=heavier, network=False)
    outcome = next(outcome for outcome in heavy.outcomes if outcome.name == "can")
    assert outcome.shares["tips over"] == 0.0
    assert heavy.rollout.latents is not None
    assert (heavy.rollout.latents.mass_scale[:, can] == 20.0).all()


@pytest.mark.parametrize("bad", [(1,), (0, 1, 2)])
def test_futures_that_are_no_numbers_count_in_no_outcome(
    table: Scene, monkeypatch: pytest.MonkeyPatch, bad: tuple[int, ...]
) -> None:
    real = _roll_futures._rolled

    def broken(*given: Any) -> Rollout:
        path = real(*given)
        poses = path.T_world_body.clone()
        poses[list(bad), 20:, 0] = torch.nan
        return replace(path, T_world_body=poses)

    monkeypatch.setattr(_roll_futures, "_rolled", broken)
    found = simulate(table, drops=[Drop("mug", 0.03)], seconds=0.5, samples=3, network=False)
    assert found.flagged == bad
    said = warning(found)
    assert "holds values that are no numbers" in said
    if len(bad) == 3:
        assert found.outcomes == ()
        assert "No outcome is left." in said
    else:
        assert "Left out: 1. Outcomes are of the other 2." in said
        mug = found.outcomes[0]
        assert np.isfinite(mug.moved.median)
        assert sum(mug.shares.values()) == pytest.approx(1.0)


def test_what_cannot_be_simulated(table: Scene) -> None:
    with pytest.raises(UsageError, match=r"deformable"):
        simulate(table, pushes=[Push("rope", (1.0, 0.0, 0.0))], network=False)
    with pytest.raises(UsageError, match=r"no object 'cup'"):
        simulate(table, pushes=[Push("cup", (1.0, 0.0, 0.0))], network=False)
    with pytest.raises(UsageError, match=r"no metric scale"):
        simulate(replace(table, metric=False), network=False)
    with pytest.raises(UsageError, match=r"1 to 4096 futures"):
        simulate(table, samples=0)
    with pytest.raises(UsageError, match=r"GiB; up to \d+ fit"):
        simulate(table, samples=4096, seconds=100.0)
    with pytest.raises(UsageError, match=r"starts at 3 s, and the rollout ends at 1 s"):
        simulate(table, pushes=[Push("can", (1.0, 0.0, 0.0), 0.1, 3.0)], seconds=1.0)
    assert isinstance(scene_world(replace(table, metric=False), assume_scale=True), World)
