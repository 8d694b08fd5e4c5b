"""SPZ: real files of all versions, round trips within the bit widths, and files that lie."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scene3d._errors import FileFormatError, OutputError
from scene3d._sh_rotation import sh_rotation
from scene3d.files import load_ply, load_splats, save_splats
from scene3d.files._spz import load_spz, save_spz
from scene3d.files._spz_codec import FLIP_SH

from .conftest import degrees, largest, seeded

HALF_COLOR = 0.5 / (255 * 0.15)
ROTATION_DEGREES = 0.28
"""Three components are off by half of 1 / (511 sqrt 2) each, the fourth by up to sqrt 3 times as much as they."""


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(count=st.integers(0, 300), degree=st.integers(0, 3), seed=st.integers(0, 99), extent=st.sampled_from([0.1, 9.0]))
def test_round_trip_stays_within_the_bit_widths(
    tmp_path: Path, count: int, degree: int, seed: int, extent: float
) -> None:
    before = seeded(count, degree, seed, extent)
    notes = save_splats(before, tmp_path / "a.spz")
    after = load_splats(tmp_path / "a.spz")
    assert (after.format, after.up) == ("spz", (0.0, -1.0, 0.0))
    assert len(notes) == 1  # Rounded, and nothing cut.
    bits = (tmp_path / "a.spz").read_bytes()[13]
    assert 12 <= bits <= 16
    assert largest(before.means, after.splats.means) <= 0.5 / 2**bits * 1.001
    assert largest(before.scales, after.splats.scales) <= 1 / 32 + 1e-6
    assert largest(before.opacities.sigmoid(), after.splats.opacities.sigmoid()) <= 0.5 / 255 + 1e-6
    assert largest(before.sh0, after.splats.sh0) <= HALF_COLOR + 1e-6
    assert largest(before.shN[:, :3], after.splats.shN[:, :3]) <= 4 / 128 + 1e-6
    assert largest(before.shN[:, 3:], after.splats.shN[:, 3:]) <= 8 / 128 + 1e-6
    assert degrees(before, after.splats) <= ROTATION_DEGREES


def test_writing_what_was_read_changes_nothing(tmp_path: Path) -> None:
    save_splats(seeded(500), tmp_path / "a.spz")
    first = load_splats(tmp_path / "a.spz").splats
    save_splats(first, tmp_path / "b.spz")
    second = load_splats(tmp_path / "b.spz").splats
    assert largest(first.scales, second.scales) == 0
    assert largest(first.opacities, second.opacities) == 0
    assert largest(first.sh0, second.sh0) == 0
    assert largest(first.shN, second.shN) == 0
    assert largest(first.means, second.means) == 0


def test_axes_of_higher_colour_turn_with_positions() -> None:
    half_turn = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    assert largest(sh_rotation(3, half_turn), torch.diag(torch.from_numpy(FLIP_SH)).double()) < 1e-12


def test_values_beyond_the_ranges_are_counted(tmp_path: Path) -> None:
    splats = seeded(10)
    scales = splats.scales.clone()
    scales[:4] = -12
    notes = save_splats(replace(splats, scales=scales), tmp_path / "a.spz")
    assert notes[1].startswith("4 of 10 splats were beyond a range of SPZ")
    assert load_splats(tmp_path / "a.spz").splats.scales.min() == -10


def test_far_positions_cost_precision_and_then_are_refused(tmp_path: Path) -> None:
    splats = seeded(10)
    means = splats.means.clone()
    means[0, 0] = 100_000.0
    notes = save_splats(replace(splats, means=means), tmp_path / "a.spz")
    assert "positions to 0.0078 units" in notes[0]
    assert largest(means, load_splats(tmp_path / "a.spz").splats.means) <= 0.5 / 2**6
    means[0, 0] = 1e7
    with pytest.raises(OutputError, match=r"lie up to 1e\+07 units from the origin, and SPZ reaches 8\.39e\+06"):
        save_splats(replace(splats, means=means), tmp_path / "b.spz")
    assert not (tmp_path / "b.spz").exists()


@pytest.mark.data
def test_biker_as_spz_and_as_compressed_ply_agree(needs: Callable[[str], Path]) -> None:
    """Both were made from the same 152,746 splats; each has rounded them in its own way."""
    spz, ply = load_splats(needs("splat_files/biker.spz")), load_splats(needs("splat_files/biker.compressed.ply"))
    assert (len(spz.splats), spz.splats.sh_degree, ply.format) == (152_746, 0, "compressed ply")
    assert spz.up == ply.up
    assert largest(spz.splats.means, ply.splats.means) < 0.000123  # Half of 1/4096 from SPZ, and a little.
    assert largest(spz.splats.opacities, ply.splats.opacities) == 0
    assert largest(spz.splats.sh0, ply.splats.sh0) < HALF_COLOR + 1e-4
    assert degrees(spz.splats, ply.splats) < 0.3
    # SPZ keeps no deviation under exp(-10).
    assert largest(spz.splats.scales, ply.splats.scales.clamp(min=-10)) < 1 / 32 + 1e-2


@pytest.mark.data
@pytest.mark.parametrize(("version", "z"), [("raw", 1.0), ("v2", 1.0), ("v3", -1.0), ("v4", -1.0)])
def test_small_files_of_all_versions(needs: Callable[[str], Path], version: str, z: float) -> None:
    splats = load_splats(needs(f"splat_files/fixtures_splat_transform/minimal-{version}.spz")).splats
    assert (len(splats), splats.sh_degree) == (4, 0)
    assert splats.means[:, 2].abs().tolist() == [1.0, 1.0, 0.0, 0.0]
    assert splats.means[0, 2] == z
    assert largest(splats.scales, torch.full((4, 3), -2.3)) < 1 / 32
    assert largest(splats.opacities.sigmoid(), torch.full((4,), 0.9)) < 0.51 / 255
    assert splats.quats[:, 0].min() > 0.9999


def old(version: int, count: int, degree: int = 0, bits: int = 12, flags: int = 0, body: bytes | None = None) -> bytes:
    """Contents of SPZ version 1 to 3: header and zeros."""
    width = {1: 19, 2: 19, 3: 20}[version] - 3 * (version == 1) + 3 * ((degree + 1) ** 2 - 1)
    header = struct.pack("<4sIIBBBB", b"NGSP", version, count, degree, bits, flags, 0)
    return header + (b"\0" * (count * width) if body is None else body)


def test_version_1_with_half_floats(tmp_path: Path) -> None:
    halves = torch.tensor([[0.5, -2.0, 4.0]]).half().numpy().tobytes()
    body = halves + b"\xff" + b"\x80" * 3 + b"\xa0" * 3 + b"\x80" * 3
    (tmp_path / "a.spz").write_bytes(gzip.compress(old(1, 1, body=body)))
    splats = load_splats(tmp_path / "a.spz").splats
    assert splats.means.tolist() == [[0.5, 2.0, -4.0]]
    assert splats.scales.tolist() == [[0.0, 0.0, 0.0]]


def test_degree_4_is_cut_to_3_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "a.spz").write_bytes(gzip.compress(old(3, 2, degree=4, flags=1)))
    found = load_splats(tmp_path / "a.spz")
    assert found.splats.sh_degree == 3
    assert found.notes[0] == "SH degree 4 was cut to 3."
    assert "antialiased" in found.notes[1]


def v4(count: int, streams: list[bytes], sizes: list[tuple[int, int]] | None = None, **changes: Any) -> bytes:
    """A version 4 file of given streams; `sizes` and header fields may lie."""
    fields = {"version": 4, "degree": 0, "bits": 12, "flags": 0, "streams": len(streams), "table": 32, **changes}
    stored = [zstandard.ZstdCompressor().compress(stream) for stream in streams]
    sizes = sizes or [(len(a), len(b)) for a, b in zip(stored, streams, strict=True)]
    head = struct.pack(
        "<4sIIBBBBI12x",
        *(b"NGSP", fields["version"], count, fields["degree"], fields["bits"], fields["flags"]),
        *(fields["streams"], fields["table"]),
    )
    extra = fields.get("extra", b"")
    return head + extra + b"".join(struct.pack("<QQ", *size) for size in sizes) + b"".join(stored)


def zeros(count: int) -> list[bytes]:
    return [b"\x80" * (count * width) for width in (9, 1, 3, 3, 4)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04", "is not an SPZ file"),
        (b"NGSP", "is cut short"),
        (v4(3, zeros(3))[:40], "is cut short"),
        (v4(3, zeros(3))[:-5], "is cut short"),
        (v4(3, zeros(3), version=5), "is SPZ version 5; versions 1 to 4 are read"),
        (v4(3, zeros(3), version=2**32 - 1), "versions 1 to 4 are read"),
        (v4(3, zeros(3), degree=5), "SH degree 5 .*degrees 0 to 4"),
        (v4(3, zeros(3), bits=99), "99 fraction bits"),
        (v4(3, zeros(3), degree=1), "lists 5 streams; SH degree 1 has 6"),
        (v4(3, zeros(3), table=8), "lists 5 streams"),
        (v4(3, zeros(3), table=2**32 - 1), "is cut short"),
        (v4(4, zeros(3)), "its positions take 27 bytes, but 4 splats need 36. Its header lies"),
        (v4(2**32 - 1, zeros(3)), "says that it unpacks to 81920 MiB, but it weighs only"),
        (v4(3, zeros(3), sizes=[(2**60, 27)] * 5), "is cut short"),
        (v4(3, zeros(3), sizes=[(18, 2**60)] * 5), "Its header lies"),
        (v4(3, [b"", *zeros(3)[1:]], sizes=[(9, 27)] + [(13, 3)] * 4), "positions does not unpack to the 27 bytes"),
        (v4(3, zeros(3)).replace(b"\x28\xb5\x2f\xfd", b"\x00\x00\x00\x00"), "does not unpack"),
        (gzip.compress(b"hello, this is not SPZ at all"), "is a gzip file, but not of SPZ"),
        (gzip.compress(old(2, 3))[:14], "is cut short"),
        (gzip.compress(old(2, 3, body=bytes(range(57))))[:-20], "but only .* bytes follow. It is cut short"),
        (gzip.compress(old(2, 3)[:-1]), r"holds 3 splats \(57 bytes\), but only 56 bytes follow"),
        (gzip.compress(old(2, 3) + b"x"), "but more than 57 bytes follow"),
        (gzip.compress(old(3, 2**32 - 1, body=b"")), "says that it unpacks to"),
        (b"\x1f\x8b" + b"\xff" * 40, "is a damaged gzip file"),
        (old(2, 7)[:-3], "cut short or its header lies"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_that_lie(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.spz"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=message):
        load_splats(path)


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    whole = v4(5, zeros(5))
    for end in range(len(whole)):
        (tmp_path / "a.spz").write_bytes(whole[:end])
        with pytest.raises(FileFormatError):
            load_splats(tmp_path / "a.spz")


def test_gzip_bomb_takes_no_memory(tmp_path: Path, little_memory: Callable[..., Any]) -> None:
    path = tmp_path / "a.spz"
    path.write_bytes(gzip.compress(old(3, 3) + b"\0" * 200_000_000, compresslevel=1))
    with little_memory(), pytest.raises(FileFormatError, match="but more than 60 bytes follow"):
        load_splats(path)
    path.write_bytes(gzip.compress(old(3, 20_000_000, body=b"\0" * 1000)))
    with little_memory(), pytest.raises(FileFormatError, match="no file of splats compresses that well"):
        load_splats(path)


@pytest.mark.parametrize("says_size", [True, False])
def test_zstd_bomb_takes_no_memory(tmp_path: Path, says_size: bool, little_memory: Callable[..., Any]) -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=says_size).compress(b"\0" * 200_000_000)
    data = v4(3, zeros(3), sizes=[(len(bomb), 27)] + [(13, 3)] * 4)
    (tmp_path / "a.spz").write_bytes(data[: 32 + 5 * 16] + bomb + data[32 + 5 * 16 :])
    with little_memory(), pytest.raises(FileFormatError, match="positions does not unpack to the 27 bytes"):
        load_splats(tmp_path / "a.spz")


def test_extension_records(tmp_path: Path) -> None:
    orbit = struct.pack("<II12x", 0xADBE0002, 12)
    (tmp_path / "a.spz").write_bytes(v4(2, zeros(2), flags=2, table=32 + len(orbit), extra=orbit))
    assert load_splats(tmp_path / "a.spz").notes == ("Extension records of the file were left out.",)
    for axes, accepted in ((4, True), (6, False)):
        extra = orbit + struct.pack("<III", 0xADBE0003, 4, axes)
        (tmp_path / "a.spz").write_bytes(v4(2, zeros(2), flags=2, table=32 + len(extra), extra=extra))
        if accepted:
            assert len(load_splats(tmp_path / "a.spz").splats) == 2
        else:
            with pytest.raises(FileFormatError, match="stores another coordinate system"):
                load_splats(tmp_path / "a.spz")


@pytest.mark.data
def test_real_object_with_sh(needs: Callable[[str], Path], tmp_path: Path) -> None:
    plush = load_ply(needs("plush_splat/point_cloud_29999_clean.ply"))
    save_splats(plush, tmp_path / "a.spz")
    after = load_splats(tmp_path / "a.spz").splats
    assert largest(plush.means, after.means) <= 0.5 / 2**13
    assert largest(plush.shN.clamp(-1, 1), after.shN) <= 8 / 128 + 1e-6
    assert (tmp_path / "a.spz").stat().st_size * 8 < needs("plush_splat/point_cloud_29999_clean.ply").stat().st_size


def test_fine_sh_uses_all_bits(tmp_path: Path) -> None:
    before = seeded(500)
    errors = []
    for fine_sh in (False, True):
        notes = save_spz(before, tmp_path / "a.spz", fine_sh=fine_sh)
        after, _ = load_spz(tmp_path / "a.spz")
        errors.append(largest(after.shN, before.shN))
        assert ("SH to 8 bits" in notes[0]) == fine_sh
        assert largest(after.means, before.means) < 1e-3
    assert errors[1] <= 0.5 / 128 + 1e-6 < errors[0]
    save_spz(after, tmp_path / "b.spz", fine_sh=True)
    assert torch.equal(load_spz(tmp_path / "b.spz")[0].shN, after.shN)
