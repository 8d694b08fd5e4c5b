"""Folders and files of other projects become scenes with bodies; every layout is built here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from scene3d import Gaussians, load_scene, save_ply, save_scene
from scene3d._errors import FileFormatError, UsageError
from scene3d._flatten import flatten
from scene3d.files import save_splats
from scene3d.interop import read_marble, read_polaris

POSE = [0.4, 0.1, 0.02, 0.6, 0.0, 0.0, 0.8]


def splats_on(mesh: trimesh.Trimesh, count: int = 400) -> Gaussians:
    points = torch.from_numpy(np.asarray(trimesh.sample.sample_surface(mesh, count, seed=1)[0])).float()
    return Gaussians.from_points(points, points * 0 + 0.5, sigma=0.01, opacity=0.9)


@pytest.fixture
def polaris(tmp_path: Path) -> Path:
    """A can with a mesh, a bowl whose mesh leaks, a static shelf without a mesh."""
    folder = tmp_path / "kitchen"
    can, bowl = trimesh.creation.cylinder(0.03, 0.1), trimesh.creation.icosphere(radius=0.08)
    bowl.update_faces(bowl.triangles_center[:, 2] < 0)
    for name, mesh in (("red can", can), ("bowl", bowl), ("shelf_static", trimesh.creation.box((0.5, 0.3, 0.02)))):
        (folder / "assets" / name).mkdir(parents=True)
        save_ply(splats_on(mesh), folder / "assets" / name / "splat.ply")
    can.export(folder / "assets" / "red can" / "mesh.glb")
    bowl.export(folder / "assets" / "bowl" / "mesh.obj")
    (folder / "assets" / "bowl" / "mesh.usd").write_bytes(b"PXR-USDC")
    poses = {"instruction": "put the can into the bowl", "poses": [{"red can": POSE}, {"bowl": POSE}]}
    (folder / "initial_conditions.json").write_text(json.dumps(poses))
    return folder


def test_folders_of_objects(polaris: Path, tmp_path: Path) -> None:
    scene = read_polaris(polaris)
    bowl, can, shelf = scene.objects
    assert [thing.name for thing in scene.objects] == ["bowl", "red can", "shelf_static"]
    assert [thing.body.motion for thing in scene.objects] == ["dynamic", "dynamic", "static"]
    assert can.T_world_body == pytest.approx(POSE)
    assert bowl.T_world_body == (0, 0, 0, 1, 0, 0, 0)
    density = can.body.material.density
    assert can.body.mass == pytest.approx(density * trimesh.creation.cylinder(0.03, 0.1).volume, rel=1e-3)
    assert can.guessed == ("mass", "friction")
    assert bowl.body.mass == pytest.approx(density * 2 / 3 * np.pi * 0.08**3, rel=0.1)  # The hull closed it.
    assert shelf.guessed == ("mass", "friction", "underside", "back")
    notes = " ".join(scene.source["notes"])
    assert "The mesh of bowl was replaced by its convex hull" in notes
    assert "shelf_static has no mesh" in notes
    assert (scene.metric, scene.up, len(scene.splats)) == (True, (0, 0, 1), 1200)
    world = flatten(scene).splats.means[400:800]
    assert float((world.mean(dim=0) - torch.tensor(POSE[:3])).norm()) < 0.01
    after = load_scene(save_scene(scene, tmp_path / "out"))
    assert torch.equal(after.splats.means, scene.splats.means)
    assert read_polaris(polaris, condition=1).objects[0].T_world_body == pytest.approx(POSE)


def test_one_object_alone(polaris: Path) -> None:
    scene = read_polaris(polaris / "assets" / "red can")
    assert [thing.name for thing in scene.objects] == ["red can"]
    assert "every object is at the origin" in scene.source["notes"][0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no list of poses"),
        ('{"poses": []}', "has 0 sets of poses"),
        ('{"poses": [{"bowl": [1, 2, 3]}]}', "gives 'bowl' a pose that is none"),
        ('{"poses": [{"bowl": [0, 0, 0, 0, 0, 0, 0]}]}', "gives 'bowl' a pose that is none"),
        ('{"poses": [{"bowl": "here"}]}', "gives 'bowl' a pose that is none"),
    ],
)
def test_damaged_poses(polaris: Path, text: str, message: str) -> None:
    (polaris / "initial_conditions.json").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_polaris(polaris)


def test_folders_that_are_none(polaris: Path, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"holds no objects: there is no NAME/splat\.ply"):
        read_polaris(tmp_path / "absent")
    (polaris / "assets" / "red can" / "mesh.glb").write_bytes(b"glTF" + bytes(40))
    with pytest.raises(FileFormatError, match=r"mesh\.glb is no mesh that can be read"):
        read_polaris(polaris)
    (polaris / "assets" / "red can").rename(polaris / "assets" / ("x" * 80))
    with pytest.raises(UsageError, match="cannot be the name of an object"):
        read_polaris(polaris)


def test_an_object_file_reads_nothing_else(polaris: Path) -> None:
    """A material library that an .obj names is not opened: here it would be a folder, which is an error."""
    path = polaris / "assets" / "bowl" / "mesh.obj"
    path.write_text("mtllib ../../../kitchen\nusemtl a\n" + path.read_text())
    assert len(read_polaris(polaris).objects) == 3


ROOM: Any = trimesh.util.concatenate(
    [
        trimesh.creation.box((4.0, 0.02, 6.0), trimesh.transformations.translation_matrix([0, 1.5, 1])),
        trimesh.creation.box((4.0, 2.0, 0.02), trimesh.transformations.translation_matrix([0, 0.5, 4])),
        trimesh.creation.box((1.0, 0.02, 1.0), trimesh.transformations.translation_matrix([0.5, 0.8, 2])),
    ]
)
"""A floor 1.5 below the camera, a wall ahead and a shelf, with y down and z forward."""


@pytest.mark.parametrize("suffix", ["ply", "spz"])
@pytest.mark.parametrize("raw", [True, False])
def test_generated_worlds_stand_upright(tmp_path: Path, suffix: str, raw: bool) -> None:
    """Whether or not the splats come with the half turn of SPZ, they end on the collider."""
    splats = splats_on(ROOM, 2000)
    points = splats.means if raw else splats.means * torch.tensor([1.0, -1.0, -1.0])
    stored = Gaussians.from_points(points, points * 0 + 0.5, sigma=0.01, opacity=0.9)
    save_splats(stored, tmp_path / f"world.{suffix}")
    ROOM.export(tmp_path / "collider.glb")
    scene = read_marble(tmp_path / f"world.{suffix}", tmp_path / "collider.glb", unit=2.0, ground=3.0)
    (world,) = scene.objects
    assert (world.name, world.body.motion, scene.metric) == ("world", "static", True)
    expected = splats.means.numpy() @ np.array([[2.0, 0, 0], [0, 0, -2], [0, 2, 0]]) + [0, 0, 3]
    assert np.abs(scene.splats.means.numpy() - expected).max() < 2e-3
    assert world.body.mesh.bounds[0] == pytest.approx([-4, -4, -0.02], abs=1e-5)
    (floor,) = scene.supports
    assert floor.offset == pytest.approx(0.02, abs=0.01)  # The top of the floor, not the shelf.
    assert floor.heights(np.array([[0.0, 0, 1.02]])) == pytest.approx([1.0], abs=0.01)
    assert np.ptp(floor.outline, axis=0) == pytest.approx([8, 12, 0], abs=1e-5)
    assert ("half a turn" in " ".join(scene.source["notes"])) == (not raw)
    after = load_scene(save_scene(scene, tmp_path / "out"))
    assert len(after.splats) == 2000
    assert read_marble(tmp_path / f"world.{suffix}", tmp_path / "collider.glb").metric is False


def test_worlds_that_are_none(tmp_path: Path) -> None:
    save_splats(splats_on(ROOM), tmp_path / "world.ply")
    with pytest.raises(FileFormatError, match=r"collider\.glb cannot be read"):
        read_marble(tmp_path / "world.ply", tmp_path / "collider.glb")
    with pytest.raises(FileFormatError, match=r"is no mesh that is read; these are \.obj, \.glb"):
        read_marble(tmp_path / "world.ply", tmp_path / "collider.usd")
    with pytest.raises(UsageError, match="above zero"):
        read_marble(tmp_path / "world.ply", tmp_path / "collider.glb", unit=-1.0)
    (tmp_path / "empty.obj").write_text("v 0 0 0\n")
    with pytest.raises(FileFormatError, match=r"empty\.obj"):
        read_marble(tmp_path / "world.ply", tmp_path / "empty.obj")
