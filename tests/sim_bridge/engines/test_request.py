"""Workers that hang, fail, lack their engine or answer nonsense."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sim_bridge.engines._request import EngineAbsentError, EngineError, ask


def asked(tmp_path: Path, script: str, *, seconds: float = 30.0) -> dict[str, Any]:
    worker = tmp_path / "worker.py"
    worker.write_text(script, encoding="utf-8")
    return ask(Path(sys.executable), worker, {"engine": "physx"}, seconds=seconds)


def ended(process: int) -> bool:
    """Whether a process is gone, or waits for nothing but its parent to notice; it gets a while for that."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[-1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_worker_reads_the_request_and_writes_the_answer(tmp_path: Path) -> None:
    script = "import json, sys\njson.dump(json.load(open(sys.argv[1])), open(sys.argv[2], 'w'))"
    assert asked(tmp_path, script) == {"engine": "physx"}


def test_a_worker_is_alone_with_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    script = "import json, sys\njson.dump(sys.path, open(sys.argv[2], 'w'))"
    assert "/elsewhere" not in asked(tmp_path, script)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells in /proc which processes live")
def test_a_worker_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    script = (
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(tmp_path / 'child')!r}).write_text(str(child.pid))\n"
        "print('stepping', flush=True)\ntime.sleep(600)"
    )
    with pytest.raises(EngineError, match=r"physx was ended after 2 s. It last said:\nstepping"):
        asked(tmp_path, script, seconds=2.0)
    assert ended(int((tmp_path / "child").read_text()))


def test_a_worker_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"exit status 1. It last said:\n(.*\n)*.*ValueError: no such collider"):
        asked(tmp_path, "raise ValueError('no such collider')")


def test_a_worker_without_its_engine_is_absent(tmp_path: Path) -> None:
    with pytest.raises(EngineAbsentError, match="No module named 'ovphysx'"):
        asked(tmp_path, "import sys\nsys.exit(print(\"No module named 'ovphysx'\", file=sys.stderr) or 3)")


@pytest.mark.parametrize("script", ["", "import sys\nopen(sys.argv[2], 'w').write('{')"])
def test_an_answer_that_is_none_is_an_error(tmp_path: Path, script: str) -> None:
    with pytest.raises(EngineError):
        asked(tmp_path, script)


def test_an_interpreter_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be started"):
        ask(tmp_path, tmp_path / "worker.py", {"engine": "physx"}, seconds=1)
