"""Scenes as USD stages, and back.

    export_usd(scene, path)   Scene -> .usd, .usda, .usdc or .usdz with physics, splats and cameras
    import_usd(path)          such a stage, ours or another program's -> Scene
    check_usd(path)           what is wrong with a stage, and how to mend it

Nothing is loaded before one of these is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim_bridge.usd._check import Finding, check_usd
    from sim_bridge.usd._export import Exported, export_usd
    from sim_bridge.usd._import import Imported, import_usd

__all__ = ["Exported", "Finding", "Imported", "check_usd", "export_usd", "import_usd"]

_HOMES = {
    "Exported": "_export",
    "Finding": "_check",
    "Imported": "_import",
    "check_usd": "_check",
    "export_usd": "_export",
    "import_usd": "_import",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
