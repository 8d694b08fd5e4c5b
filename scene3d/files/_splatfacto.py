"""nerfstudio's splatfacto checkpoints -> splats in the frame of the capture.

A checkpoint holds the splats as `_model.gauss_params.*` (older ones as `_model.*`) among optimizer states that are not
touched. torch loads it without executing anything (``weights_only``) and maps it from the disk. nerfstudio turns,
shifts and scales a capture before it fits; the numbers that undo this are in dataparser_transforms.json in the folder
of the run, and are undone when they are there. config.yml is a pickle in YAML and is never read.
"""

from __future__ import annotations

import math
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from scene3d._errors import FileFormatError
from scene3d._gaussians import SH_C0, Gaussians
from scene3d.files._packing import finite_or_refuse, read_bytes

if TYPE_CHECKING:
    from scene3d.capture._similarity import Similarity

__all__ = ["find_checkpoint", "load_splatfacto"]

PREFIXES = ("_model.gauss_params.", "_model.")
NAMES = ("means", "scales", "quats", "opacities", "features_dc", "features_rest")
TRANSFORMS = "dataparser_transforms.json"
MODELS = "nerfstudio_models"
UP = (0.0, 0.0, 1.0)
"""Where nerfstudio turns the cameras' mean up direction to."""


class _Transforms(msgspec.Struct):
    transform: tuple[tuple[float, float, float, float], ...]
    scale: float


def find_checkpoint(folder: Path) -> Path | None:
    """The newest step-*.ckpt of a run's folder, or of the nerfstudio_models folder in it; None without any."""
    found = [*folder.glob("step-*.ckpt"), *(folder / MODELS).glob("step-*.ckpt")]
    return max(found, key=lambda path: int((re.findall(r"\d+", path.stem) or ["0"])[-1]), default=None)


def load_splatfacto(
    path: Path | str,
) -> tuple[Gaussians, tuple[float, float, float] | None, tuple[str, ...]]:
    """Read a splatfacto checkpoint.

    Args:
        path: A .ckpt file, or the folder of a run, whose newest checkpoint is taken.

    Returns:
        Splats; the direction that nerfstudio took for up, in the same frame; and sentences about what was done.

    Raises:
        FileFormatError: No checkpoint of splatfacto, damaged, or one that would have to be executed.
    """
    path = Path(path)
    checkpoint = find_checkpoint(path) if path.is_dir() else path
    if checkpoint is None:
        raise FileFormatError(f"{path} holds no step-*.ckpt of nerfstudio. Give the folder of a run, or a .ckpt file.")
    splats = finite_or_refuse(checkpoint, _splats(checkpoint, _state(checkpoint)))
    folders = (checkpoint.parent, checkpoint.parent.parent)
    transforms = next((folder / TRANSFORMS for folder in folders if (folder / TRANSFORMS).is_file()), None)
    if transforms is None:
        return (
            splats,
            UP,
            (
                f"There is no {TRANSFORMS} beside the checkpoint, so the splats stay in nerfstudio's frame, turned, "
                "shifted and scaled against the capture.",
            ),
        )
    from scene3d.capture._similarity import transform_splats

    undo = _undo(transforms)
    note = (
        f"nerfstudio's frame was undone with {transforms.name} (lengths times {undo.scale:.6g}): the splats are in the "
        "frame of the capture's poses."
    )
    return transform_splats(splats, undo), undo.up(UP), (note,)


def _undo(path: Path) -> Similarity:
    """From nerfstudio's frame to the one of the capture."""
    from scene3d.capture._similarity import Similarity

    try:
        record = msgspec.json.decode(read_bytes(path), type=_Transforms)
        matrix = np.array(record.transform, np.float64)[:3]
        U, sizes, Vt = np.linalg.svd(matrix[:, :3])
        if np.abs(sizes - 1).max() > 1e-3 or np.linalg.det(U @ Vt) < 0:
            raise ValueError("its transform does not only turn and shift")
        # nerfstudio shifts before it scales.
        return Similarity(record.scale, U @ Vt, record.scale * matrix[:, 3]).inverse()
    except (msgspec.MsgspecError, ValueError, IndexError, np.linalg.LinAlgError) as error:
        raise FileFormatError(
            f"{path} is not what nerfstudio writes ({error}). Copy it again, or take it away to read the splats in "
            "nerfstudio's frame."
        ) from error


def _state(path: Path) -> dict[str, Any]:
    """The tensors of the pipeline by name; nothing of the file is executed."""
    import pickle

    import torch

    _check_archive(path)
    try:
        document = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        state = document["pipeline"]
        names = [str(name) for name in state]
    except pickle.UnpicklingError as error:
        raise FileFormatError(
            f"{path} holds more than numbers, and loading it would execute what it says; it is not read. Save the "
            "checkpoint again with plain tensors only."
        ) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{path} is no checkpoint of nerfstudio: it has no 'pipeline' of tensors.") from error
    except (OSError, RuntimeError, ValueError, EOFError, MemoryError, OverflowError, IndexError) as error:
        raise FileFormatError(f"{path} is a damaged checkpoint. Copy it again.") from error
    prefix = next((p for p in PREFIXES if all(p + name in names for name in NAMES)), None)
    if prefix is None:
        raise FileFormatError(
            f"{path} is a checkpoint of another method: it has no _model.gauss_params.means and so on. "
            "Checkpoints of splatfacto are read."
        )
    return {name: state[prefix + name] for name in NAMES}


def _check_archive(path: Path) -> None:
    """Refuse what is not a plain zip: mapping it then costs no memory, and no entry can unpack to more."""
    try:
        with zipfile.ZipFile(path) as archive:
            plain = all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise FileFormatError(
            f"{path} is no checkpoint that torch 1.6 or newer wrote, or is cut short. Copy it again."
        ) from error
    if not plain:
        raise FileFormatError(f"{path} is a compressed archive, which torch never writes. Save the checkpoint again.")


def _splats(path: Path, state: dict[str, Any]) -> Gaussians:
    import torch

    budget = path.stat().st_size
    for name, tensor in state.items():
        # Strides of zero let a few bytes look like any size; copying would make them real.
        if not torch.is_tensor(tensor) or not tensor.is_floating_point() or tensor.numel() > budget:
            raise FileFormatError(f"{path}: {name} is not an array of numbers that the file can hold. Copy it again.")
    n = len(state["means"])
    shapes = {"means": (n, 3), "scales": (n, 3), "quats": (n, 4), "opacities": (n, 1)}
    rest = state["features_rest"]
    count = rest.shape[1] if rest.ndim == 3 else -1
    fits = all(tuple(state[name].shape) == shape for name, shape in shapes.items())
    if not fits or state["features_dc"].numel() != 3 * n or tuple(rest.shape) != (n, count, 3):
        found = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in state.items())
        raise FileFormatError(f"{path}: the arrays do not belong to the same splats ({found}). Copy it again.")
    if count not in (0, 3, 8, 15):
        degree = math.isqrt(count + 1) - 1
        raise FileFormatError(f"{path} has SH of degree {degree} ({count} coefficients); degrees 0 to 3 are read.")
    values = {name: tensor.detach().float().clone() for name, tensor in state.items()}
    dc = values["features_dc"].reshape(n, 1, 3)
    return Gaussians.create(
        means=values["means"],
        quats=values["quats"],
        scales=values["scales"],
        opacities=values["opacities"][:, 0],
        # Fitted without SH, splatfacto stores the logit of the colour instead.
        sh0=dc if count else (dc.sigmoid() - 0.5) / SH_C0,
        shN=values["features_rest"],
    )
