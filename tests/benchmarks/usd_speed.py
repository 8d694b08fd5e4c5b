"""How long splats take to become a USD stage: a million of them, and 50,000 beside the tool that NVIDIA offers for it.

    .venv/bin/python tests/benchmarks/usd_speed.py [--quick] [--json FILE]

Both sides run on one core, in turn, and write .usdc with the same OpenUSD libraries; each time is the quickest of a
few. Ours includes every check of the exporter and flushing to the disk. Both files are read back and compared.
usd-convert-gsplat pins another numpy and lives in an interpreter of its own, which `make converter` makes.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import tyro
from _records import ROOT, commit, say, write_json
from files import seeded

from scene3d import Gaussians, Scene
from scene3d.files import load_splats, save_splats
from sim_bridge.usd import export_usd

CONVERTER = ROOT / ".venv-convert" / "bin" / "python"
CONVERTER_LIMIT = 900.0
"""Seconds after which the converter is given up."""
REPEATS, CONVERTER_REPEATS = 5, 5
MILLION, DEGREE = 1_000_000, 1
FEW, FULL_DEGREE = 50_000, 3
ARRAYS = ("positions", "orientations", "scales", "opacities", "radiance:sphericalHarmonicsCoefficients")


@dataclass(frozen=True)
class UsdSpeed:
    """Measure writing of USD stages."""

    quick: bool = False
    """A hundredth of the splats, to see that everything works."""
    fresh: bool = False
    """Nothing is kept from earlier, so this changes nothing; all benchmarks take it."""
    json: Path | None = None
    """Where to write all figures."""


def main() -> None:
    """Measure and print one line per figure."""
    arguments = tyro.cli(UsdSpeed)
    torch.set_num_threads(1)
    share = 100 if arguments.quick else 1
    with TemporaryDirectory() as folder:
        runs = {"million": million(Path(folder), MILLION // share)}
        beside = beside_converter(Path(folder), FEW // share)
    if beside is not None:
        runs["converter"] = beside
    for line in lines(runs):
        print(line)
    if arguments.json:
        write_json(arguments.json, {"runs": runs})


def million(folder: Path, count: int) -> dict[str, Any]:
    """Many splats of SH degree 1 to one .usdc."""
    scene, path = Scene(seeded(count, DEGREE), metric=True), folder / "million.usdc"
    seconds = best(lambda: export_usd(scene, path, overwrite=True), REPEATS)
    return {
        "splats": count,
        "sh_degree": DEGREE,
        "write_s": round(seconds, 4),
        "bytes": path.stat().st_size,
        "commit": commit(),
    }


def beside_converter(folder: Path, count: int) -> dict[str, Any] | None:
    """The same PLY file by both; None where the converter is not installed."""
    if not CONVERTER.is_file():
        say("usd-convert-gsplat is not in .venv-convert, so it is left out; `make converter` installs it")
        return None
    source, ours, theirs = (folder / name for name in ("splats.ply", "ours.usdc", "theirs.usdc"))
    save_splats(seeded(count, FULL_DEGREE), source)
    # In turn: the quickest of ours before and after theirs, so that a busy moment favours neither.
    first = write_ours(source, ours)
    converted = convert(source, theirs)
    second = write_ours(source, ours)
    read, write = (min(pair) for pair in zip(first, second, strict=True))
    return {
        "splats": count,
        "sh_degree": FULL_DEGREE,
        "read_s": round(read, 4),
        "write_s": round(write, 4),
        "converter_read_s": round(converted["read_s"], 4),
        "converter_write_s": round(converted["write_s"], 3),
        "converter_version": converted["version"],
        "ratio": round(converted["write_s"] / write, 1),
        "ratio_with_reading": round((converted["read_s"] + converted["write_s"]) / (read + write), 1),
        "largest_difference": largest_difference(ours, theirs),
        "bytes": ours.stat().st_size,
        "converter_bytes": theirs.stat().st_size,
        "commit": commit(),
    }


def write_ours(source: Path, target: Path) -> tuple[float, float]:
    """Seconds to read a PLY file and to write the stage."""
    found: list[Gaussians] = []
    read = best(lambda: found.append(load_splats(source).splats), REPEATS)
    scene = Scene(found[-1], metric=True)
    return read, best(lambda: export_usd(scene, target, overwrite=True), REPEATS)


def convert(source: Path, target: Path) -> dict[str, Any]:
    """Seconds that usd-convert-gsplat takes for both."""
    import pxr

    usd_core = Path(pxr.__file__).parents[1]
    script = Path(__file__).with_name("_usd_converter.py")
    command = [CONVERTER, script, usd_core, source, target, str(CONVERTER_REPEATS)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=CONVERTER_LIMIT)
    if ran.returncode != 0:
        raise RuntimeError(f"usd-convert-gsplat failed:\n{ran.stderr[-2000:]}")
    return json.loads(ran.stdout)


def largest_difference(ours: Path, theirs: Path) -> float:
    """Between all arrays of both stages, relative to the largest value of each; the order of splats counts."""
    first, second = splat_prim(ours), splat_prim(theirs)
    worst = 0.0
    for name in ARRAYS:
        one, other = (np.asarray(prim.GetAttribute(name).Get(), dtype=np.float64) for prim in (first, second))
        if one.shape != other.shape:
            raise RuntimeError(f"{name} has shape {one.shape} in ours and {other.shape} in theirs")
        worst = max(worst, float(np.abs(one - other).max() / np.abs(other).max()))
    return worst


def splat_prim(path: Path) -> Any:
    """The only splats of a stage."""
    from pxr import Usd

    opened: Any = Usd
    stage = opened.Stage.Open(str(path))
    (found,) = (prim for prim in stage.Traverse() if prim.GetTypeName() == "ParticleField3DGaussianSplat")
    KEPT.append(stage)
    return found


KEPT: list[Any] = []
"""Prims are only good as long as their stage is."""


def best(call: Callable[[], object], repeats: int) -> float:
    """Seconds of the quickest of some calls."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return min(times)


def lines(runs: dict[str, Any]) -> list[str]:
    """One line per figure."""
    many = runs["million"]
    told = [f"{many['splats']} splats, SH {many['sh_degree']}, to .usdc: {many['write_s']:.2f} s"]
    if (r := runs.get("converter")) is not None:
        what = f"{r['splats']} splats, SH {r['sh_degree']}, to .usdc"
        told += [
            f"{what}: {r['write_s']:.3f} s, usd-convert-gsplat {r['converter_write_s']:.2f} s, {r['ratio']:.0f} times",
            f"{what}, PLY read too: {r['ratio_with_reading']:.0f} times",
            f"{what}: arrays differ by {r['largest_difference']:.1e} of their largest value",
        ]
    return told


if __name__ == "__main__":
    main()
