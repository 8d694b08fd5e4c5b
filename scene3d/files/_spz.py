"""SPZ <-> splats: the container around the attributes of `_spz_codec`.

Version 4 has a plain header of 32 bytes, extension records that are skipped, a table of stream sizes, and one
Zstandard stream per attribute; it is read and written. Versions 1 to 3 are one gzip stream of a 16-byte header and the
attributes; they are read. The number of splats fixes the size of every stream, and is itself bounded by the size of
the file, so nothing that a file says makes us take memory that a real file would not need.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import FileFormatError, OutputError
from scene3d.files._atomic import make_folder, write_atomic
from scene3d.files._packing import check_expansion, finite_or_refuse, read_bytes, require_finite
from scene3d.files._spz_codec import (
    LARGEST_FIXED,
    MOST_DEGREE,
    STREAMS,
    PackedSplats,
    fraction_bits,
    pack,
    stream_widths,
    unpack,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d._gaussians import Gaussians

__all__ = ["GZIP", "MAGIC", "load_spz", "save_spz"]

MAGIC, GZIP = b"NGSP", b"\x1f\x8b"
HEADER = struct.Struct("<4sIIBBBBI12x")
"""Magic, version, splats, SH degree, fraction bits, flags, streams, offset of the table."""
OLD_HEADER = struct.Struct("<4sIIBBBB")
"""The same without streams and table; the last byte is reserved."""
ENTRY = struct.Struct("<QQ")
"""Compressed and unpacked size of a stream."""
ANTIALIASED, EXTENSIONS = 1, 2
EXTENSION_RECORD = struct.Struct("<II")
COORDINATE_SYSTEM = 0xADBE0003
USUAL_AXES = (struct.pack("<I", 0), struct.pack("<I", 4))
"""Payloads of that record which mean SPZ's usual axes: unspecified, and right-up-back."""
MOST_FRACTION_BITS = 24
LEVEL = 1
"""Zstandard level: what is left after quantisation is noise, so that higher ones cost time and save a percent."""


def load_spz(path: Path | str) -> tuple[Gaussians, tuple[str, ...]]:
    """Read SPZ of version 1 to 4.

    Args:
        path: The file.

    Returns:
        Splats in the axes of a 3DGS PLY (y and z of the file change sign), and sentences about what was left out.

    Raises:
        FileFormatError: Not SPZ, cut short, of a version or with sizes that do not fit.
    """
    path = Path(path)
    data = read_bytes(path)
    if data[:2] == GZIP:
        packed, flags = _read_gzip(path, data)
    elif data[:4] != MAGIC:
        raise FileFormatError(f"{path} is not an SPZ file: it starts neither with 'NGSP' nor as gzip does.")
    elif len(data) >= 8 and struct.unpack_from("<I", data, 4)[0] < 4:
        packed, flags = _read_old(path, data, len(data))
    else:
        packed, flags = _read_streams(path, data)
    return finite_or_refuse(path, unpack(packed)), _notes(packed, flags)


