"""What futures say of themselves holds: logs of the same world lie where 90 % is said, and those of another do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dynamics import Latents, Rollout, World
from dynamics._identify_parameters import Parameter
from dynamics._posterior import Posterior
from scene3d import Scene
from scene3d._compare import FEWEST, compare
from scene3d._outcomes import Spread
from scene3d._recorded_motion import RecordedMotion
from scene3d._simulate import Push, Simulation, simulate

from .conftest import scene_of_objects

NAME = "Wooden block!"
SECONDS = 0.8
LATE = slice(24, None, 6)
"""Frames after the block has been pushed: before, all are surely where it stood."""


@pytest.fixture(scope="module")
def scene() -> Scene:
    """The block lies on the table, so that it slides."""
    whole = scene_of_objects()
    block, rope = whole.objects
    return replace(whole, objects=(replace(block, T_world_body=(0.0, 0.0, 0.01, 1.0, 0.0, 0.0, 0.0)), rope))


@pytest.fixture(scope="module")
def posterior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an identified block: friction and mass within 16 %."""
    parameters = [Parameter(NAME, quantity, "log", 0.0, 0.5) for quantity in ("friction", "mass")]
    path = tmp_path_factory.mktemp("posterior") / "latents.npz"
    mean = np.array([np.log(0.4) / 0.5, 0.0])
    Posterior(tuple(parameters), mean, np.diag([0.3**2, 0.3**2]), 4).save(path)
    return path


def pushed(scene: Scene, posterior: Path, samples: int, friction: float = 1.0) -> Simulation:
    def slippery(_: World, drawn: Latents) -> Latents:
        return replace(drawn, friction=drawn.friction * friction)

    push = Push(NAME, (1.6, 0.8, 0.0), 0.15)
    given = {"samples": samples, "seconds": SECONDS, "posterior": posterior, "alter": slippery}
    return simulate(scene, pushes=[push], **given)


@pytest.fixture(scope="module")
def drawn(scene: Scene, posterior: Path) -> Rollout:
    """Futures that hear all members of the ensemble, without the first, which has medians."""
    return some(pushed(scene, posterior, 129).rollout, slice(1, None))


def some(rollout: Rollout, which: slice | np.ndarray) -> Rollout:
    return replace(rollout, T_world_body=rollout.T_world_body[which])


def logs(rollout: Rollout) -> list[RecordedMotion]:
    """Each future as a recording of its late frames, with the noise that recordings have."""
    rng = np.random.default_rng(1)
    poses = rollout.T_world_body[:, LATE, 0].double().numpy()
    poses[..., :3] += 5e-4 * rng.standard_normal(poses[..., :3].shape)
    times = rollout.dt * np.arange(rollout.T_world_body.shape[1], dtype=np.float64)[LATE]
    return [RecordedMotion(NAME, times, path) for path in poses]


def covered(scene: Scene, futures: Rollout, recordings: list[RecordedMotion]) -> np.ndarray:
    """Mean shares of frames within the bands of positions and rotations."""
    found = compare(scene, futures, recordings)
    return np.mean([body.coverage for body in found if body.coverage is not None], axis=0)


@pytest.mark.parametrize("count", [FEWEST, 16])
def test_logs_lie_in_the_band_in_nine_cases_of_ten(scene: Scene, drawn: Rollout, count: int) -> None:
    rng, shares = np.random.default_rng(0), []
    for _ in range(24):
        order = rng.permutation(128)
        shares.append(covered(scene, some(drawn, order[:count]), logs(some(drawn, order[count : count + 32]))))
    for share in np.mean(shares, axis=0):
        assert 0.85 < share < 0.95
    spread = drawn.T_world_body[:, -1, 0, :2].std(dim=0).norm()
    assert spread > 0.01  # Far more than the noise that widens the band.


def test_logs_of_a_slipperier_block_do_not(scene: Scene, posterior: Path, drawn: Rollout) -> None:
    other = pushed(scene, posterior, 25, friction=0.4).rollout
    assert covered(scene, some(drawn, slice(0, 64)), logs(some(other, slice(1, 25))))[0] < 0.5


def test_fewer_futures_state_no_band(scene: Scene, drawn: Rollout) -> None:
    (found,) = compare(scene, some(drawn, slice(0, FEWEST - 1)), logs(some(drawn, slice(64, 65))))
    assert (found.coverage, found.reach) == (None, None)


@pytest.mark.parametrize(("count", "share"), [(4, 3 / 5), (16, 15 / 17), (19, 0.9), (64, 0.9)])
def test_one_more_future_lies_in_the_interval(count: int, share: float) -> None:
    rng = np.random.default_rng(count)
    drawn = rng.lognormal(size=(3000, count + 1))
    found = [Spread.of(values[:-1]) for values in drawn]
    inside = np.mean([spread.low <= values[-1] <= spread.high for spread, values in zip(found, drawn, strict=True)])
    assert inside == pytest.approx(share, abs=0.025)
    if count < 19:
        assert (found[0].low, found[0].high) == (drawn[0, :-1].min(), drawn[0, :-1].max())
