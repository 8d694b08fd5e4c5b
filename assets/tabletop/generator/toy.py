"""The soft toy: a seated bear in a striped knitted pullover, as a smooth union of ellipsoids.

The surface is the zero level of an approximate signed distance, cut off by the table so that the toy sits on a flat
patch. Wool and fur are colours and bent shading normals on a finely subdivided copy of the very same triangles.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import trimesh
from skimage import measure

from .shapes import Part, rounded

# Centre and radii (metres), and which coat: 0 fur, 1 pullover, 2 pale fur. The bear looks along +x.
BLOBS = [
    ((0.000, 0.000, 0.042), (0.038, 0.040, 0.045), 1),
    ((0.004, 0.000, 0.108), (0.035, 0.039, 0.033), 0),
    ((-0.004, 0.031, 0.138), (0.009, 0.015, 0.015), 0),
    ((-0.004, -0.031, 0.138), (0.009, 0.015, 0.015), 0),
    ((0.034, 0.000, 0.098), (0.015, 0.018, 0.0135), 2),
    ((0.016, 0.045, 0.056), (0.026, 0.0135, 0.015), 1),
    ((0.016, -0.045, 0.056), (0.026, 0.0135, 0.015), 1),
    ((0.039, 0.043, 0.047), (0.013, 0.013, 0.013), 2),
    ((0.039, -0.043, 0.047), (0.013, 0.013, 0.013), 2),
    ((0.042, 0.029, 0.0145), (0.032, 0.017, 0.0165), 0),
    ((0.042, -0.029, 0.0145), (0.032, 0.017, 0.0165), 0),
    ((0.070, 0.032, 0.021), (0.010, 0.017, 0.021), 2),
    ((0.070, -0.032, 0.021), (0.010, 0.017, 0.021), 2),
]
EYES = [((0.0345, 0.0165, 0.1165), 0.0048), ((0.0345, -0.0165, 0.1165), 0.0048)]
NOSE = ((0.0475, 0.0, 0.1015), (0.0045, 0.0070, 0.0045))
BLEND = 0.007
COLORS = {
    "fur": (0.36, 0.19, 0.085),
    "pale": (0.70, 0.52, 0.34),
    "wool": (0.62, 0.10, 0.07),
    "stripe": (0.80, 0.74, 0.60),
}


def blob_distances(p: np.ndarray) -> np.ndarray:
    """Approximate signed distances (N, number of blobs) in metres of points (N, 3)."""
    out = []
    for centre, radii, _ in BLOBS:
        q = (p - centre) / np.array(radii)
        k0 = np.linalg.norm(q, axis=1)
        k1 = np.linalg.norm(q / np.array(radii), axis=1)
        out.append(k0 * (k0 - 1) / np.maximum(k1, 1e-9))
    return np.stack(out, 1)


def distance(p: np.ndarray) -> np.ndarray:
    """Smooth union of all blobs (N,), metres, above the table plane z = 0."""
    d = blob_distances(p)
    union = -BLEND * np.log(np.exp(-d / BLEND * 2.2).sum(1)) / 2.2
    return np.maximum(union, -p[:, 2])


def gradient(p: np.ndarray) -> np.ndarray:
    """Unit outward normals (N, 3) by central differences."""
    h = 2e-4
    g = np.stack([distance(p + h * e) - distance(p - h * e) for e in np.eye(3)], 1)
    return g / np.maximum(np.linalg.norm(g, axis=1, keepdims=True), 1e-12)


def skin(step: float = 0.0032) -> trimesh.Trimesh:
    """The bear without eyes and nose: a closed mesh whose lowest vertices lie on z = 0."""
    low, high = np.array([-0.06, -0.08, -0.0049]), np.array([0.10, 0.08, 0.165])
    axes = [np.arange(a, b, step) for a, b in zip(low, high, strict=True)]
    p = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    d = distance(p.reshape(-1, 3)).reshape(p.shape[:3])
    v, f, _, _ = measure.marching_cubes(d, 0.0, spacing=(step,) * 3)
    v = v + low
    v[:, 2] = np.where(np.abs(v[:, 2]) < 1e-4, 0.0, v[:, 2])
    mesh = trimesh.Trimesh(rounded(v), f, process=True)
    mesh.update_faces(mesh.nondegenerate_faces())
    mesh.merge_vertices()
    if mesh.volume < 0:
        mesh.invert()
    return mesh


def stitches(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Height (N,) in [0, 1] of stocking stitch: columns of small Vs. u counts stitches round, v counts rows."""
    x = u % 1 - 0.5
    row = v - 1.1 * np.abs(x)
    leg = np.clip(1.25 - 2.6 * np.abs(np.abs(x) - 0.25), 0, 1)
    return leg * (0.35 + 0.65 * np.sin(np.pi * (row % 1)) ** 0.8)


