"""`scene3d render`: a scene or a splat file becomes PNGs or an MP4."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

from scene3d._errors import OutputError, UsageError
from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from scene3d import Frame, Scene, SceneView

__all__ = ["Render", "verb"]

MOST_FRAMES = 100_000


@dataclass(frozen=True)
class Render:
    """Make images, depth or a turntable video of a scene.

    Images are PNG files named after their views; a turntable is an MP4. Depth is the distance along the camera's z
    axis, in metres if the scene is metric.
    """

    section: ClassVar[str] = "Look at it"

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """Scene folder, or a splat file (.ply, .spz, .splat, .glb, ...)."""
    cameras: Annotated[
        str | None,
        arg(metavar="capture|turntable|FILE.json", help_behavior_hint="(default: capture, or turntable without one)"),
    ] = None
    """Where to look from: the photos' cameras, a turn around what they show, or a file like a scene's cameras.json."""
    view: Annotated[tuple[str, ...], arg(metavar="NAME ...", help_behavior_hint="(default: all)")] = ()
    """Only these views, by image name."""
    size: Annotated[str | None, arg(metavar="WxH", help_behavior_hint="(default: the cameras' own)")] = None
    """Size in pixels."""
    out: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: SCENE/renders)")] = None
    """Folder to write into. A name that ends in .mp4 makes that video."""
    format: Annotated[Literal["auto", "png", "mp4"], arg(metavar="auto|png|mp4")] = "auto"
    """Images or one video; auto makes a video of a turntable and images of everything else."""
    fps: Annotated[float, arg(metavar="N")] = 30.0
    """Frames per second of a video."""
    seconds: Annotated[float, arg(metavar="S")] = 6.0
    """Duration of one turn of the turntable [s]."""
    depth: Annotated[bool, arg(help_behavior_hint="")] = False
    """Write depth too: NAME.depth.npy (float32; 0 where there is nothing) and NAME.depth.png in colours."""
    device: flags.Device = "cpu"
    overwrite: flags.Overwrite = False
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Render, then say what was written."""
        from scene3d.cli._scene_input import open_scene

        terminal = Terminal(self.json, self.quiet)
        self._check()
        scene = open_scene(self.scene)
        cameras = self.cameras or ("capture" if scene.views else "turntable")
        views = self._views(scene, cameras)
        folder, video = self._targets(cameras)
        started = time.perf_counter()
        frames = _frames(scene, views, self.device, terminal)
        if video is not None:
            files = _write_video(video, views, frames, self.fps, overwrite=self.overwrite)
        else:
            files = _write_images(folder, views, frames, depth=self.depth, overwrite=self.overwrite)
        seconds = time.perf_counter() - started
        document = {"files": [str(file) for file in files], "views": len(views), "seconds": round(seconds, 3)}
        where = str(video if video is not None else folder)
        lines = [("views", f"{len(views)} in {seconds:.1f} s"), ("written", where)]
        terminal.result(document, f"{self.scene.resolve().stem}: {cameras}", lines)
        return 0

    def _check(self) -> None:
        """Find wrong usage before anything is read."""
        from scene3d.cli._shots import parse_size

        if not (0 < self.fps <= 240 and 0 < self.seconds and self.fps * self.seconds <= MOST_FRAMES):
            raise UsageError("--fps takes 1 to 240 and --seconds a time above zero, with at most 100000 frames in all.")
        if self.size is not None:
            parse_size(self.size)
        if self.cameras == "turntable" and self.view:
            raise UsageError("--view chooses among cameras, and a turntable has none. Leave out one of them.")
        if self.device == "cuda":
            from scene3d.render import get_renderer

            get_renderer("cuda")
        if self.depth and self._is_video(self.cameras or ""):
            raise UsageError("--depth writes images. Add --format png, or leave it out.")

    def _is_video(self, cameras: str) -> bool:
        if self.format == "auto":
            return (cameras == "turntable" and not self.depth) or self._names_video()
        return self.format == "mp4"

    def _names_video(self) -> bool:
        return self.out is not None and self.out.suffix.lower() == ".mp4"

    def _views(self, scene: Scene, cameras: str) -> tuple[SceneView, ...]:
        from scene3d.cli._shots import parse_size, shots_of, turntable_shots

        size = None if self.size is None else parse_size(self.size)
        if cameras == "turntable":
            if self.view:
                raise UsageError("--view chooses among cameras, and these splats came without any.")
            return turntable_shots(scene, max(1, round(self.fps * self.seconds)), size)
        return shots_of(scene, cameras, self.view, size)

    def _targets(self, cameras: str) -> tuple[Path, Path | None]:
        """The folder to write into, and the video when there is to be one."""
        name = cameras if cameras in ("capture", "turntable") else Path(cameras).stem
        base = self.scene if self.scene.is_dir() else self.scene.parent
        default = base / "renders" if self.scene.is_dir() else base / f"{self.scene.stem}_renders"
        if self._is_video(cameras):
            video = self.out if self.out is not None and self._names_video() else (self.out or default) / f"{name}.mp4"
            return video.parent, video
        if self._names_video():
            raise UsageError(f"--out {self.out} names a video and --format png asks for images. Leave out one of them.")
        return self.out or default / name, None


