"""Pictures from Mitsuba 3, ids and depths from exact rays through the pixel centres."""

from __future__ import annotations

import numpy as np

from . import materials, room
from .objects import Body
from .path import FOCAL, HEIGHT, WIDTH
from .shapes import Part

EXPOSURE = 1.25
TONE = (2.51, 0.03, 2.43, 0.59, 0.14)  # film-like curve: x (a x + b) / (x (c x + d) + e)


def mitsuba_mesh(part: Part, bsdf: object, name: str) -> object:
    """A part as a Mitsuba mesh."""
    import mitsuba as mi

    props = mi.Properties()
    props["mesh_bsdf"] = bsdf
    mesh = mi.Mesh(name, len(part.vertices), len(part.faces), props, part.normals is not None, part.uv is not None)
    if part.colors is not None:
        mesh.add_attribute("vertex_color", 3, part.colors.astype(np.float32).ravel())
    params = mi.traverse(mesh)
    params["vertex_positions"] = part.vertices.astype(np.float32).ravel()
    params["faces"] = part.faces.astype(np.uint32).ravel()
    if part.normals is not None:
        params["vertex_normals"] = part.normals.astype(np.float32).ravel()
    if part.uv is not None:
        # Mitsuba's pictures start at the top.
        params["vertex_texcoords"] = np.stack([part.uv[:, 0], 1 - part.uv[:, 1]], 1).astype(np.float32).ravel()
    params.update()
    return mesh


def emitter(light: dict, radiance: dict) -> dict:
    """Rectangle of light."""
    import mitsuba as mi

    matrix = np.eye(4)
    right, up = np.array(light["right"], float), np.array(light["up"], float)
    normal = np.cross(right, up)
    matrix[:3, :3] = np.stack([right, up, normal / np.linalg.norm(normal)], 1)
    matrix[:3, 3] = light["centre"]
    area = {"type": "area", "radiance": radiance}
    return {"type": "rectangle", "to_world": mi.ScalarTransform4f(matrix), "emitter": area}


def scene(bodies: list[Body]) -> object:
    """The whole room as a Mitsuba scene (the variant must be set)."""
    import mitsuba as mi

    bsdf = {name: mi.load_dict(d) for name, d in materials.bsdfs().items()}
    parts = room.static_parts() + [p for b in bodies for p in b.world_parts()]
    d: dict = {"type": "scene"}
    for k, part in enumerate(parts):
        d[f"part{k:03d}"] = mitsuba_mesh(part, bsdf[part.material], f"part{k:03d}")
    y, x = np.mgrid[0:64, 0:256].astype(np.float32)
    folds = (0.78 + 0.22 * np.sin(x / 256 * 2 * np.pi * 11 + np.sin(y / 20))) * (1.0 - 0.25 * y / 64)
    curtain = np.stack([4.6 * folds, 5.0 * folds, 5.4 * folds], -1)
    d["window"] = emitter(room.WINDOW, {"type": "bitmap", "bitmap": mi.Bitmap(curtain.astype(np.float32)), "raw": True})
    d["key"] = emitter(room.KEY, {"type": "rgb", "value": [5.2, 4.8, 4.2]})
    d["sky"] = {"type": "constant", "radiance": {"type": "rgb", "value": [0.42, 0.42, 0.44]}}
    return mi.load_dict(d)


def sensor(pose: np.ndarray, spp: int, seed: int) -> object:
    """Pinhole camera at an OpenGL camera-to-world pose."""
    import mitsuba as mi

    film = {
        "type": "hdrfilm",
        "width": WIDTH,
        "height": HEIGHT,
        "pixel_format": "rgb",
        "rfilter": {"type": "box"},
        "component_format": "float32",
    }
    return mi.load_dict(
        {
            "type": "perspective",
            "fov_axis": "x",
            "fov": float(np.degrees(2 * np.arctan(WIDTH / 2 / FOCAL))),
            "near_clip": 0.01,
            "far_clip": 20.0,
            "to_world": mi.ScalarTransform4f(pose @ np.diag([-1.0, 1.0, -1.0, 1.0])),
            "film": film,
            "sampler": {"type": "multijitter", "sample_count": spp, "seed": seed},
        }
    )


def develop(linear: np.ndarray) -> np.ndarray:
    """Linear light (H, W, 3) to an sRGB picture uint8, through one fixed film-like curve."""
    x = EXPOSURE * np.maximum(linear, 0)
    a, b, c, d, e = TONE
    y = np.clip(x * (a * x + b) / (x * (c * x + d) + e), 0, 1)
    srgb = np.where(y <= 0.0031308, 12.92 * y, 1.055 * y ** (1 / 2.4) - 0.055)
    return (255 * srgb + 0.5).astype(np.uint8)


