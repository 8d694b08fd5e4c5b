"""What a body is made of: density, friction and restitution, each with how unsure one is of it.

Presets come from configs/materials.yaml. Photos do not show mass, so a body whose material nobody named is `unknown`:
log-normal priors wide enough for plush and for stoneware, which flow into every spread that is printed.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Material"]


@dataclass(frozen=True)
class Material:
    """Medians of log-normal priors, and their spreads as the standard deviation of the natural logarithm."""

    name: str
    """Name of the preset."""
    density: float
    """Mass over the volume of the collider, air inside included [kg/m^3]."""
    density_log_std: float
    """Spread of `density`; 0 when it is known."""
    friction: float
    """Coulomb coefficient against a table."""
    friction_log_std: float
    """Spread of `friction`."""
    restitution: float
    """Speed after over speed before an impact, 0 to 1."""
    restitution_std: float = 0.1
    """Standard deviation of `restitution`, before it is cut to [0, 1]."""
    youngs_modulus: float | None = None
    """Stiffness of a deformable [Pa]; None for a rigid material."""
    youngs_modulus_log_std: float = 1.0
    """Spread of `youngs_modulus`."""
    poisson_ratio: float = 0.3
    """Of a deformable, -1 to 0.5."""
