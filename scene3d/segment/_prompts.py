"""Things that somebody clicked on: ``--point IMAGE,U,V[,NAME]``.

A click is a ray into the scene. Where it meets an object that was told apart already, the click names it; where it
meets something that stands on a support, that becomes an object; where it meets the support itself, the thing must be
flat, and its outline is looked for in the clicked picture. Clicks of one name belong to one object; clicks of
different names on one cluster divide it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import SegmentError, UsageError
from scene3d.segment._cluster_divide import divided
from scene3d.segment._cluster_ground import Band, height_band
from scene3d.segment._cluster_views import agreement, whole_shares
from scene3d.segment._clusters import Cluster, find_clusters
from scene3d.segment._find_supports import inside_outline
from scene3d.segment._geometric import splats_of_clusters
from scene3d.segment._labels import Labels
from scene3d.segment._region_flat import FlatRegion, flat_map, flat_region
from scene3d.segment._surface_points import LONGEST_SIDE, spread_views
from scene3d.segment._vote import labels_of, vote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d._support import SupportPlane
    from scene3d.capture._capture import View
    from scene3d.segment._surface_points import Surface

__all__ = ["Hit", "PointPrompt", "click_on", "labels_from_prompts", "parse_point"]

EXAMPLE = "IMG_0042.jpg,812,455,mug"
_NUMBER = r"\s*([-+]?(?:\d+\.?\d*|\.\d+))\s*"
_SPEC = re.compile(f"(?P<image>.+?),{_NUMBER},{_NUMBER}(?:,(?P<name>[^,]*))?")
AIM = 1 / 640
"""How well people hit a point, as a share of the photo's longest side."""
NEAR = 0.03
"""A click belongs to a cluster that is nearer than this share of the distance."""


@dataclass(frozen=True)
class PointPrompt:
    """One click."""

    image: str
    """Name of the photo."""
    u: float
    """Column in the upright photo at full size [px]."""
    v: float
    """Row [px]."""
    name: str = ""
    """Name of the object; empty for a number."""


@dataclass(frozen=True, eq=False)
class Hit:
    """Where a click meets the scene."""

    prompt: PointPrompt
    view: int
    position: NDArray[np.float64]
    pixel: tuple[float, float]
    """Column and row in the view's own camera [px]."""


def parse_point(text: str) -> PointPrompt:
    """Read ``IMAGE,U,V`` or ``IMAGE,U,V,NAME``.

    Raises:
        UsageError: Of another form.
    """
    match = _SPEC.fullmatch(text.strip())
    if match is None or (match["name"] is not None and not match["name"].strip()):
        raise UsageError(
            f"Found the point {text!r}; it is written IMAGE,U,V or IMAGE,U,V,NAME with a pixel of a photo at full "
            f"size, for example {EXAMPLE}."
        )
    return PointPrompt(match["image"].strip(), float(match[2]), float(match[3]), (match["name"] or "").strip())


