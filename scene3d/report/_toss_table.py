"""The table of evaluated dynamics in words: one row per model, each figure with half the width of its interval.

The terminal, the picture sheet and the page all show these cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Column", "columns_of", "figure_lines", "model_cells", "name_of", "print_toss_table"]

Column = tuple[str, str, str, float]
"""Field of the document, heading, unit, factor of what is shown."""
COLUMNS: tuple[Column, ...] = (
    ("position_percent", "position", "% width", 1.0),
    ("rotation_deg", "rotation", "deg", 1.0),
    ("rotation_deg_median", "median", "deg", 1.0),
    ("right_face", "right", "face %", 100.0),
    ("final_position_percent", "final", "% width", 1.0),
    ("final_rotation_deg", "final", "deg", 1.0),
    ("penetration_percent", "sunk in", "% width", 1.0),
)
JOINT: Column = ("joint_deg", "joint", "deg", 1.0)


def columns_of(document: Mapping[str, Any]) -> tuple[Column, ...]:
    """The columns that the models of a document have."""
    return (*COLUMNS, JOINT) if any("joint_deg" in row for row in document["models"]) else COLUMNS


def model_cells(row: Mapping[str, Any], columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Figure and half its interval of each column."""
    cells: list[tuple[str, str]] = []
    for name, _, _, factor in columns:
        value = row[name]
        figure, half = factor * value["mean"], 0.5 * factor * (value["high"] - value["low"])
        digits = 2 if name == "penetration_percent" else 1
        cells.append((_short(figure, digits), _short(half, digits if half < 9.95 else 0)))
    return cells


def _short(value: float, digits: int) -> str:
    """Decimals as far as there is room for them."""
    return f"{value:.{digits}f}" if value < 9.95 else f"{value:.{min(digits, 1)}f}" if value < 99.95 else f"{value:.0f}"


def name_of(row: Mapping[str, Any]) -> str:
    """The model's name; a star marks figures of tosses that it was trained on."""
    return row["model"] + (" *" if row["in_sample"] else "")


def figure_lines(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the table cannot hold, as lines of a name and a value."""
    lines: list[tuple[str, str]] = []
    gains = document["gains"]
    if gains is not None:
        position, turned = gains["position_percent"], gains["rotation_deg_median"]
        lines.append(("network over identified physics", f"{_interval(position)} % of width closer"))
        lines.append(("", f"{_interval(turned)} deg closer in the median"))
    stated = document["uncertainty"]
    if stated is not None:
        nominal = f"{100 * stated['nominal']:.0f} % intervals"
        for part in ("position", "rotation"):
            found = ", ".join(f"{100 * row[part]['mean']:.0f} % at {_when(row['at'])}" for row in stated["coverage"])
            lines.append((f"{nominal} of {part}" if part == "position" else f"{'':{len(nominal)}} of {part}", found))
        crps = f"{stated['crps_position_percent']['mean']:.1f} % of width"
        alone = stated["deterministic_position_percent"]
        lines.append(("CRPS of position", crps if alone is None else f"{crps}; one future errs by {alone['mean']:.1f}"))
    if document["support"] is not None:
        lines.append(("contacts in the network's support", f"{100 * document['support']:.0f} %"))
    return lines


def print_toss_table(document: Mapping[str, Any], title: str) -> None:
    """Print the table on stdout; it fits 100 columns."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    columns = columns_of(document)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    table.add_column("\nmodel", no_wrap=True)
    for _, heading, unit, _ in columns:
        table.add_column(f"{heading}\n{unit}", justify="right", no_wrap=True)
    best = document["uncertainty"]["model"] if document["uncertainty"] else "physics_network"
    for row in document["models"]:
        cells = [Text.assemble(figure, (f" \xb1{half}", "dim")) for figure, half in model_cells(row, columns)]
        table.add_row(Text(name_of(row), style="bold" if row["model"] == best else ""), *cells)
    console.print(Text.assemble("\n  ", (title, "bold"), "\n"))
    wide = Console(highlight=False, width=max(console.width, 100))
    wide.print(Padding(table, (0, 0, 0, 2)))
    lines = figure_lines(document)
    width = max((len(name) for name, _ in lines), default=0)
    console.print()
    for name, value in lines:
        console.print(Text.assemble("  ", (name.ljust(width), "dim"), "  ", value))
    console.print()
    console.print(Text("  \xb1 is half of the 95 % bootstrap interval over tosses.", style="dim"))
    for note in document["notes"]:
        console.print(Text(f"  {note}", style="dim"))
    console.print()


def _interval(value: Mapping[str, float]) -> str:
    return f"{value['mean']:.2f} ({value['low']:.2f} to {value['high']:.2f})"


def _when(at: str) -> str:
    return "the end" if at == "end" else at
