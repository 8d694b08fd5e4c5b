"""SAM 2 as users bring it, with a tiny random model of the same class; and who is asked for what in which photo.

Random weights say nothing about where a mug ends. What is done with masks is tested with the true ones of the demo
capture: a predictor that knows the id maps answers in the model's place, and complains about clicks beside the object.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial import KDTree

from scene3d import Scene3dError
from scene3d._camera import Camera
from scene3d._gaussians import Gaussians
from scene3d.capture import View
from scene3d.capture._geometry import Poses, project
from scene3d.segment import find_instances, labels_of, vote
from scene3d.segment._ask_masks import points_inside, shown
from scene3d.segment._labels import Labels
from scene3d.segment._sam2 import Clicks, Sam2, load_sam2
from scene3d.segment._track_masks import (
    ObjectPoints,
    lift_click,
    refine_masks,
    sam2_masks,
    sam2_refined,
    track_masks,
)

if TYPE_CHECKING:
    from transformers import Sam2Config

SIDE = 64


def tiny_config() -> Sam2Config:
    """SAM 2 in all its parts, each as small as it can be."""
    from transformers import (
        Sam2Config,
        Sam2HieraDetConfig,
        Sam2MaskDecoderConfig,
        Sam2PromptEncoderConfig,
        Sam2VisionConfig,
    )

    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[8, 4, 4, 4],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2],
        fpn_hidden_size=32,
    )
    prompts = Sam2PromptEncoderConfig(hidden_size=32, image_size=SIDE, mask_input_channels=8)
    decoder = Sam2MaskDecoderConfig(hidden_size=32, mlp_dim=32, num_attention_heads=4, iou_head_hidden_dim=16)
    return Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the published ones, with random weights."""
    from transformers import Sam2Model

    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("sam2")
    model = Sam2Model(tiny_config())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.12)  # As they are made, they are so small that nothing shows in the masks.
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def copied(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint that a test may spoil."""
    return Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))


def photo(size: tuple[int, int] = (90, 60)) -> np.ndarray:
    """A smooth picture with a bright square in it."""
    ramp = np.linspace(20, 120, size[0])[None].repeat(size[1], 0)
    rgb = np.stack([ramp, ramp[:, ::-1], np.full_like(ramp, 60)], axis=-1)
    rgb[20:40, 30:60] = 230
    return rgb.astype(np.uint8)


def clicks(pixels: Sequence[tuple[float, float]], inside: Sequence[bool]) -> Clicks:
    return Clicks(np.array(pixels, dtype=np.float64), np.array(inside))


# --- the model ---------------------------------------------------------------------------------------------------


def test_model_makes_a_mask_for_each_object(checkpoint: Path) -> None:
    model = load_sam2(checkpoint)
    asked = [clicks([(45, 30), (5, 5)], [True, False]), clicks([(80, 50)], [True]), clicks([(10, 50)] * 3, [True] * 3)]
    logits, scores = model.masks(photo(), asked)
    assert logits.shape == (3, 60, 90)
    assert scores.shape == (3,)
    assert np.isfinite(logits).all()
    assert np.isfinite(scores).all()
    assert logits.std() > 0
    again, _ = load_sam2(checkpoint).masks(photo(), asked)
    assert np.array_equal(logits, again)


def test_points_and_photo_matter(checkpoint: Path) -> None:
    model = load_sam2(checkpoint)
    here, _ = model.masks(photo(), [clicks([(45, 30)], [True])])
    there, _ = model.masks(photo(), [clicks([(8, 8)], [True])])
    other_photo, _ = model.masks(photo()[:, ::-1], [clicks([(45, 30)], [True])])
    assert not np.allclose(here, there)
    assert not np.allclose(here, other_photo)


def test_more_objects_than_are_asked_at_once(checkpoint: Path) -> None:
    model = load_sam2(checkpoint)
    asked = [clicks([(4 * i + 3, 30)], [True]) for i in range(20)]
    logits, _ = model.masks(photo(), asked)
    last, _ = model.masks(photo(), asked[-1:])
    assert np.allclose(logits[-1], last[0], atol=1e-4)


def test_the_mask_that_fits_what_is_expected_is_taken(checkpoint: Path) -> None:
    model, asked = load_sam2(checkpoint), [clicks([(45, 30)], [True])]
    model.model.mask_decoder.iou_prediction_head = Flat()
    offered = []
    for index in range(3):
        one = Sam2(Offering(model.model, index), "cpu")
        offered.append(one.masks(photo(), asked)[0][0] > 0)
    assert len({mask.tobytes() for mask in offered}) == 3
    for mask in offered:
        chosen, _ = model.masks(photo(), asked, mask[None])
        assert (np.mean((chosen[0] > 0) == mask)) == 1


class Flat(torch.nn.Module):
    """All masks are thought equally good."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*tokens.shape[:-1], 4)


class Offering:
    """A model that offers one of its three masks."""

    def __init__(self, model: torch.nn.Module, index: int) -> None:
        self.model, self.index, self.config = model, index, model.config

    def __getattr__(self, name: str) -> object:
        return getattr(self.model, name)

    def __call__(self, **values: object) -> object:
        out = self.model(**values)
        out.pred_masks = out.pred_masks[:, :, [self.index]]
        out.iou_scores = out.iou_scores[:, :, [self.index]]
        return out


def test_a_checkpoint_of_the_video_model_is_read(checkpoint: Path, copied: Path) -> None:
    # The published ones say so; their memory is of no use here.
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "model_type": "sam2_video", "num_maskmem": 7}))
    asked = [clicks([(45, 30)], [True])]
    assert np.array_equal(load_sam2(copied).masks(photo(), asked)[0], load_sam2(checkpoint).masks(photo(), asked)[0])


