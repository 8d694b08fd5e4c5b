"""What changes during a fit, as functions of the share of the run that is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scene3d.fit._photos import LEVELS

if TYPE_CHECKING:
    from scene3d.fit._config import FitConfig

__all__ = ["Moment", "moment"]


@dataclass(frozen=True)
class Moment:
    """Settings of one step."""

    level: int
    """Index into `LEVELS`."""
    sh_degree: int
    rates: dict[str, float]
    """Learning rate by array name."""
    density: bool
    """Whether the number of splats may change."""
    stage: str
    """Name for the progress bar."""
    depth_weight: float = 0.0
    """Weight of sensor depth."""
    alpha_weight: float = 0.0
    """Weight of the masks of an object."""


def moment(config: FitConfig, share: float, extent: float) -> Moment:
    """Settings at ``share`` in [0, 1] of the run, for a scene of the given extent [m]."""
    level = 0 if share < config.quarter_until else 1 if share < config.half_until else 2
    degree = min(config.sh_degree, sum(share >= start for start in config.sh_from))
    settle = 1.0
    if share > config.settle_from and config.settle_from < 1:
        settle = 0.1 ** ((share - config.settle_from) / (1 - config.settle_from))
    rates = {
        "means": config.rate_means * extent * config.final_rate**share,
        "quats": config.rate_quats * settle,
        "scales": config.rate_scales * settle,
        "opacities": config.rate_opacities * settle,
        "sh0": config.rate_sh0 * settle,
        "shN": config.rate_shN * settle if degree > 0 else 0.0,
    }
    reduction = LEVELS[level]
    stage = "fitting" if reduction == 1 else f"fitting 1/{reduction}"
    density = share < config.density_until
    return Moment(level, degree, rates, density, stage, config.depth_weight, config.alpha_weight)
