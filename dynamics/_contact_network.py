"""The contact network: two small perceptrons that correct the solver, contact by contact.

The first sees each contact before the solve and returns residuals that enter the solver; the second sees what the solver
did as well and returns an impulse. Each encodes every contact, sums the codes over the contacts of each body (one round
of pooling), and decodes contact and sums together. Weights carry a leading axis of E members; outputs are their mean,
which makes an ensemble one model. The decoders' last layers start at zero: an untrained network is plain physics.
Outputs are made mirror-symmetric exactly, by evaluating every contact and its mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynamics._contact_features import AFTER, BEFORE, MIRROR_AFTER, MIRROR_BEFORE
from dynamics._errors import FileFormatError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from dynamics._contacts import Contacts

__all__ = ["ContactNetwork", "Residuals", "impulse_residuals", "make_network", "solver_residuals", "stacked"]

WIDTH = 40
"""Hidden units of every layer."""
FRICTION_RANGE = 1.2
"""Largest change of log friction."""
RESTITUTION_RANGE = 3.0
"""Largest change of logit restitution."""
GAP_RANGE = 0.08
"""Largest change of a gap, in gyration radii."""
SHIFT_RANGE = 0.3
"""Largest shift of the point where the impulse acts, in gyration radii."""
IMPULSE_SCALE = 0.2
"""What an output of 1 means, in m sqrt(g l)."""
SHARE_A, SHARE_B = BEFORE.index("share_a"), BEFORE.index("share_b")
OUTPUTS = {"before": 5, "after": 4}
MIRROR_RESIDUALS = (1.0, 1.0, 1.0, 1.0, -1.0)
MIRROR_IMPULSE = (1.0, -1.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class ContactNetwork:
    """Weights by name, each with a leading axis of E members."""

    weights: Mapping[str, Tensor]
    """``before.encode1.weight`` (E, in, out), ``before.encode1.bias`` (E, 1, out) and so on."""

    def __post_init__(self) -> None:
        expected = _shapes()
        members = {int(value.shape[0]) for value in self.weights.values() if value.ndim == 3}
        found = {name: tuple(value.shape[1:]) for name, value in self.weights.items()}
        if found != expected or len(members) != 1:
            wrong = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
            what = f"{wrong[0]} is {found.get(wrong[0])}, not {expected.get(wrong[0])}" if wrong else "mixed ensembles"
            raise FileFormatError(f"These weights belong to another contact network ({what}). Train again.")

    @property
    def members(self) -> int:
        """How many networks are averaged."""
        return int(next(iter(self.weights.values())).shape[0])

    @property
    def size(self) -> int:
        """Parameters of one member."""
        return sum(value.numel() for value in self.weights.values()) // self.members


@dataclass(frozen=True, eq=False)
class Residuals:
    """What enters the solver, shape (B, C) but for `shift`."""

    log_friction: Tensor
    """Added to the logarithm of friction."""
    logit_restitution: Tensor
    """Added to the logit of restitution."""
    gap: Tensor
    """Added to gaps, in gyration radii."""
    shift: Tensor
    """Of the point where the impulse acts, along slip direction and binormal, in gyration radii, (B, C, 2)."""
    spread: Tensor
    """Disagreement of the members: root mean square of their standard deviations over the outputs' ranges."""


