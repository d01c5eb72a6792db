"""What becomes of frames and memory under the faults of docs/reliability.md: prints its table.

    python -m bench.faults [--json FILE]

The scenarios are those of the tests (test/ros/faults), on a real graph: a node in a process of its
own, cameras and listeners in others. The model is a small untrained one that answers in
milliseconds: what is looked at is the node.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
for folder in ("test/ros/faults", "test/ros", "."):
    sys.path.insert(0, str(ROOT / folder))

from depth_distill_ros.evaluation.graph import graph_environment  # noqa: E402
from depth_distill_ros.evaluation.tables import columns, write_json  # noqa: E402

os.environ.update(graph_environment())  # before anything loads the middleware

import camera_faults  # noqa: E402 - they import rclpy
import load_faults  # noqa: E402
import memory_faults  # noqa: E402
import picture_faults  # noqa: E402
import scale_faults  # noqa: E402
from node_graph import Figures, NodeGraph  # noqa: E402

RELATIVE = ("relative/image", "relative/points")
SMALL, LARGER = (64, 96), memory_faults.RESOLUTION


def scenarios(open_graph: Callable[..., NodeGraph]) -> Iterator[Figures]:
    """Runs all, those on one graph one after the other."""
    graph = open_graph(listen=RELATIVE)
    yield camera_faults.camera_dies(graph)
    yield camera_faults.resolution_changes(graph)
    yield camera_faults.stamps_go_backwards(graph)
    yield camera_faults.bad_intrinsics(graph)
    yield load_faults.too_many_frames(graph)
    yield load_faults.frozen_subscriber(graph)
    graph = open_graph("input.transport:=compressed", listen=("relative/image",))
    yield picture_faults.corrupt_jpeg(graph)
    graph = open_graph(*scale_faults.PARAMETERS, listen=scale_faults.TOPICS)
    yield scale_faults.outliers(graph)
    yield scale_faults.missing(graph)
    yield scale_faults.loops(graph)
    both = ("front/relative/image", "rear/relative/image")
    yield load_faults.one_camera_harms_another(open_graph(listen=both, cameras=("front", "rear")))
    yield memory_faults.out_of_memory(
        open_graph(
            listen=("relative/image",), resolution=LARGER, environment=memory_faults.ENVIRONMENT
        )
    )


def run(folder: Path) -> list[Figures]:
    """The figures of all scenarios, each printed when it is done."""
    from depth_distill_ros.models.depth_model import DepthModel

    opened: list[NodeGraph] = []

    def open_graph(*parameters: str, resolution=SMALL, **more) -> NodeGraph:
        if opened:
            opened[-1].close()
        place = folder / f"graph{len(opened)}"
        model = place / "model"
        DepthModel.from_preset("tiny", seed=0, resolution=resolution).save_pretrained(model)
        opened.append(NodeGraph(place, (f"model:={model}", *parameters), **more))
        return opened[-1].wait()

    results = []
    try:
        for figures in scenarios(open_graph):
            results.append(figures.check())
            print(f"done: {figures.fault}", file=sys.stderr, flush=True)
    finally:
        if opened:
            opened[-1].close()
    return results


def table(results: list[Figures]) -> str:
    """The figures as the table of the page."""
    head = ["fault", "sent", "lost", "received", "processed", "dropped", "refused", "failed", "MiB"]
    rows = [
        [
            figures.fault,
            *(str(getattr(figures, name)) for name in head[1:-1]),
            f"{figures.memory_before:.0f} → {figures.memory_after:.0f}",
        ]
        for figures in results
    ]
    return columns([head, *rows])


def main() -> int:
    """Run all; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures with notes")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        results = run(Path(folder))
    print(table(results))
    if options.json is not None:
        write_json(options.json, [asdict(figures) for figures in results])
    return 0


if __name__ == "__main__":
    sys.exit(main())
