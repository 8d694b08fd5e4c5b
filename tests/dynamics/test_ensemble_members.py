"""Rollouts whose worlds are answered by single members of the ensemble."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dynamics import State, World, find_material
from dynamics._contact_network import ContactNetwork, make_network, stacked
from dynamics._contact_support import ContactSupport
from dynamics._errors import UsageError
from dynamics._learned_rollout import ContactModel, rollout_learned
from dynamics._primitive import body_from_box, body_from_plane

STEPS = 40


def loud(seed: int) -> ContactNetwork:
    g = torch.Generator().manual_seed(seed)
    weights = make_network(seed).weights
    return ContactNetwork(
        {k: w + 0.5 * torch.randn(w.shape, generator=g) * (".decode2." in k) for k, w in weights.items()}
    )


def dropped() -> tuple[World, State]:
    """A cube that is about to land on an edge, in four worlds alike."""
    wood = replace(find_material("wood"), friction=0.3, restitution=0.2)
    world = World((body_from_plane("table", wood), body_from_box("cube", (0.1, 0.1, 0.1), wood)))
    poses = torch.tensor([[0.0, 0, 0, 1, 0, 0, 0], [0, 0, 0.08, 0.92387953, 0.38268343, 0, 0]])
    state = State.at_rest(world, poses)
    twist = state.twist.clone()
    twist[:, 1] = torch.tensor([0.4, 0.2, -0.5, 1.0, 2.0, 0.5])
    return world, replace(state, twist=twist).repeated(4)


def test_each_world_has_its_member() -> None:
    networks = [loud(1), loud(2), loud(3)]
    ensemble = ContactModel(stacked(networks))
    world, state = dropped()
    apart = rollout_learned(world, state, STEPS, model=ensemble, member=[-1, 0, 2, 0]).T_world_body
    mean = rollout_learned(world, state, STEPS, model=ensemble).T_world_body
    assert torch.equal(apart[0], mean[0])
    assert torch.equal(apart[1], apart[3])
    for place, number in ((1, 0), (2, 2)):
        alone = rollout_learned(world, state, STEPS, model=ContactModel(networks[number])).T_world_body
        assert apart[place].numpy() == pytest.approx(alone[place].numpy(), abs=2e-4)
        assert (apart[place, -1, 1] - mean[0, -1, 1]).abs().max() > 2e-3


def test_all_means_are_none() -> None:
    model = ContactModel(stacked([loud(1), loud(2)]))
    world, state = dropped()
    found = rollout_learned(world, state, STEPS, model=model, member=[-1] * 4)
    assert torch.equal(found.T_world_body, rollout_learned(world, state, STEPS, model=model).T_world_body)


def test_the_gate_is_that_of_the_ensemble() -> None:
    zeros = torch.zeros(32)
    shut = ContactSupport(zeros[None], zeros, zeros + 1, torch.tensor(1e6), torch.tensor(1e-9))
    world, state = dropped()
    model = ContactModel(stacked([loud(1), loud(2)]), shut)
    found = rollout_learned(world, state, STEPS, model=model, member=[0, 1, 0, 1])
    assert torch.equal(found.T_world_body[0], found.T_world_body[1])  # Members disagree, so that neither is heard.
    assert found.in_support is not None
    assert float(found.in_support.max()) < 0.01


@pytest.mark.parametrize("member", [[0, 1], [0, 1, 2, -1], [-2, 0, 0, 0]])
def test_members_that_are_not_there(member: list[int]) -> None:
    world, state = dropped()
    with pytest.raises(UsageError, match=r"0 to 1, or -1"):
        rollout_learned(world, state, 4, model=ContactModel(stacked([loud(1), loud(2)])), member=member)
