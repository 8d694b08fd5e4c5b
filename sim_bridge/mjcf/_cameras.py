"""Capture cameras in MuJoCo: OpenCV poses and intrinsics in, ``<camera>`` elements out.

MuJoCo looks along -z with y up, so columns y and z of the rotation change sign. Its principal point is how far the
image centre lies from the optical axis in pixels, right and down: w/2 - cx and h/2 - cy (checked against
``mjv_cameraFrustum``). The size of the sensor is arbitrary; pixels of a millimetre keep it readable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from sim_bridge.mjcf._described import numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d import Scene

__all__ = ["add_cameras"]

PIXEL = 1e-3
"""[m]"""


def add_cameras(
    root: ElementTree.Element, ground: ElementTree.Element, scene: Scene, T_stage_world: NDArray[np.float64]
) -> None:
    """Write all views of a scene, and a window buffer that is large enough to render them."""
    import torch

    from dynamics.poses import wxyz_from_rotation

    taken: list[str] = []
    for view in scene.views:
        camera = view.camera
        T = torch.from_numpy(T_stage_world) @ camera.T_world_cam.detach().double()
        R = T[:3, :3] * torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
        K = camera.K.detach().double().numpy()
        size = np.array([camera.width, camera.height])
        name, number = view.name, 1
        while name in taken:
            number, name = number + 1, f"{view.name}_{number + 1}"
        taken.append(name)
        ElementTree.SubElement(
            ground,
            "camera",
            name=name,
            pos=numbers(T[:3, 3].numpy()),
            quat=numbers(wxyz_from_rotation(R).numpy()),
            resolution=numbers(size),
            sensorsize=numbers(size * PIXEL),
            focalpixel=numbers((K[0, 0], K[1, 1])),
            principalpixel=numbers(size / 2 - K[:2, 2]),
        )
    if scene.views:
        visual = ElementTree.Element("visual")
        width, height = (max(getattr(view.camera, side) for view in scene.views) for side in ("width", "height"))
        ElementTree.SubElement(visual, "global", offwidth=str(max(width, 640)), offheight=str(max(height, 480)))
        root.insert(2, visual)
