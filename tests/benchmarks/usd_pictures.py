"""Whether another program sees the same picture: exported splats in Newton's ray tracer beside our rasteriser.

    .venv/bin/python tests/benchmarks/usd_pictures.py [--quick] [--fresh] [--json FILE]

The committed tabletop is exported to .usdc. Newton (`make engines`) reads splats and capture cameras from the stage
with its own readers and renders them on the CPU; it evaluates SH degree 0 only, and so do we. The same photos are
rendered from the scene itself. Newton shoots one ray through each pixel's centre, so our blur of a third of a pixel is
turned down for the comparison; the figure with it is printed too. Pixels that Newton calls covered are compared, with
our colour divided by coverage as Newton divides its own. Pictures are kept in outputs/numbers/usd_pictures.
"""

from __future__ import annotations

import math
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import tyro
from _records import ROOT, outputs, recorded, say, write_json
from numpy.typing import NDArray

from scene3d import Scene
from scene3d.files import load_scene
from scene3d.render import RenderSettings, render
from sim_bridge.usd import export_usd

NEWTON = ROOT / ".venv-newton" / "bin" / "python"
NEWTON_LIMIT = 900.0
"""Seconds after which Newton is given up."""
TABLETOP = ROOT / "assets" / "scenes" / "tabletop"
SIZE = (320, 240)
VIEWS = (10, 30, 50)
"""Of the capture's 60, all around the table."""
NO_BLUR = 0.01
"""Variance that our renderer adds to splats on the screen [px^2] where it is compared with rays."""


@dataclass(frozen=True)
class UsdPictures:
    """Compare pictures of an exported stage."""

    quick: bool = False
    """One small picture, to see that everything works."""
    fresh: bool = False
    """Measure again what is in outputs/numbers."""
    json: Path | None = None
    """Where to write all figures."""


def main() -> None:
    """Measure and print one line per figure."""
    arguments = tyro.cli(UsdPictures)
    if not NEWTON.is_file():
        say("Newton is not installed, so pictures are not compared; `make engines` installs it")
        if arguments.json:
            write_json(arguments.json, {"runs": {}})
        return
    views, size = ((VIEWS[0],), (80, 60)) if arguments.quick else (VIEWS, SIZE)
    folder = outputs(arguments.quick)
    pictures = folder / "usd_pictures"
    record = recorded(
        folder / "usd_pictures-tabletop.json",
        arguments.fresh,
        lambda: compare(load_scene(TABLETOP), views, size, pictures),
    )
    for line in lines(record):
        print(line)
    if arguments.json:
        write_json(arguments.json, {"runs": {"tabletop": record}})


def compare(scene: Scene, views: tuple[int, ...], size: tuple[int, int], pictures: Path) -> dict[str, Any]:
    """PSNR of each view, and the pictures side by side as files."""
    with TemporaryDirectory() as folder:
        stage = Path(folder) / "scene.usdc"
        exported = export_usd(scene, stage)
        theirs, seconds, version = newton_pictures(stage, [scene.views[view].name for view in views], size)
    rows = []
    pictures.mkdir(parents=True, exist_ok=True)
    for view, rgb in zip(views, theirs, strict=True):
        sharp, blurred = (our_picture(scene, view, size, eps2d) for eps2d in (NO_BLUR, RenderSettings().eps2d))
        covered = rgb.max(axis=-1) > 0
        row = {"view": scene.views[view].name, "psnr": psnr(rgb, sharp, covered), "covered": float(covered.mean())}
        rows.append({**row, "psnr_with_blur": psnr(rgb, blurred, covered)})
        save_side_by_side(sharp, rgb, pictures / f"view-{view:03d}.png")
    return {
        "splats": exported.splats,
        "size": list(size),
        "views": rows,
        "psnr": min(row["psnr"] for row in rows),
        "newton_seconds": float(np.median(seconds)),
        "newton": version,
    }


def newton_pictures(
    stage: Path, views: list[str], size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    """Pictures (C, H, W, 3) in [0, 1] that Newton renders of a stage, seconds of each, and Newton's version."""
    prims = camera_prims(stage)
    target = stage.with_name("newton.npz")
    script = Path(__file__).with_name("_newton_stage.py")
    width, height = size
    command = [NEWTON, script, stage, ",".join(prims[view] for view in views), str(width), str(height), target]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=NEWTON_LIMIT)
    if ran.returncode != 0:
        raise RuntimeError(f"Newton failed:\n{ran.stderr[-2000:]}")
    with np.load(target, allow_pickle=False) as archive:
        return archive["rgb"] / 255.0, archive["seconds"], str(archive["newton"])


def camera_prims(stage: Path) -> dict[str, str]:
    """Paths of a stage's cameras by the names of their photos."""
    from pxr import Usd

    usd: Any = Usd
    opened = usd.Stage.Open(str(stage))  # Prims are only good as long as their stage is.
    cameras = opened.GetPrimAtPath("/World/Cameras").GetChildren()
    return {prim.GetCustomDataByKey("scene3d:name"): str(prim.GetPath()) for prim in cameras}


def our_picture(scene: Scene, view: int, size: tuple[int, int], eps2d: float) -> NDArray[np.float64]:
    """Colour over coverage (H, W, 3) of a capture camera at SH degree 0."""
    settings = RenderSettings(sh_degree=0, eps2d=eps2d)
    camera = scene.views[view].camera.resized(*size)
    with torch.no_grad():
        frame = render(scene.splats, camera, T_world_body=scene.T_world_body, settings=settings)
    coverage = frame.alpha.reshape(size[1], size[0], 1).clamp_min(1e-6)
    return (frame.rgb / coverage).clamp(0, 1).double().numpy()


def psnr(a: NDArray, b: NDArray, where: NDArray[np.bool_]) -> float:
    """PSNR over some of the pixels [dB]."""
    return round(-10 * math.log10(max(float(((a - b) ** 2)[where].mean()), 1e-10)), 2)


def save_side_by_side(ours: NDArray, theirs: NDArray, path: Path) -> None:
    """Ours, theirs, and five times their difference."""
    from PIL import Image

    row = np.concatenate([ours, theirs, np.clip(5 * np.abs(ours - theirs), 0, 1)], axis=1)
    Image.fromarray((255 * row).round().astype(np.uint8)).save(path)


def lines(record: dict[str, Any]) -> list[str]:
    """One line per figure."""
    width, height = record["size"]
    told = []
    for row in record["views"]:
        what = f"{row['view']} at {width}x{height}, Newton {record['newton']} beside ours"
        told.append(f"{what}: {row['psnr']:.1f} dB, {row['psnr_with_blur']:.1f} dB with our blur")
    told.append(f"least: {record['psnr']:.1f} dB; Newton took {record['newton_seconds']:.1f} s a picture")
    return told


if __name__ == "__main__":
    main()
