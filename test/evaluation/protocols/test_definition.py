"""Definitions: those that are shipped, and what is refused."""

from __future__ import annotations

import json
import math

import pytest

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.protocols.definition import (
    FOLDER,
    Definition,
    Region,
    load_definition,
    shipped,
)


def test_the_five_benchmarks_have_marigolds_numbers():
    expected = {  # n, clipping, valid range, input, from the protocol
        "nyuv2": (654, (1e-3, 10.0), (1e-3, 10.0), "native"),
        "kitti": (652, (1e-5, 80.0), (1e-5, 80.0), "native"),
        "eth3d": (454, (1e-5, math.inf), (1e-5, math.inf), "long edge 756"),
        "scannet": (800, (1e-3, 10.0), (1e-3, 10.0), "native"),
        "diode": (771, (0.6, 350.0), None, "long edge 640"),
    }
    assert shipped("depth") == sorted(expected)
    for name, (n, clip, valid, resolution) in expected.items():
        definition = load_definition(name)
        assert definition.name == name
        found = definition.n, definition.clip, definition.valid.range, definition.resolution
        assert found == (n, clip, valid, resolution)
        assert definition.masked == (name == "diode")
        assert (definition.fit is not None) == (name == "eth3d")


def test_the_crops_are_those_of_eigen():
    assert load_definition("nyuv2").valid.region.slices(480, 640) == (
        slice(45, 471),
        slice(41, 601),
    )
    rows, columns = load_definition("kitti").valid.region.slices(352, 1216)
    assert (rows, columns) == (slice(117, 321), slice(43, 1172))


def test_shares_are_rounded_down():
    region = Region("share", (0.25, 0.75), (0.1, 0.99))
    assert region.slices(10, 10) == (slice(2, 7), slice(1, 9))


@pytest.fixture
def write(tmp_path):
    """Writes nyuv2's definition with other values; `None` takes a field out."""

    def write(**changes):
        content = json.loads((FOLDER / "nyuv2.json").read_text(encoding="utf-8")) | changes
        path = tmp_path / "own.json"
        kept = {key: value for key, value in content.items() if value is not None}
        path.write_text(json.dumps(kept), encoding="utf-8")
        return str(path)

    return write


def test_a_new_benchmark_is_a_file(write):
    own = load_definition(write(name="own", title="Own", n=3, clip=[None, None]))
    assert isinstance(own, Definition)
    assert (own.name, own.n, own.clip) == ("own", 3, (0.0, math.inf))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": 2}, "no field scale"),
        ({"n": None}, "n"),
        ({"clip": None}, "clip"),
        ({"clip": [1, 2, 3]}, "unpack"),
        ({"layouts": []}, "layout"),
        ({"layouts": [{"rgb": "(", "depth": "x"}]}, "regular expression"),
        ({"layouts": [{"rgb": r"(?P<a>\d)", "depth": "{b}"}]}, "groups"),
        ({"depth": {"format": "exr"}}, "depth format"),
        ({"depth": {"format": "png", "divisor": 0}}, "divisor"),
        ({"without_depth": "ignore"}, "without_depth"),
        ({"valid": {}}, "valid range"),
        ({"valid": {"range": [0, 1], "region": {"unit": "m", "rows": [0, 1], "columns": [0, 1]}}},
         "unit"),
        ({"crop": {"height": 1, "width": 1, "anchor": "top"}}, "anchor"),
        ({"fit": {"long_edge": 1024, "axes": ["diagonal"]}}, "axes"),
        ({"task": "flow"}, "task"),
        ({"task": "video"}, "needs video"),
        ({"video": {"frames": 110, "rate": 30}}, "no other has it"),
        ({"task": "video", "video": {"frames": 0, "rate": 30}}, "frames"),
        ({"task": "boundary", "depth": None}, "needs depth and clip"),
        ({"depth": {"format": "png", "step": 0}}, "step"),
        ({"layouts": [{"rgb": r"(?P<stamp>\d)", "depth": "x", "tolerance": 1}]}, "stamp"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_reason(write, changes, message):
    with pytest.raises(ConfigError, match=message) as refusal:
        load_definition(write(**changes))
    assert "own.json" in str(refusal.value)


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match="am2k, bonn, .* spring, or a .json"):
        load_definition("middlebury")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_definition(str(tmp_path / "absent.json"))
