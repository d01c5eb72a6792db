"""Clouds, scans and depth images as measurements in a camera's image."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from ros_messages import (
    TYPES,
    PointCloud2,
    PointField,
    camera_info,
    header,
    image,
)

from depth_distill_ros.errors import MessageError, ScaleError
from depth_distill_ros.evaluation.frames import load_sequence
from depth_distill_ros.geometry.camera import Intrinsics, unproject
from depth_distill_ros.ros.reference import (
    KEPT_BYTES,
    KEPT_MESSAGES,
    ReferenceStore,
    points_from_cloud,
    points_from_scan,
)
from depth_distill_ros.ros.transforms import NoTransforms, StaticTransform

LaserScan = TYPES["sensor_msgs/msg/LaserScan"]
CAMERA = Intrinsics(fx=100, fy=100, cx=31.5, cy=23.5, width=64, height=48)
FLOAT32, FLOAT64 = 7, 8

# A LiDAR's axes (x forward, y left, z up) in the optical frame, 10 cm above the camera.
LIDAR = (0.0, -0.1, 0.0, 0.5, -0.5, 0.5, 0.5)


def cloud(
    points, order="<", kind="f4", step=0, padding=0, height=1, stamp=(12, 345), frame="lidar"
):
    """A PointCloud2 of points (N, 3) with intensity before the coordinates."""
    points = np.asarray(points)
    offset = 4 if kind == "f4" else 8
    size = int(kind[1])
    layout = np.dtype(
        {
            "names": ["intensity", "x", "y", "z"],
            "formats": [f"{order}f4", *[f"{order}{kind}"] * 3],
            "offsets": [0, *(offset + size * axis for axis in range(3))],
            "itemsize": step or offset + 3 * size,
        }
    )
    values = np.zeros(len(points), layout)
    for axis, name in enumerate("xyz"):
        values[name] = points[:, axis]
    width = len(points) // height
    rows = values.view(np.uint8).reshape(height, width * layout.itemsize)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    datatype = FLOAT32 if kind == "f4" else FLOAT64
    fields = [PointField(name="intensity", offset=0, datatype=FLOAT32, count=1)] + [
        PointField(name=name, offset=layout.fields[name][1], datatype=datatype, count=1)
        for name in "xyz"
    ]
    return PointCloud2(
        header=header(*stamp, frame_id=frame),
        height=height,
        width=width,
        fields=fields,
        is_bigendian=order == ">",
        point_step=layout.itemsize,
        row_step=rows.shape[1],
        data=rows.reshape(-1),
        is_dense=False,
    )


def scan(ranges, **changes):
    fields = {
        "header": header(frame_id="laser"),
        "angle_min": -0.1,
        "angle_max": 0.1,
        "angle_increment": 0.1,
        "time_increment": 0.0,
        "scan_time": 0.1,
        "range_min": 0.2,
        "range_max": 10.0,
        "ranges": np.asarray(ranges, np.float32),
        "intensities": np.zeros(0, np.float32),
    }
    return LaserScan(**{**fields, **changes})


POINTS = np.array([[1.5, -2, 3], [np.nan, 0, 1], [4, 5, -6], [7, np.inf, 9]])


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind, step", [("f4", 16), ("f4", 23), ("f8", 32), ("f8", 37)])
@pytest.mark.parametrize("height, padding", [(1, 0), (2, 0), (2, 5)])
def test_coordinates_of_any_layout(order, kind, step, height, padding):
    points = points_from_cloud(cloud(POINTS, order, kind, step, padding, height))
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, [[1.5, -2, 3], [4, 5, -6]])


def test_coordinates_beyond_float32_are_left_out():
    points = points_from_cloud(cloud([[1e300, 0, 0], [1, 2, 3]], kind="f8"))
    np.testing.assert_array_equal(points, [[1, 2, 3]])


def test_an_empty_cloud_has_no_points():
    assert points_from_cloud(cloud(np.empty((0, 3)))).shape == (0, 3)


def test_damaged_clouds_say_what_is_wrong():
    message = cloud(POINTS)
    message.data = message.data[:-3]
    with pytest.raises(MessageError, match="61 bytes do not fit 4x1 points of 16 bytes"):
        points_from_cloud(message)
    message = cloud(POINTS)
    message.fields[3].offset = 13
    with pytest.raises(MessageError, match="do not fit"):
        points_from_cloud(message)
    message = cloud(POINTS)
    message.fields[2].datatype = 5  # INT32
    with pytest.raises(MessageError, match="no float field 'y'.*float32 or float64"):
        points_from_cloud(message)
    message = cloud(POINTS)
    del message.fields[1]
    with pytest.raises(MessageError, match="no float field 'x', but .'intensity', 'y', 'z'"):
        points_from_cloud(message)


def test_a_lidars_cloud_is_read_in_milliseconds():
    message = cloud(np.random.default_rng(0).normal(size=(120_000, 3)), step=22)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        assert len(points_from_cloud(message)) == 120_000
        times.append(time.perf_counter() - start)
    assert min(times) < 0.01  # 2 ms on a machine that does nothing else


def test_points_of_a_scan_by_hand():
    points = points_from_scan(scan([1, 2, 3]))
    expected = [[np.cos(0.1), -np.sin(0.1), 0], [2, 0, 0], [3 * np.cos(0.1), 3 * np.sin(0.1), 0]]
    assert points.dtype == np.float32
    np.testing.assert_allclose(points, expected, atol=1e-6)


def test_a_scans_limits_and_what_is_not_measured():
    ranges = [0.1, 0.2, 10, 10.1, np.inf, np.nan, -np.inf, 0, -1]
    points = points_from_scan(scan(ranges, angle_min=0.0, angle_increment=0.0))
    np.testing.assert_allclose(points[:, 0], [0.2, 10])
    assert len(points_from_scan(scan([5, 100], range_max=np.inf))) == 2
    assert points_from_scan(scan([])).shape == (0, 3)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"range_max": 0.0}, "leaves none"),
        ({"range_min": np.nan}, "leaves none"),
        ({"angle_increment": np.nan}, "in steps of nan"),
    ],
)
def test_scans_that_cannot_be_used(changes, message):
    with pytest.raises(MessageError, match=message):
        points_from_scan(scan([1, 2, 3], **changes))


def test_lidar_points_in_the_image_by_hand():
    store = ReferenceStore(0.1, StaticTransform(LIDAR))
    # 2 m ahead, 0.2 m to the left and at the camera's height: u = cx - 10, v = cy
    store.add(cloud([[2, 0.2, -0.1], [-2, 0, 0], [2, 50, 0]]))
    samples = store.samples(header(frame_id="camera_optical"), CAMERA)
    np.testing.assert_allclose(samples.u, [21.5], atol=1e-4)
    np.testing.assert_allclose(samples.v, [23.5], atol=1e-4)
    np.testing.assert_allclose(samples.depth, [2], atol=1e-6)
    assert (samples.width, samples.height) == (64, 48)


def test_laser_ranges_in_the_image_by_hand():
    store = ReferenceStore(0.1, StaticTransform(LIDAR), "scan")
    store.add(scan([np.inf, 2, np.nan]))
    samples = store.samples(header(frame_id="camera_optical"), CAMERA)
    np.testing.assert_allclose(samples.u, [31.5], atol=1e-4)
    np.testing.assert_allclose(samples.v, [23.5 - 5], atol=1e-4)  # 0.1 m above, at 2 m


def test_nothing_or_nothing_recent_is_no_reference():
    store = ReferenceStore(0.5, NoTransforms())
    assert store.samples(header(10, 0), CAMERA) is None
    store.add(cloud([[0, 0, 1]], stamp=(10, 0), frame="camera"))
    assert store.samples(header(10, 500_000_000), CAMERA) is not None
    assert store.samples(header(10, 500_000_001), CAMERA) is None
    assert store.samples(header(9, 499_999_999), CAMERA) is None
    store.max_age = 1.0
    assert store.samples(header(9, 499_999_999), CAMERA) is not None


def test_the_nearest_stamp_is_taken_in_any_order_of_arrival():
    store = ReferenceStore(5, NoTransforms())
    for second in (14, 11, 12, 13):  # the bag begins anew after the first
        store.add(cloud([[0, 0, second]], stamp=(second, 0), frame="camera"))
    for asked, expected in [((11, 0), 11), ((12, 400_000_000), 12), ((18, 0), 14)]:
        assert store.samples(header(*asked), CAMERA).depth == [expected]
    store.add(cloud([[0, 0, 99]], stamp=(12, 0), frame="camera"))
    assert store.samples(header(12, 0), CAMERA).depth == [99], "of one stamp, what came last"


def test_memory_is_bounded_by_bytes_and_by_count():
    points = np.tile(np.float32([[0, 0, 1]]), (300_000, 1))
    store = ReferenceStore(1000, NoTransforms())
    for second in range(12):
        store.add(cloud(points, stamp=(second, 0), frame="camera"))
    size = 16 * 300_000
    kept = [second for second in range(12) if is_kept(store, second)]
    assert kept == list(range(12 - KEPT_BYTES // size - 1, 12))
    scans = ReferenceStore(0, NoTransforms(), "scan")
    for second in range(KEPT_MESSAGES + 50):
        scans.add(scan([1], header=header(second, 0, "camera"), angle_min=0.0))
    assert len(scans._entries) == KEPT_MESSAGES


def is_kept(store: ReferenceStore, second: int) -> bool:
    store.max_age = 0
    return store.samples(header(second, 0), CAMERA) is not None


def test_a_message_is_read_once():
    store = ReferenceStore(1, NoTransforms())
    message = cloud([[0, 0, 2]], frame="camera")
    store.add(message)
    assert store.samples(header(), CAMERA).depth == [2]
    message.data[:] = 0
    assert store.samples(header(), CAMERA).depth == [2]


def test_a_damaged_message_is_reported_once_and_the_next_one_serves():
    store = ReferenceStore(1, NoTransforms())
    store.add(cloud([[0, 0, 2]], stamp=(11, 900_000_000), frame="camera"))
    bad = cloud([[0, 0, 3]], frame="camera")
    bad.data = bad.data[:-1]
    store.add(bad)
    with pytest.raises(MessageError, match="truncated"):
        store.samples(header(), CAMERA)
    assert store.samples(header(), CAMERA).depth == [2]


def test_a_sensor_that_looks_elsewhere_is_no_silent_failure():
    store = ReferenceStore(1, StaticTransform(LIDAR))
    store.add(cloud([[-2, 0, 0], [-3, 0, 0]]))
    with pytest.raises(ScaleError, match="none of the 2 reference points of 'lidar'.*transform"):
        store.samples(header(), CAMERA)


def test_another_frame_without_transforms_says_how_to_give_one():
    store = ReferenceStore(1, NoTransforms())
    store.add(cloud([[0, 0, 2]]))
    with pytest.raises(MessageError, match="'lidar' is in 'camera'.*reference.transform.*tf2"):
        store.samples(header(), CAMERA)
    store.add(cloud([[0, 0, 2]], frame="/camera", stamp=(12, 400)))
    assert store.samples(header(12, 400), CAMERA).depth == [2], "a slash before it is no other"


@pytest.mark.parametrize("size", [(48, 64), (24, 32), (97, 128)])
def test_registered_depth_of_any_size_of_the_view(size):
    millimetres = np.zeros(size, np.uint16)
    millimetres[size[0] // 2, size[1] // 4] = 1500
    store = ReferenceStore(1, NoTransforms(), "image")
    store.add(image(millimetres, "16UC1"))
    samples = store.samples(header(), CAMERA)
    assert (samples.height, samples.width) == size
    assert (samples.u, samples.v) == ([size[1] // 4], [size[0] // 2])
    np.testing.assert_allclose(samples.depth, [1.5])


def test_depth_of_another_view_needs_its_camera():
    store = ReferenceStore(1, NoTransforms(), "image")
    store.add(image(np.ones((48, 48), np.float32), "32FC1"))
    with pytest.raises(MessageError, match="48x48 pixels, the image 64x48.*reference/camera_info"):
        store.samples(header(), CAMERA)
    store.add(image(np.ones((48, 64), np.float32), "32FC1", header=header(13, 0, "depth")))
    with pytest.raises(MessageError, match="of 'depth', the image of 'camera'.*camera_info"):
        store.samples(header(13, 0), CAMERA)


def test_depth_of_a_camera_beside_it_is_projected():
    # the depth camera stands 0.1 m to the right of the image's, and sees a wall 2 m away
    store = ReferenceStore(1, StaticTransform((0.1, 0, 0, 0, 0, 0, 1)), "image")
    store.add(image(np.full((480, 640), 2, np.float32), "32FC1", header=header(frame_id="depth")))
    store.add_camera_info(camera_info())
    camera = Intrinsics(fx=500, fy=510, cx=320.5, cy=240.5, width=640, height=480)
    samples = store.samples(header(), camera)
    np.testing.assert_allclose(samples.depth, 2)
    # its pixels are 500 * 0.1 / 2 = 25 columns to the right, so that the first 25 have none
    np.testing.assert_allclose(samples.u, np.rint(samples.u), atol=1e-3)
    assert samples.u.min() >= 24.9 and samples.u.max() <= 639.5
    assert 4500 < len(samples.depth) <= 5000


def test_depth_of_the_same_camera_with_its_camera_info_stays_where_it_is():
    depth = np.random.default_rng(0).uniform(1, 4, (480, 640)).astype(np.float32)
    camera = Intrinsics(fx=500, fy=510, cx=320.5, cy=240.5, width=640, height=480)
    alone, described = (ReferenceStore(1, NoTransforms(), "image") for _ in range(2))
    described.add_camera_info(camera_info())
    for store in (alone, described):
        store.add(image(depth, "32FC1"))
    first, second = alone.samples(header(), camera), described.samples(header(), camera)
    for name in ("u", "v", "depth"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), atol=1e-3)


def test_messages_may_be_added_while_they_are_used():
    store = ReferenceStore(1000, NoTransforms())
    points = np.tile([[0, 0, 2.0]], (1000, 1))
    stop = threading.Event()

    def feed() -> None:
        second = 0
        while not stop.is_set():
            store.add(cloud(points, stamp=(second, 0), frame="camera"))
            second += 1

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        found = [store.samples(header(second, 0), CAMERA) for second in range(300)]
    finally:
        stop.set()
        thread.join()
    assert all(len(samples.depth) == 1000 for samples in found if samples is not None)


def test_lidar_of_a_real_street_falls_where_it_was_measured(shared_data):
    """The points of the depth image, taken to the LiDAR's frame and back, keep their pixels."""
    frame = load_sequence(shared_data / "seq_kitti_lidar_street")[0]
    points = unproject(frame.depth, frame.intrinsics)
    points = points[np.isfinite(points[..., 2])]
    # optical x right, y down, z forward to the LiDAR's x forward, y left, z up, 10 cm higher
    in_lidar = np.stack([points[:, 2], -points[:, 0], -(points[:, 1] + 0.1)], 1)
    store = ReferenceStore(0.1, StaticTransform(LIDAR))
    store.add(cloud(in_lidar, step=16))
    samples = store.samples(header(), frame.intrinsics)
    v, u = np.nonzero(frame.depth)
    np.testing.assert_allclose(samples.u, u, atol=2e-2)
    np.testing.assert_allclose(samples.v, v, atol=2e-2)
    np.testing.assert_allclose(samples.depth, frame.depth[v, u], rtol=1e-5)
