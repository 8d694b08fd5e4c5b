"""Materials as prims: `dynamics.Material` -> UsdShade.Material with what rigid and deformable solvers read.

Coulomb's coefficient is one number here, so static and dynamic friction are equal. Two bodies that touch bounce as the
livelier of them, which PhysX is told; spreads, for which USD has no words, stay in `customData`. Deformables get their
stiffness twice: in the names of the AOUSD proposal, which Newton reads, and in those of OmniPhysics, which Isaac Sim
reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim_bridge.usd._prim_names import prim_names
from sim_bridge.usd._prims import apply_schema, author, describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dynamics import Body, Material

__all__ = ["write_materials"]

FOLDER = "/World/Materials"


def write_materials(stage: Any, bodies: Sequence[Body]) -> Mapping[tuple[Material, str], Any]:
    """One prim for each material and family of solver that uses it.

    Args:
        stage: `Usd.Stage`.
        bodies: Whose materials are needed.

    Returns:
        `UsdShade.Material` by material and family, as `family` names it.
    """
    from pxr import UsdGeom

    UsdGeom.Scope.Define(stage, FOLDER)
    wanted = list(dict.fromkeys((body.material, family(body)) for body in bodies))
    titles = [material.name if kind == "rigid" else f"{material.name}-{kind}" for material, kind in wanted]
    names = prim_names(titles, otherwise="material")
    by_body = {(body.material, family(body)): body for body in reversed(bodies)}
    return {
        key: _written(stage, f"{FOLDER}/{name}", key[0], key[1], by_body[key])
        for key, name in zip(wanted, names, strict=True)
    }


def family(body: Body) -> str:
    """Which solver moves a body: ``rigid``, ``solid``, ``rope`` or ``cloth``."""
    return "rigid" if body.particles is None else body.particles.kind


def _written(stage: Any, path: str, material: Material, kind: str, body: Body) -> Any:
    from pxr import Sdf, UsdPhysics, UsdShade

    shade = UsdShade.Material.Define(stage, path)
    prim = shade.GetPrim()
    describe(
        prim,
        material.name,
        density=material.density,
        density_log_std=material.density_log_std,
        friction=material.friction,
        friction_log_std=material.friction_log_std,
        restitution=material.restitution,
        restitution_std=material.restitution_std,
        youngs_modulus=material.youngs_modulus,
        youngs_modulus_log_std=material.youngs_modulus_log_std,
        poisson_ratio=material.poisson_ratio,
    )
    physics = UsdPhysics.MaterialAPI.Apply(prim)
    physics.CreateStaticFrictionAttr(material.friction)
    physics.CreateDynamicFrictionAttr(material.friction)
    physics.CreateRestitutionAttr(material.restitution)
    physics.CreateDensityAttr(material.density)
    apply_schema(prim, "PhysxMaterialAPI")
    author(prim, "physxMaterial:restitutionCombineMode", Sdf.ValueTypeNames.Token, "max", uniform=True)
    if kind != "rigid":
        _write_soft(prim, material, kind, body)
    return shade


STIFFNESS = 1e6
"""Of a deformable whose material has none [Pa]."""
SCHEMAS = {"solid": "Volume", "rope": "Curves", "cloth": "Surface"}


def _write_soft(prim: Any, material: Material, kind: str, body: Body) -> None:
    from pxr import Sdf

    word = SCHEMAS[kind]
    modulus = STIFFNESS if material.youngs_modulus is None else material.youngs_modulus
    omni = ("OmniPhysicsDeformableMaterialAPI",) if kind == "solid" else (f"OmniPhysics{word}DeformableMaterialAPI",)
    apply_schema(prim, f"Physics{word}DeformableMaterialAPI", *omni)
    values = {"youngsModulus": modulus, "poissonsRatio": material.poisson_ratio}
    for name, value in values.items():
        author(prim, f"physics:{name}", Sdf.ValueTypeNames.Float, value)
        author(prim, f"omniphysics:{name}", Sdf.ValueTypeNames.Float, value)
    for name, value in {
        "density": material.density,
        "dynamicFriction": material.friction,
        "staticFriction": material.friction,
    }.items():
        author(prim, f"omniphysics:{name}", Sdf.ValueTypeNames.Float, value)
    thickness = 2 * body.particles.radius if body.particles is not None else 0.0
    if kind == "rope":
        author(prim, "omniphysics:curveThickness", Sdf.ValueTypeNames.Float, thickness)
    elif kind == "cloth":
        author(prim, "omniphysics:surfaceThickness", Sdf.ValueTypeNames.Float, thickness)
