"""Edits of a scene's objects: on the demo scene with true bodies, and on shapes whose answer is known exactly."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dynamics import TriangleMesh, body_from_mesh, load_materials, mass_properties
from scene3d import Camera, Gaussians, Scene
from scene3d._errors import BodyError, SegmentError, UsageError
from scene3d._kind import set_kind
from scene3d._scene_object import SceneObject
from scene3d.edit import Place, duplicate, merge, move, put, remove, rename, set_mass, set_material, split
from scene3d.edit._place import mesh_in_world
from scene3d.edit._union import union
from scene3d.render import render
from scene3d.segment import find_instances

from .conftest import WOOD, scene_of_objects
from .tabletop_objects import tabletop_objects

NAMES = ("mug", "can", "box", "toy", "rope")
ARRAYS = ("means", "quats", "scales", "opacities", "sh0", "shN", "component_index")
length = st.floats(-5, 5)
SPHERE = trimesh.creation.icosphere(3, 0.05)
ICE = TriangleMesh(np.asarray(SPHERE.vertices), np.asarray(SPHERE.faces, dtype=np.int32))
SMALL = scene_of_objects()


@pytest.fixture(scope="module")
def desk(tabletop_scene: Path, tabletop: Path) -> Scene:
    return tabletop_objects(tabletop_scene, tabletop)


def box_in_world(scene: Scene, name: str) -> np.ndarray:
    thing = scene.objects[scene.index(name)]
    points = mesh_in_world(thing.T_world_body, thing.body.mesh.vertices)
    return np.stack([points.min(axis=0), points.max(axis=0)])


def picture(scene: Scene, camera: Camera) -> torch.Tensor:
    return render(scene.splats, camera, T_world_body=scene.T_world_body).rgb


def labels(scene: Scene, camera: Camera) -> np.ndarray:
    """Which object each pixel shows most of, -1 for none."""
    one_hot = torch.nn.functional.one_hot(scene.splats.component_index.long(), len(scene.objects) + 1).float()
    frame = render(scene.splats, camera, T_world_body=scene.T_world_body, features=one_hot)
    assert frame.features is not None
    return frame.features.argmax(dim=-1).numpy() - 1


def balls(*centres: tuple[float, float, float], shell: bool = True) -> Scene:
    """Wooden balls of 10 cm, each with 200 splats on its surface."""
    directions = torch.nn.functional.normalize(torch.randn(200, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    objects, parts = [], []
    for index, centre in enumerate(centres):
        body = body_from_mesh(f"ball {index}", ICE, WOOD)
        unseen = np.full(len(ICE.faces), index == 0)
        objects.append(SceneObject(body, (*centre, 1.0, 0.0, 0.0, 0.0), unseen=unseen, guessed=("mass",)))
        splats = Gaussians.from_points(0.05 * directions, directions.abs(), sigma=0.004, opacity=0.9, sh_degree=1)
        parts.append(replace(splats, component_index=torch.full((200,), index + 1, dtype=torch.int32)))
    return Scene(Gaussians.cat(parts), metric=True, objects=tuple(objects))


@given(st.lists(length, min_size=3, max_size=3), st.floats(-10, 10), st.integers(0, 1))
def test_there_and_back(by: list[float], yaw: float, index: int) -> None:
    # A pose of this world may be given with a quaternion of another length; once turned it has length one.
    scene = move(SMALL, SMALL.objects[index].name, (0, 0, 0), 1.0)
    name = scene.objects[index].name
    there = move(scene, name, by, yaw)
    back = move(there, name, [-value for value in by], -yaw)
    assert np.abs(np.subtract(back.objects[index].T_world_body, scene.objects[index].T_world_body)).max() < 1e-12
    assert np.allclose(np.subtract(there.objects[index].T_world_body[:3], scene.objects[index].T_world_body[:3]), by)
    assert there.splats is scene.splats
    assert there.objects[1 - index] is scene.objects[1 - index]


def test_a_turn_is_counter_clockwise_from_above(desk: Scene) -> None:
    before, after = desk.objects[2], move(desk, "box", (0, 0, 0), math.pi / 2).objects[2]
    arms = [mesh_in_world(thing.T_world_body, np.eye(3))[0] - thing.T_world_body[:3] for thing in (before, after)]
    assert np.cross(*arms)[2] == pytest.approx(1)


def test_numbers_must_be_finite(desk: Scene) -> None:
    with pytest.raises(UsageError, match="must be finite"):
        move(desk, "mug", (math.nan, 0, 0))
    with pytest.raises(UsageError, match="must be finite"):
        put(desk, "mug", Place(0.0, math.inf))
    with pytest.raises(UsageError, match=r"There is no object 'cup' in the scene\. It has mug, can, box, toy, rope"):
        move(desk, "cup", (0, 0, 0))


def test_put_down_it_stands_on_the_support(desk: Scene) -> None:
    lifted = move(desk, "mug", (0, 0, 0.3))
    stood = put(lifted, "mug", Place(-0.3, -0.2, yaw=0.5))
    assert stood.objects[0].T_world_body[:2] == (-0.3, -0.2)
    assert box_in_world(stood, "mug")[0, 2] == pytest.approx(0, abs=1e-12)
    assert put(desk, "mug", Place(0, 0, 0.7)).objects[0].T_world_body[2] == 0.7
    tilted = replace(desk.supports[0], normal=np.array([0.0, 0.6, 0.8]))
    stood = put(replace(desk, supports=(tilted,)), "mug", Place(0.1, 0.2))
    points = mesh_in_world(stood.objects[0].T_world_body, stood.objects[0].body.mesh.vertices)
    assert tilted.heights(points).min() == pytest.approx(0, abs=1e-12)


def test_without_supports_things_stand_as_deep_as_the_lowest() -> None:
    scene = balls((0, 0, 0.05), (0.5, 0, 0.3))
    assert put(scene, "ball 1", Place(0.2, 0)).objects[1].T_world_body[2] == pytest.approx(0.05, abs=1e-9)


def test_rename_touches_nothing_else(desk: Scene) -> None:
    renamed = rename(desk, "mug", " green mug ")
    assert renamed.objects[0].name == "green mug"
    assert renamed.splats is desk.splats
    assert renamed.objects[0].body.mesh is desk.objects[0].body.mesh
    assert rename(desk, "mug", "mug").objects[0].name == "mug"
    with pytest.raises(UsageError, match="has an object 'can' already"):
        rename(desk, "mug", "can")
    with pytest.raises(UsageError, match="cannot be the name of an object"):
        rename(desk, "mug", "../mug")


def test_material_decides_the_mass_until_it_is_known(desk: Scene) -> None:
    stoneware = load_materials()["stoneware"]
    of_stone = set_material(desk, "mug", "Stoneware")
    body = of_stone.objects[0].body
    assert body.mass == pytest.approx(2400 * 1.3144e-4, rel=1e-4)
    assert (body.mass_log_std, body.material) == (stoneware.density_log_std, stoneware)
    assert of_stone.objects[0].guessed == ("underside",)
    weighed = set_mass(of_stone, "mug", 0.5)
    assert (weighed.objects[0].body.mass, weighed.objects[0].body.mass_log_std) == (0.5, 0)
    assert np.allclose(weighed.objects[0].body.inertia, body.inertia * 0.5 / body.mass)
    wooden = set_material(weighed, "mug", "wood")
    assert (wooden.objects[0].body.mass, wooden.objects[0].body.material.name) == (0.5, "wood")
    assert set_mass(desk, "mug", 0.5).objects[0].guessed == ("friction", "underside")
    assert set_material(wooden, "mug", "unknown").objects[0].guessed == ("friction", "underside")
    assert wooden.splats is desk.splats
    with pytest.raises(UsageError, match=r"There is no material 'stonware'\. Did you mean 'stoneware'"):
        set_material(desk, "mug", "stonware")
    with pytest.raises(BodyError, match="found a mass of -1 kg"):
        set_mass(desk, "mug", -1)


def test_removing_changes_nothing_beside_the_object(desk: Scene, tabletop: Path) -> None:
    """The background's PSNR against the photos, outside the object's masks, all looked-at photos together."""
    photos = desk.photos()
    instances = find_instances(tabletop, photos)
    errors = np.zeros((len(NAMES), 2))
    for view in photos[::9]:
        camera = view.camera.fitted(200)
        with Image.open(view.path) as image:
            small = image.convert("RGB").resize((camera.width, camera.height), Image.Resampling.BOX)
        truth = torch.from_numpy(np.asarray(small).astype(np.float32) / 255)
        whole, shown = picture(desk, camera), instances.label_map(view, camera)
        for index, name in enumerate(NAMES):
            outside = torch.from_numpy(shown != index + 1)
            left = picture(remove(desk, name), camera)
            errors[index] += [float(((rgb - truth)[outside] ** 2).mean()) for rgb in (whole, left)]
            if int((~outside).sum()) > 200:  # It is gone: the pixels that showed it show something else.
                assert float(((left - whole)[~outside] ** 2).mean()) > 0.005, f"{name} in {view.name}"
    change = 10 * np.log10(errors[:, 1] / errors[:, 0])
    assert (np.abs(change) < 0.2).all(), dict(zip(NAMES, change.round(3), strict=True))


def test_remove_numbers_components_anew(desk: Scene) -> None:
    gone = remove(desk, "can")
    assert [thing.name for thing in gone.objects] == ["mug", "box", "toy", "rope"]
    counts = torch.bincount(desk.splats.component_index)
    assert torch.bincount(gone.splats.component_index).tolist() == counts[[0, 1, 3, 4, 5]].tolist()
    for name in ARRAYS[:-1]:
        kept = getattr(desk.splats, name)[desk.splats.component_index != 2]
        assert torch.equal(getattr(gone.splats, name), kept)


def test_copies_stand_free(desk: Scene) -> None:
    scene = desk
    for name in NAMES:
        scene = duplicate(scene, name)
    assert [thing.name for thing in scene.objects[5:]] == [f"{name}-2" for name in NAMES]
    assert len(scene.splats) - len(desk.splats) == int((desk.splats.component_index > 0).sum())
    boxes = [box_in_world(scene, thing.name) for thing in scene.objects]
    for i, a in enumerate(boxes[5:], start=5):
        assert np.abs(a[0, 2]) < 1e-3
        assert (a[0, :2] > desk.supports[0].outline[0, :2]).all()
        assert (a[1, :2] < desk.supports[0].outline[2, :2]).all()
        for b in boxes[:i]:
            assert (a[0, :2] >= b[1, :2]).any() or (b[0, :2] >= a[1, :2]).any()
    # Beside means beside: not at the other end of the table.
    assert np.linalg.norm(np.subtract(scene.objects[5].T_world_body, desk.objects[0].T_world_body)[:3]) < 0.15


def test_a_copy_is_seen_where_it_was_put(desk: Scene) -> None:
    copied = duplicate(desk, "mug", "cup", Place(-0.05, -0.3, yaw=1.0))
    moved = put(desk, "mug", Place(-0.05, -0.3, yaw=1.0))
    assert copied.objects[5].T_world_body == moved.objects[0].T_world_body
    camera = desk.views[30].camera.fitted(200)
    where = labels(copied, camera) == 5
    assert where.sum() > 100
    assert (labels(moved, camera) == 0).sum() == where.sum()
    middle = copied.objects[5].T_world_body[:3]
    point = camera.T_cam_world @ camera.T_world_cam.new_tensor([*middle[:2], middle[2] + 0.045, 1.0])
    u, v, w = (camera.K @ point[:3]).tolist()
    rows, columns = np.nonzero(where)
    assert np.hypot(columns.mean() + 0.5 - u / w, rows.mean() + 0.5 - v / w) < 0.2 * math.sqrt(where.sum())


def test_copies_have_free_names(desk: Scene) -> None:
    twice = duplicate(duplicate(desk, "can"), "can")
    assert [thing.name for thing in twice.objects[5:]] == ["can-2", "can-3"]
    with pytest.raises(UsageError, match="has an object 'box' already"):
        duplicate(desk, "can", "box")


def test_a_full_table_says_so(desk: Scene) -> None:
    small = replace(desk.supports[0], outline=desk.supports[0].outline * 0.15)
    with pytest.raises(UsageError, match="No place on the support is free"):
        duplicate(replace(desk, supports=(small,)), "mug")


def test_things_of_the_background_are_in_the_way(desk: Scene) -> None:
    """What nobody made an object still stands on the table."""
    free = duplicate(desk, "mug").objects[-1].T_world_body
    block = torch.tensor(free[:3]) + torch.tensor([0.02, 0.02, 0.05]) * torch.randn(50, 3)
    clutter = Gaussians.from_points(block, block.abs(), sigma=0.01, opacity=0.9)
    crowded = replace(desk, splats=Gaussians.cat([clutter, desk.splats]))
    other = duplicate(crowded, "mug").objects[-1].T_world_body
    assert np.linalg.norm(np.subtract(free, other)[:3]) > 0.05


def test_merge_and_split_look_the_same(desk: Scene) -> None:
    camera = desk.views[3].camera.fitted(240)
    merged = merge(desk, "can", "box", "pair")
    assert [thing.name for thing in merged.objects] == ["mug", "pair", "toy", "rope"]
    again = split(merged, "pair")
    assert [thing.name for thing in again.objects] == ["mug", "pair", "pair-2", "toy", "rope"]
    before = picture(desk, camera)
    for scene in (merged, again):
        assert len(scene.splats) == len(desk.splats)
        assert float((picture(scene, camera) - before).abs().max()) < 5e-3  # float32 in another frame.
        assert float((picture(scene, camera) - before).abs().mean()) < 1e-5
    assert again.objects[1].body.volume == pytest.approx(desk.objects[2].body.volume)
    assert again.objects[2].body.volume == pytest.approx(desk.objects[1].body.volume)
    counts = torch.bincount(desk.splats.component_index)
    pieces = torch.bincount(again.splats.component_index)
    assert (pieces[2:4] - counts[[3, 2]]).abs().max() <= 0.02 * counts[3]


def test_merged_bodies_are_fastened_to_each_other(desk: Scene) -> None:
    """Of one density the result is the solid of the united mesh; of two it has the sum of masses."""
    same = replace(
        desk,
        objects=tuple(replace(thing, body=thing.body.with_material(WOOD)) for thing in desk.objects),
    )
    body = merge(same, "can", "box").objects[1].body
    solid = mass_properties(body.mesh, WOOD.density)
    assert body.mass == pytest.approx(solid.mass)
    assert np.allclose(body.com, solid.com, atol=1e-9)
    assert np.allclose(body.inertia, solid.inertia, rtol=1e-6, atol=1e-12)
    mixed = merge(set_mass(desk, "can", 1.0), "can", "box").objects[1].body
    assert mixed.mass == pytest.approx(1.25, rel=1e-6)
    assert mixed.mass_log_std == pytest.approx(0.25 * 0.2 / 1.25, rel=1e-6)


def test_solids_that_overlap_are_counted_once() -> None:
    """Two balls of radius r at distance d: the lens they share has volume pi (4 r + d) (2 r - d)^2 / 12."""
    r, d = 0.05, 0.06
    merged = merge(balls((0, 0, 0), (d, 0, 0)), "ball 0", "ball 1")
    body = merged.objects[0].body
    exact = 2 * 4 / 3 * math.pi * r**3 - math.pi * (4 * r + d) * (2 * r - d) ** 2 / 12
    assert body.volume == pytest.approx(exact, rel=0.02)
    assert body.mass == pytest.approx(WOOD.density * body.volume, rel=1e-6)
    assert np.allclose(body.com, [d / 2, 0, 0], atol=1e-3)
    # Faces on the half of the first ball are the ones that it had not seen.
    unseen = merged.objects[0].unseen
    middles = body.mesh.vertices[body.mesh.faces].mean(axis=1)
    assert len(unseen) == len(body.mesh.faces)
    assert (unseen == (middles[:, 0] < d / 2))[np.abs(middles[:, 0] - d / 2) > 0.004].all()


@pytest.mark.parametrize(("apart", "balls_left"), [(0.0, 1), (0.1001, 2)])
def test_union_of_balls(apart: float, balls_left: int) -> None:
    """One in the other's place is one ball; two that nearly touch stay two, to the last bit."""
    marks = np.arange(len(ICE.faces)) % 2 == 0
    mesh, kept = union((ICE, marks), (ICE.moved(np.eye(3), np.array([apart, 0.0, 0.0])), ~marks))
    volume = balls_left * mass_properties(ICE, 1.0).volume
    assert mass_properties(mesh, 1.0).volume == pytest.approx(volume, rel=0.02 if balls_left == 1 else 1e-9)
    assert len(kept) == len(mesh.faces)
    if balls_left == 2:
        assert np.array_equal(kept, np.concatenate([marks, ~marks]))


