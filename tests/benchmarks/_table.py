"""README's table of figures, from results.json and nothing else, so that a test can tell whether they agree.

Rows whose measurement is missing are left out. What is asked stands beside each figure as the project's goals have it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from _bridge_table import engine_rows, usd_rows, viewer_rows
from _dynamics_table import contact_rows, speed_rows, tosses_rows

BEGIN, END = "<!-- numbers:begin -->", "<!-- numbers:end -->"
HEAD = ("| what | figure | asked | command that prints it |", "|---|---|---|---|")
NOTHING = "Not measured yet."

Row = tuple[str, str, str, str]


def render_table(results: dict[str, Any]) -> str:
    """Markdown between the two marks, without them."""
    runs = (results.get("reconstruct") or {}).get("runs", {})
    scenes = (results.get("render") or {}).get("scenes", {})
    captures = (results.get("captures") or {}).get("runs", {})
    objects = (results.get("objects") or {}).get("runs", {})
    rows = [*_quality(runs), *_memory(runs), *_captures(captures, runs), *_objects(objects)]
    rows += [*_files(results.get("files") or {}), *_times(scenes), *_ratios(scenes)]
    rows += tosses_rows((results.get("dynamics_tosses") or {}).get("runs", {}))
    rows += contact_rows((results.get("dynamics_contacts") or {}).get("runs", {}))
    rows += speed_rows(results.get("dynamics_speed") or {})
    rows += viewer_rows((results.get("viewer") or {}).get("runs", {}))
    rows += engine_rows((results.get("engines") or {}).get("runs", {}))
    rows += usd_rows(*((results.get(name) or {}).get("runs", {}) for name in ("usd_speed", "usd_pictures")))
    if not rows:
        return NOTHING
    lines = [*HEAD, *(f"| {what} | {figure} | {asked} | `{command}` |" for what, figure, asked, command in rows)]
    return "\n".join([*lines, "", *_notes(results, scenes)])


def replace_region(readme: str, table: str) -> str:
    """The README with another table."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def region(readme: str) -> str:
    """The table of a README."""
    return readme.split(BEGIN)[1].split(END, maxsplit=1)[0].strip("\n")


def _quality(runs: dict[str, Any]) -> list[Row]:
    asked = {
        "fox-60": ("fox, 60 s of fitting", "at least 29 dB"),
        "fox-180": ("fox, 180 s of fitting", "at least 30.5 dB, goal 33"),
        "fox-colmap-180": ("fox from a COLMAP model, 180 s of fitting", ""),
        "fox-default": ("fox, preset default", ""),
        "tabletop-default": ("tabletop, preset default", "at least 30 dB"),
    }
    rows = []
    for name, (what, wanted) in asked.items():
        if name not in runs:
            continue
        r = runs[name]
        what = f"{what}: PSNR on {r['held_out']} held-out photos, {r['width']}x{r['height']}"
        took = "" if "s of fitting" in what else f" after {r['seconds']:.0f} s"
        rows.append((what, f"{r['psnr']:.2f} dB{took}", wanted, r["command"]))
    alone, model = runs.get("fox-180"), runs.get("fox-colmap-180")
    if alone and model and alone["held_out"] == model["held_out"]:
        lost = model["psnr"] - alone["psnr"]
        command = "python tests/benchmarks/reconstruct.py"
        rows.append(("fox, lost without a COLMAP model", f"{lost:.2f} dB", "at most 1 dB", command))
    return rows


def _memory(runs: dict[str, Any]) -> list[Row]:
    peaks = [r["peak_mib"] for name, r in runs.items() if name.startswith("fox")]
    if not peaks:
        return []
    command = "python tests/benchmarks/reconstruct.py"
    return [("fox, peak memory of the process", f"{max(peaks) / 1024:.2f} GiB", "under 4 GiB", command)]


def _captures(captures: dict[str, Any], runs: dict[str, Any]) -> list[Row]:
    rows = []
    for name, what in (("fox-photos", "fox, photos alone"), ("redkitchen-video", "redkitchen, a video of its frames")):
        if r := captures.get(name):
            asked = "all placed; under 480 s; at most 0.5 dB under posed" if name == "fox-photos" else "reconstructs"
            posed = runs.get("fox-180") if name == "fox-photos" else None
            beside = f" (posed: {posed['psnr']:.2f})" if posed else ""
            figure = f"{r['placed']} of {r['photos']} placed, {r['psnr']:.2f} dB{beside}, {r['wall_seconds']:.0f} s"
            rows.append((f"{what}: whole command", figure, asked, r["command"]))
    if r := captures.get("redkitchen"):
        what = f"redkitchen, RGB-D: rendered depth against the sensor's, median on {r['held_out']} held-out photos"
        figure = f"{1000 * r['depth_error']:.1f} mm (90 %: {1000 * r['depth_error_p90']:.0f} mm), {r['psnr']:.2f} dB"
        rows.append((what, figure, "at most 25 mm", r["command"]))
    lost = {
        "tabletop-lost": ("tabletop without its world: scale from a marker / gravity", "1 % / 0.5 degrees"),
        "tabletop-photos": ("tabletop, photos alone: scale from a marker / gravity", ""),
        "tabletop-size": ("tabletop without its world: scale from the box / gravity", ""),
    }
    for name, (what, asked) in lost.items():
        if r := captures.get(name):
            figure = f"{r['scale_error_percent']:.2f} % / {r['gravity_error_deg']:.2f} degrees off"
            rows.append((what, figure, asked, _captures_command(name)))
    return rows


