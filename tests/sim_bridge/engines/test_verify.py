"""The proof as a whole: what it takes, what it refuses, and what missing engines do to it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pxr import Sdf, Usd, UsdPhysics

from scene3d import Scene, save_scene
from scene3d._errors import DeviceError, FileFormatError, UsageError
from scene3d._scene_object import Binding
from sim_bridge.engines import verify
from sim_bridge.engines._environments import ENGINES
from sim_bridge.engines._prepared import prepare
from sim_bridge.engines._request import EngineError
from sim_bridge.engines._verify import EngineProof, Proof
from sim_bridge.usd import export_usd

from ...scene3d.jointed_scene import HINGE, jointed_scene


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
    monkeypatch.setattr("sim_bridge.engines._verify.prepare", lambda *_, **__: pytest.fail("the scene was exported"))
    with pytest.raises(DeviceError, match="PhysX is not installed"):
        verify(folder, engines=["mujoco", "physx"])


def test_static_objects_stand_still_and_any_name_will_do(tiny_scene: Scene, tmp_path: Path) -> None:
    box, can = tiny_scene.objects
    objects = (replace(box, body=box.body.with_motion("static")), replace(can, body=can.body.renamed("world")))
    folder = save_scene(replace(tiny_scene, objects=objects), tmp_path / "desk")
    (proof,) = verify(folder, engines=["mujoco"], seconds=0.5).engines
    assert proof.status == "proven", proof
    assert [row.body for row in proof.rows] == ["world"]


def test_a_kinematic_object_is_set_free_and_that_is_said(tiny_scene: Scene, tmp_path: Path) -> None:
    box, can = tiny_scene.objects
    led = replace(can, body=can.body.with_motion("kinematic"))
    folder = save_scene(replace(tiny_scene, objects=(box, led)), tmp_path / "desk")
    proof = verify(folder, engines=["mujoco", "own"], seconds=0.5)
    assert [each.status for each in proof.engines] == ["proven", "proven"], proof
    assert [row.body for row in proof.engines[0].rows] == ["box", "can"]
    assert proof.notes == ("can: kinematic, set free for this proof.",)


def test_every_engine_says_what_becomes_of_deformables(tabletop_loaded: Scene, tmp_path: Path) -> None:
    folder = save_scene(only(tabletop_loaded, "box", "rope"), tmp_path / "desk")
    proof = verify(folder, engines=["mujoco", "own"], seconds=0.5)
    assert [[row.body for row in each.rows] for each in proof.engines] == [["box"], ["box"]]
    assert "rope: deformable, static colliders in their rest shape." in proof.engines[0].said
    assert proof.engines[1].said == "rope: deformable, standing still."


def test_an_engine_with_nothing_to_move_is_no_proof(folder: Path, tabletop_loaded: Scene, tmp_path: Path) -> None:
    soft = save_scene(only(tabletop_loaded, "rope"), tmp_path / "soft")
    with pytest.raises(UsageError, match="soft has nothing rigid that moves, so there is nothing for MuJoCo"):
        verify(soft, engines=["mujoco"])
    stage = prepare(folder, tmp_path, 1.0)
    assert stage.soft == () and stage.soft_trial is None and stage.rigid_trial is not None


def only(scene: Scene, *names: str) -> Scene:
    """The scene with some of its objects and without splats."""
    things = []
    for name in names:
        thing = scene.objects[scene.index(name)]
        bound = thing.binding
        none = None if bound is None else Binding(bound.indices[:0], bound.weights[:0])
        things.append(replace(thing, binding=none))
    bare = scene.splats[scene.splats.component_index == 0][:10]
    return replace(scene, objects=tuple(things), splats=bare, filled=0)


def test_joined_bodies_are_proven_one_by_one(tmp_path: Path) -> None:
    folder = save_scene(jointed_scene(HINGE), tmp_path / "lid")
    proof = verify(folder, engines=["mujoco", "own"], seconds=1.0)
    assert proof.notes == ("Joints are left out: each body is proven by itself.",)
    for each in proof.engines:
        assert [row.body for row in each.rows] == ["box", "lid", "pendulum", "stone"]
        assert all(row.mass.ok and row.inertia.ok and row.fall_mm.ok for row in each.rows)
        box, stone = each.rows[0], each.rows[3]
        assert box.failures == () and stone.failures == ()


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda s: _physics(s, "Scene").GetGravityMagnitudeAttr().Set(1.62), DeviceError, "gravity of the Earth"),
        (lambda s: _physics(s, "RigidBodyAPI").CreateRigidBodyEnabledAttr(False), FileFormatError, "no rigid"),
        (lambda s: _physics(s, "CollisionAPI").CreateCollisionEnabledAttr(False), FileFormatError, "no collider"),
        (lambda s: s.GetPrimAtPath("/World/box").SetDisplayName("a\nb"), DeviceError, r"calls 'a\\nb' otherwise"),
    ],
)
def test_stages_that_mujoco_cannot_prove_are_one_clear_error(
    tiny_scene: Scene, tmp_path: Path, change: Any, error: type[Exception], said: str
) -> None:
    path = tmp_path / "desk.usda"
    export_usd(replace(tiny_scene, objects=tiny_scene.objects[:1], splats=tiny_scene.splats[:0], filled=0), path)
    stage = Usd.Stage.Open(str(path))
    stage.GetPrimAtPath("/World/box").SetCustomData({})
    change(stage)
    stage.GetRootLayer().Save()
    with pytest.raises(error, match=said):
        verify(path, engines=["mujoco"], seconds=0.2)


def _physics(stage: Any, api: str) -> Any:
    """The prim of the box, its collider or the scene, by what it is."""
    path = {"Scene": "/World/PhysicsScene", "RigidBodyAPI": "/World/box"}.get(api, "/World/box/colliders/part_000")
    return getattr(UsdPhysics, api)(stage.GetPrimAtPath(path))
