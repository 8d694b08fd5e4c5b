"""Steps of tosses: constants of each world, networks apart, recordings that lean, noise of first frames."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from dynamics import TriangleMesh
from dynamics._contact_network import ContactNetwork, make_network, stacked
from dynamics._toss_body import TEXTBOOK, TossBody, TossConstants, toss_body
from dynamics._toss_frames import NOISE_SPIN, TRACKED, as_recorded, first_noise, heading, upright
from dynamics._toss_models import TossModel, central_futures, middle_futures, rollout_tosses
from dynamics._toss_step import toss_step
from dynamics.poses import rotation_from_wxyz

DT = 1 / 148
CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) - 0.5
QUADS = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
FACES = np.array([face for a, b, c, d in QUADS for face in ((a, b, c), (a, c, d))])
FRAMES = 26


def body() -> TossBody:
    cube = toss_body(TriangleMesh(0.1048 * CORNERS, FACES), 0.37, np.eye(3) * 8.1e-4)
    return replace(cube, com=np.array([0.002, 0.0, -0.003]))


def starts(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Cubes thrown low: some land, some still fly when the rollout ends."""
    g = torch.Generator().manual_seed(seed)
    wxyz = torch.nn.functional.normalize(torch.randn(count, 4, generator=g), dim=-1)
    place = torch.randn(count, 3, generator=g) * 0.02
    place[:, 2] = 0.1 + 0.3 * torch.rand(count, generator=g)
    twist = torch.randn(count, 6, generator=g) * torch.tensor([0.3, 0.3, 0.2, 3.0, 3.0, 3.0])
    twist[:, 0] += 1.0
    return torch.cat([place, wxyz], dim=-1), twist


def constants(**changes: float) -> TossConstants:
    return TossConstants.of(**TEXTBOOK | {"corner_radius": 0.004} | changes)


def columns(count: int) -> TossConstants:
    """Other constants in each world."""
    g = torch.Generator().manual_seed(3)
    given = constants(shear_across=-0.014, tilt_along=0.05)
    values = {field.name: getattr(given, field.name) for field in fields(TossConstants)}
    return TossConstants(**{n: v * (1 + 0.1 * torch.rand(count, 1, generator=g)) for n, v in values.items()})


def loud(seed: int) -> ContactNetwork:
    g = torch.Generator().manual_seed(seed)
    weights = make_network(seed).weights
    return ContactNetwork(
        {name: w + 0.2 * torch.randn(w.shape, generator=g) * (".decode2." in name) for name, w in weights.items()}
    )


def test_each_world_has_its_own_constants() -> None:
    pose, twist = starts(5)
    many = columns(5)
    together = rollout_tosses(TossModel(many, loud(0)), body(), pose, twist, FRAMES, DT)[0]
    for i in range(5):
        one = TossModel(many.of_worlds(torch.tensor([i])), loud(0))
        alone = rollout_tosses(one, body(), pose[i : i + 1], twist[i : i + 1], FRAMES, DT)[0]
        assert torch.allclose(together[i], alone[0], atol=2e-4)


def test_members_apart_answer_their_own_worlds() -> None:
    pose, twist = starts(6)
    members = [loud(seed) for seed in range(3)]
    apart = replace(stacked(members), apart=True)
    together = rollout_tosses(TossModel(constants(), apart), body(), pose, twist, FRAMES, DT)[0]
    for k, member in enumerate(members):
        some = slice(2 * k, 2 * k + 2)
        alone = rollout_tosses(TossModel(constants(), member), body(), pose[some], twist[some], FRAMES, DT)[0]
        assert torch.allclose(together[some], alone, atol=2e-4)
    assert (together[0] - together[-1]).abs().max() > 1e-3


