"""Other engines as yardsticks: a `World` in, their model of it out, and their rollouts from our states.

Nothing here is needed to predict; every engine is imported when it is first used, and the extra ``baselines`` installs
them all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynamics.baselines._mujoco_model import contact_parameters as contact_parameters
    from dynamics.baselines._mujoco_model import mujoco_model as mujoco_model
    from dynamics.baselines._mujoco_rollout import mujoco_rollout as mujoco_rollout

__all__ = ["contact_parameters", "mujoco_model", "mujoco_rollout"]

_HOMES = {
    "contact_parameters": "dynamics.baselines._mujoco_model",
    "mujoco_model": "dynamics.baselines._mujoco_model",
    "mujoco_rollout": "dynamics.baselines._mujoco_rollout",
}


def __getattr__(name: str) -> Any:
    """Import public names when they are first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, whether imported yet or not."""
    return sorted(set(globals()) | set(__all__))
