"""The errors that a user can cause, as every package of this project raises them.

Each message is one or two sentences: what was found, what is accepted, what to do. They live here, in the leftmost
package, so that all packages share one base; `scene3d` adds those that concern pictures.
"""

from __future__ import annotations

__all__ = ["BodyError", "DeviceError", "FileFormatError", "OutputError", "Scene3dError", "UsageError"]


class Scene3dError(Exception):
    """Base of every error that a user can cause."""

    exit_code = 1


class BodyError(Scene3dError):
    """A mesh cannot become a body, or a body's values make no physical sense."""


class FileFormatError(Scene3dError):
    """A file is damaged, lies about its contents, or is of a kind that is not read."""


class OutputError(Scene3dError):
    """An output cannot be written, or would replace something that is there already."""


class DeviceError(Scene3dError):
    """The asked-for device or backend is not available on this machine."""


class UsageError(Scene3dError):
    """Wrong usage of a verb: contradictory or unknown options. Exits with 2, as the command-line parser does."""

    exit_code = 2
