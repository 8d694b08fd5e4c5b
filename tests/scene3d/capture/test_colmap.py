"""COLMAP models that pycolmap wrote: binary, text, every camera model that is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from scene3d._errors import CaptureError
from scene3d.capture import read_capture
from scene3d.capture._colmap import read_colmap

WIDTH, HEIGHT = 32, 24


def model(kind: str = "OPENCV", views: int = 4, points: int = 5) -> pycolmap.Reconstruction:
    reconstruction = pycolmap.Reconstruction()
    camera = pycolmap.Camera.create_from_model_name(1, kind, 30.0, WIDTH, HEIGHT)
    params = camera.params.copy()
    params[camera.extra_params_idxs()] = 0.01 * np.arange(1, len(camera.extra_params_idxs()) + 1)
    camera.params = params  # pyright: ignore[reportAttributeAccessIssue]
    reconstruction.add_camera_with_trivial_rig(camera)
    for i in range(1, views + 1):
        image = pycolmap.Image(name=f"{i}.png", camera_id=1, image_id=i)
        rotation = pycolmap.Rotation3d(np.array([0, np.sin(0.1 * i), 0, np.cos(0.1 * i)]))
        reconstruction.add_image_with_trivial_frame(image, pycolmap.Rigid3d(rotation, np.array([0.1 * i, 0, 3])))
    for i in range(points):
        reconstruction.add_point3D(np.array([i, 0, 0.5]), pycolmap.Track(), np.array([i, 2, 3], dtype=np.uint8))
    return reconstruction


def write(
    folder: Path, reconstruction: pycolmap.Reconstruction, *, sparse: str = "sparse/0", text: bool = False
) -> Path:
    (folder / sparse).mkdir(parents=True, exist_ok=True)
    (reconstruction.write_text if text else reconstruction.write_binary)(str(folder / sparse))
    (folder / "images").mkdir(exist_ok=True)
    for image in reconstruction.images.values():
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "images" / image.name)
    return folder


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("sparse", ["sparse/0", "sparse", "."])
def test_layouts(tmp_path: Path, sparse: str, text: bool) -> None:
    reconstruction = model()
    capture = read_capture(write(tmp_path, reconstruction, sparse=sparse, text=text))
    assert [view.name for view in capture.views] == ["1.png", "2.png", "3.png", "4.png"]
    expected = np.linalg.inv(np.vstack([reconstruction.images[2].cam_from_world().matrix(), [0, 0, 0, 1]]))
    assert np.allclose(capture.views[1].camera.T_world_cam, expected, atol=1e-6)
    assert capture.points is not None
    assert capture.points.points.tolist() == [[i, 0, 0.5] for i in range(5)]
    assert capture.points.colors.tolist() == [[i, 2, 3] for i in range(5)]
    assert capture.views[0].load().rgb.shape == (HEIGHT, WIDTH, 3)


def test_model_folder_itself(tmp_path: Path) -> None:
    write(tmp_path, model())
    assert len(read_capture(tmp_path / "sparse" / "0").views) == 4


@pytest.mark.parametrize("kind", ["SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV"])
def test_camera_models_project_as_colmap_does(tmp_path: Path, kind: str) -> None:
    import cv2

    reconstruction = model(kind)
    view = read_capture(write(tmp_path, reconstruction)).views[0]
    rays = np.array([[0.1, -0.2, 1.0], [-0.3, 0.25, 1.0], [0.0, 0.0, 1.0]])
    expected = reconstruction.cameras[1].img_from_cam(rays)
    assert expected is not None
    coefficients = np.array(view.distortion or (0.0,) * 4)
    projected, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), view.camera.K.double().numpy(), coefficients)
    assert np.allclose(projected[:, 0], expected, atol=1e-4)
    assert bool(view.distortion) == (not kind.endswith("PINHOLE"))


def test_absent_images_and_reduced_copies(tmp_path: Path) -> None:
    write(tmp_path, model())
    (tmp_path / "images" / "2.png").unlink()
    assert read_capture(tmp_path).notes == ("1 of 4 images of the model are absent and were left out.",)
    (tmp_path / "images").rename(tmp_path / "images_2")
    for path in (tmp_path / "images_2").iterdir():
        Image.new("RGB", (WIDTH // 2, HEIGHT // 2)).save(path)
    capture = read_capture(tmp_path)
    assert (capture.views[0].camera.width, capture.views[0].camera.K[0, 0].item()) == (16, 15.0)
    assert "images_2" in capture.notes[1]


@pytest.mark.parametrize("kind", ["SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "OPENCV_FISHEYE"])
def test_fisheyes_project_as_colmap_does(tmp_path: Path, kind: str) -> None:
    import cv2

    reconstruction = model(kind)
    view = read_capture(write(tmp_path, reconstruction)).views[0]
    rays = np.array([[0.1, -0.2, 1.0], [-1.3, 0.25, 1.0], [0.0, 0.0, 1.0]])
    expected = reconstruction.cameras[1].img_from_cam(rays)
    assert expected is not None
    projected, _ = cv2.fisheye.projectPoints(
        rays[:, None], np.zeros(3), np.zeros(3), view.camera.K.double().numpy(), np.array(view.distortion)
    )
    assert view.projection == "fisheye"
    assert np.allclose(projected[:, 0], expected, atol=1e-4)


def test_other_cameras_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cameras of kind FOV are not read yet, only SIMPLE_PINHOLE"):
        read_capture(write(tmp_path, model("FOV")))


@pytest.mark.parametrize("photos", ["images", "images_2", "."])
def test_masks(tmp_path: Path, photos: str) -> None:
    write(tmp_path, model())
    for i in range(1, 5):
        (tmp_path / photos).mkdir(exist_ok=True)
        (tmp_path / "images" / f"{i}.png").rename(tmp_path / photos / f"{i}.png")
    (tmp_path / "masks").mkdir()
    for i in (1, 2, 3):
        Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "masks" / f"{i}.png.png")
    capture = read_colmap(tmp_path, mask_mode="alpha")
    assert [view.mask and view.mask.name for view in capture.views] == ["1.png.png", "2.png.png", "3.png.png", None]
    assert {view.mask_mode for view in capture.views} == {"alpha"}
    assert "3 of 4 photos have masks; the others count whole." in capture.notes
    Image.new("L", (8, 8)).save(tmp_path / "masks" / "2.png.png")
    with pytest.raises(CaptureError, match=r"2\.png\.png is 8x8 pixels, but its photo 2\.png is 32x24"):
        read_colmap(tmp_path)


def test_no_images_and_too_few(tmp_path: Path) -> None:
    write(tmp_path, model())
    for i in (1, 2):
        (tmp_path / "images" / f"{i}.png").unlink()
    with pytest.raises(CaptureError, match="has 2 usable photos, but at least 3"):
        read_capture(tmp_path)
    for i in (3, 4):
        (tmp_path / "images" / f"{i}.png").unlink()
    with pytest.raises(CaptureError, match="None of the 4 images"):
        read_capture(tmp_path)


@pytest.mark.parametrize("part", ["cameras", "images", "points3D", "rigs", "frames"])
@pytest.mark.parametrize("kept", [0, 3, 0.5, -5, -1])
def test_cut_off_model(tmp_path: Path, part: str, kept: float) -> None:
    write(tmp_path, model())
    path = tmp_path / "sparse" / "0" / f"{part}.bin"
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if kept == 0.5 else int(kept)])
    with pytest.raises(CaptureError, match=rf"The COLMAP model .* cannot be read: {part}\.bin is cut off"):
        read_capture(tmp_path)
