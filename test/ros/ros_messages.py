"""Messages for tests, of the classes of a bag reader: no ROS is needed to make them."""

from __future__ import annotations

import numpy as np
from rosbags.typesys import Stores, get_typestore

TYPES = get_typestore(Stores.ROS2_JAZZY).types
Image = TYPES["sensor_msgs/msg/Image"]
CameraInfo = TYPES["sensor_msgs/msg/CameraInfo"]
PointCloud2 = TYPES["sensor_msgs/msg/PointCloud2"]
PointField = TYPES["sensor_msgs/msg/PointField"]
Header = TYPES["std_msgs/msg/Header"]
Time = TYPES["builtin_interfaces/msg/Time"]
Roi = TYPES["sensor_msgs/msg/RegionOfInterest"]


def header(seconds: int = 12, nanoseconds: int = 345, frame_id: str = "camera") -> object:
    return Header(stamp=Time(sec=seconds, nanosec=nanoseconds), frame_id=frame_id)


def image(pixels: np.ndarray, encoding: str, /, **changes) -> object:
    """An Image of the array's bytes as they are; `changes` replace fields."""
    fields = {
        "header": header(),
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "encoding": encoding,
        "is_bigendian": int(pixels.dtype.byteorder == ">"),
        "step": pixels[0].nbytes,
        "data": np.frombuffer(pixels.tobytes(), np.uint8),
    }
    return Image(**{**fields, **changes})


def image_of_lines(
    lines: np.ndarray, encoding: str, width: int, height: int, padding: int = 0, **changes
) -> object:
    """An Image of lines of bytes, uint8 (lines, n), with padding at the ends of the lines."""
    padded = np.pad(lines, ((0, 0), (0, padding)), constant_values=0xEE)
    fields = dict(width=width, height=height, step=padded.shape[1], data=padded.ravel())
    return image(padded, encoding, **{**fields, **changes})


def camera_info(width: int = 640, height: int = 480, **changes) -> object:
    """A CameraInfo with fx 500, fy 510 and the centre (320.5, 240.5), in K as in P."""
    fields = {
        "header": header(1, 2, "another"),
        "height": height,
        "width": width,
        "distortion_model": "plumb_bob",
        "d": np.array([0.1, -0.2, 0, 0, 0], np.float64),
        "k": np.array([500, 0, 320.5, 0, 510, 240.5, 0, 0, 1], np.float64),
        "r": np.eye(3).ravel(),
        "p": np.array([500, 0, 320.5, 0, 0, 510, 240.5, 0, 0, 0, 1, 0], np.float64),
        "binning_x": 0,
        "binning_y": 0,
        "roi": roi(),
    }
    return CameraInfo(**{**fields, **changes})


def roi(x: int = 0, y: int = 0, width: int = 0, height: int = 0) -> object:
    return Roi(x_offset=x, y_offset=y, height=height, width=width, do_rectify=False)
