"""MuJoCo as a yardstick: our worlds in its words. What mechanics says, it must say too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from dynamics import Joint, TriangleMesh, World, body_from_mesh
from dynamics._errors import DeviceError, UsageError
from dynamics._inertia import inertia_at
from dynamics._primitive import body_from_box, body_from_plane, body_from_sphere
from dynamics._state import Latents
from dynamics.baselines import _mujoco_model, contact_parameters, mujoco_model, mujoco_rollout
from dynamics.poses import rotation_from_wxyz

G = 9.81


def test_flight_is_a_parabola_about_the_centre_of_mass(material, on_table, state_of) -> None:
    body = replace(body_from_box("brick", (0.2, 0.1, 0.04), material()), com=np.array([0.01, -0.02, 0.005]))
    world = on_table(body)
    state = state_of(world, [(0, 0, 9.0)], [[1.0, -0.5, 2.0, 5.0, 3.0, -8.0]], [[1.0, 0.3, -0.2, 0.5]], torch.float64)
    path = mujoco_rollout(mujoco_model(world, dt=1e-3), state, 500, every=100, leapfrog=True)
    assert path.shape == (1, 6, 2, 7)
    assert torch.equal(path[:, 0], state.T_world_body)
    centres = inertia_at(world, Latents.median(world, 6), path[0]).com[:, 1]
    time = 0.1 * torch.arange(6, dtype=torch.float64)[:, None]
    expected = centres[0] + time * torch.tensor([1.0, -0.5, 2.0]) - 0.5 * G * time**2 * torch.tensor([0.0, 0.0, 1.0])
    # Its Euler step errs by 0.5 mm where the frame is not in the centre of mass; another convention errs by 10 cm.
    assert (centres - expected).abs().max() < 1e-3


def test_spin_is_given_in_world_axes(material, on_table, state_of) -> None:
    world = on_table(body_from_box("cube", (0.1, 0.1, 0.1), material()), gravity=0.0)
    state = state_of(world, [(0, 0, 1)], [[0, 0, 0, 0, 0, 2.0]], [[1.0, 0.7, 0, 0]], torch.float64)
    end = mujoco_rollout(mujoco_model(world, dt=1e-3), state, 250)[0, -1, 1]
    turned = rotation_from_wxyz(end[3:]) @ rotation_from_wxyz(state.T_world_body[0, 1, 3:]).T
    assert torch.atan2(turned[1, 0], turned[0, 0]).item() == pytest.approx(0.5, abs=1e-3)
    assert turned[2, 2].item() == pytest.approx(1.0, abs=1e-6)


def test_friction_is_the_geometric_mean(material, on_table, state_of) -> None:
    world = on_table(body_from_box("box", (0.2, 0.2, 0.04), material(0.1)), friction=0.4)
    state = state_of(world, [(0, 0, 0.02)], [[1.0, 0, 0, 0, 0, 0]])
    model = mujoco_model(world, dt=1e-3, time_constant=0.004)
    assert mujoco_rollout(model, state, 800)[0, -1, 1, 0].item() == pytest.approx(1 / (2 * 0.2 * G), rel=0.03)
    other = mujoco_model(world, dt=1e-3, time_constant=0.004, friction=[0.4, 0.4])
    assert mujoco_rollout(other, state, 800)[0, -1, 1, 0].item() == pytest.approx(1 / (2 * 0.4 * G), rel=0.03)


@pytest.mark.parametrize("restitution", [0.0, 0.5, 0.9])
def test_a_ball_rebounds(material, on_table, state_of, restitution: float) -> None:
    world = on_table(body_from_sphere("ball", 0.03, material(0.3, restitution)))
    model = mujoco_model(world, dt=2e-4, time_constant=0.002)
    height = mujoco_rollout(model, state_of(world, [(0, 0, 0.53)]), 4000, every=10)[0, :, 1, 2].numpy() - 0.03
    landed = int(np.argmax(height < 0))
    assert max(height[landed:].max() / 0.5, 0) ** 0.5 == pytest.approx(restitution, abs=0.11)


def test_stiffness_and_damping_follow_from_restitution() -> None:
    assert contact_parameters(0.0, 0.02) == pytest.approx((-2500, -100))
    assert contact_parameters(1.0, 0.02) == pytest.approx((-2500, 0))
    ratio = -contact_parameters(0.3, 0.02)[1] * 0.01
    assert np.exp(-np.pi * ratio / np.sqrt(1 - ratio**2)) == pytest.approx(0.3)


def test_a_mesh_is_met_through_its_parts(material, on_table, state_of) -> None:
    """A trough of three slabs keeps a ball that its hull would not let in."""
    slabs = [
        ((0.1, 0.2, 0.01), (0, 0, 0.005)),
        ((0.01, 0.2, 0.1), (0.05, 0, 0.05)),
        ((0.01, 0.2, 0.1), (-0.05, 0, 0.05)),
    ]
    parts = []
    for size, at in slabs:
        box = trimesh.creation.box(size)
        parts.append(TriangleMesh(box.vertices + np.array(at), box.faces))
    hull = trimesh.convex.convex_hull(np.concatenate([part.vertices for part in parts]))
    trough = body_from_mesh("trough", TriangleMesh(hull.vertices, hull.faces), material(), mass=1.0)
    world = on_table(trough, body_from_sphere("ball", 0.02, material()))
    state = state_of(world, [(0, 0, 0), (0.005, 0, 0.15)])
    for hulls, height in (({"trough": parts}, 0.03), (None, 0.12)):
        end = mujoco_rollout(mujoco_model(world, dt=1e-3, hulls=hulls, time_constant=0.004), state, 800)[0, -1]
        assert end[2, 2].item() == pytest.approx(height, abs=0.002)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_matter(material, on_table, state_of, threads: int) -> None:
    world = on_table(body_from_box("cube", (0.1, 0.1, 0.1), material(0.2, 0.1)))
    state = state_of(world, [(0, 0, 0.2)], [[1.0, 0.3, 0, 3, 5, 2]]).repeated(6)
    turn = state.twist.clone()
    turn[:, 1, 3] += torch.arange(6)
    model = mujoco_model(world, dt=1e-3)
    path = mujoco_rollout(model, replace(state, twist=turn), 400, every=200, threads=threads)
    alone = mujoco_rollout(model, replace(state, twist=turn)[4], 400, every=200, threads=1)
    assert torch.equal(path[4], alone[0])


def test_hinges_and_slides(material, state_of) -> None:
    """A bar that swings about its end, hung with its joint frame turned; a box on a slope's rail."""
    bar = body_from_box("bar", (0.02, 0.02, 0.3), material())
    box = body_from_box("box", (0.05, 0.05, 0.05), material())
    half = 0.5**0.5
    joints = (
        Joint("swing", "hinge", 0, 1, (0, 0, 1, half, 0, 0, half), (0, 0, 0.15, half, 0, 0, half), (1.0, 0, 0)),
        Joint("rail", "slide", 0, 2, (1, 0, 1, 1, 0, 0, 0), axis=(half, 0, half)),
    )
    world = World((body_from_plane("table", material()), bar, box), joints=joints)
    state = state_of(world, [(0, 0, 0), (0, 0, 0)])
    state = replace(state, joint_q=torch.tensor([[0.05, 0.1]]), joint_qd=torch.tensor([[0.0, 0.2]]))
    path = mujoco_rollout(mujoco_model(world, dt=1e-3), state, 1000)[0]
    arm = 0.15
    rate = np.sqrt(bar.mass * G * arm / (bar.inertia[0, 0] + bar.mass * arm**2))
    angle = np.arcsin(-path[:, 1, 0].numpy() / arm)
    swung = 0.05 * np.cos(rate * 1e-3 * np.arange(1001))
    assert np.abs(np.abs(angle) - np.abs(swung)).max() < 2e-3
    assert np.abs(path[:, 1, 1].numpy()).max() < 1e-9
    time = 0.5
    along = 0.1 + 0.2 * time - 0.5 * G * half * time**2
    assert path[500, 2, :3].numpy() == pytest.approx([1 + along * half, 0, 1 + along * half], abs=2e-3)


