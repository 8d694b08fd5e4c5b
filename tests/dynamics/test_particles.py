"""Particles check what they are given: they are read from files too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dynamics._errors import BodyError
from dynamics._particles import Particles


def made(**changed: Any) -> Particles:
    values: dict[str, Any] = {
        "kind": "solid",
        "points": np.vstack([np.zeros(3), np.eye(3)]),
        "masses": np.ones(4),
        "edges": np.array([[0, 1], [0, 2]]),
        "cells": np.array([[0, 1, 2, 3]]),
        "radius": 0.0,
    }
    return Particles(**(values | changed))


def test_arrays_take_their_types() -> None:
    particles = made(points=np.vstack([np.zeros(3), np.eye(3)]).astype(np.float32))
    assert (particles.points.dtype, particles.edges.dtype, particles.cells.dtype) == (np.float64, np.int32, np.int32)
    assert len(particles) == 4


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"kind": "gas"}, "solid, rope or cloth, found 'gas'"),
        ({"masses": np.ones(3)}, r"found \(4, 3\) and \(3,\)"),
        ({"masses": np.array([1.0, 1, 1, 0])}, "masses above zero"),
        ({"points": np.full((4, 3), np.nan)}, "finite positions"),
        ({"edges": np.array([[0, 4]])}, "name particle 4"),
        ({"edges": np.array([[-1, 0]])}, "edges of 4 particles"),
        ({"cells": np.array([[0.0, 1, 2, 3]])}, "whole numbers"),
        ({"kind": "cloth"}, r"cells of particles are whole numbers \(.., 3\), found \(1, 4\)"),
        ({"radius": -1.0}, "radius"),
    ],
)
def test_what_makes_no_sense_is_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(BodyError, match=says):
        made(**changed)
