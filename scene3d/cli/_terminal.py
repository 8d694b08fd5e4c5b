"""Where a verb's words go: results to stdout, everything else to stderr.

With ``--json`` stdout holds exactly one JSON document; with ``--quiet`` only errors are printed. Verbs make one
`Terminal` of these two flags and print through it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

__all__ = ["Terminal"]


@dataclass(frozen=True)
class Terminal:
    """The two streams, as the flags ask for them."""

    json: bool = False
    """One JSON document on stdout."""
    quiet: bool = False
    """Nothing but errors."""

    @property
    def aside(self) -> Console:
        """The console on stderr."""
        from rich.console import Console

        return Console(stderr=True, quiet=self.quiet, highlight=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """A sentence for the user, on stderr."""
        self.aside.print(text, style="dim", markup=False)

    def result(self, document: Mapping[str, Any], title: str, lines: Sequence[tuple[str, str]]) -> None:
        """What the verb made: the document with ``--json``, else a title and lines of a name and a value.

        Lines have no frame and never wrap, so that paths and commands can be copied.
        """
        if self.json:
            print(json.dumps(document, indent=2, allow_nan=False))
        elif not self.quiet:
            self._print_lines(title, lines)

    def _print_lines(self, title: str, lines: Sequence[tuple[str, str]]) -> None:
        from rich.console import Console
        from rich.text import Text

        console = Console(highlight=False, soft_wrap=True)
        width = max((len(name) for name, _ in lines), default=0)
        console.print(Text.assemble("\n  ", (title, "bold"), "\n"))
        for name, value in lines:
            style = "bold cyan" if name == "next" else ""
            console.print(Text.assemble("  ", (name.ljust(width), "dim"), "  ", (value, style)))
        console.print()
