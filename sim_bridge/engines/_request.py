"""What engines are asked and what they answer: a request as JSON in, an answer as JSON out, by a process of their own.

A request names an engine, its model, the rigid bodies, the length of a step, and phases. A phase begins from poses at
rest, takes some steps, and says after which of them bodies are read; nothing carries over from one to the next:

    {"engine": "physx", "model": FILE, "dt": 0.0042, "bodies": [{"name": "mug", "path": "/World/mug"}],
     "phases": [{"name": "rest", "stage": FILE, "poses": {"mug": [x, y, z, qw, qx, qy, qz]}, "steps": 480,
                 "read": [240, 480]}]}

Engines that read USD load a phase's ``stage``, a layer over the model that holds its poses; others take ``model`` and
``poses``, and call a body by its ``model_name`` where it has one. Answers hold what the engine itself holds of each
body, about the centre of mass and in the body's axes, and per phase poses of body frames, velocities of centres of mass
and angular velocities, in world axes:

    {"engine": ..., "version": ..., "seconds": {"start": s, "run": s}, "notes": [...],
     "bodies": {"mug": {"mass": m, "com": [3], "inertia": [9], "friction": f, "static_friction": f | null,
                        "restitution": e | null}},
     "phases": {"rest": {"poses": {"mug": [[7], ...]}, "twists": {"mug": [[6], ...] | null},
                         "asleep": {"mug": true | false | null}}}}

Of deformables ``path`` is the geometry that is simulated, and answers hold how many particles and cells the engine made
of it, how far matter reaches beyond particles, and per phase centres of mass at the start and where they are read, the
velocity of the centre of mass at the end, and where particles are then:

    "bodies": {"rope": {"mass": m, "particles": n, "cells": n, "radius": r}},
    "phases": {"rest": {"begun": {"rope": [3]}, "coms": {"rope": [[3], ...]}, "speeds": {"rope": [3]},
                        "points": {"rope": [[3], ...]}}}

A worker that lacks its engine exits with 3. One that hangs is ended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scene3d._errors import Scene3dError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ABSENT", "EngineAbsentError", "EngineError", "ask"]

ABSENT = 3
"""Exit status of a worker whose engine is not installed."""
LINES = 6
"""So many of the last lines of a failed worker are shown."""
LARGEST = 1 << 28
"""An answer has at most so many bytes."""


class EngineError(Scene3dError):
    """An engine failed: it stopped, took too long, or answered what is no answer."""


class EngineAbsentError(EngineError):
    """The interpreter is there, but the engine is not installed in it."""


def ask(python: Path, worker: Path, request: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
    """Run a worker on a request.

    Args:
        python: Interpreter that has the engine.
        worker: Script.
        request: As above.
        seconds: The worker is ended when it takes longer.

    Returns:
        The answer.

    Raises:
        EngineAbsentError: The engine is not installed in that interpreter.
        EngineError: The worker failed, took too long, or left no answer.
    """
    with tempfile.TemporaryDirectory(prefix="scene3d-engine-") as name:
        folder = Path(name)
        said, answered = folder / "stderr", folder / "answer.json"
        (folder / "request.json").write_text(json.dumps(request, allow_nan=False), encoding="utf-8")
        # -I keeps out what PYTHONPATH and the working directory would bring in: this must be the engine's own Python.
        command = [str(python), "-I", str(worker), str(folder / "request.json"), str(answered)]
        status = _run(command, said, seconds)
        last = _last_lines(said)
        if status == ABSENT:
            raise EngineAbsentError(f"{python} does not have it ({last.splitlines()[-1] if last else 'no reason'}).")
        if status is None:
            raise EngineError(f"{request['engine']} was ended after {seconds:g} s. It last said:\n{last}")
        if status != 0 or not answered.is_file() or answered.stat().st_size > LARGEST:
            raise EngineError(f"{request['engine']} failed with exit status {status}. It last said:\n{last}")
        try:
            return json.loads(answered.read_text(encoding="utf-8"))
        except ValueError as error:
            raise EngineError(f"{request['engine']} left an answer that is no JSON ({error}).") from error


def _run(command: list[str], said: Path, seconds: float) -> int | None:
    """Exit status, None when the time was up."""
    with said.open("wb") as errors:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        except OSError as error:
            raise EngineError(f"{command[0]} cannot be started ({error.strerror}).") from error
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a worker and what it started, also when the user pressed Ctrl-C."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _last_lines(said: Path) -> str:
    with said.open("rb") as file:
        file.seek(max(0, said.stat().st_size - 10_000))
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join([line for line in text.splitlines() if line.strip()][-LINES:])
