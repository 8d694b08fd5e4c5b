# type: ignore - what Warp compiles only looks like Python.
# ruff: noqa: RUF046 - int(0) makes a variable of Warp, a literal a constant.
"""The fused step cut where the contact network speaks: look, (network), correct, (network), finish.

Every world keeps a slot of scratch memory, and what it does in a step is what `dynamics._rollout_kernels.roll` does, by
the same functions, so that a network that says nothing changes no bit. `look` finds contacts; `correct` lets residuals
into friction, restitution, gap and point of attack, and solves; `finish` adds the network's impulses as far as energy
allows, and moves bodies. `dynamics._learned_rollout_step` is the twin, and says more. Modules of kernels import Warp at
their top, as it wants; they are imported inside the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._contact_solve_kernels import INELASTIC, LANDING, prepare, row, solve
from dynamics._find_contacts_kernels import find
from dynamics._free_motion_kernels import free_motion, wake
from dynamics._joint_solve_kernels import solve_jointed
from dynamics._joint_tree_kernels import hold_joints
from dynamics._keep_energy_kernels import energy_made, mix, product
from dynamics._keep_momentum_kernels import keep_momentum
from dynamics._learned_features_kernels import describe, describe_after, length_of, pool, reduced_mass
from dynamics._learned_memory_kernels import Exchange
from dynamics._memory_kernels import Constants, Inputs, Outputs, Scratch, Shapes
from dynamics._rollout_kernels import begin as begin_world
from dynamics._rollout_kernels import finish as finish_world
from dynamics._rollout_kernels import move, record, turn_on
from dynamics._start_warp import start_warp

__all__ = ["begin", "correct", "describe", "end", "finish", "look", "pool"]

start_warp()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})

PRESSED = wp.constant(0.02)
KINEMATIC = wp.constant(1)


@wp.kernel
def begin(s: Scratch, c: Constants, outputs: Outputs):
    """The first state into scratch memory."""
    w = wp.tid() + c.first_world
    begin_world(s, c, outputs, w, w)


@wp.kernel
def end(s: Scratch, c: Constants, outputs: Outputs):
    """What the next rollout wants to know out of scratch memory."""
    w = wp.tid() + c.first_world
    finish_world(s, c, outputs, w, w)


@wp.kernel
def look(shapes: Shapes, s: Scratch, c: Constants, inputs: Inputs, x: Exchange, t: wp.int32):
    """Forces act, contacts are found and become rows."""
    w = wp.tid() + c.first_world
    free_motion(shapes, s, c, inputs, w, w, t)
    wake(shapes, s, c, w)
    n = find(shapes, s, c, w)
    x.bounces[w] = prepare(s, c, inputs, w, w, n)
    x.count[w] = n
    for k in range(n):
        x.overlap[w] = wp.max(x.overlap[w], -s.gap[w, k])
    for i in range(shapes.kind.shape[0]):
        s.start_vel[w, i] = s.vel[w, i]
        s.start_turn[w, i] = s.turn[w, i]


@wp.func
def speed_between(s: Scratch, w: wp.int32, a: wp.int32, b: wp.int32, ra: wp.vec3, rb: wp.vec3, free: wp.bool):
    """Velocity of a's point over b's, at the end of the step without contacts or at its start."""
    u = s.start_vel[w, a] + wp.cross(s.start_turn[w, a], ra) - s.start_vel[w, b] - wp.cross(s.start_turn[w, b], rb)
    if free:
        u = s.free_vel[w, a] + wp.cross(s.free_turn[w, a], ra) - s.free_vel[w, b] - wp.cross(s.free_turn[w, b], rb)
    return u


@wp.func
def place_rows(s: Scratch, w: wp.int32, k: wp.int32, point: wp.vec3):
    """Rows of a contact at another point, along the same axes."""
    a = s.a[w, k]
    b = s.b[w, k]
    ra = point - s.com[w, a]
    rb = point - s.com[w, b]
    for j in range(3):
        row(s, w, 3 * k + j, a, b, s.axis[w, 3 * k + j], ra, rb)
    s.diagonal[w, 3 * k + 1] = wp.max(s.diagonal[w, 3 * k + 1], s.diagonal[w, 3 * k + 2])
    return point


@wp.func
def rebound_with(
    s: Scratch, c: Constants, inputs: Inputs, x: Exchange, w: wp.int32, k: wp.int32, r: wp.int32, point: wp.vec3
):
    """The normal velocity that a contact is left with when the network has spoken; 2 if that is a rebound."""
    a = s.a[w, k]
    b = s.b[w, k]
    normal = s.normal[w, k]
    gap = s.gap[w, k]
    ra = point - s.com[w, a]
    rb = point - s.com[w, b]
    approach = wp.dot(speed_between(s, w, a, b, ra, rb, True), normal)
    before = wp.dot(speed_between(s, w, a, b, ra, rb, False), normal)
    rebound = -wp.max(gap + x.residual[r, 2] * length_of(s, x, w, a, b), 0.0) / c.dt
    bounces = int(0)
    if gap <= 0.0 or gap + 0.5 * (before + approach) * c.dt < 0.0:
        rebound = 0.0
        if approach < -c.rest_speed:
            e = wp.max(inputs.restitution[w, a], inputs.restitution[w, b])
            odds = wp.exp(x.residual[r, 1])
            e = e * odds / (1.0 - e + e * odds)
            gained = 2.0 * (before - approach) / c.dt * wp.max(gap, 0.0)
            rebound = e * wp.sqrt(wp.max(before * before + gained, 0.0))
            if rebound > 0.0:
                bounces = 1
    s.rebound[w, k] = rebound
    return bounces


@wp.kernel
def correct(shapes: Shapes, s: Scratch, c: Constants, inputs: Inputs, x: Exchange):
    """Residuals enter, rows are solved for landing and for rebound, and what came of it is described."""
    w = wp.tid() + c.first_world
    n = x.count[w]
    first = x.offset[w]
    spoke = int(0)
    for k in range(n):
        for j in range(5):
            if x.residual[first + k, j] != 0.0:
                spoke = 1
        if spoke == 1:
            s.mu[w, k] = s.mu[w, k] * wp.exp(x.residual[first + k, 0])
    for goal in range(2):
        # One call in a loop, because the solver takes seconds to compile wherever it is called.
        if c.joints > 0:
            solve_jointed(shapes, s, c, w, n, goal)
        else:
            solve(shapes, s, c, w, n, goal)
        if goal == LANDING:
            turn_on(shapes, s, c, w)
            for k in range(n):
                x.flat[w, k] = wp.min(s.rebound[w, k], 0.0)
                x.point[w, k] = s.point[w, k]
            if spoke == 1:
                x.bounces[w] = 0
                for k in range(n):
                    r = first + k
                    shift = s.axis[w, 3 * k + 1] * x.residual[r, 3] + s.axis[w, 3 * k + 2] * x.residual[r, 4]
                    x.point[w, k] = s.point[w, k] + shift * length_of(s, x, w, s.a[w, k], s.b[w, k])
                    place_rows(s, w, k, x.point[w, k])
                    x.bounces[w] = wp.max(x.bounces[w], rebound_with(s, c, inputs, x, w, k, r, x.point[w, k]))
    x.spoke[w] = spoke
    for k in range(n):
        describe_after(s, x, w, k, first + k)
        if s.impulse[w, 3 * k] > 0.0:
            x.pressing[w] = x.pressing[w] + 1.0
            x.inside[w] = x.inside[w] + x.residual[first + k, 5]


@wp.func
def add_impulses(shapes: Shapes, s: Scratch, c: Constants, inputs: Inputs, x: Exchange, w: wp.int32, n: wp.int32):
    """The network's impulses, shrunk until contact has not made kinetic energy; 1 if there are any."""
    bodies = shapes.kind.shape[0]
    first = x.offset[w]
    zero = wp.vec3(0.0, 0.0, 0.0)
    for i in range(bodies):
        s.bounce_vel[w, i] = zero
        s.bounce_turn[w, i] = zero
    spoke = int(0)
    for k in range(n):
        a = s.a[w, k]
        b = s.b[w, k]
        unit = reduced_mass(s, w, a, b) * wp.sqrt(x.gravity * length_of(s, x, w, a, b))
        pressed = wp.max(s.impulse[w, 3 * k], 0.0) / unit
        size = unit * pressed / (pressed + PRESSED)
        given = s.axis[w, 3 * k + 1] * x.wanted[first + k, 0] + s.axis[w, 3 * k + 2] * x.wanted[first + k, 1]
        given = (given + s.axis[w, 3 * k] * x.wanted[first + k, 2]) * size
        if wp.dot(given, given) > 0.0:
            spoke = 1
            if s.inverse_mass[w, a] > 0.0:
                s.bounce_vel[w, a] = s.bounce_vel[w, a] + given * s.inverse_mass[w, a]
                torque = wp.cross(x.point[w, k] - s.com[w, a], given)
                s.bounce_turn[w, a] = s.bounce_turn[w, a] + s.inverse_inertia[w, a] * torque
            if s.inverse_mass[w, b] > 0.0:
                s.bounce_vel[w, b] = s.bounce_vel[w, b] - given * s.inverse_mass[w, b]
                torque = wp.cross(x.point[w, k] - s.com[w, b], given)
                s.bounce_turn[w, b] = s.bounce_turn[w, b] - s.inverse_inertia[w, b] * torque
    if spoke == 0:
        return 0
    square = float(1.0e-12)
    slope = float(0.0)
    room = float(0.0)
    for i in range(bodies):
        if s.inverse_mass[w, i] > 0.0:
            v = s.vel[w, i]
            o = s.turn[w, i]
            dv = s.bounce_vel[w, i]
            do = s.bounce_turn[w, i]
            fv = s.free_vel[w, i]
            fo = s.free_turn[w, i]
            square += product(shapes, inputs, s, w, w, i, dv, do, dv, do, False)
            slope += product(shapes, inputs, s, w, w, i, dv, do, v, o, False)
            room += product(shapes, inputs, s, w, w, i, fv, fo, fv, fo, False)
            room -= product(shapes, inputs, s, w, w, i, v, o, v, o, False)
    share = (wp.sqrt(slope * slope + square * wp.max(room, 0.0) + 1.0e-20) - slope) / square
    share = wp.clamp(share, 0.0, 1.0)
    for i in range(bodies):
        s.vel[w, i] = s.vel[w, i] + s.bounce_vel[w, i] * share
        s.turn[w, i] = s.turn[w, i] + s.bounce_turn[w, i] * share
    if c.joints > 0:
        hold_joints(shapes, s, c, w)
    return 1


