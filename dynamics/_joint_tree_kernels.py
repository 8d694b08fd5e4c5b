# type: ignore - what Warp compiles only looks like Python.

"""All joints of a world at once in a kernel: the matrix of what each one's impulses do to the others, and its inverse.

Joint after joint, from the leaves of the trees to their roots, so that the factors L D L^T have entries only between
joints that share a body. The twin is a dense solve in `dynamics._joint_solve`. Modules of kernels import Warp at their
top, as it wants; they are imported inside the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._joint_kernels import push_joint, speed_along
from dynamics._memory_kernels import Constants, Scratch, Shapes
from dynamics._start_warp import start_warp

__all__ = ["factor_joints", "hold_joints"]

start_warp()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})

FIXED = wp.constant(2)
LEAST = wp.constant(1.0e-12)


@wp.func
def shared(s: Scratch, slot: wp.int32, r: wp.int32, e: wp.int32, i: wp.int32, first: wp.bool, second: wp.bool):
    """What row e does to the velocity of row r through body i, which is the child (first, second) of r, of e or not."""
    found = float(0.0)
    if s.inverse_mass[slot, i] > 0.0:
        found = wp.dot(s.joint_rows[slot, r].axis, s.joint_rows[slot, e].axis) * s.inverse_mass[slot, i]
        if first != second:
            found = -found
        arm = s.joint_rows[slot, r].arm_b
        if first:
            arm = s.joint_rows[slot, r].arm_a
        turn = s.joint_rows[slot, e].turn_b
        if second:
            turn = s.joint_rows[slot, e].turn_a
        found += wp.dot(arm, turn)
    return found


@wp.func
def bounded(shapes: Shapes, s: Scratch, slot: wp.int32, r: wp.int32):
    """Whether the row is along a free direction, or between bodies that cannot move."""
    return (r % 6 == 5 and shapes.joints[r // 6].kind != FIXED) or s.joint_rows[slot, r].diagonal <= LEAST


@wp.func
def coupling(shapes: Shapes, s: Scratch, slot: wp.int32, r: wp.int32, e: wp.int32):
    found = float(0.0)
    if r == e:
        found = 1.0
    if bounded(shapes, s, slot, r) or bounded(shapes, s, slot, e):
        return found
    if r // 6 == e // 6:
        return s.joint_rows[slot, r].diagonal * found
    a = shapes.joints[r // 6].child
    b = shapes.joints[r // 6].parent
    c = shapes.joints[e // 6].child
    d = shapes.joints[e // 6].parent
    if a == c:
        found += shared(s, slot, r, e, a, True, True)
    if a == d:
        found += shared(s, slot, r, e, a, True, False)
    if b == c:
        found += shared(s, slot, r, e, b, False, True)
    if b == d:
        found += shared(s, slot, r, e, b, False, False)
    return found


@wp.func
def factor_joints(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32):
    """L below and D on the diagonal, rows in the order of elimination."""
    n = 6 * c.joints
    for p in range(c.joints):
        for q in range(p, c.joints):
            if shapes.joint_linked[p * c.joints + q] == 1:
                for i in range(36):
                    r = 6 * shapes.joints[p].order + i % 6
                    e = 6 * shapes.joints[q].order + i // 6
                    s.joint_matrix[slot, (6 * q + i // 6) * n + 6 * p + i % 6] = coupling(shapes, s, slot, r, e)
    for p in range(c.joints):
        for i in range(6):
            k = 6 * p + i
            d = 1.0 / s.joint_matrix[slot, k * n + k]
            for q in range(p, c.joints):
                if shapes.joint_linked[p * c.joints + q] == 1:
                    for m in range(wp.max(6 * q, k + 1), 6 * q + 6):
                        share = s.joint_matrix[slot, m * n + k] * d
                        if share != 0.0:
                            eliminate(shapes, s, c, slot, p, k, m, share)
            for m in range(k + 1, n):
                if shapes.joint_linked[p * c.joints + m // 6] == 1:
                    s.joint_matrix[slot, m * n + k] = s.joint_matrix[slot, m * n + k] * d


@wp.func
def eliminate(
    shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32, p: wp.int32, k: wp.int32, m: wp.int32, share: wp.float32
):
    """Row m less its share of row k, up to the diagonal."""
    n = 6 * c.joints
    for q in range(p, m // 6 + 1):
        if shapes.joint_linked[p * c.joints + q] == 1:
            for h in range(wp.max(6 * q, k + 1), wp.min(6 * q + 6, m + 1)):
                s.joint_matrix[slot, m * n + h] = (
                    s.joint_matrix[slot, m * n + h] - share * s.joint_matrix[slot, h * n + k]
                )


@wp.func
def hold_joints(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32):
    """All that holds joints together, exactly; the greatest correction of a velocity."""
    worst = float(0.0)
    n = 6 * c.joints
    for k in range(n):
        j = shapes.joints[k // 6].order
        r = 6 * j + k % 6
        rest = float(0.0)
        if not bounded(shapes, s, slot, r):
            rest = s.joint_rows[slot, r].target - speed_along(
                s, slot, r, shapes.joints[j].child, shapes.joints[j].parent
            )
            worst = wp.max(worst, wp.abs(rest))
        for p in range(k // 6 + 1):
            if shapes.joint_linked[p * c.joints + k // 6] == 1:
                for h in range(6 * p, wp.min(6 * p + 6, k)):
                    rest -= s.joint_matrix[slot, k * n + h] * s.joint_rows[slot, h].rest
        s.joint_rows[slot, k].rest = rest
    if worst < c.tolerance:
        # Corrections as small as rounding would only add up in the momentum.
        return worst
    for back in range(n):
        k = n - 1 - back
        value = s.joint_rows[slot, k].rest / s.joint_matrix[slot, k * n + k]
        for q in range(k // 6, c.joints):
            if shapes.joint_linked[(k // 6) * c.joints + q] == 1:
                for m in range(wp.max(6 * q, k + 1), 6 * q + 6):
                    value -= s.joint_matrix[slot, m * n + k] * s.joint_rows[slot, m].rest
        s.joint_rows[slot, k].rest = value
        j = shapes.joints[k // 6].order
        r = 6 * j + k % 6
        if not bounded(shapes, s, slot, r):
            s.joint_rows[slot, r].impulse = s.joint_rows[slot, r].impulse + value
            push_joint(s, slot, r, shapes.joints[j].child, shapes.joints[j].parent, value)
    return worst
