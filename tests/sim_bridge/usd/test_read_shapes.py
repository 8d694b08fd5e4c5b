"""Shapes of stages as meshes: closed, of the right volume, the right way out, whatever the axis and the transform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pxr import Usd, UsdGeom, Vt

from dynamics import TriangleMesh, mass_properties
from scene3d._errors import FileFormatError
from sim_bridge.usd._read_shapes import hull_mesh, read_shape
from sim_bridge.usd._read_values import StageReader, Units

EYE = np.eye(4)


def _reader(stage: Any) -> StageReader:
    return StageReader(Path("shapes.usda"), stage, Units(1.0, 1.0, "Z", True))


def _read(kind: str, matrix: np.ndarray = EYE, *, fine: bool = True, **values: Any) -> TriangleMesh:
    stage = Usd.Stage.CreateInMemory()
    prim = stage.DefinePrim("/shape", kind)
    for name, value in values.items():
        prim.GetAttribute(name).Set(value)
    return read_shape(_reader(stage), prim, matrix, fine=fine)


CASES: list[tuple[str, dict[str, Any], float, tuple[float, float, float]]] = [
    ("Cube", {"size": 0.3}, 0.3**3, (0.3, 0.3, 0.3)),
    ("Sphere", {"radius": 0.2}, 4 / 3 * np.pi * 0.2**3, (0.4, 0.4, 0.4)),
    ("Cylinder", {"radius": 0.1, "height": 0.5, "axis": "X"}, np.pi * 0.1**2 * 0.5, (0.5, 0.2, 0.2)),
    ("Cylinder_1", {"radiusBottom": 0.1, "radiusTop": 0.2, "height": 0.3}, np.pi * 0.3 / 3 * 0.07, (0.4, 0.4, 0.3)),
    ("Cone", {"radius": 0.1, "height": 0.6, "axis": "Y"}, np.pi * 0.1**2 * 0.2, (0.2, 0.6, 0.2)),
    ("Capsule", {"radius": 0.1, "height": 0.4}, np.pi * 0.01 * 0.4 + 4 / 3 * np.pi * 0.001, (0.2, 0.2, 0.6)),
]


@pytest.mark.parametrize(("kind", "values", "volume", "sides"), CASES, ids=[case[0] for case in CASES])
def test_shapes_have_their_volume(kind: str, values: dict[str, Any], volume: float, sides: Any) -> None:
    mesh = _read(kind, **values)
    assert mass_properties(mesh, 1.0).volume == pytest.approx(volume, rel=0.005)
    np.testing.assert_allclose(np.ptp(mesh.bounds, axis=0), sides, rtol=0.005)
    coarse = _read(kind, fine=False, **values)
    assert len(coarse.vertices) <= 64
    assert mass_properties(coarse, 1.0).volume == pytest.approx(volume, rel=0.1)


def test_a_cone_points_along_its_axis() -> None:
    for axis, column in (("X", 0), ("Y", 1), ("Z", 2)):
        mesh = _read("Cone", axis=axis, radius=0.1, height=1.0)
        assert mesh.vertices[mesh.vertices[:, column].argmax()].tolist() == (0.5 * np.eye(3)[column]).tolist()
        assert mass_properties(mesh, 1.0).com[column] == pytest.approx(-0.25, abs=1e-3)


def test_mirrors_keep_the_outside_outside() -> None:
    mesh = _read("Cylinder", np.diag([1.0, -2.0, 3.0, 1.0]), radius=0.1, height=0.5)
    assert mass_properties(mesh, 1.0).volume == pytest.approx(6 * np.pi * 0.01 * 0.5, rel=0.005)


def _polygon(points: Any, counts: Any, corners: Any, orientation: str = "rightHanded") -> TriangleMesh:
    return _read(
        "Mesh",
        points=Vt.Vec3fArray.FromNumpy(np.array(points, dtype=np.float32)),
        faceVertexCounts=counts,
        faceVertexIndices=corners,
        orientation=orientation,
    )


STAR = [(0, 0, 0), (2, 0, 0), (2, 2, 0), (1, 0.5, 0), (0, 2, 0)]


@pytest.mark.parametrize("first", range(5))
def test_polygons_that_are_not_convex(first: int) -> None:
    corners = [(first + i) % 5 for i in range(5)]
    mesh = _polygon(STAR, [5], corners)
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    areas = np.cross(b - a, c - a)[:, 2] / 2
    assert (areas > 0).all()
    assert areas.sum() == pytest.approx(2.5)


def test_left_handed_meshes_are_turned() -> None:
    square = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]
    for orientation, z in (("rightHanded", 1.0), ("leftHanded", -1.0)):
        mesh = _polygon(square, [4], [0, 1, 2, 3], orientation)
        a, b, c = mesh.vertices[mesh.faces[0]]
        assert np.cross(b - a, c - a)[2] == z


@pytest.mark.parametrize(
    ("counts", "corners", "message"),
    [
        ([3, 3], [0, 1, 2], "do not add up"),
        ([2], [0, 1], "do not add up"),
        ([3], [0, 1, 9], r"of 4 points names point 9"),
        ([3], [0, 1, -1], r"names point -1"),
        ([], [], "no faces"),
    ],
)
def test_meshes_that_are_none(counts: list[int], corners: list[int], message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        _polygon([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], counts, corners)


def test_numbers_that_make_no_shape() -> None:
    with pytest.raises(FileFormatError, match="radius of -1; it takes a number above zero"):
        _read("Sphere", radius=-1.0)
    with pytest.raises(FileFormatError, match="not finite"):
        _polygon([(0, 0, float("inf")), (1, 0, 0), (1, 1, 0)], [3], [0, 1, 2])


def test_too_large_arrays_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim_bridge.usd._read_shapes.MOST_VERTICES", 3)
    with pytest.raises(FileFormatError, match="points of /shape has 4 elements; at most 3 are read"):
        _polygon([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], [4], [0, 1, 2, 3])


def test_hulls_keep_to_64_vertices() -> None:
    ball = _read("Sphere", radius=0.1)
    hull = hull_mesh(ball)
    assert hull is not None
    assert len(hull.vertices) <= 64
    assert mass_properties(hull, 1.0).volume > 0.85 * mass_properties(ball, 1.0).volume
    assert hull_mesh(_polygon(STAR, [5], [0, 1, 2, 3, 4])) is None


def test_a_box_of_quads_is_closed() -> None:
    stage = Usd.Stage.CreateInMemory()
    from .made_stages import SIDES, add_mesh

    prim = add_mesh(stage, "/box", SIDES, approximation=None)
    assert isinstance(UsdGeom.Mesh(prim), UsdGeom.Mesh)
    mesh = read_shape(_reader(stage), prim, EYE)
    assert mass_properties(mesh, 1.0).volume == pytest.approx(np.prod(SIDES), rel=1e-5)
