# type: ignore - what Warp compiles only looks like Python.

"""Turns in kernels: quaternions of rotation vectors, and turns that keep angular momentum and energy.

`dynamics._integrate` is the twin. Modules of kernels import Warp at their top, as it wants; they are imported inside
the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._memory_kernels import Shapes
from dynamics._start_warp import start_warp

__all__ = ["midway_turn", "quat_of_turn", "turn_between", "turned_by"]

start_warp()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})

REFINEMENTS = wp.constant(4)


@wp.func
def quat_of_turn(v: wp.vec3):
    half = 0.5 * wp.length(v)
    s = float(0.5)
    if half > 1.0e-4:
        s = 0.5 * wp.sin(half) / half
    return wp.quat(v[0] * s, v[1] * s, v[2] * s, wp.cos(half))


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
def turned_by(shapes: Shapes, i: wp.int32, before: wp.quat, after: wp.quat, turn: wp.vec3):
    """Angular velocity at orientation `after` with the angular momentum that `turn` has at `before`.

    In double precision: what is lost here is lost in every step.
    """
    old = precise(before)
    new = precise(after)
    momentum = old * (wp.mat33d(shapes.inertia[i]) * (wp.transpose(old) * wp.vec3d(turn)))
    return wp.vec3(new * (wp.mat33d(shapes.inverse_inertia[i]) * (wp.transpose(new) * momentum)))


@wp.func
def precise(q: wp.quat):
    return wp.quat_to_matrix(
        wp.normalize(wp.quatd(wp.float64(q[0]), wp.float64(q[1]), wp.float64(q[2]), wp.float64(q[3])))
    )
