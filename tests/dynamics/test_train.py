"""Training on tosses: windows, loss, resuming, and what a few iterations bring on the real cube."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics import TriangleMesh
from dynamics._contact_weights import load_weights
from dynamics._errors import FileFormatError, UsageError
from dynamics._learning_curve import learning_curve
from dynamics._toss_metrics import summary, toss_errors
from dynamics._toss_models import (
    TEXTBOOK,
    TossBody,
    TossConstants,
    TossModel,
    ballistic,
    first_states,
    predicted,
    rollout_tosses,
    static,
    toss_body,
)
from dynamics._tosses import Toss, load_tosses
from dynamics._train_contact import Pupil, Recipe, constants_of, identify_constants, train_contact, train_contacts
from dynamics._train_folds import CHECKPOINT, train_folds
from dynamics._train_scores import held_out_scores
from dynamics._train_windows import folds, training_windows

QUICK = Recipe(identify=2, identify_steps=5, iterations=4, batch=8, shortest=3, longest=5, save_every=3)
CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) - 0.5
QUADS = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
FACES = np.array([face for a, b, c, d in QUADS for face in ((a, b, c), (a, c, d))])


def cube() -> TossBody:
    return toss_body(TriangleMesh(0.1048 * CORNERS, FACES), 0.37, np.eye(3) * 8.1e-4)


@pytest.fixture(autouse=True)
def _one_thread():
    """Tensors here are tiny; threads only get in each other's way."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tosses(needs: Callable[[str], Path]) -> tuple[Toss, ...]:
    return load_tosses(needs("cube_toss/tosses.npz"))


def errors(guess: list[np.ndarray], truth: tuple[Toss, ...]):
    return toss_errors([t.T_world_body for t in truth], guess, width=0.1048, points=cube().points)


def test_body_of_a_mesh() -> None:
    body = cube()
    assert body.width == pytest.approx(0.1048)
    assert np.allclose(body.inward, -np.sign(body.points))
    assert not body.com.any()


def test_models_in_order_on_real_tosses(tosses: tuple[Toss, ...]) -> None:
    """On every tenth toss: textbook physics is far better than flight without contact, and that than nothing."""
    some = tosses[::20]
    still, flown = errors([static(t) for t in some], some), errors([ballistic(t, cube()) for t in some], some)
    textbook = errors(predicted(TossModel(TossConstants.of(**TEXTBOOK)), cube(), some), some)
    assert textbook.position_percent.mean() < 17
    assert textbook.rotation_deg.mean() < 25
    assert textbook.penetration_percent.mean() < 1
    assert 4 * textbook.position_percent.mean() < flown.position_percent.mean() < still.position_percent.mean()


def test_predictions_see_the_first_frame_only(tosses: tuple[Toss, ...]) -> None:
    model = TossModel(TossConstants.of(**TEXTBOOK))
    toss = tosses[3]
    hidden = replace(toss, T_world_body=toss.T_world_body.copy(), twist=toss.twist.copy())
    hidden.T_world_body[1:, :3] = 0
    hidden.twist[1:] = 0
    seen, blind = (predicted(model, cube(), (t,))[0] for t in (toss, hidden))
    assert np.array_equal(seen, blind)
    assert np.allclose(seen[0], toss.T_world_body[0], atol=1e-6)


def test_a_mean_of_futures_is_near_them(tosses: tuple[Toss, ...]) -> None:
    model = TossModel(TossConstants.of(**TEXTBOOK))
    one, mean = (predicted(model, cube(), tosses[:2], futures=n) for n in (1, 16))
    # In flight, noise of the first state averages out.
    assert all(np.abs(a[:8, :3] - b[:8, :3]).max() < 2e-3 for a, b in zip(one, mean, strict=True))
    assert all(np.allclose(np.linalg.norm(b[:, 3:], axis=1), 1, atol=1e-5) for b in mean)


