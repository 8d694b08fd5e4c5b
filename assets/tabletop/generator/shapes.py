"""Triangle meshes made from numbers: surfaces of revolution, swept tubes, rounded boxes, smooth blobs, a laid rope.

Every function returns a `Part`: one mesh with one material. Lengths are metres, Z is up. Vertices are rounded to
0.01 mm so that the picture, the ids and the mesh files all show the very same surface.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

GRID = 1e-5  # metres; resolution of all vertex coordinates


@dataclass(frozen=True)
class Part:
    """One mesh with one material.

    Attributes:
        vertices: (V, 3) metres.
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.
        material: name of the material in `materials.py`.
        uv: (V, 2) texture coordinates, u to the right and v up, or None.
        normals: (V, 3) shading normals, or None for flat faces.
        colors: (V, 3) linear RGB in [0, 1], or None.
    """

    vertices: np.ndarray
    faces: np.ndarray
    material: str
    uv: np.ndarray | None = field(default=None, repr=False)
    normals: np.ndarray | None = field(default=None, repr=False)
    colors: np.ndarray | None = field(default=None, repr=False)

    def moved(self, rotation: np.ndarray, translation: np.ndarray) -> Part:
        """The part after x -> rotation @ x + translation."""
        normals = None if self.normals is None else self.normals @ rotation.T
        return replace(self, vertices=self.vertices @ rotation.T + translation, normals=normals)


def rounded(vertices: np.ndarray) -> np.ndarray:
    """Vertices (V, 3) on the 0.01 mm grid."""
    return np.round(vertices / GRID) * GRID


def smooth_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted vertex normals (V, 3), shared by vertices at the same place (so that texture seams do not show)."""
    _, place = np.unique(np.round(vertices / GRID).astype(np.int64), axis=0, return_inverse=True)
    place = place.ravel()
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    face_normals = np.cross(b - a, c - a)
    total = np.zeros((place.max() + 1, 3))
    for i in range(3):
        np.add.at(total, place[faces[:, i]], face_normals)
    normals = total[place]
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)


def grid_faces(rows: int, columns: int) -> np.ndarray:
    """Triangles (2 * (rows - 1) * (columns - 1), 3) of a row-major vertex grid."""
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij")
    a = (i * columns + j).ravel()
    b, c, d = a + 1, a + columns, a + columns + 1
    return np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)])


