"""Features of contacts: no units, no world axes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dynamics._contact_features import BEFORE, MIRROR_BEFORE, before_features, scales
from dynamics._contact_rows import contact_frames, relative_velocity
from dynamics._contacts import Contacts
from dynamics._inertia import Inertia
from dynamics._integrate import quaternion_of_turn
from dynamics.poses import rotation_from_wxyz

BODIES, CONTACTS = 3, 4


def case(seed: int, batch: int = 2) -> tuple[Contacts, Inertia, torch.Tensor, torch.Tensor]:
    """Random contacts between two bodies that move and a table (the last)."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    a = torch.randint(0, 2, (batch, CONTACTS), generator=g, dtype=torch.int32)
    b = torch.where(torch.rand(batch, CONTACTS, generator=g) < 0.5, 2, 1 - a).int()
    up = torch.nn.functional.normalize(normal(batch, CONTACTS, 3), dim=-1)
    count = torch.full((batch,), CONTACTS, dtype=torch.int32)
    contacts = Contacts(count, a, b, 0.05 * normal(batch, CONTACTS, 3), up, 0.003 * normal(batch, CONTACTS))
    root = normal(batch, BODIES, 3, 3)
    tensor = 1e-3 * (root @ root.transpose(-1, -2) + torch.eye(3, dtype=torch.float64))
    moves = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    mass = 0.2 + normal(batch, BODIES).abs()
    gate = moves[:, None, None]
    inertia = Inertia(0.05 * normal(batch, BODIES, 3), moves / mass, torch.linalg.inv(tensor) * gate, tensor * gate)
    twist = normal(batch, BODIES, 6) * moves[:, None]
    return contacts, inertia, twist, 0.02 * normal(batch, CONTACTS, 2, 3)


def features(
    contacts: Contacts, inertia: Inertia, twist: torch.Tensor, patch: torch.Tensor, dt: float = 0.01, g: float = 9.81
) -> torch.Tensor:
    relative = relative_velocity(contacts, inertia, twist)
    units = scales(contacts, inertia, g)
    return before_features(contacts, inertia, twist, relative, contact_frames(contacts, relative), patch, units, dt)


def turned(R: torch.Tensor, contacts: Contacts, inertia: Inertia, twist: torch.Tensor, patch: torch.Tensor):
    """Everything after an orthogonal map of the world; spins are axial vectors."""
    axial = torch.linalg.det(R)
    twist = torch.cat([twist[..., :3] @ R.T, axial * twist[..., 3:] @ R.T], dim=-1)
    inertia = Inertia(
        inertia.com @ R.T, inertia.inverse_mass, R @ inertia.inverse_inertia @ R.T, R @ inertia.inertia @ R.T
    )
    contacts = replace(contacts, point=contacts.point @ R.T, normal=contacts.normal @ R.T)
    return contacts, inertia, twist, patch @ R.T


@given(st.integers(0, 1000))
def test_world_axes_do_not_matter(seed: int) -> None:
    given_case = case(seed)
    turn = torch.randn(3, generator=torch.Generator().manual_seed(seed + 7), dtype=torch.float64)
    R = rotation_from_wxyz(quaternion_of_turn(turn))
    assert torch.allclose(features(*given_case), features(*turned(R, *given_case)), atol=1e-9)


@given(st.integers(0, 1000))
def test_a_mirror_flips_the_signs_that_it_says(seed: int) -> None:
    given_case = case(seed)
    R = torch.diag(torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64))
    signs = torch.tensor(MIRROR_BEFORE, dtype=torch.float64)
    assert torch.allclose(features(*given_case) * signs, features(*turned(R, *given_case)), atol=1e-9)


def test_units_do_not_matter() -> None:
    """Lengths by 3, masses by 5, times by the square root of 3: gravity stays, and so do the features."""
    contacts, inertia, twist, patch = case(1)
    s, m, t = 3.0, 5.0, 3.0**0.5
    bigger = replace(contacts, point=s * contacts.point, gap=s * contacts.gap)
    heavier = Inertia(
        s * inertia.com,
        inertia.inverse_mass / m,
        inertia.inverse_inertia / (m * s * s),
        inertia.inertia * m * s * s,
    )
    faster = torch.cat([twist[..., :3] * s / t, twist[..., 3:] / t], dim=-1)
    assert torch.allclose(
        features(contacts, inertia, twist, patch), features(bigger, heavier, faster, patch * s, 0.01 * t), atol=1e-9
    )


def test_a_common_velocity_of_all_bodies_does_not_matter() -> None:
    contacts, inertia, twist, patch = case(2)
    moving = twist + torch.tensor([0.3, -0.2, 0.1, 0, 0, 0], dtype=torch.float64)
    assert torch.allclose(
        features(contacts, inertia, twist, patch), features(contacts, inertia, moving, patch), atol=1e-9
    )


def test_a_table_has_no_share() -> None:
    contacts, inertia, twist, patch = case(3)
    found = features(contacts, inertia, twist, patch)
    assert found.shape == (2, CONTACTS, len(BEFORE)) and len(MIRROR_BEFORE) == len(BEFORE)
    on_table = contacts.body_b == 2
    assert (found[..., BEFORE.index("share_b")][on_table] == 0).all()
    assert (found[..., BEFORE.index("b_arm_s") :][on_table] == 0).all()
    total = found[..., BEFORE.index("share_a")] + found[..., BEFORE.index("share_b")]
    assert total.numpy() == pytest.approx(1)
