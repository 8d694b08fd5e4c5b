"""Photos -> poses: structure from motion from the first copy to the finished `Capture`.

photos -> upright copies -> features -> matches -> poses and points, then back to the photos' own sizes and names. The
work folder keeps the result as a COLMAP model (``sparse/0``) with a record of the photos it is for (``poses.json``), so
that the same photos are never solved twice; the record also tells what became of each photo.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d.capture._capture import Capture
from scene3d.capture._placement import PhotoPlacement, explain, read_graph, refuse_hopeless

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scene3d.capture._photo_set import PhotoSet

__all__ = ["placements", "solve_poses"]

RECORD = "poses.json"
STAGES = {"copying photos": 0.04, "finding features": 0.2, "matching photos": 0.7, "placing photos": 1.0}
"""Stages, and the share of all work that is done when each ends."""


def solve_poses(
    photos: PhotoSet,
    work: Path,
    *,
    seed: int = 0,
    threads: int = 2,
    progress: Callable[[str, float], None] | None = None,
) -> Capture:
    """Solve camera poses and intrinsics [Schonberger 2016].

    Args:
        photos: Photos of one place.
        work: Folder for what is in between and for the result, which is taken up when it is there for these photos.
        seed: Seed of everything random. COLMAP's threads still leave the last digits to chance.
        threads: Threads for features, matches and bundle adjustment.
        progress: Called with what is being done and the share of all work done so far, 0 to 1.

    Returns:
        A capture of the photos that were placed, without metric scale; its notes name the others.

    Raises:
        CaptureError: Photos of different places, hardly any that can be placed, or none that can be decoded.
    """
    mark = _mark(photos)
    if not _is_solved(work, mark):
        _solve(photos, work, mark, seed=seed, threads=threads, progress=progress or (lambda _stage, _share: None))
    return _capture(photos, work)


def placements(work: Path) -> tuple[PhotoPlacement, ...]:
    """What became of each photo, from the record of solved poses; empty when there is none."""
    try:
        record = json.loads((work / RECORD).read_bytes())
        return tuple(PhotoPlacement(**photo) for photo in record["photos"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def _mark(photos: PhotoSet) -> str:
    """A digest of what the poses depend on: the photos by name, size and time of change."""
    digest = hashlib.sha256()
    for file in photos.files:
        found = file.path.stat()
        masked = "" if file.mask is None or photos.mask_mode == "alpha" else str(file.mask)
        digest.update(f"{file.name}|{found.st_size}|{found.st_mtime_ns}|{masked}\n".encode())
    return digest.hexdigest()


def _is_solved(work: Path, mark: str) -> bool:
    try:
        return json.loads((work / RECORD).read_bytes())["mark"] == mark and (work / "sparse" / "0").is_dir()
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _solve(
    photos: PhotoSet, work: Path, mark: str, *, seed: int, threads: int, progress: Callable[[str, float], None]
) -> None:
    from scene3d.capture import _sfm
    from scene3d.capture._sfm_copies import make_copies

    def stage(name: str) -> Callable[[float], None]:
        names = list(STAGES)
        start = STAGES[names[names.index(name) - 1]] if name != names[0] else 0.0
        return lambda share: progress(name, start + (STAGES[name] - start) * share)

    scratch = work / "sfm"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    (work / RECORD).unlink(missing_ok=True)
    copies = make_copies(photos, scratch, threads=threads, progress=stage("copying photos"))
    database = scratch / "database.db"
    _sfm.extract(copies, photos, database, threads=threads, progress=stage("finding features"))
    _sfm.match(copies, photos, database, threads=threads, seed=seed, progress=stage("matching photos"))
    models = _sfm.map_views(
        database,
        copies.images,
        scratch / "models",
        photos=len(copies.names),
        threads=threads,
        seed=seed,
        progress=stage("placing photos"),
    )
    index = {name: place for place, name in enumerate(copies.names)}
    images = {index[image.name]: image for image in models[0].images.values() if image.has_pose} if models else {}
    graph = read_graph(database, copies.names)
    blur, blurred_from = _blur([copies.images / name for name in copies.names])
    found = explain(photos, graph, set(images), copies.flat, blur, blurred_from)
    refuse_hopeless(photos, graph, found)
    _write(photos, models[0], images, work)
    record = {"mark": mark, "photos": [asdict(photo) for photo in found]}
    (work / RECORD).write_text(json.dumps(record, indent=1))
    shutil.rmtree(scratch, ignore_errors=True)


def _blur(copies: Sequence[Path]) -> tuple[list[float], float]:
    """Blur of each copy, and from where on a photo counts as blurred."""
    import cv2

    from scene3d.capture._blur import BLURRED_FROM, blur

    return [float(blur(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))) for path in copies], BLURRED_FROM  # type: ignore[arg-type]


def _write(photos: PhotoSet, model: Any, images: dict[int, Any], work: Path) -> None:
    """Store the model with the names and the sizes of the photos themselves."""
    sizes = {image.camera_id: (photos.files[i].width, photos.files[i].height) for i, image in images.items()}
    small = {camera_id: (camera.width, camera.height) for camera_id, camera in model.cameras.items()}
    grown = {camera_id: np.divide(sizes[camera_id], small[camera_id]) for camera_id in sizes}
    positions = {
        place: [point.xy * grown[image.camera_id] for point in image.points2D] for place, image in images.items()
    }
    for camera_id, camera in model.cameras.items():
        if camera_id in sizes:
            camera.rescale(*sizes[camera_id])
    for place, image in images.items():
        image.name = photos.files[place].name
        for point, xy in zip(image.points2D, positions[place], strict=True):
            point.xy = xy
    draft, target = work / "sparse.part", work / "sparse"
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "0").mkdir(parents=True)
    model.write_binary(draft / "0")
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)


def _capture(photos: PhotoSet, work: Path) -> Capture:
    from scene3d.capture._colmap import model_view, sparse_points
    from scene3d.capture._sfm import quiet_colmap

    with quiet_colmap() as colmap:
        model = colmap.Reconstruction(str(work / "sparse" / "0"))
    files = {file.name: file for file in photos.files}
    images = sorted((image for image in model.images.values() if image.has_pose), key=lambda image: image.name)
    views = tuple(
        replace(
            model_view(image, model.cameras[image.camera_id], files[image.name].path, work),
            upright=True,
            mask=files[image.name].mask,
            mask_mode=photos.mask_mode,
            depth=files[image.name].depth,
        )
        for image in images
    )
    found = placements(work)
    notes = (*photos.notes, *_notes(found, model))
    root = photos.root if photos.root.is_dir() else work
    return Capture(root, views, sparse_points(model), source=photos.source, notes=notes)


def _notes(found: Sequence[PhotoPlacement], model: Any) -> list[str]:
    lost = [photo for photo in found if not photo.placed]
    error = model.compute_mean_reprojection_error()
    notes = [
        f"{len(found) - len(lost)} of {len(found)} photos were placed, {model.num_points3D():,} points, "
        f"mean reprojection error {error:.2f} px."
    ]
    by_reason: dict[str, list[str]] = {}
    for photo in lost:
        by_reason.setdefault(photo.reason, []).append(photo.name)
    for reason, names in by_reason.items():
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        notes.append(f"Not placed ({reason}): {shown}.")
    return notes
