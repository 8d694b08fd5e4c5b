# type: ignore - what Warp compiles only looks like Python.

"""Joints in a kernel: drives, six rows to a joint, how far joints are apart, and where they stand.

Twins, which say more, are `dynamics._joint_geometry`, `dynamics._joint_rows` and `dynamics._joint_solve`. Body a is the
child, body b the parent. Modules of kernels import Warp at their top, as it wants; they are imported inside the
functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._memory_kernels import Constants, Inputs, Scratch, Shapes
from dynamics._start_warp import start_warp
from dynamics._turn_kernels import midway_turn, quat_of_turn

__all__ = ["CLOSING", "aim_joints", "close_joints", "free_joints", "guess_joints", "place_joints", "push_joint"]
__all__ += ["rows_of_joints", "speed_along"]

start_warp()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})

HINGE, SLIDE, FIXED = (wp.constant(i) for i in range(3))
CLOSING, CLOSING_SPEED = wp.constant(0.5), wp.constant(1.0)
LEAST, STRONGEST = wp.constant(1.0e-12), wp.constant(1.0e12)
TAU = wp.constant(6.283185307179586)


@wp.func
def aim_joints(shapes: Shapes, s: Scratch, c: Constants, inputs: Inputs, slot: wp.int32, w: wp.int32, t: wp.int32):
    """What drives aim at in this step; bodies that are driven do not sleep."""
    for j in range(c.joints):
        s.joints[slot, j].goal = 0.0
        s.joints[slot, j].pace = 0.0
        s.joints[slot, j].gain = 0.0
        s.joints[slot, j].rate = 0.0
        s.joints[slot, j].most = shapes.joints[j].drive_limit
        if c.joint_goals == 1:
            s.joints[slot, j].goal = inputs.joint_goal[w, t, j]
            s.joints[slot, j].gain = shapes.joints[j].stiffness
        if c.joint_paces == 1:
            s.joints[slot, j].pace = inputs.joint_pace[w, t, j]
        if c.joint_goals + c.joint_paces > 0:
            s.joints[slot, j].rate = shapes.joints[j].drive_damping
        if c.joint_mosts == 1:
            s.joints[slot, j].most = inputs.joint_most[w, t, j]
        if s.joints[slot, j].gain + s.joints[slot, j].rate > 0.0:
            s.asleep[slot, shapes.joints[j].child] = 0
            s.asleep[slot, shapes.joints[j].parent] = 0


@wp.func
def arrival(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32, i: wp.int32):
    """Where velocities take the centre of mass and the orientation of a body."""
    rate = s.turn[slot, i]
    if s.inverse_mass[slot, i] > 0.0:
        if shapes.round[i] == 0:
            rate = midway_turn(shapes, i, s.R[slot, i], rate, c.dt)
    return s.com[slot, i] + s.vel[slot, i] * c.dt, wp.normalize(quat_of_turn(rate * c.dt) * s.q[slot, i])


@wp.func
def apart(shapes: Shapes, s: Scratch, slot: wp.int32, j: wp.int32, ca: wp.vec3, qa: wp.quat, cb: wp.vec3, qb: wp.quat):
    """Of the child's frame seen from the parent's: origin, forbidden turn, and orientation."""
    a = shapes.joints[j].child
    b = shapes.joints[j].parent
    arm_a = wp.quat_rotate(qa, shapes.joints[j].child_point - s.joined[slot, a].centre)
    arm_b = wp.quat_rotate(qb, shapes.joints[j].parent_point - s.joined[slot, b].centre)
    frame = qb * shapes.joints[j].parent_xyzw
    place = wp.quat_rotate_inv(frame, (ca - cb) + (arm_a - arm_b))
    between = wp.quat_inverse(frame) * (qa * shapes.joints[j].child_xyzw)
    turn = wp.vec3(between[0], between[1], between[2]) * 2.0
    if between[3] < 0.0:
        turn = -turn
    if shapes.joints[j].kind == HINGE:
        axis = wp.quat_rotate(between, wp.vec3(0.0, 0.0, 1.0))
        turn = wp.vec3(-axis[1], axis[0], 0.0)
    return place, turn, between


@wp.func
def which(kind: wp.int32, r: wp.int32):
    """The entry of origin (0 to 2) and turn (3 to 5) that row r is about; the last is the free direction."""
    k = r
    if kind == SLIDE and r > 1:
        k = r + 1
        if r == 5:
            k = 2
    return k


@wp.func
def stand(s: Scratch, slot: wp.int32, j: wp.int32, kind: wp.int32, place: wp.vec3, between: wp.quat):
    """The joint's position, next to the one before."""
    q = float(0.0)
    if kind == HINGE:
        q = 2.0 * wp.atan2(between[2], between[3])
        q += TAU * wp.round((s.joints[slot, j].q - q) / TAU)
    if kind == SLIDE:
        q = place[2]
    s.joints[slot, j].q = q
    return q


