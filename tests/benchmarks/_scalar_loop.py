"""scalar_loop.cpp from Python: compiled with ``g++ -O2`` when first needed, called through ctypes on numpy arrays.

`Screen` holds the splats of one view after projection, by the torch twin and in depth order, since the yardstick is
for the blending alone. `ScalarLoop` blends them, counts what it did, and carries its gradients back to the stored
arrays with torch's autograd, so that pictures and gradients can be compared with the kernels' before anything is timed.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from scene3d import Camera, Gaussians
from scene3d.render import RenderSettings
from scene3d.render._bodies import body_to_camera
from scene3d.render._projection import project
from scene3d.render._protocol import ALPHA_MIN
from scene3d.render._spherical_harmonics import colors_in_view

SOURCE = Path(__file__).with_name("scalar_loop.cpp")


@cache
def library() -> ctypes.CDLL:
    """The compiled loops."""
    with TemporaryDirectory() as folder:
        target = Path(folder) / "scalar_loop.so"
        compiler = os.environ.get("CXX", "g++")
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", str(SOURCE), "-o", str(target)], check=True)
        loaded = ctypes.CDLL(str(target))
    loaded.count_lanes.restype = ctypes.c_int64
    for name in ("scalar_bin", "scalar_forward", "scalar_backward"):
        getattr(loaded, name).restype = None
    return loaded


def _pointer(array: np.ndarray | None) -> ctypes.c_void_p:
    assert array is None or array.flags.c_contiguous
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


@dataclass(frozen=True)
class Screen:
    """The visible splats of a view in depth order; tensors with a graph back to the stored arrays."""

    means: Tensor
    conics: Tensor
    opacities: Tensor
    colors: Tensor
    covariances: np.ndarray
    extents: np.ndarray
    """Where A dx^2 + 2 B dx dy + C dy^2 ends, 2 ln(255 opacity)."""

    @staticmethod
    def of(splats: Gaussians, camera: Camera) -> Screen:
        """Project the splats and sort what is visible."""
        settings = RenderSettings()
        R, t = body_to_camera(camera, None)
        seen = project(splats, camera, R, t, settings)
        visible = (seen.depths > settings.near_plane) & (seen.opacities > ALPHA_MIN)
        order = visible.nonzero()[:, 0]
        order = order[torch.argsort(seen.depths.detach()[order], stable=True)]
        opacities = seen.opacities[order]
        return Screen(
            means=seen.means[order],
            conics=seen.conics[order],
            opacities=opacities,
            colors=colors_in_view(splats, R, t, splats.sh_degree)[order],
            covariances=np.ascontiguousarray(seen.covariances.detach()[order].numpy()),
            extents=np.ascontiguousarray(2 * torch.log(255 * opacities.detach()).numpy()),
        )

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What the loops read and give gradients of."""
        return self.means, self.conics, self.opacities, self.colors


class ScalarLoop:
    """One view, blended by scalar code."""

    def __init__(self, splats: Gaussians, camera: Camera) -> None:
        self.screen = Screen.of(splats, camera)
        self.size = (camera.width, camera.height)
        self.arrays = [np.ascontiguousarray(tensor.detach().numpy()) for tensor in self.screen.tensors]
        shape = (camera.height, camera.width)
        self.rgb, self.alpha = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32)
        self.last = np.zeros(shape, np.int32)
        self._bin()

    def _bin(self) -> None:
        width, height = self.size
        tiles = -(-width // 16) * -(-height // 16)
        radii = np.sqrt(self.screen.extents[:, None] * self.screen.covariances[:, [0, 2]])
        radii = np.ascontiguousarray(radii.astype(np.float32))
        self.begin = np.zeros(tiles + 1, np.int32)
        count = len(self.arrays[0])
        for entries in (None, "filled"):
            self.entries = np.zeros(int(self.begin[-1]), np.int32)
            library().scalar_bin(
                count, _pointer(self.arrays[0]), _pointer(radii), width, height, _pointer(self.begin),
                _pointer(self.entries if entries else None),
            )  # fmt: skip

    def forward(self, counts: np.ndarray | None = None, closed_by: np.ndarray | None = None) -> float:
        """Blend into `rgb` and `alpha`; returns the seconds."""
        start = time.perf_counter()
        library().scalar_forward(
            *self.size, *map(_pointer, self.arrays), _pointer(self.begin), _pointer(self.entries), _pointer(self.rgb),
            _pointer(self.alpha), _pointer(self.last), _pointer(counts), _pointer(closed_by),
        )  # fmt: skip
        return time.perf_counter() - start

    def backward(self, g_rgb: np.ndarray, g_alpha: np.ndarray) -> tuple[float, list[np.ndarray]]:
        """Seconds, and the gradients of the screen arrays; after `forward`."""
        grads = [np.zeros_like(array) for array in self.arrays]
        start = time.perf_counter()
        library().scalar_backward(
            *self.size, *map(_pointer, self.arrays), _pointer(self.begin), _pointer(self.entries), _pointer(self.alpha),
            _pointer(self.last), _pointer(g_rgb), _pointer(g_alpha), *map(_pointer, grads),
        )  # fmt: skip
        return time.perf_counter() - start, grads

    def carry_back(self, grads: list[np.ndarray]) -> None:
        """Gradients of the screen arrays -> ``.grad`` of the stored arrays."""
        torch.autograd.backward(self.screen.tensors, [torch.from_numpy(grad) for grad in grads])

    def count(self, lanes: int) -> dict[str, int]:
        """How many (pixel, splat) pairs this loop tests, how many contribute, and how many the kernels work on."""
        width, height = self.size
        counts, splats = np.zeros(2, np.int64), len(self.arrays[0])
        closed_by = np.full((height, width), splats, np.int32)
        self.forward(counts, closed_by)
        worked_on = library().count_lanes(
            splats, _pointer(self.arrays[0]), _pointer(self.screen.covariances), _pointer(self.screen.extents),
            width, height, lanes, _pointer(closed_by),
        )  # fmt: skip
        return {"tested": int(counts[0]), "contributing": int(counts[1]), "worked_on": int(worked_on)}
