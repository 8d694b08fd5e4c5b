"""Poses over time, ready to be shown: what a rollout becomes for the viewer.

A track has F futures of the same length. Future f at frame t is `poses[f, t]`. Futures that hold what is no number are
marked in `bad` and never drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._pose_paths import poses_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dynamics import Rollout
    from scene3d._rollout_folder import SavedRollout
    from scene3d._simulate import Simulation

__all__ = ["Track", "saved_name", "saved_track", "still_track", "track_of"]

AT_REST = 1e-5
"""Particles that are nearer to where they were have not moved [m]."""
MOVED, TURNED = 0.002, 0.03
"""Bodies that go or turn by less do not count as moving [m, rad]."""


@dataclass(frozen=True, eq=False)
class Track:
    """F futures over T frames of nb bodies (the scene's objects come first, in their order)."""

    name: str
    """As people see it, e.g. ``003`` for a saved rollout."""
    dt: float
    """Between two frames [s]."""
    poses: NDArray[np.float32]
    """T_world_body, xyz [m] + wxyz, shape (F, T, nb, 7)."""
    twist: NDArray[np.float32]
    """Linear [m/s] and angular [rad/s] velocity, world axes, shape (F, T, nb, 6)."""
    bad: NDArray[np.bool_]
    """Futures that hold what is no number, shape (F,)."""
    rollout: Rollout | None = None
    """What it was made of; None for a still scene."""
    document: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Outcomes, guard, support: what `Simulation.document` says."""
    saved: bool = False
    """Whether it lies in the scene folder."""
    branch: tuple[str, float] | None = None
    """Track and time [s] that it branched off; None when it began with the photos."""
    id: str = ""
    """Of the rollout in the scene folder; empty when it does not lie there."""
    simulation: Simulation | None = None
    """What made it in this session, for saving it; None when it was read."""

    @property
    def duration(self) -> float:
        """Of the whole track [s]."""
        return self.dt * (self.poses.shape[1] - 1)

    @property
    def futures(self) -> int:
        """How many."""
        return int(self.poses.shape[0])

    def frame(self, time: float) -> int:
        """The frame nearest to a time [s]."""
        return int(np.clip(round(time / self.dt), 0, self.poses.shape[1] - 1))

    def poses_at(self, future: int, time: float) -> NDArray[np.float32]:
        """Poses (nb, 7) at a time [s], between frames as `scene3d._pose_paths.poses_at` has them."""
        last = self.poses.shape[1] - 1
        at = float(np.clip(time / self.dt, 0, last))
        low = int(at)
        if at == low:
            return self.poses[future, low].copy()
        ends = self.poses[future, low : low + 2].swapaxes(0, 1)
        return poses_at(np.array([0.0, 1.0]), ends, np.array([at - low]))[:, 0].astype(np.float32)

    @cached_property
    def moves(self) -> NDArray[np.bool_]:
        """Bodies that some future moves, shape (nb,)."""
        poses = self.poses[~self.bad]
        if not len(poses):
            return np.zeros(self.poses.shape[2], dtype=bool)
        away = np.linalg.norm(poses[..., :3] - poses[:, :1, :, :3], axis=-1).max(axis=(0, 1))
        cosine = np.abs((poses[..., 3:] * poses[:, :1, :, 3:]).sum(axis=-1)).min(axis=(0, 1))
        return (away > MOVED) | (2 * np.arccos(np.clip(cosine, 0, 1)) > TURNED)

    @cached_property
    def deforms(self) -> NDArray[np.bool_]:
        """Futures in which particles move in their bodies' frames or with them, shape (F,)."""
        none = np.zeros(self.futures, dtype=bool)
        x = None if self.rollout is None else self.rollout.x
        # What is held has no stride in time: then nobody needs to compare.
        if x is None or x.shape[2] == 0 or x.stride(1) == 0:
            return none
        # Written so that what is no number counts as motion, and is then not drawn.
        return ~((x - x[:, :1]).abs().amax(dim=(1, 2, 3)) < AT_REST).cpu().numpy()

    def particles_at(self, future: int, time: float) -> NDArray[np.float32] | None:
        """Particles of all deformables in the world (np, 3), of the nearest frame; None if they never move."""
        if self.rollout is None or not self.deforms[future]:
            return None
        return self.rollout.x[future, self.frame(time)].detach().float().cpu().numpy()


def saved_track(saved: SavedRollout) -> Track:
    """The track of a rollout that lies in the scene folder, under a name that says what was done."""
    document = saved.document
    origin, moment = document.get("branch_of"), document.get("branch_time")
    branch = None if origin is None else (str(origin), float(moment or 0.0))
    name = saved_name(saved.id, saved.deeds, branch)
    document = {**document, "deeds": list(saved.deeds)}
    return track_of(name, saved.rollout, document=document, saved=True, branch=branch, id=saved.id)


def saved_name(id: str, deeds: Sequence[str], branch: tuple[str, float] | None) -> str:
    """What a rollout in the scene folder is called: its id, what it branched off, and what was done."""
    after = "" if branch is None else f"{branch[0]} at {branch[1]:.1f} s, "
    done = ", ".join(deed.split(",", 1)[0] for deed in deeds) or "nothing is done"
    return f"{id}: {after}{done}"


def track_of(name: str, rollout: Rollout, **more: Any) -> Track:
    """The track of a rollout; keyword arguments are fields of `Track`."""
    poses = rollout.T_world_body.detach().float().cpu().numpy()
    twist = rollout.twist.detach().float().cpu().numpy()
    turned = np.linalg.norm(poses[..., 3:], axis=-1) > 0.5
    good = np.isfinite(poses).all(axis=(1, 2, 3)) & np.isfinite(twist).all(axis=(1, 2, 3)) & turned.all(axis=(1, 2))
    bad = np.asarray(~good)
    return Track(name, float(rollout.dt), poses, twist, bad, rollout, **more)


def still_track(name: str, poses: NDArray[np.float32]) -> Track:
    """A track of one frame: the scene as it stands, poses (nb, 7)."""
    poses = np.asarray(poses, dtype=np.float32)[None, None]
    return Track(name, 1.0, poses, np.zeros((*poses.shape[:3], 6), np.float32), np.zeros(1, bool))
