"""Write the report of evaluated dynamics: evaluation.json, tosses.png and index.html, each whole or not at all."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scene3d._errors import OutputError
from scene3d.files._atomic import make_folder, write_atomic
from scene3d.report._toss_page import toss_page
from scene3d.report._toss_sheet import toss_sheet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dynamics._evaluate import Evaluation

__all__ = ["FILES", "check_folder", "write_toss_report"]

FILES = ("evaluation.json", "tosses.png", "index.html")


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """See that a report may be written there, before hours of work.

    Raises:
        OutputError: There is one already, or a file of that name.
    """
    if folder.is_file():
        raise OutputError(f"{folder} is a file; --out takes a folder.")
    taken = [name for name in FILES if (folder / name).exists()]
    if taken and not overwrite:
        raise OutputError(f"{folder / taken[0]} is there already. Use --overwrite to replace, or choose another --out.")


def write_toss_report(folder: Path, evaluation: Evaluation, document: Mapping[str, Any], title: str) -> Path:
    """Write the report and return the path of its page.

    Args:
        folder: Made if it is not there.
        evaluation: Paths to draw.
        document: Its figures, from `evaluation_document`.
        title: What was evaluated.

    Raises:
        OutputError: The folder cannot be written.
    """
    buffer = io.BytesIO()
    toss_sheet(evaluation, document, title).save(buffer, "PNG", optimize=True)
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    contents = (text.encode(), buffer.getvalue(), toss_page(evaluation, document, title).encode())
    make_folder(folder)
    for name, content in zip(FILES, contents, strict=True):
        write_atomic(folder / name, [content])
    return folder / FILES[-1]
