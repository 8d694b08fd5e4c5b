# type: ignore - what Warp compiles only looks like Python.

"""What kernels and the contact network hand each other in a step: contacts of all worlds, one behind the other.

Modules of kernels import Warp at their top, as it wants; they are imported inside the functions that launch them.
"""

import warp as wp  # noqa: TID253

from dynamics._start_warp import start_warp

__all__ = ["Exchange"]

start_warp()
wp.set_module_options({"enable_backward": False, "max_unroll": 1, "fast_math": False})


@wp.struct
class Exchange:
    """Per world, per world and body or contact, and per contact in use, from `offset` of its world on.

    `residual` holds log friction, logit restitution, gap and shifts in gyration radii, and the gate; `wanted` impulses
    along slip, binormal and normal in m sqrt(g l). `radius` is that of gyration, of each body.
    """

    gravity: wp.float32
    count: wp.array(dtype=wp.int32)
    offset: wp.array(dtype=wp.int32)
    bounces: wp.array(dtype=wp.int32)
    spoke: wp.array(dtype=wp.int32)
    overlap: wp.array(dtype=wp.float32)
    pressing: wp.array(dtype=wp.float32)
    inside: wp.array(dtype=wp.float32)
    radius: wp.array(dtype=wp.float32)
    flat: wp.array2d(dtype=wp.float32)
    vel: wp.array2d(dtype=wp.vec3)
    turn: wp.array2d(dtype=wp.vec3)
    point: wp.array2d(dtype=wp.vec3)
    features: wp.array2d(dtype=wp.float32)
    residual: wp.array2d(dtype=wp.float32)
    wanted: wp.array2d(dtype=wp.float32)
