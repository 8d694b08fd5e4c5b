"""Constraint rows: what contacts, joints and drives look like to the solver.

A row says that the velocity J v along one direction, between body a and body b, is to reach a target, by an impulse
within bounds. Rows of one world lie one behind the other; unused rows at the end are not counted. A contact is three
rows: a normal row, pushed apart only, and two friction rows whose impulses stay in a disk of radius mu times the normal
impulse (Coulomb's cone).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FRICTION", "LIMITED", "Rows"]

LIMITED = 0
"""Kind of a row whose impulse stays in [low, high]."""
FRICTION = 1
"""Kind of the first row of a friction pair; the next row is its second."""


@dataclass(frozen=True, eq=False)
class Rows:
    """R rows for each of B worlds."""

    count: Tensor
    """Rows in use, int32, shape (B,)."""
    kind: Tensor
    """`LIMITED`, `FRICTION`, or -1 for the second row of a friction pair, int32, shape (B, R)."""
    body_a: Tensor
    """First body, int32, shape (B, R)."""
    body_b: Tensor
    """Second body, -1 for none, int32, shape (B, R)."""
    J: Tensor
    """Jacobian: linear and angular part of body a, then of body b, shape (B, R, 12)."""
    W: Tensor
    """M^-1 J^T in the same layout, shape (B, R, 12)."""
    target: Tensor
    """Velocity J v that is asked for [m/s or rad/s], shape (B, R)."""
    low: Tensor
    """Least impulse [N s or N m s], shape (B, R)."""
    high: Tensor
    """Greatest impulse, shape (B, R)."""
    normal: Tensor
    """Row of the normal impulse that bounds a friction pair, int32, shape (B, R)."""
    mu: Tensor
    """Coefficient of friction of a friction pair, shape (B, R)."""
    softness: Tensor
    """Compliance added to the diagonal J M^-1 J^T, 0 for a hard row, shape (B, R)."""
