"""Convex parts of a mesh that came from somebody else's file, worked out in a process of its own.

Convex decomposition is native code that expects a clean solid; a mesh that folds over itself can end the process. Then
the hull stands for the mesh, and that is said.

    parent  --vertices and faces (.npz)-->  python -I -m sim_bridge.usd._import_parts  --parts (.npz)-->  parent
"""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dynamics import TriangleMesh

__all__ = ["parts_apart"]

SECONDS = 300
"""The most that a decomposition takes; those of a scene's objects take a few."""


def parts_apart(mesh: TriangleMesh) -> tuple[TriangleMesh, ...]:
    """What `dynamics.convex_parts` makes of a mesh; nothing when it cannot."""
    from dynamics import TriangleMesh

    sent = io.BytesIO()
    np.savez(sent, vertices=mesh.vertices, faces=mesh.faces)
    command = [sys.executable, "-I", "-m", "sim_bridge.usd._import_parts"]
    try:
        ran = subprocess.run(command, input=sent.getvalue(), capture_output=True, timeout=SECONDS, check=False)
        with np.load(io.BytesIO(ran.stdout), allow_pickle=False) as found:
            count = len(found.files) // 2
            return tuple(TriangleMesh(found[f"vertices{i}"], found[f"faces{i}"]) for i in range(count))
    except (subprocess.TimeoutExpired, OSError, ValueError, EOFError, zipfile.BadZipFile):
        return ()


def _child() -> None:
    """Read a mesh from stdin, write its parts to stdout, which the native code writes to as well."""
    import os

    from dynamics import TriangleMesh, convex_parts

    out = os.dup(1)
    os.dup2(2, 1)
    with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as sent:
        mesh = TriangleMesh(sent["vertices"], sent["faces"])
    arrays = {}
    for i, part in enumerate(convex_parts(mesh)):
        arrays |= {f"vertices{i}": part.vertices, f"faces{i}": part.faces}
    with os.fdopen(out, "wb") as file:
        np.savez(file, **arrays)


if __name__ == "__main__":
    _child()
