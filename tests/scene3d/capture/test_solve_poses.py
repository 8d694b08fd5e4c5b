"""Structure from motion on real photos, and what becomes of photos that are no capture of one place."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scene3d._errors import CaptureError
from scene3d.capture import Capture, read_capture
from scene3d.capture._solve_poses import placements


def copy_photos(source: Path, pattern: str, target: Path, *, longest_side: int = 640, prefix: str = "") -> None:
    """Reduced copies: what is tested here needs few pixels."""
    target.mkdir(exist_ok=True)
    for path in sorted(source.glob(pattern)):
        with Image.open(path) as image:
            image.thumbnail((longest_side, longest_side))
            image.save(target / f"{prefix}{path.stem.replace('.', '_')}.jpg", quality=95)


def centres(capture: Capture) -> np.ndarray:
    return np.stack([view.camera.position.double().numpy() for view in capture.views])


def aligned(moving: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """``moving`` after the similarity that takes it closest to ``fixed`` [Umeyama 1991]."""
    a, b = moving - moving.mean(0), fixed - fixed.mean(0)
    u, d, vt = np.linalg.svd(b.T @ a)
    sign = np.diag([1.0, 1.0, np.linalg.det(u @ vt)])
    scale = np.trace(np.diag(d) @ sign) / (a * a).sum()
    return scale * a @ (u @ sign @ vt).T + fixed.mean(0)


@pytest.fixture(scope="module")
def tabletop_photos(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos") / "tabletop"
    copy_photos(repository / "assets/tabletop/images", "00[0-2][1357].jpg", folder, prefix="table")
    return folder


@dataclass(frozen=True)
class Solved:
    """A capture of solved poses, its work folder, and what was told on the way."""

    capture: Capture
    work: Path
    told: list[tuple[str, float]]


@pytest.fixture(scope="module")
def solved(tabletop_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Solved:
    work = tmp_path_factory.mktemp("work")
    told: list[tuple[str, float]] = []
    found = read_capture(tabletop_photos, work=work, progress=lambda stage, share: told.append((stage, share)))
    return Solved(found, work, told)


def test_poses_of_photos_are_those_that_took_them(solved: Solved, tabletop_photos: Path, repository: Path) -> None:
    found, work, seen = solved.capture, solved.work, solved.told
    truth = {v.name.split("/")[-1]: v for v in read_capture(repository / "assets/tabletop").views}
    views = [truth[view.name.removeprefix("table")] for view in found.views]
    assert len(views) == len(list(tabletop_photos.iterdir())) >= 8
    assert not found.metric and found.up is None and found.source == "photos"
    assert found.points is not None and len(found.points.points) > 500
    real = np.stack([view.camera.position.double().numpy() for view in views])
    error = np.linalg.norm(aligned(centres(found), real) - real, axis=1)
    assert np.median(error) < 0.004 and error.max() < 0.02  # Of half a metre to the table.
    focal = np.array([float(view.camera.K[0, 0]) for view in found.views])
    assert np.abs(focal - 520).max() < 8
    shares = [share for _, share in seen]
    assert shares == sorted(shares) and shares[-1] > 0.9 and len(set(stage for stage, _ in seen)) == 4
    assert {photo.name for photo in placements(work) if photo.placed} == {view.name for view in found.views}


def test_solved_poses_are_kept_and_taken_up_again(solved: Solved, tabletop_photos: Path, tmp_path: Path) -> None:
    seen: list[str] = []
    again = read_capture(tabletop_photos, work=solved.work, progress=lambda stage, _share: seen.append(stage))
    assert "matching photos" not in seen
    assert [view.name for view in again.views] == [view.name for view in solved.capture.views]
    assert np.array_equal(centres(again), centres(solved.capture))
    photos, work = tmp_path / "photos", tmp_path / "work"
    shutil.copytree(tabletop_photos, photos)
    shutil.copytree(solved.work, work)
    for path in sorted(photos.iterdir())[6:]:
        path.unlink()
    fewer = read_capture(photos, work=work, progress=lambda stage, _share: seen.append(stage))
    assert "matching photos" in seen and 3 <= len(fewer.views) <= 6


def test_the_model_that_is_kept_is_a_colmap_model_of_the_photos(
    solved: Solved, tabletop_photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(solved.work, tmp_path, dirs_exist_ok=True)
    (tmp_path / "images").symlink_to(tabletop_photos)
    model = read_capture(tmp_path, format="colmap")
    assert [view.name for view in model.views] == [view.name for view in solved.capture.views]
    assert np.allclose(centres(model), centres(solved.capture), atol=1e-6)


def some_of(photos: Path, target: Path) -> None:
    """The first six photos: enough for poses, quickly matched."""
    target.mkdir()
    for path in sorted(photos.iterdir())[:6]:
        shutil.copy(path, target)


def test_a_stray_photo_is_left_out_and_named(
    tabletop_photos: Path, needs: Callable[[str], Path], tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    some_of(tabletop_photos, photos)
    copy_photos(needs("fox/images"), "0001.jpg", photos, prefix="stray_")
    Image.new("RGB", (640, 480), (90, 90, 90)).save(photos / "pocket.jpg")
    found = read_capture(photos, work=tmp_path / "work")
    lost = {photo.name: photo.reason for photo in placements(tmp_path / "work") if not photo.placed}
    assert set(lost) >= {"stray_0001.jpg", "pocket.jpg"} and len(found.views) >= 4
    assert "one colour" in lost["pocket.jpg"] and "matches no" in lost["stray_0001.jpg"]
    assert all(any(name in note for note in found.notes) for name in lost)


def test_two_places_are_refused(tabletop_photos: Path, needs: Callable[[str], Path], tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    some_of(tabletop_photos, photos)
    copy_photos(needs("fox/images"), "000[1-5].jpg", photos, prefix="fox")
    with pytest.raises(CaptureError, match=r"shows two places: .*table0001.*fox0001|fox0001.*table0001"):
        read_capture(photos, work=tmp_path / "work")


def test_few_that_register_are_too_few(tabletop_photos: Path, tmp_path: Path) -> None:
    """3 neighbours of 40 photos; the rest is texture that matches nothing."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in sorted(tabletop_photos.iterdir())[:3]:
        shutil.copy(path, photos)
    rng = np.random.default_rng(0)
    for index in range(37):
        noise = rng.integers(0, 256, (40, 53, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((160, 120), Image.Resampling.NEAREST).save(photos / f"z{index:02d}.jpg")
    with pytest.raises(CaptureError, match=r"of the 40 photos .* could be placed; .*matches no other photo"):
        read_capture(photos, work=tmp_path / "work")


def test_photos_of_one_colour_are_refused(tmp_path: Path) -> None:
    for index in range(5):
        Image.new("RGB", (320, 240), (40 * index, 90, 20)).save(tmp_path / f"{index}.jpg")
    with pytest.raises(CaptureError, match=r"5 of 5 photos .* show one colour"):
        read_capture(tmp_path, work=tmp_path / "work")


def test_an_interrupt_while_photos_are_placed_ends_at_once_and_cleanly(tabletop_photos: Path, tmp_path: Path) -> None:
    """In a process of its own: an interpreter that leaves while COLMAP works would abort."""
    program = f"""
import os, signal, sys
from scene3d.capture import read_capture
def told(stage, share):
    if stage == "placing photos" and not told.done:
        told.done = True
        os.kill(os.getpid(), signal.SIGINT)
told.done = False
try:
    read_capture({str(tabletop_photos)!r}, work={str(tmp_path)!r}, progress=told)
except KeyboardInterrupt:
    sys.exit(130)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 130, ran.stderr[-2000:]
    assert "terminate" not in ran.stderr