def test_folds_are_disjoint_and_complete() -> None:
    parts = folds(370)
    assert [len(part) for part in parts] == [74] * 5
    assert sorted(np.concatenate(parts).tolist()) == list(range(370))
    with pytest.raises(UsageError, match="3 tosses cannot be split"):
        folds(3)


def test_windows_start_where_motion_is_smooth(tosses: tuple[Toss, ...]) -> None:
    windows = training_windows(tosses[:6])
    assert len(windows.toss) > 100
    batch = windows.draw(40, 5, 0.25, seed=1, iteration=7)
    assert batch.first.sum() == 10
    assert torch.equal(batch.pose, windows.draw(40, 5, 0.25, seed=1, iteration=7).pose)
    # Velocities lead from the start to the next frame.
    late = ~batch.first[:, 0]
    step = (batch.pose[late, 1, :3] - batch.pose[late, 0, :3]) * 148
    assert (step - batch.twist[late, :3]).norm(dim=1).median() < 0.05
    with pytest.raises(UsageError, match="found none"):
        training_windows(())
    with pytest.raises(UsageError, match="one time step"):
        training_windows((tosses[0], replace(tosses[1], dt=0.01)))


def test_constants_are_recovered_from_their_own_rollouts(tosses: tuple[Toss, ...]) -> None:
    """Tosses made with other friction and restitution bring identification back to them."""
    raw = torch.zeros(13)
    raw[0], raw[1] = 0.8, -0.8
    truth = constants_of(raw, cube())
    pose, twist = first_states(tosses[:12], truth)
    poses, _ = rollout_tosses(TossModel(truth), cube(), pose, twist, 36, tosses[0].dt)
    made = tuple(
        replace(toss, T_world_body=path.double().numpy()) for toss, path in zip(tosses[:12], poses, strict=True)
    )
    recipe = Recipe(identify=24, identify_steps=26, batch=12, first_share=1.0, constants_rate=0.15, noise=0.0)
    found = identify_constants(made, cube(), recipe=recipe).constants
    start = constants_of(torch.zeros(13), cube())
    for name in ("friction", "restitution"):
        before, after = (abs(float(getattr(c, name) - getattr(truth, name))) for c in (start, found))
        assert after < 0.5 * before, name


def test_training_resumes_to_the_same_bits(tosses: tuple[Toss, ...], tmp_path: Path) -> None:
    some, path = tosses[:4], tmp_path / "a.safetensors"
    whole = train_contact(some, cube(), recipe=QUICK)

    class Stop(Exception):
        pass

    def stop(done: int, total: int, loss: float) -> None:
        assert np.isfinite(loss) and total == 6
        if done == 5:
            raise Stop

    with pytest.raises(Stop):
        train_contact(some, cube(), out=path, recipe=QUICK, progress=stop)
    again = train_contact(some, cube(), out=path, resume=True, recipe=QUICK)
    assert again.network is not None and whole.network is not None
    assert all(torch.equal(w, again.network.weights[name]) for name, w in whole.network.weights.items())
    assert again.constants.numbers() == whole.constants.numbers()
    assert any(w.any() for name, w in whole.network.weights.items() if ".decode2." in name)
    with pytest.raises(UsageError, match="another training"):
        train_contact(some, cube(), out=path, resume=True, seed=1, recipe=QUICK)
    path.write_bytes(b"x")
    with pytest.raises(FileFormatError, match="checkpoint"):
        train_contact(some, cube(), out=path, resume=True, recipe=QUICK)


def test_networks_that_are_trained_together_do_not_know_each_other(tosses: tuple[Toss, ...]) -> None:
    recipe = replace(QUICK, identify=1, iterations=3)
    pupils = [Pupil(tosses[:3], 1), Pupil(tosses[3:5], 2), Pupil(tosses[:3], 3)]
    together = train_contacts(pupils, cube(), recipe=recipe)
    for pupil, found in zip(pupils, together, strict=True):
        alone = train_contacts([pupil], cube(), recipe=recipe)[0]
        assert alone.identified.numbers() == pytest.approx(found.identified.numbers(), rel=1e-5, abs=1e-6)
        assert alone.model.constants.numbers() == pytest.approx(found.model.constants.numbers(), rel=1e-4, abs=1e-5)
        one, other = (model.network.weights for model in (alone.model, found.model) if model.network is not None)
        assert all(torch.allclose(w, other[name], atol=2e-4) for name, w in one.items())
    assert together[0].identified.numbers() == together[2].identified.numbers()


