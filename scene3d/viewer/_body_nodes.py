"""The scene in the page: a frame for each body, its splats below it, sent once; then only poses.

`/bodies/NAME` is the frame of object NAME, `/bodies/NAME/splats` its splats; `/background/splats` stays. Other layers
hang what rides on a body below its frame. Splats that change shape are the exception: `DeformedSplats` sends those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d.viewer._deformed import DeformedSplats
from scene3d.viewer._level_of_detail import MOST_SPLATS
from scene3d.viewer._painter import Painter
from scene3d.viewer._splat_arrays import MAGNIFIED, SceneArrays, scene_arrays

if TYPE_CHECKING:
    from viser import ViserServer

    from scene3d.viewer._session import Session

__all__ = ["BodyNodes"]


USUAL_SIDE = 0.15
"""Of the objects on a table [m]."""


class BodyNodes:
    """Frames and splats of the present scene."""

    def __init__(self, session: Session, server: ViserServer, most: int = MOST_SPLATS, *, veiled: bool = False) -> None:
        self._session, self._server, self._most = session, server, most
        self.frames: list[Any] = []
        """Frame handles of the scene's objects, in their order."""
        self.splats: list[Any] = []
        """Splat handles: the background's, then the objects'."""
        self.arrays: SceneArrays | None = None
        """What was sent."""
        self.painter = Painter(session.jobs.report)
        """Draws what need not be there at once."""
        self._visible = self._objects = True
        self._veiled = veiled
        session.scene_changed.connect(self._build)
        session.moment_changed.connect(self._move)
        self._deformed = DeformedSplats(session, self)
        self._build()

    def frame_path(self, index: int) -> str:
        """Name of the frame node of an object."""
        return f"/bodies/{self._session.scene.objects[index].name}"

    @property
    def size(self) -> float:
        """How large things are drawn that have no size of their own: 1 for a table in metres."""
        scene = self._session.scene
        if not scene.objects:
            return 1.0
        sides = [float(np.ptp(np.asarray(thing.body.mesh.vertices), axis=0).max()) for thing in scene.objects]
        return float(np.clip(np.median(sides) / USUAL_SIDE, 0.1, 1e3))

    def show_splats(self, visible: bool) -> None:
        """Show or hide all splats."""
        self._visible = visible
        self._switch()

    def show_objects(self, visible: bool) -> None:
        """Show or hide the splats of objects, when all are shown."""
        self._objects = visible
        self._switch()

    def unveil(self) -> None:
        """Splats that were to be hidden for the time being, ``veiled``, need not be any more."""
        self._veiled = False
        self._switch()

    def _switch(self) -> None:
        visible = self._visible and not self._veiled
        with self._server.atomic():
            for place, handle in enumerate(self.splats):
                handle.visible = visible and (place == 0 or self._objects)

    def close(self) -> None:
        """Draw nothing any more."""
        self.painter.stop()

    def _build(self) -> None:
        for handle in (*self.splats, *self.frames):
            handle.remove()
        scene = self._session.scene
        add = self._server.scene
        self.arrays = arrays = scene_arrays(scene, self._most)
        self.frames = [add.add_frame(self.frame_path(index), show_axes=False) for index in range(len(scene.objects))]
        paths = ["/background", *(self.frame_path(index) for index in range(len(scene.objects)))]
        self.splats = [
            add.add_gaussian_splats(
                f"{path}/splats",
                part.centers,
                part.covariances,
                part.rgbs,
                part.opacities,
                scale=1 / MAGNIFIED,
                visible=False,
            )
            for path, part in zip(paths, arrays.parts, strict=True)
        ]
        self._switch()
        self._move()

    def _move(self) -> None:
        poses = self._session.poses()
        with self._server.atomic():
            for frame, pose in zip(self.frames, poses, strict=False):
                if np.isfinite(pose).all():
                    frame.position, frame.wxyz = pose[:3], pose[3:]
