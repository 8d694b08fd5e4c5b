"""Frames of real recordings, made into videos here, come out sharp, new and upright; bad videos get one message."""

from __future__ import annotations

import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scene3d._errors import CaptureError, OutputError
from scene3d.capture._photo_set import PhotoSet
from scene3d.capture._video_choice import AROUND, STEP, choose
from scene3d.capture._video_color import to_srgb
from scene3d.capture._video_file import probe
from scene3d.capture._video_frames import extract_frames
from scene3d.capture._video_motion import Motion, MotionFrame

FAST = {"libx264": {"preset": "ultrafast", "crf": "16"}, "libx265": {"preset": "ultrafast", "crf": "16"}}
QUIET = "log-level=none"


def write_video(
    path: Path,
    frames: Sequence[np.ndarray],
    codec: str = "libx264",
    *,
    pix_fmt: str = "yuv420p",
    rotate: int = 0,
    times: Sequence[int] | None = None,
    metadata: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    x265: str = QUIET,
    **source: int,
) -> Path:
    """Frames (H, W, 3) at 30 a second, or at ``times`` [ms]."""
    options = dict(FAST.get(codec, {})) | ({"x265-params": x265} if codec == "libx265" else {})
    with av.open(str(path), "w", container_options=container or {}) as out:
        out.metadata.update(metadata or {})
        stream: Any = out.add_stream(codec, rate=30 if times is None else 1000, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if rotate:
            stream.set_display_rotation(rotate)
        for number, pixels in enumerate(frames):
            layout = "rgb48le" if pixels.dtype == np.uint16 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=layout)
            if source:
                frame = frame.reformat(format=pix_fmt, **source)  # type: ignore[arg-type]
            frame.pts = number if times is None else times[number]
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert image is not None
    return image[..., ::-1].copy()


def numbers(photos: PhotoSet) -> list[int]:
    return [int(file.name[6:12]) for file in photos.files]


@pytest.fixture(scope="session")
def kitchen(needs: Callable[[str], Path]) -> list[np.ndarray]:
    """125 frames of a Kinect that is carried round a table, at half size."""
    paths = sorted(needs("redkitchen").glob("*.color.jpg"))
    return [cv2.resize(read(path), (320, 240), interpolation=cv2.INTER_AREA) for path in paths]


@pytest.fixture(scope="session")
def kitchen_video(kitchen: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "kitchen.mp4", kitchen)


def test_the_whole_way_is_covered(kitchen_video: Path, tmp_path: Path) -> None:
    shares: list[float] = []
    photos = extract_frames(kitchen_video, tmp_path / "a", progress=shares.append)
    assert (photos.source, photos.ordered, photos.root) == ("video", True, kitchen_video)
    assert 40 <= len(photos.files) <= 100
    assert np.diff(numbers(photos)).max() <= 10
    assert numbers(photos)[0] <= 3
    assert numbers(photos)[-1] >= 120
    assert sorted(path.name for path in (tmp_path / "a").glob("*.jpg")) == [file.name for file in photos.files]
    assert all((file.width, file.height) == (320, 240) for file in photos.files)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_limit_thins_evenly(kitchen_video: Path, tmp_path: Path) -> None:
    photos = extract_frames(kitchen_video, tmp_path / "a", most=20)
    chosen = numbers(photos)
    assert 12 <= len(chosen) <= 20
    assert chosen[0] <= 10
    assert chosen[-1] >= 105
    assert np.diff(chosen).max() <= 22
    assert any("went a long way" in note for note in photos.notes)


def test_same_video_same_bytes_and_no_second_reading(kitchen_video: Path, tmp_path: Path) -> None:
    first = extract_frames(kitchen_video, tmp_path / "a", most=12)
    second = extract_frames(kitchen_video, tmp_path / "b", most=12)
    assert [f.path.read_bytes() for f in first.files] == [f.path.read_bytes() for f in second.files]
    before = [f.path.stat().st_mtime_ns for f in first.files]
    assert extract_frames(kitchen_video, tmp_path / "a", most=12) == first
    assert [f.path.stat().st_mtime_ns for f in first.files] == before
    first.files[3].path.unlink()
    assert extract_frames(kitchen_video, tmp_path / "a", most=12) == first
    assert first.files[3].path.is_file()


def test_blurred_copies_and_still_stretches_are_left_out(kitchen: list[np.ndarray], tmp_path: Path) -> None:
    """Each frame stands between smeared copies of itself; one lasts two seconds."""
    frames: list[np.ndarray] = []
    for image in kitchen[:40]:
        smeared = cv2.blur(image, (9, 1))
        frames += [smeared, image, smeared]
    still = range(len(frames), len(frames) + 60)
    rng = np.random.default_rng(0)
    frames += [np.clip(kitchen[40] + rng.normal(0, 2, kitchen[40].shape), 0, 255).astype(np.uint8) for _ in still]
    frames += kitchen[41:50]
    chosen = numbers(extract_frames(write_video(tmp_path / "a.mp4", frames), tmp_path / "a"))
    in_pairs = [number for number in chosen if number < still.start]
    assert len(in_pairs) >= 12
    assert all(number % 3 == 1 for number in in_pairs)
    assert sum(number in still for number in chosen) <= 1
    assert chosen[-1] >= still.stop


