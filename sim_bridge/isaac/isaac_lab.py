"""An exported stage in Isaac Lab 3, once for each environment: bodies as RigidObjects. Never run here: see README.md.

    uv run --extra isaacsim python isaac_lab.py SCENE.usdc OUT.json [--num_envs 4] [--seconds 2]

Isaac Lab's interpreter runs it, so it imports nothing of this project. The stage is referenced once below each
environment; every body that it has already becomes a `RigidObject` without a spawner, which leaves mass, inertia,
colliders and friction as they were exported. OUT.json holds the final poses of all environments, less their origins
(xyz + wxyz, in metres).

Isaac Lab 3 has quaternions as xyzw everywhere, also in `InitialStateCfg`; Isaac Lab 2 had wxyz. A RigidObject begins at
its `init_state`, not where the stage has it, so that is filled in from the stage.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import Any

WORLD = "/World"
"""What the file's default prim is; bodies lie directly below it."""
TWIN = "{ENV_REGEX_NS}/Twin"
"""Where each environment has it."""
DT = 1.0 / 240.0
"""Length of a step, which exports are proven with [s]."""
SPACING = 4.0
"""Between environments [m]; the exported floor has sides of 10 m and may overlap, it does not move."""


def main() -> None:
    """Launch, build the scene, play, read."""
    app = import_module("isaaclab.app")
    arguments = parse(app)
    simulation = import_module("isaaclab.sim")
    settings = simulation.SimulationCfg(dt=DT, device=arguments.device)
    with app.launch_simulation(settings, arguments):
        context = simulation.SimulationContext(settings)
        bodies = body_poses(import_module("pxr.Usd").Stage.Open(str(arguments.stage.resolve())))
        layout = import_module("isaaclab.scene")
        scene = layout.InteractiveScene(scene_of(simulation, layout, arguments, bodies))
        silence_physics_scenes(simulation)
        context.reset()
        for _ in range(round(arguments.seconds / DT)):
            scene.write_data_to_sim()
            context.step()
            scene.update(DT)
        poses = {name: final_poses(scene, name) for name in bodies}
        arguments.out.write_text(json.dumps(poses, indent=2), encoding="utf-8")


def parse(app: Any) -> argparse.Namespace:
    """The command line, with Isaac Lab's own flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--num_envs", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0)
    app.add_launcher_args(parser)
    return parser.parse_args()


def body_poses(stage: Any) -> dict[str, list[float]]:
    """First poses of the rigid bodies by the names of their prims: xyz [m] + xyzw, as Isaac Lab 3 has them."""
    physics = import_module("pxr.UsdPhysics")
    found = {}
    for prim in stage.GetPrimAtPath(WORLD).GetChildren():
        if prim.HasAPI(physics.RigidBodyAPI):
            place = prim.GetAttribute("xformOp:translate").Get()
            turn = prim.GetAttribute("xformOp:orient").Get()
            found[prim.GetName()] = [*map(float, place), *map(float, turn.GetImaginary()), float(turn.GetReal())]
    return found


def scene_of(simulation: Any, layout: Any, arguments: argparse.Namespace, bodies: dict[str, list[float]]) -> Any:
    """The configuration: a light, the stage in each environment, and its bodies."""
    assets = import_module("isaaclab.assets")
    config = layout.InteractiveSceneCfg(num_envs=arguments.num_envs, env_spacing=SPACING, replicate_physics=False)
    stage = simulation.UsdFileCfg(usd_path=str(arguments.stage.resolve()))
    config.light = assets.AssetBaseCfg(prim_path="/World/Light", spawn=simulation.DomeLightCfg(intensity=1000.0))
    config.twin = assets.AssetBaseCfg(prim_path=TWIN, spawn=stage)
    for name, pose in bodies.items():
        start = assets.RigidObjectCfg.InitialStateCfg(pos=tuple(pose[:3]), rot=tuple(pose[3:]))
        body = assets.RigidObjectCfg(prim_path=f"{TWIN}/{name}", spawn=None, init_state=start)
        setattr(config, name, body)
    return config


def silence_physics_scenes(simulation: Any) -> None:
    """Switch off the PhysicsScene that each reference brings: Isaac Lab has made its own."""
    for prim in simulation.get_current_stage().Traverse():
        path = str(prim.GetPath())
        if prim.GetTypeName() == "PhysicsScene" and path.startswith("/World/envs/"):
            prim.SetActive(False)


def final_poses(scene: Any, name: str) -> list[list[float]]:
    """Poses of a body in all environments, less their origins: xyz [m] + wxyz."""
    pose = scene[name].data.root_link_pose_w.torch.clone()
    pose[:, :3] -= scene.env_origins
    return pose[:, [0, 1, 2, 6, 3, 4, 5]].tolist()


if __name__ == "__main__":
    main()
