"""Which object each splat belongs to: what every way of segmenting a scene ends in, and what bodies are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d._support import SupportPlane

__all__ = ["Labels"]


@dataclass(frozen=True, eq=False)
class Labels:
    """Objects of a scene as sets of splats."""

    names: tuple[str, ...]
    """Name of each object, unique; object i has label i + 1."""
    of_splat: Tensor
    """Label of each splat, 0 the background, int64, shape (N,)."""
    confidence: tuple[float, ...]
    """How well the views agree on each object's outline, 0 to 1."""
    supports: tuple[SupportPlane, ...] = ()
    """What objects stand on, the largest first."""
    named: tuple[bool, ...] = ()
    """Whether a person or a mask gave the name (else it is a number)."""
    notes: tuple[str, ...] = field(default=())
    """What the user should know, one sentence each."""
