"""Splats wait, hidden, until the first page has got them ready: then its first picture is whole and in order.

A page draws splats as soon as it has them, in no order, and again when they are sorted. Where WebGL runs in software,
each of these pictures takes a second or two, and what else the page has to set up waits behind them. Hidden splats
cost nothing to draw and are sorted all the same. A page says where its camera is when it has taken what it was sent,
and once more when it has time again; soon after that it has sorted.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from viser import ViserServer

    from scene3d.viewer._body_nodes import BodyNodes
    from scene3d.viewer._session import Session

__all__ = ["FirstPicture"]

SORTING = 0.5
"""From its last word on until splats are in order and have grown to their size, for which a page takes as long [s]."""
SAME_WORD = 0.01
"""What comes so soon after a page is the word that it came with, for pages wait twice as long between two [s]."""
PATIENCE = 3.0
"""A page that says nothing shows them all the same [s]."""


class FirstPicture:
    """Shows splats once a page that is there, or the first that comes, has sorted them.

    The camera is to be set after this, for that is what makes a page speak that has been there for a while.
    """

    def __init__(self, session: Session, server: ViserServer, nodes: BodyNodes) -> None:
        self._session, self._nodes = session, nodes
        self._timers: list[threading.Timer] = []
        self._over = False
        self._came, self._shown = threading.Event(), threading.Event()
        session.closed.connect(self._end)
        self._follow(server)

    def wait(self, coming: float) -> None:
        """Until it is shown, or nobody has come to see it for so long [s].

        What a page is given meanwhile, be it panels, it would set up first.
        """
        if self._came.wait(coming):
            self._shown.wait(PATIENCE)

    def _follow(self, server: ViserServer) -> None:
        early = set(server.get_clients())

        @server.on_client_connect
        def _(client: Any) -> None:
            # By connecting a page has spoken once, but one that was there before had not taken the splats then.
            missing, begin = [2 if client.client_id in early else 1], time.monotonic()

            def spoke(_: object) -> None:
                if time.monotonic() - begin < SAME_WORD:
                    return
                missing[0] -= 1
                if missing[0] == 0:
                    self._later(SORTING)

            self._came.set()
            if not self._over:
                self._later(PATIENCE)
                client.camera.on_update(spoke)

    def _later(self, seconds: float) -> None:
        with self._session.lock:
            if self._over:
                return
            timer = threading.Timer(seconds, self._show)
            timer.daemon = True
            self._timers.append(timer)
            timer.start()

    def _show(self) -> None:
        with self._session.lock:
            if not self._over:
                self._nodes.unveil()
                self._end()

    def _end(self) -> None:
        # Under the lock, so that nothing is sent any more when the viewer goes on to close its server.
        with self._session.lock:
            self._over = True
            self._shown.set()
            for timer in self._timers:
                timer.cancel()
