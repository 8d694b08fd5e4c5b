"""`scene3d view`: shows a scene and its rollouts in a browser, or writes them as one HTML file."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from tyro.conf import Positional, UseAppendAction, arg

from scene3d._errors import UsageError
from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

__all__ = ["View", "verb"]


@dataclass(frozen=True)
class View:
    """Show a scene and its rollouts in a browser: look around, push things, see what becomes of them.

    A page is served at an address of this machine until Ctrl-C. With --export a page is written instead, one file that
    plays a rollout from disk, without this program and without a network.
    """

    section: ClassVar[str] = "Look at it"

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """Scene folder."""
    rollout: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(metavar="ID", help_behavior_hint="(repeatable; default: the newest ones)"),
    ] = ()
    """Show a rollout of SCENE/rollouts, the first one at once."""
    host: Annotated[str, arg(metavar="ADDRESS")] = "127.0.0.1"
    """Address to listen at; 0.0.0.0 lets everyone in the network in."""
    port: Annotated[int, arg(metavar="N")] = 8080
    """Port to listen at; the next free one if it is taken."""
    assume_scale: Annotated[
        bool, arg(help="Take a unit of a scene without scale for a metre.", help_behavior_hint="")
    ] = False
    export: Annotated[Path | None, arg(metavar="FILE.html", help_behavior_hint="")] = None
    """Write a page that plays one rollout, and do not serve."""
    seconds: Annotated[float | None, arg(metavar="S", help_behavior_hint="(default: all)")] = None
    """With --export: only the beginning of the rollout."""
    overwrite: flags.Overwrite = False
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Serve until somebody stops it, or write the file."""
        terminal = Terminal(self.json, self.quiet)
        if self.export is not None:
            self._write(self.export, terminal)
            return 0
        if self.seconds is not None:
            raise UsageError("--seconds goes with --export FILE.html; in the page the timeline does that.")
        from scene3d.viewer import open_viewer

        # Whoever starts it in the background ends it with SIGTERM.
        before = signal.signal(signal.SIGTERM, _interrupt)
        viewer = None
        try:
            viewer = open_viewer(
                self.scene,
                rollouts=self.rollout or None,
                host=self.host,
                port=self.port,
                assume_scale=self.assume_scale,
                on_listen=lambda url, rollouts: self._say(url, rollouts, terminal),
            )
            for note in viewer.notes:
                terminal.note(note)
            viewer.wait()
        except KeyboardInterrupt:
            pass
        finally:
            signal.signal(signal.SIGTERM, before)
            if viewer is not None:
                viewer.stop()
        return 0

    def _say(self, url: str, rollouts: tuple[str, ...], terminal: Terminal) -> None:
        document = {"scene": str(self.scene), "url": url, "rollouts": list(rollouts)}
        lines = [("rollouts", ", ".join(rollouts) or "none yet"), ("stop", "Ctrl-C"), ("next", f"open {url}")]
        terminal.result(document, self.scene.resolve().name, lines)
        sys.stdout.flush()

    def _write(self, file: Path, terminal: Terminal) -> None:
        from scene3d.viewer._export_html import export_html

        if len(self.rollout) > 1:
            raise UsageError(f"A file plays one rollout, found {len(self.rollout)}. Write a file for each.")
        written = export_html(
            self.scene,
            file,
            rollout=self.rollout[0] if self.rollout else None,
            seconds=self.seconds,
            overwrite=self.overwrite,
        )
        for note in written.notes:
            terminal.note(note)
        document = {
            "scene": str(self.scene),
            "file": str(written.path),
            "bytes": written.size,
            "splats": written.splats,
            "seconds": written.seconds,
        }
        size = f"{written.size / 1e6:.1f} MB, {written.splats:,} splats, {written.seconds:.1f} s of motion"
        terminal.result(
            document, self.scene.resolve().name, [("file", size), ("next", f"open {written.path} in a browser")]
        )


verb = View


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
