"""An engine's answer about deformables against what it should be: things, phases and an answer in, rows out.

Mass, centre of mass and the number of particles and cells are compared as the engine made them of the stage; how far
the centre of mass falls with the closed form. It also drifts aside, since VBD moves one particle or capsule after the
other and does not keep momentum (a stiff rope drifts a centimetre in 0.25 s); that is said, not judged. At rest a
deformable sags under its own weight, by how much nobody knows exactly, so what is judged is how deep it lies in what
stands still and whether it has come to rest on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sim_bridge.engines._judge import TOLERANCES, Figure, Row, flight
from sim_bridge.engines._phases import DT, FALL, REST, Phase, placed
from sim_bridge.engines._request import EngineError
from sim_bridge.engines._supports import Solid, depth_in, support_below

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sim_bridge.engines._stage_soft import StageSoft

__all__ = ["judge_soft"]


def judge_soft(
    things: Sequence[StageSoft],
    solids: Sequence[Solid],
    phases: Mapping[str, Phase],
    answer: Mapping[str, Any],
    *,
    gravity: NDArray[np.float64],
    exact_flight: bool,
) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Compare an answer with what it should be.

    Args:
        things: What the engine should have found.
        solids: What stands still.
        phases: Both phases, by name.
        answer: As `sim_bridge.engines._request` describes it for deformables.
        gravity: [m/s^2], shape (3,).
        exact_flight: Whether the engine's free flight has second order.

    Returns:
        One row for each thing, and what else is to be known.

    Raises:
        EngineError: It made other particles or cells, or a place is no number.
    """
    rows, notes = [], []
    for thing in things:
        held = answer["bodies"][thing.name]
        made, meant = (held["particles"], held["cells"]), (thing.particles, thing.cells)
        if made != meant:
            raise EngineError(f"{answer['engine']} made {made} particles and cells of {thing.name!r}, not {meant}.")
        row, sank, drift = _row(thing, held, solids, phases, answer["phases"], gravity, exact_flight)
        rows.append(row)
        notes.append(
            f"{thing.name}: {meant[0]} particles and {meant[1]} cells as exported, sank by {sank:.1f} mm, drifted "
            f"{drift:.1f} mm aside in the fall."
        )
    return tuple(rows), tuple(notes)


def _row(
    thing: StageSoft,
    held: Mapping[str, Any],
    solids: Sequence[Solid],
    phases: Mapping[str, Phase],
    seen: Mapping[str, Any],
    gravity: NDArray[np.float64],
    exact: bool,
) -> tuple[Row, float, float]:
    """The row, how far the centre of mass sank at rest, and how far it drifted aside in the fall [mm]."""
    begun = {name: placed(thing, phases[name].poses[thing.name])[1] for name in (FALL, REST)}
    falling, resting = (np.array(seen[name]["coms"][thing.name], dtype=np.float64) for name in (FALL, REST))
    points = np.array(seen[REST]["points"][thing.name], dtype=np.float64)
    if not all(np.isfinite(values).all() for values in (falling, resting, points)):
        raise EngineError(f"Newton lost {thing.name!r}: its particles are nowhere.")
    down = gravity / max(float(np.linalg.norm(gravity)), 1e-9)
    fallen = begun[FALL] + np.outer((falling - begun[FALL]) @ down, down)
    com, end = np.array(seen[REST]["begun"][thing.name]), resting[-1]
    top, now = support_below(solids, begun[REST]), support_below(solids, end + np.array([0, 0, 0.005]))
    speed = 1e3 * float(np.linalg.norm(seen[REST]["speeds"][thing.name]))
    unknown = {name: Figure(None, TOLERANCES[name]) for name in ("inertia", "friction", "restitution", "rest_mm")}
    row = Row(
        body=thing.name,
        mass=Figure(held["mass"] / thing.mass - 1, TOLERANCES["mass"]),
        com_mm=Figure(1e3 * float(np.linalg.norm(com - begun[REST])), TOLERANCES["com_mm"]),
        fall_mm=flight(begun[FALL], DT * np.array(phases[FALL].read), fallen, gravity, exact),
        depth_mm=Figure(1e3 * depth_in(solids, points, held["radius"]), TOLERANCES["depth_mm"]),
        speed_mm_s=Figure(speed, TOLERANCES["speed_mm_s"]),
        height_mm=None if top is None else 1e3 * float(top.heights(end[None])[0]),
        tilt_deg=None,
        asleep=None,
        same_support=top is None or (now is not None and now.solid == top.solid),
        **unknown,
    )
    drift = float(np.linalg.norm(falling[-1] - fallen[-1]))
    return row, 1e3 * float(begun[REST][2] - end[2]), 1e3 * drift
