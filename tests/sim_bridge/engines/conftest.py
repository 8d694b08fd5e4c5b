"""The demo scene proven in engines, each once for all tests, where they are installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from scene3d._errors import DeviceError
from sim_bridge.engines import EngineProof, verify


@pytest.fixture(scope="session")
def proven(tabletop_scene: Path, missing: Callable[[str], NoReturn]) -> Callable[[str], EngineProof]:
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
            missing(proof)
        return proof

    return find
