"""Joints of a scene <-> their entries in scene.yaml, which call objects by their names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scene3d._errors import BodyError, FileFormatError
from scene3d.files._scene_file import JointRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dynamics import Joint
    from scene3d._scene_object import SceneObject

__all__ = ["joint_record", "joints_of"]

NUMBERS = ("damping", "friction", "stiffness", "drive_damping")


def joint_record(joint: Joint, names: Sequence[str]) -> JointRecord:
    """What scene.yaml says about a joint; no limit is no number.

    Args:
        joint: Between objects.
        names: Of the scene's objects.
    """
    return JointRecord(
        name=joint.name,
        kind=joint.kind,
        parent=None if joint.parent < 0 else names[joint.parent],
        child=names[joint.child],
        T_parent_joint=tuple(float(value) for value in joint.T_parent_joint),  # type: ignore[arg-type]
        T_child_joint=tuple(float(value) for value in joint.T_child_joint),  # type: ignore[arg-type]
        axis=tuple(float(value) for value in joint.axis),  # type: ignore[arg-type]
        low=_number(joint.low),
        high=_number(joint.high),
        force_limit=_number(joint.force_limit),
        **{name: float(getattr(joint, name)) for name in NUMBERS},
    )


def joints_of(
    records: Sequence[JointRecord], names: Sequence[str], objects: Sequence[SceneObject], where: Path
) -> tuple[Joint, ...]:
    """The joints that entries describe.

    Args:
        records: From scene.yaml.
        names: Of the objects, as they are written there.
        objects: Of the scene.
        where: The scene.yaml, for messages.

    Raises:
        FileFormatError: One names an object that is not there, they close a loop, or a value is none of a joint.
    """
    from scene3d._scene_joints import check_joints

    places = {name: index for index, name in enumerate(names)}
    for record in records:
        missing = next(
            (name for name in (record.parent, record.child) if name is not None and name not in places), None
        )
        if missing is not None:
            raise FileFormatError(
                f"{where}: joint {record.name!r} joins {missing!r}, which is no object of the scene. "
                "Restore one from .history."
            )
    try:
        joints = tuple(_joint(record, places) for record in records)
        check_joints(objects, joints)
    except BodyError as error:
        raise FileFormatError(f"{where}: {error}") from error
    return joints


def _joint(record: JointRecord, places: dict[str, int]) -> Joint:
    from dynamics import Joint

    numbers = {name: getattr(record, name) for name in NUMBERS}
    bad = next((name for name, value in numbers.items() if not math.isfinite(value)), None)
    if bad is not None:
        raise BodyError(f"Joint {record.name!r} has a {bad} of {numbers[bad]:g}; it takes a number.")
    return Joint(
        record.name,
        record.kind,
        -1 if record.parent is None else places[record.parent],
        places[record.child],
        T_parent_joint=record.T_parent_joint,
        T_child_joint=record.T_child_joint,
        axis=record.axis,
        low=-math.inf if record.low is None else record.low,
        high=math.inf if record.high is None else record.high,
        force_limit=math.inf if record.force_limit is None else record.force_limit,
        **numbers,
    )


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
