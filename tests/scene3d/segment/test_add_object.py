"""One more object by a click: it is found, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from scene3d import Scene
from scene3d._errors import SegmentError, UsageError
from scene3d.edit._apart import splats_of
from scene3d.segment._add_object import add_object

from ..viewer.small_scenes import small_scene
from .loose_scene import loose, seen_larger

FRONT = np.array([0.0, 0.1 - 0.033, 0.06])
"""A point on the can that the cameras see."""


@pytest.fixture(scope="module")
def desk() -> Scene:
    """A red box and a blue mug are objects, a green can is not."""
    return seen_larger(loose(small_scene(), "can"))


def _eye(scene: Scene) -> np.ndarray:
    return scene.cameras[4].position.double().numpy()


def test_the_thing_at_a_point_becomes_an_object(desk: Scene) -> None:
    changed = add_object(desk, FRONT, _eye(desk), "tin")
    assert [thing.name for thing in changed.objects] == ["box", "mug", "tin"]
    tin = changed.objects[2]
    low, high = tin.body.mesh.bounds
    assert np.abs(np.array(tin.T_world_body[:2]) - (0.0, 0.1)).max() < 0.02
    assert np.abs((high - low) - (0.066, 0.066, 0.12)).max() < 0.035
    # Most of the can went with it, and of the rest of the scene hardly anything.
    own = splats_of(changed, 2)
    assert 0.7 * 666 < len(own) < 1.3 * 666
    green = 0.5 + 0.28209479 * own.sh0[:, 0]
    assert float((green[:, 1] > green[:, 0] + 0.2).float().mean()) > 0.85
    for index in range(2):
        before, after = splats_of(desk, index), splats_of(changed, index)
        assert torch.equal(before.means, after.means) and torch.equal(before.quats, after.quats)
        assert changed.objects[index] is desk.objects[index]
    assert changed.filled > 0 and changed.supports == desk.supports


def test_what_cannot_be_an_object_is_refused(desk: Scene) -> None:
    eye = _eye(desk)
    on_box = np.array([-0.15, -0.03, 0.06])
    with pytest.raises(SegmentError, match="object that there is already"):
        add_object(desk, on_box, eye)
    with pytest.raises(SegmentError, match="No photo shows that place"):
        add_object(desk, np.array([0.0, 0.0, -1.0]), eye)
    with pytest.raises(UsageError, match="has an object 'mug' already"):
        add_object(desk, FRONT, eye, "mug")
    with pytest.raises(SegmentError, match="remembers no cameras"):
        add_object(replace(desk, views=()), FRONT, eye)
