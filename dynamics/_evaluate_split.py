"""Which tosses are scored by which network and by constants fitted to which others, so that no score is in sample.

Weights carry the hashes of the tosses that they were trained on. A toss that the network of all tosses has not seen is
new and scored by that one; else a fold that has not seen it scores it; a toss that every network has seen is scored in
sample and says so. On another body, and where there are no weights, constants are fitted out of fold on the tosses
themselves, or to the first few of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import FileFormatError, UsageError
from dynamics._train_windows import folds

if TYPE_CHECKING:
    from dynamics._contact_weights import ContactWeights

__all__ = ["ALL", "Group", "Sample", "default_weights", "load_networks", "plan_groups"]

Sample = Literal["new", "out of fold", "seen"]
ALL = "all"
"""Name of the network that has seen every toss that this project has."""
PARTS = 5


@dataclass(frozen=True, eq=False)
class Group:
    """Tosses that are scored by the same models."""

    held: NDArray[np.int64]
    """Which tosses are scored."""
    train: NDArray[np.int64]
    """Which of the given tosses may be fitted to; none where only the record knows."""
    network: str | None
    """Name of the weights, None for no network."""
    sample: Sample
    """``new``: no network has seen them; ``seen``: all have, so that these scores are in sample."""
    record: str | None = None
    """Name of the record of what was fitted to the tosses that the network has seen; None fits here."""


def default_weights() -> Path:
    """The folder of the weights that come with the project."""
    packed = Path(__file__).resolve().parent / "contact"
    return packed if packed.is_dir() else packed.parents[1] / "assets" / "contact"


def load_networks(folder: Path) -> dict[str, ContactWeights]:
    """The weights ``fold-*.safetensors`` and ``all.safetensors`` of a folder by name, folds first.

    Raises:
        FileFormatError: There are none, or one is damaged or belongs to another network.
    """
    from dynamics._contact_weights import load_weights

    paths = sorted(folder.glob("fold-*.safetensors")) + sorted(folder.glob(f"{ALL}.safetensors"))
    if not paths:
        raise FileFormatError(f"{folder} holds no weights (fold-0.safetensors ... or all.safetensors).")
    return {path.stem: load_weights(path) for path in paths}


def plan_groups(
    hashes: Sequence[str],
    seen: Mapping[str, frozenset[str]],
    *,
    own_body: bool = True,
    fit_on: int | None = None,
    records: Mapping[str, frozenset[str]] | None = None,
) -> list[Group]:
    """Distribute tosses.

    Args:
        hashes: Of the tosses, from `toss_hash`.
        seen: What each network was trained on, by name.
        own_body: Whether the networks were trained on this body.
        fit_on: Fit constants to the first so many tosses and score the others.
        records: What each record was fitted to, by the name of its network.

    Raises:
        UsageError: There are too few tosses.
    """
    count = len(hashes)
    if fit_on is not None:
        if not 1 <= fit_on < count:
            raise UsageError(f"--fit-on {fit_on} leaves nothing of {count} tosses; take 1 to {count - 1}.")
        first = np.arange(fit_on)
        found = _by_network(hashes, seen, np.arange(fit_on, count))
        return [Group(held, first, name, sample) for name, sample, held in found]
    groups: list[Group] = []
    for name, sample, held in _by_network(hashes, seen, np.arange(count)):
        known = seen.get(name or "", frozenset())
        recorded = records is not None and name is not None and records.get(name) == known
        train = np.array([i for i in range(count) if hashes[i] in known], dtype=np.int64)
        if own_body and name is not None and (recorded or len(train)):
            groups.append(Group(held, train, name, sample, name if recorded else None))
        else:
            groups += [Group(held[part], np.delete(held, part), name, sample) for part in _parts(len(held))]
    return groups


def _parts(count: int) -> list[NDArray[np.int64]]:
    if count < PARTS:
        raise UsageError(
            f"{count} tosses are too few to fit constants out of fold; it takes {PARTS}. "
            "--fit-on N fits them to the first N instead."
        )
    return folds(count, PARTS)


def _by_network(
    hashes: Sequence[str], seen: Mapping[str, frozenset[str]], which: NDArray[np.int64]
) -> list[tuple[str | None, Sample, NDArray[np.int64]]]:
    """Network, kind of sample and tosses, in the order of networks."""
    if not seen:
        return [(None, "new", which)]
    chosen: dict[tuple[str, Sample], list[int]] = {}
    whole = ALL if ALL in seen else next(iter(seen))
    for index in which.tolist():
        blind = [name for name, known in seen.items() if hashes[index] not in known]
        if len(blind) == len(seen):
            key: tuple[str, Sample] = (whole, "new")
        elif blind:
            key = (blind[0], "out of fold")
        else:
            key = (whole, "seen")
        chosen.setdefault(key, []).append(index)
    order = list(seen)
    ranked = sorted(chosen.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
    return [(name, sample, np.array(held, dtype=np.int64)) for (name, sample), held in ranked]
