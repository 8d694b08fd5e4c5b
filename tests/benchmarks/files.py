"""How long splat files take to read and write: a table of all formats at a million splats, SH degree 0 and 3.

    .venv/bin/python tests/benchmarks/files.py [--splats N] [--quick] [--json FILE]

Values are random, which is the hardest case for the compressed formats. Files of formats that are only read are made
here, straight from random bits, since every bit pattern of theirs is a valid splat. Each time is the best of three,
from a file that the system holds in memory; writing includes flushing it to the disk.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import tyro
from _records import commit, write_json

from scene3d import Gaussians
from scene3d.files import load_splats, save_splats

REPEATS = 3
SIDE = 64


@dataclass(frozen=True)
class Files:
    """Measure reading and writing of splat files."""

    splats: int = 1_000_000
    """How many."""
    quick: bool = False
    """Ten thousand splats, to see that everything works."""
    fresh: bool = False
    """Nothing is kept from earlier, so this changes nothing; all benchmarks take it."""
    json: Path | None = None
    """Where to write all figures."""


def main() -> None:
    """Measure all formats and print them."""
    arguments = tyro.cli(Files)
    count = 10_000 if arguments.quick else arguments.splats
    with TemporaryDirectory() as folder:
        records = []
        for degree in (0, 3):
            records += _written(Path(folder), count, degree)
            records += _read(Path(folder), count, degree)
    _show(records, count)
    if arguments.json:
        write_json(arguments.json, {"splats": count, "files": records, "commit": commit()})


def seeded(count: int, degree: int) -> Gaussians:
    """Random splats in the ranges of fitted ones."""
    g = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(count, *shape, generator=g)

    rest = (degree + 1) ** 2 - 1
    return Gaussians.create(draw(3), draw(4), draw(3) - 4, draw() * 2, draw(1, 3) * 0.8, draw(rest, 3) * 0.1)


def _written(folder: Path, count: int, degree: int) -> list[dict[str, Any]]:
    splats, records = seeded(count, degree), []
    for suffix in (".ply", ".spz", ".splat", ".glb"):
        path = folder / f"splats{suffix}"
        write = best(lambda path=path: save_splats(splats, path))
        records.append(_record(suffix[1:], degree, path, write))
    return records


def _read(folder: Path, count: int, degree: int) -> list[dict[str, Any]]:
    makers = {"compressed ply": compressed_ply, "sog": sog, "splatfacto": splatfacto}
    return [_record(name, degree, make(folder, count, degree), None) for name, make in makers.items()]


def _record(name: str, degree: int, path: Path, write: float | None) -> dict[str, Any]:
    read = best(lambda: load_splats(path))
    size = path.stat().st_size
    path.unlink()
    return {"format": name, "sh_degree": degree, "read_s": read, "write_s": write, "bytes": size}


def best(call: Callable[[], object]) -> float:
    """Seconds of the quickest of some calls."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def compressed_ply(folder: Path, count: int, degree: int) -> Path:
    """A compressed PLY of random words."""
    random = np.random.default_rng(0)
    ends = [f"{end}_{kind}{axis}" for kind in ("", "scale_") for end in ("min", "max") for axis in "xyz"]
    ends += [f"{end}_{c}" for end in ("min", "max") for c in "rgb"]
    chunks = random.random((-(-count // 256), len(ends))).astype("<f4")
    rest = 3 * ((degree + 1) ** 2 - 1)
    lines = ["ply", "format binary_little_endian 1.0", f"element chunk {len(chunks)}"]
    lines += [f"property float {name}" for name in ends] + [f"element vertex {count}"]
    lines += [f"property uint packed_{name}" for name in ("position", "rotation", "scale", "color")]
    if rest:
        lines += [f"element sh {count}", *(f"property uchar f_rest_{i}" for i in range(rest))]
    body = chunks.tobytes() + random.bytes(16 * count) + random.bytes(rest * count)
    path = folder / "splats.compressed.ply"
    path.write_bytes("\n".join([*lines, "end_header", ""]).encode() + body)
    return path


def sog(folder: Path, count: int, degree: int) -> Path:
    """A SOG archive of random pixels."""
    import zipfile

    from PIL import Image

    random = np.random.default_rng(0)
    height = -(-count // 1024)
    path = folder / "splats.sog"
    codebook = np.linspace(-4, 4, 256).tolist()
    meta: dict[str, Any] = {
        "version": 2,
        "count": count,
        "means": {"mins": [-2] * 3, "maxs": [2] * 3, "files": ["means_l.webp", "means_u.webp"]},
        "scales": {"codebook": codebook, "files": ["scales.webp"]},
        "quats": {"files": ["quats.webp"]},
        "sh0": {"codebook": codebook, "files": ["sh0.webp"]},
    }
    with zipfile.ZipFile(path, "w") as archive:

        def add(name: str, pixels: np.ndarray) -> None:
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=0, method=0, exact=True)
            archive.writestr(name, buffer.getvalue())

        for name in ("means_l", "means_u", "scales", "quats", "sh0"):
            pixels = random.integers(0, 256, (height, 1024, 4), np.uint8)
            pixels[..., 3] |= 252
            add(f"{name}.webp", pixels)
        if degree:
            width = {1: 3, 2: 8, 3: 15}[degree]
            files = ["shN_centroids.webp", "shN_labels.webp"]
            meta["shN"] = {"count": SIDE * 1024, "bands": degree, "codebook": codebook, "files": files}
            add(files[0], random.integers(0, 256, (1024, SIDE * width, 3), np.uint8))
            add(files[1], random.integers(0, 256, (height, 1024, 3), np.uint8))
        archive.writestr("meta.json", json.dumps(meta))
    return path


def splatfacto(folder: Path, count: int, degree: int) -> Path:
    """A checkpoint with the arrays of splatfacto and moments of Adam beside them."""
    s = seeded(count, degree)
    params = {"means": s.means, "scales": s.scales, "quats": s.quats, "opacities": s.opacities[:, None]}
    params |= {"features_dc": s.sh0[:, 0], "features_rest": s.shN}
    pipeline = {f"_model.gauss_params.{name}": tensor for name, tensor in params.items()}
    moments = {name: {"exp_avg": tensor.clone(), "exp_avg_sq": tensor.clone()} for name, tensor in params.items()}
    path = folder / "step-000029999.ckpt"
    torch.save({"step": 29_999, "pipeline": pipeline, "optimizers": moments}, path)
    return path


def _show(records: list[dict[str, Any]], count: int) -> None:
    print(f"{count:,} splats, {torch.get_num_threads()} threads; best of {REPEATS} [s]\n")
    print(f"{'':16}{'SH 0: read':>12}{'write':>9}{'MB':>9}{'SH 3: read':>14}{'write':>9}{'MB':>9}")
    for name in dict.fromkeys(record["format"] for record in records):
        line = f"{name:16}"
        for record, width in zip([r for r in records if r["format"] == name], (12, 14), strict=True):
            write = "-" if record["write_s"] is None else f"{record['write_s']:.2f}"
            line += f"{record['read_s']:>{width}.2f}{write:>9}{record['bytes'] / 1e6:>9.1f}"
        print(line)


if __name__ == "__main__":
    main()
