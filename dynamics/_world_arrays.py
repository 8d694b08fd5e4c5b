"""A world as flat arrays: what kernels and their torch twins read of bodies while they look for contacts.

Bodies' contact points lie one behind the other, twice: all of them, and those on the convex hull, which are all that
can touch a half-space. Distance grids lie one behind the other too; bodies of one shape share theirs. A ball is one
point, its centre, with its radius. Made once per world and kept for as long as the world is.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from dynamics._joint_arrays import JointArrays, joint_arrays

if TYPE_CHECKING:
    from dynamics._body import Body
    from dynamics._world import World

__all__ = [
    "BOX",
    "DYNAMIC",
    "GRID",
    "KINEMATIC",
    "PLANE",
    "SPHERE",
    "STATIC",
    "WorldArrays",
    "directions",
    "world_arrays",
]

PLANE, BOX, SPHERE, GRID = range(4)
STATIC, KINEMATIC, DYNAMIC = range(3)
MOTIONS = {"static": STATIC, "kinematic": KINEMATIC, "dynamic": DYNAMIC}
NEAR_EDGE, NEAR_EDGE_SHARE = 0.001, 0.05
"""Points nearer than this [m] and than this share of the least half length to an edge of a box: no face is theirs."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class WorldArrays:
    """nb bodies, P contact points, G grid values."""

    kind: Ints
    """`PLANE`, `BOX`, `SPHERE` or `GRID`, shape (nb,)."""
    motion: Ints
    """`STATIC`, `KINEMATIC` or `DYNAMIC`, shape (nb,)."""
    middle: Floats
    """Centre of the box around the body, in its frame [m], shape (nb, 3)."""
    half: Floats
    """Half lengths of that box; the radius three times for a sphere [m], shape (nb, 3)."""
    bound: Floats
    """Radius of a ball about the middle that holds the body [m], shape (nb,)."""
    near_edge: Floats
    """Points of a box nearer to an edge than this are uncertain of their face [m], shape (nb,)."""
    radius: Floats
    """Radius around each contact point: that of a sphere, else 0 [m], shape (nb,)."""
    points: Floats
    """Contact points in the frames of their bodies [m], shape (P, 3)."""
    first: Ints
    """First contact point of each body, shape (nb,)."""
    count: Ints
    """Number of contact points of each body, shape (nb,)."""
    hull_first: Ints
    """The same of the points on the hull, shape (nb,)."""
    hull_count: Ints
    """Shape (nb,)."""
    values: NDArray[np.float32]
    """Values of all distance grids [m], shape (G,)."""
    grid_first: Ints
    """First value of each body's grid, shape (nb,)."""
    grid_shape: Ints
    """Shape (nb, 3)."""
    grid_origin: Floats
    """[m], shape (nb, 3)."""
    grid_spacing: Floats
    """[m], shape (nb,)."""
    pairs: Ints
    """Pairs of bodies that may touch, lower index first, shape (np, 2)."""
    com: Floats
    """Centres of mass in the body frames [m], shape (nb, 3)."""
    mass: Floats
    """[kg], shape (nb,)."""
    inertia: Floats
    """[kg m^2], shape (nb, 3, 3)."""
    inverse_inertia: Floats
    """[1/(kg m^2)], shape (nb, 3, 3)."""
    round: Ints
    """1 for bodies whose three moments of inertia are equal, which turn at a constant rate, shape (nb,)."""
    joints: JointArrays
    """The same of joints."""


_KEPT: WeakKeyDictionary[World, WorldArrays] = WeakKeyDictionary()


def world_arrays(world: World) -> WorldArrays:
    """The arrays of a world; distance grids and contact points are made if nobody asked for them yet."""
    if world not in _KEPT:
        _KEPT[world] = _made(world)
    return _KEPT[world]


def directions(arrays: WorldArrays, most: int) -> list[tuple[int, int, int]]:
    """Source, target and the most contacts of each look-up, in the order of the pairs.

    A ball looks itself up in others with its one point, exactly; two balls do so once.
    """
    found: list[tuple[int, int, int]] = []
    for a, b in arrays.pairs.tolist():
        for source, target in ((a, b), (b, a)):
            once = arrays.kind[source] == SPHERE and source < target
            room = min(int(arrays.count[source]), most) if arrays.kind[target] != SPHERE or once else 0
            found.append((source, target, room))
    return found


