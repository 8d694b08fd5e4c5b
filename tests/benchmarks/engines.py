"""What physics engines make of exported scenes: the proof of `scene3d verify`, and cans dropped into mugs in PhysX.

    .venv/bin/python tests/benchmarks/engines.py [--only tabletop] [--fresh] [--json FILE]

tabletop: the demo scene that is committed. redkitchen: the objects that segmentation finds on a real table, from
objects.py. Each is exported and proven in every engine installed, with the command in a process of its own; the
figures are the worst of all bodies. can-in-mug, can-in-mug-masks: the reconstructed can dropped 20 mm over the
reconstructed mug, 20 times, off its axis by up to 2 mm each way, with the materials of the demo scene and with unknown
ones. Finished runs are kept.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from _mug_drops import drop_cans
from _records import ROOT, outputs, recorded, write_json

from scene3d.files import load_scene

DEMO = ROOT / "assets" / "scenes" / "tabletop"
FIGURES = ("mass", "inertia", "com_mm", "friction", "restitution", "fall_mm", "rest_mm", "depth_mm", "speed_mm_s")
AGAINST_OURS = "height_mm"
"""Height of the centre of mass at rest, less that in our own dynamics."""
ENOUGH = 18
"""So many of 20 cans must land in their mugs."""


@dataclass(frozen=True)
class Engines:
    """Prove exported scenes in physics engines."""

    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="RUN")] = ()
    """Runs to make, all by default."""
    fresh: bool = False
    """Run again what is finished."""
    quick: bool = False
    """The demo scene alone, to see that everything works."""
    json: Path | None = None
    """Where to write all figures."""


def main() -> None:
    """Make the runs that were asked for and print them."""
    arguments = tyro.cli(Engines)
    folder = outputs(arguments.quick)
    runs = runs_by_name(folder)
    if arguments.quick:
        runs = {name: runs[name] for name in ("tabletop", "can-in-mug")}
    unknown = set(arguments.only) - set(runs)
    if unknown:
        sys.exit(f"There is no run {min(unknown)}; runs are {', '.join(runs)}.")
    results = {
        name: recorded(folder / f"engines-{name}.json", arguments.fresh, measure)
        for name, measure in runs.items()
        if not arguments.only or name in arguments.only
    }
    show(results)
    if arguments.json:
        write_json(arguments.json, {"runs": results})


def runs_by_name(folder: Path) -> dict[str, Callable[[], dict[str, Any]]]:
    """Name of each run and the function that measures it."""
    return {
        "tabletop": lambda: prove(DEMO),
        "redkitchen": lambda: prove(folder / "objects-redkitchen-shape"),
        "can-in-mug": lambda: land(DEMO),
        "can-in-mug-masks": lambda: land(folder / "objects-tabletop-masks"),
    }


def prove(scene: Path) -> dict[str, Any]:
    """Call the command; for each engine whether it proves the scene, and the worst of each figure."""
    _require(scene)
    command = [str(Path(sys.executable).with_name("scene3d")), "verify", str(scene), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1) or not done.stdout:
        sys.exit(f"{' '.join(command)} failed with exit status {done.returncode}.")
    document = json.loads(done.stdout)
    return {
        "command": f"scene3d verify {scene.relative_to(ROOT).as_posix()}",
        "ok": document["ok"],
        "bodies": max(len(each["bodies"]) for each in document["engines"]),
        "engines": {each["name"]: _worst(each, document["engines"]) for each in document["engines"]},
        "notes": document["notes"],
    }


def _worst(engine: dict[str, Any], engines: list[dict[str, Any]]) -> dict[str, Any]:
    """The worst of each figure, and how far heights at rest are from those in our own dynamics."""
    rows, worst = engine["bodies"], {}
    ours = {row["body"]: row["height_mm"] for each in engines if each["name"] == "own" for row in each["bodies"]}
    apart = [abs(row["height_mm"] - ours[row["body"]]) for row in rows if ours.get(row["body"]) is not None]
    for name in FIGURES:
        values = [abs(row[name]["value"]) for row in rows if row[name]["value"] is not None]
        worst[name] = float(f"{max(values):.3g}") if values else None
    asleep = [row["asleep"] for row in rows if row["asleep"] is not None]
    plain = {key: engine[key] for key in ("title", "status", "version", "seconds", "said")}
    worst[AGAINST_OURS] = float(f"{max(apart):.3g}") if apart else None
    return {**plain, **worst, "asleep": f"{sum(asleep)} of {len(asleep)}" if asleep else None}


def land(scene: Path) -> dict[str, Any]:
    """Drop the can over the mug."""
    _require(scene)
    drops = drop_cans(load_scene(scene))
    return {**asdict(drops), "met": drops.landed >= ENOUGH}


def _require(scene: Path) -> None:
    if not (scene / "scene.yaml").is_file():
        sys.exit(f"{scene} is not there; run tests/benchmarks/objects.py before.")


def show(results: dict[str, Any]) -> None:
    """Print tables for people."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=150)
    for name, r in results.items():
        if "landed" in r:
            console.print(f"{name}: {r['landed']} of {r['count']} cans land in their mugs in {r['version']}")
            continue
        table = Table(
            "engine",
            "",
            *FIGURES,
            AGAINST_OURS,
            "asleep",
            title=f"{name}, {r['bodies']} bodies, the worst of each figure",
        )
        for row in r["engines"].values():
            figures = ["-" if row[key] is None else f"{row[key]:g}" for key in (*FIGURES, AGAINST_OURS)]
            table.add_row(row["title"], row["status"], *figures, row["asleep"] or "-")
        console.print(table)


if __name__ == "__main__":
    main()
