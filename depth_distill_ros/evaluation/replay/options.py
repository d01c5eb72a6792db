"""What a replay is asked to do, and what two runs must share for one to go on with the other."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.ros.parameters import settings_from
from depth_distill_ros.ros.settings import Settings
from depth_distill_ros.ros.transforms import StaticTransform

TruthKind = Literal["depth", "lidar"]


@dataclass(frozen=True)
class ReplayOptions:
    """What to measure, on what, and where to leave the results.

    Attributes:
        bag: what to replay; None for a running graph.
        depth, lidar: topic of the true depth, an Image or a PointCloud2; exactly one is given.
        image: topic of the images; the bag's first by default.
        poses: a topic, or a TUM file; with it the temporal alignment error is measured.
        pose_frame: whose poses they are; by default an Odometry's child frame, else the camera.
        transform: x y z qx qy qz qw of the truth's sensor in the optical frame, instead of
            /tf_static.
        parameters: values of the node's parameters by name, as the node has them.
        every: of the bag's images, each how-many-th is evaluated.
        max_frames: evaluate no more than this many.
        tolerance: seconds between an image and its truth, at most.
        reference_pixels: of a depth image, how many are the reference of scale.mode reference.
        clouds: write clouds to the output bag.
        max_abs_rel: the threshold of the exit status.
        checkpoint: seconds of work that a kill may cost.
    """

    bag: Path | None
    output: Path
    depth: str | None = None
    lidar: str | None = None
    image: str | None = None
    poses: str | None = None
    pose_frame: str | None = None
    transform: tuple[float, ...] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    every: int = 1
    max_frames: int | None = None
    tolerance: float = 0.02
    reference_pixels: int = 200
    clouds: bool = False
    max_abs_rel: float | None = None
    checkpoint: float = 20.0

    def __post_init__(self) -> None:
        if (self.depth is None) == (self.lidar is None):
            raise ConfigError(
                "give the topic of the true depth: --depth TOPIC (sensor_msgs/Image) or "
                "--lidar TOPIC (sensor_msgs/PointCloud2)"
            )
        for name, low in (("every", 1), ("max_frames", 1), ("reference_pixels", 10)):
            value = getattr(self, name)
            if value is not None and value < low:
                raise ConfigError(f"--{name.replace('_', '-')} must be at least {low}, got {value}")
        for name in ("tolerance", "max_abs_rel"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"--{name.replace('_', '-')} must not be negative, got {value}")
        if self.transform is not None:
            StaticTransform(self.transform)  # refuses what is no pose
        if self.settings.cameras:
            raise ConfigError("a replay is of one camera: leave `cameras` empty, give --image")

    @property
    def kind(self) -> TruthKind:
        return "depth" if self.depth is not None else "lidar"

    @property
    def truth(self) -> str:
        """The topic of the true depth."""
        return self.depth or self.lidar

    @property
    def settings(self) -> Settings:
        """The node's settings. Raises ConfigError for parameters it would refuse."""
        parameters = dict(self.parameters)
        parameters["reference.type"] = "image" if self.kind == "depth" else "points"
        if self.transform is not None:
            parameters["reference.transform"] = list(self.transform)
        return settings_from(parameters).base

    @property
    def splits_truth(self) -> bool:
        """Whether a part of the truth scales the depth, and only the rest measures it."""
        return self.settings.scale_mode == "reference"

    def identity(self) -> dict[str, Any]:
        """The options that the numbers of a frame depend on, as JSON values."""
        names = ("image", "poses", "pose_frame", "transform", "every", "tolerance")
        names += ("reference_pixels", "clouds")
        chosen = {name: getattr(self, name) for name in names}
        chosen |= {"truth": f"{self.kind} {self.truth}", "parameters": self.parameters}
        return json.loads(json.dumps(chosen))


def parse_parameters(assignments: list[str]) -> dict[str, Any]:
    """`NAME=VALUE` as values: numbers, true, false and [lists] as in JSON, anything else a text.

    Raises ConfigError where there is no `=`, or the node has no parameter of that name.
    """
    from depth_distill_ros.ros.parameter_table import PARAMETERS

    known = {spec.name for spec in PARAMETERS}
    values = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator:
            raise ConfigError(f"--set takes NAME=VALUE, got '{assignment}'")
        if name not in known:
            raise ConfigError(f"the node has no parameter '{name}': see d3epth_node --help")
        try:
            values[name] = json.loads(text)
        except json.JSONDecodeError:
            values[name] = text
    return values
