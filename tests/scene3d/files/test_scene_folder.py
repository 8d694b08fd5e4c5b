"""Scene folders: exact round trips, one commit point, and everything that can go wrong around it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scene3d._camera import Camera
from scene3d._errors import CaptureError, FileFormatError, OutputError
from scene3d._gaussians import Gaussians
from scene3d._scene import Scene, SceneView
from scene3d.capture import DepthFile, View
from scene3d.files import load_scene, prepare_scene_folder, save_scene


def scene(count: int = 4, value: float = 0.0) -> Scene:
    splats = Gaussians.from_points(torch.full((count, 3), float(value)), torch.rand(count, 3), sigma=0.1)
    view = SceneView("images/0001.jpg", Camera.from_fov(64, 48, 1.0, torch.eye(4)), held_out=True)
    return Scene(splats, (view,), metric=True, source={"capture": "fox", "seed": 0}, metrics={"psnr": 31.5})


def value_of(folder: Path) -> float:
    return float(load_scene(folder).splats.means[0, 0])


def test_round_trip(tmp_path: Path) -> None:
    before = scene()
    assert before.save(tmp_path / "new" / "out") == tmp_path / "new" / "out"
    after = Scene.load(tmp_path / "new" / "out")
    assert torch.equal(after.splats.means, before.splats.means)
    assert (after.metric, after.up, after.source, after.metrics) == (
        True,
        (0.0, 0.0, 1.0),
        before.source,
        before.metrics,
    )
    assert (after.views[0].name, after.views[0].held_out) == ("images/0001.jpg", True)
    header = (tmp_path / "new" / "out" / "background" / "splat.ply").read_bytes()[:200]
    assert b"comment up axis 0 0 1" in header
    assert b"comment units m" in header


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from([np.float32, np.float64]), st.data())
def test_cameras_keep_every_bit(tmp_path: Path, dtype: type, data: st.DataObject) -> None:
    finite = hnp.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False)
    K, T = (torch.from_numpy(data.draw(hnp.arrays(dtype, (n, n), elements=finite))) for n in (3, 4))
    view = SceneView("a", Camera(3, 2, K, T))
    save_scene(replace(scene(), views=(view,)), tmp_path / "out", overwrite=True)
    (after,) = load_scene(tmp_path / "out").cameras
    assert torch.equal(after.K.double(), K.double())
    assert torch.equal(after.T_world_cam.double(), T.double())


def test_plain_values_of_other_libraries(tmp_path: Path) -> None:
    source = {"path": tmp_path, "seconds": np.float64(1.5), "loss": torch.tensor(0.5), "shared": [1], "again": [1]}
    save_scene(replace(scene(), source=source, metrics={"tiny": 1e-20}), tmp_path / "out")
    after = load_scene(tmp_path / "out")
    assert after.source["path"] == str(tmp_path)
    assert (after.source["seconds"], after.source["loss"]) == (1.5, 0.5)
    assert after.metrics["tiny"] == 1e-20


def test_existing_scene_needs_overwrite(tmp_path: Path) -> None:
    save_scene(scene(value=1), tmp_path / "out")
    for call in (lambda: save_scene(scene(value=2), tmp_path / "out"), lambda: prepare_scene_folder(tmp_path / "out")):
        with pytest.raises(OutputError, match=r"scene\.yaml exists; pass --overwrite, or choose another --out\."):
            call()
    assert value_of(tmp_path / "out") == 1
    save_scene(scene(value=2), tmp_path / "out", overwrite=True)
    assert value_of(tmp_path / "out") == 2


def test_other_folders_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="holds files that are no scene and will not be overwritten"):
        save_scene(scene(), tmp_path, overwrite=True)
    (tmp_path / "scene.yaml").write_text("name: a scene of some other program\n")
    with pytest.raises(OutputError, match="no scene"):
        save_scene(scene(), tmp_path, overwrite=True)
    with pytest.raises(OutputError, match="is a file"):
        save_scene(scene(), tmp_path / "thesis.tex", overwrite=True)


def test_prepared_folder_may_hold_other_outputs(tmp_path: Path) -> None:
    folder = prepare_scene_folder(tmp_path / "out")
    (folder / "report").mkdir()
    (folder / "report" / "index.html").write_text("")
    save_scene(scene(), folder)
    assert (folder / "report" / "index.html").exists()


def test_history_keeps_ten_and_their_files(tmp_path: Path) -> None:
    for value in range(14):
        save_scene(scene(value=value), tmp_path / "out", overwrite=True)
    kept = sorted((tmp_path / "out" / ".history").iterdir())
    assert [path.name for path in kept] == [f"{n:06d}.yaml" for n in range(4, 14)]
    assert len(list((tmp_path / "out" / "background").iterdir())) == 11
    assert len(list((tmp_path / "out").glob("cameras*.json"))) == 1  # They did not change.
    (tmp_path / "out" / "scene.yaml").write_bytes(kept[0].read_bytes())
    assert value_of(tmp_path / "out") == 3


KILLED_SAVE = """
import os, signal, sys
import torch
from scene3d import Gaussians, Scene
real, calls, last = os.replace, [], int(sys.argv[2])
def replace(source, target):
    calls.append(target)
    if len(calls) > last:
        os.kill(os.getpid(), signal.SIGKILL)
    real(source, target)
