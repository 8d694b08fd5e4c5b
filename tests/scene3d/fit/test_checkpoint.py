"""The promise of a checkpoint: a fit by steps that was stopped and resumed ends as if it had never stopped.

"As if" means the same bits. The uninterrupted run of each comparison uses the same engine, so whatever is left out of
a checkpoint, be it one moment of Adam or the place in a round of photos, shows.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

from scene3d._errors import FitError, OutputError
from scene3d.capture import Capture
from scene3d.fit import FitConfig, FitProgress, FitResult, _fit, fit
from scene3d.fit._checkpoint import load_checkpoint

from .conftest import Recorder, same_bits

Install = Callable[..., Recorder]


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def stop_at(step: int) -> Callable[[FitProgress], None]:
    """A progress callback that is interrupted once the fit is at that step."""

    def report(progress: FitProgress) -> None:
        if progress.step == step:
            raise KeyboardInterrupt

    return report


@pytest.fixture(scope="module")
def whole(capture: Capture, short: FitConfig) -> FitResult:
    """The fit that nobody stopped."""
    return fit(capture, short)


@pytest.fixture
def python_sigint() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, even where the tests run in the background of a shell and ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "fit() gives the handler back"
    signal.signal(signal.SIGINT, before)


# Within the first round of 17 photos, in the middle of a later one, on a density control, before the last step.
@pytest.mark.parametrize("step", [1, 77, 100, 239])
@pytest.mark.usefixtures("every_step")
def test_stopped_between_steps(capture: Capture, short: FitConfig, whole: FitResult, tmp_path: Path, step: int) -> None:
    stopped = fit(capture, short, out=tmp_path, on_progress=stop_at(step))
    assert stopped.interrupted
    assert stopped.steps == step
    assert (tmp_path / "fit.safetensors").exists()
    resumed = fit(capture, short, out=tmp_path, resume=True)
    assert not resumed.interrupted
    assert resumed.steps == 240
    assert same_bits(resumed.splats, whole.splats)
    assert not list(tmp_path.iterdir()), "a finished fit leaves no checkpoint"


@pytest.mark.usefixtures("every_step")
def test_stopped_again_and_again(capture: Capture, short: FitConfig, whole: FitResult, tmp_path: Path) -> None:
    fit(capture, short, out=tmp_path, on_progress=stop_at(30))
    for step in (31, 64, 171):
        assert fit(capture, short, out=tmp_path, resume=True, on_progress=stop_at(step)).steps == step
    assert same_bits(fit(capture, short, out=tmp_path, resume=True).splats, whole.splats)


@pytest.mark.parametrize("when", ["before", "after"])
def test_stopped_within_a_step(
    capture: Capture, short: FitConfig, whole: FitResult, tmp_path: Path, recorder: Install, when: str
) -> None:
    """A step that was torn apart is undone: the fit goes back to its last good state, here of step 100."""
    recorder(**{when: {150: interrupt}})
    stopped = fit(capture, short, out=tmp_path)
    assert (stopped.interrupted, stopped.steps) == (True, 100)
    recorder()
    assert same_bits(fit(capture, short, out=tmp_path, resume=True).splats, whole.splats)


@pytest.mark.usefixtures("python_sigint")
@pytest.mark.parametrize("when", ["before", "after"])
def test_ctrl_c_waits_for_the_end_of_the_step(
    capture: Capture, short: FitConfig, whole: FitResult, tmp_path: Path, recorder: Install, when: str
) -> None:
    recorder(**{when: {150: lambda: os.kill(os.getpid(), signal.SIGINT)}})
    stopped = fit(capture, short, out=tmp_path)
    assert (stopped.interrupted, stopped.steps) == (True, 151)
    recorder()
    assert same_bits(fit(capture, short, out=tmp_path, resume=True).splats, whole.splats)


@pytest.mark.usefixtures("python_sigint")
def test_second_ctrl_c_does_not_wait(capture: Capture, short: FitConfig, recorder: Install) -> None:
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second one is raised here")

    recorder(before={5: twice})
    stopped = fit(capture, short)
    assert (stopped.interrupted, stopped.steps) == (True, 0)


@pytest.mark.usefixtures("every_step")
def test_photos_come_in_the_same_order(capture: Capture, short: FitConfig, tmp_path: Path, recorder: Install) -> None:
    short = msgspec.structs.replace(short, steps=60)
    expected = recorder()
    fit(capture, short)
    first = recorder()
    fit(capture, short, out=tmp_path, on_progress=stop_at(27))
    second = recorder()
    fit(capture, short, out=tmp_path, resume=True)
    assert first.cameras + second.cameras == expected.cameras
    rounds = [expected.cameras[i : i + 17] for i in (0, 17, 34)]
    assert all(sorted(seen) == sorted(rounds[0]) for seen in rounds), "every round has every photo once"
    assert rounds[0] != rounds[1]


@pytest.mark.usefixtures("every_step")
def test_a_resumed_fit_remembers_that_it_was_rolled_back(
    capture: Capture, short: FitConfig, tmp_path: Path, recorder: Install
) -> None:
    recorder(spoil=lambda call, _: call == 30)
    never = fit(capture, short)
    recorder(spoil=lambda call, _: call == 30)
    fit(capture, short, out=tmp_path, on_progress=stop_at(60))
    recorder()
    resumed = fit(capture, short, out=tmp_path, resume=True)
    assert same_bits(resumed.splats, never.splats)
    assert resumed.notes == never.notes
    assert "rolled back" in resumed.notes[-1]


@pytest.mark.usefixtures("every_step")
def test_splats_that_are_left_out_are_drawn_on(capture: Capture, short: FitConfig, tmp_path: Path) -> None:
    """Dropout draws at every step, so a resumed fit must draw what the other one would have drawn next."""
    config = msgspec.structs.replace(short, steps=60, dropout=0.1)
    fit(capture, config, out=tmp_path, on_progress=stop_at(27))
    assert same_bits(fit(capture, config, out=tmp_path, resume=True).splats, fit(capture, config).splats)


def test_a_fit_saves_itself_from_time_to_time(
    capture: Capture, short: FitConfig, whole: FitResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written on the way is enough to go on with, had the machine died."""
    monkeypatch.setattr(_fit, "CHECKPOINT_EVERY", -1.0)
    kept = tmp_path / "kept"

    def die(progress: FitProgress) -> None:
        if progress.step == 90:
            (tmp_path / "fit.safetensors").rename(kept / "fit.safetensors")
            raise RuntimeError

    kept.mkdir()
    monkeypatch.setattr(_fit, "REPORT_EVERY", -1.0)
    with pytest.raises(RuntimeError):
        fit(capture, short, out=tmp_path, on_progress=die)
    assert load_checkpoint(kept).step == 89
    assert same_bits(fit(capture, short, out=kept, resume=True).splats, whole.splats)


