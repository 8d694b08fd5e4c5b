"""Makes the demo scene: the capture in assets/tabletop, fitted, segmented and packed for the repository.

    python assets/scenes/make_tabletop.py [--fitted FOLDER] [--out FOLDER] [--no-segment]

About four minutes of fitting on two cores, unless --fitted names a scene folder of that capture. Splats are stored as
SPZ, photos by their place relative to the scene, so that a fresh clone finds them. The quality that the scene states is
measured on the packed splats, as they are read back.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from scene3d import Scene, load_scene, read_capture, reconstruct, save_scene
from scene3d._flatten import in_world
from scene3d._scene_object import ObjectKind
from scene3d.report import evaluate
from scene3d.segment import SegmentRequest, segment

ROOT = Path(__file__).resolve().parent.parent.parent
CAPTURE = ROOT / "assets" / "tabletop"
LARGEST = 6_000_000
"""Bytes that the folder may take."""


def fitted(folder: Path | None) -> Scene:
    """A scene of the capture: the one in ``folder``, or one that is fitted now."""
    if folder is not None:
        return load_scene(folder)
    with tempfile.TemporaryDirectory() as work:
        return reconstruct(CAPTURE, Path(work) / "tabletop")


MATERIALS = {
    "mug": "stoneware",
    "can": "aluminium-can-full",
    "box": "cardboard-box",
    "toy": "plush",
    "rope": "cotton-rope",
}
"""What an owner would say of these things; photos do not show it."""
KINDS: dict[str, ObjectKind] = {"toy": "deformable", "rope": "deformable"}


def with_objects(scene: Scene) -> Scene:
    """The scene after `scene3d segment --material mug=stoneware ... --kind toy=deformable ...`."""
    return segment(scene, SegmentRequest(materials=MATERIALS, kinds=KINDS))


def pack(scene: Scene, out: Path) -> Scene:
    """Write the scene folder and read it back; the quality that it states is that of what was read back."""
    shutil.rmtree(out, ignore_errors=True)
    source = {**scene.source, "capture": CAPTURE.relative_to(ROOT).as_posix()}
    save_scene(replace(scene, source=source), out, splat_format="spz", photos=CAPTURE)
    scene = load_scene(out)
    save_scene(replace(scene, metrics=measured(scene)), out, overwrite=True)
    shutil.rmtree(out / ".history")
    (out / ".lock").unlink()
    return load_scene(out)


def measured(scene: Scene) -> dict[str, Any]:
    """The summary of a scene's report with the quality that its splats have now."""
    fit = {name: scene.metrics[name] for name in ("seconds", "steps", "device")}
    poses = scene.T_world_body.double()
    metrics = evaluate(in_world(scene.splats, poses), scene.views, read_capture(CAPTURE), **fit)
    names = ("psnr", "ssim", "psnr_cc", "train_psnr")
    return {**scene.metrics, **{name: round(getattr(metrics, name), 4) for name in names}, "splats": metrics.splats}


def main() -> None:
    """Make the scene and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fitted", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="FOLDER", default=Path(__file__).resolve().parent / "tabletop")
    parser.add_argument("--no-segment", action="store_true")
    options = parser.parse_args()
    scene = fitted(options.fitted)
    if not options.no_segment:
        scene = with_objects(scene)
    packed = pack(scene, options.out)
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    names = ", ".join(thing.name for thing in packed.objects) or "no objects"
    print(f"{options.out}: {size / 1e6:.2f} MB, {packed.metrics['psnr']} dB, {len(packed.splats)} splats, {names}")
    if size > LARGEST:
        raise SystemExit(f"That is more than {LARGEST / 1e6:g} MB.")


if __name__ == "__main__":
    main()
