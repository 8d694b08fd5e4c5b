"""From a folder of photos to a scene folder with its report: the library side of `scene3d reconstruct`.

Everything that can be wrong is found before anything is written: the device, the capture, the configuration, the
output. Then the splats are fitted, looked at through the held-out cameras, saved, and reported on. The scene is saved
before its report, so that a full disk or an impatient user loses pictures and never the splats.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scene3d._errors import UsageError
from scene3d._scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene3d.capture import Capture
    from scene3d.fit import FitConfig, FitProgress, FitResult
    from scene3d.report import Metrics

__all__ = ["reconstruct"]


def reconstruct(
    capture_path: Path | str,
    out: Path | str,
    *,
    preset: str = "default",
    config: Path | str | None = None,
    seconds: float | None = None,
    device: str = "cpu",
    seed: int = 0,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callable[[FitProgress], None] | None = None,
    on_capture: Callable[[Capture], None] | None = None,
) -> Scene:
    """Fit splats to a capture and write the scene folder with its report.

    Ctrl-C during fitting ends it early: the scene of that moment is saved, and `source["interrupted"]` is True.

    Args:
        capture_path: Folder with a transforms.json or a COLMAP model, or such a file.
        out: Scene folder to write.
        preset: ``fast``, ``default`` or ``high``.
        config: YAML file with the fields of `scene3d.fit.FitConfig`, instead of a preset.
        seconds: Time budget for fitting [s]; None keeps the configuration's.
        device: ``cpu`` or ``cuda``.
        seed: Seed of everything random.
        overwrite: Replace a scene that is in ``out`` already.
        resume: Go on with the fit that was interrupted in ``out``.
        progress: Called a few times a second during fitting.
        on_capture: Called with the capture before fitting starts.

    Raises:
        CaptureError: The capture cannot be used.
        OutputError: ``out`` holds something already, or cannot be written.
        DeviceError: The device is not available.
        UsageError: Options contradict each other.
    """
    out = Path(out)
    if overwrite and resume:
        raise UsageError("--overwrite starts again and --resume goes on: they cannot be used together, choose one.")
    _check_device(device)
    fit_config = _load_config(preset, config, seconds)

    from scene3d.capture import read_capture
    from scene3d.files import prepare_scene_folder, save_scene
    from scene3d.fit import fit

    capture = read_capture(capture_path)
    prepare_scene_folder(out, overwrite=overwrite or resume)
    if on_capture is not None:
        on_capture(capture)
    result = fit(capture, fit_config, out=out, device=device, seed=seed, resume=resume, on_progress=progress)

    from scene3d.report import evaluate, write_report

    scene = Scene(
        splats=result.splats,
        views=result.views,
        metric=capture.metric,
        up=_up(capture),
        source=_source(capture, result, preset=preset, config=config, device=device, seed=seed),
    )
    # A scene that came into being during the fit is not ours to replace, unless we were told to. It is saved before it
    # is looked at: measuring takes a while, and the checkpoint is gone.
    save_scene(scene, out, overwrite=overwrite or resume)
    metrics = evaluate(result.splats, result.views, capture, seconds=result.seconds, steps=result.steps, device=device)
    scene = replace(scene, metrics=_summary(metrics))
    save_scene(scene, out, overwrite=True)
    write_report(out / "report", metrics, result.splats, result.views, capture, title=out.resolve().name)
    return scene


def _check_device(device: str) -> None:
    if device not in ("cpu", "cuda"):
        raise UsageError(f"Found device {device!r}; accepted are cpu and cuda.")
    if device == "cuda":
        from scene3d.render import get_renderer

        get_renderer("cuda")


def _load_config(preset: str, config: Path | str | None, seconds: float | None) -> FitConfig:
    import msgspec

    from scene3d.fit import load_config, load_preset

    fit_config = load_preset(preset) if config is None else load_config(Path(config))
    if seconds is None:
        return fit_config
    if not 0 < seconds < float("inf"):
        raise UsageError(f"Found --seconds {seconds:g}; it takes a time above zero, for example --seconds 60.")
    return msgspec.structs.replace(fit_config, seconds=seconds)


def _up(capture: Capture) -> tuple[float, float, float]:
    """World direction that points up: +Z when the capture knows its gravity, else as the photos were held."""
    from scene3d._orbit import up_of

    return (0.0, 0.0, 1.0) if capture.metric else up_of([view.camera for view in capture.views])


def _source(capture: Capture, result: FitResult, **options: Any) -> dict[str, Any]:
    if options["config"] is None:
        del options["config"]
    else:
        options["config"] = str(options["config"])
        del options["preset"]
    return {
        "capture": str(capture.root),
        "reader": capture.source,
        **options,
        "interrupted": result.interrupted,
        "notes": [*capture.notes, *result.notes],
    }


def _summary(metrics: Metrics) -> dict[str, Any]:
    names = ("psnr", "ssim", "psnr_cc", "train_psnr", "seconds", "steps", "splats", "device")
    return {name: getattr(metrics, name) for name in names}
