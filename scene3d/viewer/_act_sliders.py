"""Sliders for what photos do not show of the selected object: what if it were heavier, smoother, bouncier, top-heavy?

Marks on a slider are what is known: the median and the ends of the interval that holds 90 % of the futures. A slider
that somebody moves fixes its quantity in every future to come; `reset` frees all of them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d.viewer._act_changes import Change, Range, ranges
from scene3d.viewer._act_pose import rotation, up_of

if TYPE_CHECKING:
    from viser import GuiEvent, ViserServer

    from scene3d.viewer._acts import Acts

__all__ = ["ChangeSliders"]

MOST_FUTURES = 64
FACTOR = 4.0
"""Masses from the median over this to the median times this."""
LABELS = {"mass": "Mass [kg]", "friction": "Friction", "restitution": "Bounce", "balance": "Balance [cm]"}
HINTS = {
    "mass": "Marks: median and the interval of 90 % of the futures, unless it is set here",
    "friction": "Coulomb coefficient; a pair has the geometric mean of both",
    "restitution": "Speed after over speed before an impact; a pair has the greater",
    "balance": "How far the centre of mass lies above where it was thought to be",
}
SHOWN = {"balance": 100.0}
"""Shown value over that of `Change`."""


class ChangeSliders:
    """A folder whose content is that of the selected object."""

    def __init__(self, acts: Acts, server: ViserServer) -> None:
        self._acts, self._session, self._gui = acts, acts.session, server.gui
        self._folder = server.gui.add_folder("What if", expand_by_default=False, visible=False)
        with self._folder:
            self._add_ahead()
        self._known: dict[str, Range] = {}
        self._handles: dict[str, Any] = {}
        self._material: Any = None
        self._reset: Any = None
        self._session.selection_changed.connect(self._renew)
        acts.changed.connect(self._follow)
        self._renew()

    def _renew(self) -> None:
        with self._session.lock:
            for handle in (*self._handles.values(), self._material, self._reset):
                if handle is not None:
                    handle.remove()
            self._handles, self._material, self._reset = {}, None, None
            index, world = self._session.selected, self._session.world
            usable = index is not None and world is not None and not self._acts.why_not(index)
            self._folder.visible = usable
            if not usable or index is None or world is None:
                return
            self._known = ranges(self._session.scene, world, index, self._acts.posterior)
            with self._folder:
                self._add_material(index)
                for quantity in LABELS:
                    self._add_slider(index, quantity)
                self._reset = self._gui.add_button("Reset", color="gray", hint="As photos and priors have it")
            self._reset.on_click(lambda _: self._acts.fix(index, Change()))
            self._follow()

    def _add_ahead(self) -> None:
        futures = self._gui.add_slider(
            "Futures", 1, MOST_FUTURES, 1, self._acts.futures, hint="Each with what photos do not show drawn anew"
        )
        seconds = self._gui.add_slider("Seconds", 0.5, 10.0, 0.5, self._acts.seconds, hint="How far to look ahead")
        futures.on_update(lambda event: self._acts.ahead(futures=int(event.target.value)))
        seconds.on_update(lambda event: self._acts.ahead(seconds=float(event.target.value)))

    def _add_material(self, index: int) -> None:
        from dynamics import load_materials

        body = self._session.scene.objects[index].body
        materials = load_materials()
        names = tuple(materials) if body.material.name in materials else (body.material.name, *materials)
        self._material = self._gui.add_dropdown(
            "Material", names, initial_value=body.material.name, hint="Sets mass, friction and bounce to its medians"
        )

        @self._material.on_update
        def _(event: GuiEvent[Any]) -> None:
            if event.client is None:
                return
            chosen = materials.get(event.target.value)
            if chosen is None or chosen.name == body.material.name:
                self._acts.fix(index, Change())
                return
            mass = chosen.density * body.volume
            self._acts.fix(index, Change(mass, chosen.friction, chosen.restitution))

    def _add_slider(self, index: int, quantity: str) -> None:
        known = self._known[quantity]
        low, high, step = self._span(index, quantity)
        scale = SHOWN.get(quantity, 1.0)
        marks = sorted({round(float(np.clip(scale * v, low, high)), 6) for v in (known.low, known.median, known.high)})
        slider = self._gui.add_slider(
            LABELS[quantity],
            low,
            high,
            step,
            _rounded(scale * known.median, low, high, step),
            marks=tuple(marks),
            hint=HINTS[quantity],
        )
        self._handles[quantity] = slider

        @slider.on_update
        def _(event: GuiEvent[Any]) -> None:
            # What is set from here comes back without a client.
            if event.client is not None:
                self._acts.change(index, quantity, float(event.target.value) / scale)

    def _span(self, index: int, quantity: str) -> tuple[float, float, float]:
        """Least, greatest and step of a slider, as shown."""
        known = self._known[quantity]
        if quantity == "mass":
            low, high = min(known.median / FACTOR, known.low), max(known.median * FACTOR, known.high)
            step = 10.0 ** np.floor(np.log10(high / 50))
            return max(step, float(np.floor(low / step) * step)), float(np.ceil(high / step) * step), float(step)
        if quantity == "balance":
            world, thing = self._session.world, self._session.scene.objects[index]
            assert world is not None
            up = rotation(thing.T_world_body[3:]).T @ up_of(world)
            heights = (thing.body.mesh.vertices - thing.body.com) @ up
            reach = 0.8 * 100 * float(min(heights.max(), -heights.min()))
            return -round(reach, 1), round(reach, 1), 0.1
        return (0.0, 1.5, 0.01) if quantity == "friction" else (0.0, 1.0, 0.01)

    def _follow(self) -> None:
        """Values are what will be simulated."""
        with self._session.lock:
            index = self._session.selected
            if index is None or not self._handles:
                return
            change = self._acts.changes.get(index, Change())
            for quantity, slider in self._handles.items():
                value = getattr(change, quantity)
                value = self._known[quantity].median if value is None else value
                slider.value = _rounded(SHOWN.get(quantity, 1.0) * value, slider.min, slider.max, slider.step)
            if change == Change():
                self._material.value = self._session.scene.objects[index].body.material.name
            self._reset.disabled = change == Change()
            self._folder.label = "What if" if change == Change() else "What if (changed)"


def _rounded(value: float, low: float, high: float, step: float) -> float:
    """As a slider shows it."""
    digits = max(0, -int(np.floor(np.log10(step) + 1e-9))) + 1
    return round(float(np.clip(round(value / step) * step, low, high)), digits)
