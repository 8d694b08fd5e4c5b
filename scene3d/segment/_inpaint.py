"""Continue a texture into the unknown part of a small picture.

Exemplars first: patch by patch from the border inwards, each continued by the known patch that agrees best with what
is there already, borders that strong edges run into before others [Criminisi, Perez, Toyama: Region filling and object
removal by exemplar-based image inpainting, IEEE TIP 2004]. Where too little is known for patches, colours are spread
smoothly, as heat would (Laplace).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["inpaint", "spread"]

HALF = 6
"""Patches are 13 x 13."""
FEWEST_SOURCES = 60
"""Known patches that are enough to choose from."""
MOST_SOURCES = 20_000
NEARNESS = 2e-3
"""Mean squared error [colour^2] that a patch may be worse for each width of the picture that it is nearer."""


def inpaint(image: NDArray, known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The picture with its unknown pixels filled in.

    Args:
        image: Colours, shape (H, W, 3); what unknown pixels hold does not matter.
        known: Which pixels are known, shape (H, W); at least one is.
    """
    filled = np.where(known[..., None], image, 0).astype(np.float32)
    if known.all():
        return filled
    sources = _Sources.of(filled, known)
    if sources is None:
        return spread(filled, known)
    # Edges of the picture need whole patches as well.
    pad = ((HALF, HALF), (HALF, HALF))
    canvas, done = np.pad(filled, (*pad, (0, 0))), np.pad(known, pad)
    inside = np.pad(np.ones_like(known), pad)
    trust = done.astype(np.float32)
    while True:
        front = inside & ~done & _grown(done)
        if not front.any():
            break
        row, column = _most_urgent(canvas, done, front, trust)
        window = (slice(row - HALF, row + HALF + 1), slice(column - HALF, column + HALF + 1))
        patch = sources.best(canvas[window], done[window], np.array([row - HALF, column - HALF]))
        new = inside[window] & ~done[window]
        canvas[window][new] = patch[new]
        trust[window][new] = trust[window][done[window]].sum() / (2 * HALF + 1) ** 2
        done[window] |= new
    return canvas[HALF:-HALF, HALF:-HALF]


def spread(image: NDArray, known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The picture (H, W, 3) with unknown pixels that are each the mean of their neighbours."""
    from scipy.sparse import coo_matrix, diags
    from scipy.sparse.linalg import spsolve

    height, width = known.shape
    index = np.arange(height * width).reshape(height, width)
    pairs = [(index[:, 1:], index[:, :-1]), (index[1:], index[:-1])]
    a = np.concatenate([np.concatenate([p.ravel(), q.ravel()]) for p, q in pairs])
    b = np.concatenate([np.concatenate([q.ravel(), p.ravel()]) for p, q in pairs])
    links = coo_matrix((np.ones(len(a)), (a, b)), shape=(height * width, height * width)).tocsr()
    laplace = (diags(np.asarray(links.sum(axis=1)).ravel()) - links).tocsr()
    unknown = ~known.ravel()
    colours = np.array(image, dtype=np.float64).reshape(-1, 3)
    right = -laplace[unknown][:, ~unknown] @ colours[~unknown]
    colours[unknown] = np.asarray(spsolve(laplace[unknown][:, unknown].tocsc(), right)).reshape(-1, 3)
    return colours.reshape(height, width, 3).astype(np.float32)


class _Sources:
    """Patches of the picture that are known throughout."""

    def __init__(self, patches: NDArray, corners: NDArray, size: int) -> None:
        self.patches = patches
        self.squares = patches**2
        self.corners = corners
        self.size = size

    @staticmethod
    def of(image: NDArray, known: NDArray[np.bool_]) -> _Sources | None:
        side = 2 * HALF + 1
        if min(known.shape) < side:
            return None
        windows = np.lib.stride_tricks.sliding_window_view(known, (side, side))
        corners = np.argwhere(windows.all(axis=(2, 3)))
        if len(corners) < FEWEST_SOURCES:
            return None
        corners = corners[:: -(-len(corners) // MOST_SOURCES)]
        views = np.lib.stride_tricks.sliding_window_view(image, (side, side), axis=(0, 1))
        patches = views[corners[:, 0], corners[:, 1]].transpose(0, 2, 3, 1).reshape(len(corners), -1)
        return _Sources(np.ascontiguousarray(patches), corners, max(known.shape))

    def best(self, patch: NDArray, done: NDArray[np.bool_], corner: NDArray) -> NDArray:
        """The source (13, 13, 3) that agrees best where the patch is done; of equal ones the nearest."""
        mask = done[..., None].repeat(3, axis=2).ravel().astype(np.float32)
        wanted = patch.ravel() * mask
        # einsum, not BLAS: its sums do not depend on the number of threads.
        error = np.einsum("nk,k->n", self.squares, mask) - 2 * np.einsum("nk,k->n", self.patches, wanted)
        away = np.linalg.norm(self.corners + HALF - corner, axis=1) / self.size
        chosen = int(np.argmin(error / max(float(mask.sum()), 1.0) + NEARNESS * away))
        return self.patches[chosen].reshape(patch.shape)


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask and its four-neighbours."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def _slopes(values: NDArray) -> tuple[NDArray, NDArray]:
    """Central differences (H, W) along rows and along columns, 0 at the border."""
    down, right = np.zeros_like(values), np.zeros_like(values)
    down[1:-1] = (values[2:] - values[:-2]) / 2
    right[:, 1:-1] = (values[:, 2:] - values[:, :-2]) / 2
    return down, right


def _most_urgent(canvas: NDArray, done: NDArray[np.bool_], front: NDArray[np.bool_], trust: NDArray) -> tuple[int, int]:
    """The pixel of the front around which most is known and into which the strongest edge runs."""
    down, right = _slopes(canvas.mean(axis=2))
    # Slopes across the front are not edges of the texture.
    whole = done & ~_grown(~done)
    down, right = np.where(whole, down, 0), np.where(whole, right, 0)
    normal_down, normal_right = _slopes(done.astype(np.float32))
    best, chosen = -1.0, (0, 0)
    for row, column in np.argwhere(front):
        window = (slice(row - HALF, row + HALF + 1), slice(column - HALF, column + HALF + 1))
        known = float(trust[window].sum()) / (2 * HALF + 1) ** 2
        length = np.hypot(normal_down[row, column], normal_right[row, column]) + 1e-6
        across = np.abs(-right[window] * normal_down[row, column] + down[window] * normal_right[row, column]) / length
        urgency = known * (1e-3 + float(across.max()))
        if urgency > best:
            best, chosen = urgency, (int(row), int(column))
    return chosen
