"""glTF with KHR_gaussian_splatting: the structure of what is written, what is read back, and files that lie."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scene3d import Gaussians
from scene3d._errors import FileFormatError
from scene3d.files import load_splats, save_splats

from .conftest import degrees, largest, seeded

KHR = "KHR_gaussian_splatting"


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    """JSON and buffer of a .glb, by the glTF 2.0 specification."""
    data = path.read_bytes()
    magic, version, size = struct.unpack_from("<4sII", data)
    assert (magic, version, size) == (b"glTF", 2, len(data))
    length, kind = struct.unpack_from("<I4s", data, 12)
    assert (kind, length % 4) == (b"JSON", 0)
    body_length, body_kind = struct.unpack_from("<I4s", data, 20 + length)
    assert (body_kind, body_length % 4, 28 + length + body_length) == (b"BIN\0", 0, size)
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def write(path: Path, document: dict[str, Any], body: bytes) -> Path:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(body), b"BIN\0") + body
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return path


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_structure_by_the_specification(tmp_path: Path, degree: int) -> None:
    splats = seeded(7, degree)
    assert save_splats(splats, tmp_path / "a.glb", up=(0.0, 0.0, 1.0)) == ()
    document, body = parts(tmp_path / "a.glb")
    assert document["asset"]["version"] == "2.0"
    assert document["extensionsUsed"] == [KHR]
    (primitive,) = document["meshes"][0]["primitives"]
    assert primitive["mode"] == 0
    extension = primitive["extensions"][KHR]
    assert (extension["kernel"], extension["colorSpace"]) == ("ellipse", "srgb_rec709_display")
    wanted = {"POSITION": "VEC3", f"{KHR}:ROTATION": "VEC4", f"{KHR}:SCALE": "VEC3", f"{KHR}:OPACITY": "SCALAR"}
    wanted |= {f"{KHR}:SH_DEGREE_{d}_COEF_{n}": "VEC3" for d in range(degree + 1) for n in range(2 * d + 1)}
    assert set(primitive["attributes"]) == set(wanted)
    values = {}
    for name, index in primitive["attributes"].items():
        accessor = document["accessors"][index]
        assert (accessor["componentType"], accessor["count"], accessor["type"]) == (5126, 7, wanted[name])
        view = document["bufferViews"][accessor["bufferView"]]
        assert view["byteOffset"] % 4 == 0
        chunk = body[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        values[name] = np.frombuffer(chunk, "<f4").reshape(7, -1)
    assert document["buffers"] == [{"byteLength": len(body)}]
    place = document["accessors"][primitive["attributes"]["POSITION"]]
    assert place["min"] == values["POSITION"].min(axis=0).tolist()
    assert place["max"] == values["POSITION"].max(axis=0).tolist()
    # Activated values, xyzw, one coefficient after the other.
    assert np.array_equal(values["POSITION"], splats.means.numpy())
    assert np.allclose(values[f"{KHR}:SCALE"], splats.scales.exp().numpy())
    assert np.allclose(values[f"{KHR}:OPACITY"][:, 0], splats.opacities.sigmoid().numpy())
    unit = torch.nn.functional.normalize(splats.quats, dim=1).numpy()
    assert np.allclose(values[f"{KHR}:ROTATION"], unit[:, [1, 2, 3, 0]])
    if degree == 3:
        assert np.array_equal(values[f"{KHR}:SH_DEGREE_2_COEF_4"], splats.shN[:, 7].numpy())


@pytest.mark.parametrize("up", [(0, 0, 1), (0, 1, 0), (0, -1, 0), (1, 0, 0), (0.6, 0, -0.8), (0.1, -0.99, 0.02)])
def test_the_node_turns_up_to_y(tmp_path: Path, up: tuple[float, float, float]) -> None:
    from scipy.spatial.transform import Rotation

    save_splats(seeded(3), tmp_path / "a.glb", up=up)
    (node,) = parts(tmp_path / "a.glb")[0]["nodes"]
    unit = np.array(up) / np.linalg.norm(up)
    assert Rotation.from_quat(node["rotation"]).apply(unit) == pytest.approx([0, 1, 0], abs=1e-9)
    assert load_splats(tmp_path / "a.glb").up == pytest.approx(tuple(unit), abs=1e-9)


@pytest.mark.parametrize("degree", [0, 2, 3])
def test_round_trip(tmp_path: Path, degree: int) -> None:
    before = seeded(500, degree)
    lost = save_splats(before, tmp_path / "a.glb")
    assert lost == ("Up is not known; -Y was taken, as 3DGS files have it.",)
    found = load_splats(tmp_path / "a.glb")
    after = found.splats
    assert (found.format, found.up) == ("glb", pytest.approx((0, -1, 0)))
    assert largest(before.means, after.means) == 0
    assert largest(before.sh0, after.sh0) == 0
    assert largest(before.shN, after.shN) == 0
    assert largest(before.scales, after.scales) < 1e-5
    assert largest(before.opacities, after.opacities) < 1e-2  # float32 near 1 has 1e-7 to tell 9 from 9.001.
    assert degrees(before, after) < 1e-3


def test_nodes_that_move_and_scale(tmp_path: Path) -> None:
    before = seeded(20, 1)
    save_splats(before, tmp_path / "a.glb")
    document, body = parts(tmp_path / "a.glb")
    half = np.sqrt(0.5)
    document["nodes"] = [
        {"children": [1, 2], "scale": [2, 2, 2]},
        {"mesh": 0, "rotation": [0, 0, half, half], "translation": [1, 0, 0]},
        {"mesh": 0, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 5, 1]},
    ]
    found = load_splats(write(tmp_path / "b.glb", document, body))
    assert (len(found.splats), found.up) == (40, (0.0, 1.0, 0.0))
    x, y, z = before.means.unbind(1)
    assert largest(found.splats.means[:20], 2 * torch.stack([1 - y, x, z], dim=1)) < 1e-5
    assert largest(found.splats.means[20:], 2 * (before.means + torch.tensor([0, 0, 5.0]))) < 1e-5
    assert largest(found.splats.scales[:20], before.scales + np.log(2)) < 1e-5
    # Degree 1 is (-y, z, -x): a quarter turn about z brings x to y and y to -x.
    a, b, c = before.shN[:, 0], before.shN[:, 1], before.shN[:, 2]
    assert largest(found.splats.shN[:20], torch.stack([c, b, -a], dim=1)) < 1e-5


def test_quantised_attributes(tmp_path: Path) -> None:
    save_splats(seeded(4, 0), tmp_path / "a.glb")
    document, body = parts(tmp_path / "a.glb")
    opacity = document["accessors"][document["meshes"][0]["primitives"][0]["attributes"][f"{KHR}:OPACITY"]]
    opacity |= {"componentType": 5121, "normalized": True, "bufferView": len(document["bufferViews"])}
    document["bufferViews"].append({"buffer": 0, "byteOffset": len(body), "byteLength": 4})
    found = load_splats(write(tmp_path / "b.glb", document, body + bytes([1, 51, 102, 254])))
    assert found.splats.opacities.sigmoid().tolist() == pytest.approx([1 / 255, 0.2, 0.4, 254 / 255], abs=1e-6)


Edit = Callable[[dict[str, Any]], object]


def accessor(document: dict[str, Any]) -> dict[str, Any]:
    return document["accessors"][0]


def primitive(document: dict[str, Any]) -> dict[str, Any]:
    return document["meshes"][0]["primitives"][0]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: accessor(d).update(count=10**9), "reaches beyond its buffer"),
        (lambda d: accessor(d).update(count=-1), "has -1 rows"),
        (lambda d: accessor(d).update(count=3.5), "has -1 rows"),
        (lambda d: accessor(d).update(byteOffset=-8), "cannot be"),
        (lambda d: accessor(d).update(byteOffset=10**18), "reaches beyond"),
        (lambda d: accessor(d).update(bufferView=99), r"refers to bufferViews\[99\]"),
        (lambda d: accessor(d).update(sparse={}), "not a plain array"),
        (lambda d: accessor(d).update(type="MAT4"), "not a plain array of 3"),
        (lambda d: accessor(d).update(count=3), "rows where 3 are wanted"),
        (lambda d: d["bufferViews"][0].update(byteStride=1), "cannot be"),
        (lambda d: d["bufferViews"][0].update(byteLength=10**12), "reaches beyond"),
        (lambda d: d["bufferViews"][0].update(buffer=1), "reaches beyond"),
        (lambda d: d["nodes"][0].update(children=[0]), "form a cycle"),
        (lambda d: d["nodes"][0].update(children=["x"]), r"nodes\['?x"),
        (lambda d: d["nodes"][0].update(scale=[1, 2, 3]), "stretches or mirrors"),
        (lambda d: d["nodes"][0].update(scale="big"), "transform that cannot be read"),
        (lambda d: d["nodes"][0].update(mesh=7), r"refers to meshes\[7\]"),
        (lambda d: d.update(scenes=[]), r"refers to scenes\[0\]"),
        (lambda d: d.update(extensionsRequired=["KHR_other"]), "needs the glTF extension KHR_other"),
        (lambda d: primitive(d)["extensions"][KHR].update(extensions={"KHR_x_spz": {}}), "by KHR_x_spz, which is not"),
        (lambda d: primitive(d)["extensions"].clear(), "holds no splats"),
        (lambda d: primitive(d)["attributes"].pop(f"{KHR}:SCALE"), f"have no {KHR}:SCALE"),
        (lambda d: primitive(d)["attributes"].pop(f"{KHR}:SH_DEGREE_1_COEF_1"), "though they have SH degree 1"),
        (lambda d: primitive(d).update(attributes=[]), "have no attributes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_that_lie(tmp_path: Path, edit: Edit, message: str) -> None:
    save_splats(seeded(5, 1), tmp_path / "a.glb")
    document, body = parts(tmp_path / "a.glb")
    edit(document)
    with pytest.raises(FileFormatError, match=message):
        load_splats(write(tmp_path / "b.glb", document, body))


def test_values_that_cannot_be(tmp_path: Path) -> None:
    save_splats(seeded(5, 0), tmp_path / "a.glb")
    document, body = parts(tmp_path / "a.glb")
    floats = np.frombuffer(body, "<f4").copy()
    floats[0] = np.nan
    with pytest.raises(FileFormatError, match="1 of 5 splats hold NaN"):
        load_splats(write(tmp_path / "b.glb", document, floats.tobytes()))
    floats[0], floats[-16] = 0, 7.0  # The last opacity; 15 colours follow.
    with pytest.raises(FileFormatError, match="opacity outside 0 to 1"):
        load_splats(write(tmp_path / "b.glb", document, floats.tobytes()))


def test_the_same_splats_a_thousand_times(tmp_path: Path) -> None:
    save_splats(seeded(50, 0), tmp_path / "a.glb")
    document, body = parts(tmp_path / "a.glb")
    document["meshes"][0]["primitives"] *= 1000
    with pytest.raises(FileFormatError, match="again and again"):
        load_splats(write(tmp_path / "b.glb", document, body))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"glTF", "is not a binary glTF file"),
        (struct.pack("<4sII", b"glTF", 1, 20) + bytes(8), "is glTF version 1"),
        (struct.pack("<4sII", b"glTF", 2, 10**9) + bytes(8), "is cut short: it has 20 of"),
        (struct.pack("<4sIII4s", b"glTF", 2, 20, 10**9, b"JSON"), "cut short within a chunk"),
        (struct.pack("<4sIII4s", b"glTF", 2, 20, 0, b"JSON"), "no JSON that can be read"),
        (struct.pack("<4sIII4s", b"glTF", 2, 100_020, 100_000, b"JSON") + b"[" * 100_000, "no JSON that can be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_containers(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.glb").write_bytes(data)
    with pytest.raises(FileFormatError, match=message):
        load_splats(tmp_path / "a.glb")


def test_no_splats_is_a_file_too(tmp_path: Path) -> None:
    nothing: Gaussians = seeded(3)[:0]
    for suffix in ("ply", "glb", "spz", "splat"):
        save_splats(nothing, tmp_path / f"a.{suffix}")
        assert len(load_splats(tmp_path / f"a.{suffix}").splats) == 0
