"""The bar of `scene3d reconstruct`: stage, bar, iterations/s, PSNR so far, splats, time left.

`fit` calls back with a `FitProgress`; a terminal shows a bar that moves, a log file gets a line now and then.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scene3d.cli._terminal import Terminal
    from scene3d.fit import FitProgress

__all__ = ["fit_progress", "in_words"]

SECONDS_BETWEEN_LINES = 15.0
"""How often a log that is no terminal gets a line."""


@contextmanager
def fit_progress(terminal: Terminal) -> Iterator[Callable[[FitProgress], None]]:
    """A callback for `fit` that shows how it goes on stderr."""
    console = terminal.aside
    if not console.is_terminal:
        yield _lines(terminal)
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("  {task.fields[stage]:<10}"), BarColumn(bar_width=None), TextColumn("{task.fields[words]}"))
    with Progress(*columns, console=console, transient=True, expand=True) as progress:
        task = progress.add_task("fit", total=1.0, stage="preparing", words="")

        def update(p: FitProgress) -> None:
            progress.update(task, completed=done(p), stage=p.stage, words=in_words(p))

        yield update


def done(p: FitProgress) -> float:
    """Share of the work that is done, in [0, 1]: by steps or by time, whichever is further."""
    by_steps = p.step / p.steps if p.steps else 0.0
    by_time = p.seconds / p.budget_seconds if p.budget_seconds else 0.0
    return min(1.0, max(by_steps, by_time))


def in_words(p: FitProgress) -> str:
    """The figures beside the bar; none while photos are read and matched, before there is anything to measure."""
    if math.isnan(p.psnr):
        return ""
    return (
        f"{p.iterations_per_second:5.1f} it/s  {p.psnr:5.2f} dB  {p.splats / 1000:6.1f}k splats  "
        f"{_clock(p.eta_seconds)} left"
    )


def _clock(seconds: float) -> str:
    if not 0 <= seconds < 1e6:  # Unknown (NaN, infinite) while the first steps are timed.
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _lines(terminal: Terminal) -> Callable[[FitProgress], None]:
    last = -SECONDS_BETWEEN_LINES

    def update(p: FitProgress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            terminal.note(f"{p.stage}: {100 * done(p):.0f} %  {in_words(p)}" if in_words(p) else f"{p.stage} ...")

    return update
