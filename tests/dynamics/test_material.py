"""Materials: what the presets say, and what a file may not say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from dynamics import find_material, load_materials
from dynamics._errors import UsageError

GOOD = "{density: 500, density_log_std: 0.1, friction: 0.4, friction_log_std: 0.2, restitution: 0.3}"


def test_unknown_covers_plush_and_stoneware() -> None:
    unknown = load_materials()["unknown"]
    low, high = unknown.density * np.exp(unknown.density_log_std * norm.ppf([0.05, 0.95]))
    assert low == pytest.approx(50, rel=0.05)
    assert high == pytest.approx(2500, rel=0.05)
    assert next(iter(load_materials())) == "unknown"


def test_presets_know_the_things_of_a_table() -> None:
    presets = load_materials()
    assert len(presets) >= 30
    assert all(name == material.name for name, material in presets.items())
    for soft in ("plush", "foam", "cotton-rope", "cloth"):
        assert presets[soft].youngs_modulus
    for hard in ("steel", "glass", "stoneware"):
        assert presets[hard].youngs_modulus is None
    assert presets["steel"].density > presets["glass"].density > presets["wood"].density > presets["foam"].density
    assert presets["rubber"].friction > presets["steel"].friction


@pytest.mark.parametrize("name", ["cotton-rope", "Cotton Rope", "cotton_rope", "  COTTON  rope "])
def test_names_are_found_however_written(name: str) -> None:
    assert find_material(name).name == "cotton-rope"


@pytest.mark.parametrize(("name", "close"), [("steal", "steel"), ("cermic", "ceramic"), ("", None), ("%x", None)])
def test_an_unknown_name_lists_what_there_is(name: str, close: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        find_material(name)
    assert "stoneware, porcelain" in str(caught.value)
    assert (f"Did you mean {close!r}" in str(caught.value)) == (close is not None)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"my-jelly: {GOOD}\n")
    (jelly,) = load_materials(path).values()
    assert (jelly.name, jelly.density, jelly.poisson_ratio) == ("my-jelly", 500.0, 0.3)
    assert find_material("my jelly", load_materials(path)) == jelly


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"x: {GOOD[:-1]}, colour: red}}", "colour"),
        (f"x: {GOOD.replace('500', '-5')}", "density"),
        (f"x: {GOOD.replace('500', '.nan')}", "density"),
        (f"x: {GOOD.replace('0.3', '1.3')}", "restitution"),
        (f"x: {GOOD.replace('500', 'heavy')}", "density"),
        ("x: {density: 5}", "missing"),
        (f"'../x': {GOOD}", "regex"),
        ("- a\n- b", "object"),
        ("x: !!python/object/apply:os.system [ls]", "python"),
        ("x: [", "expected"),
        ("x: " + "[" * 5000, "."),
    ],
)
def test_wrong_files_are_one_message(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "materials.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_materials(path)


def test_a_file_that_is_not_there_or_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_materials(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        load_materials(tmp_path / "binary.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(UsageError, match="larger than"):
        load_materials(tmp_path / "large.yaml")
