"""Where engines live: a name in, the interpreter and the worker that run it out, or the line that installs it.

PhysX and Newton have environments of their own, because their pins differ from ours and PhysX' USD cannot share a
process with usd-core. `make engines` makes both beside the checkout; SCENE3D_PHYSX_PYTHON and SCENE3D_NEWTON_PYTHON
name other interpreters. MuJoCo runs in our own interpreter, in a process of its own; our dynamics run in this very
process.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from scene3d._errors import DeviceError, UsageError

__all__ = ["ENGINES", "Engine", "engine", "find_python", "install_line"]

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent


@dataclass(frozen=True)
class Engine:
    """A physics engine as this project runs it."""

    name: str
    """As `verify --engine` takes it."""
    title: str
    """For people."""
    worker: str | None = None
    """Script that runs it; None for our own dynamics."""
    variable: str | None = None
    """Environment variable that names its interpreter; None for our own interpreter."""
    folder: str | None = None
    """Environment that `make engines` makes."""
    packages: str = ""
    """What pip installs."""
    licence: str = ""
    """Said with the line that installs it."""
    exact_flight: bool = False
    """Whether free flight has second order; else it may be off by gravity x step x time."""
    reads_usd: bool = True
    """Whether it loads the stage itself."""
    soft: bool = False
    """Whether it is there for deformable objects, else for rigid ones."""
    deformables: str = ""
    """What becomes of deformable objects in an engine that is there for rigid ones."""


NEWTON = "'newton[sim]' scipy usd-core newton-usd-schemas"
NEWTON_PYTHON = ("SCENE3D_NEWTON_PYTHON", ".venv-newton", NEWTON)
NVIDIA = " ovphysx is proprietary software of NVIDIA under its own licence (1.1 GB)."
ELSEWHERE = "left out: Newton VBD moves them"
ENGINES: tuple[Engine, ...] = (
    Engine(
        "physx",
        "PhysX",
        "_physx_worker.py",
        "SCENE3D_PHYSX_PYTHON",
        ".venv-physx",
        "ovphysx physx-usd-schemas newton-usd-schemas",
        NVIDIA,
        exact_flight=True,
        deformables="left out: PhysX moves them on a CUDA device only and this proof runs on the CPU",
    ),
    Engine("newton-xpbd", "Newton XPBD", "_newton_worker.py", *NEWTON_PYTHON, deformables=ELSEWHERE),
    Engine("newton-mujoco", "Newton MuJoCo", "_newton_worker.py", *NEWTON_PYTHON, deformables=ELSEWHERE),
    Engine("newton-vbd", "Newton VBD", "_newton_worker.py", *NEWTON_PYTHON, soft=True),
    Engine(
        "mujoco",
        "MuJoCo (MJCF)",
        "_mujoco_worker.py",
        packages="mujoco",
        reads_usd=False,
        deformables="static colliders in their rest shape",
    ),
    Engine("own", "scene3d", exact_flight=True, reads_usd=False, deformables="standing still"),
)


def engine(name: str) -> Engine:
    """The engine of that name.

    Raises:
        UsageError: There is none.
    """
    found = next((candidate for candidate in ENGINES if candidate.name == name), None)
    if found is None:
        known = ", ".join(candidate.name for candidate in ENGINES)
        raise UsageError(f"There is no engine {name!r}. Engines are {known}.")
    return found


def install_line(which: Engine) -> str:
    """The line that installs an engine, and whose software it is."""
    if which.variable is None:
        return f"Install it with: pip install {which.packages}."
    folder = which.folder or ""
    by_hand = f"python -m venv {folder} && {folder}/bin/python -m pip install {which.packages}"
    return (
        f"Install it with `make engines`, or without a checkout: {by_hand}. "
        f"{which.variable} names another interpreter.{which.licence}"
    )


def find_python(which: Engine) -> Path:
    """The interpreter of an engine.

    Raises:
        DeviceError: It is not installed; the message has the line that installs it.
        UsageError: The environment variable names no file.
    """
    if which.variable is None or which.folder is None:
        if importlib.util.find_spec("mujoco") is None:
            raise DeviceError(f"{which.title} is not installed. {install_line(which)}")
        return Path(sys.executable)
    named = os.environ.get(which.variable)
    if named:
        if not Path(named).is_file():
            raise UsageError(f"{which.variable} is {named}, which is no file. Set it to a Python that has the engine.")
        return Path(named).absolute()
    place = Path("Scripts", "python.exe") if os.name == "nt" else Path("bin", "python")
    for beside in (CHECKOUT, Path.cwd()):
        found = beside / which.folder / place
        if found.is_file():
            return found
    raise DeviceError(f"{which.title} is not installed. {install_line(which)}")
