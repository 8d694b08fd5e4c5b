"""A recording on a stage: poses over time are time samples of bodies, shapes over time those of particles and splats.

One time code is one recorded state. Players and simulators interpolate between samples component by component, so
quaternions never change their sign from one to the next, and what stands still has no samples. The value without time
is the first state.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sim_bridge.usd._deformable_prims import write_particles_at
from sim_bridge.usd._splat_prims import splat_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d import Gaussians
    from scene3d._scene_object import SceneObject
    from sim_bridge.usd._splat_files import Cloud

__all__ = ["count_time", "ride", "write_path", "write_shape_path"]


def count_time(stage: Any, states: int, dt: float) -> None:
    """Say how long the recording is: its states, `dt` [s] apart."""
    # A single-precision step of 1/60 s is meant as 60 a second.
    rate = round(1.0 / dt, 3)
    stage.SetTimeCodesPerSecond(rate)
    stage.SetFramesPerSecond(rate)
    stage.SetStartTimeCode(0.0)
    stage.SetEndTimeCode(float(states - 1))


def write_path(prim: Any, path: NDArray[np.float64]) -> None:
    """Give a prim that has a pose its poses over time, xyz [m] + wxyz, shape (T, 7)."""
    from pxr import Gf

    position, quats = path[:, :3], _continuous(path[:, 3:])
    if np.ptp(position, axis=0).any():
        translate = prim.GetAttribute("xformOp:translate")
        for time in _needed(position):
            translate.Set(Gf.Vec3d(*position[time].tolist()), float(time))
    if np.ptp(quats, axis=0).any():
        orient = prim.GetAttribute("xformOp:orient")
        for time in _needed(quats):
            w, *v = quats[time].tolist()
            orient.Set(Gf.Quatd(w, *v), float(time))


def write_shape_path(geometry: Any, shapes: NDArray[np.float64]) -> None:
    """Give particles their positions over time in the body's frame [m], shape (T, P, 3)."""
    for time in _needed(shapes.reshape(len(shapes), -1)):
        write_particles_at(geometry, shapes[time], float(time))


def ride(
    cloud: Cloud, thing: SceneObject, splats: Gaussians, kept: NDArray[np.bool_], shapes: NDArray[np.float64] | None
) -> Cloud:
    """The cloud of an object with what ties it to particles, and with what they did to it over time.

    Args:
        cloud: Of the object's splats that are kept.
        thing: The object.
        splats: All of its splats, in the body's frame.
        kept: Which of them the cloud holds.
        shapes: Particles over time in the body's frame, shape (T, P, 3); None when they stayed.
    """
    from scene3d._scene_object import Binding

    if thing.kind != "deformable" or thing.binding is None:
        return cloud
    binding = Binding(thing.binding.indices[kept], thing.binding.weights[kept])
    cloud = replace(cloud, binding=binding)
    if shapes is None or thing.body.particles is None:
        return cloud
    import torch

    from scene3d._skinning import deform

    sound = splats[torch.from_numpy(kept)]
    samples = []
    for time in _needed(shapes.reshape(len(shapes), -1)):
        moved = deform(sound, binding, thing.body.particles, torch.from_numpy(shapes[time]))
        samples.append((float(time), splat_arrays(moved)[0]))
    return replace(cloud, samples=samples)


def _needed(values: NDArray[np.float64]) -> list[int]:
    """Times whose values (T, K) are not those of both neighbours: interpolation gives the others exactly."""
    same = (values[1:] == values[:-1]).all(axis=1)
    inner = np.concatenate([[False], same[:-1] & same[1:], [False]]) if len(values) > 1 else np.array([False])
    return np.flatnonzero(~inner).tolist()


def _continuous(quats: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same rotations (T, 4), each on the same side as the one before."""
    flips = np.sign(np.einsum("ti,ti->t", quats[1:], quats[:-1]))
    signs = np.concatenate([[1.0], np.cumprod(np.where(flips < 0, -1.0, 1.0))])
    return quats * signs[:, None]
