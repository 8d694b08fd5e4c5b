"""Rollouts in their folders: whole or not at all, read back bit for bit, and never of another scene."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from dynamics import find_material
from scene3d import Scene
from scene3d._errors import FileFormatError, OutputError, UsageError
from scene3d._rollout_folder import list_rollouts, load_rollout, save_simulation, state_at
from scene3d._simulate import Simulation, simulate
from scene3d._start_state import latents_at

NAME = "Wooden block!"


def test_what_is_read_is_what_was_written(scene: Scene, simulation: Simulation, tmp_path: Path) -> None:
    folder = save_simulation(simulation, tmp_path, deeds=["drop block,0.05"], branch=("007", 0.25))
    assert sorted(path.name for path in folder.iterdir()) == ["rollout.yaml", "states.npz"]
    saved = load_rollout(scene, tmp_path, folder.name)
    assert (saved.id, saved.folder, saved.deeds) == ("001", folder, ("drop block,0.05",))
    assert saved.bodies == (NAME, "blue rope", "table", "floor")
    assert saved.changed == ()
    for name in ("T_world_body", "twist", "still", "x", "v", "overlap"):
        assert torch.equal(getattr(saved.rollout, name), getattr(simulation.rollout, name)), name
    assert saved.rollout.latents is not None
    assert simulation.rollout.latents is not None
    assert torch.equal(saved.rollout.latents.friction, simulation.rollout.latents.friction)
    assert {key: saved.document[key] for key in simulation.document()} == simulation.document()
    assert (saved.document["branch_of"], saved.document["branch_time"], saved.document["branch_future"]) == (
        "007",
        0.25,
        0,
    )
    assert yaml.safe_load((folder / "rollout.yaml").read_text())["bodies"] == list(saved.bodies)


def test_numbers_go_up_and_hidden_folders_are_none(scene: Scene, simulation: Simulation, tmp_path: Path) -> None:
    assert list_rollouts(tmp_path) == ()
    names = [save_simulation(simulation, tmp_path).name for _ in range(2)]
    (tmp_path / "rollouts" / ".123-ab.tmp").mkdir()
    (tmp_path / "rollouts" / "005").mkdir()  # Something else.
    (tmp_path / "rollouts" / "005" / "notes.txt").write_text("mine")
    names.append(save_simulation(simulation, tmp_path).name)
    assert names == ["001", "002", "006"]
    (tmp_path / "rollouts" / "001").rename(tmp_path / "rollouts" / "the first")
    assert list_rollouts(tmp_path) == ("002", "006", "the first")
    assert load_rollout(scene, tmp_path, "the first").id == "the first"
    assert (tmp_path / "rollouts" / "005" / "notes.txt").read_text() == "mine"


def test_two_writers_never_take_the_same_number(scene: Scene, simulation: Simulation, tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        folders = list(pool.map(lambda _: save_simulation(simulation, tmp_path), range(12)))
    assert sorted(folder.name for folder in folders) == [f"{number:03d}" for number in range(1, 13)]
    assert list_rollouts(tmp_path) == tuple(f"{number:03d}" for number in range(1, 13))
    for id in list_rollouts(tmp_path):
        load_rollout(scene, tmp_path, id)


def test_nothing_is_left_of_a_save_that_failed(
    simulation: Simulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OutputError, match=r"disk is full"):
        save_simulation(simulation, tmp_path)
    assert list((tmp_path / "rollouts").iterdir()) == []
    monkeypatch.undo()
    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OutputError, match=r"disk is full"):
        save_simulation(simulation, tmp_path)
    assert list((tmp_path / "rollouts").iterdir()) == []


def test_rollouts_that_are_not_there(scene: Scene, simulation: Simulation, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no rollout '001' in .* It has none"):
        load_rollout(scene, tmp_path, "001")
    save_simulation(simulation, tmp_path)
    with pytest.raises(UsageError, match=r"no rollout '009' in .* It has 001\."):
        load_rollout(scene, tmp_path, "009")
    with pytest.raises(UsageError, match=r"It has 001\."):
        load_rollout(scene, tmp_path / "rollouts" / "..", "../rollouts/001")


def test_a_rollout_of_another_scene(scene: Scene, simulation: Simulation, tmp_path: Path) -> None:
    save_simulation(simulation, tmp_path)
    block, rope = scene.objects
    other = replace(scene, objects=(replace(block, body=block.body.scaled(1.1).renamed("cup")), rope))
    with pytest.raises(UsageError, match=r"another scene: it moves Wooden block!, .* this scene has cup, blue rope"):
        load_rollout(other, tmp_path, "001")
    larger = replace(scene, objects=(replace(block, body=block.body.scaled(1.1)), rope))
    with pytest.raises(UsageError, match=r"its Wooden block! is 10 x 6 x 4 cm .* Wooden block! is 11 x 6.6 x 4.4 cm"):
        load_rollout(larger, tmp_path, "001")


def test_objects_that_were_renamed_are_the_same(scene: Scene, simulation: Simulation, tmp_path: Path) -> None:
    save_simulation(simulation, tmp_path, deeds=[f"drop {NAME},0.05", "blue rope: mass 0.2 kg"])
    block, rope = scene.objects
    names = ("cup", "table")  # The support, which was the table, gets a prime.
    both = zip((block, rope), names, strict=True)
    renamed = replace(scene, objects=tuple(replace(thing, body=thing.body.renamed(name)) for thing, name in both))
    saved = load_rollout(renamed, tmp_path, "001")
    assert saved.bodies[:2] == names
    assert saved.deeds == ("drop cup,0.05", "table: mass 0.2 kg")
    assert [row["name"] for row in saved.document["outcomes"]] == ["cup"]
    assert torch.equal(saved.rollout.T_world_body, simulation.rollout.T_world_body)
    # Objects that changed names with each other may have changed places as well.
    swapped = tuple(
        replace(a, body=a.body.renamed(b.name)) for a, b in zip(scene.objects, scene.objects[::-1], strict=True)
    )
    with pytest.raises(UsageError, match="another scene"):
        load_rollout(replace(scene, objects=swapped), tmp_path, "001")


def test_other_masses_are_told(scene: Scene, simulation: Simulation, tmp_path: Path) -> None:
    save_simulation(simulation, tmp_path)
    block, rope = scene.objects
    heavy = replace(block, body=block.body.with_material(find_material("steel")))
    assert load_rollout(replace(scene, objects=(heavy, rope)), tmp_path, "001").changed == (NAME,)


def test_records_of_earlier_versions_are_read(scene: Scene, simulation: Simulation, tmp_path: Path) -> None:
    folder = save_simulation(simulation, tmp_path)
    (folder / "rollout.yaml").unlink()
    old = {name: value for name, value in simulation.document().items() if name != "network"}
    names = [body.name for body in simulation.world.bodies]
    (folder / "rollout.json").write_text(json.dumps({"bodies": names, "deeds": ["drop"], **old}))
    saved = load_rollout(scene, tmp_path, "001")
    assert saved.deeds == ("drop",)
    assert saved.document["outcomes"] == old["outcomes"]


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("bodies: [a", r"not valid YAML .* Delete .*/001 and simulate again\."),
        ("bodies: 3", "damaged"),
        ("[]", "damaged"),
        ("bodies: []\nfutures: 1\nseconds: 1\nextra: 2", "damaged"),
        ("bodies: &a []\ndeeds: *a", "aliases"),
        ("bodies: []\nfutures: 1\nseconds: 1\noutcomes: [{name: mug}]", r"missing required field .* Delete .*/001 and"),
    ],
)
def test_damaged_records(scene: Scene, simulation: Simulation, tmp_path: Path, record: str, says: str) -> None:
    folder = save_simulation(simulation, tmp_path)
    (folder / "rollout.yaml").write_text(record)
    with pytest.raises(FileFormatError, match=says):
        load_rollout(scene, tmp_path, "001")


def test_damaged_states(scene: Scene, simulation: Simulation, tmp_path: Path) -> None:
    folder = save_simulation(simulation, tmp_path)
    with np.load(folder / "states.npz") as archive:
        arrays = dict(archive.items())
    for name, value in (
        ("twist", arrays["twist"][:, :-1]),
        ("T_world_body", arrays["T_world_body"][:, :, :2]),
        ("latents.friction", arrays["latents.friction"][:1]),
        ("dt", np.array(np.nan)),
    ):
        np.savez(folder / "states.npz", **{**arrays, name: value})
        with pytest.raises(FileFormatError, match=r"is damaged"):
            load_rollout(scene, tmp_path, "001")
    times = arrays["T_world_body"].shape[1]
    none = {name: value[:, :0] for name, value in arrays.items() if value.ndim > 1 and value.shape[1] == times}
    np.savez(folder / "states.npz", **{**arrays, **none})
    with pytest.raises(FileFormatError, match="holds no state"):
        load_rollout(scene, tmp_path, "001")
    np.savez(folder / "states.npz", **{**arrays, "twist": np.array(["letters"])})
    with pytest.raises(FileFormatError, match=r"no saved rollout"):
        load_rollout(scene, tmp_path, "001")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**12, 7)})
    with zipfile.ZipFile(folder / "states.npz", "w") as archive:
        archive.writestr("T_world_body.npy", header.getvalue())
    with pytest.raises(FileFormatError, match=r"no saved rollout"):
        load_rollout(scene, tmp_path, "001")
    (folder / "states.npz").write_bytes(b"PK")
    with pytest.raises(FileFormatError, match=r"no saved rollout"):
        load_rollout(scene, tmp_path, "001")


def test_going_on_from_a_moment(scene: Scene, simulation: Simulation, tmp_path: Path) -> None:
    saved = load_rollout(scene, tmp_path, save_simulation(simulation, tmp_path).name)
    state = state_at(saved, 2, 0.1)
    assert torch.equal(state.T_world_body[0], simulation.rollout.T_world_body[2, 6])
    assert torch.equal(state.still[0], simulation.rollout.still[2, 6])
    drawn = latents_at(saved, 2)
    branch = simulate(scene, state=state, latents=drawn, seconds=0.4, network=False)
    # What was not kept is what contacts had just given; what follows is the same motion.
    gone_on, whole = branch.rollout.T_world_body[0], simulation.rollout.T_world_body[2, 6:]
    assert torch.equal(gone_on[0], whole[0])
    assert gone_on[:5, 0, :3].numpy() == pytest.approx(whole[:5, 0, :3].numpy(), abs=1e-3)
    assert torch.equal(branch.rollout.latents.mass_scale, drawn.mass_scale)  # pyright: ignore
    end = state_at(saved, 0, 0.5)
    assert torch.equal(end.T_world_body[0], simulation.rollout.T_world_body[0, -1])
    assert end.contact_impulse is not None


@pytest.mark.parametrize(("future", "time"), [(3, 0.1), (-1, 0.1), (0, 0.6), (0, -0.1), (0, float("nan"))])
def test_moments_that_are_none(scene: Scene, simulation: Simulation, tmp_path: Path, future: int, time: float) -> None:
    saved = load_rollout(scene, tmp_path, save_simulation(simulation, tmp_path).name)
    with pytest.raises(UsageError, match=r"has no (future|moment)"):
        state_at(saved, future, time)


def test_a_state_that_holds_no_numbers(scene: Scene, simulation: Simulation, tmp_path: Path) -> None:
    poses = simulation.rollout.T_world_body.clone()
    poses[1, 10:, 0, 0] = torch.nan
    broken = replace(simulation, rollout=replace(simulation.rollout, T_world_body=poses))
    saved = load_rollout(scene, tmp_path, save_simulation(broken, tmp_path).name)
    state_at(saved, 1, 0.1)
    with pytest.raises(UsageError, match=r"no number at 0.5 s"):
        state_at(saved, 1, 0.5)
