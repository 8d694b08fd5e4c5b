# pyright: basic
"""Rollouts with the contact network, of any world: a state, an action and a model in, a time axis of states out.

In a step Warp finds the contacts of all worlds and describes them, torch runs the network over those contacts, and
Warp solves with its residuals, adds its impulses as far as energy allows, and moves bodies. Worlds stay in scratch
memory from step to step. With a network that says nothing, or whose gate is closed, the result has the bits of
`dynamics.rollout`. `dynamics._learned_rollout_step` is the twin in torch, for gradients and double precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dynamics._check_action import check_action, check_state
from dynamics._contact_features import AFTER, BEFORE
from dynamics._errors import UsageError
from dynamics._learned_rollout_network import ROWS, flat_network, impulses, residuals
from dynamics._learned_rollout_step import ContactModel, gravity_scale, gyration_radii
from dynamics._rollout import (
    WORLDS_PER_THREAD,
    _constants,
    _inputs,
    _scratch,
    _shapes,
    assembled,
    first_outputs,
    rollout,
)
from dynamics._state import Latents, Rollout, State
from dynamics._step import StepSettings
from dynamics._world_arrays import world_arrays

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._learned_rollout_network import FlatNetwork
    from dynamics._learned_rollout_step import HasNetwork
    from dynamics._state import Action
    from dynamics._world import World

__all__ = ["ContactModel", "rollout_learned"]

TOLD = 60
"""Steps between two words about how far it is."""


def rollout_learned(
    world: World,
    state: State,
    steps: int,
    action: Action | None = None,
    latents: Latents | None = None,
    *,
    model: HasNetwork,
    member: Sequence[int] | None = None,
    every: int = 1,
    settings: StepSettings | None = None,
    threads: int | None = None,
    tell: Callable[[float], None] | None = None,
) -> Rollout:
    """What happens in B worlds over some steps, with the contact network; single precision, without gradients.

    Args:
        world: Bodies, pairs, gravity and the length of a step.
        state: How it begins; B worlds.
        steps: How many steps.
        action: What is done, for at least that many steps; None for nothing.
        latents: What photos do not show; None takes the materials' medians.
        model: Its network and support are used, not its constants: friction and restitution are those of the latents.
            Without a network this is `rollout`.
        member: Which member of the ensemble answers in each world, -1 for the mean of all; None takes that everywhere.
        every: States that are kept: the first, then each of this many steps.
        settings: How steps are computed.
        threads: On a CPU, for what Warp does; None takes as many as torch does. The result does not depend on it.
        tell: Called now and then with the share of the steps that is done; what it raises ends the work. Nothing is
            told without a network: one kernel does all steps then.

    The result's `in_support` is the share of pressing contacts, weighed by the gate, in which the network spoke; 1
    where nothing pressed.

    Raises:
        UsageError: State or action do not fit the world, or hold what is no number; or there is no such member.
    """
    import torch

    if model.network is None:
        return rollout(world, state, steps, action, latents, every=every, settings=settings, threads=threads)
    check_state(world, state)
    check_action(world, len(state), steps, every, action)
    settings = StepSettings() if settings is None else settings
    latents = Latents.median(world, len(state)) if latents is None else latents
    if not (len(state) and len(world.bodies) and steps):
        path = rollout(world, state, steps, action, latents, every=every, settings=settings)
        return replace(path, in_support=torch.ones(len(state), device=state.T_world_body.device))
    device = state.T_world_body.device
    out = first_outputs(world, state, latents, settings, steps // every + 1)
    network = flat_network(model.network, model.support, out["pose"])
    speaks = None if member is None else _members(member, len(state), network.members, device)
    given = _inputs(world, action, latents, device)
    with torch.no_grad(), _stream(device):
        inside = _Steps(world, settings, given, out, network, speaks, steps, every, threads).run(steps, tell)
    return replace(assembled(world, state, out, every, action, latents), in_support=inside)


def _members(member: Sequence[int], worlds: int, members: int, device: Any) -> Tensor:
    import torch

    found = torch.as_tensor(list(member), dtype=torch.int64, device=device)
    if found.shape != (worlds,) or not bool(((found >= -1) & (found < members)).all()):
        raise UsageError(
            f"Each of {worlds} worlds takes a member of the ensemble from 0 to {members - 1}, or -1; found {member}."
        )
    return found


def _stream(device: Any) -> Any:
    """On a GPU, kernels run in torch's stream."""
    import torch
    import warp as wp

    if device.type != "cuda":
        return nullcontext()
    return wp.ScopedStream(wp.stream_from_torch(torch.cuda.current_stream(device)))


