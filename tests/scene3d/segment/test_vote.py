"""Votes: what they sum to, which splat wins which label, and instance masks as captures bring them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scene3d import Scene3dError, load_scene
from scene3d._camera import Camera
from scene3d._gaussians import Gaussians
from scene3d.capture import View, read_capture
from scene3d.render import render
from scene3d.segment import UNSEEN, find_instances, labels_of, vote
from scene3d.segment._vote import label_image

SIZE = (48, 36)


def cameras(count: int = 3) -> list[Camera]:
    places = [torch.tensor([0.3 * i - 0.3, -2.0, 0.4]) for i in range(count)]
    return [Camera.from_fov(*SIZE, 0.9, Camera.look_at(place, torch.zeros(3))) for place in places]


def splats(count: int = 60) -> Gaussians:
    points = torch.rand(count, 3) - 0.5
    return Gaussians.from_points(points, torch.rand(count, 3), sigma=0.06, opacity=0.6)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_votes_are_the_weights_of_rendering(backend: str) -> None:
    scene, views = splats(), cameras()
    maps = [np.random.default_rng(i).integers(0, 3, SIZE[::-1]) for i in range(len(views))]
    votes = vote(scene, views, maps, 3, backend=backend)
    assert votes.shape == (60, 3)
    for index in (0, 7, 31):
        one = torch.zeros(60, 1)
        one[index] = 1
        for label in range(3):
            expected = 0.0
            for camera, labels in zip(views, maps, strict=True):
                image = render(scene, camera, features=one, backend=backend).features
                assert image is not None
                expected += float(image[..., 0][torch.from_numpy(labels == label)].sum())
            assert float(votes[index, label]) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_unknown_pixels_vote_for_nothing() -> None:
    scene, views = splats(), cameras(1)
    labels = np.full(SIZE[::-1], -1)
    assert not vote(scene, views, [labels], 2).any()
    assert (labels_of(torch.zeros(4, 2)) == UNSEEN).all()
    labels[:, :24] = 1
    left = vote(scene, views, [labels], 2)
    assert left[:, 1].sum() > 0
    assert not left[:, 0].any()


def test_more_labels_than_channels() -> None:
    scene, views = splats(), cameras(1)
    labels = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE[::-1]) % 40
    many = vote(scene, views, [labels], 40)
    few = vote(scene, views, [labels // 20], 2)
    assert torch.allclose(many[:, :20].sum(1), few[:, 0], atol=1e-3)


def test_two_things_are_told_apart() -> None:
    left, right = torch.rand(40, 3) * 0.3 - torch.tensor([0.5, 0.15, 0.15]), torch.rand(40, 3) * 0.3 + 0.15
    scene = Gaussians.from_points(torch.cat([left, right]), torch.rand(80, 3), sigma=0.03, opacity=0.9)
    truth = torch.tensor([1] * 40 + [2] * 40)
    views, maps = cameras(), []
    for camera in views:
        image = render(scene, camera, features=torch.nn.functional.one_hot(truth, 3).float()).features
        assert image is not None
        image[..., 0] = 0.3
        maps.append(image.argmax(-1).numpy())
    labels = labels_of(vote(scene, views, maps, 3))
    assert (labels[labels != UNSEEN] == truth[labels != UNSEEN]).all()
    assert (labels != UNSEEN).float().mean() > 0.7
    assert (labels_of(vote(scene, views, maps, 3), background_bias=2.0) <= 0).all()


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="label map has shape"):
        vote(splats(), cameras(1), [np.zeros((3, 4))], 2)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        vote(splats(), cameras(2), [np.zeros(SIZE[::-1])], 2)


def test_tabletop_has_named_id_maps(tabletop: Path) -> None:
    capture = read_capture(tabletop)
    found = find_instances(tabletop, capture.views)
    assert found.names == ("mug", "can", "box", "toy", "rope")
    view = capture.views[3]
    labels = found.label_map(view)
    assert np.array_equal(labels, np.asarray(Image.open(tabletop / "instances" / "0004.png")))
    small = found.label_map(view, view.camera.fitted(320))
    assert np.array_equal(small, labels[1::2, 1::2])


@pytest.fixture
def folder(tmp_path: Path) -> tuple[Path, list[View]]:
    """Two photos, and a mask folder for each of two objects; the second photo lacks one mask."""
    views = []
    for name in ("a", "b"):
        path = tmp_path / "images" / f"{name}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", SIZE).save(path)
        views.append(View(f"images/{name}.jpg", path, cameras(1)[0]))
    left, right = np.zeros(SIZE[::-1], np.uint8), np.zeros(SIZE[::-1], np.uint8)
    left[:, :20], right[:, 16:40] = 255, 255
    for thing, mask, names in (("cup", left, ("a.jpg.png", "b.png")), ("pen", right, ("a.png",))):
        for name in names:
            (tmp_path / "masks" / thing).mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(tmp_path / "masks" / thing / name)
    (tmp_path / "masks" / "empty").mkdir()
    return tmp_path, views


def test_mask_folders(folder: tuple[Path, list[View]]) -> None:
    root, views = folder
    found = find_instances(root, views)
    assert found.names == ("cup", "pen")
    assert all(found.has(view) for view in views)
    assert found.label_map(views[0])[0, [0, 18, 30, 45]].tolist() == [1, -1, 2, 0]
    assert found.label_map(views[1])[0, [0, 18, 30, 45]].tolist() == [1, 1, -1, -1]


def test_folder_of_photos_is_no_object(folder: tuple[Path, list[View]]) -> None:
    root, views = folder
    views = [replace(view, name=view.name.replace("images/", "images/pen/")) for view in views]
    assert find_instances(root, views).names == ("cup",)


def test_distorted_photo(folder: tuple[Path, list[View]]) -> None:
    root, views = folder
    bent = replace(views[1], distortion=(0.3, 0.0, 0.0, 0.0))
    labels = find_instances(root, views).label_map(bent)
    assert labels.shape == SIZE[::-1]
    edges = [int((row == 1).sum()) for row in labels]
    assert edges[0] != edges[SIZE[1] // 2]  # The straight edge of the mask is curved on the pinhole camera.


def write_ids(root: Path, ids: np.ndarray, **keys: object) -> None:
    Image.fromarray(ids).save(root / "ids.png")
    frames = [{"file_path": "images/a.jpg", "instance_path": "ids.png"}, {"file_path": "images/b"}, 7]
    (root / "transforms.json").write_text(json.dumps({"frames": frames, **keys}))
    (root / "masks").rename(root / "other")


def test_ids_without_names(folder: tuple[Path, list[View]]) -> None:
    root, views = folder
    ids = np.zeros(SIZE[::-1], np.uint16)
    ids[:10], ids[20:] = 300, 7
    write_ids(root, ids)
    found = find_instances(root, views)
    assert found.names == ("7", "300")
    assert [found.has(view) for view in views] == [True, False]
    assert found.label_map(views[0])[[0, 15, 30], 0].tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"instance_names": ["mug"]}, "gives each id"),
        ({"instance_names": {"0": "mug"}}, "above zero"),
        ({"instance_names": {"1": "mug", "2": "mug"}}, "the same name"),
    ],
)
def test_wrong_names(folder: tuple[Path, list[View]], keys: dict, words: str) -> None:
    root, views = folder
    write_ids(root, np.zeros(SIZE[::-1], np.uint8), **keys)
    with pytest.raises(Scene3dError, match=words):
        find_instances(root, views)


@pytest.mark.parametrize(
    ("ids", "words"),
    [(np.zeros((36, 36), np.uint8), "another shape than its photo"), (np.zeros((36, 48, 3), np.uint8), "mode RGB")],
)
def test_wrong_id_maps(folder: tuple[Path, list[View]], ids: np.ndarray, words: str) -> None:
    root, views = folder
    write_ids(root, ids, instance_names={"1": "mug"})
    with pytest.raises(Scene3dError, match=words):
        find_instances(root, views).label_map(views[0])


@pytest.mark.parametrize("name", ["../ids.png", "images/../../ids.png", "..\\ids.png", "ABSOLUTE", "link.png"])
def test_id_maps_stay_in_the_capture(folder: tuple[Path, list[View]], name: str) -> None:
    root, views = folder
    write_ids(root, np.zeros(SIZE[::-1], np.uint8), instance_names={"1": "mug"})
    outside = root.parent / "ids.png"
    (root / "ids.png").rename(outside)
    (root / "link.png").symlink_to(outside)
    frame = {"file_path": "images/a.jpg", "instance_path": str(outside) if name == "ABSOLUTE" else name}
    (root / "transforms.json").write_text(json.dumps({"frames": [frame], "instance_names": {"1": "mug"}}))
    with pytest.raises(Scene3dError, match="lies outside of the capture"):
        find_instances(root, views)


def test_no_masks(folder: tuple[Path, list[View]]) -> None:
    root, views = folder
    (root / "masks").rename(root / "other")
    assert find_instances(root, views).names == ()
    (root / "transforms.json").write_text("not json")
    assert find_instances(root, views).names == ()


def test_kernel_and_gradient_agree_on_real_splats(tabletop_scene: Path) -> None:
    from scene3d.segment import _vote

    scene = load_scene(tabletop_scene)
    camera = scene.views[3].camera.fitted(120)
    labels = np.arange(camera.width)[None] // 25 + np.zeros((camera.height, 1), dtype=int)
    weights = np.random.default_rng(0).random(labels.shape)
    found = vote(scene.splats, [camera], [labels], 5, weights=[weights])
    expected = torch.zeros_like(found)
    maps = torch.from_numpy(labels), torch.from_numpy(weights).float()
    _vote._add_by_gradient(expected, scene.splats, camera, *maps, None, "cpu")
    assert (found - expected).abs().max() <= 1e-5 * expected.max()


def test_ids_beyond_32_bits_are_nobody() -> None:
    labels = np.full(SIZE[::-1], 2**32 + 1, dtype=np.int64)
    assert not vote(splats(), cameras(1), [labels], 2).any()


def test_label_image() -> None:
    scene = Gaussians.from_points(
        torch.tensor([[-0.3, 0.0, 0.0], [0.3, 0, 0]]), torch.ones(2, 3), sigma=0.1, opacity=0.9
    )
    image = label_image(scene, torch.tensor([-1, 2]), cameras()[1], 3)
    assert image.shape == SIZE[::-1]
    assert set(np.unique(image)) == {0, 2}
