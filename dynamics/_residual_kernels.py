# type: ignore - what Warp compiles only looks like Python.
"""Physics residuals as Warp kernels in double precision: one thread per contact or per body of each world.

Kernels write one value per contact or body; `dynamics._physics_residuals` sums them over worlds, and
launches the adjoints, which Warp derives. `dynamics._residual_terms` is the twin, and has the formulas and where they
are from. Quaternions are xyzw here, as Warp wants them. Modules of kernels import Warp at their top, as it wants; they
are imported inside the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._start_warp import start_warp

__all__ = [
    "carried_gap",
    "complementarity",
    "cone",
    "dissipation",
    "energy",
    "kinematics",
    "newton_euler",
    "penetration",
    "pushed",
    "twisted",
]

start_warp()
# Backward: these are terms of losses, and short enough for Warp's own adjoint.
wp.set_module_options({"enable_backward": True, "max_unroll": 1, "fast_math": False})

TINY = wp.constant(wp.float64(1.0e-30))
ZERO = wp.constant(wp.float64(0.0))
HALF = wp.constant(wp.float64(0.5))
ONE = wp.constant(wp.float64(1.0))
TWO = wp.constant(wp.float64(2.0))


@wp.func
def carried(point: wp.vec3d, xyz: wp.vec3d, turn: wp.quatd, xyz_after: wp.vec3d, turn_after: wp.quatd):
    """Where a point of a body is after the step."""
    local = wp.quat_rotate_inv(wp.normalize(turn), point - xyz)
    return xyz_after + wp.quat_rotate(wp.normalize(turn_after), local)


@wp.func
def turned(matrix: wp.mat33d, turn: wp.quatd, turn_after: wp.quatd):
    """A tensor in the world's axes after the body has turned."""
    R = wp.quat_to_matrix(wp.normalize(turn_after) * wp.quat_inverse(wp.normalize(turn)))
    return R * matrix * wp.transpose(R)


@wp.kernel
def carried_gap(
    count: wp.array(dtype=wp.int32),
    body_a: wp.array2d(dtype=wp.int32),
    body_b: wp.array2d(dtype=wp.int32),
    point: wp.array2d(dtype=wp.vec3d),
    normal: wp.array2d(dtype=wp.vec3d),
    gap: wp.array2d(dtype=wp.float64),
    xyz: wp.array2d(dtype=wp.vec3d),
    turn: wp.array2d(dtype=wp.quatd),
    xyz_after: wp.array2d(dtype=wp.vec3d),
    turn_after: wp.array2d(dtype=wp.quatd),
    out: wp.array2d(dtype=wp.float64),
):
    w, c = wp.tid()
    if c < count[w]:
        a = body_a[w, c]
        b = body_b[w, c]
        p = point[w, c]
        on_a = carried(p, xyz[w, a], turn[w, a], xyz_after[w, a], turn_after[w, a])
        on_b = carried(p, xyz[w, b], turn[w, b], xyz_after[w, b], turn_after[w, b])
        out[w, c] = gap[w, c] + wp.dot(normal[w, c], on_a - on_b)


@wp.kernel
def complementarity(
    count: wp.array(dtype=wp.int32),
    normal: wp.array2d(dtype=wp.vec3d),
    impulse: wp.array2d(dtype=wp.vec3d),
    gap_after: wp.array2d(dtype=wp.float64),
    slop: wp.array2d(dtype=wp.float64),
    impulse_unit: wp.array2d(dtype=wp.float64),
    step_unit: wp.array2d(dtype=wp.float64),
    out: wp.array2d(dtype=wp.float64),
):
    w, c = wp.tid()
    if c < count[w]:
        g = gap_after[w, c]
        g = wp.max(g, wp.min(g + slop[w, c], ZERO))
        x = wp.dot(impulse[w, c], normal[w, c]) / impulse_unit[w, c]
        y = g / step_unit[w, c]
        fb = x + y - wp.sqrt(x * x + y * y + TINY)
        out[w, c] = fb * fb


