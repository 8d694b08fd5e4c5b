"""Poses from photos alone, by pycolmap: makes the COLMAP capture that reconstruct.py compares transforms.json with.

    .venv/bin/python tests/benchmarks/_sfm.py PHOTOS FOLDER [--longest-side 960] [--first N]

FOLDER becomes a COLMAP capture: a link ``images`` to PHOTOS, and ``sparse/0``. One OpenCV camera took all photos.
Prints one JSON document: seconds, photos, how many of them were registered, points. Run as a process of its own,
since COLMAP's memory would otherwise count as the benchmark's.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import tyro


def main(
    photos: tyro.conf.Positional[Path], folder: tyro.conf.Positional[Path], longest_side: int = 960, first: int = 0
):
    """Solve poses of all photos, or of the first few by name."""
    import pycolmap

    pycolmap.logging.minloglevel = 2
    start = time.perf_counter()
    work, model, link = folder / "work", folder / "sparse" / "0", folder / "images"
    for stale in (work, folder / "sparse"):
        shutil.rmtree(stale, ignore_errors=True)
    work.mkdir(parents=True)
    link.unlink(missing_ok=True)
    link.symlink_to(photos.resolve(), target_is_directory=True)
    names = sorted(path.name for path in photos.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    names = names[:first] if first else names

    database = work / "database.db"
    reader, extraction = pycolmap.ImageReaderOptions(), pycolmap.FeatureExtractionOptions()
    reader.camera_model = "OPENCV"
    extraction.max_image_size = longest_side
    single = pycolmap.CameraMode.SINGLE
    pycolmap.extract_features(
        database, photos, names, camera_mode=single, reader_options=reader, extraction_options=extraction
    )
    pycolmap.match_exhaustive(database)
    models = pycolmap.incremental_mapping(database, photos, work)
    if not models:
        raise SystemExit("COLMAP found no poses.")
    best = max(models.values(), key=lambda found: found.num_reg_images())
    drafts = folder / "sparse.part" / "0"
    shutil.rmtree(drafts.parent, ignore_errors=True)
    drafts.mkdir(parents=True)
    best.write_binary(drafts)
    drafts.parent.rename(model.parent)
    shutil.rmtree(work)
    found = {"photos": len(names), "registered": best.num_reg_images(), "points": best.num_points3D()}
    print(json.dumps({"seconds": round(time.perf_counter() - start, 1), **found}))


if __name__ == "__main__":
    tyro.cli(main)
