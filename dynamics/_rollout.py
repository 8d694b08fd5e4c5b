# pyright: basic
"""Rollouts by the fused kernel: a state and what is done to it in, a time axis of states out.

Worlds are independent. On a CPU they are shared out over a few threads, one launch each with scratch memory of its
own, and the result has the same bits however many there are. `dynamics._step` is the twin in torch, for gradients and
double precision.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from dynamics._check_action import check_action, check_state
from dynamics._contact_memory import contact_memory
from dynamics._state import Latents, Rollout, State
from dynamics._step import StepSettings
from dynamics._world_arrays import DYNAMIC, WorldArrays, directions, world_arrays

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._state import Action
    from dynamics._world import World

__all__ = ["assembled", "first_outputs", "rollout", "step"]

WORLDS_PER_THREAD = 16
"""Fewer worlds than this are not worth a thread."""

_SHAPES: WeakKeyDictionary[WorldArrays, dict[str, Any]] = WeakKeyDictionary()


def step(
    world: World,
    state: State,
    action: Action | None = None,
    latents: Latents | None = None,
    settings: StepSettings | None = None,
) -> State:
    """The state a step later: `rollout` of one step."""
    return rollout(world, state, 1, action, latents, settings=settings).final


def rollout(
    world: World,
    state: State,
    steps: int,
    action: Action | None = None,
    latents: Latents | None = None,
    *,
    every: int = 1,
    settings: StepSettings | None = None,
    threads: int | None = None,
) -> Rollout:
    """What happens in B worlds over some steps, in single precision, without gradients.

    Args:
        world: Bodies, pairs, gravity and the length of a step.
        state: How it begins; B worlds.
        steps: How many steps.
        action: What is done, for at least that many steps; None for nothing.
        latents: What photos do not show; None takes the materials' medians.
        every: States that are kept: the first, then each of this many steps.
        settings: How steps are computed.
        threads: On a CPU; None takes as many as torch does. The result does not depend on it.

    Raises:
        UsageError: State or action do not fit the world, or hold what is no number.
    """
    check_state(world, state)
    check_action(world, len(state), steps, every, action)
    settings = StepSettings() if settings is None else settings
    latents = Latents.median(world, len(state)) if latents is None else latents
    out = first_outputs(world, state, latents, settings, steps // every + 1)
    if len(state) and len(world.bodies) and steps:
        _launch(world, steps, every, settings, _inputs(world, action, latents, out["pose"].device), out, threads)
    return assembled(world, state, out, every, action, latents)


def first_outputs(
    world: World, state: State, latents: Latents, settings: StepSettings, times: int
) -> dict[str, Tensor]:
    """Room for what kernels record at so many times, with the first of them filled in."""
    import torch

    poses = state.T_world_body
    batch, bodies, device = len(state), len(world.bodies), poses.device
    out = {
        "pose": torch.zeros(batch, times, bodies, 7, device=device),
        "twist": torch.zeros(batch, times, bodies, 6, device=device),
        "still": torch.zeros(batch, times, bodies, dtype=torch.int32, device=device),
        "overlap": torch.zeros(batch, times, device=device),
        "joint_q": torch.zeros(batch, times, len(world.joints), device=device),
        "joint_qd": torch.zeros(batch, times, len(world.joints), device=device),
        "joint_impulse": torch.zeros(batch, len(world.joints), device=device),
    }
    out["pose"][:, 0], out["twist"][:, 0], out["still"][:, 0] = poses.detach(), state.twist.detach(), state.still
    known = contact_memory(world, state, settings.contact.per_direction)
    out["contact_point"], out["contact_impulse"] = known[0].clone(), known[1].detach().float().clone()
    if world.joints:
        out["joint_q"][:, 0], out["joint_qd"][:, 0] = _stand(world, state, latents)
        if state.joint_impulse is not None:
            out["joint_impulse"][:] = state.joint_impulse.detach()
    return out


def assembled(
    world: World, state: State, out: dict[str, Tensor], every: int, action: Action | None, latents: Latents
) -> Rollout:
    """The rollout of what kernels recorded in `first_outputs`; particles stay where they are."""
    times = out["pose"].shape[1]

    def held(part: Tensor) -> Tensor:
        return part.detach()[:, None].expand(-1, times, *part.shape[1:])

    return Rollout(
        T_world_body=out["pose"],
        twist=out["twist"],
        joint_q=out["joint_q"],
        joint_qd=out["joint_qd"],
        x=held(state.x),
        v=held(state.v),
        still=out["still"],
        overlap=out["overlap"],
        contact_point=out["contact_point"],
        contact_impulse=out["contact_impulse"],
        joint_impulse=out["joint_impulse"],
        dt=world.dt * every,
        action=action,
        latents=latents,
    )


def _stand(world: World, state: State, latents: Latents) -> tuple[Tensor, Tensor]:
    """Joint positions and velocities of the start, which poses and twists decide."""
    from dynamics._joint_geometry import joint_positions

    poses, twist = state.T_world_body.detach(), state.twist.detach()
    return joint_positions(world, poses, twist, near=state.joint_q.detach(), latents=latents)


def _inputs(world: World, action: Action | None, latents: Latents, device: Any) -> dict[str, Any]:
    """What differs between worlds, as float32 tensors."""
    import torch

    arrays = world_arrays(world)

    def plain(part: Tensor) -> Tensor:
        return part.detach().to(device=device, dtype=torch.float32).contiguous()

    mass = torch.as_tensor(arrays.mass).to(device)
    com = torch.as_tensor(arrays.com).to(device)
    none = torch.zeros(1, 1, 1, 1, device=device)
    wrench = None if action is None else action.wrench
    target = None if action is None else action.kinematic_target
    goal = None if action is None else action.joint_target
    pace = None if action is None else action.joint_velocity_target
    most = None if action is None else action.force_limit
    joints, unused = arrays.joints, none[0]
    driven = (goal is not None and joints.joint_stiffness.any()) or joints.drive_damping.any()
    return {
        "com": plain(com + latents.com_offset.to(com)),
        "inverse_mass": plain(1 / (mass * latents.mass_scale.to(mass))),
        "mass_scale": plain(latents.mass_scale),
        "friction": plain(latents.friction),
        "restitution": plain(latents.restitution),
        "wrench": none if wrench is None else plain(wrench),
        "target": none if target is None else plain(target),
        "wrenches": int(wrench is not None),
        "targets": int(target is not None),
        "joint_goal": unused if goal is None else plain(goal),
        "joint_pace": unused if pace is None else plain(pace),
        "joint_most": unused if most is None else plain(most),
        "joint_goals": int(goal is not None),
        "joint_paces": int(pace is not None),
        "joint_mosts": int(most is not None),
        "driven": int(driven and (goal is not None or pace is not None)),
        "movers": int((arrays.motion == DYNAMIC).sum()),
        "joints": len(world.joints),
    }


def _launch(
    world: World,
    steps: int,
    every: int,
    settings: StepSettings,
    given: dict[str, Any],
    out: dict[str, Tensor],
    threads: int | None,
) -> None:
    import torch
    import warp as wp

    from dynamics import _memory_kernels as kernels
    from dynamics._rollout_kernels import roll

    tensor = out["pose"]
    device, batch = str(tensor.device), len(tensor)
    arrays = world_arrays(world)
    shapes = _shapes(arrays, device)
    inputs, outputs = kernels.Inputs(), kernels.Outputs()
    for name in kernels.Inputs.cls.__annotations__:
        dtype = wp.vec3 if name == "com" else wp.float32
        setattr(inputs, name, wp.from_torch(given[name], dtype=dtype, requires_grad=False))
    for name, part in out.items():
        setattr(outputs, name, wp.from_torch(part, requires_grad=False))
    on_cpu = device == "cpu"
    wanted = min(torch.get_num_threads(), batch // WORLDS_PER_THREAD) if threads is None else min(threads, batch)
    shares = max(1, wanted) if on_cpu else 1
    scratch = _scratch(arrays, settings, shares if on_cpu else batch, device)
    edges = [batch * k // shares for k in range(shares + 1)]

    def share(k: int) -> None:
        constants = _constants(kernels, world, steps, every, settings, given)
        constants.first_world, constants.slot_stride = edges[k], 0 if on_cpu else 1
        inputs_of = [shapes, scratch, constants, inputs, outputs, k if on_cpu else 0]
        wp.launch(roll, dim=edges[k + 1] - edges[k], inputs=inputs_of, device=device)

    if shares == 1:
        share(0)
        return
    wp.load_module(roll.module, device=device)
    with ThreadPoolExecutor(shares) as pool:
        list(pool.map(share, range(shares)))


def _constants(
    kernels: Any, world: World, steps: int, every: int, settings: StepSettings, given: dict[str, Any]
) -> Any:
    import warp as wp

    contact = settings.contact
    constants = kernels.Constants()
    constants.gravity = wp.vec3(*world.gravity)
    constants.dt, constants.steps, constants.every, constants.sweeps = world.dt, steps, every, settings.sweeps
    constants.tolerance = settings.tolerance
    constants.margin, constants.per_direction, constants.slop = contact.margin, contact.per_direction, contact.slop
    constants.recovery, constants.recovery_speed = contact.recovery, contact.recovery_speed
    constants.rest_speed, constants.sleep_after = contact.rest_speed, settings.sleep_after
    constants.sleep_speed, constants.sleep_turn = settings.sleep_speed, settings.sleep_turn
    for name in ("wrenches", "targets", "movers", "joints", "driven", "joint_goals", "joint_paces", "joint_mosts"):
        setattr(constants, name, given[name])
    return constants


def _shapes(arrays: WorldArrays, device: str) -> Any:
    """The world's arrays on a device, made once."""
    import numpy as np
    import warp as wp

    from dynamics import _memory_kernels as kernels

    kept = _SHAPES.setdefault(arrays, {})
    if device not in kept:
        shapes = kernels.Shapes()
        shapes.joints = _joint_shapes(kernels, arrays, device)
        shapes.joint_linked = wp.array(arrays.joints.joint_linked, dtype=wp.int32, device=device)
        for part in set(kernels.Shapes.cls.__annotations__) - {"joints", "joint_linked"}:
            value = getattr(arrays, part)
            dtype = kernels.Shapes.cls.__annotations__[part].dtype
            flat = np.ascontiguousarray(value, dtype=np.int32 if value.dtype.kind == "i" else np.float32)
            setattr(shapes, part, wp.array(flat, dtype=dtype, device=device))
        kept[device] = shapes
    return kept[device]


