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
    apart: bool = False
    """Members are not averaged: of E equal blocks of worlds, each has one member that answers it."""

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
    network: ContactNetwork,
    features: Tensor,
    contacts: Contacts,
    bodies: int,
    mirrored: Tensor | None = None,
    member: Tensor | None = None,
) -> Residuals:
    """Residuals of friction, restitution, gap and point of attack.

    Args:
        network: Weights.
        features: From `before_features`, shape (B, C, len(BEFORE)).
        contacts: The contacts, to know which bodies they join.
        bodies: How many bodies a world has.
        mirrored: Worlds that are seen in the mirror, bool (B,); None takes the mean of both views, which is exactly
            symmetric and costs twice as much. Training draws one view per rollout.
        member: Which member answers each world when they are `apart`, ascending (B,); None is equal blocks.
    """
    import torch

    pack = _packed(network, contacts, bodies, member)
    raw = _viewed(network, "before", features, MIRROR_BEFORE, MIRROR_RESIDUALS, pack, mirrored)
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
    network: ContactNetwork,
    features: Tensor,
    contacts: Contacts,
    bodies: int,
    mirrored: Tensor | None = None,
    member: Tensor | None = None,
) -> Tensor:
    """Impulses along slip direction, binormal and normal in m sqrt(g l), shape (B, C, 3).

    Args:
        network: Weights.
        features: From `before_features` and `after_features`, joined.
        contacts: The contacts.
        bodies: How many bodies a world has.
        mirrored: As in `solver_residuals`.
        member: The same.
    """
    import torch

    signs = (*MIRROR_BEFORE, *MIRROR_AFTER)
    pack = _packed(network, contacts, bodies, member)
    out = _viewed(network, "after", features, signs, MIRROR_IMPULSE, pack, mirrored)
    return (IMPULSE_SCALE * out[..., :3] * torch.sigmoid(out[..., 3:])).mean(0)


@dataclass(frozen=True, eq=False)
class _Packed:
    """The contacts in use of all worlds: S slots for each network, those behind the last are empty.

    Networks that answer all worlds alike have one row of slots, those that are apart one row each.
    """

    shape: tuple[int, int]
    """Worlds and contacts of a world, (B, C)."""
    source: Tensor
    """Which contact of the B C is in each slot, (1 or E, S)."""
    live: Tensor
    """1 in slots that are in use, else 0, (1 or E, S, 1)."""
    sides: tuple[Tensor, Tensor]
    """Bodies of each slot, of all worlds' numbered through, (1 or E, S) each."""
    bodies: int
    """Of all worlds."""


def _packed(network: ContactNetwork, contacts: Contacts, bodies: int, member: Tensor | None) -> _Packed:
    import torch

    shape = contacts.gap.shape
    used = contacts.used
    world, contact = used.nonzero(as_tuple=True)
    source = world * shape[1] + contact
    if not network.apart:
        source = source[None]
        live = torch.ones_like(source)
    else:
        if member is None:
            blocks = torch.arange(network.members, device=world.device)
            member = blocks.repeat_interleave(-(-shape[0] // network.members))[: shape[0]]
        counts = torch.zeros(network.members, dtype=torch.long, device=world.device)
        counts = counts.index_add(0, member, used.sum(1))
        slots = torch.arange(int(counts.max()) if len(source) else 0, device=world.device)
        live = (slots < counts[:, None]).long()
        begin = counts.cumsum(0) - counts
        source = source[(begin[:, None] + slots).clamp_max(max(len(source) - 1, 0))]
    world = source // shape[1]
    sides = (world * bodies + side.flatten()[source].long() for side in (contacts.body_a, contacts.body_b))
    a, b = sides
    return _Packed((shape[0], shape[1]), source, live[..., None], (a, b), shape[0] * bodies)


def _viewed(
    network: ContactNetwork,
    part: str,
    features: Tensor,
    signs: tuple[float, ...],
    signs_out: tuple[float, ...],
    pack: _Packed,
    mirrored: Tensor | None,
) -> Tensor:
    """Outputs (E or 1, B, C, out) of contacts, of their mirror images mirrored back, or the mean of the two."""
    import torch

    signs_in, back = features.new_tensor(signs), features.new_tensor(signs_out)
    if mirrored is None:
        straight = _network(network, part, features, pack)
        return 0.5 * (straight + back * _network(network, part, features * signs_in, pack))
    choose = mirrored[:, None, None]
    seen = torch.where(choose, features * signs_in, features)
    out = _network(network, part, seen, pack)
    return torch.where(choose, out * back, out)


def _network(network: ContactNetwork, part: str, features: Tensor, pack: _Packed) -> Tensor:
    """Encode, pool over bodies, decode the contacts in use: (B, C, F) -> (E or 1, B, C, out), 0 for padding."""
    import torch

    silu = torch.nn.functional.silu
    slots = features.flatten(0, 1)[pack.source]
    code = silu(_layer(network, f"{part}.encode1", slots))
    code = silu(_layer(network, f"{part}.encode2", code))
    a, b = pack.sides
    # Shares are 0 for a side that cannot move: what lies elsewhere on a table says nothing about this contact.
    share_a, share_b = slots[..., SHARE_A : SHARE_A + 1], slots[..., SHARE_B : SHARE_B + 1]
    if network.apart:
        said = (code * pack.live).flatten(0, 1)
        pooled = code.new_zeros(pack.bodies, code.shape[-1])
        pooled = 0.5 * pooled.index_add(0, a.flatten(), said).index_add(0, b.flatten(), said)
        pooled = pooled[a] * share_a + pooled[b] * share_b
    else:
        pooled = code.new_zeros(code.shape[0], pack.bodies, code.shape[-1])
        pooled = 0.5 * pooled.index_add(1, a[0], code).index_add(1, b[0], code)
        pooled = pooled[:, a[0]] * share_a + pooled[:, b[0]] * share_b
    hidden = silu(_layer(network, f"{part}.decode1", torch.cat([code, pooled], dim=-1)))
    out = _layer(network, f"{part}.decode2", hidden) * pack.live
    rows = (1,) if network.apart else out.shape[:1]
    full = out.new_zeros(*rows, pack.shape[0] * pack.shape[1], out.shape[-1])
    source = pack.source.flatten()
    full = full.index_add(1, source, out.flatten(0, 1)[None] if network.apart else out)
    return full.reshape(len(full), *pack.shape, full.shape[-1])


def _layer(network: ContactNetwork, name: str, x: Tensor) -> Tensor:
    import torch

    weight, bias = network.weights[f"{name}.weight"], network.weights[f"{name}.bias"]
    return torch.baddbmm(bias, x.expand(len(weight), *x.shape[1:]), weight)


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
