"""Newton's VBD solver on a stage's deformables: the part of _newton_worker.py that rigid bodies have no use for.

Like that script it imports nothing of this project; the script loads it as a file that lies beside it. Newton makes
particles and tetrahedra of a TetMesh, particles and triangles of a surface, and a chain of capsules of a curve; VBD
moves all three.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

CONTACT = 1e-3
"""Particles keep this distance from what they touch [m]; the importer's own 0.1 m would hold a toy in the air."""
ITERATIONS = 10
"""Of the solver in each step."""


class Cloud:
    """A deformable that became particles."""

    def __init__(self, name: str, model: Any, particles: tuple[int, int], cells: tuple[int, int]) -> None:
        self.name, self.rows, self.cells = name, slice(*particles), cells[1] - cells[0]
        self.masses = model.particle_mass.numpy()[self.rows].astype(float)

    def held(self) -> dict[str, Any]:
        """What the model holds of it."""
        mass = float(self.masses.sum())
        return {"mass": mass, "particles": len(self.masses), "cells": self.cells, "radius": 0.0}

    def com(self, state: Any) -> Any:
        """Centre of mass [m]."""
        return self.masses @ self.points(state) / self.masses.sum()

    def speed(self, state: Any) -> Any:
        """Of the centre of mass [m/s]."""
        return self.masses @ state.particle_qd.numpy()[self.rows] / self.masses.sum()

    def points(self, state: Any) -> Any:
        """Where its particles are [m]."""
        return state.particle_q.numpy()[self.rows].astype(float)


class Chain:
    """A curve that became capsules, end to end."""

    def __init__(self, name: str, model: Any, bodies: list[int]) -> None:
        self.name, self.bodies = name, bodies
        self.masses = model.body_mass.numpy()[bodies].astype(float)
        self.coms = model.body_com.numpy()[bodies].astype(float)
        owners = model.shape_body.numpy()
        sizes, places = model.shape_scale.numpy(), model.shape_transform.numpy()
        shapes = [int(np.flatnonzero(owners == body)[0]) for body in bodies]
        self.radius = float(sizes[shapes, 0].max())
        axes = np.zeros((len(shapes), 3))
        axes[:, 2] = sizes[shapes, 1]
        self.ends = [moved(places[shapes], sign * axes) for sign in (-1, 1)]

    def held(self) -> dict[str, Any]:
        """What the model holds of it."""
        count = len(self.bodies)
        return {"mass": float(self.masses.sum()), "particles": count + 1, "cells": count, "radius": self.radius}

    def com(self, state: Any) -> Any:
        """Centre of mass [m]."""
        return self.masses @ moved(state.body_q.numpy()[self.bodies], self.coms) / self.masses.sum()

    def speed(self, state: Any) -> Any:
        """Of the centre of mass [m/s]."""
        return self.masses @ state.body_qd.numpy()[self.bodies, :3] / self.masses.sum()

    def points(self, state: Any) -> Any:
        """Where the ends of its capsules are [m]."""
        poses = state.body_q.numpy()[self.bodies]
        return np.concatenate([moved(poses, ends) for ends in self.ends])


class SoftSimulation:
    """A stage, the model that Newton makes of it, and its solver."""

    notes: tuple[str, ...] = ()

    def __init__(self, newton: Any, request: dict[str, Any], stage: str) -> None:
        self.newton, self.dt = newton, request["dt"]
        builder = newton.ModelBuilder()
        builder.default_particle_radius = CONTACT
        found = builder.add_usd(stage, return_deformable_results=True)
        builder.color()
        self.model = builder.finalize(device="cpu")
        self.things = [self._thing(found, body) for body in request["bodies"]]
        self.solver = newton.solvers.SolverVBD(self.model, iterations=ITERATIONS)

    def bodies(self) -> dict[str, Any]:
        """What the model holds of each deformable."""
        return {thing.name: thing.held() for thing in self.things}

    def _thing(self, found: dict[str, Any], body: dict[str, Any]) -> Cloud | Chain:
        name, path = body["name"], body["path"]
        if path in found["path_cable_map"]:
            return Chain(name, self.model, list(found["path_cable_map"][path][0]))
        for kind, cells in (("path_soft_map", "tet"), ("path_cloth_map", "tri")):
            if path in found[kind]:
                rows = found[kind][path]
                return Cloud(name, self.model, rows["particle"], rows[cells])
        sys.exit(f"Newton found nothing deformable at {path}.")

    def run(self, phase: dict[str, Any]) -> dict[str, Any]:
        """Step through a phase; centres of mass at the steps to be read, speeds and points at the end."""
        model = self.model
        now, after, control = model.state(), model.state(), model.control()
        self.newton.eval_fk(model, model.joint_q, model.joint_qd, now)
        pipeline = self.newton.CollisionPipeline(model)
        contacts = pipeline.contacts()
        begun = {thing.name: thing.com(now).tolist() for thing in self.things}
        coms: dict[str, list[list[float]]] = {thing.name: [] for thing in self.things}
        for step in range(1, phase["steps"] + 1):
            now.clear_forces()
            pipeline.collide(now, contacts)
            self.solver.step(now, after, control, contacts, self.dt)
            now, after = after, now
            if step in phase["read"]:
                for thing in self.things:
                    coms[thing.name].append(thing.com(now).tolist())
        return {
            "begun": begun,
            "coms": coms,
            "speeds": {thing.name: thing.speed(now).tolist() for thing in self.things},
            "points": {thing.name: thing.points(now).tolist() for thing in self.things},
        }


def moved(poses: Any, points: Any) -> Any:
    """Points (N, 3), each after its own pose xyz + xyzw (N, 7)."""
    poses = np.asarray(poses, dtype=float)
    axis, real = poses[:, 3:6], poses[:, 6:]
    across = 2 * np.cross(axis, points)
    return points + real * across + np.cross(axis, across) + poses[:, :3]
