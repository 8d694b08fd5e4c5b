"""Write a scene's report: metrics.json, preview.png and index.html.

Files appear whole: a reader sees the old one or the new one, never half of either.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import OutputError
from scene3d.files._atomic import make_folder, write_atomic
from scene3d.report._html import page
from scene3d.report._panels import depth_range, draw_panels
from scene3d.report._sheet import choose_rows, contact_sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

    from scene3d._gaussians import Gaussians
    from scene3d._scene import SceneView
    from scene3d.capture import Capture
    from scene3d.report._evaluate import Metrics

__all__ = ["write_report"]


def write_report(
    folder: Path | str,
    metrics: Metrics,
    splats: Gaussians,
    views: Sequence[SceneView],
    capture: Capture,
    *,
    title: str,
) -> Path:
    """Write the report of a scene.

    Args:
        folder: Folder to write into, usually ``SCENE/report``; what it holds under the same names is replaced.
        metrics: Result of `evaluate`.
        splats: Splats of the scene.
        views: Its cameras.
        capture: Where the photos are.
        title: Name of the scene.

    Returns:
        The path of index.html.

    Raises:
        OutputError: The folder cannot be written.
    """
    folder = Path(folder)
    rows = choose_rows(metrics, splats.detach().to(metrics.device), views, capture)
    depths = depth_range([r.comparison.frame.depth for r in rows], [r.comparison.frame.alpha for r in rows])
    panels = [draw_panels(row.comparison, depths) for row in rows]
    unit = " m" if capture.metric else ""
    sheet = contact_sheet(rows, panels, depths, title=title, summary=summarise(metrics), unit=unit)
    contents = {
        "metrics.json": (json.dumps(metrics.as_dict(), indent=2, allow_nan=False) + "\n").encode(),
        "preview.png": _encoded(sheet),
        "index.html": page(metrics, rows, panels, depths, title=title, unit=unit).encode(),
    }
    try:
        make_folder(folder)
        for name, content in contents.items():
            write_atomic(folder / name, [content])
    except OutputError as error:
        raise OutputError(f"{error} The scene itself is saved, only its report is missing.") from error
    return folder / "index.html"


def summarise(metrics: Metrics) -> str:
    """One line of figures."""
    if metrics.psnr is not None:
        quality = f"{metrics.psnr:.2f} dB    SSIM {metrics.ssim:.3f}    held out: {len(metrics.held_out)}"
    else:
        quality = f"{metrics.train_psnr:.2f} dB on fitted photos, none held out"
    return f"{quality}    {metrics.splats:,} splats    {metrics.seconds:.0f} s on {metrics.device}"


def _encoded(image: Image) -> bytes:
    import io

    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
