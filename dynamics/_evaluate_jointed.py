# pyright: basic
"""Evaluation of a body with joints: the same errors, intervals and futures, from rollouts of a `World`.

Recordings name the root body's pose and twist and the joints' positions and velocities. Constants are a posterior, by
fused rollouts of training tosses (`identify_world`); its draws with noisy first states are the futures. The network
was trained on another body and speaks through its support. The root body is scored as a body without joints is, and the
joints' angles beside it. There is no persistent model and no network without physics here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import UsageError
from dynamics._evaluate import Evaluation, Part, joined_parts
from dynamics._evaluate_choice import Progress, Request, available, check_steps
from dynamics._evaluate_fitted import Fitted, some_of
from dynamics._evaluate_models import ModelName
from dynamics._evaluate_split import Group, plan_groups
from dynamics._identify import identify_world, rollout_recordings
from dynamics._identify_starts import moved_starts, roots_of
from dynamics._joint_geometry import joint_positions
from dynamics._recording import recordings_of_tosses
from dynamics._toss_futures import FutureScores, calibrated_scale, future_scores
from dynamics._toss_metrics import TossErrors, lowest_points, toss_errors
from dynamics._tosses import toss_hash

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._contact_weights import ContactWeights
    from dynamics._identify import Search
    from dynamics._posterior import Posterior
    from dynamics._recording import Recording
    from dynamics._tosses import Toss
    from dynamics._world import World

__all__ = ["ROOT", "evaluate_jointed"]

ROOT = 1
"""Place of the root body; the table is before it."""
STARTS = 8
"""Noisy first states of a toss; each goes with as many draws of constants as make the number of futures."""
SCALE_TOSSES = 16
MUJOCO_TIMES = (0.01, 0.015, 0.02, 0.03)
"""Time constants of MuJoCo's contacts that are tried [s]."""
MUJOCO_FRICTION = (0.8, 1.0, 1.25)
"""Friction over that of our physics that is tried."""
Array = NDArray[np.float64]


