"""Hypersim: hand-computed depth and tones, every filter, archives, resuming, user mistakes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from training.data.hypersim.__main__ import main
from training.data.hypersim.files import Row, read_list, read_split
from training.data.hypersim.images import develop, planar_depth, tone_map
from training.data.hypersim.source import Hypersim
from training.data.streaming import Stream


def run(root: Path, output: Path, *options: str) -> int:
    return main(["--root", str(root), "--output", str(output), *options])


def report(output: Path) -> dict:
    return json.loads((output / "report.json").read_text())


def rejected(output: Path) -> list[dict]:
    with open(output / "report.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_planar_depth_by_hand():
    depth = planar_depth(np.full((768, 1024), 10.0, np.float16))
    # pixel centres lie at half-integers around the centre: ±0.5 … ±511.5, ±0.5 … ±383.5
    corner = 10 * 886.81 / (511.5**2 + 383.5**2 + 886.81**2) ** 0.5
    centre = 10 * 886.81 / (0.5**2 + 0.5**2 + 886.81**2) ** 0.5
    assert depth[0, 0] == pytest.approx(corner, rel=1e-6)
    assert depth[767, 1023] == pytest.approx(corner, rel=1e-6)
    assert depth[384, 511] == pytest.approx(centre, rel=1e-6)
    assert depth.dtype == np.float32


def test_planar_depth_of_a_smaller_image_has_the_same_field_of_view():
    small = planar_depth(np.full((384, 512), 10.0))
    corner = 10 * 886.81 / (511**2 + 383**2 + 886.81**2) ** 0.5
    assert small[0, 0] == pytest.approx(corner, rel=1e-6)


def test_tones_by_hand():
    colour = np.zeros((1, 11, 3))
    colour[0, :, :] = np.arange(11)[:, None]  # the brightness of grey is its value
    colour[0, 10] = 1000.0  # no surface: it must not count
    surface = np.ones((1, 11), bool)
    surface[0, 10] = False
    image = tone_map(colour, surface)
    # the 90th percentile of 0 … 9 is 8.1, shown as 0.8: value v as 0.8 (v / 8.1)^(1/2.2)
    expected = [int(255 * 0.8 * (v / 8.1) ** (1 / 2.2)) for v in range(10)]
    assert np.abs(image[0, :10, 0].astype(int) - expected).max() <= 1
    assert image[0, 10].tolist() == [255, 255, 255]


def test_brightness_weighs_colours():
    colour = np.zeros((1, 2, 3))
    colour[..., 1] = 1.0  # green: a brightness of 0.59
    image = tone_map(colour, np.ones((1, 2), bool))
    assert image[0, 0, 1] == int(255 * min(1.0, 0.8 * (1 / 0.59) ** (1 / 2.2)))
    assert image[0, 0, 0] == 0


def test_a_dark_frame_is_black_and_one_without_surfaces_keeps_its_exposure():
    dark = np.full((2, 2, 3), 5e-5)
    assert tone_map(dark, np.ones((2, 2), bool)).max() == 0
    assert tone_map(np.ones((2, 2, 3)), np.zeros((2, 2), bool)).min() == 255


def test_depth_is_unknown_without_a_surface_beyond_the_cap_and_where_not_finite():
    distance = np.array([[3.0, 3.0, 70.0, np.inf]])
    entity = np.array([[1, -1, 1, 1]])
    frame = develop(np.ones((1, 4, 3)), distance, entity, max_depth=65.0)
    assert np.isfinite(frame.depth).tolist() == [[True, False, False, False]]
    assert frame.invalid == pytest.approx(0.5)  # what is beyond the cap is not invalid


def test_sizes_that_differ_are_refused():
    with pytest.raises(DataError, match="sizes differ"):
        develop(np.ones((1, 4, 3)), np.ones((1, 4)), np.ones((2, 4)), 65.0)


@pytest.mark.parametrize("archives", [False, True])
def test_prepared_and_direct_give_the_same_samples(hypersim, official, tmp_path, archives, capsys):
    root = hypersim()
    if archives:
        official.zip(root)
    assert run(root, tmp_path / "out") == 0
    assert "6 of 6 frames kept" in capsys.readouterr().out
    direct, prepared = Hypersim(root), Stream(tmp_path / "out")
    names = [direct.name(i) for i in range(len(direct))]
    assert names == [prepared.name(i) for i in range(len(prepared))]
    assert names[0] == "ai_001_001/cam_00/0000" and len(names) == 6
    for index in range(6):
        (rgb, depth), (stored_rgb, stored_depth) = direct[index], prepared[index]
        assert np.array_equal(rgb, stored_rgb)
        assert np.array_equal(np.isnan(depth), np.isnan(stored_depth))
        assert np.isnan(depth).any()
        known = np.isfinite(depth)
        assert np.allclose(stored_depth[known], depth[known], rtol=1e-4, atol=0)


def spoil(kind: str, arrays: dict) -> None:
    if kind == "too much without a surface":
        arrays["render_entity_id"][:2] = -1  # 2 of 48 rows: 4.2 %
    elif kind == "depth range too small":
        arrays["depth_meters"][:] = 2.0
    elif kind == "contrast too small":
        arrays["color"][:] = 0.5
    else:
        arrays["depth_meters"][:3] = np.nan


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("too much without a surface", "too much without a surface"),
        ("too much without a surface", "not finite"),
        ("depth range too small", "depth range too small"),
        ("contrast too small", "contrast too small"),
    ],
)
def test_each_filter(hypersim, official, tmp_path, reason, kind):
    root = hypersim(scenes=1)
    arrays = official.arrays(1)
    spoil(kind, arrays)
    official.frame(root, "ai_001_001", "cam_00", 1, arrays)
    assert run(root, tmp_path / "out") == 0
    (row,) = rejected(tmp_path / "out")
    assert (row["frame"], row["reason"]) == ("ai_001_001/cam_00/0001", reason)
    focal = 886.81 * 64 / 1024
    cosines = [focal / (x**2 + y**2 + focal**2) ** 0.5 for x, y in ((0.5, 0.5), (31.5, 23.5))]
    measured = {
        "too much without a surface": 2 / 48,
        "not finite": 3 / 48,
        "depth range too small": 2 * (cosines[0] - cosines[1]),
        "contrast too small": 0,
    }
    assert float(row["value"]) == pytest.approx(measured[kind], abs=2e-6)
    assert report(tmp_path / "out")["left_out"] == {reason: 1}
    assert len(Stream(tmp_path / "out")) == 2


def test_a_scene_without_a_good_frame(hypersim, official, tmp_path):
    root = hypersim(scenes=2, frames=1)
    arrays = official.arrays(1)
    spoil("contrast too small", arrays)
    official.frame(root, "ai_001_001", "cam_00", 0, arrays)
    for _ in range(2):  # the second run finds it finished
        assert run(root, tmp_path / "out") == 0
        stream = Stream(tmp_path / "out")
        assert [stream.name(i) for i in range(len(stream))] == ["ai_001_002/cam_00/0000"]


def test_missing_and_corrupt_frames_are_skipped_with_their_reasons(hypersim, official, tmp_path):
    root = hypersim(scenes=1, frames=4)
    images = root / "ai_001_001" / "images"
    (images / "scene_cam_00_final_hdf5" / "frame.0001.color.hdf5").unlink()
    broken = images / "scene_cam_00_geometry_hdf5" / "frame.0002.depth_meters.hdf5"
    broken.write_bytes(broken.read_bytes()[:600])
    assert run(root, tmp_path / "out") == 0
    found = {row["frame"][-4:]: row["reason"] for row in rejected(tmp_path / "out")}
    assert found == {"0001": "missing", "0002": "unreadable"}
    official.zip(root)
    assert run(root, tmp_path / "zipped") == 0
    zipped = {row["frame"][-4:]: row["reason"] for row in rejected(tmp_path / "zipped")}
    assert zipped == found
    source = Hypersim(root)
    for index in (1, 2):
        with pytest.raises(DataError):
            source[index]
    assert source[3][0].shape == (*official.size, 3)


def test_counts_are_held_against_the_split_file(hypersim, tmp_path, capsys):
    assert run(hypersim(), tmp_path / "out") == 0
    printed = capsys.readouterr()
    assert "has 6 frames, the official 59543" in printed.err
    assert "53885 are in Marigold's filtered training list: -53879 here" in printed.out
    content = report(tmp_path / "out")
    assert (content["frames"], content["kept"]) == (6, 6)


def test_absent_and_cut_archives(hypersim, official, tmp_path, capsys):
    root = hypersim(scenes=3)
    official.zip(root)
    cut = root / "ai_001_002.zip"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (root / "ai_001_003.zip").unlink()
    assert run(root, tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "2 scenes are missing or damaged" in error and "--partial" in error
    assert "ai_001_002.zip is cut short" in error and error.count("\n") == 1
    with pytest.raises(DataError, match="give a list"):
        Hypersim(root)
    assert run(root, tmp_path / "out", "--partial") == 0
    assert "6 not there (2 parts absent)" in capsys.readouterr().out
    assert report(tmp_path / "out")["parts_absent"] == {"ai_001_002": 3, "ai_001_003": 3}
    assert len(Stream(tmp_path / "out")) == 3


def test_a_second_run_makes_only_what_is_not_there(hypersim, tmp_path):
    root, output = hypersim(scenes=3), tmp_path / "out"
    assert run(root, output) == 0
    index = (output / "index.json").read_bytes()
    stamps = {path.name: path.stat().st_mtime_ns for path in output.glob("*.tar")}
    (output / "ai_001_002.json").unlink()  # as if it had been killed before the description
    shortened = output / "ai_001_003.tar"
    shortened.write_bytes(shortened.read_bytes()[:-512])
    assert run(root, output) == 0
    changed = {
        path.name for path in output.glob("*.tar") if path.stat().st_mtime_ns != stamps[path.name]
    }
    assert changed == {"ai_001_002.tar", "ai_001_003.tar"}
    assert (output / "index.json").read_bytes() == index  # the same bytes, hashes included


SLOW_PREPARATION = """
import sys, time
from training.data import preparation
write = preparation.write_part
def slowly(*arguments):
    write(*arguments)
    time.sleep(1)
