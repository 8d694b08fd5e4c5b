"""Handles to put the selected object elsewhere, at its centre of mass.

The page sends some twenty poses a second while somebody drags; the object goes along, kept above what it would sink
into. When it is let go, or whoever dragged leaves, the handles go to where the object really is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d.viewer._act_pose import diagonal, kept_above, rotation

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from viser import TransformControlsEvent, ViserServer

    from scene3d.viewer._acts import Acts

__all__ = ["Gizmo"]

SIZE = 1.1
"""Of the handles, over the diagonal of the object."""
NEAR = 1.4
"""Reach of the handles, over their size."""


class Gizmo:
    """Follows the selection and the moment while it is wanted."""

    def __init__(self, acts: Acts, server: ViserServer) -> None:
        self._acts, self._server = acts, server
        self._session = acts.session
        self._handle: Any = None
        self._index: int | None = None
        self._held = False
        self._wanted = False
        self._session.selection_changed.connect(self._renew)
        self._session.moment_changed.connect(self._follow)

    def show(self, wanted: bool) -> None:
        """Whether there are handles when something is selected."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._renew()

    def near(self, origin: ArrayLike, direction: ArrayLike) -> bool:
        """Whether a ray passes the handles, so that a click that misses them by a hair does not take them away."""
        if self._handle is None:
            return False
        along = np.asarray(direction, dtype=np.float64) / np.linalg.norm(direction)
        to_middle = np.asarray(self._handle.position, dtype=np.float64) - np.asarray(origin, dtype=np.float64)
        return float(np.linalg.norm(to_middle - (to_middle @ along) * along)) < NEAR * self._handle.scale

    def _renew(self) -> None:
        with self._session.lock:
            if self._handle is not None:
                if self._held:
                    self._acts.end_move()
                self._handle.remove()
            self._handle, self._held = None, False
            self._index = self._session.selected if self._wanted and self._session.world is not None else None
            if self._index is None:
                return
            # With a depth, or splats, which are drawn last, would cover it wherever it is.
            size = SIZE * diagonal(self._session.scene, self._index)
            self._handle = self._server.scene.add_transform_controls("/tools/gizmo", scale=size)
            self._handle.on_update(self._dragged)
            self._follow()

    def _follow(self) -> None:
        with self._session.lock:
            if self._handle is None or self._index is None or self._held:
                return
            pose = self._session.poses()[self._index]
            if np.isfinite(pose).all():
                self._handle.position, self._handle.wxyz = pose[:3] + self._arm(pose[3:]), pose[3:]

    # Asynchronous: such callbacks run one after the other, in the order in which the page sent its messages.
    async def _dragged(self, event: TransformControlsEvent) -> None:
        with self._session.lock:
            if event.target is not self._handle or self._index is None:
                return
            if event.phase == "start":
                self._held = True
                self._acts.begin_move(self._index)
            elif event.phase == "end":
                self._held = False
                self._acts.end_move()
                self._follow()
            else:
                self._held = True
                self._acts.move(self._index, self._wished(event.target.position, event.target.wxyz))

    def _wished(self, position: NDArray[np.float64], wxyz: NDArray[np.float64]) -> NDArray[np.float32]:
        """The object's pose (7,) for a pose of the handles."""
        session, index = self._session, self._index
        assert session.world is not None and index is not None
        pose = np.concatenate([np.asarray(position) - self._arm(wxyz), wxyz])
        if not np.isfinite(pose).all():
            return pose.astype(np.float32)
        return kept_above(session.world, session.poses(), index, pose, objects=len(session.scene.objects))

    def _arm(self, wxyz: NDArray[Any]) -> NDArray[np.float64]:
        """From the origin of the object's frame to its centre of mass, in the world."""
        assert self._index is not None
        return rotation(wxyz) @ self._session.scene.objects[self._index].body.com
