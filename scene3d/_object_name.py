"""Names of objects: what users may call them, and the folder that each name stands for.

A name is what people read: spaces and any script are fine. It never becomes a path as it is: the folder's name is made
of the letters a-z, digits and underscores only, so that no name can lead out of a scene folder or be a word that some
file system keeps for itself.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from scene3d._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["LONGEST_NAME", "checked_name", "checked_names", "folder_name"]

LONGEST_NAME = 64
"""Characters."""
LONGEST_FOLDER = 48
DEVICES = re.compile(r"con|prn|aux|nul|com\d|lpt\d")
"""Words that Windows keeps for devices, whatever their suffix."""


def checked_name(name: str) -> str:
    """The name as it is kept: composed characters (Unicode NFC), no spaces around it.

    Args:
        name: What a user, a file or a folder calls an object: 1 to 64 printable characters, none of them a slash or a
            backslash, and not only dots.

    Raises:
        UsageError: It is not such a name.
    """
    kept = unicodedata.normalize("NFC", name.strip())
    wrong = not 1 <= len(kept) <= LONGEST_NAME or not kept.isprintable() or re.search(r"[/\\]|^\.+$", kept)
    if wrong:
        shown = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 3] + "..."
        raise UsageError(
            f"{shown!r} cannot be the name of an object. A name has 1 to {LONGEST_NAME} printable characters, "
            "no slash and no backslash, for example 'red mug'."
        )
    return kept


def checked_names(names: Sequence[str]) -> tuple[str, ...]:
    """`checked_name` of all, which must differ from each other.

    Raises:
        UsageError: One is no name, or two are the same.
    """
    kept = [checked_name(name) for name in names]
    twice = next((name for name in kept if kept.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"Two objects are called {twice!r}. Each object of a scene needs a name of its own.")
    return tuple(kept)


def folder_name(name: str, taken: Collection[str] = ()) -> str:
    """The folder of an object: its name in a-z, 0-9 and underscores; numbered when `taken` has that already.

    Args:
        name: A name that `checked_name` accepts.
        taken: Folders that are in use.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    folder = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:LONGEST_FOLDER].strip("_") or "object"
    if DEVICES.fullmatch(folder):
        folder = f"object_{folder}"
    number, free = 1, folder
    while free in taken:
        number, free = number + 1, f"{folder}_{number + 1}"
    return free
