"""Where a stage goes: names that are accepted, files that are there already, and files that appear whole or not at all.

Everything is made in a hidden folder beside the target, flushed to the disk and renamed over it; whatever goes wrong
removes that folder. A package is made by USD's own packer, which aligns its members to 64 bytes.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from scene3d._errors import OutputError, UsageError
from scene3d.files._atomic import cannot_write, make_folder, sync_folder
from sim_bridge.usd._read_stage import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["SUFFIXES", "check_target", "pack", "save_layer", "scratch_folder", "settle"]

SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")


def check_target(path: Path, *, overwrite: bool) -> None:
    """See that a stage may be written there.

    Raises:
        UsageError: The name has another ending.
        OutputError: There is something already.
    """
    if path.suffix not in SUFFIXES:
        found = f"ends in {path.suffix!r}" if path.suffix else "has no ending"
        raise UsageError(f"{path} {found}; the name of a stage ends in {', '.join(SUFFIXES)}.")
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except OSError as error:  # A name that is too long, for one.
        raise cannot_write(path, error, 0) from error
    if is_folder:
        raise OutputError(f"{path} is a folder. Choose another name for the stage.")
    if is_there and not overwrite:
        raise OutputError(f"{path} is there already. Pass --overwrite to replace it, or choose another name.")


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """A hidden folder beside the target that is gone afterwards, whatever happens.

    Raises:
        OutputError: Something in it could not be written.
    """
    from pxr import Tf

    make_folder(path.parent)
    folder = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        make_folder(folder)
        yield folder
    except Tf.ErrorException as error:
        raise OutputError(
            f"{path} cannot be written ({reason_of(error)}). Is the disk full? Or choose another name."
        ) from error
    except OSError as error:
        raise cannot_write(path, error, 0) from error
    finally:
        with suppress(OSError):
            shutil.rmtree(folder)


def save_layer(layer: Any, path: Path) -> None:
    """Write a layer as a file of the kind that its name says.

    Raises:
        OSError: It cannot be written.
    """
    if not layer.Export(str(path)):
        raise OSError(None, "USD could not write it", str(path))


def pack(stage: Path, path: Path) -> None:
    """Make a package of a stage and the files that it refers to.

    Raises:
        OSError: It cannot be written.
    """
    from pxr import Sdf, UsdUtils

    if not UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(stage)), str(path)):
        raise OSError(None, "USD could not make the package", str(path))


def settle(made: Path, path: Path) -> None:
    """Move a complete file to its name."""
    descriptor = os.open(made, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(made, path)
    sync_folder(path.parent)
