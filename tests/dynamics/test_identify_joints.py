"""Jointed recordings: root pose and joint -> all bodies, and back through rollouts; damping of a hinge is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dynamics import Joint, State, World, find_material
from dynamics._errors import UsageError
from dynamics._identify import Search, identify_world, rollout_recordings
from dynamics._identify_links import linked_poses, linked_twists
from dynamics._identify_loss import predicted_poses
from dynamics._integrate import turn_between
from dynamics._joint_geometry import joint_positions
from dynamics._primitive import body_from_box, body_from_plane
from dynamics._recording import recordings_of_tosses
from dynamics._tosses import Toss
from dynamics.poses import multiply

DT = 1 / 148
DAMPING = 4e-4


@pytest.fixture(autouse=True)
def _one_thread():
    """Tensors here are tiny; threads only get in each other's way."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def blocks(damping: float = 0.0, friction: float = 0.3) -> World:
    """Two blocks side by side, joined by a hinge along their common upper edge."""
    wood = replace(find_material("wood"), friction=friction, friction_log_std=0.35, restitution=0.1)
    size = (0.1, 0.05, 0.05)
    first, second = (body_from_box(name, size, wood, mass=0.2) for name in ("left", "right"))
    hinge = Joint(
        "hinge",
        "hinge",
        1,
        2,
        T_parent_joint=(0.0, 0.026, 0.025, 1.0, 0.0, 0.0, 0.0),
        T_child_joint=(0.0, -0.026, 0.025, 1.0, 0.0, 0.0, 0.0),
        axis=(1.0, 0.0, 0.0),
        damping=damping,
    )
    table = body_from_plane("table", replace(wood, friction=1.0, restitution=0.0))
    return World((table, first, second), (hinge,), dt=DT)


