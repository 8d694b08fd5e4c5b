"""Where bodies go over the whole rollout: lines of their centres of mass, and tubes that hold 90 % of the futures.

Both belong to the track, not to the moment, so nothing is sent while time passes. The future that is shown has the
strong line; all futures have faint ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d.viewer._layer import Layer
from scene3d.viewer._mesh_splats import add_splats, mesh_splats
from scene3d.viewer._palette import body_color, ghost_color

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d._scene import Scene
    from scene3d.viewer._track import Track

__all__ = ["TrajectoryLayer", "TubeLayer", "center_paths", "tube_mesh"]

POINTS = 120
"""Of a line, at most."""
MOST_LINES = 64
SHARE = 0.9
SIDES = 16
TUBE_SPLATS = 900
OPACITY = 0.2
LEAST_STEP = 0.002
"""Rings of a tube are at least this far apart [m]."""
LEAST_RADIUS = 0.0015
"""[m]"""


class TrajectoryLayer(Layer):
    """Lines of the centres of mass."""

    name, label, hint, on = "trajectories", "Paths", "Where the centres of mass go, in every future", True

    def lacking(self) -> str:
        return "" if len(self.session.tracks) > 1 else "There is no rollout yet."

    def draw(self) -> None:
        with self.session.lock:
            scene, track, shown = self.session.scene, self.session.track, self.session.future
        self.clear()
        good = [future for future in np.flatnonzero(~track.bad).tolist() if future != shown][:MOST_LINES]
        for index in np.flatnonzero(track.moves[: len(scene.objects)]).tolist():
            paths = center_paths(scene, track, index)
            color = np.asarray(body_color(index))
            if len(good):
                faint = np.stack([np.asarray(ghost_color(future, track.futures)) for future in good])
                self._add(f"{index}/faint", paths[good], 0.8 * faint, 0.0012)
            if not track.bad[shown]:
                self._add(f"{index}/shown", paths[[shown]], color[None], 0.003)

    def _add(self, name: str, paths: NDArray[np.float64], colors: NDArray[np.float64], thickness: float) -> None:
        pieces = np.stack([paths[:, :-1], paths[:, 1:]], axis=2).reshape(-1, 2, 3).astype(np.float32)
        shades = np.repeat(colors, paths.shape[1] - 1, axis=0)[:, None].repeat(2, axis=1).astype(np.uint8)
        self.handles[name] = self.server.scene.add_line_segments(
            self.path(name), pieces, shades, thickness=thickness * self.nodes.size
        )


class TubeLayer(Layer):
    """Tubes around the mean path."""

    name, label, hint = "tubes", "Spread", "Tubes around the mean path that hold 90 % of the futures"
    _drawn: Track | None = None

    def lacking(self) -> str:
        return "" if any(track.futures > 1 for track in self.session.tracks) else "No rollout here has several futures."

    def draw(self) -> None:
        with self.session.lock:
            scene, track = self.session.scene, self.session.track
        if self.handles and self._drawn is track:
            return  # Another future of the same track has the same spread.
        self.clear()
        self._drawn = track
        good = np.flatnonzero(~track.bad)
        if len(good) < 2:
            return
        for index in np.flatnonzero(track.moves[: len(scene.objects)]).tolist():
            paths = center_paths(scene, track, index)[good]
            mesh = tube_mesh(paths)
            if mesh is not None:
                splats = mesh_splats(*mesh, TUBE_SPLATS)
                self.handles[str(index)] = add_splats(
                    self.server, self.path(str(index)), splats, body_color(index), OPACITY
                )


def center_paths(scene: Scene, track: Track, index: int) -> NDArray[np.float64]:
    """Where the centre of mass of body ``index`` is in each future [m], shape (F, T', 3) of at most `POINTS` times."""
    times = np.unique(np.linspace(0, track.poses.shape[1] - 1, POINTS).round().astype(int))
    poses = track.poses[:, times, index].astype(np.float64)
    com = np.asarray(scene.objects[index].body.com)
    u = poses[..., 4:]
    cross = 2 * np.cross(u, com)
    return poses[..., :3] + com + poses[..., 3:4] * cross + np.cross(u, cross)


def tube_mesh(paths: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.uint32]] | None:
    """Vertices and faces of the tube around the mean of paths (F, T, 3); None where nothing spreads or moves.

    Its radius at each time is the distance from the mean that `SHARE` of the futures keep.
    """
    mean = paths.mean(axis=0)
    radius = np.quantile(np.linalg.norm(paths - mean, axis=2), SHARE, axis=0)
    kept = [0]
    for index in range(1, len(mean)):
        if np.linalg.norm(mean[index] - mean[kept[-1]]) >= LEAST_STEP:
            kept.append(index)
    if len(kept) < 2 or radius.max() < LEAST_RADIUS:
        return None
    # The spread of where it comes to rest belongs to the last ring, though the mean hardly moves any more.
    radius[kept[-1]] = radius[kept[-1] :].max()
    centers, radius = mean[kept], np.maximum(radius[kept], LEAST_RADIUS)
    ahead = np.gradient(centers, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    side = np.cross(ahead, np.where(np.abs(ahead[:, 2:]) < 0.9, [0.0, 0, 1], [1.0, 0, 0]))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(ahead, side)
    angle = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)
    ring = np.cos(angle)[:, None] * side[:, None] + np.sin(angle)[:, None] * other[:, None]
    around = (centers[:, None] + radius[:, None, None] * ring).reshape(-1, 3)
    vertices = np.concatenate([around, centers[[0, -1]]])
    return vertices.astype(np.float32), _tube_faces(len(kept))


def _tube_faces(rings: int) -> NDArray[np.uint32]:
    """Walls and two caps; rings follow each other, each of `SIDES` vertices."""
    first = np.arange(SIDES)
    after = (first + 1) % SIDES
    faces: list[NDArray[np.int64]] = []
    for ring in range(rings - 1):
        a, b = ring * SIDES + first, ring * SIDES + after
        faces += [np.stack([a, b, b + SIDES], axis=1), np.stack([a, b + SIDES, a + SIDES], axis=1)]
    begin, end = rings * SIDES, rings * SIDES + 1
    last = (rings - 1) * SIDES
    faces.append(np.stack([np.full(SIDES, begin), after, first], axis=1))
    faces.append(np.stack([np.full(SIDES, end), last + first, last + after], axis=1))
    return np.concatenate(faces).astype(np.uint32)
