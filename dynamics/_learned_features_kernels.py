# type: ignore - what Warp compiles only looks like Python.
# ruff: noqa: RUF046 - int(0) makes a variable of Warp, a literal a constant.
"""What the contact network sees, in kernels: features of contacts, and sums of their codes over bodies.

`dynamics._contact_features` and `dynamics._learned_rollout_patch` are the twins, and say what each feature is. Modules
of kernels import Warp at their top, as it wants; they are imported inside the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._find_contacts_kernels import box_distance, grid_distance
from dynamics._learned_memory_kernels import Exchange
from dynamics._memory_kernels import Constants, Scratch, Shapes
from dynamics._start_warp import start_warp

__all__ = ["AFTER", "describe", "describe_after", "length_of", "pool", "reduced_mass"]

start_warp()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})

PLANE, BOX, SPHERE, GRID = (wp.constant(i) for i in range(4))
NEAR = wp.constant(0.2)
NARROW, WIDE = wp.constant(0.125), wp.constant(0.4)
FAR = wp.constant(14.0)
SHARE_A, SHARE_B, PATCH, SIDES, AFTER = (wp.constant(i) for i in (7, 8, 10, 14, 32))


@wp.func
def length_of(s: Scratch, x: Exchange, w: wp.int32, a: wp.int32, b: wp.int32):
    """Unit of length of a contact: the gyration radius of the smaller body that moves."""
    length = x.radius[a]
    if s.inverse_mass[w, a] == 0.0 or (s.inverse_mass[w, b] > 0.0 and x.radius[b] < length):
        length = x.radius[b]
    return length


@wp.func
def reduced_mass(s: Scratch, w: wp.int32, a: wp.int32, b: wp.int32):
    return 1.0 / (s.inverse_mass[w, a] + s.inverse_mass[w, b])


@wp.func
def in_frame(s: Scratch, w: wp.int32, k: wp.int32, v: wp.vec3):
    """Along slip direction, binormal and normal."""
    return wp.vec3(wp.dot(s.axis[w, 3 * k + 1], v), wp.dot(s.axis[w, 3 * k + 2], v), wp.dot(s.axis[w, 3 * k], v))


@wp.func
def distance_to(shapes: Shapes, target: wp.int32, p: wp.vec3):
    """Signed distance of a point in the target's frame, and its normal there."""
    kind = shapes.kind[target]
    distance = p[2]
    normal = wp.vec3(0.0, 0.0, 1.0)
    if kind == BOX:
        distance, normal, _apart = box_distance(p, shapes.half[target])
    if kind == SPHERE:
        length = wp.sqrt(wp.max(wp.dot(p, p), 1.0e-24))
        distance = length - shapes.half[target][0]
        normal = p / length
    if kind == GRID:
        distance, normal, _sure = grid_distance(shapes, target, p)
    return distance, normal


@wp.func
def layers(shapes: Shapes, s: Scratch, w: wp.int32, a: wp.int32, b: wp.int32, lowest: wp.float32, size: wp.float32):
    """Where the points of a lie that are nearly as close to b as the closest: in a narrow and in a wide layer."""
    first = shapes.first[a]
    count = shapes.count[a]
    if shapes.kind[b] == PLANE:
        first = shapes.hull_first[a]
        count = shapes.hull_count[a]
    Rb = s.R[w, b]
    back = wp.transpose(Rb)
    near = wp.vec3(0.0, 0.0, 0.0)
    far = wp.vec3(0.0, 0.0, 0.0)
    near_weight = float(0.0)
    far_weight = float(0.0)
    for k in range(count):
        own = s.p[w, a] + s.R[w, a] * shapes.points[first + k]
        distance, normal = distance_to(shapes, b, back * (own - s.p[w, b]))
        above = (distance - shapes.radius[a] - lowest) / size
        if above < FAR * WIDE:
            place = own - (Rb * normal) * shapes.radius[a]
            weight = wp.exp(-above / NARROW)
            near_weight += weight
            near += place * weight
            weight = wp.exp(-above / WIDE)
            far_weight += weight
            far += place * weight
    return near / near_weight, far / far_weight


@wp.func
def write_side(
    s: Scratch,
    x: Exchange,
    w: wp.int32,
    k: wp.int32,
    r: wp.int32,
    at: wp.int32,
    body: wp.int32,
    other: wp.int32,
    size: wp.float32,
    speed: wp.float32,
):
    arm = wp.vec3(0.0, 0.0, 0.0)
    velocity = arm
    spin = arm
    if s.inverse_mass[w, body] > 0.0:
        arm = in_frame(s, w, k, s.point[w, k] - s.com[w, body]) / size
        velocity = in_frame(s, w, k, s.free_vel[w, body] - s.free_vel[w, other]) / speed
        spin = in_frame(s, w, k, s.free_turn[w, body]) * (size / speed)
    for j in range(3):
        x.features[r, at + j] = arm[j]
        x.features[r, at + 3 + j] = velocity[j]
        x.features[r, at + 6 + j] = spin[j]
    return 0


