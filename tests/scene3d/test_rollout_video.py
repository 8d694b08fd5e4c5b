"""Rollouts as videos: the splats go where the bodies go, and a recording is drawn where it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import trimesh

from dynamics import Material, Rollout, TriangleMesh, body_from_mesh
from scene3d import Camera, Gaussians, Scene, SceneView
from scene3d._errors import OutputError, UsageError
from scene3d._flatten import into_bodies
from scene3d._recorded_motion import RecordedMotion
from scene3d._rollout_video import best_view, frame_count, rollout_video, silhouette
from scene3d._scene_object import SceneObject
from scene3d._simulate import simulate
from scene3d._support import SupportPlane

WIDTH, HEIGHT = 96, 64
SIDE = 0.1
BLUE, WHITE = (0.1, 0.2, 0.9), (0.95, 0.95, 0.95)


def seen_from(x: float, y: float, target: float = 0.0) -> Camera:
    pose = Camera.look_at(torch.tensor([x, y, 0.6]), torch.tensor([target, 0.0, 0.05]))
    return Camera.from_fov(WIDTH, HEIGHT, 0.9, pose)


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A blue cube on a white board, seen by two cameras, the second of which looks past it."""
    box = trimesh.creation.box((SIDE,) * 3)
    mesh = TriangleMesh(np.asarray(box.vertices), np.asarray(box.faces, dtype=np.int32))
    cube = body_from_mesh("cube", mesh, Material("wood", 600.0, 0.1, 0.4, 0.2, 0.3))
    grid = torch.linspace(-0.5, 0.5, 24)
    x, y = torch.meshgrid(grid, grid, indexing="ij")
    board = torch.stack([x.flatten(), y.flatten(), torch.zeros(576)], dim=1)
    points = torch.from_numpy(np.asarray(trimesh.sample.sample_surface(box, 600, seed=0)[0])).float()
    points[:, 2] += SIDE / 2
    colours = torch.cat([torch.tensor(WHITE).expand(576, 3), torch.tensor(BLUE).expand(600, 3)])
    world = Gaussians.from_points(torch.cat([board, points]), colours, sigma=0.02, opacity=0.97)
    pose = (0.0, 0.0, SIDE / 2, 1.0, 0.0, 0.0, 0.0)
    component = torch.tensor([0] * 576 + [1] * 600, dtype=torch.int32)
    poses = torch.tensor([(0.0, 0, 0, 1, 0, 0, 0), pose], dtype=torch.float64)
    corners = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]])
    return Scene(
        splats=into_bodies(world, component, poses),
        views=(SceneView("a.jpg", seen_from(0.0, -0.8)), SceneView("b.jpg", seen_from(0.0, -0.8, 3.0))),
        metric=True,
        objects=(SceneObject(cube, pose),),
        supports=(SupportPlane(np.array([0.0, 0, 1]), 0.0, 0.001, corners),),
    )


@pytest.fixture(scope="module")
def slid(scene: Scene) -> Rollout:
    """The cube glides 0.2 m along x within half a second."""
    still = simulate(scene, seconds=0.5, network=False).rollout
    poses = still.T_world_body.clone()
    poses[:, :, 0, 0] += torch.linspace(0, 0.2, poses.shape[1])
    return replace(still, T_world_body=poses)


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 30
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def middle(frame: np.ndarray, colour: tuple[float, float, float], reach: float = 90) -> np.ndarray:
    """Mean pixel (x, y) of those that have about the colour."""
    near = np.abs(frame.astype(float) - 255 * np.array(colour)).max(axis=2) < reach
    assert near.sum() > 20
    return np.argwhere(near).mean(axis=0)[::-1]


def place_of(camera: Camera, point: list[float]) -> np.ndarray:
    T = camera.T_cam_world.numpy()
    image = camera.K.numpy() @ (T[:3, :3] @ point + T[:3, 3])
    return image[:2] / image[2]


def test_the_splats_go_where_the_body_goes(scene: Scene, slid: Rollout, tmp_path: Path) -> None:
    camera, told = scene.views[0].camera, list[tuple[int, int]]()
    count = rollout_video(
        scene, slid, [camera], tmp_path / "v.mp4", on_progress=lambda done, of: told.append((done, of))
    )
    frames = frames_of(tmp_path / "v.mp4")
    assert count == frame_count(slid) == len(frames) == 16
    assert frames[0].shape == (HEIGHT, WIDTH, 3)
    assert told[-1] == (16, 16)
    for frame, x in ((0, 0.0), (15, 0.2)):
        assert middle(frames[frame], BLUE) == pytest.approx(place_of(camera, [x, 0.0, 0.05]), abs=3)


