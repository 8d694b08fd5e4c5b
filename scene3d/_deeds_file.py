"""Files of deeds -> `Deeds`: a list in YAML or JSON, or an npz of forces and paths step by step.

A list has one entry for each deed, with these keys and no others:

    - {push: can, force: [3, 0, 0], start: 0.5, seconds: 0.1}
    - {drop: mug, height: 0.1}
    - {move: box, times: [0.5, 1.5], poses: [[0.2, 0, 0.08], [0.3, 0.1, 0.08]]}

An npz has the arrays of a `dynamics.Action` (``wrench``, ``kinematic_target``), 240 steps a second, shape (1, T, nb, k)
or (T, nb, k), where nb counts the scene's objects, or all bodies of its world; ``driven`` names the objects that follow
the targets. What lies beyond the end of a rollout is left out.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from scene3d._deeds import FARTHEST, PUSH_SECONDS, STRONGEST, Deeds, Drop, Move, Push
from scene3d._errors import FileFormatError, Scene3dError, UsageError
from scene3d._scene_world import body_names

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d._scene import Scene

__all__ = ["load_deeds"]

LARGEST_TEXT, LARGEST_ARRAYS = 16 << 20, 1 << 28
"""Bytes."""
MOST = 10_000
WIDTHS = {"wrench": 6, "kinematic_target": 7}
MOST_OF = {"wrench": STRONGEST, "kinematic_target": FARTHEST}
"""Newtons and newton metres, metres."""
UNUSED = ("joint_target", "joint_velocity_target", "force_limit")
"""Parts of an action that drive joints; those of a scene aim at position 0."""


class _Push(msgspec.Struct, forbid_unknown_fields=True):
    push: str
    force: tuple[float, float, float]
    start: float = 0.0
    seconds: float = PUSH_SECONDS

    def deed(self) -> Push:
        return Push(self.push, self.force, self.seconds, self.start)


class _Drop(msgspec.Struct, forbid_unknown_fields=True):
    drop: str
    height: float

    def deed(self) -> Drop:
        return Drop(self.drop, self.height)


class _Move(msgspec.Struct, forbid_unknown_fields=True):
    move: str
    times: list[float]
    poses: list[list[float]]

    def deed(self) -> Move:
        return Move(self.move, tuple(self.times), tuple(tuple(pose) for pose in self.poses))


KINDS = {"push": _Push, "drop": _Drop, "move": _Move}


def load_deeds(path: Path | str, scene: Scene) -> Deeds:
    """Read a file of deeds.

    Args:
        path: Ends in .npz, .yaml, .yml or .json.
        scene: Whose objects it names.

    Raises:
        UsageError: The file is of no such kind, or names objects that the scene does not have.
        FileFormatError: It cannot be read, or holds what is no deed; the message says where.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".yaml", ".yml", ".json"):
        raise UsageError(f"Found --actions {path}; it takes a list of deeds in .yaml or .json, or an action in .npz.")
    if not path.is_file():
        raise FileFormatError(f"There is no file {path}.")
    return _from_npz(path, scene) if suffix == ".npz" else _from_text(path, scene)


def _from_text(path: Path, scene: Scene) -> Deeds:
    entries = _entries(path)
    if not isinstance(entries, list) or len(entries) > MOST:
        raise FileFormatError(f"{path} must hold a list of at most {MOST} deeds, e.g. - {{drop: mug, height: 0.1}}.")
    pushes, drops, moves = list[Push](), list[Drop](), list[Move]()
    for number, entry in enumerate(entries, 1):
        deed = _deed(entry, f"{path}, deed {number}")
        scene.index(deed.name)
        if isinstance(deed, Push):
            pushes.append(deed)
        elif isinstance(deed, Drop):
            drops.append(deed)
        else:
            moves.append(deed)
    return Deeds(pushes, drops, moves)


def _entries(path: Path) -> Any:
    from scene3d.files._scene_file import decode_yaml

    if path.suffix.lower() != ".json":
        return decode_yaml(path, "A list of deeds looks like - {drop: mug, height: 0.1}.")
    try:
        if path.stat().st_size > LARGEST_TEXT:
            raise FileFormatError(f"{path} is larger than {LARGEST_TEXT >> 20} MiB, which no list of deeds is.")
        return msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise FileFormatError(f"{path} is not valid JSON ({error}).") from error


