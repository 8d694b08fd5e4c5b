"""Evaluation on tosses: who is scored by whom, fitted records, and the whole on a few real tosses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics._contact_network import make_network
from dynamics._contact_weights import save_weights
from dynamics._errors import FileFormatError, UsageError
from dynamics._evaluate import evaluate_tosses
from dynamics._evaluate_body import cube_body, is_cube
from dynamics._evaluate_choice import Request, fitted_path
from dynamics._evaluate_document import evaluation_document, ranked_tosses
from dynamics._evaluate_fitted import Fitted, fit_to, load_fitted, save_fitted
from dynamics._evaluate_split import Group, plan_groups
from dynamics._toss_body import TEXTBOOK, TossConstants
from dynamics._toss_futures import PRIOR
from dynamics._toss_models import TossModel
from dynamics._tosses import Toss, load_tosses, toss_hash
from dynamics._train_contact import Recipe

MODELS = ("static", "ballistic", "physics_textbook", "physics_identified", "physics_persistent", "physics_network")


@pytest.fixture(autouse=True)
def _one_thread():
    """Tensors here are tiny; threads only get in each other's way."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tosses(needs: Callable[[str], Path]) -> tuple[Toss, ...]:
    return tuple(shortened(toss) for toss in load_tosses(needs("cube_toss/tosses.npz"))[:8])


def shortened(toss: Toss, frames: int = 48) -> Toss:
    """The beginning, with the first contacts."""
    pose, twist, q, qd = (part[:frames] for part in (toss.T_world_body, toss.twist, toss.joint_q, toss.joint_qd))
    return Toss(pose, twist, q, qd, toss.dt)


def record(names: frozenset[str]) -> Fitted:
    return Fitted(
        tosses=names,
        constants=dict(TEXTBOOK),
        residual=(0.0, 0.0, 0.01, 0.0, 0.0, 0.0),
        spread=dict(PRIOR),
        scales={"physics_identified": 1.0, "physics_network": 1.0},
    )


def write_weights(folder: Path, tosses: tuple[Toss, ...]) -> Path:
    """Two untrained folds of four tosses each; an untrained network is plain physics."""
    folder.mkdir()
    model = TossModel(TossConstants.of(**TEXTBOOK), make_network(0))
    for k, seen in enumerate((tosses[4:8], tosses[:4])):
        hashes = [toss_hash(toss) for toss in seen]
        save_weights(folder / f"fold-{k}.safetensors", model, hashes)
        save_fitted(fitted_path(folder, f"fold-{k}"), record(frozenset(hashes)))
    return folder


def held(groups: Sequence[Group]) -> list[tuple[object, ...]]:
    return [(g.network, g.sample, g.held.tolist(), g.train.tolist(), g.record) for g in groups]


def test_each_toss_is_scored_by_a_fold_that_has_not_seen_it() -> None:
    hashes = list("abcdef")
    seen = {"fold-0": frozenset("cd"), "fold-1": frozenset("ab"), "all": frozenset("abcd")}
    recorded = {"fold-0": seen["fold-0"], "fold-1": frozenset("zz"), "all": seen["all"]}
    assert held(plan_groups(hashes, seen, records=recorded)) == [
        ("fold-0", "out of fold", [0, 1], [2, 3], "fold-0"),
        ("fold-1", "out of fold", [2, 3], [0, 1], None),
        ("all", "new", [4, 5], [0, 1, 2, 3], "all"),
    ]


def test_what_every_network_has_seen_is_in_sample() -> None:
    seen = {"fold-0": frozenset("ab"), "all": frozenset("ab")}
    groups = plan_groups(list("ab"), seen, records=seen)
    assert [(g.network, g.sample) for g in groups] == [("all", "seen")]


def test_new_tosses_without_a_record_are_fitted_out_of_fold() -> None:
    for seen in ({}, {"all": frozenset("xy")}):
        groups = plan_groups([str(i) for i in range(10)], seen)
        assert len(groups) == 5
        assert sorted(np.concatenate([g.held for g in groups]).tolist()) == list(range(10))
        assert all(not set(g.held.tolist()) & set(g.train.tolist()) and len(g.train) == 8 for g in groups)


def test_another_body_is_fitted_on_its_own_tosses() -> None:
    seen = {"all": frozenset("xy")}
    groups = plan_groups([str(i) for i in range(10)], seen, own_body=False, records=seen)
    assert all(g.network == "all" and len(g.train) == 8 and g.record is None for g in groups)
    (group,) = plan_groups([str(i) for i in range(10)], seen, own_body=False, fit_on=4)
    assert group.held.tolist() == [4, 5, 6, 7, 8, 9]
    assert group.train.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("fit_on", "message"), [(3, "leaves nothing of 3"), (0, "take 1 to 2"), (None, "too few")])
