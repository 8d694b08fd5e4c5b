# type: ignore - what Warp compiles only looks like Python.
# ruff: noqa: RUF046 - int(0) makes a variable of Warp, a literal a constant.
"""Angular momentum of bodies that touch each other and nothing fixed, in a kernel.

`dynamics._keep_momentum` is the twin, and says more. Modules of kernels import Warp at their top, as it wants; they are
imported inside the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._memory_kernels import Constants, Inputs, Scratch, Shapes
from dynamics._start_warp import start_warp

__all__ = ["keep_momentum"]

start_warp()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})


@wp.func
def group_joined(s: Scratch, slot: wp.int32, a: wp.int32, b: wp.int32):
    """Body a belongs to that which it is joined to; whether that is news."""
    news = int(0)
    if s.inverse_mass[slot, a] > 0.0:
        held = int(1)
        low = s.group[slot, a]
        if s.inverse_mass[slot, b] > 0.0:
            held = s.held[slot, b]
            low = wp.min(low, s.group[slot, b])
        held = wp.max(held, s.held[slot, a])
        if s.group[slot, a] != low or s.held[slot, a] != held:
            s.group[slot, a] = low
            s.held[slot, a] = held
            news = 1
    return news


@wp.func
def group_bodies(shapes: Shapes, s: Scratch, slot: wp.int32, n: wp.int32, joints: wp.int32):
    """Bodies linked by contacts and joints get one number; groups that touch something fixed are held."""
    for i in range(shapes.kind.shape[0]):
        s.group[slot, i] = i
        s.held[slot, i] = 0
    more = int(1)
    while more == 1:
        more = int(0)
        for k in range(n):
            a = s.a[slot, k]
            b = s.b[slot, k]
            held = int(0)
            low = wp.min(s.group[slot, a], s.group[slot, b])
            if s.inverse_mass[slot, a] == 0.0 or s.inverse_mass[slot, b] == 0.0:
                held = int(1)
                low = s.group[slot, a]
                if s.inverse_mass[slot, a] == 0.0:
                    low = s.group[slot, b]
            held = wp.max(held, wp.max(s.held[slot, a], s.held[slot, b]))
            for side in range(2):
                i = a
                if side == 1:
                    i = b
                if s.inverse_mass[slot, i] > 0.0 and (s.group[slot, i] != low or s.held[slot, i] != held):
                    s.group[slot, i] = low
                    s.held[slot, i] = held
                    more = int(1)
        for j in range(joints):
            more = wp.max(more, group_joined(s, slot, shapes.joints[j].child, shapes.joints[j].parent))
            more = wp.max(more, group_joined(s, slot, shapes.joints[j].parent, shapes.joints[j].child))


@wp.func
def keep_momentum(shapes: Shapes, s: Scratch, c: Constants, inputs: Inputs, slot: wp.int32, w: wp.int32, n: wp.int32):
    """Turn each free group of touching bodies as a whole, so that its angular momentum is what it was."""
    group_bodies(shapes, s, slot, n, c.joints)
    bodies = shapes.kind.shape[0]
    for g in range(bodies):
        count = int(0)
        mass = float(0.0)
        zero = wp.vec3(0.0, 0.0, 0.0)
        centre = zero
        start = zero
        v0 = zero
        vf = zero
        vl = zero
        v1 = zero
        for i in range(bodies):
            if s.group[slot, i] == g and s.inverse_mass[slot, i] > 0.0 and s.held[slot, i] == 0:
                m = 1.0 / inputs.inverse_mass[w, i]
                count += 1
                mass += m
                start += m * s.com[slot, i]
                centre += m * (s.com[slot, i] + s.land_vel[slot, i] * c.dt)
                v0 += m * s.start_vel[slot, i]
                vf += m * s.free_vel[slot, i]
                vl += m * s.land_vel[slot, i]
                v1 += m * s.vel[slot, i]
        if count > 1:
            centre /= mass
            start /= mass
            v0 /= mass
            vf /= mass
            vl /= mass
            v1 /= mass
            excess = wp.vec3(0.0, 0.0, 0.0)
            total = wp.mat33()
            for i in range(bodies):
                if s.group[slot, i] == g and s.inverse_mass[slot, i] > 0.0 and s.held[slot, i] == 0:
                    m = 1.0 / inputs.inverse_mass[w, i]
                    arm = s.com[slot, i] + s.land_vel[slot, i] * c.dt - centre
                    moved = wp.cross(s.land_vel[slot, i] - vl, s.vel[slot, i] - v1)
                    moved -= 0.5 * wp.cross(s.start_vel[slot, i] - v0, s.free_vel[slot, i] - vf)
                    excess += (m * c.dt) * moved
                    R = s.R[slot, i]
                    if c.joints > 0:
                        # Joints push where bodies arrive, contacts where they were: only the whole balance tells.
                        change = s.vel[slot, i] - v1 - (s.free_vel[slot, i] - vf)
                        excess += m * wp.cross(s.com[slot, i] - start, change)
                        spin = wp.transpose(R) * (s.turn[slot, i] - s.free_turn[slot, i])
                        excess += R * (shapes.inertia[i] * spin) * inputs.mass_scale[w, i]
                    total += R * shapes.inertia[i] * wp.transpose(R) * inputs.mass_scale[w, i]
                    total += (wp.dot(arm, arm) * wp.identity(n=3, dtype=wp.float32) - wp.outer(arm, arm)) * m
            turn = -(wp.inverse(total) * excess)
            for i in range(bodies):
                if s.group[slot, i] == g and s.inverse_mass[slot, i] > 0.0 and s.held[slot, i] == 0:
                    arm = s.com[slot, i] + s.land_vel[slot, i] * c.dt - centre
                    s.vel[slot, i] = s.vel[slot, i] + wp.cross(turn, arm)
                    s.turn[slot, i] = s.turn[slot, i] + turn
