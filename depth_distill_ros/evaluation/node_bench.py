"""What the node costs besides inference, and how fast its topics are: `d3epth bench --node`.

A node and a probe, two processes, on a graph of their own. Rounds with the depth image alone and
rounds with the coloured cloud as well take turns, so that both see the same machine; the result is
the median over the rounds of each round's median. Times are the node's own, from its diagnostics;
rates and latencies are seen from outside.

Clouds are made and published while the next image is inferred. On a machine whose cores are all
taken by the inference that makes it longer: the engine's rate, to which the topic's is compared, is
that of the inferences in the same round. Both rates are of medians, the topic's of the time from
one arrival to the next: the few images that another process holds up count in neither.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from depth_distill_ros.errors import ConfigError, UserError
from depth_distill_ros.evaluation.graph import Graph, graph_environment

DEPTH = ("depth/image", "depth/camera_info")
CLOUD = (*DEPTH, "points")
FIXED_SCALE = ("scale.mode:=fixed", "scale.scale:=1.0", "scale.shift:=0.1")
ROUND_SECONDS = 300.0
"""Patience with one round besides its own length: the start of a node with a large model."""


@dataclass(frozen=True)
class NodeBenchOptions:
    """What to measure: image size (width, height), images a second, seconds a round, rounds."""

    size: tuple[int, int] = (640, 480)
    rate: float = 30.0
    seconds: float = 10.0
    rounds: int = 3
    model: str | None = None
    device: str = "auto"
    engine: str = "auto"
    parameters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.seconds <= 0 or self.rounds < 1:
            raise ConfigError("--rate, --seconds and --rounds must be positive")


@dataclass(frozen=True)
class Round:
    """One run of the graph.

    Attributes:
        overhead_ms: median time of an image in the node besides inference.
        overlapped_ms: of it, what falls into the time of the next image's inference.
        infer_ms: median time of the inference.
        hz: rate of the depth image as it arrives, over the whole round.
        interval_ms: median time from one arrival to the next.
        latency_ms: median from the image's publication to the arrival of its depth.
        stages_ms: median of each stage, by name.
    """

    overhead_ms: float
    overlapped_ms: float
    infer_ms: float
    hz: float
    interval_ms: float
    latency_ms: float
    stages_ms: dict[str, float]


def bench_node(options: NodeBenchOptions) -> dict:
    """Measures and returns the report. Raises UserError where a process of the graph fails."""
    rounds: dict[str, list[Round]] = {"depth": [], "depth and cloud": []}
    for _ in range(options.rounds):
        for name, topics in (("depth", DEPTH), ("depth and cloud", CLOUD)):
            rounds[name].append(_measure(options, topics))
    report: dict = {
        "engine": options.engine,
        "size": "x".join(map(str, options.size)),
        "rate": options.rate,
        "rounds": options.rounds,
        "seconds": options.seconds,
    }
    report["ratios"] = {}
    for name, measured in rounds.items():
        rates = [max(r.infer_ms, 1000 / options.rate) / r.interval_ms for r in measured]
        report["ratios"][f"topic_over_engine_rate, {name}"] = {
            "median": median(rates),
            "min": min(rates),
            "max": max(rates),
        }
        report[name] = {
            "overhead_ms": median(r.overhead_ms for r in measured),
            "overhead_ms_range": [
                min(r.overhead_ms for r in measured),
                max(r.overhead_ms for r in measured),
            ],
            "overlapped_ms": median(r.overlapped_ms for r in measured),
            "infer_ms": median(r.infer_ms for r in measured),
            "topic_hz": median(r.hz for r in measured),
            "topic_over_engine_rate": median(rates),
            "latency_ms": median(r.latency_ms for r in measured),
            "stages_ms": {
                stage: median(r.stages_ms[stage] for r in measured)
                for stage in measured[0].stages_ms
            },
        }
    overheads = [report[name]["overhead_ms"] for name in rounds]
    report["cloud_adds_ms"] = overheads[1] - overheads[0]
    return report


def _measure(options: NodeBenchOptions, topics: tuple[str, ...]) -> Round:
    parameters = [
        *FIXED_SCALE,
        f"device:={options.device}",
        f"engine:={options.engine}",
        *options.parameters,
    ]
    if options.model is not None:
        parameters.append(f"model:={options.model}")
    node = ["--ros-args", *(word for value in parameters for word in ("-p", value))]
    with TemporaryDirectory() as folder:
        output = Path(folder) / "probe.json"
        probe = ["--topics", *topics, "--output", str(output), "--rate", str(options.rate)]
        probe += ["--size", *map(str, options.size), "--seconds", str(options.seconds)]
        with Graph(Path(folder) / "logs", graph_environment()) as graph:
            graph.start("node", "depth_distill_ros.ros.node", node)
            graph.start("probe", "depth_distill_ros.ros.probe", probe)
            graph.wait("probe", ROUND_SECONDS + options.seconds)
            seen = json.loads(output.read_text(encoding="utf-8"))
            if seen["topics"][DEPTH[0]]["interval_ms"] is None:
                raise UserError(
                    f"the node published no two depth images; its last lines:\n{graph.tail('node')}"
                )
        return _round(seen)


def _round(seen: dict) -> Round:
    cameras = [values for name, values in seen["diagnostics"].items() if name.endswith(": camera")]
    if not cameras:
        raise UserError("the node published no diagnostics")
    depth = seen["topics"][DEPTH[0]]
    start, end = "time: ", " p50 ms"
    stages = {
        key[len(start) : -len(end)]: float(value)
        for key, value in cameras[0].items()
        if key.startswith(start) and key.endswith(end)
    }
    return Round(
        overhead_ms=stages["besides inference"],
        overlapped_ms=stages["overlapped"],
        infer_ms=stages["infer"],
        hz=depth["hz"],
        interval_ms=depth["interval_ms"],
        latency_ms=depth["latency_ms"][0],
        stages_ms=stages,
    )


def describe(report: dict) -> str:
    """The report as lines for a terminal."""
    lines = [
        f"{report['size']} at {report['rate']:g} Hz, {report['rounds']} rounds of "
        f"{report['seconds']:g} s each, medians"
    ]
    for name in ("depth", "depth and cloud"):
        part = report[name]
        low, high = part["overhead_ms_range"]
        rates = report["ratios"][f"topic_over_engine_rate, {name}"]
        lines.append(
            f"{name}: {part['overhead_ms']:.2f} ms ({low:.2f} to {high:.2f}), of which "
            f"{part['overlapped_ms']:.2f} ms beside the next inference, besides "
            f"{part['infer_ms']:.1f} ms of inference; {part['topic_hz']:.1f} Hz, "
            f"{rates['median']:.0%} ({rates['min']:.0%} to {rates['max']:.0%}) of the engine's "
            f"rate, at most the camera's; "
            f"latency {part['latency_ms']:.0f} ms"
        )
        stages = ", ".join(f"{stage} {value:.2f}" for stage, value in part["stages_ms"].items())
        lines.append(f"    ms: {stages}")
    lines.append(f"the cloud adds {report['cloud_adds_ms']:.2f} ms")
    return "\n".join(lines)
