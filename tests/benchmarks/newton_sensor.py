"""Newton's SensorCamera on the same splats and the same camera as ours, timed on the CPU.

    .venv-newton/bin/python tests/benchmarks/newton_sensor.py SPLATS.npz [--mode fast|quality] [--rgb OUT.npy]

`make engines` makes that interpreter; `render.py` calls this file with it and reads the one JSON document on stdout.
SPLATS.npz holds `means` (N, 3), `quats` (N, 4) wxyz, `scales` (N, 3) and `opacities` (N,) after their activation,
`sh0` (N, 3), `K` (3, 3), `T_world_cam` (4, 4) OpenCV, `width`, `height`.

SensorCamera traces a ray per pixel through a bounding volume hierarchy and blends the splats that it meets. `fast` is
Newton's default: the 20 nearest hits of a ray, responses above 0.1, and only pixels that are at least half covered.
`quality` is the same question as a rasteriser answers: all hits, down to the response at three deviations. Neither
computes gradients. What is timed is `update` alone, after a warm-up that compiles the kernels.
"""

# pyright: reportMissingImports=false
# newton and warp live in .venv-newton, which the type checker does not see.

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

THREE_DEVIATIONS = math.exp(-4.5)


def pinhole_rays(K: np.ndarray, width: int, height: int) -> np.ndarray:
    """Origins and unit directions (H, W, 1, 2, 3) through the pixel centres, in OpenGL camera axes."""
    x = (np.arange(width) + 0.5 - K[0, 2]) / K[0, 0]
    y = (np.arange(height) + 0.5 - K[1, 2]) / K[1, 1]
    directions = np.stack([*np.meshgrid(x, -y), np.full((height, width), -1.0)], axis=-1)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return np.stack([np.zeros_like(directions), directions], axis=2)[:, :, None].astype(np.float32)


def quat_xyzw(R: np.ndarray) -> list[float]:
    """Quaternion of a rotation matrix, as Warp orders it: the eigenvector of the largest eigenvalue [bar-itzhack]."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = R
    symmetric = np.array(
        [
            [xx - yy - zz, yx + xy, zx + xz, zy - yz],
            [yx + xy, yy - xx - zz, zy + yz, xz - zx],
            [zx + xz, zy + yz, zz - xx - yy, yx - xy],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    return np.linalg.eigh(symmetric)[1][:, -1].tolist()


def make_sensor(data: dict[str, np.ndarray], mode: str) -> tuple[Any, Any, Any]:
    """A model that holds only the splats, its state, and the sensor."""
    import newton
    import warp as wp
    from newton.sensors import SensorCamera

    quats_wxyz = data["quats"] / np.linalg.norm(data["quats"], axis=1, keepdims=True)
    splats = newton.Gaussian(
        data["means"],
        rotations=quats_wxyz[:, [1, 2, 3, 0]],
        scales=data["scales"],
        opacities=data["opacities"],
        sh_coeffs=data["sh0"].reshape(-1, 3),
        sh_degree=0,
        min_response=0.1 if mode == "fast" else THREE_DEVIATIONS,
        sorting_mode=newton.Gaussian.SortingMode.Z_DEPTH if mode == "quality" else newton.Gaussian.SortingMode(0),
    )
    builder = newton.ModelBuilder()
    builder.add_shape_gaussian(-1, gaussian=splats)
    with wp.ScopedDevice("cpu"):
        model = builder.finalize(device="cpu")
        config = SensorCamera.RenderConfig()
        if mode == "quality":
            config.gaussians_mode = SensorCamera.GaussianRenderMode.QUALITY
            config.gaussians_min_transmittance = 0.99
        return model, model.state(), SensorCamera(model, default_render_config=config)


def measure(data: dict[str, np.ndarray], mode: str, frames: int) -> tuple[list[float], np.ndarray]:
    """Seconds of each frame after the warm-up, and the picture (H, W, 3), uint8."""
    import warp as wp

    width, height = int(data["width"]), int(data["height"])
    model, state, sensor = make_sensor(data, mode)
    T = data["T_world_cam"].astype(np.float64)
    opencv_to_opengl = np.diag([1.0, -1.0, -1.0])
    pose = wp.transform(T[:3, 3].tolist(), quat_xyzw(T[:3, :3] @ opencv_to_opengl))
    poses = wp.array([pose], dtype=wp.transformf, device=model.device)
    rays = wp.array(pinhole_rays(data["K"], width, height), dtype=wp.vec3f, device=model.device)
    color = sensor.allocate_image_color(1, width, height)

    seconds = []
    for frame in range(frames + 1):
        start = time.perf_counter()
        sensor.update(state, poses, rays, color_image=color)
        wp.synchronize()
        if frame:  # The first call compiles.
            seconds.append(time.perf_counter() - start)
    packed = color.numpy()[0]
    return seconds, np.stack([(packed >> shift) & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)


def main() -> None:
    """Read the arguments, render, print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("splats", type=Path)
    parser.add_argument("--mode", choices=["fast", "quality"], default="fast")
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--rgb", type=Path)
    arguments = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):  # Warp greets on stdout.
        import newton
        import warp as wp

        with np.load(arguments.splats, allow_pickle=False) as archive:
            data = {name: archive[name] for name in archive.files}
        seconds, rgb = measure(data, arguments.mode, arguments.frames)
        if arguments.rgb:
            np.save(arguments.rgb, rgb)
    report = {
        "seconds_per_frame": min(seconds),
        "seconds": seconds,
        "mode": arguments.mode,
        "splats": len(data["means"]),
        "size": [int(data["width"]), int(data["height"])],
        "covered": float((rgb.max(-1) > 0).mean()),
        "newton": newton.__version__,
        "warp": wp.__version__,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