def test_what_the_comparison_does_not_take(material, on_table, state_of) -> None:
    box = body_from_box("box", (0.1, 0.1, 0.1), material())
    world = on_table(box)
    with pytest.raises(UsageError, match="kinematic"):
        mujoco_model(on_table(box.with_motion("kinematic")))
    with pytest.raises(UsageError, match="drive"):
        mujoco_model(replace(world, joints=(Joint("door", "hinge", 0, 1, stiffness=1.0),)))
    with pytest.raises(UsageError, match=r"shape \(2,\)"):
        mujoco_model(world, friction=[0.1])
    shelf = on_table(box.with_motion("static"), body_from_sphere("ball", 0.02, material()))
    state = state_of(shelf, [(0, 0, 0.5), (0, 0, 0.6)])
    with pytest.raises(UsageError, match="elsewhere"):
        mujoco_rollout(mujoco_model(shelf), state, 1)
    with pytest.raises(UsageError, match="3 bodies"):
        mujoco_rollout(mujoco_model(shelf), state_of(world, [(0, 0, 1)]), 1)
    end = mujoco_rollout(mujoco_model(shelf, poses=state.T_world_body[0]), state, 500)[0, -1]
    assert end[2, 2].item() == pytest.approx(0.57, abs=2e-3)


def test_without_mujoco_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, material, on_table) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(_mujoco_model, "import_module", missing)
    with pytest.raises(DeviceError, match=r"pip install 'scene3d\[baselines\]'"):
        mujoco_model(on_table(body_from_box("box", (0.1, 0.1, 0.1), material())))
