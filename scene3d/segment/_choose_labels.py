"""Which of the ways to label splats applies: masks where there are any, else shape alone; clicks and SAM 2 on top.

Whatever was used ends in `Labels` of the same splats, together with a word that says what it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import CaptureError, SegmentError
from scene3d.segment._instances import Instances

if TYPE_CHECKING:
    from scene3d._gaussians import Gaussians
    from scene3d._scene import Scene
    from scene3d._support import SupportPlane
    from scene3d.capture._capture import View
    from scene3d.segment._labels import Labels
    from scene3d.segment._prompts import PointPrompt
    from scene3d.segment._request import SegmentRequest
    from scene3d.segment._surface_points import Surface

__all__ = ["Chosen", "choose_labels"]

LONGEST_SIDE = 800
"""Largest size of label maps [px]; masks are cut at their own pixels, so smaller ones would blur outlines."""
MOST_VIEWS = 40
"""Label maps that vote; more tell little more."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """Labelled splats, and how they came to be."""

    splats: Gaussians
    """In the world's frame; some were cut in two where an outline runs through them."""
    labels: Labels
    """Of these splats."""
    method: str
    """``masks``, ``shape``, ``points``, ``SAM 2`` and their sums, or ``cut out``."""


def choose_labels(scene: Scene, request: SegmentRequest) -> Chosen:
    """Label the splats of a flat scene.

    Args:
        scene: All splats in the world's frame.
        request: What is wanted.

    Raises:
        SegmentError: Nothing can be told apart, or what was asked for is not there.
        CaptureError: Masks or photos cannot be read.
        UsageError: A click names no photo, or lies outside of it.
    """
    from scene3d.segment._prompts import parse_point

    points = [parse_point(text) for text in request.points]
    photos = _photos(scene)
    instances = _instances(scene, request, photos)
    if not instances.names and not points and request.use_masks and _cut_out(photos):
        return Chosen(scene.splats, _all_one(scene), "cut out")
    surface, supports, trouble = _supports(scene, request.seed)
    if instances.names:
        splats, labels, method = *_of_masks(scene, instances, photos, supports), "masks"
    elif points and (trouble or request.sam2):
        splats, labels, method = scene.splats, None, ""
    elif trouble is not None:
        raise trouble
    else:
        splats, labels, method = scene.splats, _of_shape(scene, surface, supports, request), "shape"
    if request.sam2 is not None:
        splats, labels = _of_sam2(scene, splats, labels, photos, points, supports, request)
        method = f"{method} and SAM 2".removeprefix(" and ")
    elif points:
        labels = _with_points(scene, splats, labels, photos, points, surface, supports, request)
        method = f"{method} and points".removeprefix(" and ")
    assert labels is not None
    return Chosen(splats, replace(labels, supports=supports), method)


def _photos(scene: Scene) -> tuple[View, ...]:
    """The photos, in the order of the views; empty where some are gone, which shape alone does not mind."""
    try:
        found = scene.photos()
    except CaptureError:
        return ()
    return found if len(found) == len(scene.views) else ()


def _cut_out(photos: tuple[View, ...]) -> bool:
    """Whether masks made all but one thing transparent, so that the whole scene is that thing."""
    return bool(photos) and all(photo.mask is not None and photo.mask_mode == "alpha" for photo in photos)


def _all_one(scene: Scene) -> Labels:
    import torch

    from scene3d.segment._labels import Labels

    note = "The masks cut out one thing, so the whole scene is one object."
    return Labels(("object-1",), torch.ones(len(scene.splats), dtype=torch.int64), (1.0,), (), (False,), (note,))


def _instances(scene: Scene, request: SegmentRequest, photos: tuple[View, ...]) -> Instances:
    from scene3d.segment._instances import find_instances, read_masks

    if not request.use_masks:
        return Instances(())
    if request.masks is not None:
        return read_masks(request.masks, photos or scene.photos())
    capture = Path(scene.source.get("capture", ""))
    if not photos:
        return Instances(())
    # The folder may have moved with its photos: what lies beside them counts as well.
    roots = [root for root in (capture, photos[0].path.parent, photos[0].path.parent.parent) if root.is_dir()]
    found = (find_instances(root, photos) for root in roots)
    return next((instances for instances in found if instances.names), Instances(()))


