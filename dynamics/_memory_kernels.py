# type: ignore - what Warp compiles only looks like Python.

"""What the rollout kernel reads and writes: shapes of bodies, scratch memory, constants, inputs and outputs.

A slot of scratch memory serves one world at a time. What joints need lies in arrays of few, wide entries: functions
in kernels take these groups by value, so every array more in them costs all worlds time, also those without joints.
Modules of kernels import Warp at their top, as it wants; they are
imported inside the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._start_warp import start_warp

__all__ = ["Constants", "Inputs", "JointShape", "Outputs", "Scratch", "Shapes"]

start_warp()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})


@wp.struct
class JointShape:
    kind: wp.int32
    parent: wp.int32
    child: wp.int32
    order: wp.int32
    parent_point: wp.vec3
    child_point: wp.vec3
    parent_xyzw: wp.quat
    child_xyzw: wp.quat
    low: wp.float32
    high: wp.float32
    damping: wp.float32
    friction: wp.float32
    stiffness: wp.float32
    drive_damping: wp.float32
    drive_limit: wp.float32


@wp.struct
class JointState:
    q: wp.float32
    qd: wp.float32
    goal: wp.float32
    pace: wp.float32
    gain: wp.float32
    rate: wp.float32
    most: wp.float32
    slowest: wp.float32
    fastest: wp.float32
    known: wp.float32


@wp.struct
class JointRow:
    axis: wp.vec3
    arm_a: wp.vec3
    arm_b: wp.vec3
    turn_a: wp.vec3
    turn_b: wp.vec3
    diagonal: wp.float32
    start: wp.float32
    target: wp.float32
    impulse: wp.float32
    rest: wp.float32


@wp.struct
class JoinedBody:
    """Centre of mass in the body's frame, and what joints alone change of velocities."""

    centre: wp.vec3
    kick_vel: wp.vec3
    kick_turn: wp.vec3


@wp.struct
class Shapes:
    kind: wp.array(dtype=wp.int32)
    motion: wp.array(dtype=wp.int32)
    middle: wp.array(dtype=wp.vec3)
    half: wp.array(dtype=wp.vec3)
    bound: wp.array(dtype=wp.float32)
    near_edge: wp.array(dtype=wp.float32)
    radius: wp.array(dtype=wp.float32)
    points: wp.array(dtype=wp.vec3)
    first: wp.array(dtype=wp.int32)
    count: wp.array(dtype=wp.int32)
    hull_first: wp.array(dtype=wp.int32)
    hull_count: wp.array(dtype=wp.int32)
    values: wp.array(dtype=wp.float32)
    grid_first: wp.array(dtype=wp.int32)
    grid_shape: wp.array(dtype=wp.vec3i)
    grid_origin: wp.array(dtype=wp.vec3)
    grid_spacing: wp.array(dtype=wp.float32)
    pairs: wp.array(dtype=wp.vec2i)
    inertia: wp.array(dtype=wp.mat33)
    inverse_inertia: wp.array(dtype=wp.mat33)
    round: wp.array(dtype=wp.int32)
    joints: wp.array(dtype=JointShape)
    joint_linked: wp.array(dtype=wp.int32)


