"""Ports that are taken, and addresses that are not this machine's."""

from __future__ import annotations

import socket

import pytest

from scene3d._errors import UsageError
from scene3d.viewer._listen import free_port


def test_the_next_free_port_is_taken() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert free_port("127.0.0.1", port) > port
    assert free_port("127.0.0.1", 0) == 0


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("127.0.0.1", 70000, "a port is a number from 1 to 65535"),
        ("127.0.0.1", -1, "a port is a number from 1 to 65535"),
        ("no such host!", 8080, "which is no address of this machine"),
        ("192.0.2.1", 8080, "Nobody can listen at 192.0.2.1"),
    ],
)
def test_where_nobody_can_listen(host: str, port: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        free_port(host, port)
