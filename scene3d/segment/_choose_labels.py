"""Which of the ways to label splats applies: masks where there are any, else shape alone; clicks and SAM 2 on top.

Whatever was used ends in `Labels` of the same splats, together with a word that says what it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError, SegmentError
from scene3d.segment._instances import Instances

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._camera import Camera
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
SHAPE_SIDE = 480
"""Size at which labels that were found by shape are rendered [px]."""
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


def choose_labels(scene: Scene, request: SegmentRequest, before: Tensor | None = None) -> Chosen:
    """Label the splats of a flat scene.

    Args:
        scene: All splats in the world's frame.
        request: What is wanted.
        before: Object that each splat was of, counted from 1, 0 the background, shape (N,); None for a new scene.

    Raises:
        SegmentError: Nothing can be told apart, or what was asked for is not there.
        CaptureError: Masks or photos cannot be read.
        UsageError: A click names no photo, or lies outside of it.
    """
    from scene3d.segment._prompts import parse_point

    points = [parse_point(text) for text in request.points]
    known = tuple(view for view in scene.views if view.photo is not None)
    scene = replace(scene, views=known or scene.views)
    photos = _photos(scene)
    if points and request.sam2 is not None:  # Clicks say what is wanted, and SAM 2 where it ends.
        photos = photos or scene.photos()
        _, supports, trouble = _supports(scene, scene.splats, request.seed)
        splats, labels = _of_sam2(scene, scene.splats, None, photos, points, supports, request, before)
        return Chosen(splats, _finished(labels, supports, trouble), "SAM 2")
    instances = _instances(scene, request, photos)
    if not instances.names and not points and request.use_masks and _cut_out(photos):
        return Chosen(scene.splats, _all_one(scene), "cut out")
    surface, supports, trouble = _supports(scene, scene.splats, request.seed)
    splats, labels, method = scene.splats, None, ""
    if instances.names:
        photos = photos or scene.photos()
        splats, labels, method = *_of_masks(scene, instances, photos, supports, before), "masks"
    elif trouble is None:
        labels = _of_shape(scene, surface, supports, request, clicked=bool(points))
        method = "shape" if labels else ""
    elif not points:
        raise trouble
    if request.sam2 is not None:
        assert labels is not None
        known_cuts = before if splats is scene.splats else None
        splats, labels = _of_sam2(scene, splats, labels, photos or scene.photos(), [], supports, request, known_cuts)
        method += " and SAM 2"
    elif points:
        if splats is not scene.splats:  # Outlines were cut, so the splats have other numbers now.
            surface = _surface(scene, splats)
        labels = _with_points(scene, splats, labels, points, surface, supports, request)
        method = f"{method} and points" if method else "points"
    assert labels is not None
    if not instances.names and request.sam2 is None:
        splats, labels = _cut(scene, labels, supports, before)
    notes = _photos_gone(scene, request) if not photos else ()
    return Chosen(splats, _finished(labels, supports, trouble, notes), method)


def _finished(
    labels: Labels, supports: tuple[SupportPlane, ...], trouble: SegmentError | None, notes: tuple[str, ...] = ()
) -> Labels:
    """Labels on the supports, with notes on what is missing."""
    if trouble is not None:
        notes += ("No level surface is seen that things could stand on, so nothing is filled in where they stand.",)
    return replace(labels, supports=supports, notes=(*notes, *labels.notes))


def _photos(scene: Scene) -> tuple[View, ...]:
    """The photos, in the order of the views; empty where some are gone, which shape alone does not mind."""
    try:
        return scene.photos()
    except CaptureError:
        return ()


def _photos_gone(scene: Scene, request: SegmentRequest) -> tuple[str, ...]:
    """What to say when masks could not be looked for."""
    if not request.use_masks or all(view.photo is None for view in scene.views):
        return ()
    return ("Photos of the scene are gone, so no masks were looked for beside them.",)


def _cut_out(photos: tuple[View, ...]) -> bool:
    """Whether masks made all but one thing transparent, so that the whole scene is that thing."""
    # Transparent pixels of a photo count as well, so there need not be files of masks.
    return bool(photos) and all(photo.mask_mode == "alpha" for photo in photos)


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
    if not photos:
        return Instances(())
    # The folder may have moved with its photos: what lies beside them counts as well.
    said, beside = scene.source.get("capture"), photos[0].path.parent
    roots = [*([Path(said)] if isinstance(said, str) and said else []), beside, beside.parent]
    found = (find_instances(root, photos) for root in roots if root.is_dir())
    return next((instances for instances in found if instances.names), Instances(()))


def _surface(scene: Scene, splats: Gaussians) -> Surface:
    from scene3d.segment._surface_points import surface_points

    return surface_points(splats, scene.cameras)


def _supports(
    scene: Scene, splats: Gaussians, seed: int
) -> tuple[Surface, tuple[SupportPlane, ...], SegmentError | None]:
    from scene3d.segment._find_supports import find_supports

    surface = _surface(scene, splats)
    try:
        return surface, find_supports(surface, scene.up, seed=seed), None
    except SegmentError as error:
        return surface, (), error


def _of_masks(
    scene: Scene,
    instances: Instances,
    photos: tuple[View, ...],
    supports: tuple[SupportPlane, ...],
    before: Tensor | None,
) -> tuple[Gaussians, Labels]:
    from scene3d._object_name import checked_names
    from scene3d.segment._from_masks import lift_masks

    names = checked_names(instances.names)
    cameras, maps = _label_maps(instances, photos)
    fitted = {view.name for view in scene.views if not view.held_out}
    others = [
        photo.camera.fitted(LONGEST_SIDE) for photo in photos if not instances.has(photo) and photo.name in fitted
    ]
    return lift_masks(scene.splats, cameras, maps, names, others=others, supports=supports, before=before)


def _label_maps(instances: Instances, photos: tuple[View, ...]) -> tuple[list[Camera], list[NDArray[np.int32]]]:
    """Cameras and label maps that vote: spread evenly, and more of them for objects that none of those shows."""
    masked = [photo for photo in photos if instances.has(photo)]
    chosen = masked[:: max(1, -(-len(masked) // MOST_VIEWS))]
    voting = {photo.name for photo in chosen}
    cameras = [photo.camera.fitted(LONGEST_SIDE) for photo in chosen]
    maps = [instances.label_map(photo, camera) for photo, camera in zip(chosen, cameras, strict=True)]
    wanted = set(range(1, len(instances.names) + 1)).difference(*(np.unique(map_).tolist() for map_ in maps))
    for photo in masked:
        if not wanted:
            break
        if photo.name in voting:
            continue
        camera = photo.camera.fitted(LONGEST_SIDE)
        map_ = instances.label_map(photo, camera)
        if found := wanted.intersection(np.unique(map_).tolist()):
            wanted -= found
            cameras.append(camera)
            maps.append(map_)
    return cameras, maps


def _of_shape(
    scene: Scene, surface: Surface, supports: tuple[SupportPlane, ...], request: SegmentRequest, *, clicked: bool
) -> Labels | None:
    """What stands on the supports; None where nothing does and clicks say what else there is."""
    from scene3d.segment._geometric import labels_from_geometry

    try:
        return labels_from_geometry(
            scene.splats, scene.cameras, surface, supports, metric=scene.metric, min_height=request.min_height
        )
    except SegmentError:
        if not clicked:
            raise
        return None


def _cut(
    scene: Scene, labels: Labels, supports: tuple[SupportPlane, ...], before: Tensor | None
) -> tuple[Gaussians, Labels]:
    """Splats cut where the outlines of their own labels run through them: rendered labels taken for masks."""
    from scene3d.segment._from_masks import lift_masks
    from scene3d.segment._surface_points import spread_views
    from scene3d.segment._vote import label_image

    cameras = [scene.cameras[index].fitted(SHAPE_SIDE) for index in spread_views(len(scene.cameras))]
    maps = [label_image(scene.splats, labels.of_splat, camera, len(labels.names) + 1) for camera in cameras]
    shown = [index for index in range(len(labels.names)) if any((map_ == index + 1).any() for map_ in maps)]
    if len(shown) < len(labels.names):
        return scene.splats, labels  # Something is too small to be rendered; it keeps the splats that it has.
    splats, cut = lift_masks(scene.splats, cameras, maps, labels.names, supports=supports, before=before)
    kept = [labels.names.index(name) for name in cut.names]
    confidence = tuple(labels.confidence[index] for index in kept)
    named = tuple(labels.named[index] for index in kept) if labels.named else ()
    gone = tuple(note for note in cut.notes if any(name not in cut.names and name in note for name in labels.names))
    return splats, replace(cut, confidence=confidence, named=named, notes=(*labels.notes, *gone))


def _with_points(
    scene: Scene,
    splats: Gaussians,
    labels: Labels | None,
    points: list[PointPrompt],
    surface: Surface,
    supports: tuple[SupportPlane, ...],
    request: SegmentRequest,
) -> Labels:
    from scene3d.segment._prompts import labels_from_prompts

    # Clicks need the sizes of the photos and no pixels, so it does not matter if the files are gone.
    photos = tuple(view.photo for view in scene.views if view.photo is not None) or scene.photos()
    return labels_from_prompts(
        splats,
        scene.cameras,
        photos,
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
    before: Tensor | None,
) -> tuple[Gaussians, Labels]:
    """Outlines drawn by SAM 2: of what was clicked on, or of what was found already."""
    from scene3d._object_name import checked_names
    from scene3d.segment._from_masks import lift_masks
    from scene3d.segment._prompts import click_on
    from scene3d.segment._track_masks import ObjectPoints, sam2_masks, sam2_refined

    assert request.sam2 is not None
    if points:
        clicked: dict[str, list[np.ndarray]] = {}
        for number, point in enumerate(points, start=1):
            at = click_on(splats, scene.cameras, photos, point).position
            clicked.setdefault(point.name or f"object-{number}", []).append(at)
        names = checked_names(list(clicked))
        objects = [ObjectPoints(name, np.stack(at)) for name, at in zip(names, clicked.values(), strict=True)]
        tracked = sam2_masks(splats, photos, objects, request.sam2, device=request.device)
    else:
        assert labels is not None
        tracked = sam2_refined(splats, photos, labels, request.sam2, device=request.device)
    return lift_masks(splats, tracked.cameras, tracked.label_maps, tracked.names, supports=supports, before=before)
