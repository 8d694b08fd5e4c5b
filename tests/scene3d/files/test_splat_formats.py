"""The formats that viewers made: .splat, compressed PLY and SOG, from real files, another writer, and damaged."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scene3d import Gaussians
from scene3d._errors import FileFormatError, OutputError
from scene3d.files import load_ply, load_splats, save_splats

from .conftest import degrees, largest, seeded


def gsplat_writes(splats: Gaussians, path: Path, form: Any) -> Path:
    """A file by gsplat's exporter, which shares nothing with our readers."""
    import gsplat

    s = splats
    gsplat.export_splats(s.means, s.scales, s.quats, s.opacities, s.sh0, s.shN, format=form, save_to=str(path))
    return path


def paired(before: Gaussians, after: Gaussians) -> Gaussians:
    """The splats of `before` in the order that a writer gave them in `after`."""
    order = torch.cdist(after.means.double(), before.means.double()).argmin(dim=1)
    assert order.unique().numel() == len(before) == len(after)
    return before[order]


@pytest.fixture(scope="module")
def few() -> Gaussians:
    splats = seeded(300, 3, extent=1.0)
    return replace(splats, scales=splats.scales.clamp(-6, 0), sh0=splats.sh0, opacities=splats.opacities.clamp(-4, 4))


def test_splat_by_another_writer(tmp_path: Path, few: Gaussians) -> None:
    found = load_splats(gsplat_writes(few, tmp_path / "a.splat", "splat"))
    before = paired(few, found.splats)
    assert (found.format, found.splats.sh_degree) == ("splat", 0)
    assert largest(before.means, found.splats.means) == 0
    assert largest(before.scales, found.splats.scales) < 1e-5
    assert largest(before.opacities.sigmoid(), found.splats.opacities.sigmoid()) <= 1 / 255
    assert largest(before.sh0 * 0.2820948, found.splats.sh0 * 0.2820948) <= 1 / 255
    assert degrees(before, found.splats) < 2


def test_splat_round_trip(tmp_path: Path, few: Gaussians) -> None:
    lost = save_splats(few, tmp_path / "a.splat")
    assert "SH of degree 1 to 3 was lost" in lost[1]
    after = load_splats(tmp_path / "a.splat").splats
    before = paired(few, after)
    assert largest(before.means, after.means) == 0
    assert largest(before.opacities.sigmoid(), after.opacities.sigmoid()) <= 0.5 / 255 + 1e-6
    assert largest(before.sh0 * 0.2820948, after.sh0 * 0.2820948) <= 0.5 / 255 + 1e-6
    assert degrees(before, after) < 1.3  # Four components, each off by up to 1/256 (1 itself by twice that).
    visible = after.opacities.sigmoid() * after.scales.exp().prod(dim=1)
    assert (visible.diff() <= visible[:-1] * 0.05 + 1e-4).all()


@pytest.mark.data
def test_splat_of_the_rope(needs: Callable[[str], Path]) -> None:
    rope = load_splats(needs("splat_files/rope_gs_dynamics.splat")).splats
    assert len(rope) == 8957
    extent = rope.means.amax(dim=0) - rope.means.amin(dim=0)
    assert extent.tolist() == pytest.approx([0.5287, 0.0405, 0.2837], abs=1e-3)  # A rope on a table, in metres.
    assert largest(rope.quats.norm(dim=1), torch.ones(len(rope))) < 0.02
    assert 1e-4 < float(rope.scales.exp().median()) < 1e-2


