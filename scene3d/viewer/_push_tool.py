"""Where and how hard the selected object is pushed: an arrow from its side, as long as the push is strong.

The arrow lies in the plane across gravity through the centre of mass. Its default is a push to the right of whoever
selected the object, about as strong as makes it slide a hand's breadth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d.viewer._act_arrow import Arrow, Ray
from scene3d.viewer._act_pose import rotation, up_of
from scene3d.viewer._signal import Signal

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from viser import ViserServer

    from dynamics import Body
    from scene3d.viewer._acts import Acts

__all__ = ["Aim", "PushTool", "first_aim", "plane_axes"]

SECONDS = 0.2
SLIDE = 0.1
"""How far a first push should send it [m]."""
TABLE = 0.45
"""Friction of what it stands on, for the first guess."""
STRONGEST = 4.0
"""The most that the arrow can say, over the first guess."""
REACH = 3.5
"""Length of the arrow at its strongest, over the object's radius."""
GAP = 0.12
"""Between object and arrow, over the radius."""
SHORTEST = 0.4
"""Of the arrow, over the radius: a head and a bit."""


@dataclass(frozen=True)
class Aim:
    """A push."""

    angle: float
    """Of its direction in the plane of `plane_axes` [deg]."""
    force: float
    """[N]"""
    seconds: float
    most: float
    """The strongest that can be asked for [N]."""


class PushTool:
    """An aim for each object, and the arrow of the selected one."""

    def __init__(self, acts: Acts, server: ViserServer) -> None:
        self._acts, self._session = acts, acts.session
        self.changed = Signal()
        """Another aim, or that of another object."""
        self.facing = np.array([1.0, 0.0, 0.0])
        """To the right of whoever selected last, in the world."""
        self._aims: dict[int, Aim] = {}
        self._arrow = Arrow(server, "/tools/push", self._dragged)
        self._wanted = False
        self._session.selection_changed.connect(self._draw)
        self._session.moment_changed.connect(self._draw)
        self._session.clock_changed.connect(self._draw)
        self._session.scene_changed.connect(self._aims.clear)

    @property
    def aim(self) -> Aim | None:
        """Of the selected object; None when none is, or it cannot be pushed."""
        index, world = self._session.selected, self._session.world
        if index is None or world is None or self._acts.why_not(index):
            return None
        if index not in self._aims:
            x, y, _ = plane_axes(up_of(world)).T
            angle = np.degrees(np.arctan2(self.facing @ y, self.facing @ x))
            self._aims[index] = first_aim(world.bodies[index], float(np.round(angle / 5) * 5 % 360))
        return self._aims[index]

    def set(self, *, angle: float | None = None, force: float | None = None, seconds: float | None = None) -> None:
        """Aim differently; what is not given stays."""
        aim, index = self.aim, self._session.selected
        if aim is None or index is None:
            return
        changes = {"angle": angle, "force": force, "seconds": seconds}
        self._aims[index] = replace(aim, **{name: value for name, value in changes.items() if value is not None})
        self._draw()
        self.changed.send()

    def force(self) -> NDArray[np.float64]:
        """Of the selected object's aim, in the world [N], shape (3,)."""
        aim = self.aim
        return np.zeros(3) if aim is None else aim.force * self._direction(aim)

    def show(self, wanted: bool) -> None:
        """Whether there is an arrow when something is selected."""
        self._wanted = wanted
        self._draw()

    def hit(self, origin: ArrayLike, direction: ArrayLike) -> bool:
        """Whether a ray meets the ball at the arrow's tip."""
        return self._arrow.hit(origin, direction)

    def _direction(self, aim: Aim) -> NDArray[np.float64]:
        assert self._session.world is not None
        x, y, _ = plane_axes(up_of(self._session.world)).T
        return np.cos(np.radians(aim.angle)) * x + np.sin(np.radians(aim.angle)) * y

    def _draw(self) -> None:
        with self._session.lock:
            aim, index = self.aim, self._session.selected
            if not self._wanted or aim is None or index is None or self._session.clock.playing:
                self._arrow.hide()
                return
            middle, radius = self._middle(index)
            if not np.isfinite(middle).all():
                self._arrow.hide()
                return
            along = self._direction(aim)
            start = middle + (self._side(index, along) + GAP * radius) * along
            tip = start + max(REACH * aim.force / aim.most, SHORTEST) * radius * along
            self._arrow.draw(start, tip, radius, tip)

    def _dragged(self, ray: Ray) -> None:
        """The tip follows the pointer in the plane of the arrow."""
        with self._session.lock:
            aim, index, world = self.aim, self._session.selected, self._session.world
            if aim is None or index is None or world is None:
                return
            axes = plane_axes(up_of(world))
            middle, radius = self._middle(index)
            steep = float(ray[1] @ axes[:, 2])
            distance = 1.0 if abs(steep) < 1e-6 else float((middle - ray[0]) @ axes[:, 2]) / steep
            if distance <= 0:
                return
            x, y = ((ray[0] + distance * ray[1] - middle) @ axes[:, :2]).tolist()
            if np.hypot(x, y) < 1e-9:
                return
            along = (axes[:, 0] * x + axes[:, 1] * y) / np.hypot(x, y)
            length = (np.hypot(x, y) - self._side(index, along) - GAP * radius) / (REACH * radius)
            force = float(np.clip(length, 0.02, 1.0)) * aim.most
            self.set(angle=float(np.degrees(np.arctan2(y, x)) % 360), force=force)

    def _middle(self, index: int) -> tuple[NDArray[np.float64], float]:
        """Where the centre of mass is now, and half the diagonal of the object [m]."""
        body, pose = self._session.scene.objects[index].body, self._session.poses()[index].astype(np.float64)
        low, high = body.mesh.bounds
        return pose[:3] + rotation(pose[3:]) @ body.com, float(np.linalg.norm(high - low)) / 2

    def _side(self, index: int, along: NDArray[np.float64]) -> float:
        """How far the object reaches from its centre of mass in a direction [m]."""
        body, pose = self._session.scene.objects[index].body, self._session.poses()[index].astype(np.float64)
        return float(((body.mesh.vertices - body.com) @ (rotation(pose[3:]).T @ along)).max())


def first_aim(body: Body, angle: float) -> Aim:
    """A push that sends a body of medium friction about a hand's breadth far."""
    friction = float(np.sqrt(body.material.friction * TABLE))
    # It gains speed over half the push's time and loses it by friction: t v / 2 + v^2 / (2 mu g) = SLIDE.
    slowing = friction * 9.81
    speed = slowing * (float(np.sqrt(SECONDS**2 / 4 + 2 * SLIDE / slowing)) - SECONDS / 2)
    force = _two_digits(body.mass * (speed / SECONDS + slowing))
    return Aim(angle, force, SECONDS, _two_digits(STRONGEST * force))


def plane_axes(up: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two directions across gravity and up, as columns of a rotation (3, 3); the world's X and Y where up is Z."""
    x = np.eye(3)[0] - up[0] * up
    if np.linalg.norm(x) < 0.1:
        x = np.eye(3)[1] - up[1] * up
    x = x / np.linalg.norm(x)
    return np.stack([x, np.cross(up, x), up], axis=1).astype(np.float64)


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")