def _objects(runs: dict[str, Any]) -> list[Row]:
    """Rows of segmentation; figures of the tabletop are those with masks / from shape alone, of the worst object."""
    both = [runs[name] for name in ("tabletop-masks", "tabletop-shape") if name in runs]
    rows: list[Row] = []
    if len(both) == 2:
        rows += [
            (f"tabletop, masks / shape alone: {what}", " / ".join(figure(r) for r in both), asked, _objects_command())
            for what, figure, asked in _TABLETOP
        ]
    if (r := runs.get("redkitchen-shape")) and (clicked := runs.get("redkitchen-points")):
        mugs = [r["probes"][what] for what in ("patterned mug", "white mug")]
        apart = "both mugs bodies of their own" if None not in mugs and mugs[0] != mugs[1] else "mugs not told apart"
        tray = next((row for row in clicked["found"] if row["name"] == "tray"), None)
        size = " x ".join(f"{side:.0f}" for side in tray["size_cm"]) + " cm" if tray else "not found"
        figure = f"{len(r['found'])} objects, {apart}; tray {size}"
        what = "redkitchen without masks; with two clicks on the tray"
        rows.append((what, figure, "mugs apart; tray too", _objects_command("redkitchen-shape redkitchen-points")))
    if r := runs.get("rope4-left-out"):
        figure = ", ".join(f"{view['iou_tolerant']:.2f}" for view in r["views"])
        what = "rope4, each mask left out in turn: IoU with a tolerance of 2 px"
        rows.append((what, figure, "at least 0.80", _objects_command("rope4-left-out")))
    return rows


def _worst(r: dict[str, Any], key: str, pattern: str, *, least: bool = False) -> str:
    values = {name: row.get(key, 0.0) for name, row in r["objects"].items()}
    name = (min if least else max)(values, key=lambda name: values[name] if least else abs(values[name]))
    return f"{values[name]:{pattern}} ({name})"


def _of(r: dict[str, Any], name: str, key: str, pattern: str = ".1f") -> str:
    value = r["objects"][name].get(key)
    return "none" if value is None else f"{value:{pattern}}"


_TABLETOP: tuple[tuple[str, Callable[[dict[str, Any]], str], str], ...] = (
    ("IoU of projected labels, least", lambda r: _worst(r, "iou", ".3f", least=True), "at least 0.93 / 0.85"),
    ("the same on held-out views", lambda r: _worst(r, "iou_held_out", ".3f", least=True), ""),
    (
        "found, and extra ones",
        lambda r: (
            f"{sum('as' in row for row in r['objects'].values())} of {len(r['objects'])}, {len(r['extra'])} extra"
        ),
        "all, none",
    ),
    ("centre of mass off by at most, mm", lambda r: _worst(r, "com_mm", ".1f"), "3 / 6 mm"),
    (
        "volume of can, box, mug off by, %",
        lambda r: ", ".join(_of(r, name, "volume_percent", "+.1f") for name in ("can", "box", "mug")),
        "can, box: within 8 %",
    ),
    ("inertia per mass off by at most, %", lambda r: _worst(r, "inertia_percent", ".1f"), "within 15 %"),
    (
        "mug's inner wall off by, median and 95 %, mm",
        lambda r: f"{_of(r, 'mug', 'wall_median_mm')}, {_of(r, 'mug', 'wall_p95_mm')}",
        "3 and 6 mm",
    ),
    ("depth of its cavity off by, mm", lambda r: _of(r, "mug", "depth_mm", "+.1f"), "within 5 mm"),
    (
        "room of the can's collider in the mug's, mm",
        lambda r: f"{r['can_in_mug_mm']:.1f}" if "can_in_mug_mm" in r else "none",
        "fits",
    ),
    ("PSNR outside its mask when an object is removed, dB", lambda r: _worst(r, "removal_db", "+.2f"), "within 0.2 dB"),
    ("seconds", lambda r: f"{r['wall_seconds']:.0f}", "shape alone: under 60 s"),
)
"""What a row tells, how its figure is written, and what is asked."""


