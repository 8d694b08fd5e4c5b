"""The contact network, its support and its files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dynamics._contact_features import AFTER, BEFORE, MIRROR_BEFORE
from dynamics._contact_network import ContactNetwork, impulse_residuals, make_network, solver_residuals, stacked
from dynamics._contact_support import support_of
from dynamics._contact_weights import load_weights, save_weights
from dynamics._contacts import Contacts
from dynamics._errors import FileFormatError
from dynamics._toss_models import TEXTBOOK, TossConstants, TossModel

WORLDS, CONTACTS, BODIES = 3, 5, 3


def loud(seed: int) -> ContactNetwork:
    """A network whose last layers are not zero."""
    g = torch.Generator().manual_seed(seed)
    weights = make_network(seed).weights
    return ContactNetwork(
        {name: w + 0.3 * torch.randn(w.shape, generator=g) * (".decode2." in name) for name, w in weights.items()}
    )


def contacts(count: list[int]) -> Contacts:
    a = torch.zeros(WORLDS, CONTACTS, dtype=torch.int32)
    b = a + 2
    b[:, 1] = 1
    point = torch.zeros(WORLDS, CONTACTS, 3)
    return Contacts(torch.tensor(count, dtype=torch.int32), a, b, point, point, point[..., 0])


def inputs() -> torch.Tensor:
    x = torch.randn(WORLDS, CONTACTS, len(BEFORE), generator=torch.Generator().manual_seed(5))
    x[..., BEFORE.index("share_a")] = 1.0
    x[..., BEFORE.index("share_b")] = 0.0
    return x


def test_small_and_silent_before_training() -> None:
    network = make_network(0)
    assert network.size <= 20_000
    found = solver_residuals(network, inputs(), contacts([5, 5, 5]), BODIES)
    both = torch.cat([inputs(), torch.zeros(WORLDS, CONTACTS, len(AFTER))], dim=-1)
    assert not any(part.any() for part in (found.log_friction, found.logit_restitution, found.gap, found.shift))
    assert not impulse_residuals(network, both, contacts([5, 5, 5]), BODIES).any()


def test_a_mirrored_contact_gets_the_mirrored_answer() -> None:
    network, table = loud(1), contacts([5, 4, 2])
    straight = solver_residuals(network, inputs(), table, BODIES)
    flipped = solver_residuals(network, inputs() * torch.tensor(MIRROR_BEFORE), table, BODIES)
    assert torch.allclose(straight.log_friction, flipped.log_friction, atol=1e-6)
    assert torch.allclose(straight.shift * torch.tensor([1.0, -1.0]), flipped.shift, atol=1e-6)
    assert straight.shift[..., 1].abs().max() > 1e-3
    # The mean of the two views is what both views of training have in the mean.
    views = [solver_residuals(network, inputs(), table, BODIES, torch.full((WORLDS,), seen)) for seen in (False, True)]
    assert not torch.allclose(views[0].gap, views[1].gap, atol=1e-4)


def test_padding_and_other_bodies_have_no_say() -> None:
    network, x = loud(2), inputs()
    few = solver_residuals(network, x, contacts([2, 2, 2]), BODIES)
    noisy = x.clone()
    noisy[:, 2:] += 1.0
    assert torch.equal(few.gap, solver_residuals(network, noisy, contacts([2, 2, 2]), BODIES).gap)
    # A contact of the same body changes the answer, through pooling.
    noisy = x.clone()
    noisy[:, 1] += 1.0
    changed = solver_residuals(network, noisy, contacts([2, 2, 2]), BODIES)
    assert (changed.gap[:, 0] - few.gap[:, 0]).abs().min() > 1e-6
    # On a table only, one body's contacts say nothing about another's.
    table = contacts([2, 2, 2])
    apart = replace(table, body_a=torch.arange(CONTACTS, dtype=torch.int32).clamp_max(1).repeat(WORLDS, 1))
    apart = replace(apart, body_b=torch.full_like(apart.body_b, 2))
    one, other = (solver_residuals(network, value, apart, BODIES) for value in (x, noisy))
    assert torch.equal(one.gap[:, 0], other.gap[:, 0])


def test_an_ensemble_is_the_mean_of_its_members() -> None:
    members = [loud(seed) for seed in range(4)]
    x = torch.cat([inputs(), torch.randn(WORLDS, CONTACTS, len(AFTER))], dim=-1)
    together = impulse_residuals(stacked(members), x, contacts([5, 5, 5]), BODIES)
    mean = torch.stack([impulse_residuals(one, x, contacts([5, 5, 5]), BODIES) for one in members]).mean(0)
    assert torch.allclose(together, mean, atol=1e-6)
    assert (solver_residuals(stacked(members), inputs(), contacts([5, 5, 5]), BODIES).spread > 0).all()


def test_the_gate_closes_outside_the_training_contacts() -> None:
    g = torch.Generator().manual_seed(0)
    seen = torch.randn(4000, 6, generator=g) * torch.tensor([1.0, 2, 3, 0.1, 1, 0])
    support = support_of(seen, 0.1 * torch.rand(4000, generator=g))
    fresh = torch.randn(1, 1000, 6, generator=g) * torch.tensor([1.0, 2, 3, 0.1, 1, 0])
    calm = torch.zeros(1, 1000)
    assert (support.gate(fresh, calm) == 1).float().mean() > 0.95
    assert not support.gate(fresh + 20, calm).any()
    assert not support.gate(fresh, calm + 0.5).any()
    # A feature that never changed in training counts when it does.
    fresh[..., 5] = 1.0
    assert not support.gate(fresh, calm).any()


def test_files_keep_every_bit(tmp_path: Path) -> None:
    features = torch.randn(500, len(BEFORE))
    model = TossModel(TossConstants.of(**TEXTBOOK), loud(3), support_of(features, torch.zeros(500)), sweeps=7)
    save_weights(tmp_path / "a.safetensors", model, ["b" * 16, "a" * 16])
    found = load_weights(tmp_path / "a.safetensors")
    assert found.tosses == {"a" * 16, "b" * 16}
    assert found.model.constants.numbers() == model.constants.numbers() and found.model.sweeps == 7
    assert found.model.network is not None and model.network is not None
    assert found.model.support is not None and model.support is not None
    assert all(torch.equal(w, found.model.network.weights[name]) for name, w in model.network.weights.items())
    assert torch.equal(found.model.support.prototypes, model.support.prototypes)


def test_weights_of_something_else_are_one_message(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_weights(path, TossModel(TossConstants.of(**TEXTBOOK), make_network(0)), [])
    tensors = load_file(path)
    save_file(tensors, path, metadata={"version": "2", "features": '["gap"]'})
    with pytest.raises(FileFormatError, match="another version"):
        load_weights(path)
    path.write_bytes(b"nothing")
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_weights(path)
    weights = dict(make_network(0).weights)
    weights["before.encode1.weight"] = torch.zeros(1, 3, 3)
    with pytest.raises(FileFormatError, match="another contact network"):
        ContactNetwork(weights)
    with pytest.raises(FileFormatError, match="another contact network"):
        ContactNetwork(weights | {"extra": torch.zeros(1, 1, 1)})
