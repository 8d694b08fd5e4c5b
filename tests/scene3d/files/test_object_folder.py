"""Scene folders with objects: round trips, files that stay, undo, and what is refused."""

from __future__ import annotations

import io
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scene3d import Scene
from scene3d._errors import FileFormatError, OutputError
from scene3d.files import load_scene, restore_next, restore_previous, save_scene

ARRAYS = ("means", "quats", "scales", "opacities", "sh0", "shN", "component_index")


def files(folder: Path) -> dict[str, int]:
    """Files of a scene and when they were written, scene.yaml and the history left out."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name not in ("scene.yaml", ".lock"))
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in found if ".history" not in path.parts}


def moved(scene: Scene, index: int, x: float) -> Scene:
    things = list(scene.objects)
    things[index] = replace(things[index], T_world_body=(x, *things[index].T_world_body[1:]))
    return replace(scene, objects=tuple(things))


def renamed(scene: Scene, index: int, name: str) -> Scene:
    things = list(scene.objects)
    things[index] = replace(things[index], body=replace(things[index].body, name=name))
    return replace(scene, objects=tuple(things))


def test_round_trip(objects_scene: Scene, tmp_path: Path) -> None:
    after = load_scene(save_scene(objects_scene, tmp_path / "out"))
    for name in ARRAYS:
        assert torch.equal(getattr(after.splats, name), getattr(objects_scene.splats, name))
    assert after.filled == 5
    for old, new in zip(objects_scene.objects, after.objects, strict=True):
        assert (new.name, new.kind, new.confidence, new.guessed) == (old.name, old.kind, old.confidence, old.guessed)
        assert new.T_world_body == old.T_world_body
        assert (new.body.mass, new.body.material, new.body.motion) == (old.body.mass, old.body.material, "dynamic")
        assert new.body.mass_log_std == old.body.mass_log_std
        assert np.array_equal(new.body.com, old.body.com)
        assert np.array_equal(new.body.inertia, old.body.inertia)
        assert np.abs(new.body.mesh.vertices - old.body.mesh.vertices).max() < 1e-9
        assert np.array_equal(new.body.mesh.faces, old.body.mesh.faces)
        assert np.array_equal(new.unseen, old.unseen)
        assert len(new.body.parts) == len(old.body.parts)
    rope, old_rope = after.objects[1], objects_scene.objects[1]
    assert rope.binding is not None
    assert old_rope.binding is not None
    assert np.array_equal(rope.binding.indices, old_rope.binding.indices)
    assert np.array_equal(rope.binding.weights, old_rope.binding.weights)
    particles, old = rope.body.particles, old_rope.body.particles
    assert particles is not None
    assert old is not None
    assert (particles.kind, particles.radius) == (old.kind, old.radius)
    for name in ("points", "masses", "edges", "cells"):
        assert np.array_equal(getattr(particles, name), getattr(old, name))
        assert getattr(particles, name).dtype == getattr(old, name).dtype
    (support,), (old_support,) = after.supports, objects_scene.supports
    assert np.array_equal(support.outline, old_support.outline)
    assert (support.normal.tolist(), support.offset, support.noise) == ([0, 0, 1], 0, 0.001)


def test_layout(objects_scene: Scene, tmp_path: Path) -> None:
    out = save_scene(objects_scene, tmp_path / "out")
    assert sorted(files(out)) == [
        "background/splat.ply",
        "cameras.json",
        "objects/blue_rope/body.yaml",
        "objects/blue_rope/collider.obj",
        "objects/blue_rope/particles.npz",
        "objects/blue_rope/splat.ply",
        "objects/wooden_block/body.yaml",
        "objects/wooden_block/collider.obj",
        "objects/wooden_block/parts/0.obj",
        "objects/wooden_block/splat.ply",
    ]
    assert "\ng unseen\n" in "\n" + (out / "objects/wooden_block/collider.obj").read_text()
    with np.load(out / "objects/blue_rope/particles.npz", allow_pickle=False) as arrays:
        assert arrays["points"].shape == (9, 3)


@pytest.mark.parametrize("splat_format", [None, "spz"])
def test_what_did_not_change_is_not_written(objects_scene: Scene, tmp_path: Path, splat_format: str | None) -> None:
    out = save_scene(objects_scene, tmp_path / "out", splat_format=splat_format)  # type: ignore[arg-type]
    before = files(out)
    scene = moved(load_scene(out), 0, 0.7)
    save_scene(scene, out, overwrite=True)
    save_scene(renamed(scene, 1, "a snake / no"[:7]), out, overwrite=True)
    assert files(out) == before
    after = load_scene(out)
    assert after.objects[0].T_world_body[0] == 0.7
    assert after.objects[1].name == "a snake"
    heavier = replace(after.objects[0], body=after.objects[0].body.with_mass(1.5))
    save_scene(replace(after, objects=(heavier, after.objects[1])), out, overwrite=True)
    assert set(files(out)) - set(before) == {"objects/wooden_block/body-2.yaml"}
    assert {name: time for name, time in files(out).items() if name in before} == before


def test_duplicates_share_files(objects_scene: Scene, tmp_path: Path) -> None:
    out = save_scene(objects_scene, tmp_path / "out")
    before = files(out)
    scene = load_scene(out)
    twin = replace(scene.objects[0], body=replace(scene.objects[0].body, name="twin"))
    own = scene.splats[scene.splats.component_index == 1]
    own = replace(own, component_index=torch.full_like(own.component_index, 3))
    both = replace(scene, objects=(*scene.objects, twin), splats=type(own).cat([scene.splats, own]))
    save_scene(both, out, overwrite=True)
    assert files(out) == before
    assert [thing.name for thing in load_scene(out).objects] == ["Wooden block!", "blue rope", "twin"]
    assert int((load_scene(out).splats.component_index == 3).sum()) == 40


def test_spz_keeps_the_order_and_loses_little(objects_scene: Scene, tmp_path: Path) -> None:
    out = save_scene(objects_scene, tmp_path / "out", splat_format="spz")
    assert {Path(name).suffix for name in files(out) if "splat" in name} == {".spz"}
    after = load_scene(out)
    assert torch.equal(after.splats.component_index, objects_scene.splats.component_index)
    assert float((after.splats.means - objects_scene.splats.means).abs().max()) < 1e-3
    save_scene(after, out, overwrite=True, splat_format="ply")
    for name in ARRAYS:
        assert torch.equal(getattr(load_scene(out).splats, name), getattr(after.splats, name))


def test_files_of_removed_objects_go_with_the_last_version(objects_scene: Scene, tmp_path: Path) -> None:
    out = save_scene(objects_scene, tmp_path / "out")
    (out / "objects" / "wooden_block" / "notes.txt").write_text("mine")
    scene = load_scene(out)
    alone = replace(scene, objects=(), splats=scene.splats[scene.splats.component_index == 0])
    save_scene(alone, out, overwrite=True)
    assert (out / "objects" / "blue_rope" / "splat.ply").exists()
    for i in range(11):
        save_scene(replace(alone, source={"i": i}), out, overwrite=True)
    assert not (out / "objects" / "blue_rope").exists()
    assert sorted(path.name for path in (out / "objects").rglob("*")) == ["notes.txt", "wooden_block"]


def test_undo_goes_back_one_by_one_and_forth(objects_scene: Scene, tmp_path: Path) -> None:
    out = save_scene(objects_scene, tmp_path / "out")
    for x in (1.0, 2.0):
        save_scene(moved(load_scene(out), 0, x), out, overwrite=True)

    def place(scene: Scene) -> float:
        return scene.objects[0].T_world_body[0]

    assert place(restore_previous(out)) == 1.0
    assert place(restore_previous(out)) == 0.3
    with pytest.raises(OutputError, match="stays as it is: no earlier version is kept"):
        restore_previous(out)
    assert place(restore_next(out)) == 1.0
    assert place(restore_next(out)) == 2.0
    with pytest.raises(OutputError, match="nothing was undone since the last change"):
        restore_next(out)
    assert place(restore_previous(out)) == 1.0
    save_scene(moved(load_scene(out), 0, 5.0), out, overwrite=True)
    with pytest.raises(OutputError, match="nothing was undone"):
        restore_next(out)
    assert place(restore_previous(out)) == 1.0


def test_undo_of_a_removal_finds_all_files(objects_scene: Scene, tmp_path: Path) -> None:
    out = save_scene(objects_scene, tmp_path / "out")
    scene = load_scene(out)
    save_scene(replace(scene, objects=scene.objects[:1], splats=scene.splats[:100]), out, overwrite=True)
    assert len(load_scene(out).objects) == 1
    after = restore_previous(out)
    assert torch.equal(after.splats.means, scene.splats.means)


def test_undo_of_a_version_that_lost_files(objects_scene: Scene, tmp_path: Path) -> None:
    out = save_scene(objects_scene, tmp_path / "out")
    save_scene(replace(objects_scene, objects=(), splats=objects_scene.splats[:60], filled=0), out, overwrite=True)
    shutil.rmtree(out / "objects" / "blue_rope")
    present = (out / "scene.yaml").read_bytes()
    with pytest.raises(FileFormatError, match=r"blue_rope/.* which is missing, so that version cannot be restored"):
        restore_previous(out)
    assert (out / "scene.yaml").read_bytes() == present


def test_undo_after_dying_in_undo(objects_scene: Scene, tmp_path: Path) -> None:
    """Killed after the commit, the version is still in the history; it counts as the present one."""
    out = save_scene(objects_scene, tmp_path / "out")
    for x in (1.0, 2.0):
        save_scene(moved(load_scene(out), 0, x), out, overwrite=True)
    newest = sorted((out / ".history").glob("0*.yaml"))[-1]
    text = newest.read_bytes()
    restore_previous(out)
    newest.write_bytes(text)
    assert restore_previous(out).objects[0].T_world_body[0] == 0.3
    assert restore_next(out).objects[0].T_world_body[0] == 1.0


def test_photos_beside_the_scene_are_found_in_a_copy(tabletop: Path, tabletop_scene: Path, tmp_path: Path) -> None:
    """As in a fresh clone: nothing in the folder may say where this checkout lies."""
    for path in tabletop_scene.rglob("*"):
        if path.suffix in (".yaml", ".json"):
            assert str(tabletop.parent.parent) not in path.read_text()
    copy = tmp_path / "assets" / "scenes" / "tabletop"
    shutil.copytree(tabletop_scene, copy)
    (tmp_path / "assets" / "tabletop").symlink_to(tabletop)
    photos = load_scene(copy).photos()
    assert photos[0].path.samefile(tabletop / "images" / photos[0].path.name)
    assert sum(path.stat().st_size for path in tabletop_scene.rglob("*") if path.is_file()) <= 6_000_000
    scene = load_scene(copy)
    save_scene(scene, copy, overwrite=True)
    assert "photos: ../../tabletop" in (copy / "scene.yaml").read_text()


def test_objects_that_contradict_each_other(objects_scene: Scene, tmp_path: Path) -> None:
    for wrong, message in (
        (renamed(objects_scene, 1, "Wooden block!"), "Two objects are called"),
        (renamed(objects_scene, 1, "../x"), "cannot be the name"),
        (replace(objects_scene, objects=objects_scene.objects[:1]), "ride on object 2, but the scene has 1"),
    ):
        with pytest.raises(OutputError, match=message):
            save_scene(wrong, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    unbound = replace(objects_scene.objects[1], binding=None)
    with pytest.raises(OutputError, match="deformable but has no particles"):
        save_scene(replace(objects_scene, objects=(objects_scene.objects[0], unbound)), tmp_path / "out")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("scene.yaml", "objects/blue_rope/splat.ply", "../splat.ply", "must be inside the scene folder"),
        ("scene.yaml", "name: blue rope", "name: ../x", "cannot be the name of an object"),
        ("scene.yaml", "name: blue rope", "name: Wooden block!", "Two objects are called"),
        ("scene.yaml", "blue_rope/collider.obj", "blue_rope/gone.obj", "gone.obj, which is missing"),
        ("scene.yaml", "filled: 5", "filled: 61", "61 of 60 splats were filled"),
        ("scene.yaml", "confidence: 0.9", "confidence: 9", "<= 1.0"),
        ("scene.yaml", "kind: deformable", "kind: liquid", "Invalid enum"),
        ("scene.yaml", "[0.3, -0.2, 0.1, 0.5", "[.nan, -0.2, 0.1, 0.5", "a pose that is none"),
        ("scene.yaml", "[0.3, -0.2, 0.1, 0.5", "[0.3, -0.2, 0.1, 7", "a pose that is none"),
        ("scene.yaml", "normal: [0.0, 0.0, 1.0]", "normal: [0.0, 0.0, 2.0]", "without a unit normal"),
        ("scene.yaml", "particles: objects/blue_rope/particles.npz", "particles: null", "without particles"),
        ("objects/blue_rope/body.yaml", "mass: 0.09", "mass: 0", "> 0"),
        ("objects/blue_rope/body.yaml", "mass: 0.09", "mass: .inf", "a number is not finite"),
        ("objects/blue_rope/body.yaml", "mass: 0.09", "weight: 0.09", "unknown field `weight`"),
        ("objects/blue_rope/collider.obj", "v ", "v 1 ", "line 1 is not of a mesh that scene3d wrote"),
        ("objects/blue_rope/collider.obj", "f 2 4 1", "f 2 4 99", "names vertex 98"),
        ("objects/blue_rope/collider.obj", "f 2 4 1", "f 2 4 0", "is damaged"),
        ("objects/blue_rope/collider.obj", "f 2 4 1", "mtllib x", "is not of a mesh that scene3d wrote"),
        ("objects/blue_rope/collider.obj", "v ", "v nan ", "is not of a mesh"),
    ],
)
def test_damaged_files(objects_scene: Scene, tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    out = save_scene(objects_scene, tmp_path / "out")
    text = (out / file).read_text()
    assert old in text
    (out / file).write_text(text.replace(old, new, 1))
    with pytest.raises(FileFormatError, match=message):
        load_scene(out)


def npz(path: Path, **changes: object) -> None:
    """The same archive with some arrays replaced; bytes replace a whole .npy, None leaves it out."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    for name, value in changes.items():
        buffer = io.BytesIO()
        if value is None:
            del entries[f"{name}.npy"]
            continue
        if not isinstance(value, bytes):
            np.save(buffer, value, allow_pickle=True)  # type: ignore[arg-type]
        entries[f"{name}.npy"] = value if isinstance(value, bytes) else buffer.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": None}, "no item named 'points.npy'"),
        ({"points": np.zeros((9, 3), np.float32)}, "points has type float32 where float64"),
        ({"points": np.zeros((9, 2))}, "need positions"),
        ({"points": np.array([object()])}, "points has type object"),
        ({"points": b"\x93NUMPY\x01\x00v\x00" + b"x" * 200}, "particles of its object"),
        ({"edges": np.array([[0, 99]], np.int32)}, "name particle 99"),
        ({"masses": np.full(9, np.nan)}, "finite"),
        ({"kind": np.array("gas")}, "where <U5 is expected"),
        ({"binding_indices": np.full((40, 4), 9, np.int32)}, "particles that do not exist"),
        ({"binding_weights": np.ones((40, 4), np.float32)}, "do not sum to 1"),
        ({"binding_weights": np.full((40, 4), np.nan, np.float32)}, "negative or not finite"),
    ],
)
def test_damaged_particles(objects_scene: Scene, tmp_path: Path, changes: dict[str, object], message: str) -> None:
    out = save_scene(objects_scene, tmp_path / "out")
    npz(out / "objects" / "blue_rope" / "particles.npz", **changes)
    with pytest.raises(FileFormatError, match=message):
        load_scene(out)


