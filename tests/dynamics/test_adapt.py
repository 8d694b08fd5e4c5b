"""Low-rank adapters of a contact network: exact without factors, bound to their base, better where there is something
to learn and empty where there is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics import TriangleMesh
from dynamics._adapt import AdaptRecipe, adapt
from dynamics._adapter import Adapter, load_adapter, model_hash, save_adapter, with_adapter
from dynamics._contact_network import ContactNetwork, make_network, stacked
from dynamics._errors import FileFormatError, UsageError
from dynamics._toss_models import TEXTBOOK, TossBody, TossConstants, TossModel, predicted, rollout_tosses, toss_body
from dynamics._tosses import Toss

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) - 0.5
QUADS = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
FACES = np.array([face for a, b, c, d in QUADS for face in ((a, b, c), (a, c, d))])
DT = 1 / 148


@pytest.fixture(autouse=True)
def _one_thread():
    """Tensors here are tiny; threads only get in each other's way."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def body() -> TossBody:
    return toss_body(TriangleMesh(0.1048 * CORNERS, FACES), 0.37, np.eye(3) * 8.1e-4)


def weights_of(model: TossModel) -> Mapping[str, torch.Tensor]:
    assert model.network is not None
    return model.network.weights


def lively(members: int = 1) -> ContactNetwork:
    """A network that says something: its last layers are not zero."""
    networks = []
    for seed in range(members):
        weights = dict(make_network(seed).weights)
        generator = torch.Generator().manual_seed(seed)
        for name, value in weights.items():
            if ".decode2.weight" in name:
                weights[name] = 0.05 * torch.randn(value.shape, generator=generator)
        networks.append(ContactNetwork(weights))
    return stacked(networks)


def sliding(body: TossBody, friction: float, count: int, frames: int = 26) -> tuple[Toss, ...]:
    """Cubes that slide and tip over a table of that friction, low flights first."""
    rng = np.random.default_rng(3)
    pose, twist = np.zeros((count, 7)), np.zeros((count, 6))
    pose[:, 2], pose[:, 3] = 0.0525 + rng.uniform(0, 0.002, count), 1.0
    twist[:, :2] = rng.uniform(0.6, 1.2, (count, 2))
    twist[:, 5] = rng.normal(size=count)
    constants = TossConstants.of(**(TEXTBOOK | {"friction": friction}))
    start = [torch.tensor(part, dtype=torch.float32) for part in (pose, twist)]
    paths = rollout_tosses(TossModel(constants), body, start[0], start[1], frames, DT)[0].double().numpy()
    none = np.zeros((frames, 0))
    found = []
    for path, velocity in zip(paths, twist, strict=True):
        recorded = np.zeros((frames, 6))
        recorded[0] = velocity
        recorded[0, 2] += 0.5 * TEXTBOOK["gravity"] * DT  # As backward differences have it.
        found.append(Toss(path, recorded, none, none, DT))
    return tuple(found)


def test_an_adapter_without_factors_or_with_zeros_is_the_base(body: TossBody) -> None:
    model = TossModel(TossConstants.of(**TEXTBOOK), lively(2))
    assert with_adapter(model, Adapter(model_hash(model))) is model
    name = "before.encode1.weight"
    members, into, out = weights_of(model)[name].shape
    zeros = Adapter(model_hash(model), {name: torch.randn(members, into, 3)}, {name: torch.zeros(members, 3, out)})
    assert torch.equal(weights_of(with_adapter(model, zeros))[name], weights_of(model)[name])
    some = sliding(body, 0.2, 2)
    for a, b in zip(predicted(model, body, some), predicted(with_adapter(model, zeros), body, some), strict=True):
        assert np.array_equal(a, b)


def test_it_learns_another_friction_and_leaves_the_base_alone(body: TossBody, tmp_path: Path) -> None:
    tosses = sliding(body, 0.35, 16)
    base = TossModel(TossConstants.of(**TEXTBOOK), make_network(0))
    before = {name: value.clone() for name, value in weights_of(base).items()}
    recipe = AdaptRecipe(iterations=20, batch=8, steps=12, rate=3e-2, check_every=10)
    adapter = adapt(base, body, tosses[:12], rank=2, recipe=recipe)
    assert adapter.size > 0
    assert all(torch.equal(value, before[name]) for name, value in weights_of(base).items())

    def missed(model: TossModel) -> float:
        pairs = zip(predicted(model, body, tosses[12:]), tosses[12:], strict=True)
        return float(np.mean([np.linalg.norm(g[-1, :2] - toss.T_world_body[-1, :2]) for g, toss in pairs]))

    assert missed(with_adapter(base, adapter)) < 0.7 * missed(base)
    save_adapter(tmp_path / "table.safetensors", adapter)
    assert (tmp_path / "table.safetensors").stat().st_size < 1_000_000
    again = load_adapter(tmp_path / "table.safetensors")
    assert again.base == adapter.base
    assert all(torch.equal(again.up[name], adapter.up[name]) for name in adapter.up)


def test_where_nothing_can_be_learned_it_is_empty(body: TossBody) -> None:
    base = TossModel(TossConstants.of(**TEXTBOOK), make_network(0))
    recipe = AdaptRecipe(iterations=4, batch=4, steps=6, check_every=2)
    adapter = adapt(base, body, sliding(body, TEXTBOOK["friction"], 4, frames=16), recipe=recipe)
    assert adapter.size == 0
    assert with_adapter(base, adapter) is base


def test_the_same_seed_gives_the_same_bits(body: TossBody) -> None:
    base = TossModel(TossConstants.of(**TEXTBOOK), lively())
    recipe = AdaptRecipe(iterations=2, batch=4, steps=5, check_every=1)
    tosses = sliding(body, 0.4, 4, frames=16)
    first, second = (adapt(base, body, tosses, recipe=recipe, seed=5) for _ in range(2))
    assert first.up.keys() == second.up.keys()
    assert all(torch.equal(first.up[name], second.up[name]) for name in first.up)


def test_refusals(body: TossBody, tmp_path: Path) -> None:
    base = TossModel(TossConstants.of(**TEXTBOOK), lively())
    other = replace(base, network=lively(2))
    with pytest.raises(UsageError, match="belongs to the contact network"):
        with_adapter(other, Adapter(model_hash(base)))
    tosses = sliding(body, 0.2, 4, frames=16)
    with pytest.raises(UsageError, match="no contact network"):
        adapt(replace(base, network=None), body, tosses)
    with pytest.raises(UsageError, match="4 recordings"):
        adapt(base, body, tosses[:3])
    with pytest.raises(UsageError, match="rank"):
        adapt(base, body, tosses, rank=0)
    (tmp_path / "no.safetensors").write_bytes(b"no")
    with pytest.raises(FileFormatError, match="cannot be read as an adapter"):
        load_adapter(tmp_path / "no.safetensors")
