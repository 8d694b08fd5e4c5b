"""How well `scene3d segment` finds objects and their bodies, against masks and ground truth where there are any.

    .venv/bin/python tests/benchmarks/objects.py [--only tabletop-masks] [--fresh] [--json FILE]

Each run copies a fitted scene to outputs/numbers/objects-NAME and calls the command on it in a process of its own.
tabletop-masks and tabletop-shape: the shipped capture with its instance masks and without; outlines, bodies, and what
taking each object out costs. redkitchen-shape: what is found on the table without masks; probes are pixels whose object
is known. redkitchen-points: with two clicks on the tray. rope4-left-out: four photos fitted whole, the masks of three
given, the fourth compared. Scenes come from reconstruct.py and captures.py; finished runs are kept.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from _body_scores import Truth, fit_clearance, hollow_scores, load_truth, solid_scores
from _label_iou import iou_of_labels, label_maps, match_labels, overlaps, tolerant_iou
from _records import ROOT, data_folder, outputs, recorded, write_json
from _removal_cost import removal_cost, squared_errors
from captures import runs_by_name as captures_by_name
from numpy.typing import NDArray
from reconstruct import run_command

from dynamics import TriangleMesh
from scene3d import Scene, load_scene
from scene3d._flatten import in_world
from scene3d._scene_object import SceneObject
from scene3d.files import restore_previous

TABLETOP = ROOT / "assets" / "tabletop"
SEEN = "frame-000352.color.jpg"
TRAY = ((459, 263), (441, 300))
"""Pixels of its lid and of its side in that photo."""
PROBES = {
    "patterned mug": (SEEN, 321, 255),
    "white mug": ("frame-000232.color.jpg", 255, 340),
    "tray": (SEEN, *TRAY[0]),
    "tray, its side": (SEEN, *TRAY[1]),
    "controller": (SEEN, 585, 355),
    "magazine": (SEEN, 92, 291),
    "table": (SEEN, 245, 367),
}
"""Pixels of redkitchen's photos, at full size, and what is seen there."""
TOLERANCE = 2
"""Pixels by which the masks of rope4, which were drawn around a rope a few pixels wide, may be off."""


@dataclass(frozen=True)
class Objects:
    """Measure segmentation."""

    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="RUN")] = ()
    """Runs to make, all by default."""
    fresh: bool = False
    """Run again what is finished; the scenes are not fitted again."""
    quick: bool = False
    """The tabletop as it was fitted in 5 seconds, to see that everything works."""
    json: Path | None = None
    """Where to write all figures."""


def main() -> None:
    """Make the runs that were asked for and print them."""
    arguments = tyro.cli(Objects)
    runs = runs_by_name(outputs(arguments.quick))
    if arguments.quick:
        runs = {name: run for name, run in runs.items() if name.startswith("tabletop")}
    unknown = set(arguments.only) - set(runs)
    if unknown:
        sys.exit(f"There is no run {min(unknown)}; runs are {', '.join(runs)}.")
    results = {
        name: recorded(outputs(arguments.quick) / f"objects-{name}.json", arguments.fresh, measure)
        for name, measure in runs.items()
        if not arguments.only or name in arguments.only
    }
    show(results)
    if arguments.json:
        write_json(arguments.json, {"runs": results})


def runs_by_name(folder: Path) -> dict[str, Callable[[], dict[str, Any]]]:
    """Name of each run and the function that measures it."""
    clicks = [word for u, v in TRAY for word in ("--point", f"{SEEN},{u},{v},tray")]
    return {
        "tabletop-masks": lambda: _tabletop(folder, "tabletop-masks", by_name=True),
        "tabletop-shape": lambda: _tabletop(folder, "tabletop-shape", "--no-masks"),
        "redkitchen-shape": lambda: _redkitchen(folder, "redkitchen-shape"),
        "redkitchen-points": lambda: _redkitchen(folder, "redkitchen-points", *clicks),
        "rope4-left-out": lambda: _rope(folder),
    }


