"""How fast the CPU renderer is: milliseconds per stage, and ratios to a scalar loop, to Newton and to the processor.

    .venv/bin/python tests/benchmarks/render.py [--only 50k-640x480] [--fresh] [--quick] [--json FILE]

Scenes are seeded ones of 10k, 50k and 200k splats at 320x240 and 640x480 with 8 contributing splats per pixel, and the
fox that reconstruct.py fitted. Each is rendered side by side by the kernels, by scalar_loop.cpp on one thread, and by
Newton's SensorCamera where `make engines` installed it; Newton sees colours of SH degree 0 only, and so do the kernels
beside it. Pictures and gradients are compared before they are timed. What was measured is kept in outputs/numbers.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from _kernel_times import KernelRun, disagreement, time_forward, time_stages, time_through_torch
from _records import ROOT, outputs, recorded, say, write_json
from _scalar_loop import ScalarLoop
from _scenes import BenchmarkScene, fitted, scene_name, seeded
from _work import LANES, explain, peak_share, what_bounds

from scene3d.render import _kernels

SPLATS = (10_000, 50_000, 200_000)
SIZES = ((320, 240), (640, 480))
REPEATS = 25
SCALAR_REPEATS = 3
FOX = ("fox-default", "fox-180")
"""Scenes of reconstruct.py that will do as the fitted fox, the best first."""
BESIDE_NEWTON = ("50k-320x240", "50k-640x480", "fitted-fox", "2k-160x120")
NEWTON = ROOT / ".venv-newton" / "bin" / "python"
NEWTON_LIMIT = 900.0
"""Seconds after which a run of Newton is given up."""


@dataclass(frozen=True)
class Render:
    """Measure the CPU renderer."""

    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SCENE")] = ()
    """Scenes to measure, for example 50k-640x480 or fitted-fox."""
    fresh: bool = False
    """Measure again what is in outputs/numbers."""
    quick: bool = False
    """A tiny scene, to see that everything works."""
    json: Path | None = None
    """Where to write all figures."""


def main() -> None:
    """Measure the scenes that were asked for and print them."""
    arguments = tyro.cli(Render)
    scenes = _scenes(arguments.quick)
    unknown = set(arguments.only) - set(scenes)
    if unknown:
        sys.exit(f"There is no scene {min(unknown)}; scenes are {', '.join(scenes)}.")
    records = []
    for name, make in scenes.items():
        if not arguments.only or name in arguments.only:
            path = outputs(arguments.quick) / "render" / f"{name}.json"
            records.append(recorded(path, arguments.fresh, lambda make=make, name=name: measure(make(), name)))
    results = {"scenes": {record["name"]: record for record in records}, "bounds": _bounds(records)}
    show(results)
    if arguments.json:
        write_json(arguments.json, results)


def _scenes(quick: bool) -> dict[str, Callable[[], BenchmarkScene]]:
    """Names of the scenes and how to make them."""
    wanted = [(2_000, 160, 120)] if quick else [(count, *size) for count in SPLATS for size in SIZES]
    makers: dict[str, Callable[[], BenchmarkScene]] = {scene_name(*one): partial(seeded, *one) for one in wanted}
    folder = next((path for name in FOX if (path := outputs(quick) / name / "scene.yaml").is_file()), None)
    if folder is None:
        say(f"no fitted fox in {outputs(quick)}; reconstruct.py --only {FOX[0]} makes it")
    else:
        makers["fitted-fox"] = partial(fitted, folder.parent)
    return makers


def measure(scene: BenchmarkScene, name: str) -> dict[str, Any]:
    """Everything about one scene."""
    run = KernelRun(scene)
    agreement = disagreement(scene, run)
    isa, threads = _kernels.isa(), _kernels.threads()
    record: dict[str, Any] = {
        "name": name,
        "splats": len(scene.splats),
        "width": scene.camera.width,
        "height": scene.camera.height,
        "isa": isa,
        "threads": threads,
        "disagreement": agreement,
        "ms": time_stages(run, REPEATS),
        "ms_one_thread": _on_one_thread(lambda: time_stages(run, REPEATS)),
        "ms_through_torch": time_through_torch(scene, run, REPEATS),
        "peak_multiply_adds_per_second": max(_kernels.peak() for _ in range(5)),
        "visible": run.state.visible,
        "entries": run.state.intersections,
    }
    record["scalar"] = beside_scalar(scene, run, record)
    record["peak_percent"] = peak_share(record)
    record["newton"] = beside_newton(scene) if name in BESIDE_NEWTON else None
    return record


def _on_one_thread(call: Callable[[], Any]) -> Any:
    threads = _kernels.threads()
    _kernels.set_threads(1)
    try:
        return call()
    finally:
        _kernels.set_threads(threads)


@torch.no_grad()
def beside_scalar(scene: BenchmarkScene, run: KernelRun, record: dict[str, Any]) -> dict[str, float]:
    """Blending by the scalar loop and how many times faster the kernels are; also counts the pairs."""
    loop = ScalarLoop(scene.splats, scene.camera)
    record["pairs"] = loop.count(LANES[record["isa"]])
    record["contributing_per_pixel"] = round(record["pairs"]["contributing"] / loop.alpha.size, 3)
    forward = 1e3 * min(loop.forward() for _ in range(SCALAR_REPEATS))
    images = run.g_rgb.numpy(), run.g_alpha.numpy()
    backward = 1e3 * min(loop.backward(*images)[0] for _ in range(SCALAR_REPEATS))
    one, all_ = record["ms_one_thread"], record["ms"]
    both = {key: ms["raster"] + ms["raster_gradient"] for key, ms in (("one", one), ("all", all_))}
    return {
        "forward_ms": round(forward, 2),
        "backward_ms": round(backward, 2),
        "ratio_forward_one_thread": round(forward / one["raster"], 2),
        "ratio_backward_one_thread": round(backward / one["raster_gradient"], 2),
        "ratio_one_thread": round((forward + backward) / both["one"], 2),
        "ratio": round((forward + backward) / both["all"], 2),
    }


def beside_newton(scene: BenchmarkScene) -> dict[str, Any] | None:
    """Newton's SensorCamera in both modes beside the kernels; its fastest frame against our median one."""
    if not NEWTON.is_file():
        say("Newton is not installed, so it is left out; `make engines` installs it")
        return None
    run = KernelRun(scene, sh_degree=0)
    ours = {"ms": time_forward(run, REPEATS), "ms_one_thread": _on_one_thread(lambda: time_forward(run, REPEATS))}
    modes = {}
    with TemporaryDirectory() as folder:
        _save_for_newton(scene, Path(folder) / "splats.npz")
        for mode in ("fast", "quality"):
            modes[mode] = _newton(Path(folder), mode, ours, run)
    return {"kernels": ours, **modes}


