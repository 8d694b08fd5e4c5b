# pyright: basic
"""A network that predicts tosses without any physics: what physics is worth is judged against it.

It knows neither gravity nor contacts nor the shape: from height, tilt and velocities, all in the body's own axes, a
plain perceptron gives the change of the velocities within a step, which then move the pose. In the body's axes only the
upward direction is left of the orientation, so that predictions turn with the toss about the vertical and shift with it
along the table exactly. Velocities are backward differences, as recorded. The networks of all folds are one set of
tensors with a leading axis, each with the hashes of the tosses that it has seen; `dynamics._train_free` makes them.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import FileFormatError, UsageError
from dynamics._integrate import quaternion_of_turn
from dynamics._tosses import toss_hash
from dynamics.poses import multiply

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._tosses import Toss

__all__ = [
    "FreeNetworks",
    "free_network_predict",
    "free_step",
    "layer_shapes",
    "load_free_networks",
    "save_free_networks",
]

WIDTH = 92
"""Hidden units of each of the three layers."""
INPUTS, OUTPUTS = 10, 6
UNITS = ("mean_height", "height", "speed", "turn", "speed_change", "turn_change")
VERSION = "1"
LARGEST_FILE = 16 << 20
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FreeNetworks:
    """E networks and what each has seen."""

    weights: Mapping[str, Tensor]
    """``layer1.weight`` (E, in, out), ``layer1.bias`` (E, 1, out) and so on."""
    units: Tensor
    """What inputs and outputs are divided by, in the order of `UNITS`: statistics of the training tosses, (E, 6)."""
    dt: float
    """Length of a step [s]."""
    seen: tuple[frozenset[str], ...]
    """Hashes of the tosses that each network was trained on, as from `toss_hash`."""

    def __len__(self) -> int:
        return len(self.seen)

    @property
    def size(self) -> int:
        """Parameters of one network."""
        return sum(value[0].numel() for value in self.weights.values())

    def unseen(self, toss: Toss) -> int | None:
        """The first network that has not seen a toss; None if every one has."""
        name = toss_hash(toss)
        return next((k for k, seen in enumerate(self.seen) if name not in seen), None)

    def only(self, index: int) -> FreeNetworks:
        """One of the networks."""
        part = slice(index, index + 1)
        weights = {name: value[part] for name, value in self.weights.items()}
        return FreeNetworks(weights, self.units[part], self.dt, self.seen[part])


def free_step(
    networks: FreeNetworks, pose: Tensor, twist: Tensor, mirror: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Poses and velocities a step later.

    Args:
        networks: E networks.
        pose: xyz [m] + wxyz, shape (E, N, 7); the table is at height 0.
        twist: Backward differences: velocity of the origin [m/s], angular velocity [rad/s], world axes, (E, N, 6).
        mirror: Orthogonal matrices that leave the body as it is; bodies are seen through them, shape (E, N, 3, 3).
    """
    import torch

    wxyz = pose[..., 3:]
    up = torch.zeros_like(pose[..., :3])
    up[..., 2] = 1.0
    inverse = wxyz * wxyz.new_tensor([1.0, -1.0, -1.0, -1.0])
    local = _turned(inverse, torch.stack([up, twist[..., :3], twist[..., 3:]], dim=-2))
    signs = torch.ones_like(local[..., :2, :1])
    if mirror is not None:
        # Angular velocities change their sign in a mirror, other vectors do not.
        handed = torch.linalg.det(mirror)
        signs = torch.stack([torch.ones_like(handed), handed], dim=-1)[..., None]
        local = local @ mirror.transpose(-1, -2) * signs[..., [0, 0, 1], :]
    mean, height, speed, turn, speed_change, turn_change = networks.units[:, None].unbind(-1)
    features = [(pose[..., 2] - mean) / height, *local[..., 0, :].unbind(-1)]
    features += [*(local[..., 1, :] / speed[..., None]).unbind(-1), *(local[..., 2, :] / turn[..., None]).unbind(-1)]
    out = _network(networks.weights, torch.stack(features, dim=-1)).unflatten(-1, (2, 3))
    if mirror is not None:
        out = (out * signs) @ mirror
    change = _turned(wxyz, out * torch.stack([speed_change, turn_change], dim=-1)[..., None])
    twist = twist + change.flatten(-2)
    turned = multiply(quaternion_of_turn(twist[..., 3:] * networks.dt), wxyz)
    xyz = pose[..., :3] + twist[..., :3] * networks.dt
    return torch.cat([xyz, torch.nn.functional.normalize(turned, dim=-1)], dim=-1), twist


