"""Structure from motion with pycolmap: features -> verified matches -> poses, with progress and Ctrl-C.

Features are cut into batches and pairs into lists, because COLMAP reports nothing while it works on one. Its calls hold
no Python lock; they run in a thread of their own, and an interrupt is passed on through a cancellation token. What
comes out is COLMAP's own models, largest first.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d.capture._pairs import choose_pairs, vlad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scene3d.capture._photo_set import PhotoSet
    from scene3d.capture._sfm_copies import Copies

__all__ = ["extract", "map_views", "match", "quiet_colmap"]

FEATURES = 4096
"""Most features per photo."""
BATCH = 8
"""Photos whose features are found between two reports."""
PER_PHOTO = 1500
"""Descriptors of each photo that say how it looks."""
PAIRS_AT_ONCE = 60
NEIGHBOURS_IN_TIME = 2
"""Frames of a sequence this close together are matched along epipolar lines too."""
FEW = 8
"""With fewer photos of one camera only its focal length and one radial term are solved, else all of OpenCV's model."""
GUESSED_FOCAL = 0.85
"""Focal length over longest side where EXIF is silent: between phones (0.7) and mild telephoto (1.2)."""


@contextmanager
def quiet_colmap() -> Iterator[Any]:
    """Pycolmap without its log."""
    import pycolmap

    level, pycolmap.logging.minloglevel = pycolmap.logging.minloglevel, 3
    try:
        yield pycolmap
    finally:
        pycolmap.logging.minloglevel = level


def extract(
    copies: Copies, photos: PhotoSet, database: Path, *, threads: int, progress: Callable[[float], None]
) -> None:
    """Find features of all copies; each group of photos gets one camera in the database."""
    with quiet_colmap() as colmap:
        extraction = colmap.FeatureExtractionOptions()
        extraction.num_threads, extraction.use_gpu = threads, False
        extraction.sift.max_num_features = FEATURES
        done = 0
        for group in copies.groups:
            reader = colmap.ImageReaderOptions()
            if copies.masks is not None:
                reader.mask_path = copies.masks
            reader.camera_model, reader.camera_params = _camera(copies, photos, group)
            for start in range(0, len(group), BATCH):
                names = [copies.names[index] for index in group[start : start + BATCH]]
                _run(
                    lambda token, names=names, reader=reader: colmap.extract_features(
                        database,
                        copies.images,
                        names,
                        camera_mode=colmap.CameraMode.SINGLE,
                        reader_options=reader,
                        extraction_options=extraction,
                        device=colmap.Device.cpu,
                        cancellation_token=token,
                    )
                )
                if start == 0:
                    with colmap.Database.open(database) as opened:
                        reader.existing_camera_id = opened.read_image_with_name(names[0]).camera_id
                done += len(names)
                progress(done / len(copies.names))


def _camera(copies: Copies, photos: PhotoSet, group: Sequence[int]) -> tuple[str, str]:
    """COLMAP's camera model and first parameters; the latter empty when nothing is known."""
    first = group[0]
    width, height = copies.sizes[first]
    file = photos.files[first]
    focal = GUESSED_FOCAL * max(width, height) if file.focal is None else file.focal * width / file.width
    if len(group) < FEW:
        return "SIMPLE_RADIAL", f"{focal},{width / 2},{height / 2},0"
    return "OPENCV", f"{focal},{focal},{width / 2},{height / 2},0,0,0,0"


def match(
    copies: Copies, photos: PhotoSet, database: Path, *, threads: int, seed: int, progress: Callable[[float], None]
) -> None:
    """Match features of the chosen pairs and keep what a two-view geometry explains."""
    with quiet_colmap() as colmap:
        likeness = _likeness(colmap, database, copies, seed)
        pairs = choose_pairs(len(copies.names), ordered=photos.ordered, likeness=likeness)
        # Neighbours in time see nearly the same, so the epipolar line finds more matches; elsewhere it only costs.
        near = [(a, b) for a, b in pairs if photos.ordered and b - a <= NEIGHBOURS_IN_TIME]
        jobs = [*_lists(near, guided=True), *_lists(sorted({*pairs} - {*near}), guided=False)]
        verification = colmap.TwoViewGeometryOptions()
        verification.ransac.random_seed = seed
        listing = database.with_name("pairs.txt")
        done = 0
        for part, guided in jobs:
            matching = colmap.FeatureMatchingOptions()
            matching.num_threads, matching.use_gpu, matching.guided_matching = threads, False, guided
            listing.write_text("".join(f"{copies.names[a]} {copies.names[b]}\n" for a, b in part))
            options = colmap.ImportedPairingOptions()
            options.match_list_path = listing
            _run(
                lambda token, options=options, matching=matching: colmap.match_image_pairs(
                    database,
                    matching_options=matching,
                    pairing_options=options,
                    verification_options=verification,
                    device=colmap.Device.cpu,
                    cancellation_token=token,
                )
            )
            done += len(part)
            progress(done / len(pairs))


