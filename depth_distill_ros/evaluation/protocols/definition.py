"""A benchmark's definition: a JSON file with everything that sets it apart from the others.

Fields of the file, those with a default may be left out:

    name, title, split        what is printed
    task                      "depth" (default), "boundary", "matte", "points" or "video": what is
                              scored, see `tasks.py`
    n                         how many images the split has; of "points", how many pairs of points
    places                    where it lies below --root, archives or folders, the first wins
    layouts                   [{"rgb": regular expression over a path, "depth": template, "mask":
                              template, or several, "tolerance": seconds}]: named groups of the
                              expression fill the templates; "depth" is what an image is compared
                              with, be it depth, a matte or a file of points. With "tolerance",
                              the group "stamp" is a time, and the depth that of the nearest time
    without_depth             "refuse" (default) or "drop" images whose depth file is absent
    image_size                [height, width] that depth must have; default: any
    depth                     {"format": "png" | "float32" | "npy" | "dpt" | "dsp5", "divisor": 1.0,
                              "disparity": false, "step": 1}
    crop                      {"height", "width", "anchor": "bottom-centre"} of image and depth
    valid                     {"range": [low, high], "region": {"unit": "pixels" | "share",
                              "rows": [from, to], "columns": [from, to]}}
    clip                      [low, high] of predictions in metres; null is no limit
    input_long_edge           pixels to resize images to; default: native
    fit                       {"long_edge": pixels, "axes": ["rows", "columns"]}: sample the pixels
                              of the fit; default: all
    video                     {"start": 0, "frames": 110, "rate": 30.0}: which frames with depth of
                              each folder of images are a clip, and how many a second there are
    notes                     for people

"depth", "valid" and "clip" are for tasks with depth.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.protocols.nearest import STAMP
from depth_distill_ros.evaluation.protocols.tasks import DEPTH_TASKS, TASKS

FOLDER = Path(__file__).resolve().parent / "definitions"
DEPTH_FORMATS = ("png", "float32", "npy", "dpt", "dsp5")


@dataclass(frozen=True)
class Layout:
    """How images are found and paired: `rgb` is a regular expression, the others are templates."""

    rgb: str
    depth: str
    mask: tuple[str, ...] = ()
    tolerance: float | None = None

    def __post_init__(self):
        try:
            groups = set(re.compile(self.rgb).groupindex)
        except re.error as error:
            raise ConfigError(f"layout rgb is no regular expression: {error}") from error
        for template in (self.depth, *self.mask):
            used = {field for _, field, _, _ in string.Formatter().parse(template) if field}
            if not used <= groups:
                raise ConfigError(f"layout {template} uses {used - groups}, not groups of rgb")
        if self.tolerance is not None and self.depth.count(f"{{{STAMP}}}") != 1:
            raise ConfigError(f"layout {self.depth} with a tolerance must have {{{STAMP}}} once")


@dataclass(frozen=True)
class DepthFormat:
    """How depth is stored.

    Attributes:
        format: `png`: 16 bits, `float32`: raw rows of the image's size, `npy`, `dpt`: Sintel's,
            `dsp5`: Spring's HDF5.
        divisor: what is stored, divided by it, is metres.
        disparity: what is stored, divided by the divisor, is 1 / metres.
        step: every such row and column is read.
    """

    format: str
    divisor: float = 1.0
    disparity: bool = False
    step: int = 1

    def __post_init__(self):
        if self.format not in DEPTH_FORMATS:
            raise ConfigError(f"depth format must be one of {DEPTH_FORMATS}, not {self.format!r}")
        if not self.divisor > 0:
            raise ConfigError(f"depth divisor must be positive, is {self.divisor}")
        if self.step < 1:
            raise ConfigError(f"depth step must be at least 1, is {self.step}")


@dataclass(frozen=True)
class Crop:
    """The part of an image that the benchmark keeps."""

    height: int
    width: int
    anchor: str = "bottom-centre"

    def __post_init__(self):
        if self.anchor != "bottom-centre":
            raise ConfigError(f"crop anchor must be 'bottom-centre', not {self.anchor!r}")


@dataclass(frozen=True)
class Region:
    """A rectangle of valid pixels, ends excluded; shares are of the cropped size, rounded down."""

    unit: str
    rows: tuple[float, float]
    columns: tuple[float, float]

    def __post_init__(self):
        if self.unit not in ("pixels", "share"):
            raise ConfigError(f"region unit must be 'pixels' or 'share', not {self.unit!r}")

    def slices(self, height: int, width: int) -> tuple[slice, slice]:
        """Row and column slices in an image of the given size."""
        sides = (height, width) if self.unit == "share" else (1, 1)
        rows, columns = (
            slice(int(low * side), int(high * side))
            for (low, high), side in zip((self.rows, self.columns), sides)
        )
        return rows, columns


@dataclass(frozen=True)
class Valid:
    """Which measured pixels count: strictly inside the range in metres, and in the region."""

    range: tuple[float, float] | None = None
    region: Region | None = None


@dataclass(frozen=True)
class Fit:
    """The pixels that scale and shift are fitted on: every n-th along `axes`.

    n = longest side / long_edge, sampled like nearest-neighbour resizing; none where the image is
    small enough.
    """

    long_edge: int
    axes: tuple[str, ...] = ("rows", "columns")

    def __post_init__(self):
        if not self.axes or not set(self.axes) <= {"rows", "columns"}:
            raise ConfigError(f"fit axes must be 'rows' and 'columns', not {self.axes}")


@dataclass(frozen=True)
class Video:
    """The clips: of each folder of images, `frames` of those with depth at most, from `start` on."""

    frames: int
    rate: float
    start: int = 0

    def __post_init__(self):
        if self.frames < 1 or self.start < 0 or not self.rate > 0:
            raise ConfigError("video needs frames and rate above 0, and a start from 0 on")


@dataclass(frozen=True)
class Definition:
    """A benchmark; see the module's description of the fields."""

    name: str
    title: str
    split: str
    n: int
    places: tuple[str, ...]
    layouts: tuple[Layout, ...]
    depth: DepthFormat | None = None
    clip: tuple[float, float] | None = None
    valid: Valid = Valid()
    task: str = "depth"
    without_depth: str = "refuse"
    image_size: tuple[int, int] | None = None
    crop: Crop | None = None
    input_long_edge: int | None = None
    fit: Fit | None = None
    video: Video | None = None
    notes: str = ""

    def __post_init__(self):
        if self.without_depth not in ("refuse", "drop"):
            raise ConfigError(f"without_depth is 'refuse' or 'drop', not {self.without_depth!r}")
        if not self.layouts or self.n < 1:
            raise ConfigError("a benchmark needs a layout and n of at least 1")
        if self.task not in TASKS:
            raise ConfigError(f"task must be one of {', '.join(TASKS)}, not {self.task!r}")
        if (self.task == "video") != (self.video is not None):
            raise ConfigError("task 'video' needs video, and no other has it")
        if self.task in DEPTH_TASKS:
            if self.depth is None or self.clip is None:
                raise ConfigError(f"a benchmark of {self.task} needs depth and clip")
            if self.valid.range is None and not self.masked:
                raise ConfigError("a benchmark needs a valid range or a mask")

    @property
    def masked(self) -> bool:
        """Whether every image has files that say which pixels count."""
        return bool(self.layouts[0].mask)

    @property
    def resolution(self) -> str:
        """What size images are handed to a model in."""
        return f"long edge {self.input_long_edge}" if self.input_long_edge else "native"


