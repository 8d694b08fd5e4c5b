"""Fitting splats to posed photos.

`fit` reads the photos into a pyramid (`_photos`), makes first splats (`_initial`), and then repeats: one view forward,
loss, backward, sparse Adam (an `Engine`, one per device); every hundred steps splats are pruned, moved and added
(`_density`). What changes over time is in `_schedule`; what is optimised is a `SplatOptimizer`.
"""

from __future__ import annotations

from scene3d.fit._checkpoint import require_checkpoint
from scene3d.fit._config import PRESETS, FitConfig, load_config, load_preset
from scene3d.fit._fit import FitProgress, FitResult, fit

__all__ = [
    "PRESETS",
    "FitConfig",
    "FitProgress",
    "FitResult",
    "fit",
    "load_config",
    "load_preset",
    "require_checkpoint",
]
