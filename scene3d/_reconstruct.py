"""From a capture to a scene folder with its report: the library side of `scene3d reconstruct`.

What can be checked without work is checked before anything is written: the device, the kind of capture, the
configuration, the output. Then the capture is read, its poses solved where it has none, its world given scale and
gravity; the splats are fitted, looked at through the held-out cameras, saved, reported on, and told apart into objects.
The scene is saved before its report and before its objects are looked for, so that a full disk or an impatient user
loses pictures and never the splats. Frames of videos, unpacked archives and solved poses stay in ``capture/`` of the
scene folder.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scene3d._errors import UsageError
from scene3d._scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scene3d._scale import ScaleRequest
    from scene3d.capture import Capture, MaskMode
    from scene3d.fit import FitConfig, FitProgress, FitResult
    from scene3d.report import Metrics

__all__ = ["WORK", "reconstruct"]

WORK = "capture"
"""Subfolder of a scene folder that keeps what was made of the capture: frames, unpacked archives, solved poses."""


def reconstruct(
    capture_path: Path | str,
    out: Path | str,
    *,
    format: str | None = None,
    masks: MaskMode | None = None,
    up: str = "auto",
    marker_size: float | None = None,
    known_distance: str | None = None,
    size: str | None = None,
    preset: str = "default",
    config: Path | str | None = None,
    seconds: float | None = None,
    device: str = "cpu",
    seed: int = 0,
    overwrite: bool = False,
    resume: bool = False,
    segment: bool = True,
    progress: Callable[[FitProgress], None] | None = None,
    on_capture: Callable[[Capture], None] | None = None,
) -> Scene:
    """Fit splats to a capture and write the scene folder with its report.

    Ctrl-C during fitting ends it early: the scene of that moment is saved, and `source["interrupted"]` is True.

    Args:
        capture_path: Folder of photos, video, RGB-D folder, Polycam or Record3D export, COLMAP folder, transforms.json.
        out: Scene folder to write.
        format: Kind of capture, one of `scene3d.capture.FORMATS`; None finds out.
        masks: What black pixels of masks mean; None takes ``alpha`` where they leave out more than half of the photos.
        up: What points up in the capture's world: ``auto``, ``keep``, an axis such as ``-y``, or ``X,Y,Z``.
        marker_size: Length of the black square of ArUco or AprilTag markers in the photos [m].
        known_distance: ``IMAGE,U1,V1,U2,V2=METRES``: two pixels of a photo whose points are that far apart.
        size: ``NAME=METRES``: the longest side of an object that the capture has masks of.
        preset: ``fast``, ``default`` or ``high``.
        config: YAML file with the fields of `scene3d.fit.FitConfig`, instead of a preset.
        seconds: Time budget for fitting [s]; None keeps the configuration's.
        device: ``cpu`` or ``cuda``.
        seed: Seed of everything random.
        overwrite: Replace a scene that is in ``out`` already.
        resume: Go on with the fit that was interrupted in ``out``.
        segment: Tell the objects of the scene apart, as `scene3d segment` does.
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

    from scene3d.capture import find_source, is_archive, parse_up, require_pixels
    from scene3d.files import prepare_scene_folder, save_scene
    from scene3d.fit import fit

    up_choice = parse_up(up)
    request = _scale_request(marker_size, known_distance, size)
    if not is_archive(capture_path):
        find_source(capture_path, format)
    if resume:
        from scene3d.fit import require_checkpoint

        require_checkpoint(out)
    fresh = not out.exists()
    prepare_scene_folder(out, overwrite=overwrite or resume)
    with _tidied(out, fresh):
        capture = _read(Path(capture_path), out / WORK, format=format, masks=masks, seed=seed, progress=progress)
        if request is not None and request.known_distance is not None:
            require_pixels(request.known_distance, capture.views)
        capture = _placed(capture, up=up_choice, marker_size=marker_size, progress=progress)
    if on_capture is not None:
        on_capture(capture)
    result = fit(capture, fit_config, out=out, device=device, seed=seed, resume=resume, on_progress=progress)

    from scene3d.report import evaluate, renew_objects_report, write_report

    photos = {view.name: view for view in capture.views}
    scene = Scene(
        splats=result.splats,
        views=tuple(replace(view, photo=photos[view.name]) for view in result.views),
        metric=capture.metric,
        up=_up(capture),
        source=_source(capture, result, preset=preset, config=config, device=device, seed=seed),
        scale_source=capture.scale_source,
        T_world_source=capture.T_world_source,
    )
    if request is not None:
        scene, capture = _scaled(scene, capture, request)
    # A scene that came into being during the fit is not ours to replace, unless we were told to. It is saved before it
    # is looked at: measuring takes a while, and the checkpoint is gone.
    save_scene(scene, out, overwrite=overwrite or resume)
    metrics = evaluate(scene.splats, scene.views, capture, seconds=result.seconds, steps=result.steps, device=device)
    scene = replace(scene, metrics=_summary(metrics))
    save_scene(scene, out, overwrite=True)
    write_report(out / "report", metrics, scene.splats, scene.views, capture, title=out.resolve().name)
    renew_objects_report(out / "report", scene)
    if not segment or result.interrupted:
        return scene
    return _segmented(scene, out, seed=seed, progress=progress)


