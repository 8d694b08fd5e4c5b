"""A made-up desk as a scene whose photos lie on disk: a red and a blue block, known splat by splat.

The photos are renders of the splats, so that masks and clicks can be made of what each pixel shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from scene3d import Camera, Gaussians, Scene, SceneView
from scene3d.capture import View
from scene3d.render import render
from scene3d.segment._vote import label_image

from .made_up_desk import around, block, board, counts, splats

RED, BLUE = 1, 2
SIDE = 160
PARTS = (
    (board(half=0.3, step=0.015), (0.8, 0.8, 0.75)),
    (block(-0.1, 0.0, (0.08, 0.08, 0.09), step=0.008), (0.8, 0.1, 0.1)),
    (block(0.1, 0.04, (0.12, 0.06, 0.05), step=0.008), (0.1, 0.1, 0.8)),
)
TRUTH = torch.from_numpy(counts(*PARTS))
"""Part of each splat: 0 the board, `RED`, `BLUE`."""


def desk() -> Gaussians:
    """Some 3000 splats."""
    return splats(*PARTS, sigma=0.0065)


def photographed(folder: Path, made: Gaussians, cameras: Sequence[Camera] | None = None) -> Scene:
    """A metric scene of splats with photos ``00.png`` and so on in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    views = []
    for number, camera in enumerate(cameras or [camera.fitted(SIDE) for camera in around(8)]):
        path = folder / f"{number:02d}.png"
        pixels = render(made, camera).rgb.clamp(0, 1).mul(255).round().byte().numpy()
        Image.fromarray(pixels).save(path)
        views.append(SceneView(path.name, camera, photo=View(path.name, path, camera)))
    return Scene(made, tuple(views), metric=True, source={"capture": str(folder)})


def write_masks(
    folder: Path, scene: Scene, labels: torch.Tensor, names: Mapping[str, int], skipped: Mapping[str, Sequence[int]]
) -> Path:
    """A folder of masks for each name, of what the splats with its label show; none in photos that are skipped."""
    for name, label in names.items():
        (folder / name).mkdir(parents=True)
        for number, view in enumerate(scene.views):
            shown = seen(scene.splats, labels, view.camera) == label
            if number not in skipped.get(name, ()):
                Image.fromarray((255 * shown).astype(np.uint8)).save(folder / name / view.name)
    return folder


def write_ids(
    folder: Path, scene: Scene, labels: torch.Tensor, *, gone: Mapping[int, Sequence[int]] | None = None
) -> Path:
    """An id map for each photo; the ids in ``gone`` are missing from those photos."""
    folder.mkdir(parents=True)
    for number, view in enumerate(scene.views):
        ids = seen(scene.splats, labels, view.camera).clip(0)
        for label, photos in (gone or {}).items():
            if number in photos:
                ids[ids == label] = 0
        Image.fromarray(ids.astype(np.uint8)).save(folder / view.name)
    return folder


def seen(made: Gaussians, labels: torch.Tensor, camera: Camera) -> NDArray[np.int32]:
    """Label of each pixel, shape (H, W)."""
    return label_image(made, labels, camera, int(labels.max()) + 1)


def pixel_of(scene: Scene, labels: torch.Tensor, label: int, view: int = 0) -> str:
    """``IMAGE,U,V`` of a pixel in the middle of what shows a label."""
    rows, columns = np.nonzero(seen(scene.splats, labels, scene.views[view].camera) == label)
    middle = np.argmin(np.hypot(rows - rows.mean(), columns - columns.mean()))
    return f"{scene.views[view].name},{columns[middle] + 0.5:g},{rows[middle] + 0.5:g}"


def forgetful(scene: Scene) -> Scene:
    """The scene without any memory of its photos."""
    return replace(scene, views=tuple(replace(view, photo=None) for view in scene.views), source={})
