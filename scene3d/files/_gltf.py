"""glTF with KHR_gaussian_splatting (.glb) <-> splats.

A point primitive has one attribute per value: POSITION, ROTATION (xyzw), SCALE (linear), OPACITY (0 to 1) and one
SH_DEGREE_l_COEF_n (RGB) per coefficient, all written as float32. glTF has +Y up: the splats are written as they are,
and their node is turned so that their up becomes +Y, which turns view-dependent colour with them. Reading reverses
this: splats stay in the frame of their node, and what is returned with them says where +Y was. [Khronos, ratified]
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from scene3d._errors import FileFormatError, OutputError
from scene3d._gaussians import Gaussians
from scene3d.files._atomic import make_folder, write_atomic
from scene3d.files._glb import LARGEST, Glb, glb_head, glb_size, read_glb
from scene3d.files._packing import finite_or_refuse, require_finite

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["load_glb", "save_glb"]

NAME = "KHR_gaussian_splatting"
UNDERSTOOD = (NAME, "KHR_mesh_quantization")
POINTS, FLOAT, VERTICES = 0, 5126, 34962
FEWEST_BYTES, MOST_SHARING = 24, 16
"""Bytes that a splat takes at least, and how often a file may show its buffer by sharing it."""
FAINTEST = 1e-7
"""Distance that opacities keep from 0 and 1, so that their logits are finite; float32 holds no less at 1."""
Y_UP = (0.0, 1.0, 0.0)


def save_glb(splats: Gaussians, path: Path | str, *, up: tuple[float, float, float] = (0.0, -1.0, 0.0)) -> None:
    """Write a .glb, whole or not at all.

    Args:
        splats: What to write.
        path: Target; replaced when it exists.
        up: Direction of the splats' frame that points up, which becomes +Y; the habit of 3DGS files is -Y.

    Raises:
        OutputError: Splats hold NaN or are more than a GLB of 4 GiB can hold, or the file cannot be written.
    """
    path = Path(path)
    require_finite(splats, path)
    arrays = _attributes(splats)
    buffer = sum(array.nbytes for array in arrays.values())
    document = _document(arrays, _turn_to_y(up))
    size = glb_size(document, buffer)
    if size > LARGEST:
        raise OutputError(f"{path} would have {size / 2**30:.1f} GiB, and a .glb at most 4. Write another format.")
    make_folder(path.parent)
    parts = (part for part in (glb_head(document, buffer), *(array.data for array in arrays.values())))
    write_atomic(path, parts, size=size)  # type: ignore[arg-type]


def load_glb(path: Path | str) -> tuple[Gaussians, tuple[float, float, float]]:
    """Read the splats of a .glb.

    Args:
        path: The file.

    Returns:
        Splats, and the direction of their frame that points up. One set of splats stays in the frame of its node;
        several sets, or a node that also moves or scales, are put into the world of the file.

    Raises:
        FileFormatError: Not such a file, damaged, or it needs an extension that is not read.
    """
    from scene3d.capture._similarity import Similarity, transform_splats

    glb = read_glb(Path(path))
    required = glb.document.get("extensionsRequired", [])
    unknown = [str(name) for name in required if name not in UNDERSTOOD] if isinstance(required, list) else []
    if unknown:
        raise FileFormatError(
            f"{path} needs the glTF extension {unknown[0]}, which is not read. Export the splats without compression."
        )
    found: list[tuple[Gaussians, Similarity]] = []
    for mesh, matrix in glb.mesh_nodes():
        for primitive in _primitives(mesh):
            if sum(len(part) for part, _ in found) * FEWEST_BYTES > MOST_SHARING * len(glb.buffer):
                raise glb.damaged("it shows the same splats again and again, beyond what it can hold")
            try:
                found.append((_splats(glb, primitive), Similarity.of_matrix(matrix)))
            except ValueError as error:
                raise glb.damaged("a node stretches or mirrors its splats, which cannot be kept") from error
    if not found:
        raise FileFormatError(f"{path} holds no splats: no primitive of its scene has {NAME}.")
    (splats, place), *others = found
    if others or abs(place.scale - 1) > 1e-6 or place.t.any():
        moved = Gaussians.cat([transform_splats(part, where) for part, where in found])
        return finite_or_refuse(glb.path, moved), Y_UP
    return finite_or_refuse(glb.path, splats), place.inverse().up(Y_UP)


def _attributes(splats: Gaussians) -> dict[str, NDArray[np.float32]]:
    """Arrays by attribute name, contiguous."""
    import torch

    values = splats.detach().to("cpu", torch.float32)
    tensors = {
        "POSITION": values.means,
        f"{NAME}:ROTATION": torch.nn.functional.normalize(values.quats, dim=1)[:, [1, 2, 3, 0]],
        f"{NAME}:SCALE": values.scales.clamp(-80, 80).exp(),
        f"{NAME}:OPACITY": values.opacities.sigmoid(),
        f"{NAME}:SH_DEGREE_0_COEF_0": values.sh0[:, 0],
    }
    for degree, coefficient, index in _coefficients(splats.sh_degree):
        tensors[f"{NAME}:SH_DEGREE_{degree}_COEF_{coefficient}"] = values.shN[:, index]
    return {name: np.ascontiguousarray(tensor.numpy(), "<f4") for name, tensor in tensors.items()}


def _coefficients(degree: int) -> list[tuple[int, int, int]]:
    """Degree, number within it and place in `shN` of each coefficient."""
    return [(d, n, d * d - 1 + n) for d in range(1, degree + 1) for n in range(2 * d + 1)]


def _document(arrays: dict[str, NDArray[np.float32]], rotation_xyzw: list[float]) -> bytes:
    views, accessors, at = [], [], 0
    for name, array in arrays.items():
        views.append({"buffer": 0, "byteOffset": at, "byteLength": array.nbytes, "target": VERTICES})
        kind = "SCALAR" if array.ndim == 1 else f"VEC{array.shape[1]}"
        accessor = {"bufferView": len(accessors), "componentType": FLOAT, "count": len(array), "type": kind}
        if name == "POSITION" and len(array):
            accessor |= {"min": array.min(axis=0).tolist(), "max": array.max(axis=0).tolist()}
        accessors.append(accessor)
        at += array.nbytes
    extension = {
        "kernel": "ellipse",
        "colorSpace": "srgb_rec709_display",
        "projection": "perspective",
        "sortingMethod": "cameraDistance",
    }
    primitive = {
        "attributes": {name: index for index, name in enumerate(arrays)},
        "mode": POINTS,
        "extensions": {NAME: extension},
    }
    document = {
        "asset": {"version": "2.0", "generator": "scene3d"},
        "extensionsUsed": [NAME],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": "splats", "mesh": 0, "rotation": rotation_xyzw}],
        "meshes": [{"primitives": [primitive]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": at}],
    }
    text = msgspec.json.encode(document)
    return text + b" " * (-len(text) % 4)


def _turn_to_y(up: tuple[float, float, float]) -> list[float]:
    """Quaternion xyzw of the shortest turn that brings `up` to +Y; half a turn about x for -Y."""
    x, y, z = np.asarray(up, np.float64) / np.linalg.norm(up)
    if y < -1 + 1e-9:
        return [1.0, 0.0, 0.0, 0.0]
    quat = np.array([-z, 0.0, x, 1 + y])  # Axis up x Y, half the angle between them.
    return (quat / np.linalg.norm(quat)).tolist()


def _primitives(mesh: dict[str, Any]) -> list[dict[str, Any]]:
    """The primitives of a mesh that are splats."""
    primitives = mesh.get("primitives", [])
    entries = [p for p in primitives if isinstance(p, dict)] if isinstance(primitives, list) else []
    return [p for p in entries if isinstance(p.get("extensions"), dict) and NAME in p["extensions"]]


def _splats(glb: Glb, primitive: dict[str, Any]) -> Gaussians:
    import torch

    extension = primitive["extensions"][NAME]
    inner = list(extension.get("extensions", {})) if isinstance(extension, dict) else []
    if inner:
        raise FileFormatError(f"{glb.path} stores its splats by {inner[0]}, which is not read. Export them plainly.")
    attributes = primitive.get("attributes")
    if not isinstance(attributes, dict):
        raise glb.damaged("its splats have no attributes")
    basic = {"POSITION": 3, f"{NAME}:ROTATION": 4, f"{NAME}:SCALE": 3, f"{NAME}:OPACITY": 1}
    basic[f"{NAME}:SH_DEGREE_0_COEF_0"] = 3
    missing = [name for name in basic if name not in attributes]
    if missing:
        raise glb.damaged(f"its splats have no {', '.join(missing)}")
    means = glb.array(attributes["POSITION"], 3)
    values = [glb.array(attributes[name], width, len(means)) for name, width in basic.items()]
    _, quats_xyzw, scales, opacities, sh0 = values
    if (scales < 0).any() or (opacities < 0).any() or (opacities > 1).any():
        raise glb.damaged("some splats have a size below zero or an opacity outside 0 to 1")
    alpha = np.clip(opacities[:, 0].astype(np.float64), FAINTEST, 1 - FAINTEST)
    return Gaussians.create(
        means=torch.from_numpy(means),
        quats=torch.from_numpy(quats_xyzw[:, [3, 0, 1, 2]]),
        scales=torch.from_numpy(np.log(np.maximum(scales, np.float32(1e-30)))),
        opacities=torch.from_numpy(np.log(alpha / (1 - alpha)).astype(np.float32)),
        sh0=torch.from_numpy(sh0)[:, None, :],
        shN=torch.from_numpy(_sh(glb, attributes, len(means))),
    )


def _sh(glb: Glb, attributes: dict[str, Any], count: int) -> NDArray[np.float32]:
    """Higher coefficients (N, K, 3) of all degrees that are there."""
    degree = max(d for d in range(4) if d == 0 or f"{NAME}:SH_DEGREE_{d}_COEF_0" in attributes)
    values = np.empty((count, (degree + 1) ** 2 - 1, 3), np.float32)
    for d, n, index in _coefficients(degree):
        name = f"{NAME}:SH_DEGREE_{d}_COEF_{n}"
        if name not in attributes:
            raise glb.damaged(f"its splats have no {name}, though they have SH degree {degree}")
        values[:, index] = glb.array(attributes[name], 3, count)
    return values
