"""Splats of objects <-> splats in the world: `in_world` applies the poses of bodies, `into_bodies` takes them off.

Both move the centre, turn the covariance and turn view-dependent colour (SH), so that renders stay what they were.
`flatten` makes a scene without objects: what segmentation starts from, and what splat files and viewers of other
programs can show.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d._gaussians import Gaussians
    from scene3d._scene import Scene

__all__ = ["flatten", "in_world", "into_bodies"]


def flatten(scene: Scene) -> Scene:
    """The same scene with all splats in the world's frame, as background, and without objects.

    Splats that were made up to fill the holes under objects are left out: with the objects back in the background
    they would only be hidden by them. Supports, which are of the world, stay; joints join objects
    and go.
    """
    import torch

    splats = scene.splats
    if scene.filled:
        background = (splats.component_index == 0).nonzero()[:, 0]
        kept = torch.ones(len(splats), dtype=torch.bool, device=splats.means.device)
        kept[background[len(background) - scene.filled :]] = False
        splats = splats[kept]
    poses = [(0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0), *(thing.T_world_body for thing in scene.objects)]
    splats = in_world(splats, torch.tensor(poses, dtype=torch.float64)) if scene.objects else splats
    return replace(scene, splats=splats, objects=(), joints=(), filled=0)


def in_world(splats: Gaussians, T_world_body: Tensor) -> Gaussians:
    """Splats of bodies, expressed in the world's frame; all of them become background (component 0).

    Args:
        splats: In the frames of the bodies that their `component_index` names.
        T_world_body: Poses xyz + wxyz of all bodies, the background first, shape (1 + objects, 7).

    Raises:
        ValueError: A splat rides on a body that has no pose.
    """
    import torch

    moved = _moved(splats, splats.component_index, T_world_body)
    return replace(moved, component_index=torch.zeros_like(splats.component_index))


def into_bodies(splats: Gaussians, component_index: Tensor, T_world_body: Tensor) -> Gaussians:
    """Splats of the world, expressed in the frames of the bodies that they are to ride on: inverse of `in_world`.

    Args:
        splats: In the world's frame, shape (N,); their own `component_index` is ignored.
        component_index: Body of each splat, int32, shape (N,); 0 is the background.
        T_world_body: Poses xyz + wxyz of all bodies, the background first, shape (1 + objects, 7).

    Raises:
        ValueError: A splat rides on a body that has no pose.
    """
    from dynamics.poses import invert

    unit = _unit(T_world_body)
    moved = _moved(splats, component_index, invert(unit))
    return replace(moved, component_index=component_index.to(splats.component_index))


def _unit(poses: Tensor) -> Tensor:
    import torch

    poses = poses.detach().double()
    return torch.cat([poses[:, :3], torch.nn.functional.normalize(poses[:, 3:], dim=-1)], dim=-1)


def _moved(splats: Gaussians, component_index: Tensor, T: Tensor) -> Gaussians:
    """Splats after the pose (C, 7) of their component, computed in float64; those with the identity keep every bit."""
    import torch

    from dynamics.poses import multiply, rotation_from_wxyz, transform_points
    from scene3d._sh_rotation import rotate_sh

    last = int(component_index.max()) if len(splats) else 0
    if last >= len(T):
        raise ValueError(f"Splats ride on body {last}, but there are poses of {len(T)} only.")
    T = _unit(T).to(splats.means.device)
    means, quats, shN = splats.means.clone(), splats.quats.clone(), splats.shN.clone()
    still = T.new_tensor([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    for body in range(len(T)):
        own = component_index == body
        if torch.equal(T[body], still) or not bool(own.any()):
            continue
        means[own] = transform_points(T[body], splats.means[own].double()).to(means.dtype)
        quats[own] = multiply(T[body, 3:], splats.quats[own].double()).to(quats.dtype)
        shN[own] = rotate_sh(splats.shN[own], rotation_from_wxyz(T[body, 3:]))
    return replace(splats, means=means, quats=quats, shN=shN)
