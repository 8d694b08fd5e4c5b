# pyright: basic
"""The contact network on contacts of all worlds at once, for rollouts: features (N, F) in, residuals and impulses out.

The same function as `dynamics._contact_network` in the mean of both mirror views, with all that does not change from
step to step worked out beforehand. Both views of a contact and all members of the ensemble go through as copies: the
mirror is in the weights of the first layer, so that features are stored once. The number of rows is padded up to a
multiple of `ROWS`, because matrix products may round differently for other sizes, and results are not to depend on how
many worlds there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynamics._contact_features import AFTER, BEFORE, MIRROR_AFTER, MIRROR_BEFORE
from dynamics._contact_network import (
    FRICTION_RANGE,
    GAP_RANGE,
    IMPULSE_SCALE,
    MIRROR_IMPULSE,
    MIRROR_RESIDUALS,
    RESTITUTION_RANGE,
    SHIFT_RANGE,
    WIDTH,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from dynamics._contact_network import ContactNetwork
    from dynamics._contact_support import ContactSupport

__all__ = ["ROWS", "FlatNetwork", "flat_network", "impulses", "residuals"]

ROWS = 32
"""Contacts are padded to a multiple of this."""
COLUMNS = 8
"""Outputs are padded to this: in products with few columns, a row's rounding depends on its place."""


@dataclass(frozen=True, eq=False)
class _Perceptron:
    """Weights of one of the two networks; E members, 2 E copies."""

    encode1: tuple[Tensor, Tensor]
    """(2 E, F, width) and (2 E, 1, width)."""
    encode2: tuple[Tensor, Tensor]
    """(2 E, width, width) and (2 E, 1, width)."""
    own: tuple[Tensor, Tensor]
    """The first decoder's part that sees the contact's own code, as `encode2`."""
    pooled: Tensor
    """Its part that sees the sums, (2 E, width, width)."""
    decode2: tuple[Tensor, Tensor]
    """Mirrored back and halved: (2 E, width, `COLUMNS`) and (2 E, 1, `COLUMNS`)."""


@dataclass(frozen=True, eq=False)
class FlatNetwork:
    """A network and its support, ready for rollouts on one device."""

    before: _Perceptron
    after: _Perceptron
    members: int
    support: ContactSupport | None
    whiten: tuple[Tensor, Tensor] | None
    """Scale and offset that whiten features, (F,) each."""
    nearest: tuple[Tensor, Tensor] | None
    """Prototypes (F, P) and less half of their squares (P,)."""


def flat_network(network: ContactNetwork, support: ContactSupport | None, like: Tensor) -> FlatNetwork:
    """Prepare a network for the device of `like`, in float32."""
    import torch

    weights = {name: value.detach().to(like.device, torch.float32) for name, value in network.weights.items()}
    before = _perceptron(weights, "before", MIRROR_BEFORE, MIRROR_RESIDUALS)
    after = _perceptron(weights, "after", (*MIRROR_BEFORE, *MIRROR_AFTER), MIRROR_IMPULSE)
    if support is None:
        return FlatNetwork(before, after, network.members, None, None, None)
    mean, std, kept = (part.to(like.device, torch.float32) for part in (support.mean, support.std, support.prototypes))
    return FlatNetwork(
        before,
        after,
        network.members,
        support,
        (1 / std, -mean / std),
        (kept.T.contiguous(), -0.5 * (kept * kept).sum(-1)),
    )


def _perceptron(
    weights: dict[str, Tensor], part: str, signs: tuple[float, ...], back: tuple[float, ...]
) -> _Perceptron:
    import torch

    def layer(name: str) -> tuple[Tensor, Tensor]:
        return weights[f"{part}.{name}.weight"], weights[f"{part}.{name}.bias"]

    def twice(value: Tensor) -> Tensor:
        return torch.cat([value, value]).contiguous()

    W, b = layer("encode1")
    first = torch.cat([W, W * W.new_tensor(signs)[:, None]])
    D, d = layer("decode1")
    L, e = (torch.nn.functional.pad(value, (0, COLUMNS - len(back))) for value in layer("decode2"))
    returned = L.new_tensor([*back, *(1.0,) * (COLUMNS - len(back))])
    return _Perceptron(
        (first, twice(b)),
        (twice(layer("encode2")[0]), twice(layer("encode2")[1])),
        (twice(D[:, :WIDTH]), twice(d)),
        twice(D[:, WIDTH:]),
        (0.5 * torch.cat([L, L * returned]), 0.5 * torch.cat([e, e * returned])),
    )


