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
from scipy.spatial.transform import Rotation

from scene3d import Camera, Gaussians, Scene, SceneView, load_scene, save_scene
from scene3d._errors import OutputError, UsageError
from scene3d._object_box import upright_sides
from scene3d._scale import ScaleRequest, set_scale
from scene3d.capture._similarity import Similarity, transform_scene
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


def test_splats_of_bodies_that_nobody_described(tmp_path: Path) -> None:
    one = scene()
    bodies = replace(one.splats, component_index=torch.ones(50, dtype=torch.int32))
    out = save_scene(replace(one, splats=bodies), tmp_path / "desk")
    with pytest.raises(UsageError, match="before segmenting"):
        set_scale(out, ScaleRequest(factor=2.0))


def test_objects_are_scaled_with_the_scene(objects_scene: Scene, tmp_path: Path) -> None:
    out = save_scene(replace(objects_scene, metric=False), tmp_path / "desk")
    after, _ = set_scale(out, ScaleRequest(factor=0.5))
    after = load_scene(out)
    for old, new in zip(objects_scene.objects, after.objects, strict=True):
        assert np.allclose(new.T_world_body[:3], 0.5 * np.array(old.T_world_body[:3]))
        assert np.allclose(new.T_world_body[3:], old.T_world_body[3:])
        assert np.allclose(new.body.mesh.bounds, 0.5 * old.body.mesh.bounds)
        assert np.allclose(new.body.com, 0.5 * old.body.com)
    (block, rope), (old_block, old_rope) = after.objects, objects_scene.objects
    # The block's mass is density times volume, the rope's was weighed.
    assert block.body.mass == pytest.approx(block.body.material.density * block.body.volume)
    assert np.allclose(block.body.inertia, old_block.body.inertia / 32)
    assert rope.body.mass == pytest.approx(old_rope.body.mass)
    assert np.allclose(rope.body.inertia, old_rope.body.inertia / 4)
    assert rope.body.particles is not None
    assert rope.body.particles.masses.sum() == pytest.approx(0.09)
    assert rope.body.particles.radius == pytest.approx(0.0025)
    assert after.supports[0].noise == pytest.approx(0.0005)
    old = render(objects_scene.splats, objects_scene.cameras[0], T_world_body=objects_scene.T_world_body)
    new = render(after.splats, after.cameras[0], T_world_body=after.T_world_body)
    assert torch.allclose(new.rgb, old.rgb, atol=1e-5)
    assert torch.allclose(new.depth, 0.5 * old.depth, atol=1e-5)


def test_a_turned_world_looks_the_same(objects_scene: Scene) -> None:
    turn = Rotation.from_rotvec([0.3, -1.2, 0.7])
    s = Similarity(1.7, turn.as_matrix(), np.array([0.5, -2.0, 1.0]))
    after = transform_scene(objects_scene, s)
    old = render(objects_scene.splats, objects_scene.cameras[0], T_world_body=objects_scene.T_world_body)
    new = render(after.splats, after.cameras[0], T_world_body=after.T_world_body)
    assert float((new.rgb - old.rgb).abs().max()) < 1e-4
    heights = after.supports[0].heights(s.points([[0.2, 0.1, 0.3], [0.0, 0.0, 0.0]]))
    assert heights == pytest.approx([1.7 * 0.3, 0.0])
    back = transform_scene(after, s.inverse())
    assert float((back.splats.means - objects_scene.splats.means).abs().max()) < 1e-6
    for old_thing, new_thing in zip(objects_scene.objects, back.objects, strict=True):
        sign = np.sign(np.dot(old_thing.T_world_body[3:], new_thing.T_world_body[3:]))
        assert np.allclose(new_thing.T_world_body[:3], old_thing.T_world_body[:3])
        assert np.allclose(sign * np.array(new_thing.T_world_body[3:]), old_thing.T_world_body[3:])
        assert new_thing.body.mass == pytest.approx(old_thing.body.mass)


def test_size_of_an_object_that_the_scene_has(objects_scene: Scene, tmp_path: Path) -> None:
    out = save_scene(replace(objects_scene, metric=False), tmp_path / "desk")
    after, estimate = set_scale(out, ScaleRequest(size="Wooden block!=0.2"))
    assert estimate.scale == pytest.approx(2.0, rel=1e-3)  # It is 0.1 long.
    assert max(upright_sides(after.objects[0], after.up)) == pytest.approx(0.2, rel=1e-3)
    with pytest.raises(UsageError, match=r"no object 'cup' in the scene\. It has Wooden block!, blue rope"):
        set_scale(out, ScaleRequest(size="cup=0.2"), overwrite=True)