def make_network(seed: int) -> ContactNetwork:
    """One member with random codes and zero outputs."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}
    for name, shape in _shapes().items():
        last = ".decode2." in name
        if name.endswith("bias") or last:
            weights[name] = torch.zeros(1, *shape)
        else:
            bound = shape[0] ** -0.5
            weights[name] = (2 * torch.rand(1, *shape, generator=generator) - 1) * bound
    return ContactNetwork(weights)


def stacked(networks: Sequence[ContactNetwork]) -> ContactNetwork:
    """Several networks as one ensemble."""
    import torch

    names = list(networks[0].weights)
    return ContactNetwork({name: torch.cat([network.weights[name] for network in networks]) for name in names})


def solver_residuals(network: ContactNetwork, features: Tensor, contacts: Contacts, bodies: int) -> Residuals:
    """Residuals of friction, restitution, gap and point of attack.

    Args:
        network: Weights.
        features: From `before_features`, shape (B, C, len(BEFORE)).
        contacts: The contacts, to know which bodies they join.
        bodies: How many bodies a world has.
    """
    import torch

    out = torch.tanh(_symmetric(network, "before", features, MIRROR_BEFORE, MIRROR_RESIDUALS, contacts, bodies))
    mean = out.mean(0)
    spread = out.var(0, correction=0).mean(-1).sqrt() if len(out) > 1 else torch.zeros_like(mean[..., 0])
    return Residuals(
        FRICTION_RANGE * mean[..., 0],
        RESTITUTION_RANGE * mean[..., 1],
        GAP_RANGE * mean[..., 2],
        SHIFT_RANGE * mean[..., 3:],
        spread,
    )


def impulse_residuals(network: ContactNetwork, features: Tensor, contacts: Contacts, bodies: int) -> Tensor:
    """Impulses along slip direction, binormal and normal in m sqrt(g l), shape (B, C, 3).

    Args:
        network: Weights.
        features: From `before_features` and `after_features`, joined.
        contacts: The contacts.
        bodies: How many bodies a world has.
    """
    import torch

    mirror = (*MIRROR_BEFORE, *MIRROR_AFTER)
    out = _symmetric(network, "after", features, mirror, MIRROR_IMPULSE, contacts, bodies)
    return (IMPULSE_SCALE * out[..., :3] * torch.sigmoid(out[..., 3:])).mean(0)


def _symmetric(
    network: ContactNetwork,
    part: str,
    features: Tensor,
    mirror: tuple[float, ...],
    mirror_out: tuple[float, ...],
    contacts: Contacts,
    bodies: int,
) -> Tensor:
    """Mean of the outputs for contacts and for their mirror images, mirrored back, shape (E, B, C, out)."""
    import torch

    both = torch.stack([features, features * features.new_tensor(mirror)])
    out = _network(network, part, both, contacts, bodies)
    return 0.5 * (out[:, 0] + out[:, 1] * out.new_tensor(mirror_out))


def _network(network: ContactNetwork, part: str, features: Tensor, contacts: Contacts, bodies: int) -> Tensor:
    """Encode, pool over bodies, decode: (2, B, C, F) -> (E, 2, B, C, out)."""
    import torch

    silu = torch.nn.functional.silu
    code = features.expand(network.members, *features.shape)
    code = silu(_layer(network, f"{part}.encode1", code))
    code = silu(_layer(network, f"{part}.encode2", code)) * contacts.used[..., None]
    pooled = code.new_zeros(*code.shape[:3], bodies, code.shape[-1])
    a = contacts.body_a.long()[..., None].expand(code.shape)
    b = contacts.body_b.long()[..., None].expand(code.shape)
    pooled = 0.5 * pooled.scatter_add(3, a, code).scatter_add(3, b, code)
    # Shares are 0 for a side that cannot move: what lies elsewhere on a table says nothing about this contact.
    share_a, share_b = features[..., SHARE_A : SHARE_A + 1], features[..., SHARE_B : SHARE_B + 1]
    code = torch.cat([code, pooled.gather(3, a) * share_a + pooled.gather(3, b) * share_b], dim=-1)
    return _layer(network, f"{part}.decode2", silu(_layer(network, f"{part}.decode1", code)))


def _layer(network: ContactNetwork, name: str, x: Tensor) -> Tensor:
    shape = x.shape
    out = x.reshape(shape[0], -1, shape[-1]) @ network.weights[f"{name}.weight"] + network.weights[f"{name}.bias"]
    return out.reshape(*shape[:-1], out.shape[-1])


def _shapes() -> dict[str, tuple[int, int]]:
    inputs = {"before": len(BEFORE), "after": len(BEFORE) + len(AFTER)}
    shapes: dict[str, tuple[int, int]] = {}
    for part, width in inputs.items():
        layers = {
            "encode1": (width, WIDTH),
            "encode2": (WIDTH, WIDTH),
            "decode1": (2 * WIDTH, WIDTH),
            "decode2": (WIDTH, OUTPUTS[part]),
        }
        for name, shape in layers.items():
            shapes[f"{part}.{name}.weight"] = shape
            shapes[f"{part}.{name}.bias"] = (1, shape[1])
    return shapes
