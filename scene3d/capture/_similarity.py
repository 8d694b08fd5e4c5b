"""Similarities: the change of world that gives a capture its scale, its gravity and its origin.

`Similarity` maps p to scale R p + t. `transform_capture`, `transform_splats` and `transform_scene` express the same
photos and splats in the new world: what is rendered through a moved camera is the old picture, with depths that are
`scale` times the old. Cameras stay rigid: their centres move and their axes turn, pixels keep their rays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d._scene import Scene, SceneView
    from scene3d.capture._capture import Capture, View

__all__ = ["Similarity", "transform_capture", "transform_scene", "transform_splats"]

Rows = tuple[tuple[float, float, float, float], ...]

TOLERANCE = 1e-6
"""Largest deviation of R^T R from the identity that still counts as a rotation."""


@dataclass(frozen=True, eq=False)
class Similarity:
    """p -> scale R p + t."""

    scale: float = 1.0
    """Factor on lengths, above zero."""
    R: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    """Rotation, shape (3, 3)."""
    t: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    """Translation [new units], shape (3,)."""

    def __post_init__(self) -> None:
        R, t = np.array(self.R, dtype=np.float64), np.array(self.t, dtype=np.float64)
        if R.shape != (3, 3) or t.shape != (3,):
            raise ValueError(f"A similarity needs R (3, 3) and t (3,), found {R.shape} and {t.shape}.")
        if not (np.isfinite(self.scale) and self.scale > 0 and np.isfinite(R).all() and np.isfinite(t).all()):
            raise ValueError(f"A similarity needs a finite scale above zero, R and t, found scale {self.scale!r}.")
        if np.abs(R.T @ R - np.eye(3)).max() > TOLERANCE or np.linalg.det(R) < 0:
            raise ValueError("R of a similarity must be a rotation: orthonormal columns, determinant +1.")
        for name, value in (("scale", float(self.scale)), ("R", R), ("t", t)):
            object.__setattr__(self, name, value)

    @staticmethod
    def identity() -> Similarity:
        """The map that changes nothing."""
        return Similarity()

    @staticmethod
    def of_matrix(matrix: ArrayLike) -> Similarity:
        """The similarity that a matrix (4, 4) with last row 0 0 0 1 describes.

        Raises:
            ValueError: The matrix is not one of a similarity, e.g. it mirrors or shears.
        """
        M = np.asarray(matrix, dtype=np.float64)
        if M.shape != (4, 4) or not np.isfinite(M).all() or not np.array_equal(M[3], [0, 0, 0, 1]):
            raise ValueError("A similarity is a finite matrix (4, 4) with last row 0 0 0 1.")
        determinant = float(np.linalg.det(M[:3, :3]))
        if determinant <= 0:
            raise ValueError("The matrix mirrors or flattens space, which no similarity does.")
        scale = determinant ** (1 / 3)
        U, _, Vt = np.linalg.svd(M[:3, :3] / scale)
        R = U @ Vt
        if np.abs(R * scale - M[:3, :3]).max() > TOLERANCE * scale:
            raise ValueError("The matrix shears or stretches space, which no similarity does.")
        return Similarity(scale, R, M[:3, 3])

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Homogeneous matrix, shape (4, 4)."""
        M = np.eye(4)
        M[:3, :3] = self.scale * self.R
        M[:3, 3] = self.t
        return M

    @property
    def rows(self) -> Rows:
        """The matrix as tuples, the form in which captures and scenes store it."""
        return tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in self.matrix)

    def compose(self, first: Similarity) -> Similarity:
        """The map that does `first` and then this one; also written ``self @ first``."""
        return Similarity(self.scale * first.scale, self.R @ first.R, self.scale * self.R @ first.t + self.t)

    __matmul__ = compose

    def inverse(self) -> Similarity:
        """The map that undoes this one."""
        return Similarity(1 / self.scale, self.R.T, -self.R.T @ self.t / self.scale)

    def points(self, xyz: ArrayLike) -> NDArray[np.float64]:
        """Where points (..., 3) go, float64."""
        return self.scale * np.asarray(xyz, dtype=np.float64) @ self.R.T + self.t

    def directions(self, xyz: ArrayLike) -> NDArray[np.float64]:
        """Where directions (..., 3) turn to; lengths stay, float64."""
        return np.asarray(xyz, dtype=np.float64) @ self.R.T

    def camera(self, camera: Camera) -> Camera:
        """The camera, or batch of cameras, that sees the moved world as the old one saw the old."""
        import torch

        old = camera.T_world_cam
        R, t = torch.from_numpy(self.R).to(old.device), torch.from_numpy(self.t).to(old.device)
        T = old.double().clone()
        T[..., :3, :3] = R @ old[..., :3, :3].double()
        T[..., :3, 3] = self.scale * old[..., :3, 3].double() @ R.T + t
        return replace(camera, T_world_cam=T.to(old.dtype))

    def after(self, rows: Rows | None) -> Rows:
        """The stored transform of a capture or scene (None for the identity), followed by this one."""
        return (self if rows is None else self @ Similarity.of_matrix(rows)).rows

    def up(self, up: tuple[float, float, float]) -> tuple[float, float, float]:
        """Where a direction that points up turns to, unit length."""
        x, y, z = self.directions(up) / np.linalg.norm(up)
        return (float(x), float(y), float(z))


