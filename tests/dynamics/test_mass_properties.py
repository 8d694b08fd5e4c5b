"""Mass properties against closed forms, against the truth of the demo objects, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dynamics import TriangleMesh, mass_properties
from dynamics._errors import BodyError
from dynamics._mass_properties import check_inertia

side = st.floats(0.002, 1)
scale = st.sampled_from([1e-3, 1.0, 1e3])
shift = st.floats(-1.0, 1.0)


def as_mesh(solid: trimesh.Trimesh) -> TriangleMesh:
    return TriangleMesh(solid.vertices, solid.faces)


@given(st.tuples(side, side, side), st.tuples(shift, shift, shift), scale, st.integers(0, 1000), st.floats(1.0, 9000.0))
def test_a_box_anywhere_in_any_turn(sides, place, unit, seed, density) -> None:
    a, b, c = sides = tuple(unit * side for side in sides)
    R = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    place = max(sides) * np.array(place)
    found = mass_properties(as_mesh(trimesh.creation.box(sides)).moved(R, place), density)
    mass = density * a * b * c
    inertia = mass / 12 * np.diag([b * b + c * c, a * a + c * c, a * a + b * b])
    assert found.volume == pytest.approx(a * b * c, rel=1e-9)
    assert found.mass == pytest.approx(mass, rel=1e-9)
    assert np.allclose(found.com, place, atol=1e-9 * max(sides))
    assert np.allclose(found.inertia, R @ inertia @ R.T, rtol=1e-7, atol=1e-9 * np.abs(inertia).max())


def test_a_sphere_converges_to_its_closed_form() -> None:
    found = mass_properties(as_mesh(trimesh.creation.icosphere(5, radius=0.1)), 1000)
    assert found.volume == pytest.approx(4 / 3 * np.pi * 0.1**3, rel=2e-3)
    assert np.allclose(found.inertia, 0.4 * found.mass * 0.01 * np.eye(3), rtol=3e-3, atol=1e-8)


def test_a_shell_turned_inwards_is_a_cavity() -> None:
    outer, inner = trimesh.creation.box((2, 2, 2)), trimesh.creation.box((1, 1, 1))
    vertices = np.concatenate([outer.vertices, inner.vertices])
    faces = np.concatenate([outer.faces, inner.faces[:, ::-1] + len(outer.vertices)])
    found = mass_properties(TriangleMesh(vertices, faces), 1.0)
    assert found.volume == pytest.approx(7.0)
    assert np.allclose(np.diag(found.inertia), 8 * 8 / 12 - 1 * 2 / 12)


@pytest.mark.parametrize("name", ["mug", "can", "box", "toy", "rope"])
def test_the_demo_objects_have_their_true_values(tabletop: Path, name: str) -> None:
    truth = {thing["name"]: thing for thing in yaml.safe_load((tabletop / "ground_truth.yaml").read_text())["objects"]}
    mesh = as_mesh(trimesh.load_mesh(tabletop / "meshes" / f"{name}.obj", process=False))
    found = mass_properties(mesh, truth[name]["density"])
    assert found.mass == pytest.approx(truth[name]["mass"], rel=1e-4)
    assert np.allclose(found.com, truth[name]["com"], atol=2e-6)
    assert np.allclose(found.inertia, truth[name]["inertia"], atol=1e-4 * np.abs(truth[name]["inertia"]).max())


def test_split_vertices_are_one_vertex() -> None:
    box = trimesh.creation.box((1, 1, 1))
    soup = TriangleMesh(box.vertices[box.faces].reshape(-1, 3), np.arange(36, dtype=np.int32).reshape(12, 3))
    assert mass_properties(soup, 1.0).volume == pytest.approx(1.0)


def broken(how: str) -> TriangleMesh:
    box = trimesh.creation.box((1, 1, 1))
    faces = np.array(box.faces)
    if how == "open":
        faces = faces[1:]
    elif how == "inside out":
        faces = faces[:, ::-1]
    elif how == "disagree":
        faces[3] = faces[3, ::-1]
    elif how == "flat":
        box.apply_transform(np.diag([1.0, 1.0, 0.0, 1.0]))
    elif how == "triangles":
        return TriangleMesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=int))
    return TriangleMesh(np.array(box.vertices), faces)


@pytest.mark.parametrize("how", ["open", "inside out", "disagree", "flat", "triangles"])
def test_what_has_no_inside_is_refused(how: str) -> None:
    with pytest.raises(BodyError, match=how):
        mass_properties(broken(how), 1000)


@pytest.mark.parametrize("density", [0.0, -1.0, float("nan"), float("inf")])
def test_density_is_above_zero(density: float) -> None:
    with pytest.raises(BodyError, match="above zero"):
        mass_properties(as_mesh(trimesh.creation.box((1, 1, 1))), density)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (np.diag([1.0, 1.0, 2.1]), "at most the sum"),
        (np.diag([1.0, 1.0, -1.0]), "above zero"),
        (np.array([[1, 0.2, 0], [0, 1, 0], [0, 0, 1]]), "not symmetric"),
        (np.ones(3), "3 x 3"),
        (np.full((3, 3), np.nan), "finite"),
    ],
)
def test_impossible_inertias_are_refused(tensor: np.ndarray, message: str) -> None:
    with pytest.raises(BodyError, match=message):
        check_inertia(tensor)


@given(st.tuples(side, side, side), st.integers(0, 1000))
def test_inertias_of_real_solids_pass(sides, seed) -> None:
    R = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    solid = mass_properties(as_mesh(trimesh.creation.box(sides)).moved(R, np.zeros(3)), 1.0)
    assert np.array_equal(check_inertia(solid.inertia), solid.inertia)
