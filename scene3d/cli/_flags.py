"""Flags that mean the same in every verb.

A verb is a dataclass whose fields are its flags; these are the types of the fields that verbs share, so that their
names, values and help texts are written once. Fields of a verb's own have their help in the docstring below them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

__all__ = ["Config", "Device", "Json", "Overwrite", "Quiet", "Resume", "Seed"]

Overwrite = Annotated[bool, arg(help="Replace what is there already.", help_behavior_hint="")]
Resume = Annotated[bool, arg(help="Go on with what was interrupted there.", help_behavior_hint="")]
Device = Annotated[Literal["cpu", "cuda"], arg(metavar="cpu|cuda", help="Where to compute.")]
Seed = Annotated[int, arg(metavar="N", help="Seed of everything random.")]
Config = Annotated[Path | None, arg(metavar="FILE.yaml", help_behavior_hint="")]
Json = Annotated[bool, arg(help="Print one JSON document on stdout, all else on stderr.", help_behavior_hint="")]
Quiet = Annotated[bool, arg(help="Print errors only (and the JSON document, if asked for).", help_behavior_hint="")]
