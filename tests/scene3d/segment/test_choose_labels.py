"""Which way of labelling is taken, what it finds on a desk, and what is said where there is nothing to go by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scene3d import Camera, Gaussians, Scene, Scene3dError
from scene3d.segment import SegmentRequest
from scene3d.segment._choose_labels import Chosen, choose_labels

from .made_up_desk import around
from .photographed_desk import (
    BLUE,
    RED,
    SIDE,
    TRUTH,
    desk,
    forgetful,
    photographed,
    pixel_of,
    seen,
    write_ids,
    write_masks,
)

LEVEL = "No level surface is seen that things could stand on"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return photographed(tmp_path_factory.mktemp("desk") / "photos", desk())


@pytest.fixture
def own(made: Scene, tmp_path: Path) -> Scene:
    """The desk with photos of its own, beside which something may be put."""
    return photographed(tmp_path / "photos", made.splats)


def iou(chosen: Chosen, scene: Scene, name: str, label: int) -> float:
    """How well an object covers a part of the desk in the photos; the mean of three."""
    number, shares = chosen.labels.names.index(name) + 1, []
    for view in scene.views[::3]:
        ours = seen(chosen.splats, chosen.labels.of_splat, view.camera) == number
        real = seen(scene.splats, TRUTH, view.camera) == label
        shares.append((ours & real).sum() / (ours | real).sum())
    return float(np.mean(shares))


def said(scene: Scene, request: SegmentRequest) -> str:
    with pytest.raises(Scene3dError) as caught:
        choose_labels(scene, request)
    return str(caught.value)


def without_a_top(made: Scene) -> Scene:
    """Splats all around the cameras' aim, none of them on anything level."""
    points = torch.nn.functional.normalize(torch.randn(600, 3), dim=1) * 0.1
    return replace(made, splats=Gaussians.from_points(points, torch.rand(600, 3), sigma=0.01, opacity=0.9))


def test_shape_alone(made: Scene) -> None:
    chosen = choose_labels(made, SegmentRequest())
    assert (chosen.method, chosen.labels.notes) == ("shape", ())
    assert chosen.labels.names == ("object-1", "object-2")
    assert iou(chosen, made, "object-1", BLUE) > 0.95
    assert iou(chosen, made, "object-2", RED) > 0.95
    assert len(chosen.labels.supports) == 1


def test_masks_beside_the_photos_are_taken_unless_told_not_to(own: Scene, tmp_path: Path) -> None:
    write_masks(tmp_path / "masks", own, TRUTH, {"red block": RED, "blue": BLUE}, {})
    for scene in (own, replace(own, source={}), replace(own, source={"capture": 7})):
        chosen = choose_labels(scene, SegmentRequest())
        assert (chosen.method, chosen.labels.names) == ("masks", ("blue", "red block"))
    assert iou(chosen, own, "red block", RED) > 0.95
    assert choose_labels(own, SegmentRequest(use_masks=False)).method == "shape"


