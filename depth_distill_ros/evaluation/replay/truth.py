"""The true depth of an image's moment, brought into the image: from a depth image or a cloud.

Where the node scales its depth by the same sensor (`scale.mode: reference`), the measurement is
split first: a part goes to the node as reference, and only the rest is truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from depth_distill_ros.errors import BagError
from depth_distill_ros.evaluation.replay.options import TruthKind
from depth_distill_ros.geometry.camera import Intrinsics, project, unproject
from depth_distill_ros.geometry.pose import transformed
from depth_distill_ros.ros.camera_info import intrinsics_of, rectifier_of
from depth_distill_ros.ros.images import depth_from_image
from depth_distill_ros.ros.messages import float_image
from depth_distill_ros.ros.reference import points_from_cloud

HIDDEN_RATIO = 0.75
HIDDEN_WINDOW = (9, 7)
"""Pixels, width and height, around a point. A nearer surface in it, at less than HIDDEN_RATIO of
its depth, hides it from the camera, though the sensor beside the camera saw it."""

_NUMBER = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""NumPy's types of sensor_msgs/PointField.datatype."""


@dataclass(frozen=True)
class ImagePlane:
    """What the truth is wanted for.

    Attributes:
        header: of the image.
        size: (height, width) of the image.
        intrinsics: None where the camera is not calibrated: then depth images must fit as they are.
        rectified_by: the camera_info by which the image was rectified; None where it was not.
    """

    header: Any
    size: tuple[int, int]
    intrinsics: Intrinsics | None
    rectified_by: Any | None = None


class TruthReader:
    """Depth maps in the image, of one kind of message.

    Args:
        lookup: `lookup(target_frame, source_frame, stamp)`: 4x4 that takes points to the target.
    """

    def __init__(self, kind: TruthKind, lookup: Callable[[str, str, Any], np.ndarray]):
        self._kind, self._lookup = kind, lookup

    def depth(self, message: Any, info: Any | None, view: ImagePlane) -> np.ndarray | None:
        """float32 (H, W) planar metres, 0 where unknown; None where it needs intrinsics.

        info: of a depth image's own camera; None where it is registered to the image. Raises
        MessageError or BagError for what cannot be used.
        """
        if self._kind == "depth":
            return self._of_image(message, info, view)
        if view.intrinsics is None:
            return None
        return self._of_points(points_from_cloud(message), message.header, view)

    def _of_image(self, message: Any, info: Any | None, view: ImagePlane) -> np.ndarray | None:
        depth = depth_from_image(message)
        own = None if info is None else intrinsics_of(info, message.width, message.height)
        frame, wanted = (header.frame_id.lstrip("/") for header in (message.header, view.header))
        same_frame = frame == wanted
        if own is None and not same_frame:
            raise BagError(
                f"the true depth is of '{frame}', the images of '{wanted}', and the bag has no "
                "camera_info beside the depth to move it: give the topic that is registered to "
                "the images"
            )
        if own is None or (same_frame and own.scaled(*view.size[::-1]) == view.intrinsics):
            if view.rectified_by is not None:
                height, width = depth.shape
                depth = rectifier_of(view.rectified_by, width, height).image(depth)
            depth = cv2.resize(depth, view.size[::-1], interpolation=cv2.INTER_NEAREST)
            return np.where(depth > 0, depth, np.float32(0))
        if view.intrinsics is None:
            return None
        points = unproject(depth, own).reshape(-1, 3)
        return self._of_points(points[np.isfinite(points[:, 2])], message.header, view)

    def _of_points(self, points: np.ndarray, header: Any, view: ImagePlane) -> np.ndarray:
        transform = self._lookup(view.header.frame_id, header.frame_id, view.header.stamp)
        return visible_depth(transformed(points, transform), view.intrinsics)


def visible_depth(points: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """Points (N, 3) of the optical frame as a depth map, float32 (H, W), 0 where there is none.

    Of several points in a pixel the nearest counts; points that a nearer surface hides are left
    out, since another sensor sees around it.
    """
    u, v, z = project(points, intrinsics)
    height, width = intrinsics.height, intrinsics.width
    with np.errstate(invalid="ignore"):
        inside = (u > -0.5) & (u < width - 0.5) & (v > -0.5) & (v < height - 0.5)
    pixels = np.rint(v[inside]).astype(np.int64) * width + np.rint(u[inside]).astype(np.int64)
    nearest = np.full(height * width, np.inf, np.float32)
    np.minimum.at(nearest, pixels, z[inside].astype(np.float32))
    depth = nearest.reshape(height, width)
    around = cv2.erode(depth, np.ones(HIDDEN_WINDOW[::-1], np.uint8))
    return np.where(np.isfinite(depth) & (around >= HIDDEN_RATIO * depth), depth, np.float32(0))


def split(message: Any, kind: TruthKind, pixels: int, stamp: int) -> tuple[Any, Any]:
    """The message as two: the reference, and the truth that the reference has nothing of.

    Of a cloud every second beam is the reference (its field `ring`, or rows where it has rows, or
    else every second point); of a depth image `pixels` random pixels, others at each stamp.
    """
    if kind == "lidar":
        chosen = _beams(message) % 2 == 0
        return _part_of_cloud(message, chosen), _part_of_cloud(message, ~chosen)
    depth = depth_from_image(message)
    measured = np.flatnonzero(np.isfinite(depth))
    rng = np.random.default_rng(stamp % 2**63)
    chosen = rng.choice(measured, min(pixels, measured.size), replace=False)
    reference = np.full(depth.shape, np.nan, np.float32)
    reference.flat[chosen] = depth.flat[chosen]
    depth.flat[chosen] = np.nan
    return tuple(float_image(part, message.header, type(message)) for part in (reference, depth))


def _beams(message: Any) -> np.ndarray:
    """The number of each point's beam, in the order of the points."""
    count = message.width * message.height
    ring = next((field for field in message.fields if field.name == "ring"), None)
    if ring is not None:
        order = ">" if message.is_bigendian else "<"
        layout = {
            "names": ["ring"],
            "formats": [order + _NUMBER[ring.datatype]],
            "offsets": [ring.offset],
            "itemsize": message.point_step,
        }
        return _points(message).view(np.dtype(layout))["ring"].ravel().astype(np.int64)
    index = np.arange(count)
    return index // message.width if message.height > 1 else index


def _points(message: Any) -> np.ndarray:
    """The bytes of the points, uint8 (N, point_step), without padding of rows."""
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.row_step)
    packed = rows[:, : message.point_step * message.width]
    return np.ascontiguousarray(packed).reshape(-1, message.point_step)


def _part_of_cloud(message: Any, chosen: np.ndarray) -> Any:
    names = ("header", "fields", "is_bigendian", "point_step", "is_dense")
    data = _points(message)[chosen]
    return type(message)(
        **{name: getattr(message, name) for name in names},
        height=1,
        width=len(data),
        row_step=data.size,
        data=data.ravel(),
    )
