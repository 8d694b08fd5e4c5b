"""The reconstructed can dropped over the reconstructed mug, many times side by side in one stage.

A scene is exported as `scene3d export` does it; its mug and its can are copied as prims, with their colliders, masses
and materials, onto a floor of their own. Every can hangs upright above a mug's opening, off its axis by a few seeded
millimetres. A can is in the mug when its lower end has come to lie under the rim and within the wall.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene3d import Scene
from scene3d._scene_object import SceneObject
from sim_bridge.engines._environments import HERE, engine, find_python
from sim_bridge.engines._phases import DT
from sim_bridge.engines._request import ask

APART = 0.4
"""Between mugs [m]."""
ABOVE = 0.02
"""A can begins so far above the rim [m]."""
HAIR = 5e-4
DEEP = 0.02
"""A can whose lower end is this far under the rim is in the mug [m]."""
SLICE = 0.6
"""The opening is measured at this share of the mug's height."""


@dataclass(frozen=True)
class Drops:
    """What came of the drops."""

    count: int
    landed: int
    """How many cans are in their mugs."""
    depth_mm: tuple[float, ...]
    """How far each can's lower end is under the rim."""
    version: str


@dataclass(frozen=True, eq=False)
class Hollow:
    """Of a mug, from its body's origin, turned as in the scene [m]."""

    axis: NDArray[np.float64]
    """Where its axis is, shape (2,)."""
    radius: float
    """The least, at one height."""
    rim: float
    """Height of the rim."""


def drop_cans(scene: Scene, *, count: int = 20, offset: float = 0.002, seconds: float = 2.0, seed: int = 0) -> Drops:
    """Drop cans in PhysX.

    Args:
        scene: With a mug and a can.
        count: How many.
        offset: Cans are off the axis by up to this, uniform in the square [m].
        seconds: How long to look.
        seed: Of the offsets.
    """
    mug, can = (scene.objects[scene.index(name)] for name in ("mug", "can"))
    hollow = _hollow(mug)
    off = np.random.default_rng(seed).uniform(-offset, offset, (count, 2))
    with tempfile.TemporaryDirectory(prefix="scene3d-drops-") as name:
        stage, floor = _stage(scene, Path(name), count)
        places = _places(mug, can, hollow, floor, off)
        _place(stage, places)
        steps = round(seconds / DT)
        phase = {"name": "drop", "stage": str(stage), "poses": places, "steps": steps, "read": [steps]}
        which = engine("physx")
        request = {
            "engine": which.name,
            "model": str(stage),
            "bodies": [{"name": path, "path": path} for path in places],
            "dt": DT,
            "phases": [phase],
        }
        answer = ask(find_python(which), HERE / (which.worker or ""), request, seconds=300)
    poses = {path: np.array(rows[-1]) for path, rows in answer["phases"]["drop"]["poses"].items()}
    turn = _rotation(np.asarray(mug.T_world_body[3:]))
    pairs = [(poses[f"/World/mug_{i:03d}"], poses[f"/World/can_{i:03d}"]) for i in range(count)]
    # Of the lower end from the mug's origin, as the mug is turned in the scene: mugs may have moved.
    ends = np.array([turn @ _lower_end(*pair, can) for pair in pairs])
    deep = hollow.rim - ends[:, 2]
    inside = (deep > DEEP) & (np.linalg.norm(ends[:, :2] - hollow.axis, axis=1) < hollow.radius)
    return Drops(count, int(inside.sum()), tuple(np.round(1e3 * deep, 2).tolist()), answer["version"])


