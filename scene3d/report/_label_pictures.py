"""Photos with the objects that were found in them: labels rendered from splats, drawn over the photos.

`choose_views` picks photos from all around that together show every object; `overlay` lays translucent colours with
crisp outlines and name tags over one of them. Labels are those of the splats as they are drawn, so what is wrong with
the segmentation is to be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError
from scene3d.report._lettering import shortened, text_width, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._scene import Scene, SceneView

__all__ = ["PALETTE", "Overlay", "choose_views", "colour_of", "label_map", "overlay"]

PALETTE = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
    (170, 214, 160),
    (221, 204, 255),
    (153, 79, 50),
    (136, 204, 238),
    (170, 170, 0),
)
"""Told apart by colour-blind readers: the first seven are those of Okabe and Ito 2008. They repeat after twelve."""
SOLID = 0.5
"""Opacity from which a pixel shows a surface."""
SMALL = 160
"""Size at which views are compared [px]."""
CANDIDATES = 40
SHOWN = 12
"""Pixels at that size from which an object is to be seen."""
TINT = 0.34
"""Share of an object's colour within its outline."""
FINER = 2
"""Labels are rendered this many times finer than they are shown, for smooth outlines."""
TAG = 15
"""Height of letters in name tags [px]."""
INK, SHADE = (245, 246, 248), (18, 20, 24)


@dataclass(frozen=True)
class Overlay:
    """One photo with its objects."""

    name: str
    """Image name within the capture."""
    picture: Image
    """Photo with colours, outlines and name tags."""
    is_photo: bool
    """False when the photo was not to be had, so that a render is shown instead."""


def colour_of(number: int) -> tuple[int, int, int]:
    """Colour of the object with that place in the scene."""
    return PALETTE[number % len(PALETTE)]


def label_map(scene: Scene, camera: Camera) -> NDArray[np.int32]:
    """What each pixel of a view shows: 0 the background, i + 1 the scene's object i, shape (H, W)."""
    from scene3d.segment._label_shares import label_shares

    splats, labels = scene.splats, len(scene.objects) + 1
    (shares,) = label_shares(splats, splats.component_index, labels, [camera], T_world_body=_poses(scene))
    return np.where(shares.sum(axis=-1) >= SOLID, shares.argmax(axis=-1), 0).astype(np.int32)


