"""From how high the selected object is dropped: an arrow from up there down to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d.viewer._act_arrow import Arrow, Ray
from scene3d.viewer._act_pose import rotation, up_of
from scene3d.viewer._signal import Signal

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from viser import ViserServer

    from scene3d.viewer._acts import Acts

__all__ = ["HIGHEST", "LOWEST", "DropTool"]

LOWEST, HIGHEST = 0.01, 0.5
"""[m]"""
FIRST = 0.1


class DropTool:
    """One height for all objects, and the arrow above the selected one."""

    def __init__(self, acts: Acts, server: ViserServer) -> None:
        self._acts, self._session = acts, acts.session
        self.changed = Signal()
        """Another height."""
        self.height = FIRST
        """[m]"""
        self._arrow = Arrow(server, "/tools/drop", self._dragged)
        self._wanted = False
        self._session.selection_changed.connect(self._draw)
        self._session.moment_changed.connect(self._draw)
        self._session.clock_changed.connect(self._draw)

    def set(self, height: float) -> None:
        """Drop from another height [m], which is kept between `LOWEST` and `HIGHEST`."""
        self.height = float(np.clip(height, LOWEST, HIGHEST))
        self._draw()
        self.changed.send()

    def show(self, wanted: bool) -> None:
        """Whether there is an arrow when something is selected."""
        self._wanted = wanted
        self._draw()

    def hit(self, origin: ArrayLike, direction: ArrayLike) -> bool:
        """Whether a ray meets the ball at the arrow's upper end."""
        return self._arrow.hit(origin, direction)

    def _draw(self) -> None:
        with self._session.lock:
            index, world = self._session.selected, self._session.world
            hidden = not self._wanted or self._session.clock.playing
            if hidden or index is None or world is None or self._acts.why_not(index):
                self._arrow.hide()
                return
            top, radius = self._top(index, up_of(world))
            if not np.isfinite(top).all():
                self._arrow.hide()
                return
            above = top + self.height * up_of(world)
            self._arrow.draw(above, top, radius, above)

    def _dragged(self, ray: Ray) -> None:
        """The upper end follows the pointer along the vertical."""
        with self._session.lock:
            index, world = self._session.selected, self._session.world
            if index is None or world is None:
                return
            up = up_of(world)
            top, _ = self._top(index, up)
            along = ray[1] / np.linalg.norm(ray[1])
            across = 1 - float(along @ up) ** 2
            if across < 1e-4:
                return
            # The point of the vertical that is nearest to the ray.
            offset = top - ray[0]
            self.set(float((along @ up) * (along @ offset) - up @ offset) / across)

    def _top(self, index: int, up: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Over the centre of mass, at the height of the object's highest point; and half its diagonal [m]."""
        body, pose = self._session.scene.objects[index].body, self._session.poses()[index].astype(np.float64)
        R = rotation(pose[3:])
        reach = float(((body.mesh.vertices - body.com) @ (R.T @ up)).max())
        low, high = body.mesh.bounds
        return pose[:3] + R @ body.com + reach * up, float(np.linalg.norm(high - low)) / 2
