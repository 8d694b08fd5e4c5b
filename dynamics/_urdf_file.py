"""URDF files -> links and joints as they are written, checked but not yet bodies.

Files come from anywhere: document types, and with them entities, are refused before anything is parsed, sizes are
bounded, numbers must be numbers. What is not understood (transmissions, sensors, foreign tags) is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import FileFormatError

__all__ = ["UrdfFile", "UrdfInertial", "UrdfJoint", "UrdfLink", "UrdfShape", "read_urdf"]

LARGEST_FILE = 1 << 24
JOINTS = ("revolute", "continuous", "prismatic", "fixed")
Matrix = NDArray[np.float64]
JointType = Literal["revolute", "continuous", "prismatic", "fixed"]


@dataclass(frozen=True, eq=False)
class UrdfShape:
    """One visual or collision element."""

    kind: str
    """``box``, ``sphere``, ``cylinder`` or ``mesh``."""
    size: tuple[float, ...]
    """Side lengths, radius, radius and length, or scale of a mesh [m]."""
    file: str
    """Of a mesh, else empty."""
    T_link_shape: Matrix
    """Homogeneous, shape (4, 4)."""


@dataclass(frozen=True, eq=False)
class UrdfInertial:
    """Mass of a link."""

    mass: float
    """[kg]"""
    com: Matrix
    """In the link's frame [m], shape (3,)."""
    inertia: Matrix
    """About the centre of mass, in the link's axes [kg m^2], shape (3, 3)."""


@dataclass(frozen=True, eq=False)
class UrdfLink:
    """A link; of the two kinds of shapes collision is what is written as such, or else the visual ones."""

    name: str
    inertial: UrdfInertial | None
    shapes: tuple[UrdfShape, ...]


@dataclass(frozen=True, eq=False)
class UrdfJoint:
    """A joint; the child's frame is the joint's."""

    name: str
    kind: JointType
    parent: str
    child: str
    T_parent_joint: Matrix
    axis: tuple[float, float, float]
    low: float
    high: float
    effort: float
    damping: float
    friction: float


@dataclass(frozen=True, eq=False)
class UrdfFile:
    """A robot."""

    path: Path
    name: str
    links: tuple[UrdfLink, ...]
    joints: tuple[UrdfJoint, ...] = field(default=())


def read_urdf(path: Path | str) -> UrdfFile:
    """Read a URDF file.

    Raises:
        FileFormatError: It is no URDF, has a document type, or a value in it makes no sense.
    """
    path = Path(path)
    root = _parsed(path)
    if root.tag != "robot":
        raise FileFormatError(f"{path} begins with <{root.tag}>; a URDF begins with <robot>.")
    links = tuple(_link(path, element) for element in root.findall("link"))
    joints = tuple(_joint(path, element) for element in root.findall("joint"))
    if not links:
        raise FileFormatError(f"{path} has no <link>.")
    for kind, names in (("links", [link.name for link in links]), ("joints", [joint.name for joint in joints])):
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise FileFormatError(f"{path}: two {kind} are called {twice!r}.")
    return UrdfFile(path, root.get("name", path.stem), links, joints)


def _parsed(path: Path) -> ElementTree.Element:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}).") from error
    if len(data) > LARGEST_FILE:
        raise FileFormatError(f"{path} is larger than {LARGEST_FILE >> 20} MiB, too much for a URDF.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path} is no text in UTF-8; a URDF is.") from error
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise FileFormatError(f"{path} declares a document type or entities, which are not read. Remove them.")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise FileFormatError(f"{path} is no XML ({error}).") from error


def _link(path: Path, element: ElementTree.Element) -> UrdfLink:
    name = _attribute(path, element, "name")
    where = f"{path}, link {name!r}"
    shapes = element.findall("collision") or element.findall("visual")
    inertial = element.find("inertial")
    return UrdfLink(
        name,
        None if inertial is None else _inertial(where, inertial),
        tuple(_shape(where, shape) for shape in shapes),
    )


def _inertial(where: str, element: ElementTree.Element) -> UrdfInertial:
    mass, tensor = element.find("mass"), element.find("inertia")
    if mass is None or tensor is None:
        raise FileFormatError(f"{where}: <inertial> needs <mass> and <inertia>.")
    value = _numbers(where, mass, "value", 1)[0]
    if value <= 0:
        raise FileFormatError(f"{where}: found a mass of {value:g} kg; it takes a number above zero.")
    xx, yy, zz, xy, xz, yz = (
        _numbers(where, tensor, name, 1, "0" if name[1] != name[2] else None)[0]
        for name in ("ixx", "iyy", "izz", "ixy", "ixz", "iyz")
    )
    T = _origin(where, element)
    local = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return UrdfInertial(value, T[:3, 3], T[:3, :3] @ local @ T[:3, :3].T)