def _made(world: World) -> WorldArrays:
    bodies = world.bodies
    kinds = [_kind(body) for body in bodies]
    boxes = [_box(body) for body in bodies]
    half = np.array([box[1] for box in boxes]).reshape(-1, 3)
    clouds = [np.zeros((1, 3)) if kind == SPHERE else _points(body) for body, kind in zip(bodies, kinds, strict=True)]
    hulls = [points if kind == SPHERE else _on_hull(points) for points, kind in zip(clouds, kinds, strict=True)]
    if PLANE not in kinds:
        hulls = [points[:0] for points in hulls]
    ends = np.cumsum([0, *(len(points) for points in clouds + hulls)])
    inertia = np.array([body.inertia for body in bodies]).reshape(-1, 3, 3)
    scale = np.trace(inertia, axis1=1, axis2=2)[:, None, None] / 3
    return WorldArrays(
        kind=_ints(kinds),
        motion=_ints([MOTIONS[body.motion] for body in bodies]),
        middle=np.array([box[0] for box in boxes]).reshape(-1, 3),
        half=half,
        bound=np.array(
            [half[i, 0] if kinds[i] == SPHERE else float(np.linalg.norm(half[i])) for i in range(len(bodies))]
        ),
        near_edge=np.minimum(NEAR_EDGE, NEAR_EDGE_SHARE * half.min(axis=1)),
        radius=np.where(np.array(kinds) == SPHERE, half[:, 0], 0.0),
        points=np.concatenate([*clouds, *hulls]),
        first=_ints(ends[: len(bodies)]),
        count=_ints([len(points) for points in clouds]),
        hull_first=_ints(ends[len(bodies) : -1]),
        hull_count=_ints([len(points) for points in hulls]),
        **_grids(bodies, kinds),
        pairs=_ints(world.pairs).reshape(-1, 2),
        com=np.array([body.com for body in bodies]).reshape(-1, 3),
        mass=np.array([body.mass for body in bodies]),
        inertia=inertia,
        inverse_inertia=np.asarray(np.linalg.inv(inertia), dtype=np.float64),
        round=_ints((np.abs(inertia - scale * np.eye(3)) <= 1e-9 * scale).all(axis=(1, 2))),
        joints=joint_arrays(world),
    )


def _kind(body: Body) -> int:
    if body.primitive is None:
        return GRID
    return {"plane": PLANE, "box": BOX, "sphere": SPHERE}[body.primitive.kind]


def _box(body: Body) -> tuple[Floats, Floats]:
    """Middle and half lengths of the box around a body."""
    if body.primitive is not None:
        return np.zeros(3), np.array(body.primitive.size)
    low, high = body.mesh.bounds
    return (low + high) / 2, (high - low) / 2


def _points(body: Body) -> Floats:
    return body.contact_points.astype(np.float64)


def _on_hull(points: Floats) -> Floats:
    """Those of the points that are corners of their convex hull, in their order."""
    spatial: Any = import_module("scipy.spatial")

    if len(points) < 5:
        return points
    try:
        corners = spatial.ConvexHull(points).vertices
    except spatial.QhullError:
        return points
    return points[np.sort(corners)]


def _grids(bodies: tuple[Body, ...], kinds: list[int]) -> dict[str, Any]:
    """Distance grids; one that bodies share is kept once."""
    values: list[NDArray[np.float32]] = []
    known: dict[int, int] = {}
    first = np.zeros(len(bodies), dtype=np.int32)
    shape = np.full((len(bodies), 3), 2, dtype=np.int32)
    origin, spacing = np.zeros((len(bodies), 3)), np.ones(len(bodies))
    end = 0
    for i, body in enumerate(bodies):
        if kinds[i] != GRID:
            continue
        grid = body.distance
        if id(grid) not in known:
            known[id(grid)] = end
            values.append(grid.values.ravel())
            end += grid.values.size
        first[i], shape[i], origin[i], spacing[i] = known[id(grid)], grid.values.shape, grid.origin, grid.spacing
    flat = np.concatenate(values) if values else np.zeros(8, dtype=np.float32)
    return {"values": flat, "grid_first": first, "grid_shape": shape, "grid_origin": origin, "grid_spacing": spacing}


def _ints(values: object) -> Ints:
    return np.array(values, dtype=np.int32)