def evaluate_jointed(
    tosses: Sequence[Toss],
    world: World,
    request: Request,
    *,
    search: Search | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Judge models on tosses of a body with joints.

    Args:
        tosses: Recordings that share one time step, which is the world's.
        world: Table and bodies, the root second, as from `world_from_urdf`.
        request: Which models, weights and split.
        search: How constants are identified.
        progress: As for `evaluate_tosses`.

    Raises:
        UsageError: Too few tosses, unequal steps, other joints than the world has, or no such model.
        FileFormatError: Weights are damaged.
    """
    say = progress or (lambda _text, _share: None)
    check_steps(tosses)
    if tosses[0].joint_q.shape[1] != len(world.joints):
        found = tosses[0].joint_q.shape[1]
        raise UsageError(f"The recordings have {found} joints, the URDF {len(world.joints)}; columns name each joint.")
    left_out: tuple[ModelName, ...] = ("physics_persistent", "network_without_physics")
    models, networks, notes = available(request, left_out)
    weights = networks.get("all") or next(iter(networks.values()), None)
    groups = plan_groups([toss_hash(toss) for toss in tosses], {}, own_body=False, fit_on=request.fit_on)
    if request.fit_on is None:
        notes.append("Constants were fitted out of fold, five times to four fifths of these tosses.")
    else:
        notes.append(f"Constants were fitted to the first {request.fit_on} tosses; the others are scored.")
    if "physics_network" in models:
        notes.append("The network was trained on another body and speaks only within its support.")
    recordings = recordings_of_tosses(world, tosses, ROOT)
    run = _Run(tosses, recordings, world, request, weights, models, search, say, len(groups))
    parts = [run.group(number, group) for number, group in enumerate(groups)]
    shapes = [np.asarray(world.bodies[i].mesh.vertices, dtype=np.float64) for i in _moving(world)]
    return joined_parts(parts, models, shapes, notes, "physics_identified")


@dataclass(frozen=True, eq=False)
class _Run:
    tosses: Sequence[Toss]
    recordings: Sequence[Recording]
    world: World
    request: Request
    weights: ContactWeights | None
    models: list[ModelName]
    search: Search | None
    say: Progress
    count: int

    def group(self, number: int, group: Group) -> Part:
        """Fit, predict and score."""

        def say(text: str, share: float) -> None:
            self.say(f"{text}, part {number + 1} of {self.count}", (number + share) / self.count)

        say("fitting constants", 0.0)
        train = [self.recordings[i] for i in group.train]
        posterior = identify_world(self.world, train, seed=self.request.seed, search=self.search)
        held = [self.recordings[i] for i in group.held]
        tosses = [self.tosses[i] for i in group.held]
        support: Array | None = None
        paths: dict[ModelName, list[Array]] = {}
        for model in self.models:
            say(model, 0.6)
            paths[model], share = self._paths(model, posterior, held, train)
            support = share if share is not None else support
        truth = [recording.T_world_body for recording in held]
        moving = _moving(self.world)
        errors: dict[ModelName, TossErrors] = {
            model: self._errors(found, truth, tosses) for model, found in paths.items()
        }
        scale = self._scale(posterior, group)
        say("futures", 0.8)
        scores = self._futures(posterior, held, tosses, scale, self.request.futures)
        names = frozenset(toss_hash(self.tosses[i]) for i in group.train)
        fitted = Fitted(names, posterior.median, (), {}, {"physics_identified": scale})
        moved: dict[ModelName, list[Array]] = {m: [path[:, moving] for path in found] for m, found in paths.items()}
        return Part(
            group,
            fitted,
            errors,
            [path[:, moving] for path in truth],
            moved,
            self._errors(truth, truth, tosses),
            support,
            scores,
        )

    def _paths(
        self, model: ModelName, posterior: Posterior, held: Sequence[Recording], train: Sequence[Recording]
    ) -> tuple[list[Array], Array | None]:
        """Poses of all bodies (T, nb, 7), and the share of contacts in the network's support."""
        if model == "physics_network":
            assert self.weights is not None
            return _learned(self.world, held, posterior, self.weights)
        calls: dict[str, Callable[[], list[Array]]] = {
            "static": lambda: [np.repeat(r.T_world_body[:1], len(r), axis=0) for r in held],
            "ballistic": lambda: [_ballistic(self.world, recording) for recording in held],
            "physics_textbook": lambda: rollout_recordings(self.world, held),
            "physics_identified": lambda: rollout_recordings(self.world, held, posterior),
            "mujoco": lambda: _mujoco(self.world, held, posterior, *_fit_mujoco(self.world, train, posterior)),
        }
        return calls[model](), None

    def _errors(self, paths: Sequence[Array], truth: Sequence[Array], tosses: Sequence[Toss]) -> TossErrors:
        return _errors(self.world, paths, truth, tosses)

    def _scale(self, posterior: Posterior, group: Group) -> float:
        if not self.request.futures:
            return 1.0
        some = some_of([self.tosses[i] for i in group.train], SCALE_TOSSES)
        recordings = recordings_of_tosses(self.world, some, ROOT)

        def coverage(scale: float) -> float:
            scores = self._futures(posterior, recordings, some, scale, 16)
            assert scores is not None
            return float(0.5 * (scores.position_inside.mean() + scores.rotation_inside.mean()))

        return calibrated_scale(coverage, steps=4)

    def _futures(
        self, posterior: Posterior, held: Sequence[Recording], tosses: Sequence[Toss], scale: float, futures: int
    ) -> FutureScores | None:
        if not futures:
            return None
        wide = replace(posterior, covariance=posterior.covariance * scale**2)
        roots, seed = roots_of(held), self.request.seed
        rng = np.random.default_rng([seed, 2])
        starts = min(STARTS, futures)
        made: list[list[Array]] = []
        for k in range(starts):
            noise = scale * rng.standard_normal((len(held), 6 * len(roots)))
            draws = len(range(k, futures, starts))
            made.append(rollout_recordings(self.world, moved_starts(held, roots, noise), wide, draws=draws, seed=k))
        paths = [np.concatenate([part[i] for part in made])[:, :, ROOT] for i in range(len(held))]
        return future_scores(paths, tosses, _width(self.world), seed=seed)


def _moving(world: World) -> list[int]:
    """Dynamic bodies, the root first."""
    moving = [i for i, body in enumerate(world.bodies) if body.motion == "dynamic"]
    return sorted(moving, key=lambda i: (i != ROOT, i))


def _width(world: World) -> float:
    """Of the root body: the side of a cube as large as its box [m]."""
    extents = np.ptp(np.asarray(world.bodies[ROOT].mesh.vertices, dtype=np.float64), axis=0)
    return float(np.prod(extents) ** (1 / 3))


def _errors(world: World, paths: Sequence[Array], truth: Sequence[Array], tosses: Sequence[Toss]) -> TossErrors:
    """Errors of the root, penetration of all bodies, and errors of the joints' angles."""
    import torch

    width = _width(world)
    corners = {i: np.asarray(world.bodies[i].mesh.vertices, dtype=np.float64) for i in _moving(world)}
    roots = ([path[:, ROOT] for path in part] for part in (truth, paths))
    errors = toss_errors(*roots, width=width, points=corners[ROOT])
    deep, angles = [], []
    hinges = np.array([joint.kind == "hinge" for joint in world.joints])
    for path, toss in zip(paths, tosses, strict=True):
        lowest = np.min([lowest_points(path[:, i], points) for i, points in corners.items()], axis=0)
        deep.append(np.maximum(-lowest, 0).mean() / width * 100)
        positions = joint_positions(world, torch.tensor(path))[0].numpy()
        off = (positions - toss.joint_q + np.pi) % (2 * np.pi) - np.pi
        angles.append(np.degrees(np.abs(off[:, hinges])).mean() if hinges.any() else 0.0)
    return replace(errors, penetration_percent=np.array(deep), joint_deg=np.array(angles) if hinges.any() else None)


def _ballistic(world: World, recording: Recording) -> Array:
    """Free flight of the whole with stiff joints through the table, lifted until nothing is below it."""
    import torch

    from dynamics._integrate import quaternion_of_turn
    from dynamics.poses import multiply, rotation_from_wxyz

    def rotate(wxyz: Tensor, vector: Tensor) -> Tensor:
        return (rotation_from_wxyz(wxyz) @ vector[..., None])[..., 0]

    first = torch.tensor(recording.T_world_body[0])
    moving = _moving(world)
    masses = torch.tensor([world.bodies[i].mass for i in moving], dtype=torch.float64)
    places = torch.stack([first[i, :3] + rotate(first[i, 3:], torch.tensor(world.bodies[i].com)) for i in moving])
    twists = torch.tensor(recording.twist)
    speeds = torch.stack(
        [
            twists[i, :3] + torch.linalg.cross(twists[i, 3:], place - first[i, :3])
            for i, place in zip(moving, places, strict=True)
        ]
    )
    share = (masses / masses.sum())[:, None]
    centre, speed = (share * places).sum(0), (share * speeds).sum(0)
    time = torch.arange(len(recording), dtype=torch.float64)[:, None] * recording.dt
    turn = quaternion_of_turn(twists[ROOT, 3:] * time)
    way = centre + speed * time + 0.5 * torch.tensor(world.gravity, dtype=torch.float64) * time**2
    path = np.repeat(recording.T_world_body[:1], len(recording), axis=0)
    for i in moving:
        arm = rotate(turn, (first[i, :3] - centre).expand(len(turn), 3))
        wxyz = multiply(turn, first[i, 3:].expand(len(turn), 4))
        path[:, i] = torch.cat([way + arm, wxyz], dim=-1).numpy()
    lowest = np.min([lowest_points(path[:, i], world.bodies[i].mesh.vertices) for i in moving], axis=0)
    path[:, moving, 2] += np.maximum(-lowest, 0)[:, None]
    return path


def _started(world: World, recordings: Sequence[Recording], posterior: Posterior) -> tuple[World, Any, Any, float]:
    """World, first states and latents with the posterior's medians, and recorded over true lengths."""
    from dynamics._identify_loss import _first_state as first_state
    from dynamics._identify_parameters import changed_latents, factor
    from dynamics._state import Latents

    values = posterior.values(posterior.mean[None])
    latents = changed_latents(world, posterior.parameters, values, Latents.median(world, 1))
    state = first_state(world, recordings, posterior.parameters, values, latents.com_offset.numpy())
    parts = {name: getattr(latents, name) for name in latents.__dataclass_fields__}
    every = replace(latents, **{name: part.repeat_interleave(len(recordings), dim=0) for name, part in parts.items()})
    return posterior.world(world), state, every, float(factor(posterior.parameters, values, "length")[0])


def _cut(poses: Any, recordings: Sequence[Recording], length: float) -> list[Array]:
    found = poses.double().numpy().copy()
    found[..., :3] *= length
    return [found[i, : len(recording)] for i, recording in enumerate(recordings)]


def _learned(
    world: World, recordings: Sequence[Recording], posterior: Posterior, weights: ContactWeights
) -> tuple[list[Array], Array]:
    from dynamics._learned_rollout import rollout_learned

    made, state, latents, length = _started(world, recordings, posterior)
    frames = max(len(recording) for recording in recordings)
    run = rollout_learned(made, state, frames - 1, None, latents, model=weights.model)
    support = np.ones(len(recordings)) if run.in_support is None else run.in_support.double().numpy()
    return _cut(run.T_world_body, recordings, length), support


def _mujoco(
    world: World, recordings: Sequence[Recording], posterior: Posterior, time_constant: float, friction: float
) -> list[Array]:
    from dynamics.baselines import contact_parameters, mujoco_model, mujoco_rollout

    made, state, latents, length = _started(world, recordings, posterior)
    mu = latents.friction[0].double().numpy() * friction
    solref = contact_parameters(float(latents.restitution[0].max()), time_constant)
    model = mujoco_model(made, dt=made.dt / 10, solref=solref, friction=mu)
    frames = max(len(recording) for recording in recordings)
    poses = mujoco_rollout(model, state, 10 * (frames - 1), every=10, leapfrog=True)
    return _cut(poses, recordings, length)


def _fit_mujoco(world: World, train: Sequence[Recording], posterior: Posterior) -> tuple[float, float]:
    """Time constant of contacts and factor of friction that suit training tosses best."""
    some = train[:SCALE_TOSSES]
    best, chosen = np.inf, (MUJOCO_TIMES[2], 1.0)
    for time_constant in MUJOCO_TIMES:
        for friction in MUJOCO_FRICTION:
            paths = _mujoco(world, some, posterior, time_constant, friction)
            away = [
                np.linalg.norm(path[:, ROOT, :3] - recording.T_world_body[:, ROOT, :3], axis=1).mean()
                for path, recording in zip(paths, some, strict=True)
            ]
            missed = float(np.nan_to_num(np.mean(away), nan=np.inf))
            if missed < best:
                best, chosen = missed, (time_constant, friction)
    return chosen