@pytest.fixture
def stopped(capture: Capture, short: FitConfig, tmp_path: Path, every_step: None) -> Path:
    """A folder with the checkpoint of a fit that was stopped at step 3."""
    fit(capture, short, out=tmp_path, on_progress=stop_at(3))
    return tmp_path


def test_nothing_to_resume(capture: Capture, short: FitConfig, tmp_path: Path) -> None:
    with pytest.raises(FitError, match=r"There is no interrupted fit in .*Leave --resume out to start"):
        fit(capture, short, out=tmp_path, resume=True)
    with pytest.raises(FitError, match="needs the folder"):
        fit(capture, short, resume=True)


def test_other_photos(capture: Capture, short: FitConfig, stopped: Path) -> None:
    fewer = replace(capture, views=capture.views[:-1])
    with pytest.raises(FitError, match="was made from other photos; resume it with the same capture"):
        fit(fewer, short, out=stopped, resume=True)


def test_other_seed_and_other_settings(capture: Capture, short: FitConfig, stopped: Path) -> None:
    with pytest.raises(FitError, match="was started with seed 0, not 1; resume it with --seed 0"):
        fit(capture, short, out=stopped, resume=True, seed=1)
    for name, value, found in (
        ("sh_degree", 3, "sh_degree 1, now 3"),
        ("budget", 2600, "budget 2500, now 2600"),
        ("longest_side", 80, "longest_side 64, now 80"),
    ):
        with pytest.raises(FitError, match=rf"other settings \({found}\)\. Resume with the same preset or --config"):
            fit(capture, msgspec.structs.replace(short, **{name: value}), out=stopped, resume=True)


def test_more_steps_may_be_asked_for(capture: Capture, short: FitConfig, stopped: Path) -> None:
    assert fit(capture, msgspec.structs.replace(short, steps=6), out=stopped, resume=True).steps == 6


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _noise(path: Path) -> None:
    path.write_bytes(os.urandom(5000))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _no_header(path: Path) -> None:
    save_file(load_file(path), path)


def _bad_header(path: Path) -> None:
    save_file(load_file(path), path, {"fit": '{"step": "three"}'})


def _with(path: Path, name: str, value: torch.Tensor | None) -> None:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    save_file(tensors, path, header)


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _noise,
        _empty,
        _no_header,
        _bad_header,
        lambda path: _with(path, "params.means", None),
        lambda path: _with(path, "params.means", torch.zeros(5, 2)),
        lambda path: _with(path, "second.shN", torch.zeros(5, 3, 3)),
        lambda path: _with(path, "steps", torch.zeros(5, dtype=torch.int32)),
        lambda path: _with(path, "generator", torch.zeros(5, dtype=torch.uint8)),
        lambda path: _with(path, "generator", torch.zeros(5)),
        lambda path: _with(path, "stats.1", torch.zeros(5)),
        lambda path: _with(path, "exposure.maps", torch.zeros(17, 3, 3)),
    ],
)
def test_damaged(capture: Capture, short: FitConfig, stopped: Path, damage: Callable[[Path], None]) -> None:
    damage(stopped / "fit.safetensors")
    with pytest.raises(FitError, match=r"fit.safetensors is damaged \(.*\); start again with --overwrite"):
        fit(capture, short, out=stopped, resume=True)


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(
    capture: Capture, short: FitConfig, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stopped / "fit.partial").mkdir()  # In the way, as a full disk would be.
    monkeypatch.setattr(_fit, "CHECKPOINT_EVERY", -1.0)
    with pytest.raises(OutputError, match=r"fit.safetensors cannot be written"):
        fit(capture, short, out=stopped, resume=True)
    assert load_checkpoint(stopped).step == 3