def _segmented(scene: Scene, out: Path, *, seed: int, progress: Callable[[FitProgress], None] | None) -> Scene:
    """The scene with its objects; as it was, with a note, where none are to be found: a fit is not lost."""
    from scene3d._errors import Scene3dError
    from scene3d.files import save_scene
    from scene3d.report import write_objects_report
    from scene3d.segment import SegmentRequest
    from scene3d.segment import segment as segment_scene

    try:
        found = segment_scene(scene, SegmentRequest(seed=seed), progress=_stages(progress))
    except (Scene3dError, KeyboardInterrupt) as error:
        stopped = isinstance(error, KeyboardInterrupt)
        why = "Stopped by Ctrl-C." if stopped else str(error)
        note = f"No objects were told apart. {why} The scene is in one piece; scene3d segment tries again."
        # Kept where the next segmentation puts its own notes, so that it goes when it is no longer true.
        told = {"method": None, "notes": [note], "seed": seed} | ({"interrupted": True} if stopped else {})
        scene = replace(scene, source={**scene.source, "segment": told})
        save_scene(scene, out, overwrite=True)
        return scene
    save_scene(found, out, overwrite=True)
    write_objects_report(out / "report", found, title=out.resolve().name)
    return found


def _scale_request(marker_size: float | None, known_distance: str | None, size: str | None) -> ScaleRequest | None:
    """What gives the finished scene its scale; None when nothing does or markers do, which need no splats."""
    from scene3d._scale import ScaleRequest

    request = ScaleRequest(marker_size=marker_size, known_distance=known_distance, size=size)
    if request == ScaleRequest():
        return None
    request.check()
    return None if marker_size is not None else request


def _scaled(scene: Scene, capture: Capture, request: ScaleRequest) -> tuple[Scene, Capture]:
    """Scene and capture in metres; as they were, with a note, where the scale cannot be found: a fit is not lost.

    A capture that is metric keeps its lengths, as it does beside markers.
    """
    from scene3d._errors import Scene3dError
    from scene3d._scale import apply_scale, estimate_scale
    from scene3d.capture import Similarity, transform_capture

    def noted(note: str) -> tuple[Scene, Capture]:
        return replace(scene, source={**scene.source, "notes": [*scene.source["notes"], note]}), capture

    try:
        estimate = estimate_scale(scene, request)
    except Scene3dError as error:
        return noted(f"The scale was not set. {error}")
    if capture.metric:
        return noted(
            f"The {estimate.source} says that lengths are {estimate.scale:.3f} times those of the capture, which is "
            "metric already and was kept; scene3d scale --overwrite sets it anew."
        )
    moved = transform_capture(capture, Similarity(estimate.scale))
    return apply_scale(scene, estimate), replace(moved, metric=True, scale_source=estimate.source)


@contextmanager
def _tidied(out: Path, fresh: bool) -> Iterator[None]:
    """Leave no new folder behind when the capture turns out to be unusable."""
    from scene3d._errors import Scene3dError

    try:
        yield
    except Scene3dError:
        if fresh:
            shutil.rmtree(out, ignore_errors=True)
        raise


def _read(
    path: Path,
    work: Path,
    *,
    format: str | None,
    masks: MaskMode | None,
    seed: int,
    progress: Callable[[FitProgress], None] | None,
) -> Capture:
    from scene3d.capture import read_capture

    return read_capture(path, format=format, mask_mode=masks, work=work, seed=seed, progress=_stages(progress))


def _placed(
    capture: Capture,
    *,
    up: Any,
    marker_size: float | None,
    progress: Callable[[FitProgress], None] | None,
) -> Capture:
    """The capture with scale and gravity; one that knows both is left as it is, to the bit."""
    from scene3d.capture import align, depth_points, with_photo_focal

    if capture.source == "rgbd":
        capture = with_photo_focal(capture, progress=_stages(progress))
    # Points lifted from depth cannot say whether the poses are in metres, but level a world that is.
    points, fitted = capture.points, capture.split()[0]
    needed = up == "auto" and capture.up is None
    if points is None and needed and capture.metric and any(view.depth is not None for view in fitted):
        points = depth_points(fitted)
    return align(capture, up=up, marker_size=marker_size, points=points, progress=_stages(progress))


def _stages(progress: Callable[[FitProgress], None] | None) -> Callable[[str, float], None]:
    """Progress before the fit, told as the fit tells its own."""
    from scene3d.fit import FitProgress

    return lambda stage, share: None if progress is None else progress(FitProgress.preparing(stage, share))


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
    """World direction that points up: what the capture knows or was found, else as the photos were held."""
    from scene3d.capture import camera_up

    if capture.up is not None:
        return capture.up
    x, y, z = camera_up([view.camera for view in capture.views]).up.tolist()
    return (x, y, z)


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
