"""`scene3d check`: the table of findings, the JSON document, the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scene3d import Scene
from scene3d._errors import FileFormatError
from sim_bridge.cli.check import SHOWN, Check
from sim_bridge.usd import Finding, export_usd


def _run(capsys: pytest.CaptureFixture[str], check: Check) -> tuple[int, str]:
    code = check.run()
    return code, capsys.readouterr().out


def _given(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    monkeypatch.setattr("sim_bridge.usd.check_usd", lambda path: findings)


def _finding(severity: str = "error", rule: str = "mass", prim: str = "/World/mug") -> Finding:
    return Finding(severity, rule, prim, "The mass is -1 kg.", "Give a mass above zero.")  # type: ignore[arg-type]


def test_a_sound_file(tiny_scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = export_usd(tiny_scene, tmp_path / "tiny.usdc").path
    code, out = _run(capsys, Check(path))
    assert code == 0
    assert "verdict  nothing wrong was found" in out
    code, out = _run(capsys, Check(path, json=True))
    assert json.loads(out) == {"path": str(path), "errors": 0, "warnings": 0, "findings": []}


def test_findings_come_with_a_hint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _given(monkeypatch, _finding(), _finding("warning", "ground"))
    code, out = _run(capsys, Check(Path("a.usdc")))
    assert code == 1
    rows = [line.strip() for line in out.splitlines() if line.strip()]
    assert rows[:5] == [
        "a.usdc",
        "verdict  1 error, 1 warning",
        "error    mass  /World/mug",
        "found    The mass is -1 kg.",
        "fix      Give a mass above zero.",
    ]
    assert _run(capsys, Check(Path("a.usdc"), quiet=True)) == (1, "")


def test_warnings_alone_are_no_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _given(monkeypatch, _finding("warning", "ground"))
    code, out = _run(capsys, Check(Path("a.usdc")))
    assert (code, "no errors, 1 warning" in out) == (0, True)


def test_many_findings_of_a_kind(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _given(monkeypatch, *(_finding(prim=f"/World/x{number}") for number in range(9)))
    _, out = _run(capsys, Check(Path("a.usdc")))
    assert out.count("/World/x") == SHOWN
    assert "4 of the same kind; --json lists all" in out
    _, out = _run(capsys, Check(Path("a.usdc"), json=True))
    document = json.loads(out)
    assert (document["errors"], len(document["findings"])) == (9, 9)
    assert document["findings"][3] == {
        "severity": "error",
        "rule": "mass",
        "prim": "/World/x3",
        "message": "The mass is -1 kg.",
        "hint": "Give a mass above zero.",
    }


def test_a_damaged_file_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "a.usdc").write_bytes(b"PXR-USDC" + bytes(100))
    with pytest.raises(FileFormatError, match=r"a\.usdc cannot be read as USD"):
        Check(tmp_path / "a.usdc").run()
