"""A focal length that the photos contradict is found; one that they confirm is left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scene3d.capture import Capture, View, read_capture, with_photo_focal
from scene3d.capture._photo_focal import fit_focal


def stated(view: View, factor: float) -> View:
    """The view with another focal length than it has."""
    K = view.camera.K.clone()
    K[0, 0] *= factor
    K[1, 1] *= factor
    return replace(view, camera=replace(view.camera, K=K))


@pytest.fixture(scope="module")
def tabletop_views(repository: Path) -> tuple[View, ...]:
    return tuple(replace(view, depth=None) for view in read_capture(repository / "assets/tabletop").views[::2])


@pytest.mark.parametrize("wrong", [1.0, 1.12, 0.85])
def test_the_photos_focal_length_is_found(tabletop_views: tuple[View, ...], wrong: float) -> None:
    fit = fit_focal([stated(view, wrong) for view in tabletop_views])
    assert fit.factor * wrong == pytest.approx(1.0, abs=0.012)
    assert fit.differs == (wrong != 1.0)
    assert fit.error < 0.5 and fit.matches > 1000


def test_photos_are_resampled_onto_the_camera_of_the_poses(tabletop_views: tuple[View, ...], tmp_path: Path) -> None:
    lying = Capture(tmp_path, tuple(stated(view, 1.12) for view in tabletop_views))
    put_right = with_photo_focal(lying)
    (note,) = put_right.notes
    assert "photos have a focal length of" in note and "not the stated 582 px" in note
    view, truth = put_right.views[3], tabletop_views[3]
    assert view.camera is lying.views[3].camera and view.resampled
    photo, original = view.load(), truth.load()
    # A longer lens sees the middle of the same picture.
    ours = photo.rgb[120:360, 160:480].astype(float)
    rows, columns = (np.arange(120, 360) - 239.5) / 1.12 + 239.5, (np.arange(160, 480) - 319.5) / 1.12 + 319.5
    theirs = original.rgb[np.ix_(rows.round().astype(int), columns.round().astype(int))].astype(float)
    assert photo.valid.all()
    assert np.abs(ours - theirs).mean() < 6 < np.abs(ours - original.rgb[120:360, 160:480]).mean()


def test_what_cannot_be_judged_is_left_alone(tabletop_views: tuple[View, ...], tmp_path: Path) -> None:
    few = Capture(tmp_path, tabletop_views[:1])
    assert with_photo_focal(few) is few
    mixed = Capture(tmp_path, (*tabletop_views[:3], stated(tabletop_views[3], 1.5)))
    assert with_photo_focal(mixed) is mixed


@pytest.mark.data
def test_redkitchen_was_photographed_through_another_lens_than_its_depth(needs: Callable[[str], Path]) -> None:
    capture = read_capture(needs("redkitchen"))
    fit = fit_focal(capture.views[::3])
    assert fit.differs
    assert 505 < 585 * fit.factor < 540
