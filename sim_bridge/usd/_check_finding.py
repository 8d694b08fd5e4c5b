"""What a check says about one prim: which rule, how bad, what was found, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Severity"]

Severity = Literal["error", "warning"]


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong with a stage; sorted by severity, rule and prim."""

    severity: Severity
    """An ``error`` keeps the stage from loading or simulating as it should, a ``warning`` may."""
    rule: str
    """Short name of the rule; those of UsdValidation begin with ``usd:``."""
    prim: str
    """Path of the prim, or the file where no prim is meant."""
    message: str
    """What was found."""
    hint: str
    """What to do."""
