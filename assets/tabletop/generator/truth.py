"""What is known exactly, as files: meshes, ground_truth.yaml, transforms.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import yaml

from . import room
from .objects import CAN, MUG, Body
from .path import FOCAL, HEIGHT, WIDTH
from .render import TONE


def write_meshes(out: Path, bodies: list[Body]) -> None:
    """One watertight OBJ a body, in metres in the body frame, coordinates to 0.01 mm."""
    for body in bodies:
        lines = [f"# {body.name}: metres, body frame, Z up"]
        lines += ["v " + " ".join(f"{x + 0.0:.5f}" for x in v) for v in np.round(body.solid.vertices, 5) + 0.0]
        lines += [f"f {a} {b} {c}" for a, b, c in body.solid.faces + 1]
        (out / f"meshes/{body.name}.obj").write_text("\n".join(lines) + "\n")


def numbers(values: np.ndarray, digits: int) -> list:
    """Plain nested lists, rounded."""
    return (np.round(np.asarray(values, float), digits) + 0.0).tolist()


def body_entry(body: Body) -> dict:
    """One object's part of ground_truth.yaml."""
    solid = body.solid.copy()
    solid.density = body.mass / solid.volume
    half = body.yaw / 2
    return {
        "name": body.name,
        "instance": body.instance,
        "kind": body.kind,
        "mesh": f"meshes/{body.name}.obj",
        "T_world_body": numbers([*body.position, np.cos(half), 0, 0, np.sin(half)], 9),
        "mass": round(float(body.mass), 5),
        "density": round(float(solid.density), 3),
        "volume": round(float(solid.volume), 9),
        "com": numbers(solid.center_mass, 6),
        "inertia": numbers(solid.moment_inertia, 10),
        "mass_model": body.note,
        "friction_guess": body.friction,
        "dimensions": body.dimensions,
    }


def write_yaml(out: Path, bodies: list[Body]) -> None:
    """ground_truth.yaml: plain scalars and lists only."""
    centre, size = room.MARKER["centre"], room.MARKER["size"]
    h = size / 2
    corners = [[centre[0] + dx, centre[1] + dy, 0.0] for dx, dy in ((-h, h), (h, h), (h, -h), (-h, -h))]
    document = {
        "about": "Exact truth of the rendered capture. T_world_body is xyz (metres) + quaternion wxyz. "
        "com is in the body frame; inertia is about com, in the body frame's axes, for a uniform solid of the mesh. "
        "friction_guess is a guess.",
        "units": {
            "length": "m",
            "mass": "kg",
            "inertia": "kg m^2",
            "density": "kg/m^3",
            "depth_maps": "mm, camera z, 0 unknown",
        },
        "world": {"up": "z", "handedness": "right", "gravity": [0.0, 0.0, -9.81], "metric": True},
        "table": {
            "plane": [0.0, 0.0, 1.0, 0.0],
            "plane_note": "n.x + d = 0 as [n, d]",
            "size": list(room.TABLE),
            "thickness": 0.03,
            "floor_z": room.FLOOR,
        },
        "camera": {
            "model": "OPENCV",
            "width": WIDTH,
            "height": HEIGHT,
            "fl_x": FOCAL,
            "fl_y": FOCAL,
            "cx": WIDTH / 2,
            "cy": HEIGHT / 2,
            "distortion": [0.0, 0.0, 0.0, 0.0],
            "pixel_centre": 0.5,
            "tone_curve": {
                "coefficients": list(TONE),
                "note": "with a..e: picture = sRGB(clip(x (a x + b) / (x (c x + d) + e))) of exposed linear light x",
            },
        },
        "marker": {
            "dictionary": room.MARKER["dictionary"],
            "id": room.MARKER["id"],
            "size": size,
            "quiet_zone": room.MARKER["quiet_zone"],
            "centre": [*centre, 0.0],
            "T_world_marker": [*centre, 0.0, 1.0, 0.0, 0.0, 0.0],
            "corners": numbers(corners, 6),
            "corners_note": "in cv2.aruco's order: top left, top right, bottom right, "
            "bottom left; the marker's x is world x, its up is world y, its normal world z",
        },
        "instances": {"background": 0} | {b.name: b.instance for b in bodies},
        "fit": {
            "mug_inner_diameter": 2 * MUG["inner_radius"],
            "can_diameter": 2 * CAN["radius"],
            "clearance": round(2 * (MUG["inner_radius"] - CAN["radius"]), 9),
            "clearance_note": "mug's inner diameter - can's diameter",
        },
        "objects": [body_entry(b) for b in bodies],
    }
    (out / "ground_truth.yaml").write_text(
        yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=140)
    )


def write_transforms(out: Path, bodies: list[Body], poses: list[np.ndarray], depth_every: int) -> None:
    """transforms.json after nerfstudio: camera-to-world, OpenGL camera axes, here metric and with Z up."""
    frames = []
    for k, pose in enumerate(poses, 1):
        frame = {"file_path": f"images/{k:04d}.jpg", "instance_path": f"instances/{k:04d}.png"}
        if (k - 1) % depth_every == 0:
            frame["depth_file_path"] = f"depths/{k:04d}.png"
        frames.append(frame | {"transform_matrix": numbers(pose, 9)})
    head = {
        "camera_model": "OPENCV",
        "fl_x": FOCAL,
        "fl_y": FOCAL,
        "cx": WIDTH / 2,
        "cy": HEIGHT / 2,
        "w": WIDTH,
        "h": HEIGHT,
        "k1": 0.0,
        "k2": 0.0,
        "p1": 0.0,
        "p2": 0.0,
        "metric": True,
        "up": "z",
        "depth_unit_scale_factor": 0.001,
        "instance_names": {str(body.instance): body.name for body in bodies},
    }
    (out / "transforms.json").write_text(json.dumps(head | {"frames": frames}, indent=1) + "\n")
