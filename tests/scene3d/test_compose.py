"""Objects of one scene in another: seen at the right place, standing, of the right size, upright."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scene3d import Gaussians, Scene
from scene3d._compose import Addition, add_object, add_objects
from scene3d._errors import UsageError
from scene3d.edit import Place
from scene3d.edit._place import mesh_in_world, rotation_of
from scene3d.render import render

from .conftest import scene_of_objects
from .tabletop_objects import tabletop_objects


@pytest.fixture(scope="module")
def desk(tabletop_scene: Path, tabletop: Path) -> Scene:
    return tabletop_objects(tabletop_scene, tabletop)


def bounds(scene: Scene, name: str) -> np.ndarray:
    thing = scene.objects[scene.index(name)]
    points = mesh_in_world(thing.T_world_body, thing.body.mesh.vertices)
    return np.stack([points.min(axis=0), points.max(axis=0)])


def test_it_is_seen_where_it_was_put(desk: Scene) -> None:
    """A block of another scene, on the free side of the table, by its labels in a render."""
    scene, name = add_object(desk, scene_of_objects(), "Wooden block!", new="block", place=Place(0.0, -0.28))
    assert (name, scene.objects[5].name) == ("block", "block")
    assert scene.objects[5].T_world_body[:2] == (0.0, -0.28)
    assert bounds(scene, "block")[0, 2] == pytest.approx(0, abs=1e-9)
    camera = desk.views[3].camera.fitted(200)
    mark = (scene.splats.component_index == 6).float()[:, None]
    frame = render(scene.splats, camera, T_world_body=scene.T_world_body, features=mark)
    assert frame.features is not None
    rows, columns = np.nonzero(frame.features[..., 0].numpy() > 0.3)
    own = scene.splats[scene.splats.component_index == 6].means.double().mean(dim=0).numpy()
    pose = scene.objects[5].T_world_body
    middle = torch.tensor([*(rotation_of(pose) @ own + pose[:3]), 1.0])
    u, v, w = (camera.K @ (camera.T_cam_world.double() @ middle)[:3].float()).tolist()
    assert len(rows) > 100
    assert math.hypot(columns.mean() + 0.5 - u / w, rows.mean() + 0.5 - v / w) < 0.1 * math.sqrt(len(rows))


def test_everything_travels(desk: Scene) -> None:
    other = scene_of_objects()
    flat = replace(desk, splats=replace(desk.splats, shN=desk.splats.shN[:, :0]))
    scene, name = add_object(flat, other, "blue rope")
    thing, source = scene.objects[-1], other.objects[1]
    assert name == "blue rope"
    assert (thing.kind, thing.binding, thing.unseen) == (source.kind, source.binding, source.unseen)
    assert (thing.body.mesh, thing.body.material) == (source.body.mesh, source.body.material)
    arrived = scene.splats[scene.splats.component_index == 6]
    for field in ("means", "quats", "scales", "opacities", "sh0", "shN"):
        assert torch.equal(getattr(arrived, field), getattr(other.splats, field)[other.splats.component_index == 2])
    # A lower degree is padded: what was there before looks as it did.
    assert scene.splats.sh_degree == 3
    assert not scene.splats.shN[scene.splats.component_index < 6].any()
    assert scene.views == desk.views


def test_all_objects_find_free_places(desk: Scene) -> None:
    scene, names = add_objects(desk, Addition(replace(desk, objects=desk.objects[:3])))
    assert names == ("mug-2", "can-2", "box-2")
    boxes = [bounds(scene, thing.name) for thing in scene.objects]
    for i, a in enumerate(boxes[5:], start=5):
        assert a[0, 2] == pytest.approx(0, abs=1e-9)
        for b in boxes[:i]:
            assert (a[0, :2] >= b[1, :2]).any() or (b[0, :2] >= a[1, :2]).any()


def test_up_is_up_in_both() -> None:
    """The same scene lying on its side: an object from it arrives as it would from the upright one."""
    here, other = scene_of_objects(), scene_of_objects()
    name = "Wooden block!"
    expected, _ = add_object(here, other, name, new="a", place=Place(0.1, 0.1, 0.2))
    # The world turned by -90 degrees about x: what was z is y now.
    turn = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    quat = torch.tensor([math.sqrt(0.5), -math.sqrt(0.5), 0, 0], dtype=torch.float64)
    from dynamics.poses import multiply, rotation_from_wxyz

    assert np.allclose(rotation_from_wxyz(quat).numpy(), turn)
    lying = []
    for thing in other.objects:
        q = multiply(quat, torch.tensor(thing.T_world_body[3:], dtype=torch.float64)).tolist()
        lying.append(replace(thing, T_world_body=(*(turn @ thing.T_world_body[:3]), *q)))
    tilted = replace(other, objects=tuple(lying), up=(0.0, 1.0, 0.0))
    found, _ = add_object(here, tilted, name, new="a", place=Place(0.1, 0.1, 0.2))
    assert np.allclose(
        rotation_of(found.objects[2].T_world_body), rotation_of(expected.objects[2].T_world_body), atol=1e-9
    )
    upside_down = replace(other, up=(0.0, 0.0, -1.0))
    found, _ = add_object(here, upside_down, name, new="a", place=Place(0.1, 0.1, 0.2))
    R = rotation_of(found.objects[2].T_world_body) @ rotation_of(expected.objects[2].T_world_body).T
    assert np.allclose(R @ [0, 0, 1], [0, 0, -1])
    assert np.linalg.det(R) == pytest.approx(1)


def test_lengths_must_mean_the_same() -> None:
    here, unknown = scene_of_objects(), replace(scene_of_objects(), metric=False)
    with pytest.raises(UsageError, match=r"Lengths of one of the scenes are not known in metres.*scene3d scale"):
        add_object(here, unknown, "blue rope")
    with pytest.raises(UsageError, match="Neither scene's lengths are known in metres"):
        add_object(unknown, unknown, "blue rope")
    scene, _ = add_object(here, unknown, "blue rope", new="other", assume_scale=True)
    assert scene.metric


def test_what_is_wrong_is_said() -> None:
    here, other = scene_of_objects(), scene_of_objects()
    with pytest.raises(UsageError, match="There is no object 'mug' in the scene"):
        add_object(here, other, "mug")
    with pytest.raises(UsageError, match="has an object 'blue rope' already"):
        add_object(here, other, "blue rope", new="blue rope")
    with pytest.raises(UsageError, match=r"is for one object, but the other scene has 2: Wooden block!, blue rope\."):
        add_objects(here, Addition(other, place=Place(0, 0)))
    bare = Scene(Gaussians.cat([other.splats[other.splats.component_index == 0]]), metric=True)
    with pytest.raises(UsageError, match="has no objects to take"):
        add_objects(here, Addition(bare))


def test_a_scene_without_supports() -> None:
    here = replace(scene_of_objects(), supports=())
    lowest = min(bounds(here, thing.name)[0, 2] for thing in here.objects)
    scene, name = add_object(here, scene_of_objects(), "Wooden block!")
    assert name == "Wooden block!-2"
    assert bounds(scene, name)[0, 2] == pytest.approx(lowest, abs=1e-9)
    empty = replace(here, objects=(), splats=here.splats[here.splats.component_index == 0])
    scene, name = add_object(empty, scene_of_objects(), "Wooden block!")
    assert name == "Wooden block!"