def save_spz(splats: Gaussians, path: Path | str, *, fine_sh: bool = False) -> tuple[str, ...]:
    """Write SPZ version 4, whole or not at all.

    Args:
        splats: What to write, in the axes of a 3DGS PLY; SPZ's own (y up, z back) are made from them.
        path: Target; replaced when it exists.
        fine_sh: Use all 8 bits of each SH coefficient instead of the 4 or 5 that are usual: the shipped demo scene
            loses 0.06 dB instead of 1.3, and takes nearly twice the space.

    Returns:
        Sentences about what the format could not hold.

    Raises:
        OutputError: Splats hold NaN or lie too far out, or the file cannot be written.
    """
    path = Path(path)
    require_finite(splats, path)
    bits = fraction_bits(splats)
    if bits < 0:
        farthest = float(splats.means.abs().max())
        raise OutputError(
            f"{path} was not written: splats lie up to {farthest:.3g} units from the origin, and SPZ reaches "
            f"{LARGEST_FIXED:.3g}. Remove the far ones first, or write a PLY."
        )
    packed, clipped = pack(splats, fine_sh=fine_sh)
    streams = [_compress(packed.streams[name]) for name in STREAMS if packed.streams[name].shape[1]]
    sizes = [(len(part), packed.streams[name].size) for part, name in zip(streams, STREAMS, strict=False)]
    count = len(splats)
    head = HEADER.pack(MAGIC, 4, count, packed.degree, packed.fractional_bits, 0, len(streams), HEADER.size)
    make_folder(path.parent)
    write_atomic(path, [head, *(ENTRY.pack(*size) for size in sizes), *streams])
    sh_bits = "" if not packed.degree else ", SH to 8 bits" if fine_sh else ", SH to 5 bits (degree 1) and 4 bits"
    notes = [
        f"Values were rounded: positions to {0.5 / 2**bits:.2g} units, standard deviations to 3 %, opacities and "
        f"colours to 8 bits{sh_bits}."
    ]
    if clipped:
        notes.append(f"{clipped} of {count} splats were beyond a range of SPZ (size, colour or SH) and were cut to it.")
    return tuple(notes)


def _compress(stream: NDArray[np.uint8]) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=LEVEL).compress(np.ascontiguousarray(stream).data)


def _read_streams(path: Path, data: bytes) -> tuple[PackedSplats, int]:
    """Version 4."""
    if len(data) < HEADER.size:
        raise _cut_short(path)
    _, version, count, degree, bits, flags, stream_count, table = HEADER.unpack_from(data)
    if version != 4:
        raise FileFormatError(f"{path} is SPZ version {version}; versions 1 to 4 are read. Export it as version 4.")
    widths = _checked_widths(path, version, count, degree, bits, len(data))
    names = [name for name in STREAMS if widths[name]]
    # Writers may add an empty stream where there is no SH.
    if stream_count not in (len(names), len(STREAMS)) or table < HEADER.size:
        raise FileFormatError(
            f"{path} lists {stream_count} streams; SH degree {degree} has {len(names)}. It is damaged; export it again."
        )
    at = table + stream_count * ENTRY.size
    if at > len(data):
        raise _cut_short(path)
    _check_axes(path, data[HEADER.size : table] if flags & EXTENSIONS else b"")
    streams = {name: np.empty((count, 0), np.uint8) for name in STREAMS}
    for index, name in enumerate(names):
        stored, unpacked = ENTRY.unpack_from(data, table + index * ENTRY.size)
        if unpacked != count * widths[name]:
            raise FileFormatError(
                f"{path} says that its {name} take {unpacked} bytes, but {count} splats need {count * widths[name]}. "
                "Its header lies; export it again."
            )
        if stored > len(data) - at:
            raise _cut_short(path)
        streams[name] = _decompress(path, data[at : at + stored], name, unpacked).reshape(count, widths[name])
        at += stored
    return PackedSplats(version, degree, bits, bool(flags & ANTIALIASED), streams), flags


def _decompress(path: Path, stored: bytes, name: str, size: int) -> NDArray[np.uint8]:
    import zstandard

    if not size:
        return np.empty(0, np.uint8)
    unpacked = b""
    try:
        # A frame's own size is trusted by the library whatever the limit, so it is looked at first; -1 is unknown.
        if zstandard.frame_content_size(stored) in (size, -1):
            unpacked = zstandard.ZstdDecompressor().decompress(stored, max_output_size=size)
    except zstandard.ZstdError:
        pass
    if len(unpacked) != size:
        raise FileFormatError(
            f"{path}: the stream of {name} does not unpack to the {size} bytes that the header promises. "
            "It is damaged; export it again."
        )
    return np.frombuffer(unpacked, np.uint8)


