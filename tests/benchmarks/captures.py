"""What becomes of captures of all kinds: photos without poses, RGB-D, a video, markers, and captures without scale.

    .venv/bin/python tests/benchmarks/captures.py [--only fox-photos] [--fresh] [--json FILE]

Each run is the command itself in a process of its own. fox-photos: the photos alone. redkitchen: RGB-D with poses;
redkitchen-video: a video made of its frames, without depth and poses. tabletop-lost: the shipped capture after its
scale, its axes and its origin were taken away, scale from the printed marker and gravity from the table, measured
against what was taken. tabletop-photos: the same from the photos alone. tabletop-size: the lost capture fitted without
the marker, then scaled by the length of the box. rope4: four photos, with
masks and whole. Scenes go to outputs/numbers/NAME; finished runs are kept.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from _lost_capture import lose_the_world, world_errors
from _records import ROOT, data_folder, outputs, recorded, write_json
from _rope_capture import write_rope_capture
from reconstruct import run_command

TABLETOP = ROOT / "assets" / "tabletop"
MARKER_SIZE, BOX_LENGTH = "0.08", "box=0.18"
LOST_SCALE = 0.37
FAST = ("--preset", "fast")
"""Scale and gravity are found before the fit, so a quick one will do."""
VIDEO_RATE = 15
"""Frames per second of the video; the frames were taken at 3.75 a second, the camera moves four times as fast."""


@dataclass(frozen=True)
class Captures:
    """Measure captures of all kinds."""

    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="RUN")] = ()
    """Runs to make, all by default."""
    fresh: bool = False
    """Run again what is finished."""
    quick: bool = False
    """Fits of 5 seconds, to see that everything works."""
    json: Path | None = None
    """Where to write all figures."""


def main() -> None:
    """Make the runs that were asked for and print their figures."""
    arguments = tyro.cli(Captures)
    runs = runs_by_name(outputs(arguments.quick), ("--seconds", "5") if arguments.quick else ())
    unknown = set(arguments.only) - set(runs)
    if unknown:
        sys.exit(f"There is no run {min(unknown)}; runs are {', '.join(runs)}.")
    results = {
        name: recorded(outputs(arguments.quick) / f"{name}.json", arguments.fresh, measure)
        for name, measure in runs.items()
        if not arguments.only or name in arguments.only
    }
    print(json.dumps(results, indent=1))
    if arguments.json:
        write_json(arguments.json, {"runs": results})


def runs_by_name(folder: Path, extra: tuple[str, ...]) -> dict[str, Callable[[], dict[str, Any]]]:
    """Name of each run and the function that measures it."""
    data = data_folder()
    return {
        "fox-photos": lambda: reconstructed(data / "fox" / "images", folder / "fox-photos", *extra),
        "redkitchen": lambda: reconstructed(data / "redkitchen", folder / "redkitchen", *extra),
        "redkitchen-video": lambda: reconstructed(_video(folder, data), folder / "redkitchen-video", *extra),
        "tabletop-lost": lambda: _lost(folder, "tabletop-lost", *FAST, *extra, "--marker-size", MARKER_SIZE),
        "tabletop-photos": lambda: _photos(folder, *extra),
        "tabletop-size": lambda: _size(folder, *FAST, *extra),
        "rope4": lambda: reconstructed(write_rope_capture(data / "rope4", folder / "rope4-masked"), folder / "rope4"),
        "rope4-whole": lambda: reconstructed(
            write_rope_capture(data / "rope4", folder / "rope4-photos", masks=False), folder / "rope4-whole"
        ),
    }


def reconstructed(capture: Path, out: Path, *flags: str) -> dict[str, Any]:
    """Call the command; figures of its report, what became of the photos, and the time."""
    shutil.rmtree(out / "capture", ignore_errors=True)  # Poses that were solved before would be taken up.
    command = [Path(sys.executable).with_name("scene3d"), "reconstruct", capture, "--out", out, *flags]
    output, wall, peak = run_command([*command, "--overwrite", "--json"])
    document = json.loads(output)
    metrics = json.loads((out / "report" / "metrics.json").read_text(encoding="utf-8"))
    poses = out / "capture" / "poses.json"
    photos = json.loads(poses.read_text(encoding="utf-8"))["photos"] if poses.is_file() else []
    keys = ("psnr", "ssim", "train_psnr", "seconds", "steps", "splats", "width", "height", "depth_error")
    return {
        "command": " ".join(("scene3d reconstruct", _shown(capture), *flags)),
        "placed": sum(photo["placed"] for photo in photos),
        "photos": len(photos),
        "held_out": sum(image["held_out"] for image in metrics["images"]),
        **{key: metrics[key] for key in (*keys, "depth_error_p90")},
        "wall_seconds": round(wall, 1),
        "peak_mib": peak,
        "notes": document["notes"],
    }


def _lost(folder: Path, name: str, *flags: str) -> dict[str, Any]:
    capture = lose_the_world(TABLETOP, folder / "lost-tabletop", scale=LOST_SCALE, seed=0)
    figures = reconstructed(capture, folder / name, *flags)
    return {**figures, **world_errors(folder / name, TABLETOP)}


def _photos(folder: Path, *flags: str) -> dict[str, Any]:
    out = folder / "tabletop-photos"
    figures = reconstructed(TABLETOP / "images", out, *flags, "--marker-size", MARKER_SIZE)
    return {**figures, **world_errors(out, TABLETOP)}


def _size(folder: Path, *flags: str) -> dict[str, Any]:
    figures = _lost(folder, "tabletop-size", *flags)
    out = folder / "tabletop-size"
    run_command([Path(sys.executable).with_name("scene3d"), "scale", out, "--size", BOX_LENGTH, "--json"])
    command = f"{figures['command']}; scene3d scale {_shown(out)} --size {BOX_LENGTH}"
    return {**figures, "command": command, **world_errors(out, TABLETOP)}


def _video(folder: Path, data: Path) -> Path:
    """An H.264 video of redkitchen's colour frames."""
    import av

    path = folder / "redkitchen.mp4"
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    draft = path.with_name("part.mp4")
    with av.open(str(draft), "w") as container:
        stream = container.add_stream("libx264", rate=VIDEO_RATE, options={"crf": "16"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for photo in sorted((data / "redkitchen").glob("*.color.jpg")):
            from PIL import Image

            for packet in stream.encode(av.VideoFrame.from_ndarray(np.asarray(Image.open(photo)), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    draft.rename(path)
    return path


def _shown(path: Path) -> str:
    import os

    return Path(os.path.relpath(path, ROOT)).as_posix()


if __name__ == "__main__":
    main()
