"""A capture that lost its world, and how well a scene found it again.

`lose_the_world` writes a transforms.json whose poses were scaled, turned and shifted, and that says nothing of metres
or gravity, as structure from motion does. `world_errors` compares the cameras of a finished scene with the true ones:
their similarity fit gives the scale that is left over and the tilt of the scene's up against the true one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["lose_the_world", "world_errors"]


def lose_the_world(capture: Path, folder: Path, *, scale: float, seed: int) -> Path:
    """The capture in another world; images are linked, not copied."""
    rng = np.random.default_rng(seed)
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    R = q * np.sign(np.diag(r))
    R[:, 0] *= np.linalg.det(R)
    shift = rng.normal(size=3)
    document = json.loads((capture / "transforms.json").read_text(encoding="utf-8"))
    for key in ("metric", "up", "depth_unit_scale_factor"):
        document.pop(key, None)
    for frame in document["frames"]:
        frame.pop("depth_file_path", None)
        pose = np.array(frame["transform_matrix"])
        pose[:3, :3] = R @ pose[:3, :3]
        pose[:3, 3] = scale * R @ pose[:3, 3] + shift
        frame["transform_matrix"] = pose.tolist()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("images", "instances"):
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(capture / name, folder.resolve()), target_is_directory=True)
    (folder / "transforms.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def world_errors(scene: Path, capture: Path) -> dict[str, Any]:
    """Error of the scale [%] and of gravity [deg] of a scene against the capture that knows both."""
    from scene3d import load_scene
    from scene3d.capture import read_capture

    found, truth = load_scene(scene), {Path(view.name).name: view for view in read_capture(capture).views}
    views = [view for view in found.views if Path(view.name).name in truth]
    ours = np.stack([view.camera.T_world_cam.double().numpy() for view in views])
    real = np.stack([truth[Path(view.name).name].camera.T_world_cam.double().numpy() for view in views])
    a, b = (poses[:, :3, 3] - poses[:, :3, 3].mean(0) for poses in (ours, real))
    scale = np.sqrt((b * b).sum() / (a * a).sum())
    # The rotation between the worlds, from the cameras' own axes.
    u, _, vt = np.linalg.svd(np.einsum("cij,ckj->ik", real[:, :3, :3], ours[:, :3, :3]))
    turn = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    up = turn @ np.array(found.up)
    tilt = np.degrees(np.arccos(np.clip(up[2] / np.linalg.norm(up), -1, 1)))
    return {
        "metric": found.metric,
        "scale_source": found.scale_source,
        "scale_error_percent": round(100 * abs(1 / scale - 1), 3),
        "gravity_error_deg": round(float(tilt), 3),
    }
