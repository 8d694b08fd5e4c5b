"""What people do to a scene in a session: move, change, push, drop, save, remove; and take back.

Buttons and gizmos call `Acts`; it changes the `Session`, whose signals everything else follows. Each deed leaves an
entry in the history. Simulations run as jobs, one after the other, each from the moment that was shown when it was
asked for. What cannot be is refused in words, which `Acts` returns instead of raising, for it is people who read them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import UsageError
from scene3d._scene_joints import carried, hanging
from scene3d._scene_world import held_by
from scene3d.viewer._act_branches import Branches
from scene3d.viewer._act_changes import Change, altered
from scene3d.viewer._act_place import Place, go, place_of
from scene3d.viewer._signal import Signal
from scene3d.viewer._undo import History
from scene3d.viewer._what_if import Moment, present

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dynamics import Latents, World
    from scene3d._scene import Scene
    from scene3d._simulate import Drop, Push, Simulation
    from scene3d.viewer._jobs import Tell
    from scene3d.viewer._session import Session

__all__ = ["Acts"]

POSTERIOR = "latents.npz"
"""Where `scene3d identify` puts what recordings told."""
GONE = "The scene was edited meanwhile, so these futures are of things that are gone."
MOST_ASKED = 4
"""Simulations that are under way or wait."""
READY = 0.2
"""Share of the work after which contact geometry is known."""
SHORTEST = 0.05
"""Of a rollout that nobody sees [s]."""
_ENGINE = threading.Lock()
"""One simulation at a time in this process, whoever asks."""


class Acts:
    """What can be done in one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.history = History()
        self.branches = Branches(session, self.history)
        """What was simulated."""
        self.changes: dict[int, Change] = {}
        """What somebody fixed about bodies, for every future that is simulated from now on."""
        self.futures = 16
        """So many are simulated at once."""
        self.seconds = 3.0
        """So long [s]."""
        self.network = True
        """Whether the contact network takes part."""
        self.changed = Signal()
        """Changes to bodies, or whether something is being simulated."""
        self._asked: list[tuple[Moment, str]] = []
        """What is being simulated, and what waits for it: moments and deeds."""
        self._dragged: tuple[int, Place] | None = None
        session.scene_changed.connect(self._forget)

    @property
    def busy(self) -> bool:
        """Whether something is being simulated."""
        return bool(self._asked)

    @property
    def full(self) -> bool:
        """Whether nothing more can be asked for until something is done."""
        return len(self._asked) >= MOST_ASKED

    @property
    def posterior(self) -> Path | None:
        """What recordings told of this scene; None when nobody recorded."""
        path = self.session.folder / POSTERIOR
        return path if path.is_file() else None

    # Moving by hand.

    def begin_move(self, index: int) -> None:
        """Somebody takes hold of an object; time stands still meanwhile."""
        with self.session.lock:
            self.end_move()
            self.session.set_clock(playing=False)
            self._dragged = (index, place_of(self.session))
            held = held_by(self.session.scene, self._name(index))
            if held:
                self.session.say(f"{self._name(index)} is held in its place by the joint {held!r}. Push it.")

    def move(self, index: int, pose: NDArray[np.float32]) -> None:
        """It goes along, and what hangs on it by joints as well.

        A pose (7,) that is no number, or of an object that is gone or held in its place by a joint, is passed over.
        """
        with self.session.lock:
            scene = self.session.scene
            if 0 <= index < len(scene.objects) and np.isfinite(pose).all():
                if self._dragged is None:
                    self.begin_move(index)
                if held_by(scene, self._name(index)):
                    return
                poses = dict(enumerate(self.session.poses()[: len(scene.objects)].tolist()))
                for place, there in carried(scene.joints, poses, index, pose.tolist())[0].items():
                    self.session.put(place, np.asarray(there, dtype=np.float32))

    def end_move(self) -> None:
        """It is let go, or whoever held it left."""
        with self.session.lock:
            dragged, self._dragged = self._dragged, None
            if dragged is None:
                return
            index, place = dragged
            now, then = self.session.moved.get(index), place.moved.get(index)
            if now is not None and (then is None or not np.array_equal(now, then)):
                name = self.session.scene.objects[index].name
                after = place_of(self.session)
                self.history.add(f"move {name}", lambda: go(self.session, place), lambda: go(self.session, after))

    def put_back(self, index: int) -> None:
        """To where the track has it."""
        with self.session.lock:
            if index in self.session.moved:
                place, name = place_of(self.session), self.session.scene.objects[index].name
                for other in hanging(self.session.scene.joints, index).objects:
                    self.session.put(other, None)
                after = place_of(self.session)
                self.history.add(f"put {name} back", lambda: go(self.session, place), lambda: go(self.session, after))

    # Changing what is known.

    def change(self, index: int, quantity: str, value: float | None) -> None:
        """Fix a quantity of a body in all futures to come, one of `QUANTITIES`; None frees it again."""
        before = self.changes.get(index, Change())
        self._change(index, replace(before, **{quantity: value}), quantity)

    def fix(self, index: int, change: Change) -> None:
        """Fix several at once, or with an empty `Change` none."""
        self._change(index, change, "")

    def _change(self, index: int, after: Change, quantity: str) -> None:
        before = self.changes.get(index, Change())
        if after == before or not 0 <= index < len(self.session.scene.objects):
            return
        name = self.session.scene.objects[index].name
        self._set_change(index, after)
        key = f"{index} {quantity}" if quantity else ""
        back, forth = (lambda: self._set_change(index, before)), (lambda: self._set_change(index, after))
        self.history.add(f"change {name}", back, forth, key=key)

    def _set_change(self, index: int, change: Change) -> None:
        with self.session.lock:
            if change == Change():
                self.changes.pop(index, None)
            else:
                self.changes[index] = change
        self.changed.send()

    # Simulating.

    def ahead(self, *, futures: int | None = None, seconds: float | None = None) -> None:
        """How many futures are simulated at once, and how long [s]."""
        self.futures = self.futures if futures is None else futures
        self.seconds = self.seconds if seconds is None else seconds
        self.changed.send()

    def push(self, index: int, force: NDArray[np.float64], seconds: float) -> str:
        """Push an object from the moment shown on, in `futures` futures; returns why not, or nothing.

        Args:
            index: The object.
            force: In the world [N], shape (3,).
            seconds: How long [s].
        """
        from scene3d._simulate import Push

        name = self._name(index)
        fx, fy, fz = (float(value) for value in force)
        words = f"push {name},{fx:.3g},{fy:.3g},{fz:.3g},{seconds:.3g}"
        return self._act(index, f"push {name}", words, pushes=[Push(name, (fx, fy, fz), seconds)])

    def drop(self, index: int, height: float) -> str:
        """Drop an object from above where it stands [m], likewise."""
        from scene3d._simulate import Drop

        name = self._name(index)
        return self._act(index, f"drop {name}", f"drop {name},{height:.3g}", drops=[Drop(name, height)])

    def let_go(self, index: int) -> str:
        """See what happens from the moment shown on, with things where somebody put them."""
        return self._act(None, f"let go of {self._name(index)}", "")

    def why_not(self, index: int) -> str:
        """Why an object cannot be pushed; empty when it can."""
        world, name = self.session.world, self._name(index)
        if world is None:
            return "The scene has no metric scale, so gravity means nothing here. Set it with `scene3d scale`."
        if self.session.scene.objects[index].kind == "rigid" and world.bodies[index].motion == "static":
            return f"{name} stands fast: its body is static."
        if world.bodies[index].motion != "dynamic":
            return f"{name} is deformable, and only rigid things move here. Make it rigid in the Edit tab."
        return ""

    def _name(self, index: int) -> str:
        return self.session.scene.objects[index].name

    def _act(
        self, index: int | None, label: str, words: str, *, pushes: Sequence[Push] = (), drops: Sequence[Drop] = ()
    ) -> str:
        session = self.session
        with session.lock:
            if index is not None and (reason := self.why_not(index)):
                return reason
            try:
                moment = present(session)
            except UsageError as error:
                return str(error)
            # Two people may push at once; one who clicks twice means it once.
            if any(words == other and moment.same_as(then) for then, other in self._asked):
                return "That simulation is under way; wait until it is done."
            if self.full:
                return "Enough simulations are under way; wait until one is done."
            asked = moment, words
            self._asked.append(asked)
            place, scene, changes = place_of(session), session.scene, dict(self.changes)
        said = [change.words(scene.objects[i].name) for i, change in sorted(changes.items())]
        deeds = [*(f"put {name}" for name in moment.put), *said, *([words] if words else [])]

        def work(tell: Tell) -> None:
            simulation = self._simulate(scene, moment, changes, pushes, drops, tell)
            with session.lock:
                if session.scene is not scene:
                    raise UsageError(GONE)
                self.branches.add(simulation, moment, place, label, deeds)

        def done(_: object) -> None:
            with session.lock:
                self._asked.remove(asked)
            self.changed.send()

        self.changed.send()
        session.jobs.run(label[0].upper() + label[1:], work).add_done_callback(done)
        return ""

    def _simulate(
        self,
        scene: Scene,
        moment: Moment,
        changes: dict[int, Change],
        pushes: Sequence[Push],
        drops: Sequence[Drop],
        tell: Tell,
    ) -> Simulation:
        from scene3d._simulate import prepare_contacts, simulate

        def told(share: float, words: str) -> None:
            # What this raises ends the work.
            if self.session.scene is not scene:
                raise UsageError(GONE)
            tell(0.95 * share, words)

        def prepared(share: float) -> None:
            told(READY * share, "preparing contacts")

        def alter(world: World, latents: Latents) -> Latents:
            return altered(scene, world, latents, changes)

        with _ENGINE:
            prepare_contacts(scene, on_progress=prepared)
            return simulate(
                scene,
                pushes=pushes,
                drops=drops,
                state=moment.state,
                latents=moment.latents,
                alter=alter if changes else None,
                samples=self.futures,
                seconds=self.seconds,
                posterior=self.posterior,
                network=self.network,
                assume_scale=not scene.metric,
                tell=lambda share, words: told(READY + (1 - READY) * share, words),
            )

    def prepare(self, tell: Tell) -> None:
        """Do as a job what would make the first simulation slow: contact geometry, kernels, the network."""
        from scene3d._simulate import prepare_contacts, simulate

        scene, world = self.session.scene, self.session.world
        if world is None or all(self.why_not(index) for index in range(len(scene.objects))):
            return

        def told(share: float, _: str = "") -> None:
            if self.session.scene is not scene:
                raise UsageError(GONE)
            tell(share, "")

        # What goes wrong here goes wrong again, and is told, when somebody pushes something.
        with _ENGINE, suppress(Exception):
            prepare_contacts(scene, on_progress=lambda share: told(0.7 * share))
            simulate(
                scene,
                samples=2,
                seconds=SHORTEST,
                network=self.network,
                assume_scale=not scene.metric,
                tell=lambda share, _: told(0.7 + 0.3 * share),
            )

    def _forget(self) -> None:
        """The scene is another one: its bodies, and what was done to them, are gone."""
        self.changes.clear()
        self.branches.forget()
        self._dragged = None
        self.history.clear()
        self.changed.send()
