# type: ignore - what Warp compiles only looks like Python.

"""Whole rollouts in one kernel: a thread takes one world through all its steps.

Each step finds contacts, solves for impulses and moves bodies, all in scratch memory. On a CPU, where threads of a
launch run one after the other, all of them share one slot of it, which stays in the cache; on a GPU each world has its
own. `dynamics._step.step_torch` is the twin and says what a step is. Modules of kernels import Warp at their top, as
it wants; they are imported inside the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._contact_solve_kernels import LANDING, REBOUND, prepare, solve
from dynamics._find_contacts_kernels import find
from dynamics._free_motion_kernels import free_motion, target_pose, wake
from dynamics._joint_kernels import place_joints
from dynamics._joint_solve_kernels import solve_jointed
from dynamics._keep_energy_kernels import keep_energy
from dynamics._keep_momentum_kernels import keep_momentum
from dynamics._memory_kernels import Constants, Inputs, Outputs, Scratch, Shapes
from dynamics._start_warp import start_warp
from dynamics._turn_kernels import midway_turn, quat_of_turn, turned_by

__all__ = ["begin", "finish", "move", "record", "roll", "turn_on"]

start_warp()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})

STATIC, KINEMATIC, DYNAMIC = (wp.constant(i) for i in range(3))


@wp.func
def turn_on(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32):
    """Orientations after the step, by landing velocities."""
    for i in range(shapes.kind.shape[0]):
        if s.inverse_mass[slot, i] > 0.0:
            rate = s.turn[slot, i]
            if shapes.round[i] == 0:
                rate = midway_turn(shapes, i, s.R[slot, i], rate, c.dt)
            q = wp.normalize(quat_of_turn(rate * c.dt) * s.q[slot, i])
            s.next_q[slot, i] = q
            s.next_R[slot, i] = wp.quat_to_matrix(q)
        s.land_vel[slot, i] = s.vel[slot, i]
        s.land_turn[slot, i] = s.turn[slot, i]
    return 0


@wp.func
def move(shapes: Shapes, s: Scratch, c: Constants, inputs: Inputs, slot: wp.int32, w: wp.int32, t: wp.int32):
    """Poses from landing velocities; the state keeps those of rebound."""
    for i in range(shapes.kind.shape[0]):
        if shapes.motion[i] == KINEMATIC and c.targets == 1:
            p, q = target_pose(inputs, w, t, i)
            s.p[slot, i] = p
            s.q[slot, i] = q
        if shapes.motion[i] == DYNAMIC and s.asleep[slot, i] == 0:
            q = s.next_q[slot, i]
            s.p[slot, i] = s.com[slot, i] + s.land_vel[slot, i] * c.dt - wp.quat_rotate(q, inputs.com[w, i])
            if shapes.round[i] == 0:
                s.turn[slot, i] = turned_by(shapes, i, s.q[slot, i], q, s.turn[slot, i])
            s.q[slot, i] = q
            slow = wp.length(s.vel[slot, i]) < c.sleep_speed and wp.length(s.turn[slot, i]) < c.sleep_turn
            if slow and s.pushed[slot, i] == 1:
                s.still[slot, i] = s.still[slot, i] + 1
            else:
                s.still[slot, i] = 0
    if c.joints > 0:
        place_joints(shapes, s, c, slot)
    return 0


@wp.func
def record(s: Scratch, outputs: Outputs, slot: wp.int32, w: wp.int32, at: wp.int32, overlap: wp.float32):
    for i in range(outputs.still.shape[2]):
        p = s.p[slot, i]
        q = s.q[slot, i]
        for k in range(3):
            outputs.pose[w, at, i, k] = p[k]
            outputs.pose[w, at, i, 4 + k] = q[k]
            outputs.twist[w, at, i, k] = s.vel[slot, i][k]
            outputs.twist[w, at, i, 3 + k] = s.turn[slot, i][k]
        outputs.pose[w, at, i, 3] = q[3]
        outputs.still[w, at, i] = s.still[slot, i]
    for j in range(outputs.joint_q.shape[2]):
        outputs.joint_q[w, at, j] = s.joints[slot, j].q
        outputs.joint_qd[w, at, j] = s.joints[slot, j].qd
    outputs.overlap[w, at] = overlap


@wp.func
def begin(s: Scratch, c: Constants, outputs: Outputs, slot: wp.int32, w: wp.int32):
    """The state that a rollout starts from."""
    bodies = outputs.still.shape[2]
    for i in range(bodies):
        s.p[slot, i] = wp.vec3(outputs.pose[w, 0, i, 0], outputs.pose[w, 0, i, 1], outputs.pose[w, 0, i, 2])
        s.q[slot, i] = wp.quat(
            outputs.pose[w, 0, i, 4], outputs.pose[w, 0, i, 5], outputs.pose[w, 0, i, 6], outputs.pose[w, 0, i, 3]
        )
        s.vel[slot, i] = wp.vec3(outputs.twist[w, 0, i, 0], outputs.twist[w, 0, i, 1], outputs.twist[w, 0, i, 2])
        s.turn[slot, i] = wp.vec3(outputs.twist[w, 0, i, 3], outputs.twist[w, 0, i, 4], outputs.twist[w, 0, i, 5])
        s.still[slot, i] = outputs.still[w, 0, i]
    for m in range(outputs.contact_point.shape[1]):
        s.known_key[slot, m] = outputs.contact_point[w, m]
        for k in range(3):
            s.known_impulse[slot, m][k] = outputs.contact_impulse[w, m, k]
    for j in range(c.joints):
        s.joints[slot, j].q = outputs.joint_q[w, 0, j]
        s.joints[slot, j].known = outputs.joint_impulse[w, j]
    # The world itself, which joints may hold on to.
    s.q[slot, bodies] = wp.quat(0.0, 0.0, 0.0, 1.0)
    s.R[slot, bodies] = wp.identity(n=3, dtype=wp.float32)


@wp.func
def finish(s: Scratch, c: Constants, outputs: Outputs, slot: wp.int32, w: wp.int32):
    """What the next rollout wants to know of contacts and joints."""
    for m in range(outputs.contact_point.shape[1]):
        outputs.contact_point[w, m] = s.known_key[slot, m]
        for k in range(3):
            outputs.contact_impulse[w, m, k] = s.known_impulse[slot, m][k]
    for j in range(c.joints):
        outputs.joint_impulse[w, j] = s.joints[slot, j].known


@wp.kernel
def roll(shapes: Shapes, s: Scratch, c: Constants, inputs: Inputs, outputs: Outputs, first_slot: wp.int32):
    w = wp.tid() + c.first_world
    slot = first_slot + wp.tid() * c.slot_stride
    bodies = shapes.kind.shape[0]
    begin(s, c, outputs, slot, w)
    overlap = float(0.0)
    for t in range(c.steps):
        free_motion(shapes, s, c, inputs, slot, w, t)
        wake(shapes, s, c, slot)
        n = find(shapes, s, c, slot)
        bounces = prepare(s, c, inputs, slot, w, n)
        for k in range(n):
            overlap = wp.max(overlap, -s.gap[slot, k])
        for i in range(bodies):
            s.start_vel[slot, i] = s.vel[slot, i]
            s.start_turn[slot, i] = s.turn[slot, i]
        if c.joints > 0:
            solve_jointed(shapes, s, c, slot, n, LANDING)
        else:
            solve(shapes, s, c, slot, n, LANDING)
        turn_on(shapes, s, c, slot)
        if c.joints > 0:
            solve_jointed(shapes, s, c, slot, n, REBOUND)
        else:
            solve(shapes, s, c, slot, n, REBOUND)
        if bounces == 1 and c.driven == 0:
            keep_energy(shapes, s, c, inputs, slot, w, n)
        if n + c.joints > 0 and c.movers > 1:
            keep_momentum(shapes, s, c, inputs, slot, w, n)
        move(shapes, s, c, inputs, slot, w, t)
        if (t + 1) % c.every == 0:
            record(s, outputs, slot, w, (t + 1) // c.every, overlap)
            overlap = 0.0
    finish(s, c, outputs, slot, w)
