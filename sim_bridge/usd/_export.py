"""A scene -> a USD stage in one or several files, whole or not at all.

    scene, rollout --make_twin--> bodies, poses, paths; Z up --write_stage--> prims --+--> .usd, .usda, .usdc or .usdz
    splats in their bodies' frames -----------------------------------Cloud.write-----'    and initial_conditions.json

Everything is checked before anything is written; files appear under their names when they are complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scene3d.files._atomic import write_atomic
from sim_bridge.usd._conditions import CONDITIONS, check_conditions, encode_conditions
from sim_bridge.usd._splat_files import PART_BYTES, write_package, write_single
from sim_bridge.usd._stage import write_stage
from sim_bridge.usd._target import check_target, scratch_folder, settle
from sim_bridge.usd._twin import make_twin

if TYPE_CHECKING:
    from dynamics import Rollout, World
    from scene3d import Scene

__all__ = ["Exported", "export_usd"]


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    """The stage."""
    files: tuple[Path, ...]
    """All files, the stage first."""
    bodies: tuple[str, ...]
    """Names of the objects' prims below /World, in the scene's order."""
    splats: int
    """How many."""
    notes: tuple[str, ...] = ()
    """What the user should know."""


def export_usd(
    scene: Scene,
    path: Path,
    *,
    rollout: Rollout | None = None,
    future: int = 0,
    half: bool = False,
    spheres: bool = False,
    assume_scale: bool = False,
    overwrite: bool = False,
    world: World | None = None,
    part_bytes: int = PART_BYTES,
) -> Exported:
    """Write a scene as a stage that simulators load: splats, colliders, masses, materials, cameras.

    Args:
        scene: In metres.
        path: Target; .usda is text, .usdc and .usd are binary, .usdz is a package.
        rollout: What happened, as time samples. Bodies are kinematic then: they follow the recording and push what is
            added to the stage; without it they are dynamic and begin where the photos show them.
        future: Which of the rollout's worlds.
        half: Orientations, sizes and colours of splats in half precision, half the size.
        spheres: Spheres packed into the bodies as colliders in place of convex parts.
        assume_scale: Take a unit of a scene without metric scale for a metre.
        overwrite: Replace what is there already.
        world: Bodies and joints in place of `scene_world`'s, which must come first and have the same names. Without it
            the scene's own joints are written.
        part_bytes: In a package, splats go to files of their own below this size when all of it is larger.

    Raises:
        UsageError: The name has another ending, the scene no metric scale, a body no collider or no mass.
        OutputError: The target is there already, or cannot be written.
    """
    path = Path(path)
    check_target(path, overwrite=overwrite)
    twin = make_twin(scene, world=world, rollout=rollout, future=future, assume_scale=assume_scale)
    written = write_stage(scene, twin, spheres=spheres)
    begun = {name: twin.poses[index] for index, name in enumerate(written.names)}
    conditions, beside = encode_conditions(begun), path.with_name(CONDITIONS)
    if begun:
        check_conditions(beside, conditions, overwrite=overwrite)
    with scratch_folder(path) as folder:
        made = folder / path.name
        if path.suffix == ".usdz":
            write_package(written.stage, written.clouds, made, half=half, part_bytes=part_bytes)
        else:
            write_single(written.stage, written.clouds, made, half=half)
        settle(made, path)
    files = (path,)
    if begun:
        write_atomic(beside, [conditions])
        files = (path, beside)
    splats = sum(len(cloud.arrays) for cloud in written.clouds)
    return Exported(path, files, written.names, splats, twin.notes + written.notes)
