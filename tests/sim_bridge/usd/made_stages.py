"""Stages made by hand with pxr, as other programs make them: what checks and import are tried on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade, UsdVol, Vt

SIDES = (0.2, 0.1, 0.06)
"""Of the box [m]."""
MASS = 0.3
"""Of the box [kg]."""


def new_stage(path: Path, *, up: str | None = "Z", metres: float | None = 1.0) -> Any:
    """An empty stage with /World; saved by `save`."""
    stage = Usd.Stage.CreateInMemory()
    if up is not None:
        UsdGeom.SetStageUpAxis(stage, up)
    if metres is not None:
        UsdGeom.SetStageMetersPerUnit(stage, metres)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    stage.SetMetadata("comment", path.name)
    return stage


def save(stage: Any, path: Path) -> Path:
    """Write a stage's root layer."""
    assert stage.GetRootLayer().Export(str(path))
    return path


def some_splats(count: int = 40, degree: int = 1, seed: int = 0) -> dict[str, np.ndarray]:
    """Random splats as the schema stores them; orientations wxyz."""
    rng = np.random.default_rng(seed)
    quats = rng.normal(size=(count, 4))
    return {
        "positions": rng.uniform(-0.5, 0.5, (count, 3)).astype(np.float32),
        "scales": np.exp(rng.uniform(-5, -3, (count, 3))).astype(np.float32),
        "orientations": (quats / np.linalg.norm(quats, axis=1, keepdims=True)).astype(np.float32),
        "opacities": rng.uniform(0.05, 0.95, count).astype(np.float32),
        "harmonics": rng.normal(size=(count, (degree + 1) ** 2, 3)).astype(np.float32),
    }


def add_splats(stage: Any, path: str, arrays: dict[str, np.ndarray], *, half: bool = False, whole: bool = True) -> Any:
    """A ParticleField3DGaussianSplat with the arrays; ``whole`` adds degree, extent and colour space."""
    prim = UsdVol.ParticleField3DGaussianSplat.Define(stage, path).GetPrim()
    end, bits = ("h", np.float16) if half else ("", np.float32)
    vec, quat, one = (
        (Vt.Vec3hArray, Vt.QuathArray, Vt.HalfArray) if half else (Vt.Vec3fArray, Vt.QuatfArray, Vt.FloatArray)
    )
    xyzw = np.ascontiguousarray(arrays["orientations"][:, [1, 2, 3, 0]])
    prim.GetAttribute(f"positions{end}").Set(vec.FromNumpy(arrays["positions"].astype(bits)))
    prim.GetAttribute(f"scales{end}").Set(vec.FromNumpy(arrays["scales"].astype(bits)))
    prim.GetAttribute(f"orientations{end}").Set(quat.FromNumpy(xyzw.astype(bits)))
    prim.GetAttribute(f"opacities{end}").Set(one.FromNumpy(arrays["opacities"].astype(bits)))
    harmonics = arrays["harmonics"].reshape(-1, 3)
    prim.GetAttribute(f"radiance:sphericalHarmonicsCoefficients{end}").Set(vec.FromNumpy(harmonics.astype(bits)))
    if whole:
        degree = round(arrays["harmonics"].shape[1] ** 0.5) - 1
        prim.GetAttribute("radiance:sphericalHarmonicsDegree").Set(degree)
        reach = 3 * arrays["scales"].max(axis=1, keepdims=True)
        low, high = (arrays["positions"] - reach).min(axis=0), (arrays["positions"] + reach).max(axis=0)
        prim.GetAttribute("extent").Set(Vt.Vec3fArray.FromNumpy(np.stack([low, high])))
        Usd.ColorSpaceAPI.Apply(prim).CreateColorSpaceNameAttr("srgb_rec709_display")
    return prim


def add_mesh(stage: Any, path: str, sides: tuple[float, float, float], *, approximation: str | None) -> Any:
    """A box of quads as a Mesh that collides."""
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]) * sides
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(corners.astype(np.float32)))
    mesh.CreateFaceVertexCountsAttr([4] * 6)
    mesh.CreateFaceVertexIndicesAttr([i for quad in quads for i in quad])
    mesh.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(corners[[0, -1]].astype(np.float32)))
    mesh.CreateSubdivisionSchemeAttr("none")
    UsdPhysics.CollisionAPI.Apply(mesh.GetPrim())
    if approximation is not None:
        UsdPhysics.MeshCollisionAPI.Apply(mesh.GetPrim()).CreateApproximationAttr(approximation)
    return mesh.GetPrim()


