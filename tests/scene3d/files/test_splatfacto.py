"""splatfacto checkpoints: nerfstudio's layouts, its frame undone, and checkpoints that want to be executed."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scene3d import Gaussians
from scene3d._errors import FileFormatError
from scene3d.capture._similarity import Similarity, transform_splats
from scene3d.files import load_splats

from .conftest import degrees, largest, seeded


def checkpoint(splats: Gaussians, prefix: str = "_model.gauss_params.") -> dict[str, Any]:
    """What nerfstudio's trainer saves."""
    params = {
        "means": splats.means,
        "scales": splats.scales,
        "quats": splats.quats,
        "features_dc": splats.sh0[:, 0],
        "features_rest": splats.shN,
        "opacities": splats.opacities[:, None],
    }
    optimizer = torch.optim.Adam([torch.nn.Parameter(splats.means.clone())])
    return {
        "step": 29_999,
        "pipeline": {f"{prefix}{name}": value for name, value in params.items()} | {"_model.device_indicator": None},
        "optimizers": {"means": optimizer.state_dict()},
        "schedulers": {"means": {"base_lrs": [1.6e-4], "last_epoch": 3, "lr_lambdas": [None]}},
        "scalers": {"scale": 65536.0},
    }


def run_folder(path: Path, splats: Gaussians, step: int = 29_999) -> Path:
    models = path / "nerfstudio_models"
    models.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint(splats), models / f"step-{step:09d}.ckpt")
    return path


@pytest.mark.parametrize("prefix", ["_model.gauss_params.", "_model."])
@pytest.mark.parametrize("degree", [1, 3])
def test_layouts_of_nerfstudio(tmp_path: Path, prefix: str, degree: int) -> None:
    before = seeded(40, degree)
    torch.save(checkpoint(before, prefix), tmp_path / "step-000029999.ckpt")
    found = load_splats(tmp_path / "step-000029999.ckpt")
    assert (found.format, found.up) == ("splatfacto", (0.0, 0.0, 1.0))
    assert "stay in nerfstudio's frame" in found.notes[0]
    for name in ("means", "quats", "scales", "opacities", "sh0", "shN"):
        assert largest(getattr(before, name), getattr(found.splats, name)) == 0


def test_without_sh_the_colour_is_a_logit(tmp_path: Path) -> None:
    before = seeded(10, 0)
    torch.save(checkpoint(before), tmp_path / "a.ckpt")
    after = load_splats(tmp_path / "a.ckpt").splats
    assert largest(0.5 + 0.28209479 * after.sh0, before.sh0.sigmoid()) < 1e-6


def test_the_newest_checkpoint_of_a_run_in_the_frame_of_the_capture(tmp_path: Path) -> None:
    from scipy.spatial.transform import Rotation

    in_capture = seeded(60, 3)
    R = Rotation.from_rotvec([0.4, -1.1, 0.3]).as_matrix()
    t, scale = np.array([0.5, -2.0, 3.0]), 0.37
    # nerfstudio: p' = scale (R p + t).
    fitted = transform_splats(in_capture, Similarity(scale, R, scale * t))
    run_folder(tmp_path / "run", seeded(5, 3), 2_000)
    folder = run_folder(tmp_path / "run", fitted, 10_000)
    rows = np.float32(np.concatenate([R, t[:, None]], axis=1)).tolist()
    (folder / "dataparser_transforms.json").write_text(json.dumps({"transform": rows, "scale": scale}))
    for path in (folder, folder / "nerfstudio_models", folder / "nerfstudio_models" / "step-000010000.ckpt"):
        found = load_splats(path)
        assert "nerfstudio's frame was undone" in found.notes[0]
        assert "2.7027" in found.notes[0]
        assert largest(in_capture.means, found.splats.means) < 1e-5
        assert largest(in_capture.scales, found.splats.scales) < 1e-5
        assert largest(in_capture.shN, found.splats.shN) < 1e-5
        assert degrees(in_capture, found.splats) < 1e-3
        assert found.up == pytest.approx(tuple(R.T @ [0, 0, 1]), abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[",
        '{"transform": [[1, 0, 0, 0]], "scale": 1}',
        '{"transform": [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]], "scale": 1}',
        '{"transform": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], "scale": -1}',
    ],
)
def test_damaged_transforms(tmp_path: Path, text: str) -> None:
    folder = run_folder(tmp_path / "run", seeded(5))
    (folder / "dataparser_transforms.json").write_text(text)
    with pytest.raises(FileFormatError, match=r"dataparser_transforms\.json is not what nerfstudio writes"):
        load_splats(folder)


class Executed:
    """Pickles to a call, as a malicious checkpoint would."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return (os.mkdir, (str(self.path),))


def test_a_checkpoint_that_wants_to_be_executed(tmp_path: Path) -> None:
    state = checkpoint(seeded(5)) | {"extra": Executed(tmp_path / "owned")}
    torch.save(state, tmp_path / "a.ckpt")
    with pytest.raises(FileFormatError, match="holds more than numbers, and loading it would execute"):
        load_splats(tmp_path / "a.ckpt")
    assert not (tmp_path / "owned").exists()


def test_arrays_that_only_look_large(tmp_path: Path, little_memory: Callable[..., Any]) -> None:
    state = checkpoint(seeded(5, 0))
    wide = {"means": 3, "scales": 3, "quats": 4, "opacities": 1, "features_dc": 3}
    for name, width in wide.items():
        state["pipeline"][f"_model.gauss_params.{name}"] = torch.zeros(1, width).expand(10**10, width)
    torch.save(state, tmp_path / "a.ckpt")
    with little_memory(), pytest.raises(FileFormatError, match="not an array of numbers that the file can hold"):
        load_splats(tmp_path / "a.ckpt")


def test_checkpoints_that_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(FileFormatError, match=r"no checkpoint that torch 1\.6 or newer wrote"):
        load_splats(path)
    torch.save({"pipeline": {"_model.field.weight": torch.zeros(3)}}, path)
    with pytest.raises(FileFormatError, match="is a checkpoint of another method"):
        load_splats(path)
    torch.save([1, 2], path)
    with pytest.raises(FileFormatError, match="is no checkpoint of nerfstudio"):
        load_splats(path)
    state = checkpoint(seeded(5))
    state["pipeline"]["_model.gauss_params.quats"] = torch.zeros(4, 4)
    torch.save(state, path)
    with pytest.raises(FileFormatError, match=r"do not belong to the same splats .*quats \(4, 4\)"):
        load_splats(path)
    state = checkpoint(seeded(5))
    state["pipeline"]["_model.gauss_params.features_rest"] = torch.zeros(5, 24, 3)
    torch.save(state, path)
    with pytest.raises(FileFormatError, match="has SH of degree 4"):
        load_splats(path)
    state = checkpoint(seeded(5))
    state["pipeline"]["_model.gauss_params.means"][2, 0] = float("nan")
    torch.save(state, path)
    with pytest.raises(FileFormatError, match="1 of 5 splats hold NaN"):
        load_splats(path)


def test_cut_and_compressed_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    torch.save(checkpoint(seeded(500)), path)
    data = path.read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(data[: len(data) // 2])
    with pytest.raises(FileFormatError, match="cut short"):
        load_splats(tmp_path / "cut.ckpt")
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "b.ckpt", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    with pytest.raises(FileFormatError, match="is a compressed archive"):
        load_splats(tmp_path / "b.ckpt")


def test_a_folder_without_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="is a folder without splats"):
        load_splats(tmp_path)
