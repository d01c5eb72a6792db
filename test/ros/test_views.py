"""Settings of RViz, Foxglove and Nav2: what they name exists in the node."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from depth_distill_ros.ros.parameter_table import PARAMETERS
from depth_distill_ros.ros.topics import COLOR, METRIC, RELATIVE, SCALE, SCALE_TEXT

CONFIG = Path(__file__).resolve().parents[2] / "config"
INPUTS = {"image", "camera_info"}
OUTPUTS = {*RELATIVE, *METRIC, COLOR, SCALE, SCALE_TEXT}
BEST_EFFORT, RELIABLE = "Best Effort", "Reliable"


@pytest.fixture(scope="module")
def displays() -> list[dict]:
    content = yaml.safe_load((CONFIG / "d3epth.rviz").read_text(encoding="utf-8"))
    return [d for d in content["Visualization Manager"]["Displays"] if "Topic" in d]


@pytest.fixture(scope="module")
def layout() -> dict:
    return json.loads((CONFIG / "foxglove_layout.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def costmap() -> dict:
    content = yaml.safe_load((CONFIG / "nav2_voxel_layer.yaml").read_text(encoding="utf-8"))
    return content["local_costmap"]["local_costmap"]["ros__parameters"]


def test_rviz_shows_topics_of_the_node(displays):
    shown = {display["Topic"]["Value"] for display in displays}
    assert shown == {
        "image", RELATIVE.image, RELATIVE.points, METRIC.image, METRIC.points, COLOR, SCALE_TEXT
    }  # fmt: skip


def test_rviz_asks_for_what_is_offered(displays):
    """Cameras publish best effort, the node reliably; a subscriber may ask for no more."""
    for display in displays:
        topic = display["Topic"]
        reliability = BEST_EFFORT if topic["Value"] in INPUTS else RELIABLE
        assert topic["Reliability Policy"] == reliability, display["Name"]
        assert topic["Durability Policy"] == "Volatile"


def test_rviz_has_each_cloud_in_colours_and_by_depth(displays):
    clouds = [d for d in displays if d["Class"].endswith("PointCloud2")]
    assert {(d["Topic"]["Value"], d["Color Transformer"]) for d in clouds} == {
        (topic, colours)
        for topic in (RELATIVE.points, METRIC.points)
        for colours in ("RGB8", "AxisColor")
    }
    for cloud in clouds:
        # Along the optical axis, in whatever frame RViz draws.
        assert (cloud["Axis"], cloud["Use Fixed Frame"]) == ("Z", False)


def topics_in(value: Any) -> Iterator[str]:
    """What looks like a topic, with the message path that may follow it cut off."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from topics_in(key)
            yield from topics_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from topics_in(item)
    elif isinstance(value, str) and value.startswith("/"):
        yield value.split(".")[0][1:]


def test_foxglove_shows_topics_of_the_node(layout):
    assert set(topics_in(layout)) == {
        "image", COLOR, RELATIVE.points, METRIC.points, RELATIVE.camera_info, SCALE, SCALE_TEXT,
        "diagnostics",
    }  # fmt: skip


def test_foxglove_plots_values_that_the_scale_has(layout):
    from depth_distill_ros.geometry.scale_state import ScaleState
    from depth_distill_ros.ros.scale_messages import scale_values

    values = scale_values(ScaleState("reference", "ok", 1.5, 0.1, None, 200, 250, 0.02, 0.5, ""))
    lines = layout["configById"]["Plot!scale"]["paths"]
    keys = [re.search(r'\{key=="(\w+)"\}\.value$', line["value"])[1] for line in lines]
    assert keys == ["scale", "shift", "residual", "age"]
    assert all(float(values[key]) > 0 for key in keys), "texts that are numbers can be plotted"
    assert all(line["enabled"] for line in lines)


def test_every_panel_of_foxglove_is_in_the_layout(layout):
    def panels(part) -> list[str]:
        if isinstance(part, str):
            return [part]
        assert part["direction"] in ("row", "column")
        return [*panels(part["first"]), *panels(part["second"])]

    assert sorted(panels(layout["layout"])) == sorted(layout["configById"])
    kinds = {name.split("!")[0] for name in layout["configById"]}
    assert kinds == {"3D", "Image", "Plot", "DiagnosticSummary"}


def test_nav2_takes_the_metric_cloud_and_clears_as_far_as_it_marks(costmap):
    layer = costmap["voxel_layer"]
    assert {"voxel_layer", "inflation_layer"} == set(costmap["plugins"]) <= set(costmap)
    sources = {name: layer[name] for name in layer["observation_sources"].split()}
    assert [source["topic"] for source in sources.values()] == [f"/{METRIC.points}"] * 2
    marking, clearing = sources["obstacles"], sources["free_space"]
    assert (marking["marking"], clearing["clearing"]) == (True, True)
    assert marking["obstacle_max_range"] < clearing["raytrace_max_range"]
    assert marking["obstacle_max_range"] <= costmap["width"] / 2, "the map is around the robot"
    assert layer["z_voxels"] <= 16
    height = layer["origin_z"] + layer["z_voxels"] * layer["z_resolution"]
    assert marking["max_obstacle_height"] <= height + 1e-9


def test_parameters_that_the_nav2_example_names_exist():
    text = (CONFIG / "nav2_voxel_layer.yaml").read_text(encoding="utf-8")
    named = re.findall(r"^#   ([a-z_]+\.[a-z_]+)  ", text, re.MULTILINE)
    assert {"cloud.decimation", "cloud.max_range", "cloud.rate", "scale.mode"} <= set(named)
    assert set(named) <= {parameter.name for parameter in PARAMETERS}
