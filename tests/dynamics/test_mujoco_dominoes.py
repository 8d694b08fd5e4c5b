"""A row of dominoes: all fall, and the wave runs as fast as MuJoCo's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from dynamics import State, World
from dynamics._primitive import body_from_box
from dynamics._rollout import rollout
from dynamics.baselines import mujoco_model, mujoco_rollout
from dynamics.poses import rotation_from_wxyz

COUNT = 15
FALLEN = np.cos(np.radians(30))


def _row(material, on_table, state_of) -> tuple[World, State]:
    tiles = [body_from_box(f"tile{i}", (0.008, 0.024, 0.048), material(0.3)) for i in range(COUNT)]
    world = on_table(*tiles)
    state = state_of(world, [(0.02 * i, 0, 0.024) for i in range(COUNT)])
    twist = state.twist.clone()
    twist[0, 1] = torch.tensor([0.144, 0, 0, 0, 6.0, 0])
    return world, replace(state, twist=twist)


def _wave(poses: torch.Tensor, dt: float) -> float:
    """Seconds from the fall of the second tile to that of the last."""
    fallen = (rotation_from_wxyz(poses[0, :, 1:, 3:].double())[..., 2, 2] < FALLEN).numpy()
    assert fallen[-1].all()
    first = fallen.argmax(axis=0) * dt
    return float(first[-1] - first[1])


def test_the_wave_runs_as_in_mujoco(material, on_table, state_of) -> None:
    world, state = _row(material, on_table, state_of)
    ours = _wave(rollout(world, state, 360).T_world_body, world.dt)
    model = mujoco_model(world, dt=1e-3, time_constant=0.005)
    theirs = _wave(mujoco_rollout(model, state, 1500), 1e-3)
    assert abs(ours / theirs - 1) < 0.1