@wp.kernel
def describe(shapes: Shapes, s: Scratch, c: Constants, x: Exchange):
    """Features before contact of all contacts of a world."""
    w = wp.tid() + c.first_world
    n = x.count[w]
    for i in range(shapes.kind.shape[0]):
        s.group[w, i] = 0
    for k in range(n):
        s.group[w, s.a[w, k]] = s.group[w, s.a[w, k]] + 1
        s.group[w, s.b[w, k]] = s.group[w, s.b[w, k]] + 1
    near = wp.vec3(0.0, 0.0, 0.0)
    far = near
    for k in range(n):
        a = s.a[w, k]
        b = s.b[w, k]
        r = x.offset[w] + k
        size = length_of(s, x, w, a, b)
        speed = wp.sqrt(x.gravity * size)
        mass = reduced_mass(s, w, a, b)
        new = int(1)
        if k > 0:
            if s.a[w, k - 1] == a and s.b[w, k - 1] == b:
                new = 0
        if new == 1:
            near, far = layers(shapes, s, w, a, b, s.gap[w, k], size)
        ra = s.point[w, k] - s.com[w, a]
        rb = s.point[w, k] - s.com[w, b]
        u = s.free_vel[w, a] + wp.cross(s.free_turn[w, a], ra) - s.free_vel[w, b] - wp.cross(s.free_turn[w, b], rb)
        u = in_frame(s, w, k, u) / speed
        gap = s.gap[w, k] / (NEAR * size)
        x.features[r, 0] = wp.clamp(gap, -1.0, 1.5)
        x.features[r, 1] = wp.clamp(gap + u[2] * speed * c.dt / (NEAR * size), -2.0, 2.0)
        overlaps = float(0.0)
        if gap < 0.0:
            overlaps = 1.0
        x.features[r, 2] = overlaps
        x.features[r, 3] = u[0]
        x.features[r, 4] = u[2]
        x.features[r, 5] = wp.log(1.0 + 10.0 * wp.max(u[0], 0.0)) / 3.0
        x.features[r, 6] = wp.log(1.0 + 10.0 * wp.max(-u[2], 0.0)) / 3.0
        share_a = s.inverse_mass[w, a] * mass
        share_b = s.inverse_mass[w, b] * mass
        x.features[r, SHARE_A] = share_a
        x.features[r, SHARE_B] = share_b
        x.features[r, 9] = (share_a * float(s.group[w, a]) + share_b * float(s.group[w, b])) / 4.0
        narrow = in_frame(s, w, k, near - s.point[w, k]) / size
        wide = in_frame(s, w, k, far - s.point[w, k]) / size
        x.features[r, PATCH] = narrow[0]
        x.features[r, PATCH + 1] = narrow[1]
        x.features[r, PATCH + 2] = wide[0]
        x.features[r, PATCH + 3] = wide[1]
        write_side(s, x, w, k, r, SIDES, a, b, size, speed)
        write_side(s, x, w, k, r, SIDES + 9, b, a, size, speed)


@wp.func
def describe_after(s: Scratch, x: Exchange, w: wp.int32, k: wp.int32, r: wp.int32):
    """What the solver gave a contact, and the velocity that it left."""
    a = s.a[w, k]
    b = s.b[w, k]
    speed = wp.sqrt(x.gravity * length_of(s, x, w, a, b))
    unit = reduced_mass(s, w, a, b) * speed
    ra = x.point[w, k] - s.com[w, a]
    rb = x.point[w, k] - s.com[w, b]
    left = s.vel[w, a] + wp.cross(s.turn[w, a], ra) - s.vel[w, b] - wp.cross(s.turn[w, b], rb)
    left = in_frame(s, w, k, left) / speed
    x.features[r, AFTER] = s.impulse[w, 3 * k + 1] / unit
    x.features[r, AFTER + 1] = s.impulse[w, 3 * k + 2] / unit
    x.features[r, AFTER + 2] = s.impulse[w, 3 * k] / unit
    for j in range(3):
        x.features[r, AFTER + 3 + j] = left[j]
    return 0


@wp.func
def weight_of(s: Scratch, w: wp.int32, m: wp.int32, body: wp.int32, share: wp.float32):
    """The body's share if contact m is one of its contacts, else 0."""
    weight = float(0.0)
    if s.a[w, m] == body or s.b[w, m] == body:
        weight = share
    return weight


@wp.kernel
def pool(s: Scratch, c: Constants, x: Exchange, code: wp.array3d(dtype=wp.float32), out: wp.array3d(dtype=wp.float32)):
    """Half the sum of the codes of all contacts of a contact's bodies, each by the body's share.

    Codes and sums have shape (copies, contacts, channels); copies are members of the ensemble and views in the mirror.
    Contacts of the same two bodies lie one behind the other and have the same sums.
    """
    w = wp.tid() + c.first_world
    first = x.offset[w]
    for copy in range(code.shape[0]):
        start = int(0)
        for k in range(x.count[w]):
            a = s.a[w, k]
            b = s.b[w, k]
            if s.a[w, start] != a or s.b[w, start] != b:
                start = k
            if k > start:
                for j in range(code.shape[2]):
                    out[copy, first + k, j] = out[copy, first + start, j]
            else:
                for j in range(code.shape[2]):
                    out[copy, first + k, j] = 0.0
                for m in range(x.count[w]):
                    weight = weight_of(s, w, m, a, 0.5 * x.features[first + k, SHARE_A])
                    weight += weight_of(s, w, m, b, 0.5 * x.features[first + k, SHARE_B])
                    if weight != 0.0:
                        for j in range(code.shape[2]):
                            out[copy, first + k, j] = out[copy, first + k, j] + weight * code[copy, first + m, j]
