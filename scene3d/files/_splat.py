"""The .splat format <-> splats: 32 bytes each, no header, no SH.

A row holds position and linear standard deviations as float32, the colour of degree 0 and the opacity as four bytes,
and the rotation as four bytes wxyz, (b - 128) / 128. Axes are those of the 3DGS PLY that it was made from. Viewers
show splats in file order while a file loads, so rows are written with the most visible first.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scene3d._errors import FileFormatError
from scene3d._gaussians import SH_C0, Gaussians
from scene3d.files._atomic import make_folder, write_atomic
from scene3d.files._packing import finite_or_refuse, logits_of_bytes, read_bytes, require_finite

__all__ = ["load_splat", "save_splat"]

ROW = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)])
SMALLEST = 1e-10
"""Standard deviation that a stored 0 becomes, since its logarithm must be finite."""


def load_splat(path: Path | str) -> Gaussians:
    """Read a .splat file.

    Args:
        path: The file.

    Raises:
        FileFormatError: Its size is no multiple of 32 bytes, or it holds NaN or negative sizes.
    """
    import torch

    path = Path(path)
    data = read_bytes(path)
    if len(data) % ROW.itemsize:
        raise FileFormatError(
            f"{path} has {len(data)} bytes, which is no multiple of the {ROW.itemsize} that each splat of a .splat "
            "file takes. It is cut short or of another kind."
        )
    rows = np.frombuffer(data, ROW)
    quats = (rows["quat"].astype(np.float32) - 128) / 128
    with np.errstate(invalid="ignore"):
        scales = np.log(np.where(rows["scale"] == 0, np.float32(SMALLEST), rows["scale"]))
    splats = Gaussians.create(
        means=torch.from_numpy(rows["mean"].copy()),
        quats=torch.from_numpy(quats),
        scales=torch.from_numpy(scales),
        opacities=torch.from_numpy(logits_of_bytes(rows["rgba"][:, 3])),
        sh0=torch.from_numpy((rows["rgba"][:, :3].astype(np.float32) / 255 - np.float32(0.5)) / np.float32(SH_C0))[
            :, None, :
        ],
    )
    return finite_or_refuse(path, splats)


def save_splat(splats: Gaussians, path: Path | str) -> tuple[str, ...]:
    """Write a .splat file, whole or not at all.

    Args:
        splats: What to write.
        path: Target; replaced when it exists.

    Returns:
        Sentences about what the format could not hold.

    Raises:
        OutputError: Splats hold NaN, or the file cannot be written.
    """
    import torch

    path = Path(path)
    require_finite(splats, path)
    values = splats.detach().to("cpu", torch.float32)
    scales = values.scales.clamp(-20, 20).exp()
    colors = 0.5 + SH_C0 * values.sh0[:, 0]
    opacity = values.opacities.sigmoid()
    rows = np.empty(len(splats), ROW)
    rows["mean"] = values.means.numpy()
    rows["scale"] = scales.numpy()
    rows["rgba"] = (torch.cat([colors, opacity[:, None]], dim=1).clamp(0, 1) * 255).round().byte().numpy()
    quats = torch.nn.functional.normalize(values.quats, dim=1)
    rows["quat"] = (quats * 128 + 128).round().clamp(0, 255).byte().numpy()
    order = (opacity * scales.prod(dim=1)).argsort(descending=True, stable=True).numpy()
    make_folder(path.parent)
    write_atomic(path, [rows.view("<u8").reshape(-1, 4)[order].tobytes()])
    notes = ["Colours, opacities and rotations were rounded to 8 bits; splats were sorted, the most visible first."]
    if splats.sh_degree:
        notes.append(f"SH of degree 1 to {splats.sh_degree} was lost: colours no longer depend on the view.")
    outside = int(((colors < 0) | (colors > 1)).any(dim=1).sum())
    if outside:
        notes.append(f"{outside} of {len(splats)} splats had colours outside 0 to 1, which were cut.")
    return tuple(notes)
