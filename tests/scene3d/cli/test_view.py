"""`scene3d view` from the command line, without a browser."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scene3d.viewer import Viewer

from ..viewer.small_scenes import save_sliding, sliding, small_scene, write_small_scene
from .conftest import Command


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    return write_small_scene(tmp_path / "desk", small_scene(600))


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[Viewer]:
    """Viewers that were waited for; Ctrl-C comes at once."""
    seen: list[Viewer] = []

    def interrupted(viewer: Viewer) -> None:
        seen.append(viewer)
        raise KeyboardInterrupt

    monkeypatch.setattr(Viewer, "wait", interrupted)
    return seen


def _push(future: int, time: float, poses: Any) -> None:
    poses[2, 0] += 0.1 * time


def test_it_prints_the_address_and_ends_cleanly(desk: Path, command: Command, left: list[Viewer]) -> None:
    save_sliding(desk, *sliding(small_scene(600), _push, seconds=0.2), deeds=["push mug,1,0,0"])
    before = signal.getsignal(signal.SIGTERM)
    done = command("view", desk, "--port", "0")
    assert (done.code, done.err) == (0, "")
    port = left[0].server.get_port()
    lines = [line.split(maxsplit=1) for line in done.out.splitlines() if line.strip()]
    assert lines == [
        ["desk"],
        ["rollouts", "001"],
        ["stop", "Ctrl-C"],
        ["next", f"open http://127.0.0.1:{port}"],
    ]
    assert signal.getsignal(signal.SIGTERM) is before
    assert not left[0]._thread.is_alive()


def test_the_document(desk: Path, command: Command, left: list[Viewer]) -> None:
    done = command("view", desk, "--port", "0", "--json")
    document = json.loads(done.out)
    assert document == {"scene": str(desk), "url": left[0].url, "rollouts": []}


def test_a_damaged_scene_ends_with_a_sentence(desk: Path, command: Command, left: list[Viewer]) -> None:
    splats = desk / "objects" / "box" / "splat.ply"
    whole = splats.read_bytes()
    splats.write_bytes(whole[:-40])
    done = command("view", desk, "--port", "0")
    assert (done.code, done.out) == (1, "")
    assert "It is cut off or its header lies" in done.err
    # What a glance does not see is found after the address was printed, which then leads nowhere.
    splats.write_bytes(whole[:-4] + np.float32(np.nan).tobytes())
    done = command("view", desk, "--port", "0", "--json")
    assert done.code == 1
    assert "hold NaN" in done.err
    host, port = json.loads(done.out)["url"].removeprefix("http://").split(":")
    with socket.socket() as probe:
        assert probe.connect_ex((host, int(port))) != 0
    (desk / "scene.yaml").unlink()
    done = command("view", desk)
    assert (done.code, done.out) == (1, "")
    assert "is not a scene folder" in done.err
    assert not left


def test_what_cannot_be_shown(desk: Path, command: Command, left: list[Viewer]) -> None:
    done = command("view", desk, "--rollout", "009")
    assert done.code == 2
    assert "There is no rollout '009'" in done.err
    done = command("view", desk, "--seconds", "2")
    assert done.code == 2
    assert "--seconds goes with --export FILE.html" in done.err
    done = command("view", desk, "--export", "a.html", "--rollout", "1", "--rollout", "2")
    assert done.code == 2
    assert "A file plays one rollout, found 2" in done.err
    assert not left
