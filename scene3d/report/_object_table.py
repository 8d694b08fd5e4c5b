"""The objects of a scene in rows: how large, how heavy, of how many splats, how sure, and what was guessed.

`object_rows` makes plain values for JSON, `print_object_table` prints them as columns without a frame. Sizes are sides
of the tightest upright box around the collider. Photos do not show mass, so its interval is as wide as what is known
of the material; in a scene without metric scale lengths are in its own units and mass is unknown.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._object_box import upright_sides

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from rich.text import Text

    from scene3d._scene import Scene
    from scene3d._scene_object import SceneObject
    from scene3d.cli._terminal import Terminal

__all__ = ["mass_in_words", "object_lines", "object_rows", "print_object_table", "size_in_words"]

WITHIN_90 = 1.6449
"""Standard deviations on either side of the median that hold 90 % of a normal distribution."""
RIGHT_ALIGNED = ("splats", "confidence")


def object_rows(scene: Scene) -> list[dict[str, Any]]:
    """One dictionary for each object, in the scene's order.

    ``name``; ``kind`` (rigid or deformable); ``motion`` (dynamic, kinematic or static); ``T_world_body``: pose, xyz
    [scene units] + wxyz; ``size_cm``: longer and shorter lying side and height of the tightest
    upright box [cm]; ``size``: the same in the scene's units; ``mass`` [kg] with the ends of its 90 % interval
    ``mass_low`` and ``mass_high``; ``mass_log_std``: standard deviation of its logarithm; ``material``; ``splats``,
    ``parts`` and ``particles``: how many; ``confidence``, 0 to 1; ``guessed``: what the
    photos did not tell; ``com``: centre of mass in the body frame [scene units]; ``volume`` [m^3]; ``unseen``: share of
    the collider's surface that no photo saw. Without metric scale ``size_cm``, the masses and ``volume`` are None.
    """
    counts = np.bincount(scene.splats.component_index.cpu().numpy(), minlength=len(scene.objects) + 1)
    return [_row(scene, thing, int(counts[number + 1])) for number, thing in enumerate(scene.objects)]


def print_object_table(terminal: Terminal, scene: Scene) -> None:
    """Print the objects on stdout: as columns, with ``--json`` as one document, with ``--quiet`` not at all.

    Rows have no frame and never wrap, so that they can be copied.
    """
    rows = object_rows(scene)
    if terminal.json:
        print(json.dumps(rows, indent=2, allow_nan=False))
    elif not terminal.quiet:
        _print_columns([_cells(row) for row in rows])
        for note in _notes(scene, rows):
            terminal.note(f"  {note}")


def object_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same columns as lines of plain text, the headings first; rows are those of `object_rows`."""
    cells = [_cells(row) for row in rows]
    return [line.plain[2:].rstrip() for line in _columns(cells)] if cells else []


def size_in_words(row: Mapping[str, Any]) -> str:
    """Sides of an object's box, of a row of `object_rows`."""
    if row["size_cm"] is None:
        return " x ".join(f"{side:.3g}" for side in row["size"]) + " units"
    return " x ".join(f"{side:.1f}" for side in row["size_cm"]) + " cm"


def mass_in_words(row: Mapping[str, Any]) -> str:
    """Mass of an object and its 90 % interval, of a row of `object_rows`."""
    if row["mass"] is None:
        return "unknown"
    if row["mass_high"] == row["mass_low"]:
        kilograms = row["mass"]
        return f"{1000 * kilograms:.3g} g" if kilograms < 0.9995 else f"{kilograms:.3g} kg"
    median = _grams(row["mass"])
    low, high = _grams(row["mass_low"]), _grams(row["mass_high"])
    low = low.removesuffix(" " + high.split()[-1])
    return f"{median} ({low} to {high})"


