"""Sheets in thin things whose middle is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import trimesh
from numpy.testing import assert_allclose

from dynamics import TriangleMesh, mass_properties
from dynamics._cloth_particles import cloth_particles
from dynamics._errors import BodyError
from dynamics._particle_kind import particle_kind
from dynamics.poses import rotation_from_wxyz


def waves(points: np.ndarray) -> np.ndarray:
    return 0.02 * np.sin(15 * points[:, 0]) + 0.01 * np.cos(20 * points[:, 1])


def towel(noise: float = 0.0) -> TriangleMesh:
    """A wavy cloth 30 x 20 cm, 4 mm thick."""
    box: Any = trimesh.creation.box((0.3, 0.2, 0.004)).subdivide_to_size(0.006)
    vertices = np.array(box.vertices)
    vertices[:, 2] += waves(vertices) + np.random.default_rng(0).normal(scale=noise, size=len(vertices))
    return TriangleMesh(vertices, np.asarray(box.faces, dtype=np.int32))


@pytest.mark.parametrize("noise", [0.0, 0.0004])
def test_sheet_lies_in_the_middle(noise: float) -> None:
    mesh = towel(noise)
    assert particle_kind(mesh) == "cloth"
    cloth = cloth_particles(mesh, 0.1)
    assert np.median(np.abs(cloth.points[:, 2] - waves(cloth.points))) < 0.0001 + 0.3 * noise
    assert 400 < len(cloth) < 1000
    assert np.abs(cloth.points[:, 2] - waves(cloth.points)).max() < 0.001 + noise
    assert cloth.radius == pytest.approx(0.002, abs=0.0001 + noise / 2)
    a, b, c = (cloth.points[cloth.cells[:, i]] for i in range(3))
    doubled = np.cross(b - a, c - a)
    assert doubled[:, 2].min() > 0
    assert_allclose(doubled[:, 2].sum() / 2, 0.06, rtol=0.02)
    assert_allclose(
        [cloth.points.min(axis=0)[:2], cloth.points.max(axis=0)[:2]], [[-0.15, -0.1], [0.15, 0.1]], atol=0.002
    )
    exact = mass_properties(mesh, 0.1 / mass_properties(mesh, 1.0).volume)
    com = cloth.masses @ cloth.points / cloth.masses.sum()
    x = cloth.points - com
    second = np.einsum("p,pi,pj->ij", cloth.masses, x, x)
    assert np.abs(com - exact.com).max() < 0.002
    inertia = np.trace(second) * np.eye(3) - second
    assert_allclose(inertia, exact.inertia, atol=0.03 * np.abs(exact.inertia).max())


def test_standing_far_away_changes_nothing() -> None:
    import torch

    R = rotation_from_wxyz(torch.tensor([0.8, 0.5, -0.3, 0.2], dtype=torch.float64)).numpy()
    t = np.array([3.0, -2.0, 1.0])
    cloth, moved = cloth_particles(towel(), 0.1), cloth_particles(towel().moved(R, t), 0.1)
    # The lattice lies in another direction, so compare surfaces.
    back = (moved.points - t) @ R
    assert np.abs(back[:, 2] - waves(back)).max() < 0.0015
    assert moved.radius == pytest.approx(cloth.radius, rel=0.05)


def test_kinds_that_are_no_cloth() -> None:
    def kind(found: Any) -> str:
        return particle_kind(TriangleMesh(np.asarray(found.vertices), np.asarray(found.faces, dtype=np.int32)))

    assert kind(trimesh.creation.box((0.2, 0.13, 0.025))) == "solid"
    assert kind(trimesh.creation.annulus(0.04, 0.043, 0.1)) == "solid"
    two = [trimesh.creation.box((0.3, 0.2, 0.004)).apply_translation([0, 0, z]) for z in (0, 0.02)]
    assert kind(trimesh.util.concatenate(two)) == "solid"


def test_spacing_is_checked() -> None:
    with pytest.raises(BodyError, match="smaller than the 2 m between"):
        cloth_particles(towel(), 0.1, spacing=2.0)
    with pytest.raises(BodyError, match="does not give between 3 and 20000"):
        cloth_particles(towel(), 0.1, spacing=0.0001)
    with pytest.raises(BodyError, match="encloses no volume"):
        cloth_particles(TriangleMesh(towel().vertices, towel().faces[:, ::-1]), 0.1)