def _objects_command(only: str = "tabletop-masks tabletop-shape") -> str:
    return f"python tests/benchmarks/objects.py --only {only}"


def _files(stage: dict[str, Any]) -> list[Row]:
    """One row per direction: seconds of all formats at SH degree 0 and 3."""
    rows, count = [], stage.get("splats", 0)
    for key, what in (("read_s", "read"), ("write_s", "written")):
        found: dict[str, dict[int, float]] = {}
        for record in stage.get("files", ()):
            if record.get(key) is not None:
                found.setdefault(record["format"], {})[record["sh_degree"]] = record[key]
        if found:
            figure = ", ".join(f"{name} {t[0]:.2f} / {t[3]:.2f} s" for name, t in found.items() if {0, 3} <= set(t))
            what = f"{count / 1e6:g} million splats {what}, SH degree 0 / 3"
            rows.append((what, figure, "about a second", "python tests/benchmarks/files.py"))
    return rows


def _captures_command(name: str) -> str:
    return f"python tests/benchmarks/captures.py --only {name}"


def _times(scenes: dict[str, Any]) -> list[Row]:
    rows = []
    kinds = (
        ("both", "forward + all gradients", "640x480", "50k: at most 120 ms, goal 60"),
        ("forward", "forward", "640x480", ""),
        ("both", "forward + all gradients", "320x240", ""),
        ("forward", "forward", "320x240", "at most 20 ms"),
    )
    for key, what, size, wanted in kinds:
        found = {count: scenes.get(f"{count}-{size}") for count in ("10k", "50k", "200k")}
        present = {count: record for count, record in found.items() if record}
        if present:
            figure = " / ".join(f"{record['ms'][key]:.1f}" for record in present.values()) + " ms"
            rows.append((f"{what}, {size}, {' / '.join(present)} splats", figure, wanted, _render_command()))
    fox = scenes.get("fitted-fox")
    if fox:
        what = (
            f"forward + all gradients, fitted fox, {fox['width']}x{fox['height']}, {fox['splats'] / 1000:.0f}k splats"
        )
        rows.append((what, f"{fox['ms']['both']:.1f} ms", "", _render_command("fitted-fox")))
    return rows


def _ratios(scenes: dict[str, Any]) -> list[Row]:
    rows: list[Row] = []
    for name in ("50k-640x480", "50k-320x240", "fitted-fox"):
        newton = (scenes.get(name) or {}).get("newton") or {}
        modes = {mode: newton[mode] for mode in ("fast", "quality") if newton.get(mode)}
        if modes:
            figure = " / ".join(f"{mode['ratio']:.0f} x" for mode in modes.values())
            what = f"forward faster than Newton's SensorCamera ({' / '.join(modes)}), {_words(name)}"
            rows.append((what, figure, "at least 10 x", _render_command(name)))
    for name in ("50k-640x480", "fitted-fox"):
        if name in scenes:
            r = scenes[name]
            figure = f"{r['scalar']['ratio_one_thread']:.0f} x"
            what = f"blending + its gradient faster than a scalar loop, a thread each, {_words(name)}"
            rows.append((what, figure, "", _render_command(name)))
            share = f"{r['peak_percent']['raster']:.0f} % / {r['peak_percent']['raster_gradient']:.0f} %"
            what = f"share of the peak multiply-add rate, blending / its gradient, {_words(name)}"
            rows.append((what, share, "", _render_command(name)))
    return rows


def _words(name: str) -> str:
    return "fitted fox" if name == "fitted-fox" else name.replace("k-", "k splats at ")


def _render_command(scene: str = "") -> str:
    return "python tests/benchmarks/render.py" + (f" --only {scene}" if scene else "")


def _notes(results: dict[str, Any], scenes: dict[str, Any]) -> list[str]:
    machine = results["machine"]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['isa']}, no GPU; torch {machine['torch']}; "
        f"{machine['date']}, commit {machine['commit']}."
    ]
    newton = next((r["newton"] for r in scenes.values() if r.get("newton")), None)
    if scenes:
        lines.append("The seeded scenes have 8 contributing splats per pixel; times are medians of 25.")
    if newton:
        mode = newton.get("fast") or newton.get("quality")
        lines.append(
            f"Newton {mode['newton']} renders colour on one thread, since Warp on a CPU is serial; its fastest frame "
            "counts, and neither of its modes has gradients."
        )
    bounds = (results.get("render") or {}).get("bounds") or {}
    return [*lines, *(stage["sentence"] for stage in bounds.values())]
