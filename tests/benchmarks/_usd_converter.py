"""usd-convert-gsplat on a PLY file, timed in an interpreter of its own.

    .venv-convert/bin/python tests/benchmarks/_usd_converter.py FOLDER_OF_USD_CORE IN.ply OUT.usdc REPEATS [UP]

It pins another numpy, so it cannot live in our environment; the OpenUSD libraries, which it does not bring, are ours,
so that both sides write with the same ones. Prints one JSON document with the seconds of the quickest conversion.
"""

# pyright: reportMissingImports=false
# usd_convert_gsplat lives in .venv-convert, which the type checker does not see.

from __future__ import annotations

import contextlib
import json
import sys
import time


def main(usd_core: str, source: str, target: str, repeats: str, up: str = "Z") -> None:
    """Convert so many times and print the quickest."""
    sys.path.append(usd_core)  # Last, so that numpy is the one of this interpreter.
    with contextlib.redirect_stdout(sys.stderr):
        import usd_convert_gsplat

        reads, writes = [], []
        for _ in range(int(repeats)):
            begun = time.perf_counter()
            splats = usd_convert_gsplat.read_ply(source)
            read = time.perf_counter()
            usd_convert_gsplat.write_gaussian_splat_usd(splats, target, source_file=source, up_axis=up)
            reads.append(read - begun)
            writes.append(time.perf_counter() - read)
    version = usd_convert_gsplat.__version__
    print(json.dumps({"read_s": min(reads), "write_s": min(writes), "version": version}))


if __name__ == "__main__":
    main(*sys.argv[1:6])
