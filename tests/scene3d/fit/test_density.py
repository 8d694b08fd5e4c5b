"""Density control: what goes, what is split, and that everything that belongs to a splat goes with it."""

from __future__ import annotations

import msgspec
import pytest
import torch

from scene3d import Gaussians
from scene3d.fit import FitConfig
from scene3d.fit._density import DensityStats, control_density
from scene3d.fit._optimizer import NAMES, SplatOptimizer

COUNT = 200
CONFIG = FitConfig(budget=1000, growth=0.5, prune_opacity=0.1)


def splats() -> SplatOptimizer:
    """Splats that can be told apart: the red coefficient is the number of the splat, and so is all Adam state."""
    points = torch.rand(COUNT, 3, generator=torch.Generator().manual_seed(0))
    made = SplatOptimizer.of(
        Gaussians.from_points(points, torch.zeros(COUNT, 3), sigma=0.01, opacity=0.5, sh_degree=1), 1
    )
    number = torch.arange(COUNT)
    made.params["sh0"][:, 0, 0] = number.float()
    made.steps = (number + 1).int()
    for name in NAMES:
        shape = (-1, *[1] * (made.params[name].ndim - 1))
        made.first[name] += number.view(shape) + 1
        made.second[name] += 2 * number.view(shape) + 1
    return made


def seen(parents: list[int], count: int = COUNT) -> DensityStats:
    """Statistics in which all splats were seen and only the given ones were pulled at and covered an error."""
    stats = DensityStats.zeros(count)
    stats.seen += 4
    stats.pull[parents] = 1.0
    stats.covered[parents] = 1.0
    return stats


def control(made: SplatOptimizer, stats: DensityStats, config: FitConfig = CONFIG, seed: int = 0) -> tuple[int, int]:
    return control_density(made, stats, config, extent=1.0, generator=torch.Generator().manual_seed(seed))


def numbers(made: SplatOptimizer) -> list[int]:
    """Which splat each row is, or comes from."""
    return made.params["sh0"][:, 0, 0].int().tolist()


def check_alignment(made: SplatOptimizer, kept: int) -> None:
    """Rows up to ``kept`` have the state of their splat, later ones none."""
    number = torch.tensor(numbers(made))
    old = torch.arange(len(made)) < kept
    assert torch.equal(made.steps, torch.where(old, number + 1, 0).int())
    for name in NAMES:
        assert len(made.params[name]) == len(made), name
        shape = made.params[name].shape
        first = torch.where(old, number + 1, 0).float().view(-1, *[1] * (len(shape) - 1)).expand(shape)
        second = torch.where(old, 2 * number + 1, 0).float().view(-1, *[1] * (len(shape) - 1)).expand(shape)
        assert torch.equal(made.first[name], first), name
        assert torch.equal(made.second[name], second), name
        assert made.params[name].is_contiguous(), name


def test_nothing_to_do_changes_nothing() -> None:
    made, before = splats(), splats()
    assert control(made, seen([])) == (0, 0)
    assert all(torch.equal(made.params[name], before.params[name]) for name in NAMES)
    check_alignment(made, COUNT)


def test_transparent_and_huge_splats_go() -> None:
    made = splats()
    made.params["opacities"][[3, 50]] = torch.logit(torch.tensor(0.09))
    made.params["opacities"][51] = torch.logit(torch.tensor(0.11))
    made.params["scales"][120, 1] = 0.5  # 1.6 m in a scene of 1 m.
    assert control(made, seen([])) == (3, 0)
    assert numbers(made) == [i for i in range(COUNT) if i not in (3, 50, 120)]
    check_alignment(made, COUNT - 3)


def test_everything_may_go() -> None:
    made = splats()
    made.params["opacities"] -= 20
    assert control(made, seen([1, 2])) == (COUNT, 0)
    assert len(made) == 0
    check_alignment(made, 0)


def test_only_splats_with_a_score_are_split() -> None:
    parents = [7, 8, 90, 199]
    made, before = splats(), splats()
    assert control(made, seen(parents)) == (0, 4)
    assert numbers(made)[:COUNT] == list(range(COUNT))
    assert sorted(numbers(made)[COUNT:]) == parents
    check_alignment(made, COUNT)
    others = [i for i in range(COUNT) if i not in parents]
    assert all(torch.equal(made.params[name][others], before.params[name][others]) for name in NAMES)
    halves, whole = torch.arange(COUNT, len(made)), torch.tensor(numbers(made)[COUNT:])
    apart = made.params["means"][halves] - before.params["means"][whole]
    assert (apart.norm(dim=1) > 0).all() and (apart.norm(dim=1) < 5 * 0.01).all()
    for rows in (halves, whole):
        assert (made.params["scales"][rows] < before.params["scales"][whole]).all()
        assert torch.equal(made.params["quats"][rows], before.params["quats"][whole])


def test_dropped_splats_are_not_split() -> None:
    made = splats()
    made.params["opacities"][[7, 8]] -= 20
    assert control(made, seen([7, 8, 90])) == (2, 1)
    assert numbers(made)[COUNT - 2 :] == [90]
    check_alignment(made, COUNT - 2)


def test_halves_are_laid_along_the_splat() -> None:
    """A needle along its own z axis, turned to the world's x: halves move along x."""
    made = splats()
    made.params["scales"][:] = torch.tensor([1e-6, 1e-6, 0.1]).log()
    made.params["quats"][:] = torch.tensor([0.5**0.5, 0.0, 0.5**0.5, 0.0])
    means = made.params["means"].clone()
    _, added = control(made, seen(list(range(COUNT))))
    assert added == COUNT // 2
    apart = (made.params["means"][COUNT:] - means[numbers(made)[COUNT:]]).abs()
    assert apart[:, 0].mean() > 0.01
    assert apart[:, 1:].max() < 1e-4


@pytest.mark.parametrize(("budget", "growth", "added"), [(210, 1.0, 10), (1000, 0.1, 20), (200, 1.0, 0), (150, 1.0, 0)])
def test_growth_and_budget_are_kept(budget: int, growth: float, added: int) -> None:
    made = splats()
    config = msgspec.structs.replace(CONFIG, budget=budget, growth=growth)
    assert control(made, seen(list(range(COUNT))), config) == (0, added)
    assert len(made) == COUNT + added


def test_room_of_pruned_splats_is_used() -> None:
    made = splats()
    made.params["opacities"][:50] -= 20
    config = msgspec.structs.replace(CONFIG, budget=COUNT, growth=1.0)
    assert control(made, seen(list(range(COUNT))), config) == (50, 50)
    assert len(made) == COUNT
    check_alignment(made, 150)


def test_stronger_pull_is_split_more_often() -> None:
    stats = seen(list(range(COUNT)))
    stats.pull[: COUNT // 2] = 20.0
    stats.covered[: COUNT // 2] = 20.0
    made = splats()
    _, added = control(made, stats, msgspec.structs.replace(CONFIG, growth=0.25))
    strong = sum(number < COUNT // 2 for number in numbers(made)[COUNT:])
    assert strong > 0.8 * added


def test_same_draw_same_splats() -> None:
    one, two, other = splats(), splats(), splats()
    for made, seed in ((one, 1), (two, 1), (other, 2)):
        control(made, seen(list(range(COUNT))), seed=seed)
    assert all(torch.equal(one.params[name], two.params[name]) for name in NAMES)
    assert not torch.equal(one.params["means"], other.params["means"])
