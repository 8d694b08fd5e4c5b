"""Where engines are looked for, and what is said when they are not there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scene3d._errors import DeviceError, UsageError
from sim_bridge.engines import _environments
from sim_bridge.engines._environments import ENGINES, HERE, engine, find_python, install_line


def test_every_engine_has_its_worker_and_its_line() -> None:
    assert len({each.name for each in ENGINES}) == len(ENGINES)
    for each in ENGINES:
        assert each.worker is None or (HERE / each.worker).is_file()
        if each.variable:
            assert "make engines" in install_line(each)
            assert each.variable in install_line(each)
    assert "proprietary" in install_line(engine("physx"))
    assert "scipy" in install_line(engine("newton-xpbd"))


def test_an_unknown_engine_is_named_with_those_there_are() -> None:
    names = "physx, newton-xpbd, newton-mujoco, newton-vbd, mujoco, own"
    with pytest.raises(UsageError, match=rf"no engine 'bullet'.*{names}"):
        engine("bullet")


def test_a_variable_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCENE3D_PHYSX_PYTHON", sys.executable)
    assert find_python(engine("physx")) == Path(sys.executable).absolute()
    monkeypatch.setenv("SCENE3D_PHYSX_PYTHON", "/nowhere/python")
    with pytest.raises(UsageError, match="SCENE3D_PHYSX_PYTHON is /nowhere/python, which is no file"):
        find_python(engine("physx"))


def test_environments_are_found_beside_the_checkout_and_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCENE3D_NEWTON_PYTHON", raising=False)
    beside, here = tmp_path / "checkout", tmp_path / "here"
    here.mkdir()
    monkeypatch.setattr(_environments, "CHECKOUT", beside)
    monkeypatch.chdir(here)
    with pytest.raises(DeviceError, match=r"Newton XPBD is not installed.*make engines"):
        find_python(engine("newton-xpbd"))
    for folder in (here, beside):
        python = folder / ".venv-newton" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.touch()
        assert find_python(engine("newton-xpbd")) == python