def without_slivers(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces whose three corners lie at three different places."""
    p = np.round(vertices / GRID).astype(np.int64)[faces]
    same = (p[:, 0] == p[:, 1]).all(1) | (p[:, 1] == p[:, 2]).all(1) | (p[:, 2] == p[:, 0]).all(1)
    return faces[~same]


def fillet(corners: list[tuple[float, float, float]], steps: int = 5) -> np.ndarray:
    """Polyline (N, 2) through corners (x, y, fillet radius), with each corner replaced by an arc."""
    points = np.array([c[:2] for c in corners], float)
    out = [points[0]]
    for k in range(1, len(points) - 1):
        p, radius = points[k], corners[k][2]
        to_a, to_b = points[k - 1] - p, points[k + 1] - p
        ua, ub = to_a / np.linalg.norm(to_a), to_b / np.linalg.norm(to_b)
        half = 0.5 * np.arccos(np.clip(ua @ ub, -1, 1))
        if radius <= 0 or half > 0.49 * np.pi:
            out.append(p)
            continue
        reach = min(radius / np.tan(half), 0.5 * np.linalg.norm(to_a), 0.5 * np.linalg.norm(to_b))
        t = np.linspace(0, 1, steps)[:, None]
        start, end = p + reach * ua, p + reach * ub
        # A quadratic Bezier arc is indistinguishable from the circle at these sizes.
        out.extend((1 - t) ** 2 * start + 2 * t * (1 - t) * p + t**2 * end)
    out.append(points[-1])
    return np.array(out)


def refined(line: np.ndarray, longest: float) -> np.ndarray:
    """Polyline (N, 2) with segments cut so that none is longer than `longest` metres."""
    out = [line[0]]
    for a, b in pairwise(line):
        n = max(1, int(np.ceil(np.linalg.norm(b - a) / longest)))
        out.extend(a + (b - a) * (k / n) for k in range(1, n + 1))
    return np.array(out)


def revolve(profile: np.ndarray, material: str, segments: int = 96) -> Part:
    """Surface of revolution about Z of a profile (N, 2) of (radius, z) that runs up the outside of the body.

    u goes once round (one is a full turn), v is the share of the profile's arc length.
    """
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    arc = np.r_[0, np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))]
    r, z = profile[:, 0:1], profile[:, 1:2]
    x, y = r * np.cos(angle), r * np.sin(angle)
    x[:, -1], y[:, -1] = x[:, 0], y[:, 0]
    vertices = rounded(np.stack([x, y, np.broadcast_to(z, x.shape)], -1).reshape(-1, 3))
    u, v = np.meshgrid(angle / (2 * np.pi), arc / arc[-1])
    faces = without_slivers(vertices, grid_faces(len(profile), segments + 1))
    return Part(vertices, faces, material, np.stack([u, v], -1).reshape(-1, 2), smooth_normals(vertices, faces))


def tube(path: np.ndarray, rings: np.ndarray, material: str) -> Part:
    """Closed tube: `rings` (N, M, 3) are offsets from `path` (N, 3), each ring counter-clockwise along the path.

    u goes round, v is metres along the path. The ends are flat fans.
    """
    n, m = rings.shape[:2]
    loops = path[:, None] + np.concatenate([rings, rings[:, :1]], 1)
    arc = np.r_[0, np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))]
    u, v = np.meshgrid(np.linspace(0, 1, m + 1), arc)
    vertices = [loops.reshape(-1, 3)]
    uv = [np.stack([u, v], -1).reshape(-1, 2)]
    faces = [grid_faces(n, m + 1)]
    for end, first in ((0, n * (m + 1)), (n - 1, n * (m + 1) + m + 2)):
        vertices.append(np.concatenate([loops[end], path[end : end + 1]]))
        uv.append(np.full((m + 2, 2), [0.5, arc[end]]))
        k = first + np.arange(m)
        fan = np.stack([k, np.full(m, first + m + 1), k + 1], 1)
        faces.append(fan if end == 0 else fan[:, ::-1])
    vertices, faces = rounded(np.concatenate(vertices)), np.concatenate(faces)
    faces = without_slivers(vertices, faces)
    return Part(vertices, faces, material, np.concatenate(uv), smooth_normals(vertices, faces))


def handle(centre: tuple[float, float], reach: float, half_height: float, half: tuple[float, float]) -> Part:
    """A mug's C-shaped handle in the XZ plane: a half superellipse about `centre` (x, z), swept by an ellipse.

    Args:
        centre: x and z of the two roots' midpoint, metres.
        reach: how far the handle stands out in x, metres.
        half_height: half the distance between the roots, metres.
        half: half thickness and half width of the strap, metres.
    """
    t = np.linspace(np.pi / 2, -np.pi / 2, 41)
    x = centre[0] + reach * np.abs(np.cos(t)) ** 0.75
    z = centre[1] + half_height * np.sign(np.sin(t)) * np.abs(np.sin(t)) ** 0.8
    path = np.stack([x, 0 * x, z], 1)
    forward = np.gradient(path, axis=0)
    forward[0], forward[-1] = (1, 0, 0), (-1, 0, 0)
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    across = np.array([0.0, 1.0, 0.0])
    normal = np.cross(across, forward)
    a = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    flare = 1 + 0.25 * (np.abs(t) / (np.pi / 2)) ** 6
    rings = half[0] * np.cos(a)[:, None] * normal[:, None] + half[1] * np.sin(a)[:, None] * across
    return tube(path, flare[:, None, None] * rings, "glaze_handle")


def ring_tab(centre: tuple[float, float, float], length: float, width: float, thick: float) -> Part:
    """A can's flat pull tab: a closed rounded plate lying on the lid (metres)."""
    a = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x = length / 2 * np.sign(np.cos(a)) * np.abs(np.cos(a)) ** 0.7
    y = width / 2 * np.sign(np.sin(a)) * np.abs(np.sin(a)) ** 0.7
    outline = np.stack([x, y, 0 * x], 1)
    path = np.array([[0, 0, -thick], [0, 0, 0.7 * thick], [0, 0, thick]]) + np.array(centre)
    rings = np.stack([outline, outline, 0.94 * outline])
    part = tube(path, rings, "aluminium")
    return replace(part, normals=None)


def rounded_box(size: tuple[float, float, float], radius: float, material: str) -> Part:
    """Box standing on z = 0, centred in x and y, with rounded edges.

    The texture is an atlas of 3 x 2 cells: +x, -x, +y in the upper row, -y, +z, -z in the lower.
    """
    half = np.array(size) / 2
    inner = half - radius
    bend = radius * np.tan(np.linspace(0, np.pi / 4, 4))
    vertices, faces, uv, count = [], [], [], 0
    for cell, (axis, sign) in enumerate([(0, 1), (0, -1), (1, 1), (1, -1), (2, 1), (2, -1)]):
        # Right and up as seen from outside: side faces keep Z up; top and bottom keep Y (and -Y) up.
        right = np.zeros(3)
        up = np.zeros(3)
        if axis == 2:
            right[0], up[1] = 1, sign
        else:
            up[2] = 1
            right = np.cross(up, sign * np.eye(3)[axis])
        lines = []
        for d in (right, up):
            h = abs(d) @ inner
            lines.append(np.r_[-h - bend[::-1], np.linspace(-h, h, 9)[1:-1], h + bend])
        s, t = np.meshgrid(lines[0], lines[1])
        p = s[..., None] * right + t[..., None] * up + sign * half[axis] * np.eye(3)[axis]
        q = np.clip(p, -inner, inner)
        d = p - q
        p = q + radius * d / np.linalg.norm(d, axis=-1, keepdims=True)
        row, column = 1 - cell // 3, cell % 3
        su = (s - s.min()) / np.ptp(s)
        tv = (t - t.min()) / np.ptp(t)
        vertices.append(p.reshape(-1, 3))
        uv.append(np.stack([(column + su) / 3, (row + tv) / 2], -1).reshape(-1, 2))
        faces.append(grid_faces(*s.shape) + count)
        count += s.size
    vertices = rounded(np.concatenate(vertices) + np.array([0, 0, half[2]]))
    faces = without_slivers(vertices, np.concatenate(faces))
    return Part(vertices, faces, material, np.concatenate(uv), smooth_normals(vertices, faces))


def rope_section(angle: np.ndarray, radius: float, strands: int = 3) -> np.ndarray:
    """Polar radius of a laid rope's outline: `strands` round lobes with shallow grooves between (metres)."""
    a = radius / (1 + 1 / np.sin(np.pi / strands))
    d = radius - a
    phi = (angle + np.pi / strands) % (2 * np.pi / strands) - np.pi / strands
    lobe = d * np.cos(phi) + np.sqrt(np.maximum(a**2 - (d * np.sin(phi)) ** 2, 0))
    return np.maximum(lobe, 0.80 * radius)


def rope(line: np.ndarray, radius: float, pitch: float, material: str, around: int = 24) -> Part:
    """Laid rope along a centre line (N, 3) parallel to z = radius; strands turn once every `pitch` metres."""
    forward = np.gradient(line, axis=0)
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    up = np.array([0.0, 0.0, 1.0])
    side = np.cross(up, forward)
    arc = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    # The ring turns with the strands, so that u names the same strand all along.
    phase = 2 * np.pi * arc / pitch
    a = np.linspace(0, 2 * np.pi, around, endpoint=False)
    theta = a[None] + phase[:, None]
    length = arc[-1]
    taper = np.minimum(1, 0.75 + 0.25 * np.sqrt(np.minimum(arc, length - arc) / 0.004))
    r = rope_section(a, radius)[None] * taper[:, None]
    rings = r[..., None] * (np.cos(theta)[..., None] * side[:, None] + np.sin(theta)[..., None] * up)
    return tube(line, rings, material)


def merged(parts: list[Part], material: str) -> Part:
    """Several parts as one, with flat shading unless all carry normals."""
    offsets = np.cumsum([0] + [len(p.vertices) for p in parts[:-1]])

    def stack(name: str) -> np.ndarray | None:
        values = [getattr(p, name) for p in parts]
        return None if any(v is None for v in values) else np.concatenate(values)

    return Part(
        np.concatenate([p.vertices for p in parts]),
        np.concatenate([p.faces + o for p, o in zip(parts, offsets, strict=True)]),
        material,
        stack("uv"),
        stack("normals"),
        stack("colors"),
    )


def block(
    low: tuple[float, float, float], high: tuple[float, float, float], color: tuple | None, material: str
) -> Part:
    """Axis-aligned box between two corners (metres), one quad a side, textured once over each side."""
    low, high = np.array(low, float), np.array(high, float)
    vertices, faces, uv = [], [], []
    for axis in range(3):
        for sign in (0, 1):
            others = [(axis + 1) % 3, (axis + 2) % 3]
            quad = np.empty((4, 3))
            quad[:, axis] = (low, high)[sign][axis]
            quad[:, others[0]] = np.array([low, high, high, low])[:, others[0]]
            quad[:, others[1]] = np.array([low, low, high, high])[:, others[1]]
            n = 4 * len(vertices)
            f = np.array([[n, n + 1, n + 2], [n, n + 2, n + 3]])
            faces.append(f if sign else f[:, ::-1])
            vertices.append(quad)
            uv.append([[0, 0], [1, 0], [1, 1], [0, 1]])
    v = np.concatenate(vertices)
    colors = None if color is None else np.tile(np.array(color, float), (len(v), 1))
    return Part(v, np.concatenate(faces), material, np.concatenate(uv).astype(float), None, colors)


def quad(origin: tuple, right: tuple, up: tuple, material: str) -> Part:
    """Rectangle with corner `origin` and edges `right` and `up` (metres); it faces right x up."""
    o, r, u = (np.array(x, float) for x in (origin, right, up))
    vertices = np.stack([o, o + r, o + r + u, o + u])
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    return Part(vertices, np.array([[0, 1, 2], [0, 2, 3]]), material, uv)
