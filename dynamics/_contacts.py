"""Contacts: where bodies touch, or will within a step.

Surface points of each body are looked up in the other's signed distance; the closest few of each pair are kept. What
finds them (`dynamics._find_contacts`) and what uses them (rows of the solver, the contact network, metrics, drawings)
share this table. Contacts in use come first; those behind `count` are padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Contacts"]


@dataclass(frozen=True, eq=False)
class Contacts:
    """Up to C contacts in each of B worlds."""

    count: Tensor
    """Contacts in use, int32, shape (B,)."""
    body_a: Tensor
    """Body whose surface point it is, int32, shape (B, C)."""
    body_b: Tensor
    """Body whose surface is close, int32, shape (B, C)."""
    point: Tensor
    """Where they meet, in the world [m], shape (B, C, 3)."""
    normal: Tensor
    """Unit vector from b to a, shape (B, C, 3)."""
    gap: Tensor
    """Distance of the surfaces along the normal, negative when they overlap [m], shape (B, C)."""
    source_point: Tensor | None = None
    """Which of the contact points of a it is, int32, shape (B, C)."""
    place: Tensor | None = None
    """Where `State` remembers it, int32, shape (B, C)."""

    @property
    def used(self) -> Tensor:
        """Which entries are contacts, shape (B, C)."""
        import torch

        return torch.arange(self.gap.shape[1], device=self.gap.device) < self.count[:, None]
