"""What goes into output.mcap of a run whose bags are larger than it may be."""

from __future__ import annotations

import numpy as np
import pytest

from depth_distill_ros.errors import UserError
from depth_distill_ros.evaluation import artifacts
from depth_distill_ros.evaluation.artifacts import collect_examples, readable, save_output_bag
from depth_distill_ros.evaluation.bag import (
    IMAGE,
    POINT_CLOUD,
    ImageTopics,
    image_message,
    open_bag,
    typestore,
    write_bag,
)
from depth_distill_ros.evaluation.recording import CLOUD, DEPTH, Run, Timing
from depth_distill_ros.evaluation.source import Source
from depth_distill_ros.ros.cdr import header_stamp, with_header_stamp

FRAMES = 40
TIMING = Timing(FRAMES, FRAMES, 10.0, np.ones(FRAMES), 0)
RGB = np.zeros((30, 40, 3), np.uint8)


def raw(pixels: np.ndarray, encoding: str, stamp: int) -> bytes:
    message = image_message(pixels, encoding)
    return with_header_stamp(bytes(typestore().serialize_cdr(message, IMAGE)), stamp)


@pytest.fixture
def run(tmp_path) -> tuple[Source, Run]:
    """40 answered frames, each with a cloud; of the images the first 25 were kept.

    Clouds are images here: only their stamps and sizes matter.
    """
    stamps = [10**9 + number for number in range(FRAMES)]
    depth, cloud = np.zeros((30, 40), np.float32), np.zeros((120, 40), np.float32)
    images = (("/image", stamp, raw(RGB, "rgb8", stamp)) for stamp in stamps[:25])
    write_bag(tmp_path / "input", {"/image": IMAGE}, images)
    outputs = (
        (topic, stamp, raw(pixels, "32FC1", stamp))
        for stamp in stamps
        for topic, pixels in ((DEPTH, depth), (CLOUD, cloud))
    )
    write_bag(tmp_path / "recording", {DEPTH: IMAGE, CLOUD: POINT_CLOUD}, outputs)
    source = Source("test", (), tmp_path / "input", ImageTopics("/image", None, "rgb8", 40, 30))
    played = {stamp: stamp for stamp in stamps}
    return source, Run(tmp_path / "recording", played, stamps, stamps, TIMING)


def contents(path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    with open_bag(path) as reader:
        for connection, _, message in reader.messages():
            found.setdefault(connection.topic, []).append(header_stamp(message) - 10**9)
    return found


def test_only_images_that_were_kept_can_be_read(run):
    source, result = run
    assert readable(source, result) == result.outputs[:25]


def test_a_small_run_goes_into_the_file_as_far_as_its_images_were_kept(tmp_path, run):
    assert save_output_bag(tmp_path / "output.mcap", *run) == 1
    found = contents(tmp_path / "output.mcap")
    assert found["/image"] == found[DEPTH] == found[CLOUD] == list(range(25))


@pytest.mark.parametrize("limit", [300_000, 150_000])
def test_a_large_run_is_thinned(tmp_path, run, monkeypatch, limit):
    monkeypatch.setattr(artifacts, "OUTPUT_BYTES", limit)
    assert save_output_bag(tmp_path / "output.mcap", *run) > 1
    found = contents(tmp_path / "output.mcap")
    assert found["/image"] == found[DEPTH], "both or none"
    assert set(found[CLOUD]) <= set(found["/image"]), "a cloud is there with its image"
    assert max(found["/image"]) >= 20, "spread over the run"
    assert 0.4 * limit < (tmp_path / "output.mcap").stat().st_size < 1.3 * limit


def test_a_run_of_which_no_answered_image_was_kept_says_so(tmp_path, run):
    source, result = run
    late = Run(result.recording, result.played, result.outputs[30:], [], TIMING)
    with pytest.raises(UserError, match="answered none of the images that were kept"):
        collect_examples(source, late, {})