@wp.kernel
def cone(
    count: wp.array(dtype=wp.int32),
    normal: wp.array2d(dtype=wp.vec3d),
    impulse: wp.array2d(dtype=wp.vec3d),
    friction: wp.array2d(dtype=wp.float64),
    impulse_unit: wp.array2d(dtype=wp.float64),
    out: wp.array2d(dtype=wp.float64),
):
    w, c = wp.tid()
    if c < count[w]:
        n = normal[w, c]
        pressed = wp.dot(impulse[w, c], n)
        along = impulse[w, c] - pressed * n
        length = wp.sqrt(wp.dot(along, along) + TINY)
        over = wp.max(length - friction[w, c] * wp.max(pressed, ZERO), ZERO) / impulse_unit[w, c]
        pulled = wp.max(-pressed, ZERO) / impulse_unit[w, c]
        out[w, c] = over * over + pulled * pulled


@wp.kernel
def dissipation(
    count: wp.array(dtype=wp.int32),
    body_a: wp.array2d(dtype=wp.int32),
    body_b: wp.array2d(dtype=wp.int32),
    point: wp.array2d(dtype=wp.vec3d),
    normal: wp.array2d(dtype=wp.vec3d),
    impulse: wp.array2d(dtype=wp.vec3d),
    friction: wp.array2d(dtype=wp.float64),
    com: wp.array2d(dtype=wp.vec3d),
    linear: wp.array2d(dtype=wp.vec3d),
    angular: wp.array2d(dtype=wp.vec3d),
    energy_unit: wp.array2d(dtype=wp.float64),
    out: wp.array2d(dtype=wp.float64),
):
    w, c = wp.tid()
    if c < count[w]:
        a = body_a[w, c]
        b = body_b[w, c]
        n = normal[w, c]
        p = point[w, c]
        u = linear[w, a] + wp.cross(angular[w, a], p - com[w, a])
        u = u - linear[w, b] - wp.cross(angular[w, b], p - com[w, b])
        u = u - wp.dot(u, n) * n
        pressed = wp.dot(impulse[w, c], n)
        along = impulse[w, c] - pressed * n
        length = wp.sqrt(wp.dot(along, along) + TINY)
        most = wp.max(friction[w, c] * pressed, length)
        out[w, c] = (most * wp.sqrt(wp.dot(u, u) + TINY) + wp.dot(along, u)) / energy_unit[w, c]


@wp.kernel
def penetration(
    count: wp.array(dtype=wp.int32),
    gap_after: wp.array2d(dtype=wp.float64),
    slop: wp.array2d(dtype=wp.float64),
    length_unit: wp.array2d(dtype=wp.float64),
    out: wp.array2d(dtype=wp.float64),
):
    w, c = wp.tid()
    if c < count[w]:
        deep = wp.max(-gap_after[w, c] - slop[w, c], ZERO) / length_unit[w, c]
        out[w, c] = deep * deep


@wp.kernel
def pushed(
    count: wp.array(dtype=wp.int32),
    body_a: wp.array2d(dtype=wp.int32),
    body_b: wp.array2d(dtype=wp.int32),
    impulse: wp.array2d(dtype=wp.vec3d),
    out: wp.array2d(dtype=wp.vec3d),
):
    # A kernel of its own: adjoints of loops are right for what adds up, not for what is then made of the sum.
    w, i = wp.tid()
    total = wp.vec3d()
    for c in range(count[w]):
        if body_a[w, c] == i:
            total += impulse[w, c]
        if body_b[w, c] == i:
            total -= impulse[w, c]
    out[w, i] = total


@wp.kernel
def twisted(
    count: wp.array(dtype=wp.int32),
    body_a: wp.array2d(dtype=wp.int32),
    body_b: wp.array2d(dtype=wp.int32),
    point: wp.array2d(dtype=wp.vec3d),
    impulse: wp.array2d(dtype=wp.vec3d),
    com: wp.array2d(dtype=wp.vec3d),
    out: wp.array2d(dtype=wp.vec3d),
):
    w, i = wp.tid()
    total = wp.vec3d()
    for c in range(count[w]):
        if body_a[w, c] == i:
            total += wp.cross(point[w, c] - com[w, i], impulse[w, c])
        if body_b[w, c] == i:
            total -= wp.cross(point[w, c] - com[w, i], impulse[w, c])
    out[w, i] = total


