"""A LiDAR beside the cameras: metres through reference.transform, and words where it is missing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")

from node_graph import SIZE, NodeGraph, noise, set_stamp  # noqa: E402 - they import rclpy
from ros_graph import ros_camera_info, ros_image, until  # noqa: E402
from sensor_msgs.msg import PointCloud2, PointField  # noqa: E402

from depth_distill_ros.geometry.camera import Intrinsics, unproject  # noqa: E402
from depth_distill_ros.geometry.point_cloud import pack_xyzrgb  # noqa: E402
from depth_distill_ros.geometry.pose import pose_matrix, transformed  # noqa: E402
from depth_distill_ros.ros.camera_info import intrinsics_of  # noqa: E402
from depth_distill_ros.ros.messages import cloud_message  # noqa: E402

SCALE, SHIFT = 1.5, 0.25
# The LiDAR looks forward along x, its z is up; another place for each camera.
TURN = [0.5, -0.5, 0.5, 0.5]
POSES = {"front": [0.1, -0.2, 0.05, *TURN], "rear": [-1.5, 0.4, -0.8, *TURN]}
PARAMETERS = (
    "scale.mode:=reference",
    "reference.type:=points",
    "depth.edge_mask:=false",
    "depth.edge_threshold:=10.0",  # noise is all edges
)


def floats(message) -> np.ndarray:
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


def lidar_cloud(depth: np.ndarray, intrinsics: Intrinsics, pose: list[float], stamp: float):
    """What a LiDAR at `pose` in the optical frame sees of a depth map, every 7th pixel."""
    seen = unproject(depth, intrinsics)[::7, ::7].reshape(1, -1, 3)
    from_optical = np.linalg.inv(pose_matrix(np.array(pose[:3]), np.array(pose[3:])))
    points = transformed(seen[0], from_optical)[None].astype(np.float32)
    cloud = pack_xyzrgb(points, np.zeros(points.shape, np.uint8))
    header = ros_image(noise(2, 2), "rgb8", frame_id="lidar").header
    message = cloud_message(cloud, header, PointCloud2, PointField)
    return set_stamp(message, stamp)


@pytest.fixture(scope="module")
def graphs(open_graph, small_model) -> SimpleNamespace:
    """Two nodes, which load at once: with the LiDAR's pose in each camera, and without."""
    rear = ",".join(map(str, POSES["rear"]))
    front = ",".join(map(str, POSES["front"]))
    kinds = ("relative/image", "depth/image")
    posed = open_graph(
        f"model:={small_model}",
        *PARAMETERS,
        f"reference.transform:=[{rear}]",
        f"front.reference.transform:=[{front}]",
        cameras=tuple(POSES),
        listen=tuple(f"{camera}/{kind}" for camera in POSES for kind in kinds),
    )
    lost = open_graph(f"model:={small_model}", *PARAMETERS, listen=kinds)
    return SimpleNamespace(posed=posed.wait(), lost=lost.wait())


def true_depth(graph: NodeGraph, image, info, prefix: str, camera: str) -> np.ndarray:
    """Metres that the node's own disparity would be, by SCALE and SHIFT."""
    graph.answered(set_stamp(image, graph.next_stamp()), info, (f"{prefix}relative/image",), camera)
    return 1 / (SCALE * floats(graph.seen[f"{prefix}relative/image"].last) + SHIFT)


@pytest.mark.parametrize("camera", POSES)
def test_metres_come_through_each_cameras_own_transform(graphs, camera):
    graph, prefix = graphs.posed, f"{camera}/"
    image, info = ros_image(noise(*SIZE), "rgb8"), ros_camera_info(*SIZE)
    depth = true_depth(graph, image, info, prefix, camera)
    stamp = graph.next_stamp()
    cloud = lidar_cloud(depth, intrinsics_of(info, *SIZE), POSES[camera], stamp)
    references, topics = {f"{prefix}reference/points": cloud}, (f"{prefix}depth/image",)
    graph.answered(set_stamp(image, stamp), info, topics, camera, references=references)
    error = np.abs(floats(graph.seen[f"{prefix}depth/image"].last) - depth) / depth
    assert error.mean() < 0.05  # the reference is sampled at the pixels of a smaller map


def test_without_a_transform_the_log_names_the_remedy_and_there_are_no_metres(graphs):
    graph = graphs.lost
    image, info = ros_image(noise(*SIZE), "rgb8"), ros_camera_info(*SIZE)
    depth = true_depth(graph, image, info, "", "")
    stamp = graph.next_stamp()
    cloud = lidar_cloud(depth, intrinsics_of(info, *SIZE), POSES["front"], stamp)

    def log_names_the_remedy() -> bool:
        references = {"reference/points": cloud}
        graph.answered(set_stamp(image, stamp), info, ("relative/image",), references=references)
        return "reference.transform" in graph.process.log

    until(log_names_the_remedy, 20, "the log names no remedy")
    assert not graph.seen["depth/image"].stamps
