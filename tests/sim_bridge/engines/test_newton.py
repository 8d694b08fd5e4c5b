"""The demo scene, exported, in Newton: with MuJoCo's solver, and with XPBD and VBD, which take longer to compile."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sim_bridge.engines import EngineProof


@pytest.mark.parametrize("name", ["newton-mujoco", pytest.param("newton-xpbd", marks=pytest.mark.slow)])
def test_newton_proves_the_demo_scene(proven: Callable[[str], EngineProof], name: str) -> None:
    proof = proven(name)
    assert proof.status == "proven", proof
    assert [row.body for row in proof.rows] == ["mug", "can", "box"]
    assert proof.version.startswith("Newton ")
    for row in proof.rows:
        # Semi-implicit: half of gravity x step x time behind, which is allowed for, and no more.
        assert row.fall_mm.value == pytest.approx(1e3 * 9.81 * 0.25 / 480, rel=0.02)
        assert row.asleep is None
        assert row.friction.value is not None
        assert (row.restitution.value is None) == (name == "newton-mujoco")


@pytest.mark.slow
def test_newton_proves_the_deformables_of_the_demo_scene(proven: Callable[[str], EngineProof]) -> None:
    proof = proven("newton-vbd")
    assert proof.status == "proven", proof
    assert [row.body for row in proof.rows] == ["toy", "rope"]
    assert "toy: 593 particles and 2005 cells as exported" in proof.said
    assert "rope: 56 particles and 55 cells as exported" in proof.said
    for row in proof.rows:
        assert row.mass.value is not None and row.com_mm.value is not None
        assert row.inertia.value is None and row.rest_mm.value is None
        # Bodies that are elastic lag behind by no more than those that are not: half of g dt t, whenever it is read.
        assert row.fall_mm.value is not None
        assert row.fall_mm.value / row.fall_mm.limit == pytest.approx(0.5, rel=0.1)
