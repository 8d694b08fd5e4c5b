"""Other futures and other rollouts at the moment shown: translucent bodies, a colour for each, of what moves.

A ghost is a node of some splats on the surface of a collider, sent once; then only its pose. Ghosts that stand where
the splats of their body are drawn are hidden, for they would only tint them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d.viewer._layer import Layer
from scene3d.viewer._mesh_splats import add_splats, mesh_splats
from scene3d.viewer._palette import ghost_color, other_color

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dynamics import TriangleMesh
    from scene3d.viewer._splat_arrays import SplatArrays
    from scene3d.viewer._track import Track

__all__ = ["FutureLayer", "Ghost", "OtherTrackLayer", "stands_apart"]

MOST_GHOSTS = 16
"""More than so many are a fog."""
ALL_SPLATS = 30_000
"""Of all ghosts together, shared out evenly..."""
FEWEST, MOST = 250, 1000
"""...within these bounds."""
THICK, THIN, DENSE = 0.2, 0.05, 0.9
"""Opacity of a ghost: `DENSE` over how many there are, within these bounds."""
APART, TURNED = 0.008, 0.12
"""Ghosts nearer to what is shown are hidden [m, rad]."""


@dataclass(frozen=True)
class Ghost:
    """One future of one track."""

    track: Track
    future: int
    color: tuple[int, int, int]


class _Ghosts(Layer):
    """A node for each ghost of each body that moves."""

    moves = True

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._count, self._opacity = MOST, THICK
        self._bodies: dict[tuple[int, int], tuple[TriangleMesh, SplatArrays]] = {}
        """Splats of the bodies' meshes, made when first needed."""
        self._held: list[Track] = []

    def ghosts(self) -> list[Ghost]:
        """Which; called with the session's lock held."""
        raise NotImplementedError

    def draw(self) -> None:
        with self.session.lock:
            scene, time, shown = self.session.scene, self.session.clock.time, self.session.poses()
            ghosts = self.ghosts()
        count = sum(int(ghost.track.moves[: len(scene.objects)].sum()) for ghost in ghosts)
        self._count = int(np.clip(ALL_SPLATS // max(count, 1), FEWEST, MOST))
        self._opacity = float(np.clip(DENSE / max(len(ghosts), 1), THIN, THICK))
        wanted: set[str] = set()
        with self.server.atomic():
            for ghost in ghosts:
                poses = ghost.track.poses_at(ghost.future, time)
                for index in np.flatnonzero(ghost.track.moves[: len(scene.objects)]).tolist():
                    name = f"{index}/{id(ghost.track)}-{ghost.future}"
                    wanted.add(name)
                    self._put(name, scene.objects[index].body.mesh, ghost, poses[index], shown[index])
            for name in set(self.handles) - wanted:
                self.drop(name)
        # Nodes are told apart by the identity of their track, which must not come again before they are gone.
        self._held = [ghost.track for ghost in ghosts]

    def clear(self) -> None:
        super().clear()
        self._bodies.clear()

    def _put(
        self, name: str, mesh: TriangleMesh, ghost: Ghost, pose: NDArray[np.float32], shown: NDArray[np.float32]
    ) -> None:
        visible = stands_apart(pose, shown)
        handle = self.handles.get(name)
        if handle is None:
            # Hidden ones too: a browser that is given more splats draws none of any until it has sorted them anew.
            pose = pose if np.isfinite(pose).all() else shown
            splats, of = self._splats(mesh), {"position": pose[:3], "wxyz": pose[3:], "visible": visible}
            self.handles[name] = add_splats(self.server, self.path(name), splats, ghost.color, self._opacity, **of)
            return
        if handle.visible != visible:
            handle.visible = visible
        if visible:
            handle.position, handle.wxyz = pose[:3], pose[3:]

    def _splats(self, mesh: TriangleMesh) -> SplatArrays:
        key = id(mesh), self._count
        known = self._bodies.get(key)
        if known is None or known[0] is not mesh:
            known = self._bodies[key] = (mesh, mesh_splats(mesh.vertices, mesh.faces, self._count))
        return known[1]


class FutureLayer(_Ghosts):
    """The other futures of the rollout that is shown."""

    name, label, hint, on = "futures", "Other futures", "Where things are in the other futures, as ghosts", True

    def lacking(self) -> str:
        return "" if any(track.futures > 1 for track in self.session.tracks) else "No rollout here has several futures."

    def ghosts(self) -> list[Ghost]:
        track = self.session.track
        good = np.flatnonzero(~track.bad)
        if track.futures < 2 or not len(good):
            return []
        chosen = np.unique(good[np.linspace(0, len(good) - 1, min(len(good), MOST_GHOSTS)).round().astype(int)])
        return [Ghost(track, future, ghost_color(future, track.futures)) for future in chosen.tolist()]


class OtherTrackLayer(_Ghosts):
    """The first good future of the other rollouts."""

    name, label, hint, on = "others", "Other rollouts", "Where things are in the other rollouts, as ghosts", False

    def lacking(self) -> str:
        return "" if len(self.session.tracks) > 2 else "There is no other rollout."

    def ghosts(self) -> list[Ghost]:
        places = [
            place
            for place, track in enumerate(self.session.tracks)
            if place not in (0, self.session.shown) and not track.bad.all()
        ]
        tracks = [self.session.tracks[place] for place in places[:MOST_GHOSTS]]
        return [
            Ghost(track, int(np.flatnonzero(~track.bad)[0]), other_color(place - 1))
            for place, track in zip(places, tracks, strict=False)
        ]


def stands_apart(pose: NDArray[np.float32], shown: NDArray[np.float32]) -> bool:
    """Whether a pose (7,) is far enough from what is shown to be drawn beside it; False for what is no number."""
    if not np.isfinite(pose).all():
        return False
    cosine = min(abs(float(pose[3:] @ shown[3:])), 1.0)
    return bool(np.linalg.norm(pose[:3] - shown[:3]) > APART or 2 * np.arccos(cosine) > TURNED)
