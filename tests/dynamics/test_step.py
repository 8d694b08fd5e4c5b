"""The torch twin of the step: it agrees with the fused kernel, works in double precision, and has gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from dynamics import Action, Latents, State, TriangleMesh, World, body_from_mesh
from dynamics._contact_rows import ContactSettings
from dynamics._primitive import body_from_box, body_from_sphere
from dynamics._rollout import rollout
from dynamics._step import StepSettings, step_torch

FEW = StepSettings(sweeps=5, contact=ContactSettings(per_direction=4))
"""The twin takes its time over every row."""


def agree(world: World, state: State, steps: int, action: Action | None = None, settings: StepSettings = FEW):
    """Greatest difference of poses and twists along the way, and the path."""
    path = rollout(world, state, steps, action, settings=settings)
    poses = twists = 0.0
    for k in range(steps):
        state = step_torch(world, state, action, settings=settings, index=k)
        poses = max(poses, float((state.T_world_body - path.T_world_body[:, k + 1]).abs().max()))
        twists = max(twists, float((state.twist - path.twist[:, k + 1]).abs().max()))
    return poses, twists, path


def test_a_tossed_brick(material, on_table, state_of) -> None:
    body = replace(body_from_box("brick", (0.1, 0.06, 0.04), material(0.3, 0.3)), com=np.array([0.01, 0, -0.004]))
    world = on_table(body)
    state = state_of(world, [(0, 0, 0.1)], [[1, 0.3, 0, 3, 5, 2]], [[1, 0.4, 0.2, 0.1]]).repeated(3)
    twist = state.twist.clone()
    twist[1:, 1, 3:] += torch.tensor([[2.0, -3.0, 1.0], [-5.0, 0.0, 4.0]])
    poses, twists, path = agree(world, replace(state, twist=twist), 40)
    assert path.twist[:, :, 1, 2].diff(dim=1).max() > 0.3, "nothing was hit"
    assert poses < 1e-5 and twists < 5e-3


def test_boxes_on_boxes(material, on_table, state_of) -> None:
    boxes = [body_from_box(f"box{i}", (0.1, 0.08, 0.04), material(0.5)) for i in range(3)]
    world = on_table(*boxes, friction=0.5)
    places = [(0, 0, 0.02), (0.02, 0.01, 0.0605), (-0.01, 0, 0.13)]
    state = state_of(world, places, [[0.0] * 6] * 2 + [[0.2, 0, -1, 0, 2, 1]])
    poses, twists, _ = agree(world, state, 25)
    assert poses < 1e-5 and twists < 5e-3


def test_meshes_and_balls(material, on_table, state_of) -> None:
    can = trimesh.creation.cylinder(0.03, 0.1, sections=20)
    body = body_from_mesh("can", TriangleMesh(can.vertices, can.faces), material(0.4))
    other = body_from_box("box", (0.08, 0.08, 0.03), material(0.4))
    world = on_table(body, other, body_from_sphere("ball", 0.02, material(0.4, 0.5)), friction=0.4)
    state = state_of(
        world,
        [(0, 0, 0.056), (0.09, 0, 0.016), (0.01, 0.0, 0.16)],
        [[0.5, 0, 0, 0, 0.5, 0], [-0.2, 0, 0, 0, 0, 0], [0, 0, -1, 0, 0, 0]],
    )
    poses, twists, path = agree(world, state, 20)
    assert path.overlap.max() < 0.002
    assert poses < 1e-5 and twists < 5e-3


def test_actions(material, on_table, state_of) -> None:
    pusher = body_from_box("pusher", (0.02, 0.1, 0.1), material(0.4), motion="kinematic")
    world = on_table(pusher, body_from_box("box", (0.1, 0.1, 0.1), material(0.4)), friction=0.4)
    state = state_of(world, [(-0.07, 0, 0.06), (0, 0, 0.05)])
    targets = state.T_world_body[:, None].repeat(1, 24, 1, 1)
    targets[0, :, 1, 0] += 0.003 * torch.arange(1, 25)
    wrench = torch.zeros(1, 24, 3, 6)
    wrench[:, 12:, 2, 4] = 0.05
    poses, twists, path = agree(world, state, 24, Action(wrench=wrench, kinematic_target=targets))
    assert path.T_world_body[0, -1, 2, 0] > 0.04
    assert poses < 1e-5 and twists < 5e-3


def test_sleeping_and_waking(material, on_table, state_of) -> None:
    settings = replace(FEW, sleep_after=3)
    world = on_table(
        body_from_box("box", (0.1, 0.1, 0.1), material(0.2)), body_from_sphere("ball", 0.03, material(0.2))
    )
    state = state_of(world, [(0, 0, 0.05), (0.15, 0, 0.05)], [[0.0] * 6, [-4.0, 0, 0, 0, 0, 0]])
    poses, twists, path = agree(world, state, 30, settings=settings)
    assert (path.still[0, :, 1] >= 3).any() and path.still[0, -1, 1] == 0
    assert poses < 1e-5 and twists < 5e-3


@pytest.mark.parametrize(("gap", "wakes"), [(0.03, False), (-0.0005, True)])
def test_what_moves_beside_a_long_body_wakes_it_only_when_near(
    material, on_table, state_of, gap: float, wakes: bool
) -> None:
    """The ball around a plank is as wide as the plank is long; a sleeping plank does not hear all that turns in it."""
    plank, box = (
        body_from_box("plank", (0.6, 0.04, 0.04), material()),
        body_from_box("box", (0.1, 0.1, 0.1), material()),
    )
    world = on_table(plank, box)
    turned = [float(np.cos(0.2)), 0.0, 0.0, float(np.sin(0.2))]
    reach = 0.02 + 0.05 * (np.cos(0.4) + np.sin(0.4)) + gap
    state = state_of(world, [(0, 0, 0.02), (0.1, reach, 0.05)], quaternions=[[1.0, 0, 0, 0], turned])
    state = replace(state, still=torch.tensor([[0, 1 << 20, 0]], dtype=torch.int32))
    poses, _, path = agree(world, state, 6)
    assert poses < 1e-5
    assert bool(path.still[0, -1, 1] >= 1 << 20) != wakes


def test_gradients_are_those_of_finite_differences(material, on_table, state_of) -> None:
    """Through contact with sliding: of positions after some steps, in start velocities, friction and mass."""
    body = body_from_box("brick", (0.1, 0.06, 0.04), material(0.3, 0.2))
    world = on_table(body)
    state = state_of(world, [(0, 0, 0.035)], [[1, 0.3, -0.5, 1, 2, 1]], [[1, 0.2, 0.1, 0.05]], torch.float64)
    median = Latents.median(world, 1)

    def end(twist: torch.Tensor, friction: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        latents = replace(median, friction=friction, mass_scale=scale)
        after = replace(state, twist=torch.cat([state.twist[:, :1], twist], dim=1))
        for _ in range(4):
            after = step_torch(world, after, latents=latents, settings=StepSettings(sweeps=3))
        return after.T_world_body[:, 1]

    inputs = (state.twist[:, 1:].clone(), median.friction.double(), median.mass_scale.double())
    leaves = [part.requires_grad_() for part in inputs]
    weights = torch.randn(1, 7, dtype=torch.float64)
    exact = torch.autograd.grad((end(*leaves) * weights).sum(), leaves)
    assert exact[1].abs().max() > 1e-5, "friction had no effect"
    for which, part in enumerate(inputs):
        for place in np.ndindex(*part.shape):
            sides = []
            for sign in (1, -1):
                moved = [leaf.detach().clone() for leaf in inputs]
                moved[which][place] += sign * 1e-6
                sides.append((end(*moved) * weights).sum().item())
            assert (sides[0] - sides[1]) / 2e-6 == pytest.approx(exact[which][place].item(), rel=1e-3, abs=1e-6)
