"""How good `scene3d reconstruct` is after how many seconds: PSNR on held-out photos, time, and peak memory.

    .venv/bin/python tests/benchmarks/reconstruct.py [--only fox-180] [--fresh] [--quick] [--json FILE]

Each run is the command itself in a process of its own, so figures are what users get: fox from transforms.json for 60
and 180 seconds and with the default preset, fox from a COLMAP model (poses by _sfm.py, four minutes) for 180 seconds,
and the shipped tabletop. Scenes go to outputs/numbers/NAME; a run that is finished is not repeated unless --fresh.
This process imports nothing large: a child's peak memory is never reported below its parent's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from _records import ROOT, data_folder, outputs, recorded, say, write_json

QUICK_SECONDS = 5.0
CURVE = ("psnr", "ssim", "psnr_cc", "train_psnr", "seconds", "steps", "splats", "width", "height")
"""What is taken from report/metrics.json."""


@dataclass(frozen=True)
class Run:
    """One call of the command."""

    name: str
    capture: str
    """``fox``, ``fox-colmap`` or ``tabletop``."""
    seconds: float | None = None
    """Time budget; None for the default preset's steps."""


RUNS = (
    Run("fox-60", "fox", 60),
    Run("fox-180", "fox", 180),
    Run("fox-colmap-180", "fox-colmap", 180),
    Run("fox-default", "fox"),
    Run("tabletop-default", "tabletop"),
)


@dataclass(frozen=True)
class Reconstruct:
    """Measure reconstruction."""

    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="RUN")] = ()
    """Runs to make: fox-60, fox-180, fox-colmap-180, fox-default, tabletop-default."""
    fresh: bool = False
    """Run again what is finished."""
    quick: bool = False
    """Fits of 5 seconds, to see that everything works."""
    json: Path | None = None
    """Where to write all figures."""


def main() -> None:
    """Make the runs that were asked for and print them."""
    arguments = tyro.cli(Reconstruct)
    unknown = set(arguments.only) - {run.name for run in RUNS}
    if unknown:
        sys.exit(f"There is no run {min(unknown)}; runs are {', '.join(run.name for run in RUNS)}.")
    folder, results = outputs(arguments.quick), {}
    for run in RUNS:
        if arguments.only and run.name not in arguments.only:
            continue
        run = replace(run, seconds=QUICK_SECONDS) if arguments.quick else run
        capture = _capture(run.capture, arguments.quick, arguments.fresh)
        results[run.name] = recorded(
            folder / f"{run.name}.json",
            arguments.fresh,
            lambda run=run, capture=capture: reconstruct(run, capture, folder),
        )
    show(results)
    if arguments.json:
        write_json(arguments.json, {"runs": results})


def _capture(name: str, quick: bool, fresh: bool) -> Path:
    """Path of a capture; poses are solved when it is the one from COLMAP."""
    if name == "tabletop":
        return ROOT / "assets" / "tabletop"
    fox = data_folder() / "fox"
    if not fox.is_dir():
        sys.exit(f"{fox} is not there; SCENE3D_DATA names the folder of recordings.")
    if name == "fox":
        return fox
    folder = outputs(quick) / name
    recorded(folder / "sfm.json", fresh, lambda: _solve_poses(fox / "images", folder, quick))
    return folder


def _solve_poses(photos: Path, folder: Path, quick: bool) -> dict[str, Any]:
    small = ("--longest-side", "480", "--first", "16") if quick else ()
    output, _, peak = run_command([sys.executable, Path(__file__).with_name("_sfm.py"), photos, folder, *small])
    return {**json.loads(output.splitlines()[-1]), "peak_mib": peak}


def reconstruct(run: Run, capture: Path, folder: Path) -> dict[str, Any]:
    """Call the command and read its report."""
    out = folder / run.name
    budget = () if run.seconds is None else ("--seconds", f"{run.seconds:g}")
    command = [Path(sys.executable).with_name("scene3d"), "reconstruct", capture, "--out", out, *budget]
    output, wall, peak = run_command([*command, "--overwrite", "--json"])
    document = json.loads(output)
    if document["interrupted"]:
        sys.exit(f"{run.name} was interrupted.")
    metrics = json.loads((out / "report" / "metrics.json").read_text(encoding="utf-8"))
    figures = {name: metrics[name] for name in CURVE}
    shown = Path(os.path.relpath(capture, ROOT)).as_posix()
    return {
        "capture": shown,
        "command": " ".join(("scene3d reconstruct", shown, *budget)),
        "held_out": sum(image["held_out"] for image in metrics["images"]),
        **figures,
        "wall_seconds": round(wall, 1),
        "peak_mib": peak,
        "notes": document["notes"],
    }


def run_command(command: list[str | Path]) -> tuple[str, float, int]:
    """Standard output, wall seconds and peak resident memory [MiB] of a process that must succeed."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}.")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return output, time.perf_counter() - start, round(usage.ru_maxrss / unit)


def show(results: dict[str, Any]) -> None:
    """Print a table for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "run", "seconds", "PSNR dB", "SSIM", "PSNR dB\nfitted", "steps", "splats", "size", "wall s", "peak MiB"
    )
    for name, r in results.items():
        quality = [f"{r[key]:.{digits}f}" for key, digits in (("psnr", 2), ("ssim", 3), ("train_psnr", 2))]
        size = f"{r['width']}x{r['height']}"
        counts = (f"{r['steps']:,}", f"{r['splats']:,}", size, f"{r['wall_seconds']:.0f}", f"{r['peak_mib']:,}")
        table.add_row(name, f"{r['seconds']:.0f}", *quality, *counts)
    Console(width=120).print(table)
    if "fox-180" in results and "fox-colmap-180" in results:
        less = results["fox-colmap-180"]["psnr"] - results["fox-180"]["psnr"]
        say(f"from transforms.json alone: {less:+.2f} dB less than from a COLMAP model")


if __name__ == "__main__":
    main()