def test_headers_that_lie_take_no_memory(objects_scene: Scene, tmp_path: Path, little_memory) -> None:  # type: ignore[no-untyped-def]
    out = save_scene(objects_scene, tmp_path / "out")
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 3), }"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    npz(out / "objects" / "blue_rope" / "particles.npz", points=data)
    with little_memory(), pytest.raises(FileFormatError, match=r"shape \(1000000000, 3\), but has 0 bytes"):
        load_scene(out)
    path = out / "objects" / "blue_rope" / "particles.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("kind.npy", b"\0" * 100_000_000)
    with little_memory(), pytest.raises(FileFormatError, match="is compressed"):
        load_scene(out)


def test_a_link_in_the_place_of_an_object_is_not_followed(objects_scene: Scene, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "splat.ply").write_text("precious")
    out = save_scene(replace(objects_scene, objects=(), splats=objects_scene.splats[:60]), tmp_path / "out")
    (out / "objects").mkdir()
    (out / "objects" / "blue_rope").symlink_to(elsewhere)
    with pytest.raises(OutputError, match="is a link out of the scene folder"):
        save_scene(objects_scene, out, overwrite=True)
    assert (elsewhere / "splat.ply").read_text() == "precious"
    assert load_scene(out).objects == ()


def test_an_object_without_splats(objects_scene: Scene, tmp_path: Path) -> None:
    kept = objects_scene.splats[objects_scene.splats.component_index != 1]
    for splat_format in ("ply", "spz"):
        out = save_scene(replace(objects_scene, splats=kept), tmp_path / splat_format, splat_format=splat_format)  # type: ignore[arg-type]
        assert len(load_scene(out).splats) == 100


def test_scenes_of_version_2_are_read(objects_scene: Scene, tmp_path: Path) -> None:
    plain = replace(objects_scene, objects=(), supports=(), filled=0, splats=objects_scene.splats[:60])
    out = save_scene(plain, tmp_path / "out")
    text = (out / "scene.yaml").read_text()
    for line in ("filled: 0\n", "photos: ''\n", "supports: []\n", "objects: []\n"):
        assert line in text
        text = text.replace(line, "")
    (out / "scene.yaml").write_text(text.replace("version: 3", "version: 2"))
    after = load_scene(out)
    assert (len(after.splats), after.objects, after.supports, after.filled) == (60, (), (), 0)
