"""The files that a run of the graph leaves for people to look at."""

from __future__ import annotations

import math
import time
from itertools import islice
from pathlib import Path

import numpy as np

from depth_distill_ros.errors import UserError
from depth_distill_ros.evaluation.bag import CAMERA_INFO, IMAGE, POINT_CLOUD, Message, merge_bags
from depth_distill_ros.evaluation.figure import Example, draw_figure
from depth_distill_ros.evaluation.images import write_image
from depth_distill_ros.evaluation.recording import (
    CLOUD,
    DEPTH,
    DEPTH_INFO,
    Run,
    cloud_agreement,
    cloud_arrays,
    disparity_of,
    message_count,
    messages,
)
from depth_distill_ros.evaluation.source import Source
from depth_distill_ros.geometry.point_cloud import POINT, write_ply
from depth_distill_ros.ros.camera_info import intrinsics_of
from depth_distill_ros.ros.cdr import header_stamp
from depth_distill_ros.ros.images import image_to_rgb
from depth_distill_ros.ros.messages import read_cloud

FIGURE_ROWS = 3
OUTPUT_BYTES = 250e6
"""About the size of output.mcap at most: of a long run, every n-th frame goes into it."""


def readable(source: Source, run: Run) -> list[int]:
    """Header stamps of the outputs whose image was kept, in the order of arrival.

    The bag of a video or a camera has the first part of what was played.
    """
    kept = set(islice(run.played, message_count(source.bag, source.topics.image)))
    return [stamp for stamp in run.outputs if stamp in kept]


def collect_examples(source: Source, run: Run, errors: dict[int, float]) -> list[Example]:
    """A few moments of the run, spread over it: image, depth, and the cloud where there is one.

    errors: AbsRel by header stamp.
    """
    outputs = readable(source, run)
    if not outputs:
        raise UserError(
            "the node answered none of the images that were kept, which are the first of the run: "
            "play smaller images, or a smaller model"
        )
    moments = [stamp for stamp in run.clouds if stamp in set(outputs)] or outputs
    picks = np.unique(np.linspace(0, len(moments) - 1, FIGURE_ROWS).round().astype(int))
    stamps = {moments[pick] for pick in picks}
    rgb = {s: image_to_rgb(m) for s, m in messages(source.bag, source.topics.image, stamps)}
    disparity = {s: disparity_of(m) for s, m in messages(run.recording, DEPTH, stamps)}
    cameras = {
        s: intrinsics_of(m, m.width, m.height)
        for s, m in messages(run.recording, DEPTH_INFO, stamps)
    }
    clouds = {s: cloud_arrays(read_cloud(m)) for s, m in messages(run.recording, CLOUD, stamps)}
    first = min(run.played)
    examples = []
    for stamp in sorted(stamps & rgb.keys() & disparity.keys()):
        points, colours = clouds.get(stamp, (None, None)) if stamp in cameras else (None, None)
        error = f", AbsRel {errors[stamp]:.3f}" if stamp in errors else ""
        examples.append(
            Example(
                label=f"{(stamp - first) / 1e9:.2f} s{error}",
                rgb=rgb[stamp],
                disparity=disparity[stamp],
                depth=source.depth(stamp),
                points=points,
                colours=colours,
                intrinsics=cameras.get(stamp),
            )
        )
    return examples


def worst_agreement(examples: list[Example]) -> dict[str, float] | None:
    """The worst `cloud_agreement` of the examples with a cloud; None where none has one."""
    found = [
        cloud_agreement(example.points, example.intrinsics, example.disparity)
        for example in examples
        if example.points is not None
    ]
    return {key: max(item[key] for item in found) for key in found[0]} if found else None


def save_figure(path: Path, examples: list[Example], report: dict) -> None:
    """depth.png: the examples under a line with the run's speed."""
    latency = report["latency_ms"]
    title = (
        f"{report['model']} ({report['device']}) on {report['source']}: {report['hz']} Hz, "
        f"latency p50 {latency['p50']} ms, p95 {latency['p95']} ms"
    )
    write_image(path, draw_figure(examples, title))


def save_cloud(path: Path, examples: list[Example]) -> bool:
    """cloud.ply of the example in the middle; False where no example has a cloud."""
    with_cloud = [example for example in examples if example.points is not None]
    if not with_cloud:
        path.unlink(missing_ok=True)  # an older run's cloud would pass for this one's
        return False
    middle = with_cloud[len(with_cloud) // 2]
    write_ply(path, middle.points, middle.colours)
    return True


def save_output_bag(path: Path, source: Source, run: Run) -> int:
    """output.mcap: the images that were processed, their depth, and clouds, as one MCAP file.

    Every m-th cloud and its frame, m such that clouds take half of OUTPUT_BYTES at most, and every
    n-th processed frame, n such that the file stays near OUTPUT_BYTES. Returns n.
    """
    pixels = source.topics.width * source.topics.height
    outputs = readable(source, run)
    clouds = sorted(set(run.clouds) & set(outputs))
    cloud_step = max(1, math.ceil(len(clouds) * pixels * POINT.itemsize / (OUTPUT_BYTES / 2)))
    with_cloud = set(clouds[::cloud_step])
    room = OUTPUT_BYTES - len(with_cloud) * pixels * POINT.itemsize
    step = max(1, math.ceil(len(outputs) * pixels * (3 + 4) / room))
    kept = set(outputs[::step]) | with_cloud
    # The logs are in CLOCK_MONOTONIC, the recorder's bag is in wall time: one constant apart.
    wall_clock = time.time_ns() - time.monotonic_ns()
    names = {source.topics.image: "/image", source.topics.camera_info: "/camera_info"}

    def played(topic: str, recorded: int, raw: bytes) -> Message | None:
        stamp = header_stamp(raw) if topic in names else None
        if stamp not in kept:
            return None
        return names[topic], run.played[stamp] + wall_clock, raw

    def produced(topic: str, recorded: int, raw: bytes) -> Message | None:
        wanted = with_cloud if topic == CLOUD else kept
        return (topic, recorded, raw) if header_stamp(raw) in wanted else None

    topics = {"/image": IMAGE, "/camera_info": CAMERA_INFO}
    topics |= {DEPTH: IMAGE, DEPTH_INFO: CAMERA_INFO, CLOUD: POINT_CLOUD}
    merge_bags(path, [(source.bag, played), (run.recording, produced)], topics)
    return step
