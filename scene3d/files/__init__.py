"""Files <-> types: splats as 3DGS PLY, scenes as scene folders.

Nothing here executes what it reads, and every size that a file states is checked before memory is taken for it. Files
are written whole or not at all.
"""

from __future__ import annotations

from scene3d.files._ply import load_ply, save_ply
from scene3d.files._scene_folder import load_scene, prepare_scene_folder, save_scene

__all__ = ["load_ply", "load_scene", "prepare_scene_folder", "save_ply", "save_scene"]
