"""A twin on a stage: the layer's metadata, gravity, and every prim below /World, in a fixed order.

    /World/PhysicsScene            gravity
    /World/Materials/NAME          friction, restitution, density; of deformables stiffness as well
    /World/Background/splat        what stands around; beside it the tops of supports and the floor, as static boxes
    /World/OBJECT                  Xform with a translation and a rotation: rigid body, its mass, its semantic label;
                                   one that stands still has the same but is no rigid body
    /World/OBJECT/colliders/...    convex parts or spheres; in a deformable they touch nothing
    /World/OBJECT/surface          the closed mesh where it is more than a part, invisible; `unseen`: faces made up
    /World/OBJECT/particles        of a deformable: TetMesh, BasisCurves or Mesh
    /World/OBJECT/splat            ParticleField3DGaussianSplat in the body's frame
    /World/Joints/NAME             if there are any
    /World/Cameras/NAME            what took the photos

What USD has no words for is in `customLayerData["scene3d"]` and in each prim's `customData["scene3d"]`. The same input
gives the same stage, byte for byte as text: no dates, no names of machines or of their folders.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sim_bridge.usd._body_prims import write_rigid, write_static, write_unseen
from sim_bridge.usd._camera_prims import write_cameras
from sim_bridge.usd._deformable_prims import write_deformable
from sim_bridge.usd._joint_prims import write_articulations, write_filters, write_joints
from sim_bridge.usd._material_prims import family, write_materials
from sim_bridge.usd._prim_names import RESERVED, prim_names
from sim_bridge.usd._prims import author, describe, plain
from sim_bridge.usd._recorded_prims import count_time, ride, write_path, write_shape_path
from sim_bridge.usd._splat_files import Cloud
from sim_bridge.usd._splat_prims import splat_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scene3d import Scene
    from sim_bridge.usd._twin import Twin

__all__ = ["Written", "write_stage"]

VERSION = 1
"""Of what `customLayerData` and `customData` hold."""
FLOOR_SIDES = (10.0, 10.0, 1.0)
"""A half-space as a box [m]: every engine reads it, nothing falls through in a step, and PhysX cooks no flatter one."""


@dataclass(frozen=True, eq=False)
class Written:
    """What was put on a stage."""

    stage: Any
    """`Usd.Stage`, in memory."""
    names: tuple[str, ...]
    """Of the objects' prims below /World, in the scene's order."""
    clouds: tuple[Cloud, ...]
    """Splats whose prims are not defined yet, since they may go to files of their own."""
    notes: tuple[str, ...] = field(default=())
    """What the user should know."""


def write_stage(scene: Scene, twin: Twin, *, spheres: bool = False) -> Written:
    """Everything but the splats.

    Args:
        scene: What to export.
        twin: From `make_twin`.
        spheres: Spheres packed into the bodies in place of convex parts.
    """
    stage = _new_stage(scene, twin)
    names = prim_names([thing.name for thing in scene.objects], RESERVED)
    if twin.paths is not None:
        count_time(stage, len(twin.paths), twin.dt)
    materials = write_materials(stage, twin.bodies)
    standing = prim_names([body.name for body in twin.bodies[len(names) :]], ["splat"], otherwise="support")
    paths = [f"/World/{name}" for name in names] + [f"/World/Background/{name}" for name in standing]
    _write_background(stage, scene, twin, materials, paths)
    for index in range(len(names)):
        _write_object(stage, paths[index], scene, twin, index, materials, spheres)
    write_joints(stage, twin.joints, paths, twin.poses)
    led = {index for index, thing in enumerate(scene.objects) if thing.body.motion != "dynamic"}
    moving = {index for index, body in enumerate(twin.bodies) if body.motion == "dynamic"} - led
    write_articulations(stage, twin.joints, paths, moving)
    write_filters(stage, twin.no_contact, paths)
    write_cameras(stage, scene.views, twin.T_stage_world)
    clouds, lost = _clouds(scene, twin, names)
    renamed = [
        f"{thing.name!r} is {name}" for thing, name in zip(scene.objects, names, strict=True) if thing.name != name
    ]
    notes = [f"Names of prims are ASCII letters, digits and underscores: {', '.join(renamed)}."] if renamed else []
    if lost:
        notes.append(f"{lost} splats hold numbers that are not finite and are left out.")
    return Written(stage, names, tuple(clouds), tuple(notes))


def _new_stage(scene: Scene, twin: Twin) -> Any:
    from pxr import Gf, Kind, Sdf, Usd, UsdGeom, UsdPhysics

    stage = Usd.Stage.CreateInMemory("scene.usda")
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    world = UsdGeom.Xform.Define(stage, "/World").GetPrim()
    stage.SetDefaultPrim(world)
    Usd.ModelAPI(world).SetKind(Kind.Tokens.assembly)
    layer = {
        "version": VERSION,
        "metric": scene.metric,
        "up": "Z",
        "scale_source": scene.scale_source,
        "filled": scene.filled,
        "metrics": {name: value for name, value in scene.metrics.items() if isinstance(value, (bool, int, float, str))},
    }
    stage.GetRootLayer().customLayerData = {"scene3d": plain(layer)}
    physics = UsdPhysics.Scene.Define(stage, "/World/PhysicsScene")
    physics.CreateGravityDirectionAttr(Gf.Vec3f(0, 0, -1))
    physics.CreateGravityMagnitudeAttr(twin.gravity)
    # With one contact for each pair of hulls a box walks; MuJoCo, also inside Newton, finds more when it is asked.
    author(physics.GetPrim(), "mjc:flag:multiccd", Sdf.ValueTypeNames.Bool, True)
    return stage


def _write_background(stage: Any, scene: Scene, twin: Twin, materials: Mapping[Any, Any], paths: Sequence[str]) -> None:
    """What only stands: colliders beside the splats of the background."""
    from dynamics import TriangleMesh

    prim = _xform(stage, "/World/Background")
    describe(prim, "background")
    _label(prim, "background")
    _component(prim)
    for index in range(len(scene.objects), len(twin.bodies)):
        body, mesh, pose = twin.bodies[index], twin.bodies[index].mesh, twin.poses[index]
        is_floor = body.primitive is not None and body.primitive.kind == "plane"
        if is_floor:
            corners = np.where(mesh.vertices > mesh.vertices.mean(axis=0), 0.5, -0.5) * FLOOR_SIDES
            mesh = TriangleMesh(corners - [0, 0, FLOOR_SIDES[2] / 2], mesh.faces)
        placed = write_static(stage, paths[index], pose, mesh, materials[(body.material, "rigid")])
        number = index - len(scene.objects)
        described: dict[str, Any] = {"kind": "floor"} if is_floor else _support(scene, twin, number)
        describe(placed, body.name, **described)


def _support(scene: Scene, twin: Twin, number: int) -> dict[str, Any]:
    """A support's measures in the stage; the slab is a rectangle around its outline."""
    if number >= len(scene.supports):
        return {"kind": "static"}
    support, R = scene.supports[number], twin.T_stage_world[:3, :3]
    return {
        "kind": "support",
        "normal": R @ support.normal,
        "offset": float(support.offset),
        "noise": float(support.noise),
        "outline": support.outline @ R.T,
    }


