"""Presets and configuration files: what loads, and what a mistake is answered with."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from scene3d._errors import UsageError
from scene3d.fit import PRESETS, FitConfig, load_config, load_preset


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_presets_load_and_are_ordered_by_effort() -> None:
    configs = [load_preset(name) for name in PRESETS]
    for quick, patient in pairwise(configs):
        assert quick.steps < patient.steps
        assert quick.budget < patient.budget
    assert all(config.seconds is None for config in configs), "a clock would make results vary with the machine"


def test_default_on_a_cpu_is_the_size_that_reports_promise() -> None:
    assert load_preset("default").longest_side == 480


def test_unknown_preset() -> None:
    with pytest.raises(UsageError, match=r"Found preset 'best'; presets are fast, default, high\."):
        load_preset("best")


def test_what_a_file_leaves_out_keeps_its_default(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "steps: 10\nsh_from: [0.1, 0.2, 0.3]\nseconds: 5\n"))
    assert (config.steps, config.sh_from, config.seconds) == (10, (0.1, 0.2, 0.3), 5.0)
    assert config.budget == FitConfig().budget
    assert load_config(write(tmp_path, "# Nothing.\n")) == FitConfig()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("stepz: 10", "unknown field `stepz`"),
        ("steps: many", r"Expected `int`, got `str` - at `\$.steps`"),
        ("steps: 0", r"Expected `int` >= 1 - at `\$.steps`"),
        ("budget: 1000000000000", r"at `\$.budget`"),
        ("sh_degree: 4", r"Expected `int` <= 3 - at `\$.sh_degree`"),
        ("longest_side: 20000", r"at `\$.longest_side`"),
        ("sh_from: [0.1, 2.0, 0.3]", r"at `\$.sh_from\[1\]`"),
        ("sh_from: [0.1]", r"at `\$.sh_from`"),
        ("seconds: -1", r"at `\$.seconds`"),
        ("exposure: 3", r"Expected `bool`, got `int` - at `\$.exposure`"),
        ("- steps", "Expected `object`, got `array`"),
        ("steps: [", "expected the node content"),
    ],
)
def test_mistakes_are_named_with_their_path(tmp_path: Path, text: str, found: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError, match=found) as raised:
        load_config(path)
    assert str(raised.value).startswith(f"In {path}: ")
    assert "Accepted fields are steps, seconds, " in str(raised.value)


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="could not determine a constructor"):
        load_config(write(tmp_path, "steps: !!python/object/apply:os.getpid []"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing.yaml cannot be read .*; give a YAML file\."):
        load_config(tmp_path / "nothing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"binary.yaml cannot be read"):
        load_config(tmp_path / "binary.yaml")
