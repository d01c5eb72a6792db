"""Which files belong together, in folders and archives, by layout and by list."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.protocols.dataset import open_benchmark
from depth_distill_ros.evaluation.protocols.definition import load_definition, shipped
from depth_distill_ros.evaluation.protocols.files import FolderFiles, TarFiles, open_files
from depth_distill_ros.evaluation.protocols.pairing import Pair, find_pairs, read_split

NYU = load_definition("nyuv2")
ROOT = Path("root")
KITCHEN = Pair("test/kitchen/rgb_0001.png", "test/kitchen/depth_0001.png")
NYU_FILES = ["test/kitchen/rgb_0001.png", "test/kitchen/depth_0001.png"]


def test_a_layout_pairs_files_wherever_it_is():
    names = [*NYU_FILES, "test/kitchen/filled_0001.png", "train/a/rgb_0002.png", "readme.txt"]
    assert find_pairs(names, NYU, ROOT).pairs == [KITCHEN]
    below = find_pairs([f"archive/nyu/{name}" for name in names], NYU, ROOT)
    assert below.pairs[0].depth == "archive/nyu/test/kitchen/depth_0001.png"


def test_the_first_layout_that_fits_is_taken():
    eth3d = load_definition("eth3d")
    official = ["office/images/dslr_images/A.JPG", "office/ground_truth_depth/dslr_images/A.JPG"]
    (pair,) = find_pairs(sorted(official), eth3d, ROOT).pairs
    assert pair == Pair(*official)
    prepared = "depth/office_dslr_depth/office/ground_truth_depth/dslr_images/A.JPG"
    files = sorted([f"rgb/{official[0]}", prepared])
    (pair,) = find_pairs(files, eth3d, ROOT).pairs
    assert pair == Pair(f"rgb/{official[0]}", prepared)


def test_missing_depth_is_refused_or_dropped_as_defined():
    names = [*NYU_FILES, "test/kitchen/rgb_0002.png"]
    with pytest.raises(DataError, match="1 images lack their depth, first test/kitchen/rgb_0002"):
        find_pairs(names, NYU, ROOT)
    data = "2011_09_26/2011_09_26_drive_0002_sync/image_02/data"
    depth = "2011_09_26_drive_0002_sync/proj_depth/groundtruth/image_02"
    names = [f"{data}/0000000001.png", f"{data}/0000000002.png", f"{depth}/0000000002.png"]
    found = find_pairs(names, load_definition("kitti"), ROOT)
    assert found.dropped == [f"{data}/0000000001.png"]
    assert found.pairs == [Pair(f"{data}/0000000002.png", f"{depth}/0000000002.png")]


def test_a_missing_mask_or_another_layout_is_refused():
    with pytest.raises(DataError, match="does not hold NYUv2"):
        find_pairs(["test/kitchen/rgb_0001.png"], NYU, ROOT)
    scan = "indoors/scene_00021/scan_00189/a"
    with pytest.raises(DataError, match="no mask .*a_depth_mask.npy"):
        find_pairs([f"{scan}.png", f"{scan}_depth.npy"], load_definition("diode"), ROOT)


@pytest.fixture
def split(tmp_path):
    def write(text):
        (tmp_path / "split.txt").write_text(text, encoding="utf-8")
        return tmp_path / "split.txt"

    return write


def test_a_split_file_chooses_and_orders(split):
    names = ["b.png", "a.png", "b_d.png", "a_d.png"]
    found = read_split(split("# mine\n./b.png b_d.png 721.5\n\na.png None\n"), names, NYU, ROOT)
    assert found.pairs == [Pair("b.png", "b_d.png")]
    assert found.dropped == ["a.png"]
    masked = read_split(split("a.png a_d.png b.png\n"), names, load_definition("diode"), ROOT)
    assert masked.pairs == [Pair("a.png", "a_d.png", ("b.png",))]


@pytest.mark.parametrize(
    ("text", "benchmark", "message"),
    [
        ("a.png\n", "nyuv2", "line 1: expected"),
        ("a.png b.png\n", "diode", "rgb, depth and mask"),
        ("a.png b.png\nc.png b.png\n", "nyuv2", "line 2: root holds no file c.png"),
        ("a.png b.png\na.png b.png\n", "nyuv2", "twice"),
        ("a.png b.png c.npy\n", "diode", "no mask c.npy"),
    ],
)
def test_a_wrong_split_file_is_refused(split, text, benchmark, message):
    with pytest.raises(DataError, match=message):
        read_split(split(text), ["a.png", "b.png"], load_definition(benchmark), ROOT)


def test_an_absent_split_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_split(tmp_path / "absent.txt", [], NYU, ROOT)


@pytest.mark.parametrize("name", shipped("depth"))
def test_an_archive_is_read_like_the_folder(name, benchmarks, tmp_path):
    definition = load_definition(name)
    archive = tmp_path / definition.places[0]  # where Marigold's download puts it
    archive.parent.mkdir(exist_ok=True)
    with tarfile.open(archive, "w") as tar:
        tar.add(benchmarks / name, arcname=".")  # names begin with ./, as Marigold's do
    packed, unpacked = open_benchmark(definition, tmp_path), open_benchmark(definition, benchmarks)
    assert packed.root == archive and unpacked.root == benchmarks / name
    assert packed.names == unpacked.names and len(packed.names) == 2
    for one, other in zip(packed, unpacked):
        assert (one.depth == other.depth).all() and (one.rgb == other.rgb).all()
        assert (one.valid == other.valid).all()


def test_folders_and_archives_that_cannot_be_read(tmp_path, benchmarks):
    with pytest.raises(DataError, match="no folder or archive"):
        open_files(tmp_path / "absent")
    (tmp_path / "broken.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(DataError, match="uncompressed"):
        open_files(tmp_path / "broken.tar")
    with tarfile.open(tmp_path / "packed.tar.gz", "w:gz") as tar:
        tar.add(benchmarks / "diode", arcname=".")
    with pytest.raises(DataError, match="unpack it"):
        TarFiles(tmp_path / "packed.tar.gz")
    with pytest.raises(DataError, match="cannot be read"):
        FolderFiles(tmp_path).read("absent.png")
    with tarfile.open(tmp_path / "whole.tar", "w") as tar:
        tar.add(benchmarks / "diode", arcname=".")
    with pytest.raises(DataError, match="holds no file"):
        TarFiles(tmp_path / "whole.tar").read("absent.png")