verb = Render


def _frames(scene: Scene, views: Sequence[SceneView], device: str, terminal: Terminal) -> Iterator[Frame]:
    """Rendered views on the CPU, one after the other, with a bar on stderr."""
    import torch
    from rich.progress import track

    from scene3d import Frame
    from scene3d.render import render

    console = terminal.aside
    shown = track(views, "  rendering", console=console, transient=True, disable=not console.is_terminal)
    splats = scene.splats.to(device)
    poses = scene.T_world_body.to(device) if scene.objects else None
    for view in shown:
        with torch.no_grad():
            frame = render(splats, view.camera.to(device, splats.means.dtype), T_world_body=poses)
        yield Frame(frame.rgb.cpu(), frame.alpha.cpu(), frame.depth.cpu())


def _write_images(
    folder: Path, views: Sequence[SceneView], frames: Iterable[Frame], *, depth: bool, overwrite: bool
) -> list[Path]:
    from scene3d.files._atomic import make_folder, write_atomic

    stems = _stems(views)
    endings = (".png", ".depth.npy", ".depth.png") if depth else (".png",)
    _require_free([folder / f"{stem}{ending}" for stem in stems for ending in endings], overwrite)
    make_folder(folder)
    files = []
    for stem, frame in zip(stems, frames, strict=True):
        for ending, content in zip(endings, _encoded(frame, depth), strict=True):
            files.append(folder / f"{stem}{ending}")
            write_atomic(files[-1], [content])
    return files


def _encoded(frame: Frame, depth: bool) -> Iterator[bytes]:
    """The files of one view, in the order of their endings."""
    import io

    import numpy as np
    from PIL import Image

    from scene3d.report._panels import depth_picture, depth_range

    def png(image: Image.Image) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()

    yield png(Image.fromarray(_uint8(frame)))
    if depth:
        buffer = io.BytesIO()
        np.save(buffer, frame.depth.float().numpy(), allow_pickle=False)
        yield buffer.getvalue()
        yield png(depth_picture(frame.depth, frame.alpha, depth_range([frame.depth], [frame.alpha])))


def _write_video(
    video: Path, views: Sequence[SceneView], frames: Iterable[Frame], fps: float, *, overwrite: bool
) -> list[Path]:
    from scene3d._video import open_video
    from scene3d.files._atomic import make_folder

    sizes = sorted({(view.camera.width, view.camera.height) for view in views})
    if len(sizes) > 1:
        raise UsageError(f"A video has one size and these cameras have {len(sizes)}. Add --size WxH.")
    _require_free([video], overwrite)
    make_folder(video.parent)
    with open_video(video, *sizes[0], fps) as append:
        for frame in frames:
            append(_uint8(frame))
    return [video]


def _uint8(frame: Frame) -> NDArray[np.uint8]:
    """Colours (H, W, 3) as files hold them."""
    return (frame.rgb.clamp(0, 1) * 255).round().byte().numpy()


def _stems(views: Sequence[SceneView]) -> list[str]:
    """File names without suffix: image names without their folders' slashes, numbered where two would be the same."""
    stems: list[str] = []
    for view in views:
        path = PurePosixPath(view.name.replace("\\", "/"))
        parts = [part for part in path.with_suffix("").parts if part not in ("/", "..", ".")]
        stem = "_".join(parts).lstrip(".") or "view"
        number, unique = 1, stem
        while unique in stems:
            number, unique = number + 1, f"{stem}-{number + 1}"
        stems.append(unique)
    return stems


def _require_free(files: Sequence[Path], overwrite: bool) -> None:
    taken = [file for file in files if file.exists()]
    if taken and not overwrite:
        more = f" and {len(taken) - 1} more exist" if len(taken) > 1 else " exists"
        raise OutputError(f"{taken[0]}{more}. Use --overwrite to replace, or choose another --out.")
