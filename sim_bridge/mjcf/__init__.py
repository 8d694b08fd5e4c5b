"""Scenes as MJCF models of MuJoCo.

    export_mjcf(scene, path)   Scene -> OUT.xml and the folder OUT_meshes

Nothing is loaded before one of these is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim_bridge.mjcf._export import Exported, export_mjcf

__all__ = ["Exported", "export_mjcf"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}._export"), name)
