# type: ignore - what Warp compiles only looks like Python.

"""Rebounds that would make energy are weakened, in a kernel.

`dynamics._keep_energy` is the twin, and says how. Modules of kernels import Warp at their top, as it wants; they are
imported inside the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._contact_solve_kernels import INELASTIC, solve
from dynamics._joint_solve_kernels import solve_jointed
from dynamics._memory_kernels import Constants, Inputs, Scratch, Shapes
from dynamics._start_warp import start_warp

__all__ = ["energy_made", "keep_energy", "mix", "product"]

start_warp()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})

KINEMATIC = wp.constant(1)


@wp.func
def product(
    shapes: Shapes,
    inputs: Inputs,
    s: Scratch,
    slot: wp.int32,
    w: wp.int32,
    i: wp.int32,
    va: wp.vec3,
    wa: wp.vec3,
    vb: wp.vec3,
    wb: wp.vec3,
    turned: wp.bool,
):
    """a M b of the twists of one body that obeys forces; if turned, with both as they are after its turn."""
    back = wp.transpose(s.R[slot, i])
    la = shapes.inertia[i] * (back * wa)
    lb = shapes.inertia[i] * (back * wb)
    if turned and shapes.round[i] == 0:
        # Angular momentum stays while the body turns under it.
        onward = wp.transpose(s.next_R[slot, i]) * s.R[slot, i]
        la = onward * la
        lb = onward * lb
    spin = wp.dot(la, shapes.inverse_inertia[i] * lb)
    return wp.dot(va, vb) / inputs.inverse_mass[w, i] + spin * inputs.mass_scale[w, i]


@wp.func
def energy_made(shapes: Shapes, s: Scratch, inputs: Inputs, slot: wp.int32, w: wp.int32):
    """What velocities have more than forces gave on the way [J], and all that they have."""
    excess = float(0.0)
    size = float(0.0)
    for i in range(shapes.kind.shape[0]):
        if s.inverse_mass[slot, i] > 0.0:
            v = s.vel[slot, i]
            o = s.turn[slot, i]
            v0 = s.start_vel[slot, i]
            o0 = s.start_turn[slot, i]
            after = 0.5 * product(shapes, inputs, s, slot, w, i, v, o, v, o, True)
            before = 0.5 * product(shapes, inputs, s, slot, w, i, v0, o0, v0, o0, False)
            fv = s.free_vel[slot, i] - v0
            fo = s.free_turn[slot, i] - o0
            gained = product(shapes, inputs, s, slot, w, i, fv, fo, s.land_vel[slot, i], s.land_turn[slot, i], False)
            excess += after - before - gained
            size += after
    return excess, size


@wp.func
def mix(
    shapes: Shapes,
    s: Scratch,
    inputs: Inputs,
    vel: wp.array2d(dtype=wp.vec3),
    turn: wp.array2d(dtype=wp.vec3),
    slot: wp.int32,
    w: wp.int32,
    allowed: wp.float32,
):
    """Velocities between those without rebound, which are there, and those kept aside: with just that energy [J]."""
    rest = -allowed
    square = float(0.0)
    slope = float(0.0)
    for i in range(shapes.kind.shape[0]):
        if s.inverse_mass[slot, i] > 0.0:
            v = s.vel[slot, i]
            o = s.turn[slot, i]
            dv = vel[slot, i] - v
            do = turn[slot, i] - o
            square += 0.5 * product(shapes, inputs, s, slot, w, i, dv, do, dv, do, True)
            slope += product(shapes, inputs, s, slot, w, i, v, o, dv, do, True)
            rest += 0.5 * product(shapes, inputs, s, slot, w, i, v, o, v, o, True)
    share = float(0.0)
    if rest < 0.0 and square > 0.0:
        share = wp.clamp((wp.sqrt(slope * slope - 4.0 * square * rest) - slope) / (2.0 * square), 0.0, 1.0)
    for i in range(shapes.kind.shape[0]):
        s.vel[slot, i] = s.vel[slot, i] + (vel[slot, i] - s.vel[slot, i]) * share
        s.turn[slot, i] = s.turn[slot, i] + (turn[slot, i] - s.turn[slot, i]) * share
    return share


@wp.func
def keep_energy(shapes: Shapes, s: Scratch, c: Constants, inputs: Inputs, slot: wp.int32, w: wp.int32, n: wp.int32):
    """Rebounds that make energy are mixed with the inelastic solution until they do not."""
    for i in range(shapes.kind.shape[0]):
        s.bounce_vel[slot, i] = s.vel[slot, i]
        s.bounce_turn[slot, i] = s.turn[slot, i]
        if shapes.motion[i] == KINEMATIC and s.lively[slot, i] == 1:
            return 0
    excess, size = energy_made(shapes, s, inputs, slot, w)
    if excess <= 1.0e-6 * size:
        return 0
    if c.joints > 0:
        solve_jointed(shapes, s, c, slot, n, INELASTIC)
    else:
        solve(shapes, s, c, slot, n, INELASTIC)
    mix(shapes, s, inputs, s.bounce_vel, s.bounce_turn, slot, w, size - excess)
    return 1
