"""Cameras of other libraries: round trips, and the same pixels by their formulas and by the libraries themselves."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import open3d
import pycolmap
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from scene3d import interop
from scene3d._camera import Camera
from scene3d._errors import CaptureError, UsageError

from .conftest import points_in_front, project, random_camera, same, seeds

few = settings(max_examples=30)
"""For properties that call another library."""


def matrix(camera: Camera) -> np.ndarray:
    return camera.T_world_cam.double().numpy()


# nerfstudio


@given(seeds)
def test_nerfstudio_sees_the_same_pixels(seed: int) -> None:
    camera = random_camera(seed)
    points = points_in_front(camera, seed)
    arrays = interop.nerfstudio_arrays(camera)
    assert arrays.camera_to_worlds.shape == (1, 3, 4)
    R, position = arrays.camera_to_worlds[0, :, :3], arrays.camera_to_worlds[0, :, 3]
    x, y, z = ((points - position) @ R).T
    assert (z < 0).all()  # It looks along -z with y up.
    pixels = np.stack([arrays.cx + arrays.fx * x / -z, arrays.cy + arrays.fy * -y / -z], axis=1)
    assert np.allclose(pixels, project(camera, points), atol=2e-3)
    assert same(interop.from_nerfstudio_arrays(arrays)[0], camera)


@given(seeds, st.sampled_from([(), (0.1, -0.02, 1e-3, 2e-4), (0.1, -0.02, 1e-3, 2e-4, 0.03)]), st.booleans())
def test_transforms_entries_round_trip(seed: int, distortion: tuple[float, ...], fisheye: bool) -> None:
    if fisheye:
        distortion = (*distortion, 0.0, 0.0, 0.0, 0.0)[:4]
    before = interop.Calibration(random_camera(seed), distortion, "fisheye" if fisheye else "opencv")
    entry = interop.to_transforms_entry(before)
    after = interop.from_transforms_entry(entry)
    assert same(after.camera, before.camera)
    assert (after.distortion, after.projection) == (before.distortion, before.projection)
    assert np.allclose(
        np.array(entry["transform_matrix"])[:3], interop.nerfstudio_arrays(before.camera).camera_to_worlds[0]
    )


def test_transforms_entries_refuse_what_they_cannot_say() -> None:
    camera = random_camera(1)
    with pytest.raises(UsageError, match="no names for the 8 distortion coefficients"):
        interop.to_transforms_entry(interop.Calibration(camera, (0.1, 0, 0, 0, 0, 0.2, 0, 0)))
    entry = interop.to_transforms_entry(camera)
    with pytest.raises(UsageError, match="has no fl_x, w"):
        interop.from_transforms_entry({key: entry[key] for key in entry if key not in ("fl_x", "w")})
    with pytest.raises(UsageError, match="EQUIRECTANGULAR"):
        interop.from_transforms_entry(entry | {"camera_model": "EQUIRECTANGULAR"})
    with pytest.raises(CaptureError, match="is not a rotation"):
        interop.from_transforms_entry(entry | {"transform_matrix": np.diag([2.0, 1, 1, 1]).tolist()})


def test_nerfstudio_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """nerfstudio cannot be installed here; its `Cameras` keeps the tensors that it is given, with a last axis of 1."""

    class Cameras:
        def __init__(self, camera_to_worlds: torch.Tensor, width: int, height: int, **values: torch.Tensor) -> None:
            n = len(camera_to_worlds)
            self.camera_to_worlds = camera_to_worlds
            self.width, self.height = torch.full((n, 1), width), torch.full((n, 1), height)
            self.fx, self.fy, self.cx, self.cy = (values[name][:, None] for name in ("fx", "fy", "cx", "cy"))
            self.distortion_params = None

    with pytest.raises(UsageError, match="nerfstudio is not installed"):
        interop.to_nerfstudio(random_camera(1))
    install(monkeypatch, "nerfstudio.cameras.cameras", Cameras=Cameras)
    batch = Camera.stack([random_camera(1), random_camera(1).to()])
    cameras: Any = interop.to_nerfstudio(batch)
    assert cameras.camera_to_worlds.dtype == torch.float32
    assert same(interop.from_nerfstudio(cameras), batch)
    cameras.distortion_params = torch.full((2, 6), 0.1)
    with pytest.raises(UsageError, match="distortion"):
        interop.from_nerfstudio(cameras)
    cameras.width = torch.tensor([[4], [5]])
    with pytest.raises(UsageError, match="have sizes"):
        interop.from_nerfstudio(cameras)


def install(monkeypatch: pytest.MonkeyPatch, name: str, **contents: object) -> None:
    """Put a module into the place of one that is not installed."""
    parts = name.split(".")
    for i in range(len(parts)):
        module = ModuleType(".".join(parts[: i + 1]))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    for key, value in contents.items():
        setattr(sys.modules[name], key, value)


# pytorch3d


@given(seeds, st.booleans())
def test_pytorch3d_sees_the_same_pixels(seed: int, in_ndc: bool) -> None:
    camera = random_camera(seed)
    points = points_in_front(camera, seed)
    arrays = interop.pytorch3d_arrays(camera, in_ndc=in_ndc)
    X, Y, Z = (points @ arrays.R[0] + arrays.T[0]).T  # Row vectors; x left, y up, z forward.
    assert (Z > 0).all() and np.linalg.det(arrays.R[0]) > 0
    (height, width), scale = arrays.image_size[0], 0.5 * arrays.image_size[0].min()
    (fx, fy), (px, py) = arrays.focal_length[0], arrays.principal_point[0]
    if in_ndc:
        x_ndc, y_ndc = fx * X / Z + px, fy * Y / Z + py
    else:  # In screen space the principal point counts from the top left corner, the axes still point left and up.
        x_ndc, y_ndc = (fx * X / Z - px + width / 2) / scale, (fy * Y / Z - py + height / 2) / scale
    pixels = np.stack([width / 2 - scale * x_ndc, height / 2 - scale * y_ndc], axis=1)
    assert np.allclose(pixels, project(camera, points), atol=2e-3)
    assert same(interop.from_pytorch3d_arrays(arrays)[0], camera)


def test_pytorch3d_scales_by_the_shorter_side() -> None:
    K = torch.tensor([[100.0, 0, 60], [0, 110, 20], [0, 0, 1]])
    arrays = interop.pytorch3d_arrays(Camera(100, 50, K, torch.eye(4)))
    assert arrays.focal_length.tolist() == [[4.0, 4.4]]
    assert np.allclose(arrays.principal_point, [[-0.4, 0.2]])  # +x is left, +y is up.
    assert arrays.image_size.tolist() == [[50, 100]]
    assert arrays.R.tolist() == [[[-1, 0, 0], [0, -1, 0], [0, 0, 1]]]


def test_pytorch3d_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytorch3d has no wheel for this machine; its cameras keep the tensors that they are given."""

    class PerspectiveCameras:
        def __init__(self, in_ndc: bool, device: torch.device, **values: torch.Tensor) -> None:
            self.__dict__ |= values
            self.in_ndc = lambda: in_ndc

    camera = random_camera(3)
    with pytest.raises(UsageError, match="pytorch3d is not installed"):
        interop.to_pytorch3d(camera)
    install(monkeypatch, "pytorch3d.renderer", PerspectiveCameras=PerspectiveCameras)
    for in_ndc in (True, False):
        cameras: Any = interop.to_pytorch3d(camera, in_ndc=in_ndc)
        assert cameras.R.dtype == cameras.image_size.dtype == torch.float32
        assert same(interop.from_pytorch3d(cameras)[0], camera)
        cameras.image_size = None
        with pytest.raises(UsageError, match="no image_size"):
            interop.from_pytorch3d(cameras)
        assert same(interop.from_pytorch3d(cameras, image_size=(camera.height, camera.width))[0], camera)
    one = SimpleNamespace(
        **vars(cameras) | {"focal_length": torch.tensor([2.0]), "image_size": torch.tensor([[20, 30]])}
    )
    one.in_ndc = lambda: True
    assert interop.from_pytorch3d(one).K[0, 0, 0] == interop.from_pytorch3d(one).K[0, 1, 1] == 20.0


