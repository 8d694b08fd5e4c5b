"""The verdict on real captures, and on the ones that cannot work."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from scene3d._errors import CaptureError
from scene3d.capture._check import CheckReport, check_capture
from scene3d.capture._check_photos import spread
from scene3d.capture._check_verdict import judge


def linked(folder: Path, *paths: Path) -> Path:
    """A folder of links to real photos, under names without order."""
    folder.mkdir(exist_ok=True)
    for path in paths:
        (folder / f"IMG_{len(list(folder.iterdir())):04d}_{path.parent.name}{path.suffix}").symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def fox(needs: Callable[[str], Path]) -> list[Path]:
    return sorted(needs("fox/images").iterdir())[::4]


@pytest.fixture(scope="module")
def kitchen(needs: Callable[[str], Path]) -> list[Path]:
    return sorted(needs("redkitchen").glob("*.color.jpg"))


@pytest.fixture(scope="module")
def fox_report(fox: list[Path], tmp_path_factory: pytest.TempPathFactory) -> CheckReport:
    return check_capture(linked(tmp_path_factory.mktemp("check") / "fox", *fox))


def test_photos_of_one_place(fox_report: CheckReport) -> None:
    report = fox_report
    assert (report.verdict, report.problems, report.kind, report.posed) == ("usable", (), "photos", False)
    assert report.photos == report.looked_at == 13
    assert [(group.width, group.height, group.count) for group in report.sizes] == [(1080, 1920, 13)]
    assert [len(group) for group in report.groups] == [13]
    assert (report.alone, report.flat, report.unreadable, report.blurred) == ((), (), (), 0)
    values = [value for _, value in report.blur]
    assert values == sorted(values, reverse=True)
    assert (report.scale, report.markers) == ("none", {})
    assert 4 < report.minutes < 6
    assert 0 < report.light_range < 1.5


def test_two_places(fox: list[Path], kitchen: list[Path], tmp_path: Path) -> None:
    report = check_capture(linked(tmp_path / "mixed", *fox[:8], *kitchen[:64:8]))
    assert report.verdict == "unusable"
    assert "show two places: 8 photos (" in report.problems[0]
    assert [len(group) for group in report.groups] == [8, 8]
    assert not any("groups" in problem for problem in report.problems)
    assert {name[-7:] for name in report.groups[0]} != {name[-7:] for name in report.groups[1]}


def test_photos_that_do_not_overlap(fox: list[Path], kitchen: list[Path], tabletop: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = linked(tmp_path / "odd", fox[0], kitchen[0], tabletop / "images" / "0001.jpg")
    for k in range(3):
        noise = cv2.resize(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8), (640, 480))
        Image.fromarray(noise).save(folder / f"noise{k}.png")
    report = check_capture(folder)
    assert report.verdict == "unusable"
    assert "Hardly any of the photos overlap: at most 0 of 6" in report.problems[0]


def test_photos_of_one_colour(fox: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()
    for k in range(4):
        Image.new("RGB", (640, 480), (40 * k, 90, 120)).save(folder / f"{k}.png")
    report = check_capture(folder)
    assert report.verdict == "unusable"
    assert "4 of 4 photos show one colour and nothing else: 0.png, 1.png, 2.png and 1 more" in report.problems[0]
    (folder / "3.png").unlink()
    report = check_capture(linked(folder, *fox[:6]))
    assert report.verdict == "doubtful"
    assert len(report.flat) == 3
    assert any("3 photos show one colour" in problem for problem in report.problems)


def test_blurred_and_dark_photos_are_named(kitchen: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for k, path in enumerate(kitchen[8:44:3]):
        image = np.asarray(Image.open(path).convert("RGB"))
        if k in (1, 4, 7):
            image = cv2.blur(image, (17, 1))
        if k in (2, 5, 8):
            image = (image * 0.35).astype(np.uint8)
        Image.fromarray(image).save(folder / f"{k:02d}.jpg", quality=95)
    report = check_capture(folder)
    assert report.verdict == "doubtful"
    assert {"01.jpg", "04.jpg", "07.jpg"} <= {name for name, _ in report.blur[: report.blurred]}
    assert report.blurred <= 6
    assert report.light_range > 1.5
    assert report.light_jumps > 0
    assert any("Brightness jumps" in problem for problem in report.problems)


def test_posed_and_metric(tabletop: Path) -> None:
    report = check_capture(tabletop)
    assert (report.verdict, report.kind, report.posed, report.scale) == ("usable", "transforms", True, "capture")
    assert report.photos == 60
    assert report.minutes == pytest.approx(4, abs=0.5)


def test_markers_give_scale(tabletop: Path, tmp_path: Path) -> None:
    report = check_capture(linked(tmp_path / "photos", *sorted((tabletop / "images").glob("*.jpg"))[:12]))
    assert report.scale == "markers"
    (name,) = report.markers
    assert name.startswith("4X4_")
    assert name.endswith("id 0")
    assert report.markers[name] >= 6


def test_depth_gives_scale_without_metric_poses(tabletop: Path, tmp_path: Path) -> None:
    document = json.loads((tabletop / "transforms.json").read_text())
    document.pop("metric", None)
    document["frames"] = [frame for frame in document["frames"] if "depth_file_path" in frame][:5]
    (tmp_path / "images").symlink_to(tabletop / "images")
    (tmp_path / "depths").symlink_to(tabletop / "depths")
    (tmp_path / "instances").symlink_to(tabletop / "instances")
    (tmp_path / "transforms.json").write_text(json.dumps(document))
    report = check_capture(tmp_path)
    assert report.scale == "depth"
    assert report.photos == 5


def write_video(path: Path, frames: list[np.ndarray]) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.height, stream.width = frames[0].shape[:2]  # type: ignore[attr-defined]
        for pixels in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))  # type: ignore[attr-defined]
        out.mux(stream.encode())  # type: ignore[attr-defined]
    return path


def test_videos(kitchen: list[Path], tmp_path: Path) -> None:
    frames = [np.asarray(Image.open(path).convert("RGB").resize((320, 240))) for path in kitchen[8:38]]
    report = check_capture(write_video(tmp_path / "walk.mp4", frames))
    assert (report.kind, report.usable, report.photos, report.looked_at) == ("video", True, 30, 24)
    assert report.video is not None
    assert report.video.seconds == pytest.approx(1.0)
    still = check_capture(write_video(tmp_path / "still.mp4", frames[:1] * 20))
    assert (still.verdict, "stands still" in still.problems[0]) == ("unusable", True)
    single = check_capture(write_video(tmp_path / "single.mp4", frames[:1]))
    assert (single.verdict, "only one frame" in single.problems[0]) == ("unusable", True)


def test_a_fixed_camera_that_watches_a_robot(needs: Callable[[str], Path]) -> None:
    video = min(needs("pusht/sample_demos/0/videos").glob("*.mp4"))
    report = check_capture(video)
    assert report.verdict == "unusable"
    assert "camera stands still" in report.problems[0]


def test_no_capture(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="does not exist"):
        check_capture(tmp_path / "absent")
    with pytest.raises(CaptureError, match="is empty"):
        check_capture(tmp_path)
    Image.new("RGB", (64, 48)).save(tmp_path / "one.jpg")
    with pytest.raises(CaptureError, match="at least 3"):
        check_capture(tmp_path)
    with pytest.raises(CaptureError, match="single photo"):
        check_capture(tmp_path / "one.jpg")


def test_verdicts(fox_report: CheckReport) -> None:
    """Each doubt on its own, from the report of a capture without any."""
    names = tuple(name for name, _ in fox_report.blur)
    doubts = {
        "There are only 5 photos": replace(fox_report, photos=5),
        "6 of 13 photos are blurred": replace(fox_report, blurred=6),
        "fall into 2 groups (11 + 2)": replace(fox_report, groups=(names[:11], names[11:])),
        "1 photos overlap with no other": replace(fox_report, groups=(names[1:],), alone=names[:1]),
        "1 photos cannot be decoded": replace(fox_report, unreadable=("broken.jpg",)),
        "overlap little": replace(fox_report, common=18),
    }
    for words, report in doubts.items():
        verdict, problems = judge(report)
        assert (verdict, len(problems)) == ("doubtful", 1)
        assert words in problems[0]
        posed = judge(replace(report, posed=True))[0]
        assert posed == ("usable" if "overlap" in words or "groups" in words else "doubtful")


@pytest.mark.parametrize(("count", "most"), [(0, 5), (1, 5), (5, 5), (100, 7), (7, 100)])
def test_spread(count: int, most: int) -> None:
    found = spread(count, most)
    assert len(found) == min(count, most)
    assert found == sorted(set(found))
    if count:
        assert found[0] == 0
        assert all(0 <= k < count for k in found)
