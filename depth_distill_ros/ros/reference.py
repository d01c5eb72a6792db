"""Metric measurements beside the images: LiDAR clouds, laser scans and depth images.

Anything with the fields of the messages passes; nothing here imports ROS.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from depth_distill_ros.errors import MessageError, ScaleError
from depth_distill_ros.geometry.camera import Intrinsics
from depth_distill_ros.geometry.pose import transformed
from depth_distill_ros.geometry.reference import (
    ReferenceSamples,
    samples_from_depth,
    samples_from_points,
)
from depth_distill_ros.ros.camera_info import intrinsics_of
from depth_distill_ros.ros.images import depth_from_image
from depth_distill_ros.ros.transforms import Transforms

Kind = Literal["points", "scan", "image"]

KEPT_BYTES = 32 << 20
"""Of messages a store keeps, besides the newest: a second of depth images, three of a LiDAR."""
KEPT_MESSAGES = 100

_FLOATS = {7: "f4", 8: "f8"}  # sensor_msgs/PointField.FLOAT32 and FLOAT64


def points_from_cloud(message: Any) -> np.ndarray:
    """The finite points of a PointCloud2 in metres, float32 (N, 3), in its own frame.

    x, y and z may be float32 or float64 at any offset, organised or not; row padding and byte order
    are honoured, other fields are passed over.

    Raises MessageError where a coordinate is missing or no float, or the data does not fit.
    """
    fields = {field.name: field for field in message.fields}
    for name in "xyz":
        if name not in fields or fields[name].datatype not in _FLOATS or fields[name].count > 1:
            raise MessageError(
                f"the reference cloud has no float field '{name}', but {sorted(fields)}: "
                "publish a PointCloud2 with x, y and z as float32 or float64"
            )
    height, width = message.height, message.width
    step, row_step = message.point_step, message.row_step
    ends = [fields[name].offset + int(_FLOATS[fields[name].datatype][1]) for name in "xyz"]
    if height * width == 0:
        return np.empty((0, 3), np.float32)
    if row_step < step * width or len(message.data) != row_step * height or max(ends) > step:
        raise MessageError(
            f"the reference cloud's {len(message.data)} bytes do not fit {width}x{height} points "
            f"of {step} bytes in rows of {row_step}: it was truncated, or a step is wrong"
        )
    order = ">" if message.is_bigendian else "<"
    layout = np.dtype(
        {
            "names": list("xyz"),
            "formats": [order + _FLOATS[fields[name].datatype] for name in "xyz"],
            "offsets": [fields[name].offset for name in "xyz"],
            "itemsize": step,
        }
    )
    rows = np.frombuffer(message.data, np.uint8).reshape(height, row_step)
    stored = np.ascontiguousarray(rows[:, : step * width]).reshape(-1).view(layout)
    points = np.empty((height * width, 3), np.float32)
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is left out
        for axis, name in enumerate("xyz"):
            points[:, axis] = stored[name]
    finite = np.isfinite(points[:, 0])
    finite &= np.isfinite(points[:, 1])
    finite &= np.isfinite(points[:, 2])
    return points if finite.all() else points[finite]


def points_from_scan(message: Any) -> np.ndarray:
    """The points of a LaserScan in metres, float32 (N, 3) with z = 0, in its own frame.

    Ranges that are not finite or not within range_min and range_max are no measurements (REP 117).
    Raises MessageError where the angles are not finite or the limits leave no range.
    """
    if not np.isfinite([message.angle_min, message.angle_increment]).all():
        raise MessageError(
            f"the reference scan begins at {message.angle_min} in steps of "
            f"{message.angle_increment} rad: check the laser's driver"
        )
    if not message.range_min < message.range_max:
        raise MessageError(
            f"the reference scan's range_min is {message.range_min:g} and its range_max "
            f"{message.range_max:g} m, which leaves none: check the laser's driver"
        )
    ranges = np.asarray(message.ranges, np.float32)
    seen = np.isfinite(ranges) & (ranges >= message.range_min) & (ranges <= message.range_max)
    angles = message.angle_min + message.angle_increment * np.flatnonzero(seen)
    points = np.zeros((len(angles), 3), np.float32)
    points[:, 0] = np.cos(angles)
    points[:, 1] = np.sin(angles)
    return points * ranges[seen, None]


@dataclass
class _Entry:
    """A message, and once it was asked for what it holds instead of it."""

    header: Any
    nanoseconds: int
    size: int
    message: Any
    content: Any = None


class ReferenceStore:
    """The last messages of one metric sensor, as measurements in a camera's image.

    Thread safe: messages are added by one thread and asked for by another. They are read when they
    are used, and once; most are never used.

    Args:
        max_age: seconds between the stamps of an image and of what is used for it, at most; may be
            set at any time.
        transforms: where the sensor is; asked only for what is not in the image's own frame.
        kind: "points" (PointCloud2), "scan" (LaserScan) or "image" (a depth image).
    """

    def __init__(self, max_age: float, transforms: Transforms, kind: Kind = "points"):
        self.max_age = max_age
        self._transforms = transforms
        self._kind = kind
        self._read: Callable[[Any], Any] = {
            "points": points_from_cloud,
            "scan": points_from_scan,
            "image": _samples_of_image,
        }[kind]
        self._lock = threading.Lock()
        self._entries: deque[_Entry] = deque()
        self._camera_info: Any | None = None

    def add(self, message: Any) -> None:
        """Keeps a message; the oldest ones are let go."""
        values = message.ranges if self._kind == "scan" else message.data
        header = message.header
        entry = _Entry(header, _nanoseconds(header.stamp), memoryview(values).nbytes, message)
        with self._lock:
            self._entries.append(entry)
            kept = sum(one.size for one in self._entries)
            while len(self._entries) > 1 and (
                kept > KEPT_BYTES + entry.size or len(self._entries) > KEPT_MESSAGES
            ):
                kept -= self._entries.popleft().size

    def add_camera_info(self, message: Any) -> None:
        """The camera_info of depth images that are not of the camera's own view."""
        self._camera_info = message

    def samples(self, image_header: Any, intrinsics: Intrinsics) -> ReferenceSamples | None:
        """Measurements in the image of that header, which has the intrinsics.

        Those of the message whose stamp is nearest; None where none is within `max_age`.

        Raises MessageError for a message that cannot be used (it is forgotten), for a transform or
        a camera_info that is missing; ScaleError where the sensor sees nothing of the image.
        """
        entry = self._nearest(_nanoseconds(image_header.stamp))
        if entry is None:
            return None
        if entry.content is None:
            try:
                entry.content, entry.message = self._read(entry.message), None
            except MessageError:
                self._forget(entry)
                raise
        if self._kind == "image":
            return self._samples_from_image(entry, image_header, intrinsics)
        return self._project(entry.content, entry.header, image_header, intrinsics)

    def _nearest(self, nanoseconds: int) -> _Entry | None:
        with self._lock:
            entry = min(
                reversed(self._entries),  # of messages with one stamp the newer
                key=lambda one: abs(one.nanoseconds - nanoseconds),
                default=None,
            )
        limit = round(self.max_age * 1e9)
        return entry if entry and abs(entry.nanoseconds - nanoseconds) <= limit else None

    def _forget(self, entry: _Entry) -> None:
        with self._lock:
            self._entries = deque(one for one in self._entries if one is not entry)

    def _samples_from_image(
        self, entry: _Entry, image_header: Any, intrinsics: Intrinsics
    ) -> ReferenceSamples:
        samples: ReferenceSamples = entry.content
        info = self._camera_info
        if info is None:
            _check_registered(samples, entry.header, image_header, intrinsics)
            return samples
        camera = intrinsics_of(info, samples.width, samples.height)
        points = np.stack(
            [
                (samples.u - camera.cx) / camera.fx * samples.depth,
                (samples.v - camera.cy) / camera.fy * samples.depth,
                samples.depth,
            ],
            axis=1,
        ).astype(np.float32)
        return self._project(points, entry.header, image_header, intrinsics)

    def _project(
        self, points: np.ndarray, header: Any, image_header: Any, intrinsics: Intrinsics
    ) -> ReferenceSamples:
        """Points of the sensor's frame in the image."""
        pose = self._transforms.lookup(image_header.frame_id, header.frame_id, image_header.stamp)
        samples = samples_from_points(transformed(points, pose), intrinsics)
        if len(points) > 0 and len(samples.depth) == 0:
            raise ScaleError(
                f"none of the {len(points)} reference points of '{header.frame_id}' lies in the "
                f"image of '{image_header.frame_id}': check that the sensor looks the camera's "
                "way, and reference.transform or TF"
            )
        return samples


def _samples_of_image(message: Any) -> ReferenceSamples:
    return samples_from_depth(depth_from_image(message))


def _check_registered(
    samples: ReferenceSamples, header: Any, image_header: Any, intrinsics: Intrinsics
) -> None:
    """Refuses depth that is not of the image's own view, as its pixels could not be matched."""
    remedy = "publish depth that is registered to the image, or its camera_info on "
    remedy += "reference/camera_info"
    frame, own = (one.frame_id.lstrip("/") for one in (header, image_header))
    if frame != own:
        raise MessageError(f"the reference depth is of '{frame}', the image of '{own}': {remedy}")
    # Sizes are rounded to whole pixels when an image is resized: one pixel is no other aspect.
    difference = samples.width * intrinsics.height - samples.height * intrinsics.width
    if abs(difference) > max(intrinsics.width, intrinsics.height):
        raise MessageError(
            f"the reference depth has {samples.width}x{samples.height} pixels, the image "
            f"{intrinsics.width}x{intrinsics.height}, which is another view: {remedy}"
        )


def _nanoseconds(stamp: Any) -> int:
    return stamp.sec * 1_000_000_000 + stamp.nanosec
