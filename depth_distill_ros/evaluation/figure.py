"""The picture of a run: frames beside their depth, and the cloud seen from another side."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from depth_distill_ros.geometry.camera import Intrinsics, project
from depth_distill_ros.geometry.colour import colourise

PANEL_WIDTH = 400
GAP = 8
ERROR_END = 0.5
ERROR_TITLE = f"relative error, 0 (dark) to {ERROR_END}"
TITLE_HEIGHT = 26
BAR_WIDTH = 64
BACKGROUND = (255, 255, 255)
INK = (40, 40, 40)
CLOUD_BACKGROUND = 24


@dataclass(frozen=True)
class Example:
    """A row of the picture.

    Attributes:
        label: printed over the image, ASCII.
        rgb: uint8 (H, W, 3).
        disparity: float32 (H, W) in [0, 1].
        depth: measured, metres, 0 where invalid; None where there is none.
        points, colours: (H, W, 3) of the cloud, float32 metres and uint8; None without a cloud.
        intrinsics: of the cloud.
        error: relative to the measured depth, NaN where invalid; None where it is not shown. With
            it, the disparity is that of the aligned depth and has the measured one's colours.
    """

    label: str
    rgb: np.ndarray
    disparity: np.ndarray
    depth: np.ndarray | None = None
    points: np.ndarray | None = None
    colours: np.ndarray | None = None
    intrinsics: Intrinsics | None = None
    error: np.ndarray | None = None


def draw_figure(examples: list[Example], title: str) -> np.ndarray:
    """The picture, uint8 RGB: a row an example, panels of one size, the colour bar at the right."""
    rows = [_row(example) for example in examples]
    width = max(row.shape[1] for row in rows)
    rows = [_pad_right(row, width) for row in rows]
    height = sum(row.shape[0] + GAP for row in rows)
    bar = _colour_bar(height)
    body = np.hstack([np.vstack([_pad_bottom(row, GAP) for row in rows]), bar])
    head = np.full((TITLE_HEIGHT + GAP, body.shape[1], 3), BACKGROUND, np.uint8)
    _write(head, title, (GAP, TITLE_HEIGHT - 6), scale=0.55)
    return np.vstack([head, body])


def _row(example: Example) -> np.ndarray:
    measured = None if example.depth is None else _disparity(example.depth)
    aligned = example.error is not None
    low, high = _ends(measured if aligned else example.disparity)
    panels = [
        _panel(example.rgb, example.label),
        _panel(colourise(example.disparity, low, high), "disparity of the model"),
    ]
    if measured is not None:
        ends = (low, high) if aligned else (None, None)
        panels.append(_panel(colourise(measured, *ends), "measured (grey: none)"))
    if example.error is not None:
        panels.append(_panel(colourise(example.error, 0.0, ERROR_END), ERROR_TITLE))
    if example.points is not None:
        size = panels[0].shape[1], panels[0].shape[0] - TITLE_HEIGHT
        picture = oblique_view(example.points, example.colours, example.intrinsics, size)
        panels.append(_panel(picture, "cloud, from above and the right"))
    return np.hstack([_pad_right(panel, panel.shape[1] + GAP) for panel in panels])


def _disparity(depth: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.where(depth > 0, 1 / depth, np.nan)


def _ends(disparity: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(disparity[np.isfinite(disparity)], (0.01, 0.99))
    return float(low), float(high)


def _panel(image: np.ndarray, title: str) -> np.ndarray:
    height = max(1, round(image.shape[0] * PANEL_WIDTH / image.shape[1]))
    shrinks = image.shape[1] > PANEL_WIDTH
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(image, (PANEL_WIDTH, height), interpolation=method)
    head = np.full((TITLE_HEIGHT, PANEL_WIDTH, 3), BACKGROUND, np.uint8)
    _write(head, title, (2, TITLE_HEIGHT - 8))
    return np.vstack([head, resized])


def oblique_view(
    points: np.ndarray,
    colours: np.ndarray,
    intrinsics: Intrinsics,
    size: tuple[int, int],
    yaw: float = 0.5,
    pitch: float = 0.35,
) -> np.ndarray:
    """The cloud seen by a camera turned about the cloud's middle, uint8 RGB of size (w, h).

    yaw and pitch, in radians, move the camera to the right and up. Points farther than the 95 %
    quantile of depth are left out: a few far ones would hide the middle.
    """
    width, height = size
    canvas = np.full((height, width, 3), CLOUD_BACKGROUND, np.uint8)
    finite = np.isfinite(points).all(axis=-1)
    if not finite.any():
        return canvas
    points, colours = points[finite], colours[finite]
    near = points[:, 2] <= np.quantile(points[:, 2], 0.95)
    points, colours = points[near], colours[near]
    pivot = np.median(points, axis=0)
    pivot[:2] = 0  # stay on the optical axis, so that the view is recognisable
    turned = (points - pivot) @ _rotation(yaw, pitch).T
    turned[:, 2] += pivot[2] * 1.15
    camera = intrinsics.scaled(width, height)
    u, v, z = project(turned.astype(np.float32), camera)
    inside = (z > 0.05 * pivot[2]) & (u > 0) & (u < width - 2) & (v > 0) & (v < height - 2)
    order = np.argsort(-z[inside])  # far first, so that near points cover them
    columns, rows = (np.rint(values[inside][order]).astype(int) for values in (u, v))
    for row_offset in (0, 1):
        for column_offset in (0, 1):
            canvas[rows + row_offset, columns + column_offset] = colours[inside][order]
    return canvas


def _rotation(yaw: float, pitch: float) -> np.ndarray:
    """Turns the scene so that far points move to the right (yaw) and up (pitch)."""
    cos_yaw, sin_yaw, cos_pitch, sin_pitch = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    about_y = np.array([[cos_yaw, 0, sin_yaw], [0, 1, 0], [-sin_yaw, 0, cos_yaw]])
    about_x = np.array([[1, 0, 0], [0, cos_pitch, -sin_pitch], [0, sin_pitch, cos_pitch]])
    return about_x @ about_y


def _colour_bar(height: int) -> np.ndarray:
    bar = np.full((height, BAR_WIDTH, 3), BACKGROUND, np.uint8)
    top, bottom = TITLE_HEIGHT, height - GAP
    ramp = np.linspace(1, 0, bottom - top, dtype=np.float32)[:, None].repeat(20, axis=1)
    bar[top:bottom, :20] = colourise(ramp, 0.0, 1.0)
    _write(bar, "near", (24, top + 12))
    _write(bar, "far", (24, bottom - 2))
    return bar


def _write(image: np.ndarray, text: str, at: tuple[int, int], scale: float = 0.45) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1, cv2.LINE_AA)


def _pad_right(image: np.ndarray, width: int) -> np.ndarray:
    missing = width - image.shape[1]
    return cv2.copyMakeBorder(image, 0, 0, 0, missing, cv2.BORDER_CONSTANT, value=BACKGROUND)


def _pad_bottom(image: np.ndarray, pixels: int) -> np.ndarray:
    return cv2.copyMakeBorder(image, 0, pixels, 0, 0, cv2.BORDER_CONSTANT, value=BACKGROUND)