def _lists(pairs: list[tuple[int, int]], *, guided: bool) -> list[tuple[list[tuple[int, int]], bool]]:
    """Pairs in parts of a size that is matched between two reports, each with whether to be guided."""
    return [(pairs[start : start + PAIRS_AT_ONCE], guided) for start in range(0, len(pairs), PAIRS_AT_ONCE)]


def _likeness(colmap: Any, database: Path, copies: Copies, seed: int) -> NDArray[np.float32]:
    """How alike all photos look, shape (P, P)."""
    nothing = np.zeros((0, 128), np.float32)
    with colmap.Database.open(database) as opened:
        ids = {image.name: image.image_id for image in opened.read_all_images()}
        found = [opened.read_descriptors(ids[name]).data if name in ids else nothing for name in copies.names]
    codes = vlad([np.sqrt(np.asarray(row[:PER_PHOTO], np.float32) / 255.0) for row in found], seed=seed)
    return codes @ codes.T


def map_views(
    database: Path,
    images: Path,
    work: Path,
    *,
    photos: int,
    threads: int,
    seed: int,
    progress: Callable[[float], None],
) -> list[Any]:
    """Solve poses and points; returns COLMAP reconstructions, most photos first.

    A second, more lenient attempt is made when the first places less than half of the photos: captures with little
    parallax or few features never reach the angles and counts that the usual settings ask of a first pair.
    """
    work.mkdir(parents=True, exist_ok=True)
    models = _map(database, images, work / "strict", photos, threads, seed, progress, lenient=False)
    if not models or 2 * models[0].num_reg_images() < photos:
        again = _map(database, images, work / "lenient", photos, threads, seed, progress, lenient=True)
        if again and (not models or again[0].num_reg_images() > models[0].num_reg_images()):
            models = again
    return models


def _map(
    database: Path,
    images: Path,
    work: Path,
    photos: int,
    threads: int,
    seed: int,
    progress: Callable[[float], None],
    *,
    lenient: bool,
) -> list[Any]:
    placed = 0

    def count() -> None:
        nonlocal placed
        placed += 1
        progress(min(1.0, (placed + 1) / photos))

    with quiet_colmap() as colmap:
        options = colmap.IncrementalPipelineOptions()
        options.num_threads, options.random_seed = threads, seed
        options.min_model_size = 3
        options.max_num_models = 8
        # Bundle adjustment of everything is most of the time; photos that come later bring it about often enough.
        options.ba_global_frames_ratio = options.ba_global_points_ratio = 1.2
        options.mapper.random_seed = options.triangulation.random_seed = seed
        if lenient:
            options.min_num_matches = 10
            options.mapper.init_min_tri_angle, options.mapper.init_min_num_inliers = 4.0, 50
            options.mapper.abs_pose_min_num_inliers, options.mapper.abs_pose_min_inlier_ratio = 15, 0.15
            options.triangulation.ignore_two_view_tracks = False
        work.mkdir(parents=True, exist_ok=True)
        found = _run(
            lambda token: colmap.incremental_mapping(
                database, images, work, options, next_image_callback=count, cancellation_token=token
            )
        )
        return sorted(found.values(), key=lambda model: -model.num_reg_images())


def _run(call: Callable[[Any], Any]) -> Any:
    """Run a COLMAP call in a thread of its own; Ctrl-C cancels it and comes through."""
    import pycolmap

    token, box, done = pycolmap.CancellationToken(), {}, threading.Event()

    def work() -> None:
        try:
            box["result"] = call(token)
        except BaseException as error:
            box["error"] = error
        finally:
            done.set()

    # An event, not join: a join that an interrupt breaks off takes the thread for finished (Python issue 45274), and an
    # interpreter that exits under COLMAP's feet aborts.
    threading.Thread(target=work, daemon=True).start()
    interrupted = False
    while not done.is_set():
        try:
            done.wait(0.1)
        except KeyboardInterrupt:
            interrupted = True
            token.cancel()
    if interrupted:
        raise KeyboardInterrupt
    if "error" in box:
        raise box["error"]
    return box["result"]
