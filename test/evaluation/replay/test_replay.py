"""Whole replays: exact numbers, both storages, another writer's bag, splits, resuming."""

from __future__ import annotations

import json

import numpy as np
import pytest
from replay_bags import (
    CAMERA,
    SCALE,
    SHIFT,
    START,
    STEP,
    Record,
    cloud_message,
    depth,
    exact_model,
    image_records,
    odometry_record,
    pose_record,
    rgb,
    static_record,
    transform_message,
    wall_records,
    write_records,
    write_wall_bag,
)

from depth_distill_ros.errors import BagError, ConfigError
from depth_distill_ros.evaluation.bag import POINT_CLOUD, image_message, open_bag, typestore
from depth_distill_ros.evaluation.replay.command import Model, replay
from depth_distill_ros.evaluation.replay.options import ReplayOptions, parse_parameters
from depth_distill_ros.geometry.camera import unproject
from depth_distill_ros.ros.images import depth_from_image

FIXED = {"scale.mode": "fixed", "scale.scale": SCALE, "scale.shift": SHIFT}


def run(bag, output, model=exact_model, **options):
    options = {"depth": "/camera/depth", **options} if "lidar" not in options else options
    parameters = {"depth.edge_mask": False, **options.pop("parameters", {})}
    replay_options = ReplayOptions(bag=bag, output=output, parameters=parameters, **options)
    return replay(replay_options, model, say=lambda text: None)


def without_times(report: dict) -> dict:
    """A report without what is another in every run."""
    return {name: value for name, value in report.items() if name != "latency_ms"}


def messages_of(bag):
    with open_bag(bag) as reader:
        return [(c.topic, time, bytes(raw)) for c, time, raw in reader.messages()]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_an_exact_model_has_no_error(tmp_path, storage):
    bag = write_wall_bag(tmp_path / "bag", 6, storage)
    report = run(bag, tmp_path / "out", poses="/pose")
    assert (report["frames"], report["scored"], report["refused"]) == (6, 6, {})
    assert report["aligned"]["abs_rel"]["mean"] == pytest.approx(0, abs=1e-6)
    assert report["aligned"]["delta1"]["mean"] == 1 and report["metric"]["abs_rel"] is None
    assert report["scale_error"] is None and report["threshold"]["passed"]
    # One fit for all frames finds the scale; what is left is the motion, the same in the truth.
    tae = report["tae"]
    assert tae["depth_any_video"]["mean"] == pytest.approx(tae["measured"]["mean"], abs=1e-5)
    assert tae["measured"]["n"] == 5
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    lines = (tmp_path / "out" / "frames.csv").read_text().splitlines()
    assert len(lines) == 7 and lines[0].startswith("frame,stamp,recorded,lag_ms,latency.decode")


def test_metric_depth_and_the_output_bag(tmp_path, wall_bag):
    parameters = {**FIXED, "scale.scale": 2 * SCALE, "scale.shift": 2 * SHIFT}
    report = run(wall_bag, tmp_path / "out", parameters=parameters, clouds=True, every=3)
    assert report["metric"]["abs_rel"]["mean"] == pytest.approx(0.5, abs=1e-5), "half as far"
    assert report["scale_error"]["p50"] == pytest.approx(0.5, abs=1e-5)
    assert report["scale_jitter"]["mean"] == pytest.approx(0, abs=1e-5)
    assert report["aligned"]["abs_rel"]["mean"] == pytest.approx(0, abs=1e-6)
    assert report["scale_status"] == {"ok": 4}
    topics = {"/depth/image", "/depth/camera_info", "/error", "/points"}
    written = messages_of(tmp_path / "out" / "bag")
    assert {topic for topic, _, _ in written} == topics
    assert [time for topic, time, _ in written if topic == "/depth/image"] == [
        START + index * STEP for index in (0, 3, 6, 9)
    ]
    for topic, time, raw in written:
        index = (time - START) // STEP
        if topic == "/depth/image":
            message = typestore().deserialize_cdr(raw, "sensor_msgs/msg/Image")
            np.testing.assert_allclose(depth_from_image(message), depth(index) / 2, rtol=1e-5)
            assert message.header.stamp.nanosec == (START + index * STEP) % 10**9
        if topic == "/error":
            message = typestore().deserialize_cdr(raw, "sensor_msgs/msg/Image")
            np.testing.assert_allclose(depth_from_image(message), 0.5, rtol=1e-4)


