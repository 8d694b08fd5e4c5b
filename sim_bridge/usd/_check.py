"""A USD file -> what is wrong with it, rule by rule, each with a hint.

USD's own validators run first, then the asset rules of particle fields, then what keeps a stage from behaving the same
in every engine: masses, colliders, scales, units, ground, names. Nothing outside of the file's folder is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import FileFormatError
from sim_bridge.usd._check_finding import Finding
from sim_bridge.usd._read_stage import open_stage, reading, usd_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim_bridge.usd._import_inventory import Inventory, OwnedPrims
    from sim_bridge.usd._read_stage import OpenedStage
    from sim_bridge.usd._read_values import StageReader

__all__ = ["Finding", "check_usd", "findings"]


def check_usd(path: Path) -> tuple[Finding, ...]:
    """Check a stage.

    Args:
        path: A .usd, .usda, .usdc or .usdz file, of scene3d or of another program.

    Returns:
        Findings, errors first, then by rule and prim; none for a stage that is all right.

    Raises:
        FileFormatError: It does not exist, is no USD file, or is damaged.
    """
    from sim_bridge.usd._read_probe import probe

    found = probe(usd_file(path), "check")
    return tuple(Finding(**finding) for finding in found)


def findings(path: Path) -> tuple[Finding, ...]:
    """What `check_usd` returns, worked out in this process, which a damaged file may end.

    Raises:
        FileFormatError: The file is damaged in a way that USD notices.
    """
    opened = open_stage(path)
    with reading(path):
        return tuple(sorted(set(_findings(opened))))


def _findings(opened: OpenedStage) -> Iterator[Finding]:
    from sim_bridge.usd._check_colliders import check_standing
    from sim_bridge.usd._check_splats import check_splats
    from sim_bridge.usd._check_stage import check_stage
    from sim_bridge.usd._check_validators import check_validators
    from sim_bridge.usd._import_inventory import take_inventory
    from sim_bridge.usd._read_values import StageReader, read_units

    yield from check_validators(opened)
    found = take_inventory(opened.stage, [])
    yield from check_stage(opened, found)
    try:
        units = read_units(opened.stage, [], physics=bool(found.bodies))
    except FileFormatError as error:
        yield Finding("error", "units", opened.path.name, str(error), "Set metersPerUnit and kilogramsPerUnit to 1.")
        return
    reader = StageReader(opened.path, opened.stage, units)
    for prim in _all_splats(found):
        yield from check_splats(reader, prim)
    for owned in found.bodies:
        yield from _body(reader, owned)
    for prim in found.standing:
        yield from check_standing(reader, prim)


def _all_splats(found: Inventory) -> list:
    return [*found.splats, *(prim for owned in found.bodies for prim in owned.splats)]


def _body(reader: StageReader, owned: OwnedPrims) -> Iterator[Finding]:
    from pxr import UsdPhysics

    from sim_bridge.usd._check_bodies import check_body
    from sim_bridge.usd._check_colliders import check_colliders
    from sim_bridge.usd._read_frames import body_frame

    if not owned.prim.HasAPI(UsdPhysics.RigidBodyAPI):  # A deformable: its particles collide.
        return
    found = tuple(check_body(reader, owned))
    yield from found
    try:
        at = body_frame(reader, owned.prim)
    except FileFormatError as error:
        at, said = None, str(error).removeprefix(f"{reader.path}: ")
        if not any(each.severity == "error" and each.rule == "body-place" for each in found):
            yield Finding("error", "body-scale", str(owned.prim.GetPath()), said, "Apply scales to the geometry.")
    yield from check_colliders(reader, owned, at)
