"""The world as others use it: USD for Isaac Sim, MJCF and URDF, and the engines that prove them.

    sim_bridge.usd       a scene as a USD stage, and back; checks
    sim_bridge.mjcf      a scene as a model of MuJoCo
    sim_bridge.urdf      its objects as URDF
    sim_bridge.engines   PhysX, Newton, MuJoCo and our own dynamics on the same stage, each in a process of its own
    sim_bridge.isaac     scripts for Isaac Sim and Isaac Lab, to be copied to where those are
    sim_bridge.cli       the verbs export, import, check, verify

A `scene3d.Scene` goes out by `export_usd`, `export_mjcf` or `export_urdf`; `check_usd` and `verify` say what is wrong
with what came out; `import_usd` brings stages in. Names are resolved on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim_bridge.engines import verify as verify
    from sim_bridge.mjcf import export_mjcf as export_mjcf
    from sim_bridge.urdf import export_urdf as export_urdf
    from sim_bridge.usd import check_usd as check_usd
    from sim_bridge.usd import export_usd as export_usd
    from sim_bridge.usd import import_usd as import_usd

__all__ = ["check_usd", "export_mjcf", "export_urdf", "export_usd", "import_usd", "verify"]

_HOMES = {
    "check_usd": "usd",
    "export_mjcf": "mjcf",
    "export_urdf": "urdf",
    "export_usd": "usd",
    "import_usd": "usd",
    "verify": "engines",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