def transform_capture(capture: Capture, s: Similarity) -> Capture:
    """The same capture in another world.

    Sensor depth is in metres whatever the poses are in, so depth files are left alone. Whether the new lengths are
    metres is for the caller to say (`Capture.metric`).
    """
    points = capture.points
    if points is not None:
        points = replace(points, points=s.points(points.points).astype(np.float32))
    return replace(
        capture,
        views=tuple(_view(view, s) for view in capture.views),
        points=points,
        up=None if capture.up is None else s.up(capture.up),
        T_world_source=s.after(capture.T_world_source),
    )


def transform_splats(splats: Gaussians, s: Similarity) -> Gaussians:
    """The same splats in another world: moved, grown and turned, view-dependent colour included.

    Only splats of the background (``component_index`` 0) are in the world's frame. Those of bodies are in frames of
    their own and are returned unchanged; what moves them is their bodies' poses, and `transform_scene` makes them grow.
    """
    import torch

    background = splats.component_index == 0
    if not bool(background.all()):
        moved = transform_splats(splats[background], s)
        names = ("means", "quats", "scales", "sh0", "shN")
        new = {name: getattr(splats, name).clone() for name in names}
        for name in names:
            new[name][background] = getattr(moved, name)
        return replace(splats, **new)
    means, quats, shN = splats.means, splats.quats, splats.shN
    R, t = torch.from_numpy(s.R).to(means.device), torch.from_numpy(s.t).to(means.device)
    if not np.array_equal(s.R, np.eye(3)):
        from scene3d._sh_rotation import rotate_sh

        quats = _turned(quats.double(), R).to(quats.dtype)
        shN = rotate_sh(shN, R)
    return replace(
        splats,
        means=(s.scale * means.double() @ R.T + t).to(means.dtype),
        quats=quats,
        scales=(splats.scales.double() + np.log(s.scale)).to(splats.scales.dtype),
        shN=shN,
    )


def transform_scene(scene: Scene, s: Similarity) -> Scene:
    """The same scene in another world; whether its lengths are metres is for the caller to say.

    Objects, supports and joints come along. Masses that are density times volume change with the volume.
    """
    from scene3d._scene_joints import transform_joints
    from scene3d.capture._object_similarity import transform_object, transform_support

    return replace(
        scene,
        splats=_grow_bodies(transform_splats(scene.splats, s), s),
        views=tuple(_scene_view(view, s) for view in scene.views),
        up=s.up(scene.up),
        T_world_source=s.after(scene.T_world_source),
        objects=tuple(transform_object(thing, s) for thing in scene.objects),
        supports=tuple(transform_support(support, s) for support in scene.supports),
        joints=transform_joints(scene.joints, s),
    )


def _view(view: View, s: Similarity) -> View:
    return replace(view, camera=s.camera(view.camera))


def _scene_view(view: SceneView, s: Similarity) -> SceneView:
    photo = None if view.photo is None else _view(view.photo, s)
    return replace(view, camera=s.camera(view.camera), photo=photo)


def _grow_bodies(splats: Gaussians, s: Similarity) -> Gaussians:
    """Splats of bodies after their bodies grew about the origins of their frames; the background as it is."""
    body = splats.component_index > 0
    if s.scale == 1 or not bool(body.any()):
        return splats
    grown = transform_splats(
        replace(splats[body], component_index=splats.component_index[body] * 0), Similarity(s.scale)
    )
    means, scales = splats.means.clone(), splats.scales.clone()
    means[body], scales[body] = grown.means, grown.scales
    return replace(splats, means=means, scales=scales)


def _turned(quats: Tensor, R: Tensor) -> Tensor:
    """Quaternions (N, 4) wxyz followed by the rotation (3, 3); their lengths stay."""
    import torch
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(R.cpu().numpy()).as_quat()
    left = torch.tensor([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]], dtype=torch.float64)
    return quats @ left.to(quats.device).T
