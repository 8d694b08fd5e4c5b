"""Bodies: mass from material, what edits keep and what they change."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dynamics import Body, Particles, TriangleMesh, body_from_mesh, find_material
from dynamics._errors import BodyError

BOX = trimesh.creation.box((0.1, 0.2, 0.3))
WOOD = find_material("wood")


def box(**given) -> Body:
    return body_from_mesh("box", TriangleMesh(BOX.vertices, BOX.faces), WOOD, **given)


def chain() -> Particles:
    points = np.linspace([-0.1, 0, 0], [0.1, 0, 0], 5)
    edges = np.array([[i, i + 1] for i in range(4)], dtype=np.int32)
    return Particles("rope", points, np.ones(5), edges, np.zeros((0, 4), dtype=np.int32), 0.01)


def test_material_decides_mass_and_spread() -> None:
    body = box()
    assert body.mass == pytest.approx(600 * 0.006)
    assert body.volume == pytest.approx(0.006)
    assert body.mass_log_std == WOOD.density_log_std
    assert np.allclose(np.diag(body.inertia), 3.6 / 12 * np.array([0.13, 0.1, 0.05]))


def test_a_given_mass_scales_the_inertia() -> None:
    body = box(mass=1.0)
    assert (body.mass, body.mass_log_std) == (1.0, 0.0)
    assert np.allclose(body.inertia, box().inertia / 3.6)
    assert box(mass=1.0, mass_log_std=0.3).mass_log_std == 0.3


def test_given_centre_and_inertia_are_taken() -> None:
    tensor = np.diag([2.0, 3.0, 4.0])
    body = box(com=[0.01, 0, 0], inertia=tensor, motion="kinematic")
    assert np.array_equal(body.com, [0.01, 0, 0])
    assert np.array_equal(body.inertia, tensor)
    assert body.motion == "kinematic"


@pytest.mark.parametrize(
    ("given_values", "message"),
    [
        ({"mass": 0.0}, "box: found a mass of 0 kg"),
        ({"mass": -1.0}, "above zero"),
        ({"mass": float("nan")}, "above zero"),
        ({"inertia": np.diag([1.0, 1.0, 3.0])}, "box: No body has"),
        ({"com": [0.0, np.nan, 0.0]}, "box: a centre of mass"),
        ({"com": [0.0, 0.0]}, "box: a centre of mass"),
    ],
)
def test_senseless_values_are_refused(given_values: dict, message: str) -> None:
    with pytest.raises(BodyError, match=message):
        box(**given_values)


def test_leaking_meshes_are_refused_by_name() -> None:
    with pytest.raises(BodyError, match="sieve: The mesh is open"):
        body_from_mesh("sieve", TriangleMesh(BOX.vertices, BOX.faces[2:]), WOOD)
    with pytest.raises(BodyError, match="needs a name"):
        body_from_mesh(" ", TriangleMesh(BOX.vertices, BOX.faces), WOOD)


@given(st.integers(0, 10_000))
def test_principal_axes_rebuild_the_tensor(seed: int) -> None:
    R = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    mesh = TriangleMesh(BOX.vertices, BOX.faces).moved(R, np.ones(3))
    body = body_from_mesh("box", mesh, WOOD)
    moments, axes = body.principal_inertia()
    assert np.allclose(moments, 3.6 / 12 * np.array([0.05, 0.1, 0.13]))
    assert np.allclose(axes @ np.diag(moments) @ axes.T, body.inertia)
    assert np.allclose(axes @ axes.T, np.eye(3))
    assert np.linalg.det(axes) == pytest.approx(1.0)


def test_edits_of_mass_move_nothing_and_keep_geometry() -> None:
    body = box(particles=chain())
    grid, points = body.distance, body.contact_points
    steel = body.with_material(find_material("steel"))
    assert steel.mass == pytest.approx(7850 * 0.006)
    assert np.array_equal(steel.com, body.com)
    assert np.allclose(steel.inertia / steel.mass, body.inertia / body.mass)
    light = steel.with_mass(0.5, mass_log_std=0.1).renamed("feather").with_motion("static")
    assert (light.name, light.mass, light.mass_log_std, light.motion) == ("feather", 0.5, 0.1, "static")
    assert light.particles is not None
    assert light.particles.masses.sum() == pytest.approx(0.5)
    assert light.material.name == "steel"
    assert light.distance is grid
    assert light.contact_points is points
    with pytest.raises(BodyError, match="needs a name"):
        body.renamed("")


@given(st.floats(0.01, 100.0))
def test_scaling_keeps_the_density(factor: float) -> None:
    body = box(particles=chain(), com=[0.01, 0.02, 0.03])
    grown = body.scaled(factor)
    again = body_from_mesh("box", grown.mesh, WOOD)
    assert grown.mass == pytest.approx(again.mass)
    assert np.allclose(grown.inertia, again.inertia, rtol=1e-9, atol=1e-15 * again.inertia.max())
    assert np.allclose(grown.com, factor * body.com)
    assert grown.volume == pytest.approx(factor**3 * 0.006)
    assert grown.particles is not None
    assert grown.particles.masses.sum() == pytest.approx(grown.mass)
    assert grown.particles.radius == pytest.approx(0.01 * factor)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan")])
def test_lengths_grow_by_numbers_above_zero(factor: float) -> None:
    with pytest.raises(BodyError, match="above zero"):
        box().scaled(factor)
