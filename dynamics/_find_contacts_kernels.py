# type: ignore - what Warp compiles only looks like Python.
# ruff: noqa: RUF046 - int(0) makes a variable of Warp, a literal a constant.
"""Contacts inside a kernel: shapes as flat arrays, signed distances, and the closest points of each pair of bodies.

`dynamics._find_contacts` and `dynamics._shape_distance` are the twins, and say what is looked for. Everything here
works on one world, in the scratch memory of its slot. Modules of kernels import Warp at their top, as it wants; they
are imported inside the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._memory_kernels import Constants, Scratch, Shapes
from dynamics._start_warp import start_warp

__all__ = ["boxes_near", "find", "is_near"]

start_warp()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})

PLANE, BOX, SPHERE, GRID = (wp.constant(i) for i in range(4))
TIE = wp.constant(0.00025)
NEAR_EDGE_BINS = wp.constant(4.0)
RIDGE = wp.constant(0.8)


@wp.func
def signed(value: wp.float32):
    sign = float(1.0)
    if value < 0.0:
        sign = float(-1.0)
    return sign


@wp.func
def box_distance(p: wp.vec3, half: wp.vec3):
    qx = wp.abs(p[0]) - half[0]
    qy = wp.abs(p[1]) - half[1]
    qz = wp.abs(p[2]) - half[2]
    out = wp.vec3(wp.max(qx, 0.0), wp.max(qy, 0.0), wp.max(qz, 0.0))
    length = wp.dot(out, out)
    normal = wp.vec3(signed(p[0]), 0.0, 0.0)
    distance = qx
    if length > 0.0:
        distance = wp.sqrt(length)
        normal = wp.vec3(signed(p[0]) * out[0], signed(p[1]) * out[1], signed(p[2]) * out[2]) / distance
    else:
        if qy > distance:
            distance = qy
            normal = wp.vec3(0.0, signed(p[1]), 0.0)
        if qz > distance:
            distance = qz
            normal = wp.vec3(0.0, 0.0, signed(p[2]))
    most = wp.max(qx, wp.max(qy, qz))
    least = wp.min(qx, wp.min(qy, qz))
    return distance, normal, most - (qx + qy + qz - most - least)


@wp.func
def grid_distance(shapes: Shapes, i: wp.int32, p: wp.vec3):
    shape = shapes.grid_shape[i]
    spacing = shapes.grid_spacing[i]
    place = (p - shapes.grid_origin[i]) / spacing
    inside = wp.vec3(
        wp.clamp(place[0], 0.0, float(shape[0] - 1)),
        wp.clamp(place[1], 0.0, float(shape[1] - 1)),
        wp.clamp(place[2], 0.0, float(shape[2] - 1)),
    )
    cx = wp.min(int(inside[0]), shape[0] - 2)
    cy = wp.min(int(inside[1]), shape[1] - 2)
    cz = wp.min(int(inside[2]), shape[2] - 2)
    x = inside[0] - float(cx)
    y = inside[1] - float(cy)
    z = inside[2] - float(cz)
    at = shapes.grid_first[i] + (cx * shape[1] + cy) * shape[2] + cz
    up = shape[2]
    on = shape[1] * shape[2]
    r00 = shapes.values[at + 1] - shapes.values[at]
    r01 = shapes.values[at + up + 1] - shapes.values[at + up]
    r10 = shapes.values[at + on + 1] - shapes.values[at + on]
    r11 = shapes.values[at + on + up + 1] - shapes.values[at + on + up]
    a00 = shapes.values[at] + z * r00
    a01 = shapes.values[at + up] + z * r01
    a10 = shapes.values[at + on] + z * r10
    a11 = shapes.values[at + on + up] + z * r11
    y0 = a00 + y * (a01 - a00)
    y1 = a10 + y * (a11 - a10)
    s0 = r00 + y * (r01 - r00)
    s1 = r10 + y * (r11 - r10)
    distance = y0 + x * (y1 - y0)
    gradient = wp.vec3(y1 - y0, (a01 - a00) + x * ((a11 - a10) - (a01 - a00)), s0 + x * (s1 - s0)) / spacing
    sure = wp.length(gradient)
    normal = gradient / wp.max(sure, 1.0e-9)
    beyond = (place - inside) * spacing
    if wp.dot(beyond, beyond) > 0.0:
        # To the foot of the grid's nearest point.
        away = beyond + normal * distance
        distance = wp.max(wp.length(away), 1.0e-12)
        normal = away / distance
        sure = 1.0
    return distance, normal, sure


@wp.func
def is_near(shapes: Shapes, s: Scratch, slot: wp.int32, a: wp.int32, b: wp.int32, margin: wp.float32, dt: wp.float32):
    source = a
    target = b
    if shapes.kind[a] == PLANE:
        source = b
        target = a
    centre = s.p[slot, source] + s.R[slot, source] * shapes.middle[source]
    local = wp.transpose(s.R[slot, target]) * (centre - s.p[slot, target])
    distance = local[2]
    if shapes.kind[target] != PLANE:
        distance, _n, _u = box_distance(local - shapes.middle[target], shapes.half[target])
    bound = shapes.bound[source]
    speed = wp.length(s.free_vel[slot, source] - s.free_vel[slot, target])
    speed += wp.length(s.free_turn[slot, source]) * (wp.length(centre - s.com[slot, source]) + bound)
    speed += wp.length(s.free_turn[slot, target]) * (wp.length(centre - s.com[slot, target]) + bound)
    near = int(0)
    if distance - bound < margin + speed * dt:
        near = int(1)
    return near


@wp.func
def boxes_near(
    shapes: Shapes, s: Scratch, slot: wp.int32, a: wp.int32, b: wp.int32, margin: wp.float32, dt: wp.float32
):
    """Whether the boxes around two bodies may touch within the step; what no face of theirs separates may."""
    near = int(1)
    if shapes.kind[a] != PLANE and shapes.kind[b] != PLANE:
        turned = wp.transpose(s.R[slot, a]) * s.R[slot, b]
        centre_a = s.p[slot, a] + s.R[slot, a] * shapes.middle[a]
        centre_b = s.p[slot, b] + s.R[slot, b] * shapes.middle[b]
        along_a = wp.transpose(s.R[slot, a]) * (centre_b - centre_a)
        along_b = wp.transpose(s.R[slot, b]) * (centre_b - centre_a)
        gap = float(-1.0e9)
        for k in range(3):
            reach_a = shapes.half[a][k]
            reach_b = shapes.half[b][k]
            for j in range(3):
                reach_a += wp.abs(turned[k, j]) * shapes.half[b][j]
                reach_b += wp.abs(turned[j, k]) * shapes.half[a][j]
            gap = wp.max(gap, wp.max(wp.abs(along_a[k]) - reach_a, wp.abs(along_b[k]) - reach_b))
        speed = wp.length(s.free_vel[slot, a] - s.free_vel[slot, b])
        speed += wp.length(s.free_turn[slot, a]) * (wp.length(centre_a - s.com[slot, a]) + shapes.bound[a])
        speed += wp.length(s.free_turn[slot, b]) * (wp.length(centre_b - s.com[slot, b]) + shapes.bound[b])
        if gap >= margin + speed * dt:
            near = 0
    return near


@wp.func
def capacity(shapes: Shapes, source: wp.int32, target: wp.int32, most: wp.int32):
    """How many contacts the source's points may have with the target.

    A ball looks itself up in others with its one point, exactly; two balls do so once.
    """
    n = int(0)
    if shapes.kind[target] != SPHERE or (shapes.kind[source] == SPHERE and source < target):
        n = wp.min(shapes.count[source], most)
    return n


@wp.func
def remembered(s: Scratch, slot: wp.int32, start: wp.int32, kept: wp.int32, base: wp.int32, room: wp.int32):
    """What the same points gave in the step before becomes the first guess; the memory of the direction is cleared."""
    for j in range(kept):
        s.warm[slot, start + j] = wp.vec3(0.0, 0.0, 0.0)
        s.place[slot, start + j] = base + j
        for m in range(room):
            if s.known_key[slot, base + m] == s.key[slot, start + j]:
                s.warm[slot, start + j] = s.known_impulse[slot, base + m]
    for m in range(room):
        s.known_key[slot, base + m] = -1
        s.known_impulse[slot, base + m] = wp.vec3(0.0, 0.0, 0.0)
    return kept


@wp.func
def keep(
    s: Scratch,
    slot: wp.int32,
    start: wp.int32,
    kept: wp.int32,
    most: wp.int32,
    rank: wp.float32,
    key: wp.int32,
    point: wp.vec3,
    normal: wp.vec3,
    gap: wp.float32,
):
    """Insert into the sorted list of the best; of equals the earlier stays in front."""
    n = kept
    if n == most:
        if rank >= s.rank[slot, start + n - 1]:
            return n
        n -= 1
    j = start + n
    while j > start and s.rank[slot, j - 1] > rank:
        s.rank[slot, j] = s.rank[slot, j - 1]
        s.key[slot, j] = s.key[slot, j - 1]
        s.point[slot, j] = s.point[slot, j - 1]
        s.normal[slot, j] = s.normal[slot, j - 1]
        s.gap[slot, j] = s.gap[slot, j - 1]
        j -= 1
    s.rank[slot, j] = rank
    s.key[slot, j] = key
    s.point[slot, j] = point
    s.normal[slot, j] = normal
    s.gap[slot, j] = gap
    return n + 1


@wp.func
def look_up(
    shapes: Shapes,
    s: Scratch,
    slot: wp.int32,
    source: wp.int32,
    target: wp.int32,
    start: wp.int32,
    most: wp.int32,
    margin: wp.float32,
    dt: wp.float32,
):
    """Contacts of the source's points with the target's shape, behind those that there are; their number."""
    kind = shapes.kind[target]
    first = shapes.first[source]
    count = shapes.count[source]
    if kind == PLANE:
        first = shapes.hull_first[source]
        count = shapes.hull_count[source]
    Rt = s.R[slot, target]
    back = wp.transpose(Rt)
    Rs = s.R[slot, source]
    ps = s.p[slot, source]
    turned = back * Rs
    moved = back * (ps - s.p[slot, target])
    radius = shapes.radius[source]
    va = s.free_vel[slot, source]
    wa = s.free_turn[slot, source]
    vb = s.free_vel[slot, target]
    wb = s.free_turn[slot, target]
    ca = s.com[slot, source]
    cb = s.com[slot, target]
    half = shapes.half[target]
    middle = shapes.middle[target]
    centre = ps + Rs * shapes.middle[source]
    bound = shapes.bound[source]
    reach = margin + dt * (wp.length(va - vb) + wp.length(wa) * (wp.length(centre - ca) + bound))
    reach += dt * wp.length(wb) * (wp.length(centre - cb) + bound)
    kept = int(0)
    for k in range(count):
        own = shapes.points[first + k]
        local = turned * own + moved
        distance = local[2] - radius
        normal = wp.vec3(0.0, 0.0, 1.0)
        unsure = float(0.0)
        look = distance < reach
        if kind == BOX:
            distance, normal, apart = box_distance(local, half)
            distance -= radius
            look = distance < reach
            if apart < shapes.near_edge[target]:
                unsure = NEAR_EDGE_BINS
        if kind == SPHERE:
            length = wp.sqrt(wp.max(wp.dot(local, local), 1.0e-24))
            distance = length - half[0] - radius
            normal = local / length
            look = distance < reach
        if kind == GRID:
            # The box around the body is never farther than its surface.
            distance, normal, _apart = box_distance(local - middle, half)
            look = distance - radius < reach
            if look:
                distance, normal, sure = grid_distance(shapes, target, local)
                distance -= radius
                if sure < RIDGE:
                    unsure = NEAR_EDGE_BINS
        if look:
            n = Rt * normal
            point = ps + Rs * own - radius * n
            closing = wp.dot(va + wp.cross(wa, point - ca) - vb - wp.cross(wb, point - cb), n)
            if distance + wp.min(closing, 0.0) * dt < margin:
                rank = wp.floor(distance / TIE + 0.5) + unsure
                kept = keep(s, slot, start, kept, most, rank, k, point, n, distance)
    for j in range(kept):
        s.a[slot, start + j] = source
        s.b[slot, start + j] = target
    return kept


@wp.func
def find(shapes: Shapes, s: Scratch, c: Constants, slot: wp.int32):
    """All contacts of the world; their number."""
    n = int(0)
    base = int(0)
    for k in range(shapes.pairs.shape[0]):
        movable = s.inverse_mass[slot, shapes.pairs[k][0]] + s.inverse_mass[slot, shapes.pairs[k][1]] > 0.0
        for direction in range(2):
            source = shapes.pairs[k][direction]
            target = shapes.pairs[k][1 - direction]
            room = capacity(shapes, source, target, c.per_direction)
            kept = int(0)
            if room > 0 and movable and s.near[slot, k] == 1:
                kept = look_up(shapes, s, slot, source, target, n, c.per_direction, c.margin, c.dt)
            if movable:
                remembered(s, slot, n, kept, base, room)
            n += kept
            base += room
    return n
