"""Convex parts: the mug keeps its cavity, what is convex stays whole, and nothing is printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from dynamics import TriangleMesh, convex_parts, mass_properties
from dynamics._errors import BodyError


def as_mesh(solid: trimesh.Trimesh) -> TriangleMesh:
    return TriangleMesh(solid.vertices, solid.faces)


def depth(part: TriangleMesh, points: NDArray) -> NDArray:
    """Signed distances (M,) to the nearest plane of a convex part, negative inside."""
    corners = part.vertices[part.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    return (points @ normals.T - (normals * corners[:, 0]).sum(axis=1)).max(axis=1)


def is_convex(part: TriangleMesh) -> bool:
    return bool(depth(part, part.vertices).max() < 1e-6)


def test_the_can_fits_into_the_parts_of_the_mug(tabletop: Path, capfd: pytest.CaptureFixture[str]) -> None:
    solid = trimesh.load_mesh(tabletop / "meshes" / "mug.obj", process=False)
    parts = convex_parts(as_mesh(solid), threshold=0.1, most_parts=24)
    assert "".join(capfd.readouterr()) == ""
    assert 8 <= len(parts) <= 24
    assert all(is_convex(part) and len(part.vertices) <= 64 for part in parts)
    angle = np.linspace(0, 2 * np.pi, 180)
    heights = np.linspace(0.012, 0.095, 12)
    can = np.stack([np.tile(0.0335 * np.cos(angle), 12), np.tile(0.0335 * np.sin(angle), 12), heights.repeat(180)], 1)
    axis = np.stack([np.zeros(12), np.zeros(12), heights], axis=1)
    for part in parts:
        assert depth(part, np.concatenate([can, axis])).min() > 0
    surface = trimesh.sample.sample_surface(solid, 2000, seed=0)[0]
    away = np.min([depth(part, surface) for part in parts], axis=0)
    assert np.quantile(away, 0.99) < 2e-3


def test_what_is_convex_stays_whole(tabletop: Path) -> None:
    for solid in (trimesh.load_mesh(tabletop / "meshes" / "box.obj", process=False), trimesh.creation.icosphere(3)):
        (part,) = convex_parts(as_mesh(solid))
        assert is_convex(part)
        assert len(part.vertices) <= 64
        assert mass_properties(part, 1.0).volume == pytest.approx(solid.volume, rel=0.1)
    (cube,) = convex_parts(as_mesh(trimesh.creation.box((1, 1, 1)).subdivide()))
    assert len(cube.vertices) == 8


def test_an_angle_iron_comes_apart_the_same_way_each_time() -> None:
    sheet = [trimesh.creation.box((1, 1, 0.1)), trimesh.creation.box((0.1, 1, 1))]
    sheet[1].apply_translation((0.4501, 0, 0.5501))
    solid = as_mesh(trimesh.creation.extrude_triangulation(*_angle(), 1.0))
    parts, again = convex_parts(solid, most_parts=4), convex_parts(solid, most_parts=4)
    assert 2 <= len(parts) <= 4
    assert sum(mass_properties(part, 1.0).volume for part in parts) == pytest.approx(0.19, rel=0.02)
    for a, b in zip(parts, again, strict=True):
        assert np.array_equal(a.vertices, b.vertices)
        assert np.array_equal(a.faces, b.faces)


def test_a_mesh_that_touches_itself_comes_apart_in_a_process_that_has_loaded_nothing_else() -> None:
    """The libraries behind it load in one order only; boxes that share an edge are no manifold."""
    code = (
        "import numpy as np, trimesh\n"
        "from dynamics import TriangleMesh, convex_parts\n"
        "boxes = [trimesh.creation.box((1, 1, 1)).apply_translation((i, i, 0)) for i in range(3)]\n"
        "solid = trimesh.util.concatenate(boxes)\n"
        "parts = convex_parts(TriangleMesh(solid.vertices, solid.faces))\n"
        "import open3d\n"
        "print(len(parts))\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert int(told.stdout.split()[-1]) >= 3


def _angle() -> tuple[NDArray, NDArray]:
    outline = np.array([[0, 0], [1, 0], [1, 0.1], [0.1, 0.1], [0.1, 1], [0, 1]])
    return outline, np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5]])


def test_one_part_is_the_hull() -> None:
    (part,) = convex_parts(as_mesh(trimesh.creation.extrude_triangulation(*_angle(), 1.0)), most_parts=1)
    assert mass_properties(part, 1.0).volume == pytest.approx(0.595, rel=1e-3)


@pytest.mark.parametrize("options", [{"threshold": 0.0}, {"threshold": float("nan")}, {"most_parts": 0}])
def test_options_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(BodyError, match="found"):
        convex_parts(as_mesh(trimesh.creation.box((1, 1, 1))), **options)


def test_open_meshes_are_refused() -> None:
    solid = trimesh.creation.box((1, 1, 1))
    with pytest.raises(BodyError, match="open"):
        convex_parts(TriangleMesh(solid.vertices, solid.faces[1:]))
