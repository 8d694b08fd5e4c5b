"""`scene3d check`: what is wrong with a USD file, and how to mend it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tyro.conf import Positional, arg

from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim_bridge.usd import Finding

__all__ = ["Check", "verb"]

SHOWN = 5
"""Findings of one rule that are shown one by one; the JSON document has all."""


@dataclass(frozen=True)
class Check:
    """Say what is wrong with a USD file before a simulator does.

    USD's own validators, the rules for Gaussian splats, and what makes engines disagree: masses, colliders, hulls,
    scales, units, ground. Each finding comes with what to do. The exit code is 1 when there are errors.
    """

    section: ClassVar[str] = "Simulators"

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """.usd, .usda, .usdc or .usdz, of scene3d or of another program."""
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Check and print."""
        from sim_bridge.usd import check_usd

        findings = check_usd(self.file)
        errors = sum(finding.severity == "error" for finding in findings)
        document: dict[str, Any] = {
            "path": str(self.file),
            "errors": errors,
            "warnings": len(findings) - errors,
            "findings": [asdict(finding) for finding in findings],
        }
        Terminal(self.json, self.quiet).result(document, str(self.file), _lines(findings, errors))
        return 1 if errors else 0


verb = Check


def _lines(findings: Sequence[Finding], errors: int) -> list[tuple[str, str]]:
    """A verdict, then each finding: rule and prim, what was found, what to do."""
    if not findings:
        return [("verdict", "nothing wrong was found")]
    rows = [("verdict", f"{_counted(errors, 'error')}, {_counted(len(findings) - errors, 'warning')}")]
    shown: Counter[tuple[str, str]] = Counter()
    totals = Counter((finding.severity, finding.rule) for finding in findings)
    for finding in findings:
        key = (finding.severity, finding.rule)
        shown[key] += 1
        if shown[key] > SHOWN:
            continue
        rows += [
            ("", ""),
            (finding.severity, f"{finding.rule}  {finding.prim}"),
            ("found", finding.message),
            ("fix", finding.hint),
        ]
        if shown[key] == SHOWN and totals[key] > SHOWN:
            rows.append(("more", f"{totals[key] - SHOWN} of the same kind; --json lists all"))
    return rows


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
