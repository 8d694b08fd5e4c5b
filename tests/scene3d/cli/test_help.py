"""The command's words: help texts are compared with tests/data/help, and help stays quick.

`SCENE3D_UPDATE_HELP=1 pytest tests/scene3d/cli/test_help.py` writes the texts again; read the diff.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Command

SAVED = Path(__file__).parents[2] / "data" / "help"

HEAVY = ("torch", "numpy", "cv2", "PIL", "av", "scipy", "pycolmap", "gsplat")


VERBS = (
    *("", "reconstruct", "segment", "render", "info", "convert", "simulate", "identify"),
    *("view", "export", "import", "check", "verify"),
)


@pytest.mark.parametrize("verb", VERBS)
def test_help_text(verb: str, command: Command) -> None:
    outcome = command(*([verb] if verb else []), "--help")
    path = SAVED / f"{verb or 'scene3d'}.txt"
    if os.environ.get("SCENE3D_UPDATE_HELP") == "1":
        path.write_text(outcome.out, encoding="utf-8")
    assert outcome.code == 0
    assert outcome.err == ""
    assert outcome.out == path.read_text(encoding="utf-8")


def test_no_argument_and_help_verb_print_help(command: Command) -> None:
    assert command().out == command("--help").out
    assert command("help", "render").out == command("render", "--help").out


def test_version(command: Command) -> None:
    outcome = command("--version")
    assert outcome.code == 0
    assert outcome.out.startswith("scene3d ")


@pytest.mark.parametrize(
    "statement", ["import scene3d", "from scene3d.cli import main; main(['--help']); main(['render', '--help'])"]
)
def test_nothing_heavy_is_imported(statement: str) -> None:
    code = f"import sys; {statement}; print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""


def test_public_names_resolve() -> None:
    import scene3d

    for name in scene3d.__all__:
        assert getattr(scene3d, name) is not None
    assert set(scene3d.__all__) <= set(dir(scene3d))
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = scene3d.colour  # type: ignore[attr-defined]
