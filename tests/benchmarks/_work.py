"""How much of the machine's peak the blending uses, and where the rest of its time goes.

A multiply-add here is one fused multiply-add, or a lone multiplication or addition, of one lane. Counted from the
sources for one (pixel, splat) pair, with depth and without features:

    raster.h            19 = 1 dx, 2 power, 9 exp2, 1 alpha, 1 weight, 1 next transmittance, 3 colour, 1 depth
    raster_gradient.h   38 = 15 for power, alpha, weight and transmittance as before, 5 <gradient, splat>, 1 rest,
                             4 colour and depth sums, 3 dL/dalpha, 3 dL/dopacity and dL/dpower, 7 moments

Not counted, but executed: comparisons, blends, minima, integer shifts, a division (gradient), and per pair 5 loads and
5 stores (gradient: 8 and 2). Pairs are those that the kernels work on: whole registers of pixels, of which some lanes
do not contribute. `what_bounds` splits the measured times of all scenes by least squares into a cost per (splat, tile)
entry, per pair and per pixel.
"""

from __future__ import annotations

from typing import Any

MULTIPLY_ADDS = {"raster": 19, "raster_gradient": 38}
LANES = {"avx512": 16, "avx2": 8, "baseline": 4}


def peak_share(record: dict[str, Any]) -> dict[str, float]:
    """Share of the peak multiply-add rate that each blending stage reaches, in percent."""
    peak = record["peak_multiply_adds_per_second"] * record["threads"]
    pairs = record["pairs"]["worked_on"]
    return {
        stage: round(100 * pairs * count / (1e-3 * record["ms"][stage] * peak), 1)
        for stage, count in MULTIPLY_ADDS.items()
    }


def what_bounds(records: list[dict[str, Any]], stage: str) -> dict[str, Any] | None:
    """Costs in nanoseconds of one thread and the shares of the time that they explain; None for too few scenes."""
    import numpy as np
    from scipy.optimize import nnls

    if len(records) < 4:
        return None
    counts = np.array([[r["entries"], r["pairs"]["worked_on"], r["width"] * r["height"]] for r in records], float)
    times = np.array([1e6 * r["ms"][stage] * r["threads"] for r in records])
    costs, residual = nnls(counts / times[:, None], np.ones(len(records)))
    peak = records[0]["peak_multiply_adds_per_second"]
    return {
        "ns_per_entry": round(float(costs[0]), 2),
        "ns_per_pair": round(float(costs[1]), 4),
        "ns_per_pixel": round(float(costs[2]), 3),
        "ns_per_pair_at_peak": round(1e9 * MULTIPLY_ADDS[stage] / peak, 4),
        "error_percent": round(100 * float(residual) / len(records) ** 0.5, 1),
    }


def explain(record: dict[str, Any], costs: dict[str, Any], stage: str) -> str:
    """One sentence on what bounds a stage of a scene."""
    parts = {
        "fixed work per (splat, tile) entry": costs["ns_per_entry"] * record["entries"],
        "pairs": costs["ns_per_pair"] * record["pairs"]["worked_on"],
        "clearing and writing pixels": costs["ns_per_pixel"] * record["width"] * record["height"],
    }
    total = sum(parts.values()) or 1.0
    shares = ", ".join(f"{name} {100 * part / total:.0f} %" for name, part in parts.items())
    used = 100 * record["pairs"]["contributing"] / record["pairs"]["worked_on"]
    in_pairs = 100 * costs["ns_per_pair_at_peak"] / costs["ns_per_pair"] if costs["ns_per_pair"] else 100.0
    return (
        f"{stage.replace('_', ' ')} of {record['name']}: {record['peak_percent'][stage]:g} % of peak; time goes to "
        f"{shares} (fit to all scenes within {costs['error_percent']:g} %); the pairs alone run at {in_pairs:.0f} % of "
        f"peak, held back by loads, stores, comparisons and blends, and {used:.0f} % of their lanes contribute."
    )
