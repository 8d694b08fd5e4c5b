"""A USD stage, ours or another program's -> a scene.

    file --open_stage--> stage --take_inventory--> prims by role
    rigid bodies and their colliders --> objects      colliders without a body --> supports, static objects
    joints of kept bodies --> joints
    splats --> background, or the body above them     cameras --> views

All lengths become metres, Z points up, quantities are kept in the frame of the body that they belong to. What was
converted, completed or left out is said in `Imported.notes`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import FileFormatError
from sim_bridge.usd._import_inventory import is_deformable, say_left_out, take_inventory
from sim_bridge.usd._import_joints import read_joints
from sim_bridge.usd._read_frames import body_frame, is_identity, similarity_of
from sim_bridge.usd._read_splats import read_splats
from sim_bridge.usd._read_stage import open_stage, reading, usd_file
from sim_bridge.usd._read_values import StageReader, finite, read_units

if TYPE_CHECKING:
    from scene3d import Gaussians, Scene
    from scene3d._scene_object import SceneObject
    from sim_bridge.usd._import_inventory import Inventory, OwnedPrims
    from sim_bridge.usd._read_frames import BodyFrame
    from sim_bridge.usd._read_stage import OpenedStage

__all__ = ["Imported", "import_usd", "scene_of"]

MOST_TEXT = 200


@dataclass(frozen=True)
class Imported:
    """What a stage became."""

    scene: Scene
    """Splats, objects, supports, joints and views, in metres with Z up."""
    notes: tuple[str, ...]
    """What was converted, completed or left out, in sentences."""


def import_usd(path: Path) -> Imported:
    """Read a stage.

    Args:
        path: A .usd, .usda, .usdc or .usdz file. Files that it names outside of its folder are not followed.

    Raises:
        FileFormatError: It does not exist, is damaged, holds neither splats nor bodies, or splats that are scaled
            unevenly.
    """
    from sim_bridge.usd._read_probe import probe

    path = usd_file(path)
    probe(path, "read")
    return scene_of(path)


def scene_of(path: Path) -> Imported:
    """What `import_usd` returns, without the child process that looks at the file first.

    Raises:
        FileFormatError: As `import_usd`, for damage that USD notices.
    """
    opened = open_stage(path)
    with reading(path):
        return _imported(opened)


def _imported(opened: OpenedStage) -> Imported:
    from scene3d import Gaussians, Scene
    from sim_bridge.usd._import_cameras import read_cameras
    from sim_bridge.usd._import_static import read_standing

    notes = _file_notes(opened)
    found = take_inventory(opened.stage, notes)
    if not found.splats and not found.bodies and not found.standing:
        raise FileFormatError(
            f"{opened.path} holds neither Gaussian splats (ParticleField3DGaussianSplat) nor bodies or colliders. "
            f"{_what_else(found)}"
        )
    units = read_units(opened.stage, notes, physics=bool(found.bodies or found.standing))
    reader = StageReader(opened.path, opened.stage, units, notes)
    objects, ridden, orphans, frames = _objects(reader, found)
    lost = {str(owned.prim.GetPath()) for owned in found.bodies} - set(frames)
    joints = read_joints(reader, found.joints, frames, lost)
    supports, standing = read_standing(reader, found.standing, [thing.name for thing in objects])
    background = [_background(reader, prim) for prim in [*found.splats, *orphans]]
    parts = [*background, *ridden]
    views = read_cameras(reader, found.cameras)
    layer = _layer_data(opened.stage)
    metric = units.metric and bool(layer.get("metric", True))
    _say_rest(reader, found)
    scene = Scene(
        splats=Gaussians.cat(parts) if parts else _no_splats(),
        views=views,
        metric=metric,
        source={"imported_from": opened.path.name, "reader": "usd", "notes": list(reader.notes)},
        metrics=_metrics(layer),
        scale_source=str(layer.get("scale_source", "import"))[:MOST_TEXT] if metric else "",
        objects=(*objects, *standing),
        supports=supports,
        joints=joints,
        filled=_filled(layer, sum(len(part) for part in background)),
    )
    return Imported(scene, tuple(reader.notes))


def _objects(
    reader: StageReader, found: Inventory
) -> tuple[list[SceneObject], list[Gaussians], list[Any], dict[str, tuple[int, BodyFrame]]]:
    """Objects, the splats that ride on them, the splat prims of bodies that could not be kept, and places and frames of
    those that were, by their paths.
    """
    frames: dict[str, tuple[int, BodyFrame]] = {}
    objects: list[SceneObject] = []
    ridden: list[Gaussians] = []
    orphans: list[Any] = []
    for owned in found.bodies:
        made = _object(reader, owned, [thing.name for thing in objects], len(objects) + 1)
        if made is None:
            orphans += owned.splats
            continue
        frames[str(owned.prim.GetPath())] = len(objects), made[2]
        objects.append(made[0])
        ridden += made[1]
    return objects, ridden, orphans, frames


def _object(
    reader: StageReader, owned: OwnedPrims, taken: list[str], component: int
) -> tuple[SceneObject, list[Gaussians], BodyFrame] | None:
    from scene3d import Gaussians
    from sim_bridge.usd._import_bodies import free_name, read_rigid
    from sim_bridge.usd._import_particles import read_binding, read_deformable

    at = body_frame(reader, owned.prim)
    name = free_name(reader, owned.prim, taken)
    soft = is_deformable(owned.prim)
    thing = (read_deformable if soft else read_rigid)(reader, at, owned, name)
    if thing is None:
        return None
    splats = [_within(reader, at, prim, component) for prim in owned.splats]
    if thing.kind == "deformable":
        together = Gaussians.cat(splats) if splats else _no_splats()
        thing = replace(thing, binding=read_binding(reader, owned.splats, together, thing.body))
    return thing, splats, at


def _within(reader: StageReader, at: BodyFrame, prim: Any, component: int) -> Gaussians:
    return _placed(reader, prim, at.within(reader, prim), component)


def _background(reader: StageReader, prim: Any) -> Gaussians:
    return _placed(reader, prim, reader.matrix(prim), 0)


def _placed(reader: StageReader, prim: Any, matrix: Any, component: int) -> Gaussians:
    same = is_identity(matrix)
    move = None if same else similarity_of(matrix, f"{reader.path}: the set of splats {prim.GetPath()}")
    return read_splats(reader, prim, move, component)


def _no_splats() -> Gaussians:
    import torch

    from scene3d import Gaussians

    return Gaussians.from_points(torch.zeros(0, 3), torch.zeros(0, 3), sigma=0.01)


def _file_notes(opened: OpenedStage) -> list[str]:
    notes = [f"{asset.name} lies outside of the stage's folder and was not followed." for asset in opened.outside]
    return notes + [f"{asset.name} is named by the stage but is not there." for asset in opened.missing]


def _say_rest(reader: StageReader, found: Inventory) -> None:
    """Note what was read at one moment only, and what a scene has no place for."""
    if reader.sampled:
        only = sum(reader.sampled.values())
        reader.note(
            f"{len(reader.sampled)} attributes change with time: "
            + ("their values without time were taken" if not only else f"{only} have samples only, the first was taken")
            + "; motion is not imported."
        )
    gravity = _gravity(reader)
    if gravity is not None and np.abs(gravity - [0, 0, -9.81]).max() > 0.02:
        x, y, z = gravity
        reader.note(f"The stage's gravity is {x:.3g}, {y:.3g}, {z:.3g} m/s2; a scene has that of the Earth, downwards.")
    say_left_out(found, reader)


def _gravity(reader: StageReader) -> Any:
    """Acceleration of the stage's first physics scene in the scene's axes [m/s^2]; None when it is left to engines."""
    from sim_bridge.usd._read_values import FROM_Y_UP

    for prim in reader.stage.Traverse():
        if str(prim.GetTypeName()) == "PhysicsScene":
            size = finite(reader.value(prim, "physics:gravityMagnitude", fallback=False))
            direction = finite(reader.value(prim, "physics:gravityDirection", fallback=False), 3)
            if size is None or direction is None or not direction.any() or not 0 <= size < np.inf:
                return None
            turned = FROM_Y_UP @ direction if reader.units.up == "Y" else direction
            return turned / np.linalg.norm(turned) * float(size) * reader.units.metres
    return None


def _layer_data(stage: Any) -> dict[str, Any]:
    found = stage.GetRootLayer().customLayerData.get("scene3d", {})
    return dict(found) if isinstance(found, dict) else {}


def _metrics(layer: dict[str, Any]) -> dict[str, Any]:
    """Figures of quality that the exporter kept."""
    found = layer.get("metrics", {})
    if not isinstance(found, dict):
        return {}
    return {str(name): value for name, value in found.items() if isinstance(value, (bool, int, float, str))}


def _filled(layer: dict[str, Any], background: int) -> int:
    found = finite(layer.get("filled", 0))
    return int(found) if found is not None and 0 <= found <= background else 0


def _what_else(found: Inventory) -> str:
    if not found.left_out:
        return "It is empty."
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found.left_out.items())[:6])
    return f"It holds {kinds}; a scene has no place for that."
