"""A toss in one picture: the recorded body along its way, and over it the body as it was predicted, as outlines.

The view is from the side, square to the throw, or from above. Bodies are convex; faces come from the hull of their
corners, and those that look at the viewer are drawn, so that one sees on which face a body comes to rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

__all__ = ["RECORDED", "Colour", "Shape", "TossView", "draw_toss", "view_of"]

Colour = tuple[int, int, int]
FINER = 3
"""Pictures are drawn this many times finer than they are shown."""
APART = 1.15
"""Bodies are drawn when they have moved by this share of their size since the last one."""
SKY, TABLE, EDGE, RECORDED = (30, 33, 40), (52, 56, 66), (92, 98, 112), (176, 182, 194)
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Shape:
    """A convex body."""

    points: Array
    """Corners in the body's frame [m], (P, 3)."""

    @cached_property
    def faces(self) -> list[tuple[Array, NDArray[np.int64]]]:
        """Outward normal (3,) and the corners around it of each flat face."""
        from scipy.spatial import ConvexHull

        hull = ConvexHull(self.points)
        found: list[tuple[Array, NDArray[np.int64]]] = []
        for plane in np.unique(hull.equations.round(5), axis=0):
            normal = plane[:3]
            on = np.flatnonzero(np.abs(self.points @ normal + plane[3]) < 1e-4)
            flat = self.points[on] - self.points[on].mean(0)
            u = flat[0] / np.linalg.norm(flat[0])
            turn = np.arctan2(flat @ np.cross(normal, u), flat @ u)
            found.append((normal, on[np.argsort(turn)].astype(np.int64)))
        return found


@dataclass(frozen=True, eq=False)
class TossView:
    """From where one looks: directions in the world, and the part of the picture plane that is shown [m]."""

    right: Array
    up: Array
    low: Array
    high: Array
    table: bool

    def __call__(self, points: Array, size: tuple[int, int]) -> Array:
        """Pixels of points (..., 3) in a picture of that width and height."""
        plane = np.stack([points @ self.right, points @ self.up], axis=-1)
        span = self.high - self.low
        scale = min(size[0] / span[0], size[1] / span[1])
        at = (plane - 0.5 * (self.low + self.high)) * scale
        return np.stack([0.5 * size[0] + at[..., 0], 0.5 * size[1] - at[..., 1]], axis=-1)


def view_of(
    shapes: Sequence[Shape], paths: Sequence[Array], kind: Literal["side", "above"], *, margin: float = 0.02
) -> TossView:
    """A view that has all paths (T, nb, 7) in it; the first one says which way the throw goes.

    Args:
        shapes: Of the bodies.
        paths: Recorded, predicted.
        kind: From where to look.
        margin: Around everything [m].
    """
    first = paths[0][:, 0, :3]
    ahead = first[-1, :2] - first[0, :2]
    length = np.linalg.norm(ahead)
    ahead = ahead / length if length > 1e-3 else np.array([1.0, 0.0])
    right = np.array([ahead[0], ahead[1], 0.0])
    up = np.array([0.0, 0.0, 1.0]) if kind == "side" else np.array([-ahead[1], ahead[0], 0.0])
    corners = np.concatenate([_corners(shapes, path).reshape(-1, 3) for path in paths])
    plane = np.stack([corners @ right, corners @ up], axis=-1)
    low, high = plane.min(0) - margin, plane.max(0) + margin
    if kind == "side":
        low[1] = min(low[1], -2 * margin)
    return TossView(right, up, low, high, kind == "side")


def draw_toss(
    shapes: Sequence[Shape],
    recorded: Array,
    predicted: Sequence[tuple[Array, Colour]],
    view: TossView,
    size: tuple[int, int],
) -> Image:
    """The picture.

    Args:
        shapes: Of the nb bodies.
        recorded: Poses (T, nb, 7).
        predicted: Paths of models (T, nb, 7), each with its colour; later ones lie on top.
        view: From where.
        size: Width and height [px].
    """
    from PIL import Image, ImageDraw

    fine = (FINER * size[0], FINER * size[1])
    picture = Image.new("RGB", fine, SKY)
    draw = ImageDraw.Draw(picture)
    if view.table:
        ground = float(view(np.zeros(3), fine)[1])
        draw.rectangle((0, ground, *fine), fill=TABLE)
    frames = chosen_frames(recorded, shapes)
    depth = np.cross(view.right, view.up)
    for frame in frames:
        fade = 0.45 + 0.55 * frame / max(len(recorded) - 1, 1)
        _body(draw, shapes, recorded[frame], view, fine, depth, fill=RECORDED, fade=fade)
    for path, colour in predicted:
        _trail(draw, path, view, fine, colour)
        for frame in frames:
            _body(draw, shapes, path[frame], view, fine, depth, line=colour)
    return picture.resize(size, Image.Resampling.LANCZOS)


def chosen_frames(recorded: Array, shapes: Sequence[Shape]) -> list[int]:
    """Frames at which bodies are drawn: the first, the last, and those between that keep apart from both."""
    size = float(np.ptp(np.concatenate([shape.points for shape in shapes[:1]]), axis=0).max()) * APART * 1.2
    place = recorded[:, 0, :3]
    chosen = [0]
    for frame in range(1, len(place) - 1):
        if np.linalg.norm(place[frame] - place[chosen[-1]]) > size and np.linalg.norm(place[frame] - place[-1]) > size:
            chosen.append(frame)
    return [*chosen, len(place) - 1]


def _body(
    draw: object,
    shapes: Sequence[Shape],
    poses: Array,
    view: TossView,
    size: tuple[int, int],
    depth: Array,
    *,
    fill: Colour | None = None,
    line: Colour | None = None,
    fade: float = 1.0,
) -> None:
    """All bodies at poses (nb, 7): shaded faces, or outlines alone."""
    from PIL.ImageDraw import ImageDraw

    assert isinstance(draw, ImageDraw)
    for shape, pose in zip(shapes, poses, strict=True):
        R = _rotation(pose[3:])
        corners = view(pose[:3] + shape.points @ R.T, size)
        for normal, around in shape.faces:
            facing = float(R @ normal @ depth)
            if facing <= 1e-6:
                continue
            outline = [(float(x), float(y)) for x, y in corners[around]]
            if fill is not None:
                bright = fade * (0.55 + 0.45 * facing)
                shade = [round(c * bright + s * (1 - fade)) for c, s in zip(fill, SKY, strict=True)]
                draw.polygon(outline, fill=(shade[0], shade[1], shade[2]))
                draw.line([*outline, outline[0]], fill=EDGE, width=FINER)
            if line is not None:
                draw.line([*outline, outline[0]], fill=line, width=2 * FINER, joint="curve")


def _trail(draw: object, path: Array, view: TossView, size: tuple[int, int], colour: Colour) -> None:
    """The way of the root body's origin."""
    from PIL.ImageDraw import ImageDraw

    assert isinstance(draw, ImageDraw)
    points = [(float(x), float(y)) for x, y in view(path[:, 0, :3], size)]
    draw.line(points, fill=tuple(round(0.75 * c) for c in colour), width=FINER, joint="curve")


def _corners(shapes: Sequence[Shape], path: Array) -> Array:
    """World corners of all bodies at all times, (T, P, 3)."""
    parts = [
        np.stack([pose[b, :3] + shape.points @ _rotation(pose[b, 3:]).T for pose in path])
        for b, shape in enumerate(shapes)
    ]
    return np.concatenate(parts, axis=1)


def _rotation(wxyz: Array) -> Array:
    w, x, y, z = wxyz / np.linalg.norm(wxyz)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
