"""Labels become bodies: what is kept of what a person said, what is guessed, and what is said of those that cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from scene3d import Scene, Scene3dError
from scene3d._support import SupportPlane
from scene3d.edit import rename, set_mass, set_material
from scene3d.segment import SegmentRequest
from scene3d.segment._labels import Labels
from scene3d.segment._make_objects import Made, make_objects

from .photographed_desk import BLUE, RED, TRUTH, desk, photographed

TOP = SupportPlane(
    torch.tensor([0.0, 0, 1]).double().numpy(),
    0.0,
    0.001,
    torch.tensor([[-0.3, -0.3, 0], [0.3, -0.3, 0], [0.3, 0.3, 0], [-0.3, 0.3, 0]]).double().numpy(),
)
SPECK = 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return photographed(tmp_path_factory.mktemp("desk") / "photos", desk())


@pytest.fixture(scope="module")
def numbered(made: Scene) -> Made:
    """Red and blue, as shape alone would find them."""
    return make_objects(made, labelled("object-1", "object-2"), SegmentRequest())


def labelled(*names: str, of_splat: torch.Tensor = TRUTH) -> Labels:
    """Red, blue and what else `of_splat` labels."""
    return Labels(names, of_splat, (0.9,) * len(names), (TOP,), notes=())


def with_speck(count: int) -> torch.Tensor:
    """Some of the red block's splats are a thing of their own."""
    of_splat = TRUTH.clone()
    of_splat[(TRUTH == RED).nonzero()[:count, 0]] = SPECK
    return of_splat


def only_red(of_splat: torch.Tensor = TRUTH) -> torch.Tensor:
    return torch.where(of_splat == RED, 1, 0)


def test_bodies_stand_where_the_blocks_do(numbered: Made) -> None:
    red, blue = numbered.objects
    assert torch.equal(numbered.of_splat, TRUTH)
    assert numbered.notes == ()
    assert red.T_world_body[:3] == pytest.approx((-0.1, 0.0, 0.0), abs=0.004)
    assert blue.T_world_body[:3] == pytest.approx((0.1, 0.04, 0.0), abs=0.004)
    for thing in (red, blue):
        assert (thing.kind, thing.body.material.name) == ("rigid", "unknown")
        assert thing.body.mass_log_std > 1
        assert {"mass", "friction", "kind", "underside"} <= set(thing.guessed)


def test_what_is_said_is_not_guessed(made: Scene) -> None:
    labels = labelled("red block", of_splat=only_red())
    request = SegmentRequest(materials={"red block": "steel"}, masses={"red block": 1.5}, kinds={"red block": "rigid"})
    (thing,) = make_objects(made, labels, request).objects
    assert (thing.body.mass, thing.body.mass_log_std, thing.body.material.name) == (1.5, 0.0, "steel")
    assert not {"mass", "friction", "kind"} & set(thing.guessed)


def test_what_was_said_before_is_kept(made: Scene, numbered: Made) -> None:
    before = replace(made, objects=numbered.objects)
    before = set_material(set_mass(rename(before, "object-1", "brick"), "brick", 0.7), "brick", "steel")
    before = replace(
        before, objects=(replace(before.objects[0], kind="rigid", guessed=("underside",)), *before.objects[1:])
    )
    # Numbers may change from run to run: places do not.
    swapped = torch.tensor([0, BLUE, RED])[TRUTH]
    again = make_objects(
        made, labelled("object-1", "object-2", of_splat=swapped), SegmentRequest(), before=before.objects
    )
    blue, red = again.objects
    assert (blue.name, red.name) == ("object-1", "brick")
    assert (red.body.mass, red.body.mass_log_std, red.body.material.name) == (0.7, 0.0, "steel")
    assert not {"mass", "friction", "kind"} & set(red.guessed)
    assert (blue.body.material.name, "mass" in blue.guessed) == ("unknown", True)

    # What is said now counts more, but a scale knows better than a density; "unknown" takes a material back.
    # A name that masks give is not replaced by the older one.
    now = SegmentRequest(materials={"mug": "unknown"})
    labels = labelled("mug", of_splat=only_red())
    (red,) = make_objects(made, labels, now, before=before.objects).objects
    assert (red.name, red.body.mass, red.body.material.name) == ("mug", 0.7, "unknown")
    assert ("friction" in red.guessed, "mass" in red.guessed) == (True, False)


def test_a_thing_of_40_splats(made: Scene) -> None:
    labels = labelled("speck", "red", of_splat=torch.tensor([0, 2, 0, 1])[with_speck(40)])
    found = make_objects(made, labels, SegmentRequest())
    assert [thing.name for thing in found.objects] == ["red"]
    assert torch.equal(found.of_splat, only_red(with_speck(40)))
    assert found.notes == (
        "speck is made of 40 splats; a body needs at least 50. Take photos from closer, or merge it with the object "
        "that it belongs to. It stays part of the background.",
    )


def test_nothing_that_can_become_a_body(made: Scene) -> None:
    alone = torch.where(with_speck(40) == SPECK, 1, 0)
    with pytest.raises(Scene3dError, match=r"No object of the scene can become a body. speck is made of 40 splats"):
        make_objects(made, labelled("speck", of_splat=alone), SegmentRequest())
    none = replace(labelled(of_splat=torch.zeros_like(TRUTH)), notes=("'speck' has 12 splats, too few for a body.",))
    with pytest.raises(Scene3dError, match=r"can become a body. 'speck' has 12 splats, too few"):
        make_objects(made, none, SegmentRequest())


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--material", {"materials": {"mug": "steel"}}),
        ("--mass", {"masses": {"mug": 1.0}}),
        ("--kind", {"kinds": {"mug": "rigid"}}),
    ],
)
def test_a_request_of_an_object_that_there_is_not(made: Scene, flag: str, said: dict) -> None:
    with pytest.raises(Scene3dError) as caught:
        make_objects(made, labelled("red", "blue"), SegmentRequest(**said))
    assert str(caught.value) == f"{flag} names 'mug', which is no object of the scene. These were found: red, blue."
    assert caught.value.exit_code == 2
