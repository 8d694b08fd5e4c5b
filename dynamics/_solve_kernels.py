# type: ignore
"""Projected Gauss-Seidel as Warp kernels, forward and adjoint: one thread takes one world through all sweeps.

The forward kernel keeps the impulses after every sweep. Velocities before a row's correction are what they were after
it, less W times the change, so the adjoint walks the same rows backwards without having stored any velocity. It is
written by hand, because the loops change what they read. `dynamics._solve` is the twin of both. Modules of kernels
import Warp at their top, as it wants; they are imported inside the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._start_warp import start_warp

__all__ = ["solve_rows", "solve_rows_adjoint"]

start_warp()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})


@wp.func
def speed(
    J: wp.array3d(dtype=wp.float32),
    v: wp.array3d(dtype=wp.float32),
    w: wp.int32,
    r: wp.int32,
    a: wp.int32,
    b: wp.int32,
):
    u = float(0.0)
    for k in range(6):
        u += J[w, r, k] * v[w, a, k]
    if b >= 0:
        for k in range(6):
            u += J[w, r, k + 6] * v[w, b, k]
    return u


@wp.func
def push(
    W: wp.array3d(dtype=wp.float32),
    v: wp.array3d(dtype=wp.float32),
    w: wp.int32,
    r: wp.int32,
    a: wp.int32,
    b: wp.int32,
    change: wp.float32,
):
    for k in range(6):
        v[w, a, k] = v[w, a, k] + W[w, r, k] * change
    if b >= 0:
        for k in range(6):
            v[w, b, k] = v[w, b, k] + W[w, r, k + 6] * change
    return change


@wp.kernel
def solve_rows(
    count: wp.array(dtype=wp.int32),
    kind: wp.array2d(dtype=wp.int32),
    body_a: wp.array2d(dtype=wp.int32),
    body_b: wp.array2d(dtype=wp.int32),
    J: wp.array3d(dtype=wp.float32),
    W: wp.array3d(dtype=wp.float32),
    diagonal: wp.array2d(dtype=wp.float32),
    target: wp.array2d(dtype=wp.float32),
    low: wp.array2d(dtype=wp.float32),
    high: wp.array2d(dtype=wp.float32),
    normal: wp.array2d(dtype=wp.int32),
    mu: wp.array2d(dtype=wp.float32),
    sweeps: int,
    v: wp.array3d(dtype=wp.float32),
    impulses: wp.array2d(dtype=wp.float32),
    history: wp.array3d(dtype=wp.float32),
):
    w = wp.tid()
    n = count[w]
    for s in range(sweeps):
        for r in range(n):
            a = body_a[w, r]
            b = body_b[w, r]
            if kind[w, r] == 0:
                old = impulses[w, r]
                new = old + (target[w, r] - speed(J, v, w, r, a, b)) / wp.max(diagonal[w, r], 1.0e-12)
                new = wp.min(wp.max(new, low[w, r]), high[w, r])
                impulses[w, r] = new
                push(W, v, w, r, a, b, new - old)
            if kind[w, r] == 1:
                d = wp.max(wp.max(diagonal[w, r], diagonal[w, r + 1]), 1.0e-12)
                x = impulses[w, r]
                y = impulses[w, r + 1]
                p = x + (target[w, r] - speed(J, v, w, r, a, b)) / d
                q = y + (target[w, r + 1] - speed(J, v, w, r + 1, a, b)) / d
                limit = mu[w, r] * impulses[w, normal[w, r]]
                length = wp.sqrt(p * p + q * q + 1.0e-30)
                if length > limit:
                    p = p * limit / length
                    q = q * limit / length
                impulses[w, r] = p
                impulses[w, r + 1] = q
                push(W, v, w, r, a, b, p - x)
                push(W, v, w, r + 1, a, b, q - y)
        for r in range(n):
            history[s, w, r] = impulses[w, r]


@wp.kernel
def solve_rows_adjoint(
    count: wp.array(dtype=wp.int32),
    kind: wp.array2d(dtype=wp.int32),
    body_a: wp.array2d(dtype=wp.int32),
    body_b: wp.array2d(dtype=wp.int32),
    J: wp.array3d(dtype=wp.float32),
    W: wp.array3d(dtype=wp.float32),
    diagonal: wp.array2d(dtype=wp.float32),
    target: wp.array2d(dtype=wp.float32),
    low: wp.array2d(dtype=wp.float32),
    high: wp.array2d(dtype=wp.float32),
    normal: wp.array2d(dtype=wp.int32),
    mu: wp.array2d(dtype=wp.float32),
    sweeps: int,
    v: wp.array3d(dtype=wp.float32),
    history: wp.array3d(dtype=wp.float32),
    gv: wp.array3d(dtype=wp.float32),
    gl: wp.array2d(dtype=wp.float32),
    gJ: wp.array3d(dtype=wp.float32),
    gW: wp.array3d(dtype=wp.float32),
    gd: wp.array2d(dtype=wp.float32),
    gt: wp.array2d(dtype=wp.float32),
    glow: wp.array2d(dtype=wp.float32),
    ghigh: wp.array2d(dtype=wp.float32),
    gmu: wp.array2d(dtype=wp.float32),
):
    w = wp.tid()
    n = count[w]
    for i in range(sweeps):
        s = sweeps - 1 - i
        for j in range(n):
            r = n - 1 - j
            a = body_a[w, r]
            b = body_b[w, r]
            if kind[w, r] == 0:
                old = float(0.0)
                if s > 0:
                    old = history[s - 1, w, r]
                new = history[s, w, r]
                change = new - old
                # The change reached v through W, and the impulse itself.
                g = gl[w, r]
                through = float(0.0)
                for k in range(6):
                    through += W[w, r, k] * gv[w, a, k]
                    gW[w, r, k] = gW[w, r, k] + change * gv[w, a, k]
                if b >= 0:
                    for k in range(6):
                        through += W[w, r, k + 6] * gv[w, b, k]
                        gW[w, r, k + 6] = gW[w, r, k + 6] + change * gv[w, b, k]
                push(W, v, w, r, a, b, -change)
                g = g + through
                gold = -through
                d = wp.max(diagonal[w, r], 1.0e-12)
                miss = target[w, r] - speed(J, v, w, r, a, b)
                free = old + miss / d
                if free < low[w, r]:
                    glow[w, r] = glow[w, r] + g
                elif free > high[w, r]:
                    ghigh[w, r] = ghigh[w, r] + g
                else:
                    gold = gold + g
                    h = g / d
                    gt[w, r] = gt[w, r] + h
                    gd[w, r] = gd[w, r] - h * miss / d
                    for k in range(6):
                        gJ[w, r, k] = gJ[w, r, k] - h * v[w, a, k]
                        gv[w, a, k] = gv[w, a, k] - h * J[w, r, k]
                    if b >= 0:
                        for k in range(6):
                            gJ[w, r, k + 6] = gJ[w, r, k + 6] - h * v[w, b, k]
                            gv[w, b, k] = gv[w, b, k] - h * J[w, r, k + 6]
                gl[w, r] = gold
            if kind[w, r] == 1:
                x = float(0.0)
                y = float(0.0)
                if s > 0:
                    x = history[s - 1, w, r]
                    y = history[s - 1, w, r + 1]
                dx = history[s, w, r] - x
                dy = history[s, w, r + 1] - y
                tx = float(0.0)
                ty = float(0.0)
                for k in range(6):
                    tx += W[w, r, k] * gv[w, a, k]
                    ty += W[w, r + 1, k] * gv[w, a, k]
                    gW[w, r, k] = gW[w, r, k] + dx * gv[w, a, k]
                    gW[w, r + 1, k] = gW[w, r + 1, k] + dy * gv[w, a, k]
                if b >= 0:
                    for k in range(6):
                        tx += W[w, r, k + 6] * gv[w, b, k]
                        ty += W[w, r + 1, k + 6] * gv[w, b, k]
                        gW[w, r, k + 6] = gW[w, r, k + 6] + dx * gv[w, b, k]
                        gW[w, r + 1, k + 6] = gW[w, r + 1, k + 6] + dy * gv[w, b, k]
                push(W, v, w, r, a, b, -dx)
                push(W, v, w, r + 1, a, b, -dy)
                gx = gl[w, r] + tx
                gy = gl[w, r + 1] + ty
                ox = -tx
                oy = -ty
                first = diagonal[w, r] >= diagonal[w, r + 1]
                d = wp.max(wp.max(diagonal[w, r], diagonal[w, r + 1]), 1.0e-12)
                mx = target[w, r] - speed(J, v, w, r, a, b)
                my = target[w, r + 1] - speed(J, v, w, r + 1, a, b)
                p = x + mx / d
                q = y + my / d
                c = normal[w, r]
                pressed = history[s, w, c]
                limit = mu[w, r] * pressed
                length = wp.sqrt(p * p + q * q + 1.0e-30)
                if length > limit:
                    ux = p / length
                    uy = q / length
                    along = ux * gx + uy * gy
                    gmu[w, r] = gmu[w, r] + along * pressed
                    gl[w, c] = gl[w, c] + along * mu[w, r]
                    gx = (gx - ux * along) * limit / length
                    gy = (gy - uy * along) * limit / length
                ox = ox + gx
                oy = oy + gy
                hx = gx / d
                hy = gy / d
                gt[w, r] = gt[w, r] + hx
                gt[w, r + 1] = gt[w, r + 1] + hy
                gdd = -(hx * mx + hy * my) / d
                if first:
                    gd[w, r] = gd[w, r] + gdd
                else:
                    gd[w, r + 1] = gd[w, r + 1] + gdd
                for k in range(6):
                    gJ[w, r, k] = gJ[w, r, k] - hx * v[w, a, k]
                    gJ[w, r + 1, k] = gJ[w, r + 1, k] - hy * v[w, a, k]
                    gv[w, a, k] = gv[w, a, k] - hx * J[w, r, k] - hy * J[w, r + 1, k]
                if b >= 0:
                    for k in range(6):
                        gJ[w, r, k + 6] = gJ[w, r, k + 6] - hx * v[w, b, k]
                        gJ[w, r + 1, k + 6] = gJ[w, r + 1, k + 6] - hy * v[w, b, k]
                        gv[w, b, k] = gv[w, b, k] - hx * J[w, r, k + 6] - hy * J[w, r + 1, k + 6]
                gl[w, r] = ox
                gl[w, r + 1] = oy