def _shape(where: str, element: ElementTree.Element) -> UrdfShape:
    geometry = element.find("geometry")
    inner = None if geometry is None else next(iter(geometry), None)
    if inner is None:
        raise FileFormatError(f"{where}: a shape has no <geometry> in it.")
    T = _origin(where, element)
    if inner.tag == "box":
        size: tuple[float, ...] = tuple(_numbers(where, inner, "size", 3))
    elif inner.tag == "sphere":
        size = tuple(_numbers(where, inner, "radius", 1))
    elif inner.tag == "cylinder":
        size = (_numbers(where, inner, "radius", 1)[0], _numbers(where, inner, "length", 1)[0])
    elif inner.tag == "mesh":
        size = tuple(_numbers(where, inner, "scale", 3, "1 1 1"))
        return UrdfShape("mesh", size, _attribute(where, inner, "filename"), T)
    else:
        raise FileFormatError(f"{where}: found a <{inner.tag}>; shapes are box, sphere, cylinder or mesh.")
    if min(size) <= 0:
        raise FileFormatError(f"{where}: a {inner.tag} has a length of {min(size):g} m; it takes numbers above zero.")
    return UrdfShape(inner.tag, size, "", T)


def _joint(path: Path, element: ElementTree.Element) -> UrdfJoint:
    name = _attribute(path, element, "name")
    where = f"{path}, joint {name!r}"
    kind = _attribute(where, element, "type")
    if kind not in JOINTS:
        raise FileFormatError(f"{where} is {kind}; joints are {', '.join(JOINTS)}.")
    if element.find("mimic") is not None:
        raise FileFormatError(f"{where} mimics another, which is not simulated. Remove <mimic>.")
    parent, child = element.find("parent"), element.find("child")
    if parent is None or child is None:
        raise FileFormatError(f"{where} needs <parent> and <child>.")
    limit, dynamics, axis = (element.find(tag) for tag in ("limit", "dynamics", "axis"))
    low, high, effort = -math.inf, math.inf, math.inf
    if limit is not None:
        effort = _numbers(where, limit, "effort", 1, "0")[0] or math.inf
        if kind != "continuous":
            low, high = (_numbers(where, limit, name, 1, "0")[0] for name in ("lower", "upper"))
    elif kind in ("revolute", "prismatic"):
        raise FileFormatError(f"{where} is {kind} and needs <limit>; make it continuous if it has none.")
    direction = np.array([1.0, 0.0, 0.0] if axis is None else _numbers(where, axis, "xyz", 3))
    length = float(np.linalg.norm(direction))
    if length < 1e-9 and kind != "fixed":
        raise FileFormatError(f"{where} has an axis of length 0.")
    x, y, z = (direction / length).tolist() if length > 0 else (0.0, 0.0, 1.0)
    damping, friction = (
        0.0 if dynamics is None else _numbers(where, dynamics, key, 1, "0")[0] for key in ("damping", "friction")
    )
    return UrdfJoint(
        name,
        kind,  # pyright: ignore[reportArgumentType]
        _attribute(where, parent, "link"),
        _attribute(where, child, "link"),
        _origin(where, element),
        (x, y, z),
        low,
        high,
        effort,
        damping,
        friction,
    )


def _origin(where: str, element: ElementTree.Element) -> Matrix:
    """Homogeneous matrix of xyz and roll, pitch, yaw about fixed axes."""
    origin = element.find("origin")
    T = np.eye(4)
    if origin is None:
        return T
    T[:3, 3] = _numbers(where, origin, "xyz", 3, "0 0 0")
    roll, pitch, yaw = _numbers(where, origin, "rpy", 3, "0 0 0")
    turns = [np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]) for a in (roll, pitch, yaw)]
    x, y, z = np.eye(3), np.eye(3), np.eye(3)
    x[1:, 1:], z[:2, :2] = turns[0], turns[2]
    y[np.ix_([2, 0], [2, 0])] = turns[1]
    T[:3, :3] = z @ y @ x
    return T


def _attribute(where: Path | str, element: ElementTree.Element, name: str) -> str:
    value = element.get(name)
    if value is None:
        raise FileFormatError(f"{where}: a <{element.tag}> has no {name!r}.")
    return value


def _numbers(
    where: str, element: ElementTree.Element, name: str, count: int, otherwise: str | None = None
) -> list[float]:
    text = element.get(name, otherwise)
    if text is None:
        raise FileFormatError(f"{where}: a <{element.tag}> has no {name!r}.")
    try:
        values = [float(part) for part in text.split()]
    except ValueError:
        values = []
    if len(values) != count or not all(math.isfinite(value) for value in values):
        wanted = "a number" if count == 1 else f"{count} numbers"
        raise FileFormatError(f"{where}: {name} of a <{element.tag}> is {text!r}; it takes {wanted}.")
    return values
