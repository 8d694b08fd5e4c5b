"""Archives of captures (.zip, .r3d) -> a folder.

Nothing in an archive is believed. Before a byte is written, its list of files is checked: its own size, the number of
files, where they want to go, links, and how much they claim to grow. While files are written, the bytes that really
come out are counted against the same limit. An archive is unpacked into a folder of a temporary name, which gets its
own when all is there, so a folder of that name is complete and is taken up again next time.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from scene3d._errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["unpack"]

MOST_FILES = 100_000
LARGEST_LIST = 64 * 1024 * 1024
"""Bytes of the list of files at the archive's end."""
FREE_BYTES = 64 * 1024 * 1024
LARGEST_GROWTH = 30
"""Unpacked bytes may be this many times the archive's, and `FREE_BYTES`; photos and depth hardly grow at all."""
MOST_NESTED = 16
"""A single folder in a single folder in a ... is followed this far."""
CHUNK = 1024 * 1024
IGNORED = ("__MACOSX", ".DS_Store", "Thumbs.db")
END_RECORD = struct.Struct("<4s4H2LH")
END64_LOCATOR = struct.Struct("<4sLQL")
END64_RECORD = struct.Struct("<4sQ2H2L4Q")


def unpack(archive: Path, into: Path) -> Path:
    """Unpack an archive of a capture.

    Args:
        archive: A zip file, whatever its ending.
        into: Folder that keeps unpacked archives; made when absent. The same archive is unpacked only once.

    Returns:
        The folder that holds the capture: below a single top folder, if the archive has one.

    Raises:
        CaptureError: The archive is damaged, encrypted, would grow beyond all reason, or writes outside its folder.
    """
    target = into / f"{archive.stem}-{_fingerprint(archive)}"
    if not target.is_dir():
        try:
            into.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="unpacking-", dir=into) as scratch:
                _extract(archive, Path(scratch) / "files")
                os.replace(Path(scratch) / "files", target)
        except OSError as error:
            raise CaptureError(f"{archive} cannot be unpacked into {into} ({error.strerror or error}).") from error
    return _top(target)


def _fingerprint(archive: Path) -> str:
    """Differs between archives, and between versions of one."""
    try:
        status = archive.stat()
    except OSError as error:
        raise CaptureError(f"{archive} cannot be read ({error.strerror}).") from error
    identity = f"{archive.resolve()} {status.st_size} {status.st_mtime_ns}"
    return hashlib.sha256(identity.encode()).hexdigest()[:12]


def _top(folder: Path) -> Path:
    """The first folder that holds more than one other folder."""
    for _ in range(MOST_NESTED):
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        if len(entries) != 1 or not entries[0].is_dir():
            break
        folder = entries[0]
    return folder


def _extract(archive: Path, target: Path) -> None:
    size = archive.stat().st_size
    limit = FREE_BYTES + LARGEST_GROWTH * size
    _check_list_size(archive, size)
    try:
        with zipfile.ZipFile(archive) as file:
            entries = _checked(archive, file.infolist(), size, limit)
            target.mkdir()
            written = 0
            for info, name in entries:
                path = target / name
                path.parent.mkdir(parents=True, exist_ok=True)
                written += _copy(file, info, path, limit - written, archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, UnicodeError) as error:
        raise CaptureError(
            f"{archive} is no zip archive or a damaged one ({error}). Copy or export it again."
        ) from error


def _check_list_size(archive: Path, size: int) -> None:
    """Refuse a list of files that would fill the memory, by what the end of the archive says about it.

    Raises:
        CaptureError: The list is too long, or there is no end of an archive.
    """
    with archive.open("rb") as file:
        file.seek(max(0, size - END_RECORD.size - 65535))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + END_RECORD.size > len(tail):
        raise CaptureError(f"{archive} is no zip archive, or its end is missing. Copy or export it again.")
    list_bytes = END_RECORD.unpack_from(tail, at)[5]
    if list_bytes == 0xFFFFFFFF and at >= END64_LOCATOR.size:  # Zip64 says it elsewhere.
        record_at = END64_LOCATOR.unpack_from(tail, at - END64_LOCATOR.size)[2]
        with archive.open("rb") as file:
            file.seek(min(record_at, size))
            record = file.read(END64_RECORD.size)
        if len(record) == END64_RECORD.size:
            list_bytes = END64_RECORD.unpack(record)[8]
    if list_bytes > LARGEST_LIST:
        raise CaptureError(
            f"{archive} has a list of files of {list_bytes} bytes, which no capture needs. It was not unpacked."
        )


def _checked(
    archive: Path, infos: Sequence[zipfile.ZipInfo], size: int, limit: int
) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The files to write and where, after every claim of the list was checked."""
    if len(infos) > MOST_FILES:
        raise CaptureError(f"{archive} holds {len(infos)} files; captures of up to {MOST_FILES} files are unpacked.")
    claimed, packed = sum(info.file_size for info in infos), sum(info.compress_size for info in infos)
    if claimed > limit or packed > size:
        # Files that overlap in the archive are packed larger than all of it.
        raise CaptureError(
            f"{archive} of {_mib(size)} claims to unpack to {_mib(max(claimed, packed))}, which no capture does: "
            "it looks like a zip bomb and was not unpacked."
        )
    entries, seen = [], set[str]()
    for info in infos:
        if info.is_dir():
            continue
        name = _safe_name(archive, info)
        if any(part in IGNORED or part.startswith("._") for part in name.parts):
            continue
        if str(name).casefold() in seen:
            raise CaptureError(f"{archive} lists {name} more than once. Pack it again.")
        seen.add(str(name).casefold())
        entries.append((info, name))
    return entries


def _safe_name(archive: Path, info: zipfile.ZipInfo) -> PurePosixPath:
    """Where a file goes, below the folder of the archive."""
    name = PurePosixPath(info.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in info.filename or "\0" in info.filename or not name.parts:
        raise CaptureError(
            f"{archive} wants to write to {info.filename!r}, outside its own folder. It was not unpacked."
        )
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise CaptureError(f"{archive} holds {info.filename!r}, a link or device. Pack the files themselves.")
    if info.flag_bits & 0x1:
        raise CaptureError(f"{archive} is encrypted. Unpack it yourself and give the folder.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise CaptureError(f"{archive} is packed with an unusual method. Pack it as a plain zip, or give the folder.")
    return name


def _copy(file: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, limit: int, archive: Path) -> int:
    """Write one file; the number of its bytes, which are counted, not believed."""
    written = 0
    with file.open(info) as source, path.open("xb") as target:
        while chunk := source.read(CHUNK):
            written += len(chunk)
            if written > limit:
                raise CaptureError(f"{archive} unpacks to more than it claims: it looks like a zip bomb.")
            target.write(chunk)
    return written


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
