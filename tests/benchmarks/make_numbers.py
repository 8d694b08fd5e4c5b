"""Every figure of the README: runs all benchmarks, writes results.json, and sets README's table from it.

    .venv/bin/python tests/benchmarks/make_numbers.py [--only STAGE] [--fresh] [--quick]

`make numbers` calls it. It may take an hour and can be interrupted: what is finished lies in outputs/numbers
and is not measured again unless --fresh. Reconstruction and captures come first, since their scenes are segmented and
rendered. With --quick everything is tiny, and results and table go to outputs/numbers-quick and the terminal. (The file
is not called numbers.py because a script's folder comes first on Python's path, and the standard library has a module
of that name.)
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import tyro
from _records import ROOT, commit, outputs, say, write_json
from _table import render_table, replace_region

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
README = ROOT / "README.md"
Stage = Literal[
    "reconstruct",
    "captures",
    "objects",
    "files",
    "render",
    "dynamics_tosses",
    "dynamics_contacts",
    "dynamics_speed",
    "viewer",
    "engines",
    "usd_speed",
    "usd_pictures",
]
STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True)
class Numbers:
    """Measure everything and set the README's table."""

    only: Stage | Literal["table"] | None = None
    """One benchmark, or the table from results.json alone."""
    fresh: bool = False
    """Measure again what is finished."""
    quick: bool = False
    """Tiny sizes into outputs/numbers-quick; README and results.json stay as they are."""


def main() -> None:
    """Run what was asked for."""
    arguments = tyro.cli(Numbers)
    path = outputs(quick=True) / "results.json" if arguments.quick else RESULTS
    results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for stage in STAGES:
        if arguments.only in (None, stage):
            measured = _run(stage, arguments)
            results = _merged(results, stage, measured)
            write_json(path, results)
    table = render_table(results)
    if not arguments.quick:
        README.write_text(replace_region(README.read_text(encoding="utf-8"), table), encoding="utf-8")
    print(table)


def _run(stage: str, arguments: Numbers) -> dict[str, Any]:
    """Call a benchmark in a process of its own and read its figures."""
    target = outputs(arguments.quick) / f"{stage}.json"
    flags = [f"--{name}" for name in ("fresh", "quick") if getattr(arguments, name)]
    subprocess.run([sys.executable, HERE / f"{stage}.py", "--json", target, *flags], check=True, stdout=sys.stderr)
    return json.loads(target.read_text(encoding="utf-8"))


def _merged(results: dict[str, Any], stage: str, measured: dict[str, Any]) -> dict[str, Any]:
    """Results with one benchmark replaced; figures of another machine are not kept beside it."""
    machine = describe_machine()
    same = {key: value for key, value in machine.items() if key not in ("date", "commit")}
    before = results.get("machine") or {}
    if any(before.get(key) != value for key, value in same.items()):
        results = {}
    results = {**results, "machine": machine, stage: measured}
    commits = sorted({record["commit"] for name in STAGES for record in _records(results.get(name))})
    if commits != [machine["commit"]]:
        say(
            f"figures were measured at {', '.join(commits)}, the sources are at {machine['commit']}; --fresh mends that"
        )
    results["machine"]["commit"] = ", ".join(commits)
    return results


def _records(stage: dict[str, Any] | None) -> list[dict[str, Any]]:
    stage = stage or {}
    if "files" in stage:
        return [stage]
    parts = stage.get("runs") or stage.get("scenes") or stage
    return [part for part in parts.values() if isinstance(part, dict)]


def describe_machine() -> dict[str, Any]:
    """Where figures are measured, and with what."""
    from scene3d.render import _kernels

    cpuinfo, cpu = Path("/proc/cpuinfo"), platform.processor() or platform.machine()
    if cpuinfo.exists():
        named = [line.split(":", 1)[1] for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        cpu = named[0].strip() if named else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "isa": _kernels.isa(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "date": date.today().isoformat(),
        "commit": commit(),
    }


if __name__ == "__main__":
    main()
