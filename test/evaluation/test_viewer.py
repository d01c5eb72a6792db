"""The Rerun recording of a run, read back by rerun-sdk; and what is said without it."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.bag import (
    CAMERA_INFO,
    IMAGE,
    POINT_CLOUD,
    ImageTopics,
    camera_info_message,
    image_message,
    typestore,
    write_bag,
)
from depth_distill_ros.evaluation.demo import DemoOptions, run_demo
from depth_distill_ros.evaluation.images import decode_image
from depth_distill_ros.evaluation.source import Source
from depth_distill_ros.evaluation.viewer import save_rerun, show_rerun
from depth_distill_ros.geometry.camera import Intrinsics
from depth_distill_ros.geometry.point_cloud import coloured_cloud
from depth_distill_ros.ros.cdr import with_header_stamp
from depth_distill_ros.ros.messages import cloud_message

needs_rerun = pytest.mark.skipif(
    importlib.util.find_spec("rerun") is None, reason="rerun-sdk (the extra viewer) is missing"
)
CAMERA = Intrinsics(60, 60, 31.5, 23.5, 64, 48)
START, PERIOD = 1_700_000_000_000_000_000, 100_000_000
STAMPS = [START + PERIOD * number for number in range(4)]


def disparity(number: int) -> np.ndarray:
    return np.full((48, 64), 0.2 * (number + 1), np.float32)


def measured(number: int) -> np.ndarray:
    return np.full((48, 64), 1.5 + number, np.float32)


@pytest.fixture
def bag(tmp_path):
    """Four images with their depth, as output.mcap has them, and a cloud of the second one."""
    types = typestore().types
    cloud_types = types[POINT_CLOUD], types["sensor_msgs/msg/PointField"]
    depth = np.full((48, 64), 2.0, np.float32)
    depth[:, :32] = np.nan

    def messages():
        for number, stamp in enumerate(STAMPS):
            grey = np.full((48, 64, 3), 40 * number, np.uint8)
            found = {
                ("/image", IMAGE): image_message(grey),
                ("/relative/camera_info", CAMERA_INFO): camera_info_message(CAMERA),
                ("/relative/image", IMAGE): image_message(disparity(number), "32FC1"),
            }
            if number == 1:
                header = image_message(grey).header
                cloud = cloud_message(coloured_cloud(depth, grey, CAMERA), header, *cloud_types)
                cloud.data = np.frombuffer(cloud.data, np.uint8)
                found["/relative/points", POINT_CLOUD] = cloud
            for (topic, message_type), message in found.items():
                raw = bytes(typestore().serialize_cdr(message, message_type))
                yield topic, stamp, with_header_stamp(raw, stamp)

    topics = {"/image": IMAGE, "/relative/image": IMAGE, "/relative/points": POINT_CLOUD}
    write_bag(tmp_path / "bag", {**topics, "/relative/camera_info": CAMERA_INFO}, messages())
    return tmp_path / "bag"


def source_of(bag, depth=lambda stamp: None) -> Source:
    return Source("test", (), bag, ImageTopics("/image", None, "rgb8", 64, 48), depth)


def read(path) -> dict[str, list[tuple[int, dict]]]:
    """Entity to (stamp in nanoseconds, component to value) in the order of time."""
    chunk = pytest.importorskip("rerun.chunk", reason="this rerun-sdk cannot read recordings")
    found: dict[str, list[tuple[int, dict]]] = {}
    for part in chunk.RrdReader(str(path)).stream().to_chunks():
        if "stamp" not in part.timeline_names:
            continue
        batch = part.to_record_batch()
        stamps = batch.column("stamp").cast("int64").to_pylist()
        for row, stamp in enumerate(stamps):
            values = {n: batch.column(n)[row].as_py() for n in batch.schema.names if ":" in n}
            found.setdefault(part.entity_path, []).append((stamp, values))
    return {entity: sorted(rows, key=lambda row: row[0]) for entity, rows in found.items()}


@needs_rerun
def test_a_recording_has_everything_at_its_stamp(tmp_path, bag):
    save_rerun(
        tmp_path / "demo.rrd", bag, source_of(bag, lambda s: measured((s - START) // PERIOD))
    )
    entities = read(tmp_path / "demo.rrd")
    assert set(entities) == {
        "/world/camera", "/world/camera/image", "/world/cloud", "/disparity", "/measured_depth"
    }  # fmt: skip
    for entity in ("/world/camera", "/world/camera/image", "/disparity", "/measured_depth"):
        assert [stamp for stamp, _ in entities[entity]] == STAMPS, entity
    assert [stamp for stamp, _ in entities["/world/cloud"]] == [STAMPS[1]]

    for number in range(4):
        jpeg = entities["/world/camera/image"][number][1]["EncodedImage:blob"][0]
        picture = decode_image(bytes(jpeg), 1, "the image")
        assert picture.shape == (48, 64, 3) and abs(int(picture.mean()) - 40 * number) <= 1
        for entity, expected in (("/disparity", disparity), ("/measured_depth", measured)):
            (buffer,) = entities[entity][number][1]["DepthImage:buffer"]
            values = np.frombuffer(bytes(buffer), np.float32).reshape(48, 64)
            np.testing.assert_array_equal(values, expected(number))
    (matrix,) = entities["/world/camera"][0][1]["Pinhole:image_from_camera"]
    np.testing.assert_allclose(np.reshape(matrix, (3, 3)).T, CAMERA.matrix())
    points = np.array(entities["/world/cloud"][0][1]["Points3D:positions"])
    assert len(points) == 48 * 32, "without those that are NaN"
    assert (points[:, 2] == 2).all() and (points[:, 0] > 0).all(), "in the optical frame"


@needs_rerun
def test_without_measured_depth_there_is_none(tmp_path, bag):
    save_rerun(tmp_path / "demo.rrd", bag, source_of(bag))
    assert "/measured_depth" not in read(tmp_path / "demo.rrd")


def test_the_viewer_needs_a_display(tmp_path, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not show_rerun(tmp_path / "demo.rrd")


@pytest.mark.skipif(importlib.util.find_spec("rerun") is not None, reason="rerun-sdk is installed")
def test_without_rerun_the_demo_says_what_to_install(tmp_path):
    options = DemoOptions(output=tmp_path / "demo", video=tmp_path / "absent", viewer="rerun")
    with pytest.raises(ConfigError, match=r"pip install 'depth_distill_ros\[viewer\]'"):
        run_demo(options)
    assert not (tmp_path / "demo").exists()
