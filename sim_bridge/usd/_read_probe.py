"""A first look at a USD file in a process of its own, so that a damaged one cannot take ours with it.

USD is written for files of friends: flipped bytes make it abort, run for minutes or ask for all memory that there is.
The child process gets memory and time in proportion to the file; when it does not come back with an answer, the file
is damaged and ours has not touched it.

    parent  --path, task-->  python -I -m sim_bridge.usd._read_probe  --one line of JSON-->  parent
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from scene3d._errors import FileFormatError

__all__ = ["probe"]

Task = Literal["read", "check"]
MEMORY, MEMORY_PER_BYTE = 3 << 30, 8
"""Address space of the child, and how much more for each byte of the files beside each other [bytes]."""
SECONDS, BYTES_PER_SECOND = 15, 4 << 20
"""Processor time of the child, and how much it may read in each further second."""
WAIT = 8
"""The child may take this many times its processor time on a busy machine."""
MOST_FILES = 2000
"""Files beside the stage that are counted."""


def probe(path: Path, task: Task) -> Any:
    """Have a child process read all of a file.

    Args:
        path: The file.
        task: ``read`` opens the stage and reads every value; ``check`` also looks for what is wrong with it.

    Returns:
        For ``check`` the findings as dictionaries, else None.

    Raises:
        FileFormatError: The file is damaged, whether or not the child came back.
    """
    size = _bytes(path)
    seconds = SECONDS + size // BYTES_PER_SECOND
    limits = [str(MEMORY + MEMORY_PER_BYTE * size), str(seconds)]
    command = [sys.executable, "-I", "-m", "sim_bridge.usd._read_probe", task, *limits, str(path)]
    try:
        ran = subprocess.run(
            command, capture_output=True, timeout=WAIT * seconds, check=False, text=True, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise FileFormatError(f"{path} is not read to its end in {WAIT * seconds} s, so it is damaged.") from error
    try:
        answer = json.loads(ran.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise FileFormatError(
            f"{path} cannot be read as USD (the reader gave up, as it does on damaged files). Export or download it "
            "again."
        ) from error
    if "error" in answer:
        raise FileFormatError(answer["error"])
    return answer.get("findings")


def _bytes(path: Path) -> int:
    """Size of the file and of the USD files that it may bring along: those in its folder and below."""
    beside = islice(path.parent.rglob("*.usd*"), MOST_FILES) if path.suffix.lower() != ".usdz" else [path]
    sizes = {file: file.stat().st_size for file in (path, *beside) if file.is_file()}
    return sum(sizes.values())


def _child(task: str, memory: int, seconds: int, path: Path) -> dict[str, Any]:
    """What the child does and answers."""
    _limit(memory, seconds)
    from sim_bridge.usd._check import findings
    from sim_bridge.usd._read_stage import open_stage, reading

    try:
        if task == "check":
            return {"findings": [asdict(finding) for finding in findings(path)]}
        opened = open_stage(path)
        with reading(path):
            _read_all(opened.stage)
    except FileFormatError as error:
        return {"error": str(error)}
    return {}


def _limit(memory: int, seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has none; there the parent's patience is the limit.
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read_all(stage: Any) -> None:
    """Touch every value that import may touch."""
    from pxr import Usd

    for prim in Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies(Usd.PrimAllPrimsPredicate)):
        prim.GetAllMetadata()
        for attribute in prim.GetAuthoredAttributes():
            attribute.Get()
            if attribute.GetNumTimeSamples():
                attribute.Get(attribute.GetTimeSamples()[0])
        for relationship in prim.GetAuthoredRelationships():
            relationship.GetTargets()


if __name__ == "__main__":
    _, _task, _memory, _seconds, _path = sys.argv
    print(json.dumps(_child(_task, int(_memory), int(_seconds), Path(_path))))