@wp.kernel
def newton_euler(
    mass: wp.array2d(dtype=wp.float64),
    inertia: wp.array2d(dtype=wp.mat33d),
    inverse_inertia: wp.array2d(dtype=wp.mat33d),
    turn: wp.array2d(dtype=wp.quatd),
    turn_after: wp.array2d(dtype=wp.quatd),
    change: wp.array2d(dtype=wp.vec3d),
    angular: wp.array2d(dtype=wp.vec3d),
    angular_after: wp.array2d(dtype=wp.vec3d),
    push: wp.array2d(dtype=wp.vec3d),
    twist: wp.array2d(dtype=wp.vec3d),
    energy_unit: wp.array2d(dtype=wp.float64),
    out: wp.array2d(dtype=wp.float64),
):
    w, i = wp.tid()
    if mass[w, i] > ZERO:
        after = turned(inertia[w, i], turn[w, i], turn_after[w, i]) * angular_after[w, i]
        y = mass[w, i] * change[w, i] - push[w, i]
        z = after - inertia[w, i] * angular[w, i] - twist[w, i]
        out[w, i] = (wp.dot(y, y) / mass[w, i] + wp.dot(z, inverse_inertia[w, i] * z)) / energy_unit[w, i]


@wp.kernel
def energy(
    gravity: wp.vec3d,
    com: wp.array2d(dtype=wp.vec3d),
    mass: wp.array2d(dtype=wp.float64),
    inertia: wp.array2d(dtype=wp.mat33d),
    xyz: wp.array2d(dtype=wp.vec3d),
    turn: wp.array2d(dtype=wp.quatd),
    xyz_after: wp.array2d(dtype=wp.vec3d),
    turn_after: wp.array2d(dtype=wp.quatd),
    linear: wp.array2d(dtype=wp.vec3d),
    angular: wp.array2d(dtype=wp.vec3d),
    linear_after: wp.array2d(dtype=wp.vec3d),
    angular_after: wp.array2d(dtype=wp.vec3d),
    out: wp.array2d(dtype=wp.float64),
):
    w, i = wp.tid()
    if mass[w, i] > ZERO:
        rise = carried(com[w, i], xyz[w, i], turn[w, i], xyz_after[w, i], turn_after[w, i]) - com[w, i]
        v = linear[w, i]
        u = linear_after[w, i]
        s = angular[w, i]
        t = angular_after[w, i]
        spin = wp.dot(t, turned(inertia[w, i], turn[w, i], turn_after[w, i]) * t) - wp.dot(s, inertia[w, i] * s)
        out[w, i] = HALF * (mass[w, i] * (wp.dot(u, u) - wp.dot(v, v)) + spin) - mass[w, i] * wp.dot(gravity, rise)


@wp.kernel
def kinematics(
    dt: wp.float64,
    com: wp.array2d(dtype=wp.vec3d),
    mass: wp.array2d(dtype=wp.float64),
    inertia: wp.array2d(dtype=wp.mat33d),
    xyz: wp.array2d(dtype=wp.vec3d),
    turn: wp.array2d(dtype=wp.quatd),
    xyz_after: wp.array2d(dtype=wp.vec3d),
    turn_after: wp.array2d(dtype=wp.quatd),
    linear: wp.array2d(dtype=wp.vec3d),
    angular: wp.array2d(dtype=wp.vec3d),
    linear_after: wp.array2d(dtype=wp.vec3d),
    angular_after: wp.array2d(dtype=wp.vec3d),
    square_unit: wp.array2d(dtype=wp.float64),
    out: wp.array2d(dtype=wp.float64),
):
    w, i = wp.tid()
    if mass[w, i] > ZERO:
        m = mass[w, i]
        moment = inertia[w, i]
        moved = carried(com[w, i], xyz[w, i], turn[w, i], xyz_after[w, i], turn_after[w, i]) - com[w, i]
        q = wp.normalize(turn_after[w, i]) * wp.quat_inverse(wp.normalize(turn[w, i]))
        sign = ONE
        if q[3] < ZERO:
            sign = -ONE
        axis = wp.vec3d(q[0], q[1], q[2]) * sign
        sine = wp.sqrt(wp.dot(axis, axis) + TINY)
        rotation = axis * (TWO * wp.atan2(sine, q[3] * sign) / sine)
        x = moved - dt * linear[w, i]
        r = rotation - dt * angular[w, i]
        dx = dt * (linear_after[w, i] - linear[w, i])
        dr = dt * (angular_after[w, i] - angular[w, i])
        across = m * wp.dot(x, dx) + wp.dot(r, moment * dr)
        s = wp.clamp(across / (m * wp.dot(dx, dx) + wp.dot(dr, moment * dr) + TINY), ZERO, ONE)
        x = x - s * dx
        r = r - s * dr
        out[w, i] = (m * wp.dot(x, x) + wp.dot(r, moment * r)) / square_unit[w, i]