def test_a_scale_that_flickers_is_seen_where_the_alignment_does_not_hide_it(tmp_path, wall_bag):
    turn = iter(range(100))

    def flickering(images):
        factor = 1.1 if next(turn) % 2 else 1.0
        return [np.clip(factor * image[..., 0].astype(np.float32) / 255, 0, 1) for image in images]

    model = Model(flickering, "flickers", "0", "cpu")
    report = run(wall_bag, tmp_path / "out", lambda: model, poses="/pose")
    assert report["aligned"]["abs_rel"]["mean"] == pytest.approx(0, abs=1e-6)
    floor = report["tae"]["measured"]["mean"]
    assert report["tae"]["depth_any_video"]["mean"] > floor + 0.03
    turn = iter(range(100))
    metric = run(wall_bag, tmp_path / "metric", lambda: model, parameters=FIXED)
    assert metric["scale_jitter"]["mean"] == pytest.approx(0.06, abs=0.03)


def test_reference_scale_is_measured_on_what_it_was_not_fitted_to(tmp_path, wall_bag):
    report = run(wall_bag, tmp_path / "out", parameters={"scale.mode": "reference"})
    assert "200 random pixels of each depth image are the reference" in report["split"]
    assert report["metric"]["abs_rel"]["mean"] < 0.01
    assert report["scale_error"]["p50"] == pytest.approx(1, abs=0.01)
    records = [json.loads(line) for line in (tmp_path / "out" / "frames.jsonl").open()]
    assert {record["pixels"] for record in records} == {48 * 64 - 200}
    assert {record["scale.points"] for record in records} == {200}


def lidar_bag(path):
    """A LiDAR 0.1 m beside the camera, in a body frame, whose rings are rows of the image."""
    transforms = [
        transform_message("base", "optical", (0.0, 0.0, 0.0), (-0.5, 0.5, -0.5, 0.5)),
        transform_message("base", "lidar", (0.0, 0.1, 0.0)),
    ]
    records = [static_record(transforms, START)]
    rings = np.repeat(np.arange(48), 64).astype(np.uint16)
    for index in range(4):
        time = START + index * STEP
        for record in image_records(index, time):
            record.frame = "optical"
            records.append(record)
        x, y, z = unproject(depth(index), CAMERA).reshape(-1, 3).T
        points = np.stack([z, -x - 0.1, -y], axis=1)  # forward, left (from 0.1 m left), up
        cloud = cloud_message(points.astype(np.float32), rings)
        records.append(Record("/lidar", POINT_CLOUD, time, cloud, time + 5_000_000, "lidar"))
    return write_records(path, records)


def test_a_lidar_through_the_static_transforms_of_the_bag(tmp_path):
    bag = lidar_bag(tmp_path / "bag")
    report = run(bag, tmp_path / "out", lidar="/lidar")
    assert report["aligned"]["abs_rel"]["mean"] < 0.002 and report["scored"] == 4
    split = run(bag, tmp_path / "split", lidar="/lidar", parameters={"scale.mode": "reference"})
    assert "every second beam" in split["split"]
    assert split["metric"]["abs_rel"]["mean"] < 0.01
    records = [json.loads(line) for line in (tmp_path / "split" / "frames.jsonl").open()]
    assert all(record["lag_ms"] == 5 for record in records)
    assert all(1300 < record["pixels"] <= 24 * 64 for record in records), "half of the beams"
    # By hand instead of /tf_static: a LiDAR at (-0.1, 0, 0) of the optical frame.
    given = run(
        bag, tmp_path / "given", lidar="/lidar", transform=(-0.1, 0, 0, 0.5, -0.5, 0.5, 0.5)
    )
    assert given["aligned"]["abs_rel"]["mean"] < 0.002


