"""Work that would block the page: one job after the other in a thread, with its progress and its errors told.

A job is a function that is given `tell(share, words)`. Panels show `Jobs.now`; what goes wrong ends up in `failed` as
the one sentence that the error carries. After `close`, `tell` raises: a job ends where it says how far it is, never
within a save, which tells nothing until it is whole.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from scene3d.viewer._signal import Signal

__all__ = ["Job", "Jobs", "Tell"]

Tell = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and what is being done; what it raises must end the work."""


class _Closed(Exception):
    """Nobody waits for this work any more."""


@dataclass(frozen=True)
class Job:
    """What runs now."""

    label: str
    share: float = 0.0
    """0 to 1."""
    words: str = ""


class Jobs:
    """A queue of one worker."""

    def __init__(self) -> None:
        self.now: Job | None = None
        """None when nothing runs."""
        self.failed = ""
        """What went wrong last; empty when the last job went well."""
        self.changed = Signal()
        """Something began, went on, ended or failed."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="scene3d-viewer-job")
        self._closed = threading.Event()

    def run(self, label: str, work: Callable[[Tell], None]) -> Future[None]:
        """Do some work after what is being done already; never raises what the work raises."""

        def tell(share: float, words: str = "") -> None:
            if self._closed.is_set():
                raise _Closed
            self.now = Job(label, share, words)
            self._told()

        def job() -> None:
            if self._closed.is_set():
                return
            self.failed = ""
            try:
                tell(0.0)
                work(tell)
            except _Closed:
                pass
            except Exception as error:
                self.report(label, error)
            finally:
                self.now = None
                self._told()

        try:
            return self._pool.submit(job)
        except RuntimeError:
            # It is closed: a click that came last has no effect.
            done: Future[None] = Future()
            done.cancel()
            done.set_running_or_notify_cancel()
            return done

    def report(self, label: str, error: Exception) -> None:
        """Tell what went wrong elsewhere."""
        self.failed = f"{label}: {_words(error)}"
        self._told()

    def _told(self) -> None:
        # Nobody is left to be told of what goes on after the end.
        if not self._closed.is_set():
            self.changed.send()

    def close(self) -> None:
        """Start nothing any more; what runs is asked to end, and not waited for."""
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)


def _words(error: Exception) -> str:
    from scene3d._errors import Scene3dError

    return str(error) if isinstance(error, Scene3dError) else f"{type(error).__name__}: {error}"
