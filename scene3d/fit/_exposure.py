"""Exposure compensation: one affine colour map per training photo, fitted along with the splats.

A phone changes exposure and white balance from photo to photo; without these maps the splats would have to explain
it. Their mean is held at the identity, so that the splats keep the capture's average exposure, which is what held-out
views are rendered with. Maps are 3x4: colour' = E[:, :3] colour + E[:, 3].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Exposures"]

RATE = 1e-3


@dataclass
class Exposures:
    """Maps of all training photos, with dense Adam state per photo."""

    maps: Tensor
    """Shape (M, 3, 4)."""
    first: Tensor
    second: Tensor
    steps: Tensor
    """Steps per photo, shape (M,)."""

    @staticmethod
    def identity(count: int) -> Exposures:
        """Identity maps."""
        import torch

        maps = torch.eye(3, 4).repeat(count, 1, 1)
        return Exposures(maps, torch.zeros_like(maps), torch.zeros_like(maps), torch.zeros(count))

    def copy(self) -> Exposures:
        """The same values in memory of their own."""
        return Exposures(self.maps.clone(), self.first.clone(), self.second.clone(), self.steps.clone())

    def step(self, index: int, grad: Tensor, share: float) -> None:
        """One Adam step on the map of photo ``index``; the rate falls to a tenth over the run."""
        self.steps[index] += 1
        count = float(self.steps[index])
        first, second = self.first[index], self.second[index]
        first.lerp_(grad, 0.1)
        second.lerp_(grad * grad, 0.01)
        update = (first / (1 - 0.9**count)) / ((second / (1 - 0.99**count)).sqrt() + 1e-12)
        self.maps[index] -= RATE * 0.1**share * update

    def center(self) -> None:
        """Shift all maps so that their mean is the identity."""
        import torch

        self.maps -= self.maps.mean(dim=0) - torch.eye(3, 4)
