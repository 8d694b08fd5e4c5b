"""A scene at one moment, drawn by our own renderer: colours with all their harmonics, depth, or which object is where.

`Moment` says where everything is; `draw` makes the picture, for the gallery of a report and for the viewer's Picture
tab. Unlike the splats of a page it has view-dependent colour, so that it can be compared with a photo.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._frame import Frame
    from scene3d._gaussians import Gaussians
    from scene3d._scene import Scene

__all__ = ["KINDS", "Kind", "Moment", "colours", "draw", "shares_of"]

Kind = Literal["colour", "depth", "objects"]
KINDS: tuple[Kind, ...] = ("colour", "depth", "objects")
TINT = 0.72
"""Share of an object's own hue in the picture of objects."""
SHADE = 0.45
"""Brightness of what is no object there."""


@dataclass(frozen=True, eq=False)
class Moment:
    """A scene and where its objects are."""

    scene: Scene
    poses: NDArray[np.float32]
    """T_world_body of its objects, shape (objects, 7)."""
    particles: NDArray[np.float32] | None = None
    """Positions of all particles of deformables [m], shape (np, 3); None when they are as in the photos."""
    at_rest: bool = True
    """Whether all is as the photos show it."""


def draw(moment: Moment, camera: Camera, kind: Kind = "colour") -> tuple[NDArray[np.uint8], str]:
    """A picture (H, W, 3) sRGB, and a few words on what its colours mean; empty for plain colours.

    Args:
        moment: What is drawn.
        camera: Single view.
        kind: ``colour``, ``depth`` or ``objects``.
    """
    frame = colours(moment, camera)
    rgb = (frame.rgb.clamp(0, 1) * 255).round().byte().cpu().numpy()
    if kind == "depth":
        from scene3d.report._panels import depth_picture, depth_range

        depth, alpha = frame.depth.cpu(), frame.alpha.cpu()
        near, far = depth_range([depth], [alpha])
        unit = " m" if moment.scene.metric else ""
        return np.array(depth_picture(depth, alpha, (near, far))), f"{near:.2f} to {far:.2f}{unit}, near is bright"
    if kind == "objects":
        return _objects(moment, camera, rgb), ""
    return rgb, ""


def colours(moment: Moment, camera: Camera) -> Frame:
    """The frame that the renderer makes."""
    import torch

    from scene3d.render import render

    splats, poses = _splats(moment)
    with torch.no_grad():
        return render(splats, camera.to(splats.means.device), T_world_body=poses)


def shares_of(moment: Moment, camera: Camera) -> NDArray[np.float32]:
    """How much of each pixel the background and each object make up, shape (H, W, 1 + objects)."""
    from scene3d.segment._label_shares import label_shares

    splats, poses = _splats(moment)
    labels = 1 + len(moment.scene.objects)
    return next(label_shares(splats, splats.component_index, labels, [camera], T_world_body=poses))


def _objects(moment: Moment, camera: Camera, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Objects in the hues that reports give them, everything else in a darkened grey."""
    from scene3d.report._label_pictures import colour_of

    count = len(moment.scene.objects)
    shares = shares_of(moment, camera)
    hues = np.array([(0, 0, 0), *(colour_of(index) for index in range(count))], dtype=np.float32)
    grey = rgb.astype(np.float32).mean(axis=-1, keepdims=True)
    own = shares[..., 1:].sum(axis=-1, keepdims=True)
    tinted = (TINT + (1 - TINT) * grey / 128) * (shares[..., 1:] @ hues[1:])
    return np.clip(tinted + (1 - own) * SHADE * grey, 0, 255).astype(np.uint8)


def _splats(moment: Moment) -> tuple[Gaussians, Tensor]:
    """Splats and the poses of their bodies, the background's first."""
    import torch

    scene = moment.scene
    poses = torch.zeros(1 + len(scene.objects), 7)
    poses[0, 3] = 1
    poses[1:] = torch.from_numpy(np.asarray(moment.poses, dtype=np.float32))
    splats = scene.splats.detach()
    if moment.particles is not None:
        splats, poses = _deformed(scene, splats, poses, moment.particles)
    return splats, poses.to(splats.means.device)


def _deformed(
    scene: Scene, splats: Gaussians, poses: Tensor, particles: NDArray[np.float32]
) -> tuple[Gaussians, Tensor]:
    """Splats of deformables where their particles are; they are in the world then, so their poses are identities."""
    import torch

    from scene3d._skinning import deform

    x = torch.from_numpy(np.asarray(particles)).to(splats.means)
    means, quats, shN = splats.means.clone(), splats.quats.clone(), splats.shN.clone()
    first = 0
    for index, thing in enumerate(scene.objects):
        if thing.body.particles is None:
            continue
        count = len(thing.body.particles.points)
        here, first = x[first : first + count], first + count
        if thing.binding is None or not bool(here.isfinite().all()):
            continue
        own = splats.component_index == index + 1
        moved = deform(splats[own], thing.binding, thing.body.particles, here)
        means[own], quats[own], shN[own] = moved.means, moved.quats, moved.shN
        poses[index + 1] = torch.tensor([0.0, 0, 0, 1, 0, 0, 0])
    return replace(splats, means=means, quats=quats, shN=shN), poses
