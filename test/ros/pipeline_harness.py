"""A camera's pipeline for tests, on the messages of a bag reader: no ROS is needed."""

from __future__ import annotations

import numpy as np
from ros_messages import (
    TYPES,
    CameraInfo,
    Image,
    PointCloud2,
    PointField,
    camera_info,
    header,
    image,
)

from depth_distill_ros.ros.pipeline import CameraPipeline
from depth_distill_ros.ros.reports import StageTimes
from depth_distill_ros.ros.settings import Settings
from depth_distill_ros.ros.topics import METRIC, RELATIVE, MessageTypes

HEIGHT, WIDTH = 48, 64
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
DEFAULTS = Settings(depth_edge_mask=False)  # noise is all edges
FIXED = Settings(scale_mode="fixed", scale_scale=2.0, scale_shift=0.5, depth_edge_mask=False)
ALL = {*RELATIVE, *METRIC}
OPTICAL = header(frame_id="camera_optical_frame")
CENTRED = {
    "k": np.array([50, 0, 31.5, 0, 51, 23.5, 0, 0, 1], np.float64),
    "p": np.array([50, 0, 31.5, 0, 0, 51, 23.5, 0, 0, 0, 1, 0], np.float64),
}
"""Fields of a camera_info whose principal point is the middle of the image."""


def brightness(rgb: np.ndarray) -> np.ndarray:
    """The green channel as disparity; pixel (0, 0) is invalid, (0, 1) is 0 and (0, 2) is 1."""
    disparity = rgb[..., 1].astype(np.float32) / 255
    disparity[0, :3] = np.nan, 0, 1
    return disparity


def floats(message) -> np.ndarray:
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


class Harness:
    """A pipeline with its camera_info, and what it reported."""

    def __init__(self, settings=DEFAULTS, references=None, attitude=None):
        self.problems: list[str] = []
        diagnostics = (
            TYPES[f"diagnostic_msgs/msg/{name}"]
            for name in ("DiagnosticArray", "DiagnosticStatus", "KeyValue")
        )
        types = MessageTypes(Image, CameraInfo, PointCloud2, PointField, *diagnostics)
        self.times = StageTimes()
        self.settings = settings
        self.pipeline = CameraPipeline(
            types,
            self.problems.append,
            self.times,
            settings,
            references=references,
            attitude=attitude,
        )
        self.set_info(camera_info(WIDTH, HEIGHT, d=np.zeros(5), **CENTRED))

    def set_info(self, info):
        self.pipeline.camera_infos.clear()
        if info is not None:
            self.pipeline.camera_infos.add(info)

    def answer(self, wanted, settings=None, message=None, disparity=None):
        settings = settings or self.settings
        message = image(RGB, "rgb8", header=OPTICAL) if message is None else message
        frame = self.pipeline.decode(message, settings)
        disparity = brightness(frame.rgb) if disparity is None else disparity
        return self.pipeline.outputs(frame, disparity, wanted, settings)

    def __call__(self, *arguments, **more) -> dict:
        return dict(self.answer(*arguments, **more))
