# type: ignore - what Warp compiles only looks like Python.
# ruff: noqa: RUF046 - int(0) makes a variable of Warp, a literal a constant.
"""Contacts and joints -> velocities in a kernel: what `dynamics._contact_solve_kernels.solve` does in jointed worlds.

A sweep goes over all contacts, then along the free direction of one joint after the other, then solves all that holds
joints together. The twin is `dynamics._joint_solve`. The sweep over contacts is written a second time, in pieces: in
worlds without joints it must stay in one function to be fast. Modules of kernels import Warp at their top, as it wants;
they are imported inside the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._contact_solve_kernels import INELASTIC, LANDING, REBOUND, guess_contacts, remember_contacts, start_solve
from dynamics._joint_kernels import CLOSING, close_joints, free_joints, guess_joints, rows_of_joints
from dynamics._joint_tree_kernels import factor_joints, hold_joints
from dynamics._memory_kernels import Constants, Scratch, Shapes
from dynamics._start_warp import start_warp

__all__ = ["solve_jointed"]

start_warp()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})

CLOSINGS = wp.constant(4)


@wp.func
def begin_joints(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32, goal: wp.int32):
    """Rows of joints; velocities get what holds joints together while nothing touches, and the first guess."""
    bodies = shapes.kind.shape[0]
    if goal == LANDING:
        rows_of_joints(shapes, s, c, slot, False)
        factor_joints(shapes, s, c, slot)
        for _k in range(CLOSINGS):
            close_joints(shapes, s, c, slot, 0.0)
            hold_joints(shapes, s, c, slot)
        for i in range(bodies):
            s.joined[slot, i].kick_vel = s.vel[slot, i] - (s.start_vel[slot, i] + s.free_vel[slot, i]) * 0.5
            s.joined[slot, i].kick_turn = s.turn[slot, i] - (s.start_turn[slot, i] + s.free_turn[slot, i]) * 0.5
        guess_joints(shapes, s, c, slot, 0.5)
    if goal == REBOUND:
        rows_of_joints(shapes, s, c, slot, True)
        factor_joints(shapes, s, c, slot)
    if goal != LANDING:
        for i in range(bodies):
            s.vel[slot, i] = s.vel[slot, i] + s.joined[slot, i].kick_vel
            s.turn[slot, i] = s.turn[slot, i] + s.joined[slot, i].kick_turn
        guess_joints(shapes, s, c, slot, 1.0)


@wp.func
def sweep_contacts(s: Scratch, slot: wp.int32, n: wp.int32, goal: wp.int32):
    """One sweep over all contacts; the greatest correction of a velocity."""
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
    return worst


@wp.func
def solve_jointed(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32, n: wp.int32, goal: wp.int32):
    start_solve(shapes, s, slot, goal)
    begin_joints(shapes, s, c, slot, goal)
    guess_contacts(s, slot, n, goal)
    hold_joints(shapes, s, c, slot)
    sweep = int(0)
    while sweep < c.sweeps:
        if goal == LANDING and sweep < CLOSINGS:
            close_joints(shapes, s, c, slot, CLOSING)
        sweep += 1
        worst = sweep_contacts(s, slot, n, goal)
        worst = wp.max(worst, free_joints(shapes, s, c, slot, goal == LANDING))
        worst = wp.max(worst, hold_joints(shapes, s, c, slot))
        if worst < c.tolerance:
            sweep = c.sweeps
    remember_contacts(s, slot, n, goal)
    if goal == REBOUND:
        for j in range(c.joints):
            s.joints[slot, j].known = s.joint_rows[slot, 6 * j + 5].impulse
