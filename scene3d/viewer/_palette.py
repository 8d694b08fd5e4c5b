"""Colours: one for each object, and one for each future or other rollout, all readable over dark and over wood."""

from __future__ import annotations

import colorsys

__all__ = ["FORCE", "SPEED", "SPIN", "body_color", "ghost_color", "other_color"]

BODIES = ((0, 145, 255), (255, 125, 0), (70, 200, 40), (240, 45, 140), (145, 80, 255), (255, 205, 0))
SPEED = (0, 160, 230)
SPIN = (255, 176, 0)
FORCE = (235, 45, 35)
FIRST_HUE, LAST_HUE = 0.46, 0.83
"""Other futures go from green-blue to violet; what else is drawn is warm."""
WARM = (0.08, 0.03, 0.13, 0.97, 0.17)


def body_color(index: int) -> tuple[int, int, int]:
    """Of an object."""
    return BODIES[index % len(BODIES)]


def ghost_color(future: int, futures: int) -> tuple[int, int, int]:
    """Of a future of the rollout that is shown."""
    share = future / max(futures - 1, 1)
    return _rgb(FIRST_HUE + (LAST_HUE - FIRST_HUE) * share, 0.62, 1.0)


def other_color(index: int) -> tuple[int, int, int]:
    """Of another rollout."""
    return _rgb(WARM[index % len(WARM)], 0.75, 1.0)


def _rgb(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)
