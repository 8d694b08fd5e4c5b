"""A scene -> an MJCF model of MuJoCo: OUT.xml, and its meshes in the folder OUT_meshes beside it.

Bodies are named after the scene's objects, hang on free joints or on the scene's own, and carry their full mass
properties, whatever their meshes say; kinematic ones are mocap bodies. One mesh geom per convex part collides (group
3), the collider is drawn in the mean colour of its splats (group 2); splats themselves MuJoCo cannot hold. The keyframe
``capture`` has the poses of the photos, as a stage has them: Z up, lifted out of what they stand on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from sim_bridge.mjcf._cameras import add_cameras
from sim_bridge.mjcf._contacts import add_contacts, surface
from sim_bridge.mjcf._described import DescribedBody, Exported, check_name, described, mesh_files, numbers, write_model
from sim_bridge.mjcf._joint_tree import Link, joint_trees
from sim_bridge.mjcf._joints import add_drives, add_joint, first_positions, joined, pose_in_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scene3d import Scene
    from sim_bridge.usd._twin import Twin

__all__ = ["Exported", "export_mjcf"]

COLLIDER_GROUP, VISUAL_GROUP = 3, 2
"""MuJoCo's viewers show groups 0 to 2 unless told otherwise."""
TIMESTEP = 1 / 960
"""A quarter of our own step: at 1/240 s a springy contact of MuJoCo's trembles for ever, here it comes to rest [s]."""
FLOOR_SIDE = 5.0
"""Half length of the floor as it is drawn; it collides without end [m]."""


def export_mjcf(scene: Scene, path: Path | str, *, assume_scale: bool = False, overwrite: bool = False) -> Exported:
    """Write a scene as an MJCF model that MuJoCo loads as it is.

    Mass, centre of mass and inertia are the scene's, in full. Contacts are elliptic cones whose sliding friction is the
    material's; where MuJoCo's rule for a pair (the greater friction, the lesser rebound) differs from ours (the
    geometric mean, the greater rebound), the pair is written out. MuJoCo has no coefficient of restitution: the contact
    spring is damped so that a free impact rebounds as fast (`dynamics.baselines.contact_parameters`). Torsional and
    rolling friction are off. Kinematic objects are mocap bodies, which stay where they are put; deformable objects are
    static colliders.

    Args:
        scene: With objects.
        path: Ends in ``.xml``; meshes go to the folder ``NAME_meshes`` beside it.
        assume_scale: Take a unit of a scene without metric scale for a metre.
        overwrite: Replace an earlier export.

    Raises:
        UsageError: The path ends otherwise, the scene has no objects or no metric scale, or an object no collider or no
            mass.
        BodyError: An object has an inertia that no body has.
        OutputError: Something is there already, or cannot be written.
    """
    path = Path(path)
    check_name(path, ".xml", "An MJCF model")
    twin, bodies, notes = described(scene, assume_scale=assume_scale)
    folder = path.with_name(f"{path.stem}_meshes")
    links, closing = joint_trees(twin, bodies)
    notes += closing
    root = _model(scene, twin, bodies, links, folder.name, path.stem)
    notes += add_contacts(root, bodies, joined(links))
    add_drives(root, links, bodies)
    objects = bodies[: len(scene.objects)]
    return write_model(path, root, folder, mesh_files(bodies), objects=objects, notes=notes, overwrite=overwrite)


def _model(
    scene: Scene, twin: Twin, bodies: list[DescribedBody], links: Sequence[Link], meshes: str, name: str
) -> ElementTree.Element:
    root = ElementTree.Element("mujoco", model=name)
    add = ElementTree.SubElement
    add(root, "compiler", angle="radian", autolimits="true", meshdir=meshes, inertiafromgeom="false")
    option = add(
        root,
        "option",
        timestep=numbers(TIMESTEP),
        gravity=numbers((0, 0, -twin.gravity)),
        cone="elliptic",
        impratio="10",
        integrator="implicitfast",
    )
    add(option, "flag", multiccd="enable")  # A flat face on a face touches in several points, not in one.
    _add_assets(add(root, "asset"), bodies)
    ground = add(root, "worldbody")
    add(ground, "light", name="sun", type="directional", pos="0 0 3", dir="0.2 0.3 -1", castshadow="false")
    parts = {-1: ground}
    for link in links:
        parts[link.body] = _add_body(parts[link.parent], bodies[link.body], link, pose_in_parent(link, bodies))
    add_cameras(root, ground, scene, twin.T_stage_world)
    add(add(root, "keyframe"), "key", name="capture", qpos=" ".join(first_positions(links, bodies)))
    return root


def _add_assets(asset: ElementTree.Element, bodies: list[DescribedBody]) -> None:
    """Meshes; how MuJoCo takes their inertia does not matter but must be possible: of a shell, of a hull."""
    for thing in bodies:
        if not thing.meshes:
            continue
        stem = thing.file_name
        ElementTree.SubElement(asset, "mesh", name=f"{stem}_visual", file=thing.visual_file, inertia="shell")
        for number in range(len(thing.meshes)):
            name, file = f"{stem}_part_{number:03d}", thing.part_file(number)
            ElementTree.SubElement(asset, "mesh", name=name, file=file, inertia="convex")


def _add_body(
    parent: ElementTree.Element, thing: DescribedBody, link: Link, pose: tuple[float, ...]
) -> ElementTree.Element:
    body, add = thing.body, ElementTree.SubElement
    part = add(parent, "body", name=thing.name, pos=numbers(pose[:3]), quat=numbers(pose[3:]))
    if body.motion == "kinematic":
        part.set("mocap", "true")
    elif body.motion == "dynamic":
        if link.joint is None:
            add(part, "freejoint", name=f"{thing.file_name}_free")
        add_joint(part, link)
        tensor = [body.inertia[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]
        add(part, "inertial", pos=numbers(body.com), mass=numbers(body.mass), fullinertia=numbers(tensor))
    color = f"{numbers(thing.color)} 1"
    contact = surface(body)
    if body.primitive is not None:
        kind = body.primitive.kind
        plane = kind == "plane"
        size = (FLOOR_SIDE, FLOOR_SIDE, 0.1) if plane else body.primitive.size[: 1 if kind == "sphere" else 3]
        add(part, "geom", contact, name=f"{thing.file_name}_{kind}", type=kind, size=numbers(size), rgba=color)
        return part
    seen = {"contype": "0", "conaffinity": "0", "group": str(VISUAL_GROUP), "mass": "0", "rgba": color}
    name = f"{thing.file_name}_visual"
    add(part, "geom", seen, name=name, type="mesh", mesh=name)
    for number in range(len(thing.meshes)):
        name = f"{thing.file_name}_part_{number:03d}"
        add(part, "geom", contact, name=name, type="mesh", mesh=name, group=str(COLLIDER_GROUP), mass="0")
    return part