preparation.write_part = slowly
from training.data.hypersim.__main__ import main
main(sys.argv[1:])
"""


def test_a_kill_between_scenes_costs_only_the_scene_at_work(hypersim, tmp_path):
    root, output = hypersim(scenes=4), tmp_path / "out"
    command = [sys.executable, "-c", SLOW_PREPARATION, "--root", str(root), "--output", str(output)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (output / "ai_001_001.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    finished = {path.stem for path in output.glob("ai_*.json")}
    assert finished and not (output / "index.json").exists()
    before = (output / "ai_001_001.tar").stat().st_mtime_ns
    assert run(root, output) == 0
    assert (output / "ai_001_001.tar").stat().st_mtime_ns == before
    assert run(root, tmp_path / "whole") == 0
    whole, resumed = (
        json.loads((o / "index.json").read_text()) for o in (tmp_path / "whole", output)
    )
    assert resumed == whole


def test_workers_change_nothing(hypersim, tmp_path):
    root = hypersim(scenes=3, frames=2)
    assert run(root, tmp_path / "one") == 0
    assert run(root, tmp_path / "two", "--workers", "2") == 0
    for name in ("index.json", "report.csv", "frames.txt"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_other_settings_need_another_folder(hypersim, tmp_path, capsys):
    root = hypersim(scenes=1)
    assert run(root, tmp_path / "out") == 0
    assert run(root, tmp_path / "out", "--jpeg", "90") == 2
    assert "other settings (jpeg)" in capsys.readouterr().err


def test_stored_size_and_jpeg(hypersim, tmp_path):
    assert run(hypersim(scenes=1), tmp_path / "out", "--size", "32x24", "--jpeg", "95") == 0
    rgb, depth = Stream(tmp_path / "out")[0]
    assert rgb.shape == (24, 32, 3) and depth.shape == (24, 32)


def test_the_list_of_a_filtered_run_restricts_the_direct_layout(hypersim, official, tmp_path):
    root = hypersim(scenes=1)
    arrays = official.arrays(1)
    spoil("contrast too small", arrays)
    official.frame(root, "ai_001_001", "cam_00", 1, arrays)
    assert run(root, tmp_path / "list", "--only-list") == 0
    assert not list((tmp_path / "list").glob("*.tar"))
    frames = tmp_path / "list" / "frames.txt"
    source = Hypersim(root, frames)
    assert [source.name(i)[-4:] for i in range(len(source))] == ["0000", "0002"]
    assert run(root, tmp_path / "list") == 0  # images after all
    assert len(Stream(tmp_path / "list")) == 2


def test_lists_of_both_kinds(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(
        "ai_001_001/rgb_cam_00_fr0007.png ai_001_001/depth_plane_cam_00_fr0007.png\n"
        "ai_055_010/cam_01/0099\n\n"
    )
    assert read_list(path) == [Row("ai_001_001", "cam_00", 7), Row("ai_055_010", "cam_01", 99)]
    path.write_text("ai_001_001 something\n")
    with pytest.raises(DataError, match="without a frame"):
        read_list(path)


def test_the_split_leaves_out_what_was_not_released(hypersim):
    rows = read_split(hypersim(scenes=1) / "metadata_images_split_scene_v1.csv", "train")
    assert [row.frame for row in rows] == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: root.rename(root.with_name("gone")), "there is no folder"),
        (lambda root: (root / "metadata_images_split_scene_v1.csv").unlink(), "ml-hypersim"),
        (
            lambda root: (root / "metadata_images_split_scene_v1.csv").write_text("a,b\n1,2\n"),
            "not Hypersim's split file",
        ),
        (
            lambda root: [(root / f"ai_001_00{n}").rename(root / f"x{n}") for n in (1, 2)],
            "none of the 2 scenes",
        ),
    ],
)
def test_mistakes_are_named_in_one_line(hypersim, tmp_path, capsys, change, message):
    root = hypersim()
    change(root)
    assert run(root, tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and error.count("\n") == 1


def test_a_full_disk_is_named(hypersim, tmp_path, capsys, monkeypatch):
    from training.data import store

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_write_tar", full)
    assert run(hypersim(scenes=1), tmp_path / "out") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "No space left on device" in error and "goes on from there" in error
