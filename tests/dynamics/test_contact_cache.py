"""Contact geometry that is kept between runs: the same bits, and never a reason to fail."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import trimesh

from dynamics import Body, Material, TriangleMesh, _contact_cache, body_from_box, body_from_mesh
from dynamics import _distance_grid as grids
from dynamics._contact_cache import contact_cache, with_contact_geometry

WOOD = Material("wood", 600.0, 0.1, 0.4, 0.2, 0.3)


def rod(length: float = 0.2) -> Body:
    """Long and thin, so that its grid is small."""
    mesh = trimesh.creation.box((length, 0.02, 0.02))
    return body_from_mesh("rod", TriangleMesh(np.asarray(mesh.vertices), np.asarray(mesh.faces, dtype=np.int32)), WOOD)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each distance grid that is computed."""
    made: list[int] = []
    real = grids.distance_grid

    def counted(mesh: TriangleMesh) -> grids.DistanceGrid:
        made.append(1)
        return real(mesh)

    monkeypatch.setattr(grids, "distance_grid", counted)
    return made


def test_what_is_read_has_the_bits_of_what_was_computed(tmp_path: Path, calls: list[int]) -> None:
    plain, first, second = rod(), rod(), rod()
    with_contact_geometry([first], tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    shares: list[float] = []
    with_contact_geometry([second, body_from_box("table", (1.0, 1.0, 0.1), WOOD)], tmp_path, shares.append)
    assert len(calls) == 1
    assert shares == [0.5, 1.0]
    for body in (first, second):
        assert body.distance.values.tobytes() == plain.distance.values.tobytes()
        assert body.distance.origin.tobytes() == plain.distance.origin.tobytes()
        assert (body.distance.spacing, body.distance.values.shape) == (
            plain.distance.spacing,
            plain.distance.values.shape,
        )
        assert body.contact_points.tobytes() == plain.contact_points.tobytes()
        assert body.contact_points.dtype == plain.contact_points.dtype
    assert second.with_motion("static").distance is second.distance


def test_another_mesh_is_computed(tmp_path: Path, calls: list[int]) -> None:
    with_contact_geometry([rod(0.2), rod(0.21)], tmp_path)
    assert len(calls) == len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["short", "empty", "nan", "flat", "pickle", "missing"])
def test_damaged_files_are_computed_anew(tmp_path: Path, calls: list[int], damage: str) -> None:
    with_contact_geometry([rod()], tmp_path)
    (path,) = tmp_path.iterdir()
    with np.load(path) as archive:
        arrays = dict(archive.items())
    if damage == "short":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        arrays["values"] = {
            "nan": np.full_like(arrays["values"], np.nan),
            "flat": arrays["values"][0],
            "pickle": np.array([[[{}]]]),
            "missing": arrays["values"],
        }[damage]
        if damage == "missing":
            del arrays["points"]
        np.savez(path, allow_pickle=True, **arrays)
    again = rod()
    with_contact_geometry([again], tmp_path)
    assert len(calls) == 2
    assert np.isfinite(again.distance.values).all()
    with_contact_geometry([rod()], tmp_path)  # And written anew.
    assert len(calls) == 2


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path, calls: list[int]) -> None:
    (tmp_path / "file").write_text("in the way")
    with_contact_geometry([rod()], tmp_path / "file")
    assert len(calls) == 1


def test_old_files_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_contact_geometry([rod()], tmp_path)
    (old,) = tmp_path.iterdir()
    monkeypatch.setattr(_contact_cache, "ROOM", old.stat().st_size + 10)
    os.utime(old, (1, 1))
    with_contact_geometry([rod(0.21)], tmp_path)
    assert not old.exists()
    assert len(list(tmp_path.iterdir())) == 1


def test_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert contact_cache() == tmp_path / "scene3d" / "contact"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert contact_cache().is_absolute()
