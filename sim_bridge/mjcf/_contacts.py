"""How surfaces touch, in MuJoCo's words: a body's material in, attributes of its geoms and pairs out.

MuJoCo gives two geoms the greater of their frictions and, of contact springs in the direct form, the stiffer and more
damped; we take the geometric mean of frictions and the greater restitution. Where both agree nothing is written.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from sim_bridge.mjcf._described import numbers

if TYPE_CHECKING:
    from collections.abc import Collection

    from dynamics import Body
    from sim_bridge.mjcf._described import DescribedBody

__all__ = ["MOST_PAIRS", "add_contacts", "surface"]

TIME_CONSTANT = 0.01
"""How fast overlap is undone [s]: what lies still sinks in by 0.11 mm at most."""
MOST_PAIRS = 20_000
"""More would take longer to load than they are worth."""
AGREE = 1e-9


def surface(body: Body) -> dict[str, str]:
    """Attributes of a geom that collides: sliding friction only, and the contact spring."""
    return {
        "friction": numbers((body.material.friction, 0.0, 0.0)),
        "condim": "3",
        "solref": _spring(body.material.restitution),
    }


def add_contacts(
    root: ElementTree.Element, bodies: list[DescribedBody], joined: Collection[tuple[int, int]] = ()
) -> list[str]:
    """Write out the pairs of geoms that MuJoCo would take otherwise, but for joined bodies; notes for people."""
    pairs = []
    for pair in combinations(range(len(bodies)), 2):
        here, there = (bodies[index] for index in pair)
        if pair in joined:  # A pair that is written out would touch in spite of what excludes it.
            continue
        if "dynamic" not in (here.body.motion, there.body.motion):
            continue
        first, second = here.body.material, there.body.material
        mean = math.sqrt(first.friction * second.friction)
        alike = abs(mean - max(first.friction, second.friction)) < AGREE
        if alike and abs(first.restitution - second.restitution) < AGREE:
            continue
        values = {
            "friction": numbers((mean, mean, 0.0, 0.0, 0.0)),
            "solref": _spring(max(first.restitution, second.restitution)),
        }
        pairs += [(one, two, values) for one in _geoms(here) for two in _geoms(there)]
    if len(pairs) > MOST_PAIRS:
        return [f"{len(pairs)} pairs of parts would need their own friction; MuJoCo takes the greater of two instead."]
    if pairs:
        contact = ElementTree.SubElement(root, "contact")
        for one, two, values in pairs:
            ElementTree.SubElement(contact, "pair", geom1=one, geom2=two, condim="3", **values)
    return []


def _geoms(thing: DescribedBody) -> list[str]:
    if thing.body.primitive is not None:
        return [f"{thing.file_name}_{thing.body.primitive.kind}"]
    return [f"{thing.file_name}_part_{number:03d}" for number in range(len(thing.meshes))]


def _spring(restitution: float) -> str:
    from dynamics.baselines import contact_parameters

    return numbers(contact_parameters(restitution, TIME_CONSTANT))
