"""The command `scene3d`: finds the verb, lets tyro parse its flags, runs it, and turns errors into words.

`main` is the whole command. A verb is a dataclass in a file of its own (see `_verbs.py`) that parses, calls the library
and prints; it is the only one that is imported, so that help stays quick. Exit codes: 0 done, 1 failed, 2 wrong usage,
130 stopped by Ctrl-C. `SCENE3D_DEBUG=1` shows tracebacks.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from scene3d._errors import Scene3dError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments without the program's name; None takes the process's.

    Returns:
        The exit code.
    """
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except SystemExit as stop:  # tyro printed help (0) or a usage error (2).
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # The reader of our output (head, less) has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get("SCENE3D_DEBUG") == "1":
            raise
        return _say(error)


def _run(args: list[str]) -> int:
    from scene3d.cli._verbs import find_verb, load_verbs

    if not args or args[0] in ("-h", "--help", "help"):
        from scene3d.cli._help import print_help

        if args[1:]:  # `scene3d help VERB`.
            return _run([args[1], "--help"])
        print_help(load_verbs())
        return 0
    if args[0] == "--version":
        from scene3d import __version__

        print(f"scene3d {__version__}")
        return 0
    if args[0].startswith("-"):
        raise UsageError(
            f"There is no option '{args[0]}' before the verb. Write scene3d VERB OPTIONS; see `scene3d --help`."
        )
    verb = find_verb(args[0])
    import tyro

    markers = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes)
    # A verb whose flags have an order among them numbers their values before tyro sorts them by flag.
    arrange = getattr(verb, "arrange", None)
    words = args[1:] if arrange is None else arrange(args[1:])
    command = tyro.cli(verb, prog=f"scene3d {args[0]}", args=words, config=markers)
    return command.run() or 0


def _say(error: Exception) -> int:
    """One message on stderr; returns the exit code."""
    if isinstance(error, Scene3dError):
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    kind = type(error).__name__
    print(
        f"error: {kind}: {error}\nThis is a bug in scene3d; SCENE3D_DEBUG=1 shows where it happened.", file=sys.stderr
    )
    return 1