@wp.func
def is_driven(shapes: Shapes, s: Scratch, c: Constants, w: wp.int32):
    """Whether kinematic bodies or drives do work."""
    driven = c.driven
    for i in range(shapes.kind.shape[0]):
        if shapes.motion[i] == KINEMATIC and s.lively[w, i] == 1:
            driven = 1
    return driven


@wp.func
def settle(
    shapes: Shapes,
    s: Scratch,
    c: Constants,
    inputs: Inputs,
    x: Exchange,
    w: wp.int32,
    n: wp.int32,
    spoke: wp.int32,
):
    """Energy and momentum are kept: velocities that make energy are mixed with physics without rebound.

    As `dynamics._keep_energy_kernels` and then `dynamics._keep_momentum_kernels`, but where the network spoke momentum
    comes first: the further apart landing and rebound are, the more energy its turn may bring. (A loop, because the
    solver takes seconds to compile wherever it is called.)
    """
    mixes = int(0)
    excess = float(0.0)
    size = float(0.0)
    for stage in range(3):
        if stage == 1 and mixes == 1:
            for i in range(shapes.kind.shape[0]):
                x.vel[w, i] = s.vel[w, i]
                x.turn[w, i] = s.turn[w, i]
            if spoke == 1:
                for k in range(n):
                    place_rows(s, w, k, s.point[w, k])
                    s.rebound[w, k] = x.flat[w, k]
            if c.joints > 0:
                solve_jointed(shapes, s, c, w, n, INELASTIC)
            else:
                solve(shapes, s, c, w, n, INELASTIC)
        turns = int(0)
        if spoke == 1 and stage <= mixes:
            turns = 1
        if spoke == 0 and stage == 2:
            turns = 1
        if turns == 1 and n + c.joints > 0 and c.movers > 1:
            keep_momentum(shapes, s, c, inputs, w, w, n)
        if stage == 0 and (spoke == 1 or x.bounces[w] == 1) and is_driven(shapes, s, c, w) == 0:
            excess, size = energy_made(shapes, s, inputs, w, w)
            if excess > 1.0e-6 * size:
                mixes = 1
        if stage == 1 and mixes == 1:
            mix(shapes, s, inputs, x.vel, x.turn, w, w, size - excess)
    return mixes


@wp.kernel
def finish(shapes: Shapes, s: Scratch, c: Constants, inputs: Inputs, outputs: Outputs, x: Exchange, t: wp.int32):
    """The network's impulses are added, energy and momentum kept, bodies moved."""
    w = wp.tid() + c.first_world
    n = x.count[w]
    spoke = wp.max(add_impulses(shapes, s, c, inputs, x, w, n), x.spoke[w])
    settle(shapes, s, c, inputs, x, w, n, spoke)
    move(shapes, s, c, inputs, w, w, t)
    if (t + 1) % c.every == 0:
        record(s, outputs, w, w, (t + 1) // c.every, x.overlap[w])
        x.overlap[w] = 0.0
