"""The splats being fitted, with the state that Adam keeps for each.

A `SplatOptimizer` owns the six arrays, their two moments and one step count per splat, and keeps all of them aligned
when density control drops or adds splats. Splats that are added start with zero moments and a step count of zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d._gaussians import Gaussians

__all__ = ["NAMES", "SplatOptimizer"]

NAMES = ("means", "quats", "scales", "opacities", "sh0", "shN")
"""Arrays that are optimised."""


@dataclass
class SplatOptimizer:
    """Parameters and Adam state of N splats."""

    params: dict[str, Tensor]
    """Stored splat arrays by name, as in `Gaussians`."""
    first: dict[str, Tensor]
    """Running means of the gradients."""
    second: dict[str, Tensor]
    """Running means of the squared gradients."""
    steps: Tensor
    """Steps that each splat has made, int32, shape (N,)."""

    @staticmethod
    def of(splats: Gaussians, sh_degree: int) -> SplatOptimizer:
        """Start from splats, with room for spherical harmonics of the given degree."""
        import torch

        params = {name: getattr(splats, name).detach().clone().contiguous() for name in NAMES}
        rest = (sh_degree + 1) ** 2 - 1
        kept = params["shN"][:, :rest]
        params["shN"] = torch.nn.functional.pad(kept, (0, 0, 0, rest - kept.shape[1])).contiguous()
        return SplatOptimizer(
            params,
            {name: torch.zeros_like(p) for name, p in params.items()},
            {name: torch.zeros_like(p) for name, p in params.items()},
            torch.zeros(len(splats), dtype=torch.int32, device=splats.means.device),
        )

    def __len__(self) -> int:
        return int(self.params["means"].shape[0])

    def splats(self) -> Gaussians:
        """The present splats; shares memory with the parameters."""
        from scene3d._gaussians import Gaussians

        return Gaussians.create(**self.params)

    def replace(self, keep: Tensor, added: dict[str, Tensor]) -> None:
        """Keep the splats that ``keep`` indexes, then append ``added``."""
        import torch

        count = added["means"].shape[0]
        for name in NAMES:
            new = added[name]
            self.params[name] = torch.cat([self.params[name][keep], new]).contiguous()
            for moments in (self.first, self.second):
                moments[name] = torch.cat([moments[name][keep], torch.zeros_like(new)]).contiguous()
        self.steps = torch.cat([self.steps[keep], self.steps.new_zeros(count)]).contiguous()

    def forget(self, index: Tensor) -> None:
        """Clear the state of splats whose values were rewritten."""
        for name in NAMES:
            self.first[name][index] = 0
            self.second[name][index] = 0
        self.steps[index] = 0
