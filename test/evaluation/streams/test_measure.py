"""Errors of streams whose depth is made up, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from depth_distill_ros.evaluation.streams.measure import MEASURED, METRICS, measure
from depth_distill_ros.evaluation.temporal import VARIANTS


def predict(plane: np.ndarray, factors: list[float], calls: list[float] | None = None):
    """1 / depth of the plane, times a factor for each frame, in arbitrary units."""

    def disparity(rgb, stamp):
        if calls is not None:
            calls.append(stamp)
        return {"per frame": np.float32(factors[rgb[0, 0, 0]]) / plane}

    return disparity


def test_a_still_scene_that_is_predicted_alike_has_no_error(make_take, plane_depth):
    steady = predict(plane_depth, [3.0] * 5)
    tally = measure(make_take([1.0] * 5), steady, METRICS)
    assert tally.frames == 5 and not tally.left_out
    errors = tally.errors["per frame"]
    assert {name: len(values) for name, values in errors.items()} == {
        "abs_rel.image": 5, "delta1.image": 5, "abs_rel.clip": 5, "delta1.clip": 5,
        "tae.depth_any_video": 4, "tae.video_depth_anything": 4, "temporal_gradient": 4,
        "boundary_f1": 5,
    }  # fmt: skip
    for name, value in tally.means()["per frame"].items():
        best = 1.0 if name.startswith(("delta1", "boundary")) else 0.0
        assert value == pytest.approx(best, abs=1e-5), name
    assert tally.means()[MEASURED] == {f"tae.{variant}": 0.0 for variant in VARIANTS}


def clip_fit(plane: np.ndarray, factors: list[float]) -> tuple[float, float]:
    """Scale and shift by NumPy's least squares, an independent way."""
    x = np.concatenate([factor / plane.ravel().astype(np.float64) for factor in factors])
    y = np.tile(1 / plane.ravel().astype(np.float64), len(factors))
    return tuple(np.polyfit(x, y, 1))


def test_disparity_that_flickers_has_the_errors_worked_out_by_hand(make_take, plane_depth):
    factors = [1.0, 1.1, 1.0, 1.1]
    tally = measure(make_take([1.0] * 4), predict(plane_depth, factors), METRICS)
    # One camera: each pixel is compared with itself. With the clip's fit a + b / z its depth is
    # p = 1 / (s f / z + t) in turns for f = 1 and 1.1, and the error the mean of both directions.
    scale, shift = clip_fit(plane_depth, factors)
    low, high = (1 / (scale * factor / plane_depth + shift) for factor in (1.0, 1.1))
    expected = (np.mean(np.abs(low - high) / high) + np.mean(np.abs(low - high) / low)) / 2
    means = tally.means()["per frame"]
    for variant in VARIANTS:
        assert means[f"tae.{variant}"] == pytest.approx(expected, rel=1e-4)
    assert means["abs_rel.image"] == pytest.approx(0, abs=1e-5), "a fit an image hides flicker"
    assert means["abs_rel.clip"] > 0.02

    # the disparity changes by 0.1 s / z where the true one does not; 1 / z spans about 0.1 to 1.1
    span = np.subtract(*np.percentile(1 / plane_depth, (99, 1)))
    flicker = np.mean(0.1 * scale / plane_depth) / span
    assert means["temporal_gradient"] == pytest.approx(flicker, rel=1e-4)


def test_one_variant_sees_flicker_where_nothing_is_measured(make_take, plane_depth):
    take = make_take([1.0] * 3)
    for frame in take.frames:
        frame.depth[:, 32:] = 0
    steady, flickering = 1 / plane_depth, 1 / plane_depth
    flickering[:, 32:] *= 2

    def half(rgb, stamp):
        return {"per frame": flickering if rgb[0, 0, 0] == 1 else steady}

    means = measure(take, half, METRICS).means()["per frame"]
    # the fit is exact, so there is d and d / 2 on half of the pixels: errors 1 and 1 / 2
    assert means["tae.depth_any_video"] == pytest.approx(0, abs=1e-5)
    assert means["tae.video_depth_anything"] == pytest.approx((1 + 0.5) / 2 / 2, rel=1e-4)
    assert means["temporal_gradient"] == pytest.approx(0, abs=1e-6)


def test_each_side_of_a_cut_is_fitted_by_itself_and_no_pair_lies_across(make_take, plane_depth):
    # After the cut all is at twice the distance, and the network's scale is another.
    take = make_take([1.0] * 4 + [2.0] * 3, cuts=(4,))
    predicted = predict(plane_depth, [1.0] * 4 + [0.2] * 3)
    tally = measure(take, predicted, METRICS)
    errors = tally.errors["per frame"]
    assert tally.frames == 7 and len(errors["tae.depth_any_video"]) == 3 + 2
    assert len(errors["temporal_gradient"]) == 3 + 2
    assert tally.means()["per frame"]["abs_rel.clip"] == pytest.approx(0, abs=1e-5)
    assert max(errors["tae.video_depth_anything"]) == pytest.approx(0, abs=1e-5)
    uncut = measure(make_take([1.0] * 4 + [2.0] * 3), predicted, METRICS).means()["per frame"]
    assert uncut["abs_rel.clip"] > 0.1 and uncut["tae.depth_any_video"] > 0.05