def segmented(source: Path, out: Path, *flags: str) -> tuple[Scene, dict[str, Any]]:
    """Call the command on a copy of a scene; the scene, and what the command said, its seconds and its memory."""
    if not (source / "scene.yaml").is_file():
        sys.exit(f"{source} is not there; run tests/benchmarks/reconstruct.py and captures.py before.")
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(source, out)
    while load_scene(out).objects:  # Reconstruction told them apart already; the scene before that is in its history.
        restore_previous(out)
    command = [Path(sys.executable).with_name("scene3d"), "segment", out, *flags, "--json"]
    output, wall, peak = run_command(command)
    document = json.loads(output)
    return load_scene(out), {
        "command": " ".join(("scene3d segment", out.relative_to(ROOT).as_posix(), *flags)),
        "method": document["method"],
        "notes": document["notes"],
        "wall_seconds": round(wall, 1),
        "peak_mib": peak,
        "found": document["objects"],
    }


def _tabletop(folder: Path, name: str, *flags: str, by_name: bool = False) -> dict[str, Any]:
    from scene3d.segment import find_instances

    scene, figures = segmented(folder / "tabletop-default", folder / f"objects-{name}", *flags)
    photos = scene.photos()
    instances = find_instances(TABLETOP, photos)
    cameras = [photo.camera for photo in photos]
    masks = [instances.label_map(photo) for photo in photos]
    shown = label_maps(in_world(scene.splats, scene.T_world_body), scene.splats.component_index, cameras)
    names = [thing.name for thing in scene.objects]
    counts = overlaps(shown, masks)
    labels = match_labels(counts)
    if by_name:
        labels = tuple(names.index(what) + 1 if what in names else 0 for what in instances.names)
    held = [index for index, view in enumerate(scene.views) if view.held_out]
    iou_held = iou_of_labels(overlaps([shown[i] for i in held], [masks[i] for i in held]), labels)
    iou, truths = iou_of_labels(counts, labels), load_truth(TABLETOP)
    pictures = [photo.load(max(photo.camera.width, photo.camera.height)).rgb for photo in photos]
    before = squared_errors(scene, cameras, pictures)
    objects: dict[str, dict[str, Any]] = {}
    for index, (what, label) in enumerate(zip(instances.names, labels, strict=True)):
        objects[what] = {"iou": iou[index], "iou_held_out": iou_held[index]}
        if not label:
            continue
        thing, own = scene.objects[label - 1], [mask == index + 1 for mask in masks]
        cost = removal_cost(scene, thing.name, cameras, pictures, own, before)
        cost["removal_worst_view"] = photos[cost["removal_worst_view"]].name
        objects[what] |= {"as": thing.name, "kind": thing.kind, **_body(thing, truths[what]), **cost}
    things = {what: scene.objects[label - 1] for what, label in zip(instances.names, labels, strict=True) if label}
    extra = [what for index, what in enumerate(names) if index + 1 not in labels]
    return _rounded({**figures, "objects": objects, "extra": extra, **_fit(things, truths)})


def _body(thing: SceneObject, truth: Truth) -> dict[str, float]:
    mesh = in_place(thing)
    hollow = hollow_scores(truth, mesh) if "cavity_depth" in truth.dimensions else {}
    return {**solid_scores(truth, mesh), **hollow, "unseen_faces": int(thing.unseen.sum())}


def _fit(things: dict[str, SceneObject], truths: dict[str, Truth]) -> dict[str, float]:
    """How much room the can has in the mug, when both were found."""
    if not {"mug", "can"} <= set(things):
        return {}
    return {"can_in_mug_mm": fit_clearance(truths["mug"], in_place(things["mug"]), in_place(things["can"]))}


def in_place(thing: SceneObject) -> TriangleMesh:
    """Collider of an object where the object is."""
    import torch

    from dynamics.poses import matrix_from_pose

    T = matrix_from_pose(torch.tensor(thing.T_world_body, dtype=torch.float64)).numpy()
    return thing.body.mesh.moved(T[:3, :3], T[:3, 3])


def _redkitchen(folder: Path, name: str, *flags: str) -> dict[str, Any]:
    scene, figures = segmented(folder / "redkitchen", folder / f"objects-{name}", *flags)
    return _rounded({**figures, "probes": _probed(scene), "sheet": f"objects-{name}/report/objects.png"})


