"""The proof as a whole: what it takes, what it refuses, and what missing engines do to it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pxr import Sdf

from scene3d import Scene, save_scene
from scene3d._errors import DeviceError, FileFormatError, UsageError
from sim_bridge.engines import verify
from sim_bridge.engines._environments import ENGINES
from sim_bridge.engines._request import EngineError
from sim_bridge.engines._verify import EngineProof, Proof
from sim_bridge.usd import export_usd


@pytest.fixture
def folder(tiny_scene: Scene, tmp_path: Path) -> Path:
    return save_scene(tiny_scene, tmp_path / "desk")


@pytest.fixture
def no_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without `make engines`."""
    monkeypatch.setattr("sim_bridge.engines._environments.CHECKOUT", tmp_path)
    monkeypatch.chdir(tmp_path)
    for which in ENGINES:
        if which.variable:
            monkeypatch.delenv(which.variable, raising=False)


def test_a_scene_is_proven_without_any_engine_but_those_here(folder: Path, no_engines: None) -> None:
    titles: list[str] = []
    proof = verify(folder, progress=titles.append)
    assert {each.name: each.status for each in proof.engines} == {
        "physx": "absent",
        "newton-xpbd": "absent",
        "newton-mujoco": "absent",
        "mujoco": "proven",
        "own": "proven",
    }
    assert proof.ok
    assert titles == [each.title for each in proof.engines]
    document = proof.document()
    assert [row["body"] for row in document["engines"][-1]["bodies"]] == ["box", "can"]
    assert "make engines" in document["engines"][0]["said"]
    assert not [path for path in folder.iterdir() if path.suffix.startswith(".usd")]


def test_an_engine_that_was_asked_for_must_be_there(folder: Path, no_engines: None) -> None:
    with pytest.raises(DeviceError, match=r"PhysX is not installed.*make engines.*own licence"):
        verify(folder, engines=["physx"])


def test_an_interpreter_without_the_engine_is_no_engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCENE3D_PHYSX_PYTHON", sys.executable)
    with pytest.raises(DeviceError, match=r"PhysX is not installed: .*No module named 'ovphysx'"):
        verify(folder, engines=["physx"])


def test_an_engine_that_fails_leaves_the_others_their_say(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise EngineError("mujoco failed with exit status 1.")

    monkeypatch.setattr("sim_bridge.engines._verify.ask", broken)
    proof = verify(folder, engines=["mujoco", "own"])
    assert [each.status for each in proof.engines] == ["failed", "proven"]
    assert not proof.ok


def test_a_stage_is_proven_by_what_it_says(tiny_scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "desk.usda"
    export_usd(tiny_scene, path)
    (proof,) = verify(path, engines=["mujoco"], seconds=0.5).engines
    assert proof.status == "proven", proof
    assert [row.body for row in proof.rows] == ["box", "can"]


def test_a_stage_that_reaches_out_of_its_folder_is_refused(tiny_scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "desk.usda"
    export_usd(tiny_scene, path)
    layer = Sdf.Layer.FindOrOpen(str(path))
    layer.subLayerPaths.append("../../elsewhere.usda")
    layer.Save()
    with pytest.raises(FileFormatError, match=r"elsewhere.usda, which lies outside its folder"):
        verify(path, engines=["mujoco"])


def test_a_path_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere does not exist. Give a scene folder, or a USD stage"):
        verify(tmp_path / "nowhere")


@pytest.mark.parametrize("seconds", [0.0, -1.0, 61.0, float("nan")])
def test_times_are_bounded(folder: Path, seconds: float) -> None:
    with pytest.raises(UsageError, match="bodies can stand for up to 60 s"):
        verify(folder, seconds=seconds)


def test_absent_engines_neither_help_nor_hurt() -> None:
    absent = EngineProof("physx", "PhysX", "absent", said="not installed")
    proven, beyond = (EngineProof("own", "scene3d", status) for status in ("proven", "beyond"))
    assert Proof(Path("desk"), 2.0, (absent, proven), ()).ok
    assert not Proof(Path("desk"), 2.0, (absent,), ()).ok
    assert not Proof(Path("desk"), 2.0, (proven, beyond), ()).ok


def test_a_missing_engine_is_named_before_any_other_runs(
    folder: Path, no_engines: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim_bridge.engines._verify._prepared", lambda *_: pytest.fail("the scene was exported"))
    with pytest.raises(DeviceError, match="PhysX is not installed"):
        verify(folder, engines=["mujoco", "physx"])


def test_static_objects_stand_still_and_any_name_will_do(tiny_scene: Scene, tmp_path: Path) -> None:
    box, can = tiny_scene.objects
    objects = (replace(box, body=box.body.with_motion("static")), replace(can, body=can.body.renamed("world")))
    folder = save_scene(replace(tiny_scene, objects=objects), tmp_path / "desk")
    (proof,) = verify(folder, engines=["mujoco"], seconds=0.5).engines
    assert proof.status == "proven", proof
    assert [row.body for row in proof.rows] == ["world"]
