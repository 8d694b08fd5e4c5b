"""`scene3d reconstruct` down to bodies, with the real renderer; fitting is a stand-in that returns the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from scene3d import Gaussians, load_scene
from scene3d.render import render

from ..segment.photographed_desk import BLUE, TRUTH, desk, photographed
from .conftest import texts

if TYPE_CHECKING:
    from .conftest import Command, FakeFit


def capture_of(made: Gaussians, folder: Path, *, cut_out: bool = False) -> Path:
    """Posed photos of splats; `cut_out` ones are transparent where nothing is."""
    frames = []
    for view in photographed(folder, made).views:
        if cut_out:
            alpha = render(made, view.camera).alpha.clamp(0, 1).mul(255).byte().numpy()
            Image.fromarray(np.dstack([np.asarray(Image.open(folder / view.name)), alpha])).save(folder / view.name)
        pose = view.camera.T_world_cam.double().numpy() @ np.diag([1.0, -1.0, -1.0, 1.0])
        K = view.camera.K.double().tolist()
        intrinsics = {"fl_x": K[0][0], "fl_y": K[1][1], "cx": K[0][2], "cy": K[1][2]}
        sides = {"w": view.camera.width, "h": view.camera.height}
        frames.append({"file_path": view.name, "transform_matrix": pose.tolist(), **intrinsics, **sides})
    (folder / "transforms.json").write_text(json.dumps({"frames": frames}), encoding="utf-8")
    return folder


def test_what_stands_on_the_desk_becomes_bodies(command: Command, fake_fit: FakeFit, tmp_path: Path) -> None:
    fake_fit.result, out = desk()[TRUTH != BLUE], tmp_path / "desk"
    capture_folder = capture_of(fake_fit.result, tmp_path / "photos")
    outcome = command("reconstruct", capture_folder, "--out", out, "--json", "--up", "z")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert document["sheet"] == str(out / "report" / "objects.png")
    assert [thing["name"] for thing in document["objects"]] == ["object-1"]
    scene = load_scene(out)
    assert scene.source["segment"]["method"] == "shape"
    assert scene.objects[0].T_world_body[:3] == pytest.approx((-0.1, 0.0, 0.0), abs=0.005)
    assert "objects.png" in texts(out / "report")

    outcome = command("reconstruct", capture_folder, "--out", out, "--overwrite", "--no-segment", "--json")
    document = json.loads(outcome.out)
    assert (document["objects"], document["sheet"]) == ([], None)
    assert load_scene(out).objects == ()
    # The sheet of objects that there are no longer is gone with them.
    assert texts(out / "report") == ["index.html", "metrics.json", "preview.png"]


def test_photos_that_are_cut_out_show_one_object(command: Command, fake_fit: FakeFit, tmp_path: Path) -> None:
    fake_fit.result, out = desk()[TRUTH == BLUE], tmp_path / "block"
    capture_folder = capture_of(fake_fit.result, tmp_path / "photos", cut_out=True)
    outcome = command("reconstruct", capture_folder, "--out", out, "--up", "z")
    assert outcome.code == 0, outcome.err
    (thing,) = load_scene(out).objects
    assert (thing.name, thing.kind) == ("object-1", "rigid")
    assert len(load_scene(out).splats) == len(fake_fit.result)
    assert "The masks cut out one thing, so the whole scene is one object." in outcome.err
