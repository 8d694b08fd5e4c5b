"""Pictures to Gaussian-splat scenes and back, on a laptop CPU or on CUDA.

A `Capture` (posed photos) becomes a `Scene` (splats, and the cameras that saw them) by `reconstruct`; `save_scene` and
`load_scene` move a `Scene` to and from disk; `scene3d.render` turns splats and a `Camera` into a `Frame` of colour,
opacity and depth, with gradients. What one module makes, the next one takes, as frozen dataclasses of plain arrays.

    scene3d.capture   photos, video, RGB-D on disk -> Capture
    scene3d.fit       Capture -> splats
    scene3d.render    splats, Camera -> Frame
    scene3d.files     scene folders and splat files
    scene3d.interop   cameras, poses and captures of other libraries
    scene3d.segment   labels on splats
    scene3d.report    how well the splats explain the photos
    scene3d.cli       the command `scene3d`

Conventions (metres, Z up, OpenCV cameras, wxyz quaternions) are in docs/conventions.md. Names are resolved on first
use, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scene3d import capture as capture
    from scene3d import files as files
    from scene3d import fit as fit
    from scene3d import interop as interop
    from scene3d import render as render
    from scene3d import report as report
    from scene3d import segment as segment
    from scene3d._camera import Camera as Camera
    from scene3d._errors import Scene3dError as Scene3dError
    from scene3d._frame import Frame as Frame
    from scene3d._gaussians import Gaussians as Gaussians
    from scene3d._reconstruct import reconstruct as reconstruct
    from scene3d._scene import Scene as Scene
    from scene3d._scene import SceneView as SceneView
    from scene3d.capture import Capture as Capture
    from scene3d.capture import read_capture as read_capture
    from scene3d.files import load_ply as load_ply
    from scene3d.files import load_scene as load_scene
    from scene3d.files import save_ply as save_ply
    from scene3d.files import save_scene as save_scene

    __version__: str

__all__ = [
    "Camera",
    "Capture",
    "Frame",
    "Gaussians",
    "Scene",
    "Scene3dError",
    "SceneView",
    "__version__",
    "capture",
    "files",
    "fit",
    "interop",
    "load_ply",
    "load_scene",
    "read_capture",
    "reconstruct",
    "render",
    "report",
    "save_ply",
    "save_scene",
    "segment",
]

_HOMES = {
    "Camera": "scene3d._camera",
    "Capture": "scene3d.capture",
    "Frame": "scene3d._frame",
    "Gaussians": "scene3d._gaussians",
    "Scene": "scene3d._scene",
    "Scene3dError": "scene3d._errors",
    "SceneView": "scene3d._scene",
    "load_ply": "scene3d.files",
    "load_scene": "scene3d.files",
    "read_capture": "scene3d.capture",
    "reconstruct": "scene3d._reconstruct",
    "save_ply": "scene3d.files",
    "save_scene": "scene3d.files",
}

# `scene3d.render` is the package: a function of that name here would be shadowed as soon as the package is imported.
_PACKAGES = ("capture", "files", "fit", "interop", "render", "report", "segment")


def __getattr__(name: str) -> Any:
    """Import public names when they are first used."""
    if name in _PACKAGES:
        return import_module(f"{__name__}.{name}")
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name == "__version__":
        value = _version()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, whether imported yet or not."""
    return sorted(set(globals()) | set(__all__))


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("scene3d")
    except PackageNotFoundError:  # A source tree that was never installed.
        return "0+unknown"