def test_no_bars_and_no_network(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert load_sam2(checkpoint).size == SIDE
    assert capfd.readouterr() == ("", "")


# --- folders that are no checkpoint ------------------------------------------------------------------------------


def refusal(folder: Path) -> str:
    with pytest.raises(Scene3dError) as caught:
        load_sam2(folder)
    return str(caught.value)


def test_no_folder(tmp_path: Path) -> None:
    assert "There is no folder" in refusal(tmp_path / "facebook" / "sam2")


def test_missing_files(copied: Path) -> None:
    (copied / "model.safetensors").rename(copied / "sam2.pt")
    message = refusal(copied)
    assert "has no model.safetensors" in message
    assert "sam2.pt is a pickle" in message
    (copied / "config.json").unlink()
    assert "no config.json and no model.safetensors" in refusal(copied)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"model_type": "sam"}', "type 'sam', but"),
        ("{}", "type 'None'"),
        ("[1]", "type 'unknown'"),
        ("not json", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ('{"model_type": "sam2", "vision_config": 7}', "cannot be read"),
        (" " * 2_000_000, "no configuration of a model"),
    ],
)
def test_wrong_config(copied: Path, text: str, words: str) -> None:
    (copied / "config.json").write_text(text)
    assert words in refusal(copied)


def test_weights_of_another_model(copied: Path) -> None:
    from safetensors.torch import load_file, save_file

    arrays = load_file(copied / "model.safetensors")
    lost = "mask_decoder.iou_token.weight"
    save_file({name: array for name, array in arrays.items() if name != lost}, copied / "model.safetensors")
    assert lost in refusal(copied)


def test_damaged_weights(copied: Path) -> None:
    whole = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    assert "cannot be read" in refusal(copied)


