"""A USD file that somebody handed to us -> a composed stage, made of nothing but files inside its folder.

The file's layers are looked through before anything is composed (`_read_references`). When one of them names a file
outside the folder, the stage is composed of copies in memory from which those names are gone. Files are never written.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import BodyError, FileFormatError
from sim_bridge.usd._read_references import AssetName, Assets, assets_of, is_outside

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SUFFIXES", "OpenedStage", "open_stage", "reading", "reason_of", "usd_file"]

SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")
MOST_PRIMS = 200_000
"""Prims of a stage; more are no scene of ours, and each takes memory."""


@dataclass(frozen=True, eq=False)
class OpenedStage:
    """A composed stage and what is to be said about its files."""

    path: Path
    """The file."""
    stage: Any
    """`Usd.Stage`."""
    outside: tuple[AssetName, ...]
    """Files that it names outside of its folder; they were not followed."""
    missing: tuple[AssetName, ...]
    """Layers that it names inside its folder and that are not there."""
    layers: tuple[Any, ...]
    """All layers, held so that they stay open."""


def open_stage(path: Path | str) -> OpenedStage:
    """Open and compose a stage without leaving its folder.

    Args:
        path: A .usd, .usda, .usdc or .usdz file.

    Raises:
        FileFormatError: It does not exist, is no USD file, is damaged, or has more than 200,000 prims.
    """
    from pxr import Usd

    path = usd_file(path)
    with reading(path):
        root = _root_layer(path)
        assets = assets_of(root, path)
        layers = list(assets.layers.values())
        if assets.outside:
            root, layers = _copies(assets, path)
        stage = Usd.Stage.Open(root)
        _require_inside(stage, path)
    _require_few_prims(stage, path)
    return OpenedStage(path, stage, assets.outside, assets.missing, tuple(layers))


def usd_file(path: Path | str) -> Path:
    """The path, if there is a file that is USD by its suffix.

    Raises:
        FileFormatError: There is none, or a folder.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise FileFormatError(f"{path} is no USD file by its suffix. Read are {', '.join(SUFFIXES)}.")
    if path.is_dir():
        raise FileFormatError(f"{path} is a folder, not a USD file. Name the file in it.")
    if not path.is_file():
        raise FileFormatError(f"{path} does not exist. Check the path.")
    return path


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """While a file's values are read: USD prints nothing, numbers may overflow, and damage is one clear error.

    Raises:
        FileFormatError: USD or NumPy gave up on what the file holds.
    """
    from pxr import Tf, UsdUtils

    delegate = UsdUtils.CoalescingDiagnosticDelegate()  # What USD would print to stderr.
    try:
        with np.errstate(all="ignore"):
            yield
    except (Tf.ErrorException, UnicodeDecodeError, np.linalg.LinAlgError) as error:
        raise FileFormatError(
            f"{path} cannot be read as USD ({reason_of(error)}). Export or download it again."
        ) from error
    except BodyError as error:
        raise FileFormatError(f"{path}: {error}") from error
    finally:
        delegate.TakeUncoalescedDiagnostics()


def reason_of(error: Exception) -> str:
    """The part of a USD exception that says what is wrong, without places in USD's own source."""
    for line in str(error).splitlines():
        said = line.strip()
        if said.startswith("Error in"):
            said = said.split(" : ", 1)[-1].strip(" '")
        if said:
            return said.rstrip(". ")[:300]
    return "no reason given"


def _root_layer(path: Path) -> Any:
    from pxr import Sdf

    layer = Sdf.Layer.FindOrOpen(str(path.resolve()))
    if layer is None:
        raise FileFormatError(f"{path} cannot be read as USD. Export or download it again.")
    if not layer.dirty:
        layer.Reload()  # It may have been open already, from before the file was written again.
    return layer


def _copies(assets: Assets, path: Path) -> tuple[Any, list[Any]]:
    """The root layer's copy and all copies: the same layers in memory, naming each other and nothing outside."""
    from pxr import Sdf, UsdUtils

    copies = {name: Sdf.Layer.CreateAnonymous(Path(name).name + ".usda") for name in assets.layers}
    for name, layer in assets.layers.items():
        copy = copies[name]
        copy.TransferContent(layer)

        def inside(asset: str, layer: Any = layer) -> str:
            if is_outside(asset, layer, path):
                return ""
            place = Sdf.ComputeAssetPathRelativeToLayer(layer, asset)
            opened = Sdf.Layer.Find(place)
            return copies[opened.identifier].identifier if opened and opened.identifier in copies else place

        UsdUtils.ModifyAssetPaths(copy, inside)
    first, *_ = copies.values()
    return first, [*copies.values()]


def _require_inside(stage: Any, path: Path) -> None:
    """Names are found before they are followed; should one have got through, nothing of its file is used."""
    for layer in stage.GetUsedLayers():
        if layer.realPath and is_outside(layer.realPath, stage.GetRootLayer(), path):
            raise FileFormatError(
                f"{path} brings in {layer.realPath} from outside of its folder. Flatten the stage first."
            )


def _require_few_prims(stage: Any, path: Path) -> None:
    for count, _ in enumerate(stage.TraverseAll()):
        if count >= MOST_PRIMS:
            raise FileFormatError(
                f"{path} has more than {MOST_PRIMS:,} prims, which is too much for one scene. Split it."
            )