def picture(world: object, guide: RayCaster, pose: np.ndarray, spp: int, seed: int) -> np.ndarray:
    """Linear light (H, W, 3) float32 seen from a pose, rid of the path tracer's noise.

    Albedo and normals, which carry the textures, guide the denoiser, so that only the lighting is smoothed.
    """
    import mitsuba as mi
    import pyoidn

    integrator = mi.load_dict({"type": "path", "max_depth": 5, "rr_depth": 4})
    light = np.array(mi.render(world, sensor=sensor(pose, spp, seed), integrator=integrator, seed=seed, spp=spp))
    albedo, normal = guide.surface(pose)
    return pyoidn.denoise(np.ascontiguousarray(light, np.float32), albedo=albedo, normal=normal, hdr=True)


class RayCaster:
    """First hits of rays: ids and depths through the pixel centres, albedo and normals for the denoiser."""

    def __init__(self, bodies: list[Body]) -> None:
        """Collects the surfaces that the pictures show."""
        from embreex.rtcore_scene import EmbreeScene

        self.scene = EmbreeScene(robust=True)
        self.parts: list[Part] = []
        self.instances: list[int] = []
        lamps = [room.emitter_quad(room.WINDOW, "lamp"), room.emitter_quad(room.KEY, "lamp")]
        for part in room.static_parts() + lamps:
            self._add(part, 0)
        for body in bodies:
            for part in body.world_parts():
                self._add(part, body.instance)
        self.pictures: dict[str, np.ndarray] = {}

    def _add(self, part: Part, instance: int) -> None:
        from embreex.mesh_construction import TriangleMesh

        TriangleMesh(self.scene, part.vertices[part.faces].astype(np.float32))
        self.parts.append(part)
        self.instances.append(instance)

    def _cast(self, pose: np.ndarray, u: np.ndarray, v: np.ndarray) -> dict[str, np.ndarray]:
        """Hits of the rays through pixel positions u, v (N,); directions have camera-z length 1, so `tfar` is depth."""
        local = np.stack([(u - WIDTH / 2) / FOCAL, -(v - HEIGHT / 2) / FOCAL, -np.ones_like(u)], -1)
        directions = (local @ pose[:3, :3].T).astype(np.float32)
        origins = np.broadcast_to(pose[:3, 3].astype(np.float32), directions.shape)
        return self.scene.run(np.ascontiguousarray(origins), directions, output=True)

    def view(self, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Instance ids (H, W) uint8 and camera-z depths (H, W) in metres (0 where nothing is hit)."""
        u, v = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
        hit = self._cast(pose, u.ravel(), v.ravel())
        # A miss has geometry -1, the last entry.
        ids = np.array([*self.instances, 0], np.uint8)[hit["geomID"]]
        depth = np.where(hit["geomID"] >= 0, hit["tfar"], 0.0)
        return ids.reshape(HEIGHT, WIDTH), depth.reshape(HEIGHT, WIDTH)

    def surface(self, pose: np.ndarray, grid: int = 2) -> tuple[np.ndarray, np.ndarray]:
        """Linear albedo and unit normals (H, W, 3) float32, means of `grid` x `grid` rays a pixel."""
        if not self.pictures:
            self.pictures = materials.pictures() | {"table": materials.table_top()[0]}
        albedo, normal = (np.zeros((HEIGHT * WIDTH, 3), np.float32) for _ in range(2))
        for k in range(grid * grid):
            u, v = np.meshgrid(np.arange(WIDTH) + (k % grid + 0.5) / grid, np.arange(HEIGHT) + (k // grid + 0.5) / grid)
            hit = self._cast(pose, u.ravel(), v.ravel())
            for index in np.unique(hit["geomID"][hit["geomID"] >= 0]):
                where = np.flatnonzero(hit["geomID"] == index)
                part = self.parts[index]
                corners = part.faces[hit["primID"][where]]
                b, c = hit["u"][where], hit["v"][where]
                weights = np.stack([1 - b - c, b, c], 1)[..., None]
                albedo[where] += self._albedo(part, corners, weights)
                if part.normals is None:
                    p = part.vertices[corners]
                    n = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
                    normal[where] += n / np.linalg.norm(n, axis=1, keepdims=True)
                else:
                    normal[where] += (part.normals[corners] * weights).sum(1)
        shape = (HEIGHT, WIDTH, 3)
        return (albedo / grid**2).reshape(shape), (normal / grid**2).reshape(shape)

    def _albedo(self, part: Part, corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Linear albedo (N, 3) at barycentric `weights` (N, 3, 1) of triangles with vertices `corners` (N, 3)."""
        if part.colors is not None:
            return (part.colors[corners] * weights).sum(1)
        if part.material not in self.pictures:
            return np.full((len(corners), 3), 1.0 if part.material == "lamp" else 0.02)
        image = self.pictures[part.material]
        uv = (part.uv[corners] * weights).sum(1)
        h, w = image.shape[:2]
        srgb = image[((1 - uv[:, 1]) * h).astype(int) % h, (uv[:, 0] * w).astype(int) % w] / 255
        return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