def test_short_segments_are_left_out_but_seen(make_take, plane_depth):
    calls: list[float] = []
    take = make_take([1.0] * 5, cuts=(2,))
    tally = measure(take, predict(plane_depth, [1.0] * 5, calls), METRICS)
    assert tally.frames == 3 and len(calls) == 5
    assert tally.left_out == ["2 frame(s) of take: a segment needs 3 with depth"]


def test_frames_without_depth_are_seen_and_join_the_scored(make_take, plane_depth):
    calls: list[float] = []
    take = make_take([1.0, None, 1.0, None, 1.0])
    tally = measure(take, predict(plane_depth, [1.0] * 5, calls), METRICS)
    assert calls == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert tally.frames == 3 and len(tally.errors["per frame"]["tae.depth_any_video"]) == 2


def test_without_poses_there_is_no_tae_and_it_is_said(make_take, plane_depth):
    take = make_take([1.0] * 3, posed=False)
    tally = measure(take, predict(plane_depth, [1.0] * 3), METRICS)
    assert not [name for name in tally.errors["per frame"] if name.startswith("tae")]
    assert len(tally.errors["per frame"]["temporal_gradient"]) == 2
    (note,) = tally.left_out
    assert "TAE" in note and "poses" in note
    assert not measure(take, predict(plane_depth, [1.0] * 3), ("depth",)).left_out


def test_the_floor_is_the_error_of_the_measured_depth(make_take, plane_depth):
    take = make_take([1.0, 1.1, 1.0])
    means = measure(take, predict(plane_depth, [1.0] * 3), ("tae",)).means()
    floor = (0.1 / 1.1 + 0.1) / 2
    assert means[MEASURED] == pytest.approx({f"tae.{name}": floor for name in VARIANTS}, rel=1e-4)
    assert set(means["per frame"]) == set(means[MEASURED])


def test_pixels_that_one_leaves_out_are_scored_for_none(make_take, plane_depth):
    def both(rgb, stamp):
        wrong = 1 / plane_depth
        wrong[:10] = 7.0
        holes = 1 / plane_depth
        holes[:10] = np.nan
        return {"per frame": wrong, "streaming": holes}

    means = measure(make_take([1.0] * 3), both, ("depth", "temporal")).means()
    assert means["per frame"]["abs_rel.clip"] == pytest.approx(0, abs=1e-5)
    assert means["per frame"] == pytest.approx(means["streaming"])


def test_a_constant_disparity_has_no_fit_and_is_left_out(make_take):
    def constant(rgb, stamp):
        return {"per frame": np.ones((48, 64), np.float32)}

    tally = measure(make_take([1.0] * 3), constant, METRICS)
    assert tally.frames == 0 and "cannot be aligned" in tally.left_out[0]


def test_outlines_are_compared_after_a_fit_of_each_image(make_take, plane_depth):
    take = make_take([1.0] * 3)
    box = np.full(plane_depth.shape, 8.0, np.float32)
    box[10:30, 20:40] = 2.0
    for frame in take.frames:
        frame.depth[:] = box
    sharp = 1 / box
    missed = sharp.copy()
    missed[10:20, 20:40] = sharp[0, 0]  # the upper half: half of left and right, and another top
    maps = {"per frame": 7 * sharp + 3, "streaming": missed}
    tally = measure(take, lambda rgb, stamp: maps, ("boundary",))
    means = tally.means()
    assert means["per frame"] == {"boundary_f1": pytest.approx(1)}, "scale and shift do not count"
    recall, precision = (0.5 + 0.5 + 0 + 1) / 4, (1 + 1 + 0 + 1) / 4
    expected = 2 * precision * recall / (precision + recall)
    assert means["streaming"]["boundary_f1"] == pytest.approx(expected)
    assert tally.frames == 3 and not tally.left_out


def test_holes_do_not_count_as_outlines_and_scattered_depth_is_left_out(make_take, plane_depth):
    take = make_take([1.0] * 3)
    for frame in take.frames:
        frame.depth[15:30, 5:20] = 0  # across an outline of the box
    holed = {"per frame": 1 / plane_depth}
    tally = measure(take, lambda rgb, stamp: holed, ("depth", "boundary"))
    assert tally.errors["per frame"]["boundary_f1"] == pytest.approx([1.0] * 3)
    for frame in take.frames:
        frame.depth[::2] = 0  # no neighbours down, and half of those across
    tally = measure(take, lambda rgb, stamp: holed, ("depth", "boundary"))
    assert tally.frames == 3 and "boundary_f1" not in tally.errors["per frame"]
    assert tally.left_out == [
        "3 frames of take from boundary F1: depth of fewer than 50% of the neighbouring pixels "
        "can be compared"
    ]
    alone = measure(take, lambda rgb, stamp: holed, ("boundary",))
    assert alone.frames == 3 and not alone.errors
