"""Worlds: which pairs may touch, and what makes no sense; exact shapes as bodies."""

from __future__ import annotations

import numpy as np
import pytest

from dynamics import Joint, World
from dynamics._errors import BodyError
from dynamics._primitive import body_from_box, body_from_plane, body_from_sphere
from dynamics._world_arrays import world_arrays


def test_pairs_leave_out_what_cannot_touch(material) -> None:
    wood = material()
    boxes = [body_from_box(name, (0.1, 0.1, 0.1), wood) for name in ("a", "b", "c")]
    wall = body_from_box("wall", (1, 1, 1), wood, motion="static")
    world = World(
        (body_from_plane("table", wood), wall, *boxes), (Joint("hinge", "hinge", 2, 3),), no_contact=frozenset({(1, 4)})
    )
    assert set(world.pairs) == {(0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (2, 4), (3, 4)}


def test_worlds_that_make_no_sense(material) -> None:
    box = body_from_box("box", (0.1, 0.1, 0.1), material())
    with pytest.raises(BodyError, match="Two bodies are called 'box'"):
        World((box, box))
    with pytest.raises(BodyError, match=r"at most 0\.1 s"):
        World((box,), dt=0.5)
    with pytest.raises(BodyError, match="names a body that is not there"):
        World((box,), (Joint("hinge", "hinge", 0, 1),))
    with pytest.raises(BodyError, match=r"There is no body 'mug' in the world\. It has box"):
        World((box,)).index("mug")
    with pytest.raises(BodyError, match="the lower one comes first"):
        Joint("hinge", "hinge", -1, 0, low=1.0, high=0.0)
    with pytest.raises(BodyError, match="unit vector"):
        Joint("hinge", "hinge", -1, 0, axis=(0, 0, 2.0))


def test_exact_shapes_have_exact_masses(material) -> None:
    wood = material()
    box = body_from_box("box", (0.1, 0.2, 0.3), wood, mass=2.0)
    assert np.allclose(np.diag(box.inertia), 2 / 12 * np.array([0.13, 0.1, 0.05]))
    ball = body_from_sphere("ball", 0.05, wood)
    assert ball.mass == pytest.approx(wood.density * 4 / 3 * np.pi * 0.05**3)
    assert np.allclose(ball.inertia, 0.4 * ball.mass * 0.05**2 * np.eye(3))
    assert body_from_plane("table", wood).motion == "static"
    with pytest.raises(BodyError, match="box: found a length of 0 m"):
        body_from_box("box", (0.1, 0.0, 0.1), wood)
    with pytest.raises(BodyError, match="above zero"):
        body_from_sphere("ball", -1.0, wood)


def test_an_exact_shape_survives_scaling(material) -> None:
    box = body_from_box("box", (0.1, 0.2, 0.3), material()).scaled(2.0)
    assert box.primitive is not None
    assert box.primitive.size == pytest.approx((0.1, 0.2, 0.3))
    assert np.abs(box.contact_points).max(axis=0) == pytest.approx([0.1, 0.2, 0.3])


def test_points_of_a_box_lie_on_it_and_begin_with_its_corners(material) -> None:
    points = body_from_box("box", (0.2, 0.4, 0.6), material()).contact_points
    half = np.array([0.1, 0.2, 0.3])
    assert np.abs(np.abs(points) - half).min(axis=1).max() < 1e-7
    assert np.allclose(np.abs(points[:8]), half)
    assert len(np.unique(points.round(6), axis=0)) == len(points)


def test_bodies_of_one_shape_share_their_distance_grid(material) -> None:
    import trimesh

    from dynamics import TriangleMesh, body_from_mesh

    can = trimesh.creation.cylinder(0.03, 0.1, sections=16)
    first = body_from_mesh("first", TriangleMesh(can.vertices, can.faces), material())
    first.distance  # noqa: B018 - made, so that the copy has it
    arrays = world_arrays(World((first, first.renamed("second"))))
    assert arrays.values.size == first.distance.values.size
    assert list(arrays.grid_first) == [0, 0]
