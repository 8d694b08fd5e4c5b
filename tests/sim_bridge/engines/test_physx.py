"""The demo scene, exported, in PhysX itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dynamics import Body, TriangleMesh
from sim_bridge.engines import EngineProof, verify
from sim_bridge.usd import _hull_faces, _twin
from sim_bridge.usd._body_prims import collider_parts

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


def test_colliders_in_the_wrong_place_are_found_out(
    proven: Proven, tabletop_scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage agrees with itself there; what bodies are compared with are the colliders of the scene."""
    proven("physx")

    def sunk(body: Body) -> Body:
        parts = tuple(TriangleMesh(part.vertices - [0, 0, 0.003], part.faces) for part in collider_parts(body))
        return replace(body, parts=parts)

    monkeypatch.setattr(_twin, "with_small_parts", sunk)
    (physx,) = verify(tabletop_scene, engines=["physx"]).engines
    assert physx.status == "beyond"
    assert all("rest_mm" in row.failures for row in physx.rows)