def shipped(task: str | None = None) -> list[str]:
    """Names of the benchmarks that come with the package; of one task, or all."""
    names = sorted(path.stem for path in FOLDER.glob("*.json"))
    return [name for name in names if task is None or load_definition(name).task == task]


def load_definition(name: str) -> Definition:
    """A shipped benchmark by name, or another from a .json file.

    Raises ConfigError where there is none, or a field is unknown, missing or of the wrong type.
    """
    path = FOLDER / f"{name}.json" if name in shipped() else Path(name)
    if path.suffix != ".json":
        raise ConfigError(
            f"there is no benchmark '{name}': give {', '.join(shipped())}, or a .json definition"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _definition(content)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as JSON: {error}") from error
    except (ConfigError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} is not a benchmark's definition: {error}") from error


def _definition(content: dict[str, Any]) -> Definition:
    values = dict(content)
    values["layouts"] = tuple(_layout(layout) for layout in values.get("layouts", ()))
    values["places"] = tuple(values.get("places", ()))
    for name, kind in (("depth", DepthFormat), ("crop", Crop), ("fit", Fit), ("video", Video)):
        if name in values:
            values[name] = _build(kind, values[name])
    if "axes" in content.get("fit", {}):
        values["fit"] = dataclasses.replace(values["fit"], axes=tuple(content["fit"]["axes"]))
    valid = dict(values.get("valid", {}))
    if "region" in valid:
        valid["region"] = _build(Region, valid["region"])
    if "range" in valid:
        valid["range"] = _range(valid["range"])
    values["valid"] = _build(Valid, valid)
    if "clip" in values:
        values["clip"] = _range(values["clip"])
    if "image_size" in values:
        values["image_size"] = tuple(values["image_size"])
    return _build(Definition, values)


def _layout(content: dict[str, Any]) -> Layout:
    mask = content.get("mask", ())
    return _build(Layout, content | {"mask": (mask,) if isinstance(mask, str) else tuple(mask)})


def _build(kind: type, values: dict[str, Any]) -> Any:
    unknown = set(values) - {field.name for field in dataclasses.fields(kind)}
    if unknown:
        raise ConfigError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
    return kind(**values)


def _range(ends: list[float | None]) -> tuple[float, float]:
    low, high = ends
    return 0.0 if low is None else float(low), math.inf if high is None else float(high)
