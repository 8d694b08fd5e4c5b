# pyright: basic
"""What each model of the table predicts for a group of tosses: first frames in, paths of poses out.

All models start from the same recorded first frame. Those that are trained or fitted were so on tosses of which none is
in the group. The network of another body speaks through its support, with constants that were fitted to that body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import UsageError
from dynamics._persistent import persistent
from dynamics._toss_body import TEXTBOOK, TossConstants
from dynamics._toss_models import TossModel, ballistic, first_states, predicted, rollout_tosses, static

if TYPE_CHECKING:
    from dynamics._evaluate_fitted import Fitted
    from dynamics._toss_body import TossBody
    from dynamics._tosses import Toss

__all__ = ["MODELS", "ModelName", "Predictor", "check_models"]

ModelName = Literal[
    "static",
    "ballistic",
    "physics_textbook",
    "physics_identified",
    "physics_persistent",
    "physics_network",
    "network_without_physics",
    "mujoco",
]
MODELS: tuple[ModelName, ...] = get_args(ModelName)
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Predictor:
    """Everything that is needed to predict tosses of one body."""

    body: TossBody
    """What was thrown."""
    fitted: Fitted
    """Constants of training tosses."""
    network: TossModel | None = None
    """Constants, network and support; None leaves the network out."""
    free: Any = None
    """Networks without physics, from `load_free_networks`; None leaves them out."""

    def paths(self, model: ModelName, tosses: Sequence[Toss]) -> tuple[list[Array], Array | None]:
        """Predicted poses of each toss (T, 7); for the network also the share of its contacts in support, (N,)."""
        if model == "physics_network":
            return self._network(tosses)
        calls: dict[ModelName, Callable[[], list[Array]]] = {
            "static": lambda: [static(toss) for toss in tosses],
            "ballistic": lambda: [ballistic(toss, self.body) for toss in tosses],
            "physics_textbook": lambda: predicted(_textbook(), self.body, tosses),
            "physics_identified": lambda: predicted(self.fitted.physics(), self.body, tosses),
            "physics_persistent": lambda: persistent(
                self.fitted.physics(), np.array(self.fitted.residual), self.body, tosses
            ),
            "network_without_physics": lambda: self._free(tosses),
            "mujoco": lambda: self._mujoco(tosses),
        }
        return calls[model](), None

    def speaking(self) -> TossModel:
        """The best model there is: with the network, if there is one."""
        return self.network or self.fitted.physics()

    def _network(self, tosses: Sequence[Toss]) -> tuple[list[Array], Array]:
        assert self.network is not None
        pose, twist = first_states(tosses, self.network.constants)
        frames = max(len(toss) for toss in tosses)
        poses, share = rollout_tosses(self.network, self.body, pose, twist, frames, tosses[0].dt)
        paths = poses.double().numpy()
        return [paths[i, : len(toss)] for i, toss in enumerate(tosses)], share.double().numpy()

    def _free(self, tosses: Sequence[Toss]) -> list[Array]:
        from dynamics._free_network import free_network_predict

        return free_network_predict(self.free, tosses)

    def _mujoco(self, tosses: Sequence[Toss]) -> list[Array]:
        from dynamics.baselines._mujoco_tosses import FIRST, predict_mujoco

        return predict_mujoco(tosses, self.body, self.fitted.constants, self.fitted.mujoco or FIRST)


def with_fitted_constants(network: TossModel, fitted: Fitted) -> TossModel:
    """The network on another body: that body's constants, and its own gate."""
    return replace(network, constants=fitted.physics().constants)


def check_models(names: Sequence[str]) -> tuple[ModelName, ...]:
    """The models of these names in the order of the table, all of them for none.

    Raises:
        UsageError: There is no such model.
    """
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise UsageError(f"There is no model {unknown[0]!r}; models are {', '.join(MODELS)}.")
    return cast("tuple[ModelName, ...]", tuple(name for name in MODELS if not names or name in names))


def _textbook() -> TossModel:
    constants: Mapping[str, float] = TEXTBOOK
    return TossModel(TossConstants.of(**constants))