def _row(scene: Scene, thing: SceneObject, splats: int) -> dict[str, Any]:
    body = thing.body
    size = upright_sides(thing, scene.up)
    spread = math.exp(WITHIN_90 * body.mass_log_std)
    low, high = body.mass / spread, body.mass * spread
    areas = _areas(body.mesh.vertices, body.mesh.faces)
    unseen = float(areas[thing.unseen].sum() / areas.sum()) if len(thing.unseen) == len(areas) else 0.0
    return {
        "name": thing.name,
        "kind": thing.kind,
        "motion": body.motion,
        "T_world_body": [float(value) for value in thing.T_world_body],
        "size_cm": [round(100 * side, 2) for side in size] if scene.metric else None,
        "size": [_rounded(side) for side in size],
        "mass": _rounded(body.mass) if scene.metric else None,
        "mass_low": _rounded(low) if scene.metric else None,
        "mass_high": _rounded(high) if scene.metric else None,
        "mass_log_std": float(body.mass_log_std),
        "material": body.material.name,
        "splats": splats,
        "parts": len(body.parts),
        "particles": 0 if body.particles is None else len(body.particles.points),
        "confidence": round(float(thing.confidence), 4),
        "guessed": list(thing.guessed),
        "com": [_rounded(value) for value in body.com],
        "volume": _rounded(body.volume) if scene.metric else None,
        "unseen": round(unseen, 4),
    }


def _rounded(value: float) -> float:
    """Five significant digits."""
    return float(f"{value:.5g}")


def _areas(vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> NDArray[np.float64]:
    """Area of each triangle, shape (F,)."""
    a, b, c = vertices[faces].transpose(1, 0, 2)
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    """What a row shows, by column."""
    return {
        "name": _printable(row["name"]),
        "kind": row["kind"],
        "size": size_in_words(row),
        "mass (90 %)": mass_in_words(row),
        "material": _printable(row["material"]),
        "splats": f"{row['splats']:,}",
        "confidence": f"{row['confidence']:.2f}",
        "guessed": ", ".join(row["guessed"]) or "nothing",
    }


def _print_columns(rows: Sequence[dict[str, str]]) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    if not rows:
        console.print("\n  no objects\n")
        return
    console.print()
    for line in _columns(rows):
        console.print(line)
    console.print()


def _columns(rows: Sequence[dict[str, str]]) -> list[Text]:
    """Lines of equal columns, the headings first."""
    from rich.cells import cell_len
    from rich.text import Text

    widths = {name: max(cell_len(name), *(cell_len(row[name]) for row in rows)) for name in rows[0]}
    last = list(widths)[-1]
    lines = []
    for row in ({name: name for name in widths}, *rows):
        line = Text("  ")
        for name, width in widths.items():
            gap = " " * (width - cell_len(row[name]))
            style = "dim" if row[name] == name else "bold" if name == "name" else ""
            if name in RIGHT_ALIGNED:
                line.append(gap)
            line.append(row[name], style)
            if name != last:
                line.append("  " if name in RIGHT_ALIGNED else gap + "  ")
        lines.append(line)
    return lines


def _notes(scene: Scene, rows: Sequence[dict[str, Any]]) -> list[str]:
    """What the columns leave unsaid."""
    if not rows:
        return []
    if not scene.metric:
        return ["Lengths are in the scene's own units and masses unknown; `scene3d scale` sets the scale."]
    unnamed = [_printable(row["name"]) for row in rows if row["material"] == "unknown"]
    if unnamed:
        return [f"Photos do not show mass. Name what things are made of: `--material {unnamed[0]}=ceramic`."]
    return []


def _printable(text: str) -> str:
    """Text without control characters, which could rewrite the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _grams(kilograms: float) -> str:
    """Two significant digits, in grams below a kilogram."""
    value, unit = (1000 * kilograms, "g") if kilograms < 0.9995 else (kilograms, "kg")
    if not value > 0:
        return f"0 {unit}"
    place = 1 - math.floor(math.log10(value))
    return f"{round(value, place):.{max(0, place)}f} {unit}"