@pytest.mark.parametrize("rotate", [90, 180, -90])
def test_phone_video_comes_out_upright(kitchen: list[np.ndarray], tmp_path: Path, rotate: int) -> None:
    """HEVC in .mov; the sensor lies on its side and the header says so. The lens is in Apple's metadata."""
    stored = [np.rot90(image, -rotate // 90) for image in kitchen[12:30]]
    video = write_video(
        tmp_path / "IMG_1.MOV",
        stored,
        "libx265",
        rotate=rotate,
        metadata={"com.apple.quicktime.camera.focal_length.35mm_equivalent": "26"},
        container={"movflags": "use_metadata_tags"},
    )
    info = probe(video)
    assert (info.codec, info.width, info.height, info.bits) == ("hevc", 320, 240, 8)
    assert info.placement.degrees == -rotate % 360
    photos = extract_frames(video, tmp_path / "a")
    assert len(photos.files) >= 4
    for file, number in zip(photos.files, numbers(photos), strict=True):
        assert (file.width, file.height) == (320, 240)
        assert file.focal == pytest.approx(26 / 36 * 320)
        assert np.abs(read(file.path).astype(float) - kitchen[12 + number]).mean() < 8


def test_unreliable_time_stamps_and_no_duration(kitchen: list[np.ndarray], tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(0).integers(33, 200, 30)).tolist()
    uneven = extract_frames(write_video(tmp_path / "a.mkv", kitchen[:30], times=times), tmp_path / "a")
    even = extract_frames(write_video(tmp_path / "b.avi", kitchen[:30], "mpeg4"), tmp_path / "b")
    assert len(uneven.files) == pytest.approx(len(even.files), abs=4)
    raw = write_video(tmp_path / "c.h264", kitchen[:30])  # A bare stream has no header that knows its length.
    assert len(extract_frames(raw.rename(tmp_path / "c.mp4"), tmp_path / "c").files) >= 6


def test_high_speed_video_is_thinned_before_it_is_analysed(kitchen: list[np.ndarray], tmp_path: Path) -> None:
    frames = [image for image in kitchen[:12] for _ in range(8)]
    video = write_video(tmp_path / "a.mp4", frames, times=[4 * k for k in range(len(frames))])
    assert 3 <= len(extract_frames(video, tmp_path / "a").files) <= 12


def test_cuts_are_said(kitchen: list[np.ndarray], needs: Callable[[str], Path], tmp_path: Path) -> None:
    fox = [cv2.resize(read(path)[420:1500], (320, 240)) for path in sorted(needs("fox/images").iterdir())[:6]]
    photos = extract_frames(write_video(tmp_path / "a.mp4", [*kitchen[:10], *fox]), tmp_path / "a")
    assert any("jumps to another view at 0.3 s" in note for note in photos.notes)
    assert any(number < 10 for number in numbers(photos))
    assert any(number >= 10 for number in numbers(photos))


# BT.2100 and BT.2020, written out once more in the other direction.
TO_BT2020 = np.linalg.inv([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])


def hdr_signal(rgb: np.ndarray, transfer: str) -> np.ndarray:
    """HLG or PQ values of an sRGB picture whose white is at 203 cd/m^2."""
    value = rgb / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    light = np.clip(linear @ TO_BT2020.T, 0, None) * 203.0
    if transfer == "pq":
        power = (light / 10000.0) ** (2610 / 16384)
        signal = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    else:
        luminance = np.maximum(light @ [0.2627, 0.6780, 0.0593], 1e-9) / 1000
        scene = light / 1000 * (luminance ** (1 / 1.2 - 1))[..., None]
        high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        signal = np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)
    return np.round(np.clip(signal, 0, 1) * 65535).astype(np.uint16)


@pytest.mark.parametrize("transfer", ["hlg", "pq"])
def test_hdr_light_becomes_srgb(transfer: str) -> None:
    """Up to the shoulder at 75 % of white the picture is what it was; above it goes on rising and never clips."""
    steps = np.stack(np.meshgrid(*[np.arange(0, 225, 16)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    assert np.abs(to_srgb(hdr_signal(steps, transfer), transfer).astype(int) - steps).max() <= 1
    grey = np.repeat(np.arange(40000, 65536, 64, dtype=np.uint16)[:, None, None], 3, axis=2)
    bright = to_srgb(grey, transfer)[:, 0, 0].astype(int)
    assert (np.diff(bright) >= 0).all()
    assert 240 < bright[-1] <= 255


def test_hdr_phone_video(kitchen: list[np.ndarray], tmp_path: Path) -> None:
    pictures = [(image * 0.8).astype(np.uint8) for image in kitchen[12:24]]
    video = write_video(
        tmp_path / "hdr.mov",
        [hdr_signal(picture, "hlg") for picture in pictures],
        "libx265",
        pix_fmt="yuv420p10le",
        x265=f"{QUIET}:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc:range=limited",
        src_color_range=2,
        dst_color_range=1,
        src_colorspace=9,
        dst_colorspace=9,
    )
    assert (probe(video).transfer, probe(video).bits) == ("hlg", 10)
    photos = extract_frames(video, tmp_path / "a")
    assert any("HDR (HLG, 10 bits)" in note for note in photos.notes)
    for file, number in zip(photos.files, numbers(photos), strict=True):
        assert np.abs(read(file.path).astype(float) - pictures[number]).mean() < 6


def test_video_without_motion(kitchen: list[np.ndarray], tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", [kitchen[0]] * 45)
    with pytest.raises(
        CaptureError, match=r"camera hardly moves in .*a\.mp4: its 45 frames \(1\.5 s\) show only one view"
    ):
        extract_frames(video, tmp_path / "a")
    assert list(tmp_path.iterdir()) == [video]


def test_video_of_one_frame(kitchen: list[np.ndarray], tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="only one frame"):
        extract_frames(write_video(tmp_path / "a.mp4", kitchen[:1]), tmp_path / "a")


def test_one_colour(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="hardly moves"):
        extract_frames(write_video(tmp_path / "a.mp4", [np.full((240, 320, 3), 90, np.uint8)] * 9), tmp_path / "a")


def test_no_video_stream(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    with pytest.raises(CaptureError, match="holds no video stream, only audio"):
        probe((tmp_path / "a.wav").rename(tmp_path / "a.mp4"))


def test_too_long(kitchen: list[np.ndarray], tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", kitchen[:3], times=[0, 1000, 2_000_000])
    with pytest.raises(CaptureError, match="33 minutes long, but videos are read up to 30 minutes"):
        probe(video)


def test_files_that_are_no_video(kitchen_video: Path, tmp_path: Path) -> None:
    whole = kitchen_video.read_bytes()
    index = whole.index(b"moov") - 4
    for name, content in {
        "cut.mp4": whole[: index // 2],
        "noise.mov": bytes(range(256)) * 40,
        "empty.mp4": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CaptureError, match=rf"{name} cannot be opened as a video: it is damaged, cut short"):
            extract_frames(tmp_path / name, tmp_path / "a")
    with pytest.raises(CaptureError, match="does not exist"):
        probe(tmp_path / "absent.mp4")
    with pytest.raises(CaptureError, match="is no video file"):
        probe(tmp_path)
    assert not (tmp_path / "a").exists()


def test_video_that_ends_early_is_used_and_said(kitchen: list[np.ndarray], tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", kitchen[:60], container={"movflags": "faststart"})
    content = video.read_bytes()
    video.write_bytes(content[: len(content) // 2])
    photos = extract_frames(video, tmp_path / "a")
    assert len(photos.files) >= 5
    assert any("ends early" in note for note in photos.notes), photos.notes


def test_damaged_inside(kitchen_video: Path, tmp_path: Path) -> None:
    content = bytearray(kitchen_video.read_bytes())
    start = len(content) // 3
    content[start : start + 20000] = np.random.default_rng(0).bytes(20000)
    video = tmp_path / "a.mp4"
    video.write_bytes(content)
    photos = extract_frames(video, tmp_path / "a")
    assert numbers(photos)[-1] > 100


def test_a_folder_of_other_files_is_left_alone(kitchen_video: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(OutputError, match=r"holds other things than frames of a video: thesis\.txt"):
        extract_frames(kitchen_video, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@given(st.floats(0.0005, 0.12), st.integers(2, 150), st.integers(3, 30), st.integers(0, 2**16))
def test_steps_are_even_and_frames_are_sharp(speed: float, count: int, most: int, seed: int) -> None:
    """Corners that slide along at one speed and leave the picture."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-speed * count, 1.0, round(200 * (1 + speed * count)))).astype(np.float32)
    frames = []
    for k in range(count):
        seen = np.flatnonzero((x + speed * k >= 0) & (x + speed * k <= 1)).astype(np.int32)
        points = np.stack([x[seen] + speed * k, np.full(len(seen), 0.5, np.float32)], axis=1)
        frames.append(MotionFrame(k, k / 30, float(rng.uniform(0.2, 0.6)), seen, points))
    chosen, step = choose(Motion(tuple(frames), count), most)
    assert len(chosen) <= most
    assert step >= STEP
    assert chosen == sorted(set(chosen))
    steps = np.diff(chosen) * speed / step
    assert (steps >= AROUND[0] - 1e-3).all()
    assert (steps <= AROUND[1] + speed / step + 1e-3).all()
    if step == STEP:  # Nothing is missed at the end either.
        assert (count - 1 - chosen[-1]) * speed < STEP + 1e-3
