"""What every test shares: where real data lies, and how chance is fixed.

Real recordings lie outside the repository, in SCENE3D_DATA or ../shared/data. On a contributor's machine a test that
misses them skips and says what it missed; under SCENE3D_CI the same test fails, so that a green run there has run
everything.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# The same examples everywhere, and no deadline: a busy machine is not a bug.
settings.register_profile(
    "scene3d", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("scene3d")


def _missing(what: str) -> NoReturn:
    if os.environ.get("SCENE3D_CI"):
        pytest.fail(f"{what} (SCENE3D_CI is set, so nothing may skip)", pytrace=False)
    pytest.skip(what)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip `gpu` tests where there is no CUDA device, in CI as well: its machine has none."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def _same_chance_everywhere() -> None:
    """Start every test from the same random state, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def missing() -> Callable[[str], NoReturn]:
    """``missing("what and how to get it")``: the test skips (CI: fails)."""
    return _missing


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real recordings, outside the repository."""
    folder = Path(os.environ.get("SCENE3D_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        _missing(f"no recordings in {folder}; set SCENE3D_DATA to the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def needs(data_dir: Path) -> Callable[[str], Path]:
    """``needs("fox/transforms.json")``: that path among the recordings; the test skips (CI: fails) without it."""

    def find(name: str) -> Path:
        path = data_dir / name
        if not path.exists():
            _missing(f"{path} is not there; see data/README.md of the recordings")
        return path

    return find


@pytest.fixture(scope="session")
def tabletop() -> Path:
    """The demo capture that is committed with the code, so its absence is an error everywhere."""
    folder = ROOT / "assets" / "tabletop"
    if not (folder / "transforms.json").is_file():
        pytest.fail(f"{folder} holds no transforms.json: the committed demo capture is gone", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def tabletop_scene() -> Path:
    """The demo scene that is committed with the code: assets/tabletop, fitted and segmented."""
    folder = ROOT / "assets" / "scenes" / "tabletop"
    if not (folder / "scene.yaml").is_file():
        pytest.fail(f"{folder} holds no scene.yaml: the committed demo scene is gone", pytrace=False)
    return folder
