"""Sphere compounds: inside the body, touching its surface, standing where it stands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom, UsdPhysics

from dynamics import body_from_box, find_material
from scene3d import Scene
from sim_bridge.usd import export_usd
from sim_bridge.usd._sphere_pack import sphere_pack


def test_spheres_fill_a_box_up_to_its_faces() -> None:
    body = body_from_box("box", (0.1, 0.06, 0.2), find_material("unknown"))

    spheres = sphere_pack(body)

    assert 10 < len(spheres) <= 64
    reach = np.abs(spheres[:, :3]) + spheres[:, 3:]
    assert reach.max(axis=0) == pytest.approx([0.05, 0.03, 0.1], abs=1e-6)
    # It stands on at least three of them, far apart.
    low = spheres[spheres[:, 2] - spheres[:, 3] < -0.1 + 1e-6]
    assert len(low) >= 3 and np.ptp(low[:, 0]) > 0.05
    assert spheres[:, 3].max() == pytest.approx(0.03, abs=1e-5)


def test_a_mug_keeps_its_cavity(tabletop_loaded: Scene) -> None:
    body = tabletop_loaded.objects[0].body

    spheres = sphere_pack(body)

    middle, height = body.com[:2], np.ptp(body.mesh.vertices[:, 2])
    axis = np.array([[*middle, body.mesh.vertices[:, 2].min() + height * share] for share in (0.4, 0.6, 0.8, 1.0)])
    gap = np.linalg.norm(axis[:, None] - spheres[:, :3], axis=2) - spheres[:, 3]
    assert gap.min() > 0.015
    assert spheres[:, 2].max() > body.mesh.vertices[:, 2].max() - 0.02


def test_stages_hold_spheres_in_place_of_parts(tiny_scene: Scene, tmp_path: Path) -> None:
    exported = export_usd(tiny_scene, tmp_path / "spheres.usdc", spheres=True)

    stage = Usd.Stage.Open(str(exported.path))
    balls = stage.GetPrimAtPath("/World/can/colliders").GetChildren()
    assert {prim.GetTypeName() for prim in balls} == {"Sphere"}
    packed = sphere_pack(tiny_scene.objects[1].body)
    for prim, (x, y, z, radius) in zip(balls, packed.tolist(), strict=True):
        assert prim.HasAPI(UsdPhysics.CollisionAPI)
        assert UsdGeom.Sphere(prim).GetRadiusAttr().Get() == pytest.approx(radius)
        assert tuple(UsdGeom.Xformable(prim).GetLocalTransformation().ExtractTranslation()) == pytest.approx((x, y, z))
    assert stage.GetPrimAtPath("/World/can/surface")
    assert UsdPhysics.MassAPI(stage.GetPrimAtPath("/World/can")).GetMassAttr().Get() == pytest.approx(0.35)
