"""Masks to labels: the demo scene, and what masks can get wrong."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from scene3d import Camera, Gaussians, Scene, load_scene
from scene3d._errors import SegmentError
from scene3d._flatten import flatten
from scene3d._support import SupportPlane
from scene3d.render import render
from scene3d.segment import find_instances
from scene3d.segment._carry_masks import carried_masks
from scene3d.segment._from_masks import labels_from_masks, lift_masks
from scene3d.segment._tidy import tidied
from scene3d.segment._vote import label_image

SIZE = (80, 60)


def ball(place: tuple[float, float, float], count: int, color: tuple[float, float, float], seed: int) -> Gaussians:
    points = torch.nn.functional.normalize(torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)), dim=1)
    colors = torch.tensor(color).expand(count, 3)
    return Gaussians.from_points(0.12 * points + torch.tensor(place), colors, sigma=0.02, opacity=0.9)


def table() -> Gaussians:
    x, y = torch.meshgrid(torch.linspace(-0.7, 0.7, 29), torch.linspace(-0.5, 0.5, 21), indexing="ij")
    points = torch.stack([x, y, 0 * x - 0.2], dim=-1).reshape(-1, 3)
    return Gaussians.from_points(points, torch.full((len(points), 3), 0.3), sigma=0.03, opacity=0.9)


def world(right: int = 300) -> tuple[Gaussians, torch.Tensor]:
    """A table and two balls on it, and the truth."""
    splats = [table(), ball((-0.25, 0, 0), 300, (0.9, 0.1, 0.1), 0), ball((0.25, 0, 0), right, (0.1, 0.1, 0.9), 1)]
    truth = torch.cat([torch.full((len(part),), label) for label, part in enumerate(splats)])
    return Gaussians.cat(splats), truth


def cameras(count: int = 8) -> list[Camera]:
    angles = torch.arange(count) * (2 * torch.pi / count)
    places = torch.stack([1.2 * angles.cos(), 1.2 * angles.sin(), torch.full((count,), 0.8)], dim=1)
    return [Camera.from_fov(*SIZE, 0.9, Camera.look_at(place, torch.zeros(3))) for place in places]


def masks(splats: Gaussians, truth: torch.Tensor, views: list[Camera]) -> list[np.ndarray]:
    return [label_image(splats, truth, camera, 3) for camera in views]


def test_labels_are_the_truth() -> None:
    splats, truth = world()
    views = cameras()
    found = labels_from_masks(splats, views, masks(splats, truth, views), ["red", "blue"])
    assert found.names == ("red", "blue")
    assert (found.of_splat != truth).float().mean() < 0.03
    assert min(found.confidence) > 0.95
    assert found.named == (True, True)
    assert not found.notes


def test_id_that_comes_and_goes() -> None:
    splats, truth = world()
    views = cameras()
    maps = masks(splats, truth, views)
    for index in (0, 1, 3, 4, 6):  # Most masks call the blue ball background.
        maps[index][maps[index] == 2] = 0
    found = labels_from_masks(splats, views, maps, ["red", "blue"])
    assert ((found.of_splat == 2) & (truth == 2)).sum() > 0.9 * (truth == 2).sum()
    assert any("'blue' is missing from the masks of 5 photos" in note for note in found.notes)


def test_what_is_out_of_sight_is_not_missing() -> None:
    splats, truth = world()
    views = cameras()
    maps = masks(splats, truth, views)
    near = Camera.from_fov(
        *SIZE, 0.3, Camera.look_at(torch.tensor([-0.25, -1.0, 0.3]), torch.tensor([-0.25, 0.0, 0.0]))
    )
    maps.append(label_image(splats, truth, near, 3))
    assert not (maps[-1] == 2).any()
    assert not labels_from_masks(splats, [*views, near], maps, ["red", "blue"]).notes


def test_mask_that_names_nothing() -> None:
    splats, truth = world()
    views = cameras(2)
    maps = masks(splats, truth, views)
    with pytest.raises(SegmentError, match=r"No pixel of the 2 masks shows 'cup'\."):
        labels_from_masks(splats, views, maps, ["red", "blue", "cup"])
    with pytest.raises(SegmentError, match="No photo has a mask"):
        lift_masks(splats, [], [], ["red"])


@pytest.mark.parametrize(("count", "kept"), [(30, False), (60, True)])
def test_small_things(count: int, kept: bool) -> None:
    splats, truth = world(right=count)
    views = cameras()
    found = labels_from_masks(splats, views, masks(splats, truth, views), ["red", "blue"])
    assert found.names == (("red", "blue") if kept else ("red",))
    assert bool((found.of_splat == 2).any()) == kept
    assert kept == (not found.notes)
    if not kept:
        assert "too few for a body, which takes 40; it stays background" in found.notes[0]


def test_thing_cut_by_the_border() -> None:
    splats, truth = world()
    place = torch.tensor([0.0, -0.75, 0.4])
    views = [
        Camera.from_fov(*SIZE, 0.5, Camera.look_at(place + 0.02 * i, torch.tensor([-0.1, 0, 0]))) for i in range(3)
    ]
    maps = masks(splats, truth, views)
    assert all((map_[:, -1] == 2).any() for map_ in maps)
    found = labels_from_masks(splats, views, maps, ["red", "blue"])
    assert [note for note in found.notes if note.startswith("'blue' is cut by the image border in 3 of the 3")]


def test_unknown_pixels_do_not_count() -> None:
    splats, truth = world()
    views = cameras()
    maps = [np.where(np.arange(SIZE[0]) % 3, map_, 9) for map_ in masks(splats, truth, views)]
    found = labels_from_masks(splats, views, maps, ["red", "blue"], unknown=9)
    assert (found.of_splat != truth).float().mean() < 0.03


def test_hidden_splats_take_the_label_around_them() -> None:
    splats, truth = world()
    inside = Gaussians.from_points(torch.tensor([[-0.25, 0.0, 0.0], [0, 0, 0.9]]), torch.zeros(2, 3), sigma=0.01)
    splats = Gaussians.cat([splats, inside])
    votes = torch.nn.functional.one_hot(torch.cat([truth, torch.zeros(2, dtype=torch.int64)]), 3).float() * 20
    votes[-2:] = 0
    labels = torch.cat([truth, torch.tensor([-1, -1])])
    assert tidied(splats, votes, labels)[-2:].tolist() == [1, 0]


def test_strays_and_what_lies_under_the_table_are_background() -> None:
    splats, truth = world()
    odd = Gaussians.from_points(torch.tensor([[0.2, 0.4, 0.6], [-0.25, 0, -0.4]]), torch.zeros(2, 3), sigma=0.01)
    splats = Gaussians.cat([splats, odd])
    labels = torch.cat([truth, torch.tensor([1, 1])])
    votes = torch.nn.functional.one_hot(labels, 3).float() * 20
    votes[-2] *= 0.2
    votes[-1] *= 40  # Many votes: only the support tells that it is wrong.
    outline = np.array([[-0.7, -0.5, -0.2], [0.7, -0.5, -0.2], [0.7, 0.5, -0.2], [-0.7, 0.5, -0.2]])
    support = SupportPlane(np.array([0.0, 0, 1]), -0.2, 0.01, outline)
    assert tidied(splats, votes, labels)[-2:].tolist() == [0, 1]
    splats.means[-2] = torch.tensor([-0.25, 0.0, 0.0])  # Alone as well, but inside of the ball.
    assert tidied(splats, votes, labels)[-2:].tolist() == [1, 1]
    splats.means[-2] = torch.tensor([0.2, 0.4, 0.6])
    # A splat under the support that only the object's pixels show is what mirrors in its floor: it stays the object's.
    assert tidied(splats, votes, labels, [support])[-2:].tolist() == [0, 1]
    votes[-1, 0] = votes[-1, 1]
    assert tidied(splats, votes, labels, [support])[-2:].tolist() == [0, 0]


def test_even_votes_go_by_colour() -> None:
    splats, truth = world()
    halo = ball((-0.25, 0, 0.02), 2, (0.9, 0.1, 0.1), 5)
    halo = Gaussians.cat([halo[:1], Gaussians.from_points(halo.means[1:], torch.full((1, 3), 0.3), sigma=0.02)])
    splats = Gaussians.cat([splats, halo])
    votes = torch.nn.functional.one_hot(torch.cat([truth, torch.zeros(2, dtype=torch.int64)]), 3).float() * 20
    votes[-2] = torch.tensor([10.5, 9.5, 0])
    votes[-1] = torch.tensor([9.5, 10.5, 0])
    labels = torch.cat([truth, torch.tensor([0, 1])])
    assert tidied(splats, votes, labels)[-2:].tolist() == [1, 0]


@pytest.fixture(scope="module")
def scorer(repository: Path) -> ModuleType:
    """The benchmarks' scorer; tests are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("_label_iou", repository / "tests" / "benchmarks" / "_label_iou.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["_label_iou"] = module  # Dataclasses look their module up by name.
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def demo(tabletop_scene: Path) -> Scene:
    """The demo scene without its objects."""
    return flatten(load_scene(tabletop_scene))