def labels_from_prompts(
    splats: Gaussians,
    cameras: Sequence[Camera],
    photos: Sequence[View],
    prompts: Sequence[PointPrompt],
    surface: Surface,
    supports: Sequence[SupportPlane],
    *,
    metric: bool,
    existing: Labels | None = None,
    min_height: float | None = None,
) -> Labels:
    """Objects that were clicked on, added to those that were found otherwise.

    Args:
        splats: N splats in the world.
        cameras: Single views.
        photos: Photo of each view; where there is none, a `View` with the name and camera alone.
        prompts: Clicks; those of one name belong to one object.
        surface: As from `surface_points`, of the same splats and cameras.
        supports: As from `find_supports`; empty where none was found.
        metric: Whether scene units are metres.
        existing: Objects that clicks name or add to; None for clicked objects alone.
        min_height: As for `labels_from_geometry`; what is clicked counts however low it is.

    Raises:
        UsageError: There is no such photo, or a pixel lies outside of it.
        SegmentError: A click meets nothing, or nothing that could be an object.
    """
    hits = [click_on(splats, cameras, photos, prompt) for prompt in prompts]
    bands = [height_band(support, surface.distance, metric, min_height) for support in supports]
    start = existing or _nothing(splats, supports)
    renamed, fresh = _naming(splats, cameras, start, hits)
    of_splat = renamed.of_splat.clone()
    clusters = [c for i, s in enumerate(supports) for c in find_clusters(surface, s, bands[i], i)] if fresh else []
    chosen: dict[str, list[Hit]] = {}
    taken = set(renamed.names)
    for hit in fresh:
        chosen.setdefault(hit.prompt.name or _number(taken | set(chosen)), []).append(hit)
    names, flat = [*renamed.names], {}
    standing: dict[int, list[tuple[int, Hit]]] = {}
    for name, group in chosen.items():
        names.append(name)
        for hit in group:
            cluster = _cluster_at(surface, clusters, hit)
            if cluster is None:
                flat.setdefault(len(names), []).append(hit)
            else:
                standing.setdefault(cluster, []).append((len(names), hit))
    _add_standing(of_splat, splats, cameras, surface, supports, clusters, bands, standing)
    _add_flat(of_splat, splats, cameras, supports, bands, surface.distance, flat)
    counts = np.bincount(of_splat.cpu().numpy(), minlength=len(names) + 1)
    for label, name in enumerate(names, start=1):
        if label > len(renamed.names) and counts[label] == 0:
            raise SegmentError(f"The click on {name!r} meets no splats of its own. Click nearer to its middle.")
    views = [cameras[i].fitted(LONGEST_SIDE) for i in spread_views(len(cameras))]
    seen = agreement(list(whole_shares(splats, of_splat, len(names) + 1, views)))
    confidence = (*renamed.confidence, *seen.confidence[len(renamed.names) :])
    named = (*renamed.named, *(bool(group[0].prompt.name) for group in chosen.values()))
    return Labels(tuple(names), of_splat, confidence, tuple(supports), named, renamed.notes)


def _nothing(splats: Gaussians, supports: Sequence[SupportPlane]) -> Labels:
    import torch

    return Labels((), torch.zeros(len(splats), dtype=torch.int64, device=splats.means.device), (), tuple(supports))


def _number(taken: set[str]) -> str:
    return next(name for i in range(1, len(taken) + 2) if (name := f"object-{i}") not in taken)


