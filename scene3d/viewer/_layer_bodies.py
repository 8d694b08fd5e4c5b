"""Layers that ride on bodies: splats, colliders, particles of deformables, names.

Colliders and names hang below the frames of the bodies, so they move without being sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d.viewer._layer import Layer
from scene3d.viewer._palette import body_color

if TYPE_CHECKING:
    from scene3d.viewer._signal import Signal

__all__ = ["ColliderLayer", "LabelLayer", "ParticleLayer", "SplatLayer"]

ABOVE = 0.02
"""Names float this far over an object [m, at most a quarter of its height]."""


class SplatLayer(Layer):
    """The splats themselves."""

    name, label, hint, on = "splats", "Splats", "What the photos show", True

    def draw(self) -> None:
        self.nodes.show_splats(True)

    def _paint(self) -> None:
        self.nodes.show_splats(self.shown)


class ColliderLayer(Layer):
    """Meshes that physics touches."""

    name, label, hint = "colliders", "Colliders", "The meshes that physics touches"

    def lacking(self) -> str:
        return "" if self.session.scene.objects else "This scene has no objects; run scene3d segment first."

    def draw(self) -> None:
        self.clear()
        for index, thing in enumerate(self.session.scene.objects):
            mesh = thing.body.mesh
            self.handles[thing.name] = self.server.scene.add_mesh_simple(
                f"{self.nodes.frame_path(index)}/collider",
                np.asarray(mesh.vertices, dtype=np.float32),
                np.asarray(mesh.faces, dtype=np.uint32),
                color=body_color(index),
                side="double",
                cast_shadow=False,
                receive_shadow=False,
            )

    def follows(self) -> tuple[Signal, ...]:
        return (self.session.scene_changed,)


class LabelLayer(Layer):
    """Names over objects."""

    name, label, hint = "labels", "Names", "The names of the objects"

    def lacking(self) -> str:
        return "" if self.session.scene.objects else "This scene has no objects; run scene3d segment first."

    def draw(self) -> None:
        from scene3d.viewer._act_pose import rotation

        self.clear()
        up = np.asarray(self.session.scene.up, dtype=np.float64)
        up = up / np.linalg.norm(up)
        for index, thing in enumerate(self.session.scene.objects):
            R = rotation(np.asarray(thing.T_world_body[3:]))
            vertices = np.asarray(thing.body.mesh.vertices)
            height = vertices @ (R.T @ up)
            middle = vertices.mean(axis=0)
            top = middle + (R.T @ up) * (height.max() - middle @ (R.T @ up) + min(ABOVE, 0.25 * np.ptp(height)))
            self.handles[thing.name] = self.server.scene.add_label(
                f"{self.nodes.frame_path(index)}/label", thing.name, position=top, anchor="bottom-center"
            )

    def follows(self) -> tuple[Signal, ...]:
        return (self.session.scene_changed,)


class ParticleLayer(Layer):
    """Particles of deformables."""

    name, label, hint, moves = "particles", "Particles", "What deformable objects are made of for physics", True

    def lacking(self) -> str:
        some = any(thing.body.particles is not None for thing in self.session.scene.objects)
        return "" if some else "This scene has no deformable objects."

    def draw(self) -> None:
        from scene3d.viewer._deformed import particles_of

        with self.session.lock:
            scene, poses, x = self.session.scene, self.session.poses(), self.session.particles()
        present = set()
        for index, thing in enumerate(scene.objects):
            if thing.body.particles is None:
                continue
            points = particles_of(scene, index, poses, x)
            if not np.isfinite(points).all():
                continue
            present.add(thing.name)
            known = self.handles.get(thing.name)
            if known is not None and len(known.points) == len(points):
                if not np.array_equal(known.points, points):
                    known.points = points
                continue
            size = max(thing.body.particles.radius, 0.0015)
            self.handles[thing.name] = self.server.scene.add_point_cloud(
                self.path(f"{index}"),
                points,
                np.asarray(body_color(index)),
                point_size=size,
                point_shape="circle",
                precision="float32",
            )
        for name in set(self.handles) - present:
            self.drop(name)
