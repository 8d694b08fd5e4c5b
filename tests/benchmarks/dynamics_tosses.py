"""How well `scene3d evaluate-dynamics` says motion is predicted: the real cube's tosses, every model.

    .venv/bin/python tests/benchmarks/dynamics_tosses.py [--fresh] [--quick] [--json FILE]

Calls the command in a process of its own; its report with the drawn tosses is left in outputs/numbers/dynamics-cube.
Weights and records of what was fitted come from assets/contact (see dynamics_fitted.py).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from _records import ROOT, data_folder, outputs, recorded, say, write_json
from reconstruct import run_command

QUICK_TOSSES = 20
KEPT = ("tosses", "samples", "models", "gains", "uncertainty", "support", "recorded_penetration_percent", "notes")


@dataclass(frozen=True)
class DynamicsTosses:
    """Measure predicted motion."""

    fresh: bool = False
    """Run again what is finished."""
    quick: bool = False
    """The first tosses only, to see that everything works."""
    json: Path | None = None
    """Where to write all figures."""


def main() -> None:
    """Make the run and print its table."""
    arguments = tyro.cli(DynamicsTosses)
    folder = outputs(arguments.quick)
    record = recorded(folder / "dynamics-cube.json", arguments.fresh, lambda: _cube(folder, arguments.quick))
    for row in record["models"]:
        say(f"{row['model']:24} {_cell(row, 'position_percent')} % {_cell(row, 'rotation_deg')} deg")
    if arguments.json:
        write_json(arguments.json, {"runs": {"cube": record}})


def _cube(folder: Path, quick: bool) -> dict[str, Any]:
    """The command on all tosses."""
    data, out = data_folder() / "cube_toss" / "tosses.npz", folder / "dynamics-cube"
    folder.mkdir(parents=True, exist_ok=True)
    if quick:
        data = _first_tosses(data, folder / "cube-tosses.npz")
    command = [Path(sys.executable).with_name("scene3d"), "evaluate-dynamics", data, "--out", out, "--overwrite"]
    output, wall, peak = run_command([*command, "--json"])
    document = json.loads(output)
    return {
        "command": "scene3d evaluate-dynamics ../shared/data/cube_toss/tosses.npz",
        "report": out.relative_to(ROOT).as_posix(),
        "wall_seconds": round(wall, 1),
        "peak_mib": peak,
        **{name: document[name] for name in KEPT},
    }


def _first_tosses(data: Path, target: Path) -> Path:
    with np.load(data) as file:
        offsets = file["offsets"][: QUICK_TOSSES + 1]
        np.savez(target, x=file["x"][: offsets[-1]], offsets=offsets, columns=file["columns"], dt=file["dt"])
    return target


def _cell(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    return f"{value['mean']:6.1f} ({value['low']:.1f} to {value['high']:.1f})"


if __name__ == "__main__":
    main()
