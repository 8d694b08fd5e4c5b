"""A click on something that is no object yet: the page's ray -> a point on the surface -> one more object.

The ray meets the splats where they are now. Where it meets an object, that is selected; where it meets the background,
the thing there is told apart from what lies around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import SegmentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from scene3d.report._moment import Moment

__all__ = ["Met", "add_clicked", "where_ray_meets"]

AIM = 0.002
"""How well people hit a point, as a share of the distance."""
PIXELS = 9
"""Side of the small picture around the click from which it is told what was hit."""


@dataclass(frozen=True, eq=False)
class Met:
    """What a ray meets first."""

    point: NDArray[np.float64]
    """In the world (3,)."""
    component: int
    """0 the background, i + 1 the scene's object i."""


def where_ray_meets(moment: Moment, origin: ArrayLike, direction: ArrayLike) -> Met:
    """The surface on a ray, at the moment that is shown.

    Args:
        moment: What is shown.
        origin: Of the ray, in the world (3,).
        direction: Of any length above 0 (3,).

    Raises:
        SegmentError: The ray meets nothing.
    """
    import torch

    from scene3d._flatten import in_world
    from scene3d.capture._ray_surface import ray_surface
    from scene3d.report._moment import shares_of

    eye, along = np.asarray(origin, dtype=np.float64), np.asarray(direction, dtype=np.float64)
    camera = _camera(moment, eye, along / np.linalg.norm(along))
    T = camera.T_world_cam.double().numpy()
    poses = torch.zeros(1 + len(moment.poses), 7, dtype=torch.float64)
    poses[0, 3] = 1
    poses[1:] = torch.from_numpy(np.asarray(moment.poses, dtype=np.float64))
    splats = moment.scene.splats.detach().to("cpu")
    rays = np.array([(x, y, 1.0) for x, y in _around(AIM)])
    found = ray_surface(in_world(_plain(splats), poses), T, rays)
    shares = shares_of(moment, camera)[PIXELS // 2, PIXELS // 2]
    if found is None or shares.sum() < 0.3:
        raise SegmentError("Nothing is shown there. Click on the thing itself.")
    return Met(eye + found[0] * T[:3, 2], int(shares.argmax()))


def add_clicked(scene: Any, met: Met, eye: ArrayLike, name: str, tell: Any) -> tuple[Any, str]:
    """The scene with the thing at a point of its background as one more object, and what was found in words.

    Raises:
        SegmentError, UsageError: As `scene3d.segment._add_object.add_object`.
    """
    from scene3d.segment._add_object import add_object

    def said(what: str, share: float) -> None:
        tell(0.6 * share, what)

    changed = add_object(scene, met.point, np.asarray(eye, dtype=np.float64), name, tell=said)
    thing = changed.objects[-1]
    count = int((changed.splats.component_index == len(changed.objects)).sum())
    sure = f"{100 * thing.confidence:.0f} % sure of its outline"
    return changed, f"{thing.name} is an object of {count:,} splats now, {sure}."


def _around(reach: float) -> Sequence[tuple[float, float]]:
    steps = (-reach, 0.0, reach)
    return [(0.0, 0.0), *((x, y) for x in steps for y in steps if x or y)]


def _plain(splats: Any) -> Any:
    """Splats without view-dependent colour, which would be turned for nothing."""
    from dataclasses import replace

    return replace(splats, shN=splats.shN[:, :0])


def _camera(moment: Moment, eye: NDArray[np.float64], along: NDArray[np.float64]) -> Any:
    """A small camera that looks along a ray."""
    import torch

    from scene3d._camera import Camera

    up = torch.tensor(moment.scene.up, dtype=torch.float64)
    T = Camera.look_at(torch.from_numpy(eye), torch.from_numpy(eye + along), up=up)
    return Camera.from_fov(PIXELS, PIXELS, 2 * AIM * PIXELS, T.float())
