"""A scene: the static description of one place, as it is stored in a scene folder.

`reconstruct` makes it from a capture, `save_scene` and `load_scene` move it to and from disk, and the renderer, the
viewer and the verbs read it. Nothing in it changes with time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from dynamics import Joint
    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d._scene_object import SceneObject
    from scene3d._support import SupportPlane
    from scene3d.capture._capture import View

__all__ = ["Scene", "SceneView"]


@dataclass(frozen=True)
class SceneView:
    """A capture camera that the scene remembers."""

    name: str
    """Image name within the capture."""
    camera: Camera
    """Pinhole camera at the size that was fitted."""
    held_out: bool = False
    """True when the photo was kept out of fitting."""
    photo: View | None = None
    """The photo itself, its full-size camera posed in the scene's present world; None when it is not remembered."""


@dataclass(frozen=True)
class Scene:
    """Splats, the objects that they ride on, and the cameras that saw them."""

    splats: Gaussians
    """All splats; `component_index` says which body each rides on, 0 is the background."""
    views: tuple[SceneView, ...] = ()
    """Capture cameras, sorted by name."""
    metric: bool = False
    """True when lengths are metres."""
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)
    """World direction that points up."""
    source: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Where it came from: capture path, reader, preset, seed, device."""
    metrics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Summary of `report/metrics.json`: psnr, ssim, seconds, splats."""
    scale_source: str = ""
    """Where metric scale came from, e.g. ``capture``, ``markers``, ``known distance``; empty when unknown."""
    T_world_source: tuple[tuple[float, float, float, float], ...] | None = None
    """Similarity (4, 4), last row 0 0 0 1, from the world of the capture's files to this one; None for the identity."""
    objects: tuple[SceneObject, ...] = ()
    """Things that can be moved; object i is component i + 1 of the splats."""
    supports: tuple[SupportPlane, ...] = ()
    """What the objects stand on, the largest first."""
    joints: tuple[Joint, ...] = ()
    """What ties objects to each other or to the world: parent and child are places in `objects`; parent -1 is the
    world, and the joint's frame in it is then in the scene's units and axes. They link objects to trees."""
    filled: int = 0
    """How many of the background's splats, its last ones, were made up to fill the holes under objects."""

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """Cameras of all views."""
        return tuple(view.camera for view in self.views)

    @property
    def T_world_body(self) -> Tensor:
        """Poses of the background (the identity) and of all objects, for `render`, shape (1 + objects, 7)."""
        import torch

        background = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
        return torch.tensor([background, *(thing.T_world_body for thing in self.objects)], dtype=torch.float32)

    def index(self, name: str) -> int:
        """Place of the object with that name in `objects`; its component is one more.

        Raises:
            UsageError: There is no such object; the message lists those there are.
        """
        from scene3d._errors import UsageError

        names = [thing.name for thing in self.objects]
        if name not in names:
            has = f"It has {', '.join(names)}." if names else "It has none: run `scene3d segment` first."
            raise UsageError(f"There is no object {name!r} in the scene. {has}")
        return names.index(name)

    def photos(self) -> tuple[View, ...]:
        """The photos that the scene was made from, posed in its present world, sorted by name.

        Raises:
            CaptureError: The scene does not remember its photos, or some are not where they were.
        """
        from scene3d._errors import CaptureError

        found = tuple(view.photo for view in self.views if view.photo is not None)
        if not found:
            raise CaptureError(
                "The scene does not say where its photos are, but they are needed. Reconstruct it again from them."
            )
        gone = [photo.path for photo in found if not photo.path.is_file()]
        if gone:
            raise CaptureError(
                f"{len(gone)} of the scene's {len(found)} photos are gone, for example {gone[0]}, but they are needed. "
                "Put them back, or reconstruct the scene again from where they are now."
            )
        return found

    @staticmethod
    def load(folder: Path | str) -> Scene:
        """Read a scene folder; see `scene3d.files.load_scene`."""
        from scene3d.files import load_scene

        return load_scene(folder)

    def save(self, folder: Path | str, *, overwrite: bool = False) -> Path:
        """Write a scene folder; see `scene3d.files.save_scene`."""
        from scene3d.files import save_scene

        return save_scene(self, folder, overwrite=overwrite)