def choose_views(scene: Scene, views: Sequence[SceneView], count: int) -> list[SceneView]:
    """Views from all around that together show every object, and most of them large.

    Args:
        scene: Scene with objects.
        views: Views to choose from, at least one.
        count: How many, fewer if there are fewer.
    """
    views = views[:: max(1, -(-len(views) // CANDIDATES))]
    maps = [label_map(scene, view.camera.fitted(SMALL)) for view in views]
    areas = np.stack([np.bincount(map_.ravel(), minlength=len(scene.objects) + 1)[1:] / map_.size for map_ in maps])
    shown = areas >= SHOWN / maps[0].size
    # Relative to the view that shows an object best, so that small things count as much as large ones.
    worth = (areas / np.maximum(areas.max(axis=0), 1e-12)).mean(axis=1) if areas.shape[1] else np.ones(len(views))
    places = np.stack([view.camera.position.detach().cpu().double().numpy() for view in views])
    spread = float(np.linalg.norm(places - places.mean(axis=0), axis=1).max()) or 1.0
    taken = [int((worth + shown.sum(axis=1)).argmax())]
    while len(taken) < min(count, len(views)):
        seen = shown[taken].any(axis=0)
        fresh = (shown & ~seen).sum(axis=1)
        apart = np.linalg.norm(places[:, None] - places[taken], axis=-1).min(axis=1) / spread
        value = 10.0 * fresh + apart + 0.5 * worth
        value[taken] = -np.inf
        taken.append(int(value.argmax()))
    return sorted((views[index] for index in taken), key=lambda view: view.name)


def overlay(scene: Scene, view: SceneView, width: int) -> Overlay:
    """Draw the objects over one photo.

    Args:
        scene: Scene with objects.
        view: One of its views.
        width: Width of the picture [px].
    """
    from PIL import Image, ImageDraw

    height = max(1, round(width * view.camera.height / view.camera.width))
    fine = view.camera.resized(FINER * width, FINER * height)
    base, is_photo = _base(scene, view, fine)
    labels = label_map(scene, fine)
    drawn = _tinted(base, labels, len(scene.objects))
    picture = Image.fromarray(drawn).resize((width, height), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    taken: list[tuple[int, int, int, int]] = []
    for number, thing in enumerate(scene.objects):
        place = _deepest(labels == number + 1)
        if place is not None:
            column, row, depth = (value / FINER for value in place)
            # On a thin thing a tag would hide it: there it stands above.
            at = (column, row if depth > TAG else row - depth - TAG)
            taken.append(_tag(draw, at, thing.name, colour_of(number), picture.size, taken))
    return Overlay(view.name, picture, is_photo)


def _poses(scene: Scene) -> Tensor:
    return scene.T_world_body.to(scene.splats.means)


def _base(scene: Scene, view: SceneView, camera: Camera) -> tuple[NDArray[np.uint8], bool]:
    """The photo, sRGB (H, W, 3), on a camera's pixels, or a render where there is none."""
    import torch
    from PIL import Image

    from scene3d.render import render

    if view.photo is not None:
        try:
            rgb = view.photo.load(max(camera.width, camera.height)).rgb
            picture = Image.fromarray(np.asarray(rgb)).resize((camera.width, camera.height), Image.Resampling.LANCZOS)
            return np.asarray(picture), True
        except CaptureError:
            pass  # Moved or damaged since: a picture of the splats says nearly as much.
    with torch.no_grad():
        splats = scene.splats.detach()
        frame = render(splats, camera.to(splats.means.device), T_world_body=_poses(scene))
    return (frame.rgb.clamp(0, 1) * 255).round().byte().cpu().numpy(), False


def _tinted(rgb: NDArray[np.uint8], labels: NDArray[np.int32], objects: int) -> NDArray[np.uint8]:
    """Colours and outlines over a picture (H, W, 3); the background loses some of its own colour."""
    import cv2

    grey = rgb.mean(axis=-1, keepdims=True)
    out = np.where((labels > 0)[..., None], rgb, 0.72 * (0.55 * rgb + 0.45 * grey)).astype(np.float32)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    edges = np.zeros(labels.shape, dtype=np.int32)
    rims = np.zeros(labels.shape, dtype=bool)
    for number in range(objects):
        mask = (labels == number + 1).astype(np.uint8)
        if not mask.any():
            continue
        colour = np.asarray(colour_of(number), dtype=np.float32)
        inside = mask > 0
        out[inside] = (1 - TINT) * out[inside] + TINT * colour
        # Outlines close the pixel-wide gaps of a mask, which are no edges of the thing.
        closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)
        edges[(closed > 0) & (cv2.erode(closed, kernel) == 0)] = number + 1
        rims |= (cv2.dilate(closed, kernel[1:4, 1:4].copy(), iterations=2) > 0) & (closed == 0)
    out[rims & (edges == 0)] *= 0.45
    for number in range(objects):
        out[edges == number + 1] = colour_of(number)
    return out.clip(0, 255).astype(np.uint8)


def _deepest(mask: NDArray[np.bool_]) -> tuple[float, float, float] | None:
    """Column and row of the pixel farthest inside a mask, and how far [px]; None for an empty one."""
    import cv2

    if mask.sum() < SHOWN:
        return None
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(column), float(row), float(depth[row, column])


def _tag(
    draw: ImageDraw,
    at: tuple[float, float],
    name: str,
    colour: tuple[int, int, int],
    size: tuple[int, int],
    taken: Sequence[tuple[int, int, int, int]],
) -> tuple[int, int, int, int]:
    """Draw a name tag near a place where no other tag is; returns its box."""
    text = shortened(name, size[0] // 3, TAG, bold=True)
    width, height = text_width(text, TAG, bold=True) + 14, TAG + 9
    left = int(min(max(2, at[0] - width / 2), size[0] - width - 2))
    tops = [int(at[1] - height / 2) + step * (height + 2) for step in (0, -1, 1, -2, 2, -3, 3)]
    tops = [min(max(2, top), size[1] - height - 2) for top in tops]
    boxes = [(left, top, left + width, top + height) for top in tops]
    box = next((box for box in boxes if not any(_overlap(box, other) for other in taken)), boxes[0])
    draw.rounded_rectangle(box, radius=height // 2, fill=SHADE, outline=colour, width=2)
    write(draw, (box[0] + 7, box[1] + height / 2), text, INK, TAG, bold=True, anchor="lm")
    return box


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
