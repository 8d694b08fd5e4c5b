# pyright: basic
"""How to train, and what the constants are functions of: thirteen unbounded numbers, each of about unit size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynamics._toss_body import TossConstants

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._toss_body import TossBody

__all__ = ["CONSTANTS", "Recipe", "constants_of"]

CONSTANTS = 13
"""How many numbers `constants_of` takes."""


@dataclass(frozen=True)
class Recipe:
    """How to train."""

    identify: int = 80
    """Iterations for the constants alone."""
    identify_steps: int = 60
    """Steps of their rollouts."""
    identify_seed: int = 0
    """Of their draws; networks with the same tosses share what is found."""
    iterations: int = 350
    """Iterations for network and constants."""
    batch: int = 128
    """Rollouts per iteration and network."""
    shortest: int = 8
    """Steps of a rollout at the beginning."""
    longest: int = 40
    """Steps from the middle of training on."""
    first_share: float = 0.3
    """Share of rollouts that start at first frames."""
    network_rate: float = 5e-3
    """Learning rate of the network."""
    constants_rate: float = 5e-2
    """Learning rate of the constants alone; with the network, `late_constants` of it."""
    late_constants: float = 0.2
    """See `constants_rate`."""
    average: float = 0.98
    """Memory of the running mean of the weights."""
    noise: float = 1.0
    """Noise that is added to first states: 1 is that of recordings (`first_noise`)."""
    decay: float = 0.0
    """How fast weights fall to zero, per iteration and unit of learning rate."""
    saturation: float = 2.0
    """Errors of this many tenths of a width, or of a radian, begin to count less."""
    save_every: int = 50
    """Iterations between checkpoints."""

    def horizon(self, share: float, *, alone: bool) -> int:
        """Steps of a rollout when a share of the stage is done."""
        if alone:
            return self.identify_steps
        return round(self.shortest + min(1.0, share / 0.5) * (self.longest - self.shortest))


def constants_of(raw: Tensor, body: TossBody) -> TossConstants:
    """Constants of numbers (13,) as scalars, of (B, 13) as columns; zeros are close to what the cube needs."""
    import torch

    x = [raw[i] for i in range(CONSTANTS)] if raw.ndim == 1 else [raw[:, i : i + 1] for i in range(CONSTANTS)]
    return TossConstants(
        friction=0.18 * torch.exp(0.3 * x[0]),
        restitution=torch.sigmoid(-1.4 + x[1]),
        size=0.98 + 0.02 * x[2],
        inertia=1.2 * torch.exp(0.3 * x[3]),
        gravity=9.65 + 0.2 * x[4],
        recovery=torch.sigmoid(-2.0 + x[5]),
        corner_radius=0.03 * body.width * torch.exp(x[6]),
        spin=1.02 + 0.05 * torch.tanh(x[7]),
        speed=1.0 + 0.02 * torch.tanh(x[8]),
        shear_along=0.02 * x[9],
        shear_across=0.02 * x[10],
        tilt_along=0.1 * x[11],
        tilt_across=0.1 * x[12],
    )
