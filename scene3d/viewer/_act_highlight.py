"""What is selected, in the page: the corners of the box around its collider, which follow the body."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d.viewer._act_pose import diagonal

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from viser import ViserServer

    from scene3d.viewer._session import Session

__all__ = ["BRAND", "Highlight", "corners"]

BRAND = (38, 110, 180)
ARM = 0.22
"""Length of the lines at a corner, over the side that they lie on."""
LEAST = 0.3
"""And at least this share of the shortest side, at most half of a side."""
AWAY = 0.04
"""Distance of the box from the collider, over its diagonal."""
THICK = 0.012
"""Of the lines, over the diagonal."""


class Highlight:
    """Follows the selection and the moment."""

    def __init__(self, session: Session, server: ViserServer) -> None:
        self._session, self._server = session, server
        self._lines: Any = None
        session.selection_changed.connect(self._renew)
        session.moment_changed.connect(self._follow)
        self._renew()

    def _renew(self) -> None:
        with self._session.lock:
            if self._lines is not None:
                self._lines.remove()
                self._lines = None
            index = self._session.selected
            if index is None:
                return
            bounds = self._session.scene.objects[index].body.mesh.bounds
            thickness = THICK * diagonal(self._session.scene, index)
            self._lines = self._server.scene.add_line_segments(
                "/tools/selected", corners(bounds), BRAND, thickness=thickness
            )
            self._follow()

    def _follow(self) -> None:
        with self._session.lock:
            index = self._session.selected
            if index is None or self._lines is None:
                return
            pose = self._session.poses()[index]
            if np.isfinite(pose).all():
                self._lines.position, self._lines.wxyz = pose[:3], pose[3:]


def corners(bounds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Three lines at each corner of a box (2, 3), a little outside of it, shape (24, 2, 3)."""
    sides = bounds[1] - bounds[0]
    middle, half = bounds.mean(axis=0), sides / 2 + AWAY * np.linalg.norm(sides)
    arms = np.minimum(np.maximum(ARM * 2 * half, LEAST * 2 * half.min()), half)
    lines: list[NDArray[np.float64]] = []
    for signs in product((-1.0, 1.0), repeat=3):
        corner = middle + np.array(signs) * half
        for axis in range(3):
            end = corner.copy()
            end[axis] -= signs[axis] * arms[axis]
            lines.append(np.stack([corner, end]))
    return np.array(lines, dtype=np.float32)
