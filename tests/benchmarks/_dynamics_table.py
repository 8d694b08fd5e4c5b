"""Rows of README's table that are about motion: predicted tosses, how sure they are, and how fast steps are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["contact_rows", "speed_rows", "tosses_rows"]

Row = tuple[str, str, str, str]
EVALUATE = "scene3d evaluate-dynamics ../shared/data/cube_toss/tosses.npz"
SPEED = "python tests/benchmarks/dynamics_speed.py --only"
MODELS = {
    "physics_network": "physics with the contact network",
    "physics_identified": "physics, constants identified",
    "physics_persistent": "the same plus its mean residual",
    "physics_textbook": "physics, constants measured by hand",
    "network_without_physics": "a network without physics",
    "mujoco": "MuJoCo, constants fitted",
    "ballistic": "free flight",
    "static": "nothing moves",
}
ASKED = {"physics_network": "at most 11.5 %, goal 10 %; goals 12 deg, 85 % right face, penetration under 1 %"}


def tosses_rows(runs: Mapping[str, Any]) -> list[Row]:
    """One row for each model, with intervals that hold 95 % of bootstrap samples, then gains and coverage."""
    if (run := runs.get("cube")) is None:
        return []
    models = {row["model"]: row for row in run["models"]}
    rows = [
        (f"{run['tosses']} real cube tosses, out of fold: {said}", _errors(models[name]), ASKED.get(name, ""), EVALUATE)
        for name, said in MODELS.items()
        if name in models
    ]
    if gains := run.get("gains"):
        figure = (
            f"position {_interval(gains['position_percent'], ' %')}, "
            f"median rotation {_interval(gains['rotation_deg_median'], ' deg')}"
        )
        rows.append(("gain of the network over identified physics, paired", figure, "intervals above 0", EVALUATE))
    if sure := run.get("uncertainty"):
        figure = ", ".join(f"{each['at']}: {_covered(each)} %" for each in sure["coverage"])
        crps, alone = sure["crps_position_percent"]["mean"], sure["deterministic_position_percent"]["mean"]
        figure += f"; CRPS {crps:.1f} % against {alone:.1f} %"
        what = f"tosses inside nominal {100 * sure['nominal']:.0f} % intervals of 64 futures, position / rotation"
        rows.append((what, figure, "85 to 95 %; CRPS below the error", EVALUATE))
    return rows


def contact_rows(runs: Mapping[str, Any]) -> list[Row]:
    """How often a can that is dropped over a mug ends as in MuJoCo: in it, on its rim, or beside it."""
    if not runs:
        return []
    figure = ", ".join(f"{name[:-2]} mm: {100 * run['agreement']:.0f} %" for name, run in runs.items())
    needed = ", ".join(f"{100 * run['needed']:.1f}" for run in runs.values())
    what = "can over mug, clearance: drops that end as in MuJoCo"
    return [(what, figure, f"{needed} % (MuJoCo with itself, less 5)", "python tests/benchmarks/dynamics_contacts.py")]


def speed_rows(parts: Mapping[str, Any]) -> list[Row]:
    """Steps per second and the cold start."""
    rows: list[Row] = []
    if cube := parts.get("cube"):
        figure = f"{_thousands(cube['physics_steps_per_s'])}, {cube['physics_to_mujoco']:.1f} x MuJoCo's"
        rows.append(("cube-steps a second, 1024 worlds, physics", figure, "500k", f"{SPEED} cube"))
        figure = f"{_thousands(cube['one_member_steps_per_s'])} / {_thousands(cube['ensemble_steps_per_s'])}"
        what = f"the same with the contact network, one member / {cube['members']} members"
        rows.append((what, figure, "100k", f"{SPEED} cube"))
    if table := parts.get("tabletop"):
        figure = _thousands(table["physics_world_steps_per_s"])
        rows.append(("steps of a 6-body table a second, 64 worlds", figure, "at least 24k", f"{SPEED} tabletop"))
    if cold := parts.get("cold"):
        figure = f"{cold['compile_seconds']:.0f} s"
        rows.append(("cold start: all kernels compiled", figure, "under 15 s", f"{SPEED} cold"))
    return rows


def _errors(row: Mapping[str, Any]) -> str:
    parts = (
        f"position {_interval(row['position_percent'], ' %')}",
        f"rotation {_interval(row['rotation_deg'], ' deg')}, median {row['rotation_deg_median']['mean']:.1f}",
        f"right face {100 * row['right_face']['mean']:.0f} %",
        f"penetration {row['penetration_percent']['mean']:.2f} %",
    )
    return ", ".join(parts)


def _interval(value: Mapping[str, float], unit: str) -> str:
    return f"{value['mean']:.1f}{unit} ({value['low']:.1f} to {value['high']:.1f})"


def _covered(each: Mapping[str, Any]) -> str:
    return " / ".join(f"{100 * each[part]['mean']:.0f}" for part in ("position", "rotation"))


def _thousands(value: float) -> str:
    return f"{value / 1000:.0f}k"
