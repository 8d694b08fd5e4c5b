"""An object of a scene: a body, where it was when the photos were taken, and how sure one is of all that.

Splats stay together in `Scene.splats`, in the frame of the body that their `component_index` names: object i of the
scene (counted from 0) is component i + 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dynamics import Body

__all__ = ["Binding", "ObjectKind", "SceneObject"]

ObjectKind = Literal["rigid", "deformable"]


@dataclass(frozen=True, eq=False)
class Binding:
    """How the N splats of a deformable ride on its particles: k sparse weights each, in the rest shape."""

    indices: NDArray[np.int32]
    """Particles, shape (N, k)."""
    weights: NDArray[np.float32]
    """Weights of those particles, at least 0, rows sum to 1, shape (N, k)."""


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One thing that can be moved."""

    body: Body
    """Its physics; `body.name` is the object's name."""
    T_world_body: tuple[float, float, float, float, float, float, float]
    """Pose of the body frame in the capture: xyz [scene units] + wxyz."""
    kind: ObjectKind = "rigid"
    """``deformable`` bodies have particles and a binding."""
    binding: Binding | None = None
    """How its splats ride on its particles; None for a rigid object."""
    unseen: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    """Faces of `body.mesh` that no photo saw and that were closed by guess, shape (F,)."""
    confidence: float = 1.0
    """How well the views agree on its outline, 0 to 1."""
    guessed: tuple[str, ...] = ()
    """What the photos did not tell: of ``mass``, ``friction``, ``kind``, ``underside``, ``back``."""

    @property
    def name(self) -> str:
        """Unique within the scene."""
        return self.body.name