def test_a_bag_of_another_writer(tmp_path):
    mcap_writer = pytest.importorskip("mcap_ros2.writer", reason="mcap-ros2-support is missing")
    path = tmp_path / "other.mcap"
    types = {"sensor_msgs/msg/Image": None, "sensor_msgs/msg/CameraInfo": None}
    with open(path, "wb") as file:
        writer = mcap_writer.Writer(file)
        for name in types:
            text, _ = typestore().generate_msgdef(name, ros_version=2)
            types[name] = writer.register_msgdef(name, text)
        for record in wall_records(3):
            if record.message_type in types:
                writer.write_message(
                    record.topic, types[record.message_type], as_dictionary(record),
                    log_time=record.time, publish_time=record.time,
                )  # fmt: skip
        writer.finish()
    report = run(path, tmp_path / "out")
    assert report["scored"] == 3
    assert report["aligned"]["abs_rel"]["mean"] == pytest.approx(0, abs=1e-6)


def as_dictionary(record: Record) -> dict:
    """The message as the other writer takes it."""

    def plain(value):
        if hasattr(value, "__msgtype__"):
            return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__
                    if name != "__msgtype__"}  # fmt: skip
        if isinstance(value, np.ndarray):
            return value.tobytes() if value.dtype == np.uint8 else value.tolist()
        return value

    message = plain(record.message)
    seconds, nanoseconds = divmod(record.time, 10**9)
    message["header"] = {
        "stamp": {"sec": seconds, "nanosec": nanoseconds}, "frame_id": record.frame
    }  # fmt: skip
    return message


def test_images_the_node_would_refuse_are_counted_and_the_rest_is_measured(tmp_path):
    records = wall_records(5)
    bad = image_message(rgb())
    bad.encoding = "nonsense"
    records[5] = Record("/camera/image", records[5].message_type, START + STEP, bad)
    records = [
        one
        for one in records
        if not (one.topic == "/camera/depth" and one.time == START + 3 * STEP)
    ]
    report = run(write_records(tmp_path / "bag", records), tmp_path / "out", poses="/pose")
    assert (report["frames"], report["scored"]) == (5, 3)
    assert [text for text in report["refused"] if "nonsense" in text]
    assert report["tae"]["measured"] is None or report["tae"]["measured"]["n"] <= 2


class Stopped(Exception):
    """In place of a kill."""


def stopping_model(after: int) -> Model:
    count = iter(range(10**6))

    def infer(images):
        if next(count) >= after:
            raise Stopped
        return [image[..., 0].astype(np.float32) / 255 for image in images]

    return Model(infer, "red", "0123456789ab", "cpu")


@pytest.mark.parametrize("mode", ["none", "reference"])
@pytest.mark.parametrize("checkpoint", [0.0, 3600.0])
def test_a_run_that_was_cut_off_goes_on_as_if_it_had_not(tmp_path, wall_bag, mode, checkpoint):
    options = {"poses": "/pose", "parameters": {"scale.mode": mode, "scale.smoothing": 0.5}}
    options |= {"checkpoint": checkpoint, "clouds": True}
    whole = run(wall_bag, tmp_path / "whole", **options)
    for after in (5, 3, 100):
        try:
            cut = run(wall_bag, tmp_path / "cut", lambda a=after: stopping_model(a), **options)
        except Stopped:
            pass
    assert without_times(cut) == without_times(whole)
    written, expected = (messages_of(tmp_path / name / "bag") for name in ("cut", "whole"))
    assert sorted(written) == sorted(expected)
    records = [(tmp_path / name / "frames.jsonl").read_text() for name in ("cut", "whole")]
    cut_records, whole_records = (
        [json.loads(line) for line in text.splitlines()] for text in records
    )
    for one, other in zip(cut_records, whole_records, strict=True):
        timeless = [{k: v for k, v in r.items() if "latency" not in k} for r in (one, other)]
        assert timeless[0] == timeless[1]


