"""Bags: written from frames, searched for images, merged; damaged ones refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.errors import BagError
from depth_distill_ros.evaluation.bag import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    IMAGE,
    camera_info_message,
    find_images,
    forth_and_back,
    image_message,
    merge_bags,
    open_bag,
    typestore,
    write_bag,
    write_frames_bag,
)
from depth_distill_ros.evaluation.frames import load_sequence
from depth_distill_ros.geometry.camera import Intrinsics
from depth_distill_ros.ros.cdr import header_stamp

RGB = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def raw_image(encoding: str = "rgb8") -> bytes:
    message = image_message(RGB)
    message.encoding = encoding
    return bytes(typestore().serialize_cdr(message, IMAGE))


def raw_info() -> bytes:
    info = camera_info_message(Intrinsics(5, 6, 2, 1.5, 5, 4))
    return bytes(typestore().serialize_cdr(info, CAMERA_INFO))


def contents(path):
    with open_bag(path) as reader:
        return [(c.topic, time, header_stamp(raw)) for c, time, raw in reader.messages()]


def test_forth_and_back_by_hand():
    assert [forth_and_back(step, 3) for step in range(7)] == [0, 1, 2, 1, 0, 1, 2]
    assert [forth_and_back(step, 1) for step in range(3)] == [0, 0, 0]


@given(step=st.integers(0, 10**6), count=st.integers(2, 100))
def test_forth_and_back_never_jumps(step, count):
    here, there = forth_and_back(step, count), forth_and_back(step + 1, count)
    assert 0 <= here < count and abs(here - there) == 1


def test_a_bag_of_frames_repeats_them_with_increasing_stamps(tmp_path, make_sequence):
    sequence = load_sequence(make_sequence(tmp_path / "frames"))
    indices = write_frames_bag(sequence, tmp_path / "bag", rate=10, seconds=0.7, start=10**18)
    assert list(indices.values()) == [0, 1, 2, 1, 0, 1, 2]
    stamps = [10**18 + step * 10**8 for step in range(7)]
    assert list(indices) == stamps
    written = contents(tmp_path / "bag")
    assert [entry for entry in written if entry[0] == "/image"] == [
        ("/image", stamp, stamp) for stamp in stamps
    ]
    assert [topic for topic, _, _ in written[:2]] == ["/camera_info", "/image"]


def test_images_in_the_bag_are_those_of_the_frames(tmp_path, make_sequence):
    sequence = load_sequence(make_sequence(tmp_path / "frames"))
    write_frames_bag(sequence, tmp_path / "bag", rate=10, seconds=0.2, start=0)
    with open_bag(tmp_path / "bag" / "bag.mcap") as reader:
        for connection, _, raw in reader.messages():
            message = typestore().deserialize_cdr(raw, connection.msgtype)
            if connection.topic == "/camera_info":
                np.testing.assert_array_equal(message.k.reshape(3, 3)[0], [60, 0, 31.5])
                np.testing.assert_array_equal(message.p.reshape(3, 4)[1], [0, 60, 23.5, 0])
                assert (message.width, message.height) == (64, 48)
            else:
                index = round(header_stamp(raw) / 1e8)
                assert (message.encoding, message.step) == ("rgb8", 64 * 3)
                image = message.data.reshape(48, 64, 3)
                np.testing.assert_array_equal(image, sequence[index].rgb)


def test_an_uncalibrated_sequence_has_no_camera_info(tmp_path, make_sequence):
    folder = make_sequence(tmp_path / "frames")
    (folder / "intrinsics.json").write_text('{"fx": 0, "depth_format": "png_mm"}')
    write_frames_bag(load_sequence(folder), tmp_path / "bag", rate=10, seconds=0.1, start=0)
    assert find_images(tmp_path / "bag").camera_info is None


def test_colour_is_preferred_to_depth_and_its_own_camera_info(tmp_path):
    topics = {"/a/depth": IMAGE, "/b/image": IMAGE, "/b/camera_info": CAMERA_INFO}
    topics["/a/camera_info"] = CAMERA_INFO
    recorded = [
        ("/a/depth", 1, raw_image("16UC1")),
        ("/a/camera_info", 1, raw_info()),
        ("/b/image", 2, raw_image("bgr8")),
        ("/b/camera_info", 2, raw_info()),
    ]
    write_bag(tmp_path / "bag", topics, iter(recorded))
    found = find_images(tmp_path / "bag")
    assert (found.image, found.camera_info) == ("/b/image", "/b/camera_info")
    assert (found.encoding, found.width, found.height) == ("bgr8", 5, 4)
    assert find_images(tmp_path / "bag", "/a/depth").camera_info == "/a/camera_info"
    with pytest.raises(BagError, match="no images on /c .*; it has /a/depth \\(Image\\)"):
        find_images(tmp_path / "bag", "/c")


def test_a_bag_without_images_names_what_it_has(tmp_path):
    write_bag(
        tmp_path / "info", {"/camera_info": CAMERA_INFO}, iter([("/camera_info", 1, raw_info())])
    )
    with pytest.raises(BagError, match="no images .* it has /camera_info \\(CameraInfo\\)"):
        find_images(tmp_path / "info")
    write_bag(tmp_path / "depth", {"/depth": IMAGE}, iter([("/depth", 1, raw_image("32FC1"))]))
    with pytest.raises(BagError, match="no images"):
        find_images(tmp_path / "depth")
    write_bag(tmp_path / "jpeg", {"/image/compressed": COMPRESSED_IMAGE}, iter([]))
    with pytest.raises(BagError, match="compressed images must be republished"):
        find_images(tmp_path / "jpeg")


def test_what_is_not_a_bag_is_refused(tmp_path):
    (tmp_path / "text.mcap").write_text("no bag")
    (tmp_path / "image.png").write_bytes(b"x")
    for path in (tmp_path, tmp_path / "absent", tmp_path / "text.mcap", tmp_path / "image.png"):
        with pytest.raises(BagError):
            find_images(path)


def test_a_truncated_bag_is_refused(tmp_path):
    write_bag(tmp_path / "bag", {"/image": IMAGE}, iter([("/image", 1, raw_image())] * 5))
    storage = tmp_path / "bag" / "bag.mcap"
    whole = storage.read_bytes()
    for size in (0, 20, len(whole) // 2, len(whole) - 10):
        storage.write_bytes(whole[:size])
        with pytest.raises(BagError):
            find_images(tmp_path / "bag")


@pytest.mark.parametrize("seed", range(100))
def test_a_damaged_bag_is_read_or_refused_but_never_a_crash(tmp_path, seed):
    rng = np.random.default_rng(seed)
    write_bag(tmp_path / "bag", {"/image": IMAGE}, iter([("/image", 1, raw_image())] * 5))
    damaged = bytearray((tmp_path / "bag" / "bag.mcap").read_bytes())
    start = int(rng.integers(8, len(damaged)))
    damaged[start : start + 40] = rng.bytes(len(damaged[start : start + 40]))
    (tmp_path / "damaged.mcap").write_bytes(damaged)
    try:
        find_images(tmp_path / "damaged.mcap")
    except BagError as error:
        assert "damaged.mcap" in str(error)


def test_merging_keeps_the_order_of_times_and_applies_the_functions(tmp_path):
    write_bag(tmp_path / "a", {"/image": IMAGE}, iter([("/image", t, raw_image()) for t in (1, 5)]))
    infos = [("/info", t, raw_info()) for t in (2, 3, 9)]
    write_bag(tmp_path / "b", {"/info": CAMERA_INFO}, iter(infos))

    def renamed(topic, time, raw):
        return "/camera", time + 10, raw

    def late(topic, time, raw):
        return (topic, time + 10, raw) if time > 2 else None

    output = tmp_path / "merged.mcap"
    output.write_text("an older file")
    topics = {"/camera": IMAGE, "/info": CAMERA_INFO}
    merge_bags(output, [(tmp_path / "a", renamed), (tmp_path / "b", late)], topics)
    assert [(topic, time) for topic, time, _ in contents(output)] == [
        ("/camera", 11), ("/info", 13), ("/camera", 15), ("/info", 19)
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "merged.mcap"]
