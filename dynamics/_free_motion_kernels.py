# type: ignore - what Warp compiles only looks like Python.
# ruff: noqa: RUF046 - int(0) makes a variable of Warp, a literal a constant.
"""What bodies do in a step before contacts, in a kernel: forces, kinematic targets, sleep.

`dynamics._free_motion` is the twin, and says more. Modules of kernels import Warp at their top, as it wants; they are
imported inside the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._find_contacts_kernels import boxes_near, is_near
from dynamics._joint_kernels import aim_joints
from dynamics._memory_kernels import Constants, Inputs, Scratch, Shapes
from dynamics._start_warp import start_warp
from dynamics._turn_kernels import turn_between

__all__ = ["free_motion", "target_pose", "wake"]

start_warp()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})

STATIC, KINEMATIC, DYNAMIC = (wp.constant(i) for i in range(3))


@wp.func
def target_pose(inputs: Inputs, w: wp.int32, t: wp.int32, i: wp.int32):
    p = wp.vec3(inputs.target[w, t, i, 0], inputs.target[w, t, i, 1], inputs.target[w, t, i, 2])
    q = wp.quat(
        inputs.target[w, t, i, 4], inputs.target[w, t, i, 5], inputs.target[w, t, i, 6], inputs.target[w, t, i, 3]
    )
    return p, wp.normalize(q)


@wp.func
def free_motion(shapes: Shapes, s: Scratch, c: Constants, inputs: Inputs, slot: wp.int32, w: wp.int32, t: wp.int32):
    """Inertia at the poses, and velocities at the end of the step if nothing touched."""
    for i in range(shapes.kind.shape[0]):
        R = wp.quat_to_matrix(s.q[slot, i])
        s.R[slot, i] = R
        s.com[slot, i] = s.p[slot, i] + R * inputs.com[w, i]
        s.inverse_mass[slot, i] = 0.0
        s.asleep[slot, i] = 0
        s.lively[slot, i] = 0
        s.pushed[slot, i] = 0
        vel = wp.vec3(0.0, 0.0, 0.0)
        turn = wp.vec3(0.0, 0.0, 0.0)
        if shapes.motion[i] == KINEMATIC and c.targets == 1:
            p, q = target_pose(inputs, w, t, i)
            vel = (p + wp.quat_rotate(q, inputs.com[w, i]) - s.com[slot, i]) / c.dt
            turn = turn_between(s.q[slot, i], q) / c.dt
            if wp.dot(vel, vel) + wp.dot(turn, turn) > 0.0:
                s.lively[slot, i] = 1
        free_vel = vel
        free_turn = turn
        if shapes.motion[i] == DYNAMIC:
            vel = s.vel[slot, i]
            turn = s.turn[slot, i]
            scale = inputs.mass_scale[w, i]
            inverse = shapes.inverse_inertia[i] * (1.0 / scale)
            if shapes.round[i] == 0:
                inverse = R * inverse * wp.transpose(R)
            s.inverse_inertia[slot, i] = inverse
            s.inverse_mass[slot, i] = inputs.inverse_mass[w, i]
            free_vel = vel + c.gravity * c.dt
            free_turn = turn
            calm = int(1)
            if c.wrenches == 1:
                force = wp.vec3(inputs.wrench[w, t, i, 0], inputs.wrench[w, t, i, 1], inputs.wrench[w, t, i, 2])
                torque = wp.vec3(inputs.wrench[w, t, i, 3], inputs.wrench[w, t, i, 4], inputs.wrench[w, t, i, 5])
                free_vel += force * (inputs.inverse_mass[w, i] * c.dt)
                free_turn += inverse * torque * c.dt
                if wp.dot(force, force) + wp.dot(torque, torque) > 0.0:
                    calm = int(0)
            if s.still[slot, i] >= c.sleep_after and calm == 1:
                s.asleep[slot, i] = 1
            elif s.still[slot, i] == 0:
                s.lively[slot, i] = 1
        s.vel[slot, i] = vel
        s.turn[slot, i] = turn
        s.free_vel[slot, i] = free_vel
        s.free_turn[slot, i] = free_turn
    if c.joints > 0:
        for i in range(shapes.kind.shape[0]):
            s.joined[slot, i].centre = inputs.com[w, i]
        aim_joints(shapes, s, c, inputs, slot, w, t)


@wp.func
def wake_joined(shapes: Shapes, s: Scratch, slot: wp.int32, a: wp.int32, b: wp.int32):
    """Body a sleeps only together with b, to which it is joined; whether anything changed."""
    changed = int(0)
    if b < shapes.kind.shape[0] and s.asleep[slot, a] == 1:
        if s.lively[slot, b] == 1:
            s.still[slot, a] = 0
            s.lively[slot, a] = 1
            changed = 1
        if shapes.motion[b] == DYNAMIC and s.asleep[slot, b] == 0:
            changed = 1
        if changed == 1:
            s.asleep[slot, a] = 0
    return changed


@wp.func
def wake(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32):
    """Bodies that sleep wake up near lively ones; the rest of them is nailed down."""
    pairs = shapes.pairs.shape[0]
    for k in range(pairs):
        pair = shapes.pairs[k]
        s.near[slot, k] = is_near(shapes, s, slot, pair[0], pair[1], c.margin, c.dt)
    more = int(1)
    while more == 1:
        more = int(0)
        for k in range(pairs):
            a = shapes.pairs[k][0]
            b = shapes.pairs[k][1]
            if s.near[slot, k] == 1 and s.lively[slot, a] + s.lively[slot, b] == 1:
                other = a
                if s.lively[slot, a] == 1:
                    other = b
                if s.asleep[slot, other] == 1 and boxes_near(shapes, s, slot, a, b, c.margin, c.dt) == 1:
                    s.asleep[slot, other] = 0
                    s.still[slot, other] = 0
                    s.lively[slot, other] = 1
                    more = 1
        for j in range(c.joints):
            more = wp.max(more, wake_joined(shapes, s, slot, shapes.joints[j].child, shapes.joints[j].parent))
            more = wp.max(more, wake_joined(shapes, s, slot, shapes.joints[j].parent, shapes.joints[j].child))
    for i in range(shapes.kind.shape[0]):
        if s.asleep[slot, i] == 1:
            s.inverse_mass[slot, i] = 0.0
            s.vel[slot, i] = wp.vec3(0.0, 0.0, 0.0)
            s.turn[slot, i] = wp.vec3(0.0, 0.0, 0.0)
            s.free_vel[slot, i] = wp.vec3(0.0, 0.0, 0.0)
            s.free_turn[slot, i] = wp.vec3(0.0, 0.0, 0.0)
