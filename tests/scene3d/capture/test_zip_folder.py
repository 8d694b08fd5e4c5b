"""Archives of captures: good ones are unpacked once, bad ones are refused before they do harm."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scene3d._errors import CaptureError
from scene3d.capture._record3d import read_record3d
from scene3d.capture._zip_folder import unpack

GIB = 2**30


def pack(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_descends_single_folders_and_skips_what_systems_add(tmp_path: Path) -> None:
    files = {"my desk/v1/rgb/0.jpg": b"a", "my desk/v1/metadata.json": b"{}"}
    archive = pack(tmp_path / "a.zip", files | {"__MACOSX/my desk/._0.jpg": b"x", "my desk/.DS_Store": b"x"})
    folder = unpack(archive, tmp_path / "cache")
    assert sorted(path.name for path in folder.iterdir()) == ["metadata.json", "rgb"]
    assert (folder / "rgb" / "0.jpg").read_bytes() == b"a"
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_unpacked_once(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", {"a.jpg": b"1", "b.jpg": b"2"})
    first = unpack(archive, tmp_path / "cache")
    (first / "a.jpg").write_bytes(b"seen")
    assert unpack(archive, tmp_path / "cache") == first
    assert (first / "a.jpg").read_bytes() == b"seen"
    pack(archive, {"a.jpg": b"other", "b.jpg": b"2"})
    assert (unpack(archive, tmp_path / "cache") / "a.jpg").read_bytes() == b"other"


def test_r3d(tmp_path: Path) -> None:
    poses = [[0, 0.1, 0, 1, 0.1 * i, 1, 0] for i in range(4)]
    photo = io.BytesIO()
    Image.new("RGB", (48, 64)).save(photo, "JPEG")
    files = {"metadata": json.dumps({"w": 48, "h": 64, "K": [50, 0, 0, 0, 50, 0, 24, 32, 1], "poses": poses}).encode()}
    files |= {f"rgbd/{i}.jpg": photo.getvalue() for i in range(4)}
    folder = unpack(pack(tmp_path / "desk.r3d", files), tmp_path / "cache")
    assert len(read_record3d(folder).views) == 4


def refused(archive: Path, into: Path, message: str) -> None:
    with pytest.raises(CaptureError, match=message) as caught:
        unpack(archive, into)
    assert str(archive) in str(caught.value)
    assert not into.exists() or not list(into.iterdir())


def ten_gigabytes_of_zeros(path: Path) -> Path:
    """Three entries of 3.4 GiB; a deflate stream of zeros is one packed block, over and over."""
    block, times, count = bytes(2**24), 218, 3
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    # After a full flush, the same bytes decode the same wherever they stand.
    stream = (packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)) * times + packer.flush()
    sizes, files, listed = (len(stream), len(block) * times), b"", b""
    for i in range(count):
        name = b"%d.jpg" % i
        same = struct.pack("<5H3L2H", 20, 0, 8, 0, 0, 0, *sizes, len(name), 0)
        listed += b"PK\x01\x02\x14\x00" + same + struct.pack("<3H2L", 0, 0, 0, 0, len(files)) + name
        files += b"PK\x03\x04" + same + name + stream
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(listed), len(files), 0)
    path.write_bytes(files + listed + end)
    return path


def test_ten_gigabytes_of_zeros(tmp_path: Path) -> None:
    archive = ten_gigabytes_of_zeros(tmp_path / "bomb.zip")
    assert archive.stat().st_size < 12 * 2**20
    with zipfile.ZipFile(archive) as file:  # It is one: the first megabytes do come out.
        assert sum(info.file_size for info in file.infolist()) > 10 * GIB
        with file.open("2.jpg") as entry:
            assert entry.read(2**25 + 1) == bytes(2**25 + 1)
    refused(archive, tmp_path / "cache", r"of 10\.\d MiB claims to unpack to 10464\.0 MiB.*zip bomb")


def test_real_bomb(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for i in range(2):
            with file.open(f"{i}.jpg", "w") as entry:
                for _ in range(64):
                    entry.write(bytes(2**20))
    refused(archive, tmp_path / "cache", r"claims to unpack to 128\.0 MiB, which no capture does")


def test_entry_that_claims_to_be_small(tmp_path: Path) -> None:
    archive = pack(tmp_path / "lie.zip", {"0.jpg": bytes(128 * 2**20), "1.jpg": b"x"})
    data = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        struct.pack_into("<L", data, data.find(signature) + offset, 1000)
    archive.write_bytes(data)
    refused(archive, tmp_path / "cache", "damaged one .*Bad CRC-32")


def test_overlapping_entries(tmp_path: Path) -> None:
    # Each of a hundred entries of the list points at the same packed megabyte.
    noise = np.random.default_rng(0).bytes(2**20)
    data = pack(tmp_path / "a.zip", {"aa.jpg": noise}, zipfile.ZIP_STORED).read_bytes()
    at, end = data.rfind(b"PK\x01\x02"), data.rfind(b"PK\x05\x06")
    entries = b"".join(data[at:end].replace(b"aa.jpg", b"%02d.jpg" % i) for i in range(100))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 100, 100, len(entries), at, 0)
    (tmp_path / "a.zip").write_bytes(data[:at] + entries + tail)
    refused(tmp_path / "a.zip", tmp_path / "cache", r"claims to unpack to 100\.0 MiB.*zip bomb")


@pytest.mark.parametrize("name", ["../evil.jpg", "/etc/evil.jpg", "a/../../evil.jpg", "..\\evil.jpg", "C:\\evil.jpg"])
def test_paths_outside(tmp_path: Path, name: str) -> None:
    refused(pack(tmp_path / "a.zip", {"a.jpg": b"1", name: b"2"}), tmp_path / "cache", "outside its own folder")
    assert not list(tmp_path.rglob("evil*"))


def test_links(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("a.jpg")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    refused(tmp_path / "a.zip", tmp_path / "cache", "a link or device")


def test_twice_the_same_name_and_files_that_are_folders(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.jpg", "1")
        archive.writestr("a.jpg", "2")
    refused(tmp_path / "a.zip", tmp_path / "cache", r"lists a\.jpg more than once")
    refused(pack(tmp_path / "b.zip", {"a": b"1", "a/b.jpg": b"2"}), tmp_path / "cache", "cannot be unpacked")


def test_other_methods_and_encryption(tmp_path: Path) -> None:
    refused(pack(tmp_path / "a.zip", {"a": b"1"}, zipfile.ZIP_LZMA), tmp_path / "cache", "an unusual method")
    data = bytearray(pack(tmp_path / "b.zip", {"a": b"1"}).read_bytes())
    data[data.find(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "b.zip").write_bytes(data)
    refused(tmp_path / "b.zip", tmp_path / "cache", "is encrypted")


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scene3d.capture._zip_folder.MOST_FILES", 5)
    refused(pack(tmp_path / "a.zip", {str(i): b"" for i in range(6)}), tmp_path / "cache", "holds 6 files")


def test_list_larger_than_memory(tmp_path: Path) -> None:
    data = bytearray(pack(tmp_path / "a.zip", {"a": b"1"}).read_bytes())
    struct.pack_into("<L", data, data.rfind(b"PK\x05\x06") + 12, 3 * GIB)
    (tmp_path / "a.zip").write_bytes(data)
    refused(tmp_path / "a.zip", tmp_path / "cache", "a list of files of 3221225472 bytes")


@pytest.mark.parametrize("kept", [0, 10, 0.5, -1, -30])
def test_cut_off(tmp_path: Path, kept: float) -> None:
    data = pack(tmp_path / "a.zip", {f"{i}.jpg": os.urandom(500) for i in range(4)}).read_bytes()
    (tmp_path / "a.zip").write_bytes(data[: int(len(data) * kept) if kept == 0.5 else int(kept)])
    refused(tmp_path / "a.zip", tmp_path / "cache", r"is no zip archive")


def test_damaged_contents(tmp_path: Path) -> None:
    data = bytearray(pack(tmp_path / "a.zip", {"a.jpg": bytes(range(256)) * 50}).read_bytes())
    data[60:80] = bytes(20)
    (tmp_path / "a.zip").write_bytes(data)
    refused(tmp_path / "a.zip", tmp_path / "cache", "a damaged one")
    refused(tmp_path / "absent.zip", tmp_path / "cache", "cannot be read")
    (tmp_path / "text.zip").write_bytes(b"hello")
    refused(tmp_path / "text.zip", tmp_path / "cache", "is no zip archive")