def _deed(entry: Any, where: str) -> Push | Drop | Move:
    kinds = [kind for kind in KINDS if isinstance(entry, dict) and kind in entry]
    if len(kinds) != 1:
        raise FileFormatError(f"{where} is {str(entry)[:60]}; each has one of the keys push, drop and move.")
    try:
        return msgspec.convert(entry, KINDS[kinds[0]]).deed()
    except (msgspec.ValidationError, Scene3dError) as error:
        fields = ", ".join(KINDS[kinds[0]].__struct_fields__)
        raise FileFormatError(f"{where} is no {kinds[0]} ({fields}): {error}") from error


def _from_npz(path: Path, scene: Scene) -> Deeds:
    import torch

    from dynamics import Action

    arrays = _arrays(path)
    useless = [name for name in arrays if name in UNUSED]
    if useless:
        raise FileFormatError(
            f"{path} holds {', '.join(useless)}, which drive joints; a file of deeds says what is done to objects."
        )
    unknown = [name for name in arrays if name not in (*WIDTHS, "driven")]
    if unknown or not set(WIDTHS) & set(arrays):
        has = ", ".join(unknown or arrays) or "nothing"
        raise FileFormatError(f"{path} holds {has}; an action has wrench or kinematic_target, and driven.")
    driven = tuple(str(name) for name in np.atleast_1d(arrays.pop("driven", np.zeros(0, dtype="U1"))))
    for name in driven:
        scene.index(name)
    if ("kinematic_target" in arrays) != bool(driven):
        raise FileFormatError(f"{path} must hold both kinematic_target and driven, the names of the objects it moves.")
    parts: dict[str, Tensor] = {
        name: torch.from_numpy(_part(path, name, array, scene)) for name, array in arrays.items()
    }
    if "wrench" in parts:
        _check_forces(path, parts["wrench"], scene, driven)
    for name in driven:
        norm = parts["kinematic_target"][0, :, scene.index(name), 3:].norm(dim=-1)
        if bool(((norm - 1).abs() > 1e-2).any()):
            raise FileFormatError(f"{path}: the path of {name!r} has a quaternion whose length is not 1; it is wxyz.")
    return Deeds(action=Action(**parts), driven=driven)


def _check_forces(path: Path, wrench: Tensor, scene: Scene, driven: Sequence[str]) -> None:
    """Refuse forces on what does not heed them."""
    heeding = {thing.name for thing in scene.objects if thing.kind == "rigid" and thing.body.motion != "static"}
    for index in (wrench != 0).any(dim=3).any(dim=1)[0].nonzero()[:, 0].tolist():
        name = body_names(scene)[index]
        if name not in heeding or name in driven:
            why = "follows a path" if name in driven else "does not move here"
            raise UsageError(f"{path}: wrench pushes {name!r}, which {why}. Leave zeros there.")


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST_ARRAYS:
                raise FileFormatError(f"{path} unpacks to more than {LARGEST_ARRAYS >> 20} MiB, which no action does.")
        with np.load(path, allow_pickle=False) as archive:
            return {name: np.asarray(archive[name]) for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise FileFormatError(f"{path} cannot be read as an npz of an action ({error}).") from error


def _part(path: Path, name: str, array: NDArray[Any], scene: Scene) -> NDArray[np.float32]:
    """One world's, for all bodies (1, T, nb, k): what an array says of objects, zeros or identities for the rest."""
    objects, bodies, width = len(scene.objects), len(body_names(scene)), WIDTHS[name]
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    shaped = array.ndim == 3 and array.shape[1] in (objects, bodies) and array.shape[2] == width
    if not shaped or array.dtype.kind != "f" or not len(array):
        raise FileFormatError(
            f"{path}: {name} has shape {array.shape} and type {array.dtype}; it takes numbers of shape "
            f"(T, {objects}, {width}) for the objects, or (T, {bodies}, {width}) for all bodies."
        )
    if not np.isfinite(array).all():
        step, body = (int(i) for i in np.argwhere(~np.isfinite(array))[0][:2])
        raise FileFormatError(f"{path}: {name} of {body_names(scene)[body]!r} is not a number in step {step}.")
    if np.abs(array).max(initial=0) > MOST_OF[name]:
        raise FileFormatError(f"{path}: {name} holds {np.abs(array).max():.3g}; it takes up to {MOST_OF[name]:g}.")
    whole = np.zeros((1, len(array), bodies, width), dtype=np.float32)
    if name == "kinematic_target":
        whole[..., 3] = 1.0
    whole[0, :, : array.shape[1]] = array
    return whole
