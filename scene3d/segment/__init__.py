"""Which splats belong to which thing, and what physics needs to know of it.

`segment` turns a scene into a background and posed bodies; `segment_folder` does so for a scene folder and writes the
sheet of its objects. Underneath: `find_instances` and `read_masks` find instance masks, `find_supports` the planes that
things stand on, `vote` carries labels of pixels onto splats through the renderer, `labels_of` decides.
"""

from __future__ import annotations

from scene3d.segment._find_supports import find_supports
from scene3d.segment._instances import Instances, find_instances, read_masks
from scene3d.segment._labels import Labels
from scene3d.segment._request import SegmentRequest, parse_assignments
from scene3d.segment._segment import segment, segment_folder
from scene3d.segment._vote import UNSEEN, labels_of, vote

__all__ = [
    "UNSEEN",
    "Instances",
    "Labels",
    "SegmentRequest",
    "find_instances",
    "find_supports",
    "labels_of",
    "parse_assignments",
    "read_masks",
    "segment",
    "segment_folder",
    "vote",
]
