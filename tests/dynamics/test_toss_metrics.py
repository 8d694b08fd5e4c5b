"""Errors of predicted tosses, and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from dynamics._bootstrap import bootstrap, paired_gain
from dynamics._toss_metrics import TossErrors, summary, toss_errors

CORNERS = 0.05 * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])


def still(frames: int, height: float = 0.05) -> np.ndarray:
    poses = np.zeros((frames, 7))
    poses[:, 2], poses[:, 3] = height, 1.0
    return poses


def test_errors_are_means_over_frames() -> None:
    truth, guess = still(4), still(6, 0.03)
    guess[:, 0] = [0, 0.1, 0.2, 0.3, 9, 9]
    guess[3, 3:] = [np.cos(np.pi / 8), np.sin(np.pi / 8), 0, 0]
    errors = toss_errors([truth], [guess], width=0.1, points=CORNERS)
    away = np.hypot([0, 0.1, 0.2, 0.3], 0.02)
    assert errors.position_percent[0] == pytest.approx(away.mean() * 1000)
    assert errors.final_position_percent[0] == pytest.approx(away[-1] * 1000)
    assert errors.rotation_deg[0] == pytest.approx(45 / 4)
    assert errors.final_rotation_deg[0] == pytest.approx(45)
    # Flat it is 2 cm deep; on an edge 0.05 sqrt(2) - 0.03.
    assert errors.penetration_percent[0] == pytest.approx((3 * 0.02 + 0.05 * 2**0.5 - 0.03) / 4 * 1000)


def test_opposite_quaternions_are_equal() -> None:
    guess = still(3)
    guess[:, 3:] *= -1
    assert toss_errors([still(3)], [guess], width=1, points=CORNERS).rotation_deg[0] == 0


def test_short_predictions_are_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        toss_errors([still(3)], [still(2)], width=1, points=CORNERS)


def test_summary_has_every_field() -> None:
    values = np.arange(1.0, 11.0)
    errors = TossErrors(values, values * 2, values, values * 6, values / 10)
    row = summary(TossErrors.joined([errors[:4], errors[4:]]))
    assert row["position_percent"].mean == pytest.approx(5.5)
    assert row["rotation_deg_median"].mean == pytest.approx(11)
    assert row["right_face"].mean == pytest.approx(0.4)
    assert all(value.low <= value.mean <= value.high for value in row.values())
    assert row == summary(errors)
    assert "joint_deg" not in row
    hinged = TossErrors(values, values, values, values, values, joint_deg=values)
    assert summary(TossErrors.joined([hinged[:5], hinged[5:]]))["joint_deg"].mean == pytest.approx(5.5)


def test_interval_of_a_mean_is_two_standard_errors() -> None:
    values = np.random.default_rng(3).normal(size=400)
    interval = bootstrap(values, lambda x: x.mean(-1))
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / 20, rel=0.15)


def test_pairing_narrows_the_gain() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(size=200) * 10
    gain = paired_gain(hard + 1, hard + 0.1 * rng.normal(size=200), lambda x: x.mean(-1))
    assert 0.9 < gain.low < 1 < gain.high < 1.1
