"""Random cameras and points for properties, and small captures of every kind of photo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from PIL import Image

from scene3d._camera import Camera
from scene3d.capture import Capture, View

WIDTH, HEIGHT = 40, 24


def rotation(quaternion_wxyz: np.ndarray) -> np.ndarray:
    """Rotation matrix (3, 3) of a quaternion."""
    w, x, y, z = quaternion_wxyz / np.linalg.norm(quaternion_wxyz)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def random_camera(seed: int, *, centred: bool = False, largest: int = 2000) -> Camera:
    """A camera of any shape, focal lengths and pose; float32 as captures have them."""
    chance = np.random.default_rng(seed)
    width, height = (int(side) for side in chance.integers(8, largest, size=2))
    fx, fy = chance.uniform(0.4, 2.5, size=2) * max(width, height)
    cx, cy = (0.5, 0.5) * np.array([width, height])
    if not centred:
        cx, cy = chance.uniform(0.3, 0.7, size=2) * [width, height]
    T_world_cam = np.eye(4)
    T_world_cam[:3, :3] = rotation(chance.normal(size=4))
    T_world_cam[:3, 3] = chance.uniform(-10, 10, size=3)
    K = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float32)
    return Camera(width, height, K, torch.from_numpy(T_world_cam).float())


def points_in_front(camera: Camera, seed: int, count: int = 20) -> np.ndarray:
    """Points (count, 3) that a camera sees, 0.5 to 20 units away."""
    chance = np.random.default_rng(seed + 1)
    depth = chance.uniform(0.5, 20, size=(count, 1))
    local = np.concatenate([chance.uniform(-0.5, 0.5, size=(count, 2)) * depth, depth], axis=1)
    T = camera.T_world_cam.double().numpy()
    return local @ T[:3, :3].T + T[:3, 3]


def project(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Pixels (N, 2) of points (N, 3) by our conventions."""
    T, K = camera.T_world_cam.double().numpy(), camera.K.double().numpy()
    local = (points - T[:3, 3]) @ T[:3, :3]
    image = local @ K.T
    return image[:, :2] / image[:, 2:]


def same(a: Camera, b: Camera, places: float = 2e-6) -> bool:
    """Equal sizes, intrinsics and poses, up to the rounding of float32."""
    return (
        (a.width, a.height) == (b.width, b.height)
        and bool(torch.allclose(a.K, b.K, rtol=places, atol=1e-6 * max(a.width, a.height)))
        and bool(torch.allclose(a.T_world_cam[..., :3, :3], b.T_world_cam[..., :3, :3], rtol=places, atol=places))
        and bool(torch.allclose(a.T_world_cam[..., :3, 3], b.T_world_cam[..., :3, 3], rtol=places, atol=2e-5))
    )


def assert_same_photos(a: View, b: View) -> None:
    """Equal pixels, and the same of them count."""
    one, other = a.load(), b.load()
    assert np.array_equal(one.rgb, other.rgb) and np.array_equal(one.valid, other.valid)
    assert (one.outside is None or not one.outside.any()) == (other.outside is None or not other.outside.any())
    if one.outside is not None and other.outside is not None:
        assert np.array_equal(one.outside, other.outside)


seeds = st.integers(0, 2**32 - 1)


def pose(i: int) -> torch.Tensor:
    """Camera-to-world (4, 4) of view i on an arc."""
    T = np.eye(4)
    T[:3, :3] = rotation(np.array([np.cos(0.1 * i), 0, np.sin(0.1 * i), 0]))
    T[:3, 3] = [0.3 * i, 0.1, -2.0]
    return torch.from_numpy(T).float()


def picture(i: int, size: tuple[int, int] = (WIDTH, HEIGHT), mode: str = "RGB") -> Image.Image:
    """A picture with large shapes, different for each i, that JPEG keeps well."""
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    rgb = np.stack([x, y, 0.5 + 0.4 * np.sin(3 * x + i)], axis=-1)
    return Image.fromarray((255 * rgb).astype(np.uint8)).convert(mode)


def view(path: Path, i: int, **kwargs: object) -> View:
    """A view of an image file of the standard size."""
    K = torch.tensor([[30.0, 0, 19.5], [0, 31.0, 12.25], [0, 0, 1]])
    camera = Camera(WIDTH, HEIGHT, K, pose(i))
    return View(name=f"images/{path.name}", path=path, camera=camera, **kwargs)  # type: ignore[arg-type]


@pytest.fixture
def photos(tmp_path: Path) -> Callable[..., Capture]:
    """A capture of pictures saved under given names, with view settings for all."""

    def make(*names: str, **kwargs: object) -> Capture:
        folder = tmp_path / "source" / "images"
        folder.mkdir(parents=True, exist_ok=True)
        for i, name in enumerate(names):
            picture(i).save(folder / name)
        views = tuple(view(folder / name, i, **kwargs) for i, name in enumerate(names))
        return Capture(root=folder.parent, views=tuple(sorted(views, key=lambda v: v.name)))

    return make
