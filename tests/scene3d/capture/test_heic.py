"""HEIC as iPhones write it: an HEVC picture in a HEIF container, made here because nothing in Python encodes it."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from scene3d._camera import Camera
from scene3d._errors import CaptureError
from scene3d.capture import View
from scene3d.capture._decode import decode_upright, image_size

WIDTH, HEIGHT = 96, 64


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", len(body) + 8) + kind + body


def full(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def hevc(pixels: np.ndarray, work: Path) -> tuple[bytes, bytes]:
    """The decoder's configuration box and the coded picture."""
    path = work / "one.mp4"
    with av.open(path, "w") as file:
        options = {"crf": "4", "x265-params": "log-level=none:keyint=1"}
        stream = file.add_stream("libx265", rate=1, options=options)
        stream.width, stream.height, stream.pix_fmt = pixels.shape[1], pixels.shape[0], "yuv420p"  # type: ignore[attr-defined]
        for frame in (av.VideoFrame.from_ndarray(pixels), None):
            file.mux(stream.encode(frame))  # type: ignore[attr-defined]
    whole = path.read_bytes()
    start = whole.index(b"hvcC") - 4
    config = whole[start : start + struct.unpack(">I", whole[start : start + 4])[0]]
    with av.open(path) as file:
        return config, next(bytes(packet) for packet in file.demux(video=0) if packet.size)


def heic(path: Path, pixels: np.ndarray, *, quarter_turns: int = 0, exif: Image.Exif | None = None) -> Path:
    """A HEIC file; the container turns the picture by so many quarter turns against the clock."""
    config, picture = hevc(pixels, path.parent)
    items = [(b"hvc1", picture)]
    if exif is not None:
        items.append((b"Exif", struct.pack(">I", 6) + b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")))
    infos = [full(b"infe", 2, 0, struct.pack(">HH", i + 1, 0), kind, b"\0") for i, (kind, _) in enumerate(items)]
    properties = [config, full(b"ispe", 0, 0, struct.pack(">II", pixels.shape[1], pixels.shape[0]))]
    if quarter_turns:
        properties.append(box(b"irot", bytes([quarter_turns])))
    # Configuration and rotation are essential, hence the high bit; the size is not.
    association = bytes([0x80 | 1, 2, 0x80 | 3][: len(properties)])
    links = struct.pack(">IHB", 1, 1, len(association)) + association
    head = box(b"ftyp", b"heic", bytes(4), b"mif1heic")

    def meta(offset: int) -> bytes:
        places = b""
        for i, (_, data) in enumerate(items):
            places += struct.pack(">HHHII", i + 1, 0, 1, offset, len(data))
            offset += len(data)
        return full(
            b"meta",
            0,
            0,
            full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13)),
            full(b"pitm", 0, 0, struct.pack(">H", 1)),
            full(b"iloc", 0, 0, b"\x44\x00", struct.pack(">H", len(items)), places),
            full(b"iinf", 0, 0, struct.pack(">H", len(items)), *infos),
            full(b"iref", 0, 0, box(b"cdsc", struct.pack(">HHH", 2, 1, 1))) if exif is not None else b"",
            box(b"iprp", box(b"ipco", *properties), full(b"ipma", 0, 0, links)),
        )

    start = len(head) + len(meta(0)) + 8
    path.write_bytes(head + meta(start) + box(b"mdat", *(data for _, data in items)))
    return path


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Smooth colours, brighter to the right, redder downwards: every turn of it looks different."""
    x, y = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    return (255 * np.stack([0.2 + 0.6 * y, 0.1 + 0.8 * x, 0.5 - 0.3 * y], axis=2)).astype(np.uint8)


def test_pixels(tmp_path: Path, picture: np.ndarray) -> None:
    path = heic(tmp_path / "a.heic", picture)
    assert image_size(path) == (WIDTH, HEIGHT)
    error = np.abs(decode_upright(path).astype(int) - picture)
    assert error.mean() < 3
    assert error.max() < 16
    assert decode_upright(path, 48).shape == (32, 48, 3)


@pytest.mark.parametrize("with_exif", [False, True], ids=["container", "container and EXIF"])
@pytest.mark.parametrize("upright", [False, True])
def test_a_photo_taken_sideways_is_turned_once(
    tmp_path: Path, picture: np.ndarray, with_exif: bool, upright: bool
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned by 90 degrees with the clock, as three quarter turns against it.
    exif[0x010F] = "Apple"
    path = heic(tmp_path / "a.HEIC", picture, quarter_turns=3, exif=exif if with_exif else None)
    assert image_size(path) == (HEIGHT, WIDTH)
    K = torch.tensor([[70.0, 0, HEIGHT / 2], [0, 70, WIDTH / 2], [0, 0, 1]])
    photo = View("a", path, Camera(HEIGHT, WIDTH, K, torch.eye(4)), upright=upright).load()
    seen = np.rot90(picture, -1)
    assert np.abs(photo.rgb.astype(int) - seen).mean() < 3
    assert np.array_equal(decode_upright(path), photo.rgb)
    with Image.open(path) as image:
        assert (image.getexif().get(0x010F) == "Apple") == with_exif


def test_a_file_that_was_cut_short(tmp_path: Path, picture: np.ndarray) -> None:
    path = heic(tmp_path / "a.heic", picture)
    whole = path.read_bytes()
    for kept in (len(whole) - len(whole) // 4, 200, 12):
        path.write_bytes(whole[:kept])
        with pytest.raises(CaptureError, match=r"a\.heic cannot be decoded"):
            decode_upright(path)


@pytest.mark.parametrize("kind", [b"E\xff\xfef", b"\x80\0\0\0"])
def test_item_names_that_are_no_text(tmp_path: Path, picture: np.ndarray, kind: bytes) -> None:
    """pi-heif 1.4 dies of them, and the process with it."""
    path = heic(tmp_path / "a.heic", picture, exif=Image.Exif())
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"Exif", kind, 1))
    with pytest.raises(CaptureError, match="its table of contents is damaged"):
        decode_upright(path)
