# pyright: basic
"""Identification: recordings of a world -> what its unknown constants are, and how sure one can be.

1. Parameters and priors come from the world (`find_parameters`); recordings are cut into windows when they are few.
2. A search by populations of fused rollouts finds the region of the optimum, first with wide errors, then with errors
   measured against what the best candidate leaves in each frame.
3. Around it, a regression gives a normal posterior (`fit_normal`), in which what recordings do not tell stays the
   prior.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import UsageError
from dynamics._identify_fit import fit_normal
from dynamics._identify_loss import Problem, predicted_poses
from dynamics._identify_parameters import find_parameters
from dynamics._identify_search import minimise
from dynamics._posterior import Posterior
from dynamics._recording import windows

if TYPE_CHECKING:
    from dynamics._identify_loss import Widths
    from dynamics._identify_search import Found
    from dynamics._recording import Recording
    from dynamics._step import StepSettings
    from dynamics._world import World

__all__ = ["Posterior", "Search", "identify_world", "rollout_recordings"]

RIDGE = 0.02
"""Weight of the prior in the search, over the mean loss: it only holds what nothing else does."""


@dataclass(frozen=True)
class Search:
    """How to look for the optimum."""

    coarse: int = 25
    """Generations with wide errors."""
    fine: int = 15
    """Generations with measured errors."""
    population: int = 16
    """Candidates of a generation."""
    most: int = 128
    """Recordings that the search looks at; the posterior looks at all."""
    mend: bool = True
    """Move first velocities, within their doubts, to what follows; without, constants are those that predict best."""
    window: int | None = None
    """Steps of a window; None keeps recordings whole where there are eight or more of them, else takes 40."""


def identify_world(
    world: World,
    recordings: Sequence[Recording],
    *,
    parameters: Sequence[str] | None = None,
    seed: int = 0,
    search: Search | None = None,
    settings: StepSettings | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Posterior:
    """A posterior over parameters of a world.

    Args:
        world: With medians and spreads of what is unknown in its bodies' materials.
        recordings: From `recordings_of_tosses` or `recording_of_poses`; frames must be one or several steps apart.
        parameters: As for `find_parameters`.
        seed: Of all draws: the same seed and recordings give the same bits.
        search: How to look for the optimum.
        settings: How steps are computed.
        progress: Called after each generation with its number, their count and the least loss.

    Raises:
        UsageError: There are no recordings, no such parameters, or steps do not fit.
    """
    if not recordings:
        raise UsageError("Identification needs one recording or more, found none.")
    search = Search() if search is None else search
    found = find_parameters(world, parameters)
    parts = _parts(world, recordings, search.window)
    whole = Problem(world, found, parts, settings)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(parts))[: search.most])
    some = Problem(world, found, tuple(parts[i] for i in chosen), settings)
    hunt = _Hunt(search, seed, progress)
    start = hunt(some, some.coarse(), np.zeros(len(found)), search.coarse, 0.6).mean
    best = hunt(some, some.widths(start), start, search.fine, 0.2)
    normal = fit_normal(whole, best.mean, mend=search.mend)
    return Posterior(found, normal.mean, normal.covariance, len(recordings))


@dataclass
class _Hunt:
    """Searches one after the other, each with draws of its own, told of as one."""

    search: Search
    seed: int
    progress: Callable[[int, int, float], None] | None
    done: int = 0

    def __call__(
        self, problem: Problem, widths: Widths, start: NDArray[np.float64], generations: int, spread: float
    ) -> Found:
        first, total = self.done, self.search.coarse + self.search.fine

        def told(number: int, least: float) -> None:
            if self.progress is not None:
                self.progress(first + number, total, least)

        def loss(u: NDArray[np.float64]) -> NDArray[np.float64]:
            return problem.losses(u, widths).mean(1) + RIDGE / 2 * (u * u).sum(1)

        population = self.search.population
        self.done += generations
        return minimise(
            loss,
            start,
            spread=spread,
            generations=generations,
            population=population,
            seed=self.seed + first,
            told=told,
        )


def rollout_recordings(
    world: World,
    recordings: Sequence[Recording],
    posterior: Posterior | None = None,
    *,
    draws: int = 0,
    seed: int = 0,
    settings: StepSettings | None = None,
) -> list[NDArray[np.float64]]:
    """Predictions of recordings from their first frames.

    Args:
        world: As for `identify_world`.
        recordings: What to predict; only first frames and lengths are looked at, and kinematic bodies' paths.
        posterior: Values of the parameters; None takes the world as it is.
        draws: 0 takes medians; more takes so many draws.
        seed: Of the draws.
        settings: How steps are computed.

    Returns:
        Poses of each recording in its own lengths, shape (T, nb, 7), with draws (draws, T, nb, 7).
    """
    parameters = () if posterior is None else posterior.parameters
    values = np.zeros((max(draws, 1), 0)) if posterior is None else posterior.draw(max(draws, 1), seed)
    problem = Problem(world, parameters, tuple(recordings), settings)
    found: list[NDArray[np.float64]] = [np.zeros(0)] * len(recordings)
    for members in problem.groups:
        poses = predicted_poses(world, [recordings[i] for i in members], parameters, values, settings)
        for place, i in enumerate(members):
            own = poses[:, place, : len(recordings[i])].astype(np.float64)
            found[i] = own if draws else own[0]
    return found


def _parts(world: World, recordings: Sequence[Recording], steps: int | None) -> tuple[Recording, ...]:
    if steps is None and len(recordings) >= 8:
        return tuple(recordings)
    return tuple(part for recording in recordings for part in windows(world, recording, steps or 40))