@wp.struct
class Scratch:
    """Per slot and body, then per slot and contact, then three rows to a contact: normal, slip, binormal.

    Then what contacts gave in the step before, by direction of a pair. Last per slot and joint, six rows to a joint,
    15 shares of rows in each other, and a matrix of all rows. Behind the last body is the world, which nothing moves.
    """

    p: wp.array2d(dtype=wp.vec3)
    q: wp.array2d(dtype=wp.quat)
    R: wp.array2d(dtype=wp.mat33)
    com: wp.array2d(dtype=wp.vec3)
    vel: wp.array2d(dtype=wp.vec3)
    turn: wp.array2d(dtype=wp.vec3)
    free_vel: wp.array2d(dtype=wp.vec3)
    free_turn: wp.array2d(dtype=wp.vec3)
    start_vel: wp.array2d(dtype=wp.vec3)
    start_turn: wp.array2d(dtype=wp.vec3)
    land_vel: wp.array2d(dtype=wp.vec3)
    land_turn: wp.array2d(dtype=wp.vec3)
    next_q: wp.array2d(dtype=wp.quat)
    next_R: wp.array2d(dtype=wp.mat33)
    bounce_vel: wp.array2d(dtype=wp.vec3)
    bounce_turn: wp.array2d(dtype=wp.vec3)
    inverse_mass: wp.array2d(dtype=wp.float32)
    inverse_inertia: wp.array2d(dtype=wp.mat33)
    still: wp.array2d(dtype=wp.int32)
    asleep: wp.array2d(dtype=wp.int32)
    lively: wp.array2d(dtype=wp.int32)
    pushed: wp.array2d(dtype=wp.int32)
    group: wp.array2d(dtype=wp.int32)
    held: wp.array2d(dtype=wp.int32)
    near: wp.array2d(dtype=wp.int32)
    a: wp.array2d(dtype=wp.int32)
    b: wp.array2d(dtype=wp.int32)
    point: wp.array2d(dtype=wp.vec3)
    normal: wp.array2d(dtype=wp.vec3)
    gap: wp.array2d(dtype=wp.float32)
    rank: wp.array2d(dtype=wp.float32)
    key: wp.array2d(dtype=wp.int32)
    place: wp.array2d(dtype=wp.int32)
    warm: wp.array2d(dtype=wp.vec3)
    landing: wp.array2d(dtype=wp.float32)
    rebound: wp.array2d(dtype=wp.float32)
    mu: wp.array2d(dtype=wp.float32)
    axis: wp.array2d(dtype=wp.vec3)
    arm_a: wp.array2d(dtype=wp.vec3)
    arm_b: wp.array2d(dtype=wp.vec3)
    turn_a: wp.array2d(dtype=wp.vec3)
    turn_b: wp.array2d(dtype=wp.vec3)
    diagonal: wp.array2d(dtype=wp.float32)
    impulse: wp.array2d(dtype=wp.float32)
    known_key: wp.array2d(dtype=wp.int32)
    known_impulse: wp.array2d(dtype=wp.vec3)
    joined: wp.array2d(dtype=JoinedBody)
    joints: wp.array2d(dtype=JointState)
    joint_rows: wp.array2d(dtype=JointRow)
    joint_mix: wp.array2d(dtype=wp.float32)
    joint_matrix: wp.array2d(dtype=wp.float32)


@wp.struct
class Constants:
    gravity: wp.vec3
    dt: wp.float32
    steps: wp.int32
    every: wp.int32
    sweeps: wp.int32
    tolerance: wp.float32
    margin: wp.float32
    per_direction: wp.int32
    slop: wp.float32
    recovery: wp.float32
    recovery_speed: wp.float32
    rest_speed: wp.float32
    sleep_after: wp.int32
    sleep_speed: wp.float32
    sleep_turn: wp.float32
    first_world: wp.int32
    slot_stride: wp.int32
    wrenches: wp.int32
    targets: wp.int32
    movers: wp.int32
    joints: wp.int32
    driven: wp.int32
    joint_goals: wp.int32
    joint_paces: wp.int32
    joint_mosts: wp.int32


@wp.struct
class Inputs:
    com: wp.array2d(dtype=wp.vec3)
    inverse_mass: wp.array2d(dtype=wp.float32)
    mass_scale: wp.array2d(dtype=wp.float32)
    friction: wp.array2d(dtype=wp.float32)
    restitution: wp.array2d(dtype=wp.float32)
    wrench: wp.array4d(dtype=wp.float32)
    target: wp.array4d(dtype=wp.float32)
    joint_goal: wp.array3d(dtype=wp.float32)
    joint_pace: wp.array3d(dtype=wp.float32)
    joint_most: wp.array3d(dtype=wp.float32)


@wp.struct
class Outputs:
    """What is recorded, from the start on; what contacts and joints gave, before the first step, then in the last."""

    pose: wp.array4d(dtype=wp.float32)
    twist: wp.array4d(dtype=wp.float32)
    still: wp.array3d(dtype=wp.int32)
    overlap: wp.array2d(dtype=wp.float32)
    contact_point: wp.array2d(dtype=wp.int32)
    contact_impulse: wp.array3d(dtype=wp.float32)
    joint_q: wp.array3d(dtype=wp.float32)
    joint_qd: wp.array3d(dtype=wp.float32)
    joint_impulse: wp.array2d(dtype=wp.float32)
