"""The whole path on a real graph: images in, depth images and clouds out, and how well it went.

Three processes: the player publishes images at camera rate, the node turns them into depth, the
recorder keeps what comes out. The report joins the three by header stamp. Sources differ only in
what the player plays.
"""

from __future__ import annotations

import math
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depth_distill_ros.errors import ConfigError, UserError
from depth_distill_ros.evaluation.artifacts import (
    collect_examples,
    readable,
    save_cloud,
    save_figure,
    save_output_bag,
    worst_agreement,
)
from depth_distill_ros.evaluation.benchmarks import score_image
from depth_distill_ros.evaluation.graph import Graph, graph_environment
from depth_distill_ros.evaluation.recording import (
    DEPTH,
    Run,
    disparity_of,
    messages,
    read_recorder_log,
    read_run,
)
from depth_distill_ros.evaluation.source import (
    Source,
    bag_source,
    camera_source,
    frames_source,
    video_source,
)
from depth_distill_ros.evaluation.tables import columns, write_json
from depth_distill_ros.evaluation.viewer import require_rerun, save_rerun, show_rerun
from depth_distill_ros.models import hub

START_SECONDS = 150.0
"""Patience with the start of the node: importing PyTorch and loading a large model."""

DRAIN_SECONDS = 1.5
"""Time for the last images to pass through the node after the player has ended."""

RECORDED_BYTES = 4e9
"""Of a long run, depth images and clouds up to this size in all are kept to be looked at."""


@dataclass(frozen=True)
class DemoOptions:
    """What to play, on which model, for how long, and where to leave the results.

    Exactly one of `frames` (a sequence folder), `bag` (a rosbag2), `video` (a file) and `camera`
    (a number or device) is given. `topic` is the bag's image topic where it has several; `rate`,
    in frames a second, overrides that of a sequence or a video; `fov`, in degrees, is the
    horizontal field of view of a video or a camera. `viewer` is rerun or none.
    """

    output: Path
    frames: Path | None = None
    bag: Path | None = None
    video: Path | None = None
    camera: str | None = None
    topic: str | None = None
    seconds: float = 12.0
    rate: float | None = None
    fov: float | None = None
    model: str | None = None
    device: str = "auto"
    engine: str = "auto"
    viewer: str = "none"

    def __post_init__(self) -> None:
        sources = (self.frames, self.bag, self.video, self.camera)
        if sum(source is not None for source in sources) != 1:
            raise ConfigError(
                "the demo plays one of --frames FOLDER, --bag BAG, --video FILE and "
                "--camera NUMBER: give one of them (`make demo` renders frames first)"
            )
        if self.rate is not None and self.frames is None and self.video is None:
            raise ConfigError("--rate is for --frames and --video: others have their own times")
        if self.fov is not None and self.video is None and self.camera is None:
            raise ConfigError("--fov is for --video and --camera: others bring their calibration")
        if self.fov is not None and not 0 < self.fov < 180:
            raise ConfigError(f"--fov must be between 0 and 180 degrees, got {self.fov}")
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ConfigError(f"--seconds must be positive, got {self.seconds}")
        if self.rate is not None and not 0 < self.rate <= 1000:
            raise ConfigError(f"--rate must be between 0 and 1000 Hz, got {self.rate}")


def run_demo(options: DemoOptions, say: Callable[[str], None] = print) -> dict:
    """Plays, records, measures, and writes the results to `options.output`.

    Leaves report.json, depth.png, cloud.ply (where the camera is calibrated), output.mcap, for the
    viewer demo.rrd, and the processes' logs. Returns the report. Raises UserError where the source
    or the model cannot be used, or a process of the graph fails; no process outlives the call but
    the viewer.
    """
    if options.viewer == "rerun":
        require_rerun()
    model_folder = hub.resolve(options.model)
    model = str(hub.read_json(model_folder / "config.json").get("name", model_folder.name))
    environment = graph_environment()
    output = options.output
    work = output / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (output / "demo.rrd").unlink(missing_ok=True)  # an older run's would pass for this one's
    try:
        source = prepare_source(options, work)
        say(f"playing {source.name} ({source.topics.width}x{source.topics.height}) to {model}")
        run = play_and_record(options, source, work, environment)
        chosen = node_choice(output / "logs" / "node.log")
        report, errors = measure(source, run, {"model": model, **chosen})
        examples = collect_examples(source, run, errors)
        report["cloud_error"] = worst_agreement(examples)
        save_figure(output / "depth.png", examples, report)
        save_cloud(output / "cloud.ply", examples)
        save_output_bag(output / "output.mcap", source, run)
        if options.viewer == "rerun":
            save_rerun(output / "demo.rrd", output / "output.mcap", source)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    write_json(output / "report.json", report)
    say(columns([[name, _text(value)] for name, value in report.items()]))
    say(f"the node says: {node_summary(output / 'logs' / 'node.log')}")
    say(f"report.json, depth.png, output.mcap and more are in {output}")
    if options.viewer == "rerun" and not show_rerun(output / "demo.rrd"):
        say(f"there is no display here: `rerun {output / 'demo.rrd'}` shows the run")
    if run.timing.out_of_order:
        raise RuntimeError(
            f"{run.timing.out_of_order} outputs were older than one already published"
        )
    return report