# Open3D


@few
@given(seeds)
def test_open3d_unprojects_depth_onto_our_pixel_centres(seed: int) -> None:
    camera = random_camera(seed, largest=24)
    parameters = interop.to_open3d(camera)
    depth = np.random.default_rng(seed).uniform(1, 5, size=(camera.height, camera.width)).astype(np.float32)
    cloud = open3d.geometry.PointCloud.create_from_depth_image(
        open3d.geometry.Image(depth),  # pyright: ignore
        parameters.intrinsic,
        parameters.extrinsic,
        depth_scale=1.0,
        depth_trunc=100.0,
    )
    row, column = np.mgrid[: camera.height, : camera.width] + 0.5
    centres = np.stack([column.ravel(), row.ravel()], axis=1)
    assert np.allclose(project(camera, np.asarray(cloud.points)), centres, atol=1e-3)
    assert same(interop.from_open3d(parameters), camera)


@few
@given(seeds)
def test_open3d_casts_rays_through_our_pixel_centres(seed: int) -> None:
    camera = random_camera(seed, largest=24)
    parameters = interop.to_open3d(camera, pixel_centre=0.5)
    rays = open3d.t.geometry.RaycastingScene.create_rays_pinhole(
        open3d.core.Tensor(parameters.intrinsic.intrinsic_matrix),  # pyright: ignore
        open3d.core.Tensor(parameters.extrinsic),  # pyright: ignore
        camera.width,
        camera.height,
    ).numpy()
    row, column = np.mgrid[: camera.height, : camera.width] + 0.5
    pixels = project(camera, (rays[..., :3] + rays[..., 3:]).reshape(-1, 3).astype(np.float64))
    assert np.allclose(pixels, np.stack([column.ravel(), row.ravel()], axis=1), atol=1e-3)
    assert same(interop.from_open3d(parameters, pixel_centre=0.5), camera)


