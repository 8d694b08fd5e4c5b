"""Which files a stage is made of, found before anything is composed: those inside its folder, outside, and gone.

USD follows references, payloads, sublayers and clips wherever they lead as soon as a stage is opened. Here layers are
opened one by one, asked for the names that they hold, and only files inside the folder of the first one (for a .usdz:
inside the package) are looked into. What leads out is listed and never opened.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["AssetName", "Assets", "assets_of", "is_outside"]

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
"""Of a URL; one letter would be a drive."""
MOST_LAYERS = 4096
EXPRESSION = "`"
"""How a name begins that is worked out when it is followed."""


@dataclass(frozen=True)
class AssetName:
    """A file's name as a layer gives it."""

    name: str
    """What the layer says."""
    layer: str
    """Which layer says so."""


@dataclass(frozen=True, eq=False)
class Assets:
    """Everything that a layer names, directly and through others."""

    layers: dict[str, Any]
    """Opened layers by identifier, the first one first."""
    outside: tuple[AssetName, ...]
    """Names that lead out of the folder; they were not opened."""
    missing: tuple[AssetName, ...]
    """Names of USD layers inside the folder that are not there or cannot be read."""


def assets_of(root: Any, path: Path) -> Assets:
    """Look through the layers that a root layer names.

    Args:
        root: The opened `Sdf.Layer` of the file.
        path: The file.
    """
    from pxr import Sdf, Tf, Usd

    layers: dict[str, Any] = {root.identifier: root}
    outside: dict[AssetName, None] = {}
    missing: dict[AssetName, None] = {}
    waiting = [root]
    while waiting and len(layers) < MOST_LAYERS:
        layer = waiting.pop(0)
        for name in _names_in(layer):
            said = AssetName(name, layer.identifier)
            if is_outside(name, layer, path):
                outside[said] = None
                continue
            place = Sdf.ComputeAssetPathRelativeToLayer(layer, name)
            if place in layers or not Usd.Stage.IsSupportedFile(Sdf.Layer.SplitIdentifier(place)[0]):
                continue
            try:
                found = Sdf.Layer.FindOrOpen(place)
            except Tf.ErrorException:
                found = None
            if found is None:
                missing[said] = None
            elif found.identifier not in layers:
                layers[found.identifier] = found
                waiting.append(found)
    return Assets(layers, tuple(outside), tuple(missing))


def _names_in(layer: Any) -> list[str]:
    """All names of files in a layer: composed ones, clips, textures, and expressions that stand for names."""
    from pxr import UsdUtils

    plain = [name for names in UsdUtils.ExtractExternalReferences(layer.identifier) for name in names]
    # What an expression stands for depends on who refers to the layer, so it is listed as it is written.
    written = [name for name in layer.GetCompositionAssetDependencies() if name.startswith(EXPRESSION)]
    return list(dict.fromkeys([*plain, *written]))


def is_outside(name: str, layer: Any, path: Path) -> bool:
    """True when a name leads out of the folder of the file (for a .usdz: out of the package), or nobody can tell.

    Args:
        name: As the layer has it.
        layer: The `Sdf.Layer` that says so.
        path: The file that is read.
    """
    from pxr import Ar, Sdf

    plain = Sdf.Layer.SplitIdentifier(name)[0]
    if SCHEME.match(plain) or plain.startswith(EXPRESSION):
        return True
    place = Sdf.ComputeAssetPathRelativeToLayer(layer, plain)
    inner = ""
    if Ar.IsPackageRelativePath(place):
        place, inner = Ar.SplitPackageRelativePathOuter(place)
    if ".." in inner.split("/"):
        return True
    if not Path(place).is_absolute():  # A search path: USD looks in the working directory and in its own list too.
        place = Ar.GetResolver().Resolve(place).GetPathString() or str(path.parent / place)
    file = Path(place).resolve()
    if path.suffix.lower() == ".usdz":
        return file != path.resolve()
    return not file.is_relative_to(path.parent.resolve())
