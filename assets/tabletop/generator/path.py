"""The hand-held walk round the table: 60 camera poses, seeded."""

from __future__ import annotations

import numpy as np

WIDTH, HEIGHT, FOCAL = 640, 480, 520.0


def look_at(eye: np.ndarray, target: np.ndarray, roll: float) -> np.ndarray:
    """Camera-to-world (4, 4), OpenGL axes (x right, y up, z backward), turned by `roll` radians about its axis."""
    back = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross((0, 0, 1), back)
    right /= np.linalg.norm(right)
    up = np.cross(back, right)
    c, s = np.cos(roll), np.sin(roll)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([c * right + s * up, -s * right + c * up, back], 1)
    pose[:3, 3] = eye
    return pose


def orbit(
    count: int, start: float, turn: float, radius: float, height: float, target: tuple, rng: np.random.Generator
) -> list:
    """Poses on a wobbly arc: `turn` radians from `start` at about `radius` and `height` metres, aimed near `target`."""
    t = np.linspace(0, 1, count, endpoint=False)

    def wave(a: float, f: float) -> np.ndarray:
        """Sway (count,) of amplitude `a` and `f` periods, at a random phase."""
        return a * np.sin(2 * np.pi * (f * t + rng.uniform()))

    angle = start + turn * t + wave(0.05, 3) + rng.normal(0, 0.015, count)
    r = radius + wave(0.045, 2) + wave(0.025, 5) + rng.normal(0, 0.008, count)
    h = height + wave(0.055, 1.6) + wave(0.02, 4) + rng.normal(0, 0.008, count)
    aim = (
        np.array(target)
        + np.stack([wave(0.035, 2.3), wave(0.035, 1.7), wave(0.015, 2)], 1)
        + rng.normal(0, 0.010, (count, 3))
    )
    roll = wave(0.05, 2.6) + rng.normal(0, 0.018, count)
    eye = np.stack([r * np.cos(angle), 0.92 * r * np.sin(angle), h], 1) + np.array([target[0], target[1], 0])
    return [look_at(e, a, x) for e, a, x in zip(eye, aim, roll, strict=True)]


def close_views(rng: np.random.Generator) -> list[np.ndarray]:
    """Nearer looks at single things; the first five look into the mug from above."""
    mug, can, box = (0.075, -0.045, 0.06), (0.015, 0.15, 0.06), (-0.19, 0.095, 0.08)
    toy, rope, tag = (0.245, 0.105, 0.07), (-0.12, -0.13, 0.01), (0.25, -0.16, 0.01)
    # Target, direction seen from (radians), horizontal distance, height of the eye above the table (metres).
    looks = [
        (mug, -1.2, 0.12, 0.40),
        (mug, 0.3, 0.17, 0.44),
        (mug, 1.9, 0.15, 0.42),
        (mug, 3.4, 0.20, 0.46),
        (mug, -2.3, 0.10, 0.47),
        (toy, -1.9, 0.36, 0.24),
        (toy, 0.2, 0.38, 0.30),
        (can, 1.9, 0.40, 0.26),
        (box, 2.4, 0.42, 0.30),
        (box, -2.6, 0.44, 0.28),
        (rope, -1.8, 0.34, 0.30),
        (rope, -2.9, 0.38, 0.34),
        (tag, -0.7, 0.36, 0.36),
        (mug, -0.6, 0.42, 0.22),
    ]
    out = []
    for target, angle, r, h in looks:
        eye = np.array([target[0] + r * np.cos(angle), target[1] + r * np.sin(angle), h])
        out.append(
            look_at(eye + rng.normal(0, 0.012, 3), np.array(target) + rng.normal(0, 0.012, 3), rng.normal(0, 0.05))
        )
    return out


def poses(count: int = 60, seed: int = 21) -> list[np.ndarray]:
    """Camera-to-world poses (4, 4), OpenGL axes, in order of capture; fewer than 60 are taken evenly from the 60."""
    rng = np.random.default_rng(seed)
    walk = orbit(24, -1.9, 2 * np.pi, 0.60, 0.50, (0.01, 0.01, 0.02), rng)
    walk += orbit(22, -1.75, 2 * np.pi, 0.40, 0.64, (0.01, 0.0, 0.0), rng)
    walk += close_views(rng)
    return [walk[i] for i in np.unique(np.linspace(0, len(walk) - 1, min(count, len(walk))).round().astype(int))]
