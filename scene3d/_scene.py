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

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians

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


@dataclass(frozen=True)
class Scene:
    """Splats and the cameras that saw them."""

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

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """Cameras of all views."""
        return tuple(view.camera for view in self.views)

    @staticmethod
    def load(folder: Path | str) -> Scene:
        """Read a scene folder; see `scene3d.files.load_scene`."""
        from scene3d.files import load_scene

        return load_scene(folder)

    def save(self, folder: Path | str, *, overwrite: bool = False) -> Path:
        """Write a scene folder; see `scene3d.files.save_scene`."""
        from scene3d.files import save_scene

        return save_scene(self, folder, overwrite=overwrite)
