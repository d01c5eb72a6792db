"""Lost frames, shake and exposure of clips, by what is promised of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.scenes.handling import MAX_GAP, Exposure, kept_frames, random_exposure, shaken
from training.scenes.photograph import auto_exposure, random_look
from training.scenes.scene import CameraPose

GREY = np.full((24, 32, 3), 0.25, np.float32)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 40))
def test_frames_keep_their_order_and_gaps_are_short(seed, count):
    numbers = kept_frames(count, np.random.default_rng(seed))
    gaps = np.diff(numbers)
    assert len(numbers) == count and numbers[0] == 0
    assert gaps.min() >= 1 and gaps.max() <= MAX_GAP


def test_a_third_of_the_clips_lose_frames():
    losses = [np.ptp(kept_frames(30, np.random.default_rng(s))) > 29 for s in range(400)]
    assert 0.25 < np.mean(losses) < 0.42


@pytest.mark.parametrize("seed", range(3))
def test_shake_is_small_and_fast(seed):
    still = [CameraPose(np.array([1.0, 2, 3]), np.eye(3), 0.6)] * 600
    path = shaken(still, 60.0, 0.004, np.random.default_rng(seed))
    moves = np.array([pose.eye - still[0].eye for pose in path])
    angles = np.array([pose.rotation[[0, 1, 1], [2, 2, 0]] for pose in path])  # small: yaw, …
    for axis in range(3):
        assert moves[:, axis].std() < 0.0045
        assert math.radians(0.08) < angles[:, axis].std() < math.radians(0.9)
        spectrum = np.abs(np.fft.rfft(angles[:, axis] - angles[:, axis].mean())) ** 2
        hertz = np.fft.rfftfreq(600, 1 / 60)
        assert spectrum[(hertz > 2.5) & (hertz < 12.5)].sum() > 0.95 * spectrum.sum()


def exposure(light, lag: float) -> Exposure:
    look = random_look(np.random.default_rng(1))
    return Exposure(look, np.asarray(light, float), np.zeros((len(light), 3)), lag)


def test_a_locked_camera_shows_the_lamp_and_another_adapts():
    light = [0.0, 1.0, 1.0, 1.0]
    locked, adaptive = exposure(light, math.inf), exposure(light, 0.5)
    base = auto_exposure(GREY, locked.look.key)
    gains = [locked.of(GREY, i, 0.5 * i)[1] / base for i in range(4)]
    np.testing.assert_allclose(gains, [1, math.e, math.e, math.e], rtol=1e-6)
    gains = [adaptive.of(GREY, i, 0.5 * i)[1] / base for i in range(4)]
    # one lag brings the camera by a factor e nearer: 1 becomes 1/e, 1/e², 1/e³
    np.testing.assert_allclose(np.log(gains), [0, *np.exp([-1, -2, -3])], rtol=1e-5)


def test_a_new_scene_is_exposed_at_once():
    camera = exposure([0.0, 0.0], 1.0)
    camera.of(GREY, 0, 0.0)
    camera.restart()
    assert camera.of(4 * GREY, 1, 0.1)[1] == pytest.approx(auto_exposure(4 * GREY, camera.look.key))


def test_light_changes_stay_in_their_bounds():
    times, changed = np.arange(16) / 10, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        drawn = random_exposure(times, random_look(rng), rng)
        most = np.abs(drawn.light).max() / math.log(2)
        assert drawn.light[0] == 0 and most <= 1.2
        changed += most > 0
    assert 0.2 < changed / 200 < 0.4
