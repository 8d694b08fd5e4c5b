"""The network without physics: what it must not know, how it is stored, that it learns, and what it is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics import TriangleMesh
from dynamics._errors import FileFormatError, UsageError
from dynamics._free_network import (
    FreeNetworks,
    free_network_predict,
    free_step,
    load_free_networks,
    save_free_networks,
)
from dynamics._integrate import quaternion_of_turn
from dynamics._toss_body import TossBody, toss_body
from dynamics._toss_metrics import toss_errors
from dynamics._tosses import Toss, load_tosses, toss_hash
from dynamics._train_free import FreeRecipe, symmetries, train_free_networks
from dynamics._train_windows import folds
from dynamics.poses import multiply, rotation_from_wxyz

QUICK = FreeRecipe(iterations=3, batch=6, longest=5)
WEIGHTS = Path(__file__).parents[2] / "assets" / "contact" / "free.safetensors"
CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) - 0.5
QUADS = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
FACES = np.array([face for a, b, c, d in QUADS for face in ((a, b, c), (a, c, d))])


def box(*sides: float) -> TossBody:
    mass = 0.37
    inertia = np.diag([mass / 12 * (sum(s * s for s in sides) - side * side) for side in sides])
    return toss_body(TriangleMesh(np.array(sides) * CORNERS, FACES), mass, inertia)


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


@pytest.fixture(scope="module")
def networks(tosses: tuple[Toss, ...]) -> FreeNetworks:
    return train_free_networks(tosses[:10], box(0.1048, 0.1048, 0.1048), parts=2, recipe=QUICK)


def some_state(tosses: tuple[Toss, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    pose = torch.tensor(np.stack([t.T_world_body[30] for t in tosses[:4]]))[None]
    return pose, torch.tensor(np.stack([t.twist[30] for t in tosses[:4]]))[None]


def wide(networks: FreeNetworks) -> FreeNetworks:
    one = networks.only(0)
    return replace(one, weights={n: w.double() for n, w in one.weights.items()}, units=one.units.double())


def test_size(networks: FreeNetworks) -> None:
    assert len(networks) == 2 and networks.size <= 20_000


def test_predictions_turn_and_shift_with_the_toss(networks: FreeNetworks, tosses: tuple[Toss, ...]) -> None:
    one = wide(networks)
    pose, twist = some_state(tosses)
    turn = quaternion_of_turn(torch.tensor([0.0, 0.0, 1.1], dtype=torch.float64))
    R = rotation_from_wxyz(turn)
    shift = torch.tensor([0.4, -0.3, 0.0], dtype=torch.float64)

    def turned(pose: torch.Tensor, twist: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        wxyz = multiply(turn.expand_as(pose[..., 3:]), pose[..., 3:])
        return torch.cat([pose[..., :3] @ R.T + shift, wxyz], dim=-1), (twist.unflatten(-1, (2, 3)) @ R.T).flatten(-2)

    expected = turned(*free_step(one, pose, twist))
    found = free_step(one, *turned(pose, twist))
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(expected, found, strict=True))


def test_symmetries_of_bodies() -> None:
    assert len(symmetries(box(0.1, 0.1, 0.1))) == 48
    assert len(symmetries(box(0.1, 0.1, 0.2))) == 16
    assert len(symmetries(box(0.1, 0.15, 0.2))) == 8
    odd = box(0.1, 0.1, 0.1)
    assert len(symmetries(replace(odd, points=odd.points[:3]))) < 8
    assert np.array_equal(symmetries(replace(odd, points=np.array([[0.05, 0.02, 0.01]]))), np.eye(3)[None])


def test_a_network_seen_in_a_mirror_is_the_mirrored_network(networks: FreeNetworks, tosses: tuple[Toss, ...]) -> None:
    """A turn of the body's axes that is not undone elsewhere leaves what happens in the world as it is."""
    one = wide(networks)
    pose, twist = some_state(tosses)
    quarter = quaternion_of_turn(torch.tensor([torch.pi / 2, 0.0, 0.0], dtype=torch.float64))
    S = rotation_from_wxyz(quarter)
    other = torch.cat([pose[..., :3], multiply(pose[..., 3:], quarter.expand_as(pose[..., 3:]))], dim=-1)
    plain, after = free_step(one, pose, twist)
    seen, after_seen = free_step(one, other, twist, S.expand(1, 4, 3, 3))
    assert torch.allclose(after, after_seen, atol=1e-12)
    assert torch.allclose(plain[..., :3], seen[..., :3], atol=1e-12)


