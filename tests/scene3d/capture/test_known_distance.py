"""Scale from a measured distance: two pixels, the surface behind them, and what people type wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from scene3d._camera import Camera
from scene3d._errors import CaptureError, UsageError
from scene3d._gaussians import Gaussians
from scene3d._scene import Scene, SceneView
from scene3d.capture import Capture, View
from scene3d.capture._known_distance import KnownDistance, known_distance, parse_known_distance
from scene3d.capture._transforms_json import read_transforms_json

FULL = (1600, 1200)
"""Size of the photos [px]; the splats were fitted to a fifth of it."""
LENSES = [("opencv", ()), ("opencv", (-0.15, 0.03, 1e-3, -1e-3)), ("fisheye", (0.05, -0.01, 0.0, 0.0))]


def floor(height: float = 0.0, half: float = 0.6) -> Gaussians:
    """A square of flat splats, two halves wide."""
    side = torch.linspace(-half, half, 81)
    x, y = torch.meshgrid(side, side, indexing="ij")
    points = torch.stack([x.flatten(), y.flatten(), torch.full((81 * 81,), height)], dim=1)
    splats = Gaussians.from_points(points, torch.full_like(points, 0.5), sigma=0.012, opacity=0.97)
    scales = splats.scales.clone()
    scales[:, 2] = -9.0
    return replace(splats, scales=scales)


def view(name: str, position: tuple[float, float, float], projection: str, distortion: tuple[float, ...]) -> SceneView:
    pose = Camera.look_at(torch.tensor(position), torch.zeros(3))
    full = Camera.from_fov(*FULL, 1.0, pose)
    photo = View(name, Path("/nowhere") / name, full, distortion, projection=projection)  # type: ignore[arg-type]
    return SceneView(name, full.fitted(FULL[0] // 5), photo=photo)


def pixel(view: SceneView, point: tuple[float, float, float]) -> tuple[float, float]:
    """Where the photo, with its lens, shows a point of the world."""
    photo = view.photo
    assert photo is not None
    T, K = photo.camera.T_cam_world.double().numpy(), photo.camera.K.double().numpy()
    local = (T[:3, :3] @ point + T[:3, 3]).reshape(1, 1, 3)
    coefficients = np.array(photo.distortion or (0.0,) * 4)
    project = cv2.fisheye.projectPoints if photo.projection == "fisheye" else cv2.projectPoints
    found, _ = project(local, np.zeros(3), np.zeros(3), K, coefficients)
    u, v = found.ravel()
    return float(u), float(v)


def scene(projection: str = "opencv", distortion: tuple[float, ...] = ()) -> Scene:
    first = view("images/IMG_0001.jpg", (1.0, 0.2, 0.9), projection, distortion)
    second = view("images/IMG_0002.jpg", (-0.3, 1.1, 0.8), projection, distortion)
    return Scene(floor(), (first, second))


A, B = (0.3, -0.25, 0.0), (-0.2, 0.3, 0.0)
APART = float(np.linalg.norm(np.subtract(A, B)))


@pytest.mark.parametrize(("projection", "distortion"), LENSES)
def test_two_pixels_of_one_photo(projection: str, distortion: tuple[float, ...]) -> None:
    found = scene(projection, distortion)
    (u1, v1), (u2, v2) = pixel(found.views[0], A), pixel(found.views[0], B)
    estimate = known_distance(found, f"images/IMG_0001.jpg,{u1},{v1},{u2},{v2}={2 * APART}")
    assert estimate.scale == pytest.approx(2, rel=0.004)
    assert 0 < estimate.relative_error < 0.03
    assert estimate.source == "known distance"
    assert estimate.detail == f"{2 * APART:g} m in images/IMG_0001.jpg, depth from the splats"


@pytest.mark.parametrize("names", [("IMG_0001.jpg", "IMG_0002.jpg"), ("IMG_0001", "IMG_0002")])
def test_two_photos_and_short_names(names: tuple[str, str]) -> None:
    found = scene()
    (u1, v1), (u2, v2) = pixel(found.views[0], A), pixel(found.views[1], B)
    estimate = known_distance(found, f"{names[0]},{u1},{v1},{names[1]},{u2},{v2}={APART / 2}")
    assert estimate.scale == pytest.approx(0.5, rel=0.004)


def test_scene_without_photos_counts_pixels_of_its_cameras() -> None:
    found = scene()
    views = tuple(replace(view, photo=None) for view in found.views)
    ends = [np.array(pixel(found.views[0], p)) / 5 for p in (A, B)]
    (u1, v1), (u2, v2) = ends
    estimate = known_distance(replace(found, views=views), f"IMG_0001.jpg,{u1},{v1},{u2},{v2}={APART}")
    assert estimate.scale == pytest.approx(1, rel=0.004)


def test_click_on_an_edge_means_the_near_surface() -> None:
    """Two corners of a table 0.2 above the floor, hit one fitted pixel outside, where mostly floor is seen."""
    found = scene()
    found = replace(found, splats=Gaussians.cat([floor(), floor(0.2, 0.25)]))
    corners = (0.25, -0.25, 0.2), (0.25, 0.25, 0.2)
    (u1, v1), (u2, v2) = (pixel(found.views[0], p) for p in corners)
    estimate = known_distance(found, f"IMG_0001,{u1 - 5},{v1},{u2 + 5},{v2}=0.5")
    assert estimate.scale == pytest.approx(1, rel=0.03)
    assert abs(estimate.scale - 1) < 3 * estimate.relative_error


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.jpg",
        "a.jpg,1,2,3=0.3",
        "a.jpg,1,2,3,4",
        "a.jpg,1,2,3,4=",
        "a.jpg,1,2,3,4=long",
        "a.jpg,1,2,3,4=0.3m",
        ",1,2,3,4=0.3",
        "a.jpg,1,2,b.jpg,3=1",
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"IMAGE,U1,V1,U2,V2=METRES .* for example IMG_0042\.jpg,812,455,1290,470=0\.297"
    ):
        parse_known_distance(text)


def test_forms() -> None:
    one = KnownDistance(("a,b=c.jpg", "a,b=c.jpg"), ((1, 2.5), (3, 4)), 0.3)
    assert parse_known_distance("a,b=c.jpg, 1,2.5 ,3,4.=3e-1") == one
    assert parse_known_distance("a.jpg,1,2,dir/b 2.jpg,3,4=.5").images == ("a.jpg", "dir/b 2.jpg")


@pytest.mark.parametrize("metres", ["0", "-1", "1e999"])
def test_distance_that_is_none(metres: str) -> None:
    with pytest.raises(UsageError, match="must be above zero metres"):
        parse_known_distance(f"a.jpg,1,2,3,4={metres}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("IMG_0003.jpg,1,2,3,4=1", r"no photo 'IMG_0003\.jpg'; the nearest names are images/IMG_000"),
        ("IMG_0001.jpg,1601,2,3,4=1", r"1601,2 lies outside of images/IMG_0001\.jpg, which is 1600x1200"),
        ("IMG_0001.jpg,800,600,3,-4=1", "3,-4 lies outside"),
    ],
)
def test_what_the_scene_does_not_have(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        known_distance(scene(), spec)


def test_no_surface_and_no_distance() -> None:
    found = scene()
    u, v = pixel(found.views[0], A)
    with pytest.raises(CaptureError, match="No surface is found at pixel 2,2 of images/IMG_0001"):
        known_distance(found, f"IMG_0001.jpg,{u},{v},2,2=1")
    for shift in (0, 2):
        with pytest.raises(CaptureError, match="too close to each other"):
            known_distance(found, f"IMG_0001.jpg,{u},{v},{u + shift},{v}=1")


def test_names_that_fit_two_photos_or_none() -> None:
    found = scene()
    double = replace(found.views[1], name="more/IMG_0001.jpg")
    with pytest.raises(UsageError, match="names 2 photos"):
        known_distance(
            replace(found, views=(replace(found.views[0], name="a/IMG_0001.jpg"), double)), "IMG_0001.jpg,1,2,3,4=1"
        )
    with pytest.raises(UsageError, match="no cameras"):
        known_distance(Scene(floor()), "IMG_0001.jpg,1,2,3,4=1")


def test_photos_tell_depths_that_splats_only_guess(repository: Path) -> None:
    """A corner of the marker and bare table 0.44 m away; the splats of this scene are 3 cm under the table."""
    capture = read_transforms_json(repository / "assets" / "tabletop" / "transforms.json")
    capture = replace(capture, views=capture.views[::2])
    photo = capture.views[0]
    shown = SceneView(photo.name, photo.camera, photo=photo)
    ends = (0.26, -0.17, 0.0), (-0.1, 0.15, 0.0)
    (u1, v1), (u2, v2) = (pixel(shown, end) for end in ends)
    spec = f"0001,{u1},{v1},{u2},{v2}={2 * np.linalg.norm(np.subtract(*ends))}"
    from_capture = known_distance(capture, spec)
    assert from_capture.scale == pytest.approx(2, rel=0.006)
    assert from_capture.relative_error < 0.01
    assert from_capture.detail.endswith("in images/0001.jpg, depth from the photos")
    views = tuple(SceneView(v.name, v.camera.fitted(480), photo=v) for v in capture.views)
    found = known_distance(Scene(floor(-0.03), views), spec)
    assert found.scale == pytest.approx(2, rel=0.006)
    gone = tuple(replace(v, photo=replace(v.photo, path=Path("/nowhere"))) for v in views if v.photo is not None)
    by_splats = known_distance(Scene(floor(-0.03), gone), spec)
    assert by_splats.detail.endswith("depth from the splats")
    assert by_splats.scale < 1.98


def test_a_wall_without_pattern_shows_no_depth(tmp_path: Path) -> None:
    views = []
    for i, position in enumerate([(1.0, 0.2, 0.9), (1.0, 0.4, 0.9), (1.0, 0.0, 0.9)]):
        path = tmp_path / f"{i}.png"
        Image.new("RGB", (320, 240), "grey").save(path)
        camera = view(path.name, position, "opencv", ()).camera
        views.append(View(path.name, path, camera))
    with pytest.raises(CaptureError, match=r"No surface is found at pixel 100,100 of 0\.png: the photos show none"):
        known_distance(Capture(tmp_path, tuple(views)), "0.png,100,100,200,100=1")


def test_translucent_layers_are_said_to_be_unsure() -> None:
    """The figure is that of one of two floors 10 cm apart, and admits the other."""
    upper, lower = floor(0.0), floor(-0.1)
    thin = replace(upper, opacities=upper.opacities * 0 - 1.7)
    found = scene()
    (u1, v1), (u2, v2) = pixel(found.views[0], A), pixel(found.views[0], B)
    spec = f"IMG_0001,{u1},{v1},{u2},{v2}={APART}"
    sure = known_distance(found, spec).relative_error
    unsure = known_distance(replace(found, splats=Gaussians.cat([thin, lower])), spec).relative_error
    assert unsure > 3 * sure