def test_merge_says_what_is_wrong(desk: Scene) -> None:
    with pytest.raises(UsageError, match="cannot be merged with itself"):
        merge(desk, "mug", "mug")
    with pytest.raises(UsageError, match="has an object 'toy' already"):
        merge(desk, "mug", "can", "toy")
    with pytest.raises(UsageError, match="'mug' is rigid and 'rope' is deformable; only objects of one kind"):
        merge(set_kind(desk, "rope", "deformable"), "mug", "rope")


def test_one_piece_is_not_split(desk: Scene) -> None:
    for name in NAMES:
        with pytest.raises(SegmentError, match=f"'{name}' is in one piece"):
            split(desk, name)


def test_splats_that_stand_apart_get_a_body() -> None:
    """Closing a surface keeps its largest part only: the other ball has splats, but no collider."""
    scene = balls((0, 0, 0), (0.3, 0.1, 0))
    both = merge(scene, "ball 0", "ball 1")
    alone = replace(both.objects[0], body=scene.objects[0].body, unseen=scene.objects[0].unseen)
    parts = split(replace(both, objects=(alone,)), "ball 0")
    assert [thing.name for thing in parts.objects] == ["ball 0", "ball 0-2"]
    assert torch.bincount(parts.splats.component_index).tolist() == [0, 200, 200]
    assert parts.objects[0].body.volume == pytest.approx(scene.objects[0].body.volume)
    assert parts.objects[1].body.volume == pytest.approx(4 / 3 * math.pi * 0.05**3, rel=0.1)  # A hull of 200 points.
    assert np.allclose(parts.objects[1].T_world_body[:2], (0.3, 0.1), atol=0.005)
    assert parts.objects[1].guessed == ("back", "mass")


