"""How long the node needs from `configure` to its first depth, by engine, and what it weighs then.

    python -m bench.start_up [--model MODEL] [--rounds 3] [--engines torch onnxruntime] [--json FILE]

A node that waits, a lifecycle manager and a camera of 640x480 noise at 30 Hz, on a real graph. The
engines take turns. The time runs from the request to configure until the first `relative/image` is
here; in between the engine is imported, the model loaded and run once, and the node activated. With
onnxruntime the model must have been exported (`d3epth export`).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
for folder in ("test/ros", "."):
    sys.path.insert(0, str(ROOT / folder))

from depth_distill_ros.errors import UserError, refuse  # noqa: E402
from depth_distill_ros.evaluation.graph import graph_environment  # noqa: E402
from depth_distill_ros.evaluation.tables import columns, write_json  # noqa: E402

os.environ.update(graph_environment())  # before anything loads the middleware

from lifecycle_msgs.msg import Transition  # noqa: E402 - they import rclpy
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from node_graph import SIZE, NodeGraph, noise, set_stamp  # noqa: E402
from ros_graph import ros_image, until  # noqa: E402

TOPIC = "relative/image"
RATE = 30.0
PATIENCE = 120.0
Figures = dict[str, float | bool | str]


def measure(folder: Path, engine: str, model: str) -> Figures:
    """Seconds to the first depth, MiB of memory then, and what the node says about its engine.

    Raises UserError where the node cannot be configured or answers nothing.
    """
    parameters = ("autostart:=false", "device:=cpu", f"engine:={engine}", f"model:={model}")
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))}
    graph = NodeGraph(folder, parameters, listen=(TOPIC,), environment=threads)
    try:
        until(lambda: "waits for" in graph.process.log, PATIENCE, "the node is not made")
        started = time.monotonic()
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            request = ChangeState.Request(transition=Transition(id=transition))
            if not graph.peer.call(ChangeState, "change_state", request).success:
                raise UserError(f"the node cannot be configured:\n{graph.process.log}")
        image = ros_image(noise(*SIZE), "rgb8")
        while not graph.seen[TOPIC].stamps:
            if time.monotonic() - started > PATIENCE:
                raise UserError(f"the node gives no depth:\n{graph.process.log}")
            graph.send(set_stamp(image, graph.next_stamp()))
            time.sleep(1 / RATE)
        seconds = time.monotonic() - started
        label = graph.values("model")["engine"]
        loaded = "libtorch" in Path(f"/proc/{graph.process.pid}/maps").read_text(encoding="utf-8")
        return {"seconds": seconds, "MiB": graph.memory, "PyTorch loaded": loaded, "label": label}
    finally:
        graph.close()


def run(options: argparse.Namespace) -> dict[str, list[Figures]]:
    """The figures of each engine's rounds."""
    found: dict[str, list[Figures]] = {engine: [] for engine in options.engines}
    with TemporaryDirectory() as scratch:
        for number in range(options.rounds):
            for engine in options.engines:
                folder = Path(scratch) / f"{engine}{number}"
                folder.mkdir()
                found[engine].append(measure(folder, engine, options.model))
                print(f"done: {engine}", file=sys.stderr, flush=True)
    return found


def table(found: dict[str, list[Figures]]) -> str:
    """Medians and ranges, an engine a line."""
    rows = [["engine", "seconds", "from", "to", "MiB", "PyTorch"]]
    for rounds in found.values():
        seconds = [figures["seconds"] for figures in rounds]
        numbers = [f"{value:.2f}" for value in (median(seconds), min(seconds), max(seconds))]
        memory = f"{median(figures['MiB'] for figures in rounds):.0f}"
        loaded = "loaded" if rounds[0]["PyTorch loaded"] else "not loaded"
        rows.append([rounds[0]["label"], *numbers, memory, loaded])
    return columns(rows)


def main(arguments: list[str] | None = None) -> int:
    """Measure; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="d3epth-lite")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=["torch", "onnxruntime"])
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        found = run(options)
    except UserError as error:
        return refuse(error)
    print(table(found))
    if options.json is not None:
        write_json(options.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
