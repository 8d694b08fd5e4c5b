"""`scene3d export`: what it writes, what it says, what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pxr import Usd

from scene3d import Scene, save_scene
from scene3d._rollout_folder import save_simulation
from scene3d._simulate import Drop, simulate

from .conftest import Command


@pytest.fixture
def folder(tiny_scene: Scene, tmp_path: Path) -> Path:
    return save_scene(tiny_scene, tmp_path / "desk")


def test_a_stage_is_written_and_said(command: Command, folder: Path, tmp_path: Path) -> None:
    outcome = command("export", folder, tmp_path / "out" / "desk.usdz")

    assert outcome.code == 0 and outcome.err == ""
    said = " ".join(outcome.out.split())
    assert "bodies box, can" in said and "splats 50" in said
    assert f"scene3d verify {tmp_path / 'out' / 'desk.usdz'}" in said
    stage = Usd.Stage.Open(str(tmp_path / "out" / "desk.usdz"))
    assert stage.GetPrimAtPath("/World/can/splat")


def test_json_is_one_document(command: Command, folder: Path, tmp_path: Path) -> None:
    outcome = command("export", folder, tmp_path / "desk.usdc", "--json", "--half")

    document = json.loads(outcome.out)
    assert document["bodies"] == ["box", "can"] and document["splats"] == 50
    assert [Path(path).name for path in document["files"]] == ["desk.usdc", "initial_conditions.json"]
    assert document["bytes"] == sum(Path(path).stat().st_size for path in document["files"])


def test_what_is_there_stays_unless_asked(command: Command, folder: Path, tmp_path: Path) -> None:
    assert command("export", folder, tmp_path / "desk.usda", "--quiet").code == 0
    before = (tmp_path / "desk.usda").read_bytes()

    outcome = command("export", folder, tmp_path / "desk.usda", "--spheres")
    assert outcome.code == 1 and "--overwrite" in outcome.err
    assert (tmp_path / "desk.usda").read_bytes() == before
    assert command("export", folder, tmp_path / "desk.usda", "--spheres", "--overwrite").code == 0

    stage = Usd.Stage.Open(str(tmp_path / "desk.usda"))
    assert stage.GetPrimAtPath("/World/can/colliders/sphere_000")


def test_a_rollout_becomes_time_samples(command: Command, tiny_scene: Scene, folder: Path, tmp_path: Path) -> None:
    simulation = simulate(tiny_scene, drops=[Drop("can", 0.02)], samples=2, seconds=0.1, network=False)
    id = save_simulation(simulation, folder).name

    outcome = command("export", folder, tmp_path / "desk.usdc", "--rollout", id, "--future", "1")

    assert outcome.code == 0 and "kinematic" in outcome.out
    stage = Usd.Stage.Open(str(tmp_path / "desk.usdc"))
    assert stage.GetEndTimeCode() == 6
    falls = stage.GetPrimAtPath("/World/can").GetAttribute("xformOp:translate")
    assert falls.GetNumTimeSamples() >= 4 and falls.Get(0)[2] == pytest.approx(0.02, abs=1e-6)
    refused = command("export", folder, tmp_path / "other.usdc", "--rollout", "999")
    assert refused.code != 0 and id in refused.err
    refused = command("export", folder, tmp_path / "other.usdc", "--rollout", "../../etc")
    assert refused.code != 0 and not (tmp_path / "other.usdc").exists()


@pytest.mark.parametrize("suffix", [".xml", ".urdf"])
def test_models_for_other_simulators(command: Command, folder: Path, tmp_path: Path, suffix: str) -> None:
    outcome = command("export", folder, tmp_path / "model" / f"desk{suffix}", "--json")

    assert outcome.code == 0
    document = json.loads(outcome.out)
    assert Path(document["path"]).is_file() or Path(document["path"]).is_dir()
    assert all(Path(path).is_file() for path in document["files"])
    assert len(document["files"]) > 1
    said = command("export", folder, tmp_path / "model" / f"desk{suffix}", "--overwrite").out
    # `verify` takes scenes and stages; a model is proven with its scene.
    assert f"scene3d verify {folder}" in " ".join(said.split())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["desk.ply"], "ends in '.ply'; it can be .usd, .usda, .usdc, .usdz, .xml, .urdf"),
        (["desk"], "has no ending"),
        (["desk.xml", "--half", "--spheres"], "--half and --spheres need a stage"),
        (["desk.urdf", "--rollout", "001"], "--rollout needs a stage"),
        (["desk.usdc", "--future", "1"], "say which rollout with --rollout ID"),
    ],
)
def test_wrong_calls_say_what_is_accepted(
    command: Command, folder: Path, tmp_path: Path, args: list[str], said: str
) -> None:
    outcome = command("export", folder, tmp_path / args[0], *args[1:])

    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())


def test_scenes_without_scale_say_how_to_set_it(command: Command, tiny_scene: Scene, tmp_path: Path) -> None:
    folder = save_scene(replace(tiny_scene, metric=False), tmp_path / "loose")

    outcome = command("export", folder, tmp_path / "loose.usdc")
    assert outcome.code == 2 and "scene3d scale" in outcome.err
    outcome = command("export", folder, tmp_path / "loose.usdc", "--assume-scale")

    assert outcome.code == 0 and "taken for a metre" in outcome.out
