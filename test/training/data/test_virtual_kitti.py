"""Virtual KITTI 2: the papers' list, depth and crop by hand, archives, user mistakes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from training.data.streaming import Stream
from training.data.virtual_kitti.__main__ import main
from training.data.virtual_kitti.files import find_files, papers_list, read_list
from training.data.virtual_kitti.source import VirtualKitti


def run(root: Path, output: Path, *options: object) -> int:
    return main(["--root", str(root), "--output", str(output), *map(str, options)])


def test_the_papers_list_has_its_20148_frames():
    rows = papers_list()
    assert len(rows) == 20148 == 2 * 6 * (233 + 270 + 339 + 837)
    assert len(set(rows)) == len(rows)
    assert "Scene01" not in {row.drive.scene for row in rows}
    assert rows[0].path("rgb") == "Scene02/clone/frames/rgb/Camera_0/rgb_00000.jpg"
    assert rows[-1].path("depth") == "Scene20/15-deg-right/frames/depth/Camera_1/depth_00836.png"


def test_depth_and_crop_by_hand(virtual_kitti):
    root, listing = virtual_kitti(frames=1)
    source = VirtualKitti(root, listing)
    rgb, depth = source[0]
    assert rgb.shape == (352, 1216, 3) and depth.shape == (352, 1216)
    # the crop begins 13 pixels from the left: columns change at 300, 600, 900
    last = depth[-1]
    assert last[[0, 286]] == pytest.approx(1.5) and last[[287, 586]] == pytest.approx(79.99)
    assert (last[587:] == 0).all()  # 80 m and more is sky
    # ... and 375 - 352 = 23 pixels from the top: 7 of the 30 rows of 2 m are left
    assert np.allclose(depth[:7], 2.0) and depth[7, 0] == pytest.approx(1.5)
    whole = cv2.imread(str(root / "Scene02/clone/frames/rgb/Camera_0/rgb_00000.jpg"))
    assert np.array_equal(rgb, whole[23:, 13:1229, ::-1])


@pytest.mark.parametrize("archives", [False, True])
def test_prepared_and_direct_are_identical(virtual_kitti, official, tmp_path, capsys, archives):
    root, listing = virtual_kitti()
    if archives:
        official.tar(root)
    assert run(root, tmp_path / "out", "--list", listing) == 0
    printed = capsys.readouterr().out
    assert "8 of 8 frames kept" in printed
    assert "20148 are in the papers' list: -20140 here" in printed
    direct, prepared = VirtualKitti(root, listing), Stream(tmp_path / "out")
    assert len(direct) == len(prepared) == 8
    for index in range(8):
        assert direct.name(index) == prepared.name(index)
        for ours, theirs in zip(direct[index], prepared[index], strict=True):
            assert np.array_equal(ours, theirs)
    assert direct.name(7) == "Scene02/sunset/Camera_1/00001"


def test_a_drive_is_a_shard_and_frames_txt_is_a_list(virtual_kitti, tmp_path):
    root, listing = virtual_kitti()
    assert run(root, tmp_path / "out", "--list", listing, "--workers", 2) == 0
    parts = [
        shard["file"] for shard in json.loads((tmp_path / "out/index.json").read_text())["shards"]
    ]
    assert parts[0] == "Scene02-clone-Camera_0.tar" and len(parts) == 4
    assert read_list(tmp_path / "out" / "frames.txt") == read_list(listing)


def test_corrupt_frames_are_skipped_with_a_reason(virtual_kitti, tmp_path):
    root, listing = virtual_kitti(conditions=("clone",), cameras=(0,), frames=4)
    camera = root / "Scene02/clone/frames"
    (camera / "rgb/Camera_0/rgb_00001.jpg").write_bytes(b"no image")
    eight_bit = cv2.imencode(".png", np.zeros((375, 1242), np.uint8))[1].tobytes()
    (camera / "depth/Camera_0/depth_00002.png").write_bytes(eight_bit)
    (camera / "depth/Camera_0/depth_00003.png").unlink()
    assert run(root, tmp_path / "out", "--list", listing) == 2  # one is missing
    assert run(root, tmp_path / "out", "--list", listing, "--partial") == 0
    with open(tmp_path / "out" / "report.csv", newline="") as file:
        rows = {row["frame"][-5:]: (row["reason"], row["value"]) for row in csv.DictReader(file)}
    assert rows["00001"][0] == rows["00002"][0] == "unreadable" and rows["00003"][0] == "missing"
    assert "16 bits" in rows["00002"][1]
    assert len(Stream(tmp_path / "out")) == 1


def test_an_archive_that_is_cut_short(virtual_kitti, official, tmp_path, capsys):
    root, listing = virtual_kitti()
    official.tar(root)
    archive = root / "vkitti_2.0.3_rgb.tar"
    whole = archive.read_bytes()
    for share in (0.5, 0.85):
        archive.write_bytes(whole[: int(len(whole) * share)])
        assert run(root, tmp_path / "out", "--list", listing) == 2
        error = capsys.readouterr().err
        assert "download it again" in error and error.count("\n") == 1


def test_missing_frames_are_named(virtual_kitti, tmp_path, capsys):
    root, _ = virtual_kitti()
    assert run(root, tmp_path / "out") == 2  # all 20,148 are wanted
    error = capsys.readouterr().err
    assert "lacks 20140 frames" in error and "--partial" in error and error.count("\n") == 1
    with pytest.raises(DataError, match="give a list"):
        VirtualKitti(root)
    assert run(root, tmp_path / "out", "--partial") == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["frames"] == 20148 and report["kept"] == 8
    assert report["left_out"] == {"missing": 4 * 233 - 8}


def test_scenes_below_a_folder_are_found(virtual_kitti, tmp_path):
    root, listing = virtual_kitti()
    below = tmp_path / "data"
    below.mkdir()
    root.rename(below / "vkitti_2.0.3")
    assert len(find_files(below)) == 16
    assert len(VirtualKitti(below, listing)) == 8


@pytest.mark.parametrize(
    ("make", "message"), [(False, "there is no folder"), (True, "holds no Virtual")]
)
def test_wrong_folders(tmp_path, capsys, make, message):
    root = tmp_path / "wrong"
    if make:
        root.mkdir()
    assert run(root, tmp_path / "out") == 2
    assert message in capsys.readouterr().err
