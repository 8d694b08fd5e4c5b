"""An arrow with a ball at its tip that can be dragged: what the push and the drop tool are in the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from viser import SceneNodeDragEvent, ViserServer

__all__ = ["Arrow", "Ray"]

Ray = tuple["NDArray[np.float64]", "NDArray[np.float64]"]
"""Origin (3,) and direction (3,), in the world."""
SHAFT, HEAD, HEAD_LENGTH, BALL = 0.06, 0.16, 0.35, 0.1
"""Radii and length, over the size of the arrow's object."""
ORANGE = (225, 80, 0)
WHITE = (255, 255, 255)


class Arrow:
    """Two nodes: the arrow itself, and the ball; they are there while `draw` says so."""

    def __init__(self, server: ViserServer, name: str, dragged: Callable[[Ray], None]) -> None:
        self._server, self._name, self._on_drag = server, name, dragged
        self._arrow: Any = None
        self._ball: Any = None
        self._size = 0.0
        self._tip = np.zeros(3)

    def draw(self, start: NDArray[np.float64], tip: NDArray[np.float64], size: float, ball: ArrayLike) -> None:
        """From a point to another (3,), of an object so large [m]; the ball is at a third point."""
        points = np.stack([start, tip])[None].astype(np.float32)
        self._tip = np.asarray(ball, dtype=np.float64)
        if self._arrow is not None and size == self._size:
            self._arrow.points = points
            self._ball.position = self._tip
            return
        self.hide()
        self._size = size
        scene = self._server.scene
        self._arrow = scene.add_arrows(
            self._name,
            points,
            ORANGE,
            shaft_radius=SHAFT * size,
            head_radius=HEAD * size,
            head_length=HEAD_LENGTH * size,
        )
        self._ball = scene.add_icosphere(
            f"{self._name}_ball", BALL * size, WHITE, subdivisions=2, cast_shadow=False, position=self._tip
        )
        self._ball.on_drag(self._dragged)

    def hide(self) -> None:
        """Take it away."""
        for handle in (self._arrow, self._ball):
            if handle is not None:
                handle.remove()
        self._arrow = self._ball = None

    def hit(self, origin: ArrayLike, direction: ArrayLike) -> bool:
        """Whether a ray meets the ball, so that a click on it selects nothing behind it."""
        if self._ball is None:
            return False
        along = np.asarray(direction, dtype=np.float64) / np.linalg.norm(direction)
        to_tip = self._tip - np.asarray(origin, dtype=np.float64)
        return float(np.linalg.norm(to_tip - (to_tip @ along) * along)) < 1.5 * BALL * self._size

    # Asynchronous, so that what the page sends first is done first.
    async def _dragged(self, event: SceneNodeDragEvent[Any]) -> None:
        if event.target is not self._ball or event.phase == "end":
            return
        origin = np.asarray(event.client.camera.position, dtype=np.float64)
        ray = (origin, np.asarray(event.end_position, dtype=np.float64) - origin)
        if np.isfinite(ray).all() and np.linalg.norm(ray[1]) > 0:
            self._on_drag(ray)