def prepare_source(options: DemoOptions, work: Path) -> Source:
    """What to play; a bag below `work` is written from frames now, from others while they play."""
    bag = work / "input"
    if options.bag is not None:
        return bag_source(options.bag, options.topic)
    if options.video is not None:
        return video_source(options.video, bag, options.rate, options.fov)
    if options.camera is not None:
        return camera_source(options.camera, bag, options.fov)
    return frames_source(options.frames, bag, options.seconds, options.rate)


def play_and_record(
    options: DemoOptions, source: Source, work: Path, environment: dict[str, str]
) -> Run:
    """Runs the graph once; every process has ended when this returns or raises."""
    played, received, recording = work / "played.txt", work / "received.txt", work / "recording"
    parameters = {
        "device": options.device,
        "engine": options.engine,
        "model": options.model,
    }
    node_arguments = ["--ros-args"]
    for name, value in parameters.items():
        if value is not None:
            node_arguments += ["-p", f"{name}:={value}"]
    player_arguments = [*source.player, "--seconds", str(options.seconds), "--log", str(played)]
    recorder_arguments = [str(recording), "--limit", str(RECORDED_BYTES), "--log", str(received)]
    with Graph(options.output / "logs", environment) as graph:
        graph.start("node", "depth_distill_ros.ros.node", node_arguments)
        graph.start("recorder", "depth_distill_ros.ros.recorder", recorder_arguments)
        graph.start("player", "depth_distill_ros.ros.player", player_arguments)
        graph.wait("player", START_SECONDS + options.seconds)
        time.sleep(DRAIN_SECONDS)
        graph.stop("recorder")
        if not received.exists() or not read_recorder_log(received, DEPTH):
            raise UserError(f"the node published no depth; its last lines:\n{graph.tail('node')}")
    return read_run(recording, played, received)


def measure(source: Source, run: Run, by: dict[str, str]) -> tuple[dict, dict[int, float]]:
    """The report, and AbsRel by header stamp of the outputs whose depth is known.

    `by` names what has made them: model, device and engine.

    Accuracy is as `d3epth evaluate` measures it, a mean over the outputs, so that repeated frames
    count each time.
    """
    scored = {}
    for stamp, message in messages(run.recording, DEPTH):
        depth = source.depth(stamp)
        disparity = disparity_of(message)
        if depth is None or depth.shape != disparity.shape:
            continue
        blank = np.empty((*depth.shape, 0), np.uint8)
        result = score_image(blank, depth, {"node": lambda _, found=disparity: found})
        if result is not None:
            scored[stamp] = result[1]["node"]
    timing = run.timing
    errors = list(scored.values())
    report = {
        "source": source.name,
        **by,
        "frames_in": timing.frames_in,
        "frames_out": timing.frames_out,
        "dropped": timing.dropped,
        "hz": round(timing.hz, 2),
        "latency_ms": {
            "p50": round(timing.latency_percentile(50), 1),
            "p95": round(timing.latency_percentile(95), 1),
        },
        "out_of_order": timing.out_of_order,
        "abs_rel": round(float(np.mean([e.abs_rel for e in errors])), 4) if errors else None,
        "delta1": round(float(np.mean([e.delta1 for e in errors])), 4) if errors else None,
        "frames_scored": len(errors),
        "clouds_kept": len(run.clouds),
        "notes": notes(source, run),
    }
    return report, {stamp: error.abs_rel for stamp, error in scored.items()}


def notes(source: Source, run: Run) -> list[str]:
    """What a reader of the report must know: what could not be made, and what was not kept."""
    found = []
    if source.topics.camera_info is None:
        found.append(
            "no clouds: there is no camera_info (of a video or a camera, --fov DEGREES makes one)"
        )
    kept, outputs = len(readable(source, run)), run.timing.frames_out
    if kept < outputs:
        found.append(
            f"depth.png and output.mcap are made of the first {kept} of {outputs} answered images"
        )
    return found


def node_summary(log: Path) -> str:
    """What the node logged when it stopped: its own counts, and the mean time of each stage."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    summaries = [line for line in lines if "images: " in line]
    return summaries[-1].split("]: ")[-1] if summaries else "nothing"


def node_choice(log: Path) -> dict[str, str]:
    """Device and engine that the node has chosen, as it logged when it was configured."""
    text = log.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"\]: model .+? on (?P<device>\S+), (?P<engine>[^(\n]+) \(", text)
    return found.groupdict() if found else {"device": "unknown", "engine": "unknown"}


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    if isinstance(value, list):
        return "; ".join(value) or "none"
    return "unknown" if value is None else str(value)
