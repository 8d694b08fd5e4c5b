"""Meshes of other programs: a file -> one triangle mesh, in the file's own axes.

Files are handed to trimesh as open files, not as paths, so that a mesh cannot make us read what it names (materials,
textures, buffers). Parts of a file are put together where its scene graph has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import FileFormatError

if TYPE_CHECKING:
    from pathlib import Path

    from dynamics import TriangleMesh

__all__ = ["MESHES", "load_mesh"]

MESHES = (".obj", ".glb", ".stl", ".ply")
"""Suffixes that are read, best first."""
LARGEST = 512 * 1024 * 1024
"""Bytes."""


def load_mesh(path: Path) -> TriangleMesh:
    """Read a mesh; corners at equal places become one vertex.

    Raises:
        FileFormatError: Nothing there, of a kind that is not read, too large, damaged, or without triangles.
    """
    import trimesh

    from dynamics import TriangleMesh

    if path.suffix.lower() not in MESHES:
        raise FileFormatError(f"{path} is no mesh that is read; these are {', '.join(MESHES)}. Export it as one.")
    try:
        if path.stat().st_size > LARGEST:
            raise FileFormatError(f"{path} is larger than {LARGEST // 2**20} MiB. Simplify the mesh first.")
        with open(path, "rb") as file:
            found = trimesh.load_mesh(file, file_type=path.suffix[1:].lower(), process=False, skip_materials=True)
        found.merge_vertices(merge_tex=True, merge_norm=True)
        mesh = TriangleMesh(np.asarray(found.vertices), np.asarray(found.faces, dtype=np.int32))
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror or error}).") from error
    except FileFormatError:
        raise
    except Exception as error:  # Whatever a damaged file makes trimesh raise: there is no common base.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileFormatError(f"{path} is no mesh that can be read ({reason}). Export it again.") from error
    if not len(mesh.faces):
        raise FileFormatError(f"{path} holds no triangles. Export the mesh again.")
    return mesh