@pytest.mark.data
def test_smallest_splat_file(needs: Callable[[str], Path]) -> None:
    splats = load_splats(needs("splat_files/fixtures_splat_transform/minimal.splat")).splats
    assert splats.means.tolist() == [[-1, 0, -1], [0, 0, -1], [-1, 0, 0], [0, 0, 0]]
    assert largest(splats.scales, torch.full((4, 3), 0.1).log()) < 1e-6


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0" * 33, "has 33 bytes, which is no multiple of the 32"),
        (struct.pack("<6f8B", float("nan"), 0, 0, 1, 1, 1, *[128] * 7, 255), "1 of 1 splats hold NaN"),
        (struct.pack("<6f8B", 0, 0, 0, -1, 1, 1, *[128] * 7, 255), "1 of 1 splats hold NaN"),
        (struct.pack("<6f8B", 0, 0, 0, 1, 1, 1, *[128] * 8), "or no rotation"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_splat_files(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.splat").write_bytes(data)
    with pytest.raises(FileFormatError, match=message):
        load_splats(tmp_path / "a.splat")


@pytest.mark.parametrize("suffix", [".ply", ".spz", ".splat", ".glb"])
def test_nothing_writes_nan(tmp_path: Path, suffix: str) -> None:
    splats = seeded(5)
    splats.sh0[2, 0, 1] = float("nan")
    with pytest.raises(OutputError, match="some splats hold NaN or infinite values"):
        save_splats(splats, tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


def test_compressed_ply_by_another_writer(tmp_path: Path, few: Gaussians) -> None:
    found = load_splats(gsplat_writes(few, tmp_path / "a.compressed.ply", "ply_compressed"))
    before = paired(few, found.splats)
    assert (found.format, found.splats.sh_degree) == ("compressed ply", 3)
    assert largest(before.means, found.splats.means) < 2.0 / 1023  # The writer need not round to nearest.
    assert largest(before.scales, found.splats.scales) < 6.0 / 1023
    assert largest(before.opacities.sigmoid(), found.splats.opacities.sigmoid()) <= 1 / 255
    assert largest(before.sh0 * 0.2820948, found.splats.sh0 * 0.2820948) <= 1 / 255
    assert largest(before.shN, found.splats.shN) <= 8 / 256 + 1e-6
    assert degrees(before, found.splats) < 0.35


@pytest.mark.data
def test_plush_as_ply_and_as_compressed_ply(needs: Callable[[str], Path]) -> None:
    """The compressed file is sorted otherwise, so that each of its splats is compared with its nearest."""
    ply = load_ply(needs("plush_splat/point_cloud_29999_clean.ply"))
    small = load_ply(needs("plush_splat/point_cloud_29999_clean.compressed.ply"))
    assert (len(small), small.sh_degree) == (15_105, 3)
    some = small[torch.arange(0, len(small), 37)]
    distance, nearest = torch.cdist(some.means.double(), ply.means.double()).min(dim=1)
    assert float(distance.max()) < 3e-4
    near = ply[nearest]
    assert float((some.scales - near.scales).abs().quantile(0.98)) < 0.02
    assert float((some.opacities.sigmoid() - near.opacities.sigmoid()).abs().quantile(0.98)) < 1 / 255
    assert float((some.shN - near.shN.clamp(-4, 4)).abs().quantile(0.98)) < 8 / 256


@pytest.mark.data
def test_guitar(needs: Callable[[str], Path]) -> None:
    assert len(load_splats(needs("splat_files/guitar.compressed.ply")).splats) == 90_854


BOUNDS = [f"{end}_{kind}{axis}" for kind in ("", "scale_") for end in ("min", "max") for axis in "xyz"]


def compressed(chunks: int, count: int, sh: int | None = None, sh_rows: int | None = None, low: float = 0.0) -> bytes:
    """A compressed PLY without colour bounds, of words that are all zero."""
    lines = ["ply", "format binary_little_endian 1.0", f"element chunk {chunks}"]
    lines += [f"property float {name}" for name in BOUNDS] + [f"element vertex {count}"]
    lines += [f"property uint packed_{name}" for name in ("position", "rotation", "scale", "color")]
    body = struct.pack("<12f", *[low] * 12) * chunks + struct.pack("<4I", 0, 0x3 << 30, 0, 0) * count
    if sh is not None:
        lines += [f"element sh {sh_rows or count}", *(f"property uchar f_rest_{i}" for i in range(sh))]
        body += b"\x80" * sh * count
    return "\n".join([*lines, "end_header", ""]).encode() + body


def test_compressed_ply_of_older_writers(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_bytes(compressed(2, 300, sh=9))
    splats = load_splats(tmp_path / "a.ply").splats
    assert (len(splats), splats.sh_degree) == (300, 1)
    assert largest(splats.sh0 * 0.2820948, torch.full((300, 1, 3), -0.5)) < 1e-6
    assert largest(splats.shN, torch.full((300, 3, 3), 4 / 256)) < 1e-6


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (compressed(1, 300), "has 1 chunks for 300 splats, but these need 2"),
        (compressed(2, 300).replace(b"chunk 2", b"chunk 1000000000"), "says that it holds 1000000000 of 'chunk'"),
        (compressed(2, 300)[:-1], "says that it holds 300 of 'vertex'"),
        (compressed(2, 300, sh=9)[:-1], "says that it holds 300 of 'sh'"),
        (compressed(2, 300, sh=9, sh_rows=10), "has 10 rows of 9 SH coefficients for 300 splats"),
        (compressed(2, 300, sh=5), "300 rows of 5 SH coefficients"),
        (compressed(2, 300, low=float("nan")), "300 of 300 splats hold NaN"),
        (compressed(2, 300).replace(b"max_scale_z", b"max_scale_q"), "it has no max_scale_z"),
        (compressed(2, 300).replace(b"element chunk", b"element block"), "has no element named 'chunk'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_compressed_ply(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.ply").write_bytes(data)
    with pytest.raises(FileFormatError, match=message):
        load_splats(tmp_path / "a.ply")


def webp(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, exact=True)
    return buffer.getvalue()


def sog_files(count: int = 20, **changes: Any) -> dict[str, bytes]:
    """The files of a SOG of random pixels, with an SH palette of degree 2."""
    random = np.random.default_rng(0)
    code = np.linspace(-2, 1, 256).tolist()
    meta = {
        "version": 2,
        "count": count,
        "means": {"mins": [-1, -2, 0], "maxs": [1, 2, 3], "files": ["means_l.webp", "means_u.webp"]},
        "scales": {"codebook": code, "files": ["scales.webp"]},
        "quats": {"files": ["quats.webp"]},
        "sh0": {"codebook": code, "files": ["sh0.webp"]},
        "shN": {"count": 128, "bands": 2, "codebook": code, "files": ["shN_centroids.webp", "shN_labels.webp"]},
        **changes,
    }
    images = {name: random.integers(0, 256, (4, 6, 4), np.uint8) for name in ("means_l", "means_u", "scales", "sh0")}
    images["quats"] = random.integers(0, 256, (4, 6, 4), np.uint8)
    images["quats"][..., 3] |= 252
    images["shN_centroids"] = random.integers(0, 256, (2, 64 * 8, 3), np.uint8)
    images["shN_labels"] = random.integers(0, 128, (4, 6, 3), np.uint8)
    images["shN_labels"][..., 1] = 0
    return {"meta.json": json.dumps(meta).encode(), **{f"{name}.webp": webp(image) for name, image in images.items()}}


def palette(bands: int, *files: str) -> dict[str, Any]:
    return {"bands": bands, "codebook": [0] * 256, "files": files}


def sog_archive(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_sog_archive_folder_and_meta(tmp_path: Path) -> None:
    files = sog_files()
    archive = load_splats(sog_archive(tmp_path / "a.sog", files))
    (tmp_path / "folder").mkdir()
    for name, data in files.items():
        (tmp_path / "folder" / name).write_bytes(data)
    for path in (tmp_path / "folder", tmp_path / "folder" / "meta.json"):
        assert largest(load_splats(path).splats.shN, archive.splats.shN) == 0
    splats = archive.splats
    assert (archive.format, len(splats), splats.sh_degree) == ("sog", 20, 2)
    # One splat by the specification, number by number.
    i, code = 9, np.linspace(-2, 1, 256)

    def pixel(name: str, at: int = i) -> np.ndarray:
        image = np.asarray(Image.open(io.BytesIO(files[f"{name}.webp"])).convert("RGBA"))
        return image.reshape(-1, 4)[at].astype(int)

    steps = pixel("means_l")[:3] + 256 * pixel("means_u")[:3]
    logs = np.array([-1, -2, 0]) + steps / 65535 * np.array([2, 4, 3])
    assert splats.means[i].numpy() == pytest.approx(np.sign(logs) * (np.exp(np.abs(logs)) - 1), abs=1e-5)
    assert splats.scales[i].numpy() == pytest.approx(code[pixel("scales")[:3]], abs=1e-6)
    assert splats.sh0[i, 0].numpy() == pytest.approx(code[pixel("sh0")[:3]], abs=1e-6)
    assert float(splats.opacities[i].sigmoid()) == pytest.approx(pixel("sh0")[3] / 255, abs=1e-6)
    largest_at = pixel("quats")[3] - 252
    small = (pixel("quats")[:3] / 255 * 2 - 1) / np.sqrt(2)
    assert np.delete(splats.quats[i].numpy(), largest_at) == pytest.approx(small, abs=1e-6)
    label = pixel("shN_labels")[0]
    palette = np.asarray(Image.open(io.BytesIO(files["shN_centroids.webp"])))
    row, column = divmod(label, 64)
    expected = code[palette[row, column * 8 : column * 8 + 8]]
    assert splats.shN[i].numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 25}, "holds 25 splats, but means_l.webp has only 24 pixels"),
        ({"count": -1}, "count below zero"),
        ({"version": 3}, "is SOG version 3; version 2 is read"),
        ({"version": None}, "is SOG version 1"),
        ({"sh0": {"codebook": [0.0], "files": ["sh0.webp"]}}, "has 1 values instead of 256"),
        ({"quats": {"files": ["nothing.webp"]}}, "has no file 'nothing.webp'"),
        ({"quats": {"files": ["scales.webp"]}}, "no valid mark"),
        ({"quats": {"files": ["meta.json"]}}, "is not a WebP image"),
        ({"quats": {}}, "is not that of a SOG file"),
        ({"shN": palette(4, "a", "b")}, "SH bands other than 1 to 3"),
        (
            {"shN": {"bands": 3, "codebook": [0] * 256, "files": ["shN_centroids.webp", "shN_labels.webp"]}},
            "pixels wide",
        ),
        ({"shN": {"bands": 2, "codebook": [0] * 256, "files": ["shN_centroids.webp", "quats.webp"]}}, "does not have"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_sog(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        load_splats(sog_archive(tmp_path / "a.sog", sog_files(**changes)))


def test_sog_folder_stays_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "secret.webp").write_bytes(webp(np.zeros((4, 6, 4), np.uint8)))
    for name, data in sog_files(quats={"files": ["../secret.webp"]}).items():
        (tmp_path / "folder" / name).write_bytes(data)
    with pytest.raises(FileFormatError, match="must be inside"):
        load_splats(tmp_path / "folder")


def test_sog_that_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.sog").write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(FileFormatError, match=r"is a damaged \.sog archive"):
        load_splats(tmp_path / "a.sog")


def test_zip_bomb_takes_no_memory(tmp_path: Path, little_memory: Callable[..., Any]) -> None:
    bomb = {**sog_files(), "quats.webp": b"\0" * 200_000_000}
    path = sog_archive(tmp_path / "a.sog", bomb, zipfile.ZIP_DEFLATED)
    del bomb
    with little_memory(), pytest.raises(FileFormatError, match="no file of splats compresses that well"):
        load_splats(path)


def test_image_bomb_takes_no_memory(tmp_path: Path, little_memory: Callable[..., Any]) -> None:
    bomb = {**sog_files(), "means_l.webp": webp(np.zeros((4000, 4000, 3), np.uint8))}
    with little_memory(), pytest.raises(FileFormatError, match="no file of splats compresses that well"):
        load_splats(sog_archive(tmp_path / "a.sog", bomb))
