"""The time that is shown: it runs, jumps and loops, and knows nothing of what it shows."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Clock"]


@dataclass
class Clock:
    """A moment between 0 and a duration."""

    duration: float = 0.0
    """[s]"""
    time: float = 0.0
    """[s]"""
    speed: float = 1.0
    """Seconds shown in a second; above 0."""
    playing: bool = False
    loop: bool = True

    def advance(self, seconds: float) -> bool:
        """Let so much real time pass [s]; returns whether the moment changed."""
        if not self.playing or self.duration <= 0 or seconds <= 0:
            return False
        time = self.time + self.speed * seconds
        if time >= self.duration:
            if self.loop:
                time %= self.duration
            else:
                time, self.playing = self.duration, False
        changed = time != self.time
        self.time = time
        return changed

    def play(self) -> None:
        """Run; from the start if it stood at the end."""
        if self.time >= self.duration:
            self.time = 0.0
        self.playing = self.duration > 0

    def seek(self, time: float) -> None:
        """Jump to a time [s], which is kept inside the duration."""
        self.time = min(max(time, 0.0), self.duration)
