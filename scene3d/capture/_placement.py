"""Which photos found their place, which did not, and why.

Structure from motion leaves out photos without a word. What its database knows (features per photo, verified matches
per pair) tells the reason: nothing to see, no photo that shows the same, another place, or matches too few to be sure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scene3d.capture._photo_set import PhotoSet

__all__ = ["MatchGraph", "PhotoPlacement", "explain", "read_graph", "refuse_hopeless"]

FEW_FEATURES = 200
SURE_MATCHES = 30
"""Verified matches from which two photos surely show the same."""
LEAST_SHARE = 0.25
"""Smaller shares of placed photos are no capture of a place."""
SECOND_PLACE = 0.1
"""Share of the photos from which a group that matches nothing else counts as another place."""


@dataclass(frozen=True)
class MatchGraph:
    """What the database says about P photos."""

    features: NDArray[np.int64]
    """Features per photo, shape (P,)."""
    matches: NDArray[np.int64]
    """Verified matches between photos, symmetric, shape (P, P)."""

    def groups(self) -> list[list[int]]:
        """Photos that are linked by sure matches, largest group first; groups of one are left out."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        count, label = connected_components(csr_array(self.matches >= SURE_MATCHES), directed=False)
        groups = [np.flatnonzero(label == k).tolist() for k in range(count)]
        return sorted((group for group in groups if len(group) > 1), key=len, reverse=True)

    def overlap(self) -> NDArray[np.int64]:
        """Number of photos that each photo surely shares its view with, shape (P,)."""
        return (self.matches >= SURE_MATCHES).sum(axis=1)


@dataclass(frozen=True)
class PhotoPlacement:
    """What became of one photo."""

    name: str
    placed: bool
    reason: str
    """Why it was not placed; empty when it was."""
    blur: float
    """0 sharp to 1 smeared."""
    overlap: int
    """Photos that show the same."""


def read_graph(database: Path, names: Sequence[str]) -> MatchGraph:
    """Features and verified matches, in the order of ``names``."""
    from scene3d.capture._sfm import quiet_colmap

    with quiet_colmap() as colmap, colmap.Database.open(database) as opened:
        images = {image.name: image.image_id for image in opened.read_all_images()}
        index = {images[name]: place for place, name in enumerate(names) if name in images}
        features = np.zeros(len(names), dtype=np.int64)
        for image, place in index.items():
            features[place] = opened.num_keypoints_for_image(image)
        matches = np.zeros((len(names), len(names)), dtype=np.int64)
        pairs, geometries = opened.read_two_view_geometries()
        for pair, geometry in zip(pairs, geometries, strict=True):
            a, b = (index[image] for image in colmap.pair_id_to_image_pair(pair))
            matches[a, b] = matches[b, a] = len(geometry.inlier_matches)
    return MatchGraph(features, matches)


def explain(
    photos: PhotoSet,
    graph: MatchGraph,
    placed: set[int],
    flat: frozenset[int],
    blur: Sequence[float],
    blurred_from: float,
) -> tuple[PhotoPlacement, ...]:
    """What became of each photo, in their order."""
    overlap = graph.overlap()

    def reason(index: int) -> str:
        if index in placed:
            return ""
        if index in flat:
            return "it shows one colour and nothing else"
        if graph.features[index] < FEW_FEATURES and blur[index] < blurred_from:
            return "it shows hardly any texture"
        if blur[index] >= blurred_from:
            return "it is blurred"
        if graph.matches[index].max(initial=0) == 0:
            return "it matches no other photo"
        if not any(graph.matches[index, other] >= SURE_MATCHES for other in placed):
            return "it matches none of the placed photos well"
        return "its matches do not agree with the other photos"

    return tuple(
        PhotoPlacement(file.name, i in placed, reason(i), float(blur[i]), int(overlap[i]))
        for i, file in enumerate(photos.files)
    )


def refuse_hopeless(photos: PhotoSet, graph: MatchGraph, found: Sequence[PhotoPlacement]) -> None:
    """Refuse what is no capture of one place.

    Raises:
        CaptureError: Photos of two places, or too few of them placed.
    """
    placed = [i for i, photo in enumerate(found) if photo.placed]
    total = len(found)
    # A group that nothing links to the placed photos: photos one by one may have strayed in, a group is a place.
    strangers = [group for group in graph.groups() if not set(group) & set(placed)]
    if placed and strangers and len(strangers[0]) >= max(3, SECOND_PLACE * total):
        here, there = (_some([found[i].name for i in group]) for group in (placed, strangers[0]))
        raise CaptureError(
            f"{photos.root} shows two places: {len(placed)} photos ({here}) and {len(strangers[0])} photos ({there}) "
            "have nothing in common. Put them into folders of their own, or add photos that show both."
        )
    if len(placed) >= max(3, LEAST_SHARE * total):
        return
    reasons: dict[str, int] = {}
    for photo in found:
        if photo.reason:
            reasons[photo.reason] = reasons.get(photo.reason, 0) + 1
    main = max(reasons, key=lambda reason: reasons[reason])
    count = f"Only {len(placed)}" if placed else "None"
    raise CaptureError(
        f"{count} of the {total} photos in {photos.root} could be placed; for most of the rest the reason is: "
        f"{main} ({reasons[main]} photos). Move in small steps around the scene so that neighbouring photos share most "
        "of their view, hold still, and use enough light."
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:2])
    return f"{shown}, ..." if len(names) > 2 else shown