def test_ctrl_c_leaves_a_checkpoint(tosses: tuple[Toss, ...], tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    whole = train_contact(tosses[:4], cube(), recipe=QUICK)

    def stop(done: int, total: int, loss: float) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_contact(tosses[:4], cube(), out=path, recipe=replace(QUICK, save_every=100), progress=stop)
    again = train_contact(tosses[:4], cube(), out=path, resume=True, recipe=replace(QUICK, save_every=100))
    assert again.network is not None and whole.network is not None
    assert all(torch.equal(w, again.network.weights[name]) for name, w in whole.network.weights.items())


def test_folds_are_trained_and_know_what_they_saw(tosses: tuple[Toss, ...], tmp_path: Path) -> None:
    recipe = replace(QUICK, identify=1, iterations=1)
    tosses = tuple(replace(t, T_world_body=t.T_world_body[:40], twist=t.twist[:40]) for t in tosses[:4])
    train_folds(tosses[:4], cube(), tmp_path, parts=2, members=2, recipe=recipe)
    models = [load_weights(tmp_path / f"fold-{k}.safetensors").model for k in range(2)]
    assert [model.network.members for model in models if model.network is not None] == [2, 2]
    files = [load_weights(tmp_path / f"{name}.safetensors") for name in ("fold-0", "fold-1", "all")]
    seen = [file.tosses for file in files]
    assert not seen[0] & seen[1] and seen[0] | seen[1] == seen[2] and len(seen[2]) == 4
    assert all(file.identified is not None for file in files)
    whole = files[2].model
    pose, twist = first_states(tosses[:4], whole.constants)
    _, inside = rollout_tosses(whole, cube(), pose, twist, 40, tosses[0].dt)
    assert inside.mean() > 0.9
    assert not (tmp_path / CHECKPOINT).exists()
    before = (tmp_path / "all.safetensors").stat().st_mtime_ns
    train_folds(tosses[:4], cube(), tmp_path, parts=2, members=2, recipe=recipe)
    assert (tmp_path / "all.safetensors").stat().st_mtime_ns == before
    scores = held_out_scores(tosses[:4], cube(), tmp_path, 2)
    assert 0 < scores["physics"]["position_percent"] < 60
    with pytest.raises(UsageError, match="trained on other tosses"):
        train_folds(tosses[:3], cube(), tmp_path, parts=2, members=2, recipe=recipe)
    with pytest.raises(UsageError, match="1 member or more"):
        train_folds(tosses[:3], cube(), tmp_path, parts=1, recipe=recipe)


def test_learning_curve_compares_on_tosses_that_none_has_seen(tosses: tuple[Toss, ...]) -> None:
    some = tuple(replace(t, T_world_body=t.T_world_body[:40], twist=t.twist[:40]) for t in tosses[:10])
    points = learning_curve(some, cube(), sizes=(2, 8), recipe=replace(QUICK, identify=1, iterations=1))
    assert [point.tosses for point in points] == [2, 8]
    for point in points:
        found = point.physics["position_percent"].mean - point.network["position_percent"].mean
        assert point.position_gain.mean == pytest.approx(found)
    with pytest.raises(UsageError, match="1 to 8 tosses"):
        learning_curve(some, cube(), sizes=(9,))


def test_summary_of_real_errors(tosses: tuple[Toss, ...]) -> None:
    some = tosses[:20]
    row = summary(errors([static(t) for t in some], some))
    assert row["position_percent"].low < row["position_percent"].mean < row["position_percent"].high
    assert 0 <= row["right_face"].mean <= 1
