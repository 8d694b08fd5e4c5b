"""Small worlds for tests of physics: bodies on a table, thrown or laid down."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dynamics import Body, Material, State, World, find_material
from dynamics._primitive import body_from_plane


def _material(friction: float = 0.3, restitution: float = 0.0) -> Material:
    return replace(find_material("wood"), friction=friction, restitution=restitution)


def _on_table(
    *bodies: Body, dt: float = 1 / 240, friction: float = 0.3, restitution: float = 0.0, gravity: float = -9.81
) -> World:
    table = body_from_plane("table", _material(friction, restitution))
    return World((table, *bodies), dt=dt, gravity=(0.0, 0.0, gravity))


def _state_of(
    world: World,
    positions: list[tuple[float, float, float]],
    twists: list[list[float]] | None = None,
    quaternions: list[list[float]] | None = None,
    dtype: torch.dtype = torch.float32,
) -> State:
    """One world; the first body is the table, the lists are those of the others."""
    poses = torch.zeros(1, len(world.bodies), 7, dtype=dtype)
    poses[..., 3] = 1
    poses[0, 1:, :3] = torch.tensor(positions, dtype=dtype)
    if quaternions is not None:
        poses[0, 1:, 3:] = torch.nn.functional.normalize(torch.tensor(quaternions, dtype=dtype), dim=-1)
    state = State.at_rest(world, poses)
    if twists is not None:
        twist = state.twist.clone()
        twist[0, 1:] = torch.tensor(twists, dtype=dtype)
        state = replace(state, twist=twist)
    return state


@pytest.fixture(scope="session")
def material():
    """``material(friction, restitution)``: wood with these."""
    return _material


@pytest.fixture(scope="session")
def on_table():
    """``on_table(*bodies, dt=, friction=, restitution=, gravity=)``: a world whose body 0 is the half-space z <= 0."""
    return _on_table


@pytest.fixture(scope="session")
def state_of():
    """``state_of(world, positions, twists, quaternions, dtype)``: one world with its bodies placed."""
    return _state_of
