"""Tests of the procedural asset tier: complete, plausible, the same bytes each time."""

from __future__ import annotations

import json

import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from training.scenes import assets as assets_module
from training.scenes import parametric, textures
from training.scenes.assets import ROLES, load_assets, mean_linear


@pytest.fixture(scope="module")
def assets():
    return load_assets("procedural")


def test_every_surface_has_many_variants(assets):
    for name in textures.GENERATORS:
        assert len(assets.surfaces[name]) >= 12, name
    layers = sorted(layer for members in assets.surfaces.values() for layer in members)
    assert layers == list(range(len(assets.textures)))
    assert set(textures.TILE_METRES) == set(assets.surfaces)


def test_every_role_is_filled(assets):
    assert set(assets.roles) == set(ROLES)
    for role, members in assets.roles.items():
        assert len(members) >= 4, role
        assert max(members) < len(assets.models)


def test_textures_are_opaque_but_for_leaves(assets):
    assert assets.textures.dtype == np.uint8
    assert assets.textures.shape[1:] == (256, 256, 4)
    leaves = set(assets.surfaces["leaf"])
    for layer, image in enumerate(assets.textures):
        share = (image[..., 3] > 127).mean()
        assert 0.02 < share < 0.9 if layer in leaves else share == 1.0, layer
        assert image[..., :3].std() > 0.5, layer


def test_mean_albedo_is_that_of_the_opaque_pixels():
    image = np.zeros((1, 256, 256, 4), np.uint8)
    image[0, :, :128] = (255, 0, 0, 255)
    image[0, :, 128:] = (0, 255, 255, 0)
    np.testing.assert_allclose(mean_linear(image)[0], (1, 0, 0), atol=2e-3)


def test_vertices_are_finite_with_unit_normals_and_known_layers(assets):
    rows = assets.vertices
    assert rows.dtype == np.float32 and rows.shape[1] == 13 and len(rows) % 3 == 0
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(np.linalg.norm(rows[:, 3:6], axis=1), 1.0, atol=1e-4)
    assert rows[:, 8].min() >= -1 and rows[:, 8].max() < len(assets.textures)
    assert rows[:, 9:12].min() >= 0 and rows[:, 9:12].max() <= 1.6
    assert rows[:, 12].max() <= 0.98


def test_models_stand_centred_on_the_floor(assets):
    end = 0
    for model in assets.models:
        assert model.start == end and model.count % 3 == 0 and model.count >= 12
        end += model.count
        corners = assets.vertices[model.start : end, :3]
        low, high = corners.min(0), corners.max(0)
        np.testing.assert_allclose(low[1], 0.0, atol=1e-4)
        np.testing.assert_allclose(low[[0, 2]], -high[[0, 2]], atol=1e-3)
        np.testing.assert_allclose(high - low, model.size, atol=1e-3)
        assert model.count < 12_000, model.name
    assert end == len(assets.vertices)


@pytest.mark.parametrize(
    ("role", "axis", "low", "high"),
    [
        ("people", 1, 0.9, 2.0),
        ("door", 1, 1.9, 2.3),
        ("chair", 1, 0.35, 1.4),
        ("table", 1, 0.3, 0.8),
        ("small", 1, 0.001, 0.36),
        ("car", 2, 3.4, 13.0),
        ("car", 0, 1.6, 2.95),
        ("bike", 2, 1.4, 2.0),
        ("ceiling_lamp", 1, 0.05, 2.0),
    ],
)
def test_sizes_are_plausible(assets, role, axis, low, high):
    sizes = [assets.models[i].size[axis] for i in assets.roles[role]]
    assert low <= min(sizes) and max(sizes) <= high, (min(sizes), max(sizes))


def test_table_tops_lie_within_their_models(assets):
    tops = [m for m in assets.models if m.drop > 0]
    assert len(tops) > 20
    for model in tops:
        assert 0.2 < model.drop <= model.size[1] + 1e-3


def test_same_seed_same_bytes(assets):
    again, surfaces = textures.procedural_textures(0)
    assert again.tobytes() == assets.textures.tobytes()
    rows = np.concatenate([m.rows for m in parametric.parametric_models(surfaces, 0)])
    assert rows.tobytes() == assets.vertices.tobytes()


def test_other_seed_other_texture():
    for name, (_, generate) in textures.GENERATORS.items():
        first, again, other = (generate(np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert np.array_equal(first, again), name
        assert not np.array_equal(first, other), name


def test_textures_tile_without_a_seam(assets):
    """Across the wrap the step is no larger than between neighbouring columns inside."""
    for layer in assets.surfaces["plaster"] + assets.surfaces["grass"] + assets.surfaces["bark"]:
        image = assets.textures[layer, ..., :3].astype(int)
        seam = np.abs(image[:, 0] - image[:, -1]).mean()
        inside = np.abs(np.diff(image, axis=1)).mean()
        assert seam < 1.6 * inside + 1


def test_skies_are_finite_radiance(assets):
    assert len(assets.skies) == len(assets.sky_names) >= 4
    assert assets.open_skies and set(assets.open_skies) <= set(assets.outdoor_skies)
    for sky in assets.skies:
        assert sky.shape == (256, 512, 3) and sky.dtype == np.float16
        assert np.isfinite(sky).all() and sky.min() >= 0


def test_unknown_tier_is_refused():
    with pytest.raises(DataError, match="choose one of procedural, full"):
        load_assets("best")


def test_full_tier_names_the_command_when_it_was_not_fetched(tmp_path):
    with pytest.raises(DataError, match="python -m training.scenes.fetch"):
        load_assets("full", tmp_path / "nothing")


def test_damaged_or_foreign_cache_is_refused(tmp_path):
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        load_assets("full", tmp_path)
    (tmp_path / "index.json").write_text(json.dumps({"format": -1}))
    with pytest.raises(DataError, match="another version"):
        load_assets("full", tmp_path)


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv(assets_module.CACHE_VARIABLE, str(tmp_path))
    assert assets_module.default_cache() == tmp_path / "scene-assets"
