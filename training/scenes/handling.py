"""What happens to the camera of a clip: frames are lost, it shakes, and light and exposure change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from training.scenes.camera import orientation
from training.scenes.photograph import CameraLook, auto_exposure
from training.scenes.scene import CameraPose

RATES = (10.0, 15.0, 20.0, 30.0)  # frames a second
DROPS, SHAKES, CHANGES, DRIFTS, LOCKED = 0.35, 0.4, 0.3, 0.15, 0.1  # shares of clips
MAX_GAP = 5  # frame intervals


def kept_frames(count: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers (count,) of the frames that arrive, from 0 on; in 35 % of clips some are lost."""
    loss = rng.uniform(0.05, 0.5) if rng.random() < DROPS else 0.0
    lost = rng.random(count - 1) < loss
    gaps = np.where(lost, rng.integers(2, MAX_GAP + 1, count - 1), 1)
    return np.concatenate([[0], np.cumsum(gaps)])


def shaken(
    path: Sequence[CameraPose], rate: float, reach: float, rng: np.random.Generator
) -> list[CameraPose]:
    """A path as a trembling hand or a rattling vehicle holds it.

    It turns about each axis by 0.1–0.8° rms and moves by up to ``reach`` metres rms, at 3–12 Hz.
    """
    times = np.arange(len(path)) / rate
    turn = math.radians(rng.uniform(0.1, 0.8))
    angles = [_tremor(times, turn, rng) for _ in range(3)]
    moves = np.stack([_tremor(times, reach * rng.uniform(0.1, 1), rng) for _ in range(3)], 1)
    return [
        replace(
            pose,
            eye=pose.eye + pose.rotation @ move,
            rotation=pose.rotation @ orientation(*turns),
        )
        for pose, move, *turns in zip(path, moves, *angles, strict=True)
    ]


def _tremor(times: np.ndarray, rms: float, rng: np.random.Generator) -> np.ndarray:
    """A sum of five sines of 3–12 Hz with the given root mean square."""
    frequency, phase = rng.uniform(3, 12, 5), rng.uniform(0, 2 * math.pi, 5)
    weight = rng.uniform(0.3, 1, 5)
    weight *= rms * math.sqrt(2) / np.linalg.norm(weight)
    return np.sin(2 * math.pi * times[:, None] * frequency + phase) @ weight


@dataclass
class Exposure:
    """The brightness of the light over a clip, and a camera that follows it, more or less late.

    Attributes:
        look: the camera.
        light: by what the light differs at each frame, in natural logarithms (0.69 = 1 EV).
        drift: by what the white balance differs at each frame, (frames, 3), likewise.
        lag: seconds in which the exposure nears what it should be by a factor e; inf: locked.
    """

    look: CameraLook
    light: np.ndarray
    drift: np.ndarray
    lag: float
    _gain: float | None = field(default=None, init=False)
    _time: float = field(default=0.0, init=False)

    def restart(self) -> None:
        """Expose the next frame well at once: it is the first of a scene."""
        self._gain = None

    def of(self, radiance: np.ndarray, index: int, time: float) -> tuple[CameraLook, float]:
        """The camera and the gain that frame number ``index`` at ``time`` seconds is taken with."""
        target = math.log(auto_exposure(radiance, self.look.key)) - float(self.light[index])
        if self._gain is None:
            self._gain = target
        self._gain += (target - self._gain) * -math.expm1((self._time - time) / self.lag)
        self._time = time
        balance = np.asarray(self.look.white_balance) * np.exp(self.drift[index])
        look = replace(self.look, white_balance=tuple(balance))
        return look, math.exp(self._gain + float(self.light[index]))


def random_exposure(times: np.ndarray, look: CameraLook, rng: np.random.Generator) -> Exposure:
    """Draw what light and camera do: in 30 % of clips the light changes by 0.4–1.2 EV."""
    light, drift = np.zeros(len(times)), np.zeros((len(times), 3))
    if rng.random() < CHANGES:
        start = rng.uniform(0.15, 0.75) * times[-1]
        ramp = rng.uniform(0.05, 0.6) if rng.random() < 0.5 else 1e-3
        size = rng.choice([-1, 1]) * rng.uniform(0.4, 1.2) * math.log(2)
        light = np.clip((times - start) / ramp, 0, 1) * size
    if rng.random() < DRIFTS:
        wave = np.sin(2 * math.pi * rng.uniform(0.1, 0.5) * times + rng.uniform(0, 2 * math.pi))
        drift = wave[:, None] * rng.normal(0, 0.05, 3)
    lag = math.inf if rng.random() < LOCKED else rng.uniform(0.15, 1.5)
    return Exposure(look, light, drift, lag)
