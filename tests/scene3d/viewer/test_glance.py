"""What is told of a folder before its splats are read: enough to listen, and nothing that takes long."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scene3d._errors import FileFormatError, UsageError
from scene3d.viewer._glance import glance

from .small_scenes import save_sliding, sliding
from .small_scenes import small_scene as desk


def _still(future: int, time: float, poses: Any) -> None:
    pass


def test_which_rollouts_will_be_shown(small_scene: Path) -> None:
    assert glance(small_scene, None).rollouts == ()
    for _ in range(2):
        save_sliding(small_scene, *sliding(desk(300), _still, seconds=0.1))
    seen = glance(small_scene, None)
    assert (seen.title, seen.up, seen.rollouts) == ("desk", (0.0, 0.0, 1.0), ("002", "001"))
    assert glance(small_scene, ["001", "001"]).rollouts == ("001",)
    with pytest.raises(UsageError, match="There is no rollout '7'"):
        glance(small_scene, ["7"])


def test_what_is_wrong_with_a_folder_is_seen(small_scene: Path) -> None:
    splats = small_scene / "background" / "splat.ply"
    splats.write_bytes(splats.read_bytes()[:5000])
    with pytest.raises(FileFormatError, match="cut off"):
        glance(small_scene, None)
    splats.unlink()
    with pytest.raises(FileFormatError, match="which is missing"):
        glance(small_scene, None)


def test_it_does_without_what_takes_long_to_import(small_scene: Path) -> None:
    code = (
        "import sys, pathlib; from scene3d.viewer._glance import glance; glance(pathlib.Path(sys.argv[1]), None); "
        "print([name for name in ('torch', 'warp', 'scipy', 'trimesh', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, small_scene], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
