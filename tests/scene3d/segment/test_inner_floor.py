"""Bowls that mirror: what was seen through their bottoms, far below the table, becomes part of them."""

from __future__ import annotations

import math

import numpy as np
import torch

from scene3d._gaussians import SH_C0, Gaussians
from scene3d.render import render
from scene3d.segment._inner_floor import with_inner_floors

from .made_up_desk import around, board, splats
from .test_patch_background import TABLE

RADIUS, HEIGHT = 0.05, 0.06
VIEWS = around(8, radius=0.3, height=0.5)


def disc(radius: float, z: float, color: tuple[float, float, float], step: float = 0.004) -> Gaussians:
    """Round flat sheet of round splats."""
    at = np.arange(-radius, radius + 1e-9, step)
    x, y = (part.ravel() for part in np.meshgrid(at, at))
    keep = np.hypot(x, y) <= radius
    return made(np.stack([x[keep], y[keep], np.full(keep.sum(), z)], axis=1), color)


def wall(color: tuple[float, float, float]) -> Gaussians:
    """A pipe that stands on the table."""
    turn, up = np.meshgrid(np.linspace(0, 2 * math.pi, 80, endpoint=False), np.arange(0.002, HEIGHT, 0.004))
    points = np.stack([RADIUS * np.cos(turn), RADIUS * np.sin(turn), up], axis=-1).reshape(-1, 3)
    return made(points, color)


def made(points: np.ndarray, color: tuple[float, float, float], opacity: float = 0.97) -> Gaussians:
    count = len(points)
    quats = torch.zeros(count, 4)
    quats[:, 0] = 1.0
    return Gaussians.create(
        means=torch.from_numpy(points).float(),
        quats=quats,
        scales=torch.full((count, 3), math.log(0.003)),
        opacities=torch.full((count,), math.log(opacity / (1 - opacity))),
        sh0=((torch.tensor(color) - 0.5) / SH_C0).expand(count, 1, 3).clone(),
    )


def bowl(bottom: Gaussians) -> tuple[Gaussians, torch.Tensor, Gaussians]:
    """A pipe on a board with a hole in it, something seen through, and components; and the pipe alone."""
    table = splats((board(half=0.3, step=0.015), (0.6, 0.4, 0.2)), sigma=0.0065)
    table = table[table.means[:, :2].norm(dim=1) > RADIUS + 0.005]
    pipe = wall((0.1, 0.3, 0.3))
    # Half of what one sees of the bottom is the bowl's own.
    own = Gaussians.cat([pipe, disc(RADIUS - 0.004, 0.003, (0.1, 0.3, 0.3))])
    own.opacities[len(pipe) :] = -1.2
    label = torch.tensor([0] * len(table) + [1] * len(own) + [0] * len(bottom))
    return Gaussians.cat([table, own, bottom]), label, own


def test_a_floor_is_made_of_what_was_seen_through() -> None:
    desk, label, own = bowl(disc(0.2, -0.12, (0.7, 0.75, 0.8)))
    new, of = with_inner_floors(desk, label, 1, VIEWS, (TABLE,))
    floor = new[of == 1][len(own) :]
    assert len(floor) > 50
    assert floor.means[:, 2].min() > -0.002
    assert floor.means[:, :2].norm(dim=1).max() < RADIUS
    camera = VIEWS[0]
    before = render(desk, camera).rgb
    # Lifted off the table, with nothing below, the bowl looks as it did.
    into = slice(camera.height // 2 - 3, camera.height // 2 + 6), slice(camera.width // 2 - 5, camera.width // 2 + 5)
    assert (render(own, camera).alpha[into].mean()) < 0.8
    lifted = render(new[of == 1], camera)
    assert lifted.alpha[into].min() > 0.9
    # Its own half lies in front of the floor, which has the colour of both together: a sixth of their difference.
    assert (lifted.rgb - before)[into].abs().mean() < 0.08


def test_what_is_closed_gets_no_floor() -> None:
    desk, label, _ = bowl(disc(RADIUS - 0.002, 0.004, (0.1, 0.3, 0.3)))
    label[desk.means[:, 2] == 0.004] = 1
    new, of = with_inner_floors(desk, label, 1, VIEWS, (TABLE,))
    assert (len(new), len(of)) == (len(desk), len(label))
    assert with_inner_floors(desk, label, 1, VIEWS, ())[0] is desk


def test_an_object_gives_up_what_it_has_of_the_haze() -> None:
    desk, label, _ = bowl(disc(0.2, -0.12, (0.7, 0.75, 0.8)))
    label[(desk.means[:, 2] < -0.1) & (desk.means[:, :2].norm(dim=1) < 0.008)] = 1
    new, of = with_inner_floors(desk, label, 1, VIEWS, (TABLE,))
    assert new.means[of == 1, 2].min() > -0.002
    assert (of == 0).sum() == (label == 0).sum()
