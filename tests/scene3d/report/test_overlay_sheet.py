"""The objects' sheet of the demo scene: labels against the true masks, views that show everything, cards, the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
import yaml
from PIL import Image

from dynamics import TriangleMesh, body_from_mesh, load_materials
from scene3d import Scene, load_scene
from scene3d._errors import OutputError
from scene3d._flatten import flatten, into_bodies
from scene3d._scene_object import SceneObject
from scene3d.report import _lettering
from scene3d.report._label_pictures import PALETTE, choose_views, colour_of, label_map, overlay
from scene3d.report._lettering import drawable, shortened, text_width
from scene3d.report._object_pictures import UNSEEN_COLOURS, draw_object
from scene3d.report._overlay_sheet import overlay_sheet, write_objects_report
from scene3d.segment import Instances, find_instances, labels_of, vote

PAPER = (31, 34, 41)


@pytest.fixture(scope="module")
def instances(tabletop: Path, tabletop_scene: Path) -> Instances:
    return find_instances(tabletop, load_scene(tabletop_scene).photos())


@pytest.fixture(scope="module")
def made(tabletop: Path, tabletop_scene: Path, instances: Instances) -> Scene:
    """The demo scene with its true colliders and labels that its true masks voted on."""
    flat = flatten(load_scene(tabletop_scene))
    photos = flat.photos()[::6]
    cameras = [photo.camera.fitted(240) for photo in photos]
    maps = [instances.label_map(photo, camera) for photo, camera in zip(photos, cameras, strict=True)]
    labels = labels_of(vote(flat.splats, cameras, maps, 6)).clamp_min(0)
    truth = yaml.safe_load((tabletop / "ground_truth.yaml").read_text())
    things = [posed(tabletop, entry) for entry in truth["objects"]]
    poses = torch.tensor([[0.0, 0, 0, 1, 0, 0, 0], *(list(thing.T_world_body) for thing in things)])
    return replace(flat, splats=into_bodies(flat.splats, labels.int(), poses), objects=tuple(things))


def posed(root: Path, entry: dict) -> SceneObject:
    solid = trimesh.load_mesh(root / entry["mesh"], process=False)
    mesh = TriangleMesh(np.asarray(solid.vertices), np.asarray(solid.faces))
    underside = (np.asarray(solid.face_normals)[:, 2] < -0.9) & (np.asarray(solid.triangles_center)[:, 2] < 0.001)
    body = body_from_mesh(entry["name"], mesh, load_materials()["unknown"])
    return SceneObject(body, tuple(entry["T_world_body"]), entry["kind"], None, underside, 0.9, ("mass",))


def first_of(scene: Scene, objects: int, views: int) -> Scene:
    """A scene of the first few objects and views alone."""
    kept = scene.splats[scene.splats.component_index <= objects]
    return replace(scene, splats=kept, objects=scene.objects[:objects], views=scene.views[:views])


def test_labels_are_where_the_masks_are(made: Scene, instances: Instances) -> None:
    view = made.views[20]
    assert view.photo is not None
    camera = view.camera.fitted(320)
    found, truth = label_map(made, camera), instances.label_map(view.photo, camera)
    for label in range(1, 6):
        both, either = ((found == label) & (truth == label)).sum(), ((found == label) | (truth == label)).sum()
        assert both > 0.7 * either


def test_many_objects_are_labelled_in_turns(made: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = made.views[0].camera.fitted(160)
    at_once = label_map(made, camera)
    monkeypatch.setattr("scene3d.segment._label_shares.MOST_CHANNELS", 2)
    assert np.array_equal(label_map(made, camera), at_once)


def test_labels_move_with_bodies(made: Scene) -> None:
    camera = made.views[0].camera.fitted(160)
    gone = replace(made.objects[0], T_world_body=(0.0, 0.0, 50.0, 1.0, 0.0, 0.0, 0.0))
    assert (label_map(made, camera) == 1).any()
    assert not (label_map(replace(made, objects=(gone, *made.objects[1:])), camera) == 1).any()


def test_chosen_views_show_every_object_from_all_around(made: Scene) -> None:
    chosen = choose_views(made, made.views[::3], 6)
    assert len({view.name for view in chosen}) == 6
    assert [view.name for view in chosen] == sorted(view.name for view in chosen)
    shown = {int(label) for view in chosen for label in np.unique(label_map(made, view.camera.fitted(160)))}
    assert shown == {0, 1, 2, 3, 4, 5}
    around = sorted(np.degrees(np.arctan2(*view.camera.position[:2].numpy())) for view in chosen)
    assert max(np.diff([*around, around[0] + 360])) < 150
    assert choose_views(made, made.views[:2], 6) == list(made.views[:2])


def test_overlay_colours_objects_and_leaves_the_photo(made: Scene) -> None:
    view = made.views[0]
    drawn = overlay(made, view, 562)
    plain = overlay(replace(made, objects=(), splats=flatten(made).splats), view, 562)
    assert drawn.is_photo
    assert drawn.picture.size == plain.picture.size == (562, 422)
    labels = label_map(made, view.camera.resized(562, 422))
    differs = np.abs(np.asarray(drawn.picture, float) - np.asarray(plain.picture, float)).max(axis=-1) > 12
    assert differs[labels > 0].mean() > 0.9
    assert differs[labels == 0].mean() < 0.05  # Tags and the far side of outlines.


def test_photos_that_are_gone_become_renders(made: Scene, tmp_path: Path) -> None:
    view = made.views[0]
    assert view.photo is not None
    lost = replace(view, photo=replace(view.photo, path=tmp_path / "gone.jpg"))
    for missing in (lost, replace(view, photo=None)):
        assert not overlay(made, missing, 200).is_photo
    kept = np.asarray(overlay(made, view, 200).picture, float)
    assert np.abs(kept - np.asarray(overlay(made, lost, 200).picture, float)).mean() < 12  # It looks like the photo.


def test_pictures_of_one_object(made: Scene) -> None:
    pictures = draw_object(made, 2, 120, paper=PAPER, colour=(0, 158, 115))
    for picture in (pictures.splats, pictures.collider, pictures.underneath):
        pixels = np.asarray(picture).astype(int)
        drawn = np.abs(pixels - PAPER).max(axis=-1) > 15
        assert 0.2 < drawn.mean() < 0.8
        rim = np.concatenate([drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]])
        assert rim.mean() < 0.1  # All of it is in the picture.
    both = [np.abs(np.asarray(p).astype(int) - PAPER).max(axis=-1) > 15 for p in (pictures.splats, pictures.collider)]
    assert (both[0] & both[1]).sum() > 0.8 * (both[0] | both[1]).sum()  # The same view of the same thing.


def test_unseen_faces_are_marked(made: Scene) -> None:
    def grey(picture: Image.Image) -> float:
        pixels = np.asarray(picture).astype(int)
        return float(((np.ptp(pixels, axis=-1) < 14) & (pixels.min(axis=-1) > 55)).mean())

    marked = draw_object(made, 2, 120, paper=PAPER, colour=(0, 158, 115))
    assert grey(marked.underneath) > 0.03
    assert grey(marked.collider) < 0.005
    seen = replace(made.objects[2], unseen=np.zeros(0, dtype=bool))
    objects = (*made.objects[:2], seen, *made.objects[3:])
    plain = draw_object(replace(made, objects=objects), 2, 120, paper=PAPER, colour=(0, 158, 115))
    assert grey(plain.underneath) < 0.005


def test_colours_differ() -> None:
    colours = np.array([*PALETTE, *UNSEEN_COLOURS], dtype=float)
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
    assert apart[~np.eye(len(colours), dtype=bool)].min() > 20
    assert colour_of(len(PALETTE)) == colour_of(0)


def test_sheet_has_photos_and_a_card_for_each_object(made: Scene) -> None:
    three, one = (first_of(made, objects, 1) for objects in (3, 1))
    sheet = overlay_sheet(three, title="a table")
    assert sheet.width == 1760
    assert sheet.height - overlay_sheet(one).height == 226 + 8
    again = overlay_sheet(three, title="a table")
    assert np.array_equal(np.asarray(sheet), np.asarray(again))


def test_report_is_written_and_the_page_gets_its_section_once(made: Scene, tmp_path: Path) -> None:
    made = first_of(made, 2, 1)
    made = replace(made, objects=(renamed(made.objects[0], "<mug> & co"), made.objects[1]))
    page = tmp_path / "report" / "index.html"
    page.parent.mkdir()
    page.write_text("<html><body><h1>x</h1><footer>end</footer></body></html>")
    assert write_objects_report(page.parent, made, title="t") == page.parent / "objects.png"
    assert sorted(path.name for path in page.parent.iterdir()) == ["index.html", "objects.json", "objects.png"]
    rows = json.loads((page.parent / "objects.json").read_text())
    assert [row["name"] for row in rows] == ["<mug> & co", "can"]
    first = page.read_text()
    assert first.index("&lt;mug&gt; &amp; co") < first.index("<footer>end")
    assert first.startswith("<html><body><h1>x</h1>")
    assert first.count('<table class="objects">') == 1
    write_objects_report(page.parent, first_of(made, 1, 1), title="t")
    second = page.read_text()
    assert second.count('<table class="objects">') == 1
    assert "</i>can</td>" in first
    assert "</i>can</td>" not in second


def renamed(thing: SceneObject, name: str) -> SceneObject:
    return replace(thing, body=thing.body.renamed(name))


def test_a_folder_that_cannot_be_written(made: Scene, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file")
    with pytest.raises(OutputError, match="The scene itself is saved"):
        write_objects_report(tmp_path / "report", first_of(made, 1, 1))


def test_letters_that_the_font_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageFont

    own = ImageFont.load_default(16)
    monkeypatch.setattr(_lettering, "font", lambda size, bold=False: own)
    _lettering._drawable.cache_clear()
    try:
        assert drawable("Tasse für Žofie") == "Tasse fur Zofie"
        assert drawable("茶 cup\n") == "? cup "
    finally:
        _lettering._drawable.cache_clear()


def test_long_names_are_shortened() -> None:
    text = shortened("a very long name of a thing", 90, 15)
    assert text.endswith("...")
    assert text_width(text, 15) <= 90
    assert shortened("mug", 90, 15) == "mug"
