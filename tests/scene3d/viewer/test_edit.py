"""Edits without a page: only what was said is changed, and a ray meets what is shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scene3d import Scene, load_scene
from scene3d._errors import SegmentError, UsageError
from scene3d.report._moment import Moment
from scene3d.viewer import Session
from scene3d.viewer._edit_change import apply, kept_tracks, said_of
from scene3d.viewer._edit_click import where_ray_meets
from scene3d.viewer._picture_moment import moment_of


@pytest.fixture
def desk(small_scene: Path) -> Scene:
    """A red box, a green can and a blue mug."""
    return load_scene(small_scene)


def test_only_what_was_said_is_changed(desk: Scene) -> None:
    shown = said_of(desk, 1)
    changed, words = apply(desk, "can", replace(shown, mass=0.5), shown)
    assert changed.objects[1].body.mass == pytest.approx(0.5) and "mass" not in changed.objects[1].guessed
    assert changed.objects[1].body.material == desk.objects[1].body.material
    assert words == "can is 0.5 kg, weighed now." and kept_tracks(desk, changed)
    renamed, _ = apply(desk, "can", replace(shown, name=" tin "), shown)
    assert renamed.objects[1].name == "tin" and not kept_tracks(desk, renamed)
    assert renamed.objects[1].body.mass == desk.objects[1].body.mass, "the form rounds, the scene does not"
    with pytest.raises(UsageError, match="Nothing of can"):
        apply(desk, "can", shown, shown)
    with pytest.raises(UsageError, match="above zero"):
        apply(desk, "can", replace(shown, mass=0.0), shown)
    with pytest.raises(UsageError, match="no object 'vase'"):
        apply(desk, "vase", replace(shown, mass=1.0), shown)


def test_a_ray_meets_what_is_shown_now(small_scene: Path, desk: Scene) -> None:
    eye = np.array([0.0, -0.6, 0.35])

    def met(moment: Moment, target: tuple[float, float, float]) -> tuple[int, np.ndarray]:
        found = where_ray_meets(moment, eye, np.array(target) - eye)
        return found.component, found.point

    session = Session(small_scene, desk, None)
    component, point = met(moment_of(session), (0.0, 0.1 - 0.033, 0.07))
    assert component == 2 and np.abs(point - (0.0, 0.067, 0.07)).max() < 0.006
    component, point = met(moment_of(session), (0.05, -0.15, 0.0))
    assert component == 0 and np.abs(point - (0.05, -0.15, 0.0)).max() < 0.006
    with pytest.raises(SegmentError, match="Nothing is shown there"):
        met(moment_of(session), (0.0, 0.0, 2.0))
    # The can was put elsewhere: the ray meets the table behind it.
    pose = session.poses()[1]
    pose[0] += 0.25
    session.put(1, pose)
    assert met(moment_of(session), (0.0, 0.067, 0.07))[0] == 0