def add_material(stage: Any, path: str, *, friction: float = 0.6, restitution: float = 0.1, density: float = 0) -> Any:
    """A material for physics alone."""
    material = UsdShade.Material.Define(stage, path)
    physics = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    physics.CreateStaticFrictionAttr(friction)
    physics.CreateDynamicFrictionAttr(friction)
    physics.CreateRestitutionAttr(restitution)
    if density:
        physics.CreateDensityAttr(density)
    return material


def bind(prim: Any, material: Any) -> None:
    """Bind a material for physics."""
    UsdShade.MaterialBindingAPI.Apply(prim).Bind(material, UsdShade.Tokens.weakerThanDescendants, "physics")


def add_mass(prim: Any, *, mass: float = MASS, com: Any = (0, 0, 0), moments: Any = None) -> None:
    """The whole of MassAPI; moments are those of the box unless given."""
    x, y, z = SIDES
    own = (mass / 12 * (y * y + z * z), mass / 12 * (x * x + z * z), mass / 12 * (x * x + y * y))
    api = UsdPhysics.MassAPI.Apply(prim)
    api.CreateMassAttr(mass)
    api.CreateCenterOfMassAttr(Gf.Vec3f(*com))
    api.CreateDiagonalInertiaAttr(Gf.Vec3f(*(own if moments is None else moments)))
    api.CreatePrincipalAxesAttr(Gf.Quatf(1, 0, 0, 0))


def add_body(stage: Any, path: str, *, place: Any = (0.1, 0.2, 0.5), shape: bool = True) -> Any:
    """A rigid box with everything that engines want."""
    xform = UsdGeom.Xform.Define(stage, path)
    xform.AddTranslateOp().Set(Gf.Vec3d(*place))
    xform.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(1, 0, 0, 0))
    prim = xform.GetPrim()
    UsdPhysics.RigidBodyAPI.Apply(prim)
    add_mass(prim)
    prim.ApplyAPI("SemanticsLabelsAPI", "class")
    prim.CreateAttribute("semantics:labels:class", Sdf.ValueTypeNames.TokenArray).Set([path.rsplit("/", 1)[-1]])
    if shape:
        UsdGeom.Xform.Define(stage, f"{path}/colliders")
        add_mesh(stage, f"{path}/colliders/part", SIDES, approximation="convexHull")
    return prim


def sound_stage(path: Path) -> Any:
    """A stage with nothing wrong: a box above a ground, with splats, friction and gravity."""
    stage = new_stage(path)
    scene = UsdPhysics.Scene.Define(stage, "/World/PhysicsScene")
    scene.CreateGravityDirectionAttr(Gf.Vec3f(0, 0, -1))
    scene.CreateGravityMagnitudeAttr(9.81)
    material = add_material(stage, "/World/Materials/wood")
    ground = add_mesh(stage, "/World/ground", (4, 4, 0.1), approximation="convexHull")
    UsdGeom.Xformable(ground).AddTranslateOp().Set(Gf.Vec3d(0, 0, -0.05))
    bind(ground, material)
    add_body(stage, "/World/box")
    bind(stage.GetPrimAtPath("/World/box/colliders/part"), material)
    add_splats(stage, "/World/box/splat", some_splats())
    add_splats(stage, "/World/room", some_splats(seed=1))
    return stage


def converter_stage(path: Path, arrays: dict[str, np.ndarray], up: str = "Y") -> Path:
    """Splats alone, laid out as usd-convert-gsplat does: one prim is root, splats and defaultPrim."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    prim = add_splats(stage, f"/{path.stem}", arrays, whole=False)
    stage.SetDefaultPrim(prim)
    count, per_splat, _ = arrays["harmonics"].shape
    prim.GetAttribute("radiance:sphericalHarmonicsDegree").Set(round(per_splat**0.5) - 1)
    colours = prim.GetAttribute("radiance:sphericalHarmonicsCoefficients")
    colours.SetMetadata("elementSize", per_splat)
    colours.SetMetadata("interpolation", "vertex")
    shown = UsdGeom.PrimvarsAPI(prim).CreatePrimvar("displayColor", Sdf.ValueTypeNames.Color3fArray, "vertex")
    shown.Set(Vt.Vec3fArray.FromNumpy(np.full((count, 3), 0.25, dtype=np.float32)))
    bounds = np.stack([arrays["positions"].min(axis=0), arrays["positions"].max(axis=0)])
    prim.GetAttribute("extent").Set(Vt.Vec3fArray.FromNumpy(bounds))
    return save(stage, path)
