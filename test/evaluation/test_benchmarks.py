"""The evaluation protocol, on made-up images with known answers and on real frames."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.benchmarks import (
    PRIORS,
    Sample,
    benchmark_report,
    checkpoint_digest,
    frames_benchmark,
    means,
    ramp_prior,
    score,
    score_image,
    setting_of,
    shards_benchmark,
)
from depth_distill_ros.evaluation.tables import columns, row_header, row_line, write_json

BLANK = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture
def oracle(plane_depth):
    """A predictor that is affine in the true disparity of the plane."""
    return lambda rgb: (3 / plane_depth - 1).astype(np.float32)


def test_a_perfect_disparity_scores_zero(plane_depth, oracle):
    coverage, errors = score_image(BLANK, plane_depth, {"model": oracle, **PRIORS})
    assert coverage == 1.0
    assert errors["model"].abs_rel == pytest.approx(0, abs=1e-5)
    assert errors["model"].delta1 == 1.0
    assert 0 < errors["ramp"].abs_rel < errors["constant"].abs_rel


def test_the_constant_prior_is_the_harmonic_mean():
    depth = np.where(np.arange(48)[:, None] < 24, 1.0, 4.0) * np.ones((48, 64))
    _, errors = score_image(BLANK, depth, {"constant": PRIORS["constant"]})
    # mean disparity (1 + 1/4) / 2 = 0.625: 1.6 m, off by 0.6 and by 2.4 / 4
    assert errors["constant"].abs_rel == pytest.approx((0.6 + 0.6) / 2)


def test_ramp_prior_is_nearer_below():
    ramp = ramp_prior(BLANK)
    assert ramp.shape == (48, 64) and (np.diff(ramp, axis=0) > 0).all()


def test_pixels_that_the_model_leaves_out_are_counted(plane_depth, oracle):
    def half(rgb):
        disparity = oracle(rgb)
        disparity[:24] = np.nan
        return disparity

    coverage, errors = score_image(BLANK, plane_depth, {"model": half, **PRIORS})
    assert coverage == 0.5
    assert errors["model"].delta1 == 1.0


def test_images_with_hardly_any_depth_are_left_out():
    depth = np.zeros((48, 64), np.float32)
    depth[0, :50] = 1.0
    assert score_image(BLANK, depth, PRIORS) is None
    depth[:, :] = 100.0  # beyond the range
    assert score_image(BLANK, depth, PRIORS) is None


@pytest.fixture
def samples(plane_depth):
    return lambda *groups: [
        Sample(name, setting_of(name), BLANK, plane_depth * size) for name, size in groups
    ]


def test_rows_and_means_count_every_sequence_once(samples):
    rows = list(score(samples(("in_a", 1), ("in_a", 2), ("out_b", 1), ("x_kitti", 1)), PRIORS))
    assert [(row.name, row.n, row.setting) for row in rows] == [
        ("in_a", 2, "indoor"),
        ("out_b", 1, "outdoor"),
        ("x_kitti", 1, "outdoor"),
    ]
    overall = {row.setting: row for row in means(rows)}
    assert [overall[s].n for s in ("indoor", "outdoor", "all")] == [1, 2, 3]
    errors = [row.errors["ramp"].abs_rel for row in rows]
    assert overall["all"].errors["ramp"].abs_rel == pytest.approx(np.mean(errors))


def test_stereo_disparity_has_a_mean_of_its_own(make_sequence, oracle, tmp_path):
    make_sequence(tmp_path / "in_plane")
    make_sequence(tmp_path / "st_plane", depth_format="npz_disparity")
    benchmark = frames_benchmark(tmp_path)
    rows = list(score(benchmark.samples, {"model": oracle}))
    assert [(row.name, row.n, row.setting) for row in rows] == [
        ("in_plane", 3, "indoor"),
        ("st_plane", 3, "stereo"),
    ]
    assert all(row.errors["model"].abs_rel < 1e-3 for row in rows)  # millimetres were rounded
    assert [(row.setting, row.n) for row in means(rows)] == [
        ("indoor", 1),
        ("stereo", 1),
        ("all", 1),
    ]


def test_sequences_without_depth_are_left_out_and_named(make_sequence, tmp_path):
    make_sequence(tmp_path / "in_plane")
    bare = make_sequence(tmp_path / "in_bare")
    shutil.rmtree(bare / "depth")
    assert frames_benchmark(tmp_path).left_out == ["in_bare (no depth)"]


def test_nothing_to_compare_with_is_an_error(make_sequence, tmp_path):
    shutil.rmtree(make_sequence(tmp_path / "in_bare") / "depth")
    with pytest.raises(DataError, match="no sequence in .* has depth"):
        frames_benchmark(tmp_path)
    with pytest.raises(DataError, match="no image has"):
        means([])


@pytest.fixture
def write_shard(tmp_path, plane_depth):
    def write(name="shard-00000", kinds=("outdoor/street", "indoor", "outdoor/park")):
        depth = np.repeat(plane_depth[None], len(kinds), axis=0).astype(np.float16)
        depth[:, :5] = 0  # sky
        np.save(tmp_path / f"{name}-rgb.npy", np.zeros((len(kinds), 48, 64, 3), np.uint8))
        np.save(tmp_path / f"{name}-depth.npy", depth)
        description = json.dumps([{"kind": kind} for kind in kinds])
        (tmp_path / f"{name}-info.json").write_text(description)

    return write


def test_rendered_shards_are_scored_by_kind(oracle, write_shard, tmp_path):
    write_shard()
    write_shard("shard-00001", kinds=("tabletop",))
    rows = list(score(shards_benchmark(tmp_path).samples, {"model": oracle}))
    assert [(row.name, row.n, row.setting) for row in rows] == [
        ("indoor", 1, "indoor"),
        ("outdoor", 2, "outdoor"),
        ("tabletop", 1, "indoor"),
    ]
    assert all(row.errors["model"].abs_rel < 2e-3 for row in rows)  # depth in half precision


def test_incomplete_shards_are_refused(write_shard, tmp_path):
    with pytest.raises(DataError, match="no shards"):
        shards_benchmark(tmp_path)
    write_shard()
    (tmp_path / "shard-00000-info.json").write_text('[{"kind": "indoor"}]')
    with pytest.raises(DataError, match="1 descriptions"):
        list(shards_benchmark(tmp_path).samples)
    (tmp_path / "shard-00000-info.json").unlink()
    with pytest.raises(DataError, match="not a complete shard"):
        list(shards_benchmark(tmp_path).samples)


def test_report_carries_what_its_numbers_are_about(make_sequence, oracle, tmp_path):
    make_sequence(tmp_path / "in_plane")
    benchmark = frames_benchmark(tmp_path)
    rows = list(score(benchmark.samples, {"model": oracle, **PRIORS}))
    report = benchmark_report(benchmark, rows, "a-model", "0123456789ab")
    write_json(tmp_path / "new" / "report.json", report)
    read = json.loads((tmp_path / "new" / "report.json").read_text())
    assert read == report
    assert (read["model"], read["checkpoint"], read["images"]) == ("a-model", "0123456789ab", 3)
    assert read["alignment"] == "affine in disparity, per image"
    assert read["means"]["indoor"]["errors"]["model"]["delta1"] == 1.0


def test_tables_line_up(oracle, samples):
    row = next(score(samples(("in_a", 1)), {"model": oracle, **PRIORS}))
    header = row_header(["model", *PRIORS]).splitlines()
    assert len(header[0]) == len(header[1]) == len(row_line(row))
    assert "0.000 / 1.000" in row_line(row)
    assert columns([["name", "n"], ["a", "10"]]) == "name   n\na     10"


def test_digest_changes_with_the_weights(tmp_path):
    (tmp_path / "unet").mkdir()
    weights = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(b"one")
    before = checkpoint_digest(tmp_path)
    (tmp_path / "README.md").write_text("a card")
    assert checkpoint_digest(tmp_path) == before and len(before) == 12
    weights.write_bytes(b"two")
    assert checkpoint_digest(tmp_path) != before


def test_the_priors_on_real_frames_have_their_known_errors(shared_data):
    """The ramp's numbers by an independent script: 0.21 / 0.63 indoor, 0.34 outdoor."""
    benchmark = frames_benchmark(shared_data)
    overall = {row.setting: row for row in means(list(score(benchmark.samples, PRIORS)))}
    assert not benchmark.left_out
    assert [overall[s].n for s in ("indoor", "outdoor", "stereo", "all")] == [9, 6, 2, 15]
    assert overall["indoor"].errors["ramp"].abs_rel == pytest.approx(0.21, abs=0.005)
    assert overall["indoor"].errors["ramp"].delta1 == pytest.approx(0.63, abs=0.005)
    assert overall["outdoor"].errors["ramp"].abs_rel == pytest.approx(0.34, abs=0.005)
