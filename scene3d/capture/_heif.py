"""HEIC for Pillow, by way of pi-heif.

pi-heif is registered when the first photo is opened. Before it sees a file, the names of the items in the container are
checked: pi-heif 1.4 ends the whole process, not the reading, when one of them is no text.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["prepare_heif"]

LARGEST_TABLE = 1 << 22
"""Bytes of the container's table of contents that are looked at."""


def prepare_heif(path: Path) -> None:
    """Let Pillow open HEIC files, this one without harm; does nothing about files of other kinds.

    Raises:
        ValueError: The container is damaged.
        OSError: The file cannot be read.
    """
    _register()
    table = _contents(path)
    at = table.find(b"infe")
    while at >= 4:
        # Box: length, kind, version and flags, number (2 or, from version 3 on, 4 bytes), protection, kind of item.
        length = struct.unpack(">I", table[at - 4 : at])[0]
        try:
            table[at + (12 if table[at + 4 : at + 5] >= b"\3" else 10) : at - 4 + length].decode()
        except UnicodeDecodeError:
            raise ValueError("its table of contents is damaged") from None
        at = table.find(b"infe", at + 4)


@cache
def _register() -> None:
    from pi_heif import register_heif_opener

    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def _contents(path: Path) -> bytes:
    """The box ``meta`` of a HEIF container; nothing for files of other kinds."""
    with path.open("rb") as file:
        head = file.read(8)
        if head[4:] != b"ftyp":
            return b""
        while len(head) == 8:
            length = struct.unpack(">I", head[:4])[0]
            if head[4:] == b"meta":
                return file.read(min(length, LARGEST_TABLE))
            if length < 8:
                break
            file.seek(length - 8, 1)
            head = file.read(8)
    return b""
