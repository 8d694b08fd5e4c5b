"""States and rollouts: files keep every bit, and a restored state goes on as if nothing had happened."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics import Action, Latents, State, World
from dynamics._errors import FileFormatError, OutputError
from dynamics._primitive import body_from_box
from dynamics._rollout import rollout
from dynamics._state import Rollout


@pytest.fixture
def tossed(material, on_table, state_of) -> tuple[World, State]:
    world = on_table(body_from_box("cube", (0.1, 0.1, 0.1), material(0.2, 0.1)))
    return world, state_of(world, [(0, 0, 0.08)], [[1.0, 0.3, -1.0, 3, 5, 2]], [[1.0, 0.4, 0.2, 0.1]])


def equal(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    return a == b


def test_a_restored_state_goes_on_as_if_it_had_never_stopped(tossed: tuple[World, State], tmp_path: Path) -> None:
    world, state = tossed
    middle = rollout(world, state, 47).final
    middle.save(tmp_path / "state.npz")
    restored = State.load(tmp_path / "state.npz")
    assert all(equal(getattr(restored, f.name), getattr(middle, f.name)) for f in fields(State))
    onward = rollout(world, restored, 60).final
    whole = rollout(world, state, 107).final
    assert all(equal(getattr(onward, f.name), getattr(whole, f.name)) for f in fields(State))


def test_a_state_that_remembers_no_contacts_can_be_saved(tossed: tuple[World, State], tmp_path: Path) -> None:
    _, state = tossed
    state.save(tmp_path / "state.npz")
    assert State.load(tmp_path / "state.npz").contact_point is None


def test_a_rollout_is_saved_with_what_made_it(tossed: tuple[World, State], tmp_path: Path) -> None:
    world, state = tossed
    action = Action(wrench=torch.randn(1, 12, 2, 6))
    path = rollout(world, state, 12, action, Latents.sample(world, 1, seed=3), every=4)
    path.save(tmp_path / "rollout.npz")
    restored = Rollout.load(tmp_path / "rollout.npz")
    assert restored.dt == path.dt
    assert restored.action is not None and restored.latents is not None
    assert equal(restored.action.wrench, action.wrench)
    assert restored.action.kinematic_target is None
    assert equal(restored.T_world_body, path.T_world_body)
    assert equal(restored.final.contact_impulse, path.final.contact_impulse)
    assert equal(restored.at(1).twist, path.twist[:, 1])


def test_files_that_are_no_state(tmp_path: Path, tossed: tuple[World, State]) -> None:
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(FileFormatError, match="is no saved state"):
        State.load(tmp_path / "text.npz")
    with pytest.raises(FileFormatError, match="is no saved state"):
        State.load(tmp_path / "absent.npz")
    np.savez(tmp_path / "other.npz", twist=np.zeros(3))
    with pytest.raises(FileFormatError, match="has no 'T_world_body'"):
        State.load(tmp_path / "other.npz")
    np.savez(tmp_path / "objects.npz", T_world_body=np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(FileFormatError, match="is no saved state"):
        State.load(tmp_path / "objects.npz")
    with pytest.raises(OutputError, match="cannot be written"):
        tossed[1].save(tmp_path / "absent" / "state.npz")


def test_worlds_are_picked_and_repeated(tossed: tuple[World, State]) -> None:
    world, state = tossed
    many = rollout(world, state.repeated(3), 5).final
    assert len(many) == 3
    assert len(many[1]) == 1
    assert equal(many[torch.tensor([2, 0])].twist, many.twist[[2, 0]])
    assert many[1:].contact_point is not None


def test_sampled_latents_begin_with_the_medians(tossed: tuple[World, State]) -> None:
    world, _ = tossed
    drawn, median = Latents.sample(world, 64, seed=1), Latents.median(world, 1)
    assert torch.allclose(drawn.friction[:1], median.friction)
    assert torch.equal(drawn.mass_scale, Latents.sample(world, 64, seed=1).mass_scale)
    assert (drawn.restitution >= 0).all() and (drawn.restitution <= 1).all()
    assert drawn.friction[:, 1].std() > 0
