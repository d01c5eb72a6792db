"""A run for the Rerun viewer: images, disparity, clouds and measured depth on one time line.

rerun-sdk is imported when a run is to be shown: it takes half a gigabyte, and nothing else needs it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.recording import (
    CLOUD,
    DEPTH,
    DEPTH_INFO,
    cloud_arrays,
    disparity_of,
    messages,
)
from depth_distill_ros.evaluation.source import Source
from depth_distill_ros.ros.camera_info import intrinsics_of
from depth_distill_ros.ros.images import image_to_rgb
from depth_distill_ros.ros.messages import read_cloud

WORLD, CAMERA, IMAGE = "world", "world/camera", "world/camera/image"
POINTS, DISPARITY, MEASURED = "world/cloud", "disparity", "measured_depth"
TIMELINE = "stamp"
JPEG_QUALITY = 90


def require_rerun() -> None:
    """Raises ConfigError where rerun-sdk is not installed."""
    if importlib.util.find_spec("rerun") is None:
        raise ConfigError(
            "--viewer rerun needs rerun-sdk, which is not installed: "
            "`pip install 'depth_distill_ros[viewer]'`, or `make demo VIEWER=rerun`"
        )


def save_rerun(path: Path, bag: Path, source: Source) -> None:
    """Writes what is in output.mcap, and the source's measured depth, as a Rerun recording.

    Clouds are in the optical frame of the camera, x right, y down, z forward. Disparity is shown in
    fixed colours, 0 to 1, and never projected into space: it is no depth. Everything is at its
    header stamp.
    """
    import rerun as rr

    recording = rr.RecordingStream("depth_distill_ros")
    recording.save(str(path))
    recording.log(WORLD, rr.ViewCoordinates.RDF, static=True)

    def log(stamp: int, entity: str, what: rr.AsComponents) -> None:
        recording.set_time(TIMELINE, timestamp=np.datetime64(stamp, "ns"))
        recording.log(entity, what)

    pictures = {"camera": IMAGE, "disparity": DISPARITY}
    for stamp, message in messages(bag, "/image"):
        jpeg = cv2.imencode(
            ".jpg", image_to_rgb(message)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        )[1]
        log(stamp, IMAGE, rr.EncodedImage(contents=jpeg.tobytes(), media_type="image/jpeg"))
        depth = source.depth(stamp)
        if depth is not None:
            log(stamp, MEASURED, rr.DepthImage(depth, meter=1.0))
            pictures["measured depth"] = MEASURED
    for stamp, message in messages(bag, DEPTH):
        picture = rr.DepthImage(disparity_of(message), colormap="inferno", depth_range=(0, 1))
        log(stamp, DISPARITY, picture)
    for stamp, message in messages(bag, DEPTH_INFO):
        camera = intrinsics_of(message, message.width, message.height)
        size = (camera.width, camera.height)
        log(stamp, CAMERA, rr.Pinhole(image_from_camera=camera.matrix(), resolution=size))
    for stamp, message in messages(bag, CLOUD):
        points, colours = cloud_arrays(read_cloud(message))
        seen = np.isfinite(points).all(axis=-1)
        # A negative radius is in pixels of the screen.
        log(stamp, POINTS, rr.Points3D(points[seen], colors=colours[seen], radii=-1.5))
    recording.send_blueprint(_blueprint(pictures))
    recording.flush()
    recording.disconnect()


def _blueprint(pictures: dict[str, str]):
    """The cloud at the left, pictures (entity by name) at the right."""
    import rerun.blueprint as rrb

    views = [rrb.Spatial2DView(origin=origin, name=name) for name, origin in pictures.items()]
    return rrb.Blueprint(
        rrb.Horizontal(
            rrb.Spatial3DView(origin=WORLD, name="cloud"),
            rrb.Vertical(*views),
            column_shares=[2, 1],
        )
    )


def show_rerun(path: Path) -> bool:
    """Opens the viewer, which stays; False where there is no display."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    subprocess.Popen(
        [sys.executable, "-m", "rerun", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return True