def test_open3d_default_camera_is_centred() -> None:
    kind = open3d.camera.PinholeCameraIntrinsicParameters.PrimeSenseDefault
    parameters = open3d.camera.PinholeCameraParameters()
    parameters.intrinsic, parameters.extrinsic = open3d.camera.PinholeCameraIntrinsic(kind), np.eye(4)
    assert interop.from_open3d(parameters).K[:2, 2].tolist() == [320.0, 240.0]
    with pytest.raises(UsageError, match=r"at 0\.0 or at 0\.5"):
        interop.from_open3d(parameters, pixel_centre=1.0)


# trimesh


@few
@given(seeds)
def test_trimesh_casts_rays_through_our_pixel_centres(seed: int) -> None:
    camera = random_camera(seed, centred=True, largest=24)
    theirs, transform = interop.to_trimesh(camera)
    scene = trimesh.Scene(camera=theirs, camera_transform=transform)
    origins, directions, pixels = scene.camera_rays()
    # Their rows count from the bottom of the image.
    expected = np.stack([pixels[:, 0] + 0.5, camera.height - 0.5 - pixels[:, 1]], axis=1)
    assert np.allclose(project(camera, origins + directions), expected, atol=1e-3)
    fov = 2 * np.degrees(np.arctan(0.5 * camera.width / camera.K[0, 0].item()))
    assert np.isclose(theirs.fov[0], fov, atol=1e-4)
    assert same(interop.from_trimesh(scene.camera, scene.camera_transform), camera)


def test_trimesh_has_no_principal_point() -> None:
    camera = Camera.from_fov(40, 20, 1.0, torch.eye(4))
    off = Camera(40, 20, camera.K + torch.tensor([[0, 0, 3.0], [0, 0, 0], [0, 0, 0]]), camera.T_world_cam)
    with pytest.raises(UsageError, match=r"3\.0 px off the image's centre"):
        interop.to_trimesh(off)
    assert same(interop.from_trimesh(*interop.to_trimesh(off, centre=True)), camera)


# pycolmap


LENSES = {
    "pinhole": interop.Calibration(random_camera(0)),
    "opencv": interop.Calibration(random_camera(0), (0.05, -0.02, 1e-3, 2e-4)),
    "full": interop.Calibration(random_camera(0), (0.05, -0.02, 1e-3, 2e-4, 0.01, 0.02, -0.01, 0.003)),
    "fisheye": interop.Calibration(random_camera(0), (0.05, -0.02, 0.01, -0.003), "fisheye"),
    "fisheye without distortion": interop.Calibration(random_camera(0), (0.0, 0.0, 0.0, 0.0), "fisheye"),
}