def test_worlds_in_flight_do_not_change_those_that_touch() -> None:
    """A world alone, where all touch or none does, moves as it does among others."""
    from dynamics._toss_models import step_of

    pose, twist = starts(2)
    pose[0, 2], pose[1, 2] = 0.06, 1.0
    step = step_of(TossModel(constants()), DT)
    both = toss_step(step, constants(), body(), pose, twist)
    assert both[2] is not None and both[2].impulses[0].any() and not both[2].impulses[1].any()
    for i in range(2):
        alone = toss_step(step, constants(), body(), pose[i : i + 1], twist[i : i + 1])
        assert torch.allclose(both[0][i], alone[0][0], atol=1e-6)
        assert torch.allclose(both[1][i], alone[1][0], atol=1e-5)


def test_what_falls_drifts_as_the_recording_leans() -> None:
    """In a recording whose axis leans by s, free fall drifts sideways by s g; a tilted table does it by its tilt."""
    pose, twist = starts(3)
    pose[:, 2] = 3.0
    way = heading(twist)
    for changes, drift in (({"shear_across": -0.014}, 0.014 * 9.81), ({"tilt_across": 0.3}, 0.3)):
        model = TossModel(constants(**changes))
        path = rollout_tosses(model, replace(body(), com=np.zeros(3)), pose, twist, FRAMES, DT)[0]
        t = (FRAMES - 1) * DT
        away = path[:, -1, :2] - path[:, 0, :2] - twist[:, :2] * t
        assert torch.allclose((away * way[:, 1]).sum(-1), torch.full((3,), 0.5 * drift * t * t), rtol=0.05, atol=3e-4)
        assert (away * way[:, 0]).sum(-1).abs().max() < 3e-4


def test_upright_and_as_recorded_are_inverse() -> None:
    pose, twist = starts(4)
    given, way = columns(4), heading(twist)
    there, moved = upright(given, way, pose, twist)
    assert torch.allclose(as_recorded(given, way, there[:, None])[:, 0], pose, atol=1e-7)
    assert torch.equal(moved[:, 2:], twist[:, 2:]) and not torch.equal(moved, twist)
    assert torch.allclose(way @ way.transpose(1, 2), torch.eye(2).expand(4, 2, 2), atol=1e-6)


def test_first_noise_turns_with_the_throw_and_is_least_where_it_is_tracked() -> None:
    normal = torch.randn(20000, 6, generator=torch.Generator().manual_seed(1))
    twist = torch.tensor([0.0, 1.2, 0.1, 0.0, 0.0, 0.0]).expand(20000, 6)
    noise = first_noise(normal, twist)
    # The throw goes along y: left is -x.
    assert noise[:, 4].std() == pytest.approx(NOISE_SPIN[0], rel=0.03)
    assert noise[:, 3].std() == pytest.approx(NOISE_SPIN[1], rel=0.03)
    tracked = torch.tensor([-TRACKED[1], TRACKED[0], TRACKED[2]])
    at = noise[:, :3] + torch.linalg.cross(noise[:, 3:], -tracked.expand(20000, 3))
    assert (at.std(0) < noise[:, :3].std(0)).all()


def test_the_middle_future_is_one_of_them() -> None:
    g = torch.Generator().manual_seed(0)
    wxyz = torch.nn.functional.normalize(torch.randn(1, 1, 1, 4, generator=g) + 0 * torch.zeros(2, 5, 3, 4), dim=-1)
    paths = torch.cat([torch.randn(2, 5, 3, 3, generator=g), wxyz.expand(2, 5, 3, 4)], dim=-1)
    paths[:, 4, :, :3] = paths[:, :4, :, :3].mean(1)
    assert torch.equal(middle_futures(paths, 0.1), paths[:, 4])
    assert torch.allclose(central_futures(paths)[..., :3], paths[:, 4, :, :3], atol=1e-6)
    R = rotation_from_wxyz(central_futures(paths)[..., 3:])
    assert torch.allclose(R, rotation_from_wxyz(paths[:, 0, :, 3:]), atol=1e-5)