@wp.func
def raw_row(
    shapes: Shapes, s: Scratch, slot: wp.int32, j: wp.int32, r: wp.int32, k: wp.int32, frame: wp.mat33,
    ra: wp.vec3, rb: wp.vec3, late: wp.bool,
):  # fmt: skip
    """One row of geometry, and what it does to velocities."""
    a = shapes.joints[j].child
    b = shapes.joints[j].parent
    axis = wp.vec3(0.0, 0.0, 0.0)
    ja = axis
    jb = axis
    if k < 3:
        axis = wp.vec3(frame[0, k], frame[1, k], frame[2, k])
        ja = wp.cross(ra, axis)
        jb = wp.cross(axis, rb)
    else:
        ja = wp.vec3(frame[0, k - 3], frame[1, k - 3], frame[2, k - 3])
        jb = -ja
    ta = wp.vec3(0.0, 0.0, 0.0)
    tb = wp.vec3(0.0, 0.0, 0.0)
    if s.inverse_mass[slot, a] > 0.0:
        ta = s.inverse_inertia[slot, a] * ja
        if late and shapes.round[a] == 0:
            ja = turned_row(shapes, s, slot, a, ja)
    if s.inverse_mass[slot, b] > 0.0:
        tb = s.inverse_inertia[slot, b] * jb
        if late and shapes.round[b] == 0:
            jb = turned_row(shapes, s, slot, b, jb)
    s.joint_rows[slot, r].axis = axis
    s.joint_rows[slot, r].arm_a = ja
    s.joint_rows[slot, r].arm_b = jb
    s.joint_rows[slot, r].turn_a = ta
    s.joint_rows[slot, r].turn_b = tb


@wp.func
def turned_row(shapes: Shapes, s: Scratch, slot: wp.int32, i: wp.int32, row: wp.vec3):
    """A row at the orientation after the step, for velocities at that before: angular momentum is what stays."""
    after = s.next_R[slot, i] * (shapes.inverse_inertia[i] * (wp.transpose(s.next_R[slot, i]) * row))
    return s.R[slot, i] * (shapes.inertia[i] * (wp.transpose(s.R[slot, i]) * after))


@wp.func
def rows_of_joints(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32, late: wp.bool):
    """Rows of all joints, at the start of the step or, late, where bodies arrive."""
    for j in range(c.joints):
        a = shapes.joints[j].child
        b = shapes.joints[j].parent
        kind = shapes.joints[j].kind
        ca = s.com[slot, a]
        cb = s.com[slot, b]
        qa = s.q[slot, a]
        qb = s.q[slot, b]
        if late:
            ca += s.land_vel[slot, a] * c.dt
            cb += s.land_vel[slot, b] * c.dt
            qa = late_turn(s, c, slot, a)
            qb = late_turn(s, c, slot, b)
        place, turn, between = apart(shapes, s, slot, j, ca, qa, cb, qb)
        ra = wp.quat_rotate(qa, shapes.joints[j].child_point - s.joined[slot, a].centre)
        rb = (ca - cb) + ra
        frame = wp.quat_to_matrix(qb * shapes.joints[j].parent_xyzw)
        q = stand(s, slot, j, kind, place, between)
        most = CLOSING_SPEED
        if late:
            most = 0.0
        s.joints[slot, j].slowest = wp.min((shapes.joints[j].low - q) / c.dt, most)
        s.joints[slot, j].fastest = wp.max((shapes.joints[j].high - q) / c.dt, -most)
        for i in range(6):
            r = 6 * j + i
            k = which(kind, i)
            raw_row(shapes, s, slot, j, r, k, frame, ra, rb, late)
            s.joint_rows[slot, r].target = 0.0
            if not late:
                gap = turn[(k + 3) % 3]
                if k < 3:
                    gap = place[k]
                if i == 5 and kind != FIXED:
                    gap = 0.0
                s.joint_rows[slot, r].start = gap
            s.joint_rows[slot, r].impulse = 0.0
            orthogonal(s, slot, j, i, s.inverse_mass[slot, a] + s.inverse_mass[slot, b])


