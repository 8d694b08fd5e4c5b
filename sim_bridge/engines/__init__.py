"""Physics engines that an exported scene is proven in.

    from sim_bridge.engines import verify
    proof = verify(Path("scene"))            # PhysX, Newton (XPBD, MuJoCo, VBD), MuJoCo, our own: those there
    proof.ok, proof.document()

Each engine runs in a process and an environment of its own; `make engines` makes those environments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim_bridge.engines._environments import ENGINES
    from sim_bridge.engines._request import EngineError
    from sim_bridge.engines._verify import EngineProof, Proof, verify

__all__ = ["ENGINES", "EngineError", "EngineProof", "Proof", "verify"]

_HOMES = {
    "ENGINES": "_environments",
    "EngineError": "_request",
    "EngineProof": "_verify",
    "Proof": "_verify",
    "verify": "_verify",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
