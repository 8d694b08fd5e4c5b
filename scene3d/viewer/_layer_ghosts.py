"""Other futures and other rollouts at the moment shown: translucent bodies, a colour for each, of what moves.

A ghost is a node of some splats on the surface of a collider, sent once; then only its pose. Ghosts that stand about
where the splats of their body are drawn are hidden, for they would only tint them; of ghosts that stand in one place,
the first is drawn for all, for together they would be a fog.

A browser that is given more splats, or fewer, draws none of any until it has sorted them anew: the page goes dark for a
blink. Ghosts that are not needed any more are therefore hidden and wait for a rollout that can use them.
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
    from scene3d._scene import Scene
    from scene3d.viewer._splat_arrays import SplatArrays
    from scene3d.viewer._track import Track

__all__ = ["FutureLayer", "Ghost", "OtherTrackLayer", "stand_apart"]

MOST_GHOSTS = 16
"""More than so many are a fog."""
ALL_SPLATS = 30_000
"""Of all ghosts together, shared out evenly..."""
FEWEST, MOST = 250, 1000
"""...within these bounds."""
THICK, THIN, DENSE = 0.2, 0.05, 0.9
"""Opacity of a ghost: `DENSE` over how many there are, within these bounds."""
MOST_KEPT = 2 * ALL_SPLATS
"""With more splats than so many, ghosts that are not needed are taken away."""
APART, TURNED, SHARE = 0.008, 0.2, 0.12
"""Ghosts nearer to what is shown, or to one that is drawn, are hidden [m, rad]; or nearer than a share of the body's
diagonal, if that is more."""


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
        self._bodies: dict[tuple[int, int], SplatArrays] = {}
        """Splats of the bodies' meshes, of so many each, made when first needed."""
        self._sizes: dict[str, int] = {}
        """Splats of each node."""
        self._scene: Scene | None = None
        """Whose bodies they are."""

    def ghosts(self) -> list[Ghost]:
        """Which; called with the session's lock held."""
        raise NotImplementedError

    def draw(self) -> None:
        with self.session.lock:
            scene, time, shown = self.session.scene, self.session.clock.time, self.session.poses()
            ghosts = self.ghosts()
        if scene is not self._scene:
            self.clear()
            self._scene = scene
        count = sum(int(ghost.track.moves[: len(scene.objects)].sum()) for ghost in ghosts)
        self._count = int(np.clip(ALL_SPLATS // max(count, 1), FEWEST, MOST))
        self._opacity = float(np.clip(DENSE / max(len(ghosts), 1), THIN, THICK))
        wanted: set[str] = set()
        with self.server.atomic():
            poses = [ghost.track.poses_at(ghost.future, time) for ghost in ghosts]
            for index, thing in enumerate(scene.objects):
                some = [place for place, ghost in enumerate(ghosts) if ghost.track.moves[index]]
                if not some:
                    continue
                own = np.stack([poses[place][index] for place in some])
                size = float(np.linalg.norm(np.diff(thing.body.mesh.bounds, axis=0)))
                for place, visible in zip(some, stand_apart(own, shown[index], size).tolist(), strict=True):
                    color = ghosts[place].color
                    # What looks the same can stand for another future, of another rollout.
                    name = f"{index}/{bytes(color).hex()}-{1000 * self._opacity:.0f}-{place}"
                    wanted.add(name)
                    pose = poses[place][index]
                    # One that is hidden needs a place all the same.
                    pose = pose if np.isfinite(pose).all() else shown[index]
                    self._put(name, index, thing.body.mesh, color, pose, visible)
            self._rest(set(self.handles) - wanted)

    def clear(self) -> None:
        super().clear()
        self._bodies.clear()
        self._sizes.clear()

    def _rest(self, names: set[str]) -> None:
        """Ghosts that nobody needs now."""
        many = sum(self._sizes.values()) > MOST_KEPT
        for name in names:
            if many:
                self.drop(name)
                del self._sizes[name]
            elif self.handles[name].visible:
                self.handles[name].visible = False

    def _put(
        self,
        name: str,
        index: int,
        mesh: TriangleMesh,
        color: tuple[int, int, int],
        pose: NDArray[np.float32],
        visible: bool,
    ) -> None:
        handle = self.handles.get(name)
        if handle is None:
            # Hidden ones too: one that appears later would make the page blink.
            splats, of = self._splats(index, mesh), {"position": pose[:3], "wxyz": pose[3:], "visible": visible}
            self._sizes[name] = len(splats.centers)
            self.handles[name] = add_splats(self.server, self.path(name), splats, color, self._opacity, **of)
            return
        if handle.visible != visible:
            handle.visible = visible
        if visible:
            handle.position, handle.wxyz = pose[:3], pose[3:]

    def _splats(self, index: int, mesh: TriangleMesh) -> SplatArrays:
        key = index, self._count
        if key not in self._bodies:
            self._bodies[key] = mesh_splats(mesh.vertices, mesh.faces, self._count)
        return self._bodies[key]


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


def stand_apart(poses: NDArray[np.float32], shown: NDArray[np.float32], diagonal: float = 0.0) -> NDArray[np.bool_]:
    """Which ghosts of a body are far enough from what is shown, and from those before them, to be drawn.

    Args:
        poses: Of the ghosts, shape (G, 7); what is no number is not drawn.
        shown: Where the body itself is drawn, shape (7,).
        diagonal: Of the box around the body [m].

    Returns:
        Booleans, shape (G,).
    """
    finite = np.asarray(np.isfinite(poses).all(axis=1))
    all_of_them = np.concatenate([shown[None], np.where(finite[:, None], poses, shown)]).astype(np.float64)
    away = np.linalg.norm(all_of_them[:, None, :3] - all_of_them[None, :, :3], axis=-1)
    cosine = np.abs(all_of_them[:, 3:] @ all_of_them[:, 3:].T)
    near = (away < max(APART, SHARE * diagonal)) & (2 * np.arccos(np.minimum(cosine, 1.0)) < TURNED)
    drawn = [0]
    for ghost in range(1, len(all_of_them)):
        if not near[ghost, drawn].any():
            drawn.append(ghost)
    result = np.zeros(len(all_of_them), dtype=bool)
    result[drawn[1:]] = True
    return result[1:] & finite
