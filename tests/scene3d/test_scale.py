"""Setting the scale of a finished scene: what changes, what stays, what is refused."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from scene3d import Camera, Gaussians, Scene, SceneView, load_scene, save_scene
from scene3d._errors import OutputError, UsageError
from scene3d._scale import ScaleRequest, set_scale
from scene3d.render import render


def scene() -> Scene:
    points = torch.rand(50, 3) - 0.5
    pose = Camera.look_at(torch.tensor([2.0, 0.0, 1.0]), torch.zeros(3))
    view = SceneView("a.jpg", Camera.from_fov(48, 36, 1.0, pose))
    return Scene(
        Gaussians.from_points(points, points + 0.5, sigma=0.1, opacity=0.9), (view,), source={"capture": "desk"}
    )


def test_factor_changes_lengths_and_nothing_else(tmp_path: Path) -> None:
    before = scene()
    out = save_scene(before, tmp_path / "desk")
    returned, estimate = set_scale(out, ScaleRequest(factor=0.25))
    after = load_scene(out)
    assert (estimate.scale, estimate.relative_error, after.metric, after.scale_source) == (0.25, 0, True, "factor")
    assert torch.equal(after.splats.means, 0.25 * before.splats.means)
    assert torch.allclose(after.splats.scales, before.splats.scales + math.log(0.25))
    assert torch.equal(after.cameras[0].position, 0.25 * before.cameras[0].position)
    assert after.T_world_source == tuple(map(tuple, np.diag([0.25, 0.25, 0.25, 1.0])))
    assert after.source["scale"] == {"source": "factor", "factor": 0.25, "relative_error": 0.0, "detail": "given"}
    assert after.source["capture"] == "desk"
    assert torch.equal(returned.splats.means, after.splats.means)
    old, new = render(before.splats, before.cameras[0]), render(after.splats, after.cameras[0])
    assert torch.allclose(new.rgb, old.rgb, atol=1e-5)
    assert torch.allclose(new.depth, 0.25 * old.depth, atol=1e-5)


def test_scene_before_stays_in_the_history(tmp_path: Path) -> None:
    out = save_scene(scene(), tmp_path / "desk")
    present = (out / "scene.yaml").read_bytes()
    set_scale(out, ScaleRequest(factor=2.0))
    assert [path.read_bytes() for path in (out / ".history").iterdir()] == [present]


def test_metric_scenes_ask_first(tmp_path: Path) -> None:
    out = save_scene(replace(scene(), metric=True, scale_source="depth"), tmp_path / "desk")
    with pytest.raises(OutputError, match=r"metric already \(scale from depth\); pass --overwrite"):
        set_scale(out, ScaleRequest(factor=2.0))
    set_scale(out, ScaleRequest(factor=2.0), overwrite=True)
    set_scale(out, ScaleRequest(factor=3.0), overwrite=True)
    after = load_scene(out)
    assert after.T_world_source is not None
    assert after.T_world_source[0][0] == pytest.approx(6)
    assert after.scale_source == "factor"


def test_size_of_an_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring the object is another module's; here it is 0.4 units long."""
    module = ModuleType("scene3d.capture._object_size")
    asked: list[str] = []
    module.__dict__["object_extent"] = lambda _scene, name: asked.append(name) or 0.4
    monkeypatch.setitem(sys.modules, "scene3d.capture._object_size", module)
    out = save_scene(scene(), tmp_path / "desk")
    after, estimate = set_scale(out, ScaleRequest(size="red mug=0.10"))
    assert asked == ["red mug"]
    assert estimate.scale == pytest.approx(0.25)
    assert after.scale_source == "size"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ScaleRequest(), "exactly one of --size, --known-distance, --marker-size, --factor, but none was given"),
        (ScaleRequest(factor=1.0, size="mug=0.1"), "but --size and --factor were given"),
        (ScaleRequest(factor=0.0), "Found --factor 0; it takes a number above zero"),
        (ScaleRequest(factor=math.nan), "Found --factor nan"),
        (ScaleRequest(marker_size=-0.08), "Found --marker-size -0.08"),
        (ScaleRequest(factor=1.0, marker_ids=(3,)), "belong to --marker-size"),
        (ScaleRequest(size="mug"), "NAME=METRES, for example --size mug=0.10"),
        (ScaleRequest(size="=0.1"), "NAME=METRES"),
        (ScaleRequest(size="mug=big"), "NAME=METRES"),
        (ScaleRequest(size="mug=0"), "above zero metres"),
        (ScaleRequest(known_distance="a.jpg=1"), "IMAGE,U1,V1,U2,V2=METRES"),
    ],
)
def test_requests_that_are_none(tmp_path: Path, request_: ScaleRequest, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        set_scale(tmp_path / "absent", request_)


def test_bodies_are_left_to_later(tmp_path: Path) -> None:
    one = scene()
    bodies = replace(one.splats, component_index=torch.ones(50, dtype=torch.int32))
    out = save_scene(replace(one, splats=bodies), tmp_path / "desk")
    if int(load_scene(out).splats.component_index.max()) == 0:
        pytest.skip("splat files do not store bodies yet")
    with pytest.raises(UsageError, match="before segmenting"):
        set_scale(out, ScaleRequest(factor=2.0))
