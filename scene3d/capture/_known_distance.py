"""Metric scale from a distance that somebody measured between two points of the photos.

``IMAGE,U1,V1,U2,V2=METRES`` names two pixels of one photo, ``IMAGE,U,V,IMAGE,U,V=METRES`` one pixel in each of two. A
pixel becomes a ray (lens distortion undone); how far along it the surface is, the other photos say, or where they do
not (a smooth wall, photos that are gone) the splats of a finished scene, which know it less well.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError, UsageError
from scene3d.capture._capture import Capture, View
from scene3d.capture._scale_estimate import ScaleEstimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d._gaussians import Gaussians
    from scene3d._scene import Scene

__all__ = ["KnownDistance", "known_distance", "parse_known_distance", "photo_index", "require_pixels", "straight"]

EXAMPLE = "IMG_0042.jpg,812,455,1290,470=0.297"
AIM = 1 / 640
"""How well people hit a point, as a share of the photo's longest side."""
SLANT = math.radians(45.0)
"""Planes that lean by this much towards the photo's four sides are tried beside the upright and the facing one."""

_NUMBER = r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
_PIXEL = f"{_NUMBER},{_NUMBER}"
_SPEC = re.compile(f"(?P<a>.+?),{_PIXEL},(?:(?P<b>.*?[^,\\s\\d.+-].*?),)?{_PIXEL}={_NUMBER}")


@dataclass(frozen=True)
class KnownDistance:
    """Two points and how far apart they are."""

    images: tuple[str, str]
    """Names of the photos; often twice the same."""
    pixels: tuple[tuple[float, float], tuple[float, float]]
    """Columns and rows in the upright photos at full size [px]."""
    metres: float
    """Their distance [m]."""


def parse_known_distance(text: str) -> KnownDistance:
    """Read ``IMAGE,U1,V1,U2,V2=METRES`` or ``IMAGE,U,V,IMAGE,U,V=METRES``.

    Raises:
        UsageError: Of another form, or the distance is not above zero.
    """
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"Found the known distance {text!r}; it is written IMAGE,U1,V1,U2,V2=METRES with two pixels of a photo at "
            f"full size, for example {EXAMPLE}."
        )
    first = match["a"].strip()
    second = first if match["b"] is None else match["b"].strip()
    u1, v1, u2, v2, metres = (float(n) for i, n in enumerate(match.groups()) if i not in (0, 3))
    if not (math.isfinite(metres) and metres > 0):
        raise UsageError(f"A known distance must be above zero metres, found {metres:g}; for example {EXAMPLE}.")
    return KnownDistance((first, second), ((u1, v1), (u2, v2)), metres)


def known_distance(place: Scene | Capture, spec: KnownDistance | str) -> ScaleEstimate:
    """Metres per unit of a scene or capture, from a measured distance between two pixels.

    Args:
        place: A fitted scene with the cameras of its photos, or a capture before it is fitted.
        spec: Two pixels and their distance, parsed or as text.

    Raises:
        UsageError: The text is malformed, there is no such photo, or a pixel lies outside of it.
        CaptureError: A pixel shows no surface, or both show the same point.
    """
    spec = parse_known_distance(spec) if isinstance(spec, str) else spec
    witnesses = _witnesses(place)
    indices = [photo_index([view.name for view in witnesses.views], name) for name in spec.images]
    ends = [witnesses.point(i, pixel) for i, pixel in zip(indices, spec.pixels, strict=True)]
    between = ends[1].position - ends[0].position
    distance = float(np.linalg.norm(between))
    # Errors of a point: how far along its ray, and how well the pixel was hit. Only what points along `between` counts.
    error = math.sqrt(sum(_variance_along(end.errors, between) for end in ends))
    if distance == 0 or error > 0.5 * distance:
        raise CaptureError(
            f"The two pixels {_said(spec.pixels[0])} and {_said(spec.pixels[1])} show points too close to each other, "
            "or on surfaces too vague, to tell a distance. Choose points on textured things, far apart."
        )
    names = " and ".join(dict.fromkeys(witnesses.views[i].name for i in indices))
    sources = " and ".join(dict.fromkeys(end.source for end in ends))
    detail = f"{spec.metres:g} m in {names}, depth from {sources}"
    return ScaleEstimate(spec.metres / distance, error / distance, "known distance", detail)


def require_pixels(text: str, views: Sequence[View]) -> None:
    """Make sure that the photos and pixels of a known distance exist, before a scene is fitted.

    Raises:
        UsageError: Malformed, no such photo, or a pixel outside of it.
    """
    spec = parse_known_distance(text)
    for name, pixel in zip(spec.images, spec.pixels, strict=True):
        straight(views[photo_index([view.name for view in views], name)], pixel)


@dataclass(frozen=True)
class _Point:
    """A point of the world behind a pixel."""

    position: NDArray[np.float64]
    errors: NDArray[np.float64]
    """One vector a row."""
    source: str


