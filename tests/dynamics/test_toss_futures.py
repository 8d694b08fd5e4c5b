"""Futures of tosses: coverage of right, too sure and unsure draws, the energy score, and what they depend on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics._evaluate_body import cube_body
from dynamics._persistent import contact_residual, persistent
from dynamics._toss_body import TEXTBOOK, TossConstants
from dynamics._toss_futures import (
    PRIOR,
    calibrated_scale,
    future_scores,
    path_distance,
    posterior_spread,
    toss_futures,
)
from dynamics._toss_models import TossModel, predicted
from dynamics._tosses import Toss, load_tosses

PHYSICS = TossModel(TossConstants.of(**TEXTBOOK))


@pytest.fixture(autouse=True)
def _one_thread():
    """Tensors here are tiny; threads only get in each other's way."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tosses(needs: Callable[[str], Path]) -> tuple[Toss, ...]:
    return load_tosses(needs("cube_toss/tosses.npz"))[:6]


def shortened(toss: Toss, frames: int) -> Toss:
    """The beginning, with the first contacts."""
    pose, twist, q, qd = (part[:frames] for part in (toss.T_world_body, toss.twist, toss.joint_q, toss.joint_qd))
    return Toss(pose, twist, q, qd, toss.dt)


def made(spread: float, truth: float, count: int = 100) -> tuple[list[np.ndarray], list[Toss]]:
    """Futures around the origin with one spread [m], recordings with another; rotations alike in hundreds of rad."""
    rng = np.random.default_rng(1)

    def path(size: float, *shape: int) -> np.ndarray:
        poses = np.zeros((*shape, 30, 7))
        poses[..., :3] = size * rng.standard_normal((*shape, 1, 3))
        turn = 0.5 * size * rng.standard_normal((*shape, 1, 3))
        poses[..., 3] = 1
        poses[..., 4:] = turn
        poses[..., 3:] /= np.linalg.norm(poses[..., 3:], axis=-1, keepdims=True)
        return poses

    none = np.zeros((30, 0))
    recorded = [Toss(path(truth), np.zeros((30, 6)), none, none, 1 / 148) for _ in range(count)]
    return [path(spread, 64) for _ in range(count)], recorded


@pytest.mark.parametrize(("spread", "low", "high"), [(0.1, 0.85, 0.95), (0.03, 0.0, 0.5), (0.3, 0.99, 1.0)])
def test_coverage_of_known_spreads(spread: float, low: float, high: float) -> None:
    scores = future_scores(*made(spread, 0.1), width=0.1)
    for inside in (scores.position_inside, scores.rotation_inside, scores.axes_inside):
        assert inside.shape == (100, 3)
        assert low <= inside.mean() <= high


def test_energy_score_is_least_where_the_spread_is_right() -> None:
    right, sure, wide = (future_scores(*made(s, 0.1), width=0.1).crps_percent.mean() for s in (0.1, 0.03, 0.3))
    assert right < sure and right < wide
    # Futures that all are the same are one answer, whose score is its distance: sqrt(8 / pi) of a normal's spread.
    one = future_scores(*made(1e-9, 0.1), width=0.1).crps_percent.mean()
    assert one == pytest.approx(100 * (8 / np.pi) ** 0.5, rel=0.1)
    assert right < one


def test_scale_is_found_by_bisection() -> None:
    assert calibrated_scale(lambda s: s / (1 + s), level=0.75) == pytest.approx(3, rel=0.03)


def test_futures_of_real_tosses(tosses: tuple[Toss, ...]) -> None:
    body = cube_body()
    whole = toss_futures(PHYSICS, body, tosses[:3], PRIOR, 1.0, futures=8)
    alone = toss_futures(PHYSICS, body, tosses[1:2], PRIOR, 1.0, futures=8)
    assert [paths.shape for paths in whole] == [(8, len(toss), 7) for toss in tosses[:3]]
    # Nothing depends on the other tosses but the last bits of batched products, which a tumbling cube makes larger.
    assert np.allclose(whole[1][:, :30], alone[0][:, :30], atol=1e-4)
    again = toss_futures(PHYSICS, body, tosses[:3], PRIOR, 1.0, futures=8)
    assert all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))
    # Without spread all futures are the model's one answer.
    (still,) = toss_futures(PHYSICS, body, tosses[:1], PRIOR, 0.0, futures=2)
    assert np.allclose(still[1], predicted(PHYSICS, body, tosses[:1])[0], atol=1e-3)
    short = [shortened(toss, 41) for toss in tosses]
    widths = [
        np.concatenate([p[:, 40, :3] - p[:, 40, :3].mean(0) for p in toss_futures(PHYSICS, body, short, PRIOR, s)])
        for s in (0.5, 2.0)
    ]
    assert 2 < np.std(widths[1]) / np.std(widths[0]) < 8


def test_spread_of_constants_narrows_what_tosses_tell(tosses: tuple[Toss, ...]) -> None:
    """Tosses that obey the model's own constants tell how far a cube slides, so friction; nobody tells all of them."""
    exact = [replace(t, T_world_body=p) for t, p in zip(tosses, predicted(PHYSICS, cube_body(), tosses), strict=True)]
    spread = posterior_spread(PHYSICS, cube_body(), exact)
    ratio = {name: spread[name] / PRIOR[name] for name in PRIOR}
    assert ratio["friction"] < 0.5
    assert 0.6 < np.mean(list(ratio.values())) < 1.1


def test_distance_of_paths(tosses: tuple[Toss, ...]) -> None:
    truth = torch.tensor(tosses[0].T_world_body)
    off = truth.clone()
    off[:, 0] += 0.01
    found = path_distance(torch.stack([truth, off]), truth, 0.1)
    assert found[0] == pytest.approx(0, abs=1e-5)
    assert found[1] == pytest.approx(np.log(2), abs=1e-5)


def test_residual_of_contact_steps_brings_back_what_was_taken_away(tosses: tuple[Toss, ...]) -> None:
    """Tosses of physics with a residual have that residual: nearly, since recorded velocities are differences."""
    body, added = cube_body(), np.array([0.02, 0.0, 0.05, 0.0, 0.3, 0.0])
    clean = contact_residual(PHYSICS, body, made_by(tosses, np.zeros(6)))
    found = contact_residual(PHYSICS, body, made_by(tosses, added)) - clean
    assert np.abs(found - added)[[0, 1, 2]].max() < 0.03
    assert np.array_equal(persistent(PHYSICS, np.zeros(6), body, tosses)[2], predicted(PHYSICS, body, tosses)[2])


def made_by(tosses: tuple[Toss, ...], residual: np.ndarray) -> list[Toss]:
    made = []
    for toss, path in zip(tosses, persistent(PHYSICS, residual, cube_body(), tosses), strict=True):
        twist = toss.twist.copy()
        twist[1:, :3] = np.diff(path[:, :3], axis=0) / toss.dt
        turn = 2 * np.stack([vector(b, a) for a, b in zip(path[:-1, 3:], path[1:, 3:], strict=True)]) / toss.dt
        twist[1:, 3:] = turn
        made.append(Toss(path, twist, toss.joint_q, toss.joint_qd, toss.dt))
    return made


def vector(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Vector part of a b^-1."""
    found = b[0] * a[1:] - a[0] * b[1:] - np.cross(a[1:], b[1:])
    return found * np.sign(a @ b)
