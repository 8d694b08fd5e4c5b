"""Holes under objects: an exact table and the demo scene, before and after the object goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scene3d._camera import Camera
from scene3d._gaussians import Gaussians
from scene3d._support import SupportPlane
from scene3d.render import render
from scene3d.segment._fill_hole import HoleFill, fill_hole
from scene3d.segment._find_supports import inside_outline
from scene3d.segment._observations import Observation, observe

SQUARE = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]])
TABLE = SupportPlane(np.array([0.0, 0.0, 1.0]), 0.0, 1e-4, SQUARE)


def striped(x: torch.Tensor) -> torch.Tensor:
    dark, light = torch.tensor([0.2, 0.3, 0.6]), torch.tensor([0.9, 0.8, 0.3])
    return torch.where(((x / 0.04).floor() % 2 == 0)[:, None], dark, light)


def table(step: float = 0.008) -> Gaussians:
    line = torch.arange(-0.3, 0.3, step)
    x, y = (grid.ravel() for grid in torch.meshgrid(line, line, indexing="ij"))
    points = torch.stack([x, y, torch.zeros_like(x)], dim=1)
    flat = Gaussians.from_points(points, striped(x), sigma=0.7 * step, opacity=0.97)
    scales = flat.scales.clone()
    scales[:, 2] -= 3
    return replace(flat, scales=scales)


def block() -> Gaussians:
    """A box of 12 x 12 x 10 cm."""
    line, rise = torch.linspace(-0.06, 0.06, 14), torch.linspace(0.005, 0.1, 11)
    grid = torch.stack(torch.meshgrid(line, line, rise, indexing="ij"), dim=-1).reshape(-1, 3)
    side = (grid[:, :2].abs().max(dim=1).values > 0.059) | (grid[:, 2] > 0.099)
    red = torch.tensor([[0.8, 0.1, 0.1]]).expand(int(side.sum()), 3)
    return Gaussians.from_points(grid[side], red, sigma=0.006, opacity=0.99)


def orbit(count: int = 8, size: int = 120) -> list[Camera]:
    places = [torch.tensor([0.6 * np.cos(a), 0.6 * np.sin(a), 0.5]) for a in np.arange(count) * 2 * np.pi / count]
    return [Camera.from_fov(size, size, 0.8, Camera.look_at(p.float(), torch.zeros(3))) for p in places]


def above(extent: float, pixels: int = 100) -> Camera:
    T = Camera.look_at(torch.tensor([0.0, 0.0, 20 * extent]), torch.zeros(3), up=torch.tensor([0.0, 1.0, 0.0]))
    return Camera.from_fov(pixels, pixels, 2 * float(np.arctan(0.025)), T)


def patched(background: Gaussians, found: HoleFill) -> Gaussians:
    sh0, opacities = background.sh0.clone(), background.opacities.clone()
    sh0[found.rim_index], opacities[found.rim_index] = found.rim.sh0, found.rim.opacities
    return Gaussians.cat([replace(background, sh0=sh0, opacities=opacities)[~found.hidden], found.splats])


@pytest.fixture(scope="module")
def broken() -> tuple[Gaussians, list[Observation]]:
    """The table as a fit leaves it: splats of any colour under the block; and views with the block in place."""
    whole, thing = table(), block()
    under = whole.means[:, :2].abs().max(dim=1).values < 0.055
    sh0 = whole.sh0.clone()
    sh0[under] = torch.randn(int(under.sum()), 1, 3, generator=torch.Generator().manual_seed(0))
    background = replace(whole, sh0=sh0)
    scene = Gaussians.cat([background, thing])
    share = torch.cat([torch.zeros(len(whole), 1), torch.ones(len(thing), 1)])
    return background, [observe(scene, camera, features=share) for camera in orbit()]


@pytest.fixture(scope="module")
def found(broken: tuple[Gaussians, list[Observation]]) -> HoleFill:
    return fill_hole(*broken, block().means.numpy(), TABLE)


Broken = tuple[Gaussians, list[Observation]]


def test_the_stripes_go_on_under_the_block(broken: Broken, found: HoleFill) -> None:
    background, _ = broken
    whole, before, after = (
        render(splats, above(0.3)).rgb.numpy() for splats in (table(), background, patched(background, found))
    )
    under = np.zeros((100, 100), dtype=bool)
    under[34:66, 34:66] = True
    assert np.abs(before - whole)[under].mean() > 0.2
    assert np.abs(after - whole)[under].mean() < 0.08
    away = np.ones((100, 100), dtype=bool)
    away[25:75, 25:75] = False
    assert np.abs(after - before)[away].max() < 0.05
    assert found.hidden.sum() > 60
    assert (background.means[found.hidden][:, :2].abs() < 0.075).all()
    assert found.splats.sh_degree == 0
    assert (found.splats.means[:, 2].abs() < 0.02).all()


def test_pictures_beside_the_block_stay_what_they_were(broken: Broken, found: HoleFill) -> None:
    background, views = broken
    now = patched(background, found)
    for view in views[::3]:
        beside = view.features[..., 0] < 0.01
        assert np.abs(render(now, view.camera).rgb.numpy() - view.rgb)[beside].mean() < 0.005


def test_in_any_frame_and_unit_the_fill_is_the_same(broken: Broken, found: HoleFill) -> None:
    """A table that stands upright, in units of 20 cm."""
    background, views = broken
    turn = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    quat = torch.tensor([0.5, 0.5, 0.5, 0.5])
    from dynamics.poses import multiply

    def moved(splats: Gaussians) -> Gaussians:
        quats = multiply(quat.expand(len(splats), 4), splats.quats)
        return replace(splats, means=5 * splats.means @ turn.T, quats=quats, scales=splats.scales + float(np.log(5)))

    scene = Gaussians.cat([moved(background), moved(block())])
    share = torch.cat([torch.zeros(len(background), 1), torch.ones(len(block()), 1)])
    cameras = []
    for view in views:
        T = torch.eye(4)
        T[:3, :3], T[:3, 3] = turn @ view.camera.T_world_cam[:3, :3], 5 * turn @ view.camera.T_world_cam[:3, 3]
        cameras.append(replace(view.camera, T_world_cam=T))
    turned = [observe(scene, camera, features=share) for camera in cameras]
    wall = SupportPlane(np.array([1.0, 0.0, 0.0]), 0.0, 5e-4, 5 * SQUARE @ turn.numpy().T)
    there = fill_hole(moved(background), turned, moved(block()).means.numpy(), wall)
    assert len(there.splats) == pytest.approx(len(found.splats), rel=0.05)
    assert (there.splats.means[:, 0].abs() < 0.1).all()
    assert int((there.hidden != found.hidden).sum()) <= 0.1 * int(found.hidden.sum())


def test_nothing_is_filled_where_there_is_no_table(broken: tuple[Gaussians, list[Observation]]) -> None:
    background, views = broken
    far = replace(TABLE, outline=SQUARE + np.array([2.0, 0, 0]))
    found = fill_hole(background, views, block().means.numpy(), far)
    assert (len(found.splats), int(found.hidden.sum()), len(found.rim_index)) == (0, 0, 0)
    half = replace(TABLE, outline=np.array([[0.0, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [0.0, 0.5, 0]]))
    found = fill_hole(background, views, block().means.numpy(), half)
    assert len(found.splats) > 0
    assert (found.splats.means[:, 0] > -0.02).all()


def test_nothing_is_filled_without_points_or_views(broken: tuple[Gaussians, list[Observation]]) -> None:
    background, views = broken
    assert len(fill_hole(background, views, np.zeros((0, 3)), TABLE).splats) == 0
    assert len(fill_hole(background, [], block().means.numpy(), TABLE).splats) == 0


def test_what_is_seen_is_no_hole(broken: tuple[Gaussians, list[Observation]]) -> None:
    whole = table()
    views = [observe(whole, camera, features=torch.zeros(len(whole), 1)) for camera in orbit()]
    assert len(fill_hole(whole, views, block().means.numpy(), TABLE).splats) == 0


def test_neighbours_keep_their_holes(broken: tuple[Gaussians, list[Observation]]) -> None:
    background, views = broken
    points = block().means.numpy()
    left, right = points[points[:, 0] < 0], points[points[:, 0] >= 0]
    found = fill_hole(background, views, left, TABLE, others=right)
    assert len(found.splats) > 0
    assert (found.splats.means[:, 0] < 0.02).all()


def test_the_same_twice(broken: Broken, found: HoleFill) -> None:
    again = fill_hole(*broken, block().means.numpy(), TABLE)
    assert torch.equal(again.splats.means, found.splats.means)
    assert torch.equal(again.splats.sh0, found.splats.sh0)
    assert torch.equal(again.rim.opacities, found.rim.opacities)


def test_removing_the_box_from_the_demo_scene(tabletop_scene: Path) -> None:
    from scene3d.files import load_scene

    scene = load_scene(tabletop_scene)
    index = scene.index("box")
    component = scene.splats.component_index
    (table,) = scene.supports
    cameras = [view.camera.fitted(200) for view in scene.views[:40:8]]
    kept = component != index + 1
    for camera in cameras:
        share = (~kept).float()[:, None]
        before = render(scene.splats, camera, T_world_body=scene.T_world_body, features=share)
        after = render(scene.splats[kept], camera, T_world_body=scene.T_world_body)
        assert before.features is not None
        beside = before.features[..., 0] < 0.01
        assert float((before.rgb - after.rgb)[beside].square().mean()) < 1e-4
        solid = (before.alpha > 0.99).numpy()
        assert float(after.alpha.numpy()[solid & looks_at(table, camera)].min()) > 0.9
        # The room behind the box, which no other photo shows from there, is as the fit left it.
        assert float((after.alpha.numpy()[solid] > 0.7).mean()) > 0.999


def looks_at(support: SupportPlane, camera: Camera) -> np.ndarray:
    """Pixels (H, W) whose rays meet a support within its outline."""
    columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    T = camera.T_world_cam.double().numpy()
    rays = pixels @ np.linalg.inv(camera.K.double().numpy()).T @ T[:3, :3].T
    away = (support.offset - support.normal @ T[:3, 3]) / (rays @ support.normal)
    met = (T[:3, 3] + away[..., None] * rays).reshape(-1, 3)
    return (away > 0) & (inside_outline(support, met) > 0).reshape(away.shape)
