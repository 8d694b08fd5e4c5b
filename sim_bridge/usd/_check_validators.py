"""The validators that come with USD -> findings, each with a hint for mending that their messages lack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim_bridge.usd._check_finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim_bridge.usd._read_stage import OpenedStage

__all__ = ["check_validators"]

FOLLOWS_FILES = ("usdUtilsValidators:MissingReferenceValidator",)
"""Validators that open whatever the stage names; they run only when nothing leads out of its folder."""
HINTS = {
    "MissingDefaultPrim": "Set the stage's defaultPrim, e.g. to /World: stage.SetDefaultPrim(prim).",
    "MissingMetersPerUnitMetadata": "Say how long a unit is: UsdGeom.SetStageMetersPerUnit(stage, 1.0) for metres.",
    "MissingUpAxisMetadata": 'Say what is up: UsdGeom.SetStageUpAxis(stage, "Z").',
    "InvalidNestedGprims": "Put an Xform between the two: geometry must not lie below geometry.",
    "RigidBodyNonXformable": "A rigid body must be an Xform or geometry: change the type of the prim.",
    "RigidBodyOrientationScale": "Apply the uneven scale to the geometry and remove it from the body.",
    "RigidBodyNonInstanceable": "Remove `instanceable` from the body, or from what it is an instance of.",
    "ColliderNonUniformScale": "Apply the uneven scale to the shape: engines cannot collide a squeezed ball.",
    "ColliderPlaneDynamic": "A plane has no end and cannot move: use a box.",
    "ColliderSpherePointsDataMissing": "Author a centre and a radius for each sphere.",
    "MassInvalidValues": "Give a mass above zero, in the stage's unit of mass.",
    "DensityInvalidValues": "Give a density above zero, or leave it out and give a mass.",
    "InertiaInvalidValues": "Give three principal moments above zero, none larger than the sum of the others.",
    "JointInvalidPrimRel": "Let body0 and body1 of the joint name prims that are there.",
    "JointMultiplePrimsRel": "Let body0 and body1 of the joint name one prim each.",
    "JointNoEnabledRigidBody": "Apply RigidBodyAPI to one of the bodies that the joint joins.",
    "JointRelNotXformable": "Let the joint join Xforms or geometry.",
    "NestedArticulation": "Keep one ArticulationRootAPI per tree of bodies.",
    "UnresolvableDependency": "Put the file where the stage looks for it, or remove the reference.",
    "LayerNotInPackage": "Pack again with usdzip, so that the package holds every layer.",
    "AssetNotInPackage": "Pack again with usdzip, so that the package holds every file.",
    "InvalidLayerInPackage": "Keep to .usda, .usdc and .usd inside of a package.",
    "UnsupportedFileExtensionInPackage": "Keep to layers, images (.png, .jpg, .exr) and sounds inside of a package.",
    "ByteMisalignment": "Pack again with usdzip or UsdUtils.CreateNewUsdzPackage, which align members to 64 bytes.",
    "CompressionDetected": "Pack again without compression, with usdzip or UsdUtils.CreateNewUsdzPackage.",
    "EncryptionDetected": "Pack again without encryption, with usdzip or UsdUtils.CreateNewUsdzPackage.",
    "MissingMaterialBindingAPI": "Apply MaterialBindingAPI to the prim: UsdShade.MaterialBindingAPI.Apply(prim).",
    "MaterialBindingPropNotARel": "Make material:binding a relationship.",
    "AttributeTypeMismatch": "Author the attribute again with the type that its schema gives.",
    "CompositionError": "Mend the reference, payload or sublayer that the message names.",
}
"""By the name of the error, without that of its validator."""


def check_validators(opened: OpenedStage) -> Iterator[Finding]:
    """Run all validators of UsdValidation that apply to a stage.

    Args:
        opened: The stage.
    """
    from pxr import UsdValidation

    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    if opened.outside:
        validators = [each for each in validators if each.GetMetadata().name not in FOLLOWS_FILES]
    for error in UsdValidation.ValidationContext(validators).Validate(opened.stage):
        kind = error.GetType()
        if kind in (UsdValidation.ValidationErrorType.None_, UsdValidation.ValidationErrorType.Info):
            continue
        name = str(error.GetName())
        severity = "error" if kind == UsdValidation.ValidationErrorType.Error else "warning"
        hint = HINTS.get(name, f"See USD's documentation of {error.GetIdentifier()}.")
        yield Finding(severity, f"usd:{name}", _where(error, opened), _plain(error.GetMessage(), opened), hint)


def _where(error: Any, opened: OpenedStage) -> str:
    for site in error.GetSites():
        prim = site.GetPrim()
        if prim and not prim.IsPseudoRoot():
            return str(prim.GetPath())
    return opened.path.name


def _plain(message: str, opened: OpenedStage) -> str:
    """One line, with paths of files relative to the stage's folder."""
    return " ".join(message.split()).replace(f"{opened.path.resolve().parent}/", "")
