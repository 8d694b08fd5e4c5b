"""An exported stage in Isaac Sim 6: opened, played, poses read, a picture rendered. Never run here: see README.md.

    ISAAC_SIM/python.sh isaac_sim.py SCENE.usdc OUT_FOLDER [--seconds 2] [--camera /World/Cameras/view_0001]

Isaac Sim's own interpreter runs it, so it imports nothing of this project. It writes OUT_FOLDER/poses.json, the poses
of all rigid bodies at the start and at the end (xyz + wxyz, in metres), and OUT_FOLDER/picture.png, what the camera
sees then. Splats need Isaac Sim 6.0 or later; --no-picture leaves rendering out.

The calls are those of the Core Experimental API, which replaces `isaacsim.core.api` since 6.0. Its quaternions are
wxyz; those of Isaac Lab 3 are not (isaac_lab.py).
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import Any

WORLD = "/World"
"""Bodies lie directly below it."""
CAMERAS = "/World/Cameras"
DT = 1.0 / 240.0
"""Length of a step, which exports are proven with [s]."""
SETTLE_FRAMES = 32
"""How often the renderer refines a picture; the first frames of splats are noisy."""


def main() -> None:
    """Open, play, read, render."""
    arguments = parse()
    arguments.out.mkdir(parents=True, exist_ok=True)
    # Nothing of Omniverse can be imported before the application runs.
    app = import_module("isaacsim").SimulationApp({"headless": not arguments.window})
    stage = open_stage(app, arguments.stage)
    paths = rigid_bodies(stage)
    bodies = import_module("isaacsim.core.experimental.prims").RigidPrim(paths)
    manager = import_module("isaacsim.core.simulation_manager").SimulationManager
    manager.setup_simulation(dt=DT, device="cpu")
    import_module("isaacsim.core.experimental.utils.app").play(commit=True)
    poses = {"start": read_poses(bodies, paths)}
    for _ in range(round(arguments.seconds / DT)):
        manager.step(steps=1, update_fabric=True)
    poses["end"] = read_poses(bodies, paths)
    (arguments.out / "poses.json").write_text(json.dumps(poses, indent=2), encoding="utf-8")
    if not arguments.no_picture:
        camera = arguments.camera or first_camera(stage)
        render(camera, (arguments.width, arguments.height), arguments.out / "picture.png")
    app.close()


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--camera", help="prim of a camera; by default the first capture camera")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--no-picture", action="store_true")
    parser.add_argument("--window", action="store_true")
    return parser.parse_args()


def open_stage(app: Any, path: Path) -> Any:
    """The stage, once all of it has arrived."""
    stages = import_module("isaacsim.core.experimental.utils.stage")
    stages.open_stage(str(path.resolve()))
    while stages.is_stage_loading():
        app.update()
    return import_module("omni.usd").get_context().get_stage()


def rigid_bodies(stage: Any) -> list[str]:
    """Paths of the rigid bodies, in the stage's order."""
    physics = import_module("pxr.UsdPhysics")
    children = stage.GetPrimAtPath(WORLD).GetChildren()
    return [str(prim.GetPath()) for prim in children if prim.HasAPI(physics.RigidBodyAPI)]


def first_camera(stage: Any) -> str:
    """Path of the first capture camera."""
    cameras = stage.GetPrimAtPath(CAMERAS).GetChildren()
    if not cameras:
        raise SystemExit(f"There is no camera below {CAMERAS}: name one with --camera, or pass --no-picture.")
    return str(cameras[0].GetPath())


def read_poses(bodies: Any, paths: list[str]) -> dict[str, list[float]]:
    """Poses of body frames by the names of their prims: xyz [m] + wxyz."""
    positions, orientations_wxyz = (values.numpy() for values in bodies.get_world_poses())
    rows = zip(paths, positions.tolist(), orientations_wxyz.tolist(), strict=True)
    return {path.rsplit("/", 1)[-1]: [*position, *orientation] for path, position, orientation in rows}


def render(camera: str, size: tuple[int, int], path: Path) -> None:
    """What a camera of the stage sees, as a file, without time passing."""
    replicator = import_module("omni.replicator.core")
    replicator.orchestrator.set_capture_on_play(False)
    product = replicator.create.render_product(camera, resolution=size)
    color = replicator.AnnotatorRegistry.get_annotator("rgb")
    color.attach(product)
    replicator.orchestrator.step(rt_subframes=SETTLE_FRAMES, delta_time=0.0, pause_timeline=False)
    import_module("omni.replicator.core.functional").write_image(path=str(path), data=color.get_data())
    replicator.orchestrator.wait_until_complete()
    color.detach()
    product.destroy()


if __name__ == "__main__":
    main()