def _places(
    mug: SceneObject, can: SceneObject, hollow: Hollow, floor: float, off: NDArray[np.float64]
) -> dict[str, list[float]]:
    """First poses: mugs in rows on the floor, a can above each."""
    low, high = _corners(can).min(axis=0), _corners(can).max(axis=0)
    rise = floor + HAIR - _corners(mug)[:, 2].min()
    places = {}
    for index, aside in enumerate(off):
        x, y = APART * (index % 5), APART * (index // 5)
        over = np.array([x, y]) + hollow.axis + aside - (low + high)[:2] / 2
        places[f"/World/mug_{index:03d}"] = [x, y, rise, *mug.T_world_body[3:]]
        places[f"/World/can_{index:03d}"] = [*over.tolist(), rise + hollow.rim + ABOVE - low[2], *can.T_world_body[3:]]
    return places


def _stage(scene: Scene, folder: Path, count: int) -> tuple[Path, float]:
    """A stage of so many mugs and cans on the floor, and the floor's height."""
    from pxr import Sdf, Usd, UsdGeom

    from sim_bridge.usd import export_usd

    whole = folder / "whole.usdc"
    export_usd(scene, whole)
    path = folder / "drops.usdc"
    Sdf.Layer.FindOrOpen(str(whole)).Export(str(path))
    layer = Sdf.Layer.FindOrOpen(str(path))
    for prim in ("mug", "can"):
        del layer.GetPrimAtPath(f"/World/{prim}").nameChildren["splat"]
        for index in range(count):
            Sdf.CopySpec(layer, f"/World/{prim}", layer, f"/World/{prim}_{index:03d}")
    kept = {"PhysicsScene", "Materials", "Background", *(f"{p}_{i:03d}" for p in ("mug", "can") for i in range(count))}
    world = layer.GetPrimAtPath("/World").nameChildren
    for name in [child.name for child in world if child.name not in kept]:
        del world[name]
    background = layer.GetPrimAtPath("/World/Background").nameChildren
    for name in [child.name for child in background if child.name != "floor"]:
        del background[name]
    layer.Save()
    stage = Usd.Stage.Open(layer)
    matrix = UsdGeom.XformCache().GetLocalToWorldTransform(stage.GetPrimAtPath("/World/Background/floor"))
    return path, float(matrix.ExtractTranslation()[2])


def _place(path: Path, places: dict[str, Any]) -> None:
    from pxr import Gf, Usd

    stage = Usd.Stage.Open(str(path))
    for prim, pose in places.items():
        x, y, z, *turn = map(float, pose)
        stage.GetPrimAtPath(prim).GetAttribute("xformOp:translate").Set(Gf.Vec3d(x, y, z))
        stage.GetPrimAtPath(prim).GetAttribute("xformOp:orient").Set(Gf.Quatd(*turn))
    stage.GetRootLayer().Save()


def _hollow(mug: SceneObject) -> Hollow:
    import trimesh

    turned = _corners(mug)
    mesh = trimesh.Trimesh(turned, mug.body.mesh.faces, process=False)
    low, high = turned[:, 2].min(), turned[:, 2].max()
    height = float(low + SLICE * (high - low))
    section = mesh.section(plane_origin=(0.0, 0.0, height), plane_normal=(0.0, 0.0, 1.0))
    if section is None:
        raise ValueError("The mug has no section at half its height.")
    loops = [np.asarray(loop)[:, :2] for loop in section.discrete]
    # The hollow is the loop inside another: of those that enclose the widest loop's middle, the narrowest.
    middle = max(loops, key=len).mean(axis=0)
    around = [loop for loop in loops if _winds(loop, middle)]
    hollow = min(around, key=lambda loop: float(np.ptp(loop, axis=0).max()))
    axis = (hollow.min(axis=0) + hollow.max(axis=0)) / 2
    return Hollow(axis, float(np.linalg.norm(hollow - axis, axis=1).min()), float(high))


def _winds(loop: NDArray[np.float64], point: NDArray[np.float64]) -> bool:
    x, y = (loop - point).T
    angle = np.unwrap(np.arctan2(y, x))
    return abs(angle[-1] - angle[0]) > np.pi


def _lower_end(mug: NDArray[np.float64], can: NDArray[np.float64], thing: SceneObject) -> NDArray[np.float64]:
    """Middle of the can's lower end in the mug's body frame [m]."""
    own = thing.body.mesh.vertices
    low, high = own.min(axis=0), own.max(axis=0)
    foot = np.array([*(low + high)[:2] / 2, low[2]])
    return _rotation(mug[3:]).T @ (_rotation(can[3:]) @ foot + can[:3] - mug[:3])


def _corners(thing: SceneObject) -> NDArray[np.float64]:
    """Vertices about the body's origin, turned as in the scene."""
    return np.asarray(thing.body.mesh.vertices) @ _rotation(np.asarray(thing.T_world_body[3:])).T


def _rotation(wxyz: NDArray[np.float64]) -> NDArray[np.float64]:
    import torch

    from dynamics.poses import matrix_from_pose

    return matrix_from_pose(torch.tensor([0.0, 0, 0, *wxyz], dtype=torch.float64)).numpy()[:3, :3]
