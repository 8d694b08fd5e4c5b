"""The guard: clean rollouts pass, tampered ones are found in the right world, at the right time, in the right term."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics import Action, State, World
from dynamics._guard import Bands, check_rollout
from dynamics._primitive import body_from_box
from dynamics._rollout import rollout
from dynamics._state import Rollout
from dynamics._tosses import first_twist, load_tosses

TAMPERED, TIME = 2, 41


@pytest.fixture(scope="module")
def thrown(needs: Callable[[str], Path], material, on_table) -> tuple[World, Rollout]:
    """The recorded first states of eight tosses of the cube, rolled out for a second."""
    tosses = load_tosses(needs("cube_toss/tosses.npz"))[:320:40]
    world = on_table(
        body_from_box("cube", (0.1048, 0.1048, 0.1048), material()), dt=tosses[0].dt, friction=0.18, restitution=0.125
    )
    poses, twist = torch.zeros(len(tosses), 2, 7), torch.zeros(len(tosses), 2, 6)
    poses[:, 0, 3] = 1.0
    poses[:, 1] = torch.tensor(np.stack([toss.T_world_body[0] for toss in tosses]))
    twist[:, 1] = torch.tensor(np.stack([first_twist(toss, 9.81) for toss in tosses]))
    return world, rollout(world, replace(State.at_rest(world, poses), twist=twist), 120)


def tampered(path: Rollout, name: str, change: Callable[[torch.Tensor], object]) -> Rollout:
    """The same, but for one world from a time on."""
    values = getattr(path, name).clone()
    change(values[TAMPERED, TIME:, 1])
    return replace(path, **{name: values})


def scaled(part: torch.Tensor) -> None:
    part *= 1.5


def sunk(part: torch.Tensor) -> None:
    part[:, 2] -= 0.05


def moved(part: torch.Tensor) -> None:
    part[:, 0] += 0.05


def spoiled(part: torch.Tensor) -> None:
    part[3:, 1] = float("nan")


def raced(part: torch.Tensor) -> None:
    part[:, 0] += 60.0


def test_clean_rollouts_pass(thrown: tuple[World, Rollout]) -> None:
    report = check_rollout(*thrown)
    assert report.ok and report.flagged == () and report.worlds == 8 and report.not_judged == ()
    assert str(report) == "Guard: 8 worlds within the bands of possible motion."


@pytest.mark.parametrize(
    ("name", "change", "term", "late"),
    [
        ("twist", scaled, "energy", 0),
        ("T_world_body", sunk, "penetration", 3),
        ("T_world_body", moved, "motion", 0),
        ("twist", spoiled, "number", 3),
        ("twist", raced, "speed", 0),
    ],
)
def test_a_tampered_world_is_found(thrown, name, change, term: str, late: int) -> None:
    world, path = thrown
    report = check_rollout(world, tampered(path, name, change))
    assert report.flagged == (TAMPERED,)
    found = {departure.term: departure for departure in report.departures}
    assert TIME <= found[term].time <= TIME + late
    assert found[term].seconds == pytest.approx(found[term].time / 148)
    assert found[term].value > found[term].limit or term == "number"
    text = str(report)
    assert text.startswith(f"Guard: 1 of 8 worlds not to be trusted. World {TAMPERED} from 0.2") and "\n" not in text


def test_momentum_in_flight(material, on_table, state_of) -> None:
    """A force in the air that takes energy, and the like between bodies, which is none."""
    boxes = [body_from_box(f"box{i}", (0.1, 0.05, 0.03), material()) for i in range(2)]
    world = on_table(*boxes)
    state = state_of(world, [(0, 0, 2.0), (0.2, 0, 2.0)], [[1.0, 0, 1.0, 3, 5, 7], [-1.0, 0, 1.0, -4, 2, 1]])
    path = rollout(world, state, 60)
    assert (path.twist[0, 40:, 1, 0] < 0.9).all(), "they have met"
    assert check_rollout(world, path).ok
    twist = path.twist.clone()
    twist[0, 5:, 1, :3] *= 0.99
    found = check_rollout(world, replace(path, twist=twist)).departures
    assert [(d.term, d.time) for d in found] == [("momentum", 5)]


def test_a_slow_leak_of_energy_adds_up(thrown: tuple[World, Rollout]) -> None:
    world, path = thrown
    twist = path.twist.clone()
    twist[TAMPERED, :, 1] *= (
        torch.linspace(1.0, 1.2, len(path))[:, None]
        * twist[TAMPERED, :1, 1].norm()
        / (twist[TAMPERED, :, 1].norm(dim=-1, keepdim=True).clamp_min(1e-6))
    )
    assert "energy" in {d.term for d in check_rollout(world, replace(path, twist=twist)).departures}


def test_overlap_that_the_rollout_reports_counts(thrown: tuple[World, Rollout]) -> None:
    world, path = thrown
    overlap = path.overlap.clone()
    overlap[TAMPERED, TIME] = 0.2
    found = check_rollout(world, replace(path, overlap=overlap)).departures
    assert [(d.world, d.time, d.term) for d in found] == [(TAMPERED, TIME, "penetration")]
    assert "200 mm inside each other" in str(found[0])


def test_bands_can_be_narrowed(thrown: tuple[World, Rollout]) -> None:
    report = check_rollout(*thrown, bands=Bands(speed=0.5))
    assert {d.term for d in report.departures} == {"speed"} and len(report.flagged) == 8


def test_bodies_that_begin_inside_each_other_come_out_and_are_named(material, on_table, state_of) -> None:
    boxes = [body_from_box(f"box{i}", (0.1, 0.1, 0.1), material()) for i in range(3)]
    world = on_table(*boxes)
    state = state_of(world, [(0, 0, 0.04), (0, 0, 0.13), (0, 0, 0.22)])
    report = check_rollout(world, rollout(world, state, 60))
    assert report.ok and report.begin_inside == (0,)
    assert "1 began with bodies inside each other" in str(report)


def test_what_is_pushed_and_pulled_may_gain_energy(material, on_table, state_of) -> None:
    tool = replace(body_from_box("tool", (0.05, 0.05, 0.05), material()), motion="kinematic")
    world = on_table(tool, body_from_box("box", (0.06, 0.06, 0.06), material()))
    state = state_of(world, [(-0.1, 0, 0.03), (0, 0, 0.03)])
    steps = 120
    target = state.T_world_body[:, None].repeat(1, steps, 1, 1)
    target[0, :, 1, 0] += torch.linspace(0, 0.2, steps)
    wrench = torch.zeros(1, steps, 3, 6)
    wrench[0, 60:, 2, 2] = 20.0
    wrench[0, 60:, 2, 3] = 0.05
    for action in (Action(kinematic_target=target), Action(wrench=wrench), Action(wrench, target)):
        for every in (1, 10):
            path = rollout(world, state, steps, action, every=every)
            assert check_rollout(world, path).ok
    pulled = rollout(world, state, steps, Action(wrench=wrench))
    hidden = check_rollout(world, replace(pulled, action=None))
    assert "energy" in {d.term for d in hidden.departures}, "the same without the force that explains it"
