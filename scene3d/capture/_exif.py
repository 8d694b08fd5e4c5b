"""What a camera wrote beside a photo: focal length, which lens, when.

EXIF [CIPA DC-008] is a table of numbers that anybody may have edited or cut off, so every value is doubted: what is
absent, zero, no number, or gives an impossible focal length counts as unknown.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scene3d.capture._decode import DAMAGE, quiet

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Exif", "read_exif"]

FILM_WIDTH = 36.0
"""Width of 35 mm film, which equivalent focal lengths refer to [mm]."""
MILLIMETRES_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 1e-3}
"""Focal plane resolution is per inch, centimetre, millimetre or micrometre."""
FOCAL_RANGE = (0.2, 30.0)
"""Possible focal lengths in longest sides of the photo."""
TIME = re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")


@dataclass(frozen=True)
class Exif:
    """The entries of one photo that structure from motion can use."""

    focal: float | None = None
    """Focal length [px of the stored photo]; None when unknown."""
    lens: str = ""
    """Equal for photos of one camera, lens and zoom; empty when unknown."""
    taken: str = ""
    """Time of exposure, ``YYYY:MM:DD HH:MM:SS`` and perhaps a fraction, sortable; empty when unknown."""


def read_exif(image: Image) -> Exif:
    """Entries of an opened photo; damage is as good as absence."""
    from PIL.ExifTags import IFD, Base

    try:
        with quiet():
            main = image.getexif()
            table: dict[int, Any] = {**main, **main.get_ifd(IFD.Exif)}
    except DAMAGE:
        return Exif()

    def text(tag: int) -> str:
        value = table.get(tag)
        return value.strip(" \0") if isinstance(value, str) else ""

    def number(tag: int) -> float:
        try:
            value = float(table.get(tag, 0.0))
        except DAMAGE:
            return 0.0
        return value if math.isfinite(value) and value > 0 else 0.0

    millimetres, equivalent = number(Base.FocalLength), number(Base.FocalLengthIn35mmFilm)
    longest = max(image.size)
    if equivalent:
        focal = equivalent * longest / FILM_WIDTH
    else:
        # The resolution is that of the sensor, so it shrinks with a photo that was reduced afterwards.
        full = max(number(Base.ExifImageWidth), number(Base.ExifImageHeight)) or longest
        per_millimetre = number(Base.FocalPlaneXResolution) / MILLIMETRES_PER_UNIT.get(
            int(number(Base.FocalPlaneResolutionUnit)) or 2, math.inf
        )
        focal = millimetres * per_millimetre * longest / full
    possible = FOCAL_RANGE[0] * longest <= focal <= FOCAL_RANGE[1] * longest
    names = [text(tag) for tag in (Base.Make, Base.Model, Base.LensModel)]
    zoom = [f"{number(tag):g}" for tag in (Base.FocalLength, Base.FocalLengthIn35mmFilm, Base.DigitalZoomRatio)]
    lens = "|".join([*names, *zoom]) if any(names) or millimetres or equivalent else ""
    return Exif(focal if possible else None, lens, _time(text(Base.DateTimeOriginal), text(Base.SubsecTimeOriginal)))


def _time(seconds: str, fraction: str) -> str:
    if not TIME.fullmatch(seconds) or seconds.startswith("0000"):
        return ""
    return f"{seconds}.{fraction}" if re.fullmatch(r"[0-9]{1,9}", fraction) else seconds