def test_a_recording_is_drawn_where_it_was(scene: Scene, slid: Rollout, tmp_path: Path) -> None:
    camera = scene.views[0].camera
    times = np.linspace(0, 0.25, 6)
    poses = np.tile([-0.2, 0.0, 0.05, 1.0, 0, 0, 0], (6, 1))
    rollout_video(scene, slid, [camera], tmp_path / "v.mp4", recorded=[RecordedMotion("cube", times, poses)])
    frames = frames_of(tmp_path / "v.mp4")
    drawn = [frame[..., 0].astype(int) - frame[..., 1] > 70 for frame in frames]
    found = np.argwhere(drawn[2]).mean(axis=0)[::-1]
    assert found == pytest.approx(place_of(camera, [-0.2, 0.0, 0.05]), abs=3)
    assert drawn[12].sum() == 0  # It ends after a quarter of a second.


def test_silhouettes(scene: Scene) -> None:
    mesh, camera = scene.objects[0].body.mesh, scene.views[0].camera
    mask = silhouette(mesh, np.array([0.0, 0.0, 0.05, 1.0, 0, 0, 0]), camera)
    cube = SIDE / 2 * (2 * np.array(list(np.ndindex(2, 2, 2))) - 1) + [0.0, 0.0, 0.05]
    corners = np.array([place_of(camera, corner) for corner in cube.tolist()])
    low, high = corners.min(axis=0), corners.max(axis=0)
    rows, columns = np.nonzero(mask)
    assert [columns.min(), rows.min()] == pytest.approx(low, abs=1.5)
    assert [columns.max(), rows.max()] == pytest.approx(high, abs=1.5)
    assert mask.sum() > 0.7 * np.prod(high - low)
    assert not silhouette(mesh, np.array([0.0, -5.0, 0.05, 1.0, 0, 0, 0]), camera).any()  # Behind the camera.


def test_the_view_that_shows_it(scene: Scene, slid: Rollout) -> None:
    assert best_view(scene, slid).name == "a.jpg"
    assert best_view(replace(scene, views=scene.views[::-1]), slid).name == "a.jpg"
    # From near by, the cube is large at first and then leaves the picture, in this future or in another.
    near = SceneView("near.jpg", Camera.from_fov(WIDTH, HEIGHT, 0.9, seen_from(0.0, -0.3).T_world_cam))
    views = (near, *scene.views)
    assert best_view(replace(scene, views=views), slid).name == "a.jpg"
    poses = slid.T_world_body[:, :1].expand(2, len(slid), -1, -1).clone()
    gone_on = poses.clone()
    gone_on[1] = slid.T_world_body[0]
    assert best_view(replace(scene, views=views), replace(slid, T_world_body=gone_on)).name == "a.jpg"
    assert best_view(replace(scene, views=views), replace(slid, T_world_body=poses)).name == "near.jpg"
    with pytest.raises(UsageError, match=r"without capture cameras"):
        best_view(replace(scene, views=()), slid)


def test_a_path_of_cameras(scene: Scene, slid: Rollout, tmp_path: Path) -> None:
    cameras = [seen_from(0.0, -0.8, 0.2 * k / 15) for k in range(16)]
    rollout_video(scene, slid, cameras, tmp_path / "v.mp4")
    frames = frames_of(tmp_path / "v.mp4")
    assert middle(frames[15], BLUE)[0] == pytest.approx(WIDTH / 2, abs=3)


def test_videos_that_cannot_be(scene: Scene, slid: Rollout, tmp_path: Path) -> None:
    camera = scene.views[0].camera
    with pytest.raises(UsageError, match=r"one for each of its 16 frames and all of one size, found 3"):
        rollout_video(scene, slid, [camera] * 3, tmp_path / "v.mp4")
    with pytest.raises(UsageError, match=r"no future 1; the rollout has 0 to 0"):
        rollout_video(scene, slid, [camera], tmp_path / "v.mp4", future=1)
    poses = slid.T_world_body.clone()
    poses[0, 15:] = torch.nan
    with pytest.raises(UsageError, match=r"no number from 0.25 s on"):
        rollout_video(scene, replace(slid, T_world_body=poses), [camera], tmp_path / "v.mp4")
    with pytest.raises(OutputError, match=r"cannot be written"):
        rollout_video(scene, slid, [camera], tmp_path / "none" / "v.mp4")
    assert list(tmp_path.iterdir()) == []
