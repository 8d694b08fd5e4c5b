"""Futures of a world rolled out in groups, so that whoever waits hears how far it is; each hears its own network.

The first future is answered by the mean of the ensemble of contact networks, the others by one member after the other.
A future does not depend on its group: the result has the same bits however they are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynamics import Action, ContactModel, Latents, Rollout, State, World

__all__ = ["roll_futures"]

GROUP = 16
"""Futures that are rolled out together when somebody listens."""
FEW = 64
"""Up to so many futures at once take one thread."""


def roll_futures(
    world: World,
    begun: State,
    steps: int,
    action: Action | None,
    latents: Latents,
    *,
    model: ContactModel | None,
    every: int,
    tell: Callable[[float, str], None] | None = None,
) -> tuple[Rollout, str | None]:
    """The rollout, and who answered for contacts, for people.

    Args:
        world: Its bodies.
        begun: B worlds.
        steps: How many.
        action: Of B worlds.
        latents: Of B worlds.
        model: Contact network; None leaves it to physics.
        every: States that are kept.
        tell: Called with the share that is done and with words, now and then. What it raises ends the work.
    """
    futures = len(begun)
    size = futures if tell is None else GROUP
    parts: list[Rollout] = []
    members = 0 if model is None or model.network is None else model.network.members
    for first in range(0, futures, size):
        some = slice(first, min(first + size, futures))
        told = None if tell is None else _within(some, futures, tell)
        if told is not None:
            told(0.0)
        group = (begun[some], steps, _cut(action, some), _cut(latents, some))
        parts.append(_rolled(world, group, model if members else None, _members(some, members), every, told))
    if tell is not None:
        tell(1.0, f"{futures} of {futures} futures")
    rollout = parts[0] if len(parts) == 1 else replace(_joined(parts), action=action, latents=latents)
    if not members:
        return rollout, None
    words = f"mean of {members} members" if members > 1 else "one member"
    return rollout, words + (", then one member for each future" if futures > 1 and members > 1 else "")


def _within(some: slice, futures: int, tell: Callable[[float, str], None]) -> Callable[[float], None]:
    """Tells the share of all work, given that of a group."""
    words = f"{some.start} of {futures} futures" if futures > GROUP else f"{futures} futures"
    return lambda share: tell((some.start + share * (some.stop - some.start)) / futures, words)


def _rolled(
    world: World,
    group: Any,
    model: ContactModel | None,
    member: list[int],
    every: int,
    tell: Callable[[float], None] | None,
) -> Rollout:
    from dynamics import rollout, rollout_learned

    begun, steps, action, latents = group
    if model is None:
        return rollout(world, begun, steps, action, latents, every=every)
    with _one_thread(len(begun)):
        return rollout_learned(world, begun, steps, action, latents, model=model, member=member, every=every, tell=tell)


@contextmanager
def _one_thread(futures: int) -> Iterator[None]:
    """Few futures have few contacts, whose products are so small that threads of torch only wait for each other.

    On two busy cores that is ten times slower, and the same bits either way.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1 if futures <= FEW else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _members(some: slice, members: int) -> list[int]:
    return [-1 if future == 0 else (future - 1) % max(members, 1) for future in range(some.start, some.stop)]


def _cut(group: Any, some: slice) -> Any:
    """Some worlds of a dataclass of tensors."""
    if group is None:
        return None
    parts = {field.name: getattr(group, field.name) for field in fields(group)}
    return replace(group, **{name: part[some] for name, part in parts.items() if part is not None})


def _joined(parts: list[Rollout]) -> Rollout:
    """The worlds of several rollouts, one behind the other, without actions and latents."""
    import torch

    named = {field.name: [getattr(part, field.name) for part in parts] for field in fields(parts[0])}
    tensors = {name: torch.cat(values) for name, values in named.items() if torch.is_tensor(values[0])}
    return replace(parts[0], **tensors)
