"""`scene3d info`: what a scene folder or a splat file holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tyro.conf import Positional, arg

from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d import Gaussians, Scene

__all__ = ["Info", "describe", "extent_in_words", "verb"]

MIB = 1024 * 1024


@dataclass(frozen=True)
class Info:
    """Say what a scene holds and how good it is.

    Splats, extent, scale, objects, cameras, quality, size on disk. Nothing is rendered.
    """

    section: ClassVar[str] = "Look at it"

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """Scene folder, or a splat file (.ply, .spz, .splat, .glb, ...)."""
    json: flags.Json = False

    def run(self) -> int:
        """Read and print."""
        from scene3d.cli._scene_input import open_scene

        document = describe(open_scene(self.scene), self.scene)
        Terminal(self.json).result(document, str(self.scene), _lines(document))
        return 0


verb = Info


def describe(scene: Scene, path: Path) -> dict[str, Any]:
    """What is printed with ``--json``."""
    from scene3d._flatten import flatten
    from scene3d._scene_joints import joint_rows
    from scene3d.report import object_rows

    return {
        "path": str(path),
        "bytes": _bytes(path),
        "splats": len(scene.splats),
        "sh_degree": scene.splats.sh_degree,
        "bodies": int(scene.splats.component_index.max()) if len(scene.splats) else 0,
        "bounds": _bounds(flatten(scene).splats),
        "metric": scene.metric,
        "scale_source": scene.scale_source,
        "up": list(scene.up),
        "T_world_source": None if scene.T_world_source is None else [list(row) for row in scene.T_world_source],
        "cameras": _cameras(scene),
        "objects": object_rows(scene),
        "supports": len(scene.supports),
        "joints": joint_rows(scene),
        "filled": scene.filled,
        "metrics": dict(scene.metrics),
        "source": dict(scene.source),
    }


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _bounds(splats: Gaussians) -> dict[str, list[float]] | None:
    """Corners of the box of all centres, and of the middle 98 % along each axis."""
    if not len(splats):
        return None
    means = splats.means.double().sort(dim=0).values
    last = len(means) - 1
    corners = {"min": 0, "max": last, "min_98": round(0.01 * last), "max_98": round(0.99 * last)}
    return {name: _rounded(means[place]) for name, place in corners.items()}


def _rounded(point: Tensor) -> list[float]:
    return [round(value, 6) for value in point.tolist()]


def _cameras(scene: Scene) -> dict[str, Any]:
    sizes = sorted({(view.camera.width, view.camera.height) for view in scene.views})
    held_out = sum(view.held_out for view in scene.views)
    return {"count": len(scene.views), "held_out": held_out, "sizes": [list(size) for size in sizes]}


def _lines(d: dict[str, Any]) -> list[tuple[str, str]]:
    """The same in words."""
    lines = [("splats", f"{d['splats']:,}, SH degree {d['sh_degree']}")]
    if d["bounds"] is not None:
        lines.append(("extent", extent_in_words(d)))
    lines.append(("scale", _scale_in_words(d)))
    lines.append(("up", " ".join(f"{value:.3g}" for value in d["up"])))
    if d["objects"]:
        from scene3d.report import object_lines

        table = object_lines(d["objects"])
        lines += list(zip(["objects"] + [""] * (len(table) - 1), table, strict=True))
    elif d["bodies"]:
        lines.append(("bodies", f"{d['bodies']} besides the background"))
    from scene3d._scene_joints import joint_lines

    joints = joint_lines(d["joints"])
    lines += list(zip(["joints"] + [""] * (len(joints) - 1), joints, strict=False))
    cameras = d["cameras"]
    sizes = ", ".join(f"{width}x{height}" for width, height in cameras["sizes"][:3])
    more = " and others" if len(cameras["sizes"]) > 3 else ""
    lines.append(
        ("cameras", f"{cameras['count']} ({cameras['held_out']} held out) at {sizes}{more}" if sizes else "none")
    )
    lines += _quality(d["metrics"])
    if d["source"].get("capture"):
        lines.append(("capture", str(d["source"]["capture"])))
    lines.append(("on disk", f"{d['bytes'] / MIB:.1f} MiB"))
    return lines


def extent_in_words(d: dict[str, Any]) -> str:
    """Sides of the box of nearly all splats, of what `describe` returned."""
    box = [b - a for a, b in zip(d["bounds"]["min_98"], d["bounds"]["max_98"], strict=True)]
    unit = " m" if d["metric"] else ""
    return " x ".join(f"{side:.3g}" for side in box) + f"{unit} (98 % of the splats on each axis)"


def _scale_in_words(d: dict[str, Any]) -> str:
    if not d["metric"]:
        hint = "; `scene3d scale --help` tells how to set it" if d["cameras"]["count"] else ""
        return f"unknown: lengths are not metres{hint}"
    return f"metric, from {d['scale_source']}" if d["scale_source"] else "metric"


def _quality(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    lines = []
    if metrics.get("psnr") is not None:
        ssim = f", SSIM {metrics['ssim']:.3f}" if metrics.get("ssim") is not None else ""
        lines.append(("quality", f"{metrics['psnr']:.2f} dB PSNR on held-out photos{ssim}"))
    elif metrics.get("train_psnr") is not None:
        lines.append(("quality", f"{metrics['train_psnr']:.2f} dB PSNR on fitted photos; none was held out"))
    if metrics.get("seconds") is not None:
        lines.append(("fitting", f"{metrics['seconds']:.0f} s on {metrics.get('device', 'cpu')}"))
    return lines