def test_a_config_that_wants_more_than_there_is(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    config["mask_decoder_config"]["mlp_dim"] = 1_000_000_000
    (copied / "config.json").write_text(json.dumps(config))
    assert "describes a model of" in refusal(copied)


def test_without_transformers(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert 'pip install "scene3d[sam2]"' in refusal(checkpoint)


# --- who is asked for what ---------------------------------------------------------------------------------------


class Truth:
    """Answers with the id maps of a capture; a click on anything else than its object is an error."""

    def __init__(self, root: Path, views: Sequence[View], longest_side: int) -> None:
        instances = find_instances(root, views)
        self.names = instances.names
        photos = [view.load(longest_side) for view in views]
        self.maps = [instances.label_map(view, shot.camera) for view, shot in zip(views, photos, strict=True)]
        self.by_photo = {shot.rgb.tobytes(): map_ for shot, map_ in zip(photos, self.maps, strict=True)}
        self.cameras = [shot.camera for shot in photos]
        self.clicks, self.wrong = 0, 0

    def __call__(
        self, rgb: np.ndarray, clicks: Sequence[Clicks], expected: np.ndarray | None = None, /
    ) -> tuple[np.ndarray, np.ndarray]:
        labels = self.by_photo[rgb.tobytes()]
        logits = np.empty((len(clicks), *labels.shape), dtype=np.float32)
        for index, click in enumerate(clicks):
            column, row = click.pixels.astype(int).T
            at = labels[row, column]
            label = np.bincount(at[click.inside]).argmax()
            self.clicks += len(at)
            self.wrong += int((at[click.inside] != label).sum() + (at[~click.inside] == label).sum() + (label == 0))
            logits[index] = np.where(labels == label, 4.0, -4.0)
        return logits, np.full(len(clicks), 0.9, dtype=np.float32)


@pytest.fixture(scope="module")
def fitted(tabletop: Path, tabletop_scene: Path) -> tuple[Gaussians, list[View], Truth]:
    """Splats in the world, every fifth photo, and what they show."""
    from scene3d import load_scene
    from scene3d._flatten import flatten

    scene = flatten(load_scene(tabletop_scene))
    views = list(scene.photos())[::5]
    return scene.splats, views, Truth(tabletop, views, 200)


def pointed_at(splats: Gaussians, truth: Truth) -> list[ObjectPoints]:
    """One click in the middle of each object in the first photo that shows enough of it."""
    objects = []
    for number, name in enumerate(truth.names):
        index = next(i for i, map_ in enumerate(truth.maps) if (map_ == number + 1).sum() > 150)
        u, v = points_inside(truth.maps[index] == number + 1)[0]
        objects.append(ObjectPoints(name, lift_click(splats, truth.cameras[index], u, v)[None]))
    return objects


def overlap(found: Sequence[np.ndarray], truth: Sequence[np.ndarray], label: int) -> float:
    both = sum(int(((a == label) & (b == label)).sum()) for a, b in zip(found, truth, strict=True))
    either = sum(int((((a == label) | (b == label)) & (a >= 0)).sum()) for a, b in zip(found, truth, strict=True))
    return both / either


def test_one_click_for_each_object_labels_all_photos(fitted: tuple[Gaussians, list[View], Truth]) -> None:
    splats, views, truth = fitted
    told: list[float] = []
    truth.clicks = truth.wrong = 0
    found = track_masks(splats, views, pointed_at(splats, truth), truth, longest_side=200, progress=told.append)
    assert found.names == truth.names
    assert len(found.label_maps) == len(views)
    assert truth.wrong <= 0.02 * truth.clicks
    for number in range(5):
        assert overlap(found.label_maps, truth.maps, number + 1) > 0.97
        shown = np.array([(map_ == number + 1).sum() > 100 for map_ in truth.maps])
        assert np.isfinite(found.scores[shown, number]).mean() > 0.9
    labels = labels_of(vote(splats, found.cameras, found.label_maps, 6))
    best = labels_of(vote(splats, truth.cameras, truth.maps, 6))
    assert (labels == best)[best > 0].float().mean() > 0.97
    assert told == sorted(told)
    assert told[-1] == 1


def test_outlines_of_coarse_labels_become_those_of_the_photos(fitted: tuple[Gaussians, list[View], Truth]) -> None:
    splats, views, truth = fitted
    best = labels_of(vote(splats, truth.cameras, truth.maps, 6)).clamp_min(0)
    # Splats beside the objects are taken for theirs.
    objects = best > 0
    distance, nearest = KDTree(splats.means[objects].numpy()).query(splats.means.numpy())
    coarse = torch.where(torch.from_numpy(distance < 0.015), best[objects][torch.from_numpy(nearest)], best)
    assert (coarse > 0).sum() > 1.2 * objects.sum()
    labels = Labels(truth.names, coarse, (1.0,) * 5)
    found = refine_masks(splats, views, labels, truth, longest_side=200)
    for number in range(5):
        assert overlap(found.label_maps, truth.maps, number + 1) > 0.97


def test_a_mask_that_has_nothing_to_do_with_the_splats_is_not_believed(
    fitted: tuple[Gaussians, list[View], Truth],
) -> None:
    splats, views, truth = fitted
    best = labels_of(vote(splats, truth.cameras, truth.maps, 6)).clamp_min(0)
    labels = Labels(truth.names, best, (1.0,) * 5)

    def nonsense(rgb: np.ndarray, clicks: Sequence[Clicks], expected: np.ndarray | None = None, /) -> tuple:
        return np.full((len(clicks), *rgb.shape[:2]), 1.0, np.float32), np.ones(len(clicks), np.float32)

    found = refine_masks(splats, views[:3], labels, nonsense, longest_side=200)
    assert np.isnan(found.scores).all()
    for camera, map_ in zip(found.cameras, found.label_maps, strict=True):
        assert np.array_equal(map_, shown(splats, camera, best, 5))


def test_hidden_points_are_not_asked_for(fitted: tuple[Gaussians, list[View], Truth]) -> None:
    splats, views, truth = fitted
    objects = pointed_at(splats, truth)
    asked = []

    def listening(rgb: np.ndarray, clicks: Sequence[Clicks], expected: np.ndarray | None = None, /) -> tuple:
        if expected is None:
            asked.append((truth.by_photo[rgb.tobytes()], clicks))
        return truth(rgb, clicks, expected)

    track_masks(splats, views, objects, listening, longest_side=200)
    first = [len(clicks) for _, clicks in asked]
    assert min(first) < 5  # From somewhere one thing hides another's point, or its own back.
    poses = Poses.of(truth.cameras)
    inside = [
        (project(poses, thing.points, i)[0] > 0).all()
        and (project(poses, thing.points, i)[0] < [camera.width, camera.height]).all()
        for i, camera in enumerate(truth.cameras)
        for thing in objects
    ]
    assert sum(first) < sum(inside)


def test_a_point_that_no_photo_sees(fitted: tuple[Gaussians, list[View], Truth]) -> None:
    splats, views, truth = fitted
    lost = ObjectPoints("lost", np.array([[0.0, 0.0, -5.0]]))
    with pytest.raises(Scene3dError, match="No photo sees the point of 'lost'"):
        track_masks(splats, views[:2], [lost], truth, longest_side=200)


def test_clicks_beside_everything() -> None:
    camera = Camera.from_fov(64, 48, 1.0, Camera.look_at(torch.tensor([0.0, -2.0, 0.0]), torch.zeros(3)))
    one = Gaussians.from_points(torch.zeros(1, 3), torch.ones(1, 3), sigma=0.1, opacity=0.99)
    assert np.abs(lift_click(one, camera, 32, 24)).max() < 0.05
    with pytest.raises(Scene3dError, match="Nothing was reconstructed"):
        lift_click(one, camera, 2, 2)
    with pytest.raises(Scene3dError, match="outside the photo of 64 x 48"):
        lift_click(one, camera, 64, 2)


def testpoints_inside_lie_inside_and_apart() -> None:
    area = np.zeros((60, 80), dtype=bool)
    area[10:20, 5:75] = True
    points = points_inside(area)
    assert len(points) == 4
    assert area[points[:, 1].astype(int), points[:, 0].astype(int)].all()
    assert np.ptp(points[:, 0]) > 40
    assert len(points_inside(np.zeros((60, 80), dtype=bool))) == 0


def test_whole_way_with_a_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    views = small_capture(tmp_path)
    splats = Gaussians.from_points(torch.zeros(1, 3), torch.ones(1, 3), sigma=0.2, opacity=0.99)
    thing = ObjectPoints("ball", lift_click(splats, views[0].camera, 32, 24)[None])
    found = sam2_masks(splats, views, [thing], checkpoint, longest_side=64)
    assert [map_.shape for map_ in found.label_maps] == [(48, 64)] * 2
    assert found.scores.shape == (2, 1)
    labels = Labels(("ball",), torch.ones(1, dtype=torch.int64), (1.0,))
    refined = sam2_refined(splats, views, labels, checkpoint, longest_side=64)
    assert refined.names == ("ball",)
    assert all(set(np.unique(map_)) <= {-1, 0, 1} for map_ in (*found.label_maps, *refined.label_maps))


def small_capture(folder: Path) -> list[View]:
    """Two photos of a ball."""
    views = []
    for index, x in enumerate((-0.3, 0.3)):
        path = folder / f"{index}.png"
        Image.fromarray(photo((64, 48))).save(path)
        camera = Camera.from_fov(64, 48, 1.0, Camera.look_at(torch.tensor([x, -2.0, 0.2]), torch.zeros(3)))
        views.append(View(path.name, path, camera))
    return views
