"""Gaussian splats as plain arrays, in the names and the storage that the field uses.

Values are stored before their activation, as in 3DGS files and optimisers: log scales, logit opacities, spherical
harmonics coefficients. Means and orientations are in the frame of the body that a splat rides on, so that moving a
body is one pose. The renderer reads these arrays and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor

__all__ = ["SH_C0", "Gaussians"]

SH_C0 = 0.28209479177387814
"""Spherical harmonic of degree 0; colour = 0.5 + SH_C0 * sh0 [Kerbl 2023]."""


@dataclass(frozen=True)
class Gaussians:
    """N splats."""

    means: Tensor
    """Centres in the body frame [m], shape (N, 3)."""
    quats: Tensor
    """Orientations in the body frame, wxyz, not necessarily normalised, shape (N, 4)."""
    scales: Tensor
    """Logarithm of the standard deviations [log m], shape (N, 3)."""
    opacities: Tensor
    """Logit of the opacity, shape (N,)."""
    sh0: Tensor
    """Degree-0 SH coefficients, RGB, shape (N, 1, 3)."""
    shN: Tensor
    """Higher SH coefficients, RGB, shape (N, (degree + 1)^2 - 1, 3); degree 0 to 3."""
    component_index: Tensor
    """Body that each splat rides on, int32, shape (N,); 0 is the background."""

    def __post_init__(self) -> None:
        n = self.means.shape[0] if self.means.ndim else -1
        expected = {"means": (n, 3), "quats": (n, 4), "scales": (n, 3), "opacities": (n,), "sh0": (n, 1, 3)}
        for name, shape in expected.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ValueError(f"Gaussians.{name} must have shape {shape}, found {tuple(getattr(self, name).shape)}.")
        rest = tuple(self.shN.shape)
        if len(rest) != 3 or rest[0] != n or rest[1] not in (0, 3, 8, 15) or rest[2] != 3:
            raise ValueError(f"Gaussians.shN must have shape ({n}, 0 | 3 | 8 | 15, 3), found {rest}.")
        if tuple(self.component_index.shape) != (n,):
            raise ValueError(f"Gaussians.component_index must have shape ({n},), found {self.component_index.shape}.")

    @staticmethod
    def create(
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        sh0: Tensor,
        shN: Tensor | None = None,
        component_index: Tensor | None = None,
    ) -> Gaussians:
        """Splats of stored values as in the fields; no higher SH and body 0 unless given."""
        import torch

        n = means.shape[0]
        shN = sh0.new_zeros(n, 0, 3) if shN is None else shN
        if component_index is None:
            component_index = torch.zeros(n, dtype=torch.int32, device=means.device)
        return Gaussians(means, quats, scales, opacities, sh0, shN, component_index)

    @staticmethod
    def from_points(
        points: Tensor, colors: Tensor, *, sigma: Tensor | float, opacity: float = 0.5, sh_degree: int = 0
    ) -> Gaussians:
        """Isotropic splats at points (N, 3) [m] with sRGB colours (N, 3) in [0, 1] and deviation ``sigma`` [m]."""
        import math

        import torch

        n = points.shape[0]
        sigma = torch.as_tensor(sigma, dtype=points.dtype, device=points.device).expand(n)
        quats = points.new_zeros(n, 4)
        quats[:, 0] = 1.0
        return Gaussians.create(
            means=points,
            quats=quats,
            scales=sigma.log()[:, None].repeat(1, 3),
            opacities=points.new_full((n,), math.log(opacity / (1 - opacity))),
            sh0=((colors - 0.5) / SH_C0)[:, None, :],
            shN=points.new_zeros(n, (sh_degree + 1) ** 2 - 1, 3),
        )

    @staticmethod
    def cat(parts: Sequence[Gaussians]) -> Gaussians:
        """The splats of several sets; lower SH degrees are padded with zeros."""
        import torch

        rest = max(part.shN.shape[1] for part in parts)
        padded = [replace(p, shN=torch.nn.functional.pad(p.shN, (0, 0, 0, rest - p.shN.shape[1]))) for p in parts]
        return Gaussians(**{f.name: torch.cat([getattr(p, f.name) for p in padded]) for f in fields(Gaussians)})

    def __len__(self) -> int:
        return int(self.means.shape[0])

    @property
    def sh_degree(self) -> int:
        """Degree of the stored spherical harmonics, 0 to 3."""
        return {0: 0, 3: 1, 8: 2, 15: 3}[int(self.shN.shape[1])]

    def __getitem__(self, index: Tensor | slice) -> Gaussians:
        """The splats that a mask, an index tensor or a slice selects."""
        return Gaussians(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Gaussians:
        """The same splats on another device or in another precision (the component index stays int32)."""
        moved = {f.name: getattr(self, f.name).to(device, dtype) for f in fields(self) if f.name != "component_index"}
        return Gaussians(**moved, component_index=self.component_index.to(device))

    def detach(self) -> Gaussians:
        """The same values outside the autograd graph."""
        return Gaussians(**{f.name: getattr(self, f.name).detach() for f in fields(self)})

    def requires_grad_(self, requires_grad: bool = True) -> Gaussians:
        """Switch gradients of all float arrays in place; returns self."""
        for f in fields(self):
            if f.name != "component_index":
                getattr(self, f.name).requires_grad_(requires_grad)
        return self
