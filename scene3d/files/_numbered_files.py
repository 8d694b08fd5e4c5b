"""The files of a scene folder: new contents get new names, contents that are there already keep theirs.

`FileStore.put` and `FileStore.put_splats` take what is to be stored and answer with the file that holds it. When the
present scene names a file of that content, that file is the answer and nothing is written, so that moving or renaming
an object costs a scene.yaml. Splats are compared as they are read back: a lossy file that was loaded and not changed
is not written again.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from scene3d._errors import FileFormatError, OutputError
from scene3d.files._atomic import make_folder, write_atomic
from scene3d.files._inside import inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scene3d._gaussians import Gaussians

__all__ = ["FileStore", "SplatFormat", "made_by_saves"]

SplatFormat = Literal["ply", "spz"]
"""Formats in which a scene folder keeps splats: exact, or a sixth of the size with rounded values."""

NUMBER = r"(-\d+)?"
OURS = re.compile(
    rf"cameras{NUMBER}\.json|background/splat{NUMBER}\.(ply|spz)|"
    rf"objects/[a-z0-9_]+/(splat{NUMBER}\.(ply|spz)|collider{NUMBER}\.obj|parts/\d+{NUMBER}\.obj|"
    rf"particles{NUMBER}\.npz|body{NUMBER}\.yaml)"
)
"""Names of the files that saves make; only such files are ever removed."""


def made_by_saves(folder: Path) -> Iterator[Path]:
    """Files of a scene folder that saves have made, temporary ones of killed saves included; links are not followed."""
    for top in (folder, folder / "background", folder / "objects"):
        if top.is_symlink() and top != folder:
            continue
        for where, folders, names in os.walk(top):
            if top == folder:
                folders.clear()
            for name in names:
                path = Path(where, name)
                stem = re.sub(r"^\.(.+)\.\d+\.tmp$", r"\1", name)
                if OURS.fullmatch(path.with_name(stem).relative_to(folder).as_posix()):
                    yield path


class FileStore:
    """Writes files into a scene folder."""

    def __init__(self, folder: Path, present: Iterable[str]) -> None:
        """Files will go to `folder`; those named by `present`, relative to it, are not written again."""
        self._folder = folder
        self._present = list(dict.fromkeys(present))
        self._known: dict[tuple[str, bytes], str] | None = None

    def put(self, stem: str, suffix: str, content: bytes) -> str:
        """The file that holds `content`.

        Args:
            stem: Path without suffix, for example ``objects/mug/collider``.
            suffix: For example ``.obj``.
            content: All of the file.

        Returns:
            Its name relative to the folder.

        Raises:
            OutputError: It cannot be written.
        """
        key = (suffix, _digest([content]))
        name = self._found(key)
        if name is None:
            name = self._new_name(stem, suffix)
            write_atomic(self._folder / name, [content])
            self._all()[key] = name
        return name

    def put_splats(
        self, stem: str, splats: Gaussians, splat_format: SplatFormat | None, comments: Sequence[str] = ()
    ) -> str:
        """The file that holds `splats`.

        Args:
            stem: Path without suffix.
            splats: What to store.
            splat_format: Format to store them in; None takes any for splats that are there already, else PLY.
            comments: Lines for the header of a PLY.

        Raises:
            OutputError: They cannot be written.
        """
        from scene3d.files._ply import save_ply
        from scene3d.files._spz import save_spz

        for suffix in (".ply", ".spz") if splat_format is None else (f".{splat_format}",):
            name = self._found((suffix, _splat_digest(splats, comments if suffix == ".ply" else ())))
            if name is not None:
                return name
        suffix = f".{splat_format or 'ply'}"
        name = self._new_name(stem, suffix)
        if suffix == ".ply":
            save_ply(splats, self._folder / name, comments=comments)
        else:
            save_spz(splats, self._folder / name, fine_sh=True)
        self._all()[suffix, _splat_digest(splats, comments if suffix == ".ply" else ())] = name
        return name

    def _found(self, key: tuple[str, bytes]) -> str | None:
        return self._all().get(key)

    def _all(self) -> dict[tuple[str, bytes], str]:
        """Files by suffix and content, of the present scene first and of this save from then on."""
        if self._known is None:
            self._known = {}
            for name in self._present:
                key = _key_of(self._folder, name)
                if key is not None:
                    self._known.setdefault(key, name)
        return self._known

    def _new_name(self, stem: str, suffix: str) -> str:
        """A name that no file has: splat.ply, then splat-2.ply and so on; its folder is made."""
        where, leaf = (self._folder / stem).parent, Path(stem).name
        if not where.resolve().is_relative_to(self._folder.resolve()):
            raise OutputError(f"{where} is a link out of the scene folder. Remove it, or choose another --out.")
        make_folder(where)
        pattern = re.compile(rf"{re.escape(leaf)}(?:-(\d+))?\.\w+")
        numbers = [int(match[1] or 1) for path in where.iterdir() if (match := pattern.fullmatch(path.name))]
        number = max(numbers, default=0) + 1
        return f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}"


def _key_of(folder: Path, name: str) -> tuple[str, bytes] | None:
    """Suffix and digest of a file of the present scene; None when it cannot be read."""
    from scene3d.files._ply_table import read_header
    from scene3d.files._splat_files import load_splats

    try:
        path = inside(folder, name, folder)
        if path.suffix in (".ply", ".spz"):
            comments = read_header(path).comments if path.suffix == ".ply" else ()
            return path.suffix, _splat_digest(load_splats(path).splats, comments)
        with open(path, "rb") as file:
            return path.suffix, hashlib.file_digest(file, "blake2b").digest()
    except (FileFormatError, OSError):
        return None


def _digest(parts: Iterable[bytes]) -> bytes:
    digest = hashlib.blake2b()
    for part in parts:
        digest.update(part)
    return digest.digest()


def _splat_digest(splats: Gaussians, comments: Sequence[str]) -> bytes:
    """Digest of the values as float32, in which all files hold them."""
    names = ("means", "quats", "scales", "opacities", "sh0", "shN", "component_index")
    arrays = [getattr(splats, name).detach().cpu().float().numpy() for name in names]
    shapes = [f"{array.shape}".encode() for array in arrays]
    return _digest(["\n".join(comments).encode(), *shapes, *(array.tobytes() for array in arrays)])
