"""Our own OBJ files <-> triangle meshes, with the faces that no photo saw in a group of their own.

Only what `encode_obj` writes is read: vertices, triangles, groups, comments. Numbers have nine significant digits (a
nanometre on a metre), the order of faces stays. Meshes of other programs go through trimesh instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import FileFormatError, Scene3dError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from dynamics import TriangleMesh

__all__ = ["UNSEEN", "encode_obj", "load_obj"]

UNSEEN, SEEN = "unseen", "seen"
"""OBJ groups."""
LARGEST = 256 * 1024 * 1024
"""Bytes; about two million faces."""


def encode_obj(mesh: TriangleMesh, unseen: NDArray[np.bool_] | None = None) -> bytes:
    """The text of a mesh.

    Args:
        mesh: V vertices and F faces.
        unseen: Faces that go into the group ``unseen``, shape (F,) or empty; None for none.
    """
    flags = np.zeros(len(mesh.faces), dtype=bool) if unseen is None or not len(unseen) else unseen
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in mesh.vertices.tolist()]
    group = False
    for (a, b, c), flag in zip((mesh.faces + 1).tolist(), flags.tolist(), strict=True):
        if flag != group:
            lines.append(f"g {UNSEEN if flag else SEEN}")
            group = flag
        lines.append(f"f {a} {b} {c}")
    return ("\n".join(lines) + "\n").encode("ascii")


def load_obj(path: Path) -> tuple[TriangleMesh, NDArray[np.bool_]]:
    """Read an OBJ that `encode_obj` wrote.

    Returns:
        The mesh, and which faces are in the group ``unseen``, shape (F,); empty when none is.

    Raises:
        FileFormatError: It cannot be read, or holds anything else than finite vertices and triangles of them.
    """
    vertices: list[tuple[float, ...]] = []
    faces: list[tuple[int, ...]] = []
    unseen: list[bool] = []
    group = False
    for number, line in enumerate(_lines(path), 1):
        keyword, *words = line.split() or ["#"]
        try:
            if keyword == "v" and len(words) == 3:
                vertices.append(tuple(map(float, words)))
            elif keyword == "f" and len(words) == 3:
                faces.append(tuple(map(int, words)))
                unseen.append(group)
            elif keyword == "g" and len(words) == 1:
                group = words[0] == UNSEEN
            elif not keyword.startswith(("#", "o")):
                raise ValueError
        except ValueError as error:
            raise FileFormatError(
                f"{path} line {number} is not of a mesh that scene3d wrote: only vertices x y z, triangles of vertex "
                "numbers and groups are read. Convert a mesh of another program with 'scene3d convert'."
            ) from error
    return _mesh(path, vertices, faces), np.array(unseen if any(unseen) else [], dtype=bool)


def _mesh(path: Path, vertices: list[tuple[float, ...]], faces: list[tuple[int, ...]]) -> TriangleMesh:
    from dynamics import TriangleMesh

    try:
        corners = np.array(faces, dtype=np.int64).reshape(-1, 3) - 1
        return TriangleMesh(np.array(vertices, dtype=np.float64).reshape(-1, 3), corners)  # type: ignore[arg-type]
    except (Scene3dError, OverflowError) as error:
        raise FileFormatError(f"{path} is damaged ({error}). Copy the whole scene folder again.") from error


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > LARGEST:
            raise FileFormatError(f"{path} is larger than {LARGEST // 2**20} MiB, which no mesh of a scene is.")
        return path.read_bytes().decode("ascii").splitlines()
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path} is no text, so it is no OBJ mesh. Copy the whole scene folder again.") from error
