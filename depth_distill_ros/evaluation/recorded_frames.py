"""Bags turned into folders of frames, and such folders into bags; stamps and pixels stay as they are.

The folder has the layout of `frames.py`, with stamps.txt. Images of a bag become PNG files, but
JPEG ones stay the files they are; depth in 16UC1 becomes png_mm, in 32FC1 npz_depth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from depth_distill_ros.errors import BagError, ConfigError
from depth_distill_ros.evaluation.bag import (
    CAMERA_INFO,
    IMAGE,
    Message,
    camera_info_message,
    image_message,
    typestore,
    write_bag,
)
from depth_distill_ros.evaluation.frames import Sequence, load_sequence
from depth_distill_ros.evaluation.images import write_image
from depth_distill_ros.evaluation.replay.inputs import Case, cases, find_inputs
from depth_distill_ros.evaluation.replay.run import progress
from depth_distill_ros.evaluation.replay.transforms import StaticTransforms, bag_transforms
from depth_distill_ros.evaluation.tables import write_json, write_text
from depth_distill_ros.geometry.camera import Intrinsics
from depth_distill_ros.ros.camera_info import CameraInfoStore, intrinsics_of, needs_rectification
from depth_distill_ros.ros.cdr import with_header_stamp
from depth_distill_ros.ros.images import depth_from_image, picture

POSE = "geometry_msgs/msg/PoseStamped"
TOPICS = {"/camera_info": CAMERA_INFO, "/image": IMAGE, "/depth": IMAGE, "/pose": POSE}


@dataclass
class _Folder:
    """What has been written of a sequence so far."""

    path: Path
    transforms: StaticTransforms
    stamps: list[int] = field(default_factory=list)
    poses: list[np.ndarray] = field(default_factory=list)
    intrinsics: Intrinsics | None = None
    depth_format: str | None = None


def bag_to_frames(
    bag: Path,
    output: Path,
    image: str | None = None,
    depth: str | None = None,
    poses: str | None = None,
    every: int = 1,
) -> int:
    """Writes a folder of frames; returns how many.

    Args:
        output: folder to make; must not exist or be empty.
        image, depth, poses: topics; the bag's first images by default. Depth must be registered to
            the images. Poses may come from a TUM file; those of an Odometry are taken to the
            camera by /tf_static. With poses, images that have none are left out.

    Raises BagError for a bag without images, with a camera that changes or is not rectified;
    ConfigError for a folder that holds something.
    """
    if output.exists() and any(output.iterdir()):
        raise ConfigError(f"{output} is not empty: give a new folder")
    inputs = find_inputs(bag, image, depth, IMAGE, poses)
    folder, infos = _Folder(output, bag_transforms(bag)), CameraInfoStore()
    (output / "rgb").mkdir(parents=True, exist_ok=True)
    total = -(-inputs.count // every)
    for case in progress(cases(inputs, every), "record-frames", total):
        for info in case.infos:
            infos.add(info)
        if poses is not None and case.pose is None:
            continue
        _write_frame(folder, case, infos)
    _finish(folder)
    return len(folder.stamps)


def _write_frame(folder: _Folder, case: Case, infos: CameraInfoStore) -> None:
    message, name = case.image, f"{len(folder.stamps):06d}"
    if folder.stamps and case.stamp <= folder.stamps[-1]:
        raise BagError(
            f"image {case.number} is stamped before the one in front of it: the bag was played in "
            "a loop, or the clock was set; cut it there"
        )
    rgb = picture(message)
    data = bytes(message.data) if "jp" in getattr(message, "format", "") else b""
    if data.startswith(b"\xff\xd8"):
        (folder.path / "rgb" / f"{name}.jpg").write_bytes(data)
    else:
        write_image(folder.path / "rgb" / f"{name}.png", rgb)
    _check_camera(folder, infos, message.header.stamp, rgb.shape)
    if case.truth is not None:
        _write_depth(folder, name, case.truth, rgb.shape[:2])
    folder.stamps.append(case.stamp)
    if case.pose is not None:
        folder.poses.append(case.camera_pose(folder.transforms, message.header.frame_id))


def _check_camera(folder: _Folder, infos: CameraInfoStore, stamp: Any, shape: tuple) -> None:
    found = infos.match(stamp)
    if found is None:
        return
    if needs_rectification(found[0]):
        raise BagError(
            "the images are distorted (camera_info has D), and frames are of a rectified camera: "
            "give the rectified topic with --image, or rectify the bag with image_proc"
        )
    camera = intrinsics_of(found[0], shape[1], shape[0])
    if folder.intrinsics not in (None, camera):
        raise BagError("the camera changes within the bag: a folder of frames is of one camera")
    folder.intrinsics = camera


def _write_depth(folder: _Folder, name: str, message: Any, size: tuple[int, int]) -> None:
    metres = depth_from_image(message)
    if metres.shape != size:
        raise BagError(
            f"depth has {metres.shape[1]}x{metres.shape[0]} pixels, the image {size[1]}x{size[0]}: "
            "give the depth topic that is registered to the images"
        )
    depth_format = "npz_depth" if message.encoding == "32FC1" else "png_mm"
    if folder.depth_format not in (None, depth_format):
        raise BagError("the encoding of depth changes within the bag")
    folder.depth_format = depth_format
    path = folder.path / "depth"
    path.mkdir(exist_ok=True)
    metres = np.nan_to_num(metres, nan=0.0)
    if depth_format == "npz_depth":
        np.savez_compressed(path / f"{name}.npz", depth=metres)
    else:
        cv2.imwrite(str(path / f"{name}.png"), np.rint(metres * 1000).astype(np.uint16))


def _finish(folder: _Folder) -> None:
    if not folder.stamps:
        raise BagError("no image of the bag could be used" + (", none has a pose"))
    camera = asdict(folder.intrinsics) if folder.intrinsics else {"fx": 0, "fy": 0}
    write_json(folder.path / "intrinsics.json", {**camera, "depth_format": folder.depth_format})
    write_text(folder.path / "stamps.txt", "".join(f"{stamp}\n" for stamp in folder.stamps))
    if folder.poses:
        lines = map(_tum_line, folder.stamps, folder.poses)
        write_text(folder.path / "poses.txt", "# t tx ty tz qx qy qz qw\n" + "".join(lines))


def _tum_line(stamp: int, pose: np.ndarray) -> str:
    numbers = " ".join(repr(float(value)) for value in (*pose[:3, 3], *quaternion(pose)))
    return f"{stamp // 10**9}.{stamp % 10**9:09d} {numbers}\n"


def quaternion(pose: np.ndarray) -> np.ndarray:
    """x y z w of the rotation of a 4x4 pose, with w >= 0."""
    from scipy.spatial.transform import Rotation

    values = Rotation.from_matrix(pose[:3, :3]).as_quat()
    return values if values[3] >= 0 else -values


def frames_to_bag(folder: Path, output: Path, storage: str = "mcap") -> int:
    """Writes a bag of /image, /camera_info, /depth and /pose; returns the number of images.

    Messages are recorded at their stamps. Raises DataError for a folder without a sequence,
    ConfigError for an output that exists.
    """
    if output.exists():
        raise ConfigError(f"{output} exists: give a new folder")
    sequence = load_sequence(folder)
    have = {"/image": True, "/camera_info": sequence.intrinsics, "/pose": sequence.poses}
    have["/depth"] = any(sequence.depth_files) and not sequence.relative
    topics = {topic: kind for topic, kind in TOPICS.items() if have[topic]}
    write_bag(output, topics, _messages(sequence), storage)
    return len(sequence)


def _messages(sequence: Sequence) -> Iterator[Message]:
    from tqdm import tqdm

    numbered = zip(sequence.nanoseconds, sequence, strict=True)
    for stamp, frame in tqdm(numbered, "record-frames", len(sequence), unit="frame"):
        messages = {}
        if frame.intrinsics is not None:
            messages["/camera_info"] = camera_info_message(frame.intrinsics)
        messages["/image"] = image_message(frame.rgb)
        if frame.depth is not None:
            messages["/depth"] = _depth_message(frame.depth, sequence.depth_format)
        if frame.pose is not None:
            messages["/pose"] = pose_message(frame.pose)
        for topic, message in messages.items():
            raw = bytes(typestore().serialize_cdr(message, TOPICS[topic]))
            yield topic, stamp, with_header_stamp(raw, stamp)


def _depth_message(depth: np.ndarray, depth_format: str) -> Any:
    if depth_format == "png_mm":
        return image_message(np.rint(depth * 1000).astype(np.uint16), "16UC1")
    return image_message(np.where(depth > 0, depth, np.float32(np.nan)), "32FC1")


def pose_message(pose: np.ndarray) -> Any:
    """A geometry_msgs/PoseStamped of a 4x4 pose in `map`, stamped 0."""
    types = typestore().types
    x, y, z, w = quaternion(pose).tolist()
    header = types["std_msgs/msg/Header"](
        stamp=types["builtin_interfaces/msg/Time"](sec=0, nanosec=0), frame_id="map"
    )
    return types[POSE](
        header=header,
        pose=types["geometry_msgs/msg/Pose"](
            position=types["geometry_msgs/msg/Point"](*pose[:3, 3].tolist()),
            orientation=types["geometry_msgs/msg/Quaternion"](x=x, y=y, z=z, w=w),
        ),
    )