def test_a_finished_run_is_reported_again_and_can_be_made_longer(tmp_path, wall_bag):
    first = run(wall_bag, tmp_path / "out", max_frames=4, poses="/pose")
    again = run(wall_bag, tmp_path / "out", lambda: stopping_model(0), max_frames=4, poses="/pose")
    assert first == again
    pairs = tmp_path / "out" / "pairs.jsonl"  # as after a kill amidst the second pass
    pairs.write_text(pairs.read_text()[:-40])
    model = exact_model()
    once_more = run(wall_bag, tmp_path / "out", lambda: model, max_frames=4, poses="/pose")
    assert first == once_more
    longer = run(wall_bag, tmp_path / "out", poses="/pose")
    whole = run(wall_bag, tmp_path / "whole", poses="/pose")
    assert without_times(longer) == without_times(whole)
    with pytest.raises(ConfigError, match="has 12 frames already"):
        run(wall_bag, tmp_path / "out", max_frames=4, poses="/pose")


def test_changed_options_and_models_are_refused_with_what_differs(tmp_path, wall_bag):
    run(wall_bag, tmp_path / "out", max_frames=2)
    with pytest.raises(ConfigError, match="every was 1, is 2"):
        run(wall_bag, tmp_path / "out", every=2)
    with pytest.raises(ConfigError, match="parameters was .*'scale.mode': 'fixed'"):
        run(wall_bag, tmp_path / "out", parameters=FIXED)
    other = Model(exact_model().infer, "red", "ffffffffffff", "cpu")
    with pytest.raises(ConfigError, match="checkpoint was 0123456789ab, is ffffffffffff"):
        run(wall_bag, tmp_path / "out", lambda: other)
    another = write_wall_bag(tmp_path / "another", 3)
    with pytest.raises(ConfigError, match="bag was .*'messages': 48.*'messages': 12"):
        run(another, tmp_path / "out")
    run(wall_bag, tmp_path / "out", max_frames=3, max_abs_rel=0.5)  # no matter of the numbers


def test_a_damaged_bag_keeps_what_was_measured(tmp_path):
    bag = write_wall_bag(tmp_path / "bag", 300)
    path = next(bag.glob("*.mcap"))
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 60_000] = np.random.default_rng(1).bytes(60_000)
    path.write_bytes(whole)
    with pytest.raises(BagError, match="damaged"):
        run(bag, tmp_path / "out", checkpoint=0.0)
    done = json.loads((tmp_path / "out" / "state.json").read_text())["frames"]
    assert done > 50
    report = run(bag, tmp_path / "out", max_frames=done)
    assert report["scored"] == done


def test_wrong_options_are_refused():
    base = {"bag": None, "output": None}
    for changes, message in (
        ({}, "--depth TOPIC .* or --lidar TOPIC"),
        ({"depth": "/d", "lidar": "/l"}, "--depth TOPIC"),
        ({"depth": "/d", "every": 0}, "--every must be at least 1"),
        ({"depth": "/d", "max_frames": 0}, "--max-frames"),
        ({"depth": "/d", "tolerance": float("nan")}, "--tolerance must not be negative"),
        ({"depth": "/d", "max_abs_rel": -1.0}, "--max-abs-rel must not be"),
        ({"depth": "/d", "transform": (0, 0, 0, 0, 0, 0, 0)}, "quaternion"),
        ({"depth": "/d", "parameters": {"scale.mode": "fixed"}}, "scale.scale is 0"),
        ({"depth": "/d", "parameters": {"cameras": ["front"]}}, "one camera"),
    ):
        with pytest.raises(ConfigError, match=message):
            ReplayOptions(**base, **changes)
    assert parse_parameters(["scale.scale=0.5", "rectify=true", "scale.mode=fixed"]) == {
        "scale.scale": 0.5, "rectify": True, "scale.mode": "fixed"
    }  # fmt: skip
    with pytest.raises(ConfigError, match="NAME=VALUE"):
        parse_parameters(["scale.scale"])
    with pytest.raises(ConfigError, match="no parameter 'scale.scael'"):
        parse_parameters(["scale.scael=1"])