def test_too_few_tosses(fit_on: int | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan_groups(list("abc"), {}, fit_on=fit_on)


def test_the_cube_is_known() -> None:
    assert is_cube(cube_body())
    assert not is_cube(replace(cube_body(), mass=0.4))
    assert not is_cube(replace(cube_body(), points=cube_body().points * 1.1))


def test_records_come_back(tmp_path: Path) -> None:
    wrote = record(frozenset({"b", "a"}))
    save_fitted(tmp_path / "a.json", wrote)
    assert load_fitted(tmp_path / "a.json") == wrote


@pytest.mark.parametrize("text", ["", "[]", '{"tosses": []}', '{"constants": {"friction": NaN}}', "\x00"])
def test_bad_records_are_one_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FileFormatError, match="no record of fitted constants"):
        load_fitted(tmp_path / "a.json")


def test_fitting_a_record(tosses: tuple[Toss, ...]) -> None:
    network = TossModel(TossConstants.of(**TEXTBOOK), make_network(0))
    quick = Recipe(identify=2, batch=8, longest=8)
    said: list[str] = []
    short = [shortened(toss, 30) for toss in tosses[:2]]
    fitted = fit_to(short, cube_body(), networks=[(network, short)], mujoco=False, recipe=quick, progress=said.append)
    assert fitted.tosses == {toss_hash(toss) for toss in short}
    assert set(fitted.scales) == {"physics_identified", "physics_network"}
    assert all(0 < value for value in fitted.spread.values())
    assert said == ["constants", "spread of futures", "futures of the network"]


def test_whole_evaluation_on_real_tosses(tosses: tuple[Toss, ...], tmp_path: Path) -> None:
    folder = write_weights(tmp_path / "weights", tosses)
    request = Request(models=MODELS, weights=folder, futures=8)
    found = evaluate_tosses(tosses, cube_body(), request)
    assert found.scored.tolist() == list(range(8))
    assert set(found.samples) == {"out of fold"}
    assert tuple(found.errors) == MODELS
    # Zero weights are plain physics with the same constants; both differ from the residual that is added.
    same, physics = found.errors["physics_network"], found.errors["physics_textbook"]
    assert np.allclose(same.position_percent, physics.position_percent, atol=1e-3)
    assert not np.allclose(found.errors["physics_persistent"].position_percent, physics.position_percent, atol=0.1)
    document = evaluation_document(found)
    assert [row["model"] for row in document["models"]] == list(MODELS)
    assert all(row["position_percent"]["low"] <= row["position_percent"]["mean"] for row in document["models"])
    assert abs(document["gains"]["position_percent"]["mean"]) < 1e-3
    assert document["uncertainty"]["crps_position_percent"]["mean"] < physics.position_percent.mean()
    ranks = ranked_tosses(found)
    assert same.position_percent[ranks["best"]] == same.position_percent.min()
    assert same.position_percent[ranks["worst"]] == same.position_percent.max()
    # The order of the file does not matter, nor do other tosses.
    turned = evaluate_tosses(tosses[::-1], cube_body(), replace(request, models=("physics_textbook",), futures=0))
    assert np.allclose(turned.errors["physics_textbook"].position_percent[::-1], physics.position_percent, atol=1e-3)


def test_a_body_beside_the_cube(tosses: tuple[Toss, ...], tmp_path: Path) -> None:
    """Constants come from the first tosses, and the network answers with them."""
    folder = write_weights(tmp_path / "weights", tosses)
    heavy = replace(cube_body(), mass=0.5)
    quick = Recipe(identify=1, batch=4, longest=4)
    request = Request(4, ("physics_identified", "physics_network"), folder, futures=0, recipe=quick)
    found = evaluate_tosses(tosses, heavy, request)
    assert found.scored.tolist() == [4, 5, 6, 7]
    physics, network = (found.errors[name].position_percent for name in ("physics_identified", "physics_network"))
    assert np.allclose(physics, network, atol=1e-3)
    assert any("another body" in note for note in found.notes)


def test_wrong_requests(tosses: tuple[Toss, ...], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model 'drake'"):
        evaluate_tosses(tosses, cube_body(), Request(models=("drake",)))
    with pytest.raises(UsageError, match="one time step"):
        evaluate_tosses((tosses[0], replace(tosses[1], dt=0.01)), cube_body(), Request())
    with pytest.raises(FileFormatError, match="holds no weights"):
        evaluate_tosses(tosses, cube_body(), Request(weights=tmp_path))
