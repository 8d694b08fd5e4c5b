"""Render the cameras of a scene and measure how close they come to the photos.

Views that were held out give the figures that count; some training views are measured too, so that overfitting shows.
Photos are decoded again at the size that was fitted, one at a time, so memory stays flat whatever the capture's size.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from scene3d.report._image_metrics import psnr, psnr_cc, ssim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._frame import Frame
    from scene3d._gaussians import Gaussians
    from scene3d._scene import SceneView
    from scene3d.capture import Capture

__all__ = ["Comparison", "ImageMetrics", "Metrics", "compare", "evaluate"]

MOST_TRAINING_VIEWS = 12
"""Training views that are measured beside the held-out ones, evenly chosen."""


@dataclass(frozen=True)
class ImageMetrics:
    """Similarity of one render to its photo."""

    name: str
    """Image name within the capture."""
    psnr: float
    """[dB]."""
    ssim: float
    """In [-1, 1]; 1 is identical."""
    psnr_cc: float
    """PSNR [dB] after a per-image affine colour fit."""
    held_out: bool
    """True when the photo was kept out of fitting."""
    depth_error: float | None = None
    """Median distance of the rendered from the sensor's depth [m]; None where there is no sensor depth."""
    depth_error_p90: float | None = None
    """Its 90th percentile [m]."""


@dataclass(frozen=True)
class Metrics:
    """The contents of ``report/metrics.json``."""

    psnr: float | None
    """Mean over the held-out images [dB]; None when nothing was held out."""
    ssim: float | None
    """Mean over the held-out images."""
    psnr_cc: float | None
    """Mean over the held-out images [dB], after a per-image affine colour fit."""
    train_psnr: float | None
    """Mean over the measured training images [dB]."""
    seconds: float
    """Time spent fitting [s]."""
    steps: int
    """Optimiser steps."""
    splats: int
    """Number of splats."""
    device: str
    """``cpu`` or ``cuda``."""
    machine: str
    """Processor, threads and system."""
    width: int
    """Width of the measured images [px], the widest if they differ."""
    height: int
    """Height of the measured images [px], the highest if they differ."""
    note: str
    """What the figures leave unsaid; often empty."""
    images: tuple[ImageMetrics, ...]
    """Measured images sorted by name."""
    depth_error: float | None = None
    """Median over the held-out images of their median depth errors [m]; None without sensor depth."""
    depth_error_p90: float | None = None
    """The same of their 90th percentiles [m]."""

    @property
    def held_out(self) -> tuple[ImageMetrics, ...]:
        """Images that were kept out of fitting."""
        return tuple(image for image in self.images if image.held_out)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """A render and the photo it should look like, on the CPU."""

    name: str
    """Image name within the capture."""
    frame: Frame
    """Render (H, W, ...)."""
    photo: Tensor
    """Photo, sRGB in [0, 1], shape (H, W, 3)."""
    valid: Tensor
    """Pixels that count, bool, shape (H, W)."""
    depth: Tensor | None = None
    """Sensor depth [m], 0 where unknown, shape (H, W); None without a sensor."""


def compare(splats: Gaussians, view: SceneView, capture: Capture) -> Comparison:
    """Render one view on the device of the splats and load its photo at the same size.

    Where a mask of mode ``alpha`` says that nothing of the subject is, the photo counts as black, as renders are there.

    Raises:
        CaptureError: The photo is gone from the capture or cannot be decoded any more.
    """
    import torch

    from scene3d._errors import CaptureError
    from scene3d._frame import Frame
    from scene3d.render import render

    source = next((candidate for candidate in capture.views if candidate.name == view.name), None)
    if source is None:
        raise CaptureError(f"The scene was fitted to {view.name}, and {capture.root} has no such photo.")
    photo = source.load(max(view.camera.width, view.camera.height))
    with torch.no_grad():
        frame = render(splats, _at_size(view.camera, photo.rgb.shape).to(splats.means.device, splats.means.dtype))
    rgb = torch.tensor(photo.rgb).float() / 255
    if photo.outside is not None:
        rgb[torch.tensor(photo.outside)] = 0.0
    return Comparison(
        view.name,
        Frame(frame.rgb.cpu(), frame.alpha.cpu(), frame.depth.cpu()),
        rgb,
        torch.tensor(photo.valid),
        None if photo.depth is None or not capture.metric else torch.tensor(photo.depth),
    )


