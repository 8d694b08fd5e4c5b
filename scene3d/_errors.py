"""The errors that a user can cause.

Each message is one or two sentences: what was found, what is accepted, what to do. The command line prints the
message alone and exits with `exit_code`; a library caller catches `Scene3dError`.
"""

from __future__ import annotations

__all__ = [
    "CaptureError",
    "DeviceError",
    "FileFormatError",
    "FitError",
    "OutputError",
    "Scene3dError",
    "UsageError",
]


class Scene3dError(Exception):
    """Base of every error that a user can cause."""

    exit_code = 1


class CaptureError(Scene3dError):
    """A capture cannot be used: images, poses or intrinsics are missing or wrong."""


class FileFormatError(Scene3dError):
    """A file is damaged, lies about its contents, or is of a kind that is not read."""


class OutputError(Scene3dError):
    """An output cannot be written, or would replace something that is there already."""


class DeviceError(Scene3dError):
    """The asked-for device or backend is not available on this machine."""


class FitError(Scene3dError):
    """Fitting cannot go on."""


class UsageError(Scene3dError):
    """Wrong usage of a verb: contradictory or unknown options. Exits with 2, as the command-line parser does."""

    exit_code = 2
