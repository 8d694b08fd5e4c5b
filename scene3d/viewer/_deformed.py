"""Deformables in motion: particle positions in, splats in the frame of their body out, sent when they differ.

A body's frame goes with the body, so particles are turned back into it, and only what changed shape is sent. What
lies as it did when it was photographed is never computed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d._scene import Scene
    from scene3d.viewer._body_nodes import BodyNodes
    from scene3d.viewer._session import Session
    from scene3d.viewer._splat_arrays import SceneArrays, SplatArrays

__all__ = ["DeformedSplats", "deformed_arrays", "particle_slice", "particles_of"]


class DeformedSplats:
    """Sends the splats of deformables when their particles move."""

    def __init__(self, session: Session, nodes: BodyNodes) -> None:
        self._session, self._nodes = session, nodes
        self._bent: set[int] = set()
        """Objects whose splats are not as at rest."""
        self.stale = nodes.painter.add("deformables", self.draw)
        session.moment_changed.connect(self._told)
        session.scene_changed.connect(self._bent.clear)

    def _told(self) -> None:
        if self._bent or self._session.track.deforms[self._session.future]:
            self.stale()

    def draw(self) -> None:
        """Called in the painter's thread."""
        with self._session.lock:
            scene, poses, x = self._session.scene, self._session.poses(), self._session.particles()
            arrays, splats = self._nodes.arrays, list(self._nodes.splats)
        if arrays is None:
            return
        for index, thing in enumerate(scene.objects):
            if thing.binding is None or thing.body.particles is None:
                continue
            if x is None and index not in self._bent:
                continue
            sent = arrays.parts[index + 1] if x is None else deformed_arrays(scene, arrays, index, poses, x)
            if sent is None:
                continue
            splats[index + 1].set_gaussians(sent.centers, sent.covariances, sent.rgbs, sent.opacities)
            (self._bent.discard if x is None else self._bent.add)(index)


def deformed_arrays(
    scene: Scene, arrays: SceneArrays, index: int, poses: NDArray[np.float32], x: NDArray[np.float32]
) -> SplatArrays | None:
    """The splats of object ``index`` for particles (np, 3) of all deformables; None where they are no numbers."""
    import torch

    from scene3d._scene_object import Binding
    from scene3d._skinning import deform
    from scene3d.viewer._splat_arrays import splat_arrays

    thing = scene.objects[index]
    local = particles_of(scene, index, poses, x)
    if thing.binding is None or thing.body.particles is None or not np.isfinite(local).all():
        return None
    chosen = arrays.indices[index + 1]
    if not len(chosen):
        return None
    # Bindings count the object's own splats.
    own = ((scene.splats.component_index == index + 1).cumsum(0)[chosen] - 1).cpu()
    binding = Binding(thing.binding.indices[own.numpy()], thing.binding.weights[own.numpy()])
    splats = scene.splats[chosen]
    # One colour each is all that a browser draws, so there are no harmonics to turn.
    splats = replace(splats, shN=splats.shN[:, :0])
    R, t = _inverse(poses[index])
    now = local.astype(np.float64) @ R.T + t
    bent = deform(splats, binding, thing.body.particles, torch.from_numpy(now))
    return splat_arrays(bent, arrays.colors[index + 1], arrays.widths[index + 1])


def particle_slice(scene: Scene, index: int) -> slice:
    """Where the particles of object ``index`` are among those of all."""
    counts = [0 if thing.body.particles is None else len(thing.body.particles.points) for thing in scene.objects]
    return slice(sum(counts[:index]), sum(counts[: index + 1]))


def particles_of(
    scene: Scene, index: int, poses: NDArray[np.float32], x: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Particles of object ``index`` in the world (P, 3): of those of all deformables, or at rest in its body."""
    from scene3d.viewer._act_pose import rotation

    particles = scene.objects[index].body.particles
    assert particles is not None
    if x is not None:
        return x[particle_slice(scene, index)]
    pose = poses[index].astype(np.float64)
    return (particles.points @ rotation(pose[3:]).T + pose[:3]).astype(np.float32)


def _inverse(pose: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """From the world to a body."""
    from scene3d.viewer._act_pose import rotation

    R = rotation(pose[3:]).T
    return R, -R @ pose[:3].astype(np.float64)
