"""Finished measurements as files, so that hours of them can be interrupted and gone on with.

A measurement is one JSON document, written when it is complete and taken from there by later calls. It remembers the
commit that it was made at; a ``+`` behind it stands for sources that were not committed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
REGENERATED = (":!README.md", ":!tests/benchmarks/results.json")


def outputs(quick: bool) -> Path:
    """Where measurements are kept."""
    return ROOT / "outputs" / ("numbers-quick" if quick else "numbers")


def data_folder() -> Path:
    """The real recordings."""
    return Path(os.environ.get("SCENE3D_DATA", ROOT.parent / "shared" / "data")).resolve()


def say(text: str) -> None:
    """Tell the user on stderr, where it is not mistaken for a result."""
    print(text, file=sys.stderr, flush=True)


def recorded(path: Path, fresh: bool, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the file holds; measured and written first when there is none or `fresh` asks for it."""
    if path.is_file() and not fresh:
        say(f"{path.stem}: taken from {path.relative_to(ROOT)}; --fresh measures again")
        return json.loads(path.read_text(encoding="utf-8"))
    say(f"{path.stem}: measuring")
    record = {**measure(), "commit": commit()}
    write_json(path, record)
    return record


def write_json(path: Path, document: Any) -> None:
    """Write whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    draft.replace(path)


def commit() -> str:
    """The commit of the sources, "unknown" outside git."""
    head = _git("rev-parse", "--short", "HEAD")
    if not head:
        return "unknown"
    return head + ("+" if _git("status", "--porcelain", "--", ".", *REGENERATED) else "")


def _git(*arguments: str) -> str:
    command = ["git", "--no-optional-locks", *arguments]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
