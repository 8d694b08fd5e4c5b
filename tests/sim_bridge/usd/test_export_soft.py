"""Deformables on the stage: what Newton and Isaac Sim look for, and what ties splats to particles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pxr import Usd, UsdGeom, UsdPhysics, UsdShade

from dynamics import Particles, Rollout, State, find_material
from scene3d import Scene
from scene3d._errors import UsageError
from scene3d._scene_object import Binding, SceneObject
from scene3d._scene_world import scene_state, scene_world
from scene3d._skinning import deform
from sim_bridge.usd import export_usd


@pytest.fixture(scope="module")
def soft_scene(tabletop_loaded: Scene) -> Scene:
    """The toy and the rope of the demo scene, with their splats."""
    index = tabletop_loaded.splats.component_index
    splats = tabletop_loaded.splats[index >= 4]
    splats = replace(splats, component_index=splats.component_index - 3)
    return replace(tabletop_loaded, splats=splats, objects=tabletop_loaded.objects[3:], views=(), filled=0)


@pytest.fixture(scope="module")
def soft_stage(soft_scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Usd.Stage:
    return Usd.Stage.Open(str(export_usd(soft_scene, tmp_path_factory.mktemp("soft") / "soft.usdc").path))


@pytest.mark.parametrize(("name", "kind", "word"), [("toy", "TetMesh", "Volume"), ("rope", "BasisCurves", "Curves")])
def test_both_schemas_are_applied(soft_stage: Usd.Stage, name: str, kind: str, word: str) -> None:
    body, particles = (soft_stage.GetPrimAtPath(f"/World/{path}") for path in (name, f"{name}/particles"))

    assert not body.HasAPI(UsdPhysics.RigidBodyAPI) and not body.HasAPI(UsdPhysics.MassAPI)
    # Not GetAppliedSchemas: USD itself knows none of these and would leave them out.
    applied = body.GetMetadata("apiSchemas").GetAppliedItems()
    assert {"PhysicsDeformableBodyAPI", "OmniPhysicsDeformableBodyAPI"} <= set(applied)
    applied = particles.GetMetadata("apiSchemas").GetAppliedItems()
    assert {f"Physics{word}DeformableSimAPI", f"OmniPhysics{word}DeformableSimAPI"} <= set(applied)
    assert particles.GetTypeName() == kind
    assert particles.HasAPI(UsdPhysics.CollisionAPI)
    # One collider each: what else touches would be counted twice.
    touching = [prim for prim in Usd.PrimRange(body) if prim.HasAPI(UsdPhysics.CollisionAPI)]
    assert touching == [particles]


def test_tetrahedra_have_rest_shape_masses_and_stiffness(soft_scene: Scene, soft_stage: Usd.Stage) -> None:
    toy, prim = soft_scene.objects[0].body, soft_stage.GetPrimAtPath("/World/toy/particles")
    particles = toy.particles
    assert particles is not None

    mesh = UsdGeom.TetMesh(prim)
    assert np.array(mesh.GetPointsAttr().Get()) == pytest.approx(particles.points, abs=1e-7)
    assert np.array_equal(mesh.GetTetVertexIndicesAttr().Get(), particles.cells)
    assert len(UsdGeom.TetMesh.FindInvertedElements(mesh, Usd.TimeCode.Default())) == 0
    assert len(mesh.GetSurfaceFaceVertexIndicesAttr().Get()) > 100
    assert np.array_equal(prim.GetAttribute("omniphysics:restTetVtxIndices").Get(), particles.cells)
    assert np.array(prim.GetAttribute("omniphysics:restShapePoints").Get()) == pytest.approx(particles.points, abs=1e-7)
    assert sum(prim.GetAttribute("physics:masses").Get()) == pytest.approx(toy.mass, rel=1e-5)
    assert prim.GetAttribute("physics:masses:elementType").Get() == "point"
    assert soft_stage.GetPrimAtPath("/World/toy").GetAttribute("omniphysics:mass").Get() == pytest.approx(toy.mass)
    bound, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
    for family in ("physics", "omniphysics"):
        assert bound.GetPrim().GetAttribute(f"{family}:youngsModulus").Get() == toy.material.youngs_modulus
        assert bound.GetPrim().GetAttribute(f"{family}:poissonsRatio").Get() == pytest.approx(0.2)
        assert bound.GetPrim().GetAttribute(f"{family}:density").Get() == pytest.approx(toy.material.density)


def test_ropes_are_curves_as_thick_as_they_are(soft_scene: Scene, soft_stage: Usd.Stage) -> None:
    rope, prim = soft_scene.objects[1].body, soft_stage.GetPrimAtPath("/World/rope/particles")
    particles = rope.particles
    assert particles is not None

    curve = UsdGeom.BasisCurves(prim)
    assert curve.GetTypeAttr().Get() == "linear"
    assert list(curve.GetCurveVertexCountsAttr().Get()) == [len(particles)]
    assert list(curve.GetWidthsAttr().Get()) == pytest.approx([2 * particles.radius])
    assert list(prim.GetAttribute("physics:thicknesses").Get()) == pytest.approx([2 * particles.radius])
    assert np.array_equal(prim.GetAttribute("scene3d:edges").Get(), particles.edges)


def test_binding_stays_with_the_splats(soft_scene: Scene, soft_stage: Usd.Stage) -> None:
    for name, thing in zip(("toy", "rope"), soft_scene.objects, strict=True):
        prim, binding = soft_stage.GetPrimAtPath(f"/World/{name}/splat"), thing.binding
        assert binding is not None
        indices = prim.GetAttribute("scene3d:binding:indices")
        k = indices.GetMetadata("elementSize")
        assert np.array_equal(np.array(indices.Get()).reshape(-1, k), binding.indices)
        weights = np.array(prim.GetAttribute("scene3d:binding:weights").Get()).reshape(-1, k)
        assert np.array_equal(weights, binding.weights)


def test_cloths_are_surfaces(tiny_scene: Scene, tmp_path: Path) -> None:
    box = tiny_scene.objects[0]
    corners = np.array([[0.0, 0, 0], [0.1, 0, 0], [0.1, 0.1, 0], [0, 0.1, 0]])
    sheet = Particles(
        "cloth",
        corners,
        np.full(4, 0.01),
        np.array([[0, 1], [1, 2], [2, 3], [3, 0], [0, 2]]),
        np.array([[0, 1, 2], [0, 2, 3]]),
        0.001,
    )
    splats = tiny_scene.splats[tiny_scene.splats.component_index <= 1]
    count = int((splats.component_index == 1).sum())
    binding = Binding(np.zeros((count, 1), np.int32), np.ones((count, 1), np.float32))
    body = replace(box.body, particles=sheet, material=find_material("cloth"))
    cloth = SceneObject(body, box.T_world_body, kind="deformable", binding=binding)

    stage = Usd.Stage.Open(
        str(export_usd(replace(tiny_scene, splats=splats, objects=(cloth,)), tmp_path / "c.usda").path)
    )

    prim = stage.GetPrimAtPath("/World/box/particles")
    assert prim.GetTypeName() == "Mesh"
    assert "PhysicsSurfaceDeformableSimAPI" in prim.GetMetadata("apiSchemas").GetAppliedItems()
    assert list(prim.GetAttribute("physics:thicknesses").Get()) == pytest.approx([0.002])
    assert list(UsdGeom.Mesh(prim).GetFaceVertexIndicesAttr().Get()) == [0, 1, 2, 0, 2, 3]


def test_deformables_without_particles_are_refused(tiny_scene: Scene, tmp_path: Path) -> None:
    objects = tuple(replace(thing, kind="deformable") for thing in tiny_scene.objects)

    with pytest.raises(UsageError, match="'box' is deformable but has no particles"):
        export_usd(replace(tiny_scene, objects=objects), tmp_path / "tiny.usdc")

    assert list(tmp_path.iterdir()) == []


def bent(scene: Scene, times: int) -> Rollout:
    """A recording in which the rope alone moves: it rises at one end."""
    world = scene_world(scene)
    states = [scene_state(scene, world) for _ in range(times)]
    first = len(scene.objects[0].body.particles or ())
    for number, state in enumerate(states):
        rope = state.x[0, first:]
        rope[:, 2] += 0.02 * number * torch.linspace(0, 1, len(rope))

    def stacked(name: str) -> torch.Tensor:
        return torch.stack([getattr(state, name) for state in states], dim=1)

    parts: dict[str, Any] = {
        name: stacked(name) for name in State.__dataclass_fields__ if getattr(states[0], name) is not None
    }
    return Rollout(**parts, overlap=torch.zeros(1, times), dt=1 / 60)


def test_recorded_deformables_move_their_particles_and_splats(soft_scene: Scene, tmp_path: Path) -> None:
    thing = soft_scene.objects[1]
    particles, binding = thing.body.particles, thing.binding
    assert particles is not None and binding is not None

    exported = export_usd(soft_scene, tmp_path / "bent.usdc", rollout=bent(soft_scene, 3))

    stage = Usd.Stage.Open(str(exported.path))
    splat, curve = stage.GetPrimAtPath("/World/rope/splat"), stage.GetPrimAtPath("/World/rope/particles")
    assert splat.GetAttribute("positions").GetTimeSamples() == [0.0, 1.0, 2.0]
    assert splat.GetAttribute("scales").GetNumTimeSamples() == 0
    x = np.array(curve.GetAttribute("points").Get(2.0), dtype=np.float64)
    raised = x - particles.points
    assert raised[:, 2] == pytest.approx(0.04 * np.linspace(0, 1, len(x)), abs=2e-4)
    splats = soft_scene.splats[soft_scene.splats.component_index == 2]
    expected = deform(splats, binding, particles, torch.from_numpy(x))
    assert np.array(splat.GetAttribute("positions").Get(2.0)) == pytest.approx(expected.means.numpy(), abs=1e-5)
    extent = np.array(splat.GetAttribute("extent").Get(2.0))
    assert extent[1, 2] > np.array(splat.GetAttribute("extent").Get(0.0))[1, 2] + 0.02
    # What keeps its shape has no samples.
    assert stage.GetPrimAtPath("/World/toy/splat").GetAttribute("positions").GetNumTimeSamples() == 0
    assert stage.GetPrimAtPath("/World/toy/particles").GetAttribute("points").GetNumTimeSamples() == 0