@dataclass(frozen=True)
class _Witnesses:
    """Who can say where a surface is."""

    views: tuple[View, ...]
    """All views; without a photo, of the size that was fitted."""
    photos: tuple[int, ...]
    """Indices of views whose photos are there."""
    splats: Gaussians | None
    up: tuple[float, float, float] | None

    def point(self, index: int, pixel: tuple[float, float]) -> _Point:
        """The surface behind a pixel of a view."""
        view = self.views[index]
        ray = np.array([*straight(view, pixel), 1.0])
        T = view.camera.T_world_cam.detach().cpu().double().numpy()
        K = view.camera.K.detach().cpu().double().numpy()
        aim = AIM * max(view.camera.width, view.camera.height) / K[[0, 1], [0, 1]]
        found, source = self._depth(index, ray, T, aim)
        if found is None:
            splats = "splats" if self.splats is not None else "photos"
            raise CaptureError(
                f"No surface is found at pixel {_said(pixel)} of {view.name}: the {splats} show none there. "
                "Choose another point."
            )
        depth, error = found
        along = T[:3, :3] @ ray
        errors = np.concatenate([[error * along], (aim * depth)[:, None] * T[:3, :2].T])
        return _Point(T[:3, 3] + depth * along, errors, source)

    def _depth(
        self, index: int, ray: NDArray[np.float64], T: NDArray[np.float64], aim: NDArray[np.float64]
    ) -> tuple[tuple[float, float] | None, str]:
        from scene3d.capture._photo_depth import photo_depth
        from scene3d.capture._ray_surface import ray_surface

        steps = [(0, 0), *((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y)]
        rays = ray + np.array([[x * aim[0], y * aim[1], 0.0] for x, y in steps])
        by_splats = None if self.splats is None else ray_surface(self.splats, T, rays)
        if index in self.photos:
            views, place = [self.views[i] for i in self.photos], self.photos.index(index)
            for depths in self._ranges(by_splats):
                found = photo_depth(views, place, ray, depths, self._planes(T[:3, :3]))
                if found is not None:
                    return found, "the photos"
        return by_splats, "the splats"

    def _ranges(self, by_splats: tuple[float, float] | None) -> list[tuple[float, float]]:
        """Depths at which to look for the surface, the likely ones first."""
        from scene3d.capture._geometry import Poses, depth_range

        likely = [] if by_splats is None else [(by_splats[0] / 2, by_splats[0] * 1.6)]
        return [*likely, depth_range(Poses.of([view.camera for view in self.views]))]

    def _planes(self, R: NDArray[np.float64]) -> NDArray[np.float64]:
        lean = [R @ [x, y, math.cos(SLANT)] for x, y in np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]) * math.sin(SLANT)]
        return np.array(lean if self.up is None else [self.up, *lean])


def _witnesses(place: Scene | Capture) -> _Witnesses:
    if isinstance(place, Capture):
        return _Witnesses(place.views, tuple(range(len(place.views))), None, place.up)
    views = tuple(
        View(view.name, Path(), view.camera) if view.photo is None else replace(view.photo, name=view.name)
        for view in place.views
    )
    there = [i for i, view in enumerate(place.views) if view.photo is not None and view.photo.path.is_file()]
    background = place.splats[place.splats.component_index == 0]
    return _Witnesses(views, tuple(there), background, place.up)


def photo_index(names: Sequence[str], name: str, flag: str = "") -> int:
    """The photo of that name; its file name alone, or that without its ending, will do where it is unique.

    Args:
        names: Of all photos.
        name: What was given.
        flag: The option that it was given with, for messages.

    Raises:
        UsageError: There is no such photo, or more than one.
    """
    for short in (lambda n: n, lambda n: n.rsplit("/", 1)[-1], lambda n: n.rsplit("/", 1)[-1].rsplit(".", 1)[0]):
        found = [i for i, full in enumerate(names) if short(full) == name]
        if len(found) == 1:
            return found[0]
        if found:
            some = ", ".join(names[i] for i in found[:3])
            given = f"{flag} {name!r}".lstrip()
            raise UsageError(f"{given} names {len(found)} photos ({some}). Write one of them in full.")
    if not names:
        raise UsageError(f"The scene has no cameras, so the photo {name!r} cannot be looked up.")
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.3) or names[:3]
    missing = f"{flag} names the photo {name!r}, which there is not" if flag else f"There is no photo {name!r}"
    raise UsageError(f"{missing}; the nearest names are {', '.join(near)}.")


def straight(view: View, pixel: tuple[float, float]) -> tuple[float, float]:
    """Where the ray of a pixel of the photo crosses z = 1 in the camera's frame.

    Raises:
        UsageError: The pixel lies outside of the photo.
    """
    camera = view.camera
    u, v = pixel
    if not (0 <= u <= camera.width and 0 <= v <= camera.height):
        raise UsageError(
            f"Pixel {_said(pixel)} lies outside of {view.name}, which is {camera.width}x{camera.height} pixels."
        )
    K = camera.K.detach().cpu().double().numpy()
    if view.photo_K is not None:
        fx, fy, cx, cy = view.photo_K
        K = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    if view.distortion or view.projection == "fisheye":
        return _undistorted(view, K, u, v)
    x, y, _ = np.linalg.solve(K, [u, v, 1.0])
    return float(x), float(y)


def _undistorted(photo: View, K: NDArray[np.float64], u: float, v: float) -> tuple[float, float]:
    import cv2

    points = np.array([[[u, v]]], dtype=np.float64)
    # K and the pixel share their origin, so OpenCV's own counting of pixels does not matter here.
    if photo.projection == "fisheye":
        coefficients = np.zeros(4)
        coefficients[: len(photo.distortion)] = photo.distortion
        flat = cv2.fisheye.undistortPoints(points, K, coefficients)
    else:
        flat = cv2.undistortPoints(points, K, np.array(photo.distortion))
    x, y = np.asarray(flat, dtype=np.float64).ravel()
    return float(x), float(y)


def _variance_along(errors: NDArray[np.float64], between: NDArray[np.float64]) -> float:
    length = float(np.linalg.norm(between))
    along = errors @ (between / length) if length > 0 else np.linalg.norm(errors, axis=1)
    return float((along**2).sum())


def _said(pixel: tuple[float, float]) -> str:
    return f"{pixel[0]:g},{pixel[1]:g}"
