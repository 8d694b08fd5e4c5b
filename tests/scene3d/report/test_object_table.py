"""Rows of the objects' table: sizes against turned boxes, masses against their priors, and what is printed."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dynamics import TriangleMesh, body_from_mesh, load_materials
from scene3d import Gaussians, Scene
from scene3d._scene_object import SceneObject
from scene3d.cli._terminal import Terminal
from scene3d.report._object_table import mass_in_words, object_rows, print_object_table, size_in_words

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
FACES = np.array([face for a, b, c, d in QUADS for face in ((a, b, c), (a, c, d))], dtype=np.int32)


def box(sides: tuple[float, float, float]) -> TriangleMesh:
    """A box on the ground whose frame is in the middle of its underside."""
    return TriangleMesh((CORNERS - [0.5, 0.5, 0]) * sides, FACES)


def thing(
    name: str = "box", sides: tuple[float, float, float] = (0.2, 0.1, 0.3), yaw: float = 0.0, **values: object
) -> SceneObject:
    body = body_from_mesh(name, box(sides), load_materials()["unknown"])
    pose = (0.4, -0.2, 0.0, math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
    return SceneObject(body, pose, **values)  # type: ignore[arg-type]


def scene(*things: SceneObject, metric: bool = True) -> Scene:
    """Three splats of background, and one more for each object than for the one before it."""
    component = torch.cat([torch.full((3 if i == 0 else i,), i) for i in range(len(things) + 1)])
    points = torch.zeros(len(component), 3)
    splats = replace(Gaussians.from_points(points, points, sigma=0.01), component_index=component.int())
    return Scene(splats, metric=metric, objects=things)


@given(
    st.tuples(*[st.floats(0.01, 2.0)] * 3),
    st.floats(-math.pi, math.pi),
)
def test_size_is_that_of_the_box_however_it_is_turned(sides: tuple[float, float, float], yaw: float) -> None:
    (row,) = object_rows(scene(thing(sides=sides, yaw=yaw)))
    expected = [100 * max(sides[:2]), 100 * min(sides[:2]), 100 * sides[2]]
    assert np.allclose(row["size_cm"], expected, atol=0.011)
    assert row["volume"] == pytest.approx(math.prod(sides), rel=1e-4)


def test_up_is_the_scenes() -> None:
    lying = replace(scene(thing()), up=(1.0, 0.0, 0.0))
    assert object_rows(lying)[0]["size_cm"] == [30.0, 10.0, 20.0]


def test_mass_is_as_unsure_as_the_material() -> None:
    material = load_materials()["unknown"]
    (row,) = object_rows(scene(thing()))
    assert row["mass"] == pytest.approx(material.density * 0.006, rel=1e-4)
    assert row["mass_high"] / row["mass"] == pytest.approx(math.exp(1.6449 * material.density_log_std), rel=1e-3)
    assert row["mass"] / row["mass_low"] == pytest.approx(row["mass_high"] / row["mass"], rel=1e-3)
    draws = np.random.default_rng(0).lognormal(math.log(row["mass"]), material.density_log_std, 200_000)
    assert ((draws > row["mass_low"]) & (draws < row["mass_high"])).mean() == pytest.approx(0.9, abs=0.005)


def test_a_known_mass_has_no_interval() -> None:
    weighed = thing()
    weighed = replace(weighed, body=weighed.body.with_mass(0.35))
    (row,) = object_rows(scene(weighed))
    assert (row["mass"], row["mass_low"], row["mass_high"]) == (0.35, 0.35, 0.35)
    assert mass_in_words(row) == "350 g"


@pytest.mark.parametrize(
    ("masses", "words"),
    [
        ((0.0465, 0.0066, 0.33), "46 g (6.6 to 330 g)"),
        ((0.46, 0.065, 3.24), "460 g (65 g to 3.2 kg)"),
        ((1.0, 1.0, 1.0), "1 kg"),
        ((0.3456, 0.3456, 0.3456), "346 g"),
        ((12.4, 3.0, 50.2), "12 kg (3.0 to 50 kg)"),
        ((0.00012, 0.00012, 0.00012), "0.12 g"),
    ],
)
def test_masses_in_words(masses: tuple[float, float, float], words: str) -> None:
    assert mass_in_words(dict(zip(("mass", "mass_low", "mass_high"), masses, strict=True))) == words


def test_counts_flags_and_unseen_faces() -> None:
    unseen = np.zeros(12, dtype=bool)
    unseen[8:10] = True  # The underside.
    first = thing("a", confidence=0.87654, guessed=("mass", "underside"), unseen=unseen)
    rows = object_rows(scene(first, thing("b", kind="deformable")))
    assert [row["splats"] for row in rows] == [1, 2]
    assert [row["kind"] for row in rows] == ["rigid", "deformable"]
    assert rows[0]["guessed"] == ["mass", "underside"]
    assert rows[0]["confidence"] == 0.8765
    areas = [0.2 * 0.1, 0.2 * 0.3, 0.1 * 0.3]
    assert rows[0]["unseen"] in [pytest.approx(area / (2 * sum(areas)), abs=1e-4) for area in areas]
    assert rows[1]["unseen"] == 0
    assert np.allclose(rows[0]["com"], [0, 0, 0.15])


def test_without_metric_scale_there_is_no_mass() -> None:
    (row,) = object_rows(scene(thing(), metric=False))
    assert [row[name] for name in ("size_cm", "mass", "mass_low", "mass_high", "volume")] == [None] * 5
    assert np.allclose(row["size"], [0.2, 0.1, 0.3])
    assert size_in_words(row) == "0.2 x 0.1 x 0.3 units"
    assert mass_in_words(row) == "unknown"


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_object_table(Terminal(), scene(thing("tea box", guessed=("mass",)), thing("茶", kind="deformable")))
    out, err = capsys.readouterr()
    lines = [line for line in out.splitlines() if line]
    assert lines[0].split() == [*"name kind size mass (90 %) material splats confidence guessed".split()]
    assert lines[1].startswith("  tea box  rigid       20.0 x 10.0 x 30.0 cm  ")
    assert lines[2].startswith("  茶       deformable  20.0 x 10.0 x 30.0 cm  ")  # Two columns wide.
    assert lines[1].endswith("1.00  mass")
    assert "--material" in err
    assert not any(line.endswith(" ") for line in lines)


def test_what_is_printed_without_scale(capsys: pytest.CaptureFixture[str]) -> None:
    print_object_table(Terminal(), scene(thing(), metric=False))
    out, err = capsys.readouterr()
    assert "0.2 x 0.1 x 0.3 units" in out
    assert "scene3d scale" in err


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    made = scene(thing("a"), thing("b"))
    print_object_table(Terminal(json=True), made)
    out, err = capsys.readouterr()
    assert json.loads(out) == object_rows(made)
    assert err == ""


def test_quiet_and_empty(capsys: pytest.CaptureFixture[str]) -> None:
    print_object_table(Terminal(quiet=True), scene(thing()))
    assert capsys.readouterr() == ("", "")
    print_object_table(Terminal(), scene())
    assert "no objects" in capsys.readouterr().out


def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = thing()
    object.__setattr__(hostile.body, "name", "\x1b[2J[bold]mug\n")
    print_object_table(Terminal(), scene(hostile))
    assert "  ?[2J[bold]mug?  rigid" in capsys.readouterr().out