def _write_object(
    stage: Any, path: str, scene: Scene, twin: Twin, index: int, materials: Mapping[Any, Any], spheres: bool
) -> None:
    from pxr import UsdGeom

    thing, body, pose = scene.objects[index], twin.bodies[index], twin.poses[index]
    material = materials[(body.material, family(body))]
    if thing.kind == "deformable":
        prim = write_deformable(stage, path, body, pose, material)
    else:
        if thing.body.motion == "kinematic":  # A world frees what nothing drives; a stage can say what it is.
            body = body.with_motion("kinematic")
        prim = write_rigid(stage, path, body, pose, material, spheres=spheres)
    describe(
        prim,
        thing.name,
        kind=thing.kind,
        motion="static" if thing.body.motion == "static" else None,
        confidence=float(thing.confidence),
        guessed=thing.guessed,
        mass_log_std=body.mass_log_std,
        material=material.GetPrim().GetName(),
        # In full precision; a deformable has no MassAPI that would hold them at all.
        mass=body.mass,
        com=body.com,
        inertia=body.inertia,
    )
    _label(prim, thing.name)
    _component(prim)
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath(f"{path}/{'surface' if body.parts or spheres else 'colliders/part_000'}"))
    if len(thing.unseen) == len(body.mesh.faces):
        write_unseen(mesh, thing.unseen)
    if twin.paths is not None:
        write_path(prim, twin.paths[:, index])
    if index in twin.shapes:
        write_shape_path(stage.GetPrimAtPath(f"{path}/particles"), twin.shapes[index])


def _clouds(scene: Scene, twin: Twin, names: Sequence[str]) -> tuple[list[Cloud], int]:
    """Splats of the background and of each object, but for what has none; and how many are left out."""
    clouds: list[Cloud] = []
    lost = 0
    for component, name in enumerate(["Background", *names]):
        chosen = scene.splats.component_index == component
        splats = scene.splats if chosen.all() else scene.splats[chosen]
        arrays, kept = splat_arrays(splats)
        lost += len(splats) - len(arrays)
        if not len(arrays):
            continue
        cloud = Cloud(f"/World/{name}/splat", arrays)
        if component:
            cloud = ride(cloud, scene.objects[component - 1], splats, kept, twin.shapes.get(component - 1))
        elif twin.is_turned:
            cloud = replace(cloud, pose=twin.turn)
        clouds.append(cloud)
    return clouds, lost


def _xform(stage: Any, path: str) -> Any:
    from pxr import UsdGeom

    return UsdGeom.Xform.Define(stage, path).GetPrim()


def _component(prim: Any) -> None:
    from pxr import Kind, Usd

    Usd.ModelAPI(prim).SetKind(Kind.Tokens.component)


def _label(prim: Any, label: str) -> None:
    """What a semantic segmentation calls it."""
    from pxr import UsdSemantics

    UsdSemantics.LabelsAPI.Apply(prim, "class").CreateLabelsAttr([label])