def test_masks_in_the_working_folder_are_nobodys(own: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    write_masks(elsewhere / "masks", own, TRUTH, {"red": RED}, {})
    monkeypatch.chdir(elsewhere)
    assert choose_labels(replace(own, source={}), SegmentRequest()).method == "shape"


def test_photos_that_are_gone(own: Scene, tmp_path: Path) -> None:
    click = f"{pixel_of(own, TRUTH, RED)},red"
    masks = write_masks(tmp_path / "other", own, TRUTH, {"red": RED}, {})
    own.photos()[3].path.unlink()
    chosen = choose_labels(own, SegmentRequest())
    assert chosen.method == "shape"
    assert chosen.labels.notes == ("Photos of the scene are gone, so no masks were looked for beside them.",)
    # A click needs a photo's size and no pixels; masks are of the photos.
    assert "red" in choose_labels(own, SegmentRequest(points=(click,))).labels.names
    assert "1 of the scene's 8 photos are gone" in said(own, SegmentRequest(masks=masks))


def test_a_scene_that_never_knew_its_photos(made: Scene) -> None:
    chosen = choose_labels(forgetful(made), SegmentRequest())
    assert (chosen.method, chosen.labels.notes) == ("shape", ())
    words = "does not say where its photos are"
    assert words in said(forgetful(made), SegmentRequest(points=("00.png,80,60,red",)))
    assert words in said(forgetful(made), SegmentRequest(masks=Path("masks")))


def test_clicks_with_and_without_a_name(made: Scene) -> None:
    clicks = (f"{pixel_of(made, TRUTH, RED)},red", pixel_of(made, TRUTH, BLUE, view=3))
    chosen = choose_labels(made, SegmentRequest(points=clicks))
    assert (chosen.method, chosen.labels.names) == ("shape and points", ("object-1", "red"))
    assert iou(chosen, made, "red", RED) > 0.95


def test_a_click_beside_masks_finds_the_splats_that_outlines_were_cut_into(made: Scene, tmp_path: Path) -> None:
    masks = write_masks(tmp_path / "masks", made, TRUTH, {"red": RED}, {})
    request = SegmentRequest(masks=masks, points=(f"{pixel_of(made, TRUTH, BLUE)},blue",))
    chosen = choose_labels(made, request)
    assert (chosen.method, chosen.labels.names) == ("masks and points", ("red", "blue"))
    assert len(chosen.splats) > len(made.splats)
    assert iou(chosen, made, "red", RED) > 0.95
    assert iou(chosen, made, "blue", BLUE) > 0.95


def test_clicks_where_nothing_stands(made: Scene) -> None:
    # Everything is lower than 20 cm, so shape alone finds nothing, and says how clicks would.
    assert "Nothing rises more than 0.2 m" in said(made, SegmentRequest(min_height=0.2))
    clicked = SegmentRequest(min_height=0.2, points=(f"{pixel_of(made, TRUTH, RED)},red",))
    try:
        assert choose_labels(made, clicked).labels.names == ("red",)
    except Scene3dError as error:  # It may say that the click meets nothing, but not that nothing stands there.
        assert "Nothing rises" not in str(error)


def test_an_object_of_few_masks_is_not_overlooked(made: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scene3d.segment._choose_labels.MOST_VIEWS", 2)  # Of 8: photos 0 and 4 vote.
    masks = write_masks(tmp_path / "masks", made, TRUTH, {"red": RED, "blue": BLUE}, {"blue": [0, 1, 2, 4, 5, 6, 7]})
    chosen = choose_labels(made, SegmentRequest(masks=masks))
    assert set(chosen.labels.names) == {"red", "blue"}


def test_ids_that_come_and_go(made: Scene, tmp_path: Path) -> None:
    ids = write_ids(tmp_path / "ids", made, TRUTH, gone={RED: [1, 4, 6]})
    (ids / "names.json").write_text('{"1": "red block", "2": "blue"}', encoding="utf-8")
    chosen = choose_labels(made, SegmentRequest(masks=ids))
    expected = "'red block' is missing from the masks of 3 photos that show it; they did not vote against it."
    assert chosen.labels.notes == (expected,)
    assert iou(chosen, made, "red block", RED) > 0.95


def test_masks_that_name_nothing(made: Scene, tmp_path: Path) -> None:
    ids = write_ids(tmp_path / "ids", made, TRUTH)
    (ids / "names.json").write_text('{"1": "red", "9": "ghost"}', encoding="utf-8")
    assert said(made, SegmentRequest(masks=ids)) == (
        "No pixel of the 8 masks shows 'ghost'. Draw it in one mask at least, or leave the name out."
    )
    empty = tmp_path / "empty"
    assert "There is no folder" in said(made, SegmentRequest(masks=empty))
    empty.mkdir()
    Image.fromarray(np.zeros((120, 160), np.uint8)).save(empty / "holiday.png")
    assert "is called like a photo (00.png, 01.png, ...)" in said(made, SegmentRequest(masks=empty))


@pytest.mark.parametrize("name", ["../../evil", "..", "a\\b", "c" * 70])
def test_names_with_path_tricks(made: Scene, tmp_path: Path, name: str) -> None:
    ids = write_ids(tmp_path / "ids", made, TRUTH)
    (ids / "names.json").write_text(f'{{"1": "{name}"}}'.replace("\\", "\\\\"), encoding="utf-8")
    assert "cannot be the name of an object" in said(made, SegmentRequest(masks=ids))


def test_no_support(made: Scene, tmp_path: Path) -> None:
    ball = photographed(tmp_path / "photos", without_a_top(made).splats)
    assert said(ball, SegmentRequest()).startswith(LEVEL)
    all_of_it = torch.ones(len(ball.splats), dtype=torch.int64)
    masks = write_masks(tmp_path / "masks", ball, all_of_it, {"ball": 1}, {})
    chosen = choose_labels(ball, SegmentRequest(masks=masks))
    assert (chosen.labels.names, chosen.labels.supports) == (("ball",), ())
    assert chosen.labels.notes[0].startswith(LEVEL)
    assert float((chosen.labels.of_splat == 1).float().mean()) > 0.9


def test_an_object_that_the_border_cuts(made: Scene, tmp_path: Path) -> None:
    aimed = [
        Camera.from_fov(SIDE, 120, 0.17, Camera.look_at(camera.position, torch.tensor([-0.06, 0.04, 0.02])))
        for camera in around(8)
    ]
    near = photographed(tmp_path / "photos", made.splats, aimed)
    masks = write_masks(tmp_path / "masks", near, TRUTH, {"red": RED}, {})
    (note,) = choose_labels(near, SegmentRequest(masks=masks)).labels.notes
    assert note.startswith("'red' is cut by the image border in ")
    assert note.endswith("what none of them shows is missing from it.")


def test_cut_out_photos_show_one_thing(made: Scene) -> None:
    def masked(mode: str) -> Scene:
        views = made.views
        photos = [replace(photo, mask=photo.path, mask_mode=mode) for photo in made.photos()]  # type: ignore[arg-type]
        return replace(made, views=tuple(replace(v, photo=p) for v, p in zip(views, photos, strict=True)))

    chosen = choose_labels(masked("alpha"), SegmentRequest())
    assert (chosen.method, chosen.labels.names, chosen.labels.supports) == ("cut out", ("object-1",), ())
    assert bool((chosen.labels.of_splat == 1).all())
    assert chosen.labels.notes == ("The masks cut out one thing, so the whole scene is one object.",)
    assert choose_labels(masked("ignore"), SegmentRequest()).method == "shape"
    assert choose_labels(masked("alpha"), SegmentRequest(use_masks=False)).method == "shape"