def evaluate(
    splats: Gaussians,
    views: Sequence[SceneView],
    capture: Capture,
    *,
    seconds: float,
    steps: int,
    device: str = "cpu",
) -> Metrics:
    """Measure the held-out views, and some of the training views.

    Args:
        splats: Fitted splats.
        views: Cameras of the scene, at the size to measure at.
        capture: Where their photos are.
        seconds: Time spent fitting [s], reported as it is.
        steps: Optimiser steps, reported as they are.
        device: Where the fit ran; rendering happens there too.
    """
    splats = splats.detach().to(device)
    chosen = _choose(views)
    images = tuple(_measure(compare(splats, view, capture), view.held_out) for view in chosen)
    held_out = [image for image in images if image.held_out]
    training = [image for image in images if not image.held_out]
    return Metrics(
        psnr=_mean([image.psnr for image in held_out]),
        ssim=_mean([image.ssim for image in held_out]),
        psnr_cc=_mean([image.psnr_cc for image in held_out]),
        train_psnr=_mean([image.psnr for image in training]),
        seconds=round(seconds, 2),
        steps=steps,
        splats=len(splats),
        device=device,
        machine=_machine(device),
        width=max(view.camera.width for view in chosen),
        height=max(view.camera.height for view in chosen),
        note=_note(views, held_out, training),
        images=images,
        depth_error=_median([image.depth_error for image in held_out or training]),
        depth_error_p90=_median([image.depth_error_p90 for image in held_out or training]),
    )


def _choose(views: Sequence[SceneView]) -> list[SceneView]:
    training = [view for view in views if not view.held_out]
    count = min(MOST_TRAINING_VIEWS, len(training))
    kept = {training[i * len(training) // count].name for i in range(count)}
    return sorted((view for view in views if view.held_out or view.name in kept), key=lambda view: view.name)


def _measure(pair: Comparison, held_out: bool) -> ImageMetrics:
    images = (pair.frame.rgb, pair.photo, pair.valid)
    depth = _depth_error(pair)
    return ImageMetrics(
        name=pair.name,
        psnr=round(psnr(*images), 4),
        ssim=round(ssim(*images), 4),
        psnr_cc=round(psnr_cc(*images), 4),
        held_out=held_out,
        depth_error=None if depth is None else round(depth[0], 5),
        depth_error_p90=None if depth is None else round(depth[1], 5),
    )


def _depth_error(pair: Comparison) -> tuple[float, float] | None:
    """Median and 90th percentile of |rendered - sensor depth| [m] over all pixels with sensor depth.

    Pixels where the render shows nothing count with their whole depth, so that holes are no way to a good figure.
    """
    if pair.depth is None:
        return None
    known = (pair.depth > 0) & pair.valid
    if not known.any():
        return None
    error = (pair.frame.depth - pair.depth)[known].abs()
    return float(error.median()), float(error.quantile(0.9))


def _at_size(camera: Camera, shape: tuple[int, ...]) -> Camera:
    """The camera on the photo's pixel grid: rounding may have moved a side by a pixel."""
    return camera if (camera.height, camera.width) == shape[:2] else camera.resized(shape[1], shape[0])


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def _median(values: Sequence[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return round(known[len(known) // 2], 5) if known else None


def _note(views: Sequence[SceneView], held_out: Sequence[ImageMetrics], training: Sequence[ImageMetrics]) -> str:
    if not held_out:
        return "No photo was held out, so psnr, ssim and psnr_cc are null; train_psnr is of photos that were fitted."
    fitted = len(views) - len(held_out)
    return f"train_psnr is of {len(training)} of {fitted} fitted photos." if len(training) < fitted else ""


def _machine(device: str) -> str:
    """Processor, threads and system in a few words."""
    import os
    import platform
    from pathlib import Path

    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        processor = names[0] if names else processor
    machine = f"{processor}, {os.cpu_count()} threads, {platform.system()}"
    if device == "cuda":
        import torch

        machine = f"{torch.cuda.get_device_name()}, {machine}"
    return machine