def motion(world: World, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Root pose and twist, joint position and velocity of one throw."""
    rng = np.random.default_rng(seed)
    turn = rng.normal(size=4)
    pose = np.concatenate([[0.1, -0.2, rng.uniform(0.15, 0.2)], turn / np.linalg.norm(turn)])
    twist = np.concatenate([rng.normal(size=3) * [0.6, 0.6, 0.2], rng.normal(size=3) * 3])
    q, qd = rng.normal(size=1) * 0.3, rng.normal(size=1) * 4
    return torch.tensor(pose), torch.tensor(twist), torch.tensor(q), torch.tensor(qd)


@pytest.mark.parametrize("root", [1, 2])
@pytest.mark.parametrize("kind", ["hinge", "slide"])
def test_velocities_are_differences_of_poses(root: int, kind: str) -> None:
    world = blocks()
    world = replace(world, joints=(replace(world.joints[0], kind=kind),))
    pose, twist, q, qd = motion(world)
    step = 1e-7
    poses = linked_poses(world, root, pose, q)
    twists = linked_twists(world, root, poses, twist, qd)
    half = 0.5 * step * twist[3:]
    quarter = torch.cat([torch.ones(1).double(), half])
    later = torch.cat([pose[:3] + step * twist[:3], multiply(quarter / quarter.norm(), pose[3:])])
    moved = linked_poses(world, root, later, q + step * qd)
    for body, before in poses.items():
        linear = (moved[body][:3] - before[:3]) / step
        angular = turn_between(before[3:], moved[body][3:]) / step
        assert torch.cat([linear, angular]).numpy() == pytest.approx(twists[body].numpy(), abs=2e-5)


@pytest.mark.parametrize("root", [1, 2])
def test_joints_are_read_back_from_poses(root: int) -> None:
    world = blocks()
    pose, twist, q, qd = motion(world, 4)
    poses = linked_poses(world, root, pose, q)
    twists = linked_twists(world, root, poses, twist, qd)
    table = torch.tensor([[0.0, 0, 0, 1, 0, 0, 0]], dtype=torch.float64)
    whole = torch.cat([table, torch.stack([poses[1], poses[2]])])
    # Both blocks have their centre of mass at the origin of the frame.
    speeds = torch.cat([torch.zeros(1, 6).double(), torch.stack([twists[1], twists[2]])])
    position, velocity = joint_positions(world, whole, speeds)
    assert position.numpy() == pytest.approx(q.numpy(), abs=1e-9)
    assert velocity.numpy() == pytest.approx(qd.numpy(), abs=1e-9)


def thrown(world: World, count: int, frames: int) -> tuple[Toss, ...]:
    """Recordings of root pose, twist and hinge, with the noise of a camera."""
    rng = np.random.default_rng(1)
    found = []
    for k in range(count):
        pose, twist, q, qd = (part.numpy() for part in motion(world, k))
        twice = [np.repeat(part[None], 2, 0) for part in (pose, twist, q, qd)]
        first = Toss(twice[0], twice[1], twice[2], twice[3], DT)
        start = recordings_of_tosses(world, [first], "left")[0]
        start = replace(start, T_world_body=np.repeat(start.T_world_body[:1], frames, 0))
        paths = predicted_poses(world, [start], (), np.zeros((1, 0)))[0, 0].astype(np.float64)
        angles = joint_positions(world, torch.tensor(paths))[0].numpy()
        seen = paths[:, 1] + rng.normal(size=(frames, 7)) * ([3e-4] * 3 + [1e-3] * 4)
        seen[:, 3:] /= np.linalg.norm(seen[:, 3:], axis=1, keepdims=True)
        twists, rates = np.zeros((frames, 6)), np.zeros((frames, 1))
        # `first_twist` adds half a step of gravity, as it does to the start above.
        twists[0], rates[0] = twist + rng.normal(size=6) * ([0.005] * 3 + [0.05] * 3), qd
        found.append(Toss(seen, twists, angles + 2e-3 * rng.normal(size=angles.shape), rates, DT))
    return tuple(found)


def test_damping_of_a_hinge_and_friction_are_found() -> None:
    truth = blocks(DAMPING, friction=0.2)
    recordings = recordings_of_tosses(truth, thrown(truth, 8, 40), "left")
    world = blocks(1e-4)
    search = Search(coarse=10, fine=5, population=10)
    posterior = identify_world(world, recordings, parameters=["joint_damping", "left.friction"], search=search)
    low, high = posterior.interval(0.99)["hinge.joint_damping"]
    assert low < DAMPING < high
    assert high / low < 3

    def missed(guess: object) -> float:
        paths = rollout_recordings(world, recordings, guess)  # type: ignore[arg-type]
        angles = [joint_positions(world, torch.tensor(path))[0].numpy() for path in paths]
        seen = [joint_positions(world, torch.tensor(each.T_world_body))[0].numpy() for each in recordings]
        return float(np.mean([np.abs(a - b).mean() for a, b in zip(angles, seen, strict=True)]))

    assert missed(posterior) < 0.6 * missed(None)


def test_another_number_of_joints_is_refused() -> None:
    world = blocks()
    toss = thrown(world, 1, 4)[0]
    with pytest.raises(UsageError, match="has 0 joints, the world 1"):
        recordings_of_tosses(world, [replace(toss, joint_q=np.zeros((4, 0)), joint_qd=np.zeros((4, 0)))], 1)


def test_states_of_a_recording_have_the_joints(monkeypatch: pytest.MonkeyPatch) -> None:
    world = blocks()
    toss = thrown(world, 1, 4)[0]
    states: list[State] = []
    from dynamics import _rollout

    whole = _rollout.rollout

    def watched(world: World, state: State, *args: object, **options: object) -> object:
        states.append(state)
        return whole(world, state, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(_rollout, "rollout", watched)
    rollout_recordings(world, recordings_of_tosses(world, [toss], "left"))
    assert states[0].joint_q.numpy() == pytest.approx(toss.joint_q[:1], abs=1e-5)
    assert states[0].joint_qd.numpy() == pytest.approx(toss.joint_qd[:1], abs=1e-5)
