"""The timeline: which rollout and which of its futures is shown, play, step, speed, scrub, loop.

What the page asks for goes to the session; what the session shows goes back into the controls, at most ten times a
second while time passes. Values that are set from here come back as events without a client and are passed over.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from scene3d.viewer._future_words import future_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from viser import GuiEvent, ViserServer

    from scene3d.viewer._session import Session
    from scene3d.viewer._track import Track

__all__ = ["add_timeline"]

STEP = 1 / 60
"""Of the slider and of a step [s]."""
SPEEDS = {"1/8": 0.125, "1/4": 0.25, "1/2": 0.5, "1": 1.0, "2": 2.0}
PACES = {f"{name}, {end}": (speed, end == "loop") for end in ("loop", "once") for name, speed in SPEEDS.items()}
"""Speed, and whether it begins again at the end: one list, for rows are scarce."""
PAUSE = 0.1
"""Between two updates of the slider while time passes [s]."""
LONGEST = 34
"""Letters of a name in a list."""


def add_timeline(session: Session, server: ViserServer) -> None:
    """Add the controls where the caller's container is open."""
    _Timeline(session, server)


class _Timeline:
    def __init__(self, session: Session, server: ViserServer) -> None:
        from viser import Icon

        self.session, gui = session, server.gui
        self.icons = {False: Icon.PLAYER_PLAY, True: Icon.PLAYER_PAUSE}
        self.told = 0.0
        """When the slider was last told the time."""
        self.known: Track | None = None
        """The track whose futures are listed."""
        self.track = gui.add_dropdown("Rollout", _names(session), hint="What is shown: the photos' moment or a rollout")
        self.future: Any = gui.add_dropdown("Future", ("1",), visible=False, hint="Which one moves the splats")
        self.time = gui.add_slider("Time [s]", 0.0, STEP, STEP, 0.0, hint="Shift with arrow left or right: a frame")
        self.play = gui.add_button("Play", icon=self.icons[False], hint="Space")
        self.pace = gui.add_dropdown(
            "Speed", tuple(PACES), initial_value=_pace(session), hint="Times real time; again and again, or once"
        )
        self.parts = (self.time, self.play, self.pace)
        self._listen()
        self._add_keys(server)
        session.tracks_changed.connect(self.renew)
        session.moment_changed.connect(self.follow)
        session.clock_changed.connect(self.follow)
        self.renew()

    def _listen(self) -> None:
        session = self.session

        def asked(handle: Any, do: Callable[[], None]) -> None:
            @handle.on_update
            def _(event: GuiEvent[Any]) -> None:
                if event.client is not None:
                    do()

        asked(self.track, lambda: session.show(_place(self.track)))
        asked(self.future, lambda: session.show(session.shown, _place(self.future)))
        asked(self.time, lambda: session.seek(float(self.time.value)))
        asked(self.pace, self._take_pace)
        self.play.on_click(lambda _: session.set_clock(playing=not session.clock.playing))

    def _take_pace(self) -> None:
        speed, loop = PACES[self.pace.value]
        self.session.set_clock(speed=speed, loop=loop)

    def _add_keys(self, server: ViserServer) -> None:
        session = self.session

        def command(label: str, key: Any, modifier: Any, do: Callable[[], None]) -> None:
            server.gui.add_command(label, hotkey=key, modifier=modifier).on_trigger(lambda _: do())

        command("Play or pause", "space", None, lambda: session.set_clock(playing=not session.clock.playing))
        command("A frame back", "arrowleft", "shift", lambda: session.step(-1))
        command("A frame forward", "arrowright", "shift", lambda: session.step(1))
        command("To the start", "home", None, lambda: session.seek(0.0))

    def renew(self) -> None:
        """Other tracks, or another one shown."""
        session = self.session
        track = session.track
        names = _names(session)
        if self.track.options != names:
            self.track.options = names
        self.track.value = names[session.shown]
        if self.known is not track:
            self.known = track
            self.future.options = _futures(session, track)
        self.future.value = self.future.options[session.future]
        self.future.visible = track.futures > 1
        self.time.max = max(session.clock.duration, STEP)
        for part in self.parts:
            part.visible = session.clock.duration > 0
        self.told = 0.0
        self.follow()

    def follow(self) -> None:
        """Another moment."""
        clock = self.session.clock
        self.play.label = "Pause" if clock.playing else "Play"
        self.play.icon = self.icons[clock.playing]
        self.pace.value = _pace(self.session)
        now = time.monotonic()
        if clock.playing and now - self.told < PAUSE:
            return
        self.told = now
        self.time.value = min(round(clock.time, 3), self.time.max)


def _pace(session: Session) -> str:
    """What the list calls the clock's pace: the nearest of its speeds."""
    clock = session.clock
    some = (name for name, (_, loop) in PACES.items() if loop == clock.loop)
    return min(some, key=lambda name: abs(PACES[name][0] - clock.speed))


def _place(dropdown: Any) -> int:
    return list(dropdown.options).index(dropdown.value)


def _names(session: Session) -> tuple[str, ...]:
    """Of the tracks; names that are there twice get a number, since a list gives names back."""
    names: list[str] = []
    for track in session.tracks:
        name = _short(track.name)
        again = sum(other == name or other.startswith(f"{name} (") for other in names)
        names.append(f"{name} ({again + 1})" if again else name)
    return tuple(names)


def _futures(session: Session, track: Track) -> tuple[str, ...]:
    words = future_words(session.scene, session.world, track)
    numbers = [f"{index + 1} of {track.futures}" for index in range(track.futures)]
    return tuple(_short(f"{number}: {word}") if word else number for number, word in zip(numbers, words, strict=True))


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
