"""The command as a function, as the tests of scene3d's own verbs have it."""

from __future__ import annotations

from ...scene3d.cli.conftest import Command, Outcome, command

__all__ = ["Command", "Outcome", "command"]
