"""Files <-> types: splats in all formats of the field, scenes as scene folders.

`load_splats` and `save_splats` find the format by themselves; `load_ply` and `save_ply` are the exact one. Nothing here
executes what it reads, and every size that a file states is checked before memory is taken for it. Files are written
whole or not at all.
"""

from __future__ import annotations

from scene3d.files._ply import load_ply, save_ply
from scene3d.files._scene_folder import (
    load_scene,
    prepare_scene_folder,
    restore_next,
    restore_previous,
    save_scene,
)
from scene3d.files._splat_files import SplatFile, load_splats, save_splats

__all__ = [
    "SplatFile",
    "load_ply",
    "load_scene",
    "load_splats",
    "prepare_scene_folder",
    "restore_next",
    "restore_previous",
    "save_ply",
    "save_scene",
    "save_splats",
]
