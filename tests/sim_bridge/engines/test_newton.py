"""The demo scene, exported, in Newton: with MuJoCo's solver, and with XPBD, which takes longer to compile."""

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