@wp.func
def late_turn(s: Scratch, c: Constants, slot: wp.int32, i: wp.int32):
    q = s.next_q[slot, i]
    if s.inverse_mass[slot, i] == 0.0:
        q = wp.normalize(quat_of_turn(s.land_turn[slot, i] * c.dt) * s.q[slot, i])
    return q


@wp.func
def orthogonal(s: Scratch, slot: wp.int32, j: wp.int32, i: wp.int32, lightness: wp.float32):
    """Row i of joint j without what earlier rows of the joint say already."""
    r = 6 * j + i
    for h in range(i):
        e = 6 * j + h
        share = float(0.0)
        if s.joint_rows[slot, e].diagonal > LEAST:
            share = wp.dot(s.joint_rows[slot, r].axis, s.joint_rows[slot, e].axis) * lightness
            share += wp.dot(s.joint_rows[slot, r].arm_a, s.joint_rows[slot, e].turn_a)
            share += wp.dot(s.joint_rows[slot, r].arm_b, s.joint_rows[slot, e].turn_b)
            share /= s.joint_rows[slot, e].diagonal
        s.joint_mix[slot, 15 * j + (i * (i - 1)) // 2 + h] = share
        s.joint_rows[slot, r].axis = s.joint_rows[slot, r].axis - s.joint_rows[slot, e].axis * share
        s.joint_rows[slot, r].arm_a = s.joint_rows[slot, r].arm_a - s.joint_rows[slot, e].arm_a * share
        s.joint_rows[slot, r].arm_b = s.joint_rows[slot, r].arm_b - s.joint_rows[slot, e].arm_b * share
        s.joint_rows[slot, r].turn_a = s.joint_rows[slot, r].turn_a - s.joint_rows[slot, e].turn_a * share
        s.joint_rows[slot, r].turn_b = s.joint_rows[slot, r].turn_b - s.joint_rows[slot, e].turn_b * share
    own = wp.dot(s.joint_rows[slot, r].axis, s.joint_rows[slot, r].axis) * lightness
    own += wp.dot(s.joint_rows[slot, r].arm_a, s.joint_rows[slot, r].turn_a)
    own += wp.dot(s.joint_rows[slot, r].arm_b, s.joint_rows[slot, r].turn_b)
    s.joint_rows[slot, r].diagonal = own


@wp.func
def speed_along(s: Scratch, slot: wp.int32, r: wp.int32, a: wp.int32, b: wp.int32):
    u = wp.dot(s.joint_rows[slot, r].axis, s.vel[slot, a] - s.vel[slot, b])
    return (
        u + wp.dot(s.joint_rows[slot, r].arm_a, s.turn[slot, a]) + wp.dot(s.joint_rows[slot, r].arm_b, s.turn[slot, b])
    )


@wp.func
def push_joint(s: Scratch, slot: wp.int32, r: wp.int32, a: wp.int32, b: wp.int32, impulse: wp.float32):
    s.vel[slot, a] = s.vel[slot, a] + s.joint_rows[slot, r].axis * (impulse * s.inverse_mass[slot, a])
    s.turn[slot, a] = s.turn[slot, a] + s.joint_rows[slot, r].turn_a * impulse
    s.vel[slot, b] = s.vel[slot, b] - s.joint_rows[slot, r].axis * (impulse * s.inverse_mass[slot, b])
    s.turn[slot, b] = s.turn[slot, b] + s.joint_rows[slot, r].turn_b * impulse
    return impulse


@wp.func
def guess_joints(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32, share: wp.float32):
    """Velocities get a share of what friction, drives and limits gave in the step before."""
    for j in range(c.joints):
        r = 6 * j + 5
        if shapes.joints[j].kind != FIXED and s.joint_rows[slot, r].diagonal > LEAST:
            s.joint_rows[slot, r].impulse = s.joints[slot, j].known * share
            push_joint(s, slot, r, shapes.joints[j].child, shapes.joints[j].parent, s.joint_rows[slot, r].impulse)


@wp.func
def close_joints(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32, share: wp.float32):
    """Targets with which a share of what joints are apart is closed by the end of the step (Newton's method)."""
    step = CLOSING_SPEED * c.dt
    for j in range(c.joints):
        a = shapes.joints[j].child
        b = shapes.joints[j].parent
        kind = shapes.joints[j].kind
        ca, qa = arrival(shapes, s, c, slot, a)
        cb, qb = arrival(shapes, s, c, slot, b)
        place, turn, _between = apart(shapes, s, slot, j, ca, qa, cb, qb)
        for i in range(6):
            r = 6 * j + i
            k = which(kind, i)
            missing = -turn[(k + 3) % 3]
            if k < 3:
                missing = -place[k]
            start = s.joint_rows[slot, r].start
            missing = (missing + start - wp.clamp(share * start, -step, step)) / c.dt
            for h in range(i):
                missing -= s.joint_mix[slot, 15 * j + (i * (i - 1)) // 2 + h] * s.joint_rows[slot, 6 * j + h].target
            s.joint_rows[slot, r].target = missing
        # Along the free direction: what the other five add to the velocity there.
        offset = float(0.0)
        for i in range(5):
            r = 6 * j + i
            s.joint_rows[slot, r].target = s.joint_rows[slot, r].target + speed_along(s, slot, r, a, b)
            offset += s.joint_mix[slot, 15 * j + 10 + i] * s.joint_rows[slot, r].target
        last = 6 * j + 5
        if kind == FIXED:
            s.joint_rows[slot, last].target = s.joint_rows[slot, last].target + speed_along(s, slot, last, a, b)
        else:
            s.joint_rows[slot, last].target = -offset


@wp.func
def along(
    shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32, j: wp.int32, unpushed: wp.float32, d: wp.float32,
    time: wp.float32,
):  # fmt: skip
    """Velocity along the free direction with damping, dry friction, drive and limits, all for that time."""
    share = 1.0 / (1.0 + d * time * shapes.joints[j].damping)
    u = unpushed * share
    e = d * share
    gain = s.joints[slot, j].gain
    rate = s.joints[slot, j].rate
    steep = time * (gain * c.dt + rate)
    push = time * (gain * (s.joints[slot, j].goal - s.joints[slot, j].q) + rate * s.joints[slot, j].pace)
    most = time * wp.min(s.joints[slot, j].most, STRONGEST)
    at_rest = u + e * wp.clamp(push, -most, most)
    held = e * time * shapes.joints[j].friction
    u -= wp.clamp(at_rest, -held, held)
    v = (u + e * push) / (1.0 + e * steep)
    given = push - steep * v
    if given > most:
        v = u + e * most
    if given < -most:
        v = u - e * most
    if wp.abs(at_rest) <= held:
        v = 0.0
    return wp.min(wp.max(v, s.joints[slot, j].slowest), s.joints[slot, j].fastest)


@wp.func
def free_joints(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32, early: wp.bool):
    """Free directions one after the other; the greatest correction of a velocity."""
    worst = float(0.0)
    time = c.dt
    if early:
        time = 0.5 * c.dt
    for j in range(c.joints):
        r = 6 * j + 5
        d = s.joint_rows[slot, r].diagonal
        if d > LEAST and shapes.joints[j].kind != FIXED:
            a = shapes.joints[j].child
            b = shapes.joints[j].parent
            old = s.joint_rows[slot, r].impulse
            unpushed = speed_along(s, slot, r, a, b) - s.joint_rows[slot, r].target - d * old
            new = (along(shapes, s, c, slot, j, unpushed, d, time) - unpushed) / d
            change = wp.abs(new - old) * d
            worst = wp.max(worst, change)
            if change >= c.tolerance:
                s.joint_rows[slot, r].impulse = new
                push_joint(s, slot, r, a, b, new - old)
    return worst


@wp.func
def place_joints(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32):
    """Positions and velocities of joints from poses and twists after the step."""
    for j in range(c.joints):
        a = shapes.joints[j].child
        b = shapes.joints[j].parent
        qa = s.q[slot, a]
        qb = s.q[slot, b]
        ca = s.p[slot, a] + wp.quat_rotate(qa, s.joined[slot, a].centre)
        cb = s.p[slot, b] + wp.quat_rotate(qb, s.joined[slot, b].centre)
        place, _turn, between = apart(shapes, s, slot, j, ca, qa, cb, qb)
        kind = shapes.joints[j].kind
        stand(s, slot, j, kind, place, between)
        axis = wp.quat_rotate(qb * shapes.joints[j].parent_xyzw, wp.vec3(0.0, 0.0, 1.0))
        qd = float(0.0)
        if kind == HINGE:
            qd = wp.dot(axis, s.turn[slot, a] - s.turn[slot, b])
        if kind == SLIDE:
            ra = wp.quat_rotate(qa, shapes.joints[j].child_point - s.joined[slot, a].centre)
            rb = (ca - cb) + ra
            qd = wp.dot(axis, s.vel[slot, a] + wp.cross(s.turn[slot, a], ra))
            qd -= wp.dot(axis, s.vel[slot, b] + wp.cross(s.turn[slot, b], rb))
        s.joints[slot, j].qd = qd
