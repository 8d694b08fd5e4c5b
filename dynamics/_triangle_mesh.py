"""Triangle meshes as two arrays: what colliders, mass properties and distance grids are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import BodyError

__all__ = ["TriangleMesh"]


@dataclass(frozen=True, eq=False)
class TriangleMesh:
    """V vertices and F triangles, counter-clockwise seen from outside."""

    vertices: NDArray[np.float64]
    """Positions in the body frame [m], shape (V, 3)."""
    faces: NDArray[np.int32]
    """Vertices of each triangle, shape (F, 3)."""

    def __post_init__(self) -> None:
        vertices = np.ascontiguousarray(self.vertices, dtype=np.float64)
        faces = np.ascontiguousarray(self.faces)
        if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
            raise BodyError(f"A mesh needs vertices (V, 3) and faces (F, 3), found {vertices.shape} and {faces.shape}.")
        if not np.isfinite(vertices).all():
            raise BodyError("A mesh has vertices that are not finite numbers. Repair it first.")
        if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
            raise BodyError(f"A mesh of {len(vertices)} vertices names vertex {faces.max()}. Repair it first.")
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "faces", faces.astype(np.int32))

    @property
    def bounds(self) -> NDArray[np.float64]:
        """Lowest and highest coordinates [m], shape (2, 3)."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    def scaled(self, factor: float) -> TriangleMesh:
        """The mesh with every length multiplied by ``factor`` > 0."""
        return TriangleMesh(self.vertices * factor, self.faces)

    def moved(self, rotation: NDArray[np.float64], translation: NDArray[np.float64]) -> TriangleMesh:
        """The mesh after p -> R p + t."""
        return TriangleMesh(self.vertices @ np.asarray(rotation).T + np.asarray(translation), self.faces)
