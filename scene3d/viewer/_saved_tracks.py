"""The rollouts of a scene folder as tracks: those that were asked for, or the newest few."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import FileFormatError, UsageError
from scene3d.viewer._track import Track, saved_track

if TYPE_CHECKING:
    from scene3d._rollout_folder import SavedRollout
    from scene3d._scene import Scene

__all__ = ["MOST_ROLLOUTS", "saved_tracks"]

MOST_ROLLOUTS = 8
"""Of more the newest are shown unless they are asked for."""


def saved_tracks(scene: Scene, folder: Path, rollouts: Sequence[str] | None) -> tuple[list[Track], list[str]]:
    """Tracks, the one that is to be shown first, and sentences for people about those that are not there.

    Args:
        scene: What is in the folder.
        folder: The scene folder.
        rollouts: Ids; None takes the newest that are of this scene.

    Raises:
        UsageError: One that was asked for is not there, or is of another scene.
        FileFormatError: One that was asked for is damaged.
    """
    from scene3d._rollout_folder import list_rollouts, load_rollout

    if rollouts is not None:
        read = [load_rollout(scene, folder, name) for name in dict.fromkeys(rollouts)]
        return [saved_track(saved) for saved in read], _notes(read)
    known = list_rollouts(folder)[::-1]
    read, notes = [], []
    for name in known[:MOST_ROLLOUTS]:
        try:
            read.append(load_rollout(scene, folder, name))
        except (UsageError, FileFormatError) as error:
            notes.append(f"Left out: {error}")
    if len(known) > MOST_ROLLOUTS:
        notes.append(f"The newest {MOST_ROLLOUTS} of {len(known)} rollouts are shown; ask for others with --rollout.")
    return [saved_track(saved) for saved in read], notes + _notes(read)


def _notes(read: Sequence[SavedRollout]) -> list[str]:
    notes = [
        f"Rollout {saved.id} was made when {', '.join(saved.changed)} had another mass."
        for saved in read
        if saved.changed
    ]
    for saved in read:
        track = saved_track(saved)
        if track.bad.any():
            notes.append(f"{track.bad.sum()} of {track.futures} futures of rollout {saved.id} hold what is no number.")
    return notes
