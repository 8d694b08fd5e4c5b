"""Small captures made by code: a textured box of known points, seen from a ring of cameras."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Document = dict[str, Any]


def opengl_pose(angle: float, radius: float = 4.0, height: float = 1.0) -> np.ndarray:
    """Camera-to-world (4, 4) in OpenGL axes of a camera on a ring that looks at the origin."""
    position = np.array([radius * np.cos(angle), radius * np.sin(angle), height])
    back = position / np.linalg.norm(position)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(back, right), back, position], axis=1)
    return pose


@pytest.fixture
def document() -> Document:
    """A good transforms.json of four frames, 32x24."""
    frames = [{"file_path": f"images/{i}.png", "transform_matrix": opengl_pose(0.4 * i).tolist()} for i in range(4)]
    return {"fl_x": 30.0, "fl_y": 31.0, "cx": 15.0, "cy": 12.5, "w": 32, "h": 24, "frames": frames}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a document and its images to a folder."""

    def write_to(document: Document, *, absent: tuple[int, ...] = (), size: tuple[int, int] = (32, 24)) -> Path:
        (tmp_path / "images").mkdir(exist_ok=True)
        for i in range(4):
            if i not in absent:
                Image.new("RGB", size, (40 * i, 80, 120)).save(tmp_path / "images" / f"{i}.png")
        (tmp_path / "transforms.json").write_text(json.dumps(document))
        return tmp_path

    return write_to
