"""Makes the demo capture: 60 photo-like views of a table, with ids, depths, meshes and the whole truth.

    python assets/tabletop/generate.py --out FOLDER [--spp N] [--views N] [--only-truth]

Needs mitsuba, pyoidn, embreex, trimesh, manifold3d, scikit-image, scipy, opencv and pillow (development only; nothing
else in the project imports this). About 17 s a view on two cores. Views that are already there are kept, so that a
broken-off run goes on; delete `images/` to render anew. The same seed makes the same scene; pictures may differ in the
last bit between machines.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import cv2
import numpy as np
from generator import objects, path, render, truth
from PIL import Image

DEPTH_EVERY = 6
JPEG_QUALITY = 94


def save_whole(image: Image.Image, target: Path, **options: object) -> None:
    """Writes a picture so that a broken-off run leaves no half file."""
    part = target.with_name("." + target.name)
    image.save(part, **options)
    os.replace(part, target)


def write_truth(out: Path, bodies: list[objects.Body], poses: list[np.ndarray]) -> None:
    """Meshes, ground_truth.yaml, transforms.json, id maps and depth maps."""
    for name in ("images", "instances", "depths", "meshes"):
        (out / name).mkdir(parents=True, exist_ok=True)
    truth.write_meshes(out, bodies)
    truth.write_yaml(out, bodies)
    truth.write_transforms(out, bodies, poses, DEPTH_EVERY)
    caster = render.RayCaster(bodies)
    for k, pose in enumerate(poses, 1):
        ids, depth = caster.view(pose)
        cv2.imwrite(str(out / f"instances/{k:04d}.png"), ids, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        if (k - 1) % DEPTH_EVERY == 0:
            millimetres = np.round(1000 * depth).astype(np.uint16)
            cv2.imwrite(str(out / f"depths/{k:04d}.png"), millimetres, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def write_pictures(out: Path, bodies: list[objects.Body], poses: list[np.ndarray], spp: int, seed: int) -> None:
    """Renders the views that are missing."""
    import mitsuba as mi

    mi.set_variant("scalar_rgb")
    world, guide = render.scene(bodies), render.RayCaster(bodies)
    for k, pose in enumerate(poses, 1):
        target = out / f"images/{k:04d}.jpg"
        if target.exists():
            continue
        start = time.perf_counter()
        photo = render.develop(render.picture(world, guide, pose, spp, seed + k))
        save_whole(Image.fromarray(photo), target, quality=JPEG_QUALITY, subsampling="4:2:0", format="JPEG")
        print(f"{target.name} {time.perf_counter() - start:.1f} s", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--spp", type=int, default=36, help="light paths a pixel, best a square number (36)")
    parser.add_argument("--views", type=int, default=60, help="how many of the 60 views (all)")
    parser.add_argument("--seed", type=int, default=0, help="of the light paths; the scene itself is fixed (0)")
    parser.add_argument("--only-truth", action="store_true", help="everything but the pictures")
    options = parser.parse_args()
    bodies, poses = objects.all_bodies(), path.poses(options.views)
    write_truth(options.out, bodies, poses)
    if not options.only_truth:
        write_pictures(options.out, bodies, poses, options.spp, options.seed)


if __name__ == "__main__":
    main()
