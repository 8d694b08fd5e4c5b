"""The demo scene, exported, in PhysX itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sim_bridge.engines import EngineProof, verify
from sim_bridge.usd import _hull_faces

Proven = Callable[[str], EngineProof]


def test_physx_proves_the_demo_scene(proven: Proven) -> None:
    proof = proven("physx")
    assert proof.status == "proven", proof
    assert [row.body for row in proof.rows] == ["mug", "can", "box"]
    assert proof.version.startswith("ovphysx ")
    for row in proof.rows:
        assert row.asleep
        assert row.fall_mm.limit == 1.0
        assert row.friction.value is not None
        assert row.rest_mm.value is not None


def test_a_hull_of_too_many_faces_sinks_and_is_found_out(
    proven: Proven, tabletop_scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven("physx")
    monkeypatch.setattr(_hull_faces, "within_limits", lambda part: (part,))
    proof = verify(tabletop_scene, engines=["physx"])
    (physx,) = proof.engines
    assert physx.status == "beyond"
    assert not proof.ok
    assert {row.body: row.failures for row in physx.rows}["can"] == ("depth_mm",)
