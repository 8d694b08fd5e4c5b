"""The five things on the table: what is drawn, what is solid, where it stands, what it weighs.

Body frames: origin on the body's underside (z = 0 there), on the axis of mug and can, in the middle of the box, under
the body of the toy, and under the centre of mass of the rope; Z up. The mug's handle and the toy's face point along +x.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import trimesh
from scipy.interpolate import CubicSpline

from . import shapes, toy
from .shapes import Part

MUG = {"inner_radius": 0.041, "outer_radius": 0.045, "height": 0.095, "floor_thickness": 0.006}
CAN = {"radius": 0.0335, "height": 0.115}
BOX = {"size": (0.060, 0.120, 0.180)}
ROPE = {"radius": 0.0075, "pitch": 0.048}


@dataclass(frozen=True)
class Body:
    """One object.

    Attributes:
        name: mug, can, box, toy or rope.
        instance: value in the id maps.
        kind: rigid or deformable.
        parts: what the camera sees, in the body frame.
        solid: watertight mesh in the body frame.
        position: (3,) world position of the body frame, metres.
        yaw: turn of the body frame about world Z, radians.
        mass: kilograms, spread evenly over the solid's volume.
        note: how mass and density were chosen.
        friction: guessed Coulomb coefficient against the table.
        dimensions: named lengths in metres.
    """

    name: str
    instance: int
    kind: str
    parts: list[Part]
    solid: trimesh.Trimesh
    position: tuple[float, float, float]
    yaw: float
    mass: float
    note: str
    friction: float
    dimensions: dict

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3) rotation of T_world_body."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])

    def world_parts(self) -> list[Part]:
        """The parts where they stand."""
        return [p.moved(self.rotation, np.array(self.position)) for p in self.parts]


def union(parts: list[Part]) -> trimesh.Trimesh:
    """Watertight union of closed parts (overlaps removed)."""
    meshes = []
    for part in parts:
        mesh = trimesh.Trimesh(part.vertices, part.faces, process=False)
        mesh.merge_vertices(merge_tex=True, merge_norm=True)
        mesh.update_faces(mesh.nondegenerate_faces())
        mesh.remove_unreferenced_vertices()
        if not mesh.is_volume:
            raise RuntimeError(f"part {part.material} is not a closed solid")
        meshes.append(mesh)
    if len(meshes) == 1:
        return meshes[0]
    return trimesh.boolean.union(meshes, engine="manifold")


def mug() -> Body:
    """Wide stoneware mug."""
    ri, ro, h, t = (MUG[k] for k in ("inner_radius", "outer_radius", "height", "floor_thickness"))
    outside = shapes.fillet(
        [
            (0, 0.0015, 0),
            (0.033, 0.0015, 0.001),
            (0.0345, 0, 0.0008),
            (0.0385, 0, 0.0015),
            (ro, 0.009, 0.008),
            (ro, h, 0.002),
            ((ri + ro) / 2, h, 0),
        ]
    )
    inside = shapes.fillet([((ri + ro) / 2, h, 0), (ri, h, 0.002), (ri, t, 0.005), (0, t, 0)])
    outer = shapes.revolve(shapes.refined(outside, 0.012), "glaze_outside")
    inner = shapes.revolve(shapes.refined(inside, 0.012), "glaze_inside")
    # One surface for the normals, so that the rim has no crease.
    both = shapes.merged([outer, inner], "")
    normals = shapes.smooth_normals(both.vertices, both.faces)
    n = len(outer.vertices)
    outer, inner = replace(outer, normals=normals[:n]), replace(inner, normals=normals[n:])
    grip = shapes.handle((0.0432, 0.050), 0.031, 0.027, (0.0045, 0.0068))
    solid = union([both, grip])
    dimensions = {
        "inner_radius": ri,
        "outer_radius": ro,
        "wall_thickness": ro - ri,
        "height": h,
        "floor_thickness": t,
        "cavity_depth": h - t,
        "handle_reach_from_axis": float(solid.vertices[:, 0].max()),
    }
    mass = 2400 * solid.volume
    return Body(
        "mug",
        1,
        "rigid",
        [outer, inner, grip],
        solid,
        (0.075, -0.045, 0.0),
        np.radians(-28),
        mass,
        "stoneware, 2400 kg/m^3; hollow, the cavity is part of the mesh",
        0.5,
        dimensions,
    )


def can() -> Body:
    """Full drinks can."""
    r, h = CAN["radius"], CAN["height"]
    profile = shapes.fillet(
        [
            (0, 0.005, 0),
            (0.018, 0.004, 0.003),
            (0.0235, 0, 0.0015),
            (0.0265, 0, 0.002),
            (r, 0.009, 0.004),
            (r, 0.103, 0.005),
            (0.0285, 0.1115, 0.002),
            (0.0285, h, 0.0006),
            (0.0268, h, 0.0006),
            (0.0262, 0.1095, 0.001),
            (0, 0.1095, 0),
        ]
    )
    profile = shapes.refined(profile, 0.02)
    low = int(np.argmax(profile[:, 1] > 0.0085))
    high = len(profile) - 1 - int(np.argmax((profile[::-1, 0] > 0.0322) & (profile[::-1, 1] > 0.1)))
    cuts = [(0, low, "aluminium"), (low, high, "can_label"), (high, len(profile) - 1, "aluminium")]
    parts = [shapes.revolve(profile[a : b + 1], material) for a, b, material in cuts]
    whole = shapes.merged(parts, "")
    normals = shapes.smooth_normals(whole.vertices, whole.faces)
    ends = np.cumsum([0] + [len(p.vertices) for p in parts])
    parts = [replace(p, normals=normals[a:b]) for p, a, b in zip(parts, ends[:-1], ends[1:], strict=True)]
    tab = shapes.ring_tab((0.004, 0, 0.1096), 0.025, 0.014, 0.0011)
    hole = shapes.ring_tab((0.010, 0, 0.1107), 0.009, 0.008, 0.0002)
    solid = union([whole, tab])
    return Body(
        "can",
        2,
        "rigid",
        [*parts, tab, replace(hole, material="shadow")],
        solid,
        (0.015, 0.150, 0.0),
        np.radians(140),
        0.350,
        "full 330 ml can; modelled as a uniform solid",
        0.35,
        {"radius": r, "diameter": 2 * r, "height": h},
    )


def box() -> Body:
    """Tea carton."""
    part = shapes.rounded_box(BOX["size"], 0.0018, "carton")
    return Body(
        "box",
        3,
        "rigid",
        [part],
        union([part]),
        (-0.190, 0.095, 0.0),
        np.radians(-62),
        0.250,
        "carton full of tea bags; modelled as a uniform solid",
        0.4,
        {"size": list(BOX["size"])},
    )


def bear() -> Body:
    """Soft toy."""
    seen, closed = toy.bear()
    solid = union(closed)
    size = solid.bounds[1] - solid.bounds[0]
    return Body(
        "toy",
        4,
        "deformable",
        seen,
        solid,
        (0.245, 0.105, 0.0),
        np.radians(-118),
        0.120,
        "filled with fibre; modelled as a uniform solid",
        0.7,
        {"size": [round(float(s), 4) for s in size]},
    )


def rope() -> Body:
    """Half a metre of laid rope in a lazy S."""
    knots = np.array(
        [
            (-0.335, -0.075),
            (-0.290, -0.150),
            (-0.215, -0.125),
            (-0.150, -0.075),
            (-0.085, -0.110),
            (-0.070, -0.185),
            (-0.010, -0.215),
            (0.070, -0.190),
            (0.120, -0.160),
        ]
    )
    t = np.r_[0, np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))]
    dense = CubicSpline(t, knots)(np.linspace(0, t[-1], 4000))
    arc = np.r_[0, np.cumsum(np.linalg.norm(np.diff(dense, axis=0), axis=1))]
    even = np.linspace(0, arc[-1], round(float(arc[-1]) / 0.0022) + 1)
    line = np.stack([np.interp(even, arc, dense[:, 0]), np.interp(even, arc, dense[:, 1]), 0 * even], 1)
    part = shapes.rope(line, ROPE["radius"], ROPE["pitch"], "rope")
    first = union([part])
    origin = np.round(np.r_[first.center_mass[:2], first.vertices[:, 2].min()], 5)
    part = replace(part, vertices=shapes.rounded(part.vertices - origin), uv=part.uv * [1, 100])
    solid = union([part])
    return Body(
        "rope",
        5,
        "deformable",
        [part],
        solid,
        (float(origin[0]), float(origin[1]), 0.0),
        0.0,
        700 * solid.volume,
        "laid cotton rope, 700 kg/m^3",
        0.5,
        {
            "diameter": 2 * ROPE["radius"],
            "length": round(float(arc[-1]), 4),
            "pitch": ROPE["pitch"],
            "centre_line": np.round(line[::8, :2] - origin[:2], 4).tolist(),
        },
    )


def all_bodies() -> list[Body]:
    """Mug, can, box, toy, rope."""
    return [mug(), can(), box(), bear(), rope()]