def _supports(scene: Scene, seed: int) -> tuple[Surface, tuple[SupportPlane, ...], SegmentError | None]:
    from scene3d.segment._find_supports import find_supports
    from scene3d.segment._surface_points import surface_points

    surface = surface_points(scene.splats, scene.cameras)
    try:
        return surface, find_supports(surface, scene.up, seed=seed), None
    except SegmentError as error:
        return surface, (), error


def _of_masks(
    scene: Scene, instances: Instances, photos: tuple[View, ...], supports: tuple[SupportPlane, ...]
) -> tuple[Gaussians, Labels]:
    from scene3d._object_name import checked_names
    from scene3d.segment._from_masks import lift_masks

    masked = [photo for photo in photos if instances.has(photo)]
    masked = masked[:: max(1, -(-len(masked) // MOST_VIEWS))]
    others = [
        photo.camera.fitted(LONGEST_SIDE)
        for photo, view in zip(photos, scene.views, strict=True)
        if not instances.has(photo) and not view.held_out
    ]
    cameras = [photo.camera.fitted(LONGEST_SIDE) for photo in masked]
    maps = [instances.label_map(photo, camera) for photo, camera in zip(masked, cameras, strict=True)]
    names = checked_names(instances.names)
    return lift_masks(scene.splats, cameras, maps, names, others=others, supports=supports)


def _of_shape(scene: Scene, surface: Surface, supports: tuple[SupportPlane, ...], request: SegmentRequest) -> Labels:
    from scene3d.segment._geometric import labels_from_geometry

    return labels_from_geometry(
        scene.splats, scene.cameras, surface, supports, metric=scene.metric, min_height=request.min_height
    )


def _with_points(
    scene: Scene,
    splats: Gaussians,
    labels: Labels | None,
    photos: tuple[View, ...],
    points: list[PointPrompt],
    surface: Surface,
    supports: tuple[SupportPlane, ...],
    request: SegmentRequest,
) -> Labels:
    from scene3d.segment._prompts import labels_from_prompts

    return labels_from_prompts(
        splats,
        scene.cameras,
        photos or scene.photos(),
        points,
        surface,
        supports,
        metric=scene.metric,
        existing=labels,
        min_height=request.min_height,
    )


def _of_sam2(
    scene: Scene,
    splats: Gaussians,
    labels: Labels | None,
    photos: tuple[View, ...],
    points: list[PointPrompt],
    supports: tuple[SupportPlane, ...],
    request: SegmentRequest,
) -> tuple[Gaussians, Labels]:
    """Outlines drawn by SAM 2: of what was clicked on, or of what was found already."""
    import numpy as np

    from scene3d._object_name import checked_names
    from scene3d.segment._from_masks import lift_masks
    from scene3d.segment._prompts import click_on
    from scene3d.segment._track_masks import ObjectPoints, sam2_masks, sam2_refined

    views = photos or scene.photos()
    assert request.sam2 is not None
    if points:
        clicked: dict[str, list[np.ndarray]] = {}
        for number, point in enumerate(points, start=1):
            at = click_on(splats, scene.cameras, views, point).position
            clicked.setdefault(point.name or f"object-{number}", []).append(at)
        names = checked_names(list(clicked))
        objects = [ObjectPoints(name, np.stack(at)) for name, at in zip(names, clicked.values(), strict=True)]
        tracked = sam2_masks(splats, views, objects, request.sam2, device=request.device)
    else:
        assert labels is not None
        tracked = sam2_refined(splats, views, labels, request.sam2, device=request.device)
    return lift_masks(splats, tracked.cameras, tracked.label_maps, tracked.names, supports=supports)
