"""What `scene3d --help` says: one paragraph, the verbs by section, and how a session looks.

The texts of verbs are the first lines of their docstrings. tyro prints the help of a single verb.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from scene3d.cli._verbs import Verb

__all__ = ["EXAMPLES", "print_help"]

DESCRIPTION = (
    "Photos of a table go in; a 3D world of Gaussian splats comes out, on a laptop CPU or on CUDA. "
    "A capture becomes a scene folder, and every other verb reads that folder."
)

NAME_WIDTH = 16
"""Width of the verbs' column, so that sections align."""

SECTIONS = ("Make a scene", "Objects", "Look at it", "Simulators", "Exchange", "Dynamics")
"""Sections in the order of work; others follow, sorted."""

EXAMPLES = (
    ("scene3d capture-check photos/desk", "will it work?"),
    ("scene3d reconstruct photos/desk", "makes outputs/desk"),
    ("scene3d info outputs/desk", "how good is it?"),
    ("scene3d render outputs/desk --cameras turntable", "fly around it"),
    ("scene3d view outputs/desk", "push things, see futures"),
    ("scene3d export outputs/desk desk.usdz", "take it to Isaac Sim"),
)


def print_help(verbs: Mapping[str, type[Verb]]) -> None:
    """Print the help on stdout."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    width = min(console.width, 100)
    usage = (
        "\nusage: ",
        ("scene3d VERB ...", "bold"),
        "    (",
        ("scene3d VERB --help", "bold"),
        " tells all about one)\n",
    )
    console.print(Text.assemble(*usage))
    console.print(textwrap.fill(DESCRIPTION, width, initial_indent="  ", subsequent_indent="  "), end="\n\n")
    sections = {verb.section for verb in verbs.values()}
    for section in [s for s in SECTIONS if s in sections] + sorted(sections - set(SECTIONS)):
        rows = [(name, _first_line(verb)) for name, verb in verbs.items() if verb.section == section]
        _print_rows(console, section, rows, "bold cyan")
    _print_rows(console, "A first session", EXAMPLES, "")
    _print_rows(console, "Options", (("-h, --help", "this text"), ("--version", "the version")), "")


def _print_rows(console: Console, heading: str, rows: Sequence[tuple[str, str]], style: str) -> None:
    from rich.text import Text

    console.print(Text(f"  {heading}", "bold"))
    column = max(NAME_WIDTH, *(len(name) for name, _ in rows))
    for name, words in rows:
        console.print(Text.assemble("    ", (name.ljust(column + 2), style), (words, "" if style else "dim")))
    console.print()


def _first_line(verb: type[Verb]) -> str:
    return (verb.__doc__ or "").strip().splitlines()[0].rstrip(".")
