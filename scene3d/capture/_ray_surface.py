"""Where a ray meets the surface of splats.

A renderer's depth is a mean over everything along the ray, and of splat centres, which lie up to a splat's size off a
slanted surface. Here each splat near the ray counts with the place where the ray passes through its middle and with the
weight that it has in the picture; the surface is where most of the weight lies together, and how much lies elsewhere
says how sure that is. People click on edges, so a few rays around the pixel are asked too; of two surfaces the near
one is meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d._gaussians import Gaussians

__all__ = ["ray_surface"]

SOLID = 0.5
"""Opacity along a ray from which it meets a surface."""
LEAST_SOLID = 0.3
"""Share of the rays that must meet one."""
LAYER = 0.02
"""Depths within this share of each other are one layer."""
TWO_SURFACES = 0.05
"""Rays whose depths differ by more than this share see two surfaces."""
LEAST_ALPHA = 1.0 / 255.0
ONE_SIGMA = 0.683
"""Share of a normal distribution within one standard deviation."""


def ray_surface(
    splats: Gaussians, T_world_cam: NDArray[np.float64], rays: NDArray[np.float64]
) -> tuple[float, float] | None:
    """Depth of the surface on the first ray, and its standard error; None when there is no surface.

    Args:
        splats: Splats of the background, in the world.
        T_world_cam: Camera pose, shape (4, 4).
        rays: Directions in the camera's frame with z = 1, shape (R, 3): the ray itself, then rays around it.
    """
    near = _near(splats, T_world_cam, rays)
    if near is None:
        return None
    order = np.argsort(near.depth, kind="stable")
    passing = np.clip(near.passing, near.depth - near.reach, near.depth + near.reach)[order]
    found = []
    for squared in near.across:
        alpha = np.minimum(0.999, near.opacity * np.exp(-0.5 * squared))[order]
        alpha[alpha < LEAST_ALPHA] = 0.0
        weight = alpha * np.concatenate([[1.0], np.cumprod(1 - alpha)[:-1]])
        if weight.sum() >= SOLID:
            found.append(_layer(passing, weight))
    if len(found) < LEAST_SOLID * len(rays):
        return None
    return _near_surface(np.array(found), len(rays))


@dataclass(frozen=True)
class _Near:
    """The M splats near R rays."""

    depth: NDArray[np.float64]
    """Camera z of their centres, shape (M,)."""
    passing: NDArray[np.float64]
    """Depth at which the first ray is nearest to each splat's middle in the splat's own measure, shape (M,)."""
    reach: NDArray[np.float64]
    """How far in depth a splat may be met from its centre; one seen along its plane says anything, shape (M,)."""
    across: NDArray[np.float64]
    """Squared distance of each ray from each centre, in standard deviations, shape (R, M)."""
    opacity: NDArray[np.float64]
    """Opacities, shape (M,)."""


def _near(splats: Gaussians, T_world_cam: NDArray[np.float64], rays: NDArray[np.float64]) -> _Near | None:
    from scipy.spatial.transform import Rotation

    means = splats.means.detach().double().cpu().numpy() - T_world_cam[:3, 3]
    sigma = np.maximum(np.exp(splats.scales.detach().double().cpu().numpy()), 1e-12)
    local = means @ T_world_cam[:3, :3]
    spread = np.linalg.norm(rays - rays[0], axis=1).max() * np.abs(local[:, 2])
    off = np.linalg.norm(local - local[:, 2:] * rays[0], axis=1)
    size = sigma.max(axis=1)
    index = np.flatnonzero((local[:, 2] > 1e-6) & (off < 4 * size + spread))
    if not len(index):
        return None
    w, x, y, z = splats.quats.detach().double().cpu().numpy()[index].T
    w = np.where(w * w + x * x + y * y + z * z > 0, w, 1.0)
    R = Rotation.from_quat(np.stack([x, y, z, w], axis=1)).as_matrix()
    a = np.einsum("nij,ri->rnj", R, rays @ T_world_cam[:3, :3].T) / sigma[index]
    b = np.einsum("nij,ni->nj", R, means[index]) / sigma[index]
    aa, ab, bb = (a * a).sum(axis=-1), (a * b).sum(axis=-1), (b * b).sum(axis=-1)
    opacity = 1 / (1 + np.exp(-splats.opacities.detach().double().cpu().numpy()[index]))
    return _Near(local[index, 2], ab[0] / aa[0], 2 * size[index], np.maximum(bb - ab * ab / aa, 0.0), opacity)


def _layer(depth: NDArray[np.float64], weight: NDArray[np.float64]) -> tuple[float, float]:
    """Middle of the layer that holds most weight, and how far from it most of all weight lies."""
    order = np.argsort(depth)
    depth, weight = depth[order], weight[order]
    total = np.concatenate([[0.0], np.cumsum(weight)])
    end = np.searchsorted(depth, depth * (1 + LAYER) + 1e-12, side="right")
    held = total[end] - total[:-1]
    first = int(np.argmax(held))
    inside = slice(first, end[first])
    middle = _quantile(depth[inside], weight[inside], 0.5)
    return middle, _quantile(np.abs(depth - middle), weight, ONE_SIGMA)


def _quantile(values: NDArray[np.float64], weight: NDArray[np.float64], share: float) -> float:
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(total, share * total[-1])])


def _near_surface(found: NDArray[np.float64], rays: int) -> tuple[float, float]:
    """Depth and error of what the rays found (R, 2); of two surfaces the near one, unless a few stray rays make it."""
    while np.ptp(found[:, 0]) > TWO_SURFACES * np.median(found[:, 0]):
        middle = (found[:, 0].min() + found[:, 0].max()) / 2
        near = found[:, 0] < middle
        found = found[near] if near.sum() >= 0.2 * rays else found[~near]
    depth, error = np.median(found, axis=0)
    return float(depth), float(max(error, 1.48 * np.median(np.abs(found[:, 0] - depth))))
