"""The table and the room round it: what stands still. World frame: table top at z = 0, its middle at the origin."""

from __future__ import annotations

import numpy as np

from .shapes import Part, block, merged, quad

TABLE = (1.16, 0.80)  # metres along x and y
TABLE_PIXELS_PER_METRE = 4000
FLOOR = -0.74
MARKER = {"dictionary": "DICT_4X4_50", "id": 0, "size": 0.080, "centre": (0.30, -0.21), "quiet_zone": 0.015}
WALL_X, WALL_Y, WALL_TOP = 2.1, 1.9, 1.7
# Emitters: centre, half sizes along the two edges, and the edges' directions; they face right x up.
KEY = {"centre": (-0.55, 0.35, 1.62), "right": (0.75, 0, 0), "up": (0, -0.60, 0)}
WINDOW = {"centre": (0.35, 1.885, 0.62), "right": (0.62, 0, 0), "up": (0, 0, 0.72)}


def table() -> list[Part]:
    """Table top (0.03 m thick) on four legs."""
    w, h = TABLE
    top = quad((-w / 2, -h / 2, 0), (w, 0, 0), (0, h, 0), "table")
    slab = block((-w / 2, -h / 2, -0.03), (w / 2, h / 2, -0.0001), None, "edge_wood")
    legs = [
        block(
            (sx * 0.52 - 0.03, sy * 0.34 - 0.03, FLOOR), (sx * 0.52 + 0.03, sy * 0.34 + 0.03, -0.03), None, "edge_wood"
        )
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    return [top, merged([slab, *legs], "edge_wood")]


def shelf(rng: np.random.Generator) -> list[Part]:
    """A bookcase against the wall x = -WALL_X, with rows of books."""
    wood, parts = (0.30, 0.17, 0.08), []
    x0, x1, y0, y1 = -WALL_X + 0.01, -WALL_X + 0.30, -0.75, 0.75
    levels = [FLOOR, -0.36, 0.0, 0.36, 0.72, 1.08]
    for z in levels:
        parts.append(block((x0, y0, z), (x1, y1, z + 0.025), wood, "painted"))
    for y in (y0, -0.012, y1 - 0.025):
        parts.append(block((x0, y, FLOOR), (x1, y + 0.025, levels[-1] + 0.025), wood, "painted"))
    hues = np.array(
        [
            (0.45, 0.06, 0.05),
            (0.05, 0.13, 0.30),
            (0.06, 0.22, 0.13),
            (0.62, 0.42, 0.10),
            (0.66, 0.60, 0.48),
            (0.10, 0.10, 0.11),
            (0.40, 0.15, 0.25),
            (0.08, 0.33, 0.38),
        ]
    )
    for z in levels[:-1]:
        y = y0 + 0.03
        while y < y1 - 0.09:
            thick, tall, deep = rng.uniform(0.018, 0.05), rng.uniform(0.19, 0.30), rng.uniform(0.15, 0.22)
            if abs(y + thick / 2) > 0.05 and rng.uniform() < 0.88:
                color = hues[rng.integers(len(hues))] * rng.uniform(0.7, 1.3)
                low, high = (x0 + 0.02, y, z + 0.025), (x0 + 0.02 + deep, y + thick - 0.002, z + 0.025 + tall)
                parts.append(block(low, high, tuple(np.clip(color, 0, 0.9)), "painted"))
                band = 0.2 * tall
                parts.append(
                    block(
                        (low[0] + 0.1, low[1] - 0.0004, low[2] + 0.6 * tall),
                        (high[0] + 0.0006, high[1] + 0.0004, low[2] + 0.6 * tall + band),
                        tuple(np.clip(1 - 0.8 * color, 0.05, 0.8)),
                        "painted",
                    )
                )
            y += thick
    return parts


def furniture() -> list[Part]:
    """A sofa along the wall y = -WALL_Y, two chairs, skirting boards, window frame."""
    cloth, cushion, oak, white = (0.10, 0.20, 0.26), (0.60, 0.33, 0.10), (0.34, 0.20, 0.09), (0.78, 0.77, 0.73)
    y = -WALL_Y
    parts = [
        block((-0.95, y + 0.02, FLOOR + 0.08), (0.95, y + 0.80, FLOOR + 0.40), cloth, "painted"),
        block((-0.95, y + 0.02, FLOOR + 0.40), (0.95, y + 0.24, FLOOR + 0.82), cloth, "painted"),
        block((-1.12, y + 0.02, FLOOR + 0.08), (-0.95, y + 0.80, FLOOR + 0.60), cloth, "painted"),
        block((0.95, y + 0.02, FLOOR + 0.08), (1.12, y + 0.80, FLOOR + 0.60), cloth, "painted"),
        block((-0.94, y + 0.22, FLOOR + 0.40), (-0.01, y + 0.78, FLOOR + 0.50), (0.13, 0.25, 0.32), "painted"),
        block((0.01, y + 0.22, FLOOR + 0.40), (0.94, y + 0.78, FLOOR + 0.50), (0.13, 0.25, 0.32), "painted"),
        block((-0.88, y + 0.25, FLOOR + 0.50), (-0.50, y + 0.38, FLOOR + 0.86), cushion, "painted"),
        block((0.46, y + 0.25, FLOOR + 0.50), (0.82, y + 0.38, FLOOR + 0.84), (0.62, 0.58, 0.50), "painted"),
    ]
    for x, sign in ((1.15, 1), (-1.10, -1)):
        seat = -0.29
        parts.append(block((x - 0.21, -0.22, seat), (x + 0.21, 0.22, seat + 0.035), oak, "painted"))
        for dx in (-0.2, 0.16):
            for dy in (-0.21, 0.17):
                parts.append(block((x + dx, dy, FLOOR), (x + dx + 0.04, dy + 0.04, seat), oak, "painted"))
        for dy in (-0.21, -0.09, 0.05, 0.17):
            back = x + sign * 0.19
            parts.append(block((back - 0.015, dy, seat), (back + 0.015, dy + 0.04, seat + 0.48), oak, "painted"))
        parts.append(block((back - 0.018, -0.22, seat + 0.42), (back + 0.018, 0.22, seat + 0.50), oak, "painted"))
    parts.append(block((-WALL_X, WALL_Y - 0.02, FLOOR), (WALL_X, WALL_Y, FLOOR + 0.1), white, "painted"))
    parts.append(block((-WALL_X, -WALL_Y, FLOOR), (WALL_X, -WALL_Y + 0.015, FLOOR + 0.1), white, "painted"))
    parts.append(block((WALL_X - 0.02, -WALL_Y, FLOOR), (WALL_X, WALL_Y, FLOOR + 0.1), white, "painted"))
    cx, cy, cz = WINDOW["centre"]
    wx, wz = WINDOW["right"][0], WINDOW["up"][2]
    for x in (-wx, -wx / 3, wx / 3, wx):
        parts.append(
            block((cx + x - 0.025, cy - 0.04, cz - wz), (cx + x + 0.025, cy + 0.01, cz + wz), white, "painted")
        )
    for z in (-wz, 0, wz):
        parts.append(
            block(
                (cx - wx - 0.03, cy - 0.04, cz + z - 0.025),
                (cx + wx + 0.03, cy + 0.01, cz + z + 0.025),
                white,
                "painted",
            )
        )
    parts.append(
        block((cx - wx - 0.1, cy - 0.14, cz - wz - 0.06), (cx + wx + 0.1, cy + 0.01, cz - wz - 0.025), white, "painted")
    )
    return parts


def shell() -> list[Part]:
    """Floor, rug, four walls, pictures."""
    x, y, z0, z1 = WALL_X, WALL_Y, FLOOR, WALL_TOP
    high = z1 - z0
    parts = [
        quad((-x, -y, z0), (2 * x, 0, 0), (0, 2 * y, 0), "floor"),
        quad((-1.35, -0.95, z0 + 0.006), (2.7, 0, 0), (0, 1.9, 0), "rug"),
        quad((-x, -y, z0), (0, 2 * y, 0), (0, 0, high), "wallpaper"),
        quad((x, y, z0), (0, -2 * y, 0), (0, 0, high), "bricks"),
        quad((x, -y, z0), (-2 * x, 0, 0), (0, 0, high), "wallpaper"),
        quad((-x, y, z0), (2 * x, 0, 0), (0, 0, high), "wallpaper"),
    ]
    frames = []
    hung = [
        ((x - 0.03, 1.0, 0.1), (0, -0.62, 0), "painting_a"),
        ((x - 0.03, -0.25, 0.25), (0, -0.62, 0), "painting_b"),
        ((0.9, -y + 0.03, 0.35), (-0.62, 0, 0), "painting_c"),
        ((-0.15, -y + 0.03, 0.3), (-0.62, 0, 0), "painting_a"),
        ((-1.5, y - 0.03, 0.05), (0.62, 0, 0), "painting_b"),
        ((1.2, y - 0.03, 0.1), (0.62, 0, 0), "painting_c"),
    ]
    for origin, right, material in hung:
        o, r = np.array(origin), np.array(right)
        parts.append(quad(origin, right, (0, 0, 0.48), material))
        n = np.cross(r, (0, 0, 1)) / 0.62
        corners = np.stack([o - 0.07 * r - n * 0.002, o + 1.07 * r - n * 0.028])
        corners[:, 2] = o[2] - 0.04, o[2] + 0.52
        frames.append(block(corners.min(0), corners.max(0), (0.05, 0.04, 0.035), "painted"))
    return [*parts, merged(frames, "painted")]


def emitter_quad(light: dict, material: str) -> Part:
    """An emitter's rectangle as a part, for depth."""
    c, r, u = (np.array(light[k], float) for k in ("centre", "right", "up"))
    return quad(c - r - u, 2 * r, 2 * u, material)


def static_parts(seed: int = 3) -> list[Part]:
    """Everything but the five objects and the lamps."""
    painted = merged([*shelf(np.random.default_rng(seed)), *furniture()], "painted")
    return [*table(), *shell(), painted]
