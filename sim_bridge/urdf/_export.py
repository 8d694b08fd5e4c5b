"""A scene -> URDF files: OUT.urdf for all of it, and OUT_objects/NAME.urdf for each object, with meshes beside them.

A URDF describes one tree of links, so an object is one file with one link: that is what robots' tools, `load_urdf` and
MuJoCo read without further ado. OUT.urdf holds the whole scene: a link ``world``, supports and floor on fixed joints,
objects on joints of the type ``floating`` whose origins are the poses of the photos, or on the scene's own joints. Some
readers, ours among them, do not know floating joints; they take the objects' own files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from sim_bridge.mjcf._described import (
    DescribedBody,
    Exported,
    check_name,
    described,
    mesh_files,
    numbers,
    write_model,
    xml_text,
)
from sim_bridge.mjcf._joint_tree import IDENTITY, Link, Pose, composed, joint_trees
from sim_bridge.urdf._joints import add_joint, frame_in_link, place, said_of_joints

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
    others skip. A ``<mujoco>`` element makes MuJoCo keep the folders of meshes. Kinematic and deformable objects are
    fixed; a URDF has no word for what is moved from outside.

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
    check_name(path, ".urdf", "A URDF")
    twin, bodies, notes = described(scene, assume_scale=assume_scale)
    links, closing = joint_trees(twin, bodies)
    folder = path.with_name(f"{path.stem}_objects")
    files, objects = mesh_files(bodies), bodies[: len(scene.objects)]
    for thing in objects:
        robot = _robot(thing.file_name)
        _add_link(robot, thing, "")
        files[f"{thing.file_name}.urdf"] = xml_text(robot)
    led = [thing.name for thing in bodies if thing.body.motion == "kinematic"]
    fixed = [f"{', '.join(led)}: kinematic, here fixed to the world."] if led else []
    root = _whole(path.stem, bodies, links, f"{folder.name}/")
    notes += [*fixed, *closing, *said_of_joints(links), LEFT_OUT]
    return write_model(path, root, folder, files, objects=objects, notes=notes, overwrite=overwrite)


def _whole(name: str, bodies: Sequence[DescribedBody], links: Sequence[Link], folder: str) -> ElementTree.Element:
    robot = _robot(name)
    ElementTree.SubElement(robot, "link", name="world")
    frames = {link.body: frame_in_link(link) for link in links}
    for link in links:
        _add_link(robot, bodies[link.body], folder, frames[link.body])
    for link in links:
        thing = bodies[link.body]
        if link.joint is not None:
            add_joint(robot, link, bodies, frames)
            continue
        kind = "floating" if thing.body.motion == "dynamic" else "fixed"
        joint = ElementTree.SubElement(robot, "joint", name=f"{thing.file_name}_{kind}", type=kind)
        ElementTree.SubElement(joint, "parent", link="world")
        ElementTree.SubElement(joint, "child", link=thing.name)
        ElementTree.SubElement(joint, "origin", place(thing.pose))
    return robot


def _robot(name: str) -> ElementTree.Element:
    robot = ElementTree.Element("robot", name=name)
    ElementTree.SubElement(ElementTree.SubElement(robot, "mujoco"), "compiler", strippath="false", fusestatic="false")
    return robot


def _add_link(robot: ElementTree.Element, thing: DescribedBody, folder: str, frame: Pose = IDENTITY) -> None:
    """A body as a link, in whose frame the body's own is at ``frame``."""
    body, add = thing.body, ElementTree.SubElement
    link = add(robot, "link", name=thing.name)
    if body.motion == "dynamic" or body.primitive is None:
        inertial = add(link, "inertial")
        add(inertial, "origin", place(composed(frame, (*body.com, *IDENTITY[3:]))))
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
    meshes = [(visual, thing.visual_file)]
    meshes += [(add(link, "collision"), thing.part_file(number)) for number in range(len(thing.meshes))]
    for element, file in meshes:
        if frame != IDENTITY:
            add(element, "origin", place(frame))
        add(add(element, "geometry"), "mesh", filename=folder + file)


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
