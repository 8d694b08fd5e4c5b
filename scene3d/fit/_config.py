"""What can be chosen about a fit, and the presets that choose it.

A configuration is data: YAML read with ``safe_load`` into a frozen struct that refuses unknown names, wrong types and
values out of range, with the path of what is wrong.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from scene3d._errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PRESETS", "FitConfig", "load_config", "load_preset"]

PRESETS = ("fast", "default", "high")
"""Names of the presets, quickest first."""

FEW_VIEWS = 8
"""Training views from which photos constrain each other well enough for the usual options."""

_Share = Annotated[float, Meta(ge=0.0, le=1.0)]
_Positive = Annotated[float, Meta(gt=0.0)]
_Weight = Annotated[float, Meta(ge=0.0)]


class FitConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of a fit; times are shares of the whole run, rates are per step."""

    steps: Annotated[int, Meta(gt=0)] = 6000
    """Optimisation steps, one view each."""
    seconds: Annotated[float, Meta(gt=0.0, le=1e7)] | None = None
    """Time budget [s] that replaces `steps`: the schedule then follows the clock, and results vary with the machine."""
    longest_side: Annotated[int, Meta(ge=32, le=8192)] = 480
    """Longest side of the photos that are fitted [px]."""
    budget: Annotated[int, Meta(ge=100, le=20_000_000)] = 60_000
    """Most splats."""
    sh_degree: Annotated[int, Meta(ge=0, le=3)] = 3
    """Degree of spherical harmonics at the end."""
    sh_from: tuple[_Share, _Share, _Share] = (0.2, 0.4, 0.6)
    """When degrees 1, 2 and 3 join."""
    half_until: _Share = 0.25
    """Until when photos are fitted at half size."""
    quarter_until: _Share = 0.06
    """Until when photos are fitted at quarter size."""
    ssim_weight: _Share = 0.2
    """Weight of 1 - SSIM beside L1."""
    opacity_weight: _Weight = 0.005
    """Weight of the mean opacity; clears haze."""
    scale_weight: _Weight = 0.005
    """Weight of the mean size relative to the scene; clears blobs."""
    depth_weight: _Weight = 0.3
    """Weight of the relative error of depth, where a sensor measured it."""
    alpha_weight: _Weight = 0.5
    """Weight of the error of alpha, where masks say that an object ends."""
    exposure: bool = False
    """Fit an affine colour map per training photo; for captures whose exposure drifts."""
    rate_means: _Positive = 5e-4
    """Learning rate of centres relative to the scene's extent; falls to `final_rate` of it."""
    final_rate: _Positive = 0.02
    """What is left of the rate of centres at the end."""
    rate_scales: _Positive = 1e-2
    """Learning rate of log scales."""
    rate_quats: _Positive = 2e-3
    """Learning rate of orientations."""
    rate_opacities: _Positive = 5e-2
    """Learning rate of logit opacities."""
    rate_sh0: _Positive = 5e-3
    """Learning rate of colours."""
    rate_shN: _Positive = 3e-4
    """Learning rate of higher spherical harmonics."""
    settle_from: _Share = 0.8
    """From when all rates fall further, to a tenth at the end."""
    density_every: Annotated[int, Meta(gt=0)] = 100
    """Steps between prunings, moves and growth."""
    density_until: _Share = 0.75
    """Until when the number of splats changes."""
    growth: _Weight = 0.12
    """Largest share of splats that is added at a time."""
    prune_opacity: _Share = 0.01
    """Splats below this opacity are taken away."""
    dropout: _Share = 0.0
    """Share of splats that each step leaves out at random, so that none relies on a neighbour; held-out views gain."""

    def for_few_views(self, views: int) -> FitConfig:
        """What to fit with when there are few training views: with less than `FEW_VIEWS`, splats stay where they are.

        Views between the cameras then look like the start, which geometry decided, instead of like whatever explains
        each photo alone: centres and shapes hardly move, colours do not depend on the direction, and little grows.
        Meant for a start from a sweep (`Start.swept`); points at random could not find their places with it.
        """
        if views >= FEW_VIEWS:
            return self
        return msgspec.structs.replace(
            self,
            steps=max(1, round(0.6 * self.steps)),
            rate_means=0.04 * self.rate_means,
            rate_scales=0.2 * self.rate_scales,
            rate_quats=0.1 * self.rate_quats,
            sh_degree=0,
            growth=0.2 * self.growth,
        )

    def differences(self, other: FitConfig) -> str:
        """What of the other configuration makes another fit, as text; how long to fit does not, nor what is equal."""
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in self.__struct_fields__}
        return ", ".join(
            f"{name} {mine}, now {theirs}"
            for name, (mine, theirs) in pairs.items()
            if mine != theirs and name not in ("steps", "seconds")
        )


def load_preset(name: str) -> FitConfig:
    """The preset of that name.

    Raises:
        UsageError: There is no such preset.
    """
    if name not in PRESETS:
        raise UsageError(f"Found preset {name!r}; presets are {', '.join(PRESETS)}.")
    return _parse(_preset_text(name), f"preset {name}")


def load_config(path: Path) -> FitConfig:
    """A configuration from a YAML file with any of the fields of `FitConfig`; the rest keep their defaults.

    Raises:
        UsageError: The file cannot be read, or something in it is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The configuration {path} cannot be read ({error}); give a YAML file.") from error
    return _parse(text, str(path))


def _preset_text(name: str) -> str:
    """A wheel carries the presets in ``scene3d/configs``; a source tree has them in ``configs`` beside the package."""
    package = resources.files("scene3d")
    for folder in (package / "configs", package / ".." / "configs"):
        file = folder / "fit" / f"{name}.yaml"
        if file.is_file():
            return file.read_text(encoding="utf-8")
    raise UsageError(f"The preset {name} is missing from this installation; install scene3d again.")


def _parse(text: str, origin: str) -> FitConfig:
    import yaml

    try:
        return msgspec.convert(yaml.safe_load(text) or {}, FitConfig)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        fields = ", ".join(FitConfig.__struct_fields__)
        raise UsageError(f"In {origin}: {error}. Accepted fields are {fields}.") from error
