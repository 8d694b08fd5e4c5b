"""Scripts for Isaac parse, import nothing of ours, and name what an exported stage has."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pxr import Usd

from scene3d import Scene
from sim_bridge.isaac import isaac_lab, isaac_sim
from sim_bridge.usd import export_usd

FOLDER = Path(isaac_sim.__file__).parent
SCRIPTS = sorted(FOLDER.glob("isaac_*.py"))


@pytest.fixture(scope="module")
def stage(tabletop_loaded: Scene, tmp_path_factory) -> Any:
    path = tmp_path_factory.mktemp("isaac") / "scene.usdc"
    export_usd(tabletop_loaded, path)
    return Usd.Stage.Open(str(path))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_stands_alone(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {name for node in imports for name in ([node.module] if isinstance(node, ast.ImportFrom) else [])}
    names |= {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    assert names == {"__future__", "argparse", "json", "importlib", "pathlib", "typing"}
    assert "Never run here" in (ast.get_docstring(tree) or "")
    assert path.name in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_bodies_and_cameras_are_in_the_stage(stage: Any, tabletop_loaded: Scene) -> None:
    rigid = [thing.name for thing in tabletop_loaded.objects if thing.kind == "rigid"]
    assert isaac_sim.rigid_bodies(stage) == [f"/World/{name}" for name in rigid]
    assert str(stage.GetDefaultPrim().GetPath()) == isaac_sim.WORLD == isaac_lab.WORLD
    camera = stage.GetPrimAtPath(isaac_sim.first_camera(stage))
    assert camera.GetTypeName() == "Camera"
    assert [str(prim.GetPath()) for prim in stage.Traverse() if prim.GetTypeName() == "PhysicsScene"] == [
        "/World/PhysicsScene"
    ]


def test_a_stage_without_cameras_says_what_to_do(tabletop_loaded: Scene, tmp_path: Path) -> None:
    bare = replace(tabletop_loaded, views=(), objects=(), splats=tabletop_loaded.splats[:10], filled=0)
    stage = Usd.Stage.Open(str(export_usd(bare, tmp_path / "bare.usdc").path))
    with pytest.raises(SystemExit, match="--camera, or pass --no-picture"):
        isaac_sim.first_camera(stage)


def test_isaac_lab_begins_where_the_stage_has_bodies(stage: Any, tabletop_loaded: Scene) -> None:
    poses = isaac_lab.body_poses(stage)
    assert list(poses) == [path.rsplit("/", 1)[-1] for path in isaac_sim.rigid_bodies(stage)]
    for name, (x, y, z, qx, qy, qz, qw) in poses.items():
        wanted = tabletop_loaded.objects[tabletop_loaded.index(name)].T_world_body
        assert (x, y) == pytest.approx(wanted[:2], abs=1e-6)
        assert 0 <= z - wanted[2] < 1e-3  # Lifted out of the table.
        assert abs(np.dot([qw, qx, qy, qz], wanted[3:])) == pytest.approx(1.0, abs=1e-6)


def test_poses_are_written_scalar_first() -> None:
    class Values:
        def __init__(self, rows: list[list[float]]) -> None:
            self.rows = np.array(rows)

        def numpy(self) -> np.ndarray:
            return self.rows

    class Bodies:
        def get_world_poses(self) -> tuple[Values, Values]:
            return Values([[1.0, 2.0, 3.0]]), Values([[0.5, 0.1, 0.2, 0.3]])

    assert isaac_sim.read_poses(Bodies(), ["/World/mug"]) == {"mug": [1.0, 2.0, 3.0, 0.5, 0.1, 0.2, 0.3]}
