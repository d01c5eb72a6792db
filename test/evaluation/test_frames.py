"""The layout of sequences: every depth format, poses, stamps, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.frames import find_sequences, load_sequence
from depth_distill_ros.geometry.camera import reproject


@pytest.fixture
def sequence_folder(tmp_path, make_sequence):
    return make_sequence(tmp_path / "in_plane", poses=True)


def test_frames_of_a_sequence(sequence_folder, plane_depth):
    sequence = load_sequence(sequence_folder)
    assert (sequence.name, len(sequence)) == ("in_plane", 3)
    assert sequence.rate == pytest.approx(10)
    frame = sequence[1]
    assert frame.rgb.shape == (48, 64, 3) and frame.rgb.dtype == np.uint8
    np.testing.assert_allclose(frame.depth, plane_depth, atol=6e-4)  # half a millimetre
    assert (frame.intrinsics.fx, frame.intrinsics.width) == (60.0, 64)
    assert frame.stamp == pytest.approx(0.1)
    np.testing.assert_allclose(frame.pose[:3, 3], [0.01, 0, 0])
    assert [frame.name for frame in sequence] == ["000000", "000001", "000002"]


def test_metres_in_npz(tmp_path, make_sequence, plane_depth):
    folder = make_sequence(tmp_path / "s", depth_format="npz_depth")
    np.testing.assert_array_equal(load_sequence(folder)[0].depth, plane_depth)


def test_stereo_disparity_is_relative_and_has_no_depth(tmp_path, make_sequence):
    sequence = load_sequence(make_sequence(tmp_path / "s", depth_format="npz_disparity"))
    assert sequence.relative and sequence[0].depth is None


def test_relative_depth_is_the_inverse_of_disparity_with_a_median_of_one(
    tmp_path, make_sequence, plane_depth
):
    folder = make_sequence(tmp_path / "s", depth_format="npz_disparity")
    depth = load_sequence(folder).relative_depth(0)
    np.testing.assert_allclose(depth / plane_depth, depth[0, 0] / plane_depth[0, 0], rtol=1e-5)
    assert np.median(1 / depth) == pytest.approx(1, rel=1e-5)
    np.savez(folder / "depth" / "000001.npz", disparity=np.zeros((48, 64), np.float32))
    assert load_sequence(folder).relative_depth(1) is None
    np.savez(folder / "depth" / "000001.npz", depth=np.ones((48, 64), np.float32))
    with pytest.raises(DataError, match="'disparity'"):
        load_sequence(folder).relative_depth(1)


def test_without_poses_stamps_are_nominal(tmp_path, make_sequence):
    sequence = load_sequence(make_sequence(tmp_path / "s"))
    assert sequence.poses is None and sequence[0].pose is None
    np.testing.assert_allclose(sequence.stamps, [0, 1 / 30, 2 / 30])


def test_an_image_without_its_depth_file_has_none(sequence_folder):
    (sequence_folder / "depth" / "000001.png").unlink()
    sequence = load_sequence(sequence_folder)
    assert sequence[1].depth is None and sequence[2].depth is not None


def test_an_uncalibrated_camera_has_no_intrinsics(sequence_folder):
    (sequence_folder / "intrinsics.json").write_text('{"fx": 0, "fy": 0, "depth_format": "png_mm"}')
    assert load_sequence(sequence_folder).intrinsics is None


def test_find_sequences(tmp_path, sequence_folder, make_sequence):
    make_sequence(tmp_path / "out_plane")
    (tmp_path / "notes").mkdir()
    assert [path.name for path in find_sequences(tmp_path)] == ["in_plane", "out_plane"]
    assert find_sequences(sequence_folder) == [sequence_folder]
    with pytest.raises(DataError, match="no sequence"):
        find_sequences(tmp_path / "notes")
    with pytest.raises(DataError, match="no folder"):
        find_sequences(tmp_path / "absent")


def break_intrinsics(folder):
    (folder / "intrinsics.json").write_text("{")


def remove_intrinsics(folder):
    (folder / "intrinsics.json").unlink()


def unknown_format(folder):
    content = json.loads((folder / "intrinsics.json").read_text())
    (folder / "intrinsics.json").write_text(json.dumps({**content, "depth_format": "exr"}))


def short_poses(folder):
    (folder / "poses.txt").write_text("0 0 0 0 0 0 0 1\n")


def standing_time(folder):
    (folder / "poses.txt").write_text("1 0 0 0 0 0 0 1\n" * 3)


def words_in_poses(folder):
    (folder / "poses.txt").write_text("here\n" * 3)


def no_images(folder):
    for path in (folder / "rgb").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    "damage, message",
    [
        (break_intrinsics, "cannot be read as JSON"),
        (remove_intrinsics, "there is no .*intrinsics.json"),
        (unknown_format, "depth_format is 'exr'"),
        (short_poses, "8 numbers for each of the 3 images"),
        (standing_time, "time stamps must increase"),
        (words_in_poses, "not a TUM trajectory"),
        (no_images, "holds no images"),
    ],
)
def test_damaged_sequences_say_what_is_wrong(sequence_folder, damage, message):
    damage(sequence_folder)
    with pytest.raises(DataError, match=message):
        load_sequence(sequence_folder)


def test_damaged_depth_files_say_what_is_wrong(tmp_path, sequence_folder, make_sequence):
    (sequence_folder / "depth" / "000000.png").write_bytes(b"not a png")
    with pytest.raises(DataError, match="not an image"):
        load_sequence(sequence_folder)[0]
    arrays = make_sequence(tmp_path / "npz", depth_format="npz_depth")
    np.savez(arrays / "depth" / "000000.npz", other=np.zeros(3))
    (arrays / "depth" / "000001.npz").write_bytes(b"PK truncated")
    for index in (0, 1):
        with pytest.raises(DataError, match="not an npz file with an array 'depth'"):
            load_sequence(arrays)[index]


def test_depth_of_another_size_is_refused(tmp_path, make_sequence):
    folder = make_sequence(tmp_path / "s", depth_format="npz_depth")
    np.savez(folder / "depth" / "000000.npz", depth=np.ones((10, 10), np.float32))
    with pytest.raises(DataError, match="registered"):
        load_sequence(folder)[0]


def test_poses_of_a_real_sequence_agree_with_its_depth(shared_data):
    sequence = load_sequence(shared_data / "seq_redkitchen_kinect")
    first, second = sequence[10], sequence[11]
    u, v, z = reproject(first.depth, first.intrinsics, first.pose, second.pose)
    inside = np.isfinite(z) & (u > 0) & (u < 639) & (v > 0) & (v < 479)
    seen = second.depth[np.rint(v[inside]).astype(int), np.rint(u[inside]).astype(int)]
    error = np.abs(seen - z[inside])[seen > 0] / z[inside][seen > 0]
    assert np.median(error) < 0.01


def test_stamps_in_a_file_of_their_own_are_exact(sequence_folder):
    exact = [1_700_000_000_000_000_001, 1_700_000_000_100_000_002, 1_700_000_000_200_000_003]
    (sequence_folder / "stamps.txt").write_text("\n".join(map(str, exact)))
    sequence = load_sequence(sequence_folder)
    assert sequence.nanoseconds == tuple(exact) and sequence.poses is not None
    for text, message in (("1\n2\n", "a line for each"), ("1\n1\n2\n", "must increase"),
                          ("1\n2\n3.5\n", "whole nanoseconds")):  # fmt: skip
        (sequence_folder / "stamps.txt").write_text(text)
        with pytest.raises(DataError, match=message):
            load_sequence(sequence_folder)


def test_stamps_of_poses_are_exact_to_the_last_digit(sequence_folder):
    lines = [f"1305031453.35968{digit} 0 0 0 0 0 0 1 # a remark" for digit in (4, 5, 6)]
    (sequence_folder / "poses.txt").write_text("\n".join(lines))
    assert load_sequence(sequence_folder).nanoseconds[0] == 1305031453359684000
