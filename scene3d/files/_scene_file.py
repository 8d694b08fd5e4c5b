"""scene.yaml: bytes <-> the record that a scene folder is made of.

Plain data: YAML is parsed by the safe loader without aliases (which could expand without bound) into structs that
forbid unknown fields. The record names all other files of the scene; whoever follows it sees one whole scene.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from scene3d._errors import FileFormatError

__all__ = [
    "VERSION",
    "WITHOUT_JOINTS",
    "JointRecord",
    "ObjectRecord",
    "SceneFile",
    "SupportRecord",
    "decode_scene",
    "decode_yaml",
    "encode_yaml",
]

VERSION = 4
"""Version of the scene folder that this package writes; it reads this one and all earlier ones. Version 1 had neither
the photos of cameras nor `scale_source` and `T_world_source`; version 2 had no objects, supports or made-up splats;
version 3 had no joints."""
WITHOUT_JOINTS = 3
"""Version that a scene without joints is written in, so that programs of then read it too."""
LARGEST_YAML = 16 * 1024 * 1024
"""Bytes."""

Row3 = tuple[float, float, float]
Row4 = tuple[float, float, float, float]
Pose = tuple[float, float, float, float, float, float, float]
FileName = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class SupportRecord(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A `SupportPlane`."""

    normal: Row3
    offset: float
    noise: float
    outline: Annotated[list[Row3], msgspec.Meta(max_length=10_000)] = []


class ObjectRecord(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A `SceneObject`: its values, and its files relative to the scene folder."""

    name: str
    kind: Literal["rigid", "deformable"] = "rigid"
    T_world_body: Pose
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    guessed: list[str] = []
    splat: FileName
    collider: FileName
    parts: Annotated[list[FileName], msgspec.Meta(max_length=4096)] = []
    particles: FileName | None = None
    body: FileName

    def files(self) -> list[str]:
        """All files that the object consists of."""
        particles = [] if self.particles is None else [self.particles]
        return [self.splat, self.collider, *self.parts, *particles, self.body]


class JointRecord(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A `dynamics.Joint` between objects, called by their names."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    kind: Literal["hinge", "slide", "fixed"]
    parent: str | None
    """None for the world."""
    child: str
    T_parent_joint: Pose
    T_child_joint: Pose
    axis: Row3 = (0.0, 0.0, 1.0)
    low: float | None = None
    """None for no limit; likewise `high` and `force_limit`."""
    high: float | None = None
    damping: float = 0.0
    friction: float = 0.0
    stiffness: float = 0.0
    drive_damping: float = 0.0
    force_limit: float | None = None


class SceneFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What scene.yaml says."""

    version: int
    """Version of the layout."""
    units: Literal["m", "unknown"]
    """Unit of length."""
    metric: bool
    """True when lengths are metres."""
    up: Row3
    """World direction that points up."""
    background: FileName
    """Splat file, relative to the folder."""
    filled: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How many of its splats, the last ones, were made up."""
    cameras: FileName
    """Camera file, relative to the folder."""
    photos: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    """Folder that relative paths of photos start from, relative to this one; empty for this one."""
    source: dict[str, Any] = {}
    """Where the scene came from."""
    metrics: dict[str, Any] = {}
    """How good it is."""
    scale_source: str = ""
    """Where metric scale came from."""
    T_world_source: tuple[Row4, Row4, Row4, Row4] | None = None
    """Similarity from the world of the capture's files to this one."""
    supports: Annotated[list[SupportRecord], msgspec.Meta(max_length=1000)] = []
    """What the objects stand on, the largest first."""
    objects: Annotated[list[ObjectRecord], msgspec.Meta(max_length=10_000)] = []
    """Things that can be moved."""
    joints: Annotated[list[JointRecord], msgspec.Meta(max_length=1000)] | msgspec.UnsetType = msgspec.UNSET
    """What ties objects; not written when there are none."""

    def files(self) -> list[str]:
        """All files that the scene consists of."""
        return [self.background, self.cameras, *(name for thing in self.objects for name in thing.files())]


def encode_yaml(record: msgspec.Struct) -> bytes:
    """The text of a record; rows of numbers stay on one line."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Repeats equal lists and mappings instead of writing aliases, which are not read."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def row(dumper: yaml.SafeDumper, values: Any) -> yaml.Node:
        numbers = all(isinstance(value, (int, float)) for value in values)
        return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=numbers)

    Dumper.add_representer(list, row)
    Dumper.add_representer(tuple, row)
    data = msgspec.to_builtins(record, enc_hook=_plain)
    return yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120, encoding="utf-8")


def decode_yaml(path: Path, advice: str = "Restore one from .history.") -> Any:
    """The plain data of a YAML file of ours; `advice` says what to do about one that is none.

    Raises:
        FileFormatError: It cannot be read, is too large, is not valid YAML, or uses aliases.
    """
    import yaml

    try:
        if path.stat().st_size > LARGEST_YAML:
            raise FileFormatError(f"{path} is larger than {LARGEST_YAML // 2**20} MiB, which no {path.name} is.")
        text = path.read_bytes()
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise FileFormatError(f"{path} uses YAML aliases (*name), which are not read. Write the values out.")
        return yaml.safe_load(text)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise FileFormatError(f"{path} is not valid YAML ({reason}). {advice}") from error


def decode_scene(path: Path) -> SceneFile:
    """Read and check a scene.yaml.

    Raises:
        FileFormatError: Damaged, of a newer version, or with fields that are not known.
    """
    data = decode_yaml(path)
    version = data.get("version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise FileFormatError(f"{path} has version {version}, but this scene3d reads up to {VERSION}. Upgrade scene3d.")
    try:
        return msgspec.convert(data, SceneFile)
    except msgspec.ValidationError as error:
        raise FileFormatError(f"{path} is not a scene of scene3d ({error}). Restore one from .history.") from error


def _plain(value: Any) -> Any:
    """Paths, and numbers of numpy and torch, as plain data."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise NotImplementedError(f"A scene cannot store values of type {type(value).__name__}.")
