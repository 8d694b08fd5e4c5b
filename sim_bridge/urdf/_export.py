"""A scene -> URDF files: OUT.urdf for all of it, and OUT_objects/NAME.urdf for each object, with meshes beside them.

A URDF describes one tree of links, so an object is one file with one link: that is what robots' tools, `load_urdf` and
MuJoCo read without further ado. OUT.urdf holds the whole scene: a link ``world``, supports and floor on fixed joints,
objects on joints of the type ``floating`` whose origins are the poses of the photos. Some readers, ours among them, do
not know floating joints; they take the objects' own files.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from scene3d._errors import UsageError
from sim_bridge.mjcf._asset_files import publish
from sim_bridge.mjcf._described import DescribedBody, Exported, described, mesh_files, numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dynamics import Body
    from scene3d import Scene

__all__ = ["Exported", "export_urdf"]

FLOOR = (10.0, 10.0, 0.1)
"""A URDF has no planes: the floor is a slab of these sides [m], its top in the plane."""
LEFT_OUT = "URDF holds no cameras and no gravity; friction and restitution are read by Bullet only."


def export_urdf(scene: Scene, path: Path | str, *, assume_scale: bool = False, overwrite: bool = False) -> Exported:
    """Write a scene as URDF files.

    Mass, centre of mass and inertia are the scene's, in full; each convex part is a collision mesh, the collider itself
    the visual one. Friction and restitution have no place in a URDF: they are written as Bullet's ``<contact>``, which
    others skip. A ``<mujoco>`` element makes MuJoCo keep the folders of meshes. Deformable objects are fixed.

    Args:
        scene: With objects.
        path: Ends in ``.urdf``; the objects' files go to the folder ``NAME_objects`` beside it.
        assume_scale: Take a unit of a scene without metric scale for a metre.
        overwrite: Replace an earlier export.

    Raises:
        UsageError: The path ends otherwise, the scene has no objects or no metric scale, or an object no collider or no
            mass.
        BodyError: An object has an inertia that no body has.
        OutputError: Something is there already, or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".urdf":
        raise UsageError(f"A URDF ends in .urdf, found {path.name!r}. Call it {path.stem}.urdf.")
    _, bodies, notes = described(scene, assume_scale=assume_scale)
    folder = path.with_name(f"{path.stem}_objects")
    files = mesh_files(bodies)
    for thing in bodies[: len(scene.objects)]:
        robot = _robot(thing.file_name)
        _add_link(robot, thing, "")
        files[f"{thing.file_name}.urdf"] = _text(robot)
    text = _text(_whole(path.stem, bodies, f"{folder.name}/"))
    suffixes = frozenset({".obj", ".urdf"})
    written = publish(path, text, folder, files, suffixes=suffixes, overwrite=overwrite)
    names = tuple(thing.name for thing in bodies[: len(scene.objects)])
    return Exported(path, written, names, notes=(*notes, LEFT_OUT))


def _whole(name: str, bodies: Sequence[DescribedBody], folder: str) -> ElementTree.Element:
    robot = _robot(name)
    ElementTree.SubElement(robot, "link", name="world")
    for thing in bodies:
        _add_link(robot, thing, folder)
    for thing in bodies:
        kind = "floating" if thing.body.motion == "dynamic" else "fixed"
        joint = ElementTree.SubElement(robot, "joint", name=f"{thing.file_name}_{kind}", type=kind)
        ElementTree.SubElement(joint, "parent", link="world")
        ElementTree.SubElement(joint, "child", link=thing.name)
        ElementTree.SubElement(joint, "origin", xyz=numbers(thing.pose[:3]), rpy=numbers(_rpy(thing.pose[3:])))
    return robot


def _robot(name: str) -> ElementTree.Element:
    robot = ElementTree.Element("robot", name=name)
    ElementTree.SubElement(ElementTree.SubElement(robot, "mujoco"), "compiler", strippath="false", fusestatic="false")
    return robot


def _add_link(robot: ElementTree.Element, thing: DescribedBody, folder: str) -> None:
    body, add = thing.body, ElementTree.SubElement
    link = add(robot, "link", name=thing.name)
    if body.motion == "dynamic" or body.primitive is None:
        inertial = add(link, "inertial")
        add(inertial, "origin", xyz=numbers(body.com), rpy="0 0 0")
        add(inertial, "mass", value=numbers(body.mass))
        entries = {"ixx": (0, 0), "ixy": (0, 1), "ixz": (0, 2), "iyy": (1, 1), "iyz": (1, 2), "izz": (2, 2)}
        add(inertial, "inertia", {name: numbers(body.inertia[at]) for name, at in entries.items()})
    contact = add(link, "contact")
    add(contact, "lateral_friction", value=numbers(body.material.friction))
    add(contact, "restitution", value=numbers(body.material.restitution))
    visual = add(link, "visual")
    material = add(visual, "material", name=f"{thing.file_name}_color")
    add(material, "color", rgba=f"{numbers(thing.color)} 1")
    if body.primitive is not None:
        for element in (visual, add(link, "collision")):
            _add_primitive(element, body)
        return
    add(add(visual, "geometry"), "mesh", filename=folder + thing.visual_file)
    for number in range(len(thing.meshes)):
        geometry = add(add(link, "collision"), "geometry")
        add(geometry, "mesh", filename=folder + thing.part_file(number))


def _add_primitive(element: ElementTree.Element, body: Body) -> None:
    assert body.primitive is not None
    add, kind, size = ElementTree.SubElement, body.primitive.kind, body.primitive.size
    sides = FLOOR if kind == "plane" else tuple(2 * half for half in size)
    add(element, "origin", xyz=numbers((0, 0, -FLOOR[2] / 2 if kind == "plane" else 0)), rpy="0 0 0")
    geometry = add(element, "geometry")
    if kind == "sphere":
        add(geometry, "sphere", radius=numbers(size[0]))
    else:
        add(geometry, "box", size=numbers(sides))


def _rpy(wxyz: Sequence[float]) -> tuple[float, float, float]:
    """Roll, pitch, yaw about fixed axes, R = Rz Ry Rx; at a pitch of 90 degrees roll is 0."""
    w, x, y, z = wxyz
    sine = max(-1.0, min(1.0, 2 * (w * y - x * z)))
    if abs(sine) > 1 - 1e-12:
        return 0.0, math.copysign(math.pi / 2, sine), -2 * math.copysign(1.0, sine) * math.atan2(x, w)
    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    return roll, math.asin(sine), math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def _text(robot: ElementTree.Element) -> bytes:
    ElementTree.indent(robot)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(robot, encoding="utf-8") + b"\n"
