# pyright: basic
"""Rollouts by MuJoCo from our states: poses and twists in, poses of our body frames out, worlds over threads.

MuJoCo keeps the velocity of the body frame's origin and the angular velocity in the body's axes; ours are of the centre
of mass and in the world's. Its semi-implicit Euler step is exact for a parabola when velocities are those half a step
earlier, which `leapfrog` provides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dynamics._errors import UsageError
from dynamics.baselines._mujoco_model import load_mujoco

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._state import State

__all__ = ["mujoco_rollout"]

AGREE = 1e-5
"""How far static bodies of a state may be from where the model has them [m, or 1 - cosine of half the angle]."""


def mujoco_rollout(
    model: Any, state: State, steps: int, *, every: int = 1, threads: int | None = None, leapfrog: bool = False
) -> Tensor:
    """Poses of B worlds over some of MuJoCo's steps.

    Args:
        model: From `mujoco_model`.
        state: How it begins, B worlds; of bodies under a joint only ``joint_q`` and ``joint_qd`` are read.
        steps: How many steps of the model's timestep.
        every: Poses that are kept: the first, then each of this many steps.
        threads: None takes as many as torch does. The result does not depend on it.
        leapfrog: Start with the velocities of half a step before, so that flight is exact.

    Returns:
        xyz [m] + wxyz of the body frames, double precision, shape (B, steps // every + 1, nb, 7).

    Raises:
        DeviceError: MuJoCo is not installed.
        UsageError: The state does not fit the model.
    """
    import torch

    mujoco, rollouts = load_mujoco(), load_mujoco("mujoco.rollout")
    order = _order(mujoco, model)
    if state.T_world_body.shape[1] != len(order):
        raise UsageError(f"The model has {len(order)} bodies, the state {state.T_world_body.shape[1]}.")
    first = _initial(mujoco, model, order, state, leapfrog)
    if steps == 0:
        return _poses(mujoco, model, order, first[:, None, 1 : 1 + model.nq])
    workers = max(1, min(torch.get_num_threads() if threads is None else threads, len(first)))
    with rollouts.Rollout(nthread=workers if workers > 1 else 0) as pool:
        data = [mujoco.MjData(model) for _ in range(workers)]
        path, _ = pool.rollout(model, data, first, nstep=steps)
    qpos = np.concatenate([first[:, None], path[:, every - 1 :: every]], axis=1)[..., 1 : 1 + model.nq]
    return _poses(mujoco, model, order, qpos)


def _order(mujoco: Any, model: Any) -> list[int]:
    """MuJoCo's number of each of our bodies."""
    names = [mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_BODY, i) for i in range(1, model.nbody)]
    place = {int(name.split(":", 1)[0]): i + 1 for i, name in enumerate(names)}
    return [place[i] for i in range(len(names))]


def _initial(mujoco: Any, model: Any, order: list[int], state: State, leapfrog: bool) -> np.ndarray:
    """Time, positions and velocities as MuJoCo orders them, shape (B, 1 + nq + nv)."""
    import torch

    from dynamics.poses import rotation_from_wxyz

    poses, twist = state.T_world_body.detach().cpu().double(), state.twist.detach().cpu().double()
    R = rotation_from_wxyz(torch.nn.functional.normalize(poses[..., 3:], dim=-1))
    states = np.zeros((len(state), 1 + model.nq + model.nv))
    for index, body in enumerate(order):
        joint = model.body_jntadr[body]
        if joint < 0:
            if model.body_parentid[body] == 0:
                _check_static(model, body, poses[:, index].numpy())
            continue
        at, speed = 1 + model.jnt_qposadr[joint], 1 + model.nq + model.jnt_dofadr[joint]
        if model.jnt_type[joint] != mujoco.mjtJoint.mjJNT_FREE:
            continue
        linear, turn = twist[:, index, :3], twist[:, index, 3:]
        arm = R[:, index] @ torch.tensor(model.body_ipos[body])
        origin = linear - torch.linalg.cross(turn, arm)
        if leapfrog:
            origin = origin - 0.5 * model.opt.timestep * torch.tensor(model.opt.gravity)
        states[:, at : at + 7] = poses[:, index]
        states[:, speed : speed + 3] = origin
        states[:, speed + 3 : speed + 6] = (R[:, index].transpose(-1, -2) @ turn[..., None])[..., 0]
    _set_joints(mujoco, model, state, states)
    return states


def _set_joints(mujoco: Any, model: Any, state: State, states: np.ndarray) -> None:
    """Hinges and slides; fixed joints of the world are no joints of MuJoCo's, so columns are found by name."""
    names = [mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_JOINT, j) for j in range(model.njnt)]
    for column, values in enumerate(zip(state.joint_q.T, state.joint_qd.T, strict=True)):
        found = [j for j, name in enumerate(names) if name and name.split(":", 1)[0] == str(column)]
        for j in found:
            states[:, 1 + model.jnt_qposadr[j]] = values[0].detach().cpu().numpy()
            states[:, 1 + model.nq + model.jnt_dofadr[j]] = values[1].detach().cpu().numpy()


def _check_static(model: Any, body: int, poses: np.ndarray) -> None:
    away = np.abs(poses[:, :3] - model.body_pos[body]).max(initial=0.0)
    turned = (1 - np.abs(poses[:, 3:] @ model.body_quat[body])).max(initial=0.0)
    if max(away, turned) > AGREE:
        raise UsageError("A static body of the state is elsewhere in the model; give `poses` to mujoco_model.")


def _poses(mujoco: Any, model: Any, order: list[int], qpos: np.ndarray) -> Tensor:
    """Poses of our bodies from positions (B, T, nq)."""
    import torch

    from dynamics._integrate import quaternion_of_turn
    from dynamics.poses import compose

    found: dict[int, Tensor] = {}
    identity = torch.tensor([0.0, 0, 0, 1, 0, 0, 0], dtype=torch.float64)
    found[0] = identity.expand(*qpos.shape[:2], 7)
    for body in range(1, model.nbody):
        joint = model.body_jntadr[body]
        fixed = torch.tensor(np.concatenate([model.body_pos[body], model.body_quat[body]]))
        if joint >= 0 and model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE:
            at = model.jnt_qposadr[joint]
            found[body] = torch.tensor(qpos[..., at : at + 7])
            continue
        pose = compose(found[int(model.body_parentid[body])], fixed.expand_as(found[0]))
        if joint >= 0:
            q = torch.tensor(qpos[..., model.jnt_qposadr[joint]])[..., None]
            along = q * torch.tensor(model.jnt_axis[joint])
            none = torch.zeros_like(along)
            anchor = torch.tensor(model.jnt_pos[joint]).expand_as(along)
            unturned = identity[3:].expand(*along.shape[:-1], 4)
            if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE:
                turn = torch.cat([none, quaternion_of_turn(along)], dim=-1)
                turn = compose(torch.cat([anchor, unturned], dim=-1), turn)
                move = compose(turn, torch.cat([-anchor, unturned], dim=-1))
            else:
                move = torch.cat([along, unturned], dim=-1)
            pose = compose(pose, move)
        found[body] = pose
    return torch.stack([found[body] for body in order], dim=2)
