"""Cameras, splats and captures for other libraries, by formula.

Each library has a pair of functions ``to_...`` and ``from_...`` that change nothing but conventions; what differs
(axes, pixel centres, direction of the pose) is said where it is undone. nerfstudio and pytorch3d are described by plain
arrays, so neither has to be installed unless objects of theirs are asked for. `export_nerfstudio` and `export_colmap`
write a whole capture, so that other programs fit exactly what we fit. `read_polaris` and `read_marble` make scenes with
bodies of what those projects keep as splats beside meshes.
"""

from __future__ import annotations

from scene3d.interop._arrays import Calibration
from scene3d.interop._colmap_folder import export_colmap
from scene3d.interop._marble import read_marble
from scene3d.interop._nerfstudio import (
    NerfstudioArrays,
    from_nerfstudio,
    from_nerfstudio_arrays,
    from_transforms_entry,
    nerfstudio_arrays,
    to_nerfstudio,
    to_transforms_entry,
)
from scene3d.interop._nerfstudio_dataset import export_nerfstudio
from scene3d.interop._open3d import from_open3d, to_open3d
from scene3d.interop._points import splats_to_open3d, splats_to_trimesh
from scene3d.interop._polaris import holds_polaris, read_polaris
from scene3d.interop._pycolmap import from_pycolmap, to_pycolmap
from scene3d.interop._pytorch3d import (
    Pytorch3dArrays,
    from_pytorch3d,
    from_pytorch3d_arrays,
    pytorch3d_arrays,
    to_pytorch3d,
)
from scene3d.interop._trimesh import from_trimesh, to_trimesh

__all__ = [
    "Calibration",
    "NerfstudioArrays",
    "Pytorch3dArrays",
    "export_colmap",
    "export_nerfstudio",
    "from_nerfstudio",
    "from_nerfstudio_arrays",
    "from_open3d",
    "from_pycolmap",
    "from_pytorch3d",
    "from_pytorch3d_arrays",
    "from_transforms_entry",
    "from_trimesh",
    "holds_polaris",
    "nerfstudio_arrays",
    "pytorch3d_arrays",
    "read_marble",
    "read_polaris",
    "splats_to_open3d",
    "splats_to_trimesh",
    "to_nerfstudio",
    "to_open3d",
    "to_pycolmap",
    "to_pytorch3d",
    "to_transforms_entry",
    "to_trimesh",
]
