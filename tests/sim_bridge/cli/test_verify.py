"""`scene3d verify`: what it prints and how it exits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scene3d import Scene, save_scene
from scene3d._errors import DeviceError
from sim_bridge.cli.verify import Verify
from sim_bridge.engines import _judge


@pytest.fixture
def folder(tiny_scene: Scene, tmp_path: Path) -> Path:
    return save_scene(tiny_scene, tmp_path / "desk")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")


def test_the_table_names_every_engine_and_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Verify(folder, engine=("mujoco", "own"), seconds=1.0).run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in lines if line.strip() in ("MuJoCo (MJCF)", "scene3d")] == [
        "MuJoCo (MJCF)",
        "scene3d",
    ]
    rows = [line for line in lines if line.startswith(("    box", "    can"))]
    assert [row.split()[0] for row in rows] == ["box", "can"] * 2
    assert {len(row.split()) for row in rows} == {9}
    assert "  proven in MuJoCo (MJCF), scene3d" in lines
    assert all(len(line) <= 80 for line in lines if line.startswith("    "))


def test_json_is_one_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Verify(folder, engine=("mujoco",), seconds=0.5, json=True).run() == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is True
    assert document["tolerances"]["mass"] == 1e-4
    (mujoco,) = document["engines"]
    assert mujoco["status"] == "proven"
    assert mujoco["bodies"][0]["mass"] == {"value": pytest.approx(0, abs=1e-9), "limit": 1e-4}


def test_beyond_a_tolerance_exits_with_1(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_judge.TOLERANCES, "depth_mm", -1.0)
    assert Verify(folder, engine=("mujoco",), seconds=0.5).run() == 1
    out = capsys.readouterr().out
    assert "> -1" in out
    assert "beyond tolerance in MuJoCo (MJCF)" in out


def test_quiet_says_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Verify(folder, engine=("mujoco",), seconds=0.5, quiet=True).run() == 0
    assert capsys.readouterr() == ("", "")


def test_a_missing_engine_is_named_with_its_line(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim_bridge.engines._environments.CHECKOUT", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCENE3D_NEWTON_PYTHON", raising=False)
    with pytest.raises(DeviceError, match="Install it with `make engines`"):
        Verify(folder, engine=("newton-mujoco",)).run()
