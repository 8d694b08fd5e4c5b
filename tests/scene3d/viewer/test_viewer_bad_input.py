"""What may go wrong around a viewer, and what is left of it: pages that go, scenes that change, too many splats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scene3d import load_scene
from scene3d._errors import UsageError
from scene3d._scene_world import scene_world

from .small_scenes import save_sliding, sliding, write_small_scene
from .small_scenes import small_scene as desk


def _broken(future: int, time: float, poses: Any) -> None:
    poses[2, 0] += 0.1 * time
    if future == 1 and time > 0.5:
        poses[2, :3] = float("nan")


def test_a_browser_that_leaves_in_mid_drag(small_scene: Path, view: Any, open_page: Any, wait_until: Any) -> None:
    world, rollout = sliding(load_scene(small_scene), _broken)
    viewer = view(small_scene, rollouts=[save_sliding(small_scene, world, rollout)])
    page = open_page(viewer.url, 480, 360)
    stays = open_page(viewer.url, 320, 240)
    viewer.session.set_clock(playing=True)
    for x, y in ((120, 200), (420, 170)):
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 15, y + 10, steps=3)
    page.close()
    wait_until(stays, lambda: len(viewer.server.get_clients()) == 1, "the page to be gone")
    viewer.session.seek(0.3)
    viewer.session.set_clock(playing=True)
    before = viewer.session.clock.time
    wait_until(stays, lambda: viewer.session.clock.time != before, "time to go on")
    assert viewer._thread.is_alive()
    assert viewer.session.jobs.failed == ""


def test_a_body_that_is_deleted_while_it_is_selected(small_scene: Path, view: Any, open_page: Any, settle: Any) -> None:
    viewer = view(small_scene)
    page = open_page(viewer.url, 480, 360)
    session = viewer.session
    session.select(0)
    before = settle(page).astype(int)
    kept = session.scene.splats.component_index != 1
    splats = session.scene.splats[kept]
    splats = replace(splats, component_index=(splats.component_index - (splats.component_index > 1).int()).int())
    smaller = replace(session.scene, splats=splats, objects=session.scene.objects[1:])
    session.replace_scene(smaller, scene_world(smaller))
    after = settle(page).astype(int)
    assert session.selected is None
    assert [handle.name for handle in viewer.nodes.frames] == ["/bodies/can", "/bodies/mug"]
    red = [int(((p[..., 0] > 130) & (p[..., 1] < 80) & (p[..., 2] < 80)).sum()) for p in (before, after)]
    assert red[0] > 300
    assert red[1] < 0.05 * red[0]


def test_a_state_that_is_no_number_is_flagged_and_not_drawn(
    small_scene: Path, view: Any, open_page: Any, settle: Any
) -> None:
    world, rollout = sliding(load_scene(small_scene), _broken, futures=2)
    viewer = view(small_scene, rollouts=[save_sliding(small_scene, world, rollout)])
    assert viewer.notes == ("1 of 2 futures of rollout 001 hold what is no number.",)
    viewer.session.seek(0.9)
    page = open_page(viewer.url, 480, 360)
    assert page.get_by_text("1 of 2 futures hold what is no number").count() == 1
    viewer.session.show(1, 1)
    assert viewer.session.future == 0
    assert viewer.nodes.painter.finish()
    picture = settle(page)
    blue = int(((picture[..., 2] > 130) & (picture[..., 0] < 90)).sum())
    assert blue > 300
    for handle in viewer.server.scene._handle_from_node_name.values():
        assert np.isfinite(handle.position).all()
        assert np.isfinite(handle.wxyz).all()


def test_more_splats_than_a_browser_draws(small_scene: Path, view: Any, open_page: Any, coverage: Any) -> None:
    viewer = view(small_scene, most_splats=1500)
    total = len(viewer.session.scene.splats)
    assert viewer.notes == (f"Of {total:,} splats 1,500 are drawn, chosen by lot.",)
    page = open_page(viewer.url, 480, 360)
    assert page.get_by_text("(1,500 drawn)").count() == 1
    few = (coverage(page) > 0.5).mean()
    viewer = view(small_scene)
    all_of_them = (coverage(open_page(viewer.url, 480, 360)) > 0.5).mean()
    assert few > 0.8 * all_of_them


def test_a_port_that_is_taken(small_scene: Path, view: Any) -> None:
    first = view(small_scene)
    port = first.server.get_port()
    second = view(small_scene, port=port)
    assert second.server.get_port() != port
    assert second.notes == (f"Port {port} is taken; the page is at port {second.server.get_port()}.",)


def test_a_rollout_of_another_scene(small_scene: Path, view: Any) -> None:
    save_sliding(small_scene, *sliding(desk(300, 4), _broken))
    with pytest.raises(UsageError, match="is a rollout of another scene"):
        view(small_scene, rollouts=["001"])
    assert len(view(small_scene).session.tracks) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metric": False}, "It has no metric scale, so nothing can be pushed"),
        ({"objects": (), "supports": ()}, "Nothing can move yet: find objects"),
    ],
)
def test_scenes_in_which_nothing_can_be_done(
    tmp_path: Path, view: Any, open_page: Any, coverage: Any, change: dict[str, Any], words: str
) -> None:
    scene = replace(desk(1500), **change)
    if not scene.objects:
        scene = replace(scene, splats=replace(scene.splats, component_index=0 * scene.splats.component_index))
    viewer = view(write_small_scene(tmp_path / "plain", scene))
    page = open_page(viewer.url, 480, 360)
    assert page.get_by_text(words).count() == 1
    assert (coverage(page) > 0.5).mean() > 0.1


def test_a_scene_without_photos_is_seen_whole(tmp_path: Path, view: Any) -> None:
    scene = replace(desk(600), views=())
    looks = view(write_small_scene(tmp_path / "blind", scene)).server.initial_camera
    middle = np.mean([thing.T_world_body[:3] for thing in scene.objects], axis=0)
    away = np.linalg.norm(np.asarray(looks.position) - looks.look_at)
    assert np.linalg.norm(np.asarray(looks.look_at) - middle) < 0.5
    assert 0.2 < away < 3
    assert (np.asarray(looks.position) - looks.look_at)[2] > 0.3 * away
