# type: ignore - what Warp compiles only looks like Python.
# ruff: noqa: RUF046 - int(0) makes a variable of Warp, a literal a constant.
"""Contacts -> velocities in a kernel: rows, targets, first guess, projected Gauss-Seidel.

The solver of a fused rollout: rows of a contact are worked through together, velocities in registers, and nothing is
kept for gradients. Twins are `dynamics._contact_rows`, `dynamics._contact_memory` and `dynamics._solve`. Modules of
kernels import Warp at their top, as it wants; they are imported inside the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._memory_kernels import Constants, Inputs, Scratch, Shapes
from dynamics._start_warp import start_warp

__all__ = ["INELASTIC", "LANDING", "REBOUND", "prepare", "solve"]

start_warp()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})

LANDING, REBOUND, INELASTIC = (wp.constant(i) for i in range(3))


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
def start_solve(shapes: Shapes, s: Scratch, slot: wp.int32, goal: wp.int32):
    """Velocities before contacts: landing from the mean free ones, others from the last."""
    for i in range(shapes.kind.shape[0]):
        if goal != LANDING:
            s.vel[slot, i] = s.free_vel[slot, i]
            s.turn[slot, i] = s.free_turn[slot, i]
        else:
            s.vel[slot, i] = (s.start_vel[slot, i] + s.free_vel[slot, i]) * 0.5
            s.turn[slot, i] = (s.start_turn[slot, i] + s.free_turn[slot, i]) * 0.5


@wp.func
def guess_contacts(s: Scratch, slot: wp.int32, n: wp.int32, goal: wp.int32):
    """Velocities get what the same contacts gave in the step before."""
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


@wp.func
def remember_contacts(s: Scratch, slot: wp.int32, n: wp.int32, goal: wp.int32):
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


@wp.func
def solve(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32, n: wp.int32, goal: wp.int32):
    """Velocities with contacts by projected Gauss-Seidel: landing from the mean free ones, others from the last.

    The sweeps are in one piece: what they called would be handed copies of all groups of arrays, every time.
    """
    start_solve(shapes, s, slot, goal)
    guess_contacts(s, slot, n, goal)
    sweep = int(0)
    while sweep < c.sweeps:
        sweep += 1
        worst = float(0.0)
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
            worst = wp.max(worst, wp.abs(change) * s.diagonal[slot, r])
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
                worst = wp.max(worst, (wp.abs(p) + wp.abs(q)) * d)
                va += (x * p + y * q) * ia
                wa += s.turn_a[slot, r + 1] * p + s.turn_a[slot, r + 2] * q
                vb -= (x * p + y * q) * ib
                wb += s.turn_b[slot, r + 1] * p + s.turn_b[slot, r + 2] * q
            s.vel[slot, a] = va
            s.turn[slot, a] = wa
            if ib > 0.0:
                s.vel[slot, b] = vb
                s.turn[slot, b] = wb
        if worst < c.tolerance:
            sweep = c.sweeps
    remember_contacts(s, slot, n, goal)
    return n
