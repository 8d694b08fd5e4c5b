"""Splats and cameras to images: one `Renderer` protocol, three backends.

`render` picks a backend from the device of the splats (or by name), calls it once per view, and puts the result over
the background. ``cpu`` is our C++ kernel, ``cuda`` is gsplat, ``reference`` is plain torch in any precision and says
what the other two must agree with. All are differentiable in every float input and in camera and body poses.
"""

from __future__ import annotations

from scene3d.render._api import available_backends, get_renderer, render
from scene3d.render._protocol import Renderer, RenderSettings

__all__ = ["RenderSettings", "Renderer", "available_backends", "get_renderer", "render"]
