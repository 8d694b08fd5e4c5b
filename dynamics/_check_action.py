# pyright: basic
"""What is handed to a rollout, checked before anything runs: shapes against the world, and that numbers are numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamics._errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._state import Action, State
    from dynamics._world import World

__all__ = ["check_action", "check_state"]


def check_state(world: World, state: State) -> None:
    """Raises UsageError unless the state has the world's bodies and joints, finite numbers and unit quaternions."""
    batch, bodies, joints = len(state), len(world.bodies), len(world.joints)
    _check("poses", state.T_world_body, (batch, bodies, 7))
    _check("twists", state.twist, (batch, bodies, 6))
    _check("joint positions", state.joint_q, (batch, joints))
    _check("joint velocities", state.joint_qd, (batch, joints))
    _check_quaternions("poses", state.T_world_body)


def check_action(world: World, batch: int, steps: int, every: int, action: Action | None) -> None:
    """Raises UsageError unless the action fits the world and lasts for all steps."""
    if steps < 0 or every < 1 or steps % every:
        raise UsageError(f"Found {steps} steps of which every {every}. is kept; the first is a multiple of the second.")
    if action is None:
        return
    bodies, joints = len(world.bodies), len(world.joints)
    parts = {
        "wrenches": (action.wrench, (bodies, 6)),
        "kinematic targets": (action.kinematic_target, (bodies, 7)),
        "joint targets": (action.joint_target, (joints,)),
        "joint velocity targets": (action.joint_velocity_target, (joints,)),
        "force limits": (action.force_limit, (joints,)),
    }
    for name, (part, shape) in parts.items():
        if part is None:
            continue
        if part.ndim < 2 or part.shape[1] < steps:
            raise UsageError(
                f"An action has {name} of shape {tuple(part.shape)}; {steps} steps need (B, T >= {steps})."
            )
        _check(name, part, (batch, part.shape[1], *shape))
    if action.kinematic_target is not None:
        _check_quaternions("kinematic targets", action.kinematic_target)


def _check(name: str, part: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(part.shape) != shape:
        raise UsageError(f"Found {name} of shape {tuple(part.shape)}; this world and batch take {shape}.")
    if not bool(part.isfinite().all()):
        raise UsageError(f"Some {name} are not finite numbers.")


def _check_quaternions(name: str, part: Tensor) -> None:
    norm = part[..., 3:].norm(dim=-1)
    if not bool(((norm - 1).abs() < 1e-3).all()):
        worst = norm.flatten()[(norm - 1).abs().argmax()]
        raise UsageError(f"Some {name} hold a quaternion of length {float(worst):.4g}; it must be 1.")
