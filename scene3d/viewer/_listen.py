"""Opening and closing viser's server: at a port that is free, and without what it prints."""

from __future__ import annotations

import contextlib
import errno
import io
import socket
from typing import TYPE_CHECKING

from scene3d._errors import UsageError

if TYPE_CHECKING:
    from viser import ViserServer

__all__ = ["close_server", "free_port", "open_server", "url_of"]

TRIES = 100
LAST_PORT = 65535


def open_server(host: str, port: int, label: str) -> ViserServer:
    """A server at that port, or the next that is free; 0 takes any.

    Raises:
        UsageError: Nobody can listen there.
    """
    from viser import ViserServer

    port = free_port(host, port)
    with contextlib.redirect_stdout(io.StringIO()):  # It prints a frame with its addresses.
        return ViserServer(host=host, port=port, label=label, verbose=False)


def url_of(server: ViserServer) -> str:
    """Where its page is."""
    host = server.get_host()
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{server.get_port()}"


def close_server(server: ViserServer) -> None:
    """End it."""
    with contextlib.redirect_stdout(io.StringIO()):
        server.stop()


def free_port(host: str, port: int) -> int:
    """The first port from this one on that nobody listens at; 0 stays 0.

    Raises:
        UsageError: There is none, or the address is not this machine's.
    """
    if not 0 <= port <= LAST_PORT:
        raise UsageError(f"Found --port {port}; a port is a number from 1 to {LAST_PORT}.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UsageError(f"Found --host {host}, which is no address of this machine. 127.0.0.1 is one.") from error
    for candidate in range(port, min(port + TRIES, LAST_PORT + 1)):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address[0], candidate, *address[2:]))
                return candidate
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                words = error.strerror or str(error)
                raise UsageError(f"Nobody can listen at {host}, port {candidate}: {words}. Choose others.") from error
    raise UsageError(f"The ports {port} to {port + TRIES - 1} are all taken. Choose another --port.")
