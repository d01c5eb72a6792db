"""Jumps of depth against slopes, and enlargement that keeps both sides apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.evaluation.frames import load_sequence
from depth_distill_ros.geometry.edges import depth_edges, upsample, upsample_mask

SIZES = st.tuples(st.integers(1, 60), st.integers(1, 60))


def step(near: float, far: float, at: int = 10, shape=(12, 20)) -> np.ndarray:
    """Inverse depth of two walls at `near` and `far` metres, side by side."""
    columns = np.where(np.arange(shape[1]) < at, 1 / near, 1 / far)
    return np.broadcast_to(columns, shape).astype(np.float32)


@pytest.mark.parametrize("near, far, found", [(2, 2.18, False), (2, 2.22, True), (3, 90, True)])
def test_a_step_is_an_edge_from_the_threshold_on(near, far, found):
    edges = depth_edges(step(near, far), 0.1)
    assert edges.dtype == bool and edges.shape == (12, 20)
    # one pixel on each side and nothing else
    expected = np.zeros((12, 20), bool)
    expected[:, 9:11] = found
    np.testing.assert_array_equal(edges, expected)


@pytest.mark.parametrize("at", [1, 2, 3, 17, 18, 19])
def test_a_step_beside_the_border_is_an_edge(at):
    columns = depth_edges(step(2, 3, at), 0.1).all(axis=0)
    assert columns.nonzero()[0].tolist() == [at - 1, at]


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_all_of_a_step_that_a_network_spread_is_an_edge(width):
    ramp = np.interp(np.arange(20), [8, 8 + width], [0.5, 0.25])
    edges = depth_edges(np.tile(ramp.astype(np.float32), (5, 1)), 0.2)
    assert edges[:, 9 : 8 + width].all() and edges.any()
    assert not edges[:, :7].any() and not edges[:, 10 + width :].any()


def test_sides_that_are_both_beyond_range_are_alike():
    sky = np.full((6, 8), -0.2, np.float32)
    sky[:, 4:] = 0
    assert not depth_edges(sky, 0.1).any()
    sky[:, 6:] = 0.05
    assert depth_edges(sky, 0.1).all(axis=0).nonzero()[0].tolist() == [5, 6]


@given(
    gradient=st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)),
    centre=st.floats(0.05, 3),
    threshold=st.floats(0.01, 0.5),
)
def test_planes_are_no_edges_however_slanted(gradient, centre, threshold):
    v, u = np.mgrid[-12:13, -15:16]
    inverse = centre + gradient[0] * u + gradient[1] * v
    seen = inverse > 1e-3
    edges = depth_edges(inverse.astype(np.float32), threshold)
    # where all of the window of nine pixels is on the plane and inside the image
    inside = np.lib.stride_tricks.sliding_window_view(seen, (9, 9)).all(axis=(2, 3))
    assert not edges[4:-4, 4:-4][inside].any()


def test_a_floor_at_a_grazing_angle_and_a_wall_behind_it_are_no_edges():
    rows = np.arange(112) - 40.0  # rows below the horizon
    floor = rows / (120 * 1.2)  # 1 / z of a floor 1.2 m below a camera with a focal length of 120
    inverse = np.maximum(floor, 1 / 5.5).astype(np.float32)  # and a wall 5.5 m away
    inverse = np.tile(inverse[:, None], (1, 144))
    assert (inverse[71:75] / inverse[67:71] > 1.1).all(), "a ratio over the windows would fail"
    assert not depth_edges(inverse, 0.1).any()


def test_a_box_on_a_slanted_floor_is_an_edge_all_around():
    v, u = np.mgrid[:40, :50]
    inverse = (0.3 + 0.01 * v + 0.002 * u).astype(np.float32)
    inverse[10:20, 20:30] = 1.0
    edges = depth_edges(inverse, 0.1)
    outline = np.zeros((40, 50), bool)
    outline[10:20, 20:30] = True
    outline[11:19, 21:29] = False
    assert edges[outline].all()
    assert not edges[:7].any() and not edges[23:].any() and not edges[13:17, 23:27].any()


def test_not_a_number_is_no_edge_and_makes_none():
    inverse = np.full((20, 30), 0.5, np.float32)
    inverse[3:15, 5:16] = np.nan
    inverse[:, 24:] = 2.0
    edges = depth_edges(inverse, 0.1)
    assert edges.all(axis=0).nonzero()[0].tolist() == [23, 24]
    assert edges.any(axis=0).sum() == 2
    assert not depth_edges(np.full((5, 5), np.nan, np.float32), 0.1).any()


def taps(count: int, source: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two source pixels of each of `count` pixels of a resized row, and the second's weight."""
    position = (np.arange(count) + 0.5) * source / count - 0.5
    first = np.floor(position).astype(int)
    return first.clip(0, source - 1), (first + 1).clip(0, source - 1), position - first


