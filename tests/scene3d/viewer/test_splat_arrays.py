"""What the browser is given of splats: exact in half precision, one fair colour, no holes from near by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from scene3d import load_scene
from scene3d._gaussians import SH_C0
from scene3d.render import render
from scene3d.viewer._splat_arrays import MAGNIFIED, scene_arrays, splat_arrays, splat_colors, splat_widths

from .small_scenes import FLAT, small_scene


def test_thin_splats_survive_half_precision() -> None:
    scene = small_scene(600)
    thinner = replace(scene.splats, scales=scene.splats.scales - torch.tensor([0, 0, 5.0]).log1p())
    arrays = splat_arrays(thinner, splat_colors(scene))
    kept = arrays.covariances.astype(np.float16).astype(np.float64) / MAGNIFIED**2
    least = np.linalg.eigvalsh(kept)[:, 0].clip(0) ** 0.5
    assert abs(np.median(least) / (FLAT / 6) - 1) < 0.1
    assert least.max() < 3 * FLAT / 6
    plain = (arrays.covariances / MAGNIFIED**2).astype(np.float16).astype(np.float64)
    assert np.linalg.eigvalsh(plain)[:, 0].max() < 0.5 * (FLAT / 6) ** 2, "without magnification it would not"


def test_huge_splats_do_not_overflow() -> None:
    scene = small_scene(600)
    huge = replace(scene.splats, scales=scene.splats.scales + 12)
    assert np.isfinite(splat_arrays(huge, splat_colors(scene)).covariances.astype(np.float16)).all()


def test_parts_come_body_by_body() -> None:
    scene = small_scene(600)
    arrays = scene_arrays(scene)
    counts = [int((scene.splats.component_index == part).sum()) for part in range(4)]
    assert [len(part.centers) for part in arrays.parts] == counts
    assert (arrays.shown, arrays.total) == (sum(counts), len(scene.splats))
    fewer = scene_arrays(scene, 300)
    assert fewer.shown == 300
    assert [len(index) for index in fewer.indices] == [len(part.centers) for part in fewer.parts]
    np.testing.assert_allclose(
        fewer.parts[2].centers, MAGNIFIED * scene.splats.means[fewer.indices[2]].numpy(), rtol=1e-6
    )


def test_colours_are_the_mean_over_cameras(tabletop_scene: Path) -> None:
    """One colour for each splat costs little from where the photos were taken."""
    scene = load_scene(tabletop_scene)
    flat = (splat_colors(scene) - 0.5) / SH_C0
    plain = replace(scene.splats, sh0=flat[:, None], shN=scene.splats.shN[:, :0])
    camera, poses = scene.views[0].camera.fitted(160), scene.T_world_body
    difference = render(plain, camera, T_world_body=poses).rgb - render(scene.splats, camera, T_world_body=poses).rgb
    assert difference.abs().mean() < 0.025


def test_splats_are_as_wide_as_a_pixel_of_the_nearest_photo() -> None:
    scene = small_scene(600)
    widths = splat_widths(scene)
    pixel = 0.75 / float(scene.cameras[0].K[0, 0])
    assert 0.3 * pixel < float(widths.median()) < pixel
    blind = replace(scene, views=())
    assert (splat_widths(blind) == 0).all()


def test_a_page_with_more_pixels_than_the_photos_shows_no_holes(tabletop_scene: Path) -> None:
    """From near by, narrow splats would let the background shine through."""
    scene = load_scene(tabletop_scene)
    photo, poses = scene.views[0].camera.fitted(240), scene.T_world_body
    page = photo.resized(3 * photo.width, 3 * photo.height)
    wide = (scene.splats.scales.exp().square() + splat_widths(scene)[:, None].square()).sqrt().log()
    covered = render(scene.splats, photo, T_world_body=poses).alpha > 0.98
    covered = covered.repeat_interleave(3, 0).repeat_interleave(3, 1)
    holes = [
        float((render(splats, page, T_world_body=poses).alpha[covered] < 0.9).float().mean())
        for splats in (scene.splats, replace(scene.splats, scales=wide))
    ]
    assert holes[1] < 0.5 * holes[0], holes