def test_networks_know_what_they_saw(networks: FreeNetworks, tosses: tuple[Toss, ...], tmp_path: Path) -> None:
    for k, held in enumerate(folds(10, 2)):
        for i in held.tolist():
            assert networks.unseen(tosses[i]) == k
    assert networks.unseen(tosses[50]) == 0
    assert networks.only(0).unseen(tosses[int(folds(10, 2)[1][0])]) is None
    save_free_networks(tmp_path / "a.safetensors", networks)
    again = load_free_networks(tmp_path / "a.safetensors")
    assert again.seen == networks.seen and again.dt == networks.dt
    before, after = (free_network_predict(n, tosses[8:12]) for n in (networks, again))
    assert all(np.array_equal(a, b) and len(a) == len(t) for a, b, t in zip(before, after, tosses[8:12], strict=True))


def test_predictions_see_the_first_frame_only(networks: FreeNetworks, tosses: tuple[Toss, ...]) -> None:
    toss = tosses[40]
    hidden = replace(toss, T_world_body=toss.T_world_body.copy(), twist=toss.twist.copy())
    hidden.T_world_body[1:, :3] = 0
    hidden.twist[1:] = 0
    seen, blind = (free_network_predict(networks, (t,))[0] for t in (toss, hidden))
    assert np.array_equal(seen, blind)
    assert np.allclose(seen[0], toss.T_world_body[0], atol=1e-6)


def test_training_is_repeatable_and_folds_do_not_mix(networks: FreeNetworks, tosses: tuple[Toss, ...]) -> None:
    body = box(0.1048, 0.1048, 0.1048)
    again = train_free_networks(tosses[:10], body, parts=2, recipe=QUICK)
    assert all(torch.equal(w, again.weights[n]) for n, w in networks.weights.items())
    held = folds(10, 2)[0].tolist()
    changed = [replace(t, twist=t.twist * 0.5) if i in held else t for i, t in enumerate(tosses[:10])]
    other = train_free_networks(changed, body, parts=2, recipe=QUICK)
    same = {n: torch.equal(w[0], other.weights[n][0]) for n, w in networks.weights.items()}
    assert all(same.values()), "network 0 was changed by tosses that it must not see"
    assert not torch.equal(networks.weights["layer1.weight"][1], other.weights["layer1.weight"][1])


def test_training_learns_to_fly_and_resumes_to_the_same_bits(
    networks: FreeNetworks, tosses: tuple[Toss, ...], tmp_path: Path
) -> None:
    body, some, path = box(0.1048, 0.1048, 0.1048), tosses[:6], tmp_path / "checkpoint.safetensors"
    recipe = FreeRecipe(iterations=100, batch=16, shortest=8, longest=8, first_share=1.0)
    losses: list[float] = []

    class Stop(Exception):
        pass

    def stop(done: int, total: int, loss: float) -> None:
        losses.append(loss)
        if done == 60:
            raise Stop

    with pytest.raises(Stop):
        train_free_networks(some, body, parts=1, out=path, recipe=recipe, progress=stop)
    resumed = train_free_networks(some, body, parts=1, out=path, resume=True, recipe=recipe)
    whole = train_free_networks(some, body, parts=1, recipe=recipe)
    assert all(torch.equal(w, resumed.weights[n]) for n, w in whole.weights.items())

    def missed(these: FreeNetworks) -> float:
        pairs = zip(free_network_predict(these, some), some, strict=True)
        return float(np.mean([np.linalg.norm(p[8, :3] - t.T_world_body[8, :3]) for p, t in pairs]))

    assert missed(whole) < 0.5 * missed(networks), "gravity at least"
    with pytest.raises(UsageError, match="another training"):
        train_free_networks(some, body, parts=1, out=path, resume=True, seed=1, recipe=recipe)
    path.write_bytes(b"x")
    with pytest.raises(FileFormatError, match="checkpoint"):
        train_free_networks(some, body, parts=1, out=path, resume=True, recipe=recipe)


def test_other_steps_and_damaged_files_are_refused(networks: FreeNetworks, tosses, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"steps of 0\.01 s"):
        free_network_predict(networks, [replace(tosses[0], dt=0.01)])
    with pytest.raises(UsageError, match="found none"):
        train_free_networks([], box(0.1, 0.1, 0.1))
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_free_networks(path)
    weights = {n: w[..., :-1] if n == "layer2.bias" else w for n, w in networks.weights.items()}
    save_free_networks(path, replace(networks, weights=weights))
    with pytest.raises(FileFormatError, match="another version"):
        load_free_networks(path)


def test_committed_networks_out_of_fold(tosses: tuple[Toss, ...]) -> None:
    """Far better than no contact at all, and no match for physics; each toss by the network that has not seen it."""
    networks = load_free_networks(WEIGHTS)
    for k, held in enumerate(folds(len(tosses))):
        unseen = {toss_hash(tosses[i]) for i in held.tolist()}
        assert networks.seen[k] == {toss_hash(toss) for toss in tosses} - unseen
    some = tosses[::6]
    found = free_network_predict(networks, some)
    body = box(0.1048, 0.1048, 0.1048)
    errors = toss_errors([t.T_world_body for t in some], found, width=0.1048, points=body.points)
    assert 10 < errors.position_percent.mean() < 22
    assert 15 < errors.rotation_deg.mean() < 36