os.replace = replace
splats = Gaussians.from_points(torch.full((4, 3), 2.0), torch.rand(4, 3), sigma=0.1)
Scene(splats).save(sys.argv[1], overwrite=True)
"""


@pytest.mark.parametrize("renames", range(4))
def test_kill_in_mid_save_keeps_the_old_scene(tmp_path: Path, renames: int) -> None:
    """Renames in order: splats, cameras, history, scene.yaml, which is the commit."""
    out = tmp_path / "out"
    save_scene(scene(value=1), out)
    done = subprocess.run([sys.executable, "-c", KILLED_SAVE, str(out), str(renames)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert value_of(out) == 1
    save_scene(scene(value=3), out, overwrite=True)  # The dead process blocks nobody, and its leavings go.
    assert value_of(out) == 3
    assert len(list((out / "background").iterdir())) == 2
    assert not list(out.rglob("*.tmp"))
    assert len(list((out / ".history").iterdir())) == 1


def test_kill_in_first_save_leaves_a_folder_that_can_be_saved_to(tmp_path: Path) -> None:
    out = tmp_path / "out"
    subprocess.run([sys.executable, "-c", KILLED_SAVE, str(out), "1"], check=False)
    with pytest.raises(FileFormatError, match="not a scene folder"):
        load_scene(out)
    save_scene(scene(value=3), out)
    assert value_of(out) == 3


def test_second_writer_is_told(tmp_path: Path) -> None:
    import fcntl

    save_scene(scene(value=1), tmp_path / "out")
    with open(tmp_path / "out" / ".lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="Another process is writing"):
            save_scene(scene(value=2), tmp_path / "out", overwrite=True)
        assert value_of(tmp_path / "out") == 1
    save_scene(scene(value=2), tmp_path / "out", overwrite=True)


def test_full_disk_keeps_the_old_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_scene(scene(value=1), tmp_path / "out")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"disk is full: .* needs \d+\.\d MB.*--out"):
        save_scene(scene(value=2), tmp_path / "out", overwrite=True)
    monkeypatch.undo()
    assert value_of(tmp_path / "out") == 1


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "scene.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 3", "version: 5", "version 5, but this scene3d reads up to 4. Upgrade"),
        ("version: 3", "version: 3\ncolour: red", "unknown field `colour`"),
        ("units: m", "units: feet", "Invalid enum value 'feet'"),
        ("version: 3", "version: [1", "not valid YAML"),
        ("version: 3", "version: 3\nsource: !!python/object/apply:os.system [ls]", "not valid YAML"),
        ("capture: fox", "capture: &a [1]\n  b: *a", "uses YAML aliases"),
        ("background/splat.ply", "../splat.ply", "must be inside the scene folder"),
        ("background/splat.ply", "/etc/passwd", "must be inside the scene folder"),
        ("background/splat.ply", "link/splat.ply", "must be inside the scene folder"),
        ("background/splat.ply", "background/other.ply", "which is missing"),
    ],
)
def test_scene_files_that_are_not_read(tmp_path: Path, old: str, new: str, message: str) -> None:
    out = save_scene(scene(), tmp_path / "out")
    (out / "link").symlink_to(tmp_path)
    edit(out, old, new)
    with pytest.raises(FileFormatError, match=message):
        load_scene(out)


def test_damaged_scene_can_be_overwritten_and_loses_nothing(tmp_path: Path) -> None:
    out = save_scene(scene(value=1), tmp_path / "out")
    (out / "scene.yaml").write_text("version: [")
    save_scene(scene(value=2), out, overwrite=True)
    assert value_of(out) == 2
    assert (out / "background" / "splat.ply").exists()


@pytest.mark.parametrize("text", ["[", "{}", '[{"name": "a"}]', '[{"name": NaN}]'])
def test_damaged_cameras(tmp_path: Path, text: str) -> None:
    out = save_scene(scene(), tmp_path / "out")
    (out / "cameras.json").write_text(text)
    with pytest.raises(FileFormatError, match=r"cameras\.json is not a list of cameras"):
        load_scene(out)


def test_not_a_scene_folder(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="is not a scene folder"):
        load_scene(tmp_path / "absent")


def photo(path: Path, **fields: object) -> View:
    camera = Camera.from_fov(4032, 3024, 1.1, torch.eye(4))
    return View("images/0001.jpg", path, camera, **fields)  # type: ignore[arg-type]


def with_photo(view: View) -> Scene:
    before = scene()
    return replace(before, views=(replace(before.views[0], photo=view),))


def test_photos_are_remembered(tmp_path: Path) -> None:
    out = tmp_path / "out"
    depth = DepthFile(tmp_path / "d.png", 2e-4, 0.1, 4.0, out / "confidence.png", 2)
    fields = {"projection": "fisheye", "upright": True, "mask_mode": "alpha", "mask": out / "masks" / "1.png"}
    before = photo(tmp_path / "photos" / "1.jpg", distortion=(0.1, -0.2, 0.0, 1e-3), depth=depth, **fields)
    after = load_scene(save_scene(with_photo(before), out)).views[0].photo
    assert after is not None
    assert replace(after, camera=before.camera) == before
    assert (after.camera.width, after.camera.height) == (4032, 3024)
    assert torch.equal(after.camera.K, before.camera.K)
    assert torch.equal(after.camera.T_world_cam, before.camera.T_world_cam)


def test_depth_without_limit_and_photos_of_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = photo(Path("photos/1.jpg"), depth=DepthFile(Path("d.png")))
    after = load_scene(save_scene(with_photo(before), "out")).views[0].photo
    assert after is not None
    assert after.depth == DepthFile(tmp_path / "d.png")
    assert after.path == tmp_path / "photos" / "1.jpg"


def test_photos_in_the_scene_folder_move_with_it(tmp_path: Path) -> None:
    out = save_scene(with_photo(photo(tmp_path / "out" / "photos" / "1.jpg")), tmp_path / "out")
    moved = out.rename(tmp_path / "moved")
    (moved / "photos").mkdir()
    (moved / "photos" / "1.jpg").write_bytes(b"")
    assert [view.path for view in load_scene(moved).photos()] == [moved / "photos" / "1.jpg"]


def test_links_out_of_the_scene_folder_are_stored_as_they_lead(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_bytes(b"")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "photos").symlink_to(tmp_path / "photos")
    (tmp_path / "out" / ".lock").touch()
    out = save_scene(with_photo(photo(tmp_path / "out" / "photos" / "1.jpg")), tmp_path / "out")
    assert load_scene(out).photos()[0].path == out / "photos" / "1.jpg"


def test_photos_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="does not say where its photos are"):
        load_scene(save_scene(scene(), tmp_path / "old")).photos()
    after = load_scene(save_scene(with_photo(photo(tmp_path / "gone.jpg")), tmp_path / "out"))
    with pytest.raises(CaptureError, match=r"1 of the scene's 1 photos are gone, for example .*gone\.jpg"):
        after.photos()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"path":"', '"path":"../', "must be inside the scene folder"),
        ('"path":', '"size":3,"path":', "unknown field `size`"),
        ('"width":4032', '"width":0', ">= 1"),
    ],
)
def test_damaged_photo_records(tmp_path: Path, old: str, new: str, message: str) -> None:
    out = save_scene(with_photo(photo(tmp_path / "out" / "1.jpg")), tmp_path / "out")
    path = out / "cameras.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(FileFormatError, match=message):
        load_scene(out)


def test_scale_and_the_original_transform(tmp_path: Path) -> None:
    rows = ((0.5, 0.0, 0.0, 1.0), (0.0, 0.5, 0.0, 2.0), (0.0, 0.0, 0.5, 1 / 3), (0.0, 0.0, 0.0, 1.0))
    after = load_scene(save_scene(replace(scene(), scale_source="markers", T_world_source=rows), tmp_path / "out"))
    assert (after.scale_source, after.T_world_source) == ("markers", rows)


def test_scenes_of_version_1_are_read(tmp_path: Path) -> None:
    out = save_scene(scene(value=3), tmp_path / "out")
    edit(out, "version: 3", "version: 1")
    edit(out, "scale_source: ''\n", "")
    edit(out, "T_world_source: null\n", "")
    after = load_scene(out)
    assert (after.metric, after.scale_source, after.T_world_source) == (True, "", None)
    assert after.views[0].photo is None
    assert value_of(out) == 3
