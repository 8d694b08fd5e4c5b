"""Clicks in the scene: on an object they select it, beside all objects they select none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scene3d.viewer._act_pose import rotation
from scene3d.viewer._pick import pick

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from viser import SceneClickEvent, ViserServer

    from scene3d.viewer._drop_tool import DropTool
    from scene3d.viewer._gizmo import Gizmo
    from scene3d.viewer._push_tool import PushTool
    from scene3d.viewer._session import Session

__all__ = ["select_by_click", "to_the_right"]


def select_by_click(session: Session, server: ViserServer, push: PushTool, drop: DropTool, gizmo: Gizmo) -> None:
    """Listen to clicks, as long as no other tool has them.

    Those on arrows, handles and the capture's cameras are none on what is behind.
    """

    def clicked(event: SceneClickEvent) -> None:
        ray = event.ray_origin, event.ray_direction
        if session.tool or push.hit(*ray) or drop.hit(*ray) or any(hit(*ray) for hit in session.shields):
            return
        with session.lock:
            push.facing = to_the_right(event.client.camera.wxyz)
            hit = pick(session.scene, session.poses(), *ray)
            if hit is not None or not gizmo.near(*ray):
                session.select(hit)

    server.scene.on_click()(clicked)


def to_the_right(wxyz: ArrayLike) -> NDArray[np.float64]:
    """Unit vector (3,) to the right of a camera, in the world."""
    return rotation(wxyz)[:, 0]
