"""How fast the viewer is: state updates sent in a second, seconds to the first picture, size of an exported page.

    .venv/bin/python tests/benchmarks/viewer.py [--splats 50000] [--bodies 8] [--fresh] [--json FILE]

A synthetic desk of so many splats and bodies is written to a temporary folder, with a rollout of 5 s in which every
body moves. Updates are counted where they arrive, by a client that speaks viser's protocol and decodes what it gets:
moments per second in which a body's pose came, for one future and with the other futures as ghosts. The first picture
is timed from the start of `scene3d view` to the moment when a headless Chromium, already running, has sorted and drawn
all splats; the median of three, and the same until the drawing can be read back, for a renderer in software lags behind
by a frame. The client and the browser run on the same cores as the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from _records import ROOT, outputs, recorded, write_json

HERE = ROOT / "tests" / "scene3d" / "viewer"
SECONDS = 5.0
WARM, COUNTED = 3.0, 8.0
"""Updates are counted for so long, after so long [s]."""
PATIENCE = 120.0
BODY = "/bodies/"
ARGUMENTS = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
)


@dataclass(frozen=True)
class ViewerSpeed:
    """Measure the viewer."""

    splats: int = 50_000
    bodies: int = 8
    futures: int = 16
    """Of the rollout whose other futures are drawn as ghosts."""
    fresh: bool = False
    """Measure again what is finished."""
    quick: bool = False
    """Few splats, to see that everything works."""
    json: Path | None = None
    """Where to write all figures."""
    serve: Annotated[Path | None, tyro.conf.arg(help="Serve a folder and play its newest rollout; used by itself.")] = (
        None
    )


def main() -> None:
    """Measure and print."""
    arguments = tyro.cli(ViewerSpeed)
    if arguments.serve is not None:
        _serve(arguments.serve)
        return
    if arguments.quick:
        arguments = replace(arguments, splats=2_000, futures=4)

    def desk() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            return measure(Path(folder), arguments)

    figures = recorded(outputs(arguments.quick) / "viewer-desk.json", arguments.fresh, desk)
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<36} {value:,}" if not isinstance(value, str) else f"{name:<36} {value}")
    if arguments.json:
        write_json(arguments.json, {"runs": {"desk": figures}})


def measure(folder: Path, arguments: ViewerSpeed) -> dict[str, Any]:
    """All figures of one scene."""
    one, many = folder / "one", folder / "many"
    splats = _write(one, arguments, 1)
    _write(many, arguments, arguments.futures)
    figures: dict[str, Any] = {"splats": splats, "bodies": arguments.bodies, "cores": len(os.sched_getaffinity(0))}
    figures["updates_per_second"] = _updates(one)
    figures["updates_per_second_ghosts"] = _updates(many)
    # A software renderer draws a frame in a second or two, so one run says little.
    pictures = sorted(_first_picture(one) for _ in range(3))
    figures["first_picture_seconds"], figures["first_picture_read_seconds"] = pictures[1]
    figures["export_bytes"] = _export(one, folder / "page.html")
    return figures


def _write(folder: Path, arguments: ViewerSpeed, futures: int) -> int:
    sys.path.insert(0, str(HERE))
    desk: Any = import_module("small_scenes")
    scene = desk.small_scene(arguments.splats, arguments.bodies)
    desk.write_small_scene(folder, scene)

    def move(future: int, time: float, poses: Any) -> None:
        for body in range(arguments.bodies):
            angle = time * (1 + 0.1 * body + 0.02 * future)
            poses[body, 0] += 0.05 * np.sin(angle)
            poses[body, 3], poses[body, 6] = np.cos(angle / 2), np.sin(angle / 2)

    world, rollout = desk.sliding(scene, move, futures=futures, seconds=SECONDS)
    desk.save_sliding(folder, world, rollout)
    return len(scene.splats)


def _serve(folder: Path) -> None:
    from scene3d.viewer import open_viewer

    viewer = open_viewer(folder, port=0, prepare=False)
    viewer.session.set_clock(playing=True)
    print(json.dumps({"url": viewer.url}), flush=True)
    try:
        viewer.wait()
    except KeyboardInterrupt:
        viewer.stop()


@contextmanager
def _running(*command: str) -> Iterator[str]:
    """A server in a process of its own; its address."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        text = ""
        while not text.rstrip().endswith("}"):
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"{' '.join(command)} ended before it served.")
            text += line
        yield json.loads(text)["url"]
    finally:
        process.terminate()
        process.wait(30)


def _updates(folder: Path) -> float:
    with _running(sys.executable, __file__, "--serve", str(folder)) as url:
        return round(asyncio.run(_count(url)), 1)


async def _count(url: str) -> float:
    """Moments per second, by the messages that arrive together."""
    import msgspec
    import viser
    import zstandard
    from websockets.asyncio.client import connect
    from websockets.typing import Subprotocol

    unpack = zstandard.ZstdDecompressor()
    counted, begin = 0, time.monotonic()
    async with connect(
        url.replace("http", "ws", 1), subprotocols=[Subprotocol(f"viser-v{viser.__version__}")], max_size=None
    ) as client:
        while time.monotonic() < begin + WARM + COUNTED:
            frame: Any = await client.recv()
            if time.monotonic() < begin + WARM:
                continue
            size, packed = np.frombuffer(bytes(frame[:16]), dtype="<u8").tolist()
            document = msgspec.msgpack.decode(unpack.decompress(bytes(frame[16 : 16 + packed]), max_output_size=size))
            counted += any(
                message.get("type") == "SetOrientationMessage" and message.get("name", "").startswith(BODY)
                for message in document["messages"]
            )
    return counted / COUNTED


def _first_picture(folder: Path) -> tuple[float, float]:
    """Until the page has sorted all splats and sent them to be drawn, and until that drawing can be read back [s]."""
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(HERE))
    scripts: Any = import_module("page_scripts")
    command = str(Path(sys.executable).with_name("scene3d"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", headless=True, args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(1000 * PATIENCE)
        begin = time.monotonic()
        with _running(command, "view", str(folder), "--port", "0", "--json") as url:
            served = time.monotonic() - begin
            page.goto(url)
            page.wait_for_function(scripts.SORTED, polling=50)
            seconds = time.monotonic() - begin
            page.evaluate(scripts.PICTURE)
            read = time.monotonic() - begin
            print(f"  address printed after {served:.1f} s", file=sys.stderr)
        browser.close()
    return round(seconds, 1), round(read, 1)


def _export(folder: Path, file: Path) -> int:
    command = str(Path(sys.executable).with_name("scene3d"))
    subprocess.run(
        [command, "view", str(folder), "--export", str(file), "--json"], check=True, stdout=subprocess.DEVNULL
    )
    return file.stat().st_size


if __name__ == "__main__":
    main()
