"""What many prims share: a pose in two operations, a name that people read, a mesh, a physics material.

A pose is exactly `xformOp:translate` and `xformOp:orient`, in double precision, which simulators and their loaders set
and read; nothing here has a scale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from dynamics import TriangleMesh

__all__ = ["apply_schema", "author", "bind_physics", "describe", "hidden", "plain", "set_pose", "vectors", "write_mesh"]


def set_pose(prim: Any, pose: ArrayLike) -> None:
    """Give a prim its pose xyz [m] + wxyz, shape (7,), as a translation and a rotation."""
    from pxr import Gf, UsdGeom

    # Adding zero makes -0 a plain 0, which reads better.
    x, y, z, w, *v = (np.asarray(pose, dtype=np.float64) + 0.0).tolist()
    xform = UsdGeom.Xformable(prim)
    xform.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(x, y, z))
    xform.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(w, *v))


def describe(prim: Any, name: str, **values: Any) -> None:
    """Say what people call the prim, and keep what USD has no attribute for.

    Args:
        prim: The prim.
        name: The true name.
        values: Numbers, strings, sequences of them; None is left out.
    """
    prim.SetDisplayName(name)
    prim.SetCustomDataByKey("scene3d", plain({"name": name, **values}))


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """A dictionary as USD stores it: numbers, strings, dictionaries and arrays."""
    from pxr import Vt

    kept: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, (list, tuple)):
            value = Vt.StringArray([str(each) for each in value])
        elif isinstance(value, np.ndarray):
            array = np.ascontiguousarray(value, dtype=np.float64)
            value = Vt.DoubleArray.FromNumpy(array) if array.ndim == 1 else Vt.Vec3dArray.FromNumpy(array)
        elif isinstance(value, dict):
            value = plain(value)
        if value is not None:
            kept[name] = value
    return kept


def vectors(values: ArrayLike) -> Any:
    """Rows (N, 3) as a `Vt.Vec3fArray`."""
    from pxr import Vt

    return Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(values, dtype=np.float32))


def author(prim: Any, name: str, kind: Any, value: Any, *, uniform: bool = False) -> Any:
    """Author an attribute that this version of USD may not know.

    Args:
        prim: The prim.
        name: Of the attribute.
        kind: From `Sdf.ValueTypeNames`.
        value: What it holds.
        uniform: Whether it never changes with time.
    """
    from pxr import Sdf

    variability = Sdf.VariabilityUniform if uniform else Sdf.VariabilityVarying
    attribute = prim.CreateAttribute(name, kind, custom=False, variability=variability)
    attribute.Set(value)
    return attribute


def apply_schema(prim: Any, *names: str) -> None:
    """Apply schemas that this version of USD may not know."""
    for name in names:
        prim.AddAppliedSchema(name)


def write_mesh(stage: Any, path: str, mesh: TriangleMesh, *, purpose: str = "guide") -> Any:
    """A mesh without subdivision and with its box; returns the `UsdGeom.Mesh`."""
    from pxr import UsdGeom, Vt

    prim = UsdGeom.Mesh.Define(stage, path)
    points = np.ascontiguousarray(mesh.vertices, dtype=np.float32)
    prim.CreatePointsAttr(vectors(points))
    prim.CreateFaceVertexCountsAttr(Vt.IntArray(len(mesh.faces), 3))
    prim.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(mesh.faces.ravel(), dtype=np.int32)))
    prim.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    prim.CreateExtentAttr(vectors(np.stack([points.min(axis=0), points.max(axis=0)])))
    prim.CreatePurposeAttr(purpose)
    return prim


def bind_physics(prim: Any, material: Any) -> None:
    """Bind a `UsdShade.Material` for physics alone, so that it never colours anything."""
    from pxr import UsdShade

    binding = UsdShade.MaterialBindingAPI.Apply(prim)
    binding.Bind(material, UsdShade.Tokens.weakerThanDescendants, "physics")


def hidden(prim: Any) -> None:
    """Never draw the prim."""
    from pxr import UsdGeom

    UsdGeom.Imageable(prim).CreateVisibilityAttr(UsdGeom.Tokens.invisible)
