"""Which splats belong to which thing: labels in the photos become labels of splats.

`find_instances` finds the instance masks that came with a capture, `vote` carries them onto splats through the
renderer, and `labels_of` decides.
"""

from __future__ import annotations

from scene3d.segment._instances import Instances, find_instances
from scene3d.segment._vote import UNSEEN, labels_of, vote

__all__ = ["UNSEEN", "Instances", "find_instances", "labels_of", "vote"]