@few
@given(seeds, st.sampled_from(sorted(LENSES)))
def test_pycolmap_sees_the_same_pixels(seed: int, kind: str) -> None:
    import cv2

    lens = LENSES[kind]
    before = interop.Calibration(random_camera(seed), lens.distortion, lens.projection)
    points = points_in_front(before.camera, seed)
    camera, cam_from_world = interop.to_pycolmap(before, camera_id=7)
    assert (camera.camera_id, camera.width, camera.height) == (7, before.camera.width, before.camera.height)
    pixels = camera.img_from_cam(cam_from_world * points)
    local = (points - matrix(before.camera)[:3, 3]) @ matrix(before.camera)[:3, :3]
    flat = np.zeros(3)
    if lens.projection == "fisheye":
        expected, _ = cv2.fisheye.projectPoints(
            local[:, None], flat, flat, before.camera.K.double().numpy(), np.array(lens.distortion)
        )
    else:
        coefficients = np.array(lens.distortion or (0.0,) * 4)
        expected, _ = cv2.projectPoints(local, flat, flat, before.camera.K.double().numpy(), coefficients)
    assert np.allclose(pixels, expected[:, 0], atol=2e-3)
    after = interop.from_pycolmap(camera, cam_from_world)
    assert same(after.camera, before.camera)
    assert (after.distortion, after.projection) == (before.distortion, before.projection)


@pytest.mark.parametrize(
    "kind",
    [
        "SIMPLE_PINHOLE",
        "SIMPLE_RADIAL",
        "RADIAL",
        "SIMPLE_FISHEYE",
        "FISHEYE",
        "SIMPLE_RADIAL_FISHEYE",
        "RADIAL_FISHEYE",
    ],
)
def test_small_colmap_models_are_opencv_models(kind: str) -> None:
    camera = pycolmap.Camera.create_from_model_name(1, kind, 30.0, 40, 24)
    params = camera.params.copy()
    params[camera.extra_params_idxs()] = [0.05, -0.02][: len(camera.extra_params_idxs())]
    camera.params = params  # pyright: ignore[reportAttributeAccessIssue]
    rays = np.array([[0.1, -0.2, 1.0], [-0.3, 0.25, 1.0], [0.0, 0.0, 1.0]])
    again, _ = interop.to_pycolmap(interop.from_pycolmap(camera, pycolmap.Rigid3d()))
    expected = camera.img_from_cam(rays)
    assert expected is not None and np.allclose(again.img_from_cam(rays), expected, atol=1e-4)


def test_colmap_models_without_an_opencv_form() -> None:
    camera = pycolmap.Camera.create_from_model_name(1, "FOV", 30.0, 40, 24)
    with pytest.raises(UsageError, match="COLMAP cameras of kind FOV have no OpenCV form"):
        interop.from_pycolmap(camera, pycolmap.Rigid3d())
    with pytest.raises(UsageError, match="no model of 12 distortion coefficients"):
        interop.to_pycolmap(interop.Calibration(random_camera(0), (*(0.0,) * 11, 0.1)))


# What all refuse


@pytest.mark.parametrize("convert", [interop.to_open3d, interop.to_trimesh, interop.to_pycolmap])
def test_single_cameras_only(convert: Any) -> None:
    batch = Camera.stack([random_camera(1), random_camera(1)])
    with pytest.raises(UsageError, match=r"batch of shape \(2,\).*Pass camera\[i\]"):
        convert(batch)


def test_skew_is_refused() -> None:
    camera = random_camera(1)
    camera.K[0, 1] = 3.0
    for convert in (interop.nerfstudio_arrays, interop.pytorch3d_arrays, interop.to_open3d, interop.to_pycolmap):
        with pytest.raises(UsageError, match="skew"):
            convert(camera)


def test_batches_keep_their_shape() -> None:
    cameras = [random_camera(1), random_camera(1)]
    cameras[1].T_world_cam[0, 3] += 1.0
    batch = Camera.stack(cameras)
    back = interop.from_pytorch3d_arrays(interop.pytorch3d_arrays(batch))
    assert back.batch_shape == (2,) and same(back, batch)
    assert same(interop.from_nerfstudio_arrays(interop.nerfstudio_arrays(batch))[1], cameras[1])
