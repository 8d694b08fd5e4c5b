"""SAM 2 for those who have a checkpoint: points in a photo -> a mask for each object [Ravi 2024, arXiv 2408.00714].

The model class is that of transformers; its weights are the user's, in a local folder, and are never downloaded. The
processor of transformers needs torchvision, which this project does without, so a photo is brought to the model's size
and its masks are brought back here. `load_sam2` checks the folder and reads it, `Sam2.masks` runs it on one photo;
which points to give it is decided in `_track_masks`.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import SegmentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["Clicks", "Sam2", "load_sam2"]

MODEL_TYPES = ("sam2", "sam2_video")
"""Published checkpoints call themselves video models; the image model reads the part of them that it needs."""
LARGEST_CONFIG = 1024 * 1024
"""Bytes of a config.json."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of sRGB in [0, 1]: what SAM 2 was trained with."""
PADDING = -10
"""Sign of a point that only fills up a row."""
OBJECTS_AT_ONCE = 16
EXPECTED = "a folder with config.json and model.safetensors, as huggingface.co/facebook/sam2.1-hiera-tiny has them"


@dataclass(frozen=True, eq=False)
class Clicks:
    """Points of one object in one photo."""

    pixels: NDArray[np.float64]
    """Positions [px], centres at +0.5, shape (K, 2)."""
    inside: NDArray[np.bool_]
    """Whether each lies on the object, shape (K,)."""


