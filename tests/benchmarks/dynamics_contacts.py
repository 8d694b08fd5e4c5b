"""Cans dropped over mugs: how often ours agrees with MuJoCo on where they end, and MuJoCo with itself.

    .venv/bin/python tests/benchmarks/dynamics_contacts.py [--only 15mm] [--count 100] [--fresh] [--json FILE]

Clearances of 2, 5 and 15 mm, 100 drops each, one batched rollout for each engine: offset up to 40 mm, tilt up to 15
degrees, height 20 to 80 mm. A can ends in the mug, on its rim, or beside it. MuJoCo sees the mug through convex parts;
it is compared with itself at half the step and with other parts. Finished runs are kept.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from _records import outputs, recorded, write_json

from dynamics import convex_parts
from dynamics._rollout import rollout
from dynamics.baselines import mujoco_model, mujoco_rollout
from dynamics.baselines._can_over_mug import CLASSES, can_over_mug, classes_of, drops

CLEARANCES = {"2mm": 0.002, "5mm": 0.005, "15mm": 0.015}
SECONDS = 2.5
STEP, TIME_CONSTANT = 1e-3, 5e-3
"""Of MuJoCo [s]: contacts five times as stiff in time as its default, or cans sink through the wall."""
VARIANTS = {"base": (1, 0.05, 32, 0), "half_step": (2, 0.05, 32, 0), "other_parts": (1, 0.03, 48, 1)}
"""Steps in MuJoCo's step; threshold, limit and seed of the convex parts."""
ALLOWANCE = 0.05


@dataclass(frozen=True)
class Contacts:
    """Compare where cans end up."""

    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="RUN")] = ()
    """Clearances, all by default."""
    count: int = 100
    """Drops for each clearance."""
    fresh: bool = False
    """Run again what is finished."""
    json: Path | None = None
    """Where to write all figures."""


def main() -> None:
    """Make the runs that were asked for and print them."""
    arguments = tyro.cli(Contacts)
    unknown = set(arguments.only) - set(CLEARANCES)
    if unknown:
        sys.exit(f"There is no run {min(unknown)}; runs are {', '.join(CLEARANCES)}.")
    results = {
        name: recorded(
            outputs(False) / f"can-over-mug-{name}-{arguments.count}.json",
            arguments.fresh,
            lambda clearance=clearance: compare(clearance, arguments.count),
        )
        for name, clearance in CLEARANCES.items()
        if not arguments.only or name in arguments.only
    }
    for name, r in results.items():
        print(
            f"{name}: ours agrees with MuJoCo in {r['agreement']:.0%}, MuJoCo with itself in {r['self_half_step']:.0%} "
            f"(half the step) and {r['self_other_parts']:.0%} (other parts); in, rim, beside: ours {r['ours']}, "
            f"MuJoCo {r['base']}; {'met' if r['met'] else 'missed'}"
        )
    if arguments.json:
        write_json(arguments.json, {"runs": results})


def compare(clearance: float, count: int) -> dict[str, Any]:
    """Classes of all drops by all engines, and how often they agree."""
    world, state = can_over_mug(clearance, drops(count))
    rollout(world, state[0], 1)  # Compiles and makes the grids.
    begun = time.process_time()
    final = rollout(world, state, round(SECONDS / world.dt), every=round(SECONDS / world.dt)).final
    seconds = time.process_time() - begun
    ends = {"ours": classes_of(world, final.T_world_body.numpy())}
    parts = {}
    for name, (finer, threshold, most, seed) in VARIANTS.items():
        hulls = {"mug": convex_parts(world.bodies[1].mesh, threshold=threshold, most_parts=most, seed=seed)}
        model = mujoco_model(world, dt=STEP / finer, hulls=hulls, time_constant=TIME_CONSTANT)
        steps = round(SECONDS / STEP) * finer
        ends[name] = classes_of(world, mujoco_rollout(model, state, steps, every=steps)[:, -1].numpy())
        parts[name] = len(hulls["mug"])
    agree = {name: float((ends["base"] == found).mean()) for name, found in ends.items()}
    needed = 0.5 * (agree["half_step"] + agree["other_parts"]) - ALLOWANCE
    return {
        **{name: np.bincount(found, minlength=len(CLASSES)).tolist() for name, found in ends.items()},
        "parts": parts,
        "agreement": agree["ours"],
        "self_half_step": agree["half_step"],
        "self_other_parts": agree["other_parts"],
        "needed": needed,
        "met": agree["ours"] >= needed,
        "us_per_world_step": seconds / (count * round(SECONDS / world.dt)) * 1e6,
    }


if __name__ == "__main__":
    main()
