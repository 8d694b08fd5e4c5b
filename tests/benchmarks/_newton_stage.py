"""Newton's SensorCamera on an exported stage: splats and cameras as Newton's own USD readers take them.

    .venv-newton/bin/python tests/benchmarks/_newton_stage.py STAGE CAMERA_PRIM,... WIDTH HEIGHT OUT.npz

Writes the pictures (C, H, W, 3), uint8, and how long they took. What differs from Newton's defaults is what differs
between two renderers and not between two readers of a file:

- All hits of a ray down to three deviations count, as our rasteriser has them. Newton's default stops at a response of
  0.1 and at 20 hits; its mode `QUALITY` goes on in batches, but starts each again from the first splat, and so counts
  splats twice. One batch that is large enough has neither fault.
- Splats are sorted by depth along the camera's axis, as ours are, whatever the stage's hint says.
- A picture is a ray through each pixel's centre, without any blur; pixels that are less than half covered stay black,
  and the colour of others is divided by how much they are covered.
"""

# pyright: reportMissingImports=false
# newton and warp live in .venv-newton, which the type checker does not see.

from __future__ import annotations

import math
import sys
import time
from typing import Any

import numpy as np

THREE_DEVIATIONS = math.exp(-4.5)
HITS = 256
COVERED = 0.5


def main(stage_path: str, cameras: str, width: str, height: str, target: str) -> None:
    """Read the stage, render every camera, save the pictures."""
    import newton
    import newton.usd
    import warp as wp
    from newton.sensors import SensorCamera
    from pxr import Usd

    wp.config.enable_backward = False
    stage = Usd.Stage.Open(stage_path)
    config = SensorCamera.RenderConfig()
    config.gaussians_max_num_hits = HITS
    config.gaussians_min_transmittance = COVERED
    with wp.ScopedDevice("cpu"):
        model = splats_of(newton, wp, stage).finalize(device="cpu")
        sensor = SensorCamera(model, default_render_config=config)
        pictures, seconds = [], []
        for path in cameras.split(","):
            prim = stage.GetPrimAtPath(path)
            rays = SensorCamera.compute_camera_rays_pinhole_usd(int(width), int(height), prim, device="cpu")
            image = sensor.allocate_image_color(1, int(width), int(height))
            begun = time.perf_counter()
            sensor.update(model.state(), sensor.compute_camera_transforms_usd(prim), rays, color_image=image)
            wp.synchronize()
            seconds.append(time.perf_counter() - begun)
            packed = image.numpy()[0]
            pictures.append(np.stack([(packed >> shift) & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8))
    np.savez(target, rgb=np.stack(pictures), seconds=np.array(seconds), newton=newton.__version__)


def splats_of(newton: Any, wp: Any, stage: Any) -> Any:
    """A model builder with every splat prim where the stage has it."""
    from pxr import UsdGeom

    builder, places = newton.ModelBuilder(), UsdGeom.XformCache()
    for prim in stage.Traverse():
        if prim.GetTypeName() != "ParticleField3DGaussianSplat":
            continue
        read = newton.Gaussian.create_from_usd(prim, min_response=THREE_DEVIATIONS)
        sorted_by_depth = newton.Gaussian(
            read.positions,
            rotations=read.rotations,
            scales=read.scales,
            opacities=read.opacities,
            sh_coeffs=read.sh_coeffs,
            sh_degree=read.sh_degree,
            min_response=read.min_response,
            sorting_mode=newton.Gaussian.SortingMode.Z_DEPTH,
            sh_color_space=read.sh_color_space,
        )
        placed = places.GetLocalToWorldTransform(prim)
        turn = placed.ExtractRotationQuat()
        pose = wp.transform([*placed.ExtractTranslation()], [*turn.GetImaginary(), turn.GetReal()])
        builder.add_shape_gaussian(-1, xform=pose, gaussian=sorted_by_depth)
    return builder


if __name__ == "__main__":
    main(*sys.argv[1:6])
