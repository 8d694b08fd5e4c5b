"""Whole rollouts in one kernel: a thread takes one world through all its steps.

Each step finds contacts, solves for impulses and moves bodies, all in scratch memory. On a CPU, where threads of a
launch run one after the other, all of them share one slot of it, which stays in the cache; on a GPU each world has its
own. `dynamics._step.step_torch` is the twin and says what a step is. Modules of kernels import Warp at their top, as
it wants; they are imported inside the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._find_contacts_kernels import Scratch, Shapes, capacity, is_near, look_up, remembered

__all__ = ["Constants", "Inputs", "Outputs", "roll"]

wp.config.log_level = wp.LOG_ERROR
wp.init()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})

PLANE, BOX, SPHERE, GRID = (wp.constant(i) for i in range(4))
STATIC, KINEMATIC, DYNAMIC = (wp.constant(i) for i in range(3))
REFINEMENTS = wp.constant(4)
LANDING, REBOUND, INELASTIC = (wp.constant(i) for i in range(3))


@wp.struct
class Constants:
    gravity: wp.vec3
    dt: wp.float32
    steps: wp.int32
    every: wp.int32
    sweeps: wp.int32
    margin: wp.float32
    per_direction: wp.int32
    slop: wp.float32
    recovery: wp.float32
    recovery_speed: wp.float32
    rest_speed: wp.float32
    sleep_after: wp.int32
    sleep_speed: wp.float32
    sleep_turn: wp.float32
    first_world: wp.int32
    slot_stride: wp.int32
    wrenches: wp.int32
    targets: wp.int32


@wp.struct
class Inputs:
    com: wp.array2d(dtype=wp.vec3)
    inverse_mass: wp.array2d(dtype=wp.float32)
    mass_scale: wp.array2d(dtype=wp.float32)
    friction: wp.array2d(dtype=wp.float32)
    restitution: wp.array2d(dtype=wp.float32)
    wrench: wp.array4d(dtype=wp.float32)
    target: wp.array4d(dtype=wp.float32)


@wp.struct
class Outputs:
    """What is recorded, from the start on, and what contacts gave: before the first step, then in the last."""

    pose: wp.array4d(dtype=wp.float32)
    twist: wp.array4d(dtype=wp.float32)
    still: wp.array3d(dtype=wp.int32)
    overlap: wp.array2d(dtype=wp.float32)
    contact_point: wp.array2d(dtype=wp.int32)
    contact_impulse: wp.array3d(dtype=wp.float32)


@wp.func
def quat_of_turn(v: wp.vec3):
    half = 0.5 * wp.length(v)
    s = float(0.5)
    if half > 1.0e-4:
        s = 0.5 * wp.sin(half) / half
    return wp.quat(v[0] * s, v[1] * s, v[2] * s, wp.cos(half))


@wp.func
def target_pose(inputs: Inputs, w: wp.int32, t: wp.int32, i: wp.int32):
    p = wp.vec3(inputs.target[w, t, i, 0], inputs.target[w, t, i, 1], inputs.target[w, t, i, 2])
    q = wp.quat(
        inputs.target[w, t, i, 4], inputs.target[w, t, i, 5], inputs.target[w, t, i, 6], inputs.target[w, t, i, 3]
    )
    return p, wp.normalize(q)


@wp.func
def turn_between(q0: wp.quat, q1: wp.quat):
    """The shortest rotation vector from q0 to q1."""
    d = q1 * wp.quat_inverse(q0)
    v = wp.vec3(d[0], d[1], d[2])
    w = d[3]
    if w < 0.0:
        v = -v
        w = -w
    s = wp.length(v)
    turn = v * 2.0
    if s > 1.0e-6:
        turn = v * (2.0 * wp.atan2(s, w) / s)
    return turn


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
                if s.asleep[slot, other] == 1:
                    s.asleep[slot, other] = 0
                    s.still[slot, other] = 0
                    s.lively[slot, other] = 1
                    more = 1
    for i in range(shapes.kind.shape[0]):
        if s.asleep[slot, i] == 1:
            s.inverse_mass[slot, i] = 0.0
            s.vel[slot, i] = wp.vec3(0.0, 0.0, 0.0)
            s.turn[slot, i] = wp.vec3(0.0, 0.0, 0.0)
            s.free_vel[slot, i] = wp.vec3(0.0, 0.0, 0.0)
            s.free_turn[slot, i] = wp.vec3(0.0, 0.0, 0.0)


@wp.func
def find(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32):
    """All contacts of the world; their number."""
    n = int(0)
    base = int(0)
    for k in range(shapes.pairs.shape[0]):
        movable = s.inverse_mass[slot, shapes.pairs[k][0]] + s.inverse_mass[slot, shapes.pairs[k][1]] > 0.0
        for direction in range(2):
            source = shapes.pairs[k][direction]
            target = shapes.pairs[k][1 - direction]
            room = capacity(shapes, source, target, c.per_direction)
            kept = int(0)
            if room > 0 and movable and s.near[slot, k] == 1:
                kept = look_up(shapes, s, slot, source, target, n, c.per_direction, c.margin, c.dt)
            if movable:
                remembered(s, slot, n, kept, base, room)
            n += kept
            base += room
    return n


@wp.func
def row(s: Scratch, slot: wp.int32, r: wp.int32, a: wp.int32, b: wp.int32, axis: wp.vec3, ra: wp.vec3, rb: wp.vec3):
    ja = wp.cross(ra, axis)
    jb = wp.cross(axis, rb)
    d = s.inverse_mass[slot, a] + s.inverse_mass[slot, b]
    s.axis[slot, r] = axis
    s.arm_a[slot, r] = ja
    s.arm_b[slot, r] = jb
    ta = wp.vec3(0.0, 0.0, 0.0)
    tb = wp.vec3(0.0, 0.0, 0.0)
    if s.inverse_mass[slot, a] > 0.0:
        ta = s.inverse_inertia[slot, a] * ja
    if s.inverse_mass[slot, b] > 0.0:
        tb = s.inverse_inertia[slot, b] * jb
    s.turn_a[slot, r] = ta
    s.turn_b[slot, r] = tb
    s.diagonal[slot, r] = d + wp.dot(ja, ta) + wp.dot(jb, tb)
    return d


@wp.func
def prepare(s: Scratch, c: Constants, inputs: Inputs, slot: wp.int32, w: wp.int32, n: wp.int32):
    """Rows and targets of contacts; whether any rebounds."""
    bounces = int(0)
    for k in range(n):
        a = s.a[slot, k]
        b = s.b[slot, k]
        normal = s.normal[slot, k]
        gap = s.gap[slot, k]
        ra = s.point[slot, k] - s.com[slot, a]
        rb = s.point[slot, k] - s.com[slot, b]
        u = s.free_vel[slot, a] + wp.cross(s.free_turn[slot, a], ra)
        u -= s.free_vel[slot, b] + wp.cross(s.free_turn[slot, b], rb)
        u0 = s.vel[slot, a] + wp.cross(s.turn[slot, a], ra) - s.vel[slot, b] - wp.cross(s.turn[slot, b], rb)
        approach = wp.dot(u, normal)
        before = wp.dot(u0, normal)
        slip = u - approach * normal
        speed = wp.length(slip)
        if speed > 1.0e-6:
            slip = slip / speed
        else:
            flattest = wp.vec3(1.0, 0.0, 0.0)
            least = wp.abs(normal[0])
            if wp.abs(normal[1]) < least:
                least = wp.abs(normal[1])
                flattest = wp.vec3(0.0, 1.0, 0.0)
            if wp.abs(normal[2]) < least:
                flattest = wp.vec3(0.0, 0.0, 1.0)
            slip = wp.normalize(wp.cross(normal, flattest))
        row(s, slot, 3 * k, a, b, normal, ra, rb)
        row(s, slot, 3 * k + 1, a, b, slip, ra, rb)
        row(s, slot, 3 * k + 2, a, b, wp.cross(normal, slip), ra, rb)
        # The two friction rows share one diagonal.
        s.diagonal[slot, 3 * k + 1] = wp.max(s.diagonal[slot, 3 * k + 1], s.diagonal[slot, 3 * k + 2])
        landing = -gap / c.dt
        rebound = landing
        resting = int(1)
        if gap <= 0.0:
            rebound = 0.0
            landing = wp.min(c.recovery * wp.max(-gap - c.slop, 0.0) / c.dt, c.recovery_speed)
        if gap + 0.5 * (before + approach) * c.dt < 0.0:
            rebound = 0.0
        if rebound == 0.0 and approach < -c.rest_speed:
            e = wp.max(inputs.restitution[w, a], inputs.restitution[w, b])
            gained = 2.0 * (before - approach) / c.dt * wp.max(gap, 0.0)
            rebound = e * wp.sqrt(wp.max(before * before + gained, 0.0))
            resting = 0
            if rebound > 0.0:
                bounces = 1
        if resting == 0:
            s.warm[slot, k] = wp.vec3(0.0, 0.0, 0.0)
        s.landing[slot, k] = landing
        s.rebound[slot, k] = rebound
        s.mu[slot, k] = wp.sqrt(inputs.friction[w, a] * inputs.friction[w, b])
    return bounces


@wp.func
def give(s: Scratch, slot: wp.int32, k: wp.int32, j: wp.int32, impulse: wp.float32):
    r = 3 * k + j
    s.impulse[slot, r] = impulse
    if impulse != 0.0:
        a = s.a[slot, k]
        b = s.b[slot, k]
        s.vel[slot, a] = s.vel[slot, a] + s.axis[slot, r] * (impulse * s.inverse_mass[slot, a])
        s.turn[slot, a] = s.turn[slot, a] + s.turn_a[slot, r] * impulse
        s.vel[slot, b] = s.vel[slot, b] - s.axis[slot, r] * (impulse * s.inverse_mass[slot, b])
        s.turn[slot, b] = s.turn[slot, b] + s.turn_b[slot, r] * impulse
    return impulse


@wp.func
def solve(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32, n: wp.int32, goal: wp.int32):
    """Velocities with contacts by projected Gauss-Seidel: landing from the mean free ones, others from the last."""
    for i in range(shapes.kind.shape[0]):
        if goal != LANDING:
            s.vel[slot, i] = s.free_vel[slot, i]
            s.turn[slot, i] = s.free_turn[slot, i]
        else:
            s.vel[slot, i] = (s.start_vel[slot, i] + s.free_vel[slot, i]) * 0.5
            s.turn[slot, i] = (s.start_turn[slot, i] + s.free_turn[slot, i]) * 0.5
    share = float(1.0)
    if goal == LANDING:
        share = 0.5
    for k in range(n):
        guess = s.warm[slot, k] * share
        pressed = wp.max(wp.dot(guess, s.axis[slot, 3 * k]), 0.0)
        p = wp.dot(guess, s.axis[slot, 3 * k + 1])
        q = wp.dot(guess, s.axis[slot, 3 * k + 2])
        length = wp.sqrt(p * p + q * q + 1.0e-30)
        limit = s.mu[slot, k] * pressed
        if length > limit:
            p = p * limit / length
            q = q * limit / length
        give(s, slot, k, 0, pressed)
        give(s, slot, k, 1, p)
        give(s, slot, k, 2, q)
    for _sweep in range(c.sweeps):
        for k in range(n):
            a = s.a[slot, k]
            b = s.b[slot, k]
            r = 3 * k
            ia = s.inverse_mass[slot, a]
            ib = s.inverse_mass[slot, b]
            va = s.vel[slot, a]
            wa = s.turn[slot, a]
            vb = s.vel[slot, b]
            wb = s.turn[slot, b]
            target = s.landing[slot, k]
            if goal == REBOUND:
                target = s.rebound[slot, k]
            if goal == INELASTIC:
                target = wp.min(s.rebound[slot, k], 0.0)
            x = s.axis[slot, r]
            u = wp.dot(x, va - vb) + wp.dot(s.arm_a[slot, r], wa) + wp.dot(s.arm_b[slot, r], wb)
            old = s.impulse[slot, r]
            pressed = wp.max(old + (target - u) / s.diagonal[slot, r], 0.0)
            change = pressed - old
            s.impulse[slot, r] = pressed
            if change != 0.0:
                va += x * (change * ia)
                wa += s.turn_a[slot, r] * change
                vb -= x * (change * ib)
                wb += s.turn_b[slot, r] * change
            old_p = s.impulse[slot, r + 1]
            old_q = s.impulse[slot, r + 2]
            if pressed > 0.0 or old_p != 0.0 or old_q != 0.0:
                x = s.axis[slot, r + 1]
                y = s.axis[slot, r + 2]
                d = s.diagonal[slot, r + 1]
                ux = wp.dot(x, va - vb) + wp.dot(s.arm_a[slot, r + 1], wa) + wp.dot(s.arm_b[slot, r + 1], wb)
                uy = wp.dot(y, va - vb) + wp.dot(s.arm_a[slot, r + 2], wa) + wp.dot(s.arm_b[slot, r + 2], wb)
                p = old_p - ux / d
                q = old_q - uy / d
                limit = s.mu[slot, k] * pressed
                length = wp.sqrt(p * p + q * q + 1.0e-30)
                if length > limit:
                    p = p * limit / length
                    q = q * limit / length
                s.impulse[slot, r + 1] = p
                s.impulse[slot, r + 2] = q
                p -= old_p
                q -= old_q
                va += (x * p + y * q) * ia
                wa += s.turn_a[slot, r + 1] * p + s.turn_a[slot, r + 2] * q
                vb -= (x * p + y * q) * ib
                wb += s.turn_b[slot, r + 1] * p + s.turn_b[slot, r + 2] * q
            s.vel[slot, a] = va
            s.turn[slot, a] = wa
            if ib > 0.0:
                s.vel[slot, b] = vb
                s.turn[slot, b] = wb
    for k in range(n):
        if s.impulse[slot, 3 * k] > 0.0:
            s.pushed[slot, s.a[slot, k]] = 1
            s.pushed[slot, s.b[slot, k]] = 1
        if goal == REBOUND:
            given = s.axis[slot, 3 * k] * s.impulse[slot, 3 * k]
            given += s.axis[slot, 3 * k + 1] * s.impulse[slot, 3 * k + 1]
            given += s.axis[slot, 3 * k + 2] * s.impulse[slot, 3 * k + 2]
            s.known_impulse[slot, s.place[slot, k]] = given
            s.known_key[slot, s.place[slot, k]] = s.key[slot, k]
    return n


@wp.func
def work(shapes: Shapes, inputs: Inputs, s: Scratch, slot: wp.int32, w: wp.int32, i: wp.int32, force: wp.vec3,
         torque: wp.vec3, vel: wp.vec3, turn: wp.vec3):
    """v M u of one body that obeys forces."""
    R = s.R[slot, i]
    spin = wp.dot(wp.transpose(R) * torque, shapes.inertia[i] * (wp.transpose(R) * turn)) * inputs.mass_scale[w, i]
    return wp.dot(force, vel) / inputs.inverse_mass[w, i] + spin


@wp.func
def keep_energy(shapes: Shapes, s: Scratch, c: Constants, inputs: Inputs, slot: wp.int32, w: wp.int32, n: wp.int32):
    """Rebounds that make energy are mixed with the inelastic solution until they do not."""
    excess = float(0.0)
    size = float(0.0)
    for i in range(shapes.kind.shape[0]):
        s.bounce_vel[slot, i] = s.vel[slot, i]
        s.bounce_turn[slot, i] = s.turn[slot, i]
        if shapes.motion[i] == KINEMATIC and s.lively[slot, i] == 1:
            return 0
        if s.inverse_mass[slot, i] > 0.0:
            v = s.vel[slot, i]
            o = s.turn[slot, i]
            v0 = s.start_vel[slot, i]
            o0 = s.start_turn[slot, i]
            after = 0.5 * work(shapes, inputs, s, slot, w, i, v, o, v, o)
            before = 0.5 * work(shapes, inputs, s, slot, w, i, v0, o0, v0, o0)
            fv = s.free_vel[slot, i] - v0
            fo = s.free_turn[slot, i] - o0
            gained = work(shapes, inputs, s, slot, w, i, fv, fo, s.land_vel[slot, i], s.land_turn[slot, i])
            excess += after - before - gained
            size += after
    if excess <= 1.0e-6 * size:
        return 0
    solve(shapes, s, c, slot, n, INELASTIC)
    square = float(0.0)
    slope = float(0.0)
    rest = excess - size
    for i in range(shapes.kind.shape[0]):
        if s.inverse_mass[slot, i] > 0.0:
            v = s.vel[slot, i]
            o = s.turn[slot, i]
            dv = s.bounce_vel[slot, i] - v
            do = s.bounce_turn[slot, i] - o
            square += 0.5 * work(shapes, inputs, s, slot, w, i, dv, do, dv, do)
            slope += work(shapes, inputs, s, slot, w, i, v, o, dv, do)
            rest += 0.5 * work(shapes, inputs, s, slot, w, i, v, o, v, o)
    share = float(0.0)
    if rest < 0.0 and square > 0.0:
        share = wp.clamp((wp.sqrt(slope * slope - 4.0 * square * rest) - slope) / (2.0 * square), 0.0, 1.0)
    for i in range(shapes.kind.shape[0]):
        s.vel[slot, i] = s.vel[slot, i] + (s.bounce_vel[slot, i] - s.vel[slot, i]) * share
        s.turn[slot, i] = s.turn[slot, i] + (s.bounce_turn[slot, i] - s.turn[slot, i]) * share
    return 1


@wp.func
def midway_turn(shapes: Shapes, i: wp.int32, R: wp.mat33, turn: wp.vec3, dt: wp.float32):
    """The constant angular velocity that keeps angular momentum and energy over the step."""
    before = wp.transpose(R) * turn
    momentum = shapes.inertia[i] * before
    rate = before
    for _k in range(REFINEMENTS):
        after = wp.quat_rotate(quat_of_turn(rate * (-dt)), momentum)
        rate = shapes.inverse_inertia[i] * (momentum + after) * 0.5
    return R * rate


@wp.func
def turned_by(shapes: Shapes, i: wp.int32, R: wp.mat33, q: wp.quat, turn: wp.vec3):
    """Angular velocity at orientation q with the angular momentum that `turn` has at R."""
    momentum = R * (shapes.inertia[i] * (wp.transpose(R) * turn))
    after = wp.quat_to_matrix(q)
    return after * (shapes.inverse_inertia[i] * (wp.transpose(after) * momentum))


@wp.func
def move(shapes: Shapes, s: Scratch, c: Constants, inputs: Inputs, slot: wp.int32, w: wp.int32, t: wp.int32):
    """Poses from landing velocities; the state keeps those of rebound."""
    for i in range(shapes.kind.shape[0]):
        if shapes.motion[i] == KINEMATIC and c.targets == 1:
            p, q = target_pose(inputs, w, t, i)
            s.p[slot, i] = p
            s.q[slot, i] = q
        if shapes.motion[i] == DYNAMIC and s.asleep[slot, i] == 0:
            R = s.R[slot, i]
            rate = s.land_turn[slot, i]
            if shapes.round[i] == 0:
                rate = midway_turn(shapes, i, R, rate, c.dt)
            q = wp.normalize(quat_of_turn(rate * c.dt) * s.q[slot, i])
            s.p[slot, i] = s.com[slot, i] + s.land_vel[slot, i] * c.dt - wp.quat_rotate(q, inputs.com[w, i])
            s.q[slot, i] = q
            if shapes.round[i] == 0:
                s.turn[slot, i] = turned_by(shapes, i, R, q, s.turn[slot, i])
            slow = wp.length(s.vel[slot, i]) < c.sleep_speed and wp.length(s.turn[slot, i]) < c.sleep_turn
            if slow and s.pushed[slot, i] == 1:
                s.still[slot, i] = s.still[slot, i] + 1
            else:
                s.still[slot, i] = 0
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
    outputs.overlap[w, at] = overlap


@wp.kernel
def roll(shapes: Shapes, s: Scratch, c: Constants, inputs: Inputs, outputs: Outputs, first_slot: wp.int32):
    w = wp.tid() + c.first_world
    slot = first_slot + wp.tid() * c.slot_stride
    bodies = shapes.kind.shape[0]
    for i in range(bodies):
        s.p[slot, i] = wp.vec3(outputs.pose[w, 0, i, 0], outputs.pose[w, 0, i, 1], outputs.pose[w, 0, i, 2])
        s.q[slot, i] = wp.quat(
            outputs.pose[w, 0, i, 4], outputs.pose[w, 0, i, 5], outputs.pose[w, 0, i, 6], outputs.pose[w, 0, i, 3]
        )
        s.vel[slot, i] = wp.vec3(outputs.twist[w, 0, i, 0], outputs.twist[w, 0, i, 1], outputs.twist[w, 0, i, 2])
        s.turn[slot, i] = wp.vec3(outputs.twist[w, 0, i, 3], outputs.twist[w, 0, i, 4], outputs.twist[w, 0, i, 5])
        s.still[slot, i] = outputs.still[w, 0, i]
    memory = outputs.contact_point.shape[1]
    for m in range(memory):
        s.known_key[slot, m] = outputs.contact_point[w, m]
        for k in range(3):
            s.known_impulse[slot, m][k] = outputs.contact_impulse[w, m, k]
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
        solve(shapes, s, c, slot, n, LANDING)
        for i in range(bodies):
            s.land_vel[slot, i] = s.vel[slot, i]
            s.land_turn[slot, i] = s.turn[slot, i]
        solve(shapes, s, c, slot, n, REBOUND)
        if bounces == 1:
            keep_energy(shapes, s, c, inputs, slot, w, n)
        move(shapes, s, c, inputs, slot, w, t)
        if (t + 1) % c.every == 0:
            record(s, outputs, slot, w, (t + 1) // c.every, overlap)
            overlap = 0.0
    for m in range(memory):
        outputs.contact_point[w, m] = s.known_key[slot, m]
        for k in range(3):
            outputs.contact_impulse[w, m, k] = s.known_impulse[slot, m][k]