def click_on(splats: Gaussians, cameras: Sequence[Camera], photos: Sequence[View], prompt: PointPrompt) -> Hit:
    """Where a click meets the splats.

    Raises:
        UsageError: There is no such photo, or the pixel lies outside of it.
        SegmentError: Nothing is there.
    """
    from scene3d.capture._known_distance import photo_index, straight
    from scene3d.capture._ray_surface import ray_surface

    index = photo_index([photo.name for photo in photos], prompt.image, "--point")
    camera = cameras[index]
    x, y = straight(photos[index], (prompt.u, prompt.v))
    K = camera.K.detach().cpu().double().numpy()
    T = camera.T_world_cam.detach().cpu().double().numpy()
    pixel = (float(K[0, 0] * x + K[0, 2]), float(K[1, 1] * y + K[1, 2]))
    aim = AIM * max(camera.width, camera.height) / K[[0, 1], [0, 1]]
    steps = [(0, 0), *((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)]
    rays = np.array([[x + i * aim[0], y + j * aim[1], 1.0] for i, j in steps])
    found = ray_surface(splats, T, rays)
    if found is None or not (0 <= pixel[0] < camera.width and 0 <= pixel[1] < camera.height):
        raise SegmentError(
            f"The click {_said(prompt)} meets no surface: the scene shows nothing there. Click on the thing itself."
        )
    return Hit(prompt, index, T[:3, 3] + found[0] * (T[:3, :3] @ rays[0]), pixel)


def _naming(
    splats: Gaussians, cameras: Sequence[Camera], labels: Labels, hits: Sequence[Hit]
) -> tuple[Labels, list[Hit]]:
    """The objects with the names that clicks on them give, and the clicks that meet none of them."""
    names, named, fresh = list(labels.names), list(labels.named or [False] * len(labels.names)), []
    given: dict[int, str] = {}
    for hit in hits:
        label = _label_at(splats, labels, cameras[hit.view], hit) if labels.names else 0
        if label == 0:
            fresh.append(hit)
        elif hit.prompt.name:
            before = given.setdefault(label, hit.prompt.name)
            if before != hit.prompt.name:
                raise SegmentError(
                    f"Two clicks call one object {before!r} and {hit.prompt.name!r}. Use one name, or run without "
                    "masks, where clicks of different names divide what touches."
                )
            if hit.prompt.name in names and names.index(hit.prompt.name) != label - 1:
                raise SegmentError(f"The click {_said(hit.prompt)} gives a second object the name {hit.prompt.name!r}.")
            names[label - 1], named[label - 1] = hit.prompt.name, True
    return replace(labels, names=tuple(names), named=tuple(named)), fresh


def _label_at(splats: Gaussians, labels: Labels, camera: Camera, hit: Hit) -> int:
    shares = next(whole_shares(splats, labels.of_splat, len(labels.names) + 1, [camera]))
    return int(shares[int(hit.pixel[1]), int(hit.pixel[0])].argmax())


def _cluster_at(surface: Surface, clusters: Sequence[Cluster], hit: Hit) -> int | None:
    """The cluster that a click meets."""
    away = [float(np.linalg.norm(surface.points[c.points] - hit.position, axis=1).min()) for c in clusters]
    best = int(np.argmin(away)) if away else -1
    return best if away and away[best] < NEAR * surface.distance else None


def _add_standing(
    of_splat: Tensor,
    splats: Gaussians,
    cameras: Sequence[Camera],
    surface: Surface,
    supports: Sequence[SupportPlane],
    clusters: Sequence[Cluster],
    bands: Sequence[Band],
    standing: dict[int, list[tuple[int, Hit]]],
) -> None:
    """Label the splats of clusters that were clicked on, in place."""
    import torch

    parts, labels = [], []
    for index, hits in standing.items():
        wanted = list(dict.fromkeys(label for label, _ in hits))
        owner = divided(surface, clusters[index].points, [(wanted.index(label), hit.position) for label, hit in hits])
        for number, label in enumerate(wanted):
            parts.append(replace(clusters[index], points=clusters[index].points[owner == number]))
            labels.append(label)
    if not parts:
        return
    found = splats_of_clusters(splats, cameras, surface, supports, parts, [band.foot for band in bands])
    number = torch.tensor([0, *labels], dtype=of_splat.dtype, device=of_splat.device)[found]
    free = (of_splat == 0) & (number > 0)
    of_splat[free] = number[free]


def _add_flat(
    of_splat: Tensor,
    splats: Gaussians,
    cameras: Sequence[Camera],
    supports: Sequence[SupportPlane],
    bands: Sequence[Band],
    distance: float,
    flat: dict[int, list[Hit]],
) -> None:
    """Label the splats of flat things that were clicked on, in place."""
    if not flat:
        return
    regions = [
        (label, _flat(splats, cameras[hit.view], hit, supports, bands, distance))
        for label, group in flat.items()
        for hit in group
    ]
    views = [cameras[i].fitted(LONGEST_SIDE) for i in spread_views(len(cameras))]
    found = labels_of(vote(splats, views, (flat_map(view, regions) for view in views), max(flat) + 1))
    free = (of_splat == 0) & (found > 0)
    of_splat[free] = found[free]


def _flat(
    splats: Gaussians,
    camera: Camera,
    hit: Hit,
    supports: Sequence[SupportPlane],
    bands: Sequence[Band],
    distance: float,
) -> FlatRegion:
    """The flat thing that a click meets."""
    for support, band in zip(supports, bands, strict=True):
        height = float(support.heights(hit.position))
        if abs(height) < max(2 * band.object, 0.02 * distance) and float(inside_outline(support, hit.position)) > 0:
            region = flat_region(splats, camera, hit.pixel, support)
            if region is not None:
                return region
    raise SegmentError(
        f"The click {_said(hit.prompt)} meets no thing with an outline of its own, but a bare surface or the "
        "surroundings. Click on the middle of the thing, or give instance masks."
    )


def _said(prompt: PointPrompt) -> str:
    return f"{prompt.image},{prompt.u:g},{prompt.v:g}"