@dataclass(frozen=True, eq=False)
class Sam2:
    """A loaded model."""

    model: Any
    """transformers' Sam2Model."""
    device: str

    @property
    def size(self) -> int:
        """Side of the square that photos are brought to [px]."""
        return int(self.model.config.prompt_encoder_config.image_size)

    def masks(
        self, rgb: NDArray[np.uint8], clicks: Sequence[Clicks], expected: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Masks of objects in one photo.

        The model offers three masks for each object: a part, a whole, what the whole stands in. The one taken is best
        by the model's own estimate of its IoU plus how well it fits: its IoU with the expected mask, or the share of
        clicks that it obeys where nothing is expected.

        Args:
            rgb: Photo, sRGB, shape (H, W, 3).
            clicks: Points of each of O objects, each at least one.
            expected: Roughly where each object is, shape (O, H, W); None when nobody knows.

        Returns:
            Logits of the chosen masks, above 0 inside, shape (O, H, W), and the model's estimates of their IoU (O,).
        """
        import torch

        height, width = rgb.shape[:2]
        scale = (self.size / width, self.size / height)
        logits = np.empty((len(clicks), height, width), dtype=np.float32)
        scores = np.empty(len(clicks), dtype=np.float32)
        with torch.inference_mode():
            embedded = self.model.get_image_embeddings(_model_input(rgb, self.size).to(self.device))
            for first in range(0, len(clicks), OBJECTS_AT_ONCE):
                chosen = slice(first, first + OBJECTS_AT_ONCE)
                points, signs = _padded(clicks[chosen], scale)
                out = self.model(
                    image_embeddings=embedded,
                    input_points=points.to(self.device),
                    input_labels=signs.to(self.device),
                    multimask_output=True,
                )
                offered, estimates = out.pred_masks[0].float().cpu(), out.iou_scores[0].float().cpu()
                if expected is None:
                    fit = _obeyed(offered, points[0], signs[0], self.size)
                else:
                    fit = _overlap(offered, torch.from_numpy(expected[chosen]))
                best = (estimates + fit).argmax(dim=1)
                rows = torch.arange(len(best))
                taken = torch.nn.functional.interpolate(
                    offered[rows, best][None], (height, width), mode="bilinear", align_corners=False
                )
                logits[chosen], scores[chosen] = taken[0].numpy(), estimates[rows, best].numpy()
        return logits, scores


def load_sam2(folder: Path | str, device: str = "cpu") -> Sam2:
    """Read a checkpoint from a local folder; nothing is downloaded and nothing in the folder is executed.

    Args:
        folder: Holds config.json and model.safetensors.
        device: ``cpu`` or ``cuda``.

    Raises:
        SegmentError: transformers is not installed, or the folder holds no SAM 2 checkpoint that can be read.
    """
    import torch

    folder = Path(folder)
    weights = _checked_folder(folder)
    try:
        from transformers import Sam2Config, Sam2Model
    except ImportError as error:
        raise SegmentError(
            f'SAM 2 needs transformers, which is not usable here ({error}). Run: pip install "scene3d[sam2]"'
        ) from error
    with _quiet():
        try:
            config = Sam2Config.from_pretrained(folder, local_files_only=True)
            with torch.device("meta"):
                parameters = sum(parameter.numel() for parameter in Sam2Model(config).parameters())
            if parameters > weights.stat().st_size:
                raise SegmentError(
                    f"{folder / 'config.json'} describes a model of {parameters:,} numbers, but {weights.name} has "
                    f"only {weights.stat().st_size:,} bytes. Get both files from the same place again."
                )
            loaded: Any = Sam2Model.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                dtype=torch.float32,
            )
            model, told = loaded
        except SegmentError:
            raise
        except Exception as error:  # Whatever a file from elsewhere can be wrong in.
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise SegmentError(f"The SAM 2 checkpoint in {folder} cannot be read ({reason}). Get it again.") from error
    if told["missing_keys"]:
        missing = sorted(told["missing_keys"])
        raise SegmentError(
            f"{weights} lacks {len(missing)} of the model's arrays, for example {missing[0]}. It is not the checkpoint "
            "that config.json describes; get both files from the same place again."
        )
    return Sam2(model.to(device).eval(), device)


def _checked_folder(folder: Path) -> Path:
    """The file of weights in a folder that holds a SAM 2 checkpoint by its looks."""
    if not folder.is_dir():
        raise SegmentError(f"There is no folder {folder}. --sam2 takes {EXPECTED}; nothing is downloaded.")
    config, weights = folder / "config.json", folder / "model.safetensors"
    missing = [path.name for path in (config, weights) if not path.is_file()]
    if missing:
        other = sorted(path.name for path in folder.iterdir() if path.suffix in (".pt", ".pth", ".bin"))
        hint = f" {other[0]} is a pickle, which could run anything, and is not read." if other else ""
        raise SegmentError(f"{folder} has no {' and no '.join(missing)}. --sam2 takes {EXPECTED}.{hint}")
    found = _model_type(config)
    if found not in MODEL_TYPES:
        raise SegmentError(
            f"{config} describes a model of type {found!r}, but --sam2 takes {' or '.join(MODEL_TYPES)}: {EXPECTED}."
        )
    return weights


def _model_type(config: Path) -> str:
    try:
        if config.stat().st_size > LARGEST_CONFIG:
            raise SegmentError(f"{config} has {config.stat().st_size:,} bytes; that is no configuration of a model.")
        document = json.loads(config.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise SegmentError(f"{config} cannot be read ({error}). --sam2 takes {EXPECTED}.") from error
    return str(document.get("model_type")) if isinstance(document, dict) else "unknown"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' bars and remarks off the terminal while a checkpoint is read."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _model_input(rgb: NDArray[np.uint8], size: int) -> Tensor:
    """A photo (H, W, 3) as the model takes it, shape (1, 3, size, size): squeezed to a square, not padded."""
    import torch

    image = torch.from_numpy(np.array(rgb)).permute(2, 0, 1)[None].float() / 255
    image = torch.nn.functional.interpolate(
        image, (size, size), mode="bilinear", align_corners=False, antialias=True
    ).clamp(0, 1)
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (MEAN, STD))
    return (image - mean) / std


def _padded(clicks: Sequence[Clicks], scale: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Points (1, O, K, 2) on the model's square and their signs (1, O, K): 1 inside, 0 outside, `PADDING`."""
    import torch

    most = max(len(click.pixels) for click in clicks)
    points = torch.zeros(1, len(clicks), most, 2)
    signs = torch.full((1, len(clicks), most), PADDING, dtype=torch.int64)
    for row, click in enumerate(clicks):
        # The model adds half a pixel to what it takes for indices of pixels.
        on_square = click.pixels * np.asarray(scale) - 0.5
        points[0, row, : len(on_square)] = torch.from_numpy(on_square).float()
        signs[0, row, : len(on_square)] = torch.from_numpy(click.inside.astype(np.int64))
    return points, signs


def _obeyed(offered: Tensor, points: Tensor, signs: Tensor, size: int) -> Tensor:
    """Share of clicks (O, K) on the right side of each offered mask (O, M, h, w), shape (O, M)."""
    import torch

    height, width = offered.shape[-2:]
    column = ((points[..., 0] + 0.5) * width / size).long().clamp(0, width - 1)
    row = ((points[..., 1] + 0.5) * height / size).long().clamp(0, height - 1)
    at_points = offered[torch.arange(len(offered))[:, None], :, row, column] > 0  # (O, K, M)
    real = (signs != PADDING)[..., None]
    right = (at_points == (signs == 1)[..., None]) & real
    return right.sum(dim=1) / real.sum(dim=1)


def _overlap(offered: Tensor, expected: Tensor) -> Tensor:
    """IoU of each offered mask (O, M, h, w) with the expected one (O, H, W), shape (O, M)."""
    import torch

    height, width = offered.shape[-2:]
    small = torch.nn.functional.adaptive_avg_pool2d(expected[:, None].float(), (height, width)) > 0.5
    mask = offered > 0
    both, either = (mask & small).sum(dim=(-2, -1)), (mask | small).sum(dim=(-2, -1))
    return both / either.clamp_min(1)