def _newton(folder: Path, mode: str, ours: dict[str, float], run: KernelRun) -> dict[str, Any] | None:
    script, picture = Path(__file__).with_name("newton_sensor.py"), folder / f"{mode}.npy"
    command = [NEWTON, script, folder / "splats.npz", "--mode", mode, "--rgb", picture]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=NEWTON_LIMIT)
    except subprocess.TimeoutExpired:
        say(f"Newton ({mode}) took more than {NEWTON_LIMIT:g} s and is left out")
        return None
    if ran.returncode != 0:
        raise RuntimeError(f"Newton ({mode}) failed:\n{ran.stderr[-2000:]}")
    report = json.loads(ran.stdout)
    ms = 1e3 * report["seconds_per_frame"]
    return {
        "ms": round(ms, 2),
        "ratio": round(ms / ours["ms"], 1),
        "ratio_one_thread": round(ms / ours["ms_one_thread"], 1),
        "psnr_to_kernels": _psnr_to_newton(np.load(picture, allow_pickle=False) / 255.0, run),
        "covered": round(report["covered"], 4),
        "newton": report["newton"],
        "warp": report["warp"],
    }


def _psnr_to_newton(picture: np.ndarray, run: KernelRun) -> float:
    """PSNR [dB] over the pixels that Newton calls covered; it divides their colour by how much they are covered.

    Newton does not blur splats on the screen, so small ones look different on purpose.
    """
    ours = (run.rgb / run.alpha[..., None].clamp_min(1e-6)).numpy().clip(0, 1)
    covered = picture.max(axis=-1) > 0
    error = (picture - ours)[covered]
    return round(-10 * math.log10(max(float((error**2).mean()), 1e-10)), 2) if covered.any() else 0.0


def _save_for_newton(scene: BenchmarkScene, path: Path) -> None:
    splats, camera = scene.splats, scene.camera
    tensors = {
        "means": splats.means,
        "quats": splats.quats,
        "scales": splats.scales.exp(),
        "opacities": splats.opacities.sigmoid(),
        "sh0": splats.sh0[:, 0],
        "K": camera.K,
        "T_world_cam": camera.T_world_cam,
    }
    arrays = {name: tensor.detach().numpy() for name, tensor in tensors.items()}
    np.savez(path, allow_pickle=False, width=camera.width, height=camera.height, **arrays)


def _bounds(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What bounds the two blending stages, told for the scene that is asked about most."""
    found = {}
    example = next((r for r in records if r["name"] == "50k-640x480"), None)
    for stage in ("raster", "raster_gradient"):
        costs = what_bounds(records, stage)
        if costs is None or example is None:
            return None
        found[stage] = {**costs, "sentence": explain(example, costs, stage)}
    return found


def show(results: dict[str, Any]) -> None:
    """Print tables for people."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=120)
    columns = ("project", "sort_bin", "raster", "raster_gradient", "forward", "backward", "both")
    times = Table(
        "scene", "splats\n/pixel", *(name.replace("_", "\n") for name in columns), "torch", title="ms, median"
    )
    ratios = Table(
        "scene", "scalar loop\n1 thread", "scalar loop", "% of peak\nraster", "% of peak\ngradient", "Newton\nfast",
        "Newton\nquality", title="times faster than; share of peak",
    )  # fmt: skip
    for name, r in results["scenes"].items():
        newton = r["newton"] or {}
        modes = [f"{newton[m]['ratio']:g}" if newton.get(m) else "-" for m in ("fast", "quality")]
        per_pixel, through_torch = f"{r['contributing_per_pixel']:.1f}", f"{r['ms_through_torch']:.1f}"
        times.add_row(name, per_pixel, *(f"{r['ms'][column]:.1f}" for column in columns), through_torch)
        ratio, peak = r["scalar"], r["peak_percent"]
        shares = (f"{peak['raster']:g}", f"{peak['raster_gradient']:g}")
        ratios.add_row(name, f"{ratio['ratio_one_thread']:g}", f"{ratio['ratio']:g}", *shares, *modes)
    console.print(times, ratios)
    for stage in (results["bounds"] or {}).values():
        console.print(stage["sentence"])


if __name__ == "__main__":
    main()
