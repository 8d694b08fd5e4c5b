"""Scenes as URDF files.

    export_urdf(scene, path)   Scene -> OUT.urdf and the folder OUT_objects, one URDF for each object

Nothing is loaded before one of these is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim_bridge.urdf._export import Exported, export_urdf

__all__ = ["Exported", "export_urdf"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}._export"), name)
