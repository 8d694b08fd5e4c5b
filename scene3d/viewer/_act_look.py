"""Bringing the selected object into the page's view: the view keeps its direction and goes to where the object is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d.viewer._act_pose import rotation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d.viewer._session import Session

__all__ = ["look_at_selected", "sees_selected"]

AWAY = 4.0
"""Distance from the object, over that at which it fills the view."""


def look_at_selected(session: Session, client: Any) -> str:
    """Move the view of a client; returns why not, or nothing."""
    found = _middle(session)
    if found is None:
        return "Choose an object first: click it, or take it from the list."
    middle, size = found
    camera = client.camera
    ahead = np.asarray(camera.look_at) - np.asarray(camera.position)
    ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-9)
    away = AWAY * size / 2 / float(np.tan(camera.fov / 2))
    with client.atomic():
        camera.position = middle - away * ahead
        camera.look_at = middle
    return ""


def sees_selected(session: Session, client: Any) -> bool:
    """Whether the middle of the selected object is in the view of a client; True when there is none."""
    found = _middle(session)
    if found is None:
        return True
    camera = client.camera
    x, y, z = rotation(camera.wxyz).T @ (found[0] - np.asarray(camera.position))
    reach = float(np.tan(camera.fov / 2)) * z
    return bool(z > 0 and abs(y) < reach and abs(x) < reach * camera.aspect)


def _middle(session: Session) -> tuple[NDArray[np.float64], float] | None:
    """Of the box around the selected object in the world (3,), and its diagonal [m]; None where there is none."""
    with session.lock:
        if session.selected is None:
            return None
        low, high = session.scene.objects[session.selected].body.mesh.bounds
        pose = session.poses()[session.selected].astype(np.float64)
    if not np.isfinite(pose).all():
        return None
    return pose[:3] + rotation(pose[3:]) @ ((low + high) / 2), float(np.linalg.norm(high - low))
