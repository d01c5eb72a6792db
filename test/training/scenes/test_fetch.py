"""Tests of the fetched tier without a network: conversion, cache and refusals."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from depth_distill_ros.errors import DataError
from training.scenes import fetch
from training.scenes.assets import Model, load_assets
from training.scenes.fetched import furniture as furniture_catalogue
from training.scenes.fetched import panoramas
from training.scenes.fetched.obj import convert_obj, parse_mtl
from training.scenes.fetched.roles import RULES, roles_of

CUBE_OBJ = """# a cube of 2 units with one quad a side
mtllib cube.mtl
v 0 0 0
v 2 0 0
v 2 2 0
v 0 2 0
v 0 0 2
v 2 0 2
v 2 2 2
v 0 2 2
vt 0 0
vt 1 1
usemtl painted
f 4 3 2 1
f 5/1 6/1 7/2 8/2
f 1 2 6 5
usemtl textured
f -5/1 -6/1 -2/2 -1/2
f 1 5 8 4
usemtl window
f 2 3 7 6
"""
CUBE_MTL = """newmtl painted
Kd 1.0 0.5 0.0
Ks 0.3 0.3 0.3
newmtl textured
Kd 1 1 1
map_Kd -o 0 0 folder\\wood.png
newmtl window
d 0.2
"""


def png(colour=(200, 100, 50)) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 4), colour).save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def cube_files():
    return {"cube.obj": CUBE_OBJ.encode(), "cube.mtl": CUBE_MTL.encode(), "wood.png": png()}


def test_obj_is_scaled_centred_and_textured(cube_files):
    model = convert_obj("cube.obj", cube_files.__getitem__, (1.0, 0.5, 2.0))
    rows = model.rows
    assert len(rows) == 5 * 2 * 3  # the transparent side is gone
    np.testing.assert_allclose(rows[:, :3].min(0), (-0.5, 0, -1), atol=1e-6)
    np.testing.assert_allclose(rows[:, :3].max(0), (0.5, 0.5, 1), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows[:, 3:6], axis=1), 1, atol=1e-5)
    assert len(model.textures) == 1 and model.textures[0].shape == (256, 256, 4)
    painted = rows[rows[:, 8] < 0]
    np.testing.assert_allclose(painted[:, 9:13], [[1, 0.5**2.2, 0, 0.3]] * len(painted), rtol=1e-5)
    textured = rows[rows[:, 8] == 0]
    assert len(textured) == 12
    # vt (0, 0) is the image's bottom left: v = 1 in rows counted from the top.
    np.testing.assert_allclose(np.unique(textured[:6, 6:8], axis=0), [[0, 1], [1, 0]])


def test_obj_normals_point_along_the_faces(cube_files):
    rows = convert_obj("cube.obj", cube_files.__getitem__, (1, 1, 1)).rows
    front = rows[6:12]  # z = 2: the second face
    np.testing.assert_allclose(front[:, 3:6], [[0, 0, 1]] * 6, atol=1e-6)


def test_model_rotation_comes_before_the_size(cube_files):
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], float)
    rows = convert_obj("cube.obj", cube_files.__getitem__, (3, 1, 1), turn).rows
    np.testing.assert_allclose(np.ptp(rows[:, :3], axis=0), (3, 1, 1), atol=1e-6)


@pytest.mark.parametrize("text", ["", "v 0 0 0\n", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"])
def test_objects_without_enough_faces_are_skipped(text):
    assert convert_obj("a.obj", {"a.obj": text.encode()}.__getitem__, (1, 1, 1)) is None


def test_missing_material_file_and_texture_still_give_a_model(cube_files):
    del cube_files["wood.png"]
    assert (convert_obj("cube.obj", cube_files.__getitem__, (1, 1, 1)).rows[:, 8] == -1).all()
    del cube_files["cube.mtl"]
    assert len(convert_obj("cube.obj", cube_files.__getitem__, (1, 1, 1)).rows) == 36


def test_unreadable_mtl_lines_are_skipped():
    materials = parse_mtl("Kd\nnewmtl a\nKd x y z\nTr 0.25\nd\n")
    assert materials["a"].opacity == 0.75


def catalogue(path, cube_files, extra=""):
    entries = (
        "id=x\nname#1=Wooden table\ncategory#1=Living room\nmodel#1=/models/cube.obj\nwidth#1=120\n"
        "depth#1=80\nheight#1=75\nelevation#1=0\ndropOnTopElevation#1=75\n"
        "name#2=Broken\ncategory#2=Office\nmodel#2=/models/none.obj\nwidth#2=1\ndepth#2=1\nheight#2=1\n"
        "name#3=No size\nmodel#3=/models/cube.obj\n" + extra
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(furniture_catalogue.CATALOGUE, entries)
        for name, data in cube_files.items():
            archive.writestr(f"models/{name}", data)


def test_catalogue_to_cache_to_assets(tmp_path, cube_files, capsys):
    catalogue(tmp_path / "Scopia.sh3f", cube_files)
    catalogue(tmp_path / "Unknown.sh3f", cube_files)  # no known licence: left out
    collection = fetch.Collection()
    furniture_catalogue.collect(tmp_path, collection, workers=1)
    assert [m["name"] for m in collection.models] == ["Wooden table"]
    assert len(collection.licences) == 1 and "Scopia" in collection.licences[0]
    collection.skies.append(np.ones((256, 512, 3), np.float16))
    collection.sky_names.append("park")
    collection.surfaces["picture"] = [collection.add_texture(np.full((256, 256, 4), 255, np.uint8))]
    cache = tmp_path / "cache"
    fetch.write_cache(collection, cache)
    fetch.write_cache(collection, cache)  # replaces the first one
    assert sorted(p.name for p in tmp_path.glob("cache*")) == ["cache"]
    assert "CC-BY-3.0" in (cache / "LICENCES.md").read_text()

    base, full = load_assets("procedural"), load_assets("full", cache)
    assert len(full.textures) == len(base.textures) + 2
    assert full.surfaces["picture"][-1] == len(base.textures) + 1
    table = full.models[-1]
    assert table.name == "Wooden table" and table.drop == 0.75 and table.licence == "CC-BY-3.0"
    assert len(full.models) - 1 in full.roles["table"]
    rows = full.vertices[table.start : table.start + table.count]
    np.testing.assert_allclose(np.ptp(rows[:, :3], axis=0), table.size, atol=1e-5)
    assert set(rows[:, 8]) == {-1, len(base.textures)}
    assert np.array_equal(full.vertices[: len(base.vertices)], base.vertices)
    assert "park" in full.sky_names and len(full.open_skies) == len(base.open_skies) + 1


def test_wild_pixels_around_the_sun_become_white():
    image = np.full((4, 4, 3), 0.5, np.float32)
    image[1, 1] = (0.0, 0.0, 11800.0)
    image[2, 1] = (0.0, 0.0, -1844.0)
    image[0, 0] = (-0.01, 0.2, 0.2)
    fixed = panoramas.repaired(image)
    np.testing.assert_array_equal(fixed[[1, 2], 1], np.full((2, 3), panoramas.MAX_RADIANCE))
    np.testing.assert_allclose(fixed[0, 0], (0, 0.2, 0.2))
    np.testing.assert_allclose(fixed[3], 0.5)


def test_no_known_catalogue_is_refused(tmp_path):
    with pytest.raises(DataError, match="no furniture catalogue"):
        furniture_catalogue.collect(tmp_path, fetch.Collection())


def test_the_same_image_is_stored_once():
    collection = fetch.Collection()
    image = np.zeros((256, 256, 4), np.uint8)
    assert collection.add_texture(image) == collection.add_texture(image.copy()) == 0
    assert collection.add_texture(image + 1) == 1


def test_missing_tools_are_named_before_anything_is_downloaded(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fetch.main(["--cache", str(tmp_path / "cache")]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and "Traceback" not in message
    assert "apt-get" in message and "npm" in message and "procedural" in message
    assert not (tmp_path / "cache").exists()


def test_failed_download_says_what_the_tool_said(tmp_path):
    with pytest.raises(DataError, match="no such registry"):
        fetch.run(["sh", "-c", "echo no such registry >&2; exit 3"], tmp_path)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Model("Kitchen table", "Kitchen", "", 0, 300, (1.2, 0.75, 0.8)), "table"),
        (Model("Bar stool", "Kitchen", "", 0, 300, (0.4, 0.8, 0.4)), "chair"),
        (Model("Cup", "Kitchen", "", 0, 300, (0.1, 0.1, 0.08)), "small"),
        (Model("Exterior door", "Doors and windows", "", 0, 300, (0.9, 2.1, 0.2)), "door"),
        (Model("Seat Leon", "Vehicles", "", 0, 300, (1.8, 1.5, 4.3)), "car"),
        (Model("Holding female", "Characters", "", 0, 300, (0.6, 1.7, 0.4)), "people"),
    ],
)
def test_roles_by_name_and_size(model, expected):
    assert expected in roles_of(model)


def test_roles_refuse_what_does_not_fit():
    tablet = Model("Tablet", "Office", "", 0, 300, (0.3, 0.02, 0.2))
    heavy = Model("Dining table", "Kitchen", "", 0, 900_000, (1.2, 0.75, 0.8))
    assert "table" not in roles_of(tablet)
    assert roles_of(heavy) == []
    assert {rule.role for rule in RULES} <= set(load_assets().roles)
