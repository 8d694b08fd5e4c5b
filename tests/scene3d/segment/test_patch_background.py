"""The background without an object: the hole under it is filled, and beside it nothing changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from scene3d._gaussians import Gaussians
from scene3d._support import SupportPlane
from scene3d.render import render
from scene3d.segment._fill_hole import fill_hole
from scene3d.segment._observations import observe
from scene3d.segment._patch_background import _accepted, _shows, patched_background

from .made_up_desk import around, block, board, counts, splats

PARTS = ((board(), (0.6, 0.4, 0.2)), (block(0.0, 0.0, (0.06, 0.06, 0.08)), (0.9, 0.1, 0.1)))
TABLE = SupportPlane(
    np.array([0.0, 0.0, 1.0]), 0.0, 0.0005, np.array([[-0.4, -0.4, 0], [0.4, -0.4, 0], [0.4, 0.4, 0], [-0.4, 0.4, 0]])
)
VIEWS = around(8)


def with_hole() -> tuple[Gaussians, torch.Tensor]:
    """A desk without splats under its block, as photos would have left it, and components."""
    desk, label = splats(*PARTS), torch.from_numpy(counts(*PARTS)).long()
    label = label - int(label.min())  # The board is the background.
    means = desk.means
    under = (label == 0) & (means[:, 0].abs() < 0.028) & (means[:, 1].abs() < 0.028)
    return desk[~under], label[~under]


def test_the_hole_is_filled_and_nothing_else_changes() -> None:
    desk, label = with_hole()
    assert int(label.max()) == 1
    patched = patched_background(desk, label, 1, VIEWS, (TABLE,))
    assert len(patched.fill) > 20
    assert patched.fill.means[:, :2].abs().max() < 0.06
    assert patched.fill.means[:, 2].abs().max() < 0.01
    colours = 0.5 + 0.28209479 * patched.fill.sh0[:, 0]
    assert (colours - torch.tensor([0.6, 0.4, 0.2])).abs().max() < 0.1
    lifted = Gaussians.cat([patched.splats, patched.fill])
    above = VIEWS[0]
    middle = slice(85, 100), slice(112, 128)  # Where the camera looks at: the table under the block.
    assert render(desk[label == 0], above).alpha[middle].min() < 0.1
    assert render(lifted, above).alpha[middle].min() > 0.9


def test_without_supports_or_objects_nothing_happens() -> None:
    desk, label = with_hole()
    for objects, supports in ((1, ()), (0, (TABLE,))):
        patched = patched_background(desk, label, objects, VIEWS, supports)
        assert len(patched.fill) == 0
        assert torch.equal(patched.splats.means, desk.means[label == 0])


def test_a_patch_that_shows_beside_the_object_is_dropped() -> None:
    desk, label = with_hole()
    one_hot = (label == 1).float()[:, None]
    views = [observe(desk, camera, features=one_hot) for camera in VIEWS]
    background = desk[label == 0]
    patch = fill_hole(background, views, desk.means[label == 1].double().numpy(), TABLE)
    own = desk[label == 1]
    assert not _shows([background, patch.splats], own, views, 0)
    loud = replace(patch.splats, means=patch.splats.means + torch.tensor([0.06, 0.0, 0.002]))
    loud = replace(loud, sh0=torch.full_like(loud.sh0, 1.7))
    assert _shows([background, loud], own, views, 0)
    changed, fill = _accepted(background, replace(patch, splats=loud), [], own, views, 0)
    assert len(fill) == 0
    assert torch.equal(changed.means, background.means)
    # Over the object it would only be seen while the object is there.
    covering = replace(patch.splats, means=patch.splats.means + torch.tensor([0.0, 0.0, 0.09]))
    assert _shows([background, covering], own, views, 0)
