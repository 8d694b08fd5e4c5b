"""Mitsuba materials by name: painted pictures under glaze, print, wool, wood."""

from __future__ import annotations

import cv2
import numpy as np

from . import prints, room
from . import textures as tex


def table_top(seed: int = 11) -> tuple[np.ndarray, np.ndarray]:
    """Colours (H, W, 3) uint8 of the whole table top and weights (H, W) uint8 of where it is cloth or paper."""
    rng = np.random.default_rng(seed)
    scale = room.TABLE_PIXELS_PER_METRE
    shape = (round(room.TABLE[1] * scale), round(room.TABLE[0] * scale))
    top = tex.wood(shape, 8, rng, (118, 76, 44), (206, 158, 106))
    mats = [
        (tex.place_mat((round(0.30 * scale), round(0.42 * scale)), rng), (0.08, 0.055), 0.12),
        (prints.page((round(0.21 * scale), round(0.148 * scale)), rng, "GARDEN"), (-0.40, 0.13), 0.35),
        (prints.page((round(0.148 * scale), round(0.105 * scale)), rng, "TIDES"), (-0.42, -0.26), -0.5),
        (prints.page((round(0.148 * scale), round(0.105 * scale)), rng, "OAK"), (0.44, 0.20), 1.25),
        (prints.page((round(0.105 * scale), round(0.148 * scale)), rng, "POST"), (-0.13, -0.29), 0.2),
    ]
    size, quiet = round(room.MARKER["size"] * scale), round(room.MARKER["quiet_zone"] * scale)
    mats.append((prints.marker(size, quiet), room.MARKER["centre"], 0.0))
    cover = np.zeros(shape, np.float32)
    for patch, centre, angle in mats:
        cover = np.maximum(cover, tex.pasted(top, patch, centre, angle, scale))
    return tex.as_bytes(top), tex.as_bytes(255 * cover)


def pictures(seed: int = 7) -> dict[str, np.ndarray]:
    """All textures but the table top by material name, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    floor = tex.as_bytes(tex.wood((1900, 2100), 26, rng, (88, 62, 42), (150, 114, 78)))
    return {
        "glaze_outside": tex.glaze(rng, False),
        "glaze_inside": tex.glaze(rng, True),
        "glaze_handle": cv2.resize(tex.glaze(rng, True), (512, 512)),
        "can_label": prints.can_label(rng),
        "aluminium": tex.lid(rng),
        "carton": prints.carton(rng),
        "rope": tex.rope_yarn(rng),
        "edge_wood": tex.as_bytes(tex.wood((300, 1200), 1, rng, (70, 40, 20), (140, 96, 58))),
        "floor": floor,
        "rug": tex.rug(rng),
        "bricks": tex.bricks(rng),
        "wallpaper": tex.wallpaper(rng),
        "painting_a": prints.painting(rng, 12),
        "painting_b": prints.painting(rng, 105),
        "painting_c": prints.painting(rng, 60),
    }


def bsdfs() -> dict[str, dict]:
    """Mitsuba descriptions of all materials."""
    import mitsuba as mi

    def bitmap(image: np.ndarray, raw: bool = False) -> dict:
        return {"type": "bitmap", "bitmap": mi.Bitmap(np.ascontiguousarray(image)), "raw": raw}

    def diffuse(texture: dict) -> dict:
        return {"type": "diffuse", "reflectance": texture}

    def coated(texture: dict, alpha: float) -> dict:
        return {"type": "roughplastic", "diffuse_reflectance": texture, "alpha": alpha, "nonlinear": True}

    image = pictures()
    vertex = {"type": "mesh_attribute", "name": "vertex_color"}
    top, cover = table_top()
    wood_bitmap = bitmap(top)
    out = {
        name: {"type": "twosided", "bsdf": diffuse(bitmap(image[name]))}
        for name in ("edge_wood", "floor", "rug", "bricks", "wallpaper", "painting_a", "painting_b", "painting_c")
    }
    out |= {
        "rope": diffuse(bitmap(image["rope"])),
        "wool": diffuse(vertex),
        "painted": {"type": "twosided", "bsdf": diffuse(vertex)},
        "glaze_outside": coated(bitmap(image["glaze_outside"]), 0.06),
        "glaze_inside": coated(bitmap(image["glaze_inside"]), 0.06),
        "glaze_handle": coated(bitmap(image["glaze_handle"]), 0.06),
        "carton": coated(bitmap(image["carton"]), 0.22),
        "button": coated({"type": "rgb", "value": [0.012, 0.010, 0.010]}, 0.08),
        "shadow": diffuse({"type": "rgb", "value": [0.05, 0.05, 0.05]}),
        "aluminium": {
            "type": "principled",
            "base_color": bitmap(image["aluminium"]),
            "metallic": 1.0,
            "roughness": 0.34,
        },
        "can_label": {
            "type": "principled",
            "base_color": bitmap(image["can_label"]),
            "metallic": 0.45,
            "roughness": 0.36,
            "specular": 0.5,
        },
        "table": {
            "type": "blendbsdf",
            "weight": bitmap(cover, raw=True),
            "coated": coated(wood_bitmap, 0.28),
            "matt": diffuse(wood_bitmap),
        },
    }
    return out