class _Steps:
    """The steps of one rollout: kernels launched over shares of the worlds, and the network between them."""

    def __init__(
        self,
        world: World,
        settings: StepSettings,
        given: dict[str, Any],
        out: dict[str, Tensor],
        network: FlatNetwork,
        member: Tensor | None,
        steps: int,
        every: int,
        threads: int | None,
    ) -> None:
        import torch
        import warp as wp

        from dynamics import _learned_rollout_kernels as kernels
        from dynamics import _memory_kernels as memory

        self.kernels, self.network = kernels, network
        self.member = member
        self.answering: Tensor | None = None
        self.device = str(out["pose"].device)
        batch = len(out["pose"])
        arrays = world_arrays(world)
        self.shapes = _shapes(arrays, self.device)
        self.scratch = _scratch(arrays, settings, batch, self.device)
        self.inputs, self.outputs = memory.Inputs(), memory.Outputs()
        for name in memory.Inputs.cls.__annotations__:
            dtype = wp.vec3 if name == "com" else wp.float32
            setattr(self.inputs, name, wp.from_torch(given[name], dtype=dtype, requires_grad=False))
        for name, part in out.items():
            setattr(self.outputs, name, wp.from_torch(part, requires_grad=False))
        wanted = min(torch.get_num_threads(), batch // WORLDS_PER_THREAD) if threads is None else min(threads, batch)
        shares = max(1, wanted) if self.device == "cpu" else 1
        edges = [batch * k // shares for k in range(shares + 1)]
        self.shares: list[tuple[int, Any]] = []
        for low, high in pairwise(edges):
            constants = _constants(memory, world, steps, every, settings, given)
            constants.first_world, constants.slot_stride = low, 1
            self.shares.append((high - low, constants))
        self._make_exchange(world, batch)

    def _make_exchange(self, world: World, batch: int) -> None:
        import torch
        import warp as wp

        from dynamics._learned_memory_kernels import Exchange

        self.exchange = Exchange()
        self.exchange.gravity = gravity_scale(world)
        contacts = self.scratch.gap.shape[1]
        self.per_world: dict[str, Tensor] = {}
        for name in ("count", "offset", "bounces", "spoke"):
            self.per_world[name] = torch.zeros(batch, dtype=torch.int32, device=self.device)
        for name in ("overlap", "pressing", "inside"):
            self.per_world[name] = torch.zeros(batch, device=self.device)
        self.per_world["radius"] = torch.as_tensor(gyration_radii(world)).float().to(self.device)
        self.per_world["flat"] = torch.zeros(batch, contacts, device=self.device)
        for name, part in self.per_world.items():
            setattr(self.exchange, name, wp.from_torch(part, requires_grad=False))
        lengths = {"vel": len(world.bodies), "turn": len(world.bodies), "point": contacts}
        for name, length in lengths.items():
            setattr(self.exchange, name, wp.zeros((batch, length), dtype=wp.vec3, device=self.device))
        self._make_room(ROWS)

    def _make_room(self, contacts: int) -> None:
        """For the features of so many contacts, and half as many more."""
        import torch
        import warp as wp

        rows = (contacts + contacts // 2 + ROWS - 1) // ROWS * ROWS
        width = {"features": len(BEFORE) + len(AFTER), "residual": 6, "wanted": 3}
        self.flat = {name: torch.zeros(rows, columns, device=self.device) for name, columns in width.items()}
        for name, part in self.flat.items():
            setattr(self.exchange, name, wp.from_torch(part, requires_grad=False))

    def run(self, steps: int, tell: Callable[[float], None] | None = None) -> Tensor:
        """All steps; the share of contacts within the support, (B,)."""
        import torch
        import warp as wp

        shapes, scratch, inputs, exchange = self.shapes, self.scratch, self.inputs, self.exchange
        for kernel in (self.kernels.look, self.kernels.describe):
            wp.load_module(kernel.module, device=self.device)
        with ThreadPoolExecutor(len(self.shares)) as pool:
            self.pool = pool
            self._launch(self.kernels.begin, scratch, None, self.outputs)
            for t in range(steps):
                if tell is not None and t and t % TOLD == 0:
                    tell(t / steps)
                self._launch(self.kernels.look, shapes, scratch, None, inputs, exchange, t)
                rows = self._speak()
                self._launch(self.kernels.correct, shapes, scratch, None, inputs, exchange)
                if rows:
                    features, gate = self.flat["features"][:rows], self.flat["residual"][:rows, 5]
                    self.flat["wanted"][:rows] = impulses(self.network, features, gate, self._pooled, self.answering)
                self._launch(self.kernels.finish, shapes, scratch, None, inputs, self.outputs, exchange, t)
            self._launch(self.kernels.end, scratch, None, self.outputs)
        inside, pressing = self.per_world["inside"], self.per_world["pressing"]
        return torch.where(pressing > 0, inside / pressing.clamp_min(1), torch.ones_like(inside))

    def _speak(self) -> int:
        """Residuals of this step's contacts; how many rows they fill."""
        import torch

        count, offset = self.per_world["count"], self.per_world["offset"]
        ends = torch.cumsum(count, 0, dtype=torch.int32)
        offset.copy_(ends - count)
        self.contacts = int(ends[-1])
        rows = (self.contacts + ROWS - 1) // ROWS * ROWS
        if rows == 0:
            return 0
        if rows > len(self.flat["features"]):
            self._make_room(rows)
        self._launch(self.kernels.describe, self.shapes, self.scratch, None, self.exchange)
        if self.member is not None:
            of_contacts = torch.repeat_interleave(self.member, count.long())
            self.answering = torch.nn.functional.pad(of_contacts, (0, rows - self.contacts), value=-1)
        features = self.flat["features"][:rows]
        self.flat["residual"][:rows] = residuals(self.network, features, self._pooled, self.answering)
        return rows

    def _pooled(self, code: Tensor) -> Tensor:
        import torch
        import warp as wp

        out = torch.empty_like(code)
        out[:, self.contacts :] = 0.0
        given = (wp.from_torch(code, requires_grad=False), wp.from_torch(out, requires_grad=False))
        self._launch(self.kernels.pool, self.scratch, None, self.exchange, *given)
        return out

    def _launch(self, kernel: Any, *inputs: Any) -> None:
        """One launch for each share of the worlds; None stands for its constants."""
        import warp as wp

        def launch(share: tuple[int, Any]) -> None:
            worlds, constants = share
            given = [constants if part is None else part for part in inputs]
            wp.launch(kernel, dim=worlds, inputs=given, device=self.device)

        if len(self.shares) == 1:
            launch(self.shares[0])
        else:
            list(self.pool.map(launch, self.shares))
