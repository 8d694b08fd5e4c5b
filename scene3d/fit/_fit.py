"""The fit: from a capture to splats.

Photos and first splats are prepared, then every step takes the next view of a shuffled round: the engine moves the
splats, the statistics remember what they did, and at intervals density control changes their number. A run can follow
its steps or the clock. Ctrl-C ends it with the splats of that moment and a checkpoint; a NaN rolls it back to the last
good state with smaller steps.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scene3d._errors import FitError
from scene3d._scene import SceneView
from scene3d.fit._checkpoint import Checkpoint, load_checkpoint, remove_checkpoint, save_checkpoint
from scene3d.fit._density import DensityStats, control_density
from scene3d.fit._dropout import left_out
from scene3d.fit._engine import Engine, Penalty, StepResult
from scene3d.fit._exposure import Exposures
from scene3d.fit._initial import first_splats
from scene3d.fit._interrupt import held_interrupts
from scene3d.fit._optimizer import SplatOptimizer
from scene3d.fit._photos import load_targets
from scene3d.fit._schedule import Moment, moment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from scene3d._gaussians import Gaussians
    from scene3d.capture import Capture
    from scene3d.fit._config import FitConfig

__all__ = ["FitProgress", "FitResult", "fit"]

REPORT_EVERY = 0.2
"""Seconds between progress reports."""
CHECKPOINT_EVERY = 60.0
"""Seconds between checkpoints."""
LONGEST_ROLLBACK = 3
"""Roll-backs after which a fit gives up."""


@dataclass(frozen=True)
class FitProgress:
    """How a fit stands."""

    step: int
    steps: int | None
    seconds: float
    budget_seconds: float | None
    iterations_per_second: float
    psnr: float
    """Running mean over the training views [dB]."""
    splats: int
    stage: str
    eta_seconds: float

    @staticmethod
    def preparing(stage: str, share: float) -> FitProgress:
        """How work before the first step stands: what is done, and the share of it that is."""
        return FitProgress(
            step=0,
            steps=None,
            seconds=0.0,
            budget_seconds=None,
            iterations_per_second=0.0,
            psnr=math.nan,
            splats=0,
            stage=f"{stage} {100 * share:.0f}%",
            eta_seconds=math.nan,
        )


@dataclass(frozen=True)
class FitResult:
    """What a fit made."""

    splats: Gaussians
    views: tuple[SceneView, ...]
    """All views with the cameras that were fitted."""
    seconds: float
    """Time spent optimising [s], without reading photos and triangulating."""
    steps: int
    interrupted: bool
    notes: tuple[str, ...]


def fit(
    capture: Capture,
    config: FitConfig,
    *,
    out: Path | None = None,
    device: str = "cpu",
    seed: int = 0,
    resume: bool = False,
    on_progress: Callable[[FitProgress], None] | None = None,
    backend: str | None = None,
) -> FitResult:
    """Fit splats to the training views of a capture.

    Args:
        capture: Posed photos.
        config: Options; see `load_preset`.
        out: Folder for checkpoints; None keeps none.
        device: ``cpu`` or ``cuda``.
        seed: Seed of view order, first points and splits. By steps on a CPU the same seed gives the same bits.
        resume: Go on from the checkpoint in ``out``.
        on_progress: Called a few times a second.
        backend: Render backend; the C++ kernels on ``cpu`` and gsplat on ``cuda`` by default.

    Raises:
        FitError: There is nothing to resume, or the optimisation diverges again and again.
        CaptureError: A photo cannot be read.
    """
    run = _Run(capture, config, out=out, device=device, seed=seed, on_progress=on_progress, backend=backend)
    run.start(resume)
    interrupted = run.loop()
    return run.result(interrupted)


class _Run:
    """The state of one fit."""

    def __init__(
        self,
        capture: Capture,
        config: FitConfig,
        *,
        out: Path | None,
        device: str,
        seed: int,
        on_progress: Callable[[FitProgress], None] | None,
        backend: str | None,
    ) -> None:
        self.capture, self.config, self.out, self.device, self.seed = capture, config, out, device, seed
        self.on_progress = on_progress
        self.engine = _engine(device, backend)
        self.train, self.held_out = capture.split()
        self.step, self.seconds, self.rollbacks = 0, 0.0, 0
        self.mse, self.last_report, self.last_checkpoint = 0.0, -1.0, 0.0
        self.order: list[int] = []
        self.torn = False

    # Preparation.

    def start(self, resume: bool) -> None:
        """Read photos, and make or restore the splats."""
        import torch

        from scene3d.fit._threads import thread_count

        threads = thread_count()
        self.generator = torch.Generator().manual_seed(self.seed)
        saved = self._restore() if resume else None
        self.levels = load_targets(
            self.train,
            self.config.longest_side,
            threads=threads,
            progress=lambda share: self._preparing("reading photos", share),
        )
        if saved is None:
            start = first_splats(
                self.capture,
                self.levels,
                seed=self.seed,
                budget=self.config.budget,
                threads=threads,
                progress=self._preparing,
            )
            if start.swept:
                self.config = self.config.for_few_views(len(self.train))
            self.splats = SplatOptimizer.of(start.splats.to(self.device), self.config.sh_degree)
            self.extent, self.notes = start.extent, start.notes
            self.exposures = Exposures.identity(len(self.train))
            self.stats = DensityStats.zeros(len(self.splats), self.device)
        self.good = self._checkpoint()
        if self.device != "cpu":
            self.levels = [[target.to(self.device) for target in level] for level in self.levels]
        self.penalty = Penalty(self.config.opacity_weight, self.config.scale_weight, self.extent)

    def _restore(self) -> Checkpoint:
        if self.out is None:
            raise FitError("Resuming needs the folder of the interrupted fit.")
        saved = load_checkpoint(self.out)
        if saved.views != tuple(view.name for view in self.train):
            raise FitError(
                f"The interrupted fit in {self.out} was made from other photos; resume it with the same capture, or "
                "start again with --overwrite."
            )
        few = self.config.for_few_views(len(self.train))
        if not saved.config.differences(few):
            self.config = few  # It started from a sweep.
        changed = saved.config.differences(self.config)
        if changed:
            raise FitError(
                f"The interrupted fit in {self.out} was started with other settings ({changed}). Resume with the same "
                "preset or --config; only steps and seconds may change."
            )
        if saved.seed != self.seed:
            raise FitError(
                f"The interrupted fit in {self.out} was started with seed {saved.seed}, not {self.seed}; resume it "
                f"with --seed {saved.seed}."
            )
        self._take(saved)
        self.notes, self.rollbacks, self.last_checkpoint = saved.notes, saved.rollbacks, saved.seconds
        return saved

    def _take(self, saved: Checkpoint) -> None:
        # Copies, because one good state may be gone back to more than once.
        self.splats, self.exposures = _copy(saved.splats, self.device), saved.exposures.copy()
        self.step, self.seconds, self.extent = saved.step, saved.seconds, saved.extent
        self.generator.set_state(saved.generator)
        self.stats = DensityStats(*(value.clone().to(self.device) for value in saved.stats))
        self.order = []

    # The loop.

    def loop(self) -> bool:
        """Optimise until the steps or the seconds are used up; True when the user interrupted."""
        begin = time.perf_counter() - self.seconds
        interrupted = False
        try:
            with held_interrupts() as asked:
                while self.share() < 1.0 and not interrupted:
                    self._one_step()
                    self.seconds = time.perf_counter() - begin
                    self._report()
                    if self.out is not None and self.seconds - self.last_checkpoint > CHECKPOINT_EVERY:
                        self.last_checkpoint = self.seconds
                        save_checkpoint(self.out, self._checkpoint())
                    interrupted = asked()
        except KeyboardInterrupt:
            interrupted = True
            if self.torn:
                self._take(self.good)
        if self.out is not None:
            if interrupted:
                save_checkpoint(self.out, self._checkpoint())
            else:
                remove_checkpoint(self.out)
        return interrupted

    def share(self) -> float:
        """Share of the run that is done."""
        if self.config.seconds is not None:
            return self.seconds / self.config.seconds
        return self.step / self.config.steps

    def _one_step(self) -> None:
        config, share = self.config, self.share()
        now = self._slowed(moment(config, share, self.extent))
        index = self._next_view()
        exposure = self.exposures.maps[index] if config.exposure else None
        target = self.levels[now.level][index]
        self.torn = True
        with left_out(self.splats, config.dropout, self.generator):
            result = self.engine.step(self.splats, target, exposure, now, self.penalty, config.ssim_weight, self.stats)
        if not math.isfinite(result.loss):
            self._roll_back(self.train[index].name)
            self.torn = False
            return
        if config.exposure:
            self.exposures.step(index, result.grad_exposure, share)
        self._count(result)
        self.step += 1
        if self.step % config.density_every == 0:
            self._control(now)
        self.torn = False

    def _count(self, result: StepResult) -> None:
        self.mse = result.mse if self.mse == 0 else 0.95 * self.mse + 0.05 * result.mse

    def _control(self, now: Moment) -> None:
        if self.config.exposure:
            self.exposures.center()
        if now.density:
            control_density(self.splats, self.stats, self.config, extent=self.extent, generator=self.generator)
            self.stats = DensityStats.zeros(len(self.splats), self.device)
        self._remember()

    def _remember(self) -> None:
        """Keep a state to roll back to, but only one that is sound: a loss can be finite before it shows."""
        if self.step % (5 * self.config.density_every) == 0 and _finite(self.splats):
            self.good = self._checkpoint()

    def _next_view(self) -> int:
        """Views in rounds, each shuffled by its own number, so that a resumed fit sees the same order."""
        import numpy as np

        count = len(self.train)
        turn, at = divmod(self.step, count)
        if at == 0 or not self.order:
            self.order = [int(i) for i in np.random.default_rng((self.seed, turn)).permutation(count)]
        return self.order[at]

    def _slowed(self, now: Moment) -> Moment:
        if self.rollbacks == 0:
            return now
        rates = {name: rate * 0.5**self.rollbacks for name, rate in now.rates.items()}
        return replace(now, rates=rates)

    def _roll_back(self, photo: str) -> None:
        self.rollbacks += 1
        if self.rollbacks > LONGEST_ROLLBACK:
            raise FitError(
                f"The loss became NaN at step {self.step} on photo {photo}, and smaller steps did not help. "
                "Check this photo and its pose, or fit with lower rates through --config."
            )
        step = self.step
        seconds = self.seconds
        self._take(self.good)
        self.seconds = seconds
        self.notes = (
            *self.notes,
            f"The loss became NaN at step {step} on photo {photo}: rolled back to step {self.step}, rates halved.",
        )

    # Reports and results.

    def _preparing(self, stage: str, share: float) -> None:
        if self.on_progress is not None:
            self.on_progress(FitProgress.preparing(stage, share))

    def _report(self) -> None:
        if self.on_progress is None or self.seconds - self.last_report < REPORT_EVERY:
            return
        self.last_report = self.seconds
        speed = self.step / max(self.seconds, 1e-9)
        share = max(self.share(), 1e-9)
        by_steps = self.config.seconds is None
        self.on_progress(
            FitProgress(
                step=self.step,
                steps=self.config.steps if by_steps else None,
                seconds=self.seconds,
                budget_seconds=self.config.seconds,
                iterations_per_second=speed,
                psnr=-10 * math.log10(max(self.mse, 1e-12)),
                splats=len(self.splats),
                stage=moment(self.config, share, self.extent).stage,
                eta_seconds=max(0.0, self.seconds / share - self.seconds),
            )
        )

    def _checkpoint(self) -> Checkpoint:
        from dataclasses import fields

        return Checkpoint(
            splats=_copy(self.splats, "cpu"),
            exposures=self.exposures.copy(),
            generator=self.generator.get_state(),
            step=self.step,
            seconds=self.seconds,
            extent=self.extent,
            views=tuple(view.name for view in self.train),
            notes=self.notes,
            config=self.config,
            seed=self.seed,
            rollbacks=self.rollbacks,
            stats=tuple(getattr(self.stats, field.name).clone() for field in fields(self.stats)),
        )

    def result(self, interrupted: bool) -> FitResult:
        """The splats as they are now."""
        held_out = {view.name for view in self.held_out}
        size = self.config.longest_side
        views = tuple(
            SceneView(view.name, view.camera.fitted(size), view.name in held_out) for view in self.capture.views
        )
        splats = self.splats.splats().detach().to("cpu")
        return FitResult(splats, views, self.seconds, self.step, interrupted, self.notes)


def _copy(splats: SplatOptimizer, device: str) -> SplatOptimizer:
    def copied(arrays: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: value.detach().clone().to(device) for name, value in arrays.items()}

    return SplatOptimizer(
        copied(splats.params), copied(splats.first), copied(splats.second), splats.steps.clone().to(device)
    )


def _finite(splats: SplatOptimizer) -> bool:
    import torch

    return all(bool(torch.isfinite(value).all()) for value in splats.params.values())


def _engine(device: str, backend: str | None) -> Engine:
    if device == "cpu" and backend in (None, "cpu"):
        from scene3d.fit._engine_cpu import CpuEngine

        return CpuEngine()
    from scene3d.fit._engine_autograd import AutogradEngine

    return AutogradEngine(backend or "cuda")
