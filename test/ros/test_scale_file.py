"""The file of saved scales: written whole, read back the same, refused in words."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.geometry.reference import ReferenceSamples
from depth_distill_ros.geometry.scale_tracker import ScaleSettings, ScaleTracker
from depth_distill_ros.ros.scale_file import load_scales, save_scales

STATES = {"front": {"mode": "fixed", "stamp": None, "fit": [3, 4, 0.1]}, "rear": {"stamp": 1e-17}}


def measured_tracker() -> ScaleTracker:
    """A tracker that has seen depth of 1 / (2 d + 0.5), with a curve."""
    disparity = np.random.default_rng(0).random((48, 64), dtype=np.float32)
    v, u = np.mgrid[0:48, 0:64].astype(np.float32)
    depth = 1 / (2 * disparity + np.float32(0.5))
    samples = ReferenceSamples(u.ravel(), v.ravel(), depth.ravel(), width=64, height=48)
    tracker = ScaleTracker(ScaleSettings("reference", spline=True))
    for stamp in (1.0, 1.1, 1.2):
        tracker.observe_reference(disparity, samples, stamp)
    return tracker


def test_what_was_saved_comes_back(tmp_path):
    save_scales(tmp_path / "scales.yaml", STATES)
    assert load_scales(tmp_path / "scales.yaml") == STATES


def test_the_only_camera_has_no_name_but_one_in_the_file(tmp_path):
    path = tmp_path / "scales.yaml"
    save_scales(path, {"": {"mode": "reference"}})
    assert path.read_text(encoding="utf-8") == "camera:\n  mode: reference\n"
    assert load_scales(path) == {"": {"mode": "reference"}}


def test_a_tracker_goes_on_from_the_file_bit_for_bit(tmp_path):
    tracker, restored = measured_tracker(), ScaleTracker(ScaleSettings("reference", spline=True))
    save_scales(tmp_path / "scales.yaml", {"": tracker.to_json()})
    restored.restore(load_scales(tmp_path / "scales.yaml")[""])
    assert restored.state(1.3) == tracker.state(1.3)
    assert restored.state(1.3).scale == pytest.approx(2, rel=1e-3)


def test_folders_are_made_and_a_tilde_is_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save_scales("~/a/b/scales.yaml", STATES)
    assert (tmp_path / "a" / "b" / "scales.yaml").is_file()
    assert load_scales("~/a/b/scales.yaml") == STATES


def test_without_a_file_nothing_is_known(tmp_path):
    assert load_scales(tmp_path / "none.yaml") == {}


@pytest.mark.parametrize(
    "content", [b"", b"a: [", b"\xff\xfe\x00", b"- 1\n- 2\n", b"just words", b"front: 3\n", b"\x00"]
)
def test_a_file_of_something_else_is_refused_with_what_to_do(content, tmp_path):
    path = tmp_path / "scales.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"scales\.yaml .*remove it, or set scale\.file"):
        load_scales(path)


def test_a_folder_in_its_place_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_scales(tmp_path)
    with pytest.raises(ConfigError, match=r"cannot be written .*set scale\.file"):
        save_scales(tmp_path, STATES)


def test_a_path_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cannot be written .*set scale\.file"):
        save_scales(tmp_path / "file" / "scales.yaml", STATES)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "in the way"


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "scales.yaml"
    large = {f"camera{n}": {"fit": list(range(50))} for n in range(20)}
    versions = [{**large, "front": {"version": n}} for n in range(2)]
    save_scales(path, versions[0])
    ended = threading.Event()

    def write() -> None:
        for number in range(20):
            save_scales(path, versions[number % 2])
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not ended.is_set():
            assert load_scales(path) in versions
    finally:
        writer.join()
    assert [p.name for p in tmp_path.iterdir()] == ["scales.yaml"]
