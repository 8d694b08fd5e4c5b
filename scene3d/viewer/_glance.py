"""What can be told of a scene folder at a glance: which way is up in it, which of its rollouts will be shown.

Reading splats takes a library that takes a second to import. A browser that is told the address before that loads the
page meanwhile. So that it is not told of a page that never comes, what is usually wrong with a folder is found here:
no scene, a damaged scene.yaml, files that are missing or cut off, rollouts that are not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scene3d.viewer._saved_tracks import MOST_ROLLOUTS

__all__ = ["Glance", "glance"]


@dataclass(frozen=True)
class Glance:
    """A scene folder before it is read."""

    title: str
    """Name of the folder."""
    up: tuple[float, float, float]
    """World direction that points up."""
    rollouts: tuple[str, ...]
    """Ids of the rollouts that are going to be shown, unless one turns out to be of another scene."""


def glance(folder: Path, rollouts: Sequence[str] | None) -> Glance:
    """Look at a scene folder without reading its splats.

    Args:
        folder: The scene folder.
        rollouts: Ids; None takes the newest, the newest first.

    Raises:
        UsageError: A rollout that was asked for is not there.
        FileFormatError: Not a scene folder, scene.yaml is damaged, or a file that it names is missing or cut off.
    """
    from scene3d._rollout_folder import list_rollouts, rollout_folder
    from scene3d.files._ply_table import read_header
    from scene3d.files._scene_folder import scene_record

    record = scene_record(folder)
    for name in (record.background, *(thing.splat for thing in record.objects)):
        if name.endswith(".ply"):
            read_header(folder / name)
    if rollouts is None:
        ids = list_rollouts(folder)[::-1][:MOST_ROLLOUTS]
    else:
        ids = tuple(rollout_folder(folder, id).name for id in dict.fromkeys(rollouts))
    return Glance(folder.resolve().name, record.up, ids)
