"""rope4's arrays as a transforms.json: four calibrated photos with masks of the rope."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

__all__ = ["write_rope_capture"]


def write_rope_capture(source: Path, folder: Path, *, masks: bool = True) -> Path:
    """Write ``transforms.json`` into `folder`; photos and masks are linked."""
    folder.mkdir(parents=True, exist_ok=True)
    K, R, t = (np.load(source / f"{name}_list.npy") for name in ("intr", "R", "t"))
    frames = []
    for index in range(4):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = R[index] * [1, -1, -1], t[index].ravel()
        frame = {"file_path": f"img_{index}.png", "transform_matrix": pose.tolist(), "w": 640, "h": 480}
        frame |= {"fl_x": K[index, 0, 0], "fl_y": K[index, 1, 1], "cx": K[index, 0, 2], "cy": K[index, 1, 2]}
        names = [f"img_{index}.png"]
        if masks:
            frame["mask_path"] = f"mask_{index}.png"
            names.append(f"mask_{index}.png")
        for name in names:
            link = folder / name
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath((source / name).resolve(), folder.resolve()))
        frames.append(frame)
    document = {"metric": True, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(document), encoding="utf-8")
    return folder
