"""What the session shows now, as our own renderer draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d.report._moment import Moment

if TYPE_CHECKING:
    from scene3d.viewer._session import Session

__all__ = ["moment_of"]

AT_REST = 1e-5
"""Poses that differ by less count as those of the photos [m, and parts of a unit quaternion]."""


def moment_of(session: Session) -> Moment:
    """What the session shows now; an object whose pose is no number is drawn where the photos show it."""
    with session.lock:
        scene, poses = session.scene, session.poses()
        particles = session.particles()
    count = len(scene.objects)
    rest = np.array([thing.T_world_body for thing in scene.objects], dtype=np.float32).reshape(-1, 7)
    poses = np.asarray(poses[:count], dtype=np.float32)
    poses = np.where(np.isfinite(poses).all(axis=1, keepdims=True), poses, rest)
    at_rest = particles is None and bool((np.abs(poses - rest) < AT_REST).all())
    return Moment(scene, rest if at_rest else poses, particles, at_rest)
