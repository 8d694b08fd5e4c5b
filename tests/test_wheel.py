"""The wheel that a user would get, built from the source distribution and run where nothing else of ours is.

The bare environment is a new venv that holds the wheel and, as links, exactly the distributions that the wheel
declares (and what those declare): an undeclared dependency, a file that the sdist forgot, or a preset that is not
packaged fails here. Linking instead of installing saves a gigabyte of torch and several minutes.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow


def _run(*command: str | Path, cwd: Path) -> str:
    """What the command prints; the test fails with all of it if the command does."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    words = [str(part) for part in command]
    ran = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{' '.join(words)}\n{ran.stdout[-4000:]}\n{ran.stderr[-4000:]}"
    return ran.stdout


def _requirements(distribution: importlib.metadata.Distribution) -> set[str]:
    """Names of what a distribution needs on this machine, extras aside."""
    from packaging.requirements import Requirement

    parsed = map(Requirement, distribution.requires or [])
    return {r.name for r in parsed if r.marker is None or r.marker.evaluate({"extra": ""})}


def _closure(wheel: importlib.metadata.Distribution) -> dict[str, importlib.metadata.Distribution]:
    """Every distribution that the wheel needs, directly or not, as this environment has it."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = _requirements(wheel)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name not in found:
            found[name] = importlib.metadata.distribution(name)
            waiting |= _requirements(found[name])
    return found


def _link(distribution: importlib.metadata.Distribution, site: Path) -> None:
    """Make one installed distribution importable from another site-packages."""
    for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
        if not top.endswith(".pth") and not (site / top).exists():
            (site / top).symlink_to(Path(str(distribution.locate_file(top))).absolute())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `make wheel` does: the checkout to an sdist, the sdist to a wheel."""
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("scene3d-*.whl")
    return built


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel and what it declares, nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    _run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    interpreter = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", interpreter)
    _run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    (installed,) = importlib.metadata.distributions(name="scene3d", path=[str(site)])
    for distribution in _closure(installed).values():
        _link(distribution, site)
    _run(*pip, "check", cwd=folder)
    return folder


def test_it_renders_without_the_checkout(bare: Path, tmp_path: Path) -> None:
    printed = _run(bare / "bin" / "python", "-I", ROOT / "tests" / "wheel_smoke.py", cwd=tmp_path)
    assert str(bare) in printed


def test_it_brings_the_command(bare: Path, tmp_path: Path) -> None:
    printed = _run(bare / "bin" / "scene3d", "--help", cwd=tmp_path)
    assert all(verb in printed for verb in ("reconstruct", "render", "info"))
    assert not list(tmp_path.iterdir()), "asking for help leaves no files"


def test_it_holds_no_sources_of_the_kernels_and_no_tests(wheel: Path) -> None:
    from zipfile import ZipFile

    names = ZipFile(wheel).namelist()
    assert not [name for name in names if name.endswith((".cpp", ".h")) or name.startswith(("tests/", "assets/"))]
    assert [name for name in names if re.fullmatch(r"scene3d/render/_kernels\..*(so|pyd)", name)]
    assert "scene3d/py.typed" in names
    presets = {f"scene3d/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "configs").rglob("*.yaml")}
    assert {name for name in names if name.startswith("scene3d/configs/")} == presets
