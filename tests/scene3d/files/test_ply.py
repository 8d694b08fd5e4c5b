"""3DGS PLY: exact round trips, dialects, and files that lie."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scene3d._errors import FileFormatError, OutputError
from scene3d._gaussians import Gaussians
from scene3d.files import load_ply, save_ply

STANDARD = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"]
STANDARD += ["scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]


def splats(count: int, degree: int = 3, seed: int = 0) -> Gaussians:
    g = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(count, *shape, generator=g)

    return Gaussians.create(draw(3), draw(4), draw(3), draw(), draw(1, 3), draw((degree + 1) ** 2 - 1, 3))


def equal(a: Gaussians, b: Gaussians) -> bool:
    return all(torch.equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(Gaussians))


def write(path: Path, header: list[str], body: bytes = b"") -> Path:
    path.write_bytes("\n".join(["ply", *header, "end_header", ""]).encode() + body)
    return path


def header(count: int | str, names: list[str], kind: str = "float", form: str = "binary_little_endian") -> list[str]:
    return [f"format {form} 1.0", f"element vertex {count}", *(f"property {kind} {name}" for name in names)]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(count=st.integers(0, 300), degree=st.integers(0, 3), seed=st.integers(0, 99), bodies=st.integers(1, 3))
def test_round_trip_is_exact(tmp_path: Path, count: int, degree: int, seed: int, bodies: int) -> None:
    index = torch.arange(count, dtype=torch.int32) % bodies
    before = replace(splats(count, degree, seed), component_index=index)
    save_ply(before, tmp_path / "a.ply")
    assert equal(before, load_ply(tmp_path / "a.ply"))


def test_more_rows_than_a_chunk(tmp_path: Path) -> None:
    before = splats(20_000, 1)
    save_ply(before, tmp_path / "a.ply")
    assert equal(before, load_ply(tmp_path / "a.ply"))


def test_layout_is_the_one_of_the_field(tmp_path: Path) -> None:
    before = splats(2, 1)
    save_ply(before, tmp_path / "new" / "a.ply", comments=["up axis 0 0 1", "two\nlines"])
    head, body = (tmp_path / "new" / "a.ply").read_bytes().split(b"end_header\n")
    assert b"comment up axis 0 0 1\ncomment two lines\n" in head
    assert b"component_index" not in head
    row = np.frombuffer(body, "<f4").reshape(2, -1)[1]
    # f_rest is channel-major: all red coefficients first.
    assert np.array_equal(row[6:9], before.shN[1, :, 0].numpy())
    assert np.array_equal(row[-4:], before.quats[1].numpy())


def test_other_orders_types_and_extra_properties(tmp_path: Path) -> None:
    names = [*reversed(STANDARD), "nx", "extra"]
    values = np.random.default_rng(0).normal(size=(5, len(names)))
    expected = values[:, [names.index(name) for name in ("x", "y", "z")]].astype(np.float32)
    for kind, code in (("double", "<f8"), ("float32", "<f4")):
        path = write(tmp_path / f"{kind}.ply", header(5, names, kind), values.astype(code).tobytes())
        assert np.array_equal(load_ply(path).means.numpy(), expected)
    big = write(tmp_path / "big.ply", header(5, names, "double", "binary_big_endian"), values.astype(">f8").tobytes())
    assert np.array_equal(load_ply(big).means.numpy(), expected)
    text = "\n".join(" ".join(map(repr, row)) for row in values.tolist()).encode()
    ascii_file = write(tmp_path / "ascii.ply", header(5, names, "double", "ascii"), text)
    assert np.array_equal(load_ply(ascii_file).means.numpy(), expected)


def test_mixed_types(tmp_path: Path) -> None:
    row = np.dtype([(name, "<f8" if name == "x" else "<f4") for name in STANDARD])
    data = np.ones(3, row)
    lines = header(3, STANDARD)
    lines[2] = "property double x"
    assert load_ply(write(tmp_path / "a.ply", lines, data.tobytes())).means.tolist() == [[1.0] * 3] * 3


@pytest.mark.parametrize("count", [3, 10_000_000_000, 10**18])
def test_lying_headers_allocate_nothing(tmp_path: Path, count: int) -> None:
    body = np.ones((2, len(STANDARD)), "<f4").tobytes()
    path = write(tmp_path / "a.ply", header(count, STANDARD), body)
    with pytest.raises(FileFormatError, match=rf"says that it holds {count} of 'vertex'.*lies; export it again"):
        load_ply(path)
    with pytest.raises(FileFormatError, match="lies"):
        load_ply(write(tmp_path / "b.ply", header(count, STANDARD, form="ascii"), b"1 2 3\n"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["format binary_little_endian 1.0"], "has no vertices"),
        (["element vertex 1", "property float x"], "no PLY format"),
        (header("-1", STANDARD), "not understood"),
        (header("9" * 5000, STANDARD), "not understood"),
        (header(0, [*STANDARD, "x"]), "twice"),
        (header(0, ["x", "y", "z"]), "holds no splats"),
        (header(0, [*STANDARD, "f_rest_0"]), "1 f_rest properties"),
        ([*header(0, STANDARD), "property list uchar int indices"], "lists in its vertices"),
        (header(0, ["packed_position"], "uint"), "has no element named 'chunk'"),
        (header(0, ["x"], "quaternion"), "not understood"),
    ],
)
def test_bad_headers(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        load_ply(write(tmp_path / "a.ply", lines))


def test_not_a_ply_and_endless_header(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(FileFormatError, match="not a PLY file"):
        load_ply(path)
    path.write_bytes(b"ply\n" + b"comment x\n" * 100_000)
    with pytest.raises(FileFormatError, match="no end_header within its first 64 KiB"):
        load_ply(path)
    with pytest.raises(FileFormatError, match="No such file"):
        load_ply(tmp_path / "absent.ply")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_splats_that_are_not_finite(tmp_path: Path, value: float) -> None:
    data = np.ones((4, len(STANDARD)), "<f4")
    data[1, 6] = value
    data[3, -4:] = 0  # No rotation.
    path = write(tmp_path / "a.ply", header(4, STANDARD), data.tobytes())
    with pytest.raises(FileFormatError, match=r"2 of 4 splats hold NaN.*drop_non_finite=True"):
        load_ply(path)
    assert len(load_ply(path, drop_non_finite=True)) == 2
    broken = replace(splats(3), opacities=torch.full((3,), value))
    with pytest.raises(OutputError, match="was not written"):
        save_ply(broken, tmp_path / "b.ply")
    assert not (tmp_path / "b.ply").exists()


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = splats(1000)
    save_ply(before, tmp_path / "a.ply")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"disk is full: .*a\.ply needs 0\.2 MB.*Free some space"):
        save_ply(splats(1000, seed=1), tmp_path / "a.ply")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["a.ply"]
    assert equal(before, load_ply(tmp_path / "a.ply"))


def test_unwritable_target(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        save_ply(splats(1), tmp_path / "file" / "a.ply")


@pytest.mark.data
def test_real_files(needs: Callable[[str], Path], tmp_path: Path) -> None:
    plush = load_ply(needs("plush_splat/point_cloud_29999_clean.ply"))
    assert (len(plush), plush.sh_degree) == (15105, 3)
    save_ply(plush, tmp_path / "a.ply")
    assert equal(plush, load_ply(tmp_path / "a.ply"))
    assert len(load_ply(needs("plush_splat/point_cloud_29999_clean.compressed.ply"))) == len(plush)
