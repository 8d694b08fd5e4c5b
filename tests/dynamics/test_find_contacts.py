"""Contacts: distances to shapes against their definitions, and which points are found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from dynamics import Latents, State, TriangleMesh, World, body_from_mesh
from dynamics._contacts import Contacts
from dynamics._find_contacts import find_contacts
from dynamics._inertia import inertia_at
from dynamics._primitive import body_from_box, body_from_plane, body_from_sphere
from dynamics._shape_distance import box_distance, shape_distance
from dynamics._world_arrays import world_arrays

HALF = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
coordinates = st.lists(st.floats(-0.6, 0.6), min_size=3, max_size=3)


def contacts_of(world: World, state: State) -> Contacts:
    inertia = inertia_at(world, Latents.median(world, len(state)), state.T_world_body)
    return find_contacts(world, state.T_world_body, inertia.com, state.twist, world.dt)


@given(coordinates)
def test_distance_to_a_box(place: list[float]) -> None:
    """Moving back along the normal by the distance ends on the surface, and no face is nearer."""
    point = torch.tensor(place, dtype=torch.float64)
    distance, normal = box_distance(point, HALF)
    foot = point - distance * normal
    assert abs(float((foot.abs() - HALF).max())) < 1e-9
    assert normal.norm().item() == pytest.approx(1.0)
    clamped = torch.minimum(torch.maximum(point, -HALF), HALF)
    outside = (point - clamped).norm()
    expected = outside if outside > 0 else -(HALF - point.abs()).min()
    assert distance.item() == pytest.approx(float(expected), abs=1e-12)


def test_distance_to_a_mesh_is_that_of_its_grid_and_goes_on_beyond_it(material) -> None:
    box = trimesh.creation.box(2 * HALF.numpy())
    body = body_from_mesh("box", TriangleMesh(box.vertices, box.faces), material())
    points = np.random.default_rng(0).uniform(-0.6, 0.6, (2000, 3))
    distance, normal, _ = shape_distance(world_arrays(World((body,))), 0, torch.as_tensor(points))
    low, high = body.distance.bounds
    inside = ((points > low) & (points < high)).all(axis=1)
    sampled, gradient = body.distance.sample(points[inside])
    assert np.allclose(distance.numpy()[inside], sampled, atol=1e-9)
    length = np.linalg.norm(gradient, axis=1)
    sure = length > 0.1
    assert np.allclose(normal.numpy()[inside][sure], (gradient / length[:, None])[sure], atol=1e-7)
    expected, direction = box_distance(torch.as_tensor(points), HALF)
    assert (distance - expected)[~inside].abs().max() < 2 * body.distance.spacing
    assert (normal * direction).sum(-1)[~inside].min() > 0.99


def test_a_cube_on_a_table_touches_with_four_corners(material, on_table, state_of) -> None:
    world = on_table(body_from_box("cube", (0.1, 0.1, 0.1), material()))
    contacts = contacts_of(world, state_of(world, [(0.3, 0, 0.0499)]))
    assert contacts.count.tolist() == [4]
    assert contacts.body_a[0].tolist() == [1] * 4
    assert contacts.body_b[0].tolist() == [0] * 4
    assert torch.allclose(contacts.gap, torch.full((1, 4), -1e-4), atol=1e-6)
    assert torch.equal(contacts.normal[0], torch.tensor([[0.0, 0.0, 1.0]] * 4))
    offset = contacts.point[0, :, :2] - torch.tensor([0.3, 0.0])
    assert torch.allclose(offset.abs(), torch.tensor(0.05))
    assert len(torch.unique(offset.sign(), dim=0)) == 4


def test_points_that_will_arrive_within_the_step_count(material, on_table, state_of) -> None:
    world = on_table(body_from_box("cube", (0.1, 0.1, 0.1), material()), dt=0.01)
    assert contacts_of(world, state_of(world, [(0, 0, 0.06)])).count.tolist() == [0]
    assert contacts_of(world, state_of(world, [(0, 0, 0.06)], [[0, 0, -1.0, 0, 0, 0]])).count.tolist() == [4]
    assert contacts_of(world, state_of(world, [(0, 0, 0.06)], [[0, 0, 1.0, 0, 0, 0]])).count.tolist() == [0]


def test_stacked_boxes_touch_with_points_that_are_sure_of_their_normal(material, on_table, state_of) -> None:
    """Corners lie on the edge of the other box, where its side would do as well as its top."""
    boxes = [body_from_box(name, (0.1, 0.1, 0.1), material()) for name in ("low", "high")]
    world = on_table(*boxes)
    contacts = contacts_of(world, state_of(world, [(0, 0, 0.05), (0.0002, 0, 0.1497)]))
    between = [k for k in range(int(contacts.count)) if 0 not in (contacts.body_a[0, k], contacts.body_b[0, k])]
    assert len(between) == 16
    assert (contacts.normal[0, between, 2].abs() > 0.999).all()
    assert torch.allclose(contacts.gap[0, between], torch.tensor(-0.0003), atol=1e-6)


def test_balls_are_exact_on_everything(material, state_of, on_table) -> None:
    wood = material()
    can = trimesh.creation.box((0.1, 0.1, 0.1))
    others = {
        "box": body_from_box("other", (0.1, 0.1, 0.1), wood),
        "ball": body_from_sphere("other", 0.05, wood),
        "mesh": body_from_mesh("other", TriangleMesh(can.vertices, can.faces), wood),
    }
    for kind, other in others.items():
        world = World((body_from_plane("table", wood), other, body_from_sphere("ball", 0.02, wood)))
        contacts = contacts_of(world, state_of(world, [(0, 0, 1), (0.0, 0, 1.069)]))
        assert contacts.count.tolist() == [1], kind
        a, b = int(contacts.body_a[0, 0]), int(contacts.body_b[0, 0])
        assert contacts.gap[0, 0].item() == pytest.approx(-0.001, abs=2e-5), kind
        assert contacts.normal[0, 0, 2].item() == pytest.approx(1.0 if (a, b) == (2, 1) else -1.0, abs=1e-3), kind


def test_worlds_of_a_batch_have_their_own_contacts(material, on_table, state_of) -> None:
    world = on_table(body_from_box("cube", (0.1, 0.1, 0.1), material()))
    state = state_of(world, [(0, 0, 0.05)]).repeated(3)
    state.T_world_body[1, 1, 2] = 1.0
    contacts = contacts_of(world, state)
    assert contacts.count.tolist() == [4, 0, 4]
    assert contacts.used.sum(1).tolist() == [4, 0, 4]


def test_nothing_to_touch(material) -> None:
    world = World((body_from_box("cube", (0.1, 0.1, 0.1), material()),))
    state = State.at_rest(world, torch.tensor([[0.0, 0, 0, 1, 0, 0, 0]]))
    contacts = contacts_of(world, state)
    assert contacts.gap.shape == (1, 0)