def test_a_rope_of_particles_and_back(desk: Scene) -> None:
    soft = set_kind(desk, "rope", "deformable")
    thing = soft.objects[4]
    assert thing.kind == "deformable"
    assert thing.body.particles is not None
    assert thing.body.particles.kind == "rope"
    assert thing.body.particles.masses.sum() == pytest.approx(thing.body.mass)
    assert thing.binding is not None
    assert len(thing.binding.indices) == int((desk.splats.component_index == 5).sum())
    assert soft.splats is desk.splats
    heavy = set_mass(soft, "rope", 0.1).objects[4].body
    assert heavy.particles is not None
    assert heavy.particles.masses.sum() == pytest.approx(0.1)
    stiff = set_kind(soft, "rope", "rigid").objects[4]
    assert (stiff.kind, stiff.binding, stiff.body.particles) == ("rigid", None, None)


def test_bindings_follow_their_objects() -> None:
    scene = SMALL
    gone = remove(duplicate(scene, "blue rope", place=Place(0.5, 0.5)), "Wooden block!")
    assert [thing.binding is scene.objects[1].binding for thing in gone.objects] == [True, True]
    assert torch.bincount(gone.splats.component_index).tolist() == [60, 40, 40]
    assert gone.filled == scene.filled
    assert torch.equal(gone.splats.means[:60], scene.splats.means[:60])
