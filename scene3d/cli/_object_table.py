"""Objects of a scene as a table: one row each of name, kind, size, mass and splats.

The same rows go into the document that ``--json`` prints. Masses come with the range that holds nine tenths of what the
mass may be, since a photo does not show it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scene3d import Scene

__all__ = ["describe_objects", "object_lines"]

TAIL = 1.645
"""Standard deviations that leave out a twentieth at each end."""


def describe_objects(scene: Scene) -> list[dict[str, Any]]:
    """What ``--json`` says about each object; sizes are in scene units: lying longer, lying shorter, upright."""
    import torch

    from scene3d._object_box import upright_sides

    counts = torch.bincount(scene.splats.component_index.long(), minlength=1 + len(scene.objects)).tolist()
    return [
        {
            "name": thing.name,
            "kind": thing.kind,
            "motion": thing.body.motion,
            "size": [round(side, 6) for side in upright_sides(thing, scene.up)],
            "mass": float(thing.body.mass),
            "mass_log_std": float(thing.body.mass_log_std),
            "material": thing.body.material.name,
            "splats": counts[i + 1],
            "parts": len(thing.body.parts),
            "particles": 0 if thing.body.particles is None else len(thing.body.particles.points),
            "confidence": round(float(thing.confidence), 4),
            "guessed": list(thing.guessed),
            "T_world_body": [float(value) for value in thing.T_world_body],
        }
        for i, thing in enumerate(scene.objects)
    ]


def object_lines(objects: list[dict[str, Any]], *, metric: bool) -> list[tuple[str, str]]:
    """The table, as lines of a name and a value; only the first has a name."""
    size = "size (cm)" if metric else "size"
    mass = "mass (9 of 10)" if metric else ""
    rows = [("name", "kind", size, mass, "splats", "guessed")]
    for d in objects:
        factor = 100 if metric else 1
        sides = " x ".join(f"{factor * side:.1f}" if metric else f"{side:.3g}" for side in d["size"])
        weight = _mass(d["mass"], d["mass_log_std"]) if metric else ""
        rows.append((d["name"], d["kind"], sides, weight, f"{d['splats']:,}", ", ".join(d["guessed"]) or "-"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    shown = [
        "  ".join(cell.rjust(width) if i == 4 else cell.ljust(width) for i, (cell, width) in enumerate(cells) if width)
        for cells in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    return [(name, line.rstrip()) for name, line in zip(["objects"] + [""] * len(objects), shown, strict=True)]


def _mass(mass: float, log_std: float) -> str:
    if mass <= 0 or not log_std:
        return _weight(mass)
    spread = math.exp(TAIL * log_std)
    return f"{_weight(mass)} ({_weight(mass / spread)} to {_weight(mass * spread)})"


def _weight(mass: float) -> str:
    return f"{1000 * mass:.3g} g" if mass < 1 else f"{mass:.3g} kg"
