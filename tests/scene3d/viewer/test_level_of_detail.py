"""Scenes with more splats than a browser draws: objects first, and what is left covers what was covered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from scene3d import load_scene
from scene3d.render import render
from scene3d.viewer._level_of_detail import thinned

from .small_scenes import small_scene


def test_all_stay_when_they_fit() -> None:
    splats = small_scene(600).splats
    chosen = thinned(splats, len(splats))
    assert chosen.indices.tolist() == list(range(len(splats)))
    assert (chosen.growth == 1).all()


def test_the_background_gives_way_first() -> None:
    splats = small_scene(3000).splats
    splats = splats[: int((splats.component_index == 0).sum()) + 300]
    things, most = 300, 900
    chosen = thinned(splats, most)
    assert len(chosen.indices) == most
    assert int((splats.component_index[chosen.indices] > 0).sum()) == things
    own = splats.component_index[chosen.indices] > 0
    assert (chosen.growth[own] == 1).all()
    assert (chosen.growth[~own] > 1).all()


def test_objects_take_half_of_too_little_room() -> None:
    splats = small_scene(3000).splats
    chosen = thinned(splats, 400)
    assert int((splats.component_index[chosen.indices] > 0).sum()) == 200
    assert torch.equal(chosen.indices, thinned(splats, 400).indices)


def test_what_is_no_number_is_no_obstacle() -> None:
    splats = small_scene(3000).splats
    opacities = splats.opacities.clone()
    opacities[:1000] = float("nan")
    chosen = thinned(replace(splats, opacities=opacities), 500)
    assert len(chosen.indices) == 500
    assert chosen.growth.isfinite().all()


def test_it_still_looks_like_the_scene(tabletop_scene: Path) -> None:
    """Half of the splats of the demo scene; the largest half reaches 18.5 dB, see `_level_of_detail`."""
    scene = load_scene(tabletop_scene)
    camera, poses = scene.views[0].camera.fitted(160), scene.T_world_body
    full = render(scene.splats, camera, T_world_body=poses).rgb
    chosen = thinned(scene.splats, len(scene.splats) // 2)
    splats = scene.splats[chosen.indices]
    splats = replace(splats, scales=splats.scales + chosen.growth.log()[:, None])
    error = (render(splats, camera, T_world_body=poses).rgb - full).square().mean()
    assert -10 * torch.log10(error) > 24