def _joint_shapes(kernels: Any, arrays: WorldArrays, device: str) -> Any:
    import numpy as np
    import warp as wp

    joints = arrays.joints
    table: Any = np.zeros(len(joints.joint_kind), dtype=kernels.JointShape.numpy_dtype())
    for name in table.dtype.names:
        table[name] = getattr(joints, name if hasattr(joints, name) else f"joint_{name}")
    return wp.array(table, dtype=kernels.JointShape, device=device)


def _scratch(arrays: WorldArrays, settings: StepSettings, slots: int, device: str) -> Any:
    """Scratch memory; as many contacts as there can be."""
    import warp as wp

    from dynamics import _memory_kernels as kernels

    bodies, pairs = len(arrays.kind), max(len(arrays.pairs), 1)
    contacts = max(sum(room for _, _, room in directions(arrays, settings.contact.per_direction)), 1)
    joints = max(len(arrays.joints.joint_kind), 1)
    of_joints = {"joints": joints, "joint_rows": 6 * joints, "joint_mix": 15 * joints, "joint_matrix": 36 * joints**2}
    rows = {"axis", "arm_a", "arm_b", "turn_a", "turn_b", "diagonal", "impulse"}
    each = {"a", "b", "point", "normal", "gap", "rank", "key", "place", "warm"}
    each |= {"landing", "rebound", "mu", "known_key", "known_impulse"}
    scratch = kernels.Scratch()
    for name, kind in kernels.Scratch.cls.__annotations__.items():
        length = 3 * contacts if name in rows else contacts if name in each else pairs if name == "near" else bodies + 1
        length = of_joints.get(name, length)
        setattr(scratch, name, wp.zeros((slots, length), dtype=kind.dtype, device=device))
    return scratch