def views_of(scene: Scene, capture: Path, chosen: slice, longest: int) -> tuple[list[Camera], list[np.ndarray]]:
    photos = scene.photos()
    instances = find_instances(capture, photos)
    fitted = [photo.camera.fitted(longest) for photo in photos[chosen]]
    return fitted, [instances.label_map(photo, camera) for photo, camera in zip(photos[chosen], fitted, strict=True)]


def test_tabletop(demo: Scene, tabletop: Path, scorer: ModuleType) -> None:
    names = find_instances(tabletop, demo.photos()).names
    few, maps = views_of(demo, tabletop, slice(3, None, 7), 640)
    splats, found = lift_masks(demo.splats, few, maps, names)
    assert found.names == names
    held, truth = views_of(demo, tabletop, slice(0, None, 20), 640)
    iou = scorer.label_iou(splats, found.of_splat, held, truth)
    assert min(iou) >= 0.93, iou
    # Taking an object away leaves the rest of the picture as it was.
    for camera, map_ in zip(held[:2], truth[:2], strict=True):
        whole = render(splats, camera).rgb
        for label in range(1, 6):
            rest = render(splats[found.of_splat != label], camera).rgb
            outside = torch.from_numpy(map_ != label)
            assert (rest - whole)[outside].square().mean() < 1e-4


def test_maps_are_carried_only_where_masks_are_few() -> None:
    splats, truth = world()
    views = cameras(9)
    maps = masks(splats, truth, views)
    assert carried_masks(splats, views[:8], maps[:8], views[8:], 3) == []
    carried = carried_masks(splats, views[:3], maps[:3], views[3:5], 3)
    assert [camera is view for (camera, _), view in zip(carried, views[3:5], strict=True)] == [True, True]
    for (_, found), expected in zip(carried, maps[3:5], strict=True):
        for label in (1, 2):
            both, either = (found == label) & (expected == label), (found == label) | (expected == label)
            assert both.sum() / either.sum() > 0.85
