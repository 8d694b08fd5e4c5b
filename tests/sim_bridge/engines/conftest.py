"""The demo scene proven in engines, each once for all tests, where they are installed."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from scene3d._errors import DeviceError
from sim_bridge.engines import EngineProof, verify


@pytest.fixture(scope="session")
def proven(tabletop_scene: Path) -> Callable[[str], EngineProof]:
    """``proven("physx")``: the demo scene in that engine; the test skips (CI: fails) where it is not installed."""

    @cache
    def run(name: str) -> EngineProof | str:
        try:
            (proof,) = verify(tabletop_scene, engines=[name]).engines
        except DeviceError as error:
            return str(error)
        return proof

    def find(name: str) -> EngineProof:
        proof = run(name)
        if isinstance(proof, str):
            if os.environ.get("SCENE3D_CI"):
                pytest.fail(proof, pytrace=False)
            pytest.skip(proof)
        return proof

    return find
