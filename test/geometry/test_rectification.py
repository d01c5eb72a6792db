"""Rectification against lens models written down here, by known points and ramps of colour."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.errors import DataError
from depth_distill_ros.geometry.rectification import Rectifier

WIDTH, HEIGHT = 160, 120
K = np.array([[110.0, 0, 78], [0, 112, 61], [0, 0, 1]])
P = np.array([[100.0, 0, 80.25, -5], [0, 102, 59.5, 0], [0, 0, 1, 0]])
STRAIGHT = np.eye(3)
TURN = np.array([[np.cos(0.1), 0, np.sin(0.1)], [0, 1, 0], [-np.sin(0.1), 0, np.cos(0.1)]])

LENSES = {
    "plumb_bob": [-0.28, 0.07, 0.001, -0.002, 0.0],
    "rational_polynomial": [0.5, 0.1, 0.001, -0.001, 0.01, 0.9, 0.2, 0.03],
    "equidistant": [-0.02, 0.01, -0.005, 0.001],
}


def distort(model: str, d: list[float], x: np.ndarray, y: np.ndarray):
    """Where the lens shows the ray (x, y, 1), in focal lengths."""
    square = x * x + y * y
    if model == "equidistant":
        radius = np.sqrt(square)
        angle = np.arctan(radius)
        bent = angle + sum(k * angle ** (2 * i + 3) for i, k in enumerate(d))
        ratio = np.divide(bent, radius, out=np.ones_like(radius), where=radius > 0)
        return x * ratio, y * ratio
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = [*d, *[0.0] * 12][:12]
    ratio = (1 + k1 * square + k2 * square**2 + k3 * square**3) / (
        1 + k4 * square + k5 * square**2 + k6 * square**3
    )
    return (
        x * ratio + 2 * p1 * x * y + p2 * (square + 2 * x * x) + s1 * square + s2 * square**2,
        y * ratio + p1 * (square + 2 * y * y) + 2 * p2 * x * y + s3 * square + s4 * square**2,
    )


def source(model: str, d: list[float], u, v, r=STRAIGHT) -> tuple[np.ndarray, np.ndarray]:
    """Where in the picture as it was taken the rectified pixels (u, v) are."""
    rays = np.stack([(u - P[0, 2]) / P[0, 0], (v - P[1, 2]) / P[1, 1], np.ones_like(u)], axis=-1)
    x, y, z = np.moveaxis(rays @ r, -1, 0)  # the inverse of r, from the left
    x, y = distort(model, d, x / z, y / z)
    return K[0, 0] * x + K[0, 2], K[1, 1] * y + K[1, 2]


def pixels() -> tuple[np.ndarray, np.ndarray]:
    v, u = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    return u, v


def rectifier(model="plumb_bob", d=None, r=STRAIGHT, **changes) -> Rectifier:
    d = LENSES[model] if d is None else d
    fields = dict(k=K, d=d, r=r, p=P, model=model, width=WIDTH, height=HEIGHT)
    return Rectifier(**{**fields, **changes})


@pytest.mark.parametrize("model", LENSES)
@pytest.mark.parametrize("r", [STRAIGHT, TURN], ids=["straight", "turned"])
def test_every_pixel_comes_from_where_the_lens_put_it(model, r):
    u, v = pixels()
    ramps = np.stack([u, v], axis=-1).astype(np.float32)  # each pixel holds its place
    lens = rectifier(model, r=r)
    expected = np.stack(source(model, LENSES[model], u, v, r), axis=-1)
    inside = ((expected >= 0) & (expected <= [WIDTH - 1, HEIGHT - 1])).all(axis=-1)
    assert (lens.valid == inside).mean() > 0.999  # but for rounding at the very edge
    assert 0.5 < inside.mean() < 1
    difference = np.abs(lens.image(ramps) - expected)[lens.valid & inside]
    assert difference.max() < 1 / 32 + 1e-4  # the resolution of the maps


def test_thin_prism_coefficients_count():
    d = [*LENSES["rational_polynomial"], 0.01, -0.01, 0.02, 0.005]
    u, v = pixels()
    ramps = np.stack([u, v], axis=-1).astype(np.float32)
    lens = rectifier("rational_polynomial", d)
    expected = np.stack(source("rational_polynomial", d, u, v), axis=-1)
    assert np.abs(lens.image(ramps) - expected)[5:-5, 5:-5][lens.valid[5:-5, 5:-5]].max() < 0.04


@pytest.mark.parametrize("model", LENSES)
def test_a_bent_grid_of_points_becomes_straight(model):
    u, v = pixels()
    picture = np.zeros((HEIGHT, WIDTH))
    grid = [(float(gu), float(gv)) for gu in range(30, 150, 25) for gv in range(20, 110, 20)]
    for point in grid:  # a soft dot where the lens shows the point
        at_u, at_v = source(model, LENSES[model], *np.array(point))
        picture += 240 * np.exp(-((u - at_u) ** 2 + (v - at_v) ** 2) / (2 * 1.5**2))
    rectified = rectifier(model).image(np.clip(picture, 0, 255).astype(np.uint8)).astype(float)
    for gu, gv in grid:
        window = slice(int(gv) - 6, int(gv) + 7), slice(int(gu) - 6, int(gu) + 7)
        weights = rectified[window]
        centre = [(plane[window] * weights).sum() / weights.sum() for plane in (u, v)]
        assert centre == pytest.approx([gu, gv], abs=0.1)


def test_without_distortion_nothing_changes():
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    lens = rectifier(d=np.zeros(5), p=K)
    assert np.array_equal(lens.image(picture), picture)
    assert lens.valid.all()


def test_pixels_without_a_source_are_black_and_not_valid():
    # Zoomed out to half: the picture fills the middle half of the rectified one.
    p = K.copy()
    p[:2, :2] /= 2
    lens = rectifier(d=np.zeros(5), p=p)
    rectified = lens.image(np.full((HEIGHT, WIDTH, 3), 200, np.uint8))
    assert (rectified[lens.valid] == 200).all() and (rectified[~lens.valid] == 0).all()
    assert lens.valid.mean() == pytest.approx(0.25, abs=0.01)
    assert lens.valid[61, 78] and not lens.valid[0, 0]


def test_the_lens_is_not_believed_where_its_curve_turns_back():
    # r (1 - 0.5 r^2) grows up to r = sqrt(2 / 3) = 0.816 only.
    d, p = [-0.5, 0, 0, 0, 0], K.copy()
    p[:2, :2] /= 4  # corners are at r > 2
    u, v = pixels()
    radius = np.hypot((u - p[0, 2]) / p[0, 0], (v - p[1, 2]) / p[1, 1])
    lens = rectifier(d=d, p=p)
    assert not lens.valid[radius > 0.817].any()
    assert lens.valid[radius < 0.5].all()
    unchecked = cv2.initUndistortRectifyMap(
        K, np.array(d), np.eye(3), p, (WIDTH, HEIGHT), cv2.CV_32FC1
    )
    mirrored = (unchecked[0] > 0) & (unchecked[0] < WIDTH - 1) & (radius > 0.9)
    assert mirrored.any()  # OpenCV alone would show the picture there again
    assert (lens.image(np.full((HEIGHT, WIDTH), 200, np.uint8))[mirrored] == 0).all()


def test_rays_from_behind_are_not_seen():
    turned = np.diag([-1.0, 1, -1])  # looks back
    lens = rectifier(d=np.zeros(5), r=turned)
    assert not lens.valid.any()
    assert not lens.image(np.full((HEIGHT, WIDTH, 3), 200, np.uint8)).any()


@given(k1=st.floats(-0.3, 0.3), k2=st.floats(-0.1, 0.1), fx=st.floats(60, 200))
def test_the_principal_point_stays(k1, k2, fx):
    p = np.array([[fx, 0, 80], [0, fx, 60], [0, 0, 1]])
    picture = np.stack(pixels(), axis=-1).astype(np.float32)
    middle = rectifier(d=[k1, k2, 0, 0, 0], p=p).image(picture)[60, 80]
    assert middle == pytest.approx([K[0, 2], K[1, 2]], abs=1 / 32)


def test_results_are_new_and_the_mask_is_read_only():
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    lens = rectifier()
    assert not np.shares_memory(lens.image(picture), picture)
    assert lens.valid.dtype == bool and not lens.valid.flags.writeable


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(DataError, match="rectified at 160x120 pixels, the picture has 120x160"):
        rectifier().image(np.zeros((WIDTH, HEIGHT, 3), np.uint8))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"model": "thin"}, "'thin' is not one of plumb_bob, rational_polynomial, equidistant"),
        ({"d": [0.1] * 8}, "plumb_bob has 4 or 5 coefficients, D has 8"),
        ({"d": [np.nan] * 5}, "not finite"),
        ({"k": np.diag([0.0, 1, 1])}, "no positive focal length"),
        ({"r": np.diag([1.0, 1, -1])}, "R is not a rotation"),
        ({"r": np.diag([2.0, 1, 1])}, "R is not a rotation"),
    ],
)
def test_lenses_that_do_not_exist_are_refused(changes, what):
    with pytest.raises(DataError, match=what):
        rectifier(**{"model": "plumb_bob", "d": [0.1, 0, 0, 0, 0], **changes})