def test_bilinear_by_hand():
    values = np.array([[0.0, 4.0]], np.float32)
    # the centres of four pixels lie at -0.25, 0.25, 0.75 and 1.25 of the two
    np.testing.assert_allclose(upsample(values, None, (1, 4)), [[0, 1, 3, 4]])
    edges = np.array([[True, True]])
    np.testing.assert_array_equal(upsample(values, edges, (1, 4)), [[0, 0, 4, 4]])
    np.testing.assert_array_equal(upsample_mask(edges & [[True, False]], (1, 4)), [[1, 1, 0, 0]])


@given(shape=SIZES, size=SIZES, seed=st.integers(0, 2**32 - 1))
def test_every_value_is_that_of_the_nearest_pixel_or_between_pixels_without_edge(shape, size, seed):
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.1, 2, shape).astype(np.float32)
    values[rng.random(shape) < 0.1] = np.nan
    edges = rng.random(shape) < 0.1
    result = upsample(values, edges, size)
    assert result.dtype == np.float32 and result.shape == size
    if shape == size:
        np.testing.assert_array_equal(result, values)
        return
    (top, bottom, down), (left, right, along) = (
        taps(count, source) for count, source in zip(size, shape, strict=True)
    )
    corners = [np.ix_(rows, columns) for rows in (top, bottom) for columns in (left, right)]
    weights = [np.outer(a, b) for a in (1 - down, down) for b in (1 - along, along)]
    apart = edges | np.isnan(values)
    used = [
        apart[corner] & (weight > 1e-6) for corner, weight in zip(corners, weights, strict=True)
    ]
    free = ~np.any([apart[corner] for corner in corners], axis=0)
    between = sum(w * values[c].astype(float) for c, w in zip(corners, weights, strict=True))
    np.testing.assert_allclose(result[free], between[free], atol=1e-5)
    one = np.any(
        [(result == values[c]) | (np.isnan(result) & np.isnan(values[c])) for c in corners], 0
    )
    assert one[np.any(used, axis=0)].all()


@given(seed=st.integers(0, 2**32 - 1), size=st.tuples(st.integers(20, 90), st.integers(20, 90)))
def test_two_surfaces_have_nothing_between_them(seed, size):
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[:24, :30]
    radius = rng.uniform(1, 12)
    near = (u - rng.uniform(0, 30)) ** 2 + (v - rng.uniform(0, 24)) ** 2 < radius**2
    far_plane = 0.3 + 0.002 * u + 0.001 * v
    inverse = np.where(near, far_plane + 1.0, far_plane).astype(np.float32)
    result = upsample(inverse, depth_edges(inverse, 0.1), size)
    assert ((result < 0.4) | (result > 1.29)).all()
    assert (result.min() >= inverse.min() - 1e-6) and (result.max() <= inverse.max() + 1e-6)


@given(value=st.floats(-3, 3, width=32), shape=SIZES, size=SIZES)
def test_constant_maps_stay(value, shape, size):
    values = np.full(shape, value, np.float32)
    assert not depth_edges(values, 0.05).any()
    np.testing.assert_allclose(upsample(values, None, size), np.float32(value), rtol=1e-6)


def test_not_a_number_and_infinity_stay_where_they_are():
    values = np.ones((6, 8), np.float32)
    values[2, 3], values[5, 7] = np.nan, np.inf
    result = upsample(values, None, (24, 32))
    expected = np.ones((24, 32), np.float32)
    expected[8:12, 12:16], expected[20:, 28:] = np.nan, np.inf
    np.testing.assert_array_equal(result, expected)


def test_the_size_of_the_map_changes_nothing():
    values = step(1, 2)
    result = upsample(values, depth_edges(values, 0.1), values.shape)
    np.testing.assert_array_equal(result, values)
    assert not np.shares_memory(result, values)


def test_borders_of_a_real_table_and_its_chairs(shared_data):
    frame = load_sequence(shared_data / "seq_redkitchen_kinect")[0]
    depth = frame.depth[::4, ::4]
    inverse = np.full(depth.shape, np.nan, np.float32)
    np.divide(1, depth, out=inverse, where=depth > 0)
    edges = depth_edges(inverse, 0.1)
    assert 0.02 < edges.mean() < 0.1
    assert edges[30:50, 44:76].mean() > 0.2, "the chair's back before the cupboards"
    assert not edges[60:110, 10:40].any(), "the carpet"
    assert not edges[52:64, 75:125].any(), "the table's top"
