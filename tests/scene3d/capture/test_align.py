"""Alignment: what is known stays, what is not is measured and told, and the way back is remembered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from scene3d import Scene3dError
from scene3d.capture import Capture, read_capture, triangulate
from scene3d.capture._align import align, parse_up, smallest_rotation
from scene3d.capture._similarity import Similarity, transform_capture

S = Similarity(0.25, Rotation.from_rotvec([0.5, -0.4, 0.3]).as_matrix(), np.array([1.0, -2.0, 0.5]))
"""What the capture is put through; aligning has to undo its scale and its tilt."""


@pytest.fixture(scope="module")
def known(tabletop: Path) -> Capture:
    """Twenty photos of the demo capture, which knows its scale and its up, with points."""
    capture = read_capture(tabletop)
    capture = replace(capture, views=capture.views[::3], up=(0.0, 0.0, 1.0))
    return replace(capture, points=triangulate(capture, longest_side=320))


@pytest.fixture(scope="module")
def lost(known: Capture) -> Capture:
    """The same in another world, without scale, up or depth."""
    views = tuple(replace(view, depth=None) for view in known.views)
    blank = replace(known, views=views, metric=False, scale_source="", up=None, notes=())
    return replace(transform_capture(blank, S), up=None, T_world_source=None)


def tilt(capture: Capture, truth: Capture) -> float:
    """Angle [deg] between the up of a capture and the true one, by its first camera."""
    R = [c.views[0].camera.T_world_cam[:3, :3].double().numpy() for c in (capture, truth)]
    return float(np.degrees(np.linalg.norm((R[0] @ R[1].T)[:2, 2])))


def span(capture: Capture) -> float:
    """Distance between two cameras."""
    places = [view.camera.position.double() for view in capture.views]
    return float((places[0] - places[9]).norm())


def test_known_capture_is_returned_as_it_is(known: Capture) -> None:
    complete = replace(known, scale_source="capture")
    assert align(complete) is complete


def test_gravity_is_found_and_told(lost: Capture, known: Capture) -> None:
    found = align(lost)
    assert tilt(found, known) < 0.1
    assert found.up == (0.0, 0.0, 1.0)
    assert not found.metric
    assert found.scale_source == ""
    assert span(found) == pytest.approx(span(lost), rel=1e-5)
    assert any("support plane" in note for note in found.notes)
    assert any("units of the capture" in note for note in found.notes)
    assert found.T_world_source is not None
    back = Similarity.of_matrix(found.T_world_source).inverse()
    assert np.allclose(back.camera(found.views[3].camera).T_world_cam, lost.views[3].camera.T_world_cam, atol=1e-5)
    assert found.points is not None
    assert lost.points is not None
    assert np.allclose(back.points(found.points.points), lost.points.points, atol=1e-4)


def test_origin_stays(lost: Capture) -> None:
    matrix = np.array(align(lost, up="-y").T_world_source)
    assert (matrix[:3, 3] == 0).all()


def test_scale_from_depth(lost: Capture, known: Capture) -> None:
    views = tuple(replace(view, depth=k.depth) for view, k in zip(lost.views, known.views, strict=True))
    found = align(replace(lost, views=views))
    assert found.metric
    assert found.scale_source == "depth"
    assert span(found) == pytest.approx(span(known), rel=0.003)
    assert any(note.startswith("Scale from depth") and "give or take" in note for note in found.notes)
    assert found.views[0].depth == known.views[0].depth


def test_scale_from_markers_goes_before_depth(lost: Capture, known: Capture) -> None:
    views = tuple(replace(view, depth=k.depth) for view, k in zip(lost.views, known.views, strict=True))
    found = align(replace(lost, views=views), marker_size=0.08)
    assert found.scale_source == "markers"
    assert span(found) == pytest.approx(span(known), rel=0.01)
    wrong = align(replace(lost, views=views), marker_size=0.16)
    assert any("check the size of the markers" in note for note in wrong.notes)


def test_scale_of_a_metric_capture_is_kept(known: Capture) -> None:
    found = align(known, marker_size=0.16)
    assert span(found) == span(known)
    assert any(note.startswith("The markers say") and "which were kept" in note for note in found.notes)
    off = tuple(
        view if view.depth is None else replace(view, depth=replace(view.depth, unit=0.9 * view.depth.unit))
        for view in known.views
    )
    assert any(
        note.startswith("Sensor depth says that lengths are 0.") for note in align(replace(known, views=off)).notes
    )


def test_up_that_the_user_gives_goes_first(lost: Capture, known: Capture) -> None:
    x, y, z = S.R @ [0.0, 0.0, 1.0]
    assert tilt(align(lost, up=(float(x), float(y), float(z))), known) < 1e-3
    turned = align(known, up="-x")
    assert np.allclose(turned.views[0].camera.T_world_cam[2, :3], -known.views[0].camera.T_world_cam[0, :3], atol=1e-6)
    assert any("90 degrees from what the capture says" in note for note in turned.notes)
    kept = align(lost, up="keep")
    assert kept.views == lost.views
    assert kept.up is None


def test_points_are_made_when_they_are_needed(lost: Capture) -> None:
    bare = replace(lost, points=None, views=lost.views[::2])
    assert align(bare, up="z").points is None
    made = align(bare)
    assert made.points is not None
    assert len(made.points.points) > 300
    assert abs(np.median(made.points.points[:, 2]) - (S.t @ S.R @ [0, 0, 1])) < 0.01


@pytest.mark.parametrize(
    ("text", "up"),
    [
        ("z", (0, 0, 1)),
        ("-Y", (0, -1, 0)),
        (" +x ", (1, 0, 0)),
        ("0,-2,0", (0, -1, 0)),
        ("auto", "auto"),
        ("keep", "keep"),
    ],
)
def test_parse_up(text: str, up: object) -> None:
    assert parse_up(text) == up


@pytest.mark.parametrize("text", ["", "w", "--z", "1,2", "0,0,0", "1,nan,0", "up", "xz"])
def test_parse_up_refuses(text: str) -> None:
    with pytest.raises(Scene3dError, match="it takes the axis that points up"):
        parse_up(text)


@given(*[st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1)] * 2)
def test_smallest_rotation(a: tuple[float, float, float], b: tuple[float, float, float]) -> None:
    R = smallest_rotation(a, b)
    u, v = np.array(a) / np.linalg.norm(a), np.array(b) / np.linalg.norm(b)
    assert np.allclose(R @ R.T, np.eye(3), atol=1e-7)
    assert np.linalg.det(R) > 0
    assert np.allclose(R @ u, v, atol=1e-7)
    angle = np.arccos(np.clip((np.trace(R) - 1) / 2, -1, 1))
    assert angle == pytest.approx(np.arccos(np.clip(u @ v, -1, 1)), abs=1e-5)


def test_half_a_turn() -> None:
    assert np.allclose(smallest_rotation((0, 0, -1), (0, 0, 1)) @ [0, 0, -1], [0, 0, 1])
