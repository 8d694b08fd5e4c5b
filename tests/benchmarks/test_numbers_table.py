"""README's table says what results.json says, and results.json what the benchmarks wrote."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent
README = HERE.parents[1] / "README.md"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module beside this file; tests are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("_benchmark_table", HERE / "_table.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.syspath_prepend(HERE)  # For the rows of motion, which it imports from beside it.
    spec.loader.exec_module(module)
    return module


def test_the_readme_agrees_with_the_results(table: ModuleType) -> None:
    results = json.loads((HERE / "results.json").read_text(encoding="utf-8"))
    found = table.region(README.read_text(encoding="utf-8"))
    assert found == table.render_table(results), "run `make numbers`, or make_numbers.py --only table"


def test_replacing_the_table_leaves_the_rest(table: ModuleType) -> None:
    readme = README.read_text(encoding="utf-8")
    changed = table.replace_region(readme, "| other |")
    assert table.region(changed) == "| other |"
    assert table.replace_region(changed, table.region(readme)) == readme


def test_rows_without_a_measurement_are_left_out(table: ModuleType) -> None:
    machine = {"cpu": "A", "cores": 2, "isa": "avx2", "torch": "2", "date": "2030-01-01", "commit": "abc"}
    run = {"held_out": 7, "width": 270, "height": 480, "psnr": 31.254, "seconds": 60.0, "peak_mib": 1024}
    results = {"machine": machine, "reconstruct": {"runs": {"fox-60": {**run, "command": "scene3d reconstruct fox"}}}}
    lines = table.render_table(results).splitlines()
    assert len([line for line in lines if line.startswith("|")]) == 2 + 2
    assert "31.25 dB" in lines[2]
    assert "1.00 GiB" in lines[3]
    assert "commit abc" in lines[5]
    assert table.render_table({}) == table.NOTHING