def _check_axes(path: Path, extensions: bytes) -> None:
    """Refuse a file whose extension records say that it does not have SPZ's usual axes; others are skipped."""
    at = 0
    while at + EXTENSION_RECORD.size <= len(extensions):
        kind, size = EXTENSION_RECORD.unpack_from(extensions, at)
        at += EXTENSION_RECORD.size
        if kind == COORDINATE_SYSTEM and extensions[at : at + size] not in USUAL_AXES:
            raise FileFormatError(
                f"{path} stores another coordinate system than SPZ's usual one (x right, y up, z back), which is not "
                "read. Export it without the extension SPZ_ADOBE_coordinate_system."
            )
        at += size


def _read_gzip(path: Path, data: bytes) -> tuple[PackedSplats, int]:
    """Versions 1 to 3."""
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        head = stream.decompress(data, OLD_HEADER.size)
        if len(head) < OLD_HEADER.size and MAGIC.startswith(head[:4]):
            raise _cut_short(path)
        if head[:4] != MAGIC:
            raise FileFormatError(f"{path} is a gzip file, but not of SPZ: it does not start with 'NGSP'.")
        _, version, count, degree, bits, _, _ = OLD_HEADER.unpack(head)
        widths = _checked_widths(path, version, count, degree, bits, len(data))
        body = stream.decompress(stream.unconsumed_tail, count * sum(widths.values()) + 1)
    except zlib.error as error:
        raise FileFormatError(f"{path} is a damaged gzip file. Export it again.") from error
    return _read_old(path, head + body, len(data))


def _read_old(path: Path, data: bytes, stored: int) -> tuple[PackedSplats, int]:
    """The contents of versions 1 to 3 without compression."""
    if len(data) < OLD_HEADER.size:
        raise _cut_short(path)
    _, version, count, degree, bits, flags, _ = OLD_HEADER.unpack_from(data)
    widths = _checked_widths(path, version, count, degree, bits, stored)
    body = np.frombuffer(data, np.uint8, offset=OLD_HEADER.size)
    needed = count * sum(widths.values())
    if len(body) < needed or (len(body) > needed and not flags & EXTENSIONS):
        what = "only " if len(body) < needed else "more than "
        raise FileFormatError(
            f"{path} says that it holds {count} splats ({needed} bytes), but {what}{min(len(body), needed)} bytes "
            "follow. It is cut short or its header lies; export it again."
        )
    streams, at = {}, 0
    for name in STREAMS:
        streams[name] = body[at : at + count * widths[name]].reshape(count, widths[name])
        at += count * widths[name]
    return PackedSplats(version, degree, bits, bool(flags & ANTIALIASED), streams), flags


def _checked_widths(path: Path, version: int, count: int, degree: int, bits: int, stored: int) -> dict[str, int]:
    """Bytes per splat of each stream, when the header is one that a real file could have."""
    if not 1 <= version <= 4:
        raise FileFormatError(f"{path} is SPZ version {version}; versions 1 to 4 are read. Export it as version 4.")
    if degree > MOST_DEGREE or bits > MOST_FRACTION_BITS:
        raise FileFormatError(
            f"{path} has SH degree {degree} and {bits} fraction bits; SPZ has degrees 0 to {MOST_DEGREE} and at most "
            f"{MOST_FRACTION_BITS} bits. It is damaged; export it again."
        )
    widths = stream_widths(version, degree)
    check_expansion(path, count * sum(widths.values()), stored)
    return widths


def _cut_short(path: Path) -> FileFormatError:
    return FileFormatError(f"{path} is cut short: it ends before the streams that its header lists. Copy it again.")


def _notes(packed: PackedSplats, flags: int) -> tuple[str, ...]:
    notes = []
    if packed.degree > 3:
        notes.append(f"SH degree {packed.degree} was cut to 3.")
    if packed.antialiased:
        notes.append("The splats were made for antialiased rendering, which is not kept: thin ones look bolder here.")
    if flags & EXTENSIONS:
        notes.append("Extension records of the file were left out.")
    return tuple(notes)