def _forward(part: _Perceptron, features: Tensor, pool: Callable[[Tensor], Tensor]) -> Tensor:
    """Mean over the views: (N, F) -> (E, N, `COLUMNS`)."""
    import torch

    silu = torch.nn.functional.silu
    copies = len(part.encode2[0])
    seen = features.expand(copies, *features.shape)
    code = silu(torch.baddbmm(part.encode1[1], seen, part.encode1[0]), inplace=True)
    code = silu(torch.baddbmm(part.encode2[1], code, part.encode2[0]), inplace=True)
    hidden = torch.baddbmm(part.own[1], code, part.own[0]).baddbmm_(pool(code), part.pooled)
    out = torch.baddbmm(part.decode2[1], silu(hidden, inplace=True), part.decode2[0])
    return out[: copies // 2] + out[copies // 2 :]


def residuals(
    network: FlatNetwork, features: Tensor, pool: Callable[[Tensor], Tensor], member: Tensor | None = None
) -> Tensor:
    """Log friction, logit restitution, gap and two shifts in gyration radii, times the gate; and the gate: (N, 6).

    Args:
        network: From `flat_network`.
        features: `before_features` of N contacts and room for `after_features`, shape (N, len(BEFORE) + len(AFTER)).
        pool: Sums codes (copies, N, width) over bodies.
        member: Which member of the ensemble answers each contact, int64 (N,), -1 for their mean; None takes the mean
            everywhere. The gate is that of the whole ensemble either way: its members' spread says what is unknown.
    """
    import torch

    out = torch.tanh(_forward(network.before, features[:, : len(BEFORE)], pool))
    ranges = out.new_tensor([FRICTION_RANGE, RESTITUTION_RANGE, GAP_RANGE, SHIFT_RANGE, SHIFT_RANGE])
    out = out[..., : len(ranges)]
    mean = _answered(out, member)
    gate = _gate(network, features[:, : len(BEFORE)], out)
    return torch.cat([mean * ranges * gate[:, None], gate[:, None]], dim=1)


def impulses(
    network: FlatNetwork,
    features: Tensor,
    gate: Tensor,
    pool: Callable[[Tensor], Tensor],
    member: Tensor | None = None,
) -> Tensor:
    """Impulses along slip direction, binormal and normal in m sqrt(g l), times the gate (N,): (N, 3)."""
    import torch

    out = _forward(network.after, features[:, : len(BEFORE) + len(AFTER)], pool)
    # The whole of it, because a function of a slice may round differently.
    wanted = out[..., :3] * torch.sigmoid(out)[..., 3:4]
    return _answered(wanted, member) * (IMPULSE_SCALE * gate[:, None])


def _answered(out: Tensor, member: Tensor | None) -> Tensor:
    """What members said (E, N, K) -> the mean, or of each row what its member said: (N, K)."""
    import torch

    mean = out[0] if len(out) == 1 else out.mean(0)
    if member is None or len(out) == 1:
        return mean
    own = out.gather(0, member.clamp_min(0)[None, :, None].expand(1, *out.shape[1:]))[0]
    return torch.where(member[:, None] < 0, mean, own)


def _gate(network: FlatNetwork, features: Tensor, out: Tensor) -> Tensor:
    """As `ContactSupport.gate`, with distances from a matrix product."""
    import torch

    support = network.support
    if support is None or network.whiten is None or network.nearest is None:
        return torch.ones_like(features[:, 0])
    white = features * network.whiten[0] + network.whiten[1]
    closest = torch.addmm(network.nearest[1], white, network.nearest[0]).amax(1)
    apart = ((white * white).sum(1) - 2 * closest).clamp_min(0.0) / white.shape[1]
    gate = (2 - apart.sqrt() / float(support.radius)).clamp(0.0, 1.0)
    if float(support.spread) > 0 and len(out) > 1:
        spread = out.var(0, correction=0).mean(-1).sqrt()
        gate = gate * (2 - spread / float(support.spread)).clamp(0.0, 1.0)
    return gate
