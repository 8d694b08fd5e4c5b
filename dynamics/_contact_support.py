# pyright: basic
"""Where the contact network has been trained: outside, its gate closes and physics alone speaks.

The distance of a contact's features to the closest of some hundred training contacts, in units of the features' spread,
is compared with the distances that training contacts have among themselves; so is the disagreement of the ensemble.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ContactSupport", "support_of"]

PROTOTYPES = 256
"""Training contacts that are kept."""
LIMIT = 0.999
"""Share of training contacts that are within the support."""
NARROW = 0.05
"""Least spread of a feature, so that one which never changed in training counts when it does."""


@dataclass(frozen=True, eq=False)
class ContactSupport:
    """The training contacts, thinned out."""

    prototypes: Tensor
    """Whitened features of kept contacts, shape (P, F)."""
    mean: Tensor
    """Of the features, shape (F,)."""
    std: Tensor
    """Of the features, shape (F,)."""
    radius: Tensor
    """Distance within which the gate is open, scalar."""
    spread: Tensor
    """Disagreement of the ensemble up to which it is open, scalar; 0 when there was none."""

    def distance(self, features: Tensor) -> Tensor:
        """Root mean square difference to the closest prototype, shape of the batch (B, C)."""
        import torch

        white = ((features - self.mean) / self.std).flatten(0, -2)
        apart = torch.cdist(white, self.prototypes, compute_mode="donot_use_mm_for_euclid_dist")
        return (apart.amin(-1) / len(self.mean) ** 0.5).reshape(features.shape[:-1])

    def gate(self, features: Tensor, spread: Tensor) -> Tensor:
        """1 inside, falling to 0 at twice the limits, shape (B, C); carries no gradient.

        Args:
            features: From `before_features`, shape (B, C, F).
            spread: Disagreement of the ensemble, shape (B, C).
        """
        near = (2 - self.distance(features.detach()) / self.radius).clamp(0.0, 1.0)
        if float(self.spread) <= 0:
            return near
        return near * (2 - spread.detach() / self.spread).clamp(0.0, 1.0)


def support_of(features: Tensor, spread: Tensor, *, seed: int = 0) -> ContactSupport:
    """The support of training contacts.

    Args:
        features: Of N training contacts, shape (N, F).
        spread: Disagreement of the ensemble at them, shape (N,).
        seed: Which contact the thinning starts from.

    Prototypes are chosen greedily, each the farthest from those before it (Gonzalez 1985), among at most 4096.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(features), generator=generator)
    mean, std = features.mean(0), features.std(0, correction=0).clamp_min(NARROW)
    white = ((features - mean) / std)[order]
    pool = white[:4096]
    chosen = [0]
    away = (pool - pool[0]).norm(dim=-1)
    for _ in range(min(PROTOTYPES, len(pool)) - 1):
        chosen.append(int(away.argmax()))
        away = torch.minimum(away, (pool - pool[chosen[-1]]).norm(dim=-1))
    support = ContactSupport(pool[chosen], mean, std, torch.tensor(1.0), torch.tensor(0.0))
    distances = support.distance(features[order][:20000][None])[0]
    radius = distances.quantile(LIMIT).clamp_min(1e-3)
    limit = spread[order][:20000].quantile(LIMIT)
    return ContactSupport(pool[chosen], mean, std, radius, limit)
