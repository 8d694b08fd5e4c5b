"""initial_conditions.json beside a stage: where an episode begins, by the names of prims.

The layout is that of PolaRiS: ``{"instruction": "", "poses": [{NAME: [x, y, z, qw, qx, qy, qz]}]}``, a list to which
variations may be added by hand, so a file with other poses is never replaced unasked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scene3d._errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["CONDITIONS", "check_conditions", "encode_conditions"]

CONDITIONS = "initial_conditions.json"


def encode_conditions(poses: Mapping[str, NDArray]) -> bytes:
    """The file's content for one begin.

    Args:
        poses: xyz [m] + wxyz of each body, shape (7,), by the name of its prim.
    """
    listed = {name: [float(value) for value in pose] for name, pose in poses.items()}
    document = {"instruction": "", "poses": [listed]}
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()


def check_conditions(path: Path, content: bytes, *, overwrite: bool) -> None:
    """See that what is there already may go.

    Raises:
        OutputError: It has other poses.
    """
    if overwrite or not path.exists():
        return
    same = path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
    if not same:
        raise OutputError(
            f"{path} is there already, with other poses. Pass --overwrite to replace it, or choose another folder."
        )
