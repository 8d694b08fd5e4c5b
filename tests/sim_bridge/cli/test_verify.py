"""`scene3d verify`: what it prints and how it exits."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
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
    assert {len(row.split()) for row in rows} == {10}
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
    assert "MuJoCo (MJCF), box: depth_mm 0" in out and "> -1" in out
    assert re.search(r"    box .* 0\.\d\d!", out)
    assert "beyond tolerance in MuJoCo (MJCF)" in out


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows ends processes otherwise")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_whoever_ends_it_ends_the_engine_and_its_folders(folder: Path, tmp_path: Path, name: str) -> None:
    room = tmp_path / "room"
    room.mkdir()
    worker = "import os, pathlib, sys, time; pathlib.Path(sys.argv[2]).parent.joinpath('up').touch(); time.sleep(600)"
    script = (
        "import pathlib, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from sim_bridge.engines import _environments, _verify\n"
        f"worker = pathlib.Path({str(tmp_path)!r}) / 'worker.py'\n"
        f"worker.write_text({worker!r})\n"
        "_verify.HERE = worker.parent\n"
        "real = _verify.ask\n"
        "_verify.ask = lambda python, _, request, seconds: real(python, worker, request, seconds=seconds)\n"
        "from scene3d.cli import main\n"
        f"sys.exit(main(['verify', {str(folder)!r}, '--engine', 'mujoco']))\n"
    )
    environment = {**os.environ, "TMPDIR": str(room)}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment, start_new_session=True)
    try:
        until = time.monotonic() + 60
        while not list(room.glob("scene3d-engine-*/up")):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.05)
        process.send_signal(getattr(signal, name))
        assert process.wait(timeout=30) == 130
    finally:
        process.kill()
        process.wait()
    assert not list(room.glob("scene3d-*"))


def test_quiet_says_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Verify(folder, engine=("mujoco",), seconds=0.5, quiet=True).run() == 0
    assert capsys.readouterr() == ("", "")


def test_a_missing_engine_is_named_with_its_line(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim_bridge.engines._environments.CHECKOUT", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCENE3D_NEWTON_PYTHON", raising=False)
    with pytest.raises(DeviceError, match="Install it with `make engines`"):
        Verify(folder, engine=("newton-mujoco",)).run()
