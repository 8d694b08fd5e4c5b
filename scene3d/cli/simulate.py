"""`scene3d simulate`: does things to objects of a scene, and says what becomes of them, and how sure that is."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tyro.conf import Positional, UseAppendAction, arg

from scene3d._errors import Scene3dError
from scene3d.cli import _flags as flags
from scene3d.cli._terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scene3d._deeds import Deeds
    from scene3d._recorded_motion import RecordedMotion
    from scene3d._scene import Scene
    from scene3d._simulate import Simulation
    from scene3d._start_state import Start

__all__ = ["Simulate", "verb"]


@dataclass(frozen=True)
class Simulate:
    """Push, drop or move objects of a scene and see what becomes of them, in one future or in many.

    Objects begin as the photos show them, at rest. Mass and friction, which photos do not show, are drawn anew for each
    future: from SCENE/latents.npz if `identify` wrote one, else from the spread of the materials; and each future hears
    another member of the contact network. Printed are the share of the futures in which an object tips over, say, and
    of distances and times the median, with the interval in which one more future lies with a probability of 90 % (of
    fewer than 19, all of them). That is how sure the model is given what is drawn; shapes and places are taken as they
    are. Forces are newtons and lengths metres in the scene's world. The rollout is kept in SCENE/rollouts.
    """

    section: ClassVar[str] = "Objects"

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """Scene folder, in metres, with objects."""
    push: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(metavar="NAME,FX,FY,FZ[,SECONDS[,START]]", help_behavior_hint="(repeatable)"),
    ] = ()
    """Push an object at its centre of mass with a force, from the start and for 0.1 s unless said."""
    drop: Annotated[
        UseAppendAction[tuple[str, ...]], arg(metavar="NAME,HEIGHT", help_behavior_hint="(repeatable)")
    ] = ()
    """Let an object fall from above where it stands."""
    actions: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """Do what a file says: in .yaml or .json a list such as {push: can, force: [3, 0, 0], start: 0.5, seconds: 0.1},
    {drop: mug, height: 0.1}, {move: box, times: [1.5], poses: [[0.2, 0, 0.1]]}; in .npz an action step by step."""
    state: Annotated[str | None, arg(metavar="FILE|ROLLOUT[@S][#N]", help_behavior_hint="(default: the photos)")] = None
    """Begin at a saved state, where a recording begins, or at a moment of a rollout: second S of its future N."""
    samples: Annotated[int, arg(metavar="N")] = 1
    """Number of futures; the first has the medians of all that is drawn."""
    seconds: Annotated[float, arg(metavar="S")] = 3.0
    """How long to look ahead."""
    compare: Annotated[Path | None, arg(metavar="LOG", help_behavior_hint="")] = None
    """Compare with a recording: a log as for `identify`, a .csv of time,name,x,y,z,qw,qx,qy,qz, or a rollout's .npz."""
    video: Annotated[Path | None, arg(metavar="FILE.mp4", help_behavior_hint="")] = None
    """Show a future as a video, with the recording's outlines if there is one."""
    camera: Annotated[
        str | None, arg(metavar="NAME|FILE.json|orbit", help_behavior_hint="(default: the view that shows it best)")
    ] = None
    """Where the video looks from: a photo's name, a file like a scene's cameras.json, or a turn around the scene."""
    future: Annotated[int, arg(metavar="N")] = 0
    """Which future the video shows."""
    size: Annotated[str | None, arg(metavar="WxH", help_behavior_hint="(default: the camera's own)")] = None
    """Size of the video in pixels."""
    weights: Annotated[
        Path | None, arg(metavar="FILE", help_behavior_hint="(default: those that come with scene3d)")
    ] = None
    """Contact network."""
    no_network: Annotated[bool, arg(help="Physics alone.", help_behavior_hint="")] = False
    assume_scale: Annotated[
        bool, arg(help="Take a unit of a scene without scale for a metre.", help_behavior_hint="")
    ] = False
    seed: flags.Seed = 0
    overwrite: flags.Overwrite = False
    json: flags.Json = False
    quiet: flags.Quiet = False

    def run(self) -> int:
        """Simulate, save, compare, show, say what becomes of each object."""
        from scene3d._rollout_folder import save_simulation
        from scene3d._simulate import prepare_contacts
        from scene3d.cli._simulate_checks import check_room, check_video
        from scene3d.cli._simulate_lines import held_objects, result_lines, warning
        from scene3d.files import load_scene

        terminal = Terminal(self.json, self.quiet)
        deeds = self._spoken_deeds()
        check_video(self.video, self.camera, self.size, self.future, self.samples, overwrite=self.overwrite)
        scene = load_scene(self.scene)
        deeds += self._deeds_of_file(scene)
        motions = self._motions(scene)
        self._check_camera(scene)
        start = self._start(scene, deeds)
        if motions and (note := self._begins(scene, deeds, start, motions)):
            terminal.note(note)
        check_room(self.scene)
        with _bar(terminal, "shapes") as update:
            prepare_contacts(scene, on_progress=update)
        simulation = self._simulated(scene, deeds, start, terminal)
        words = self._deeds_in_words()
        branch = None if start is None else start.branch
        folder = save_simulation(simulation, self.scene, deeds=words, branch=branch)
        if simulation.flagged:
            terminal.note(warning(simulation))
        document: dict[str, Any] = {"scene": str(self.scene), "rollout": str(folder), "deeds": words}
        document |= simulation.document() | {"held": held_objects(scene)}
        try:
            if motions and simulation.outcomes:
                document["compare"] = self._compared(scene, simulation, motions, folder)
            elif motions:
                terminal.note("So there is nothing to compare with the recording.")
            if self.video is not None:
                document["video"] = self._shown(scene, simulation, motions, terminal)
        except (Scene3dError, KeyboardInterrupt):
            terminal.note(f"The rollout is kept in {folder}.")
            raise
        terminal.result(document, self.scene.resolve().name, result_lines(simulation, document))
        self._renew_gallery(scene, terminal)
        return 0

    def _renew_gallery(self, scene: Scene, terminal: Terminal) -> None:
        """Show the rollout in the report, which is worth no failure of what was simulated and saved."""
        from scene3d.report import renew_gallery

        try:
            renew_gallery(self.scene, scene)
        except Scene3dError as error:
            terminal.note(f"The rollout is saved, but not in the report: {error}")

    def _spoken_deeds(self) -> Deeds:
        from scene3d._deeds import Deeds, parse_drop, parse_push

        return Deeds([parse_push(text) for text in self.push], [parse_drop(text) for text in self.drop])

    def _deeds_of_file(self, scene: Scene) -> Deeds:
        from scene3d._deeds import Deeds
        from scene3d._deeds_file import load_deeds

        return Deeds() if self.actions is None else load_deeds(self.actions, scene)

    def _deeds_in_words(self) -> list[str]:
        words = [f"push {text}" for text in self.push] + [f"drop {text}" for text in self.drop]
        words += [] if self.actions is None else [f"actions {self.actions}"]
        return words + ([] if self.state is None else [f"from {self.state}"])

    def _motions(self, scene: Scene) -> tuple[RecordedMotion, ...]:
        from scene3d._recorded_motion import load_motion

        return () if self.compare is None else load_motion(self.compare, scene, self.seconds)

    def _start(self, scene: Scene, deeds: Deeds) -> Start | None:
        from scene3d._deeds_action import check_deeds
        from scene3d._scene_world import scene_world
        from scene3d._start_state import start_of

        check_deeds(scene, deeds, self.seconds)
        if self.state is None:
            return None
        return start_of(self.state, scene, self.scene, scene_world(scene, assume_scale=self.assume_scale))

    def _begins(self, scene: Scene, deeds: Deeds, start: Start | None, motions: tuple[RecordedMotion, ...]) -> str:
        """What is to be said of a recording that begins elsewhere."""
        from scene3d._deeds_action import driven_objects, first_state
        from scene3d._recorded_motion import check_beginning
        from scene3d._scene_world import scene_state, scene_world

        world = scene_world(scene, assume_scale=self.assume_scale, driven=driven_objects(deeds))
        state = scene_state(scene, world) if start is None else start.state
        begun = first_state(scene, world, state, deeds).T_world_body[0].double().numpy()
        return check_beginning(scene, begun, motions)

    def _simulated(self, scene: Scene, deeds: Deeds, start: Start | None, terminal: Terminal) -> Simulation:
        from scene3d._simulate import simulate

        found = self.scene / "latents.npz"
        with _bar(terminal, "futures") as update:
            return simulate(
                scene,
                pushes=deeds.pushes,
                drops=deeds.drops,
                moves=deeds.moves,
                action=deeds.action,
                driven=deeds.driven,
                state=None if start is None else start.state,
                latents=None if start is None else start.latents,
                samples=self.samples,
                seconds=self.seconds,
                posterior=found if found.is_file() else None,
                weights=self.weights,
                network=not self.no_network,
                assume_scale=self.assume_scale,
                seed=self.seed,
                # In groups, which takes longer where nobody looks.
                tell=(lambda share, _: update(share)) if terminal.aside.is_terminal else None,
            )

    def _video_size(self) -> tuple[int, int] | None:
        from scene3d.cli._shots import parse_size

        return None if self.size is None else parse_size(self.size)

    def _check_camera(self, scene: Scene) -> None:
        from scene3d._rollout_video import FPS
        from scene3d.cli._rollout_cameras import check_camera

        if self.video is not None:
            check_camera(scene, self.camera, self._video_size(), int(self.seconds * FPS + 1e-6) + 1)

    def _compared(
        self, scene: Scene, simulation: Simulation, motions: tuple[RecordedMotion, ...], folder: Path
    ) -> dict[str, Any]:
        from scene3d._compare import compare, write_comparison

        assert self.compare is not None
        found = compare(scene, simulation.rollout, motions, simulation.flagged)
        kept = len(simulation.rollout.T_world_body) - len(simulation.flagged)
        return write_comparison(found, folder, self.compare, kept)

    def _shown(
        self, scene: Scene, simulation: Simulation, motions: tuple[RecordedMotion, ...], terminal: Terminal
    ) -> str:
        from scene3d._rollout_video import frame_count, rollout_video
        from scene3d.cli._rollout_cameras import rollout_cameras
        from scene3d.files._atomic import make_folder

        assert self.video is not None
        rollout = simulation.rollout
        cameras = rollout_cameras(scene, self.camera, self._video_size(), frame_count(rollout), rollout)
        make_folder(self.video.parent)
        with _bar(terminal, "rendering") as update:
            rollout_video(
                scene,
                rollout,
                cameras,
                self.video,
                future=self.future,
                recorded=motions,
                on_progress=lambda done, of: update(done / of),
            )
        return str(self.video)


verb = Simulate


@contextmanager
def _bar(terminal: Terminal, words: str) -> Iterator[Callable[[float], None]]:
    """A function that takes the share that is done, and shows it on stderr if somebody sits there."""
    from rich.progress import Progress

    console = terminal.aside
    with Progress(console=console, transient=True, disable=terminal.quiet or not console.is_terminal) as progress:
        task = progress.add_task(f"  {words}", total=1.0)
        yield lambda share: progress.update(task, completed=share)