def free_network_predict(networks: FreeNetworks, tosses: Sequence[Toss]) -> list[Array]:
    """Poses of each toss, (T, 7), from its first frame, by the first network that has not seen it.

    Args:
        networks: Those of the folds. A toss that all of them have seen is predicted by the first one.
        tosses: What to predict. Only first frames and lengths are looked at.

    Raises:
        UsageError: Tosses have another time step than those that the networks were trained on.
    """
    import torch

    found: list[Array | None] = [None] * len(tosses)
    for toss in tosses:
        if abs(toss.dt - networks.dt) > 1e-3 * networks.dt:
            raise UsageError(
                f"A toss has steps of {toss.dt:.5g} s, but the network without physics was trained on steps of "
                f"{networks.dt:.5g} s. Train it on such tosses."
            )
    chosen = [networks.unseen(toss) or 0 for toss in tosses]
    for k in sorted(set(chosen)):
        mine = [i for i, choice in enumerate(chosen) if choice == k]
        one = networks.only(k)
        pose = torch.tensor(np.stack([tosses[i].T_world_body[0] for i in mine]), dtype=torch.float32)[None]
        twist = torch.tensor(np.stack([tosses[i].twist[0] for i in mine]), dtype=torch.float32)[None]
        path = [pose[0]]
        with torch.no_grad():
            for _ in range(max(len(tosses[i]) for i in mine) - 1):
                pose, twist = free_step(one, pose, twist)
                path.append(pose[0])
        poses = torch.stack(path, dim=1).double().numpy()
        for place, i in enumerate(mine):
            found[i] = poses[place, : len(tosses[i])]
    return [poses for poses in found if poses is not None]


def save_free_networks(path: Path, networks: FreeNetworks) -> None:
    """Write networks as safetensors; an existing file is replaced at once."""
    from safetensors.torch import save_file

    about = {
        "version": VERSION,
        "dt": repr(networks.dt),
        "tosses": json.dumps([sorted(seen) for seen in networks.seen]),
    }
    tensors = {**networks.weights, "units": networks.units}
    part = path.with_suffix(".part")
    save_file({name: value.detach().contiguous().clone() for name, value in tensors.items()}, part, metadata=about)
    os.replace(part, path)


def load_free_networks(path: Path | str) -> FreeNetworks:
    """Read what `save_free_networks` wrote.

    Raises:
        FileFormatError: The file cannot be read, or belongs to another version or another network.
    """
    from safetensors import safe_open

    try:
        if Path(path).stat().st_size > LARGEST_FILE:
            raise FileFormatError(f"{path} is larger than {LARGEST_FILE >> 20} MiB, which is no network of tosses.")
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}
        dt = float(about.get("dt", "nan"))
        seen = tuple(frozenset(str(name) for name in names) for names in json.loads(about.get("tosses", "[]")))
    except FileFormatError:
        raise
    except Exception as error:
        # The reader raises its own kinds for each way in which a file can be damaged.
        raise FileFormatError(f"{path} cannot be read as weights of a network without physics ({error}).") from error
    expected: dict[str, tuple[int, ...]] = {name: (len(seen), *shape) for name, shape in layer_shapes().items()}
    expected["units"] = (len(seen), len(UNITS))
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    if about.get("version") != VERSION or not 0 < dt <= 0.1 or not seen or found != expected:
        raise FileFormatError(f"{path} belongs to another version of the network without physics. Train again.")
    return FreeNetworks(tensors, tensors.pop("units"), dt, seen)


def layer_shapes() -> dict[str, tuple[int, int]]:
    """Shapes of the tensors of one network, by name."""
    sizes = (INPUTS, WIDTH, WIDTH, WIDTH, OUTPUTS)
    shapes: dict[str, tuple[int, int]] = {}
    for k, (wide, out) in enumerate(itertools.pairwise(sizes), start=1):
        shapes[f"layer{k}.weight"], shapes[f"layer{k}.bias"] = (wide, out), (1, out)
    return shapes


def _network(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
    import torch

    for k in (1, 2, 3):
        x = torch.nn.functional.silu(torch.baddbmm(weights[f"layer{k}.bias"], x, weights[f"layer{k}.weight"]))
    return torch.baddbmm(weights["layer4.bias"], x, weights["layer4.weight"])


def _turned(wxyz: Tensor, vectors: Tensor) -> Tensor:
    """Vectors (..., n, 3) turned by unit quaternions (..., 4)."""
    import torch

    w, u = wxyz[..., None, :1], wxyz[..., None, 1:].expand_as(vectors)
    across = 2 * torch.linalg.cross(u, vectors)
    return vectors + w * across + torch.linalg.cross(u, across)
