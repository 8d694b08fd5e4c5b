# pyright: basic
"""What recordings have told of a world's unknowns: a normal distribution over standardised parameters.

Draws become `Latents` for rollouts; medians and intervals are physical values. A file is an npz of plain arrays.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import FileFormatError, OutputError
from dynamics._identify_parameters import Parameter, changed_latents, changed_world

if TYPE_CHECKING:
    from dynamics._state import Latents
    from dynamics._world import World

__all__ = ["Posterior"]

VERSION = 1
LARGEST_FILE = 1 << 20
SCALES = ("log", "logit", "linear")
TOLD = 0.9
"""A parameter whose standard deviation is still above this share of its prior's was not told by the recordings."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Posterior:
    """P parameters; u ~ N(mean, covariance) in units in which the prior is N(0, 1)."""

    parameters: tuple[Parameter, ...]
    """Names, scales and priors."""
    mean: Array
    """Shape (P,)."""
    covariance: Array
    """Shape (P, P)."""
    recordings: int = 0
    """How many recordings it comes from."""

    @staticmethod
    def prior(parameters: Sequence[Parameter]) -> Posterior:
        """What is known without recordings."""
        return Posterior(tuple(parameters), np.zeros(len(parameters)), np.eye(len(parameters)))

    @property
    def names(self) -> tuple[str, ...]:
        """``can.friction``, ``gravity`` ..."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def median(self) -> dict[str, float]:
        """Physical values by name."""
        return dict(zip(self.names, self.values(self.mean[None])[0].tolist(), strict=True))

    @property
    def told(self) -> dict[str, float]:
        """By name: the share of the prior's variance that the recordings took away, 0 (nothing) to 1."""
        shares = np.clip(1 - np.diag(self.covariance), 0, 1)
        return dict(zip(self.names, shares.tolist(), strict=True))

    @property
    def untold(self) -> tuple[str, ...]:
        """Parameters of which the recordings say next to nothing: the prior stays."""
        spread = np.sqrt(np.diag(self.covariance))
        return tuple(name for name, left in zip(self.names, spread.tolist(), strict=True) if left > TOLD)

    def values(self, u: Array) -> Array:
        """Physical values (n, P) of standardised ones."""
        return np.stack([parameter.value(u[:, k]) for k, parameter in enumerate(self.parameters)], axis=1)

    def interval(self, share: float = 0.9) -> dict[str, tuple[float, float]]:
        """Central intervals of physical values by name."""
        reach = NormalDist().inv_cdf(0.5 + share / 2) * np.sqrt(np.diag(self.covariance))
        ends = [self.values((self.mean + sign * reach)[None])[0].tolist() for sign in (-1, 1)]
        return {name: (low, high) for name, low, high in zip(self.names, *ends, strict=True)}

    def draw(self, n: int, seed: int) -> Array:
        """Physical values of n draws, the first of them the medians, shape (n, P)."""
        unit = np.random.default_rng(seed).standard_normal((n, len(self.parameters)))
        unit[:1] = 0.0
        values, axes = np.linalg.eigh(self.covariance)
        return self.values(self.mean + (unit * np.sqrt(np.maximum(values, 0.0))) @ axes.T)

    def latents(self, world: World, n: int, seed: int) -> Latents:
        """Draws as latents of n worlds: identified ones from the posterior, all else from the materials' priors.

        Bodies are found by name, so that the world may be another one with the same things. The first world has the
        medians of everything.
        """
        from dynamics._state import Latents

        return changed_latents(world, self.parameters, self.draw(n, seed), Latents.sample(world, n, seed=seed))

    def world(self, world: World) -> World:
        """The world with the medians of what latents do not hold: inertia, joints, gravity."""
        return changed_world(world, self.parameters, self.values(self.mean[None])[0])

    def save(self, path: Path | str) -> None:
        """Write an npz, whole or not at all.

        Raises:
            OutputError: It cannot be written.
        """
        path = Path(path)
        part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with part.open("wb") as file:
                np.savez(file, allow_pickle=False, **self._arrays())
            os.replace(part, path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise OutputError(f"{path} cannot be written ({error.strerror or error}).") from error

    @staticmethod
    def load(path: Path | str) -> Posterior:
        """Read what `save` wrote.

        Raises:
            FileFormatError: It is no such file, or its numbers are no distribution.
        """
        try:
            if Path(path).stat().st_size > LARGEST_FILE:
                raise FileFormatError(f"{path} is larger than {LARGEST_FILE >> 20} MiB, which is no posterior.")
            with np.load(path, allow_pickle=False) as archive:
                return _built({name: archive[name] for name in archive.files})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise FileFormatError(f"{path} is no posterior of `scene3d identify` ({error}).") from error

    def _arrays(self) -> dict[str, Any]:
        return {
            "version": np.array(VERSION),
            "of": np.array([parameter.of for parameter in self.parameters]),
            "quantity": np.array([parameter.quantity for parameter in self.parameters]),
            "scale": np.array([parameter.scale for parameter in self.parameters]),
            "prior_mean": np.array([parameter.mean for parameter in self.parameters]),
            "prior_std": np.array([parameter.std for parameter in self.parameters]),
            "mean": self.mean,
            "covariance": self.covariance,
            "recordings": np.array(self.recordings),
        }


def _built(arrays: dict[str, NDArray[Any]]) -> Posterior:
    if int(arrays["version"]) != VERSION:
        raise ValueError(f"version {int(arrays['version'])}, this reads {VERSION}")
    columns = [arrays[name].tolist() for name in ("of", "quantity", "scale", "prior_mean", "prior_std")]
    parameters = tuple(Parameter(*row) for row in zip(*columns, strict=True))
    mean = np.asarray(arrays["mean"], dtype=np.float64)
    covariance = np.asarray(arrays["covariance"], dtype=np.float64)
    size = len(parameters)
    if mean.shape != (size,) or covariance.shape != (size, size):
        raise ValueError(f"{size} parameters, but a mean {mean.shape} and a covariance {covariance.shape}")
    if any(parameter.scale not in SCALES for parameter in parameters):
        raise ValueError("a scale that is not known")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all() and np.allclose(covariance, covariance.T)):
        raise ValueError("numbers that are no distribution")
    return Posterior(parameters, mean, covariance, int(arrays["recordings"]))
