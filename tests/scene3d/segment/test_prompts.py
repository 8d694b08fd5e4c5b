"""Clicks: how they are written, what they meet, and what is said when they meet nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scene3d import Scene3dError
from scene3d._camera import Camera
from scene3d._errors import UsageError
from scene3d.capture import View
from scene3d.segment._find_supports import find_supports
from scene3d.segment._geometric import labels_from_geometry
from scene3d.segment._labels import Labels
from scene3d.segment._prompts import PointPrompt, labels_from_prompts, parse_point
from scene3d.segment._surface_points import surface_points

from .made_up_desk import around, block, board, counts, splats

WOOD, RED, BLUE, WHITE = (0.6, 0.4, 0.2), (0.9, 0.1, 0.1), (0.1, 0.1, 0.9), (0.95, 0.95, 0.95)
TOP = board(step=0.006)
CARD = (np.abs(TOP[:, 0] + 0.12) < 0.05) & (np.abs(TOP[:, 1] + 0.12) < 0.07)
PARTS = (
    (TOP[~CARD], WOOD),
    (block(0.0, 0.05, (0.06, 0.06, 0.1)), RED),
    (block(0.06, 0.05, (0.06, 0.06, 0.1)), BLUE),
    (TOP[CARD], WHITE),
)
TRUTH = counts(*PARTS)
VIEWS = around(8)


@pytest.fixture(scope="module")
def desk() -> tuple:
    """Splats, their surface and its support."""
    made = splats(*PARTS, sigma=0.003)
    surface = surface_points(made, VIEWS)
    return made, surface, find_supports(surface, (0, 0, 1))


def click(place: tuple[float, float, float], name: str = "", view: int = 0) -> PointPrompt:
    """A click on the desk's point, in a photo four times as large as the camera."""
    camera = VIEWS[view]
    x = camera.T_cam_world @ torch.tensor([*place, 1.0])
    pixel = camera.K @ (x[:3] / x[2])
    return PointPrompt(f"{view}.jpg", 4 * float(pixel[0]), 4 * float(pixel[1]), name)


def found(desk: tuple, *prompts: PointPrompt, existing: Labels | None = None) -> Labels:
    made, surface, supports = desk
    photos = [View(f"photos/{i}.jpg", Path(), c.resized(4 * c.width, 4 * c.height)) for i, c in enumerate(VIEWS)]
    return labels_from_prompts(made, VIEWS, photos, prompts, surface, supports, metric=True, existing=existing)


def iou(labels: Labels, label: int, *parts: int) -> float:
    ours, real = labels.of_splat.numpy() == label, np.isin(TRUTH, parts)
    return float((ours & real).sum() / (ours | real).sum())


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("a.jpg,1,2", PointPrompt("a.jpg", 1, 2)),
        (" a/b c.jpg , 1.5 ,-2, red mug ", PointPrompt("a/b c.jpg", 1.5, -2, "red mug")),
        ("a,1.jpg,3,4,x", PointPrompt("a,1.jpg", 3, 4, "x")),
    ],
)
def test_how_points_are_written(text: str, prompt: PointPrompt) -> None:
    assert parse_point(text) == prompt


@pytest.mark.parametrize("text", ["", "a.jpg", "a.jpg,1", "a.jpg,1,b", "a.jpg,1,2,", "a.jpg,nan,2", ",1,2"])
def test_how_they_are_not(text: str) -> None:
    with pytest.raises(UsageError, match="IMAGE,U,V"):
        parse_point(text)


def test_one_click_takes_what_touches_and_two_divide_it(desk: tuple) -> None:
    whole = found(desk, click((0.0, 0.05, 0.1), "both"))
    assert whole.names == ("both",)
    assert whole.named == (True,)
    assert iou(whole, 1, 1, 2) > 0.9
    parts = found(desk, click((0.0, 0.05, 0.1), "red"), click((0.06, 0.05, 0.1), "blue"))
    assert parts.names == ("red", "blue")
    assert min(iou(parts, 1, 1), iou(parts, 2, 2)) > 0.85
    again = found(desk, click((0.0, 0.05, 0.1), "both"), click((0.06, 0.05, 0.1), "both", view=3))
    assert again.names == ("both",)
    assert torch.equal(again.of_splat, whole.of_splat)


def test_a_flat_thing(desk: tuple) -> None:
    labels = found(desk, click((-0.12, -0.12, 0.0)))
    assert labels.names == ("object-1",)
    assert labels.named == (False,)
    # A pixel is nearly as wide as the splats are apart; one row of them less on every side is 0.81.
    assert iou(labels, 1, 3) > 0.75


def test_clicks_name_and_add_to_what_is_known(desk: tuple) -> None:
    made, surface, supports = desk
    known = labels_from_geometry(made, VIEWS, surface, supports, metric=True)
    assert known.names == ("object-1",)
    labels = found(desk, click((0.0, 0.05, 0.1), "pair"), click((-0.12, -0.12, 0.0), "card"), existing=known)
    assert labels.names == ("pair", "card")
    assert labels.named == (True, True)
    assert (labels.of_splat == 1).equal(known.of_splat == 1)
    with pytest.raises(Scene3dError, match="Two clicks call one object"):
        found(desk, click((0.0, 0.05, 0.1), "a"), click((0.06, 0.05, 0.1), "b"), existing=known)


def test_the_bare_top(desk: tuple) -> None:
    with pytest.raises(Scene3dError, match="a bare surface"):
        found(desk, click((0.15, -0.2, 0.0), "nothing"))


def test_nothing_at_all(desk: tuple) -> None:
    with pytest.raises(Scene3dError, match="meets no surface"):
        found(desk, PointPrompt("0.jpg", 2, 2, "sky"))


def test_wrong_photos_and_pixels(desk: tuple) -> None:
    with pytest.raises(UsageError, match=r"nearest names are photos/3\.jpg"):
        found(desk, PointPrompt("photos/3.jpeg", 2, 2))
    with pytest.raises(UsageError, match="960x720"):
        found(desk, PointPrompt("3", 1000, 2))


def test_cameras_and_photos_may_differ_in_size() -> None:
    assert isinstance(VIEWS[0], Camera)
    assert click((0, 0, 0)).u == pytest.approx(2 * VIEWS[0].width, abs=2)
