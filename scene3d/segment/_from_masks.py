"""Instance masks of some photos -> labels of splats.

Every labelled pixel votes for the splats that it shows, place and colour settle what votes leave open, and the labels,
rendered, are held against the masks: the agreement is the confidence. A mask that lacks an object although the photo
shows it (its id came and went) would vote the object away, so those pixels are taken out before the last vote.
`lift_masks` does the whole: masks for the photos without one where there are few, and smaller splats along outlines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import SegmentError
from scene3d.segment._labels import Labels
from scene3d.segment._tidy import tidied
from scene3d.segment._vote import UNSEEN, label_image, labels_of, vote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d._support import SupportPlane

__all__ = ["FEWEST_SPLATS", "labels_from_masks", "lift_masks"]

FEWEST_SPLATS = 40
"""Objects of fewer splats are no bodies."""
GONE = 0.25
"""An id is gone from a mask when the photo shows at least this share of what photos with the id show of it."""
MOST_CHECKED = 16
"""Views that the confidence is measured in."""
CUT = 0.5
"""An object is cut by the border when it touches it in more than this share of its masks."""


def labels_from_masks(
    splats: Gaussians,
    cameras: Sequence[Camera],
    label_maps: Sequence[ArrayLike],
    names: Sequence[str],
    *,
    supports: Sequence[SupportPlane] = (),
    background_bias: float = 0.0,
    unknown: int = UNSEEN,
) -> Labels:
    """Which object each splat belongs to, after masks.

    Args:
        splats: N splats in the world's frame (component 0).
        cameras: Single views of the label maps' sizes.
        label_maps: Labels of pixels (H, W) for each camera: 0 the background, i + 1 for ``names[i]``.
        names: Name of each object, unique.
        supports: What objects stand on; splats under them are no object's.
        background_bias: As in `labels_of`.
        unknown: Value of pixels whose label is not known.

    Returns:
        Labels of the objects that are large enough; what became of the others is in the notes.

    Raises:
        SegmentError: There is no mask, or an object is in none of them.
        ValueError: A label map has another size than its camera.
    """
    maps = [_checked(label_map, len(names), unknown) for label_map in label_maps]
    kept, gone = _without_gone(splats, cameras, maps, names)
    notes = [*gone, *_cut_notes(maps, names)]
    votes = vote(splats, cameras, kept, len(names) + 1)
    labels = _decided(splats, votes, names, supports, background_bias)
    return _labels(splats, labels, cameras, kept, names, supports, notes)


def lift_masks(
    splats: Gaussians,
    cameras: Sequence[Camera],
    label_maps: Sequence[ArrayLike],
    names: Sequence[str],
    *,
    others: Sequence[Camera] = (),
    supports: Sequence[SupportPlane] = (),
    background_bias: float = 0.0,
    before: Tensor | None = None,
) -> tuple[Gaussians, Labels]:
    """Labels after masks, with splats cut where outlines run through them.

    Args:
        splats: N splats in the world's frame (component 0).
        cameras: As for `labels_from_masks`.
        label_maps: As for `labels_from_masks`; -1 where not known.
        names: Name of each object, unique.
        others: Views of photos that have no masks; used where there are few masks.
        supports: What objects stand on.
        background_bias: As in `labels_of`.
        before: As in `split_straddling`.

    Returns:
        M splats, at least N, and their labels.

    Raises:
        SegmentError: As `labels_from_masks`.
    """
    from scene3d.segment._boundary import split_straddling
    from scene3d.segment._carry_masks import carried_masks

    maps = [_checked(label_map, len(names), UNSEEN) for label_map in label_maps]
    kept, gone = _without_gone(splats, cameras, maps, names)
    notes = [*gone, *_cut_notes(maps, names)]
    more = carried_masks(splats, cameras, kept, others, len(names) + 1)
    if more:
        notes.append(f"{len(more)} photos without masks were given some, by what the masks of the others tell of them.")
    views, all_maps = [*cameras, *(camera for camera, _ in more)], [*kept, *(map_ for _, map_ in more)]
    splats, _ = split_straddling(splats, views, all_maps, len(names) + 1, before=before)
    votes = vote(splats, views, all_maps, len(names) + 1)
    labels = _decided(splats, votes, names, supports, background_bias)
    return splats, _labels(splats, labels, cameras, kept, names, supports, notes)


def _checked(label_map: ArrayLike, objects: int, unknown: int) -> NDArray[np.int32]:
    """Labels (H, W) as 32-bit numbers, `UNSEEN` where there is none of ours."""
    map_ = np.asarray(label_map)
    known = (map_ >= 0) & (map_ <= objects) & (map_ != unknown)
    return np.where(known, map_, UNSEEN).astype(np.int32)


def _without_gone(
    splats: Gaussians, cameras: Sequence[Camera], maps: Sequence[NDArray[np.int32]], names: Sequence[str]
) -> tuple[list[NDArray[np.int32]], list[str]]:
    """The label maps without the pixels where an object's id is missing, and what to say of it.

    An object votes first with the photos alone that have its id; where the others turn out to show it, what they call
    background there is not known.
    """
    from scipy.ndimage import binary_dilation

    areas = _areas(maps, names)
    absent = np.equal(areas, 0)
    if not absent.any():
        return list(maps), []
    labels = _by_presence(splats, cameras, maps, absent)
    usual = np.array([np.median(column[column > 0]) for column in areas.T])
    kept, gone = [], np.zeros(len(names), dtype=int)
    for camera, map_, missing in zip(cameras, maps, list(absent), strict=True):
        seen = label_image(splats, labels, camera, len(names) + 1) if missing.any() else map_
        edited = map_.copy()
        for index in np.flatnonzero(missing):
            there = (seen == index + 1) & (map_ == 0)
            if there.sum() >= GONE * usual[index]:
                edited[binary_dilation(there, iterations=2) & (map_ == 0)] = UNSEEN
                gone[index] += 1
        kept.append(edited)
    notes = [
        f"{name!r} is missing from the masks of {count} photos that show it; they did not vote against it."
        for name, count in zip(names, gone, strict=True)
        if count
    ]
    return kept, notes


def _areas(maps: Sequence[NDArray[np.int32]], names: Sequence[str]) -> NDArray[np.intp]:
    """Pixels of each object in each map, shape (V, objects).

    Raises:
        SegmentError: There is no map, or an object is in none.
    """
    if not maps:
        raise SegmentError("No photo has a mask, so masks say nothing. Give some with --masks, or go without them.")
    areas = np.array([np.bincount(map_[map_ > 0], minlength=len(names) + 1)[1:] for map_ in maps])
    empty = [name for name, seen in zip(names, areas.sum(axis=0), strict=True) if not seen]
    if empty:
        quoted = ", ".join(repr(name) for name in empty)
        raise SegmentError(
            f"No pixel of the {len(maps)} masks shows {quoted}. Draw {'them' if len(empty) > 1 else 'it'} in one mask "
            "at least, or leave the name out."
        )
    return areas


def _by_presence(
    splats: Gaussians, cameras: Sequence[Camera], maps: Sequence[NDArray[np.int32]], absent: NDArray[np.bool_]
) -> Tensor:
    """Labels (N,) of a vote in which each object counts only the photos that have its id."""
    import torch

    labels = absent.shape[1] + 1
    votes, counted = (torch.zeros(len(splats), labels, device=splats.means.device) for _ in range(2))
    for camera, map_, missing in zip(cameras, maps, list(absent), strict=True):
        of_view = vote(splats, [camera], [map_], labels)
        votes += of_view
        counted[:, 1:] += of_view.sum(dim=1, keepdim=True) * torch.from_numpy(~missing).to(counted)
    share = (votes / counted.clamp_min(1e-9))[:, 1:]
    best = share.max(dim=1)
    return torch.where(best.values > 0.5, best.indices + 1, 0)


def _decided(
    splats: Gaussians, votes: Tensor, names: Sequence[str], supports: Sequence[SupportPlane], bias: float
) -> Tensor:
    assert votes.shape[1] == len(names) + 1
    return tidied(splats, votes, labels_of(votes, background_bias=bias), supports)


def _labels(
    splats: Gaussians,
    of_splat: Tensor,
    cameras: Sequence[Camera],
    maps: Sequence[NDArray[np.int32]],
    names: Sequence[str],
    supports: Sequence[SupportPlane],
    notes: list[str],
) -> Labels:
    """Numbered anew without the objects that are too small."""
    import torch

    confidence = _agreement(splats, of_splat, cameras, maps, len(names))
    sizes = torch.bincount(of_splat, minlength=len(names) + 1)[1:].tolist()
    large = [index for index, size in enumerate(sizes) if size >= FEWEST_SPLATS]
    numbers = torch.zeros(len(names) + 1, dtype=torch.int64, device=of_splat.device)
    for number, index in enumerate(large):
        numbers[index + 1] = number + 1
    for name, size in zip(names, sizes, strict=True):
        if size < FEWEST_SPLATS:
            notes.append(
                f"{name!r} has {size} splats, too few for a body, which takes {FEWEST_SPLATS}; it stays background."
            )
    return Labels(
        names=tuple(names[index] for index in large),
        of_splat=numbers[of_splat],
        confidence=tuple(confidence[index] for index in large),
        supports=tuple(supports),
        named=(True,) * len(large),
        notes=tuple(notes),
    )


def _agreement(
    splats: Gaussians,
    of_splat: Tensor,
    cameras: Sequence[Camera],
    maps: Sequence[NDArray[np.int32]],
    objects: int,
) -> list[float]:
    """Mean IoU of each object's rendered labels with its masks, over views that show it."""
    sums, views = np.zeros(objects), np.zeros(objects)
    areas = np.array([np.bincount(map_[map_ > 0], minlength=objects + 1)[1:] for map_ in maps]) > 0
    chosen = {int(i) for column in areas.T for i in _spread(np.flatnonzero(column), MOST_CHECKED)}
    for index in sorted(chosen):
        map_ = maps[index]
        seen = label_image(splats, of_splat, cameras[index], objects + 1)
        seen[map_ == UNSEEN] = UNSEEN
        for number in np.flatnonzero(areas[index]):
            ours, theirs = seen == number + 1, map_ == number + 1
            sums[number] += (ours & theirs).sum() / (ours | theirs).sum()
            views[number] += 1
    return (sums / np.maximum(views, 1)).tolist()


def _spread(values: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of the values, evenly spread."""
    return (
        values[np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).astype(int))]
        if len(values)
        else values
    )


def _cut_notes(maps: Sequence[NDArray[np.int32]], names: Sequence[str]) -> list[str]:
    """What to say of objects that most photos show only a part of."""
    notes = []
    for index, name in enumerate(names):
        with_it = [map_ == index + 1 for map_ in maps if (map_ == index + 1).any()]
        cut = sum(bool(m[[0, -1]].any() or m[:, [0, -1]].any()) for m in with_it)
        if cut > CUT * len(with_it):
            notes.append(
                f"{name!r} is cut by the image border in {cut} of the {len(with_it)} photos with its mask; "
                "what none of them shows is missing from it."
            )
    return notes
