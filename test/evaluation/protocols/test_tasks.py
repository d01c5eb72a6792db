"""Benchmarks of outlines, mattes and points: small data sets in the published layouts."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from small_sets import SIZE, Knows, box, small, write_dpt, write_image, write_png

from depth_distill_ros import cli
from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.protocols.dataset import open_benchmark
from depth_distill_ros.evaluation.protocols.definition import load_definition, shipped
from depth_distill_ros.evaluation.protocols.measurement import measure
from depth_distill_ros.evaluation.protocols.report import describe, numbers, report
from depth_distill_ros.evaluation.protocols.tasks import TASKS


def test_every_task_has_a_benchmark():
    found = {task: shipped(task) for task in TASKS}
    assert found == {
        "depth": ["diode", "eth3d", "kitti", "nyuv2", "scannet"],
        "boundary": ["ibims", "sintel", "spring"],
        "matte": ["am2k", "dis5k", "p3m10k"],
        "points": ["da2k"],
        "video": ["bonn", "kitti110"],
    }


@pytest.fixture
def sintel(tmp_path) -> Path:
    """Two scenes, with sky, which is far beyond the range of errors."""
    for scene in ("alley_1", "cave_2"):
        depth = box()
        depth[:4] = 1e5
        write_image(tmp_path / "sintel/training/final" / scene / "frame_0001.png")
        write_image(tmp_path / "sintel/training/clean" / scene / "frame_0001.png")
        write_dpt(tmp_path / "sintel/training/depth" / scene / "frame_0001.dpt", depth)
    return tmp_path


def test_sintel_has_outlines_before_the_sky_and_errors_without_it(sintel):
    images = open_benchmark(small("sintel", 2, image_size=None), sintel)
    assert images.names == [f"training/final/{s}/frame_0001.png" for s in ("alley_1", "cave_2")]
    image = images[0]
    assert image.depth[0, 0] == 1e5 and image.known.all() and not image.valid[:4].any()
    truth = 1 / image.depth
    flat = truth.copy()
    flat[:4] = truth[-1, 0]  # the sky is a wall
    maps = dict(zip(images.names, (3 * truth + 1, flat)))
    first, second = measure(images, Knows(maps)).scores
    for score in (first, second):
        assert score.errors.abs_rel == pytest.approx(0, abs=1e-4) and score.pixels == 20 * 32
    assert first.errors.boundary_f1 == pytest.approx(1)
    # Of the 12 + 32 pixels that face up or down, 12 below and 12 above the box: the sky's edge
    # faces down, where the wall is nearer than what is above.
    recall = (1 + 1 + 12 / 44 + 1) / 4
    assert second.errors.boundary_f1 == pytest.approx(2 * recall / (1 + recall))


def test_the_clip_of_errors_does_not_flatten_outlines(sintel):
    images = open_benchmark(small("sintel", 2, clip=(0.001, 4.0), image_size=None), sintel)
    maps = {name: 1 / images[0].depth for name in images.names}
    mean = measure(images, Knows(maps)).mean
    assert mean.boundary_f1 == pytest.approx(1) and mean.abs_rel > 0.4


def test_results_of_outlines_are_read_back(sintel, tmp_path):
    images = open_benchmark(small("sintel", 2, image_size=None), sintel)
    knows = Knows({name: 1 / images[0].depth + 0.01 for name in images.names})
    first = measure(images, knows, tmp_path / "out")
    asked = len(knows.asked)
    again = measure(images, knows, tmp_path / "out")
    assert again.scores == first.scores
    assert len(knows.asked) - asked == 4, "for the pictures alone"
    assert "boundary_f1" in (tmp_path / "out/images.csv").read_text().splitlines()[0]
    assert (tmp_path / "out/worst.png").exists()
    assert "boundary F1 1.0000" in numbers(first)[0] and "AbsRel" in numbers(first)[0]


def test_spring_is_disparity_at_twice_the_size(tmp_path):
    depth = box()
    folder = tmp_path / "spring/train/0001"
    write_image(folder / "frame_left/frame_left_0001.png")
    (folder / "disp1_left").mkdir()
    disparity = np.repeat(np.repeat(130 / depth, 2, 0), 2, 1)
    disparity[0, 0] = 0  # the sky, or nothing
    with h5py.File(folder / "disp1_left/disp1_left_0001.dsp5", "w") as file:
        file["disparity"] = disparity
    images = open_benchmark(small("spring", 1), tmp_path)
    image = images[0]
    assert image.depth.shape == SIZE and not image.valid[0, 0]
    np.testing.assert_allclose(image.depth[1:], depth[1:], rtol=1e-6)
    mean = measure(images, Knows({image.name: 1 / depth})).mean
    assert (mean.abs_rel, mean.boundary_f1) == pytest.approx((0, 1), abs=1e-5)
    (folder / "disp1_left/disp1_left_0001.dsp5").write_bytes(b"no HDF5")
    with pytest.raises(DataError, match="no HDF5 file with a data set 'disparity'"):
        images[0]


def test_ibims_has_two_masks(tmp_path):
    root = tmp_path / "ibims1_core_raw"
    write_image(root / "rgb/corridor_01.png")
    write_png(root / "depth/corridor_01.png", box() * 65535 / 50)
    for folder, hole in (("mask_invalid", (0, 0)), ("mask_transp", (1, 1))):
        mask = np.ones(SIZE)
        mask[hole] = 0
        write_png(root / folder / "corridor_01.png", mask, np.uint8)
    images = open_benchmark(small("ibims", 1, image_size=None), tmp_path)
    image = images[0]
    np.testing.assert_allclose(image.depth, box(), atol=50 / 65535)
    assert not image.valid[0, 0] and not image.known[1, 1] and image.valid.sum() == 24 * 32 - 2
    (root / "mask_transp/corridor_01.png").unlink()
    with pytest.raises(DataError, match="no mask mask_transp/corridor_01.png"):
        open_benchmark(small("ibims", 1), tmp_path)


def test_a_damaged_dpt_file_is_refused(sintel):
    images = open_benchmark(small("sintel", 2, image_size=None), sintel)
    path = sintel / "sintel/training/depth/alley_1/frame_0001.dpt"
    data = path.read_bytes()
    path.write_bytes(data[:-4])
    with pytest.raises(DataError, match="not those of 32x24 pixels"):
        images[0]
    path.write_bytes(b"PNG " + data[4:])
    with pytest.raises(DataError, match="does not begin with 202021.25"):
        images[0]


MATTES = {
    "am2k": ("AM-2k/validation/original/m_1.jpg", "AM-2k/validation/mask/m_1.png"),
    "p3m10k": (
        "P3M-10k/validation/P3M-500-NP/original_image/p_1.jpg",
        "P3M-10k/validation/P3M-500-NP/mask/p_1.png",
    ),
    "dis5k": (
        "dis5k/DIS5K/DIS-TE1/im/17#Non-motor Vehicle#4#Cart#1_o.jpg",
        "dis5k/DIS5K/DIS-TE1/gt/17#Non-motor Vehicle#4#Cart#1_o.png",
    ),
}


@pytest.mark.parametrize("name", MATTES)
def test_mattes_are_scored_by_recall_without_a_fit(name, tmp_path):
    rgb, matte = MATTES[name]
    write_image(tmp_path / rgb)
    write_png(tmp_path / matte, np.where(box() < 3, 200, 20), np.uint8)  # 20 / 255 < 0.1
    images = open_benchmark(small(name, 1), tmp_path)
    (image,) = images.names
    small_map = cv2.resize(1 / box(), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_NEAREST)
    for prediction, expected in ((7 / box(), 1.0), (np.ones(SIZE), 0.0), (box(), 0.0)):
        measurement = measure(images, Knows({image: prediction}))
        assert measurement.mean.boundary_recall == pytest.approx(expected)
    assert measure(images, Knows({image: small_map})).mean.boundary_recall > 0
    depth = Knows({image: box()})
    depth.space = "depth"
    measurement = measure(images, depth)
    assert measurement.mean.boundary_recall == pytest.approx(1)
    assert "alignment none, depth as predicted" in describe(measurement)[1]
    assert numbers(measurement) == ["boundary recall 1.0000"]
    with pytest.raises(DataError, match="no pixel has a positive prediction"):
        measure(images, Knows({image: np.zeros(SIZE)}))


def test_a_list_of_images_with_spaces_is_a_split(tmp_path):
    for number in (1, 2):
        for path in MATTES["dis5k"]:
            path = path.replace("1_o", f"{number}_o")
            write_png(tmp_path / path, box(), np.uint8)
    split = tmp_path / "list.txt"
    split.write_text("DIS5K/DIS-TE1/im/17#Non-motor Vehicle#4#Cart#2_o.jpg\n")
    assert len(open_benchmark(small("dis5k", 1), tmp_path)) == 2
    images = open_benchmark(small("dis5k", 1), tmp_path, split)
    assert images.names == [split.read_text().strip()] and not images.partial
    assert images.matte(0).shape == SIZE
    split.write_text("DIS5K/DIS-TE1/im/absent.jpg\n")
    with pytest.raises(DataError, match="line 1: expected the paths"):
        open_benchmark(small("dis5k", 1), tmp_path, split)


@pytest.fixture
def da2k(tmp_path) -> Path:
    """Two images, with one and with three pairs."""
    pair = {"point1": [10, 10], "point2": [0, 0], "closer_point": "point1"}
    content = {"images/indoor/a.jpg": [pair], "images/aerial/b.png": [pair] * 3}
    root = tmp_path / "DA-2K"
    for name in content:
        write_image(root / name)
    (root / "annotations.json").write_text(json.dumps(content))
    return tmp_path


def test_da2k_counts_pairs(da2k):
    images = open_benchmark(load_definition("da2k"), da2k)
    assert images.count == 4 and images.partial
    images = open_benchmark(small("da2k", 4), da2k)
    assert images.names == ["images/aerial/b.png", "images/indoor/a.jpg"] and not images.partial
    maps = dict(zip(images.names, (1 / box(), box())))
    measurement = measure(images, Knows(maps))
    assert measurement.mean.accuracy == 0.75, "of all pairs, not of images"
    assert not measurement.partial and measurement.count == 4
    knows = Knows(maps)
    knows.space = "depth"
    assert measure(images, knows).mean.accuracy == 0.25
    assert report(measurement)["n"] == 4 and "2068" in report(measurement)["notes"]


def test_points_from_the_command_line(da2k, capsys, tmp_path):
    for name in ("images/indoor/a", "images/aerial/b"):
        path = tmp_path / "maps" / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, 1 / box())
    arguments = ["--root", da2k, "--predictions", tmp_path / "maps", "--align", "disparity"]
    arguments += ["--allow-partial", "--output", tmp_path / "out"]
    assert cli.main(["evaluate", "--benchmark", "da2k", *map(str, arguments)]) == 0
    printed = capsys.readouterr()
    assert "4 pairs of points, DA-2K 2068" in printed.err
    assert "PARTIAL, n 4 of 2068" in printed.out and "accuracy 1.0000" in printed.out
    assert "D³epth" not in printed.out, "the paper's table has nothing to compare with"
    (entry,) = json.loads((tmp_path / "out/report.json").read_text())["benchmarks"]
    assert entry["means"]["all"]["errors"]["model"] == {"accuracy": 1.0}
    assert "accuracy 1.0000" in (tmp_path / "out/table.md").read_text()
