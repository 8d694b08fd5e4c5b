"""Rows of README's table about the viewer, and about exported scenes in other people's engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["engine_rows", "usd_rows", "viewer_rows"]

Row = tuple[str, str, str, str]
ENGINES = "python tests/benchmarks/engines.py"
VIEWER = "python tests/benchmarks/viewer.py"
LIMITS = {
    "mass": "mass 1e-4",
    "inertia": "inertia 1e-3",
    "restitution": "restitution 1e-4",
    "com_mm": "com 0.1 mm",
    "rest_mm": "rest 1 mm",
    "depth_mm": "overlap 1 mm",
}
FALL = "fall 1 mm, or g dt t = 10 mm (1st order)"


def viewer_rows(runs: Mapping[str, Any]) -> list[Row]:
    """What one scene costs to look at."""
    if (r := runs.get("desk")) is None:
        return []
    what = f"viewer, {r['splats'] / 1000:.0f}k splats, {r['bodies']} moving bodies"
    rates = f"{r['updates_per_second']:.0f}; with 15 more futures as ghosts {r['updates_per_second_ghosts']:.0f}"
    return [
        (f"{what}: updates sent in a second", rates, "at least 30", VIEWER),
        (
            f"{what}: from the command to the first picture, software WebGL",
            f"{r['first_picture_seconds']:.1f} s; its pixels read back after {r['first_picture_read_seconds']:.1f} s",
            "within 5 s",
            VIEWER,
        ),
        (
            f"{what}: exported page of 5 s",
            f"{r['export_bytes'] / 1e6:.1f} MB",
            "under 5 MB",
            f"{VIEWER}",
        ),
    ]


def engine_rows(runs: Mapping[str, Any]) -> list[Row]:
    """A row for each scene and engine, then the cans."""
    rows: list[Row] = []
    for name in ("tabletop", "redkitchen"):
        if (run := runs.get(name)) is None:
            continue
        for engine in run["engines"].values():
            if engine["status"] in ("proven", "beyond"):
                things = f"{run['bodies']} bodies" if engine["inertia"] is not None else "deformables"
                what = f"{name}, {things} exported, in {engine['title']} ({engine['version']})"
                rows.append((what, _figures(engine), _limits(engine), run["command"]))
    cans = [runs[name] for name in ("can-in-mug", "can-in-mug-masks") if name in runs]
    if cans:
        landed = ", ".join(f"{r['landed']} of {r['count']}" for r in cans)
        what = "reconstructed can dropped over the reconstructed mug in PhysX: in it (demo scene, masks)"
        rows.append((what, landed, "18 of 20", f"{ENGINES} --only can-in-mug can-in-mug-masks"))
    return rows


def _limits(engine: Mapping[str, Any]) -> str:
    """Of the figures that there are."""
    return f"{', '.join(said for key, said in LIMITS.items() if engine.get(key) is not None)}; {FALL}"


def _figures(engine: Mapping[str, Any]) -> str:
    relative = ("mass", "inertia", "restitution")
    parts = [f"{key} {engine[key]:.0e}" for key in relative if engine.get(key) is not None]
    named = {"com_mm": "com", "fall_mm": "fall", "rest_mm": "rest", "depth_mm": "overlap"}
    parts += [f"{said} {_millimetres(engine[key])}" for key, said in named.items() if engine[key] is not None]
    return f"{engine['status']}: {', '.join(parts)}"


def _millimetres(value: float) -> str:
    return "0 mm" if value < 0.005 else f"{value:.2g} mm"


def usd_rows(speed: Mapping[str, Any], pictures: Mapping[str, Any]) -> list[Row]:
    """How fast splats are written, and whether another renderer sees the same."""
    rows: list[Row] = []
    command = "python tests/benchmarks/usd_speed.py"
    if (r := speed.get("million")) is not None:
        rows.append(("a million splats of SH degree 1 written as .usdc", f"{r['write_s']:.2f} s", "about 2 s", command))
    if (r := speed.get("converter")) is not None:
        figure = f"{r['ratio']:.0f} times faster; with reading the PLY {r['ratio_with_reading']:.0f} times"
        what = "50k splats of SH degree 3 written as .usdc, against usd-convert-gsplat"
        rows.append((what, figure, "50 times", command))
    if (r := pictures.get("tabletop")) is not None:
        blurred = min(view["psnr_with_blur"] for view in r["views"])
        figure = f"least of {len(r['views'])} views {r['psnr']:.1f} dB ({blurred:.1f} with our blur of 0.3 px)"
        what = "exported splats in Newton's ray tracer against our renderer without blur, SH degree 0"
        rows.append((what, figure, "at least 30 dB", "python tests/benchmarks/usd_pictures.py"))
    return rows