def coat(p: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Linear colours (N, 3) and bump heights (N,) in metres at points (N, 3)."""
    nearest = blob_distances(p).argmin(1)
    kind = np.array([b[2] for b in BLOBS])[nearest]
    # Knitting runs round the body, and round each arm's own axis.
    arm = np.isin(nearest, (5, 6))
    side = np.sign(p[:, 1])
    around = np.where(arm, np.arctan2(p[:, 2] - 0.056, p[:, 1] - side * 0.045), np.arctan2(p[:, 1], p[:, 0]))
    along = np.where(arm, p[:, 0], p[:, 2])
    u = around / (2 * np.pi) * np.where(arm, 20, 52)
    v = along / 0.0042
    knit = stitches(u, v)
    stripe = ((v // 1) % 8 < 3)[:, None]
    wool = np.where(stripe, COLORS["stripe"], COLORS["wool"])
    fuzz = rng.normal(size=len(p))
    fur = np.where((kind == 2)[:, None], COLORS["pale"], COLORS["fur"])
    clumps = 0.5 + 0.5 * np.sin(310 * p[:, 0] + 3 * np.sin(170 * p[:, 2])) * np.sin(290 * p[:, 1] + 260 * p[:, 2])
    knitted = (kind == 1)[:, None]
    shade = np.where(kind == 1, 0.42 + 0.58 * knit, 0.74 + 0.26 * clumps) * (1 + 0.10 * fuzz)
    color = np.clip(np.where(knitted, wool, fur) * shade[:, None], 0.005, 0.95)
    bump = np.where(kind == 1, 0.0011 * knit, 0.00035 * clumps + 0.00022 * fuzz)
    return color, bump


def fluffed(mesh: trimesh.Trimesh, rng: np.random.Generator, times: int = 2) -> Part:
    """The skin cut `times` times finer, with colours and bent normals: what the camera sees."""
    v, f = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    for _ in range(times):
        v, f = trimesh.remesh.subdivide(v, f)
    normals = gradient(v)
    color, height = coat(v, rng)
    bent = np.zeros_like(v)
    a, b, c = (v[f[:, i]] for i in range(3))
    # Gradient of the height over each triangle, gathered at its corners.
    n = np.cross(b - a, c - a)
    area2 = np.maximum((n**2).sum(1, keepdims=True), 1e-20)
    ha, hb, hc = (height[f[:, i], None] for i in range(3))
    slope = np.cross(n, ha * (c - b) + hb * (a - c) + hc * (b - a)) / area2
    weight = np.zeros(len(v))
    for i in range(3):
        np.add.at(bent, f[:, i], slope)
        np.add.at(weight, f[:, i], 1)
    bent /= np.maximum(weight, 1)[:, None]
    normals = normals - np.clip(bent, -0.8, 0.8)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Part(v, f, "wool", None, normals, color)


def ball(centre: tuple, radii: tuple, material: str) -> Part:
    """Ellipsoid."""
    s = trimesh.creation.icosphere(subdivisions=3)
    n = s.vertices / np.array(radii)
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    return Part(rounded(s.vertices * np.array(radii) + centre), s.faces.copy(), material, None, n)


def bear(seed: int = 5) -> tuple[list[Part], list[Part]]:
    """The parts to render and the closed parts whose union is the solid."""
    mesh = skin()
    features = [ball(c, (r, r, r), "button") for c, r in EYES] + [ball(*NOSE, "button")]
    plain = Part(np.asarray(mesh.vertices), np.asarray(mesh.faces), "wool")
    fine = fluffed(mesh, np.random.default_rng(seed))
    return [fine, *features], [plain, *[replace(f, normals=None) for f in features]]
