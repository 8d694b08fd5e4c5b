# pyright: basic
"""Tosses by MuJoCo: its contact constants fitted to training tosses, and its predictions from the same first states.

Size, inertia, gravity and the correction of first states are those that were identified for our physics on the same
tosses, so that only the contact model differs: friction, and stiffness and damping of the contact spring, which are
searched for at random in steps that shrink.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamics._toss_body import TEXTBOOK, TossConstants
from dynamics._toss_frames import as_recorded, heading, upright
from dynamics._toss_futures import path_distance
from dynamics._toss_models import first_states
from dynamics.baselines._mujoco_model import load_mujoco, mujoco_model
from dynamics.baselines._mujoco_rollout import mujoco_rollout

if TYPE_CHECKING:
    from dynamics._body import Body
    from dynamics._toss_models import TossBody
    from dynamics._tosses import Toss

__all__ = ["FIRST", "fit_mujoco", "has_mujoco", "predict_mujoco"]

SUBSTEPS = 10
"""MuJoCo's steps in a frame."""
FIRST = {"friction": 0.18, "stiffness": 2500.0, "damping": 67.0}
"""Where the search begins; stiffness and damping as ``solref`` has them [1/s^2, 1/s]."""
REACH = 0.4
"""Of the first steps of the search, in logarithms."""
TRIES, TOSSES = 40, 32
Array = NDArray[np.float64]


def has_mujoco() -> bool:
    """Whether MuJoCo is installed."""
    from dynamics._errors import DeviceError

    try:
        load_mujoco()
    except DeviceError:
        return False
    return True


def fit_mujoco(
    tosses: Sequence[Toss], body: TossBody, constants: Mapping[str, float], *, seed: int = 0, tries: int = TRIES
) -> dict[str, float]:
    """Friction, stiffness and damping for training tosses.

    Args:
        tosses: To fit to; a few dozen of them are used.
        body: What was thrown.
        constants: Identified for our physics on these tosses.
        seed: Of the search.
        tries: How many settings are tried.

    Raises:
        DeviceError: MuJoCo is not installed.
    """
    rng = np.random.default_rng(seed)
    places = np.unique(np.linspace(0, len(tosses) - 1, min(TOSSES, len(tosses))).round().astype(int))
    some = [tosses[i] for i in places]
    best = np.log(list(FIRST.values()))
    least, reach, missed = _loss(some, body, constants, best), REACH, 0
    for _ in range(tries - 1):
        tried = best + reach * rng.standard_normal(len(best))
        loss = _loss(some, body, constants, tried)
        if loss < least:
            best, least, missed = tried, loss, 0
            continue
        missed += 1
        if missed % 5 == 0:
            reach *= 0.7
    return dict(zip(FIRST, np.exp(best).tolist(), strict=True))


def _loss(tosses: Sequence[Toss], body: TossBody, constants: Mapping[str, float], logs: Array) -> float:
    import torch

    fitted = dict(zip(FIRST, np.exp(logs).tolist(), strict=True))
    paths = predict_mujoco(tosses, body, constants, fitted)
    missed = [
        path_distance(torch.tensor(path)[None], torch.tensor(toss.T_world_body), body.width)[0]
        for path, toss in zip(paths, tosses, strict=True)
    ]
    return float(np.nan_to_num(np.mean(missed), nan=np.inf))


def predict_mujoco(
    tosses: Sequence[Toss], body: TossBody, constants: Mapping[str, float], fitted: Mapping[str, float]
) -> list[Array]:
    """Poses of each toss (T, 7), from its first frame.

    Args:
        tosses: What to predict; they share one time step. Only first frames and lengths are looked at.
        body: What was thrown.
        constants: Identified for our physics.
        fitted: From `fit_mujoco`.

    Raises:
        DeviceError: MuJoCo is not installed.
    """
    import torch

    from dynamics._state import State

    numbers = {**TEXTBOOK, **constants}
    values = TossConstants.of(**numbers)
    pose, twist = first_states(tosses, values)
    way = heading(twist)
    pose, twist = upright(values, way, pose, twist)
    world = _world(body, numbers, tosses[0].dt)
    table = torch.zeros(len(tosses), 1, 7)
    table[..., 3] = 1.0
    state = State.at_rest(world, torch.cat([table, pose[:, None]], dim=1))
    arm = _turned(pose[:, 3:], torch.tensor(body.com * numbers["size"], dtype=torch.float32))
    central = torch.cat([twist[:, :3] + torch.linalg.cross(twist[:, 3:], arm), twist[:, 3:]], dim=-1)
    state = replace(state, twist=torch.stack([torch.zeros_like(central), central], dim=1))
    solref = (-fitted["stiffness"], -fitted["damping"])
    model = mujoco_model(world, dt=world.dt / SUBSTEPS, solref=solref, friction=[fitted["friction"]] * 2)
    frames = max(len(toss) for toss in tosses)
    paths = mujoco_rollout(model, state, SUBSTEPS * (frames - 1), every=SUBSTEPS, leapfrog=True)[:, :, 1]
    paths = as_recorded(values, way.to(paths), paths).numpy()
    return [paths[i, : len(toss)] for i, toss in enumerate(tosses)]


def _turned(wxyz: Any, vector: Any) -> Any:
    from dynamics.poses import rotation_from_wxyz

    return rotation_from_wxyz(wxyz) @ vector


def _world(body: TossBody, numbers: Mapping[str, float], dt: float) -> Any:
    """The thrown body over a table, in the lengths of the recording."""
    from dynamics._material import find_material
    from dynamics._primitive import body_from_plane
    from dynamics._world import World

    material = find_material("wood")
    size = numbers["size"]
    thrown = replace(
        _solid(body.points * size, body.mass, material),
        com=body.com * size,
        inertia=body.inertia * numbers["inertia"],
    )
    gravity = (0.0, 0.0, -numbers["gravity"])
    return World((body_from_plane("table", material), thrown), dt=dt, gravity=gravity)


def _solid(points: Array, mass: float, material: Any) -> Body:
    """A box where the points are one's corners, else their hull."""
    from dynamics._body import body_from_mesh
    from dynamics._primitive import body_from_box
    from dynamics._triangle_mesh import TriangleMesh

    half = np.abs(points).max(axis=0)
    if len(points) == 8 and np.allclose(np.abs(points), half, atol=1e-6):
        x, y, z = (2 * half).tolist()
        return body_from_box("thrown", (x, y, z), material, mass=mass)
    import trimesh

    hull: Any = trimesh.convex.convex_hull(points)
    return body_from_mesh(
        "thrown", TriangleMesh(np.asarray(hull.vertices), np.asarray(hull.faces)), material, mass=mass
    )