def test_the_pose_of_a_robot_is_taken_to_its_camera(tmp_path):
    """The robot drives 0.1 m a frame towards a wall; the camera looks ahead."""
    to_optical = transform_message("body", "optical", (0.3, 0.0, 1.0), (-0.5, 0.5, -0.5, 0.5))
    records = [static_record([to_optical], START)]
    for index in range(4):
        time = START + index * STEP
        wall = np.full((48, 64), 3.0 - 0.1 * index, np.float32)
        truth = Record("/depth", "sensor_msgs/msg/Image", time, image_message(wall, "32FC1"))
        for record in (*image_records(0, time), truth):
            record.frame = "optical"
            records.append(record)
        records += [odometry_record(0.1 * index, time), pose_record(0.1 * index, time)]
    bag = write_records(tmp_path / "bag", records)
    found = run(bag, tmp_path / "out", depth="/depth", poses="/odom")
    assert found["tae"]["measured"]["mean"] == pytest.approx(0, abs=1e-6)
    # A PoseStamped does not say whose it is: taken for the camera's, it moves sideways.
    sideways = run(bag, tmp_path / "pose", depth="/depth", poses="/pose")
    assert sideways["tae"]["measured"]["mean"] > 0.03
    given = run(bag, tmp_path / "given", depth="/depth", poses="/pose", pose_frame="body")
    assert given["tae"]["measured"]["mean"] == pytest.approx(0, abs=1e-6)
    with pytest.raises(BagError, match="does not connect 'optical' with 'elsewhere'"):
        run(bag, tmp_path / "other", depth="/depth", poses="/pose", pose_frame="elsewhere")


def test_the_height_of_the_camera_from_the_static_transforms(tmp_path):
    """A floor seen from 1.2 m: inverse depth is (v - cy) / (fy * 1.2) below the horizon."""
    to_optical = transform_message(
        "base_footprint", "optical", (0.0, 0.0, 1.2), (-0.5, 0.5, -0.5, 0.5)
    )
    rows = np.arange(48)[:, None] - CAMERA.cy + 0 * np.arange(64)[None, :]
    inverse = (rows / (CAMERA.fy * 1.2)).astype(np.float32)
    records = [static_record([to_optical], START)]
    for index in range(3):
        time = START + index * STEP
        floor = np.where(inverse > 0.02, 1 / np.maximum(inverse, 0.02), np.nan)
        truth = Record("/depth", "sensor_msgs/msg/Image", time,
                       image_message(floor.astype(np.float32), "32FC1"))  # fmt: skip
        for record in (*image_records(0, time), truth):
            record.frame = "optical"
            records.append(record)
    near, far = 0.5, 10.0
    # The shape with a scale of its own: twice as near as it is.
    nominal = np.clip((2 * inverse - 1 / far) / (1 / near - 1 / far), 0, 1)
    model = Model(lambda images: [nominal.astype(np.float32)] * len(images), "floor", "0", "cpu")
    bag = write_records(tmp_path / "bag", records)
    parameters = {"scale.mode": "camera_height"}
    report = run(bag, tmp_path / "out", lambda: model, depth="/depth", parameters=parameters)
    assert report["scale_error"]["p50"] == pytest.approx(1, abs=0.03)
    assert report["metric"]["abs_rel"]["mean"] < 0.05
