"""The contact network: two small perceptrons that correct the solver, contact by contact.

The first sees each contact before the solve and returns residuals that enter the solver; the second sees what the
solver did as well and returns an impulse. Each encodes every contact, sums the codes over the contacts of each body
(one round of pooling), and decodes contact and sums together. Weights carry a leading axis of E members; outputs are
their mean, which makes an ensemble one model. The decoders' last layers start at zero: an untrained network is plain
physics. Outputs are mirror-symmetric exactly: each is the mean over a contact and its mirror image.
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


def solver_residuals(
    network: ContactNetwork, features: Tensor, contacts: Contacts, bodies: int, mirrored: Tensor | None = None
) -> Residuals:
    """Residuals of friction, restitution, gap and point of attack.

    Args:
        network: Weights.
        features: From `before_features`, shape (B, C, len(BEFORE)).
        contacts: The contacts, to know which bodies they join.
        bodies: How many bodies a world has.
        mirrored: Worlds that are seen in the mirror, bool (B,); None takes the mean of both views, which is exactly
            symmetric and costs twice as much. Training draws one view per rollout.
    """
    import torch

    raw = _viewed(network, "before", features, MIRROR_BEFORE, MIRROR_RESIDUALS, contacts, bodies, mirrored)
    out = torch.tanh(raw)
    mean = out.mean(0)
    spread = out.var(0, correction=0).mean(-1).sqrt() if len(out) > 1 else torch.zeros_like(mean[..., 0])
    return Residuals(
        FRICTION_RANGE * mean[..., 0],
        RESTITUTION_RANGE * mean[..., 1],
        GAP_RANGE * mean[..., 2],
        SHIFT_RANGE * mean[..., 3:],
        spread,
    )


def impulse_residuals(
    network: ContactNetwork, features: Tensor, contacts: Contacts, bodies: int, mirrored: Tensor | None = None
) -> Tensor:
    """Impulses along slip direction, binormal and normal in m sqrt(g l), shape (B, C, 3).

    Args:
        network: Weights.
        features: From `before_features` and `after_features`, joined.
        contacts: The contacts.
        bodies: How many bodies a world has.
        mirrored: As in `solver_residuals`.
    """
    import torch

    signs = (*MIRROR_BEFORE, *MIRROR_AFTER)
    out = _viewed(network, "after", features, signs, MIRROR_IMPULSE, contacts, bodies, mirrored)
    return (IMPULSE_SCALE * out[..., :3] * torch.sigmoid(out[..., 3:])).mean(0)


def _viewed(
    network: ContactNetwork,
    part: str,
    features: Tensor,
    signs: tuple[float, ...],
    signs_out: tuple[float, ...],
    contacts: Contacts,
    bodies: int,
    mirrored: Tensor | None,
) -> Tensor:
    """Outputs (E, B, C, out) of contacts, of their mirror images mirrored back, or the mean of the two."""
    import torch

    signs_in, back = features.new_tensor(signs), features.new_tensor(signs_out)
    if mirrored is None:
        straight = _network(network, part, features, contacts, bodies)
        return 0.5 * (straight + back * _network(network, part, features * signs_in, contacts, bodies))
    choose = mirrored[:, None, None]
    seen = torch.where(choose, features * signs_in, features)
    out = _network(network, part, seen, contacts, bodies)
    return torch.where(choose, out * back, out)


def _network(network: ContactNetwork, part: str, features: Tensor, contacts: Contacts, bodies: int) -> Tensor:
    """Encode, pool over bodies, decode the contacts in use: (B, C, F) -> (E, B, C, out), 0 for padding."""
    import torch

    silu = torch.nn.functional.silu
    world, contact = contacts.used.nonzero(as_tuple=True)
    live = features[world, contact]
    code = live.expand(network.members, *live.shape)
    code = silu(_layer(network, f"{part}.encode1", code))
    code = silu(_layer(network, f"{part}.encode2", code))
    a = world * bodies + contacts.body_a[world, contact].long()
    b = world * bodies + contacts.body_b[world, contact].long()
    pooled = code.new_zeros(code.shape[0], len(features) * bodies, code.shape[-1])
    pooled = 0.5 * pooled.index_add(1, a, code).index_add(1, b, code)
    # Shares are 0 for a side that cannot move: what lies elsewhere on a table says nothing about this contact.
    share_a, share_b = live[:, SHARE_A : SHARE_A + 1], live[:, SHARE_B : SHARE_B + 1]
    code = torch.cat([code, pooled[:, a] * share_a + pooled[:, b] * share_b], dim=-1)
    out = _layer(network, f"{part}.decode2", silu(_layer(network, f"{part}.decode1", code)))
    full = out.new_zeros(out.shape[0], *features.shape[:2], out.shape[-1])
    return full.index_put((torch.arange(len(out))[:, None], world, contact), out)


def _layer(network: ContactNetwork, name: str, x: Tensor) -> Tensor:
    return x @ network.weights[f"{name}.weight"] + network.weights[f"{name}.bias"]


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
