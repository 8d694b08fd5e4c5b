"""The errors that a user can cause.

Each message is one or two sentences: what was found, what is accepted, what to do. The command line prints the
message alone and exits with `exit_code`; a library caller catches `Scene3dError`. Those that do not concern pictures
are shared with `dynamics`.
"""

from __future__ import annotations

from dynamics._errors import BodyError, DeviceError, FileFormatError, OutputError, Scene3dError, UsageError

__all__ = [
    "BodyError",
    "CaptureError",
    "DeviceError",
    "FileFormatError",
    "FitError",
    "OutputError",
    "Scene3dError",
    "SegmentError",
    "UsageError",
]


class CaptureError(Scene3dError):
    """A capture cannot be used: images, poses or intrinsics are missing or wrong."""


class FitError(Scene3dError):
    """Fitting cannot go on."""


class SegmentError(Scene3dError):
    """Objects cannot be told apart, or one that was asked for is not there."""