def _probed(scene: Scene) -> dict[str, str | None]:
    """Name of the object that is rendered at each probe, None for the background."""
    from scene3d.capture._undistort import photo_positions

    photos = {photo.name: photo for photo in scene.photos()}
    cameras = {name: photos[name].camera for name, _, _ in PROBES.values()}
    world = in_world(scene.splats, scene.T_world_body)
    maps = dict(zip(cameras, label_maps(world, scene.splats.component_index, list(cameras.values())), strict=True))
    found = {}
    for what, (name, u, v) in PROBES.items():
        photo = photos[name]
        columns, rows, _ = photo_positions(photo.camera, photo.distortion, photo.projection, photo.photo_K)
        nearest = np.argmin(np.hypot(np.asarray(columns) + 0.5 - u, np.asarray(rows) + 0.5 - v))
        label = int(maps[name].flat[nearest])
        found[what] = scene.objects[label - 1].name if label else None
    return found


def _rope(folder: Path) -> dict[str, Any]:
    source, data = folder / "rope4-whole", data_folder() / "rope4"
    if not (source / "scene.yaml").is_file():
        recorded(folder / "rope4-whole.json", True, captures_by_name(folder, ())["rope4-whole"])
    left_out = [_left_out(source, data, folder / f"objects-rope4-{index}", index) for index in range(4)]
    return _rounded({"views": left_out, "least_iou": min(view["iou_tolerant"] for view in left_out)})


def _left_out(source: Path, data: Path, out: Path, index: int) -> dict[str, Any]:
    """Segment with three masks and compare with the fourth."""
    given = out.with_name(f"{out.name}-masks")
    shutil.rmtree(given, ignore_errors=True)
    (given / "rope").mkdir(parents=True)
    for other in set(range(4)) - {index}:
        shutil.copyfile(data / f"mask_{other}.png", given / "rope" / f"img_{other}.png")
    scene, figures = segmented(source, out, "--masks", str(given))
    camera = next(photo.camera for photo in scene.photos() if photo.name == f"img_{index}.png")
    world = in_world(scene.splats, scene.T_world_body)
    found = label_maps(world, scene.splats.component_index, [camera])[0] == scene.index("rope") + 1
    mask = _white(data / f"mask_{index}.png")
    return {
        **figures,
        "left_out": f"img_{index}.png",
        "iou": tolerant_iou(found, mask, 0),
        "iou_tolerant": tolerant_iou(found, mask, TOLERANCE),
    }


def _white(path: Path) -> NDArray[np.bool_]:
    from PIL import Image

    return np.asarray(Image.open(path).convert("L")) > 127


def _rounded(value: Any) -> Any:
    """The same with numbers of four decimals."""
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_rounded(entry) for entry in value]
    return round(float(value), 4) if isinstance(value, float | np.floating) else value


def show(results: dict[str, Any]) -> None:
    """Print tables for people."""
    from rich.console import Console

    console = Console(width=150)
    for name, r in results.items():
        if "objects" in r:
            console.print(_object_table(name, r))
        for view in r.get("views", ()):
            iou = f"IoU {view['iou']:.3f}, with {TOLERANCE} px tolerance {view['iou_tolerant']:.3f}"
            console.print(f"{name}, {view['left_out']}: {iou}, {view['wall_seconds']:.0f} s")
        if "probes" in r:
            console.print(f"{name}: {len(r['found'])} objects, {r['wall_seconds']:.0f} s; probes:")
            for what, thing in r["probes"].items():
                console.print(f"  {what}: {thing or 'background'}")
            console.print("  " + "; ".join(f"{row['name']} {_size(row['size_cm'])}" for row in r["found"]))


def _object_table(name: str, r: dict[str, Any]) -> Any:
    from rich.table import Table

    keys = ("iou", "iou_held_out", "com_mm", "volume_percent", "inertia_percent", "removal_db", "removal_worst_db")
    hollow = ("wall_median_mm", "wall_p95_mm", "depth_mm")
    room = f", can in mug {r['can_in_mug_mm']:.2f} mm" if "can_in_mug_mm" in r else ""
    caption = f"{r['method']}, {r['wall_seconds']:.0f} s, extra: {', '.join(r['extra']) or 'none'}{room}"
    table = Table("object", *(key.replace("_", "\n", 1) for key in keys + hollow), title=name, caption=caption)
    for what, row in r["objects"].items():
        table.add_row(what, *(f"{row[key]:.3f}" if key in row else "" for key in keys + hollow))
    return table


def _size(sides: Sequence[float] | None) -> str:
    return " x ".join(f"{side:.1f}" for side in sides) + " cm" if sides else "?"


if __name__ == "__main__":
    main()
